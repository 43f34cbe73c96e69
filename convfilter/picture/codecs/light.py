"""Samples for formats that hold linear light."""

from __future__ import annotations

from dataclasses import replace

from convfilter.errors import ReadError, WriteError
from convfilter.picture.picture import Frame, Picture
from convfilter.picture.pixels import Pixels

_LINEAR = 8


def scene_linear(picture: Picture, pixels: Pixels) -> Pixels:
    """Return samples in linear light, multiplied with opacity.

    Samples that were integers are converted by the tone curve that the picture names, or sRGB's; floats only if it
    names one.

    Parameters
    ----------
    picture : Picture
    pixels : (H, W) or (H, W, C) array of float32
        Those of one of its frames.

    Returns
    -------
    array of float32
        Of the same shape.

    Raises
    ------
    WriteError
        The tone curve is not a simple one.
    """
    points = dict(picture.metadata.png).get(b"cICP")
    alpha = picture.alpha
    says_curve = picture.metadata.icc or {b"cICP", b"gAMA", b"sRGB"} & {kind for kind, _ in picture.metadata.png}
    if (says_curve or picture.metadata.from_integers) and (points is None or points[1] != _LINEAR):
        from convfilter.picture.metadata.curves import linearized
        from convfilter.picture.metadata.transfer import curve_of

        picture = replace(picture, frames=[Frame(pixels)]).straight()
        try:
            curve = curve_of(picture)
        except ReadError as error:
            raise WriteError(f"the format holds linear light; {error}") from error
        pixels = linearized(picture.pixels, curve, alpha)
    if alpha and not picture.premultiplied:
        pixels = pixels.copy()
        pixels[..., :-1] *= pixels[..., -1:]
    return pixels
