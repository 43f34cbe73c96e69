"""Conversion of samples: depth, range of integers, transparency, premultiplied colours."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np

from convfilter.errors import ParameterError, ReadError, shown
from convfilter.picture.pixels import Model, Pixels, channels_of
from convfilter.sample_types import full_scale, is_signed, sample_type

if TYPE_CHECKING:
    import numpy.typing as npt

#: Above this number of samples, converting all values once for a lookup table takes less time than converting samples.
_TABLE_SAMPLES = 1 << 17
#: Approximate number of samples that are converted at a time, since a float64 copy of all would take much memory.
_BAND_SAMPLES = 1 << 18
#: Largest value of white for which a lookup table stretches integers.
_LARGEST_IN_TABLE = 65535
#: Largest integer up to which float64 represents all integers.
_LARGEST_EXACT = 2.0**53
#: Luma of sRGB's primaries (ITU-R BT.709), for a background colour behind a grey picture.
_LUMA = (0.2126, 0.7152, 0.0722)


def widened(samples: Pixels, largest: int) -> Pixels:
    """Stretch integers from 0..largest to the full range of 8 or 16 bits.

    Parameters
    ----------
    samples : array of unsigned integers
        Of any shape and byte order, at most ``largest``.
    largest : int
        Value of white, 1 to 65535.

    Returns
    -------
    array of uint8 for ``largest`` up to 255, else uint16
        ``sample * full / largest``, rounded half to even; full is 255 or 65535. C-contiguous, in native byte order.
    """
    dtype = np.dtype(np.uint8 if largest < 256 else np.uint16)
    full = int(full_scale(dtype))
    if largest == full:
        return np.ascontiguousarray(samples, dtype=dtype)
    table = np.rint(np.arange(largest + 1) * float(full) / largest).astype(dtype)
    return table[samples]


def with_full_range(samples: Pixels, white: int) -> Pixels:
    """Stretch unsigned integers from 0..white to the full range of uint8, uint16, or a larger type of theirs."""
    return widened(samples, white) if white <= _LARGEST_IN_TABLE else with_depth(samples, samples.dtype, white)


def as_float64(samples: Pixels, name: str) -> Pixels:
    """Return integers of 64 bits as float64; ``name`` is the format, for the message.

    Raises
    ------
    ReadError
        An integer lies beyond 2**53, up to which float64 represents all integers.
    """
    real = samples.astype(np.float64)
    if real.size and max(-float(real.min()), float(real.max())) > _LARGEST_EXACT:
        raise ReadError(
            f"the {name} has 64-bit integers beyond 2**53, which no supported type can represent; "
            "divide them, or split them into bands, first"
        )
    return real


def as_stored(samples: Pixels, largest: int) -> tuple[Pixels, int | None]:
    """Return integers from 0..largest, up to 65535, unchanged as uint8 or uint16, and their ``Picture.white``."""
    dtype = np.uint8 if largest < 256 else np.uint16
    return np.ascontiguousarray(samples, dtype=dtype), largest if largest not in (255, 65535) else None


def with_depth(
    pixels: Pixels, dtype: npt.DTypeLike, white: float | None = None, out_white: float | None = None
) -> Pixels:
    """Convert samples to another depth, rounded half to even, once.

    Parameters
    ----------
    pixels : (H, ...) array of a type in ``sample_types``
    dtype : dtype
        Type of the result, of ``sample_types``.
    white, out_white : float, optional
        Values of white before and after; None: the full scale of the type.

    Returns
    -------
    array of ``dtype``
        Same shape; the input itself if nothing changes. White becomes white, except that signed integers keep their
        values as floats. For integers, values out of range are clipped, and NaN becomes 0.
    """
    dtype = np.dtype(dtype)
    if is_signed(pixels.dtype) and dtype.kind == "f":
        return pixels.astype(dtype)
    white, out_white = white or full_scale(pixels.dtype), out_white or full_scale(dtype)
    if pixels.dtype == dtype and white == out_white:
        return pixels
    if (white, out_white) == (255, 65535):
        return pixels * np.uint16(257)  # 65535 / 255
    factor = out_white / white
    if pixels.dtype.kind == "u" and pixels.dtype.itemsize <= 2 and pixels.size > _TABLE_SAMPLES:
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
    """Return slices of rows that hold about ``_BAND_SAMPLES`` samples each."""
    height = pixels.shape[0]
    step = max(1, _BAND_SAMPLES // max(1, pixels[0].size))
    return [slice(start, min(start + step, height)) for start in range(0, height, step)]


def _stored(values: npt.NDArray[np.float64], dtype: np.dtype[np.generic], white: float) -> Pixels:
    """Clip to the range from the type's smallest integer to ``white``, and round half to even; NaN becomes 0."""
    low = sample_type(dtype).low
    values = np.nan_to_num(values, copy=False, nan=0.0, posinf=white, neginf=low)
    return np.rint(np.clip(values, low, white)).astype(dtype)


def rounded(values: Pixels, dtype: np.dtype[np.generic]) -> tuple[Pixels, int]:
    """Round float samples half to even to integers, without scaling; returns them, and the number of clipped ones."""
    target = sample_type(dtype)
    out = np.empty(values.shape, dtype)
    clipped = 0
    for rows in _bands(values):
        integers = np.rint(values[rows])
        clipped += int(np.count_nonzero((integers < target.low) | (integers > target.full)))
        out[rows] = _stored(integers, dtype, target.full)
    return out, clipped


def parse_background(colour: str) -> tuple[float, float, float]:
    """Read a background colour.

    Parameters
    ----------
    colour : str
        A CSS name, ``#rgb``, ``#rrggbb``, ``r,g,b`` of 0 to 255, or a CSS function such as ``hsl(120, 50%, 50%)``.

    Returns
    -------
    (float, float, float)
        Red, green and blue, 0 to 1, encoded as in sRGB.

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
    """Composite a picture with alpha over a background colour; colours are rounded half to even, once.

    Parameters
    ----------
    pixels : (H, W, 2) or (H, W, 4) array
        Alpha in the last channel. Unrounded floats give the most exact result.
    background : str
        For :func:`parse_background`; grey pixels get its luma.
    dtype : dtype
        Sample type of the result.
    white : float, optional
        Value of white, and of full opacity, in ``pixels``; None: the full scale of their type.
    out_white : float, optional
        Value of white in the result; None: the full scale of ``dtype``.
    premultiplied : bool, optional
        Whether colours are multiplied by alpha.

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
    """Divide premultiplied colours by alpha, and convert the depth; samples are rounded half to even, once.

    Parameters
    ----------
    pixels : (H, W, C) array
        Alpha in the last channel.
    dtype : dtype
        Sample type of the result.
    white, out_white : float, optional
        Values of white, and of full opacity, before and after; None: the full scale of the type.

    Returns
    -------
    (H, W, C) array of ``dtype``
        Colours at alpha 0 become 0. For integers, colours brighter than their alpha are clipped.
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


def premultiplied(pixels: Pixels, white: float | None = None) -> Pixels:
    """Multiply the colours of (H, W, C) samples by alpha, the last channel; integers are rounded half to even."""
    out = pixels.copy()
    white = white or full_scale(pixels.dtype)
    for rows in _bands(pixels):
        band = pixels[rows].astype(np.float64)
        colours = band[:, :, :-1] * (band[:, :, -1:] / white)
        out[rows, :, :-1] = colours if pixels.dtype.kind == "f" else _stored(colours, pixels.dtype, white)
    return out


def rgb_of(pixels: Pixels, model: Model, alpha: bool) -> Pixels:
    """Return (H, W, 3 or 4) samples, for formats without grey: grey is repeated in three channels."""
    if model != "gray":
        return pixels
    planes = pixels.reshape(*pixels.shape[:2], -1)
    return np.ascontiguousarray(np.concatenate([planes[:, :, :1]] * 3 + ([planes[:, :, 1:]] if alpha else []), axis=2))
