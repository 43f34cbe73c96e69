"""Means of bytes over boxes of an odd, small number of columns, two rows at a time: 16-bit sums in vectors."""

from __future__ import annotations

import numpy as np

from convfilter.loops import vectors
from convfilter.loops.column_sums import _pad, _slide_two_windows, _sum_two_windows

#: Source samples of a chunk: the column sums of two rows and the samples that they add fit a core's L1 cache of 32 KB.
_CHUNK = 2**11
#: Samples of a prefetch, a cache line. While two rows are summed, the next two are prefetched: sums of bytes take less
#: time than the processor's own prefetcher.
_PREFETCHED = 64
#: The column sums of the second row begin at a multiple of this many samples, a cache line.
_LINE = 32


def _store_two_rows(
    source, pitch, rows, y, window_rows, constant, line, width, cols, places, before, channels,
    window_cols, tap_pitch, half, factor, rest, out, o, out_pitch, length,
):  # fmt: skip
    """Store the means of rows ``y`` and ``y + 1``.

    Sums of three by three samples stay in registers. Other column sums are made chunk by chunk, and added while they
    are in L1; windows of more than three rows add to those of row ``y - 1`` in ``line``, where those of row ``y + 1``
    remain. The outputs near padding come last.
    """
    at = before * channels
    second = max(places * channels, at + width)
    second += -second % _LINE
    lanes = vectors.lanes(line)
    begin = min(at + -at % lanes, length)
    end = min(at + width - (window_cols - 1) * tap_pitch, length)
    done = begin
    # The samples that outputs near padding read, and those that padding repeats.
    edge = max(at, places * channels - at - width) + 2 * tap_pitch + lanes
    if window_rows == 3 and window_cols == 3 and 2 * edge < width:
        _sum_two_windows(source, pitch, rows, y + 1, line, second + at, at, 0, edge)
        _sum_two_windows(source, pitch, rows, y + 1, line, second + at, at, width - edge, width)
        while done < end:
            ready = min(done + _CHUNK, end)
            _prefetch_rows(source, pitch, rows, y + 4, done, ready)
            _store_two_threes(
                source, pitch, rows, y + 1, at, tap_pitch, line, half, factor, rest, out, o, out_pitch, done, ready
            )
            done = ready
    else:
        for first in range(0, width, _CHUNK):
            last = min(first + _CHUNK, width)
            if window_rows == 3:
                _sum_two_windows(source, pitch, rows, y + 1, line, second + at, at, first, last)
            else:
                _slide_two_windows(source, pitch, rows, y, window_rows, line, at, second + at, first, last)
            _prefetch_rows(source, pitch, rows, y + window_rows + 1, first, last)
            # The outputs whose taps are all summed, in whole vectors.
            ready = min(at + last - (window_cols - 1) * tap_pitch, end)
            ready = begin + max(0, ready - begin) // lanes * lanes
            _store_few(line, second, window_cols, tap_pitch, half, factor, rest, out, o, done, ready)
            _store_few(line, 0, window_cols, tap_pitch, half, factor, rest, out, o + out_pitch, done, ready)
            done = ready
    for row in range(2):
        origin, to = (1 - row) * second, o + row * out_pitch
        _pad(line, origin, cols, places, before, width, channels, constant * window_rows)
        _store_few(line, origin, window_cols, tap_pitch, half, factor, rest, out, to, 0, begin)
        _store_few(line, origin, window_cols, tap_pitch, half, factor, rest, out, to, done, length)


def _least_row(rows, first, last):
    """Return the least of rows ``first`` to ``last - 1``; padding is -1."""
    least = rows[first]
    for row in range(first + 1, last):
        least = min(least, rows[row])
    return least


def _prefetch_rows(source, pitch, rows, newest, first, last):
    """Prefetch samples of the two rows below row ``newest``, where the next two windows end."""
    start = rows[newest] * pitch
    step = start - rows[newest - 1] * pitch
    for x in range(first, last, _PREFETCHED):
        vectors.prefetch(source, start + step + x)
        vectors.prefetch(source, start + 2 * step + x)


def _store_two_threes(
    source, pitch, rows, top, at, tap_pitch, line, half, factor, rest, out, o, out_pitch, start, stop
):  # fmt: skip
    """Store the means of three by three samples for samples ``start`` to ``stop - 1`` of two rows."""
    a, b, c, d = rows[top] * pitch, rows[top + 1] * pitch, rows[top + 2] * pitch, rows[top + 3] * pitch
    lanes = vectors.lanes(line)
    halves, factors, rests = vectors.spread(line, half), vectors.spread(line, factor), vectors.spread(line, rest)
    for first in range(start, stop, lanes):
        x = min(first, stop - lanes)
        s = x - at
        two = vectors.add(_three(source, b + s, tap_pitch, line), _three(source, c + s, tap_pitch, line))
        two = vectors.add(two, halves)
        above = vectors.high_product(vectors.add(two, _three(source, a + s, tap_pitch, line)), factors)
        below = vectors.high_product(vectors.add(two, _three(source, d + s, tap_pitch, line)), factors)
        if rest > 0:
            above, below = vectors.high_product(above, rests), vectors.high_product(below, rests)
        vectors.write_as(out, o + x, above)
        vectors.write_as(out, o + out_pitch + x, below)


def _three(source, near, tap_pitch, line):
    """Return the sums of three taps in the type of ``line``."""
    two = vectors.add(vectors.read_as(line, source, near), vectors.read_as(line, source, near + tap_pitch))
    return vectors.add(two, vectors.read_as(line, source, near + 2 * tap_pitch))


def _store_few(line, origin, window, tap_pitch, half, factor, rest, out, o, start, stop):
    """Store the means of an odd number of taps for samples ``start`` to ``stop - 1``, in whole vectors if they fit.

    Sums take 16 bits, of which a register holds twice as many as of 32.
    """
    lanes = vectors.lanes(line)
    if stop < lanes:
        for x in range(start, stop):
            total = np.int64(half)
            for tap in range(window):
                total += line[origin + x + tap * tap_pitch]
            mean = total * factor >> 16
            out[o + x] = np.int32(mean * rest >> 16 if rest > 0 else mean)
        return
    halves, factors, rests = vectors.spread(line, half), vectors.spread(line, factor), vectors.spread(line, rest)
    for first in range(start, stop, lanes):
        x = min(first, stop - lanes)
        near = origin + x
        total = vectors.add(vectors.read(line, near), halves)
        for _ in range(1, window, 2):
            near += tap_pitch
            two = vectors.add(vectors.read(line, near), vectors.read(line, near + tap_pitch))
            total = vectors.add(total, two)
            near += tap_pitch
        mean = vectors.high_product(total, factors)
        if rest > 0:
            mean = vectors.high_product(mean, rests)
        vectors.write_as(out, o + x, mean)
