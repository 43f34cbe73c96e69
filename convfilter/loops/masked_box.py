"""Means of the valid pixels of a window, from source rows to output rows in one pass."""

from __future__ import annotations

import numpy as np

from convfilter.loops import vectors

#: Widest window whose sums are added up from those of 2, 4, 8, ... samples.
_MOST_DOUBLED = 16


def masked_means(
    source, pitch, valid, valid_pitch, rows, window_rows,
    cols, places, before, width, channels, window_cols, out_cols,
    ring, line, ring_marks, line_marks, marks, blocks, sums, counts, weights, kind, out, out_pitch, count,
):  # fmt: skip
    """Store the means of integers over the valid pixels of each window, or 0 if none is valid.

    ``rows`` and ``cols`` map padded places to the source, -1 for places that do not count. Line buffers ``ring`` and
    ``ring_marks`` hold the window's rows without their ignored pixels, and its mask, and are 0 at first; so are
    ``line`` and ``line_marks``, their sums down the columns. A row's ``width`` pixels begin at place ``before``. A
    window has ``window_cols`` columns. Quotients have the type of ``kind``.

    Scratch: ``marks`` of a row's samples, ``blocks``, ``sums`` and ``counts`` of as many samples as ``line``,
    ``weights`` of an output row. From ``line`` on, scratch has room for a vector and a pixel more.
    """
    if channels == 3:  # a constant, so that the compiler unrolls the channels
        return _masked_means(
            source, pitch, valid, valid_pitch, rows, window_rows,
            cols, places, before, width, 3, window_cols, out_cols,
            ring, line, ring_marks, line_marks, marks, blocks, sums, counts, weights, kind, out, out_pitch, count,
        )  # fmt: skip
    if channels == 1:
        return _masked_means(
            source, pitch, valid, valid_pitch, rows, window_rows,
            cols, places, before, width, 1, window_cols, out_cols,
            ring, line, ring_marks, line_marks, marks, blocks, sums, counts, weights, kind, out, out_pitch, count,
        )  # fmt: skip
    return _masked_means(
        source, pitch, valid, valid_pitch, rows, window_rows,
        cols, places, before, width, channels, window_cols, out_cols,
        ring, line, ring_marks, line_marks, marks, blocks, sums, counts, weights, kind, out, out_pitch, count,
    )  # fmt: skip


def _masked_means(
    source, pitch, valid, valid_pitch, rows, window_rows,
    cols, places, before, width, channels, window_cols, out_cols,
    ring, line, ring_marks, line_marks, marks, blocks, sums, counts, weights, kind, out, out_pitch, count,
):  # fmt: skip
    samples, at = width * channels, before * channels
    slot = 0
    for y in range(count):
        for place in range(0 if y == 0 else y + window_rows - 1, y + window_rows):
            row = rows[place]
            stale, stale_mark = slot * samples, slot * width
            if row < 0:
                _leave(ring, stale, line, at, samples)
                _leave(ring_marks, stale_mark, line_marks, before, width)
            else:
                fresh_mark = row * valid_pitch
                if _are_valid(valid, fresh_mark, width):
                    _enter(source, row * pitch, ring, stale, line, at, samples)
                else:
                    _spread(valid, fresh_mark, width, channels, marks)
                    _enter_valid(source, row * pitch, marks, ring, stale, line, at, samples)
                _enter(valid, fresh_mark, ring_marks, stale_mark, line_marks, before, width)
            slot = slot + 1 if slot + 1 < window_rows else 0
        _pad(line, cols, places, before, width, channels)
        _pad(line_marks, cols, places, before, width, 1)
        _add_windows(line, window_cols, channels, places * channels, blocks, sums)
        _add_windows(line_marks, window_cols, 1, places, blocks, counts)
        _weigh(counts, out_cols, channels, weights)
        _store(sums, weights, kind, out, y * out_pitch, out_cols * channels)
    return 0


def _are_valid(valid, at, width):
    present = 0
    for p in range(width):
        present += valid[at + p]
    return present == width


def _enter(rows, fresh, ring, stale, line, at, length):
    """Replace a row of the ring by one of ``rows``, also in the sums."""
    for x in range(length):
        line[at + x] = line[at + x] + rows[fresh + x] - ring[stale + x]
        ring[stale + x] = rows[fresh + x]


def _enter_valid(rows, fresh, marks, ring, stale, line, at, length):
    """Replace a row of the ring by the valid samples of one of ``rows``, also in the sums."""
    for x in range(length):
        sample = rows[fresh + x] * marks[x]
        line[at + x] = line[at + x] + sample - ring[stale + x]
        ring[stale + x] = sample


def _leave(ring, stale, line, at, length):
    for x in range(length):
        line[at + x] = line[at + x] - ring[stale + x]
        ring[stale + x] = 0


def _spread(valid, at, width, channels, marks):
    """Write the mark of each pixel for each of its samples."""
    for p in range(width):
        for c in range(channels):
            marks[p * channels + c] = valid[at + p]


def _pad(line, cols, places, before, width, channels):
    """Fill the padding before and behind a row's samples."""
    for part in range(2):
        begin = 0 if part == 0 else before + width
        end = min(before, places) if part == 0 else places
        for p in range(begin, end):
            for c in range(channels):
                line[p * channels + c] = 0 if cols[p] < 0 else line[(before + cols[p]) * channels + c]


def _add_windows(line, window, step, length, blocks, sums):
    """Write the sums of ``window`` samples, ``step`` apart, that begin at each of ``length`` samples."""
    lanes = vectors.lanes(line)
    if window > _MOST_DOUBLED:
        _accumulate(line, step, length, blocks)
        for x in range(0, length - (window - 1) * step, lanes):
            vectors.write(sums, x, vectors.subtract(vectors.read(blocks, x + window * step), vectors.read(blocks, x)))
        return
    # Sums of 2, 4, 8, ... samples are added for the binary digits of the window: unlike running sums, they are vectors.
    for x in range(0, length, lanes):
        samples = vectors.read(line, x)
        if window & 1 != 0:
            vectors.write(sums, x, samples)
        if window > 1:
            vectors.write(blocks, x, vectors.add(samples, vectors.read(line, x + step)))
    block, taken, rest = 2, window & 1, window >> 1
    while rest > 0:
        length -= (block >> 1) * step
        if rest & 1 != 0:
            if taken == 0:
                for x in range(0, length, lanes):
                    vectors.write(sums, x, vectors.read(blocks, x))
            else:
                for x in range(0, length - taken * step, lanes):
                    more = vectors.read(blocks, x + taken * step)
                    vectors.write(sums, x, vectors.add(vectors.read(sums, x), more))
            taken += block
        rest >>= 1
        if rest > 0:
            for x in range(0, length - block * step, lanes):
                vectors.write(blocks, x, vectors.add(vectors.read(blocks, x), vectors.read(blocks, x + block * step)))
        block *= 2


def _accumulate(line, step, length, sums):
    """Write the prefix sums of every ``step``-th sample; differences are right though these may overflow."""
    if step == 3:
        one, two, three, four = np.int32(0), np.int32(0), np.int32(0), np.int32(0)
        for x in range(0, length, 3):  # the fourth, which is overwritten, makes this a vector
            first, second, third, fourth = line[x], line[x + 1], line[x + 2], line[x + 3]
            sums[x], sums[x + 1], sums[x + 2], sums[x + 3] = one, two, three, four
            one, two, three, four = (
                np.int32(one + first), np.int32(two + second), np.int32(three + third), np.int32(four + fourth)
            )  # fmt: skip
        sums[length], sums[length + 1], sums[length + 2] = one, two, three
        return
    for channel in range(step):
        total = np.int32(0)
        for x in range(channel, length, step):
            sums[x] = total
            total = np.int32(total + line[x])
        sums[length + channel] = total


def _weigh(counts, cols, channels, weights):
    """Write the number of valid pixels of each window, at least 1, for each of its samples."""
    for p in range(cols):
        present = counts[p] if counts[p] > 0 else 1
        for c in range(channels):
            weights[p * channels + c] = present


def _store(sums, weights, kind, out, o, length):
    lanes = vectors.lanes(kind)
    whole = length - length % lanes
    for x in range(0, whole, lanes):
        quotients = vectors.divide(vectors.read_as(kind, sums, x), vectors.read_as(kind, weights, x))
        vectors.write_as(out, o + x, vectors.nearest(quotients))
    for x in range(whole, length):
        kind[0] = sums[x]
        kind[1] = weights[x]
        out[o + x] = np.int32(np.rint(kind[0] / kind[1]))
