"""The order in which blocks of all nodes are computed, and the place of each in its line buffer until its last use.

``schedule.py`` chooses among the orders that this module makes; ``executable.py`` runs one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import TypeAlias

import numpy as np

from convfilter.engine.borders import CONSTANT, Indices
from convfilter.engine.node import Node, Rows
from convfilter.engine.threads import cut
from convfilter.record import record

#: Number of a node, and numbers of blocks of it that are independent of each other.
Step: TypeAlias = tuple[int, list[int]]
#: Steps of different nodes that are independent of each other.
Tick: TypeAlias = list[Step]
#: For each node but the last, the height of its line buffer, and the buffer's row for each row of the node's result.
Places: TypeAlias = list[tuple[int, Indices]]
#: For each input of a step, the number of its node, and the blocks that the step reads.
Reads: TypeAlias = list[tuple[int, Collection[int]]]
#: For each node, numbers of blocks.
Blocks: TypeAlias = list[set[int]]


def order_of(
    nodes: Sequence[Node],
    first: int,
    last: int,
    together: int = 1,
    sizes: Sequence[int] = (),
    done: Blocks | None = None,
) -> list[Step]:
    """Return the steps that compute blocks ``first`` to ``last - 1`` of the last node, and all blocks that they need.

    Each block is computed just before its first use, so that few blocks are buffered at a time.

    Parameters
    ----------
    together : int
        Blocks of the last node in a step.
    sizes : sequence of int
        Blocks of each node in a step.
    done : list of sets of int, optional
        For each node, blocks that are computed already; the blocks of the steps are added.
    """
    order = _Order(nodes, sizes or [1] * len(nodes), done)
    order.add(len(nodes) - 1, set(range(first, last)), together)
    return order.steps


class _Order:
    """Steps in the order in which they are demanded; a recursive closure would keep them alive in a cycle."""

    def __init__(self, nodes: Sequence[Node], sizes: Sequence[int], done: Blocks | None) -> None:
        self._nodes, self._sizes = nodes, sizes
        self._computed: Blocks = [set() for _ in nodes] if done is None else done
        self._inputs = [_inputs_of(nodes, number) for number in range(len(nodes))]
        self.steps: list[Step] = []

    def add(self, number: int, blocks: set[int], size: int) -> None:
        """Add the steps that compute blocks of a node, ``size`` at a time, after those of their inputs."""
        node, computed = self._nodes[number], self._computed[number]
        missing = sorted(blocks - computed)
        for start, stop in cut(len(missing), size):
            step_blocks = missing[start:stop]
            for k, source, rows in self._inputs[number]:
                needed = set().union(*[node.blocks_needed(block, rows, k) for block in step_blocks])
                self.add(source, needed, self._sizes[source])
            computed.update(step_blocks)
            self.steps.append((number, step_blocks))


def sources_of(node: Node, number: int) -> list[int | None]:
    """Return the numbers of a node's inputs; None for the picture."""
    return [number - back if number >= back else None for back in node.reads]


def one_by_one(steps: Sequence[Step]) -> list[Tick]:
    """Return one tick for each step."""
    return [[step] for step in steps]


def pipelined(nodes: Sequence[Node], steps: Sequence[Step], every: int = 1) -> list[Tick]:
    """Return ticks that hold a step of ``every``-th nodes: threads wait for each other once for all of them.

    The last node's steps lie in the first ticks that the steps before them allow, those of the other nodes in the last
    ticks before their readers', so that line buffers hold few rows: the first node, which waits for no other, would
    run ahead. If neighbours take turns (``every`` is 2), a line buffer need not hold the rows being written in addition
    to the rows being read.
    """
    inputs = list(_reads(nodes, steps))
    times: list[int] = []  # tick of each step
    computed: list[dict[int, int]] = [{} for _ in nodes]  # tick of each block
    after = [0] * len(nodes)  # tick after each node's last step
    for (number, blocks), reads in zip(steps, inputs, strict=True):
        time = max([after[number], *[computed[source][block] + 1 for source, needed in reads for block in needed]])
        time += (number - time) % every
        times.append(time)
        after[number] = time + 1
        computed[number].update(dict.fromkeys(blocks, time))
    ticks: list[Tick] = [[] for _ in range(max(after))]
    read: list[dict[int, int]] = [{} for _ in nodes]  # first tick that reads each block
    before = [len(ticks)] * len(nodes)  # tick of each node's next step
    for (number, blocks), reads, first in reversed(list(zip(steps, inputs, times, strict=True))):
        latest = min([before[number], *[read[number].get(block, first + 1) for block in blocks]]) - 1
        time = latest - (latest - first) % every
        before[number] = time
        for source, needed in reads:
            read[source].update({block: min(time, read[source].get(block, time)) for block in needed})
        ticks[time].append((number, blocks))
    return [tick[::-1] for tick in ticks if tick]


def places_of(
    nodes: Sequence[Node], ticks: Sequence[Tick], staying: Blocks | None = None, inputs: Iterable[Reads] | None = None
) -> Places:
    """Return, for each node but the last, the height of its line buffer, and the place in it of each row.

    A unit of contiguous blocks has its place from the tick that computes its first block to the last use of any of its
    blocks; then another unit takes the place. ``staying`` blocks keep their places to the end. ``inputs`` are what the
    steps of the ticks read, if known.
    """
    last_use: list[dict[int, int]] = [{} for _ in nodes]
    times = [time for time, tick in enumerate(ticks) for _ in tick]
    inputs = _reads(nodes, [step for tick in ticks for step in tick]) if inputs is None else inputs
    for time, reads in zip(times, inputs, strict=True):
        for source, needed in reads:
            last_use[source].update(dict.fromkeys(needed, time))
    for uses, blocks in zip(last_use, staying or (), strict=False):
        uses.update(dict.fromkeys(blocks, len(ticks)))
    return [_places(node, number, ticks, last_use[number]) for number, node in enumerate(nodes[:-1])]


def _reads(nodes: Sequence[Node], steps: Sequence[Step]) -> Iterator[Reads]:
    """Yield for each step the numbers of its inputs, each with the blocks that the step reads."""
    before = [-2] * len(nodes)  # the last block that each node has computed
    sources = [_inputs_of(nodes, number) for number in range(len(nodes))]
    for number, blocks in steps:
        node = nodes[number]
        needed: Reads = []
        for block in blocks:
            follows = block == before[number] + 1
            for k, source, rows in sources[number]:
                needed.append((source, node.blocks_needed(block, rows, k, follows=follows)))
            before[number] = block
        yield needed


def _inputs_of(nodes: Sequence[Node], number: int) -> list[tuple[int, int, int]]:
    """List the inputs of a node, except the picture: which input, the number of its node, and its block height."""
    numbers = enumerate(sources_of(nodes[number], number))
    return [(k, source, nodes[source].block_rows) for k, source in numbers if source is not None]


def _places(node: Node, number: int, ticks: Sequence[Tick], last_use: dict[int, int]) -> tuple[int, Indices]:
    rows = node.contiguous_rows or node.block_rows
    blocks_of_unit = rows // node.block_rows
    ends: dict[int, int] = {}
    for block, use in last_use.items():
        ends[block // blocks_of_unit] = max(use, ends.get(block // blocks_of_unit, 0))
    slots: dict[int, int] = {}
    free: list[int] = []
    needed = 0
    ending: dict[int, list[int]] = {}
    for unit, use in ends.items():
        ending.setdefault(use, []).append(unit)
    for time, tick in enumerate(ticks):
        for block in [block for computed, some in tick if computed == number for block in some]:
            unit = block // blocks_of_unit
            if unit not in slots:
                slots[unit] = free.pop() if free else needed
                needed = max(needed, slots[unit] + 1)
        if time in ending:
            free += sorted((slots[unit] for unit in ending[time] if unit in slots), reverse=True)
    if needed == len(slots):  # all rows stay to the end, in the order of the picture
        slots = {unit: slot for slot, unit in enumerate(sorted(slots))}
    first_rows = np.full((-(-node.rows // rows), 1), CONSTANT, np.int64)
    first_rows[[*slots], 0] = rows * np.array([*slots.values()], np.int64)
    places = np.where(first_rows == CONSTANT, CONSTANT, first_rows + np.arange(rows))
    row_map: Indices = np.append(places.ravel()[: node.rows], CONSTANT)
    return max(1, needed) * rows, row_map


# Bands side by side -------------------------------------------------------------


@record(eq=False)
class Band:
    """The order in which one thread computes a band of the result, while other threads compute other bands.

    Attributes
    ----------
    ticks : iterable of Tick
    places : sequence of int64 array or int
        For each node but the last, the place of each row in a line buffer that all bands share, or the height of a
        ring.
    ready : int
        Number of ticks after which the band has computed all blocks that bands above read.
    waits : int
        Number of ticks before the first tick that reads blocks of bands below.
    """

    ticks: Iterable[Tick]
    places: Sequence[Indices | int]
    ready: int
    waits: int


def bands_of(nodes: Sequence[Node], cuts: Sequence[Rows], *, share: bool) -> tuple[list[Band], list[int]]:
    """Return bands of the last node's blocks, from the top down, and the height of each line buffer.

    With ``share``, a block that two bands need is computed once: the lower band computes it first and keeps it in its
    place, and the upper band reads it last. Without ``share``, both bands compute the block.
    """
    done: Blocks = [set() for _ in nodes]
    orders = [order_of(nodes, first, last, done=done if share else None) for first, last in reversed(cuts)]
    computed_by, inputs = [_computed(nodes, steps) for steps in orders], [list(_reads(nodes, each)) for each in orders]
    from_below = [_minus(_needed(nodes, each), computed) for each, computed in zip(inputs, computed_by, strict=True)]
    rows, below = [0] * (len(nodes) - 1), [np.full(node.rows + 1, CONSTANT, np.int64) for node in nodes[:-1]]
    bands = []
    for number, (steps, reads, computed) in enumerate(zip(orders, inputs, computed_by, strict=True)):
        wanted = [set().union(*(above[k] for above in from_below[number + 1 :])) for k in range(len(nodes))]
        shared = [each & some for each, some in zip(computed, wanted, strict=True)]
        ticks = one_by_one(steps)
        places = places_of(nodes, ticks, shared, reads)
        below = [
            np.where(row_map == CONSTANT, lower, row_map + first)
            for (_, row_map), lower, first in zip(places, below, rows, strict=True)
        ]
        rows = [first + count for (count, _), first in zip(places, rows, strict=True)]
        ready = max((time + 1 for time, (k, blocks) in enumerate(steps) if not shared[k].isdisjoint(blocks)), default=0)
        bands.append(Band(ticks, below, ready, _first_reading(reads, from_below[number])))
    return bands[::-1], rows


def _computed(nodes: Sequence[Node], steps: Sequence[Step]) -> Blocks:
    """Return the blocks of each node that steps compute."""
    computed: Blocks = [set() for _ in nodes]
    for number, blocks in steps:
        computed[number].update(blocks)
    return computed


def _needed(nodes: Sequence[Node], inputs: Iterable[Reads]) -> Blocks:
    """Return the blocks of each node that steps read."""
    read: Blocks = [set() for _ in nodes]
    for reads in inputs:
        for source, blocks in reads:
            read[source].update(blocks)
    return read


def _minus(some: Blocks, others: Blocks) -> Blocks:
    return [each - other for each, other in zip(some, others, strict=True)]


def _first_reading(inputs: Sequence[Reads], some: Blocks) -> int:
    """Return the number of steps before the first step that reads one of some blocks."""
    for time, reads in enumerate(inputs):
        if any(not some[source].isdisjoint(needed) for source, needed in reads):
            return time
    return len(inputs)
