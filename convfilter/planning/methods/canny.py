"""Canny's edges: reach, blocks, cost and memory."""

from __future__ import annotations

from convfilter.filters.operators import Canny
from convfilter.planning.arithmetic import AxisPlan
from convfilter.planning.method import Grid, Method, grid_of_pictures, unsplit
from convfilter.planning.stage_plan import StagePlan
from convfilter.planning.task import Task

#: Least rows of a block, and its least height in radii: each block smooths the rows around it again.
_LEAST_ROWS, _LEAST_RADII = 64, 4


def canny_block_rows(rows: AxisPlan) -> int:
    """Return the rows of ridges in one block."""
    return max(_LEAST_ROWS, _LEAST_RADII * (rows.kernel // 2))


def _cost(task: Task) -> float:
    """Return the multiply-adds of one sample: smoothing along both axes, two gradients, their magnitude."""
    operator = task.stage.operator
    assert isinstance(operator, Canny)
    return 2.0 * (2 * operator.reach + 1) + 20.0


def _scratch_bytes(_plan: StagePlan, task: Task) -> int:
    """Return the approximate bytes of one thread: smoothed rows and their gradients."""
    return (
        5 * 8 * (canny_block_rows(task.rows) + task.rows.kernel) * (task.cols.input + task.cols.kernel) * task.channels
    )


def _grid(plan: StagePlan) -> Grid:
    operator = plan.stage.operator
    assert isinstance(operator, Canny)
    return grid_of_pictures(plan) if operator.only_ridges else unsplit(plan)  # edges wind through the picture


CANNY = Method(
    "canny",
    _cost,
    block_rows=lambda task: canny_block_rows(task.rows),
    grid=_grid,
    scratch_bytes=_scratch_bytes,
)
