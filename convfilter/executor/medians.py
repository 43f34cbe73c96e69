"""Medians of 3x3 and 5x5 samples over the valid pixels of each window, in one pass; see ``loops/holes.py``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from convfilter.engine.buffer import Samples
from convfilter.engine.mapped_stage import padded_cols, padded_rows
from convfilter.executor.bands import joined, reach_of, run_parts
from convfilter.executor.held import Held, Span, Valid
from convfilter.executor.validity import Validity
from convfilter.filters.operators import Rank
from convfilter.methods import medians
from convfilter.planning import Plan
from convfilter.planning.methods.rank import ranks_of

#: Rows that a thread computes at a time.
_ROWS = 256


class Medians:
    """Bands of medians.

    Parameters
    ----------
    plan : Plan
        Of one stage, without a mask; see :func:`medians_of`.
    """

    in_turn = True

    def __init__(self, plan: Plan) -> None:
        self.plans: tuple[Plan, ...] = (plan,)
        self._planned = planned = plan.stages[0]
        self._rows = padded_rows(planned)
        self._places, self._inner = medians.samples_of(planned.cols, padded_cols(planned), planned.channels)

    @property
    def pads_with_samples(self) -> bool:
        """Whether windows read samples of the picture alone, enough of which are adjacent."""
        return self._inner[1] >= medians.LANES and int(min(self._places.min(), self._rows.min())) >= 0

    def reach(self, span: Span) -> Span:
        """Return the rows of the source that some rows of the result read."""
        return reach_of(self.plans, span)

    def spans(self, held: Held, bands: Sequence[Span], threads: int) -> list[Span]:
        """Return all bands as one span."""
        return joined(bands, 1, self.plans[0])

    def run(self, held: Held, span: Span, out: Samples, threads: int) -> int:
        """Write the rows of a span; undefined where a window has no valid pixel."""
        run_parts(span, threads, lambda part, rows: self._run(held, part, out[rows], leaves_out=False), _ROWS)
        return 0

    def marks_results(self, _span: Span, validity: Validity) -> bool:
        """Whether :meth:`run_marked` may compute a span instead of :meth:`run`: the pixels at the centres decide."""
        return not validity.plans

    def run_marked(self, held: Held, span: Span, out: Samples, valid: Valid, validity: Validity, threads: int) -> None:
        """Write the rows of a span, 0 where they are not valid, and their valid pixels."""

        def run(part: Span, rows: slice) -> None:
            self._run(held, part, out[rows], leaves_out=True)
            valid[rows] = validity.centres(held, part)

        run_parts(span, threads, run, _ROWS)

    def _run(self, held: Held, span: Span, out: Samples, *, leaves_out: bool) -> None:
        rows = self._planned.rows
        begin = span[0] * rows.stride
        table = self._rows[begin : begin + (len(out) - 1) * rows.stride + rows.span + 1]
        first, last = int(table.min()), int(table.max()) + 1
        pixels, valid = (np.ascontiguousarray(each) for each in held.rows([(first, last)]))
        medians.write_masked_medians(
            self._planned, (pixels, valid), table - first, self._places, self._inner, out, leaves_out=leaves_out
        )


def medians_of(plan: Plan, out_dtype: np.dtype[Any]) -> Medians | None:
    """Return the operation if results are medians of 8- or 16-bit samples, stored unchanged, of windows with a loop."""
    planned = plan.stages[0]
    stage = planned.stage
    stores_samples = plan.dtype in (np.uint8, np.uint16) and plan.dtype == out_dtype
    is_unscaled = stage.is_unscaled and planned.preserves_white and not plan.gray
    is_median = isinstance(stage.operator, Rank) and medians.loop_for(planned, ranks_of(stage.operator)) is not None
    if not (is_median and is_unscaled and stores_samples):
        return None
    operation = Medians(plan)
    return operation if operation.pads_with_samples else None
