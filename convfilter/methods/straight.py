"""Results as straight colours: they are stored with the alpha of the centre pixels."""

from __future__ import annotations

from typing import Any

import numpy as np

from convfilter.engine.borders import Indices, gather
from convfilter.engine.buffer import Samples, Scratch
from convfilter.engine.epilogue import Epilogue
from convfilter.engine.mapped_stage import MappedStage, Region
from convfilter.planning import AxisPlan

Real = np.ndarray[tuple[Any, ...], np.dtype[np.float64]]


def finish(
    mapped: MappedStage,
    epilogue: Epilogue,
    scratch: Scratch,
    region: Region,
    colours: Samples,
    central: Real | None = None,
) -> int:
    """Store straight colours and ``central`` alpha, by default that of the centre pixels.

    Where samples are stored premultiplied, colours are multiplied by this alpha. Returns the number of clipped samples.
    """
    rows, cols, channels = *colours.shape[:2], mapped.plan.output_channels
    size = rows * cols * channels
    values = scratch.get("values", size)[:size].reshape(rows, cols, channels)
    values[..., : colours.shape[2]] = colours
    if not mapped.source.alpha:
        return epilogue.store_values(region, values)
    central = central_alpha(mapped, region.top, region.bottom) if central is None else central
    if mapped.source.premultiplied:
        values *= central[..., np.newaxis] / mapped.source.full
    return epilogue.store_values(region, values, central)


def central_alpha(mapped: MappedStage, top: int, bottom: int) -> Real:
    """Return the alpha at the centre of each output of some rows."""
    plan, source = mapped.plan, mapped.source
    if plan.rows.inserted or plan.cols.inserted:
        rows, cols = source.buffer.index(nearest_samples(plan.rows, top, bottom)), nearest_samples(plan.cols)
    else:
        rows = mapped.centres()[top:bottom]
        cols = mapped.col_index[np.arange(plan.cols.output) * plan.cols.stride + plan.cols.centre]
    return gather(source.image[..., -1], rows, cols, source.padding_value, np.float64)


def nearest_samples(axis: AxisPlan, first: int = 0, last: int | None = None) -> Indices:
    """Return the sample nearest to the centre of each output's window; inserted zeros count in the distance."""
    places = np.arange(first, axis.output if last is None else last, dtype=np.int64) * axis.stride + axis.centre
    nearest: Indices = np.clip((places - axis.before + axis.step // 2) // axis.step, 0, axis.input - 1)
    return nearest
