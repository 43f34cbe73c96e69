"""The guided filter: lines from guide to picture, by running sums."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from convfilter.filters.stage import Guided
from convfilter.planning.method import Method
from convfilter.planning.task import Task

if TYPE_CHECKING:
    from convfilter.planning.stage_plan import StagePlan

#: Rows of a block, at least, and in windows of windows: each block reads those around it again.
_ROWS, _WINDOWS = 64, 1.5
#: Sums of a window's samples, and prefix sums along the row, with a guide of three colours.
_SUMS = 26


def _cost(task: Task) -> float:
    """Return the multiply-adds of one output, whatever the radius: sums down and along, lines, and their means.

    The rows and columns that the stride drops are computed, too, unless no window reaches them from an output.
    """
    operator = task.stage.operator
    assert isinstance(operator, Guided)
    computed = min(task.rows.stride, task.rows.kernel) * task.cols.stride
    return computed * (160.0 if _planes(operator) == _COLOURS else 40.0)


def _block_rows(task: Task) -> int:
    """Return how many output rows are computed at a time."""
    return -(-max(_ROWS, int(_WINDOWS * (task.rows.span + 1))) // task.rows.stride)


def _scratch_bytes(plan: StagePlan, _task: Task) -> int:
    """Return the approximate memory of one thread: loaded rows, their planes, lines, and sums."""
    operator = plan.stage.operator
    assert isinstance(operator, Guided)
    planes = _planes(operator)
    axis, radius = plan.rows, operator.radius
    stored = min(plan.block_rows, axis.output)
    outputs = min(-(-stored * axis.stride // axis.dilation), axis.input)
    lines = min(outputs + 2 * radius, axis.input)
    # Rows that are a dilation apart make a run, which reads the rows of a window more; padding begins other runs.
    runs = min(axis.dilation, lines, 3 if radius * axis.dilation <= axis.input else lines)
    rows = lines + 2 * radius * runs
    cols = plan.cols.input + 4 * radius * min(plan.cols.dilation, plan.cols.input)
    loaded = plan.channels + (0 if operator.guide is None else planes)
    samples = rows * cols * (2 * loaded + planes + 1) + (outputs + stored) * cols * plan.channels
    return np.dtype(np.float64).itemsize * (samples + _SUMS * cols)


#: Of a guide that is no grey picture.
_COLOURS = 3


def _planes(operator: Guided) -> int:
    """Return the channels of a guide; those of a file are not known yet."""
    if operator.guide is None:
        return 1
    return _COLOURS if isinstance(operator.guide, str) else operator.guide.shape[2]


GUIDED = Method("guided", _cost, block_rows=_block_rows, has_own_blocks=True, scratch_bytes=_scratch_bytes)
