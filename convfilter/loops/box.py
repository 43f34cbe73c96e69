"""Box filter of integers: window sums by sliding column sums, at a cost that does not depend on the window; exact."""

from __future__ import annotations

import numpy as np

from convfilter.loops.box_two_rows import _least_row, _store_few, _store_two_rows
from convfilter.loops.column_sums import _pad, _slide, _sum_window


def mean_rows(
    source, source_pitch, rows, window_rows, row_stride, constant, state,
    line, width, cols, places, before, channels, window_cols, dilation, col_stride,
    few_sums, sums, decimated, out_cols, down, along, divide, half, factor, rest, out, start, out_pitch, count,
):  # fmt: skip
    """Store the means of bytes over windows, from ``source`` to ``count`` rows of ``out`` in one pass.

    ``rows`` and ``cols`` hold the source row and column of each place, or -1 for padding with ``constant``; ``rows``
    begins ``row_stride`` places above the first window. Padding repeats columns that are at most as far from an end of
    the row as padding is wide. A window has ``window_rows`` by ``window_cols`` places, ``dilation`` apart along the
    row; windows are ``row_stride`` and ``col_stride`` places apart.

    ``line`` holds the column sums of ``places`` places, each at most 65535, and has room for those of two rows; the
    ``width`` samples of a source row begin at place ``before``. If ``state[0]`` is 1, ``line`` holds the column sums of
    the output row above; the loop sets it.

    The mean at sample x of row y is ``sum * down[y]``. With ``divide`` it is ``sum / (down[y] * along[x])``, which
    keeps ties exact, and divides by the number of cells where a window lies partly outside the picture. With a
    ``factor`` above 0, for windows of an odd number of columns at stride 1, it is ``(sum + half) * factor >> 16``, and
    with a ``rest`` above 0 ``* rest >> 16`` of that; ``sum + half`` is at most 65535.

    Scratch: ``few_sums`` of as many samples as a row, ``sums`` of ``dilation`` pixels more, ``decimated`` of one
    output row.
    """
    return _window_rows(
        np.float32, source, source_pitch, rows, window_rows, row_stride, constant, state,
        line, width, cols, places, before, channels, window_cols, dilation, col_stride,
        few_sums, sums, decimated, out_cols, down, along, divide, half, factor, rest, out, start, out_pitch, count,
    )  # fmt: skip


def mean_rows_wide(
    source, source_pitch, rows, window_rows, row_stride, constant, state,
    line, width, cols, places, before, channels, window_cols, dilation, col_stride,
    few_sums, sums, decimated, out_cols, down, along, divide, half, factor, rest, out, start, out_pitch, count,
):  # fmt: skip
    """Do the same as ``mean_rows`` for integers whose window sums take up to 31 bits."""
    return _window_rows(
        np.float64, source, source_pitch, rows, window_rows, row_stride, constant, state,
        line, width, cols, places, before, channels, window_cols, dilation, col_stride,
        few_sums, sums, decimated, out_cols, down, along, divide, half, factor, rest, out, start, out_pitch, count,
    )  # fmt: skip


def sum_rows(
    source, source_pitch, rows, window_rows, row_stride, constant, state,
    line, width, cols, places, before, channels, window_cols, dilation, col_stride,
    few_sums, sums, decimated, out_cols, out, start, out_pitch, count,
):  # fmt: skip
    """Write the window sums of ``mean_rows`` as real numbers."""
    return _window_rows(
        None, source, source_pitch, rows, window_rows, row_stride, constant, state,
        line, width, cols, places, before, channels, window_cols, dilation, col_stride,
        few_sums, sums, decimated, out_cols, out, out, 0, 0, 0, 0, out, start, out_pitch, count,
    )  # fmt: skip


def _window_rows(
    real, source, source_pitch, rows, window_rows, row_stride, constant, state,
    line, width, cols, places, before, channels, window_cols, dilation, col_stride,
    few_sums, sums, decimated, out_cols, down, along, divide, half, factor, rest, out, start, out_pitch, count,
):  # fmt: skip
    at = before * channels
    tap_pitch = dilation * channels
    span = window_cols * tap_pitch
    length = out_cols * channels
    slides = window_rows > 3 and window_rows > 2 * row_stride
    y = 0
    while y < count:
        first = (y + 1) * row_stride
        o = start + y * out_pitch
        if real is not None and factor > 0 and row_stride == 1 and y + 1 < count:
            follows = slides and (y > 0 or state[0] != 0)
            # No row that is summed, added or subtracted may be padding.
            oldest = y if follows else y + 1
            if (follows or window_rows == 3) and _least_row(rows, oldest, y + window_rows + 2) >= 0:
                _store_two_rows(
                    source, source_pitch, rows, y, window_rows, constant, line, width, cols, places, before, channels,
                    window_cols, tap_pitch, half, factor, rest, out, o, out_pitch, length,
                )  # fmt: skip
                y += 2
                continue
        if (y == 0 and state[0] == 0) or not slides:
            _sum_window(source, source_pitch, rows, first, window_rows, constant, line, at, width)
        else:
            for r in range(first - row_stride, first):
                _slide(source, source_pitch, rows[r + window_rows], rows[r], constant, line, at, width)
        _pad(line, 0, cols, places, before, width, channels, constant * window_rows)
        if real is not None and factor > 0:
            _store_few(line, 0, window_cols, tap_pitch, half, factor, rest, out, o, 0, length)
        elif window_cols <= 3:
            _add_taps(line, window_cols, tap_pitch, few_sums, ((out_cols - 1) * col_stride + 1) * channels)
            if col_stride == 1:
                _store(real, few_sums, down[y], along, divide, out, o, length)
            else:
                if channels == 3:  # a loop of a constant number of channels takes two thirds of the time
                    _decimate(few_sums, col_stride, 3, decimated, out_cols)
                else:
                    _decimate(few_sums, col_stride, channels, decimated, out_cols)
                _store(real, decimated, down[y], along, divide, out, o, length)
        else:
            _accumulate(line, tap_pitch, places * channels, sums)
            if col_stride == 1:
                _store_differences(real, sums, span, down[y], along, divide, out, o, length)
            else:
                _decimate_differences(sums, span, col_stride, channels, decimated, out_cols)
                _store(real, decimated, down[y], along, divide, out, o, length)
        y += 1
    state[0] = 1
    return 0


# Horizontal pass ---------------------------------------------------------------


def _add_taps(line, window, tap_pitch, few_sums, length):
    """Write the sums of up to three taps, ``tap_pitch`` samples apart."""
    if window == 1:
        for x in range(length):
            few_sums[x] = line[x]
    elif window == 2:
        for x in range(length):
            few_sums[x] = np.int32(line[x]) + line[tap_pitch + x]
    else:
        for x in range(length):
            few_sums[x] = np.int32(line[x]) + line[tap_pitch + x] + line[2 * tap_pitch + x]


def _accumulate(line, tap_pitch, length, sums):
    """Write the prefix sums of every ``tap_pitch``-th sample; the sum of a window is the difference of two of them.

    Prefix sums may overflow 32 bits; their differences modulo 2**32 are still right. Three samples at a time hide the
    latency of additions.
    """
    if tap_pitch == 3:
        red, green, blue = np.int32(0), np.int32(0), np.int32(0)
        for x in range(0, length, 3):
            sums[x], sums[x + 1], sums[x + 2] = red, green, blue
            red, green, blue = np.int32(red + line[x]), np.int32(green + line[x + 1]), np.int32(blue + line[x + 2])
        sums[length], sums[length + 1], sums[length + 2] = red, green, blue
        return
    for first in range(tap_pitch):
        total = np.int32(0)
        x = first
        while x < length:
            sums[x] = total
            total = np.int32(total + line[x])
            x += tap_pitch
        sums[x] = total


def _decimate(sums, stride, channels, decimated, cols):
    """Copy every ``stride``-th pixel of a row of sums."""
    for x in range(cols):
        for c in range(channels):
            decimated[x * channels + c] = sums[x * stride * channels + c]


def _decimate_differences(sums, span, stride, channels, decimated, cols):
    for x in range(cols):
        for c in range(channels):
            place = x * stride * channels + c
            decimated[x * channels + c] = np.int32(sums[place + span] - sums[place])


# From sums to means ------------------------------------------------------------


def _store(real, sums, down, along, divide, out, o, length):
    """Store means, computed in the type ``real``; if it is None, store the sums themselves."""
    if real is None:
        for x in range(length):
            out[o + x] = np.int32(sums[x])
    elif divide == 0:
        for x in range(length):
            out[o + x] = np.int32(np.rint(real(sums[x]) * down))
    else:
        for x in range(length):
            out[o + x] = np.int32(np.rint(real(sums[x]) / (down * along[x])))


def _store_differences(real, sums, span, down, along, divide, out, o, length):
    if real is None:
        for x in range(length):
            out[o + x] = np.int32(sums[span + x] - sums[x])
    elif divide == 0:
        for x in range(length):
            out[o + x] = np.int32(np.rint(real(np.int32(sums[span + x] - sums[x])) * down))
    else:
        for x in range(length):
            out[o + x] = np.int32(np.rint(real(np.int32(sums[span + x] - sums[x])) / (down * along[x])))
