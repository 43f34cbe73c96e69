"""One picture of a file or stream that may hold several, as a seekable file."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from typing import BinaryIO, Protocol

from convfilter.errors import DECODE_THE_REST, ReadError
from convfilter.picture import limits

_BLOCK_BYTES = 1 << 20


class Stream(Protocol):
    """A binary stream."""

    def read(self, size: int, /) -> bytes:
        """Read ``size`` bytes, fewer only at the end."""


class _Range(io.RawIOBase):
    """A seekable file of ``size`` bytes; ``_at`` is the position."""

    def __init__(self, size: int) -> None:
        self._size, self._at = size, 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Set the position."""
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        return self._at


class FileRange(_Range):
    """``size`` bytes of a file from offset ``start`` on, or fewer at its end."""

    def __init__(self, file: BinaryIO, start: int, size: int) -> None:
        super().__init__(max(0, min(size, file.seek(0, os.SEEK_END) - start)))
        self._file, self._start = file, start

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]
        """Read the next bytes into a buffer."""
        self._file.seek(self._start + self._at)
        content = self._file.read(min(len(buffer), max(0, self._size - self._at)))
        buffer[: len(content)] = content
        self._at += len(content)
        return len(content)


class StreamedFile(_Range):
    """A picture of known size in a stream.

    The file holds the bytes that have been read, so that they can be read again, until :meth:`read_once`. It can be
    positioned among the bytes that it holds, and at the next byte of the stream.

    Parameters
    ----------
    header : bytes
        First bytes of the picture, which have been read from the stream.
    stream : Stream
    sample_bytes : int
        Bytes of the picture after the header.

    Attributes
    ----------
    at_end : callable, or None
        Called once, after a reader has read all samples and before the result is complete.
    """

    def __init__(self, header: bytes, stream: Stream, sample_bytes: int) -> None:
        super().__init__(len(header) + sample_bytes)
        self._held, self._holds = bytearray(header), True
        self._stream, self._header_bytes = stream, len(header)
        #: Offset of the stream's next byte.
        self._next = len(header)
        self.at_end: Callable[[], None] | None = None

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]
        """Read the next bytes into a buffer; fewer than it holds only at the end of the picture.

        Raises
        ------
        ReadError
            The stream ends before the picture does.
        """
        wanted = max(0, min(len(buffer), self._size - self._at))
        again = self._held[self._at : self._at + wanted]
        with memoryview(buffer).cast("B") as view:
            view[: len(again)] = again
            if len(again) < wanted:
                self._read_on(view[len(again) : wanted], self._at + len(again))
        self._at += wanted
        return wanted

    def _read_on(self, view: memoryview, start: int) -> None:
        """Fill a view with the next bytes of the stream, which begin at offset ``start`` of the picture."""
        if start != self._next:
            raise io.UnsupportedOperation(f"byte {start} is not in memory, and the stream is at byte {self._next}")
        done = 0
        while done < len(view):
            block = self._stream.read(min(len(view) - done, _BLOCK_BYTES))
            if not block:
                present, needed = self._next - self._header_bytes, self._size - self._header_bytes
                raise ReadError(f"the PNM is truncated: {present} of {needed} bytes are there", remedy=DECODE_THE_REST)
            view[done : done + len(block)] = block
            done += len(block)
            self._take(block)

    def _take(self, block: bytes) -> None:
        self._next += len(block)
        if self._holds:
            if self._next % (64 * _BLOCK_BYTES) < len(block):
                limits.require_memory(self._next)
            self._held += block

    def load(self) -> None:
        """Read the rest of the picture into memory; if the stream ends before, the file ends there."""
        while self._next < self._size and (block := self._stream.read(min(self._size - self._next, _BLOCK_BYTES))):
            self._take(block)
        self._size = self._next

    def read_once(self) -> None:
        """Hold no further bytes: each is read once."""
        self._holds = False

    def skip_rest(self) -> None:
        """Read the bytes up to the next picture of the stream, and drop them, unless they have been read."""
        if self._next < self._size:
            self.read_once()
            self._held.clear()
            self.load()

    def finish(self) -> None:
        """Call :attr:`at_end`."""
        call, self.at_end = self.at_end, None
        if call is not None:
            call()
