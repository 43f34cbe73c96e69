"""The form in which a format stores a picture: its frames, type of samples, channels and metadata."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from convfilter.picture.format import Format
from convfilter.picture.frame import Frame
from convfilter.picture.loss import Loss
from convfilter.picture.metadata.metadata import Metadata
from convfilter.picture.options import WriteOptions
from convfilter.picture.outline import Outline
from convfilter.picture.picture import Picture
from convfilter.picture.pixels import CHANNELS, Pixels
from convfilter.record import replace
from convfilter.sample_types import can_leave, full_scale, is_signed, overflowed

if TYPE_CHECKING:
    from convfilter.picture.tiff.fields import PageFields


def stored_outline(outline: Outline, fmt: Format, options: WriteOptions) -> Outline:
    """Return the outline of a picture of one frame as stored: without what the format lacks and the options drop."""
    dtype = fmt.dtype_for(np.dtype(outline.dtype))
    return replace(
        outline,
        alpha=outline.alpha and options.background is None and bool(fmt.alpha),
        premultiplied=outline.premultiplied and fmt.premultiplied,
        extras=outline.extras if fmt.extras else 0,
        dtype=dtype.name,
        white=fmt.white_for(dtype, outline.white),
        metadata=_fitted(outline, fmt, options),
    )


def dropping(outline: Outline, stored: Outline) -> Callable[[Pixels], Pixels] | None:
    """Return a function that drops the channels of (some rows, W, C) that are not stored; None if all are stored."""
    colours = CHANNELS[outline.model]
    channels = [*range(colours)]
    if stored.extras:
        channels += range(colours, colours + outline.extras)
    if stored.alpha:
        channels.append(colours + outline.extras)
    if len(channels) == colours + outline.extras + outline.alpha:
        return None
    return lambda rows: np.ascontiguousarray(rows[..., channels])


def with_stored_frames(picture: Picture, fmt: Format, options: WriteOptions) -> tuple[Picture, list[Loss]]:
    """Return the picture with the frames that a format stores and NaN replaced, and losses of samples."""
    dtype = np.dtype(picture.outline.dtype)
    stored = fmt.dtype_for(dtype)
    loses_range = can_leave(dtype, stored)
    straightens = picture.premultiplied and not fmt.premultiplied and options.background is None
    if len(picture.frames) == 1 and not loses_range and not straightens:
        return picture, []
    from convfilter.picture import sample_losses

    lost = [*sample_losses.of_fallback(picture.frames, fmt)]
    picture = replace(picture, frames=sample_losses.stored_frames(picture.frames, fmt))
    if loses_range and stored.kind == "f":
        with np.errstate(over="ignore"):
            large = sum(overflowed(frame.pixels, frame.pixels.astype(stored)) for frame in picture.frames)
        lost += sample_losses.of_infinity(large, fmt)
    elif loses_range:
        lost += sample_losses.of_range(picture, fmt)
        if options.nan is None:
            lost += sample_losses.of_nan(sum(int(np.isnan(frame.pixels).sum()) for frame in picture.frames), fmt)
        else:
            white = picture.own_white or full_scale(dtype)
            picture = _without_nan(picture, options.nan * white)
    if straightens:
        lost += sample_losses.of_glow(picture, fmt)
    return picture, lost


def _without_nan(picture: Picture, value: float) -> Picture:
    """Replace NaN in the colours of a picture of floats by a sample; NaN in alpha is later stored as 0, transparent."""
    colours = picture.pixels.shape[-1] - picture.alpha if picture.pixels.ndim > 2 else None
    frames = []
    for frame in picture.frames:
        pixels = frame.pixels.copy()
        values = pixels[..., :colours] if picture.alpha else pixels
        values[np.isnan(values)] = value
        frames.append(frame.with_pixels(pixels))
    return replace(picture, frames=frames)


def prepared(picture: Picture, fmt: Format, options: WriteOptions) -> Picture:
    """Return a copy that is composited, converted in depth, and without the data that are stripped or lost."""
    dtype = fmt.dtype_for(np.dtype(picture.outline.dtype))
    background = options.background if picture.alpha else None
    frames = picture.frames
    white = fmt.white_for(dtype, picture.white)
    straightens = picture.premultiplied and not fmt.premultiplied
    if background is not None or dtype != picture.pixels.dtype or white != picture.white or straightens:
        frames = [frame.with_pixels(_converted(frame.pixels, picture, background, fmt)) for frame in frames]
    picture = replace(picture, premultiplied=picture.premultiplied and fmt.premultiplied, file_dtype=None)
    if picture.extras and not fmt.extras:
        frames = [frame.with_pixels(picture.without_extras(frame.pixels)) for frame in frames]
        picture = replace(picture, extras=0)
    alpha = picture.alpha and background is None
    if alpha and not fmt.alpha:
        frames = [frame.with_pixels(_opaque(frame.pixels)) for frame in frames]
        alpha = False
    if options.strip is not None:
        frames = [frame.with_tiff(_stripped_fields(frame, options.strip)) for frame in frames]
    metadata = _fitted(picture.outline, fmt, options)
    metadata.from_integers |= picture.dtype.kind != "f"
    prepared = replace(picture, frames=frames, alpha=alpha, metadata=metadata, white=white)
    if takes_thumbnail(metadata, fmt):
        from convfilter.picture.metadata import exif, thumbnail

        metadata.exif = exif.with_thumbnail(metadata.exif, thumbnail.thumbnail_of(prepared))
    return prepared


def _stripped_fields(frame: Frame, strip: str) -> PageFields | None:
    """Return the fields of a TIFF page that ``strip`` leaves: at most the page's own colour profile."""
    if strip == "all" or frame.tiff is None:
        return None
    from convfilter.picture.tiff.fields import profile_of

    return frame.tiff._replace(fields=profile_of(frame.tiff), header=None)


def _opaque(pixels: Pixels) -> Pixels:
    """Drop alpha without changing the colours."""
    return np.ascontiguousarray(pixels[:, :, 0] if pixels.shape[2] == 2 else pixels[:, :, :-1])


def _converted(pixels: Pixels, picture: Picture, background: str | None, fmt: Format) -> Pixels:
    """Return samples of the type that a format stores, composited over the background, and straight if it must be."""
    from convfilter.picture import colour

    dtype = fmt.dtype_for(np.dtype(picture.outline.dtype))
    white = picture.own_white
    out_white: float | None = fmt.white_for(dtype, picture.white)
    if dtype.kind == "f" and is_signed(picture.outline.dtype):  # signed integers keep their values as floats
        out_white = white or full_scale(picture.outline.dtype)
    if background is not None:
        return colour.flattened(pixels, background, dtype, white, out_white, picture.premultiplied)
    if picture.premultiplied and not fmt.premultiplied:
        return colour.straightened(pixels, dtype, white, out_white)
    return colour.with_depth(pixels, dtype, white, out_white)


def _fitted(outline: Outline, fmt: Format, options: WriteOptions) -> Metadata:
    """Return the metadata to store: what ``options`` do not strip and the format has fields for."""
    model, metadata = outline.model, _stripped(outline.metadata, options.strip)
    if not metadata.is_empty:
        from convfilter.picture.metadata import carry

        metadata = carry.fitted(metadata, fmt, model)
        metadata.text = [text for text in metadata.text if carry.has_field(text, fmt)]
    if metadata.xmp:
        from convfilter.picture.metadata import xmp_clean

        metadata.xmp = xmp_clean.with_size(metadata.xmp, outline.width, outline.height)
    if metadata.icc:
        from convfilter.picture.metadata import icc

        metadata.icc = metadata.icc if icc.fits(metadata.icc, model) else None
        if metadata.icc and model == "gray" and fmt.rgb_profiles:
            from convfilter.picture.metadata import icc_match

            metadata.icc = icc_match.of_grey_as_rgb(metadata.icc)
    if metadata.icc and not fmt.holds.icc and b"cICP" not in dict(metadata.png):
        from convfilter.picture.metadata import cicp

        if chunks := cicp.equivalent_chunks(metadata.icc, model, fmt):
            metadata.icc, metadata.png = None, [*metadata.png, *chunks]
    if options.marked:
        from convfilter.picture.metadata import mark

        mark.add(metadata, fmt)
    return metadata


def takes_thumbnail(metadata: Metadata, fmt: Format) -> bool:
    """Whether the EXIF block gets a thumbnail of the result."""
    if not metadata.thumbnail or not fmt.holds.thumbnail:
        return False
    from convfilter.picture.metadata import carry

    return carry.has_room(metadata, fmt, "thumbnail")


def _stripped(metadata: Metadata, strip: str | None) -> Metadata:
    """Return a copy of the metadata without those that ``strip`` drops."""
    if strip is None:
        return replace(metadata)
    rest = Metadata(
        loop=metadata.loop,
        jpeg=metadata.jpeg,
        associated_alpha=metadata.associated_alpha,
        alpha_at=metadata.alpha_at,
        lossless=metadata.lossless,
        compression=metadata.compression,
        tile=metadata.tile,
        mask=metadata.mask,
        from_integers=metadata.from_integers,
    )
    if strip == "most":
        from convfilter.picture.png import layout as png

        rest.icc = metadata.icc
        rest.png = [(kind, data) for kind, data in metadata.png if kind in png.COLOUR_CHUNKS]
    return rest
