"""Update the descriptions of stacks by OME and ImageJ for results of another size.

OME-XML: Open Microscopy Environment, schema 2016-06 (Pixels); ImageJ's tags 50838 and 50839, ij.io.TiffEncoder.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from convfilter.picture.metadata.ifd import Field
from convfilter.picture.metadata.tiff_numbers import DESCRIPTION, IMAGEJ_DATA

_OME = (b"<?xml", b"<OME")
_PIXELS = re.compile(rb"<(?:\w+:)?Pixels\b[^<>]*>")
_ATTRIBUTE = re.compile(rb"\b(SizeX|SizeY|PhysicalSizeX|PhysicalSizeY)(\s*=\s*[\"'])([^\"']*)")
#: Outlines of regions of the picture, whose coordinates are false for another size.
_OUTLINES = re.compile(rb"<(?:\w+:)?ROI\b")
#: Types of ImageJ's entries for outlines and overlays, in both byte orders, and the bytes that are searched for them.
_IMAGEJ_OUTLINES = (b"roi ", b" ior", b"over", b"revo")
_HEAD_BYTES = 256


def resized(field: Field, size: tuple[int, int], jumps: tuple[float, float]) -> Field:
    """Return OME's description with the size of a result.

    Parameters
    ----------
    field : Field
    size : (int, int)
        Rows and columns of the result.
    jumps : (float, float)
        Distance of neighbouring rows and columns, in pixels of the picture.

    Returns
    -------
    Field
        The input itself if it is not OME-XML, or describes pictures of several sizes.
    """
    if len(_sizes(field)) != 1:
        return field
    values = {b"SizeY": size[0], b"SizeX": size[1]}
    factors = {b"PhysicalSizeY": jumps[0], b"PhysicalSizeX": jumps[1]}

    def changed(match: re.Match[bytes]) -> bytes:
        name, between, value = match.groups()
        if name in values:
            value = b"%d" % values[name]
        elif factors[name] != 1:
            try:
                value = b"%.15g" % (float(value) * factors[name])
            except ValueError:
                return match[0]
        return bytes(name + between + value)

    return field._replace(data=_PIXELS.sub(lambda tag: _ATTRIBUTE.sub(changed, tag[0]), field.data))


def describes(fields: Iterable[Field], size: tuple[int, int]) -> bool:
    """Whether the description in the fields is true for a stack whose pages have ``size`` (rows, columns)."""
    by_tag = {field.tag: field for field in fields}
    description = by_tag.get(DESCRIPTION)
    if description is None:
        return False
    if description.data.startswith(b"ImageJ="):
        head = by_tag[IMAGEJ_DATA].data[:_HEAD_BYTES] if IMAGEJ_DATA in by_tag else b""
        return not any(kind in head for kind in _IMAGEJ_OUTLINES)
    return _sizes(description) == {size} and not _OUTLINES.search(description.data)


def _sizes(field: Field) -> set[tuple[int, int]]:
    """Return the sizes, (rows, columns), in an OME-XML description; an empty set for another field."""
    if field.tag != DESCRIPTION or not field.data.startswith(_OME):
        return set()
    sizes = set()
    for tag in _PIXELS.finditer(field.data):
        values = {name: value for name, _, value in _ATTRIBUTE.findall(tag[0])}
        try:
            sizes.add((int(values.get(b"SizeY", 0)), int(values.get(b"SizeX", 0))))
        except ValueError:
            return set()
    return sizes
