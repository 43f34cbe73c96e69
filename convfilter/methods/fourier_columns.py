"""Large kernels: Fourier transforms of columns only, whose spectra are summed along the rows.

A transform of a few dozen rows is a matrix product: the loop that sums down four rows computes it for all columns and
channels of a tile at once. Down the columns the kernel becomes a product of spectra; along the rows it stays a sum. So
a tap costs one product for each frequency instead of one for each kernel row.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from convfilter.engine.borders import Indices
from convfilter.engine.buffer import Samples, Scratch
from convfilter.engine.layout import columns_for
from convfilter.engine.locality import require_visible
from convfilter.engine.mapped_stage import MappedStage, Region
from convfilter.engine.sums import StepOutput, Taps, sum_calls, sums_in_fours
from convfilter.planning.ring import STEP_ROWS
from convfilter.planning.strips import column_samples

Matrix = npt.NDArray[np.floating]


class Columnwise:
    """Multiplies spectra of columns; wrapped rows are dropped (overlap-save)."""

    def __init__(self, mapped: MappedStage) -> None:
        plan, channels = mapped.plan, mapped.source.channels
        self._mapped, self._side, dtype = mapped, plan.sides[0], np.dtype(plan.precision)
        self._forward = _in_fours(_to_spectrum(self._side)).astype(dtype)
        self._inverse = _in_fours(_from_spectrum(self._side)[: plan.block_rows]).astype(dtype)
        spectra = _spectra(_spread(mapped))
        reach = plan.cols.span * channels
        cols = max(1, (column_samples(self._side, reach) - reach) // channels)
        self._strips = []
        for left in range(0, plan.cols.output, cols):
            right = min(left + cols, plan.cols.output)
            columns = columns_for(plan.cols, mapped.col_index, left, right)
            self._strips.append((left, right, columns, _products(spectra, columns.tap_offset * channels, dtype)))

    def sums(self, scratch: Scratch, top: int, bottom: int) -> Iterator[tuple[Region, Samples, int]]:
        """Yield the sums of a block, which begins where a transform begins."""
        mapped, side, forward, inverse = self._mapped, self._side, self._forward, self._inverse
        rows = mapped.row_index[np.minimum(np.arange(top, top + side), mapped.row_index.size - 1)]
        for left, right, columns, taps in self._strips:
            tile, pitch = mapped.source.load(scratch, "tile", rows, columns)
            if mapped.source.dtype.kind == "f":
                require_visible(tile[: rows.size * pitch])
            length = (right - left) * mapped.source.channels
            spectrum = scratch.get("spectrum", side * pitch)
            products = scratch.get("products", side * length)
            sums = scratch.get("sums", inverse.shape[0] * STEP_ROWS * length)
            sums_in_fours(tile, _all_rows(forward, pitch), forward, StepOutput(spectrum, pitch, pitch))
            for call in sum_calls(spectrum, _pairs(side) * pitch, taps, StepOutput(products, length, length)):
                call()
            sums_in_fours(products, _all_rows(inverse, length), inverse, StepOutput(sums, length, length))
            yield Region(top, bottom, left, right), sums, length


def _angles(side: int) -> Matrix:
    """Return the angle, in radians, of each frequency but the first and last at each row: (side / 2 - 1, side)."""
    # Full turns are removed in integer arithmetic: large angles would round.
    turns = np.outer(np.arange(1, side // 2), np.arange(side)) % side
    return turns * (2 * np.pi / side)


def _to_spectrum(side: int) -> Matrix:
    """Return the matrix of the real transform: first and last frequency, then real and imaginary parts alternately."""
    matrix = np.empty((side, side))
    matrix[0], matrix[1] = 1, (-1.0) ** np.arange(side)
    matrix[2::2], matrix[3::2] = np.cos(_angles(side)), -np.sin(_angles(side))
    return matrix


def _from_spectrum(side: int) -> Matrix:
    matrix = _to_spectrum(side).T / side
    matrix[:, 2:] *= 2  # for a frequency and its conjugate
    return matrix


def _spread(mapped: MappedStage) -> Matrix:
    """Place the kernel's rows, a dilation apart, into the rows of a transform."""
    rows = mapped.plan.rows
    spread = np.zeros((mapped.plan.sides[0], mapped.plan.kernel.matrix.shape[1]))
    spread[: rows.span + 1 : rows.dilation] = mapped.plan.kernel.matrix
    return spread


def _spectra(spread: Matrix) -> Matrix:
    """Return the weights of the two rows that are summed into each row of a product of spectra: (side, 2, K)."""
    spectrum = np.conj(np.fft.rfft(spread, axis=0))
    weights = np.zeros((spread.shape[0], 2, spread.shape[1]))
    weights[0, 0], weights[1, 1] = spectrum[0].real, spectrum[-1].real
    inner = spectrum[1:-1]
    weights[2::2, 0], weights[2::2, 1] = inner.real, -inner.imag
    weights[3::2, 0], weights[3::2, 1] = inner.imag, inner.real
    return weights


def _products(spectra: Matrix, col: Indices, dtype: npt.DTypeLike) -> Taps:
    side, pair, taps = spectra.shape
    return Taps(np.repeat(np.arange(pair), taps), np.tile(col, pair), spectra.reshape(side, -1)).nonzero().cast(dtype)


def _pairs(side: int) -> Indices:
    """Return the two spectrum rows that are summed into each row of a product of spectra: (1, side, 2)."""
    pairs: Indices = np.arange(side)[:, np.newaxis] // 2 * 2 + np.arange(2)
    return pairs[np.newaxis]


def _in_fours(matrix: Matrix) -> Matrix:
    """Group the weights of output rows by fours, padded with zeros: (blocks, inputs, 4)."""
    rows, inputs = matrix.shape
    padded = np.zeros((-(-rows // STEP_ROWS) * STEP_ROWS, inputs))
    padded[:rows] = matrix
    return np.ascontiguousarray(padded.reshape(-1, STEP_ROWS, inputs).transpose(0, 2, 1))


def _all_rows(weights: Samples, pitch: int) -> Indices:
    """Return the row offsets of each block of four sums: all rows, for every block."""
    return np.tile(np.arange(weights.shape[1]) * pitch, (weights.shape[0], 1))
