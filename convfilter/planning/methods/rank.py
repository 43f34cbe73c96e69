"""Rank filters: networks, blocks, cost and memory."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from convfilter.filters.kernel import Kernel
from convfilter.filters.operators import Rank
from convfilter.planning.method import Method, grid_of_samples, no_passes
from convfilter.planning.networks import Network, of_rectangle, of_taps
from convfilter.planning.precision import samples_fit
from convfilter.planning.task import Task

if TYPE_CHECKING:
    from convfilter.planning.stage_plan import StagePlan

#: Most taps of a window for a selection network.
_MOST_TAPS = 225
#: Most samples of a window whose histogram fits 16-bit counts.
_MOST_COUNTED = 2**16 - 1
#: Columns whose histograms fit a core's L2 cache.
_HISTOGRAM_COLS = 640
#: Approximate bytes of a tile, which fits a core's L2 cache; and its output rows.
_TILE_BYTES = 2**20
_LEAST_ROWS, _MOST_ROWS = 16, 128
#: Rows between two restarts of histograms: in windows, and at least.
_WINDOWS, _ROWS = 4, 128
#: Cost of column histograms for a sample: two updates, sixteen coarse bins twice, and the fine bins of one of them.
_HISTOGRAM_COST = 100.0
#: Cost of a search in a histogram, and of each sample that enters or leaves it.
_SEARCH_COST, _UPDATE_COST = 60.0, 6.0
#: Cost of ranking a real sample among all samples of a tile.
_KEY_COST = 300.0


def rank_of(fraction: float, count: int) -> tuple[int, float]:
    """Return the rank (from 0) and the fraction towards the next rank: ``numpy.percentile`` with method linear."""
    place = (count - 1) * fraction
    first = min(int(place), count - 1)
    return first, place - first


def ranks_of(operator: Rank) -> tuple[int, int]:
    """Return the two ranks that the result interpolates."""
    first, share = rank_of(operator.fraction, operator.kernel.nonzeros)
    return first, first + (share > 0)


@lru_cache
def valid_ranks_of(fraction: float, most: int) -> tuple[int, ...]:
    """Return the ranks that results interpolate if 1 to ``most`` samples of a window are valid, rising."""
    firsts = (rank_of(fraction, count) for count in range(1, most + 1))
    return tuple(sorted({rank for first, share in firsts for rank in (first, first + (share > 0))}))


def network_of(kernel: Kernel, ranks: tuple[int, ...]) -> Network:
    """Return the network for a window."""
    each = tuple(dict.fromkeys(ranks))
    return of_rectangle(*kernel.shape, each) if kernel.is_box else of_taps(kernel.nonzeros, each)


@lru_cache
def _pairs(shape: tuple[int, int], count: int, ranks: tuple[int, ...]) -> int:
    each = tuple(dict.fromkeys(ranks))
    if shape[0] * shape[1] == count:
        return len(of_rectangle(*shape, each).pairs)
    return len(of_taps(count, each).pairs)


def can_compare(task: Task) -> bool:
    """Whether a network can select the rank: few taps, each with one vote."""
    return (not task.alpha or bool(task.mask)) and task.kernel.nonzeros <= _MOST_TAPS


def can_count_columns(task: Task) -> bool:
    """Whether column histograms apply: full rectangles of bytes, without dilation."""
    operator, kernel = task.stage.operator, task.kernel
    has_votes = task.alpha and not task.mask
    has_bytes = task.dtype == np.uint8 and not has_votes and not task.gray and task.pads_with_samples
    if not isinstance(operator, Rank) or not has_bytes or not kernel.is_box or kernel.nonzeros > _MOST_COUNTED:
        return False
    return task.stage.stride == task.stage.dilation == (1, 1)


def _compared_bytes(task: Task) -> int:
    """Return the bytes of a sample that is compared: integers as they are, others as keys."""
    return task.dtype.itemsize if task.dtype.kind == "u" and task.pads_with_samples and not task.gray else 4


def network_cost(task: Task) -> float:
    """Return the comparisons of a network for one sample, times the bytes of a sample: fewer samples fit a vector.

    With a mask, the network sorts all ranks that may be needed, and two are chosen.
    """
    operator = task.stage.operator
    assert isinstance(operator, Rank)
    itemsize, count = _compared_bytes(task), task.kernel.nonzeros
    if task.mask:
        ranks = valid_ranks_of(operator.fraction, count)
        return float((_pairs(task.kernel.shape, count, ranks) + 2 * len(ranks)) * itemsize)
    return float(_pairs(task.kernel.shape, count, ranks_of(operator)) * itemsize)


def histogram_cost(_task: Task) -> float:
    """Return the cost of column histograms, which is the same for any window."""
    return _HISTOGRAM_COST


def sliding_cost(task: Task) -> float:
    """Return the cost of a histogram that slides along the rows."""
    cells = task.kernel.matrix != 0
    entering = int(np.count_nonzero(cells[:, -1])) + int(np.count_nonzero(cells[:, :-1] & ~cells[:, 1:]))
    keys = 0.0 if task.dtype.kind == "u" else _KEY_COST
    return 2 * entering * _UPDATE_COST * min(task.cols.stride, task.cols.kernel) + _SEARCH_COST + keys


def _block_rows(task: Task) -> int:
    rows = task.rows
    fitting = _TILE_BYTES // (task.cols.padded * task.channels * rows.stride * _compared_bytes(task))
    return max(_LEAST_ROWS, min(_MOST_ROWS, fitting), -(-rows.span // (2 * rows.stride)))


def histogram_cols(plan: StagePlan) -> int:
    """Return the output columns of a strip of column histograms."""
    return min(plan.cols.output, max(_HISTOGRAM_COLS, 2 * plan.cols.kernel))


def _samples(plan: StagePlan, cols: int) -> tuple[int, int]:
    """Return the samples of a tile for ``cols`` columns of a block, and of its result."""
    rows = plan.block_rows * plan.rows.stride + plan.rows.span
    tile = rows * (cols * plan.cols.stride + plan.cols.span) * plan.channels
    return tile, plan.block_rows * cols * plan.channels


def _network_bytes(plan: StagePlan, _task: Task) -> int:
    """Return the approximate bytes of one thread: a tile and its result; with a mask, keys and marks, too."""
    tile, outputs = _samples(plan, plan.cols.output)
    return (12 if plan.masked else 4) * tile + 12 * outputs


def _histogram_bytes(plan: StagePlan, _task: Task) -> int:
    """Return the approximate bytes of one thread: a tile, its result, histograms."""
    cols = histogram_cols(plan)
    tile, outputs = _samples(plan, cols)
    return (3 if plan.masked else 1) * tile + 2 * outputs + 2 * 288 * (cols * plan.cols.stride + plan.cols.span)


def _sliding_bytes(plan: StagePlan, _task: Task) -> int:
    """Return the approximate bytes of one thread: a tile, its keys, its result, a histogram."""
    tile, outputs = _samples(plan, plan.cols.output)
    return 24 * tile + 32 * outputs + 4 * 2**16


NETWORK = Method(
    "network",
    network_cost,
    can_compare,
    multiply_add_time=0.25,
    block_rows=_block_rows,
    grid=grid_of_samples,
    scratch_bytes=_network_bytes,
    joins_masks=True,
    fits_single=samples_fit,
    passes=no_passes,
)
HISTOGRAMS = Method(
    "histograms",
    histogram_cost,
    can_count_columns,
    multiply_add_time=3.0,
    block_rows=lambda task: max(_ROWS, _WINDOWS * task.rows.kernel),
    grid=grid_of_samples,
    scratch_bytes=_histogram_bytes,
    joins_masks=True,
    fits_single=samples_fit,
    passes=no_passes,
)
SLIDING = Method(
    "sliding",
    sliding_cost,
    multiply_add_time=3.0,
    block_rows=_block_rows,
    grid=grid_of_samples,
    scratch_bytes=_sliding_bytes,
    joins_masks=True,
    fits_single=samples_fit,
    passes=no_passes,
)
