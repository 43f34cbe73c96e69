"""Series of Netpbm pictures that follow one another in a file or stream, read one at a time.

A raw PBM, PGM, PPM or PAM may be followed directly by the next picture (ppm(5), pam(5)); ``ffmpeg -f image2pipe -c:v
ppm -`` writes videos this way.
"""

from __future__ import annotations

import io
import os
import stat
import sys
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, BinaryIO, cast

from convfilter.errors import ConvfilterError, ReadError
from convfilter.picture import formats
from convfilter.picture.options import ReadOptions, frame_number
from convfilter.picture.place.address import is_address
from convfilter.picture.place.source import reason
from convfilter.record import NamedTuple

if TYPE_CHECKING:
    from convfilter.picture.codecs.pnm_layout import HeaderSource, Layout
    from convfilter.picture.place.ranges import Stream, StreamedFile

_RAW = (b"P4", b"P5", b"P6", b"P7", b"Pf", b"PF")
_BLANKS = b" \t\r\n\v\f"
#: Length of a signature: two letters and a blank.
_MAGIC_BYTES = 3


class Source(NamedTuple):
    """An opened source: one picture, or a series.

    Attributes
    ----------
    where : str or BinaryIO
        The argument for ``read.opened`` if the source is not a series.
    series : Series, or None
        The pictures of a series, which may turn out to have only one.
    """

    where: str | BinaryIO
    series: Series | None = None


@contextmanager
def opened(where: str, options: ReadOptions) -> Iterator[Source]:
    """Open a source and detect a series: a file of several PNMs, or a stream that begins with one.

    Parameters
    ----------
    where : str
        Path, address or "-" for standard input.
    options : ReadOptions

    Yields
    ------
    Source
        No series if the source cannot be opened: ``read.opened`` then reports the error.

    Raises
    ------
    ReadError
        The stream cannot be read.
    """
    if where == "-":
        yield _of_stream(sys.stdin.buffer, options)
        return
    file = None
    if not is_address(where) and not os.path.isdir(where):
        with suppress(OSError):
            file = open(where, "rb")  # noqa: SIM115
    if file is None:  # no yield inside the try block: it would catch OSErrors of the caller
        yield Source(where)
        return
    with file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            yield _of_stream(file, options)
        elif _has_second_picture(file):
            yield Source(where, _FileSeries(file, options))
        else:
            yield Source(where)


def _is_raw(head: bytes) -> bool:
    """Whether the first bytes of a file begin a picture with binary samples."""
    return head[:2] in _RAW and head[2:3] in (*(bytes([blank]) for blank in _BLANKS), b"#")


def _layout_of(file: HeaderSource, options: ReadOptions) -> Layout:
    from convfilter.picture.codecs.pnm_layout import layout_of  # only for files that begin as a PNM

    return layout_of(file, options)


class Series(ABC):
    """Iterable of the pictures, each read on demand."""

    def __init__(self, options: ReadOptions) -> None:
        self._options = options
        #: Note on data after the only picture; "" without such data, or before they are reached.
        self.note = ""

    def __iter__(self) -> Iterator[BinaryIO]:
        """Yield each picture as a file, which must be read before the next one is requested.

        In a stream, the file is a ``StreamedFile``.

        Raises
        ------
        ReadError
            A header is damaged, or the data after the second or a later picture are not a picture.
        SizeError
            A picture is larger than allowed.
        """
        try:
            yield from self._pictures()
        except ConvfilterError:
            raise
        except OSError as error:
            raise ReadError(reason(error)) from error

    @abstractmethod
    def _pictures(self) -> Iterator[BinaryIO]:
        """Yield the pictures; OSErrors are converted by the caller."""

    def chosen(self, index: int) -> BinaryIO:
        """Return one picture as a file; negative indices count from the end.

        Raises
        ------
        ReadError
            The series has no picture of this index.
        """
        count = 0
        last: deque[BinaryIO] = deque(maxlen=-index if index < 0 else 1)
        for picture in self:
            if count == index:
                return picture
            count += 1
            if index < 0:
                last.append(self._loaded(picture))
        frame_number(index, count)  # raises the error for an index that does not exist
        return last[0]

    def _loaded(self, picture: BinaryIO) -> BinaryIO:
        """Return a picture that can be read after the next one is requested."""
        return picture

    def _ends(self, magic: bytes, number: int) -> bool:
        """Return whether the series ends after ``number`` pictures; ``magic`` holds the bytes that follow.

        Raises
        ------
        ReadError
            A PNM in text follows, or data that are not a picture follow several pictures.
        """
        if not magic or _is_raw(magic):
            return not magic
        if formats.sniff(magic) == "PNM":
            raise ReadError(f"picture {number} is followed by a PNM in text, which cannot be part of a series")
        if number > 1:
            raise ReadError(f"the stream is damaged: the data after picture {number} are not a picture")
        self.note = "the data after the picture are not a picture; they are left out"
        return True


class _StreamSeries(Series):
    """Pictures of a pipe, whose rows are read on demand."""

    def __init__(self, stream: Stream, options: ReadOptions) -> None:
        super().__init__(options)
        self._stream = stream

    def _loaded(self, picture: BinaryIO) -> BinaryIO:
        cast("StreamedFile", picture).load()
        return picture

    def _pictures(self) -> Iterator[BinaryIO]:
        from convfilter.picture.place.ranges import StreamedFile

        number = 0
        while not self._ends(magic := _magic(self._stream), number):
            header = _Recorder(magic, self._stream)
            layout = _layout_of(header, self._options)
            picture = StreamedFile(header.data, self._stream, layout.total_bytes)
            if self._options.lenient or layout.is_bottom_up:
                picture.load()
            number += 1
            yield cast(BinaryIO, picture)
            picture.skip_rest()


class _FileSeries(Series):
    """Pictures of a file, each yielded as a range of it."""

    def __init__(self, file: BinaryIO, options: ReadOptions) -> None:
        super().__init__(options)
        self._file = file

    def _pictures(self) -> Iterator[BinaryIO]:
        from convfilter.picture.place.ranges import FileRange

        number, at = 0, 0
        while True:
            self._file.seek(at)
            if self._ends(magic := _magic(self._file), number):
                return
            start = self._file.tell() - len(magic)
            self._file.seek(start)
            layout = _layout_of(self._file, self._options)
            at = self._file.tell() + layout.total_bytes
            number += 1
            yield io.BufferedReader(FileRange(self._file, start, at - start))


class _Recorder:
    """Reads a header from a stream, and keeps its bytes in ``data``, which begins with those read before."""

    def __init__(self, data: bytes, stream: Stream) -> None:
        self.data, self._stream, self._at = data, stream, 0

    def read(self, size: int) -> bytes:
        while len(self.data) < self._at + size and (more := self._stream.read(self._at + size - len(self.data))):
            self.data += more
        content = self.data[self._at : self._at + size]
        self._at += len(content)
        return content

    def readline(self, limit: int) -> bytes:
        line = b""
        while len(line) < limit and not line.endswith(b"\n") and (byte := self.read(1)):
            line += byte
        return line

    def tell(self) -> int:
        return self._at


class _ResumedStream:
    """A stream that yields its first bytes again, which have been read already."""

    def __init__(self, head: bytes, stream: Stream) -> None:
        self._head, self._stream = head, stream

    def seekable(self) -> bool:
        return False

    def read(self, size: int) -> bytes:
        content, self._head = self._head[:size], self._head[size:]
        return content + self._stream.read(size - len(content)) if len(content) < size else content


def _of_stream(stream: Stream, options: ReadOptions) -> Source:
    try:
        head = stream.read(_MAGIC_BYTES)
    except OSError as error:
        raise ReadError(reason(error)) from error
    resumed = _ResumedStream(head, stream)
    if _is_raw(head):
        return Source("-", _StreamSeries(resumed, options))
    return Source(resumed)  # type: ignore[arg-type]


def _magic(stream: Stream) -> bytes:
    """Skip blanks and read a signature; b"" at the end of the stream."""
    first = stream.read(1)
    while first and first in b" \t\r\n\0":
        first = stream.read(1)
    return first + stream.read(_MAGIC_BYTES - 1) if first else b""


def _has_second_picture(file: BinaryIO) -> bool:
    """Whether a second picture follows the first in a file; False for a damaged header, which the reader reports."""
    head = file.read(_MAGIC_BYTES)
    if not _is_raw(head):
        return False
    file.seek(0)
    try:
        layout = _layout_of(file, ReadOptions(max_pixels=sys.maxsize))
    except ReadError:
        return False
    file.seek(layout.total_bytes, os.SEEK_CUR)
    return _is_raw(_magic(file))
