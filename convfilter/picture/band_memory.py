"""Arrays for bands of rows, used again and again."""

from __future__ import annotations

import numpy as np

from convfilter.picture.pixels import Pixels


class BandMemory:
    """Arrays of one shape and type, for bands that any thread fills and any other thread frees.

    For a new array the system must clear pages; and the C library keeps freed ones for each thread separately, 2 to 3
    MB for each thread that reads rows of 120 KB.

    Parameters
    ----------
    shape : tuple of int
    dtype : dtype
    """

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype[np.generic]) -> None:
        self._shape, self._dtype = shape, dtype
        self._free: list[Pixels] = []

    def take(self) -> Pixels:
        """Return an array whose content is undefined."""
        try:
            return self._free.pop()
        except IndexError:  # a test of the length first would race with other threads
            return np.empty(self._shape, self._dtype)

    def give_back(self, band: Pixels) -> None:
        """Keep a band's memory for :meth:`take` if its shape and type fit; nobody may use the band afterwards."""
        memory = band if band.base is None else band.base
        if isinstance(memory, np.ndarray) and memory.shape == self._shape and memory.dtype == self._dtype:
            self._free.append(memory)

    def clear(self) -> None:
        """Free all arrays."""
        self._free.clear()
