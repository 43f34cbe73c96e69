"""Box filter: window sums by running sums, at a cost that does not depend on the window; exact for integers."""

from __future__ import annotations

import numpy as np

from convfilter.loops import vectors

#: Least samples of a row for which two rows are summed at a time: three source rows and their sums leave a core's L1
#: cache of 32 KB, so that loads from L2 are most of the time. Rows of 12,000 samples take 0.92 of it, of 4,500 1.06.
_WIDE = 2**13
#: The column sums of the second row begin at a multiple of this many samples, a cache line.
_LINE = 32


def run_down(total, entering, leaving, pitch, rows, stride, out, out_pitch, length):
    """Slide the column sums ``total`` down by ``stride`` rows, and write them to ``out``, for each of ``rows`` rows.

    ``entering`` and ``leaving`` hold the rows that enter and leave the window, ``pitch`` samples apart.
    """
    for y in range(rows):
        for s in range(stride):
            at = (y * stride + s) * pitch
            for x in range(length):
                total[x] += entering[at + x] - leaving[at + x]
        o = y * out_pitch
        for x in range(length):
            out[o + x] = total[x]
    return 0


def run_right(tile, pitch, rows, window, stride, channels, out, out_pitch, cols):
    """Write the sums of ``window`` pixels along each row of ``tile``, at every ``stride``-th pixel.

    Four rows are summed at a time, which hides the latency of additions.
    """
    y = 0
    while y < rows:
        together = 4 if y + 4 <= rows else 1
        i0 = y * pitch
        i1 = i0 + pitch if together == 4 else i0
        i2 = i1 + pitch if together == 4 else i0
        i3 = i2 + pitch if together == 4 else i0
        o0 = y * out_pitch
        o1 = o0 + out_pitch if together == 4 else o0
        o2 = o1 + out_pitch if together == 4 else o0
        o3 = o2 + out_pitch if together == 4 else o0
        for c in range(channels):
            s0, s1, s2, s3 = tile[i0 + c], tile[i1 + c], tile[i2 + c], tile[i3 + c]
            for k in range(1, window):
                at = k * channels + c
                s0 += tile[i0 + at]
                s1 += tile[i1 + at]
                s2 += tile[i2 + at]
                s3 += tile[i3 + at]
            out[o0 + c], out[o1 + c], out[o2 + c], out[o3 + c] = s0, s1, s2, s3
            old = c
            new = window * channels + c
            for x in range(1, cols):
                for _ in range(stride):
                    s0 += tile[i0 + new] - tile[i0 + old]
                    s1 += tile[i1 + new] - tile[i1 + old]
                    s2 += tile[i2 + new] - tile[i2 + old]
                    s3 += tile[i3 + new] - tile[i3 + old]
                    new += channels
                    old += channels
                at = x * channels + c
                out[o0 + at], out[o1 + at], out[o2 + at], out[o3 + at] = s0, s1, s2, s3
        y += together
    return 0


def mean_rows(
    source, source_pitch, rows, window_rows, row_stride, constant, state,
    line, width, cols, places, before, channels, window_cols, dilation, col_stride,
    few_sums, sums, decimated, out_cols, down, along, divide, half, factor, out, start, out_pitch, count,
):  # fmt: skip
    """Store the means of bytes over windows, from ``source`` to ``count`` rows of ``out`` in one pass.

    ``rows`` and ``cols`` hold the source row and column of each place, or -1 for padding with ``constant``; ``rows``
    begins ``row_stride`` places above the first window. A window has ``window_rows`` by ``window_cols`` places,
    ``dilation`` apart along the row; windows are ``row_stride`` and ``col_stride`` places apart.

    ``line`` holds the column sums of ``places`` places, each at most 65535, and has room for those of two rows; the
    ``width`` samples of a source row begin at place ``before``. If ``state[0]`` is 1, ``line`` holds the column sums of
    the output row above; the loop sets it.

    The mean at sample x of row y is ``sum * down[y]``. With ``divide`` it is ``sum / (down[y] * along[x])``, which
    keeps ties exact, and divides by the number of cells where a window lies partly outside the picture. With a
    ``factor`` above 0, for windows of three columns at stride 1, it is ``(sum + half) * factor >> 16``.

    Scratch: ``few_sums`` of as many samples as a row, ``sums`` of ``dilation`` pixels more, ``decimated`` of one
    output row.
    """
    return _window_rows(
        np.float32, source, source_pitch, rows, window_rows, row_stride, constant, state,
        line, width, cols, places, before, channels, window_cols, dilation, col_stride,
        few_sums, sums, decimated, out_cols, down, along, divide, half, factor, out, start, out_pitch, count,
    )  # fmt: skip


def mean_rows_wide(
    source, source_pitch, rows, window_rows, row_stride, constant, state,
    line, width, cols, places, before, channels, window_cols, dilation, col_stride,
    few_sums, sums, decimated, out_cols, down, along, divide, half, factor, out, start, out_pitch, count,
):  # fmt: skip
    """Do the same as ``mean_rows`` for integers whose window sums take up to 31 bits."""
    return _window_rows(
        np.float64, source, source_pitch, rows, window_rows, row_stride, constant, state,
        line, width, cols, places, before, channels, window_cols, dilation, col_stride,
        few_sums, sums, decimated, out_cols, down, along, divide, half, factor, out, start, out_pitch, count,
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
        few_sums, sums, decimated, out_cols, out, out, 0, 0, 0, out, start, out_pitch, count,
    )  # fmt: skip


def _window_rows(
    real, source, source_pitch, rows, window_rows, row_stride, constant, state,
    line, width, cols, places, before, channels, window_cols, dilation, col_stride,
    few_sums, sums, decimated, out_cols, down, along, divide, half, factor, out, start, out_pitch, count,
):  # fmt: skip
    at = before * channels
    tap_pitch = dilation * channels
    span = window_cols * tap_pitch
    length = out_cols * channels
    pairs = 0
    if real is not None and factor > 0 and window_rows == 3 and row_stride == 1 and width >= _WIDE:
        second = max(places * channels, at + width)
        second += -second % _LINE
        for y in range(0, count - 1, 2):
            if rows[y + 1] < 0 or rows[y + 2] < 0 or rows[y + 3] < 0 or rows[y + 4] < 0:
                break
            _sum_two_windows(source, source_pitch, rows, y + 1, line, at, second + at, width)
            for row in range(2):
                origin = row * second
                _pad(line, origin, cols, places, before, width, channels, constant * window_rows)
                _store_three(real, line, origin, tap_pitch, half, factor, out, start + (y + row) * out_pitch, length)
            pairs += 2
    for y in range(pairs, count):
        first = (y + 1) * row_stride
        o = start + y * out_pitch
        if (y == 0 and state[0] == 0) or window_rows <= 3 or window_rows <= 2 * row_stride:
            _sum_window(source, source_pitch, rows, first, window_rows, constant, line, at, width)
        else:
            for r in range(first - row_stride, first):
                _slide(source, source_pitch, rows[r + window_rows], rows[r], constant, line, at, width)
        _pad(line, 0, cols, places, before, width, channels, constant * window_rows)
        if factor > 0:
            _store_three(real, line, 0, tap_pitch, half, factor, out, o, length)
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
    state[0] = 1
    return 0


# Vertical pass -----------------------------------------------------------------


def _sum_window(source, pitch, rows, first, count, constant, line, at, width):
    """Write the column sums of ``count`` rows to ``line``."""
    a, b, c = rows[first] * pitch, rows[first + min(count, 2) - 1] * pitch, rows[first + count - 1] * pitch
    if count == 2 and a >= 0 and b >= 0:
        for x in range(width):
            line[at + x] = np.int32(source[a + x]) + source[b + x]
    elif count == 3 and a >= 0 and b >= 0 and c >= 0:
        lanes = vectors.lanes(line)
        whole = width - width % lanes
        for x in range(0, whole, lanes):
            two = vectors.add(vectors.read_as(line, source, a + x), vectors.read_as(line, source, b + x))
            vectors.write(line, at + x, vectors.add(two, vectors.read_as(line, source, c + x)))
        for x in range(whole, width):
            line[at + x] = np.int32(source[a + x]) + source[b + x] + source[c + x]
    else:
        for x in range(width):
            line[at + x] = 0
        for r in range(first, first + count):
            _enter(source, pitch, rows[r], constant, line, at, width)


def _sum_two_windows(source, pitch, rows, first, line, at, second, width):
    """Write the column sums of three rows to ``line`` from ``at`` on, those a row below from ``second`` on."""
    a, b, c, d = rows[first] * pitch, rows[first + 1] * pitch, rows[first + 2] * pitch, rows[first + 3] * pitch
    lanes = vectors.lanes(line)
    whole = width - width % lanes
    for x in range(0, whole, lanes):
        two = vectors.add(vectors.read_as(line, source, b + x), vectors.read_as(line, source, c + x))
        vectors.write(line, at + x, vectors.add(two, vectors.read_as(line, source, a + x)))
        vectors.write(line, second + x, vectors.add(two, vectors.read_as(line, source, d + x)))
    for x in range(whole, width):
        common = np.int32(source[b + x]) + source[c + x]
        line[at + x], line[second + x] = common + source[a + x], common + source[d + x]


def _slide(source, pitch, entering, leaving, constant, line, at, width):
    """Slide the column sums down by one row: add the entering row, subtract the leaving row."""
    new, old = entering * pitch, leaving * pitch
    if entering >= 0 and leaving >= 0:
        for x in range(width):
            line[at + x] = line[at + x] + source[new + x] - source[old + x]
    else:
        _enter(source, pitch, entering, constant, line, at, width)
        _leave(source, pitch, leaving, constant, line, at, width)


def _enter(source, pitch, row, constant, line, at, width):
    """Add a row to the column sums; a row of padding holds ``constant``."""
    new = row * pitch
    if row >= 0:
        for x in range(width):
            line[at + x] = line[at + x] + source[new + x]
    elif constant != 0:
        for x in range(width):
            line[at + x] = line[at + x] + constant


def _leave(source, pitch, row, constant, line, at, width):
    old = row * pitch
    if row >= 0:
        for x in range(width):
            line[at + x] = line[at + x] - source[old + x]
    elif constant != 0:
        for x in range(width):
            line[at + x] = line[at + x] - constant


# Horizontal pass ---------------------------------------------------------------


def _pad(line, origin, cols, places, before, width, channels, constant):
    """Write the column sums of the padding before and behind a row, which begins at ``origin``."""
    for part in range(2):
        begin = 0 if part == 0 else before + width // channels
        end = min(before, places) if part == 0 else places
        for p in range(begin, end):
            for c in range(channels):
                if cols[p] < 0:
                    line[origin + p * channels + c] = constant
                else:
                    line[origin + p * channels + c] = line[origin + (before + cols[p]) * channels + c]


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


def _store_three(real, line, origin, tap_pitch, half, factor, out, o, length):
    """Store the means of three taps in 16-bit arithmetic, of which a register holds twice as many numbers."""
    if real is None:  # ``sum_rows`` has no factor, and compiles nothing here
        return
    halves, factors = vectors.spread(line, half), vectors.spread(line, factor)
    count = vectors.lanes(line)
    whole = length - length % count
    for x in range(0, whole, count):
        two = vectors.add(vectors.read(line, origin + x), vectors.read(line, origin + tap_pitch + x))
        total = vectors.add(two, vectors.add(vectors.read(line, origin + 2 * tap_pitch + x), halves))
        vectors.write_as(out, o + x, vectors.high_product(total, factors))
    for x in range(whole, length):
        total = np.int32(line[origin + x]) + line[origin + tap_pitch + x] + line[origin + 2 * tap_pitch + x] + half
        out[o + x] = np.int32(total * factor >> 16)


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
