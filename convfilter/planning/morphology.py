"""Extremes under footprints: which cells they have, in what parts they are computed, and what that takes."""

from __future__ import annotations

from math import ceil, log2
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from convfilter.filters.stage import Morphology, Operator
from convfilter.planning.pooling import comparisons, stretch_of
from convfilter.planning.task import Task

if TYPE_CHECKING:
    from convfilter.planning.stage_plan import StagePlan

#: Bytes of the rows into which a row of a tile goes: they stay in a core's L2 cache.
_ROWS_BYTES = 2**20
_LEAST_COLS = 256
#: Rows of a block, at least, and in windows, since each block looks at the rows of a window once more.
_LEAST_ROWS = 32
_WINDOWS = 3


def is_composite(operator: Operator) -> bool:
    """Whether a difference from the picture itself is asked for, so that its window is that of two operations."""
    return isinstance(operator, Morphology) and operator.kind in ("tophat", "blackhat")


def cells_of(plan: StagePlan, *, turned: bool) -> npt.NDArray[np.bool_]:
    """Return the cells of a footprint; a dilation looks at them turned by 180 degrees."""
    cells = np.asarray(plan.kernel.matrix != 0)
    return cells[::-1, ::-1] if turned else cells


def morphology_cost(task: Task) -> float:
    """Return how many comparisons one output sample takes."""
    operator = task.stage.operator
    assert isinstance(operator, Morphology)
    kernel = operator.kernel
    if kernel.is_box:
        each = comparisons(task.rows, task.cols)
    else:
        cells = kernel.matrix != 0
        runs = int(np.count_nonzero(cells[:, 0])) + int(np.count_nonzero(cells[:, 1:] & ~cells[:, :-1]))
        each = task.cols.stride * (2.0 * runs + task.rows.stride * ceil(log2(kernel.shape[1] + 1)))
    return each * (1.0 if operator.kind in ("erode", "dilate") else 2.0)


def morphology_block_rows(task: Task) -> int:
    """Return how many output rows are computed at a time."""
    if task.kernel.is_box:
        return stretch_of(task.rows)
    return max(_LEAST_ROWS, _WINDOWS * task.rows.span // task.rows.stride)


def footprint_cols(plan: StagePlan) -> int:
    """Return how many output columns are computed at a time."""
    wanted = _ROWS_BYTES // (plan.channels * 2 * max(1, min(plan.rows.kernel, plan.block_rows)))
    return max(_LEAST_COLS, 2 * plan.cols.span // plan.cols.stride, wanted)


def morphology_bytes(plan: StagePlan) -> int:
    """Return the memory of one thread, about: a tile, its keys, and what was found."""
    cols = min(plan.cols.output, footprint_cols(plan))
    tile = (plan.block_rows * plan.rows.stride + plan.rows.span) * (cols * plan.cols.stride + plan.cols.span)
    return plan.channels * (12 * tile + 24 * plan.block_rows * cols)
