"""Methods that compute a stage, one row each: when each applies, and its cost."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from math import log2, prod
from typing import Literal, NamedTuple

import numpy as np

from convfilter.filters.factors import Product, low_rank
from convfilter.filters.multirate import Rates, largest_step, rates
from convfilter.filters.stage import (
    Canny,
    Compass,
    Constant,
    Correlation,
    Gradient,
    Guided,
    Join,
    Layer,
    LocalResponse,
    MaxIndices,
    Morphology,
    Orientation,
    Point,
    Pooling,
    Softmax,
    Stage,
    UnsharpMask,
)
from convfilter.planning import ranks
from convfilter.planning.arithmetic import AxisPlan
from convfilter.planning.bilateral import bilateral_cost, can_weigh
from convfilter.planning.canny import canny_cost
from convfilter.planning.guided import guided_cost
from convfilter.planning.morphology import morphology_cost
from convfilter.planning.pooling import comparisons, goes_straight, is_summed_by_taps, takes_extremes
from convfilter.planning.precision import precision, quality, unseen
from convfilter.planning.task import Task

Algorithm = Literal[
    "direct",
    "separable",
    "lowrank",
    "box",
    "multirate",
    "fourier",
    "gradient",
    "pooling",
    "network",
    "histograms",
    "sliding",
    "morphology",
    "compass",
    "canny",
    "guided",
    "bilateral",
    "points",
    "orientation",
    "layer",
    "response",
    "softmax",
    "indices",
    "constant",
    "join",
]

#: Cost of a transform, in multiply-adds for each sample and each doubling of its size.
_TRANSFORM_STEP = 40.0
#: Widest row, in samples, whose coarse rows fit in little memory.
_MULTIRATE_SAMPLES = 200_000
#: Least padded pixels of a transform's side.
_TRANSFORM_SIDE = 320
#: Unclipped results of this many levels have an error of 0.0005 of a level in float64.
_TRANSFORM_LEVELS = 2.0**38
#: Ratios of a transform's side to the kernel's span, best first; memory decides.
_TRANSFORM_SPANS = (4.0, 3.0, 2.0, 1.5, 1.25, 1.1)
#: Planes of a transform: one channel, its spectrum, the product and the result.
TRANSFORM_PLANES = 4
_TRANSFORM_BYTES = 44 * 2**20
#: Rows of a transform of columns only: whole steps of four, few enough for the cache.
_COLUMN_ROWS = range(16, 129, 8)
#: Widest kernel of such a transform, in samples.
_COLUMN_SPAN = 1024
_DOWN, _ALONG = 1.45, 2.5


class Method(NamedTuple):
    """A method: whether it can compute a task, and its multiply-adds for one output sample.

    The choice depends on measured times, in multiply-adds of the direct method in
    float32: ``each`` is the time of one multiply-add, ``overhead`` that of moving samples.
    """

    name: Algorithm
    can: Callable[[Task], bool]
    multiply_adds: Callable[[Task], float]
    each: float
    overhead: float

    def time(self, task: Task) -> float:
        """Return the approximate time of one output sample."""
        vectors = 2.0 if precision(task, self.name) == "float64" else 1.0
        return vectors * (self.each * self.multiply_adds(task) + self.overhead)


def applicable(task: Task) -> tuple[Algorithm, ...]:
    """Return the methods that can compute ``task``, whatever their cost."""
    return tuple(method.name for method in (*METHODS, *_ONLY_METHODS) if method.can(task))


def cheapest(task: Task) -> Algorithm:
    """Return the fastest method."""
    methods = [method for method in (*METHODS, *_ONLY_METHODS) if method.can(task)]
    return methods[0].name if len(methods) == 1 else min(methods, key=lambda method: method.time(task)).name


def least_time(task: Task) -> float:
    """Return the approximate time of one output sample by the fastest method."""
    return min(method.time(task) for method in (*METHODS, *_ONLY_METHODS) if method.can(task))


def cost(task: Task, name: str) -> float:
    """Return the multiply-adds (or comparisons) for one output sample."""
    return next(method for method in (*METHODS, *_ONLY_METHODS) if method.name == name).multiply_adds(task)


# Whether a method applies ----------------------------------------------------------------


def _sums(task: Task) -> bool:
    return isinstance(task.stage.operator, Correlation | UnsharpMask)


def _can_separate(task: Task) -> bool:
    return _sums(task) and task.kernel.factors is not None


def _can_lower_rank(task: Task) -> bool:
    # Products that cancel leave rounding errors of samples under no weight.
    return task.is_linear and not task.is_bounded and products_of(task) is not None


def _can_run_sums(task: Task) -> bool:
    # Real numbers would carry the rounding of one window into the next.
    whole = task.is_linear and task.is_exact and task.accuracy != "float64"
    return whole and task.kernel.is_box and task.stage.dilation == (1, 1)


def _can_multirate(task: Task) -> bool:
    # It omits weight that is only invisible in float32.
    sums = _sums(task) and task.accuracy != "float64"
    return sums and any(_wide_axes(task)) and task.cols.output * task.channels <= _MULTIRATE_SAMPLES


def _can_transform(task: Task) -> bool:
    # Rounding errors spread over a transform's tile: no ties, no colours under faint alpha.
    sound = task.is_linear and not task.alpha and (not task.is_exact or task.gives_whole_numbers)
    if task.accuracy != "float32" and task.gain * task.largest_term > _TRANSFORM_LEVELS:
        return False
    return sound and transform_sides(task) is not None


# Cost in multiply-adds -----------------------------------------------------------------


def _direct_cost(task: Task) -> float:
    return float(task.kernel.nonzeros) if prod(task.kernel.shape) < 2**24 else float("inf")


def _taps(task: Task) -> tuple[float, float]:
    assert task.kernel.factors is not None
    down, along = (float(np.count_nonzero(factor)) for factor in task.kernel.factors)
    return down, along


def _separable_cost(task: Task) -> float:
    down, along = _taps(task)
    return down * min(task.cols.stride, task.cols.kernel) + along


def _low_rank_cost(task: Task) -> float:
    products = products_of(task)
    assert products is not None
    rows, cols = task.kernel.shape
    return len(products) * (rows * min(task.cols.stride, cols) + cols + 4.0)


def _box_cost(task: Task) -> float:
    return 2.0 * task.rows.stride * task.cols.stride + 2.0 * task.cols.stride


def _multirate_cost(task: Task) -> float:
    """Count the passes over full rows, ``span`` samples of margin included, and those on the coarse grid."""
    rows, cols, (row_steps, col_steps) = task.rows, task.cols, rates_of(task)
    down, along = _taps(task)
    if col_steps is not None:
        along = _lowering(col_steps) * _reached(cols) + col_steps.up.shape[1]
    if row_steps is None:
        return down * cols.stride + along
    on_coarse_rows = _lowering(row_steps) * cols.stride + along / row_steps.step
    return on_coarse_rows * _reached(rows) + float(row_steps.up.shape[1])


def _lowering(steps: Rates) -> float:
    return (steps.down.size + steps.middle.size) / steps.step


def _reached(axis: AxisPlan) -> float:
    """Source samples read for one output, those past the border included."""
    return axis.stride + axis.span / axis.output


def _gradient_cost(task: Task) -> float:
    """Count both derivatives; the fused loop reads each of the eight neighbours and smooths them once."""
    if is_fused(task.stage):
        return 18.0
    return 2.0 * (sum(_taps(task)) if task.kernel.factors is not None else _direct_cost(task))


def _compass_cost(task: Task) -> float:
    operator = task.stage.operator
    assert isinstance(operator, Compass)
    return float(sum(kernel.nonzeros for kernel in operator.kernels))


def _layer_cost(task: Task) -> float:
    """Count for one input channel, as other methods count for one channel."""
    operator = task.stage.operator
    assert isinstance(operator, Layer)
    # Of a transposed convolution, most taps fall on the zeros between samples.
    return operator.weight.size / task.channels / (task.rows.step * task.cols.step)


def _pooling_cost(task: Task) -> float:
    if takes_extremes(task.stage.operator):
        return comparisons(task.rows, task.cols)
    if goes_straight(task):
        return _box_cost(task)
    return _separable_cost(task) if is_summed_by_taps(task) else comparisons(task.rows, task.cols)


def _indices_cost(task: Task) -> float:
    return 4.0 * prod(task.kernel.shape)


def is_fused(stage: Stage) -> bool:
    """Whether one pass over eight neighbours gives both derivatives: smoothed differences of a 3x3 window."""
    operator = stage.operator
    if not isinstance(operator, Gradient) or operator.x.factors is None or operator.y.factors is None:
        return False
    (smooth, difference), (down, along) = operator.x.factors, operator.y.factors
    alike = smooth.size == along.size == 3 and np.array_equal(smooth, along) and np.array_equal(difference, down)
    return bool(alike and np.array_equal(difference, (1, 0, -1)) and smooth[0] == smooth[2])


def _transform_cost(task: Task) -> float:
    sides = transform_sides(task)
    assert sides is not None
    rows, cols = sides
    return _column_cost(task, rows) if cols == 0 else _square_cost(task, rows, cols)


def _square_cost(task: Task, rows: int, cols: int) -> float:
    valid = (rows - task.rows.span) * (cols - task.cols.span) / (task.rows.stride * task.cols.stride)
    return _TRANSFORM_STEP * log2(rows * cols) * rows * cols / valid


def _column_cost(task: Task, rows: int) -> float:
    """Count the forward transform, the products of spectra summed along the rows, and the inverse transform."""
    valid = min(rows - task.rows.span, task.rows.output)
    return rows * (_DOWN * rows + _ALONG * 2 * task.cols.kernel) / valid + _DOWN * rows


def transform_sides(task: Task) -> tuple[int, int] | None:
    """Return the padded rows and columns of one transform, or None if it would need too much memory.

    With 0 columns, only columns are transformed, and their spectra are summed along the rows.
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
    itemsize = np.dtype(precision(task, "fourier")).itemsize
    for spans in _TRANSFORM_SPANS:
        rows, cols = (_transform_side(axis, spans) for axis in (task.rows, task.cols))
        if rows * cols * TRANSFORM_PLANES * itemsize <= _TRANSFORM_BYTES:
            return rows, cols
    return None


def _transform_side(axis: AxisPlan, spans: float) -> int:
    wanted = min(max(_TRANSFORM_SIDE, int(spans * axis.span)), axis.padded)
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


# Factors and rates -----------------------------------------------------------------


def products_of(task: Task) -> tuple[Product, ...] | None:
    """Return the column-times-row products that sum to the kernel, or None if there are too many."""
    if task.kernel.factors is not None:
        return (task.kernel.factors,)
    return low_rank(task.kernel, unseen(task))


def _wide_axes(task: Task) -> tuple[bool, bool]:
    """Return the axes on which a Gaussian is wide enough to decimate."""
    if task.kernel.sigma is None:
        return False, False
    rows, cols = (
        dilation == 1 and largest_step(sigma, quality(task)) >= 2
        for sigma, dilation in zip(task.kernel.sigma, task.stage.dilation, strict=True)
    )
    return rows, cols


def rates_of(task: Task) -> tuple[Rates | None, Rates | None]:
    """Return the vertical and horizontal rates of the multirate method; None for an axis computed tap by tap."""
    assert task.kernel.sigma is not None
    rows, cols = (
        rates(sigma, quality(task)) if wide else None
        for sigma, wide in zip(task.kernel.sigma, _wide_axes(task), strict=True)
    )
    return rows, cols


METHODS = (
    Method("direct", _sums, _direct_cost, 1.0, 0.0),
    # Along a row, vectors straddle cache lines; and a second pass costs a store and a load.
    Method("separable", _can_separate, _separable_cost, 1.4, 6.0),
    Method("lowrank", _can_lower_rank, _low_rank_cost, 1.4, 6.0),
    Method("box", _can_run_sums, _box_cost, 1.0, 0.0),
    # Squares of samples are transposed and transposed back; and coarse rows go through memory.
    Method("multirate", _can_multirate, _multirate_cost, 3.0, 30.0),
    Method("fourier", _can_transform, _transform_cost, 1.2, 0.0),
    Method("gradient", lambda task: isinstance(task.stage.operator, Gradient), _gradient_cost, 1.0, 0.0),
    Method(
        "pooling",
        lambda task: isinstance(task.stage.operator, Pooling),
        _pooling_cost,
        1.0,
        0.0,
    ),
    Method("network", ranks.can_compare, ranks.comparisons, 0.25, 0.0),
    Method("histograms", ranks.can_count_columns, ranks.by_columns, 3.0, 0.0),
    Method("sliding", ranks.can_slide, ranks.by_sliding, 3.0, 0.0),
)
#: Operators with a single method, which ``algorithm`` cannot name.
_ONLY_METHODS = (
    Method("layer", lambda task: isinstance(task.stage.operator, Layer), _layer_cost, 1.0, 0.0),
    Method("response", lambda task: isinstance(task.stage.operator, LocalResponse), lambda _: 20.0, 1.0, 0.0),
    Method("softmax", lambda task: isinstance(task.stage.operator, Softmax), lambda _: 10.0, 1.0, 0.0),
    Method(
        "indices",
        lambda task: isinstance(task.stage.operator, MaxIndices),
        lambda task: 4.0 * prod(task.kernel.shape),
        1.0,
        0.0,
    ),
    Method("constant", lambda task: isinstance(task.stage.operator, Constant), lambda _: 1.0, 1.0, 0.0),
    Method("morphology", lambda task: isinstance(task.stage.operator, Morphology), morphology_cost, 1.0, 0.0),
    Method("compass", lambda task: isinstance(task.stage.operator, Compass), _compass_cost, 1.0, 0.0),
    Method("join", lambda task: isinstance(task.stage.operator, Join), lambda _: 1.0, 1.0, 0.0),
    Method("guided", lambda task: isinstance(task.stage.operator, Guided), guided_cost, 1.0, 0.0),
    Method("bilateral", can_weigh, bilateral_cost, 1.0, 0.0),
    Method("canny", lambda task: isinstance(task.stage.operator, Canny), canny_cost, 1.0, 0.0),
    Method("points", lambda task: isinstance(task.stage.operator, Point), lambda _: 1.0, 1.0, 0.0),
    Method(
        "orientation",
        lambda task: isinstance(task.stage.operator, Orientation),
        lambda task: 2.0 * np.count_nonzero(task.kernel.matrix),
        1.0,
        0.0,
    ),
)
ALGORITHMS: tuple[Algorithm, ...] = tuple(method.name for method in METHODS)
