"""Read the chain of pages of a TIFF, and the metadata in the tags of a page.

TIFF 6.0 (Adobe, 1992); BigTIFF; the tags that Adobe has registered.
"""

from __future__ import annotations

import struct
from typing import Any, BinaryIO

from convfilter.errors import ReadError
from convfilter.picture.metadata import ifd, mark
from convfilter.picture.metadata.density import valid_resolution
from convfilter.picture.metadata.metadata import Metadata, Text
from convfilter.picture.metadata.tiff_numbers import (
    CENTIMETRE,
    CM_PER_INCH,
    DESCRIPTION,
    ICC,
    INCH,
    IPTC,
    PHOTOSHOP,
    RESOLUTION_UNIT,
    SOFTWARE,
    X_RESOLUTION,
    XMP,
    Y_RESOLUTION,
)
from convfilter.picture.place.source import size_of
from convfilter.picture.tiff.fields import LAYOUT_DESCRIPTIONS
from convfilter.picture.tiff.layout import MOST_PAGES

_WHITE_POINT, _PRIMARIES = 318, 319
#: Tags whose values tifffile loads with every page.
_LOADED = frozenset((258, 270, 273, 277, 279, 305, 324, 325, 330, 338, 339, 347, 42113))
_MOST_TAGS = 4096
#: Most bytes of directories and loaded values together: a multiple of the file's size, plus some bytes. In a damaged
#: file they may overlap.
_MOST_OVERLAP, _SPARE_BYTES = 2, 1 << 22
#: Tags of texts, and the keyword of ``Text`` for each.
TEXT_TAGS = {DESCRIPTION: "Description", SOFTWARE: "Software", 315: "Author", 33432: "Copyright", 269: "Title"}


def page_offsets(file: BinaryIO) -> list[int]:
    """Follow the chain of pages, without reading their tags.

    Parameters
    ----------
    file : BinaryIO
        Seekable, at the beginning of a TIFF.

    Returns
    -------
    list of int
        Offset of each page's directory; a chain that returns to an earlier page ends there.

    Raises
    ------
    ReadError
        The chain is empty, leads out of the file, or has more than 65536 pages, or the directories overlap.
    """
    head = file.read(16)
    order = "<" if head[:2] == b"II" else ">"
    big = head[2:4] in (b"+\0", b"\0+")
    if len(head) < (16 if big else 8):
        raise ReadError("the TIFF is truncated in its header")
    layout = ifd.layout(big)
    (offset,) = struct.unpack_from(order + layout.offset, head, 8 if big else 4)
    offsets: dict[int, None] = {}
    room = size_of(file) * _MOST_OVERLAP + _SPARE_BYTES
    while offset and offset not in offsets:
        if len(offsets) == MOST_PAGES:
            raise ReadError(f"a TIFF may have at most {MOST_PAGES} pages, this one has more")
        try:
            entries, following = _directory(file, offset, order, layout)
        except (struct.error, OverflowError, ValueError) as error:
            raise ReadError("the TIFF is truncated or damaged: a page lies beyond the end of the file") from error
        # tifffile loads some values with a page: above all the offsets of strips and tiles.
        loaded = (each for each in ifd.entries(entries, order, big=big) if each.tag in _LOADED)
        room -= len(entries) + sum(each.items * ifd.item_bytes(each.kind) for each in loaded)
        if room < 0:
            raise ReadError("the TIFF is damaged: its directories overlap, and claim more data than the file has")
        offsets[offset] = None
        offset = following
    if not offsets:
        raise ReadError("the TIFF holds no page")
    return list(offsets)


def _directory(file: BinaryIO, offset: int, order: str, layout: ifd.Widths) -> tuple[bytes, int]:
    """Read the entries of a directory, and the offset of the next one."""
    file.seek(offset)
    (count,) = struct.unpack(order + layout.number, file.read(struct.calcsize("<" + layout.number)))
    if not 0 < count <= _MOST_TAGS:
        raise ReadError(f"the TIFF is damaged: a page has {count} tags, 1 to {_MOST_TAGS} are possible")
    entries = file.read(count * layout.entry_bytes)
    (following,) = struct.unpack(order + layout.offset, file.read(struct.calcsize("<" + layout.offset)))
    return entries, following


def metadata_of(page: Any, file: BinaryIO) -> Metadata:
    """Collect the metadata in the tags of a page.

    Parameters
    ----------
    page : tifffile.TiffPage
    file : BinaryIO
        The file of the page.

    Returns
    -------
    Metadata
    """
    tags = page.tags
    metadata = Metadata(
        icc=_bytes(tags, ICC),
        xmp=_bytes(tags, XMP),
        iptc=_bytes(tags, IPTC),
        photoshop=_bytes(tags, PHOTOSHOP),
        resolution=_resolution(tags),
        per_centimetre=tags.valueof(RESOLUTION_UNIT) == CENTIMETRE,
        exif=_exif(page, file),
    )
    white, primaries = tags.valueof(_WHITE_POINT), tags.valueof(_PRIMARIES)
    if white and primaries:
        metadata.png += _chromaticities((*white, *primaries))
    for code, keyword in TEXT_TAGS.items():
        value = tags.valueof(code)
        if isinstance(value, str) and value and not value.startswith(LAYOUT_DESCRIPTIONS):
            metadata.text.append(Text(keyword, value))
    return metadata


def truncated_tags(page: Any, file: BinaryIO) -> list[str]:
    """Return the names of a page's tags whose values lie beyond the end of the file, "EXIF" and "GPS" for those there.

    Parameters
    ----------
    page : tifffile.TiffPage
    file : BinaryIO
        The file that it lies in.
    """
    import tifffile

    order, big = page.parent.byteorder, page.parent.is_bigtiff
    names = [tifffile.TIFF.TAGS.get(tag, str(tag)) for tag in sorted(ifd.beyond_end(file, page.offset, order, big=big))]
    for tag, name in ((ifd.EXIF_IFD, "EXIF"), (ifd.GPS_IFD, "GPS")):
        fields = ifd.parsed(ifd.read_at(file), page.offset, order, big=big, wanted=(tag,))
        if tag in fields and ifd.beyond_end(file, ifd.number(fields[tag], order), order, big=big):
            names.append(name)
    return names


def _chromaticities(rationals: tuple[int, ...]) -> list[tuple[bytes, bytes]]:
    """Return white point and primaries, eight fractions of two integers each, as the cHRM chunk of a PNG."""
    numbers = zip(rationals[::2], rationals[1::2], strict=False)
    values = [round(100_000 * number / (unit or 1)) for number, unit in numbers]
    usable = len(values) == 8 and all(0 <= value <= 100_000 for value in values)
    return [(b"cHRM", struct.pack(">8I", *values))] if usable else []


def _exif(page: Any, file: BinaryIO) -> bytes | None:
    """Collect the fields that describe the picture, and the directories of EXIF and GPS, into an EXIF block."""
    order = page.parent.byteorder
    found = ifd.directories(ifd.read_at(file), page.offset, order, big=page.parent.is_bigtiff)
    description = found.first.get(DESCRIPTION)
    if description and description.data.decode("latin-1").startswith(LAYOUT_DESCRIPTIONS):
        del found.first[DESCRIPTION]
    software = found.first.get(SOFTWARE)
    if software and mark.is_mark(Text("Software", software.data.rstrip(b"\0").decode("latin-1"))):
        del found.first[SOFTWARE]
    return ifd.exif_block(found, order)


def _bytes(tags: Any, code: int) -> bytes | None:
    """Return the bytes of a tag's value, or None."""
    tag = tags.get(code)
    if tag is None:
        return None
    value = tag.value
    if isinstance(value, bytes):
        return value or None
    try:
        # IPTC is often declared as LONG, which tifffile converts: take the bytes from the file.
        fh = tag.parent.filehandle
        fh.seek(tag.valueoffset)
        return bytes(fh.read(tag.valuebytecount)) or None
    except (OSError, ValueError):
        return None


def _resolution(tags: Any) -> tuple[float, float] | None:
    """Return dots per inch, (x, y); None without a unit of length, or for numbers that cannot be a resolution."""
    unit = tags.valueof(RESOLUTION_UNIT, default=INCH)
    values = []
    for code in (X_RESOLUTION, Y_RESOLUTION):
        try:
            numerator, denominator = tags.valueof(code)
            values.append(numerator / denominator * (CM_PER_INCH if unit == CENTIMETRE else 1.0))
        except (TypeError, ValueError, ZeroDivisionError):
            return None
    return valid_resolution(values) if unit in (INCH, CENTIMETRE) else None
