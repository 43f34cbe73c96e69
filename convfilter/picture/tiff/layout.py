"""Classify the directories of a TIFF: pictures, previews, masks, raw data, stacks with one directory.

TIFF 6.0 (Adobe, 1992), section 8 (NewSubfileType); TIFF Technical Note 1 (SubIFDs); TIFF/EP (ISO 12234-2); DNG 1.7.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Any, BinaryIO

from convfilter.errors import CameraRawError, ReadError
from convfilter.picture.metadata import ifd
from convfilter.picture.metadata.tiff_numbers import (
    BLACK_IS_ZERO,
    COMPRESSION,
    DESCRIPTION,
    MASK,
    PHOTOMETRIC,
    REDUCED,
    SUBFILE_TYPE,
    TRANSPARENCY_MASK,
    UNCOMPRESSED,
)
from convfilter.record import NamedTuple

_MAKE, _SUB_IFDS, _METAMORPH_PLANES, _PHOTOSHOP_LAYERS, _DNG_VERSION = 271, 330, 33629, 37724, 50706
_NESTED_TAGS = (SUBFILE_TYPE, COMPRESSION, PHOTOMETRIC)
_COLOUR_FILTER_ARRAY, _LINEAR_RAW = 32803, 34892
#: Compressions that only cameras write: Sony, packed, Samsung, Nikon, lossy DNG, Pentax, Kodak.
_RAW_COMPRESSIONS = frozenset((32767, 32769, 32770, 32772, 34713, 34892, 52546, 65535, 65000))
#: Bytes after the header in Canon CR2 and Phase One IIQ files.
_RAW_SIGNATURES = (b"CR\x02\0", b"IIII", b"MMMM")
#: Most directories below a page that are read.
_MOST_NESTED = 32
MOST_PAGES = 65536
_IMAGEJ = re.compile(r"ImageJ=.*?^images=(\d{1,9})\s*$", re.DOTALL | re.MULTILINE)


class Image(NamedTuple):
    """One image of the file, which becomes a frame.

    Attributes
    ----------
    page : tifffile.TiffPage
        The image's directory.
    mask : tifffile.TiffPage, or None
        Its transparency mask, a 1-bit image: 1 where a pixel is opaque.
    slice : int
        Index of the image, from 0, in a stack whose images share one directory.
    """

    page: Any
    mask: Any | None = None
    slice: int = 0


class _Nested(NamedTuple):
    """A directory below a page (SubIFD)."""

    subfile_type: int
    photometric: int
    compression: int

    @property
    def is_raw(self) -> bool:
        return self.photometric in (_COLOUR_FILTER_ARRAY, _LINEAR_RAW) or self.compression in _RAW_COMPRESSIONS


def images_of(tiff: Any, file: BinaryIO, count: int) -> tuple[list[Image], list[str]]:
    """List the images of a file that become frames.

    Parameters
    ----------
    tiff : tifffile.TiffFile
    file : BinaryIO
        The same file.
    count : int
        Number of directories in its main chain.

    Returns
    -------
    images : list of Image
        At least one.
    notes : list of str
        A line for each kind of image that is left out.

    Raises
    ------
    CameraRawError, ReadError
        The file is a camera raw, or an incomplete stack.
    """
    pages = [tiff.pages[index] for index in range(count)]
    nested = [list(_nested(page, file)) for page in pages]
    _refuse_raw(pages, nested, file)
    whole = [page for page in pages if not int(page.subfiletype) & (REDUCED | TRANSPARENCY_MASK)]
    hidden = sum(not each.subfile_type & (REDUCED | TRANSPARENCY_MASK) for below in nested for each in below)
    if not whole and hidden:
        whole = list(_nested_pictures(pages, nested))
        hidden -= len(whole)
    whole = whole or [max(pages, key=lambda page: int(page.imagewidth) * int(page.imagelength))]
    images, unused = _with_masks(whole, pages)
    notes = _left_out(pages, nested, whole, hidden, unused)
    if len(images) == 1:
        images = [images[0]._replace(slice=number) for number in range(_slices(images[0].page))]
    return images, notes


def _nested(page: Any, file: BinaryIO) -> Iterator[_Nested]:
    """Yield the directories to which a page points (SubIFDs)."""
    order, big = page.parent.byteorder, page.parent.is_bigtiff
    offsets = page.tags.valueof(_SUB_IFDS) or ()
    for offset in (offsets if isinstance(offsets, tuple) else (offsets,))[:_MOST_NESTED]:
        fields = ifd.parsed(ifd.read_at(file), int(offset), order, big=big, wanted=_NESTED_TAGS)
        if fields:
            numbers = (ifd.number(fields.get(tag), order) for tag in (SUBFILE_TYPE, PHOTOMETRIC, COMPRESSION))
            yield _Nested(*numbers)


def _refuse_raw(pages: list[Any], nested: list[list[_Nested]], file: BinaryIO) -> None:
    """Refuse camera raws: their data need a raw developer, and their other images are previews."""
    file.seek(8)
    signature = file.read(4)
    own = [_Nested(int(page.subfiletype), int(page.photometric), int(page.compression)) for page in pages]
    is_raw = any(each.is_raw for below in (own, *nested) for each in below)
    if not is_raw and signature not in _RAW_SIGNATURES:
        return
    tags = pages[0].tags
    make = tags.valueof(_MAKE)
    kind = "DNG" if _DNG_VERSION in tags else "CR2" if signature[:2] == b"CR" else ""
    kind = kind or (make.split()[0][:20] if isinstance(make, str) and make.strip() else "TIFF/EP")
    raise CameraRawError(
        f"the file is a camera raw ({kind}), whose other pictures are previews; develop it first, "
        "as with darktable-cli, RawTherapee or dcraw, to a TIFF of 16 bits"
    )


def _nested_pictures(pages: list[Any], nested: list[list[_Nested]]) -> Iterator[Any]:
    """Yield the full-size images in the directories below pages."""
    for page, below in zip(pages, nested, strict=True):
        for number, each in enumerate(below):
            if not each.subfile_type & (REDUCED | TRANSPARENCY_MASK):
                yield page.pages[number]


def _with_masks(whole: list[Any], pages: list[Any]) -> tuple[list[Image], int]:
    """Pair each page with the transparency mask of its size that follows it; return also the number of other masks."""
    images = [Image(page) for page in whole]
    numbers = {id(page): number for number, page in enumerate(whole)}
    owner: int | None = None
    unused = 0
    for page in pages:
        owner = numbers.get(id(page), owner)
        if int(page.subfiletype) & (REDUCED | TRANSPARENCY_MASK) != TRANSPARENCY_MASK:
            continue
        if owner is None or images[owner].mask is not None or not _is_mask_of(page, images[owner].page):
            unused += 1
        else:
            images[owner] = images[owner]._replace(mask=page)
    return images, unused


def _is_mask_of(mask: Any, page: Any) -> bool:
    same_size = (mask.imagewidth, mask.imagelength) == (page.imagewidth, page.imagelength)
    return same_size and mask.samplesperpixel == 1 and int(mask.photometric) in (MASK, BLACK_IS_ZERO)


def _left_out(
    pages: list[Any], nested: list[list[_Nested]], whole: list[Any], hidden: int, unused_masks: int
) -> list[str]:
    """Return a note for each kind of image that is not filtered."""
    small = sum(1 for page in pages if int(page.subfiletype) & REDUCED and page not in whole)
    small += sum(1 for below in nested for each in below if each.subfile_type & REDUCED)
    it = "they" if small > 1 else "it"
    counts = (
        (small, "reduced version", f"of the picture; left out, since {it} would show it unfiltered"),
        (hidden, "picture", "below its pages (SubIFDs); left out"),
        (unused_masks, "transparency mask", "that fits no page; left out"),
    )
    notes = [f"the TIFF holds {n} {what}{'s' * (n > 1)} {rest}" for n, what, rest in counts if n > 0]
    if any(_PHOTOSHOP_LAYERS in page.tags for page in whole):
        notes.append("the TIFF holds Photoshop's layers; the picture merged from them is read")
    return notes


def _slices(page: Any) -> int:
    """Return the number of images in the data of a page: several for a stack with one directory."""
    claimed = _claimed_slices(page)
    if claimed <= 1:
        return 1
    if claimed > MOST_PAGES:
        raise ReadError(f"a TIFF may have at most {MOST_PAGES} pictures, this one claims {claimed}")
    at = 0
    for offset, length in zip(page.dataoffsets, page.databytecounts, strict=False):
        if (at and offset != at) or int(page.compression) != UNCOMPRESSED:
            raise ReadError(
                f"the TIFF is a stack of {claimed} pictures with one directory, compressed or in pieces; "
                "save it with a directory for each, as ImageJ does below 4 GB"
            )
        at = offset + length
    return claimed


def _claimed_slices(page: Any) -> int:
    """Read the number of images that ImageJ, MetaMorph or tifffile records for a stack with one directory."""
    planes = page.tags.get(_METAMORPH_PLANES)
    if planes is not None:
        return int(planes.count)
    description = page.tags.valueof(DESCRIPTION)
    if not isinstance(description, str):
        return 1
    if match := _IMAGEJ.match(description):
        return int(match[1])
    if not description.startswith('{"shape":'):
        return 1
    try:
        said = json.loads(description)
        samples = math.prod(map(int, said["shape"]))
    except (ValueError, TypeError, KeyError, RecursionError):
        return 1
    own = math.prod(page.shaped)
    return samples // own if said.get("truncated") is True and own and samples % own == 0 else 1


def group_rows(page: Any) -> int:
    """Return the number of rows of pixels in a strip or in a row of tiles."""
    return int(page.tilelength if page.is_tiled else min(page.rowsperstrip, page.imagelength))
