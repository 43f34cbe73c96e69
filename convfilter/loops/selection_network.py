"""Rank filter by a selection network: a sorting network without the comparisons that do not affect the rank.

A network is a list of pairs of lines; a line holds the samples under one tap for a few vectors of outputs. Each pair is
compared, vector by vector: the smaller samples are stored in the first line, the larger ones in the second
(K. E. Batcher, "Sorting networks and their applications", AFIPS 1968). The columns of a rectangle are sorted once for
all windows that contain them (A. Adams, "Fast median filters using separable sorting networks", ACM Trans. Graphics
40, 2021). ``median_3.py`` and ``median_5.py`` have those of 3x3 and 5x5.
"""

from __future__ import annotations

from convfilter.loops import vectors

#: Number of vectors of a line.
_VECTORS = 4


def select(
    tile, pitch, row_stride, rows, length, window_rows, row_pitch, column_pairs, column_pair_count, columns, width,
    taps, count, pairs, pair_count, first, second, lines, out, next_out, out_pitch,
):  # fmt: skip
    """Run the network for each output; write its line ``first`` to ``out``, and its line ``second`` to ``next_out``.

    The rows of ``tile`` are ``pitch`` samples apart, and windows are ``row_stride`` rows apart. Tap ``tap`` of output x
    is sample ``taps[tap] + x`` of the window's first row. If ``column_pair_count`` is above 0, ``column_pairs`` sort
    the columns of a window's rows, which are ``row_pitch`` samples apart, and taps are samples of ``columns``:
    ``window_rows`` rows of ``width`` samples. A pair is the numbers of two lines and of the results to store: 0 both, 1
    the smaller, 2 the larger. ``tile`` and ``columns`` have four vectors of padding behind them. Scratch: ``columns``,
    and ``lines`` for ``count`` lines of four vectors.
    """
    size = _VECTORS * vectors.lanes(lines)
    for row in range(rows):
        start = row * row_stride * pitch
        o = row * out_pitch
        if column_pair_count > 0:
            _sort_columns(tile, start, row_pitch, window_rows, column_pairs, column_pair_count, lines, columns, width)
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
    tile, valid, pitch, row_stride, rows, length, window_rows, row_pitch, column_pairs, column_pair_count, columns,
    valid_columns, width, taps, count, pairs, pair_count, chosen, firsts, seconds, chosen_count, averages, lines, out,
    next_out, counts, out_pitch,
):  # fmt: skip
    """Run the network for each output, and write the samples of two ranks among the valid samples of its window.

    ``valid`` is the mask of each sample of ``tile``. Ignored samples must be the largest number of their type, so that
    the network sorts them last. If n samples of a window are valid, the first result is line ``chosen[j]`` for the
    largest j with ``firsts[j] <= n``, and the second likewise with ``seconds``; if n is 0, both are 0. They are written
    to ``out`` and ``next_out``, and n to ``counts``; with ``averages``, only ``out`` is written: the mean of both,
    rounded half to even.

    Scratch: ``valid_columns`` for ``width`` samples, ``lines`` for ``count + 3`` lines. The other arguments are those
    of ``select``.
    """
    size = _VECTORS * vectors.lanes(lines)
    valid_counts, low, high = count * size, (count + 1) * size, (count + 2) * size
    for row in range(rows):
        start = row * row_stride * pitch
        o = row * out_pitch
        if column_pair_count > 0:
            _sort_columns(tile, start, row_pitch, window_rows, column_pairs, column_pair_count, lines, columns, width)
            for x in range(0, width, size):
                _read(valid, start + x, lines, valid_counts)
                for tap in range(1, window_rows):
                    _add(valid, start + tap * row_pitch + x, lines, valid_counts)
                _write(lines, valid_counts, valid_columns, x, width - x)
        for x in range(0, length, size):
            if column_pair_count > 0:
                for tap in range(count):
                    _read(columns, taps[tap] + x, lines, tap * size)
                _read(valid_columns, taps[0] + x, lines, valid_counts)
                for tap in range(1, count // window_rows):
                    _add(valid_columns, taps[tap] + x, lines, valid_counts)
            else:
                _read(valid, start + taps[0] + x, lines, valid_counts)
                for tap in range(count):
                    _read(tile, start + taps[tap] + x, lines, tap * size)
                for tap in range(1, count):
                    _add(valid, start + taps[tap] + x, lines, valid_counts)
            _compare(lines, pairs, pair_count)
            _select_ranks(lines, valid_counts, chosen, firsts, seconds, chosen_count, low, high, size)
            if averages:
                _average(lines, low, high, size)
            else:
                _write(lines, high, next_out, o + x, length - x)
                for k in range(min(size, length - x)):
                    counts[o + x + k] = lines[valid_counts + k]
            _write(lines, low, out, o + x, length - x)
    return 0


def _sort_columns(tile, start, row_pitch, window_rows, pairs, pair_count, lines, columns, width):
    """Sort the columns of the rows of a window, of which the first begins at sample ``start``, into ``columns``."""
    size = _VECTORS * vectors.lanes(lines)
    for x in range(0, width, size):
        for tap in range(window_rows):
            _read(tile, start + tap * row_pitch + x, lines, tap * size)
        _compare(lines, pairs, pair_count)
        for tap in range(window_rows):
            _write(lines, tap * size, columns, tap * width + x, width - x)


def _select_ranks(lines, valid_counts, chosen, firsts, seconds, count, low, high, size):
    """Write both results of each output, as ``select_valid`` describes, to lines ``low`` and ``high``.

    ``firsts[j]`` is at least ``seconds[j]``, so the search begins at the last line whose ``firsts[j]`` all outputs
    reach.
    """
    least = vectors.read(lines, valid_counts)
    for v in range(vectors.lanes(lines), size, vectors.lanes(lines)):
        least = vectors.lesser(least, vectors.read(lines, valid_counts + v))
    begin = 0
    for j in range(1, count):
        if begin == j - 1 and vectors.unequal(vectors.greater(least, vectors.spread(lines, firsts[j])), least) == 0:
            begin = j
    nothing, one = vectors.spread(lines, 0), vectors.spread(lines, 1)
    for v in range(0, size, vectors.lanes(lines)):
        numbers = vectors.read(lines, valid_counts + v)
        first = vectors.read(lines, chosen[begin] * size + v)
        second = first
        for j in range(begin + 1, count):
            sample = vectors.read(lines, chosen[j] * size + v)
            first = vectors.choose(numbers, vectors.spread(lines, firsts[j]), sample, first)
            second = vectors.choose(numbers, vectors.spread(lines, seconds[j]), sample, second)
        vectors.write(lines, low + v, vectors.choose(numbers, one, first, nothing))
        vectors.write(lines, high + v, vectors.choose(numbers, one, second, nothing))


def _average(lines, low, high, size):
    """Write the mean of lines ``low`` and ``high``, rounded half to even, to line ``low``."""
    for v in range(0, size, vectors.lanes(lines)):
        mean = vectors.mean(vectors.read(lines, low + v), vectors.read(lines, high + v))
        vectors.write(lines, low + v, mean)


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
