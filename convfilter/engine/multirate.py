"""Multirate Gaussians: down to few rows, along them, and up again; see ``filters/multirate.py`` for the weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import numpy as np

from convfilter.engine.bands import cut, run_blocks
from convfilter.engine.borders import CONSTANT, Indices
from convfilter.engine.finish import Finisher, MakeWorker, Sink, Worker
from convfilter.engine.kept import Kept, Rise, Spread, pick_four
from convfilter.engine.passes import LINES, Step, Taps, Window, sum_call
from convfilter.engine.program import Call, Moving, Program
from convfilter.engine.streams import incoming
from convfilter.engine.strips import Lead, Strip, side_by_side
from convfilter.engine.tiles import Columns, Samples, Scratch, columns_for
from convfilter.engine.work import Work
from convfilter.filters.multirate import Rates
from convfilter.planning.ring import STEP_ROWS, Ring
from convfilter.planning.strips import strip_cols, strip_samples, whole_vectors

#: Kept rows of one block of work.
_BLOCK_KEPT_ROWS = 64
#: Pieces of the first step, at least, for threads to take; and samples of a row that are worth a piece.
_PIECES = 8
_NARROW_SAMPLES = 1024


def prepare(work: Work, top: int, bottom: int, threads: int, shared: Scratch) -> MakeWorker:
    """Do what output rows ``top`` to ``bottom - 1`` share; returns what makes the workers for blocks of them.

    Kept rows are in ``shared`` memory: those of the rows prepared before are written over.
    """
    row_rates, _ = work.plan.rates
    assert row_rates is not None
    kept = Kept.of(work.plan.rows, row_rates, work.plan.stage.padding_mode, top, bottom)
    rows = _keep_rows(work, kept, threads, shared)
    return rising(Rise(kept, top, bottom, np.dtype(work.plan.precision)), rows)


def rising(rise: Rise, rows: Samples) -> MakeWorker:
    """Return what makes the workers that bring kept rows up and finish them."""

    def make_worker(work: Work, scratch: Scratch, finisher: Finisher, sink: Sink) -> Worker:
        channels, width = work.source.channels, work.plan.cols.output

        def strip(left: int, right: int) -> Strip:
            def calls(step: Step) -> list[Call]:
                return [rise.call(rows, width * channels, left * channels, step)]

            return Strip(work, scratch, finisher, sink, left, right, calls)

        return side_by_side(width, strip_cols(rise.runs, channels), strip)

    return make_worker


def plain_down(work: Work, scratch: Scratch, finisher: Finisher, sink: Sink) -> Worker:
    """Sum down the columns tap by tap, and go multirate along the rows."""
    assert work.plan.kernel.factors is not None
    column = work.plan.kernel.factors[0]
    ring = Ring.of(work.plan.rows, 0, column.size)
    columns = natural_columns(work)
    load, tile = incoming(work.source, scratch, ring, work.row_index[ring.places()], columns)
    pitch = columns.count * work.source.channels
    between = scratch.get("between", STEP_ROWS * pitch)
    down = work.window(Taps.down(column), column.size).call(tile, ring.table() * pitch, Step(between, pitch, pitch))
    along = along_rows(work, scratch)

    def calls(step: Step) -> list[Call]:
        return [*load, down, *along(between, step)]

    width, lead = work.plan.cols.output, Lead(load, ring.lead)
    return side_by_side(
        width, width, lambda left, right: Strip(work, scratch, finisher, sink, left, right, calls, lead)
    )


def _keep_rows(work: Work, kept: Kept, threads: int, shared: Scratch) -> Samples:
    """Compute the kept rows, over the output's full width, ready to be brought up."""
    channels, dtype = work.source.channels, np.dtype(work.plan.precision)
    rates, columns = kept.rates, natural_columns(work)
    pitch, out_pitch = columns.count * channels, work.plan.cols.output * channels
    # Whole steps: what lies past the last row is computed, and not looked at.
    steps = -(-kept.count // STEP_ROWS)
    lowered_rows = _whole_steps(kept.down.output + STEP_ROWS)
    # A little more than these rows need: of the next there may be a few more.
    lowered = shared.get("lowered", (lowered_rows + STEP_ROWS) * pitch)
    result = shared.get("kept", (steps + 1) * STEP_ROWS * out_pitch)
    lowered[kept.down.output * pitch : lowered_rows * pitch] = 0
    middle = Window(Taps.down(rates.middle), rates.middle.size, 1, dtype, finite=work.source.is_finite)
    rows = np.arange(STEP_ROWS)[:, np.newaxis] + np.arange(rates.middle.size)

    def make_cross() -> Worker:
        scratch = Scratch(dtype)
        blurred = scratch.get("middle", STEP_ROWS * pitch)
        below = Moving(lowered, 0, STEP_ROWS * pitch)
        target = Moving(result, 0, STEP_ROWS * out_pitch)
        down = middle.call(below, rows[np.newaxis] * pitch, Step(blurred, pitch, pitch))
        cross = Program([down, *along_rows(work, scratch)(blurred, Step(target, out_pitch, out_pitch))])
        return lambda block: cross.run(block[0], block[1] - block[0])

    block = max(1, min(_BLOCK_KEPT_ROWS // STEP_ROWS, -(-steps // 8)))
    lowering = Lowering(work, kept, kept.source_index, dtype)
    run_blocks(lowering.pieces(), lambda: lowering.make_worker(lowered), threads)
    run_blocks(cut(steps, block), make_cross, threads)
    return result


def _whole_steps(rows: int) -> int:
    return -(-rows // STEP_ROWS) * STEP_ROWS


class _Piece(NamedTuple):
    """Columns ``left`` to ``right - 1`` of the source, lowered to the kept rows of steps ``first`` to ``last - 1``."""

    left: int
    right: int
    first: int
    last: int


class Lowering:
    """Sums down the columns of the source, from the rows that ``source_index`` names, for the kept rows alone."""

    def __init__(self, work: Work, kept: Kept, source_index: Indices, dtype: np.dtype[np.floating]) -> None:
        self._work, self._columns = work, natural_columns(work)
        step, down = kept.rates.step, kept.rates.down
        self.ring = Ring.of(kept.down, 0, down.size)
        self._rows = source_index[self.ring.places()]
        self._window = Window(Taps.down(down), down.size, step, dtype, finite=work.source.is_finite)
        self._steps = -(-kept.down.output // STEP_ROWS)

    def cut(self) -> list[tuple[int, int]]:
        """Cut the columns into strips that stay in cache."""
        return cut(self._columns.count, strip_cols(self.ring.slots, self._work.source.channels))

    def pieces(self) -> list[_Piece]:
        """Cut the work for threads: by columns first, since a cut between rows costs all that its first step sees."""
        count, channels = self._columns.count, self._work.source.channels
        widest = strip_samples(self.ring.slots) // channels
        cols = whole_vectors(min(widest, max(_NARROW_SAMPLES // channels, -(-count // _PIECES))))
        strips = cut(count, cols)
        blocks = cut(self._steps, max(1, self._steps // -(-_PIECES // len(strips))))
        return [_Piece(left, right, first, last) for left, right in strips for first, last in blocks]

    def programs(self, scratch: Scratch, left: int, right: int, lowered: type[Moving], memory: Samples) -> _Programs:
        """Return the programs for some columns; each step writes four rows of ``memory``, a ``lowered`` array."""
        channels = self._work.source.channels
        pitch, part = self._columns.count * channels, self._columns.part(left, right)
        length = part.count * channels
        load, tile = incoming(self._work.source, scratch, self.ring, self._rows, part)
        target = Step(lowered(memory, left * channels, STEP_ROWS * pitch), pitch, length)
        sums = self._window.call(tile, self.ring.table() * length, target)
        return _Programs(Program(load), Program([*load, sums]), self.ring.lead)

    def make_worker(self, memory: Samples) -> Callable[[_Piece], None]:
        """Return a function that lowers a piece into ``memory``."""
        scratch = Scratch(memory.dtype)

        def lower(piece: _Piece) -> None:
            self.programs(scratch, piece.left, piece.right, Moving, memory).run(piece.first, piece.last)

        return lower


class _Programs(NamedTuple):
    """What brings in the rows before a first step, and what computes the steps."""

    before: Program
    main: Program
    lead: int

    def run(self, first: int, last: int) -> None:
        """Compute steps ``first`` to ``last - 1``."""
        self.before.run(first - self.lead, self.lead)
        self.main.run(first, last - first)


def natural_columns(work: Work) -> Columns:
    """Lay out the source's columns as they are, and one more that holds the padding value."""
    width = work.plan.cols.input
    indices = np.append(np.arange(width, dtype=np.int64), CONSTANT)
    return Columns(indices, 0, width, indices[:0])


# Along the rows ---------------------------------------------------------------

#: From the memory of four natural rows, and where their results go, to calls.
Along: TypeAlias = Callable[[Samples, Step], list[Call]]


def along_rows(work: Work, scratch: Scratch) -> Along:
    """Return what filters natural rows along themselves, to the output's width."""
    rates = work.plan.rates[1]
    return _plain_along(work, scratch) if rates is None else _multirate_along(work, scratch, rates)


def _natural(work: Work, index: Indices) -> Indices:
    """Point padded places at the extra column that holds the padding value."""
    return np.where(index == CONSTANT, work.plan.cols.input, index)


def _plain_along(work: Work, scratch: Scratch) -> Along:
    assert work.plan.kernel.factors is not None
    channels, axis = work.source.channels, work.plan.cols
    columns = columns_for(axis, _natural(work, work.col_index), 0, axis.output)
    pitch = columns.count * channels
    padded = scratch.get("padded", STEP_ROWS * pitch)
    taps = Taps.along(columns.tap_offset * channels, work.plan.kernel.factors[1]).nonzero()

    def along(rows: Samples, step: Step) -> list[Call]:
        load = pick_four(rows, axis.input + 1, channels, columns.indices, padded)
        return [load, sum_call(padded, LINES * pitch, taps, step)]

    return along


def _multirate_along(work: Work, scratch: Scratch, rates: Rates) -> Along:
    channels, axis = work.source.channels, work.plan.cols
    kept = Kept.of(axis, rates, work.plan.stage.padding_mode, 0, axis.output)
    columns = columns_for(kept.down, _natural(work, kept.source_index), 0, kept.down.output)
    pitch, between, length = (count * channels for count in (columns.count, kept.down.output, kept.count))
    phases, lowered, blurred = (
        scratch.get(name, STEP_ROWS * samples)
        for name, samples in (("phases", pitch), ("lowered", between), ("blurred", length))
    )
    down = Taps.along(columns.tap_offset * channels, rates.down)
    middle = Taps.along(np.arange(rates.middle.size) * channels, rates.middle)
    spread = Spread(kept, channels)

    def along(rows: Samples, step: Step) -> list[Call]:
        return [
            pick_four(rows, axis.input + 1, channels, columns.indices, phases),
            sum_call(phases, LINES * pitch, down, Step(lowered, between, between)),
            sum_call(lowered, LINES * between, middle, Step(blurred, length, length)),
            *spread.calls(scratch, blurred, step),
        ]

    return along
