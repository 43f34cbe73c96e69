"""Bound the results between the stages of a stack, and the growth of their rounding errors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from convfilter.filters.kernel import Kernel, Weights
from convfilter.filters.operators import (
    ACTIVATIONS,
    Compass,
    Gradient,
    Morphology,
    Point,
    Pooling,
    Rank,
    WeightedSums,
)
from convfilter.filters.stage import Stage
from convfilter.planning.task import Task, gain_of_sums
from convfilter.record import replace
from convfilter.sample_types import full_scale

#: Sine of an angle below which two pairs of weights count as parallel.
_PARALLEL = 1e-12


class Weighted(Protocol):
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


def with_levels(tasks: Sequence[Task]) -> list[Task]:
    """Return the tasks of a stack with their ``levels``."""
    return [replace(task, levels=each) for task, each in zip(tasks, levels(tasks), strict=True)]


def levels(tasks: Sequence[Task]) -> list[float]:
    """Return, for each stage, the largest magnitude of its result, in levels of the stack's final sample type.

    A relative error e of that result is at most e times this many levels in the final result. The magnitude is infinite
    where nothing bounds it: real samples have no range, real results no levels, and division by alpha no largest gain.
    """
    first, last = tasks[0], tasks[-1]
    if first.dtype.kind != "u" or last.result.kind != "u" or first.alpha or last.stage.map == "stretch":
        return [math.inf] * len(tasks)
    full = first.whites[0] if first.whites else full_scale(first.dtype)
    full_out = last.whites[1] if last.whites else full_scale(last.result)
    sizes = largest_magnitudes(tasks, full)
    gains = [1.0]
    for task in reversed(tasks[1:]):
        gains.insert(0, gains[0] * _gain(task))
    return [times(size, gain) * full_out / full for size, gain in zip(sizes, gains, strict=True)]


def largest_magnitudes(stages: Sequence[Weighted], full: float) -> list[float]:
    """Return the largest magnitude of each stage's result, in the levels of samples from ``-full`` to ``full``.

    The magnitude is infinite where nothing bounds it. Division by alpha is left out.
    """
    sizes: list[float] = []
    for stage in stages:
        sizes.append(_size_after(stage, sizes[-1] if sizes else full, full))
    return sizes


def _size_after(task: Weighted, size: float, full: float) -> float:
    """Return the largest magnitude of a stage's result, given that of its input."""
    operator, stage = task.stage.operator, task.stage
    if stage.padding_mode == "constant":
        size = max(size, abs(stage.padding_value))
    size = times(size, _gain(task)) + abs(stage.offset) * full
    if isinstance(operator, Point):
        if operator.kind == "clip":
            return min(size, max(abs(operator.low), abs(operator.high)) * full)
        if operator.kind in ("threshold", "normalize"):
            return full
        return size + {"bias": abs(operator.low) * full, "invert": full}.get(operator.kind, 0.0)
    return size


def _gain(task: Weighted) -> float:
    return largest_gain(task.stage, task.kernel, task.scale)


def largest_gain(stage: Stage, kernel: Kernel, scale: float) -> float:
    """Return the largest factor from an error in a stage's input to its result; infinite where nothing bounds it.

    Parameters
    ----------
    stage : Stage
    kernel : Kernel
        Weights, with ``scale`` the remaining scale of the stage; see ``Task``.
    scale : float
    """
    operator = stage.operator
    if isinstance(operator, WeightedSums | Compass):
        return gain_of_sums(operator, kernel, scale)
    if isinstance(operator, Gradient):
        return math.sqrt(2) * gain_of_sums(operator, kernel, scale)
    if isinstance(operator, Pooling | Rank):
        return abs(stage.scale)
    if isinstance(operator, Morphology):
        return abs(stage.scale) * (2.0 if operator.is_difference else 1.0)
    if isinstance(operator, Point) and operator.kind not in ("normalize", *ACTIVATIONS):
        # A threshold has no gain: an error moves a sample from one side to the other at most.
        return abs(stage.scale) * (abs(operator.low) if operator.kind == "scale" else 1.0)
    return math.inf


def largest_length(one: Weights, other: Weights) -> float:
    """Return the largest ``sqrt(x**2 + y**2)`` of two sums with these weights, of samples from -1 to 1.

    The sums are farthest from 0 in a direction in which each sample pushes them: that of its own pair of weights, or
    against it. So all sums at that distance are found from the directions at which a pair changes its side.
    """
    pairs = np.stack([one.ravel(), other.ravel()])
    pairs = pairs[:, np.any(pairs != 0, axis=0)]
    if not pairs.size:
        return 0.0
    lengths = np.hypot(*pairs)
    across, along = np.stack([-pairs[1], pairs[0]]).T @ pairs, pairs.T @ pairs
    is_parallel = np.abs(across) <= _PARALLEL * np.outer(lengths, lengths)
    across, own = np.where(is_parallel, 0.0, np.sign(across)), np.where(is_parallel, np.sign(along), 0.0)
    ends = (np.concatenate([across + own, across - own]) @ pairs.T).T
    return float(np.hypot(*ends).max())


def square(number: float) -> float:
    """Return ``number * number``, which is infinite beyond float64's range; ``**`` raises an error there."""
    return number * number


def times(size: float, gain: float) -> float:
    """Return ``size * gain``, and 0 for a size of 0 even if the gain is infinite."""
    return size * gain if size and gain else 0.0
