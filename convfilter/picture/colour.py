"""Samples turned into other samples: depth, full range, a background instead of transparency."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import numpy.typing as npt

from convfilter.errors import ParameterError, shown
from convfilter.picture.pixels import Model, Pixels, channels_of

#: Rows are converted in bands of about this many samples, so that no full-size float copy is made.
_BAND_SAMPLES = 1 << 18
#: Luma of sRGB's primaries (ITU-R BT.709), for a background colour behind a grey picture.
_LUMA = (0.2126, 0.7152, 0.0722)


def white_of(dtype: npt.DTypeLike) -> float:
    """Return the value of white: 255, 65535, or 1 for floats."""
    dtype = np.dtype(dtype)
    return float(np.iinfo(dtype).max) if dtype.kind == "u" else 1.0


def widened(samples: Pixels, largest: int) -> Pixels:
    """Stretch integers from 0..largest to the full range of 8 or 16 bits.

    Parameters
    ----------
    samples : array of unsigned integers, any byte order
    largest : int
        What white is, 1 to 65535.

    Returns
    -------
    array of uint8 (largest up to 255) or uint16
        ``round(sample * white / largest)``; C-contiguous, native byte order.
    """
    dtype = np.dtype(np.uint8 if largest < 256 else np.uint16)
    white = int(white_of(dtype))
    if largest == white:
        return np.ascontiguousarray(samples, dtype=dtype)
    table = np.rint(np.arange(largest + 1) * float(white) / largest).astype(dtype)
    return table[samples]


def as_stored(samples: Pixels, largest: int) -> tuple[Pixels, int | None]:
    """Take integers from 0..largest as they are, as uint8 or uint16; returns the ``Picture.white`` of them, too."""
    dtype = np.uint8 if largest < 256 else np.uint16
    return np.ascontiguousarray(samples, dtype=dtype), largest if largest not in (255, 65535) else None


def with_depth(
    pixels: Pixels, dtype: npt.DTypeLike, white: float | None = None, out_white: float | None = None
) -> Pixels:
    """Convert samples to another depth, rounded half to even, once.

    Parameters
    ----------
    pixels : array of uint8, uint16 or float32
    dtype : uint8, uint16 or float32
    white, out_white : float, optional
        Values of white before and after; None: the full scale of the type.

    Returns
    -------
    array
        The input itself where it is so already. White stays white;
        floats outside of 0..1 are clipped and nan becomes 0 where integers are
        asked for.
    """
    dtype = np.dtype(dtype)
    white, out_white = white or white_of(pixels.dtype), out_white or white_of(dtype)
    if pixels.dtype == dtype and white == out_white:
        return pixels
    if (white, out_white) == (255, 65535):
        return pixels * np.uint16(257)
    out = np.empty(pixels.shape, dtype)
    factor = out_white / white
    for rows in _bands(pixels):
        if dtype.kind == "f":
            out[rows] = pixels[rows] * factor
        else:
            out[rows] = _stored(pixels[rows].astype(np.float64) * factor, dtype, out_white)
    return out


def _bands(pixels: Pixels) -> list[slice]:
    height = pixels.shape[0]
    step = max(1, _BAND_SAMPLES // max(1, pixels[0].size))
    return [slice(start, min(start + step, height)) for start in range(0, height, step)]


def _stored(values: npt.NDArray[np.float64], dtype: np.dtype[np.generic], white: float) -> Pixels:
    """Clip and round to integers; what is no number becomes 0."""
    values = np.nan_to_num(values, copy=False, nan=0.0, posinf=white, neginf=0.0)
    return np.rint(np.clip(values, 0.0, white)).astype(dtype)


def parse_background(colour: str) -> tuple[float, float, float]:
    """Read a colour: a CSS name, ``#rgb``, ``#rrggbb``, ``r,g,b`` (0 to 255) or a CSS function.

    Parameters
    ----------
    colour : str

    Returns
    -------
    (float, float, float)
        Red, green and blue, 0 to 1.

    Raises
    ------
    ParameterError
        It is none of these, or not opaque.
    """
    from PIL import ImageColor

    text = colour.strip()
    if text and set(text) <= set("0123456789., ") and text.count(",") == 2:
        text = f"rgb({text})"
    values: tuple[int, ...] = ()
    with suppress(ValueError):
        values = ImageColor.getrgb(text)
    opaque = len(values) == 3 or (len(values) == 4 and values[3] == 255)
    if not opaque or not all(0 <= value <= 255 for value in values[:3]):
        raise ParameterError(
            f"background must be an opaque colour such as white, #fff or 255,255,255, got {shown(colour)}"
        )
    red, green, blue = values[:3]
    return red / 255, green / 255, blue / 255


def flattened(
    pixels: Pixels,
    background: str,
    dtype: npt.DTypeLike,
    white: float | None = None,
    out_white: float | None = None,
    premultiplied: bool = False,
) -> Pixels:
    """Lay a picture with alpha over a background colour.

    Called on the result of a filter, best on unrounded floats, so that colours
    are rounded once.

    Parameters
    ----------
    pixels : (H, W, 2) or (H, W, 4) array of uint8, uint16 or float
        Alpha in the last channel.
    background : str
        As ``parse_background`` takes it; behind grey pixels its luma.
    dtype : uint8, uint16 or float32
        Of the result.
    white : float, optional
        Value of white, and of full opacity, in ``pixels``; None: 255, 65535 or 1 by their dtype.
    out_white : float, optional
        The same of the result.
    premultiplied : bool, optional
        Colours are multiplied with alpha already.

    Returns
    -------
    (H, W) or (H, W, 3) array of ``dtype``

    Raises
    ------
    ParameterError
        The background is no colour.
    """
    red, green, blue = parse_background(background)
    white = white_of(pixels.dtype) if white is None else white
    dtype = np.dtype(dtype)
    out_white = white_of(dtype) if out_white is None else out_white
    channels = channels_of(pixels) - 1
    grey = sum(weight * value for weight, value in zip(_LUMA, (red, green, blue), strict=True))
    behind = np.array([grey] if channels == 1 else [red, green, blue])
    out = np.empty((*pixels.shape[:2], channels), dtype)
    for rows in _bands(pixels):
        band = pixels[rows].astype(np.float64) / white
        alpha = np.clip(band[:, :, -1:], 0.0, 1.0)
        colour = band[:, :, :-1] * (1.0 if premultiplied else alpha) + behind * (1.0 - alpha)
        out[rows] = colour if dtype.kind == "f" else _stored(colour * out_white, dtype, out_white)
    return out[:, :, 0] if channels == 1 else out


def straightened(
    pixels: Pixels, dtype: npt.DTypeLike, white: float | None = None, out_white: float | None = None
) -> Pixels:
    """Divide premultiplied colours by alpha, the last channel, and convert the depth; rounded half to even, once.

    Parameters
    ----------
    pixels : (H, W, C) array of uint8, uint16 or float32
    dtype : uint8, uint16 or float32
        Of the result.
    white, out_white : float, optional
        Values of white, and of full opacity, before and after; None: the full scale of the type.

    Returns
    -------
    (H, W, C) array of ``dtype``
        Colours without opacity become 0; those brighter than their opacity are clipped in integers.
    """
    dtype = np.dtype(dtype)
    white, out_white = white or white_of(pixels.dtype), out_white or white_of(dtype)
    out = np.empty(pixels.shape, dtype)
    for rows in _bands(pixels):
        band = pixels[rows].astype(np.float64)
        alpha = band[:, :, -1:]
        with np.errstate(over="ignore", invalid="ignore"):
            quotient = np.divide(band[:, :, :-1] * white, alpha, out=np.zeros_like(band[:, :, :-1]), where=alpha > 0)
        band[:, :, :-1] = quotient
        band *= out_white / white
        out[rows] = band if dtype.kind == "f" else _stored(band, dtype, out_white)
    return out


def associated(pixels: Pixels, white: float | None = None) -> Pixels:
    """Multiply the colours by the alpha channel, the last one; samples are rounded half to even."""
    out = pixels.copy()
    white = white or white_of(pixels.dtype)
    for rows in _bands(pixels):
        band = pixels[rows].astype(np.float64)
        colours = band[:, :, :-1] * (band[:, :, -1:] / white)
        out[rows, :, :-1] = colours if pixels.dtype.kind == "f" else _stored(colours, pixels.dtype, white)
    return out


def rgb_of(pixels: Pixels, model: Model, alpha: bool) -> Pixels:
    """Repeat grey in three channels, for formats that have no grey."""
    if model != "gray":
        return pixels
    planes = pixels.reshape(*pixels.shape[:2], -1)
    return np.ascontiguousarray(np.concatenate([planes[:, :, :1]] * 3 + ([planes[:, :, 1:]] if alpha else []), axis=2))
