"""Sliding windows: direct sums, separable kernels, sums of few products, and the magnitude of a gradient."""

from __future__ import annotations

from math import prod

import numpy as np

from convfilter.filters.factors import Product, low_rank, trimmed
from convfilter.filters.operators import Gradient
from convfilter.filters.stage import Stage
from convfilter.planning.method import Cascade, Method, Pictures
from convfilter.planning.precision import sums_fit, unseen
from convfilter.planning.stage_plan import StagePlan
from convfilter.planning.strips import TapRows, nonzero_span, tap_rows_of_products
from convfilter.planning.task import Task

#: Most taps of a direct sum, and of one whose kernel is a product: tables hold the place of each tap. Where windows do
#: not overlap, a column pass takes as many multiply-adds, but its tables are short.
_MOST_TAPS, _MOST_OF_PRODUCT = 2**24, 2**16


def taps_of(task: Task | StagePlan) -> tuple[float, float]:
    """Return the nonzero taps of the column and the row of a separable kernel."""
    assert task.kernel.factors is not None
    down, along = (float(np.count_nonzero(factor)) for factor in task.kernel.factors)
    return down, along


def _direct_cost(task: Task) -> float:
    most = _MOST_TAPS if task.kernel.factors is None else _MOST_OF_PRODUCT
    return float(task.kernel.nonzeros) if prod(task.kernel.shape) < most else float("inf")


def _can_separate(task: Task) -> bool:
    return task.kernel.factors is not None


def separable_cost(task: Task | StagePlan) -> float:
    """Return the multiply-adds of a column pass and a row pass."""
    down, along = taps_of(task)
    return down * min(task.cols.stride, task.cols.kernel) + along


def _separable_products(task: Task) -> tuple[Product, ...]:
    """Return the factors, for a Gaussian of integers without the taps that are too small to show."""
    if task.kernel.factors is None:
        return ()
    column, row = task.kernel.factors
    stored = task.stored or task.result
    if (task.dtype.kind, stored.kind) == ("u", "u") and task.kernel.sigma and task.is_linear:
        share = 0.5 * unseen(task) / task.kernel.absolute_sum
        return ((trimmed(column, share), trimmed(row, share)),)
    return ((column, row),)


def _all_taps(plan: StagePlan) -> tuple[Cascade, ...]:
    taps = plan.kernel.matrix.ravel()
    return ((taps[taps != 0],),) if plan.kernel.nonzeros else ()


def _trimmed_weight(plan: StagePlan, pictures: Pictures) -> float:
    """Return the share of the kernel that the trimmed factors misplace."""
    if plan.kernel.factors is None or not plan.kernel.sigma or pictures == "flat":
        return 0.0
    down, along = (
        float(np.abs(trimmed / trimmed.sum() - factor / factor.sum()).sum()) / 2
        for trimmed, factor in zip(plan.products[0], plan.kernel.factors, strict=True)
    )
    return max(down, along) if pictures == "lined" else down + along


def products_of(task: Task) -> tuple[Product, ...] | None:
    """Return the column-times-row products that sum to the kernel, or None if there are too many."""
    if task.kernel.factors is not None:
        return (task.kernel.factors,)
    return low_rank(task.kernel, unseen(task))


def _can_lower_rank(task: Task) -> bool:
    # Products that cancel each other leave rounding errors, even of samples under weights of zero.
    return task.is_linear and not task.is_bounded and products_of(task) is not None


def _low_rank_cost(task: Task) -> float:
    products = products_of(task)
    assert products is not None
    rows, cols = task.kernel.shape
    return len(products) * (rows * min(task.cols.stride, cols) + cols + 4.0)


def _remainder(plan: StagePlan, _pictures: Pictures) -> float:
    """Return the share of the kernel that its products do not sum to."""
    matrix = plan.kernel.matrix
    total = sum((np.outer(down, along) for down, along in plan.products), np.zeros_like(matrix))
    return float(np.abs(matrix - total).sum() / plan.kernel.absolute_sum)


def is_fused(stage: Stage) -> bool:
    """Whether one pass over eight neighbours gives both derivatives: smoothed differences of a 3x3 window."""
    operator = stage.operator
    if not isinstance(operator, Gradient) or operator.x.factors is None or operator.y.factors is None:
        return False
    (smooth, difference), (down, along) = operator.x.factors, operator.y.factors
    transposed = smooth.size == along.size == 3 and np.array_equal(smooth, along) and np.array_equal(difference, down)
    return bool(transposed and np.array_equal(difference, (1, 0, -1)) and smooth[0] == smooth[2])


def _gradient_cost(task: Task) -> float:
    """Count both derivatives; the fused loop reads each of the eight neighbours and smooths them once."""
    if is_fused(task.stage):
        return 18.0
    return 2.0 * (sum(taps_of(task)) if task.kernel.factors is not None else _direct_cost(task))


def _direct_tap_rows(plan: StagePlan) -> TapRows:
    return TapRows(*nonzero_span(np.any(plan.kernel.matrix, axis=1)))


def _separable_tap_rows(plan: StagePlan) -> TapRows:
    ((column, _),) = plan.products
    return TapRows(*nonzero_span(column), interleaves=True, gathers=False)


def _all_rows(plan: StagePlan) -> TapRows:
    return TapRows(0, plan.rows.kernel)


DIRECT = Method(
    "direct", _direct_cost, tap_rows=_direct_tap_rows, joins_masks=True, fits_previews=True, passes=_all_taps
)
# Along a row, vectors straddle cache lines, and a second pass costs a store and a load.
SEPARABLE = Method(
    "separable",
    separable_cost,
    _can_separate,
    multiply_add_time=1.4,
    sample_time=6.0,
    products=_separable_products,
    tap_rows=_separable_tap_rows,
    joins_masks=True,
    fits_single=lambda task: sums_fit(task, sum(task.kernel.shape)),
    fits_previews=True,
    passes=lambda plan: plan.products,
    left_out=_trimmed_weight,
)
LOW_RANK = Method(
    "lowrank",
    _low_rank_cost,
    _can_lower_rank,
    multiply_add_time=1.4,
    sample_time=6.0,
    products=lambda task: products_of(task) or (),
    tap_rows=tap_rows_of_products,
    joins_masks=True,
    passes=lambda plan: plan.products,
    left_out=_remainder,
)
GRADIENT = Method("gradient", _gradient_cost, tap_rows=_all_rows, joins_masks=True, passes=_all_taps)
