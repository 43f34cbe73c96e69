"""Canny's edges: how far they look, and what that takes."""

from __future__ import annotations

from convfilter.filters.stage import Canny
from convfilter.planning.arithmetic import AxisPlan
from convfilter.planning.task import CANNY_SIGMAS, Task

#: Rows of a block, and in radii, since each smooths those around it once more.
_ROWS, _RADII = 64, 4


def radius_of(sigma: float) -> int:
    """Return the pixels on each side that a Gaussian reaches."""
    return int(CANNY_SIGMAS * sigma + 0.5)


def canny_block_rows(rows: AxisPlan) -> int:
    """Return how many rows of ridges are computed at a time."""
    return max(_ROWS, _RADII * (rows.kernel // 2))


def canny_cost(task: Task) -> float:
    """Return the multiply-adds of one sample: smoothing both ways, two gradients, their magnitude."""
    operator = task.stage.operator
    assert isinstance(operator, Canny)
    return 2.0 * (2 * radius_of(operator.sigma) + 1) + 20.0


def canny_bytes(task: Task) -> int:
    """Return the memory of one thread, about: what is smoothed, and its gradients."""
    return (
        5 * 8 * (canny_block_rows(task.rows) + task.rows.kernel) * (task.cols.input + task.cols.kernel) * task.channels
    )
