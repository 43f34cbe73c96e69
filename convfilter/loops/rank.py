"""Rank filter of bytes in rectangular windows at a constant cost: column histograms.

Each column of a window has a histogram; one row further down, one sample leaves it and one enters. One column further
along, one column's histogram is subtracted from the window's and another's is added: always for the sixteen coarse bins
of sixteen levels, but only near the rank for single levels (S. Perreault, P. Hebert, "Median filtering in constant
time", IEEE Trans. Image Processing 16, 2007).
"""

from __future__ import annotations

from convfilter.loops import vectors

#: Layout of a histogram: sixteen coarse bins, the number of all marked samples, fifteen unused places, then 256 levels.
#: A stretch is the levels of two coarse bins, which are brought up to date together.
_TOTAL, _LEVELS = 16, 32
_HISTOGRAM = 32 + 256
_STRETCH = 32
#: What is wanted beside the first sample: the second, or the mean of both instead.
_BOTH, _MEAN = 1, 2


def by_columns(
    tile, marks, marked, pitch, rows, window_rows, cols, window_cols, channels, firsts, seconds, wanted,
    out, next_out, counts, out_pitch, columns, window, current,
):  # fmt: skip
    """Write the sample of a rank (from 0) of each window and, as ``wanted`` says, another.

    Windows begin at each row and column of ``tile``, whose rows are ``pitch`` samples apart. With ``marked``, only
    samples whose mark is 1, not 0, are ranked. The rank among n samples is ``firsts[n]``, that of the other
    ``seconds[n]``, the same or the next. ``wanted`` is 0 for the first only; 1 for the other, too, in ``next_out``, and
    with ``marked`` n in ``counts``; 2 for the mean of both, rounded half to even. Without any sample, all are 0.

    Scratch: ``columns`` of 288 counts for each column of the tile, ``window`` of 288 counts, ``current`` of eight
    columns.
    """
    width = cols + window_cols - 1
    for channel in range(channels):
        _clear(columns, 0, width * _HISTOGRAM)
        for row in range(window_rows - 1):
            _enter_row(columns, tile, marks, marked, row * pitch + channel, channels, width)
        for row in range(rows):
            _enter_row(columns, tile, marks, marked, (row + window_rows - 1) * pitch + channel, channels, width)
            _write_row(
                columns, window, current, cols, window_rows, window_cols, channels, marked, firsts, seconds, wanted,
                out, next_out, counts, row * out_pitch + channel,
            )  # fmt: skip
            _leave_row(columns, tile, marks, marked, row * pitch + channel, channels, width)
    return 0


def _enter_row(columns, tile, marks, marked, start, channels, width):
    if marked != 0:
        for col in range(width):
            at, histogram = start + col * channels, col * _HISTOGRAM
            value = int(tile[at])
            columns[histogram + (value >> 4)] += marks[at]
            columns[histogram + _LEVELS + value] += marks[at]
            columns[histogram + _TOTAL] += marks[at]
        return
    for col in range(width):
        value = int(tile[start + col * channels])
        columns[col * _HISTOGRAM + (value >> 4)] += 1
        columns[col * _HISTOGRAM + _LEVELS + value] += 1


def _leave_row(columns, tile, marks, marked, start, channels, width):
    if marked != 0:
        for col in range(width):
            at, histogram = start + col * channels, col * _HISTOGRAM
            value = int(tile[at])
            columns[histogram + (value >> 4)] -= marks[at]
            columns[histogram + _LEVELS + value] -= marks[at]
            columns[histogram + _TOTAL] -= marks[at]
        return
    for col in range(width):
        value = int(tile[start + col * channels])
        columns[col * _HISTOGRAM + (value >> 4)] -= 1
        columns[col * _HISTOGRAM + _LEVELS + value] -= 1


def _write_row(
    columns, window, current, cols, window_rows, window_cols, channels, marked, firsts, seconds, wanted,
    out, next_out, counts, o,
):  # fmt: skip
    """Write a row of results; ``current[stretch]`` is the column for which the levels of a stretch are valid."""
    _clear(window, 0, _LEVELS)
    for stretch in range(8):
        current[stretch] = -2 * window_cols
    total = window_rows * window_cols
    if marked != 0:
        total = 0
        for col in range(window_cols - 1):
            total += columns[col * _HISTOGRAM + _TOTAL]
    for col in range(window_cols - 1):
        _enter(window, 0, columns, col * _HISTOGRAM, 16)
    coarse = vectors.read(window, 0)  # sixteen bins, which stay in a register from column to column
    rank, second = firsts[total], seconds[total]
    for col in range(cols):
        coarse = vectors.add(coarse, vectors.read(columns, (col + window_cols - 1) * _HISTOGRAM))
        vectors.write(window, 0, coarse)
        if marked != 0:
            total += columns[(col + window_cols - 1) * _HISTOGRAM + _TOTAL]
            rank, second = firsts[total], seconds[total]
        first_value, second_value = 0, 0
        if total > 0:
            answer = vectors.find_rank(window, 0, rank)
            bin_ = answer & 15
            left = rank - (answer >> 4)
            _update_stretch(columns, window, current, bin_ >> 1, col, window_cols)
            answer = vectors.find_rank(window, _LEVELS + 16 * bin_, left)
            left -= answer >> 4
            place = _LEVELS + 16 * bin_ + (answer & 15)
            first_value = place - _LEVELS
            second_value = first_value
            if wanted != 0 and second != rank and left + 1 >= window[place]:
                second_value = _after(columns, window, current, bin_, place + 1, col, window_cols)
        if wanted == _MEAN:
            both = first_value + second_value
            first_value = (both >> 1) + (both & (both >> 1) & 1)
        out[o] = first_value
        if wanted == _BOTH:
            next_out[o] = second_value
            if marked != 0:
                counts[o] = total
        o += channels
        coarse = vectors.subtract(coarse, vectors.read(columns, col * _HISTOGRAM))
        if marked != 0:
            total -= columns[col * _HISTOGRAM + _TOTAL]


def _after(columns, window, current, bin_, place, col, window_cols):
    """Return the smallest level that occurs in the window, from the level at ``place`` on."""
    while place < _LEVELS + 16 * (bin_ + 1):
        if window[place] > 0:
            return place - _LEVELS
        place += 1
    bin_ += 1
    while window[bin_] == 0:
        bin_ += 1
    _update_stretch(columns, window, current, bin_ >> 1, col, window_cols)
    place = _LEVELS + 16 * bin_
    while window[place] == 0:
        place += 1
    return place - _LEVELS


def _update_stretch(columns, window, current, stretch, col, window_cols):
    """Bring the levels of a stretch up to date: from a nearby window of the row, or by adding up all columns."""
    place = _LEVELS + stretch * _STRETCH
    before = current[stretch]
    if 2 * (col - before) > window_cols:
        for step in range(place, place + _STRETCH, vectors.lanes(window)):
            sums = vectors.read(columns, col * _HISTOGRAM + step)
            for other in range(col + 1, col + window_cols):
                sums = vectors.add(sums, vectors.read(columns, other * _HISTOGRAM + step))
            vectors.write(window, step, sums)
    else:
        for step in range(place, place + _STRETCH, vectors.lanes(window)):
            sums = vectors.read(window, step)
            for other in range(before, col):
                sums = vectors.add(sums, vectors.read(columns, (other + window_cols) * _HISTOGRAM + step))
                sums = vectors.subtract(sums, vectors.read(columns, other * _HISTOGRAM + step))
            vectors.write(window, step, sums)
    current[stretch] = col


def _clear(counts, first, count):
    for place in range(first, first + count):
        counts[place] = 0


def _enter(window, place, columns, other, count):
    for step in range(0, count, vectors.lanes(window)):
        sums = vectors.add(vectors.read(window, place + step), vectors.read(columns, other + step))
        vectors.write(window, place + step, sums)
