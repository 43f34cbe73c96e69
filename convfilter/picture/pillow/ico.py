"""The best picture of an icon or cursor file, on its own: Pillow takes the one of the fewest colours of the largest.

Windows SDK, "Icons" (J. Hornick, 1995): ICONDIR and ICONDIRENTRY; the bits of a cursor's entry are its hot spot.
"""

from __future__ import annotations

import struct

from convfilter.record import NamedTuple

_HEADER, _ENTRY = struct.Struct("<3H"), struct.Struct("<4B2H2I")
_PNG = b"\x89PNG\r\n\x1a\n"
_DIB_BYTES, _FULL_BITS, _COLOUR_BITS = 40, 32, 24


class _Icon(NamedTuple):
    """Area and bits of a pixel, the number of the entry, and the bytes of the picture."""

    area: int
    bits: int
    number: int
    data: bytes


def best(data: bytes) -> bytes | None:
    """Return an icon file with the largest picture of a file, of equal ones that with the most colours.

    Parameters
    ----------
    data : bytes
        An icon or cursor file.

    Returns
    -------
    bytes, or None
        None if the file is malformed. Pictures of 32 bits whose opacity is 0 everywhere have that of their mask.
    """
    if len(data) < _HEADER.size:
        return None
    count = _HEADER.unpack_from(data)[2]
    icons = []
    for number in range(min(count, (len(data) - _HEADER.size) // _ENTRY.size)):
        size, start = _ENTRY.unpack_from(data, _HEADER.size + number * _ENTRY.size)[6:]
        icons.append(_icon(number, data[start : start + size]))
    whole = [icon for icon in icons if icon is not None]
    if not whole or len(whole) < count:
        return None
    icon = max(whole, key=lambda icon: (icon.area, icon.bits, -icon.number))
    entry = _ENTRY.unpack_from(data, _HEADER.size + icon.number * _ENTRY.size)
    start = _HEADER.size + _ENTRY.size
    head = _HEADER.pack(0, 1, 1) + _ENTRY.pack(*entry[:4], 1, icon.bits, len(icon.data), start)
    return head + icon.data


def _icon(number: int, data: bytes) -> _Icon | None:
    if data.startswith(_PNG) and len(data) >= 24:
        width, height = struct.unpack_from(">2I", data, 16)
        return _Icon(width * height, _FULL_BITS, number, data)
    if len(data) < _DIB_BYTES:
        return None
    header, width, height, _, bits = struct.unpack_from("<I2i2H", data)
    height //= 2  # the mask counts, too
    if bits == _FULL_BITS and not any(data[header + 3 : header + 4 * width * height : 4]):
        bits = _COLOUR_BITS
    return _Icon(width * height, bits, number, data) if width > 0 and height > 0 else None
