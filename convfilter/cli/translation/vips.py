"""The operations of vips."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence

from convfilter.cli.translation.translation import (
    GAUSSIAN,
    ROUNDED,
    Translation,
    numeral,
    pair,
    require_odd,
    unknown,
    window,
)
from convfilter.errors import UsageError, shown

_REASONS = {
    "sharpen": "it sharpens L* of Lab along a curve of its own; convfilter sharpen is the nearest",
    "median": "vips rank IN OUT 3 3 4 is what vips calls the median of 3x3",
    "canny": "it thins edges and has no thresholds; convfilter edges --canny decides which are edges",
}
_MOST_RANKED = 9
#: Cells of a mask of ``vips morph``: part of the footprint, and not.
_INSIDE, _EITHER = 255.0, 128.0


def translate(words: Sequence[str], result: Translation) -> None:
    """Translate the arguments of a command, without the program's name."""
    if len(words) < 3:
        raise UsageError("a line of vips has an operation, an input and an output")
    operation, *rest = words
    values, settings = _parted(rest)
    if operation in _REASONS:
        raise unknown(f"vips {operation}", _REASONS[operation])
    if operation not in _OPERATIONS:
        raise unknown(f"vips {operation}")
    known, translation = _OPERATIONS[operation]
    if strange := set(settings) - set(known.split()):
        raise unknown(f"vips {operation} --{min(strange)}")
    result.names += [_name(values[0], result), _name(values[1], result)]
    translation(values[2:], settings, result)


def _parted(words: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Separate positional words from ``--name value`` and ``--name=value``."""
    places: list[str] = []
    settings: dict[str, str] = {}
    waiting = iter(words)
    for word in waiting:
        if word.startswith("--"):
            name, equals, value = word[2:].partition("=")
            settings[name] = value if equals else next(waiting, "")
        else:
            places.append(word)
    if len(places) < 2:
        raise UsageError("a line of vips has an operation, an input and an output")
    return places, settings


def _name(name: str, result: Translation) -> str:
    """Return a name without its options in brackets, of which only the quality is translated."""
    options = re.fullmatch(r"(.*)\[(.*)\]", name)
    if options is None:
        return name
    quality = re.fullmatch(r"Q=(\d+)", options[2])
    if quality is None:
        raise unknown(f"[{options[2]}]")
    result.options["--quality"] = quality[1]
    return options[1]


def _whole(values: Sequence[str], count: int, form: str) -> list[int]:
    if len(values) != count or not all(re.fullmatch(r"\d+", value) for value in values):
        raise UsageError(f"the form is vips {form}, got {shown(' '.join(values))} after the names")
    return [int(value) for value in values]


def _gaussblur(values: Sequence[str], settings: Mapping[str, str], result: Translation) -> None:
    try:
        (sigma,) = map(float, values)
        least = float(settings.get("min-ampl", "nan"))
    except ValueError:
        raise UsageError(f"the form is vips gaussblur IN OUT SIGMA, got {shown(' '.join(values))}") from None
    in_whole = "" if settings.get("precision", "integer") == "float" else ", and rounds the weights to integers"
    if settings.get("precision", "integer") not in ("integer", "float"):
        raise unknown(f"--precision {settings['precision']}")
    if 0 < least < 1 and sigma > 0:
        result.add(
            f"gaussian:{numeral(sigma)},truncate={numeral(int(sigma * math.sqrt(-2 * math.log(least))) / sigma)}"
        )
        if in_whole:
            result.note("vips rounds the weights to integers, of which 20 is the largest (--precision integer)")
    else:
        result.add(
            f"gaussian:{numeral(sigma)}",
            f"vips cuts the kernel where a weight is below a fifth of the largest (--min-ampl 0.2){in_whole}; "
            f"{GAUSSIAN}",
        )
    result.note(f"vips {ROUNDED}")


def _rank(values: Sequence[str], _settings: Mapping[str, str], result: Translation) -> None:
    cols, rows, index = _whole(values, 3, "rank IN OUT WIDTH HEIGHT INDEX")
    if not 0 <= index < cols * rows:
        raise UsageError(f"the index of vips rank must be below {cols * rows}, got {index}")
    require_odd(cols, rows, f"vips rank {cols} {rows}")
    result.add(f"percentile:{pair(cols, rows)},p={numeral(index / max(cols * rows - 1, 1))}")
    if cols * rows > _MOST_RANKED and 0 < index < cols * rows - 1:
        result.note("vips 8.14 returns other samples than the one of that index where a window has more than nine")


def _conv(values: Sequence[str], settings: Mapping[str, str], result: Translation) -> None:
    if len(values) != 1:
        raise UsageError("the form is vips conv IN OUT MASK")
    result.add(f"kernel:{values[0]}", "both correlate, and divide by the scale in the file")
    if settings.get("precision") == "integer":
        result.note("vips rounds the weights to whole numbers (--precision integer)")


def _morph(values: Sequence[str], _settings: Mapping[str, str], result: Translation) -> None:
    """Read the footprint from the mask's file: 255 is inside, 128 is ignored, 0 must be black."""
    if len(values) != 2 or values[1] not in ("erode", "dilate"):
        raise UsageError("the form is vips morph IN OUT MASK erode|dilate")
    from convfilter.filters import kernel_files

    matrix = kernel_files.load(values[0]).kernel.matrix
    if not {float(cell) for row in matrix for cell in row} <= {_INSIDE, _EITHER}:
        raise unknown(f"vips morph with the mask {values[0]}", "cells other than 255 and 128 look for black pixels")
    cells = [[float(cell == _INSIDE) for cell in row] for row in matrix]
    result.add(f"{values[1]}:{window(cells)}")
    result.note("vips is for pictures of black and white (0 and 255); convfilter filters greys, too")


def _sobel(values: Sequence[str], _settings: Mapping[str, str], result: Translation) -> None:
    if values:
        raise UsageError("the form is vips sobel IN OUT")
    result.add("sobel:magnitude", "vips adds the absolute differences up; convfilter takes the root of their squares")


_Operation = Callable[[Sequence[str], Mapping[str, str], Translation], None]
#: The settings that are translated, and how.
_OPERATIONS: dict[str, tuple[str, _Operation]] = {
    "gaussblur": ("min-ampl precision", _gaussblur),
    "rank": ("", _rank),
    "conv": ("precision", _conv),
    "convf": ("", _conv),
    "morph": ("", _morph),
    "sobel": ("", _sobel),
}
