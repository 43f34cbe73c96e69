"""Rank filter of bytes in rectangular windows by column histograms, at a cost that does not depend on the window.

Each column has a histogram; from one row to the next, one sample leaves it and one enters. Along a row, the histogram
of the window gains the histogram of one column and loses that of another: in each of its sixteen coarse bins of sixteen
levels, but in single levels only near the rank (S. Perreault, P. Hebert, "Median filtering in constant time", IEEE
Trans. Image Processing 16, 2007).
"""

from __future__ import annotations

from convfilter.loops import vectors

#: Layout of a histogram: the counts of sixteen coarse bins, the number of valid samples, fifteen unused counts, and the
#: counts of 256 levels. The levels of two coarse bins, a segment, are updated together.
_TOTAL, _LEVELS = 16, 32
_HISTOGRAM = 32 + 256
_SEGMENT = 32
#: Values of ``results``: write the samples of both ranks, or their mean.
_BOTH, _MEAN = 1, 2


def by_columns(
    tile, valid, masked, pitch, rows, window_rows, cols, window_cols, channels, firsts, seconds, results,
    out, next_out, counts, out_pitch, columns, window, updated_at,
):  # fmt: skip
    """Write the samples of one or two ranks of each window.

    A window begins at each row and column of ``tile``, whose rows are ``pitch`` samples apart. If ``masked``, only
    valid samples are ranked; ``valid`` is the mask of each sample. Among n samples the first rank, which counts from 0,
    is ``firsts[n]``; the second, ``seconds[n]``, is the same or the next. ``results`` is 0 to write the sample of the
    first rank to ``out``; 1 to write that of the second to ``next_out`` as well, and n to ``counts`` if ``masked``; 2
    to write the mean of both, rounded half to even, to ``out``. A window without valid samples gives 0.

    Scratch: ``columns`` of 288 counts for each column of the tile, ``window`` of 288 counts, ``updated_at`` of eight
    numbers.
    """
    width = cols + window_cols - 1
    for channel in range(channels):
        _clear(columns, 0, width * _HISTOGRAM)
        for row in range(window_rows - 1):
            _enter_row(columns, tile, valid, masked, row * pitch + channel, channels, width)
        for row in range(rows):
            _enter_row(columns, tile, valid, masked, (row + window_rows - 1) * pitch + channel, channels, width)
            _write_row(
                columns, window, updated_at, cols, window_rows, window_cols, channels, masked, firsts, seconds, results,
                out, next_out, counts, row * out_pitch + channel,
            )  # fmt: skip
            _leave_row(columns, tile, valid, masked, row * pitch + channel, channels, width)
    return 0


def _enter_row(columns, tile, valid, masked, start, channels, width):
    if masked != 0:
        for col in range(width):
            at, histogram = start + col * channels, col * _HISTOGRAM
            value = int(tile[at])
            columns[histogram + (value >> 4)] += valid[at]
            columns[histogram + _LEVELS + value] += valid[at]
            columns[histogram + _TOTAL] += valid[at]
        return
    for col in range(width):
        value = int(tile[start + col * channels])
        columns[col * _HISTOGRAM + (value >> 4)] += 1
        columns[col * _HISTOGRAM + _LEVELS + value] += 1


def _leave_row(columns, tile, valid, masked, start, channels, width):
    if masked != 0:
        for col in range(width):
            at, histogram = start + col * channels, col * _HISTOGRAM
            value = int(tile[at])
            columns[histogram + (value >> 4)] -= valid[at]
            columns[histogram + _LEVELS + value] -= valid[at]
            columns[histogram + _TOTAL] -= valid[at]
        return
    for col in range(width):
        value = int(tile[start + col * channels])
        columns[col * _HISTOGRAM + (value >> 4)] -= 1
        columns[col * _HISTOGRAM + _LEVELS + value] -= 1


def _write_row(
    columns, window, updated_at, cols, window_rows, window_cols, channels, masked, firsts, seconds, results,
    out, next_out, counts, o,
):  # fmt: skip
    """Write a row of results; ``updated_at[segment]`` is the output column whose levels a segment holds."""
    _clear(window, 0, _LEVELS)
    for segment in range(8):
        updated_at[segment] = -2 * window_cols
    total = window_rows * window_cols
    if masked != 0:
        total = 0
        for col in range(window_cols - 1):
            total += columns[col * _HISTOGRAM + _TOTAL]
    for col in range(window_cols - 1):
        _enter(window, 0, columns, col * _HISTOGRAM, 16)
    coarse = vectors.read(window, 0)  # the sixteen coarse bins, which stay in a register from column to column
    rank, second = firsts[total], seconds[total]
    for col in range(cols):
        coarse = vectors.add(coarse, vectors.read(columns, (col + window_cols - 1) * _HISTOGRAM))
        vectors.write(window, 0, coarse)
        if masked != 0:
            total += columns[(col + window_cols - 1) * _HISTOGRAM + _TOTAL]
            rank, second = firsts[total], seconds[total]
        first_value, second_value = 0, 0
        if total > 0:
            found = vectors.find_rank(window, 0, rank)
            coarse_bin = found & 15
            left = rank - (found >> 4)
            _update_segment(columns, window, updated_at, coarse_bin >> 1, col, window_cols)
            found = vectors.find_rank(window, _LEVELS + 16 * coarse_bin, left)
            left -= found >> 4
            place = _LEVELS + 16 * coarse_bin + (found & 15)
            first_value = place - _LEVELS
            second_value = first_value
            if results != 0 and second != rank and left + 1 >= window[place]:
                second_value = _next_level(columns, window, updated_at, coarse_bin, place + 1, col, window_cols)
        if results == _MEAN:
            both = first_value + second_value
            first_value = (both >> 1) + (both & (both >> 1) & 1)
        out[o] = first_value
        if results == _BOTH:
            next_out[o] = second_value
            if masked != 0:
                counts[o] = total
        o += channels
        coarse = vectors.subtract(coarse, vectors.read(columns, col * _HISTOGRAM))
        if masked != 0:
            total -= columns[col * _HISTOGRAM + _TOTAL]


def _next_level(columns, window, updated_at, coarse_bin, place, col, window_cols):
    """Return the smallest level in the window that is not below that of the count at ``place``."""
    while place < _LEVELS + 16 * (coarse_bin + 1):
        if window[place] > 0:
            return place - _LEVELS
        place += 1
    coarse_bin += 1
    while window[coarse_bin] == 0:
        coarse_bin += 1
    _update_segment(columns, window, updated_at, coarse_bin >> 1, col, window_cols)
    place = _LEVELS + 16 * coarse_bin
    while window[place] == 0:
        place += 1
    return place - _LEVELS


def _update_segment(columns, window, updated_at, segment, col, window_cols):
    """Update the levels of a segment: from those of a nearby window of the row, or as the sum of all columns."""
    place = _LEVELS + segment * _SEGMENT
    before = updated_at[segment]
    if 2 * (col - before) > window_cols:
        for step in range(place, place + _SEGMENT, vectors.lanes(window)):
            sums = vectors.read(columns, col * _HISTOGRAM + step)
            for other in range(col + 1, col + window_cols):
                sums = vectors.add(sums, vectors.read(columns, other * _HISTOGRAM + step))
            vectors.write(window, step, sums)
    else:
        for step in range(place, place + _SEGMENT, vectors.lanes(window)):
            sums = vectors.read(window, step)
            for other in range(before, col):
                sums = vectors.add(sums, vectors.read(columns, (other + window_cols) * _HISTOGRAM + step))
                sums = vectors.subtract(sums, vectors.read(columns, other * _HISTOGRAM + step))
            vectors.write(window, step, sums)
    updated_at[segment] = col


def _clear(counts, first, count):
    for place in range(first, first + count):
        counts[place] = 0


def _enter(window, place, columns, other, count):
    for step in range(0, count, vectors.lanes(window)):
        sums = vectors.add(vectors.read(window, place + step), vectors.read(columns, other + step))
        vectors.write(window, place + step, sums)
