"""Capture messages that libraries print while decoding."""

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
def heard(*marks: bytes) -> Iterator[list[str]]:
    """Capture lines with one of ``marks`` from standard output and error, of Python and of the process.

    Output belongs to the whole process: lines without a mark, of other threads, are written out at the end.

    Yields
    ------
    list of str
        The captured lines, once the block has ended.
    """
    lines: list[str] = []
    with _lock, ExitStack() as stack:
        _flush()
        try:
            for descriptor in (1, 2):
                with suppress(OSError):  # closed: nothing is printed there
                    stack.callback(_restore, descriptor, os.dup(descriptor), _file(descriptor), marks, lines)
            # Python's streams may have other targets than the descriptors.
            for redirect, stream in ((redirect_stdout, sys.stdout), (redirect_stderr, sys.stderr)):
                text = io.StringIO()
                stack.callback(_pass_on, text, stream, marks, lines)
                stack.enter_context(redirect(text))
            yield lines
        finally:
            _flush()


def _pass_on(text: io.StringIO, stream: TextIO | None, marks: tuple[bytes, ...], lines: list[str]) -> None:
    """Split captured text of one of Python's streams into marked lines and the rest."""
    for line in text.getvalue().splitlines(keepends=True):
        if any(mark.decode() in line for mark in marks):
            lines.append(line.strip())
        elif stream is not None:
            stream.write(line)


def _file(descriptor: int) -> IO[bytes]:
    """Redirect a descriptor to a temporary file."""
    file = tempfile.TemporaryFile()  # noqa: SIM115 - closed when the descriptor is restored
    os.dup2(file.fileno(), descriptor)
    return file


def _restore(descriptor: int, saved: int, file: IO[bytes], marks: tuple[bytes, ...], lines: list[str]) -> None:
    """Restore a descriptor, and split the text written meanwhile."""
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
    """Flush the buffers of Python and C; C++ streams use the buffers of C."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, OSError, ValueError):
            stream.flush()
    with suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).fflush(None)
