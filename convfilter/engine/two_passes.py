"""Two passes, down the columns and along the rows: separable kernels, kernels of low rank."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from convfilter.engine.borders import Indices
from convfilter.engine.passes import Taps, Target, weighted_sums
from convfilter.engine.tiles import Samples, Scratch, columns_for
from convfilter.engine.work import Block, Region, Sums, Work
from convfilter.filters.kernels import Weights
from convfilter.planning.plan import TAP_ROWS, band_cols, part_cols


def separable(work: Work, scratch: Scratch) -> Block:
    """Sum down the columns, then along the rows, for each product of a column and a row that makes up the kernel."""
    passes = [_Passes(work, column, row) for column, row in work.plan.products]
    return _two_passes(work, scratch, passes)


class _Passes:
    """A pass down the columns of a tile, and one along rows; ``number`` counts the parts of a tall column."""

    def __init__(self, work: Work, column: Weights, row: Weights) -> None:
        parts = (column[first : first + TAP_ROWS] for first in range(0, column.size, TAP_ROWS))
        self._windows = [work.window(Taps.down(part), part.size) for part in parts]
        self._keep = np.flatnonzero(row)
        self._row = row[self._keep].astype(work.plan.precision)

    def down(self, tile: Samples, row_offset: Indices, number: int, target: Target) -> None:
        self._windows[number].sums(tile, row_offset, target, add=number > 0)

    def along(self, tile: Samples, row_offset: Indices, col: Indices, target: Target, add: bool) -> None:
        weighted_sums(tile, row_offset, Taps.along(col[self._keep], self._row), target, add=add)


def _two_passes(work: Work, scratch: Scratch, passes: Sequence[_Passes]) -> Block:
    """Go down the columns of a block, then along its rows, band by band; the results are added."""
    bands = [
        _Band(work, left, min(left + width, work.plan.cols.output))
        for width in (band_cols(work.plan.cols, work.source.channels),)
        for left in range(0, work.plan.cols.output, width)
    ]
    taps = work.plan.rows.kernel

    def block(top: int, bottom: int) -> Sums:
        height = bottom - top
        for band in bands:
            between = [scratch.get(f"between {number}", height * band.pitch) for number in range(len(passes))]
            for number, first in enumerate(range(0, taps, TAP_ROWS)):
                rows, table = work.rows_for(top, bottom, first, min(first + TAP_ROWS, taps))
                for start, part in band.parts:
                    tile, length = work.source.load(scratch, "tile", rows, part)
                    for one, buffer in zip(passes, between, strict=True):
                        one.down(tile, table * length, number, Target(buffer, start, band.pitch, height, length))
            lines = np.arange(height)[:, np.newaxis] * band.pitch
            for left, right in work.tiles(band.left, band.right):
                region = Region(top, bottom, left, right)
                target = work.sums(scratch, region)
                offsets = lines + (left - band.left) * work.source.channels
                for number, (one, buffer) in enumerate(zip(passes, between, strict=True)):
                    one.along(buffer, offsets, band.col, target, number > 0)
                yield region, target.buffer, target.pitch

    return block


class _Band:
    """A band of output columns, and the source columns that it touches, in parts that stay in cache.

    Each part starts at a sample of a row that is ``pitch`` samples long.
    """

    def __init__(self, work: Work, left: int, right: int) -> None:
        channels = work.source.channels
        columns = columns_for(work.plan.cols, work.col_index, left, right)
        self.left, self.right, self.pitch = left, right, columns.count * channels
        self.col = columns.tap_offset * channels
        width = part_cols(channels)
        self.parts = [
            (first * channels, columns.part(first, min(first + width, columns.count)))
            for first in range(0, columns.count, width)
        ]
