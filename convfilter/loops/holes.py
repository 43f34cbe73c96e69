"""Samples that a mask leaves out of windows: rows that mark them, and how medians fill them.

The ignored samples of a window are filled in turns with the smallest and the largest number of the type. So as many of
them lie below the median as above it. If their number is odd, and that of the valid samples even, one more lies below
it: then the median of all is the lower of the two middle samples, and the next rank is the upper one.

In a row of ``holes``, all bits are set for each ignored sample of a padded row, and none for the others. ``odd`` has
all bits set where the number of samples filled so far is odd. So one bitwise operation fills a vector.
"""

from __future__ import annotations

import numpy as np

from convfilter.loops import vectors

#: Number of rows between a row of the mask and its prefetch, and of samples of a prefetch, as in ``load_masked.py``.
_ROWS_AHEAD, _LINE = 4, 64


def _spread_holes(
    valid, valid_pitch, rows, first, behind, row_dilation, places, run_start, run_length, length, channels, holes,
    hole_pitch, hole_rows,
):  # fmt: skip
    """Mark the ignored samples of the rows of the places ``first`` to ``behind - 1``; return ``behind``.

    ``holes`` is a ring of the rows of ``4 * row_dilation + 1`` places, and a row of zeros; ``hole_rows`` holds where
    the row of each place of the ring begins, or the row of zeros.
    """
    ring = 4 * row_dilation + 1
    zeros = ring * hole_pitch
    if first == 0:
        for x in range(hole_pitch):
            holes[zeros + x] = 0
    run, count = run_start // channels, run_length // channels
    for place in range(first, behind):
        v, o = rows[place] * valid_pitch, place % ring * hole_pitch
        start = v + places[run_start] // channels
        for p in range(0, count, _LINE):
            vectors.prefetch(valid, start + p + _ROWS_AHEAD * valid_pitch)
        ignored = _spread(valid, v, places, 0, run, channels, holes, o)
        ignored += _spread(valid, v, places, run + count, length // channels, channels, holes, o)
        ignored += _ignored(valid, start, count)
        hole_rows[place % ring] = zeros if ignored == 0 else o
        if ignored == 0:
            continue
        if channels == 3 and count >= vectors.lanes(holes):
            _spread_vectors(valid, start, count, 3, holes, o + run_start)
        elif channels == 1 and count >= vectors.lanes(holes):
            _spread_vectors(valid, start, count, 1, holes, o + run_start)
        else:
            _spread(valid, v, places, run, run + count, channels, holes, o)
    return behind


def _has_holes(hole_rows, first, rows, row_dilation, hole_pitch):
    """Whether any of ``rows`` rows, ``row_dilation`` places apart from ``first`` on, has an ignored sample."""
    ring = 4 * row_dilation + 1
    found = 0
    for row in range(rows):
        found += hole_rows[(first + row * row_dilation) % ring] != ring * hole_pitch
    return found > 0


def _ignored(valid, v, count):
    """Return 0 if ``count`` pixels are valid, else another number."""
    lanes = vectors.lanes(valid)
    ones = vectors.spread(valid, 1)
    least = ones
    whole = count - count % lanes
    for p in range(0, whole, lanes):
        least = vectors.lesser(least, vectors.read(valid, v + p))
    ignored = vectors.unequal(least, ones)
    for p in range(whole, count):
        ignored += 1 - valid[v + p]
    return ignored


def _spread_vectors(valid, v, count, channels, holes, o):
    """Mark the samples of adjacent pixels."""
    lanes = vectors.lanes(holes)
    ones = vectors.spread(holes, 1)
    for p in range(0, count, lanes):
        i = min(p, count - lanes)
        hole = vectors.subtract(vectors.read_as(holes, valid, v + i), ones)
        if channels == 3:
            one, two, three = vectors.thrice(hole)
            vectors.write(holes, o + 3 * i, one)
            vectors.write(holes, o + 3 * i + lanes, two)
            vectors.write(holes, o + 3 * i + 2 * lanes, three)
        else:
            vectors.write(holes, o + i, hole)


def _spread(valid, v, places, first, last, channels, holes, o):
    """Mark the samples of pixels one by one; return how many pixels are ignored."""
    ignored = 0
    for p in range(first, last):
        mark = valid[v + places[p * channels] // channels]
        hole = np.int64(mark) - 1
        ignored += 1 - mark
        for c in range(channels):
            holes[o + p * channels + c] = hole
    return ignored


def _filled(samples, holes, e, odd):
    """Return samples, of which ignored ones are filled, and whether an odd number is filled then."""
    hole = vectors.read(holes, e)
    return vectors.select(hole, odd, samples), vectors.exclusive_or(odd, hole)


def _left_out(medians, holes, centre, leaves_out):
    """Return 0 where the sample at the centre is ignored if ``leaves_out``, and medians elsewhere."""
    zeros = vectors.spread(holes, 0)
    replaced = vectors.subtract(zeros, vectors.spread(holes, leaves_out))
    return vectors.select(vectors.lesser(vectors.read(holes, centre), replaced), zeros, medians)
