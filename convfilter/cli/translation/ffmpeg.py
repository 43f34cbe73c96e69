"""The filters of ffmpeg's ``-vf``."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence

from convfilter.cli.translation.translation import NUMBER, Translation, kernel_of, numeral, pair, unknown
from convfilter.errors import UsageError, shown

_MOST_PASSES = 4
#: Files whose planes are red, green and blue in ffmpeg, or one grey plane.
_RGB = ("bmp", "pgm", "png", "ppm", "tif", "tiff")
#: Options without effect on one picture, and how many words follow them.
_WITHOUT_EFFECT = {"-hide_banner": 0, "-nostdin": 0, "-loglevel": 1, "-v": 1, "-update": 1}
_BORDER = "windows of 3x3 repeat the last row and column in ffmpeg, and mirror at the first; here all mirror"


def translate(words: Sequence[str], result: Translation) -> None:
    """Translate the arguments of a command, without the program's name."""
    waiting = iter(words)
    for word in waiting:
        if word == "-i":
            result.names.insert(0, next(waiting, ""))
        elif word in ("-vf", "-filter:v"):
            for part in _split(next(waiting, ""), ","):
                _filter(part, result)
        elif word in ("-y", "-n"):
            result.options["--overwrite" if word == "-y" else "--no-clobber"] = ""
        elif word in _WITHOUT_EFFECT:
            for _ in range(_WITHOUT_EFFECT[word]):
                next(waiting, "")
        elif word in ("-frames:v", "-vframes"):
            if (count := next(waiting, "")) != "1":
                raise unknown(f"{word} {count}", "one picture can be translated")
        elif word.startswith("-") and word != "-":
            raise unknown(word)
        else:
            result.names.append(word)
    if not all(name.lower().rpartition(".")[2] in _RGB for name in result.names):
        result.note("ffmpeg filters brightness and colour (YUV) of a JPEG or a video, convfilter red, green and blue")


def _split(text: str, separator: str) -> list[str]:
    """Split text outside single quotes, and remove the quotes."""
    return [part.replace("'", "") for part in re.findall(rf"(?:'[^']*'|[^'{separator}])+", text)]


class _Values:
    """The values of one filter, by name or by place."""

    def __init__(self, part: str, name: str, text: str, known: str) -> None:
        self._part, self._values = part, dict[str, str]()
        by_place, _, by_name = known.partition("|")
        places = by_place.split()
        for place, field in enumerate(text.split(":") if text else ()):
            key, equals, value = field.partition("=")
            if not equals:
                if place >= len(places):
                    raise unknown(part)
                key, value = places[place], field
            self._values[key] = value
        if strange := set(self._values) - {*places, *by_name.split()}:
            raise unknown(f"{name} {min(strange)}")
        if self._values.get("planes", "15").lower() not in ("15", "0xf", "7", "0x7"):
            raise unknown(f"{name} planes", "all planes have a translation")

    def number(self, *names: str, default: float) -> float:
        """Return the number under the first name that is given; expressions such as w/10 are refused."""
        text = next((self._values[name] for name in names if name in self._values), "")
        if not text:
            return default
        if not re.fullmatch(rf"-?{NUMBER}", text):
            raise unknown(self._part, f"{shown(text)} is not a number")
        return float(text)

    def integer(self, *names: str, default: int) -> int:
        """Return a whole number."""
        value = self.number(*names, default=default)
        if value % 1:
            raise unknown(self._part, f"{numeral(value)} is not a whole number")
        return int(value)

    def text(self, name: str, default: str = "") -> str:
        """Return a value as text."""
        return self._values.get(name, default)


def _filter(part: str, result: Translation) -> None:
    name, _, text = part.partition("=")
    if name not in _FILTERS:
        raise unknown(part)
    known, translation = _FILTERS[name]
    translation(name, _Values(part, name, text, known), result)


def _gblur(_name: str, values: _Values, result: Translation) -> None:
    sigma = values.number("sigma", default=0.5)
    down = values.number("sigmaV", default=-1)
    steps = values.integer("steps", default=1)
    if not 1 <= steps <= 6:
        raise unknown("gblur steps", f"they are 1 to 6, got {steps}")
    times = "once" if steps == 1 else f"{steps} times"
    result.add(
        f"gaussian:{pair(sigma, sigma if down < 0 else down)}",
        f"gblur runs a recursive filter {times}, which approximates a Gaussian: of photos, within 44 of 255 levels if "
        "once, within 21 if 6 times",
    )


def _avgblur(_name: str, values: _Values, result: Translation) -> None:
    across = values.integer("sizeX", default=1)
    down = values.integer("sizeY", default=0) or across
    result.add(f"box:{pair(2 * across + 1, 2 * down + 1)}", "avgblur rounds down")


def _boxblur(_name: str, values: _Values, result: Translation) -> None:
    radius = values.integer("luma_radius", "lr", default=2)
    passes = values.integer("luma_power", "lp", default=2)
    if not 1 <= passes <= _MOST_PASSES:
        raise unknown(f"boxblur luma_power={passes}", f"1 to {_MOST_PASSES} passes have a translation")
    for _ in range(passes):
        result.add(f"box:{2 * radius + 1},padding_mode=symmetric")
    if passes > 1:
        times = "twice by default" if passes == 2 else f"{passes} times"
        result.note(f"boxblur filters {times}, and rounds in between")


def _unsharp(_name: str, values: _Values, result: Translation) -> None:
    """Write the kernel: the picture plus ``amount`` times its difference from a binomial blur."""
    cols = values.integer("luma_msize_x", "lx", default=5)
    rows = values.integer("luma_msize_y", "ly", default=5)
    amount = values.number("luma_amount", "la", default=1.0)
    if values.number("chroma_amount", "ca", default=0.0):
        raise unknown("unsharp chroma_amount", "colours are not filtered by themselves here")
    if not (3 <= cols <= 23 and 3 <= rows <= 23 and cols % 2 and rows % 2):
        raise UsageError(f"unsharp takes odd sizes from 3 to 23, got {cols}x{rows}")
    divisor = 2.0 ** (cols + rows - 2)
    weights = [
        [-amount * math.comb(rows - 1, row) * math.comb(cols - 1, col) for col in range(cols)] for row in range(rows)
    ]
    weights[rows // 2][cols // 2] += (1 + amount) * divisor
    result.add(
        kernel_of(weights, f"scale=1/{divisor:.0f}"),
        "unsharp blurs by binomial weights, in whole numbers",
        "unsharp filters brightness (Y of YUV) alone, convfilter red, green and blue",
    )


def _convolution(_name: str, values: _Values, result: Translation) -> None:
    """Take the matrix of the first plane: a square of 9, 25 or 49 weights."""
    words = values.text("0m").split()
    side = math.isqrt(len(words))
    if side * side != len(words) or side not in (3, 5, 7) or not all(re.fullmatch(r"-?\d+", word) for word in words):
        raise unknown("convolution 0m", "a matrix of 9, 25 or 49 whole numbers has a translation")
    others = {values.text(f"{plane}m") for plane in (1, 2, 3)} - {"", values.text("0m")}
    if others:
        raise unknown("convolution", "its matrices differ from plane to plane")
    weights = [[float(word) for word in words[row * side : (row + 1) * side]] for row in range(side)]
    total = sum(map(sum, weights))
    rdiv = values.text("0rdiv")
    if rdiv not in ("", "0"):
        result.note("ffmpeg 5.1 ignores rdiv, and divides by the sum of the weights")
    factor = rdiv if rdiv not in ("", "0") else f"1/{total:.0f}" if total not in (0, 1) else ""
    bias = values.number("0bias", default=0)
    if values.text("1m"):
        for name, first in (("rdiv", rdiv or "0"), ("bias", values.text("0bias") or "0")):
            if {values.text(f"{plane}{name}") or "0" for plane in (1, 2)} != {first}:
                raise unknown(f"convolution {name}", "it differs from plane to plane; 0, 1 and 2 must be the same")
    else:
        result.note("a matrix for the first plane alone filters brightness, or green in a picture of RGB planes")
    arguments = [f"scale={factor}"] if factor and factor != "1" else []
    arguments += [f"offset={numeral(bias)}/255"] if bias else []
    result.add(kernel_of(weights, *arguments, "padding_mode=reflect"))
    if side == 3:
        result.note(_BORDER)


def _median(_name: str, values: _Values, result: Translation) -> None:
    radius = values.integer("radius", default=1)
    down = values.integer("radiusV", default=0) or radius
    if values.number("percentile", default=0.5) != 0.5:
        raise unknown("median percentile")
    result.add(f"median:{pair(2 * radius + 1, 2 * down + 1)}")


def _extreme(name: str, _values: _Values, result: Translation) -> None:
    result.add(f"{'erode' if name == 'erosion' else 'dilate'}:3")


def _edges(name: str, values: _Values, result: Translation) -> None:
    scale, delta = values.number("scale", default=1), values.number("delta", default=0)
    arguments = [f"scale={numeral(scale)}"] if scale != 1 else []
    arguments += [f"offset={numeral(delta)}/255"] if delta else []
    result.add(",".join([f"{name}:magnitude", *arguments, "padding_mode=reflect"]), f"{name} rounds down", _BORDER)


def _roberts(_name: str, _values: _Values, _result: Translation) -> None:
    raise unknown("roberts", "both of ffmpeg's differences go along rows, x[-1] - x[0]; roberts:magnitude is a cross")


#: The values that are translated, in their places and, after a bar, by name alone; and how.
_FILTERS: dict[str, tuple[str, Callable[[str, _Values, Translation], None]]] = {
    "gblur": ("sigma steps planes sigmaV", _gblur),
    "avgblur": ("sizeX planes sizeY", _avgblur),
    "boxblur": ("luma_radius luma_power | lr lp", _boxblur),
    "unsharp": (
        "luma_msize_x luma_msize_y luma_amount chroma_msize_x chroma_msize_y chroma_amount | lx ly la cx cy ca",
        _unsharp,
    ),
    "convolution": ("0m 1m 2m 3m 0rdiv 1rdiv 2rdiv 3rdiv 0bias 1bias 2bias 3bias", _convolution),
    "median": ("radius planes radiusV percentile", _median),
    "erosion": ("", _extreme),
    "dilation": ("", _extreme),
    "sobel": ("planes scale delta", _edges),
    "prewitt": ("planes scale delta", _edges),
    "roberts": ("planes scale delta", _roberts),
}
