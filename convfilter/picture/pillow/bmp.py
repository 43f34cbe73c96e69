"""Colour properties of a BMP, a profile, or primaries and gamma; and samples with masks that Pillow refuses.

BITMAPV5HEADER and LOGCOLORSPACE, Windows GDI.
"""

from __future__ import annotations

import struct
from typing import BinaryIO

import numpy as np

from convfilter.errors import ReadError
from convfilter.picture import limits
from convfilter.record import NamedTuple

_FILE_HEADER_BYTES = 14
#: Offset of the masks, the sizes of the first header and of the first one with a mask of opacity, and kinds of masks.
_MASKS_AT, _INFO_BYTES, _V3_BYTES, _ALPHA_MASKS = 54, 40, 56, 6
_WITH_MASKS = (3, _ALPHA_MASKS)
_PIXEL_TYPES, _BYTE_BITS = {16: "<u2", 32: "<u4"}, 8
#: Bits of a pixel, and masks, that Pillow decodes.
_USUAL = (
    (16, (0x7C00, 0x3E0, 0x1F, 0)),
    (16, (0xF800, 0x7E0, 0x1F, 0)),
    (32, (0xFF0000, 0xFF00, 0xFF, 0)),
    (32, (0xFF0000, 0xFF00, 0xFF, 0xFF000000)),
    (32, (0xFF000000, 0xFF0000, 0xFF00, 0)),
)
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


class Masked(NamedTuple):
    """A BMP whose samples have unusual masks: its size, signed as stored, bits of a pixel, and four masks."""

    width: int
    height: int
    bits: int
    masks: tuple[int, ...]


def masked(data: bytes) -> Masked | None:
    """Return the layout of a BMP that Pillow refuses, or whose opacity it drops; None for others.

    Parameters
    ----------
    data : bytes
        At least the header of the file.

    Returns
    -------
    Masked, or None
        None for masks with gaps or of more than 8 bits, too, which are left to Pillow's error.
    """
    if len(data) < _MASKS_AT + 16:
        return None
    size, width, height, _, bits, compression = struct.unpack_from("<I2i2HI", data, _FILE_HEADER_BYTES)
    if size < _INFO_BYTES or bits not in _PIXEL_TYPES or compression not in _WITH_MASKS or width <= 0 or not height:
        return None
    red, green, blue, alpha = struct.unpack_from("<4I", data, _MASKS_AT)
    masks = (red, green, blue, alpha if size >= _V3_BYTES or compression == _ALPHA_MASKS else 0)
    is_plain = all(_depth(mask) in range(1, _BYTE_BITS + 1) for mask in masks[:3])
    if (bits, masks) in _USUAL or not is_plain or _depth(masks[3]) not in range(_BYTE_BITS + 1):
        return None
    return Masked(width, height, bits, masks)


def unmasked(data: bytes, layout: Masked) -> bytes:
    """Return a BMP with the same pixels as 8 bits of blue, green, red and opacity each.

    Parameters
    ----------
    data : bytes
        The file.
    layout : Masked

    Raises
    ------
    ReadError
        The file is truncated.
    """
    width, height, bits, masks = layout
    start = int.from_bytes(data[10:14], "little")
    across = (width * bits + 31) // 32 * 32 // bits
    if len(data) - start < across * abs(height) * bits // 8:
        raise ReadError("the BMP is truncated")
    stored = np.frombuffer(data, _PIXEL_TYPES[bits], across * abs(height), start)
    pixels = stored.reshape(abs(height), across)[:, :width].astype(np.uint32)
    out = np.full((*pixels.shape, 4), 255, np.uint8)
    for channel, mask in zip((2, 1, 0, 3), masks, strict=True):
        if mask:
            values = (pixels & mask) >> (mask & -mask).bit_length() - 1
            out[..., channel] = np.rint(values * (255 / (2 ** _depth(mask) - 1)))
    samples, head_bytes = out.tobytes(), _FILE_HEADER_BYTES + _V4_BYTES
    usual = (0xFF0000, 0xFF00, 0xFF, 0xFF000000 if masks[3] else 0)
    head = struct.pack("<2sI4xI", b"BM", head_bytes + len(samples), head_bytes)
    head += struct.pack("<I2i2H2I", _V4_BYTES, width, height, 1, 32, _WITH_MASKS[0], len(samples))
    return (head + data[38:46] + bytes(8) + struct.pack("<4I4s", *usual, b"BGRs")).ljust(head_bytes, b"\0") + samples


def _depth(mask: int) -> int:
    """Return how many bits a mask has; -1 for a mask with gaps."""
    bits = mask.bit_count()
    return bits if mask == 0 or mask // (mask & -mask) == 2**bits - 1 else -1


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
