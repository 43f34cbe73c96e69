"""Window sums by running sums: constant cost, exact for integers."""

from __future__ import annotations

import numpy as np

from convfilter.loops import vectors


def run_down(total, entering, leaving, pitch, rows, step, out, out_pitch, length):
    """Slide the window sums ``total`` down by ``step`` rows for each output row, and write them to that row."""
    for y in range(rows):
        for s in range(step):
            at = (y * step + s) * pitch
            for x in range(length):
                total[x] += entering[at + x] - leaving[at + x]
        o = y * out_pitch
        for x in range(length):
            out[o + x] = total[x]
    return 0


def run_right(tile, pitch, rows, window, step, channels, out, out_pitch, cols):
    """Sum each row of ``tile`` over ``window`` columns, every ``step``-th; four rows at a time hide the latency."""
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
            stale = c
            fresh = window * channels + c
            for x in range(1, cols):
                for _ in range(step):
                    s0 += tile[i0 + fresh] - tile[i0 + stale]
                    s1 += tile[i1 + fresh] - tile[i1 + stale]
                    s2 += tile[i2 + fresh] - tile[i2 + stale]
                    s3 += tile[i3 + fresh] - tile[i3 + stale]
                    fresh += channels
                    stale += channels
                at = x * channels + c
                out[o0 + at], out[o1 + at], out[o2 + at], out[o3 + at] = s0, s1, s2, s3
        y += together
    return 0


def mean_rows(
    source, source_pitch, rows, window_rows, step_rows, constant, state,
    line, width, cols, places, before, channels, window_cols, reach, step_cols,
    short_sums, sums, decimated, out_cols, down, along, divide, half, factor, out, start, out_pitch, count,
):  # fmt: skip
    """Store the means of bytes over a window, from source rows to output rows, in one pass.

    ``rows`` and ``cols`` map padded places to the source, -1 for ``constant``; the table of rows begins ``step_rows``
    places above the first window. ``line`` holds the column sums, each at most 65535; the ``width`` sums of a source
    row start at place ``before``. If ``state[0]`` is 1, the line holds the sums of the output row above, and is
    updated. A window has ``window_cols`` places of the line, ``reach`` apart; windows are ``step_cols`` apart.

    The mean of row ``y`` is ``sum * down[y]``. With ``divide`` it is ``sum / (down[y] * along[x])``: for ties that must
    be exact, and for windows that hold fewer cells at the border. With a ``factor``, for windows of three columns
    without a stride, it is ``(sum + half) * factor >> 16``.

    Scratch: ``short_sums`` of as many samples as ``line``, ``sums`` of ``reach`` pixels more, ``decimated`` of one
    output row.
    """
    return _window_rows(
        np.float32, source, source_pitch, rows, window_rows, step_rows, constant, state,
        line, width, cols, places, before, channels, window_cols, reach, step_cols,
        short_sums, sums, decimated, out_cols, down, along, divide, half, factor, out, start, out_pitch, count,
    )  # fmt: skip


def mean_rows_wide(
    source, source_pitch, rows, window_rows, step_rows, constant, state,
    line, width, cols, places, before, channels, window_cols, reach, step_cols,
    short_sums, sums, decimated, out_cols, down, along, divide, half, factor, out, start, out_pitch, count,
):  # fmt: skip
    """Store the means of integers whose sums take up to 31 bits; otherwise as ``mean_rows``."""
    return _window_rows(
        np.float64, source, source_pitch, rows, window_rows, step_rows, constant, state,
        line, width, cols, places, before, channels, window_cols, reach, step_cols,
        short_sums, sums, decimated, out_cols, down, along, divide, half, factor, out, start, out_pitch, count,
    )  # fmt: skip


def sum_rows(
    source, source_pitch, rows, window_rows, step_rows, constant, state,
    line, width, cols, places, before, channels, window_cols, reach, step_cols,
    short_sums, sums, decimated, out_cols, out, start, out_pitch, count,
):  # fmt: skip
    """Write the window sums as real numbers; otherwise as ``mean_rows``."""
    return _window_rows(
        None, source, source_pitch, rows, window_rows, step_rows, constant, state,
        line, width, cols, places, before, channels, window_cols, reach, step_cols,
        short_sums, sums, decimated, out_cols, out, out, 0, 0, 0, out, start, out_pitch, count,
    )  # fmt: skip


def _window_rows(
    real, source, source_pitch, rows, window_rows, step_rows, constant, state,
    line, width, cols, places, before, channels, window_cols, reach, step_cols,
    short_sums, sums, decimated, out_cols, down, along, divide, half, factor, out, start, out_pitch, count,
):  # fmt: skip
    at = before * channels
    lanes = reach * channels
    span = window_cols * lanes
    length = out_cols * channels
    for y in range(count):
        first = (y + 1) * step_rows
        o = start + y * out_pitch
        if (y == 0 and state[0] == 0) or window_rows <= 3 or window_rows <= 2 * step_rows:
            _sum_window(source, source_pitch, rows, first, window_rows, constant, line, at, width)
        else:
            for r in range(first - step_rows, first):
                _slide(source, source_pitch, rows[r + window_rows], rows[r], constant, line, at, width)
        _pad(line, cols, places, before, width, channels, constant * window_rows)
        if factor > 0:
            _store_three(real, line, lanes, half, factor, out, o, length)
        elif window_cols <= 3:
            _add_short(line, window_cols, lanes, short_sums, ((out_cols - 1) * step_cols + 1) * channels)
            if step_cols == 1:
                _store(real, short_sums, down[y], along, divide, out, o, length)
            else:
                if channels == 3:  # a loop of a constant number of channels takes two thirds of the time
                    _decimate(short_sums, step_cols, 3, decimated, out_cols)
                else:
                    _decimate(short_sums, step_cols, channels, decimated, out_cols)
                _store(real, decimated, down[y], along, divide, out, o, length)
        else:
            _accumulate(line, lanes, places * channels, sums)
            if step_cols == 1:
                _store_differences(real, sums, span, down[y], along, divide, out, o, length)
            else:
                _decimate_differences(sums, span, step_cols, channels, decimated, out_cols)
                _store(real, decimated, down[y], along, divide, out, o, length)
    state[0] = 1
    return 0


# Down the columns --------------------------------------------------------------


def _sum_window(source, pitch, rows, first, count, constant, line, at, width):
    """Write the column sums of ``count`` rows."""
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


def _slide(source, pitch, entering, leaving, constant, line, at, width):
    """Slide the column sums down by one row: add the entering row and subtract the leaving one."""
    fresh, stale = entering * pitch, leaving * pitch
    if entering >= 0 and leaving >= 0:
        for x in range(width):
            line[at + x] = line[at + x] + source[fresh + x] - source[stale + x]
    else:
        _enter(source, pitch, entering, constant, line, at, width)
        _leave(source, pitch, leaving, constant, line, at, width)


def _enter(source, pitch, row, constant, line, at, width):
    """Add a row to the column sums; rows of padding hold a constant."""
    fresh = row * pitch
    if row >= 0:
        for x in range(width):
            line[at + x] = line[at + x] + source[fresh + x]
    elif constant != 0:
        for x in range(width):
            line[at + x] = line[at + x] + constant


def _leave(source, pitch, row, constant, line, at, width):
    stale = row * pitch
    if row >= 0:
        for x in range(width):
            line[at + x] = line[at + x] - source[stale + x]
    elif constant != 0:
        for x in range(width):
            line[at + x] = line[at + x] - constant


# Along a row -------------------------------------------------------------------


def _pad(line, cols, places, before, width, channels, constant):
    """Fill the padding before and behind a row's samples."""
    for part in range(2):
        begin = 0 if part == 0 else before + width // channels
        end = min(before, places) if part == 0 else places
        for p in range(begin, end):
            for c in range(channels):
                if cols[p] < 0:
                    line[p * channels + c] = constant
                else:
                    line[p * channels + c] = line[(before + cols[p]) * channels + c]


def _add_short(line, window, lanes, short_sums, length):
    """Write the sums of up to three adjacent places."""
    if window == 1:
        for x in range(length):
            short_sums[x] = line[x]
    elif window == 2:
        for x in range(length):
            short_sums[x] = np.int32(line[x]) + line[lanes + x]
    else:
        for x in range(length):
            short_sums[x] = np.int32(line[x]) + line[lanes + x] + line[2 * lanes + x]


def _accumulate(line, lanes, length, sums):
    """Write the prefix sums of each lane: a window's sum is the difference of two.

    Prefix sums may overflow 32 bits; differences modulo 2**32 are still right. Three lanes in one loop hide the latency
    of additions.
    """
    if lanes == 3:
        red, green, blue = np.int32(0), np.int32(0), np.int32(0)
        for x in range(0, length, 3):
            sums[x], sums[x + 1], sums[x + 2] = red, green, blue
            red, green, blue = np.int32(red + line[x]), np.int32(green + line[x + 1]), np.int32(blue + line[x + 2])
        sums[length], sums[length + 1], sums[length + 2] = red, green, blue
        return
    for lane in range(lanes):
        total = np.int32(0)
        x = lane
        while x < length:
            sums[x] = total
            total = np.int32(total + line[x])
            x += lanes
        sums[x] = total


def _decimate(sums, step, channels, decimated, cols):
    """Copy every ``step``-th pixel."""
    for x in range(cols):
        for c in range(channels):
            decimated[x * channels + c] = sums[x * step * channels + c]


def _decimate_differences(sums, span, step, channels, decimated, cols):
    for x in range(cols):
        for c in range(channels):
            place = x * step * channels + c
            decimated[x * channels + c] = np.int32(sums[place + span] - sums[place])


# From sums to means ------------------------------------------------------------


def _store_three(real, line, lanes, half, factor, out, o, length):
    """Store the means of three places in 16-bit arithmetic: a register holds twice as many such numbers."""
    if real is None:  # sums are not stored this way: nothing to compile
        return
    halves, factors = vectors.spread(line, half), vectors.spread(line, factor)
    count = vectors.lanes(line)
    whole = length - length % count
    for x in range(0, whole, count):
        two = vectors.add(vectors.read(line, x), vectors.read(line, lanes + x))
        total = vectors.add(two, vectors.add(vectors.read(line, 2 * lanes + x), halves))
        vectors.write_as(out, o + x, vectors.high_product(total, factors))
    for x in range(whole, length):
        total = np.int32(line[x]) + line[lanes + x] + line[2 * lanes + x] + half
        out[o + x] = np.int32(total * factor >> 16)


def _store(real, sums, down, along, divide, out, o, length):
    """Store means; ``real`` is the type of ``down`` and ``along``, or None to store the sums themselves."""
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
