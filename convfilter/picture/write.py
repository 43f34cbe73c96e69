"""Write a picture: check its format before filtering, convert the result for it, and replace the file atomically."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, BinaryIO, Protocol

import numpy as np

from convfilter.errors import UsageError, WriteError
from convfilter.picture import formats
from convfilter.picture.format import Format
from convfilter.picture.frame import Frame
from convfilter.picture.loss import Loss, notes_of
from convfilter.picture.metadata.metadata import Metadata
from convfilter.picture.options import EFFORTS, TIFF_COMPRESSIONS, WriteOptions
from convfilter.picture.outline import Outline
from convfilter.picture.picture import Picture
from convfilter.picture.pixels import CHANNELS, Model, Pixels
from convfilter.picture.place import atomic
from convfilter.picture.place.target import Target, resolve_target
from convfilter.record import replace
from convfilter.sample_types import can_leave, full_scale, is_signed, overflowed

if TYPE_CHECKING:
    from convfilter.picture.row_writer import RowWriter
    from convfilter.picture.tiff.fields import PageFields

_DEFAULTS = WriteOptions()


class Writer(Protocol):
    """The writer of a format, such as ``write_jpeg`` or ``write_pillow``."""

    def __call__(self, file: BinaryIO, picture: Picture, options: WriteOptions) -> None:
        """Write a picture in one format.

        Parameters
        ----------
        file : BinaryIO
            Written from its position on.
        picture : Picture
            In the form that :func:`write` prepares: ``format`` is the output's, which can store the samples, the
            frames and the metadata.
        options : WriteOptions

        Raises
        ------
        WriteError
            The encoder fails.
        """


def check(target: Target, outline: Outline, options: WriteOptions = _DEFAULTS) -> tuple[Target, tuple[str, ...]]:
    """Refuse, before filtering, a picture that its format cannot store.

    Parameters
    ----------
    target : Target
    outline : Outline
        Outline of the filtered picture.
    options : WriteOptions, optional

    Returns
    -------
    target : Target
        The target with its format, which may be the input's.
    notes : tuple of str
        Notes on losses, one line each: properties that the file will lack though the picture looks the same.

    Raises
    ------
    WriteError
        The format cannot store the picture's transparency, frames, colours or size, or needs a package.
    UsageError
        The background is no colour, or an option does not apply to the format.
    """
    target = target.with_input_format(outline.format)
    fmt = target.format
    assert fmt is not None
    if hint := formats.install_hint(fmt):
        raise WriteError(hint)
    _require_applicable(fmt, options)
    if options.background is not None:
        from convfilter.picture import colour

        colour.parse_background(options.background)
        if outline.alpha and outline.model == "cmyk":
            raise WriteError("a CMYK picture with transparency cannot be flattened; convert it to RGB first")
    if outline.model not in fmt.models:
        kind = {"cmyk": "CMYK", "gray": "grey", "rgb": "colour"}[outline.model]
        remedy = (
            "use tiff or jpeg, or convert it to RGB first" if outline.model == "cmyk" else "use {gray=True}, or ppm"
        )
        raise WriteError(f"{fmt.name} cannot hold a {kind} picture", remedy=remedy)
    if outline.extras and outline.alpha and options.background is not None:
        raise WriteError("a picture with bands beside its colours cannot be flattened", remedy="leave out {background}")
    if max(outline.width, outline.height) > fmt.max_side:
        raise WriteError(
            f"{fmt.name} holds {fmt.max_side} pixels to a side, the result has {outline.width}x{outline.height}; "
            "use another format: png, tiff"
        )
    if _keeps_all(outline, fmt):
        return target, ()
    from convfilter.picture import losses

    return target, notes_of(losses.of_outline(outline, fmt, options), options, WriteError)


def _keeps_all(outline: Outline, fmt: Format) -> bool:
    """Whether a format surely stores a picture without losses: one picture without metadata, of a supported kind."""
    return (
        outline.metadata.is_empty
        and not outline.pages
        and outline.frames == 1
        and outline.dtype in fmt.dtypes
        and outline.white is None
        and not fmt.mantissa
        and fmt.white_for(np.dtype(outline.dtype), None) is None
        and (fmt.extras or not outline.extras)
        and (bool(fmt.alpha) or not outline.alpha)
    )


def _require_applicable(fmt: Format, options: WriteOptions) -> None:
    """Refuse options that do not apply to the format."""
    given = {"quality": options.quality, "subsampling": options.subsampling, "compression": options.compression}
    for name, value in given.items():
        if value != getattr(_DEFAULTS, name) and name not in (*fmt.takes, *options.where_taken):
            takers = " ".join(each.name.lower() for each in formats.FORMATS if name in each.takes)
            raise UsageError(
                f"{name} is for {takers}, got {fmt.name}", remedy=f"leave out {{{name}}}, or use one of these formats"
            )
    if options.compression in TIFF_COMPRESSIONS and fmt.name != "TIFF" and "compression" not in options.where_taken:
        efforts = ", ".join(EFFORTS)
        raise UsageError(
            f"compression {options.compression} is for tiff, got {fmt.name}", remedy=f"use one of {efforts}"
        )


def write(
    target: Target | str | os.PathLike[str], picture: Picture | Pixels, options: WriteOptions = _DEFAULTS
) -> tuple[str, ...]:
    """Write a picture; the file appears complete or not at all.

    Parameters
    ----------
    target : Target, or path
        "-" is standard output.
    picture : Picture, or (H, W) or (H, W, C) array
        Samples of any type in ``sample_types``, composited over ``options.background`` and converted to a type of the
        format. The 1 to 4 channels of an array are grey, grey and alpha, RGB, or RGBA.
    options : WriteOptions, optional

    Returns
    -------
    tuple of str
        Notes on losses, one line each: properties that the file lacks though the picture looks the same.

    Raises
    ------
    UsageError
        The path has an unknown suffix, the background is no colour, or an option does not apply to the format.
    ValueError
        The array has another shape or sample type.
    WriteError
        The format cannot store the picture, or the operating system refuses. An existing file does not change.

    Examples
    --------
    >>> import numpy as np
    >>> write("/dev/null", np.zeros((4, 4), np.uint16), WriteOptions(format="jpeg"))
    ('JPEG holds 8 bits a sample, to which the 16-bit samples are rounded; use png, tiff or jpeg2000 to keep them',)
    """
    if not isinstance(picture, Picture):
        picture = Picture.from_array(picture)
    if not isinstance(target, Target):
        target = resolve_target(target, options, picture.format)
    target, notes = check(target, picture.outline, options)
    fmt = target.format
    assert fmt is not None
    picture, lost = _stored_frames(picture, fmt, options)
    picture = _prepared(picture, fmt, options)
    if fmt.colours:
        from convfilter.picture import sample_losses

        lost += sample_losses.of_palette(picture, fmt)
    if fmt.holds.geo and any(frame.tiff for frame in picture.frames):
        from convfilter.picture import losses

        lost += losses.of_pages(picture, fmt)
    notes += notes_of(lost, options, WriteError)
    with atomic.replacing(target.path) as file:
        encode: Writer = formats.load(fmt.writer)
        encode(file, replace(picture, format=fmt.name), options)
    return notes


def _stored_frames(picture: Picture, fmt: Format, options: WriteOptions) -> tuple[Picture, list[Loss]]:
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


def _prepared(picture: Picture, fmt: Format, options: WriteOptions) -> Picture:
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
    metadata = _fitted(picture.metadata, fmt, picture.model, options)
    metadata.from_integers |= picture.dtype.kind != "f"
    prepared = replace(picture, frames=frames, alpha=alpha, metadata=metadata, white=white)
    if _takes_thumbnail(metadata, fmt):
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


def _fitted(metadata: Metadata, fmt: Format, model: Model, options: WriteOptions) -> Metadata:
    """Return the metadata to store: what ``options`` do not strip and the format has fields for."""
    metadata = _stripped(metadata, options.strip)
    if not metadata.is_empty:
        from convfilter.picture.metadata import carry

        metadata = carry.fitted(metadata, fmt, model)
        metadata.text = [text for text in metadata.text if carry.has_field(text, fmt)]
    if metadata.icc:
        from convfilter.picture.metadata import icc

        metadata.icc = metadata.icc if icc.fits(metadata.icc, model) else None
    if metadata.icc and not fmt.holds.icc and b"cICP" not in dict(metadata.png):
        from convfilter.picture.metadata import cicp

        if chunks := cicp.equivalent_chunks(metadata.icc, model, fmt):
            metadata.icc, metadata.png = None, [*metadata.png, *chunks]
    if options.marked:
        from convfilter.picture.metadata import mark

        mark.add(metadata, fmt)
    return metadata


def _takes_thumbnail(metadata: Metadata, fmt: Format) -> bool:
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
        metadata=_fitted(outline.metadata, fmt, outline.model, options),
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


def streaming_obstacle(fmt: Format, stored: Outline, options: WriteOptions) -> str:
    """Return why a picture cannot be encoded row by row in a format; "" if it can."""
    if stored.frames > 1:
        return "its frames are written one after the other"
    if _takes_thumbnail(stored.metadata, fmt):
        return "its thumbnail is stored before the samples"
    if not fmt.row_writer:
        return f"{fmt.name} is encoded in one piece"
    return str(formats.load(fmt.row_check)(stored, options)) if fmt.row_check else ""


def row_writer(
    file: BinaryIO,
    fmt: Format,
    stored: Outline,
    options: WriteOptions,
    dtype: np.dtype[np.generic],
    prepare: Callable[[Pixels], Pixels] | None,
) -> RowWriter:
    """Return a row writer for a picture whose :func:`streaming_obstacle` is "".

    Parameters
    ----------
    file : BinaryIO
    fmt : Format
    stored : Outline
        From :func:`stored_outline`.
    options : WriteOptions
    dtype : dtype
        Type of the incoming rows.
    prepare : callable or None
        Converts them to rows of ``stored.dtype``.

    Returns
    -------
    RowWriter
    """
    writer: RowWriter = formats.load(fmt.row_writer)(
        file, replace(stored, format=fmt.name), options, dtype, threads=options.threads, prepare=prepare
    )
    return writer
