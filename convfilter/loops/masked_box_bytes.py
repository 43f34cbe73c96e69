"""Box filter with a mask for bytes and small windows: the means of the valid pixels of each window, in one pass.

Sums have 16 bits. The valid pixels are counted once for all channels. For the smallest windows a table replaces the
division by their number.
"""

from __future__ import annotations

import numpy as np

from convfilter.loops import vectors
from convfilter.loops.mask import _expand, _fill_row
from convfilter.loops.masked_box import _decimate, _pad
from convfilter.loops.store import _COARSE

#: Most pixels of a window whose means are exact with a factor of 16 bits; see ``_store_few``.
_FEW = 12
#: Rows of scratch begin at a multiple of this many samples, a cache line.
_LINE = 64
#: Pixels of a chunk: its rows of scratch fit a core's L1 cache.
_CHUNK = 512
#: Number of rows between a row that is filled and the one that is prefetched, as in ``load.py``.
_ROWS_AHEAD = 4


def masked_byte_means(
    source, pitch, valid, valid_pitch, rows, window_rows, row_stride,
    cols, places, before, width, channels, window_cols, col_stride,
    ring, line, counts, sums, numbers, marks, factors, kind, out, out_pitch, out_cols, count,
    kept, kept_pitch, found, leaves_out,
):  # fmt: skip
    """Do the same as ``masked_means`` for bytes, for windows of at most 255 pixels.

    ``factors`` holds 32768 over each number of pixels up to 31, rounded up, and 0 for none.

    Scratch: ``ring`` for the filled source rows of a window and one more, each of whole cache lines; ``line``, ``sums``
    and ``marks`` for samples of a padded row, ``counts`` and ``numbers`` for its pixels, all with room for a vector and
    the columns of a window more; ``kind``, two numbers.
    """
    slot_pitch = -(-width * channels // _LINE) * _LINE
    begin = min(-(-before // col_stride), out_cols)
    summed = max(places, before + width)  # padding may repeat columns that no window reaches
    for y in range(count):
        first = y * row_stride
        if y == 0 or window_rows <= row_stride:
            _clear(line, summed * channels)
            _clear(counts, summed)
            entering, leaves = first, False
        else:
            entering, leaves = first - row_stride + window_rows, True
        o, k, f, done = y * out_pitch, y * kept_pitch, y * out_cols, begin
        for left in range(0, width, _CHUNK):
            right = min(left + _CHUNK, width)
            for r in range(entering, first + window_rows):
                _slide_down(
                    source, pitch, valid, valid_pitch, rows[r], rows[r - window_rows] if leaves else -1, channels,
                    ring, r % (window_rows + 1) * slot_pitch, (r - window_rows) % (window_rows + 1) * slot_pitch,
                    marks, line, counts, before, left, right,
                )  # fmt: skip
            # The outputs whose taps are all summed, in whole vectors.
            ready = min((before + right - window_cols) // col_stride + 1, out_cols)
            ready = done + max(0, ready - done) // _LINE * _LINE
            _store_means(
                line, counts, channels, window_rows, window_cols, col_stride, sums, numbers, marks, factors, kind,
                out, o, kept, k, found, f, leaves_out, done, ready,
            )  # fmt: skip
            done = ready
        _pad(line, cols, places, before, width, channels)
        _pad(counts, cols, places, before, width, 1)
        for start, stop in ((0, begin), (done, out_cols)):
            _store_means(
                line, counts, channels, window_rows, window_cols, col_stride, sums, numbers, marks, factors, kind,
                out, o, kept, k, found, f, leaves_out, start, stop,
            )  # fmt: skip
    return 0


# Vertical pass -----------------------------------------------------------------


def _slide_down(
    source, pitch, valid, valid_pitch, new, old, channels, ring, slot, old_slot, marks, line, counts, before, left,
    right,
):  # fmt: skip
    """Add row ``new`` to the sums and numbers of some columns, and subtract row ``old``; -1 is a row of padding."""
    start, length = left * channels, (right - left) * channels
    if new >= 0:
        i, v = new * pitch + start, new * valid_pitch + left
        _prefetch(source, i + _ROWS_AHEAD * pitch, length)
        _prefetch(valid, v + _ROWS_AHEAD * valid_pitch, right - left)
        if channels == 2 or channels > 3:
            _expand(valid, v, right - left, channels, marks, 0)
            _fill_row(source, i, marks, 0, length, 1, vectors.spread(source, 0), 0, ring, slot + start)
        else:
            _fill_row(source, i, valid, v, right - left, channels, vectors.spread(source, 0), 0, ring, slot + start)
    _slide(ring, slot + start, new >= 0, old_slot + start, old >= 0, line, before * channels + start, length)
    _slide(
        valid, new * valid_pitch + left, new >= 0, old * valid_pitch + left, old >= 0, counts, before + left,
        right - left,
    )  # fmt: skip


def _prefetch(array, index, length):
    for x in range(0, length, _LINE):
        vectors.prefetch(array, index + x)


def _clear(array, count):
    for x in range(count):
        array[x] = 0


def _slide(samples, new, enters, old, leaves, line, at, length):
    """Add a row to the column sums if it ``enters``, and subtract one if it ``leaves``."""
    lanes = vectors.lanes(line)
    whole = length - length % lanes
    if enters and leaves:
        for x in range(0, whole, lanes):
            total = vectors.add(vectors.read(line, at + x), vectors.read_as(line, samples, new + x))
            vectors.write(line, at + x, vectors.subtract(total, vectors.read_as(line, samples, old + x)))
    elif enters:
        for x in range(0, whole, lanes):
            vectors.write(
                line, at + x, vectors.add(vectors.read(line, at + x), vectors.read_as(line, samples, new + x))
            )
    elif leaves:
        for x in range(0, whole, lanes):
            total = vectors.read(line, at + x)
            vectors.write(line, at + x, vectors.subtract(total, vectors.read_as(line, samples, old + x)))
    for x in range(whole, length):
        if enters:
            line[at + x] = line[at + x] + samples[new + x]
        if leaves:
            line[at + x] = line[at + x] - samples[old + x]


# Horizontal pass, and division --------------------------------------------------


def _store_means(
    line, counts, channels, window_rows, window_cols, stride, sums, numbers, marks, factors, kind,
    out, o, kept, k, found, f, leaves_out, start, stop,
):  # fmt: skip
    """Write the means ``start`` to ``stop - 1`` of a row."""
    length = stop - start
    if length <= 0:
        return
    place, covered = start * stride, (length - 1) * stride + 1
    _add_taps(counts, place, window_cols, 1, numbers, covered)
    if stride > 1:
        _decimate(numbers, stride, 1, numbers, length)
    if leaves_out != 0:
        _leave_out(numbers, leaves_out == 2, kept, k + start, found, f + start, length)
    is_few = window_rows * window_cols <= _FEW
    if channels == 3 and is_few:
        _triple(numbers, length, marks)
    elif channels != 3:
        _expand(numbers, 0, length, channels, marks, 0)
    i, to = place * channels, o + start * channels
    if is_few and stride == 1:
        _store_few(line, i, window_cols, channels, marks, factors, out, to, length * channels)
        return
    _add_taps(line, i, window_cols, channels, sums, covered * channels)
    if stride > 1:
        if channels == 3:  # a constant, so that the compiler unrolls the channels
            _decimate(sums, stride, 3, sums, length)
        else:
            _decimate(sums, stride, channels, sums, length)
    if is_few:
        _store_few(sums, 0, 1, channels, marks, factors, out, to, length * channels)
    elif channels == 3:
        _store(sums, numbers, kind, 3, out, to, length)
    else:
        _store(sums, marks, kind, 1, out, to, length * channels)


def _add_taps(line, i, taps, tap_pitch, sums, length):
    """Write the sums of taps that are ``tap_pitch`` samples apart, from sample ``i`` on."""
    if taps == 3:  # a constant, so that the compiler unrolls the taps
        _add_unrolled(line, i, 3, tap_pitch, sums, length)
    else:
        _add_unrolled(line, i, taps, tap_pitch, sums, length)


def _add_unrolled(line, i, taps, tap_pitch, sums, length):
    for x in range(0, length, vectors.lanes(line)):
        vectors.write(sums, x, _sum_taps(line, i + x, taps, tap_pitch))


def _sum_taps(line, x, taps, tap_pitch):
    total = vectors.read(line, x)
    for tap in range(1, taps):
        total = vectors.add(total, vectors.read(line, x + tap * tap_pitch))
    return total


def _leave_out(numbers, finds, kept, k, found, f, cols):
    """Set ``found`` where ``kept`` is set and, if ``finds``, a number is not 0; write 0 to the other numbers."""
    lanes = vectors.lanes(found)
    whole = cols - cols % lanes
    zeros = vectors.spread(found, 0)
    for p in range(0, whole, lanes):
        number, places = vectors.read(numbers, p), vectors.read(kept, k + p)
        if finds:
            places = vectors.lesser(places, number)
        vectors.write(found, f + p, places)
        vectors.write(numbers, p, vectors.select(vectors.subtract(zeros, places), number, zeros))
    for p in range(whole, cols):
        found[f + p] = min(kept[k + p], numbers[p]) if finds else kept[k + p]
        numbers[p] = numbers[p] * found[f + p]


def _triple(numbers, cols, marks):
    """Write each number three times."""
    lanes = vectors.lanes(numbers)
    for p in range(0, cols, lanes):
        one, two, three = vectors.thrice(vectors.read(numbers, p))
        vectors.write(marks, 3 * p, one)
        vectors.write(marks, 3 * p + lanes, two)
        vectors.write(marks, 3 * p + 2 * lanes, three)


def _store_few(line, i, taps, tap_pitch, numbers, factors, out, o, length):
    """Divide the sums of few samples by their numbers, and round half to even.

    A mean, rounded half up, is twice the sum plus the number, over twice the number, rounded down. If it is odd, 1 less
    in the numerator rounds a tie down, and changes no other mean.
    """
    if taps == 3:
        _store_unrolled(line, i, 3, tap_pitch, numbers, factors, out, o, length)
    else:
        _store_unrolled(line, i, taps, tap_pitch, numbers, factors, out, o, length)


def _store_unrolled(line, i, taps, tap_pitch, numbers, factors, out, o, length):
    lanes = vectors.lanes(line)
    whole = length - length % lanes
    zeros, ones, table = vectors.spread(line, 0), vectors.spread(line, 1), vectors.read(factors, 0)
    for x in range(0, whole, lanes):
        total, number = _sum_taps(line, i + x, taps, tap_pitch), vectors.read_as(line, numbers, x)
        twice, factor = vectors.add(vectors.add(total, total), number), vectors.look_up(table, number)
        odd = vectors.select(vectors.high_product(twice, factor), ones, zeros)
        vectors.write_as(out, o + x, vectors.high_product(vectors.subtract(twice, odd), factor))
    for x in range(whole, length):
        twice, factor = np.int64(numbers[x]), np.int64(factors[numbers[x]])
        for tap in range(taps):
            twice += 2 * np.int64(line[i + x + tap * tap_pitch])
        odd = twice * factor >> 16 & 1
        out[o + x] = (twice - odd) * factor >> 16


def _store(sums, numbers, kind, channels, out, o, cols):
    """Divide sums by the numbers of their pixels, and round; pixels have one or three samples.

    No quotient of an area below 2**9 that is not a tie is nearer than 2**-10 to one.
    """
    lanes = vectors.lanes(kind)
    whole = cols - cols % lanes
    coarse, ones, most = vectors.spread(kind, _COARSE), vectors.spread(kind, 1), vectors.spread(kind, 2.0**16)
    zeros = vectors.spread(kind, 0)
    for p in range(0, whole, lanes):
        number = vectors.read_as(kind, numbers, p)
        factors = vectors.divide(vectors.between(number, zeros, ones), vectors.between(number, ones, most))
        if channels == 3:
            one, two, three = vectors.thrice(factors)
            _store_vector(kind, sums, 3 * p, one, coarse, out, o + 3 * p)
            _store_vector(kind, sums, 3 * p + lanes, two, coarse, out, o + 3 * p + lanes)
            _store_vector(kind, sums, 3 * p + 2 * lanes, three, coarse, out, o + 3 * p + 2 * lanes)
        else:
            _store_vector(kind, sums, p, factors, coarse, out, o + p)
    for p in range(whole, cols):
        kept = min(numbers[p], 1)
        for c in range(p * channels, (p + 1) * channels):
            kind[0], kind[1] = sums[c], max(numbers[p], 1)
            out[o + c] = np.int32(np.rint(kind[0] / kind[1])) * kept


def _store_vector(kind, sums, x, factors, coarse, out, o):
    total = vectors.multiply_add(coarse, factors, vectors.read_as(kind, sums, x))
    vectors.write_as(out, o, vectors.nearest(vectors.subtract(total, coarse)))
