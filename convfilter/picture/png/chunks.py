"""PNG chunks: check order, lengths and checksums, and store contents, without decoding pixels."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from convfilter.errors import DECODE_THE_REST, ReadError
from convfilter.picture import limits
from convfilter.picture.options import ReadOptions
from convfilter.picture.picture import Metadata, Text
from convfilter.picture.place.source import size_of
from convfilter.picture.png import layout as png

if TYPE_CHECKING:
    from convfilter.picture.png import animation as apng

#: Largest number of bytes of an inflated text, as in Pillow, and of a profile: real ones have up to 3 MiB.
_MAX_TEXT_BYTES = 2**20
_MAX_PROFILE_BYTES = 16 * 2**20
#: Largest growth by compression. Incompressible data grow by 5 bytes in 64 KiB; encoders with many small blocks add
#: more.
_SLACK = 1.1
_SLACK_BYTES = 4096
_MAX_LENGTH = 2**31 - 1
_PIXELS = (b"IDAT", b"fdAT")
#: Bytes of chunks that are read at a time: many chunks have only 8 KiB.
_PIECE_BYTES = 2**20
_FIXED_LENGTHS = {b"gAMA": 4, b"cHRM": 32, b"sRGB": 1, b"cICP": 4, b"pHYs": 9, b"tIME": 7, b"mDCV": 24, b"cLLI": 8}
_ANCILLARY_BIT = 0x20
#: Chunks about the storage of the old samples.
_ABOUT_SAMPLES = (b"sBIT", b"hIST", b"sPLT", b"iDOT")
_FULL_SCALE = 65535


class Span(NamedTuple):
    """Offset and length of a chunk's data, and the preceding bytes that its checksum covers."""

    start: int
    length: int
    covered: int


class Image:
    """Spans of the compressed samples of one image; for a frame of an animation, its fcTL."""

    def __init__(self, control: apng.Control | None = None) -> None:
        self.control = control
        self.spans: list[Span] = []
        self.size = 0


class Content:
    """Contents of a file's chunks.

    ``plays`` is None for a still picture; ``others`` are dropped chunks.
    """

    def __init__(self, header: png.Header, notes: list[str]) -> None:
        self.header = header
        self.notes = notes
        self.images: list[Image] = []
        self.palette = b""
        self.transparency: bytes | None = None
        self.plays: int | None = None
        self.metadata = Metadata()
        self.others: list[str] = []


class ChunkReader:
    """Reads the chunks of a file and skips the compressed samples, which are read later.

    Parameters
    ----------
    file : BinaryIO
        At its beginning.
    options : ReadOptions
        With ``lenient``, damage becomes a note if anything can be decoded.
    """

    def __init__(self, file: BinaryIO, options: ReadOptions) -> None:
        self._file = file
        self._size = size_of(file)
        self._options = options
        self._notes: list[str] = []
        self._most_data = 0
        self._budget = limits.Budget("PNG")

    def content(self) -> Content:
        """Read all chunks up to IEND.

        Raises
        ------
        ReadError
            The file is truncated or damaged.
        SizeError
            The picture is larger than allowed.
        """
        if self._file.read(8) != png.SIGNATURE:
            raise ReadError("the PNG signature is damaged; the file may have been sent as text")
        chunks = self._chunks()
        kind, data = next(chunks, (b"", b""))
        if kind != b"IHDR" or isinstance(data, Span):
            raise ReadError("the PNG is damaged: it does not begin with an IHDR chunk")
        content = Content(self._header(data), self._notes)
        for kind, data in chunks:
            self._take(content, kind, data)
        if content.header.colour == png.PALETTE and not content.palette:
            raise ReadError("the PNG is damaged: palette colours without a palette (no PLTE chunk)")
        return content

    def data(self, image: Image) -> Iterator[bytes]:
        """Yield the compressed samples of an image, in pieces, with the checksums of their chunks verified.

        Raises
        ------
        ReadError
            A chunk is damaged.
        """
        at, count = 0, len(image.spans)
        while at < count:
            first = image.spans[at]
            last = at + 1
            while last < count and image.spans[last].start - first.start < _PIECE_BYTES:
                last += 1
            spans = image.spans[at:last]
            self._file.seek(first.start - first.covered)
            read = memoryview(self._file.read(spans[-1].start + spans[-1].length + 4 - first.start + first.covered))
            parts = [self._checked(span, read[span.start - first.start :]) for span in spans]
            yield bytes(parts[0]) if len(parts) == 1 else b"".join(parts)
            at = last

    def _checked(self, span: Span, read: memoryview) -> memoryview:
        """Return the data of a span from bytes that begin with the chunk's kind, after checking the CRC."""
        from isal import isal_zlib

        end = span.covered + span.length
        crc = read[end : end + 4]
        if len(crc) == 4 and isal_zlib.crc32(read[:end]) != int.from_bytes(crc, "big"):
            self._damaged(f"the PNG is damaged: wrong checksum in its {bytes(read[:4]).decode()} chunk")
        return read[span.covered : end]

    def _chunks(self) -> Iterator[tuple[bytes, bytes | Span]]:
        """Yield (kind, bytes) with checked CRC, or (kind, Span) for pixels; large chunks are refused unread."""
        from isal import isal_zlib

        while True:
            head = self._file.read(8)
            if len(head) < 8:
                self._damaged("the PNG is truncated: it ends before its IEND chunk")
                return
            length, kind = struct.unpack(">I4s", head)
            if length > _MAX_LENGTH or not kind.isalpha():
                self._damaged("the PNG is damaged: a chunk has no valid name or length")
                return
            if kind in _PIXELS:
                if length > self._most_data:
                    raise ReadError(f"the PNG is damaged: {length} bytes of data are more than its size needs")
                yield kind, self._passed_over(kind, length)
                continue
            self._budget.spend(length)
            data, crc = self._file.read(length), self._file.read(4)
            if len(crc) < 4:
                self._damaged(f"the PNG is truncated in its {kind.decode()} chunk")
            elif isal_zlib.crc32(data, isal_zlib.crc32(kind)) != int.from_bytes(crc, "big"):
                self._damaged(f"the PNG is damaged: wrong checksum in its {kind.decode()} chunk")
                if kind[0] & _ANCILLARY_BIT:
                    continue
            if kind == b"IEND":
                return
            if len(crc) == 4:
                yield kind, data

    def _passed_over(self, kind: bytes, length: int) -> Span:
        """Skip a chunk; truncated data count as far as they go."""
        start = self._file.tell()
        if start + length + 4 > self._size:
            self._damaged(f"the PNG is truncated in its {kind.decode()} chunk")
            length = min(length, self._size - start)
        self._file.seek(start + length + 4)
        number = 4 if kind == b"fdAT" else 0
        return Span(start + number, max(0, length - number), 4 + number)

    def _damaged(self, what: str) -> None:
        """Refuse the file, or add a note if the rest is wanted."""
        if not self._options.lenient:
            raise ReadError(what, remedy=DECODE_THE_REST)
        self._notes.append(what)

    def _header(self, data: bytes) -> png.Header:
        if len(data) != 13:
            raise ReadError(f"the PNG is damaged: its IHDR chunk has {len(data)} bytes, 13 are right")
        width, height, depth, colour, compression, filtering, interlacing = struct.unpack(">IIBBBBB", data)
        if depth not in png.DEPTHS.get(colour, ()):
            raise ReadError(f"the PNG is damaged: colour type {colour} with {depth} bits does not exist")
        if compression or filtering or interlacing > 1:
            raise ReadError("the PNG is damaged: unknown compression, filter or interlace method")
        limits.require_size(width, height, self._options)
        header = png.Header(width, height, depth, colour, bool(interlacing))
        self._most_data = int(header.data_bytes * _SLACK) + _SLACK_BYTES
        return header

    def _take(self, content: Content, kind: bytes, data: bytes | Span) -> None:
        """Store the content of one chunk."""
        if isinstance(data, Span):
            self._take_pixels(content, kind, data)
        elif kind in _FIXED_LENGTHS and len(data) != _FIXED_LENGTHS[kind]:
            self._damaged(f"the PNG is damaged: its {kind.decode()} chunk has {len(data)} bytes")
        elif kind in _TAKERS:
            _TAKERS[kind](self, content, data)
        elif kind in png.COLOUR_CHUNKS or kind == b"tIME":
            content.metadata.png.append((kind, data))
        elif kind[0] & _ANCILLARY_BIT:
            content.others += [] if kind in _ABOUT_SAMPLES else [kind.decode()]
        else:
            raise ReadError(f"the PNG has a chunk that decoders must know, and this one does not: {kind.decode()}")

    def _take_pixels(self, content: Content, kind: bytes, span: Span) -> None:
        if kind == b"fdAT" and content.plays is None:
            return
        if kind == b"fdAT" and (not content.images or content.images[-1].control is None):
            raise ReadError("the PNG is damaged: data of a frame without its fcTL chunk")
        if not content.images:
            content.images.append(Image())
        image = content.images[-1 if kind == b"fdAT" else 0]
        image.spans.append(span)
        image.size += span.length
        if image.size > self._most_data:
            raise ReadError(f"the PNG is damaged: {image.size} bytes of data are more than its size needs")

    def _take_animation(self, content: Content, data: bytes) -> None:
        """Record that frames follow; an acTL after the first image is ignored."""
        if len(data) == 8 and not content.images and int.from_bytes(data[:4], "big") > 0:
            content.plays = int.from_bytes(data[4:], "big")

    def _take_control(self, content: Content, data: bytes) -> None:
        if content.plays is not None:
            from convfilter.picture.png import animation as apng

            control = apng.Control.parsed(data, content.header)
            if not content.images and (control.width, control.height) != (content.header.width, content.header.height):
                raise ReadError("the PNG is damaged: its first frame is smaller than the picture")
            content.images.append(Image(control))
            self._require_canvases(content.header, len(content.images))

    def _require_canvases(self, header: png.Header, frames: int) -> None:
        """Refuse too many frames: each is decoded to a whole canvas, however small it is in the file."""
        pixels = header.width * header.height
        if self._options.frame is None:
            limits.require_frames(frames, frames * pixels, self._options.max_pixels)
        limits.require_memory(8 * pixels * frames)

    def _take_palette(self, content: Content, data: bytes) -> None:
        if not data or len(data) % 3 or len(data) > 768:
            raise ReadError(f"the PNG is damaged: its palette has {len(data)} bytes")
        content.palette = data

    def _take_transparency(self, content: Content, data: bytes) -> None:
        expected = {0: 2, 2: 6}.get(content.header.colour)
        right = len(data) == expected if expected else 0 < len(data) <= len(content.palette) // 3
        if content.header.colour in (4, 6) or not right:
            self._damaged(f"the PNG is damaged: its tRNS chunk has {len(data)} bytes")
        else:
            content.transparency = data

    def _take_background(self, content: Content, data: bytes) -> None:
        """Store the colour as 16-bit RGB, whatever the samples are."""
        header = content.header
        if header.colour == png.PALETTE:
            colour = content.palette[3 * data[0] : 3 * data[0] + 3] if data else b""
            values, largest = list(colour), 255
        else:
            values = [int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data), 2)]
            values, largest = values * 3 if len(values) == 1 else values, 2**header.depth - 1
        if len(values) == 3 and max(values) <= largest:
            scaled = (round(value * _FULL_SCALE / largest) for value in values)
            content.metadata.png.append((b"bKGD", struct.pack(">3H", *scaled)))

    def _take_exif(self, content: Content, data: bytes) -> None:
        content.metadata.exif = data

    def _take_resolution(self, content: Content, data: bytes) -> None:
        x, y, unit = struct.unpack(">IIB", data)
        if unit == 1 and x and y:
            content.metadata.resolution = (x / png.INCHES_PER_METRE, y / png.INCHES_PER_METRE)
        else:
            content.metadata.png.append((b"pHYs", data))

    def _take_profile(self, content: Content, data: bytes) -> None:
        _, _, rest = data.partition(b"\0")
        content.metadata.icc = self._inflated(rest[1:], "iCCP", _MAX_PROFILE_BYTES)

    def _take_latin(self, content: Content, data: bytes) -> None:
        keyword, zero, value = data.partition(b"\0")
        self._take_text(content, Text(keyword.decode("latin-1") if zero else "", value.decode("latin-1")))

    def _take_compressed(self, content: Content, data: bytes) -> None:
        keyword, _, rest = data.partition(b"\0")
        value = self._inflated(rest[1:], "zTXt")
        if value is not None:
            self._take_text(content, Text(keyword.decode("latin-1"), value.decode("latin-1")))

    def _take_international(self, content: Content, data: bytes) -> None:
        keyword, _, rest = data.partition(b"\0")
        fields = rest[2:].split(b"\0", 2)
        if len(fields) < 3:
            self._damaged("the PNG is damaged: an iTXt chunk ends early")
            return
        value: bytes | None = fields[2]
        if rest[0] == 1:
            value = self._inflated(fields[2], "iTXt")
        if value is None:
            return
        if keyword == png.XMP_KEYWORD.encode():
            content.metadata.xmp = value
        else:
            language, translated = fields[0].decode("ascii", "replace"), fields[1].decode("utf-8", "replace")
            text = Text(keyword.decode("latin-1"), value.decode("utf-8", "replace"), language, translated)
            self._take_text(content, text)

    def _take_text(self, content: Content, text: Text) -> None:
        if text.keyword:
            content.metadata.text.append(text)
        else:
            self._damaged("the PNG is damaged: a text chunk has no keyword")

    def _inflated(self, data: bytes, kind: str, most: int = _MAX_TEXT_BYTES) -> bytes | None:
        """Inflate text or a profile, up to ``most`` bytes."""
        import zlib

        stream = zlib.decompressobj()
        try:
            value = stream.decompress(data, min(most, self._budget.left) + 1)
        except zlib.error:
            self._damaged(f"the PNG is damaged: its {kind} chunk does not decompress")
            return None
        self._budget.spend(len(value))
        if len(value) > most:
            self._damaged(f"the PNG holds a {kind} chunk that inflates to more than {most >> 20} MiB")
            return None
        if not stream.eof:
            self._damaged(f"the PNG is truncated in its {kind} chunk")
        return value


_TAKERS: dict[bytes, Callable[[ChunkReader, Content, bytes], None]] = {
    b"acTL": ChunkReader._take_animation,
    b"fcTL": ChunkReader._take_control,
    b"PLTE": ChunkReader._take_palette,
    b"tRNS": ChunkReader._take_transparency,
    b"bKGD": ChunkReader._take_background,
    b"eXIf": ChunkReader._take_exif,
    b"pHYs": ChunkReader._take_resolution,
    b"iCCP": ChunkReader._take_profile,
    b"tEXt": ChunkReader._take_latin,
    b"zTXt": ChunkReader._take_compressed,
    b"iTXt": ChunkReader._take_international,
}
