"""Weighted sums of the rows in a sliding window's ring: of a kernel, of products, and the magnitude of two sums."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from convfilter.engine.borders import Indices
from convfilter.engine.buffer import Samples, Scratch
from convfilter.engine.layout import Columns
from convfilter.engine.mapped_stage import MappedStage
from convfilter.engine.program import Call, Moving
from convfilter.engine.sums import LINES, StepOutput, Taps, WindowSums, sum_calls
from convfilter.filters.factors import Product
from convfilter.filters.kernel import Kernel
from convfilter.filters.operators import Gradient
from convfilter.native.loop import Loop
from convfilter.planning.methods.stencil import is_fused
from convfilter.planning.ring import STEP_ROWS, AnyRing

MAGNITUDE = Loop("gradient", "magnitude", "A* i8* i8 i8 i8 A A i8 A* i8 i8")
LENGTH = Loop("gradient", "length_of", "A* A* i8 i8 A* i8 i8")


class RowSums(Protocol):
    """Computes sums from the rows in the ring."""

    def calls(self, scratch: Scratch, tile: Samples, pitch: int, columns: Columns, out: StepOutput) -> list[Call]:
        """Return the calls of a step; rows of the ring ``tile`` are ``pitch`` samples apart."""


class Tables:
    """Tables of each tap's row offset, in samples. Strips of equal pitch share one, since a table may be large."""

    def __init__(self, ring: AnyRing) -> None:
        self._ring = ring
        self._by_pitch: dict[int, Indices] = {}

    def of(self, pitch: int) -> Indices:
        """Return the table for rows ``pitch`` samples apart."""
        if pitch not in self._by_pitch:
            self._by_pitch[pitch] = self._ring.table() * pitch
        return self._by_pitch[pitch]


def row_sums_of(mapped: MappedStage, ring: AnyRing) -> RowSums:
    """Return what sums the rows of a stage."""
    operator, plan = mapped.plan.stage.operator, mapped.plan
    if isinstance(operator, Gradient):
        return _Fused(mapped, operator, ring) if is_fused(plan.stage) else _Magnitude(mapped, operator, ring)
    return _Direct(mapped, plan.kernel, ring) if plan.algorithm == "direct" else _Products(mapped, plan.products, ring)


def window_sums(mapped: MappedStage, taps: Taps, rows: int) -> WindowSums:
    """Return the sums of a window over ``rows`` rows of a kernel, which slides down with the output rows."""
    stride, dilation = mapped.plan.rows.stride, mapped.plan.rows.dilation
    shift = 0 if stride % dilation else stride // dilation
    return WindowSums(taps, rows, shift, mapped.plan.precision, finite=mapped.source.is_finite)


class _Direct:
    """The sum of all nonzero taps of a 2-D kernel."""

    def __init__(self, mapped: MappedStage, kernel: Kernel, ring: AnyRing) -> None:
        matrix = kernel.matrix[ring.rows]
        self._mapped, self._matrix, self._tables = mapped, matrix, Tables(ring)
        self._windows: dict[bytes, WindowSums] = {}

    def calls(self, scratch: Scratch, tile: Samples, pitch: int, columns: Columns, out: StepOutput) -> list[Call]:
        col = columns.tap_offset * self._mapped.source.channels
        if col.tobytes() not in self._windows:
            window = window_sums(self._mapped, Taps.of(self._matrix, col), self._matrix.shape[0])
            self._windows[col.tobytes()] = window
        return self._windows[col.tobytes()].calls(tile, self._tables.of(pitch), out)


class _Products:
    """The sum of separable products: for each, a pass down the columns, then a pass along the rows."""

    def __init__(self, mapped: MappedStage, products: Sequence[Product], ring: AnyRing) -> None:
        self._mapped, self._tables = mapped, Tables(ring)
        columns = [column[ring.rows] for column, _ in products]
        self._windows = [window_sums(mapped, Taps.down(column), column.size) for column in columns]
        self._rows = [row for _, row in products]

    def calls(self, scratch: Scratch, tile: Samples, pitch: int, columns: Columns, out: StepOutput) -> list[Call]:
        between = scratch.get("between", STEP_ROWS * pitch)
        table = self._tables.of(pitch)
        col = columns.tap_offset * self._mapped.source.channels
        if len(self._rows) > 1:  # a loop that stores samples cannot accumulate sums
            out = StepOutput(out.memory, out.pitch, out.length)
        calls = []
        for number, (window, row) in enumerate(zip(self._windows, self._rows, strict=True)):
            calls += window.calls(tile, table, StepOutput(between, pitch, pitch))
            along = Taps.along(col, row).nonzero()
            calls += sum_calls(between, LINES * pitch, along, out, add=number > 0)
        return calls


class _Fused:
    """The magnitude of both derivatives, in one pass over the eight neighbours."""

    def __init__(self, mapped: MappedStage, operator: Gradient, ring: AnyRing) -> None:
        assert operator.x.factors is not None
        self._mapped, self._ring = mapped, ring
        self._side, self._centre, _ = (float(weight) for weight in operator.x.factors[0])

    def calls(self, scratch: Scratch, tile: Samples, pitch: int, columns: Columns, out: StepOutput) -> list[Call]:
        table = self._ring.table() * pitch
        rows = Moving(table, 0, table[0].size, self._ring.period)
        offsets = (int(offset) for offset in columns.tap_offset * self._mapped.source.channels)
        place = STEP_ROWS, out.memory, out.pitch, out.length
        magnitude = MAGNITUDE.variant(A=scratch.dtype)
        return [Call(magnitude, (tile, rows, *offsets, self._side, self._centre, *place))]


class _Magnitude:
    """The magnitude of both derivatives, each by its own kernel."""

    def __init__(self, mapped: MappedStage, operator: Gradient, ring: AnyRing) -> None:
        self._derivatives = [
            _Direct(mapped, kernel, ring) if kernel.factors is None else _Products(mapped, [kernel.factors], ring)
            for kernel in (operator.x, operator.y)
        ]

    def calls(self, scratch: Scratch, tile: Samples, pitch: int, columns: Columns, out: StepOutput) -> list[Call]:
        x, y = (scratch.get(name, STEP_ROWS * out.length) for name in ("x", "y"))
        calls = [
            call
            for derivative, memory in zip(self._derivatives, (x, y), strict=True)
            for call in derivative.calls(scratch, tile, pitch, columns, StepOutput(memory, out.length, out.length))
        ]
        length = LENGTH.variant(A=scratch.dtype)
        return [*calls, Call(length, (x, y, out.length, STEP_ROWS, out.memory, out.pitch, out.length))]
