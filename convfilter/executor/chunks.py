"""A rectangle (chunk) of a stage's result, with the same bits as in the whole result.

Chunks begin and end on the grid that the stage's method declares. Padding at the border is computed here, from the
geometry of the whole picture.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from convfilter.engine.borders import Indices, index_map
from convfilter.engine.buffer import Samples
from convfilter.engine.masked import Masked
from convfilter.executor.run import run_stage, run_stage_to
from convfilter.filters.operators import Guided, Orientation
from convfilter.planning import AxisPlan, Plan, StagePlan
from convfilter.planning.derived_cache import DerivedCache
from convfilter.planning.method import Reach, window_reach
from convfilter.planning.methods import chosen_method, grid_of
from convfilter.record import record, replace

#: Modes whose padding depends on the border row only: a chunk at the border is padded like the whole picture.
_AT_THE_BORDER = ("edge", "constant")


@record
class Side:
    """One axis of a chunk: the source samples that it reads, and its geometry on them.

    Attributes
    ----------
    ranges : tuple of (start, stop)
        Ranges of source samples, rising; several if the padding comes from the far side.
    selected : array of int, or None
        Their order in the padded axis, as indices through all ranges;
        None: all, in order.
    axis : AxisPlan
        Geometry on those samples; cropped samples count as negative padding.
    outputs : int
        Wanted outputs; those computed past them are dropped.
    dropped : int
        Outputs before the wanted ones, which are dropped, too.
    """

    ranges: tuple[tuple[int, int], ...]
    selected: Indices | None
    axis: AxisPlan
    outputs: int
    dropped: int = 0


def whole_side(axis: AxisPlan) -> Side:
    """Return an axis that is not split."""
    return Side(((0, axis.input),), None, axis, axis.output)


def side_of(axis: AxisPlan, mode: str, first: int, last: int, end: int, reach: Reach) -> Side:
    """Return the source samples of outputs ``first`` to ``last - 1``, computed together with those up to ``end - 1``.

    Parameters
    ----------
    axis : AxisPlan
        Of the whole picture.
    mode : str
        Padding mode.
    reach : Reach
        Of the computed outputs.
    """
    if axis.inserted:
        return _spaced_side(axis, first, last, end)
    window, stop, step = first * axis.stride - axis.before, reach.stop, reach.step
    begin = reach.begin // step * step
    selected = None
    if mode in _AT_THE_BORDER or (begin >= 0 and stop <= axis.input):
        low, high = (min(max(place, 0), axis.input - 1) for place in (begin, stop - 1))
        low = low // step * step
        ranges: tuple[tuple[int, int], ...] = ((low, high + 1),)
        before, length = low - window, high + 1 - low
    else:
        ranges, selected = _ranges(index_map(axis.input, -begin, stop - begin, mode))
        before, length = begin - window, stop - begin
    after = (end - first - 1) * axis.stride + axis.span + 1 - length - before
    beyond = min(max(0, stop - (axis.input + axis.after - axis.beyond)), max(0, after)) if axis.beyond else 0
    local = AxisPlan(length, axis.kernel, axis.stride, axis.dilation, before, after, beyond)
    return Side(ranges, selected, local, last - first)


def _bordered_side(axis: AxisPlan, first: int, last: int) -> Side:
    """Return the source samples of outputs whose chunk is a separate picture, padded at cuts as at the border.

    A chunk at the border also has all samples that padding repeats there.
    """
    stride, most = axis.stride, axis.span + 1
    start = max(0, first + axis.before // -stride)
    stop = (last - 1) * stride - axis.before + most
    if start == 0:
        stop = max(stop, axis.before + most)
    if stop >= axis.input:
        stop, start = axis.input, min(start, max(0, axis.input - axis.after - most) // stride)
    low = start * stride
    local = replace(axis, input=stop - low, beyond=axis.beyond if stop == axis.input else 0)
    return Side(((low, stop),), None, local, last - first, first - start)


def _spaced_side(axis: AxisPlan, first: int, last: int, end: int) -> Side:
    """Return the source samples of outputs on an axis with inserted zeros; places count from the first sample."""
    begin, stop = first * axis.stride - axis.before, (end - 1) * axis.stride - axis.before + axis.span + 1
    low, high = (min(max(place, 0), axis.input - 1) for place in (-(-begin // axis.step), (stop - 1) // axis.step))
    high = max(low, high)
    before = low * axis.step - begin
    after = stop - begin - before - (high - low) * axis.step - 1
    local = AxisPlan(high + 1 - low, axis.kernel, axis.stride, axis.dilation, before, after, 0, axis.inserted)
    return Side(((low, high + 1),), None, local, last - first)


def _ranges(places: Indices) -> tuple[tuple[tuple[int, int], ...], Indices]:
    """Return the ranges of samples at some places, and the index of each place in them."""
    present = np.unique(places)
    ends = np.flatnonzero(np.diff(present) > 1)
    starts = present[np.append(0, ends + 1)]
    stops = present[np.append(ends, present.size - 1)] + 1
    return tuple(zip(starts.tolist(), stops.tolist(), strict=True)), np.searchsorted(present, places)


@record
class Chunk:
    """A rectangle of one stage's result, with the source samples and the geometry to compute it."""

    rows: Side
    cols: Side


def chunk_of(plan: StagePlan, rows: tuple[int, int], cols: tuple[int, int]) -> Chunk:
    """Return the chunk for a rectangle of the result; its corners lie on the grid or at the result's end.

    Parameters
    ----------
    plan : StagePlan
        For the whole picture.
    rows, cols : (first, last + 1)
        Outputs.
    """
    grid = grid_of(plan)
    if grid.indivisible:
        return Chunk(whole_side(plan.rows), whole_side(plan.cols))
    if grid.has_borders:
        along = _bordered_side(plan.cols, *cols) if grid.cols else whole_side(plan.cols)
        return Chunk(_bordered_side(plan.rows, *rows), along)
    modes = ("edge", "edge") if grid.near_border else plan.padding_modes
    end = min(rows[1] + grid.ahead[0], plan.rows.output)
    down = side_of(plan.rows, modes[0], *rows, end, chosen_method(plan).reach(plan, rows[0], end))
    if not grid.cols:
        return Chunk(down, whole_side(plan.cols))
    end = min(cols[1] + grid.ahead[1], plan.cols.output)
    return Chunk(down, side_of(plan.cols, modes[1], *cols, end, window_reach(plan.cols, cols[0], end)))


def run_chunk(
    plan: Plan, number: int, chunk: Chunk, pixels: Samples | Masked, out_dtype: np.dtype[np.generic], threads: int
) -> tuple[Samples, int]:
    """Compute a chunk of a stage's result.

    Parameters
    ----------
    plan : Plan
        For the whole picture.
    number : int
        Of the stage.
    chunk : Chunk
    pixels : (rows, cols, channels) array, or Masked
        The source rows and columns of the chunk's ranges, side by side.
    out_dtype : dtype
        As for ``run_stage``.
    threads : int

    Returns
    -------
    (rows, cols, channels) array, and int
        The result, and the number of its clipped samples.
    """
    local, pixels = _local(plan, number, chunk, pixels)
    result, clipped = run_stage(local, number, pixels, out_dtype, threads)
    rows, cols = (slice(side.dropped, side.dropped + side.outputs) for side in (chunk.rows, chunk.cols))
    return result[rows, cols], clipped


def run_chunk_to(plan: Plan, number: int, chunk: Chunk, pixels: Samples | Masked, result: Samples, threads: int) -> int:
    """Compute a chunk as :func:`run_chunk` does, into a contiguous array; returns how many samples were clipped."""
    if (chunk.rows.axis.output, chunk.cols.axis.output) == result.shape[:2]:
        local, pixels = _local(plan, number, chunk, pixels)
        return run_stage_to(local, number, pixels, result, threads)
    result[:], clipped = run_chunk(plan, number, chunk, pixels, result.dtype, threads)
    return clipped


def _local(plan: Plan, number: int, chunk: Chunk, pixels: Samples | Masked) -> tuple[Plan, Samples | Masked]:
    """Return the plan and the source samples of a chunk."""
    for axis, side in enumerate((chunk.rows, chunk.cols)):
        if side.selected is not None:
            pixels = (
                pixels.taken(side.selected, axis)
                if isinstance(pixels, Masked)
                else np.take(pixels, side.selected, axis=axis)
            )
    stage = _stage_of(plan.stages[number], chunk)
    local = replace(plan, stages=(*plan.stages[:number], stage, *plan.stages[number + 1 :]))
    return local, pixels.contiguous() if isinstance(pixels, Masked) else np.ascontiguousarray(pixels)


#: Plans of chunks, by their axes; few chunks of a grid differ.
_plans = DerivedCache[StagePlan](32)


def _stage_of(whole: StagePlan, chunk: Chunk) -> StagePlan:
    """Return the plan of a chunk, shared by equal chunks so that they find the same executable."""
    operator = whole.stage.operator
    if isinstance(operator, Guided) and isinstance(operator.guide, np.ndarray):
        guide = np.concatenate([operator.guide[start:stop] for start, stop in chunk.rows.ranges])
        stage = replace(whole.stage, operator=replace(operator, guide=guide))
        return replace(whole, stage=stage, rows=chunk.rows.axis, cols=chunk.cols.axis)

    def planned() -> StagePlan:
        stage = replace(whole, rows=chunk.rows.axis, cols=chunk.cols.axis)
        if isinstance(stage.stage.operator, Orientation):  # its derivatives are planned by themselves
            padding = (stage.rows.before, stage.rows.after, stage.cols.before, stage.cols.after)
            stage = replace(stage, stage=replace(stage.stage, padding=padding, ceil=False))
        return stage

    return _plans.get(whole, (chunk.rows.axis, chunk.cols.axis), planned)


def boundaries(axis: AxisPlan, step: int, wanted: Sequence[int]) -> tuple[int, ...]:
    """Choose where to split the outputs of one axis: on the grid, near the splits of the source.

    Parameters
    ----------
    axis : AxisPlan
    step : int
        Of the grid.
    wanted : sequence of int
        Places in the source.

    Returns
    -------
    tuple of int
        Bounds from 0 to the number of outputs, rising. Each chunk depends on some source samples.
    """
    cuts = set()
    for place in wanted if step else ():
        nearest = min(max((place * axis.step + axis.before - axis.centre) // axis.stride, 0), axis.output)
        cut = round(nearest / step) * step
        if axis.output - cut >= step:  # a smaller rest joins the last chunk
            cuts.add(cut)
    return (0, *sorted(cut for cut in cuts if 0 < cut < axis.output and _sees_source(axis, cut)), axis.output)


def _sees_source(axis: AxisPlan, cut: int) -> bool:
    """Whether the outputs next to a split depend on source samples, not on padding alone."""
    return cut * axis.stride - axis.before < axis.spaced and (cut - 1) * axis.stride + axis.span >= axis.before
