"""Weighted sums of shifted rows, as calls of the loops in ``loops/correlate.py``."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from convfilter.engine.borders import Indices
from convfilter.engine.buffer import Samples
from convfilter.engine.program import Call, Counting, Moving, Slot
from convfilter.native.loop import Loop
from convfilter.planning.ring import STEP_ROWS
from convfilter.record import record

CORRELATE = Loop("correlate", "correlate", "A* i8* i8 i8* i8* A* i8 i8 i8 i8 A* i8 i8")
CORRELATE_FOUR = Loop("correlate", "correlate_four", "A* i8* i8 A* i8 i8 i8 A* i8 i8")
#: The same two for at most ``STORED_TAPS`` taps; they store samples directly, without storing sums first.
CORRELATE_STORED = Loop("correlate", "correlate_stored", "A* i8* i8 i8* i8* A* i8 i8 i8 T* i8 i8 i8 A A A i8 A i8")
CORRELATE_FOUR_STORED = Loop("correlate", "correlate_four_stored", "A* i8* i8 A* i8 i8 T* i8 i8 i8 A A A i8 A i8")
STORED_TAPS = 64

#: Output rows that share the rows that they read.
_TOGETHER = 4
#: Least window height, in strides, to share rows among four outputs: 3x3 takes 0.85 of the time, 3x1 1.05.
_TALL = 3
#: Least share of nonzero weights to share rows; sparser kernels are summed tap by tap.
_DENSE = 0.6


@record
class Taps:
    """Positions and weights of the taps of a pass.

    ``row`` counts in lines of the table of row offsets, ``col`` in samples.
    Weights have one line for all output rows, or one for each row.
    """

    row: Indices
    col: Indices
    weights: Samples

    @classmethod
    def down(cls, weights: Samples) -> Taps:
        """Return taps in a column; a 2-D array has a line of weights for each output row."""
        count = weights.shape[-1]
        return cls(np.arange(count), np.zeros(count, np.int64), weights)

    @classmethod
    def along(cls, col: Indices, weights: Samples) -> Taps:
        """Return taps in one row."""
        return cls(np.zeros(col.size, np.int64), col, weights)

    @classmethod
    def of(cls, matrix: Samples, col: Indices) -> Taps:
        """Return the taps of a 2-D kernel whose columns are at ``col``."""
        rows, cols = matrix.shape
        return cls(np.repeat(np.arange(rows), cols), np.tile(col, rows), matrix.ravel())

    def nonzero(self) -> Taps:
        """Return the taps with nonzero weights."""
        keep = np.flatnonzero(self.weights if self.weights.ndim == 1 else np.any(self.weights, axis=0))
        return Taps(self.row[keep], self.col[keep], np.ascontiguousarray(self.weights[..., keep]))

    def in_rows(self, first: int, last: int) -> Taps:
        """Return the taps of rows ``first`` to ``last - 1``, in their order."""
        keep = np.flatnonzero((self.row >= first) & (self.row < last))
        return Taps(self.row[keep], self.col[keep], self.weights[..., keep])

    def cast(self, dtype: npt.DTypeLike) -> Taps:
        """Return the same taps with weights of another type."""
        return Taps(self.row, self.col, self.weights.astype(dtype))


@record
class Target:
    """Target of a pass: ``rows`` runs of ``length`` samples, ``pitch`` apart."""

    buffer: Samples
    pitch: int
    rows: int
    length: int


#: Row offsets of a pass that stays within its rows.
LINES = np.arange(STEP_ROWS, dtype=np.int64).reshape(1, STEP_ROWS, 1)


@record(eq=False)
class Step:
    """Target of a step's sums: ``STEP_ROWS`` runs of ``length`` samples, ``pitch`` apart."""

    memory: Samples | Moving
    pitch: int
    length: int


class StoringStep(Step):
    """A step whose final sums may be stored from registers, without going through memory.

    Parameters
    ----------
    memory, pitch, length
        As for a ``Step``: for sums that no loop can store directly.
    place : (Slot, Counting, int)
        Array, start and pitch of the samples.
    dtype : dtype
        Of the samples.
    numbers : tuple
        Arguments of ``correlate_stored`` for the conversion; see ``Store.fused``.
    """

    def __init__(
        self,
        memory: Samples,
        length: int,
        place: tuple[Slot, Counting | int, int],
        dtype: np.dtype[np.generic],
        numbers: tuple[float | int, ...],
    ) -> None:
        super().__init__(memory, length, length)
        self._place, self._dtype, self._numbers = place, dtype, numbers
        #: Whether a call that stores the sums exists.
        self.is_stored = False

    def stored(self, loop: Loop, where: tuple[Any, ...], dtype: npt.DTypeLike) -> Call:
        """Return the call that sums and stores."""
        self.is_stored = True
        return Call(loop.variant(A=dtype, T=self._dtype), (*where, *self._place, self.length, *self._numbers))


def weighted_sums(tile: Samples, row_offset: Indices, taps: Taps, target: Target, *, add: bool = False) -> None:
    """Write (or ``add``) the weighted sums of ``tile`` at the taps.

    ``row_offset`` (target rows x row taps) is the start, in the tile, of each
    row that a tap may read.
    """
    weights = np.ascontiguousarray(taps.weights, tile.dtype)
    CORRELATE.variant(A=tile.dtype)(
        tile, row_offset, taps.row.size, taps.row, taps.col, weights, weights.shape[1] if weights.ndim > 1 else 0,
        target.rows, row_offset.shape[1], int(add), target.buffer, target.pitch, target.length,
    )  # fmt: skip


class Window:
    """A window that moves down by ``stride`` rows for each output row: made once, used for many steps.

    If the source is ``finite``, four output rows share the union of their tile
    rows, with weights of zero outside each row's own window.
    """

    def __init__(self, taps: Taps, rows: int, stride: int, dtype: npt.DTypeLike, *, finite: bool) -> None:
        self._taps = taps.nonzero().cast(dtype)
        self._made: tuple[Indices, Indices] | None = None
        counting = np.flatnonzero(taps.weights.reshape(rows, -1).any(axis=1))
        self._first, rows = (int(counting[0]), int(np.ptp(counting)) + 1) if counting.size else (0, rows)
        taps = taps.in_rows(self._first, self._first + rows)
        self._rows, self._reach = rows, (_TOGETHER - 1) * stride
        dense = np.count_nonzero(taps.weights) >= _DENSE * taps.weights.size
        self._shared = finite and dense and stride > 0 and rows >= _TALL * stride
        if not self._shared:
            return
        by_row = taps.weights.reshape(rows, -1)
        self._columns = by_row.shape[1]
        self._weights = weights_of_rows(by_row, _TOGETHER, dtype, stride)
        self._col = np.tile(taps.col[: self._columns], rows + self._reach)

    def call(self, tile: Samples | Moving, table: Indices, step: Step) -> Call:
        """Return the call that writes the sums of a step; ``table`` is (period, STEP_ROWS, window rows)."""
        if not self._shared:
            return sum_call(tile, table, self._taps, step)
        made = self._made  # read once: threads that make programs at the same time may write it
        if made is None or made[0] is not table:
            made = self._made = table, self._shared_runs(table)
        offsets = made[1]
        periods, runs = offsets.shape
        return four_call(tile, Moving(offsets, 0, runs, periods), runs, self._weights, step)

    def _shared_runs(self, table: Indices) -> Indices:
        """Return the starts of the runs that four rows share, from the tables of the first and the last row."""
        counting = table[:, :, self._first : self._first + self._rows]
        windows = np.concatenate([counting[:, 0], counting[:, -1, self._rows - self._reach :]], axis=1)
        offsets: Indices = np.repeat(windows, self._columns, axis=1) + self._col
        return offsets


def weights_of_rows(window: Samples, rows: int, dtype: npt.DTypeLike, stride: int = 1) -> Samples:
    """Return (runs, rows) weights: the window of each output row lies a stride below that of the row before."""
    height, columns = window.shape
    table = np.zeros((height + (rows - 1) * stride, columns, rows), dtype)
    for row in range(rows):
        table[row * stride : row * stride + height, :, row] = window
    return table.reshape(-1, rows)


def four_call(tile: Samples | Moving, offsets: Moving, runs: int, weights: Samples | Moving, step: Step) -> Call:
    """Return the call that writes weighted runs to the four rows of a step; ``weights`` are (runs, 4)."""
    dtype = dtype_of(tile)
    where = tile, offsets, runs, weights, 0, 1
    if isinstance(step, StoringStep) and runs <= STORED_TAPS:
        return step.stored(CORRELATE_FOUR_STORED, where, dtype)
    return Call(CORRELATE_FOUR.variant(A=dtype), (*where, 0, step.memory, step.pitch, step.length))


def dtype_of(memory: Samples | Moving) -> npt.DTypeLike:
    """Return the sample type of a call's input."""
    return memory.array.dtype if isinstance(memory, Moving) else memory.dtype


def sum_call(tile: Samples | Moving, table: Indices, taps: Taps, step: Step, *, add: bool = False) -> Call:
    """Return the call that writes (or adds) the weighted sums of a step; ``table`` is (period, STEP_ROWS, row taps)."""
    dtype = dtype_of(tile)
    weights = np.ascontiguousarray(taps.weights, dtype)
    period, rows, row_taps = table.shape
    offsets = Moving(np.ascontiguousarray(table), 0, rows * row_taps, period)
    where = tile, offsets, taps.row.size, taps.row, taps.col, weights, 0, rows, row_taps
    if isinstance(step, StoringStep) and not add and taps.row.size <= STORED_TAPS:
        return step.stored(CORRELATE_STORED, where, dtype)
    return Call(CORRELATE.variant(A=dtype), (*where, int(add), step.memory, step.pitch, step.length))


def add_four(tile: Samples, offsets: Indices, weights: Samples, target: Target) -> None:
    """Write weighted runs of the tile to blocks of four rows.

    ``offsets`` is (blocks, runs); ``weights`` (runs, 4), or (blocks, runs, 4)
    where blocks differ.
    """
    weights = np.ascontiguousarray(weights, tile.dtype)
    blocks, runs = offsets.shape
    CORRELATE_FOUR.variant(A=tile.dtype)(
        tile, np.ascontiguousarray(offsets), runs, weights, weights[0].size if weights.ndim > 2 else 0,
        blocks, 0, target.buffer, target.pitch, target.length,
    )  # fmt: skip
