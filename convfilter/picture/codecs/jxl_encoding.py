"""Replace the colour encoding, and the depth, in the header of a JPEG XL that libjxl wrote.

ISO/IEC 18181-1, annex D.3 (ImageMetadata, ColourEncoding).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from convfilter.picture.codecs.jxl_header import (
    COORDINATE_UNIT,
    GAMMA_UNIT,
    GRAY,
    MOST_HEADER_BYTES,
    PRIMARIES,
    TRANSFERS,
    Bits,
    read_colours,
    read_depth,
    read_extra_channel,
    read_size,
)

#: A value, and the number of bits that store it.
Field: TypeAlias = tuple[int, int]

_CUSTOM_FIELDS: list[Field] = [(2, 2), (0, 4)]


def with_colours(codestream: bytes, colours: tuple[int, int], depth: int | None = None) -> tuple[bytes, int] | None:
    """Replace the colour encoding, and the depth, in the header of a codestream; the stored samples do not change.

    Parameters
    ----------
    codestream : bytes
        A codestream of libjxl, which assumes linear light for samples of more than 8 bits.
    colours : (int, int)
        Code points of ITU-T H.273 for primaries and transfer function. A lossy codestream stores colours in XYB; there
        they are the encoding to which a decoder converts.
    depth : int, optional
        Integer bit depth that replaces the depth in the header.

    Returns
    -------
    (bytes, int), or None
        The new header, and the offset of the data after the old header; None if JPEG XL has no number for the colours,
        or the header is not one that libjxl usually writes.
    """
    white, primaries = next((key for key, points in PRIMARIES.items() if points == colours[0]), (0, 0))
    if not white or colours[1] not in TRANSFERS:
        return None
    return with_encoding(codestream, [*_enum(white)], [*_enum(primaries)], [(0, 1), *_enum(colours[1])], depth)


def with_primaries(
    codestream: bytes, primaries: Sequence[tuple[float, float]], gamma: float, depth: int | None = None
) -> tuple[bytes, int] | None:
    """Replace the colour encoding by custom values; see :func:`with_colours`.

    Parameters
    ----------
    codestream : bytes
    primaries : sequence of 4 pairs of floats
        x and y of red, green, blue and white.
    gamma : float
        Exponent that encodes linear light.
    depth : int, optional
    """
    corners = [*_CUSTOM_FIELDS, *(field for pair in primaries[:3] for value in pair for field in _coordinate(value))]
    white = [*_CUSTOM_FIELDS, *(field for value in primaries[3] for field in _coordinate(value))]
    return with_encoding(codestream, white, corners, [(1, 1), (round(gamma * GAMMA_UNIT), 24)], depth)


def _coordinate(value: float) -> list[Field]:
    """Return the fields of one coordinate, in signed millionths whose lowest bit is the sign."""
    number = 2 * round(abs(value) * COORDINATE_UNIT) - (value < 0)
    choice = max(0, number.bit_length() - 19)
    return [(choice, 2), (number - (1 << (18 + choice) if choice else 0), 19 + max(0, choice - 1))]


def with_encoding(
    codestream: bytes, white: list[Field], primaries: list[Field], transfer: list[Field], depth: int | None = None
) -> tuple[bytes, int] | None:
    """Replace the colour encoding by fields of white point, primaries and transfer; see :func:`with_colours`."""
    bits = Bits(codestream[2:MOST_HEADER_BYTES])
    read_size(bits)
    if bits.flag() or bits.flag():
        return None
    depth_start = bits.at
    read_depth(bits)
    depth_end = bits.at
    bits.flag()
    for _ in range(bits.number((0, 0), (1, 0), (2, 4), (1, 12))):
        read_extra_channel(bits)
    bits.flag()
    start = bits.at
    gray = read_colours(bits).gray
    end = bits.at
    if bits.take(2) or not bits.flag():  # extensions, or another transform than the default
        return None
    header_end = bits.at
    number = int.from_bytes(codestream[2 : 2 + (header_end + 7) // 8], "little")

    def copied(first: int, last: int) -> Field:
        return number >> first & ((1 << (last - first)) - 1), last - first

    encoding = [
        (0, 1),
        (0, 1),
        *_enum(GRAY if gray else 0),
        *white,
        *([] if gray else primaries),
        *transfer,
        *_enum(1),
    ]
    new_depth = [copied(depth_start, depth_end)] if depth is None else [(0, 1), (3, 2), (depth - 1, 6)]
    fields = copied(0, depth_start), *new_depth, copied(depth_end, start), *encoding, copied(end, header_end)
    header = at = 0
    for value, count in fields:
        header |= value << at
        at += count
    return codestream[:2] + header.to_bytes((at + 7) // 8, "little"), 2 + (header_end + 7) // 8


def _enum(value: int) -> list[Field]:
    """Return the fields of an Enum of the standard, which ``Bits.enum`` reads."""
    if value < 2:
        return [(value, 2)]
    return [(2, 2), (value - 2, 4)] if value < 18 else [(3, 2), (value - 18, 6)]
