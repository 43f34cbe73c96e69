"""Bands that are computed without the mask, after a value has replaced ignored pixels.

The value has no effect on the results that count: the neutral element of an extreme, any number for a difference, which
has no result where a tap is ignored.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from convfilter.engine.buffer import Samples
from convfilter.engine.masked import Filled
from convfilter.executor.bands import band, joined, reach_of, run_band
from convfilter.executor.chunks import run_chunk_to
from convfilter.executor.held import Held, Span, put
from convfilter.filters.operators import Pooling
from convfilter.planning import Plan


class FilledBands:
    """Bands of a stage that is computed without the mask, after one value has replaced ignored pixels.

    Parameters
    ----------
    plan : Plan
    value : number
        Replaces ignored pixels. Before ``normalize`` a valid pixel replaces them instead, so that the range is that of
        valid pixels.
    alpha : number, optional
        Replaces their last channel, by default ``value``.
    """

    in_turn = False

    def __init__(self, plan: Plan, value: float, alpha: float | None = None) -> None:
        self.plans: tuple[Plan, ...] = (plan,)
        self._value, self._alpha = value, value if alpha is None else alpha
        self._takes_range = plan.stages[0].takes_range
        #: Whether the engine fills rows when it reads them; else a copy is filled.
        self._fills = _fills_rows(plan) and not self._takes_range

    def reach(self, span: Span) -> Span:
        """Return the rows of the source that some rows of the result read."""
        return reach_of(self.plans, span)

    def spans(self, held: Held, bands: Sequence[Span], threads: int) -> list[Span]:
        """Return neighbouring bands joined to as few as suit the threads."""
        return joined(bands, threads, self.plans[0])

    def run(self, held: Held, span: Span, out: Samples, threads: int) -> int:
        """Write the rows of a span."""
        first, last = self.reach(span)
        pixels, valid = held.rows([(first, last)])
        if not valid.all():
            if self._fills and out.dtype == pixels.dtype:
                chunk = band(self.plans[0].stages[0], span)
                return run_chunk_to(self.plans[0], 0, chunk, Filled(*held.rows(chunk.rows.ranges)), out, threads)
            if self._takes_range:
                place = np.unravel_index(int(valid.argmax()), valid.shape)
                pixels = np.where(valid[..., np.newaxis], pixels, pixels[place])
            else:
                pixels = put(np.array(pixels), valid, self._value)
                if self._alpha != self._value:
                    np.copyto(pixels[..., -1], pixels.dtype.type(self._alpha), where=~valid)
        return run_band(self.plans[0], Held(first, pixels, valid), span, out, threads)


def _fills_rows(plan: Plan) -> bool:
    """Whether extremes of a plan read rows of stored samples, in which the engine can fill ignored pixels."""
    stage = plan.stages[0]
    operator = stage.stage.operator
    is_extreme = isinstance(operator, Pooling) and operator.kind in ("max", "min")
    return is_extreme and plan.dtype in (np.uint8, np.uint16) and not (stage.alpha or plan.gray)
