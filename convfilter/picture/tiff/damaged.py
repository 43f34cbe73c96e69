"""Decode the readable part of a damaged TIFF page: whole strips and tiles, and the beginnings of damaged ones."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np

from convfilter.errors import DECODE_THE_REST, ReadError
from convfilter.picture import row_source
from convfilter.picture.metadata.tiff_numbers import CONTIGUOUS, JPEG, UNCOMPRESSED
from convfilter.picture.pixels import Pixels
from convfilter.picture.tiff import lzw
from convfilter.picture.tiff.layout import group_rows
from convfilter.picture.tiff.segments import LZW, SegmentCheck, first_bit_high

_PACKBITS, _DEFLATES = 32773, (8, 32946)
#: Bytes of deflated data that are inflated at a time; the block with the damage is lost.
_STEP_BYTES = 64


def remedy(page: Any) -> str:
    """Return the advice to read leniently if lenient reading may decode a part of a damaged page, else "".

    Parameters
    ----------
    page : tifffile.TiffPage
    """
    has_parts = len(page.dataoffsets) > 1 or len(page.parent.pages) > 1
    return DECODE_THE_REST if has_parts or int(page.compression) in (*_CODECS, JPEG) else ""


@contextmanager
def decoding(page: Any) -> Iterator[None]:
    """Convert exceptions about strips and tiles to ReadErrors with the advice of :func:`remedy`.

    Parameters
    ----------
    page : tifffile.TiffPage
    """
    try:
        with row_source.decoding("TIFF"):
            yield
    except ReadError as error:
        if not isinstance(error.__cause__, MemoryError):
            error.remedy = error.remedy or remedy(page)
        raise


def readable_segments(page: Any, notes: list[str]) -> Pixels:
    """Decode the readable strips or tiles of a page, and the beginnings of damaged ones; other samples are zero.

    Parameters
    ----------
    page : tifffile.TiffPage
    notes : list of str
        A line is added if some are damaged.

    Raises
    ------
    ReadError
        Nothing can be decoded, and the file has no other page.
    """
    out = np.zeros(page.shaped, page.dtype)
    file, count, check = page.parent.filehandle, len(page.dataoffsets), SegmentCheck(page)
    damaged = lost = 0
    for index, (offset, length) in enumerate(zip(page.dataoffsets, page.databytecounts, strict=False)):
        file.seek(offset)
        data = file.read(length)
        try:
            try:
                if check.is_needed:
                    check.require_sound(data)
                _decode(page, index, data, out)
            except Exception:
                _decode(page, index, _completed(page, index, data), out)
                damaged += 1
        except Exception:  # any exception of a decoder about a damaged piece
            lost += 1
    if lost == count and len(page.parent.pages) == 1:
        raise ReadError("the TIFF is damaged: none of its strips or tiles can be decoded")
    if damaged or lost:
        notes.append(f"{damaged + lost} of the {count} strips or tiles of the TIFF cannot be decoded completely")
    return out


def _decode(page: Any, index: int, data: bytes, out: Pixels) -> None:
    """Decode a strip or tile to its place in the page."""
    _, depth, height, width, _ = page.shaped
    tables = {"jpegtables": page.jpegtables, "jpegheader": page.jpegheader}
    segment, (plane, z, row, col, _), shape = page.decode(data, index, **tables)
    piece = segment[: depth - z, : height - row, : width - col]
    out[plane, z : z + shape[0], row : row + shape[1], col : col + shape[2]] = piece


def _completed(page: Any, index: int, data: bytes) -> bytes:
    """Return the encoded strip or tile with zeros for the samples after the damage.

    Raises
    ------
    Exception
        Any exception of a decoder, if no sample can be decoded.
    """
    decode, encode = _CODECS[int(page.compression)]
    rows, height = group_rows(page), int(page.imagelength)
    if not page.is_tiled:
        rows = min(rows, height - index % math.ceil(height / rows) * rows)
    width = page.tilewidth if page.is_tiled else page.imagewidth
    channels = page.samplesperpixel if int(page.planarconfig) == CONTIGUOUS else 1
    size = rows * math.ceil(width * channels * page.bitspersample / 8)
    samples = decode(first_bit_high(page, data), size)[:size]
    if not samples:
        raise ReadError("the strip or tile holds no samples")
    return first_bit_high(page, encode(samples.ljust(size, b"\0")))


def _inflated(data: bytes, size: int) -> bytes:
    """Inflate the data before the damage, to ``size`` bytes at most: more need not fit into memory."""
    stream, samples = zlib.decompressobj(), bytearray()
    with suppress(zlib.error):
        for at in range(0, len(data), _STEP_BYTES):
            if len(samples) >= size:
                break
            samples += stream.decompress(data[at : at + _STEP_BYTES], size - len(samples))
    return bytes(samples)


def _by_name(name: str) -> Callable[..., bytes]:
    """Return a function of imagecodecs by name; imagecodecs is imported when the function is called."""

    def call(data: bytes, **options: int) -> bytes:
        import imagecodecs

        return bytes(getattr(imagecodecs, name)(data, **options))

    return call


def _until_bad_code(data: bytes, size: int) -> bytes:
    """Decode ``size`` bytes of LZW, or up to the first code that is not in the table.

    The place of that code is found by bisection: the decoder returns all or nothing.

    Raises
    ------
    Exception
        Any exception of the decoder: the first code is bad.
    """
    decode = _by_name("lzw_decode")
    whole, damaged = 0, len(data) + 1
    while damaged - whole > 1:
        middle = (whole + damaged) // 2
        try:
            lzw.require_sound(data[:middle])
            decode(data[:middle], out=size)
            whole = middle
        except Exception:  # imagecodecs defines its own type for each codec
            damaged = middle
    return decode(data[:whole], out=size)


def _unpacked(data: bytes, size: int) -> bytes:
    """Decode PackBits to ``size`` bytes or a run more, without a truncated run at the end."""
    at = unpacked = 0
    while at < len(data) and unpacked < size:
        code = data[at]
        following = at + (2 if code > 128 else 1 if code == 128 else 2 + code)
        if following > len(data):
            break
        at, unpacked = following, unpacked + (257 - code if code > 128 else 0 if code == 128 else 1 + code)
    return _by_name("packbits_decode")(data[:at])


def _copied(data: bytes, _size: int) -> bytes:
    return data


#: Decoder, which stops at the damage and at a number of bytes, and encoder of each compression whose beginning can be
#: decoded.
_CODECS: dict[int, tuple[Callable[[bytes, int], bytes], Callable[[bytes], bytes]]] = {
    UNCOMPRESSED: (_copied, bytes),
    LZW: (_until_bad_code, _by_name("lzw_encode")),
    _PACKBITS: (_unpacked, _by_name("packbits_encode")),
    **dict.fromkeys(_DEFLATES, (_inflated, zlib.compress)),
}
