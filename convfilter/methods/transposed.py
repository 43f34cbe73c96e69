"""Sums of transposed convolutions: an ordinary convolution for each phase, without the inserted zeros."""

from __future__ import annotations

from math import gcd

import numpy as np

from convfilter.engine.borders import CONSTANT, Indices
from convfilter.engine.buffer import Samples
from convfilter.engine.mapped_stage import MappedStage
from convfilter.engine.node import Rows
from convfilter.filters.network_operators import Layer
from convfilter.methods.im2col import AxisWindows, load_padded, weight_matrices, window_matrix
from convfilter.planning import AxisPlan
from convfilter.record import NamedTuple

#: Most kernels of a transposed convolution for which one product of all phases is faster: it takes half the time.
_FEW_KERNELS = 48


class Phase(NamedTuple):
    """One phase of a transposed convolution: outputs ``step`` apart, for which the same taps fall on samples.

    Attributes
    ----------
    first : int
        First output of the phase, relative to the band's first.
    place : int
        Sample under its first tap, relative to the band's first sample.
    taps : slice
        Taps of the kernel.
    windows : AxisWindows
    """

    first: int
    place: int
    taps: slice
    windows: AxisWindows


def phases(axis: AxisPlan, top: int, bottom: int) -> tuple[slice, list[Phase]]:
    """Split outputs ``top`` to ``bottom - 1`` of a transposed convolution into phases.

    Returns
    -------
    slice
        Padded places of the samples that they need.
    list of Phase
        Phases without taps are omitted.
    """
    step = axis.step
    start = top + (axis.before - top) % step
    common = gcd(step, axis.dilation)
    result = []
    for first in range(min(step, bottom - top)):
        taps = [tap for tap in range(axis.kernel) if (top + first + tap * axis.dilation - start) % step == 0]
        if taps:
            chosen = slice(taps[0], taps[-1] + 1, step // common)
            count = -(-(bottom - top - first) // step)
            place = (top + first + taps[0] * axis.dilation - start) // step
            result.append(Phase(first, place, chosen, AxisWindows(count, len(taps), 1, axis.dilation // common)))
    return slice(start, bottom + axis.span, step), result


class TransposedSums:
    """Sums of a transposed convolution: an ordinary one for each phase, without the inserted zeros."""

    def __init__(self, numerators: Samples, operator: Layer) -> None:
        self._numerators, self._operator = numerators, operator
        self._phase_matrices: dict[tuple[int, int], list[Samples]] = {}
        self._union_matrix: dict[tuple[tuple[int, int, int], ...], Samples] = {}

    def sums(self, mapped: MappedStage, top: int, bottom: int) -> Samples:
        """Return the sums of some rows."""
        operator, plan = self._operator, mapped.plan
        row_places, by_row = phases(plan.rows, top, bottom)
        col_places, by_col = phases(plan.cols, 0, plan.cols.output)
        if not (by_row and by_col):  # all outputs lie between the taps
            return np.zeros((bottom - top, plan.cols.output, len(operator.bias)), plan.precision)
        before = (plan.cols.before - col_places.start) // plan.cols.step
        if operator.groups == 1 and operator.weight[:, :, 0, 0].size <= _FEW_KERNELS:
            return self._at_once(mapped, (top, bottom), (row_places, by_row), (col_places, by_col), before)
        padded = load_padded(mapped, mapped.row_index[row_places], mapped.col_index[col_places], before)
        total = np.zeros((bottom - top, plan.cols.output, len(operator.bias)), padded.dtype)
        inputs, outputs = operator.weight.shape[1], len(operator.bias) // operator.groups
        for down in by_row:
            for along in by_col:
                below = padded[down.place :, along.place :]
                part = total[down.first :: plan.rows.step, along.first :: plan.cols.step]
                for group, matrix in enumerate(self._matrices(down.taps, along.taps)):
                    windows = window_matrix(
                        below[..., group * inputs : (group + 1) * inputs], down.windows, along.windows
                    )
                    sums = (windows @ matrix).reshape(*part.shape[:2], outputs)
                    part[..., group * outputs : (group + 1) * outputs] = sums
        return total

    def _at_once(
        self,
        mapped: MappedStage,
        rows: Rows,
        down: tuple[slice, list[Phase]],
        along: tuple[slice, list[Phase]],
        before: int,
    ) -> Samples:
        """Return the sums of all phases by one product with the union of their windows, for kernels of few channels."""
        (row_places, by_row), (col_places, by_col) = down, along
        plan, outputs = mapped.plan, len(self._operator.bias)
        height, width = -(-(rows[1] - rows[0]) // plan.rows.step), -(-plan.cols.output // plan.cols.step)
        (top, tall), (left, wide) = (_union(each) for each in (by_row, by_col))
        # The union window of the last outputs may reach past the padding.
        row_index = _filled(mapped.row_index[row_places], top + tall + height - 1)
        col_index = _filled(mapped.col_index[col_places], left + wide + width - 1)
        padded = load_padded(mapped, row_index, col_index, before)[top:, left:]
        matrix = self._matrix(by_row, by_col, (top, tall, plan.rows.step), (left, wide, plan.cols.step))
        windows = window_matrix(padded, AxisWindows(height, tall, 1, 1), AxisWindows(width, wide, 1, 1))
        sums = (windows @ matrix).reshape(height, width, plan.rows.step, plan.cols.step, outputs)
        whole = sums.transpose(0, 2, 1, 3, 4).reshape(height * plan.rows.step, width * plan.cols.step, outputs)
        return whole[: rows[1] - rows[0], : plan.cols.output]

    def _matrix(
        self, by_row: list[Phase], by_col: list[Phase], rows: tuple[int, int, int], cols: tuple[int, int, int]
    ) -> Samples:
        """Return the matrix of all phases: rows are taps and input channels, columns are phases and output channels."""
        key = tuple((phase.first, phase.place, phase.taps.start) for phase in (*by_row, *by_col))
        if key not in self._union_matrix:
            (top, tall, row_step), (left, wide, col_step) = rows, cols
            outputs, inputs = self._numerators.shape[:2]
            matrix = np.zeros((tall, wide, inputs, row_step, col_step, outputs), self._numerators.dtype)
            for down in by_row:
                first, step = down.place - top, down.windows.dilation
                tap_rows = slice(first, first + (down.windows.taps - 1) * step + 1, step)
                for along in by_col:
                    first, step = along.place - left, along.windows.dilation
                    tap_cols = slice(first, first + (along.windows.taps - 1) * step + 1, step)
                    taps = self._numerators[:, :, down.taps, along.taps].transpose(2, 3, 1, 0)
                    matrix[tap_rows, tap_cols, :, down.first, along.first] = taps
            self._union_matrix[key] = matrix.reshape(tall * wide * inputs, -1)
        return self._union_matrix[key]

    def _matrices(self, rows: slice, cols: slice) -> list[Samples]:
        """Return the matrices of a phase's taps; cached, since phases are the same in every band."""
        key = rows.start, cols.start
        if key not in self._phase_matrices:
            self._phase_matrices[key] = weight_matrices(self._numerators[:, :, rows, cols], self._operator.groups)
        return self._phase_matrices[key]


def _union(phases: list[Phase]) -> tuple[int, int]:
    """Return the first sample under a tap of any phase, and the number of samples to the last."""
    first = min(phase.place for phase in phases)
    last = max(phase.place + (phase.windows.taps - 1) * phase.windows.dilation for phase in phases)
    return first, last - first + 1


def _filled(index: Indices, size: int) -> Indices:
    """Extend an index map to a size with padding."""
    return index if index.size >= size else np.append(index, np.full(size - index.size, CONSTANT))
