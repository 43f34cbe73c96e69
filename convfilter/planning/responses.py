"""Gains of rounding errors: how much the following stages of a stack enlarge those of a stage's results.

They differ from sample to sample, so they grow less than an error of which only a bound is known (``gains.py``): of
independent errors the variance grows by the sum of the squared weights. Those of a picture that is constant along an
axis are constant along it, too. So along each axis the errors of neighbours are taken as independent or as equal,
whichever grows more. Errors of decimated rows and columns vary as slowly as the window that interpolates them, and
derivatives enlarge them little.

The frequency responses of neighbouring linear stages are multiplied; their mean square, weighted by the spectrum of the
errors, is the growth of the variance (A. Papoulis, "Probability, random variables, and stochastic processes", 1965).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from convfilter.filters.kernel import Kernel, Weights
from convfilter.filters.multirate import Rates
from convfilter.filters.operators import (
    Compass,
    Correlation,
    Gradient,
    Point,
    UnsharpMask,
    WeightedSums,
)
from convfilter.planning.gains import largest_gain
from convfilter.planning.ranges import square, times
from convfilter.planning.stage_plan import StagePlan
from convfilter.record import NamedTuple

#: Frequencies of independent errors, evenly spaced; of interpolated ones, within one over the step.
_FREQUENCIES = 24
#: Frequencies of smooth errors, which change little from sample to sample, are below this.
_SMOOTH = 0.3
#: Most weights of a kernel without factors whose response is computed; that of others is taken as their largest gain.
_MOST_WEIGHTS = 2**12

Responses = np.ndarray[tuple[Any, ...], np.dtype[np.complex128]]


class Spectrum(NamedTuple):
    """Frequencies along an axis, in cycles for each sample, and the share of the errors' power at each.

    The last frequency is 0, with all the power of errors that are equal along the axis; ``shares`` leaves it out.
    """

    frequencies: Weights
    shares: Weights

    @property
    def is_smooth(self) -> bool:
        """Whether errors are interpolated."""
        return float(self.frequencies.max()) < _SMOOTH


def spectrum(rates: Rates | None = None) -> Spectrum:
    """Return the spectrum of independent errors, or of errors that are interpolated from decimated samples."""
    if rates is None:
        return _independent()
    frequencies = np.linspace(-1, 1, _FREQUENCIES) / rates.step
    power = np.abs(_transform(frequencies, rates.decimation)) ** 2
    return Spectrum(np.append(frequencies, 0.0), power / power.sum())


@cache
def _independent() -> Spectrum:
    return Spectrum(np.append(np.arange(_FREQUENCIES) / _FREQUENCIES, 0.0), np.full(_FREQUENCIES, 1 / _FREQUENCIES))


def _selected(spectra: Sequence[Spectrum], stage: StagePlan) -> tuple[list[Spectrum], float]:
    """Return the spectra of errors of which a stage selects one of each window, and the variance that this adds.

    The selected sample is anywhere in the window, over which an interpolated error changes by at most its slope times
    the window. From output to output these changes are independent.
    """
    selected, added = [], 0.0
    for axis, each in zip((stage.rows, stage.cols), spectra, strict=True):
        slope = 4 * math.pi**2 * float((each.frequencies[:-1] ** 2) @ each.shares)
        added += slope * axis.span**2
        selected.append(Spectrum(each.frequencies * axis.stride, each.shares))
    return selected, min(1.0, added)


def gain_of_rounding(stages: Sequence[StagePlan], rows: Spectrum, cols: Spectrum, *, varies: bool) -> float:
    """Return the growth of the standard deviation of rounding errors through ``stages``; infinite if nothing bounds it.

    Parameters
    ----------
    stages : sequence of StagePlan
        The stages after the one that rounds.
    rows, cols : Spectrum
        Spectra of its errors along both axes.
    varies : bool
        Whether they are not equal along an axis.
    """

    def largest_mean(power: Weights) -> float:
        return _largest_mean(power, rows, cols, varies=varies)

    if stages and rows.is_smooth and cols.is_smooth and stages[0].stage.operator.selects:
        selected, added = _selected((rows, cols), stages[0])
        smooth = gain_of_rounding(stages[1:], *selected, varies=varies)
        changes = gain_of_rounding(stages[1:], spectrum(), spectrum(), varies=varies)
        return times(largest_gain(stages[0]), math.hypot(smooth, times(math.sqrt(added), changes)))
    gain, power = 1.0, np.ones((rows.frequencies.size, cols.frequencies.size))
    for stage in stages:
        responses = _responses(stage, rows.frequencies, cols.frequencies)
        if not responses:
            gain = times(gain, times(math.sqrt(largest_mean(power)), largest_gain(stage)))
        else:
            powers = [power * each for each in responses]
            power = powers[0]
            if _is_filter(stage):
                continue
            gain = times(gain, math.sqrt(max(map(largest_mean, powers))))
        # The errors of magnitudes, of extremes and of every second sample have another spectrum.
        rows = cols = spectrum()
        power = np.ones((rows.frequencies.size, cols.frequencies.size))
    return times(gain, math.sqrt(largest_mean(power)))


def _is_filter(stage: StagePlan) -> bool:
    """Whether the result is one weighted sum of the input for every sample of it."""
    linear = isinstance(stage.stage.operator, WeightedSums | Point)
    return linear and stage.rows.stride == stage.cols.stride == 1


def _responses(stage: StagePlan, rows: Weights, cols: Weights) -> list[Weights]:
    """Return the squared magnitudes of a stage's frequency responses, one for each sum of which it takes the largest.

    That of a gradient is the sum of both. None if the stage is no weighted sum.
    """
    operator = stage.stage.operator
    if stage.alpha and not stage.premultiplied:
        return []
    down, along = stage.rows.dilation * rows, stage.cols.dilation * cols

    def power(kernel: Kernel) -> Weights:
        return np.abs(stage.scale * _response(kernel, down, along)) ** 2

    match operator:
        case Correlation():
            return [power(stage.kernel)]
        case UnsharpMask(threshold=0.0):
            blurred = _response(stage.kernel, down, along)
            return [np.abs(stage.scale * (1 + operator.amount * (1 - blurred))) ** 2]
        case Gradient():
            return [power(operator.x) + power(operator.y)]
        case Compass():
            return [power(kernel) for kernel in operator.kernels]
        case Point(kind="bias" | "scale" | "invert"):
            return [np.full((rows.size, cols.size), square(largest_gain(stage)))]
    return []


def _response(kernel: Kernel, rows: Weights, cols: Weights) -> Responses:
    """Return the frequency response of a kernel, about its centre."""
    if kernel.factors is not None:
        column, row = kernel.factors
        return np.outer(_transform(rows, column), _transform(cols, row)) / kernel.divisor
    if kernel.matrix.size > _MOST_WEIGHTS:
        return np.full((rows.size, cols.size), kernel.absolute_sum / abs(kernel.divisor), np.complex128)
    height, width = kernel.shape
    response: Responses = _waves(rows, height) @ kernel.matrix @ _waves(cols, width).T / kernel.divisor
    return response


def _transform(frequencies: Weights, weights: Weights) -> Responses:
    transform: Responses = _waves(frequencies, weights.size) @ weights
    return transform


def _waves(frequencies: Weights, size: int) -> Responses:
    waves: Responses = np.exp(2j * np.pi * np.outer(frequencies, np.arange(size) - (size - 1) // 2))
    return waves


def _largest_mean(power: Weights, rows: Spectrum, cols: Spectrum, *, varies: bool) -> float:
    """Return the largest mean of ``power``, with errors that are independent or equal along each axis."""
    along = np.stack([power[:, :-1] @ cols.shares, power[:, -1]], axis=1)
    both = np.stack([rows.shares @ along[:-1], along[-1]])
    return float(both[0, 0] if varies else both.max())
