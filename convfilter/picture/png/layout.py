"""Structure of PNG: signature, chunks, header; shared by reader and writer.

Portable Network Graphics (PNG) Specification, third edition, W3C 2025.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

from convfilter.record import NamedTuple

SIGNATURE = b"\x89PNG\r\n\x1a\n"
#: Chunks that define colours.
COLOUR_CHUNKS = (b"gAMA", b"cHRM", b"sRGB", b"cICP", b"mDCV", b"cLLI")
#: Samples of a pixel, by colour type.
SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
PALETTE = 3
#: Allowed numbers of bits of a sample, by colour type.
DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
#: Adam7: first column, first row, column step, row step of each pass.
PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
XMP_KEYWORD = "XML:com.adobe.xmp"
_ANCILLARY_BIT = 0x20
#: gAMA and cHRM of sRGB in units of 1/100000, and the tolerances for inexact writers.
_SRGB_GAMMA, _SRGB_PRIMARIES = 45455, (31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)
_GAMMA_TOLERANCE, _PRIMARIES_TOLERANCE = 500, 200


def is_ancillary(kind: bytes) -> bool:
    """Whether a decoder may ignore a chunk of this name: its first letter is lower-case."""
    return bool(kind[0] & _ANCILLARY_BIT)


def says_srgb(chunks: Mapping[bytes, bytes]) -> bool:
    """Whether gAMA and cHRM, if they are among the chunks (contents by name), nearly equal those of sRGB."""
    gamma = int.from_bytes(chunks.get(b"gAMA", b""), "big") or _SRGB_GAMMA
    primaries = struct.unpack(">8I", chunks[b"cHRM"]) if has_primaries(chunks) else _SRGB_PRIMARIES
    pairs = zip(primaries, _SRGB_PRIMARIES, strict=True)
    return is_srgb_gamma(gamma) and all(abs(x - y) <= _PRIMARIES_TOLERANCE for x, y in pairs)


def has_primaries(chunks: Mapping[bytes, bytes]) -> bool:
    """Whether the chunks include a cHRM whose y coordinates are all above 0."""
    return b"cHRM" in chunks and all(struct.unpack(">8I", chunks[b"cHRM"])[1::2])


def is_srgb_gamma(gamma: int) -> bool:
    """Whether a value of gAMA, in units of 1/100000, means the tone curve of sRGB."""
    return abs(gamma - _SRGB_GAMMA) <= _GAMMA_TOLERANCE


class Header(NamedTuple):
    """IHDR: size in pixels, bits of a sample, colour type (a key of ``SAMPLES``), interlacing by Adam7."""

    width: int
    height: int
    depth: int
    colour: int
    interlaced: bool

    @property
    def bits_per_pixel(self) -> int:
        """Bits of one pixel in the file."""
        return SAMPLES[self.colour] * self.depth

    def row_bytes(self, width: int) -> int:
        """Bytes of a row of ``width`` pixels, without its filter byte."""
        return (width * self.bits_per_pixel + 7) // 8

    def passes(self) -> list[tuple[int, int, int, int, int, int]]:
        """List the passes that are not empty: (first column, first row, column step, row step, width, height)."""
        grid = PASSES if self.interlaced else ((0, 0, 1, 1),)
        sizes = [
            (x, y, dx, dy, (self.width - x + dx - 1) // dx, (self.height - y + dy - 1) // dy) for x, y, dx, dy in grid
        ]
        return [each for each in sizes if each[4] > 0 and each[5] > 0]

    @property
    def data_bytes(self) -> int:
        """Bytes of all rows with their filter bytes, before compression."""
        return sum(height * (1 + self.row_bytes(width)) for *_, width, height in self.passes())

    def packed(self) -> bytes:
        """Return the 13 bytes of the chunk's content."""
        return struct.pack(">IIBBBBB", self.width, self.height, self.depth, self.colour, 0, 0, self.interlaced)
