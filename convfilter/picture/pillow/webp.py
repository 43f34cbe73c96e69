"""WebP chunks: find sizes and frames before decoding, write animations, and complete truncated files.

Pillow's own writer of animations merges equal frames; here every frame of the input remains one. RFC 9649.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator
from typing import BinaryIO

import numpy as np

from convfilter.picture.frame import DEFAULT_DELAY, Frame, changed_area
from convfilter.picture.metadata.metadata import Metadata
from convfilter.picture.pixels import Pixels

_RIFF_HEAD_BYTES, _CHUNK_HEAD_BYTES, _FRAME_HEAD_BYTES = 12, 8, 16
#: Flags of a VP8X chunk.
_ICC, _ALPHA, _EXIF, _XMP, _ANIMATION = 0x20, 0x10, 0x08, 0x04, 0x02
#: Flag of a frame that overwrites its area without blending.
_REPLACE = 0x02
_LONGEST_MS = 2**24 - 1
_MOST_PLAYS = 65535
#: Largest factor by which a truncated file is extended: beyond it, its size field may be damaged too.
_MOST_GROWTH = 16
#: Zeros after a truncated frame, into which the decoder may read ahead.
_SPARE_BYTES = 1 << 16
_SIDE, _VP8L_SIGNATURE, _VP8_SIGNATURE = 0x3FFF, 0x2F, b"\x9d\x01\x2a"
_FRAME_CHUNKS = (b"ALPH", b"VP8 ", b"VP8L")
_KNOWN_CHUNKS = (*_FRAME_CHUNKS, b"VP8X", b"ANIM", b"ANMF", b"ICCP", b"EXIF", b"XMP ")


def size_of(head: bytes) -> tuple[int, int] | None:
    """Read width and height from the first 30 bytes of a file; None if they are damaged."""
    kind, at = head[12:16], 20
    if kind == b"VP8X" and len(head) >= at + 10:
        return _number(head[at + 4 : at + 7]) + 1, _number(head[at + 7 : at + 10]) + 1
    if kind == b"VP8L" and len(head) >= at + 5 and head[at] == _VP8L_SIGNATURE:
        bits = _number(head[at + 1 : at + 5])
        return (bits & _SIDE) + 1, (bits >> 14 & _SIDE) + 1
    if kind == b"VP8 " and head[at + 3 : at + 6] == _VP8_SIGNATURE and len(head) >= at + 10:
        return _number(head[at + 6 : at + 8]) & _SIDE, _number(head[at + 8 : at + 10]) & _SIDE
    return None


def frames_of(file: BinaryIO) -> int:
    """Count the frames of an animation by its chunk heads, 0 for a still picture; the position does not change."""
    position = file.tell()
    count = sum(kind == b"ANMF" for kind in _kinds(file))
    file.seek(position)
    return count


def is_lossless(file: BinaryIO) -> bool:
    """Whether the first chunk with pixels is lossless; the position does not change."""
    position = file.tell()
    kind = next((kind for kind in _kinds(file, in_frames=True) if kind in (b"VP8 ", b"VP8L")), b"")
    file.seek(position)
    return kind == b"VP8L"


def _kinds(file: BinaryIO, *, in_frames: bool = False) -> Iterator[bytes]:
    """Yield the type of each chunk of a file, also of those within frames if ``in_frames``."""
    file.seek(_RIFF_HEAD_BYTES)
    while len(head := file.read(_CHUNK_HEAD_BYTES)) == _CHUNK_HEAD_BYTES:
        kind, size = head[:4], _number(head[4:])
        yield kind
        file.seek(_FRAME_HEAD_BYTES if in_frames and kind == b"ANMF" else size + (size & 1), os.SEEK_CUR)


def _number(data: bytes) -> int:
    return int.from_bytes(data, "little")


def write_animation(
    file: BinaryIO, frames: list[Frame], metadata: Metadata, alpha: bool, encode: Callable[[Pixels], bytes]
) -> None:
    """Write an animation; each frame stores only the area that differs from the frame before.

    Parameters
    ----------
    file : BinaryIO
        Written from its position on; need not be seekable.
    frames : list of Frame
        Samples of uint8, all of one shape.
    metadata : Metadata
    alpha : bool
        The last channel is opacity.
    encode : callable
        Encodes an (H, W) or (H, W, C) array as a WebP file.
    """
    height, width = frames[0].shape[:2]
    flags = _ANIMATION | _ALPHA * alpha
    flags |= _ICC * bool(metadata.icc) | _EXIF * bool(metadata.exif) | _XMP * bool(metadata.xmp)
    chunks = [_chunk(b"VP8X", struct.pack("<I", flags) + _three(width - 1) + _three(height - 1))]
    if metadata.icc:
        chunks.append(_chunk(b"ICCP", metadata.icc))
    chunks.append(_chunk(b"ANIM", struct.pack("<IH", 0, min(metadata.loop or 0, _MOST_PLAYS))))
    before: Pixels | None = None
    for frame in frames:
        area = (0, 0, height, width) if before is None else changed_area(before, frame.pixels)
        chunks.append(_frame(frame, area, encode))
        before = frame.pixels
    chunks += [_chunk(kind, data) for kind, data in ((b"EXIF", metadata.exif), (b"XMP ", metadata.xmp)) if data]
    file.write(b"RIFF" + struct.pack("<I", 4 + sum(map(len, chunks))) + b"WEBP")
    for part in chunks:
        file.write(part)


def _frame(frame: Frame, area: tuple[int, int, int, int], encode: Callable[[Pixels], bytes]) -> bytes:
    """Encode an area as an ANMF chunk, whose first row and column must be even."""
    top, left, bottom, right = area[0] & ~1, area[1] & ~1, area[2], area[3]
    numerator, denominator = frame.delay or DEFAULT_DELAY
    duration = min(round(1000 * numerator / denominator), _LONGEST_MS)
    picture = encode(np.ascontiguousarray(frame.pixels[top:bottom, left:right]))
    head = b"".join(map(_three, (left // 2, top // 2, right - left - 1, bottom - top - 1, duration)))
    data = b"".join(_chunk(kind, content) for kind, content in _chunks(picture) if kind in _FRAME_CHUNKS)
    return _chunk(b"ANMF", head + bytes([_REPLACE]) + data)


def _three(value: int) -> bytes:
    return value.to_bytes(3, "little")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return kind + struct.pack("<I", len(data)) + data + b"\0" * (len(data) & 1)


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield type and content of the chunks of a file; a truncated last chunk is padded with zeros."""
    at = _RIFF_HEAD_BYTES
    while at + _CHUNK_HEAD_BYTES <= len(data):
        kind, size = struct.unpack_from("<4sI", data, at)
        at += _CHUNK_HEAD_BYTES
        content = data[at : at + size]
        missing = min(size - len(content), _MOST_GROWTH * len(data))
        yield kind, content + bytes(missing + _SPARE_BYTES if missing and kind in _FRAME_CHUNKS else missing)
        at += size + (size & 1)


def other_chunks(file: BinaryIO) -> list[str]:
    """Return the distinct names of the chunks that are not read; the file's position changes."""
    names = (kind.decode("latin-1").strip() for kind in _kinds(file) if kind not in _KNOWN_CHUNKS)
    return list(dict.fromkeys(names))


def completed(data: bytes) -> bytes:
    """Complete a truncated file so that a decoder accepts it: missing pixel data become zero.

    Parameters
    ----------
    data : bytes
        The beginning of a WebP.

    Returns
    -------
    bytes
        The data themselves if the file is complete. A truncated frame of an animation is dropped, unless it is the
        first.
    """
    if len(data) >= _CHUNK_HEAD_BYTES + int.from_bytes(data[4:8], "little"):
        return data
    chunks = list(_chunks(data))
    if len(chunks) > 1 and chunks[-1][0] == b"ANMF" and chunks[-2][0] == b"ANMF":
        del chunks[-1]
    complete = []
    present = {kind for kind, _ in chunks}
    absent = _EXIF * (b"EXIF" not in present) | _XMP * (b"XMP " not in present)
    for kind, content in chunks:
        is_head = kind == b"VP8X" and content  # its flags must not announce chunks that are missing
        complete.append(_chunk(kind, bytes([content[0] & ~absent]) + content[1:] if is_head else content))
    return b"RIFF" + struct.pack("<I", 4 + sum(map(len, complete))) + b"WEBP" + b"".join(complete)
