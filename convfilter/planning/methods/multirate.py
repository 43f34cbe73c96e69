"""Multirate: wide Gaussians on decimated rows and columns."""

from __future__ import annotations

import math
from math import gcd, lcm

import numpy as np

from convfilter.filters.kernel import Weights
from convfilter.filters.multirate import Rates, largest_step, rates
from convfilter.planning.arithmetic import AxisPlan
from convfilter.planning.method import Cascade, Grid, Method, Pictures, Reach, rows_bytes, rows_of_windows, window_reach
from convfilter.planning.methods.stencil import taps_of
from convfilter.planning.precision import quality, sums_fit
from convfilter.planning.ring import STEP_ROWS
from convfilter.planning.stage_plan import StagePlan
from convfilter.planning.task import Task

#: Widest row, in samples, whose coarse rows fit in little memory.
_SAMPLES = 200_000
#: Samples of a row beyond which the coarse rows of moderate Gaussians would take most of the memory of a run from file
#: to file, and what wider rows cost more for each sample, in multiply-adds of the direct method. Tap by tap, in
#: lane-interleaved rows, sigma 4 takes a sixth of the memory; it takes 0.8 to 1.0 of the time with AVX-512, and 1.5 to
#: 1.8 times as long with vectors of 32 bytes.
_WIDE_ROW, _WIDE_ROW_TIME = 48 * 2**10, 15.0
#: Most rows of the coarse grid in one block, where the whole input is in memory: each block loads the rings of all
#: strips into the cache again.
_COARSE_ROWS = 96
#: The same where threads share ticks: line buffers hold the blocks of several ticks.
_SHARED_COARSE_ROWS = 48
#: Least blocks of the coarse grid, for threads that compute bands.
_COARSE_BLOCKS = 4
#: All rows are one block in a stage that runs alone, if the whole grid has at most this many samples.
COARSE_SAMPLES = 2**22
#: Most source rows, and samples of them, of a block of coarse rows, where a line buffer holds the source.
_COARSE_DEMAND, _COARSE_DEMAND_SAMPLES = 256, 2**24
#: Most source rows of such a block where the line buffer takes the place of a ring: each block reads the rows under the
#: window above it again.
_COARSE_DEMAND_IN_PLACE = 448
#: Widest row, in samples, of which such a block has two groups of coarse rows. In rows of 120,000 samples, blocks of
#: one group take 13 to 35 MB less, so that there is room for two threads, and 0.87 of the time (sigma 5 and 8).
_COARSE_BLOCK_SAMPLES = 2**16
#: Phases of interpolation on one side of a decimated sample whose error is computed, besides the middle.
_PHASES = 4
#: Most output rows of two blocks, whose coarse rows lie in a line buffer.
_OUTPUT_ROWS = 512
#: Coarse rows of a group, of which one vector holds a sample each.
COARSE_GROUP = 16


def _can(task: Task) -> bool:
    # The method leaves out weight that shows in float64.
    is_wide = task.accuracy != "float64" and any(_wide_axes(task))
    return is_wide and task.cols.output * task.channels <= _SAMPLES


def _wide_axes(task: Task) -> tuple[bool, bool]:
    """Return the axes on which a Gaussian is wide enough to decimate."""
    if task.kernel.sigma is None:
        return False, False
    rows, cols = (
        dilation == 1 and largest_step(sigma, quality(task)) >= 2
        for sigma, dilation in zip(task.kernel.sigma, task.stage.dilation, strict=True)
    )
    return rows, cols


def rates_of(task: Task) -> tuple[Rates | None, Rates | None]:
    """Return the vertical and horizontal rates; None for an axis computed tap by tap."""
    assert task.kernel.sigma is not None
    rows, cols = (
        rates(sigma, quality(task)) if wide else None
        for sigma, wide in zip(task.kernel.sigma, _wide_axes(task), strict=True)
    )
    return rows, cols


def _cost(task: Task) -> float:
    """Count the passes over full rows, with ``span`` samples of margin, and the passes on the coarse grid."""
    rows, cols, (row_steps, col_steps) = task.rows, task.cols, rates_of(task)
    down, along = taps_of(task)
    if col_steps is not None:
        along = _decimation(col_steps) * _reached(cols) + col_steps.interpolation_taps
    if row_steps is None:
        return down * cols.stride + along
    on_coarse_rows = _decimation(row_steps) * cols.stride + along / row_steps.step
    return on_coarse_rows * _reached(rows) + float(row_steps.interpolation_taps)


def _decimation(steps: Rates) -> float:
    return (steps.decimation.size + steps.blur.size) / steps.step


def _reached(axis: AxisPlan) -> float:
    """Return the source samples read for one output; samples past the border count, too."""
    return axis.stride + axis.span / axis.output


def _wide_row_time(task: Task) -> float:
    """Return the time that stands for the memory of wide rows, for 8-bit results; others have longer windows."""
    samples = max(task.cols.input, task.cols.output) * task.channels
    return _WIDE_ROW_TIME if samples > _WIDE_ROW and task.accuracy == "uint8" else 0.0


def coarse_block_rows(
    plan: StagePlan,
    rates: Rates,
    count: int,
    *,
    alone: bool,
    in_memory: bool,
    shared: bool = False,
    in_place: bool = False,
) -> int:
    """Return the block height on a coarse grid of ``count`` rows.

    Few rows where a line buffer holds the input, since each coarse row needs many source rows, but more if they are
    read ``in_place``; fewer rows of a picture where threads share ticks (``shared``) than elsewhere.
    """
    if not in_memory:
        most = _COARSE_DEMAND_IN_PLACE if in_place else _COARSE_DEMAND
        samples = plan.cols.input * plan.channels
        most = min(most, _COARSE_DEMAND_SAMPLES // samples)
        tallest = 2 * COARSE_GROUP if samples <= _COARSE_BLOCK_SAMPLES else COARSE_GROUP
        return next((rows for rows in (tallest, COARSE_GROUP) if rows * rates.step <= most), STEP_ROWS)
    row = max(plan.cols.input + 1, plan.cols.output) * plan.channels
    is_one_block = alone and not shared and count * row <= COARSE_SAMPLES
    most = _SHARED_COARSE_ROWS if shared else _COARSE_ROWS
    rows = count if is_one_block else min(most, max(2 * COARSE_GROUP, count // _COARSE_BLOCKS))
    return -(-rows // COARSE_GROUP) * COARSE_GROUP


def coarse_axis(axis: AxisPlan, rates: Rates, first_out: int, last_out: int) -> tuple[int, AxisPlan]:
    """Return the first coarse sample of outputs ``first_out`` to ``last_out - 1``, and their geometry on the source.

    The order in which a step sums four coarse rows depends on their place in the step, so the first differs by a
    multiple of four from the first of the whole axis.
    """
    origin = axis.centre - axis.before
    whole = origin // rates.step + rates.interpolation_first
    first = (first_out * axis.stride + origin) // rates.step + rates.interpolation_first
    first -= (first - whole) % STEP_ROWS
    first_of_last = ((last_out - 1) * axis.stride + origin) // rates.step + rates.interpolation_first
    count = first_of_last + rates.interpolation_taps - first
    start = (first - rates.blur_reach) * rates.step - rates.decimation_reach
    total = (count + 2 * rates.blur_reach - 1) * rates.step + rates.decimation.size
    return first, AxisPlan(axis.input, rates.decimation.size, rates.step, 1, -start, total + start - axis.input)


def _reach(plan: StagePlan, first: int, end: int) -> Reach:
    """Return the rows under the steps, which reach further than the kernel; chunks keep the phase of decimation."""
    rows, rates = window_reach(plan.rows, first, end), plan.rates[0]
    if rates is None:
        return rows
    _, decimated = coarse_axis(plan.rows, rates, first, end)
    stop = plan.rows.input + decimated.after
    return Reach(min(rows.begin, -decimated.before), max(rows.stop, stop), rates.step)


def _rows_read(plan: StagePlan, block: int) -> int:
    rates = plan.rates[0]
    if rates is None:
        return rows_of_windows(plan, block)
    return (
        coarse_block_rows(plan, rates, COARSE_GROUP, alone=False, in_memory=False) - 1
    ) * rates.step + rates.decimation.size


def _buffer_bytes(plan: StagePlan) -> int:
    """Return the bytes of decimated rows, before and after their horizontal pass."""
    rates = plan.rates[0]
    if rates is None:
        return 0
    rows = (
        2 * COARSE_GROUP
        + rates.blur.size
        + rates.interpolation_taps
        + min(_OUTPUT_ROWS, plan.rows.output) // rates.step
    )
    samples: int = rows * max(plan.cols.input, plan.cols.output) * plan.channels
    return samples * np.dtype(plan.precision).itemsize


def _scratch_bytes(plan: StagePlan, _task: Task) -> int:
    rates = plan.rates[0]
    return rows_bytes(plan, plan.rows.kernel if rates is None else rates.decimation.size + STEP_ROWS * rates.step)


def _passes(plan: StagePlan) -> tuple[Cascade, ...]:
    """Return interpolation along the rows and down the columns, and axes that are computed tap by tap."""
    assert plan.kernel.factors is not None
    parts = zip(plan.rates[::-1], plan.kernel.factors[::-1], strict=True)
    return (tuple(factor if rates is None else rates.interpolation[0] for rates, factor in parts),)


def _coarse_passes(plan: StagePlan) -> tuple[Cascade, ...]:
    return (tuple(weights for rates in plan.rates if rates for weights in (rates.decimation, rates.blur)),)


def _left_out(plan: StagePlan, pictures: Pictures) -> float:
    if plan.kernel.factors is None or pictures == "flat":
        return 0.0
    if pictures == "any":
        return sum(rates.wrong for rates in plan.rates if rates)
    rows, cols = (_misplaced(each, factor) for each, factor in zip(plan.rates, plan.kernel.factors, strict=True))
    if pictures == "varied":
        return _of_both(*rows, *cols)
    return max(float(np.abs(off).sum()) / 2 for _, off in (rows, cols))


def misplaced(rates: Rates | None, weights: Weights) -> float:
    """Return the largest error along a decimated axis, as a share of the range of its samples.

    The differences from the Gaussian's weights sum to zero, so the error is half the sum of their magnitudes.

    Parameters
    ----------
    rates : Rates or None
        None: the axis is computed tap by tap.
    weights : odd-length array
        Weights of the Gaussian.

    Returns
    -------
    float
        The largest error of all phases.
    """
    return float(np.abs(_misplaced(rates, weights)[1]).sum()) / 2


def _misplaced(rates: Rates | None, weights: Weights) -> tuple[Weights, Weights]:
    """Return a Gaussian, and the differences from it at the phase at which they are largest.

    Phases on both sides of a decimated sample mirror each other, and those close to each other differ by less than one
    percent: of many, five are computed.
    """
    gaussian = weights / math.fsum(weights)
    if rates is None:
        return gaussian, np.zeros_like(gaussian)
    half = rates.step // 2
    phases = {half, *range(0, half, max(1, half // _PHASES))}
    each = (_phase_misplaced(rates, phase, gaussian) for phase in phases)
    return max(each, key=lambda misplaced: float(np.abs(misplaced[1]).sum()))


def _phase_misplaced(rates: Rates, phase: int, gaussian: Weights) -> tuple[Weights, Weights]:
    """Return the Gaussian within zeros, and the differences of the weights of a phase from it."""
    on_coarse = np.convolve(rates.interpolation[phase], rates.blur)
    combined = np.zeros((on_coarse.size - 1) * rates.step + rates.decimation.size)
    for place, weight in enumerate(on_coarse):
        combined[place * rates.step : place * rates.step + rates.decimation.size] += weight * rates.decimation
    # Position of the first weight, counted from the output.
    first = rates.step * (rates.interpolation_first - rates.blur_reach) - rates.decimation_reach - phase
    start = min(first, -(gaussian.size // 2))
    wanted, given = np.zeros((2, max(first + combined.size, gaussian.size // 2 + 1) - start))
    given[first - start : first - start + combined.size] = combined
    wanted[-(gaussian.size // 2) - start : gaussian.size // 2 + 1 - start] = gaussian
    return wanted, given - wanted


def _of_both(column: Weights, off_column: Weights, row: Weights, off_row: Weights) -> float:
    """Return half the magnitudes of ``off_column * row + column * off_row + off_column * off_row``, over all pairs.

    Divided by both Gaussians, the first two terms are a sum of one number for the column and one for the row.
    """
    pairs = (column, off_column), (row, off_row)
    down, along = (np.divide(off, of, out=np.zeros_like(of), where=of > 0) for of, off in pairs)
    outside = np.abs(off_column[column == 0]).sum() + np.abs(off_row[row == 0]).sum()
    order = np.argsort(along)
    shares, moments = np.cumsum(row[order]), np.cumsum((row * along)[order])
    below = np.searchsorted(along[order], -down)  # numbers of the row whose sum with that of the column is negative
    share, moment = np.append(0.0, shares)[below], np.append(0.0, moments)[below]
    sums = (shares[-1] - 2 * share) * down + moments[-1] - 2 * moment
    products = np.abs(off_column).sum() * np.abs(off_row).sum()
    return float((column * sums).sum() + outside + products) / 2


def _grid(plan: StagePlan) -> Grid:
    """Split where a step of coarse rows and a step of outputs begin.

    Each chunk has all phases, so its steps read as many coarse rows as those of the whole.
    """
    rates = plan.rates[0]
    if rates is None:
        return Grid(STEP_ROWS, 0)
    period, stride = STEP_ROWS * rates.step, plan.rows.stride
    return Grid(lcm(lcm(period, stride) // stride, period // gcd(STEP_ROWS * stride, rates.step), STEP_ROWS), 0)


# Samples are transposed and transposed back, and coarse rows go through memory.
MULTIRATE = Method(
    "multirate",
    _cost,
    _can,
    multiply_add_time=3.0,
    sample_time=30.0,
    extra_time=_wide_row_time,
    rows_read=_rows_read,
    buffer_bytes=_buffer_bytes,
    grid=_grid,
    reach=_reach,
    scratch_bytes=_scratch_bytes,
    rates=rates_of,
    joins_masks=True,
    spreads=True,
    fits_single=lambda task: sums_fit(task, taps=0),  # each pass has few taps
    passes=_passes,
    coarse_passes=_coarse_passes,
    left_out=_left_out,
)
