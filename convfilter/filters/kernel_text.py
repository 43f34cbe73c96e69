"""Kernels as text: rows of numbers, in the notations of other programs and countries.

Lines or semicolons separate rows, blanks or commas separate weights, and ``#`` begins a comment. Rows may be in
brackets, as NumPy and MATLAB print them. Two further notations are accepted, with a remark, where only one reading is
possible: a CSV of several lines whose semicolons separate weights, and decimal commas. Text with two readings is
refused.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, TypeAlias

from convfilter.errors import KernelFileError, shown
from convfilter.record import record

if TYPE_CHECKING:  # the import takes a millisecond, which integer weights do not need
    from fractions import Fraction

Weight: TypeAlias = "int | float | Fraction"

#: Longest number that is read exactly; longer numbers become float64, so that 1e999999999 takes no time either.
_MOST_CHARACTERS = 40
_MOST_EXPONENT = 40

_DECIMAL = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:e([+-]?\d+))?", re.ASCII | re.IGNORECASE)
_NOT_FINITE = ("nan", "inf", "infinity")
_COMMA = re.compile(r"[+-]?\d*,\d+(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
#: A decimal below one with a comma, which cannot mean two integer weights.
_BELOW_ONE = re.compile(r"[+-]?0?,\d+", re.ASCII)
_INLINE = re.compile(r"[\d.+,-][\d.eE+,-]*(/[\d.+-][\d.eE+-]*)?|[+-]?(nan|inf)", re.ASCII | re.IGNORECASE)
_BRACKETS = str.maketrans("({})", "[[]]")
_ARRAY = re.compile(r"\s*(?:(?:np|numpy)\.)?(?:array|matrix)\s*\(\s*(?=\[)(.*)\)\s*", re.DOTALL)

WAY_OUT = "write decimals with a point, blanks between weights, and a line for each row"
_AS_CSV = "read as a CSV: semicolons separate the weights of a row"
_AS_DECIMALS = "commas are read as decimal points"


@record
class Row:
    """The weights of one row, and its place in the text for messages."""

    weights: list[Weight]
    where: str


@record
class _Line:
    """One row of a kernel as text."""

    text: str
    where: str


@record
class Rows:
    """The rows of a kernel.

    Attributes
    ----------
    rows : list of Row
    lines_are_rows : bool
        Whether each line is a row, so that the first line may be a header.
    remark : str
        Remark on how ambiguous text was read; "" otherwise.
    """

    rows: list[Row]
    lines_are_rows: bool = True
    remark: str = ""


def is_inline(source: str) -> bool:
    """Whether a text is weights rather than the name of a missing file."""
    text = source.strip()
    return ";" in text or is_bracketed(text) or all(_INLINE.fullmatch(word) for word in re.split(r"[\s,]+", text))


def is_bracketed(text: str) -> bool:
    """Whether rows are in brackets, as NumPy prints them."""
    return text.lstrip().startswith(("[", "((", "{{")) or _ARRAY.fullmatch(text) is not None


def rows_of(text: str, *, inline: bool = False) -> Rows:
    """Read the rows of a kernel.

    Parameters
    ----------
    text : str
    inline : bool
        Whether the text was typed: semicolons may then separate rows on one line, even rows of a single weight.

    Raises
    ------
    KernelFileError
        A weight is not a number, or the text has several readings.
    """
    lines = [(number, line.split("#")[0].strip()) for number, line in enumerate(text.splitlines(), 1)]
    lines = [(number, line) for number, line in lines if line]
    if is_bracketed("\n".join(line for _, line in lines)):
        bracketed = _bracketed("\n".join(line for _, line in lines))
        return Rows([_row(line, decimal_commas=False) for line in bracketed], lines_are_rows=False)
    parts = [[part.strip() for part in line.split(";")] for _, line in lines]
    if _is_csv(parts, inline=inline):
        return _csv(lines, parts)
    flat = [
        _Line(part, f"line {number}") for (number, _), row in zip(lines, parts, strict=True) for part in row if part
    ]
    if inline:
        flat = [_Line(line.text, f"row {number}") for number, line in enumerate(flat, 1)]
    commas = _has_decimal_commas(flat)
    rows = [_row(line, decimal_commas=commas) for line in flat]
    return Rows(rows, lines_are_rows=all(len(row) == 1 for row in parts), remark=_AS_DECIMALS if commas else "")


def _is_csv(parts: Sequence[Sequence[str]], *, inline: bool) -> bool:
    """Whether semicolons separate weights rather than rows; refuse ambiguous text.

    Semicolons separate rows in MATLAB, and weights in CSVs of countries with decimal commas.
    """
    fields = [part for row in parts for part in row if part]
    if max((len(_without_last(row)) for row in parts), default=0) < 2:
        return False
    if any(re.search(r"\s", field) or field.count(",") > 1 for field in fields):
        return False  # several weights between two semicolons: a row
    commas = [field for field in fields if "," in field]
    if len(parts) > 1 and (len(commas) < len(fields) or any(map(_BELOW_ONE.match, commas))):
        return not commas or all(map(_COMMA.fullmatch, commas))
    if inline and not commas:
        return False  # '1; 2; 1' is a column, as the help says
    if commas and not all(map(_COMMA.fullmatch, commas)):
        return False  # '1,0; 0,-1' has no decimal commas
    if len(parts) == 1 and commas == fields and not any(map(_BELOW_ONE.match, commas)):
        return False  # '1,2; 3,4' is 2x2
    raise KernelFileError(f"{shown(';'.join(parts[0]))} may be a row or a column, or have decimal commas; {WAY_OUT}")


def _without_last(row: Sequence[str]) -> Sequence[str]:
    """Drop an empty word after a final semicolon."""
    return row if row[-1] else row[:-1]


def _csv(lines: Sequence[tuple[int, str]], parts: Sequence[Sequence[str]]) -> Rows:
    rows = []
    for (number, _), row in zip(lines, parts, strict=True):
        where, fields = f"line {number}", _without_last(row)
        if not all(fields):
            raise KernelFileError(f"{where}: a weight is missing next to a semicolon")
        words = (field.replace(",", ".") for field in fields)
        rows.append(Row([weight(word, f"{where}, weight {i}") for i, word in enumerate(words, 1)], where))
    commas = any("," in line for _, line in lines)
    return Rows(rows, lines_are_rows=False, remark=_AS_CSV + (f", and {_AS_DECIMALS}" if commas else ""))


def _has_decimal_commas(lines: Sequence[_Line]) -> bool:
    """Whether commas are decimal points, as in ``0,1 0,8 0,1``; refuse ambiguous text."""
    mixed = next((line for line in lines if _mixes_separators(line.text)), None)
    words = [word for line in lines for word in line.text.split()]
    commas = [word for word in words if "," in word.strip(",")]
    decimal = all(map(_COMMA.fullmatch, commas)) and bool(commas)
    if mixed is not None:
        if decimal and any(map(_BELOW_ONE.match, commas)) and not any(word.endswith(",") for word in words):
            return True
        raise KernelFileError(
            f"{mixed.where}: {shown(mixed.text)} may have decimal commas, or commas between weights; {WAY_OUT}"
        )
    if decimal and len(words) == len(commas) == len(lines) and all(map(_BELOW_ONE.match, commas)):
        raise KernelFileError(f"{lines[0].where}: {shown(lines[0].text)} may be a decimal, or two weights; {WAY_OUT}")
    return False


def _mixes_separators(text: str) -> bool:
    """Whether a comma alone separates some weights of a row, and blanks alone separate others."""
    return bool(re.search(r"[^\s,],[^\s,]", text)) and bool(re.search(r"[^\s,]\s+[^\s,]", text))


def _bracketed(text: str) -> Iterator[_Line]:
    """Yield rows in brackets: ``[[1, 2], [3, 4]]``, ``[[1 2] [3 4]]``, ``[1 2; 3 4]`` or ``[1, 2]``."""
    array = _ARRAY.fullmatch(text)
    text = (array[1] if array else text).strip().translate(_BRACKETS)
    inner = text[1:-1].strip()
    if not (text.startswith("[") and text.endswith("]")):
        raise KernelFileError(f"a bracket is missing at the end of {shown(text)}")
    if "[" not in inner and "]" not in inner:
        rows = inner.split(";")
        if len(rows) == 1 and not all(line.endswith(",") for line in inner.splitlines()[:-1]):
            raise KernelFileError(f"lines in brackets may be one row or several, got {shown(text)}; {WAY_OUT}")
        rows = [row.replace("\n", " ") for row in rows]
    elif not re.fullmatch(r"\[[^\[\]]*\](?:[\s,]*\[[^\[\]]*\])*[\s,]*", inner):
        raise KernelFileError(f"rows in brackets look like [[1, 2], [3, 4]], got {shown(text)}")
    else:
        rows = re.findall(r"\[([^\[\]]*)\]", inner)
    for number, row in enumerate(rows, 1):
        if row.strip():
            yield _Line(row.strip(), f"row {number}")


def _row(line: _Line, *, decimal_commas: bool) -> Row:
    words = line.text.replace(",", ".").split() if decimal_commas else _words(line)
    return Row([weight(word, f"{line.where}, weight {i}") for i, word in enumerate(words, 1)], line.where)


def _words(line: _Line) -> Iterator[str]:
    for part in line.text.removesuffix(",").split(","):
        if not part.strip():
            raise KernelFileError(f"{line.where}: a weight is missing next to a comma")
        yield from part.split()


def weight(word: str, where: str) -> Weight:
    """Read a number or a fraction, exactly unless it is very long.

    Raises
    ------
    KernelFileError
        The text is not a finite number, or divides by zero; the message begins with ``where``.
    """
    top, slash, bottom = word.partition("/")
    numerator = _decimal(top, word, where)
    if not slash:
        return numerator
    denominator = _decimal(bottom, word, where)
    if denominator == 0:
        raise KernelFileError(f"{where}: a weight must not divide by zero, got {shown(word, quotes=False)}")
    from fractions import Fraction

    if isinstance(numerator, float) or isinstance(denominator, float):
        return _finite(float(numerator) / float(denominator), word, where)
    return Fraction(numerator) / Fraction(denominator)


def _decimal(text: str, word: str, where: str) -> Weight:
    match = _DECIMAL.fullmatch(text)
    if match is None and text.lstrip("+-").lower() not in _NOT_FINITE:
        raise KernelFileError(f"{where}: a weight must be a number or a fraction, got {shown(word)}")
    number = _finite(float(text), word, where)
    if len(text) > _MOST_CHARACTERS or abs(int(match[1] or 0) if match else 0) > _MOST_EXPONENT:
        return number
    if text.lstrip("+-").isdigit():
        return int(text)
    from fractions import Fraction

    return Fraction(text)


def _finite(number: float, word: str, where: str) -> float:
    if not math.isfinite(number):
        raise KernelFileError(f"{where}: weights must be finite, got {shown(word, quotes=False)}")
    return number
