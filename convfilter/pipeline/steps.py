"""One picture, from file to file, in five steps: parse, read, plan, run, write."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO

from convfilter.errors import ReadError, UsageError, WriteError
from convfilter.filters import stack
from convfilter.filters.network_operators import Layer
from convfilter.filters.operators import Pooling
from convfilter.filters.stage import Stage
from convfilter.picture.codecs import pnm_series
from convfilter.picture.loss import Loss, notes_of
from convfilter.picture.options import ReadOptions
from convfilter.picture.outline import Outline
from convfilter.picture.picture import Picture
from convfilter.picture.place import atomic
from convfilter.picture.place.address import is_address
from convfilter.picture.place.file_times import set_times, times_of
from convfilter.picture.place.target import Target, is_array, require_no_file_options, resolve_target
from convfilter.picture.read import opened
from convfilter.pipeline.options import Options
from convfilter.record import NamedTuple, replace

if TYPE_CHECKING:
    from convfilter.pipeline.job import Job


class Report(NamedTuple):
    """Report on one filtered picture.

    Attributes
    ----------
    source, destination : str
        Names as typed.
    before, after : str
        Size, kind and depth: ``1200x800 rgb uint8``.
    algorithms : tuple of str
        One for each stage.
    seconds : dict of str to float
        Seconds of each step: parse, read, plan, run, write, and look if requested. Streamed rows are decoded and
        encoded while the filter runs.
    clipped : float
        Share of the result's samples that did not fit their range, 0 to 1.
    notes : tuple of str
        Notes about weights, reading, and losses in the output.
    size, new_size : pair of int
        Width and height, before and after.
    frames : int
    not_streamed : str
        Why all samples were decoded or encoded at once; "" where rows were streamed.
    view : any
        Return value of ``Options.look``.
    """

    source: str
    destination: str
    before: str
    after: str
    algorithms: tuple[str, ...]
    seconds: dict[str, float]
    clipped: float
    notes: tuple[str, ...]
    size: tuple[int, int]
    new_size: tuple[int, int]
    frames: int
    not_streamed: str = ""
    view: Any = None

    @property
    def line(self) -> str:
        """The report without notes, on one line."""
        steps = ", ".join(f"{step} {seconds:.3f} s" for step, seconds in self.seconds.items())
        line = (
            f"{self.source} -> {self.destination}: {self.before} -> {self.after}; {' + '.join(self.algorithms)}; "
            f"{steps}; {self.clipped:.3%} of the samples clipped"
        )
        return f"{line}; {self.not_streamed}" if self.not_streamed else line


def filter_file(source: str, destination: str, options: Options) -> Report:
    """Filter one picture file.

    Parameters
    ----------
    source : str
        A path, an address (s3://...), or "-" for standard input.
    destination : str
        A path, an address, or "-" for standard output.
    options : Options

    Returns
    -------
    Report

    Raises
    ------
    UsageError
        Filters or options are invalid, or the output is the input.
    PictureError
        The picture cannot be read, filtered or written; an old output is
        unchanged.
    """
    if not options.keep_time:
        return _filtered(source, destination, options)
    times = times_of(source, destination)
    report = _filtered(source, destination, options)
    set_times(destination, times)
    return report


class _Task(NamedTuple):
    """The parsed command."""

    source: str
    destination: str
    options: Options
    stages: Sequence[Stage]
    target: Target | None


def _filtered(source: str, destination: str, options: Options) -> Report:
    seconds: dict[str, float] = {}
    with _timed(seconds, "parse"):
        stages: Sequence[Stage] = stack.stages(options.specs, **options.defaults)
        into_array = options.write.format is None and is_array(destination)
        if into_array:
            require_no_file_options(options.write)
        target = None if into_array else _target(source, destination, options)
    task = _Task(source, destination, options, stages, target)
    with pnm_series.opened(source, with_size_check(options.read, stages)) as (where, series):
        return _one(task, where, seconds) if series is None else _series(task, series, seconds)


def _series(task: _Task, series: pnm_series.Series, seconds: dict[str, float]) -> Report:
    """Filter a series of pictures into one file or stream, each before the next is read; return one report on all."""
    options, target = task.options, task.target
    if options.read.frame is not None:
        chosen = series.chosen(options.read.frame)
        return _one(task._replace(options=options._replace(read=replace(options.read, frame=None))), chosen, seconds)
    if target is None or (target.format is not None and not target.format.continues):
        return _single(task, series, seconds)
    from convfilter.planning.plan_cache import cached_plan

    reports: list[Report] = []
    if options.before_writing is not None:
        options.before_writing(task.destination)
    options = options._replace(plan=cached_plan, before_writing=None)
    with atomic.open_series(task.destination) as output:
        task = task._replace(target=target._replace(path=output), options=options)
        for where in series:
            try:
                reports.append(_one(task, where, seconds))
            except ReadError as error:
                if reports:
                    raise ReadError(f"picture {len(reports) + 1}: {error.problem}", remedy=error.remedy) from error
                raise
            task = task._replace(options=options._replace(explain=None))
        trailing = _trailing_notes(series, options)
    notes = dict.fromkeys((*(note for report in reports for note in report.notes), *trailing))
    return reports[0]._replace(
        frames=len(reports),
        clipped=sum(report.clipped for report in reports) / len(reports),
        notes=tuple(notes),
    )


def _single(task: _Task, series: pnm_series.Series, seconds: dict[str, float]) -> Report:
    """Filter the only picture of a stream; several are an error if the output holds one."""
    from convfilter.picture import losses
    from convfilter.picture.place.ranges import StreamedFile

    pictures = iter(series)
    first = next(pictures)
    notes: list[str] = []

    def require_end() -> None:
        name = task.target.format.name if task.target and task.target.format else ".npy"
        several = losses.of_series(name) if next(pictures, None) is not None else ()
        notes.extend(notes_of(several, task.options.write, WriteError) + _trailing_notes(series, task.options))

    if isinstance(first, StreamedFile):
        first.at_end = require_end
    else:
        require_end()
    report = _one(task, first, seconds)
    return report._replace(notes=(*report.notes, *notes))


def _trailing_notes(series: pnm_series.Series, options: Options) -> tuple[str, ...]:
    """Return a note on data after the last picture."""
    if not series.note:
        return ()
    return notes_of([Loss(series.note)], options.read, ReadError)


def _one(task: _Task, where: str | BinaryIO, seconds: dict[str, float]) -> Report:
    """Filter one picture, from the path or open file ``where``."""
    source, destination, options, stages, target = task
    with ExitStack() as files:
        with _timed(seconds, "read"):
            picture = files.enter_context(opened(where, with_size_check(options.read, stages)))
            if options.threads != 1 and not (options.linear or options.gray):  # these decode through another picture
                picture.start()
        with _timed(seconds, "plan"):
            # Imported here: planner and engine take as long to import as a picture of some megapixels to decode.
            from convfilter.pipeline import sidecars
            from convfilter.pipeline.job import Job

            masking = sidecars.with_nodata(options.masking, source)
            job = Job(picture, target, stages, options._replace(masking=masking))
            job.plan()
            if options.explain is not None:
                options.explain(job.plans)
            files.callback(job.close)
            write_sidecars, notes = sidecars.carry(source, destination, picture, job, options.write)
            job.notes += notes
            job.start()
        filtered = _run(job, destination, seconds)
        if write_sidecars is not None:
            write_sidecars()
    view = None
    if options.look is not None and filtered is not None:
        with _timed(seconds, "look"):
            view = options.look(destination, picture, filtered, job.plans, job.form)
    return Report(
        source,
        destination,
        before=described(picture.outline),
        after=described(job.result),
        algorithms=tuple(stage.algorithm for stage in job.plans[0].stages),
        seconds=seconds,
        clipped=job.clipped,
        notes=tuple(dict.fromkeys((*stack.remarks(stages), *job.notes))),
        size=(picture.outline.width, picture.outline.height),
        new_size=(job.outline.width, job.outline.height),
        frames=len(picture.frames),
        not_streamed=job.streaming.remark,
        view=view,
    )


def _run(job: Job, destination: str, seconds: dict[str, float]) -> Picture | None:
    """Run the last steps of a job; return the result, or None if its rows were streamed into the file."""
    if job.streaming.input_obstacle:
        with _timed(seconds, "read"):
            job.decode()
    if not job.streaming.output_obstacle:
        with _timed(seconds, "run"):
            job.stream(destination)
        seconds["write"] = 0.0
        return None
    with _timed(seconds, "run"):
        filtered = job.run()
    with _timed(seconds, "write"):
        job.write(filtered, destination)
    return filtered


def with_size_check(options: ReadOptions, stages: Sequence[Stage]) -> ReadOptions:
    """Return read options that refuse a picture before it is decoded if the stack's output is empty or too large."""
    risky = any(stage.padding != "same" or isinstance(stage.operator, Pooling | Layer) for stage in stages)
    if not risky:
        return options
    from convfilter.pipeline import feature_maps

    return replace(options, check_size=partial(feature_maps.require_result, stages))


@contextmanager
def _timed(seconds: dict[str, float], step: str) -> Iterator[None]:
    """Add the time of the block to that of its step."""
    start = time.perf_counter()
    yield
    seconds[step] = seconds.get(step, 0.0) + time.perf_counter() - start


def _target(source: str, destination: str, options: Options) -> Target:
    """Return the target, and refuse to overwrite the input without permission."""
    if not options.in_place and _is_same_file(source, destination):
        raise UsageError(
            "input and output are the same file", subject=destination, remedy="use {in_place=True} to overwrite it"
        )
    if is_address(destination):
        from convfilter.picture.place import cloud

        cloud.filesystem(destination)  # an unknown store is an error before filtering
    try:
        return resolve_target(destination, options.write)
    except UsageError as error:
        error.about(destination)
        raise


def _is_same_file(source: str, destination: str) -> bool:
    """Whether both are one file, also by hard or symbolic links, or one object; standard input may be a file too."""
    if is_address(source) and is_address(destination):
        from convfilter.picture.place import cloud

        return cloud.identity(source) == cloud.identity(destination)
    try:
        status = os.fstat(0) if source == "-" else os.stat(source)
        return destination != "-" and os.path.samestat(status, os.stat(destination))
    except OSError:
        return False


def described(outline: Outline) -> str:
    """Return size, kind and depth as text, such as "1200x800 rgb uint8"."""
    frames = f" {outline.frames} frames" if outline.frames > 1 else ""
    levels = f" (0 to {outline.white})" if outline.white else ""
    return f"{outline.width}x{outline.height} {outline.kind} {outline.dtype}{levels}{frames}"
