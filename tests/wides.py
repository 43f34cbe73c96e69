"""Samples that float32 does not hold: noise over the whole range of a type, and exact results stored in the type."""

import numpy as np

#: Those that the engine computes in as they are, and those of files that it computes in another.
NATIVE = ("int16", "uint32", "float64")
FILES = (*NATIVE, "int8", "int32")


def noise(dtype, shape=(23, 31, 3), seed=0):
    """Samples all over the range of a type; real ones around a thousand, of both signs."""
    rng = np.random.default_rng(seed)
    if np.dtype(dtype).kind == "f":
        return rng.normal(0, 1e3, shape).astype(dtype)
    ends = np.iinfo(dtype)
    return rng.integers(ends.min, ends.max, shape, dtype, endpoint=True)


def stored(values, dtype):
    """Exact values as an image of a type holds them: rounded half to even, and clipped to its range."""
    values = np.asarray(values)
    if np.dtype(dtype).kind == "f":
        return values.astype(dtype)
    ends = np.iinfo(dtype)
    whole = np.frompyfunc(lambda value: min(max(round(value), ends.min), ends.max), 1, 1)(values)
    return whole.astype(dtype)
