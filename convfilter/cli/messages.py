"""Messages of the program, line by line, without control characters."""

from __future__ import annotations

import errno
import math
import os
import re
import sys
from typing import TYPE_CHECKING

from convfilter.errors import ConvfilterError, UsageError, first_line, is_missing_library, printable, with_options

if TYPE_CHECKING:
    import click

FAILED, MISUSED = 1, 2
#: Numbers of errors that only writing causes; errors of pictures have names of files.
_OF_WRITING = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_COLOURS = {"error": "\x1b[31m", "note": "\x1b[33m", "summary": "\x1b[1m"}
_PLAIN = "\x1b[0m"
_colour = "auto"


def set_colour(wanted: str) -> None:
    """Set colours to "always", "never" or "auto": on a terminal, unless the environment disables them."""
    global _colour
    _colour = wanted


def is_coloured() -> bool:
    """Whether stderr gets colours; https://no-color.org defines NO_COLOR."""
    if _colour != "auto":
        return _colour == "always"
    is_terminal = sys.stderr is not None and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
    return is_terminal and not os.environ.get("NO_COLOR")


def say(message: str, kind: str = "note") -> None:
    """Print one line on stderr; errors of a closed or full stderr are ignored.

    Parameters
    ----------
    message : str
    kind : "note", "error" or "summary"
        Decides the colour of the program's name.
    """
    try:
        if sys.stderr is not None:
            before, after = (_COLOURS[kind], _PLAIN) if is_coloured() else ("", "")
            sys.stderr.write(f"{before}convfilter:{after} {printable(message)}\n")
            sys.stderr.flush()
    except (OSError, ValueError):
        pass


def tell(*lines: str, err: bool = False) -> None:
    """Print lines in one write, without control characters and characters that the stream cannot encode."""
    import click

    encoding = getattr(sys.stderr if err else sys.stdout, "encoding", None) or "utf-8"
    click.echo("\n".join(map(printable, lines)).encode(encoding, "backslashreplace").decode(encoding), err=err)


def json_of(value: object, indent: int | None = None) -> str:
    """Return standard JSON: numbers that are not finite become null."""
    import json

    return json.dumps(_finite(value), indent=indent, allow_nan=False)


def _finite(value: object) -> object:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list | tuple) else value


def traceback_of(error: BaseException) -> str:
    """Return the traceback of an error as lines."""
    import traceback

    return printable_lines("".join(traceback.format_exception(error)))


def printable_lines(text: str) -> str:
    """Escape text of several lines, such as a traceback with text from files."""
    return "".join(f"{printable(line)}\n" for line in text.splitlines())


def misuse(error: click.UsageError) -> str:
    """Return the message of one of click's errors on one line, with a hint to the help."""
    text = " ".join(error.format_message().split()).rstrip(".")
    # click quotes names as Python does, with surrogate escapes for bytes that are not UTF-8.
    text = re.sub(r"\\udc([89a-f][0-9a-f])", r"\\x\1", text)
    hint = f"try '{error.ctx.command_path} --help'" if error.ctx else ""
    return text[:1].lower() + text[1:] + (("" if text.endswith("?") else ";") + f" {hint}" if hint else "")


def as_flag(name: str, value: str) -> str:
    """Format an option as a flag."""
    flag = "--" + name.replace("_", "-")
    if value == "False":
        return flag.replace("--", "--no-", 1)
    return f"{flag} {value}" if value not in ("", "True") else flag


def in_flags(text: str) -> str:
    """Replace options in braces by flags."""
    return with_options(text, as_flag)


def failure(error: Exception) -> tuple[str, int]:
    """Return the message of an exception, and its exit status."""
    if isinstance(error, ConvfilterError):
        return error.worded(as_flag), MISUSED if isinstance(error, UsageError) else FAILED
    if isinstance(error, MemoryError):
        return "not enough memory; use a smaller picture or free some memory", FAILED
    if isinstance(error, OSError) and error.strerror:
        from convfilter.picture.place.source import reason

        what = error.filename or ("standard output" if error.errno in _OF_WRITING else "")
        return f"{what}: {reason(error)}" if what else reason(error), FAILED
    if is_missing_library(error):
        why = first_line(error).partition(". ")[0]
        advice = "the memory limit is too small (ulimit -v), or the installation is damaged"
        return f"a library cannot be loaded: {why}; {advice}", FAILED
    return f"internal error: {type(error).__name__}: {first_line(error)}; run again with --debug", FAILED
