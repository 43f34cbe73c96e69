"""The bilateral filter: weights of distance and of colour for each tap."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from convfilter.planning.method import Method
from convfilter.planning.task import Task

if TYPE_CHECKING:
    from convfilter.planning.stage_plan import StagePlan

#: Samples of a tile, about; and rows of a block, at least and at most: each block reads those of a window again.
_TILE_SAMPLES = 2**18
_LEAST_ROWS, _MOST_ROWS = 16, 64
#: Cost of the distance of two colours and its power of two, in multiply-adds for each tap of a pixel.
_WEIGHT = 16.0


def _cost(task: Task) -> float:
    """Return the multiply-adds of one sample: a weight serves all channels of a pixel."""
    return task.kernel.nonzeros * (2.0 + _WEIGHT / (task.channels - task.alpha))


def _block_rows(task: Task) -> int:
    """Return how many output rows are computed at a time."""
    rows = task.rows
    fitting = _TILE_SAMPLES // (task.cols.padded * task.channels * rows.stride)
    return max(_LEAST_ROWS, min(_MOST_ROWS, fitting), -(-rows.span // (2 * rows.stride)))


def _scratch_bytes(plan: StagePlan, _task: Task) -> int:
    """Return the memory of one thread, about: the tile, its planes with two for alpha, and means."""
    cols = plan.cols.output * plan.cols.stride + plan.cols.span
    tile = (plan.block_rows * plan.rows.stride + plan.rows.span) * cols
    outputs = plan.block_rows * plan.cols.output * plan.channels
    return np.dtype(plan.precision).itemsize * (tile * (2 * plan.channels + 2) + 3 * outputs)


BILATERAL = Method("bilateral", _cost, block_rows=_block_rows, has_own_blocks=True, scratch_bytes=_scratch_bytes)
