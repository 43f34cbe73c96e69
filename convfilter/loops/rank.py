"""Rank filter of bytes in rectangular windows at a constant cost: column histograms.

Each column of a window has a histogram; one row further down, one sample leaves it and one enters. One column further
along, one column's histogram is subtracted from the window's and another's is added: always for the sixteen coarse bins
of sixteen levels, but only near the rank for single levels (S. Perreault, P. Hebert, "Median filtering in constant
time", IEEE Trans. Image Processing 16, 2007).
"""

from __future__ import annotations

from convfilter.loops import vectors

#: Layout of a histogram: sixteen coarse bins, sixteen unused places, then 256 levels. A stretch is the levels of two
#: coarse bins, which are brought up to date together.
_LEVELS = 32
_HISTOGRAM = 32 + 256
_STRETCH = 32


def by_columns(
    tile, pitch, rows, window_rows, cols, window_cols, channels, rank, both, out, next_out, out_pitch,
    columns, window, current,
):  # fmt: skip
    """Write the sample of ``rank`` (from 0) of each window and, with ``both``, the next sample to ``next_out``.

    Windows begin at each row and column of ``tile``, whose rows are ``pitch`` samples apart.

    Scratch: ``columns`` of 288 counts for each column of the tile, ``window`` of 288 counts, ``current`` of eight
    columns.
    """
    width = cols + window_cols - 1
    for channel in range(channels):
        _clear(columns, 0, width * _HISTOGRAM)
        for row in range(window_rows - 1):
            _enter_row(columns, tile, row * pitch + channel, channels, width)
        for row in range(rows):
            _enter_row(columns, tile, (row + window_rows - 1) * pitch + channel, channels, width)
            _write_row(
                columns, window, current, cols, window_cols, channels, rank, both,
                out, next_out, row * out_pitch + channel,
            )  # fmt: skip
            _leave_row(columns, tile, row * pitch + channel, channels, width)
    return 0


def _enter_row(columns, tile, start, channels, width):
    for col in range(width):
        value = int(tile[start + col * channels])
        columns[col * _HISTOGRAM + (value >> 4)] += 1
        columns[col * _HISTOGRAM + _LEVELS + value] += 1


def _leave_row(columns, tile, start, channels, width):
    for col in range(width):
        value = int(tile[start + col * channels])
        columns[col * _HISTOGRAM + (value >> 4)] -= 1
        columns[col * _HISTOGRAM + _LEVELS + value] -= 1


def _write_row(columns, window, current, cols, window_cols, channels, rank, both, out, next_out, o):
    """Write a row of results; ``current[stretch]`` is the column for which the levels of a stretch are valid."""
    _clear(window, 0, _LEVELS)
    for stretch in range(8):
        current[stretch] = -2 * window_cols
    for col in range(window_cols - 1):
        _enter(window, 0, columns, col * _HISTOGRAM, 16)
    coarse = vectors.read(window, 0)  # sixteen bins, which stay in a register from column to column
    for col in range(cols):
        coarse = vectors.add(coarse, vectors.read(columns, (col + window_cols - 1) * _HISTOGRAM))
        vectors.write(window, 0, coarse)
        answer = vectors.find_rank(window, 0, rank)
        bin_ = answer & 15
        left = rank - (answer >> 4)
        _update_stretch(columns, window, current, bin_ >> 1, col, window_cols)
        answer = vectors.find_rank(window, _LEVELS + 16 * bin_, left)
        left -= answer >> 4
        place = _LEVELS + 16 * bin_ + (answer & 15)
        out[o] = place - _LEVELS
        if both:
            if left + 1 < window[place]:
                next_out[o] = place - _LEVELS
            else:
                next_out[o] = _after(columns, window, current, bin_, place + 1, col, window_cols)
        o += channels
        coarse = vectors.subtract(coarse, vectors.read(columns, col * _HISTOGRAM))


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
