"""Erosion, dilation and their compositions: extremes under footprints of any shape.

Rectangles use the loop of pooling (``loops/extreme.py``). Other footprints are runs of consecutive taps
(``loops/footprint.py``), or nested rows in panels (``loops/panels.py``). Real samples are compared by their bit
patterns, which have the order of the numbers. With alpha, premultiplied colours are compared, as in pooling.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

import numpy as np

from convfilter.engine.borders import Indices
from convfilter.engine.buffer import LineBuffer, Samples, Scratch
from convfilter.engine.epilogue import Epilogue
from convfilter.engine.layout import Columns, columns_for
from convfilter.engine.load import Source
from convfilter.engine.mapped_stage import MappedStage, Region
from convfilter.engine.node import Crew, Node, Rows, StageNode, StageSetup, placeholder
from convfilter.engine.threads import cut
from convfilter.engine.workers import Workers
from convfilter.filters.operators import Morphology
from convfilter.loops.vectors import vector_bytes
from convfilter.methods.extremes import Windows
from convfilter.methods.layer import central_alpha
from convfilter.methods.rank_tiles import TAIL, flip_negatives, loaded_tile
from convfilter.native.loop import Loop
from convfilter.planning import LUMINANCE_DIVISOR, plan_stack
from convfilter.planning.chains import block_rows
from convfilter.planning.composites import opening
from convfilter.planning.methods.morphology import PANELS_BYTES, cells_of, footprint_cols, is_composite
from convfilter.record import replace
from convfilter.sample_types import real_of

_SIGNATURE = "M* i8 i8 i8 i8 i8* i8* i8 i8* i8* i8 i8 i8 i8 M* i8 M* i8"
LARGEST_UNDER = Loop("footprint", "largest_under", _SIGNATURE)
LEAST_UNDER = Loop("footprint", "least_under", _SIGNATURE)
_NESTED = "M* i8 i8 i8 i8 i8* i8* i8 i8* i8 i8 M* i8 M* i8 i8"
LARGEST_OF_NESTED = Loop("panels", "largest_of_nested", _NESTED)
LEAST_OF_NESTED = Loop("panels", "least_of_nested", _NESTED)
#: Most panels of a strip, and the number that the loop fills at once.
_MOST_PANELS, _PANELS_AT_ONCE = 16, 4


def nodes(stage: StageSetup) -> list[Node]:
    """Return the nodes of a stage."""
    operator = stage.plan.stage.operator
    assert isinstance(operator, Morphology)
    if not is_composite(operator):
        return [_Extremes(stage)]
    both: list[Node] = [_Extremes(each) for each in _erosion_and_dilation(stage)]
    residue = _Residue(stage)
    residue.reads = (1, len(both) + 1)  # the opened or closed picture, and the original
    return [*both, residue]


def _erosion_and_dilation(stage: StageSetup) -> Iterator[StageSetup]:
    """Yield the erosion and dilation of an opening, or the dilation and erosion of a closing.

    They keep the samples as they are; the difference is scaled, not the opened or closed picture.
    """
    plan, source = stage.plan, stage.source
    unscaled = replace(plan.stage, scale=1.0, offset=0.0, map=None, ceil=False)
    stored = real_of(source.dtype, stage.dtype) if source.alpha or source.gray else source.dtype
    padding = (plan.rows.before, plan.rows.after, plan.cols.before, plan.cols.after)
    shape = plan.rows.input, plan.cols.input
    for number, own in enumerate(opening(unscaled, padding)):
        gray = source.gray and number == 0
        channels = plan.channels + 2 * gray
        before = source.dtype if number == 0 else stored
        plan_of_one = plan_stack(
            [own], (*shape, channels), before, out_dtype=stored, alpha=source.alpha, gray=gray, white=source.full,
            out_white=source.full,
            premultiplied=source.premultiplied,
        )  # fmt: skip
        (planned,) = plan_of_one.stages
        buffer = placeholder(planned.cols.input, channels, before)
        loaded = Source(buffer, source.full, planned.alpha, gray, planned.padding_value, planned.premultiplied)
        yield StageSetup(planned, loaded, stored, source.full, block_rows(planned))
        shape = (planned.rows.output, planned.cols.output)


class _Extremes(StageNode):
    """Extremes of samples under a footprint, or the difference of largest and least."""

    def crew(self, sources: Sequence[LineBuffer], target: LineBuffer, threads: int) -> Crew:
        """Return workers."""
        mapped = self.mapped(sources[0])
        epilogue = self.epilogue(mapped, target)
        return Workers(lambda: _Worker(mapped, epilogue, target, self.stage).compute, self.scratch_bytes)


class _Worker:
    """Finds the extremes of blocks of rows, in its own memory."""

    def __init__(self, mapped: MappedStage, epilogue: Epilogue, target: LineBuffer, stage: StageSetup) -> None:
        operator = mapped.plan.stage.operator
        assert isinstance(operator, Morphology)
        self._mapped, self._epilogue, self._target, self._kind = mapped, epilogue, target, operator.kind
        source = mapped.source
        unconverted = source.dtype.kind == "u" and source.pads_with_samples and not source.alpha and not source.gray
        self._dtype = source.dtype if unconverted else np.dtype(mapped.plan.precision)
        self._scratch = Scratch(mapped.plan.precision)
        self._stores = mapped.stores_samples(target.dtype) and stage.ranges is None
        self._box = mapped.plan.kernel.is_box
        self._nested_rows: dict[bool, tuple[Indices, Indices, Indices, Indices] | None] = {}
        self._run_tables: dict[bool, tuple[Indices, Indices, Indices, Indices]] = {}
        self._windows: dict[tuple[str, int], Windows] = {}

    def compute(self, rows: Rows) -> int:
        """Store output rows ``top`` to ``bottom - 1``; return the number of clipped samples."""
        strips = cut(self._mapped.plan.cols.output, footprint_cols(self._mapped.plan))
        return sum(self._store(Region(*rows, *cols)) for cols in strips)

    def _store(self, region: Region) -> int:
        """Store the results of a region; return the number of clipped samples."""
        mapped, channels = self._mapped, self._mapped.source.channels
        height, length = region.bottom - region.top, (region.right - region.left) * channels
        kinds = {"erode": ("min",), "dilate": ("max",), "gradient": ("max", "min")}[self._kind]
        tile, rows, columns = self._load(region)
        is_stored = self._stores and tile.dtype == self._target.dtype
        if is_stored and len(kinds) == 1 and not self._box and tile.dtype.kind == "u":
            stored = self._target.rows(region.top, region.bottom).reshape(-1)[region.left * channels :]
            row_samples, rotated = self._target.row_samples, kinds[0] == "max"
            self._compare(kinds[0], tile, rows, columns, region, stored, row_samples, rotated=rotated)
            return 0
        extremes = [self._extremes(kind, tile, rows, columns, region) for kind in kinds]
        if is_stored and (len(kinds) == 1 or tile.dtype.kind == "u"):
            out = self._target.rows(region.top, region.bottom)[:, region.left : region.right]
            shaped = [each.reshape(out.shape) for each in extremes]
            if len(kinds) == 1:
                out[:] = shaped[0]
                return 0
            return _store_saturated(shaped[0], shaped[1], out)
        sums = self._scratch.get("sums", height * length)[: height * length]
        sums[:] = extremes[0].reshape(-1)
        if len(kinds) == 1:
            calls = self._epilogue.calls(self._scratch, region, sums, length)
            return sum(call() for call in calls)
        values = [each.reshape(height, -1, channels).astype(np.float64) for each in extremes]
        return _store_difference(mapped, self._epilogue, region, values[0], values[1])

    def _load(self, region: Region) -> tuple[Samples, int, Columns]:
        mapped, axis = self._mapped, self._mapped.plan.rows
        rows = mapped.row_index[region.top * axis.stride : (region.bottom - 1) * axis.stride + axis.span + 1]
        cols = mapped.plan.cols
        first, last = region.left * cols.stride, (region.right - 1) * cols.stride + 1
        columns = columns_for(replace(cols, stride=1), mapped.col_index, first, last)
        tile, _ = loaded_tile(mapped.source, self._scratch, self._dtype, rows, columns)
        return tile, rows.size, columns

    def _extremes(self, kind: str, tile: Samples, rows: int, columns: Columns, region: Region) -> Samples:
        """Return the extremes of a region, as flat rows."""
        if self._box:
            return self._of_box(kind, tile, rows, columns, region)
        size = rows * columns.count * self._mapped.source.channels
        if tile.dtype.kind == "u":
            return self._under(kind, tile, rows, columns, region)
        samples, whole = tile[:size], np.dtype(f"i{tile.dtype.itemsize}")
        nan = np.isnan(samples)
        if nan.any():
            samples[nan] = np.nan  # a negative NaN, too, must be larger than all numbers
        keys = self._scratch.get("keys", tile.size, whole)
        keys[:size] = samples.view(whole)
        flip_negatives(keys[:size])
        extremes = self._under(kind, keys, rows, columns, region).copy()
        if kind == "min" and nan.any():  # a NaN under the footprint makes the result NaN
            largest = self._under("max", keys, rows, columns, region, rotated=False)
            flip_negatives(largest)
            is_nan = np.isnan(largest.view(tile.dtype))
            flip_negatives(extremes)
            extremes.view(tile.dtype)[is_nan] = np.nan
        else:
            flip_negatives(extremes)
        return extremes.view(tile.dtype)

    def _of_box(self, kind: str, tile: Samples, rows: int, columns: Columns, region: Region) -> Samples:
        plan, channels = self._mapped.plan, self._mapped.source.channels
        height, width = region.bottom - region.top, region.right - region.left
        if (kind, width) not in self._windows:
            cols = replace(plan.cols, input=columns.count, before=0, after=0)
            self._windows[kind, width] = Windows(kind, plan.rows, cols, channels, tile.dtype)
        out = self._scratch.get(kind, height * width * channels, tile.dtype)[: height * width * channels]
        pitch = columns.count * channels
        self._windows[kind, width].write(tile, np.arange(rows), height, out, 0, width * channels, pitch)
        return out

    def _under(
        self, kind: str, keys: Samples, rows: int, columns: Columns, region: Region, *, rotated: bool | None = None
    ) -> Samples:
        channels = self._mapped.source.channels
        height, length = region.bottom - region.top, (region.right - region.left) * channels
        out = self._scratch.get(f"{kind} under", height * length + TAIL, keys.dtype)
        rotated = kind == "max" if rotated is None else rotated
        self._compare(kind, keys, rows, columns, region, out, length, rotated=rotated)
        return out[: height * length]

    def _compare(
        self, kind: str, keys: Samples, rows: int, columns: Columns, region: Region, out: Samples, out_pitch: int,
        *, rotated: bool,
    ) -> None:  # fmt: skip
        """Write the extremes of a region into rows of ``out``, ``out_pitch`` samples apart."""
        plan, channels = self._mapped.plan, self._mapped.source.channels
        height, cols = region.bottom - region.top, region.right - region.left
        nested = self._nested(rotated)
        panel = 0 if nested is None else (rows * nested[1].size | 1) * (vector_bytes() // keys.itemsize)
        strip = _strip_of(panel * keys.itemsize) if plan.cols.stride == 1 else 0
        length, pitch, reach = cols * channels, columns.count * channels, plan.cols.dilation * channels
        if nested is not None and strip > 0:
            taps, ends, run_rows, numbers = nested
            panels = self._scratch.get("panels", strip * panel, keys.dtype)
            places = run_rows * plan.rows.dilation * ends.size + numbers
            loop = LEAST_OF_NESTED if kind == "min" else LARGEST_OF_NESTED
            loop.variant(M=keys.dtype)(
                keys, pitch, rows, plan.rows.stride, height, taps * reach, ends, ends.size, places, places.size,
                strip, panels, panel, out, length, out_pitch,
            )  # fmt: skip
            return
        limits = np.iinfo(keys.dtype)
        for row in range(height):
            out[row * out_pitch : row * out_pitch + length] = limits.max if kind == "min" else limits.min
        lengths, starts, run_rows, run_cols = self._runs(rotated)
        line = self._scratch.get("line", pitch + int(lengths[-1]) * reach + TAIL, keys.dtype)
        loop = LEAST_UNDER if kind == "min" else LARGEST_UNDER
        loop.variant(M=keys.dtype)(
            keys, pitch, rows, plan.rows.stride, height, lengths, starts, lengths.size, run_rows, run_cols, reach,
            plan.cols.stride, channels, cols, line, pitch, out, out_pitch,
        )  # fmt: skip

    def _nested(self, rotated: bool) -> tuple[Indices, Indices, Indices, Indices] | None:
        """Return the nested rows of a footprint, or None; cached."""
        if rotated not in self._nested_rows:
            self._nested_rows[rotated] = _nested_of(cells_of(self._mapped.plan, rotated=rotated))
        return self._nested_rows[rotated]

    def _runs(self, rotated: bool) -> tuple[Indices, Indices, Indices, Indices]:
        """Return the runs of a footprint as arguments of the loop; cached."""
        if rotated not in self._run_tables:
            plan = self._mapped.plan
            lengths, starts, rows, cols = _runs_of(cells_of(plan, rotated=rotated))
            reach = plan.cols.dilation * self._mapped.source.channels
            self._run_tables[rotated] = lengths, starts, rows * plan.rows.dilation, cols * reach
        return self._run_tables[rotated]


def _strip_of(panel_bytes: int) -> int:
    """Return the number of panels of a strip: 0 if a footprint's rows are not nested, or panels do not fit a cache."""
    panels = min(PANELS_BYTES // panel_bytes, _MOST_PANELS) if panel_bytes else 0
    return panels // _PANELS_AT_ONCE * _PANELS_AT_ONCE


def _nested_of(cells: Samples) -> tuple[Indices, Indices, Indices, Indices] | None:
    """Return the nested rows of a footprint: each row has all taps of the rows with fewer. None if rows are not nested.

    Returns
    -------
    taps : int array
        Columns of the taps, ordered so that each row has the first few.
    ends : int array
        Number of taps of each different row, rising.
    rows, numbers : int arrays
        For each row with taps: its place in the footprint, and its number among the different rows.
    """
    rows = np.flatnonzero(cells.any(axis=1))
    different = np.unique(cells[rows], axis=0)
    ends = np.sort(different.sum(axis=1))
    different = different[np.argsort(different.sum(axis=1))]
    if (different[:-1] & ~different[1:]).any():
        return None
    taps = np.argsort(-different.sum(axis=0), kind="stable")[: ends[-1]]
    return taps, ends, rows, np.searchsorted(ends, cells[rows].sum(axis=1))


def _runs_of(cells: Samples) -> tuple[Indices, Indices, Indices, Indices]:
    """Return the runs of a footprint, sorted by length.

    Returns
    -------
    lengths : int array
        The different lengths.
    starts : int array
        Index of the first run of each length, and the number of runs.
    rows, cols : int arrays
        Place of the first tap of each run.
    """
    runs = []
    for row, inside in enumerate(cells):
        edges = np.flatnonzero(np.diff(np.concatenate([[0], inside.astype(np.int8), [0]])))
        runs += [(int(end - start), row, int(start)) for start, end in edges.reshape(-1, 2)]
    runs.sort()
    counts = {length: len([*some]) for length, some in groupby(runs, key=lambda run: run[0])}
    lengths, rows, cols = (np.array(each, np.int64) for each in (list(counts), *list(zip(*runs, strict=True))[1:]))
    return lengths, np.cumsum([0, *counts.values()]), rows, cols


class _Residue(StageNode):
    """The difference of the picture from its opening or closing."""

    def demand(self, top: int, bottom: int, number: int = 0) -> Indices:
        """Return the same rows of the opened picture, and the original's rows at their centres."""
        if number == 0:
            return np.arange(top, bottom)
        axis = self.plan.rows
        return self._row_index[top * axis.stride + axis.centre : (bottom - 1) * axis.stride + axis.centre + 1]

    def crew(self, sources: Sequence[LineBuffer], target: LineBuffer, threads: int) -> Crew:
        """Return workers."""
        smoothed, picture = sources
        mapped = self.mapped(picture)
        epilogue = self.epilogue(mapped, target)
        operator = self.plan.stage.operator
        assert isinstance(operator, Morphology)
        is_tophat = operator.kind == "tophat"
        places = self._centre_places(mapped) if self._stores_integers(mapped, smoothed, target) else None
        centres = mapped.centres()

        def subtract(rows: Rows) -> int:
            original, opened = picture.slot.array[centres[slice(*rows)]], smoothed.rows(*rows)
            if places is not None and places.size:
                original = original[:, places]
            high, low = (original, opened) if is_tophat else (opened, original)
            return _store_saturated(high, low, target.rows(*rows))

        def make() -> Any:
            if places is not None:
                return subtract
            scratch = Scratch(np.float64)

            def compute(rows: Rows) -> int:
                region = Region(*rows, 0, self.plan.cols.output)
                original, opened = _centre(mapped, scratch, region), smoothed.rows(*rows).astype(np.float64)
                if mapped.source.gray:
                    opened *= LUMINANCE_DIVISOR
                high, low = (original, opened) if is_tophat else (opened, original)
                return _store_difference(mapped, epilogue, region, high, low, straight=not mapped.source.premultiplied)

            return compute

        return Workers(make, self.scratch_bytes)

    def _stores_integers(self, mapped: MappedStage, smoothed: LineBuffer, target: LineBuffer) -> bool:
        """Whether both pictures and their difference are integers of one type, without alpha, luminance and scale."""
        is_of_one_type = smoothed.dtype == target.dtype and target.dtype.kind == "u"
        has_samples = bool((mapped.centres() >= 0).all()) and bool((_centre_columns(mapped) >= 0).all())
        return is_of_one_type and mapped.stores_samples(target.dtype) and self.stage.ranges is None and has_samples

    @staticmethod
    def _centre_places(mapped: MappedStage) -> Indices:
        """Return the columns at the centres of outputs; none if these are all columns in order."""
        columns, count = _centre_columns(mapped), mapped.plan.cols.input
        is_whole = columns.size == count and bool((columns == np.arange(count)).all())
        return columns[:0] if is_whole else columns


def _store_saturated(high: Samples, low: Samples, out: Samples) -> int:
    """Store the difference of integers, and 0 where it is negative; return the number of negative differences."""
    np.maximum(high, low, out=out)
    clipped = int(np.count_nonzero(out != high))
    out -= low
    return clipped


def _centre_columns(mapped: MappedStage) -> Indices:
    cols = mapped.plan.cols
    columns: Indices = mapped.col_index[np.arange(cols.output) * cols.stride + cols.centre]
    return columns


def _centre(mapped: MappedStage, scratch: Scratch, region: Region) -> Samples:
    """Return the picture's stored samples at the centres of outputs."""
    cols, places = mapped.plan.cols, _centre_columns(mapped)
    columns = Columns(np.ascontiguousarray(places), 0, 0, places[:0])
    source = replace(mapped.source, alpha=False)
    rows = mapped.centres()[region.top : region.bottom]
    tile, pitch = source.load(scratch, "centre", rows, columns)
    centre: Samples = tile[: rows.size * pitch].reshape(rows.size, cols.output, -1).copy()
    return centre


def _store_difference(
    mapped: MappedStage, epilogue: Epilogue, region: Region, high: Samples, low: Samples, *, straight: bool = False
) -> int:
    """Store the difference of two extremes; alpha is that of the centre pixels.

    The difference is that of straight colours: premultiplied ones are divided by alpha first, unless they are
    ``straight`` already. Where pictures are stored premultiplied, the result is multiplied by the alpha of the centre.
    """
    source = mapped.source
    alpha = None
    if source.alpha:
        if not straight:
            scale = source.full * (LUMINANCE_DIVISOR if source.gray else 1)
            for values in (high, low):
                opacity = values[..., -1:].copy()
                values[...] = np.divide(values * scale, opacity, out=np.zeros_like(values), where=opacity > 0)
        alpha = central_alpha(mapped, region.top, region.bottom)[:, region.left : region.right]
    with np.errstate(invalid="ignore"):
        values = high - low
    if alpha is not None and source.premultiplied:
        values *= alpha[..., np.newaxis] / source.full
    return epilogue.store_values(region, values, alpha)
