"""Strips of the picture, streamed from top to bottom through a ring of rows that stays in cache.

Each step brings in the source rows that the next four output rows see and no
earlier step saw, computes these four rows, and stores them. All steps of a block are one
call of machine code; see ``program.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from convfilter.engine.borders import Indices
from convfilter.engine.finish import Finisher, Sink, Worker
from convfilter.engine.native import Loop
from convfilter.engine.passes import LINES, Step, Taps, Window, sum_call
from convfilter.engine.program import Call, Moving
from convfilter.engine.strips import Strip, side_by_side
from convfilter.engine.tiles import Columns, Samples, Scratch, Source, columns_for
from convfilter.engine.work import Work
from convfilter.filters.factors import Product
from convfilter.filters.kernels import Kernel
from convfilter.filters.stage import Gradient
from convfilter.planning import is_fused
from convfilter.planning.ring import STEP_ROWS, Ring

MAGNITUDE = Loop("gradient", "magnitude", "A* i8* i8 i8 i8 A A i8 A* i8 i8")
LENGTH = Loop("gradient", "length_of", "A* A* i8 i8 A* i8 i8")


def make_worker(work: Work, scratch: Scratch, finisher: Finisher, sink: Sink) -> Worker:
    """Return a function that computes and stores a block of output rows, which begins where a step does."""
    if work.plan.fold is not None:
        from convfilter.engine import folded

        worker = folded.make_worker(work, scratch, finisher, sink)
        if worker is not None:
            return worker
    stream = work.plan.stream
    assert stream is not None
    ring = stream.ring
    operation = _operation(work, ring)
    rows = work.row_index[ring.places()]

    def strip(left: int, right: int) -> Strip:
        columns = columns_for(work.plan.cols, work.col_index, left, right)
        pitch = columns.count * work.source.channels
        load, tile = incoming(work.source, scratch, ring, rows, columns)

        def calls(step: Step) -> list[Call]:
            return [*load, *operation.calls(scratch, tile, pitch, columns, step)]

        return Strip(work, scratch, finisher, sink, left, right, calls)

    return side_by_side(work.plan.cols.output, stream.cols, strip)


def incoming(
    source: Source, scratch: Scratch, ring: Ring, rows: Indices, columns: Columns, ahead: int = 0
) -> tuple[list[Call], Samples]:
    """Return the calls that bring in a step's block of source rows, ``ahead`` of those that see it, and the ring."""
    pitch = columns.count * source.channels
    tile = scratch.get("ring", ring.slots * pitch)
    # The blocks of the first ``lead`` steps come before step 0.
    block = Moving(rows, (ring.lead + ahead) * ring.block, ring.block)
    place = Moving(tile, 0, ring.block * pitch, ring.period)
    load = source.load_calls(scratch, block, ring.block, columns, place)
    return [call._replace(ahead=ring.lead + ahead) for call in load], tile


class _Operation(Protocol):
    """What is computed of the rows in the ring."""

    def calls(self, scratch: Scratch, tile: Samples, pitch: int, columns: Columns, step: Step) -> list[Call]: ...


class Tables:
    """Where each tap finds its row, in samples: strips whose rows are as long share a table, which may be large."""

    def __init__(self, ring: Ring) -> None:
        self._ring = ring
        self._made: dict[int, Indices] = {}

    def of(self, pitch: int) -> Indices:
        """Return the table for rows that lie ``pitch`` samples apart."""
        if pitch not in self._made:
            self._made[pitch] = self._ring.table() * pitch
        return self._made[pitch]


def _operation(work: Work, ring: Ring) -> _Operation:
    operator, plan = work.plan.stage.operator, work.plan
    if isinstance(operator, Gradient):
        return _Fused(work, operator, ring) if is_fused(plan.stage) else _Magnitude(work, operator, ring)
    return _Direct(work, plan.kernel, ring) if plan.algorithm == "direct" else _Products(work, plan.products, ring)


class _Direct:
    """Every nonzero tap of a 2-D kernel."""

    def __init__(self, work: Work, kernel: Kernel, ring: Ring) -> None:
        matrix = kernel.matrix[ring.rows]
        self._work, self._matrix, self._tables = work, matrix, Tables(ring)
        self._windows: dict[bytes, Window] = {}

    def calls(self, scratch: Scratch, tile: Samples, pitch: int, columns: Columns, step: Step) -> list[Call]:
        col = columns.tap_offset * self._work.source.channels
        if col.tobytes() not in self._windows:
            window = self._work.window(Taps.of(self._matrix, col), self._matrix.shape[0])
            self._windows[col.tobytes()] = window
        return [self._windows[col.tobytes()].call(tile, self._tables.of(pitch), step)]


class _Products:
    """Down the columns, then along the rows, for each product of a column and a row; the results are added."""

    def __init__(self, work: Work, products: Sequence[Product], ring: Ring) -> None:
        self._work, self._tables = work, Tables(ring)
        self._windows = [work.window(Taps.down(column[ring.rows]), column[ring.rows].size) for column, _ in products]
        self._rows = [row for _, row in products]

    def calls(self, scratch: Scratch, tile: Samples, pitch: int, columns: Columns, step: Step) -> list[Call]:
        between = scratch.get("between", STEP_ROWS * pitch)
        table = self._tables.of(pitch)
        col = columns.tap_offset * self._work.source.channels
        calls = []
        for number, (window, row) in enumerate(zip(self._windows, self._rows, strict=True)):
            calls.append(window.call(tile, table, Step(between, pitch, pitch)))
            along = Taps.along(col, row).nonzero()
            calls.append(sum_call(between, LINES * pitch, along, step, add=number > 0))
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
