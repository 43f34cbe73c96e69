"""Gradient magnitude of a smoothed difference (Sobel, Scharr, Prewitt) in one pass."""

from __future__ import annotations

import numpy as np


def magnitude(tile, row_offset, left, middle, right, side, centre, rows, out, pitch, length):
    """Write ``sqrt(gx**2 + gy**2)``; ``side, centre, side`` are the smoothing weights across each difference.

    ``row_offset`` holds three offsets for each output row; ``left``, ``middle``
    and ``right`` are the column offsets of the three taps.
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


def length_of(x, y, pitch, rows, out, out_pitch, length):
    """Write ``sqrt(x**2 + y**2)``."""
    for r in range(rows):
        i = r * pitch
        o = r * out_pitch
        for k in range(length):
            out[o + k] = np.sqrt(x[i + k] * x[i + k] + y[i + k] * y[i + k])
    return 0
