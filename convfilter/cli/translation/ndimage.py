"""Functions of ``scipy.ndimage``."""

from __future__ import annotations

from collections.abc import Callable

from convfilter.cli.translation.calls import Arguments, Call
from convfilter.cli.translation.translation import (
    GAUSSIAN,
    Translation,
    Window,
    cut_gaussians,
    kernel_of,
    numeral,
    ones,
    pair,
    round_footprint,
    unknown,
)

MODES = {
    "reflect": "symmetric", "grid-mirror": "symmetric", "mirror": "reflect", "nearest": "edge", "constant": "constant",
    "grid-constant": "constant", "wrap": "wrap", "grid-wrap": "wrap",
}  # fmt: skip
#: Most iterations of a binary erosion or dilation: each is a filter of the line.
_MOST_ITERATIONS = 99
_SIGNED = "{} keeps the sign in an array of floats and wraps around in one of bytes; convfilter stores the magnitude"
_CHANNELS = "{} takes the colours of a picture for a third axis and filters along it, too; convfilter does not"


def border(
    arguments: Arguments,
    result: Translation,
    default: str = "reflect",
    library: str = "SciPy",
    white: float = 1,
    *,
    has_modes: bool = True,
) -> None:
    """Translate ``mode``, of both axes or, if ``has_modes``, of (rows, cols), and ``cval``, in ``white`` levels.

    The names are SciPy's.
    """
    modes = _modes(arguments, default, library, has_modes=has_modes)
    level = arguments.number("cval", 0) * white
    result.options["--padding-mode"] = ",".join(MODES[mode] for mode in reversed(modes))
    for mode in modes:
        if MODES[mode] != mode:
            result.note(f"{mode} in {library} is {MODES[mode]} here")
    if len(modes) > 1:
        result.note(f"{library} takes the mode of the rows first, and convfilter that of the columns, as in 1920x1080")
    if any(MODES[mode] == "constant" for mode in modes):
        result.options["--padding-value"] = numeral(level)
        if level and white != 1:
            result.note(f"cval is a fraction of white in {library}, and a level of 8 bits here")


def _modes(arguments: Arguments, default: str, library: str, *, has_modes: bool) -> list[str]:
    """Return one mode for both axes, or those of (rows, cols); a third is for channels, along which nothing changes."""
    value = arguments.take("mode", default)
    is_list = isinstance(value, list | tuple)
    if is_list and not has_modes:
        raise unknown(f"{arguments.function}(mode={list(value)})", f"{library} takes one mode for both axes there")
    modes = list(value) if is_list else [value]
    if len(modes) == 3 and arguments.is_of_colours:
        modes.pop()
    if len(modes) != 1 + is_list or not all(isinstance(mode, str) and mode in MODES for mode in modes):
        raise unknown(f"mode={value}")
    return modes[:1] if len({MODES[mode] for mode in modes}) == 1 else modes


def _common(arguments: Arguments, result: Translation, *, has_modes: bool = True) -> None:
    """Translate the arguments that all functions share; ``output`` only changes where the result is stored.

    SciPy takes a mode for each axis if it filters one axis after the other: ``has_modes``.
    """
    arguments.take("output")
    border(arguments, result, has_modes=has_modes)
    axes = arguments.take("axes")
    if axes not in (None, [0, 1], [-3, -2], [-2, -1]):
        raise unknown(f"{arguments.function}(axes={axes})", "both axes of the picture, in their order, have one")
    if axes not in ([0, 1], [-3, -2]) and not arguments.is_of_colours:
        result.note(_CHANNELS.format("SciPy"))


def _common_of_derivatives(arguments: Arguments, result: Translation) -> None:
    """Translate the arguments that all functions share, of one that SciPy computes along one axis after the other.

    Each pass pads anew: the derivative of a constant border is 0, but the next pass reads ``cval`` there.
    """
    level = arguments.number("cval", 0)
    if level:
        raise unknown(f"{arguments.function}(cval={numeral(level)})", "SciPy pads the derivative with it; 0 has one")
    _common(arguments, result)


def _origin(arguments: Arguments) -> tuple[int, int]:
    """Return how far the window is moved up and to the left."""
    rows, cols = arguments.pair("origin", 0, flat=0)
    if rows % 1 or cols % 1:
        raise unknown(f"origin=({rows}, {cols})")
    return int(rows), int(cols)


def _mirrored(origin: tuple[int, int], window: Window) -> tuple[int, int]:
    """Return the origin of a window that SciPy rotates by 180 degrees."""
    return -origin[0] - (1 - window.rows % 2), -origin[1] - (1 - window.cols % 2)


def _axis(arguments: Arguments) -> bool:
    """Whether a filter of one axis runs along the rows."""
    axis = arguments.take("axis", -1)
    if axis not in (-2, -1, 0, 1):
        raise unknown(f"axis={axis}", "an image has axes 0 and 1")
    return axis in (-1, 1)


def _gaussian_filter(arguments: Arguments, result: Translation) -> None:
    order = arguments.pair("order", 0)
    if any(order):
        _gaussian_derivative(order, arguments, result)
        return
    rows, cols = arguments.pair("sigma", flat=0)
    truncate = numeral(arguments.number("truncate", 4.0))
    if arguments.has("radius"):
        up, left = arguments.pair("radius")
        for spec in cut_gaussians((cols, rows), (left, up)):
            result.add(spec)
    else:
        result.add(f"gaussian:{pair(cols, rows)},truncate={truncate}")
    _common(arguments, result)


def _gaussian_derivative(order: tuple[float, float], arguments: Arguments, result: Translation) -> None:
    down, across = order
    if down and across:
        raise unknown(f"gaussian_filter(order=[{down}, {across}])", "derivatives along one axis have one")
    sigma = _whole_gaussian(arguments, result, is_even=(down + across) % 2 == 0)
    result.add(
        f"derivative:{sigma},order={numeral(down + across)},axis={'x' if across else 'y'}", _SIGNED.format("SciPy")
    )
    arguments.only("radius")
    _common_of_derivatives(arguments, result)


def _whole_gaussian(arguments: Arguments, result: Translation, *, is_even: bool) -> str:
    """Return the sigma of a derivative of a Gaussian, which is not cut here."""
    rows, cols = arguments.pair("sigma", flat=0)
    if rows != cols:
        raise unknown(f"{arguments.function}(sigma=[{rows}, {cols}])", "one sigma for both axes has one")
    if is_even and rows < 1:
        raise unknown(
            f"{arguments.function}(sigma={rows})", "below 1, its weights do not sum to 0; those of convfilter always do"
        )
    arguments.number("truncate", 4.0)
    result.note(GAUSSIAN)
    return numeral(rows)


def _gradient_magnitude(arguments: Arguments, result: Translation) -> None:
    result.add(f"derivative:{_whole_gaussian(arguments, result, is_even=False)}")
    _common_of_derivatives(arguments, result)


def _gaussian_laplace(arguments: Arguments, result: Translation) -> None:
    result.add(f"log:{_whole_gaussian(arguments, result, is_even=True)}", _SIGNED.format("SciPy"))
    _common_of_derivatives(arguments, result)


def _gaussian_filter1d(arguments: Arguments, result: Translation) -> None:
    sigma = arguments.number("sigma")
    arguments.only("order", 0)
    truncate = arguments.number("truncate", 4.0)
    if arguments.has("radius"):
        truncate = arguments.number("radius") / sigma if sigma else truncate
    size = pair(sigma, 0) if _axis(arguments) else pair(0, sigma)
    result.add(f"gaussian:{size},truncate={numeral(truncate)}")
    _common(arguments, result, has_modes=False)


def _size(arguments: Arguments) -> tuple[int, int]:
    rows, cols = arguments.pair("size", flat=1)
    if rows % 1 or cols % 1 or rows < 1 or cols < 1:
        raise unknown(f"size=({rows}, {cols})")
    return int(rows), int(cols)


def _window(arguments: Arguments) -> Window:
    """Return a window from its footprint, its flat structure or its size."""
    if arguments.has("structure"):
        cells = arguments.matrix("structure")
        if any(cell for row in cells for cell in row):
            raise unknown(f"{arguments.function}(structure)", "a structure of zeros has a translation, or a footprint")
        footprint = arguments.matrix("footprint") if arguments.has("footprint") else ones(len(cells), len(cells[0]))
        return Window.of(footprint)
    if arguments.has("footprint"):
        arguments.take("size")
        return Window.of(arguments.matrix("footprint"))
    return Window(*_size(arguments))


def _box(arguments: Arguments, result: Translation) -> None:
    window = Window(*_size(arguments))
    result.add(f"box:{window.text}{window.padding(_origin(arguments))}")
    _common(arguments, result)


def _median(arguments: Arguments, result: Translation) -> None:
    window = _window(arguments)
    result.add(window.median(window.padding(_origin(arguments))))
    if window.count % 2 == 0:
        result.note("SciPy takes the upper of the two samples in the middle, as p does here")
    _common(arguments, result, has_modes=False)


def _eroded(window: Window, origin: tuple[int, int]) -> str:
    return f"erode:{window.text}{window.padding(origin)}"


def _dilated(window: Window, origin: tuple[int, int]) -> str:
    return f"dilate:{window.text}{window.padding(_mirrored(origin, window))}"


def _extreme(arguments: Arguments, result: Translation) -> None:
    has_structure = arguments.has("structure")
    window, origin = _window(arguments), _origin(arguments)
    if arguments.function in ("minimum_filter", "grey_erosion"):
        result.add(_eroded(window, origin))
    elif arguments.function == "grey_dilation":
        result.add(_dilated(window, origin))
    else:  # a dilation rotates its window, a maximum does not
        result.add(f"dilate:{window.rotated.text}{window.padding(origin)}")
    _common(arguments, result, has_modes=window.is_full and not has_structure)


def _composed(name: str) -> Callable[[Arguments, Translation], None]:
    def translate(arguments: Arguments, result: Translation) -> None:
        has_structure = arguments.has("structure")
        window, origin = _window(arguments), _origin(arguments)
        if not window.padding(origin) and not window.padding(_mirrored(origin, window)):
            result.add(f"{name}:{window.text}")
        elif name not in ("open", "close"):
            raise unknown(f"{arguments.function} with an even or moved window", "its dilation and erosion have one")
        else:
            steps = _eroded(window, origin), _dilated(window, origin)
            for spec in steps if name == "open" else reversed(steps):
                result.add(spec)
        _common(arguments, result, has_modes=window.is_full and not has_structure)

    return translate


def _binary(arguments: Arguments, result: Translation) -> None:
    cells = arguments.matrix("structure") if arguments.has("structure") else round_footprint("diamond", 1)
    window, origin = Window.of(cells), _origin(arguments)
    times, level = arguments.number("iterations", 1), arguments.take("border_value", 0)
    if times % 1 or not 1 <= times <= _MOST_ITERATIONS:
        raise unknown(f"iterations={times}")
    if level not in (0, 1):
        raise unknown(f"border_value={level}")
    arguments.only("mask")
    arguments.take("brute_force")
    arguments.take("output")
    arguments.only("axes")
    operation = arguments.function.removeprefix("binary_")
    steps = {"erosion": [_eroded], "dilation": [_dilated], "opening": [_eroded, _dilated]}
    for step in steps.get(operation, [_dilated, _eroded]):
        for _ in range(int(times)):
            result.add(step(window, origin), "for pictures of black and white")
    result.options |= {"--padding-mode": "constant", "--padding-value": numeral(255 * level)}


def _window1d(name: str) -> Callable[[Arguments, Translation], None]:
    def translate(arguments: Arguments, result: Translation) -> None:
        size, origin = arguments.number("size"), arguments.number("origin", 0)
        if size % 1 or size < 1 or origin % 1:
            raise unknown(f"{arguments.function}(size={size}, origin={origin})")
        along = _axis(arguments)
        window = Window(1, int(size)) if along else Window(int(size), 1)
        result.add(f"{name}:{window.text}{window.padding((0, int(origin)) if along else (int(origin), 0))}")
        _common(arguments, result, has_modes=False)

    return translate


def _ranked(arguments: Arguments, result: Translation) -> None:
    window = _window(arguments)
    if arguments.function == "rank_filter":
        rank = arguments.number("rank")
    else:
        percentile = arguments.number("percentile")
        percentile += 100 if percentile < 0 else 0
        rank = window.count - 1 if percentile == 100 else int(window.count * percentile / 100)
    rank += window.count if rank < 0 else 0
    if rank % 1 or not 0 <= rank < window.count:
        raise unknown(f"rank={rank}", f"the window has {window.count} samples")
    result.add(window.ranked(int(rank), window.padding(_origin(arguments))))
    _common(arguments, result, has_modes=False)


def _weights(*, flip: bool) -> Callable[[Arguments, Translation], None]:
    def translate(arguments: Arguments, result: Translation) -> None:
        weights = arguments.matrix("weights")
        if arguments.function.endswith("1d"):
            if len(weights) != 1:
                raise unknown(f"{arguments.function} of {len(weights)} rows")
            origin, along = arguments.number("origin", 0), _axis(arguments)
            weights = weights if along else [[cell] for cell in weights[0]]
            place = (0, int(origin)) if along else (int(origin), 0)
        else:
            place = _origin(arguments)
        window = Window.of(weights)
        if flip:
            spec = kernel_of(weights, "flip=true") + window.padding(_mirrored(place, window))
            result.add(spec, f"{arguments.function} rotates the kernel, as flip does here")
        else:
            result.add(kernel_of(weights) + window.padding(place), "both correlate")
        _common(arguments, result, has_modes=False)

    return translate


def _derivative(name: str) -> Callable[[Arguments, Translation], None]:
    def translate(arguments: Arguments, result: Translation) -> None:
        result.add(f"{name}:{'x' if _axis(arguments) else 'y'}", _SIGNED.format("SciPy"))
        _common_of_derivatives(arguments, result)

    return translate


def _laplace(arguments: Arguments, result: Translation) -> None:
    result.add("laplacian", _SIGNED.format("SciPy"))
    _common(arguments, result)


_RANKED = "size footprint output mode cval origin axes"
_MORPHED = "input size footprint structure output mode cval origin axes"
_LINE = "size axis output mode cval origin"
_BINARY = "input structure iterations mask output border_value origin brute_force axes"
_BINARY_PAIR = "input structure iterations output origin mask border_value brute_force axes"
#: By the name of a function.
CALLS: dict[str, Call] = {
    "gaussian_filter": ("input sigma order output mode cval truncate radius axes", _gaussian_filter),
    "gaussian_filter1d": ("input sigma axis order output mode cval truncate radius", _gaussian_filter1d),
    "gaussian_gradient_magnitude": ("input sigma output mode cval axes truncate", _gradient_magnitude),
    "gaussian_laplace": ("input sigma output mode cval axes truncate", _gaussian_laplace),
    "uniform_filter": ("input size output mode cval origin axes", _box),
    "uniform_filter1d": (f"input {_LINE}", _window1d("box")),
    "median_filter": (f"input {_RANKED}", _median),
    "minimum_filter": (f"input {_RANKED}", _extreme),
    "maximum_filter": (f"input {_RANKED}", _extreme),
    "minimum_filter1d": (f"input {_LINE}", _window1d("erode")),
    "maximum_filter1d": (f"input {_LINE}", _window1d("dilate")),
    "percentile_filter": (f"input percentile {_RANKED}", _ranked),
    "rank_filter": (f"input rank {_RANKED}", _ranked),
    "grey_erosion": (_MORPHED, _extreme),
    "grey_dilation": (_MORPHED, _extreme),
    "grey_opening": (_MORPHED, _composed("open")),
    "grey_closing": (_MORPHED, _composed("close")),
    "morphological_gradient": (_MORPHED, _composed("morphgradient")),
    "white_tophat": (_MORPHED, _composed("tophat")),
    "black_tophat": (_MORPHED, _composed("blackhat")),
    "binary_erosion": (_BINARY, _binary),
    "binary_dilation": (_BINARY, _binary),
    "binary_opening": (_BINARY_PAIR, _binary),
    "binary_closing": (_BINARY_PAIR, _binary),
    "sobel": ("input axis output mode cval", _derivative("sobel")),
    "prewitt": ("input axis output mode cval", _derivative("prewitt")),
    "laplace": ("input output mode cval axes", _laplace),
    "correlate": ("input weights output mode cval origin axes", _weights(flip=False)),
    "convolve": ("input weights output mode cval origin axes", _weights(flip=True)),
    "correlate1d": ("input weights axis output mode cval origin", _weights(flip=False)),
    "convolve1d": ("input weights axis output mode cval origin", _weights(flip=True)),
}
