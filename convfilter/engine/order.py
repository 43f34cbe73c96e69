"""The schedule: the order of all nodes' blocks, and the place of each in its line buffer until its last use."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from convfilter.engine.borders import CONSTANT, Indices
from convfilter.engine.node import Node
from convfilter.engine.threads import cut

#: Number of a node, and independent blocks of it.
Step: TypeAlias = tuple[int, list[int]]
#: For each node but the last, the rows of its line buffer, and the place in it of each row of the result.
Places: TypeAlias = list[tuple[int, Indices]]


def order_of(nodes: Sequence[Node], first: int, last: int, together: int = 1, sizes: Sequence[int] = ()) -> list[Step]:
    """Return the steps that compute blocks ``first`` to ``last - 1`` of the last node, and everything that they need.

    Parameters
    ----------
    together : int
        Blocks of the last node in a step.
    sizes : sequence of int
        For each node, its blocks in a step; each is computed just before it is needed, so that few are buffered.
    """
    sizes = sizes or [1] * len(nodes)
    steps: list[Step] = []
    done: list[set[int]] = [set() for _ in nodes]

    def demand(number: int, blocks: set[int], size: int) -> None:
        fresh = sorted(blocks - done[number])
        node = nodes[number]
        for start, stop in cut(len(fresh), size):
            some = fresh[start:stop]
            for k, source in enumerate(sources_of(node, number)):
                if source is not None:
                    seen = set().union(*(node.seen(block, nodes[source].block_rows, k) for block in some))
                    demand(source, seen, sizes[source])
            done[number].update(some)
            steps.append((number, some))

    demand(len(nodes) - 1, set(range(first, last)), together)
    return steps


def sources_of(node: Node, number: int) -> list[int | None]:
    """Return the numbers of a node's inputs; None for the picture."""
    return [number - back if number >= back else None for back in node.reads]


def places_of(nodes: Sequence[Node], steps: Sequence[Step]) -> Places:
    """Return, for each node but the last, the rows of its line buffer, and the place in it of each row.

    A group of blocks has its place from the step that computes its first block to the last use of any; then another
    group takes the place.
    """
    last_use: list[dict[int, int]] = [{} for _ in nodes]
    before = [-2] * len(nodes)  # the block that each node has computed last
    for time, (number, blocks) in enumerate(steps):
        node = nodes[number]
        for block in blocks:
            for k, source in enumerate(sources_of(node, number)):
                if source is not None:
                    seen = node.seen(block, nodes[source].block_rows, k, follows=block == before[number] + 1)
                    last_use[source].update(dict.fromkeys(seen, time))
            before[number] = block
    return [_places(node, number, steps, last_use[number]) for number, node in enumerate(nodes[:-1])]


def _places(node: Node, number: int, steps: Sequence[Step], last_use: dict[int, int]) -> tuple[int, Indices]:
    rows = node.group_rows or node.block_rows
    blocks_of_group = rows // node.block_rows
    ends: dict[int, int] = {}
    for block, use in last_use.items():
        ends[block // blocks_of_group] = max(use, ends.get(block // blocks_of_group, 0))
    slots: dict[int, int] = {}
    free: list[int] = []
    needed = 0
    ending: dict[int, list[int]] = {}
    for group, use in ends.items():
        ending.setdefault(use, []).append(group)
    for time, (computed, blocks) in enumerate(steps):
        for group in dict.fromkeys(block // blocks_of_group for block in blocks) if computed == number else ():
            if group not in slots:
                slots[group] = free.pop() if free else needed
                needed = max(needed, slots[group] + 1)
        free += sorted((slots[group] for group in ending.get(time, ())), reverse=True)
    if needed == len(slots):  # all rows stay to the end, in the order of the picture
        slots = {group: slot for slot, group in enumerate(sorted(slots))}
    held = np.full(node.rows + 1, CONSTANT, np.int64)
    for group, slot in slots.items():
        top, bottom = group * rows, min((group + 1) * rows, node.rows)
        held[top:bottom] = np.arange(slot * rows, slot * rows + bottom - top)
    return max(1, needed) * rows, held
