"""Parse the chunks of a PNG: header, palette, metadata, and the place of the samples of each image."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import TYPE_CHECKING

from convfilter.errors import ReadError
from convfilter.picture import limits
from convfilter.picture.metadata.density import INCHES_PER_METRE
from convfilter.picture.metadata.metadata import Metadata, Text
from convfilter.picture.options import ReadOptions
from convfilter.picture.png import layout as png
from convfilter.picture.png.chunks import ChunkReader, Span, Spans

if TYPE_CHECKING:
    from convfilter.picture.png import animation as apng

#: Largest number of bytes of an inflated text, as in Pillow, and of a profile: real ones have up to 3 MiB.
_MOST_TEXT_BYTES = 2**20
_MOST_PROFILE_BYTES = 16 * 2**20
_LENGTHS = {b"gAMA": 4, b"cHRM": 32, b"sRGB": 1, b"cICP": 4, b"pHYs": 9, b"tIME": 7, b"mDCV": 24, b"cLLI": 8}
#: Chunks about the samples of the file, which are false for a result.
_ABOUT_SAMPLES = (b"sBIT", b"hIST", b"sPLT", b"iDOT")
_FULL_SCALE = 65535


class Image:
    """The compressed samples of one image: spans of the file, their total size, and an animation frame's fcTL."""

    def __init__(self, control: apng.Control | None = None) -> None:
        self.control = control
        self.spans = Spans()
        self.size = 0


class Content:
    """The content of a PNG file, without samples.

    Attributes
    ----------
    header : Header
    images : list of Image
        In the order of the file.
    palette : bytes
        Red, green and blue of each entry; empty without a palette.
    transparency : bytes, or None
        Content of the tRNS chunk.
    plays : int, or None
        Number of times that an animation plays, 0 without end; None for a still picture.
    metadata : Metadata
    others : list of str
        Names of chunks that are left out.
    """

    def __init__(self, header: png.Header) -> None:
        self.header = header
        self.images: list[Image] = []
        self.palette = b""
        self.transparency: bytes | None = None
        self.plays: int | None = None
        self.metadata = Metadata()
        self.others: list[str] = []


def read_content(reader: ChunkReader, options: ReadOptions) -> Content:
    """Read all chunks of a file, up to IEND.

    Parameters
    ----------
    reader : ChunkReader
        At the beginning of the file.
    options : ReadOptions

    Returns
    -------
    Content

    Raises
    ------
    ReadError
        The file is truncated or damaged. If the reader is lenient: nothing can be decoded.
    SizeError
        The picture is larger than allowed.
    """
    chunks = reader.chunks()
    kind, data = next(chunks, (b"", b""))
    if kind != b"IHDR" or isinstance(data, Span):
        raise ReadError("the PNG is damaged: it does not begin with an IHDR chunk")
    content = Content(_header(data, options))
    reader.limit_data(content.header)
    for kind, data in chunks:
        if isinstance(data, Span):
            _add_samples(reader, content, kind, data)
        elif kind in _LENGTHS and len(data) != _LENGTHS[kind]:
            reader.damage(f"the PNG is damaged: its {kind.decode()} chunk has {len(data)} bytes, not {_LENGTHS[kind]}")
        elif kind == b"fcTL":
            _add_frame(content, data, options)
        elif kind in _PARSERS:
            _PARSERS[kind](reader, content, data)
        elif kind in png.COLOUR_CHUNKS or kind == b"tIME":
            content.metadata.png.append((kind, data))
        elif png.is_ancillary(kind):
            content.others += [] if kind in _ABOUT_SAMPLES else [kind.decode()]
        else:
            raise ReadError(f"the PNG has a critical chunk of unknown meaning, {kind.decode()}; it cannot be decoded")
    if content.header.colour == png.PALETTE and not content.palette:
        raise ReadError("the PNG is damaged: palette colours without a palette (no PLTE chunk)")
    return content


def _header(data: bytes, options: ReadOptions) -> png.Header:
    if len(data) != 13:
        raise ReadError(f"the PNG is damaged: its IHDR chunk has {len(data)} bytes, not 13")
    width, height, depth, colour, compression, filtering, interlacing = struct.unpack(">IIBBBBB", data)
    if depth not in png.DEPTHS.get(colour, ()):
        raise ReadError(f"the PNG is damaged: colour type {colour} with {depth} bits does not exist")
    if compression or filtering or interlacing > 1:
        raise ReadError(
            "the PNG is damaged: compression, filter and interlace method must be 0, 0, and 0 or 1, "
            f"got {compression}, {filtering}, {interlacing}"
        )
    limits.require_size(width, height, options)
    return png.Header(width, height, depth, colour, bool(interlacing))


def _add_samples(reader: ChunkReader, content: Content, kind: bytes, span: Span) -> None:
    """Add a span of samples to its image; frames of a still picture are ignored."""
    if kind == b"fdAT" and content.plays is None:
        return
    if kind == b"fdAT" and (not content.images or content.images[-1].control is None):
        raise ReadError("the PNG is damaged: data of a frame without its fcTL chunk")
    if not content.images:
        content.images.append(Image())
    image = content.images[-1 if kind == b"fdAT" else 0]
    image.spans.append(span)
    image.size += span.length
    reader.require_possible(image.size)


def _add_frame(content: Content, data: bytes, options: ReadOptions) -> None:
    """Add a frame of an animation, whose samples follow; an fcTL of a still picture is ignored."""
    if content.plays is None:
        return
    from convfilter.picture.png import animation as apng

    header = content.header
    control = apng.Control.parsed(data, header)
    if not content.images and (control.width, control.height) != (header.width, header.height):
        raise ReadError(
            f"the PNG is damaged: its first frame has {control.width}x{control.height} pixels, "
            f"the picture {header.width}x{header.height}"
        )
    content.images.append(Image(control))
    # Each frame is decoded to a whole canvas, however small it is in the file.
    pixels, frames = header.width * header.height, len(content.images)
    if options.frame is None:
        limits.require_frames(frames, frames * pixels, options.max_pixels)
    limits.require_memory(8 * pixels * frames)


def _parse_animation(_: ChunkReader, content: Content, data: bytes) -> None:
    """Record the number of plays, which marks an animation; an acTL after the first image is ignored."""
    if len(data) == 8 and not content.images and int.from_bytes(data[:4], "big") > 0:
        content.plays = int.from_bytes(data[4:], "big")


def _parse_palette(_: ChunkReader, content: Content, data: bytes) -> None:
    if not data or len(data) % 3 or len(data) > 768:
        raise ReadError(f"the PNG is damaged: its palette has {len(data)} bytes, not 3 for each of 1 to 256 entries")
    content.palette = data


def _parse_transparency(reader: ChunkReader, content: Content, data: bytes) -> None:
    expected = {0: 2, 2: 6}.get(content.header.colour)
    fits = len(data) == expected if expected else 0 < len(data) <= len(content.palette) // 3
    if content.header.colour in (4, 6) or not fits:
        reader.damage(f"the PNG is damaged: its tRNS chunk has {len(data)} bytes, which do not fit its colours")
    else:
        content.transparency = data


def _parse_background(_: ChunkReader, content: Content, data: bytes) -> None:
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


def _parse_exif(_: ChunkReader, content: Content, data: bytes) -> None:
    content.metadata.exif = data


def _parse_resolution(_: ChunkReader, content: Content, data: bytes) -> None:
    """Store dots per inch; a chunk without a unit gives an aspect ratio, and is kept as it is."""
    x, y, unit = struct.unpack(">IIB", data)
    if unit == 1 and x and y:
        content.metadata.resolution = (x / INCHES_PER_METRE, y / INCHES_PER_METRE)
    else:
        content.metadata.png.append((b"pHYs", data))


def _parse_profile(reader: ChunkReader, content: Content, data: bytes) -> None:
    _, _, rest = data.partition(b"\0")
    content.metadata.icc = reader.inflated(rest[1:], "iCCP", _MOST_PROFILE_BYTES)


def _parse_text(reader: ChunkReader, content: Content, data: bytes) -> None:
    keyword, zero, value = data.partition(b"\0")
    _add_text(reader, content, Text(keyword.decode("latin-1") if zero else "", value.decode("latin-1")))


def _parse_compressed_text(reader: ChunkReader, content: Content, data: bytes) -> None:
    keyword, _, rest = data.partition(b"\0")
    value = reader.inflated(rest[1:], "zTXt", _MOST_TEXT_BYTES)
    if value is not None:
        _add_text(reader, content, Text(keyword.decode("latin-1"), value.decode("latin-1")))


def _parse_international_text(reader: ChunkReader, content: Content, data: bytes) -> None:
    keyword, _, rest = data.partition(b"\0")
    fields = rest[2:].split(b"\0", 2)
    if len(fields) < 3:
        reader.damage("the PNG is damaged: an iTXt chunk ends early")
        return
    value: bytes | None = fields[2]
    if rest[0] == 1:
        value = reader.inflated(fields[2], "iTXt", _MOST_TEXT_BYTES)
    if value is None:
        return
    if keyword == png.XMP_KEYWORD.encode():
        content.metadata.xmp = value
    else:
        language, translated = fields[0].decode("ascii", "replace"), fields[1].decode("utf-8", "replace")
        text = Text(keyword.decode("latin-1"), value.decode("utf-8", "replace"), language, translated)
        _add_text(reader, content, text)


def _add_text(reader: ChunkReader, content: Content, text: Text) -> None:
    if text.keyword:
        content.metadata.text.append(text)
    else:
        reader.damage("the PNG is damaged: a text chunk has no keyword")


_PARSERS: dict[bytes, Callable[[ChunkReader, Content, bytes], None]] = {
    b"acTL": _parse_animation,
    b"PLTE": _parse_palette,
    b"tRNS": _parse_transparency,
    b"bKGD": _parse_background,
    b"eXIf": _parse_exif,
    b"pHYs": _parse_resolution,
    b"iCCP": _parse_profile,
    b"tEXt": _parse_text,
    b"zTXt": _parse_compressed_text,
    b"iTXt": _parse_international_text,
}
