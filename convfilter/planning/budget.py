"""Error budget of a plan: the error of each stage, compared with the promise for the results.

``docs/engine.md`` promises that a result lies within a number of levels of the exact value before it is rounded. Two
errors of a stage count against the promise: weights that the method misplaces or leaves out, and the rounding of sums.
The gain of the following stages multiplies both.

The first error is a bound: no picture exceeds it. The second is the standard deviation of a sum of independent
roundings (N. J. Higham, "Accuracy and stability of numerical algorithms", 2nd ed., SIAM 2002, section 2.8): if the
partial sums of n terms grow evenly to S, and each addition rounds by up to u times the partial sum, evenly spread, it
is u S sqrt(n) / 3.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from convfilter.filters.operators import ACTIVATIONS, Point, Pooling, Rank
from convfilter.planning.gains import largest_gain, times
from convfilter.planning.methods import chosen_method
from convfilter.planning.plan import Plan
from convfilter.planning.stage_plan import StagePlan
from convfilter.record import NamedTuple
from convfilter.sample_types import full_scale, is_integer, sample_type

Weights = npt.NDArray[np.float64]

_UNIT_ROUNDOFF = {"float32": 2.0**-24, "float64": 2.0**-53}


class Share(NamedTuple):
    """The error of one stage, in the unit of the budget.

    Attributes
    ----------
    left_out : float
        Error of weights that the method misplaces or leaves out; a bound.
    rounded : float
        Error of the rounding of sums, and of the result passed to the next stage; a standard deviation.
    gain : float
        Factor by which the following stages enlarge both; infinite where nothing bounds it.
    """

    left_out: float
    rounded: float
    gain: float

    @property
    def total(self) -> float:
        """Both errors in the result of the stack."""
        error = self.left_out + self.rounded
        return times(error, self.gain)


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
        """Error of all stages together."""
        return math.fsum(share.total for share in self.shares)


def budget(plan: Plan, out_dtype: npt.DTypeLike | None = None) -> Budget:
    """Return the error budget of a plan.

    Parameters
    ----------
    plan : Plan
    out_dtype : dtype, optional
        Sample type of the result, by default that of the input.
    """
    dtype = np.dtype(out_dtype or plan.dtype)
    rounds = is_integer(dtype)
    scale = full_scale(dtype) if rounds else 1.0
    gains = [1.0]
    for stage in plan.stages[:0:-1]:
        gains.insert(0, gains[0] * _gain(stage))
    last = len(plan.stages) - 1
    shares = []
    for number, (stage, gain) in enumerate(zip(plan.stages, gains, strict=True)):
        own_gain = _gain(stage) if rounds and not isinstance(stage.stage.operator, Point) else 1.0
        stored = 0.0 if number == last else _UNIT_ROUNDOFF.get(stage.result.name, 0.0) / math.sqrt(3)
        left_out = times(chosen_method(stage).left_out(stage), own_gain) * scale
        rounded = times(_rounded(stage) + stored, own_gain) * scale
        shares.append(Share(left_out, rounded, gain if rounds else min(gain, 1.0)))
    return Budget(sample_type(dtype).error, "levels" if rounds else "share", tuple(shares))


def _gain(stage: StagePlan) -> float:
    """Return the largest factor from a stage's samples, or an error in them, to its result."""
    operator = stage.stage.operator
    if stage.alpha and not stage.premultiplied and not isinstance(operator, Pooling | Rank | Point):
        return math.inf  # colours are divided by their alpha
    return largest_gain(stage.stage, stage.kernel, stage.scale)


def _rounded(stage: StagePlan) -> float:
    """Return the error of a stage's sums, as a share of the sum of |weight| * |sample|."""
    operator, roundoff = stage.stage.operator, _UNIT_ROUNDOFF[stage.precision]
    is_curve = isinstance(operator, Point) and operator.kind in ACTIVATIONS
    if stage.exact and not is_curve:
        return 0.0
    if is_curve:
        return _UNIT_ROUNDOFF["float64"]
    return roundoff * math.sqrt(chosen_method(stage).terms(stage)) / 3
