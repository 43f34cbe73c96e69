"""Both derivatives of a gradient, and its magnitude, in one pass."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from convfilter.engine.direct import direct
from convfilter.engine.streams import MAGNITUDE
from convfilter.engine.tiles import Scratch, columns_for
from convfilter.engine.two_passes import separable
from convfilter.engine.work import Block, Region, Sums, Work
from convfilter.filters.stage import Gradient
from convfilter.planning import is_fused


def gradient(work: Work, scratch: Scratch) -> Block:
    """Take the magnitude of both derivatives in one pass over the eight neighbours."""
    operator = work.plan.stage.operator
    assert isinstance(operator, Gradient)
    if not is_fused(work.plan.stage):
        return _any_gradient(work, scratch, operator)
    assert operator.x.factors is not None
    side, centre, _ = (float(weight) for weight in operator.x.factors[0])
    magnitude = MAGNITUDE.variant(A=scratch.dtype)
    tiles = [(left, right, columns_for(work.plan.cols, work.col_index, left, right)) for left, right in work.tiles()]

    def block(top: int, bottom: int) -> Sums:
        rows, table = work.rows_for(top, bottom, 0, 3)
        for left, right, columns in tiles:
            tile, pitch = work.source.load(scratch, "tile", rows, columns)
            region = Region(top, bottom, left, right)
            target = work.sums(scratch, region)
            offsets = (int(offset) for offset in columns.tap_offset * work.source.channels)
            magnitude(
                tile, table * pitch, *offsets, side, centre, target.rows, target.buffer, target.pitch, target.length
            )
            yield region, target.buffer, target.pitch

    return block


def _any_gradient(work: Work, scratch: Scratch, operator: Gradient) -> Block:
    """Sum with each of two kernels, tile by tile, and take the magnitude of both."""
    blocks = []
    for kernel, own in ((operator.x, scratch), (operator.y, Scratch(scratch.dtype))):
        way = direct if kernel.factors is None else separable
        products = () if kernel.factors is None else (kernel.factors,)
        part = replace(work, plan=replace(work.plan, kernel=kernel, products=products))
        blocks.append(way(part, own))

    def block(top: int, bottom: int) -> Sums:
        for (region, x, pitch), (_, y, _) in zip(blocks[0](top, bottom), blocks[1](top, bottom), strict=True):
            size = (region.bottom - region.top) * pitch
            np.hypot(x[:size], y[:size], out=x[:size])
            yield region, x, pitch

    return block
