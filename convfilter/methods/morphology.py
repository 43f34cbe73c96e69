"""Erosion, dilation and their compositions: extremes under footprints of any shape.

Rectangles use the loop of pooling (``loops/pooling.py``). Other footprints are runs of consecutive taps
(``loops/footprint_runs.py``), or nested rows in panels (``loops/footprint_panels.py``). Real samples are compared by
their bit patterns, which have the order of the numbers. With alpha, premultiplied colours are compared, as in pooling.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from convfilter.engine.borders import Indices
from convfilter.engine.buffer import LineBuffer, Samples, Scratch
from convfilter.engine.epilogue import Epilogue
from convfilter.engine.layout import Columns, columns_for
from convfilter.engine.mapped_stage import MappedStage, Region
from convfilter.engine.node import Crew, Node, Rows, StageNode, StageSetup
from convfilter.engine.threads import cut
from convfilter.engine.workers import Workers
from convfilter.filters.operators import Morphology
from convfilter.loops.vectors import vector_bytes
from convfilter.methods.extremes import Windows
from convfilter.methods.footprint_layout import nested_of, runs_of, strip_panels
from convfilter.methods.rank_tiles import TAIL, loaded_tile
from convfilter.methods.residues import Residue, erosion_and_dilation, store_difference, store_whole
from convfilter.native.loop import Loop
from convfilter.planning.methods.morphology import cells_of, footprint_cols, is_composite
from convfilter.record import replace

_SIGNATURE = "M* i8 i8 i8 i8 i8* i8* i8 i8* i8* i8 i8 i8 i8 M* i8 M* i8"
LARGEST_UNDER = Loop("footprint_runs", "largest_under", _SIGNATURE)
LEAST_UNDER = Loop("footprint_runs", "least_under", _SIGNATURE)
_NESTED = "M* i8 i8 i8 i8 i8* i8* i8 i8* i8 i8 M* i8 M* i8 i8"
LARGEST_OF_NESTED = Loop("footprint_panels", "largest_of_nested", _NESTED)
LEAST_OF_NESTED = Loop("footprint_panels", "least_of_nested", _NESTED)


def nodes(stage: StageSetup) -> list[Node]:
    """Return the nodes of a stage."""
    operator = stage.plan.stage.operator
    assert isinstance(operator, Morphology)
    if not is_composite(operator):
        return [_Extremes(stage)]
    both: list[Node] = [_Extremes(each) for each in erosion_and_dilation(stage)]
    residue = Residue(stage)
    residue.reads = (1, len(both) + 1)  # the opened or closed picture, and the original
    return [*both, residue]


class _Extremes(StageNode):
    """Extremes of samples under a footprint, or the difference of largest and least."""

    def crew(self, sources: Sequence[LineBuffer], target: LineBuffer, threads: int) -> Crew:
        """Return workers."""
        mapped = self.stage.mapped(sources[0])
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
            return store_whole(shaped[0], shaped[1], out, magnitude=mapped.plan.stage.map == "abs")
        sums = self._scratch.get("sums", height * length)[: height * length]
        sums[:] = extremes[0].reshape(-1)
        if len(kinds) == 1:
            calls = self._epilogue.calls(self._scratch, region, sums, length)
            return sum(call() for call in calls)
        values = [each.reshape(height, -1, channels).astype(np.float64) for each in extremes]
        return store_difference(mapped, self._epilogue, region, values[0], values[1])

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
        _flip_negatives(keys[:size])
        extremes = self._under(kind, keys, rows, columns, region).copy()
        if kind == "min" and nan.any():  # a NaN under the footprint makes the result NaN
            largest = self._under("max", keys, rows, columns, region, rotated=False)
            _flip_negatives(largest)
            is_nan = np.isnan(largest.view(tile.dtype))
            _flip_negatives(extremes)
            extremes.view(tile.dtype)[is_nan] = np.nan
        else:
            _flip_negatives(extremes)
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
        strip = strip_panels(panel * keys.itemsize) if plan.cols.stride == 1 else 0
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
            self._nested_rows[rotated] = nested_of(cells_of(self._mapped.plan, rotated=rotated))
        return self._nested_rows[rotated]

    def _runs(self, rotated: bool) -> tuple[Indices, Indices, Indices, Indices]:
        """Return the runs of a footprint as arguments of the loop; cached."""
        if rotated not in self._run_tables:
            plan = self._mapped.plan
            lengths, starts, rows, cols = runs_of(cells_of(plan, rotated=rotated))
            reach = plan.cols.dilation * self._mapped.source.channels
            self._run_tables[rotated] = lengths, starts, rows * plan.rows.dilation, cols * reach
        return self._run_tables[rotated]


def _flip_negatives(keys: Samples) -> None:
    """Convert bit patterns of real samples to integers in the order of the samples, in place; its own inverse."""
    whole = keys.view(f"i{keys.dtype.itemsize}")
    whole ^= (whole >> (8 * whole.itemsize - 1)) & np.iinfo(whole.dtype).max
