"""Canny's edges: reach, blocks, cost and memory."""

from __future__ import annotations

from convfilter.filters.operators import Canny
from convfilter.planning.method import Grid, Method, grid_of_pictures, unsplit
from convfilter.planning.stage_plan import StagePlan
from convfilter.planning.task import Task

#: Least rows of a block, and its least height in radii: each block smooths the rows around it again.
_LEAST_ROWS, _LEAST_RADII = 64, 4


def _block_rows(task: Task) -> int:
    """Return the rows of ridges in one block."""
    return max(_LEAST_ROWS, _LEAST_RADII * (task.rows.kernel // 2))


def _cost(task: Task) -> float:
    """Return the multiply-adds of one sample: smoothing along both axes, two gradients, their magnitude."""
    operator = task.stage.operator
    assert isinstance(operator, Canny)
    return 2.0 * (2 * operator.reach + 1) + 20.0


def _scratch_bytes(plan: StagePlan, _task: Task) -> int:
    """Return the approximate bytes of one thread: smoothed rows and their gradients."""
    return 5 * 8 * (plan.block_rows + plan.rows.kernel) * (plan.cols.input + plan.cols.kernel) * plan.channels


def _grid(plan: StagePlan) -> Grid:
    operator = plan.stage.operator
    assert isinstance(operator, Canny)
    return grid_of_pictures(plan) if operator.only_ridges else unsplit(plan)  # edges wind through the picture


CANNY = Method(
    "canny",
    _cost,
    block_rows=_block_rows,
    grid=_grid,
    scratch_bytes=_scratch_bytes,
)
