"""Magnitude of the gradient by Sobel's, Scharr's or Prewitt's kernels: both derivatives and the root in one pass."""

from __future__ import annotations

import numpy as np


def magnitude(tile, row_offset, left, middle, right, side, centre, rows, out, pitch, length):
    """Write ``sqrt(gx**2 + gy**2)``; ``side, centre, side`` are the weights that smooth across each difference.

    ``row_offset`` holds the offsets of three tile rows for each output row; ``left``, ``middle`` and ``right`` are the
    offsets of the three taps of a row.
    """
    for y in range(rows):
        o = y * pitch
        a = row_offset[3 * y]
        b = row_offset[3 * y + 1]
        c = row_offset[3 * y + 2]
        for x in range(length):
            a0, a1, a2 = tile[a + left + x], tile[a + middle + x], tile[a + right + x]
            b0, b2 = tile[b + left + x], tile[b + right + x]
            c0, c1, c2 = tile[c + left + x], tile[c + middle + x], tile[c + right + x]
            gx = side * ((a0 - a2) + (c0 - c2)) + centre * (b0 - b2)
            gy = side * ((a0 - c0) + (a2 - c2)) + centre * (a1 - c1)
            out[o + x] = np.sqrt(gx * gx + gy * gy)
    return 0


def length_of(gx, gy, pitch, rows, out, out_pitch, length):
    """Write ``sqrt(gx**2 + gy**2)``."""
    for r in range(rows):
        i = r * pitch
        o = r * out_pitch
        for k in range(length):
            out[o + k] = np.sqrt(gx[i + k] * gx[i + k] + gy[i + k] * gy[i + k])
    return 0
