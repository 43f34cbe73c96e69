"""Colour properties of an AVIF: read from its boxes, and patched after encoding.

ISO/IEC 14496-12, 12.1.5 (colr); ISO/IEC 23008-12 (item properties); AV1 Image File Format 1.1.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from io import BytesIO
from typing import BinaryIO

from convfilter.picture.pillow.boxes import boxes, boxes_of, meta_boxes, primary_item
from convfilter.record import NamedTuple

_NCLX = b"nclx"
#: Bytes between the head of a box and its inner boxes.
_CONTAINERS = {
    **dict.fromkeys((b"iprp", b"ipco", b"moov", b"trak", b"mdia", b"minf", b"stbl"), 0),
    **{b"meta": 4, b"stsd": 8, b"av01": 78},
}
_MOST_DEPTH = 8


class Colours(NamedTuple):
    """Contents of the PNG chunks cICP, mDCV and cLLI that are equivalent to an AVIF's properties; None for none."""

    cicp: bytes | None = None
    mastering: bytes | None = None
    light: bytes | None = None


def colours(file: BinaryIO) -> Colours:
    """Read the colour properties of the primary picture.

    Parameters
    ----------
    file : BinaryIO
        Seekable; its position changes.

    Returns
    -------
    Colours
    """
    properties = dict(reversed(_properties(file)))
    nclx = properties.get(b"colr", b"")
    mastering, light = properties.get(b"mdcv", b""), properties.get(b"clli", b"")
    return Colours(
        # Decoded samples are RGB of full range.
        bytes([nclx[5], nclx[7], 0, 1]) if len(nclx) >= 11 else None,
        _mastering(mastering) if len(mastering) == 24 else None,
        struct.pack(">II", *(10_000 * value for value in struct.unpack(">HH", light))) if len(light) == 4 else None,
    )


def clean_aperture(file: BinaryIO, width: int, height: int) -> tuple[slice, slice] | None:
    """Return the rows and columns of the primary picture that are to be shown: the content of its clap box.

    Parameters
    ----------
    file : BinaryIO
        Seekable; its position changes.
    width, height : int
        Size of the decoded picture.

    Returns
    -------
    (slice, slice), or None
        None without such a box; slices of 0 pixels if it is malformed.
    """
    content = dict(_properties(file)).get(b"clap")
    if content is None:
        return None
    from fractions import Fraction

    numbers = struct.unpack(">IIIIiIiI", content[:32]) if len(content) >= 32 else (0,) * 8
    parts = []
    for size, shown, offset in ((height, numbers[2:4], numbers[6:8]), (width, numbers[0:2], numbers[4:6])):
        if not (shown[1] and offset[1]):
            return slice(0), slice(0)
        length = Fraction(*shown)
        start = (size - length) / 2 + Fraction(*offset)
        if start.denominator != 1 or length.denominator != 1 or start < 0 or not 0 < length <= size - start:
            return slice(0), slice(0)
        parts.append(slice(int(start), int(start + length)))
    return parts[0], parts[1]


def _properties(file: BinaryIO) -> list[tuple[bytes, bytes]]:
    """List the properties of the primary picture, except profiles."""
    meta = next(meta_boxes(file), {})
    inner = dict(boxes_of(meta.get(b"iprp", b"")))
    properties = list(boxes_of(inner.get(b"ipco", b"")))
    every = range(1, len(properties) + 1)
    primary, associations = primary_item(meta), _associations(inner.get(b"ipma", b""))
    numbers = next((numbers for item, numbers in associations if item == primary), every)
    chosen = [properties[number - 1] for number in numbers if 0 < number <= len(properties)]
    return [(kind, content) for kind, content in chosen if kind != b"colr" or content[:4] == _NCLX]


def _associations(content: bytes) -> Iterator[tuple[int, list[int]]]:
    """Yield the number of each item in an ipma box, and its properties, counted from 1."""
    if len(content) < 8:
        return
    item_bytes, number_bytes = (4 if content[0] else 2), (2 if content[3] & 1 else 1)
    at = 8
    for _ in range(min(int.from_bytes(content[4:8], "big"), len(content))):
        item, count = (
            int.from_bytes(content[at : at + item_bytes], "big"),
            content[at + item_bytes : at + item_bytes + 1],
        )
        if not count:
            return
        at += item_bytes + 1
        end = at + number_bytes * count[0]
        essential = 1 << (8 * number_bytes - 1)
        numbers = [int.from_bytes(content[each : each + number_bytes], "big") for each in range(at, end, number_bytes)]
        yield item, [number & ~essential for number in numbers]
        at = end


def _mastering(content: bytes) -> bytes:
    """Reorder the primaries from green, blue, red to PNG's red, green, blue."""
    green, blue, red = content[0:4], content[4:8], content[8:12]
    return red + green + blue + content[12:]


def with_cicp(data: bytes, primaries: int, transfer: int) -> bytes:
    """Write primaries and transfer function into every colr box of type nclx; the encoder's matrix stays.

    Parameters
    ----------
    data : bytes
        An AVIF.
    primaries, transfer : int
        Code points of ITU-T H.273.

    Returns
    -------
    bytes
        A file of the same size.
    """
    out = bytearray(data)
    for start, end in _nclx_boxes(BytesIO(data), 0, len(data), 0):
        if end - start >= 11:
            out[start + 4 : start + 8] = struct.pack(">HH", primaries, transfer)
    return bytes(out)


def _nclx_boxes(file: BinaryIO, start: int, end: int, depth: int) -> Iterator[tuple[int, int]]:
    """Yield start and end of the content of each colr box of type nclx; ``depth`` counts the boxes around it."""
    if depth > _MOST_DEPTH:
        return
    for kind, first, last in list(boxes(file, start, end)):
        if kind in _CONTAINERS:
            yield from _nclx_boxes(file, first + _CONTAINERS[kind], last, depth + 1)
        elif kind == b"colr":
            file.seek(first)
            if file.read(4) == _NCLX:
                yield first, last
