"""Largest of shifted rows: the passes of max pooling."""

from __future__ import annotations


def maximum(tile, row_offset, taps, tap_row, tap_col, rows, step, out, pitch, length):
    """Write the largest of ``tile[row_offset[y * step + tap_row[t]] + tap_col[t] + x]`` over the taps; a NaN wins."""
    for y in range(rows):
        o = y * pitch
        at = y * step
        first = row_offset[at + tap_row[0]] + tap_col[0]
        for x in range(length):
            out[o + x] = tile[first + x]
        for t in range(1, taps):
            i = row_offset[at + tap_row[t]] + tap_col[t]
            for x in range(length):
                best, value = out[o + x], tile[i + x]
                out[o + x] = best if best > value or best != best else value  # noqa: PLR0124
    return 0
