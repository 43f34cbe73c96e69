"""Run lengths of Sun rasters, which Pillow decodes without the byte that fills each odd row.

Sun Microsystems, rasterfile(5), SunOS 4.1; J. D. Murray and W. vanRyper, Encyclopedia of Graphics File Formats, 1996.
"""

from __future__ import annotations

import struct

_HEADER = struct.Struct(">8I")
_STANDARD, _RUN_LENGTHS = 1, 2
#: Byte before a run: a length less 1 and a value follow, or 0, which stands for the byte itself.
_ESCAPE = b"\x80"


def unpacked(data: bytes) -> bytes | None:
    """Return a Sun raster with its rows uncompressed; None if they are so already.

    Parameters
    ----------
    data : bytes
        The file.

    Returns
    -------
    bytes, or None
        Fewer bytes than the header announces if the file is truncated.
    """
    magic, width, height, depth, length, kind, map_kind, map_length = _HEADER.unpack_from(data)
    if kind != _RUN_LENGTHS:
        return None
    start = _HEADER.size + map_length
    rows = _expanded(data[start:], (width * depth + 15) // 16 * 2 * height)
    head = _HEADER.pack(magic, width, height, depth, length, _STANDARD, map_kind, map_length)
    return head + data[_HEADER.size : start] + rows


def _expanded(data: bytes, size: int) -> bytes:
    """Expand runs to at most ``size`` bytes."""
    parts, at, done = [], 0, 0
    while at < len(data) and done < size:
        escape = data.find(_ESCAPE, at)
        part = data[at : len(data) if escape < 0 else escape]
        at += len(part)
        if escape >= 0:
            code = data[escape + 1 : escape + 3]
            if code[:1] == b"\0":
                part, at = part + _ESCAPE, escape + 2
            elif len(code) == 2:
                part, at = part + code[1:] * (code[0] + 1), escape + 3
            else:
                at = len(data)  # the file ends within a run
        parts.append(part)
        done += len(part)
    return b"".join(parts)[:size]
