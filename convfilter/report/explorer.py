"""Receptive fields on a patch of a picture: the result of each stage, and how each pixel is computed.

The engine computes the numbers, without rounding. The script of the page draws them, finds the receptive field of a
pixel in every earlier stage, and computes the sums. A stack that filters each channel separately is drawn in one
channel, a stack with layers across channels in all channels.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from convfilter.engine.borders import index_map
from convfilter.executor.region import run_region
from convfilter.filters import stack
from convfilter.filters.operators import (
    Correlation,
    Gradient,
    Join,
    Layer,
    NetworkOperator,
    Orientation,
    Point,
    Pooling,
    UnsharpMask,
)
from convfilter.filters.stage import Stage
from convfilter.planning import AxisPlan, full_scale, plan_stack
from convfilter.planning.composites import expanded, sized
from convfilter.record import NamedTuple, replace
from convfilter.report.figures import titled_kernels
from convfilter.sample_types import real_of

#: Most outputs along a side of the patch, and most cells along a side of any grid.
_MOST_OUTPUTS = 12
_MOST_CELLS = 56
#: Most channels of a level, for layers across channels.
_MOST_CHANNELS = 16

Span = tuple[int, int]


def goes_across(stages: Sequence[Stage]) -> bool:
    """Whether a stage computes its outputs from more than one channel."""
    return any(_across(stage) for stage in stages)


def _across(stage: Stage) -> bool:
    operator = stage.operator
    if isinstance(operator, Layer):
        return operator.weight.shape[:2] != (1, 1)
    return isinstance(operator, Orientation | NetworkOperator)


def example(rows: int, cols: int, channel: int = 0) -> npt.NDArray[np.uint8]:
    """Return one channel of an example picture: bright squares on slopes of small numbers; channels differ."""
    row, col = np.mgrid[:rows, 2 * channel : cols + 2 * channel]
    values = (row + 2 * col) % 4
    inside = (row % 9 >= 3) & (row % 9 < 7) & (col % 9 >= 2) & (col % 9 < 6)
    return np.where(inside, 9, values).astype(np.uint8)


def exploration(
    stages: Sequence[Stage],
    pixels: npt.NDArray[Any],
    at: tuple[float, float] = (0.0, 0.0),
    white: float | None = None,
    names: Sequence[str] = (),
) -> dict[str, Any] | str:
    """Compute a patch of a picture through all stages.

    Parameters
    ----------
    stages : sequence of Stage
        First to last.
    pixels : (rows, cols) or (rows, cols, channels) array
        One channel, or all channels for a stack that goes across channels.
    at : (float, float)
        Position of the patch in the result, from 0 (top, left) to 1 (bottom, right).
    white : float, optional
        The sample value of white, by default the full scale of the sample type.
    names : sequence of str
        Names of the channels.

    Returns
    -------
    dict, or str
        ``levels``, from the picture to the result, and ``stages`` between them, for the page's script; or the reason
        why windows cannot be drawn. A level has ``values`` of one channel, or ``maps`` of several, and their ``names``.
    """
    pixels = np.atleast_3d(pixels) if goes_across(stages) else pixels
    stages = [replace(stage, map=None) for stage in expanded(stages)]
    branched = next((stage.name for stage in stages if isinstance(stage.operator, Join)), None)
    if branched is not None:
        return f"{branched} has branches, whose windows differ"
    steps = _steps(stages, pixels.shape)
    most = max(step.channels for step in steps)
    if most > _MOST_CHANNELS:
        return f"{most} channels are more than the {_MOST_CHANNELS} that are drawn"
    spans = [_patch([each.axes[axis] for each in steps], at[axis]) for axis in (0, 1)]
    if spans[0] is None or spans[1] is None:
        return "the receptive field of one output is too large to be drawn pixel by pixel"
    levels: list[dict[str, Any]] = []
    values = np.empty((0, 0, 0))
    for number in range(len(steps) + 1):
        before, following = (steps[number - 1] if number else None), (steps[number] if number < len(steps) else None)
        ranges = spans[0][number], spans[1][number]
        size = pixels.shape[:2] if before is None else tuple(axis.output for axis in before.axes)
        mode = _mode(following.stage) if following is not None else "edge"
        places = [_places(span, length, mode) for span, length in zip(ranges, size, strict=True)]
        if any(not (place >= 0).any() for place in places):
            return "the patch lies entirely in the padding"
        if before is not None and before.spreads:
            values = _spread(values, (levels[-1]["top"], levels[-1]["left"]), before.axes, places)
        else:
            done = stages[: 0 if before is None else before.number + 1]
            values = _values(done, pixels, white, places, None if following is None else following.stage)
        name = "picture" if before is None else before.name
        level = _level(name, (int(size[0]), int(size[1])), *ranges, places)
        if pixels.ndim == 2:
            level["values"] = _as_json(values[0])
        else:
            names = _names(names, values, None if before is None else before.stage)
            level |= {"maps": [_as_json(each) for each in values], "names": list(names)}
        levels.append(level)
    scale = white or full_scale(pixels.dtype)
    return {"levels": levels, "stages": [_described(step, scale) for step in steps]}


def of_channels(
    stages: Sequence[Stage],
    channels: Mapping[str, npt.NDArray[Any]],
    at: tuple[float, float] = (0.0, 0.0),
    white: float | None = None,
) -> dict[str, Any] | str:
    """Compute the same patch of several channels.

    Parameters
    ----------
    stages, at, white
        As for :func:`exploration`.
    channels : mapping of str to (rows, cols) array
        At least one channel, by name.

    Returns
    -------
    dict, or str
        The exploration of the first channel, with ``channels``: the name of each channel, and its values in each level.
        The exploration of all channels if the stack goes across channels.
    """
    if goes_across(stages):
        return exploration(stages, np.stack(list(channels.values()), axis=-1), at, white, tuple(channels))
    named: list[dict[str, Any]] = []
    first: dict[str, Any] = {}
    for name, pixels in channels.items():
        patch = exploration(stages, np.ascontiguousarray(pixels), at, white)
        if isinstance(patch, str):
            return patch
        first = first or patch
        named.append({"name": name, "values": [level["values"] for level in patch["levels"]]})
    return first | {"channels": named}


class Explored(NamedTuple):
    """The result of :func:`of_channels`, and a sentence about the picture."""

    patch: dict[str, Any] | str
    about: str


class _Step(NamedTuple):
    """A step from one level to the next: a stage, or the zero insertion of a transposed convolution.

    Attributes
    ----------
    stage : Stage
    number : int
        Number of the stage, from 0.
    axes : pair of AxisPlan
        Geometry of rows and columns, without inserted zeros.
    channels : int
        Channels of the result.
    spreads : bool
        Whether the step inserts zeros, by the stride of the axes.
    """

    stage: Stage
    number: int
    axes: tuple[AxisPlan, AxisPlan]
    channels: int
    spreads: bool = False

    @property
    def name(self) -> str:
        """Title of the step."""
        return "zeros between samples" if self.spreads else self.stage.name


def _steps(stages: Sequence[Stage], shape: tuple[int, ...]) -> list[_Step]:
    """Return the geometry of each stage on its rows and columns; a transposed convolution is two steps."""
    steps = []
    size = shape
    for number, each in enumerate(stages):
        stage = sized(each, size)
        (planned,) = plan_stack([stage], size, np.float32).stages
        axes = planned.rows, planned.cols
        if any(axis.inserted for axis in axes):
            apart = [AxisPlan(axis.input, 1, axis.step, 1, 0, 0, inserted=axis.inserted) for axis in axes]
            wide = [replace(axis, stride=1) for axis in apart]
            steps.append(_Step(stage, number, (wide[0], wide[1]), planned.channels, True))
            axes = (
                replace(axes[0], input=axes[0].spaced, inserted=0),
                replace(axes[1], input=axes[1].spaced, inserted=0),
            )
        steps.append(_Step(stage, number, axes, planned.output_channels))
        size = planned.rows.output, planned.cols.output, planned.output_channels
    return steps


def _patch(axes: Sequence[AxisPlan], at: float) -> list[Span] | None:
    """Choose outputs of the last stage, and return the range that they read of each level; None if no output fits.

    The larger the receptive field, the fewer outputs fit.
    """
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
    known: npt.NDArray[np.float64],
    firsts: Span,
    axes: tuple[AxisPlan, AxisPlan],
    places: Sequence[npt.NDArray[np.int64]],
) -> npt.NDArray[np.float64]:
    """Return samples of a level with inserted zeros, at ``places``; ``known`` begins at sample ``firsts``."""
    sizes = [axis.step for axis in axes]
    picked = [np.clip(each // step - first, 0, None) for each, step, first in zip(places, sizes, firsts, strict=True)]
    is_sample = [(each >= 0) & (each % step == 0) for each, step in zip(places, sizes, strict=True)]
    rows, cols = np.ix_(*picked)
    values: npt.NDArray[np.float64] = np.where(is_sample[0][:, np.newaxis] & is_sample[1], known[:, rows, cols], 0.0)
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
    """Return the result of the stages at ``places``, channels first, with the padding of the following stage."""
    (top, bottom), (left, right) = ((int(each[each >= 0].min()), int(each.max()) + 1) for each in places)
    if stages:
        real = real_of(pixels.dtype)
        plan = plan_stack(stack.stages(stages), pixels.shape, pixels.dtype, out_dtype=real, white=white)
        part = run_region(plan, pixels, (top, bottom), (left, right), real)
    else:
        part = pixels[top:bottom, left:right]
    part = np.moveaxis(part.reshape(*part.shape[:2], -1), -1, 0)
    rows, cols = np.ix_(np.maximum(places[0] - top, 0), np.maximum(places[1] - left, 0))
    values: npt.NDArray[np.float64] = part[:, rows, cols].astype(np.float64)
    if following is not None:
        is_padding = (places[0] < 0)[:, np.newaxis] | (places[1] < 0)
        values[:, is_padding] = _padding_value(following)
    return values


def _padding_value(stage: Stage) -> float:
    """Return the value of padding; NaN for pooling that ignores padding."""
    if isinstance(stage.operator, Pooling):
        return 0.0 if stage.operator.count_padding else math.nan
    return stage.padding_value


def _level(
    name: str,
    size: Span,
    rows: Span,
    cols: Span,
    places: Sequence[npt.NDArray[np.int64]],
) -> dict[str, Any]:
    """Describe a grid: its size, and the sample index of each drawn row and column."""
    return {
        "name": name,
        "size": list(size),
        "top": rows[0],
        "left": cols[0],
        "rows": places[0].tolist(),
        "cols": places[1].tolist(),
    }


def _as_json(values: npt.NDArray[np.float64]) -> list[list[float | None]]:
    """Round values for the page; NaN and infinities become None."""
    return [[float(f"{value:.7g}") if math.isfinite(value) else None for value in row] for row in values.tolist()]


def _names(names: Sequence[str], values: npt.NDArray[np.float64], stage: Stage | None) -> Sequence[str]:
    """Return the names of a level's channels: those of the level before, unless the stage goes across channels."""
    if len(names) == len(values) and (stage is None or not _across(stage)):
        return names
    return [f"{'channel' if stage is None else 'map'} {number}" for number in range(len(values))]


def _described(step: _Step, white: float) -> dict[str, Any]:
    """Describe how a step computes a pixel from its window."""
    stage, operator = step.stage, step.stage.operator
    if step.spreads:
        pairs: dict[str, Any] = {
            "size": [1, 1],
            "stride": [axis.step for axis in step.axes],
            "dilation": [1, 1],
            "before": [0, 0],
        }
        return {"name": step.name, "kind": "spread", "kernels": [], "scale": 1, "offset": 0, **pairs}
    kernels = [
        {"title": title, "numerators": kernel.matrix.tolist(), "divisor": kernel.divisor}
        for title, kernel in titled_kernels(stage)
        if max(kernel.shape) <= _MOST_CELLS
    ]
    facts: dict[str, Any] = {
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
            facts["kind"] = "sum"
            facts["offset"] += operator.shift
        case Gradient():
            facts["kind"] = "magnitude"
        case UnsharpMask():
            facts |= {"kind": "unsharp", "amount": operator.amount, "threshold": operator.threshold * white}
        case Pooling() if operator.kind != "power":
            facts["kind"] = operator.kind
        case Layer() if _across(stage):
            facts |= {"kind": "mix", "groups": operator.groups, "slots": operator.weight.shape[1]}
            facts |= {"activation": operator.activation, "bias": (operator.bias * white).tolist()}
            weights = operator.weight.reshape(-1, *operator.weight.shape[2:])
            facts["kernels"] = [{"title": "weights", "numerators": each.tolist(), "divisor": 1.0} for each in weights]
        case Layer() if operator.activation == "none":
            facts["kind"] = "sum"
            facts["offset"] += operator.bias[0] * white * stage.scale
            weights = operator.weight[0, 0].tolist()
            facts["kernels"] = [{"title": "weights", "numerators": weights, "divisor": 1.0}]
        case Point():
            facts["kind"] = "point"
        case _ if _across(stage):
            facts |= {"kind": "across", "kernels": []}
    return facts
