"""What the program says on stderr: one line each, nothing in it that could move a cursor."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from convfilter.errors import ConvfilterError, UsageError, first_line

if TYPE_CHECKING:
    import click

FAILED, MISUSED = 1, 2


def say(message: str) -> None:
    """Print one line on stderr; a stderr that is closed or full is nobody's fault."""
    try:
        if sys.stderr is not None:
            sys.stderr.write(f"convfilter: {one_line(message)}\n")
            sys.stderr.flush()
    except (OSError, ValueError):
        pass


def one_line(text: str) -> str:
    """Escape line ends and control characters, as in names of files."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def misuse(error: click.UsageError) -> str:
    """Turn click's several lines into one."""
    text = " ".join(error.format_message().split()).rstrip(".")
    hint = f"try '{error.ctx.command_path} --help'" if error.ctx else ""
    return text[:1].lower() + text[1:] + (("" if text.endswith("?") else ";") + f" {hint}" if hint else "")


def failure(error: Exception) -> tuple[str, int]:
    """Word an exception, and choose the exit status for it."""
    if isinstance(error, UsageError):
        return str(error), MISUSED
    if isinstance(error, ConvfilterError):
        return str(error), FAILED
    if isinstance(error, MemoryError):
        return "not enough memory; use a smaller picture or free some memory", FAILED
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror.lower()}{f': {error.filename}' if error.filename else ''}", FAILED
    if isinstance(error, ImportError) or (isinstance(error, OSError) and "shared object" in str(error)):
        why = first_line(error).partition(". ")[0]
        advice = "the memory limit is too small (ulimit -v), or the installation is damaged"
        return f"a library cannot be loaded: {why}; {advice}", FAILED
    return f"internal error: {type(error).__name__}: {first_line(error)}; run again with --debug", FAILED
