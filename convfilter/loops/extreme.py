"""Pooling: largest or smallest sample, or sum, of a window, at a cost that hardly grows with the window.

Down the columns: running extremes (van Herk, 1992; Gil and Werman, 1993). Rows are split into blocks; a window that
begins in a block consists of the end of that block, whole blocks, and the beginning of another, and the extremes of
ends and beginnings grow by one row at a time. Along a row: doubling. Windows of 4, 16, 64, ... taps are made of four
smaller ones, and up to four that overlap cover a window of any size. Sums use the same scheme without overlap: nothing
is subtracted, so no rounding error or infinity is carried from one window to the next. Everything runs over whole rows,
one vector of samples at a time, in the samples' own type.
"""

from __future__ import annotations


def largest(
    source, source_pitch, rows, window_rows, step_rows, block, blocks,
    length, nearest, places, before, channels, window_cols, reach, step_cols,
    ends, wholes, between, beginning, line, spare, out, start, out_pitch, out_cols, count,
):  # fmt: skip
    """Write the largest sample of each window: a NaN if there is one, and of equal samples (0 and -0) the last.

    ``rows`` holds the source row of each padded place; a window is ``window_rows`` of them, and windows are
    ``step_rows`` apart. The first ``length`` samples of a source row start at place ``before`` of the padded row of
    ``places``; ``nearest`` maps each place to the place to read (its own or, for padding, one within the same windows).
    A window has ``window_cols`` places, ``reach`` apart; windows are ``step_cols`` apart. A window consists of
    ``blocks`` blocks of ``block`` rows, and fewer than ``blocks`` rows more; ``blocks`` is 0 if windows are too small
    or too far apart for van Herk blocks.

    Scratch: ``ends`` of ``block`` rows of ``length`` samples, ``wholes`` of ``blocks``, ``between``
    and ``beginning`` of one; ``line`` and ``spare`` of ``places * channels`` samples.
    """
    return _windows(
        _larger, _extremes_along, source, source_pitch, rows, window_rows, step_rows, block, blocks,
        length, nearest, places, before, channels, window_cols, reach, step_cols,
        ends, wholes, between, beginning, line, spare, out, start, out_pitch, out_cols, count,
    )  # fmt: skip


def least(
    source, source_pitch, rows, window_rows, step_rows, block, blocks,
    length, nearest, places, before, channels, window_cols, reach, step_cols,
    ends, wholes, between, beginning, line, spare, out, start, out_pitch, out_cols, count,
):  # fmt: skip
    """Write the smallest sample of each window; otherwise as ``largest``."""
    return _windows(
        _smaller, _extremes_along, source, source_pitch, rows, window_rows, step_rows, block, blocks,
        length, nearest, places, before, channels, window_cols, reach, step_cols,
        ends, wholes, between, beginning, line, spare, out, start, out_pitch, out_cols, count,
    )  # fmt: skip


def sums(
    source, source_pitch, rows, window_rows, step_rows, block, blocks,
    length, nearest, places, before, channels, window_cols, reach, step_cols,
    ends, wholes, between, beginning, line, spare, out, start, out_pitch, out_cols, count,
):  # fmt: skip
    """Write the sum of each window; otherwise as ``largest``."""
    return _windows(
        _plus, _sums_along, source, source_pitch, rows, window_rows, step_rows, block, blocks,
        length, nearest, places, before, channels, window_cols, reach, step_cols,
        ends, wholes, between, beginning, line, spare, out, start, out_pitch, out_cols, count,
    )  # fmt: skip


def _larger(one, other):
    return one if one > other or one != one else other  # noqa: PLR0124


def _smaller(one, other):
    return one if one < other or one != one else other  # noqa: PLR0124


def _plus(one, other):
    return one + other


def _windows(
    choose, along, source, source_pitch, rows, window_rows, step_rows, block, blocks,
    length, nearest, places, before, channels, window_cols, reach, step_cols,
    ends, wholes, between, beginning, line, spare, out, start, out_pitch, out_cols, count,
):  # fmt: skip
    at = before * channels
    to = start
    if blocks == 0:
        for y in range(count):
            _reduce_rows(choose, source, source_pitch, rows, y * step_rows, window_rows, line, at, length)
            _pad(line, nearest, places, before, length, channels)
            along(choose, line, spare, places, channels, window_cols, reach, step_cols, out, to, out_cols)
            to += out_pitch
        return 0
    windows = (count - 1) * step_rows + 1
    rest = window_rows - block * blocks
    stored = max(1, blocks - 1)
    for b in range(1, blocks):
        _reduce_rows(choose, source, source_pitch, rows, b * block, block, wholes, b % stored * length, length)
    for first in range(0, windows, block):
        _grow_upward(choose, source, source_pitch, rows, first, block, ends, length)
        oldest = (first // block + 1) % stored
        if blocks > 1:
            _merge_all(choose, wholes, oldest, stored, between, length)
        ahead = first + block * blocks
        begun = 0
        for i in range(min(block, windows - first)):
            while begun < i + rest:
                _grow(choose, begun, source, rows[ahead + begun] * source_pitch, beginning, length)
                begun += 1
                if begun == block and blocks > 1:
                    _copy(beginning, 0, wholes, oldest * length, length)
            if (first + i) % step_rows == 0:
                if blocks > 1 and begun > 0:
                    _three(choose, ends, i * length, between, 0, beginning, 0, line, at, length)
                elif blocks > 1:
                    _two(choose, ends, i * length, between, 0, line, at, length)
                elif begun > 0:
                    _two(choose, ends, i * length, beginning, 0, line, at, length)
                else:
                    _copy(ends, i * length, line, at, length)
                _pad(line, nearest, places, before, length, channels)
                along(choose, line, spare, places, channels, window_cols, reach, step_cols, out, to, out_cols)
                to += out_pitch
        if begun < block and blocks > 1 and first + block < windows:
            _grow(choose, begun, source, rows[ahead + begun] * source_pitch, beginning, length)
            _copy(beginning, 0, wholes, oldest * length, length)
    return 0


# Down the columns --------------------------------------------------------------


def _reduce_rows(choose, source, pitch, rows, first, count, out, o, length):
    """Write the extremes of the columns of ``count`` rows."""
    if count == 1:
        _copy(source, rows[first] * pitch, out, o, length)
        return
    _two(choose, source, rows[first] * pitch, source, rows[first + 1] * pitch, out, o, length)
    r = first + 2
    while r + 1 < first + count:
        _enter_both(choose, out, o, source, rows[r] * pitch, rows[r + 1] * pitch, length)
        r += 2
    if r < first + count:
        _enter(choose, out, o, source, rows[r] * pitch, length)


def _grow_upward(choose, source, pitch, rows, first, count, ends, length):
    """Write the extremes of the ends of a block: line ``i`` of ``ends`` covers rows ``i`` to ``count - 1``."""
    _copy(source, rows[first + count - 1] * pitch, ends, (count - 1) * length, length)
    for i in range(count - 2, -1, -1):
        _two(choose, source, rows[first + i] * pitch, ends, (i + 1) * length, ends, i * length, length)


def _grow(choose, begun, source, i, beginning, length):
    """Add a row to the beginning of a block, which has ``begun`` rows."""
    if begun == 0:
        _copy(source, i, beginning, 0, length)
    else:
        _enter(choose, beginning, 0, source, i, length)


def _merge_all(choose, lines, first, count, out, length):
    """Write the extremes of all ``count`` lines of a ring, of which ``first`` is the oldest."""
    _copy(lines, first * length, out, 0, length)
    for k in range(1, count):
        _enter(choose, out, 0, lines, (first + k) % count * length, length)


def _copy(a, i, out, o, length):
    for x in range(length):
        out[o + x] = a[i + x]


# Separate functions: given one array for reading and writing, the compiler cannot vectorise the loop.
def _enter(choose, out, o, a, i, length):
    for x in range(length):
        out[o + x] = choose(out[o + x], a[i + x])


def _enter_both(choose, out, o, a, i, j, length):
    for x in range(length):
        out[o + x] = choose(choose(out[o + x], a[i + x]), a[j + x])


def _two(choose, a, i, b, j, out, o, length):
    for x in range(length):
        out[o + x] = choose(a[i + x], b[j + x])


def _three(choose, a, i, b, j, c, k, out, o, length):
    for x in range(length):
        out[o + x] = choose(choose(a[i + x], b[j + x]), c[k + x])


# Along a row -------------------------------------------------------------------


def _pad(line, nearest, places, before, length, channels):
    """Fill the padding before and behind a row's samples."""
    for part in range(2):
        begin = 0 if part == 0 else before + length // channels
        end = before if part == 0 else places
        for p in range(begin, end):
            for c in range(channels):
                line[p * channels + c] = line[nearest[p] * channels + c]


def _extremes_along(choose, line, spare, places, channels, window, reach, step, out, o, out_cols):
    """Write the extremes of the windows of a padded row."""
    shift = reach * channels
    size = 1
    length = places * channels
    here, there = line, spare
    while 4 * size < window:
        length -= 3 * size * shift
        _four(choose, here, size * shift, 2 * size * shift, 3 * size * shift, there, 0, length)
        here, there = there, here
        size *= 4
    if step == 1:
        _cover(choose, here, size, shift, window, out, o, out_cols * channels)
        return
    _cover(choose, here, size, shift, window, there, 0, ((out_cols - 1) * step + 1) * channels)
    if channels == 1:
        _decimate(there, step, 1, out, o, out_cols)
    elif channels == 3:
        _decimate(there, step, 3, out, o, out_cols)
    else:
        _decimate(there, step, channels, out, o, out_cols)


def _sums_along(choose, line, spare, places, channels, window, reach, step, out, o, out_cols):
    """Write the window sums of a padded row, composed of sums of 1, 2, 4, ... taps."""
    shift = reach * channels
    size, done = 1, 0
    length = places * channels
    here, there = line, spare
    while True:
        if window & size:
            _add_decimated(here, done * shift, step, channels, done > 0, out, o, out_cols)
            done += size
        if 2 * size > window:
            return
        length -= size * shift
        _two(choose, here, 0, here, size * shift, there, 0, length)
        here, there = there, here
        size *= 2


def _add_decimated(a, i, step, channels, add, out, o, cols):
    """Write every ``step``-th pixel to ``out``, or ``add`` it."""
    if step > 1:
        for x in range(cols):
            for c in range(channels):
                value = a[i + x * step * channels + c]
                out[o + x * channels + c] = out[o + x * channels + c] + value if add else value
    elif add:
        for x in range(cols * channels):
            out[o + x] += a[i + x]
    else:
        _copy(a, i, out, o, cols * channels)


def _cover(choose, a, size, shift, window, out, o, length):
    """Write the extremes of windows of ``window`` taps, each covered by up to four windows of ``size`` taps."""
    last = (window - size) * shift
    near = size * shift
    far = min(2 * near, last)
    if last == 0:
        _copy(a, 0, out, o, length)
    elif last <= near:
        _two(choose, a, 0, a, last, out, o, length)
    elif last <= 2 * near:
        _three(choose, a, 0, a, near, a, last, out, o, length)
    else:
        _four(choose, a, near, far, last, out, o, length)


def _four(choose, a, near, far, last, out, o, length):
    for x in range(length):
        out[o + x] = choose(choose(a[x], a[near + x]), choose(a[far + x], a[last + x]))


def _decimate(a, step, channels, out, o, cols):
    """Copy every ``step``-th pixel."""
    for x in range(cols):
        for c in range(channels):
            out[o + x * channels + c] = a[x * step * channels + c]
