"""Bound the results between the stages of a stack, and the growth of their rounding errors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

from convfilter.filters.kernel import Kernel
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
from convfilter.filters.stage import Stage
from convfilter.planning.task import Task, gain_of_sums
from convfilter.sample_types import full_scale


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
    if isinstance(operator, Correlation | UnsharpMask | Compass):
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


def times(size: float, gain: float) -> float:
    """Return ``size * gain``, and 0 for a size of 0 even if the gain is infinite."""
    return size * gain if size and gain else 0.0
