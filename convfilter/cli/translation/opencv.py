"""Functions of OpenCV."""

from __future__ import annotations

from collections.abc import Callable

from convfilter.cli.translation.calls import Arguments, Call
from convfilter.cli.translation.ndimage import correlated, windowed
from convfilter.cli.translation.translation import (
    Matrix,
    Translation,
    kernel_of,
    numeral,
    pair,
    require_symmetric,
    unknown,
    window,
    with_keywords,
)
from convfilter.errors import UsageError

_BORDERS = {
    "BORDER_DEFAULT": "reflect", "BORDER_REFLECT_101": "reflect", "BORDER_REFLECT101": "reflect",
    "BORDER_REFLECT": "symmetric", "BORDER_REPLICATE": "edge", "BORDER_WRAP": "wrap", "BORDER_CONSTANT": "constant",
}  # fmt: skip
#: Without a sigma, small Gaussians have these weights over the divisor before them (``getGaussianKernel``).
_SMALL = {1: (1, [1]), 3: (4, [1, 2, 1]), 5: (16, [1, 4, 6, 4, 1]), 7: (64, [2, 7, 14, 18, 14, 7, 2])}
_OF_BYTES = ("-1", "CV_8U")
_OPERATIONS = {
    "MORPH_OPEN": "open", "MORPH_CLOSE": "close", "MORPH_ERODE": "erode", "MORPH_DILATE": "dilate",
    "MORPH_GRADIENT": "morphgradient", "MORPH_TOPHAT": "tophat", "MORPH_BLACKHAT": "blackhat",
}  # fmt: skip
_LAPLACIANS: dict[int, Matrix] = {1: [[0, 1, 0], [1, -4, 1], [0, 1, 0]], 3: [[2, 0, 2], [0, -8, 0], [2, 0, 2]]}


def _border(arguments: Arguments, result: Translation) -> None:
    """Translate the arguments that most functions share; ``dst`` only changes where the result is stored."""
    arguments.take("dst")
    arguments.only("anchor", None, [-1, -1])
    border = str(arguments.take("borderType", "BORDER_DEFAULT"))
    if border not in _BORDERS:
        raise unknown(f"borderType={border}")
    result.options["--padding-mode"] = _BORDERS[border]
    result.note(f"{border} in OpenCV is {_BORDERS[border]} here")


def _ksize(arguments: Arguments) -> tuple[int, int]:
    cols, rows = arguments.pair("ksize")
    return int(cols), int(rows)


def _gaussian_blur(arguments: Arguments, result: Translation) -> None:
    cols, rows = _ksize(arguments)
    across = arguments.number("sigmaX", 0)
    down = arguments.number("sigmaY", 0) or across
    if (cols or rows) and (cols % 2 == 0 or rows % 2 == 0):
        raise UsageError(f"a Gaussian of OpenCV has an odd size, or (0, 0), got ({cols}, {rows})")
    if across <= 0 and not (cols and rows):
        raise UsageError("a Gaussian of OpenCV needs a size or a sigma")
    if across <= 0 and cols in _SMALL and rows in _SMALL:
        (over, line), (below, column) = _SMALL[cols], _SMALL[rows]
        result.add(kernel_of([[a * b for b in line] for a in column], f"scale=1/{over * below}"))
        result.note("without a sigma OpenCV uses fixed weights for small sizes")
    elif not cols:
        result.add(f"gaussian:{pair(across, down)}")
        result.note(
            "OpenCV chooses the size of the kernel by sigma; convfilter's Gaussian is not cut and is normalised"
        )
    else:
        if across <= 0:
            across, down = (0.3 * ((side - 1) * 0.5 - 1) + 0.8 for side in (cols, rows))
            result.note("a sigma of 0 means 0.3 * ((ksize - 1) / 2 - 1) + 0.8 in OpenCV")
        if (cols // 2) * down != (rows // 2) * across:
            raise unknown(f"ksize=({cols}, {rows})", "the kernel is cut at different multiples of sigma; give one size")
        result.add(f"gaussian:{pair(across, down)},truncate={numeral((cols // 2) / across)}")
    result.note("at 8 bits OpenCV takes weights of 1/256 and rounds after each pass; convfilter rounds once")
    _border(arguments, result)


def _box(arguments: Arguments, result: Translation) -> None:
    cols, rows = _ksize(arguments)
    arguments.only("normalize", True)
    if str(arguments.take("ddepth", -1)) not in _OF_BYTES:
        result.note("the result keeps the picture's type")
    result.add(windowed("box", cols, rows))
    _border(arguments, result)


def _median(arguments: Arguments, result: Translation) -> None:
    arguments.take("dst")
    result.add(f"median:{numeral(arguments.number('ksize'))}")


def _signed(spec: str, arguments: Arguments, result: Translation, sign: int = 1) -> None:
    """Add a filter whose results may be negative: OpenCV stores them by ``ddepth``, times ``scale`` plus ``delta``."""
    depth = str(arguments.take("ddepth", "nothing"))
    scale = sign * arguments.number("scale", 1)
    delta = arguments.number("delta", 0)
    words = [f"scale={numeral(scale)}"] if scale != 1 else []
    words += [f"offset={numeral(delta)}/255"] if delta else []
    if depth in _OF_BYTES:
        result.add(with_keywords(spec, *words, "map=clip"), "OpenCV and map=clip store negative results as 0")
    else:
        result.add(with_keywords(spec, *words, "map=offset"))
        result.note("OpenCV keeps signed numbers; map=offset makes mid-grey zero, and clips beyond half of the range")
    _border(arguments, result)


def _gradient(name: str) -> Callable[[Arguments, Translation], None]:
    """Return the translation of a derivative: OpenCV's kernels are those of this program, times -1."""

    def translate(arguments: Arguments, result: Translation) -> None:
        order = (arguments.number("dx"), arguments.number("dy"))
        size = arguments.number("ksize", 3) if name == "sobel" else 3
        if order not in ((1, 0), (0, 1)) or size not in (3, 5, 7):
            raise unknown(f"{arguments.function} of order {order} and ksize {size}")
        spec = f"{name}:{'x' if order == (1, 0) else 'y'}" + (f",size={size}" if size != 3 else "")
        _signed(spec, arguments, result, sign=-1)

    return translate


def _laplacian(arguments: Arguments, result: Translation) -> None:
    size = int(arguments.number("ksize", 1))
    if size not in _LAPLACIANS:
        raise unknown(f"Laplacian of ksize {size}", "ksize 1 and 3 have a translation")
    _signed("laplacian" if size == 1 else kernel_of(_LAPLACIANS[size]), arguments, result)


def _filter(arguments: Arguments, result: Translation) -> None:
    spec = correlated(arguments.matrix("kernel"))
    delta = arguments.number("delta", 0)
    if str(arguments.take("ddepth", -1)) not in _OF_BYTES:
        result.note(
            "OpenCV keeps signed numbers; convfilter stores what fits the picture's type: --map offset keeps signs"
        )
    result.add(spec + (f",offset={numeral(delta)}/255" if delta else ""), "both correlate")
    _border(arguments, result)


def _morph(name: str) -> Callable[[Arguments, Translation], None]:
    def translate(arguments: Arguments, result: Translation) -> None:
        operation = name or _OPERATIONS.get(str(arguments.take("op")), "")
        if not operation:
            raise unknown("morphologyEx", f"known operations are {', '.join(_OPERATIONS)}")
        cells = arguments.matrix("kernel")
        require_symmetric(cells, "OpenCV does not rotate the footprint of a dilation, convfilter does", "kernel")
        arguments.take("dst")
        arguments.only("anchor", None, [-1, -1])
        arguments.only("borderType", None, "BORDER_CONSTANT")
        times = arguments.number("iterations", 1)
        if times != 1 and operation not in ("erode", "dilate"):
            raise unknown(f"iterations={times}", "write the erosions and dilations one by one")
        if times % 1 or not 1 <= times <= 99:
            raise unknown(f"iterations={times}")
        for _ in range(int(times)):
            result.add(f"{operation}:{window(cells)}")

    return translate


def _bilateral(arguments: Arguments, result: Translation) -> None:
    diameter, colour, space = (arguments.number(name) for name in ("d", "sigmaColor", "sigmaSpace"))
    radius = max(1, int(diameter) // 2 if diameter > 0 else round(1.5 * space))
    if diameter <= 0:
        result.note("a d of 0 means a radius of 1.5 sigmaSpace in OpenCV; convfilter's own is 3 sigmas")
    result.add(
        f"bilateral:{numeral(space)},sigma_range={numeral(colour / 255)},radius={radius}",
        "sigmaColor is taken as levels of 8 bits; sigma_range is a fraction of full scale",
    )
    _border(arguments, result)


_REASONS = {
    "Canny": "it has neither the Gaussian nor the thresholds of convfilter edges --canny; look at that",
}


def _reason(arguments: Arguments, _result: Translation) -> None:
    raise unknown(f"cv2.{arguments.function}", _REASONS[arguments.function])


_MORPHED = "kernel dst anchor iterations borderType"
#: By the name of a function.
CALLS: dict[str, Call] = {
    "GaussianBlur": ("src ksize sigmaX dst sigmaY borderType", _gaussian_blur),
    "blur": ("src ksize dst anchor borderType", _box),
    "boxFilter": ("src ddepth ksize dst anchor normalize borderType", _box),
    "medianBlur": ("src ksize dst", _median),
    "Sobel": ("src ddepth dx dy dst ksize scale delta borderType", _gradient("sobel")),
    "Scharr": ("src ddepth dx dy dst scale delta borderType", _gradient("scharr")),
    "Laplacian": ("src ddepth dst ksize scale delta borderType", _laplacian),
    "filter2D": ("src ddepth kernel dst anchor delta borderType", _filter),
    "erode": (f"src {_MORPHED}", _morph("erode")),
    "dilate": (f"src {_MORPHED}", _morph("dilate")),
    "morphologyEx": (f"src op {_MORPHED}", _morph("")),
    "Canny": ("src threshold1 threshold2 edges apertureSize L2gradient", _reason),
    "bilateralFilter": ("src d sigmaColor sigmaSpace dst borderType", _bilateral),
}
