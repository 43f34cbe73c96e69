"""JPEG 2000 deeper than 8 bits, which Pillow reduces without a word.

ISO/IEC 15444-1, annex A.5.1 (SIZ marker segment).
"""

from __future__ import annotations

from typing import BinaryIO

import numpy as np

from convfilter.errors import ReadError
from convfilter.picture import colour
from convfilter.picture.picture import Pixels

_CODESTREAM = b"\xff\x4f\xff\x51"
#: The codestream begins within this distance; boxes before it hold colour and metadata.
_SEARCH_BYTES = 1 << 20
_SIGNED = 0x80


def bits_of(file: BinaryIO) -> int:
    """Return the bits of a sample; the position of the file stays where it was.

    Raises
    ------
    ReadError
        The samples are signed, or the header is damaged.
    """
    position = file.tell()
    file.seek(0)
    head = file.read(_SEARCH_BYTES)
    file.seek(position)
    start = head.find(_CODESTREAM)
    size = head[start + 4 :]
    count = int.from_bytes(size[36:38], "big")
    depths = size[38 : 38 + 3 * count : 3]
    if start < 0 or not 0 < count <= 16384 or len(depths) < count:
        raise ReadError("the JPEG 2000 is damaged: it has no size marker")
    if any(depth & _SIGNED for depth in depths):
        raise ReadError("a JPEG 2000 of signed samples cannot be filtered")
    return max(depths) + 1


def decode_deep(file: BinaryIO, bits: int) -> Pixels:
    """Decode all channels of a picture of 9 to 16 bits, stretched to the full range of 16.

    Parameters
    ----------
    file : BinaryIO
    bits : int
        As ``bits_of`` found.

    Returns
    -------
    (H, W) or (H, W, C) array of uint16

    Raises
    ------
    ReadError
        There are more than 16 bits.
    """
    import imagecodecs

    if bits > 16:
        raise ReadError(f"JPEG 2000 samples must have up to 16 bits, got {bits}")
    file.seek(0)
    samples = imagecodecs.jpeg2k_decode(file.read())
    return colour.widened(np.minimum(samples, 2**bits - 1), 2**bits - 1)
