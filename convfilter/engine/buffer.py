"""Memory for rows: line buffers between the nodes of a plan, and scratch memory within one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from convfilter.engine.borders import CONSTANT, Indices
from convfilter.engine.program import Slot
from convfilter.record import record

if TYPE_CHECKING:
    import numpy.typing as npt

Samples = np.ndarray[tuple[Any, ...], np.dtype[Any]]

#: Bytes of a cache line.
CACHE_LINE = 64


@record(eq=False)
class LineBuffer:
    """Rows of a picture in memory: all of them, or only those that a later node still needs.

    Attributes
    ----------
    slot : Slot
        Slot of the array (rows, cols, channels), C-contiguous.
    row_map : (rows of the picture + 1,) int64 array, int, or None
        The array's row for each row of the picture, -1 for rows that are never buffered. The last entry is -1 too, so
        index ``CONSTANT``, which is -1, gives ``CONSTANT``. A number: the array is a ring of so many rows, and row r
        lies in row r modulo that number. None: the array holds all rows in order.
    """

    slot: Slot
    row_map: Indices | int | None = None

    def index(self, rows: Indices) -> Indices:
        """Return the array's rows for rows of the picture; padding (``CONSTANT``) stays padding."""
        if self.row_map is None:
            return rows
        if isinstance(self.row_map, int):
            return np.where(rows == CONSTANT, CONSTANT, rows % self.row_map)
        return self.row_map[rows]

    def row(self, row: int) -> int:
        """Return the array's row for a row of the picture; the next rows of the same block follow it."""
        if self.row_map is None:
            return row
        return row % self.row_map if isinstance(self.row_map, int) else int(self.row_map[row])

    def rows(self, top: int, bottom: int) -> Samples:
        """Return rows ``top`` to ``bottom - 1`` of the picture, all buffered: a view if they are contiguous."""
        if self.row_map is None:
            return self.slot.array[top:bottom]
        if isinstance(self.row_map, int) and (first := top % self.row_map) + bottom - top <= self.row_map:
            return self.slot.array[first : first + bottom - top]
        places = self.index(np.arange(top, bottom))
        first = int(places[0])
        if int(places[-1]) - first == bottom - top - 1 and bool((np.diff(places) == 1).all()):
            return self.slot.array[first : first + bottom - top]
        return self.slot.array[places]

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the samples."""
        return self.slot.dtype

    @property
    def row_samples(self) -> int:
        """Samples of a row, of all channels."""
        samples: int = self.slot.shape[1] * self.slot.shape[2]
        return samples


class Scratch:
    """Scratch memory of one worker: named buffers that grow when needed and are reused."""

    def __init__(self, dtype: npt.DTypeLike) -> None:
        self.dtype = np.dtype(dtype)
        self._buffers: dict[tuple[str, np.dtype[Any]], Samples] = {}

    def get(self, name: str, size: int, dtype: npt.DTypeLike | None = None) -> Samples:
        """Return an uninitialised flat buffer of at least ``size`` samples of a type, by default the scratch's."""
        kind = self.dtype if dtype is None else np.dtype(dtype)
        buffer = self._buffers.get((name, kind))
        if buffer is None or buffer.size < size:
            buffer = self._buffers[name, kind] = aligned_array(size, kind)
        return buffer


def aligned_array(size: int, dtype: npt.DTypeLike, *, zeros: bool = False) -> Samples:
    """Return a flat array aligned to a cache line, so that no aligned vector straddles two.

    The array is uninitialised, or filled with ``zeros``: the system then clears each page at its first use.
    """
    dtype = np.dtype(dtype)
    memory = (np.zeros if zeros else np.empty)(size * dtype.itemsize + CACHE_LINE, np.uint8)
    start = -memory.ctypes.data % CACHE_LINE
    return memory[start : start + size * dtype.itemsize].view(dtype)
