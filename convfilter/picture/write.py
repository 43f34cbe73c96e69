"""Write a picture: check its format before filtering, convert the result for it, and replace the file atomically."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, BinaryIO, Protocol

import numpy as np

from convfilter.errors import UsageError, WriteError
from convfilter.picture import formats
from convfilter.picture.format import Format
from convfilter.picture.loss import notes_of
from convfilter.picture.options import EFFORTS, TIFF_COMPRESSIONS, WriteOptions
from convfilter.picture.outline import Outline
from convfilter.picture.picture import Picture
from convfilter.picture.pixels import Pixels
from convfilter.picture.place import atomic
from convfilter.picture.place.target import Target, resolve_target
from convfilter.picture.stored import prepared, takes_thumbnail, with_stored_frames
from convfilter.record import replace

if TYPE_CHECKING:
    from convfilter.picture.row_writer import RowWriter

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
        raise WriteError(
            "a picture with bands besides its colours cannot be flattened", remedy="leave out {background}"
        )
    if max(outline.width, outline.height) > fmt.max_side:
        raise WriteError(
            f"{fmt.name} holds {fmt.max_side} pixels per side, the result has {outline.width}x{outline.height}; "
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
    ('JPEG holds 8 bits per sample, to which the 16-bit samples are rounded; use png, tiff or jpeg2000 to keep them',)
    """
    if not isinstance(picture, Picture):
        picture = Picture.from_array(picture)
    if not isinstance(target, Target):
        target = resolve_target(target, options, picture.format)
    target, notes = check(target, picture.outline, options)
    fmt = target.format
    assert fmt is not None
    picture, lost = with_stored_frames(picture, fmt, options)
    picture = prepared(picture, fmt, options)
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


def streaming_obstacle(fmt: Format, stored: Outline, options: WriteOptions) -> str:
    """Return why a picture cannot be encoded row by row in a format; "" if it can."""
    if stored.frames > 1:
        return "its frames are written one after the other"
    if takes_thumbnail(stored.metadata, fmt):
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
