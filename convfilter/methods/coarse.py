"""The coarse grid of a multirate Gaussian: its samples for given outputs, and their interpolation."""

from __future__ import annotations

import numpy as np

from convfilter.engine.borders import Indices, index_map
from convfilter.engine.buffer import LineBuffer
from convfilter.engine.program import Call, Moving, Slot
from convfilter.engine.sums import StepOutput, four_call
from convfilter.filters.multirate import Rates
from convfilter.planning import AxisPlan
from convfilter.planning.ring import STEP_ROWS
from convfilter.record import record


@record
class Coarse:
    """Samples of one axis of the coarse grid for given outputs, numbered from ``first``, and their source.

    Output ``x`` lies at source sample ``x * stride + origin``, coarse sample ``j`` at ``j * step``. ``source_index``
    maps the samples that decimation reads; ``down`` is its geometry. A step sums four coarse rows, in an order that
    depends on their position in it: so ``first`` differs by a multiple of four from that of the whole axis.
    """

    axis: AxisPlan
    rates: Rates
    first: int
    count: int
    down: AxisPlan
    source_index: Indices

    @classmethod
    def of(cls, axis: AxisPlan, rates: Rates, mode: str, first_out: int, last_out: int) -> Coarse:
        """Return the coarse samples of outputs ``first_out`` to ``last_out - 1``."""
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
        """Return, for each output, its phase and the coarse sample of its first tap."""
        at = out * self.axis.stride + self.axis.centre - self.axis.before
        return at % self.rates.step, at // self.rates.step + self.rates.up_first - self.first


class Interpolation:
    """Interpolates coarse rows to output rows, four in a step.

    Attributes
    ----------
    runs : int
        Coarse rows that a step needs.
    """

    def __init__(self, coarse: Coarse, dtype: np.dtype[np.floating], source: LineBuffer) -> None:
        rows = coarse.axis.output
        steps = -(-rows // STEP_ROWS)
        # Rows past the last one, computed and not stored, repeat the last.
        phase, place = coarse.place(np.minimum(np.arange(steps * STEP_ROWS), rows - 1))
        taps = coarse.rates.up.shape[1]
        place = place.reshape(steps, STEP_ROWS)
        first = place[:, :1]
        self.runs = taps + _most_apart(coarse)
        weights = np.zeros((steps, STEP_ROWS, self.runs), dtype)
        at = (place - first)[..., np.newaxis] + np.arange(taps)
        np.put_along_axis(weights, at, coarse.rates.up[phase].reshape(steps, STEP_ROWS, taps).astype(dtype), axis=2)
        self._weights = np.ascontiguousarray(weights.transpose(0, 2, 1))
        # Weights past the last coarse row of a step are zero.
        places = np.minimum(first + np.arange(self.runs), place[:, -1:] + taps - 1)
        self._places = source.index(places)

    def call(self, rows: Slot, pitch: int, start: int, out: StepOutput) -> Call:
        """Return the call that sums coarse rows, ``pitch`` samples apart, from sample ``start`` of each on."""
        offsets = Moving(self._places * pitch + start, 0, self.runs)
        weights = Moving(self._weights, 0, self.runs * STEP_ROWS)
        return four_call(Moving(rows), offsets, self.runs, weights, out)


def _most_apart(coarse: Coarse) -> int:
    """Return the largest distance of the first taps of one step's outputs, anywhere on the axis."""
    last = coarse.axis.output - 1
    begins = np.arange(0, last + 1, STEP_ROWS)
    (_, low), (_, high) = coarse.place(begins), coarse.place(np.minimum(begins + STEP_ROWS - 1, last))
    return int((high - low).max())
