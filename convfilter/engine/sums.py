"""Weighted sums of shifted rows, as calls of the loops in ``loops/correlate.py``.

A tap reads ``length`` consecutive samples of a tile from an offset on, and adds them, times its weight, to a row of
sums. Tables of offsets say where each tap begins.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from convfilter.engine.borders import Indices
from convfilter.engine.buffer import Samples
from convfilter.engine.program import Call, Counting, Moving, Slot
from convfilter.engine.threads import cut
from convfilter.native.loop import Loop
from convfilter.planning.ring import STEP_ROWS
from convfilter.record import record

if TYPE_CHECKING:
    import numpy.typing as npt

CORRELATE = Loop("correlate", "correlate", "A* i8* i8 i8* i8* A* i8 i8 i8 i8 A* i8 i8")
CORRELATE_FOUR = Loop("correlate", "correlate_four", "A* i8* i8 A* i8 i8 i8 i8 A* i8 i8")
#: The same two loops for at most ``STORED_TAPS`` taps: they store samples from registers, without storing sums first.
CORRELATE_STORED = Loop(
    "correlate", "correlate_stored", "A* i8* i8 i8* i8* A* i8 i8 i8 T* i8 i8 i8 A A A i8 A i8 A A A"
)
CORRELATE_FOUR_STORED = Loop("correlate", "correlate_four_stored", "A* i8* i8 A* i8 i8 T* i8 i8 i8 A A A i8 A i8 A A A")
STORED_TAPS = 64
#: Taps of one partial sum, as in ``loops/correlate.py``.
_PARTIAL_TAPS = 64

#: Output rows that are summed at a time, since they share most of the rows that they read.
_SHARING_ROWS = 4
#: Least window height, in strides, for which sharing pays: 3x3 takes 0.85 of the time, 3x1 1.05.
_LEAST_STRIDES = 3
#: Least share of nonzero weights for which sharing pays; sparser kernels are summed tap by tap.
_LEAST_DENSITY = 0.6


@record
class Taps:
    """Positions and weights of the taps of a pass.

    ``row`` is an index into the table of row offsets, ``col`` a number of samples. ``weights`` are (taps,) for all
    output rows, or (rows, taps).
    """

    row: Indices
    col: Indices
    weights: Samples

    @classmethod
    def down(cls, weights: Samples) -> Taps:
        """Return taps in a column; ``weights`` are (taps,), or (output rows, taps)."""
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

    def part(self, first: int, last: int) -> Taps:
        """Return taps ``first`` to ``last - 1``."""
        return Taps(self.row[first:last], self.col[first:last], self.weights[..., first:last])

    def partial_sums(self) -> list[Taps]:
        """Return the taps of each partial sum, to be added up in this order.

        ``correlate`` would make one sum of evenly spaced taps in a long row, and partial sums in a short one: the last
        bits would depend on how wide strips are, and so on the number of threads.
        """
        return [self.part(first, first + _PARTIAL_TAPS) for first in range(0, max(1, self.row.size), _PARTIAL_TAPS)]

    def cast(self, dtype: npt.DTypeLike) -> Taps:
        """Return the same taps with weights of another type."""
        return Taps(self.row, self.col, self.weights.astype(dtype))


#: Row offsets of a pass that stays within its rows.
LINES = np.arange(STEP_ROWS, dtype=np.int64).reshape(1, STEP_ROWS, 1)


@record(eq=False)
class StepOutput:
    """Memory for sums, those of a step or of other rows: ``length`` samples of each, ``pitch`` apart."""

    memory: Samples | Moving
    pitch: int
    length: int


class StoringOutput(StepOutput):
    """Memory for a step's sums, and a place to which a loop may store samples from registers instead.

    Parameters
    ----------
    memory, length
        As for a ``StepOutput``, with rows side by side: for sums that no loop can store directly.
    place : (Slot, Counting, int)
        Array, start and pitch of the samples.
    dtype : dtype
        Of the samples.
    numbers : tuple
        Arguments of ``correlate_stored`` for the conversion; see ``Store.fused_arguments``.
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


class WindowSums:
    """Sums under a window that slides down by ``stride`` rows for each output row: made once, used for many steps.

    Four output rows may share the union of their tile rows, with weights of zero outside each row's own window. If the
    source need not be ``finite``, no weight within the window may be zero, and each partial sum is a pass of its own,
    since the rows begin theirs in different tile rows.
    """

    def __init__(self, taps: Taps, rows: int, stride: int, dtype: npt.DTypeLike, *, finite: bool) -> None:
        self._taps = taps.nonzero().cast(dtype)
        self._cached: tuple[Indices, list[Indices]] | None = None  # the last table, and its shared taps
        nonzero = np.flatnonzero(taps.weights.reshape(rows, -1).any(axis=1))
        self._first, rows = (int(nonzero[0]), int(np.ptp(nonzero)) + 1) if nonzero.size else (0, rows)
        taps = taps.in_rows(self._first, self._first + rows)
        self._rows, self._reach = rows, (_SHARING_ROWS - 1) * stride
        by_row = taps.weights.reshape(rows, -1)
        self._columns = by_row.shape[1]
        reach, count = self._reach * self._columns, np.count_nonzero(by_row)
        dense = count >= _LEAST_DENSITY * by_row.size if finite else count == by_row.size and reach <= _PARTIAL_TAPS
        self._shared = dense and stride > 0 and rows >= _LEAST_STRIDES * stride
        if not self._shared:
            return
        self._col = np.tile(taps.col[: self._columns], rows + self._reach)
        weights = weights_of_rows(by_row, _SHARING_ROWS, dtype, stride)
        self._passes, self._rest = [(0, weights)], None
        self._most = _PARTIAL_TAPS if finite else len(weights)
        if not finite:
            cuts = cut(by_row.size, _PARTIAL_TAPS)
            if cuts[-1][1] - cuts[-1][0] < reach:  # the first row would end above the beginning of the last row
                self._rest = self._taps.part(*cuts.pop())
            self._passes = [(first, _of_taps(weights, stride * self._columns, first, last)) for first, last in cuts]

    def calls(self, tile: Samples | Moving, table: Indices, out: StepOutput) -> list[Call]:
        """Return the calls that write the sums of a step; ``table`` is (period, STEP_ROWS, window rows)."""
        if not self._shared:
            return sum_calls(tile, table, self._taps, out)
        cached = self._cached  # read once: threads that make programs at the same time may write it
        if cached is None or cached[0] is not table:
            cached = self._cached = table, self._shared_taps(table)
        if len(self._passes) > 1 or self._rest is not None:  # a loop that stores samples cannot accumulate sums
            out = StepOutput(out.memory, out.pitch, out.length)
        calls = []
        for offsets, (first, weights) in zip(cached[1], self._passes, strict=True):
            periods, taps = offsets.shape
            where = Moving(offsets, 0, taps, periods), taps, weights
            calls.append(four_call(tile, *where, out, self._most, add=first > 0))
        return [*calls, *sum_calls(tile, table, self._rest, out, add=True)] if self._rest is not None else calls

    def _shared_taps(self, table: Indices) -> list[Indices]:
        """Return (period, taps) offsets of the taps that four rows share, for each pass, from both end rows'."""
        nonzero = table[:, :, self._first : self._first + self._rows]
        windows = np.concatenate([nonzero[:, 0], nonzero[:, -1, self._rows - self._reach :]], axis=1)
        offsets = np.repeat(windows, self._columns, axis=1) + self._col
        return [np.ascontiguousarray(offsets[:, first : first + len(weights)]) for first, weights in self._passes]


def _of_taps(weights: Samples, slide: int, first: int, last: int) -> Samples:
    """Return the (taps, rows) weights of taps ``first`` to ``last - 1`` of each row, which slides by ``slide`` taps."""
    shared = np.arange(first, last + (weights.shape[1] - 1) * slide)
    own = shared[:, np.newaxis] - np.arange(weights.shape[1]) * slide
    return np.where((own >= first) & (own < last), weights[shared], 0).astype(weights.dtype)


def weights_of_rows(window: Samples, rows: int, dtype: npt.DTypeLike, stride: int = 1) -> Samples:
    """Return (taps, rows) weights: the window of each output row lies a stride below that of the row before."""
    height, columns = window.shape
    table = np.zeros((height + (rows - 1) * stride, columns, rows), dtype)
    for row in range(rows):
        table[row * stride : row * stride + height, :, row] = window
    return table.reshape(-1, rows)


def four_call(
    tile: Samples | Moving,
    offsets: Moving,
    taps: int,
    weights: Samples | Moving,
    out: StepOutput,
    most: int = _PARTIAL_TAPS,
    *,
    add: bool = False,
) -> Call:
    """Return the call that writes (or adds) the weighted sums of the four rows of a step; ``weights`` are (taps, 4).

    A partial sum has ``most`` taps.
    """
    dtype = dtype_of(tile)
    where = tile, offsets, taps, weights, 0, 1
    if isinstance(out, StoringOutput) and not add and taps <= most:
        return out.stored(CORRELATE_FOUR_STORED, where, dtype)
    return Call(CORRELATE_FOUR.variant(A=dtype), (*where, most, int(add), out.memory, out.pitch, out.length))


def dtype_of(memory: Samples | Moving) -> npt.DTypeLike:
    """Return the sample type of a call's input."""
    return memory.array.dtype if isinstance(memory, Moving) else memory.dtype


def sum_calls(tile: Samples | Moving, table: Indices, taps: Taps, out: StepOutput, *, add: bool = False) -> list[Call]:
    """Return the calls that write (or add) the weighted sums of a step.

    ``table`` is (period, rows of a step, row taps): the start, in the tile, of each row that a tap may read.
    """
    dtype = dtype_of(tile)
    period, rows, row_taps = table.shape
    offsets = Moving(np.ascontiguousarray(table), 0, rows * row_taps, period)
    calls = []
    for number, part in enumerate(taps.partial_sums()):
        weights = np.ascontiguousarray(part.weights, dtype)
        next_row = weights.shape[1] if weights.ndim > 1 else 0
        where = tile, offsets, part.row.size, part.row, part.col, weights, next_row, rows, row_taps
        if isinstance(out, StoringOutput) and not add and taps.row.size <= STORED_TAPS:
            return [out.stored(CORRELATE_STORED, where, dtype)]
        accumulates = int(add or number > 0)
        calls.append(Call(CORRELATE.variant(A=dtype), (*where, accumulates, out.memory, out.pitch, out.length)))
    return calls


def sums_in_fours(tile: Samples, offsets: Indices, weights: Samples, out: StepOutput) -> None:
    """Write weighted sums of the tile to blocks of four rows.

    ``offsets`` is (blocks, taps); ``weights`` is (taps, 4), or (blocks, taps, 4) where blocks differ.
    """
    weights = np.ascontiguousarray(weights, tile.dtype)
    blocks, taps = offsets.shape
    CORRELATE_FOUR.variant(A=tile.dtype)(
        tile, np.ascontiguousarray(offsets), taps, weights, weights[0].size if weights.ndim > 2 else 0,
        blocks, _PARTIAL_TAPS, 0, out.memory, out.pitch, out.length,
    )  # fmt: skip
