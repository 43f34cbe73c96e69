"""Fields of a TIFF page that are copied: position, names, layout of stacks, and those of other programs.

GeoTIFF 1.1 (OGC 19-008r4), annex G; GDAL's tags 42112 and 42113; RPC in TIFF (50844); ImageJ's tags 50838 and 50839.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Mapping
from typing import Any, BinaryIO, Literal, NamedTuple

from convfilter.picture.metadata import ifd, photoshop, xmp_clean
from convfilter.picture.metadata.ifd import Field
from convfilter.picture.tiff import stacks

_DESCRIPTION, _X_RESOLUTION, _Y_RESOLUTION, _RESOLUTION_UNIT, _ICC = 270, 282, 283, 296, 34675
_PIXEL_SCALE, _INTERGRAPH, _TIE_POINTS, _TRANSFORMATION, _KEYS, _RPC = 33550, 33920, 33922, 34264, 34735, 50844
#: Fields of position; the other fields of GeoTIFF define the coordinate system.
_PLACES = (_PIXEL_SCALE, _INTERGRAPH, _TIE_POINTS, _TRANSFORMATION, _RPC)
_IMAGEJ_COUNTS, _IMAGEJ_DATA = 50838, 50839
_XMP, _IPTC, _PHOTOSHOP, _NODATA = 700, 33723, 34377, 42113
_PAGE_NUMBER, _GDAL = 297, 42112
#: GDAL's statistics of a band, which are false for a filtered one.
_STATISTICS = re.compile(rb"<Item name=\"STATISTICS_\w+\"[^<>]*>[^<]*</Item>\s*")
#: The field of ``Holds`` for each single tag that is copied.
_KINDS = {
    **dict.fromkeys((*_PLACES, _KEYS, 34736, 34737), "geo"),
    **{_NODATA: "nodata", _GDAL: "gdal", _IMAGEJ_COUNTS: "layout", _IMAGEJ_DATA: "layout"},
    **dict.fromkeys((285, 286, 287, _PAGE_NUMBER), "page_names"),
}
#: XMP, IPTC, Photoshop, colours: ``Metadata`` holds those of the first page, and descriptions and resolution.
_OWN = frozenset(
    (*ifd.DESCRIPTIVE, 269, 318, 319, _XMP, _IPTC, _PHOTOSHOP, _ICC, _X_RESOLUTION, _Y_RESOLUTION, _RESOLUTION_UNIT)
)
_DIRECTORIES = (ifd.EXIF_IFD, ifd.GPS_IFD, ifd.INTEROPERABILITY_IFD)
#: Storage of the samples, and the tags that ``layout`` reads: subfiles, layers.
_STRUCTURE = frozenset(
    (
        *(*range(254, 260), *range(262, 267), 273, 274, *range(277, 282), 284, *range(288, 294), 317, *range(320, 348)),
        *(*range(512, 522), *range(529, 533), 559, *range(32995, 32999), 37724, 50674),
    )
)
_FIRST_PRIVATE = 32768
_GREY_AND_ALPHA = 2
#: Types that cannot hold offsets into the file: ASCII, SHORT, RATIONAL, SSHORT, SRATIONAL, FLOAT, DOUBLE.
_PLAIN_TYPES = (2, 3, 5, 8, 10, 11, 12)
_NO_UNIT = 1
_POINT_KEY, _PIXEL_IS_POINT = 1025, 2
#: Descriptions of the layout of samples.
LAYOUT_DESCRIPTIONS = ('{"shape":', "ImageJ=", "<?xml", "<OME")
_ORDER: Literal["<"] = "<"


class FitsHeader(NamedTuple):
    """The header of a FITS image, and the position of the picture's pixels on the grid that it describes.

    Attributes
    ----------
    cards : tuple of str
    rows, cols : (float, float)
        Place of the centre of the first pixel, and distance of neighbours.
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
        """Return the header of a result."""
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
        Shape of the samples: (H, W) or (H, W, C).
    dtype : str
        As in the file.
    pages : int
        Number of pages of the file.
    placed : (int, int), or None
        Height and width for which the position holds; None: for none, since the picture has been rotated.
    header : FitsHeader, or None
        That of a FITS, which has no fields.
    """

    fields: tuple[Field, ...]
    shape: tuple[int, ...]
    dtype: str
    pages: int
    placed: tuple[int, int] | None
    header: FitsHeader | None = None

    @property
    def kinds(self) -> set[str]:
        """The fields of ``Holds`` that a format needs."""
        is_scale = _is_scale(self.fields)
        said = (field for field in self.fields if field.tag != _PAGE_NUMBER or self.pages > 1)
        return {_kind(field, is_scale) for field in said} | ({"header"} if self.header else set())


class Axis(NamedTuple):
    """The grid of a result's pixels on that of the picture, along one axis.

    ``start`` is the place of the centre of the first one, ``jump`` the distance of neighbours, both in pixels of the
    picture, of which the first has its centre at 0.
    """

    start: float
    jump: float
    size: int


def _kind(field: Field, is_scale: bool) -> str:
    if field.tag in _KINDS:
        return _KINDS[field.tag]
    if is_layout(field) or (is_scale and field.tag in (_X_RESOLUTION, _Y_RESOLUTION, _RESOLUTION_UNIT)):
        return "layout"
    return "page_texts" if field.tag in _OWN else "private"


def is_layout(field: Field) -> bool:
    """Whether a description is a program's note on the layout of samples, not a text for people."""
    return field.tag == _DESCRIPTION and field.data.decode("latin-1").startswith(LAYOUT_DESCRIPTIONS)


def _number(fields: Iterable[Field], tag: int) -> int:
    return next((ifd.number(field, _ORDER) for field in fields if field.tag == tag), 0)


def _is_scale(fields: Iterable[Field]) -> bool:
    """Whether the resolution is in a unit that only other fields name; 1 by 1 means none."""
    scale = scale_of(fields)
    return scale is not None and scale[1] == _NO_UNIT and scale[0] != (1.0, 1.0)


def of_page(page: Any, file: BinaryIO, number: int, pages: int, shape: tuple[int, ...]) -> tuple[PageFields, list[str]]:
    """Return the fields that a result may copy.

    Parameters
    ----------
    page : tifffile.TiffPage
    file : BinaryIO
        The file that it lies in.
    number : int
        Number of the page, from 0; fields of the first page that ``Metadata`` holds are left out.
    pages : int
        How many there are.
    shape : tuple of int
        Shape of the page's samples.

    Returns
    -------
    PageFields
    list of str
        Names of fields that are left out.
    """
    order = page.parent.byteorder
    by_tag = ifd.parsed(ifd.read_at(file), page.offset, order, big=page.parent.is_bigtiff)
    by_tag = ifd.reordered(by_tag, order, _ORDER) | _imagej(page, order)
    by_tag = {tag: field for tag, field in ((tag, _true(field, page)) for tag, field in by_tag.items()) if field.data}
    is_scale = _is_scale(by_tag.values())
    kept = [field for tag, field in sorted(by_tag.items()) if _is_kept(field, number, is_scale)]
    taken = {field.tag for field in kept} | (_OWN if number == 0 else set()) | _STRUCTURE | {_GDAL}
    taken |= set(_DIRECTORIES) if number == 0 else set()
    left = [tag.name for tag in page.tags if tag.code not in taken and not _is_cut_description(by_tag.get(tag.code))]
    return PageFields(tuple(kept), shape, page.dtype.name, pages, (shape[0], shape[1])), left


def _true(field: Field, page: Any) -> Field:
    """Drop thumbnails, statistics of the samples, and a nodata value in another unit than the samples."""
    if field.tag == _GDAL:
        left = _STATISTICS.sub(b"", field.data)
        return field._replace(data=left if b"<Item" in left or b"<Item" not in field.data else b"")
    if field.tag == _PHOTOSHOP:
        return field._replace(data=photoshop.cleaned(field.data) or b"")
    if field.tag == _XMP:
        return field._replace(data=xmp_clean.cleaned(field.data)[0])
    return field._replace(data=b"") if field.tag == _NODATA and page.bitspersample < 8 else field


def _imagej(page: Any, order: str) -> dict[int, Field]:
    """Convert ImageJ's block, which has the file's byte order throughout, to little-endian."""
    if order == _ORDER or _IMAGEJ_DATA not in page.tags:
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


def _is_kept(field: Field, number: int, is_scale: bool) -> bool:
    tag = field.tag
    if tag in _STRUCTURE or tag in _DIRECTORIES or _is_cut_description(field):
        return False
    if tag in _OWN:
        is_scaling = is_scale and tag in (_X_RESOLUTION, _Y_RESOLUTION, _RESOLUTION_UNIT)
        return number > 0 or is_layout(field) or is_scaling
    return tag in _KINDS or (tag >= _FIRST_PRIVATE and field.kind in _PLAIN_TYPES)


def _is_cut_description(field: Field | None) -> bool:
    """Whether this is tifffile's note on a stack with one directory; a result has a directory for each picture."""
    return field is not None and field.tag == _DESCRIPTION and field.data.startswith(b'{"shape":')


def moved(page: PageFields, rows: Axis, cols: Axis) -> PageFields:
    """Return the fields with the position of a result's pixels.

    Parameters
    ----------
    page : PageFields
        Fields of the picture that was filtered.
    rows, cols : Axis

    Returns
    -------
    PageFields
    """
    if page.placed is None:
        return page
    is_point = _raster_type(page.fields) == _PIXEL_IS_POINT
    # A pixel is a point at its centre, or an area from corner to corner: there the centre of the first is at 0.5.
    at = [axis.start if is_point else axis.start + 0.5 - 0.5 * axis.jump for axis in (cols, rows)]
    jumps = [cols.jump, rows.jump]
    fields = tuple(
        stacks.resized(
            _placed(field, at, jumps, (cols.start, rows.start)), (rows.size, cols.size), (rows.jump, cols.jump)
        )
        for field in page.fields
    )
    header = page.header and page.header.moved(rows, cols)
    return page._replace(fields=fields, placed=(rows.size, cols.size), header=header)


def _raster_type(fields: Iterable[Field]) -> int:
    keys = next((field.data for field in fields if field.tag == _KEYS), b"")
    words = struct.unpack(f"{_ORDER}{len(keys) // 2}H", keys[: len(keys) // 2 * 2])
    offsets = (words[at + 3] for at in range(4, len(words) - 3, 4) if words[at] == _POINT_KEY and words[at + 1] == 0)
    return next(offsets, 0)


def _placed(field: Field, at: list[float], jumps: list[float], centres: tuple[float, float]) -> Field:
    """Rewrite one field for a raster whose pixel (x, y) is at ``at + jumps * (x, y)`` of the old one."""
    if field.tag in (_X_RESOLUTION, _Y_RESOLUTION):  # copied only if their unit has no absolute size
        number, unit = struct.unpack(f"{_ORDER}2I", field.data[:8])
        jump = jumps[field.tag - _X_RESOLUTION]
        return field._replace(data=_rational(number / (unit or 1) / jump)) if jump != 1 else field
    if field.tag not in _PLACES or field.kind != 12 or len(field.data) % 8:
        return field
    values = list(struct.unpack(f"{_ORDER}{len(field.data) // 8}d", field.data))
    if field.tag == _PIXEL_SCALE:
        values[:2] = [values[0] * jumps[0], values[1] * jumps[1]]
    elif field.tag == _TIE_POINTS:
        for first in range(0, len(values) - 5, 6):
            values[first : first + 2] = [(values[first + n] - at[n]) / jumps[n] for n in (0, 1)]
    elif field.tag in (_TRANSFORMATION, _INTERGRAPH) and len(values) >= 16:
        for row in range(0, 16, 4):
            values[row + 3] += values[row] * at[0] + values[row + 1] * at[1]
            values[row : row + 2] = [values[row] * jumps[0], values[row + 1] * jumps[1]]
    elif field.tag == _RPC and len(values) >= 12:
        # Line, then sample: offsets at 2 and 3, scales at 7 and 8, of centres of pixels.
        for n, axis in ((0, 1), (1, 0)):
            values[2 + n] = (values[2 + n] - centres[axis]) / jumps[axis]
            values[7 + n] /= jumps[axis]
    return field._replace(data=struct.pack(f"{_ORDER}{len(values)}d", *values))


def _rational(value: float) -> bytes:
    from fractions import Fraction

    fraction = Fraction(value).limit_denominator(10**6)
    return struct.pack(f"{_ORDER}2I", min(fraction.numerator, 2**32 - 1), fraction.denominator)


def fitting(page: PageFields, shape: tuple[int, ...], dtype: str, pages: int) -> tuple[list[Field], Mapping[str, str]]:
    """Return the fields that are true for the written page.

    Parameters
    ----------
    page : PageFields
    shape, dtype, pages
        Shape, sample type and number of pages of the output.

    Returns
    -------
    list of Field
    mapping of str to str
        For each kind of field that is left out, the reason.
    """
    is_scale = _is_scale(page.fields)
    same_size = shape[:2] == page.shape[:2]
    same_layout = (shape, dtype, pages) == (page.shape, page.dtype, page.pages)
    is_stack = (shape[2:], dtype, pages) == (page.shape[2:], page.dtype, page.pages)
    same_stack = is_stack and page.placed is not None and stacks.describe(page.fields, (shape[0], shape[1]))
    kept, lost = [], {}
    is_grey = len(shape) == 2 or shape[2] <= _GREY_AND_ALPHA
    for each in page.fields:
        field, kind = _of_grey(each) if is_grey else each, _kind(each, is_scale)
        if kind == "layout" and each.tag in (_X_RESOLUTION, _Y_RESOLUTION, _RESOLUTION_UNIT):
            kept.append(each)
        elif kind == "layout" and not (same_layout or same_stack):
            lost[kind] = "the size, the type or the number of its pages has changed"
        elif field is None:
            lost[kind] = "colours have become grey"
        elif kind == "private" and not same_size:
            lost[kind] = "the size has changed"
        elif field.tag in _PLACES and page.placed != shape[:2]:
            lost[kind] = "the picture has been rotated" if page.placed is None else "the size has changed"
        else:
            kept.append(field)
    return kept, lost


def profile_of(page: PageFields) -> tuple[Field, ...]:
    """Return the colour profile among the fields of a page, if it has one."""
    return tuple(field for field in page.fields if field.tag == _ICC)


def _of_grey(field: Field) -> Field | None:
    """Convert a field for a page that has become grey: a colour profile becomes one for grey, if possible."""
    from convfilter.picture.metadata import icc, transfer

    if field.tag != _ICC or icc.model_of(field.data) != "rgb":
        return field
    made = transfer.luminance_profile(field.data)
    return field._replace(data=made) if made else None


def scale_of(fields: Iterable[Field]) -> tuple[tuple[float, float], int] | None:
    """Return the resolution among the fields, and its unit."""
    values: dict[int, float] = {}
    fields = tuple(fields)
    for field in fields:
        if field.tag in (_X_RESOLUTION, _Y_RESOLUTION) and len(field.data) >= 8:
            number, unit = struct.unpack(f"{_ORDER}2I", field.data[:8])
            values[field.tag] = number / unit if unit else 0.0
    unit = _number(fields, _RESOLUTION_UNIT) or 2
    return ((values[_X_RESOLUTION], values[_Y_RESOLUTION]), unit) if len(values) == 2 else None
