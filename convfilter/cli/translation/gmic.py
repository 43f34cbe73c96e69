"""The commands of G'MIC."""

from __future__ import annotations

import re
from collections.abc import Sequence

from convfilter.cli.translation.translation import (
    GAUSSIAN,
    NUMBER,
    Translation,
    numeral,
    pair,
    require_odd,
    unknown,
    with_keywords,
)

_BOUNDARIES = {
    "0": "constant", "dirichlet": "constant", "1": "edge", "neumann": "edge", "2": "wrap", "periodic": "wrap",
    "3": "symmetric", "mirror": "symmetric",
}  # fmt: skip


def translate(words: Sequence[str], result: Translation) -> None:
    """Translate the arguments of a command, without the program's name."""
    waiting = iter(words)
    for word in waiting:
        match word.removeprefix("-"):
            case "blur" | "b":
                _blur(next(waiting, ""), result)
            case "median":
                (side,) = _sizes("median", next(waiting, ""), 1)
                _add("median", side, side, result)
                if side > 1:
                    result.note("at borders, G'MIC takes the median of the samples inside the picture")
            case "erode" | "dilate" as name:
                sides = _sizes(name, next(waiting, ""), 2)
                _add(name, sides[0], sides[-1], result)
            case "output" | "o":
                result.names.append(next(waiting, ""))
            case "input" | "i":
                result.names.insert(0, next(waiting, ""))
            case _ if re.search(r"\.\w+$", word) and not word.startswith("-"):
                result.names.append(word)
            case _:
                raise unknown(word)


def _blur(text: str, result: Translation) -> None:
    """Read ``SIGMA[,BOUNDARY[,KERNEL]]``: kernels 0 (Deriche) and 1 (van Vliet) are both recursive filters."""
    sigma, *options = text.split(",")
    if not re.fullmatch(NUMBER, sigma) or len(options) > 2:
        raise unknown(f"blur {text}", "a standard deviation in pixels has a translation")
    if options and options[0] not in _BOUNDARIES:
        raise unknown(f"blur {text}")
    mode = _BOUNDARIES[options[0]] if options else "edge"
    result.add(with_keywords(f"gaussian:{numeral(float(sigma))}", *[f"padding_mode={mode}"] * (mode != "edge")))
    if options[1:] not in ([], ["0"], ["1"]):
        raise unknown(f"blur {text}")
    result.note(f"G'MIC's recursive filter approximates a Gaussian, within 31 of 255 levels on a photo; {GAUSSIAN}")
    result.note("G'MIC truncates its results to 8 bits, which darkens by half a level; convfilter rounds")


def _sizes(name: str, text: str, most: int) -> list[int]:
    sides = text.split(",")
    if len(sides) > most or not all(re.fullmatch(r"[1-9]\d*", side) for side in sides):
        raise unknown(f"{name} {text}")
    return [int(side) for side in sides]


def _add(name: str, cols: int, rows: int, result: Translation) -> None:
    require_odd(cols, rows, f"{name} {pair(cols, rows)}")
    result.add(f"{name}:{pair(cols, rows)}")
