"""Separable blurs of integer samples in lane-interleaved rows: both passes read whole cache lines.

Along a row, a neighbouring pixel is a few samples away, and a vector that starts there straddles two cache lines, which
halves the rate of loads. So rows are cut into one segment for each lane of a vector, and interleaved
(``loops/interleave.py``). Neighbours are then whole vectors apart, and the horizontal pass uses the loop of the
vertical pass. Samples are interleaved before their conversion to real numbers, and de-interleaved after rounding: bytes
are transposed four times as fast as floats.
"""

from __future__ import annotations

import numpy as np

from convfilter.engine.borders import Indices
from convfilter.engine.buffer import LineBuffer, Samples, Scratch
from convfilter.engine.layout import Columns, columns_for
from convfilter.engine.mapped_stage import MappedStage, Region
from convfilter.engine.program import Call, Moving
from convfilter.engine.store import Store
from convfilter.engine.strips import Strip, Strips, step_programs, strips_of
from convfilter.engine.sums import weights_of_rows
from convfilter.engine.tone import IDENTITY, Tone
from convfilter.loops.vectors import vector_bytes
from convfilter.native.loop import Loop
from convfilter.planning.strips import INTERLEAVED_ROWS, Interleaving

CORRELATE_EIGHT = Loop("correlate_eight", "correlate_eight", "S* i8* i8 A* i8 A* i8 i8")
CORRELATE_EIGHT_STORED = Loop("correlate_eight", "correlate_eight_stored", "A* i8* i8 A* i8 T* i8 i8 i8 A A A")
UNMASK = Loop("interleave", "unmask", "A* i8 i8 i8 T*")
INTERLEAVE = Loop("interleave", "interleave", "S* i8 i8 i8 S*")
APPEND_HALO = Loop("interleave", "append_halo", "A* i8 i8 i8 i8")
DEINTERLEAVE = Loop("interleave", "deinterleave", "T* i8 i8 i8 T* T* i8 i8 i8")


def strips(mapped: MappedStage, epilogue: Store, target: LineBuffer, threads: int) -> Strips | None:
    """Return the strips of a stage, or None where rows are not lane-interleaved."""
    interleaving, precision = mapped.plan.interleaving, np.dtype(mapped.plan.precision)
    tone = epilogue.unclipped_mask(precision) if mapped.source.masked else epilogue.unclipped_tone(precision)
    if interleaving is None or tone is None or mapped.source.gray or not mapped.source.pads_with_samples:
        return None

    rows = mapped.row_index[interleaving.ring.places()]
    tables: dict[tuple[int, ...], Indices] = {}

    def strip(cols: tuple[int, int], scratch: Scratch, persistent: Scratch, persists: bool) -> Strip:
        return _Interleaved(mapped, rows, interleaving, tone, epilogue, target, scratch, persistent, tables).strip(
            *cols
        )

    return strips_of(mapped.plan.cols.output, interleaving.cols, strip, mapped.plan.precision, threads=threads)


class _Interleaved:
    """The programs of a strip, and the memory that their calls share."""

    def __init__(
        self,
        mapped: MappedStage,
        rows: Indices,
        interleaving: Interleaving,
        tone: Tone | int,
        epilogue: Store,
        target: LineBuffer,
        scratch: Scratch,
        persistent: Scratch,
        tables: dict[tuple[int, ...], Indices],
    ) -> None:
        self._mapped, self._rows, self._interleaving, self._tone, self._epilogue, self._target = (
            mapped,
            rows,
            interleaving,
            tone,
            epilogue,
            target,
        )
        self._scratch, self._persistent = scratch, persistent
        self._tables = tables  # of offsets: strips of the same width share them
        self._lanes = vector_bytes() // np.dtype(mapped.plan.precision).itemsize
        column, row = mapped.plan.products[0]
        self._column = column[interleaving.ring.rows]
        self._first, self._row = interleaving.first_col, row[interleaving.first_col : interleaving.last_col]

    def strip(self, left: int, right: int) -> Strip:
        """Return the strip of output columns ``left`` to ``right - 1``."""
        mapped, taps = self._mapped, self._row.size
        columns = columns_for(mapped.plan.cols, mapped.col_index, left, right)
        columns = columns.subset(self._first, self._first + right - left + taps - 1)
        channels = mapped.source.channels
        # Enough vectors for all samples, in whole squares; with a mask also for all pixels, and for the colours alone.
        unit = self._lanes * (channels if mapped.source.masked else 1)
        depth = -(-columns.count * channels // (self._lanes * unit)) * unit
        pixels = -(-depth // channels // INTERLEAVED_ROWS) * INTERLEAVED_ROWS
        pitch = max(depth, pixels * channels) + (taps - 1) * channels
        between = self._scratch.get("interleaved sums", INTERLEAVED_ROWS * pitch * self._lanes)
        between[:] = 0  # the loop sums places that no output needs, too
        sums = [*self._incoming(columns, depth), self._down(between, pitch, depth)]
        halo = (taps - 1) * channels
        sums.append(
            Call(APPEND_HALO.variant(A=between.dtype), (between, pitch * self._lanes, INTERLEAVED_ROWS, depth, halo))
        )

        def calls(rows: int) -> list[Call]:
            along, samples = self._along(between, pitch, pixels, rows)
            outgoing = self._outgoing(samples, pixels, depth, Region(0, rows, left, right))
            return [*sums, *along, outgoing]

        return Strip(self._target, step_programs(mapped.plan.rows.output, calls, INTERLEAVED_ROWS))

    def _incoming(self, columns: Columns, depth: int) -> list[Call]:
        """Return the calls that load a step's source rows, padded and interleaved, into the ring."""
        source, ring, dtype = self._mapped.source, self._interleaving.ring, self._mapped.source.dtype
        natural = self._scratch.get("natural", ring.block * depth * self._lanes, dtype)
        natural[:] = 0
        self._ring = self._persistent.get("ring", ring.slots * depth * self._lanes, dtype)
        rows = Moving(self._rows, ring.lead * ring.block, ring.block)
        line = depth * self._lanes
        copy = source.copy_call(self._scratch, rows, ring.block, columns, natural, line)
        target = Moving(self._ring, 0, ring.block * line, ring.period)
        return [
            copy._replace(ahead=ring.lead),
            Call(INTERLEAVE.variant(S=dtype), (natural, line, ring.block, depth, target), ring.lead),
        ]

    def _down(self, between: Samples, pitch: int, depth: int) -> Call:
        """Return the call that sums down the columns."""
        table = self._interleaving.ring.table() * (depth * self._lanes)
        # The taps of the first output row, and the last tap of each further row.
        offsets = np.concatenate([table[:, 0], table[:, 1:, -1]], axis=1)
        weights = weights_of_rows(self._column[:, np.newaxis], INTERLEAVED_ROWS, between.dtype)
        periods, taps = offsets.shape
        arguments = (
            self._ring, Moving(offsets, 0, taps, periods), taps, weights, 1,
            between, pitch * self._lanes, depth * self._lanes,
        )  # fmt: skip
        return Call(CORRELATE_EIGHT.variant(S=self._ring.dtype, A=between.dtype), arguments)

    def _along(self, between: Samples, pitch: int, pixels: int, rows: int) -> tuple[list[Call], Samples]:
        """Return the calls that sum along ``rows`` rows, eight pixels at a time, and the samples that they store."""
        weights = weights_of_rows(self._row[:, np.newaxis], INTERLEAVED_ROWS, between.dtype)
        pixel = self._mapped.source.channels * self._lanes
        offsets = self._offsets(pitch, pixels, rows, weights.shape[0])
        tone = self._tone
        samples = self._scratch.get("interleaved", rows * pixels * pixel, self._epilogue.dtype)
        where = between, offsets, weights.shape[0], weights, offsets.shape[0]
        if not isinstance(tone, Tone):
            results = self._scratch.get("interleaved results", rows * pixels * pixel)
            along = Call(CORRELATE_EIGHT.variant(S=between.dtype, A=between.dtype), (*where, results, pixel, pixel))
            divided = results, rows * pixels, self._mapped.source.channels, tone, samples
            return [along, Call(UNMASK.variant(A=between.dtype, T=samples.dtype), divided)], samples
        arguments = (
            *where, samples, pixel, pixel,
            int(tone == IDENTITY), tone.scale, tone.divisor, tone.offset,
        )  # fmt: skip
        return [Call(CORRELATE_EIGHT_STORED.variant(A=between.dtype, T=samples.dtype), arguments)], samples

    def _offsets(self, pitch: int, pixels: int, rows: int, taps: int) -> Indices:
        """Return the place of each tap of eight neighbouring outputs, for all outputs of ``rows`` rows."""
        key = pitch, pixels, rows
        if key not in self._tables:
            pixel = self._mapped.source.channels * self._lanes
            begins = np.arange(rows)[:, np.newaxis] * (pitch * self._lanes)
            begins = begins + np.arange(0, pixels, INTERLEAVED_ROWS) * pixel
            self._tables[key] = begins.reshape(-1, 1) + np.arange(taps) * pixel
        return self._tables[key]

    def _outgoing(self, samples: Samples, pixels: int, depth: int, region: Region) -> Call:
        """Return the call that de-interleaves samples into the target rows."""
        line = self._scratch.get("line", depth * self._lanes + self._lanes**2, self._epilogue.dtype)
        output, start, out_pitch = self._epilogue.place(region, INTERLEAVED_ROWS)
        loaded = self._mapped.source.channels
        channels = loaded - self._mapped.source.masked
        length = (region.right - region.left) * channels
        depth = depth // loaded * channels if self._mapped.source.masked else depth
        arguments = (
            samples, pixels * channels * self._lanes, region.bottom, depth, line, output, start, out_pitch, length,
        )  # fmt: skip
        return Call(DEINTERLEAVE.variant(T=self._epilogue.dtype), arguments)
