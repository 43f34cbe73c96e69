"""GIF blocks, parsed without decoding: damage, metadata and the end of the file. GIF89a (CompuServe, 1990)."""

from __future__ import annotations

import io
import os
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from typing import BinaryIO

from convfilter.picture import limits
from convfilter.picture.metadata.pillow_info import text_of
from convfilter.record import NamedTuple

#: More frames than any real animation has; limits the time of parsing.
MAX_FRAMES = 65536
HEADER_BYTES, DESCRIPTOR_BYTES = 13, 9
#: Bytes of the first sub-block of a frame, with its length, from which a pixel is decoded.
_LEAST_PIXEL_BYTES = 3
#: Offset of width and height, 16 bits each.
SIZE_AT = 6
_ASPECT_AT, _ASPECT_OFFSET = 12, 15
_EXTENSION, IMAGE, _TRAILER = 0x21, 0x2C, 0x3B
_HAS_TABLE = 0x80
#: Labels of extensions.
TEXT, CONTROL, COMMENT, APPLICATION = 0x01, 0xF9, 0xFE, 0xFF
XMP_NAME, ICC_NAME = b"XMP DataXMP", b"ICCRGBG1012"
#: Extensions with the loop count, which the decoder reports.
_LOOP_NAMES = (b"NETSCAPE2.0", b"ANIMEXTS1.0")
#: Trailer of an XMP packet, which is not stored in sub-blocks: at whichever byte a parser of sub-blocks enters the
#: trailer, it leaves it at its end.
XMP_TRAILER = b"\x01" + bytes(range(255, -1, -1)) + b"\0"
_NAME_BYTES = 11


class Damage(NamedTuple):
    """A structural problem, and whether the frames before it can be shown."""

    text: str
    leaves_frames: bool = True


def damage(file: BinaryIO) -> Damage | None:
    """Return the structural problem of a GIF, or None; Pillow silently shows the frames before it.

    Parameters
    ----------
    file : BinaryIO
        Seekable; left at its beginning.

    Returns
    -------
    Damage, or None
    """
    file.seek(0)
    try:
        return _damage(file)
    except IndexError:
        return Damage("the GIF is truncated", leaves_frames=_cut(file).has_frame)
    finally:
        file.seek(0)


def _damage(file: BinaryIO) -> Damage | None:
    frames = 0
    for block in blocks(file):
        if block.introducer == _TRAILER:
            return None
        if block.introducer not in (_EXTENSION, IMAGE):
            return Damage(f"the GIF is damaged: unknown block {block.introducer:#04x}", leaves_frames=frames > 0)
        frames += block.introducer == IMAGE
        if frames > MAX_FRAMES:
            return Damage(f"the GIF has more than {MAX_FRAMES} frames", leaves_frames=False)
    return None


def completed(data: bytes) -> bytes:
    """Complete a truncated file so that a decoder accepts it.

    Parameters
    ----------
    data : bytes
        The beginning of a GIF.

    Returns
    -------
    bytes
        The whole blocks. A last frame that is cut ends with the last byte of its pixels; one that is cut before them is
        dropped, as any other cut block.
    """
    cut = _cut(io.BytesIO(data))
    if cut.pixels is None:
        return data[: cut.end] + bytes([_TRAILER])
    at = cut.pixels
    while at + 1 + data[at] < len(data):
        at += 1 + data[at]
    rest = data[at + 1 :]
    return data[:at] + (bytes([len(rest)]) + rest if rest else b"") + bytes([0, _TRAILER])


class _Cut(NamedTuple):
    """The end of a truncated file.

    ``end`` is the number of bytes in whole blocks, ``has_frame`` tells whether a frame can be shown, and ``pixels`` is
    the offset of the sub-blocks of a frame that is cut within its pixels.
    """

    end: int
    has_frame: bool
    pixels: int | None = None


def _cut(file: BinaryIO) -> _Cut:
    """Find the last whole block of a truncated file; the position changes."""
    end, has_frame = HEADER_BYTES, False
    try:
        end = _header_bytes(file)
        for block in blocks(file):
            end, has_frame = block.end, has_frame or block.introducer == IMAGE
    except IndexError:
        file.seek(end)
        descriptor = file.read(1 + DESCRIPTOR_BYTES)
        if len(descriptor) > DESCRIPTOR_BYTES and descriptor[0] == IMAGE:
            at = file.seek(table_bytes(descriptor[-1]) + 1, os.SEEK_CUR)
            if len(file.read(_LEAST_PIXEL_BYTES)) == _LEAST_PIXEL_BYTES:
                return _Cut(end, True, at)
    return _Cut(end, has_frame)


class _Block(NamedTuple):
    """A block of a GIF: its introducer, the label of an extension, its offset, and the range of its sub-blocks."""

    introducer: int
    label: int | None = None
    at: int = 0
    start: int = 0
    end: int = 0


def blocks(file: BinaryIO) -> Iterator[_Block]:
    """Yield the blocks of a file, up to the trailer or an unknown block; the position may change between blocks.

    Raises
    ------
    IndexError
        The file is truncated.
    """
    end = _header_bytes(file)
    while True:
        at = end  # counted, since a buffered file asks the system for each ``tell``
        file.seek(at)
        introducer = file.read(1)[0]
        if introducer not in (_EXTENSION, IMAGE):
            yield _Block(introducer, at=at, end=at + 1)
            return
        label = file.read(1)[0] if introducer == _EXTENSION else None
        start = at + 2
        if introducer == IMAGE:
            # An optional colour table, then the size of the first codes.
            start = at + 1 + DESCRIPTOR_BYTES + table_bytes(file.read(DESCRIPTOR_BYTES)[-1]) + 1
        end = start
        file.seek(end)
        while length := file.read(1)[0]:
            end += 1 + length
            file.seek(end)
        end += 1
        yield _Block(introducer, label, at, start, end)


class GifMetadata(NamedTuple):
    """Metadata of a GIF.

    Attributes
    ----------
    comments : list of str
    xmp : bytes, or None
        XMP packet.
    icc : bytes, or None
        ICC profile.
    others : list of str
        Names of the extensions that are not read.
    aspect : int
        Width of a pixel in 64ths of its height; 0 for square pixels or unknown.
    """

    comments: list[str]
    xmp: bytes | None
    icc: bytes | None
    others: list[str]
    aspect: int = 0


def read_metadata(file: BinaryIO) -> GifMetadata:
    """Read comments, XMP and colour profile, up to the first damaged block.

    Parameters
    ----------
    file : BinaryIO
        Seekable; left at its beginning.

    Returns
    -------
    GifMetadata

    Raises
    ------
    ReadError
        They are larger than ``limits.MOST_METADATA_BYTES`` together.
    """
    comments, others, xmp, icc = [], [], None, None
    budget = limits.Budget("GIF")
    for label, raw in _extensions(file):
        budget.spend(len(raw))
        content = _joined(raw)
        name = content[:_NAME_BYTES]
        if label == COMMENT:
            comments.append(text_of(content))
        elif label == TEXT:
            others.append("plain text")
        elif name == XMP_NAME:
            packet = raw[1 + _NAME_BYTES :]
            xmp = packet.removesuffix(XMP_TRAILER) if packet.endswith(XMP_TRAILER) else content[_NAME_BYTES:]
        elif name == ICC_NAME:
            icc = content[_NAME_BYTES:]
        elif name not in _LOOP_NAMES:
            others.append(name.decode("latin-1"))
    file.seek(_ASPECT_AT)
    aspect = (file.read(1) or b"\0")[0]
    file.seek(0)
    aspect = aspect + _ASPECT_OFFSET if aspect not in (0, 64 - _ASPECT_OFFSET) else 0
    return GifMetadata(comments, xmp or None, icc or None, list(dict.fromkeys(others)), aspect)


def _extensions(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Yield label and sub-blocks of each extension that may hold metadata, with their lengths and the empty one."""
    with suppress(IndexError):
        for block in blocks(file):
            if block.label in (TEXT, COMMENT, APPLICATION):
                file.seek(block.start)
                yield block.label, file.read(block.end - block.start)
    file.seek(0)


def end_of(file: BinaryIO) -> int | None:
    """Return the offset after the trailer; None if the file has none. The position changes."""
    with suppress(IndexError):
        last = deque(blocks(file), maxlen=1).pop()
        return last.end if last.introducer == _TRAILER else None
    return None


def _joined(blocks: bytes) -> bytes:
    """Return the data of sub-blocks without their lengths."""
    parts, at = [], 0
    while at < len(blocks) and blocks[at]:
        parts.append(blocks[at + 1 : at + 1 + blocks[at]])
        at += 1 + blocks[at]
    return b"".join(parts)


def _header_bytes(file: BinaryIO) -> int:
    """Return the size of the header with the global colour table; raises IndexError if the file is truncated."""
    file.seek(HEADER_BYTES - 3)
    return HEADER_BYTES + table_bytes(file.read(1)[0])


def table_bytes(flags: int) -> int:
    """Return the size of the colour table that flags announce."""
    return 3 * 2 ** ((flags & 7) + 1) if flags & _HAS_TABLE else 0
