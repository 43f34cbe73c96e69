"""Nodes of a plan: rows of samples in, rows of samples out, block by block.

A node knows its *demand*, the input rows that given output rows need, and makes a crew that computes blocks of rows
from line buffers into another. Row numbers are those of whole pictures.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cached_property, partial
from typing import Any, Protocol, TypeAlias

import numpy as np

from convfilter.engine.borders import CONSTANT, Indices
from convfilter.engine.buffer import LineBuffer, Samples, Scratch
from convfilter.engine.epilogue import Epilogue, Range, Store
from convfilter.engine.load import Source
from convfilter.engine.mapped_stage import MappedStage, Region, padded_rows
from convfilter.engine.program import Call, Program, Slot
from convfilter.engine.sums import Step, StoringStep
from convfilter.engine.threads import cut
from convfilter.engine.tone import Tone, tone_of
from convfilter.filters.stage import Layer, Orientation, Point
from convfilter.planning.chains import rows_needed
from convfilter.planning.ring import STEP_ROWS
from convfilter.planning.stage_plan import StagePlan
from convfilter.planning.strips import shared_cols
from convfilter.record import record

#: Bytes of a program besides arrays, as measured: tall pictures have thousands of programs.
_PROGRAM_BYTES = 6 * 2**10
#: Most index maps of both axes that a stage's node and crew hold: its own, the buffer's, and some of a method.
_INDEX_MAPS = 4

Rows: TypeAlias = tuple[int, int]
#: A callable and its argument; tasks of one list are independent.
Task: TypeAlias = tuple[Callable[[Any], None], Any]


class Crew(Protocol):
    """Computes blocks of one node, from line buffers into another."""

    def begin(self) -> None:
        """Begin with another picture."""

    def tasks(self, blocks: Sequence[Rows]) -> list[Task]:
        """Return the tasks of some blocks of rows, for any number of threads."""

    @property
    def clipped(self) -> int:
        """How many samples were clipped since the picture began."""

    def held_bytes(self) -> int:
        """Return how much memory it holds."""


class Node(ABC):
    """One step of a plan.

    Attributes
    ----------
    rows : int
        Rows of the whole result.
    line : (cols, channels)
        Of the result.
    block_rows : int
        Rows of a block.
    group_rows : int
        Rows that stay contiguous in a line buffer, a multiple of ``block_rows``; 0: those of a block.
    dtype : dtype
        Of the result's samples.
    jump : float
        Rows of the input for each row of the result.
    overlap : float
        Input rows that two neighbouring blocks share.
    cost : float
        Multiply-adds of the whole result.
    scratch_bytes : int
        Working memory of one crew.
    spreads : bool
        Whether a non-finite input sample would affect outputs beyond its window.
    reads : tuple of int
        Inputs by distance: 1 is the result of the node before, 2 that of the one before that.
    table_bytes : int
        Approximate bytes of a crew's index maps.
    in_order : bool
        Whether blocks must be computed in order, from the top down.
    persists : bool
        Whether rows that a block has read stay with the crew for the block below it.
    stage_number : int
        Number of its stage within the group.
    """

    rows: int
    line: tuple[int, int]
    block_rows: int
    dtype: np.dtype[np.generic]
    group_rows: int = 0
    jump: float = 1.0
    overlap: float = 0.0
    cost: float = 0.0
    scratch_bytes: int = 1
    spreads: bool = False
    reads: tuple[int, ...] = (1,)
    table_bytes: int = 0
    in_order: bool = False
    persists: bool = False
    stage_number: int = 0

    @property
    def blocks(self) -> int:
        """Number of blocks of the result."""
        return -(-self.rows // self.block_rows)

    def rows_of(self, block: int) -> Rows:
        """Return the first and last-plus-one row of a block."""
        top = block * self.block_rows
        return top, min(top + self.block_rows, self.rows)

    def blocks_needed(self, block: int, source_block_rows: int, number: int = 0, *, follows: bool = False) -> set[int]:
        """Return the blocks of an input that a block needs; ``follows``: right after the block above it."""
        incoming = follows and self.persists
        key = block, source_block_rows, number, incoming
        if key not in self._needed:
            rows = (self.incoming if incoming else self.demand)(*self.rows_of(block), number)
            blocks = rows // source_block_rows
            # Most rows lie in the block of the row before: a set of all of them would take most of a schedule's time.
            self._needed[key] = {*blocks[:1].tolist(), *blocks[1:][blocks[1:] != blocks[:-1]].tolist()} - {CONSTANT}
        return self._needed[key]

    @cached_property
    def _needed(self) -> dict[tuple[int, int, int, bool], set[int]]:
        """The blocks that each block needs; a schedule asks for them several times."""
        return {}

    @abstractmethod
    def demand(self, top: int, bottom: int, number: int = 0) -> Indices:
        """Return the input rows that rows ``top`` to ``bottom - 1`` need, in any order; -1 is padding."""

    def incoming(self, top: int, bottom: int, number: int = 0) -> Indices:
        """Return those rows of the ``demand`` that a persistent crew reads right after the block above."""
        return self.demand(top, bottom, number)

    @abstractmethod
    def crew(self, sources: Sequence[LineBuffer], target: LineBuffer, threads: int) -> Crew:
        """Return a crew that computes blocks from the rows of ``sources`` into ``target``.

        Its tasks suit about ``threads`` threads.
        """


@record(eq=False)
class StageSetup:
    """One stage of a plan, applied to one source.

    Attributes
    ----------
    plan : StagePlan
    source : Source
        Input; only its buffer's sizes and sample type count, since rows come later.
    dtype : dtype
        Of the stored samples.
    full_out : float
        Value of white in the stored samples.
    block_rows : int
        Output rows of a block.
    span : (low, high)
        Range of the input, for point functions that need it.
    tone : Tone, or None
        Arithmetic from sums to samples; None: the plan's.
    ranges : list of Range, or None
        Collects the epilogues of a run that only finds the range of the results.
    alone : bool
        The stage reads whole pictures and is the only one of its group.
    """

    plan: StagePlan
    source: Source
    dtype: np.dtype[np.generic]
    full_out: float
    block_rows: int
    span: tuple[float, float] = (0.0, 1.0)
    tone: Tone | None = None
    ranges: list[Range] | None = None
    alone: bool = False

    @property
    def tone_of_sums(self) -> Tone:
        """Arithmetic from sums to samples."""
        weighed = self.source.gray and not isinstance(self.plan.stage.operator, Layer | Orientation | Point)
        return self.tone or tone_of(self.plan, self.dtype, self.source.full, self.full_out, weighed)


class StageNode(Node):
    """A node that is a whole stage, or its last step."""

    def __init__(self, stage: StageSetup) -> None:
        plan = stage.plan
        self.stage, self.plan = stage, plan
        self.rows, self.line = plan.rows.output, (plan.cols.output, plan.output_channels)
        self.block_rows, self.dtype = stage.block_rows, stage.dtype
        self.jump, self.overlap = plan.rows.stride, max(0, plan.rows.span + 1 - plan.rows.stride)
        self.cost = plan.multiply_adds * plan.rows.output * plan.cols.output * plan.channels
        self.scratch_bytes = plan.scratch_bytes
        self.spreads = plan.spreads
        self._row_index = padded_rows(plan)
        self.table_bytes = _INDEX_MAPS * 8 * (plan.rows.padded + plan.cols.padded)

    def demand(self, top: int, bottom: int, number: int = 0) -> Indices:
        """Return the input rows that some rows need."""
        axis = self.plan.rows
        first = top * axis.stride
        if axis.span + 1 >= axis.stride or self.plan.algorithm == "fourier":
            return self._row_index[first : first + rows_needed(self.plan, bottom - top)]
        # Rows between two windows are not needed.
        starts = np.arange(top, bottom)[:, np.newaxis] * axis.stride
        needed: Indices = self._row_index[(starts + np.arange(axis.span + 1)).ravel()]
        return needed

    def mapped(self, source: LineBuffer) -> MappedStage:
        """Return the stage with its index maps into a line buffer."""
        return MappedStage.of(self.plan, replace(self.stage.source, buffer=source))

    def epilogue(self, mapped: MappedStage, target: LineBuffer) -> Epilogue:
        """Return the stage's epilogue."""
        stage = self.stage
        if stage.ranges is None:
            return Store(mapped, stage.tone_of_sums, target, stage.full_out)
        looks = Range(mapped, stage.tone_of_sums)
        stage.ranges.append(looks)
        return looks


class Strip:
    """A column strip, computed from the top down by a program, ``step_rows`` rows in a step.

    Rows that stay in memory from step to step stay from block to block too, if blocks follow each other.

    Parameters
    ----------
    target : LineBuffer
    main, tail : Program
        For whole steps, and for the remaining rows at the picture's end. Their calls return the number of clipped
        samples.
    state : int64 array, or None
        Zeroed if a block does not follow the one before.
    persists : bool
        Whether the strip owns the memory between its steps; strips that share it start again with each block.
    source : LineBuffer, or None
        For programs that read the rows that they write.
    """

    def __init__(
        self,
        target: LineBuffer,
        main: Program,
        tail: Program,
        step_rows: int,
        *,
        state: Indices | None = None,
        persists: bool = True,
        source: LineBuffer | None = None,
    ) -> None:
        self._source = source
        self._target, self._main, self._tail, self._step_rows, self._state = target, main, tail, step_rows, state
        self._persists = persists
        self._next = -1

    @classmethod
    def of_blocks(cls, target: LineBuffer, rows: int, block_rows: int, program: Callable[[int], Program]) -> Strip:
        """Return a strip whose steps are whole blocks; ``program`` makes that of a number of rows."""
        odd = rows % block_rows
        tail = program(odd) if odd else None
        main = program(block_rows) if rows >= block_rows or tail is None else tail
        return cls(target, main, tail or main, block_rows, persists=False)

    def begin(self) -> None:
        """Begin with another picture."""
        self._next = -1
        self._main.forget()
        self._tail.forget()

    @property
    def next_row(self) -> int:
        """The row after the last block; negative if no block may follow."""
        return self._next * self._step_rows

    @property
    def clipped(self) -> int:
        """How many samples were clipped."""
        return self._main.total + (self._tail.total if self._tail is not self._main else 0)

    def run(self, rows: Rows) -> None:
        """Compute and store output rows ``top`` (the start of a step) to ``bottom - 1``."""
        top, bottom = rows
        shift = self._target.row(top) - top
        source = self._source.row(top) - top if self._source is not None else 0
        first, (whole, odd) = top // self._step_rows, divmod(bottom - top, self._step_rows)
        follows = first == self._next
        if not follows and self._state is not None:
            self._state[:] = 0
        if whole:
            self._main.follow(shift, source)
            self._main.run(first, whole, goes_on=follows)
        if odd:
            self._tail.follow(shift, source)
            self._tail.run(first + whole, 1, goes_on=whole > 0 or follows)
        self._next = first + whole if self._persists and not odd else -1

    def goes_on(self, before: Rows, rows: Rows) -> bool:
        """Whether rows follow those of a block in the picture, and in each buffer that moves with the rows."""
        buffers = [self._target] if self._source is None else [self._target, self._source]
        return rows[0] == before[1] and all(each.row(rows[0]) == each.row(rows[0] - 1) + 1 for each in buffers)

    def programs(self) -> set[Program]:
        """Return its programs."""
        return {self._main, self._tail}


class Strips:
    """A crew of column strips, in groups that share scratch memory: one thread at a time runs a group."""

    def __init__(self, groups: Sequence[Sequence[Strip]]) -> None:
        self._groups = groups

    def begin(self) -> None:
        """Begin with another picture."""
        for strip in self._all():
            strip.begin()

    def tasks(self, blocks: Sequence[Rows]) -> list[Task]:
        """Return the groups, each with all blocks; blocks that follow each other take one call for each strip."""
        joined = [blocks[0]]
        for rows in blocks[1:]:
            if self._groups[0][0].goes_on(joined[-1], rows):
                joined[-1] = joined[-1][0], rows[1]
            else:
                joined.append(rows)
        return [(partial(_run_each, group), joined) for group in self._groups]

    def _all(self) -> list[Strip]:
        return [strip for group in self._groups for strip in group]

    @property
    def clipped(self) -> int:
        """How many samples were clipped."""
        return sum([strip.clipped for strip in self._all()])

    def held_bytes(self) -> int:
        """Return how much memory the strips' programs hold."""
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
            Memory within a step.
        persistent : Scratch
            Memory from step to step.
        persists : bool
            Whether the strip owns ``persistent``, so that its content is valid when the next block begins.
        """


def strips_of(
    cols: int, widest: int, make: MakeStrip, precision: str, *, persists: bool = True, threads: int = 1
) -> Strips:
    """Return strips of at most ``widest`` of ``cols`` columns, in one group for each thread."""
    cuts = cut(cols, shared_cols(cols, widest, threads))
    groups = []
    for first, last in cut(len(cuts), -(-len(cuts) // threads)):
        scratch = Scratch(precision)
        groups.append(
            [make(each, scratch, Scratch(precision) if persists else scratch, persists) for each in cuts[first:last]]
        )
    return Strips(groups)


class StripPool:
    """A crew of strips as wide as the picture, made by ``make``; each block goes to one of them.

    A strip that ended right above the block is preferred.
    """

    def __init__(self, make: Callable[[], Strip]) -> None:
        self._make = make
        self._made: list[Strip] = []
        self._idle: list[Strip] = []

    def begin(self) -> None:
        """Begin with another picture."""
        for strip in self._made:
            strip.begin()

    def tasks(self, blocks: Sequence[Rows]) -> list[Task]:
        """Return the blocks one by one."""
        return [(self._compute, rows) for rows in blocks]

    def _compute(self, rows: Rows) -> None:
        strip = self._taken(rows[0])
        if strip is None:
            strip = self._make()
            self._made.append(strip)
        strip.run(rows)
        self._idle.append(strip)

    def _taken(self, top: int) -> Strip | None:
        """Take an idle strip, or None; other threads may take strips at any time."""
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
        """How many samples were clipped."""
        return sum([strip.clipped for strip in self._made])

    def held_bytes(self) -> int:
        """Return how much memory the strips' programs hold."""
        return _bytes_of(self._made)


class Worker(Protocol):
    """Computes blocks of rows in scratch memory of its own."""

    def __call__(self, rows: Rows) -> int:
        """Compute and store a block; returns how many samples were clipped."""


class Workers:
    """A crew of interchangeable workers; one is made when all others are busy.

    ----------
    make : callable
        Makes a worker.
    memory : int
        Bytes of one worker.
    """

    def __init__(self, make: Callable[[], Worker], memory: int) -> None:
        self._make, self._bytes = make, memory
        self._idle: list[Worker] = []
        self._made = 0
        self._clipped: list[int] = []

    def begin(self) -> None:
        """Begin with another picture."""
        self._clipped.clear()

    def tasks(self, blocks: Sequence[Rows]) -> list[Task]:
        """Return the blocks one by one."""
        return [(self._compute, rows) for rows in blocks]

    def _compute(self, rows: Rows) -> None:
        worker = None
        with suppress(IndexError):
            worker = self._idle.pop()
        if worker is None:
            worker = self._make()
            self._made += 1
        self._clipped.append(worker(rows))
        self._idle.append(worker)

    @property
    def clipped(self) -> int:
        """How many samples were clipped."""
        return sum(self._clipped)

    def held_bytes(self) -> int:
        """Return how much memory the workers hold."""
        return self._made * self._bytes


def strip_of(
    mapped: MappedStage,
    epilogue: Epilogue,
    target: LineBuffer,
    cols: tuple[int, int],
    scratch: Scratch,
    calls: Callable[[Step], list[Call]],
    *,
    persists: bool = True,
    source: LineBuffer | None = None,
) -> Strip:
    """Return the strip of some output columns.

    Parameters
    ----------
    cols : (first, last + 1)
    scratch : Scratch
        Of the type of the sums.
    calls : callable
        Given the target of a step's sums, returns the calls that compute them.
    persists, source
        As for a ``Strip``.
    """
    left, right = cols
    length = (right - left) * mapped.source.channels
    if isinstance(epilogue, Store):
        place = epilogue.direct(left, STEP_ROWS, scratch.dtype)
        if place is not None:  # sums are the result
            program = Program(calls(Step(place, target.row_samples, length)))
            return Strip(target, program, program, STEP_ROWS, persists=persists, source=source)
    sums = scratch.get("sums", STEP_ROWS * length)

    def program_of(rows: int) -> Program:
        region = Region(0, rows, left, right)
        step = Step(sums, length, length)
        numbers = epilogue.fused(scratch.dtype) if isinstance(epilogue, Store) and rows == STEP_ROWS else None
        if numbers is not None:
            assert isinstance(epilogue, Store)
            step = StoringStep(sums, length, epilogue.place(region, STEP_ROWS), epilogue.dtype, numbers)
        made = calls(step)
        if not (isinstance(step, StoringStep) and step.is_stored):
            made += epilogue.calls(scratch, region, sums, length, STEP_ROWS)
        return Program(made)

    odd = mapped.plan.rows.output % STEP_ROWS
    main = program_of(STEP_ROWS)
    return Strip(target, main, program_of(odd) if odd else main, STEP_ROWS, persists=persists, source=source)


class TileWorker:
    """Computes a block in regions of sums; each is stored before the next.

    Parameters
    ----------
    sums : callable
        Given first and last-plus-one row, yields (region, sums, pitch).
    """

    def __init__(self, sums: Callable[[int, int], Iterable[tuple[Region, Samples, int]]], epilogue: Epilogue,
                 scratch: Scratch) -> None:  # fmt: skip
        self._sums, self._epilogue, self._scratch = sums, epilogue, scratch

    def __call__(self, rows: Rows) -> int:
        """Compute and store a block; returns how many samples were clipped."""
        clipped = 0
        for region, sums, pitch in self._sums(*rows):
            clipped += self._store(region, sums, pitch)
        return clipped

    def _store(self, region: Region, sums: Samples, pitch: int) -> int:
        return sum(call() for call in self._epilogue.calls(self._scratch, region, sums, pitch))


def placeholder(cols: int, channels: int, dtype: Any) -> LineBuffer:
    """Return a line buffer without rows, for sizes that are needed before memory is allocated."""
    return LineBuffer(Slot(np.empty((0, cols, channels), dtype)))
