"""The declaration of a method: which tasks it can compute, its cost, its sizes, its error, non-finite samples."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias, get_args

import numpy as np

from convfilter.filters.factors import Product
from convfilter.filters.multirate import Rates
from convfilter.planning.precision import precision
from convfilter.planning.ring import STEP_ROWS
from convfilter.planning.strips import OWN_BYTES, stream_block_rows
from convfilter.planning.task import Task

if TYPE_CHECKING:
    from convfilter.planning.stage_plan import StagePlan

#: Methods that ``algorithm`` can name.
Choice: TypeAlias = Literal[
    "direct",
    "separable",
    "lowrank",
    "box",
    "multirate",
    "fourier",
    "gradient",
    "pooling",
    "network",
    "histograms",
    "sliding",
]
#: Methods of operators that have no other.
_Only: TypeAlias = Literal[
    "morphology",
    "compass",
    "canny",
    "guided",
    "bilateral",
    "points",
    "orientation",
    "layer",
    "response",
    "softmax",
    "indices",
    "constant",
    "join",
]
Algorithm: TypeAlias = Choice | _Only
ALGORITHMS: tuple[Choice, ...] = get_args(Choice)


def _always(_task: Task) -> bool:
    return True


def _stream_rows(task: Task) -> int:
    return stream_block_rows(task.rows)


def stream_bytes(plan: StagePlan, _task: Task) -> int:
    """Return the bytes of the loaded tile, the rows between two passes, and the sums."""
    rows, cols, channels, itemsize = plan.rows, plan.cols, plan.channels, np.dtype(plan.precision).itemsize
    stream = plan.stream
    if stream:
        held, strips = stream.held_bytes(plan), -(-cols.output // stream.cols)
        loaded = (stream.cols * min(cols.stride, cols.kernel) + cols.span) * channels
        beside = itemsize * STEP_ROWS * (loaded + 2 * stream.cols * channels)
        total = held + strips * beside if held <= OWN_BYTES else -(-held // strips) + beside
        return max(total, plan.interleaving.scratch_bytes(plan) if plan.interleaving else 0)
    row = max(cols.input + 1, cols.output) * channels * itemsize
    read = rows.kernel if plan.rates[0] is None else plan.rates[0].decimation.size + STEP_ROWS * plan.rates[0].step
    return 4 * STEP_ROWS * row + min(read * row, OWN_BYTES)


def _own_factors(task: Task) -> tuple[Product, ...]:
    return () if task.kernel.factors is None else (task.kernel.factors,)


def _never(_task: Task) -> bool:
    return False


def _no_rates(_task: Task) -> tuple[Rates | None, Rates | None]:
    return None, None


def _no_sides(_task: Task) -> tuple[int, int]:
    return 0, 0


def _taps(plan: StagePlan) -> int:
    return plan.kernel.nonzeros


def _nothing(_plan: StagePlan) -> float:
    return 0.0


class Method(NamedTuple):
    """A method as the planner knows it; ``methods/`` has the module of the same name that computes it.

    Attributes
    ----------
    name : str
    multiply_adds : callable
        Multiply-adds (or comparisons) for one output sample of a task.
    can : callable
        Whether it can compute a task.
    each, overhead : float
        Measured time of one multiply-add, and of moving one sample, in multiply-adds of the direct method in float32.
    block_rows : callable
        Output rows of one block.
    has_own_blocks : bool
        Whether the block height is fixed, because another one costs more or rounds differently.
    scratch_bytes : callable
        Working memory of one thread, from the plan and its task.
    products, rates, sides : callable
        What the plan holds for the method; see ``StagePlan``.
    by_taps : callable
        Whether means are summed tap by tap, in a sliding window.
    spreads : bool
        Whether an infinite sample or a NaN reaches outputs whose windows do not contain it.
    terms : callable
        Rounded additions of one output sample, for the error budget.
    left_out : callable
        Share of the kernel's weight that the method misplaces or leaves out; a bound.
    """

    name: Algorithm
    multiply_adds: Callable[[Task], float]
    can: Callable[[Task], bool] = _always
    each: float = 1.0
    overhead: float = 0.0
    block_rows: Callable[[Task], int] = _stream_rows
    has_own_blocks: bool = False
    scratch_bytes: Callable[[StagePlan, Task], int] = stream_bytes
    products: Callable[[Task], tuple[Product, ...]] = _own_factors
    rates: Callable[[Task], tuple[Rates | None, Rates | None]] = _no_rates
    sides: Callable[[Task], tuple[int, int]] = _no_sides
    by_taps: Callable[[Task], bool] = _never
    spreads: bool = False
    terms: Callable[[StagePlan], int] = _taps
    left_out: Callable[[StagePlan], float] = _nothing

    def time(self, task: Task) -> float:
        """Return the approximate time of one output sample."""
        vectors = 2.0 if precision(task, self.name) == "float64" else 1.0
        return vectors * (self.each * self.multiply_adds(task) + self.overhead)
