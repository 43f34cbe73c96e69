"""Choose the type of sums: float32 where it keeps every promise about errors (``docs/engine.md``), else float64."""

from __future__ import annotations

from math import prod
from typing import Literal, TypeAlias

import numpy as np

from convfilter.filters.multirate import COARSE, FINE, FINEST, Quality
from convfilter.filters.stage import (
    Bilateral,
    Correlation,
    Gradient,
    Layer,
    Morphology,
    NetworkOperator,
    Pooling,
    Rank,
    UnsharpMask,
)
from convfilter.planning.task import Task
from convfilter.sample_types import full_scale

Precision: TypeAlias = Literal["float32", "float64"]

#: Largest magnitude up to which float32 holds every integer.
_SINGLE_WHOLE = 2.0**24
#: Largest sum of whole weights on valid pixels by which a float32 quotient of at most 255 still rounds to the right
#: integer.
_SINGLE_WEIGHTS = 2.0**15
#: Most levels of float32 sums: their rounding error is then 0.0002 of a level at 8 bits (0.001 is promised), and 0.03
#: of a level at 16 bits (1/16 is promised).
_SINGLE_LEVELS = {"uint8": 2.0**12, "uint16": 2.0**17}
#: A float32 transform spreads the rounding of the brightest sample over its tile, so its limit is lower.
_SINGLE_TRANSFORM_LEVELS = {"uint8": 2.0**9, "uint16": 0.0, "float32": 0.0}
#: Real results of more taps than this are summed in float64, to stay within 2e-6 of sum |w||x|.
_SINGLE_TAPS = 256
#: Products of samples with weights beyond these magnitudes leave float32's range or precision.
_SINGLE_RANGE = (1e-25, 1e25)

#: Weight that a method may omit, in levels of the result: too little to affect the share of equal samples.
UNSEEN_LEVELS = {"uint8": 2e-4, "uint16": 1e-2}
#: The same for real results, as a share of the sum of the weights' magnitudes.
UNSEEN_SHARE = 1e-7


def precision(task: Task, algorithm: str) -> Precision:
    """Choose the type of the sums of ``task``."""
    return "float32" if _fits_single(task, algorithm) else "float64"


def _fits_single(task: Task, algorithm: str) -> bool:
    operator, kernel = task.stage.operator, task.kernel
    if task.accuracy == "float64":
        return False
    if isinstance(operator, NetworkOperator):
        return False
    if isinstance(operator, Bilateral):
        return True  # it sums differences from the centre pixel
    if isinstance(operator, Layer):
        return _layer_fits_single(task, operator)
    if isinstance(operator, Pooling) and operator.kind != "average":
        return task.dtype.name != "uint16" or not task.alpha
    if isinstance(operator, Rank | Morphology):
        return task.dtype.name != "uint16" or not (task.alpha or task.gray)
    if not _weights_fit(task):
        return False
    if task.stage.map == "stretch" and task.result.kind == "u" and not task.is_exact:
        return False  # stretching a small range would magnify its rounding errors
    if algorithm == "fourier":
        return task.gain * task.largest_term <= _SINGLE_TRANSFORM_LEVELS[task.accuracy]
    if task.is_exact and task.mask:
        return _exact_in_single(task) and task.kernel.absolute_sum * abs(task.kernel.divisor) <= _SINGLE_WEIGHTS
    if task.is_exact:
        return not task.alpha and _exact_in_single(task)
    if task.is_bounded:
        return False
    if isinstance(operator, Gradient) and task.stored is not None and task.levels < np.inf:
        return task.levels <= _SINGLE_LEVELS[task.stored.name]
    if task.accuracy == "float32":
        taps = sum(kernel.shape) if algorithm == "separable" else prod(kernel.shape)
        return isinstance(operator, Correlation) and (algorithm == "multirate" or taps <= _SINGLE_TAPS)
    return task.gain * full_scale(task.accuracy) <= _SINGLE_LEVELS[task.accuracy]


def _exact_in_single(task: Task) -> bool:
    reach = task.kernel.absolute_sum * task.largest_term
    if not isinstance(task.stage.operator, Gradient):
        return reach <= _SINGLE_WHOLE
    # The squares must be integers too; where the result is clipped at 255, only those below 255**2 matter.
    clipped = full_scale(task.dtype) <= 255 and abs(task.scale) >= 1 and task.stage.map != "stretch" and not task.gray
    return reach <= _SINGLE_WHOLE and (clipped or reach * reach / 2 <= _SINGLE_WHOLE)


def _layer_fits_single(task: Task, layer: Layer) -> bool:
    """Whether float32 sums of each output channel are exact, or as accurate as the result has to be."""
    magnitudes = np.abs(layer.weight[layer.weight != 0])
    low, high = _SINGLE_RANGE
    if magnitudes.size and not low <= magnitudes.min() <= magnitudes.max() <= high:
        return False
    if (task.stored or task.result).kind == "f" and bool((layer.weight >= 0).all(axis=(1, 2, 3)).any()):
        return False  # such a channel stays within the bounds of its windows, as a filter does: see ``Task.is_bounded``
    if task.dtype.kind != "u":
        return True
    reach, whole = layer.reach
    accurate = np.full(whole.shape, task.accuracy == "float32")
    if task.accuracy in _SINGLE_LEVELS and task.stage.map != "stretch":
        levels = abs(task.scale) * full_scale(task.accuracy) * reach / layer.fractions[1]
        accurate = levels <= _SINGLE_LEVELS[task.accuracy]
    return bool(np.where(whole, reach * task.largest_term <= _SINGLE_WHOLE, accurate).all())


def _weights_fit(task: Task) -> bool:
    low, high = _SINGLE_RANGE
    parts = task.kernel.factors if task.kernel.factors is not None else (task.kernel.matrix,)
    if task.kernel.sigma is None and not task.kernel.is_whole:
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
    """Choose the outer Gaussians of the multirate method: the coarse ones if their error is small beside a level."""
    operator = task.stage.operator
    amplified = abs(task.scale) > 1 or task.stage.map == "stretch"
    if isinstance(operator, UnsharpMask):
        amplified = amplified or abs(operator.amount) > 1 or operator.threshold > 0
    if amplified or (task.alpha and task.mask != "dense") or task.accuracy == "float32":
        return FINEST
    return COARSE if task.accuracy == "uint8" else FINE
