"""What was prepared for a plan, kept for its next run: tables, programs, and the memory that they work in.

Preparing takes longer than filtering a small picture. Who runs a plan takes what is there out, so that no two threads
work in the same memory, and puts it back when the run has succeeded: what an exception left is thrown away.
"""

from __future__ import annotations

import os
import threading
from typing import Any, NamedTuple

from convfilter.engine.program import Slot
from convfilter.engine.run import Prepared
from convfilter.engine.tiles import Samples, Source
from convfilter.planning import StagePlan

#: All that is kept may take this much memory, and be so many; the latest stay. One by itself takes half of it at most:
#: what large pictures are prepared for takes a small share of their time.
MOST_BYTES = 64 * 2**20
MOST_RUNS = 32


class _Kept(NamedTuple):
    """``key`` names the plan by its identity, which lasts as long as the plan."""

    key: tuple[Any, ...]
    plan: StagePlan
    ready: Prepared
    nbytes: int


_kept: list[_Kept] = []
_lock = threading.Lock()


def run_again(plan: StagePlan, source: Source, output: Samples, full_out: float, threads: int) -> int:
    """Run ``plan`` from ``source`` to ``output`` with what is kept for it; returns how many samples were clipped."""
    key = id(plan), source.slot.shape, source.slot.dtype, source.full, source.alpha, source.gray, output.dtype, full_out
    ready = _taken(key)
    if ready is None:
        ready = Prepared(plan, source, Slot(output), full_out)
    else:
        ready.work.source.slot.put(source.image)
        ready.output.put(output)
    clipped = ready.run(threads)
    if ready.can_be_kept:
        ready.work.source.slot.clear()
        ready.output.clear()
        _keep(_Kept(key, plan, ready, ready.nbytes()))
    return clipped


def _taken(key: tuple[Any, ...]) -> Prepared | None:
    with _lock:
        for number in range(len(_kept) - 1, -1, -1):
            if _kept[number].key == key:
                return _kept.pop(number).ready
    return None


def _keep(latest: _Kept) -> None:
    if latest.nbytes > MOST_BYTES // 2:
        return
    with _lock:
        _kept.append(latest)
        while len(_kept) > MOST_RUNS or sum(each.nbytes for each in _kept) > MOST_BYTES:
            del _kept[0]


def forget() -> None:
    """Let go of all that is kept."""
    with _lock:
        _kept.clear()


def _in_a_child() -> None:
    """Another thread of the parent may have held the lock when this process was made."""
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_a_child)
