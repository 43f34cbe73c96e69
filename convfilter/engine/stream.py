"""The order of a group whose rows are read or written in order: found while it runs; line buffers are rings."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from convfilter.engine.borders import Indices
from convfilter.engine.node import Node
from convfilter.engine.order import Tick, sources_of
from convfilter.record import NamedTuple

#: Most bytes of a line buffer in which rows for a second step are read while the first one is computed.
_AHEAD_BYTES = 4 * 2**20


class Reading(NamedTuple):
    """The rows that one node, whose first blocks are ``lead`` lead blocks, reads from another; see ``Node.spans``."""

    source: int
    reader: int
    lead: int
    firsts: Indices
    stops: Indices

    def first(self, done: Any) -> Any:
        """Return the first row that is needed when the blocks before number ``done``, or each of them, are computed."""
        return self.firsts[self.lead + done]

    def stop(self, done: Any) -> Any:
        """Return the row after the last one that the blocks before number ``done``, or each of them, need."""
        return self.stops[self.lead + done]

    def ready(self, available: int) -> int:
        """Return the number of the first block that needs more than ``available`` rows."""
        return bisect_right(self.stops, available) - 1 - self.lead


def readings_of(nodes: Sequence[Node]) -> list[Reading]:
    """Return the readings of each node from other nodes."""
    return [
        Reading(source, number, node.lead_blocks, np.minimum(firsts, nodes[source].rows), stops)
        for number, node in enumerate(nodes)
        for k, source in enumerate(sources_of(node, number))
        if source is not None
        for firsts, stops in [node.spans(k)]
    ]


class Stream:
    """Ticks that compute one step each, while rows are read for the next step and written for the last.

    Each step belongs to the last node whose input is available, so few rows are buffered at a time. The blocks of each
    node are computed from the top down, and row r of its result lies in row r modulo the height of its line buffer. So
    neither order nor places take time or memory before the first row.

    Parameters
    ----------
    nodes : sequence of Node
    readings : sequence of Reading
    sizes : sequence of int
        Most blocks of each node in a step.

    Attributes
    ----------
    heights : list of int
        Rows of the line buffer of each node but the last, which is a ring.
    """

    def __init__(self, nodes: Sequence[Node], readings: Sequence[Reading], sizes: Sequence[int]) -> None:
        self._nodes, self._sizes = nodes, sizes
        self._inputs = [[each for each in readings if each.reader == number] for number in range(len(nodes))]
        self._readers = [[each for each in readings if each.source == number] for number in range(len(nodes))]
        # The task of a step comes before those that read and write rows, which take less time.
        self._order = sorted(range(len(nodes) - 1, -1, -1), key=lambda number: nodes[number].in_order)
        self.heights = [self._height(number) for number in range(len(nodes) - 1)]

    def __iter__(self) -> Iterator[Tick]:
        """Yield the ticks, from the first row on."""
        done = [-node.lead_blocks for node in self._nodes]
        while done[-1] < self._nodes[-1].blocks:
            tick = self._tick(done)
            assert tick
            yield tick
            for number, blocks in tick:
                done[number] = blocks[-1] + 1

    def _tick(self, done: Sequence[int]) -> Tick:
        """Return the steps of a tick, which read what earlier ticks have computed: each node's blocks before ``done``.

        The rows of the source are read just before their use, while there is room for them.
        """
        ends, last = list(done), len(done) - 1
        if self._nodes[last].in_order:
            ends[last] = self._ready(last, done)
        step = self._next_step(done)
        if step is not None and step[1] <= self._ready(step[0], done):
            ends[step[0]] = step[1]
            step = self._next_step(ends)
        if step is not None and self._is_source(0):
            goals = [self._blocks_for(each, step[1]) for each in self._inputs[step[0]] if each.source == 0]
            ends[0] = max(done[0], min(max(goals, default=0), self._free(0, done)))
        steps = [(number, list(range(done[number], ends[number]))) for number in self._order]
        return [(number, blocks) for number, blocks in steps if blocks]

    def _next_step(self, done: Sequence[int]) -> tuple[int, int] | None:
        """Return the node of the next step and the block after its last one; rows of the source may be missing."""
        goals = [0] * (len(done) - 1) + [self._nodes[-1].blocks]
        for number in range(len(done) - 1, -1, -1):
            node, wanted = self._nodes[number], min(done[number] + self._sizes[number], goals[number])
            if done[number] < 0:  # block 0 begins a step: few steps then go over the end of a ring
                wanted = min(wanted, 0)
            if node.in_order:
                wanted = min(self._ready(number, done) + self._sizes[number], node.blocks)
            else:
                end = min(wanted, self._free(number, done))
                if done[number] < end <= self._ready(number, done, sources=False):
                    return number, end
            if wanted > done[number]:
                for each in self._inputs[number]:
                    goals[each.source] = max(goals[each.source], self._blocks_for(each, wanted))
        return None

    def _is_source(self, number: int) -> bool:
        return self._nodes[number].in_order and not self._inputs[number]

    def _blocks_for(self, each: Reading, blocks: int) -> int:
        """Return the number of blocks of a source that the first ``blocks`` of its reader need."""
        return -(-int(each.stop(blocks)) // self._nodes[each.source].block_rows)

    def _ready(self, number: int, done: Sequence[int], *, sources: bool = True) -> int:
        """Return the number of a node's blocks, from the first on, whose inputs are available.

        Without ``sources``, rows that are read in order count as available.
        """
        ready = self._nodes[number].blocks
        for each in self._inputs[number]:
            source = self._nodes[each.source]
            if sources or not self._is_source(each.source):
                available = max(0, min(done[each.source] * source.block_rows, source.rows))
                ready = min(ready, each.ready(available))
        return ready

    def _free(self, number: int, done: Sequence[int]) -> int:
        """Return the number of a node's blocks, from the first on, that its line buffer has room for."""
        node = self._nodes[number]
        if number == len(self._nodes) - 1:
            return node.blocks
        first = min(int(each.first(done[each.reader])) for each in self._readers[number])
        return node.blocks if first >= node.rows else (first + self.heights[number]) // node.block_rows

    def _height(self, number: int) -> int:
        """Return the rows of a node's line buffer: those of a step of its reader, or of two next to a source or sink.

        Where no lead blocks fill a ring, the first step of a window reads its halo, too; rows for the second step are
        then read after it.
        """
        node, last = self._nodes[number], {each.reader for each in self._readers[number]}
        while len(last) > 1:  # until they meet in a node that all results of several readers reach
            least = min(last)
            last = last - {least} | {each.reader for each in self._readers[least]}
        (reader,) = last
        size, blocks = self._sizes[reader], np.arange(-self._nodes[reader].lead_blocks, self._nodes[reader].blocks)
        rows = self._needed(number, reader, blocks, size)
        if node.in_order or self._nodes[reader].in_order:
            two = self._needed(number, reader, blocks[size:], 2 * size)
            row_bytes = math.prod(node.row_shape) * node.dtype.itemsize
            rows = max(rows, two if node.reads else min(two, _AHEAD_BYTES // row_bytes))
        unit = node.contiguous_rows or node.block_rows
        return -(-min(rows, node.rows) // unit) * unit

    def _needed(self, number: int, reader: int, blocks: Indices, size: int) -> int:
        """Return the most rows of a node that ``size`` blocks of a later node need; ``blocks`` are the first ones."""
        begun, ended = {reader: blocks}, {reader: np.minimum(blocks + size, self._nodes[reader].blocks)}
        for between in range(reader - 1, number - 1, -1):
            readers = [each for each in self._readers[between] if each.reader in begun]
            unit = self._nodes[between].block_rows
            if between == number:
                firsts = np.min([each.first(begun[each.reader]) for each in readers], 0)
                stops = np.max([-(-each.stop(ended[each.reader]) // unit) for each in readers], 0) * unit
                return max(1, int((stops - firsts).max(initial=0)))
            for counts in (begun, ended) if readers else ():
                count = np.array([-(-each.stop(counts[each.reader]) // unit) for each in readers]).max(0)
                counts[between] = np.where(count == 0, -self._nodes[between].lead_blocks, count)
        raise AssertionError
