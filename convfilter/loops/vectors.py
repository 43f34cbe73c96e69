"""Vectors as loops use them: as many samples as one register holds, in names instead of in hope.

Left to vectorise by itself, the compiler sends the sums through memory after
every few taps, and uses half of the registers' width where it fears for the
processor's clock. The functions here say what is wanted. As plain Python they
work on short NumPy arrays; in a loop that is compiled, each becomes an
instruction or two: ``native/lowering/`` says which. Every lane is summed in the order that is written, whatever
the number of lanes.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from llvmlite import binding


@cache
def vector_bytes() -> int:
    """Return how wide the vectors of this processor are: 64 bytes with AVX-512, else 32."""
    return 64 if binding.get_host_cpu_features().get("avx512vl") else 32


def lanes(array):
    """Return how many samples of ``array``, or numbers like ``array``, make up a vector."""
    return vector_bytes() // array.itemsize


def spread(array, value):
    """Return a vector for ``array`` that holds ``value`` everywhere."""
    return np.full(lanes(array), value, array.dtype)


def read(array, index):
    """Return the samples of ``array`` from ``index`` on."""
    return array[index : index + lanes(array)].copy()


def read_as(kind, array, index):
    """Return samples of ``array``, as many as make up a vector for ``kind``, and of its type."""
    return array[index : index + lanes(kind)].astype(kind.dtype)


def write_as(array, index, vector):
    """Store the numbers of ``vector``, whole and in range, as the integers of ``array``."""
    array[index : index + vector.size] = vector.astype(np.int32)


def prefetch(array, index):
    """Have the cache line that holds a sample come nearer before it is read; any index will do."""


def write(array, index, vector):
    """Store ``vector`` from ``index`` on."""
    array[index : index + lanes(array)] = vector


def write_part(array, index, vector, count):
    """Store the first ``count`` samples of ``vector``: nothing else is touched."""
    kept = min(max(count, 0), lanes(array))
    array[index : index + kept] = vector[:kept]


def transpose(source, index, pitch, target, to, target_pitch):
    """Copy a square of samples, as many vectors as a vector has lanes, and exchange its rows and columns."""
    places = np.arange(lanes(source))
    square = source[index + pitch * places[:, np.newaxis] + places]
    target[to + target_pitch * places[:, np.newaxis] + places] = square.T


def turn(source, index, pitch, target, to, target_pitch):
    """Do the same with samples of any type: a square with as many rows as a vector of float32 has lanes."""
    places = np.arange(vector_bytes() // 4)
    square = source[index + pitch * places[:, np.newaxis] + places]
    target[to + target_pitch * places[:, np.newaxis] + places] = square.T


def next_lane(vector):
    """Return what the lane after each holds; the last lane keeps its own."""
    return np.append(vector[1:], vector[-1])


def add(one, other):
    """Return the sum, lane by lane."""
    return one + other


def subtract(one, other):
    """Return the difference, lane by lane."""
    return one - other


def lesser(one, other):
    """Return the smaller of two integers, lane by lane."""
    return np.minimum(one, other)


def greater(one, other):
    """Return the larger of two integers, lane by lane."""
    return np.maximum(one, other)


def high_product(one, other):
    """Return the product of 16-bit numbers without its lower 16 bits, lane by lane."""
    return (one.astype(np.uint32) * other >> 16).astype(np.uint16)


def multiply_add(sums, weights, samples):
    """Return ``sums + weights * samples``, rounded once where the processor can."""
    return sums + weights * samples


def divide(one, other):
    """Return the quotient, lane by lane."""
    return one / other


def exp2(vector):
    """Return 2 to the power of numbers of at most 0, to the last bits; 0 where that is no normal number."""
    power = np.exp2(vector)
    return np.where(vector < np.finfo(vector.dtype).minexp, np.zeros_like(power), power)


def nearest(vector):
    """Round to whole numbers, halves to even."""
    return np.rint(vector)


def magnitude(vector):
    """Drop the sign."""
    return abs(vector)


def between(vector, low, high):
    """Return what lies from ``low`` to ``high``, or the nearest of them; what is not a number becomes ``low``."""
    above = np.where(vector > low, vector, low)
    return np.where(above < high, above, high)


def unequal(one, other):
    """Count the lanes that differ."""
    return int(np.sum(one != other))
