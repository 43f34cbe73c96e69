"""Group the stages of a stack that run together, and size the line buffers between them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from convfilter.filters.multirate import Rates
from convfilter.filters.stage import Point, Pooling
from convfilter.planning.ring import STEP_ROWS
from convfilter.planning.stage_plan import Group, StagePlan
from convfilter.planning.strips import even_block_rows

#: Samples of one block between two stages: the block stays in a core's second cache until the next stage reads it.
BLOCK_SAMPLES = 2**18
#: Rows of the coarse grid in one block,
_COARSE_ROWS = 32
#: unless the whole grid has at most this many samples: then all rows are one block.
COARSE_SAMPLES = 2**21
#: Most source rows of a block of coarse rows, where a line buffer holds the source.
_COARSE_DEMAND = 256
#: Coarse rows of a group, of which one vector holds a sample each.
COARSE_GROUP = 16


def groups(stages: Sequence[StagePlan]) -> tuple[Group, ...]:
    """Cut a stack into groups of stages that run together, first to last."""
    firsts = [0] + [number for number in range(1, len(stages)) if not _takes_rows(stages[number])]
    ends = zip(firsts, [*firsts[1:], len(stages)], strict=True)
    return tuple(_group(stages, first, last) for first, last in ends)


def _takes_rows(stage: StagePlan) -> bool:
    """Whether rows can be computed before the whole input is known: not if the stage must know a range first."""
    operator = stage.stage.operator
    needs_range = stage.stage.map == "stretch" or (isinstance(operator, Point) and operator.kind == "normalize")
    return not needs_range


def _group(stages: Sequence[StagePlan], first: int, last: int) -> Group:
    chosen = stages[first:last]
    if len(chosen) == 1:
        return Group(first, last)
    blocks = tuple(block_rows(stage) for stage in chosen)
    held = tuple(
        min(rows_needed(stage, block) + 2 * before, stage.rows.input)
        for stage, block, before in zip(chosen[1:], blocks[1:], blocks, strict=False)
    )
    return Group(first, last, blocks, held, held_bytes(chosen, held))


def held_bytes(stages: Sequence[StagePlan], held_rows: Sequence[int]) -> int:
    """Return the bytes of the line buffers behind each stage but the last."""
    held = sum(
        count * stage.cols.output * stage.output_channels * stage.result.itemsize
        for count, stage in zip(held_rows, stages, strict=False)
    )
    return held + sum(_decimated_bytes(stage) for stage in stages)


def _decimated_bytes(stage: StagePlan) -> int:
    """Return the bytes of a multirate Gaussian's decimated rows, before and after their horizontal pass."""
    rates = coarse_rates(stage)
    if rates is None:
        return 0
    rows = 2 * COARSE_GROUP + rates.blur.size + rates.interpolation_taps + 2 * stage.block_rows // rates.step
    samples: int = rows * max(stage.cols.input, stage.cols.output) * stage.channels
    return samples * np.dtype(stage.precision).itemsize


def block_rows(stage: StagePlan) -> int:
    """Return the block height of a stage that runs in a group."""
    if _has_own_blocks(stage):
        return stage.block_rows
    row = max(stage.rows.stride * stage.cols.input * stage.channels, stage.cols.output * stage.output_channels)
    unit = stage.unit_rows
    rows = _even_rows(stage.rows.output, max(1, BLOCK_SAMPLES // row // unit) * unit, unit)
    # Each block of interpolated rows begins with many coarse rows.
    return rows if coarse_rates(stage) is None else 2 * rows


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
    """Return the block height of a stage that runs alone on its whole input."""
    return stage.block_rows if _has_own_blocks(stage) else even_block_rows(stage.rows.output)


def _has_own_blocks(stage: StagePlan) -> bool:
    operator = stage.stage.operator
    is_mean = isinstance(operator, Pooling) and operator.kind == "average"
    return stage.has_own_blocks or (is_mean and not stage.by_taps)


def coarse_rates(stage: StagePlan) -> Rates | None:
    """Return the vertical rates of a multirate stage, or None."""
    return stage.rates[0] if stage.algorithm == "multirate" else None


def coarse_block_rows(stage: StagePlan, count: int, *, alone: bool) -> int:
    """Return the block height on a coarse grid of ``count`` rows.

    All rows if they fit the cache and the whole input is in memory; else few rows, since each needs many source rows.
    """
    rates = coarse_rates(stage)
    assert rates is not None
    row = max(stage.cols.input + 1, stage.cols.output) * stage.channels
    if alone:
        rows = count if count * row <= COARSE_SAMPLES else min(count, _COARSE_ROWS)
        return -(-rows // COARSE_GROUP) * COARSE_GROUP
    sizes = 2 * COARSE_GROUP, COARSE_GROUP
    return next((rows for rows in sizes if rows * rates.step <= _COARSE_DEMAND), STEP_ROWS)


def rows_needed(stage: StagePlan, block: int) -> int:
    """Return the rows of the padded input that a block of output rows needs."""
    if stage.algorithm == "fourier":
        return stage.sides[0]
    rates = coarse_rates(stage)
    if rates is not None:
        return (coarse_block_rows(stage, COARSE_GROUP, alone=False) - 1) * rates.step + rates.decimation.size
    return (block - 1) * stage.rows.stride + stage.rows.span + 1
