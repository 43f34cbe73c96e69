"""The coarse grid of a multirate Gaussian: the samples that given outputs interpolate, and the interpolation."""

from __future__ import annotations

from math import gcd

import numpy as np

from convfilter.engine.borders import Indices, index_map
from convfilter.engine.buffer import LineBuffer
from convfilter.engine.program import Call, Moving, Slot
from convfilter.engine.sums import StepOutput, four_call
from convfilter.filters.multirate import Rates
from convfilter.planning import AxisPlan
from convfilter.planning.methods.multirate import coarse_axis
from convfilter.planning.ring import STEP_ROWS
from convfilter.record import record


@record
class Coarse:
    """Samples of one axis of the coarse grid, for given outputs.

    Output ``x`` lies at source sample ``x * stride + origin``, coarse sample ``j`` at ``j * step``.

    Attributes
    ----------
    axis : AxisPlan
        Geometry of the outputs on the source.
    rates : Rates
    first, count : int
        The first coarse sample, and their number; see ``coarse_axis``.
    decimated : AxisPlan
        Geometry of the coarse samples on the source.
    source_index : Indices
        Index map of the samples that decimation reads.
    """

    axis: AxisPlan
    rates: Rates
    first: int
    count: int
    decimated: AxisPlan
    source_index: Indices

    @classmethod
    def of(cls, axis: AxisPlan, rates: Rates, mode: str, first_out: int, last_out: int) -> Coarse:
        """Return the coarse samples of outputs ``first_out`` to ``last_out - 1``."""
        first, decimated = coarse_axis(axis, rates, first_out, last_out)
        count = decimated.output - 2 * rates.blur_reach
        total = decimated.before + axis.input + decimated.after
        return cls(axis, rates, first, count, decimated, index_map(axis.input, decimated.before, total, mode))

    def place(self, out: Indices) -> tuple[Indices, Indices]:
        """Return, for each output, its phase and the coarse sample of its first tap."""
        at = out * self.axis.stride + self.axis.centre - self.axis.before
        return at % self.rates.step, at // self.rates.step + self.rates.interpolation_first - self.first


class Interpolation:
    """Interpolates coarse rows to output rows, four in a step.

    Attributes
    ----------
    row_count : int
        Coarse rows that a step reads.
    """

    def __init__(self, coarse: Coarse, dtype: np.dtype[np.floating], source: LineBuffer) -> None:
        rows = coarse.axis.output
        steps = -(-rows // STEP_ROWS)
        # Rows past the last are computed and not stored; they repeat the last.
        phase, place = coarse.place(np.minimum(np.arange(steps * STEP_ROWS), rows - 1))
        taps = coarse.rates.interpolation_taps
        place = place.reshape(steps, STEP_ROWS)
        first = place[:, :1]
        self.row_count = taps + _largest_spread(coarse)
        # After so many steps the outputs of a step have the same phases again.
        self._period = min(steps, coarse.rates.step // gcd(coarse.rates.step, STEP_ROWS * coarse.axis.stride))
        weights = np.zeros((self._period, STEP_ROWS, self.row_count), dtype)
        at = (place - first)[: self._period, :, np.newaxis] + np.arange(taps)
        interpolation = coarse.rates.interpolation[phase[: self._period * STEP_ROWS]].reshape(*at.shape)
        np.put_along_axis(weights, at, interpolation.astype(dtype), axis=2)
        self._weights = np.ascontiguousarray(weights.transpose(0, 2, 1))
        # Weights past the last coarse row of a step are zero.
        places = np.minimum(first + np.arange(self.row_count), place[:, -1:] + taps - 1)
        self._places = source.index(places)

    def call(self, rows: Slot, pitch: int, start: int, out: StepOutput) -> Call:
        """Return the call that sums coarse rows, ``pitch`` samples apart, from sample ``start`` of each row on."""
        offsets = Moving(self._places * pitch + start, 0, self.row_count)
        weights = Moving(self._weights, 0, self.row_count * STEP_ROWS, self._period)
        return four_call(Moving(rows), offsets, self.row_count, weights, out)


def _largest_spread(coarse: Coarse) -> int:
    """Return the largest distance of the first taps of one step's outputs, anywhere on the axis."""
    last = coarse.axis.output - 1
    first_outputs = np.arange(0, last + 1, STEP_ROWS)
    (_, low), (_, high) = coarse.place(first_outputs), coarse.place(np.minimum(first_outputs + STEP_ROWS - 1, last))
    return int((high - low).max())
