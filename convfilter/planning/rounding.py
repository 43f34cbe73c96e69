"""Rounding errors of sums: the variance that the passes of a method add.

A partial sum is rounded to a multiple of its last place, by at most half of that; evenly spread, the error has a third
of the square of this as its variance. Roundings are independent, so variances add up (N. J. Higham, T. Mary, "A new
approach to probabilistic rounding error analysis", SIAM J. Sci. Comput. 41, 2019). A product rounds by its
weight; processors fuse it with the addition.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from convfilter.filters.kernel import Weights
from convfilter.filters.operators import (
    ACTIVATIONS,
    Compass,
    Correlation,
    Gradient,
    Morphology,
    Point,
    Pooling,
    Rank,
    UnsharpMask,
)
from convfilter.planning.gains import largest_gain
from convfilter.planning.method import Cascade, Pictures
from convfilter.planning.methods import chosen_method
from convfilter.planning.ranges import Range, grain_of, square, times
from convfilter.planning.stage_plan import StagePlan
from convfilter.planning.task import LUMINANCE

#: The largest rounding error of a number, from magnitudes.
HalfUnit: TypeAlias = Callable[[Weights], Weights]
#: The function for a precision.
UnitOf: TypeAlias = Callable[[str], HalfUnit]
#: The fraction of a power of two: products with it are not rounded.
_HALF = 0.5
#: Standard deviations in the bound of rounding errors.
DEVIATIONS = 4.5
#: Taps of a partial sum, as in ``loops/correlate.py``.
_PARTIAL_TAPS = 64
#: Bits of a number after its first.
_BITS = {"float32": 23, "float64": 52}


def half_unit(precision: str) -> HalfUnit:
    """Return the function for samples whose magnitudes are known: integers."""

    def rounded(sizes: Weights) -> Weights:
        exponents = np.frexp(sizes)[1] - 1
        units: Weights = np.where(sizes > 0, np.ldexp(0.5, exponents - _BITS[precision]), 0.0)
        return units

    return rounded


def relative_unit(precision: str) -> HalfUnit:
    """Return the function for samples of any magnitude, relative to which errors are."""
    return lambda sizes: sizes * 2.0 ** -(_BITS[precision] + 1)


def _variance_of_passes(
    cascade: Cascade, samples: Range, unit: HalfUnit, whole: float, pictures: Pictures = "any"
) -> float:
    """Return the variance of sums of several passes.

    Parameters
    ----------
    cascade : sequence of arrays
    samples : Range
    unit : callable
    whole : float
        Largest magnitude, over its grain, up to which sums are not rounded.
    pictures : {"flat", "lined", "varied", "any"}
        In varied pictures the errors of neighbouring sums are independent, in others they may be equal; in flat ones,
        equal passes round alike, too.
    """
    if not math.isfinite(samples.size):
        return math.inf
    is_flat, varies = pictures in ("flat", "any"), pictures == "varied"
    variance, before = 0.0, None
    for weights in cascade:
        positive, negative = float(np.maximum(weights, 0).sum()), float(np.maximum(-weights, 0).sum())
        gain = max(0.0 if varies else square(positive - negative), float((weights**2).sum()))
        added = _variance(weights, samples, unit, whole, varies=varies)
        alike = is_flat and before is not None and np.array_equal(weights, before)
        covariance = 2 * math.sqrt(variance * gain * added) if alike else 0.0
        variance, before = variance * gain + added + covariance, weights
        samples = samples.summed(positive, negative, grain_of(weights) if samples.grain else 0.0)
    return variance


def _variance(weights: Weights, samples: Range, unit: HalfUnit, whole: float, *, varies: bool) -> float:
    """Return the variance of one pass: a sum of partial sums.

    Where a picture is constant, additions of equal products round alike, up to the next power of two.
    """
    weights = weights[weights != 0]
    signs, starts = np.maximum([weights, -weights], 0.0), np.arange(0, weights.size, _PARTIAL_TAPS)
    sums = _largest(signs, samples)
    if starts.size > 1:
        partial = [_largest(part, samples) for part in np.split(signs, starts[1:], axis=1)]
        sums = np.concatenate([*partial, _largest(np.add.reduceat(signs, starts, axis=1), samples)[1:]])
    if not np.isfinite(sums).all():
        return math.inf
    if samples.grain and sums.max() <= whole * samples.grain * grain_of(weights):
        return 0.0
    sizes = signs.sum(axis=0)
    products = np.where(np.frexp(sizes)[0] == _HALF, 0.0, sizes * samples.size)
    of_sums, of_products = unit(sums), unit(products)
    variance = float(of_sums @ of_sums + of_products @ of_products) / 3
    again = weights[1:] == weights[:-1]
    if varies or not again.any():
        return variance
    alike = np.add.reduceat(np.append(0.0, again * (of_sums[: weights.size] + of_products)[1:]), starts)
    return max(variance, float(alike @ alike) / square(DEVIATIONS))


def _largest(weights: Weights, samples: Range) -> Weights:
    """Return the largest magnitudes of sums of the first 1, 2, ... of some positive and negative weights."""
    ends = np.array([(samples.high, -samples.low), (samples.low, -samples.high)])
    sizes: Weights = np.abs(ends @ np.cumsum(weights, axis=1)).max(axis=0)
    return sizes


def gain_of_weights(stage: StagePlan) -> float:
    """Return the largest factor from an error in the share of each weight, times the samples, to a stage's result."""
    if isinstance(stage.stage.operator, UnsharpMask):
        return abs(stage.stage.operator.amount * stage.scale) if math.isfinite(largest_gain(stage)) else math.inf
    return largest_gain(stage)


def variances_of_sums(stage: StagePlan, samples: Range, unit_of: UnitOf, pictures: Pictures) -> tuple[float, float]:
    """Return the variances of a stage's result by the rounding of sums, over all samples and over decimated ones.

    They are infinite if nothing bounds the result.
    """
    method, unit, whole = chosen_method(stage), unit_of(stage.precision), 2.0 ** (_BITS[stage.precision] + 1)
    factor = abs(stage.scale / stage.kernel.divisor)
    if isinstance(stage.stage.operator, UnsharpMask):
        factor *= abs(stage.stage.operator.amount)

    def variance(passes: tuple[Cascade, ...]) -> float:
        if stage.exact:
            return 0.0
        each = sum(_variance_of_passes(cascade, samples, unit, whole, pictures) for cascade in passes)
        return times(each, square(factor) if math.isfinite(largest_gain(stage)) else math.inf)

    return variance(method.passes(stage)), variance(method.coarse_passes(stage))


def variance_of_luminance(stage: StagePlan, samples: Range, unit_of: UnitOf) -> float:
    """Return the variance of a stage's result by the rounding of the luminance of three colours."""
    return len(LUMINANCE) / 3 * square(times(_unit_at(samples, unit_of(stage.precision)), largest_gain(stage)))


def variance_of_result(
    stage: StagePlan, result: Range, unit_of: UnitOf, *, incoming: np.dtype[np.generic], is_last: bool
) -> float:
    """Return the variance by the rounding of each result after its sum: in the epilogue, and when it is stored.

    ``incoming`` is the sample type of the stage's input.
    """
    is_curve = isinstance(stage.stage.operator, Point) and stage.stage.operator.kind in ACTIVATIONS
    if stage.exact and is_last and not is_curve:
        return 0.0
    count, bits, stored = _roundings(stage), _BITS[stage.precision], 0.0
    if not count and not isinstance(stage.stage.operator, Correlation | Compass) and incoming == np.float32:
        return 0.0  # results are samples
    if not is_last and stage.result.kind == "f" and _BITS[stage.result.name] < bits:
        bits = _BITS[stage.result.name]
        stored = square(_unit_at(result, unit_of(stage.result.name)))
    if result.size <= 2.0 ** (bits + 1) * result.grain:
        return 0.0
    computed = square(_unit_at(result, unit_of("float64" if is_curve else stage.precision)))
    return (stored + count * computed) / 3


def _roundings(stage: StagePlan) -> int:
    """Count the rounded operations on a result after its sum."""
    operator = stage.stage.operator
    factor = stage.scale / stage.kernel.divisor if operator.has_divisor else stage.stage.scale
    count = int(math.frexp(abs(factor))[0] != _HALF) + (stage.stage.offset != 0)
    match operator:
        case Gradient() | UnsharpMask():  # squares and their root; a difference, a product and a sum
            return count + (1 if stage.exact else 3)
        case Pooling(kind="max" | "min") | Point(kind="relu" | "abs" | "clip" | "threshold"):
            return count
        case Morphology():
            return count + operator.is_difference
        case Rank():
            return count + 2 * ((stage.kernel.nonzeros - 1) * operator.fraction % 1 != 0)
        case Correlation() | Compass():
            return count + (isinstance(operator, Correlation) and operator.shift != 0)
    return count + 1


def _unit_at(samples: Range, unit: HalfUnit) -> float:
    return float(unit(np.array([samples.size]))[0]) if math.isfinite(samples.size) else math.inf
