"""Where each way to compute a stage is to be found, and what makes its workers: a run loads only its own."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from convfilter.engine.finish import Finisher, MakeWorker, Sink, Worker
from convfilter.engine.program import Slot
from convfilter.engine.tiles import Scratch
from convfilter.engine.work import Way, Work
from convfilter.planning import StagePlan

if TYPE_CHECKING:
    from convfilter.engine.multirate import KeptRows

#: Where each way is to be found, as module and function: a run loads only its own, which start-up time shows.
#: Multirate Gaussians are not among them: they are prepared for a band of rows.
_WAYS = {
    "direct": ("direct", "direct"),
    "separable": ("two_passes", "separable"),
    "lowrank": ("two_passes", "separable"),
    "box": ("running", "box"),
    "fourier": ("fourier", "fourier"),
    "gradient": ("gradient", "gradient"),
    "pooling": ("pooling", "pooling"),
}

#: Ways that can go from source rows to output rows in one loop, where the result is stored as it is.
_PLAIN_WAYS = {"box": "box", "pooling": "pooling"}

#: Stages that are no sums over a window, computed and stored in their own way.
WHOLE_STAGES = {
    "points": ("points", "points"),
    "orientation": ("orientation", "orientation"),
    "layer": ("layer", "layer"),
}


def plain_way(work: Work, target: np.dtype[np.generic]) -> Callable[[Work, Slot], Worker] | None:
    """Return what makes the workers of a way from source rows to output rows, where results are stored as they are."""
    if work.plan.algorithm not in _PLAIN_WAYS:
        return None
    is_plain, make_worker = (found((_PLAIN_WAYS[work.plan.algorithm], name)) for name in ("is_plain", "make_worker"))
    return make_worker if is_plain(work, target) else None


def by_strips(plan: StagePlan) -> bool:
    """Whether a stage is computed in strips, whose blocks begin where a step does; others have blocks of their own."""
    return plan.algorithm == "multirate" or plan.stream is not None


def computing_in_bands(work: Work) -> tuple[KeptRows | None, MakeWorker]:
    """Return what has to be computed before each band of rows, and what makes the workers for their blocks."""
    if work.plan.algorithm == "multirate" and work.plan.rates[0] is not None:
        from convfilter.engine.multirate import KeptRows

        kept = KeptRows(work)
        return kept, kept.make_worker
    return None, computing(work.plan)


def computing(plan: StagePlan) -> MakeWorker:
    """Return what makes the workers of a stage, unless that is multirate down the columns."""
    if plan.stream:
        from convfilter.engine import streams

        return streams.make_worker
    if plan.algorithm == "multirate":
        from convfilter.engine import multirate

        return multirate.plain_down
    return partial(_by_tiles, find_way(plan.algorithm))


def find_way(algorithm: str) -> Way:
    """Load the way of this name."""
    way: Way = found(_WAYS[algorithm])
    return way


def _by_tiles(way: Way, work: Work, scratch: Scratch, finisher: Finisher, sink: Sink) -> Worker:
    compute_block = way(work, scratch)

    def compute(block: tuple[int, int]) -> None:
        for region, sums, pitch in compute_block(*block):
            finisher.finish(region, sums, pitch, sink)

    return compute


def found(place: tuple[str, str]) -> Any:
    """Load what is named by a module of the engine and a name in it."""
    from importlib import import_module

    module, function = place
    return getattr(import_module(f"convfilter.engine.{module}"), function)
