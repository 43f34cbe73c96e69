"""Pooling: extremes by van Herk blocks; means by running sums, by sums of blocks, or tap by tap."""

from __future__ import annotations

from math import ceil, gcd, log2

import numpy as np

from convfilter.planning.arithmetic import AxisPlan
from convfilter.planning.method import Cascade, Grid, Method, even, grid_of_samples, window_bytes
from convfilter.planning.methods.box import box_cost
from convfilter.planning.methods.stencil import separable_cost
from convfilter.planning.precision import samples_fit, sums_fit
from convfilter.planning.stage_plan import StagePlan
from convfilter.planning.strips import INTERLEAVED_ROWS, tap_rows_of_products, whole_vectors
from convfilter.planning.task import Task
from convfilter.sample_types import is_integer, is_wide

#: Most rows of a van Herk block: running extremes from both ends are stored for each row and stay in the L2 cache.
_BLOCK = 32
#: Least outputs of one pass down the rows, and its least height in windows: each pass starts with a whole window.
_PASS_ROWS = 128
_PASS_WINDOWS = 4
#: Means of real samples over windows of up to this many taps are summed tap by tap: measured.
SUMMED_TAPS = 64
#: Samples of a row of one tile: its scratch fits a core's L2 cache.
TILE_SAMPLES = 2112
#: Running sums of integers are signed 32-bit numbers.
LARGEST_SUM = 2**31 - 1
#: Rows that are buffered between extremes and epilogue, where the extremes are not stored directly; more for windows
#: with a taller step.
BETWEEN_ROWS = 32
#: Most samples of these rows.
_BETWEEN_SAMPLES = 2**19


def blocks_of(rows: AxisPlan) -> tuple[int, int]:
    """Return the rows of a block and the number of whole blocks that a window spans.

    A window that begins in one block ends that many blocks further, or in the block after. (1, 0): all rows of a
    window are compared.
    """
    step = _step(rows)
    # Comparing all rows takes ``kernel - 1`` comparisons; running extremes take two for each step, and one to combine.
    if rows.kernel - 1 <= 2 * step + 1:
        return 1, 0
    blocks = -(-rows.kernel // _BLOCK)
    return rows.kernel // blocks, blocks


def pass_rows_of(rows: AxisPlan) -> int:
    """Return the output rows of one pass: whole blocks, enough to outweigh the first window."""
    block, blocks = blocks_of(rows)
    least = max(_PASS_ROWS, _PASS_WINDOWS * rows.kernel if blocks > 1 else 0)
    windows = -(-least // block) * block
    pass_rows = windows // _step(rows) * (rows.dilation // gcd(rows.stride, rows.dilation))
    # At most a quarter of the picture, so that two threads end at about the same time.
    return max(1, min(pass_rows, -(-rows.output // 4)))


def rows_between(rows: AxisPlan, cols: AxisPlan, channels: int) -> int:
    """Return the result rows that are buffered before the epilogue scales, unpremultiplies or converts them.

    They fit a cache if possible, but are at least as many as a window has: each time, all rows of a window are loaded
    again.
    """
    least = max(BETWEEN_ROWS, -(-rows.span // rows.stride))
    return max(1, min(least, _BETWEEN_SAMPLES // (cols.padded * channels)))


def comparisons(rows: AxisPlan, cols: AxisPlan) -> float:
    """Return the comparisons or additions for one output sample."""
    block, blocks = blocks_of(rows)
    step = _step(rows)
    down = rows.kernel - 1.0 if blocks == 0 else step * (2 + max(0, blocks - 2) / block) + min(blocks, 2)
    doublings = ceil(log2(cols.kernel))
    return cols.stride * (down + doublings)


def _scratch_bytes(plan: StagePlan, task: Task) -> int:
    if plan.by_taps:
        return window_bytes(plan, task)
    itemsize = np.dtype(plan.precision).itemsize
    rows, cols, channels = task.rows, task.cols, task.channels
    block, blocks = blocks_of(rows)
    lines = block + max(1, blocks) + 2
    takes = task.stage.operator.selects
    if stores_directly(task) and not takes:
        return 16 * (cols.padded + cols.input) * channels
    between = rows_between(rows, cols, channels)
    if takes and compares_stored(task.dtype) and not (task.alpha or task.gray or is_wide(task.result)):
        samples = lines * min(cols.input, cols.padded - cols.before) + 2 * cols.padded
        if not stores_directly(task):
            samples += between * cols.output
        return samples * channels * task.dtype.itemsize
    loaded = min(between * rows.stride + rows.span + 1, rows.input + 1)
    part = min(TILE_SAMPLES, cols.padded * channels)
    return itemsize * ((lines + loaded) * part + (between + BETWEEN_ROWS + 2) * cols.padded * channels)


def stores_directly(task: Task) -> bool:
    """Whether one loop reads source rows and writes output rows: extremes or integer means, stored directly."""
    if task.stage.operator.selects:
        return task.preserves_samples and compares_stored(task.dtype)
    narrow = is_integer(task.dtype) and not is_wide(task.dtype)
    return task.preserves_samples and narrow and task.kernel.absolute_sum * task.largest_term <= LARGEST_SUM


def compares_stored(dtype: np.dtype[np.generic]) -> bool:
    """Whether samples are compared in their own type; other types are converted to float64 first."""
    return not (is_integer(dtype) and is_wide(dtype))


def is_summed_by_taps(task: Task) -> bool:
    """Whether means are summed tap by tap, because that is faster than sums of blocks."""
    if task.stage.operator.selects or stores_directly(task):
        return False
    return task.rows.kernel + task.cols.kernel <= SUMMED_TAPS


def _step(rows: AxisPlan) -> int:
    """Return the stride between windows of one dilation phase, in rows of that phase: S / gcd(S, D)."""
    return rows.stride // gcd(rows.stride, rows.dilation)


def piece_cols(channels: int) -> int:
    """Return the source columns of one load: whole vectors, so that only the last load of a row has a tail."""
    return whole_vectors(TILE_SAMPLES // channels)


def _cost(task: Task) -> float:
    if task.stage.operator.selects:
        return comparisons(task.rows, task.cols)
    if stores_directly(task):
        return box_cost(task)
    return separable_cost(task) if is_summed_by_taps(task) else comparisons(task.rows, task.cols)


def _block_rows(task: Task) -> int:
    return 0 if task.stage.operator.selects or is_summed_by_taps(task) else pass_rows_of(task.rows)


def _unit_rows(plan: StagePlan) -> int:
    return INTERLEAVED_ROWS if plan.by_taps else rows_between(plan.rows, plan.cols, plan.channels)


def _fits_single(task: Task) -> bool:
    return samples_fit(task) if task.stage.operator.selects else sums_fit(task)


def _grid(plan: StagePlan) -> Grid:
    if plan.exact:
        return grid_of_samples(plan)
    if plan.by_taps:
        return Grid()
    # Sums of real samples are differences of sums along the whole row.
    return Grid(pass_rows_of(plan.rows), 1 if plan.stage.operator.selects else 0)


def _passes(plan: StagePlan) -> tuple[Cascade, ...]:
    return () if plan.stage.operator.selects else (even(plan.kernel.nonzeros),)


POOLING = Method(
    "pooling",
    _cost,
    block_rows=_block_rows,
    unit_rows=_unit_rows,
    grid=_grid,
    scratch_bytes=_scratch_bytes,
    tap_rows=lambda plan: tap_rows_of_products(plan) if plan.by_taps else None,
    by_taps=is_summed_by_taps,
    fits_single=_fits_single,
    passes=_passes,
)
