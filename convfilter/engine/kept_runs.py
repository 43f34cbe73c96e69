"""What was prepared for a plan, kept for its next run: tables, programs, and the memory that they work in.

Preparing takes longer than filtering a small picture. Who runs a plan takes what is there out, so that no two threads
work in the same memory, and puts it back when the run has succeeded: what an exception left is thrown away.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from itertools import chain
from typing import Any

import numpy as np

from convfilter.engine.prepared import Prepared
from convfilter.engine.program import Slot
from convfilter.engine.tiles import Samples, Source
from convfilter.planning import StagePlan
from convfilter.record import record

#: All that is kept may take this much memory, and be so many; the latest stay. One by itself takes half of it at most:
#: what large pictures are prepared for takes a small share of their time.
MOST_BYTES = 64 * 2**20
MOST_RUNS = 32
#: What a program's calls take besides arrays: as measured, for tall pictures have thousands.
_PROGRAM_BYTES = 6 * 2**10


@record(eq=False)
class _Kept:
    """A run that waits, and how much memory its ``parts``, so many, take.

    ``key`` names the plan by its identity, which lasts as long as the plan.
    """

    key: tuple[Any, ...]
    plan: StagePlan
    ready: Prepared
    parts: int = -1
    nbytes: int = 0


#: The latest last. Threads, and finalizers at any place, may change it meanwhile: each step by itself is whole.
_kept: list[_Kept] = []


def run_again(plan: StagePlan, source: Source, output: Samples, full_out: float, threads: int) -> int:
    """Run ``plan`` from ``source`` to ``output`` with what is kept for it; returns how many samples were clipped."""
    key = id(plan), source.slot.shape, source.slot.dtype, source.full, source.alpha, source.gray, output.dtype, full_out
    kept = _taken(key)
    if kept is None:
        kept = _Kept(key, plan, Prepared(plan, source, Slot(output), full_out))
    else:
        kept.ready.work.source.slot.put(source.image)
        kept.ready.output.put(output)
    clipped = kept.ready.run(threads)
    if kept.ready.can_be_kept:
        kept.ready.work.source.slot.clear()
        kept.ready.output.clear()
        _keep(_counted(kept))
    return clipped


def _taken(key: tuple[Any, ...]) -> _Kept | None:
    for kept in reversed(_kept.copy()):
        if kept.key == key:
            with suppress(ValueError):  # who was faster has it
                _kept.remove(kept)
                return kept
    return None


def _counted(kept: _Kept) -> _Kept:
    """Count the memory, unless it is the same as before."""
    parts = kept.ready.parts
    number = len(parts) + kept.ready.plain_workers
    if number == kept.parts:
        return kept
    work = kept.ready.work
    arrays = chain((work.row_index, work.col_index), *(part.arrays() for part in parts))
    named = sum({id(root): root.nbytes for root in map(_root, arrays)}.values())
    nbytes = max(named, kept.ready.plain_workers * kept.plan.scratch_bytes) + len(parts) * _PROGRAM_BYTES
    return replace(kept, parts=number, nbytes=nbytes)


def _root(array: Samples) -> Samples:
    """Return the array whose memory another is a view of."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def _keep(latest: _Kept) -> None:
    if latest.nbytes > MOST_BYTES // 2:
        return
    _kept.append(latest)
    while len(_kept) > MOST_RUNS or sum(each.nbytes for each in _kept.copy()) > MOST_BYTES:
        with suppress(IndexError):
            del _kept[0]


def forget() -> None:
    """Let go of all that is kept."""
    _kept.clear()
