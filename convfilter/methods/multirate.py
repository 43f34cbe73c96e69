"""Wide Gaussians at several rates: decimate, blur on the coarse grid, interpolate; see ``filters/multirate.py``.

A Gaussian is three nodes. The first decimates and blurs down the columns, the second decimates, blurs and interpolates
along the coarse rows, the third interpolates between the coarse rows. A Gaussian that is wide along the rows only is
one node: it sums down the columns tap by tap, then filters along the rows.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from convfilter.engine.borders import Indices
from convfilter.engine.buffer import LineBuffer, Scratch
from convfilter.engine.load import Source
from convfilter.engine.node import Crew, Node, Spans, StageNode, StageSetup, spans_of
from convfilter.engine.program import Call, Program, Rebased, RebasedSource
from convfilter.engine.strips import Strip, Strips, strip_of, strips_of, whole_rows
from convfilter.engine.sums import StepOutput, Taps, dtype_of
from convfilter.filters.operators import UnsharpMask
from convfilter.methods.coarse import Coarse, Interpolation
from convfilter.methods.decimation import Decimation, steps_ahead
from convfilter.methods.horizontal import Horizontal, horizontal_of, natural_columns, rows_at_once
from convfilter.methods.row_sums import window_sums
from convfilter.methods.stencil import incoming
from convfilter.native.loop import Loop
from convfilter.planning.groups import BLOCK_SAMPLES
from convfilter.planning.method import rows_bytes
from convfilter.planning.methods.multirate import COARSE_GROUP, coarse_block_rows
from convfilter.planning.ring import STEP_ROWS, Ring
from convfilter.planning.strips import PERSISTENT_BYTES, strip_cols, strip_samples, whole_vectors
from convfilter.record import cached_property

#: Samples of a strip's row below which more rows in the cache take more time than they save.
_LEAST_STRIP = 1024

FIND_NONFINITE = Loop("finite", "find_nonfinite", "A* i8 i8 i8 i8*")


def nodes(stage: StageSetup) -> list[Node]:
    """Return the nodes of a stage."""
    rates, _ = stage.plan.rates
    if rates is None:
        return [_TapsDown(stage)]
    coarse = Coarse.of(stage.plan.rows, rates, stage.plan.padding_modes[0], 0, stage.plan.rows.output)
    return [_Decimate(stage, coarse), _AlongRows(stage, coarse), _Interpolate(stage, coarse)]


class _TapsDown(StageNode):
    """Sums down the columns tap by tap, then filters along the rows at several rates."""

    def crew(self, sources: Sequence[LineBuffer], target: LineBuffer, threads: int) -> Crew:
        """Return one strip as wide as the picture."""
        mapped = self.stage.mapped(sources[0])
        assert self.plan.kernel.factors is not None
        column = self.plan.kernel.factors[0]
        ring = Ring.of(self.plan.rows, 0, column.size)
        columns, rows = natural_columns(mapped), mapped.row_index[ring.places()]
        pitch = columns.count * mapped.source.channels
        window, table = window_sums(mapped, Taps.down(column), column.size), ring.table() * pitch
        horizontal = horizontal_of(mapped)

        scratch, nonfinite = Scratch(self.plan.precision), np.zeros(1, np.int64)

        def calls(out: StepOutput) -> list[Call]:
            load, tile = incoming(mapped.source, scratch, scratch, ring, rows, columns)
            between = scratch.get("between", rows_at_once(scratch.dtype) * pitch)
            between[:] = 0
            sums = StepOutput(between, pitch, pitch)
            sum_down = [*window.calls(tile, table, sums), *_checks(mapped.source, sums, nonfinite)]
            out = StepOutput(out.memory, out.pitch, out.length)
            return [*load, *sum_down, *horizontal.calls(scratch, between, STEP_ROWS, out)]

        cols, epilogue = (0, self.plan.cols.output), self.epilogue(mapped, target)
        return Strips([[strip_of(mapped, epilogue, target, cols, scratch, calls, nonfinite=nonfinite)]])


def _checks(source: Source, sums: StepOutput, nonfinite: Indices) -> list[Call]:
    """Return the call that looks for infinities and NaN in sums: a sum has one if any of its samples is one."""
    if source.is_finite:
        return []
    find = FIND_NONFINITE.variant(A=dtype_of(sums.memory))
    return [Call(find, (sums.memory, sums.pitch, STEP_ROWS, sums.length, nonfinite))]


class _CoarseNode(Node):
    """A node whose results are coarse rows, in the type of the stage's sums."""

    def __init__(self, stage: StageSetup, coarse: Coarse, cols: int) -> None:
        plan = stage.plan
        self.stage, self.plan, self.coarse, self.rows = stage, plan, coarse, coarse.count
        self.row_shape = cols, plan.channels
        self.dtype = np.dtype(plan.precision)
        self.cost = plan.multiply_adds * plan.rows.output * plan.cols.output * plan.channels / 3


class _Decimate(_CoarseNode):
    """Decimates and blurs down the columns; an extra column holds the padding value."""

    splits_columns = True

    def __init__(self, stage: StageSetup, coarse: Coarse) -> None:
        super().__init__(stage, coarse, stage.plan.cols.input + 1)
        self.read_bytes = stage.plan.rows.input * stage.source.buffer.row_samples * stage.source.dtype.itemsize
        rates = coarse.rates
        self.jump = rates.step
        self.overlap = rates.decimation.size + (rates.blur.size - 2) * rates.step
        self._decimation = Decimation(stage, coarse)
        self.table_bytes = self._decimation.table_bytes
        self._set_blocks(in_memory=stage.in_memory, in_place=self._decimation.in_place)

    def lower_blocks(self, *, shared: bool = False) -> None:
        """Lower the blocks to those of threads that share ticks, or of a node that reads a line buffer."""
        self.forget_demand()
        in_place = shared and self._decimation.in_place
        self._set_blocks(in_memory=shared and self.stage.in_memory, shared=shared, in_place=in_place)

    def _set_blocks(self, *, in_memory: bool, shared: bool = False, in_place: bool = False) -> None:
        """Set the block height, and what depends on it."""
        stage, decimation = self.stage, self._decimation
        self.block_rows = coarse_block_rows(
            self.plan,
            self.coarse.rates,
            self.rows,
            alone=stage.alone,
            in_memory=in_memory,
            shared=shared,
            in_place=in_place,
        )
        self.contiguous_rows = -(-self.block_rows // COARSE_GROUP) * COARSE_GROUP
        row_bytes = self.row_shape[0] * self.row_shape[1] * self.dtype.itemsize
        # Without rings that persist, a line buffer would hold all rows that a block demands.
        source_row_bytes = stage.source.buffer.row_samples * stage.source.dtype.itemsize
        demanded = 0 if stage.in_memory else round(self.block_rows * self.jump + self.overlap) * source_row_bytes
        # With a single block, each strip is computed to its end, and its ring stays in cache.
        most = max(PERSISTENT_BYTES // 2, demanded)  # later nodes have line buffers, too
        self.persists = self.blocks > 1 and decimation.ring_rows * row_bytes <= most
        strips = 1 if self.persists else -(-self.row_shape[0] // self._widest)
        self.scratch_bytes = decimation.rows * row_bytes // strips

    def demand(self, top: int, bottom: int, number: int = 0) -> Indices:
        """Return the source rows that the steps of a block decimate, those ahead of their use included."""
        rates = self.coarse.rates
        last = -(-bottom // STEP_ROWS) * STEP_ROWS - 1 + steps_ahead(rates) * STEP_ROWS
        return self.coarse.source_index[top * rates.step : last * rates.step + rates.decimation.size]

    def incoming(self, top: int, bottom: int, number: int = 0) -> Indices:
        """Return the rows of the source that the steps of a block read, after those of the block above."""
        return self._decimation.incoming(top // STEP_ROWS, -(-bottom // STEP_ROWS))

    def spans(self, number: int = 0) -> Spans:
        """Return the rows that steps decimate or, if rings persist, load; the first block loads the rows above, too."""
        tops, bottoms = self.block_ends()
        if self.persists:
            return self._decimation.spans(tops // STEP_ROWS, -(-bottoms // STEP_ROWS))
        rates = self.coarse.rates
        lasts = -(-bottoms // STEP_ROWS) * STEP_ROWS - 1 + steps_ahead(rates) * STEP_ROWS
        ends = np.minimum(lasts * rates.step + rates.decimation.size, self.coarse.source_index.size)
        return spans_of(self.coarse.source_index, tops * rates.step, ends)

    def crew(self, sources: Sequence[LineBuffer], target: LineBuffer, threads: int) -> Crew:
        """Return column strips that fit the cache."""
        (source,) = sources
        mapped, channels, decimation = self.stage.mapped(source), self.plan.channels, self._decimation
        columns = natural_columns(mapped)
        rows = decimation.bind(source)
        pitch = columns.count * channels

        def strip(cols: tuple[int, int], scratch: Scratch, persistent: Scratch, persists: bool) -> Strip:
            memory = Rebased(target.slot, cols[0] * channels, STEP_ROWS * pitch)
            out = StepOutput(memory, pitch, (cols[1] - cols[0]) * channels)
            nonfinite = np.zeros(1, np.int64)
            calls = decimation.calls(mapped.source, rows, columns, cols, out, (scratch, persistent))
            program = Program([*calls, *_checks(mapped.source, out, nonfinite)])
            return Strip(target, [program], persists=persists, nonfinite=nonfinite)

        # Rows are read in place only where padding needs no column of the padding value.
        cols = columns.count - decimation.in_place
        return strips_of(cols, self._widest, strip, self.plan.precision, persists=self.persists, threads=threads)

    @property
    def _widest(self) -> int:
        """Columns of the widest strip.

        Source rows fill half of the cache, decimated rows and results the rest, unless rows would be short.
        """
        rows = self._decimation.ring.slots
        samples = max(strip_samples(2 * rows), min(_LEAST_STRIP, strip_samples(rows)))
        return whole_vectors(samples // self.plan.channels)


class _AlongRows(_CoarseNode):
    """Decimates, blurs and interpolates along the coarse rows, one row for each lane of a vector."""

    def __init__(self, stage: StageSetup, coarse: Coarse) -> None:
        super().__init__(stage, coarse, stage.plan.cols.output)
        self.block_rows = self.contiguous_rows = self._block_rows()
        cols, channels = max(stage.plan.cols.input + 1, self.row_shape[0]), self.row_shape[1]
        self.scratch_bytes = rows_at_once(self.dtype) * cols * channels * self.dtype.itemsize * 3 // 2

    def _block_rows(self) -> int:
        """Return the rows of two groups in a stage that runs alone, if they stay in the cache, else of one.

        Between blocks, other nodes replace code and scratch memory in the caches: with one group, gaussian:8 takes 1.05
        of the time at 1 megapixel; with two, gaussian:20 takes 1.02 of it in rows of 12,000 samples.
        """
        fits = 2 * COARSE_GROUP * self.row_shape[0] * self.row_shape[1] <= BLOCK_SAMPLES
        return 2 * COARSE_GROUP if self.stage.alone and fits else COARSE_GROUP

    def lower_blocks(self, *, shared: bool = False) -> None:
        """Lower the blocks to one group."""
        self.forget_demand()
        self.block_rows = self.contiguous_rows = COARSE_GROUP

    def demand(self, top: int, bottom: int, number: int = 0) -> Indices:
        """Return the same rows."""
        return np.arange(top, bottom)

    def crew(self, sources: Sequence[LineBuffer], target: LineBuffer, threads: int) -> Crew:
        """Return workers that filter groups of rows."""
        (source,) = sources
        horizontal, group = self._horizontal, rows_at_once(self.dtype)

        def make() -> Strip:
            rows = RebasedSource(source.slot, 0, group * source.row_samples)
            memory = Rebased(target.slot, 0, group * target.row_samples)
            out = StepOutput(memory, target.row_samples, target.row_samples)
            program = Program(horizontal.calls(Scratch(self.dtype), rows, group, out), group)
            return Strip(target, [program], persists=False, source=source)

        return whole_rows(make, threads)

    @cached_property
    def _horizontal(self) -> Horizontal:
        """The horizontal pass, which the crews of all bands share."""
        return horizontal_of(self.stage.mapped())


class _Interpolate(StageNode):
    """Interpolates between the coarse rows."""

    splits_columns = True

    def __init__(self, stage: StageSetup, coarse: Coarse) -> None:
        super().__init__(stage)
        self._coarse = coarse
        self.cost /= 3
        self.read_bytes = coarse.count * self.row_shape[0] * self.row_shape[1] * np.dtype(self.plan.precision).itemsize
        self.scratch_bytes = rows_bytes(self.plan, 0) // 2
        self.jump, self.overlap = coarse.axis.stride / coarse.rates.step, coarse.rates.interpolation_taps
        needs_picture = isinstance(self.plan.stage.operator, UnsharpMask)
        self.reads = (1, 3) if needs_picture else (1,)

    def demand(self, top: int, bottom: int, number: int = 0) -> Indices:
        """Return the coarse rows around some output rows, and the picture's rows at their centres."""
        if number == 1:
            return self.central_rows(top, bottom)
        _, place = self._coarse.place(np.array([top, bottom - 1]))
        return np.arange(int(place[0]), int(place[1]) + self._coarse.rates.interpolation_taps)

    def spans(self, number: int = 0) -> Spans:
        """Return the coarse rows of all blocks by one call."""
        if number == 1:
            return super().spans(number)
        tops, bottoms = self.block_ends()
        firsts, lasts = (self._coarse.place(rows)[1] for rows in (tops, bottoms - 1))
        return np.append(firsts, self._coarse.count), np.append(0, lasts + self._coarse.rates.interpolation_taps)

    def crew(self, sources: Sequence[LineBuffer], target: LineBuffer, threads: int) -> Crew:
        """Return column strips that fit the cache."""
        coarse, *picture = sources
        channels, pitch = self.plan.channels, coarse.row_samples
        mapped = self.stage.mapped(*picture)
        epilogue = self.epilogue(mapped, target)
        interpolation = Interpolation(self._coarse, np.dtype(self.plan.precision), coarse)

        def strip(cols: tuple[int, int], scratch: Scratch, persistent: Scratch, persists: bool) -> Strip:
            def calls(out: StepOutput) -> list[Call]:
                return [interpolation.call(coarse.slot, pitch, cols[0] * channels, out)]

            return strip_of(mapped, epilogue, target, cols, scratch, calls)

        widest = strip_cols(interpolation.row_count, channels)
        return strips_of(self.plan.cols.output, widest, strip, self.plan.precision, threads=threads)
