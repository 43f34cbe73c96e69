"""PNG files built chunk by chunk, valid or damaged on purpose."""

from __future__ import annotations

import struct
import zlib

import numpy as np

SIGNATURE = b"\x89PNG\r\n\x1a\n"
GRAY, RGB, PALETTE, GRAY_ALPHA, RGBA = 0, 2, 3, 4, 6
CHANNELS = {GRAY: 1, RGB: 3, PALETTE: 1, GRAY_ALPHA: 2, RGBA: 4}
ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


def chunk(kind, data=b"", crc=None):
    """One chunk, with its checksum unless another is given."""
    crc = zlib.crc32(kind + data) if crc is None else crc
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc)


def ihdr(width, height, depth=8, colour=GRAY, interlace=0):
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace))


def rows(samples, depth, filters=(0,)):
    """Pack samples (H, W, C) into filtered rows; the filters take turns."""
    height, width = samples.shape[:2]
    flat = samples.reshape(height, -1)
    if depth == 16:
        packed = flat.astype(">u2").view(np.uint8)
    elif depth == 8:
        packed = flat.astype(np.uint8)
    else:
        bits = (flat[:, :, None] >> np.arange(depth - 1, -1, -1)) & 1
        packed = np.packbits(bits.reshape(height, -1).astype(np.uint8), axis=1)
    distance = max(1, depth * (flat.shape[1] // width) // 8)
    out = bytearray()
    above = np.zeros(packed.shape[1], int)
    for y, row in enumerate(packed.astype(int)):
        kind = filters[y % len(filters)]
        left = np.concatenate([np.zeros(distance, int), row[:-distance] if distance < len(row) else row[:0]])[
            : len(row)
        ]
        corner = np.concatenate([np.zeros(distance, int), above])[: len(row)]
        nearest = left + above - corner
        distances = np.abs(np.stack([nearest - left, nearest - above, nearest - corner]))
        paeth = np.choose(distances.argmin(axis=0), [left, above, corner])
        predicted = (0 * row, left, above, (left + above) // 2, paeth)[kind]
        out.append(kind)
        out += bytes(((row - predicted) % 256).astype(np.uint8))
        above = row
    return bytes(out)


def pixels_of(samples, depth, *, interlaced=False, filters=(0,)):
    """All rows of a picture, before compression."""
    samples = np.atleast_3d(samples)
    if not interlaced:
        return rows(samples, depth, filters)
    passes = (samples[y::dy, x::dx] for x, y, dx, dy in ADAM7)
    return b"".join(rows(each, depth, filters) for each in passes if each.size)


def png(samples, depth, colour, *, interlaced=False, filters=(0,), before=b"", after=b"", pieces=1):
    """A whole file; ``before`` are chunks in front of the pixels, ``pieces`` the number of IDAT chunks."""
    height, width = samples.shape[:2]
    data = zlib.compress(pixels_of(samples, depth, interlaced=interlaced, filters=filters))
    size = -(-len(data) // pieces)
    idat = b"".join(chunk(b"IDAT", data[at : at + size]) for at in range(0, len(data), size))
    head = SIGNATURE + ihdr(width, height, depth, colour, int(interlaced))
    return head + before + idat + after + chunk(b"IEND")
