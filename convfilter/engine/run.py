"""A plan and an array in, an array out."""

from __future__ import annotations

from functools import cache
from weakref import WeakValueDictionary

import numpy as np
import numpy.typing as npt

from convfilter.engine.bands import cores_lately
from convfilter.engine.local import stays_local
from convfilter.engine.prepared import Prepared
from convfilter.engine.program import Slot
from convfilter.engine.tiles import Samples, Source
from convfilter.engine.ways import WHOLE_STAGES, found
from convfilter.errors import ParameterError
from convfilter.filters.stage import Pooling
from convfilter.locks import handler_can_come, undisturbed
from convfilter.planning import Plan, StagePlan
from convfilter.planning.plan import for_any_numbers
from convfilter.record import record


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
    if handler_can_come():
        undisturbed(_load_all)
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


@cache
def _load_all() -> None:
    """Load what the engine loads as it needs it: a signal handler that filters would find modules half loaded."""
    from importlib import import_module
    from pkgutil import iter_modules

    for package in ("convfilter.engine", "convfilter.planning", "convfilter.filters"):
        for module in iter_modules(import_module(package).__path__):
            import_module(f"{package}.{module.name}")


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
    dtype = np.dtype(np.float32) if number < len(plan.stages) - 1 else out_dtype
    return dtype, plan.full_out(dtype)


def source_of(plan: Plan, number: int, pixels: Samples) -> Source:
    """Return what a stage reads, if ``pixels`` is its input."""
    padding = _padding_value(plan.stages[number])
    return Source(Slot(pixels), plan.full, plan.alpha, plan.gray and number == 0, padding)


def _padding_value(plan: StagePlan) -> float:
    # Padded cells add nothing to a mean; extremes do without them. With other modes no cell holds the value, which may
    # be any.
    holds = plan.stage.padding_mode == "constant" and not isinstance(plan.stage.operator, Pooling)
    return plan.stage.padding_value if holds else 0.0


def _run_stage(
    plan: StagePlan, source: Source, target: np.dtype[np.generic], full_out: float, threads: int
) -> tuple[Samples, int]:
    if plan.algorithm in WHOLE_STAGES:
        done: tuple[Samples, int] = found(WHOLE_STAGES[plan.algorithm])(plan, source, target, full_out, threads)
        return done
    if source.slot.dtype.kind == "f":
        local = for_any_numbers(plan)
        if local is not plan and not stays_local(plan, source.image):
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
