"""Decode the samples of a PNG: ISA-L inflates them, compiled loops undo the row filters."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from convfilter.errors import DECODE_THE_REST, ReadError
from convfilter.picture.band_memory import BandMemory
from convfilter.picture.pixels import Pixels
from convfilter.picture.png import layout as png

Bytes = np.ndarray[tuple[Any, ...], np.dtype[np.uint8]]

#: Approximate bytes of a block of inflated rows: they stay in the cache until they are unfiltered.
BLOCK_BYTES = 1 << 18


def decode_samples(header: png.Header, parts: Iterator[memoryview], *, lenient: bool) -> tuple[Pixels, str]:
    """Decode the data of one image.

    Parameters
    ----------
    header : Header
    parts : iterator of bytes
        Pieces of the image's zlib stream.
    lenient : bool
        Whether to decode as much as possible of a damaged stream; the other samples are zero.

    Returns
    -------
    samples : (H, W) or (H, W, C) array of uint8 or uint16
        Unscaled: palette indices, and samples of fewer than 8 bits.
    note : str
        The damage; "" without damage.

    Raises
    ------
    ReadError
        The stream is damaged, or shorter or longer than the size in the header.
    """
    stream = _Stream(parts, lenient)
    images = [_image(header, stream, width, height) for *_, width, height in header.passes()]
    stream.finish()
    if not header.interlaced:
        return images[0], stream.note
    first = images[0]
    samples = np.empty((header.height, header.width, *first.shape[2:]), first.dtype)
    for (x, y, dx, dy, *_), image in zip(header.passes(), images, strict=True):
        samples[y::dy, x::dx] = image
    return samples, stream.note


def _image(header: png.Header, stream: _Stream, width: int, height: int) -> Pixels:
    """Decode one image of the stream to an array."""
    image: Pixels | None = None
    done = 0
    memory = memory_of(header, width, height)
    for band in _bands(header, stream, width, height, memory):
        if image is None:
            image = np.empty((height, *band.shape[1:]), band.dtype)
        image[done : done + len(band)] = band
        done += len(band)
        memory.give_back(band)
    assert image is not None
    return image


def memory_of(header: png.Header, width: int, height: int) -> BandMemory:
    """Return memory for the bands of an image."""
    length = header.row_bytes(width)
    return BandMemory((min(height, max(1, BLOCK_BYTES // (1 + length))), length), np.dtype(np.uint8))


def bands(header: png.Header, parts: Iterator[memoryview], memory: BandMemory) -> Iterator[Pixels]:
    """Decode a picture that is not interlaced, band by band.

    Parameters
    ----------
    header : Header
    parts : iterator of bytes
        Pieces of the zlib stream.
    memory : BandMemory
        Of :func:`memory_of`; a band is valid until it is given back.

    Yields
    ------
    (rows, W) or (rows, W, C) array of uint8 or uint16
        Consecutive rows, unscaled as in :func:`decode_samples`.

    Raises
    ------
    ReadError
        The stream is damaged or, after the last row, longer than the picture.
    """
    stream = _Stream(parts, lenient=False)
    yield from _bands(header, stream, header.width, header.height, memory)
    stream.finish()


def _bands(header: png.Header, stream: _Stream, width: int, height: int, memory: BandMemory) -> Iterator[Pixels]:
    """Decode one image of the stream: the whole picture, or a pass of an interlaced one."""
    from convfilter.picture.png_filters import undo_filters

    length = header.row_bytes(width)
    distance = max(1, header.bits_per_pixel // 8)
    above = np.zeros(length, np.uint8)  # the row above the first one, by definition of the filters
    top = 0
    while top < height:
        rows = memory.take()[: height - top]
        count = len(rows)
        data = np.frombuffer(stream.take(count * (1 + length)), np.uint8).reshape(count, 1 + length)
        good = undo_filters(data, distance, above, rows)
        if good < count:
            stream.damage(f"row {top + good} of the PNG has an unknown filter")
            rows[good:] = 0
            stream.end()
        above[:] = rows[-1]
        top += count
        yield _samples(header, rows, width)


def _samples(header: png.Header, rows: Bytes, width: int) -> Pixels:
    """Convert (rows, bytes) to (rows, W) or (rows, W, C) samples; those of fewer than 8 bits are unpacked."""
    height = rows.shape[0]
    channels = png.SAMPLES[header.colour]
    shape = (height, width, channels) if channels > 1 else (height, width)
    if header.depth == 16:
        samples = rows.view(np.uint16).reshape(shape)
        return samples.byteswap() if np.little_endian else samples
    if header.depth == 8:
        return rows.reshape(shape)
    if header.depth == 1:
        return np.unpackbits(rows, axis=1, count=width)
    shifts = np.arange(8 - header.depth, -1, -header.depth, dtype=np.uint8)
    unpacked = (rows[:, :, None] >> shifts) & np.uint8(2**header.depth - 1)
    return np.ascontiguousarray(unpacked.reshape(height, -1)[:, :width])


class _Stream:
    """A zlib stream in pieces, inflated block by block."""

    def __init__(self, parts: Iterator[memoryview], lenient: bool) -> None:
        from isal import igzip_lib

        self.note = ""
        self._lenient = lenient
        self._parts = parts
        self._inflater = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_ZLIB)
        self._ended = False

    def damage(self, what: str) -> None:
        """Refuse the picture, or record the damage."""
        if not self._lenient:
            raise ReadError(what, remedy=DECODE_THE_REST)
        self.note = self.note or what

    def end(self) -> None:
        """Read no more of the stream: ``take`` returns zeros from now on."""
        self._ended = True

    def take(self, size: int) -> bytes:
        """Inflate exactly ``size`` bytes; missing bytes are zero."""
        block = self._inflated(size)
        if len(block) < size:
            if not self._ended:
                self.damage("the pixels of the PNG end early")
            block = block.ljust(size, b"\0")
        return block

    def finish(self) -> None:
        """Check the end and the checksum of the stream, and the checksums of the chunks that follow."""
        if not self.note:
            if self._inflated(1):
                self.damage("the PNG holds more pixel data than its size needs")
            elif not self._inflater.eof:
                self.damage("the pixels of the PNG end without their checksum")
        for _ in self._parts:
            pass

    def _inflated(self, size: int) -> bytes:
        """Inflate up to ``size`` bytes; fewer at the end or at damage."""
        from isal import isal_zlib

        pieces = []
        while size > 0 and not self._ended and not self._inflater.eof:
            wants_input = self._inflater.needs_input
            part = next(self._parts, b"") if wants_input else b""
            try:
                piece = self._inflater.decompress(part, size)
            except isal_zlib.error as error:  # type: ignore[misc]
                self.damage(f"the pixels of the PNG are damaged: {str(error).lower()}")
                break
            # isal 1.7 says that it needs input while it still holds output.
            if wants_input and not part and not piece:
                break
            pieces.append(piece)
            size -= len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)
