"""A stage made ready: its programs, and the memory that they work in, for any picture of one shape and type."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

import numpy as np

from convfilter.engine.bands import Turn, Workers, cut, run_in_turns
from convfilter.engine.finish import ArraySink, Finisher, RangeSink, Sink, Worker
from convfilter.engine.program import Program, Slot
from convfilter.engine.tiles import Scratch, Source
from convfilter.engine.tone import Tone, rounding_of, stretched, tone_of
from convfilter.engine.ways import by_strips, computing_in_bands, plain_way
from convfilter.engine.work import Work
from convfilter.filters.stage import Pooling, UnsharpMask
from convfilter.planning import StagePlan
from convfilter.planning.strips import even_block_rows, stream_block_rows

#: Below this many multiply-adds a second thread costs more than it brings.
WORTH_A_THREAD = 2_000_000
#: What all threads together may take for scratch: fewer threads run where each needs much.
_SCRATCH_BYTES = 56 * 2**20


AnySink = TypeVar("AnySink", bound=Sink)


class Prepared:
    """A stage on pictures of one shape and type: what is made once, for all pictures that are put in the source's slot.

    Parameters
    ----------
    plan : StagePlan
    source : Source
    output : Slot
        For the results.
    full_out : float
        White in them.
    """

    def __init__(self, plan: StagePlan, source: Source, output: Slot, full_out: float) -> None:
        self.work, self.output, self._full_out = Work.of(plan, source), output, full_out
        self._tone = tone_of(plan, output.dtype, source.full, full_out, source.gray)
        self._plain: Workers[tuple[int, int]] | None = None
        self._blocks: _Blocks[ArraySink] | None = None
        make_plain = plain_way(self.work, output.dtype)
        if make_plain:
            self._plain = Workers(lambda: make_plain(self.work, output))
        elif plan.stage.map != "stretch":
            self._blocks = self._storing(self._tone)

    @property
    def can_be_kept(self) -> bool:
        """Whether nothing depends on what the picture shows, and it is known how much memory is held."""
        plan = self.work.plan
        return self._plain is not None or (self._blocks is not None and by_strips(plan))

    @property
    def plain_workers(self) -> int:
        """How many workers go from rows to rows, with scratch of their own."""
        return self._plain.count if self._plain else 0

    @property
    def parts(self) -> list[Program | Scratch]:
        """What holds all other memory."""
        return [*self.work.programs, *(self._blocks.scratches if self._blocks else ())]

    def run(self, threads: int) -> int:
        """Filter the picture that is there, with at most so many threads; returns how many samples were clipped."""
        plan, source = self.work.plan, self.work.source
        if self._plain is not None:
            self._plain.run(cut(plan.rows.output, even_block_rows(plan.rows.output)), _threads(plan, threads))
            return 0
        blocks = self._blocks or self._storing(self._stretched(threads))
        blocks.run(threads)
        if self.output.dtype.kind == "f" and plan.stage.map in ("clip", "stretch"):
            colours = self.output.array[..., :-1] if source.alpha else self.output.array
            np.clip(colours, 0, self._full_out, out=colours)
        return sum(sink.clipped for sink in blocks.sinks)

    def _storing(self, tone: Tone) -> _Blocks[ArraySink]:
        plan, full = self.work.plan, self.work.source.full
        return _Blocks(self.work, tone, lambda: ArraySink(self.output, plan, full, self._full_out))

    def _stretched(self, threads: int) -> Tone:
        """Find the range of the results, and return what stretches it."""
        plan, source = self.work.plan, self.work.source
        blocks = _Blocks(self.work, self._tone, lambda: RangeSink(source.channels))
        blocks.run(threads)
        ends = min(sink.low for sink in blocks.sinks), max(sink.high for sink in blocks.sinks)
        return stretched(self._tone, *ends, self._full_out, rounding_of(plan, source.image, self._tone))


class _Blocks(Generic[AnySink]):
    """All blocks of a stage, and the workers that compute them: each has a sink of its own."""

    def __init__(self, work: Work, tone: Tone, make_sink: Callable[[], AnySink]) -> None:
        self._work, self._tone, self._make_sink = work, tone, make_sink
        self.sinks: list[AnySink] = []
        self.scratches: list[Scratch] = []
        self._kept, self._worker_of = computing_in_bands(work)
        self._block_rows = _block_rows(work)
        self._workers = Workers(self._make_worker)

    def _make_worker(self) -> Worker:
        scratch, sink = Scratch(self._work.plan.precision), self._make_sink()
        self.sinks.append(sink)
        self.scratches.append(scratch)
        return self._worker_of(self._work, scratch, Finisher(self._work, scratch, self._tone), sink)

    def run(self, threads: int) -> None:
        """Compute all blocks; what the sinks found before is forgotten."""
        plan, kept = self._work.plan, self._kept
        for sink in self.sinks:
            sink.forget()
        work = self._workers.for_one_run()
        turns: list[Turn] = []
        for (top, bottom), before in kept.turns() if kept else [((0, plan.rows.output), [])]:
            blocks = [(top + first, top + last) for first, last in cut(bottom - top, self._block_rows)]
            turns += [*before, (work, blocks)]
        run_in_turns(turns, _threads(plan, threads))


def _block_rows(work: Work) -> int:
    """Return the rows of a block, which for strips are whole steps, or whole regions where it takes these to finish."""
    plan = work.plan
    if not by_strips(plan):
        return plan.block_rows
    by_regions = plan.alpha or plan.stage.map == "stretch" or isinstance(plan.stage.operator, UnsharpMask | Pooling)
    return stream_block_rows(plan.rows) if by_regions else even_block_rows(plan.rows.output)


def _threads(plan: StagePlan, threads: int) -> int:
    """Return how many threads are worth starting, and have room for their scratch."""
    cost = plan.rows.output * plan.cols.output * plan.channels * plan.multiply_adds
    return min(threads, max(1, _SCRATCH_BYTES // plan.scratch_bytes)) if cost > WORTH_A_THREAD else 1
