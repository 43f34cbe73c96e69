"""The bilateral filter: cost, blocks and memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from convfilter.filters.operators import Bilateral
from convfilter.planning.method import Method, grid_of_samples
from convfilter.planning.task import Task

if TYPE_CHECKING:
    from convfilter.planning.stage_plan import StagePlan

#: Approximate samples of a tile.
_TILE_SAMPLES = 2**18
#: Least and most rows of a block: each block reads the rows of a window again.
_LEAST_ROWS, _MOST_ROWS = 16, 64
#: Largest ``sigma_range`` whose square float32 holds, with a margin.
_LARGEST_SIGMA = 1e15
#: Cost of a weight, in multiply-adds: the distance of two colours, and a power of two.
_WEIGHT_COST = 16.0


def _cost(task: Task) -> float:
    """Return the multiply-adds of one sample: a weight serves all channels of a pixel."""
    return task.kernel.nonzeros * (2.0 + _WEIGHT_COST / (task.channels - task.alpha))


def _block_rows(task: Task) -> int:
    """Return the output rows of one block."""
    rows = task.rows
    fitting = _TILE_SAMPLES // (task.cols.padded * task.channels * rows.stride)
    return max(_LEAST_ROWS, min(_MOST_ROWS, fitting), -(-rows.span // (2 * rows.stride)))


def _scratch_bytes(plan: StagePlan, _task: Task) -> int:
    """Return the approximate bytes of one thread: the tile, its planes (alpha takes two), and the means."""
    cols = plan.cols.output * plan.cols.stride + plan.cols.span
    tile = (plan.block_rows * plan.rows.stride + plan.rows.span) * cols
    outputs = plan.block_rows * plan.cols.output * plan.channels
    return np.dtype(plan.precision).itemsize * (tile * (2 * plan.channels + 2) + 3 * outputs)


def _fits_single(task: Task) -> bool:
    """Whether float32 holds the squares of colours near ``sigma_range``; differences from the centre are summed."""
    operator = task.stage.operator
    assert isinstance(operator, Bilateral)
    return operator.sigma_range <= _LARGEST_SIGMA


BILATERAL = Method(
    "bilateral",
    _cost,
    block_rows=_block_rows,
    grid=grid_of_samples,
    scratch_bytes=_scratch_bytes,
    fits_single=_fits_single,
)
