"""The blocks of a GIF, walked through without decoding: whether the file is whole. GIF89a (CompuServe, 1990)."""

from __future__ import annotations

from typing import BinaryIO

#: More than any animation has; walking through more would only take time.
MAX_FRAMES = 65536
_EXTENSION, _IMAGE, _TRAILER = 0x21, 0x2C, 0x3B
_HAS_TABLE = 0x80


def damage(file: BinaryIO) -> str:
    """Tell what is wrong with the structure of a GIF, "" if nothing; Pillow shows the frames before it and is silent.

    Parameters
    ----------
    file : BinaryIO
        Seekable; left at its beginning.

    Returns
    -------
    str
    """
    file.seek(0)
    try:
        return _walk(file)
    except IndexError:
        return "the GIF is truncated"
    finally:
        file.seek(0)


def _walk(file: BinaryIO) -> str:
    head = file.read(13)
    file.seek(_table_bytes(head[10]), 1)
    frames = 0
    while frames <= MAX_FRAMES:
        kind = file.read(1)[0]
        if kind == _TRAILER:
            return ""
        if kind == _EXTENSION:
            file.seek(1, 1)
        elif kind == _IMAGE:
            # A colour table, if there is one, then the size of the first codes.
            file.seek(_table_bytes(file.read(9)[8]) + 1, 1)
            frames += 1
        else:
            return f"the GIF is damaged: unknown block {kind:#04x}"
        while length := file.read(1)[0]:
            file.seek(length, 1)
    return f"the GIF has more than {MAX_FRAMES} frames"


def _table_bytes(flags: int) -> int:
    return 3 * 2 ** ((flags & 7) + 1) if flags & _HAS_TABLE else 0
