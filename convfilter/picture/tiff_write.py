"""TIFF writer, through tifffile: 8, 16 bits and float32, pages, metadata; no dates."""

from __future__ import annotations

import logging
import os
import struct
import zlib
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO, Literal

import numpy as np

from convfilter.picture import colour, exif, ifd, tiff_fields
from convfilter.picture.options import WriteOptions
from convfilter.picture.picture import Metadata, Picture, Pixels
from convfilter.picture.tiff_fields import PageFields
from convfilter.picture.tiff_tags import TEXT_TAGS, page_offsets

_PHOTOMETRIC = {"gray": "minisblack", "rgb": "rgb", "cmyk": "separated"}
_DEFLATE_LEVELS = {"fast": 1, "default": 6, "best": 9}
#: Offsets of a classic TIFF have 32 bits; some room is left for tags.
_CLASSIC_BYTES = 2**32 - 2**25
_STRIP_BYTES = 1 << 18
_ASCII, _BYTE, _UNDEFINED = 2, 1, 7
_XMP, _IPTC, _PHOTOSHOP = 700, 33723, 34377
_INCH = 2
_COMPRESSION, _DEFLATE = 259, 8
_UNSPECIFIED = "unspecified"
_ORDER: Literal["<"] = "<"

_NO_METADATA, _NO_DIRECTORIES = Metadata(), ifd.Directories({}, {}, {})

_Extra = tuple[int, int, int | None, Any, bool]


def write_tiff(file: BinaryIO, picture: Picture, options: WriteOptions) -> None:
    """Write a TIFF, deflated; frames become pages.

    Parameters
    ----------
    file : BinaryIO
        Seekable.
    picture : Picture
        Pixels of uint8, uint16 or float32.
    options : WriteOptions
    """
    import tifffile

    logging.getLogger("tifffile").setLevel(logging.CRITICAL + 1)
    metadata = picture.metadata
    frames = [frame.pixels for frame in picture.frames if not frame.fallback]
    if picture.alpha and metadata.associated_alpha:
        frames = [colour.associated(pixels, picture.white) for pixels in frames]
    kinds = _extra_kinds(picture)
    if picture.alpha and kinds[-1] == _UNSPECIFIED:
        frames = [_with_alpha_at(pixels, len(kinds) - kinds.index(_alpha_kind(metadata))) for pixels in frames]
    height, width = frames[0].shape[:2]
    described = ifd.from_block(exif.with_size(metadata.exif, width, height) or b"", _ORDER)
    kept = [tiff_fields.fitting(*each)[0] if each else [] for each in fields_of(picture)]
    big = sum(pixels.nbytes for pixels in frames) > _CLASSIC_BYTES
    with tifffile.TiffWriter(file, bigtiff=big, byteorder=_ORDER) as tiff:
        for index, pixels in enumerate(frames):
            encoding, data = _encoding(pixels, picture.white, options)
            tiff.write(
                data,
                photometric=_PHOTOMETRIC[picture.model],
                planarconfig="contig" if pixels.ndim == 3 else None,
                rowsperstrip=_rows_per_strip(pixels),
                metadata=None,
                software=False,
                maxworkers=options.threads,
                iccprofile=tiff_fields.profile_of(kept[index]) or metadata.icc,
                extratags=_extra_tags(kept[index], *((metadata, described) if index == 0 else ())),
                extrasamples=kinds or None,
                **encoding,
                **_resolution(metadata, kept[index]),
            )
    if picture.white is not None:
        _declare_deflated(file, big)
    _append_directories(file, described, big)


def _rows_per_strip(pixels: Pixels) -> int:
    return max(1, _STRIP_BYTES // int(pixels[0].nbytes))


def _encoding(pixels: Pixels, white: int | None, options: WriteOptions) -> tuple[dict[str, Any], Any]:
    """Return how tifffile is to write a page, and its data; it packs bits, or compresses, but not both."""
    level = _DEFLATE_LEVELS[options.compression]
    if white is None:
        predictor = 3 if pixels.dtype.kind == "f" else 2
        return {"compression": "adobe_deflate", "compressionargs": {"level": level}, "predictor": predictor}, pixels
    bits = white.bit_length()
    shape = {"shape": pixels.shape, "dtype": pixels.dtype, "bitspersample": bits}
    return shape, _packed_strips(pixels, bits, level)


def _packed_strips(pixels: Pixels, bits: int, level: int) -> Iterator[bytes]:
    """Pack the samples of each row to ``bits``, and deflate strips of rows."""
    import imagecodecs

    samples = int(np.prod(pixels.shape[1:]))
    rows = _rows_per_strip(pixels)
    for top in range(0, len(pixels), rows):
        packed = imagecodecs.packints_encode(pixels[top : top + rows].ravel(), bits, runlen=samples)
        yield zlib.compress(packed, level)


def _declare_deflated(file: BinaryIO, big: bool) -> None:
    """Say in each directory that its strips, which tifffile took for plain ones, are deflated."""
    layout = ifd.layout(big)
    file.seek(0)
    for offset in page_offsets(file):
        file.seek(offset)
        (count,) = struct.unpack(_ORDER + layout.number, file.read(struct.calcsize(layout.number)))
        for _ in range(count):
            at = file.tell()
            entry = file.read(layout.entry_bytes)
            if int.from_bytes(entry[:2], "little") == _COMPRESSION:
                file.seek(at + layout.entry_bytes - layout.inline)
                file.write(_DEFLATE.to_bytes(2, "little"))
                break


def _alpha_kind(metadata: Metadata) -> str:
    return "assocalpha" if metadata.associated_alpha else "unassalpha"


def _extra_kinds(picture: Picture) -> list[str]:
    """Name the channels behind the colours, with alpha where it stood in the file that was read."""
    kinds = [_UNSPECIFIED] * picture.extras
    if picture.alpha:
        kinds.insert(picture.metadata.alpha_at, _alpha_kind(picture.metadata))
    return kinds


def _with_alpha_at(pixels: Pixels, behind: int) -> Pixels:
    """Move alpha, the last channel, so that with it ``behind`` channels are left."""
    return np.concatenate([pixels[..., :-behind], pixels[..., -1:], pixels[..., -behind:-1]], axis=-1)


def fields_of(picture: Picture) -> list[tuple[PageFields, tuple[int, ...], str, int] | None]:
    """Return the arguments of ``tiff_fields.fitting`` for each page, None where there are no fields."""
    frames = [frame for frame in picture.frames if not frame.fallback]
    return [frame.tiff and (frame.tiff, frame.pixels.shape, frame.pixels.dtype.name, len(frames)) for frame in frames]


def _resolution(metadata: Metadata, fields: Sequence[ifd.Field]) -> dict[str, Any]:
    """Return dots per inch, or what the page has of its own."""
    if found := tiff_fields.scale_of(fields):
        return {"resolution": found[0], "resolutionunit": found[1]}
    return {"resolution": metadata.resolution, "resolutionunit": _INCH} if metadata.resolution else {}


def _extra_tags(
    fields: Sequence[ifd.Field],
    metadata: Metadata = _NO_METADATA,
    described: ifd.Directories = _NO_DIRECTORIES,
) -> list[_Extra]:
    """List the fields of a page that tifffile has no arguments for."""
    extra: dict[int, _Extra] = {field.tag: _raw(field) for field in tiff_fields.others(fields)}
    for tag in (*ifd.DESCRIPTIVE, ifd.ORIENTATION):
        if field := described.first.get(tag):
            extra[tag] = _raw(field)
    codes = {keyword: code for code, keyword in TEXT_TAGS.items()}
    for text in metadata.text:
        code = codes.pop(text.keyword, None)
        if code is not None and code not in extra:
            extra[code] = (code, _ASCII, None, text.value.encode() + b"\0", True)
    for code, kind, data in (
        (_XMP, _BYTE, metadata.xmp),
        (_IPTC, _UNDEFINED, metadata.iptc),
        (_PHOTOSHOP, _BYTE, metadata.photoshop),
    ):
        if data:
            extra[code] = (code, kind, len(data), data, True)
    return list(extra.values())


def _raw(field: ifd.Field) -> _Extra:
    """Hand a field over with its value as it is."""
    return (field.tag, field.kind, len(field.data) // ifd.item_bytes(field.kind), field.data, True)


def _append_directories(file: BinaryIO, described: ifd.Directories, big: bool) -> None:
    """Write the directories of EXIF and GPS behind the pages, and the first page's anew, with pointers to them.

    tifffile does not write these fields; the old directory stays as a few bytes that nothing points to.
    """
    pointers = {}
    for tag, fields in ((ifd.EXIF_IFD, described.exif), (ifd.GPS_IFD, described.gps)):
        if fields:
            end = _end(file)
            file.write(ifd.packed(fields, end, _ORDER, big=big))
            pointers[tag] = ifd.pointer(tag, end, _ORDER, big=big)
    if pointers:
        _extend_first_page(file, pointers, big)


def _end(file: BinaryIO) -> int:
    """Go to the end of the file, made even."""
    end = file.seek(0, os.SEEK_END)
    if end & 1:
        file.write(b"\0")
    return end + (end & 1)


def _extend_first_page(file: BinaryIO, pointers: dict[int, ifd.Field], big: bool) -> None:
    count_code, offset_code, entry_code, link_at = ("Q", "Q", "HHQ", 8) if big else ("H", "I", "HHI", 4)
    entry_bytes = struct.calcsize(_ORDER + entry_code + offset_code)
    file.seek(link_at)
    (start,) = struct.unpack(_ORDER + offset_code, file.read(struct.calcsize(offset_code)))
    file.seek(start)
    (count,) = struct.unpack(_ORDER + count_code, file.read(struct.calcsize(count_code)))
    entries = [file.read(entry_bytes) for _ in range(count)]
    following = file.read(struct.calcsize(offset_code))
    entries += [struct.pack(_ORDER + entry_code, each.tag, each.kind, 1) + each.data for each in pointers.values()]
    entries.sort(key=lambda entry: int.from_bytes(entry[:2], "little"))
    end = _end(file)
    file.write(struct.pack(_ORDER + count_code, len(entries)) + b"".join(entries) + following)
    file.seek(link_at)
    file.write(struct.pack(_ORDER + offset_code, end))
