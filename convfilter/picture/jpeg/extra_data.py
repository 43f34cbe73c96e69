"""Data of a JPEG besides its first picture: further pictures, segments of other programs, extended XMP.

Extended XMP is kept; other data are dropped, with a note. CIPA DC-007 (Multi-Picture Format).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence

from convfilter.picture import trailing_data
from convfilter.picture.jpeg.metadata import is_of_profile, is_plain_segment
from convfilter.picture.jpeg.segments import APP0, Segment, app_segments
from convfilter.picture.loss import Loss
from convfilter.picture.metadata import ifd, xmp_extended
from convfilter.picture.metadata.metadata import Metadata

_MPF, _THUMBNAIL, _ISO_GAIN_MAP = b"MPF\0", b"JFXX\0", b"urn:iso:std:iso:ts:21496:-1\0"
_EXTENSION = xmp_extended.PREFIX
_UNDERSTOOD = (_MPF, _THUMBNAIL, _ISO_GAIN_MAP, _EXTENSION)
_ENTRIES, _ENTRY_BYTES = 0xB002, 16
#: Types of pictures that belong together: panorama, disparity, several angles.
_GROUPED_TYPES = (0x020001, 0x020002, 0x020003)
_TYPE_BITS = 0xFFFFFF
_GAIN_MAP_MARKS = (b"http://ns.adobe.com/hdr-gain-map/", b"http://ns.apple.com/HDRGainMap/")
_JPEG = b"\xff\xd8\xff"
_MOST_NAMES = 8
_VIDEO_SEARCH_BYTES = 1 << 16


def add(metadata: Metadata, data: bytes, end: int | None) -> list[Loss]:
    """Add extended XMP to the metadata, and return a note on each kind of data that is left out.

    Parameters
    ----------
    metadata : Metadata
    data : bytes
        The file.
    end : int, or None
        Offset of the end marker of the first picture.

    Returns
    -------
    list of Loss
    """
    segments = app_segments(data)
    extension = [content[len(xmp_extended.PREFIX) :] for _, _, content in segments if content.startswith(_EXTENSION)]
    is_hdr = any(mark in (metadata.xmp or b"") for mark in _GAIN_MAP_MARKS)
    is_hdr = is_hdr or any(content.startswith(_ISO_GAIN_MAP) for _, _, content in segments)
    if extension:
        metadata.xmp = xmp_extended.joined(metadata.xmp, extension) or metadata.xmp
    losses = []
    if metadata.icc is None and any(is_of_profile(content) for _, _, content in segments):
        losses.append(Loss("parts of the colour profile are missing; it is left out"))
    metadata.thumbnail = any(content.startswith(_THUMBNAIL) for _, _, content in segments)
    names = [
        _name(marker, content)
        for marker, _, content in segments
        if not is_plain_segment(marker, content) and not content.startswith(_UNDERSTOOD)
    ]
    if names:
        listed = ", ".join(dict.fromkeys(names[:_MOST_NAMES])) + (", ..." if len(names) > _MOST_NAMES else "")
        losses.append(Loss(f"the JPEG has segments of other programs, which are left out: {listed}"))
    losses += _further_pictures(segments, data, end, is_hdr)
    return losses


def _name(marker: int, content: bytes) -> str:
    """Return the name of a segment for a note: its number, and the identifier that its content begins with."""
    word = content.split(b"\0")[0][:16].decode("latin-1")
    number = f"APP{marker - APP0}"
    return f"{number} {word}" if word.isprintable() and word.isascii() and word.strip() else number


def _further_pictures(segments: Sequence[Segment], data: bytes, end: int | None, is_hdr: bool) -> Iterator[Loss]:
    """Yield notes on the data after the first picture."""
    index = next(((at + 8, content[4:]) for _, at, content in segments if content.startswith(_MPF)), None)
    entries = _entries(index[1]) if index else []
    if index and len(entries) > 1:
        yield _loss_of_pictures(entries, is_hdr)
        end = max(index[0] + offset + size for _, size, offset in entries[1:])
    elif end is not None:
        end += 2
    rest = data[end:].strip(b"\0\r\n ") if end is not None else b""
    if rest.startswith(_JPEG) and is_hdr:
        yield _loss_of_pictures([], is_hdr)
    elif rest.startswith(_JPEG):
        yield trailing_data.another("JPEG")
    elif b"ftyp" in rest[:_VIDEO_SEARCH_BYTES]:
        yield Loss(f"the file holds a video of {len(rest)} bytes after the picture; it is left out")
    elif rest:
        yield Loss(f"the file holds {len(rest)} bytes after the picture; they are left out")


def _loss_of_pictures(entries: Sequence[tuple[int, int, int]], is_hdr: bool) -> Loss:
    if is_hdr:
        return Loss("the JPEG holds a gain map, which makes the picture brighter on HDR displays; it is left out")
    if any(kind in _GROUPED_TYPES for kind, _, _ in entries):
        return Loss(
            f"the JPEG holds {len(entries)} pictures that belong together",
            severe=True,
            remedy="choose one with {frame=N}, or take the first with {allow_loss=True}",
        )
    return Loss(f"the JPEG holds {len(entries)} pictures; the first is read", remedy="{frame=N} reads another")


def _entries(index: bytes) -> list[tuple[int, int, int]]:
    """List type, size and offset of the pictures in a multi-picture file; offsets are from the start of the index."""
    header = ifd.start(index)
    if header is None:
        return []
    order, first = header
    fields = ifd.parsed(lambda start, length: index[start : start + length], first, order)
    table = fields[_ENTRIES].data if _ENTRIES in fields else b""
    rows = struct.iter_unpack(f"{order}III4x", table[: len(table) // _ENTRY_BYTES * _ENTRY_BYTES])
    return [(kind & _TYPE_BITS, size, offset) for kind, size, offset in rows]
