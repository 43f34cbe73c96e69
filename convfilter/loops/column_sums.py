"""Sums of integers down the columns of a box: made for a window, or slid down by the rows that enter and leave it.

Sums of a row of padding are those of a constant. A row of sums has room for the padding on both sides.
"""

from __future__ import annotations

import numpy as np

from convfilter.loops import vectors


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


def _slide(source, pitch, entering, leaving, constant, line, at, width):
    """Slide the column sums down by one row: add the entering row, subtract the leaving row."""
    new, old = entering * pitch, leaving * pitch
    if entering >= 0 and leaving >= 0:
        for x in range(width):
            line[at + x] = line[at + x] + source[new + x] - source[old + x]
    else:
        _enter(source, pitch, entering, constant, line, at, width)
        _leave(source, pitch, leaving, constant, line, at, width)


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
