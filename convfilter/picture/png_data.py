"""The pixels of a PNG: inflate, undo the row filters, unpack the bits."""

from __future__ import annotations

import numpy as np

from convfilter.errors import ReadError
from convfilter.picture import png
from convfilter.picture.picture import Pixels


def decode_samples(header: png.Header, parts: list[bytes], *, lenient: bool) -> tuple[Pixels, str]:
    """Decode the data of one image.

    Parameters
    ----------
    header : Header
    parts : list of bytes
        The pieces of its zlib stream.
    lenient : bool
        Take what can be decoded of a damaged stream; the rest is zero.

    Returns
    -------
    samples : (H, W) or (H, W, C) array of uint8 or uint16
        As they are in the file: palette indices and few-bit samples unscaled.
    note : str
        What is missing; empty for a whole picture.

    Raises
    ------
    ReadError
        The stream is damaged, or shorter or longer than the size in the header.
    """
    import imagecodecs

    # The codec sees a palette as grey: indices, multiplied to the full range, divided back.
    colour = 0 if header.colour == png.PALETTE else header.colour
    plain = png.Header(header.width, header.height, header.depth, colour, header.interlaced)
    data = b"".join([png.SIGNATURE, *_chunk(b"IHDR", plain.packed()), *_chunk(b"IDAT", *parts), *_chunk(b"IEND")])
    try:
        samples = imagecodecs.png_decode(data)
    except Exception as error:
        raise ReadError(f"the PNG is damaged: {error}") from error
    if header.depth < 8:
        samples //= np.uint8(255 // (2**header.depth - 1))
    return samples, ""


def _chunk(kind: bytes, *parts: bytes) -> list[bytes]:
    from isal import isal_zlib

    crc = isal_zlib.crc32(kind)
    for part in parts:
        crc = isal_zlib.crc32(part, crc)
    return [sum(map(len, parts)).to_bytes(4, "big"), kind, *parts, crc.to_bytes(4, "big")]
