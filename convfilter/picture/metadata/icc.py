"""Header, tags and primaries of ICC profiles. ICC.1:2022 (profile version 4.4), sections 7.2 and 7.3."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from convfilter.picture.pixels import Model

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_MODELS: dict[bytes, Model] = {b"GRAY": "gray", b"RGB ": "rgb", b"CMYK": "cmyk"}
_MAX_TAGS = 1024
#: Columns of the matrix from linear sRGB to the profile connection space (XYZ, D50), to four decimals.
_SRGB_COLOURANTS = {
    b"rXYZ": (0.4361, 0.2225, 0.0139),
    b"gXYZ": (0.3851, 0.7169, 0.0971),
    b"bXYZ": (0.1431, 0.0606, 0.7141),
}
#: Colourants that differ by no more are equal.
COLOURANT_TOLERANCE = 0.003


def model_of(profile: bytes) -> Model | None:
    """Return the colour model that a profile is for; None for other models, such as Lab, and for a damaged profile."""
    return _MODELS.get(profile[16:20]) if has_signature(profile) else None


def has_signature(profile: bytes) -> bool:
    """Whether the header of a profile has the signature of all ICC profiles."""
    return profile[36:40] == b"acsp"


def fits(profile: bytes, model: Model) -> bool:
    """Whether a profile is for pictures of this model."""
    return model_of(profile) == model


def tags(profile: bytes) -> dict[bytes, bytes]:
    """Return the contents of a profile's tags by their signatures, such as ``b"rTRC"``.

    Parameters
    ----------
    profile : bytes

    Returns
    -------
    dict of bytes to bytes
        Without tags that reach beyond the end of the profile.
    """
    count = int.from_bytes(profile[128:132], "big")
    by_name = {}
    for index in range(min(count, _MAX_TAGS)):
        entry = profile[132 + 12 * index : 144 + 12 * index]
        if len(entry) < 12:
            break
        name, offset, size = struct.unpack(">4sII", entry)
        if offset + size <= len(profile):
            by_name[name] = profile[offset : offset + size]
    return by_name


def has_srgb_primaries(profile: bytes) -> bool:
    """Whether the colourants of a profile are those of sRGB."""
    by_name = tags(profile)
    return all(
        abs(have - wanted) <= COLOURANT_TOLERANCE
        for name, column in _SRGB_COLOURANTS.items()
        for have, wanted in zip(_xyz(by_name.get(name, b"")), column, strict=True)
    )


def colourants(profile: bytes) -> npt.NDArray[np.float64]:
    """Return the matrix from linear RGB to the profile connection space (XYZ, D50).

    Parameters
    ----------
    profile : bytes

    Returns
    -------
    (3, 3) array of float64
        Columns of red, green and blue; zeros for colourants that the profile lacks.
    """
    import numpy as np

    by_name = tags(profile)
    return np.array([_xyz(by_name.get(name, b"")) for name in _SRGB_COLOURANTS]).T


def luminance(profile: bytes) -> tuple[float, float, float] | None:
    """Return the luminance weights of red, green and blue, from the primaries of a profile.

    Parameters
    ----------
    profile : bytes

    Returns
    -------
    three floats of sum 1, or None
        None if the profile is not for RGB, or its primaries are sRGB's or missing.
    """
    by_name = tags(profile)
    parts = [_xyz(by_name.get(name, b""))[1] for name in _SRGB_COLOURANTS]
    if model_of(profile) != "rgb" or min(parts) < 0 or sum(parts) <= 0 or has_srgb_primaries(profile):
        return None
    red, green, blue = (part / sum(parts) for part in parts)
    return red, green, blue


def _xyz(tag: bytes) -> tuple[float, float, float]:
    """Parse an XYZType; zeros if it is truncated."""
    if len(tag) < 20:
        return 0.0, 0.0, 0.0
    x, y, z = struct.unpack_from(">3i", tag, 8)
    return x / 65536, y / 65536, z / 65536


def description(profile: bytes) -> str:
    """Return the name of a profile, of at most 60 characters; "" if the profile has none."""
    tag = tags(profile).get(b"desc", b"")
    if tag[:4] == b"desc":
        length = int.from_bytes(tag[8:12], "big")
        text = tag[12 : 12 + length].decode("latin-1")
    elif tag[:4] == b"mluc" and len(tag) >= 28:
        length, offset = struct.unpack_from(">II", tag, 20)
        text = tag[offset : offset + length].decode("utf-16-be", "replace")
    else:
        return ""
    return text.partition("\0")[0].strip()[:60]
