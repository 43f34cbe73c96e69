"""Running sums of loaded samples down the columns and along the rows of a tile; exact for integers."""

from __future__ import annotations


def run_down(total, entering, leaving, pitch, rows, stride, out, out_pitch, length):
    """Slide the column sums ``total`` down by ``stride`` rows, and write them to ``out``, for each of ``rows`` rows.

    ``entering`` and ``leaving`` hold the rows that enter and leave the window, ``pitch`` samples apart.
    """
    for y in range(rows):
        for s in range(stride):
            at = (y * stride + s) * pitch
            for x in range(length):
                total[x] += entering[at + x] - leaving[at + x]
        o = y * out_pitch
        for x in range(length):
            out[o + x] = total[x]
    return 0


def run_right(tile, pitch, rows, window, stride, channels, out, out_pitch, cols):
    """Write the sums of ``window`` pixels along each row of ``tile``, at every ``stride``-th pixel.

    Four rows are summed at a time, which hides the latency of additions.
    """
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
            old = c
            new = window * channels + c
            for x in range(1, cols):
                for _ in range(stride):
                    s0 += tile[i0 + new] - tile[i0 + old]
                    s1 += tile[i1 + new] - tile[i1 + old]
                    s2 += tile[i2 + new] - tile[i2 + old]
                    s3 += tile[i3 + new] - tile[i3 + old]
                    new += channels
                    old += channels
                at = x * channels + c
                out[o0 + at], out[o1 + at], out[o2 + at], out[o3 + at] = s0, s1, s2, s3
        y += together
    return 0
