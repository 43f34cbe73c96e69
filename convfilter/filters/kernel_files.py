"""Kernels from files, or written inline: text, libvips' matrices, JSON and NumPy arrays.

Text
    See :mod:`convfilter.filters.kernel_text`. Fractions (``1/9``) and decimals
    (``0.1``) are exact: stored as whole numerators with one divisor.
libvips' matrix header
    A first line ``width height [scale [offset]]`` whose width and height match
    the rows below. The sum is divided by the scale; the offset is added, in
    samples of the picture at any depth. A line that could also be a row of
    weights is refused: a silent guess would drop a row.
.json
    Rows, ``[[1, 2, 1], ...]``, or ``{"weights": rows, "scale": 16, "offset": 0.5, "unit": "full scale"}``;
    a weight may be a string such as ``"1/9"``. The unit of the offset is "samples" (the default, as
    in libvips) or "full scale" (0.5 is mid-grey at any depth).
.npy, .npz
    A 2-D (or 1-D) array of real numbers. An .npz of several arrays must call one of them ``kernel``. Pickles are
    refused.
"""

from __future__ import annotations

import math
import os
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from convfilter.errors import KernelFileError, foreign, named, shown
from convfilter.filters import kernel_text
from convfilter.filters.kernel import Kernel, from_array
from convfilter.filters.kernel_text import Row, weight
from convfilter.record import NamedTuple, record, replace

if TYPE_CHECKING:
    import numpy.typing as npt

#: Most weights of a kernel file: 4096x4096.
MOST_WEIGHTS = 4096 * 4096
_MOST_TEXT_BYTES = 16 << 20
#: Most weights whose decimals become exact fractions; more weights would take seconds, and are read as float64.
MOST_FRACTIONS = 1 << 16
#: Largest magnitude up to which float64 holds every integer.
_MOST_EXACT = 1 << 53
_UNITS = ("samples", "full scale")


@record
class _Contents:
    """Contents of a file: weights, divisor, offset, and a remark on how the text was read."""

    weights: npt.ArrayLike
    divisor: float = 1.0
    offset: float = 0.0
    unit: str = _UNITS[0]
    remark: str = ""


class Loaded(NamedTuple):
    """A kernel with the other contents of its file.

    Attributes
    ----------
    kernel : Kernel
    offset : float
        Addend of the sum, as a fraction of full scale.
    shift : float
        Addend of the sum, in samples of the picture.
    remark : str
        Remark on how ambiguous text was read, which begins with the file's name; "" otherwise.
    """

    kernel: Kernel
    offset: float = 0.0
    shift: float = 0.0
    remark: str = ""


def load(source: str, *, normalize: bool = False) -> Loaded:
    """Read a kernel from a file, or from the text itself.

    Parameters
    ----------
    source : str
        A path, or rows such as ``"1 2 1; 2 4 2; 1 2 1"``. An existing file takes
        precedence.
    normalize : bool
        Divide by the sum of the weights.

    Raises
    ------
    KernelFileError
        The file is missing, too large, or holds no usable weights; the message
        begins with the file's name and, for text, names line and weight.
    """
    name = named(source) if source.strip() else repr(source)
    try:
        with foreign("this is not a usable kernel", KernelFileError):
            contents = _contents(source)
            kernel = from_array(contents.weights, contents.divisor, normalize=normalize)
    except KernelFileError as error:
        raise KernelFileError(f"{_subject(source, name)}: {error}") from None
    except OSError as error:
        raise KernelFileError(f"{name}: cannot be read: {(error.strerror or str(error)).lower()}") from None
    remark = f"{_subject(source, name)}: {contents.remark}" if contents.remark else ""
    if contents.unit == "samples":
        return Loaded(kernel, shift=contents.offset, remark=remark)
    return Loaded(kernel, offset=contents.offset, remark=remark)


def _is_file(source: str) -> bool:
    return "\0" not in source and os.path.exists(source)


def _subject(source: str, name: str) -> str:
    inline = not _is_file(source) and bool(source.strip()) and kernel_text.is_inline(source)
    return f"kernel {shown(source)}" if inline else name


def _contents(source: str) -> _Contents:
    if _is_file(source):
        contents = _from_file(source)
        if source.strip() and kernel_text.is_inline(source):  # a file whose name looks like weights
            remark = "; ".join(filter(None, ("read from the file of this name", contents.remark)))
            return replace(contents, remark=remark)
        return contents
    if source.strip() and kernel_text.is_inline(source):
        text = kernel_text.rows_of(source, inline=True)
        return _Contents(*_exact(text.rows), remark=text.remark)
    raise KernelFileError("there is no such kernel file; weights written inline look like '1 2 1; 2 4 2; 1 2 1'")


def _from_file(path: str) -> _Contents:
    if os.path.isdir(path):
        raise KernelFileError("a kernel file is needed, and this is a folder")
    suffix = os.path.splitext(path)[1].lower()
    if suffix in (".npy", ".npz"):
        return _Contents(_array(path))
    with open(path, "rb") as file:
        raw = file.read(_MOST_TEXT_BYTES + 1)
    if len(raw) > _MOST_TEXT_BYTES:
        raise KernelFileError(f"a kernel as text may take {_MOST_TEXT_BYTES >> 20} MB, this is larger; use .npy")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise KernelFileError("a kernel file is text, .json, .npy or .npz, and this is none of them") from None
    return _from_json(text) if suffix == ".json" else _from_text(text)


def _from_text(text: str) -> _Contents:
    parsed = kernel_text.rows_of(text)
    rows, scale, offset = parsed.rows, 1.0, 0.0
    if parsed.lines_are_rows and _begins_with_header(rows):
        header, *rows = rows
        scale, offset = _scale_and_offset(header)
    weights, divisor = _exact(rows)
    return _Contents(weights, divisor * scale, offset, remark=parsed.remark)


def _begins_with_header(rows: list[Row]) -> bool:
    """Whether the first row is libvips' header ``width height [scale [offset]]`` of the others."""
    if len(rows) < 2 or not 2 <= len(rows[0].weights) <= 4:
        return False
    first, width = rows[0].weights, len(rows[1].weights)
    if first[:2] != [width, len(rows) - 1]:
        return False
    if len(first) == width:
        raise KernelFileError(
            f"{rows[0].where} may be a header (width height scale offset) or a row of weights; "
            "give a header more or fewer values, or end the rows of a plain matrix with ';'"
        )
    return True


def _scale_and_offset(header: Row) -> tuple[float, float]:
    values = [float(value) for value in header.weights[2:]]
    scale, offset = (*values, *(1.0, 0.0)[len(values) :])
    if scale == 0:
        raise KernelFileError(f"{header.where}: the scale divides the sum and must not be 0")
    return scale, offset


def _exact(rows: list[Row]) -> tuple[npt.ArrayLike, float]:
    """Convert rows of numbers to integer numerators and a divisor, or to float64 if there are too many."""
    for row in rows[1:]:
        if len(row.weights) != len(rows[0].weights):
            raise KernelFileError(
                f"all rows need the same number of weights: {rows[0].where} has {len(rows[0].weights)}, "
                f"{row.where} has {len(row.weights)}"
            )
    weights = [row.weights for row in rows]
    flat = [weight for row in weights for weight in row]
    if len(flat) <= MOST_FRACTIONS and not any(isinstance(weight, float) for weight in flat):
        divisor = math.lcm(*(weight.denominator for weight in flat if not isinstance(weight, float)))
        numerators = [[int(weight * divisor) for weight in row] for row in weights]
        if max((abs(value) for row in numerators for value in row), default=0) <= _MOST_EXACT >= divisor:
            return numerators, float(divisor)
    return [[float(weight) for weight in row] for row in weights], 1.0


def _from_json(text: str) -> _Contents:
    import json

    with foreign("this is not JSON", KernelFileError):
        # Decimals stay text until they are converted exactly.
        parsed = json.loads(text, parse_float=str, parse_int=str, parse_constant=str)
    fields = parsed if isinstance(parsed, dict) else {"weights": parsed}
    for key in fields:
        if key not in ("weights", "scale", "offset", "unit"):
            raise KernelFileError(f"a kernel in JSON has weights, scale, offset and unit, got {shown(key)}")
    rows = fields.get("weights")
    if not isinstance(rows, list) or not rows:
        raise KernelFileError("a kernel in JSON is a list of rows, such as [[1, 2, 1], [2, 4, 2], [1, 2, 1]]")
    unit = fields.get("unit", _UNITS[0])
    if unit not in _UNITS:
        raise KernelFileError(f"the unit of an offset must be one of {', '.join(_UNITS)}, got {shown(unit)}")
    if not isinstance(rows[0], list):
        rows = [rows]
    weights, divisor = _exact([_json_row(row, f"row {number}") for number, row in enumerate(rows, 1)])
    size = [str(len(rows[0])), str(len(rows))]
    header = _json_row([*size, fields.get("scale", "1"), fields.get("offset", "0")], "scale and offset")
    scale, offset = _scale_and_offset(header)
    return _Contents(weights, divisor * scale, offset, unit)


def _json_row(row: Any, where: str) -> Row:
    if not isinstance(row, list) or not all(isinstance(word, str) for word in row):
        raise KernelFileError(f"{where}: a row in JSON is a list of numbers")
    return Row([weight(word, f"{where}, weight {i}") for i, word in enumerate(row, 1)], where)


def _array(path: str) -> npt.NDArray[Any]:
    """Load .npy or .npz; sizes are checked before data are read."""
    from convfilter.filters import array_files

    (array,) = array_files.load(path, 8 * MOST_WEIGHTS, _only_kernel).values()
    if array.dtype.kind not in "buif":
        raise KernelFileError(f"weights must be real numbers, got an array of {shown(str(array.dtype), quotes=False)}")
    if array.size > MOST_WEIGHTS:
        raise KernelFileError(
            f"a kernel has at most {MOST_WEIGHTS} weights, got an array of shape {shown(array.shape)}"
        )
    return array


def _only_kernel(names: Collection[str]) -> Collection[str]:
    if len(names) == 1 or "kernel" in names:
        return ["kernel"] if "kernel" in names else names
    listed = shown(", ".join(names), quotes=False) if names else "none"
    raise KernelFileError(f"of several arrays, one must be called 'kernel', got {listed}")
