"""Check strips and tiles of a TIFF before decoding: some decoders crash on damaged data, others trust a false size.

A strip or tile that is itself a picture file (JPEG, PNG, WebP and the like) has a size field, and its decoder allocates
memory for that size.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

from convfilter.errors import ReadError
from convfilter.picture.jpeg.layout import layout_of
from convfilter.picture.pillow import webp
from convfilter.picture.tiff import lzw

LZW, _LERC = 5, 34887
_JPEG = (6, 7, 99, 33007)
_JPEG2000 = (33003, 33004, 33005, 34712)
_WEBP, _PNG, _JPEG_XL = (34927, 50001), (34933,), (50002,)
#: None, CCITT, LZW, JPEG, Deflate, PackBits, JPEG 2000, LERC, LZMA, Zstandard, WebP, PNG, JPEG XL. Excluded on purpose:
#: JPEG XR, whose decoder crashes on damaged data, and compressions that no other program reads.
READABLE = frozenset(
    (1, 2, 3, 4, LZW, 8, 32946, 32773, _LERC, 34925, 34926, 50000, *_JPEG, *_JPEG2000, *_WEBP, *_PNG, *_JPEG_XL)
)
_LERC_PARAMETERS = 50674
_PLAIN, _DEFLATED, _ZSTANDARD = range(3)
#: Largest area of a decoded picture, as a multiple of its strip or tile, plus spare pixels.
_MOST_GROWTH, _SPARE_PIXELS = 2, 1 << 16
_CODESTREAM = b"\xff\x4f\xff\x51"
#: FillOrder of bytes whose first bit is the lowest. The compressions that tifffile decodes without regard to it.
_FILL_FROM_LOW = 2
_FILLED_FROM_HIGH = (*_JPEG, *_JPEG2000, 50001, *_PNG, *_JPEG_XL)


class SegmentCheck:
    """Checks the strips or tiles of one page, before they are decoded.

    Parameters
    ----------
    page : tifffile.TiffPage
    """

    def __init__(self, page: Any) -> None:
        self._page, self._compression = page, int(page.compression)
        width, height = (page.tilewidth, page.tilelength) if page.is_tiled else (page.imagewidth, page.rowsperstrip)
        pixels = int(width) * min(int(height), max(int(page.imagelength), int(page.tilelength or 0)))
        self._most = _MOST_GROWTH * pixels + _SPARE_PIXELS
        self._bytes = self._most * int(page.samplesperpixel) * 8
        parameters = page.tags.valueof(_LERC_PARAMETERS) or (0, 0)
        self._wrapping = parameters[1] if len(parameters) > 1 else _PLAIN

    @property
    def is_needed(self) -> bool:
        """Whether the decoder is unsafe on unchecked data."""
        return self._compression in (LZW, _LERC) or self._compression in _SIZES

    def require_sound(self, data: bytes) -> None:
        """Refuse data that would crash the decoder or exceed the expected size.

        Parameters
        ----------
        data : bytes
            A strip or tile, as stored.

        Raises
        ------
        ReadError
            The data are damaged, or hold a picture larger than the strip or tile.
        """
        data = first_bit_high(self._page, data)
        if self._compression == LZW:
            lzw.require_sound(data)
            return
        size = _lerc_size(self._unwrapped(data)) if self._compression == _LERC else _SIZES[self._compression](data)
        if size is not None and size[0] * size[1] > self._most:
            raise ReadError(
                f"the TIFF is damaged: a strip or tile of at most {self._most} pixels holds a picture of "
                f"{size[0]}x{size[1]}"
            )

    def _unwrapped(self, data: bytes) -> bytes:
        """Return the beginning of LERC data, which may be compressed again."""
        if self._wrapping == _DEFLATED:
            import zlib

            return zlib.decompressobj().decompress(data, 64)
        if self._wrapping == _ZSTANDARD:
            import imagecodecs

            return bytes(imagecodecs.zstd_decode(data, out=self._bytes))[:64]
        return data


def first_bit_high(page: Any, data: bytes) -> bytes:
    """Return a strip or tile of a page with the usual order of bits; the function is its own inverse.

    Parameters
    ----------
    page : tifffile.TiffPage
    data : bytes

    Returns
    -------
    bytes
    """
    if int(page.fillorder) != _FILL_FROM_LOW or int(page.compression) in _FILLED_FROM_HIGH:
        return data
    import imagecodecs

    return bytes(imagecodecs.bitorder_decode(data))


def require_sound_segments(page: Any) -> None:
    """Check all strips or tiles of a page, a ``tifffile.TiffPage``.

    Raises
    ------
    ReadError
        As for :meth:`SegmentCheck.require_sound`.
    """
    check = SegmentCheck(page)
    if not check.is_needed:
        return
    file = page.parent.filehandle
    for offset, count in zip(page.dataoffsets, page.databytecounts, strict=False):
        if count:
            file.seek(offset)
            check.require_sound(file.read(count))


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    layout = layout_of(data)
    return (layout.width, layout.height) if layout else None


def _jpeg2000_size(data: bytes) -> tuple[int, int] | None:
    at = data.find(_CODESTREAM)
    if at < 0 or len(data) < at + 24:
        return None
    right, bottom, left, top = struct.unpack_from(">IIII", data, at + 8)
    return max(right - left, 0), max(bottom - top, 0)


def _png_size(data: bytes) -> tuple[int, int] | None:
    return struct.unpack_from(">II", data, 16) if len(data) >= 24 else None


def _lerc_size(data: bytes) -> tuple[int, int] | None:
    if data[:6] != b"Lerc2 " or len(data) < 22:
        return None
    (version,) = struct.unpack_from("<i", data, 6)
    rows, cols = struct.unpack_from("<ii", data, 14 if version >= 3 else 10)
    return max(cols, 0), max(rows, 0)


def jpeg_xl_size(data: bytes) -> tuple[int, int] | None:
    """Return the width and height of a JPEG XL: a bare codestream, or the first one in a container."""
    if data[:2] != b"\xff\x0a":
        at = max(data.find(b"jxlc") + 4, data.find(b"jxlp") + 8)
        data = data[data.find(b"\xff\x0a", at, at + 2) :] if at >= 8 else b""
    from convfilter.picture.codecs import jxl_header

    return jxl_header.size_of(data)


_Size = Callable[[bytes], tuple[int, int] | None]
_SIZES: dict[int, _Size] = {
    **dict.fromkeys(_JPEG, _jpeg_size),
    **dict.fromkeys(_JPEG2000, _jpeg2000_size),
    **dict.fromkeys(_WEBP, webp.size_of),
    **dict.fromkeys(_PNG, _png_size),
    **dict.fromkeys(_JPEG_XL, jpeg_xl_size),
}
