"""Nodes of a plan: geometry and demand, block by block.

A node knows its *demand*: the input rows that given output rows need. It makes a crew (``strips.py``, ``workers.py``),
which reads rows from line buffers and writes blocks of rows into another. Row numbers are those of whole pictures.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeAlias

import numpy as np

from convfilter.engine.borders import CONSTANT, Indices
from convfilter.engine.buffer import LineBuffer
from convfilter.engine.epilogue import Epilogue
from convfilter.engine.load import Source
from convfilter.engine.mapped_stage import MappedStage, padded_rows
from convfilter.engine.program import Slot
from convfilter.engine.store import Range, Store
from convfilter.engine.tone import Tone, tone_of
from convfilter.planning.groups import block_rows
from convfilter.planning.stage_plan import StagePlan
from convfilter.record import cached_property, record, replace

#: Most index maps of both axes that a stage's node and crew hold: the node's, the buffer's, and two of a method.
_INDEX_MAPS = 4

#: Larger than any row.
_NO_ROW = 2**62

Rows: TypeAlias = tuple[int, int]
#: See ``Node.spans``.
Spans: TypeAlias = tuple[Indices, Indices]
#: A callable and its argument; tasks of one list are independent.
BlockTask: TypeAlias = tuple[Callable[[Any], None], Any]


class Crew(Protocol):
    """Computes blocks of one node, from line buffers into another."""

    def begin(self) -> None:
        """Begin with another picture."""

    def tasks(self, blocks: Sequence[Rows]) -> list[BlockTask]:
        """Return the tasks of some blocks of rows, for any number of threads."""

    @property
    def clipped(self) -> int:
        """Number of samples clipped since :meth:`begin`."""

    def held_bytes(self) -> int:
        """Return the bytes of memory that the crew holds."""


class Node(ABC):
    """One step of a plan.

    Attributes
    ----------
    rows : int
        Rows of the whole result.
    row_shape : (cols, channels)
        Shape of a row of the result.
    block_rows : int
        Rows of a block.
    contiguous_rows : int
        Rows that stay contiguous in a line buffer, a multiple of ``block_rows``; 0: those of a block.
    dtype : dtype
        Type of the result's samples.
    jump : float
        Rows of the input for each row of the result.
    overlap : float
        Input rows that two neighbouring blocks share.
    cost : float
        Multiply-adds of the whole result.
    read_bytes : int
        Bytes of the input; 0 if reading them takes little of the node's time.
    scratch_bytes : int
        Working memory of one crew.
    reads : tuple of int
        Distance of each input: 1 is the node before, 2 the node before that.
    table_bytes : int
        Approximate bytes of a crew's index maps.
    in_order : bool
        Whether blocks must be computed in order, from the top down.
    takes_bands : bool
        Whether an ``in_order`` node also takes bands of its result side by side, each in order.
    persists : bool
        Whether the crew keeps rows that a block has read for the block below.
    lead_blocks : int
        Blocks with negative numbers, which only load the rows above block 0 into rings. In a stream they come first.
    splits_columns : bool
        Whether threads share the columns of a block, so that one block occupies all of them.
    stage_number : int
        Number of the node's stage within the group.
    """

    rows: int
    row_shape: tuple[int, int]
    block_rows: int
    dtype: np.dtype[np.generic]
    contiguous_rows: int = 0
    jump: float = 1.0
    overlap: float = 0.0
    cost: float = 0.0
    read_bytes: int = 0
    scratch_bytes: int = 1
    reads: tuple[int, ...] = (1,)
    table_bytes: int = 0
    in_order: bool = False
    takes_bands: bool = False
    persists: bool = False
    lead_blocks: int = 0
    splits_columns: bool = False
    stage_number: int = 0

    @property
    def blocks(self) -> int:
        """Number of blocks of the result."""
        return -(-self.rows // self.block_rows)

    def rows_of(self, block: int) -> Rows:
        """Return the first and last-plus-one row of a block."""
        top = block * self.block_rows
        return top, min(top + self.block_rows, self.rows)

    def blocks_needed(
        self, block: int, source_block_rows: int, number: int = 0, *, follows: bool = False
    ) -> range | frozenset[int]:
        """Return the blocks of an input that a block needs.

        With ``follows``, the crew computes the block right after the block above it.
        """
        incoming = follows and self.persists
        known = self._needed.setdefault((source_block_rows, number, incoming), {})
        if block not in known:
            rows = (self.incoming if incoming else self.demand)(*self.rows_of(block), number)
            blocks = rows // source_block_rows
            # Most rows lie in the block of the row before: a set of all rows would take most of a schedule's time.
            needed = {*blocks[:1].tolist(), *blocks[1:][blocks[1:] != blocks[:-1]].tolist()} - {CONSTANT}
            known[block] = _compact(needed)
        return known[block]

    @cached_property
    def _needed(self) -> dict[tuple[int, int, bool], dict[int, range | frozenset[int]]]:
        """Cache of the blocks that each block needs: a schedule asks for them several times."""
        return {}

    def forget_demand(self) -> None:
        """Free the tables computed from :meth:`demand`, which only schedules read."""
        self._needed.clear()

    def lower_blocks(self, *, shared: bool = False) -> None:  # noqa: B027
        """Lower blocks that are high for bands: to the least height, or to that of threads that share ticks.

        Most nodes have blocks of one height.
        """

    @abstractmethod
    def demand(self, top: int, bottom: int, number: int = 0) -> Indices:
        """Return the input rows that rows ``top`` to ``bottom - 1`` need, in any order; -1 is padding."""

    def incoming(self, top: int, bottom: int, number: int = 0) -> Indices:
        """Return the rows of the ``demand`` that a persistent crew has not read for the block above."""
        return self.demand(top, bottom, number)

    def spans(self, number: int = 0) -> Spans:
        """Return the rows of an input that blocks, those of the lead included, need if they are computed in order.

        Returns
        -------
        firsts : (blocks + 1,) int64 array
            For each number of blocks, the first row that blocks after these need; a large number if none.
        stops : (blocks + 1,) int64 array
            The row after the last one that these blocks need; 0 if they need none.
        """
        needed = [
            (self.incoming if self.persists and (block or self.lead_blocks) else self.demand)(*rows, number)
            for block in range(-self.lead_blocks, self.blocks)
            for rows in [self.rows_of(block)]
        ]
        stops = np.cumsum([rows.size for rows in needed])
        return spans_of(np.concatenate(needed), np.append(0, stops[:-1]), stops)

    def block_ends(self) -> tuple[Indices, Indices]:
        """Return the first and the last-plus-one row of each block, negative in the lead."""
        tops = np.arange(-self.lead_blocks, self.blocks) * self.block_rows
        return tops, np.minimum(tops + self.block_rows, self.rows)

    @abstractmethod
    def crew(self, sources: Sequence[LineBuffer], target: LineBuffer, threads: int) -> Crew:
        """Return a crew that computes blocks from the rows of ``sources`` into ``target``.

        About ``threads`` threads will share its tasks.
        """


def spans_of(rows: Indices, starts: Indices, stops: Indices) -> Spans:
    """Return the spans of blocks of which each needs a slice of ``rows``; starts and stops do not decrease.

    Negative ones count as 0.
    """
    known = np.append(np.where(rows == CONSTANT, _NO_ROW, rows), _NO_ROW)
    firsts, ends = np.minimum.accumulate(known[::-1])[::-1], np.maximum.accumulate(np.append(CONSTANT, rows)) + 1
    starts, stops = np.clip(starts, 0, rows.size), np.clip(stops, 0, rows.size)
    return np.append(firsts[starts], _NO_ROW), np.append(0, ends[stops])


def _compact(numbers: set[int]) -> range | frozenset[int]:
    """Return numbers as a range if they are consecutive: a set takes five times as much memory."""
    if not numbers:
        return range(0)
    least, largest = min(numbers), max(numbers)
    return range(least, largest + 1) if largest - least < len(numbers) else frozenset(numbers)


@record(eq=False)
class StageSetup:
    """One stage of a plan, applied to one source.

    Attributes
    ----------
    plan : StagePlan
    source : Source
        The input. Its buffer has only sizes and a sample type; rows come later.
    dtype : dtype
        Of the stored samples.
    full_out : float
        Value of white in the stored samples.
    block_rows : int
        Output rows of a block.
    input_range : (low, high)
        Smallest and largest sample of the input, for point functions that need them.
    tone : Tone, or None
        Arithmetic from sums to samples; None: the plan's.
    ranges : list of Range, or None
        Collects the epilogues of a first pass, which only finds the range of the results.
    in_memory : bool
        Whether the stage reads a whole picture, not a line buffer.
    alone : bool
        Whether the stage is also the only one of its group, and no band sink takes its result.
    """

    plan: StagePlan
    source: Source
    dtype: np.dtype[np.generic]
    full_out: float
    block_rows: int
    input_range: tuple[float, float] = (0.0, 1.0)
    tone: Tone | None = None
    ranges: list[Range] | None = None
    in_memory: bool = False
    alone: bool = False

    @classmethod
    def between_buffers(
        cls,
        plan: StagePlan,
        incoming: np.dtype[np.generic],
        stored: np.dtype[np.generic],
        full: float,
        *,
        gray: bool = False,
    ) -> StageSetup:
        """Return a stage inside a group: rows come from a line buffer and go into one, and keep their white."""
        return cls(plan, source_of(plan, incoming, full, gray=gray), stored, full, block_rows(plan))

    def mapped(self, buffer: LineBuffer | None = None) -> MappedStage:
        """Return the stage with its index maps into the rows of a line buffer; None: it reads no rows itself."""
        source = self.source if buffer is None else replace(self.source, buffer=buffer)
        return MappedStage.of(self.plan, source)

    @property
    def tone_of_sums(self) -> Tone:
        """Arithmetic from sums to samples."""
        weighed = self.source.gray and self.plan.stage.operator.has_luminance_divisor
        return self.tone or tone_of(self.plan, self.dtype, self.source.full, self.full_out, weighed)


class StageNode(Node):
    """A node that computes a whole stage, or the last step of one."""

    def __init__(self, stage: StageSetup) -> None:
        plan = stage.plan
        self.stage, self.plan = stage, plan
        self.rows, self.row_shape = plan.rows.output, (plan.cols.output, plan.output_channels)
        self.block_rows, self.dtype = stage.block_rows, stage.dtype
        self.jump, self.overlap = plan.rows.stride, max(0, plan.rows.span + 1 - plan.rows.stride)
        self.cost = plan.multiply_adds * plan.rows.output * plan.cols.output * plan.channels
        self.read_bytes = plan.rows.input * stage.source.buffer.row_samples * stage.source.dtype.itemsize
        self.scratch_bytes = plan.scratch_bytes
        self.table_bytes = _INDEX_MAPS * 8 * (plan.rows.padded + plan.cols.padded)

    @cached_property
    def _row_index(self) -> Indices:
        """The picture's row for each padded place."""
        return padded_rows(self.plan)

    def forget_demand(self) -> None:
        """Free the map of rows, too."""
        super().forget_demand()
        vars(self).pop("_row_index", None)

    def central_rows(self, top: int, bottom: int) -> Indices:
        """Return the picture's rows from the centre of row ``top`` to that of row ``bottom - 1``."""
        axis = self.plan.rows
        return self._row_index[top * axis.stride + axis.centre : (bottom - 1) * axis.stride + axis.centre + 1]

    def demand(self, top: int, bottom: int, number: int = 0) -> Indices:
        """Return the input rows of the windows of some output rows."""
        axis = self.plan.rows
        first = top * axis.stride
        if axis.span + 1 >= axis.stride:
            return self._row_index[first : (bottom - 1) * axis.stride + axis.span + 1]
        # Rows between two windows are not needed.
        starts = np.arange(top, bottom)[:, np.newaxis] * axis.stride
        needed: Indices = self._row_index[(starts + np.arange(axis.span + 1)).ravel()]
        return needed

    def spans(self, number: int = 0) -> Spans:
        """Return the rows that blocks need: one call for all blocks, unless the node overrides ``demand``."""
        if self.persists or type(self).demand is not StageNode.demand:
            return super().spans(number)
        axis, (tops, bottoms) = self.plan.rows, self.block_ends()
        return spans_of(self._row_index, tops * axis.stride, (bottoms - 1) * axis.stride + axis.span + 1)

    def epilogue(self, mapped: MappedStage, target: LineBuffer) -> Epilogue:
        """Return the stage's epilogue."""
        stage = self.stage
        if stage.ranges is None:
            return Store(mapped, stage.tone_of_sums, target, stage.full_out)
        epilogue = Range(mapped, stage.tone_of_sums)
        stage.ranges.append(epilogue)
        return epilogue


def source_of(plan: StagePlan, dtype: np.dtype[np.generic], full: float, *, gray: bool = False) -> Source:
    """Return the input of a stage, whose buffer has a size and a type but no rows yet; ``gray``: it has colours."""
    buffer = LineBuffer(Slot(np.empty((0, plan.cols.input, plan.channels + 2 * gray), dtype)))
    return Source(buffer, full, plan.alpha, gray, plan.padding_value, plan.premultiplied, plan.masked)
