"""Sliding windows: weighted sums over source rows that stay in a ring buffer in cache.

Each step of a program computes four output rows: it loads the source rows that no earlier step has loaded, sums, and
stores. The methods ``direct``, ``separable``, ``lowrank`` and ``gradient`` are computed here, and means over small
windows of real samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from convfilter.engine.borders import Indices
from convfilter.engine.buffer import LineBuffer, Samples, Scratch
from convfilter.engine.layout import Columns, columns_for
from convfilter.engine.load import Source
from convfilter.engine.mapped_stage import MappedStage
from convfilter.engine.node import Crew, Node, Spans, StageNode, StageSetup, spans_of
from convfilter.engine.program import Call, Moving, Program, Rebased, RebasedSource
from convfilter.engine.store import Store
from convfilter.engine.strips import Strip, Strips, strip_of, strips_of
from convfilter.engine.sums import LINES, StepOutput, Taps, Window, sum_calls
from convfilter.filters.factors import Product
from convfilter.filters.kernel import Kernel
from convfilter.filters.operators import Gradient, UnsharpMask
from convfilter.methods.horizontal import horizontal_of, natural_columns
from convfilter.native.loop import Loop
from convfilter.planning.methods.stencil import is_fused
from convfilter.planning.ring import STEP_ROWS, AnyRing, any_ring
from convfilter.planning.strips import PERSISTENT_BYTES, nonzero_span, strip_cols, whole_vectors
from convfilter.record import cached_property

#: Most samples of the rows of one vertical step, for windows too tall for any cache.
_MOST_IN_RING = 2**24

MAGNITUDE = Loop("gradient", "magnitude", "A* i8* i8 i8 i8 A A i8 A* i8 i8")
LENGTH = Loop("gradient", "length_of", "A* A* i8 i8 A* i8 i8")


def nodes(stage: StageSetup) -> list[Node]:
    """Return the node of a stage; a window too large for the cache takes two, a vertical and a horizontal pass."""
    window = stage.plan.sliding_window
    if window is None:
        return [_Vertical(stage), _Horizontal(stage)]
    return [Stencil(stage)]


class Stencil(StageNode):
    """Weighted sums over a window that slides down column strips."""

    splits_columns = True

    def __init__(self, stage: StageSetup) -> None:
        super().__init__(stage)
        assert self.plan.sliding_window is not None
        self._window = self.plan.sliding_window
        self.persists = self._window.held_bytes(self.plan) <= PERSISTENT_BYTES

    def incoming(self, top: int, bottom: int, number: int = 0) -> Indices:
        """Return the rows that the steps of a block load, and the rows at the centres of its outputs."""
        axis, rows = self.plan.rows, [entering.of(top, bottom) for entering in self._entering]
        if self._reads_centres:
            first = top * axis.stride + axis.centre
            rows.append(self._row_index[first : (bottom - 1) * axis.stride + axis.centre + 1])
        return np.concatenate(rows) if len(rows) > 1 else rows[0]

    def spans(self, number: int = 0) -> Spans:
        """Return the rows that enter the ring, and the rows at the centres of outputs."""
        if not self.persists:
            return super().spans(number)
        axis, (tops, bottoms) = self.plan.rows, self.block_ends()
        spans = [entering.spans(tops, bottoms) for entering in self._entering]
        if self._reads_centres:
            first, last = (rows * axis.stride + axis.centre for rows in (tops, bottoms - 1))
            spans.append(spans_of(self._row_index, first, last + 1))
        firsts, stops = zip(*spans, strict=True)
        return np.min(firsts, 0), np.max(stops, 0)

    @property
    def _reads_centres(self) -> bool:
        return self.stage.source.alpha or isinstance(self.plan.stage.operator, UnsharpMask)

    def forget_demand(self) -> None:
        """Free the rows that enter rings, too."""
        super().forget_demand()
        vars(self).pop("_entering", None)

    @cached_property
    def _entering(self) -> list[_Entering]:
        """Rows that enter the ring; the crew takes one of two rings if rows can be lane-interleaved."""
        interleaving = self.plan.interleaving
        rings = [self._window.ring, *([interleaving.ring] if interleaving is not None else [])]
        return [_Entering(ring, self._row_index) for ring in rings]

    def crew(self, sources: Sequence[LineBuffer], target: LineBuffer, threads: int) -> Crew:
        """Return the strips, lane-interleaved where that is faster."""
        mapped = self.mapped(sources[0])
        epilogue = self.epilogue(mapped, target)
        if self.plan.interleaving is not None and isinstance(epilogue, Store):
            from convfilter.methods import interleaved

            strips = interleaved.strips(mapped, epilogue, target, threads)
            if strips is not None:
                return strips
        window = self._window
        ring, operation = window.ring, row_sums_of(mapped, window.ring)
        rows = mapped.row_index[ring.places()]

        def strip(cols: tuple[int, int], scratch: Scratch, persistent: Scratch, persists: bool) -> Strip:
            columns = columns_for(self.plan.cols, mapped.col_index, *cols)
            pitch = columns.count * mapped.source.channels

            def calls(out: StepOutput) -> list[Call]:
                load, tile = incoming(mapped.source, scratch, persistent, ring, rows, columns)
                return [*load, *operation.calls(scratch, tile, pitch, columns, out)]

            return strip_of(mapped, epilogue, target, cols, scratch, calls, persists=persists)

        cols, precision = self.plan.cols.output, self.plan.precision
        return strips_of(cols, window.cols, strip, precision, persists=self.persists, threads=threads)


class _Entering:
    """The rows that enter a ring in each step."""

    def __init__(self, ring: AnyRing, row_index: Indices) -> None:
        self._ring, self._rows = ring, row_index[ring.places()]

    def of(self, top: int, bottom: int) -> Indices:
        """Return the rows that the steps of a block load."""
        ring = self._ring
        first, last = ring.lead + top // ring.step_rows, ring.lead + -(-bottom // ring.step_rows) - 1
        return self._rows[first * ring.advance : last * ring.advance + ring.block]

    def spans(self, tops: Indices, bottoms: Indices) -> Spans:
        """Return the rows that the steps of each block load; those of the first load the rows above, too."""
        ring = self._ring
        firsts, lasts = ring.lead + tops // ring.step_rows, ring.lead + -(-bottoms // ring.step_rows) - 1
        firsts[0] = 0
        return spans_of(self._rows, firsts * ring.advance, lasts * ring.advance + ring.block)


class _Vertical(StageNode):
    """The vertical pass of a separable kernel too large for the cache; columns in source order."""

    splits_columns = True

    def __init__(self, stage: StageSetup) -> None:
        super().__init__(stage)
        self.row_shape, self.dtype = (self.plan.cols.input + 1, self.plan.channels), np.dtype(self.plan.precision)
        self.cost /= 2

    def crew(self, sources: Sequence[LineBuffer], target: LineBuffer, threads: int) -> Crew:
        """Return strips of columns."""
        mapped = self.mapped(sources[0])
        ((column, _),) = self.plan.products
        ring = any_ring(self.plan.rows, *nonzero_span(column))
        window = window_of(mapped, Taps.down(column[ring.rows]), column[ring.rows].size)
        rows, tables, natural = mapped.row_index[ring.places()], Tables(ring), natural_columns(mapped)
        pitch = target.row_samples

        def strip(cols: tuple[int, int], scratch: Scratch, persistent: Scratch, persists: bool) -> Strip:
            columns = natural.subset(*cols)
            length = columns.count * mapped.source.channels
            load, tile = incoming(mapped.source, scratch, persistent, ring, rows, columns)
            place = Rebased(target.slot, cols[0] * mapped.source.channels, STEP_ROWS * pitch)
            program = Program([*load, *window.calls(tile, tables.of(length), StepOutput(place, pitch, length))])
            return Strip(target, program, program, STEP_ROWS, persists=persists)

        widest = min(strip_cols(ring.slots, mapped.source.channels), whole_vectors(_MOST_IN_RING // ring.slots))
        return strips_of(natural.count, widest, strip, self.plan.precision, persists=False, threads=threads)


class _Horizontal(StageNode):
    """The horizontal pass over rows in source order, and the epilogue."""

    def __init__(self, stage: StageSetup) -> None:
        super().__init__(stage)
        self.jump, self.overlap, self.cost = 1.0, 0.0, self.cost / 2
        if isinstance(self.plan.stage.operator, UnsharpMask):
            self.reads = (1, 2)

    def demand(self, top: int, bottom: int, number: int = 0) -> Indices:
        """Return the same rows, and the picture's rows at their centres."""
        if number == 0:
            return np.arange(top, bottom)
        axis = self.plan.rows
        return self._row_index[top * axis.stride + axis.centre : (bottom - 1) * axis.stride + axis.centre + 1]

    def crew(self, sources: Sequence[LineBuffer], target: LineBuffer, threads: int) -> Crew:
        """Return one strip as wide as the picture."""
        between, *picture = sources
        mapped = self.mapped(picture[0]) if picture else MappedStage.of(self.plan, self.stage.source)
        horizontal = horizontal_of(mapped)

        scratch = Scratch(self.plan.precision)

        def calls(out: StepOutput) -> list[Call]:
            rows = RebasedSource(between.slot, 0, STEP_ROWS * between.row_samples)
            return horizontal.calls(scratch, rows, STEP_ROWS, out)

        cols = 0, self.plan.cols.output
        return Strips([[strip_of(mapped, self.epilogue(mapped, target), target, cols, scratch, calls, source=between)]])


def incoming(
    source: Source,
    scratch: Scratch,
    persistent: Scratch,
    ring: AnyRing,
    rows: Indices,
    columns: Columns,
    ahead: int = 0,
) -> tuple[list[Call], Samples]:
    """Return the calls that load the rows of a step into a ring, and the ring, which lies in ``persistent`` memory.

    The calls run ``ahead`` steps before the step that needs the rows, besides the ring's own lead.
    """
    pitch = columns.count * source.channels
    tile = persistent.get("ring", ring.slots * pitch)
    # The blocks of the first ``lead`` steps are loaded before step 0.
    block = Moving(rows, (ring.lead + ahead) * ring.advance, ring.advance)
    place = Moving(tile, 0, ring.block * pitch, ring.period)
    load = source.load_calls(scratch, block, ring.block, columns, place)
    return [call._replace(ahead=ring.lead + ahead) for call in load], tile


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


def window_of(mapped: MappedStage, taps: Taps, rows: int) -> Window:
    """Return a window over ``rows`` rows of a kernel, which slides down with the output rows."""
    stride, dilation = mapped.plan.rows.stride, mapped.plan.rows.dilation
    shift = 0 if stride % dilation else stride // dilation
    return Window(taps, rows, shift, mapped.plan.precision, finite=mapped.source.is_finite)


class _Direct:
    """The sum of all nonzero taps of a 2-D kernel."""

    def __init__(self, mapped: MappedStage, kernel: Kernel, ring: AnyRing) -> None:
        matrix = kernel.matrix[ring.rows]
        self._mapped, self._matrix, self._tables = mapped, matrix, Tables(ring)
        self._windows: dict[bytes, Window] = {}

    def calls(self, scratch: Scratch, tile: Samples, pitch: int, columns: Columns, out: StepOutput) -> list[Call]:
        col = columns.tap_offset * self._mapped.source.channels
        if col.tobytes() not in self._windows:
            window = window_of(self._mapped, Taps.of(self._matrix, col), self._matrix.shape[0])
            self._windows[col.tobytes()] = window
        return self._windows[col.tobytes()].calls(tile, self._tables.of(pitch), out)


class _Products:
    """The sum of separable products: for each, a pass down the columns, then a pass along the rows."""

    def __init__(self, mapped: MappedStage, products: Sequence[Product], ring: AnyRing) -> None:
        self._mapped, self._tables = mapped, Tables(ring)
        columns = [column[ring.rows] for column, _ in products]
        self._windows = [window_of(mapped, Taps.down(column), column.size) for column in columns]
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
