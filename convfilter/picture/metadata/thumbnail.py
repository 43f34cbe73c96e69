"""Make the thumbnail of a filtered picture. CIPA DC-008 (Exif 2.32), section 4.6.9."""

from __future__ import annotations

import numpy as np

from convfilter.picture import colour
from convfilter.picture.picture import Picture
from convfilter.picture.pixels import Pixels
from convfilter.sample_types import is_integer

#: Largest size of EXIF thumbnails, in pixels.
_WIDTH, _HEIGHT = 160, 120
#: Samples averaged for one thumbnail pixel, along each axis; the others are skipped.
_SAMPLES = 4
_QUALITY = 85
#: Upper bound for the bytes of a thumbnail of this size and quality, even of noise.
MOST_BYTES = 24 * 1024
_WHITE = 255


def thumbnail_of(picture: Picture) -> bytes:
    """Reduce the first frame, and encode its colours as a JPEG in grey or RGB.

    Parameters
    ----------
    picture : Picture
        Picture of uint8, uint16 or float32; alpha and bands besides the colours are left out.

    Returns
    -------
    bytes
        At most ``MOST_BYTES``.
    """
    import imagecodecs

    reduced = _reduced(picture.without_extras(picture.pixels))
    samples = colour.with_depth(reduced, np.uint8, picture.white)
    planes = samples.reshape(*samples.shape[:2], -1)
    planes = planes[:, :, :-1] if picture.alpha else planes
    if picture.model == "cmyk":
        ink = planes.astype(np.float64) / _WHITE
        planes = np.rint(_WHITE * (1 - ink[:, :, :3]) * (1 - ink[:, :, 3:])).astype(np.uint8)
    pixels = np.ascontiguousarray(planes[:, :, 0] if planes.shape[2] == 1 else planes)
    subsampling = None if pixels.ndim == 2 else "420"
    return bytes(imagecodecs.jpeg8_encode(pixels, level=_QUALITY, subsampling=subsampling))


def _reduced(pixels: Pixels) -> Pixels:
    """Average up to 4x4 samples of each square block of pixels; a picture of a thumbnail's size does not change."""
    height, width = pixels.shape[:2]
    step = max(1, -(-height // _HEIGHT), -(-width // _WIDTH))
    if step == 1:
        return pixels
    every = max(1, step // _SAMPLES)
    side = step // every
    rows, cols = max(1, height // step), max(1, width // step)
    if height < step or width < step:  # a thin strip
        return np.ascontiguousarray(pixels[::step, ::step])
    taken = pixels[: rows * step, : cols * step].reshape(rows, step, cols, step, -1)[:, ::every, :, ::every]
    reduced: Pixels = taken[:, :side, :, :side].mean(axis=(1, 3), dtype=np.float32)
    if is_integer(pixels.dtype):
        reduced = np.rint(reduced).astype(pixels.dtype)
    return reduced[:, :, 0] if pixels.ndim == 2 else reduced
