"""Sums over a window by running sums: constant cost, exact for whole numbers."""

from __future__ import annotations

import numpy as np


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


def box_rows(
    source,
    source_pitch,
    rows,
    window_rows,
    step_rows,
    constant,
    total,
    width,
    cols,
    places,
    run_start,
    run_length,
    channels,
    padded,
    window_cols,
    step_cols,
    sums,
    out_cols,
    means,
    factor,
    divide,
    out,
    start,
    out_pitch,
    count,
):
    """Store the means of whole-number samples over a window, from source rows to output rows, in one go.

    ``rows`` and ``cols`` map padded places to the source, -1 for ``constant``;
    from place ``run_start`` on, ``run_length`` columns lie side by side. Sums are
    32-bit integers: ``total`` down the columns (``width`` samples), ``padded`` the
    same with margins, ``sums`` along the rows (of few columns), ``means`` the same as
    real numbers. The mean is ``sum * factor``, or
    ``sum / factor`` where ties must be seen exactly. Adding up to eight columns
    one by one beats running sums, which take one sample at a time.
    """  # fmt: skip
    for y in range(count):
        first = 0 if y == 0 else (y - 1) * step_rows + window_rows
        last = window_rows if y == 0 else y * step_rows + window_rows
        if y == 0:
            for x in range(width):
                total[x] = 0
        for r in range(first, last):
            entering = rows[r]
            leaving = rows[r - window_rows] if y > 0 else -1
            fresh = entering * source_pitch
            stale = leaving * source_pitch
            if entering >= 0 and leaving >= 0:
                for x in range(width):
                    total[x] = np.int32(total[x] + (np.int32(source[fresh + x]) - np.int32(source[stale + x])))
                continue
            # A padded row enters or leaves as a constant; nothing leaves the first window.
            change = np.int32((constant if entering < 0 else 0) - (constant if leaving < 0 and y > 0 else 0))
            if entering >= 0:
                for x in range(width):
                    total[x] = np.int32(total[x] + np.int32(source[fresh + x]))
            if leaving >= 0:
                for x in range(width):
                    total[x] = np.int32(total[x] - np.int32(source[stale + x]))
            for x in range(width):
                total[x] = np.int32(total[x] + change)
        for x in range(run_length * channels):
            padded[run_start * channels + x] = total[cols[run_start] * channels + x]
        for part in range(2):
            begin = 0 if part == 0 else run_start + run_length
            end = run_start if part == 0 else places
            for p in range(begin, end):
                col = cols[p]
                for c in range(channels):
                    if col < 0:
                        padded[p * channels + c] = np.int32(constant * window_rows)
                    else:
                        padded[p * channels + c] = total[col * channels + c]
        length = out_cols * channels
        if step_cols == 1 and window_cols <= 8:
            for x in range(length):
                sums[x] = padded[x]
            k = 1
            while k + 2 <= window_cols:
                near, far = k * channels, (k + 1) * channels
                for x in range(length):
                    sums[x] = np.int32(sums[x] + padded[near + x] + padded[far + x])
                k += 2
            if k < window_cols:
                near = k * channels
                for x in range(length):
                    sums[x] = np.int32(sums[x] + padded[near + x])
            for x in range(length):
                means[x] = sums[x]
        else:
            for c in range(channels):
                window = np.int32(0)
                for k in range(window_cols):
                    window = np.int32(window + padded[k * channels + c])
                means[c] = window
                stale = c
                fresh = window_cols * channels + c
                to = c + channels
                if step_cols == 1:
                    for _ in range(1, out_cols):
                        window = np.int32(window + (padded[fresh] - padded[stale]))
                        means[to] = window
                        fresh += channels
                        stale += channels
                        to += channels
                else:
                    for _ in range(1, out_cols):
                        for _ in range(step_cols):
                            window = np.int32(window + (padded[fresh] - padded[stale]))
                            fresh += channels
                            stale += channels
                        means[to] = window
                        to += channels
        o = start + y * out_pitch
        # From memory of the factor's type: an integer times a float32 would be promoted to float64.
        if divide != 0:
            for x in range(length):
                out[o + x] = np.int32(np.rint(means[x] / factor))
        else:
            for x in range(length):
                out[o + x] = np.int32(np.rint(means[x] * factor))
    return 0
