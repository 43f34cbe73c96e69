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
from convfilter.filters.network_operators import Join
from convfilter.filters.operators import Pooling
from convfilter.filters.stage import Stage
from convfilter.planning import AxisPlan, plan_stack
from convfilter.planning.composites import expanded
from convfilter.record import NamedTuple, replace
from convfilter.report.exploration_steps import Span, described, goes_across, is_across, patch, steps
from convfilter.sample_types import full_scale, real_of

#: Most channels of a level, for layers across channels.
_MOST_CHANNELS = 16


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
    parts = steps(stages, pixels.shape)
    most = max(step.channels for step in parts)
    if most > _MOST_CHANNELS:
        return f"{most} channels are more than the {_MOST_CHANNELS} that are drawn"
    spans = [patch([each.axes[axis] for each in parts], at[axis]) for axis in (0, 1)]
    if spans[0] is None or spans[1] is None:
        return "the receptive field of one output is too large to be drawn pixel by pixel"
    levels: list[dict[str, Any]] = []
    values = np.empty((0, 0, 0))
    for number in range(len(parts) + 1):
        before, following = (parts[number - 1] if number else None), (parts[number] if number < len(parts) else None)
        ranges = spans[0][number], spans[1][number]
        size = pixels.shape[:2] if before is None else tuple(axis.output for axis in before.axes)
        modes = _modes(following.stage) if following is not None else ("edge", "edge")
        places = [_places(*each) for each in zip(ranges, size, modes, strict=True)]
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
    return {"levels": levels, "stages": [described(step, scale) for step in parts]}


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


def _modes(stage: Stage) -> tuple[str, str]:
    return ("constant", "constant") if isinstance(stage.operator, Pooling) else stage.padding_modes


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
    if len(names) == len(values) and (stage is None or not is_across(stage)):
        return names
    return [f"{'channel' if stage is None else 'map'} {number}" for number in range(len(values))]
