"""Times and metadata of an AVIF animation, put into the file that imagecodecs writes, whose frames last a second each.

ISO/IEC 14496-12, 8.2.2 (mvhd), 8.3.2 (tkhd), 8.4.2 (mdhd), 8.6.1.2 (stts), 8.6.6 (elst), 8.7.5 (stco), 8.11 (meta).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby

from convfilter.errors import WriteError
from convfilter.picture.pillow.boxes import box, boxes_of

_CONTAINERS = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts")
_TICKS = 1000
_ENTRY_BYTES = 78
_WITHOUT_END = b"\xff" * 8
_HANDLER = box(b"hdlr", bytes(8) + b"pict" + bytes(13))
#: Changes the content of a box of some kind.
Change = Callable[[bytes, bytes], bytes]


def timed(
    data: bytes, milliseconds: Sequence[int], profile: bytes | None, items: Sequence[tuple[bytes, bytes, bytes]]
) -> bytes:
    """Write the duration of each frame, its colours, and the metadata of the animation.

    Parameters
    ----------
    data : bytes
        As libavif writes it: ftyp, meta, moov, mdat.
    milliseconds : sequence of int
        One for each frame.
    profile : bytes, optional
        ICC profile.
    items : sequence of (type, what follows the name, content)
        Items of a meta box in the first track.

    Returns
    -------
    bytes

    Raises
    ------
    WriteError
        The file is made in another way.
    """
    parts = list(boxes_of(data))
    if [kind for kind, _ in parts] != [b"ftyp", b"meta", b"moov", b"mdat"]:
        raise WriteError("the animation cannot be written as AVIF: its encoder puts boxes into another order")
    (_, first), (_, meta), (_, moov), (_, last) = parts
    made = b"".join(_rebuilt(moov, lambda kind, content: _changed(kind, content, milliseconds, profile)))
    if items:
        tracks = list(boxes_of(made))
        number = next(at for at, (kind, _) in enumerate(tracks) if kind == b"trak")
        tracks[number] = (b"trak", tracks[number][1] + box(b"meta", bytes(4), *_described(items)))
        made = b"".join(box(*each) for each in tracks)
    shift = len(made) - len(moov)

    def moved(kind: bytes, content: bytes) -> bytes:
        if kind != b"stco":
            return content
        count = int.from_bytes(content[4:8], "big")
        offsets = struct.unpack(f">{count}I", content[8 : 8 + 4 * count])
        return content[:8] + struct.pack(f">{count}I", *(offset + shift for offset in offsets))

    still = meta[:4] + b"".join(
        box(kind, _located(content, shift) if kind == b"iloc" else content) for kind, content in boxes_of(meta, 4)
    )
    return b"".join([
        box(b"ftyp", first), box(b"meta", still), box(b"moov", *_rebuilt(made, moved)), box(b"mdat", last),
    ])  # fmt: skip


def _rebuilt(content: bytes, change: Change) -> Iterator[bytes]:
    for kind, inner in boxes_of(content):
        yield box(kind, *_rebuilt(inner, change)) if kind in _CONTAINERS else box(kind, change(kind, inner))


def _changed(kind: bytes, content: bytes, milliseconds: Sequence[int], profile: bytes | None) -> bytes:
    """Return a box with the frame times and without a date."""
    total = struct.pack(">Q", sum(milliseconds))
    if kind in (b"mvhd", b"tkhd", b"mdhd", b"elst") and content[0] != 1:
        raise WriteError("the animation cannot be written as AVIF: its encoder writes boxes of another version")
    match kind:
        case b"mvhd" | b"mdhd":
            return content[:4] + bytes(16) + struct.pack(">I", _TICKS) + total + content[32:]
        case b"tkhd":
            lasts = content[28:36] if content[28:36] == _WITHOUT_END else total
            return content[:4] + bytes(16) + content[20:28] + lasts + content[36:]
        case b"elst":
            return content[:8] + total + content[16:]
        case b"stts":
            runs = [(len(list(same)), each) for each, same in groupby(milliseconds)]
            return struct.pack(">II", 0, len(runs)) + b"".join(struct.pack(">II", *run) for run in runs)
        case b"stsd" if profile:
            return content[:8] + b"".join(_with_profile(*entry, profile) for entry in boxes_of(content, 8))
    return content


def _with_profile(kind: bytes, entry: bytes, profile: bytes) -> bytes:
    """Return a sample entry with a profile; the entry of the alpha track gets none."""
    is_opacity = any(inner == b"auxi" for inner, _ in boxes_of(entry, _ENTRY_BYTES))
    return box(kind, entry) if is_opacity else box(kind, entry, box(b"colr", b"prof", profile))


def _described(items: Sequence[tuple[bytes, bytes, bytes]]) -> Iterator[bytes]:
    """Yield the boxes of a meta box that holds items itself."""
    yield _HANDLER
    entries, places, at = [], [], 0
    for number, (kind, more, content) in enumerate(items, 1):
        entries.append(box(b"infe", b"\2\0\0\0", struct.pack(">HH4s", number, 0, kind), more))
        places.append(struct.pack(">HHHHII", number, 1, 0, 1, at, len(content)))
        at += len(content)
    yield box(b"iloc", b"\1\0\0\0\x44\0", struct.pack(">H", len(items)), *places)
    yield box(b"iinf", bytes(4), struct.pack(">H", len(items)), *entries)
    yield box(b"idat", *(content for *_, content in items))


def _located(content: bytes, shift: int) -> bytes:
    """Move the offsets of an iloc box of version 0, with offsets and sizes of 32 bits."""
    if content[:6] != b"\0\0\0\0\x44\0":
        raise WriteError("the animation cannot be written as AVIF: its encoder writes boxes of another version")
    out, at = [content[:8]], 8
    for _ in range(int.from_bytes(content[6:8], "big")):
        extents = int.from_bytes(content[at + 4 : at + 6], "big")
        out.append(content[at : at + 6])
        at += 6
        for _ in range(extents):
            offset, size = struct.unpack_from(">II", content, at)
            out.append(struct.pack(">II", offset + shift, size))
            at += 8
    return b"".join(out)
