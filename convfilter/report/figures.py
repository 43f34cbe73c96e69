"""Drawings of kernels: weights as a heat map, cross-sections, and frequency response.

The drawings are SVG. The style sheet of the page defines their classes, such as ``positive`` and ``negative``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from convfilter.filters.kernel import Kernel, Weights
from convfilter.filters.network_operators import Layer, NetworkOperator
from convfilter.filters.operators import (
    Bilateral,
    Canny,
    Compass,
    Gradient,
    Guided,
    Morphology,
    Orientation,
    Point,
    Pooling,
    Rank,
)
from convfilter.filters.stage import Stage
from convfilter.record import NamedTuple
from convfilter.report.markup import shown

#: Most cells along a side: larger kernels are drawn as means over blocks.
_MOST_CELLS = 33
#: Largest side of a kernel whose weights are printed in its cells.
_MOST_WRITTEN = 7
#: Title of the pixels that a rank or an extreme takes, which have no weights.
WINDOW = "window"
_SIDE = 200.0
_FREQUENCIES = 33
_MOST_EXACT = 1 << 53
_MINUS = "\N{MINUS SIGN}"
_LARGEST_DENOMINATOR = 9999
#: Most outputs and inputs of a layer whose kernels are drawn.
_MOST_OUTPUTS, _MOST_INPUTS = 16, 8


def titled_kernels(stage: Stage) -> Iterator[tuple[str, Kernel]]:
    """Yield the kernels of a stage as they are applied, each with a title; some stages, such as pooling, have none."""
    operator = stage.operator
    if isinstance(operator, Compass):
        titled = [(f"direction {number}", kernel) for number, kernel in enumerate(operator.kernels)]
    elif isinstance(operator, Gradient | Orientation):
        titled = [("x", operator.x), ("y", operator.y)]
    elif isinstance(operator, NetworkOperator | Pooling | Canny | Guided | Bilateral | Point | Layer):
        titled = []
    else:
        titled = [(WINDOW if isinstance(operator, Rank | Morphology) else "weights", operator.kernel)]
    for title, kernel in titled:
        yield title, kernel.rotated() if stage.flip else kernel


class Drawing(NamedTuple):
    """A drawing with its caption; an ``is_wide`` one is as wide as the page, others stand side by side."""

    svg: str
    caption: str
    is_wide: bool = False


def drawings(stage: Stage) -> Iterator[tuple[Drawing, ...]]:
    """Yield the drawings of each kernel of a stage."""
    operator = stage.operator
    if isinstance(operator, Layer):
        yield (Drawing(*layer_map(operator), is_wide=True),)
    if isinstance(operator, Pooling):
        size = operator.size or (1, 1)
        text = f"window of {size[1]}x{size[0]}" if operator.size else "the whole picture is one window"
        yield (Drawing(window(size, operator.kind), f"{text}, {operator.kind}; no weights"),)
    for title, kernel in titled_kernels(stage):
        if title == WINDOW:
            yield (Drawing(heat_map(kernel), window_caption(kernel)),)
            continue
        low, high = gain(kernel)
        yield (
            Drawing(heat_map(kernel), f"{title}: {caption(kernel)}"),
            Drawing(sections(kernel), "middle row (solid) and middle column (dashed)"),
            Drawing(response(kernel), f"frequency response: the gain, from {low:.3g} (light) to {high:.3g}"),
        )


def window_caption(kernel: Kernel) -> str:
    """Return the size of a window, and the number of its pixels, which are the weights other than 0."""
    rows, cols = kernel.shape
    pixels = int(np.count_nonzero(kernel.matrix))
    return f"{WINDOW}: {cols}x{rows}, {pixels} {'pixel' if pixels == 1 else 'pixels'}, no weights"


def heat_map(kernel: Kernel) -> str:
    """Draw the weights: one colour for positive, another for negative, darker for larger."""
    values, block = block_means(kernel)
    rows, cols = kernel.shape
    written = max(rows, cols) <= _MOST_WRITTEN
    texts = _written(kernel) if written else None
    blocks = f"; each cell is the mean of {block[1]}x{block[0]}" if max(block) > 1 else ""
    label = f"heat map of {cols}x{rows} weights from {_short(values.min())} to {_short(values.max())}{blocks}"
    return _svg(values.shape, label, _cells(values, texts), (_offsets(cols, "px"), _offsets(rows, "px")))


def caption(kernel: Kernel) -> str:
    """Return the caption of a heat map: size, sum, range, and blocks if cells are means."""
    rows, cols = kernel.shape
    values, block = block_means(kernel)
    text = f"{cols}x{rows}, sum {_short(kernel.sum)}, {_short(values.min())} to {_short(values.max())}"
    return text + (f"; each cell is the mean of up to {block[1]}x{block[0]} weights" if max(block) > 1 else "")


def sections(kernel: Kernel) -> str:
    """Draw the middle row and the middle column as lines over the distance from the centre."""
    row, column = _thinned(*_middle(kernel))
    low = min(0.0, float(row.min()), float(column.min()))
    high = max(0.0, float(row.max()), float(column.max()))
    span = (high - low) or 1.0
    widest = max(row.size, column.size)
    zero = _SIDE * high / span

    def points(values: Weights) -> str:
        centre = values.size // 2
        return " ".join(
            f"{_SIDE * (0.5 + (place - centre) / widest):.4g},{_SIDE * (high - value) / span:.4g}"
            for place, value in enumerate(values.tolist())
        )

    axes = _offsets(widest, "px from the centre"), _weights_axis(low, high)
    return (
        f'<svg class="plot" viewBox="{-_LEFT} -8 {_SIDE + _LEFT + 14:g} {_SIDE + 8 + _BELOW:g}" role="img" '
        f'aria-label="cross-sections from {_short(low)} to {_short(high)}, weight over pixels from the centre: the '
        'middle row and the middle column">'
        f'<line class="axis" x1="0" x2="{_SIDE:g}" y1="{zero:.4g}" y2="{zero:.4g}"/>'
        f'<polyline class="row" points="{points(row)}"/>'
        f'<polyline class="column" points="{points(column)}"/>{_drawn(axes, _SIDE, _SIDE)}</svg>'
    )


def response(kernel: Kernel) -> str:
    """Draw the magnitude of the frequency response from -1/2 to 1/2 cycles a pixel, zero in the middle."""
    magnitude = _response(kernel)
    label = f"frequency response from {_short(magnitude.min())} to {_short(magnitude.max())}"
    return _svg(magnitude.shape, label, _cells(magnitude, None, "gain"), (_CYCLES, _CYCLES))


def _response(kernel: Kernel) -> Weights:
    frequencies = np.linspace(-0.5, 0.5, _FREQUENCIES)

    def waves(size: int) -> npt.NDArray[np.complex128]:
        values: npt.NDArray[np.complex128] = np.exp(-2j * np.pi * np.outer(frequencies, np.arange(size) - size // 2))
        return values

    rows, cols = (waves(size) for size in kernel.shape)
    if kernel.factors is not None:
        column, row = kernel.factors
        sums = np.outer(rows @ column, cols @ row)
    else:
        sums = rows @ kernel.matrix @ cols.T
    magnitude: Weights = np.abs(sums / kernel.divisor)
    return magnitude


def gain(kernel: Kernel) -> tuple[float, float]:
    """Return the least and the largest gain of :func:`response`."""
    values = _response(kernel)
    return float(values.min()), float(values.max())


def window(size: tuple[int, int], kind: str) -> str:
    """Draw the cells of a pooling window of ``size`` (rows, cols)."""
    rows, cols = (min(side, _MOST_CELLS) for side in size)
    return _svg((rows, cols), f"window of {size[1]}x{size[0]} cells, {kind}", _cells(np.zeros((rows, cols)), None))


def layer_map(layer: Layer) -> tuple[str, str]:
    """Draw the kernels of a layer, one row for each output channel; return the drawing and its caption."""
    outputs, inputs, rows, cols = layer.weight.shape
    shown_outputs, shown_inputs = min(outputs, _MOST_OUTPUTS), min(inputs, _MOST_INPUTS)
    step = max(1, -(-max(rows, cols) // 11))
    weight = layer.weight[:shown_outputs, :shown_inputs, ::step, ::step].astype(np.float64)
    limit = float(np.abs(weight).max()) or 1.0
    height, width = weight.shape[2] + 1, weight.shape[3] + 1
    cells = "".join(
        _cell(col * width + x, row * height + y, float(weight[row, col, y, x]) / limit)
        for row in range(shown_outputs)
        for col in range(shown_inputs)
        for y in range(weight.shape[2])
        for x in range(weight.shape[3])
    )
    text = f"{outputs} outputs (down) of {inputs} inputs (across), {cols}x{rows} weights each"
    if (shown_outputs, shown_inputs) != (outputs, inputs):
        text += f"; the first {shown_outputs} outputs and {shown_inputs} inputs are drawn"
    if step > 1:
        text += f"; one weight of {step} is drawn along each side"
    return _svg((shown_outputs * height - 1, shown_inputs * width - 1), text, cells), text


class _Axis(NamedTuple):
    """An axis of a drawing: ticks at positions from 0 to 1, and a unit."""

    ticks: tuple[tuple[float, str], ...]
    title: str


#: Space for the numbers of the axes.
_LEFT, _BELOW = 44, 34
_CYCLES = _Axis(((0, f"{_MINUS}½"), (0.5, "0"), (1, "½")), "cycles per px")


def _offsets(size: int, title: str) -> _Axis:
    """Return the axis of taps, in pixels from the centre."""
    centre = size // 2
    places = sorted({0, centre, size - 1})
    return _Axis(tuple(((place + 0.5) / size, _short(place - centre)) for place in places), title)


def _weights_axis(low: float, high: float) -> _Axis:
    """Return the axis of weights, with the smallest at the bottom and the largest at the top."""
    span = (high - low) or 1.0
    values = sorted({low, 0.0, high})
    return _Axis(tuple(((high - value) / span, _short(value)) for value in values), "weight")


def _drawn(axes: tuple[_Axis, _Axis], width: float, height: float) -> str:
    """Draw the axes below and to the left of a drawing."""
    across, down = axes
    parts = [
        f'<text class="tick" x="{place * width:.4g}" y="{height + 10:.4g}">{text}</text>'
        for place, text in across.ticks
    ]
    parts += [f'<text class="tick end" x="-5" y="{place * height:.4g}">{text}</text>' for place, text in down.ticks]
    parts += [
        f'<text class="tick" x="{width / 2:.4g}" y="{height + 26:.4g}">{across.title}</text>',
        f'<text class="tick" transform="translate({8 - _LEFT} {height / 2:.4g}) rotate(-90)">{down.title}</text>',
    ]
    return "".join(parts)


def _svg(shape: Sequence[int], label: str, cells: str, axes: tuple[_Axis, _Axis] | None = None) -> str:
    rows, cols = shape[:2]
    unit = _SIDE / max(rows, cols)
    width, height = cols * unit, rows * unit
    left, below, drawn = (_LEFT, _BELOW, _drawn(axes, width, height)) if axes else (1, 1, "")
    right, above = (14, 8) if axes else (1, 1)
    return (
        f'<svg class="map" viewBox="{-left} {-above} {width + left + right:.4g} {height + above + below:.4g}" '
        'preserveAspectRatio="xMinYMin meet" '
        f'role="img" aria-label="{shown(label)}">'
        f'<rect class="paper" width="{width:.4g}" height="{height:.4g}"/>'
        f'<g transform="scale({unit:.4g})">{cells}</g>{drawn}</svg>'
    )


def _cells(values: Weights, texts: list[list[str]] | None, kind: str = "") -> str:
    limit = float(np.abs(values).max()) or 1.0
    parts = []
    for (row, col), value in np.ndenumerate(values):
        parts.append(_cell(col, row, float(value) / limit, kind))
        if texts is not None:
            text = texts[row][col]
            size = min(0.34, 1.5 / len(text))
            strong = ' class="on"' if abs(float(value)) > 0.6 * limit else ""
            parts.append(f'<text{strong} x="{col + 0.5:g}" y="{row + 0.5:g}" font-size="{size:.3g}">{text}</text>')
    return "".join(parts)


def _cell(col: int, row: int, share: float, kind: str = "") -> str:
    """Draw one cell; ``share`` is its value divided by the largest magnitude."""
    name = kind or ("positive" if share > 0 else "negative" if share < 0 else "zero")
    opacity = f' fill-opacity="{abs(share):.3f}"' if share else ' fill-opacity="0"'
    return f'<rect class="{name}" x="{col}" y="{row}" width="1" height="1"{opacity}/>'


def block_means(kernel: Kernel) -> tuple[Weights, tuple[int, int]]:
    """Return the weights, or means over blocks if there are many, and the rows and columns of a block."""
    # Blocks have odd sides: the middle weight is at the centre of its cell.
    block = tuple(-(-side // _MOST_CELLS) | 1 for side in kernel.shape)
    if kernel.factors is not None:
        column, row = (_means(factor, size) for factor, size in zip(kernel.factors, block, strict=True))
        return np.outer(column, row) / kernel.divisor, (block[0], block[1])
    across = np.apply_along_axis(_means, 1, kernel.matrix, block[1])
    return np.apply_along_axis(_means, 0, across, block[0]) / kernel.divisor, (block[0], block[1])


def _means(values: Weights, size: int) -> Weights:
    """Return means of ``size`` neighbours, aligned so that the middle block is centred."""
    if size == 1:
        return values
    first = (values.size // 2 - size // 2) % size
    starts = np.unique(np.concatenate([[0], np.arange(first, values.size, size)]))
    counts = np.diff(np.append(starts, values.size))
    means: Weights = np.add.reduceat(values, starts) / counts
    return means


def _middle(kernel: Kernel) -> tuple[Weights, Weights]:
    rows, cols = kernel.shape
    if kernel.factors is not None:
        column, row = kernel.factors
        return column[rows // 2] * row / kernel.divisor, column * row[cols // 2] / kernel.divisor
    return kernel.weights[rows // 2], kernel.weights[:, cols // 2]


def _thinned(row: Weights, column: Weights) -> tuple[Weights, Weights]:
    """Return every n-th value, including the middle one, of more than 400 values."""
    step = max(1, max(row.size, column.size) // 400)
    return row[row.size // 2 % step :: step], column[column.size // 2 % step :: step]


def _written(kernel: Kernel) -> list[list[str]]:
    return [[_number(float(value), kernel.divisor) for value in row] for row in kernel.matrix]


def _number(numerator: float, divisor: float) -> str:
    """Format a weight as a fraction if that is exact and short."""
    if numerator.is_integer() and float(divisor).is_integer() and max(abs(numerator), abs(divisor)) < _MOST_EXACT:
        fraction = Fraction(int(numerator), int(divisor))
        if fraction.denominator <= _LARGEST_DENOMINATOR:
            return str(fraction).replace("-", _MINUS)
    return _short(numerator / divisor)


def _short(value: float) -> str:
    text = f"{float(value):.3g}"
    return text.replace("-", _MINUS) if math.isfinite(float(value)) else text
