"""AVIF writer: 8 bits through Pillow; 10 and 12 bits, and lossless 8 bits, through imagecodecs.

imagecodecs writes pixels and code points; this module adds profile, orientation, EXIF and XMP. ISO/IEC 14496-12, 8.11
(meta box); ISO/IEC 23008-12 (item properties); AV1 Image File Format 1.1.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Any, BinaryIO

import numpy as np

from convfilter.errors import WriteError
from convfilter.machine.cores import available_cores
from convfilter.picture.codecs import avif_sequence
from convfilter.picture.codecs.avif_items import Item, entry_box, items_of, locations_box, unexpected
from convfilter.picture.frame import DEFAULT_DELAY
from convfilter.picture.metadata import exif
from convfilter.picture.metadata.metadata import Metadata
from convfilter.picture.options import DEFAULT_QUALITY, LOSSLESS_QUALITY, WriteOptions
from convfilter.picture.picture import Picture
from convfilter.picture.pillow import avif
from convfilter.picture.pillow.boxes import box, boxes_of
from convfilter.picture.pixels import Pixels
from convfilter.record import replace

#: libaom (libavif 1.4) writes the same bytes with 2, 3 and 8 threads, and other bytes with one.
_LEAST_THREADS = 2
_SPEEDS = {"fast": 9, "default": 6, "best": 2}
_PIXEL_FORMATS = {"4:4:4": "444", "4:2:2": "422", "4:2:0": "420"}
#: Number of the first new item, above those of libavif.
_FIRST_ITEM = 1001
_ESSENTIAL = 0x80
#: HEIF's transformations for each EXIF orientation: quarter turns counter-clockwise (irot), then a mirror axis (imir).
_TRANSFORMATIONS = {2: (None, 1), 3: (2, None), 4: (None, 0), 5: (1, 0), 6: (3, None), 7: (3, 0), 8: (1, None)}


def write_avif(file: BinaryIO, picture: Picture, options: WriteOptions) -> None:
    """Write an AVIF; a ``Writer``.

    Samples of uint16 are stored with the bits of ``picture.white``, 10 or 12; grey ones always losslessly.

    Raises
    ------
    WriteError
        The encoder fails, or an animation has an orientation.
    """
    from convfilter.picture.pillow.write import write_pillow

    if len(picture.frames) > 1:
        require_upright(picture.metadata)
    if picture.dtype == np.uint8 and options.quality != LOSSLESS_QUALITY:
        return write_pillow(file, picture, options)
    height, width = picture.frames[0].shape[:2]
    metadata = replace(picture.metadata, exif=exif.with_size(picture.metadata.exif, width, height))
    if len(picture.frames) > 1:
        file.write(_animation(picture, metadata, options))
    else:
        file.write(_with_metadata(_encoded(picture, picture.pixels, options), metadata))
    return None


def require_upright(metadata: Metadata) -> None:
    """Refuse an orientation: a track of an AVIF animation cannot store it, and libavif crashes on one."""
    if exif.orientation(metadata.exif, metadata.xmp) != 1:
        raise WriteError(
            "an AVIF animation cannot store an orientation", remedy="leave out {auto_orient=False}, or use webp"
        )


def _animation(picture: Picture, metadata: Metadata, options: WriteOptions) -> bytes:
    """Return a file of several frames, with their delays."""
    data = _encoded(picture, np.stack([frame.pixels for frame in picture.frames]), options)
    if points := metadata.code_points:
        data = avif.with_cicp(data, *points)
    delays = [frame.delay or DEFAULT_DELAY for frame in picture.frames]
    milliseconds = [max(1, round(1000 * numerator / denominator)) for numerator, denominator in delays]
    return avif_sequence.with_delays(data, milliseconds, metadata.icc, items_of(metadata))


def _encoded(picture: Picture, pixels: Pixels, options: WriteOptions) -> bytes:
    """Encode an (H, W), (H, W, C) or (frames, H, W, C) array to a file without metadata."""
    import imagecodecs

    bits = 8 if pixels.dtype == np.uint8 else (picture.white or 4095).bit_length()
    quality = DEFAULT_QUALITY if options.quality is None else options.quality
    subsampling = _PIXEL_FORMATS[options.subsampling or "4:2:0"] if quality < LOSSLESS_QUALITY else "444"
    points = picture.metadata.code_points
    named: dict[str, Any] = {"primaries": points[0], "transfer": points[1]} if points else {}
    threads = max(_LEAST_THREADS, options.threads or available_cores())
    try:
        return bytes(
            imagecodecs.avif_encode(
                np.ascontiguousarray(pixels), level=quality, bitspersample=bits, pixelformat=subsampling,
                speed=_SPEEDS[options.effort], numthreads=threads, **named,
            )
        )  # fmt: skip
    except (ValueError, RuntimeError) as error:
        raise WriteError(f"the picture cannot be written as AVIF: {error}") from error


def _with_metadata(data: bytes, metadata: Metadata) -> bytes:
    """Add profile, orientation, code points, EXIF and XMP to a file of one frame from imagecodecs."""
    if points := metadata.code_points:
        data = avif.with_cicp(data, *points)
    turn, mirror = _TRANSFORMATIONS.get(exif.orientation(metadata.exif, metadata.xmp), (None, None))
    properties = [box(b"colr", b"prof", metadata.icc)] if metadata.icc else []
    properties += [box(b"irot", bytes([turn]))] if turn is not None else []
    properties += [box(b"imir", bytes([mirror]))] if mirror is not None else []
    numbered = list(enumerate(items_of(metadata), _FIRST_ITEM))
    if not (properties or numbered):
        return data
    boxes = list(boxes_of(data))
    if [kind for kind, _ in boxes] != [b"ftyp", b"meta", b"mdat"]:
        raise unexpected("boxes in another order")
    (_, meta), first, last = boxes[1], box(*boxes[0]), box(*boxes[2])
    shift = sum(map(len, _extended(meta, properties, numbered, 0, 0))) + 4 - len(meta)
    start = len(data) + shift + 8  # after the header of the additional mdat box
    added = [box(b"mdat", *(item.content for _, item in numbered))] if numbered else []
    return b"".join([first, box(b"meta", meta[:4], *_extended(meta, properties, numbered, shift, start)), last, *added])


def _extended(
    meta: bytes, properties: list[bytes], numbered: list[tuple[int, Item]], shift: int, start: int
) -> Iterable[bytes]:
    """Yield the inner boxes of a meta box, with properties of the primary picture and items added.

    Parameters
    ----------
    meta : bytes
        Content of the box that libavif wrote: inner boxes of version 0, with 32-bit offsets and sizes.
    properties : list of bytes
        Encoded boxes.
    numbered : list of (int, Item)
        The new items with their numbers.
    shift : int
        Bytes by which the existing data move.
    start : int
        Offset in the file of the new items' data.
    """
    inner = dict(boxes_of(meta, 4))
    primary = inner[b"pitm"][4:6]
    if inner[b"iinf"][:4] != bytes(4) or inner[b"pitm"][:4] != bytes(4):
        raise unexpected("boxes of another version")
    if numbered:
        inner.setdefault(b"iref", bytes(4))
    for kind, content in inner.items():
        match kind:
            case b"iloc":
                yield locations_box(content, shift, numbered, start)
            case b"iinf":
                count = int.from_bytes(content[4:6], "big") + len(numbered)
                entries = (entry_box(number, item) for number, item in numbered)
                yield box(kind, content[:4], struct.pack(">H", count), content[6:], *entries)
            case b"iref":
                describing = (box(b"cdsc", struct.pack(">HH", number, 1), primary) for number, _ in numbered)
                yield box(kind, content, *describing)
            case b"iprp":
                yield box(kind, *_with_properties(content, primary, properties))
            case _:
                yield box(kind, content)


def _with_properties(content: bytes, primary: bytes, properties: list[bytes]) -> Iterable[bytes]:
    """Yield the inner boxes of an iprp box, with properties added and associated with the primary picture."""
    inner = dict(boxes_of(content))
    before = sum(1 for _ in boxes_of(inner[b"ipco"]))
    yield box(b"ipco", inner[b"ipco"], *properties)
    table = inner[b"ipma"]
    out, at = [table[:8]], 8
    for _ in range(int.from_bytes(table[4:8], "big")):
        count = table[at + 2]
        numbers = table[at + 3 : at + 3 + count]
        if table[at : at + 2] == primary:
            # Transformations are essential; a reader may skip a profile.
            numbers += bytes(
                number | (_ESSENTIAL if each[4:8] != b"colr" else 0)
                for number, each in enumerate(properties, before + 1)
            )
        out += [table[at : at + 2], bytes([len(numbers)]), numbers]
        at += 3 + count
    yield box(b"ipma", *out)
