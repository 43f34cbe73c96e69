"""Weighted sums of shifted rows: every pass of every linear filter, of any stride and dilation."""

from __future__ import annotations


def correlate(
    tile, row_offset, taps, tap_row, tap_col, weight, weight_step, rows, step, accumulate, out, pitch, length
):
    """Sum ``weight[t] * tile[row_offset[y * step + tap_row[t]] + tap_col[t] + x]`` into ``out[y * pitch + x]``.

    With a ``weight_step``, each output row has weights of its own, that far apart.

    Eight taps a pass save the accumulator's loads and stores; twelve gained nothing.
    """
    for y in range(rows):
        o = y * pitch
        at = y * step
        v = y * weight_step
        if accumulate == 0:
            for x in range(length):
                out[o + x] = 0
        t = 0
        while t + 8 <= taps:
            i0 = row_offset[at + tap_row[t]] + tap_col[t]
            i1 = row_offset[at + tap_row[t + 1]] + tap_col[t + 1]
            i2 = row_offset[at + tap_row[t + 2]] + tap_col[t + 2]
            i3 = row_offset[at + tap_row[t + 3]] + tap_col[t + 3]
            i4 = row_offset[at + tap_row[t + 4]] + tap_col[t + 4]
            i5 = row_offset[at + tap_row[t + 5]] + tap_col[t + 5]
            i6 = row_offset[at + tap_row[t + 6]] + tap_col[t + 6]
            i7 = row_offset[at + tap_row[t + 7]] + tap_col[t + 7]
            w0, w1, w2, w3 = weight[v + t], weight[v + t + 1], weight[v + t + 2], weight[v + t + 3]
            w4, w5, w6, w7 = weight[v + t + 4], weight[v + t + 5], weight[v + t + 6], weight[v + t + 7]
            for x in range(length):
                out[o + x] += (
                    w0 * tile[i0 + x]
                    + w1 * tile[i1 + x]
                    + w2 * tile[i2 + x]
                    + w3 * tile[i3 + x]
                    + w4 * tile[i4 + x]
                    + w5 * tile[i5 + x]
                    + w6 * tile[i6 + x]
                    + w7 * tile[i7 + x]
                )
            t += 8
        while t + 3 <= taps:
            i0 = row_offset[at + tap_row[t]] + tap_col[t]
            i1 = row_offset[at + tap_row[t + 1]] + tap_col[t + 1]
            i2 = row_offset[at + tap_row[t + 2]] + tap_col[t + 2]
            w0, w1, w2 = weight[v + t], weight[v + t + 1], weight[v + t + 2]
            for x in range(length):
                out[o + x] += w0 * tile[i0 + x] + w1 * tile[i1 + x] + w2 * tile[i2 + x]
            t += 3
        while t < taps:
            i0 = row_offset[at + tap_row[t]] + tap_col[t]
            w0 = weight[v + t]
            for x in range(length):
                out[o + x] += w0 * tile[i0 + x]
            t += 1
    return 0
