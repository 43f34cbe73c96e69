"""Every nonzero tap of a 2-D kernel, one by one."""

from __future__ import annotations

from convfilter.engine.passes import Taps
from convfilter.engine.tiles import Scratch, columns_for
from convfilter.engine.work import Block, Region, Sums, Work
from convfilter.planning.plan import TAP_ROWS


def direct(work: Work, scratch: Scratch) -> Block:
    """Sum every nonzero tap of a 2-D kernel."""
    matrix, channels = work.plan.kernel.matrix, work.source.channels
    parts = [matrix[first : first + TAP_ROWS] for first in range(0, matrix.shape[0], TAP_ROWS)]
    tiles = []
    for left, right in work.tiles():
        columns = columns_for(work.plan.cols, work.col_index, left, right)
        col = columns.tap_offset * channels
        tiles.append((left, right, columns, [work.window(Taps.of(part, col), part.shape[0]) for part in parts]))

    def block(top: int, bottom: int) -> Sums:
        rows = [
            work.rows_for(top, bottom, TAP_ROWS * number, TAP_ROWS * number + part.shape[0])
            for number, part in enumerate(parts)
        ]
        for left, right, columns, windows in tiles:
            region = Region(top, bottom, left, right)
            target = work.sums(scratch, region)
            for number, ((picked, table), window) in enumerate(zip(rows, windows, strict=True)):
                tile, pitch = work.source.load(scratch, "tile", picked, columns)
                window.sums(tile, table * pitch, target, add=number > 0)
            yield region, target.buffer, target.pitch

    return block
