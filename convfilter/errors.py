"""The tree of exceptions.

::

    ConvfilterError
    |-- UsageError          the request is invalid for any picture  exit status 2
    |   |-- ParameterError    a number, size or mode is out of range (a ValueError too)
    |   |-- SpecError         the text of a filter does not parse
    |   `-- KernelFileError   weights cannot be used
    |-- PictureError        one picture cannot be processed         exit status 1
    |   |-- ReadError         the picture cannot be read
    |   |-- SizeError         the result has no pixels, or the picture is too large
    |   `-- WriteError        the result cannot be written
    `-- ClusterError        other machines cannot do the work       exit status 1

A message is one line: the subject, the rule with the value, then the remedy. A remedy may name options; the
command line formats them as flags, Python as keywords.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

#: An option in a remedy: ``{max_pixels}``, ``{frame=N}``, ``{lenient=True}``.
_OPTION = r"\{(\w+)(?:=([^{}]*))?\}"


#: Remedy for a damaged picture.
DECODE_THE_REST = "{lenient=True} decodes what is left"


class ConvfilterError(Exception):
    """Base of all exceptions that convfilter raises on purpose.

    Parameters
    ----------
    problem : str
        The rule, then the value.
    subject : str
        The file, option or filter that the problem is about; "" if the caller sets it.
    remedy : str
        What to do. Options are Python keywords in braces: ``"choose one with {frame=N}"``.

    Examples
    --------
    >>> print(ConvfilterError("the PNG is truncated", subject="a.png", remedy="{lenient=True} decodes what is left"))
    a.png: the PNG is truncated; lenient=True decodes what is left
    """

    subject: str = ""
    remedy: str = ""

    def __init__(self, problem: str, *, subject: str = "", remedy: str = "") -> None:
        super().__init__(problem)
        if subject:
            self.subject = subject
        if remedy:
            self.remedy = remedy

    def __str__(self) -> str:
        return self.worded(as_keyword)

    @property
    def problem(self) -> str:
        """The rule and the value, without subject and remedy."""
        return str(self.args[0])

    def worded(self, option: Callable[[str, str], str]) -> str:
        """Return the message with options formatted by ``option(name, value)``."""
        subject = f"{named(self.subject)}: " if self.subject else ""
        mark = "" if self.problem.endswith("?") else ";"
        remedy = f"{mark} {with_options(self.remedy, option)}" if self.remedy else ""
        return f"{subject}{self.problem}{remedy}"

    def about(self, subject: str) -> None:
        """Set the subject, unless the error has one."""
        if not self.subject:
            self.subject = subject


def is_missing_library(error: BaseException) -> bool:
    """Whether an error says that a library cannot be loaded; llvmlite raises an OSError without a number."""
    return isinstance(error, ImportError) or (isinstance(error, OSError) and "shared object" in str(error))


def with_options(text: str, option: Callable[[str, str], str]) -> str:
    """Replace options in braces by ``option(name, value)``; a missing value is ""."""
    return re.sub(_OPTION, lambda match: option(match[1], match[2] or ""), text)


def as_keyword(name: str, value: str) -> str:
    """Format an option as a Python keyword."""
    return f"{name}={value}" if value else name


class UsageError(ConvfilterError):
    """The request is invalid for any picture."""


class ParameterError(UsageError, ValueError):
    """A parameter is out of its range; the message names the rule and the value."""


class SpecError(UsageError, ValueError):
    """The text of a filter does not parse."""


class KernelFileError(UsageError, ValueError):
    """A kernel, from a file or written inline, holds no usable weights."""


class PictureError(ConvfilterError):
    """One picture cannot be processed; others can.

    Attributes
    ----------
    filename : str, or None
        Name given to ``convfilter.read`` or ``convfilter.write``.
    errno : int, or None
        Number of the operating system's error, if any.
    """

    filename: str | None = None
    errno: int | None = None


class ReadError(PictureError, OSError):
    """A picture cannot be read: missing, damaged, or of an unknown kind."""


class UnknownFormatError(ReadError):
    """A file is not a picture of a known format."""


class CameraRawError(ReadError):
    """A file holds the data of a camera's sensor, which need a raw developer."""


class SizeError(PictureError, ValueError):
    """The result has no pixels, or the picture is larger than allowed."""


class WriteError(PictureError, OSError):
    """The result cannot be written, or the format cannot hold it."""


class ClusterError(ConvfilterError):
    """A scheduler or its workers cannot do the work: they are not reachable, lost, or have another version."""


#: Most characters in a message of a quoted value, of another library's error, and of a file's name.
_SHOWN_CHARACTERS = 60
_SHOWN_LINE = 200
_SHOWN_NAME = 400


def printable(text: str) -> str:
    r"""Escape control characters, changes of writing direction, and bytes that are not text.

    All text from outside, such as file names and texts of errors, passes through this function on its way to a terminal
    or a page. Bytes that are not UTF-8 are shown as ``\xff``.
    """
    return text if text.isprintable() else "".join(map(_escaped, text))


def _escaped(char: str) -> str:
    if char.isprintable():
        return char
    code = ord(char)
    # Python stores a byte that is not UTF-8 as half of a surrogate pair.
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else ascii(char)[1:-1]


def shown(value: object, *, quotes: bool = True) -> str:
    """Quote a value from outside for a message: on one line, and truncated if long."""
    text = printable(value) if isinstance(value, str) else " ".join(repr(value).split())
    if isinstance(value, str) and quotes:
        mark = '"' if "'" in text and '"' not in text else "'"
        text = f"{mark}{text}{mark}"
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[: _SHOWN_CHARACTERS - 3]}..."


def named(name: str) -> str:
    """Format a file's name on one line; a very long name is cut to its end, which distinguishes it."""
    text = printable(name)
    return text if len(text) <= _SHOWN_NAME else f"...{text[3 - _SHOWN_NAME :]}"


#: What Pillow says if the reader that a signature has chosen refuses the header.
_PILLOW_REFUSES = "not identified by this driver"


def first_line(error: BaseException) -> str:
    """Return the first line of another library's error without full stop, or its type."""
    lines = str(error).splitlines()
    line = lines[0].rstrip(".") if lines else ""
    return (line if len(line) <= _SHOWN_LINE else f"{line[: _SHOWN_LINE - 3]}...") or type(error).__name__


def damage(error: BaseException) -> str:
    """Return the damage of a file that a parser's error is about, as part of a message."""
    # Pillow wraps the original exception in a SyntaxError.
    original = error.args[0] if error.args and isinstance(error.args[0], Exception) else error
    if type(original).__module__ == "struct":  # its text is about its buffer, not about the file
        return "it ends early"
    # A negative position is an invalid argument to a file, and a wrong value to bytes in memory.
    is_invalid = isinstance(original, OSError) and original.errno == errno.EINVAL
    if is_invalid or str(original).startswith("negative seek value"):
        return "a position in it is outside the file"
    line = first_line(original)
    return "its header is invalid" if line == _PILLOW_REFUSES else line


@contextmanager
def about(where: object) -> Iterator[None]:
    """Add the name of the file and the operating system's error number to errors."""
    try:
        yield
    except ConvfilterError as error:
        name = os.fspath(where) if isinstance(where, (str, os.PathLike)) else getattr(where, "name", None)
        if isinstance(name, str):
            label = "standard input" if name == "-" else named(name)
            error.about(label)
        if isinstance(error, PictureError):
            error.filename = name if isinstance(name, str) else None
            error.errno = error.errno or getattr(error.__cause__, "errno", None)
        raise


@contextmanager
def about_auxiliary(path: str) -> Iterator[None]:
    """Add the name of a mask or a guide to errors; a remedy by an option that only pictures have asks for a copy."""
    try:
        with about(path):
            yield
    except ConvfilterError as error:
        if "{" in error.remedy.replace("{max_pixels", ""):
            error.remedy = f"convert it to a file of its own first: there, {error.remedy}"
        raise


@contextmanager
def foreign(what: str, raised: type[ConvfilterError]) -> Iterator[None]:
    """Convert any exception of a parser of text or weights from outside to a one-line error.

    Parsers raise all kinds of exceptions for damaged files: zlib, struct, tokenizer and recursion errors, and failed
    allocations. Errors of this package and of the operating system pass unchanged.

    Parameters
    ----------
    what : str
        Description of the failure, as in "this is not TOML".
    raised : type of ConvfilterError
        Type of the error.

    Raises
    ------
    ConvfilterError
        The parser failed; the error has the type ``raised``, and its message begins with ``what``.
    """
    try:
        yield
    except ConvfilterError:
        raise
    except RecursionError as error:
        raise raised(f"{what}: it is nested too deeply") from error
    except MemoryError as error:
        raise raised(f"{what}: it takes more memory than there is") from error
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        # Python refuses integers of thousands of digits, and suggests changing a setting.
        digits = isinstance(error, ValueError) and "set_int_max_str_digits" in str(error)
        why = "it holds a number of too many digits" if digits else damage(error)
        raise raised(f"{what}: {why}") from error
