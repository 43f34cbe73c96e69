"""Merge two linear stages, or two extremes, into one, if that is faster, and exact at the borders too."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from convfilter.filters import kernels
from convfilter.filters.kernel import Kernel
from convfilter.filters.operators import Correlation, Point, Pooling
from convfilter.filters.stage import Stage
from convfilter.planning.arithmetic import AxisPlan
from convfilter.planning.methods import least_time
from convfilter.planning.task import Task
from convfilter.record import replace

#: Most weights of a merged kernel that is not separable.
_MOST_WEIGHTS = 31 * 31
#: Most multiplications along an axis to merge separable kernels: they take milliseconds.
_MOST_PRODUCTS = 2**22
#: Least 1 / (1/sigma**2 + 1/tau**2) for which two sampled Gaussians equal one to 1e-9: exp(-2 pi**2 * 1.1).
_LEAST_VARIANCE = 1.1
#: The product of two numbers in this range is far from the ends of float64's range.
_LEAST, _LARGEST = 1e-75, 1e75
#: Most pixels from one merged window to the next: more than a picture has rows or columns.
_MOST_STRIDE = 2**26
#: Cost of loading and storing the rows of one more stage, in multiply-adds of the direct method.
_STAGE_TIME = 4.0


def merged(stages: Sequence[Stage], tasks: Sequence[Task]) -> tuple[Stage, ...]:
    """Return the stages with neighbours merged where possible; ``tasks`` are the tasks of the stages."""
    result = [stages[0]]
    last = tasks[0]
    for stage, task in zip(stages[1:], tasks[1:], strict=True):
        both = _merged(result[-1], last, stage, task)
        if both is None:
            result.append(stage)
            last = task
        else:
            result[-1], last = both
    return tuple(result)


def _merged(first: Stage, before: Task, second: Stage, after: Task) -> tuple[Stage, Task] | None:
    """Return both as one stage, and its task, if that is exact and faster."""
    one, other = first.operator, second.operator
    if isinstance(one, Correlation) and isinstance(other, Correlation):
        fields = _linear(first, before, second, after, one, other)
    elif isinstance(one, Pooling) and isinstance(other, Pooling):
        fields = _extreme(before, after, one, other)
    elif isinstance(one, Point) and isinstance(other, Point):
        fields = _point(first, before, one, other)
    else:
        return None
    if fields is None:
        return None
    stage = replace(second, name=f"{first.name} + {second.name}, merged", **fields)
    size = (before.rows.input, before.cols.input, before.channels)
    task = Task.of(stage, size, before.dtype, result=after.result, gray=before.gray, stored=after.stored)
    share = _outputs(before) / _outputs(after)
    separate_time = share * (least_time(before) + _STAGE_TIME) + least_time(after)
    return (stage, task) if least_time(task) < separate_time else None


def _linear(
    first: Stage, before: Task, second: Stage, after: Task, one: Correlation, other: Correlation
) -> dict[str, Any] | None:
    """Return the fields in which the merged stage of two linear ones differs from the second.

    The second stage's padding must equal the first stage's values there, so the second has no padding, or both wrap.
    """
    is_linear = first.stride == first.dilation == second.dilation == (1, 1) and first.offset == 0 and not before.alpha
    is_linear = is_linear and not first.ceil and not second.ceil
    if not is_linear or not _borders_agree(first, before, second, after):
        return None
    if not _has_safe_magnitudes(first, one) or not _has_safe_magnitudes(second, other):
        return None
    kernel = _one_kernel(_rotated(first, one), _rotated(second, other))
    if kernel is None:
        return None
    padding: list[int] = []
    for axis, (near, far) in enumerate(((before.rows, after.rows), (before.cols, after.cols))):
        less = (near.kernel + far.kernel - 1 - kernel.shape[axis]) // 2
        padding += [near.before + far.before - less, near.after + far.after - less]
    if min(padding) < 0:
        return None
    return {
        "operator": Correlation(kernel),
        "padding": (padding[0], padding[1], padding[2], padding[3]),
        "padding_mode": first.padding_mode,
        "padding_value": first.padding_value,
        "flip": False,
        "scale": first.scale * second.scale,
    }


def _extreme(before: Task, after: Task, one: Pooling, other: Pooling) -> dict[str, Any] | None:
    """Return the fields in which the merged stage of two largest or two least samples differs from the second.

    The samples between both are integers in the type of the picture: with -0 and 0, which are equal, the merged window
    could take the other one.
    """
    if one.kind != other.kind or not one.selects or before.result.kind != "u":
        return None
    axes = (before.rows, after.rows), (before.cols, after.cols)
    if not all(_windows_agree(*pair) for pair in axes):
        return None
    (rows, row_padding), (cols, col_padding) = (_one_window(*pair) for pair in axes)
    return {
        "operator": Pooling(one.kind, (rows, cols)),
        "padding": (*row_padding, *col_padding),
        "stride": (axes[0][0].stride * axes[0][1].stride, axes[1][0].stride * axes[1][1].stride),
        "ceil": False,
    }


def _windows_agree(one: AxisPlan, other: AxisPlan) -> bool:
    """Whether the windows of ``one`` under a window of ``other`` are a single window on the picture.

    Windows leave out no samples between them, and the padding of ``other`` stands for none: padding in front of the
    first window of ``one`` reads fewer samples than that window, padding behind the last could read further ones.
    """
    reads_padding = other.padded - other.before > other.input
    reads_all = one.padded - one.before >= one.input
    has_gaps = one.stride > one.kernel and other.kernel > 1
    if one.dilation != 1 or other.dilation != 1 or has_gaps or one.stride * other.stride > _MOST_STRIDE:
        return False
    return reads_all or not reads_padding


def _one_window(one: AxisPlan, other: AxisPlan) -> tuple[int, tuple[int, int]]:
    """Return the samples and the padding of the window that stands for windows of ``one`` under one of ``other``."""
    size = one.kernel + (other.kernel - 1) * one.stride
    padding = one.before + other.before * one.stride
    end = (other.output - 1) * one.stride * other.stride + size
    return size, (padding, max(0, end - padding - one.input))


def _point(first: Stage, before: Task, one: Point, other: Point) -> dict[str, Any] | None:
    """Return the fields in which the first function differs from a relu behind it, which leaves its results alone."""
    is_unsigned = one.kind in ("relu", "abs") and first.is_unscaled
    keeps_places = all(axis == AxisPlan(axis.input, 1, 1, 1, 0, 0) for axis in (before.rows, before.cols))
    if other.kind != "relu" or not is_unsigned or not keeps_places:
        return None
    return {"operator": one} if not (before.alpha or before.gray) else None


def _outputs(task: Task) -> int:
    return task.rows.output * task.cols.output


def _borders_agree(first: Stage, before: Task, second: Stage, after: Task) -> bool:
    axes = ((before.rows, after.rows), (before.cols, after.cols))
    if all(axis.before == axis.after == 0 for _, axis in axes):
        return True
    same_size = all(axis.output == axis.input for axis, _ in axes)
    return first.padding_modes == second.padding_modes == ("wrap", "wrap") and same_size


def _has_safe_magnitudes(stage: Stage, operator: Correlation) -> bool:
    """Whether weights and scale are so far from the ends of float64's range that a product stays within it."""
    numbers = (stage.scale, operator.kernel.divisor, operator.kernel.absolute_sum)
    return all(number == 0 or _LEAST <= abs(number) <= _LARGEST for number in numbers)


def _rotated(stage: Stage, operator: Correlation) -> Kernel:
    return operator.kernel.rotated() if stage.flip else operator.kernel


def _one_kernel(one: Kernel, other: Kernel) -> Kernel | None:
    """Return the convolution of two kernels; None if it is too large."""
    divisor = one.divisor * other.divisor
    if one.sigma is not None and other.sigma is not None:
        pairs = list(zip(one.sigma, other.sigma, strict=True))
        sigmas = [math.hypot(*pair) for pair in pairs]
        if max(sigmas) <= kernels.LARGEST_SIGMA and all(_add_up(*pair) for pair in pairs):
            return kernels.gaussian(*sigmas)
    if one.factors is not None and other.factors is not None:
        columns, rows = zip(one.factors, other.factors, strict=True)
        if max(first.size * second.size for first, second in (columns, rows)) > _MOST_PRODUCTS:
            return None
        return Kernel(factors=(np.convolve(*columns), np.convolve(*rows)), divisor=divisor)
    rows_all, cols_all = (a + b - 1 for a, b in zip(one.shape, other.shape, strict=True))
    if rows_all * cols_all > _MOST_WEIGHTS:
        return None
    weights = np.zeros((rows_all, cols_all))
    height, width = other.shape
    for (row, col), weight in np.ndenumerate(one.matrix):
        weights[row : row + height, col : col + width] += weight * other.matrix
    return Kernel(weights, divisor=divisor)


def _add_up(sigma: float, tau: float) -> bool:
    """Whether the convolution of two sampled Gaussians is a sampled Gaussian."""
    return sigma == 0 or tau == 0 or 1 / (1 / sigma**2 + 1 / tau**2) >= _LEAST_VARIANCE
