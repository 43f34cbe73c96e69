"""Multirate Gaussians: down to few rows, along them, and up again; see ``filters/multirate.py`` for the weights."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from convfilter.engine.bands import cut, run_blocks
from convfilter.engine.borders import CONSTANT, Indices
from convfilter.engine.kept import Kept, Rise, Spread, as_source, lines_of, whole
from convfilter.engine.passes import Taps, Target, Window, weighted_sums
from convfilter.engine.tiles import Columns, Samples, Scratch, columns_for, distinct_rows
from convfilter.engine.work import Block, Region, Sums, Way, Work
from convfilter.filters.multirate import Rates
from convfilter.planning.plan import VECTOR

#: Kept rows of one block of work, and their samples, at most.
_BLOCK_KEPT_ROWS = 16
_BLOCK_KEPT_SAMPLES = 2**19
#: Samples of a tile of source rows: it fits a core's L2 cache.
_TILE_SAMPLES = 2**18
_TILE_COLS = (128, 2048)


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
        spread = Rise(kept, top, bottom, work.plan.cols.output * work.source.channels)
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
    return whole(scratch.get(name, rows * pitch), rows, pitch)


# Along the rows ---------------------------------------------------------------

Along = Callable[[Scratch, Target], Target]


def _along(work: Work) -> Along:
    """Return the function that filters natural rows along themselves, to the output's width."""
    rates = work.plan.rates[1]
    return _plain_along(work) if rates is None else _multirate_along(work, rates)


def _natural(work: Work, index: Indices) -> Indices:
    """Point padded places at the extra column that holds the padding value."""
    return np.where(index == CONSTANT, work.plan.cols.input, index)


def _plain_along(work: Work) -> Along:
    assert work.plan.kernel.factors is not None
    channels, axis = work.source.channels, work.plan.cols
    columns = columns_for(axis, _natural(work, work.col_index), 0, axis.output)
    taps = Taps.along(columns.tap_offset * channels, work.plan.kernel.factors[1]).nonzero()

    def along(scratch: Scratch, rows: Target) -> Target:
        tile, pitch = as_source(rows, channels).load(scratch, "padded", np.arange(rows.rows), columns)
        target = _buffer(scratch, "sums", rows.rows, axis.output * channels)
        weighted_sums(tile, lines_of(rows.rows, pitch), taps, target)
        return target

    return along


def _multirate_along(work: Work, rates: Rates) -> Along:
    channels, axis = work.source.channels, work.plan.cols
    kept = Kept.of(axis, rates, work.plan.stage.padding_mode, 0, axis.output)
    before_middle = kept.count + 2 * rates.middle_reach
    columns = columns_for(kept.down, _natural(work, kept.source_index), 0, before_middle)
    down = Taps.along(columns.tap_offset * channels, rates.down).cast(work.plan.precision)
    middle = Taps.along(np.arange(rates.middle.size) * channels, rates.middle).cast(work.plan.precision)
    spread = Spread(kept, channels, work.plan.precision)

    def along(scratch: Scratch, rows: Target) -> Target:
        tile, pitch = as_source(rows, channels).load(scratch, "phases", np.arange(rows.rows), columns)
        lowered = _buffer(scratch, "lowered", rows.rows, before_middle * channels)
        weighted_sums(tile, lines_of(rows.rows, pitch), down, lowered)
        blurred = _buffer(scratch, "blurred", rows.rows, kept.count * channels)
        weighted_sums(lowered.buffer, lines_of(rows.rows, lowered.pitch), middle, blurred)
        return spread.up(scratch, blurred)

    return along
