"""The fields of a TIFF page that a result copies: position, names, stack layout, tags of other programs.

GeoTIFF 1.1 (OGC 19-008r4), annex G; GDAL's tags 42112 and 42113; ImageJ's tags 50838 and 50839.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

from convfilter.picture.metadata import ifd, photoshop, xmp_clean
from convfilter.picture.metadata.ifd import Field
from convfilter.picture.metadata.tiff_numbers import (
    DESCRIPTION,
    GEO_KEYS,
    ICC,
    IMAGEJ_DATA,
    INCH,
    IPTC,
    NO_UNIT,
    PHOTOSHOP,
    POSITION,
    RESOLUTION_UNIT,
    X_RESOLUTION,
    XMP,
    Y_RESOLUTION,
)
from convfilter.picture.tiff import stacks
from convfilter.record import NamedTuple

if TYPE_CHECKING:
    from convfilter.picture.axis import Axis

_IMAGEJ_COUNTS = 50838
_NODATA = 42113
_PAGE_NUMBER, _GDAL = 297, 42112
#: GDAL's statistics of a band's samples, which are false for a result.
_STATISTICS = re.compile(rb"<Item name=\"STATISTICS_\w+\"[^<>]*>[^<]*</Item>\s*")
#: The field of ``Holds`` for each single tag that is copied.
_KINDS = {
    **dict.fromkeys((*POSITION, GEO_KEYS, 34736, 34737), "geo"),
    **{_NODATA: "nodata", _GDAL: "gdal", _IMAGEJ_COUNTS: "layout", IMAGEJ_DATA: "layout"},
    **dict.fromkeys((332, 333, 334, 336, 337), "inks"),
    **dict.fromkeys((285, 286, 287, _PAGE_NUMBER), "page_names"),
}
#: Metadata: descriptions, resolution, XMP, IPTC, Photoshop, colours. ``Metadata`` holds those of the first page.
_METADATA = frozenset(
    (*ifd.DESCRIPTIVE, 269, 318, 319, XMP, IPTC, PHOTOSHOP, ICC, X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT)
)
_DIRECTORIES = (ifd.EXIF_IFD, ifd.GPS_IFD, ifd.INTEROPERABILITY_IFD)
#: Tags for the storage of the samples, and the tags that ``layout.py`` reads: subfiles, layers.
_STORAGE = frozenset(
    (
        *(*range(254, 260), *range(262, 267), 273, 274, *range(277, 282), 284, *range(288, 294), 317, *range(320, 332)),
        *(335, *range(338, 348)),
        *(*range(512, 522), *range(529, 533), 559, *range(32995, 32999), 37724, 50674),
    )
)
_FIRST_PRIVATE = 32768
_GREY_AND_ALPHA = 2
#: Types that cannot hold offsets into the file: ASCII, SHORT, RATIONAL, SSHORT, SRATIONAL, FLOAT, DOUBLE.
_PLAIN_TYPES = (2, 3, 5, 8, 10, 11, 12)
#: Beginnings of descriptions that programs write about a stack, and about the layout of samples.
STACK_DESCRIPTIONS = ("ImageJ=", "<?xml", "<OME")
LAYOUT_DESCRIPTIONS = ('{"shape":', *STACK_DESCRIPTIONS)
_ORDER: Literal["<"] = "<"


class FitsHeader(NamedTuple):
    """The header of a FITS image, and the position of the picture's pixels on the grid that it describes.

    Attributes
    ----------
    cards : tuple of str
        Lines of the header.
    rows, cols : (float, float)
        Position of the centre of the first pixel, and distance of neighbouring pixels, in pixels of that grid.
    axes : tuple of int
        Sizes of the axes before rows and columns, in the order of an array; at most one is above 1.
    plane : int
        Number of the first plane that was read.
    """

    cards: tuple[str, ...]
    rows: tuple[float, float]
    cols: tuple[float, float]
    axes: tuple[int, ...] = ()
    plane: int = 0

    def moved(self, rows: Axis, cols: Axis) -> FitsHeader:
        """Return the header for a result whose pixels lie on the given axes."""
        new = [
            (start + jump * axis.start, jump * axis.jump)
            for (start, jump), axis in ((self.rows, rows), (self.cols, cols))
        ]
        return self._replace(rows=new[0], cols=new[1])


class PageFields(NamedTuple):
    """Fields of a page in little-endian order, and the picture that they describe.

    Attributes
    ----------
    fields : tuple of Field
    shape : tuple of int
        Shape of the page's samples: (H, W) or (H, W, C).
    dtype : str
        Name of the sample type in the file.
    pages : int
        Number of pages of the file.
    placed : (int, int), or None
        Height and width of the picture for which the position is true; None if a rotation has made it false.
    header : FitsHeader, or None
        Header of a FITS, which has no fields.
    """

    fields: tuple[Field, ...]
    shape: tuple[int, ...]
    dtype: str
    pages: int
    placed: tuple[int, int] | None
    header: FitsHeader | None = None

    @property
    def kinds(self) -> set[str]:
        """The names of the fields of ``Holds`` that a format needs to store the page's fields."""
        has_relative = is_relative(self.fields)
        counted = (field for field in self.fields if field.tag != _PAGE_NUMBER or self.pages > 1)
        return {_kind(field, has_relative) for field in counted} | ({"header"} if self.header else set())


def _kind(field: Field, has_relative: bool) -> str:
    """Return the name of the field of ``Holds`` for a field of a page; ``has_relative`` is ``is_relative``'s result."""
    if field.tag in _KINDS:
        return _KINDS[field.tag]
    if is_layout(field) or (has_relative and field.tag in (X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT)):
        return "layout"
    return "page_texts" if field.tag in _METADATA else "private"


def is_layout(field: Field) -> bool:
    """Whether a description is a program's note on the layout of samples, not a text for people."""
    return field.tag == DESCRIPTION and field.data.decode("latin-1").startswith(LAYOUT_DESCRIPTIONS)


def _number(fields: Iterable[Field], tag: int) -> int:
    return next((ifd.number(field, _ORDER) for field in fields if field.tag == tag), 0)


def is_relative(fields: Iterable[Field]) -> bool:
    """Whether the resolution has no unit of its own, but one that other fields name; 1 by 1 means no resolution."""
    scale = scale_of(fields)
    return scale is not None and scale[1] == NO_UNIT and scale[0] != (1.0, 1.0)


def of_page(page: Any, file: BinaryIO, number: int, pages: int, shape: tuple[int, ...]) -> tuple[PageFields, list[str]]:
    """Return the fields of a page that a result may copy.

    Parameters
    ----------
    page : tifffile.TiffPage
    file : BinaryIO
        The file of the page.
    number : int
        Number of the page, from 0; the first page's metadata are in ``Metadata``, not among these fields.
    pages : int
        Number of pages of the file.
    shape : tuple of int
        Shape of the page's samples.

    Returns
    -------
    PageFields
    list of str
        Names of tags that are left out.
    """
    order = page.parent.byteorder
    by_tag = ifd.parsed(ifd.read_at(file), page.offset, order, big=page.parent.is_bigtiff)
    by_tag = ifd.reordered(by_tag, order, _ORDER) | _imagej(page, order)
    cleaned = {tag: _cleaned(field, page) for tag, field in by_tag.items()}
    by_tag = {tag: field for tag, field in cleaned.items() if field.data}
    has_relative = is_relative(by_tag.values())
    kept = [field for tag, field in sorted(by_tag.items()) if _is_kept(field, number, has_relative)]
    known = {field.tag for field in kept} | (_METADATA if number == 0 else set()) | _STORAGE | {_GDAL}
    known |= set(_DIRECTORIES) if number == 0 else set()
    left = [tag.name for tag in page.tags if tag.code not in known and not _is_cut_description(by_tag.get(tag.code))]
    return PageFields(tuple(kept), shape, page.dtype.name, pages, (shape[0], shape[1])), left


def _cleaned(field: Field, page: Any) -> Field:
    """Remove thumbnails and statistics of samples from a field, and a nodata value if samples are scaled to 8 bits."""
    if field.tag == _GDAL:
        left = _STATISTICS.sub(b"", field.data)
        return field._replace(data=left if b"<Item" in left or b"<Item" not in field.data else b"")
    if field.tag == PHOTOSHOP:
        return field._replace(data=photoshop.cleaned(field.data) or b"")
    if field.tag == XMP:
        return field._replace(data=xmp_clean.cleaned(field.data)[0])
    return field._replace(data=b"") if field.tag == _NODATA and page.bitspersample < 8 else field


def _imagej(page: Any, order: str) -> dict[int, Field]:
    """Convert ImageJ's block, whose numbers all have the byte order of the file, to little-endian."""
    if order == _ORDER or IMAGEJ_DATA not in page.tags:
        return {}
    import tifffile

    metadata = page.parent.imagej_metadata or {}
    names = {"Info", "Labels", "Ranges", "LUTs", "Plot", "ROI", "Overlays"}
    tags = tifffile.imagej_metadata_tag({key: value for key, value in metadata.items() if key in names}, _ORDER)
    fields = {}
    for tag, kind, count, value, _ in tags:
        data = value if isinstance(value, bytes) else struct.pack(f"{_ORDER}{count}I", *value)
        fields[int(tag)] = Field(int(tag), int(kind), data)
    return fields


def _is_kept(field: Field, number: int, has_relative: bool) -> bool:
    """Whether a field of page ``number`` is copied to the page of a result."""
    tag = field.tag
    if tag in _STORAGE or tag in _DIRECTORIES or _is_cut_description(field):
        return False
    if tag in _METADATA:
        is_scaling = has_relative and tag in (X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT)
        return number > 0 or is_layout(field) or is_scaling
    return tag in _KINDS or (tag >= _FIRST_PRIVATE and field.kind in _PLAIN_TYPES)


def _is_cut_description(field: Field | None) -> bool:
    """Whether a field is tifffile's note on a stack with one directory; a result has a directory for each page."""
    return field is not None and field.tag == DESCRIPTION and field.data.startswith(b'{"shape":')


def fitting(page: PageFields, shape: tuple[int, ...], dtype: str, pages: int) -> tuple[list[Field], Mapping[str, str]]:
    """Return the fields of a page that was read that are true for a page that is written.

    Parameters
    ----------
    page : PageFields
    shape : tuple of int
        Shape of the written samples, (H, W) or (H, W, C).
    dtype : str
        Name of the written sample type.
    pages : int
        Number of written pages.

    Returns
    -------
    list of Field
    mapping of str to str
        Reason for each kind of field that is left out; a kind is the name of a field of ``Holds``.
    """
    has_relative = is_relative(page.fields)
    same_size = shape[:2] == page.shape[:2]
    same_layout = (shape, dtype, pages) == (page.shape, page.dtype, page.pages)
    same_channels = (shape[2:], dtype) == (page.shape[2:], page.dtype)
    is_stack = same_channels and pages == page.pages
    same_stack = is_stack and page.placed is not None and stacks.describes(page.fields, (shape[0], shape[1]))
    kept, lost = [], {}
    is_grey = len(shape) == 2 or shape[2] <= _GREY_AND_ALPHA
    for each in page.fields:
        field, kind = _of_grey(each) if is_grey else each, _kind(each, has_relative)
        if kind == "layout" and each.tag in (X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT):
            kept.append(each)
        elif kind == "layout" and not (same_layout or same_stack):
            lost[kind] = "the size, the type or the number of its pages has changed"
        elif field is None:
            lost[kind] = "colours have become grey"
        elif kind == "inks" and not same_channels:
            lost[kind] = "the number or the type of its channels has changed"
        elif kind == "private" and not same_size:
            lost[kind] = "the size has changed"
        elif field.tag in POSITION and page.placed != shape[:2]:
            lost[kind] = "the picture has been rotated" if page.placed is None else "the size has changed"
        else:
            kept.append(field)
    return kept, lost


def nodata_of(page: PageFields) -> float | None:
    """Return the value that marks missing samples, which GDAL writes as text; None if it is not a number."""
    for field in page.fields:
        if field.tag == _NODATA:
            with suppress(ValueError):
                return float(field.data.rstrip(b"\0").decode("ascii", "replace"))
    return None


def profile_of(page: PageFields) -> tuple[Field, ...]:
    """Return the field of a page's colour profile; empty without a profile."""
    return tuple(field for field in page.fields if field.tag == ICC)


def _of_grey(field: Field) -> Field | None:
    """Convert a field for a page that has become grey: an RGB profile becomes a grey profile or, if it cannot, None."""
    from convfilter.picture.metadata import icc, transfer

    if field.tag != ICC or icc.model_of(field.data) != "rgb":
        return field
    made = transfer.luminance_profile(field.data)
    return field._replace(data=made) if made else None


def scale_of(fields: Iterable[Field]) -> tuple[tuple[float, float], int] | None:
    """Return the resolution, (x, y) in dots per unit, and the number of the unit; None without a resolution."""
    values: dict[int, float] = {}
    fields = tuple(fields)
    for field in fields:
        if field.tag in (X_RESOLUTION, Y_RESOLUTION) and len(field.data) >= 8:
            number, divisor = struct.unpack(f"{_ORDER}2I", field.data[:8])
            values[field.tag] = number / divisor if divisor else 0.0
    unit = _number(fields, RESOLUTION_UNIT) or INCH
    return ((values[X_RESOLUTION], values[Y_RESOLUTION]), unit) if len(values) == 2 else None
