"""Functions of OpenCV."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from convfilter.cli.translation.calls import Arguments, Call
from convfilter.cli.translation.translation import (
    Matrix,
    Translation,
    Window,
    cut_gaussians,
    kernel_of,
    numeral,
    ones,
    pair,
    require_small,
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
_SMALL = {
    1: (1, [1]), 3: (4, [1, 2, 1]), 5: (16, [1, 4, 6, 4, 1]), 7: (64, [2, 7, 14, 18, 14, 7, 2]),
    9: (256, [4, 13, 30, 51, 60, 51, 30, 13, 4]),
}  # fmt: skip
_OF_BYTES = ("-1", "CV_8U")
_OPERATIONS = {
    "MORPH_OPEN": "open", "MORPH_CLOSE": "close", "MORPH_ERODE": "erode", "MORPH_DILATE": "dilate",
    "MORPH_GRADIENT": "morphgradient", "MORPH_TOPHAT": "tophat", "MORPH_BLACKHAT": "blackhat",
}  # fmt: skip
#: The size by which OpenCV names Scharr's kernels, and the default of Sobel's.
_SCHARR, _SMALLEST_SOBEL = -1, 3
#: Largest size of a derivative's kernel (``getDerivKernels``).
_LARGEST_DERIVATIVE = 31


def _border(arguments: Arguments, result: Translation) -> None:
    """Translate the arguments that most functions share; ``dst`` only changes where the result is stored."""
    arguments.take("dst")
    border = str(arguments.take("borderType", "BORDER_DEFAULT"))
    if border not in _BORDERS:
        raise unknown(f"borderType={border}")
    result.options["--padding-mode"] = _BORDERS[border]
    result.note(f"{border} in OpenCV is {_BORDERS[border]} here")


def _padding(arguments: Arguments, window: Window) -> str:
    """Translate ``anchor``, the pixel (x, y) of a window that lies on the pixel of the result; -1 is the middle."""
    cols, rows = arguments.pair("anchor", -1)
    if cols % 1 or rows % 1:
        raise unknown(f"anchor=({cols}, {rows})")
    across = 0 if cols == -1 else int(cols) - window.cols // 2
    return window.padding((0 if rows == -1 else int(rows) - window.rows // 2, across))


def _ksize(arguments: Arguments) -> tuple[int, int]:
    cols, rows = arguments.pair("ksize")
    if cols % 1 or rows % 1 or cols < 0 or rows < 0:
        raise unknown(f"ksize=({cols}, {rows})")
    return int(cols), int(rows)


def _gaussian_blur(arguments: Arguments, result: Translation) -> None:
    cols, rows = _ksize(arguments)
    across = arguments.number("sigmaX", 0)
    down = arguments.number("sigmaY", 0)
    down = down if down > 0 else across
    if (cols or rows) and (cols % 2 == 0 or rows % 2 == 0):
        raise UsageError(f"a Gaussian of OpenCV has an odd size, or (0, 0), got ({cols}, {rows})")
    if min(across, down) <= 0 and not (cols and rows):
        raise UsageError("a Gaussian of OpenCV needs a size or a sigma")
    if not cols:
        result.add(f"gaussian:{pair(across, down)}")
        result.note(
            "OpenCV chooses the size of the kernel by sigma; convfilter's Gaussian is not cut and is normalised"
        )
    else:
        _sized_gaussian((cols, rows), (across, down), result)
    result.note("at 8 bits OpenCV takes weights of 1/256 and rounds after each pass; convfilter rounds once")
    _border(arguments, result)


def _sized_gaussian(sizes: tuple[int, int], sigmas: tuple[float, float], result: Translation) -> None:
    """Add a Gaussian of two sizes, across and down; a sigma of 0 is chosen by the size, or weights are."""
    fixed = [_SMALL.get(size) if sigma <= 0 else None for size, sigma in zip(sizes, sigmas, strict=True)]
    if any(fixed):
        (over, line), (below, column) = (each or (1, [1]) for each in fixed)
        result.add(kernel_of(_outer(column, line), f"scale=1/{over * below}"))
        result.note("without a sigma OpenCV uses fixed weights for small sizes")
    if any(sigma <= 0 and size not in _SMALL for size, sigma in zip(sizes, sigmas, strict=True)):
        result.note("a sigma of 0 means 0.3 * ((ksize - 1) / 2 - 1) + 0.8 in OpenCV")
    across, down = (
        sigma if sigma > 0 else 0.3 * ((size - 1) * 0.5 - 1) + 0.8 for size, sigma in zip(sizes, sigmas, strict=True)
    )
    left, up = (0 if weights else size // 2 for size, weights in zip(sizes, fixed, strict=True))
    for spec in cut_gaussians((across, down), (left, up)):
        result.add(spec)
    if not result.specs:
        result.add("box:1")


def _box(arguments: Arguments, result: Translation) -> None:
    cols, rows = _ksize(arguments)
    window = Window(max(rows, 1), max(cols, 1))
    if str(arguments.take("ddepth", -1)) not in _OF_BYTES:
        result.note("the result keeps the picture's type")
    is_sum = arguments.take("normalize", True) in (False, 0)
    spec = f"box:{window.text}{_padding(arguments, window)}"
    result.add(spec + (f",scale={window.count}" if is_sum else ""))
    _border(arguments, result)


def _median(arguments: Arguments, result: Translation) -> None:
    arguments.take("dst")
    side = arguments.number("ksize")
    if side % 2 != 1:
        raise UsageError(f"a median of OpenCV has an odd size, got {side}")
    result.add(f"median:{numeral(side)}")


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


def _taps(order: int, size: int) -> list[int]:
    """Return the weights of OpenCV's derivative along an axis (``getDerivKernels``); -1 is the size of Scharr's."""
    if size == _SCHARR:
        return [-1, 0, 1] if order else [3, 10, 3]
    taps, side = [1], size if size > 1 or not order else 3
    for number in range(side - 1):
        before = -1 if number >= side - 1 - order else 1
        taps = [before * a + b for a, b in zip([*taps, 0], [0, *taps], strict=True)]
    return taps


def _outer(column: Sequence[float], line: Sequence[float]) -> Matrix:
    return [[a * b for b in line] for a in column]


def _odd_size(arguments: Arguments, default: int, least: int) -> int:
    size = arguments.number("ksize", default)
    if size % 2 != 1 or not least <= size <= _LARGEST_DERIVATIVE:
        raise unknown(f"{arguments.function} of ksize {size}")
    return int(size)


def _gradient(name: str) -> Callable[[Arguments, Translation], None]:
    """Return the translation of a derivative: OpenCV's kernels are those of this program, times -1."""

    def translate(arguments: Arguments, result: Translation) -> None:
        across, down = arguments.number("dx"), arguments.number("dy")
        size = _odd_size(arguments, 3, _SCHARR) if name == "sobel" else _SCHARR
        is_first = (across, down) in ((1, 0), (0, 1))
        # A kernel of size 1 has three taps along the derivative.
        is_known = across % 1 == down % 1 == 0 and min(across, down) >= 0 and 0 < max(across, down) < max(size, 3)
        if is_first and size in (_SCHARR, 3, 5, 7):
            kind = "scharr" if size == _SCHARR else "sobel"
            spec = f"{kind}:{'x' if across else 'y'}" + (f",size={size}" if size > _SMALLEST_SOBEL else "")
            _signed(spec, arguments, result, sign=-1)
        elif is_known and size != _SCHARR:
            _signed(kernel_of(_outer(_taps(int(down), size), _taps(int(across), size))), arguments, result)
        else:
            raise unknown(f"{arguments.function} of order ({across}, {down}) and ksize {size}")

    return translate


def _laplacian(arguments: Arguments, result: Translation) -> None:
    size = _odd_size(arguments, 1, 1)
    if size == 1:
        _signed("laplacian", arguments, result)
        return
    smooth, second = _taps(0, size), _taps(2, size)
    both = zip(_outer(smooth, second), _outer(second, smooth), strict=True)
    _signed(kernel_of([[a + b for a, b in zip(*rows, strict=True)] for rows in both]), arguments, result)


def _filter(arguments: Arguments, result: Translation) -> None:
    if arguments.function == "sepFilter2D":
        line, column = ([cell for row in arguments.matrix(name) for cell in row] for name in ("kernelX", "kernelY"))
        require_small(len(column), len(line))
        weights = _outer(column, line)
    else:
        weights = arguments.matrix("kernel")
    spec = kernel_of(weights) + _padding(arguments, Window.of(weights))
    delta = arguments.number("delta", 0)
    if str(arguments.take("ddepth", -1)) not in _OF_BYTES:
        result.note(
            "OpenCV keeps signed numbers; convfilter stores what fits the picture's type: --map offset keeps signs"
        )
    result.add(spec + (f",offset={numeral(delta)}/255" if delta else ""), "both correlate")
    _border(arguments, result)


def _holds_borders(cells: Matrix) -> bool:
    """Whether each cell has all cells between it and the middle row, and the middle column.

    Then repeating the outermost pixels beyond a border adds no pixels to an extreme.
    """
    middle_row, middle_col = len(cells) // 2, len(cells[0]) // 2

    def nearer(place: int, middle: int) -> int:
        return place + (middle > place) - (middle < place)

    return all(
        cells[nearer(row, middle_row)][col] and line[nearer(col, middle_col)]
        for row, line in enumerate(cells)
        for col, cell in enumerate(line)
        if cell
    )


def _morph(name: str) -> Callable[[Arguments, Translation], None]:
    def translate(arguments: Arguments, result: Translation) -> None:
        operation = name or _OPERATIONS.get(str(arguments.take("op")), "")
        if not operation:
            raise unknown("morphologyEx", f"known operations are {', '.join(_OPERATIONS)}")
        # Without a kernel (None) OpenCV takes a square of three pixels.
        cells = arguments.matrix("kernel") if arguments.has("kernel") else ones(3, 3)
        require_symmetric(cells, "OpenCV does not rotate the footprint of a dilation, convfilter does", "kernel")
        if not _holds_borders(cells):
            raise unknown("kernel", _AT_BORDERS)
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


_AT_BORDERS = (
    "OpenCV leaves out what lies beyond a border, convfilter repeats the outermost pixels; these are the same for "
    "rectangles, crosses and ellipses"
)
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
    "sepFilter2D": ("src ddepth kernelX kernelY dst anchor delta borderType", _filter),
    "erode": (f"src {_MORPHED}", _morph("erode")),
    "dilate": (f"src {_MORPHED}", _morph("dilate")),
    "morphologyEx": (f"src op {_MORPHED}", _morph("")),
    "Canny": ("src threshold1 threshold2 edges apertureSize L2gradient", _reason),
    "bilateralFilter": ("src d sigmaColor sigmaSpace dst borderType", _bilateral),
}
