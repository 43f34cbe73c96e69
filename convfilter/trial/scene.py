"""The picture of ``convfilter try``: filters the visible region exactly as in the whole picture, or saves the whole."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from convfilter import pipeline
from convfilter.errors import ConvfilterError, PictureError, UsageError, WriteError, named
from convfilter.filters import stack
from convfilter.filters.operators import Correlation, Gradient, Morphology, Pooling, Rank, UnsharpMask
from convfilter.picture.frame import Frame
from convfilter.picture.options import WriteOptions
from convfilter.picture.picture import Picture
from convfilter.picture.pixels import Pixels
from convfilter.picture.place.address import is_address
from convfilter.picture.place.target import resolve_target
from convfilter.picture.read import read
from convfilter.pipeline.job import Job
from convfilter.planning.figures import figures
from convfilter.planning.preview import for_preview
from convfilter.record import replace
from convfilter.report.thumbnails import for_browsers
from convfilter.trial.catalogue import catalogue
from convfilter.trial.pace import Pace
from convfilter.trial.request import StackRequest, ViewRequest

#: Operators whose result at n times the stride is every n-th pixel, unless the padding depends on the stride.
_STRIDED = (Correlation, Gradient, UnsharpMask, Pooling, Rank, Morphology)
_BY_SIZE = ("same_upper", "same_lower")


class Scene:
    """A picture and its output.

    Parameters
    ----------
    source, output : str
        Paths of the picture and of the output, as typed.
    options : pipeline.Options, optional
        Options of the command, except the stack.
    reading : sequence of str
        Words of the command line that say how the picture is read.

    Raises
    ------
    PictureError
        The picture cannot be read; the message names it.
    UsageError
        The output has an unknown suffix, or is the input.
    """

    def __init__(
        self, source: str, output: str, options: pipeline.Options | None = None, reading: Sequence[str] = ()
    ) -> None:
        self.source, self.output, self._reading = source, output, tuple(reading)
        self._base = options or pipeline.Options((), write=WriteOptions(marked=True))
        try:
            self._picture = read(source, self._base.read)
        except PictureError as error:
            error.about(source)
            raise
        resolve_target(output, self._base.write)
        self._converted: dict[tuple[bool, bool], Picture] = {}
        self._pace = Pace()
        self._lock = threading.Lock()

    def facts(self) -> dict[str, Any]:
        """Describe the picture and the available filters."""
        outline = self._picture.outline
        frames = f", the first of {outline.frames} frames" if outline.frames > 1 else ""
        return {
            "source": self.source,
            "output": os.path.basename(self.output),
            "size": [outline.width, outline.height],
            "kind": f"{outline.kind} {outline.dtype}{frames}",
            "linear": self._base.linear,
            "gray": self._base.gray,
            "filters": catalogue(),
        }

    def view(self, request: StackRequest, region: ViewRequest) -> tuple[bytes, dict[str, Any]]:
        """Filter the visible region.

        Parameters
        ----------
        request : StackRequest
        region : ViewRequest

        Returns
        -------
        bytes
            A PNG. Each of its pixels is a pixel of the result, the mean of ``factor`` by ``factor`` pixels, or, for a
            quick view, the first of ``step`` by ``step`` pixels.
        dict
            ``size`` of the whole result; ``left``, ``top`` and ``factor`` of the region shown; ``quick``: whether
            pixels are not means; ``step``: distance in the result between two pixels of the PNG; ``milliseconds`` of
            the computation; ``command`` and ``rule`` for the whole picture.

        Raises
        ------
        ConvfilterError
            The stack is invalid, or does not apply to this picture.
        """
        start = time.perf_counter()
        with self._lock:
            job = self._job(request)
        result = job.result
        height, width = job.plans[0].output_shape[:2]
        left, right = (0, width) if region.fits else _within(region.left, region.width, width)
        top, bottom = (0, height) if region.fits else _within(region.top, region.height, height)
        factor = max(1, -(-(right - left) // region.width), -(-(bottom - top) // region.height)) if region.fits else 1
        quick = region.quick and factor > 1 and not region.before
        step = 1
        if region.before:
            shown, pixels = self._picture, self._unfiltered(job, (top, bottom), (left, right))
            factor = (
                max(1, -(-pixels.shape[1] // region.width), -(-pixels.shape[0] // region.height)) if region.fits else 1
            )
        else:
            if quick:
                pixels, step = self._quick(factor, request, job)
            else:
                pixels = job.rectangle((top, bottom), (left, right))
            shown = replace(
                self._picture, model=result.model, alpha=result.alpha, extras=result.extras, white=result.white,
                metadata=result.metadata, file_dtype=None,
            )  # fmt: skip
            shown.premultiplied = result.premultiplied
        data = for_browsers(replace(shown, frames=[Frame(_plain(pixels))]), 1 if quick else factor)
        request = request._replace(reading=self._reading)
        return data, {
            "size": [width, height],
            "left": left,
            "top": top,
            "factor": factor,
            "quick": quick,
            "step": step if quick else factor,
            "kind": f"{result.kind} {result.dtype}",
            "milliseconds": round(1000 * (time.perf_counter() - start), 1),
            "command": request.command(self.source, self.output),
            "rule": request.rule(self.source, self.output),
        }

    def _quick(self, factor: int, request: StackRequest, whole: Job) -> tuple[Pixels, int]:
        """Return every ``step``-th row and column of the result, and ``step``.

        A larger stride computes them, where that gives the same pixels. On a slow machine, ``step`` is a multiple of
        ``factor``.
        """
        start, kind = time.perf_counter(), (request.filters, request.linear, request.gray)
        step = factor * self._pace.factor(kind)
        pixels = self._strided(step, request, whole)
        if pixels is not None:
            self._pace.record(kind, time.perf_counter() - start)
            return pixels, step
        rows, cols = whole.plans[0].output_shape[:2]
        return whole.rectangle((0, rows), (0, cols), factor), factor

    def _strided(self, step: int, request: StackRequest, whole: Job) -> Pixels | None:
        """Compute every ``step``-th row and column by a larger stride; None if that gives other pixels."""
        rows, cols = whole.plans[0].output_shape[:2]
        last = whole.plans[0].stages[-1].stage
        if not isinstance(last.operator, _STRIDED) or last.padding in _BY_SIZE or last.map == "stretch":
            return None
        with suppress(ConvfilterError):
            with self._lock:
                job = self._job(request, step)
            height, width = job.plans[0].output_shape[:2]
            if (height, width) == (-(-rows // step), -(-cols // step)):
                job.plans = [for_preview(plan) for plan in job.plans]
                return job.rectangle((0, height), (0, width))
        return None

    def _job(self, request: StackRequest, step: int = 1) -> Job:
        """Plan a stack for the picture; the picture in linear light or in grey is cached."""
        options = self._options(request)
        stages = list(stack.stages(options.specs, **options.defaults))
        if step > 1:
            down, across = stages[-1].stride
            stages = [*stages[:-1], replace(stages[-1], stride=(down * step, across * step))]
        kind = options.linear, options.gray
        target = resolve_target(self.output, options.write)
        job = Job(self._picture, target, stages, options, self._converted.get(kind))
        if job.converted is not self._picture:
            self._converted[kind] = job.converted
        job.plan()
        if job.form != "picture":
            count = job.plans[0].stages[-1].output_channels
            raise UsageError(f"{count} feature maps are not a picture; 'convfilter apply' writes them")
        return job

    def _options(self, request: StackRequest) -> pipeline.Options:
        gray, linear = request.gray or self._base.gray, request.linear or self._base.linear
        return self._base._replace(specs=request.specs, gray=gray, linear=linear)

    def _unfiltered(self, job: Job, rows: tuple[int, int], cols: tuple[int, int]) -> Pixels:
        """Return as many pixels of the unfiltered picture as outputs, centred on the outputs' receptive field."""
        last = figures(job.plans[0])[-1]
        spans = []
        for field, (first, end), limit in ((last.rows, rows, 0), (last.cols, cols, 1)):
            size = self._picture.frames[0].shape[limit]
            whole = end - first >= job.plans[0].output_shape[limit]
            middle = field.start + field.jump * (first + end - 1) / 2
            spans.append((0, size) if whole else _within(round(middle - (end - first - 1) / 2), end - first, size))
        return self._picture.pixels[slice(*spans[0]), slice(*spans[1])]

    def save(self, request: StackRequest, name: str, *, replaces: bool) -> str:
        """Filter the whole picture into a file in the output's folder, as the command does; return the file's path.

        Parameters
        ----------
        request : StackRequest
        name : str
            Name of the file, without a folder.
        replaces : bool
            Whether an existing file may be replaced.

        Raises
        ------
        UsageError
            The name contains a folder.
        WriteError
            The file exists, or cannot be written.
        PictureError
            The picture cannot be filtered.
        """
        if (
            not name
            or name != os.path.basename(name)
            or name in (os.curdir, os.pardir)
            or "\0" in name
            or is_address(name)
        ):
            raise UsageError(f"the name must be that of a file, without a folder, got {named(name)!r}")
        path = os.path.join(os.path.dirname(self.output), name)
        if os.path.exists(path) and not replaces:
            raise WriteError(f"{path} exists; tick 'replace it', or choose another name")
        try:
            pipeline.filter_file(self.source, path, self._options(request))
        except ConvfilterError as error:
            error.about(path)
            raise
        return path


def _within(first: int, length: int, size: int) -> tuple[int, int]:
    """Shift a span into 0 to ``size``, and cut it if it is longer."""
    length = min(length, size)
    first = min(max(first, 0), size - length)
    return first, first + length


def _plain(pixels: Pixels) -> Pixels:
    """Drop the axis of a single channel."""
    return pixels[:, :, 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels
