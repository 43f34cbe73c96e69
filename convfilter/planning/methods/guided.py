"""The guided filter: cost, blocks and memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from convfilter.filters.operators import Guided
from convfilter.planning.method import Grid, Method, unsplit
from convfilter.planning.task import Task

if TYPE_CHECKING:
    from convfilter.planning.stage_plan import StagePlan

#: Least rows of a block, and its least height in windows: each block reads the rows around it again.
_LEAST_ROWS, _LEAST_WINDOWS = 64, 1.5
#: Sums of a window's samples, and prefix sums along the row, with a guide of three colours.
_SUMS = 26


def _cost(task: Task) -> float:
    """Return the multiply-adds of one output, the same for any radius: sums down and along, lines, and their means.

    The lines of rows and columns that the stride drops are fitted, too, if the window of an output reaches them.
    """
    operator = task.stage.operator
    assert isinstance(operator, Guided)
    computed = min(task.rows.stride, task.rows.kernel) * task.cols.stride
    return computed * (160.0 if _planes(operator) == _COLOURS else 40.0)


def _block_rows(task: Task) -> int:
    """Return the output rows of one block."""
    return -(-max(_LEAST_ROWS, int(_LEAST_WINDOWS * (task.rows.span + 1))) // task.rows.stride)


def _scratch_bytes(plan: StagePlan, _task: Task) -> int:
    """Return the approximate memory of one thread: loaded rows, their planes, lines, and sums."""
    operator = plan.stage.operator
    assert isinstance(operator, Guided)
    planes = _planes(operator)
    axis, radius = plan.rows, operator.radius
    stored = min(plan.block_rows, axis.output)
    outputs = min(-(-stored * axis.stride // axis.dilation), axis.input)
    lines = min(outputs + 2 * radius, axis.input)
    # Rows that are a dilation apart are a range, which reads a window's rows more; padding begins further ranges.
    ranges = min(axis.dilation, lines, 3 if radius * axis.dilation <= axis.input else lines)
    rows = lines + 2 * radius * ranges
    cols = plan.cols.input + 4 * radius * min(plan.cols.dilation, plan.cols.input)
    loaded = plan.channels + (0 if operator.guide is None else planes)
    samples = rows * cols * (2 * loaded + planes + 1) + (outputs + stored) * cols * plan.channels
    return np.dtype(np.float64).itemsize * (samples + _SUMS * cols)


#: Planes of a colour guide.
_COLOURS = 3


def _planes(operator: Guided) -> int:
    """Return the channels of a guide; a file that has not been read counts as a colour guide."""
    if operator.guide is None:
        return 1
    return _COLOURS if isinstance(operator.guide, str) else operator.guide.shape[2]


def _grid(plan: StagePlan) -> Grid:
    # Lines are padded before their means; with wrap, those at the top are padded by those at the bottom.
    return unsplit(plan) if plan.padding_modes[0] == "wrap" else Grid(plan.block_rows, 0, near_border=True)


GUIDED = Method(
    "guided",
    _cost,
    block_rows=_block_rows,
    grid=_grid,
    scratch_bytes=_scratch_bytes,
)
