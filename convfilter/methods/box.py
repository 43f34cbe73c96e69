"""Means over rectangles by running sums, whose cost does not grow with the window: box blurs and average pooling.

One loop reads source rows of integer samples and writes output rows. With alpha or luminance, running sums pass over
loaded tiles of real samples instead; these sums are integers too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any

import numpy as np

from convfilter.engine.borders import DilationPhase, Indices, dilation_phases
from convfilter.engine.buffer import CACHE_LINE, LineBuffer, Samples, Scratch, aligned_array
from convfilter.engine.epilogue import Epilogue
from convfilter.engine.layout import Columns, columns_for
from convfilter.engine.mapped_stage import MappedStage, Region
from convfilter.engine.node import Crew, Node, StageNode, StageSetup
from convfilter.engine.program import Call, Counting, Moving
from convfilter.engine.strips import Strip, step_programs, whole_rows
from convfilter.engine.sums import StepOutput, Taps, sum_calls
from convfilter.engine.workers import TileWorker, Workers
from convfilter.filters.operators import Pooling
from convfilter.native.loop import Loop
from convfilter.planning import StagePlan, counted_cells
from convfilter.planning.methods.box import PASS_ROWS, PASS_SAMPLES
from convfilter.planning.methods.extremes import LARGEST_SUM
from convfilter.record import replace
from convfilter.sample_types import full_scale, is_wide

_SOURCE = "{S}* i8 i8* i8 i8 i8 i8* {W}* i8 i8* i8 i8 i8 i8 i8 i8 {W}* i4* i4* i8"
_MEANS = _SOURCE + " {R}* {R}* i8 i8 i8 i8 {S}* i8 i8 i8"
_SUMS = _SOURCE + " A* i8 i8 i8"
MEAN_ROWS = Loop("box", "mean_rows", _MEANS.format(S="u1", W="u2", R="f4"))
MEAN_ROWS_WIDE = Loop("box", "mean_rows_wide", _MEANS.format(S="S", W="i4", R="f8"))
SUM_ROWS = Loop("box", "sum_rows", _SUMS.format(S="u1", W="u2"))
SUM_ROWS_WIDE = Loop("box", "sum_rows", _SUMS.format(S="S", W="i4"))
RUN_DOWN = Loop("running_sums", "run_down", "A* A* A* i8 i8 i8 A* i8 i8")
RUN_RIGHT = Loop("running_sums", "run_right", "A* i8 i8 i8 i8 i8 A* i8 i8")

#: Largest column sum in 16 bits.
_NARROW_SUM = 2**16 - 1
#: Largest sum that float32 holds exactly.
_SINGLE_WHOLE = 2**24
#: A float32 quotient of at most 255 and a divisor below this is a tie only if the exact quotient is one.
_SINGLE_DIVISOR = 2**16
#: A mean of bytes over an odd area below this is never a tie, and is far enough from one for a float32 factor.
_SINGLE_FACTOR = 2**14
#: Widest window, in columns, that is summed tap by tap, in the type of the column sums.
_MOST_COL_TAPS = 3
#: The same for means that are sums of 16 bits times a whole factor. At 15 columns they take 0.8 of the time of running
#: sums, and windows of a larger odd area have larger sums.
_MOST_NARROW_TAPS = 15
#: Least output rows of a step: if means are stored directly, and if sums go through an epilogue in cache.
_MEAN_ROWS, _SUM_ROWS = 16, 4


def nodes(stage: StageSetup) -> list[Node]:
    """Return the node of a stage."""
    return [StoredSums(stage) if sums_samples(stage) else TileSums(stage)]


def sums_samples(stage: StageSetup) -> bool:
    """Whether source samples are summed as they are stored: integers without alpha or luminance."""
    plan, source = stage.plan, stage.source
    whole = source.pads_with_samples and (source.masked or not source.alpha) and not source.gray
    whole = whole and not is_wide(source.dtype) and not is_wide(stage.dtype)
    return whole and _area(plan) * full_scale(source.dtype) <= LARGEST_SUM


class StoredSums(StageNode):
    """Sums of integer samples as they are stored, from source rows to output rows."""

    def __init__(self, stage: StageSetup) -> None:
        super().__init__(stage)
        # The rows that leave the window at a block's first step belong to the windows above.
        self._above = next(dilation_phases(self.plan.rows, 1)).spacing
        step = step_rows(self._above)[0]
        self.block_rows = -(-self.block_rows // step) * step

    def demand(self, top: int, bottom: int, number: int = 0) -> Indices:
        """Return the rows of some windows and of the windows above them."""
        return super().demand(max(0, top - self._above), bottom, number)

    def crew(self, sources: Sequence[LineBuffer], target: LineBuffer, threads: int) -> Crew:
        """Return strips as wide as the picture."""
        mapped = self.stage.mapped(sources[0])
        pools = isinstance(self.plan.stage.operator, Pooling)
        is_mean = pools or self.plan.kernel.divisor == _area(self.plan)
        if is_mean and target.dtype.kind == "u" and mapped.stores_samples(target.dtype) and self.stage.ranges is None:
            return whole_rows(lambda: _StripOfSums(mapped).means(target), threads)
        return whole_rows(lambda: _StripOfSums(mapped).sums(self.epilogue(mapped, target), target), threads)


def step_rows(spacing: int) -> tuple[int, int]:
    """Return the rows of a step: if means are stored directly, and if sums go through an epilogue.

    A step has equally many rows of each of the ``spacing`` dilation phases.
    """
    sums = -(-_SUM_ROWS // spacing) * spacing
    return -(-_MEAN_ROWS // sums) * sums, sums


class _StripOfSums:
    """Memory and programs of a strip of integer sums."""

    def __init__(self, mapped: MappedStage) -> None:
        self._mapped, plan, source = mapped, mapped.plan, mapped.source
        rows, cols, channels = plan.rows, plan.cols, source.channels
        self._width, self._pitch = cols.input * channels, cols.output * channels
        self._spacing = next(dilation_phases(rows, 1)).spacing
        taps = rows.kernel * (cols.kernel if cols.kernel <= _MOST_COL_TAPS else 1)
        self._narrow = source.dtype == np.uint8 and taps * full_scale(source.dtype) <= _NARROW_SUM
        places = max(cols.padded * channels, cols.before * channels + self._width)
        kind = np.uint16 if self._narrow else np.int32
        pitch = places + -places % CACHE_LINE
        # Means of few columns are stored two rows at a time.
        rows_at_once = 2 if self._narrow else 1
        self._lines = aligned_array(self._spacing * rows_at_once * pitch, kind).reshape(self._spacing, -1)
        self._scratch = (
            aligned_array(cols.padded * channels, kind),
            aligned_array((cols.padded + cols.dilation) * channels, np.int32),
            aligned_array(self._pitch, np.int32),
        )
        self._state = np.zeros(self._spacing, np.int64)

    def means(self, target: LineBuffer) -> Strip:
        """Return the strip that stores means as samples of the source's type."""
        plan, dtype = self._mapped.plan, self._mapped.source.dtype
        single = _area(plan) * full_scale(dtype) <= _SINGLE_WHOLE and _area(plan) < _SINGLE_DIVISOR
        narrow = self._narrow and single
        if not narrow and self._lines.dtype == np.uint16:
            self._lines = self._lines.astype(np.int32)
            self._scratch = (self._scratch[0].astype(np.int32), *self._scratch[1:])
        loop = MEAN_ROWS.variant() if narrow else MEAN_ROWS_WIDE.variant(S=dtype)
        down, along, divide = _divisors(plan, np.float32 if narrow else np.float64)
        in_integers = narrow and not divide and plan.cols.stride == 1 and plan.cols.kernel <= _MOST_NARROW_TAPS
        half, (factor, rest) = _area(plan) // 2, _integer_factors(_area(plan)) if in_integers else (0, 0)
        steps = step_rows(self._spacing)[0]

        def calls(rows: int) -> list[Call]:
            result = []
            for number, phase in enumerate(dilation_phases(plan.rows, rows)):
                place = target.slot, *_start(phase, target.row_samples, steps)
                factors = Moving(np.ascontiguousarray(down[phase.first :: phase.spacing]), 0, steps // phase.spacing)
                numbers = factors, along, int(divide), half, factor, rest
                result.append(Call(loop, (*self._window(phase, number, steps), *numbers, *place, phase.outputs)))
            return result

        return self._strip(target, calls, steps)

    def sums(self, epilogue: Epilogue, target: LineBuffer) -> Strip:
        """Return the strip whose sums go through an epilogue."""
        mapped = self._mapped
        scratch = Scratch(mapped.plan.precision)
        types: dict[str, Any] = {"A": scratch.dtype}
        loop = SUM_ROWS.variant(**types) if self._narrow else SUM_ROWS_WIDE.variant(S=mapped.source.dtype, **types)
        steps, pitch = step_rows(self._spacing)[1], self._pitch
        sums = scratch.get("sums", steps * pitch)

        def calls(rows: int) -> list[Call]:
            sum_calls = []
            for number, phase in enumerate(dilation_phases(mapped.plan.rows, rows)):
                place = sums, phase.first * pitch, phase.spacing * pitch, phase.outputs
                sum_calls.append(Call(loop, (*self._window(phase, number, steps), *place)))
            region = Region(0, rows, 0, mapped.plan.cols.output)
            return [*sum_calls, *epilogue.calls(scratch, region, sums, pitch, steps)]

        return self._strip(target, calls, steps)

    def _window(self, phase: DilationPhase, number: int, step_rows: int) -> tuple[Any, ...]:
        """Return the arguments of the loop that describe the window."""
        mapped, rows, cols = self._mapped, self._mapped.plan.rows, self._mapped.plan.cols
        lead = np.arange(-phase.step, 0) * rows.dilation + phase.places[0]
        steps = -(-rows.output // step_rows)
        places = np.append(lead, phase.places) + np.arange(steps)[:, np.newaxis] * (step_rows * rows.stride)
        table = np.ascontiguousarray(mapped.row_index[np.clip(places, 0, mapped.row_index.size - 1)])
        return (
            mapped.source.slot, self._width, Moving(table.reshape(-1), 0, table.shape[1]), rows.kernel, phase.step,
            int(mapped.source.padding_value), self._state[number : number + 1], self._lines[number], self._width,
            mapped.col_index, cols.padded, cols.before, mapped.source.channels,
            cols.kernel, cols.dilation, cols.stride, *self._scratch, cols.output,
        )  # fmt: skip

    def _strip(self, target: LineBuffer, calls: Callable[[int], list[Call]], step_rows: int) -> Strip:
        programs = step_programs(self._mapped.plan.rows.output, calls, step_rows)
        return Strip(target, programs, state=self._state)


def _start(phase: DilationPhase, pitch: int, step_rows: int) -> tuple[Counting, int]:
    """Return the place of a phase's first row in each step, and the distance of its rows."""
    return Counting(phase.first * pitch, step_rows * pitch), phase.spacing * pitch


def _area(plan: StagePlan) -> int:
    return plan.rows.kernel * plan.cols.kernel


@cache
def _integer_factors(area: int) -> tuple[int, int]:
    """Return (factor, rest) for which ``(sum + area // 2) * factor >> 16`` is the mean of bytes.

    If ``rest`` is not 0, that times ``rest >> 16`` is. Both are 0 if no factors are.
    """
    sums = np.arange(np.iinfo(np.uint8).max * area + 1)
    if sums[-1] + area // 2 > _NARROW_SUM:
        return 0, 0
    means = np.rint(sums / area)
    for shift in range(area.bit_length()):
        factor = 2 ** (16 + shift) // area + 1
        if factor <= _NARROW_SUM and np.array_equal((sums + area // 2) * factor >> 16 + shift, means):
            return factor, 2 ** (16 - shift) if shift else 0
    return 0, 0


def _divisors(plan: StagePlan, real: type[np.floating]) -> tuple[Samples, Samples, bool]:
    """Return factors of rows and columns, and whether to divide by both or to multiply by the first.

    Windows of one area without ties are multiplied by its reciprocal.
    """
    rows, cols, area = plan.rows, plan.cols, _area(plan)
    down, along = np.full(rows.output, rows.kernel), np.full(cols.output, cols.kernel)
    if isinstance(plan.stage.operator, Pooling):
        down, along = (counted_cells(axis, plan.stage.operator) for axis in (rows, cols))
    without_ties = area % 2 == 1 and (real is np.float64 or area < _SINGLE_FACTOR)
    equal_areas = down.min() == rows.kernel and along.min() == cols.kernel
    divide = not (equal_areas and (without_ties or area & (area - 1) == 0))
    factors = down if divide else np.full(rows.output, 1 / area)
    return factors.astype(real), np.repeat(along, plan.channels).astype(real), divide


class TileSums(StageNode):
    """Sums of loaded samples, integers as well: premultiplied colours, and luminance."""

    def crew(self, sources: Sequence[LineBuffer], target: LineBuffer, threads: int) -> Crew:
        """Return workers."""
        mapped = self.stage.mapped(sources[0])
        epilogue = self.epilogue(mapped, target)

        def make() -> TileWorker:
            scratch = Scratch(self.plan.precision)
            columns = unordered_columns(mapped)
            return TileWorker(lambda *rows: _running_sums(mapped, scratch, columns, *rows), epilogue, scratch)

        return Workers(make, self.scratch_bytes)


def _running_sums(
    mapped: MappedStage, scratch: Scratch, columns: Columns, top: int, bottom: int
) -> Iterator[tuple[Region, Samples, int]]:
    rows_axis, cols_axis, channels = mapped.plan.rows, mapped.plan.cols, mapped.source.channels
    run_down, run_right = RUN_DOWN.variant(A=scratch.dtype), RUN_RIGHT.variant(A=scratch.dtype)
    pitch = columns.count * channels
    length = cols_axis.output * channels
    step = max(1, min(PASS_ROWS, PASS_SAMPLES // pitch) // rows_axis.stride)
    total = _first_window(mapped, scratch, columns, top)
    for first in range(top, bottom, step):
        last = min(first + step, bottom)
        between = scratch.get("between", (last - first) * pitch)
        moved = last - first
        if first == top:
            between[:pitch] = total[:pitch]
            moved -= 1
        if moved:
            leaving_rows = np.arange((last - moved - 1) * rows_axis.stride, (last - 1) * rows_axis.stride)
            leaving, _ = mapped.source.load(scratch, "leaving", mapped.row_index[leaving_rows], columns)
            entering, _ = mapped.source.load(
                scratch, "tile", mapped.row_index[leaving_rows + rows_axis.kernel], columns
            )
            below = between[(last - first - moved) * pitch :]
            run_down(total, entering, leaving, pitch, moved, rows_axis.stride, below, pitch, pitch)
        sums = scratch.get("sums", (last - first) * length)
        run_right(
            between, pitch, last - first, cols_axis.kernel, cols_axis.stride, channels, sums, length, cols_axis.output
        )
        yield Region(first, last, 0, cols_axis.output), sums, length


def unordered_columns(mapped: MappedStage) -> Columns:
    """Lay out all columns in source order: running sums pass over all columns, whatever the stride."""
    axis = replace(mapped.plan.cols, stride=1)
    return columns_for(axis, mapped.col_index, 0, mapped.plan.cols.padded - mapped.plan.cols.span)


def _first_window(mapped: MappedStage, scratch: Scratch, columns: Columns, top: int) -> Samples:
    """Sum the rows of the window of output row ``top``."""
    length = columns.count * mapped.source.channels
    total = scratch.get("total", length)
    total[:length] = 0
    start = top * mapped.plan.rows.stride
    step = max(1, min(PASS_ROWS, PASS_SAMPLES // length))
    for first in range(start, start + mapped.plan.rows.kernel, step):
        rows = mapped.row_index[first : min(first + step, start + mapped.plan.rows.kernel)]
        tile, pitch = mapped.source.load(scratch, "tile", rows, columns)
        table = np.arange(rows.size).reshape(1, 1, -1) * pitch
        for call in sum_calls(tile, table, Taps.down(np.ones(rows.size)), StepOutput(total, length, length), add=True):
            call()
    return total
