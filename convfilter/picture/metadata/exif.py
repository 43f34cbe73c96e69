"""Change EXIF blocks in place: reset the orientation, drop the thumbnail, leave everything else at its old offset.

Maker notes contain absolute offsets into the block, which parsing and writing the block again would break; so only the
affected bytes are patched. Structure: TIFF 6.0 (Adobe, 1992), section 2, and CIPA DC-008 (Exif 2.32), section 4.6.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from convfilter.picture.metadata import ifd
from convfilter.picture.metadata.density import valid_resolution
from convfilter.picture.metadata.tiff_numbers import (
    CENTIMETRE,
    CM_PER_INCH,
    COMPRESSION,
    INCH,
    LONG,
    RATIONAL,
    RESOLUTION_UNIT,
    SHORT,
    X_RESOLUTION,
    Y_RESOLUTION,
)

_THUMBNAIL_OFFSET, _THUMBNAIL_LENGTH = 0x0201, 0x0202
_WIDTH_TAGS, _HEIGHT_TAGS = (0x0100, 0xA002), (0x0101, 0xA003)
#: A block with an empty first directory.
_EMPTY = b"II*\0\x08\0\0\0" + bytes(6)


class Block:
    """An EXIF block that is read or patched: its bytes, byte order ("<" or ">"), and offset of its first directory."""

    def __init__(self, exif: bytes, order: str, first: int) -> None:
        self.data, self.order, self.first = bytearray(exif), order, first

    def number(self, at: int, size: int = 4) -> int:
        """Read an unsigned integer of ``size`` bytes, fewer at the end of the block."""
        return int.from_bytes(self.data[at : at + size], ifd.byte_order(self.order))

    def packed(self, value: int, size: int = 4) -> bytes:
        """Encode an unsigned integer."""
        return value.to_bytes(size, ifd.byte_order(self.order))

    def put(self, at: int, value: int, size: int = 4) -> None:
        """Replace an unsigned integer."""
        self.data[at : at + size] = self.packed(value, size)

    @property
    def link(self) -> int:
        """Position, at the end of the first directory, of the offset of the next directory."""
        return self.first + 2 + 12 * self.number(self.first, 2)

    def entries(self, at: int) -> Iterator[ifd.Entry]:
        """Yield the entries of the directory at an offset that lie within the block."""
        count = self.number(at, 2) if 8 <= at <= len(self.data) - 2 else 0
        return ifd.entries(self.data[at + 2 : at + 2 + 12 * count], self.order, at=at + 2)

    def fields(self) -> dict[int, ifd.Entry]:
        """Return the entries of the first directory by their tags."""
        return {entry.tag: entry for entry in self.entries(self.first)}

    def remove(self, directory: int, entry: ifd.Entry) -> None:
        """Remove an entry of the directory at an offset; all values remain at their offsets."""
        count = self.number(directory, 2)
        end = directory + 2 + 12 * count + 4
        self.put(directory, count - 1, 2)
        self.data[entry.at : end] = self.data[entry.at + 12 : end] + bytes(12)

    def directories(self) -> tuple[int, ...]:
        """Return the offsets of the first directory and of EXIF's own below it."""
        below = (self.value(entry) for entry in self.entries(self.first) if entry.tag == ifd.EXIF_IFD)
        # Each is visited once: the EXIF directory of a damaged block may be its first directory.
        return tuple(dict.fromkeys((self.first, next(below, self.first))))

    def value(self, entry: ifd.Entry) -> int:
        """Return the first item of a value of up to 4 bytes (SHORT, LONG), or the offset of a longer value."""
        return self.number(entry.at + 8, 2 if entry.kind == SHORT else 4)


def block_of(exif: bytes | None) -> Block | None:
    """Return an EXIF block; None if it does not begin with the header of a TIFF structure."""
    header = ifd.start(exif or b"")
    return Block(exif, *header) if exif and header else None


def orientation(exif: bytes | None, xmp: bytes | None = None) -> int:
    """Read the orientation from EXIF or, where EXIF has none, from XMP.

    Parameters
    ----------
    exif : bytes, or None
        TIFF structure, without the ``Exif`` prefix.
    xmp : bytes, or None
        XMP packet.

    Returns
    -------
    int
        1 (upright) to 8; 1 if neither has an orientation.
    """
    if block := block_of(exif):
        for entry in block.entries(block.first):
            if entry.tag == ifd.ORIENTATION and entry.kind == SHORT and entry.items == 1:
                value = block.value(entry)
                return value if 1 <= value <= 8 else 1
    if not xmp:
        return 1
    from convfilter.picture.metadata import xmp_clean

    return xmp_clean.orientation_of(xmp)


def cleaned(exif: bytes | None, *, upright: bool) -> bytes | None:
    """Drop the thumbnail and, if ``upright``, reset the orientation.

    Parameters
    ----------
    exif : bytes, or None
        TIFF structure, without the ``Exif`` prefix.
    upright : bool
        Whether to set the orientation to 1.

    Returns
    -------
    bytes, or None
        None if the block is not a TIFF structure.
    """
    block = block_of(exif)
    if block is None or not 8 <= block.first <= len(block.data) - 2:
        return None
    if upright:
        for entry in block.entries(block.first):
            if entry.tag == ifd.ORIENTATION and entry.kind == SHORT:
                block.put(entry.at + 8, 1, 2)
    link = block.link
    if link + 4 <= len(block.data):
        _drop_thumbnail(block, block.number(link))
        block.data[link : link + 4] = bytes(4)
    return bytes(block.data)


def has_thumbnail(exif: bytes | None) -> bool:
    """Whether the block has a second directory, which is that of the thumbnail."""
    block = block_of(exif)
    return block is not None and any(block.entries(block.number(block.link)))


def with_thumbnail(exif: bytes | None, jpeg: bytes) -> bytes:
    """Append a thumbnail to a block.

    Parameters
    ----------
    exif : bytes, or None
        TIFF structure without a thumbnail; None: make a new block.
    jpeg : bytes
        The thumbnail, a JPEG file.

    Returns
    -------
    bytes
        The block without the thumbnail if its first directory is truncated.
    """
    block = block_of(exif) or Block(_EMPTY, "<", 8)
    data, link = block.data, block.link
    data += bytes(len(data) & 1)
    if link + 4 > len(data):
        return bytes(data)
    block.put(link, len(data))
    # The fields say that it is a JPEG (compression 6), and its place: after the directory of 2 + 3 * 12 + 4 bytes.
    begin = len(data) + 42
    fields = ((COMPRESSION, SHORT, 6), (_THUMBNAIL_OFFSET, LONG, begin), (_THUMBNAIL_LENGTH, LONG, len(jpeg)))
    data += block.packed(len(fields), 2)
    for tag, kind, value in fields:
        data += block.packed(tag, 2) + block.packed(kind, 2) + block.packed(1)
        data += block.packed(value, 2 if kind == SHORT else 4).ljust(4, b"\0")
    return bytes(data + bytes(4) + jpeg)


def _drop_thumbnail(block: Block, directory: int) -> None:
    """Truncate the block before the thumbnail, which nearly always ends it; else overwrite the thumbnail with zeros."""
    data = block.data
    fields = {entry.tag: block.value(entry) for entry in block.entries(directory)}
    begin, length = fields.get(_THUMBNAIL_OFFSET, 0), fields.get(_THUMBNAIL_LENGTH, 0)
    end = min(begin + length, len(data))
    if not directory < begin < end:
        return
    if end >= len(data) - 3:
        del data[begin:]
    else:
        data[begin:end] = bytes(end - begin)


def is_complete(exif: bytes) -> bool:
    """Whether the first directory, and the RATIONAL values to which it points, lie within the block."""
    block = block_of(exif)
    if block is None:
        return False
    rationals = [entry for entry in block.entries(block.first) if entry.kind == RATIONAL]
    return block.link <= len(exif) and all(block.value(each) + 8 * each.items <= len(exif) for each in rationals)


def resolution(exif: bytes | None) -> tuple[float, float] | None:
    """Read the resolution of the picture.

    Parameters
    ----------
    exif : bytes, or None
        TIFF structure, without the ``Exif`` prefix.

    Returns
    -------
    (float, float), or None
        Dots per inch, (x, y); None if the block has no valid resolution with a unit of length.
    """
    block = block_of(exif)
    if block is None:
        return None
    fields = block.fields()
    values = []
    for tag in (X_RESOLUTION, Y_RESOLUTION):
        entry = fields.get(tag)
        if entry is None or entry.kind != RATIONAL or block.value(entry) + 8 > len(block.data):
            return None
        numerator, denominator = (block.number(block.value(entry) + at) for at in (0, 4))
        values.append(numerator / denominator if denominator else 0.0)
    unit = block.value(fields[RESOLUTION_UNIT]) if RESOLUTION_UNIT in fields else INCH
    scale = CM_PER_INCH if unit == CENTIMETRE else 1.0
    return valid_resolution([value * scale for value in values]) if unit in (INCH, CENTIMETRE) else None


def with_resolution(exif: bytes | None, dots_per_inch: tuple[float, float]) -> bytes:
    """Write the resolution: in place if the block has a resolution, else in a new first directory at its end.

    Parameters
    ----------
    exif : bytes, or None
        TIFF structure; None: make a new block.
    dots_per_inch : (float, float)
        (x, y), above 0; stored with two decimals.

    Returns
    -------
    bytes
    """
    block = block_of(exif) or Block(_EMPTY, "<", 8)
    data, fields = block.data, block.fields()
    rationals = {
        tag: b"".join(map(block.packed, _rational(dots)))
        for tag, dots in zip((X_RESOLUTION, Y_RESOLUTION), dots_per_inch, strict=True)
    }
    unit = block.packed(INCH, 2)
    known = [fields.get(tag) for tag in rationals]
    if RESOLUTION_UNIT in fields and all(
        entry and entry.kind == RATIONAL and 8 <= block.value(entry) <= len(data) - 8 for entry in known
    ):
        for tag, value in rationals.items():
            at = block.value(fields[tag])
            data[at : at + 8] = value
        at = fields[RESOLUTION_UNIT].at
        data[at + 8 : at + 10] = unit
        return bytes(data)
    new = {RESOLUTION_UNIT: (SHORT, unit + bytes(2))}
    data += bytes(len(data) & 1)
    for tag, value in rationals.items():
        new[tag] = (RATIONAL, block.packed(len(data)))
        data += value
    return _with_fields(block, new)


def _rational(value: float) -> tuple[int, int]:
    """Return a positive number as a fraction: in hundredths or, if that is closer for a small number, as 1/n."""
    hundredths = min(round(value * 100), 2**32 - 1)
    if hundredths < 10 and abs(1 / round(1 / value) - value) < abs(hundredths / 100 - value):
        return 1, min(round(1 / value), 2**32 - 1)
    return (hundredths // 100, 1) if hundredths % 100 == 0 else (hundredths, 100)


def _with_fields(block: Block, new: Mapping[int, tuple[int, bytes]]) -> bytes:
    """Append a new first directory to the block: the entries of the old one, and new fields of one item each."""
    data = block.data
    entries = [(each.tag, bytes(data[each.at : each.at + 12])) for each in block.entries(block.first)]
    entries = [entry for entry in entries if entry[0] not in new]
    for tag, (kind, value) in new.items():
        entries.append((tag, block.packed(tag, 2) + block.packed(kind, 2) + block.packed(1) + value))
    entries.sort(key=lambda entry: entry[0])
    link = bytes(data[block.link : block.link + 4]).ljust(4, b"\0")
    block.put(4, len(data))
    return bytes(data + block.packed(len(entries), 2) + b"".join(entry for _, entry in entries) + link)


def without_orientation(exif: bytes | None) -> bytes | None:
    """Remove the orientation from the first directory; all values remain at their offsets.

    Parameters
    ----------
    exif : bytes, or None
        TIFF structure, without the ``Exif`` prefix.

    Returns
    -------
    bytes, or None
        The input itself if it has no orientation.
    """
    block = block_of(exif)
    entry = block.fields().get(ifd.ORIENTATION) if block else None
    if block is None or entry is None:
        return exif
    block.remove(block.first, entry)
    return bytes(block.data)


def with_size(exif: bytes | None, width: int, height: int) -> bytes | None:
    """Write the size of the picture into the fields of the block that give a size.

    Parameters
    ----------
    exif : bytes, or None
        TIFF structure, without the ``Exif`` prefix.
    width, height : int
        In pixels.

    Returns
    -------
    bytes, or None
        The input itself if it is not a TIFF structure.
    """
    block = block_of(exif)
    if block is None:
        return exif
    for directory in block.directories():
        for entry in block.entries(directory):
            value = width if entry.tag in _WIDTH_TAGS else height if entry.tag in _HEIGHT_TAGS else None
            if value is None or entry.items != 1 or entry.kind not in (SHORT, LONG):
                continue
            size = 2 if entry.kind == SHORT else 4
            if value < 256**size:
                block.put(entry.at + 8, value, size)
    return bytes(block.data)
