"""Metadata that name places in a picture, or the shape of its pixels, for a result with other pixels.

EXIF has a main subject (CIPA DC-008, 4.6.5: SubjectArea, SubjectLocation), in pixels of the file; it moves. XMP has
regions, such as faces, as fractions of the picture; they are left out where the result shows another part.
"""

from __future__ import annotations

import math
import struct

from convfilter.picture.axis import Axis
from convfilter.picture.loss import Loss
from convfilter.picture.metadata import exif
from convfilter.picture.metadata.metadata import Metadata
from convfilter.picture.metadata.tiff_numbers import SHORT
from convfilter.record import replace

_SUBJECT_AREA, _SUBJECT_LOCATION = 0x9214, 0xA214
_MOST = 2**16 - 1


def moved(metadata: Metadata, rows: Axis, cols: Axis, shape: tuple[int, ...]) -> tuple[Metadata, tuple[Loss, ...]]:
    """Return the metadata of a result, and what they lose.

    Parameters
    ----------
    metadata : Metadata
        Of the picture that was filtered.
    rows, cols : Axis
        The result's pixels.
    shape : (rows, cols[, channels])
        Of the picture that was filtered.

    Returns
    -------
    Metadata
    tuple of Loss
    """
    after, losses = replace(metadata, exif=with_subject(metadata.exif, rows, cols)), []
    after.png = [(kind, _aspect(data, rows, cols) if kind == b"pHYs" else data) for kind, data in metadata.png]
    if after.xmp and not all(map(_shows_all, (rows, cols), shape)):
        from convfilter.picture.metadata import xmp_clean

        after.xmp, dropped = xmp_clean.without_regions(after.xmp)
        losses = [Loss(f"XMP describes {', '.join(dropped)}; that is left out")] if dropped else []
    return after, tuple(losses)


def _shows_all(axis: Axis, size: int) -> bool:
    """Whether a result shows the whole picture and nothing else, to one of its pixels."""
    first, last = axis.start - axis.jump / 2, axis.start + (axis.size - 0.5) * axis.jump
    return abs(first + 0.5) <= axis.jump and abs(last - (size - 0.5)) <= axis.jump


def _aspect(data: bytes, rows: Axis, cols: Axis) -> bytes:
    """Return a PNG's pHYs chunk without a unit, pixels per length in x and y, for a result's pixels."""
    across, down, unit = struct.unpack(">IIB", data)
    if unit or not (across and down) or rows.jump == cols.jump:
        return data
    from fractions import Fraction

    ratio = Fraction(across, down) * Fraction(rows.jump) / Fraction(cols.jump)
    return struct.pack(">IIB", *ratio.limit_denominator(_MOST).as_integer_ratio(), 0)


def turned(block: bytes | None, orientation: int, height: int, width: int) -> bytes | None:
    """Return an EXIF block whose main subject is that of a picture turned upright, to ``height`` and ``width``."""
    cols = Axis(width - 1, -1, width) if orientation in (2, 3, 6, 7) else Axis(0, 1, width)
    rows = Axis(height - 1, -1, height) if orientation in (3, 4, 7, 8) else Axis(0, 1, height)
    return with_subject(block, rows, cols, swapped=orientation >= 5)


def with_subject(data: bytes | None, rows: Axis, cols: Axis, *, swapped: bool = False) -> bytes | None:
    """Move the main subject, or remove it if its centre is not in the result.

    Parameters
    ----------
    data : bytes, or None
        EXIF as a TIFF structure.
    rows, cols : Axis
        The result's pixels.
    swapped : bool
        Whether x and y of the subject are exchanged first.

    Returns
    -------
    bytes, or None
        The input itself if it has no main subject.
    """
    block = exif.block_of(data)
    if block is None:
        return data
    found = [
        (directory, entry)
        for directory in block.directories()
        for entry in block.entries(directory)
        if entry.tag in (_SUBJECT_AREA, _SUBJECT_LOCATION)
    ]
    for directory, entry in reversed(found):  # a removal moves the entries behind it
        at = entry.at + 8 if entry.items <= 2 else block.number(entry.at + 8)
        old = [block.number(at + 2 * each, 2) for each in range(entry.items)] if entry.items <= 4 else []
        new = _subject(old, rows, cols, swapped=swapped) if entry.kind == SHORT else []
        if new and at + 2 * len(new) <= len(block.data):
            for number, value in enumerate(new):
                block.put(at + 2 * number, value, 2)
        else:
            block.remove(directory, entry)
    return bytes(block.data) if found else data


def _subject(values: list[int], rows: Axis, cols: Axis, *, swapped: bool) -> list[int]:
    """Return a point (x, y), with a diameter, or with width and height; [] if it is outside the result."""
    if len(values) < 2:
        return []
    point, extent = values[:2], values[2:]
    if swapped:
        point, extent = point[::-1], extent[::-1]
    x, y = ((each - axis.start) / axis.jump for each, axis in zip(point, (cols, rows), strict=True))
    if not (-0.5 <= x < cols.size - 0.5 and -0.5 <= y < rows.size - 0.5):
        return []
    jumps = [abs(cols.jump), abs(rows.jump)] if len(extent) == 2 else [math.sqrt(abs(cols.jump * rows.jump))]
    sizes = [max(each / jump, 1) for each, jump in zip(extent, jumps, strict=False)]
    return [min(max(round(each), 0), _MOST) for each in (x, y, *sizes)]
