"""Small windows of a mask, found in one pass over its rows."""

from __future__ import annotations

import numpy as np

from convfilter.engine.borders import CONSTANT
from convfilter.engine.mapped_stage import padded_cols, padded_rows
from convfilter.executor.held import Held, Span, Valid
from convfilter.filters.kernel import Weights
from convfilter.native.loop import Loop
from convfilter.planning.stage_plan import StagePlan

FIND_WINDOWS = Loop(
    "mask_windows",
    "find_windows",
    "u1* i8 i8* i8 i8* i8 i8* i8* u1* i8 i8 i8 i8 i8 i8 i8 u1* i8 i8 i8* i8* u1*",
)

#: Most taps of a window: more take longer than the extreme of a window.
_MOST_TAPS = 32
#: Largest sum of the weights' magnitudes: sums are bytes.
_LARGEST = 255


class MaskWindows:
    """Finds the windows whose weights on valid pixels sum to enough.

    Parameters
    ----------
    planned : StagePlan
        The geometry; see :func:`are_small`.
    weights : (rows, cols) array
        Whole numbers. Padding with a constant counts as valid.
    least : int
        The sum of a window must be at least this.
    centre : bool
        Whether the pixel at the centre of a window must be valid, too.
    """

    def __init__(self, planned: StagePlan, weights: Weights, least: int, *, centre: bool) -> None:
        self._planned, self._least, self._centre = planned, least, centre
        rows, cols = planned.rows, planned.cols
        self._rows, self._cols = padded_rows(planned), padded_cols(planned)
        tap_rows, tap_cols = np.nonzero(weights)
        whole = weights[tap_rows, tap_cols].astype(np.int64)
        self._taps = tap_rows * rows.dilation, tap_cols * cols.dilation, whole.astype(np.uint8)
        self._start = -int(whole.sum(where=whole < 0))
        read = [*self._taps[1].tolist(), *([cols.centre] if centre else [])]
        left = min(max(0, cols.before - min(read)), cols.output)
        self._inside = left, max(left, min(cols.output, cols.before + cols.input - max(read)))

    def write(self, held: Held, span: Span, out: Valid) -> None:
        """Write whether the windows of a span of rows have enough valid pixels."""
        rows, cols = self._planned.rows, self._planned.cols
        table = self._rows[span[0] * rows.stride :]
        table = np.where(table == CONSTANT, CONSTANT, table - held.first)
        taps = self._taps[2].size
        FIND_WINDOWS.variant()(
            np.ascontiguousarray(held.valid).view(np.uint8), cols.input, table, rows.stride, self._cols, cols.before,
            *self._taps, taps, self._start, self._start + self._least,
            rows.centre if self._centre else -1, cols.centre, *self._inside,
            out.view(np.uint8), cols.output, span[1] - span[0],
            np.empty(taps, np.int64), np.empty(taps, np.int64), np.empty(taps, np.uint8),
        )  # fmt: skip


def are_small(planned: StagePlan) -> bool:
    """Whether :class:`MaskWindows` can find the windows of a stage's kernel, and fast."""
    kernel = planned.kernel
    is_few = 0 < kernel.nonzeros <= _MOST_TAPS and kernel.absolute_sum <= _LARGEST
    return is_few and planned.cols.stride == 1 and kernel.has_integer_numerators
