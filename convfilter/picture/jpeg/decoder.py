"""Direct decoding of a grey or RGB JPEG, and checks for missing data, which libjpeg silently fills with grey.

Before decoding, the amount of data is compared with the size of the picture; after it, the last block is examined.
Flipped bits within data of the right amount go unnoticed: JPEG has no checksum, codes resynchronise, and a decoder
that counts leftover bits at the end would notice only one flipped bit in seven (progressive: one in three), at the
cost of a second decoding.
"""

from __future__ import annotations

import numpy as np

from convfilter.errors import ReadError
from convfilter.picture.jpeg.layout import BLOCK, Layout, restarts_of
from convfilter.picture.pixels import Pixels

ENDS_EARLY = "the JPEG is damaged: its data ends before its last row"
#: Value of samples for which data are missing.
_GREY = 128
#: Bytes that a decoder takes for the codes of missing blocks.
_FILLING = bytes(range(1, 255)) * 4
#: Weights of red, green and blue in the luminance of a JPEG.
_LUMINANCE = (0.299, 0.587, 0.114)
#: Most by which clipped colours change the luminance of a grey sample.
_CLIPPED = 40


def length_problem(layout: Layout, size: int) -> str:
    """Return why a file is too short for its picture; "" if it may be complete.

    Parameters
    ----------
    layout : Layout
    size : int
        Length of the file in bytes.
    """
    if 8 * (size - layout.data_start) < layout.least_bits:
        return (
            f"the JPEG is damaged: {size} bytes cannot hold {layout.width}x{layout.height} pixels, "
            f"{layout.least_bits // 8} at least are needed"
        )
    return ""


def decode(data: bytes, out: Pixels | None = None) -> Pixels:
    """Decode a grey or RGB JPEG into an array, in half the time and memory of Pillow.

    Parameters
    ----------
    data : bytes
        The file. The decoder does not check whether it is complete.
    out : (H, W, C) array of uint8, optional
        Memory for the samples.

    Returns
    -------
    (H, W) or (H, W, 3) array of uint8

    Raises
    ------
    ReadError
        The data are damaged.
    """
    import imagecodecs

    try:
        # The decoder returns a grey picture as (H, W).
        place = out[..., 0] if out is not None and out.shape[2] == 1 else out
        pixels: Pixels = imagecodecs.jpeg8_decode(data, out=place)
    except imagecodecs.Jpeg8Error as error:
        raise ReadError(f"the JPEG is damaged: {error}") from error
    return pixels


def last_block_is_grey(pixels: Pixels) -> bool:
    """Whether the last block may be missing: libjpeg silently fills it with mid-grey.

    Of a block's first row or column, only the luminance is tested: its chrominance may be interpolated between the
    block and its neighbours.

    Parameters
    ----------
    pixels : (H, W) or (H, W, C) array of uint8
    """
    rows, cols = ((size - 1) % BLOCK for size in pixels.shape[:2])
    corner = pixels[-max(rows, 1) :, -max(cols, 1) :]
    if (rows and cols) or corner.ndim == 2 or corner.shape[2] == 1:
        return bool((corner == _GREY).all())
    luminance = corner @ np.array(_LUMINANCE)
    return bool((abs(luminance - _GREY) < _CLIPPED).all())


def lacks_last_block(data: bytes, pixels: Pixels) -> bool:
    """Whether the last block is missing: decode again, with extra data before the end marker.

    libjpeg ignores the extra data if the picture is complete, and otherwise decodes them as the missing blocks. With
    restart markers it always ignores them; see ``has_all_restarts``.

    Parameters
    ----------
    data : bytes
        The file up to its end marker.
    pixels : (H, W) or (H, W, C) array of uint8
        Its decoded samples.
    """
    return not np.array_equal(decode(data + _FILLING + b"\xff\xd9").reshape(pixels.shape), pixels)


def has_all_restarts(data: bytes, layout: Layout) -> bool:
    """Whether as many restart markers are found as the size of the picture requires; True if that is unknown."""
    restarts = layout.scan.restarts if layout.scan else 0
    return restarts == 0 or len(restarts_of(data, layout)) >= restarts
