"""A part of a stage's result, from the part of its source that it needs: the same bits as in the whole result.

What a sum rounds to depends on the order of its terms, and with some ways that
depends on the place in the block, tile or band that is computed at once. So
parts begin and end where those do; and where the border is, what the source
would be padded with is worked out here, from the whole picture's geometry.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import gcd, lcm
from typing import NamedTuple

import numpy as np

from convfilter.engine.borders import Indices, index_map
from convfilter.engine.buffer import Samples
from convfilter.executor import run
from convfilter.filters.multirate import Rates
from convfilter.filters.stage import Orientation, Pooling
from convfilter.methods.coarse import Coarse
from convfilter.planning import AxisPlan, Plan, StagePlan
from convfilter.planning.morphology import is_composite
from convfilter.planning.remembered import latest
from convfilter.planning.ring import STEP_ROWS
from convfilter.record import record

#: Modes whose padding stands at the border itself: a part at the border can be padded like the whole.
_AT_THE_BORDER = ("edge", "constant")


class Grid(NamedTuple):
    """Where parts may begin.

    Attributes
    ----------
    rows, cols : int
        At multiples of these many outputs; ``cols`` 0: every part is as wide as the whole.
    ahead : (rows, cols)
        Outputs past a part's end that are computed too, and dropped.
    """

    rows: int
    cols: int
    ahead: tuple[int, int] = (0, 0)


def grid_of(plan: StagePlan) -> Grid:
    """Return the pieces that a stage is computed in.

    Parameters
    ----------
    plan : StagePlan
        For the whole picture.

    Returns
    -------
    Grid
    """
    match plan.algorithm:
        case "points" | "box" | "network" | "histograms" | "sliding" | "bilateral":  # sample by sample, or exact
            return Grid(1, 1)
        case "canny" | "guided" | "morphology" if _is_whole(plan):
            return Grid(plan.rows.output, 0)
        case "morphology":
            return Grid(1, 1)
        case "pooling":  # extremes are exact; sums of real samples are differences of sums along the whole row
            operator = plan.stage.operator
            is_mean = isinstance(operator, Pooling) and operator.kind == "average"
            return Grid(plan.block_rows, 0 if is_mean and not plan.exact else 1)
        case "layer":
            return Grid(plan.block_rows, 0)
        case "orientation":
            return Grid(1, 0)
        case "multirate" if plan.rates[0] is not None:
            return _multirate_grid(plan, plan.rates[0])
        case "multirate":
            return Grid(STEP_ROWS, 0)
        case "fourier" if plan.sides[1] == 0:
            return Grid(plan.block_rows, 1)
        case "fourier":
            cols = max(1, (plan.sides[1] - plan.cols.span) // plan.cols.stride)
            # A transform's last pixels are seen by no output that is kept, but they round like the others.
            ahead = tuple(-(-2 * (axis.stride - 1) // axis.stride) for axis in (plan.rows, plan.cols))
            return Grid(plan.block_rows, cols, (ahead[0], ahead[1]))
        case _:
            return Grid(STEP_ROWS, 1)


def _is_whole(plan: StagePlan) -> bool:
    """Whether a stage is not cut: edges wind through the picture, and what lies between two has a border of its own."""
    return plan.algorithm in ("canny", "guided") or is_composite(plan.stage.operator)


def _multirate_grid(plan: StagePlan, rates: Rates) -> Grid:
    """Cut where a step of kept rows begins, and a step of outputs too.

    Every part has all phases, so that its steps look at as many kept rows as those of the whole.
    """
    kept, stride = STEP_ROWS * rates.step, plan.rows.stride
    return Grid(lcm(lcm(kept, stride) // stride, kept // gcd(STEP_ROWS * stride, rates.step), STEP_ROWS), 0)


@record
class Side:
    """One axis of a part: which source samples it needs, and its own geometry on them.

    Attributes
    ----------
    runs : tuple of (start, stop)
        Source samples to be had, rising; more than one run where the padding comes from the far side.
    picked : array of int, or None
        Which of them, counted through all runs, stand one after the other
        where there is padding; None: all, in their order.
    axis : AxisPlan
        On those samples; what is cropped counts as negative padding.
    outputs : int
        That are wanted; what is computed past them is dropped.
    """

    runs: tuple[tuple[int, int], ...]
    picked: Indices | None
    axis: AxisPlan
    outputs: int


def side_of(axis: AxisPlan, mode: str, first: int, last: int, end: int, rates: Rates | None = None) -> Side:
    """Find what outputs ``first`` to ``last - 1`` of one axis need, computed together with those up to ``end - 1``.

    Parameters
    ----------
    axis : AxisPlan
        Of the whole picture.
    mode : str
        Padding mode.
    rates : Rates, optional
        Of a multirate axis, whose steps reach further than the kernel, and whose phase must be kept.
    """
    if axis.inserted:
        return _spaced_side(axis, first, last, end)
    window = first * axis.stride - axis.before
    begin, stop, step = window, (end - 1) * axis.stride - axis.before + axis.span + 1, 1
    if rates is not None:
        down = Coarse.of(axis, rates, mode, first, end).down
        step = rates.step
        begin, stop = min(begin, -down.before), max(stop, axis.input + down.after)
        begin = begin // step * step
    picked = None
    if mode in _AT_THE_BORDER or (begin >= 0 and stop <= axis.input):
        low, high = (min(max(place, 0), axis.input - 1) for place in (begin, stop - 1))
        low = low // step * step
        runs: tuple[tuple[int, int], ...] = ((low, high + 1),)
        before, length = low - window, high + 1 - low
    else:
        runs, picked = _runs(index_map(axis.input, -begin, stop - begin, mode))
        before, length = begin - window, stop - begin
    after = (end - first - 1) * axis.stride + axis.span + 1 - length - before
    beyond = min(max(0, stop - (axis.input + axis.after - axis.beyond)), max(0, after)) if axis.beyond else 0
    local = AxisPlan(length, axis.kernel, axis.stride, axis.dilation, before, after, beyond)
    return Side(runs, picked, local, last - first)


def _spaced_side(axis: AxisPlan, first: int, last: int, end: int) -> Side:
    """Find what outputs need of samples with zeros between them; places count from the first sample."""
    begin, stop = first * axis.stride - axis.before, (end - 1) * axis.stride - axis.before + axis.span + 1
    low, high = (min(max(place, 0), axis.input - 1) for place in (-(-begin // axis.step), (stop - 1) // axis.step))
    high = max(low, high)
    before = low * axis.step - begin
    after = stop - begin - before - (high - low) * axis.step - 1
    local = AxisPlan(high + 1 - low, axis.kernel, axis.stride, axis.dilation, before, after, 0, axis.inserted)
    return Side(((low, high + 1),), None, local, last - first)


def _runs(places: Indices) -> tuple[tuple[tuple[int, int], ...], Indices]:
    """Return the runs of samples that stand at some places, and where in them each is."""
    present = np.unique(places)
    ends = np.flatnonzero(np.diff(present) > 1)
    starts = present[np.append(0, ends + 1)]
    stops = present[np.append(ends, present.size - 1)] + 1
    return tuple(zip(starts.tolist(), stops.tolist(), strict=True)), np.searchsorted(present, places)


@record
class Part:
    """A rectangle of one stage's result: what it needs of the source, and how it is computed from that."""

    rows: Side
    cols: Side


def part_of(plan: StagePlan, rows: tuple[int, int], cols: tuple[int, int]) -> Part:
    """Find what a rectangle of the result needs; its corners lie on the grid, or at the result's end.

    Parameters
    ----------
    plan : StagePlan
        For the whole picture.
    rows, cols : (first, last + 1)
        Outputs.
    """
    grid = grid_of(plan)
    if _is_whole(plan):
        return Part(*(Side(((0, axis.input),), None, axis, axis.output) for axis in (plan.rows, plan.cols)))
    mode = "constant" if isinstance(plan.stage.operator, Pooling) else plan.stage.padding_mode
    down = side_of(plan.rows, mode, *rows, min(rows[1] + grid.ahead[0], plan.rows.output), plan.rates[0])
    if not grid.cols:
        return Part(down, Side(((0, plan.cols.input),), None, plan.cols, plan.cols.output))
    return Part(down, side_of(plan.cols, mode, *cols, min(cols[1] + grid.ahead[1], plan.cols.output)))


def run_part(
    plan: Plan, number: int, part: Part, pixels: Samples, out_dtype: np.dtype[np.generic], threads: int
) -> Samples:
    """Compute a part of a stage's result.

    Parameters
    ----------
    plan : Plan
        For the whole picture.
    number : int
        Of the stage.
    part : Part
    pixels : (rows, cols, channels) array
        The runs of source rows and columns of the part's sides, side by side.
    out_dtype : dtype
        As for `run.run_stage`.
    threads : int

    Returns
    -------
    (rows, cols, channels) array
    """
    for axis, side in enumerate((part.rows, part.cols)):
        if side.picked is not None:
            pixels = np.take(pixels, side.picked, axis=axis)
    stage = _stage_of(plan.stages[number], part)
    local = replace(plan, stages=(*plan.stages[:number], stage, *plan.stages[number + 1 :]))
    result, _ = run.run_stage(local, number, np.ascontiguousarray(pixels), out_dtype, threads)
    return result[: part.rows.outputs, : part.cols.outputs]


#: Plans of parts with the plans of their whole stages, by the identity of these; of a grid of parts few differ.
_plans: dict[tuple[int, AxisPlan, AxisPlan], tuple[StagePlan, StagePlan]] = {}
_MOST_PLANS = 32


def _stage_of(whole: StagePlan, part: Part) -> StagePlan:
    """Return the plan of a part: that of an equal part before, for which all may have been prepared."""

    def planned() -> tuple[StagePlan, StagePlan]:
        stage = replace(whole, rows=part.rows.axis, cols=part.cols.axis)
        if isinstance(stage.stage.operator, Orientation):  # its derivatives are planned by themselves
            padding = (stage.rows.before, stage.rows.after, stage.cols.before, stage.cols.after)
            stage = replace(stage, stage=replace(stage.stage, padding=padding))
        return whole, stage

    return latest(_plans, (id(whole), part.rows.axis, part.cols.axis), planned, _MOST_PLANS)[1]


def boundaries(axis: AxisPlan, step: int, wanted: Sequence[int]) -> tuple[int, ...]:
    """Choose where to cut the outputs of one axis: on the grid, near where the source is cut.

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
        From 0 to the number of outputs, rising. Every part between two sees some of the source.
    """
    cuts = set()
    for place in wanted if step else ():
        nearest = min(max((place * axis.step + axis.before - axis.centre) // axis.stride, 0), axis.output)
        cut = round(nearest / step) * step
        if axis.output - cut >= step:  # what is less goes with the last part
            cuts.add(cut)
    return (0, *sorted(cut for cut in cuts if 0 < cut < axis.output and _sees_source(axis, cut)), axis.output)


def _sees_source(axis: AxisPlan, cut: int) -> bool:
    """Whether the outputs next to a cut do not lie in the padding altogether."""
    return cut * axis.stride - axis.before < axis.spaced and (cut - 1) * axis.stride + axis.span >= axis.before
