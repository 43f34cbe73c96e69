"""The metadata of a PNG that is written, as chunks between its header and its samples."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from convfilter.picture.metadata.density import PER_METRE
from convfilter.picture.metadata.metadata import Metadata, Text
from convfilter.picture.png import layout as png

#: Texts of at least so many bytes are compressed.
_LONG_TEXT_BYTES = 1024
_MOST_KEYWORD_BYTES = 79


def metadata_chunks(metadata: Metadata, header: png.Header) -> Iterator[tuple[bytes, bytes]]:
    """Yield the name and the content of each chunk of metadata, in the order of the specification.

    Parameters
    ----------
    metadata : Metadata
        A profile replaces an sRGB chunk, since a PNG must not have both.
    header : Header
        Header of the PNG: its depth and colours are those of the background, its size is written into EXIF.
    """
    kept = [(kind, data) for kind, data in metadata.png if not (kind == b"sRGB" and metadata.icc)]
    yield from ((kind, data) for kind, data in kept if kind in png.COLOUR_CHUNKS)
    if metadata.icc:
        import zlib

        yield b"iCCP", b"icc\0\0" + zlib.compress(metadata.icc, 9)
    if metadata.resolution:
        density = PER_METRE.of(metadata.resolution)
        if density:  # a pixel of more than two metres has none
            yield b"pHYs", struct.pack(">IIB", *density[1], 1)
    yield from (
        (kind, _background(data, header) if kind == b"bKGD" else data)
        for kind, data in kept
        if kind not in png.COLOUR_CHUNKS
    )
    if metadata.exif:
        from convfilter.picture.metadata import exif

        yield b"eXIf", exif.with_size(metadata.exif, header.width, header.height) or b""
    if metadata.xmp:
        yield b"iTXt", png.XMP_KEYWORD.encode() + b"\0\0\0\0\0" + metadata.xmp
    yield from (_text_chunk(text) for text in metadata.text)


def _background(colour: bytes, header: png.Header) -> bytes:
    """Encode a 16-bit RGB colour at the depth of the picture; the background of a grey picture has one value."""
    values = struct.unpack(">3H", colour)
    values = values if header.colour in (2, 6) else values[1:2]
    scaled = values if header.depth == 16 else tuple(round(value / 257) for value in values)
    return struct.pack(f">{len(scaled)}H", *scaled)


def _text_chunk(text: Text) -> tuple[bytes, bytes]:
    """Encode a text as tEXt, or zTXt if it is long, if it is Latin-1 without a language; else as iTXt."""
    keyword = text.keyword.encode("latin-1", "replace")[:_MOST_KEYWORD_BYTES].strip() or b"Comment"
    text = text._replace(value=text.value.replace("\0", " "))  # a zero byte ends a text, as JPEG comments may hold it
    if not text.language and not text.translated:
        try:
            value = text.value.encode("latin-1")
        except UnicodeEncodeError:
            pass
        else:
            if len(value) < _LONG_TEXT_BYTES:
                return b"tEXt", keyword + b"\0" + value
            import zlib

            return b"zTXt", keyword + b"\0\0" + zlib.compress(value, 9)
    language = text.language.encode("ascii", "replace")
    fields = b"\0\0\0" + language + b"\0" + text.translated.encode() + b"\0"
    return b"iTXt", keyword + fields + text.value.encode()
