"""Blocks of sums as loops use them: some rows of some vectors each, which registers hold together.

As in ``vectors.py``, names say what is wanted, and ``engine/lowering/`` which instructions that becomes. One
name for a whole block keeps what is written short, and quick to compile.
"""

from __future__ import annotations

import numpy as np

from convfilter.engine.loops.vectors import divide, lanes, multiply_add, read_as, write, write_nearest


def zeros(array, count):
    """Return ``count`` vectors for ``array`` that hold zero; a number that is written out."""
    return tuple(np.zeros(lanes(array), array.dtype) for _ in range(count))


def read_side_by_side(kind, array, index, count):
    """Return ``count`` vectors of samples of ``array``, each as :func:`read_as` does; a number that is written out."""
    return tuple(read_as(kind, array, index + number * lanes(kind)) for number in range(count))


def weigh(sums, weights, index, samples, first, last):
    """Add ``weights[index + row] * samples`` to rows ``first`` to ``last - 1`` of sums; two numbers written out.

    ``sums`` holds the vectors of one row after the other, as many in each as there are ``samples``.
    """
    added = list(sums)
    for row in range(first, last):
        for number, vector in enumerate(samples, row * len(samples)):
            added[number] = multiply_add(sums[number], weights[index + row], vector)
    return tuple(added)


def scaled(sums, factors, terms):
    """Return ``terms + factors * sums`` for each vector of sums."""
    return tuple(multiply_add(terms, factors, vector) for vector in sums)


def divided(sums, divisors):
    """Return the quotients for each vector of sums."""
    return tuple(divide(vector, divisors) for vector in sums)


def write_rows(array, index, pitch, sums, count):
    """Store rows of ``count`` vectors, ``pitch`` samples apart; a number that is written out."""
    for number, vector in enumerate(sums):
        write(array, index + number // count * pitch + number % count * vector.size, vector)


def write_rows_nearest(array, index, pitch, sums, count):
    """Do so with the nearest whole numbers, as :func:`write_nearest` does."""
    for number, vector in enumerate(sums):
        write_nearest(array, index + number // count * pitch + number % count * vector.size, vector)
