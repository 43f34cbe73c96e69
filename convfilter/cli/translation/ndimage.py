"""Functions of ``scipy.ndimage``."""

from __future__ import annotations

from collections.abc import Callable

from convfilter.cli.translation.calls import Arguments, Call
from convfilter.cli.translation.translation import (
    Translation,
    kernel_of,
    numeral,
    pair,
    require_odd,
    require_symmetric,
    unknown,
    window,
)

MODES = {
    "reflect": "symmetric", "grid-mirror": "symmetric", "mirror": "reflect", "nearest": "edge", "constant": "constant",
    "grid-constant": "constant", "wrap": "wrap", "grid-wrap": "wrap",
}  # fmt: skip
_SIGNED = "{} keeps the sign in an array of floats and wraps around in one of bytes; convfilter stores the magnitude"
_CHANNELS = "{} takes the colours of a picture for a third axis and filters along it, too; convfilter does not"


def border(arguments: Arguments, result: Translation, default: str = "reflect", library: str = "SciPy") -> None:
    """Translate ``mode`` and ``cval``; the names are SciPy's."""
    mode = str(arguments.take("mode", default))
    if mode not in MODES:
        raise unknown(f"mode={mode}")
    level = arguments.number("cval", 0)
    result.options["--padding-mode"] = MODES[mode]
    if MODES[mode] != mode:
        result.note(f"{mode} in {library} is {MODES[mode]} here")
    if MODES[mode] == "constant":
        result.options["--padding-value"] = numeral(level)


def _common(arguments: Arguments, result: Translation) -> None:
    """Translate the arguments that all functions share; ``output`` only changes where the result is stored."""
    arguments.take("output")
    border(arguments, result)
    arguments.only("origin", 0, [0, 0])
    arguments.only("radius")
    if arguments.take("axes") not in ([0, 1], [-3, -2]) and not arguments.is_of_colours:
        result.note(_CHANNELS.format("SciPy"))


def _axis(arguments: Arguments) -> bool:
    """Whether a filter of one axis runs along the rows."""
    axis = arguments.take("axis", -1)
    if axis not in (-2, -1, 0, 1):
        raise unknown(f"axis={axis}", "an image has axes 0 and 1")
    return axis in (-1, 1)


def _before(cols: int, rows: int) -> str:
    """Return the padding of an even window: in SciPy and OpenCV it reaches further to the left and to the top."""
    if cols % 2 and rows % 2:
        return ""
    return f",padding={cols // 2},{rows // 2},{cols - 1 - cols // 2},{rows - 1 - rows // 2}"


def windowed(name: str, cols: int, rows: int) -> str:
    """Write the SPEC of a filter over a rectangle that may be even."""
    return f"{name}:{pair(cols, rows)}{_before(cols, rows)}"


def correlated(weights: object, *arguments: str) -> str:
    """Write the SPEC of a kernel that may be even."""
    matrix: list[list[float]] = weights  # type: ignore[assignment]
    return kernel_of(matrix, *arguments) + _before(len(matrix[0]), len(matrix))


def _gaussian_filter(arguments: Arguments, result: Translation) -> None:
    rows, cols = arguments.pair("sigma", flat=0)
    arguments.only("order", 0, [0, 0])
    result.add(f"gaussian:{pair(cols, rows)},truncate={numeral(arguments.number('truncate', 4.0))}")
    _common(arguments, result)


def _gaussian_filter1d(arguments: Arguments, result: Translation) -> None:
    sigma = arguments.number("sigma")
    arguments.only("order", 0)
    size = pair(sigma, 0) if _axis(arguments) else pair(0, sigma)
    result.add(f"gaussian:{size},truncate={numeral(arguments.number('truncate', 4.0))}")
    _common(arguments, result)


def _size(arguments: Arguments) -> tuple[int, int]:
    rows, cols = arguments.pair("size", flat=1)
    if rows % 1 or cols % 1 or rows < 1 or cols < 1:
        raise unknown(f"size=({rows}, {cols})")
    return int(rows), int(cols)


def _window(name: str) -> Callable[[Arguments, Translation], None]:
    def translate(arguments: Arguments, result: Translation) -> None:
        arguments.only("structure")
        if arguments.has("footprint"):
            result.add(f"{name}:{_footprint(arguments)}")
        else:
            rows, cols = _size(arguments)
            is_even = not (cols % 2 and rows % 2)
            if is_even and name not in ("box", "median", "erode"):
                raise unknown(f"{arguments.function} of size ({rows}, {cols})", "even windows are rotated differently")
            spec = windowed("percentile" if is_even and name == "median" else name, cols, rows)
            result.add(spec + (f",p={numeral(cols * rows // 2 / (cols * rows - 1))}" if spec.startswith("p") else ""))
            if spec.startswith("p"):
                result.note("SciPy takes the upper of the two samples in the middle, as p does here")
        _common(arguments, result)

    return translate


def _footprint(arguments: Arguments) -> str:
    cells = arguments.matrix("footprint")
    require_symmetric(cells, "some functions rotate it by 180 degrees, others do not")
    return window(cells)


def _window1d(name: str) -> Callable[[Arguments, Translation], None]:
    def translate(arguments: Arguments, result: Translation) -> None:
        size = arguments.number("size")
        require_odd(size, size, f"size={size}")
        result.add(f"{name}:{pair(size, 1) if _axis(arguments) else pair(1, size)}")
        _common(arguments, result)

    return translate


def _ranked(arguments: Arguments, result: Translation) -> None:
    """Write a rank as a fraction p: SciPy takes a sample, and never interpolates between two."""
    if arguments.has("footprint"):
        cells = arguments.matrix("footprint")
        count, text = sum(cell != 0 for row in cells for cell in row), window(cells)
        require_odd(len(cells[0]), len(cells), "footprint", "footprints")
    else:
        rows, cols = _size(arguments)
        require_odd(cols, rows, f"size=({rows}, {cols})")
        count, text = rows * cols, pair(cols, rows)
    if arguments.function == "rank_filter":
        rank = arguments.number("rank")
    else:
        percentile = arguments.number("percentile")
        percentile += 100 if percentile < 0 else 0
        rank = count - 1 if percentile == 100 else int(count * percentile / 100)
    rank += count if rank < 0 else 0
    if rank % 1 or not 0 <= rank < count:
        raise unknown(f"rank={rank}", f"the window has {count} samples")
    result.add(f"percentile:{text},p={numeral(rank / max(count - 1, 1))}")
    _common(arguments, result)


def _weights(*, flip: bool) -> Callable[[Arguments, Translation], None]:
    def translate(arguments: Arguments, result: Translation) -> None:
        weights = arguments.matrix("weights")
        if arguments.function.endswith("1d"):
            weights = weights if _axis(arguments) else [[cell] for cell in weights[0]]
        if flip:
            result.add(kernel_of(weights, "flip=true"), f"{arguments.function} rotates the kernel, as flip does here")
        else:
            result.add(correlated(weights), "both correlate")
        _common(arguments, result)

    return translate


def _derivative(name: str) -> Callable[[Arguments, Translation], None]:
    def translate(arguments: Arguments, result: Translation) -> None:
        result.add(f"{name}:{'x' if _axis(arguments) else 'y'}", _SIGNED.format("SciPy"))
        _common(arguments, result)

    return translate


def _laplace(arguments: Arguments, result: Translation) -> None:
    result.add("laplacian", _SIGNED.format("SciPy"))
    _common(arguments, result)


_RANKED = "size footprint output mode cval origin axes"
_MORPHED = "input size footprint structure output mode cval origin axes"
_LINE = "size axis output mode cval origin"
#: By the name of a function.
CALLS: dict[str, Call] = {
    "gaussian_filter": ("input sigma order output mode cval truncate radius axes", _gaussian_filter),
    "gaussian_filter1d": ("input sigma axis order output mode cval truncate radius", _gaussian_filter1d),
    "uniform_filter": ("input size output mode cval origin axes", _window("box")),
    "uniform_filter1d": (f"input {_LINE}", _window1d("box")),
    "median_filter": (f"input {_RANKED}", _window("median")),
    "minimum_filter": (f"input {_RANKED}", _window("erode")),
    "maximum_filter": (f"input {_RANKED}", _window("dilate")),
    "minimum_filter1d": (f"input {_LINE}", _window1d("erode")),
    "maximum_filter1d": (f"input {_LINE}", _window1d("dilate")),
    "percentile_filter": (f"input percentile {_RANKED}", _ranked),
    "rank_filter": (f"input rank {_RANKED}", _ranked),
    "grey_erosion": (_MORPHED, _window("erode")),
    "grey_dilation": (_MORPHED, _window("dilate")),
    "grey_opening": (_MORPHED, _window("open")),
    "grey_closing": (_MORPHED, _window("close")),
    "morphological_gradient": (_MORPHED, _window("morphgradient")),
    "white_tophat": (_MORPHED, _window("tophat")),
    "black_tophat": (_MORPHED, _window("blackhat")),
    "sobel": ("input axis output mode cval", _derivative("sobel")),
    "prewitt": ("input axis output mode cval", _derivative("prewitt")),
    "laplace": ("input output mode cval axes", _laplace),
    "correlate": ("input weights output mode cval origin axes", _weights(flip=False)),
    "convolve": ("input weights output mode cval origin axes", _weights(flip=True)),
    "correlate1d": ("input weights axis output mode cval origin", _weights(flip=False)),
    "convolve1d": ("input weights axis output mode cval origin", _weights(flip=True)),
}
