"""Fourier: transforms of tiles, or of columns with their spectra summed along the rows."""

from __future__ import annotations

from functools import lru_cache
from math import log2

import numpy as np

from convfilter.planning.arithmetic import AxisPlan
from convfilter.planning.method import Cascade, Grid, Method, even
from convfilter.planning.precision import weights_fit
from convfilter.planning.ring import STEP_ROWS
from convfilter.planning.stage_plan import StagePlan
from convfilter.planning.strips import column_samples
from convfilter.planning.task import Task

#: Cost of a transform, in multiply-adds for each sample and each doubling of its size.
_DOUBLING_COST = 40.0
#: Least padded pixels of a transform's side.
_LEAST_SIDE = 320
#: Most levels of float32 transforms, which spread the rounding of the brightest sample over a tile.
_SINGLE_LEVELS = {"uint8": 2.0**9, "uint16": 0.0, "float32": 0.0}
#: Most levels of unclipped results: float64 errors are then 0.0005 of a level.
_MOST_LEVELS = 2.0**38
#: Ratios of a transform's side to the kernel's span, the fastest first; the first that fits the memory is used.
_SPANS = (4.0, 3.0, 2.0, 1.5, 1.25, 1.1)
#: Planes of a transform: one channel, its spectrum, the product and the result.
_PLANES = 4
#: Most bytes of these planes.
_MOST_BYTES = 44 * 2**20
#: Rows of a transform of columns only: whole steps of four, few enough for the cache.
_COLUMN_ROWS = range(16, 129, 8)
#: Widest kernel of such a transform, in samples.
_COLUMN_SPAN = 1024
#: Measured time of its multiply-adds down the columns and along the rows, relative to the direct method.
_DOWN, _ALONG = 1.45, 2.5


def _can(task: Task) -> bool:
    # Rounding errors spread over a transform's tile: they would break ties and colour pixels under faint alpha.
    tolerates_errors = task.is_linear and not task.alpha and (not task.is_exact or task.gives_whole_numbers)
    if task.accuracy != "float32" and task.gain * task.largest_term > _MOST_LEVELS:
        return False
    return tolerates_errors and _sides_of(task) is not None


def _cost(task: Task) -> float:
    sides = _sides_of(task)
    assert sides is not None
    rows, cols = sides
    return _column_cost(task, rows) if cols == 0 else _square_cost(task, rows, cols)


def _square_cost(task: Task, rows: int, cols: int) -> float:
    valid = (rows - task.rows.span) * (cols - task.cols.span) / (task.rows.stride * task.cols.stride)
    return _DOUBLING_COST * log2(rows * cols) * rows * cols / valid


def _column_cost(task: Task, rows: int) -> float:
    """Count the forward transform, the products of spectra summed along the rows, and the inverse transform."""
    valid = min(rows - task.rows.span, task.rows.output)
    return rows * (_DOWN * rows + _ALONG * 2 * task.cols.kernel) / valid + _DOWN * rows


def _sides_of(task: Task) -> tuple[int, int] | None:
    """Return the padded rows and columns of one transform, or None if the transform would need too much memory.

    0 columns: only columns are transformed, and their spectra are summed along the rows.
    """
    square = _square_sides(task)
    allowed = task.rows.stride == task.cols.stride == 1 and not task.is_exact and not task.is_bounded
    if not allowed or task.cols.span * task.channels > _COLUMN_SPAN or task.rows.span >= _COLUMN_ROWS[-1]:
        return square
    rows = min((rows for rows in _COLUMN_ROWS if rows > task.rows.span), key=lambda rows: _column_cost(task, rows))
    if square is not None and _square_cost(task, *square) < _column_cost(task, rows):
        return square
    return rows, 0


def _square_sides(task: Task) -> tuple[int, int] | None:
    itemsize = np.dtype(FOURIER.precision(task)).itemsize
    for spans in _SPANS:
        rows, cols = (_side(axis, spans) for axis in (task.rows, task.cols))
        if rows * cols * _PLANES * itemsize <= _MOST_BYTES:
            return rows, cols
    return None


def _side(axis: AxisPlan, spans: float) -> int:
    wanted = min(max(_LEAST_SIDE, int(spans * axis.span)), axis.padded)
    return _smooth(max(wanted, axis.span + 1))


@lru_cache
def _smooth(least: int) -> int:
    """Return the smallest product of 2s, 3s and 5s that is not below ``least``."""
    size = least
    while True:
        rest = size
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return size
        size += 1


def _sides(task: Task) -> tuple[int, int]:
    sides = _sides_of(task)
    assert sides is not None
    return sides


def _block_rows(task: Task) -> int:
    return max(1, (_sides(task)[0] - task.rows.span) // task.rows.stride)


def _grid(plan: StagePlan) -> Grid:
    if plan.sides[1] == 0:
        return Grid(plan.block_rows, 1)
    cols = max(1, (plan.sides[1] - plan.cols.span) // plan.cols.stride)
    # The last pixels of a transform affect no output that stays, but they affect its rounding.
    down, along = (-(-2 * (axis.stride - 1) // axis.stride) for axis in (plan.rows, plan.cols))
    return Grid(plan.block_rows, cols, (down, along))


def _scratch_bytes(plan: StagePlan, _task: Task) -> int:
    cols, channels, itemsize = plan.cols, plan.channels, np.dtype(plan.precision).itemsize
    if plan.sides[1] == 0:
        loaded, stored = plan.sides[0], -(-plan.block_rows // STEP_ROWS) * STEP_ROWS
        return itemsize * (3 * loaded + stored) * (column_samples(loaded, cols.span * channels) + channels)
    stored = plan.block_rows * max(1, (plan.sides[1] - cols.span) // cols.stride) * channels
    return itemsize * (plan.sides[0] * plan.sides[1] * _PLANES + stored)


def _fits_single(task: Task) -> bool:
    return weights_fit(task) and task.gain * task.largest_term <= _SINGLE_LEVELS[task.accuracy]


def _passes(plan: StagePlan) -> tuple[Cascade, ...]:
    return (even(int(4 * log2(max(*plan.sides, 2))) ** 2, plan.kernel.absolute_sum),)


FOURIER = Method(
    "fourier",
    _cost,
    _can,
    multiply_add_time=1.2,
    block_rows=_block_rows,
    rows_read=lambda plan, _: plan.sides[0],
    grid=_grid,
    scratch_bytes=_scratch_bytes,
    sides=_sides,
    spreads=True,
    hides=True,
    fits_single=_fits_single,
    passes=_passes,
)
