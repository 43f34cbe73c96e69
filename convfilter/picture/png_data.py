"""The pixels of a PNG: inflated by ISA-L in one thread, row filters undone by machine code in another."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from convfilter.errors import ReadError
from convfilter.picture import png
from convfilter.picture.parallel import ahead
from convfilter.picture.picture import Pixels

Bytes = npt.NDArray[np.uint8]

#: Rows are inflated in blocks of about this size: they stay in the cache until their filters are undone.
_BLOCK_BYTES = 1 << 18
#: Below this a second thread costs more than it brings.
_OVERLAP_BYTES = 1 << 21


def decode_samples(
    header: png.Header,
    parts: list[bytes],
    *,
    lenient: bool,
    threads: int | None = None,
    inflated: list[bytes] | None = None,
) -> tuple[Pixels, str]:
    """Decode the data of one image.

    Parameters
    ----------
    header : Header
    parts : list of bytes
        The pieces of its zlib stream; emptied on the way.
    lenient : bool
        Take what can be decoded of a damaged stream; the rest is zero.
    threads : int, optional
        1: inflate and undo filters by turns.
    inflated : list of bytes, optional
        What the whole stream contains, in pieces, if it is known already.

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
    stream: _Stream | _Inflated = _Inflated(inflated) if inflated is not None else _Stream(parts, lenient, threads != 1)
    parts.clear()
    images = [_decoded_pass(header, stream, width, height) for *_, width, height in header.passes()]
    stream.finish()
    if not header.interlaced:
        return images[0], stream.note
    first = images[0]
    samples = np.empty((header.height, header.width, *first.shape[2:]), first.dtype)
    for (x, y, dx, dy, *_), image in zip(header.passes(), images, strict=True):
        samples[y::dy, x::dx] = image
    return samples, stream.note


def _decoded_pass(header: png.Header, stream: _Stream | _Inflated, width: int, height: int) -> Pixels:
    """Decode one image of the stream: the whole picture, or a pass of an interlaced one."""
    from convfilter.engine.png_filters import undo_filters

    length = header.row_bytes(width)
    distance = max(1, header.bits_per_pixel // 8)
    # The row above the first one, which the filters take as zeros, lies in front of the samples.
    rows = np.empty((1 + height, length), np.uint8)
    rows[0] = 0
    step = max(1, _BLOCK_BYTES // (1 + length))
    sizes = [(1 + length) * (min(start + step, height) - start) for start in range(0, height, step)]
    blocks: Iterator[bytes | memoryview] = stream.blocks(sizes)
    if height * length > _OVERLAP_BYTES and stream.can_run_ahead:
        blocks = ahead(blocks)
    done = 0
    for block in blocks:
        data = np.frombuffer(block, np.uint8).reshape(-1, 1 + length)
        good = undo_filters(data, distance, rows[done : done + 1 + len(data)])
        if good < len(data):
            stream.damage(f"row {done + good} of the PNG has an unknown filter")
            rows[1 + done + good :] = 0
            break
        done += len(data)
    return _samples(header, rows[1:], width)


def _samples(header: png.Header, rows: Bytes, width: int) -> Pixels:
    """Take the rows as samples; fewer than 8 bits are unpacked."""
    height = rows.shape[0]
    channels = png.SAMPLES[header.colour]
    shape = (height, width, channels) if channels > 1 else (height, width)
    if header.depth == 16:
        samples = rows.view(np.uint16).reshape(shape)
        return samples.byteswap(inplace=True) if np.little_endian else samples
    if header.depth == 8:
        return rows.reshape(shape)
    if header.depth == 1:
        return np.unpackbits(rows, axis=1, count=width)
    shifts = np.arange(8 - header.depth, -1, -header.depth, dtype=np.uint8)
    unpacked = (rows[:, :, None] >> shifts) & np.uint8(2**header.depth - 1)
    return np.ascontiguousarray(unpacked.reshape(height, -1)[:, :width])


class _Inflated:
    """A stream that has been inflated as a whole, and was in order."""

    note = ""
    can_run_ahead = False

    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = [memoryview(piece) for piece in reversed(pieces)]

    def damage(self, what: str) -> None:
        """Refuse the picture: only without --lenient is anything inflated in advance."""
        raise ReadError(f"{what}; --lenient decodes what is left")

    def blocks(self, sizes: list[int]) -> Iterator[memoryview]:
        """Yield blocks of these sizes, which are copied only where a piece ends."""
        for size in sizes:
            block = self._take(size)
            while len(block) < size:
                block = memoryview(b"".join([block, self._take(size - len(block))]))
            yield block

    def finish(self) -> None:
        """Nothing is left: that has been seen to."""

    def _take(self, size: int) -> memoryview:
        piece = self._pieces.pop()
        if len(piece) > size:
            self._pieces.append(piece[size:])
        return piece[:size]


class _Stream:
    """A zlib stream in pieces, inflated block by block."""

    def __init__(self, parts: list[bytes], lenient: bool, can_run_ahead: bool) -> None:
        from isal import igzip_lib

        self.note = ""
        self.can_run_ahead = can_run_ahead
        self._lenient = lenient
        self._input = b"".join(parts)
        self._inflater = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_ZLIB)

    def damage(self, what: str) -> None:
        """Refuse the picture, or note what is wrong."""
        if not self._lenient:
            raise ReadError(f"{what}; --lenient decodes what is left")
        self.note = self.note or what

    def blocks(self, sizes: list[int]) -> Iterator[bytes]:
        """Yield blocks of exactly these sizes; zeros stand for what is missing."""
        for size in sizes:
            block = self._take(size)
            if len(block) < size:
                self.damage("the pixels of the PNG end early")
                block = block.ljust(size, b"\0")
            yield block

    def finish(self) -> None:
        """Check that the stream ends here, which includes its checksum."""
        if self.note:
            return
        if self._take(1):
            self.damage("the PNG holds more pixel data than its size needs")
        elif not self._inflater.eof:
            self.damage("the pixels of the PNG end without their checksum")

    def _take(self, size: int) -> bytes:
        """Inflate up to ``size`` bytes; fewer at the end, and where the stream is damaged."""
        from isal import isal_zlib

        pieces = []
        while size > 0 and not self._inflater.eof and not (self._inflater.needs_input and not self._input):
            try:
                piece = self._inflater.decompress(self._input, size)
            except isal_zlib.error as error:  # type: ignore[misc]
                self.damage(f"the pixels of the PNG are damaged: {str(error).lower()}")
                break
            self._input = b""
            pieces.append(piece)
            size -= len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)
