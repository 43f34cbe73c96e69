"""Losses that are known before filtering: properties of a picture that its output format lacks.

They follow from the rows of ``formats``, for any pair of formats. ``sample_losses`` has those that depend on samples.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from convfilter.picture.format import ANY_TEXT, NAMES, Format
from convfilter.picture.loss import ALLOW_LOSS, Loss, formats_that
from convfilter.picture.metadata import cicp
from convfilter.picture.options import EFFORTS, TIFF_COMPRESSIONS, WriteOptions
from convfilter.picture.outline import Outline
from convfilter.picture.picture import Picture
from convfilter.picture.png import layout as png
from convfilter.record import replace
from convfilter.sample_types import full_scale, is_integer, is_signed, sample_type

if TYPE_CHECKING:
    from convfilter.picture.tiff.fields import PageFields

_FLOAT32_BITS, _LARGEST_UINT16 = 32, 65535


def of_outline(outline: Outline, fmt: Format, options: WriteOptions) -> Iterator[Loss]:
    """Yield the losses of depth, extra bands, transparency, frames, compression, metadata and colour space.

    Parameters
    ----------
    outline : Outline
        Outline of the result, with the sample type, the delays and the metadata of the input.
    fmt : Format
        Output format.
    options : WriteOptions
        Properties that they drop on purpose are no losses.

    Yields
    ------
    Loss
    """
    yield from _of_depth(outline, fmt)
    if outline.extras and not fmt.extras:
        bands = "1 more" if outline.extras == 1 else f"{outline.extras} more"
        yield Loss(
            f"{fmt.name} holds no bands besides colours and transparency, the input has {bands}",
            severe=True,
            remedy=f"use {formats_that(lambda other: other.extras, outline)}, or leave them out with {ALLOW_LOSS}",
        )
    if outline.alpha and not fmt.alpha and options.background is None:
        can_be_flattened = outline.model != "cmyk" and not outline.extras
        yield Loss(
            f"{fmt.name} has no transparency",
            severe=True,
            remedy=("lay the picture over a colour with {background}, " if can_be_flattened else "")
            + f"use a format that has it ({formats_that(lambda other: other.alpha == 'full', outline)}), "
            f"or drop it with {ALLOW_LOSS}",
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


def of_curve(profile: bytes, *, severe: bool) -> Iterator[Loss]:
    """Yield the loss of a grey result's colours, whose RGB profile has no single tone curve for a grey profile."""
    from convfilter.picture.metadata import icc

    if icc.model_of(profile) == "rgb":
        space = icc.description(profile)
        yield Loss(
            f"the colour profile{f' ({space})' if space else ''} has no single tone curve for a grey result, which "
            "would be shown wrong",
            severe=severe,
            remedy=f"convert the picture to sRGB first, or accept it with {ALLOW_LOSS}",
        )


def of_series(name: str) -> Iterator[Loss]:
    """Yield the loss of all but one picture of a series, by the name of the output format."""
    yield Loss(
        f"{name} holds one picture, and the input holds several, one after the other",
        severe=True,
        remedy=f"use ppm, pgm, pam or pfm, choose one with {{frame=N}}, or keep the first with {ALLOW_LOSS}",
    )


def of_pages(picture: Picture, fmt: Format) -> Iterator[Loss]:
    """Yield the losses of TIFF fields that do not describe the pages of the result.

    Parameters
    ----------
    picture : Picture
        The picture that will be written.
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
    """Yield the losses of fields that do not describe a page of the result; see ``tiff.fields.fitting``."""
    from convfilter.picture.tiff.fields import fitting

    for kind, why in fitting(page, shape, dtype, pages)[1].items():
        yield Loss(f"{fmt.name} is written without {NAMES[kind]}, since {why}")


def _of_depth(outline: Outline, fmt: Format) -> Iterator[Loss]:
    """Yield the loss of bits, of signs, or of the values of samples."""
    stored = fmt.dtype_for(np.dtype(outline.dtype))
    if not fmt.mantissa and _rounds(outline.dtype, stored):
        keepers = formats_that(lambda other: outline.dtype in other.dtypes and _holds_bits(other, outline), outline)
        kind = f"{outline.white.bit_length()}-bit" if outline.white else sample_type(outline.dtype).name
        bits = (
            (fmt.white_for(stored, None) or int(full_scale(stored))).bit_length()
            if is_integer(stored)
            else _FLOAT32_BITS
        )
        yield Loss(
            f"{fmt.name} holds {bits} bits per sample, to which the {kind} samples "
            f"are rounded; use {keepers} to keep them"
        )
    elif not fmt.mantissa and is_signed(outline.dtype) and not is_signed(stored):
        keepers = formats_that(lambda other: outline.dtype in other.dtypes, outline)
        kind, full = sample_type(outline.dtype).name, full_scale(outline.dtype)
        what = f"{full:.10g} becomes white" if is_integer(stored) else "they become floats of the same values"
        yield Loss(f"{fmt.name} holds no {kind} samples; {what}; use {keepers} to keep them")
    elif fmt.mantissa and outline.format != fmt.name:
        keepers = formats_that(lambda other: "float32" in other.dtypes and not other.mantissa, outline)
        yield Loss(
            f"{fmt.name} holds {fmt.mantissa} bits per sample and an exponent for each pixel, to which samples are "
            f"rounded; use {keepers} to keep them"
        )
    elif stored.kind == "u" and np.dtype(outline.dtype).kind == "u":
        yield from _of_white(outline, fmt, stored)


def _rounds(dtype: str, stored: np.dtype[np.generic]) -> bool:
    """Whether the type in which samples are stored has fewer significant bits than theirs."""
    before, after = np.dtype(dtype), np.dtype(stored)
    if after.kind == "f":  # a float32 has 24 significant bits and a sign: enough for integers of 16 bits
        return before.itemsize > (after.itemsize if before.kind == "f" else 2)
    return before.kind == "f" or before.itemsize > after.itemsize


def _holds_bits(fmt: Format, outline: Outline) -> bool:
    """Whether a format that has the samples' type stores all their bits."""
    white = outline.white or _LARGEST_UINT16
    dtype = np.dtype(np.uint32 if white > _LARGEST_UINT16 else np.uint16)
    return not fmt.mantissa and (fmt.white_for(dtype, outline.white) or white) >= white


def _of_white(outline: Outline, fmt: Format, stored: np.dtype[np.generic]) -> Iterator[Loss]:
    """Yield the loss of integers that are rounded to fewer bits, or stretched to more, of the same sample type."""
    after = fmt.white_for(stored, outline.white) or int(full_scale(stored))
    before = outline.white or int(full_scale(outline.dtype))
    if after < before:
        keepers = formats_that(lambda other: "uint16" in other.dtypes and _holds_bits(other, outline), outline)
        yield Loss(
            f"{fmt.name} holds {after.bit_length()} bits per sample, to which the {before.bit_length()}-bit samples "
            f"are rounded; use {keepers} to keep them"
        )
    elif outline.white and after != before and stored == np.dtype(outline.dtype):
        white, factor = outline.white, f"{after / outline.white:.6g} times as large"
        keepers = formats_that(lambda other: other.white_for(stored, white) == white, outline)
        yield Loss(
            f"{fmt.name} stretches samples of 0 to {white} to 0 to {after}, {factor}; use {keepers} to keep them"
        )


def _of_frames(outline: Outline, fmt: Format) -> Iterator[Loss]:
    """Yield the losses of frames, of their delays, and of the number of plays."""
    kind = "frames" if outline.animated else "pages"
    if not fmt.frames or (fmt.frames == "animation" and not outline.animated):
        what = "one picture" if not fmt.frames else "animations"
        remedy = formats_that(lambda other: other.frames == ("animation" if outline.animated else "pages"), outline)
        yield Loss(
            f"{fmt.name} holds {what}, the input has {outline.frames} {kind}",
            severe=True,
            remedy=f"use {remedy}, choose one with {{frame=N}}, or keep the first with {ALLOW_LOSS}",
        )
        return
    if not outline.animated:
        return
    animations = formats_that(lambda other: other.frames == "animation" and other.name != fmt.name, outline)
    if fmt.frames == "pages":
        yield Loss(f"{fmt.name} holds pages, without the times of an animation; use {animations} to keep them")
        return
    if any(not _is_exact(delay, fmt) for delay in outline.delays):
        steps = f"in steps of 1/{fmt.ticks} s" if fmt.ticks else "as fractions of 16 bits"
        yield Loss(f"{fmt.name} holds delays {steps} up to {fmt.longest:g} s, to which the animation's are rounded")
    if outline.metadata.loop and not fmt.holds.loop:
        yield Loss(_left_out(outline, fmt, "loop"))


def _is_exact(delay: tuple[int, int], fmt: Format) -> bool:
    """Whether a format can store a delay."""
    numerator, denominator = delay
    if fmt.ticks:
        return numerator / denominator <= fmt.longest and numerator * fmt.ticks % denominator == 0
    common = math.gcd(numerator, denominator)
    return max(numerator, denominator) // common <= fmt.longest


def _of_metadata(outline: Outline, fmt: Format) -> Iterator[Loss]:
    """Yield the losses of texts and other metadata."""
    from convfilter.picture.metadata import carry

    metadata = outline.metadata
    for kind, is_present in present(outline).items():
        if is_present and not (getattr(fmt.holds, kind) and carry.has_room(metadata, fmt, kind)):
            yield Loss(_left_out(outline, fmt, kind))
    lost = dict.fromkeys(text.keyword for text in metadata.text if not carry.has_field(text, fmt))
    if lost:
        keepers = formats_that(lambda other: other.holds.text == ANY_TEXT, outline)
        yield Loss(f"{fmt.name} is written without texts ({', '.join(lost)}); use {keepers} to keep that")


def present(outline: Outline) -> dict[str, bool]:
    """Return whether a picture has each kind of metadata, by the fields of ``Holds``."""
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
    """Yield the loss of a colour space, which is severe unless the default one looks the same."""
    metadata, chunks = outline.metadata, dict(outline.metadata.png)
    profile = metadata.icc
    if profile and not fmt.holds.icc:
        from convfilter.picture.metadata import icc, transfer

        if icc.fits(profile, outline.model):
            has_equivalent = bool(cicp.equivalent_chunks(profile, outline.model, fmt))
            space = icc.description(profile)
            named = f" ({space})" if space else ""
            yield (
                Loss(_left_out(outline, fmt, "icc", named))
                if transfer.is_srgb(profile) or has_equivalent
                else _lost_colours(outline, fmt, "icc", named)
            )
    points = metadata.code_points
    if points and not _holds_colours(fmt, *points) and points not in cicp.LIKE_SRGB:
        named = f" ({cicp.name_of(*points)})"
        has_profile = profile and fmt.holds.icc  # which describes the same colours
        yield (
            Loss(_left_out(outline, fmt, "cicp", named)) if has_profile else _lost_colours(outline, fmt, "cicp", named)
        )
    has_better = profile or b"sRGB" in chunks or b"cICP" in chunks
    is_stored = fmt.holds.primaries or (fmt.holds.radiance and outline.format == fmt.name)
    if not has_better and not is_stored and not png.says_srgb(chunks):
        yield _lost_colours(outline, fmt, "primaries")


def _holds_colours(fmt: Format, primaries: int, transfer: int) -> bool:
    """Whether a format stores code points, or linear light, to which only a simple curve converts."""
    if fmt.linear and (cicp.transfer_curve(transfer) is None or (fmt.only_bt709 and primaries != cicp.BT709_PRIMARIES)):
        return False
    return fmt.holds.cicp


def _lost_colours(outline: Outline, fmt: Format, kind: str, named: str = "") -> Loss:
    """Return the severe loss of a colour space; ``kind`` is a field of ``Holds``, ``named`` the name in parentheses."""
    keepers = formats_that(lambda other: bool(getattr(other.holds, kind)), outline)
    return Loss(
        f"{fmt.name} is written without {NAMES[kind]}{named}; its colours would be shown wrong",
        severe=True,
        remedy=f"use {keepers}, convert the picture to sRGB first, or accept it with {ALLOW_LOSS}",
    )


def _left_out(outline: Outline, fmt: Format, kind: str, named: str = "") -> str:
    """Return the text of the loss of some kind of metadata, with the formats that store it."""
    keepers = formats_that(lambda other: bool(getattr(other.holds, kind)), outline)
    return f"{fmt.name} is written without {NAMES[kind]}{named}" + (f"; use {keepers} to keep that" if keepers else "")
