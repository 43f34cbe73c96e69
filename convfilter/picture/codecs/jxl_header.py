"""Parser and editor of JPEG XL headers: size, depth, channels and colours, before a pixel is decoded.

ISO/IEC 18181-1, annexes D.2 (SizeHeader) and D.3 (ImageMetadata, ColourEncoding); names and tables as in libjxl.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from convfilter.errors import ReadError
from convfilter.record import NamedTuple

_MAGIC = b"\xff\x0a"
#: Bytes in which every header ends.
_MOST_BYTES = 4096
#: Width to height.
_RATIOS = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))
_ALPHA, _SPOT, _CFA = 0, 2, 5
_GRAY, _XYB = 1, 2
_CUSTOM = 2
_D65, _EQUAL, _DCI = 1, 10, 11
#: (white point, primaries) to the primaries of ITU-T H.273.
_PRIMARIES = {(_D65, 1): 1, (_D65, 9): 9, (_D65, 11): 12, (_DCI, 11): 11}
#: Transfer functions that ITU-T H.273 numbers alike: BT.709, linear, sRGB, PQ, DCI, HLG.
_TRANSFERS = (1, 8, 13, 16, 17, 18)
_SRGB = (1, 13)
_GAMMA_UNIT, _COORDINATE_UNIT = 10_000_000, 1_000_000
#: Chromaticities of white points and of red, green and blue, by their numbers.
_WHITES = {_D65: (0.3127, 0.3290), _EQUAL: (1 / 3, 1 / 3), _DCI: (0.314, 0.351)}
_CORNERS = {
    1: (0.64, 0.33, 0.30, 0.60, 0.15, 0.06),
    9: (0.708, 0.292, 0.170, 0.797, 0.131, 0.046),
    11: (0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
}
#: Exponents in a PNG's gAMA for linear light and, approximately, for sRGB's curve.
_GAMMAS = {8: 1.0, 13: 0.45455}


#: A value, and the number of bits that store it.
Field: TypeAlias = tuple[int, int]


_CUSTOM_FIELDS: list[Field] = [(2, 2), (0, 4)]


class Header(NamedTuple):
    """Properties of a picture that its codestream's header gives.

    Attributes
    ----------
    width, height : int
        In pixels, after the orientation is applied.
    bits : int
        Bits of a sample.
    floats, gray, animated : bool
        Whether samples are floats, the picture is grey, and it has several frames.
    extra : tuple of int
        Types of the channels beside the colours; 0 is alpha.
    premultiplied : bool
        Whether colours are multiplied by alpha.
    lossless : bool
        Whether colours are stored without a transform, as lossless encoders do.
    colours : (int, int), or None
        Primaries and transfer function as ITU-T H.273 numbers them; None: an ICC profile or custom values.
    gamma : float
        With custom values: exponent that encodes linear light, such as 1/2.2; else 0.
    chromaticities : tuple of float
        With custom values: x and y of white, red, green and blue; else empty.
    profile : bool
        Whether an ICC profile, which the codestream stores behind the header, defines the colours.
    """

    width: int
    height: int
    bits: int = 8
    floats: bool = False
    gray: bool = False
    extra: tuple[int, ...] = ()
    premultiplied: bool = False
    animated: bool = False
    lossless: bool = False
    colours: tuple[int, int] | None = _SRGB
    gamma: float = 0.0
    chromaticities: tuple[float, ...] = ()
    profile: bool = False


class _Bits:
    """Bit reader, from the least significant bit of each byte up."""

    def __init__(self, data: bytes) -> None:
        self._number, self._left = int.from_bytes(data, "little"), 8 * len(data)
        self.at = 0

    def take(self, count: int) -> int:
        """Read an integer of some bits."""
        if count > self._left:
            raise ReadError("the JPEG XL is truncated")
        value = self._number & ((1 << count) - 1)
        self._number >>= count
        self._left -= count
        self.at += count
        return value

    def flag(self) -> bool:
        """Read one bit."""
        return bool(self.take(1))

    def number(self, *choices: tuple[int, int]) -> int:
        """Read a U32 of the standard: two bits choose (offset, bits), the integer of bits is added to the offset."""
        offset, bits = choices[self.take(2)]
        return offset + self.take(bits)

    def enum(self) -> int:
        """Read an Enum of the standard."""
        return self.number((0, 0), (1, 0), (2, 4), (18, 6))


def parsed(codestream: bytes) -> Header:
    """Read the header at the beginning of a codestream.

    Parameters
    ----------
    codestream : bytes
        The codestream, or at least its first 4 KiB.

    Returns
    -------
    Header

    Raises
    ------
    ReadError
        The header is damaged or truncated.
    """
    if not codestream.startswith(_MAGIC):
        raise ReadError("the JPEG XL is damaged: its codestream does not begin with ff 0a")
    bits = _Bits(codestream[2:_MOST_BYTES])
    height, width = _size(bits)
    if bits.flag():
        return Header(width, height)
    animated, is_transposed = False, False
    if bits.flag():
        is_transposed = bits.take(3) >= 4
        if bits.flag():
            _size(bits)
        if bits.flag():
            _preview(bits)
        animated = bits.flag()
        if animated:
            _animation(bits)
    floats, depth = _depth(bits)
    bits.flag()
    extra, premultiplied = [], False
    for _ in range(bits.number((0, 0), (1, 0), (2, 4), (1, 12))):
        kind, is_associated = _extra(bits)
        extra.append(kind)
        premultiplied |= is_associated
    lossless = not bits.flag()
    encoding = _colours(bits)
    if is_transposed:
        width, height = height, width
    return Header(
        width, height, depth, floats, encoding.gray, tuple(extra), premultiplied, animated, lossless, encoding.colours,
        encoding.gamma, encoding.chromaticities, encoding.profile,
    )  # fmt: skip


def size_of(codestream: bytes) -> tuple[int, int] | None:
    """Return the stored width and height, before the orientation is applied; None if the header is truncated."""
    try:
        height, width = _size(_Bits(codestream[2:_MOST_BYTES]))
    except ReadError:
        return None
    return width, height


def with_colours(codestream: bytes, colours: tuple[int, int], depth: int | None = None) -> tuple[bytes, int] | None:
    """Replace the colour encoding, and the depth, in a picture's header; the stored samples do not change.

    Parameters
    ----------
    codestream : bytes
        Written by libjxl, which assumes linear light for samples of more than 8 bits.
    colours : (int, int)
        Primaries and transfer function as ITU-T H.273 numbers them. A lossy codestream stores colours in a space of
        its own; for it they are the encoding to which a decoder converts.
    depth : int, optional
        Integer bit depth that replaces the depth in the header.

    Returns
    -------
    (bytes, int), or None
        The new header, and the offset in the codestream of the data behind the old one; None if JPEG XL has no number
        for the colours, or the header is not libjxl's usual one.
    """
    white, primaries = next((key for key, points in _PRIMARIES.items() if points == colours[0]), (0, 0))
    if not white or colours[1] not in _TRANSFERS:
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
    return with_encoding(codestream, white, corners, [(1, 1), (round(gamma * _GAMMA_UNIT), 24)], depth)


def _coordinate(value: float) -> list[Field]:
    """Return the fields of one coordinate, which ``_coordinates`` reads."""
    number = 2 * round(abs(value) * _COORDINATE_UNIT) - (value < 0)
    choice = max(0, number.bit_length() - 19)
    return [(choice, 2), (number - (1 << (18 + choice) if choice else 0), 19 + max(0, choice - 1))]


def with_encoding(
    codestream: bytes, white: list[Field], primaries: list[Field], transfer: list[Field], depth: int | None = None
) -> tuple[bytes, int] | None:
    """Replace the colour encoding by fields of white point, primaries and transfer; see :func:`with_colours`."""
    bits = _Bits(codestream[2:_MOST_BYTES])
    _size(bits)
    if bits.flag() or bits.flag():
        return None
    depth_start = bits.at
    _depth(bits)
    depth_end = bits.at
    bits.flag()
    for _ in range(bits.number((0, 0), (1, 0), (2, 4), (1, 12))):
        _extra(bits)
    bits.flag()
    start = bits.at
    gray = _colours(bits).gray
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
        *_enum(_GRAY if gray else 0),
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
    """Return the fields that ``_Bits.enum`` reads."""
    if value < 2:
        return [(value, 2)]
    return [(2, 2), (value - 2, 4)] if value < 18 else [(3, 2), (value - 18, 6)]


def _size(bits: _Bits) -> tuple[int, int]:
    """Read height and width."""
    is_small = bits.flag()

    def side() -> int:
        return 8 * (bits.take(5) + 1) if is_small else bits.number((1, 9), (1, 13), (1, 18), (1, 30))

    height = side()
    ratio = bits.take(3)
    return height, height * _RATIOS[ratio - 1][0] // _RATIOS[ratio - 1][1] if ratio else side()


def _preview(bits: _Bits) -> None:
    """Skip the size of a preview."""
    is_small = bits.flag()
    choices = ((16, 0), (32, 0), (1, 5), (33, 9)) if is_small else ((1, 6), (65, 8), (321, 10), (1345, 12))
    bits.number(*choices)
    if not bits.take(3):
        bits.number(*choices)


def _animation(bits: _Bits) -> None:
    """Skip ticks per second, number of loops, and whether frames have time codes."""
    bits.number((100, 0), (1000, 0), (1, 10), (1, 30))
    bits.number((1, 0), (1001, 0), (1, 8), (1, 10))
    bits.number((0, 0), (0, 3), (0, 16), (0, 32))
    bits.flag()


def _depth(bits: _Bits) -> tuple[bool, int]:
    """Read whether samples are floats, and their bits."""
    if not bits.flag():
        return False, bits.number((8, 0), (10, 0), (12, 0), (1, 6))
    depth = bits.number((32, 0), (16, 0), (24, 0), (1, 6))
    bits.take(4)
    return True, depth


def _extra(bits: _Bits) -> tuple[int, bool]:
    """Read the type of a channel beside the colours, and whether colours are multiplied by it."""
    if bits.flag():
        return _ALPHA, False
    kind = bits.enum()
    _depth(bits)
    bits.number((0, 0), (3, 0), (4, 0), (1, 3))
    bits.take(8 * bits.number((0, 0), (0, 4), (16, 5), (48, 10)))
    is_associated = kind == _ALPHA and bits.flag()
    if kind == _SPOT:
        bits.take(64)
    elif kind == _CFA:
        bits.number((1, 0), (0, 2), (3, 4), (19, 8))
    return kind, is_associated


class _Encoding(NamedTuple):
    """Properties of a colour encoding; see ``Header``."""

    gray: bool = False
    colours: tuple[int, int] | None = None
    gamma: float = 0.0
    chromaticities: tuple[float, ...] = ()
    profile: bool = False


def _colours(bits: _Bits) -> _Encoding:
    """Read a colour encoding."""
    if bits.flag():
        return _Encoding(colours=_SRGB)
    has_profile, space = bits.flag(), bits.enum()
    gray = space == _GRAY
    if has_profile or space == _XYB:
        return _Encoding(gray, profile=has_profile)
    white = bits.enum()
    white_point = _coordinates(bits, 1) if white == _CUSTOM else _WHITES.get(white)
    primaries = bits.enum() if not gray else 1
    corners = _coordinates(bits, 3) if primaries == _CUSTOM else _CORNERS.get(primaries)
    has_gamma = bits.flag()
    transfer = bits.take(24) if has_gamma else bits.enum()
    bits.enum()
    points = _PRIMARIES.get((white, primaries))
    if points is not None and not has_gamma and transfer in _TRANSFERS:
        return _Encoding(gray, (points, transfer))
    gamma = transfer / _GAMMA_UNIT if has_gamma else _GAMMAS.get(transfer, 0.0)
    if not gamma or white_point is None or corners is None or min(*white_point, *corners) < 0:
        return _Encoding(gray)  # PNG chunks, which carry the values, cannot hold negative ones
    return _Encoding(gray, None, gamma, (*white_point, *corners))


def _coordinates(bits: _Bits, count: int) -> tuple[float, ...]:
    """Read chromaticities, which are signed millionths: the lowest bit is the sign."""
    numbers = (bits.number((0, 19), (1 << 19, 19), (1 << 20, 20), (1 << 21, 21)) for _ in range(2 * count))
    return tuple((-(number + 1) // 2 if number & 1 else number // 2) / _COORDINATE_UNIT for number in numbers)
