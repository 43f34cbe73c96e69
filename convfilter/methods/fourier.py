"""Very large kernels: products of spectra, tile by tile (overlap-save)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from convfilter.engine.borders import Indices
from convfilter.engine.buffer import LineBuffer, Samples, Scratch
from convfilter.engine.layout import Columns
from convfilter.engine.locality import require_visible
from convfilter.engine.mapped_stage import MappedStage, Region
from convfilter.engine.node import Crew, Node, StageNode, StageSetup
from convfilter.engine.workers import TileWorker, Workers
from convfilter.planning.arithmetic import AxisPlan
from convfilter.sample_types import is_wide

Sums: TypeAlias = Iterator[tuple[Region, Samples, int]]


def nodes(stage: StageSetup) -> list[Node]:
    """Return the node of a stage."""
    return [_Fourier(stage)]


class _Fourier(StageNode):
    """Products of spectra, a row of tiles in each block."""

    def demand(self, top: int, bottom: int, number: int = 0) -> Indices:
        """Return the input rows of one transform."""
        first = top * self.plan.rows.stride
        return self._row_index[first : first + self.plan.sides[0]]

    def crew(self, sources: Sequence[LineBuffer], target: LineBuffer, threads: int) -> Crew:
        """Return workers."""
        mapped = self.stage.mapped(sources[0])
        epilogue = self.epilogue(mapped, target)
        method: _Method = _Tiles(mapped) if self.plan.sides[1] else _columnwise(mapped)  # shared by all workers

        def make() -> TileWorker:
            scratch = Scratch(self.plan.precision)
            return TileWorker(lambda *rows: method.sums(scratch, *rows), epilogue, scratch)

        return Workers(make, self.scratch_bytes)


class Transform:
    """The kernel's spectrum for tiles of one size, and the tiling of the output.

    A circular correlation of a tile is valid where the kernel does not reach past the tile's end: everywhere but in the
    last ``span`` rows and columns. Source: A. V. Oppenheim, R. W. Schafer, "Discrete-Time Signal Processing",
    overlap-save.
    """

    def __init__(self, mapped: MappedStage) -> None:
        plan = self._plan = mapped.plan
        self._samples = np.float64 if is_wide(mapped.source.dtype) else np.float32
        self.sides = plan.sides
        self.tile_cols = _outputs(plan.cols, self.sides[1])
        spread = np.zeros(self.sides)
        matrix = plan.kernel.matrix
        spread[: plan.rows.span + 1 : plan.rows.dilation, : plan.cols.span + 1 : plan.cols.dilation] = matrix
        # NumPy's float32 transforms are five times as fast with a scale factor. So both directions are scaled, and the
        # kernel's spectrum compensates.
        size = self.sides[0] * self.sides[1]
        self.spectrum = (np.conj(np.fft.rfft2(spread)) * size).astype(
            np.result_type(np.dtype(plan.precision), np.complex64)
        )

    def correlate(self, tile: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
        """Correlate one channel of a tile with the kernel, circularly; the result may lack wrapped rows and columns."""
        spectrum = np.fft.rfft2(tile, norm="forward")
        spectrum *= self.spectrum
        sums = np.fft.irfft2(spectrum, self.sides)
        return self._bounded(sums, tile) if self._plan.bounded else sums

    def _bounded(self, sums: Samples, tile: Samples) -> Samples:
        """Clip sums to the range of their windows: rounding errors of brighter samples can exceed it."""
        samples = tile.astype(self._samples)  # back to their original type
        least, largest = (_extremes(samples, self._plan.rows, self._plan.cols, of) for of in (np.minimum, np.maximum))
        kernel = self._plan.kernel
        total = np.float64(kernel.sum * kernel.divisor)
        low, high = (least, largest) if total > 0 else (largest, least)
        return np.clip(sums[: low.shape[0], : low.shape[1]], total * low, total * high)


def _extremes(tile: Samples, rows: AxisPlan, cols: AxisPlan, of: np.ufunc) -> Samples:
    """Return the smallest or largest sample of the window that begins at each place, where windows fit."""
    for axis, plan in enumerate((rows, cols)):
        lines, width = np.moveaxis(tile, axis, 0), 1
        while width < plan.kernel:  # double the width until two windows overlap
            step = min(width, plan.kernel - width)
            lines = of(lines[: len(lines) - step * plan.dilation], lines[step * plan.dilation :])
            width += step
        tile = np.moveaxis(lines, 0, axis)
    return tile


def _outputs(axis: AxisPlan, side: int) -> int:
    return max(1, (side - axis.span) // axis.stride)


class _Method(Protocol):
    def sums(self, scratch: Scratch, top: int, bottom: int) -> Sums:
        """Yield the sums of a block."""


def _columnwise(mapped: MappedStage) -> _Method:
    from convfilter.methods.fourier_columns import Columnwise

    return Columnwise(mapped)


class _Tiles:
    """Multiplies spectra, channel by channel, and extracts the outputs."""

    def __init__(self, mapped: MappedStage) -> None:
        self._mapped, self._transform = mapped, Transform(mapped)

    def sums(self, scratch: Scratch, top: int, bottom: int) -> Sums:
        """Yield the sums of a block."""
        mapped, plan, channels = self._mapped, self._mapped.plan, self._mapped.source.channels
        rows, cols = plan.sides
        tile_rows = tile_places(mapped.row_index, top * plan.rows.stride, rows)
        for left in range(0, plan.cols.output, self._transform.tile_cols):
            right = min(left + self._transform.tile_cols, plan.cols.output)
            indices = tile_places(mapped.col_index, left * plan.cols.stride, cols)
            columns = Columns(indices, 0, 0, indices[:0])
            length = (right - left) * channels
            buffer = scratch.get("sums", (bottom - top) * length)
            sums = buffer[: (bottom - top) * length].reshape(bottom - top, -1, channels)
            for channel in range(channels):
                full = self._transform.correlate(_plane(mapped, scratch, tile_rows, columns, channel))
                sums[:, :, channel] = full[
                    : (bottom - top) * plan.rows.stride : plan.rows.stride,
                    : (right - left) * plan.cols.stride : plan.cols.stride,
                ]
            if plan.exact:
                np.rint(sums, out=sums)
            yield Region(top, bottom, left, right), buffer, length


#: Rows of one load, which has all channels although only one is used.
_LOADED_ROWS = 64


def _plane(mapped: MappedStage, scratch: Scratch, rows: Indices, columns: Columns, channel: int) -> Samples:
    """Load one channel of a tile; all channels of a large tile would take several times the memory."""
    plane = scratch.get("plane", rows.size * columns.count)[: rows.size * columns.count].reshape(rows.size, -1)
    for first in range(0, rows.size, _LOADED_ROWS):
        band = rows[first : first + _LOADED_ROWS]
        tile, pitch = mapped.source.load(scratch, "tile", band, columns)
        plane[first : first + band.size] = tile[channel : band.size * pitch : mapped.source.channels].reshape(
            band.size, -1
        )
    if mapped.source.dtype.kind == "f":
        require_visible(plane)
    return plane


def tile_places(index: Indices, start: int, count: int) -> Indices:
    """Return ``count`` entries of an index map from ``start`` on; past its end, where no output reads, the last."""
    return index[np.minimum(np.arange(start, start + count), index.size - 1)]
