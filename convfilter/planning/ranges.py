"""Ranges of the results between the stages of a stack, and the numbers of which all samples are multiples.

The error budget, the choice of precision and streaming all ask here how large results can get.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np

from convfilter.filters.kernel import Kernel
from convfilter.filters.operators import (
    Compass,
    Correlation,
    Gradient,
    Morphology,
    Point,
    Pooling,
    Rank,
    UnsharpMask,
    WeightedSums,
)
from convfilter.filters.stage import Stage
from convfilter.planning.stage_plan import StagePlan
from convfilter.planning.task import DOUBLE_WHOLE
from convfilter.record import NamedTuple
from convfilter.sample_types import is_integer, sample_type

if TYPE_CHECKING:
    import numpy.typing as npt


class Planned(Protocol):
    """A stage and its weights: a ``Task`` or a ``StagePlan``."""

    @property
    def stage(self) -> Stage:
        """The stage."""

    @property
    def kernel(self) -> Kernel:
        """Weights to sum."""

    @property
    def scale(self) -> float:
        """The remaining scale of the stage."""

    @property
    def alpha(self) -> bool:
        """Whether the last channel is alpha."""

    @property
    def premultiplied(self) -> bool:
        """Whether colours are stored multiplied by alpha."""


class Range(NamedTuple):
    """Where samples may lie.

    Attributes
    ----------
    low, high : float
        The least and the largest sample.
    grain : float
        A power of two of which all samples are multiples; 0 if there is none.
    """

    low: float
    high: float
    grain: float = 0.0

    @property
    def size(self) -> float:
        """The largest magnitude."""
        return max(abs(self.low), abs(self.high))

    @property
    def span(self) -> float:
        """The largest difference of two samples, or of a sample and 0."""
        return max(self.high, 0.0) - min(self.low, 0.0)

    def summed(self, positive: float, negative: float, grain: float = 0.0) -> Range:
        """Return the range of sums whose positive weights, and magnitudes of negative ones, have these sums."""
        low = times(positive, self.low) - times(negative, self.high)
        return _range(low, times(positive, self.high) - times(negative, self.low), self.grain * grain)

    def scaled(self, factor: float) -> Range:
        """Return the range of samples times ``factor``."""
        if factor == 1:
            return self
        ends = times(factor, self.low), times(factor, self.high)
        return _range(min(ends), max(ends), self.grain * grain_of(factor) if self.grain else 0.0)

    def shifted(self, offset: float) -> Range:
        """Return the range of samples plus ``offset``."""
        grain = min(self.grain, grain_of(offset)) if self.grain and offset else self.grain
        return _range(self.low + offset, self.high + offset, grain)


def _range(low: float, high: float, grain: float) -> Range:
    """Return a range; multiples that not even float64 holds are none."""
    return Range(low, high, grain if max(abs(low), abs(high)) <= DOUBLE_WHOLE * grain else 0.0)


def grain_of(numbers: npt.ArrayLike) -> float:
    """Return the largest power of two of which all ``numbers`` are multiples; 1 if all are 0."""
    if isinstance(numbers, float | int):
        if not math.isfinite(numbers):
            return 0.0
        numerator, denominator = float(numbers).as_integer_ratio()
        return (numerator & -numerator) / denominator if numerator else 1.0
    values = np.abs(np.asarray(numbers, np.float64)).ravel()
    values = values[values > 0]
    if not values.size:
        return 1.0
    fractions, exponents = np.frexp(values)
    digits = np.ldexp(fractions, 53).astype(np.int64)
    lowest = np.log2((digits & -digits).astype(np.float64)) + exponents - 53
    return float(np.exp2(lowest.min()))


def ranges(stages: Sequence[Planned], dtype: np.dtype[np.generic], full: float, *, clips: bool = True) -> list[Range]:
    """Return the ranges of a picture's samples and of each stage's results before they are stored.

    Division by alpha is left out; a range is infinite where nothing bounds it.

    Parameters
    ----------
    stages : sequence of StagePlan or Task
    dtype : numpy.dtype
        Sample type of the picture.
    full : float
        The value of white.
    clips : bool
        Whether point operations that bound samples count; errors of real results are relative to the sum of
        |weight| * |sample|, which they do not change.
    """
    found = [Range(sample_type(dtype).low, full, 1.0) if is_integer(dtype) else Range(-full, full)]
    for stage in stages:
        found.append(_range_after(stage, found[-1], full, clips=clips))
    return found


def _range_after(stage: Planned, samples: Range, full: float, *, clips: bool) -> Range:
    """Return the range of a stage's results, given that of its input."""
    operator, offset = stage.stage.operator, stage.stage.offset * full
    if stage.stage.pads_with_value and not isinstance(operator, Pooling):
        value = stage.stage.padding_value
        grain = min(samples.grain, grain_of(value)) if value else samples.grain
        samples = Range(min(samples.low, value), max(samples.high, value), grain)
    if isinstance(operator, WeightedSums | Compass | Gradient):
        shift = operator.shift if isinstance(operator, Correlation) else 0.0
        return _range_of_sums(operator, stage.kernel, samples).scaled(stage.scale).shifted(offset + shift)
    if isinstance(operator, Point):
        bounds = operator.kind in ("clip", "threshold", "normalize")
        result = samples if bounds and not clips else _range_of_points(operator, samples, full)
    else:
        result = _range_of_windows(operator, stage.kernel, samples)
    return result.scaled(stage.stage.scale).shifted(offset)


def _range_of_sums(operator: WeightedSums | Compass | Gradient, kernel: Kernel, samples: Range) -> Range:
    if isinstance(operator, Compass):
        ranges = [_weighted(each, samples) for each in operator.kernels]
        return Range(*(best(ends) for best, ends in zip((min, max, min), zip(*ranges, strict=True), strict=True)))
    weighted = _weighted(kernel, samples)
    if isinstance(operator, Gradient):
        reach = samples.span / 2 if operator.x.sums_to_zero and operator.y.sums_to_zero else samples.size
        return Range(0.0, times(operator.largest_length, reach))
    if isinstance(operator, UnsharpMask):
        reach = times(abs(operator.amount), max(samples.high - weighted.low, weighted.high - samples.low))
        return Range(samples.low - reach, samples.high + reach)
    return weighted


def _weighted(kernel: Kernel, samples: Range) -> Range:
    both, difference = kernel.absolute_sum, kernel.numerator_sum
    difference = math.copysign(both, difference) if kernel.has_one_sign else difference
    negative = (both - difference) / 2
    parts = kernel.factors if kernel.factors is not None else (kernel.matrix,)
    grain = math.prod(map(grain_of, parts)) if samples.grain else 0.0
    return samples.summed(both - negative, negative, grain).scaled(1 / kernel.divisor)


def _range_of_points(operator: Point, samples: Range, full: float) -> Range:
    low, high, grain = samples
    match operator.kind:
        case "relu":
            return Range(max(low, 0.0), max(high, 0.0), grain)
        case "abs":
            return Range(max(low, -high, 0.0), samples.size, grain)
        case "bias":
            return samples.shifted(operator.low * full)
        case "scale":
            return samples.scaled(operator.low)
        case "invert":
            return samples.scaled(-1.0).shifted(full)
        case "clip":
            least, most = operator.low * full, operator.high * full
            return Range(min(max(low, least), most), min(max(high, least), most), min(grain, grain_of((least, most))))
        case "threshold" | "normalize":
            return Range(0.0, full)
    return Range(-math.inf, math.inf)


def _range_of_windows(operator: object, kernel: Kernel, samples: Range) -> Range:
    """Return the range of extremes, ranks, means and differences of samples."""
    low, high, grain = samples
    if isinstance(operator, Pooling) and operator.kind in ("power", "sum"):
        return Range(-math.inf, math.inf)
    if isinstance(operator, Morphology):
        return Range(0.0, high - low, grain) if operator.is_difference else samples
    if isinstance(operator, Rank):
        return Range(low, high, grain * grain_of((kernel.nonzeros - 1) * operator.fraction % 1))
    if isinstance(operator, Pooling):
        return samples if operator.selects else Range(min(low, 0.0), max(high, 0.0))
    return Range(-math.inf, math.inf)


def limits(stages: Sequence[StagePlan], inputs: Sequence[Range], full: float) -> list[float]:
    """Return, for each stage, the largest magnitude of its result that can matter where the last result is clipped.

    Parameters
    ----------
    stages : sequence of StagePlan
    inputs : sequence of Range
        Ranges of the stages' inputs.
    full : float
        Largest result that is not clipped.

    Notes
    -----
    A result that is too large is clipped whatever its error. Weighted sums of samples without a sign are no smaller
    than each of their terms, and extremes and ranks no smaller than the samples that decide about them.
    """
    sizes = [full]
    for stage, samples in zip(stages[:0:-1], inputs[:0:-1], strict=True):
        sizes.insert(0, limit_before(stage, samples, sizes[0], full))
    return sizes


def limit_before(stage: StagePlan, samples: Range, limit: float, full: float) -> float:
    """Return the largest sample that matters in the input of a stage, given that of its result."""
    operator, scale = stage.stage.operator, stage.scale
    limit += abs(stage.stage.offset) * full
    match operator:
        case Correlation() if samples.low >= 0 and stage.kernel.has_one_sign:
            scale *= stage.kernel.sum
            limit += abs(operator.shift)
        case Point(kind="scale"):
            scale *= operator.low
        case Point(kind="bias"):
            limit += abs(operator.low) * full
        case Point(kind="invert"):
            limit += full
        case Point(kind="relu"):
            limit = limit if samples.low >= 0 else math.inf
        case Point(kind="abs") | Pooling(kind="max" | "min") | Rank():
            pass
        case Pooling(kind="average") if samples.low >= 0:
            pass
        case Morphology() if not operator.is_difference:
            pass
        case _:
            return math.inf
    return limit / abs(scale) if scale else math.inf


def is_identity(stage: StagePlan, samples: Range) -> bool:
    """Whether a point operation does not change samples of this range."""
    operator = stage.stage.operator
    is_of_positive = isinstance(operator, Point) and operator.kind in ("relu", "abs") and samples.low >= 0
    return is_of_positive and (stage.stage.scale, stage.stage.offset) == (1, 0)


def below(samples: Range, limit: float) -> Range:
    """Return the part of a range whose magnitudes are at most ``limit``."""
    return Range(max(samples.low, -limit), min(samples.high, limit), samples.grain)


def square(number: float) -> float:
    """Return ``number * number``, which is infinite beyond float64's range; ``**`` raises an error there."""
    return number * number


def times(size: float, gain: float) -> float:
    """Return ``size * gain``, and 0 for a size of 0 even if the gain is infinite."""
    return size * gain if size and gain else 0.0
