"""Receptive fields on a patch of a picture: the result of each stage, and how it is computed.

The numbers are the engine's, unrounded; the page's script draws them, finds the receptive field of a pixel in every
earlier stage, and computes the sums.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from convfilter.engine.borders import index_map
from convfilter.executor.region import run_region
from convfilter.filters import stack
from convfilter.filters.stage import Correlation, Gradient, Layer, Orientation, Point, Pooling, Stage, UnsharpMask
from convfilter.planning import AxisPlan, full_scale, plan_stack
from convfilter.planning.composites import expanded
from convfilter.record import replace
from convfilter.report.figures import titled_kernels
from convfilter.sample_types import real_of

#: Most outputs along a side of the patch, and most cells along a side of any grid.
_MOST_OUTPUTS = 12
_MOST_CELLS = 56

Span = tuple[int, int]


def example(rows: int, cols: int) -> npt.NDArray[np.uint8]:
    """Return an example picture of small numbers, with a bright square and a slope."""
    row, col = np.mgrid[:rows, :cols]
    values = (row + 2 * col) % 4
    inside = (row % 9 >= 3) & (row % 9 < 7) & (col % 9 >= 2) & (col % 9 < 6)
    return np.where(inside, 9, values).astype(np.uint8)


def exploration(
    stages: Sequence[Stage],
    pixels: npt.NDArray[Any],
    at: tuple[float, float] = (0.0, 0.0),
    white: float | None = None,
) -> dict[str, Any] | str:
    """Compute a patch of a picture through all stages.

    Parameters
    ----------
    stages : sequence of Stage
        First to last.
    pixels : (rows, cols) array
        One channel.
    at : (float, float)
        Position of the patch in the result, from 0 (top, left) to 1 (bottom, right).
    white : float, optional
        The value of white, by default the full scale of the sample type.

    Returns
    -------
    dict, or str
        ``levels``, from the picture to the result, and ``stages`` between them, for the page's script; or the reason
        why there are none.
    """
    for stage in stages:
        if isinstance(stage.operator, Orientation) or (
            isinstance(stage.operator, Layer) and stage.operator.weight.shape[:2] != (1, 1)
        ):
            return f"{stage.name} goes across channels, of which one is drawn"
    stages = [replace(stage, map=None) for stage in expanded(stages)]
    steps = _steps(stages, pixels.shape)
    spans = [_patch([each.axes[axis] for each in steps], at[axis]) for axis in (0, 1)]
    if spans[0] is None or spans[1] is None:
        return "what one output sees is too large to be drawn pixel by pixel"
    levels: list[dict[str, Any]] = []
    for number in range(len(steps) + 1):
        before, following = (steps[number - 1] if number else None), (steps[number] if number < len(steps) else None)
        ranges = spans[0][number], spans[1][number]
        size = pixels.shape if before is None else tuple(axis.output for axis in before.axes)
        mode = _mode(following.stage) if following is not None else "edge"
        places = [_places(span, length, mode) for span, length in zip(ranges, size, strict=True)]
        if any(not (place >= 0).any() for place in places):
            return "the patch lies in the padding altogether"
        if before is not None and before.spreads:
            values = _spread(levels[-1], before.axes, places)
        else:
            done = stages[: 0 if before is None else before.number + 1]
            values = _values(done, pixels, white, places, None if following is None else following.stage)
        name = "picture" if before is None else before.name
        levels.append(_level(name, (int(size[0]), int(size[1])), *ranges, places, values))
    scale = white or full_scale(pixels.dtype)
    return {"levels": levels, "stages": [_described(step, scale) for step in steps]}


def of_channels(
    stages: Sequence[Stage],
    channels: Mapping[str, npt.NDArray[Any]],
    at: tuple[float, float] = (0.0, 0.0),
    white: float | None = None,
) -> dict[str, Any] | str:
    """Work out the same patch of several channels.

    Parameters
    ----------
    stages, at, white
        As for :func:`exploration`.
    channels : mapping of str to (rows, cols) array
        By their names; at least one.

    Returns
    -------
    dict, or str
        That of the first channel, and ``channels``: the name of each, and its values in each level.
    """
    named: list[dict[str, Any]] = []
    first: dict[str, Any] = {}
    for name, pixels in channels.items():
        found = exploration(stages, np.ascontiguousarray(pixels), at, white)
        if isinstance(found, str):
            return found
        first = first or found
        named.append({"name": name, "values": [level["values"] for level in found["levels"]]})
    return first | {"channels": named}


class Explored(NamedTuple):
    """What :func:`of_channels` found, and a sentence about the picture."""

    found: dict[str, Any] | str
    about: str


class _Step(NamedTuple):
    """A step from one level to the next: a stage, or the zero insertion of a transposed convolution.

    Attributes
    ----------
    stage : Stage
    number : int
        Of the stage, from 0.
    axes : pair of AxisPlan
        Geometry of rows and columns, without inserted zeros.
    spreads : bool
        Whether the step inserts zeros, by the stride of the axes.
    """

    stage: Stage
    number: int
    axes: tuple[AxisPlan, AxisPlan]
    spreads: bool = False

    @property
    def name(self) -> str:
        """Title of the step."""
        return "zeros between samples" if self.spreads else self.stage.name


def _steps(stages: Sequence[Stage], shape: tuple[int, ...]) -> list[_Step]:
    """Return the geometry of each stage on its rows and columns; a transposed convolution is two steps."""
    steps = []
    size = shape[:2]
    for number, stage in enumerate(stages):
        (planned,) = plan_stack([stage], size, np.float32).stages
        axes = planned.rows, planned.cols
        if any(axis.inserted for axis in axes):
            apart = [AxisPlan(axis.input, 1, axis.step, 1, 0, 0, inserted=axis.inserted) for axis in axes]
            wide = [replace(axis, stride=1) for axis in apart]
            steps.append(_Step(stage, number, (wide[0], wide[1]), True))
            axes = (
                replace(axes[0], input=axes[0].spaced, inserted=0),
                replace(axes[1], input=axes[1].spaced, inserted=0),
            )
        steps.append(_Step(stage, number, axes))
        size = planned.rows.output, planned.cols.output
    return steps


def _patch(axes: Sequence[AxisPlan], at: float) -> list[Span] | None:
    """Choose outputs of the last stage and the visible range of each level; larger fields allow fewer outputs."""
    last = axes[-1].output
    for count in range(min(_MOST_OUTPUTS, last), 0, -1):
        first = round(at * (last - count))
        spans = [(first, first + count)]
        for axis in reversed(axes):
            low, high = max(spans[0][0], 0), min(spans[0][1], axis.output)
            if axis.inserted:
                spans.insert(0, (low // axis.step, (high - 1) // axis.step + 1))
            else:
                end = (high - 1) * axis.stride - axis.before + axis.span + 1
                spans.insert(0, (low * axis.stride - axis.before, end))
        if max(high - low for low, high in spans) <= _MOST_CELLS:
            return spans
    return None


def _spread(
    level: dict[str, Any], axes: tuple[AxisPlan, AxisPlan], places: Sequence[npt.NDArray[np.int64]]
) -> npt.NDArray[np.float64]:
    """Return the samples of a level with inserted zeros, at some places."""
    known = np.array(level["values"], np.float64)
    sizes = [axis.step for axis in axes]
    firsts = level["top"], level["left"]
    picked = [np.clip(each // step - first, 0, None) for each, step, first in zip(places, sizes, firsts, strict=True)]
    there = [(each >= 0) & (each % step == 0) for each, step in zip(places, sizes, strict=True)]
    values: npt.NDArray[np.float64] = np.where(there[0][:, np.newaxis] & there[1], known[np.ix_(*picked)], 0.0)
    return values


def _mode(stage: Stage) -> str:
    return "constant" if isinstance(stage.operator, Pooling) else stage.padding_mode


def _places(span: Span, size: int, mode: str) -> npt.NDArray[np.int64]:
    """Return the sample index of each place, -1 for constant padding."""
    low, high = span
    if mode == "constant":
        places = np.arange(low, high)
        return np.where((places >= 0) & (places < size), places, -1)
    return np.asarray(index_map(size, -low, high - low, mode), np.int64)


def _values(
    stages: Sequence[Stage],
    pixels: npt.NDArray[Any],
    white: float | None,
    places: Sequence[npt.NDArray[np.int64]],
    following: Stage | None,
) -> npt.NDArray[np.float64]:
    """Return the results of some stages at some places, including the padding of the next stage."""
    (top, bottom), (left, right) = ((int(each[each >= 0].min()), int(each.max()) + 1) for each in places)
    if stages:
        real = real_of(pixels.dtype)
        plan = plan_stack(stack.stages(stages), pixels.shape, pixels.dtype, out_dtype=real, white=white)
        part = run_region(plan, pixels, (top, bottom), (left, right), real)[..., 0]
    else:
        part = pixels[top:bottom, left:right]
    rows, cols = np.maximum(places[0] - top, 0), np.maximum(places[1] - left, 0)
    values: npt.NDArray[np.float64] = part[np.ix_(rows, cols)].astype(np.float64)
    if following is not None:
        made_up = (places[0] < 0)[:, np.newaxis] | (places[1] < 0)
        values[made_up] = _beyond(following)
    return values


def _beyond(stage: Stage) -> float:
    """Return the value of padding; NaN if padding is ignored."""
    if isinstance(stage.operator, Pooling):
        return 0.0 if stage.operator.count_padding else math.nan
    return stage.padding_value


def _level(
    name: str,
    size: Span,
    rows: Span,
    cols: Span,
    places: Sequence[npt.NDArray[np.int64]],
    values: npt.NDArray[np.float64],
) -> dict[str, Any]:
    """Describe a grid: its size, the drawn rows and columns, the sources of padding, and all values."""
    rounded = [[float(f"{value:.7g}") if math.isfinite(value) else None for value in row] for row in values.tolist()]
    return {
        "name": name,
        "size": list(size),
        "top": rows[0],
        "left": cols[0],
        "rows": places[0].tolist(),
        "cols": places[1].tolist(),
        "values": rounded,
    }


def _described(step: _Step, white: float) -> dict[str, Any]:
    """Describe how a step computes a pixel from its window."""
    stage, operator = step.stage, step.stage.operator
    if step.spreads:
        pairs = {"size": [1, 1], "stride": [axis.step for axis in step.axes], "dilation": [1, 1], "before": [0, 0]}
        return {"name": step.name, "kind": "spread", "kernels": [], "scale": 1, "offset": 0, **pairs}
    kernels = [
        {"title": title, "numerators": kernel.matrix.tolist(), "divisor": kernel.divisor}
        for title, kernel in titled_kernels(stage)
        if max(kernel.shape) <= _MOST_CELLS
    ]
    found: dict[str, Any] = {
        "name": stage.name,
        "kind": "window",
        "kernels": kernels,
        "size": [axis.kernel for axis in step.axes],
        "stride": [axis.stride for axis in step.axes],
        "dilation": [axis.dilation for axis in step.axes],
        "before": [axis.before for axis in step.axes],
        "scale": stage.scale,
        "offset": stage.offset * white,
    }
    match operator:
        case Correlation():
            found["kind"] = "sum"
            found["offset"] += operator.shift
        case Gradient():
            found["kind"] = "magnitude"
        case UnsharpMask():
            found |= {"kind": "unsharp", "amount": operator.amount, "threshold": operator.threshold * white}
        case Pooling() if operator.kind != "power":
            found["kind"] = operator.kind
        case Layer() if operator.activation == "none":
            found["kind"] = "sum"
            found["offset"] += operator.bias[0] * white * stage.scale
            weights = operator.weight[0, 0].tolist()
            found["kernels"] = [{"title": "weights", "numerators": weights, "divisor": 1.0}]
        case Point():
            found["kind"] = "point"
    return found
