"""Means of the valid pixels of a window, from source rows to output rows in one pass.

A sum of samples and the number of its valid pixels lie in one integer: the number in the bits from ``shift`` on. So one
addition adds up both.
"""

from __future__ import annotations

import numpy as np

from convfilter.loops import vectors

#: Widest window whose columns are added one by one.
_MOST_TAPS = 3


def masked_means(
    source, pitch, valid, valid_pitch, full, rows, window_rows, step_rows,
    cols, places, before, width, channels, window_cols, step_cols, shift,
    line, sums, windows, marks, kind, out, out_pitch, out_cols, count,
):  # fmt: skip
    """Store the means of integers over the valid pixels of each window, or 0 if none is valid.

    ``full`` is 1 for source rows without ignored pixels. ``rows`` and ``cols`` map padded places to the source, -1 for
    places that do not count. A row's ``width`` pixels begin at place ``before``. Windows of ``window_rows`` rows and
    ``window_cols`` columns are ``step_rows`` and ``step_cols`` apart. A window's sum is below ``1 << shift``. Quotients
    have the type of ``kind``, which holds all sums exactly.

    Scratch: ``line``, the sums down the columns, and ``sums`` of as many samples; ``windows`` of an output row;
    ``marks`` of a source row; two numbers of ``kind``. The first three have room for a vector and a pixel more.
    """
    at, unit = before * channels, 1 << shift
    span, length = window_cols * channels, out_cols * channels
    for y in range(count):
        first = y * step_rows
        if window_rows == _MOST_TAPS and _are_full(full, rows, first, window_rows):
            _sum_three(source, pitch, rows, first, 3 * unit, line, at, width * channels)
        elif y == 0 or window_rows <= 2 * step_rows:
            for x in range(width * channels):
                line[at + x] = 0
            for r in range(first, first + window_rows):
                _add(source, pitch, valid, valid_pitch, full, rows[r], unit, 1, line, at, width, channels, marks)
        else:
            for r in range(first - step_rows, first):
                new, old = rows[r + window_rows], rows[r]
                if new >= 0 and old >= 0 and full[new] != 0 and full[old] != 0:
                    _replace(line, at, source, new * pitch, old * pitch, width * channels)
                    continue
                for row, sign in ((old, -1), (new, 1)):
                    _add(source, pitch, valid, valid_pitch, full, row, unit, sign, line, at, width, channels, marks)
        _pad(line, cols, places, before, width, channels)
        if window_cols <= _MOST_TAPS:
            if step_cols == 1:
                _add_taps(line, window_cols, channels, windows, length)
            else:
                _add_taps(line, window_cols, channels, sums, ((out_cols - 1) * step_cols + 1) * channels)
                if channels == 3:  # a loop of a constant number of channels takes two thirds of the time
                    _decimate(sums, step_cols, 3, windows, out_cols)
                else:
                    _decimate(sums, step_cols, channels, windows, out_cols)
        else:
            _accumulate(line, channels, places * channels, sums)
            if step_cols == 1:
                _subtract(sums, span, windows, length)
            else:
                _decimate_differences(sums, span, step_cols, channels, windows, out_cols)
        _store(windows, shift, kind, out, y * out_pitch, length)
    return 0


# Down the columns --------------------------------------------------------------


def _are_full(full, rows, first, count):
    """Whether neighbouring rows count, and have no ignored pixels."""
    present = 0
    for r in range(first, first + count):
        present += full[rows[r]] if rows[r] >= 0 else 0
    return present == count


def _sum_three(source, pitch, rows, first, units, line, at, length):
    """Write the column sums of three rows without ignored pixels."""
    i, j, k = rows[first] * pitch, rows[first + 1] * pitch, rows[first + 2] * pitch
    lanes = vectors.lanes(line)
    whole = length - length % lanes
    three = vectors.spread(line, units)
    for x in range(0, whole, lanes):
        two = vectors.add(vectors.read_as(line, source, i + x), vectors.read_as(line, source, j + x))
        vectors.write(line, at + x, vectors.add(two, vectors.add(vectors.read_as(line, source, k + x), three)))
    for x in range(whole, length):
        line[at + x] = np.int64(source[i + x]) + source[j + x] + source[k + x] + units


def _replace(line, at, source, fresh, stale, length):
    """Replace a row without ignored pixels by another in the column sums."""
    for x in range(length):
        line[at + x] = line[at + x] - source[stale + x] + source[fresh + x]


def _add(source, pitch, valid, valid_pitch, full, row, unit, sign, line, at, width, channels, marks):
    """Add a row to the column sums, or subtract it with the ``sign`` -1; rows of padding do not count."""
    i, v = row * pitch, row * valid_pitch
    if row < 0:
        return
    if full[row] != 0:
        for x in range(width * channels):
            line[at + x] = line[at + x] + sign * (np.int64(source[i + x]) + unit)
        return
    if channels == 3:  # a constant, so that the compiler unrolls the channels
        _spread(valid, v, width, 3, marks)
    elif channels == 1:
        _spread(valid, v, width, 1, marks)
    else:
        _spread(valid, v, width, channels, marks)
    for x in range(width * channels):
        line[at + x] = line[at + x] + sign * (np.int64(source[i + x]) + unit) * marks[x]


def _spread(valid, at, width, channels, marks):
    """Write the mark of each pixel for each of its samples."""
    for p in range(width):
        for c in range(channels):
            marks[p * channels + c] = valid[at + p]


# Along a row -------------------------------------------------------------------


def _pad(line, cols, places, before, width, channels):
    """Fill the padding before and behind a row's samples."""
    for part in range(2):
        begin = 0 if part == 0 else before + width
        end = min(before, places) if part == 0 else places
        for p in range(begin, end):
            for c in range(channels):
                line[p * channels + c] = 0 if cols[p] < 0 else line[(before + cols[p]) * channels + c]


def _add_taps(line, taps, step, sums, length):
    """Write the sums of up to three samples, ``step`` apart."""
    lanes = vectors.lanes(line)
    for x in range(0, length, lanes):
        total = vectors.read(line, x)
        if taps > 1:
            total = vectors.add(total, vectors.read(line, x + step))
        if taps == _MOST_TAPS:
            total = vectors.add(total, vectors.read(line, x + 2 * step))
        vectors.write(sums, x, total)


def _accumulate(line, step, length, sums):
    """Write the prefix sums of every ``step``-th sample; differences are right though these may overflow."""
    if step == 3:
        one, two, three, four = np.int64(0), np.int64(0), np.int64(0), np.int64(0)
        for x in range(0, length, 3):  # the fourth, which is overwritten, makes this a vector
            first, second, third, fourth = line[x], line[x + 1], line[x + 2], line[x + 3]
            sums[x], sums[x + 1], sums[x + 2], sums[x + 3] = one, two, three, four
            one, two, three, four = one + first, two + second, three + third, four + fourth
        sums[length], sums[length + 1], sums[length + 2] = one, two, three
        return
    for channel in range(step):
        total = np.int64(0)
        for x in range(channel, length, step):
            sums[x] = total
            total += line[x]
        sums[length + channel] = total


def _subtract(sums, span, windows, length):
    """Write the differences of prefix sums that are ``span`` apart."""
    for x in range(0, length, vectors.lanes(sums)):
        vectors.write(windows, x, vectors.subtract(vectors.read(sums, x + span), vectors.read(sums, x)))


def _decimate(sums, step, channels, windows, cols):
    """Copy every ``step``-th pixel."""
    for p in range(cols):
        for c in range(channels):
            windows[p * channels + c] = sums[p * step * channels + c]


def _decimate_differences(sums, span, step, channels, windows, cols):
    for p in range(cols):
        for c in range(channels):
            x = p * step * channels + c
            windows[p * channels + c] = np.int64(sums[x + span]) - sums[x]


# From sums to means ------------------------------------------------------------


def _store(windows, shift, kind, out, o, length):
    """Divide sums by the numbers in their upper bits, at least 1."""
    lanes = vectors.lanes(kind)
    whole = length - length % lanes
    unit, low = 1 << shift, (1 << shift) - 1
    share = 1.0 / unit
    # A number is the sum's share of ``unit``, rounded down: to the nearest after almost a half is subtracted.
    shares, halves = vectors.spread(kind, share), vectors.spread(kind, 0.5 * share - 0.5)
    minus, ones, most = vectors.spread(kind, -unit), vectors.spread(kind, 1), vectors.spread(kind, 2.0**31)
    for x in range(0, whole, lanes):
        total = vectors.read_as(kind, windows, x)
        present = vectors.nearest(vectors.multiply_add(halves, shares, total))
        values = vectors.multiply_add(total, minus, present)
        quotients = vectors.divide(values, vectors.between(present, ones, most))
        vectors.write_as(out, o + x, vectors.nearest(quotients))
    for x in range(whole, length):
        kind[0] = windows[x] & low
        kind[1] = max(windows[x] >> shift, 1)
        out[o + x] = np.int32(np.rint(kind[0] / kind[1]))
