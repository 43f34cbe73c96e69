"""Blocks of sums as loops use them: some rows of some vectors each, which registers hold together.

As in ``vectors.py``, names say what is wanted, and ``engine/lowering/`` which instructions that becomes. One
name for a whole block keeps what is written short, and quick to compile. A block is a tuple of the vectors of one row
after the other, ``count`` in each row. ``count``, ``first`` and ``last`` are numbers that are written out where they
are passed. What ends in ``_part`` has ``left`` samples in each row, and touches nothing else.
"""

from __future__ import annotations

import numpy as np

from convfilter.engine.loops import vectors


def zeros(array, count):
    """Return ``count`` vectors for ``array`` that hold zero."""
    return tuple(np.zeros(vectors.lanes(array), array.dtype) for _ in range(count))


def read(kind, array, index, count):
    """Return ``count`` vectors of samples side by side, each as :func:`vectors.read_as` does."""
    return tuple(vectors.read_as(kind, array, index + number * vectors.lanes(kind)) for number in range(count))


def read_part(_kind, array, index, count, left):
    """Return ``count`` vectors of the samples side by side, which are of one type with them."""
    lanes = vectors.lanes(array)
    return tuple(vectors.read_part(array, index + number * lanes, left - number * lanes) for number in range(count))


def weigh(sums, weights, index, samples, first, last):
    """Add ``weights[index + row] * samples`` to rows ``first`` to ``last - 1``; ``samples`` are one row."""
    added = list(sums)
    for row in range(first, last):
        for number, vector in enumerate(samples, row * len(samples)):
            added[number] = vectors.multiply_add(sums[number], weights[index + row], vector)
    return tuple(added)


def scaled(sums, factors, terms):
    """Return ``terms + factors * sums``."""
    return tuple(vectors.multiply_add(terms, factors, vector) for vector in sums)


def divided(sums, divisors):
    """Return the quotients."""
    return tuple(vectors.divide(vector, divisors) for vector in sums)


def magnitudes(sums):
    """Drop the signs."""
    return tuple(vectors.magnitude(vector) for vector in sums)


def _places(index, pitch, count, sums):
    """Return each vector, where it goes, and how many samples of its row come before it."""
    places = []
    for number, vector in enumerate(sums):
        row, before = number // count, number % count * vector.size
        places.append((vector, index + row * pitch + before, before))
    return places


def add_rows(array, index, pitch, count, sums):
    """Return the sums of rows, ``pitch`` samples apart, and of a block."""
    places = _places(index, pitch, count, sums)
    return tuple(vectors.add(vectors.read(array, at), vector) for vector, at, _ in places)


def add_rows_part(array, index, pitch, count, left, sums):
    """Do so where rows have ``left`` samples."""
    return tuple(
        vectors.add(vectors.read_part(array, at, left - before), vector)
        for vector, at, before in _places(index, pitch, count, sums)
    )


def write_rows(array, index, pitch, count, sums):
    """Store a block, in rows ``pitch`` samples apart."""
    for vector, at, _ in _places(index, pitch, count, sums):
        vectors.write(array, at, vector)


def write_rows_part(array, index, pitch, count, left, sums):
    """Do so where rows have ``left`` samples."""
    for vector, at, before in _places(index, pitch, count, sums):
        vectors.write_part(array, at, vector, left - before)


def write_rows_nearest(array, index, pitch, count, sums):
    """Store the nearest whole numbers, as :func:`vectors.write_nearest` does."""
    for vector, at, _ in _places(index, pitch, count, sums):
        vectors.write_nearest(array, at, vector)


def write_rows_nearest_part(array, index, pitch, count, left, sums):
    """Do so where rows have ``left`` samples."""
    for vector, at, before in _places(index, pitch, count, sums):
        vectors.write_nearest_part(array, at, vector, left - before)


def write_rows_clipped(array, index, pitch, count, sums, full):
    """Store the nearest whole numbers from 0 to ``full``, and return how many sums lie beyond."""
    clipped = 0
    for vector, at, _ in _places(index, pitch, count, sums):
        whole = vectors.nearest(vector)
        inside = vectors.between(whole, 0, full)
        clipped += vectors.unequal(inside, whole)
        vectors.write_as(array, at, inside)
    return clipped


def write_rows_clipped_part(array, index, pitch, count, left, sums, full):
    """Do so where rows have ``left`` samples."""
    clipped = 0
    for vector, at, before in _places(index, pitch, count, sums):
        whole = vectors.nearest(vector)
        inside = vectors.between(whole, 0, full)
        clipped += vectors.unequal_part(inside, whole, left - before)
        vectors.write_as_part(array, at, inside, left - before)
    return clipped
