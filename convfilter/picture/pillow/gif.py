"""GIF blocks, parsed without decoding to detect damage. GIF89a (CompuServe, 1990)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from convfilter.picture import limits
from convfilter.picture.metadata.pillow_info import text_of

#: More frames than any real animation has; a limit on the time of parsing.
MAX_FRAMES = 65536
_ASPECT_AT, _ASPECT_OFFSET = 12, 15
_EXTENSION, _IMAGE, _TRAILER = 0x21, 0x2C, 0x3B
_HAS_TABLE = 0x80
TEXT, COMMENT, APPLICATION = 0x01, 0xFE, 0xFF
XMP_NAME, ICC_NAME = b"XMP DataXMP", b"ICCRGBG1012"
#: Blocks with the loop count, which the decoder reports.
_LOOP_NAMES = (b"NETSCAPE2.0", b"ANIMEXTS1.0")
#: Trailer of an XMP packet, which is not a chain of blocks: from any byte in it, a decoder reaches the end.
XMP_TRAILER = b"\x01" + bytes(range(255, -1, -1)) + b"\0"
_NAME_BYTES = 11


class Damage(NamedTuple):
    """A structural problem; ``leaves_frames`` if the frames before it can be shown."""

    text: str
    leaves_frames: bool = True


def damage(file: BinaryIO) -> Damage | None:
    """Return the structural problem of a GIF, if any; Pillow silently shows the frames before it.

    Parameters
    ----------
    file : BinaryIO
        Seekable; left at its beginning.

    Returns
    -------
    Damage, or None
    """
    file.seek(0)
    try:
        return _walk(file)
    except IndexError:
        return Damage("the GIF is truncated")
    finally:
        file.seek(0)


def _walk(file: BinaryIO) -> Damage | None:
    head = file.read(13)
    file.seek(_table_bytes(head[10]), 1)
    frames = 0
    while frames <= MAX_FRAMES:
        kind = file.read(1)[0]
        if kind == _TRAILER:
            return None
        if kind == _EXTENSION:
            file.seek(1, 1)
        elif kind == _IMAGE:
            # An optional colour table, then the size of the first codes.
            file.seek(_table_bytes(file.read(9)[8]) + 1, 1)
            frames += 1
        else:
            return Damage(f"the GIF is damaged: unknown block {kind:#04x}")
        while length := file.read(1)[0]:
            file.seek(length, 1)
    return Damage(f"the GIF has more than {MAX_FRAMES} frames", leaves_frames=False)


class Said(NamedTuple):
    """Metadata of a GIF.

    ``others`` are names of unsupported blocks, ``aspect`` is the width of a pixel in 64ths of its height, 0 for 1 or
    unknown.
    """

    comments: list[str]
    xmp: bytes | None
    icc: bytes | None
    others: list[str]
    aspect: int = 0


def said(file: BinaryIO) -> Said:
    """Read comments, XMP and profile, except damaged ones.

    Parameters
    ----------
    file : BinaryIO
        Seekable; left at its beginning.

    Returns
    -------
    Said
    """
    comments, others, xmp, icc = [], [], None, None
    budget = limits.Budget("GIF")
    for kind, raw in _extensions(file):
        budget.spend(len(raw))
        content = _joined(raw)
        name = content[:_NAME_BYTES]
        if kind == COMMENT:
            comments.append(text_of(content))
        elif kind == TEXT:
            others.append("plain text")
        elif name == XMP_NAME:
            packet = raw[1 + _NAME_BYTES :]
            xmp = packet.removesuffix(XMP_TRAILER) if packet.endswith(XMP_TRAILER) else content[_NAME_BYTES:]
        elif name == ICC_NAME:
            icc = content[_NAME_BYTES:]
        elif name not in _LOOP_NAMES:
            others.append(name.decode("latin-1"))
    file.seek(_ASPECT_AT)
    aspect = (file.read(1) or b"\0")[0]
    file.seek(0)
    aspect = aspect + _ASPECT_OFFSET if aspect not in (0, 64 - _ASPECT_OFFSET) else 0
    return Said(comments, xmp or None, icc or None, list(dict.fromkeys(others)), aspect)


def _extensions(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Yield the kind and the blocks of each extension, with lengths and terminator."""
    file.seek(0)
    try:
        head = file.read(13)
        file.seek(_table_bytes(head[10]), 1)
        while (kind := file.read(1)) in (bytes([_EXTENSION]), bytes([_IMAGE])):
            label = file.read(1)[0] if kind[0] == _EXTENSION else None
            if label is None:
                file.seek(_table_bytes(file.read(9)[8]) + 1, 1)
            start = file.tell()
            while length := file.read(1)[0]:
                file.seek(length, 1)
            if label in (TEXT, COMMENT, APPLICATION):
                end = file.tell()
                file.seek(start)
                yield label, file.read(end - start)
    except IndexError:
        return
    finally:
        file.seek(0)


def end_of(file: BinaryIO) -> int | None:
    """Return the end of the file by its trailer; None if it has none."""
    file.seek(0)
    try:
        file.seek(_table_bytes(file.read(13)[10]), 1)
        while (kind := file.read(1)) in (bytes([_EXTENSION]), bytes([_IMAGE])):
            file.seek(1 if kind[0] == _EXTENSION else _table_bytes(file.read(9)[8]) + 1, 1)
            while length := file.read(1)[0]:
                file.seek(length, 1)
        return file.tell() if kind == bytes([_TRAILER]) else None
    except IndexError:
        return None


def _joined(blocks: bytes) -> bytes:
    parts, at = [], 0
    while at < len(blocks) and blocks[at]:
        parts.append(blocks[at + 1 : at + 1 + blocks[at]])
        at += 1 + blocks[at]
    return b"".join(parts)


def _table_bytes(flags: int) -> int:
    return 3 * 2 ** ((flags & 7) + 1) if flags & _HAS_TABLE else 0
