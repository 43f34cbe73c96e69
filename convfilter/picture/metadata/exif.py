"""EXIF changed in place: orientation reset, thumbnail dropped, everything else at its old offset.

Maker notes point into the file by absolute offsets; an EXIF block that is taken
apart and written anew breaks them. So only the bytes in question are patched.
Structure: TIFF 6.0 (Adobe, 1992) and CIPA DC-008 (Exif 2.32).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Literal

import numpy as np

from convfilter.picture.pixels import Pixels

_ORIENTATION = 0x0112
_EXIF_IFD = 0x8769
_COMPRESSION, _THUMBNAIL_OFFSET, _THUMBNAIL_LENGTH = 0x0103, 0x0201, 0x0202
_WIDTH_TAGS, _HEIGHT_TAGS = (0x0100, 0xA002), (0x0101, 0xA003)
_X_RESOLUTION, _Y_RESOLUTION, _RESOLUTION_UNIT = 0x011A, 0x011B, 0x0128
_SHORT, _LONG, _RATIONAL = 3, 4, 5
_INCH, _CENTIMETRE = 2, 3
_CM_PER_INCH = 2.54
_EMPTY = b"II*\0\x08\0\0\0" + bytes(6)
_XMP_ORIENTATION = re.compile(rb"(tiff:Orientation(?:=[\"']|>)\s*)([1-8])")


class _Entry:
    """One field of an IFD: where it lies, what it holds."""

    def __init__(self, data: bytearray, at: int, order: Literal["little", "big"]) -> None:
        self.at = at
        self.tag = int.from_bytes(data[at : at + 2], order)
        self.kind = int.from_bytes(data[at + 2 : at + 4], order)
        self.count = int.from_bytes(data[at + 4 : at + 8], order)
        size = 2 if self.kind == _SHORT else 4
        self.value = int.from_bytes(data[at + 8 : at + 8 + size], order)


def _order(data: bytes | bytearray) -> Literal["little", "big"] | None:
    return {b"II*\0": "little", b"MM\0*": "big"}.get(bytes(data[:4]))  # type: ignore[return-value]


def _entries(data: bytearray, at: int, order: Literal["little", "big"]) -> Iterator[_Entry]:
    count = int.from_bytes(data[at : at + 2], order) if 8 <= at <= len(data) - 2 else 0
    for index in range(count):
        field = at + 2 + 12 * index
        if field + 12 > len(data):
            return
        yield _Entry(data, field, order)


def orientation(exif: bytes | None, xmp: bytes | None = None) -> int:
    """Read the orientation, 1 to 8, from EXIF or, where that says nothing, from XMP; 1 if neither knows."""
    if exif and (order := _order(exif)):
        data = bytearray(exif)
        for entry in _entries(data, int.from_bytes(data[4:8], order), order):
            if entry.tag == _ORIENTATION and entry.kind == _SHORT and entry.count == 1:
                return entry.value if 1 <= entry.value <= 8 else 1
    match = _XMP_ORIENTATION.search(xmp or b"")
    return int(match[2]) if match else 1


def cleaned(exif: bytes | None, *, upright: bool) -> bytes | None:
    """Drop the thumbnail and, if ``upright``, say that the picture stands upright.

    Parameters
    ----------
    exif : bytes, or None
        TIFF structure, without the ``Exif`` prefix.
    upright : bool
        Set the orientation to 1.

    Returns
    -------
    bytes, or None
        None where the block is no TIFF structure.
    """
    if not exif or (order := _order(exif)) is None:
        return None
    data = bytearray(exif)
    first = int.from_bytes(data[4:8], order)
    if not 8 <= first <= len(data) - 2:
        return None
    if upright:
        for entry in _entries(data, first, order):
            if entry.tag == _ORIENTATION and entry.kind == _SHORT:
                data[entry.at + 8 : entry.at + 10] = (1).to_bytes(2, order)
    link = first + 2 + 12 * int.from_bytes(data[first : first + 2], order)
    if link + 4 <= len(data):
        _drop_thumbnail(data, int.from_bytes(data[link : link + 4], order), order)
        data[link : link + 4] = bytes(4)
    return bytes(data)


def has_thumbnail(exif: bytes | None) -> bool:
    """Tell whether there is a second directory, which is the thumbnail's."""
    if not exif or (order := _order(exif)) is None:
        return False
    first = int.from_bytes(exif[4:8], order)
    link = first + 2 + 12 * int.from_bytes(exif[first : first + 2], order)
    return any(_entries(bytearray(exif), int.from_bytes(exif[link : link + 4], order), order))


def with_thumbnail(exif: bytes | None, jpeg: bytes) -> bytes:
    """Add a thumbnail behind everything else.

    Parameters
    ----------
    exif : bytes, or None
        Without a thumbnail; None: make a new block.
    jpeg : bytes

    Returns
    -------
    bytes
    """
    data = bytearray(exif) if exif and _order(exif) else bytearray(_EMPTY)
    order = _order(data) or "little"
    data += bytes(len(data) & 1)
    first = int.from_bytes(data[4:8], order)
    link = first + 2 + 12 * int.from_bytes(data[first : first + 2], order)
    if link + 4 > len(data):  # a directory that is cut off
        return bytes(data)
    data[link : link + 4] = len(data).to_bytes(4, order)
    # Compression (6 is JPEG), then where the picture lies; it begins behind the directory of 2 + 3 * 12 + 4 bytes.
    start = len(data) + 42
    fields = ((_COMPRESSION, _SHORT, 6), (_THUMBNAIL_OFFSET, _LONG, start), (_THUMBNAIL_LENGTH, _LONG, len(jpeg)))
    data += len(fields).to_bytes(2, order)
    for tag, kind, value in fields:
        size = 2 if kind == _SHORT else 4
        data += tag.to_bytes(2, order) + kind.to_bytes(2, order) + (1).to_bytes(4, order)
        data += value.to_bytes(size, order).ljust(4, b"\0")
    return bytes(data + bytes(4) + jpeg)


def _drop_thumbnail(data: bytearray, ifd: int, order: Literal["little", "big"]) -> None:
    """Cut the thumbnail off where it ends the block, as it nearly always does; else blank it."""
    fields = {entry.tag: entry.value for entry in _entries(data, ifd, order)}
    start, length = fields.get(_THUMBNAIL_OFFSET, 0), fields.get(_THUMBNAIL_LENGTH, 0)
    end = min(start + length, len(data))
    if not ifd < start < end:
        return
    if end >= len(data) - 3:
        del data[start:]
    else:
        data[start:end] = bytes(end - start)


def is_whole(exif: bytes) -> bool:
    """Tell whether the fields of the first directory, and the values that they point to, lie within the block."""
    if (order := _order(exif)) is None:
        return False
    first = int.from_bytes(exif[4:8], order)
    count = int.from_bytes(exif[first : first + 2], order)
    rationals = [entry for entry in _entries(bytearray(exif), first, order) if entry.kind == _RATIONAL]
    return first + 2 + 12 * count <= len(exif) and all(each.value + 8 * each.count <= len(exif) for each in rationals)


def resolution(exif: bytes | None) -> tuple[float, float] | None:
    """Read the resolution in dots per inch, None if the block says nothing of it."""
    order = _order(exif or b"")
    if not exif or order is None:
        return None
    fields = _first_directory(bytearray(exif), order)
    values = []
    for tag in (_X_RESOLUTION, _Y_RESOLUTION):
        entry = fields.get(tag)
        if entry is None or entry.kind != _RATIONAL or entry.value + 8 > len(exif):
            return None
        numerator, denominator = (int.from_bytes(exif[at : at + 4], order) for at in (entry.value, entry.value + 4))
        values.append(numerator / denominator if denominator else 0.0)
    unit = fields[_RESOLUTION_UNIT].value if _RESOLUTION_UNIT in fields else _INCH
    scale = _CM_PER_INCH if unit == _CENTIMETRE else 1.0
    return (values[0] * scale, values[1] * scale) if unit in (_INCH, _CENTIMETRE) and min(values) > 0 else None


def with_resolution(exif: bytes | None, dots_per_inch: tuple[float, float]) -> bytes:
    """Write the resolution, in place if it has one; a block that has none gets a new first directory at its end."""
    order = _order(exif or b"")
    data = bytearray(exif or b"") if order else bytearray(_EMPTY)
    order = order or "little"
    fields = _first_directory(data, order)
    rationals = {
        tag: b"".join(part.to_bytes(4, order) for part in _rational(dots))
        for tag, dots in zip((_X_RESOLUTION, _Y_RESOLUTION), dots_per_inch, strict=True)
    }
    unit = _INCH.to_bytes(2, order)
    known = [fields.get(tag) for tag in rationals]
    if _RESOLUTION_UNIT in fields and all(e and e.kind == _RATIONAL and 8 <= e.value <= len(data) - 8 for e in known):
        for tag, value in rationals.items():
            data[fields[tag].value : fields[tag].value + 8] = value
        at = fields[_RESOLUTION_UNIT].at
        data[at + 8 : at + 10] = unit
        return bytes(data)
    new = {_RESOLUTION_UNIT: (_SHORT, unit + bytes(2))}
    data += bytes(len(data) & 1)
    for tag, value in rationals.items():
        new[tag] = (_RATIONAL, len(data).to_bytes(4, order))
        data += value
    return _with_fields(data, new, order)


def _rational(value: float) -> tuple[int, int]:
    """Write a number with two decimals, which is more than any resolution is exact to."""
    hundredths = min(round(value * 100), 2**32 - 1)
    return (hundredths // 100, 1) if hundredths % 100 == 0 else (hundredths, 100)


def _with_fields(data: bytearray, new: Mapping[int, tuple[int, bytes]], order: Literal["little", "big"]) -> bytes:
    """Write the first directory anew behind everything else, with one item of each new field."""
    first = int.from_bytes(data[4:8], order)
    count = int.from_bytes(data[first : first + 2], order)
    old = [bytes(data[at : at + 12]) for at in range(first + 2, first + 2 + 12 * count, 12)]
    entries = [entry for entry in old if len(entry) == 12 and int.from_bytes(entry[:2], order) not in new]
    for tag, (kind, value) in new.items():
        entries.append(tag.to_bytes(2, order) + kind.to_bytes(2, order) + (1).to_bytes(4, order) + value)
    entries.sort(key=lambda entry: int.from_bytes(entry[:2], order))
    link = bytes(data[first + 2 + 12 * count : first + 6 + 12 * count]).ljust(4, b"\0")
    data[4:8] = len(data).to_bytes(4, order)
    return bytes(data + len(entries).to_bytes(2, order) + b"".join(entries) + link)


def without_orientation(exif: bytes | None) -> bytes | None:
    """Take the field out of the first directory; all values stay where they are."""
    if not exif or (order := _order(exif)) is None:
        return exif
    data = bytearray(exif)
    first = int.from_bytes(data[4:8], order)
    entry = _first_directory(data, order).get(_ORIENTATION)
    if entry is None:
        return exif
    count = int.from_bytes(data[first : first + 2], order)
    end = first + 6 + 12 * count
    data[entry.at : end] = data[entry.at + 12 : end] + bytes(12)
    data[first : first + 2] = (count - 1).to_bytes(2, order)
    return bytes(data)


def _first_directory(data: bytearray, order: Literal["little", "big"]) -> dict[int, _Entry]:
    return {entry.tag: entry for entry in _entries(data, int.from_bytes(data[4:8], order), order)}


def with_size(exif: bytes | None, width: int, height: int) -> bytes | None:
    """Write the size of the picture into the fields that EXIF has for it."""
    if not exif or (order := _order(exif)) is None:
        return exif
    data = bytearray(exif)
    first = int.from_bytes(data[4:8], order)
    # A damaged block may point to its directories again and again.
    below = (entry.value for entry in _entries(data, first, order) if entry.tag == _EXIF_IFD)
    for ifd in dict.fromkeys((first, next(below, first))):
        for entry in _entries(data, ifd, order):
            value = width if entry.tag in _WIDTH_TAGS else height if entry.tag in _HEIGHT_TAGS else None
            if value is None or entry.count != 1 or entry.kind not in (_SHORT, _LONG):
                continue
            size = 2 if entry.kind == _SHORT else 4
            if value < 256**size:
                data[entry.at + 8 : entry.at + 8 + size] = value.to_bytes(size, order)
    return bytes(data)


def turned(pixels: Pixels, orientation: int) -> Pixels:
    """Turn and mirror a picture to upright, as EXIF's orientations 1 to 8 mean it.

    Parameters
    ----------
    pixels : (H, W) or (H, W, C) array
    orientation : int
        1 to 8; 5 to 8 exchange width and height.

    Returns
    -------
    array
        C-contiguous; the input itself for orientation 1.
    """
    if orientation >= 5:
        pixels = pixels.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)
