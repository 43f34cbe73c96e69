"""Largest and smallest samples of windows by running extremes, and means of real samples by sums of blocks.

The cost hardly depends on the window; see ``loops/pooling.py``. ``box.py`` has the means of integers; ``stencil.py``
sums means over small windows of real samples tap by tap.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from convfilter.engine.borders import DilationPhase, Indices, dilation_phases
from convfilter.engine.buffer import LineBuffer, Samples, Scratch, aligned_array
from convfilter.engine.epilogue import Epilogue
from convfilter.engine.layout import Columns, distinct_rows
from convfilter.engine.load import LOAD
from convfilter.engine.mapped_stage import MappedStage, Region
from convfilter.engine.masked import pixels_and_mask
from convfilter.engine.node import Crew, Node, StageNode, StageSetup
from convfilter.engine.program import Call, Counting, Moving, Rebased, Slot
from convfilter.engine.store import Store
from convfilter.engine.strips import Strip, step_programs, whole_rows
from convfilter.engine.workers import TileWorker, Workers
from convfilter.filters.operators import Pooling
from convfilter.methods import box
from convfilter.native.loop import Loop
from convfilter.planning import AxisPlan
from convfilter.planning.methods.extremes import BETWEEN_ROWS, blocks_of, compares_stored, piece_cols, rows_between
from convfilter.record import replace
from convfilter.sample_types import is_wide

if TYPE_CHECKING:
    import numpy.typing as npt

_SIGNATURE = "X* i8 i8* i8 i8 i8 i8 i8 i8* i8 i8 i8 i8 i8 i8 X* X* X* X* X* X* X* i8 i8 i8 i8"
LARGEST = Loop("pooling", "largest", _SIGNATURE)
LEAST = Loop("pooling", "least", _SIGNATURE)
SUMS = Loop("pooling", "sums", _SIGNATURE.replace("X", "A"))
COPY_FILLED = Loop("mask", "copy_filled", "M* i8 u1* i8 i8* i8 i8 i8 i8 M*")

#: Most bytes of the rows that a step fills, so that they stay in a core's L2 cache; but few steps share many rows.
_FILLED_BYTES, _LEAST_STEP = 2**18, 4

_Sums = Callable[[int, int], Iterator[tuple[Region, Samples, int]]]


def nodes(stage: StageSetup) -> list[Node]:
    """Return the node of a stage."""
    if _kind(stage) != "average":
        return [_Extremes(stage)]
    if box.sums_samples(stage):
        return [box.StoredSums(stage)]
    if stage.plan.by_taps:
        from convfilter.methods import stencil

        return stencil.nodes(stage)
    return [_Means(stage)]


def _kind(stage: StageSetup) -> str:
    operator = stage.plan.stage.operator
    assert isinstance(operator, Pooling)
    return operator.kind


def _is_widened(mapped: MappedStage, target: LineBuffer) -> bool:
    """Whether samples are converted to float64 first: wide types, except real samples stored as they are."""
    source = mapped.source.dtype
    return not compares_stored(source) or (is_wide(target.dtype) and target.dtype != source)


class _Extremes(StageNode):
    """Extremes of stored samples, or of loaded ones with alpha or luminance."""

    def __init__(self, stage: StageSetup) -> None:
        super().__init__(stage)
        # Rows that are buffered between extremes and epilogue; a block is a multiple of them.
        self._between = rows_between(self.plan.rows, self.plan.cols, stage.source.channels)
        self.block_rows = -(-self.block_rows // self._between) * self._between

    def crew(self, sources: Sequence[LineBuffer], target: LineBuffer, threads: int) -> Crew:
        """Return workers."""
        mapped = self.stage.mapped(sources[0])
        # Places outside all windows may map to any row.
        row_index = np.maximum(sources[0].index(nearest_cells(self.plan.rows)), 0)
        if mapped.source.alpha or mapped.source.gray or _is_widened(mapped, target):
            cols, epilogue = self.plan.cols, self.epilogue(mapped, target)
            cells = _adjacent_columns(0, min(cols.input, cols.padded - cols.before))
            kind = _kind(self.stage)
            return Workers(lambda: _of_tiles(mapped, kind, epilogue, row_index, cells, cols), self.scratch_bytes)
        if mapped.stores_samples(target.dtype) and self.stage.ranges is None:
            return whole_rows(lambda: self._direct_strip(mapped, row_index, target), threads)
        return whole_rows(
            lambda: self._epilogue_strip(mapped, row_index, self.epilogue(mapped, target), target), threads
        )

    def _direct_strip(self, mapped: MappedStage, row_index: Indices, target: LineBuffer) -> Strip:
        """Return the strip that stores the extremes as samples of the source's type."""
        windows, pitch, steps = self._windows(mapped), target.row_samples, self._steps(mapped)

        def calls(rows: int) -> list[Call]:
            start = Counting(0, steps * pitch)
            return windows.calls(mapped.source.slot, row_index, rows, steps, target.slot, start, pitch)

        return Strip(target, step_programs(self.rows, calls, steps), persists=False)

    def _steps(self, mapped: MappedStage) -> int:
        """Return the rows of a step: of the whole block, or fewer where rows with a mask are filled first."""
        rows, steps = self.plan.rows, self._between
        if pixels_and_mask(mapped.source.slot)[1] is None:
            return self.block_rows
        row_bytes = rows.stride * mapped.source.slot.shape[1] * mapped.source.channels * mapped.source.dtype.itemsize
        while steps % 2 == 0 and steps * row_bytes > _FILLED_BYTES and steps * rows.stride >= _LEAST_STEP * rows.span:
            steps //= 2
        return steps

    def _epilogue_strip(self, mapped: MappedStage, row_index: Indices, epilogue: Epilogue, target: LineBuffer) -> Strip:
        """Return the strip that finds extremes, a few rows at a time, and passes them to the epilogue."""
        source, cols, steps = mapped.source, self.plan.cols, self._between
        windows, pitch = self._windows(mapped), cols.output * source.channels
        extremes = aligned_array(min(steps, self.rows) * pitch, source.dtype)

        def calls(rows: int) -> list[Call]:
            find = windows.calls(source.slot, row_index, rows, steps, extremes, Counting(0, 0), pitch)
            if isinstance(epilogue, Store) and epilogue.only_converts:
                place = Rebased(target.slot, 0, steps * pitch)
                all_columns = np.arange(cols.output), cols.output, 0, cols.output, source.channels
                arguments = extremes, pitch, np.arange(rows), rows, *all_columns, 0.0, place, pitch
                return [*find, Call(LOAD.variant(S=extremes.dtype, A=target.dtype), arguments)]
            region = Region(0, rows, 0, cols.output)
            scratch = Scratch(self.plan.precision)
            return [*find, *epilogue.calls(scratch, region, extremes, pitch, steps)]

        return Strip(target, step_programs(self.rows, calls, steps), persists=False)

    def _windows(self, mapped: MappedStage) -> Windows:
        return Windows(_kind(self.stage), self.plan.rows, self.plan.cols, mapped.source.channels, mapped.source.dtype)


class _Means(StageNode):
    """Means of real samples over large windows, and of colours weighted by alpha."""

    def crew(self, sources: Sequence[LineBuffer], target: LineBuffer, threads: int) -> Crew:
        """Return workers."""
        mapped, cols = self.stage.mapped(sources[0]), self.plan.cols
        epilogue = self.epilogue(mapped, target)
        loaded = replace(cols, input=cols.padded, before=0, after=0)
        columns = box.unordered_columns(mapped)
        return Workers(
            lambda: _of_tiles(mapped, "average", epilogue, mapped.row_index, columns, loaded), self.scratch_bytes
        )


def _of_tiles(
    mapped: MappedStage, kind: str, epilogue: Epilogue, row_index: Indices, columns: Columns, cols: AxisPlan
) -> TileWorker:
    """Return a worker that loads pieces of rows, combines them down the columns, then along the axis ``cols``."""
    source, rows, channels = mapped.source, mapped.plan.rows, mapped.source.channels
    scratch = Scratch(mapped.plan.precision)
    step, width, length = rows_between(rows, cols, channels), columns.count, cols.output * channels
    cuts = range(0, width, piece_cols(channels))
    pieces = [(first * channels, columns.subset(first, min(first + cuts.step, width))) for first in cuts]
    down = {
        piece.count: Windows(kind, rows, _identity_axis(piece.count), channels, scratch.dtype) for _, piece in pieces
    }
    along = Windows(kind, _identity_axis(BETWEEN_ROWS), cols, channels, scratch.dtype)

    def sums(top: int, bottom: int) -> Iterator[tuple[Region, Samples, int]]:
        for first in range(top, bottom, step):
            height = min(first + step, bottom) - first
            between = scratch.get("between", height * width * channels)
            places = row_index[first * rows.stride :][: (height - 1) * rows.stride + rows.span + 1]
            distinct, lines = distinct_rows(places, source.slot.shape[0])
            for start, piece in pieces:
                tile, pitch = source.load(scratch, "tile", distinct, piece)
                down[piece.count].write(tile, lines, height, between, start, width * channels, pitch)
            for begin in range(0, height, BETWEEN_ROWS):
                lines = np.arange(begin, min(begin + BETWEEN_ROWS, height))
                region = Region(first + begin, first + begin + lines.size, 0, cols.output)
                extremes = scratch.get("sums", lines.size * length)
                along.write(between, lines, lines.size, extremes, 0, length, width * channels)
                yield region, extremes, length

    return TileWorker(sums, epilogue, scratch)


def _adjacent_columns(first: int, last: int) -> Columns:
    return Columns(np.arange(first, last), 0, last - first, np.empty(0, np.int64))


def _identity_axis(length: int) -> AxisPlan:
    """Return an axis on which each output is the sample at its own place."""
    return AxisPlan(length, kernel=1, stride=1, dilation=1, before=0, after=0)


class Windows:
    """Extremes or sums of windows, with the scratch memory that one thread needs for them."""

    def __init__(self, kind: str, rows: AxisPlan, cols: AxisPlan, channels: int, dtype: npt.DTypeLike) -> None:
        loop = {"max": LARGEST, "min": LEAST, "average": SUMS}[kind]
        self._loop = loop.variant(**dict.fromkeys(loop.letters, dtype))
        self._kind, self._rows, self._cols, self._channels = kind, rows, cols, channels
        self._nearest = nearest_cells(cols) + cols.before
        self._length = length = min(cols.input, cols.padded - cols.before) * channels
        self._blocks = block, blocks = blocks_of(rows)
        places = cols.padded * channels
        sizes = (block * length, max(1, blocks) * length, length, length, places, places)
        self._scratch = [aligned_array(size, dtype) for size in sizes]

    def write(
        self, source: Samples, row_index: Indices, count: int, out: Samples, start: int, out_pitch: int, pitch: int
    ) -> None:
        """Write ``count`` rows of results, ``out_pitch`` apart, from ``start`` on.

        ``row_index`` maps each padded place to a row of ``source``, whose rows are ``pitch`` samples apart.
        """
        for phase in dilation_phases(self._rows, count):
            place = out, start + phase.first * out_pitch, phase.spacing * out_pitch
            self._call(phase, source, pitch, row_index[phase.places], *place)()

    def calls(
        self,
        source: Slot,
        row_index: Indices,
        count: int,
        step_rows: int,
        out: Samples | Slot,
        start: Counting,
        out_pitch: int,
    ) -> list[Call]:
        """Return the calls that write the first ``count`` rows of each step; a step has ``step_rows`` rows."""
        rows, pitch = self._rows, self._cols.input * self._channels
        tops = np.arange(-(-rows.output // step_rows))[:, np.newaxis] * (step_rows * rows.stride)

        def moving(places: Indices) -> Moving:
            table = np.ascontiguousarray(row_index[np.minimum(tops + places, row_index.size - 1)])
            return Moving(table.reshape(-1), 0, table.shape[1])

        result: list[Call] = []
        pixels, valid = pixels_and_mask(source)
        read: Samples | Slot = pixels
        if valid is not None:
            places = np.arange((count - 1) * rows.stride + rows.span + 1)
            read = aligned_array(places.size * pitch, source.dtype)
            result.append(self._fill_call(pixels, valid, moving(places), places.size, read))
        for phase in dilation_phases(rows, count):
            where = moving(phase.places) if valid is None else phase.places
            place = out, start._replace(start=start.start + phase.first * out_pitch), phase.spacing * out_pitch
            result.append(self._call(phase, read, pitch, where, *place))
        return result

    def _fill_call(self, pixels: Slot, valid: Slot, rows: Moving, count: int, out: Samples) -> Call:
        """Return the call that copies ``count`` rows, with the neutral element of the extreme for ignored pixels."""
        cols, channels = self._cols.input, self._channels
        picture = pixels, cols * channels, valid, cols
        arguments = *picture, rows, count, cols, channels, int(self._kind == "min"), out
        return Call(COPY_FILLED.variant(M=pixels.dtype), arguments)

    def _call(
        self,
        phase: DilationPhase,
        source: Samples | Slot,
        pitch: int,
        rows: Indices | Moving,
        out: Samples | Slot,
        start: int | Counting,
        out_pitch: int,
    ) -> Call:
        cols = self._cols
        arguments = (
            source, pitch, rows, self._rows.kernel, phase.step, *self._blocks,
            self._length, self._nearest, cols.padded, cols.before, self._channels,
            cols.kernel, cols.dilation, cols.stride, *self._scratch,
            out, start, out_pitch, cols.output, phase.outputs,
        )  # fmt: skip
        return Call(self._loop, arguments)


def nearest_cells(axis: AxisPlan) -> Indices:
    """Return for each place of a padded axis the nearest pixel that lies in the same windows.

    Taps are a dilation apart, so the nearest pixel is a multiple of the dilation away. An extreme does not change if a
    pixel counts twice, and each window holds a pixel, so padded cells have no effect.
    """
    place = np.arange(axis.padded, dtype=np.int64) - axis.before
    last = axis.input - 1
    before, after = place % axis.dilation, last - (last - place) % axis.dilation
    cells = np.where(place < 0, before, np.where(place > last, after, place))
    # Places outside all windows exist; only ``padded`` places of the picture are loaded.
    return np.clip(cells, 0, min(last, axis.padded - axis.before - 1))
