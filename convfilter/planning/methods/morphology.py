"""Extremes under footprints: their cells, blocks, cost and memory."""

from __future__ import annotations

from math import ceil, log2
from typing import TYPE_CHECKING

import numpy as np

from convfilter.filters.operators import Morphology, Operator
from convfilter.planning.method import (
    Grid,
    Method,
    grid_of_pictures,
    grid_of_samples,
    no_passes,
    rows_of_windows,
)
from convfilter.planning.methods.extremes import blocks_of, comparisons, pass_rows_of
from convfilter.planning.precision import samples_fit
from convfilter.planning.task import Task

if TYPE_CHECKING:
    import numpy.typing as npt

    from convfilter.planning.stage_plan import StagePlan

#: Bytes of a tile's rows under a footprint, which stay in a core's L2 cache.
_ROWS_BYTES = 2**20
#: Least output columns of a tile.
_LEAST_COLS = 256
#: Bytes of the panels of ``loops/footprint_panels.py``, which stay in that cache, too.
PANELS_BYTES = 2**20
#: Least rows of a block: each block reads the rows of a window again.
_LEAST_ROWS = 32
#: Least height of a block in windows.
_LEAST_WINDOWS = 3
#: Source rows of a block of samples that are compared as they are stored; at most a quarter of the picture.
_STORED_ROWS = 94


def is_composite(operator: Operator) -> bool:
    """Whether the result is the difference of the picture and its opening or closing: a window of two operations."""
    return isinstance(operator, Morphology) and operator.kind in ("tophat", "blackhat")


def cells_of(plan: StagePlan, *, rotated: bool) -> npt.NDArray[np.bool_]:
    """Return the cells of a footprint, rotated by 180 degrees for a dilation."""
    cells = np.asarray(plan.kernel.matrix != 0)
    return cells[::-1, ::-1] if rotated else cells


def _cost(task: Task) -> float:
    """Return the comparisons for one output sample."""
    operator = task.stage.operator
    assert isinstance(operator, Morphology)
    kernel = operator.kernel
    if kernel.is_box:
        count = comparisons(task.rows, task.cols)
    else:
        cells = kernel.matrix != 0
        runs = int(np.count_nonzero(cells[:, 0])) + int(np.count_nonzero(cells[:, 1:] & ~cells[:, :-1]))
        count = task.cols.stride * (2.0 * runs + task.rows.stride * ceil(log2(kernel.shape[1] + 1)))
    return count * (1.0 if operator.kind in ("erode", "dilate") else 2.0)


def _block_rows(task: Task) -> int:
    """Return the output rows of one block."""
    if task.kernel.is_box:
        return pass_rows_of(task.rows)
    rows = max(_LEAST_ROWS, _LEAST_WINDOWS * task.rows.span // task.rows.stride)
    return max(rows, min(_STORED_ROWS // task.rows.stride, -(-task.rows.output // 4))) if _stores_tile(task) else rows


def footprint_cols(plan: StagePlan) -> int:
    """Return the output columns of one tile."""
    fitting = _ROWS_BYTES // (plan.channels * 2 * max(1, min(plan.rows.kernel, plan.block_rows)))
    return max(_LEAST_COLS, 2 * plan.cols.span // plan.cols.stride, fitting)


def _stores_tile(task: Task) -> bool:
    """Whether integer samples are loaded, compared and stored without conversion."""
    operator = task.stage.operator
    assert isinstance(operator, Morphology)
    is_one = operator.kind in ("erode", "dilate") and not task.kernel.is_box
    return is_one and task.preserves_samples and task.pads_with_samples


def _scratch_bytes(plan: StagePlan, task: Task) -> int:
    """Return the approximate bytes of one thread: a tile, the keys of real samples, extremes, and rows to store."""
    operator = task.stage.operator
    assert isinstance(operator, Morphology)
    is_unconverted = task.pads_with_samples and not task.alpha and not task.gray
    if is_composite(operator):  # only the difference; the erosion and the dilation have plans of their own
        sample = 3 * task.dtype.itemsize if is_unconverted and task.preserves_samples else 4 * 8
        return sample * plan.block_rows * plan.cols.output * plan.output_channels
    cols = min(plan.cols.output, footprint_cols(plan))
    tile = rows_of_windows(plan, plan.block_rows) * ((cols - 1) * plan.cols.stride + plan.cols.span + 1)
    sums = np.dtype(plan.precision).itemsize
    sample, is_box = task.dtype.itemsize if is_unconverted else sums, task.kernel.is_box
    panels = 0 if is_box else PANELS_BYTES
    if _stores_tile(task):
        return panels + plan.channels * sample * tile
    is_difference, has_keys = operator.is_difference, not is_box and not is_unconverted
    extremes = (1 + is_difference) * (1 + 2 * has_keys) * sample
    stores_samples = task.preserves_samples and (is_unconverted or not is_difference)
    stored = 0 if stores_samples else sums + 4 * 8 * is_difference
    per_tile = sample + has_keys * (sample + 1)  # keys, and where samples are NaN
    lines = sum(blocks_of(plan.rows)) + 2 if is_box else 0
    results = (extremes + stored) * plan.block_rows + sample * lines
    return panels + plan.channels * (per_tile * tile + results * cols)


def _grid(plan: StagePlan) -> Grid:
    return (grid_of_pictures if is_composite(plan.stage.operator) else grid_of_samples)(plan)


MORPHOLOGY = Method(
    "morphology",
    _cost,
    block_rows=_block_rows,
    grid=_grid,
    scratch_bytes=_scratch_bytes,
    fits_single=samples_fit,
    passes=no_passes,
)
