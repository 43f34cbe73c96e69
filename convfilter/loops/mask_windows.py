"""Windows of a mask whose valid pixels suffice: weights of both signs do not cancel, or no pixel is ignored.

The weights of all valid pixels of a window are added up in bytes, a vector of windows at a time.
"""

from __future__ import annotations

import numpy as np

from convfilter.loops import vectors


def find_windows(
    valid, pitch, rows, row_stride, cols, before, tap_rows, tap_cols, weights, taps, start, least,
    centre_row, centre_col, left, right, found, out_cols, count, row_starts, present_cols, present,
):  # fmt: skip
    """Write 1 for each window whose weights on valid pixels, plus ``start``, sum to at least ``least``; else 0.

    ``rows`` and ``cols`` hold the row and the column of ``valid`` at each place, or -1 for padding, which is valid.
    Windows are ``row_stride`` rows and one column apart. ``tap_rows``, ``tap_cols`` and ``weights`` describe the
    ``taps`` of a window; a sum lies in 0..255, and negative weights are given modulo 256. The pixel of a window at
    ``centre_row`` and ``centre_col`` must be valid, too, unless ``centre_row`` is negative. Column 0 of ``valid`` is at
    place ``before``; the windows ``left`` to ``right - 1`` of a row lie within its columns. ``found`` is ``count`` rows
    of ``out_cols`` windows.

    Scratch: ``row_starts``, ``present_cols`` and ``present`` for the taps on rows of ``valid``.
    """
    lanes = vectors.lanes(valid)
    for y in range(count):
        first, number, base = y * row_stride, 0, start
        for tap in range(taps):
            row = rows[first + tap_rows[tap]]
            if row < 0:
                base += np.int64(weights[tap])
                continue
            row_starts[number], present_cols[number], present[number] = row * pitch, tap_cols[tap], weights[tap]
            number += 1
        centre = rows[first + centre_row] if centre_row >= 0 else -1
        f = y * out_cols
        middle = left
        if right - left >= lanes:
            for x in range(left, right, lanes):
                middle = min(x, right - lanes)  # the last vector overlaps the one before
                _find_vector(
                    valid, row_starts, present_cols, present, number, base, least, middle - before,
                    centre * pitch + centre_col, centre >= 0, found, f + middle,
                )  # fmt: skip
            middle = right
        for part in range(2):
            for x in range(0 if part == 0 else middle, left if part == 0 else out_cols):
                total = base
                for tap in range(number):
                    col = cols[x + present_cols[tap]]
                    if col < 0 or valid[row_starts[tap] + col] != 0:
                        total += np.int64(present[tap])
                suffices = (total & 255) >= least
                if centre >= 0:
                    col = cols[x + centre_col]
                    suffices = suffices and (col < 0 or valid[centre * pitch + col] != 0)
                found[f + x] = 1 if suffices else 0
    return 0


def _find_vector(valid, row_starts, cols, weights, taps, base, least, x, centre, needs_centre, found, f):
    zeros, ones = vectors.spread(valid, 0), vectors.spread(valid, 1)
    total = vectors.spread(valid, base & 255)
    for tap in range(taps):
        marks = vectors.subtract(zeros, vectors.read(valid, row_starts[tap] + cols[tap] + x))
        total = vectors.add(total, vectors.select(marks, vectors.spread(valid, weights[tap]), zeros))
    suffices = vectors.choose(total, vectors.spread(valid, least), ones, zeros)
    if needs_centre:
        suffices = vectors.lesser(suffices, vectors.read(valid, centre + x))
    vectors.write(found, f, suffices)
