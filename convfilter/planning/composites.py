"""Expand composite operators into chains of stages, and size windows of the whole picture.

Composite operators are openings, closings, and pooling with powers. Clips of signed samples become stages, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from convfilter.filters.checks import Pair
from convfilter.filters.kernel import Kernel
from convfilter.filters.network_operators import Layer
from convfilter.filters.operators import Correlation, Morphology, MorphologyKind, Point, Pooling
from convfilter.filters.stage import Padding, Stage
from convfilter.record import replace
from convfilter.sample_types import least_over_white


def expanded(stages: Iterable[Stage]) -> Iterator[Stage]:
    """Yield the stages, with each composite operator replaced by its chain."""
    for stage in stages:
        operator = stage.operator
        if isinstance(operator, Pooling) and operator.kind == "power":
            yield from _power_pooling(stage, operator)
        elif isinstance(operator, Morphology) and operator.kind in ("open", "close"):
            yield from opening(stage)
        else:
            yield turned(stage)


def with_signed_clip(
    stages: Sequence[Stage], dtype: np.dtype[np.generic], white: float | None, stored: np.dtype[np.generic]
) -> list[Stage]:
    """Return the stages with a ``map="clip"`` of signed samples to floats as a stage: they are clipped to their range.

    ``white`` is that of the input, as for ``plan_stack``; integers clip to the range of their own type.
    """
    last, low = stages[-1], least_over_white(dtype, white)
    if last.map != "clip" or stored.kind != "f" or low == 0:
        return [*stages]
    return [*stages[:-1], replace(last, map=None), Stage(Point("clip", low, 1.0), name=f"{last.name}, clip")]


def turned(stage: Stage) -> Stage:
    """Return a layer with ``flip`` as one whose weights are rotated by 180 degrees; others as they are."""
    operator = stage.operator
    if not (stage.flip and isinstance(operator, Layer)):
        return stage
    weight = np.ascontiguousarray(operator.weight[:, :, ::-1, ::-1])
    return replace(stage, operator=replace(operator, weight=weight), flip=False)


def _power_pooling(stage: Stage, operator: Pooling) -> Iterator[Stage]:
    """Yield the power, the sum over each window (padding adds 0), and the root."""
    yield Stage(Point("power", operator.power), name=f"{stage.name}, powers")
    yield Stage(
        Pooling("sum", None) if operator.size is None else _sum(operator.size),
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


def sized(stage: Stage, shape: tuple[int, ...]) -> Stage:
    """Return a stage with a global pooling window sized to a picture of ``shape`` (rows, cols, ...)."""
    operator = stage.operator
    if not isinstance(operator, Pooling) or operator.size is not None:
        return stage
    size = shape[0], shape[1]
    return replace(stage, operator=_sum(size) if operator.kind == "sum" else replace(operator, size=size))


def _sum(size: Pair) -> Correlation:
    """Return the sum over a window."""
    return Correlation(Kernel(factors=(np.ones(size[0]), np.ones(size[1]))))


def opening(stage: Stage, padding: tuple[int, int, int, int] | None = None) -> tuple[Stage, Stage]:
    """Return the two stages of an opening (erosion, dilation) or of a closing (dilation, erosion).

    The second window is rotated by 180 degrees, and the second stage pads below as much as the first pads above, so
    windows with even sides do not shift the picture. ``padding`` (top, bottom, left, right) is the total of both
    stages, by default that of ``stage``.
    """
    operator = stage.operator
    assert isinstance(operator, Morphology)
    kinds: tuple[MorphologyKind, MorphologyKind] = ("erode", "dilate")
    first, second = kinds if operator.kind in ("open", "tophat") else kinds[::-1]
    before: Padding
    after: Padding
    if padding is None and stage.padding in ("same_upper", "same_lower"):  # they depend on the size of the input
        before, after = "same", stage.padding
    else:
        top, bottom, left, right = padding or _both(stage, operator.kernel.shape)
        before = top // 2, bottom - bottom // 2, left // 2, right - right // 2
        after = top - top // 2, bottom // 2, left - left // 2, right // 2
    unmapped = replace(
        stage, operator=Morphology(first, operator.kernel), name=f"{stage.name}, {first}", stride=(1, 1),
        padding=before, ceil=False, scale=1.0, offset=0.0, map=None,
    )  # fmt: skip
    return unmapped, replace(
        stage, operator=Morphology(second, operator.kernel), name=f"{stage.name}, {second}", padding=after
    )


def _both(stage: Stage, window: Pair) -> tuple[int, int, int, int]:
    """Return the total padding of both operations."""
    if not isinstance(stage.padding, str):
        return stage.padding
    down, along = (
        dilation * (side - 1) * {"same": 1, "valid": 0, "full": 2}[stage.padding]
        for dilation, side in zip(stage.dilation, window, strict=True)
    )
    return down, down, along, along
