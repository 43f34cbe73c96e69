"""A plan and an array in, an array out."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt

from convfilter.engine.bands import Workers, available_cores, cut, run_blocks
from convfilter.engine.finish import ArraySink, Finisher, MakeWorker, RangeSink, Sink, Worker
from convfilter.engine.tiles import Samples, Scratch, Source
from convfilter.engine.tone import Tone, rounding_of, stretched, tone_of
from convfilter.engine.work import Way, Work
from convfilter.errors import ParameterError
from convfilter.filters.stage import Pooling
from convfilter.planning import Plan, StagePlan, full_scale
from convfilter.planning.plan import for_any_numbers
from convfilter.planning.strips import stream_block_rows
from convfilter.record import record

if TYPE_CHECKING:
    from convfilter.engine.multirate import KeptRows

#: Below this many multiply-adds a second thread costs more than it brings.
WORTH_A_THREAD = 2_000_000
#: What all threads together may take for scratch: fewer threads run where each needs much.
_SCRATCH_BYTES = 56 * 2**20

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
_WHOLE_STAGES = {
    "points": ("points", "points"),
    "orientation": ("orientation", "orientation"),
    "layer": ("layer", "layer"),
}

AnySink = TypeVar("AnySink", bound=Sink)


@record
class Result:
    """What a run gives: the array, and how many of its ``samples`` were clipped."""

    pixels: Samples
    clipped: int
    samples: int


def run(plan: Plan, image: Samples, *, out_dtype: npt.DTypeLike | None = None, threads: int | None = None) -> Result:
    """Run ``plan`` on ``image``.

    Parameters
    ----------
    plan : Plan
        Made for the shape and sample type of ``image``.
    image : (rows, cols) or (rows, cols, channels) array of uint8, uint16 or float32
    out_dtype : dtype, optional
        Sample type of the result, by default the input's. Between integer
        types full scale becomes full scale; float32 keeps the input's scale, unrounded.
    threads : int, optional
        At most this many threads; by default, one for each core. The result
        does not depend on it.

    Returns
    -------
    Result

    Raises
    ------
    ParameterError
        ``image`` is not what the plan was made for, or ``threads`` is below 1.
    """
    if image.shape != plan.input_shape or image.dtype != plan.dtype:
        raise ParameterError(
            f"the plan is for a {plan.dtype} array of shape {plan.input_shape}, got {image.dtype} {image.shape}"
        )
    if threads is not None and threads < 1:
        raise ParameterError(f"threads must be at least 1, got {threads}")
    threads = threads or available_cores()
    target = np.dtype(out_dtype or image.dtype)
    pixels = np.ascontiguousarray(image.reshape(image.shape[0], image.shape[1], -1))
    clipped = 0
    for group in plan.groups:
        stages = plan.stages[group.first : group.last]
        sources = [source_of(plan, number, pixels) for number in range(group.first, group.last)]
        dtype, white = _result_of(plan, group.last - 1, target)
        if len(stages) == 1:
            pixels, clipped = _run_stage(stages[0], sources[0], dtype, white, threads)
        else:
            from convfilter.engine.chain import run_group

            pixels, clipped = run_group(stages, group, sources, dtype, white, threads)
    return Result(pixels.reshape(plan.output_shape), clipped, pixels.size)


def run_stage(
    plan: Plan, number: int, pixels: Samples, out_dtype: np.dtype[np.generic], threads: int
) -> tuple[Samples, int]:
    """Run one stage of ``plan`` on what the one before it left.

    Parameters
    ----------
    plan : Plan
    number : int
        Of the stage, from 0.
    pixels : (rows, cols, channels) array, C-contiguous
        Of the plan's sample type before the first stage, float32 on the same scale before the others.
    out_dtype : dtype
        Sample type of the result of the last stage.
    threads : int

    Returns
    -------
    (rows, cols, channels) array, and int
        The result, float32 before another stage, and how many of its samples were clipped.
    """
    dtype, white = _result_of(plan, number, out_dtype)
    return _run_stage(plan.stages[number], source_of(plan, number, pixels), dtype, white, threads)


def _result_of(plan: Plan, number: int, out_dtype: np.dtype[np.generic]) -> tuple[np.dtype[np.generic], float]:
    """Return the sample type of a stage's result, and what is white in it."""
    full = full_scale(plan.dtype)
    if number < len(plan.stages) - 1:
        return np.dtype(np.float32), full
    return out_dtype, full_scale(out_dtype) if out_dtype.kind == "u" else full


def source_of(plan: Plan, number: int, pixels: Samples) -> Source:
    """Return what a stage reads, if ``pixels`` is its input."""
    padding = _padding_value(plan.stages[number])
    return Source(pixels, full_scale(plan.dtype), plan.alpha, plan.gray and number == 0, padding)


def _padding_value(plan: StagePlan) -> float:
    # Padded cells add nothing to a mean; extremes do without them.
    return 0.0 if isinstance(plan.stage.operator, Pooling) else plan.stage.padding_value


def _run_stage(
    plan: StagePlan, source: Source, target: np.dtype[np.generic], full_out: float, threads: int
) -> tuple[Samples, int]:
    if plan.algorithm in _WHOLE_STAGES:
        done: tuple[Samples, int] = _found(_WHOLE_STAGES[plan.algorithm])(plan, source, target, full_out, threads)
        return done
    local = for_any_numbers(plan)
    if local is not plan and source.image.dtype.kind == "f" and not all_finite(source.image):
        plan = local
    work = Work.of(plan, source)
    tone = tone_of(plan, target, source.full, full_out, source.gray)
    output = np.empty((plan.rows.output, plan.cols.output, source.channels), target)
    if plan.algorithm in _PLAIN_WAYS:
        is_plain, make_worker = (_found((_PLAIN_WAYS[plan.algorithm], name)) for name in ("is_plain", "make_worker"))
        if is_plain(work, target):
            blocks = cut(plan.rows.output, stream_block_rows(plan.rows))
            run_blocks(blocks, lambda: make_worker(work, output), _threads(plan, threads))
            return output, 0
    if plan.stage.map == "stretch":
        ranges = _run_blocks(work, tone, threads, lambda: RangeSink(source.channels))
        ends = min(r.low for r in ranges), max(r.high for r in ranges)
        tone = stretched(tone, *ends, full_out, rounding_of(plan, source.image, tone))
    sinks = _run_blocks(work, tone, threads, lambda: ArraySink(output, plan, source.full, full_out))
    if target.kind == "f" and plan.stage.map in ("clip", "stretch"):
        colours = output[..., :-1] if source.alpha else output
        np.clip(colours, 0, full_out, out=colours)
    return output, sum(sink.clipped for sink in sinks)


def all_finite(image: Samples) -> bool:
    """Whether no sample is infinite or not a number."""
    return all(bool(np.isfinite(row).all()) for row in image)


def _run_blocks(work: Work, tone: Tone, threads: int, make_sink: Callable[[], AnySink]) -> list[AnySink]:
    """Compute all blocks; returns the sinks, one for each thread that ran."""
    plan = work.plan
    sinks: list[AnySink] = []
    lock = threading.Lock()

    def make_worker() -> Worker:
        scratch = Scratch(plan.precision)
        sink = make_sink()
        with lock:
            sinks.append(sink)
        return worker_of(work, scratch, Finisher(work, scratch, tone), sink)

    threads = _threads(plan, threads)
    block_rows = stream_block_rows(plan.rows) if by_strips(plan) else plan.block_rows
    kept, worker_of = _computing(work)
    workers = Workers(make_worker)
    for top, bottom in kept.bands if kept else [(0, plan.rows.output)]:
        if kept:
            kept.compute((top, bottom), threads)
        workers.run([(top + first, top + last) for first, last in cut(bottom - top, block_rows)], threads)
    return sinks


def by_strips(plan: StagePlan) -> bool:
    """Whether a stage is computed in strips, whose blocks begin with whole regions; others have blocks of their own."""
    return plan.algorithm == "multirate" or plan.stream is not None


def _computing(work: Work) -> tuple[KeptRows | None, MakeWorker]:
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
    way: Way = _found(_WAYS[algorithm])
    return way


def _by_tiles(way: Way, work: Work, scratch: Scratch, finisher: Finisher, sink: Sink) -> Worker:
    compute_block = way(work, scratch)

    def compute(block: tuple[int, int]) -> None:
        for region, sums, pitch in compute_block(*block):
            finisher.finish(region, sums, pitch, sink)

    return compute


def _found(place: tuple[str, str]) -> Any:
    from importlib import import_module

    module, function = place
    return getattr(import_module(f"convfilter.engine.{module}"), function)


def _threads(plan: StagePlan, threads: int) -> int:
    """Return how many threads are worth starting, and have room for their scratch."""
    cost = plan.rows.output * plan.cols.output * plan.channels * plan.multiply_adds
    return min(threads, max(1, _SCRATCH_BYTES // plan.scratch_bytes)) if cost > WORTH_A_THREAD else 1
