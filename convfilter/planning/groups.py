"""Groups of stages that run together: the heights of their blocks, and of the line buffers between them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from convfilter.planning.methods import chosen_method
from convfilter.planning.stage_plan import Group, StagePlan
from convfilter.planning.strips import INTERLEAVED_ROWS

#: Samples of one block between two stages: the block stays in a core's second cache until the next stage reads it.
BLOCK_SAMPLES = 2**18
#: Least height of a block of a stage that runs alone, unless the picture has few rows, and the greatest one.
_LEAST_ROWS, _MOST_ROWS = 64, 256
#: Most bytes of a block of a written result, unless its least height takes more.
_WRITTEN_BYTES = 2**20


def groups_of(stages: Sequence[StagePlan]) -> tuple[Group, ...]:
    """Cut a stack into groups of stages that run together, first to last."""
    firsts = [0] + [number for number in range(1, len(stages)) if stages[number].takes_range]
    ends = zip(firsts, [*firsts[1:], len(stages)], strict=True)
    return tuple(_group(stages, first, last) for first, last in ends)


def _group(stages: Sequence[StagePlan], first: int, last: int) -> Group:
    chosen = stages[first:last]
    if len(chosen) == 1:
        return Group(first, last)
    blocks = tuple(block_rows(stage) for stage in chosen)
    rows = tuple(
        min(chosen_method(stage).rows_read(stage, block) + 2 * before, stage.rows.input)
        for stage, block, before in zip(chosen[1:], blocks[1:], blocks, strict=False)
    )
    return Group(first, last, blocks, rows, buffer_bytes(chosen, rows))


def buffer_bytes(stages: Sequence[StagePlan], buffer_rows: Sequence[int]) -> int:
    """Return the bytes of the line buffers after each stage but the last."""
    between = sum(
        count * stage.cols.output * stage.output_channels * stage.result.itemsize
        for count, stage in zip(buffer_rows, stages, strict=False)
    )
    return between + sum(chosen_method(stage).buffer_bytes(stage) for stage in stages)


def block_rows(stage: StagePlan, *, in_memory: bool = False) -> int:
    """Return the block height of a stage that runs in a group.

    The rows that a block reads lie in the cache, too, unless they come from a picture ``in_memory``.
    """
    if stage.block_rows:
        return stage.block_rows
    row = stage.cols.output * stage.output_channels
    if not in_memory:
        row = max(row, stage.rows.stride * stage.cols.input * stage.channels)
    unit = chosen_method(stage).unit_rows(stage)
    rows = _even_rows(stage.rows.output, max(1, BLOCK_SAMPLES // row // unit) * unit, unit)
    # Each block of interpolated rows begins with many coarse rows.
    return rows if stage.rates[0] is None else 2 * rows


def _even_rows(rows: int, most: int, unit: int) -> int:
    """Return the rows of a block, in whole units, for the least even number of blocks: two threads take half of them.

    The blocks are as equal as units allow. All rows if they are at most ``most``.
    """
    if rows <= most:
        return -(-rows // unit) * unit
    least = -(-rows // most)
    for blocks in range(least + least % 2, rows // unit, 2):
        block = -(-rows // (blocks * unit)) * unit
        if -(-rows // block) % 2 == 0:
            return block
    return unit


def alone_block_rows(stage: StagePlan) -> int:
    """Return the block height of a stage that runs alone on its whole input.

    Blocks have whole steps, and their number is such that two or four threads get equal shares.
    """
    rows = stage.rows.output
    count = 8 if rows >= 8 * _LEAST_ROWS else 4 if rows >= 4 * _LEAST_ROWS else 2 if rows >= _LEAST_ROWS else 1
    count = max(count, 2 * -(-rows // (2 * _MOST_ROWS)))
    return stage.block_rows or -(-rows // (count * INTERLEAVED_ROWS)) * INTERLEAVED_ROWS


def written_block_rows(stage: StagePlan, dtype: np.dtype[np.generic]) -> int:
    """Return the block height of a stage alone on its whole input, whose result, of type ``dtype``, is written.

    A block stays in the cache until its rows are written.
    """
    rows, most = block_rows(stage, in_memory=True), alone_block_rows(stage)
    row_bytes = stage.cols.output * stage.output_channels * dtype.itemsize
    while 2 * rows <= most and 2 * rows * row_bytes <= _WRITTEN_BYTES:
        rows *= 2
    return min(rows, most)
