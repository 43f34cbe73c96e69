"""A plan and an array in, an array out."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from weakref import WeakValueDictionary

import numpy as np
import numpy.typing as npt

from convfilter.engine.bands import Turn, Workers, cores_lately, cut, run_in_turns
from convfilter.engine.finish import ArraySink, Finisher, MakeWorker, RangeSink, Sink, Worker
from convfilter.engine.program import Program, Slot
from convfilter.engine.tiles import Samples, Scratch, Source
from convfilter.engine.tone import Tone, rounding_of, stretched, tone_of
from convfilter.engine.work import Way, Work
from convfilter.errors import ParameterError
from convfilter.filters.stage import Pooling, UnsharpMask
from convfilter.planning import Plan, StagePlan, full_scale
from convfilter.planning.plan import for_any_numbers
from convfilter.planning.strips import even_block_rows, stream_block_rows
from convfilter.record import record

if TYPE_CHECKING:
    from convfilter.engine.multirate import KeptRows

#: Below this many multiply-adds a second thread costs more than it brings.
WORTH_A_THREAD = 2_000_000
#: Samples whose marks stay in cache while they are looked at for what is not finite.
_LOOKED_AT = 2**16
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
    threads = threads or cores_lately()
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
    return Source(Slot(pixels), full_scale(plan.dtype), plan.alpha, plan.gray and number == 0, padding)


def _padding_value(plan: StagePlan) -> float:
    # Padded cells add nothing to a mean; extremes do without them.
    return 0.0 if isinstance(plan.stage.operator, Pooling) else plan.stage.padding_value


def _run_stage(
    plan: StagePlan, source: Source, target: np.dtype[np.generic], full_out: float, threads: int
) -> tuple[Samples, int]:
    if plan.algorithm in _WHOLE_STAGES:
        done: tuple[Samples, int] = _found(_WHOLE_STAGES[plan.algorithm])(plan, source, target, full_out, threads)
        return done
    if source.slot.dtype.kind == "f":
        local = for_any_numbers(plan)
        if local is not plan and not all_finite(source.image):
            plan = local
    output = np.empty((plan.rows.output, plan.cols.output, source.channels), target)
    if not _is_run_again(plan):
        return output, Prepared(plan, source, Slot(output), full_out).run(threads)
    from convfilter.engine.kept_runs import run_again

    return output, run_again(plan, source, output, full_out, threads)


#: Plans that have been run, by their identity.
_run_before: WeakValueDictionary[int, StagePlan] = WeakValueDictionary()


def _is_run_again(plan: StagePlan) -> bool:
    """Whether the plan has been run before, so that it pays to keep what is prepared for it."""
    again = _run_before.get(id(plan)) is plan
    _run_before[id(plan)] = plan
    return again


class Prepared:
    """A stage on pictures of one shape and type: what is made once, for all pictures that are put in the source's slot.

    Parameters
    ----------
    plan : StagePlan
    source : Source
    output : Slot
        For the results.
    full_out : float
        White in them.
    """

    def __init__(self, plan: StagePlan, source: Source, output: Slot, full_out: float) -> None:
        self.work, self.output, self._full_out = Work.of(plan, source), output, full_out
        self._tone = tone_of(plan, output.dtype, source.full, full_out, source.gray)
        self._plain: Workers[tuple[int, int]] | None = None
        self._blocks: _Blocks[ArraySink] | None = None
        make_plain = _plain_way(self.work, output.dtype)
        if make_plain:
            self._plain = Workers(lambda: make_plain(self.work, output))
        elif plan.stage.map != "stretch":
            self._blocks = self._storing(self._tone)

    @property
    def can_be_kept(self) -> bool:
        """Whether nothing depends on what the picture shows, and it is known how much memory is held."""
        plan = self.work.plan
        return self._plain is not None or (self._blocks is not None and by_strips(plan))

    @property
    def plain_workers(self) -> int:
        """How many workers go from rows to rows, with scratch of their own."""
        return self._plain.count if self._plain else 0

    @property
    def parts(self) -> list[Program | Scratch]:
        """What holds all other memory."""
        return [*self.work.programs, *(self._blocks.scratches if self._blocks else ())]

    def run(self, threads: int) -> int:
        """Filter the picture that is there, with at most so many threads; returns how many samples were clipped."""
        plan, source = self.work.plan, self.work.source
        if self._plain is not None:
            self._plain.run(cut(plan.rows.output, even_block_rows(plan.rows.output)), _threads(plan, threads))
            return 0
        blocks = self._blocks or self._storing(self._stretched(threads))
        blocks.run(threads)
        if self.output.dtype.kind == "f" and plan.stage.map in ("clip", "stretch"):
            colours = self.output.array[..., :-1] if source.alpha else self.output.array
            np.clip(colours, 0, self._full_out, out=colours)
        return sum(sink.clipped for sink in blocks.sinks)

    def _storing(self, tone: Tone) -> _Blocks[ArraySink]:
        plan, full = self.work.plan, self.work.source.full
        return _Blocks(self.work, tone, lambda: ArraySink(self.output, plan, full, self._full_out))

    def _stretched(self, threads: int) -> Tone:
        """Find the range of the results, and return what stretches it."""
        plan, source = self.work.plan, self.work.source
        blocks = _Blocks(self.work, self._tone, lambda: RangeSink(source.channels))
        blocks.run(threads)
        ends = min(sink.low for sink in blocks.sinks), max(sink.high for sink in blocks.sinks)
        return stretched(self._tone, *ends, self._full_out, rounding_of(plan, source.image, self._tone))


def _plain_way(work: Work, target: np.dtype[np.generic]) -> Callable[[Work, Slot], Worker] | None:
    """Return what makes the workers of a way from source rows to output rows, where results are stored as they are."""
    if work.plan.algorithm not in _PLAIN_WAYS:
        return None
    is_plain, make_worker = (_found((_PLAIN_WAYS[work.plan.algorithm], name)) for name in ("is_plain", "make_worker"))
    return make_worker if is_plain(work, target) else None


def all_finite(image: Samples) -> bool:
    """Whether no sample is infinite or not a number."""
    rows = max(1, _LOOKED_AT // max(1, image[:1].size))
    return all(bool(np.isfinite(image[first:last]).all()) for first, last in cut(len(image), rows))


class _Blocks(Generic[AnySink]):
    """All blocks of a stage, and the workers that compute them: each has a sink of its own."""

    def __init__(self, work: Work, tone: Tone, make_sink: Callable[[], AnySink]) -> None:
        self._work, self._tone, self._make_sink = work, tone, make_sink
        self.sinks: list[AnySink] = []
        self.scratches: list[Scratch] = []
        self._kept, self._worker_of = _computing(work)
        self._block_rows = _block_rows(work)
        self._workers = Workers(self._make_worker)

    def _make_worker(self) -> Worker:
        scratch, sink = Scratch(self._work.plan.precision), self._make_sink()
        self.sinks.append(sink)
        self.scratches.append(scratch)
        return self._worker_of(self._work, scratch, Finisher(self._work, scratch, self._tone), sink)

    def run(self, threads: int) -> None:
        """Compute all blocks; what the sinks found before is forgotten."""
        plan, kept = self._work.plan, self._kept
        for sink in self.sinks:
            sink.forget()
        work = self._workers.for_one_run()
        turns: list[Turn] = []
        for (top, bottom), before in kept.turns() if kept else [((0, plan.rows.output), [])]:
            blocks = [(top + first, top + last) for first, last in cut(bottom - top, self._block_rows)]
            turns += [*before, (work, blocks)]
        run_in_turns(turns, _threads(plan, threads))


def _block_rows(work: Work) -> int:
    """Return the rows of a block, which for strips are whole steps, or whole regions where it takes these to finish."""
    plan = work.plan
    if not by_strips(plan):
        return plan.block_rows
    by_regions = plan.alpha or plan.stage.map == "stretch" or isinstance(plan.stage.operator, UnsharpMask | Pooling)
    return stream_block_rows(plan.rows) if by_regions else even_block_rows(plan.rows.output)


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
