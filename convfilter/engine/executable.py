"""An executable runs a group of stages: its nodes, line buffers and programs, for pictures of one shape and type.

A thread that runs a plan takes the executable out of the cache, so that no two threads share its memory, and puts it
back after success; after an exception it is dropped. Programs name image and output by slots, which are empty between
runs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from contextlib import suppress
from typing import Any, Protocol

import numpy as np

from convfilter.engine.buffer import LineBuffer, at_a_cache_line
from convfilter.engine.local import NotLocalError, all_finite
from convfilter.engine.node import Crew, Node
from convfilter.engine.order import Places, Tick, one_by_one, order_of, overlapped, places_of
from convfilter.engine.program import Slot
from convfilter.engine.threads import cut, run_blocks
from convfilter.record import record

#: Least multiply-adds for which a second thread saves more time than it costs.
WORTH_A_THREAD = 8_000_000
#: Bytes of a thread besides scratch: programs and their tables.
_THREAD_BYTES = 4 * 2**20
#: Above this many bytes of line buffers, a step has as many blocks as there are threads, even if some threads wait.
_ROOMY = 32 * 2**20
#: Share of the work that may be computed twice to let threads run independent strips.
_TWICE = 0.1


class Place(Protocol):
    """A slot or connection that holds a picture or its result during one run."""

    def put(self, what: Any, /) -> None:
        """Attach it."""

    def clear(self) -> None:
        """Detach it."""


class Executable:
    """Nodes prepared to run on any picture of one shape and type.

    Parameters
    ----------
    nodes : sequence of Node
    source, sink : Slot or Connection
        Ends for the picture and its result in each run: arrays of the first and last node, or the source and sink
        that these nodes read and write.
    threads : int
        At most this many.
    room : int
        Bytes that all buffers and scratch may take.
    """

    def __init__(self, nodes: Sequence[Node], source: Place, sink: Place, threads: int, room: int) -> None:
        self._nodes, self._source, self._sink = nodes, source, sink
        self._schedule = _scheduled(nodes, threads, room)
        self._lanes: dict[int, _Lane] = {}

    def run(self, source: Any, sink: Any) -> int:
        """Filter a picture; returns how many samples were clipped.

        Raises
        ------
        NotLocalError
            A node would spread a sample beyond its window.
        """
        schedule = self._schedule
        self._source.put(source)
        self._sink.put(sink)
        for lane in self._lanes.values():
            lane.begin()
        if schedule.threads == 1:
            with np.errstate(over="ignore", invalid="ignore"):
                for number, strip in enumerate(schedule.strips):
                    self._lane(number if schedule.places else 0).run(strip)
        elif schedule.places:
            run_blocks(range(len(schedule.strips)), lambda: self._run_strip, schedule.threads)
        else:
            idle = list(self._lanes.values())
            run_blocks(schedule.strips, lambda: self._any_lane(idle).run, schedule.threads)
        clipped = sum([lane.clipped for lane in self._lanes.values()])
        self._source.clear()
        self._sink.clear()
        return clipped

    def held_bytes(self) -> int:
        """Return the bytes that stay allocated for the next picture."""
        tables = sum(node.table_bytes for node in self._nodes)
        return sum(tables + lane.held_bytes() for lane in self._lanes.values())

    def _run_strip(self, number: int) -> None:
        self._lane(number).run(self._schedule.strips[number])

    def _lane(self, number: int) -> _Lane:
        """Return the lane of a strip, whose line buffers follow the strip's own schedule."""
        if number not in self._lanes:
            places = self._schedule.places[number] if self._schedule.places else []
            self._lanes[number] = _Lane(self._nodes, self._source, self._sink, places, self._schedule.within)
        return self._lanes[number]

    def _any_lane(self, idle: list[_Lane]) -> _Lane:
        """Return a lane for any strip, if there are no line buffers between nodes."""
        with suppress(IndexError):
            return idle.pop()
        lane = _Lane(self._nodes, self._source, self._sink, [], 1)
        while self._lanes.setdefault(number := len(self._lanes), lane) is not lane:
            assert number >= 0  # another thread took this number
        return lane


@record(eq=False)
class _Schedule:
    """Order of blocks and assignment to threads.

    Attributes
    ----------
    threads : int
        Strips that are computed side by side.
    within : int
        Threads that share the blocks of a strip.
    strips : list of list of Tick
        The ticks of each strip of the result.
    places : list of Places
        Line buffers between the nodes of each strip; empty for a single node.
    """

    threads: int
    within: int
    strips: list[list[Tick]]
    places: list[Places]


def _scheduled(nodes: Sequence[Node], threads: int, room: int) -> _Schedule:
    """Choose the strips and the threads, with ``room`` bytes for all buffers and scratch."""
    blocks, cost = nodes[-1].blocks, sum(node.cost for node in nodes)
    own = max(node.scratch_bytes for node in nodes) + _THREAD_BYTES
    threads = 1 if cost <= WORTH_A_THREAD * len(nodes) else threads
    if len(nodes) == 1:
        threads = min(threads, blocks, max(1, room // own))
        strips = [[[(0, list(range(blocks)))]]] if threads == 1 else [[[(0, [block])]] for block in range(blocks)]
        return _Schedule(threads, 1, strips, [])
    whole = one_by_one(order_of(nodes, 0, blocks))
    places = places_of(nodes, whole)
    held = _bytes(nodes, places)
    is_in_order = any(node.in_order for node in nodes)
    if 1 < threads <= blocks and not is_in_order and threads * (own + held) <= room:
        twice = sum(node.cost * rows / node.rows for rows, node in zip(_overlaps(nodes), nodes, strict=True))
        # One strip for each thread: preparing a strip takes about as long as filtering a megapixel.
        if threads * twice <= _TWICE * cost:
            strips = [one_by_one(order_of(nodes, *strip)) for strip in cut(blocks, -(-blocks // threads))]
            return _Schedule(threads, 1, strips, [places_of(nodes, strip) for strip in strips])
    within = min(threads, max(1, (room - held) // own))
    if within > 1:
        sizes = _sizes(nodes, within)
        whole = overlapped(nodes, order_of(nodes, 0, blocks, within if held > _ROOMY else sizes[-1], sizes))
        places = places_of(nodes, whole)
    return _Schedule(1, within, [whole], [places])


def _bytes(nodes: Sequence[Node], places: Places) -> int:
    """Return the bytes of the line buffers."""
    return sum(
        rows * math.prod(node.line) * node.dtype.itemsize for node, (rows, _) in zip(nodes, places, strict=False)
    )


def _overlaps(nodes: Sequence[Node]) -> list[float]:
    """Return the rows of each node's result that two neighbouring strips both compute."""
    rows = [0.0] * len(nodes)
    for number in range(len(nodes) - 1, 0, -1):
        node = nodes[number]
        for back in node.reads:
            if number >= back:
                before = number - back
                rows[before] = max(rows[before], rows[number] * node.jump + node.overlap + nodes[before].block_rows)
    return rows


def _sizes(nodes: Sequence[Node], threads: int) -> list[int]:
    """Return how many blocks of each node go in a step.

    The first computes all that are asked for: no rows have to be held for it. Any other computes one for each thread,
    or as many rows as the tallest block before it serves.
    """
    sizes, tallest = [nodes[0].blocks], [float(nodes[0].block_rows)]
    for number, node in enumerate(nodes[1:], 1):
        above = tallest[max(0, number - node.reads[0])] / node.jump
        tallest.append(max(node.block_rows, above))
        sizes.append(max(threads, round(tallest[number] / node.block_rows)))
    return sizes


class _Lane:
    """Line buffers between the nodes, and crews that compute into them, for one strip at a time."""

    def __init__(self, nodes: Sequence[Node], source: Place, sink: Place, places: Places, threads: int) -> None:
        self._nodes, self._threads = nodes, threads
        buffers = [_array_of(source)]
        self._bytes = 0
        for node, (rows, held) in zip(nodes, places, strict=False):
            # Zeros, since rows that only fill up a group are computed too: denormal numbers would be slow.
            samples = at_a_cache_line(rows * math.prod(node.line), node.dtype, zeros=True)
            self._bytes += samples.nbytes
            buffers.append(LineBuffer(Slot(samples.reshape(rows, *node.line)), held))
        buffers.append(_array_of(sink))
        self._targets = buffers[1:]
        self._crews: list[Crew] = [
            node.crew([buffers[number + 1 - back] for back in node.reads], buffers[number + 1], threads)
            for number, node in enumerate(nodes)
        ]
        self._watched = _watched(nodes)

    def begin(self) -> None:
        """Reset for another picture."""
        for crew in self._crews:
            crew.begin()

    def run(self, ticks: Sequence[Tick]) -> None:
        """Compute the blocks of a strip."""
        for tick in ticks:
            steps = [(number, [self._nodes[number].rows_of(block) for block in blocks]) for number, blocks in tick]
            tasks = [(number, *task) for number, rows in steps for task in self._crews[number].tasks(rows)]
            if self._threads == 1 or len(tasks) == 1:
                for task in tasks:
                    self._do(task)
            else:
                run_blocks(tasks, self._worker, self._threads)
            for number, rows in steps:
                if self._watched[number] is not None:
                    self._require_local(number, rows)

    def _worker(self) -> Callable[[tuple[int, Callable[[Any], None], Any]], None]:
        return self._do

    def _do(self, task: tuple[int, Callable[[Any], None], Any]) -> None:
        number, compute, some = task
        try:
            compute(some)
        except NotLocalError:
            raise NotLocalError(self._nodes[number].stage_number) from None

    def _require_local(self, number: int, blocks: Sequence[tuple[int, int]]) -> None:
        reader = self._watched[number]
        if reader is not None and not all(all_finite(self._targets[number].rows(*rows)) for rows in blocks):
            raise NotLocalError(self._nodes[reader].stage_number)

    @property
    def clipped(self) -> int:
        """How many samples were clipped."""
        return sum([crew.clipped for crew in self._crews])

    def held_bytes(self) -> int:
        """Return the bytes of buffers and crews."""
        return self._bytes + sum(crew.held_bytes() for crew in self._crews)


def _array_of(place: Place) -> LineBuffer:
    """Return the array of a row source or sink; an empty array if rows are streamed."""
    return LineBuffer(place if isinstance(place, Slot) else Slot(np.empty((0, 1, 1), np.uint8)))


def _watched(nodes: Sequence[Node]) -> list[int | None]:
    """Return for each node the number of a reader that would spread non-finite samples, or None."""
    readers: list[int | None] = [None] * len(nodes)
    for number, node in enumerate(nodes):
        if node.spreads and number >= node.reads[0]:
            readers[number - node.reads[0]] = number
    return readers


# The cache ----------------------------------------------------------------------


class Cache:
    """LRU cache of idle executables, the latest last.

    Threads and finalizers may change it at any time: each operation is atomic.
    """

    #: Most bytes of all executables, or of one.
    most_bytes = 64 * 2**20
    most = 32

    def __init__(self) -> None:
        self._waiting: list[tuple[Hashable, object, Executable, int]] = []

    def __len__(self) -> int:
        """Return the number of idle executables."""
        return len(self._waiting)

    @property
    def nbytes(self) -> int:
        """Bytes of all idle executables."""
        return sum(entry[3] for entry in self._waiting.copy())

    def take(self, key: Hashable) -> Executable | None:
        """Remove and return an idle executable of this key, or None."""
        for entry in reversed(self._waiting.copy()):
            if entry[0] == key:
                with suppress(ValueError):  # another thread was faster
                    self._waiting.remove(entry)
                    return entry[2]
        return None

    def give_back(self, key: Hashable, alive: object, executable: Executable) -> None:
        """Add an executable; ``alive`` is the object that the key identifies."""
        size = executable.held_bytes()
        if size > self.most_bytes:
            return
        self._waiting.append((key, alive, executable, size))
        while len(self._waiting) > self.most or self.nbytes > self.most_bytes:
            with suppress(IndexError):
                del self._waiting[0]

    def forget(self) -> None:
        """Drop all executables."""
        self._waiting.clear()


executables = Cache()
