"""GIF writer: every frame with its own palette and delay; Pillow reduces the colours and compresses.

Pillow's own writer of animations merges equal frames and shares palettes. GIF89a (CompuServe, 1990).
"""

from __future__ import annotations

import io
import struct
from typing import Any, BinaryIO

import numpy as np
from PIL import Image

from convfilter.picture import colour
from convfilter.picture.frame import DEFAULT_DELAY, Frame, changed_area
from convfilter.picture.metadata.metadata import Metadata
from convfilter.picture.options import WriteOptions
from convfilter.picture.picture import Picture
from convfilter.picture.pillow import gif
from convfilter.picture.pixels import Pixels
from convfilter.record import NamedTuple

_COLOURS = 256
_EXTENSION, _IMAGE, _TRAILER = b"\x21", b"\x2c", b"\x3b"
_CONTROL, _COMMENT, _APPLICATION = b"\xf9", b"\xfe", b"\xff"
#: Disposal of a frame before the next one.
_KEEP, _CLEAR = 1, 2
_TICKS_PER_SECOND = 100
_LARGEST_NUMBER = 65535
_HAS_TABLE = 0x80
_SUBBLOCK_BYTES = 255
#: Alpha below this becomes transparent.
_HALF = 128


class _Encoded(NamedTuple):
    """A frame: its colour table, the index of transparent pixels (None for none), and its compressed indices."""

    table: bytes
    transparent: int | None
    data: bytes


def write_gif(file: BinaryIO, picture: Picture, options: WriteOptions) -> None:
    """Write a GIF, animated if it has several frames.

    Parameters
    ----------
    file : BinaryIO
    picture : Picture
        Samples of uint8, grey or RGB. Frames of more than 256 colours are reduced to 256 and dithered; alpha becomes
        opaque from one half on.
    options : WriteOptions
    """
    height, width = picture.frames[0].shape[:2]
    animated = len(picture.frames) > 1
    file.write(b"GIF89a" + struct.pack("<HHBBB", width, height, 0x70, 0, 0))
    _write_extensions(file, picture.metadata, animated)
    before: Pixels | None = None
    for frame in picture.frames:
        # Opaque frames are drawn over each other; transparent ones need an empty canvas.
        area = (0, 0, height, width) if picture.alpha or before is None else changed_area(before, frame.pixels)
        _write_frame(file, frame, area, picture.alpha, animated)
        before = frame.pixels
    file.write(_TRAILER)


def _write_extensions(file: BinaryIO, metadata: Metadata, animated: bool) -> None:
    if animated and metadata.loop != 1:
        # Repetitions after the first play; 0 is forever.
        repeats = min(metadata.loop - 1, _LARGEST_NUMBER) if metadata.loop else 0
        file.write(_application(b"NETSCAPE2.0") + b"\x03\x01" + struct.pack("<HB", repeats, 0))
    if metadata.icc:
        file.write(_application(gif.ICC_NAME) + _subblocks(metadata.icc))
    if metadata.xmp:
        file.write(_application(gif.XMP_NAME) + metadata.xmp + gif.XMP_TRAILER)
    for text in metadata.text:
        file.write(_EXTENSION + _COMMENT + _subblocks(text.value.encode()))


def _application(name: bytes) -> bytes:
    """Return the beginning of an application extension."""
    return _EXTENSION + _APPLICATION + bytes([len(name)]) + name


def _write_frame(file: BinaryIO, frame: Frame, area: tuple[int, int, int, int], alpha: bool, animated: bool) -> None:
    """Write one area of a frame; see ``changed_area``."""
    top, left, bottom, right = area
    encoded = _encoded(frame.pixels[top:bottom, left:right], alpha)
    numerator, denominator = frame.delay or (DEFAULT_DELAY if animated else (0, 1))
    ticks = min(round(_TICKS_PER_SECOND * numerator / denominator), _LARGEST_NUMBER)
    flags = (_CLEAR if alpha else _KEEP) << 2 | (encoded.transparent is not None)
    file.write(_EXTENSION + _CONTROL + struct.pack("<BBHBB", 4, flags, ticks, encoded.transparent or 0, 0))
    table_bits = (len(encoded.table) // 3 - 1).bit_length() - 1
    file.write(_IMAGE + struct.pack("<HHHHB", left, top, right - left, bottom - top, _HAS_TABLE | table_bits))
    file.write(encoded.table + encoded.data)


def _subblocks(data: bytes) -> bytes:
    """Return data in blocks of up to 255 bytes, each after its length, and an empty block."""
    parts = [data[at : at + _SUBBLOCK_BYTES] for at in range(0, len(data), _SUBBLOCK_BYTES)]
    return b"".join(bytes([len(part)]) + part for part in parts) + b"\0"


def _encoded(pixels: Pixels, alpha: bool) -> _Encoded:
    """Reduce the colours and compress: table and data are those of a GIF of one frame that Pillow writes."""
    indexed, transparent = _indexed(np.ascontiguousarray(pixels), alpha)
    buffer = io.BytesIO()
    options: dict[str, Any] = {} if transparent is None else {"transparency": transparent}
    indexed.save(buffer, "GIF", optimize=False, interlace=False, **options)
    data = buffer.getvalue()
    at = 13
    table_bytes = 3 * 2 ** ((data[10] & 7) + 1)
    table = data[at : at + table_bytes]
    at += table_bytes
    clear_index = None
    while data[at : at + 1] == _EXTENSION:
        if data[at + 1 : at + 2] == _CONTROL and data[at + 3] & 1:
            clear_index = data[at + 6]
        at += 2
        while data[at]:
            at += 1 + data[at]
        at += 1
    return _Encoded(table, clear_index, data[at + 10 : -1])


def _indexed(pixels: Pixels, alpha: bool) -> tuple[Any, int | None]:
    """Return a palette image of Pillow, and the index of transparent pixels, None for none."""
    rgb, clear = _colours_and_clear(pixels, alpha)
    indices, palette = _reduced(rgb, _COLOURS - (clear is not None))
    transparent = None
    if clear is not None:
        transparent = len(palette)
        indices = np.where(clear, np.uint8(transparent), indices)
        palette = np.concatenate([palette, np.zeros((1, 3), np.uint8)])
    image = Image.fromarray(np.ascontiguousarray(indices))
    image.putpalette(palette.tobytes())
    return image, transparent


def _colours_and_clear(pixels: Pixels, alpha: bool) -> tuple[Pixels, Pixels | None]:
    """Return (H, W, 3) colours, black where transparent, and an (H, W) mask of transparent pixels, None for none."""
    planes = pixels.reshape(*pixels.shape[:2], -1)
    colours = planes[:, :, :-1] if alpha else planes
    clear = planes[:, :, -1] < _HALF if alpha else None
    if clear is not None and not clear.any():
        clear = None
    rgb = colour.rgb_of(colours, "gray" if colours.shape[2] == 1 else "rgb", False)
    if clear is not None:
        rgb = np.where(clear[:, :, None], rgb.dtype.type(0), rgb)
    return np.ascontiguousarray(rgb), clear


def is_reduced(pixels: Pixels, alpha: bool) -> bool:
    """Whether a frame has more colours than its palette can hold.

    Parameters
    ----------
    pixels : (H, W) or (H, W, C) array of uint8
    alpha : bool
        The last channel is opacity.

    Returns
    -------
    bool
    """
    rgb, clear = _colours_and_clear(pixels, alpha)
    return Image.fromarray(rgb).getcolors(_COLOURS - (clear is not None)) is None


def _reduced(rgb: Pixels, most: int) -> tuple[Pixels, Pixels]:
    """Return (H, W) indices and the palette: exact for at most ``most`` colours, else by median cut and dithering."""
    image = Image.fromarray(rgb)
    if image.getcolors(most) is not None:
        codes = rgb.astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], np.uint32)
        values, inverse = np.unique(codes, return_inverse=True)
        palette = np.stack([values >> 16, values >> 8 & 255, values & 255], axis=1).astype(np.uint8)
        return inverse.reshape(codes.shape).astype(np.uint8), palette
    chosen = image.quantize(most, Image.Quantize.MEDIANCUT)
    indexed = image.quantize(palette=chosen, dither=Image.Dither.FLOYDSTEINBERG)
    palette = np.array(chosen.getpalette() or [], np.uint8).reshape(-1, 3)[:most]
    return np.asarray(indexed), palette
