"""Which stages of a stack run together, band by band, and how many rows lie between them at a time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from convfilter.filters.multirate import Rates
from convfilter.filters.stage import Point, Pooling, UnsharpMask
from convfilter.planning.plan import Group, StagePlan
from convfilter.planning.ring import STEP_ROWS
from convfilter.planning.strips import REGION_ROWS

#: Samples of one block between two stages: what it is made of and the block itself stay in a core's cache.
BLOCK_SAMPLES = 2**19
#: Kept rows of a multirate Gaussian in one block, and rows of its input that they are apart, at most.
_KEPT_ROWS = 16
_KEPT_SEEN = 64
#: Ways whose own blocks are kept: a transform takes as many rows as it is high, running sums start anew in each block,
#: and a product of matrices need not give the same bytes in another size. So do means of real samples.
_OWN_BLOCKS = ("fourier", "box", "layer")


def groups(stages: Sequence[StagePlan]) -> tuple[Group, ...]:
    """Cut a stack into groups of stages that run together, first to last."""
    firsts = [0] + [number for number in range(1, len(stages)) if not _continues(stages[number - 1], stages[number])]
    return tuple(_group(stages, first, last) for first, last in zip(firsts, [*firsts[1:], len(stages)], strict=True))


def _continues(before: StagePlan, after: StagePlan) -> bool:
    """Whether ``after`` can take rows as ``before`` finishes them."""
    return before.algorithm != "orientation" and _takes_rows(after)


def _takes_rows(stage: StagePlan) -> bool:
    """Whether no row of the result depends on the whole input, as it does where a range is stretched."""
    operator = stage.stage.operator
    is_range = stage.stage.map == "stretch" or (isinstance(operator, Point) and operator.kind == "normalize")
    # A multirate blur has lost the rows that it started from when it is sharpened with.
    lost = isinstance(operator, UnsharpMask) and stage.algorithm == "multirate"
    return stage.algorithm != "orientation" and not is_range and not lost


def _group(stages: Sequence[StagePlan], first: int, last: int) -> Group:
    chosen = stages[first:last]
    if len(chosen) == 1:
        return Group(first, last)
    blocks = tuple(block_rows(stage) for stage in chosen)
    held = tuple(
        min(rows_seen(stage, block) + 2 * before, stage.rows.input)
        for stage, block, before in zip(chosen[1:], blocks[1:], blocks, strict=False)
    )
    return Group(first, last, blocks, held, held_bytes(chosen, held))


def held_bytes(stages: Sequence[StagePlan], held_rows: Sequence[int]) -> int:
    """Return what the rows held of each stage but the last take."""
    itemsize = np.dtype(np.float32).itemsize
    rows = zip(held_rows, stages, strict=False)
    between = sum(count * stage.cols.output * stage.output_channels * itemsize for count, stage in rows)
    return between + sum(_kept_bytes(stage) for stage in stages)


def _kept_bytes(stage: StagePlan) -> int:
    """Return what a multirate Gaussian keeps: rows before and after those along them."""
    rates = kept_rates(stage)
    if rates is None:
        return 0
    rows = 2 * kept_block_rows(rates) + rates.middle.size + rates.up.shape[1] + 2 * stage.block_rows // rates.step
    samples: int = rows * max(stage.cols.input, stage.cols.output) * stage.channels
    return samples * np.dtype(stage.precision).itemsize


def block_rows(stage: StagePlan) -> int:
    """Return how many output rows of a stage are computed at a time."""
    if stage.algorithm in _OWN_BLOCKS or stage.stage.operator == Pooling(
        "average", (stage.rows.kernel, stage.cols.kernel)
    ):
        return stage.block_rows
    operator = stage.stage.operator
    row = max(stage.rows.stride * stage.cols.input * stage.channels, stage.cols.output * stage.output_channels)
    # Whole regions are finished at a time where that takes more than loops.
    together = REGION_ROWS if stage.alpha or isinstance(operator, UnsharpMask) else STEP_ROWS
    return max(1, min(stage.block_rows, BLOCK_SAMPLES // row) // together) * together


def kept_rates(stage: StagePlan) -> Rates | None:
    """Return the steps down the columns of a stage that keeps few rows; None where it keeps none."""
    return stage.rates[0] if stage.algorithm == "multirate" else None


def kept_block_rows(rates: Rates) -> int:
    """Return how many kept rows of a multirate Gaussian are computed at a time: they look at many rows each."""
    return max(STEP_ROWS, min(_KEPT_ROWS, _KEPT_SEEN // rates.step) // STEP_ROWS * STEP_ROWS)


def rows_seen(stage: StagePlan, block: int) -> int:
    """Return how many rows of the padded input a block of output rows looks at."""
    if stage.algorithm == "fourier":
        return stage.sides[0]
    rates = kept_rates(stage)
    if rates is not None:
        return (kept_block_rows(rates) - 1) * rates.step + rates.down.size
    return (block - 1) * stage.rows.stride + stage.rows.span + 1
