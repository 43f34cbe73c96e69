"""PNG writer: threads filter and deflate strips of rows, which are joined into one zlib stream.

ISA-L deflates each strip separately, and ends it with a sync flush, so the strips form one valid stream. The Adler-32
of the stream is combined from those of the strips. The strips depend only on the picture, so any number of threads
writes the same bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

import numpy as np

from convfilter.picture.band_memory import BandMemory
from convfilter.picture.frame import Frame, changed_area
from convfilter.picture.metadata.metadata import Metadata
from convfilter.picture.options import WriteOptions
from convfilter.picture.outline import Outline
from convfilter.picture.parallel import ahead, in_order
from convfilter.picture.picture import Picture
from convfilter.picture.pixels import Pixels
from convfilter.picture.png import layout as png
from convfilter.picture.png.metadata_chunks import metadata_chunks
from convfilter.picture.row_writer import Block, RowWriter

#: Bytes of a strip: large enough that its own Huffman tables and its empty window cost less than 1 %.
STRIP_BYTES = 1 << 19
_ADLER_BASE = 65521
_ZLIB_HEAD = b"\x78\x01"
#: For each effort, one or several arguments (group, most) of ``png_filters.apply_filters``. One filter for four rows
#: takes 1 ns a sample less than one for each row, and the files are as small. Up alone ("fast") makes photos 5 %
#: larger, text 15 %, and blurred pictures no larger. Paeth takes as long as the other filters together; it makes photos
#: and 16-bit pictures 0 to 4 % smaller, blurred ones 0 to 6 % larger. So "best" tries the filters with and without
#: Paeth, and no filter at all, which suits text.
_FILTERS = {"fast": ((0, 2),), "default": ((4, 3),), "best": ((1, 3), (1, 4), (0, 0))}
_COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}
_MAX_PIECE = 2**30
#: From level 10 on, libdeflate searches for the optimal parse: photos are 9 % smaller than with level 9. Level 12 is
#: slower, and its files are hardly smaller.
_BEST_LEVEL = 10

Bytes = np.ndarray[tuple[Any, ...], np.dtype[np.uint8]]
#: Longest delay, which is a fraction of two 16-bit numbers.
MOST_SECONDS = 65535


def write_picture(file: BinaryIO, picture: Picture, options: WriteOptions) -> None:
    """Write a picture as a PNG; a ``Writer``."""
    write_png(file, picture.frames, picture.metadata, compression=options.effort, threads=options.threads)


def streaming_obstacle(stored: Outline, options: WriteOptions) -> str:
    """Return why the picture cannot be encoded row by row; "" if it can."""
    return "compression 'best' deflates all samples at once" if options.effort == "best" else ""


def row_writer(
    file: BinaryIO, stored: Outline, options: WriteOptions, dtype: np.dtype[np.generic], **keywords: Any
) -> PngWriter:
    """Return a row writer; see ``write.row_writer``."""
    keywords |= {"incoming": dtype, "compression": options.effort}
    return PngWriter(file, stored.shape, np.dtype(stored.dtype), stored.metadata, **keywords)


def write_png(
    file: BinaryIO, frames: list[Frame], metadata: Metadata, *, compression: str = "default", threads: int | None = None
) -> None:
    """Write a PNG, or an APNG of several frames.

    Parameters
    ----------
    file : BinaryIO
        Written from its position; need not be seekable.
    frames : list of Frame
        Pixels of uint8 or uint16, 1 to 4 channels, all of one size.
    metadata : Metadata
    compression : "fast", "default" or "best"
    threads : int, optional
        None: one for each core. The bytes do not depend on it.

    Raises
    ------
    OSError
        The file cannot be written.
    """
    first = frames[0].pixels
    if len(frames) == 1 and compression != "best":
        with PngWriter(file, first.shape, first.dtype, metadata, compression=compression, threads=threads) as writer:
            writer.write_all(first)
            writer.finish()
        return
    _write_head(file, first.shape, first.dtype, metadata)
    _write_frames(file, frames, metadata, compression, threads)
    _write_chunk(file, b"IEND")


class PngWriter(RowWriter):
    """Writes the rows of a still PNG, deflated strip by strip.

    Parameters
    ----------
    file : BinaryIO
    shape : (H, W) or (H, W, C)
    dtype : uint8 or uint16
    metadata : Metadata
    compression : "fast" or "default"
    incoming : dtype, optional
        Type of the rows before ``prepare``; by default ``dtype``.
    keywords
        As for ``RowWriter``.
    """

    rows_above = 1

    def __init__(
        self,
        file: BinaryIO,
        shape: tuple[int, ...],
        dtype: np.dtype[np.generic],
        metadata: Metadata,
        *,
        compression: str = "default",
        incoming: np.dtype[np.generic] | None = None,
        **keywords: Any,
    ) -> None:
        height, width, channels = (*shape, 1)[:3]
        super().__init__(file, (height, width, channels), incoming or dtype, **keywords)
        self._metadata, self._stored = metadata, dtype
        self._strips = _Strips(self.shape, dtype.itemsize, _FILTERS[compression])
        self.block_rows = self._strips.rows

    def begin(self) -> None:
        """Write the signature and the chunks before the samples."""
        self._adler = 1
        _write_head(self.file, self.shape, self._stored, self._metadata)

    def encode(self, block: Block) -> tuple[list[bytes], int, int]:
        """Filter and deflate a strip."""
        return self._strips.deflated(block)

    def emit(self, piece: tuple[list[bytes], int, int]) -> None:
        """Write a strip as a chunk."""
        parts, adler, size = piece
        self._adler = adler32_combine(self._adler, adler, size)
        _write_chunk(self.file, b"IDAT", *parts)

    def end(self) -> None:
        """Write the checksum of all samples, and the last chunk."""
        _write_chunk(self.file, b"IDAT", struct.pack(">I", self._adler))
        _write_chunk(self.file, b"IEND")


def _write_head(file: BinaryIO, shape: tuple[int, ...], dtype: np.dtype[np.generic], metadata: Metadata) -> None:
    """Write the signature and all chunks before the samples."""
    height, width, channels = (*shape, 1)[:3]
    header = png.Header(width, height, dtype.itemsize * 8, _COLOUR_TYPES[channels], False)
    file.write(png.SIGNATURE)
    _write_chunk(file, b"IHDR", header.packed())
    for kind, data in metadata_chunks(metadata, header):
        _write_chunk(file, kind, data)


def _write_frames(
    file: BinaryIO, frames: list[Frame], metadata: Metadata, compression: str, threads: int | None
) -> None:
    """Write the pixels; each frame of an animation stores only the area that differs from the frame before."""
    shown = [frame for frame in frames if not frame.fallback]
    sequence = 0
    if len(frames) > 1:
        _write_chunk(file, b"acTL", struct.pack(">II", len(shown), metadata.loop or 0))
    for index, frame in enumerate(frames):
        pixels = frame.pixels
        area = (0, 0, *pixels.shape[:2])
        if index and not frames[index - 1].fallback:
            area = changed_area(frames[index - 1].pixels, pixels)
            pixels = np.ascontiguousarray(pixels[area[0] : area[2], area[1] : area[3]])
        if len(frames) > 1 and not frame.fallback:
            _write_chunk(file, b"fcTL", _frame_control(sequence, area, frame))
            sequence += 1
        for data in _zlib_stream(pixels, compression, threads):
            if index == 0:
                _write_chunk(file, b"IDAT", data)
            else:
                _write_chunk(file, b"fdAT", struct.pack(">I", sequence), data)
                sequence += 1


def _write_chunk(file: BinaryIO, kind: bytes, *parts: bytes) -> None:
    from isal import isal_zlib

    crc = isal_zlib.crc32(kind)
    for part in parts:
        crc = isal_zlib.crc32(part, crc)
    file.write(struct.pack(">I", sum(map(len, parts))) + kind)
    for part in parts:
        file.write(part)
    file.write(struct.pack(">I", crc))


def _frame_control(sequence: int, area: tuple[int, int, int, int], frame: Frame) -> bytes:
    """Return an fcTL whose frame overwrites its area and is not disposed of."""
    top, left, bottom, right = area
    numerator, denominator = stored_delay(frame.delay or (1, 10))
    return struct.pack(">IIIIIHHBB", sequence, right - left, bottom - top, left, top, numerator, denominator, 0, 0)


def stored_delay(delay: tuple[int, int]) -> tuple[int, int]:
    """Return the fraction of two 16-bit numbers that is nearest to a delay."""
    if max(delay) <= MOST_SECONDS:
        return delay
    from fractions import Fraction

    seconds = Fraction(*delay)
    if seconds >= MOST_SECONDS:
        return MOST_SECONDS, 1
    nearest = seconds.limit_denominator(MOST_SECONDS)
    if nearest.numerator > MOST_SECONDS:
        nearest = seconds.limit_denominator(int(MOST_SECONDS / seconds))
    return nearest.numerator, nearest.denominator


class _Strips:
    """Strips of one picture, each filtered and deflated separately.

    Parameters
    ----------
    shape : (rows, cols, channels)
    itemsize : int
        Bytes of a sample.
    choices : sequence of (group, most)
        Arguments of ``png_filters.apply_filters``; of several, those whose result deflates best are used.
    """

    def __init__(self, shape: tuple[int, int, int], itemsize: int, choices: Sequence[tuple[int, int]]) -> None:
        self._height, self._distance, self._choices = shape[0], shape[2] * itemsize, choices
        line = 1 + shape[1] * self._distance
        self.rows = max(1, STRIP_BYTES // line)
        self._memory = BandMemory((min(self.rows, self._height) * line,), np.dtype(np.uint8))

    def blocks(self, pixels: Pixels) -> list[Block]:
        """Split an (H, W) or (H, W, C) picture into strips, each with the row above it."""
        pixels = pixels.reshape(*pixels.shape[:2], -1)
        tops = range(0, self._height, self.rows)
        return [Block(top, pixels[max(top - 1, 0) : top + self.rows], min(top, 1)) for top in tops]

    def filtered(self, block: Block) -> Bytes:
        """Filter the rows of a strip; return their bytes, each row after its filter byte."""
        strips = [_filtered(block, self._distance, *choice, self._memory.take()) for choice in self._choices]
        return strips[0] if len(strips) == 1 else min(strips, key=_quick_size)

    def deflated(self, block: Block) -> tuple[list[bytes], int, int]:
        """Return a piece of the zlib stream, in parts, and the Adler-32 and the size of its content."""
        from isal import isal_zlib

        data = self.filtered(block)
        # ISA-L's level 0 is no faster than 1, and its files are a fifth larger; 2 and 3 are slower and no smaller.
        stream = isal_zlib.compressobj(1, isal_zlib.DEFLATED, -15)
        is_last = block.top + self.rows >= self._height
        end = isal_zlib.Z_FINISH if is_last else isal_zlib.Z_SYNC_FLUSH
        head = b"" if block.top else _ZLIB_HEAD
        parts = [head, stream.compress(data), stream.flush(end)]
        adler, size = isal_zlib.adler32(data), data.size
        self._memory.give_back(data)
        return parts, adler, size


def _zlib_stream(pixels: Pixels, compression: str, threads: int | None) -> Iterator[bytes]:
    """Yield a frame as pieces of one zlib stream."""
    height, width, channels = (*pixels.shape, 1)[:3]
    strips = _Strips((height, width, channels), pixels.itemsize, _FILTERS[compression])
    blocks = strips.blocks(pixels)
    if compression == "best":
        # In another thread, so that Ctrl-C works during seconds of compression.
        yield from ahead(_best(in_order(strips.filtered, blocks, threads)))
        return
    total = 1
    for parts, adler, size in in_order(strips.deflated, blocks, threads):
        total = adler32_combine(total, adler, size)
        yield b"".join(parts)
    yield struct.pack(">I", total)


def _best(strips: Iterator[Bytes]) -> Iterator[bytes]:
    """Compress all strips at once by libdeflate, whose streams cannot be joined."""
    import imagecodecs

    data = bytes(imagecodecs.deflate_encode(b"".join(strip.tobytes() for strip in strips), level=_BEST_LEVEL))
    yield from (data[at : at + _MAX_PIECE] for at in range(0, len(data), _MAX_PIECE))


def _quick_size(strip: Bytes) -> int:
    """Estimate the deflated size of a strip: filters that are best at this level are mostly best at others."""
    from isal import isal_zlib

    return len(isal_zlib.compress(strip, 1))


def _filtered(block: Block, distance: int, group: int, most: int, memory: Bytes) -> Bytes:
    """Filter the rows of a strip; return their bytes, each row after its filter byte, in ``memory``."""
    from convfilter.picture.png_filters import apply_filters

    rows = np.ascontiguousarray(block.rows).reshape(len(block.rows), -1)
    if rows.dtype != np.uint8:
        rows = rows.astype(">u2").view(np.uint8)
    if not block.above:
        rows = np.concatenate([np.zeros_like(rows[:1]), rows])
    count, line = len(rows) - 1, 1 + rows.shape[1]
    data = memory[: count * line]
    apply_filters(rows, distance, group, most, data.reshape(count, line))
    return data


def adler32_combine(first: int, second: int, second_bytes: int) -> int:
    """Return the Adler-32 of two joined pieces of data, from the Adler-32 of each and the length of the second.

    Source: RFC 1950, section 8; the sums of the second piece start from those of the first.
    """
    low = (first & 0xFFFF) + (second & 0xFFFF) - 1
    high = (first >> 16) + (second >> 16) + second_bytes * ((first & 0xFFFF) - 1)
    return (high % _ADLER_BASE) << 16 | (low % _ADLER_BASE)
