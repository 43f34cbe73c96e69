"""Kept samples of a multirate Gaussian: which ones some outputs need, and how they are brought up again."""

from __future__ import annotations

import numpy as np

from convfilter.engine.borders import Indices, index_map
from convfilter.engine.passes import Step, four_call
from convfilter.engine.program import Call, Moving
from convfilter.engine.tiles import Samples
from convfilter.filters.multirate import Rates
from convfilter.planning import AxisPlan
from convfilter.planning.ring import STEP_ROWS
from convfilter.record import record


@record
class Kept:
    """The kept samples that some outputs of one axis need, numbered from ``first``, and where they come from.

    An output ``x`` lies at sample ``x * stride + origin`` of the source; kept
    sample ``j`` at ``j * step``. ``source_index`` maps the samples that the
    first step reads; ``down`` is their geometry. Four kept rows are summed in a
    step, and in which order depends on the step: so ``first`` lies a multiple of
    four from that of the whole axis, whatever the outputs.
    """

    axis: AxisPlan
    rates: Rates
    first: int
    count: int
    down: AxisPlan
    source_index: Indices

    @classmethod
    def of(cls, axis: AxisPlan, rates: Rates, mode: str, first_out: int, last_out: int) -> Kept:
        """Find what outputs ``first_out`` to ``last_out - 1`` need."""
        origin = axis.centre - axis.before
        whole = origin // rates.step + rates.up_first
        first = (first_out * axis.stride + origin) // rates.step + rates.up_first
        first -= (first - whole) % STEP_ROWS
        last = ((last_out - 1) * axis.stride + origin) // rates.step + rates.up_first + rates.up.shape[1] - 1
        count = last - first + 1
        start = (first - rates.middle_reach) * rates.step - rates.down_reach
        before_middle = count + 2 * rates.middle_reach
        total = (before_middle - 1) * rates.step + rates.down.size
        down = AxisPlan(axis.input, rates.down.size, rates.step, 1, -start, total + start - axis.input)
        return cls(axis, rates, first, count, down, index_map(axis.input, -start, total, mode))

    def place(self, out: Indices) -> tuple[Indices, Indices]:
        """Return, for each output, its phase and the place (among the kept samples) of its first tap."""
        at = out * self.axis.stride + self.axis.centre - self.axis.before
        return at % self.rates.step, at // self.rates.step + self.rates.up_first - self.first


class Rise:
    """Brings kept rows up to the rows of the output, four of them in a step.

    Kept rows lie in the buffer in their order, a step's first where ``starts`` says, or each where ``held`` does.

    Attributes
    ----------
    runs : int
        Kept rows that the rows of a step look at.
    """

    def __init__(
        self,
        kept: Kept,
        dtype: np.dtype[np.floating],
        *,
        starts: Indices | None = None,
        held: Indices | None = None,
    ) -> None:
        rows = kept.axis.output
        steps = -(-rows // STEP_ROWS)
        # Past the last row, which is computed and not stored, the last again.
        phase, place = kept.place(np.minimum(np.arange(steps * STEP_ROWS), rows - 1))
        taps = kept.rates.up.shape[1]
        place = place.reshape(steps, STEP_ROWS)
        first = place[:, :1]
        self.runs = taps + _most_apart(kept)
        weights = np.zeros((steps, STEP_ROWS, self.runs), dtype)
        at = (place - first)[..., np.newaxis] + np.arange(taps)
        np.put_along_axis(weights, at, kept.rates.up[phase].reshape(steps, STEP_ROWS, taps).astype(dtype), axis=2)
        self._weights = np.ascontiguousarray(weights.transpose(0, 2, 1))
        # Past the last kept row that the step looks at all weights are zero.
        places = np.minimum(first + np.arange(self.runs), place[:, -1:] + taps - 1)
        if starts is not None:
            places -= starts[:, np.newaxis]
        self._places = places if held is None else held[places]

    def call(self, rows: Samples, pitch: int, start: int, step: Step) -> Call:
        """Return the call that sums kept rows, ``pitch`` apart, from sample ``start`` of each on."""
        offsets = Moving(self._places * pitch + start, 0, self.runs)
        weights = Moving(self._weights, 0, self.runs * STEP_ROWS)
        return four_call(rows, offsets, self.runs, weights, step)


def _most_apart(kept: Kept) -> int:
    """Return how far apart the first taps of one step's outputs are at most, anywhere on the axis."""
    last = kept.axis.output - 1
    begins = np.arange(0, last + 1, STEP_ROWS)
    (_, low), (_, high) = kept.place(begins), kept.place(np.minimum(begins + STEP_ROWS - 1, last))
    return int((high - low).max())
