"""The tone curve of a picture: from its profile or PNG chunks, else sRGB's."""

from __future__ import annotations

from convfilter.errors import ReadError
from convfilter.picture.metadata import icc, icc_curves
from convfilter.picture.metadata.curves import SRGB, Curve, ParametricCurve, cicp_curve
from convfilter.picture.metadata.icc import space_of
from convfilter.picture.picture import Picture

_GAMA_SRGB = 45455
_LEAVE_OUT = "leave out {linear=True}"


def curve_of(picture: Picture) -> Curve:
    """Return the tone curve of a picture: from its profile or PNG chunks, else sRGB's.

    Parameters
    ----------
    picture : Picture
        Grey or RGB.

    Returns
    -------
    Curve

    Raises
    ------
    ReadError
        The picture is CMYK, or its profile or cICP chunk has no simple curve.
    """
    if picture.extras:
        raise ReadError("bands beside the colours have no linear light", remedy=_LEAVE_OUT)
    if picture.model == "cmyk":
        raise ReadError("CMYK has no linear light", remedy=f"convert the picture to RGB first, or {_LEAVE_OUT}")
    chunks = dict(picture.metadata.png)
    if b"cICP" in chunks:
        transfer = chunks[b"cICP"][1]
        simple = cicp_curve(transfer)
        if simple is None:
            raise ReadError(f"the transfer function {transfer} is no simple curve", remedy=_LEAVE_OUT)
        return simple
    profile = picture.metadata.icc
    if profile and icc.fits(profile, picture.model):
        curve = icc_curves.curve_of(profile)
        if curve is None:
            raise ReadError(
                "the ICC profile has no simple tone curve", remedy=f"convert the picture to sRGB, or {_LEAVE_OUT}"
            )
        return curve
    gamma = int.from_bytes(chunks.get(b"gAMA", b""), "big")
    if b"sRGB" in chunks or gamma in (0, _GAMA_SRGB):
        return SRGB
    return ParametricCurve(100_000 / gamma)


def is_srgb(profile: bytes) -> bool:
    """Whether a profile equals the default: sRGB, or its tone curve for grey."""
    if icc_curves.curve_of(profile) is not SRGB:
        return False
    return space_of(profile) == "gray" or icc.has_srgb_primaries(profile)


def luminance_profile(profile: bytes) -> bytes | None:
    """Return the profile of the luminance of an RGB picture: grey with the same tone curve.

    Parameters
    ----------
    profile : bytes
        For RGB.

    Returns
    -------
    bytes, or None
        None if its channels have no common tone curve.
    """
    from convfilter.picture.metadata import icc_write

    if icc_curves.curve_of(profile) is None:
        return None
    return icc_write.gray_profile(f"Luminance of {icc.description(profile) or 'RGB'}", icc.tags(profile)[b"gTRC"])
