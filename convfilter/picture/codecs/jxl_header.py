"""Parser of JPEG XL headers: size, depth, channels and colours, before a pixel is decoded.

ISO/IEC 18181-1, annexes D.2 (SizeHeader) and D.3 (ImageMetadata, ColourEncoding); names and tables as in libjxl.
"""

from __future__ import annotations

from convfilter.errors import ReadError
from convfilter.record import NamedTuple

_MAGIC = b"\xff\x0a"
#: Most bytes of a header.
MOST_HEADER_BYTES = 4096
#: Ratios of width to height that a header stores as a number.
_RATIOS = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))
_ALPHA, _SPOT, _CFA = 0, 2, 5
GRAY, _XYB = 1, 2
_CUSTOM = 2
_D65, _EQUAL, _DCI = 1, 10, 11
#: (white point, primaries) to the primaries of ITU-T H.273.
PRIMARIES = {(_D65, 1): 1, (_D65, 9): 9, (_D65, 11): 12, (_DCI, 11): 11}
#: Transfer functions that ITU-T H.273 numbers alike: BT.709, linear, sRGB, PQ, DCI, HLG.
TRANSFERS = (1, 8, 13, 16, 17, 18)
_SRGB = (1, 13)
GAMMA_UNIT, COORDINATE_UNIT = 10_000_000, 1_000_000
#: Chromaticities of white points and of red, green and blue, by their numbers.
_WHITES = {_D65: (0.3127, 0.3290), _EQUAL: (1 / 3, 1 / 3), _DCI: (0.314, 0.351)}
_CORNERS = {
    1: (0.64, 0.33, 0.30, 0.60, 0.15, 0.06),
    9: (0.708, 0.292, 0.170, 0.797, 0.131, 0.046),
    11: (0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
}
#: Exponents that encode linear light: 1 for linear samples and, approximately, that of sRGB's curve.
_GAMMAS = {8: 1.0, 13: 0.45455}


class Header(NamedTuple):
    """The header of a codestream.

    Attributes
    ----------
    width, height : int
        In pixels, after the orientation is applied.
    bits : int
        Bits of a sample.
    floats, gray, animated : bool
        Whether samples are floats, the picture is grey, and it has several frames.
    extra : tuple of int
        Types of the channels besides the colours; 0 is alpha.
    premultiplied : bool
        Whether colours are multiplied by alpha.
    lossless : bool
        Whether colours are stored without a transform, as lossless encoders do.
    colours : (int, int), or None
        Code points of ITU-T H.273 for primaries and transfer function; None for an ICC profile or custom values.
    gamma : float
        With custom values: exponent that encodes linear light, such as 1/2.2; else 0.
    chromaticities : tuple of float
        With custom values: x and y of white, red, green and blue; else empty.
    profile : bool
        Whether an ICC profile, which follows the header, defines the colours.
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


class Bits:
    """Reader of bit fields, from the least significant bit of each byte up."""

    def __init__(self, data: bytes) -> None:
        self._number, self._left = int.from_bytes(data, "little"), 8 * len(data)
        self.at = 0

    def take(self, count: int) -> int:
        """Read an integer of ``count`` bits."""
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
    bits = Bits(codestream[2:MOST_HEADER_BYTES])
    height, width = read_size(bits)
    if bits.flag():
        return Header(width, height)
    animated, is_transposed = False, False
    if bits.flag():
        is_transposed = bits.take(3) >= 4
        if bits.flag():
            read_size(bits)
        if bits.flag():
            _skip_preview(bits)
        animated = bits.flag()
        if animated:
            _skip_animation(bits)
    floats, depth = read_depth(bits)
    bits.flag()
    extra, premultiplied = [], False
    for _ in range(bits.number((0, 0), (1, 0), (2, 4), (1, 12))):
        kind, is_associated = read_extra_channel(bits)
        extra.append(kind)
        premultiplied |= is_associated
    lossless = not bits.flag()
    encoding = read_colours(bits)
    if is_transposed:
        width, height = height, width
    return Header(
        width, height, depth, floats, encoding.gray, tuple(extra), premultiplied, animated, lossless, encoding.colours,
        encoding.gamma, encoding.chromaticities, encoding.profile,
    )  # fmt: skip


def size_of(codestream: bytes) -> tuple[int, int] | None:
    """Return the stored width and height, before the orientation is applied; None if the header is truncated."""
    try:
        height, width = read_size(Bits(codestream[2:MOST_HEADER_BYTES]))
    except ReadError:
        return None
    return width, height


def read_size(bits: Bits) -> tuple[int, int]:
    """Read height and width."""
    is_small = bits.flag()

    def side() -> int:
        return 8 * (bits.take(5) + 1) if is_small else bits.number((1, 9), (1, 13), (1, 18), (1, 30))

    height = side()
    ratio = bits.take(3)
    return height, height * _RATIOS[ratio - 1][0] // _RATIOS[ratio - 1][1] if ratio else side()


def _skip_preview(bits: Bits) -> None:
    """Skip the size of a preview."""
    is_small = bits.flag()
    choices = ((16, 0), (32, 0), (1, 5), (33, 9)) if is_small else ((1, 6), (65, 8), (321, 10), (1345, 12))
    bits.number(*choices)
    if not bits.take(3):
        bits.number(*choices)


def _skip_animation(bits: Bits) -> None:
    """Skip ticks per second, number of loops, and whether frames have time codes."""
    bits.number((100, 0), (1000, 0), (1, 10), (1, 30))
    bits.number((1, 0), (1001, 0), (1, 8), (1, 10))
    bits.number((0, 0), (0, 3), (0, 16), (0, 32))
    bits.flag()


def read_depth(bits: Bits) -> tuple[bool, int]:
    """Read whether samples are floats, and their bits."""
    if not bits.flag():
        return False, bits.number((8, 0), (10, 0), (12, 0), (1, 6))
    depth = bits.number((32, 0), (16, 0), (24, 0), (1, 6))
    bits.take(4)
    return True, depth


def read_extra_channel(bits: Bits) -> tuple[int, bool]:
    """Read the type of a channel besides the colours, and whether colours are multiplied by it."""
    if bits.flag():
        return _ALPHA, False
    kind = bits.enum()
    read_depth(bits)
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


def read_colours(bits: Bits) -> _Encoding:
    """Read a colour encoding."""
    if bits.flag():
        return _Encoding(colours=_SRGB)
    has_profile, space = bits.flag(), bits.enum()
    gray = space == GRAY
    if has_profile or space == _XYB:
        return _Encoding(gray, profile=has_profile)
    white = bits.enum()
    white_point = _coordinates(bits, 1) if white == _CUSTOM else _WHITES.get(white)
    primaries = bits.enum() if not gray else 1
    corners = _coordinates(bits, 3) if primaries == _CUSTOM else _CORNERS.get(primaries)
    has_gamma = bits.flag()
    transfer = bits.take(24) if has_gamma else bits.enum()
    bits.enum()
    points = PRIMARIES.get((white, primaries))
    if points is not None and not has_gamma and transfer in TRANSFERS:
        return _Encoding(gray, (points, transfer))
    gamma = transfer / GAMMA_UNIT if has_gamma else _GAMMAS.get(transfer, 0.0)
    if not gamma or white_point is None or corners is None or min(*white_point, *corners) < 0:
        return _Encoding(gray)  # PNG chunks, which carry the values, cannot hold negative ones
    return _Encoding(gray, None, gamma, (*white_point, *corners))


def _coordinates(bits: Bits, count: int) -> tuple[float, ...]:
    """Read the x and y of ``count`` chromaticities, signed millionths whose lowest bit is the sign."""
    numbers = (bits.number((0, 19), (1 << 19, 19), (1 << 20, 20), (1 << 21, 21)) for _ in range(2 * count))
    return tuple((-(number + 1) // 2 if number & 1 else number // 2) / COORDINATE_UNIT for number in numbers)
