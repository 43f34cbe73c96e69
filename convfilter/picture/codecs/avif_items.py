"""EXIF and XMP as items of an AVIF's meta box. ISO/IEC 14496-12, 8.11.3 (iloc) and 8.11.6 (iinf); ISO/IEC 23008-12."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from convfilter.errors import WriteError
from convfilter.picture.metadata import exif
from convfilter.picture.metadata.metadata import Metadata
from convfilter.picture.pillow.boxes import box
from convfilter.record import NamedTuple

_XMP_TYPE = b"application/rdf+xml"
#: Start of the iloc boxes that libavif writes: version 0, offsets and sizes of 32 bits.
_LOCATIONS = b"\0\0\0\0\x44\0"


class Item(NamedTuple):
    """An item: its type in four letters, its content, and the MIME type of an item of type "mime"."""

    kind: bytes
    content: bytes
    mime_type: bytes = b""


def items_of(metadata: Metadata) -> list[Item]:
    """Return items for EXIF, without its orientation, and XMP."""
    block = exif.without_orientation(metadata.exif)
    items = [Item(b"Exif", bytes(4) + block)] if block else []
    return items + ([Item(b"mime", metadata.xmp, _XMP_TYPE)] if metadata.xmp else [])


def entry_box(number: int, item: Item) -> bytes:
    """Return the infe box that announces an item without a name."""
    mime_type = item.mime_type + b"\0" if item.mime_type else b""
    return box(b"infe", b"\2\0\0\0", struct.pack(">HH4s", number, 0, item.kind), b"\0", mime_type)


def locations_box(content: bytes, shift: int, numbered: Sequence[tuple[int, Item]] = (), start: int = 0) -> bytes:
    """Return an iloc box for items whose data have moved, and for new items.

    Parameters
    ----------
    content : bytes
        Content of the iloc box that libavif wrote.
    shift : int
        Bytes by which the data of its items have moved.
    numbered : sequence of (int, Item)
        New items with their numbers.
    start : int
        Offset in the file of the new items' data, which follow one another.

    Raises
    ------
    WriteError
        The box is of another version.
    """
    if content[:6] != _LOCATIONS:
        raise unexpected("boxes of another version")
    count = int.from_bytes(content[6:8], "big")
    out, at = [content[:6], struct.pack(">H", count + len(numbered))], 8
    for _ in range(count):
        extents = int.from_bytes(content[at + 4 : at + 6], "big")
        out.append(content[at : at + 6])
        at += 6
        for _ in range(extents):
            offset, size = struct.unpack_from(">II", content, at)
            out.append(struct.pack(">II", offset + shift, size))
            at += 8
    for number, item in numbered:
        out.append(struct.pack(">HHHII", number, 0, 1, start, len(item.content)))
        start += len(item.content)
    return box(b"iloc", *out)


def unexpected(found: str) -> WriteError:
    """Return the error for an encoded file whose boxes differ from those that libavif is known to write."""
    return WriteError(f"the picture cannot be written as AVIF: imagecodecs has written {found}", remedy="use png")
