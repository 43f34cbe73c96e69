"""Losses that depend on the samples and frames of a result, which its output format cannot store."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from convfilter.picture import formats
from convfilter.picture.format import Format
from convfilter.picture.frame import Frame
from convfilter.picture.loss import ALLOW_LOSS, Loss, formats_that
from convfilter.picture.picture import Picture
from convfilter.picture.pixels import CHANNELS
from convfilter.sample_types import full_scale

_LARGEST_FLOAT32 = float(np.finfo(np.float32).max)
_OPAQUE = 255


def of_range(picture: Picture, fmt: Format) -> Iterator[Loss]:
    """Yield the loss of samples beyond the range of a format of unsigned integers, by more than half a level.

    Parameters
    ----------
    picture : Picture
        The picture that was read; its samples can lie beyond the range, as ``sample_types.can_leave`` tells.
    fmt : Format

    Yields
    ------
    Loss
    """
    numbers = [frame.pixels[~np.isnan(frame.pixels)] for frame in picture.frames]
    low = min((float(values.min()) for values in numbers if values.size), default=0.0)
    high = max((float(values.max()) for values in numbers if values.size), default=0.0)
    dtype = picture.outline.dtype
    white = picture.own_white or full_scale(dtype)
    half_level = 0.5 * white / full_scale(fmt.dtype_for(np.dtype(dtype)))
    if low < -half_level or high > white + half_level:
        holders = formats_that(lambda other: dtype in other.dtypes)
        yield Loss(
            f"{fmt.name} holds values from 0 (black) to {white:.10g} (white), the picture's go from {low:.4g} to "
            f"{high:.4g}",
            severe=True,
            remedy=f"use {holders}, fit them in with {{scale}} and {{offset}} or {{map=stretch}}, "
            f"or clip them with {ALLOW_LOSS}",
        )


def of_infinity(samples: int, fmt: Format) -> Iterator[Loss]:
    """Yield the loss of a number of float64 samples that are too large for float32."""
    if samples:
        keepers = formats_that(lambda other: "float64" in other.dtypes)
        yield Loss(
            f"{fmt.name} holds 32-bit floats, up to {_LARGEST_FLOAT32:.3g}, and {_counted(samples, 'sample')} larger",
            severe=True,
            remedy=f"use {keepers}, or store infinity with {ALLOW_LOSS}",
        )


def of_nan(samples: int, fmt: Format) -> Iterator[Loss]:
    """Yield the loss of a number of NaN samples, which integers cannot represent."""
    if samples:
        floats = formats_that(lambda other: "float32" in other.dtypes)
        yield Loss(
            f"{fmt.name} cannot store NaN, and {_counted(samples, 'sample')} NaN",
            severe=True,
            remedy=f"use {floats}, choose the value to store, 0 (black) to 1 (white), with {{nan}}, "
            f"or store black with {ALLOW_LOSS}",
        )


def of_glow(picture: Picture, fmt: Format) -> Iterator[Loss]:
    """Yield the loss of premultiplied colours brighter than their alpha, which straight colours cannot represent.

    Parameters
    ----------
    picture : Picture
        Premultiplied picture that was read.
    fmt : Format
        Format with straight colours.

    Yields
    ------
    Loss
    """
    colours = CHANNELS[picture.model]
    brighter = sum(
        int(np.count_nonzero((frame.pixels[..., :colours] > frame.pixels[..., -1:]).any(axis=2)))
        for frame in picture.frames
    )
    if brighter:
        yield Loss(
            f"{fmt.name} keeps no colours that are brighter than their opacity (light, glow), as "
            f"{_counted(brighter, 'pixel')}",
            severe=True,
            remedy=f"use {formats_that(lambda other: other.premultiplied)}, "
            f"lay the picture over a colour with {{background}}, or clip them with {ALLOW_LOSS}",
        )


def of_palette(picture: Picture, fmt: Format) -> Iterator[Loss]:
    """Yield the loss of colours and alpha values that a palette cannot hold.

    Parameters
    ----------
    picture : Picture
        The picture that will be written, of uint8.
    fmt : Format

    Yields
    ------
    Loss
    """
    from convfilter.picture.pillow.gif_write import is_reduced

    source = formats.by_name(picture.format or "")
    if source is not None and source.colours == fmt.colours:
        return  # the input had no more colours
    frames = [frame.pixels for frame in picture.frames]
    if any(is_reduced(pixels, picture.alpha) for pixels in frames):
        yield Loss(f"{fmt.name} holds {fmt.colours} colours per frame, to which the picture's are reduced by dithering")
    if picture.alpha and any(((p[..., -1] > 0) & (p[..., -1] < _OPAQUE)).any() for p in frames):
        yield Loss(f"{fmt.name} holds opaque and transparent pixels only; opacity is rounded")


def of_fallback(frames: Sequence[Frame], fmt: Format) -> Iterator[Loss]:
    """Yield the loss of the picture that only programs without animation show."""
    if any(frame.fallback for frame in frames) and not fmt.fallback:
        keepers = formats_that(lambda other: other.fallback)
        yield Loss(
            f"{fmt.name} is written without the picture that only programs without animation show; "
            f"use {keepers} to keep that"
        )


def stored_frames(frames: list[Frame], fmt: Format) -> list[Frame]:
    """Return the frames of a picture that a format stores, at least one."""
    shown = frames if fmt.fallback else [frame for frame in frames if not frame.fallback] or frames
    is_animated = any(frame.delay is not None for frame in frames)
    if fmt.frames == "pages" or (fmt.frames == "animation" and is_animated):
        return shown
    return [next((frame for frame in shown if not frame.fallback), shown[0])]


def _counted(count: int, what: str) -> str:
    """Return a number of samples or pixels with its verb: "1 sample is", "1,000 samples are"."""
    return f"1 {what} is" if count == 1 else f"{count:,} {what}s are"
