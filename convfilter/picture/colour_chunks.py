"""PNG's chunks for primaries and tone curves, as ``Metadata.png`` keeps them for all formats.

PNG third edition, sections 11.3.2.1 (cHRM), 11.3.2.2 (gAMA) and 11.3.2.6 (cICP); ITU-T H.273 (2024), table 3.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence

from convfilter.picture.png.layout import has_primaries

#: Transfer functions of ITU-T H.273.
LINEAR, SRGB = 8, 13
_UNIT = 100_000

Chunk = tuple[bytes, bytes]
#: (x, y) of red, green, blue and white.
Chromaticities = tuple[tuple[float, float], tuple[float, float], tuple[float, float], tuple[float, float]]


def cicp_chunk(primaries: int, transfer: int) -> Chunk:
    """Return the cICP chunk of RGB samples of full range, for code points of ITU-T H.273."""
    return b"cICP", bytes([primaries, transfer, 0, 1])


def gamma_chunks(exponent: float, chromaticities: Sequence[float]) -> list[Chunk]:
    """Return gAMA and cHRM chunks.

    Parameters
    ----------
    exponent : float
        Exponent that encodes linear light, such as 1/2.2.
    chromaticities : sequence of 8 floats
        x and y of red, green, blue and white, clipped to the range of the chunk.
    """
    values = (exponent, *chromaticities[6:], *chromaticities[:6])
    gamma, *points = (min(max(round(_UNIT * value), 0), 2**31 - 1) for value in values)
    return [(b"gAMA", struct.pack(">I", gamma)), (b"cHRM", struct.pack(">8I", *points))]


def exponent_of(chunks: Mapping[bytes, bytes]) -> float | None:
    """Return the exponent of a gAMA chunk, which encodes linear light; None without one."""
    gamma = int.from_bytes(chunks.get(b"gAMA", b""), "big")
    return gamma / _UNIT if gamma else None


def chromaticities_of(chunks: Mapping[bytes, bytes]) -> Chromaticities | None:
    """Return (x, y) of red, green, blue and white from a cHRM chunk; None without a usable one."""
    if not has_primaries(chunks):
        return None
    x, y, *colours = (value / _UNIT for value in struct.unpack(">8I", chunks[b"cHRM"]))
    red, green, blue = ((colours[at], colours[at + 1]) for at in (0, 2, 4))
    return red, green, blue, (x, y)
