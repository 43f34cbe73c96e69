"""One picture, from file to file, in five steps: parse, read, plan, run, write."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from convfilter import light, maps
from convfilter.engine.run import run_array
from convfilter.errors import PictureError, UsageError, WriteError
from convfilter.filters import stack
from convfilter.filters.spec import FilterSpec
from convfilter.filters.stage import Layer, Pooling, Stage
from convfilter.picture.file_times import set_times, times_of
from convfilter.picture.limits import require_frames, require_memory, require_size
from convfilter.picture.options import WriteOptions
from convfilter.picture.picture import CHANNELS, Model, Outline, Picture
from convfilter.picture.read import ReadOptions, read
from convfilter.picture.sheet import Form
from convfilter.picture.target import Target, resolve_target
from convfilter.picture.write import check, write
from convfilter.placing import placed
from convfilter.planning import Plan, full_scale, plan_stack

if TYPE_CHECKING:
    from convfilter.picture.curves import Curve

#: What the engine's threads take for tiles and kept rows, at most.
_SCRATCH_BYTES = 90 * 2**20


class Options(NamedTuple):
    """How pictures are to be filtered.

    Attributes
    ----------
    specs : sequence of str, FilterSpec or Stage
        The stack, first to last.
    defaults : mapping
        Fields of ``Stage`` for the filters that do not set them; see ``stack.stages``.
    gray : bool
        Take the luminance first.
    algorithm : str, or None
        Use this one instead of the cheapest.
    threads : int, or None
        At most this many; None: one for each core.
    in_place : bool
        The output may be the input.
    linear : bool
        Filter in linear light.
    keep_time : bool
        Give the output the time of the input.
    sheet : bool
        Write a sheet of labelled maps, one for each channel.
    plan : callable
        What plans a stack: ``plan_stack``, or what remembers plans of pictures before.
    explain : callable, or None
        Is handed the plans, one a frame, before they run.
    before_writing : callable, or None
        Is handed the destination when the result is there.
    look : callable, or None
        Is handed the destination, the picture before and after, the plans and the form of the result; what it
        returns goes into the report.
    digests : bool
        Whoever filters many files wants digests of each input and output.
    read : ReadOptions
    write : WriteOptions
    """

    specs: Sequence[str | FilterSpec | Stage]
    defaults: Mapping[str, Any] = MappingProxyType({})
    gray: bool = False
    algorithm: str | None = None
    threads: int | None = None
    in_place: bool = False
    linear: bool = False
    keep_time: bool = False
    sheet: bool = False
    plan: Callable[..., Plan] = plan_stack
    explain: Callable[[Sequence[Plan]], None] | None = None
    before_writing: Callable[[str], None] | None = None
    look: Callable[[str, Picture, Picture, Sequence[Plan], Form], Any] | None = None
    digests: bool = False
    read: ReadOptions = ReadOptions()
    write: WriteOptions = WriteOptions()


class Report(NamedTuple):
    """What was done to one picture.

    Attributes
    ----------
    source, destination : str
        As they were typed.
    before, after : str
        Size, kind and depth: ``1200x800 rgb uint8``.
    algorithms : tuple of str
        One for each stage.
    seconds : dict of str to float
        For each step: parse, read, plan, run, write, and look where that is asked for.
    clipped : float
        Share of the result's samples that did not fit their range, 0 to 1.
    notes : tuple of str
        What the user should hear: about weights, about the reading, and what the output does not keep.
    size, new_size : pair of int
        Width and height, before and after.
    frames : int
    view : any
        What ``Options.look`` has made of it.
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
    view: Any = None

    @property
    def line(self) -> str:
        """All but the notes, on one line."""
        steps = ", ".join(f"{step} {seconds:.3f} s" for step, seconds in self.seconds.items())
        return (
            f"{self.source} -> {self.destination}: {self.before} -> {self.after}; {' + '.join(self.algorithms)}; "
            f"{steps}; {self.clipped:.3%} of the samples clipped"
        )


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
        Filters or options make no sense, or the output is the input.
    PictureError
        The picture cannot be read, filtered or written; the output, if there
        was one, is as it was.
    """
    if not options.keep_time:
        return _filtered(source, destination, options)
    times = times_of(source, destination)
    report = _filtered(source, destination, options)
    set_times(destination, times)
    return report


def _filtered(source: str, destination: str, options: Options) -> Report:
    seconds: dict[str, float] = {}
    with _timed(seconds, "parse"):
        stages: Sequence[Stage] = stack.stages(options.specs, **options.defaults)
        is_array = options.write.format is None and maps.is_array(destination)
        if is_array:
            maps.require_no_file_options(options.write)
        target = None if is_array else _target(source, destination, options)
    with _timed(seconds, "read"):
        picture = read(source, _judging(options.read, stages))
        target = target and target.settled(picture.format)
        stored = target.store_dtype(picture.pixels.dtype) if target is not None else np.dtype(np.float32)
        stored_white = target.store_white(picture.pixels.dtype, picture.white) if target is not None else None
        lit, stages, curve = light.enter(picture, stages) if options.linear else (picture, stages, None)
    with _timed(seconds, "plan"):
        alpha = maps.has_alpha(stages, picture)
        plans = _plans(stages, lit, _run_dtype(alpha, stored, options), stored_white, options)
        form = maps.form_of(plans[0], target, wants_sheet=options.sheet)
        if form != "picture" and target is not None:  # the values of maps are wanted as they are, not as samples
            plans = _plans(stages, lit, np.dtype(np.float32), None, options)
        outline = _outline(picture, alpha, plans, form, _run_dtype(alpha, stored, options), options)
        notes = picture.notes
        if target is not None:
            target, lost = check(target, outline, options.write)
            notes += lost
        if options.explain is not None:
            options.explain(plans)
    with _timed(seconds, "run"):
        if target is None or form != "picture":
            filtered, clipped = maps.run_maps(plans, lit, form, options.threads), 0.0
        else:
            filtered, clipped = _run(plans, lit, outline, stored, stored_white, curve, options)
            if clipped and outline.dtype == "float32" and stored.kind == "u":
                notes += _clipping(picture, target, options)
    with _timed(seconds, "write"):
        if options.before_writing is not None:
            options.before_writing(destination)
        if target is None:
            maps.write_array(destination, filtered)
        else:
            notes += write(target, filtered, options.write)
    view = None
    if options.look is not None:
        with _timed(seconds, "look"):
            view = options.look(destination, picture, filtered, plans, form)
    algorithms = tuple(stage.algorithm for stage in plans[0].stages)
    before, after = _described(picture), _described(filtered)
    size, new_size = (picture.outline.width, picture.outline.height), (outline.width, outline.height)
    frames = len(picture.frames)
    notes = tuple(dict.fromkeys((*stack.remarks(stages), *notes)))
    return Report(source, destination, before, after, algorithms, seconds, clipped, notes, size, new_size, frames, view)


def _clipping(picture: Picture, target: Target, options: Options) -> tuple[str, ...]:
    """Refuse to clip the floats of a picture; what the filter alone has driven beyond the range is clipped as ever."""
    from convfilter.picture import losses

    assert target.format is not None
    return losses.settled(losses.of_range(picture.frames, target.format), options.write, WriteError)


def _judging(options: ReadOptions, stages: Sequence[Stage]) -> ReadOptions:
    """Have a stack that may leave nothing, or too much, judged before a pixel is decoded; others need not be."""
    risky = any(stage.padding != "same" or isinstance(stage.operator, Pooling | Layer) for stage in stages)
    if not risky:
        return options
    return replace(options, judge=partial(maps.require_result, stages))


@contextmanager
def _timed(seconds: dict[str, float], step: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    seconds[step] = time.perf_counter() - start


def _target(source: str, destination: str, options: Options) -> Target:
    """Find out where the result goes, and refuse to overwrite the input unasked."""
    if not options.in_place and _is_same_file(source, destination):
        raise UsageError(f"{destination}: input and output are the same file; use --in-place to overwrite it")
    if "://" in destination:
        from convfilter.picture import objects

        objects.filesystem(destination)  # a store that nobody knows is found before the work
    try:
        return resolve_target(destination, options.write)
    except UsageError as error:
        raise UsageError(f"{destination}: {error}") from None


def _is_same_file(source: str, destination: str) -> bool:
    """Compare by inode, so that links of both kinds are seen through; standard input may be a file too."""
    if "://" in source and "://" in destination:
        from convfilter.picture import objects

        return objects.identity(source) == objects.identity(destination)
    try:
        status = os.fstat(0) if source == "-" else os.stat(source)
        return destination != "-" and os.path.samestat(status, os.stat(destination))
    except OSError:
        return False


def _background(alpha: bool, options: Options) -> str | None:
    return options.write.background if alpha else None


def _run_dtype(alpha: bool, stored: np.dtype[np.generic], options: Options) -> np.dtype[np.generic]:
    """Return the sample type to ask the engine for: real numbers where something follows that rounds."""
    return np.dtype(np.float32) if options.linear or _background(alpha, options) else stored


def _plans(
    stages: Sequence[Stage], picture: Picture, dtype: np.dtype[np.generic], white: int | None, options: Options
) -> list[Plan]:
    """Plan each frame; frames of one size share a plan."""
    if options.gray and picture.extras:
        raise PictureError("a picture with bands beside its colours has no luminance; leave out --gray")
    if options.gray and picture.model == "cmyk":
        raise PictureError("a CMYK picture has no luminance; convert it to RGB first, or leave out --gray")
    plans: dict[tuple[int, ...], Plan] = {}
    for frame in picture.frames:
        shape = frame.pixels.shape
        if shape not in plans:
            plans[shape] = options.plan(
                stages,
                shape,
                frame.pixels.dtype,
                out_dtype=dtype,
                alpha=picture.alpha,
                gray=options.gray,
                algorithm=options.algorithm,
                white=picture.white,
                out_white=white,
            )
    return [plans[frame.pixels.shape] for frame in picture.frames]


def _outline(
    picture: Picture, alpha: bool, plans: Sequence[Plan], form: Form, dtype: np.dtype[np.generic], options: Options
) -> Outline:
    """Tell what the result will be, and refuse one that is too large: padding can make it so."""
    height, width = (max(plan.output_shape[axis] for plan in plans) for axis in (0, 1))
    require_size(width, height, options.read.max_pixels, "result")
    require_frames(
        len(plans), sum(plan.output_shape[0] * plan.output_shape[1] for plan in plans), options.read.max_pixels
    )
    for plan in plans:
        maps.require_room(plan, are_maps=form != "picture")
    _require_room(plans, 4 if form != "picture" else dtype.itemsize)
    model, extras = _kind(plans[0], picture)
    outline = replace(picture.outline, width=width, height=height, model=model, alpha=alpha, extras=extras)
    return outline if form in ("picture", "array") else maps.outline_of(form, outline, plans)


def _require_room(plans: Sequence[Plan], result_bytes: int) -> None:
    """Refuse what does not fit beside the input: all results, and of one frame what stages hand on, in float32."""
    results = between = 0
    for plan in plans:
        results += int(np.prod(plan.output_shape)) * result_bytes
        # Between groups a whole result is there beside what it is made from; the last one's is counted already.
        lasts = [plan.stages[group.last - 1] for group in plan.groups[:-1]]
        whole = [4 * stage.rows.output * stage.cols.output * stage.output_channels for stage in lasts]
        there = zip([0, *whole], [*whole, 0], plan.groups, strict=True)
        between = max(between, *(before + after + group.held_bytes for before, after, group in there))
    require_memory(results + between + _SCRATCH_BYTES)


def _kind(plan: Plan, picture: Picture) -> tuple[Model, int]:
    """Tell what the channels of the result mean: colour model, and bands beside it."""
    channels = plan.stages[-1].output_channels - picture.alpha
    if channels == CHANNELS[picture.model] + picture.extras:
        return picture.model, picture.extras
    return (picture.model if channels == CHANNELS[picture.model] else "gray" if channels == 1 else "rgb"), 0


def _run(
    plans: Sequence[Plan],
    picture: Picture,
    outline: Outline,
    stored: np.dtype[np.generic],
    stored_white: int | None,
    curve: Curve | None,
    options: Options,
) -> tuple[Picture, float]:
    """Filter all frames to the depth that is stored; returns the share of clipped samples too."""
    dtype, background = _run_dtype(outline.alpha, stored, options), _background(outline.alpha, options)
    frames, clipped, samples = [], 0, 0
    for plan, frame in zip(plans, picture.frames, strict=True):
        result = run_array(plan, frame.pixels, out_dtype=dtype, threads=options.threads)
        white = picture.white or full_scale(frame.pixels.dtype)
        done = replace(frame, pixels=result.pixels)
        if curve is not None or background is not None:
            done.pixels, lost = light.settle(
                done,
                outline.alpha,
                stored,
                white,
                stored_white,
                curve=curve,
                background=background,
                threads=options.threads,
            )
            clipped += lost
        elif dtype.kind == "f" and frame.pixels.dtype.kind == "u":
            np.divide(done.pixels, white, out=done.pixels)  # white of a float picture is 1
        frames.append(placed(done, plan))
        clipped += result.clipped
        samples += result.samples
    alpha = outline.alpha and background is None
    filtered = replace(picture, frames=frames, model=outline.model, alpha=alpha)
    return replace(filtered, extras=outline.extras, white=stored_white), clipped / samples


def _described(picture: Picture) -> str:
    outline, dtype = picture.outline, picture.pixels.dtype
    frames = f" {outline.frames} frames" if outline.frames > 1 else ""
    levels = f" (0 to {outline.white})" if outline.white else ""
    return f"{outline.width}x{outline.height} {outline.kind} {dtype}{levels}{frames}"
