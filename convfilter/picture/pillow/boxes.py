"""Boxes of JPEG 2000 and AVIF files. ISO/IEC 14496-12, 4.2; ISO/IEC 15444-1, annex I.4."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from io import BytesIO
from typing import BinaryIO

_MOST_BOXES = 1000


def boxes(file: BinaryIO, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Iterate over the boxes of a file: kind, and start and end of the content.

    Parameters
    ----------
    file : BinaryIO
        Seekable; its position changes.
    start, end : int
        Start of the first box and end of the last one.

    Yields
    ------
    (bytes, int, int)
        At most 1000 boxes, up to the first damaged one.
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
    """Iterate over the inner boxes of a box: kind and content."""
    for kind, first, last in boxes(BytesIO(content), start, len(content)):
        yield kind, content[first:last]


def box(kind: bytes, *parts: bytes) -> bytes:
    """Encode a box."""
    content = b"".join(parts)
    if len(content) + 8 < 2**32:
        return struct.pack(">I4s", len(content) + 8, kind) + content
    return struct.pack(">I4sQ", 1, kind, len(content) + 16) + content
