"""Where the error of a plan comes from, stage by stage, beside what is promised for its results.

Before it is rounded, a result is promised to be within a number of levels of the exact value (see ``docs/engine.md``).
Two errors of a stage count against that: weights that the method misplaces or leaves out, and the rounding of sums.
The gain of the following stages multiplies both.

The first error is a bound: no picture exceeds it. The second is the standard deviation of a sum of independent
roundings (N. J. Higham, "Accuracy and stability of numerical algorithms", 2nd ed., SIAM 2002, section 2.8). The partial
sums of n terms grow evenly to S, and each addition rounds by up to u times the partial sum, evenly spread: u S sqrt(n)
/ 3.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from convfilter.filters.multirate import Rates
from convfilter.filters.stage import (
    ACTIVATIONS,
    Layer,
    Morphology,
    Orientation,
    Point,
    Pooling,
    Rank,
)
from convfilter.planning.gains import largest_gain, times
from convfilter.planning.plan import Plan
from convfilter.planning.stage_plan import StagePlan
from convfilter.sample_types import full_scale, is_whole

Weights = npt.NDArray[np.float64]

#: Promised error before rounding, in levels; of real results, a share of the sum of |weight| * |sample|.
PROMISED = {"uint8": 1e-3, "uint16": 1 / 16, "float32": 2e-6, "int16": 1e-3, "uint32": 1e-3, "float64": 1e-12}
_UNIT_ROUNDOFF = {"float32": 2.0**-24, "float64": 2.0**-53}


class Share(NamedTuple):
    """The error of one stage, in the unit of the budget.

    Attributes
    ----------
    left_out : float
        From weights that the method misplaces or leaves out; a bound.
    rounded : float
        From the rounding of sums and of the result passed to the next stage; a standard deviation.
    gain : float
        Factor by which the following stages enlarge both; infinite where nothing bounds it.
    """

    left_out: float
    rounded: float
    gain: float

    @property
    def total(self) -> float:
        """Both errors in the result of the stack."""
        own = self.left_out + self.rounded
        return times(own, self.gain)


class Budget(NamedTuple):
    """The error of a plan.

    Attributes
    ----------
    promised : float
        Promised error of the result.
    unit : {"levels", "share"}
        Levels of whole results; for real ones, a share of the sum of |weight| * |sample|.
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
        Of the result, by default that of the input.
    """
    dtype = np.dtype(out_dtype or plan.dtype)
    whole = is_whole(dtype)
    scale = full_scale(dtype) if whole else 1.0
    gains = [1.0]
    for stage in plan.stages[:0:-1]:
        gains.insert(0, gains[0] * _gain(stage))
    last = len(plan.stages) - 1
    shares = []
    for number, (stage, gain) in enumerate(zip(plan.stages, gains, strict=True)):
        own = _gain(stage) if whole and not isinstance(stage.stage.operator, Point) else 1.0
        stored = 0.0 if number == last else _UNIT_ROUNDOFF[plan.between.name] / math.sqrt(3)
        left_out = times(_left_out(stage), own) * scale
        rounded = times(_rounded(stage) + stored, own) * scale
        shares.append(Share(left_out, rounded, gain if whole else min(gain, 1.0)))
    return Budget(PROMISED[dtype.name], "levels" if whole else "share", tuple(shares))


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
    if (stage.exact and not is_curve) or isinstance(operator, Morphology | Rank):
        return 0.0
    if is_curve:
        return _UNIT_ROUNDOFF["float64"]
    if isinstance(operator, Pooling) and operator.kind != "average":
        return 0.0
    rows, cols = stage.kernel.shape
    match stage.algorithm:
        case "points":
            terms = 3
        case "separable" | "lowrank":
            terms = rows + cols
        case "multirate":
            terms = sum(
                size if each is None else each.down.size + each.middle.size + each.up.shape[1]
                for each, size in zip(stage.rates, (rows, cols), strict=True)
            )
        case "fourier":
            side = max(stage.sides)
            terms = int(4 * math.log2(max(side, 2))) ** 2
        case _:
            terms = stage.kernel.nonzeros
    if isinstance(operator, Layer):
        terms = int(operator.weight[0].size)
    if isinstance(operator, Orientation):
        terms = 9
    return roundoff * math.sqrt(max(1, terms)) / 3


def _left_out(stage: StagePlan) -> float:
    """Return the visible share of the kernel's weight that the method misplaces or leaves out."""
    if stage.algorithm == "lowrank":
        matrix = stage.kernel.matrix
        made = sum((np.outer(down, along) for down, along in stage.products), np.zeros_like(matrix))
        return float(np.abs(matrix - made).sum() / stage.kernel.absolute_sum)
    if stage.algorithm == "multirate" and stage.kernel.factors is not None:
        return sum(misplaced(each, factor) for each, factor in zip(stage.rates, stage.kernel.factors, strict=True))
    return 0.0


def misplaced(rates: Rates | None, weights: Weights) -> float:
    """Return the largest error along a decimated axis, as a share of the range of its samples.

    The differences from the Gaussian's weights sum to zero, so half of their magnitudes counts.

    Parameters
    ----------
    rates : Rates or None
        None: the axis is computed tap by tap.
    weights : odd-length array
        Weights of the Gaussian.

    Returns
    -------
    float
        The largest of all phases.
    """
    if rates is None:
        return 0.0
    wanted = weights / math.fsum(weights)
    return max(_phase_misplaced(rates, phase, wanted) for phase in range(rates.step))


def _phase_misplaced(rates: Rates, phase: int, wanted: Weights) -> float:
    on_coarse = np.convolve(rates.up[phase], rates.middle)
    spread = np.zeros((on_coarse.size - 1) * rates.step + 1)
    spread[:: rates.step] = on_coarse
    made = np.convolve(spread, rates.down)
    # Position of the first weight, counted from the output.
    first = rates.step * (rates.up_first - rates.middle_reach) - rates.down_reach - phase
    start = min(first, -(wanted.size // 2))
    end = max(first + made.size, wanted.size // 2 + 1)
    difference = np.zeros(end - start)
    difference[first - start : first - start + made.size] += made
    difference[-(wanted.size // 2) - start : wanted.size // 2 + 1 - start] -= wanted
    return float(np.abs(difference).sum()) / 2
