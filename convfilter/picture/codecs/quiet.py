"""What libraries print while they decode: taken off this process's output, and handed to whoever asks."""

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
    """Take lines that contain one of ``marks`` off standard output and standard error, of Python and of the process.

    Output is the whole process's: lines of other threads, which have no mark, are written after all at the end.

    Yields
    ------
    list of str
        Holds the lines when the block has ended.
    """
    lines: list[str] = []
    with _lock, ExitStack() as stack:
        _flush()
        try:
            for descriptor in (1, 2):
                with suppress(OSError):  # closed: nothing comes out there
                    stack.callback(_restore, descriptor, os.dup(descriptor), _file(descriptor), marks, lines)
            # Python's streams need not lead there.
            for redirect, stream in ((redirect_stdout, sys.stdout), (redirect_stderr, sys.stderr)):
                text = io.StringIO()
                stack.callback(_pass_on, text, stream, marks, lines)
                stack.enter_context(redirect(text))
            yield lines
        finally:
            _flush()


def _pass_on(text: io.StringIO, stream: TextIO | None, marks: tuple[bytes, ...], lines: list[str]) -> None:
    """Part what was written to one of Python's streams."""
    for line in text.getvalue().splitlines(keepends=True):
        if any(mark.decode() in line for mark in marks):
            lines.append(line.strip())
        elif stream is not None:
            stream.write(line)


def _file(descriptor: int) -> IO[bytes]:
    """Let a descriptor lead to a new file."""
    file = tempfile.TemporaryFile()  # noqa: SIM115 - closed when the descriptor is restored
    os.dup2(file.fileno(), descriptor)
    return file


def _restore(descriptor: int, saved: int, file: IO[bytes], marks: tuple[bytes, ...], lines: list[str]) -> None:
    """Let a descriptor lead to where it led before, and part what was written meanwhile."""
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
    """Empty the buffers of Python and of C, on which those of C++ rest."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, OSError, ValueError):
            stream.flush()
    with suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).fflush(None)
