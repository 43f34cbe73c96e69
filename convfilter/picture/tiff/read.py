"""TIFF reader: every page at its own depth, through tifffile; limits are checked before a page is decoded."""

from __future__ import annotations

import logging
import operator
from collections.abc import Sequence
from typing import Any, BinaryIO

from convfilter.errors import ConvfilterError, ReadError
from convfilter.picture import limits
from convfilter.picture.frame import Frame, chosen
from convfilter.picture.loss import Loss
from convfilter.picture.metadata.metadata import Metadata
from convfilter.picture.metadata.tiff_numbers import (
    ASSOCIATED,
    BLACK_IS_ZERO,
    JPEG,
    OLD_JPEG,
    PALETTE,
    RGB,
    UNASSOCIATED,
    WHITE_IS_ZERO,
    YCBCR,
)
from convfilter.picture.options import ReadOptions
from convfilter.picture.picture import Picture
from convfilter.picture.pixels import CHANNELS
from convfilter.picture.place.source import size_of
from convfilter.picture.tiff import damaged
from convfilter.picture.tiff.compression import CODES
from convfilter.picture.tiff.fields import STACK_DESCRIPTIONS, of_page
from convfilter.picture.tiff.layout import Image, images_of
from convfilter.picture.tiff.samples import MODELS, Decoded, decoded, extra_kinds, opened
from convfilter.picture.tiff.segments import READABLE
from convfilter.picture.tiff.tags import metadata_of, page_offsets, truncated_tags
from convfilter.sample_types import computed_in, is_known

#: Alternative numbers of compressions, which are written with the usual number.
_OTHER_DEFLATE, _OTHER_ZSTD = 32946, 34926
#: Most tags that a note names.
_MOST_NAMES = 8
#: Types that are read as float64, in which white would have another value.
_WITHOUT_WHITE = ("int64", "uint64")
_GDAL_STRUCTURE = b"GDAL_STRUCTURAL_METADATA_SIZE="


def read_tiff(file: BinaryIO, options: ReadOptions) -> Picture:
    """Read a TIFF or BigTIFF; a ``Reader``. Its pages become frames.

    Samples are uint8 for 1 to 8 bits (full range), uint16 for 9 to 16 and uint32 for more; int16; float32 for floats
    of up to 32 bits, and float64. Samples of int8 become int16; int32 and 64-bit integers become float64.

    Raises
    ------
    ReadError
        The file is truncated or damaged, or of a kind that cannot be filtered; with ``lenient``, damage of strips or
        tiles is noted instead.
    SizeError
        The picture is larger than allowed, or than the memory.
    """
    # tifffile logs warnings about unusual files; damage that matters is raised here.
    logging.getLogger("tifffile").setLevel(logging.CRITICAL + 1)
    count = len(page_offsets(file))
    file.seek(0)
    try:
        import tifffile

        with tifffile.TiffFile(file, name="picture.tif") as tiff:
            return _picture(tiff, file, count, options)
    except (ConvfilterError, MemoryError):
        raise
    except Exception as error:  # tifffile and imagecodecs raise exceptions of many types
        text = str(error).strip().splitlines()
        raise ReadError(
            f"the TIFF is damaged or of an unsupported kind: {text[0] if text else type(error).__name__}"
        ) from error


def _is_cloud_optimised(file: BinaryIO) -> bool:
    """Whether GDAL's block for cloud-optimised files follows the header, also in a BigTIFF."""
    file.seek(0)
    head = file.read(64)
    return any(head[at:].startswith(_GDAL_STRUCTURE) for at in (8, 16))


def _picture(tiff: Any, file: BinaryIO, count: int, options: ReadOptions) -> Picture:
    """Read a picture from the pages of a TIFF; ``count`` is the number of directories."""
    images, notes = images_of(tiff, file, count)
    if _is_cloud_optimised(file):
        notes.append("the TIFF is cloud-optimised (COG), and a result is not; gdal_translate -of COG makes it one")
    total, of_stack = len(images), images[0]
    if options.frame is not None:
        images = [chosen(images, options.frame)]
    _require_room(images, options)
    pages = _pages(images, file, options, notes)
    first = pages[0]
    metadata = _metadata(images[0].page, first, file)
    has_mask = any(image.mask is not None for image in images)
    metadata.mask = has_mask and not any(_has_alpha(image.page) for image in images)
    frames, losses = _frames(images, pages, total, file)
    if images[0] is not of_stack and (of_stack.page.description or "").startswith(STACK_DESCRIPTIONS):
        losses += (Loss("the dimensions of the stack (ImageJ, OME) are left out, since one of its frames is read"),)
    return Picture(
        frames,
        first.model,
        first.alpha,
        "TIFF",
        metadata,
        tuple(dict.fromkeys(notes)),
        extras=first.extras,
        losses=losses,
        white=first.white,
        premultiplied=first.premultiplied,
        file_dtype=first.file_dtype,
    )


def _require_room(images: Sequence[Image], options: ReadOptions) -> None:
    """Refuse pages that cannot be read, or that exceed the memory or the quota of pixels."""
    pixels = needed = 0
    for image in images:
        _require_readable(image.page, options)
        pixels += int(image.page.imagewidth) * int(image.page.imagelength)
        needed += sum(_needed_bytes(page) for page in (image.page, image.mask) if page is not None)
    limits.require_frames(len(images), pixels, options.max_pixels)
    limits.require_memory(needed)


def _pages(images: Sequence[Image], file: BinaryIO, options: ReadOptions, notes: list[str]) -> list[Decoded]:
    """Decode several pages, or prepare the decoding of a single one; all have the same kind of samples."""
    size = size_of(file)
    pages = []
    for image in images:
        _require_data(image, size, options, notes)
        pages.append(opened(image, file, options, notes) if len(images) == 1 else decoded(image, options, notes))
    if any(image.mask is not None for image in images):
        pages = [page.with_alpha() for page in pages]
    if len({page.premultiplied for page in pages}) > 1:
        pages = [page.straight() for page in pages]
    if any(page.kind != pages[0].kind for page in pages):
        raise ReadError(
            f"the {len(pages)} pages differ in colour, transparency or depth", remedy="choose one with {frame=N}"
        )
    return pages


def _metadata(page: Any, decoded_page: Decoded, file: BinaryIO) -> Metadata:
    """Return the metadata of the first page, and how its samples are stored, which a TIFF that is written copies."""
    metadata, kinds = metadata_of(page, file), extra_kinds(page)
    metadata.compression = _compression_of(page)
    metadata.tile = (int(page.tilewidth), int(page.tilelength)) if page.is_tiled else None
    metadata.associated_alpha = decoded_page.alpha and ASSOCIATED in kinds
    metadata.alpha_at = next(
        (at for at, kind in enumerate(kinds) if kind in (ASSOCIATED, UNASSOCIATED)), decoded_page.extras
    )
    return metadata


def _frames(
    images: Sequence[Image], pages: Sequence[Decoded], total: int, file: BinaryIO
) -> tuple[list[Frame], tuple[Loss, ...]]:
    """Return the frames, each with the fields of its directory, and the loss of the fields that are left out.

    ``total`` is the number of pages of the file. Of slices that share a directory, only the first has its fields.
    """
    frames, left = [], dict[str, None]()
    for number, (image, page) in enumerate(zip(images, pages, strict=True)):
        frame = Frame(page.pixels)
        frame.obstacle = page.obstacle or frame.obstacle
        if not image.slice:
            fields, names = of_page(image.page, file, number, total, frame.shape)
            left |= dict.fromkeys(names)
            frame.tiff = fields if fields.fields else None
        frames.append(frame)
    losses = [Loss(f"the TIFF has tags that are left out: {_listed(list(left))}")] if left else []
    cut = list(dict.fromkeys(name for image in images for name in truncated_tags(image.page, file)))
    if cut:
        losses.append(Loss(f"the TIFF is truncated or damaged: tags beyond its end are left out: {_listed(cut)}"))
    return frames, tuple(losses)


def _has_alpha(page: Any) -> bool:
    return bool({ASSOCIATED, UNASSOCIATED} & set(extra_kinds(page)))


def _compression_of(page: Any) -> str:
    """Return the name of a page's compression, a key of ``CODES`` or, for other compressions, tifffile's name."""
    number = int(page.compression)
    names = {code: name for name, code in reversed(CODES.items())}
    names |= {_OTHER_DEFLATE: "deflate", _OTHER_ZSTD: "zstd"}
    return names.get(number) or str(getattr(page.compression, "name", number))


def _listed(names: list[str]) -> str:
    return ", ".join(names[:_MOST_NAMES]) + (", ..." if len(names) > _MOST_NAMES else "")


def _needed_bytes(page: Any) -> int:
    """Estimate the memory of a page in bytes: for its stored, its decoded and its converted samples."""
    known = is_known(page.dtype)
    becomes = computed_in(page.dtype).itemsize if known else min(8, 2 * page.dtype.itemsize)
    channels = 3 if int(page.photometric) == PALETTE else page.samplesperpixel
    is_kept = known and computed_in(page.dtype) == page.dtype and channels == page.samplesperpixel
    pixels = int(page.imagewidth) * int(page.imagelength)
    return (0 if is_kept else int(page.nbytes)) + 2 * becomes * channels * pixels


def _require_readable(page: Any, options: ReadOptions) -> None:
    """Refuse, by the tags alone, pages that are too large or cannot be filtered."""
    limits.require_size(page.imagewidth, page.imagelength, options)
    if page.imagedepth != 1:
        raise ReadError(f"a TIFF volume of {page.imagedepth} layers cannot be filtered; save its layers as pages")
    photometric = int(page.photometric)
    if photometric not in MODELS:
        name = getattr(page.photometric, "name", photometric)
        raise ReadError(f"a TIFF of the kind {name} cannot be filtered; convert it to RGB or grey first")
    if photometric == YCBCR and int(page.compression) not in (OLD_JPEG, JPEG):
        raise ReadError("a TIFF of YCbCr samples without JPEG compression cannot be read; convert it to RGB first")
    if int(page.compression) not in READABLE:
        name = getattr(page.compression, "name", page.compression)
        raise ReadError(f"a TIFF compressed with {name} cannot be read; convert it to Deflate or LZW first")
    if page.dtype is None or page.dtype.kind not in "bufi":
        kind = {4: "undefined", 5: "complex integers", 6: "complex"}.get(int(page.sampleformat), "unknown")
        raise ReadError(
            f"TIFF samples must be integers or floats, got {kind} with {page.bitspersample} bits; "
            "convert them to float32"
        )
    if page.dtype.kind == "i" and photometric not in (BLACK_IS_ZERO, RGB):
        raise ReadError("signed TIFF samples must be grey or RGB; convert them to float32")
    has_white = photometric == WHITE_IS_ZERO or _has_alpha(page)
    if has_white and page.dtype.name in _WITHOUT_WHITE:
        raise ReadError(f"TIFF samples of {page.dtype.name} have neither white nor opacity; convert them to float32")
    model = MODELS[photometric]
    colours = 1 if photometric == PALETTE else CHANNELS[model]
    if page.samplesperpixel < colours:
        raise ReadError(f"the TIFF is damaged: its pixels have {page.samplesperpixel} samples, {colours} are needed")


def _require_data(image: Image, size: int, options: ReadOptions, notes: list[str]) -> None:
    """Refuse a page whose strips or tiles lie beyond the end of the file."""
    page = image.page
    end = max(map(operator.add, page.dataoffsets, page.databytecounts), default=None)
    if end is None or not any(page.databytecounts):
        raise ReadError("the TIFF holds no pixels (no strips or tiles)")
    end += image.slice * int(page.nbytes)
    if end > size:
        what = f"the TIFF is truncated: its data ends at byte {end}, the file at {size}"
        if not options.lenient:
            raise ReadError(what, remedy=damaged.remedy(page))
        notes.append(what)
