"""What an output sees: a patch of a picture, each stage's result on it, and how one becomes the next.

The numbers are the engine's own, unrounded; the page's script draws them, finds the window of a pixel in every stage
before it, and works the sums out.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from convfilter.engine.borders import index_map
from convfilter.executor.region import run_region
from convfilter.filters import stack
from convfilter.filters.stage import Correlation, Gradient, Layer, Orientation, Point, Pooling, Stage, UnsharpMask
from convfilter.planning import AxisPlan, plan_stack
from convfilter.report.figures import titled_kernels
from convfilter.report.markup import shown

#: Outputs along a side of the patch, and cells along a side of any grid, at most.
_MOST_OUTPUTS = 12
_MOST_CELLS = 56

Span = tuple[int, int]


def example(rows: int, cols: int) -> npt.NDArray[np.uint8]:
    """Return a picture to be read cell by cell: small numbers, a bright square, a slope."""
    row, col = np.mgrid[:rows, :cols]
    values = (row + 2 * col) % 4
    inside = (row % 9 >= 3) & (row % 9 < 7) & (col % 9 >= 2) & (col % 9 < 6)
    return np.where(inside, 9, values).astype(np.uint8)


def exploration(
    stages: Sequence[Stage], pixels: npt.NDArray[Any], at: tuple[float, float] = (0.0, 0.0)
) -> dict[str, Any] | str:
    """Work out a patch of a picture through all stages.

    Parameters
    ----------
    stages : sequence of Stage
        First to last.
    pixels : (rows, cols) array of uint8, uint16 or float32
        One channel.
    at : (float, float)
        Where the patch lies in the result, from 0 (top, left) to 1 (bottom, right).

    Returns
    -------
    dict, or str
        ``levels``, from the picture to the result, and ``stages`` between them, for the page's script; or why there
        are none.
    """
    for stage in stages:
        if isinstance(stage.operator, Layer | Orientation):
            return f"{stage.name} goes across channels, of which one is drawn"
    stages = [replace(stage, map=None) for stage in stages]
    axes = _axes(stages, pixels.shape)
    spans = [_patch([each[axis] for each in axes], at[axis]) for axis in (0, 1)]
    if spans[0] is None or spans[1] is None:
        return "what one output sees is too large to be drawn pixel by pixel"
    rows, cols = spans[0], spans[1]
    levels = []
    for number in range(len(stages) + 1):
        following = axes[number] if number < len(stages) else None
        mode = _mode(stages[number]) if number < len(stages) else "edge"
        size = (axes[0][0].input, axes[0][1].input) if number == 0 else tuple(axis.output for axis in axes[number - 1])
        places = [_places(span, length, mode) for span, length in zip((rows[number], cols[number]), size, strict=True)]
        if any(not (place >= 0).any() for place in places):
            return "the patch lies in the padding altogether"
        values = _values(stages[:number], pixels, places, None if following is None else stages[number])
        name = "picture" if number == 0 else stages[number - 1].name
        levels.append(_level(name, (int(size[0]), int(size[1])), rows[number], cols[number], places, values))
    white = 1.0 if pixels.dtype.kind == "f" else float(np.iinfo(pixels.dtype).max)
    steps = [_step(stage, axis, white) for stage, axis in zip(stages, axes, strict=True)]
    return {"levels": levels, "stages": steps}


def _axes(stages: Sequence[Stage], shape: tuple[int, ...]) -> list[tuple[AxisPlan, AxisPlan]]:
    """Return the geometry of each stage on its rows and columns."""
    axes = []
    size = shape[:2]
    for stage in stages:
        (planned,) = plan_stack([stage], size, np.float32).stages
        axes.append((planned.rows, planned.cols))
        size = planned.rows.output, planned.cols.output
    return axes


def _patch(axes: Sequence[AxisPlan], at: float) -> list[Span] | None:
    """Choose outputs of the last stage, and find what each level shows for them; the fewer the more they see."""
    last = axes[-1].output
    for count in range(min(_MOST_OUTPUTS, last), 0, -1):
        first = round(at * (last - count))
        spans = [(first, first + count)]
        for axis in reversed(axes):
            low, high = max(spans[0][0], 0), min(spans[0][1], axis.output)
            spans.insert(0, (low * axis.stride - axis.before, (high - 1) * axis.stride - axis.before + axis.span + 1))
        if max(high - low for low, high in spans) <= _MOST_CELLS:
            return spans
    return None


def _mode(stage: Stage) -> str:
    return "constant" if isinstance(stage.operator, Pooling) else stage.padding_mode


def _places(span: Span, size: int, mode: str) -> npt.NDArray[np.int64]:
    """Return which sample stands at each place, -1 for those that the padding makes up."""
    low, high = span
    if mode == "constant":
        places = np.arange(low, high)
        return np.where((places >= 0) & (places < size), places, -1)
    return np.asarray(index_map(size, -low, high - low, mode), np.int64)


def _values(
    stages: Sequence[Stage],
    pixels: npt.NDArray[Any],
    places: Sequence[npt.NDArray[np.int64]],
    following: Stage | None,
) -> npt.NDArray[np.float64]:
    """Return the results of some stages at some places, with what the next one is padded with."""
    (top, bottom), (left, right) = ((int(each[each >= 0].min()), int(each.max()) + 1) for each in places)
    if stages:
        plan = plan_stack(stack.stages(stages), pixels.shape, pixels.dtype, out_dtype=np.float32)
        part = run_region(plan, pixels, (top, bottom), (left, right), np.dtype(np.float32))[..., 0]
    else:
        part = pixels[top:bottom, left:right]
    rows, cols = np.maximum(places[0] - top, 0), np.maximum(places[1] - left, 0)
    values: npt.NDArray[np.float64] = part[np.ix_(rows, cols)].astype(np.float64)
    if following is not None:
        made_up = (places[0] < 0)[:, np.newaxis] | (places[1] < 0)
        values[made_up] = _beyond(following)
    return values


def _beyond(stage: Stage) -> float:
    """Return what padding without samples counts as; NaN for what does not count."""
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
    """Describe a grid: its size, which rows and columns are drawn, where padded ones come from, and all values."""
    rounded = [[None if math.isnan(value) else float(f"{value:.7g}") for value in row] for row in values.tolist()]
    return {
        "name": name,
        "size": list(size),
        "top": rows[0],
        "left": cols[0],
        "rows": places[0].tolist(),
        "cols": places[1].tolist(),
        "values": rounded,
    }


def _step(stage: Stage, axes: tuple[AxisPlan, AxisPlan], white: float) -> dict[str, Any]:
    """Describe how a stage makes a pixel of its window."""
    operator = stage.operator
    kernels = [
        {"title": title, "numerators": kernel.matrix.tolist(), "divisor": kernel.divisor}
        for title, kernel in titled_kernels(stage)
        if max(kernel.shape) <= _MOST_CELLS
    ]
    step: dict[str, Any] = {
        "name": stage.name,
        "kind": "window",
        "kernels": kernels,
        "size": [axis.kernel for axis in axes],
        "stride": [axis.stride for axis in axes],
        "dilation": [axis.dilation for axis in axes],
        "before": [axis.before for axis in axes],
        "scale": stage.scale,
        "offset": stage.offset * white,
    }
    match operator:
        case Correlation():
            step["kind"] = "sum"
            step["offset"] += operator.shift
        case Gradient():
            step["kind"] = "magnitude"
        case UnsharpMask():
            step |= {"kind": "unsharp", "amount": operator.amount, "threshold": operator.threshold * white}
        case Pooling() if operator.kind != "power":
            step["kind"] = operator.kind
        case Point():
            step["kind"] = "point"
    return step


def section(found: dict[str, Any] | str, about: str, *, anchor: str = "explorer") -> str:
    """Return the part of a page that explores a patch; without scripts it says what is missing.

    Parameters
    ----------
    found : dict or str
        As :func:`exploration` returns it.
    about : str
        Which picture the patch is of, in a sentence.
    anchor : str
        The name of the section.
    """
    if isinstance(found, str):
        return f'<section id="{anchor}">\n<h2>What an output sees</h2>\n<p>Not drawn: {shown(found)}.</p>\n</section>'
    data = json.dumps(found, separators=(",", ":")).replace("<", "\\u003c")
    return (
        f'<section id="{anchor}" class="explorer">\n<h2>What an output sees</h2>\n<p>{shown(about)} Click a pixel, or '
        "move with the arrow keys: what it sees lights up in every stage before, and what sees it in those after. The "
        "sums stand below each kernel; click a weight to see which pixels it meets. Striped cells are padding.</p>\n"
        f'<script type="application/json">{data}</script>\n<div class="levels"></div>\n'
        "<noscript><p>The explorer needs scripts.</p></noscript>\n</section>"
    )
