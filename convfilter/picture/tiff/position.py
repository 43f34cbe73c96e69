"""The position of a result: georeference and resolution for a pixel grid that strides and paddings have moved.

GeoTIFF 1.1 (OGC 19-008r4), annex G; RPC in TIFF (50844); resolutions without an absolute unit.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import TYPE_CHECKING

from convfilter.picture.axis import Axis
from convfilter.picture.metadata.ifd import Field
from convfilter.picture.metadata.tiff_numbers import (
    DOUBLE,
    GEO_KEYS,
    INTERGRAPH_MATRIX,
    PIXEL_SCALE,
    POSITION,
    RPC,
    TIE_POINTS,
    TRANSFORMATION,
    X_RESOLUTION,
    Y_RESOLUTION,
)
from convfilter.picture.tiff import stacks
from convfilter.picture.tiff.fields import is_relative

if TYPE_CHECKING:
    from convfilter.picture.tiff.fields import PageFields

#: GeoTIFF's key for the type of raster, and its value for pixels that are points.
_RASTER_TYPE_KEY, _PIXEL_IS_POINT = 1025, 2
_ORDER = "<"


def moved(page: PageFields, rows: Axis, cols: Axis) -> PageFields:
    """Return the fields of a page with the position of a result.

    Parameters
    ----------
    page : PageFields
        Fields of the picture that was filtered.
    rows, cols : Axis
        The result's pixels.

    Returns
    -------
    PageFields
        The input itself if a rotation has made its position false.
    """
    if page.placed is None:
        return page
    is_point = _raster_type(page.fields) == _PIXEL_IS_POINT
    # Coordinates of the first pixel's centre: 0 if pixels are points, 0.5 if they are areas.
    origin = [axis.start if is_point else axis.start + 0.5 - 0.5 * axis.jump for axis in (cols, rows)]
    jumps, centres = [cols.jump, rows.jump], (cols.start, rows.start)
    size, distances = (rows.size, cols.size), (rows.jump, cols.jump)
    # A resolution in dots per inch or centimetre is that of a print, and does not change.
    fields = [_scaled(field, jumps) for field in page.fields] if is_relative(page.fields) else page.fields
    fields = tuple(stacks.resized(_moved(field, origin, jumps, centres), size, distances) for field in fields)
    header = page.header and page.header.moved(rows, cols)
    return page._replace(fields=fields, placed=size, header=header)


def _raster_type(fields: Iterable[Field]) -> int:
    """Return the raster type in GeoTIFF's keys, a header and entries of four SHORTs each; 0 without a raster type."""
    keys = next((field.data for field in fields if field.tag == GEO_KEYS), b"")
    words = struct.unpack(f"{_ORDER}{len(keys) // 2}H", keys[: len(keys) // 2 * 2])
    values = (
        words[at + 3] for at in range(4, len(words) - 3, 4) if words[at] == _RASTER_TYPE_KEY and words[at + 1] == 0
    )
    return next(values, 0)


def _moved(field: Field, origin: list[float], jumps: list[float], centres: tuple[float, float]) -> Field:
    """Rewrite one field for a raster whose pixel (x, y) is at ``origin + jumps * (x, y)`` of the old raster."""
    if field.tag not in POSITION or field.kind != DOUBLE or len(field.data) % 8:
        return field
    values = list(struct.unpack(f"{_ORDER}{len(field.data) // 8}d", field.data))
    if field.tag == PIXEL_SCALE:
        values[:2] = [values[0] * jumps[0], values[1] * jumps[1]]
    elif field.tag == TIE_POINTS:
        for first in range(0, len(values) - 5, 6):
            values[first : first + 2] = [(values[first + n] - origin[n]) / jumps[n] for n in (0, 1)]
    elif field.tag in (TRANSFORMATION, INTERGRAPH_MATRIX) and len(values) >= 16:
        for row in range(0, 16, 4):
            values[row + 3] += values[row] * origin[0] + values[row + 1] * origin[1]
            values[row : row + 2] = [values[row] * jumps[0], values[row + 1] * jumps[1]]
    elif field.tag == RPC and len(values) >= 12:
        # Line, then sample: offsets at 2 and 3, scales at 7 and 8, of centres of pixels.
        for n, axis in ((0, 1), (1, 0)):
            values[2 + n] = (values[2 + n] - centres[axis]) / jumps[axis]
            values[7 + n] /= jumps[axis]
    return field._replace(data=struct.pack(f"{_ORDER}{len(values)}d", *values))


def _scaled(field: Field, jumps: list[float]) -> Field:
    """Divide a resolution by the distance of neighbouring pixels; other fields do not change."""
    if field.tag not in (X_RESOLUTION, Y_RESOLUTION):
        return field
    number, divisor = struct.unpack(f"{_ORDER}2I", field.data[:8])
    jump = jumps[field.tag - X_RESOLUTION]
    return field._replace(data=_rational(number / (divisor or 1) / jump)) if jump != 1 else field


def _rational(value: float) -> bytes:
    """Encode a number that is not negative as a RATIONAL."""
    from fractions import Fraction

    fraction = Fraction(value).limit_denominator(10**6)
    return struct.pack(f"{_ORDER}2I", min(fraction.numerator, 2**32 - 1), fraction.denominator)
