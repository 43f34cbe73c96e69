"""How samples of a rank are found: by which network, in what parts, and what that takes."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from convfilter.filters.kernels import Kernel
from convfilter.filters.stage import Rank
from convfilter.planning.networks import Network, of_rectangle, of_taps
from convfilter.planning.task import Task

if TYPE_CHECKING:
    from convfilter.planning.stage_plan import StagePlan

#: Taps of a window whose samples are found by a network, at most.
_MOST_TAPS = 225
#: Samples of the largest window whose histogram's counts fit 16 bits.
_MOST_COUNTED = 2**16 - 1
#: Columns whose histograms stay in a core's L2 cache.
_HISTOGRAM_COLS = 640
#: Samples of a tile, about; and rows of one at least, since each sees those of a window once more.
TILE_SAMPLES = 2**18
_LEAST_ROWS = 16
#: Rows between two starts of histograms, in windows, and at least.
_WINDOWS, _ROWS = 4, 128
#: What histograms of columns take: counts of a sample that enters and leaves, sixteen bins twice, levels that follow.
_BY_COLUMNS = 100.0
#: What finding a rank in a histogram takes, and what each sample that enters or leaves does.
_FIND, _EACH = 60.0, 6.0
#: What ordering real samples by their place takes.
_ORDER = 300.0


def rank_of(fraction: float, count: int) -> tuple[int, float]:
    """Return the rank, from 0, and the share of the way to the next one: ``numpy.percentile`` with method linear."""
    place = (count - 1) * fraction
    first = min(int(place), count - 1)
    return first, place - first


def ranks_of(operator: Rank) -> tuple[int, int]:
    """Return the two ranks between which the result lies."""
    first, share = rank_of(operator.fraction, operator.kernel.nonzeros)
    return first, first + (share > 0)


def network_of(kernel: Kernel, ranks: tuple[int, int]) -> tuple[Network, bool]:
    """Return the network for a window, and whether that is a whole rectangle."""
    each = tuple(dict.fromkeys(ranks))
    if kernel.is_box:
        return of_rectangle(*kernel.shape, each), True
    return of_taps(kernel.nonzeros, each), False


@lru_cache
def _pairs(shape: tuple[int, int], count: int, ranks: tuple[int, int]) -> int:
    each = tuple(dict.fromkeys(ranks))
    if shape[0] * shape[1] == count:
        return len(of_rectangle(*shape, each).pairs)
    return len(of_taps(count, each).pairs)


def can_compare(task: Task) -> bool:
    """Whether a network can find the rank: few taps, each with one vote."""
    operator = task.stage.operator
    return isinstance(operator, Rank) and not task.alpha and task.kernel.nonzeros <= _MOST_TAPS


def can_count_columns(task: Task) -> bool:
    """Whether columns can have histograms: rectangles of bytes, next to each other."""
    operator, kernel = task.stage.operator, task.kernel
    plain = task.dtype == np.uint8 and not task.alpha and not task.gray and task.pads_with_samples
    if not isinstance(operator, Rank) or not plain or not kernel.is_box or kernel.nonzeros > _MOST_COUNTED:
        return False
    return task.stage.stride == task.stage.dilation == (1, 1)


def can_slide(task: Task) -> bool:
    """Whether a rank is asked for at all."""
    return isinstance(task.stage.operator, Rank)


def comparisons(task: Task) -> float:
    """Return how many comparisons of a network one sample takes, in bytes: a vector holds as many."""
    operator = task.stage.operator
    assert isinstance(operator, Rank)
    itemsize = task.dtype.itemsize if task.dtype.kind == "u" and task.pads_with_samples and not task.gray else 4
    return float(_pairs(task.kernel.shape, task.kernel.nonzeros, ranks_of(operator)) * itemsize)


def by_columns(_task: Task) -> float:
    """Return what histograms of columns take, for any window."""
    return _BY_COLUMNS


def by_sliding(task: Task) -> float:
    """Return what a histogram takes that slides along the rows."""
    cells = task.kernel.matrix != 0
    entering = int(np.count_nonzero(cells[:, -1])) + int(np.count_nonzero(cells[:, :-1] & ~cells[:, 1:]))
    order = 0.0 if task.dtype.kind == "u" else _ORDER
    return 2 * entering * _EACH * min(task.cols.stride, task.cols.kernel) + _FIND + order


def rank_block_rows(task: Task, algorithm: str) -> int:
    """Return how many output rows are computed at a time."""
    rows = task.rows
    if algorithm == "histograms":
        return max(_ROWS, _WINDOWS * rows.kernel)
    fitting = TILE_SAMPLES // (task.cols.padded * task.channels * rows.stride)
    return max(_LEAST_ROWS, min(64, fitting), -(-rows.span // (2 * rows.stride)))


def strip_cols(plan: StagePlan) -> int:
    """Return how many output columns are computed at a time."""
    if plan.algorithm == "histograms":
        return max(_HISTOGRAM_COLS, 2 * plan.cols.kernel)
    return plan.cols.output


def rank_bytes(plan: StagePlan) -> int:
    """Return the memory of one thread, about: a tile, its keys, what was found, histograms."""
    cols = min(plan.cols.output, strip_cols(plan)) * plan.cols.stride + plan.cols.span
    tile = (plan.block_rows * plan.rows.stride + plan.rows.span) * cols * plan.channels
    found = plan.block_rows * min(plan.cols.output, strip_cols(plan)) * plan.channels
    if plan.algorithm == "histograms":
        return tile + 2 * found + 2 * 288 * cols
    if plan.algorithm == "network":
        return 4 * tile + 12 * found
    return 24 * tile + 32 * found + 4 * 2**16
