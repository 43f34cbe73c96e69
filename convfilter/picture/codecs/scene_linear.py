"""Conversion of samples for formats of linear light."""

from __future__ import annotations

from convfilter.errors import ReadError, WriteError
from convfilter.picture.picture import Frame, Picture
from convfilter.picture.pixels import Pixels
from convfilter.record import replace

_LINEAR = 8


def scene_linear(picture: Picture, pixels: Pixels) -> Pixels:
    """Return samples in premultiplied linear light.

    Samples that were integers are decoded with the picture's tone curve, or sRGB's; floats only if the picture names a
    curve.

    Parameters
    ----------
    picture : Picture
    pixels : (H, W) or (H, W, C) array of float32
        Samples of one frame.

    Returns
    -------
    array of float32
        Has the shape of the input.

    Raises
    ------
    WriteError
        The tone curve is not one function for all channels.
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
