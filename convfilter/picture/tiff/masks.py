"""Writer of transparency masks of a TIFF: 1-bit pages, 1 where a pixel of the page before is opaque.

TIFF 6.0 (Adobe, 1992), section 8 (NewSubfileType, PhotometricInterpretation 4); GDAL reads such masks, too.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np

from convfilter.picture.metadata.ifd import Field
from convfilter.picture.metadata.tiff_numbers import (
    BITS_PER_SAMPLE,
    COMPRESSION,
    CONTIGUOUS,
    HEIGHT,
    LONG,
    LONG8,
    MASK,
    PHOTOMETRIC,
    PLANAR_CONFIGURATION,
    ROWS_PER_STRIP,
    SAMPLES_PER_PIXEL,
    SHORT,
    STRIP_BYTE_COUNTS,
    STRIP_OFFSETS,
    SUBFILE_TYPE,
    TRANSPARENCY_MASK,
    WIDTH,
)
from convfilter.picture.pixels import Pixels

if TYPE_CHECKING:
    from convfilter.picture.tiff.pages import Pages

_DEFLATE = 8


class Mask:
    """The mask of a page; its compressed strips are held in memory until the page itself is written.

    Parameters
    ----------
    white : float
        Value of full opacity; pixels with at least half of it are opaque.
    """

    def __init__(self, white: float) -> None:
        self._white = white
        self._strips: list[bytes] = []

    def encoded(self, opacity: Pixels) -> bytes:
        """Deflate the bits of a strip of opacity, an array of (rows, cols)."""
        import imagecodecs

        bits = np.packbits(2.0 * opacity >= self._white, axis=1)
        return bytes(imagecodecs.deflate_encode(bits.tobytes(), level=6))

    def append(self, strip: bytes) -> None:
        """Add a result of ``encoded``; called in the order of the strips."""
        self._strips.append(strip)

    def write(self, pages: Pages, width: int, height: int, rows: int) -> None:
        """Append the mask to the pages of a file; each strip but the last has ``rows`` rows."""
        offsets = []
        for strip in self._strips:
            offsets.append(pages.file.tell())
            pages.file.write(strip)
        kind, code = (LONG8, "Q") if pages.big else (LONG, "I")
        lists = ((STRIP_OFFSETS, offsets), (STRIP_BYTE_COUNTS, [len(strip) for strip in self._strips]))
        longs = (
            (SUBFILE_TYPE, TRANSPARENCY_MASK),
            (WIDTH, width),
            (HEIGHT, height),
            (ROWS_PER_STRIP, min(rows, height)),
        )
        shorts = (
            (BITS_PER_SAMPLE, 1),
            (COMPRESSION, _DEFLATE),
            (PHOTOMETRIC, MASK),
            (SAMPLES_PER_PIXEL, 1),
            (PLANAR_CONFIGURATION, CONTIGUOUS),
        )
        fields = [
            *(Field(tag, kind, struct.pack(f"<{len(values)}{code}", *values)) for tag, values in lists),
            *(Field(tag, LONG, struct.pack("<I", value)) for tag, value in longs),
            *(Field(tag, SHORT, struct.pack("<H", value)) for tag, value in shorts),
        ]
        pages.append({field.tag: field for field in fields}, {})
