"""Box filter with a mask: the means of the valid pixels of each window, in one pass.

One integer holds the sum of samples and, in the bits from ``count_shift`` on, the number of valid pixels, so that one
addition updates both.
"""

from __future__ import annotations

import numpy as np

from convfilter.loops import vectors
from convfilter.loops.mask import _expand

#: Largest number of columns of a window that are added one by one.
_MOST_TAPS = 3
#: ``count_shift`` of integers of 64 bits whose halves are a sum and its number: the highest bit of the sum stays free.
#: AVX2 converts 32 bits at a time only.
HALF_WORD = 32


def masked_means(
    source, pitch, valid, valid_pitch, full, rows, window_rows, row_stride,
    cols, places, before, width, channels, window_cols, col_stride, count_shift,
    line, sums, window_sums, expanded, kind, out, out_pitch, out_cols, count,
    kept, kept_pitch, found, leaves_out,
):  # fmt: skip
    """Store the means of integers over the valid pixels of each window, or 0 if no pixel of a window is valid.

    ``full`` is 1 for source rows without ignored pixels, else 0. ``rows`` and ``cols`` hold the source row and column
    of each place, or -1 for padding, which counts as ignored. The ``width`` pixels of a source row begin at place
    ``before``. Windows of ``window_rows`` by ``window_cols`` pixels are ``row_stride`` and ``col_stride`` places apart.
    The sum of a window is at most ``(1 << count_shift) - 2``. Quotients have the type of ``kind``, which holds all sums
    exactly.

    If ``leaves_out`` is 1 or 2, the loop writes ``found``, the mask of the result: ``count`` rows of ``out_cols``
    pixels. They are those of ``kept``, whose rows are ``kept_pitch`` pixels apart; if ``leaves_out`` is 2, 0 where no
    pixel of a window is valid. Means are 0 where they are 0.

    Scratch: ``line`` for the column sums, ``sums`` of as many samples, ``window_sums`` for an output row, all with room
    for a vector and a pixel more; ``expanded`` for two source rows, and for an output row; ``kind``, two numbers.
    """
    at, unit = before * channels, 1 << count_shift
    span, length = window_cols * channels, out_cols * channels
    for y in range(count):
        first = y * row_stride
        if window_rows == _MOST_TAPS and _are_full(full, rows, first, window_rows):
            _sum_three(source, pitch, rows, first, 3 * unit, line, at, width * channels)
        elif y == 0 or window_rows <= 2 * row_stride:
            for x in range(width * channels):
                line[at + x] = 0
            for r in range(first, first + window_rows):
                _add(source, pitch, valid, valid_pitch, full, rows[r], unit, 1, line, at, width, channels, expanded)
        else:
            for r in range(first - row_stride, first):
                new, old = rows[r + window_rows], rows[r]
                if new >= 0 and old >= 0:
                    if full[new] != 0 and full[old] != 0:
                        _replace(line, at, source, new * pitch, old * pitch, width * channels)
                    else:
                        _exchange(
                            source, pitch, valid, valid_pitch, new, old, unit, line, at, width, channels, expanded
                        )
                    continue
                for row, sign in ((old, -1), (new, 1)):
                    _add(source, pitch, valid, valid_pitch, full, row, unit, sign, line, at, width, channels, expanded)
        _pad(line, cols, places, before, width, channels)
        if window_cols <= _MOST_TAPS:
            if col_stride == 1:
                _add_taps(line, window_cols, channels, window_sums, length)
            else:
                _add_taps(line, window_cols, channels, sums, ((out_cols - 1) * col_stride + 1) * channels)
                if channels == 3:  # a loop of a constant number of channels takes two thirds of the time
                    _decimate(sums, col_stride, 3, window_sums, out_cols)
                else:
                    _decimate(sums, col_stride, channels, window_sums, out_cols)
        elif channels == 3 and col_stride == 1:
            _slide_right(line, span, window_sums, length)
        else:
            _accumulate(line, channels, places * channels, sums)
            if col_stride == 1:
                _differences(sums, span, window_sums, length)
            else:
                _decimate_differences(sums, span, col_stride, channels, window_sums, out_cols)
        _store(window_sums, count_shift, kind, out, y * out_pitch, length)
        if leaves_out != 0:
            finds = leaves_out == 2 and not _are_full(full, rows, first, window_rows)
            f, o = y * out_cols, y * out_pitch
            if _copy_marks(kept, y * kept_pitch, found, f, out_cols) < out_cols or finds:
                if channels == 3:
                    _leave_out(window_sums, unit, finds, expanded, found, f, out, o, out_cols, 3)
                elif channels == 1:
                    _leave_out(window_sums, unit, finds, expanded, found, f, out, o, out_cols, 1)
                else:
                    _leave_out(window_sums, unit, finds, expanded, found, f, out, o, out_cols, channels)
    return 0


# Vertical pass -----------------------------------------------------------------


def _are_full(full, rows, first, count):
    """Whether ``count`` successive places are rows of the source without ignored pixels."""
    present = 0
    for r in range(first, first + count):
        present += full[rows[r]] if rows[r] >= 0 else 0
    return present == count


def _sum_three(source, pitch, rows, first, units, line, at, length):
    """Write the column sums of three rows without ignored pixels; ``units`` adds three to each number of pixels."""
    i, j, k = rows[first] * pitch, rows[first + 1] * pitch, rows[first + 2] * pitch
    lanes = vectors.lanes(line)
    whole = length - length % lanes
    three = vectors.spread(line, units)
    for x in range(0, whole, lanes):
        two = vectors.add(vectors.read_as(line, source, i + x), vectors.read_as(line, source, j + x))
        vectors.write(line, at + x, vectors.add(two, vectors.add(vectors.read_as(line, source, k + x), three)))
    for x in range(whole, length):
        line[at + x] = np.int64(source[i + x]) + source[j + x] + source[k + x] + units


def _replace(line, at, source, new, old, length):
    """Slide the column sums down by one row: add one row and subtract another, both without ignored pixels."""
    for x in range(length):
        line[at + x] = line[at + x] - source[old + x] + source[new + x]


def _exchange(source, pitch, valid, valid_pitch, new, old, unit, line, at, width, channels, expanded):
    """Slide the column sums down by one row: add one row and subtract another, of which some pixels are ignored."""
    i, j, length = new * pitch, old * pitch, width * channels
    _expand(valid, new * valid_pitch, width, channels, expanded, 0)
    _expand(valid, old * valid_pitch, width, channels, expanded, length)
    lanes = vectors.lanes(line)
    whole = length - length % lanes
    units, zeros = vectors.spread(line, unit), vectors.spread(line, 0)
    for x in range(0, whole, lanes):  # the compiler does not vectorise the same loop over samples
        entering = vectors.add(vectors.read_as(line, source, i + x), units)
        leaving = vectors.add(vectors.read_as(line, source, j + x), units)
        enters = vectors.subtract(zeros, vectors.read_as(line, expanded, x))
        leaves = vectors.subtract(zeros, vectors.read_as(line, expanded, length + x))
        entering, leaving = vectors.select(enters, entering, zeros), vectors.select(leaves, leaving, zeros)
        vectors.write(line, at + x, vectors.subtract(vectors.add(vectors.read(line, at + x), entering), leaving))
    for x in range(whole, length):
        entering = (np.int64(source[i + x]) + unit) * expanded[x]
        line[at + x] = line[at + x] + entering - (np.int64(source[j + x]) + unit) * expanded[length + x]


def _add(source, pitch, valid, valid_pitch, full, row, unit, sign, line, at, width, channels, expanded):
    """Add a row to the column sums or, if ``sign`` is -1, subtract it; rows of padding are skipped."""
    i, v = row * pitch, row * valid_pitch
    if row < 0:
        return
    if full[row] != 0:
        for x in range(width * channels):
            line[at + x] = line[at + x] + sign * (np.int64(source[i + x]) + unit)
        return
    _expand(valid, v, width, channels, expanded, 0)
    for x in range(width * channels):
        line[at + x] = line[at + x] + sign * (np.int64(source[i + x]) + unit) * expanded[x]


# Horizontal pass ---------------------------------------------------------------


def _pad(line, cols, places, before, width, channels):
    """Write the column sums of the padding before and behind a row."""
    for part in range(2):
        begin = 0 if part == 0 else before + width
        end = min(before, places) if part == 0 else places
        for p in range(begin, end):
            for c in range(channels):
                line[p * channels + c] = 0 if cols[p] < 0 else line[(before + cols[p]) * channels + c]


def _add_taps(line, taps, tap_pitch, sums, length):
    """Write the sums of up to three taps, ``tap_pitch`` samples apart."""
    lanes = vectors.lanes(line)
    for x in range(0, length, lanes):
        total = vectors.read(line, x)
        if taps > 1:
            total = vectors.add(total, vectors.read(line, x + tap_pitch))
        if taps == _MOST_TAPS:
            total = vectors.add(total, vectors.read(line, x + 2 * tap_pitch))
        vectors.write(sums, x, total)


def _slide_right(line, span, window_sums, length):
    """Write the sums of ``span`` samples of pixels of three, from a sliding window.

    A vector holds a pixel and the samples behind it, which the next write overwrites.
    """
    total = vectors.spread(line, 0)
    for x in range(0, span, 3):
        total = vectors.add(total, vectors.read(line, x))
    for x in range(0, length, 3):
        vectors.write(window_sums, x, total)
        total = vectors.add(total, vectors.subtract(vectors.read(line, x + span), vectors.read(line, x)))


def _accumulate(line, tap_pitch, length, sums):
    """Write the prefix sums of every ``tap_pitch``-th sample; sums may overflow, and differences are still right."""
    if tap_pitch == 3:
        one, two, three, four = np.int64(0), np.int64(0), np.int64(0), np.int64(0)
        for x in range(0, length, 3):  # a fourth sum, which is overwritten, fills a vector
            first, second, third, fourth = line[x], line[x + 1], line[x + 2], line[x + 3]
            sums[x], sums[x + 1], sums[x + 2], sums[x + 3] = one, two, three, four
            one, two, three, four = one + first, two + second, three + third, four + fourth
        sums[length], sums[length + 1], sums[length + 2] = one, two, three
        return
    for channel in range(tap_pitch):
        total = np.int64(0)
        for x in range(channel, length, tap_pitch):
            sums[x] = total
            total += line[x]
        sums[length + channel] = total


def _differences(sums, span, window_sums, length):
    """Write the differences of prefix sums that are ``span`` samples apart."""
    for x in range(0, length, vectors.lanes(sums)):
        vectors.write(window_sums, x, vectors.subtract(vectors.read(sums, x + span), vectors.read(sums, x)))


def _decimate(sums, stride, channels, window_sums, cols):
    """Copy every ``stride``-th pixel of a row of sums."""
    for p in range(cols):
        for c in range(channels):
            window_sums[p * channels + c] = sums[p * stride * channels + c]


def _decimate_differences(sums, span, stride, channels, window_sums, cols):
    for p in range(cols):
        for c in range(channels):
            x = p * stride * channels + c
            window_sums[p * channels + c] = np.int64(sums[x + span]) - sums[x]


# From sums to means ------------------------------------------------------------


def _store(window_sums, count_shift, kind, out, o, length):
    """Divide each sum by the number of pixels in its upper bits, at least 1, and round."""
    lanes = vectors.lanes(kind)
    whole = length - length % lanes
    unit, low = 1 << count_shift, (1 << count_shift) - 1
    inverse = 1.0 / unit
    # The number is the integer over ``unit``, rounded down: rounded to nearest after almost 1/2 is subtracted. The
    # difference to 1/2 is as small as ``kind`` holds with 24 bits; a sum is at most ``unit - 2``.
    inverses, halves = vectors.spread(kind, inverse), vectors.spread(kind, inverse - 0.5)
    minus, ones, most = vectors.spread(kind, -unit), vectors.spread(kind, 1), vectors.spread(kind, 2.0**31)
    if count_shift == HALF_WORD:
        for x in range(0, whole, lanes):
            values, present = vectors.read_halves(kind, window_sums, x)
            quotients = vectors.divide(values, vectors.between(present, ones, most))
            vectors.write_as(out, o + x, vectors.nearest(quotients))
    else:
        for x in range(0, whole, lanes):
            total = vectors.read_as(kind, window_sums, x)
            present = vectors.nearest(vectors.multiply_add(halves, inverses, total))
            values = vectors.multiply_add(total, minus, present)
            quotients = vectors.divide(values, vectors.between(present, ones, most))
            vectors.write_as(out, o + x, vectors.nearest(quotients))
    for x in range(whole, length):
        kind[0] = window_sums[x] & low
        kind[1] = max(window_sums[x] >> count_shift, 1)
        out[o + x] = np.int32(np.rint(kind[0] / kind[1]))


def _copy_marks(kept, k, found, f, cols):
    """Copy a row of a mask; return the number of its valid pixels."""
    present = 0
    for p in range(cols):
        found[f + p] = kept[k + p]
        present += kept[k + p]
    return present


def _leave_out(window_sums, unit, finds, expanded, found, f, out, o, cols, channels):
    """Write 0 where ``found`` is 0; if ``finds``, first set ``found`` to 0 where no pixel of a window is valid."""
    if finds:
        for x in range(cols * channels):  # all samples: one of each pixel takes three times as long
            expanded[x] = window_sums[x] >= unit
        for p in range(cols):
            found[f + p] &= expanded[p * channels]
    for p in range(cols):
        bits = -np.int64(found[f + p])
        for c in range(channels):
            out[o + p * channels + c] = out[o + p * channels + c] & bits
