"""Where float32 sums keep every promise about errors (``docs/engine.md``), and how much weight a method may omit."""

from __future__ import annotations

import math
from typing import Literal, TypeAlias

import numpy as np

from convfilter.filters.multirate import COARSE, FINE, Quality
from convfilter.filters.operators import Correlation, Gradient, UnsharpMask
from convfilter.planning.task import Task
from convfilter.sample_types import full_scale

Precision: TypeAlias = Literal["float32", "float64"]

#: Largest magnitude up to which float32 holds every integer.
SINGLE_WHOLE = 2.0**24
#: Largest product of a sum of whole weights on valid pixels with the divisor.
_SINGLE_WEIGHTS = 2.0**15
#: Most levels of float32 sums: their rounding error is then 0.0002 of a level at 8 bits (0.001 is promised), and 0.03
#: of a level at 16 bits (1/16 is promised).
SINGLE_LEVELS = {"uint8": 2.0**12, "uint16": 2.0**17}
#: Real results of more taps than this are summed in float64, to stay within 2e-6 of sum |w||x|.
_SINGLE_TAPS = 256
#: Products of samples with weights beyond these magnitudes leave float32's range or precision.
SINGLE_RANGE = (1e-25, 1e25)

#: Weight that a method may omit, in levels of the result: too little to affect the share of equal samples.
UNSEEN_LEVELS = {"uint8": 2e-4, "uint16": 1e-2}
#: The same for real results, as a share of the sum of the weights' magnitudes.
UNSEEN_SHARE = 1e-7


def sums_fit(task: Task, taps: int | None = None) -> bool:
    """Whether float32 keeps the promises for weighted sums.

    Parameters
    ----------
    task : Task
        Without samples that need float64.
    taps : int, optional
        Terms of a sum, which limit sums of real samples; by default, the kernel's taps.
    """
    operator = task.stage.operator
    if not weights_fit(task):
        return False
    if task.is_exact and task.mask:
        return _exact_in_single(task) and _exact_with_mask(task)
    if task.is_exact:
        return not task.alpha and _exact_in_single(task)
    if task.is_bounded:
        return False
    if isinstance(operator, Gradient) and task.stored is not None and task.levels < np.inf:
        return task.levels <= SINGLE_LEVELS[task.stored.name]
    if task.accuracy == "float32":
        taps = math.prod(task.kernel.shape) if taps is None else taps
        return isinstance(operator, Correlation) and taps <= _SINGLE_TAPS
    return task.gain * full_scale(task.accuracy) <= SINGLE_LEVELS[task.accuracy]


def samples_fit(task: Task) -> bool:
    """Whether float32 holds all samples that are compared, multiplied by alpha or weighed to a luminance."""
    return task.dtype.name != "uint16" or not (task.alpha or task.gray)


def _exact_in_single(task: Task) -> bool:
    reach = task.kernel.absolute_sum * task.largest_term
    if not isinstance(task.stage.operator, Gradient):
        return reach <= SINGLE_WHOLE
    # The squares must be integers too; where the result is clipped at 255, only those below 255**2 matter.
    clipped = full_scale(task.dtype) <= 255 and abs(task.scale) >= 1 and task.stage.map != "stretch" and not task.gray
    return reach <= SINGLE_WHOLE and (clipped or reach * reach / 2 <= SINGLE_WHOLE)


def _exact_with_mask(task: Task) -> bool:
    """Whether a float32 quotient of exact sums with a mask rounds to the right integer, ties included.

    The epilogue multiplies the sums of colours by ``of_mean``, and those of the mask by ``of_colours``. A quotient
    that is not a tie is at least half the reciprocal of its divisor away from one.
    """
    kernel = task.kernel
    of_mean, of_colours = reduced(kernel.numerator_sum, kernel.divisor)
    largest, weights = kernel.absolute_sum * task.largest_term * abs(of_mean), kernel.absolute_sum * abs(of_colours)
    return weights <= _SINGLE_WEIGHTS and max(largest, weights * full_scale(task.dtype)) <= SINGLE_WHOLE


def reduced(one: float, other: float) -> tuple[float, float]:
    """Divide two integers by their greatest common divisor, so that fewer divisions round."""
    if not (one.is_integer() and other.is_integer()):
        return one, other
    common = math.gcd(int(one), int(other))
    return one / common, other / common


def weights_fit(task: Task) -> bool:
    """Whether products with the weights keep within float32's range and precision, and the result is not stretched."""
    if task.stage.map == "stretch" and task.result.kind == "u" and not task.is_exact:
        return False  # stretching a small range would magnify its rounding errors
    low, high = SINGLE_RANGE
    parts = task.kernel.factors if task.kernel.factors is not None else (task.kernel.matrix,)
    if task.kernel.sigma is None and not task.kernel.has_integer_numerators:
        magnitudes = np.abs(np.concatenate([part.ravel() for part in parts]))
        if np.any((magnitudes > 0) & (magnitudes < low)):
            return False
    numbers = (task.kernel.absolute_sum, abs(task.kernel.divisor), abs(task.scale), abs(task.stage.padding_value))
    return max(numbers) <= high and (task.scale == 0 or abs(task.scale) >= low)


def unseen(task: Task) -> float:
    """Return the magnitude of numerators that may be omitted."""
    if task.accuracy == "float32":
        return UNSEEN_SHARE * task.kernel.absolute_sum
    if task.gives_whole_numbers:
        return 0.25 / task.largest_term
    if task.accuracy == "float64" or task.is_exact or task.alpha or task.stage.map == "stretch":
        return 0.0
    levels = UNSEEN_LEVELS[task.accuracy] / full_scale(task.accuracy)
    return levels * abs(task.kernel.divisor) / abs(task.scale) if task.scale else 0.0


def quality(task: Task) -> Quality:
    """Choose the windows of the multirate method: the short ones if their error is small compared with a level."""
    operator = task.stage.operator
    amplified = abs(task.scale) > 1 or task.stage.map == "stretch"
    if isinstance(operator, UnsharpMask):
        amplified = amplified or abs(operator.amount) > 1 or operator.threshold > 0
    is_fine = amplified or (task.alpha and task.mask != "dense") or task.accuracy != "uint8"
    return FINE if is_fine else COARSE
