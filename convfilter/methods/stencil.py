"""Sliding windows: weighted sums over source rows that stay in a ring buffer in cache.

Each step of a program computes four output rows: it loads the source rows that no earlier step has loaded, sums, and
stores. The methods ``direct``, ``separable``, ``lowrank`` and ``gradient`` are computed here, and means over small
windows of real samples.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from convfilter.engine.borders import Indices
from convfilter.engine.buffer import LineBuffer, Samples, Scratch
from convfilter.engine.layout import Columns, columns_for
from convfilter.engine.load import Source
from convfilter.engine.node import Crew, Node, Spans, StageNode, StageSetup, spans_of
from convfilter.engine.program import Call, Moving, Program, Rebased, RebasedSource
from convfilter.engine.store import Store
from convfilter.engine.strips import Strip, Strips, strip_of, strips_of
from convfilter.engine.sums import StepOutput, Taps
from convfilter.filters.operators import UnsharpMask
from convfilter.methods.horizontal import horizontal_of, natural_columns
from convfilter.methods.row_sums import Tables, row_sums_of, window_sums
from convfilter.planning.ring import STEP_ROWS, AnyRing, any_ring
from convfilter.planning.strips import PERSISTENT_BYTES, nonzero_span, strip_cols, whole_vectors
from convfilter.record import cached_property

#: Most samples of the rows of one vertical step, for windows too tall for any cache.
_MOST_IN_RING = 2**24


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
        self.persists = self._window.ring_bytes(self.plan) <= PERSISTENT_BYTES
        if self.persists:
            self.lead_blocks = -(-max(ring.lead * ring.step_rows for ring in self._rings) // self.block_rows)

    def incoming(self, top: int, bottom: int, number: int = 0) -> Indices:
        """Return the rows that the steps of a block load, and the rows at the centres of its outputs."""
        rows = [entering.of(top, bottom) for entering in self._entering]
        if self._reads_centres and top >= 0:
            rows.append(self.central_rows(top, bottom))
        return np.concatenate(rows) if len(rows) > 1 else rows[0]

    def spans(self, number: int = 0) -> Spans:
        """Return the rows that enter the ring, and the rows at the centres of outputs."""
        if not self.persists:
            return super().spans(number)
        axis, (tops, bottoms) = self.plan.rows, self.block_ends()
        spans = [entering.spans(tops, bottoms) for entering in self._entering]
        if self._reads_centres:
            first, last = (rows * axis.stride + axis.centre for rows in (tops, bottoms - 1))
            spans.append(spans_of(self._row_index, first, np.where(tops < 0, 0, last + 1)))
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
        """Rows that enter each ring."""
        return [_Entering(ring, self._row_index) for ring in self._rings]

    @property
    def _rings(self) -> list[AnyRing]:
        """The rings of which the crew takes one: of two if rows can be lane-interleaved."""
        interleaving = self.plan.interleaving
        return [self._window.ring, *([interleaving.ring] if interleaving is not None else [])]

    def crew(self, sources: Sequence[LineBuffer], target: LineBuffer, threads: int) -> Crew:
        """Return the strips, lane-interleaved where that is faster."""
        mapped = self.stage.mapped(sources[0])
        epilogue = self.epilogue(mapped, target)
        if self.plan.interleaving is not None and isinstance(epilogue, Store):
            from convfilter.methods import interleaved

            strips = interleaved.strips(mapped, epilogue, target, threads)
            if strips is not None:
                return strips
        window = self._window
        ring, row_sums = window.ring, row_sums_of(mapped, window.ring)
        rows = mapped.row_index[ring.places()]

        def strip(cols: tuple[int, int], scratch: Scratch, persistent: Scratch, persists: bool) -> Strip:
            columns = columns_for(self.plan.cols, mapped.col_index, *cols)
            pitch = columns.count * mapped.source.channels

            def calls(out: StepOutput) -> list[Call]:
                load, tile = incoming(mapped.source, scratch, persistent, ring, rows, columns)
                return [*load, *row_sums.calls(scratch, tile, pitch, columns, out)]

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
        return self._rows[max(0, first * ring.advance) : max(0, last * ring.advance + ring.block)]

    def spans(self, tops: Indices, bottoms: Indices) -> Spans:
        """Return the rows that the steps of each block load."""
        ring = self._ring
        firsts, lasts = ring.lead + tops // ring.step_rows, ring.lead + -(-bottoms // ring.step_rows) - 1
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
        mapped = self.stage.mapped(sources[0])
        ((column, _),) = self.plan.products
        ring = any_ring(self.plan.rows, *nonzero_span(column))
        window = window_sums(mapped, Taps.down(column[ring.rows]), column[ring.rows].size)
        rows, tables, natural = mapped.row_index[ring.places()], Tables(ring), natural_columns(mapped)
        pitch = target.row_samples

        def strip(cols: tuple[int, int], scratch: Scratch, persistent: Scratch, persists: bool) -> Strip:
            columns = natural.subset(*cols)
            length = columns.count * mapped.source.channels
            load, tile = incoming(mapped.source, scratch, persistent, ring, rows, columns)
            place = Rebased(target.slot, cols[0] * mapped.source.channels, STEP_ROWS * pitch)
            program = Program([*load, *window.calls(tile, tables.of(length), StepOutput(place, pitch, length))])
            return Strip(target, [program], persists=persists)

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
        return self.central_rows(top, bottom)

    def crew(self, sources: Sequence[LineBuffer], target: LineBuffer, threads: int) -> Crew:
        """Return one strip as wide as the picture."""
        between, *picture = sources
        mapped = self.stage.mapped(*picture)
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
