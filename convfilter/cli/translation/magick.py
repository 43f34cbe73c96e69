"""The words of ImageMagick: ``magick``, and ``convert`` of version 6."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence

from convfilter.cli.translation.translation import (
    GAUSSIAN,
    NUMBER,
    ROUNDED,
    Matrix,
    Translation,
    kernel_of,
    numbers,
    numeral,
    pair,
    require_odd,
    require_symmetric,
    round_footprint,
    unknown,
    window,
)

_PADDING = {"edge": "edge", "mirror": "symmetric", "tile": "wrap", "black": "constant", "white": "constant"}
_STATISTICS = {"median": "median", "minimum": "erode", "maximum": "dilate", "mean": "box"}
_MORPHOLOGY = {
    "erode": "erode", "dilate": "dilate", "open": "open", "close": "close", "tophat": "tophat",
    "bottomhat": "blackhat", "edge": "morphgradient",
}  # fmt: skip
#: Variance of a sample at -1/3, 0 or 1/3 of a pixel; above the sigma _WIDE it changes results by less than a level.
_THIRDS_VARIANCE, _WIDE = 2 / 27, 3
#: Resolution of 16-bit samples; ImageMagick cuts a kernel without a radius where weights fall below it.
_RESOLUTION = 1 / 65535
#: Largest radius of a Gaussian whose weights are summed.
_LARGEST_RADIUS = 10_000
#: Definitions that change the kernels after them.
_SCALE, _BIAS = "convolve:scale", "convolve:bias"
#: Sums of weights below this are zero, but for rounding.
_ZERO_SUM = 1e-9
#: Kernels that -morphology Convolve knows by name.
_NAMED: dict[str, Matrix] = {
    "sobel": [[1, 0, -1], [2, 0, -2], [1, 0, -1]], "sobel:90": [[1, 2, 1], [0, 0, 0], [-1, -2, -1]],
    "prewitt": [[1, 0, -1], [1, 0, -1], [1, 0, -1]], "prewitt:90": [[1, 1, 1], [0, 0, 0], [-1, -1, -1]],
    "laplacian:0": [[-1, -1, -1], [-1, 8, -1], [-1, -1, -1]], "laplacian:1": [[0, -1, 0], [-1, 4, -1], [0, -1, 0]],
    "laplacian:2": [[-2, 1, -2], [1, 4, 1], [-2, 1, -2]], "laplacian:3": [[1, -2, 1], [-2, 4, -2], [1, -2, 1]],
}  # fmt: skip
#: Weights of larger kernels do not fit into a line.
_MOST_REACH = 4


#: Other programs of the suite, which the first word may name.
_UTILITIES = (
    "animate", "compare", "composite", "conjure", "display", "identify", "import", "mogrify", "montage", "stream",
)  # fmt: skip


def translate(words: Sequence[str], result: Translation) -> None:
    """Translate the arguments of a command, without the program's name."""
    if words and words[0] in _UTILITIES:
        why = "write magick IN ... OUT; --in-place overwrites IN, as mogrify does" if words[0] == "mogrify" else ""
        raise unknown(f"magick {words[0]}", why)
    waiting = iter(words[1:] if words[:1] == ["convert"] else words)
    for word in waiting:
        if not word.startswith(("-", "+")) or word == "-":
            result.names.append(_name(word, result))
        elif word in _OPERATIONS:
            _OPERATIONS[word](word, waiting, result)
        else:
            raise unknown(word)


def _name(word: str, result: Translation) -> str:
    """Return the name of a file; a number in brackets after that of the input chooses a frame."""
    selected = re.fullmatch(r"(.+)\[(.*)\]", word)
    if selected is None:
        return word
    if not re.fullmatch(r"-?\d+", selected[2]) or result.names:
        raise unknown(word)
    result.options["--frame"] = selected[2]
    return selected[1]


def _radius_sigma(word: str, waiting: Iterator[str]) -> tuple[float, float]:
    """Parse the next word, RADIUS or RADIUSxSIGMA; the sigma is 1 by default."""
    radius, sigma = numbers(next(waiting, ""), rf"({NUMBER})(?:x({NUMBER}))?", word)
    assert radius is not None
    return radius, 1.0 if sigma is None else sigma


def _blur(word: str, waiting: Iterator[str], result: Translation) -> None:
    radius, sigma = _radius_sigma(word, waiting)
    if not sigma:
        raise unknown(f"{word} {numeral(radius)}x0", "a sigma of 0 chooses one by the radius")
    cut = f",truncate={numeral(radius / sigma)}" if radius else ""
    note = f"ImageMagick cuts the kernel where its weights fall below one level; {GAUSSIAN}"
    result.add(f"gaussian:{numeral(sigma)}{cut}", f"ImageMagick {ROUNDED}", *([] if radius else [note]))
    if word == "-blur" and sigma < _WIDE:
        same = math.sqrt(sigma**2 + _THIRDS_VARIANCE)
        result.note(f"-blur averages the Gaussian over thirds of a pixel, which comes to a sigma of {same:.4g} here")


def _sharpen(word: str, waiting: Iterator[str], result: Translation) -> None:
    """Write the kernel, twice its sum in the middle and a negative Gaussian around, as an unsharp mask.

    With the Gaussian g, cut and normalised, the kernel is d + (d - g) / (1 + g[0]), d the unit impulse
    (``SharpenImage`` in MagickCore/effect.c).
    """
    radius, sigma = _radius_sigma(word, waiting)
    if not sigma:
        raise unknown(f"{word} {numeral(radius)}x0", "a sigma of 0 chooses one by the radius")
    if radius > _LARGEST_RADIUS:
        raise unknown(f"{word} {numeral(radius)}", f"radii up to {_LARGEST_RADIUS} have one")
    reach = math.ceil(radius) or _reach(sigma)
    line = [math.exp(-x * x / (2 * sigma * sigma)) for x in range(-reach, reach + 1)]
    amount = 1 / (1 + 1 / sum(line) ** 2)
    if radius and reach <= _MOST_REACH:
        weights = [[round(-amount * a * b / sum(line) ** 2, 9) for a in line] for b in line]
        weights[reach][reach] = round(weights[reach][reach] + 1 + amount, 9)
        result.add(kernel_of(weights))
    else:
        result.add(f"unsharp:{numeral(sigma)},amount={amount:.6g}")
        result.note(f"ImageMagick cuts the kernel {reach} pixels from its middle; {GAUSSIAN}")


def _reach(sigma: float) -> int:
    """Return ImageMagick's radius of a Gaussian of two axes if none is given (``GetOptimalKernelWidth2D``)."""
    reach = 2
    while True:
        line = [math.exp(-x * x / (2 * sigma * sigma)) for x in range(-reach, reach + 1)]
        if line[0] * line[reach] / sum(line) ** 2 < _RESOLUTION:
            return max(reach - 1, 1)
        reach += 1


def _unsharp(word: str, waiting: Iterator[str], result: Translation) -> None:
    form = rf"({NUMBER})(?:x({NUMBER}))?(?:\+({NUMBER}))?(?:\+({NUMBER}))?"
    radius, sigma, amount, threshold = numbers(next(waiting, ""), form, word)
    level = 0.05 if threshold is None else threshold
    words = [f"unsharp:{numeral(1 if sigma is None else sigma)}", f"amount={numeral(1 if amount is None else amount)}"]
    result.add(",".join([*words, *([f"threshold={numeral(level / 2)}"] if level else [])]))
    if radius:
        result.note(f"ImageMagick cuts the kernel {numeral(radius)} pixels from its middle; {GAUSSIAN}")
    if level:
        result.note("ImageMagick compares twice the difference with the threshold, so half of it stands here")


def _median(word: str, waiting: Iterator[str], result: Translation) -> None:
    (side,) = numbers(next(waiting, ""), r"(\d+)", word)
    assert side is not None
    _windowed("median", side, side, f"{word} {numeral(side)}", result)
    result.note("-median N takes a window of NxN, not a radius")


def _statistic(word: str, waiting: Iterator[str], result: Translation) -> None:
    kind, size = next(waiting, ""), next(waiting, "")
    cols, rows = numbers(size, r"(\d+)(?:x(\d+))?", f"{word} {kind}")
    if kind.lower() not in _STATISTICS:
        raise unknown(f"{word} {kind}")
    assert cols is not None
    _windowed(_STATISTICS[kind.lower()], cols, cols if rows is None else rows, f"{word} {kind} {size}", result)
    result.note(f"ImageMagick {ROUNDED}")


def _windowed(name: str, cols: float, rows: float, part: str, result: Translation) -> None:
    """Add a filter over a rectangle of odd size; ``part`` is the part of the line."""
    require_odd(cols, rows, part)
    result.add(f"{name}:{pair(cols, rows)}")


def _convolve(word: str, waiting: Iterator[str], result: Translation) -> None:
    text = next(waiting, "")
    weights = _weights(text, f"{word} {text}".rstrip())
    if _SCALE in result.settings:
        raise unknown(f"{word} after -define {_SCALE}", "write -morphology Convolve")
    divides = "ImageMagick divides the weights by their sum, as normalize does here"
    if abs(sum(map(sum, weights))) < _ZERO_SUM:
        result.add(kernel_of(weights, *_offset(result)))
    else:
        result.add(kernel_of(weights, "normalize=true", *_offset(result)), divides)


def _weights(text: str, part: str) -> list[list[float]]:
    """Read weights, separated by commas or blanks: of a square, or of the size before a colon."""
    sized = re.fullmatch(r"(\d+)(?:x(\d+))?:\s*(.+)", text, re.S)
    words = [word for word in re.split(r"[\s,]+", (sized[3] if sized else text).strip()) if word]
    side = math.isqrt(len(words))
    cols, rows = (int(sized[1]), int(sized[2] or sized[1])) if sized else (side, side)
    if not words or len(words) != cols * rows:
        raise unknown(part, f"{cols}x{rows} weights are needed, got {len(words)}" if sized else "no square of weights")
    try:
        values = [float(word) for word in words]
    except ValueError:
        values = [math.nan]
    if not all(map(math.isfinite, values)):
        raise unknown(part, "its weights are not all numbers")
    return [values[row * cols : (row + 1) * cols] for row in range(rows)]


def _morphology(word: str, waiting: Iterator[str], result: Translation) -> None:
    method, kernel = next(waiting, ""), next(waiting, "")
    part = f"{word} {method} {kernel}"
    name, _, count = method.lower().partition(":")
    if name in ("convolve", "correlate") and not count:
        weights = _NAMED.get(kernel.lower()) or _weights(kernel, part)
        changes = [*_scale(weights, result), *_offset(result)]
        if name == "convolve":
            note = "-morphology Convolve rotates the kernel, as flip does here"
            result.add(kernel_of(weights, "flip=true", *changes), note)
        else:
            result.add(kernel_of(weights, *changes))
        return
    if name not in _MORPHOLOGY or not re.fullmatch(r"\d{0,2}", count) or (count and name in ("tophat", "bottomhat")):
        raise unknown(part)
    times = int(count or 1)
    if times > 1 and name in ("open", "close", "edge"):
        raise unknown(part, "write the erosions and dilations one by one")
    for _ in range(times):
        result.add(f"{_MORPHOLOGY[name]}:{_shape(kernel, part)}")


def _scale(weights: Matrix, result: Translation) -> list[str]:
    """Return the factor that ``-define convolve:scale`` gives a kernel; with "!" it is divided by its sum first."""
    text = result.settings.get(_SCALE)
    if text is None:
        return []
    form = re.fullmatch(rf"({NUMBER})?(%)?(!)?", text)
    if form is None or not text:
        raise unknown(f"-define {_SCALE}={text}", "a factor, a percentage, and ! have one")
    factor = float(form[1] or (100 if form[2] else 1)) / (100 if form[2] else 1)
    cells = [cell for row in weights for cell in row]
    total = sum(cells)
    if abs(total) < _ZERO_SUM:
        total = sum(cell for cell in cells if cell > 0)
    factor /= total if form[3] and total else 1
    return [f"scale={numeral(factor)}"]


def _offset(result: Translation) -> list[str]:
    """Return the offset of ``-bias`` or ``-define convolve:bias``."""
    text = result.settings.get(_BIAS)
    if text is None:
        return []
    (percent,) = numbers(text, rf"({NUMBER})%", "a bias of")
    assert percent is not None
    return [f"offset={numeral(percent / 100)}"]


def _define(word: str, waiting: Iterator[str], result: Translation) -> None:
    key, _, value = next(waiting, "").partition("=")
    if key.lower() not in (_SCALE, _BIAS):
        raise unknown(f"{word} {key}")
    result.settings[key.lower()] = value


def _bias(_word: str, waiting: Iterator[str], result: Translation) -> None:
    result.settings[_BIAS] = next(waiting, "")


def _shape(kernel: str, part: str) -> str:
    """Return the window of a kernel that ImageMagick names; each name has a default radius."""
    rectangle = re.fullmatch(r"rectangle:(\d+)x(\d+)", kernel.lower())
    if rectangle and int(rectangle[1]) % 2 and int(rectangle[2]) % 2:
        return pair(int(rectangle[1]), int(rectangle[2]))
    if re.match(r"\d+(x\d+)?:", kernel):
        cells = _weights(re.sub(r"(?<![\w.])(-|nan)(?=[\s,]|$)", "0", kernel.lower()), part)
        require_symmetric(cells, "ImageMagick rotates the kernel of some methods", part)
        if any(cell not in (0, 1) for row in cells for cell in row):
            raise unknown(part, "cells of 1, 0 and - have one")
        return window(cells)
    named = re.fullmatch(rf"(square|diamond|disk|plus)(?::({NUMBER}))?", kernel.lower())
    if named is None:
        raise unknown(part)
    name, radius = named[1], float(named[2] or {"disk": 4.3, "plus": 2}.get(named[1], 1))
    if name == "square":
        return numeral(2 * int(radius) + 1)
    if radius % 1 >= 0.5 or radius < 0.5:
        raise unknown(part, "ImageMagick makes an even and lopsided kernel of such a radius")
    if name == "disk":
        return f"disk:{numeral(radius)}"
    return window(round_footprint(name, int(radius)))


def _edge(word: str, waiting: Iterator[str], result: Translation) -> None:
    """Write the Laplacian of ``-edge``: -1 everywhere, and a centre that makes the sum 0."""
    (radius,) = numbers(next(waiting, ""), rf"({NUMBER})", word)
    reach = math.ceil(min(radius or 0, _MOST_REACH + 1))
    if not 1 <= reach <= _MOST_REACH:
        raise unknown(f"{word} {numeral(radius or 0)}", f"radii of 1 to {_MOST_REACH} have a translation")
    side = 2 * reach + 1
    weights = [[-1.0] * side for _ in range(side)]
    weights[reach][reach] = side * side - 1.0
    result.add(kernel_of(weights))


def _quality(_word: str, waiting: Iterator[str], result: Translation) -> None:
    result.options["--quality"] = next(waiting, "")


def _strip(_word: str, _waiting: Iterator[str], result: Translation) -> None:
    result.options["--strip=all"] = ""


def _virtual_pixel(word: str, waiting: Iterator[str], result: Translation) -> None:
    value = next(waiting, "")
    if value.lower() not in _PADDING:
        raise unknown(f"{word} {value}")
    result.options["--padding-mode"] = _PADDING[value.lower()]
    if _PADDING[value.lower()] == "constant":
        result.options["--padding-value"] = "255" if value.lower() == "white" else "0"


_OPERATIONS: dict[str, Callable[[str, Iterator[str], Translation], None]] = {
    "-blur": _blur,
    "-gaussian-blur": _blur,
    "-sharpen": _sharpen,
    "-unsharp": _unsharp,
    "-median": _median,
    "-statistic": _statistic,
    "-convolve": _convolve,
    "-morphology": _morphology,
    "-edge": _edge,
    "-define": _define,
    "-bias": _bias,
    "-quality": _quality,
    "-strip": _strip,
    "-virtual-pixel": _virtual_pixel,
}
