"""Convert pictures to linear light or luminance before a filter, and its results to stored samples, rounded once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from convfilter.errors import PictureError, ReadError
from convfilter.filters.stage import Stage
from convfilter.picture.metadata.metadata import Metadata
from convfilter.picture.picture import Picture
from convfilter.picture.pixels import Pixels
from convfilter.planning.offsets import in_fractions
from convfilter.record import replace
from convfilter.sample_types import full_scale, is_signed, real_of, sample_type

if TYPE_CHECKING:
    from convfilter.picture.metadata.curves import Curve


def weights_of(picture: Picture) -> tuple[float, float, float] | None:
    """Return the luminance weights of a picture whose primaries are not sRGB's.

    Parameters
    ----------
    picture : Picture

    Returns
    -------
    three floats of sum 1, or None
        From its profile, or from a PNG's code points or primaries. None: the engine's own weights apply.
    """
    from convfilter.picture.metadata import icc

    profile = _profile_of(picture.metadata) if picture.model == "rgb" and not picture.extras else None
    return icc.luminance(profile) if profile else None


def require_luminance(picture: Picture) -> None:
    """Refuse a picture with bands besides its colours, or in CMYK.

    Raises
    ------
    PictureError
    """
    if picture.extras:
        raise PictureError("a picture with bands besides its colours has no luminance", remedy="leave out {gray=True}")
    if picture.model == "cmyk":
        raise PictureError(
            "a CMYK picture has no luminance", remedy="convert it to RGB first, or leave out {gray=True}"
        )


def of_luminance(metadata: Metadata) -> Metadata:
    """Return the metadata of the luminance of an RGB picture, with a grey profile in place of its profile.

    A picture with sRGB's tone curve, which is the default, gets no profile. A profile without a tone curve stays,
    although it does not describe a grey picture.
    """
    from convfilter.picture.metadata import icc, icc_curves, transfer
    from convfilter.picture.metadata.curves import SRGB

    profile = metadata.icc
    if not profile or icc.model_of(profile) != "rgb":
        return metadata
    if icc_curves.curve_of(profile) is SRGB:
        return replace(metadata, icc=None)
    return replace(metadata, icc=transfer.luminance_profile(profile) or profile)


def _profile_of(metadata: Metadata) -> bytes | None:
    """Return the RGB profile of a picture, or one made from its PNG chunks; None without either, or for sRGB."""
    from convfilter.picture.metadata import cicp, icc

    if metadata.icc and icc.fits(metadata.icc, "rgb"):
        return metadata.icc
    return cicp.profile_of(dict(metadata.png), "rgb") if metadata.png else None


def converted_input(
    picture: Picture,
    stages: Sequence[Stage],
    stored: np.dtype[np.generic],
    *,
    linear: bool = True,
    weights: tuple[float, float, float] | None = None,
    converted_before: Picture | None = None,
) -> tuple[Picture, list[Stage], Curve]:
    """Convert a picture to linear light or luminance, and the stages' sample values with it.

    Parameters
    ----------
    picture : Picture
    stages : sequence of Stage
    stored : dtype
        Sample type of the stored result.
    linear : bool
        False: keep the stored values.
    weights : three floats, optional
        Weights of red, green and blue; None: keep the colours.
    converted_before : Picture, optional
        Picture that an earlier call with the same ``linear`` and ``weights`` returned.

    Returns
    -------
    picture : Picture
        With samples of float32 or float64, 0..1.
    stages : list of Stage
        Padding values and offsets are in linear light; unsigned integers still store the magnitude of edges.
    curve : Curve
        Curve to encode results with.

    Raises
    ------
    ReadError
        The picture is CMYK, its profile has no simple curve, or its samples are signed.
    ParameterError
        An offset is not a fraction of full scale.
    """
    from convfilter.picture.metadata.curves import LINEAR
    from convfilter.picture.metadata.transfer import curve_of

    if linear and is_signed(picture.outline.dtype):
        raise ReadError(
            f"signed samples ({picture.outline.dtype}) are measurements, not light",
            remedy="leave out {linear=True}",
        )
    curve = curve_of(picture) if linear else LINEAR
    white = picture.own_white or full_scale(picture.dtype)
    stages = [
        replace(stage, padding_value=converted_level(stage.padding_value, picture, curve))
        for stage in in_fractions(stages, picture.dtype, white)
    ]
    if stages[-1].signed and stages[-1].map is None and stored.kind == "u":
        stages[-1] = replace(stages[-1], map="abs")
    return converted_before or converted_picture(picture, curve, weights), stages, curve


def converted_picture(picture: Picture, curve: Curve, weights: tuple[float, float, float] | None = None) -> Picture:
    """Return a picture in linear light or luminance; samples that are not decoded yet are converted later.

    Parameters
    ----------
    picture : Picture
    curve : Curve
        Tone curve to decode.
    weights : three floats, optional
        Weights of red, green and blue; None: keep the colours.
    """
    from convfilter.picture.metadata.curves import linearized

    white = picture.own_white or full_scale(picture.dtype)
    dtype = real_of(picture.dtype)

    def to_light(rows: Pixels) -> Pixels:
        if picture.premultiplied:
            real = (rows / dtype.type(white)).astype(dtype)
            return _of_straight(real, lambda straight: linearized(straight, curve, True))
        return linearized(rows, curve, picture.alpha, white)

    def to_luminance(rows: Pixels) -> Pixels:
        light = to_light(rows)
        grey = light[..., :3].astype(np.float64) @ np.array(weights)
        return np.concatenate([grey[..., np.newaxis].astype(dtype), light[..., 3:]], axis=2)

    if weights is None:
        frames = [frame.mapped(to_light, dtype) for frame in picture.frames]
        return replace(picture, frames=frames, white=None, file_dtype=None)
    frames = [frame.mapped(to_luminance, dtype, 1 + picture.alpha) for frame in picture.frames]
    return replace(picture, frames=frames, model="gray", white=None, file_dtype=None)


def converted_level(value: float, picture: Picture, curve: Curve) -> float:
    """Return a sample of a picture as :func:`converted_picture` converts it to linear light."""
    white = picture.own_white or full_scale(picture.dtype)
    return float(curve.decode(np.array([value / white], real_of(picture.dtype)))[0])


def stored_samples(
    pixels: Pixels,
    alpha: bool,
    dtype: np.dtype[np.generic],
    white: float,
    out_white: float | None = None,
    *,
    curve: Curve | None,
    background: str | None,
    premultiplied: bool = False,
    straighten: bool = False,
) -> tuple[Pixels, int]:
    """Convert unrounded results to stored samples: encode the tone curve, composite over the background, round once.

    Parameters
    ----------
    pixels : (rows, cols, channels) array of float32 or float64
    alpha : bool
        The last channel is opacity.
    dtype : dtype
        Stored sample type.
    white : float
        Value of white in ``pixels``.
    out_white : float, optional
        The value of white in an integer result; None: the full scale of ``dtype``.
    curve : Curve, or None
        Tone curve to encode linear light with.
    background : str, or None
        Colour to composite over.
    premultiplied, straighten : bool
        Whether colours are premultiplied, and whether to unpremultiply them.

    Returns
    -------
    pixels : array of ``dtype``
        Without alpha if a background is given.
    clipped : int
        Number of samples out of the range of ``dtype``.
    """
    clipped = _clipped(pixels, white, dtype, out_white or full_scale(dtype))
    from convfilter.picture import colour

    result: Pixels = pixels
    if curve is not None:
        from convfilter.picture.metadata.curves import delinearized

        if premultiplied:
            result = _of_straight(pixels, lambda straight: delinearized(straight, curve, True, pixels.dtype))
        else:
            between = pixels.dtype if background else dtype
            result = delinearized(pixels, curve, alpha, between, None if background else out_white)
        white = 1.0
    if background is not None:
        result = colour.flattened(result, background, dtype, white, out_white, premultiplied)
    elif straighten:
        result = colour.straightened(result, dtype, white, out_white)
    elif premultiplied:
        result = colour.with_depth(result, dtype, white, out_white)
    return result, clipped


def _of_straight(pixels: Pixels, function: Callable[[Pixels], Pixels]) -> Pixels:
    """Apply a function of straight colours to premultiplied colours; where alpha is 0, it counts as 1."""
    alpha = np.where(pixels[:, :, -1:] > 0, pixels[:, :, -1:], pixels.dtype.type(1))
    straight = np.concatenate([pixels[:, :, :-1] / alpha, pixels[:, :, -1:]], axis=2)
    result = function(straight).astype(pixels.dtype)
    result[:, :, :-1] *= alpha
    return result


def _clipped(pixels: Pixels, white: float, dtype: np.dtype[np.generic], out_white: float) -> int:
    """Count the samples that lie outside the range of an integer ``dtype``, by more than rounding."""
    if dtype.kind == "f":
        return 0
    level = white / out_white
    least, most = (sample_type(dtype).low - 0.5) * level, white + 0.5 * level
    return sum(int(np.count_nonzero((row < least) | (row > most))) for row in pixels)
