"""Means of whole-number samples in one loop, from source rows to output rows: box blurs and average pooling."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np

from convfilter.engine.borders import Interleaved, interleaved
from convfilter.engine.native import Loop
from convfilter.engine.program import Call, Repeated, Slot
from convfilter.engine.tiles import Samples
from convfilter.engine.work import Work
from convfilter.filters.stage import Pooling
from convfilter.planning import StagePlan, full_scale, real_cells
from convfilter.planning.pooling import LARGEST_SUM

_SIGNATURE = "{S}* i8 i8* i8 i8 i8 {W}* i8 i8* i8 i8 i8 i8 i8 i8 {W}* i4* i4* i8 {R}* {R}* i8 i8 i8 {S}* i8 i8 i8"
MEAN_ROWS = Loop("box", "mean_rows", _SIGNATURE.format(S="u1", W="u2", R="f4"))
MEAN_ROWS_WIDE = Loop("box", "mean_rows_wide", _SIGNATURE.format(S="S", W="i4", R="f8"))

#: What sums down the columns may reach in 16 bits.
_NARROW_SUM = 2**16 - 1
#: Sums up to here are exact in float32.
_SINGLE_WHOLE = 2**24
#: A float32 quotient of at most 255 by less than this is a tie only where the exact one is.
_SINGLE_DIVISOR = 2**16
#: A mean of bytes over an odd area below this is never a tie, and far enough from any for a float32 factor.
_SINGLE_FACTOR = 2**14
#: Columns that are added up one by one, in the type of the sums down the columns.
_FEW = 3


def is_plain(work: Work, target: np.dtype[np.generic]) -> bool:
    """Whether plain means of whole numbers are stored as they are."""
    plan, source = work.plan, work.source
    pools = isinstance(plan.stage.operator, Pooling)
    if target.kind != "u" or not (pools or plan.algorithm == "box") or not work.stores_samples(target):
        return False
    ordinary = pools or plan.kernel.divisor == _area(plan)
    return ordinary and source.pads_with_samples and _area(plan) * source.full <= LARGEST_SUM


def make_worker(work: Work, output: Slot) -> Callable[[tuple[int, int]], None]:
    """Return a function that stores the means of a block of output rows."""
    plan, source = work.plan, work.source
    rows, cols, channels, dtype = plan.rows, plan.cols, source.channels, source.slot.dtype
    narrow = _is_narrow(plan, dtype)
    loop = MEAN_ROWS.variant() if narrow else MEAN_ROWS_WIDE.variant(S=dtype)
    sums, real = (np.uint16, np.float32) if narrow else (np.int32, np.float64)
    down, along, divide = _divisors(plan, real)
    in_whole_numbers = narrow and not divide and cols.kernel == _FEW
    half, factor = _area(plan) // 2, _whole_factor(_area(plan)) if in_whole_numbers else 0
    width, pitch = cols.input * channels, cols.output * channels
    places = max(cols.padded * channels, cols.before * channels + width)
    line, few = np.empty(places, sums), np.empty(cols.padded * channels, sums)
    totals, kept = np.empty((cols.padded + cols.dilation) * channels, np.int32), np.empty(pitch, np.int32)

    def call(part: Interleaved, top: int, bottom: int) -> Call:
        row_index = work.row_index[top * rows.stride :]
        return Call(
            loop,
            (
                source.slot, width, row_index[part.places], rows.kernel, part.step, int(source.padding_value),
                line, width, work.col_index, cols.padded, cols.before, channels,
                cols.kernel, cols.dilation, cols.stride, few, totals, kept, cols.output,
                np.ascontiguousarray(down[top + part.first : bottom : part.every]), along, int(divide), half, factor,
                output, (top + part.first) * pitch, part.every * pitch, part.outputs,
            ),
        )  # fmt: skip

    def calls(block: tuple[int, int]) -> list[Call]:
        return [call(part, *block) for part in interleaved(rows, block[1] - block[0])]

    return Repeated(calls, work.program)


def _area(plan: StagePlan) -> int:
    return plan.rows.kernel * plan.cols.kernel


def _is_narrow(plan: StagePlan, dtype: np.dtype[np.generic]) -> bool:
    """Whether sums down the columns fit 16 bits, and float32 divides the whole sums as it should."""
    full, area = full_scale(dtype), _area(plan)
    added = plan.rows.kernel * (plan.cols.kernel if plan.cols.kernel <= _FEW else 1)
    single = area * full <= _SINGLE_WHOLE and area < _SINGLE_DIVISOR
    return dtype == np.uint8 and single and added * full <= _NARROW_SUM


@cache
def _whole_factor(area: int) -> int:
    """Return what ``sum + area // 2`` is multiplied by for the mean of bytes and 16 bits more; 0 if that would err."""
    sums = np.arange(np.iinfo(np.uint8).max * area + 1)
    factor = 2**16 // area + 1
    as_they_should = (sums + area // 2) * factor >> 16 == np.rint(sums / area)
    return factor if sums[-1] + area // 2 <= _NARROW_SUM and bool(as_they_should.all()) else 0


def _divisors(plan: StagePlan, real: type[np.floating]) -> tuple[Samples, Samples, bool]:
    """Return factors of rows and of samples along them, and whether to divide by both, or multiply by the first.

    Windows of one area without ties are multiplied by what is one over it.
    """
    rows, cols, area = plan.rows, plan.cols, _area(plan)
    down, along = np.full(rows.output, rows.kernel), np.full(cols.output, cols.kernel)
    if isinstance(plan.stage.operator, Pooling):
        down, along = real_cells(rows), real_cells(cols)
    without_ties = area % 2 == 1 and (real is np.float64 or area < _SINGLE_FACTOR)
    alike = down.min() == rows.kernel and along.min() == cols.kernel
    divide = not (alike and (without_ties or area & (area - 1) == 0))
    factors = down if divide else np.full(rows.output, 1 / area)
    return factors.astype(real), np.repeat(along, plan.channels).astype(real), divide
