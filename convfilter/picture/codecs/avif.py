"""AVIF writer: 8 bits through Pillow; 10 and 12 bits, and lossless 8 bits, through imagecodecs.

imagecodecs writes pixels and code points; this module adds profile, EXIF and XMP. ISO/IEC 14496-12, 8.11 (meta box);
ISO/IEC 23008-12 (item properties, EXIF and XMP items); AV1 Image File Format 1.1.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Any, BinaryIO

import numpy as np

from convfilter.errors import WriteError
from convfilter.machine.cores import available_cores
from convfilter.picture.codecs import avif_sequence
from convfilter.picture.metadata import exif
from convfilter.picture.options import DEFAULT_QUALITY, WriteOptions
from convfilter.picture.picture import Frame, Metadata, Picture
from convfilter.picture.pillow import avif
from convfilter.picture.pillow.boxes import box, boxes_of
from convfilter.picture.pixels import Pixels
from convfilter.record import replace

_LOSSLESS = 100
#: Smallest number of threads of libaom (libavif 1.4): its bytes are equal for 2, 3 and 8 threads, and differ for one.
_LEAST_THREADS = 2
_SPEEDS = {"fast": 9, "default": 6, "best": 2}
_PIXEL_FORMATS = {"4:4:4": "444", "4:2:2": "422", "4:2:0": "420"}
_EXIF_ITEM, _XMP_ITEM = 1001, 1002
_XMP_TYPE = b"application/rdf+xml\0"
_ESSENTIAL = 0x80
#: EXIF orientations in terms of HEIF: quarter turns counter-clockwise, then the axis of a mirror.
_TURNS = {2: (None, 1), 3: (2, None), 4: (None, 0), 5: (1, 0), 6: (3, None), 7: (3, 0), 8: (1, None)}


def write_avif(file: BinaryIO, picture: Picture, options: WriteOptions) -> None:
    """Write an AVIF; a ``Writer``.

    Samples of uint16 are stored with the bits of ``picture.white``, 10 or 12; grey ones always losslessly.
    """
    from convfilter.picture.pillow.write import write_pillow

    frames = [frame for frame in picture.frames if not frame.fallback]
    if frames[0].dtype == np.uint8 and options.quality != _LOSSLESS:
        return write_pillow(file, picture, options)
    height, width = frames[0].shape[:2]
    metadata = replace(picture.metadata, exif=exif.with_size(picture.metadata.exif, width, height))
    if len(frames) > 1:
        file.write(_animation(picture, frames, metadata, options))
    else:
        file.write(_with_metadata(_encoded(picture, frames[0].pixels, options), metadata))
    return None


def _animation(picture: Picture, frames: list[Frame], metadata: Metadata, options: WriteOptions) -> bytes:
    """Return a file of several frames, with their times."""
    data = _encoded(picture, np.stack([frame.pixels for frame in frames]), options)
    if points := dict(metadata.png).get(b"cICP"):
        data = avif.with_cicp(data, points[0], points[1])
    times = [max(1, round(1000 * (frame.delay[0] / frame.delay[1] if frame.delay else 0))) for frame in frames]
    items = [(kind, more, content) for _, kind, more, content in _items(metadata)]
    return avif_sequence.timed(data, times, metadata.icc, items)


def _encoded(picture: Picture, pixels: Pixels, options: WriteOptions) -> bytes:
    """Return the file of imagecodecs, of one frame or of several."""
    import imagecodecs

    bits = 8 if pixels.dtype == np.uint8 else (picture.white or 4095).bit_length()
    quality = DEFAULT_QUALITY if options.quality is None else options.quality
    subsampling = _PIXEL_FORMATS[options.subsampling or "4:2:0"] if quality < _LOSSLESS else "444"
    points = dict(picture.metadata.png).get(b"cICP")
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


def _items(metadata: Metadata) -> list[tuple[int, bytes, bytes, bytes]]:
    """Return EXIF and XMP as items: number, type, what follows the name, content."""
    block = exif.without_orientation(metadata.exif)
    items = [(_EXIF_ITEM, b"Exif", b"\0", bytes(4) + block)] if block else []
    return items + ([(_XMP_ITEM, b"mime", b"\0" + _XMP_TYPE, metadata.xmp)] if metadata.xmp else [])


def _with_metadata(data: bytes, metadata: Metadata) -> bytes:
    """Add profile, code points, EXIF and XMP to a file written by imagecodecs."""
    if points := dict(metadata.png).get(b"cICP"):
        data = avif.with_cicp(data, points[0], points[1])
    turn, mirror = _TURNS.get(exif.orientation(metadata.exif, metadata.xmp), (None, None))
    properties = [box(b"colr", b"prof", metadata.icc)] if metadata.icc else []
    properties += [box(b"irot", bytes([turn]))] if turn is not None else []
    properties += [box(b"imir", bytes([mirror]))] if mirror is not None else []
    items = _items(metadata)
    if not (properties or items):
        return data
    parts = list(boxes_of(data))
    if [kind for kind, _ in parts] != [b"ftyp", b"meta", b"mdat"]:
        raise WriteError("the picture cannot be written as AVIF: its encoder puts boxes into another order")
    (_, meta), first, last = parts[1], box(*parts[0]), box(*parts[2])
    shift = sum(map(len, _extended(meta, properties, items, 0, 0))) + 4 - len(meta)
    end = len(data) + shift + 8  # after the header of an additional mdat
    more = [box(b"mdat", *(content for *_, content in items))] if items else []
    return b"".join([first, box(b"meta", meta[:4], *_extended(meta, properties, items, shift, end)), last, *more])


def _extended(
    meta: bytes, properties: list[bytes], items: list[tuple[int, bytes, bytes, bytes]], shift: int, end: int
) -> Iterable[bytes]:
    """Yield the boxes of a meta box, extended by properties of the primary picture and by items.

    Parameters
    ----------
    meta : bytes
        Content of the box as libavif writes it: boxes of version 0, 32-bit offsets and sizes.
    properties : list of bytes
        Whole boxes.
    items : list of (number, type, what follows the name, content)
    shift : int
        Bytes by which the existing data move.
    end : int
        Offset of the data of the first new item.
    """
    parts = dict(boxes_of(meta, 4))
    primary = parts[b"pitm"][4:6]
    if parts[b"iloc"][:6] != b"\0\0\0\0\x44\0" or parts[b"iinf"][:4] != bytes(4) or parts[b"pitm"][:4] != bytes(4):
        raise WriteError("the picture cannot be written as AVIF: its encoder writes boxes of another version")
    if items:
        parts.setdefault(b"iref", bytes(4))
    for kind, content in parts.items():
        match kind:
            case b"iloc":
                yield box(kind, _located(content, items, shift, end))
            case b"iinf":
                count = int.from_bytes(content[4:6], "big") + len(items)
                entries = (_entry(number, kind, more) for number, kind, more, _ in items)
                yield box(kind, content[:4], struct.pack(">H", count), content[6:], *entries)
            case b"iref":
                describing = (box(b"cdsc", struct.pack(">HH", number, 1), primary) for number, *_ in items)
                yield box(kind, content, *describing)
            case b"iprp":
                yield box(kind, *_described(content, primary, properties))
            case _:
                yield box(kind, content)


def _entry(number: int, kind: bytes, more: bytes) -> bytes:
    """Return the box that announces an item."""
    return box(b"infe", b"\2\0\0\0", struct.pack(">HH4s", number, 0, kind), more)


def _located(content: bytes, items: list[tuple[int, bytes, bytes, bytes]], shift: int, end: int) -> bytes:
    """Move the offsets of an iloc box, and add the new items."""
    count = int.from_bytes(content[6:8], "big")
    out, at = [content[:6], struct.pack(">H", count + len(items))], 8
    for _ in range(count):
        number, data, extents = struct.unpack_from(">HHH", content, at)
        out.append(struct.pack(">HHH", number, data, extents))
        at += 6
        for _ in range(extents):
            offset, size = struct.unpack_from(">II", content, at)
            out.append(struct.pack(">II", offset + shift, size))
            at += 8
    for number, _, _, data in items:
        out.append(struct.pack(">HHHII", number, 0, 1, end, len(data)))
        end += len(data)
    return b"".join(out)


def _described(content: bytes, primary: bytes, properties: list[bytes]) -> Iterable[bytes]:
    """Yield the boxes within an iprp box: properties, and their association with items."""
    parts = dict(boxes_of(content))
    there = sum(1 for _ in boxes_of(parts[b"ipco"]))
    yield box(b"ipco", parts[b"ipco"], *properties)
    table = parts[b"ipma"]
    out, at = [table[:8]], 8
    for _ in range(int.from_bytes(table[4:8], "big")):
        count = table[at + 2]
        numbers = table[at + 3 : at + 3 + count]
        if table[at : at + 2] == primary:
            # Transformations are essential; a reader may skip a profile.
            numbers += bytes(
                there + 1 + index | (_ESSENTIAL if each[4:8] != b"colr" else 0) for index, each in enumerate(properties)
            )
        out += [table[at : at + 2], bytes([len(numbers)]), numbers]
        at += 3 + count
    yield box(b"ipma", *out)
