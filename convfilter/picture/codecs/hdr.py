"""Radiance HDR through imagecodecs: three 8-bit mantissas a pixel, with a common exponent.

G. Ward, "Real Pixels", Graphics Gems II, 1991; the Radiance reference manual, "Picture File Format (.pic)".
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from convfilter.errors import ReadError, WriteError
from convfilter.picture import limits
from convfilter.picture.codecs.scene_linear import scene_linear
from convfilter.picture.colour_chunks import LINEAR, Chunk, cicp_chunk, gamma_chunks
from convfilter.picture.frame import Frame
from convfilter.picture.metadata.cicp import BT709_PRIMARIES, PRIMARIES, name_of
from convfilter.picture.metadata.metadata import Metadata
from convfilter.picture.options import ReadOptions, WriteOptions
from convfilter.picture.picture import Picture
from convfilter.picture.pixels import Pixels

_MAGIC = b"#?RADIANCE\n"
_FORMAT = b"FORMAT=32-bit_rle_rgbe"
_PRIMARIES = b"PRIMARIES="
#: Chromaticities that differ by less are equal.
_TOLERANCE = 1e-3
#: Longest header, and longest line with the size.
_HEAD_BYTES = 1 << 16
_SIZE = re.compile(rb"([-+][XY]) (\d+) ([-+][XY]) (\d+)\Z")
#: Lengths of lines that may have runs of each mantissa.
_NEW_RUN_WIDTHS = range(8, 0x8000)
_MOST_SHIFT = 32
_MANTISSA_BITS = 8
#: Limits of a pixel's largest sample: below the first, the pixel is black; above the second, it is clipped; above the
#: third, it is scaled down for rounding.
_LEAST, _LARGEST, _LARGE = 1e-32, 2.0**126, 2.0**90
#: Stored bits of the mantissa of a float32.
_FLOAT_BITS = 23
#: Approximate number of samples that are rounded at a time, which fit a core's cache.
_BAND_SAMPLES = 1 << 16


def read_hdr(file: BinaryIO, options: ReadOptions) -> Picture:
    """Read a Radiance HDR; a ``Reader``. Samples are float32 in linear light; the exposure is copied, not applied."""
    import imagecodecs

    options.require_frame(1)
    data = file.read()
    lines, start = _head(data)
    kinds = [line for line in lines if line.startswith(b"FORMAT=")]
    if kinds and kinds[-1].strip() != _FORMAT:
        raise ReadError(f"a Radiance HDR of {kinds[-1][7:].decode('latin-1')} cannot be filtered; convert it to RGBE")
    match = _SIZE.match(lines[-1])
    if match is None or match[1][1:] == match[3][1:]:
        raise ReadError(f"the Radiance HDR is damaged: its size is {lines[-1][:40].decode('latin-1')!r}")
    height, width = int(match[2]), int(match[4])  # of the stored lines, which may be columns
    limits.require_size(width, height, options)
    limits.require_memory(2 * 12 * width * height)
    if len(data) - start < 4 * height * min(width, 2):  # least bytes of a row: its header, or one pixel
        raise ReadError("the Radiance HDR is truncated")
    samples = data[start:]
    if not _has_new_runs(samples, width):
        samples = _without_runs(samples, height * width)
    minimal = b"".join([_MAGIC, _FORMAT, b"\n\n-Y %d +X %d\n" % (height, width), samples])
    pixels = np.asarray(imagecodecs.rgbe_decode(minimal, header=True))
    if pixels.shape != (height, width, 3):
        raise ReadError(f"a Radiance HDR of the shape {pixels.shape} cannot be filtered")
    pixels = _upright(pixels, match[1], match[3])
    copied = tuple(line for line in lines[1:-2] if not line.startswith((b"FORMAT=", b"#?")))
    return Picture([Frame(pixels)], "rgb", False, "HDR", Metadata(radiance=copied, png=_colours(copied)))


def _upright(pixels: Pixels, first: bytes, second: bytes) -> Pixels:
    """Return rows from the top down and columns from the left; Y points up, and the lines lie along ``second``."""
    turned = pixels if first.endswith(b"Y") else pixels.swapaxes(0, 1)
    turned = turned[::-1] if b"+Y" in (first, second) else turned
    return np.ascontiguousarray(turned[:, ::-1] if b"-X" in (first, second) else turned)


def _has_new_runs(data: bytes, width: int) -> bool:
    """Whether the lines have runs of each mantissa, as most files have."""
    return width in _NEW_RUN_WIDTHS and data[:4] == b"\2\2" + width.to_bytes(2, "big")


def _without_runs(data: bytes, count: int) -> bytes:
    """Expand runs of whole pixels, as before 1991: mantissas of 1 repeat the pixel before, as their exponent says.

    A second such pixel counts 256 times as much, a third 65,536 times.
    """
    pixels = np.frombuffer(data, np.uint8, len(data) // 4 * 4).reshape(-1, 4)[:count]
    is_run = (pixels[:, :3] == 1).all(axis=1)
    if not is_run.any():
        return data
    places = np.arange(len(pixels))
    source = np.maximum.accumulate(np.where(is_run, 0, places))
    shift = np.minimum(8 * (places - source - 1).clip(0), _MOST_SHIFT)
    times = np.where(is_run, pixels[:, 3].astype(np.int64) << shift, 1)
    ends = np.cumsum(np.minimum(times, count))
    whole = int(np.searchsorted(ends, count)) + 1
    if is_run[0] or whole > len(pixels) or ends[whole - 1] != count:
        raise ReadError("the Radiance HDR is truncated or damaged")
    return bytes(pixels[np.repeat(source[:whole], times[:whole])].tobytes())


def _colours(lines: Sequence[bytes]) -> list[Chunk]:
    """Return the PNG chunks for linear light of the primaries in the header, by default those of BT.709."""
    words = next((line for line in lines if line.startswith(_PRIMARIES)), b"").partition(b"=")[2].split()
    try:
        points = [float(word) for word in words]
    except ValueError:
        points = []
    usual = [value for pair in PRIMARIES[BT709_PRIMARIES] for value in pair]
    is_sound = len(points) == len(usual) and all(0 <= value <= 1 for value in points) and points[-1] > 0
    if not is_sound or np.allclose(points, usual, atol=_TOLERANCE):
        return [cicp_chunk(BT709_PRIMARIES, LINEAR)]
    return gamma_chunks(1.0, points)


def _head(data: bytes) -> tuple[list[bytes], int]:
    """Return the lines of the header, which ends with an empty line and the size, and the offset of the pixels."""
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
        The picture's tone curve is unknown, its code points name primaries other than BT.709's, or, unless losses are
        allowed, samples are negative, NaN or above 2**126.
    """
    import imagecodecs

    points = picture.metadata.code_points
    if points and points[0] != BT709_PRIMARIES:
        raise WriteError(
            f"a Radiance HDR is written with the primaries of BT.709, the picture has {name_of(*points)}",
            remedy="use exr, or convert the picture to sRGB first",
        )
    pixels = scene_linear(picture, picture.pixels)
    if not options.allow_loss and not (pixels.min() >= 0 and pixels.max() <= _LARGEST):  # NaN fails both comparisons
        raise WriteError(
            "a Radiance HDR holds neither negative values nor NaN and infinity, and the picture has such samples",
            remedy="use exr or pfm, or store 0 and the largest value with {allow_loss=True}",
        )
    rounded = _rounded(pixels if pixels.ndim == 3 else np.repeat(pixels[:, :, np.newaxis], 3, axis=2))
    height, width = rounded.shape[:2]
    size = b"-Y %d +X %d\n" % (height, width)
    file.write(b"".join([_MAGIC, *(line + b"\n" for line in picture.metadata.radiance), _FORMAT, b"\n\n", size]))
    most = 8 * height * (width + 4)  # imagecodecs' default buffer is too small for noise
    file.write(imagecodecs.rgbe_encode(rounded, header=False, rle=True, out=most))


def _rounded(pixels: Pixels) -> Pixels:
    """Round (H, W, 3) samples to the nearest colours of the format, half to even; the encoder would truncate."""
    out = np.empty(pixels.shape, np.float32)
    rows = max(1, _BAND_SAMPLES // (3 * pixels.shape[1]))
    for start in range(0, len(pixels), rows):
        band, rounded = pixels[start : start + rows], out[start : start + rows]
        if not (band.min() >= 0 and band.max() <= _LARGEST):
            band = np.fmin(np.fmax(band, 0), np.float32(_LARGEST))
        if band.max() > _LARGE:  # float32 cannot represent _rounding's number for these samples
            scale = np.where(band.max(axis=2, keepdims=True) > _LARGE, np.float32(2.0**-64), np.float32(1))
            rounded[:] = _rounded(band * scale) / scale
            continue
        red, green, blue = (np.ascontiguousarray(band[..., at]) for at in range(3))
        largest = np.maximum(np.maximum(red, green), blue)
        # A largest sample that rounds up to a power of two takes the next exponent.
        magic = _rounding(largest)
        magic = _rounding((largest + magic) - magic)
        black = largest < _LEAST
        for at, plane in enumerate((red, green, blue)):
            np.subtract(np.add(plane, magic, out=plane), magic, out=rounded[..., at])
        if black.any():
            rounded[black] = 0
    return out


def _rounding(largest: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return the number that rounds a pixel's samples to its quantisation step when it is added and subtracted again.

    The number is 1.5 * 2**23 steps: neighbouring float32 numbers near it are one step apart, so the addition rounds.
    ``largest`` is the largest sample of each pixel.
    """
    exponent = np.maximum(largest.view(np.int32) >> _FLOAT_BITS, _MANTISSA_BITS)
    magic = _power(exponent + (_FLOAT_BITS + 1 - _MANTISSA_BITS))
    magic *= np.float32(1.5)
    return magic


def _power(exponent: npt.NDArray[np.int32]) -> npt.NDArray[np.float32]:
    """Return 2 to the power of ``exponent - 127``, for exponents from 1 to 254; ldexp takes six times as long."""
    return (exponent << _FLOAT_BITS).view(np.float32)
