"""Choose the tone curve of a picture: from its profile or PNG chunks, else sRGB's."""

from __future__ import annotations

from convfilter.errors import ReadError
from convfilter.picture.metadata import icc, icc_curves
from convfilter.picture.metadata.cicp import gamma_curve, transfer_curve
from convfilter.picture.metadata.curves import SRGB, Curve
from convfilter.picture.picture import Picture

_LEAVE_OUT = "leave out {linear=True}"


def curve_of(picture: Picture) -> Curve:
    """Return the tone curve of a picture.

    Parameters
    ----------
    picture : Picture
        Grey or RGB.

    Returns
    -------
    Curve
        The curve of the first of these that the picture has, in the order of the PNG specification: code points (cICP),
        ICC profile, sRGB chunk, gamma (gAMA). Without any of them, sRGB's curve.

    Raises
    ------
    ReadError
        The picture is CMYK or has bands besides its colours, or its code points or profile do not define one curve for
        all channels.
    """
    if picture.extras:
        raise ReadError(
            "a picture with bands besides its colours cannot be filtered in linear light", remedy=_LEAVE_OUT
        )
    if picture.model == "cmyk":
        raise ReadError(
            "a CMYK picture cannot be filtered in linear light",
            remedy=f"convert the picture to RGB first, or {_LEAVE_OUT}",
        )
    points = picture.metadata.code_points
    if points is not None:
        named = transfer_curve(points[1])
        if named is None:
            raise ReadError(f"the transfer function {points[1]} is not a simple curve", remedy=_LEAVE_OUT)
        return named
    profile = picture.metadata.icc
    if profile and icc.fits(profile, picture.model):
        curve = icc_curves.curve_of(profile)
        if curve is None:
            raise ReadError(
                "the ICC profile has no simple tone curve", remedy=f"convert the picture to sRGB, or {_LEAVE_OUT}"
            )
        return curve
    chunks = dict(picture.metadata.png)
    return SRGB if b"sRGB" in chunks else gamma_curve(chunks)


def is_srgb(profile: bytes) -> bool:
    """Whether a profile equals the default: sRGB or, for grey, sRGB's tone curve."""
    if icc_curves.curve_of(profile) is not SRGB:
        return False
    return icc.model_of(profile) == "gray" or icc.has_srgb_primaries(profile)


def luminance_profile(profile: bytes) -> bytes | None:
    """Make the grey profile with the tone curve of an RGB profile, for the luminance of an RGB picture.

    Parameters
    ----------
    profile : bytes
        ICC profile for RGB.

    Returns
    -------
    bytes, or None
        None if the channels of the profile have no common tone curve.
    """
    from convfilter.picture.metadata import icc_write

    if icc_curves.curve_of(profile) is None:
        return None
    return icc_write.gray_profile(f"Luminance of {icc.description(profile) or 'RGB'}", icc.tags(profile)[b"gTRC"])
