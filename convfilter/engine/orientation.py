"""The direction of the gradient as hue, its magnitude as brightness."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from convfilter.engine.bands import cut
from convfilter.engine.borders import gather
from convfilter.engine.points import Real, Storing, colours, store_alpha
from convfilter.engine.tiles import Samples, Source
from convfilter.engine.work import Work
from convfilter.filters.kernels import Kernel
from convfilter.filters.stage import Correlation, Orientation
from convfilter.planning import LUMINANCE, LUMINANCE_DIVISOR, StagePlan, plan_stack


def orientation(
    plan: StagePlan, source: Source, dtype: np.dtype[np.generic], full_out: float, threads: int
) -> tuple[Samples, int]:
    """Colour the gradient of the luminance: hue 0 (red) where it rises to the right, a third of a turn is green.

    What is transparent counts as black.
    """
    operator = plan.stage.operator
    assert isinstance(operator, Orientation)
    luminance = _luminance(source)
    x, y = (_derivative(plan, kernel, luminance, threads) for kernel in (operator.x, operator.y))
    output = np.empty((plan.rows.output, plan.cols.output, plan.output_channels), dtype)
    if source.alpha:
        store_alpha(central_alpha(Work.of(plan, source), 0, plan.rows.output), output, source.full, full_out)

    def rows(top: int, bottom: int) -> Real:
        # The kernels' first row and column count positive: x falls where the picture rises to the right.
        right, up = -x[top:bottom].astype(np.float64), y[top:bottom].astype(np.float64)
        turns = np.arctan2(up, right) / (2 * np.pi) + operator.turn
        return np.hypot(right, up)[..., np.newaxis] * hue(turns)

    return output, Storing(plan, dtype, source.full, full_out).all_rows(rows, output, threads)


def hue(turns: Real) -> Real:
    """Return the pure colour (red, green, blue; 0 to 1) of each hue, given in turns: 0 red, 1/3 green, 2/3 blue."""
    distance = np.abs((turns[..., np.newaxis] - np.array([0.0, 1 / 3, 2 / 3]) + 0.5) % 1.0 - 0.5)
    pure: Real = np.clip(2.0 - 6.0 * distance, 0.0, 1.0)
    return pure


def _luminance(source: Source) -> Samples:
    height, width = source.image.shape[:2]
    result = np.empty((height, width), np.float32)
    for top, bottom in cut(height, 64):
        band = colours(source, top, bottom)
        if band.shape[2] == len(LUMINANCE):
            band = (band @ np.array(LUMINANCE) / LUMINANCE_DIVISOR)[..., np.newaxis]
        if source.alpha:
            band = band * (source.image[top:bottom, :, -1:] / source.full)
        result[top:bottom] = band[..., 0]
    return result


def _derivative(plan: StagePlan, kernel: Kernel, luminance: Samples, threads: int) -> Samples:
    from convfilter.engine.run import run

    stage = replace(plan.stage, operator=Correlation(kernel), signed=False, scale=1.0, offset=0.0, map=None)
    return run(plan_stack([stage], luminance.shape, np.float32), luminance, threads=threads).pixels


def central_alpha(work: Work, top: int, bottom: int) -> Real:
    """Return the alpha on which each output of some rows is centred."""
    plan, source = work.plan, work.source
    rows = work.row_index[np.arange(top, bottom) * plan.rows.stride + plan.rows.centre]
    cols = work.col_index[np.arange(plan.cols.output) * plan.cols.stride + plan.cols.centre]
    return gather(source.image[..., -1], rows, cols, source.padding_value, np.float64)
