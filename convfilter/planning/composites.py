"""Operators that are a chain of others, as stages of their own: what the engine computes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from convfilter.filters.kernels import Kernel
from convfilter.filters.stage import Correlation, Point, Pooling, Stage


def expanded(stages: Iterable[Stage]) -> Iterator[Stage]:
    """Yield the stages, each chain as its parts."""
    for stage in stages:
        operator = stage.operator
        if isinstance(operator, Pooling) and operator.kind == "power":
            yield from _power_pooling(stage, operator)
        else:
            yield stage


def _power_pooling(stage: Stage, operator: Pooling) -> Iterator[Stage]:
    """Yield powers, their sum over each window, to which padding adds nothing, and its root."""
    assert operator.size is not None
    ones = Kernel(factors=(np.ones(operator.size[0]), np.ones(operator.size[1])))
    yield Stage(Point("power", operator.power), name=f"{stage.name}, powers")
    yield Stage(
        Correlation(ones),
        name=f"{stage.name}, sums",
        stride=stage.stride,
        dilation=stage.dilation,
        padding=stage.padding,
        padding_mode="constant",
        ceil=stage.ceil,
    )
    yield Stage(
        Point("power", 1 / operator.power),
        name=f"{stage.name}, roots",
        scale=stage.scale,
        offset=stage.offset,
        map=stage.map,
    )
