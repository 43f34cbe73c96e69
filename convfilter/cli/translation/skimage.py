"""Functions of scikit-image: ``filters``, ``morphology``, ``feature``, ``restoration``."""

from __future__ import annotations

import math
from collections.abc import Callable

from convfilter.cli.translation.calls import Arguments, Call
from convfilter.cli.translation.ndimage import border
from convfilter.cli.translation.translation import (
    Translation,
    Window,
    numeral,
    ones,
    pair,
    require_symmetric,
    round_footprint,
    unknown,
)

#: scikit-image's divisor of a gradient: the sum of its weights on one side, times the root of two for magnitudes.
_DIVISORS = {"sobel": 4, "prewitt": 3, "scharr": 16, "farid": 1, "roberts": 1}
#: White of the bytes that scikit-image makes fractions of.
_WHITE = 255
_SIGNED = "scikit-image keeps the sign, convfilter stores the magnitude; --map offset makes mid-grey zero"
#: Sigmas from the middle of a Gaussian beyond which no weight matters.
_WHOLE = 6
_CHANNELS = "without channel_axis scikit-image filters along the colours of a picture, too; convfilter does not"


def _gaussian(arguments: Arguments, result: Translation) -> None:
    rows, cols = arguments.pair("sigma", 1, flat=0)
    result.add(f"gaussian:{pair(cols, rows)},truncate={numeral(arguments.number('truncate', 4.0))}")
    _common(arguments, result, "nearest")


def _difference_of_gaussians(arguments: Arguments, result: Translation) -> None:
    low = arguments.number("low_sigma")
    high = arguments.number_or("high_sigma", 1.6 * low)
    if not 0 < low < high:
        raise unknown(f"difference_of_gaussians({numeral(low)}, {numeral(high)})", "the second sigma is the larger one")
    result.add(f"dog:{numeral(low)},ratio={numeral(high / low)}", _SIGNED)
    cut = arguments.number("truncate", 4.0)
    if cut < _WHOLE:
        result.note(f"scikit-image cuts the Gaussians at {numeral(cut)} sigma")
    _common(arguments, result, "nearest")


def _common(arguments: Arguments, result: Translation, mode: str) -> None:
    """Translate the arguments of functions with a border."""
    if arguments.take("channel_axis") not in (-1, 2) and not arguments.is_of_colours:
        result.note(_CHANNELS)
    white = 1 if arguments.take("preserve_range", False) else _WHITE
    arguments.take("out")
    border(arguments, result, mode, "scikit-image", white)


def _gradient(name: str, axis: str) -> Callable[[Arguments, Translation], None]:
    def translate(arguments: Arguments, result: Translation) -> None:
        arguments.only("mask")
        chosen = arguments.take("axis")
        choices = ((None, axis), (0, "y"), (1, "x"), ([0, 1], "magnitude"))
        along = next((name for value, name in choices if value == chosen), "")
        if not along:  # -1 smooths along its own axis, too, in scikit-image 0.26
            raise unknown(f"{arguments.function}(axis={chosen})")
        divisor = _DIVISORS[name] * (2**0.5 if along == "magnitude" else 1)
        result.add(f"{name}:{along}" + (f",scale={1 / divisor:.9g}" if divisor != 1 else ""))
        if along != "magnitude":
            result.note(_SIGNED)
        result.note("scikit-image takes a colour picture for a volume; convfilter filters each colour channel")
        border(arguments, result, library="scikit-image", white=_WHITE, has_modes=False)

    return translate


def _laplace(arguments: Arguments, result: Translation) -> None:
    arguments.only("ksize", 3)
    arguments.only("mask")
    result.add("laplacian", "scikit-image stores the signed result, negated; convfilter stores the magnitude")
    border(arguments, result, library="scikit-image")


def _median(arguments: Arguments, result: Translation) -> None:
    arguments.only("behavior", "ndimage")
    arguments.take("out")
    window = _window(arguments, ones(3, 3))
    result.add(window.median(""))
    border(arguments, result, "nearest", "scikit-image", has_modes=False)


def _window(arguments: Arguments, default: list[list[float]]) -> Window:
    cells = arguments.matrix("footprint") if arguments.has("footprint") else default
    require_symmetric(cells, "some functions rotate it by 180 degrees, others do not")
    return Window.of(cells)


def _unsharp(arguments: Arguments, result: Translation) -> None:
    (rows, cols), amount = arguments.pair("radius", 1.0), arguments.number("amount", 1.0)
    result.add(f"unsharp:{pair(cols, rows)},amount={numeral(amount)}", "scikit-image cuts the Gaussian at 4 sigma")
    _common(arguments, result, "reflect")


def _canny(arguments: Arguments, result: Translation) -> None:
    sigma = arguments.number("sigma", 1.0)
    low, high = arguments.take("low_threshold"), arguments.take("high_threshold")
    arguments.only("mask")
    arguments.only("use_quantiles", False)
    arguments.only("mode", "constant")
    arguments.only("cval", 0, 0.0)
    for value in (low, high):
        if isinstance(value, str | list):
            raise unknown(f"canny of {value}", "thresholds are numbers")
    given = [value for value in (low, high) if value is not None]
    white = _WHITE if any(value > 1 for value in given) else 1
    if white != 1:
        result.note("thresholds above 1 are levels of bytes in scikit-image, so they are divided by 255 here")
    elif given:
        result.note("thresholds are taken as for floats; for bytes scikit-image divides them by 255")
    low, high = 0.1 if low is None else low / white, 0.2 if high is None else high / white
    result.add(f"canny:{numeral(sigma)},{numeral(low)},{numeral(high)}")


def _bilateral(arguments: Arguments, result: Translation) -> None:
    space, colour = arguments.number("sigma_spatial", 1), arguments.number("sigma_color")
    side = int(arguments.number("win_size", max(5, 2 * math.ceil(3 * space) + 1)))
    arguments.only("bins", 10000)
    mode = str(arguments.take("mode", "constant"))
    if mode not in ("constant", "edge", "symmetric", "reflect", "wrap"):
        raise unknown(f"mode={mode}")
    if arguments.take("channel_axis") is not None:
        colour *= 3
        result.note("scikit-image divides the distance of two colours by the number of channels, taken as 3")
    result.add(
        f"bilateral:{numeral(space)},sigma_range={numeral(colour)},radius={side // 2},distance=l2",
        "scikit-image sums a square, and its table of weights of distance is skewed, as its rows are one longer than "
        "they are read; convfilter sums a disk",
    )
    result.options["--padding-mode"] = mode
    level = arguments.number("cval", 0) * _WHITE
    if mode == "constant":
        result.options["--padding-value"] = numeral(level)


def _morph(name: str) -> Callable[[Arguments, Translation], None]:
    def translate(arguments: Arguments, result: Translation) -> None:
        arguments.take("out")
        result.add(f"{name}:{_window(arguments, round_footprint('diamond', 1)).text}")
        border(arguments, result, "reflect", "scikit-image", has_modes=False)

    return translate


_FILTERED = "mask axis mode cval"
_MORPHED = "image footprint out mode cval"
#: By the name of a function.
CALLS: dict[str, Call] = {
    "gaussian": ("image sigma mode cval preserve_range truncate channel_axis out", _gaussian),
    "difference_of_gaussians": (
        "image low_sigma high_sigma mode cval channel_axis truncate",
        _difference_of_gaussians,
    ),
    **{name: (f"image {_FILTERED}", _gradient(name, "magnitude")) for name in ("sobel", "scharr", "prewitt", "farid")},
    **{
        f"{name}_{end}": ("image mask", _gradient(name, axis))
        for name in ("sobel", "scharr", "prewitt", "farid")
        for end, axis in (("h", "y"), ("v", "x"))
    },
    "roberts": ("image mask", _gradient("roberts", "magnitude")),
    "laplace": ("image ksize mask", _laplace),
    "median": ("image footprint out mode cval behavior", _median),
    "unsharp_mask": ("image radius amount preserve_range channel_axis", _unsharp),
    "canny": ("image sigma low_threshold high_threshold mask use_quantiles mode cval", _canny),
    "denoise_bilateral": ("image win_size sigma_color sigma_spatial bins mode cval channel_axis", _bilateral),
    "erosion": (_MORPHED, _morph("erode")),
    "dilation": (_MORPHED, _morph("dilate")),
    "opening": (_MORPHED, _morph("open")),
    "closing": (_MORPHED, _morph("close")),
    "white_tophat": (_MORPHED, _morph("tophat")),
    "black_tophat": (_MORPHED, _morph("blackhat")),
}
