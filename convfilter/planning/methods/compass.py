"""Compass edges: the largest of several sums."""

from __future__ import annotations

from convfilter.filters.operators import Compass
from convfilter.planning.method import Method
from convfilter.planning.task import Task


def _cost(task: Task) -> float:
    operator = task.stage.operator
    assert isinstance(operator, Compass)
    return float(sum(kernel.nonzeros for kernel in operator.kernels))


COMPASS = Method("compass", _cost, passes=lambda plan: ((plan.kernel.matrix.ravel(),),))
