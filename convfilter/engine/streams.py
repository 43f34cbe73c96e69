"""Strips of the picture, streamed from top to bottom through a ring of rows that stays in cache.

Each step brings in the source rows that the next four output rows see and no
earlier step saw, computes these four rows, and stores them. All steps of a block are one
call of machine code; see ``program.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from convfilter.engine.finish import ArraySink, Finisher, Sink
from convfilter.engine.native import Loop
from convfilter.engine.passes import Step, Taps, sum_call
from convfilter.engine.program import Call, Moving, Program
from convfilter.engine.tiles import Columns, Samples, Scratch, columns_for
from convfilter.engine.work import Region, Work
from convfilter.filters.factors import Product
from convfilter.filters.kernels import Kernel
from convfilter.filters.stage import Gradient
from convfilter.planning import is_fused
from convfilter.planning.ring import STEP_ROWS, Ring
from convfilter.planning.strips import REGION_ROWS, stream_of

MAGNITUDE = Loop("gradient", "magnitude", "A* i8* i8 i8 i8 A A i8 A* i8 i8")
LENGTH = Loop("gradient", "length_of", "A* A* i8 i8 A* i8 i8")


def make_worker(work: Work, scratch: Scratch, finisher: Finisher, sink: Sink) -> Callable[[tuple[int, int]], None]:
    """Return a function that computes and stores a block of output rows; the first is a multiple of ``REGION_ROWS``."""
    stream = stream_of(work.plan)
    assert stream is not None
    ring = stream.ring
    operation = _operation(work, ring)
    rows = work.row_index[ring.places()]
    strips = [
        _Strip(
            work, scratch, finisher, sink, ring, rows, operation, left, min(left + stream.cols, work.plan.cols.output)
        )
        for left in range(0, work.plan.cols.output, stream.cols)
    ]

    def compute(block: tuple[int, int]) -> None:
        for strip in strips:
            strip.run(*block)

    return compute


class _Strip:
    """Output columns ``left`` to ``right - 1``: the programs that compute them."""

    def __init__(
        self,
        work: Work,
        scratch: Scratch,
        finisher: Finisher,
        sink: Sink,
        ring: Ring,
        rows: Samples,
        operation: _Operation,
        left: int,
        right: int,
    ) -> None:
        self._finisher, self._sink, self._ring = finisher, sink, ring
        self._left, self._right = left, right
        channels = work.source.channels
        columns = columns_for(work.plan.cols, work.col_index, left, right)
        pitch, self._length = columns.count * channels, (right - left) * channels
        tile = scratch.get("ring", ring.slots * pitch)
        # The blocks of the first ``lead`` steps come before step 0.
        incoming = Moving(rows, ring.lead * ring.block, ring.block)
        place = Moving(tile, 0, ring.block * pitch, ring.period)
        load = work.source.load_calls(scratch, incoming, ring.block, columns, place)
        self._lead = Program(load)
        step = self._region(0, STEP_ROWS)
        self._sums = scratch.get("sums", STEP_ROWS * self._length)
        stored = finisher.calls(step, self._sums, self._length, sink)
        self._stores = stored is not None
        target: Samples | Moving = self._sums
        if stored is None:
            self._sums = scratch.get("sums", REGION_ROWS * self._length)
            target = Moving(self._sums, 0, STEP_ROWS * self._length, REGION_ROWS // STEP_ROWS)
        calls = [*load, *operation.calls(scratch, tile, pitch, columns, Step(target, self._length, self._length))]
        self._main = Program([*calls, *(stored or ())])
        self._tail = self._main
        odd = work.plan.rows.output % STEP_ROWS
        if self._stores and odd:
            last = finisher.calls(self._region(0, odd), self._sums, self._length, sink)
            self._tail = Program([*calls, *(last or ())])

    def _region(self, top: int, bottom: int) -> Region:
        return Region(top, bottom, self._left, self._right)

    def run(self, top: int, bottom: int) -> None:
        """Compute output rows ``top`` to ``bottom - 1``."""
        first = top // STEP_ROWS
        self._lead.run(first - self._ring.lead, self._ring.lead)
        if self._stores:
            whole, odd = divmod(bottom - top, STEP_ROWS)
            self._main.run(first, whole)
            if odd:
                self._tail.run(first + whole, 1)
            assert isinstance(self._sink, ArraySink)
            self._sink.clipped += self._main.take_total() + (self._tail.take_total() if odd else 0)
            return
        for row in range(top, bottom, REGION_ROWS):
            last = min(row + REGION_ROWS, bottom)
            self._main.run(row // STEP_ROWS, -(-(last - row) // STEP_ROWS))
            self._finisher.finish(self._region(row, last), self._sums, self._length, self._sink)


class _Operation(Protocol):
    """What is computed of the rows in the ring."""

    def calls(self, scratch: Scratch, tile: Samples, pitch: int, columns: Columns, step: Step) -> list[Call]: ...


def _operation(work: Work, ring: Ring) -> _Operation:
    operator, plan = work.plan.stage.operator, work.plan
    if isinstance(operator, Gradient):
        return _Fused(work, operator, ring) if is_fused(plan.stage) else _Magnitude(work, operator, ring)
    return _Products(work, plan.products, ring) if plan.products else _Direct(work, plan.kernel, ring)


class _Direct:
    """Every nonzero tap of a 2-D kernel."""

    def __init__(self, work: Work, kernel: Kernel, ring: Ring) -> None:
        matrix = kernel.matrix[ring.rows]
        self._work, self._matrix, self._ring = work, matrix, ring

    def calls(self, scratch: Scratch, tile: Samples, pitch: int, columns: Columns, step: Step) -> list[Call]:
        taps = Taps.of(self._matrix, columns.tap_offset * self._work.source.channels)
        window = self._work.window(taps, self._matrix.shape[0])
        return [window.call(tile, self._ring.table() * pitch, step)]


class _Products:
    """Down the columns, then along the rows, for each product of a column and a row; the results are added."""

    def __init__(self, work: Work, products: Sequence[Product], ring: Ring) -> None:
        self._work, self._ring = work, ring
        self._windows = [work.window(Taps.down(column[ring.rows]), column[ring.rows].size) for column, _ in products]
        self._rows = [row for _, row in products]

    def calls(self, scratch: Scratch, tile: Samples, pitch: int, columns: Columns, step: Step) -> list[Call]:
        between = scratch.get("between", STEP_ROWS * pitch)
        table = self._ring.table() * pitch
        lines = np.arange(STEP_ROWS, dtype=np.int64).reshape(1, -1, 1) * pitch
        col = columns.tap_offset * self._work.source.channels
        calls = []
        for number, (window, row) in enumerate(zip(self._windows, self._rows, strict=True)):
            calls.append(window.call(tile, table, Step(between, pitch, pitch)))
            along = Taps.along(col, row).nonzero()
            calls.append(sum_call(between, lines, along, step, add=number > 0))
        return calls


class _Fused:
    """The magnitude of both derivatives, in one pass over the eight neighbours."""

    def __init__(self, work: Work, operator: Gradient, ring: Ring) -> None:
        assert operator.x.factors is not None
        self._work, self._ring = work, ring
        self._side, self._centre, _ = (float(weight) for weight in operator.x.factors[0])

    def calls(self, scratch: Scratch, tile: Samples, pitch: int, columns: Columns, step: Step) -> list[Call]:
        table = self._ring.table() * pitch
        rows = Moving(table, 0, table[0].size, self._ring.period)
        offsets = (int(offset) for offset in columns.tap_offset * self._work.source.channels)
        place = STEP_ROWS, step.memory, step.pitch, step.length
        magnitude = MAGNITUDE.variant(A=scratch.dtype)
        return [Call(magnitude, (tile, rows, *offsets, self._side, self._centre, *place))]


class _Magnitude:
    """The magnitude of both derivatives, each by its own kernel."""

    def __init__(self, work: Work, operator: Gradient, ring: Ring) -> None:
        self._parts = [
            _Direct(work, kernel, ring) if kernel.factors is None else _Products(work, [kernel.factors], ring)
            for kernel in (operator.x, operator.y)
        ]

    def calls(self, scratch: Scratch, tile: Samples, pitch: int, columns: Columns, step: Step) -> list[Call]:
        x, y = (scratch.get(name, STEP_ROWS * step.length) for name in ("x", "y"))
        calls = [
            call
            for part, memory in zip(self._parts, (x, y), strict=True)
            for call in part.calls(scratch, tile, pitch, columns, Step(memory, step.length, step.length))
        ]
        length = LENGTH.variant(A=scratch.dtype)
        return [*calls, Call(length, (x, y, step.length, STEP_ROWS, step.memory, step.pitch, step.length))]
