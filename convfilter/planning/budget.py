"""Error budget of a plan: the error of each stage, compared with the promise for the results.

``docs/engine.md`` promises that a result lies within a number of levels of the exact value before it is rounded. Two
errors of a stage count against the promise: weights that the method misplaces or leaves out, and the rounding of sums.
The gain of the following stages multiplies both.

The first error is a bound: no picture exceeds it. The second is 4.5 standard deviations of a sum of independent
roundings, each at its largest for the samples of the picture's type (``rounding.py``): one of 150,000 such errors is
larger. They are that large only where a picture is constant, at least along an axis, so that the errors of neighbours
are equal, too, and such a picture has few different ones; elsewhere blurs average them. But weights are misplaced only
along axes along which the picture varies. The budget is the largest one of constant pictures, of those that vary along
one axis, and of others.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from convfilter.filters.kernel import Weights
from convfilter.planning.gains import largest_gain
from convfilter.planning.method import Pictures
from convfilter.planning.methods import chosen_method
from convfilter.planning.ranges import Range, below, is_identity, limit_before, limits, ranges, times
from convfilter.planning.responses import Spectrum, gain_of_rounding, spectrum
from convfilter.planning.rounding import (
    DEVIATIONS,
    gain_of_weights,
    half_unit,
    relative_unit,
    variance_of_luminance,
    variance_of_result,
    variances_of_sums,
)
from convfilter.planning.stack_plan import Plan
from convfilter.planning.stage_plan import StagePlan
from convfilter.record import NamedTuple
from convfilter.sample_types import is_integer, sample_type

if TYPE_CHECKING:
    import numpy.typing as npt


class Share(NamedTuple):
    """The error of one stage, in the unit of the budget.

    Attributes
    ----------
    left_out : float
        Error of weights that the method misplaces or leaves out; a bound.
    rounded : float
        Error of the rounding of sums, and of the result passed to the next stage; 4.5 standard deviations.
    left_out_later, rounded_later : float
        Both in the result of the stack; infinite where nothing bounds them.
    like : int
        Number of the first stage with the same weights, from 0 on.
    """

    left_out: float
    rounded: float
    left_out_later: float
    rounded_later: float
    like: int

    @property
    def total(self) -> float:
        """Both errors in the result of the stack."""
        return self.left_out_later + self.rounded_later

    @property
    def gain(self) -> float:
        """Factor by which the following stages enlarge the error."""
        error = self.left_out + self.rounded
        return self.total / error if 0 < error < math.inf else 1.0


class Budget(NamedTuple):
    """The error of a plan.

    Attributes
    ----------
    promised : float
        Promised error of the result.
    unit : {"levels", "share"}
        Levels of integer results; a share of the sum of |weight| * |sample| for real results.
    shares : tuple of Share
        One for each stage.
    """

    promised: float
    unit: str
    shares: tuple[Share, ...]

    @property
    def total(self) -> float:
        """Error of all stages together.

        The squares of independent roundings add up; equal filters of a constant picture round alike.
        """
        rounded = [0.0] * len(self.shares)
        for share in self.shares:
            rounded[share.like] += share.rounded_later
        return math.fsum(share.left_out_later for share in self.shares) + math.hypot(*rounded)


def budget(plan: Plan, out_dtype: npt.DTypeLike | None = None) -> Budget:
    """Return the error budget of a plan.

    Parameters
    ----------
    plan : Plan
    out_dtype : dtype, optional
        Sample type of the result, by default that of the input.
    """
    return _budget_of(plan, ("flat", "lined", "varied"), out_dtype)


def largest_budget(plan: Plan, out_dtype: npt.DTypeLike | None = None) -> Budget:
    """Return a budget that is at least as large as ``budget``, in less than half of the time."""
    return _budget_of(plan, ("any",), out_dtype)


@np.errstate(over="ignore", invalid="ignore")  # of weights near the ends of float64's range
def _budget_of(plan: Plan, kinds: Sequence[Pictures], out_dtype: npt.DTypeLike | None) -> Budget:
    """Return the largest error budget for some kinds of pictures."""
    dtype = np.dtype(out_dtype or plan.dtype)
    rounds, stages = is_integer(dtype), plan.stages
    bounds = ranges(stages, plan.dtype, plan.full, clips=rounds)
    most = limits(stages, bounds[:-1], plan.full) if rounds else [math.inf] * len(stages)
    unit = plan.full_out(dtype) / plan.full if rounds else 1 / (bounds[-1].size or 1.0)
    like = [_first_like(stages, number) for number in range(len(stages))]

    def of_kind(pictures: Pictures) -> Budget:
        shares = []
        for number, limit in enumerate(most):
            errors = _errors(plan, number, bounds, limit, pictures)
            left_out, rounded, left_out_later, rounded_later = (times(error, unit) for error in errors)
            shares.append(Share(left_out, rounded, left_out_later, rounded_later, like[number]))
        return Budget(sample_type(dtype).error, "levels" if rounds else "share", tuple(shares))

    return max(map(of_kind, kinds), key=lambda each: each.total)


def _errors(
    plan: Plan, number: int, bounds: Sequence[Range], limit: float, pictures: Pictures
) -> tuple[float, float, float, float]:
    """Return the numbers of a stage's ``Share`` in levels of the input.

    Parameters
    ----------
    plan : Plan
    number : int
        The stage, from 0 on.
    bounds : sequence of Range
        Ranges of the inputs of all stages, and of the result.
    limit : float
        Largest magnitude of the stage's result that matters.
    pictures : {"flat", "lined", "varied", "any"}
    """
    stage, samples, is_last = plan.stages[number], bounds[number], number == len(plan.stages) - 1
    incoming = plan.stages[number - 1].result if number else plan.dtype
    later = [
        each
        for each, its_samples in zip(plan.stages[number + 1 :], bounds[number + 1 :], strict=False)
        if not is_identity(each, its_samples)
    ]
    unit_of = half_unit if is_integer(plan.dtype) else relative_unit
    varies = pictures == "varied"
    left_out = times(chosen_method(stage).left_out(stage, pictures) * samples.span, gain_of_weights(stage))
    summed = below(samples, limit_before(stage, samples, limit, plan.full))
    fine, coarse = variances_of_sums(stage, summed, unit_of, pictures)
    if plan.gray and number == 0 and not stage.exact:
        fine += variance_of_luminance(stage, samples, unit_of)
    result = below(bounds[number + 1], limit)
    fine += variance_of_result(stage, result, unit_of, incoming=incoming, is_last=is_last)
    left_out_later = left_out
    for each in later:
        left_out_later = times(left_out_later, largest_gain(each))
    fine_later = _deviation(fine, later, spectrum(), spectrum(), varies=varies)
    coarse_later = _deviation(coarse, later, *map(spectrum, stage.rates), varies=varies)
    rounded_later = DEVIATIONS * math.hypot(fine_later, coarse_later)
    return left_out, DEVIATIONS * math.sqrt(fine + coarse), left_out_later, rounded_later


def _first_like(stages: Sequence[StagePlan], number: int) -> int:
    """Return the number of the first stage with the weights of another."""

    def parts(stage: StagePlan) -> tuple[Weights, ...]:
        return stage.kernel.factors or (stage.kernel.matrix,)

    own = parts(stages[number])
    return next(
        first
        for first, stage in enumerate(stages)
        if len(parts(stage)) == len(own) and all(map(np.array_equal, parts(stage), own))
    )


def _deviation(variance: float, later: Sequence[StagePlan], rows: Spectrum, cols: Spectrum, *, varies: bool) -> float:
    """Return the standard deviation of errors after the ``later`` stages."""
    return times(math.sqrt(variance), gain_of_rounding(later, rows, cols, varies=varies)) if variance else 0.0
