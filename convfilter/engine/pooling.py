"""Max and min pooling by running extremes, and average pooling: windows of any size at nearly one cost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from convfilter.engine import box
from convfilter.engine.borders import Indices, interleaved
from convfilter.engine.native import Loop
from convfilter.engine.program import Call, Repeated, Slot
from convfilter.engine.running import unordered_columns
from convfilter.engine.tiles import Columns, Samples, Scratch, distinct_rows
from convfilter.engine.work import Block, Region, Sums, Work
from convfilter.filters.stage import Pooling
from convfilter.planning import AxisPlan
from convfilter.planning.plan import BLOCK_ROWS, part_cols, tile_rows
from convfilter.planning.pooling import BETWEEN_ROWS, SUMMED_TAPS, blocks_of, rows_between

_SIGNATURE = "X* i8 i8* i8 i8 i8 i8 i8 i8* i8 i8 i8 i8 i8 i8 X* X* X* X* X* X* X* i8 i8 i8 i8"
LARGEST = Loop("extreme", "largest", _SIGNATURE)
LEAST = Loop("extreme", "least", _SIGNATURE)
SUMS = Loop("extreme", "sums", _SIGNATURE.replace("X", "A"))


def is_plain(work: Work, target: np.dtype[np.generic]) -> bool:
    """Whether extremes or means are stored as they are, in the type of the source."""
    if _kind(work) == "average":
        return box.is_plain(work, target)
    return work.stores_samples(target)


def make_worker(work: Work, output: Slot) -> Callable[[tuple[int, int]], None]:
    """Return a function that stores the extremes or means of a block of output rows."""
    if _kind(work) == "average":
        return box.make_worker(work, output)
    rows, cols, channels = work.plan.rows, work.plan.cols, work.source.channels
    extremes = _Windows(_kind(work), rows, cols, channels, output.dtype)
    row_index = work.rows_held(nearest_cells(rows))
    pitch = cols.output * channels

    def calls(block: tuple[int, int]) -> list[Call]:
        top, bottom = block
        return extremes.calls(
            work.source.slot, row_index[top * rows.stride :], bottom - top, output, top * pitch, pitch
        )

    return Repeated(calls, work.program)


def pooling(work: Work, scratch: Scratch) -> Block:
    """Take the largest or least sample of each window, or the sum, for results that are not stored as they are."""
    source, cols = work.source, work.plan.cols
    if _kind(work) == "average":
        if work.plan.rows.kernel + cols.kernel <= SUMMED_TAPS:
            return _by_taps(work, scratch)
        loaded = replace(cols, input=cols.padded, before=0, after=0)
        return _of_tiles(work, scratch, work.row_index, unordered_columns(work), loaded)
    if source.alpha or source.gray:
        cells = _run(0, min(cols.input, cols.padded - cols.before))
        return _of_tiles(work, scratch, work.rows_held(nearest_cells(work.plan.rows)), cells, cols)
    return _of_samples(work, scratch)


def _by_taps(work: Work, scratch: Scratch) -> Block:
    from convfilter.engine.two_passes import separable

    tiles, step = separable(work, scratch), tile_rows(work.plan.rows, work.plan.cols, work.source.channels)

    def block(top: int, bottom: int) -> Sums:
        for first in range(top, bottom, step):
            yield from tiles(first, min(first + step, bottom))

    return block


def _kind(work: Work) -> str:
    operator = work.plan.stage.operator
    assert isinstance(operator, Pooling)
    return operator.kind


def _of_samples(work: Work, scratch: Scratch) -> Block:
    """Take the extremes in the samples' type, and load them as real numbers."""
    source, rows, cols = work.source, work.plan.rows, work.plan.cols
    pitch = cols.output * source.channels
    extremes = _Windows(_kind(work), rows, cols, source.channels, source.image.dtype)
    row_index = work.rows_held(nearest_cells(rows))
    step = rows_between(rows, cols, source.channels)
    found = np.empty((min(step, rows.output), cols.output, source.channels), source.image.dtype)
    whole, of_found = _run(0, cols.output), replace(source, slot=Slot(found))

    def block(top: int, bottom: int) -> Sums:
        for first in range(top, bottom, step):
            last = min(first + step, bottom)
            extremes.write(source.image, row_index[first * rows.stride :], last - first, found, 0, pitch)
            for begin in range(first, last, BLOCK_ROWS):
                region = Region(begin, min(begin + BLOCK_ROWS, last), 0, cols.output)
                lines = np.arange(region.top - first, region.bottom - first)
                tile, _ = of_found.load(scratch, "sums", lines, whole)
                yield region, tile, pitch

    return block


def _of_tiles(work: Work, scratch: Scratch, row_index: Indices, columns: Columns, cols: AxisPlan) -> Block:
    """Load parts of rows and go down them, and then along what they gave; ``cols`` says where windows lie there."""
    source, rows, channels, kind = work.source, work.plan.rows, work.source.channels, _kind(work)
    step, width = rows_between(rows, cols, channels), columns.count
    cuts = range(0, width, part_cols(channels))
    parts = [(first * channels, columns.part(first, min(first + cuts.step, width))) for first in cuts]
    down = {part.count: _Windows(kind, rows, _untouched(part.count), channels, scratch.dtype) for _, part in parts}
    along = _Windows(kind, _untouched(BETWEEN_ROWS), cols, channels, scratch.dtype)

    def block(top: int, bottom: int) -> Sums:
        for first in range(top, bottom, step):
            height = min(first + step, bottom) - first
            between = scratch.get("between", height * width * channels)
            places = row_index[first * rows.stride :][: (height - 1) * rows.stride + rows.span + 1]
            distinct, lines = distinct_rows(places, rows.input)
            for start, part in parts:
                tile, pitch = source.load(scratch, "tile", distinct, part)
                down[part.count].write(tile, lines, height, between, start, width * channels, pitch)
            for begin in range(0, height, BETWEEN_ROWS):
                lines = np.arange(begin, min(begin + BETWEEN_ROWS, height))
                region = Region(first + begin, first + begin + lines.size, 0, cols.output)
                target = work.sums(scratch, region)
                along.write(between, lines, lines.size, target.buffer, 0, target.pitch, width * channels)
                yield region, target.buffer, target.pitch

    return block


def _run(first: int, last: int) -> Columns:
    return Columns(np.arange(first, last), 0, last - first, np.empty(0, np.int64))


def _untouched(length: int) -> AxisPlan:
    return AxisPlan(length, kernel=1, stride=1, dilation=1, before=0, after=0)


class _Windows:
    """Extremes or sums of windows, with the scratch memory that one thread needs for them."""

    def __init__(self, kind: str, rows: AxisPlan, cols: AxisPlan, channels: int, dtype: npt.DTypeLike) -> None:
        loop = {"max": LARGEST, "min": LEAST, "average": SUMS}[kind]
        self._loop = loop.variant(**dict.fromkeys(loop.letters, dtype))
        self._rows, self._cols, self._channels = rows, cols, channels
        self._nearest = nearest_cells(cols) + cols.before
        self._length = length = min(cols.input, cols.padded - cols.before) * channels
        self._blocks = block, blocks = blocks_of(rows)
        places = cols.padded * channels
        sizes = (block * length, max(1, blocks) * length, length, length, places, places)
        self._scratch = [np.empty(size, dtype) for size in sizes]

    def write(
        self, source: Samples, row_index: Indices, count: int, out: Samples, start: int, out_pitch: int, pitch: int = 0
    ) -> None:
        """Write what :meth:`calls` does, now."""
        for call in self.calls(source, row_index, count, out, start, out_pitch, pitch):
            call()

    def calls(
        self,
        source: Samples | Slot,
        row_index: Indices,
        count: int,
        out: Samples | Slot,
        start: int,
        out_pitch: int,
        pitch: int = 0,
    ) -> list[Call]:
        """Return the calls that write ``count`` rows of results, ``out_pitch`` apart, from ``start`` on.

        ``row_index`` says which row of ``source`` stands at each place that they
        touch; these are ``pitch`` samples apart, unless it is an image.
        """
        rows, cols = self._rows, self._cols
        pitch = pitch or source.shape[1] * self._channels
        return [
            Call(
                self._loop,
                (
                    source, pitch, row_index[part.places], rows.kernel, part.step, *self._blocks,
                    self._length, self._nearest, cols.padded, cols.before, self._channels,
                    cols.kernel, cols.dilation, cols.stride, *self._scratch,
                    out, start + part.first * out_pitch, part.every * out_pitch, cols.output, part.outputs,
                ),
            )
            for part in interleaved(rows, count)
        ]  # fmt: skip


def nearest_cells(axis: AxisPlan) -> Indices:
    """Return for each place of a padded axis the nearest cell of the picture that lies in the same windows.

    Windows step by the dilation, so that is the nearest at a multiple of it. An extreme stays the same
    if a cell takes part twice, and each window holds a cell: so padded cells never win.
    """
    place = np.arange(axis.padded, dtype=np.int64) - axis.before
    last = axis.input - 1
    before, behind = place % axis.dilation, last - (last - place) % axis.dilation
    cells = np.where(place < 0, before, np.where(place > last, behind, place))
    # There may be places that no window touches; of the picture only ``padded`` places are loaded.
    return np.clip(cells, 0, min(last, axis.padded - axis.before - 1))
