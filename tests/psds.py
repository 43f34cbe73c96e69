"""PSD files built section by section."""

from __future__ import annotations

import struct
import zlib

import imagecodecs
import numpy as np

BITMAP, GRAYSCALE, INDEXED, RGB, CMYK, MULTICHANNEL, DUOTONE, LAB = 0, 1, 2, 3, 4, 7, 8, 9
RAW, PACKBITS, DEFLATED, PREDICTED = range(4)
HEIGHT, WIDTH = 9, 21
TYPES = {8: ">u1", 16: ">u2", 32: ">f4"}


def samples(channels, depth=8, seed=1):
    """(H, W, C) samples with runs, which PackBits compresses."""
    values = np.random.default_rng(seed).integers(0, 256, (HEIGHT, WIDTH, channels))
    values[:, 5:12] = values[:, 5:6]
    return {8: values, 16: values * 257 - values // 2, 32: values / 200}[depth].astype(TYPES[depth])


def resource(number, data):
    return b"8BIM" + struct.pack(">HHI", number, 0, len(data)) + data + b"\0" * (len(data) & 1)


def layers(count, big=False, blocks=b""):
    """A section of layers without pixels; a negative count means that the merged picture has transparency."""
    record = struct.pack(">iiiiH", 0, 0, 0, 0, 0) + b"8BIMnorm\xff\0\0\0" + struct.pack(">III", 8, 0, 0)
    info = struct.pack(">h", count) + record * abs(count)
    return (len(info).to_bytes(8 if big else 4, "big") + info if count else bytes(8 if big else 4)) + bytes(4) + blocks


def packed(planes, compression, depth, big):
    """Compress (C, H, row bytes)."""
    rows = planes.reshape(-1, planes.shape[2])
    if compression == PACKBITS:
        pieces = [imagecodecs.packbits_encode(row.tobytes()) for row in rows]
        return b"".join(len(piece).to_bytes(4 if big else 2, "big") for piece in pieces) + b"".join(pieces)
    if compression == PREDICTED:
        if depth == 16:
            rows = np.diff(rows.view(">u2"), axis=1, prepend=np.uint16(0)).astype(">u2").view(np.uint8)
        elif depth == 32:
            rows = rows.reshape(len(rows), -1, 4).swapaxes(1, 2).reshape(rows.shape)
        if depth != 16:
            rows = np.diff(rows, axis=1, prepend=np.uint8(0))
    return zlib.compress(rows.tobytes()) if compression in (DEFLATED, PREDICTED) else rows.tobytes()


def psd(pixels, mode, *, depth=8, compression=RAW, big=False, palette=b"", resources=b"", section=b"", width=WIDTH):
    """Put a file together from (H, W, C) samples, or of a Bitmap (H, row bytes, 1)."""
    planes = np.ascontiguousarray(np.moveaxis(pixels, -1, 0))
    planes = planes.view(np.uint8).reshape(*planes.shape[:2], -1)
    header = struct.pack(">4sH6xHIIHH", b"8BPS", 2 if big else 1, pixels.shape[2], pixels.shape[0], width, depth, mode)
    parts = [(palette, 4), (resources, 4), (section, 8 if big else 4)]
    sections = b"".join(len(data).to_bytes(length, "big") + data for data, length in parts)
    return header + sections + struct.pack(">H", compression) + packed(planes, compression, depth, big)
