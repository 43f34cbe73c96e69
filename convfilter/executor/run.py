"""The executor: rows go from a source through the nodes of a plan into a sink.

A plan whose rows can come one by one runs as a single group, streamed. Other plans run group by group on whole arrays.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from convfilter.engine.buffer import Samples
from convfilter.engine.locality import NotLocalError
from convfilter.engine.masked import Masked
from convfilter.engine.rows import RowSink, RowSource, array_of
from convfilter.errors import ParameterError
from convfilter.executor.group import GroupRun
from convfilter.machine.cores import cores_lately
from convfilter.planning import Plan
from convfilter.planning.methods import chosen_method
from convfilter.record import record
from convfilter.sample_types import full_scale

if TYPE_CHECKING:
    import numpy.typing as npt


@record
class Result:
    """The result of a run: the array, the number of clipped samples, and the number of all ``samples``."""

    pixels: Samples
    clipped: int
    samples: int


def run_rows(plan: Plan, source: RowSource | Samples, sink: RowSink | Samples, *, threads: int | None = None) -> int:
    """Filter a picture: read its rows from ``source``, write the rows of the result to ``sink``.

    Rows stay in memory only until the last row of the result that needs them, unless :func:`streaming_obstacle` says
    otherwise.

    Parameters
    ----------
    plan : Plan
        Made for the shape and sample type of ``source``.
    source : RowSource, or (rows, cols, channels) array
    sink : RowSink, or (rows, cols, channels) array
        Its sample type is that of the result. Between integer types full scale becomes full scale; real results have
        the input's scale, unrounded.
    threads : int, optional
        Most threads, by default one for each core. The result does not depend on their number.

    Returns
    -------
    int
        Number of clipped samples.

    Raises
    ------
    ParameterError
        ``source`` does not match the plan, or ``threads`` is below 1.
    """
    _require_fit(plan, source.shape, source.dtype)
    if threads is not None and threads < 1:
        raise ParameterError(f"threads must be at least 1, got {threads}")
    threads = threads or cores_lately()
    if not streaming_obstacle(plan):
        return _run_stages(plan, 0, len(plan.stages), source, sink, threads)
    pixels = array_of(source)
    clipped = 0
    for group in plan.groups:
        last = plan.stages[group.last - 1]
        is_last = group.last == len(plan.stages)
        shape = last.rows.output, last.cols.output, last.output_channels
        if is_last and isinstance(sink, np.ndarray):
            result = sink
        else:
            result = np.empty(shape, sink.dtype if is_last else last.result)
        clipped = _run_stages(plan, group.first, group.last, pixels, result, threads)
        pixels = result
    if not isinstance(sink, np.ndarray):
        sink.write(pixels)
    return clipped


class _Unwritten:
    """The writer of a file, a ``BandSink``, before a run."""

    def __init__(self, dtype: np.dtype[np.generic]) -> None:
        self.dtype = dtype

    def write(self, rows: Samples) -> None:
        """Refuse rows."""
        raise NotImplementedError

    def write_at(self, top: int, rows: Samples) -> None:
        """Refuse rows."""
        raise NotImplementedError

    def restart(self) -> None:
        """Do nothing: there are no rows to drop."""


def prepare(plan: Plan, dtype: np.dtype[np.generic], *, threads: int | None = None) -> None:
    """Make programs and line buffers for a :func:`run_rows` from an array into a row sink, while the array is decoded.

    They wait in the cache of executables. Nothing is made where the samples decide how they are computed.

    Parameters
    ----------
    plan : Plan
    dtype : dtype
        Sample type of the result.
    threads : int, optional
        As in :func:`run_rows`.
    """
    if streaming_obstacle(plan) or plan.dtype.kind == "f":
        return
    picture = np.empty((*plan.input_shape, 1)[:3], plan.dtype)  # takes no memory: nothing is written to it
    GroupRun(plan, 0, plan.stages, dtype, threads or cores_lately()).prepare(picture, _Unwritten(dtype))


def run_array(
    plan: Plan,
    image: Samples,
    *,
    out_dtype: npt.DTypeLike | None = None,
    threads: int | None = None,
    out: Samples | None = None,
) -> Result:
    """Filter an array.

    Parameters
    ----------
    plan : Plan
        Made for the shape and sample type of ``image``.
    image : (rows, cols) or (rows, cols, channels) array
    out_dtype : dtype, optional
        Sample type of the result, by default the input's; see :func:`run_rows`.
    threads : int, optional
        As in :func:`run_rows`.
    out : array, optional
        Memory for the result: C-contiguous, of its shape and type, apart from the image.

    Returns
    -------
    Result

    Raises
    ------
    ParameterError
        ``image`` has another shape or type than the plan's, or ``threads`` is below 1.
    """
    _require_fit(plan, image.shape, image.dtype)
    pixels = np.ascontiguousarray(image.reshape(image.shape[0], image.shape[1], -1))
    last = plan.stages[-1]
    shape = last.rows.output, last.cols.output, last.output_channels
    output = np.empty(shape, out_dtype or image.dtype) if out is None else out.reshape(shape)
    clipped = run_rows(plan, pixels, output, threads=threads)
    return Result(output.reshape(plan.output_shape), clipped, output.size)


def _require_fit(plan: Plan, shape: tuple[int, ...], dtype: np.dtype[np.generic]) -> None:
    planned = plan.input_shape
    if (shape != planned and shape != (*planned, 1)[: len(shape)]) or dtype != plan.dtype:
        raise ParameterError(f"the plan is for a {plan.dtype} array of shape {planned}, got {dtype} {shape}")


def streaming_obstacle(plan: Plan) -> str:
    """Return why a plan needs all rows of its input at once; "" if they can be streamed."""
    return next((stage.streaming_obstacle for stage in plan.stages if stage.streaming_obstacle), "")


def may_restart(plan: Plan) -> bool:
    """Whether :func:`run_rows` may call ``restart`` of source and sink, to begin again with another method.

    It does so where a method spreads samples that are not finite, or hides small real samples beside large ones. The
    integers of a picture are finite; so are the results of stages whose weights bound them below the largest float32.
    """
    methods = [chosen_method(stage) for stage in plan.stages]
    if plan.dtype.kind == "f":
        return any(method.spreads for method in methods)
    if any(method.hides for method in methods[1:]):
        return True
    last = max((number for number, method in enumerate(methods) if method.spreads), default=0)
    before = plan.stages[:last]
    if any(stage.alpha and not stage.premultiplied for stage in before):  # nothing bounds a division by alpha
        return True
    if not before:
        return False
    from convfilter.planning.ranges import ranges

    largest = float(np.finfo(np.float32).max)
    return any(each.size > largest for each in ranges(before, plan.dtype, full_scale(plan.dtype)))


def run_stage_to(plan: Plan, number: int, pixels: Samples | Masked, result: Samples, threads: int) -> int:
    """Run one stage of ``plan`` as :func:`run_stage` does, into an array; returns how many samples were clipped."""
    return _run_stages(plan, number, number + 1, pixels, result, threads)


def run_stage(
    plan: Plan, number: int, pixels: Samples | Masked, out_dtype: np.dtype[np.generic], threads: int
) -> tuple[Samples, int]:
    """Run one stage of ``plan`` on the result of the stage before.

    Parameters
    ----------
    plan : Plan
    number : int
        Number of the stage, from 0.
    pixels : (rows, cols, channels) array, C-contiguous, or Masked
        In the plan's sample type before the first stage; real numbers on the same scale before the others.
    out_dtype : dtype
        Sample type of the result of the last stage.
    threads : int

    Returns
    -------
    (rows, cols, channels) array, and int
        The result, real before another stage, and the number of its clipped samples.
    """
    stage = plan.stages[number]
    dtype = out_dtype if number + 1 == len(plan.stages) else stage.result
    result = np.empty((stage.rows.output, stage.cols.output, stage.output_channels), dtype)
    return result, run_stage_to(plan, number, pixels, result, threads)


def _run_stages(
    plan: Plan, first: int, last: int, source: RowSource | Samples | Masked, sink: RowSink | Samples, threads: int
) -> int:
    """Run stages ``first`` to ``last - 1`` together; return the number of clipped samples."""
    group = GroupRun(plan, first, plan.stages[first:last], sink.dtype, threads)
    while True:
        try:
            return group.run(source, sink)
        except NotLocalError as error:
            group = group.local_at(error.stage)
            for end in (source, sink):
                if not isinstance(end, np.ndarray | Masked):
                    end.restart()
