"""One stage of a chain: which rows a block of its output looks at, and how the block is computed from them.

A chain holds only some rows of what lies between two stages, in a buffer; ``held`` says where each row
stands in it, and -1 for rows that are not there. Row numbers are those of whole pictures.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol, TypeAlias

import numpy as np

from convfilter.engine.borders import CONSTANT, Indices
from convfilter.engine.finish import ArraySink, Finisher, MakeWorker
from convfilter.engine.local import stays_local
from convfilter.engine.passes import Target
from convfilter.engine.program import Slot
from convfilter.engine.tiles import Samples, Scratch, Source
from convfilter.engine.tone import Tone, tone_of
from convfilter.engine.ways import computing, find_way
from convfilter.engine.work import Region, Work
from convfilter.filters.stage import Correlation, Layer, Point
from convfilter.planning import StagePlan
from convfilter.planning.chains import rows_seen
from convfilter.planning.plan import for_any_numbers
from convfilter.record import record

#: Ways that write the sums of a tile wherever they are told to.
_IN_PLACE = ("direct", "separable", "lowrank")
#: Scratch memory of one thread, by the type of its sums.
Scratches: TypeAlias = Callable[[str], Scratch]


class Worker(Protocol):
    """Computes blocks of one stage, in one thread."""

    @property
    def clipped(self) -> int:
        """How many samples did not fit, so far."""

    def compute(self, top: int, bottom: int) -> None:
        """Compute output rows ``top`` to ``bottom - 1`` and store them where they belong."""


@record
class Place:
    """Where rows of samples are: all of them, or those that are ``held``."""

    samples: Samples
    held: Indices | None = None

    def index(self, rows: Indices) -> Indices:
        """Return the buffer's rows for rows of a picture; padding stays padding."""
        return rows if self.held is None else self.held[rows]  # CONSTANT is -1: the last of held is CONSTANT too

    def row(self, row: int) -> int:
        """Return the buffer's row for a row of the picture; the rows of its block follow."""
        return row if self.held is None else int(self.held[row])


class Link(ABC):
    """One step of a chain: rows of samples in, rows of samples out, block by block.

    Attributes
    ----------
    rows : int
        Rows of the result, if it were whole.
    line : (cols, channels)
        Of the result.
    block_rows : int
        Rows that are computed at a time; where they are cut depends on nothing else.
    dtype : dtype
        Of the result's samples.
    jump : float
        Rows of the input for each row of the result.
    overlap : float
        Rows of the input that two neighbouring blocks both need.
    cost : float
        Multiply-adds for all of it.
    scratch_bytes : int
        Working memory of one thread.
    """

    rows: int
    line: tuple[int, int]
    block_rows: int
    dtype: np.dtype[np.generic]
    jump: float
    overlap: float
    cost: float
    scratch_bytes: int

    @property
    def blocks(self) -> int:
        """How many blocks the result has."""
        return -(-self.rows // self.block_rows)

    def rows_of(self, block: int) -> tuple[int, int]:
        """Return the first and last-plus-one row of a block."""
        top = block * self.block_rows
        return top, min(top + self.block_rows, self.rows)

    def seen(self, block: int, source_block_rows: int) -> set[int]:
        """Return the blocks of the input that a block looks at."""
        blocks = set((self.input_rows(*self.rows_of(block)) // source_block_rows).tolist())
        blocks.discard(CONSTANT)
        return blocks

    def stays_local(self, _samples: Samples) -> bool:
        """Whether no sample of the input, of which this is a part, would show beyond its windows."""
        return True

    @abstractmethod
    def input_rows(self, top: int, bottom: int) -> Indices:
        """Return the rows of the input that rows ``top`` to ``bottom - 1`` look at, in any order; -1 is padding."""

    @abstractmethod
    def worker(self, place: Place, target: Place, scratches: Scratches) -> Worker:
        """Return what computes blocks from the rows in ``place`` into ``target``."""


class StageLink(Link):
    """A whole stage.

    Parameters
    ----------
    plan : StagePlan
    block_rows : int
    source : Source
        What the stage reads; of its image only the type counts, since the rows are handed in later.
    dtype : dtype
        Of the stored samples.
    full_out : float
        White in them.
    span : (low, high)
        The range of the input, for a point operation that needs it.
    """

    def __init__(
        self,
        plan: StagePlan,
        block_rows: int,
        source: Source,
        dtype: np.dtype[np.generic],
        full_out: float,
        span: tuple[float, float] = (0.0, 1.0),
    ) -> None:
        self.plan, self.source, self.full_out, self.span = plan, source, full_out, span
        self.rows, self.line = plan.rows.output, (plan.cols.output, plan.output_channels)
        self.block_rows, self.dtype = block_rows, dtype
        self.jump, self.overlap = plan.rows.stride, max(0, plan.rows.span + 1 - plan.rows.stride)
        self.cost = plan.multiply_adds * plan.rows.output * plan.cols.output * plan.channels
        self.scratch_bytes = plan.scratch_bytes
        self._row_index = Work.of(plan, source).row_index

    def stays_local(self, samples: Samples) -> bool:
        """Whether the stage shows none of some samples beyond its windows."""
        return for_any_numbers(self.plan) is self.plan or stays_local(self.plan, samples)

    def input_rows(self, top: int, bottom: int) -> Indices:
        """Return the rows of the input that some rows look at."""
        axis = self.plan.rows
        first = top * axis.stride
        if axis.span + 1 >= axis.stride or self.plan.algorithm == "fourier":
            return self._row_index[first : first + rows_seen(self.plan, bottom - top)]
        # Rows between two windows are not looked at.
        starts = np.arange(top, bottom)[:, np.newaxis] * axis.stride
        seen: Indices = self._row_index[(starts + np.arange(axis.span + 1)).ravel()]
        return seen

    def worker(self, place: Place, target: Place, scratches: Scratches) -> Worker:
        """Return what computes blocks from the rows in ``place`` into ``target``."""
        operator = self.plan.stage.operator
        source = replace(self.source, slot=Slot(place.samples))
        if isinstance(operator, Point):
            return _PointWorker(self, operator, source, place, target)
        work = Work.of(self.plan, source)
        work = replace(work, row_index=place.index(work.row_index), held=place.held)
        if isinstance(operator, Layer):
            return _LayerWorker(self, work, target)
        scratch = scratches(self.plan.precision)
        if self._is_plain:
            return _PlainWorker(self, work, target, scratch)
        return SinkWorker(self, work, target, scratch, computing(self.plan))

    @property
    def _is_plain(self) -> bool:
        """Whether the sums are the result, and the way can leave them where they belong."""
        plan, operator = self.plan, self.plan.stage.operator
        tone = tone_of(plan, self.dtype, self.source.full, self.full_out, self.source.gray)
        as_they_are = tone == Tone(1.0, 1.0, 0.0, False) and not self.source.alpha and self.dtype == plan.precision
        finished = isinstance(operator, Correlation)
        return as_they_are and finished and plan.algorithm in _IN_PLACE and not plan.stream


@record
class _InPlace(Work):
    """A stage whose sums go straight to the rows where they belong."""

    target: Place | None = None

    def sums(self, scratch: Scratch, region: Region) -> Target:
        """Return the rows of the result that a region stands for."""
        assert self.target is not None
        samples = self.target.samples
        pitch = samples.shape[1] * samples.shape[2]
        start = self.target.row(region.top) * pitch + region.left * samples.shape[2]
        rows, length = region.bottom - region.top, (region.right - region.left) * samples.shape[2]
        return Target(samples.reshape(-1)[start:], 0, pitch, rows, length)


class _PlainWorker:
    """Runs one of the ways to sum over a window where the sums are the result."""

    clipped = 0

    def __init__(self, link: StageLink, work: Work, target: Place, scratch: Scratch) -> None:
        in_place = _InPlace(work.plan, work.source, work.row_index, work.col_index, work.held, target=target)
        self._sums = find_way(link.plan.algorithm)(in_place, scratch)

    def compute(self, top: int, bottom: int) -> None:
        for _ in self._sums(top, bottom):
            pass


class SinkWorker:
    """Runs what finishes sums and stores them where the rows of a block belong."""

    def __init__(self, link: StageLink, work: Work, target: Place, scratch: Scratch, make: MakeWorker) -> None:
        plan, source = link.plan, work.source
        tone = tone_of(plan, link.dtype, source.full, link.full_out, source.gray)
        self._sink = ArraySink(Slot(target.samples), plan, source.full, link.full_out)
        self._sink.whole_steps = target.held is not None
        self._run = make(work, scratch, Finisher(work, scratch, tone), self._sink)
        self._target = target

    @property
    def clipped(self) -> int:
        """How many samples were clipped, so far."""
        return self._sink.clipped

    def compute(self, top: int, bottom: int) -> None:
        """Compute output rows ``top`` to ``bottom - 1``."""
        self._sink.first_row = top - self._target.row(top)
        self._run((top, bottom))


class _PointWorker:
    """Applies a function to each sample."""

    def __init__(self, link: StageLink, operator: Point, source: Source, place: Place, target: Place) -> None:
        from convfilter.engine.points import PointRows

        self._rows = PointRows(link.plan, operator, source, link.dtype, link.full_out, link.span)
        self._place, self._target = place, target
        self.clipped = 0

    def compute(self, top: int, bottom: int) -> None:
        rows = self._place.index(np.arange(top, bottom))
        start = self._target.row(top)
        self.clipped += self._rows.store(rows, self._target.samples[start : start + bottom - top])


class _LayerWorker:
    """Multiplies windows with the weights of a layer."""

    def __init__(self, link: StageLink, work: Work, target: Place) -> None:
        from convfilter.engine.layer import LayerRows

        self._rows = LayerRows(work, link.dtype, link.full_out)
        self._target = target
        self.clipped = 0

    def compute(self, top: int, bottom: int) -> None:
        start = self._target.row(top)
        self.clipped += self._rows.store(top, bottom, self._target.samples[start : start + bottom - top])
