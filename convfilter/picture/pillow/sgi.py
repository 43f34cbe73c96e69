"""SGI pictures of 16 bits, which Pillow would silently reduce to 8.

P. Haeberli, "The SGI Image File Format", version 1.00, 1997.
"""

from __future__ import annotations

import struct

import numpy as np
import numpy.typing as npt

from convfilter.errors import DECODE_THE_REST, ReadError
from convfilter.picture.pixels import Pixels

_HEADER_BYTES = 512
_RUN_LENGTHS = 1
#: Bits of the first sample of a run: its length, and whether that many samples follow, not one to repeat.
_LENGTH, _IS_LITERAL = 0x7F, 0x80

_Samples = npt.NDArray[np.uint16]


def decode(data: bytes, *, lenient: bool) -> Pixels:
    """Decode a whole picture of 16 bits.

    Parameters
    ----------
    data : bytes
        The file.
    lenient : bool
        Leave samples that are missing black.

    Returns
    -------
    (H, W) or (H, W, C) array of uint16

    Raises
    ------
    ReadError
        The file is truncated or damaged.
    """
    storage, (width, height, channels) = data[2], struct.unpack_from(">3H", data, 6)
    dimensions = int.from_bytes(data[4:6], "big")
    rows, planes = (height if dimensions > 1 else 1), (channels if dimensions > 2 else 1)  # later sizes do not count
    samples = np.zeros((planes * rows, width), np.uint16)
    is_whole = (_expand if storage == _RUN_LENGTHS else _copy)(data, samples)
    if not (is_whole or lenient):
        raise ReadError("the SGI is truncated or damaged", remedy=DECODE_THE_REST)
    picture = np.moveaxis(samples.reshape(planes, rows, width)[:, ::-1], 0, -1)  # the bottom row comes first
    return np.ascontiguousarray(picture[:, :, 0] if planes == 1 else picture)


def _copy(data: bytes, samples: _Samples) -> bool:
    """Copy uncompressed samples; return whether all of them are there."""
    stored = np.frombuffer(data, ">u2", (len(data) - _HEADER_BYTES) // 2, _HEADER_BYTES)[: samples.size]
    samples.ravel()[: stored.size] = stored
    return stored.size == samples.size


def _expand(data: bytes, samples: _Samples) -> bool:
    """Expand the rows of a file with run lengths; return whether all of them are whole."""
    count = len(samples)
    if len(data) < _HEADER_BYTES + 8 * count:
        return False
    starts, lengths = np.frombuffer(data, ">u4", 2 * count, _HEADER_BYTES).reshape(2, count).tolist()
    return all(
        [
            _expand_row(data[start : start + length], row)
            for start, length, row in zip(starts, lengths, samples, strict=True)
        ]
    )


def _expand_row(data: bytes, row: _Samples) -> bool:
    """Expand one row of one channel; return whether it is whole."""
    codes, at, done = np.frombuffer(data, ">u2", len(data) // 2), 0, 0
    while at < len(codes) and done < len(row):
        code = int(codes[at])
        length = min(code & _LENGTH, len(row) - done)
        run = codes[at + 1 : at + 1 + (length if code & _IS_LITERAL else 1)]
        if not length or not run.size or (code & _IS_LITERAL and run.size < length):
            return False
        row[done : done + length] = run
        at, done = at + 1 + run.size, done + length
    return done == len(row)
