"""Metadata of a TGA, and runs that Pillow cannot decode.

Truevision TGA, File Format Specification 2.0 (1991), C.6 and C.7; version 1.0 lets runs cross rows.
"""

from __future__ import annotations

import os
import struct
from typing import BinaryIO

from convfilter.picture.metadata.metadata import Text
from convfilter.picture.metadata.pillow_info import text_of

_HEADER_BYTES, _FOOTER_BYTES, _EXTENSION_BYTES = 18, 26, 495
_SIGNATURE = b"TRUEVISION-XFILE.\0"
_LINE_BYTES, _LINES = 81, 4
_PREMULTIPLIED = b"\4"
#: Texts in the extension area: keyword, offset, length.
_TEXTS = (("Author", 2, 41), ("Job", 379, 41), ("Software", 426, 41))
_COMMENT_AT, _TIME_AT, _ATTRIBUTES_AT = 43, 367, 494
#: Kinds of pictures of which the samples are runs have this bit set.
_RUN_LENGTHS = 8
#: Bits of the first byte of a run: its length less 1, and whether one pixel follows, to repeat.
_LENGTH, _IS_REPEATED = 0x7F, 0x80


def read_metadata(file: BinaryIO) -> tuple[list[Text], bool]:
    """Read the texts, and whether colours are premultiplied.

    Parameters
    ----------
    file : BinaryIO
        Seekable; its position changes.

    Returns
    -------
    texts : list of Text
    premultiplied : bool
    """
    file.seek(0)
    header = file.read(_HEADER_BYTES)
    name = _text(file.read(header[0])) if header else ""
    texts = [("Description", name)]
    extension = _extension(file)
    texts += [(keyword, _text(extension[at : at + length])) for keyword, at, length in _TEXTS]
    lines = [extension[_COMMENT_AT + _LINE_BYTES * line :][:_LINE_BYTES] for line in range(_LINES)]
    texts.append(("Comment", "\n".join(map(_text, lines)).strip()))
    texts.append(("Creation Time", _time(extension)))
    return [Text(keyword, value) for keyword, value in texts if value], extension[_ATTRIBUTES_AT:] == _PREMULTIPLIED


def unpacked(data: bytes) -> bytes | None:
    """Return a TGA with its runs expanded, without the areas after the samples.

    Parameters
    ----------
    data : bytes
        The file.

    Returns
    -------
    bytes, or None
        None if its samples are not runs, or if they are not complete.
    """
    if len(data) < _HEADER_BYTES or not data[2] & _RUN_LENGTHS:
        return None
    colours, colour_bits, width, height, depth = struct.unpack_from("<HB4xHHB", data, 5)
    start = _HEADER_BYTES + data[0] + (colours * ((colour_bits + 7) // 8) if data[1] else 0)
    item = (depth + 7) // 8
    parts, at, left = [], start, width * height * item
    while left > 0 and at < len(data):
        count = (data[at] & _LENGTH) + 1
        stored = item if data[at] & _IS_REPEATED else item * count
        part = data[at + 1 : at + 1 + stored]
        parts.append(part * count if data[at] & _IS_REPEATED else part)
        at, left = at + 1 + stored, left - item * count
    samples = b"".join(parts)[: width * height * item]
    is_whole = len(samples) == width * height * item
    return data[:2] + bytes([data[2] ^ _RUN_LENGTHS]) + data[3:start] + samples if is_whole else None


def _extension(file: BinaryIO) -> bytes:
    """Return the extension area, b"" if the file has none."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - _FOOTER_BYTES))
    footer = file.read(_FOOTER_BYTES)
    start = int.from_bytes(footer[:4], "little")
    if footer[8:] != _SIGNATURE or not start:
        return b""
    file.seek(start)
    extension = file.read(_EXTENSION_BYTES)
    return extension if len(extension) == _EXTENSION_BYTES else b""


def _text(field: bytes) -> str:
    return text_of(field.partition(b"\0")[0]).strip()


def _time(extension: bytes) -> str:
    """Return the time stamp as ISO 8601, "" if the file has none."""
    if not any(extension[_TIME_AT : _TIME_AT + 12]):
        return ""
    month, day, year, hour, minute, second = struct.unpack_from("<6H", extension, _TIME_AT)
    return f"{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}"
