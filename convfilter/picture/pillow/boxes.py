"""Boxes of JPEG 2000, JPEG XL, HEIF and AVIF files. ISO/IEC 14496-12, 4.2 and 8.11; ISO/IEC 15444-1, annex I.4."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Mapping
from io import BytesIO
from typing import BinaryIO

_MOST_BOXES = 1000
#: Bytes of a meta box that are read; larger ones hold pictures.
_META_BYTES = 1 << 22


def boxes(file: BinaryIO, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Iterate over the boxes of a file: their type in four letters, and start and end of their content.

    Parameters
    ----------
    file : BinaryIO
        Seekable; its position changes.
    start, end : int
        Start of the first box and end of the last one.

    Yields
    ------
    (bytes, int, int)
        At most 1000 boxes, up to the first damaged one. The last one may be truncated.
    """
    for _ in range(_MOST_BOXES):
        file.seek(start)
        head = file.read(16)
        if len(head) < 8:
            return
        size, kind = struct.unpack_from(">I4s", head)
        begin = 8
        if size == 1 and len(head) == 16:
            size, begin = int.from_bytes(head[8:], "big"), 16
        last = end if size == 0 else start + size
        if size and size < begin:
            return
        yield kind, start + begin, min(last, end)
        start = last


def boxes_of(content: bytes, start: int = 0) -> Iterator[tuple[bytes, bytes]]:
    """Iterate over the boxes in a content, from offset ``start`` on: type and content."""
    for kind, first, last in boxes(BytesIO(content), start, len(content)):
        yield kind, content[first:last]


def meta_boxes(file: BinaryIO) -> Iterator[dict[bytes, bytes]]:
    """Yield the boxes within each meta box of a HEIF or AVIF, by type; the file's position changes."""
    for kind, first, last in boxes(file, 0, file.seek(0, os.SEEK_END)):
        if kind == b"meta":
            file.seek(first)
            yield dict(boxes_of(file.read(min(last - first, _META_BYTES)), 4))


def primary_item(meta: Mapping[bytes, bytes]) -> int:
    """Return the number of the primary picture, from the pitm box among the boxes of a meta box."""
    content = meta.get(b"pitm", b"")
    return int.from_bytes(content[4 : 6 if content[:1] == b"\0" else 8], "big")


def box(kind: bytes, *parts: bytes) -> bytes:
    """Encode a box of a type in four letters, whose content is given in parts."""
    content = b"".join(parts)
    if len(content) + 8 < 2**32:
        return struct.pack(">I4s", len(content) + 8, kind) + content
    return struct.pack(">I4sQ", 1, kind, len(content) + 16) + content
