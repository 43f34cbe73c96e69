"""The declaration of a method: what it can compute, its cost, sizes and error, and whether it spreads infinities."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

import numpy as np

from convfilter.filters.factors import Product
from convfilter.filters.kernel import Weights
from convfilter.filters.multirate import Rates
from convfilter.planning.arithmetic import AxisPlan
from convfilter.planning.precision import Precision, sums_fit
from convfilter.planning.ring import STEP_ROWS
from convfilter.planning.strips import INTERLEAVED_ROWS, PERSISTENT_BYTES, TapRows
from convfilter.planning.task import Task
from convfilter.record import NamedTuple, record

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
#: Methods of operators that have a single method, which no user can choose.
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


#: Kinds of pictures in the error budget: constant, constant along an axis, varied along both; any is a quick bound.
Pictures: TypeAlias = Literal["flat", "lined", "varied", "any"]
#: Passes of sums, one after another: the weights of each in the order of summation.
Cascade: TypeAlias = tuple[Weights, ...]


def even(terms: int, total: float = 1.0) -> Cascade:
    """Return a pass of ``terms`` equal weights with a sum of ``total``."""
    return (np.full(terms, total / terms),)


@record
class Reach:
    """Rows of the input, on an axis that padding continues: from ``begin`` to ``stop - 1``.

    A chunk may begin where the place of its first row is a multiple of ``step``.
    """

    begin: int
    stop: int
    step: int = 1


def always(_any: Task | StagePlan) -> bool:
    """Return True, for every task and plan."""
    return True


def window_bytes(plan: StagePlan, _task: Task | None = None) -> int:
    """Return the bytes of a sliding window: the ring of loaded rows, the rows between two passes, and the sums."""
    rows, cols, channels, itemsize = plan.rows, plan.cols, plan.channels, np.dtype(plan.precision).itemsize
    window = plan.sliding_window
    if window:
        rings, strips = window.ring_bytes(plan), -(-cols.output // window.cols)
        loaded = (window.cols * min(cols.stride, cols.kernel) + cols.span) * channels
        sums = itemsize * STEP_ROWS * (loaded + 2 * window.cols * channels)
        total = sums + (rings if rings <= PERSISTENT_BYTES else -(-rings // strips))
        return max(total, plan.interleaving.scratch_bytes(plan) if plan.interleaving else 0)
    return rows_bytes(plan, rows.kernel)


def rows_bytes(plan: StagePlan, read: int) -> int:
    """Return the bytes of a step's rows, and of the ``read`` source rows under its windows, in full width."""
    row = max(plan.cols.input + 1, plan.cols.output) * plan.channels * np.dtype(plan.precision).itemsize
    return 4 * STEP_ROWS * row + min(read * row, PERSISTENT_BYTES)


def rows_of_windows(plan: StagePlan, block: int) -> int:
    """Return the rows of the padded input from the first window of ``block`` neighbouring output rows to the last."""
    return (block - 1) * plan.rows.stride + plan.rows.span + 1


def window_reach(axis: AxisPlan, first: int, end: int) -> Reach:
    """Return the rows under the windows of outputs ``first`` to ``end - 1``."""
    return Reach(first * axis.stride - axis.before, (end - 1) * axis.stride - axis.before + axis.span + 1)


def _own_factors(task: Task) -> tuple[Product, ...]:
    return () if task.kernel.factors is None else (task.kernel.factors,)


def never(_any: Task | StagePlan) -> bool:
    """Return False, for every task and plan."""
    return False


def _taps(plan: StagePlan) -> tuple[Cascade, ...]:
    return (even(plan.kernel.nonzeros, plan.kernel.absolute_sum),) if plan.kernel.nonzeros else ()


def no_passes(_plan: StagePlan) -> tuple[Cascade, ...]:
    """Return the passes of a method that sums nothing."""
    return ()


@record
class Grid:
    """Where chunks of a stage's result may begin, for the same bits as in the whole result.

    The rounding of a sum depends on the order of its terms, which some methods choose by position within a block, tile
    or band. So chunks begin and end where blocks do.

    Attributes
    ----------
    rows, cols : int
        Chunks begin at multiples of these outputs; ``cols`` 0: each chunk has the full width.
    ahead : (rows, cols)
        Outputs past a chunk's end that are computed and dropped.
    near_border : bool
        Whether chunks at the border are padded like the picture in every mode: their padding repeats rows near it.
    has_borders : bool
        Whether a chunk is a separate picture with its own padding; outputs that read the padding at a cut are dropped.
    indivisible : bool
        Whether the result cannot be split.
    """

    rows: int = STEP_ROWS
    cols: int = 1
    ahead: tuple[int, int] = (0, 0)
    near_border: bool = False
    has_borders: bool = False
    indivisible: bool = False


def grid_of_samples(_plan: StagePlan) -> Grid:
    """Return the grid of methods whose results are exact, or computed sample by sample: chunks begin anywhere."""
    return Grid(1, 1)


def grid_of_pictures(plan: StagePlan) -> Grid:
    """Return the grid of exact results of several passes, each of which pads the result of the one before."""
    down, along = plan.padding_modes
    return unsplit(plan) if down == "wrap" else Grid(1, 0 if along == "wrap" else 1, has_borders=True)


def unsplit(plan: StagePlan) -> Grid:
    """Return the grid of a result that cannot be split."""
    return Grid(plan.rows.output, 0, indivisible=True)


class Method(NamedTuple):
    """The planner's view of a method; the module of the same name in ``methods/`` computes it.

    Attributes
    ----------
    name : str
    multiply_adds : callable
        Multiply-adds (or comparisons) for one output sample of a task.
    can : callable
        Whether the method can compute a task.
    multiply_add_time, sample_time : float
        Measured time of one multiply-add, and of moving one sample, in multiply-adds of the direct method in float32.
    extra_time : callable
        More time for each sample of some tasks.
    block_rows : callable
        Output rows of one block, if another height costs more or rounds differently; 0: the planner chooses it.
    unit_rows : callable
        Rows that a block height in a group is a multiple of: steps of programs, or pieces of running extremes.
    rows_read : callable
        Rows of the padded input that a block reads in a group, from the plan and the block's height.
    buffer_bytes : callable
        Bytes of the line buffers between the nodes of the method in a group.
    grid : callable
        The ``Grid`` of a plan for the whole picture.
    reach : callable
        The ``Reach`` of some outputs, from the plan, the first output and the one after the last.
    tap_rows : callable
        The ``TapRows`` of a plan, or None for methods without a sliding window.
    scratch_bytes : callable
        Working memory of one thread, from the plan and its task.
    products, rates, sides : callable
        The fields of these names in a ``StagePlan``.
    by_taps : callable
        Whether means are summed tap by tap, in a sliding window.
    joins_masks : bool
        Whether rows are loaded by ``Source.load``, ``load_calls`` or ``copy_call`` alone, which join a mask to them.
    spreads : bool
        Whether an infinite sample or a NaN reaches outputs whose windows do not contain it.
    hides : bool
        Whether a large finite sample may hide small ones in the rounding of a transform.
    fits_single : callable
        Whether float32 sums keep the promises about errors for a task without samples that need float64.
    fits_previews : bool
        Whether previews of real samples take float32 sums, whatever ``fits_single`` says.
    passes, coarse_passes : callable
        Passes of rounded sums, for the error budget: those over all samples, and those over decimated ones.
    left_out : callable
        Share of the kernel's weight that the method misplaces or leaves out, from the plan and the kind of pictures; a
        bound.
    """

    name: Algorithm
    multiply_adds: Callable[[Task], float]
    can: Callable[[Task], bool] = always
    multiply_add_time: float = 1.0
    sample_time: float = 0.0
    extra_time: Callable[[Task], float] = lambda _task: 0.0
    block_rows: Callable[[Task], int] = lambda _task: 0
    unit_rows: Callable[[StagePlan], int] = lambda _plan: INTERLEAVED_ROWS
    rows_read: Callable[[StagePlan, int], int] = rows_of_windows
    buffer_bytes: Callable[[StagePlan], int] = lambda _plan: 0
    grid: Callable[[StagePlan], Grid] = lambda _plan: Grid()
    reach: Callable[[StagePlan, int, int], Reach] = lambda plan, first, end: window_reach(plan.rows, first, end)
    tap_rows: Callable[[StagePlan], TapRows | None] = lambda _plan: None
    scratch_bytes: Callable[[StagePlan, Task], int] = window_bytes
    products: Callable[[Task], tuple[Product, ...]] = _own_factors
    rates: Callable[[Task], tuple[Rates | None, Rates | None]] = lambda _task: (None, None)
    sides: Callable[[Task], tuple[int, int]] = lambda _task: (0, 0)
    by_taps: Callable[[Task], bool] = never
    joins_masks: bool = False
    spreads: bool = False
    hides: bool = False
    fits_single: Callable[[Task], bool] = sums_fit
    fits_previews: bool = False
    passes: Callable[[StagePlan], tuple[Cascade, ...]] = _taps
    coarse_passes: Callable[[StagePlan], tuple[Cascade, ...]] = no_passes
    left_out: Callable[[StagePlan, Pictures], float] = lambda _plan, _pictures: 0.0

    def precision(self, task: Task) -> Precision:
        """Return the type of the sums of a task."""
        needs_double = task.is_precise or task.accuracy == "float64"
        return "float64" if needs_double or not self.fits_single(task) else "float32"

    def time(self, task: Task) -> float:
        """Return the approximate time of one output sample."""
        vectors = 2.0 if self.precision(task) == "float64" else 1.0
        moving = self.sample_time + self.extra_time(task)
        return vectors * (self.multiply_add_time * self.multiply_adds(task) + moving)
