"""Kept samples of a multirate Gaussian: which ones some outputs need, and how they are brought up again."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from convfilter.engine.borders import Indices, index_map
from convfilter.engine.passes import Taps, Target, add_four, weighted_sums
from convfilter.engine.tiles import Columns, Samples, Scratch, Source
from convfilter.filters.multirate import Rates
from convfilter.planning import AxisPlan


@dataclass(frozen=True)
class Kept:
    """The kept samples that some outputs of one axis need, numbered from ``first``, and where they come from.

    An output ``x`` lies at sample ``x * stride + origin`` of the source; kept
    sample ``j`` at ``j * step``. ``source_index`` maps the samples that the
    first step reads; ``down`` is their geometry.
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
        first = (first_out * axis.stride + origin) // rates.step + rates.up_first
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
    """Brings kept rows up to a block of output rows, four of them at a time."""

    def __init__(self, kept: Kept, top: int, bottom: int, pitch: int) -> None:
        phase, place = kept.place(np.arange(top, bottom))
        together = (bottom - top) // 4 * 4
        first = place[:together].reshape(-1, 4)[:, :1]
        runs = kept.rates.up.shape[1] + int((place[3:together:4] - place[0:together:4]).max(initial=0))
        weights = np.zeros((together // 4, 4, runs))
        at = place[:together].reshape(-1, 4, 1) - first[:, :, np.newaxis] + np.arange(kept.rates.up.shape[1])
        np.put_along_axis(weights, at, kept.rates.up[phase[:together]].reshape(-1, 4, kept.rates.up.shape[1]), axis=2)
        self._weights = np.ascontiguousarray(weights.transpose(0, 2, 1))
        # Past the last kept row all weights are zero.
        self._offsets = np.minimum(first + np.arange(runs), kept.count - 1) * pitch
        self._rest = Taps.down(kept.rates.up[phase[together:]])
        self._rest_offsets = (place[together:, np.newaxis] + np.arange(kept.rates.up.shape[1])) * pitch
        self._together = together

    def up(self, rows: Samples, start: int, target: Target) -> None:
        """Sum kept rows, from sample ``start`` of each on, into the block's output rows."""
        if self._together:
            add_four(rows, self._offsets + start, self._weights, target.top(self._together), add=False)
        if self._together < target.rows:
            weighted_sums(rows, self._rest_offsets + start, self._rest, target.below(self._together))


class Spread:
    """Brings kept samples up along a row: all outputs of one phase in one pass, then put side by side.

    Outputs ``period`` apart share their phase; their taps are ``advance`` kept samples apart.
    """

    def __init__(self, kept: Kept, channels: int, dtype: npt.DTypeLike) -> None:
        stride, step, width = kept.axis.stride, kept.rates.step, kept.axis.output
        common = math.gcd(stride, step)
        self._period, self._advance = min(step // common, width), stride // common
        self._channels, self._width, self._kept = channels, width, kept
        outputs = np.arange(width)
        counts = np.array([-(-(width - phase) // self._period) for phase in range(self._period)])
        self._starts = np.cumsum(counts) - counts
        self._counts = counts
        self._order = Columns(self._starts[outputs % self._period] + outputs // self._period, 0, 0, outputs[:0])
        self._passes = [self._taps(phase).cast(dtype) for phase in range(self._period)]
        self._runs = self._reordered()

    def _taps(self, output: int) -> Taps:
        phase, place = self._kept.place(np.array([output]))
        at = place[0] + np.arange(self._kept.rates.up.shape[1])
        run = -(-self._kept.count // self._advance)
        offset = at % self._advance * run + at // self._advance
        return Taps.along(offset * self._channels, self._kept.rates.up[phase[0]]).nonzero()

    def _reordered(self) -> Columns | None:
        """With an advance, order kept samples by remainder, so that the taps of one phase are neighbours."""
        if self._advance == 1:
            return None
        run = -(-self._kept.count // self._advance)
        places = np.arange(self._advance)[:, np.newaxis] + np.arange(run) * self._advance
        return Columns(np.minimum(places, self._kept.count - 1).ravel(), 0, 0, places[0, :0])

    def up(self, scratch: Scratch, rows: Target) -> Target:
        """Return the outputs of rows of kept samples, in their order."""
        lines = np.arange(rows.rows)
        tile, pitch = rows.buffer, rows.pitch
        if self._runs is not None:
            tile, pitch = as_source(rows, self._channels).load(scratch, "runs", lines, self._runs)
        length = self._width * self._channels
        phases = scratch.get("spread", rows.rows * length)
        for taps, start, count in zip(self._passes, self._starts, self._counts, strict=True):
            target = Target(phases, int(start) * self._channels, length, rows.rows, int(count) * self._channels)
            weighted_sums(tile, lines_of(rows.rows, pitch), taps, target)
        spread = as_source(whole(phases, rows.rows, length), self._channels)
        ordered, _ = spread.load(scratch, "sums", lines, self._order)
        return whole(ordered, rows.rows, length)


def as_source(rows: Target, channels: int) -> Source:
    """Take rows of sums as a picture to load from."""
    image = rows.buffer[: rows.rows * rows.pitch].reshape(rows.rows, -1, channels)
    return Source(image, full=1.0, alpha=False, gray=False, padding_value=0.0)


def whole(buffer: Samples, rows: int, pitch: int) -> Target:
    """Return the target that is all of ``rows`` rows of a buffer."""
    return Target(buffer, 0, pitch, rows, pitch)


def lines_of(rows: int, pitch: int) -> Indices:
    """Return the row offsets of a pass that stays in its row."""
    return np.arange(rows)[:, np.newaxis] * pitch
