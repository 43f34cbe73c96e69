"""Losses: properties of an input that its output lacks, for any pair of formats, from the rows of ``formats``.

A loss of pictures or of their meaning is an error unless the user allows it; any other loss is a note.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from convfilter.errors import PictureError
from convfilter.picture import formats
from convfilter.picture.format import ANY_TEXT, NAMES, Format
from convfilter.picture.metadata import cicp
from convfilter.picture.options import EFFORTS, TIFF_COMPRESSIONS, ReadOptions, WriteOptions
from convfilter.picture.picture import Frame, Loss, Outline, Picture
from convfilter.picture.pixels import CHANNELS
from convfilter.picture.png import layout as png
from convfilter.record import replace
from convfilter.sample_types import full_scale, is_integer, is_signed, sample_type

if TYPE_CHECKING:
    from convfilter.picture.tiff.fields import PageFields

#: Bits of a float32, and the largest number of 16.
_SINGLE, _MOST_OF_SIXTEEN = 32, 65535
_LARGEST_SINGLE = float(np.finfo(np.float32).max)
_MOST_NAMED = 3
_OPAQUE = 255
_ALLOW_LOSS = "{allow_loss=True}"


def settled(losses: Iterable[Loss], options: ReadOptions | WriteOptions, error: type[PictureError]) -> tuple[str, ...]:
    """Raise an error for unaccepted losses; return the others as notes, without repetitions.

    Parameters
    ----------
    losses : iterable of Loss
    options : ReadOptions or WriteOptions
        ``allow_loss`` accepts severe ones, ``strict`` none at all.
    error : type of PictureError

    Returns
    -------
    tuple of str

    Raises
    ------
    PictureError
        One line that names all unaccepted losses.
    """
    distinct = tuple(dict.fromkeys(losses))
    refused = [loss for loss in distinct if options.strict or (loss.severe and not options.allow_loss)]
    if refused:
        remedies = [*(loss.remedy for loss in refused), "{strict=True} makes this an error" if options.strict else ""]
        raise error("; ".join(loss.text for loss in refused), remedy="; ".join(filter(None, dict.fromkeys(remedies))))
    return tuple(loss.text for loss in distinct)


def of_outline(outline: Outline, fmt: Format, options: WriteOptions) -> Iterator[Loss]:
    """Yield losses that are known before filtering: depth, transparency, frames and metadata.

    Parameters
    ----------
    outline : Outline
        Outline of the result, with sample type, delays and metadata of the input.
    fmt : Format
        Output format.
    options : WriteOptions
        Options; anything that they drop on purpose is no loss.

    Yields
    ------
    Loss
    """
    yield from _of_depth(outline, fmt)
    if outline.extras and not fmt.extras:
        bands = "1 more" if outline.extras == 1 else f"{outline.extras} more"
        yield Loss(
            f"{fmt.name} holds no bands beside colours and transparency, the input has {bands}",
            severe=True,
            remedy=f"use {_others(outline, lambda other: other.extras)}, or leave them out with {_ALLOW_LOSS}",
        )
    if outline.alpha and not fmt.alpha and options.background is None:
        yield Loss(
            f"{fmt.name} has no transparency",
            severe=True,
            remedy="lay the picture over a colour with {background}, "
            f"use a format that has it ({_others(outline, lambda other: other.alpha == 'full')}), "
            f"or drop it with {_ALLOW_LOSS}",
        )
    if outline.frames > 1:
        yield from _of_frames(outline, fmt)
    compression = outline.metadata.compression
    if fmt.name == "TIFF" and compression not in ("", *TIFF_COMPRESSIONS) and options.compression in EFFORTS:
        yield Loss(f"TIFF is written without loss, deflated; the input was compressed with {compression}")
    if fmt.name == "EXR":
        yield from _of_exr(outline)
    if options.strip is None:
        kinds = sorted({kind for page in outline.pages for kind in page.kinds}, key=list(NAMES).index)
        yield from (Loss(_left_out(outline, fmt, kind)) for kind in kinds if not getattr(fmt.holds, kind))
    if options.strip != "all" and not outline.metadata.is_empty:
        from convfilter.picture.metadata import carry

        outline = replace(outline, metadata=carry.fitted(outline.metadata, fmt, outline.model))
        if options.strip is None:
            yield from _of_metadata(outline, fmt)
        yield from _of_colour(outline, fmt)


def _of_exr(outline: Outline) -> Iterator[Loss]:
    """Yield the losses of compression and windows between an OpenEXR that was read and one that is written."""
    header = outline.metadata.exr
    if header is None:
        return
    if header.lossless_compression != header.compression:
        yield Loss(f"EXR is written without loss, as ZIP; the input was compressed with {header.compression}")
    if header.has_windows and not header.fits(outline.width, outline.height):
        yield Loss("EXR is written without the data and display windows, since the size has changed")


def of_range(picture: Picture, fmt: Format) -> Iterator[Loss]:
    """Find samples that a format of integers from 0 on has to clip.

    Parameters
    ----------
    picture : Picture
        A picture whose samples can leave the range: see ``can_leave``.
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
        holders = _others(None, lambda other: dtype in other.dtypes)
        yield Loss(
            f"{fmt.name} holds values from 0 (black) to {white:.10g} (white), the picture's go from {low:.4g} to "
            f"{high:.4g}",
            severe=True,
            remedy=f"use {holders}, fit them in with {{scale}} and {{offset}} or {{map=stretch}}, "
            f"or clip them with {_ALLOW_LOSS}",
        )


def of_infinity(samples: int, fmt: Format) -> Iterator[Loss]:
    """Yield the loss of samples of float64 that are too large for float32."""
    if samples:
        count = "1 sample is" if samples == 1 else f"{samples:,} samples are"
        keepers = _others(None, lambda other: "float64" in other.dtypes)
        yield Loss(
            f"{fmt.name} holds 32-bit floats, up to {_LARGEST_SINGLE:.3g}, and {count} larger",
            severe=True,
            remedy=f"use {keepers}, or store infinity with {_ALLOW_LOSS}",
        )


def of_nan(samples: int, fmt: Format) -> Iterator[Loss]:
    """Yield the loss of NaN samples, which integers cannot represent."""
    if samples:
        floats = _others(None, lambda other: "float32" in other.dtypes)
        count = "1 sample is" if samples == 1 else f"{samples:,} samples are"
        yield Loss(
            f"{fmt.name} cannot store NaN, and {count} NaN",
            severe=True,
            remedy=f"use {floats}, choose the value to store, 0 (black) to 1 (white), with {{nan}}, "
            f"or store black with {_ALLOW_LOSS}",
        )


def of_glow(picture: Picture, fmt: Format) -> Iterator[Loss]:
    """Yield the loss of premultiplied colours brighter than their alpha, which straight colours cannot represent.

    Parameters
    ----------
    picture : Picture
        Picture as read.
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
        pixels = "1 pixel is" if brighter == 1 else f"{brighter:,} pixels are"
        yield Loss(
            f"{fmt.name} keeps no colours that are brighter than their opacity (light, glow), as {pixels}",
            severe=True,
            remedy=f"use {_others(None, lambda other: other.premultiplied)}, "
            f"lay the picture over a colour with {{background}}, or clip them with {_ALLOW_LOSS}",
        )


def of_curve(profile: bytes, *, severe: bool) -> Iterator[Loss]:
    """Yield the loss of an RGB profile without a tone curve for a profile of the grey result."""
    from convfilter.picture.metadata import icc

    if icc.model_of(profile) == "rgb":
        space = icc.description(profile)
        yield Loss(
            f"the colour profile{f' ({space})' if space else ''} has no single tone curve for a grey result, which "
            "would be shown wrong",
            severe=severe,
            remedy=f"convert the picture to sRGB first, or accept it with {_ALLOW_LOSS}",
        )


def of_palette(picture: Picture, fmt: Format) -> Iterator[Loss]:
    """Yield the loss of colours and alpha values that a small palette cannot hold.

    Parameters
    ----------
    picture : Picture
        Picture to be written, of uint8.
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
        yield Loss(f"{fmt.name} holds {fmt.colours} colours a frame, to which the picture's are reduced by dithering")
    if picture.alpha and any(((p[..., -1] > 0) & (p[..., -1] < _OPAQUE)).any() for p in frames):
        yield Loss(f"{fmt.name} holds pixels that are opaque or clear; opacity is rounded to one of them")


def of_series(name: str) -> Iterator[Loss]:
    """Yield the loss of all but one picture of a series."""
    yield Loss(
        f"{name} holds one picture, and the input holds several, one behind the other",
        severe=True,
        remedy=f"use ppm, pgm, pam or pfm, choose one with {{frame=N}}, or keep the first with {_ALLOW_LOSS}",
    )


def of_pages(picture: Picture, fmt: Format) -> Iterator[Loss]:
    """Yield TIFF fields that do not describe the result's pages any more.

    Parameters
    ----------
    picture : Picture
        As it will be written.
    fmt : Format

    Yields
    ------
    Loss
    """
    from convfilter.picture.tiff.write import fields_of

    for each in fields_of(picture):
        if each:
            yield from of_page(*each, fmt)


def of_page(page: PageFields, shape: tuple[int, ...], dtype: str, pages: int, fmt: Format) -> Iterator[Loss]:
    """Yield fields that do not describe a page any more; see ``tiff_fields.fitting``."""
    from convfilter.picture.tiff.fields import fitting

    for kind, why in fitting(page, shape, dtype, pages)[1].items():
        yield Loss(f"{fmt.name} is written without {NAMES[kind]}, since {why}")


def of_fallback(frames: Sequence[Frame], fmt: Format) -> Iterator[Loss]:
    """Yield the loss of the picture that only programs without animation show."""
    if any(frame.fallback for frame in frames) and not fmt.fallback:
        keepers = _others(None, lambda other: other.fallback)
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


def _of_depth(outline: Outline, fmt: Format) -> Iterator[Loss]:
    stored = fmt.dtype_for(np.dtype(outline.dtype))
    if not fmt.mantissa and _rounds(outline.dtype, stored):
        keepers = _others(outline, lambda other: outline.dtype in other.dtypes and _holds_bits(other, outline))
        kind = f"{outline.white.bit_length()}-bit" if outline.white else sample_type(outline.dtype).name
        bits = (fmt.white_for(stored, None) or int(full_scale(stored))).bit_length() if is_integer(stored) else _SINGLE
        yield Loss(
            f"{fmt.name} holds {bits} bits a sample, to which the {kind} samples "
            f"are rounded; use {keepers} to keep them"
        )
    elif not fmt.mantissa and is_signed(outline.dtype) and not is_signed(stored):
        keepers = _others(outline, lambda other: outline.dtype in other.dtypes)
        kind, full = sample_type(outline.dtype).name, full_scale(outline.dtype)
        what = f"{full:.10g} becomes white" if is_integer(stored) else "they become floats of the same values"
        yield Loss(f"{fmt.name} holds no {kind} samples; {what}; use {keepers} to keep them")
    elif fmt.mantissa and outline.format != fmt.name:
        keepers = _others(outline, lambda other: "float32" in other.dtypes and not other.mantissa)
        yield Loss(
            f"{fmt.name} holds {fmt.mantissa} bits a sample and an exponent for each pixel, to which samples are "
            f"rounded; use {keepers} to keep them"
        )
    elif stored.kind == "u" and np.dtype(outline.dtype).kind == "u":
        yield from _of_white(outline, fmt, stored)


def _rounds(dtype: str, stored: np.dtype[np.generic]) -> bool:
    """Tell whether samples lose digits on the way to the type in which they are stored."""
    before, after = np.dtype(dtype), np.dtype(stored)
    if after.kind == "f":  # 24 bits and a sign
        return before.itemsize > (after.itemsize if before.kind == "f" else 2)
    return before.kind == "f" or before.itemsize > after.itemsize


def _holds_bits(fmt: Format, outline: Outline) -> bool:
    """Whether a format that holds the samples' type keeps all their bits."""
    held = outline.white or 65535
    dtype = np.dtype(np.uint32 if held > _MOST_OF_SIXTEEN else np.uint16)
    return not fmt.mantissa and (fmt.white_for(dtype, outline.white) or held) >= held


def _of_white(outline: Outline, fmt: Format, stored: np.dtype[np.generic]) -> Iterator[Loss]:
    """Find integers that are rounded to fewer bits, or stretched to more, within their sample type."""
    full = fmt.white_for(stored, outline.white) or int(full_scale(stored))
    held = outline.white or int(full_scale(outline.dtype))
    if full < held:
        keepers = _others(outline, lambda other: "uint16" in other.dtypes and _holds_bits(other, outline))
        yield Loss(
            f"{fmt.name} holds {full.bit_length()} bits a sample, to which the {held.bit_length()}-bit samples "
            f"are rounded; use {keepers} to keep them"
        )
    elif outline.white and full != held and stored == np.dtype(outline.dtype):
        white, factor = outline.white, f"{full / outline.white:.6g} times as large"
        keepers = _others(outline, lambda other: other.white_for(stored, white) == white)
        yield Loss(f"{fmt.name} stretches samples of 0 to {white} to 0 to {full}, {factor}; use {keepers} to keep them")


def _of_frames(outline: Outline, fmt: Format) -> Iterator[Loss]:
    """Yield losses of frames and of their delays."""
    kind = "frames" if outline.animated else "pages"
    if not fmt.frames or (fmt.frames == "animation" and not outline.animated):
        what = "one picture" if not fmt.frames else "animations"
        remedy = _others(outline, lambda other: other.frames == ("animation" if outline.animated else "pages"))
        yield Loss(
            f"{fmt.name} holds {what}, the input has {outline.frames} {kind}",
            severe=True,
            remedy=f"use {remedy}, choose one with {{frame=N}}, or keep the first with {_ALLOW_LOSS}",
        )
        return
    if not outline.animated:
        return
    animations = _others(outline, lambda other: other.frames == "animation" and other.name != fmt.name)
    if fmt.frames == "pages":
        yield Loss(f"{fmt.name} holds pages, without the times of an animation; use {animations} to keep them")
        return
    if any(not _is_exact(delay, fmt) for delay in outline.delays):
        steps = f"in steps of 1/{fmt.ticks} s" if fmt.ticks else "as fractions of 16 bits"
        yield Loss(f"{fmt.name} holds delays {steps} up to {fmt.longest:g} s, to which the animation's are rounded")
    if outline.metadata.loop and not fmt.holds.loop:
        yield Loss(_left_out(outline, fmt, "loop"))


def _is_exact(delay: tuple[int, int], fmt: Format) -> bool:
    numerator, denominator = delay
    if fmt.ticks:
        return numerator / denominator <= fmt.longest and numerator * fmt.ticks % denominator == 0
    common = math.gcd(numerator, denominator)
    return max(numerator, denominator) // common <= fmt.longest


def _of_metadata(outline: Outline, fmt: Format) -> Iterator[Loss]:
    """Yield losses of texts and other metadata."""
    from convfilter.picture.metadata import carry

    metadata = outline.metadata
    for kind, is_there in present(outline).items():
        if is_there and not (getattr(fmt.holds, kind) and carry.has_room(metadata, fmt, kind)):
            yield Loss(_left_out(outline, fmt, kind))
    lost = dict.fromkeys(text.keyword for text in metadata.text if not carry.has_field(text, fmt))
    if lost:
        keepers = _others(outline, lambda other: other.holds.text == ANY_TEXT)
        yield Loss(f"{fmt.name} is written without remarks ({', '.join(lost)}); use {keepers} to keep that")


def present(outline: Outline) -> dict[str, bool]:
    """Return which kinds of metadata a picture has, by the fields of ``Holds``."""
    from convfilter.picture.metadata import photoshop

    metadata = outline.metadata
    photoshop_only = {each.number for each in photoshop.parsed(metadata.photoshop or b"")} - {photoshop.IPTC}
    chunks = {kind for kind, _ in metadata.png}
    return {
        "exif": bool(metadata.exif),
        "xmp": bool(metadata.xmp),
        "iptc": bool(metadata.iptc) or photoshop.has_iptc(metadata.photoshop),
        "photoshop": bool(photoshop_only),
        "resolution": metadata.resolution is not None,
        "aspect": b"pHYs" in chunks,
        "background": b"bKGD" in chunks and outline.alpha,
        "time": b"tIME" in chunks,
        "light": bool(chunks & {b"mDCV", b"cLLI"}),
        "thumbnail": metadata.thumbnail,
        "exr": metadata.exr is not None and metadata.exr.has_attributes,
        "radiance": bool(metadata.radiance),
    }


def _of_colour(outline: Outline, fmt: Format) -> Iterator[Loss]:
    """Yield the loss of a colour space: an error, unless the default colour space looks the same."""
    metadata, chunks = outline.metadata, dict(outline.metadata.png)
    profile = metadata.icc
    if profile and not fmt.holds.icc:
        from convfilter.picture.metadata import icc, transfer

        if icc.fits(profile, outline.model):
            said = cicp.equivalent_chunks(profile, outline.model, fmt)
            space = icc.description(profile)
            named = f" ({space})" if space else ""
            yield (
                Loss(_left_out(outline, fmt, "icc", named))
                if transfer.is_srgb(profile) or said
                else _lost_colours(outline, fmt, "icc", named)
            )
    if (
        b"cICP" in chunks
        and not _holds_colours(fmt, *chunks[b"cICP"][:2])
        and tuple(chunks[b"cICP"][:2]) not in cicp.LIKE_SRGB
    ):
        named = f" ({cicp.name_of(*chunks[b'cICP'][:2])})"
        # A profile in the output says the same.
        has_profile = profile and fmt.holds.icc
        yield (
            Loss(_left_out(outline, fmt, "cicp", named)) if has_profile else _lost_colours(outline, fmt, "cicp", named)
        )
    has_better = profile or b"sRGB" in chunks or b"cICP" in chunks
    is_kept = fmt.holds.primaries or (fmt.holds.radiance and outline.format == fmt.name)
    if not has_better and not is_kept and not png.says_srgb(chunks):
        yield _lost_colours(outline, fmt, "primaries")


def _holds_colours(fmt: Format, primaries: int, transfer: int) -> bool:
    """Whether a format stores code points, or linear light, to which only simple functions convert."""
    if fmt.linear and (cicp.transfer_curve(transfer) is None or (fmt.only_bt709 and primaries != cicp.BT709_PRIMARIES)):
        return False
    return fmt.holds.cicp


def _lost_colours(outline: Outline, fmt: Format, kind: str, named: str = "") -> Loss:
    keepers = _others(outline, lambda other: bool(getattr(other.holds, kind)))
    return Loss(
        f"{fmt.name} is written without {NAMES[kind]}{named}; its colours would be shown wrong",
        severe=True,
        remedy=f"use {keepers}, convert the picture to sRGB first, or accept it with {_ALLOW_LOSS}",
    )


def _left_out(outline: Outline, fmt: Format, kind: str, more: str = "") -> str:
    keepers = _others(outline, lambda other: bool(getattr(other.holds, kind)))
    return f"{fmt.name} is written without {NAMES[kind]}{more}" + (f"; use {keepers} to keep that" if keepers else "")


def _others(outline: Outline | None, holds: Callable[[Format], bool]) -> str:
    """List the first formats that hold something, and the rest of the picture."""
    names = [
        fmt.name.lower()
        for fmt in formats.FORMATS
        if holds(fmt) and (outline is None or (outline.model in fmt.models and (bool(fmt.alpha) or not outline.alpha)))
    ][:_MOST_NAMED]
    return " or ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))
