"""Filters of Pillow: ``ImageFilter``."""

from __future__ import annotations

from collections.abc import Callable
from math import floor

from convfilter.cli.translation.calls import Arguments, Call
from convfilter.cli.translation.translation import (
    ROUNDED,
    Matrix,
    Translation,
    Window,
    kernel_of,
    numeral,
    pair,
    require_odd,
    require_small,
    unknown,
)

_WHITE = 255
_BOXES = "Pillow blurs by three boxes, whose shape is that of a Gaussian approximately"
#: Sides of Pillow's kernels.
_SIDES = (3, 5)


def _gaussian(arguments: Arguments, result: Translation) -> None:
    cols, rows = arguments.pair("radius", 2)
    result.add(f"gaussian:{pair(cols, rows)}", _BOXES)


def _box(arguments: Arguments, result: Translation) -> None:
    """Translate a mean of 2 radius + 1 pixels; a fraction of the radius is the weight of the outermost pixels."""
    across, down = arguments.pair("radius")
    size, rounded = (2 * across + 1, 2 * down + 1), f"Pillow {ROUNDED}"
    if across == floor(across) and down == floor(down):
        result.add(f"box:{pair(*size)}", rounded)
        return
    require_small(2 * floor(down) + 3, 2 * floor(across) + 3)
    weights = [[x * y for x in _line(across)] for y in _line(down)]
    result.add(kernel_of(weights, f"scale={numeral(1 / (size[0] * size[1]))}"), rounded)


def _line(radius: float) -> list[float]:
    part = radius - floor(radius)
    ends = [part] if part else []
    return [*ends, *[1.0] * (2 * floor(radius) + 1), *ends]


def _of_window(name: str) -> Callable[[Arguments, Translation], None]:
    """Return the translation of a filter whose only argument is the side of its window."""
    return lambda arguments, result: result.add(f"{name}:{_side(arguments, 3)}")


def _rank(arguments: Arguments, result: Translation) -> None:
    side = _side(arguments)
    window, rank = Window(side, side), arguments.number("rank")
    if not 0 <= rank < window.count:
        raise unknown(f"RankFilter(rank={numeral(rank)})", f"the ranks of {window.count} samples begin with 0")
    result.add(window.ranked(int(rank), ""))


def _side(arguments: Arguments, default: int | None = None) -> int:
    side = int(arguments.number("size", default))
    require_odd(side, side, f"{arguments.function}({side})")
    return side


def _unsharp(arguments: Arguments, result: Translation) -> None:
    sigma, percent = arguments.number("radius", 2), arguments.number("percent", 150)
    spec = f"unsharp:{numeral(sigma)},amount={numeral(percent / 100)}"
    # Pillow rounds the blurred sample, and sharpens differences above the threshold.
    threshold = floor(arguments.number("threshold", 3)) + 0.5
    result.add(f"{spec},threshold={numeral(threshold / _WHITE)}" if threshold > 0.5 else spec, _BOXES)


def _kernel(arguments: Arguments, result: Translation) -> None:
    cols, rows = (int(side) for side in arguments.pair("size"))
    weights = [cell for row in arguments.matrix("kernel") for cell in row]
    if cols != rows or cols not in _SIDES or len(weights) != cols * rows:
        raise unknown(f"Kernel(({cols}, {rows}), ...)", "Pillow has kernels of 3x3 and 5x5 weights")
    scale = arguments.number_or("scale", sum(weights))
    if scale == 0:
        raise unknown("Kernel(scale=0)", "Pillow divides by the scale, by default the sum of the weights")
    _convolve(
        [weights[top : top + cols] for top in range(0, len(weights), cols)],
        scale,
        arguments.number("offset", 0),
        result,
    )


def _named(weights: Matrix, scale: float = 1, offset: float = 0) -> Callable[[Arguments, Translation], None]:
    """Return the translation of one of Pillow's own kernels."""
    return lambda arguments, result: _convolve(weights, scale, offset, result)


def _convolve(weights: Matrix, scale: float, offset: float, result: Translation) -> None:
    """Add a kernel, whose rows Pillow counts from the bottom up."""
    words = [f"scale={numeral(1 / scale)}"] * (scale != 1) + [f"offset={numeral(offset / _WHITE)}"] * (offset != 0)
    result.add(
        kernel_of([*reversed(weights)], *words),
        "Pillow leaves pixels as they are whose window reaches beyond the border; convfilter filters them",
    )


_AROUND: Matrix = [[-1.0, -1, -1], [-1, 8, -1], [-1, -1, -1]]
_RING: Matrix = [[1.0, 1, 1, 1, 1], [1, 0, 0, 0, 1], [1, 0, 0, 0, 1], [1, 0, 0, 0, 1], [1, 1, 1, 1, 1]]
_SMOOTH_MORE: Matrix = [[1.0, 1, 1, 1, 1], [1, 5, 5, 5, 1], [1, 5, 44, 5, 1], [1, 5, 5, 5, 1], [1, 1, 1, 1, 1]]


def _centre(around: float, centre: float, corner: float | None = None) -> Matrix:
    """Return a kernel of 3x3 weights: of the centre, of the pixels around it, and of the corners."""
    end = around if corner is None else corner
    return [[end, around, end], [around, centre, around], [end, around, end]]


#: By the name of a filter.
CALLS: dict[str, Call] = {
    "GaussianBlur": ("radius", _gaussian),
    "BoxBlur": ("radius", _box),
    "MedianFilter": ("size", _of_window("median")),
    "MinFilter": ("size", _of_window("erode")),
    "MaxFilter": ("size", _of_window("dilate")),
    "RankFilter": ("size rank", _rank),
    "UnsharpMask": ("radius percent threshold", _unsharp),
    "Kernel": ("size kernel scale offset", _kernel),
    "BLUR": ("", _named(_RING, 16)),
    "CONTOUR": ("", _named(_AROUND, 1, _WHITE)),
    "DETAIL": ("", _named(_centre(-1, 10, 0), 6)),
    "EDGE_ENHANCE": ("", _named(_centre(-1, 10), 2)),
    "EDGE_ENHANCE_MORE": ("", _named(_centre(-1, 9))),
    "EMBOSS": ("", _named([[-1, 0, 0], [0, 1, 0], [0, 0, 0]], 1, 128)),
    "FIND_EDGES": ("", _named(_AROUND)),
    "SHARPEN": ("", _named(_centre(-2, 32), 16)),
    "SMOOTH": ("", _named(_centre(1, 5), 13)),
    "SMOOTH_MORE": ("", _named(_SMOOTH_MORE, 100)),
}
