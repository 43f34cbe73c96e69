"""Box blurs of whole-number samples in one loop, from source rows to output rows: nothing is loaded or kept between."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from convfilter.engine.native import Loop
from convfilter.engine.running import unordered_columns
from convfilter.engine.tiles import Samples
from convfilter.engine.work import Work
from convfilter.planning import StagePlan, full_scale

BOX_ROWS = Loop(
    "box",
    "box_rows",
    "S* i8 i8* i8 i8 i8 i4* i8 i8* i8 i8 i8 i8 i4* i8 i8 i4* i8 R* R i8 S* i8 i8 i8",
)

_LARGEST_SUM = 2**31 - 1
#: Sums up to here are exact in float32.
_SINGLE_WHOLE = 2**24
#: A mean of bytes over an odd area below this is never a tie, and far enough from any for a float32 factor.
_SINGLE_DIVISOR = 2**14


def is_plain(work: Work, target: np.dtype[np.generic]) -> bool:
    """Whether a box blur stores plain means: same type in and out, no alpha, no scale or offset, no gray."""
    plan, source = work.plan, work.source
    stage, full = plan.stage, source.full
    plain = plan.algorithm == "box" and target == source.image.dtype and target.kind == "u"
    unscaled = plan.scale == 1 and stage.offset == 0 and stage.map in (None, "clip", "abs")
    ordinary = plan.kernel.divisor == _area(plan) and not source.alpha and not source.gray
    padding = source.padding_value
    inside = stage.padding_mode != "constant" or (0 <= padding <= full and float(padding).is_integer())
    return plain and unscaled and ordinary and inside and _area(plan) * full <= _LARGEST_SUM


def _area(plan: StagePlan) -> int:
    return plan.rows.kernel * plan.cols.kernel


def make_worker(work: Work, output: Samples) -> Callable[[tuple[int, int]], None]:
    """Return a function that stores the means of a block of output rows."""
    plan, source = work.plan, work.source
    channels = source.channels
    columns = unordered_columns(work)
    width, out_pitch = source.image.shape[1] * channels, plan.cols.output * channels
    total, padded, sums = (np.empty(size, np.int32) for size in (width, columns.count * channels, out_pitch))
    real, factor, divide = _mean_of(plan, source.image.dtype)
    means = np.empty(out_pitch, real)
    box_rows = BOX_ROWS.variant(S=source.image.dtype, R=real)

    def compute(block: tuple[int, int]) -> None:
        top, bottom = block
        rows = work.row_index[top * plan.rows.stride : (bottom - 1) * plan.rows.stride + plan.rows.kernel]
        box_rows(
            source.image, width, rows, plan.rows.kernel, plan.rows.stride, int(source.padding_value), total, width,
            columns.indices, columns.count, columns.run_start, columns.run_length, channels,
            padded, plan.cols.kernel, plan.cols.stride, sums, plan.cols.output,
            means, factor, int(divide), output, top * out_pitch, out_pitch, bottom - top,
        )  # fmt: skip

    return compute


def _mean_of(plan: StagePlan, dtype: np.dtype[np.generic]) -> tuple[type[np.floating], float, bool]:
    """Choose the arithmetic of the mean: its type, its number, and whether to divide by that or multiply."""
    area = _area(plan)
    single = full_scale(dtype) <= 255 and area * full_scale(dtype) <= _SINGLE_WHOLE
    real = np.float32 if single else np.float64
    without_ties = area % 2 == 1 and (real is np.float64 or area < _SINGLE_DIVISOR)
    multiply = without_ties or area & (area - 1) == 0
    return real, 1 / area if multiply else float(area), not multiply
