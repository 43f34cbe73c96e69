"""Weights from files, or written inline.

Text
    One row a line, or rows between semicolons; blanks or commas between weights;
    ``#`` begins a comment. Fractions (``1/9``) and decimals (``0.1``) are kept
    exactly: as whole numerators with one divisor.
libvips' matrix header
    A first line ``width height [scale [offset]]`` whose width and height fit
    the rows below. Scale divides; offset adds, in 8-bit levels (128 is
    mid-grey at any depth). Where that line could as well be a row of weights,
    the file is refused: a silent guess would drop a row.
.json
    Rows, ``[[1, 2, 1], ...]``, or ``{"weights": rows, "scale": 16, "offset": 0}``;
    a weight may be a string such as ``"1/9"``.
.npy, .npz
    A 2-D (or 1-D) array of real numbers; of several arrays in one .npz, the one
    called ``kernel``. Pickles are refused.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from convfilter.errors import KernelFileError
from convfilter.filters.kernels import Kernel, from_array
from convfilter.record import record

if TYPE_CHECKING:  # a millisecond that whole weights do not need
    from fractions import Fraction

#: A file with more weights than a 4096x4096 kernel is no kernel.
MOST_WEIGHTS = 4096 * 4096
_MOST_TEXT_BYTES = 16 << 20
#: Beyond so many weights, decimals are read as float64: fractions would take seconds.
_MOST_FRACTIONS = 1 << 16
#: Whole numbers up to here are exact in float64.
_MOST_EXACT = 1 << 53
#: Longer numbers are read as float64; so no number takes long to read, 1e999999999 included.
_MOST_CHARACTERS = 40
_MOST_EXPONENT = 40
_EIGHT_BIT_SCALE = 255.0

_DECIMAL = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:e([+-]?\d+))?", re.ASCII | re.IGNORECASE)
_INLINE = re.compile(r"[\d.+-][\d.eE+-]*(/[\d.+-][\d.eE+-]*)?|[+-]?(nan|inf)", re.ASCII | re.IGNORECASE)

Weight: TypeAlias = "int | float | Fraction"


@record
class _Contents:
    """What a file says: the weights, what divides them, and what is added in 8-bit levels."""

    weights: npt.ArrayLike
    divisor: float = 1.0
    offset: float = 0.0


@record
class _Row:
    weights: list[Weight]
    where: str


def load(source: str, *, normalize: bool = False) -> tuple[Kernel, float]:
    """Read a kernel from a file, or from the text itself.

    Parameters
    ----------
    source : str
        A path, or rows such as ``"1 2 1; 2 4 2; 1 2 1"``. A file of that name
        comes first.
    normalize : bool
        Divide by the sum of the weights.

    Returns
    -------
    kernel : Kernel
    offset : float
        Of a libvips header or of JSON, as a fraction of full scale; else 0.

    Raises
    ------
    KernelFileError
        The file is missing, too large, or holds no usable weights; the message
        begins with the file's name and, for text, names line and weight.
    """
    name = (source if source.isprintable() else repr(source)[1:-1]) if source.strip() else repr(source)
    try:
        if os.path.exists(source):
            contents = _from_file(source)
        elif _is_inline(source):
            name = f"kernel {name!r}"
            contents = _Contents(*_exact(list(_rows(source, inline=True))))
        else:
            raise KernelFileError(
                "there is no such kernel file; weights written inline look like '1 2 1; 2 4 2; 1 2 1'"
            )
        kernel = from_array(contents.weights, contents.divisor, normalize=normalize)
    except KernelFileError as error:
        raise KernelFileError(f"{name}: {error}") from None
    except OSError as error:
        raise KernelFileError(f"{name}: cannot be read: {(error.strerror or str(error)).lower()}") from None
    return kernel, contents.offset / _EIGHT_BIT_SCALE


def _is_inline(source: str) -> bool:
    words = re.split(r"[\s,]+", source.strip())
    return ";" in source or all(_INLINE.fullmatch(word) for word in words)


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
    rows = list(_rows(text))
    scale, offset = 1.0, 0.0
    if ";" not in text and _begins_with_header(rows):
        header, *rows = rows
        scale, offset = _scale_and_offset(header)
    weights, divisor = _exact(rows)
    return _Contents(weights, divisor * scale, offset)


def _rows(text: str, *, inline: bool = False) -> Iterator[_Row]:
    count = 0
    for number, line in enumerate(text.splitlines(), 1):
        for part in line.split("#")[0].split(";"):
            if part.strip():
                count += 1
                where = f"row {count}" if inline else f"line {number}"
                yield _Row(
                    [_weight(word, f"{where}, weight {i}") for i, word in enumerate(_words(part, where), 1)], where
                )


def _words(row: str, where: str) -> Iterator[str]:
    parts = row.strip().removesuffix(",").split(",")
    for part in parts:
        if not part.strip():
            raise KernelFileError(f"{where}: a weight is missing beside a comma")
        yield from part.split()


def _weight(word: str, where: str) -> Weight:
    """Read a number or a fraction of two, exactly where that takes no time."""
    top, slash, bottom = word.partition("/")
    numerator = _decimal(top, word, where)
    if not slash:
        return numerator
    denominator = _decimal(bottom, word, where)
    if denominator == 0:
        raise KernelFileError(f"{where}: a weight must not divide by zero, got {word}")
    from fractions import Fraction

    if isinstance(numerator, float) or isinstance(denominator, float):
        return float(numerator) / float(denominator)
    return Fraction(numerator) / Fraction(denominator)


def _decimal(text: str, word: str, where: str) -> Weight:
    match = _DECIMAL.fullmatch(text)
    if match is None and text.lstrip("+-").lower() not in ("nan", "inf", "infinity"):
        raise KernelFileError(f"{where}: a weight must be a number or a fraction, got {word!r}")
    if not math.isfinite(float(text)):
        raise KernelFileError(f"{where}: weights must be finite, got {word}")
    if len(text) > _MOST_CHARACTERS or abs(int(match[1] or 0) if match else 0) > _MOST_EXPONENT:
        return float(text)
    if text.lstrip("+-").isdigit():
        return int(text)
    from fractions import Fraction

    return Fraction(text)


def _begins_with_header(rows: list[_Row]) -> bool:
    """Tell whether the first row is libvips' ``width height [scale [offset]]`` of the others."""
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


def _scale_and_offset(header: _Row) -> tuple[float, float]:
    values = [float(value) for value in header.weights[2:]]
    scale, offset = (*values, *(1.0, 0.0)[len(values) :])
    if scale == 0:
        raise KernelFileError(f"{header.where}: the scale divides the sum and must not be 0")
    return scale, offset


def _exact(rows: list[_Row]) -> tuple[npt.ArrayLike, float]:
    """Turn rows of numbers into whole numerators and a divisor, or into float64 where that is too much."""
    for row in rows[1:]:
        if len(row.weights) != len(rows[0].weights):
            raise KernelFileError(
                f"all rows need the same number of weights: {rows[0].where} has {len(rows[0].weights)}, "
                f"{row.where} has {len(row.weights)}"
            )
    weights = [row.weights for row in rows]
    flat = [weight for row in weights for weight in row]
    if len(flat) <= _MOST_FRACTIONS and not any(isinstance(weight, float) for weight in flat):
        divisor = math.lcm(*(weight.denominator for weight in flat if not isinstance(weight, float)))
        numerators = [[int(weight * divisor) for weight in row] for row in weights]
        if max((abs(value) for row in numerators for value in row), default=0) <= _MOST_EXACT >= divisor:
            return numerators, float(divisor)
    return [[float(weight) for weight in row] for row in weights], 1.0


def _from_json(text: str) -> _Contents:
    import json

    try:
        # Decimals stay text until they are read exactly.
        found = json.loads(text, parse_float=str, parse_int=str, parse_constant=str)
    except (ValueError, RecursionError) as error:
        raise KernelFileError(f"this is no JSON: {error}") from None
    fields = found if isinstance(found, dict) else {"weights": found}
    for key in fields:
        if key not in ("weights", "scale", "offset"):
            raise KernelFileError(f"a kernel in JSON has weights, scale and offset, got {key!r}")
    rows = fields.get("weights")
    if not isinstance(rows, list) or not rows:
        raise KernelFileError("a kernel in JSON is a list of rows, such as [[1, 2, 1], [2, 4, 2], [1, 2, 1]]")
    if not isinstance(rows[0], list):
        rows = [rows]
    weights, divisor = _exact([_json_row(row, f"row {number}") for number, row in enumerate(rows, 1)])
    size = [str(len(rows[0])), str(len(rows))]
    header = _json_row([*size, fields.get("scale", "1"), fields.get("offset", "0")], "scale and offset")
    scale, offset = _scale_and_offset(header)
    return _Contents(weights, divisor * scale, offset)


def _json_row(row: Any, where: str) -> _Row:
    if not isinstance(row, list) or not all(isinstance(word, str) for word in row):
        raise KernelFileError(f"{where}: a row in JSON is a list of numbers")
    return _Row([_weight(word, f"{where}, weight {i}") for i, word in enumerate(row, 1)], where)


def _array(path: str) -> npt.NDArray[Any]:
    """Load .npy or .npz; sizes are looked at before anything is read."""
    try:
        array = _only_array(path) if path.lower().endswith(".npz") else np.load(path, mmap_mode="r", allow_pickle=False)
    except KernelFileError:
        raise
    except Exception as error:  # NumPy and zipfile raise whatever they come across in a damaged file
        if isinstance(error, OSError) and error.errno:
            raise
        raise KernelFileError(f"this is no usable .npy or .npz file: {str(error).splitlines()[0]}") from None
    if array.dtype.kind not in "buif":
        raise KernelFileError(f"weights must be real numbers, got an array of {array.dtype}")
    if array.size > MOST_WEIGHTS:
        raise KernelFileError(f"a kernel has at most {MOST_WEIGHTS} weights, got an array of shape {array.shape}")
    return array


def _only_array(path: str) -> npt.NDArray[Any]:
    from zipfile import ZipFile

    with ZipFile(path) as archive:
        sizes = {info.filename.removesuffix(".npy"): info.file_size for info in archive.infolist()}
        if len(sizes) != 1 and "kernel" not in sizes:
            raise KernelFileError(f"of several arrays, one must be called 'kernel', got {', '.join(sizes) or 'none'}")
        name = "kernel" if "kernel" in sizes else next(iter(sizes))
        if sizes[name] > 8 * MOST_WEIGHTS + 4096:
            raise KernelFileError(f"a kernel has at most {MOST_WEIGHTS} weights, got an array of {sizes[name]} bytes")
        with archive.open(f"{name}.npy") as file:
            array: npt.NDArray[Any] = np.lib.format.read_array(file, allow_pickle=False)
    return array
