"""Outputs that cannot be replaced by a rename, and are written directly: pipes, devices, file descriptors."""

from __future__ import annotations

import io
import os
import stat
import sys
from collections.abc import Iterator
from typing import BinaryIO

from convfilter.errors import WriteError
from convfilter.picture.place.source import reason

#: Folders of paths that name a descriptor, and paths of the standard streams.
_DESCRIPTORS = ("/dev/fd/", "/proc/self/fd/")
_STREAMS = {"/dev/stdin": 0, "/dev/stdout": 1, "/dev/stderr": 2}


class SeriesOutput:
    """An output of several pictures, one after the other; ``atomic.replacing`` accepts it in place of a path.

    Parameters
    ----------
    file : BinaryIO
        A stream, or a file of ``atomic.replacing``, which appears once all pictures are written.
    is_stream : bool
        Whether each picture is written as soon as it is complete.
    """

    def __init__(self, file: BinaryIO, *, is_stream: bool) -> None:
        self._file, self._is_stream = file, is_stream

    def piece(self) -> Iterator[BinaryIO]:
        """Yield the file for the next picture, as ``atomic.replacing`` does.

        Raises
        ------
        WriteError
            The stream is closed or full.
        """
        if not self._is_stream:
            self._file.seek(0, os.SEEK_END)
            yield self._file
            return
        content = io.BytesIO()
        yield content
        try:
            write_all(self._file, content)
        except OSError as error:
            raise WriteError(reason(error)) from error


def is_special(path: str) -> bool:
    """Whether a path is a pipe, a device or a socket, which a rename must not replace."""
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return False
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)


def write_all(stream: BinaryIO, content: io.BytesIO) -> None:
    """Write all bytes of a buffer to an unbuffered stream, whose ``write`` may accept fewer."""
    with content.getbuffer() as view:
        written = 0
        while written < len(view):
            written += stream.write(view[written:]) or 0


def descriptor_of(name: str) -> int | None:
    """Return the file descriptor that a path such as ``-`` or ``/dev/stdout`` names; None for other paths.

    A redirected output must be written through its descriptor, at its current position; a rename would replace the
    file that the shell has opened.
    """
    if name == "-":
        return 1
    if name in _STREAMS:
        return _STREAMS[name]
    for folder in _DESCRIPTORS:
        if name.startswith(folder) and name.removeprefix(folder).isdecimal():
            return int(name.removeprefix(folder))
    return None


def buffered(target: int | str) -> Iterator[BinaryIO]:
    """Yield a buffer in memory, and write its content at the end: no partial picture must enter a pipe.

    Parameters
    ----------
    target : int or str
        A file descriptor, or the path of a pipe or a device.

    Yields
    ------
    BinaryIO

    Raises
    ------
    OSError
        The target cannot be written.
    """
    content = io.BytesIO()
    yield content
    if target == 1:
        sys.stdout.flush()
    file = os.dup(target) if isinstance(target, int) else os.open(target, os.O_WRONLY | os.O_CLOEXEC)
    with open(file, "wb", buffering=0) as stream:
        write_all(stream, content)
