"""Box filter with a mask for bytes and small windows: the means of the valid pixels of each window, in one pass.

Sums have 16 bits. The numbers of valid pixels are those of pixels, not of samples, so that one division serves all
channels.
"""

from __future__ import annotations

import numpy as np

from convfilter.loops import vectors
from convfilter.loops.mask import _fill_row
from convfilter.loops.masked_box import _pad

#: Between 2**13 and 2**14 adjacent floats are 2**-10 apart. A mean plus this, minus this, is a multiple of 2**-10, so
#: that a tie is exact although the factor is rounded. No other quotient of an area below 2**9 is as near to a tie.
_COARSE = 2.0**13


def masked_byte_means(
    source, pitch, valid, valid_pitch, rows, window_rows, row_stride,
    cols, places, before, width, channels, window_cols,
    ring, line, counts, sums, numbers, kind, out, out_pitch, out_cols, count,
    found, leaves_out,
):  # fmt: skip
    """Do the same as ``masked_means`` for bytes, for windows of at most 257 pixels that are one place apart in a row.

    Pixels have one or three samples. Scratch: ``ring`` for the filled source rows of a window and one more; ``line``
    and ``counts`` for the sums and numbers of columns, ``sums`` and ``numbers`` for an output row, all with room for a
    vector more; ``kind``, two numbers.
    """
    length, at = width * channels, before * channels
    zeros = vectors.spread(source, 0)
    for y in range(count):
        first = y * row_stride
        if y == 0 or window_rows <= row_stride:
            _clear(line, places * channels)
            _clear(counts, places)
            entering, leaves = first, False
        else:
            entering, leaves = first - row_stride + window_rows, True
        for r in range(entering, first + window_rows):
            new, old = rows[r], rows[r - window_rows] if leaves else -1
            slot, left = r % (window_rows + 1) * length, (r - window_rows) % (window_rows + 1) * length
            if new >= 0:
                _fill_row(source, new * pitch, valid, new * valid_pitch, width, channels, zeros, 0, ring, slot)
            _slide(ring, slot, new >= 0, left, old >= 0, line, at, length)
            _slide(valid, new * valid_pitch, new >= 0, old * valid_pitch, old >= 0, counts, before, width)
        _pad(line, cols, places, before, width, channels)
        _pad(counts, cols, places, before, width, 1)
        _add_taps(line, window_cols, channels, sums, out_cols * channels)
        _add_taps(counts, window_cols, 1, numbers, out_cols)
        f = y * out_cols
        if leaves_out == 2:
            for p in range(out_cols):
                found[f + p] &= numbers[p] > 0
        _store(sums, numbers, kind, channels, found, f, leaves_out, out, y * out_pitch, out_cols)
    return 0


def _clear(array, count):
    for x in range(count):
        array[x] = 0


def _slide(samples, new, enters, old, leaves, line, at, length):
    """Add a row to the column sums if it ``enters``, and subtract one if it ``leaves``."""
    if enters and leaves:
        for x in range(length):
            line[at + x] = line[at + x] + samples[new + x] - samples[old + x]
    elif enters:
        for x in range(length):
            line[at + x] = line[at + x] + samples[new + x]
    elif leaves:
        for x in range(length):
            line[at + x] = line[at + x] - samples[old + x]


def _add_taps(line, taps, tap_pitch, sums, length):
    """Write the sums of taps that are ``tap_pitch`` samples apart."""
    if taps == 3:  # a constant, so that the compiler unrolls the taps
        _add_unrolled(line, 3, tap_pitch, sums, length)
    else:
        _add_unrolled(line, taps, tap_pitch, sums, length)


def _add_unrolled(line, taps, tap_pitch, sums, length):
    for x in range(0, length, vectors.lanes(line)):
        total = vectors.read(line, x)
        for tap in range(1, taps):
            total = vectors.add(total, vectors.read(line, x + tap * tap_pitch))
        vectors.write(sums, x, total)


def _store(sums, numbers, kind, channels, found, f, leaves_out, out, o, cols):
    """Divide sums by the numbers of their pixels, and round; pixels have one or three samples."""
    lanes = vectors.lanes(kind)
    whole = cols - cols % lanes
    coarse, ones, most = vectors.spread(kind, _COARSE), vectors.spread(kind, 1), vectors.spread(kind, 2.0**16)
    for p in range(0, whole, lanes):
        factors = vectors.divide(ones, vectors.between(vectors.read_as(kind, numbers, p), ones, most))
        if leaves_out != 0:
            factors = vectors.multiply(factors, vectors.read_as(kind, found, f + p))
        if channels == 3:
            one, two, three = vectors.thrice(factors)
            _store_vector(kind, sums, 3 * p, one, coarse, out, o + 3 * p)
            _store_vector(kind, sums, 3 * p + lanes, two, coarse, out, o + 3 * p + lanes)
            _store_vector(kind, sums, 3 * p + 2 * lanes, three, coarse, out, o + 3 * p + 2 * lanes)
        else:
            _store_vector(kind, sums, p, factors, coarse, out, o + p)
    for p in range(whole, cols):
        kept = 1 if leaves_out == 0 else found[f + p]
        for c in range(p * channels, (p + 1) * channels):
            kind[0], kind[1] = sums[c], max(numbers[p], 1)
            out[o + c] = np.int32(np.rint(kind[0] / kind[1])) * kept


def _store_vector(kind, sums, x, factors, coarse, out, o):
    total = vectors.multiply_add(coarse, factors, vectors.read_as(kind, sums, x))
    vectors.write_as(out, o, vectors.nearest(vectors.subtract(total, coarse)))
