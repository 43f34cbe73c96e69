"""The ways to compute a stage, block by block: each yields sums over regions of the output.

Every way is a generator over (region, sums, pitch) for one block of output rows;
what becomes of the sums (division, rounding, storing) is the same for all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeAlias

import numpy as np

from convfilter.engine.borders import Indices, index_map
from convfilter.engine.native import Loop
from convfilter.engine.tiles import Columns, Samples, Scratch, Source, columns_for, distinct_rows
from convfilter.filters.kernels import Weights
from convfilter.filters.stage import Gradient, Pooling
from convfilter.plan import TAP_ROWS, TILE_SAMPLES, StagePlan

CORRELATE = Loop("correlate", "correlate", "A* i8* i8 i8* i8* A* i8 i8 i8 A* i8 i8")
MAXIMUM = Loop("extreme", "maximum", "A* i8* i8 i8* i8* i8 i8 A* i8 i8")
MAGNITUDE = Loop("gradient", "magnitude", "A* i8* i8 i8 i8 A A i8 A* i8 i8")
RUN_DOWN = Loop("box", "run_down", "A* A* A* i8 i8 i8 A* i8 i8")
RUN_RIGHT = Loop("box", "run_right", "A* i8 i8 i8 i8 i8 A* i8 i8")


class Region(NamedTuple):
    """A rectangle of the output: rows ``top`` to ``bottom - 1``, columns ``left`` to ``right - 1``."""

    top: int
    bottom: int
    left: int
    right: int


@dataclass(frozen=True)
class Work:
    """One stage on one source: what all blocks share."""

    plan: StagePlan
    source: Source
    row_index: Indices
    col_index: Indices

    @classmethod
    def of(cls, plan: StagePlan, source: Source) -> Work:
        """Map the padded axes of ``plan`` to the rows and columns of ``source``."""
        mode = "constant" if isinstance(plan.stage.operator, Pooling) else plan.stage.padding_mode
        rows = index_map(plan.rows.input, plan.rows.before, plan.rows.padded, mode)
        cols = index_map(plan.cols.input, plan.cols.before, plan.cols.padded, mode)
        return cls(plan, source, rows, cols)

    @property
    def tile_cols(self) -> int:
        """Output columns of one tile."""
        return max(1, TILE_SAMPLES // self.source.channels)

    def rows_for(self, top: int, bottom: int, first_tap: int, last_tap: int) -> tuple[Indices, Indices]:
        """Return the source rows that some taps of some outputs need, and a table of their places.

        The table has one line of ``last_tap - first_tap`` places for each output row.
        """
        axis = self.plan.rows
        places = np.arange(top, bottom)[:, np.newaxis] * axis.stride + np.arange(first_tap, last_tap) * axis.dilation
        return distinct_rows(self.row_index[places], axis.input)

    def tiles(self) -> Iterator[tuple[int, int]]:
        """Cut the output's width: pairs of first and last-plus-one column."""
        width = self.plan.cols.output
        for left in range(0, width, self.tile_cols):
            yield left, min(left + self.tile_cols, width)


Sums: TypeAlias = Iterator[tuple[Region, Samples, int]]
Way: TypeAlias = Callable[[Work, Scratch, int, int], Sums]


def direct(work: Work, scratch: Scratch, top: int, bottom: int) -> Sums:
    """Sum every nonzero tap of a 2-D kernel."""
    matrix, channels, height = work.plan.kernel.matrix, work.source.channels, bottom - top
    correlate = CORRELATE.variant(A=scratch.dtype)
    for left, right in work.tiles():
        columns = columns_for(work.plan.cols, work.col_index, left, right)
        length = (right - left) * channels
        sums = scratch.get("sums", height * length)
        sums[: height * length] = 0
        for first in range(0, matrix.shape[0], TAP_ROWS):
            part = matrix[first : first + TAP_ROWS]
            tap_row, tap_col = (np.ascontiguousarray(places) for places in np.nonzero(part))
            if tap_row.size == 0:
                continue
            rows, table = work.rows_for(top, bottom, first, first + part.shape[0])
            tile, pitch = work.source.load(scratch, "tile", rows, columns)
            correlate(
                tile, table * pitch, tap_row.size, tap_row, columns.tap_offset[tap_col] * channels,
                part[tap_row, tap_col].astype(scratch.dtype), height, part.shape[0], 1, sums, length, length,
            )  # fmt: skip
        yield Region(top, bottom, left, right), sums, length


def separable(work: Work, scratch: Scratch, top: int, bottom: int) -> Sums:
    """Sum down the rows, then along them: a kernel that is the product of a column and a row."""
    assert work.plan.kernel.factors is not None
    column, row = work.plan.kernel.factors
    correlate = CORRELATE.variant(A=scratch.dtype)
    height, row_taps, weights = bottom - top, np.flatnonzero(row), row[np.flatnonzero(row)].astype(scratch.dtype)
    one_row = np.zeros(row_taps.size, np.int64)

    def down(part: Weights, tile: Samples, table: Indices, out: Samples, start: int, pitch: int, length: int) -> None:
        taps = np.flatnonzero(part)
        correlate(
            tile, table, taps.size, taps, np.zeros(taps.size, np.int64), part[taps].astype(scratch.dtype),
            height, part.size, 1, out[start:], pitch, length,
        )  # fmt: skip

    def right_along(between: Samples, offsets: Indices, tap_offset: Indices, out: Samples, length: int) -> None:
        correlate(
            between, offsets, row_taps.size, one_row, tap_offset[row_taps], weights, height, 1, 0, out, length, length
        )

    yield from _two_passes(work, scratch, top, bottom, column, down, right_along)


def pooling(work: Work, scratch: Scratch, top: int, bottom: int) -> Sums:
    """Take the largest (or the sum) of each column's window, then of each row's."""
    operator = work.plan.stage.operator
    assert isinstance(operator, Pooling)
    if operator.kind == "average":
        yield from separable(work, scratch, top, bottom)
        return
    maximum, height = MAXIMUM.variant(A=scratch.dtype), bottom - top
    window = work.plan.cols.kernel

    def down(part: Weights, tile: Samples, table: Indices, out: Samples, start: int, pitch: int, length: int) -> None:
        taps = np.arange(part.size)
        maximum(tile, table, taps.size, taps, np.zeros_like(taps), height, part.size, out[start:], pitch, length)

    def right_along(between: Samples, offsets: Indices, tap_offset: Indices, out: Samples, length: int) -> None:
        maximum(between, offsets, window, np.zeros(window, np.int64), tap_offset, height, 1, out, length, length)

    yield from _two_passes(work, scratch, top, bottom, np.ones(operator.size[0]), down, right_along, all_taps=True)


def _two_passes(
    work: Work,
    scratch: Scratch,
    top: int,
    bottom: int,
    column: Weights,
    down: Callable[[Weights, Samples, Indices, Samples, int, int, int], None],
    right_along: Callable[[Samples, Indices, Indices, Samples, int], None],
    all_taps: bool = False,
) -> Sums:
    """Run ``down`` over all columns of a block, in tiles that stay in cache, and ``right_along`` over its rows."""
    channels, height = work.source.channels, bottom - top
    columns = columns_for(work.plan.cols, work.col_index, 0, work.plan.cols.output)
    between_pitch = columns.count * channels
    between = scratch.get("between", height * between_pitch)
    between[: height * between_pitch] = 0
    tap_rows = column.size if all_taps else TAP_ROWS
    for first in range(0, column.size, tap_rows):
        part = column[first : first + tap_rows]
        rows, table = work.rows_for(top, bottom, first, first + part.size)
        for left in range(0, columns.count, work.tile_cols):
            some = columns.part(left, min(left + work.tile_cols, columns.count))
            tile, pitch = work.source.load(scratch, "tile", rows, some)
            down(part, tile, table * pitch, between, left * channels, between_pitch, pitch)
    tap_offset = columns.tap_offset * channels
    for left, right in work.tiles():
        length = (right - left) * channels
        sums = scratch.get("sums", height * length)
        offsets = np.arange(height) * between_pitch + left * channels
        right_along(between, offsets, tap_offset, sums, length)
        yield Region(top, bottom, left, right), sums, length


def gradient(work: Work, scratch: Scratch, top: int, bottom: int) -> Sums:
    """Take the magnitude of both derivatives in one pass over the eight neighbours."""
    operator = work.plan.stage.operator
    assert isinstance(operator, Gradient)
    assert operator.x.factors is not None
    side, centre, _ = (float(weight) for weight in operator.x.factors[0])
    magnitude, channels, height = MAGNITUDE.variant(A=scratch.dtype), work.source.channels, bottom - top
    rows, table = work.rows_for(top, bottom, 0, 3)
    for left, right in work.tiles():
        columns = columns_for(work.plan.cols, work.col_index, left, right)
        length = (right - left) * channels
        tile, pitch = work.source.load(scratch, "tile", rows, columns)
        sums = scratch.get("sums", height * length)
        magnitude(
            tile, table * pitch, *(int(offset) for offset in columns.tap_offset * channels),
            side, centre, height, sums, length, length,
        )  # fmt: skip
        yield Region(top, bottom, left, right), sums, length


#: Output rows that a running sum moves down between two passes along the rows.
_BOX_STEP_ROWS = 16


def box(work: Work, scratch: Scratch, top: int, bottom: int) -> Sums:
    """Sum a window of ones by running sums, down the columns and along the rows."""
    rows_axis, cols_axis, channels = work.plan.rows, work.plan.cols, work.source.channels
    run_down, run_right = RUN_DOWN.variant(A=scratch.dtype), RUN_RIGHT.variant(A=scratch.dtype)
    columns = _unordered_columns(work)
    pitch = columns.count * channels
    total = scratch.get("total", pitch)
    _first_window(work, scratch, columns, top, total, pitch)
    for first in range(top, bottom, _BOX_STEP_ROWS):
        last = min(first + _BOX_STEP_ROWS, bottom)
        height = last - first
        between = scratch.get("between", height * pitch)
        moved = height
        if first == top:
            between[:pitch] = total[:pitch]
            moved -= 1
        if moved:
            leaving_rows = np.arange((last - moved - 1) * rows_axis.stride, (last - 1) * rows_axis.stride)
            leaving, _ = work.source.load(scratch, "leaving", work.row_index[leaving_rows], columns)
            entering, _ = work.source.load(scratch, "tile", work.row_index[leaving_rows + rows_axis.kernel], columns)
            skipped = (height - moved) * pitch
            run_down(total, entering, leaving, pitch, moved, rows_axis.stride, between[skipped:], pitch, pitch)
        length = cols_axis.output * channels
        sums = scratch.get("sums", height * length)
        run_right(between, pitch, height, cols_axis.kernel, cols_axis.stride, channels, sums, length, cols_axis.output)
        yield Region(first, last, 0, cols_axis.output), sums, length


def _unordered_columns(work: Work) -> Columns:
    """Lay out every column in its own order: running sums pass over all of them, whatever the stride."""
    every = replace(work.plan.cols, stride=1)
    return columns_for(every, work.col_index, 0, work.plan.cols.padded - work.plan.cols.span)


def _first_window(work: Work, scratch: Scratch, columns: Columns, top: int, total: Samples, pitch: int) -> None:
    """Sum the rows of the window of output row ``top``."""
    correlate = CORRELATE.variant(A=scratch.dtype)
    total[:pitch] = 0
    start = top * work.plan.rows.stride
    for first in range(0, work.plan.rows.kernel, _BOX_STEP_ROWS):
        last = min(first + _BOX_STEP_ROWS, work.plan.rows.kernel)
        tile, _ = work.source.load(scratch, "tile", work.row_index[start + first : start + last], columns)
        taps, zeros = np.arange(last - first), np.zeros(last - first, np.int64)
        ones = np.ones(taps.size, scratch.dtype)
        correlate(tile, taps * pitch, taps.size, taps, zeros, ones, 1, 0, 1, total, pitch, pitch)


WAYS: dict[str, Way] = {
    "direct": direct,
    "separable": separable,
    "box": box,
    "gradient": gradient,
    "pooling": pooling,
}
