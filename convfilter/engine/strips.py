"""A strip of the output, four rows in a step: its sums as a program, and what becomes of them."""

from __future__ import annotations

from collections.abc import Callable

from convfilter.engine.bands import cut
from convfilter.engine.finish import ArraySink, Finisher, Sink, Worker
from convfilter.engine.passes import (
    CORRELATE,
    CORRELATE_FOUR,
    CORRELATE_FOUR_STORED,
    CORRELATE_STORED,
    STORED_TAPS,
    Step,
)
from convfilter.engine.program import Call, Moving, Program
from convfilter.engine.tiles import Samples, Scratch
from convfilter.engine.work import Region, Work
from convfilter.planning.ring import STEP_ROWS
from convfilter.planning.strips import REGION_ROWS


class StoredStrip:
    """A strip whose programs store what they compute, ``step_rows`` rows in a step; ``tail`` is for the last few.

    What the programs' calls return counts clipped samples.
    """

    def __init__(self, sink: ArraySink, main: Program, tail: Program, step_rows: int = STEP_ROWS) -> None:
        self._sink, self._main, self._tail, self._step_rows = sink, main, tail, step_rows
        self._first_row = sink.first_row
        sink.count_clipped_by({main, tail})

    def run(self, top: int, bottom: int) -> None:
        """Compute and store output rows ``top``, where a step begins, to ``bottom - 1``."""
        for program in (self._main, self._tail):
            program.follow(self._first_row - self._sink.first_row)
        first, (whole, odd) = top // self._step_rows, divmod(bottom - top, self._step_rows)
        if whole:
            self._main.run(first, whole)
        if odd:
            self._tail.run(first + whole, 1)


class Strip:
    """Output columns ``left`` to ``right - 1``.

    ``calls`` gives the calls that compute a step's sums. Where loops alone can
    finish and store these, that is part of the program; else sums are collected
    for ``REGION_ROWS`` rows, and finished together. Sums that are the result go straight to where it belongs.
    """

    def __init__(
        self,
        work: Work,
        scratch: Scratch,
        finisher: Finisher,
        sink: Sink,
        left: int,
        right: int,
        calls: Callable[[Step], list[Call]],
    ) -> None:
        self._finisher, self._sink = finisher, sink
        self._left, self._right = left, right
        self._length = (right - left) * work.source.channels
        self._storing: StoredStrip | None = None
        place = finisher.place(self._region(0, STEP_ROWS), sink)
        if place is not None:
            assert isinstance(sink, ArraySink)
            program = work.program(calls(Step(place, sink.row_samples, self._length)))
            self._storing = StoredStrip(sink, program, program)
            return
        self._sums = scratch.get("sums", STEP_ROWS * self._length)
        stored = self._stored(STEP_ROWS)
        if stored is None:
            self._sums = scratch.get("sums", REGION_ROWS * self._length)
            region = Moving(self._sums, 0, STEP_ROWS * self._length, REGION_ROWS // STEP_ROWS)
            self._program = work.program(calls(self._step(region)))
            return
        assert isinstance(sink, ArraySink)
        sums = calls(self._step(self._sums))
        main = tail = work.program(_fused([*sums, *stored], within=finisher.stays_within(sink)))
        odd = work.plan.rows.output % STEP_ROWS
        if odd:
            tail = work.program([*sums, *(self._stored(odd) or ())])
        self._storing = StoredStrip(sink, main, tail)

    def run(self, top: int, bottom: int) -> None:
        """Compute and store output rows ``top``, a multiple of ``REGION_ROWS``, to ``bottom - 1``."""
        if self._storing is not None:
            self._storing.run(top, bottom)
            return
        for row in range(top, bottom, REGION_ROWS):
            last = min(row + REGION_ROWS, bottom)
            self._program.run(row // STEP_ROWS, -(-(last - row) // STEP_ROWS), goes_on=row > top)
            self._finisher.finish(self._region(row, last), self._sums, self._length, self._sink)

    def _step(self, memory: Samples | Moving) -> Step:
        return Step(memory, self._length, self._length)

    def _stored(self, rows: int) -> list[Call] | None:
        return self._finisher.calls(self._region(0, rows), self._sums, self._length, self._sink)

    def _region(self, top: int, bottom: int) -> Region:
        return Region(top, bottom, self._left, self._right)


def side_by_side(width: int, cols: int, strip: Callable[[int, int], Strip | StoredStrip]) -> Worker:
    """Return what computes a block of rows, strip by strip of ``cols`` columns, as ``strip`` makes them."""
    strips = [strip(left, right) for left, right in cut(width, cols)]

    def compute(block: tuple[int, int]) -> None:
        for each in strips:
            each.run(*block)

    return compute


def _fused(calls: list[Call], *, within: bool) -> list[Call]:
    """Let the last sums go straight to the output where one loop sums and stores, in the same arithmetic.

    Results that are known to lie ``within`` the range are not clipped.
    """
    *before, sums, store = calls
    if store.loop.function != "store_whole" or store.loop.codes[0] != store.loop.codes[4] + "*":
        return calls
    tile, *_, output, start, out_pitch = store.arguments
    for plain, stored in ((CORRELATE, CORRELATE_STORED), (CORRELATE_FOUR, CORRELATE_FOUR_STORED)):
        if sums.loop is not plain.variant(A=tile.dtype):
            continue
        *where, add, memory, _pitch, length = sums.arguments
        if not add and where[2] <= STORED_TAPS and memory is tile:
            loop = stored.variant(A=tile.dtype, T=output.dtype)
            tone = *store.arguments[4:9], int(within)
            return [*before, Call(loop, (*where, output, start, out_pitch, length, *tone))]
    return calls
