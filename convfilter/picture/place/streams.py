"""Outputs that cannot be replaced by a rename, and are written directly: pipes, devices, file descriptors."""

from __future__ import annotations

import io
import os
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, BinaryIO

from convfilter.errors import ConvfilterError, WriteError
from convfilter.picture.place.source import reason

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

#: Most bytes of a picture that are held before the first of them goes to a stream.
MOST_HELD = 1 << 26

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

    def piece(self, *, in_order: bool = False) -> Iterator[BinaryIO]:
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
        try:
            yield from _held(lambda: self._file, in_order=in_order)
        except OSError as error:
            if isinstance(error, ConvfilterError):
                raise
            raise WriteError(reason(error)) from error


class HeldBeginning(io.BytesIO):
    """A buffer that passes its content to a stream as soon as it has more than ``MOST_HELD`` bytes.

    So a picture that turns out to be damaged leaves nothing in a pipe, unless it is large, and a large one takes no
    memory. From then on the buffer cannot be read, and has no positions.

    Parameters
    ----------
    opened : callable
        Returns the unbuffered stream; called when the first bytes are passed.
    """

    def __init__(self, opened: Callable[[], BinaryIO]) -> None:
        super().__init__()
        self._opened = opened
        self._stream: BinaryIO | None = None
        #: Size and position of a regular file before the first byte.
        self._before: tuple[int, int] | None = None

    def write(self, data: ReadableBuffer, /) -> int:
        """Write bytes at the end of the buffer, or to the stream."""
        if self._stream is None:
            count = super().write(data)
            if self.tell() > MOST_HELD:
                self.pass_on()
            return count
        with memoryview(data).cast("B") as view:
            _write_all(self._stream, view)
            return len(view)

    def seekable(self) -> bool:
        """Whether no byte has been passed to the stream."""
        return self._stream is None

    def pass_on(self) -> None:
        """Pass the content to the stream, and all further bytes."""
        if self._stream is not None:
            return
        stream = self._opened()
        status = os.fstat(stream.fileno())
        self._before = (status.st_size, stream.tell()) if stat.S_ISREG(status.st_mode) else None
        self._stream = stream
        with self.getbuffer() as view:
            _write_all(stream, view)
        self.seek(0)
        self.truncate()

    def take_back(self) -> None:
        """Truncate a regular file (``> out.ppm``) to its size before the output; a pipe keeps the bytes."""
        if self._stream is not None and self._before is not None:
            size, position = self._before
            self._stream.truncate(size)
            self._stream.seek(position)


def is_special(path: str) -> bool:
    """Whether a path is a pipe, a device or a socket, which a rename must not replace."""
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return False
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)


def _write_all(stream: BinaryIO, view: memoryview) -> None:
    """Write all bytes to an unbuffered stream, whose ``write`` may accept fewer."""
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


def buffered(target: int | str, *, in_order: bool = False) -> Iterator[BinaryIO]:
    """Yield a buffer in memory, and write its content at the end: no partial picture must enter a pipe.

    Of a large picture, only the beginning is held if it is written in order.

    Parameters
    ----------
    target : int or str
        A file descriptor, or the path of a pipe or a device.
    in_order : bool
        Whether the buffer is written from the beginning to the end; see :class:`HeldBeginning`.

    Yields
    ------
    BinaryIO

    Raises
    ------
    OSError
        The target cannot be written.
    """
    with ExitStack() as files:

        def opened() -> BinaryIO:
            if target == 1:
                sys.stdout.flush()
            file = os.dup(target) if isinstance(target, int) else os.open(target, os.O_WRONLY | os.O_CLOEXEC)
            return files.enter_context(open(file, "wb", buffering=0))

        yield from _held(opened, in_order=in_order and not (isinstance(target, int) and _appends(target)))


def _appends(descriptor: int) -> bool:
    """Whether writes go to the end of a file, which other programs may extend, too."""
    import fcntl

    return bool(fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_APPEND)


def _held(opened: Callable[[], BinaryIO], *, in_order: bool) -> Iterator[BinaryIO]:
    """Yield a buffer, and write its content to a stream at the end, or before if it is large and ``in_order``."""
    if not in_order:
        content = io.BytesIO()
        yield content
        with content.getbuffer() as view:
            _write_all(opened(), view)
        return
    beginning = HeldBeginning(opened)
    try:
        yield beginning
        beginning.pass_on()
    except BaseException:
        beginning.take_back()
        raise
