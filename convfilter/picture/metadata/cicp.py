"""Code points for colour (PNG's cICP chunk, AVIF's nclx box), and equivalent ICC profiles.

ITU-T H.273 (2024), tables 2 and 3; PNG third edition, sections 11.3.2.1 (cHRM) and 11.3.2.2 (gAMA).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import TYPE_CHECKING

from convfilter.picture.pixels import Model
from convfilter.picture.png import layout as png

if TYPE_CHECKING:
    from convfilter.picture.format import Format
    from convfilter.picture.metadata.curves import ParametricCurve
    from convfilter.picture.metadata.icc_write import Primaries

BT709, _UNSPECIFIED = 1, 2
_LINEAR, _SRGB = 8, 13
_TOLERANCE, _WHITE_TOLERANCE = 1e-4, 1e-3
#: BT.709, BT.2020 and Display P3.
_WITH_D65 = (BT709, 9, 12)
#: Transfer functions of BT.709, BT.601 and BT.2020, which screens show as sRGB.
_LIKEBT709 = (1, 6, 14, 15)
#: (primaries, transfer function) pairs that are shown like a picture without a colour space.
LIKE_SRGB = frozenset(
    (primaries, transfer) for primaries in (BT709, _UNSPECIFIED) for transfer in (*_LIKEBT709, _UNSPECIFIED, _SRGB)
)
_D65, _C = (0.3127, 0.3290), (0.310, 0.316)
#: Red, green, blue, white.
PRIMARIES: dict[int, Primaries] = {
    1: ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060), _D65),
    4: ((0.67, 0.33), (0.21, 0.71), (0.14, 0.08), _C),
    5: ((0.64, 0.33), (0.29, 0.60), (0.15, 0.06), _D65),
    6: ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070), _D65),
    7: ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070), _D65),
    8: ((0.681, 0.319), (0.243, 0.692), (0.145, 0.049), _C),
    9: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046), _D65),
    11: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), (0.314, 0.351)),
    12: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), _D65),
    22: ((0.630, 0.340), (0.295, 0.605), (0.155, 0.077), _D65),
}
_NAMES = {1: "BT.709", 9: "BT.2020", 11: "DCI-P3", 12: "Display P3"}
_TRANSFER_NAMES = {8: "linear", 13: "sRGB", 16: "PQ", 18: "HLG"}


def name_of(primaries: int, transfer: int) -> str:
    """Name a pair of code points."""
    space = _NAMES.get(primaries, f"primaries {primaries}")
    curve = "BT.709" if transfer in _LIKEBT709 else _TRANSFER_NAMES.get(transfer, f"transfer function {transfer}")
    return f"{space}, {curve}" if space != curve else space


def profile_of(chunks: Mapping[bytes, bytes], model: Model) -> bytes | None:
    """Make the ICC profile equivalent to a cICP chunk, or to gAMA and cHRM.

    Parameters
    ----------
    chunks : mapping
        Chunks of a PNG by their names.
    model : "gray" or "rgb"

    Returns
    -------
    bytes, or None
        None if no profile can express it (PQ, HLG), or none is needed.
    """
    if b"cICP" in chunks:
        return _of_code_points(chunks[b"cICP"][0], chunks[b"cICP"][1], model)
    if b"sRGB" in chunks or png.says_srgb(chunks):
        return None
    from convfilter.picture.metadata.curves import SRGB, ParametricCurve

    gamma = int.from_bytes(chunks.get(b"gAMA", b""), "big")
    curve = ParametricCurve(100_000 / gamma) if gamma and not png.is_srgb_gamma(gamma) else SRGB
    primaries = PRIMARIES[BT709]
    if png.has_primaries(chunks):
        white_x, white_y, *colours = (value / 100_000 for value in struct.unpack(">8I", chunks[b"cHRM"]))
        red, green, blue = ((colours[at], colours[at + 1]) for at in (0, 2, 4))
        primaries = (red, green, blue, (white_x, white_y))
    return _made("gamma and primaries of a PNG", primaries, curve, model)


def said_by(profile: bytes, model: Model, fmt: Format) -> list[tuple[bytes, bytes]]:
    """Return the chunks, of those that a format without profiles holds, that mean the same colours as a profile."""
    points = points_of(profile, model) if fmt.holds.cicp else None
    if points and not (fmt.only_bt709 and points[0] != BT709):
        return [(b"cICP", bytes([*points, 0, 1]))]
    return chunks_of(profile, model) if fmt.holds.primaries else []


def points_of(profile: bytes, model: Model) -> tuple[int, int] | None:
    """Return the code points that mean the same colours as an ICC profile.

    Parameters
    ----------
    profile : bytes
    model : "gray" or "rgb"

    Returns
    -------
    (int, int), or None
        Primaries and transfer function; None where the profile is for another model, or has a curve or primaries
        other than sRGB's, linear light's, Display P3's and BT.2020's.
    """
    import numpy as np

    from convfilter.picture.metadata import icc, icc_curves, icc_write
    from convfilter.picture.metadata.curves import SRGB

    curve = icc_curves.curve_of(profile) if icc.fits(profile, model) else None
    if curve is None:
        return None
    probes = np.linspace(0.0, 1.0, 257)
    is_linear = np.abs(curve.decode(probes) - probes).max() < _TOLERANCE
    transfer = _SRGB if curve is SRGB else _LINEAR if is_linear else None
    if transfer is None or model == "gray":
        return None if transfer is None else (BT709, transfer)
    colourants = icc.colourants(profile)
    for number in _WITH_D65:
        if max(abs(colourants - icc_write.colourants(PRIMARIES[number])).flat) <= icc.COLOURANT_TOLERANCE:
            return number, transfer
    return None


def chunks_of(profile: bytes, model: Model) -> list[tuple[bytes, bytes]]:
    """Return the gAMA and cHRM chunks that mean the same colours as an ICC profile, such as Adobe RGB.

    Parameters
    ----------
    profile : bytes
    model : "gray" or "rgb"

    Returns
    -------
    list of (name, data)
        Empty where the curve is no power, the white is not D65, or a primary is not one that a PNG can hold.
    """
    import numpy as np

    from convfilter.picture.metadata import icc, icc_curves, icc_write

    curve = icc_curves.curve_of(profile) if icc.fits(profile, model) and model == "rgb" else None
    if curve is None:
        return []
    probes = np.linspace(0.0, 1.0, 257)[1:]
    exponent = float(np.log(curve.decode(np.full(1, 0.5)))[0] / np.log(0.5))
    if exponent <= 0 or np.abs(curve.decode(probes) - probes**exponent).max() > _TOLERANCE:
        return []
    columns = np.linalg.inv(icc_write.adaptation(PRIMARIES[BT709][3])) @ icc.colourants(profile)
    points = np.vstack([columns.sum(axis=1), columns.T])
    places = points[:, :2] / points.sum(axis=1, keepdims=True) if points.sum(axis=1).all() else np.zeros((4, 2))
    if np.abs(places[0] - PRIMARIES[BT709][3]).max() > _WHITE_TOLERANCE or places.min() <= 0:
        return []
    fixed = np.rint(places * 100_000).astype(int).ravel().tolist()
    fixed[:2] = [31270, 32900]
    return [(b"gAMA", struct.pack(">I", round(100_000 / exponent))), (b"cHRM", struct.pack(">8I", *fixed))]


def _of_code_points(primaries: int, transfer: int, model: Model) -> bytes | None:
    from convfilter.picture.metadata.curves import SRGB, cicp_curve

    chromaticities = PRIMARIES.get(BT709 if primaries == _UNSPECIFIED else primaries)
    curve = SRGB if transfer == _UNSPECIFIED else cicp_curve(transfer)
    if chromaticities is None or curve is None:
        return None
    return _made(name_of(primaries, transfer), chromaticities, curve, model)


def _made(name: str, primaries: Primaries, curve: ParametricCurve, model: Model) -> bytes | None:
    import numpy as np

    from convfilter.picture.metadata import icc_write

    if model == "gray":
        return icc_write.gray_profile(name, curve)
    try:
        return icc_write.matrix_profile(name, primaries, curve)
    except (ZeroDivisionError, np.linalg.LinAlgError):  # primaries that span no triangle
        return None
