"""Multirate Gaussians: down to few rows, along them, and up again; see ``filters/multirate.py`` for the weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import NamedTuple

import numpy as np

from convfilter.engine.along import along_rows, natural_columns, rows_at_once
from convfilter.engine.bands import Turn, Workers, cut
from convfilter.engine.borders import Indices
from convfilter.engine.finish import Finisher, MakeWorker, Sink, Worker
from convfilter.engine.kept import Kept, Rise
from convfilter.engine.passes import Step, Taps, Window
from convfilter.engine.program import Call, Following, Moving, Program
from convfilter.engine.streams import Tables, incoming
from convfilter.engine.strips import Strip, side_by_side
from convfilter.engine.tiles import Samples, Scratch
from convfilter.engine.work import Work
from convfilter.planning.ring import STEP_ROWS, Ring
from convfilter.planning.strips import REGION_ROWS, strip_cols, strip_samples, whole_vectors
from convfilter.record import cached_property

#: Rows that are kept between the passes may take this much memory.
_KEPT_BYTES = 32 * 2**20
#: Kept rows of one block of work.
_BLOCK_KEPT_ROWS = 64
#: Pieces of the first step, at least, for threads to take; and samples of a row that are worth a piece.
_PIECES = 8
_NARROW_SAMPLES = 1024


class KeptRows:
    """The kept rows of one band of the output after the other, in memory that they share."""

    def __init__(self, work: Work) -> None:
        rates, _ = work.plan.rates
        assert rates is not None
        channels, dtype = work.source.channels, np.dtype(work.plan.precision)
        kept = Kept.of(work.plan.rows, rates, work.plan.stage.padding_mode, 0, work.plan.rows.output)
        lowering = Lowering(work, kept, kept.source_index, dtype, blurs=True)
        self._work, self._kept, self._lowering, self._along = work, kept, lowering, along_rows(work)
        self._group, self._pitch = rows_at_once(dtype), lowering.columns.count * channels
        self._length = work.plan.cols.output * channels
        in_place = self._along.in_place and self._length <= self._pitch
        self._out_pitch = self._pitch if in_place else self._length
        bands = self._cut(dtype.itemsize * (self._pitch if in_place else self._pitch + self._length))
        self._steps = {band: self._steps_of(band) for band in bands}
        most = max(last - first for first, last in self._steps.values()) * STEP_ROWS
        used = most * self._pitch
        most += -most % self._group
        scratch = Scratch(dtype)
        self._lowered = scratch.get("lowered", most * self._pitch)
        # Filtered with the others of their group, and not looked at; but any content may be denormal: 2 ms for 1 MP.
        self._lowered[used:] = 0
        self._rows = self._lowered if in_place else scratch.get("kept", most * self._length)
        self._lowerers = Workers(lambda: lowering.make_worker(self._lowered))
        self._crossers = Workers(self._make_cross)

    def _cut(self, row_bytes: int) -> list[tuple[int, int]]:
        """Cut the output into bands: first and last-plus-one rows, all but the last whole regions."""
        axis, step = self._kept.axis, self._kept.rates.step
        rows = _KEPT_BYTES // row_bytes * step // axis.stride
        return cut(axis.output, max(REGION_ROWS, rows // REGION_ROWS * REGION_ROWS))

    def _steps_of(self, band: tuple[int, int]) -> tuple[int, int]:
        """Return which kept rows a band needs, as first and last-plus-one step."""
        _, place = self._kept.place(np.array([band[0], band[1] - 1]))
        return int(place[0]) // STEP_ROWS, -(-(int(place[1]) + self._kept.rates.up.shape[1]) // STEP_ROWS)

    def turns(self) -> Iterator[tuple[tuple[int, int], list[Turn]]]:
        """Return, for each band, what computes its kept rows; those that the band before needed are written over."""
        lower, cross = self._lowerers.for_one_run(), self._crossers.for_one_run()
        for band, (first, last) in self._steps.items():
            pieces = [(first, piece) for piece in self._lowering.pieces(first, last)]
            groups = -(-(last - first) * STEP_ROWS // self._group)
            few = max(1, min(_BLOCK_KEPT_ROWS // self._group, -(-groups // 8)))
            yield band, [(lower, pieces), (cross, cut(groups, few))]

    def _make_cross(self) -> Callable[[tuple[int, int]], None]:
        """Return what filters groups of lowered rows along themselves."""
        group, scratch = self._group, Scratch(self._rows.dtype)
        lowered, target = (
            Moving(rows, 0, group * pitch)
            for rows, pitch in ((self._lowered, self._pitch), (self._rows, self._out_pitch))
        )
        program = self._work.program(
            self._along.calls(scratch, lowered, group, Step(target, self._out_pitch, self._length))
        )
        return lambda block: program.run(block[0], block[1] - block[0])

    def make_worker(self, work: Work, scratch: Scratch, finisher: Finisher, sink: Sink) -> Worker:
        """Return what brings kept rows up to a block of output rows, and finishes them."""
        return rising(self._rise, self._rows, self._out_pitch)(work, scratch, finisher, sink)

    @cached_property
    def _rise(self) -> Rise:
        steps = [-(-(bottom - top) // STEP_ROWS) for top, bottom in self._steps]
        first_rows = [first * STEP_ROWS for first, _ in self._steps.values()]
        return Rise(self._kept, self._rows.dtype, starts=np.repeat(first_rows, steps))


def rising(rise: Rise, rows: Samples, pitch: int) -> MakeWorker:
    """Return what makes the workers that bring kept rows, ``pitch`` samples apart, up and finish them."""

    def make_worker(work: Work, scratch: Scratch, finisher: Finisher, sink: Sink) -> Worker:
        channels, width = work.source.channels, work.plan.cols.output

        def strip(left: int, right: int) -> Strip:
            def calls(step: Step) -> list[Call]:
                return [rise.call(rows, pitch, left * channels, step)]

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
    between = scratch.get("between", rows_at_once(scratch.dtype) * pitch)
    between[:] = 0
    down = work.window(Taps.down(column), column.size).call(tile, ring.table() * pitch, Step(between, pitch, pitch))
    along = along_rows(work)

    def calls(step: Step) -> list[Call]:
        return [*load, down, *along.calls(scratch, between, STEP_ROWS, step)]

    width = work.plan.cols.output
    return side_by_side(width, width, lambda left, right: Strip(work, scratch, finisher, sink, left, right, calls))


class _Piece(NamedTuple):
    """Columns ``left`` to ``right - 1`` of the source, lowered to the kept rows of steps ``first`` to ``last - 1``."""

    left: int
    right: int
    first: int
    last: int


class Lowering:
    """Sums down the columns of the source, from the rows that ``source_index`` names, for the kept rows alone.

    What ``blurs`` goes on with the middle Gaussian across those; else its first row comes before the first kept row.
    """

    def __init__(
        self, work: Work, kept: Kept, source_index: Indices, dtype: np.dtype[np.floating], *, blurs: bool = False
    ) -> None:
        self._work, self.columns = work, natural_columns(work)
        rates, finite = kept.rates, work.source.is_finite
        self.ring = Ring.of(kept.down, 0, rates.down.size)
        self._tables = Tables(self.ring)
        # Steps whose rows the middle Gaussian sees besides those of its own.
        self._reach = rates.middle.size - 1
        self._ahead = -(-self._reach // STEP_ROWS) if blurs else 0
        places = self.ring.places()
        self._rows = source_index[np.append(places, np.repeat(places[-1:], (self._ahead + 1) * self.ring.block))]
        self._down = Window(Taps.down(rates.down), rates.down.size, rates.step, dtype, finite=finite)
        self._middle = Window(Taps.down(rates.middle), rates.middle.size, 1, dtype, finite=finite) if blurs else None

    def cut(self) -> list[tuple[int, int]]:
        """Cut the columns into strips that stay in cache."""
        return cut(self.columns.count, strip_cols(self.ring.slots, self._work.source.channels))

    def pieces(self, first: int, last: int) -> list[_Piece]:
        """Cut steps for threads: by columns first, since a cut between rows costs all that its first step sees."""
        count, channels = self.columns.count, self._work.source.channels
        widest = strip_samples(self.ring.slots) // channels
        cols = whole_vectors(min(widest, max(_NARROW_SAMPLES // channels, -(-count // _PIECES))))
        strips = cut(count, cols)
        blocks = cut(last - first, max(1, (last - first) // -(-_PIECES // len(strips))))
        return [_Piece(left, right, first + a, first + b) for left, right in strips for a, b in blocks]

    def program(self, scratch: Scratch, left: int, right: int, memory: Samples) -> Program:
        """Return the program for some columns; each step writes four rows of ``memory``, from step 0 on."""
        channels = self._work.source.channels
        pitch, part = self.columns.count * channels, self.columns.part(left, right)
        length = part.count * channels
        load, tile = incoming(self._work.source, scratch, self.ring, self._rows, part, self._ahead)
        table = self._tables.of(length)
        target = Step(Following(memory, left * channels, STEP_ROWS * pitch), pitch, length)
        if self._middle is None:
            return self._work.program([*load, self._down.call(tile, table, target)])
        # Lowered rows stay in a ring of their own, where step n leaves those that lie ``ahead`` steps further down.
        period, step = self._ahead + 1, STEP_ROWS * length
        lowered = scratch.get("lowered", period * step)
        down = self._down.call(tile, table, Step(Moving(lowered, 0, step, period), length, length))
        rows = np.arange(period * STEP_ROWS)[:, np.newaxis] + np.arange(self._reach + 1)
        slots = (rows - self._ahead * STEP_ROWS) % (period * STEP_ROWS)
        middle = self._middle.call(lowered, slots.reshape(period, STEP_ROWS, -1) * length, target)
        return self._work.program([*load, down._replace(ahead=self._ahead), middle])

    def make_worker(self, memory: Samples) -> Callable[[tuple[int, _Piece]], None]:
        """Return what lowers a piece into ``memory``, which begins with the rows of the step that is given."""
        scratch = Scratch(memory.dtype)

        @cache
        def program(left: int, right: int) -> Program:
            return self.program(scratch, left, right, memory)

        def lower(task: tuple[int, _Piece]) -> None:
            begin, piece = task
            strip = program(piece.left, piece.right)
            strip.follow(-begin * STEP_ROWS)
            strip.run(piece.first, piece.last - piece.first)

        return lower
