"""Sums over a window by running sums: constant cost, exact for whole numbers."""

from __future__ import annotations


def run_down(total, entering, leaving, pitch, rows, step, out, out_pitch, length):
    """Move the window sums ``total`` down by ``step`` rows for each output row, and write each state."""
    for y in range(rows):
        for s in range(step):
            at = (y * step + s) * pitch
            for x in range(length):
                total[x] += entering[at + x] - leaving[at + x]
        o = y * out_pitch
        for x in range(length):
            out[o + x] = total[x]
    return 0


def run_right(tile, pitch, rows, window, step, channels, out, out_pitch, cols):
    """Sum each row of ``tile`` over ``window`` columns, every ``step``-th; four rows side by side hide the latency."""
    y = 0
    while y < rows:
        together = 4 if y + 4 <= rows else 1
        i0 = y * pitch
        i1 = i0 + pitch if together == 4 else i0
        i2 = i1 + pitch if together == 4 else i0
        i3 = i2 + pitch if together == 4 else i0
        o0 = y * out_pitch
        o1 = o0 + out_pitch if together == 4 else o0
        o2 = o1 + out_pitch if together == 4 else o0
        o3 = o2 + out_pitch if together == 4 else o0
        for c in range(channels):
            s0, s1, s2, s3 = tile[i0 + c], tile[i1 + c], tile[i2 + c], tile[i3 + c]
            for k in range(1, window):
                at = k * channels + c
                s0 += tile[i0 + at]
                s1 += tile[i1 + at]
                s2 += tile[i2 + at]
                s3 += tile[i3 + at]
            out[o0 + c], out[o1 + c], out[o2 + c], out[o3 + c] = s0, s1, s2, s3
            stale = c
            fresh = window * channels + c
            for x in range(1, cols):
                for _ in range(step):
                    s0 += tile[i0 + fresh] - tile[i0 + stale]
                    s1 += tile[i1 + fresh] - tile[i1 + stale]
                    s2 += tile[i2 + fresh] - tile[i2 + stale]
                    s3 += tile[i3 + fresh] - tile[i3 + stale]
                    fresh += channels
                    stale += channels
                at = x * channels + c
                out[o0 + at], out[o1 + at], out[o2 + at], out[o3 + at] = s0, s1, s2, s3
        y += together
    return 0
