"""Sizes of the column strips and rings of stages with a sliding window."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from convfilter.planning.ring import TALLEST, AnyRing, Gathered, Ring
from convfilter.record import record

if TYPE_CHECKING:
    import numpy.typing as npt

    from convfilter.planning.stage_plan import StagePlan

#: Samples of a row of a strip, and samples of all rows in its ring: they fit a core's L2 cache.
_STRIP_SAMPLES = 4224
_RING_SAMPLES = 2**18
#: Narrowest strip in samples; a strip narrower than the kernel's span would load more samples than it produces.
_NARROWEST = 512
#: Most bytes of a thread's rings if each strip has its own ring; beyond that, all strips share one.
PERSISTENT_BYTES = 24 * 2**20
#: Strip widths are multiples of this, so that rows are whole vectors of any width.
VECTOR = 64
#: Output rows, and pixels, of one step in lane-interleaved rows.
INTERLEAVED_ROWS = 8
#: Least and most samples of a lane-interleaved row: enough for whole transposed squares, few enough for the cache.
_INTERLEAVED_SAMPLES = 1024, 8192
#: Supported taps of a row or column in lane-interleaved rows: at least 7, so that all eight outputs of a step share the
#: middle taps, and few enough for one sum.
_INTERLEAVED_TAPS = range(INTERLEAVED_ROWS - 1, 57)


@record
class TapRows:
    """Kernel rows with taps, of a method that slides its window down column strips.

    Attributes
    ----------
    first_row, last_row : int
        The first and the last-plus-one kernel row with a nonzero weight.
    interleaves : bool
        Whether the method also runs in lane-interleaved rows, with the factors of the plan's only product.
    gathers : bool
        Whether the rows that a step reads may be gathered anew where a ring of all rows would be too large.
    """

    first_row: int
    last_row: int
    interleaves: bool = False
    gathers: bool = True


@record
class SlidingWindow:
    """A sliding window: the ring of source rows, and the output columns of one strip."""

    ring: AnyRing
    cols: int

    def ring_bytes(self, plan: StagePlan) -> int:
        """Return the bytes that the rings of all strips hold between steps."""
        strips = -(-plan.cols.output // self.cols)
        loaded = (self.cols * min(plan.cols.stride, plan.cols.kernel) + plan.cols.span) * plan.channels
        return strips * self.ring.slots * loaded * np.dtype(plan.precision).itemsize


@record
class Interleaving:
    """A sliding window in lane-interleaved rows: the ring of source rows, columns of a strip, and nonzero taps."""

    ring: Ring
    cols: int
    first_col: int
    last_col: int

    def scratch_bytes(self, plan: StagePlan) -> int:
        """Return the bytes of a strip: rows of samples of at most two bytes, and rows of sums."""
        halo = (self.last_col - self.first_col) * plan.channels
        row = self.cols * plan.channels + halo + VECTOR**2 // 16
        samples, sums = self.ring.slots + 2 * INTERLEAVED_ROWS, INTERLEAVED_ROWS * (row + VECTOR // 4 * halo)
        return 2 * samples * row + np.dtype(plan.precision).itemsize * sums


def interleaving_of(plan: StagePlan) -> Interleaving | None:
    """Return the lane-interleaved layout of ``plan``, or None if it does not apply."""
    steps = plan.rows.stride, plan.rows.dilation, plan.cols.stride, plan.cols.dilation
    if (
        plan.tap_rows is None
        or not plan.tap_rows.interleaves
        or plan.precision != "float32"
        or (plan.alpha and not plan.masked)
        or steps != (1, 1, 1, 1)
    ):
        return None
    (first_row, last_row), (first_col, last_col) = (nonzero_span(factor) for factor in plan.products[0])
    if not {last_row - first_row, last_col - first_col} <= set(_INTERLEAVED_TAPS):
        return None
    least, most = _INTERLEAVED_SAMPLES
    cols = -(-plan.cols.output // -(-plan.cols.output * plan.channels // most))
    if cols * plan.channels < least or plan.rows.output < INTERLEAVED_ROWS:
        return None
    return Interleaving(Ring.of(plan.rows, first_row, last_row, INTERLEAVED_ROWS), cols, first_col, last_col)


def nonzero_span(taps: npt.NDArray[Any]) -> tuple[int, int]:
    """Return the first and the last-plus-one nonzero tap."""
    nonzero = np.flatnonzero(taps)
    return (int(nonzero[0]), int(nonzero[-1]) + 1) if nonzero.size else (0, 1)


def sliding_window_of(plan: StagePlan) -> SlidingWindow | None:
    """Return the sliding window of ``plan``, or None if its method has none or a ring would be too large."""
    if plan.tap_rows is None:
        return None
    rows = plan.tap_rows.first_row, plan.tap_rows.last_row
    ring: AnyRing = Ring.of(plan.rows, *rows)
    span = plan.cols.span * plan.channels
    if ring.slots > _RING_SAMPLES // _NARROWEST or span > _STRIP_SAMPLES:
        if not plan.tap_rows.gathers:
            return None
        gathered = Gathered.of(plan.rows, *rows)
        ring = gathered if 2 * gathered.block < ring.slots or ring.slots > TALLEST else ring
    # A strip narrower than the kernel's span would load more samples than it produces.
    samples = max(strip_samples(ring.slots), _NARROWEST, span // 2)
    cols = max(1, samples // (plan.channels * min(plan.cols.stride, plan.cols.kernel)))
    return SlidingWindow(ring, cols // VECTOR * VECTOR or cols)


def strip_samples(rows: int) -> int:
    """Return the samples of each of ``rows`` rows that fit the cache."""
    return min(_STRIP_SAMPLES, _RING_SAMPLES // rows)


def strip_cols(rows: int, channels: int) -> int:
    """Return the columns of ``rows`` rows that fit the cache, in whole vectors."""
    return whole_vectors(strip_samples(rows) // channels)


def whole_vectors(cols: int) -> int:
    """Round columns down to whole vectors, at least one."""
    return max(1, cols // VECTOR) * VECTOR


def tap_rows_of_products(plan: StagePlan) -> TapRows:
    """Return the rows with taps of a sum of products."""
    return TapRows(*nonzero_span(np.any([column != 0 for column, _ in plan.products], axis=0)))


def column_samples(rows: int, span: int) -> int:
    """Return the samples of each of ``rows`` rows that are transformed at a time: samples and spectra fit the cache."""
    return max(_RING_SAMPLES // 2 // rows, 4 * span)
