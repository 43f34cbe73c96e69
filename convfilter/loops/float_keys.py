"""Keys of float32 samples: unsigned integers in the order of the samples, of which a median can be taken.

A key has the bits of its sample, with the highest bit inverted where the sample is positive, and all bits where it is
negative. All NaNs that are not negative come last.
"""

from __future__ import annotations

import numpy as np

from convfilter.loops import vectors

_SIGN, _ALL = 0x80000000, 0xFFFFFFFF
#: All bits but the sign; the bits of infinity, above which are those of NaNs.
_MAGNITUDE, _INFINITY = 0x7FFFFFFF, 0x7F800000


def to_keys(bits, count, keys):
    """Write the keys of ``count`` samples, given by their bits; return how many of them are NaN."""
    lanes = vectors.lanes(keys)
    whole = count - count % lanes
    signs, ones, zeros = vectors.spread(keys, _SIGN), vectors.spread(keys, _ALL), vectors.spread(keys, 0)
    magnitudes, infinities = vectors.spread(keys, _MAGNITUDE), vectors.spread(keys, _INFINITY)
    nans = 0
    for x in range(0, whole, lanes):
        sample = vectors.read(bits, x)
        vectors.write(keys, x, vectors.exclusive_or(sample, vectors.choose(sample, signs, ones, signs)))
        nans += vectors.unequal(vectors.greater(vectors.select(magnitudes, sample, zeros), infinities), infinities)
    for x in range(whole, count):
        sample = np.int64(bits[x])
        keys[x] = np.uint32(sample ^ (_ALL if sample >= _SIGN else _SIGN))
        nans += int((sample & _MAGNITUDE) > _INFINITY)
    return nans


def from_keys(keys, count):
    """Replace ``count`` keys by the bits of their samples."""
    lanes = vectors.lanes(keys)
    whole = count - count % lanes
    signs, ones = vectors.spread(keys, _SIGN), vectors.spread(keys, _ALL)
    for x in range(0, whole, lanes):
        key = vectors.read(keys, x)
        vectors.write(keys, x, vectors.exclusive_or(key, vectors.choose(key, signs, signs, ones)))
    for x in range(whole, count):
        key = np.int64(keys[x])
        keys[x] = np.uint32(key ^ (_SIGN if key >= _SIGN else _ALL))
    return 0
