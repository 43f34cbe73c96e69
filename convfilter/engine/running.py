"""Window sums that move on by what enters and what leaves: boxes of any size at one cost."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from convfilter.engine.native import Loop
from convfilter.engine.passes import Taps, Target, weighted_sums
from convfilter.engine.tiles import Columns, Samples, Scratch, columns_for
from convfilter.engine.work import Block, Region, Sums, Work
from convfilter.planning.plan import BOX_STEP_ROWS, BOX_STEP_SAMPLES

RUN_DOWN = Loop("box", "run_down", "A* A* A* i8 i8 i8 A* i8 i8")
RUN_RIGHT = Loop("box", "run_right", "A* i8 i8 i8 i8 i8 A* i8 i8")


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
