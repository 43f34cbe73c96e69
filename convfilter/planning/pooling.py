"""How pooling goes down the rows: blocks that windows begin and end in, stretches of work, and what that takes."""

from __future__ import annotations

from math import ceil, gcd, log2

import numpy as np

from convfilter.filters.stage import Operator, Pooling
from convfilter.planning.arithmetic import AxisPlan
from convfilter.planning.sample_types import is_whole, is_wide
from convfilter.planning.task import Task

#: Rows of a block, at most: the extremes of its ends are kept for each row of it, and should stay in a core's L2 cache.
_BLOCK = 32
#: Outputs of one stretch of work, at least, so that few are begun; and in windows, since a stretch begins with one.
_STRETCH = 128
_STRETCH_WINDOWS = 4
#: Means of real samples over windows of up to so many rows and columns together are summed tap by tap: measured.
SUMMED_TAPS = 64
#: Running sums of whole numbers are kept in 32 bits, with a sign.
LARGEST_SUM = 2**31 - 1
#: Rows that lie between two steps where the extremes are not stored as they are, at least if windows are small,
BETWEEN_ROWS = 32
#: and their samples, at most.
_BETWEEN = 2**19


def blocks_of(rows: AxisPlan) -> tuple[int, int]:
    """Return how many rows a block has, and how many whole blocks a window spans.

    A window that begins in one block ends in another, so many further, or in
    the one behind that. No blocks: all rows of a window are compared.
    """
    step = _step(rows)
    # Comparing all rows takes ``kernel - 1`` of them; running extremes two for each step, and one to put them together.
    if rows.kernel - 1 <= 2 * step + 1:
        return 1, 0
    blocks = -(-rows.kernel // _BLOCK)
    return rows.kernel // blocks, blocks


def stretch_of(rows: AxisPlan) -> int:
    """Return how many output rows to compute in one go: whole blocks, and enough to make up for the first window."""
    block, blocks = blocks_of(rows)
    wanted = max(_STRETCH, _STRETCH_WINDOWS * rows.kernel if blocks > 1 else 0)
    windows = -(-wanted // block) * block
    stretch = windows // _step(rows) * (rows.dilation // gcd(rows.stride, rows.dilation))
    # A quarter of the picture at most, so that two threads end at about the same time.
    return max(1, min(stretch, -(-rows.output // 4)))


def rows_between(rows: AxisPlan, cols: AxisPlan, channels: int) -> int:
    """Return how many rows of results are kept before they are scaled, divided by alpha, or stored as another type.

    As few as fit a cache, but no fewer than a window steps over: each time, all rows of a window are loaded again.
    """
    wanted = max(BETWEEN_ROWS, -(-rows.span // rows.stride))
    return max(1, min(wanted, _BETWEEN // (cols.padded * channels)))


def comparisons(rows: AxisPlan, cols: AxisPlan) -> float:
    """Return how many comparisons, or additions, one output sample takes."""
    block, blocks = blocks_of(rows)
    step = _step(rows)
    down = rows.kernel - 1.0 if blocks == 0 else step * (2 + max(0, blocks - 2) / block) + min(blocks, 2)
    doublings = ceil(log2(cols.kernel))
    return cols.stride * (down + doublings)


def pooling_bytes(task: Task, itemsize: int, tile_samples: int) -> int:
    """Return the memory of one thread, where loaded samples take ``itemsize`` and come in tiles."""
    rows, cols, channels = task.rows, task.cols, task.channels
    block, blocks = blocks_of(rows)
    lines = block + max(1, blocks) + 2
    if goes_straight(task) and not takes_extremes(task.stage.operator):
        return 16 * (cols.padded + cols.input) * channels
    if goes_straight(task):
        samples = channels * (lines * min(cols.input, cols.padded - cols.before) + 2 * cols.padded)
        return samples * task.dtype.itemsize
    between = rows_between(rows, cols, channels)
    loaded = min(between * rows.stride + rows.span + 1, rows.input + 1)
    part = min(tile_samples, cols.padded * channels)
    return itemsize * ((lines + loaded) * part + (between + BETWEEN_ROWS + 2) * cols.padded * channels)


def goes_straight(task: Task) -> bool:
    """Whether one loop goes from source rows to output rows: extremes, and means of whole numbers, kept as they are."""
    if takes_extremes(task.stage.operator):
        return task.keeps_samples and are_compared(task.dtype)
    narrow = is_whole(task.dtype) and not is_wide(task.dtype)
    return task.keeps_samples and narrow and task.kernel.absolute_sum * task.largest_term <= LARGEST_SUM


def are_compared(dtype: np.dtype[np.generic]) -> bool:
    """Whether samples are compared in their own type; others are loaded as real numbers first."""
    return not (is_whole(dtype) and is_wide(dtype))


def is_summed_by_taps(task: Task) -> bool:
    """Whether means are sums of single taps, because that takes less time than sums of blocks."""
    if takes_extremes(task.stage.operator) or goes_straight(task):
        return False
    return task.rows.kernel + task.cols.kernel <= SUMMED_TAPS


def takes_extremes(operator: Operator) -> bool:
    """Whether the operator asks for the largest or least sample of a window."""
    return isinstance(operator, Pooling) and operator.kind != "average"


def _step(rows: AxisPlan) -> int:
    """Return how many of a window's places leave until the next: a dilated window has neighbours of its own."""
    return rows.stride // gcd(rows.stride, rows.dilation)
