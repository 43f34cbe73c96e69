"""Which stages are streamed, strip by strip, and how wide their strips are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from convfilter.planning.arithmetic import AxisPlan
from convfilter.planning.ring import STEP_ROWS, TALLEST, AnyRing, Gathered, Ring
from convfilter.record import record

if TYPE_CHECKING:
    from convfilter.planning.stage_plan import StagePlan

#: Output rows that are computed before a finish that takes more than loops.
REGION_ROWS = 16 * STEP_ROWS
_BLOCK_ROWS = 4 * REGION_ROWS
#: Samples of a row of a strip, and of all rows in its ring: they fit a core's L2 cache.
_STRIP_SAMPLES = 4224
_RING_SAMPLES = 2**18
#: Strips narrower than this, or than what the kernel spans, would load more than they keep.
_NARROWEST = 512
#: What the strips of a thread may hold in rows between their steps; beyond, all share one memory.
OWN_BYTES = 24 * 2**20
#: Columns of a strip are a multiple of this, so that its rows are whole vectors of any width.
VECTOR = 64
#: Output rows, and pixels, that share what they read where rows are folded.
FOLD_ROWS = 8
#: Samples of a folded row, at least: there are squares to turn; and at most: eight rows of sums stay in cache.
_FOLDED_SAMPLES = 1024, 8192
#: Taps of a folded row and column: the eight that share what they read all see the middle ones; one sum holds them all.
_FOLDED_TAPS = range(FOLD_ROWS - 1, 57)
_STREAMED = ("direct", "separable", "lowrank", "gradient")


@record
class Stream:
    """How a stage is streamed: the ring of source rows, and the output columns of one strip."""

    ring: AnyRing
    cols: int

    def held_bytes(self, plan: StagePlan) -> int:
        """Return what all strips side by side keep between their steps."""
        strips = -(-plan.cols.output // self.cols)
        loaded = (self.cols * min(plan.cols.stride, plan.cols.kernel) + plan.cols.span) * plan.channels
        return strips * self.ring.slots * loaded * np.dtype(plan.precision).itemsize


@record
class Fold:
    """How a stage is computed in folded rows: the ring of source rows, columns of a strip, and taps that count."""

    ring: Ring
    cols: int
    first_col: int
    last_col: int

    def scratch_bytes(self, plan: StagePlan) -> int:
        """Return the memory for a strip: rows of samples of two bytes at most, and rows of sums."""
        halo = (self.last_col - self.first_col) * plan.channels
        row = self.cols * plan.channels + halo + VECTOR**2 // 16
        samples, sums = self.ring.slots + 2 * FOLD_ROWS, FOLD_ROWS * (row + VECTOR // 4 * halo)
        return 2 * samples * row + np.dtype(plan.precision).itemsize * sums


def fold_of(plan: StagePlan) -> Fold | None:
    """Return how ``plan`` is computed in folded rows, or None where it is not."""
    steps = plan.rows.stride, plan.rows.dilation, plan.cols.stride, plan.cols.dilation
    if plan.algorithm != "separable" or plan.precision != "float32" or plan.alpha or steps != (1, 1, 1, 1):
        return None
    (first_row, last_row), (first_col, last_col) = (counting(factor) for factor in plan.products[0])
    if not {last_row - first_row, last_col - first_col} <= set(_FOLDED_TAPS):
        return None
    least, most = _FOLDED_SAMPLES
    cols = -(-plan.cols.output // -(-plan.cols.output * plan.channels // most))
    if cols * plan.channels < least or plan.rows.output < FOLD_ROWS:
        return None
    return Fold(Ring.of(plan.rows, first_row, last_row, FOLD_ROWS), cols, first_col, last_col)


def counting(taps: npt.NDArray[Any]) -> tuple[int, int]:
    """Return the first and last-plus-one tap that is not zero."""
    nonzero = np.flatnonzero(taps)
    return (int(nonzero[0]), int(nonzero[-1]) + 1) if nonzero.size else (0, 1)


def stream_of(plan: StagePlan) -> Stream | None:
    """Return how ``plan`` is streamed; None where it is not, or a vertical and a horizontal pass each by itself."""
    if plan.algorithm not in _STREAMED and not plan.by_taps:
        return None
    rows = _counting_rows(plan)
    ring: AnyRing = Ring.of(plan.rows, *rows)
    span = plan.cols.span * plan.channels
    if ring.slots > _RING_SAMPLES // _NARROWEST or span > _STRIP_SAMPLES:
        if plan.algorithm == "separable":
            return None
        gathered = Gathered.of(plan.rows, *rows)
        ring = gathered if 2 * gathered.block < ring.slots or ring.slots > TALLEST else ring
    # Strips narrower than what the kernel spans would load more than they keep.
    samples = max(strip_samples(ring.slots), _NARROWEST, span // 2)
    wanted = max(1, samples // (plan.channels * min(plan.cols.stride, plan.cols.kernel)))
    return Stream(ring, wanted // VECTOR * VECTOR or wanted)


def strip_samples(rows: int) -> int:
    """Return how many samples of each of ``rows`` rows stay in cache."""
    return min(_STRIP_SAMPLES, _RING_SAMPLES // rows)


def strip_cols(rows: int, channels: int) -> int:
    """Return how many columns of ``rows`` rows stay in cache: whole vectors."""
    return whole_vectors(strip_samples(rows) // channels)


def shared_cols(count: int, cols: int, threads: int) -> int:
    """Return the columns of strips of at most ``cols`` of ``count`` columns: as many strips for each thread."""
    if threads == 1:
        return cols
    strips = -(-count // cols // threads) * threads
    return whole_vectors(-(-count // strips) + VECTOR - 1)


def whole_vectors(cols: int) -> int:
    """Round columns down to whole vectors, one at least."""
    return max(1, cols // VECTOR) * VECTOR


def stream_block_rows(axis: AxisPlan) -> int:
    """Return the output rows of one block: few enough for all threads to have work, many for what blocks load twice."""
    return min(_BLOCK_ROWS, whole_regions(-(-axis.output // 8)))


def even_block_rows(rows: int) -> int:
    """Return the rows of a block of whole steps, folded or not: for two threads, or mostly four, to share evenly."""
    count = 8 if rows >= 8 * REGION_ROWS else 4 if rows >= 4 * REGION_ROWS else 2 if rows >= REGION_ROWS else 1
    count = max(count, 2 * -(-rows // (2 * _BLOCK_ROWS)))
    return -(-rows // (count * FOLD_ROWS)) * FOLD_ROWS


def whole_regions(rows: int) -> int:
    """Round up to whole regions: a block of a streamed stage begins with one."""
    return -(-rows // REGION_ROWS) * REGION_ROWS


def _counting_rows(plan: StagePlan) -> tuple[int, int]:
    """Return the first and last-plus-one kernel row with a weight that is not zero."""
    if plan.algorithm == "gradient":
        return 0, plan.rows.kernel
    if plan.algorithm == "direct":
        return counting(np.any(plan.kernel.matrix, axis=1))
    return counting(np.any([column != 0 for column, _ in plan.products], axis=0))


def column_samples(rows: int, span: int) -> int:
    """Return how many samples of each of ``rows`` rows are transformed at a time: they, and spectra, stay in cache."""
    return max(_RING_SAMPLES // 2 // rows, 4 * span)
