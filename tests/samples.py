"""Samples for tests of files and of the program."""

import numpy as np


def noise(shape, dtype=np.uint8, seed=0):
    """Samples over the whole range of a type; real ones from 0 to 1."""
    rng = np.random.default_rng(seed)
    if np.dtype(dtype).kind == "f":
        return rng.random(shape).astype(dtype)
    ends = np.iinfo(dtype)
    return rng.integers(ends.min, ends.max, shape, dtype, endpoint=True)


def wide_noise(shape, dtype=np.uint8, seed=0):
    """The same, with real samples beyond both ends: normal around mid-grey."""
    if np.dtype(dtype).kind == "f":
        return np.random.default_rng(seed).normal(0.5, 2, shape).astype(dtype)
    return noise(shape, dtype, seed)


def byte_noise(shape, dtype=np.uint8, seed=0):
    """Noise of 256 values, from black to white in any type: what bytes are when they are converted."""
    values = np.random.default_rng(seed).integers(0, 256, shape)
    if np.dtype(dtype).kind == "f":
        return (values / np.float32(255)).astype(dtype)
    return (values * (np.iinfo(dtype).max // 255)).astype(dtype)
