"""The ways to compute a stage, block by block: each yields sums over regions of the output.

Every way is a generator of (region, sums, pitch) for one block of output rows;
what becomes of the sums (division, rounding, storing) is the same for all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol, TypeAlias

import numpy as np

from convfilter.engine.borders import Indices, index_map
from convfilter.engine.native import Loop
from convfilter.engine.passes import Taps, Target, Window, maxima, weighted_sums
from convfilter.engine.tiles import Columns, Samples, Scratch, Source, columns_for, distinct_rows
from convfilter.filters.kernels import Weights
from convfilter.filters.stage import Gradient, Pooling
from convfilter.planning import is_fused
from convfilter.planning.plan import (
    BOX_STEP_ROWS,
    BOX_STEP_SAMPLES,
    TAP_ROWS,
    StagePlan,
    band_cols,
    part_cols,
    tile_cols,
)

MAGNITUDE = Loop("gradient", "magnitude", "A* i8* i8 i8 i8 A A i8 A* i8 i8")
RUN_DOWN = Loop("box", "run_down", "A* A* A* i8 i8 i8 A* i8 i8")
RUN_RIGHT = Loop("box", "run_right", "A* i8 i8 i8 i8 i8 A* i8 i8")


class Region(NamedTuple):
    """A rectangle of the output: rows ``top`` to ``bottom - 1``, columns ``left`` to ``right - 1``."""

    top: int
    bottom: int
    left: int
    right: int


Sums: TypeAlias = Iterator[tuple[Region, Samples, int]]
#: Computes output rows ``top`` to ``bottom - 1``.
Block: TypeAlias = Callable[[int, int], Sums]


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
        return tile_cols(self.plan.cols, self.source.channels)

    def rows_for(self, top: int, bottom: int, first_tap: int, last_tap: int) -> tuple[Indices, Indices]:
        """Return the source rows that some taps of some outputs need, and a table of their places.

        The table has one line of ``last_tap - first_tap`` places for each output row.
        """
        axis = self.plan.rows
        places = np.arange(top, bottom)[:, np.newaxis] * axis.stride + np.arange(first_tap, last_tap) * axis.dilation
        return distinct_rows(self.row_index[places], axis.input)

    def tiles(self, first: int = 0, last: int | None = None) -> Iterator[tuple[int, int]]:
        """Cut the output's width, or a part of it: pairs of first and last-plus-one column."""
        last = self.plan.cols.output if last is None else last
        for left in range(first, last, self.tile_cols):
            yield left, min(left + self.tile_cols, last)

    def window(self, taps: Taps, rows: int) -> Window:
        """Return the window of a kernel (or of some ``rows`` of it) that slides down with the output rows."""
        stride, dilation = self.plan.rows.stride, self.plan.rows.dilation
        shift = 0 if stride % dilation else stride // dilation
        return Window(taps, rows, shift, self.plan.precision, finite=self.source.is_finite)

    def sums(self, scratch: Scratch, region: Region) -> Target:
        """Return where the sums of a region go: a compact tile."""
        rows, length = region.bottom - region.top, (region.right - region.left) * self.source.channels
        return Target(scratch.get("sums", rows * length), 0, length, rows, length)


Way: TypeAlias = Callable[[Work, Scratch], Block]


def direct(work: Work, scratch: Scratch) -> Block:
    """Sum every nonzero tap of a 2-D kernel."""
    matrix, channels = work.plan.kernel.matrix, work.source.channels
    parts = [matrix[first : first + TAP_ROWS] for first in range(0, matrix.shape[0], TAP_ROWS)]
    tiles = []
    for left, right in work.tiles():
        columns = columns_for(work.plan.cols, work.col_index, left, right)
        col = columns.tap_offset * channels
        tiles.append((left, right, columns, [work.window(Taps.of(part, col), part.shape[0]) for part in parts]))

    def block(top: int, bottom: int) -> Sums:
        rows = [
            work.rows_for(top, bottom, TAP_ROWS * number, TAP_ROWS * number + part.shape[0])
            for number, part in enumerate(parts)
        ]
        for left, right, columns, windows in tiles:
            region = Region(top, bottom, left, right)
            target = work.sums(scratch, region)
            for number, ((picked, table), window) in enumerate(zip(rows, windows, strict=True)):
                tile, pitch = work.source.load(scratch, "tile", picked, columns)
                window.sums(tile, table * pitch, target, add=number > 0)
            yield region, target.buffer, target.pitch

    return block


def separable(work: Work, scratch: Scratch) -> Block:
    """Sum down the columns, then along the rows, for each product of a column and a row that makes up the kernel."""
    passes = [_SumPasses(work, column, row) for column, row in work.plan.products]
    return _two_passes(work, scratch, passes)


def pooling(work: Work, scratch: Scratch) -> Block:
    """Take the largest (or the sum) of each column's window, then of each row's."""
    operator = work.plan.stage.operator
    assert isinstance(operator, Pooling)
    if operator.kind == "average":
        return separable(work, scratch)
    passes = _MinimumPasses(work) if operator.kind == "min" else _MaximumPasses(work)
    return _two_passes(work, scratch, [passes], tap_rows=operator.size[0])


class _Passes(Protocol):
    """A pass down the columns of a tile, and one along rows; ``number`` counts the parts of a tall window."""

    def down(self, tile: Samples, row_offset: Indices, number: int, target: Target) -> None: ...

    def along(self, tile: Samples, row_offset: Indices, col: Indices, target: Target, add: bool) -> None: ...


class _SumPasses:
    def __init__(self, work: Work, column: Weights, row: Weights) -> None:
        parts = (column[first : first + TAP_ROWS] for first in range(0, column.size, TAP_ROWS))
        self._windows = [work.window(Taps.down(part), part.size) for part in parts]
        self._keep = np.flatnonzero(row)
        self._row = row[self._keep].astype(work.plan.precision)

    def down(self, tile: Samples, row_offset: Indices, number: int, target: Target) -> None:
        self._windows[number].sums(tile, row_offset, target, add=number > 0)

    def along(self, tile: Samples, row_offset: Indices, col: Indices, target: Target, add: bool) -> None:
        weighted_sums(tile, row_offset, Taps.along(col[self._keep], self._row), target, add=add)


class _MaximumPasses:
    def __init__(self, work: Work) -> None:
        self._down = Taps.down(np.ones(work.plan.rows.kernel))

    def down(self, tile: Samples, row_offset: Indices, _number: int, target: Target) -> None:
        maxima(tile, row_offset, self._down, target)

    def along(self, tile: Samples, row_offset: Indices, col: Indices, target: Target, add: bool) -> None:
        maxima(tile, row_offset, Taps.along(col, np.ones(col.size)), target)


class _MinimumPasses(_MaximumPasses):
    """The least sample is the largest of the negatives, with its sign turned back."""

    def down(self, tile: Samples, row_offset: Indices, number: int, target: Target) -> None:
        loaded = tile[: int(row_offset.max()) + target.length]  # the last row that is looked at, to its end
        np.negative(loaded, out=loaded)
        super().down(tile, row_offset, number, target)

    def along(self, tile: Samples, row_offset: Indices, col: Indices, target: Target, add: bool) -> None:
        super().along(tile, row_offset, col, target, add)
        for row in range(target.rows):
            start = target.start + row * target.pitch
            np.negative(target.buffer[start : start + target.length], out=target.buffer[start : start + target.length])


def _two_passes(work: Work, scratch: Scratch, passes: Sequence[_Passes], tap_rows: int = TAP_ROWS) -> Block:
    """Go down the columns of a block, then along its rows, band by band; the results are added."""
    bands = [
        _Band(work, left, min(left + width, work.plan.cols.output))
        for width in (band_cols(work.plan.cols, work.source.channels),)
        for left in range(0, work.plan.cols.output, width)
    ]
    taps = work.plan.rows.kernel

    def block(top: int, bottom: int) -> Sums:
        height = bottom - top
        for band in bands:
            between = [scratch.get(f"between {number}", height * band.pitch) for number in range(len(passes))]
            for number, first in enumerate(range(0, taps, tap_rows)):
                rows, table = work.rows_for(top, bottom, first, min(first + tap_rows, taps))
                for start, part in band.parts:
                    tile, length = work.source.load(scratch, "tile", rows, part)
                    for one, buffer in zip(passes, between, strict=True):
                        one.down(tile, table * length, number, Target(buffer, start, band.pitch, height, length))
            lines = np.arange(height)[:, np.newaxis] * band.pitch
            for left, right in work.tiles(band.left, band.right):
                region = Region(top, bottom, left, right)
                target = work.sums(scratch, region)
                offsets = lines + (left - band.left) * work.source.channels
                for number, (one, buffer) in enumerate(zip(passes, between, strict=True)):
                    one.along(buffer, offsets, band.col, target, number > 0)
                yield region, target.buffer, target.pitch

    return block


class _Band:
    """A band of output columns, and the source columns that it touches, in parts that stay in cache.

    Each part starts at a sample of a row that is ``pitch`` samples long.
    """

    def __init__(self, work: Work, left: int, right: int) -> None:
        channels = work.source.channels
        columns = columns_for(work.plan.cols, work.col_index, left, right)
        self.left, self.right, self.pitch = left, right, columns.count * channels
        self.col = columns.tap_offset * channels
        width = part_cols(channels)
        self.parts = [
            (first * channels, columns.part(first, min(first + width, columns.count)))
            for first in range(0, columns.count, width)
        ]


def gradient(work: Work, scratch: Scratch) -> Block:
    """Take the magnitude of both derivatives in one pass over the eight neighbours."""
    operator = work.plan.stage.operator
    assert isinstance(operator, Gradient)
    if not is_fused(work.plan.stage):
        return _any_gradient(work, scratch, operator)
    assert operator.x.factors is not None
    side, centre, _ = (float(weight) for weight in operator.x.factors[0])
    magnitude = MAGNITUDE.variant(A=scratch.dtype)
    tiles = [(left, right, columns_for(work.plan.cols, work.col_index, left, right)) for left, right in work.tiles()]

    def block(top: int, bottom: int) -> Sums:
        rows, table = work.rows_for(top, bottom, 0, 3)
        for left, right, columns in tiles:
            tile, pitch = work.source.load(scratch, "tile", rows, columns)
            region = Region(top, bottom, left, right)
            target = work.sums(scratch, region)
            offsets = (int(offset) for offset in columns.tap_offset * work.source.channels)
            magnitude(
                tile, table * pitch, *offsets, side, centre, target.rows, target.buffer, target.pitch, target.length
            )
            yield region, target.buffer, target.pitch

    return block


def _any_gradient(work: Work, scratch: Scratch, operator: Gradient) -> Block:
    """Sum with each of two kernels, tile by tile, and take the magnitude of both."""
    blocks = []
    for kernel, own in ((operator.x, scratch), (operator.y, Scratch(scratch.dtype))):
        way = direct if kernel.factors is None else separable
        products = () if kernel.factors is None else (kernel.factors,)
        part = replace(work, plan=replace(work.plan, kernel=kernel, products=products))
        blocks.append(way(part, own))

    def block(top: int, bottom: int) -> Sums:
        for (region, x, pitch), (_, y, _) in zip(blocks[0](top, bottom), blocks[1](top, bottom), strict=True):
            size = (region.bottom - region.top) * pitch
            np.hypot(x[:size], y[:size], out=x[:size])
            yield region, x, pitch

    return block


def box(work: Work, scratch: Scratch) -> Block:
    """Sum a window of ones by running sums, down the columns and along the rows."""
    columns = unordered_columns(work)
    return lambda top, bottom: _running_sums(work, scratch, columns, top, bottom)


def _running_sums(work: Work, scratch: Scratch, columns: Columns, top: int, bottom: int) -> Sums:
    rows_axis, cols_axis, channels = work.plan.rows, work.plan.cols, work.source.channels
    run_down, run_right = RUN_DOWN.variant(A=scratch.dtype), RUN_RIGHT.variant(A=scratch.dtype)
    pitch = columns.count * channels
    step = max(1, min(BOX_STEP_ROWS, BOX_STEP_SAMPLES // pitch) // rows_axis.stride)
    total = _first_window(work, scratch, columns, top)
    for first in range(top, bottom, step):
        last = min(first + step, bottom)
        between = scratch.get("between", (last - first) * pitch)
        moved = last - first
        if first == top:
            between[:pitch] = total[:pitch]
            moved -= 1
        if moved:
            leaving_rows = np.arange((last - moved - 1) * rows_axis.stride, (last - 1) * rows_axis.stride)
            leaving, _ = work.source.load(scratch, "leaving", work.row_index[leaving_rows], columns)
            entering, _ = work.source.load(scratch, "tile", work.row_index[leaving_rows + rows_axis.kernel], columns)
            below = between[(last - first - moved) * pitch :]
            run_down(total, entering, leaving, pitch, moved, rows_axis.stride, below, pitch, pitch)
        region = Region(first, last, 0, cols_axis.output)
        target = work.sums(scratch, region)
        run_right(
            between, pitch, target.rows, cols_axis.kernel, cols_axis.stride, channels,
            target.buffer, target.pitch, cols_axis.output,
        )  # fmt: skip
        yield region, target.buffer, target.pitch


def unordered_columns(work: Work) -> Columns:
    """Lay out every column in its own order: running sums pass over all of them, whatever the stride."""
    every = replace(work.plan.cols, stride=1)
    return columns_for(every, work.col_index, 0, work.plan.cols.padded - work.plan.cols.span)


def _first_window(work: Work, scratch: Scratch, columns: Columns, top: int) -> Samples:
    """Sum the rows of the window of output row ``top``."""
    length = columns.count * work.source.channels
    total = Target(scratch.get("total", length), 0, length, 1, length)
    total.clear()
    start = top * work.plan.rows.stride
    step = max(1, min(BOX_STEP_ROWS, BOX_STEP_SAMPLES // length))
    for first in range(start, start + work.plan.rows.kernel, step):
        rows = work.row_index[first : min(first + step, start + work.plan.rows.kernel)]
        tile, pitch = work.source.load(scratch, "tile", rows, columns)
        row_offset = np.arange(rows.size)[np.newaxis] * pitch
        weighted_sums(tile, row_offset, Taps.down(np.ones(rows.size)), total, add=True)
    return total.buffer
