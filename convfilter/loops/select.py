"""Rank filter by a selection network: a sorting network without the comparisons that do not affect the rank.

The network is a list of pairs of lines. A line holds the samples under one tap for a few vectors of outputs. For each
pair, the smaller samples go to the first line and the larger ones to the second, whole vectors at a time
(K. E. Batcher, "Sorting networks and their applications", AFIPS 1968). The columns of a rectangle are sorted once for
all windows that contain them (A. Adams, "Fast median filters using separable sorting networks", ACM Trans. Graphics
40, 2021). ``loops/median.py`` has the medians of 3x3 and 5x5.
"""

from __future__ import annotations

import numpy as np

from convfilter.loops import vectors

#: Vectors of a line.
_VECTORS = 4


def select(
    tile, pitch, step, rows, length, window_rows, apart, column_pairs, column_pair_count, columns, width,
    taps, count, pairs, pair_count, first, second, lines, out, next_out, out_pitch,
):  # fmt: skip
    """Run the network for each output; write its lines ``first`` to ``out``, and ``second`` to ``next_out``.

    ``tile`` has rows ``pitch`` samples apart; neighbouring outputs are ``step`` rows apart. Tap ``tap`` of output x is
    sample ``taps[tap] + x`` of the row or, with ``column_pair_count``, of ``columns``: ``window_rows`` lines of
    ``width`` samples that hold sorted columns of rows ``apart`` samples apart. A pair is two lines and the results to
    store: 0 both, 1 the smaller, 2 the larger. ``lines`` has room for ``count`` lines of four vectors; ``tile`` and
    ``columns`` have four vectors of padding behind them.
    """
    size = _VECTORS * vectors.lanes(lines)
    for row in range(rows):
        start = row * step * pitch
        o = row * out_pitch
        if column_pair_count > 0:
            for x in range(0, width, size):
                for tap in range(window_rows):
                    _read(tile, start + tap * apart + x, lines, tap * size)
                _compare(lines, column_pairs, column_pair_count)
                for tap in range(window_rows):
                    _write(lines, tap * size, columns, tap * width + x, width - x)
            for x in range(0, length, size):
                for tap in range(count):
                    _read(columns, taps[tap] + x, lines, tap * size)
                _compare(lines, pairs, pair_count)
                _write(lines, first * size, out, o + x, length - x)
                _write(lines, second * size, next_out, o + x, length - x)
        else:
            for x in range(0, length, size):
                for tap in range(count):
                    _read(tile, start + taps[tap] + x, lines, tap * size)
                _compare(lines, pairs, pair_count)
                _write(lines, first * size, out, o + x, length - x)
                _write(lines, second * size, next_out, o + x, length - x)
    return 0


def select_valid(
    tile, marks, pitch, step, rows, length, window_rows, apart, column_pairs, column_pair_count, columns, mark_columns,
    width, taps, count, pairs, pair_count, chosen, firsts, seconds, chosen_count, averages, lines,
    out, next_out, counts, out_pitch,
):  # fmt: skip
    """Run the network for each output, and write two ranks among the samples whose mark is 1, not 0.

    The other samples are the largest of their type, so that they are last. Of the n marked samples of a window, the
    first rank is the one in line ``chosen[j]`` for the last j for which n is at least ``firsts[j]``; the second,
    likewise, by ``seconds``. Both are 0 if there is none. ``counts`` gets n. With ``averages``, only ``out`` is
    written: the mean of both, rounded half to even.

    ``mark_columns`` is scratch for a line of ``width`` samples, ``lines`` for ``count + 3`` lines; other arguments are
    those of ``select``.
    """
    size = _VECTORS * vectors.lanes(lines)
    number, low, high = count * size, (count + 1) * size, (count + 2) * size
    for row in range(rows):
        start = row * step * pitch
        o = row * out_pitch
        if column_pair_count > 0:
            for x in range(0, width, size):
                for tap in range(window_rows):
                    _read(tile, start + tap * apart + x, lines, tap * size)
                _compare(lines, column_pairs, column_pair_count)
                for tap in range(window_rows):
                    _write(lines, tap * size, columns, tap * width + x, width - x)
                _read(marks, start + x, lines, number)
                for tap in range(1, window_rows):
                    _add(marks, start + tap * apart + x, lines, number)
                _write(lines, number, mark_columns, x, width - x)
        for x in range(0, length, size):
            if column_pair_count > 0:
                for tap in range(count):
                    _read(columns, taps[tap] + x, lines, tap * size)
                _read(mark_columns, taps[0] + x, lines, number)
                for tap in range(1, count // window_rows):
                    _add(mark_columns, taps[tap] + x, lines, number)
            else:
                _read(marks, start + taps[0] + x, lines, number)
                for tap in range(count):
                    _read(tile, start + taps[tap] + x, lines, tap * size)
                for tap in range(1, count):
                    _add(marks, start + taps[tap] + x, lines, number)
            _compare(lines, pairs, pair_count)
            _choose(lines, number, chosen, firsts, seconds, chosen_count, low, high, size)
            if averages:
                _average(lines, low, high, size)
            else:
                _write(lines, high, next_out, o + x, length - x)
                for k in range(min(size, length - x)):
                    counts[o + x + k] = lines[number + k]
            _write(lines, low, out, o + x, length - x)
    return 0


def _choose(lines, number, chosen, firsts, seconds, count, low, high, size):
    """Write the samples of both ranks of each output: from the last line whose least number its samples reach.

    The first rank needs at least as many samples as the second. Lines that all outputs have passed are skipped.
    """
    least = vectors.read(lines, number)
    for v in range(vectors.lanes(lines), size, vectors.lanes(lines)):
        least = vectors.lesser(least, vectors.read(lines, number + v))
    vectors.write(lines, low, least)
    fewest = lines[low]
    for x in range(vectors.lanes(lines)):
        fewest = min(fewest, lines[low + x])
    begin = 0
    for j in range(1, count):
        if fewest >= firsts[j]:
            begin = j
    line = chosen[begin] * size
    for x in range(size):
        lines[low + x] = lines[line + x]
        lines[high + x] = lines[line + x]
    for j in range(begin + 1, count):
        line, first, second = chosen[j] * size, firsts[j], seconds[j]
        for x in range(size):
            sample, samples = lines[line + x], lines[number + x]
            lower, higher = lines[low + x], lines[high + x]
            lines[low + x] = lower ^ ((lower ^ sample) & -np.int64(samples >= first))
            lines[high + x] = higher ^ ((higher ^ sample) & -np.int64(samples >= second))
    if fewest <= 0:  # behind the last output, numbers are undefined
        for x in range(size):
            lines[low + x] = lines[low + x] if lines[number + x] != 0 else 0
            lines[high + x] = lines[high + x] if lines[number + x] != 0 else 0


def _average(lines, low, high, size):
    """Replace samples by their mean with others, rounded half to even."""
    for x in range(size):
        one, other = lines[low + x], lines[high + x]
        down = (one & other) + ((one ^ other) >> 1)
        lines[low + x] = down + ((one ^ other) & down & 1)


def _add(source, i, lines, to):
    for v in range(0, _VECTORS * vectors.lanes(lines), vectors.lanes(lines)):
        vectors.write(lines, to + v, vectors.add(vectors.read(lines, to + v), vectors.read(source, i + v)))


def _read(source, i, lines, to):
    for v in range(0, _VECTORS * vectors.lanes(lines), vectors.lanes(lines)):
        vectors.write(lines, to + v, vectors.read(source, i + v))


def _write(lines, i, out, o, left):
    for v in range(0, _VECTORS * vectors.lanes(lines), vectors.lanes(lines)):
        if left - v >= vectors.lanes(lines):
            vectors.write(out, o + v, vectors.read(lines, i + v))
        else:
            vectors.write_part(out, o + v, vectors.read(lines, i + v), left - v)


def _compare(lines, pairs, count):
    size = _VECTORS * vectors.lanes(lines)
    for pair in range(count):
        one, other = pairs[3 * pair] * size, pairs[3 * pair + 1] * size
        stored = pairs[3 * pair + 2]
        for v in range(0, size, vectors.lanes(lines)):
            a, b = vectors.read(lines, one + v), vectors.read(lines, other + v)
            if stored != 2:
                vectors.write(lines, one + v, vectors.lesser(a, b))
            if stored != 1:
                vectors.write(lines, other + v, vectors.greater(a, b))
