"""Radiance HDR: three 8-bit mantissas with a common exponent, through imagecodecs.

G. Ward, "Real Pixels", Graphics Gems II, 1991; the Radiance reference manual, "Picture File Format (.pic)".
"""

from __future__ import annotations

import re
import struct
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from convfilter.errors import ReadError, WriteError
from convfilter.picture import limits
from convfilter.picture.codecs.scene_linear import scene_linear
from convfilter.picture.metadata.cicp import BT709_PRIMARIES, PRIMARIES
from convfilter.picture.options import ReadOptions, WriteOptions
from convfilter.picture.picture import Frame, Metadata, Picture, chosen
from convfilter.picture.pixels import Pixels

_MAGIC = b"#?RADIANCE\n"
_FORMAT = b"FORMAT=32-bit_rle_rgbe"
_PRIMARIES = b"PRIMARIES="
_LINEAR = 8
_TOLERANCE = 1e-3
_HEAD_BYTES = 1 << 16
_SIZE = re.compile(rb"([-+][XY]) (\d+) ([-+][XY]) (\d+)\Z")
#: Bits of a mantissa. A pixel whose largest sample is subnormal is black.
_BITS = 8
_LEAST, _LARGEST, _LARGE = 1e-32, 2.0**126, 2.0**90
#: Samples rounded at a time, in a core's cache.
_BAND_SAMPLES = 1 << 16


def read_hdr(file: BinaryIO, options: ReadOptions) -> Picture:
    """Read a Radiance HDR; a ``Reader``. Samples are float32 in linear light; the exposure is copied, not applied."""
    import imagecodecs

    if options.frame is not None:
        chosen([0], options.frame)
    data = file.read()
    lines, start = _head(data)
    kinds = [line for line in lines if line.startswith(b"FORMAT=")]
    if kinds and kinds[-1].strip() != _FORMAT:
        raise ReadError(f"a Radiance HDR of {kinds[-1][7:].decode('latin-1')} cannot be filtered; convert it to RGBE")
    match = _SIZE.match(lines[-1])
    if match is None or (match[1], match[3]) != (b"-Y", b"+X"):
        raise ReadError("a Radiance HDR must have its rows from the top down, and columns from the left")
    height, width = int(match[2]), int(match[4])
    limits.require_size(width, height, options)
    limits.require_memory(2 * 12 * width * height)
    if len(data) - start < 4 * height * min(width, 2):  # least bytes of a row: its header, or one pixel
        raise ReadError("the Radiance HDR is truncated")
    plain = b"".join([_MAGIC, _FORMAT, b"\n\n", lines[-1], b"\n", data[start:]])
    pixels = np.asarray(imagecodecs.rgbe_decode(plain, header=True))
    if pixels.shape != (height, width, 3):
        raise ReadError(f"a Radiance HDR of the shape {pixels.shape} cannot be filtered")
    kept = [line for line in lines[1:-2] if not line.startswith((b"FORMAT=", b"#?"))]
    return Picture([Frame(pixels)], "rgb", False, "HDR", Metadata(attributes={"radiance": kept}, png=_colours(kept)))


def _colours(lines: list[bytes]) -> list[tuple[bytes, bytes]]:
    """Return the chunks of a PNG for linear light of the primaries in the header, of BT.709 if it has none."""
    said = next((line for line in lines if line.startswith(_PRIMARIES)), b"").partition(b"=")[2].split()
    try:
        values = [float(value) for value in said]
    except ValueError:
        values = []
    usual = [value for pair in PRIMARIES[BT709_PRIMARIES] for value in pair]
    is_sound = len(values) == len(usual) and all(0 <= value <= 1 for value in values) and values[-1] > 0
    if not is_sound or np.allclose(values, usual, atol=_TOLERANCE):
        return [(b"cICP", bytes([BT709_PRIMARIES, _LINEAR, 0, 1]))]
    fixed = [round(100_000 * value) for value in (*values[6:], *values[:6])]
    return [(b"gAMA", struct.pack(">I", 100_000)), (b"cHRM", struct.pack(">8I", *fixed))]


def _head(data: bytes) -> tuple[list[bytes], int]:
    """Return the lines of the header, with the empty line and the size, and the offset of the pixels."""
    empty = data.find(b"\n\n", 0, _HEAD_BYTES)
    end = data.find(b"\n", empty + 2, empty + 2 + _HEAD_BYTES)
    if empty < 0 or end < 0:
        raise ReadError("the Radiance HDR is damaged: its header does not end")
    return data[:end].split(b"\n"), end + 1


def write_hdr(file: BinaryIO, picture: Picture, options: WriteOptions) -> None:
    """Write a Radiance HDR; a ``Writer``. Samples become linear light.

    Raises
    ------
    WriteError
        The picture's tone curve is unknown, its primaries are not BT.709's, or samples are negative or not finite,
        unless losses are allowed.
    """
    import imagecodecs

    points = dict(picture.metadata.png).get(b"cICP")
    if points and points[0] != 1:
        raise WriteError("a Radiance HDR is written with the primaries of BT.709; use exr")
    pixels = scene_linear(picture, next(frame.pixels for frame in picture.frames if not frame.fallback))
    if not options.allow_loss and not (pixels.min() >= 0 and pixels.max() <= _LARGEST):  # which NaN is neither
        raise WriteError(
            "a Radiance HDR holds neither negative values nor NaN and infinity, the picture does",
            remedy="use exr or pfm, or store 0 and the largest value with {allow_loss=True}",
        )
    rounded = _rounded(pixels if pixels.ndim == 3 else np.repeat(pixels[:, :, np.newaxis], 3, axis=2))
    kept = (picture.metadata.attributes or {}).get("radiance", [])
    height, width = rounded.shape[:2]
    size = b"-Y %d +X %d\n" % (height, width)
    file.write(b"".join([_MAGIC, *(line + b"\n" for line in kept), _FORMAT, b"\n\n", size]))
    most = 8 * height * (width + 4)  # the encoder's own estimate is too small for noise
    file.write(imagecodecs.rgbe_encode(rounded, header=False, rle=True, out=most))


def _rounded(pixels: Pixels) -> Pixels:
    """Round to the nearest representable colours, half to even; the encoder would truncate."""
    out = np.empty(pixels.shape, np.float32)
    rows = max(1, _BAND_SAMPLES // (3 * pixels.shape[1]))
    for start in range(0, len(pixels), rows):
        band, made = pixels[start : start + rows], out[start : start + rows]
        if not (band.min() >= 0 and band.max() <= _LARGEST):
            band = np.fmin(np.fmax(band, 0), np.float32(_LARGEST))
        if band.max() > _LARGE:  # whose powers of two float32 cannot hold
            scale = np.where(band.max(axis=2, keepdims=True) > _LARGE, np.float32(2.0**-64), np.float32(1))
            made[:] = _rounded(band * scale) / scale
            continue
        red, green, blue = (np.ascontiguousarray(band[..., at]) for at in range(3))
        largest = np.maximum(np.maximum(red, green), blue)
        # A largest sample that rounds up to a power of two takes the next exponent.
        magic = _rounding(largest)
        magic = _rounding((largest + magic) - magic)
        dark = largest < _LEAST
        any_dark = dark.any()
        for at, plane in enumerate((red, green, blue)):
            np.subtract(np.add(plane, magic, out=plane), magic, out=made[..., at])
        if any_dark:
            made[dark] = 0
    return out


def _rounding(largest: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return the number whose addition and subtraction rounds samples to the steps of a pixel's mantissas.

    It is 1.5 * 2**23 steps: a float32 of that size has no smaller ones.
    """
    exponent = np.maximum(largest.view(np.int32) >> 23, _BITS)
    magic = _power(exponent + (23 + 1 - _BITS))
    magic *= np.float32(1.5)
    return magic


def _power(exponent: npt.NDArray[np.int32]) -> npt.NDArray[np.float32]:
    """Return 2 to the power of ``exponent - 127``, for exponents of 1 to 254; ldexp takes six times as long."""
    return (exponent << 23).view(np.float32)
