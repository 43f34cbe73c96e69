"""Blocks of sums: a few rows of a few vectors each, which stay in registers while taps are added.

As in ``vectors.py``, each function stands for an operation that ``native/lowering/`` maps to instructions. A block is
one variable, so loops are short and compile quickly: a tuple of vectors, row after row, ``count`` in each row. In calls
``count``, ``first`` and ``last`` must be literal integers. Functions with the suffix ``_part`` read or write only the
first ``left`` samples of each row.
"""

from __future__ import annotations

from itertools import chain

import numpy as np

from convfilter.loops import vectors


def zeros(array, count):
    """Return ``count`` vectors of zeros in the type of ``array``."""
    return tuple(np.zeros(vectors.lanes(array), array.dtype) for _ in range(count))


def read(kind, array, index, count):
    """Return ``count`` adjacent vectors of samples, converted to the type of ``kind``."""
    return tuple(vectors.read_as(kind, array, index + number * vectors.lanes(kind)) for number in range(count))


def read_part(_kind, array, index, count, left):
    """Return ``count`` adjacent vectors in the type of ``array``: its first ``left`` samples, then zeros."""
    samples = np.zeros(count * vectors.lanes(array), array.dtype)
    count_read = min(max(left, 0), samples.size)
    samples[:count_read] = array[index : index + count_read]
    return tuple(samples.reshape(count, -1))


def weigh(sums, weights, index, samples, first, last):
    """Add ``weights[index + row] * samples`` to rows ``first`` to ``last - 1`` of a block; ``samples`` is one row."""
    added = list(sums)
    for row in range(first, last):
        for number, vector in enumerate(samples, row * len(samples)):
            added[number] = vectors.multiply_add(sums[number], weights[index + row], vector)
    return tuple(added)


def scaled(sums, factors, terms):
    """Return ``terms + factors * sums``."""
    return tuple(vectors.multiply_add(terms, factors, vector) for vector in sums)


def divided(sums, divisors):
    """Return ``sums / divisors``."""
    return tuple(vectors.divide(vector, divisors) for vector in sums)


def quotients(sums, unit, inverse, most, factor, divisors):
    """Return sums of samples over those of weights, which are multiples of ``unit`` in the same numbers.

    They are ``sum * factor / (weights * divisors)``, and almost 0 where the sum of weights is not above 0: it counts as
    ``most``. ``inverse`` is 1 over ``unit``, and a sum of samples is less than half of ``unit``.
    """
    found = []
    for vector in sums:
        weights = vectors.nearest(vectors.multiply(vector, inverse))
        samples = vectors.multiply(vectors.multiply_add(vector, weights, -unit), factor)
        found.append(vectors.divide(samples, vectors.multiply(divisors, vectors.positive(weights, most))))
    return tuple(found)


def magnitudes(sums):
    """Return the magnitudes of the sums."""
    return tuple(vectors.magnitude(vector) for vector in sums)


def _rows(sums, count):
    """Return the samples of a block as an array of its rows."""
    return np.reshape(sums, (len(sums) // count, -1))


def _write(array, index, pitch, left, rows):
    """Store the first ``left`` samples of each row."""
    for number, row in enumerate(rows):
        begin = row[: max(left, 0)]
        array[index + number * pitch :][: begin.size] = begin


def _whole(sums, count):
    """Return the number of samples in a full row of a block."""
    return count * sums[0].size


def add_rows(array, index, pitch, count, sums):
    """Return the sum of a block and the rows of ``array`` from ``index`` on, ``pitch`` samples apart."""
    return add_rows_part(array, index, pitch, count, _whole(sums, count), sums)


def add_rows_part(array, index, pitch, count, left, sums):
    """Do the same as ``add_rows`` for the first ``left`` samples of each row."""
    old = [read_part(array, array, index + row * pitch, count, left) for row in range(len(sums) // count)]
    return tuple(vectors.add(one, other) for one, other in zip(chain.from_iterable(old), sums, strict=True))


def write_rows(array, index, pitch, count, sums):
    """Store a block from ``index`` on, in rows ``pitch`` samples apart."""
    write_rows_part(array, index, pitch, count, _whole(sums, count), sums)


def write_rows_part(array, index, pitch, count, left, sums):
    """Do the same as ``write_rows`` for the first ``left`` samples of each row."""
    _write(array, index, pitch, left, _rows(sums, count))


def write_rows_nearest(array, index, pitch, count, sums):
    """Store the sums rounded half to even, as integers that the type of ``array`` can hold."""
    write_rows_nearest_part(array, index, pitch, count, _whole(sums, count), sums)


def write_rows_nearest_part(array, index, pitch, count, left, sums):
    """Do the same as ``write_rows_nearest`` for the first ``left`` samples of each row."""
    _write(array, index, pitch, left, np.rint(_rows(sums, count)).astype(np.int32))


def write_rows_clipped(array, index, pitch, count, sums, full):
    """Store the sums rounded half to even and clipped to 0..``full``; return the number of clipped sums."""
    return write_rows_clipped_part(array, index, pitch, count, _whole(sums, count), sums, full)


def write_rows_clipped_part(array, index, pitch, count, left, sums, full):
    """Do the same as ``write_rows_clipped`` for the first ``left`` samples of each row."""
    whole = vectors.nearest(_rows(sums, count))
    inside = vectors.between(whole, 0, full)
    _write(array, index, pitch, left, inside.astype(np.int32))
    return int(np.sum((inside != whole)[:, : max(left, 0)]))
