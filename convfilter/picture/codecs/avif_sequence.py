"""Delays and metadata of an AVIF animation, patched into the file from imagecodecs, which gives each frame a second.

ISO/IEC 14496-12, 8.2.2 (mvhd), 8.3.2 (tkhd), 8.4.2 (mdhd), 8.6.1.2 (stts), 8.6.6 (elst), 8.7.5 (stco), 8.11 (meta).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby

from convfilter.picture.codecs.avif_items import Item, entry_box, locations_box, unexpected
from convfilter.picture.pillow.boxes import box, boxes_of

_CONTAINERS = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts")
_TICKS_PER_SECOND = 1000
#: Bytes of a sample entry before its inner boxes.
_ENTRY_BYTES = 78
_ENDLESS = b"\xff" * 8
_HANDLER = box(b"hdlr", bytes(8) + b"pict" + bytes(13))
#: Maps type and content of a box to its new content.
Change = Callable[[bytes, bytes], bytes]


def with_delays(data: bytes, milliseconds: Sequence[int], profile: bytes | None, items: Sequence[Item]) -> bytes:
    """Set the duration of each frame, the colour profile and the metadata of an animation.

    Parameters
    ----------
    data : bytes
        The file that libavif wrote: boxes ftyp, meta, moov and mdat.
    milliseconds : sequence of int
        Duration of each frame, at least 1.
    profile : bytes, or None
        ICC profile.
    items : sequence of Item
        EXIF and XMP, for a meta box in the first track.

    Returns
    -------
    bytes
        The new file.

    Raises
    ------
    WriteError
        The file has other boxes, or boxes of another version.
    """
    boxes = list(boxes_of(data))
    if [kind for kind, _ in boxes] != [b"ftyp", b"meta", b"moov", b"mdat"]:
        raise unexpected("boxes in another order")
    (_, first), (_, meta), (_, moov), (_, last) = boxes
    new_moov = b"".join(_mapped(moov, lambda kind, content: _changed(kind, content, milliseconds, profile)))
    if items:
        tracks = list(boxes_of(new_moov))
        number = next(at for at, (kind, _) in enumerate(tracks) if kind == b"trak")
        tracks[number] = (b"trak", tracks[number][1] + box(b"meta", bytes(4), *_item_boxes(items)))
        new_moov = b"".join(box(*each) for each in tracks)
    shift = len(new_moov) - len(moov)

    def moved(kind: bytes, content: bytes) -> bytes:
        if kind != b"stco":
            return content
        count = int.from_bytes(content[4:8], "big")
        offsets = struct.unpack(f">{count}I", content[8 : 8 + 4 * count])
        return content[:8] + struct.pack(f">{count}I", *(offset + shift for offset in offsets))

    first_picture = (
        locations_box(content, shift) if kind == b"iloc" else box(kind, content) for kind, content in boxes_of(meta, 4)
    )
    return b"".join([
        box(b"ftyp", first), box(b"meta", meta[:4], *first_picture), box(b"moov", *_mapped(new_moov, moved)),
        box(b"mdat", last),
    ])  # fmt: skip


def _mapped(content: bytes, change: Change) -> Iterator[bytes]:
    """Yield the boxes of a container, recursively, with changed contents."""
    for kind, inner in boxes_of(content):
        yield box(kind, *_mapped(inner, change)) if kind in _CONTAINERS else box(kind, change(kind, inner))


def _changed(kind: bytes, content: bytes, milliseconds: Sequence[int], profile: bytes | None) -> bytes:
    """Return the content of a box with the durations and the profile, and without dates."""
    total = struct.pack(">Q", sum(milliseconds))
    if kind in (b"mvhd", b"tkhd", b"mdhd", b"elst") and content[0] != 1:
        raise unexpected("boxes of another version")
    match kind:
        case b"mvhd" | b"mdhd":
            return content[:4] + bytes(16) + struct.pack(">I", _TICKS_PER_SECOND) + total + content[32:]
        case b"tkhd":
            duration = content[28:36] if content[28:36] == _ENDLESS else total
            return content[:4] + bytes(16) + content[20:28] + duration + content[36:]
        case b"elst":
            return content[:8] + total + content[16:]
        case b"stts":
            runs = [(len(list(equal)), duration) for duration, equal in groupby(milliseconds)]
            return struct.pack(">II", 0, len(runs)) + b"".join(struct.pack(">II", *run) for run in runs)
        case b"stsd" if profile:
            return content[:8] + b"".join(_with_profile(*entry, profile) for entry in boxes_of(content, 8))
    return content


def _with_profile(kind: bytes, entry: bytes, profile: bytes) -> bytes:
    """Return a sample entry with a profile; the entry of the alpha track gets none."""
    is_opacity = any(inner == b"auxi" for inner, _ in boxes_of(entry, _ENTRY_BYTES))
    return box(kind, entry) if is_opacity else box(kind, entry, box(b"colr", b"prof", profile))


def _item_boxes(items: Sequence[Item]) -> Iterator[bytes]:
    """Yield the inner boxes of a meta box that also holds the data of its items (idat)."""
    yield _HANDLER
    locations, at = [], 0
    for number, item in enumerate(items, 1):
        locations.append(struct.pack(">HHHHII", number, 1, 0, 1, at, len(item.content)))
        at += len(item.content)
    yield box(b"iloc", b"\1\0\0\0\x44\0", struct.pack(">H", len(items)), *locations)
    yield box(b"iinf", bytes(4), struct.pack(">H", len(items)), *(entry_box(*each) for each in enumerate(items, 1)))
    yield box(b"idat", *(item.content for item in items))
