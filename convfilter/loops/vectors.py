"""Vectors: as many samples as one register holds, one in each lane.

In a compiled loop each function becomes one or two instructions (``native/lowering/``); as plain Python it works on
short NumPy arrays. Without these functions, the compiler stores sums to memory after every few taps, and uses half of
the registers' width on processors that it expects to lower their clock for wide vectors. Each lane is summed in the
written order, so a sum does not depend on the number of lanes.
"""

from __future__ import annotations

import numpy as np

from convfilter.machine.processor import has_avx512


def vector_bytes() -> int:
    """Return the size of a vector on this processor in bytes: 64 with AVX-512, else 32."""
    return 64 if has_avx512() else 32


def lanes(array):
    """Return the number of lanes of a vector whose samples have the type of ``array``."""
    return vector_bytes() // array.itemsize


def spread(array, value):
    """Return a vector with ``value`` in each lane, of the type of ``array``."""
    return np.full(lanes(array), value, array.dtype)


def read(array, index):
    """Return a vector of the samples of ``array`` from ``index`` on."""
    return array[index : index + lanes(array)].copy()


def read_as(kind, array, index):
    """Return a vector of the samples of ``array`` from ``index`` on, converted to the type of ``kind``."""
    return array[index : index + lanes(kind)].astype(kind.dtype)


def read_halves(kind, array, index):
    """Return the lower and the upper halves of integers, as two vectors of the type of ``kind``.

    Each half is a signed integer of half the size: numbers must leave its highest bit free.
    """
    words, bits = array[index : index + lanes(kind)].astype(np.int64), 4 * array.itemsize
    return (words & ((1 << bits) - 1)).astype(kind.dtype), (words >> bits).astype(kind.dtype)


def write_as(array, index, vector):
    """Store ``vector``, integers that the type of ``array`` can hold, from ``index`` on."""
    array[index : index + vector.size] = vector.astype(np.int32)


def read_channels(array, index, count):
    """Return a vector for each channel of the pixels from ``index`` on, of two or four samples: ``count``."""
    return tuple(array[index : index + count * lanes(array)].reshape(-1, count).T.copy())


def write_pixels(array, index, channels):
    """Store pixels from ``index`` on, given a vector for each of their three channels; see ``write_as``."""
    pixels = np.stack(channels, axis=1)
    array[index : index + pixels.size] = pixels.astype(np.int32).ravel()


def prefetch(array, index):
    """Prefetch the cache line of the sample at ``index``, which may be out of range."""


def write(array, index, vector):
    """Store ``vector`` from ``index`` on."""
    array[index : index + lanes(array)] = vector


def write_part(array, index, vector, count):
    """Store the first ``count`` samples of ``vector`` from ``index`` on; other samples of ``array`` stay unchanged."""
    written = min(max(count, 0), lanes(array))
    array[index : index + written] = vector[:written]


def transpose(source, index, pitch, target, to, target_pitch):
    """Transpose a square of samples into ``target``; it has as many rows as a vector of their type has lanes."""
    places = np.arange(lanes(source))
    square = source[index + pitch * places[:, np.newaxis] + places]
    target[to + target_pitch * places[:, np.newaxis] + places] = square.T


def transpose_by_float_lanes(source, index, pitch, target, to, target_pitch):
    """Transpose a square of samples of any type into ``target``; it has as many rows as a vector of float32 has lanes.

    A lane-interleaved row has that many segments, whatever the type of its samples (``interleave.py``).
    """
    places = np.arange(vector_bytes() // 4)
    square = source[index + pitch * places[:, np.newaxis] + places]
    target[to + target_pitch * places[:, np.newaxis] + places] = square.T


def next_lane(vector):
    """Return the vector shifted by one lane towards the first lane; the last lane keeps its value."""
    return np.append(vector[1:], vector[-1])


def thrice(vector):
    """Return three vectors that hold each sample three times, side by side: the samples of a mask for three colours."""
    return tuple(np.repeat(vector, 3).reshape(3, -1))


def look_up(table, numbers):
    """Return the samples of a vector at the given numbers of lanes, lane by lane."""
    return table[numbers]


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


def choose(numbers, least, one, other):
    """Return, lane by lane, ``one`` where an integer of ``numbers`` is at least that of ``least``, else ``other``."""
    return np.where(numbers >= least, one, other)


def select(bits, one, other):
    """Return integers with the bits of ``one`` where those of ``bits`` are set, and those of ``other`` elsewhere."""
    return (bits & one) | (~bits & other)


def exclusive_or(one, other):
    """Return the bits that differ, lane by lane."""
    return one ^ other


def mean(one, other):
    """Return the mean of two samples, lane by lane, rounded half to even.

    Integers of up to 16 bits are samples themselves, those of 32 bits keys of float32; see ``float_keys.py``. If two
    samples are equal, the mean is the first one.
    """
    if one.dtype == np.uint32:
        return _mean_of_keys(one, other)
    down = (one & other) + ((one ^ other) >> 1)
    return down + ((one ^ other) & down & 1)


def _mean_of_keys(one, other):
    sign, ones = np.uint32(0x80000000), np.uint32(0xFFFFFFFF)
    first, second = ((key ^ np.where(key >= sign, sign, ones)).view(np.float32) for key in (one, other))
    with np.errstate(all="ignore"):
        total = first + second
        means = np.where(np.abs(total) == np.inf, 0.5 * first + 0.5 * second, 0.5 * total)
    bits = np.where(first == second, first, means).astype(np.float32).view(np.uint32)
    return bits ^ np.where(bits >= sign, ones, sign)


def high_product(one, other):
    """Return the upper 16 bits of the product of 16-bit numbers, lane by lane."""
    return (one.astype(np.uint32) * other >> 16).astype(np.uint16)


def multiply_add(sums, weights, samples):
    """Return ``sums + weights * samples``, rounded once on processors with fused multiply-add."""
    return sums + weights * samples


def multiply(one, other):
    """Return the product, lane by lane."""
    return one * other


def divide(one, other):
    """Return the quotient, lane by lane."""
    return one / other


def exp2(vector):
    """Return 2 to the power of numbers of at most 0, up to the last bits; subnormal results become 0."""
    power = np.exp2(vector)
    return np.where(vector < np.finfo(vector.dtype).minexp, np.zeros_like(power), power)


def nearest(vector):
    """Round to whole numbers, halves to even."""
    return np.rint(vector)


def magnitude(vector):
    """Return the magnitude, lane by lane."""
    return abs(vector)


def between(vector, low, high):
    """Clip to ``low`` ... ``high``; NaN becomes ``low``."""
    above = np.where(vector > low, vector, low)
    return np.where(above < high, above, high)


def positive(vector, other):
    """Return the numbers above 0, and those of ``other`` in the other lanes."""
    return np.where(vector > 0, vector, other)


def find_rank(counts, index, rank):
    """Return the bin of a histogram of 16 bins that holds the sample of a rank, which counts from 0.

    The counts begin at ``index``. The sum of the bins before that bin, times 16, is added to its number.
    """
    sums = np.cumsum(counts[index : index + 16], dtype=np.int64)
    place = int(np.sum(sums <= rank))
    return 16 * (int(sums[place - 1]) if place else 0) + place


def unequal(one, other):
    """Return the number of lanes that differ."""
    return int(np.sum(one != other))
