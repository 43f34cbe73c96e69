"""Compass edges: the largest of several sums."""

from __future__ import annotations

from convfilter.filters.operators import Compass
from convfilter.planning.method import Method
from convfilter.planning.precision import sums_fit
from convfilter.planning.task import Task


def _cost(task: Task) -> float:
    operator = task.stage.operator
    assert isinstance(operator, Compass)
    return float(sum(kernel.nonzeros for kernel in operator.kernels))


def _fits_single(task: Task) -> bool:
    """Whether the sums may be float32, as real results of a single kernel are; not if that would round exact ones."""
    return sums_fit(task) if task.is_exact else True


COMPASS = Method("compass", _cost, fits_single=_fits_single, passes=lambda plan: ((plan.kernel.matrix.ravel(),),))
