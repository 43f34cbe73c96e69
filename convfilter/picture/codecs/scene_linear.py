"""Conversion to premultiplied linear light, for formats that store it (OpenEXR, Radiance HDR)."""

from __future__ import annotations

from convfilter.errors import ReadError, WriteError
from convfilter.picture.colour_chunks import LINEAR
from convfilter.picture.frame import Frame
from convfilter.picture.picture import Picture
from convfilter.picture.pixels import Pixels
from convfilter.record import replace


def scene_linear(picture: Picture, pixels: Pixels) -> Pixels:
    """Convert samples to premultiplied linear light.

    Samples that were integers are decoded with the picture's tone curve, by default sRGB's. Floats count as linear
    light unless the picture names a curve.

    Parameters
    ----------
    picture : Picture
    pixels : (H, W) or (H, W, C) array of float32
        Samples of a frame of the picture; 1 is white.

    Returns
    -------
    array of float32
        Same shape; the input itself if nothing changes.

    Raises
    ------
    WriteError
        The tone curve is not one function for all channels.
    """
    metadata = picture.metadata
    names_curve = metadata.icc or {b"cICP", b"gAMA", b"sRGB"} & {kind for kind, _ in metadata.png}
    is_linear = metadata.code_points is not None and metadata.code_points[1] == LINEAR
    if (names_curve or metadata.from_integers) and not is_linear:
        from convfilter.picture.metadata.curves import linearized
        from convfilter.picture.metadata.transfer import curve_of

        picture = replace(picture, frames=[Frame(pixels)]).straight()
        try:
            curve = curve_of(picture)
        except ReadError as error:
            raise WriteError(f"the format holds linear light; {error}") from error
        pixels = linearized(picture.pixels, curve, picture.alpha)
    if picture.alpha and not picture.premultiplied:
        pixels = pixels.copy()
        pixels[..., :-1] *= pixels[..., -1:]
    return pixels
