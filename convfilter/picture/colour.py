"""Conversion of samples: depth, full range, background instead of transparency."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import numpy.typing as npt

from convfilter.errors import ParameterError, ReadError, shown
from convfilter.picture.pixels import Model, Pixels, channels_of
from convfilter.sample_types import full_scale, is_signed, sample_type

#: Approximate samples of a band, so that no full-size float copy is made.
#: Above this many samples, a lookup table of all values takes less time than the samples themselves.
_WORTH_A_TABLE = 1 << 17
_BAND_SAMPLES = 1 << 18
#: Integers up to here are stretched by a table; float64 holds all whole numbers up to there.
_MOST_LOOKED_UP, _MOST_EXACT = 65535, 2.0**53
#: Luma of sRGB's primaries (ITU-R BT.709), for a background colour behind a grey picture.
_LUMA = (0.2126, 0.7152, 0.0722)


def widened(samples: Pixels, largest: int) -> Pixels:
    """Stretch integers from 0..largest to the full range of 8 or 16 bits.

    Parameters
    ----------
    samples : array of unsigned integers, any byte order
    largest : int
        Value of white, 1 to 65535.

    Returns
    -------
    array of uint8 (largest up to 255) or uint16
        ``round(sample * white / largest)``; C-contiguous, native byte order.
    """
    dtype = np.dtype(np.uint8 if largest < 256 else np.uint16)
    white = int(full_scale(dtype))
    if largest == white:
        return np.ascontiguousarray(samples, dtype=dtype)
    table = np.rint(np.arange(largest + 1) * float(white) / largest).astype(dtype)
    return table[samples]


def filling(samples: Pixels, white: int) -> Pixels:
    """Stretch integers from 0..white to the full range of their type, or of 8 bits where these are enough."""
    return widened(samples, white) if white <= _MOST_LOOKED_UP else with_depth(samples, samples.dtype, white)


def as_float64(samples: Pixels, name: str) -> Pixels:
    """Return integers of 64 bits as float64; refuse integers beyond 2**53.

    Raises
    ------
    ReadError
        ``name`` is the format, for the message.
    """
    real = samples.astype(np.float64)
    if real.size and max(-float(real.min()), float(real.max())) > _MOST_EXACT:
        raise ReadError(
            f"the {name} has 64-bit integers beyond 2**53, which no supported type holds; "
            "divide them, or split them into bands, first"
        )
    return real


def as_stored(samples: Pixels, largest: int) -> tuple[Pixels, int | None]:
    """Return integers from 0..largest unchanged, as uint8 or uint16, and their ``Picture.white``."""
    dtype = np.uint8 if largest < 256 else np.uint16
    return np.ascontiguousarray(samples, dtype=dtype), largest if largest not in (255, 65535) else None


def with_depth(
    pixels: Pixels, dtype: npt.DTypeLike, white: float | None = None, out_white: float | None = None
) -> Pixels:
    """Convert samples to another depth, rounded half to even, once.

    Parameters
    ----------
    pixels : array
    dtype : dtype
        Of ``sample_types``, as that of the pixels.
    white, out_white : float, optional
        Values of white before and after; None: the full scale of the type.

    Returns
    -------
    array
        The input itself where it is so already. White stays white, but signed
        integers keep their values as real numbers. What lies beyond the range
        of integers is clipped, and nan becomes 0 there.
    """
    dtype = np.dtype(dtype)
    if is_signed(pixels.dtype) and dtype.kind == "f":
        return pixels.astype(dtype)
    white, out_white = white or full_scale(pixels.dtype), out_white or full_scale(dtype)
    if pixels.dtype == dtype and white == out_white:
        return pixels
    if (white, out_white) == (255, 65535):
        return pixels * np.uint16(257)
    factor = out_white / white
    if pixels.dtype.kind == "u" and pixels.dtype.itemsize <= 2 and pixels.size > _WORTH_A_TABLE:
        every = np.arange(np.iinfo(pixels.dtype).max + 1, dtype=pixels.dtype)
        return with_depth(every, dtype, white, out_white)[pixels]
    out = np.empty(pixels.shape, dtype)
    for rows in _bands(pixels):
        if dtype.kind == "f":
            with np.errstate(over="ignore"):
                out[rows] = pixels[rows] * factor
        else:
            out[rows] = _stored(pixels[rows].astype(np.float64) * factor, dtype, out_white)
    return out


def _bands(pixels: Pixels) -> list[slice]:
    height = pixels.shape[0]
    step = max(1, _BAND_SAMPLES // max(1, pixels[0].size))
    return [slice(start, min(start + step, height)) for start in range(0, height, step)]


def _stored(values: npt.NDArray[np.float64], dtype: np.dtype[np.generic], white: float) -> Pixels:
    """Clip and round to integers; NaN becomes 0."""
    low = sample_type(dtype).low
    values = np.nan_to_num(values, copy=False, nan=0.0, posinf=white, neginf=low)
    return np.rint(np.clip(values, low, white)).astype(dtype)


def rounded(values: Pixels, dtype: np.dtype[np.generic]) -> tuple[Pixels, int]:
    """Round real samples half to even to integers of the same unit; returns them, and how many were clipped."""
    known = sample_type(dtype)
    out = np.empty(values.shape, dtype)
    clipped = 0
    for rows in _bands(values):
        whole = np.rint(values[rows])
        clipped += int(np.count_nonzero((whole < known.low) | (whole > known.full)))
        out[rows] = _stored(whole, dtype, known.full)
    return out, clipped


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
        The text is no colour, or not an opaque one.
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
    """Composite a picture with alpha over a background colour.

    Meant for filter results, best unrounded floats, so that colours
    are rounded once.

    Parameters
    ----------
    pixels : (H, W, 2) or (H, W, 4) array
        Alpha in the last channel.
    background : str
        As ``parse_background`` takes it; behind grey pixels its luma.
    dtype : dtype
        Sample type of the result.
    white : float, optional
        Value of white, and of full opacity, in ``pixels``; None: the full scale of their type.
    out_white : float, optional
        The same of the result.
    premultiplied : bool, optional
        Whether colours are premultiplied.

    Returns
    -------
    (H, W) or (H, W, 3) array of ``dtype``

    Raises
    ------
    ParameterError
        The background is not a colour.
    """
    red, green, blue = parse_background(background)
    white = full_scale(pixels.dtype) if white is None else white
    dtype = np.dtype(dtype)
    out_white = full_scale(dtype) if out_white is None else out_white
    channels = channels_of(pixels) - 1
    grey = sum(weight * value for weight, value in zip(_LUMA, (red, green, blue), strict=True))
    behind = np.array([grey] if channels == 1 else [red, green, blue])
    out = np.empty((*pixels.shape[:2], channels), dtype)
    for rows in _bands(pixels):
        band = pixels[rows].astype(np.float64) / white
        alpha = np.clip(band[:, :, -1:], 0.0, 1.0)
        colour = band[:, :, :-1] * (1.0 if premultiplied else alpha) + behind * (1.0 - alpha)
        colour *= out_white
        out[rows] = colour if dtype.kind == "f" else _stored(colour, dtype, out_white)
    return out[:, :, 0] if channels == 1 else out


def straightened(
    pixels: Pixels, dtype: npt.DTypeLike, white: float | None = None, out_white: float | None = None
) -> Pixels:
    """Divide premultiplied colours by alpha, the last channel, and convert the depth; rounded half to even, once.

    Parameters
    ----------
    pixels : (H, W, C) array
    dtype : dtype
        Sample type of the result.
    white, out_white : float, optional
        Values of white, and of full opacity, before and after; None: the full scale of the type.

    Returns
    -------
    (H, W, C) array of ``dtype``
        Colours at alpha 0 become 0; those brighter than their alpha are clipped in integers.
    """
    dtype = np.dtype(dtype)
    white, out_white = white or full_scale(pixels.dtype), out_white or full_scale(dtype)
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
    white = white or full_scale(pixels.dtype)
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
