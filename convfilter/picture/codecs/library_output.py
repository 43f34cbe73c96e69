"""Capture the messages that decoding libraries print to standard output and standard error."""

from __future__ import annotations

import ctypes
import io
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout, suppress
from typing import IO, TextIO

from convfilter.locks import shared_lock

_lock = shared_lock()


@contextmanager
def captured(*marks: bytes) -> Iterator[list[str]]:
    """Capture the lines that contain one of ``marks``, printed by Python or by machine code within the block.

    The whole process shares its standard output and error. Lines without a mark, such as those of other threads, are
    printed when the block ends.

    Parameters
    ----------
    marks : bytes
        Parts of the lines to capture, ASCII.

    Yields
    ------
    list of str
        The captured lines, filled when the block ends.
    """
    lines: list[str] = []
    with _lock, ExitStack() as stack:
        _flush()
        try:
            for descriptor in (1, 2):
                with suppress(OSError):  # closed: nothing is printed there
                    stack.callback(_restore, descriptor, os.dup(descriptor), _redirected(descriptor), marks, lines)
            # A program may have replaced sys.stdout and sys.stderr by streams without these descriptors.
            for redirect, stream in ((redirect_stdout, sys.stdout), (redirect_stderr, sys.stderr)):
                text = io.StringIO()
                stack.callback(_pass_on, text, stream, marks, lines)
                stack.enter_context(redirect(text))
            yield lines
        finally:
            _flush()


def _pass_on(text: io.StringIO, stream: TextIO | None, marks: tuple[bytes, ...], lines: list[str]) -> None:
    """Append the marked lines of one of Python's streams to ``lines``, and print the others."""
    for line in text.getvalue().splitlines(keepends=True):
        if any(mark.decode() in line for mark in marks):
            lines.append(line.strip())
        elif stream is not None:
            with suppress(OSError):
                stream.write(line)


def _redirected(descriptor: int) -> IO[bytes]:
    """Redirect a descriptor to a temporary file, and return the file."""
    file = tempfile.TemporaryFile()  # noqa: SIM115 - closed when the descriptor is restored
    os.dup2(file.fileno(), descriptor)
    return file


def _restore(descriptor: int, saved: int, file: IO[bytes], marks: tuple[bytes, ...], lines: list[str]) -> None:
    """Restore a descriptor, append the marked lines in its temporary file to ``lines``, and print the others."""
    os.dup2(saved, descriptor)
    os.close(saved)
    with file:
        file.seek(0)
        for line in file:
            if any(mark in line for mark in marks):
                lines.append(line.decode(errors="replace").strip())
            else:
                with suppress(OSError):
                    os.write(descriptor, line)


def _flush() -> None:
    """Flush the buffers of Python, and those of C, which C++ streams share."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, OSError, ValueError):
            stream.flush()
    with suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).fflush(None)
