"""Boxes: running sums of integers."""

from __future__ import annotations

import numpy as np

from convfilter.planning.method import Method, grid_of_samples
from convfilter.planning.stage_plan import StagePlan
from convfilter.planning.strips import INTERLEAVED_ROWS
from convfilter.planning.task import Task

#: Most source rows that running sums advance between two horizontal passes, and most samples of them.
PASS_ROWS = 16
PASS_SAMPLES = 2**19


def _can(task: Task) -> bool:
    # Running sums of real numbers would carry the rounding of one window into the next.
    has_integer_sums = task.is_linear and task.is_exact and task.accuracy != "float64"
    return has_integer_sums and task.kernel.is_box and task.stage.dilation == (1, 1)


def box_cost(task: Task) -> float:
    """Return the additions of running sums, for one output sample."""
    return 2.0 * task.rows.stride * task.cols.stride + 2.0 * task.cols.stride


def _scratch_bytes(plan: StagePlan, _task: Task) -> int:
    """Return the bytes of rows that enter and leave the window, rows between the two passes, and running sums."""
    samples = plan.cols.padded * plan.channels
    return np.dtype(plan.precision).itemsize * samples * (3 * max(1, min(PASS_ROWS, PASS_SAMPLES // samples)) + 2)


BOX = Method(
    "box",
    box_cost,
    _can,
    unit_rows=lambda _plan: 2 * INTERLEAVED_ROWS,
    grid=grid_of_samples,
    scratch_bytes=_scratch_bytes,
)
