"""Bands that are computed after a value has replaced ignored pixels, or by a method that leaves them out itself.

The value has no effect on the results that count: the neutral element of an extreme, any number for a difference, which
has no result where a tap is ignored.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from convfilter.engine.buffer import Samples
from convfilter.engine.masked import Filled, put
from convfilter.executor.bands import band, joined, reach_of, run_band
from convfilter.executor.chunks import run_chunk_to
from convfilter.executor.held import Held, Span
from convfilter.filters.operators import Canny, Guided, Pooling
from convfilter.planning import Plan
from convfilter.planning.methods import chosen_method


class FilledBands:
    """Bands of a stage whose method reads the mask itself, or one value in place of ignored pixels.

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

    @property
    def leaves_zeros(self) -> bool:
        """Whether results of windows without valid pixels are 0: the largest of unsigned integers, stored as it is."""
        stage = self.plans[0].stages[0].stage
        is_largest = isinstance(stage.operator, Pooling) and stage.operator.kind == "max"
        return is_largest and stage.is_unscaled and self._value == self._alpha == 0

    @property
    def _loads_zeros(self) -> bool:
        """Whether rows are loaded with zeros in place of ignored pixels."""
        plan = self.plans[0]
        method = chosen_method(plan.stages[0])
        is_difference = plan.stages[0].stage.operator.is_difference
        return is_difference and self._value == self._alpha == 0 and method.joins_masks and not method.spreads

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
            if self._loads_zeros or _reads_mask(self.plans[0], out.dtype):
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


def _reads_mask(plan: Plan, out_dtype: np.dtype[np.generic]) -> bool:
    """Whether the method reads rows and their mask: Canny's, the guided filter, pooled extremes of stored samples."""
    stage = plan.stages[0]
    operator = stage.stage.operator
    if isinstance(operator, Canny | Guided):
        return True
    is_extreme = isinstance(operator, Pooling) and operator.selects
    is_stored = plan.dtype == out_dtype and plan.dtype in (np.uint8, np.uint16)
    return is_extreme and is_stored and not (stage.alpha or plan.gray or stage.takes_range)
