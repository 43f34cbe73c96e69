"""Multirate Gaussians: down to few rows, along them, and up again; see ``filters/multirate.py`` for the weights."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from convfilter.engine.bands import cut, run_blocks
from convfilter.engine.borders import CONSTANT, Indices, index_map
from convfilter.engine.passes import Taps, Target, Window, add_four, weighted_sums
from convfilter.engine.tiles import Columns, Samples, Scratch, Source, columns_for, distinct_rows
from convfilter.engine.work import Block, Region, Sums, Way, Work
from convfilter.filters.multirate import Rates
from convfilter.planning import AxisPlan
from convfilter.planning.plan import VECTOR

#: Kept rows of one block of work, and their samples, at most.
_BLOCK_KEPT_ROWS = 16
_BLOCK_KEPT_SAMPLES = 2**19
#: Samples of a tile of source rows: it fits a core's L2 cache.
_TILE_SAMPLES = 2**18
_TILE_COLS = (128, 2048)


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


def prepare(work: Work, top: int, bottom: int, threads: int) -> Way:
    """Do what output rows ``top`` to ``bottom - 1`` share; returns the way to compute blocks of them."""
    row_rates, _ = work.plan.rates
    if row_rates is None:
        return _plain_down
    kept = Kept.of(work.plan.rows, row_rates, work.plan.stage.padding_mode, top, bottom)
    rows = _keep_rows(work, kept, threads)

    def up(work: Work, scratch: Scratch) -> Block:
        return lambda top, bottom: rise(work, scratch, top, bottom)

    def rise(work: Work, scratch: Scratch, top: int, bottom: int) -> Sums:
        spread = _Rise(kept, top, bottom, work.plan.cols.output * work.source.channels)
        for left, right in work.tiles():
            region = Region(top, bottom, left, right)
            target = work.sums(scratch, region)
            spread.up(rows, left * work.source.channels, target)
            yield region, target.buffer, target.pitch

    return up


def _plain_down(work: Work, scratch: Scratch) -> Block:
    """Sum down the columns tap by tap, and go multirate along the rows."""
    assert work.plan.kernel.factors is not None
    column = work.plan.kernel.factors[0]
    window = work.window(Taps.down(column), column.size)
    columns, along = _natural_columns(work), _along(work)

    def block(top: int, bottom: int) -> Sums:
        rows, table = work.rows_for(top, bottom, 0, column.size)
        target = _buffer(scratch, "between", bottom - top, columns.count * work.source.channels)
        _down(work, scratch, rows, table, columns, window, target)
        sums = along(scratch, target)
        yield Region(top, bottom, 0, work.plan.cols.output), sums.buffer, sums.pitch

    return block


def _keep_rows(work: Work, kept: Kept, threads: int) -> Samples:
    """Compute the kept rows, over the output's full width, ready to be brought up."""
    channels, dtype = work.source.channels, np.dtype(work.plan.precision)
    columns, rates = _natural_columns(work), kept.rates
    pitch = columns.count * channels
    lowered = np.empty((kept.count + 2 * rates.middle_reach) * pitch, dtype)
    out_pitch = work.plan.cols.output * channels
    result = np.empty(kept.count * out_pitch, dtype)
    finite = work.source.is_finite
    lowering = Window(Taps.down(rates.down), rates.down.size, rates.step, dtype, finite=finite)
    middle = Window(Taps.down(rates.middle), rates.middle.size, 1, dtype, finite=finite)

    def make_lower() -> Callable[[tuple[int, int]], None]:
        scratch = Scratch(dtype)

        def lower(block: tuple[int, int]) -> None:
            first, last = block
            places = np.arange(first, last)[:, np.newaxis] * rates.step + np.arange(rates.down.size)
            rows, table = distinct_rows(kept.source_index[places], work.plan.rows.input)
            target = Target(lowered, first * pitch, pitch, last - first, pitch)
            _down(work, scratch, rows, table, columns, lowering, target)

        return lower

    def make_cross() -> Callable[[tuple[int, int]], None]:
        scratch = Scratch(dtype)
        along = _along(work)

        def cross(block: tuple[int, int]) -> None:
            first, last = block
            target = _buffer(scratch, "middle", last - first, pitch)
            places = np.arange(first, last)[:, np.newaxis] + np.arange(rates.middle.size)
            middle.sums(lowered, places * pitch, target)
            sums = along(scratch, target)
            result[first * out_pitch : last * out_pitch] = sums.buffer[: sums.rows * sums.pitch]

        return cross

    block_rows = max(1, min(_BLOCK_KEPT_ROWS, _BLOCK_KEPT_SAMPLES // max(pitch, out_pitch)))
    run_blocks(cut(kept.count + 2 * rates.middle_reach, block_rows), make_lower, threads)
    run_blocks(cut(kept.count, block_rows), make_cross, threads)
    return result


class _Rise:
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
        if self._together:
            add_four(rows, self._offsets + start, self._weights, target.top(self._together), add=False)
        if self._together < target.rows:
            weighted_sums(rows, self._rest_offsets + start, self._rest, target.below(self._together))


def _natural_columns(work: Work) -> Columns:
    """Lay out the source's columns as they are, and one more that holds the padding value."""
    width = work.plan.cols.input
    indices = np.append(np.arange(width, dtype=np.int64), CONSTANT)
    return Columns(indices, 0, width, indices[:0])


def _down(
    work: Work,
    scratch: Scratch,
    rows: Indices,
    table: Indices,
    columns: Columns,
    window: Window,
    target: Target,
) -> None:
    """Sum down the columns of the source, in tiles that stay in cache."""
    channels = work.source.channels
    cols = max(1, max(_TILE_COLS[0], min(_TILE_COLS[1], _TILE_SAMPLES // rows.size)) // channels // VECTOR) * VECTOR
    for left in range(0, columns.count, cols):
        part = columns.part(left, min(left + cols, columns.count))
        tile, length = work.source.load(scratch, "tile", rows, part)
        part_target = Target(target.buffer, target.start + left * channels, target.pitch, target.rows, length)
        window.sums(tile, table * length, part_target)


def _buffer(scratch: Scratch, name: str, rows: int, pitch: int) -> Target:
    return Target(scratch.get(name, rows * pitch), 0, pitch, rows, pitch)


# Along the rows ---------------------------------------------------------------

Along = Callable[[Scratch, Target], Target]


def _along(work: Work) -> Along:
    """Return the function that filters natural rows along themselves, to the output's width."""
    rates = work.plan.rates[1]
    return _plain_along(work) if rates is None else _multirate_along(work, rates)


def _as_source(work: Work, rows: Target) -> Source:
    """Take rows of natural columns as a picture to load from."""
    image = rows.buffer[: rows.rows * rows.pitch].reshape(rows.rows, -1, work.source.channels)
    return Source(image, full=1.0, alpha=False, gray=False, padding_value=0.0)


def _natural(work: Work, index: Indices) -> Indices:
    """Point padded places at the extra column that holds the padding value."""
    return np.where(index == CONSTANT, work.plan.cols.input, index)


def _plain_along(work: Work) -> Along:
    assert work.plan.kernel.factors is not None
    channels, axis = work.source.channels, work.plan.cols
    columns = columns_for(axis, _natural(work, work.col_index), 0, axis.output)
    taps = Taps.along(columns.tap_offset * channels, work.plan.kernel.factors[1]).nonzero()

    def along(scratch: Scratch, rows: Target) -> Target:
        tile, pitch = _as_source(work, rows).load(scratch, "padded", np.arange(rows.rows), columns)
        target = _buffer(scratch, "sums", rows.rows, axis.output * channels)
        weighted_sums(tile, _lines(rows.rows, pitch), taps, target)
        return target

    return along


def _multirate_along(work: Work, rates: Rates) -> Along:
    channels, axis = work.source.channels, work.plan.cols
    kept = Kept.of(axis, rates, work.plan.stage.padding_mode, 0, axis.output)
    before_middle = kept.count + 2 * rates.middle_reach
    columns = columns_for(kept.down, _natural(work, kept.source_index), 0, before_middle)
    down = Taps.along(columns.tap_offset * channels, rates.down).cast(work.plan.precision)
    middle = Taps.along(np.arange(rates.middle.size) * channels, rates.middle).cast(work.plan.precision)
    spread = _Spread(kept, channels, work.plan.precision)

    def along(scratch: Scratch, rows: Target) -> Target:
        tile, pitch = _as_source(work, rows).load(scratch, "phases", np.arange(rows.rows), columns)
        lowered = _buffer(scratch, "lowered", rows.rows, before_middle * channels)
        weighted_sums(tile, _lines(rows.rows, pitch), down, lowered)
        blurred = _buffer(scratch, "blurred", rows.rows, kept.count * channels)
        weighted_sums(lowered.buffer, _lines(rows.rows, lowered.pitch), middle, blurred)
        return spread.up(scratch, blurred)

    return along


def _lines(rows: int, pitch: int) -> Indices:
    return np.arange(rows)[:, np.newaxis] * pitch


class _Spread:
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
        lines = np.arange(rows.rows)
        tile, pitch = rows.buffer, rows.pitch
        if self._runs is not None:
            tile, pitch = self._source(rows).load(scratch, "runs", lines, self._runs)
        length = self._width * self._channels
        phases = scratch.get("spread", rows.rows * length)
        for taps, start, count in zip(self._passes, self._starts, self._counts, strict=True):
            target = Target(phases, int(start) * self._channels, length, rows.rows, int(count) * self._channels)
            weighted_sums(tile, _lines(rows.rows, pitch), taps, target)
        ordered, _ = self._source(_whole(phases, rows.rows, length)).load(scratch, "sums", lines, self._order)
        return _whole(ordered, rows.rows, length)

    def _source(self, rows: Target) -> Source:
        image = rows.buffer[: rows.rows * rows.pitch].reshape(rows.rows, -1, self._channels)
        return Source(image, full=1.0, alpha=False, gray=False, padding_value=0.0)


def _whole(buffer: Samples, rows: int, pitch: int) -> Target:
    return Target(buffer, 0, pitch, rows, pitch)
