"""In what order the blocks of a chain are computed, and where each is held until its last use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from convfilter.engine.bands import cut
from convfilter.engine.links import Link


@dataclass
class Schedule:
    """What is computed when, for some blocks of the last link.

    Attributes
    ----------
    steps : list of (int, list of int)
        A link's number, and blocks of it that do not depend on each other.
    slots : list of dict
        For each link but the last, the slot that each block is held in.
    counts : list of int
        How many slots there are.
    """

    steps: list[tuple[int, list[int]]]
    slots: list[dict[int, int]]
    counts: list[int]

    @classmethod
    def of(cls, links: Sequence[Link], first: int, last: int, together: int, threads: int) -> Schedule:
        """Find out what blocks ``first`` to ``last - 1`` need.

        ``together`` of them are done at a time, and ``threads`` blocks of the
        links before, each just before it is asked for: so that few are held.
        """
        steps: list[tuple[int, list[int]]] = []
        done: list[set[int]] = [set() for _ in links]
        last_use: list[dict[int, int]] = [{} for _ in links]

        def demand(k: int, blocks: set[int], size: int) -> None:
            fresh = sorted(blocks - done[k])
            for start, stop in cut(len(fresh), size):
                part = fresh[start:stop]
                seen: set[int] = set()
                if k:
                    seen.update(*(links[k].seen(block, links[k - 1].block_rows) for block in part))
                    demand(k - 1, seen, threads)
                    last_use[k - 1].update(dict.fromkeys(seen, len(steps)))
                done[k].update(part)
                steps.append((k, part))

        demand(len(links) - 1, set(range(first, last)), together)
        assigned = [_assign(steps, last_use[k], k) for k in range(len(links) - 1)]
        return cls(steps, [slots for slots, _ in assigned], [needed for _, needed in assigned])


def _assign(steps: Sequence[tuple[int, Sequence[int]]], last_use: dict[int, int], k: int) -> tuple[dict[int, int], int]:
    """Give each block of link ``k`` a slot from its step to its last use; then the slot is used again."""
    slots: dict[int, int] = {}
    free: list[int] = []
    needed = 0
    ending: dict[int, list[int]] = {}
    for block, use in last_use.items():
        ending.setdefault(use, []).append(block)
    for number, (link, blocks) in enumerate(steps):
        for block in blocks if link == k else ():
            slots[block] = free.pop() if free else needed
            needed = max(needed, slots[block] + 1)
        free += sorted((slots[block] for block in ending.get(number, ())), reverse=True)
    if needed == len(slots):  # all are held to the end: where they are in the picture
        return {block: slot for slot, block in enumerate(sorted(slots))}, needed
    return slots, needed
