"""Gains: the largest factor from an error in a stage's input to its result, and levels of results that follow."""

from __future__ import annotations

import math
from collections.abc import Sequence

from convfilter.filters.operators import (
    ACTIVATIONS,
    Compass,
    Gradient,
    Morphology,
    Point,
    Pooling,
    Rank,
    UnsharpMask,
    WeightedSums,
)
from convfilter.planning.ranges import Planned, ranges, times
from convfilter.planning.task import Task, gain_of_sums
from convfilter.record import replace
from convfilter.sample_types import full_scale


def largest_gain(stage: Planned) -> float:
    """Return the largest factor from an error in a stage's input, up to a bound, to its result.

    It is infinite where nothing bounds it: where colours are divided by their alpha, where an error moves a sample to
    the other side of a threshold, and where the range of the results decides (``map=stretch``).
    """
    operator = stage.stage.operator
    if stage.alpha and not stage.premultiplied and not isinstance(operator, Pooling | Rank | Point):
        return math.inf
    has_threshold = isinstance(operator, UnsharpMask) and operator.threshold > 0
    if has_threshold or stage.stage.map == "stretch" or (isinstance(operator, Point) and operator.kind == "threshold"):
        return math.inf
    return _gain_on_a_side(stage)


def _gain_on_a_side(stage: Planned) -> float:
    """Return the gain of an error that moves no sample to the other side of a threshold."""
    operator, scale = stage.stage.operator, abs(stage.stage.scale)
    if isinstance(operator, WeightedSums | Compass):
        return gain_of_sums(operator, stage.kernel, stage.scale)
    if isinstance(operator, Gradient):
        return operator.largest_length * abs(stage.scale)
    if isinstance(operator, Pooling | Rank):
        return scale
    if isinstance(operator, Morphology):
        return scale * (2.0 if operator.is_difference else 1.0)
    if isinstance(operator, Point) and operator.kind not in ("normalize", *ACTIVATIONS):
        return scale * (abs(operator.low) if operator.kind == "scale" else 1.0)
    return math.inf


def with_levels(tasks: Sequence[Task]) -> list[Task]:
    """Return the tasks of a stack with their ``levels``."""
    return [replace(task, levels=each) for task, each in zip(tasks, _levels(tasks), strict=True)]


def _levels(tasks: Sequence[Task]) -> list[float]:
    """Return, for each stage, the largest magnitude of its result, in levels of the stack's final sample type.

    A relative error e of that result is at most e times this many levels in the final result. The magnitude is infinite
    where nothing bounds it: real samples have no range, real results no levels, and some stages no largest gain. What a
    threshold makes of an error, no precision bounds; so the levels are those of samples that stay on their side.
    """
    first, last = tasks[0], tasks[-1]
    if first.dtype.kind != "u" or last.result.kind != "u" or first.alpha or last.stage.map == "stretch":
        return [math.inf] * len(tasks)
    full = first.whites[0] if first.whites else full_scale(first.dtype)
    full_out = last.whites[1] if last.whites else full_scale(last.result)
    gains = [1.0]
    for task in reversed(tasks[1:]):
        gains.insert(0, gains[0] * _gain_on_a_side(task))
    results = ranges(tasks, first.dtype, full)[1:]
    return [times(result.size, gain) * full_out / full for result, gain in zip(results, gains, strict=True)]
