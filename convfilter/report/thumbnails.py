"""Thumbnails for pages: pictures of 8 bits, with limits on pixels and bytes."""

from __future__ import annotations

import io
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from convfilter.picture.colour import with_depth
from convfilter.picture.frame import Frame
from convfilter.picture.metadata.metadata import Metadata
from convfilter.picture.picture import Picture
from convfilter.picture.pixels import Model, Pixels
from convfilter.picture.png.write import write_png
from convfilter.record import NamedTuple
from convfilter.sample_types import is_integer, is_wide, real_of

if TYPE_CHECKING:
    from PIL import Image

#: Most bytes of an embedded profile; colours of a larger profile are converted to sRGB.
_LARGEST_PROFILE = 8192
_QUALITIES = (90, 80, 70, 50)
#: Pixels of a band during the conversion to 8 bits.
BAND_PIXELS = 1 << 20
_LEAST_SIDE = 16


class Thumbnail(NamedTuple):
    """A picture in a page.

    Attributes
    ----------
    data : bytes
        Content of an image file.
    kind : str
        "png", "jpeg" or "webp".
    size : (int, int)
        Width and height in pixels.
    factor : int
        Each pixel is the mean of ``factor`` x ``factor`` pixels, fewer at the right and lower edge.
    full : (int, int)
        Width and height of the original picture.
    levels : (float, float), or None
        Sample values shown as black and white; None: 0 and white.
    """

    data: bytes
    kind: str
    size: tuple[int, int]
    factor: int
    full: tuple[int, int]
    levels: tuple[float, float] | None = None

    @property
    def is_exact(self) -> bool:
        """Whether all pixels are present, losslessly compressed."""
        return self.factor == 1 and self.kind == "png"

    @property
    def extent(self) -> tuple[float, float]:
        """Width and height that the pixels cover, divided by the picture's: at least 1, rounded up at the edges."""
        return self.size[0] * self.factor / self.full[0], self.size[1] * self.factor / self.full[1]


def thumbnail(
    pixels: Pixels, model: Model, alpha: bool, *, side: int, most_bytes: int, icc: bytes | None = None
) -> Thumbnail:
    """Reduce a picture by means over areas until it fits the limits.

    Parameters
    ----------
    pixels : (H, W) or (H, W, C) array
        Real values beyond 0..1, and integers that are signed or of more than 16 bits, are stretched: the least value
        becomes black, and the largest white.
    model, alpha
        Meaning of the channels; see ``Picture``.
    side : int
        Longest side in pixels.
    most_bytes : int
        Largest compressed size. The result is lossless if it fits without reduction.
    icc : bytes, optional
        Colour profile of the pixels.

    Returns
    -------
    Thumbnail
    """
    levels = _levels(pixels)
    full = pixels.shape[1], pixels.shape[0]
    factor = -(-max(full) // side)
    image, icc = _for_browsers(_reduced(pixels, model, alpha, levels, factor), icc)
    if factor == 1:
        data = _without_loss(image, icc, most_bytes)
        if data is not None:
            return Thumbnail(data, "png", full, 1, full, levels)
    data, kind, reduction = _with_loss(image, icc, most_bytes)
    size = -(-image.width // reduction), -(-image.height // reduction)
    return Thumbnail(data, kind, size, factor * reduction, full, levels)


def for_browsers(picture: Picture, factor: int = 1) -> bytes:
    """Encode the first frame as an 8-bit PNG for browsers, optionally reduced.

    Parameters
    ----------
    picture : Picture
    factor : int
        Each pixel of the PNG is the mean of ``factor`` by ``factor`` pixels.

    Returns
    -------
    bytes
        PNG with the picture's colour profile; with a large profile, colours are converted to sRGB.
    """
    picture = picture.full_range().straight()
    pixels = picture.without_extras(picture.pixels)
    reduced = _reduced(pixels, picture.model, picture.alpha, _levels(pixels), factor)
    image, icc = _for_browsers(reduced, picture.metadata.icc)
    stream = io.BytesIO()
    write_png(stream, [Frame(np.asarray(image))], Metadata(icc=icc), compression="fast")
    return stream.getvalue()


def _levels(pixels: Pixels) -> tuple[float, float] | None:
    """Return the smallest and largest value of signed samples, or of floats beyond 0..1, else None."""
    if not is_wide(pixels.dtype) and is_integer(pixels.dtype):
        return None
    low, high = float(pixels.min()), float(pixels.max())
    if is_integer(pixels.dtype):
        return (low, high) if high > low else None
    if not np.isfinite(low + high):
        finite = pixels[np.isfinite(pixels)]
        low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    return (low, high) if (low < 0 or high > 1) and high > low else None


def _reduced(pixels: Pixels, model: Model, alpha: bool, levels: tuple[float, float] | None, factor: int) -> Image.Image:
    """Reduce a picture to 8 bits and to means of ``factor`` by ``factor`` pixels, band by band."""
    from PIL import Image

    height, width = pixels.shape[:2]
    rows = factor * max(1, BAND_PIXELS // (width * factor))
    bands = [_image(pixels[top : top + rows], model, alpha, levels).reduce(factor) for top in range(0, height, rows)]
    whole = Image.new(bands[0].mode, (bands[0].width, sum(band.height for band in bands)))
    top = 0
    for band in bands:
        whole.paste(band, (0, top))
        top += band.height
    return whole


def _image(pixels: Pixels, model: Model, alpha: bool, levels: tuple[float, float] | None) -> Image.Image:
    from PIL import Image

    if levels is not None:
        low, high = levels
        real = real_of(pixels.dtype).type
        pixels = np.clip((pixels - real(low)) / real(high - low), 0, 1)
    samples = np.ascontiguousarray(with_depth(pixels, np.uint8))
    if model == "cmyk":
        return Image.frombytes("CMYK", (samples.shape[1], samples.shape[0]), samples[..., :4].tobytes())
    mode = {"gray": "L", "rgb": "RGB"}[model] + ("A" if alpha else "")
    return Image.frombytes(mode, (samples.shape[1], samples.shape[0]), samples.tobytes())


def _for_browsers(image: Image.Image, icc: bytes | None) -> tuple[Image.Image, bytes | None]:
    """Convert CMYK to RGB, and colours of a large profile to sRGB."""
    if image.mode != "CMYK" and (icc is None or len(icc) <= _LARGEST_PROFILE):
        return image, icc
    if icc is not None:
        from PIL import ImageCms

        mode = {"CMYK": "RGB"}.get(image.mode, image.mode)
        with suppress(ImageCms.PyCMSError, OSError, ValueError):
            profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
            converted = ImageCms.profileToProfile(image, profile, ImageCms.createProfile("sRGB"), outputMode=mode)
            if converted is not None:
                return converted, None
    return image.convert("RGB") if image.mode == "CMYK" else image, None


def _without_loss(image: Image.Image, icc: bytes | None, most_bytes: int) -> bytes | None:
    """Return a PNG, or None if it is too large."""
    # A PNG seldom takes less than an eighth of the samples' bytes; larger pictures are not tried.
    if len(image.getbands()) * image.width * image.height > 8 * most_bytes:
        return None
    stream = io.BytesIO()
    write_png(stream, [Frame(np.asarray(image))], Metadata(icc=icc), threads=1)
    return stream.getvalue() if stream.tell() <= most_bytes else None


def _with_loss(image: Image.Image, icc: bytes | None, most_bytes: int) -> tuple[bytes, str, int]:
    """Return a JPEG, or a WebP for a picture with alpha, its format, and the reduction factor with which it fits."""
    settings: dict[str, Any] = {"icc_profile": icc} if icc else {}
    opaque = image.mode in ("L", "RGB")
    kind = "jpeg" if opaque else "webp"
    settings |= {"subsampling": 0} if opaque else {"method": 2}
    factor = 1
    while True:
        for quality in _QUALITIES:
            stream = io.BytesIO()
            image.save(stream, kind, quality=quality, **settings)
            if stream.tell() <= most_bytes or (max(image.size) <= _LEAST_SIDE and quality == _QUALITIES[-1]):
                return stream.getvalue(), kind, factor
        image, factor = image.reduce(2), factor * 2
