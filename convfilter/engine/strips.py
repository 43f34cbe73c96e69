"""Crews of column strips: each strip runs a program of compiled loops from the top of the picture down."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from itertools import pairwise
from typing import Protocol

import numpy as np

from convfilter.engine.borders import Indices
from convfilter.engine.buffer import LineBuffer, Samples, Scratch
from convfilter.engine.epilogue import Epilogue
from convfilter.engine.locality import NotLocalError
from convfilter.engine.mapped_stage import MappedStage, Region
from convfilter.engine.node import BlockTask, Crew, Rows
from convfilter.engine.program import Call, Program
from convfilter.engine.store import Store
from convfilter.engine.sums import StepOutput, StoringOutput
from convfilter.engine.threads import cut
from convfilter.planning.ring import STEP_ROWS
from convfilter.planning.strips import VECTOR
from convfilter.record import cached_property

#: Bytes of a program besides arrays, as measured: tall pictures have thousands of programs.
_PROGRAM_BYTES = 6 * 2**10
#: Number of the next step of a strip that must start afresh: steps above the picture have small negative numbers.
_AFRESH = -(2**40)


class Strip:
    """A column strip: programs compute it step by step, from the top down.

    Memory that steps hand on, such as a ring of source rows, stays valid from one block to the block below it.

    Parameters
    ----------
    target : LineBuffer
    programs : sequence of Program
        Of a whole step and, if it differs, of the remaining rows at the picture's end; see :func:`step_programs`. Their
        calls return the number of clipped samples.
    state : int64 array, or None
        Zeroed before a block that does not follow the one before.
    persists : bool
        Whether the strip owns the memory that steps hand on; strips that share it start afresh with each block.
    source : LineBuffer, or None
        The line buffer of a program that reads the same rows that it writes.
    nonfinite : int64 array, or None
        Set to 1 by a program that finds an infinity or NaN, which its method would spread.
    """

    def __init__(
        self,
        target: LineBuffer,
        programs: Sequence[Program],
        *,
        state: Indices | None = None,
        persists: bool = True,
        source: LineBuffer | None = None,
        nonfinite: Indices | None = None,
    ) -> None:
        self._target, self._source, self._step_rows = target, source, programs[0].step_rows
        self._programs, self._main, self._tail = programs, programs[0], programs[-1]
        self._state, self._persists, self._nonfinite = state, persists, nonfinite
        self._next = _AFRESH

    def begin(self) -> None:
        """Begin with another picture."""
        self._next = _AFRESH
        for program in self._programs:
            program.reset_total()

    @property
    def next_row(self) -> int:
        """The row below the last block; negative if the next block must start afresh."""
        return self._next * self._step_rows

    @property
    def clipped(self) -> int:
        """Number of clipped samples."""
        return sum([program.total for program in self._programs])

    def run(self, rows: Rows) -> None:
        """Compute and store output rows ``top`` (the start of a step) to ``bottom - 1``.

        Negative ones are those of lead blocks (see ``Node``), for which rings are filled.

        Raises
        ------
        NotLocalError
            The method would spread a sample beyond its window.
        """
        top, bottom = rows
        shift = self._target.row(top) - top
        source = self._source.row(top) - top if self._source is not None else 0
        first, (steps, remainder) = top // self._step_rows, divmod(bottom - top, self._step_rows)
        follows = first == self._next
        if not follows and self._state is not None:
            self._state[:] = 0
        if steps:
            self._main.rebase(shift, source)
            self._main.run(first, steps, continues=follows)
        if remainder:
            self._tail.rebase(shift, source)
            self._tail.run(first + steps, 1, continues=steps > 0 or follows)
        self._next = first + steps if self._persists and not remainder else _AFRESH
        if self._nonfinite is not None and self._nonfinite[0]:
            raise NotLocalError

    def continues(self, before: Rows, rows: Rows) -> bool:
        """Whether rows follow a block both in the picture and in each line buffer that the program moves through."""
        buffers = [self._target] if self._source is None else [self._target, self._source]
        return rows[0] == before[1] and all(each.row(rows[0]) == each.row(rows[0] - 1) + 1 for each in buffers)

    def programs(self) -> Sequence[Program]:
        """Return the programs of whole steps and of the remaining rows."""
        return self._programs


def step_programs(rows: int, calls: Callable[[int], list[Call]], step_rows: int = STEP_ROWS) -> list[Program]:
    """Return the programs for ``rows`` rows; ``calls`` returns the calls of a step of a number of rows."""
    heights = [min(rows, step_rows), *([rows % step_rows] if rows > step_rows and rows % step_rows else [])]
    return [Program(calls(height), step_rows) for height in heights]


class Strips:
    """A crew of column strips, in shares: the strips of one use the same scratch memory, so one thread runs them."""

    def __init__(self, shares: Sequence[Sequence[Strip]]) -> None:
        self._shares = shares

    def begin(self) -> None:
        """Begin with another picture."""
        for strip in self._all():
            strip.begin()

    def tasks(self, blocks: Sequence[Rows]) -> list[BlockTask]:
        """Return a task for each share, of all blocks; blocks that follow each other are joined into one call."""
        joined = [blocks[0]]
        for rows in blocks[1:]:
            if self._shares[0][0].continues(joined[-1], rows):
                joined[-1] = joined[-1][0], rows[1]
            else:
                joined.append(rows)
        return [(partial(_run_each, share), joined) for share in self._shares]

    def _all(self) -> list[Strip]:
        return [strip for share in self._shares for strip in share]

    @property
    def clipped(self) -> int:
        """Number of clipped samples."""
        return sum([strip.clipped for strip in self._all()])

    def held_bytes(self) -> int:
        """Return the bytes of the strips' programs."""
        return self._bytes

    @cached_property
    def _bytes(self) -> int:
        return _bytes_of(self._all())


def _bytes_of(strips: Sequence[Strip]) -> int:
    """Return the bytes of the programs of strips."""
    programs = {program for strip in strips for program in strip.programs()}
    arrays = (_root(array) for program in programs for array in program.arrays())
    return sum({id(array): array.nbytes for array in arrays}.values()) + len(programs) * _PROGRAM_BYTES


def _run_each(strips: Sequence[Strip], blocks: Sequence[Rows]) -> None:
    for rows in blocks:
        for strip in strips:
            strip.run(rows)


def _root(array: Samples) -> Samples:
    """Return the base array of a view."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


class MakeStrip(Protocol):
    """Makes the strip of a range of columns."""

    def __call__(self, cols: tuple[int, int], scratch: Scratch, persistent: Scratch, persists: bool, /) -> Strip:
        """Return the strip.

        Parameters
        ----------
        cols : (first, last + 1)
        scratch : Scratch
            Memory used within a step.
        persistent : Scratch
            Memory that steps hand on.
        persists : bool
            Whether the strip owns ``persistent``, so that the next block finds it as this one leaves it.
        """


def strips_of(
    cols: int, widest: int, make: MakeStrip, precision: str, *, persists: bool = True, threads: int = 1
) -> Strips:
    """Return strips of at most ``widest`` of ``cols`` columns, in one share for each thread."""
    cuts = _shared_cuts(cols, widest, threads) if threads > 1 else cut(cols, widest)
    shares = []
    for first, last in cut(len(cuts), -(-len(cuts) // threads)):
        scratch = Scratch(precision)
        shares.append(
            [make(each, scratch, Scratch(precision) if persists else scratch, persists) for each in cuts[first:last]]
        )
    return Strips(shares)


def _shared_cuts(cols: int, widest: int, threads: int) -> list[tuple[int, int]]:
    """Cut columns at whole vectors into equally many strips for each thread; widths differ by at most one vector."""
    strips = -(-cols // widest // threads) * threads
    vectors = -(-cols // VECTOR)
    ends = [min(vectors * number // strips * VECTOR, cols) for number in range(strips + 1)]
    return [(first, last) for first, last in pairwise(ends) if first < last]


def strip_of(
    mapped: MappedStage,
    epilogue: Epilogue,
    target: LineBuffer,
    cols: tuple[int, int],
    scratch: Scratch,
    calls: Callable[[StepOutput], list[Call]],
    *,
    persists: bool = True,
    source: LineBuffer | None = None,
    nonfinite: Indices | None = None,
) -> Strip:
    """Return the strip of some output columns.

    Parameters
    ----------
    cols : (first, last + 1)
    scratch : Scratch
        In the type of the sums.
    calls : callable
        Given the memory for a step's sums, returns the calls that compute them.
    persists, source, nonfinite
        As for a ``Strip``.
    """
    left, right = cols
    length = (right - left) * mapped.source.channels
    if isinstance(epilogue, Store):
        place = epilogue.direct_target(left, STEP_ROWS, scratch.dtype)
        if place is not None:  # the result is the sums themselves
            programs = [Program(calls(StepOutput(place, target.row_samples, length)))]
            return Strip(target, programs, persists=persists, source=source, nonfinite=nonfinite)
    sums = scratch.get("sums", STEP_ROWS * length)

    def step_calls(rows: int) -> list[Call]:
        region = Region(0, rows, left, right)
        out = StepOutput(sums, length, length)
        numbers = epilogue.fused_arguments(scratch.dtype) if isinstance(epilogue, Store) and rows == STEP_ROWS else None
        if numbers is not None:
            assert isinstance(epilogue, Store)
            out = StoringOutput(sums, length, epilogue.place(region, STEP_ROWS), epilogue.dtype, numbers)
        sum_calls = calls(out)
        if not (isinstance(out, StoringOutput) and out.is_stored):
            sum_calls += epilogue.calls(scratch, region, sums, length, STEP_ROWS)
        return sum_calls

    programs = step_programs(mapped.plan.rows.output, step_calls)
    return Strip(target, programs, persists=persists, source=source, nonfinite=nonfinite)


def whole_rows(make: Callable[[], Strip], threads: int) -> Crew:
    """Return a crew of strips as wide as the picture: of one thread a single strip, for which blocks are joined."""
    return Strips([[make()]]) if threads == 1 else _StripPool(make)


class _StripPool:
    """A crew of strips as wide as the picture, made by ``make``; each block goes to one of them.

    A block goes to the strip that ended right above it, if that strip is idle.
    """

    def __init__(self, make: Callable[[], Strip]) -> None:
        self._make = make
        self._strips: list[Strip] = []
        self._idle: list[Strip] = []
        self._counted = 0, 0  # number of strips, and their bytes

    def begin(self) -> None:
        """Begin with another picture."""
        for strip in self._strips:
            strip.begin()

    def tasks(self, blocks: Sequence[Rows]) -> list[BlockTask]:
        """Return one task for each block."""
        return [(self._compute, rows) for rows in blocks]

    def _compute(self, rows: Rows) -> None:
        strip = self._take_idle(rows[0])
        if strip is None:
            strip = self._make()
            self._strips.append(strip)
        strip.run(rows)
        self._idle.append(strip)

    def _take_idle(self, top: int) -> Strip | None:
        """Remove and return an idle strip, or None; other threads may take strips at any time."""
        for strip in self._idle.copy():
            if strip.next_row == top:
                with suppress(ValueError):
                    self._idle.remove(strip)
                    return strip
        with suppress(IndexError):
            return self._idle.pop()
        return None

    @property
    def clipped(self) -> int:
        """Number of clipped samples."""
        return sum([strip.clipped for strip in self._strips])

    def held_bytes(self) -> int:
        """Return the bytes of the strips' programs."""
        if self._counted[0] != len(self._strips):
            self._counted = len(self._strips), _bytes_of(self._strips)
        return self._counted[1]
