"""Colour properties of a BMP: a profile, or primaries and gamma. BITMAPV5HEADER and LOGCOLORSPACE, Windows GDI."""

from __future__ import annotations

import struct
from typing import BinaryIO

from convfilter.picture import limits

_FILE_HEADER_BYTES = 14
#: Sizes of the headers from which on they name a colour space, and have a profile.
_V4_BYTES, _V5_BYTES = 108, 124
_EMBEDDED, _LINKED, _CALIBRATED = 0x4D424544, 0x4C494E4B, 0
#: Units of the fixed-point numbers of primaries and gamma.
_FIXED_2_30, _FIXED_16_16 = 2.0**30, 2.0**16


def colours(file: BinaryIO) -> tuple[bytes | None, str]:
    """Read the profile of a BMP, or make one of its primaries and gamma.

    Parameters
    ----------
    file : BinaryIO
        Seekable; its position changes.

    Returns
    -------
    profile : bytes, or None
        ICC profile; None for sRGB.
    note : str
        Note about a profile that cannot be read; "" for none.

    Raises
    ------
    ReadError
        The profile is larger than ``limits.MOST_METADATA_BYTES``.
    """
    file.seek(_FILE_HEADER_BYTES)
    header = file.read(_V5_BYTES)
    size = int.from_bytes(header[:4], "little")
    if size < _V4_BYTES or len(header) < _V4_BYTES:
        return None, ""
    space = int.from_bytes(header[56:60], "little")
    if space == _CALIBRATED:
        return _of_primaries(header[60:96], header[96:108]), ""
    if space not in (_EMBEDDED, _LINKED) or size < _V5_BYTES or len(header) < _V5_BYTES:
        return None, ""
    if space == _LINKED:
        return None, "the colour profile of the BMP is in another file, which is not read; colours may be shown wrong"
    offset, length = struct.unpack_from("<II", header, 112)
    limits.Budget("BMP").spend(length)
    file.seek(_FILE_HEADER_BYTES + offset)
    profile = file.read(length)
    return (profile, "") if length and len(profile) == length else (None, "the colour profile of the BMP is damaged")


def _of_primaries(points: bytes, gammas: bytes) -> bytes | None:
    """Make a profile of three primaries in XYZ, and of the gamma of red."""
    from convfilter.picture.metadata import icc_write
    from convfilter.picture.metadata.curves import ParametricCurve

    values = [value / _FIXED_2_30 for value in struct.unpack("<9i", points)]
    triples = [values[at : at + 3] for at in (0, 3, 6)]
    gamma = int.from_bytes(gammas[:4], "little") / _FIXED_16_16
    white = [sum(column) for column in zip(*triples, strict=True)]
    if gamma <= 0 or any(sum(triple) <= 0 or triple[1] <= 0 for triple in (*triples, white)):
        return None  # zeros, as most writers leave them
    red, green, blue, shown_white = ((x / (x + y + z), y / (x + y + z)) for x, y, z in (*triples, white))
    return icc_write.matrix_profile("BMP", (red, green, blue, shown_white), ParametricCurve(gamma))
