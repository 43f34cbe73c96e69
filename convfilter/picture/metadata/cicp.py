"""Code points for colour (PNG's cICP chunk, AVIF's nclx box), and equivalent ICC profiles.

ITU-T H.273 (2024), tables 2 and 3; PNG third edition, sections 11.3.2.1 (cHRM) and 11.3.2.2 (gAMA).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from convfilter.picture.colour_chunks import (
    LINEAR,
    SRGB,
    Chromaticities,
    Chunk,
    chromaticities_of,
    cicp_chunk,
    exponent_of,
    gamma_chunks,
)
from convfilter.picture.pixels import Model
from convfilter.picture.png import layout as png

if TYPE_CHECKING:
    from convfilter.picture.format import Format
    from convfilter.picture.metadata.curves import ParametricCurve

#: Code points of primaries; 2 also means an unspecified transfer function.
BT709_PRIMARIES, _UNSPECIFIED = 1, 2
#: Further code points of transfer functions: powers of 2.2 and 2.8.
_GAMMA22, _GAMMA28 = 4, 5
#: Transfer functions of BT.709, BT.601 and BT.2020, which screens show as sRGB.
_LIKE_BT709 = (1, 6, 14, 15)
#: Curves, and white points, that differ by no more (in x or y) are equal.
_CURVE_TOLERANCE, _WHITE_TOLERANCE = 1e-4, 1e-3
#: Code points with which profiles are compared, primaries of white D65: BT.709, BT.2020 and Display P3.
_WITH_D65 = (BT709_PRIMARIES, 9, 12)
#: (primaries, transfer function) pairs that are shown like a picture without a colour space.
LIKE_SRGB = frozenset(
    (primaries, transfer)
    for primaries in (BT709_PRIMARIES, _UNSPECIFIED)
    for transfer in (*_LIKE_BT709, _UNSPECIFIED, SRGB)
)
_D65, _C = (0.3127, 0.3290), (0.310, 0.316)
#: Chromaticities of red, green, blue and white, by code point.
PRIMARIES: dict[int, Chromaticities] = {
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
    """Name a pair of code points, such as "Display P3, sRGB"."""
    space = _NAMES.get(primaries, f"primaries {primaries}")
    curve = "BT.709" if transfer in _LIKE_BT709 else _TRANSFER_NAMES.get(transfer, f"transfer function {transfer}")
    return f"{space}, {curve}" if space != curve else space


def transfer_curve(transfer: int) -> ParametricCurve | None:
    """Return the tone curve of a transfer function.

    Parameters
    ----------
    transfer : int
        Code point.

    Returns
    -------
    ParametricCurve, or None
        None for an unknown code point, for a function that is not one curve for all channels, and for one that refers
        to a scene (HLG) or to absolute luminance (PQ).
    """
    from convfilter.picture.metadata import curves

    if transfer in _LIKE_BT709:
        return curves.BT709
    powers = {_GAMMA22: curves.ParametricCurve(2.2), _GAMMA28: curves.ParametricCurve(2.8)}
    return {SRGB: curves.SRGB, LINEAR: curves.LINEAR, **powers}.get(transfer)


def gamma_curve(chunks: Mapping[bytes, bytes]) -> ParametricCurve:
    """Return the tone curve of the gAMA chunk among the chunks (contents by name): a power, or sRGB's curve.

    sRGB's curve is that of chunks without gAMA, and of an exponent of about 1/2.2 with sRGB's primaries or without
    cHRM. With other primaries, such as Adobe RGB's, 1/2.2 is a power.
    """
    from convfilter.picture.metadata import curves

    exponent = exponent_of(chunks)
    return curves.SRGB if exponent is None or png.says_srgb(chunks) else curves.ParametricCurve(1 / exponent)


def profile_of(chunks: Mapping[bytes, bytes], model: Model) -> bytes | None:
    """Make the ICC profile equivalent to a cICP chunk, or to gAMA and cHRM.

    Parameters
    ----------
    chunks : mapping of bytes to bytes
        Contents of a PNG's chunks by name.
    model : "gray" or "rgb"
        Colour model of the picture.

    Returns
    -------
    bytes, or None
        None if no profile can express the colours (PQ, HLG), or if they are sRGB, which is the default.
    """
    if b"cICP" in chunks:
        return _of_code_points(chunks[b"cICP"][0], chunks[b"cICP"][1], model)
    if b"sRGB" in chunks or png.says_srgb(chunks):
        return None
    primaries = chromaticities_of(chunks) or PRIMARIES[BT709_PRIMARIES]
    return _profile("gamma and primaries of a PNG", primaries, gamma_curve(chunks), model)


def equivalent_chunks(profile: bytes, model: Model, fmt: Format) -> list[Chunk]:
    """Return the PNG chunks for the colours of a profile, for a format without profiles.

    Parameters
    ----------
    profile : bytes
        ICC profile.
    model : "gray" or "rgb"
        Colour model of the picture.
    fmt : Format
        The output's format; only chunks that it holds are returned.

    Returns
    -------
    list of (name, data)
        cICP alone, or gAMA and cHRM; empty if no chunks are equivalent.
    """
    points = points_of(profile, model) if fmt.holds.cicp else None
    if points and not (fmt.only_bt709 and points[0] != BT709_PRIMARIES):
        return [cicp_chunk(*points)]
    return chunks_of(profile, model) if fmt.holds.primaries else []


def points_of(profile: bytes, model: Model) -> tuple[int, int] | None:
    """Return the code points for the colours of an ICC profile.

    Parameters
    ----------
    profile : bytes
    model : "gray" or "rgb"

    Returns
    -------
    (int, int), or None
        Primaries and transfer function. None if the profile is for another model, if its curve is neither sRGB's nor
        linear, or if its primaries are not those of sRGB, Display P3 or BT.2020.
    """
    import numpy as np

    from convfilter.picture.metadata import curves, icc, icc_curves, icc_write

    curve = icc_curves.curve_of(profile) if icc.fits(profile, model) else None
    if curve is None:
        return None
    probes = np.linspace(0.0, 1.0, 257)
    is_linear = np.abs(curve.decode(probes) - probes).max() < _CURVE_TOLERANCE
    transfer = SRGB if curve is curves.SRGB else LINEAR if is_linear else None
    if transfer is None or model == "gray":
        return None if transfer is None else (BT709_PRIMARIES, transfer)
    colourants = icc.colourants(profile)
    for number in _WITH_D65:
        if max(abs(colourants - icc_write.colourants(PRIMARIES[number])).flat) <= icc.COLOURANT_TOLERANCE:
            return number, transfer
    return None


def chunks_of(profile: bytes, model: Model) -> list[Chunk]:
    """Return the gAMA and cHRM chunks for the colours of an ICC profile, such as Adobe RGB.

    Parameters
    ----------
    profile : bytes
    model : "gray" or "rgb"

    Returns
    -------
    list of (name, data)
        Empty for grey, for a curve that is not a power, for another white than D65, and for primaries with a negative x
        or y, which a PNG cannot hold.
    """
    import numpy as np

    from convfilter.picture.metadata import icc, icc_curves, icc_write

    curve = icc_curves.curve_of(profile) if model == "rgb" and icc.fits(profile, model) else None
    if curve is None:
        return []
    probes = np.linspace(0.0, 1.0, 257)[1:]
    exponent = float(np.log(curve.decode(np.full(1, 0.5)))[0] / np.log(0.5))
    if exponent <= 0 or np.abs(curve.decode(probes) - probes**exponent).max() > _CURVE_TOLERANCE:
        return []
    colourants = np.linalg.inv(icc_write.adaptation(_D65)) @ icc.colourants(profile)
    xyz = np.vstack([colourants.sum(axis=1), colourants.T])  # of white, red, green and blue
    sums = xyz.sum(axis=1, keepdims=True)
    chromaticities = xyz[:, :2] / sums if sums.all() else np.zeros((4, 2))
    if np.abs(chromaticities[0] - _D65).max() > _WHITE_TOLERANCE or chromaticities.min() <= 0:
        return []
    return gamma_chunks(1 / exponent, [*chromaticities[1:].ravel().tolist(), *_D65])


def _of_code_points(primaries: int, transfer: int, model: Model) -> bytes | None:
    chromaticities = PRIMARIES.get(BT709_PRIMARIES if primaries == _UNSPECIFIED else primaries)
    curve = transfer_curve(SRGB if transfer == _UNSPECIFIED else transfer)
    if chromaticities is None or curve is None:
        return None
    return _profile(name_of(primaries, transfer), chromaticities, curve, model)


def _profile(name: str, primaries: Chromaticities, curve: ParametricCurve, model: Model) -> bytes | None:
    import numpy as np

    from convfilter.picture.metadata import icc_write

    if model == "gray":
        return icc_write.gray_profile(name, curve)
    try:
        return icc_write.matrix_profile(name, primaries, curve)
    except (ZeroDivisionError, np.linalg.LinAlgError):  # primaries that span no triangle
        return None
