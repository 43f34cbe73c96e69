"""Command lines and calls of other programs as convfilter's own, with where and why results will differ.

Each program has a function from its words to a `Translation`. A part that means nothing certain here is an error that
names it; nothing is guessed.
"""

from __future__ import annotations

import ast
import math
import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from convfilter.errors import UsageError, shown

_GAUSSIAN = "convfilter's Gaussian is not cut and is normalized"
_ROUNDED = "rounds after each pass and each filter; convfilter rounds once, at the end"
_PADDING = {"edge": "edge", "mirror": "symmetric", "tile": "wrap"}
#: The names of SciPy and of OpenCV for borders, as they are called here.
_SCIPY_MODES = {
    "reflect": "symmetric", "grid-mirror": "symmetric", "mirror": "reflect", "nearest": "edge", "constant": "constant",
    "grid-constant": "constant", "wrap": "wrap", "grid-wrap": "wrap",
}  # fmt: skip
_OPENCV_BORDERS = {
    "BORDER_DEFAULT": "reflect", "BORDER_REFLECT_101": "reflect", "BORDER_REFLECT101": "reflect",
    "BORDER_REFLECT": "symmetric", "BORDER_REPLICATE": "edge", "BORDER_WRAP": "wrap", "BORDER_CONSTANT": "constant",
}  # fmt: skip
_SKIMAGE_MODES = ("constant", "edge", "symmetric", "reflect", "wrap")
_NUMBER = r"\d*\.?\d+"


class Translation:
    """What a foreign line says, collected word by word."""

    def __init__(self) -> None:
        self.specs: list[str] = []
        self.options: dict[str, str] = {}
        self.names: list[str] = []
        self.notes: dict[str, None] = {}

    def add(self, spec: str, *notes: str) -> None:
        """Add a filter, and why its result will differ."""
        self.specs.append(spec)
        self.notes |= dict.fromkeys(notes)

    def lines(self) -> Iterator[str]:
        """Return the command, then the notes as comments of a shell."""
        source, destination = (*self.names, "in.png", "out.png")[:2] if not self.names else (*self.names, "out.png")[:2]
        words = ["convfilter", "apply"]
        for spec in self.specs:
            words += ["-f", spec]
        for flag, value in self.options.items():
            words += [flag, value] if value else [flag]
        yield shlex.join([*words, source, destination])
        for note in self.notes:
            yield f"# {note}"


def translated(line: str) -> Translation:
    """Translate a line of another program.

    Parameters
    ----------
    line : str
        Of ImageMagick, vips, ffmpeg or G'MIC as it is typed, or one call of SciPy, OpenCV, scikit-image or torch.nn.

    Returns
    -------
    Translation

    Raises
    ------
    UsageError
        The program is not known, or a part of the line has no certain meaning here.
    """
    call = re.match(r"[\w.]*\s*=?\s*[\w.]+\(", line.strip())
    if call is not None:
        return _of_call(line.strip())
    try:
        words = shlex.split(line)
    except ValueError as error:
        raise UsageError(f"the line cannot be split into words: {error}") from error
    if not words:
        raise UsageError("a command line is needed, such as 'magick in.jpg -blur 0x4 out.jpg'")
    program = words[0].rpartition("/")[2]
    if program not in _PROGRAMS:
        known = ", ".join(dict.fromkeys(_PROGRAMS))
        raise UsageError(
            f"lines of {known} and calls of ndimage, cv2, skimage and torch.nn can be translated, got {shown(line)}"
        )
    found = Translation()
    _PROGRAMS[program](words[1:], found)
    if not found.specs:
        raise UsageError(f"no filter was found in {shown(line)}")
    if len(found.names) > 2:
        raise UsageError(f"one input and one output can be translated, got {', '.join(map(shown, found.names))}")
    return found


def _unknown(part: str, why: str = "") -> UsageError:
    return UsageError(f"{shown(part)} has no translation" + (f": {why}" if why else ""))


def _numbers(text: str, form: str, part: str) -> list[float | None]:
    """Read a geometry such as ``0x4`` or ``2x1+1+0.05``."""
    found = re.fullmatch(form, text)
    if found is None:
        raise _unknown(f"{part} {text}")
    return [None if group is None else float(group) for group in found.groups()]


def _plain(value: float) -> str:
    return f"{value:.10g}"


def _magick(words: Sequence[str], found: Translation) -> None:
    """Read the words of ImageMagick; lines of version 6 begin with convert."""
    waiting = iter([word for word in words if word != "convert"] if words[:1] == ["convert"] else words)
    for word in waiting:
        if not word.startswith(("-", "+")) or word == "-":
            found.names.append(word)
            continue
        value = "" if word == "-strip" else next(waiting, "")
        match word:
            case "-blur" | "-gaussian-blur":
                radius, sigma = _numbers(value, rf"({_NUMBER})(?:x({_NUMBER}))?", word)
                assert radius is not None
                spec = f"gaussian:{_plain(radius if sigma is None else sigma)}"
                if sigma and radius:
                    spec += f",truncate={_plain(radius / sigma)}"
                note = f"ImageMagick cuts the kernel where its weights fall below one level; {_GAUSSIAN}"
                found.add(spec, f"ImageMagick {_ROUNDED}", *([] if sigma and radius else [note]))
            case "-unsharp":
                _, sigma, amount, threshold = _numbers(
                    value, rf"({_NUMBER})(?:x({_NUMBER}))?(?:\+({_NUMBER}))?(?:\+({_NUMBER}))?", word
                )
                level = 0.05 if threshold is None else threshold
                spec = (
                    f"unsharp:{_plain(1 if sigma is None else sigma)},amount={_plain(1 if amount is None else amount)}"
                )
                found.add(
                    spec + f",threshold={_plain(level)}",
                    "ImageMagick compares twice the difference with the threshold, convfilter the difference itself",
                )
            case "-median":
                (radius,) = _numbers(value, rf"({_NUMBER})", word)
                assert radius is not None
                found.add(f"median:{_plain(2 * radius + 1)}")
            case "-statistic":
                kind, size = value.lower(), next(waiting, "")
                sizes = _numbers(size, r"(\d+)(?:x(\d+))?", f"{word} {value}")
                window = "x".join(_plain(each) for each in sizes if each is not None)
                names = {"median": "median", "minimum": "erode", "maximum": "dilate", "mean": "box"}
                if kind not in names:
                    raise _unknown(f"{word} {value}")
                found.add(f"{names[kind]}:{window}", f"ImageMagick {_ROUNDED}")
            case "-morphology":
                _morphology(value, next(waiting, ""), found)
            case "-quality":
                found.options["--quality"] = value
            case "-strip":
                found.options["--strip=all"] = ""
            case "-virtual-pixel":
                if value.lower() not in _PADDING:
                    raise _unknown(f"{word} {value}")
                found.options["--padding-mode"] = _PADDING[value.lower()]
            case "-sharpen":
                raise _unknown(word, "its kernel is not that of unsharp masking; -unsharp has a translation")
            case "-convolve":
                raise _unknown(word, "versions differ in whether they divide by the sum; use -morphology Correlate")
            case _:
                raise _unknown(word)


def _morphology(method: str, kernel: str, found: Translation) -> None:
    name = method.lower().partition(":")[0]
    if custom := re.fullmatch(r"(\d+)x(\d+):\s*(.+)", kernel, re.S):
        if name not in ("convolve", "correlate"):
            raise _unknown(f"-morphology {method} {kernel}")
        weights = [word for word in re.split(r"[\s,]+", custom[3].strip()) if word]
        cols, rows = int(custom[1]), int(custom[2])
        if len(weights) != cols * rows:
            raise _unknown(f"-morphology {method} {kernel}", f"{cols}x{rows} weights are needed, got {len(weights)}")
        lines = ["".join(f"{word} " for word in weights[row * cols : (row + 1) * cols]).strip() for row in range(rows)]
        if name == "convolve":
            found.add(
                f"kernel:{'; '.join(lines)},flip=true", "-morphology Convolve turns the kernel, as flip does here"
            )
        else:
            found.add(f"kernel:{'; '.join(lines)}")
        return
    names = {"erode": "erode", "dilate": "dilate", "open": "open", "close": "close", "tophat": "tophat",
             "bottomhat": "blackhat", "edge": "morphgradient"}  # fmt: skip
    shape = re.fullmatch(r"(?:square:(\d+)|square|rectangle:(\d+)x(\d+))", kernel.lower())
    if name not in names or shape is None or ":" in method:
        raise _unknown(f"-morphology {method} {kernel}")
    window = f"{shape[2]}x{shape[3]}" if shape[2] else str(2 * int(shape[1] or 1) + 1)
    found.add(f"{names[name]}:{window}")


def _vips(words: Sequence[str], found: Translation) -> None:
    if len(words) < 3:
        raise UsageError("a line of vips has an operation, an input and an output")
    operation, *rest = words
    places = [word for word in rest if not word.startswith("--")]
    found.names += places[:2]
    values = places[2:]
    given = [word for word in rest if word.startswith("--")]
    if given:
        raise _unknown(given[0])
    match operation, len(values):
        case "gaussblur", 1:
            found.add(
                f"gaussian:{values[0]}",
                "vips cuts the kernel where a weight is below a fifth of the largest (--min-ampl 0.2), and takes whole "
                f"numbers for weights; {_GAUSSIAN}",
                f"vips {_ROUNDED}",
            )
        case "median", 1 | 0:
            found.add(f"median:{values[0] if values else 3}")
        case "conv", 1:
            found.add(f"kernel:{values[0]}", "both correlate, and divide by the scale in the file")
        case "sobel", 0:
            found.add(
                "sobel:magnitude", "vips adds the absolute differences up; convfilter takes the root of their squares"
            )
        case _:
            raise _unknown(f"vips {operation}")


def _ffmpeg(words: Sequence[str], found: Translation) -> None:
    waiting = iter(words)
    for word in waiting:
        if word == "-i":
            found.names.insert(0, next(waiting, ""))
        elif word in ("-vf", "-filter:v"):
            for part in next(waiting, "").split(","):
                _ffmpeg_filter(part, found)
        elif word in ("-y", "-n"):
            found.options["--overwrite" if word == "-y" else "--no-clobber"] = ""
        elif word.startswith("-") and word != "-":
            raise _unknown(word)
        else:
            found.names.append(word)
    found.notes["ffmpeg filters brightness and colour (YUV), convfilter red, green and blue"] = None


def _ffmpeg_filter(part: str, found: Translation) -> None:
    name, _, text = part.partition("=")
    values = dict((field.partition("=")[::2] if "=" in field else ("", field)) for field in text.split(":") if field)
    first = values.get("", "")

    def value(*names: str, default: str) -> str:
        unknown = set(values) - {"", *names}
        if unknown:
            raise _unknown(f"{name} {min(unknown)}")
        return next((values[each] for each in names if each in values), first or default)

    match name:
        case "gblur":
            found.add(
                f"gaussian:{value('sigma', default='0.5')}", f"gblur is a recursive filter that comes near; {_GAUSSIAN}"
            )
        case "avgblur":
            found.add(f"box:{2 * int(value('sizeX', default='1')) + 1}")
        case "boxblur":
            spec = f"box:{2 * int(value('luma_radius', 'lr', default='2')) + 1}"
            found.add(spec, "boxblur filters twice by default, and rounds in between")
            found.add(spec)
        case "median":
            found.add(f"median:{2 * int(value('radius', default='1')) + 1}")
        case "erosion" | "dilation":
            if values:
                raise _unknown(part)
            found.add(
                f"{'erode' if name == 'erosion' else 'dilate'}:3", f"{name} leaves out the middle sample of the nine"
            )
        case "sobel" | "prewitt" | "roberts":
            if values:
                raise _unknown(part)
            found.add(f"{name}:magnitude" if name != "roberts" else name)
        case _:
            raise _unknown(part)


def _gmic(words: Sequence[str], found: Translation) -> None:
    waiting = iter(words)
    for word in waiting:
        match word.removeprefix("-"):
            case "blur" | "b":
                found.add(
                    f"gaussian:{next(waiting, '')}", f"G'MIC's blur is a recursive filter that comes near; {_GAUSSIAN}"
                )
            case "median" | "erode" | "dilate" as name:
                found.add(f"{name}:{next(waiting, '')}")
            case "output" | "o":
                found.names.append(next(waiting, ""))
            case _ if re.search(r"\.\w+$", word) and not word.startswith("-"):
                found.names.append(word)
            case _:
                raise _unknown(word)


def _of_call(line: str) -> Translation:
    """Translate one call of a library."""
    try:
        body = ast.parse(line).body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise UsageError(f"this is no call of Python: {shown(line)}") from error
    node = body[0] if len(body) == 1 else None
    call = getattr(node, "value", None)
    if not isinstance(call, ast.Call):
        raise UsageError(f"one call is needed, got {shown(line)}")
    *_, name = ast.unparse(call.func).split(".")
    if name not in _CALLS:
        raise _unknown(f"{ast.unparse(call.func)}()", f"known are {', '.join(_CALLS)}")
    positions, translate = _CALLS[name]
    values: dict[str, Any] = {}
    by_position = positions[: next((at for at, key in enumerate(positions) if key in _KEYWORDS), len(positions))]
    if len(call.args) > len(by_position):
        raise _unknown(ast.unparse(call.args[len(by_position)]), "name it, as in truncate=4")
    pairs = list(zip(by_position, call.args, strict=False))
    for key, each in [*pairs, *((str(keyword.arg), keyword.value) for keyword in call.keywords)]:
        if key not in positions:
            raise _unknown(f"{name}({key}=...)")
        values[key] = _value(each)
    found = Translation()
    translate(values, found)
    return found


def _value(node: ast.expr) -> Any:
    """Return a number, a list or a name; np.ones and np.array are looked into."""
    if isinstance(node, ast.Call):
        name = ast.unparse(node.func).rpartition(".")[2]
        if name in ("array", "asarray", "float32") and node.args:
            return _value(node.args[0])
        if name == "ones" and node.args:
            return ("ones", _value(node.args[0]))
        raise _unknown(ast.unparse(node))
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, RecursionError):
        return ast.unparse(node).rpartition(".")[2]


def _need(values: Mapping[str, Any], key: str) -> Any:
    if key not in values or isinstance(values[key], str):
        raise UsageError(f"{key} must be a number or a list in the line, got {shown(values.get(key, 'nothing'))}")
    return values[key]


def _pair(value: Any, *, reverse: bool = False) -> str:
    """Write a size: SciPy and torch say (rows, columns), convfilter columns x rows."""
    if isinstance(value, (list, tuple)):
        both = [_plain(each) for each in (reversed(value) if reverse else value)]
        return both[0] if len(set(both)) == 1 else "x".join(both)
    return _plain(value)


def _scipy_border(values: Mapping[str, Any], found: Translation) -> None:
    mode = str(values.get("mode", "reflect"))
    if mode not in _SCIPY_MODES:
        raise _unknown(f"mode={mode}")
    found.options["--padding-mode"] = _SCIPY_MODES[mode]
    if _SCIPY_MODES[mode] != mode:
        found.notes[f"{mode} in SciPy is {_SCIPY_MODES[mode]} here"] = None
    if _SCIPY_MODES[mode] == "constant":
        found.options["--padding-value"] = _plain(_need({"cval": 0.0, **values}, "cval"))


def _opencv_border(values: Mapping[str, Any], found: Translation, default: str = "BORDER_DEFAULT") -> None:
    border = str(values.get("borderType", default))
    if border not in _OPENCV_BORDERS:
        raise _unknown(f"borderType={border}")
    found.options["--padding-mode"] = _OPENCV_BORDERS[border]
    found.notes[f"{border} in OpenCV is {_OPENCV_BORDERS[border]} here"] = None


def _gaussian_filter(values: Mapping[str, Any], found: Translation) -> None:
    truncate = _need({"truncate": 4.0, **values}, "truncate")
    found.add(f"gaussian:{_pair(_need(values, 'sigma'), reverse=True)},truncate={_plain(truncate)}")
    _scipy_border(values, found)


def _window(name: str) -> Callable[[Mapping[str, Any], Translation], None]:
    def translate(values: Mapping[str, Any], found: Translation) -> None:
        size = _need(values, "size")
        sides = size if isinstance(size, (list, tuple)) else [size]
        if any(side % 2 == 0 for side in sides):
            raise _unknown(f"size={size}", "SciPy's even windows reach further to the left, convfilter's to the right")
        found.add(f"{name}:{_pair(size, reverse=True)}")
        _scipy_border(values, found)

    return translate


def _matrix(weights: Any) -> str:
    if not isinstance(weights, (list, tuple)) or not all(isinstance(row, (list, tuple)) for row in weights):
        raise UsageError("the weights must stand in the line as a list of rows, or in a file: kernel:FILE.npy")
    return "; ".join(" ".join(_plain(each) for each in row) for row in weights)


def _weights(*, flip: bool) -> Callable[[Mapping[str, Any], Translation], None]:
    def translate(values: Mapping[str, Any], found: Translation) -> None:
        note = ("ndimage.convolve turns the kernel, as flip does here",) if flip else ("both correlate",)
        found.add(f"kernel:{_matrix(_need(values, 'weights'))}{',flip=true' if flip else ''}", *note)
        _scipy_border(values, found)

    return translate


def _scipy_derivative(values: Mapping[str, Any], found: Translation) -> None:
    axis = _need({"axis": -1, **values}, "axis")
    found.add(f"sobel:{'y' if axis == 0 else 'x'}", "map=offset stores signed results in a picture; SciPy keeps them")
    _scipy_border(values, found)


def _gaussian_blur(values: Mapping[str, Any], found: Translation) -> None:
    cols, rows = _need(values, "ksize")
    sigma = _need({"sigmaX": 0, **values}, "sigmaX")
    if cols != rows and (cols or rows):
        raise _unknown(f"ksize=({cols}, {rows})", "give one size")
    if not sigma:
        sigma = 0.3 * ((cols - 1) * 0.5 - 1) + 0.8
        found.notes["a sigma of 0 means 0.3 * ((ksize - 1) / 2 - 1) + 0.8 in OpenCV"] = None
    if cols:
        found.add(f"gaussian:{_plain(sigma)},truncate={_plain((cols // 2) / sigma)}")
    else:
        found.add(f"gaussian:{_plain(sigma)}", f"OpenCV chooses the size of the kernel by sigma; {_GAUSSIAN}")
    found.notes["at 8 bits OpenCV takes weights of 1/256 and rounds after each pass; convfilter rounds once"] = None
    _opencv_border(values, found)


def _opencv_box(values: Mapping[str, Any], found: Translation) -> None:
    found.add(f"box:{_pair(_need(values, 'ksize'))}")
    _opencv_border(values, found)


def _opencv_median(values: Mapping[str, Any], found: Translation) -> None:
    found.add(f"median:{_plain(_need(values, 'ksize'))}")


def _opencv_bilateral(values: Mapping[str, Any], found: Translation) -> None:
    diameter, colour, space = (_need(values, key) for key in ("d", "sigmaColor", "sigmaSpace"))
    radius = max(1, int(diameter) // 2 if diameter > 0 else round(1.5 * space))
    if diameter <= 0:
        found.notes["a d of 0 means a radius of 1.5 sigmaSpace in OpenCV; convfilter's own is 3 sigmas"] = None
    found.add(
        f"bilateral:{_plain(space)},sigma_range={_plain(colour / 255)},radius={radius}",
        "sigmaColor is taken as levels of 8 bits; sigma_range is a fraction of full scale",
    )
    _opencv_border(values, found)


def _denoise_bilateral(values: Mapping[str, Any], found: Translation) -> None:
    space = _need({"sigma_spatial": 1, **values}, "sigma_spatial")
    side = _need({"win_size": max(5, 2 * math.ceil(3 * space) + 1), **values}, "win_size")
    mode = str(values.get("mode", "constant"))
    if mode not in _SKIMAGE_MODES:
        raise _unknown(f"mode={mode}")
    colour = _need(values, "sigma_color")
    if values.get("channel_axis") is not None:
        colour *= 3
        found.notes["scikit-image divides the distance of two colours by the number of channels, taken as 3"] = None
    found.add(
        f"bilateral:{_plain(space)},sigma_range={_plain(colour)},radius={side // 2},distance=l2",
        "scikit-image sums a square and takes weights of colours from a table; convfilter sums a disk, exactly",
    )
    found.options["--padding-mode"] = mode
    if mode == "constant":
        found.options["--padding-value"] = _plain(_need({"cval": 0, **values}, "cval"))


def _opencv_sobel(values: Mapping[str, Any], found: Translation) -> None:
    order = (_need(values, "dx"), _need(values, "dy"))
    size = _need({"ksize": 3, **values}, "ksize")
    if order not in ((1, 0), (0, 1)) or size not in (3, 5, 7):
        raise _unknown(f"Sobel of order {order} and ksize {size}")
    spec = f"sobel:{'x' if order == (1, 0) else 'y'}" + (f",size={size}" if size != 3 else "")
    found.add(spec, "a picture of 8 bits keeps no negative results; --map offset or a float format does")
    _opencv_border(values, found)


def _opencv_filter(values: Mapping[str, Any], found: Translation) -> None:
    found.add(f"kernel:{_matrix(_need(values, 'kernel'))}", "both correlate")
    _opencv_border(values, found)


def _opencv_morph(name: str) -> Callable[[Mapping[str, Any], Translation], None]:
    def translate(values: Mapping[str, Any], found: Translation) -> None:
        kernel = _need(values, "kernel")
        if not (isinstance(kernel, tuple) and kernel[:1] == ("ones",)):
            raise _unknown("kernel", "only np.ones((rows, columns)) has a translation")
        found.add(f"{name}:{_pair(kernel[1], reverse=True)}")

    return translate


def _torch_pool(name: str) -> Callable[[Mapping[str, Any], Translation], None]:
    def translate(values: Mapping[str, Any], found: Translation) -> None:
        spec = f"{name}:{_pair(_need(values, 'kernel_size'), reverse=True)}"
        for key in ("stride", "padding"):
            if values.get(key) is not None:
                spec += f",{key}={_pair(_need(values, key), reverse=True)}"
        found.add(spec)
        if name == "avgpool" and values.get("padding"):
            found.notes["torch counts the padding in the mean (count_include_pad); count_padding=true does here"] = None

    return translate


_PROGRAMS: dict[str, Callable[[Sequence[str], Translation], None]] = {
    "magick": _magick, "convert": _magick, "vips": _vips, "ffmpeg": _ffmpeg, "gmic": _gmic,
}  # fmt: skip
#: What must be named: between these and the first ones stand others that are not translated.
_KEYWORDS = ("mode", "cval", "truncate", "borderType")
_SCIPY = ("input", "size", "mode", "cval")
_TORCH = ("kernel_size", "stride", "padding")
_CALLS: dict[str, tuple[tuple[str, ...], Callable[[Mapping[str, Any], Translation], None]]] = {
    "gaussian_filter": (("input", "sigma", "mode", "cval", "truncate"), _gaussian_filter),
    "uniform_filter": (_SCIPY, _window("box")),
    "median_filter": (_SCIPY, _window("median")),
    "minimum_filter": (_SCIPY, _window("erode")),
    "maximum_filter": (_SCIPY, _window("dilate")),
    "grey_erosion": (_SCIPY, _window("erode")),
    "grey_dilation": (_SCIPY, _window("dilate")),
    "sobel": (("input", "axis", "mode", "cval"), _scipy_derivative),
    "correlate": (("input", "weights", "mode", "cval"), _weights(flip=False)),
    "convolve": (("input", "weights", "mode", "cval"), _weights(flip=True)),
    "GaussianBlur": (("src", "ksize", "sigmaX", "borderType"), _gaussian_blur),
    "blur": (("src", "ksize", "borderType"), _opencv_box),
    "medianBlur": (("src", "ksize"), _opencv_median),
    "bilateralFilter": (("src", "d", "sigmaColor", "sigmaSpace", "borderType"), _opencv_bilateral),
    "denoise_bilateral": (
        ("image", "win_size", "sigma_color", "sigma_spatial", "mode", "cval", "channel_axis"),
        _denoise_bilateral,
    ),
    "Sobel": (("src", "ddepth", "dx", "dy", "borderType", "ksize"), _opencv_sobel),
    "filter2D": (("src", "ddepth", "kernel", "borderType"), _opencv_filter),
    "erode": (("src", "kernel"), _opencv_morph("erode")),
    "dilate": (("src", "kernel"), _opencv_morph("dilate")),
    "MaxPool2d": (_TORCH, _torch_pool("maxpool")),
    "AvgPool2d": (_TORCH, _torch_pool("avgpool")),
    "max_pool2d": (("input", *_TORCH), _torch_pool("maxpool")),
    "avg_pool2d": (("input", *_TORCH), _torch_pool("avgpool")),
}
