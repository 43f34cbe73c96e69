"""Executables: nodes, line buffers and programs that run a group of stages on pictures of one shape and type.

Programs name image and output by slots, which are empty between runs. ``executable_cache.py`` holds executables between
runs.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from itertools import chain, islice, pairwise, takewhile
from typing import Any, Protocol, TypeAlias

import numpy as np

from convfilter.engine.borders import Indices
from convfilter.engine.buffer import LineBuffer, aligned_array
from convfilter.engine.locality import NotLocalError
from convfilter.engine.node import Crew, Node, Rows
from convfilter.engine.order import Band, Tick
from convfilter.engine.program import Slot
from convfilter.engine.schedule import scheduled
from convfilter.engine.threads import cut, run_blocks

#: Number of a node, a callable of its crew, and the argument of the call.
_NodeTask: TypeAlias = tuple[int, Callable[[Any], None], Any]

#: Bytes of a small page, and of the smallest array for which NumPy asks the system for large pages.
_PAGE = 4096
_LARGE_PAGED = 4 * 2**20


class Endpoint(Protocol):
    """A slot or connection that holds a picture or its result during one run."""

    def put(self, end: Any, /) -> None:
        """Attach an array, a row source or a row sink."""

    def clear(self) -> None:
        """Detach the array, source or sink."""


class Executable:
    """Nodes prepared to run on any picture of one shape and type.

    Parameters
    ----------
    nodes : sequence of Node
    source, sink : Slot or Connection
        Hold the picture and the result of each run: arrays, or a row source and a row sink that nodes read and write.
    threads : int
        At most this many.
    room : int
        Bytes that all buffers and scratch may take.
    """

    def __init__(self, nodes: Sequence[Node], source: Endpoint, sink: Endpoint, threads: int, room: int) -> None:
        self._nodes, self._source, self._sink = nodes, source, sink
        self._schedule = scheduled(nodes, threads, room)
        for node in nodes:
            node.forget_demand()
        self._buffers = [
            # Zeros: rows that pad a group are computed, too, and denormal numbers would be slow.
            aligned_array(rows * math.prod(node.row_shape), node.dtype, zeros=True).reshape(rows, *node.row_shape)
            for node, rows in zip(nodes, self._schedule.rows, strict=False)
        ]
        self._fixed_bytes = sum(node.table_bytes for node in nodes), sum(samples.nbytes for samples in self._buffers)
        self._crews_of_bands: dict[int, _BandCrews] = {}
        self._is_new = True

    def run(self, source: Any, sink: Any) -> int:
        """Filter a picture; return the number of clipped samples.

        Raises
        ------
        NotLocalError
            A node would spread a sample beyond its window.
        """
        schedule = self._schedule
        self._is_new = False
        self._source.put(source)
        self._sink.put(sink)
        for crews in self._crews_of_bands.values():
            crews.begin()
        if len(schedule.bands) == 1:
            with np.errstate(over="ignore", invalid="ignore"):
                self._crews_of(0).run(schedule.bands[0].ticks)
        elif not schedule.rows:
            idle = list(self._crews_of_bands.values())
            run_blocks(schedule.bands, lambda band: self._run_alone(band, idle), schedule.threads)
        else:
            events = _BandEvents(len(schedule.bands))
            # From the last band up: a band waits for the bands below, which must have started before it.
            below_first = range(len(schedule.bands) - 1, -1, -1)
            run_blocks(below_first, lambda number: self._run_band(number, events), schedule.threads, events.give_up)
        clipped = sum([crews.clipped for crews in self._crews_of_bands.values()])
        self._source.clear()
        self._sink.clear()
        return clipped

    def prepare(self) -> None:
        """Build the programs of all bands before the first picture is read; after a run or another call, do nothing."""
        if not self._is_new:
            return
        self._is_new = False
        if len(self._schedule.bands) == 1 or self._schedule.rows:
            for number in range(len(self._schedule.bands)):
                self._crews_of(number)
        self._source.clear()
        self._sink.clear()

    def held_bytes(self) -> int:
        """Return the bytes that stay allocated for the next picture."""
        tables, buffers = self._fixed_bytes
        return buffers + sum([tables + crews.held_bytes() for crews in self._crews_of_bands.values()])

    def _run_band(self, number: int, events: _BandEvents) -> None:
        band, run = self._schedule.bands[number], self._crews_of(number).run
        ticks = takewhile(lambda tick: not events.failed, band.ticks)
        run(islice(ticks, band.ready))
        events.begin(number)
        run(islice(ticks, band.waits - band.ready))
        if events.wait_for_bands_below(number):
            run(ticks)

    def _crews_of(self, number: int) -> _BandCrews:
        """Return the crews of a band, whose line buffers follow the band's own order."""
        if number not in self._crews_of_bands:
            self._crews_of_bands[number] = self._band_crews(self._schedule.bands[number].places)
        return self._crews_of_bands[number]

    def _band_crews(self, places: Sequence[Indices | int]) -> _BandCrews:
        buffers = [LineBuffer(Slot(samples), held) for samples, held in zip(self._buffers, places, strict=True)]
        buffers = [_end_buffer(self._source), *buffers, _end_buffer(self._sink)]
        return _BandCrews(self._nodes, buffers, self._schedule.sharing, self._schedule.crews)

    def _run_alone(self, band: Band, idle: list[_BandCrews]) -> None:
        """Run a band that shares no rows with others, by crews that are idle, or by new ones."""
        crews = None
        with suppress(IndexError):
            crews = idle.pop()  # most often those of the band before, which this thread has just put there
        crews = crews or self._new_crews()
        crews.run(band.ticks)
        idle.append(crews)

    def _new_crews(self) -> _BandCrews:
        """Return new crews for any band, where no line buffers lie between nodes."""
        crews = self._band_crews([])
        while self._crews_of_bands.setdefault(number := len(self._crews_of_bands), crews) is not crews:
            assert number >= 0  # another thread took this number
        return crews


class _BandEvents:
    """Synchronises the bands of one run: each waits for blocks of the bands below that it reads."""

    def __init__(self, bands: int) -> None:
        self._ready = [threading.Event() for _ in range(bands)]
        self.failed = False

    def begin(self, number: int) -> None:
        """Signal that a band has computed the blocks that the bands above it read."""
        self._ready[number].set()

    def give_up(self) -> None:
        """End all waiting: a band has failed."""
        self.failed = True
        for ready in self._ready:
            ready.set()

    def wait_for_bands_below(self, number: int) -> bool:
        """Wait until all bands below a band have computed the blocks that it reads; False if a band has failed."""
        for ready in self._ready[number + 1 :]:
            ready.wait()
        return not self.failed


class _BandCrews:
    """Crews of the nodes, which compute from one line buffer into the next, for one band at a time."""

    def __init__(
        self, nodes: Sequence[Node], buffers: Sequence[LineBuffer], sharing: Sequence[int], crews: Sequence[int]
    ) -> None:
        self._nodes, self._buffers, self._sharing, self._result = nodes, buffers, sharing, buffers[-1]
        self._crews = [self._crew(number, count) for number, count in enumerate(crews)]

    def _crew(self, number: int, count: int) -> Crew:
        node, target = self._nodes[number], self._buffers[number + 1]
        sources = [self._buffers[number + 1 - back] for back in node.reads]
        if count == 1:
            return node.crew(sources, target, self._sharing[number])
        from convfilter.engine.workers import CrewsSideBySide

        return CrewsSideBySide([node.crew(sources, target, 1) for _ in range(count)])

    def begin(self) -> None:
        """Reset for another picture."""
        for crew in self._crews:
            crew.begin()

    def run(self, ticks: Iterable[Tick]) -> None:
        """Compute the blocks of a band."""
        for tick, following in pairwise(chain(ticks, [[]])):
            steps = self._steps(tick)
            tasks: list[_NodeTask] = [
                (number, *task) for number, rows in steps for task in self._crews[number].tasks(rows)
            ]
            threads = max(self._sharing[number] for number, _ in steps)
            if threads == 1 or len(tasks) == 1:
                for task in tasks:
                    self._do(task)
            else:
                touches = self._touches(following, threads)
                tasks += touches
                if len(steps) > 1 or touches:
                    # The share of each thread has blocks of every node; a thread that has finished helps the others.
                    tasks = [task for first in range(threads) for task in tasks[first::threads]]
                run_blocks(tasks, self._do, threads)

    def _steps(self, tick: Tick) -> list[tuple[int, list[Rows]]]:
        return [(number, [self._nodes[number].rows_of(block) for block in blocks]) for number, blocks in tick]

    def _touches(self, tick: Tick, threads: int) -> list[_NodeTask]:
        """Return a task for each thread that writes to each page of some rows of a large result, before a tick does.

        The system clears a page of a new array at its first write. Threads that share rows would write first to the
        same page of 2 MB at the same time, and the system would clear the page for each of them.
        """
        last = len(self._nodes) - 1
        rows = [span for number, spans in self._steps(tick) if number == last for span in spans if span[0] >= 0]
        if not rows or self._result.slot.array.nbytes < _LARGE_PAGED:
            return []
        top, bottom = rows[0][0], rows[-1][1]
        parts = cut(bottom - top, -(-(bottom - top) // threads))
        return [(last, self._touch, (top + first, top + stop)) for first, stop in parts]

    def _touch(self, rows: Rows) -> None:
        samples = self._result.rows(*rows).reshape(-1)
        samples[:: _PAGE // samples.itemsize] = 0

    def _do(self, task: _NodeTask) -> None:
        number, compute, argument = task
        try:
            compute(argument)
        except NotLocalError:
            raise NotLocalError(self._nodes[number].stage_number) from None

    @property
    def clipped(self) -> int:
        """Number of clipped samples."""
        return sum([crew.clipped for crew in self._crews])

    def held_bytes(self) -> int:
        """Return the bytes of the crews."""
        return sum(crew.held_bytes() for crew in self._crews)


def _end_buffer(end: Endpoint) -> LineBuffer:
    """Return the whole picture or result as a line buffer; an empty one if its rows are streamed."""
    return LineBuffer(end if isinstance(end, Slot) else Slot(np.empty((0, 1, 1), np.uint8)))
