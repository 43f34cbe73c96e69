"""Weighted means of the valid pixels of each window, band by band.

The mask is a further channel, and colours of ignored pixels are 0. The weighted sum of the mask is the sum of the
weights on valid pixels; the epilogue divides the sums of the colours by it. Bands that read no ignored pixel are
filtered without the mask. Neighbouring bands that are filtered alike are joined: each span of bands reads rows around
it, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from math import ceil, log2
from typing import TypeAlias

import numpy as np

from convfilter.engine.buffer import Samples
from convfilter.engine.masked import Filled, Masked
from convfilter.engine.threads import run_blocks
from convfilter.executor.bands import band, joined, joins_mask, reach_of, run_band, run_parts
from convfilter.executor.chunks import run_chunk_to
from convfilter.executor.held import Held, Span, Valid
from convfilter.executor.masked_box import MaskedBox, is_unscaled_box
from convfilter.executor.patches import with_mask
from convfilter.executor.run import run_array
from convfilter.executor.validity import Validity
from convfilter.filters.kernels import box
from convfilter.filters.operators import Correlation
from convfilter.filters.stage import Stage
from convfilter.planning import Plan
from convfilter.planning.plan_cache import cached_plan
from convfilter.record import record

#: A share of 1, and the least share of valid pixels within a sigma of each valid pixel for which the multirate method
#: may use the narrower windows of 8-bit results. At a straight edge of a region the share is 1/2, at a
#: right-angled corner 1/4.
_ALL, _DENSE = 255, 51
#: Largest copy of neighbouring rows with their mask that is filtered at a time; a single band may take more. Low spans
#: read many rows twice.
MOST_BYTES = 2**26
#: Largest whole number up to which float32 holds all, and largest divisor of a sum, as in ``engine/store.py``.
_SINGLE_WHOLE, _MOST_DIVISOR = 2**24, 2**15
#: Pixels around columns are counted in whole steps of so many columns, since plans are cached by width.
_COUNTED = 512


class Means:
    """Bands of weighted means.

    Parameters
    ----------
    unmasked, dense, sparse : Plan
        Plans of one stage: without a mask, and with a mask as a further channel, of which few or many pixels are 0.
    out_dtype : dtype
    """

    in_turn = True

    def __init__(self, unmasked: Plan, dense: Plan, sparse: Plan, out_dtype: np.dtype[np.generic]) -> None:
        self.plans: tuple[Plan, ...] = unmasked, dense, sparse
        self._box = MaskedBox(unmasked) if is_unscaled_box(unmasked) and out_dtype == unmasked.dtype else None
        unit = unit_of(unmasked) if out_dtype == np.uint8 else 0.0
        self._counted = _Counted(unit) if unit > 0 else None
        self._computations: dict[int, Computation] = {}

    def reach(self, span: Span) -> Span:
        """Return the rows of the source that some rows of the result read."""
        return reach_of(self.plans, span)

    def spans(self, held: Held, bands: Sequence[Span], threads: int) -> list[Span]:
        """Return spans of neighbouring bands that are computed alike."""
        computations: dict[int, Computation] = {}

        def find(span: Span) -> None:
            computations[span[0]] = self._computation(held, span)

        run_blocks(bands, find, threads)
        spans: list[Span] = []
        for _, group in groupby(bands, key=lambda span: id(computations[span[0]])):
            alike = list(group)
            computation = computations[alike[0][0]]
            plan = computation if isinstance(computation, Plan) else self.plans[0]
            spans += joined(alike, self._pieces(plan, alike), plan)
        self._computations = computations
        return spans

    def run(self, held: Held, span: Span, out: Samples, threads: int) -> int:
        """Write the rows of a span."""
        computation = self._computations.get(span[0]) or self._computation(held, span)
        if isinstance(computation, MaskedBox):
            box = computation
            run_parts(span, threads, lambda part, rows: box.run(held, part, out[rows]))
            return 0
        if computation is self.plans[0]:
            return run_band(computation, held, span, out, threads)
        plan = computation if isinstance(computation, Plan) else self.plans[0]
        chunk = band(plan.stages[0], span)
        pixels, valid = held.rows(chunk.rows.ranges)
        if isinstance(computation, _Counted):
            return run_chunk_to(plan, 0, chunk, Filled(pixels, valid, computation.unit), out, threads)
        joins = joins_mask(plan)
        masked = Masked(pixels, valid) if joins else with_mask(pixels, valid, 1, threads=threads)
        return run_chunk_to(plan, 0, chunk, masked, out, threads)

    def marks_results(self, span: Span, validity: Validity) -> bool:
        """Whether :meth:`run_marked` may compute a span of :meth:`spans` instead of :meth:`run`."""
        return isinstance(self._computations.get(span[0]), MaskedBox)

    def run_marked(self, held: Held, span: Span, out: Samples, valid: Valid, validity: Validity, threads: int) -> None:
        """Write the rows of a span, 0 where they are not valid, and their valid pixels."""
        box = self._box
        assert box is not None

        def run(part: Span, rows: slice) -> None:
            marks = validity.centres(held, part), valid[rows]
            box.run(held, part, out[rows], marks, finds=bool(validity.plans))

        run_parts(span, threads, run)

    def _computation(self, held: Held, span: Span) -> Computation:
        """Return the plan or the loop that computes a band, chosen by its mask."""
        unmasked, dense, sparse = self.plans
        if held.are_valid(band(sparse.stages[0], span).rows.ranges):
            return unmasked
        if self._box is not None:
            return self._box
        if self._counted is not None:
            return self._counted
        return dense if dense.stages[0].rates == sparse.stages[0].rates or self._is_dense(held, span) else sparse

    def _pieces(self, plan: Plan, bands: Sequence[Span]) -> int:
        """Return the least number of spans whose rows, with their mask, take at most ``MOST_BYTES``."""
        if plan is self.plans[0] or joins_mask(plan):
            return 1
        first, last = reach_of([plan], (bands[0][0], bands[-1][1]))
        row_bytes = plan.stages[0].cols.input * plan.stages[0].channels * plan.dtype.itemsize
        return -(-(last - first) * row_bytes // MOST_BYTES)

    def _is_dense(self, held: Held, span: Span) -> bool:
        """Whether each valid pixel that a band reads has a share of at least ``_DENSE`` valid pixels around it."""
        stage = self.plans[1].stages[0]
        assert stage.kernel.sigma is not None
        _, valid = held.rows(band(stage, span).rows.ranges)
        return are_dense(valid, *(ceil(sigma) for sigma in stage.kernel.sigma))


@record(eq=False)
class _Counted:
    """Bands are computed as without a mask, but sums hold those of the weights on valid pixels, too; see ``Filled``."""

    unit: float


Computation: TypeAlias = Plan | MaskedBox | _Counted


def unit_of(plan: Plan) -> float:
    """Return the ``unit`` of a stage's sums of bytes if float32 holds these and those of the weights; else 0."""
    planned = plan.stages[0]
    stage, kernel = planned.stage, planned.kernel
    is_kernel = isinstance(stage.operator, Correlation) and planned.algorithm == "direct" and planned.exact
    is_unscaled = planned.scale == 1 and stage.is_unscaled and plan.full == plan.full_out(plan.dtype)
    is_single = planned.precision == "float32" and kernel.numerator_sum > 0 and abs(kernel.divisor) <= _MOST_DIVISOR
    if plan.dtype != np.uint8 or plan.gray or not (is_kernel and is_unscaled and is_single):
        return 0.0
    unit = 2.0 ** ceil(log2(2 * kernel.absolute_sum * plan.full + 2))
    return unit if kernel.absolute_sum * (plan.full + unit) <= _SINGLE_WHOLE else 0.0


def are_dense(valid: Valid, rows: int, cols: int) -> bool:
    """Whether each valid pixel has a share of at least ``_DENSE`` valid ones among those ``rows`` and ``cols`` away."""
    thin = _thin_cols(valid, rows, cols)
    if thin is None:
        return True
    # The windows that reach into these columns, and the columns that they read.
    left, right = max(0, thin[0] - cols), thin[1] + cols
    begin, end = max(0, left - cols) // _COUNTED * _COUNTED, -(-(right + cols) // _COUNTED) * _COUNTED
    around = valid[:, begin:end]
    sparse = around & (_shares(around, rows, cols) < _DENSE)
    return not sparse[:, left - begin : right - begin].any()


def _thin_cols(valid: Valid, rows: int, cols: int) -> Span | None:
    """Return the columns of blocks that hold fewer valid pixels than ``_DENSE`` requires of the windows around them.

    The window around any pixel contains a block: three by three cells of half of ``rows`` by half of ``cols``, on the
    picture or its padding. None: there is no such block.
    """
    width = valid.shape[1]
    high, wide = -(-rows // 2), -(-cols // 2)
    down = np.pad(_in_columns(valid, high), ((0, 0), (wide, wide + -width % wide)), mode="edge")
    cells = down[:, ::wide].astype(np.min_scalar_type(9 * high * wide))
    for col in range(1, wide):
        cells += down[:, col::wide]
    blocks = cells[:-2] + cells[1:-1] + cells[2:]
    blocks = blocks[:, :-2] + blocks[:, 1:-1] + blocks[:, 2:]
    thin = np.flatnonzero(blocks.min(axis=0) < _DENSE / _ALL * (2 * rows + 1) * (2 * cols + 1))
    return (max(0, int(thin[0]) - 1) * wide, min(width, (int(thin[-1]) + 2) * wide)) if thin.size else None


def _in_columns(valid: Valid, high: int) -> Samples:
    """Count the valid pixels of each column in steps of ``high`` rows, from one step above the picture to one below."""
    height, width = valid.shape
    marks, whole, dtype = valid.view(np.uint8), height // high * high, np.min_scalar_type(high)
    down = np.add.reduce(marks[:whole].reshape(-1, high, width), axis=1, dtype=dtype)
    above, below = (marks[row : row + 1].astype(dtype) * high for row in (0, height - 1))
    rest = np.add.reduce(marks[whole:], axis=0, keepdims=True, dtype=dtype)
    rest += marks[-1].astype(dtype) * (whole + high - height)
    return np.concatenate([above, down, rest, below] if whole < height else [above, down, below])


def _shares(valid: Valid, rows: int, cols: int) -> Samples:
    """Return the share of valid pixels in the window around each pixel, as uint8, 255 for all."""
    marks = valid.view(np.uint8) * np.uint8(_ALL)
    plan = cached_plan([Stage(Correlation(box(2 * rows + 1, 2 * cols + 1)))], marks.shape, marks.dtype)
    return run_array(plan, marks, threads=1).pixels
