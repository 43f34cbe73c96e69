"""Stages run together: rows of each are computed as the next asks for them, and forgotten after their last use.

The output is cut into strips, and each strip is done from the top down. Every block of every stage is cut at the
same rows as when the stage runs alone, so its bytes are the same, whoever computes it, and when.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from itertools import count

import numpy as np

from convfilter.engine.bands import cut, run_blocks
from convfilter.engine.blas import single_threaded
from convfilter.engine.borders import CONSTANT, Indices
from convfilter.engine.links import Link, Place, StageLink, Worker
from convfilter.engine.points import span_of
from convfilter.engine.prepared import WORTH_A_THREAD
from convfilter.engine.program import Slot
from convfilter.engine.schedule import Schedule
from convfilter.engine.tiles import Samples, Scratch, Source
from convfilter.filters.stage import Layer
from convfilter.planning import StagePlan
from convfilter.planning.chains import block_rows, kept_rates
from convfilter.planning.plan import Group, for_any_numbers

#: What the buffers and the scratch of all threads together may take, beside this share of the picture.
_MEMORY = 52 * 2**20
_SHARE = 6
#: What a thread takes beside scratch: programs, and tables for them.
_THREAD_BYTES = 4 * 2**20
#: Where more than this is held, as many blocks are done at a time as there are threads, even if some wait.
_ROOMY = 32 * 2**20
#: The share of all work that may be done twice so that strips need not wait for each other.
_TWICE = 0.1


def run_group(
    stages: Sequence[StagePlan],
    group: Group,
    sources: Sequence[Source],
    dtype: np.dtype[np.generic],
    full_out: float,
    threads: int,
) -> tuple[Samples, int]:
    """Run stages together; returns the last one's result, and how many of its samples were clipped.

    Parameters
    ----------
    stages : sequence of StagePlan
        Two or more.
    group : Group
        How they run.
    sources : sequence of Source
        For each stage what it reads; of the images only the first counts.
    dtype, full_out : dtype and float
        Sample type of the result, and white in it.
    threads : int
        At most this many threads.
    """
    image, full = sources[0].image, sources[0].full
    last = len(stages) - 1
    links: list[StageLink] = []
    for number, (stage, rows, source) in enumerate(zip(stages, group.block_rows, sources, strict=True)):
        span = (0.0, 1.0) if number else span_of(stage, source, threads)
        empty = np.empty((0, stage.cols.input, stage.channels), np.float32)
        reads = replace(source, slot=Slot(empty)) if number else source
        stored, white = (dtype, full_out) if number == last else (np.dtype(np.float32), full)
        links.append(StageLink(stage, rows, reads, stored, white, span))
    output = np.empty((links[-1].rows, *links[-1].line), dtype)
    with single_threaded() if any(isinstance(stage.stage.operator, Layer) for stage in stages) else nullcontext():
        clipped = _run_for_any_numbers(links, group.held_bytes, image, output, threads)
    if dtype.kind == "f" and stages[-1].stage.map == "clip":
        colours = output[..., :-1] if sources[-1].alpha else output
        np.clip(colours, 0, full_out, out=colours)
    return output, clipped


def links_of(stage: StageLink) -> list[Link]:
    """Return the steps of a stage: one, unless it keeps rows of its own between steps."""
    if kept_rates(stage.plan) is None:
        return [stage]
    from convfilter.engine.multirate_links import steps

    return steps(stage)


def _run_for_any_numbers(
    stages: list[StageLink], held_bytes: int, image: Samples, output: Samples, threads: int
) -> int:
    """Run the chain; where a stage would spread what is infinite or not a number, again with that stage tap by tap."""
    if image.dtype.kind == "f" and not stages[0].stays_local(image):
        stages[0] = local(stages[0])
    while True:
        links = [links_of(stage) for stage in stages]
        try:
            return run_chain([link for parts in links for link in parts], held_bytes, image, output, threads)
        except NotFiniteError as found:
            starts = np.cumsum([0] + [len(parts) for parts in links]).tolist()
            number = starts.index(found.reader)
            stages[number] = local(stages[number])


def local(stage: StageLink) -> StageLink:
    """Return the same stage, tap by tap."""
    plan = for_any_numbers(stage.plan)
    return StageLink(plan, block_rows(plan), stage.source, stage.dtype, stage.full_out)


class NotFiniteError(Exception):
    """What a stage reads is not finite, and it would spread that; ``reader`` is its number in the chain."""

    def __init__(self, reader: int) -> None:
        super().__init__(reader)
        self.reader = reader


def run_chain(links: Sequence[Link], held_bytes: int, image: Samples, output: Samples, threads: int) -> int:
    """Run ``links`` on ``image`` into ``output``; returns how many samples were clipped."""
    strips, together, threads = _strips(links, held_bytes, _MEMORY + image.nbytes // _SHARE, threads)
    clipped: list[int] = []
    lock = threading.Lock()
    inner = threads if len(strips) == 1 else 1

    def make_worker() -> Callable[[tuple[int, int]], None]:
        memory = Memory()

        def work(strip: tuple[int, int]) -> None:
            lost = run_strip(links, Schedule.of(links, *strip, together, inner), image, output, memory, inner)
            with lock:
                clipped.append(lost)

        return work

    run_blocks(strips, make_worker, threads)
    return sum(clipped)


class Memory:
    """What one thread keeps from strip to strip: the buffers between the stages, and scratch."""

    def __init__(self) -> None:
        self._scratches: dict[str, Scratch] = {}

    def scratch(self, precision: str) -> Scratch:
        """Return the scratch for sums of a type."""
        return self._scratches.setdefault(precision, Scratch(precision))


def run_strip(
    links: Sequence[Link], schedule: Schedule, image: Samples, output: Samples, memory: Memory, threads: int
) -> int:
    """Compute the blocks of one schedule; returns how many samples of the output were clipped."""
    places = [Place(image)]
    for k, link in enumerate(links[:-1]):
        places.append(_buffer(link, schedule.slots[k], schedule.counts[k], memory, k))
    places.append(Place(output))
    memories = [memory, *(Memory() for _ in range(threads - 1))]
    teams = [
        _Team(link, place, target, memories) for link, place, target in zip(links, places, places[1:], strict=False)
    ]
    for k, blocks in schedule.steps:
        teams[k].compute(blocks)
        if k + 1 < len(links) and not teams[k].all_local(blocks, links[k + 1]):
            raise NotFiniteError(k + 1)
    return teams[-1].clipped


def _buffer(link: Link, slots: dict[int, int], needed: int, memory: Memory, k: int) -> Place:
    rows, line = needed * link.block_rows, link.line[0] * link.line[1]
    samples = memory.scratch(link.dtype.name).get(f"held {k}", rows * line)[: rows * line]
    held: Indices = np.full(link.rows + 1, CONSTANT, np.int64)
    for block, slot in slots.items():
        top, bottom = link.rows_of(block)
        held[top:bottom] = np.arange(slot * link.block_rows, slot * link.block_rows + bottom - top)
    return Place(samples.reshape(rows, *link.line), held)


class _Team:
    """The workers of one stage: one for each thread, made when first needed and kept for the strip."""

    def __init__(self, link: Link, place: Place, target: Place, memories: Sequence[Memory]) -> None:
        self._link, self._place, self._target, self._memories = link, place, target, memories
        self._workers: list[Worker] = []

    @property
    def clipped(self) -> int:
        return sum(worker.clipped for worker in self._workers)

    def all_local(self, blocks: Sequence[int], reader: Link) -> bool:
        """Whether what reads some blocks shows none of their samples beyond its windows."""
        for top, bottom in map(self._link.rows_of, blocks):
            start = self._target.row(top)
            if not reader.stays_local(self._target.samples[start : start + bottom - top]):
                return False
        return True

    def compute(self, blocks: Sequence[int]) -> None:
        """Compute some blocks, which do not depend on each other."""
        numbers = count()
        lock = threading.Lock()

        def make_worker() -> Callable[[int], None]:
            with lock:
                number = next(numbers)
                if number == len(self._workers):
                    scratch = self._memories[number].scratch
                    self._workers.append(self._link.worker(self._place, self._target, scratch))
                worker = self._workers[number]
            return lambda block: worker.compute(*self._link.rows_of(block))

        run_blocks(blocks, make_worker, len(self._memories))


def _strips(links: Sequence[Link], held_bytes: int, room: int, threads: int) -> tuple[list[tuple[int, int]], int, int]:
    """Choose the strips (blocks of the last stage), how many blocks to do at a time, and how many threads run.

    Each thread does strips of its own, unless too much would be computed twice
    or held: then all threads share the blocks of one strip.
    """
    blocks = links[-1].blocks
    cost = sum(link.cost for link in links)
    own = max(link.scratch_bytes for link in links) + _THREAD_BYTES
    if cost <= WORTH_A_THREAD:
        threads = 1
    if threads > 1 and threads * (own + held_bytes) <= room:
        twice = sum(link.cost * rows / link.rows for rows, link in zip(_overlaps(links), links, strict=True))
        # One for each: what is prepared for a strip takes about as long as a megapixel.
        if threads <= blocks and threads * twice <= _TWICE * cost:
            return cut(blocks, -(-blocks // threads)), 1, threads
    threads = min(threads, max(1, (room - held_bytes) // own))
    if threads == 1:
        return [(0, blocks)], 1, 1
    if held_bytes > _ROOMY:
        return [(0, blocks)], threads, threads
    tallest, jump = 0.0, 1.0
    for link in reversed(links):
        tallest, jump = max(tallest, link.block_rows / jump), jump * link.jump
    return [(0, blocks)], threads * max(1, round(tallest / links[-1].block_rows)), threads


def _overlaps(links: Sequence[Link]) -> list[float]:
    """Return how many rows of each link's result two neighbouring strips both need."""
    rows = [0.0]
    for before, link in zip(links[-2::-1], links[:0:-1], strict=True):
        rows.insert(0, rows[0] * link.jump + link.overlap + before.block_rows)
    return rows
