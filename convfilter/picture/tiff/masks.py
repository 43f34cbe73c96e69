"""Transparency masks of a TIFF that is written: a page of one bit behind the page whose opaque pixels it marks.

TIFF 6.0 (Adobe, 1992), section 8 (NewSubfileType, PhotometricInterpretation 4); GDAL reads such masks, too.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np

from convfilter.picture.metadata.ifd import Field
from convfilter.picture.pixels import Pixels

if TYPE_CHECKING:
    from convfilter.picture.tiff.write import Pages

_SUBFILE_TYPE, _WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _OFFSETS = 254, 256, 257, 258, 259, 262, 273
_SAMPLES, _ROWS, _COUNTS, _PLANAR = 277, 278, 279, 284
_SHORT, _LONG, _LONG8 = 3, 4, 16
_TRANSPARENCY_MASK, _MASK, _DEFLATE = 4, 4, 8


class Mask:
    """The strips of the mask of a page, compressed, until the page itself is written.

    Parameters
    ----------
    white : float
        Full opacity; half of it, and more, is opaque.
    """

    def __init__(self, white: float) -> None:
        self._white = white
        self._strips: list[bytes] = []

    def encoded(self, opacity: Pixels) -> bytes:
        """Return the bits of some rows, deflated."""
        import imagecodecs

        bits = np.packbits(2.0 * opacity >= self._white, axis=1)
        return bytes(imagecodecs.deflate_encode(bits.tobytes(), level=6))

    def append(self, strip: bytes) -> None:
        """Store a result of ``encoded``; called in the order of the rows."""
        self._strips.append(strip)

    def write(self, pages: Pages, width: int, height: int, rows: int) -> None:
        """Write the page, whose strips have so many rows each."""
        offsets = []
        for strip in self._strips:
            offsets.append(pages.file.tell())
            pages.file.write(strip)
        kind, code = (_LONG8, "Q") if pages.big else (_LONG, "I")
        lists = ((_OFFSETS, offsets), (_COUNTS, [len(strip) for strip in self._strips]))
        longs = ((_SUBFILE_TYPE, _TRANSPARENCY_MASK), (_WIDTH, width), (_HEIGHT, height), (_ROWS, min(rows, height)))
        shorts = ((_BITS, 1), (_COMPRESSION, _DEFLATE), (_PHOTOMETRIC, _MASK), (_SAMPLES, 1), (_PLANAR, 1))
        fields = [
            *(Field(tag, kind, struct.pack(f"<{len(values)}{code}", *values)) for tag, values in lists),
            *(Field(tag, _LONG, struct.pack("<I", value)) for tag, value in longs),
            *(Field(tag, _SHORT, struct.pack("<H", value)) for tag, value in shorts),
        ]
        pages.append({field.tag: field for field in fields}, {})
