"""Pooling: the largest or smallest sample, or the sum, of each window, at a cost that hardly grows with the window.

The vertical pass computes running extremes (van Herk, 1992; Gil and Werman, 1993). Rows are split into blocks. A window
that begins in a block consists of a suffix of that block, whole blocks, and a prefix of another block; the extremes of
suffixes and prefixes follow from each other, one row at a time. The horizontal pass doubles: a window of 4, 16, 64, ...
taps consists of four smaller ones, and up to four overlapping ones cover a window of any size. Sums use the same scheme
without overlap. Nothing is subtracted, so no rounding error or infinity is carried from one window to the next. Loops
run over whole rows, in the samples' own type, so that the compiler vectorises them.
"""

from __future__ import annotations


def largest(
    source, source_pitch, rows, window_rows, row_stride, block, blocks,
    length, nearest, places, before, channels, window_cols, dilation, col_stride,
    suffixes, block_extremes, middle, prefix, line, spare, out, start, out_pitch, out_cols, count,
):  # fmt: skip
    """Write the largest sample of each window: a NaN if there is one, and of equal samples (0 and -0) the last.

    ``rows`` holds the source row of each vertical place. A padded row has ``places`` places; the ``length`` samples of
    a source row begin at place ``before``. ``nearest`` holds the place to read for each place: its own or, for padding,
    one within the same windows. A window has ``window_rows`` by ``window_cols`` places, ``dilation`` apart along the
    row; windows are ``row_stride`` and ``col_stride`` places apart. The rows of a window make ``blocks`` blocks of
    ``block`` rows, and fewer than ``blocks`` rows more. ``blocks`` is 0 if all rows of each window are compared, since
    windows are too small, or overlap too little, for running extremes.

    Scratch: rows of ``length`` samples, ``block`` of them in ``suffixes``, ``blocks`` in ``block_extremes``, one each
    in ``middle`` and ``prefix``; ``line`` and ``spare`` of ``places * channels`` samples.
    """
    return _windows(
        _larger, _extremes_along, source, source_pitch, rows, window_rows, row_stride, block, blocks,
        length, nearest, places, before, channels, window_cols, dilation, col_stride,
        suffixes, block_extremes, middle, prefix, line, spare, out, start, out_pitch, out_cols, count,
    )  # fmt: skip


def least(
    source, source_pitch, rows, window_rows, row_stride, block, blocks,
    length, nearest, places, before, channels, window_cols, dilation, col_stride,
    suffixes, block_extremes, middle, prefix, line, spare, out, start, out_pitch, out_cols, count,
):  # fmt: skip
    """Write the smallest sample of each window; the arguments are those of ``largest``."""
    return _windows(
        _smaller, _extremes_along, source, source_pitch, rows, window_rows, row_stride, block, blocks,
        length, nearest, places, before, channels, window_cols, dilation, col_stride,
        suffixes, block_extremes, middle, prefix, line, spare, out, start, out_pitch, out_cols, count,
    )  # fmt: skip


def sums(
    source, source_pitch, rows, window_rows, row_stride, block, blocks,
    length, nearest, places, before, channels, window_cols, dilation, col_stride,
    suffixes, block_extremes, middle, prefix, line, spare, out, start, out_pitch, out_cols, count,
):  # fmt: skip
    """Write the sum of each window; the arguments are those of ``largest``."""
    return _windows(
        _plus, _sums_along, source, source_pitch, rows, window_rows, row_stride, block, blocks,
        length, nearest, places, before, channels, window_cols, dilation, col_stride,
        suffixes, block_extremes, middle, prefix, line, spare, out, start, out_pitch, out_cols, count,
    )  # fmt: skip


def _larger(one, other):
    return one if one > other or one != one else other  # noqa: PLR0124


def _smaller(one, other):
    return one if one < other or one != one else other  # noqa: PLR0124


def _plus(one, other):
    return one + other


def _windows(
    combine, along, source, source_pitch, rows, window_rows, row_stride, block, blocks,
    length, nearest, places, before, channels, window_cols, dilation, col_stride,
    suffixes, block_extremes, middle, prefix, line, spare, out, start, out_pitch, out_cols, count,
):  # fmt: skip
    at = before * channels
    to = start
    if blocks == 0:
        for y in range(count):
            _reduce_rows(combine, source, source_pitch, rows, y * row_stride, window_rows, line, at, length)
            _pad(line, nearest, places, before, length, channels)
            along(combine, line, spare, places, channels, window_cols, dilation, col_stride, out, to, out_cols)
            to += out_pitch
        return 0
    windows = (count - 1) * row_stride + 1
    rest = window_rows - block * blocks
    stored = max(1, blocks - 1)
    for b in range(1, blocks):
        _reduce_rows(combine, source, source_pitch, rows, b * block, block, block_extremes, b % stored * length, length)
    for first in range(0, windows, block):
        _suffixes(combine, source, source_pitch, rows, first, block, suffixes, length)
        oldest = (first // block + 1) % stored
        if blocks > 1:
            _merge_all(combine, block_extremes, oldest, stored, middle, length)
        ahead = first + block * blocks
        prefix_rows = 0
        for i in range(min(block, windows - first)):
            while prefix_rows < i + rest:
                _extend_prefix(combine, prefix_rows, source, rows[ahead + prefix_rows] * source_pitch, prefix, length)
                prefix_rows += 1
                if prefix_rows == block and blocks > 1:
                    _copy(prefix, 0, block_extremes, oldest * length, length)
            if (first + i) % row_stride == 0:
                if blocks > 1 and prefix_rows > 0:
                    _three(combine, suffixes, i * length, middle, 0, prefix, 0, line, at, length)
                elif blocks > 1:
                    _two(combine, suffixes, i * length, middle, 0, line, at, length)
                elif prefix_rows > 0:
                    _two(combine, suffixes, i * length, prefix, 0, line, at, length)
                else:
                    _copy(suffixes, i * length, line, at, length)
                _pad(line, nearest, places, before, length, channels)
                along(combine, line, spare, places, channels, window_cols, dilation, col_stride, out, to, out_cols)
                to += out_pitch
        if prefix_rows < block and blocks > 1 and first + block < windows:
            _extend_prefix(combine, prefix_rows, source, rows[ahead + prefix_rows] * source_pitch, prefix, length)
            _copy(prefix, 0, block_extremes, oldest * length, length)
    return 0


# Vertical pass -----------------------------------------------------------------


def _reduce_rows(combine, source, pitch, rows, first, count, out, o, length):
    """Write the extremes down ``count`` rows."""
    if count == 1:
        _copy(source, rows[first] * pitch, out, o, length)
        return
    _two(combine, source, rows[first] * pitch, source, rows[first + 1] * pitch, out, o, length)
    r = first + 2
    while r + 1 < first + count:
        _enter_both(combine, out, o, source, rows[r] * pitch, rows[r + 1] * pitch, length)
        r += 2
    if r < first + count:
        _enter(combine, out, o, source, rows[r] * pitch, length)


def _suffixes(combine, source, pitch, rows, first, count, suffixes, length):
    """Write the extremes of the suffixes of a block: row ``i`` of ``suffixes`` covers rows ``i`` to ``count - 1``."""
    _copy(source, rows[first + count - 1] * pitch, suffixes, (count - 1) * length, length)
    for i in range(count - 2, -1, -1):
        _two(combine, source, rows[first + i] * pitch, suffixes, (i + 1) * length, suffixes, i * length, length)


def _extend_prefix(combine, prefix_rows, source, i, prefix, length):
    """Add a row to the prefix of a block, which has ``prefix_rows`` rows before."""
    if prefix_rows == 0:
        _copy(source, i, prefix, 0, length)
    else:
        _enter(combine, prefix, 0, source, i, length)


def _merge_all(combine, lines, first, count, out, length):
    """Write the extremes of all ``count`` rows of a ring, of which ``first`` is the oldest."""
    _copy(lines, first * length, out, 0, length)
    for k in range(1, count):
        _enter(combine, out, 0, lines, (first + k) % count * length, length)


def _copy(a, i, out, o, length):
    for x in range(length):
        out[o + x] = a[i + x]


# Functions of their own: the compiler does not vectorise a loop of a function that gets one array to read and to write.
def _enter(combine, out, o, a, i, length):
    for x in range(length):
        out[o + x] = combine(out[o + x], a[i + x])


def _enter_both(combine, out, o, a, i, j, length):
    for x in range(length):
        out[o + x] = combine(combine(out[o + x], a[i + x]), a[j + x])


def _two(combine, a, i, b, j, out, o, length):
    for x in range(length):
        out[o + x] = combine(a[i + x], b[j + x])


def _three(combine, a, i, b, j, c, k, out, o, length):
    for x in range(length):
        out[o + x] = combine(combine(a[i + x], b[j + x]), c[k + x])


# Horizontal pass ---------------------------------------------------------------


def _pad(line, nearest, places, before, length, channels):
    """Copy samples to the padding before and behind a row."""
    for part in range(2):
        begin = 0 if part == 0 else before + length // channels
        end = before if part == 0 else places
        for p in range(begin, end):
            for c in range(channels):
                line[p * channels + c] = line[nearest[p] * channels + c]


def _extremes_along(combine, line, spare, places, channels, window, dilation, stride, out, o, out_cols):
    """Write the extremes of the windows of a padded row."""
    tap_pitch = dilation * channels
    size = 1
    length = places * channels
    here, there = line, spare
    while 4 * size < window:
        length -= 3 * size * tap_pitch
        _four(combine, here, size * tap_pitch, 2 * size * tap_pitch, 3 * size * tap_pitch, there, 0, length)
        here, there = there, here
        size *= 4
    if stride == 1:
        _cover(combine, here, size, tap_pitch, window, out, o, out_cols * channels)
        return
    _cover(combine, here, size, tap_pitch, window, there, 0, ((out_cols - 1) * stride + 1) * channels)
    if channels == 1:
        _decimate(there, stride, 1, out, o, out_cols)
    elif channels == 3:
        _decimate(there, stride, 3, out, o, out_cols)
    else:
        _decimate(there, stride, channels, out, o, out_cols)


def _sums_along(combine, line, spare, places, channels, window, dilation, stride, out, o, out_cols):
    """Write the window sums of a padded row; a window consists of windows of 1, 2, 4, ... taps."""
    tap_pitch = dilation * channels
    size, done = 1, 0
    length = places * channels
    here, there = line, spare
    while True:
        if window & size:
            _add_decimated(here, done * tap_pitch, stride, channels, done > 0, out, o, out_cols)
            done += size
        if 2 * size > window:
            return
        length -= size * tap_pitch
        _two(combine, here, 0, here, size * tap_pitch, there, 0, length)
        here, there = there, here
        size *= 2


def _add_decimated(a, i, stride, channels, add, out, o, cols):
    """Write every ``stride``-th pixel to ``out``, or add it if ``add``."""
    if stride > 1:
        for x in range(cols):
            for c in range(channels):
                value = a[i + x * stride * channels + c]
                out[o + x * channels + c] = out[o + x * channels + c] + value if add else value
    elif add:
        for x in range(cols * channels):
            out[o + x] += a[i + x]
    else:
        _copy(a, i, out, o, cols * channels)


def _cover(combine, a, size, tap_pitch, window, out, o, length):
    """Write the extremes of windows of ``window`` taps; up to four windows of ``size`` taps cover each."""
    last = (window - size) * tap_pitch
    near = size * tap_pitch
    far = min(2 * near, last)
    if last == 0:
        _copy(a, 0, out, o, length)
    elif last <= near:
        _two(combine, a, 0, a, last, out, o, length)
    elif last <= 2 * near:
        _three(combine, a, 0, a, near, a, last, out, o, length)
    else:
        _four(combine, a, near, far, last, out, o, length)


def _four(combine, a, near, far, last, out, o, length):
    for x in range(length):
        out[o + x] = combine(combine(a[x], a[near + x]), combine(a[far + x], a[last + x]))


def _decimate(a, stride, channels, out, o, cols):
    """Copy every ``stride``-th pixel."""
    for x in range(cols):
        for c in range(channels):
            out[o + x * channels + c] = a[x * stride * channels + c]
