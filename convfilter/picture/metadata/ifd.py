"""Parse and encode directories of TIFF fields (IFDs), which hold the tags of a TIFF and EXIF.

TIFF 6.0 (Adobe, 1992), section 2; BigTIFF; CIPA DC-008 (Exif 2.32), section 4.6.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Container, Iterator
from typing import BinaryIO, Literal

from convfilter.picture import limits
from convfilter.picture.metadata.tiff_numbers import LONG, LONG8
from convfilter.record import NamedTuple

EXIF_IFD, GPS_IFD, INTEROPERABILITY_IFD = 34665, 34853, 40965
ORIENTATION = 274
#: The tag of a comment, and its beginning if the text is UTF-16 in the byte order of the block.
_USER_COMMENT, _UNICODE = 37510, b"UNICODE\0"
#: Fields of the first directory that describe the picture, not the storage of its samples.
DESCRIPTIVE = (270, 271, 272, 305, 306, 315, 316, 33432, 18246, 18249, 40091, 40092, 40093, 40094, 40095)
_FIRST = frozenset((*DESCRIPTIVE, ORIENTATION, EXIF_IFD, GPS_IFD))
#: For each field type, the bytes of an item, and of an integer or float in it: a RATIONAL has two integers of 4 bytes.
_SIZES = {
    **{1: (1, 1), 2: (1, 1), 3: (2, 2), 4: (4, 4), 5: (8, 4), 6: (1, 1), 7: (1, 1), 8: (2, 2), 9: (4, 4)},
    **{10: (8, 4), 11: (4, 4), 12: (8, 8), 13: (4, 4), 16: (8, 8), 17: (8, 8), 18: (8, 8)},
}
_MAX_FIELDS = 4096
_MAX_FIELD_BYTES = 1 << 24

#: A function (offset, length) -> bytes, which returns fewer bytes at the end of the file.
ReadAt = Callable[[int, int], bytes]


class Field(NamedTuple):
    """A field: the number of its tag, the number of its type, and its value as bytes of the file."""

    tag: int
    kind: int
    data: bytes


class Widths(NamedTuple):
    """Widths of the integers in a TIFF or BigTIFF, as codes of ``struct``.

    Attributes
    ----------
    number, offset : str
        The number of entries in a directory; an offset in the file.
    entry : str
        Tag, type and number of items at the start of an entry.
    inline : int
        Bytes at the end of an entry, which hold a short value or the offset of a long value.
    """

    number: str
    offset: str
    entry: str
    inline: int

    @property
    def entry_bytes(self) -> int:
        """Bytes of one entry."""
        return struct.calcsize("<" + self.entry) + self.inline


_CLASSIC, _BIG = Widths("H", "I", "HHI", 4), Widths("Q", "Q", "HHQ", 8)
_HEADER_BYTES = 8


def layout(big: bool) -> Widths:
    """Return the widths of integers in a TIFF or, if ``big``, in a BigTIFF."""
    return _BIG if big else _CLASSIC


def read_at(file: BinaryIO) -> ReadAt:
    """Return the function that reads a seekable file at an offset."""

    def read(offset: int, length: int) -> bytes:
        file.seek(offset)
        return file.read(length)

    return read


def start(block: bytes | bytearray) -> tuple[str, int] | None:
    """Read the header of an EXIF block: its byte order, "<" or ">", and the offset of its first directory.

    None if the block is not a TIFF structure.
    """
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(bytes(block[:4]))
    if order is None or len(block) < _HEADER_BYTES:
        return None
    return order, struct.unpack_from(order + "I", block, 4)[0]


def byte_order(order: str) -> Literal["little", "big"]:
    """Return the name of a byte order, "<" or ">", for ``int.from_bytes``."""
    return "little" if order == "<" else "big"


class Entry(NamedTuple):
    """One entry of a directory: its offset, tag, type and number of items, and the bytes of its value or offset."""

    at: int
    tag: int
    kind: int
    items: int
    inline: bytes | bytearray


def entries(table: bytes | bytearray, order: str, *, big: bool = False, at: int = 0) -> Iterator[Entry]:
    """Yield the complete entries in ``table``, whose first entry has the offset ``at``."""
    widths = layout(big)
    size = widths.entry_bytes
    for place in range(0, len(table) - size + 1, size):
        tag, kind, items = struct.unpack_from(order + widths.entry, table, place)
        yield Entry(at + place, tag, kind, items, table[place + size - widths.inline : place + size])


def parsed(
    read: ReadAt,
    offset: int,
    order: str,
    *,
    big: bool = False,
    wanted: Container[int] | None = None,
    budget: limits.Budget | None = None,
) -> dict[int, Field]:
    """Parse a directory.

    Parameters
    ----------
    read : callable
        (offset, length) -> bytes; fewer bytes at the end of the file.
    offset : int
        Offset of the directory; 0 if the file has none.
    order : "<" or ">"
        Byte order.
    big : bool
        Whether the file is a BigTIFF.
    wanted : container of int, optional
        Tags of the fields to return; None: all.
    budget : Budget, optional
        Quota for the bytes of all fields of a file, whose values may overlap.

    Returns
    -------
    dict of int to Field
        Fields by tag, without those of an unknown type, with a value outside the file, or with more than 16 MiB.

    Raises
    ------
    ReadError
        The quota is exceeded.
    """
    budget = budget or limits.Budget("TIFF directory")
    widths = layout(big)
    head = struct.calcsize("<" + widths.number)
    counted = read(offset, head) if offset > 0 else b""
    if len(counted) < head:
        return {}
    count = min(struct.unpack(order + widths.number, counted)[0], _MAX_FIELDS)
    fields: dict[int, Field] = {}
    for _, tag, kind, items, inline in entries(read(offset + head, widths.entry_bytes * count), order, big=big):
        if wanted is not None and tag not in wanted:
            continue
        length = items * item_bytes(kind)
        data = bytes(inline)
        if widths.inline < length <= _MAX_FIELD_BYTES:
            budget.spend(length)
            data = read(struct.unpack(order + widths.offset, data)[0], length)
        if 0 < length <= len(data):
            fields[tag] = Field(tag, kind, data[:length])
    return fields


def beyond_end(file: BinaryIO, offset: int, order: str, *, big: bool = False) -> set[int]:
    """Return the tags of a directory whose values end beyond the end of the file.

    Parameters
    ----------
    file : BinaryIO
        Seekable.
    offset : int
        Offset of the directory.
    order : "<" or ">"
        Byte order.
    big : bool
        BigTIFF.

    Returns
    -------
    set of int
        ``{0}``, which is no tag, if the directory itself is cut.
    """
    size, widths, read = file.seek(0, os.SEEK_END), layout(big), read_at(file)
    head = struct.calcsize("<" + widths.number)
    counted = read(offset, head)
    count = min(struct.unpack(order + widths.number, counted)[0], _MAX_FIELDS) if len(counted) == head else 0
    table = read(offset + head, widths.entry_bytes * count)
    found = {0} if not counted or len(table) < widths.entry_bytes * count else set()
    for _, tag, kind, items, inline in entries(table, order, big=big):
        length = items * item_bytes(kind)
        if length > widths.inline and struct.unpack(order + widths.offset, inline)[0] + length > size:
            found.add(tag)
    return found


def item_bytes(kind: int) -> int:
    """Return the number of bytes of one item of a field type; 0 for an unknown type."""
    return _SIZES.get(kind, (0, 0))[0]


def number(field: Field | None, order: str) -> int:
    """Return the first item of an integer field; 0 without a field of an integer type."""
    if field is None or _SIZES[field.kind][0] != _SIZES[field.kind][1]:
        return 0
    return int.from_bytes(field.data[: _SIZES[field.kind][0]], byte_order(order))


def reordered(fields: dict[int, Field], source: str, target: str) -> dict[int, Field]:
    """Return fields with their values converted from the byte order ``source`` to ``target``, "<" or ">"."""
    if source == target:
        return fields
    return {tag: field._replace(data=_swapped(field)) for tag, field in fields.items()}


def _swapped(field: Field) -> bytes:
    unit, start = _SIZES[field.kind][1], 0
    if field.tag == _USER_COMMENT and field.data.startswith(_UNICODE):
        unit, start = 2, len(_UNICODE)
    return field.data[:start] + b"".join(field.data[at : at + unit][::-1] for at in range(start, len(field.data), unit))


def packed(fields: dict[int, Field], offset: int, order: str, *, big: bool = False) -> bytes:
    """Encode a directory, followed by its values.

    Parameters
    ----------
    fields : dict of int to Field
        By tag, with values in the byte order ``order``.
    offset : int
        Offset of the directory in the file.
    order : "<" or ">"
        Byte order.
    big : bool
        Whether the file is a BigTIFF.

    Returns
    -------
    bytes
        An even number of bytes; the link to a next directory is 0.
    """
    widths = layout(big)
    directory = [struct.pack(order + widths.number, len(fields))]
    values_at = offset + len(directory[0]) + widths.entry_bytes * len(fields) + struct.calcsize("<" + widths.offset)
    values = b""
    for tag in sorted(fields):
        field = fields[tag]
        entry = struct.pack(order + widths.entry, tag, field.kind, len(field.data) // _SIZES[field.kind][0])
        if len(field.data) <= widths.inline:
            entry += field.data.ljust(widths.inline, b"\0")
        else:
            entry += struct.pack(order + widths.offset, values_at + len(values))
            values += field.data + b"\0" * (len(field.data) & 1)
        directory.append(entry)
    return b"".join([*directory, bytes(struct.calcsize("<" + widths.offset)), values])


def pointer(tag: int, offset: int, order: str, *, big: bool = False) -> Field:
    """Return a field that points to another directory."""
    return Field(tag, LONG8 if big else LONG, struct.pack(order + ("Q" if big else "I"), offset))


class Directories(NamedTuple):
    """The directories that make up EXIF, in one byte order."""

    first: dict[int, Field]
    exif: dict[int, Field]
    gps: dict[int, Field]


def directories(read: ReadAt, offset: int, order: str, *, big: bool = False) -> Directories:
    """Read the descriptive fields of a directory, and the directories of EXIF and GPS that it points to.

    Parameters
    ----------
    read : callable
        As for :func:`parsed`.
    offset : int
        Offset of the directory.
    order : "<" or ">"
        Byte order.
    big : bool
        Whether the file is a BigTIFF.

    Raises
    ------
    ReadError
        The directories overlap, and exceed the quota.
    """
    budget = limits.Budget("EXIF block")
    first = parsed(read, offset, order, big=big, wanted=_FIRST, budget=budget)
    exif = parsed(read, number(first.get(EXIF_IFD), order), order, big=big, budget=budget)
    gps = parsed(read, number(first.get(GPS_IFD), order), order, big=big, budget=budget)
    # The interoperability directory describes a camera's file names; its pointer would dangle.
    exif.pop(INTEROPERABILITY_IFD, None)
    return Directories(first, exif, gps)


def from_block(exif: bytes, order: str) -> Directories:
    """Parse an EXIF block, with values converted to a byte order.

    Parameters
    ----------
    exif : bytes
        TIFF structure, without the ``Exif`` prefix.
    order : "<" or ">"
        Byte order of the result.

    Returns
    -------
    Directories
        Empty if the block is not a TIFF structure.
    """
    header = start(exif)
    if header is None:
        return Directories({}, {}, {})
    source, offset = header
    found = directories(lambda start, length: exif[start : start + length], offset, source)
    return Directories(*(reordered(fields, source, order) for fields in found))


def exif_block(found: Directories, order: str) -> bytes | None:
    """Encode directories as an EXIF block; None if they have no fields but an orientation of 1."""
    first = {tag: field for tag, field in found.first.items() if tag in (*DESCRIPTIVE, ORIENTATION)}
    below = [(tag, fields) for tag, fields in ((EXIF_IFD, found.exif), (GPS_IFD, found.gps)) if fields]
    if not below and set(first) <= {ORIENTATION}:
        first = {tag: field for tag, field in first.items() if number(field, order) != 1}
        if not first:
            return None
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    for tag, _ in below:  # offset 0: only the size of the first directory is needed yet
        first[tag] = pointer(tag, 0, order)
    end = 8 + len(packed(first, 8, order))
    tail = b""
    for tag, fields in below:
        first[tag] = pointer(tag, end + len(tail), order)
        tail += packed(fields, end + len(tail), order)
    return head + packed(first, 8, order) + tail
