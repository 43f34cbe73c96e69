"""Box filter of integers: window sums by sliding column sums, at a cost that does not depend on the window; exact."""

from __future__ import annotations

import numpy as np

from convfilter.loops import vectors

#: Source samples of a chunk: the column sums of two rows and the samples that they add fit a core's L1 cache of 32 KB.
_CHUNK = 2**11
#: Samples of a prefetch, a cache line. While two rows are summed, the next two are prefetched: sums of bytes take less
#: time than the processor's own prefetcher.
_PREFETCHED = 64
#: The column sums of the second row begin at a multiple of this many samples, a cache line.
_LINE = 32


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


def _least_row(rows, first, last):
    """Return the least of rows ``first`` to ``last - 1``; padding is -1."""
    least = rows[first]
    for row in range(first + 1, last):
        least = min(least, rows[row])
    return least


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


def _sum_two_windows(source, pitch, rows, top, line, at, below, first, last):
    """Write column sums of three rows to ``line`` from ``at`` on, those a row below from ``below`` on."""
    a, b, c, d = rows[top] * pitch, rows[top + 1] * pitch, rows[top + 2] * pitch, rows[top + 3] * pitch
    lanes = vectors.lanes(line)
    if last < lanes:
        for x in range(first, last):
            common = np.int32(source[b + x]) + source[c + x]
            line[at + x], line[below + x] = common + source[a + x], common + source[d + x]
        return
    for begin in range(first, last, lanes):
        x = min(begin, last - lanes)
        two = vectors.add(vectors.read_as(line, source, b + x), vectors.read_as(line, source, c + x))
        vectors.write(line, at + x, vectors.add(two, vectors.read_as(line, source, a + x)))
        vectors.write(line, below + x, vectors.add(two, vectors.read_as(line, source, d + x)))


def _slide_two_windows(source, pitch, rows, top, window_rows, line, at, between, first, last):
    """Slide column sums down by two rows; those of the first row are written from ``between`` on."""
    a, b = rows[top + window_rows] * pitch, rows[top + window_rows + 1] * pitch
    old_a, old_b = rows[top] * pitch, rows[top + 1] * pitch
    lanes = vectors.lanes(line)
    whole = last - (last - first) % lanes
    for x in range(first, whole, lanes):
        total = vectors.add(vectors.read(line, at + x), vectors.read_as(line, source, a + x))
        total = vectors.subtract(total, vectors.read_as(line, source, old_a + x))
        vectors.write(line, between + x, total)
        total = vectors.add(total, vectors.read_as(line, source, b + x))
        vectors.write(line, at + x, vectors.subtract(total, vectors.read_as(line, source, old_b + x)))
    for x in range(whole, last):
        total = np.int32(line[at + x]) + source[a + x] - source[old_a + x]
        line[between + x], line[at + x] = total, total + source[b + x] - source[old_b + x]


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
