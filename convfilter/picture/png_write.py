"""PNG writer: rows filtered, strips deflated by ISA-L on all cores, one zlib stream.

Each strip of rows is filtered and deflated by itself (its last block ends with a
sync flush, so the strips join into one valid stream), and the Adler-32 of the
whole is combined from those of the strips. Where the strips end depends on the
picture alone, so any number of threads writes the same bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from convfilter.picture import png
from convfilter.picture.parallel import ahead, in_order
from convfilter.picture.picture import Frame, Metadata, Pixels, Text, changed_area, channels_of

#: Samples of a strip: long enough that its own Huffman tables and its empty window cost less than 1 %.
_STRIP_BYTES = 1 << 19
_ADLER_BASE = 65521
#: So many rows share a filter, and the last filter to choose from. Trying the filters on every fourth row costs 1 ns a
#: sample less than on each, and the files are as small; Up alone ("fast") is 5 % larger for photos, 15 % for text, no
#: larger for blurred pictures. Paeth takes as long as the others together; it makes photos and 16-bit pictures 0 to 4 %
#: smaller, blurred ones 0 to 6 % larger: "best" tries both choices, and no filter at all, which suits text.
_FILTERS = {"fast": ((0, 2),), "default": ((4, 3),), "best": ((1, 3), (1, 4), (0, 0))}
_COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}
_MAX_CHUNK = 2**31 - 1
_MAX_PIECE = 2**30
#: From 10 on libdeflate weighs all ways to compress: 9 % smaller photos than level 9; 12 is slower and hardly smaller.
_BEST_LEVEL = 10

Bytes = npt.NDArray[np.uint8]


def write_png(
    file: BinaryIO, frames: list[Frame], metadata: Metadata, *, compression: str = "default", threads: int | None = None
) -> None:
    """Write a PNG, or an APNG if there is more than one frame.

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
    """
    first = frames[0].pixels
    height, width = first.shape[:2]
    header = png.Header(width, height, first.itemsize * 8, _COLOUR_TYPES[channels_of(first)], False)
    file.write(png.SIGNATURE)
    _write_chunk(file, b"IHDR", header.packed())
    for kind, data in _metadata_chunks(metadata, header):
        _write_chunk(file, kind, data)
    _write_frames(file, frames, metadata, compression, threads)
    _write_chunk(file, b"IEND")


def _write_frames(
    file: BinaryIO, frames: list[Frame], metadata: Metadata, compression: str, threads: int | None
) -> None:
    """Write the pixels; of the frames of an animation what differs from the one before."""
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
    """Say that the frame replaces what was in its area, and stays."""
    top, left, bottom, right = area
    numerator, denominator = frame.delay or (1, 10)
    return struct.pack(">IIIIIHHBB", sequence, right - left, bottom - top, left, top, numerator, denominator, 0, 0)


def _zlib_stream(pixels: Pixels, compression: str, threads: int | None) -> Iterator[bytes]:
    """Compress the picture; what comes out, joined, is one zlib stream."""
    height, row_bytes = pixels.shape[0], pixels[0].nbytes
    rows = max(1, _STRIP_BYTES // (1 + row_bytes))
    choices = _FILTERS[compression]

    def filtered(start: int) -> Bytes:
        strips = [_filtered(pixels, start, min(start + rows, height), *choice) for choice in choices]
        return strips[0] if len(strips) == 1 else min(strips, key=_quick_size)

    starts = range(0, height, rows)
    if compression == "best":
        # In another thread, so that Ctrl-C is heard: it may take seconds.
        return ahead(_best(in_order(filtered, starts, threads)))
    return _joined(filtered, starts, threads)


def _joined(filtered: Callable[[int], Bytes], starts: range, threads: int | None) -> Iterator[bytes]:
    """Deflate strips by themselves, several at a time."""
    from isal import isal_zlib

    def strip(start: int) -> tuple[bytes, int, int]:
        data = filtered(start)
        # Level 0 is no faster, and its files are a fifth larger; 2 and 3 are slower and no smaller.
        stream = isal_zlib.compressobj(1, isal_zlib.DEFLATED, -15)
        end = isal_zlib.Z_FINISH if start == starts[-1] else isal_zlib.Z_SYNC_FLUSH
        return stream.compress(data) + stream.flush(end), isal_zlib.adler32(data), data.size

    adler = 1
    head = b"\x78\x01"
    for data, part, size in in_order(strip, starts, threads):
        adler = adler32_combine(adler, part, size)
        yield head + data
        head = b""
    yield struct.pack(">I", adler)


def _best(strips: Iterator[Bytes]) -> Iterator[bytes]:
    """Compress as a whole by libdeflate, which looks for the best way; strips of its kind do not join."""
    import imagecodecs

    data = bytes(imagecodecs.deflate_encode(b"".join(strip.tobytes() for strip in strips), level=_BEST_LEVEL))
    yield from (data[at : at + _MAX_PIECE] for at in range(0, len(data), _MAX_PIECE))


def _quick_size(strip: Bytes) -> int:
    """Return about how many bytes a strip takes when it is deflated; what is best at this level mostly is at others."""
    from isal import isal_zlib

    return len(isal_zlib.compress(strip, 1))


def _filtered(pixels: Pixels, start: int, stop: int, group: int, most: int) -> Bytes:
    """Filter rows ``start`` to ``stop``, each behind its filter byte."""
    from convfilter.engine.png_filters import apply_filters

    rows = pixels[max(start - 1, 0) : stop].reshape(stop - max(start - 1, 0), -1)
    if rows.dtype != np.uint8:
        rows = rows.astype(">u2").view(np.uint8)
    if start == 0:
        rows = np.concatenate([np.zeros_like(rows[:1]), rows])
    out = np.empty((stop - start, 1 + rows.shape[1]), np.uint8)
    apply_filters(rows, pixels[0, :1].nbytes, group, most, out)
    return out.reshape(-1)


def adler32_combine(first: int, second: int, second_bytes: int) -> int:
    """Return the Adler-32 of two pieces of data joined, from the Adler-32 of each and the length of the second.

    Source: RFC 1950, section 8; the sums of the second piece start from those of the first.
    """
    low = (first & 0xFFFF) + (second & 0xFFFF) - 1
    high = (first >> 16) + (second >> 16) + second_bytes * ((first & 0xFFFF) - 1)
    return (high % _ADLER_BASE) << 16 | (low % _ADLER_BASE)


def _metadata_chunks(metadata: Metadata, header: png.Header) -> Iterator[tuple[bytes, bytes]]:
    """List the chunks between IHDR and the pixels, in the order that the specification wants."""
    import zlib

    kept = [(kind, data) for kind, data in metadata.png if not (kind == b"sRGB" and metadata.icc)]
    yield from ((kind, data) for kind, data in kept if kind in png.COLOUR_CHUNKS)
    if metadata.icc:
        yield b"iCCP", b"icc\0\0" + zlib.compress(metadata.icc, 9)
    if metadata.resolution:
        x, y = (min(max(round(dots * png.INCHES_PER_METRE), 0), _MAX_CHUNK) for dots in metadata.resolution)
        yield b"pHYs", struct.pack(">IIB", x, y, 1)
    yield from (
        (kind, _background(data, header) if kind == b"bKGD" else data)
        for kind, data in kept
        if kind not in png.COLOUR_CHUNKS
    )
    if metadata.exif:
        from convfilter.picture import exif

        yield b"eXIf", exif.with_size(metadata.exif, header.width, header.height) or b""
    if metadata.xmp:
        yield b"iTXt", png.XMP_KEYWORD.encode() + b"\0\0\0\0\0" + metadata.xmp
    yield from (_text_chunk(text) for text in metadata.text)


def _background(colour: bytes, header: png.Header) -> bytes:
    """Write a colour, which is RGB of 16 bits, at the depth of the picture; a grey one has one value."""
    values = struct.unpack(">3H", colour)
    values = values if header.colour in (2, 6) else values[1:2]
    scaled = values if header.depth == 16 else tuple(round(value / 257) for value in values)
    return struct.pack(f">{len(scaled)}H", *scaled)


def _text_chunk(text: Text) -> tuple[bytes, bytes]:
    """Write a remark as tEXt where Latin-1 holds it, else as iTXt."""
    keyword = text.keyword.encode("latin-1", "replace")[:79].strip() or b"Comment"
    if not text.language and not text.translated:
        try:
            value = text.value.encode("latin-1")
        except UnicodeEncodeError:
            pass
        else:
            if len(value) < 1024:
                return b"tEXt", keyword + b"\0" + value
            import zlib

            return b"zTXt", keyword + b"\0\0" + zlib.compress(value, 9)
    language = text.language.encode("ascii", "replace")
    fields = b"\0\0\0" + language + b"\0" + text.translated.encode() + b"\0"
    return b"iTXt", keyword + fields + text.value.encode()
