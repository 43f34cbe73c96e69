"""The chunks of a PNG as a sequence: check lengths and checksums, and skip compressed samples until they are decoded.

``content.py`` interprets the chunks.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import BinaryIO

from convfilter.errors import DECODE_THE_REST, ReadError
from convfilter.picture import limits
from convfilter.picture.place.source import read_into, size_of
from convfilter.picture.png import layout as png
from convfilter.record import NamedTuple

_MAX_LENGTH = 2**31 - 1
_SAMPLES = (b"IDAT", b"fdAT")
#: Bytes of chunks that are read at a time: many chunks have only 8 KiB.
_PIECE_BYTES = 2**20
#: Largest growth of samples by compression, as a factor and in bytes. Incompressible data grow by 5 bytes in 64 KiB;
#: encoders with many small blocks add more.
_MOST_GROWTH, _MOST_GROWTH_BYTES = 1.1, 4096


class Span(NamedTuple):
    """The place of a chunk's data in the file: offset, length, and how many bytes before them the checksum covers."""

    start: int
    length: int
    covered: int


class Spans:
    """Spans in the order of the file, in 13 bytes each: most encoders write a chunk for each 8 KiB."""

    _fields = struct.Struct("=QIB")

    def __init__(self) -> None:
        self._packed = bytearray()

    def __len__(self) -> int:
        return len(self._packed) // self._fields.size

    def __getitem__(self, number: int) -> Span:
        return Span(*self._fields.unpack_from(self._packed, number * self._fields.size))

    def append(self, span: Span) -> None:
        """Add the span of the next chunk."""
        self._packed += self._fields.pack(*span)


class ChunkReader:
    """Reads the chunks of a PNG file.

    Parameters
    ----------
    file : BinaryIO
        At its beginning.
    lenient : bool
        Whether to note damage and go on, instead of raising an error.

    Attributes
    ----------
    notes : list of str
        A line for each damage.
    most_data : int
        Largest number of bytes of one image's compressed samples; 0 until ``limit_data``.
    """

    def __init__(self, file: BinaryIO, *, lenient: bool) -> None:
        self._file, self._size, self._lenient = file, size_of(file), lenient
        self._budget = limits.Budget("PNG")
        self.notes: list[str] = []
        self.most_data = 0
        self._has_samples = self._is_cut = False

    def limit_data(self, header: png.Header) -> None:
        """Set the largest number of bytes of compressed samples that an image of this size may need."""
        self.most_data = int(header.data_bytes * _MOST_GROWTH) + _MOST_GROWTH_BYTES

    def chunks(self) -> Iterator[tuple[bytes, bytes | Span]]:
        """Check the signature, and yield the name and the content of each chunk before IEND.

        The content is a ``Span`` for samples, and bytes of verified checksum for other chunks.

        Raises
        ------
        ReadError
            The file is not a PNG, is truncated or damaged, or has more data than its size needs.
        """
        from isal import isal_zlib

        if self._file.read(8) != png.SIGNATURE:
            raise ReadError("the PNG signature is damaged; the file may have been sent as text")
        while True:
            head = self._file.read(8)
            if len(head) < 8:
                self._truncated("the PNG is truncated: it ends before its IEND chunk")
                return
            length, kind = struct.unpack(">I4s", head)
            if length > _MAX_LENGTH or not kind.isalpha():
                self.damage("the PNG is damaged: a chunk has no valid name or length")
                return
            if kind in _SAMPLES:
                self.require_possible(length)
                self._has_samples = True
                yield kind, self._skip(kind, length)
                continue
            self._budget.spend(length)
            data, crc = self._file.read(length), self._file.read(4)
            if len(crc) < 4:
                self._truncated(f"the PNG is truncated in its {kind.decode()} chunk")
            elif isal_zlib.crc32(data, isal_zlib.crc32(kind)) != int.from_bytes(crc, "big"):
                self.damage(f"the PNG is damaged: wrong checksum in its {kind.decode()} chunk")
                if png.is_ancillary(kind):
                    continue
            if kind == b"IEND":
                return
            if len(crc) == 4:
                yield kind, data

    def data(self, spans: Spans) -> Iterator[memoryview]:
        """Yield the data of chunks, with verified checksums; several small chunks are joined into one piece.

        A piece is valid until the next one is asked for.

        Raises
        ------
        ReadError
            A chunk is damaged.
        """
        at, count, memory = 0, len(spans), memoryview(bytearray())
        while at < count:
            first = spans[at]
            last = at + 1
            while last < count and spans[last].start - first.start < _PIECE_BYTES:
                last += 1
            piece = [spans[number] for number in range(at, last)]
            size = piece[-1].start + piece[-1].length + 4 - first.start + first.covered
            if len(memory) < size:
                memory = memoryview(bytearray(max(size, 2 * _PIECE_BYTES)))
            yield self._joined(piece, memory[:size])
            at = last

    def damage(self, problem: str) -> None:
        """Refuse the file, or note the problem if the reader is lenient."""
        if not self._lenient:
            raise ReadError(problem, remedy=DECODE_THE_REST)
        self.notes.append(problem)

    def _truncated(self, problem: str) -> None:
        """Refuse the file, or note its end once; without samples, there is nothing to decode."""
        if not self._has_samples:
            raise ReadError(f"{problem}; no pixels are left")
        if not self._is_cut:
            self.damage(problem)
        self._is_cut = True

    def require_possible(self, length: int) -> None:
        """Refuse more bytes of compressed samples than an image of the size in the header may need."""
        if length > self.most_data:
            raise ReadError(f"the PNG is damaged: {length} bytes of data are more than its size needs")

    def inflated(self, data: bytes, kind: str, most: int) -> bytes | None:
        """Inflate a text or a profile.

        Parameters
        ----------
        data : bytes
            A zlib stream.
        kind : str
            Name of the chunk, for messages.
        most : int
            Largest number of bytes of the result.

        Returns
        -------
        bytes, or None
            None for a damaged or too large stream; the readable part of a truncated one.

        Raises
        ------
        ReadError
            The stream is damaged, or exceeds the limit or the quota of the file.
        """
        import zlib

        stream = zlib.decompressobj()
        try:
            value = stream.decompress(data, min(most, self._budget.left) + 1)
        except zlib.error:
            self.damage(f"the PNG is damaged: its {kind} chunk does not decompress")
            return None
        self._budget.spend(len(value))
        if len(value) > most:
            self.damage(f"the PNG holds a {kind} chunk that inflates to more than {most >> 20} MiB")
            return None
        if not stream.eof:
            self.damage(f"the PNG is truncated in its {kind} chunk")
        return value

    def _joined(self, spans: Sequence[Span], memory: memoryview) -> memoryview:
        """Read chunks that follow each other into memory; return their data, joined within it."""
        first, joined = spans[0], 0
        self._file.seek(first.start - first.covered)
        read = memory[: read_into(self._file, memory)]
        for span in spans:
            data = self._checked(span, read[span.start - first.start :])
            memory[joined : joined + len(data)] = data
            joined += len(data)
        return memory[:joined]

    def _checked(self, span: Span, read: memoryview) -> memoryview:
        """Return the data of a span from ``read``, which begins with the name of the chunk; check the CRC."""
        from isal import isal_zlib

        end = span.covered + span.length
        crc = read[end : end + 4]
        if len(crc) == 4 and isal_zlib.crc32(read[:end]) != int.from_bytes(crc, "big"):
            self.damage(f"the PNG is damaged: wrong checksum in its {bytes(read[:4]).decode()} chunk")
        return read[span.covered : end]

    def _skip(self, kind: bytes, length: int) -> Span:
        """Skip the samples of a chunk; the span of a truncated chunk ends where the file ends."""
        start = self._file.tell()
        if start + length + 4 > self._size:
            self._truncated(f"the PNG is truncated in its {kind.decode()} chunk")
            length = min(length, self._size - start)
        self._file.seek(start + length + 4)
        number = 4 if kind == b"fdAT" else 0
        return Span(start + number, max(0, length - number), 4 + number)
