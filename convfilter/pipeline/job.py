"""Plan, run and write the job of one picture."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from convfilter.engine.threads import cut, run_blocks
from convfilter.errors import WriteError
from convfilter.executor.run import may_restart, prepare, run_array, run_rows
from convfilter.filters.stage import Stage, require_finite_padding
from convfilter.guide_pictures import with_guides
from convfilter.machine.cores import cores_lately
from convfilter.picture.format import Format
from convfilter.picture.limits import require_frames, require_memory, require_pixels
from convfilter.picture.loss import notes_of
from convfilter.picture.outline import Outline
from convfilter.picture.picture import Picture
from convfilter.picture.pixels import CHANNELS, Model, Pixels
from convfilter.picture.place.target import Target
from convfilter.picture.read import decode_all
from convfilter.picture.stored import dropping, stored_outline
from convfilter.picture.write import check, write
from convfilter.pipeline import feature_maps, linear_light
from convfilter.pipeline.georeference import georeferenced, moved_metadata
from convfilter.pipeline.result_losses import ResultLosses
from convfilter.pipeline.streaming import RowConverter, Streaming, stream_to_file, streaming_of
from convfilter.planning import Plan, plan_stack
from convfilter.record import replace
from convfilter.sample_types import computed_in, full_scale, is_integer, is_signed, real_of

if TYPE_CHECKING:
    from convfilter.engine.rows import RowSink, RowSource
    from convfilter.picture.metadata.curves import Curve
    from convfilter.pipeline.contact_sheet import Form
    from convfilter.pipeline.ignored_pixels import IgnoredPixels
    from convfilter.pipeline.options import Options

    _Run: TypeAlias = Callable[[RowSource | Pixels, RowSink], int]

#: Most bytes of the engine's tiles and rows, over all threads.
SCRATCH_BYTES = 90 * 2**20
#: Rows that a thread converts to stored rows at a time.
_CONVERTED_ROWS = 64


class Job:
    """The job of one picture, from file to file.

    Parameters
    ----------
    picture : Picture
        Before any sample is decoded.
    target : Target, or None
        None: an array of raw values.
    stages : sequence of Stage
    options : Options
    converted : Picture, optional
        :attr:`converted` of another job for this picture with the same ``linear`` and ``gray``; saves converting again.

    Attributes
    ----------
    converted : Picture
        The picture that the stages read: in linear light or grey, if either is requested.
    plans : list of Plan
        One for each frame; frames of one size share one.
    form : Form
        Of the result.
    outline, stored : Outline
        Outlines of the result, as computed and as stored.
    streaming : Streaming
    notes : tuple of str
    clipped : float
        Share of the result's samples that were clipped.
    """

    def __init__(
        self,
        picture: Picture,
        target: Target | None,
        stages: Sequence[Stage],
        options: Options,
        converted: Picture | None = None,
    ) -> None:
        self._picture, self._options = picture, options
        self._target = target and target.with_input_format(picture.format)
        self._dtype = real_of(picture.dtype)
        self._white: int | None = None
        if self._target is not None:
            file_dtype = picture.outline.dtype
            self._dtype = self._target.store_dtype(file_dtype)
            self._white = self._target.store_white(file_dtype, picture.white)
        self._curve: Curve | None = None
        self.converted = picture
        self._stages = stages = with_guides(stages, options.read)
        if options.masking is None:
            require_finite_padding(stages)
        #: Luminance weights of red, green and blue, if not the engine's own.
        self._weights = linear_light.weights_of(picture) if options.gray else None
        if options.linear or self._weights:
            self.converted, self._stages, self._curve = linear_light.converted_input(
                picture, stages, self._dtype, linear=options.linear, weights=self._weights, converted_before=converted
            )
        self.notes: tuple[str, ...] = picture.notes
        self.clipped = 0.0
        self._alpha = feature_maps.has_alpha(stages, picture)
        self._metadata = picture.metadata
        self._background = options.write.background if self._alpha else None
        self._premultiplied = picture.alpha and picture.premultiplied
        holds = self._target is None or (self._target.format is not None and self._target.format.premultiplied)
        self._straightens = self._premultiplied and not holds and self._background is None
        #: Type of the engine's rows: float if a later step rounds.
        follows = self._curve or self._background or self._straightens
        rounds = computed_in(self._dtype) != self._dtype
        self._run_dtype = real_of(self.converted.dtype) if follows or rounds or self._dtype.kind == "f" else self._dtype
        if rounds:  # rounding also clips
            self._stages = [replace(each, map=None) if each.map == "clip" else each for each in self._stages]

    def start(self) -> None:
        """Start decoding a single frame in the background, and prepare the engine while a whole input is decoded."""
        streaming = self.streaming
        if self._options.threads != 1 and len(self._picture.frames) == 1:
            (self._picture if streaming.input_obstacle else self.converted).frames[0].start()
        if streaming.input_obstacle and not streaming.output_obstacle and self._options.masking is None:
            prepare(self.plans[0], self._run_dtype, threads=self._options.threads)

    def close(self) -> None:
        """Stop decoding; the caller closes the picture."""
        for frame in self.converted.frames:
            frame.close()

    def decode(self) -> None:
        """Decode all samples."""
        decode_all(self._picture)
        if self._curve is not None:
            self.converted = linear_light.converted_picture(self._picture, self._curve, self._weights)

    def plan(self) -> None:
        """Plan all frames, and check the result against format and memory.

        Raises
        ------
        PictureError
            The format cannot store the result, or the result or the memory for it is too large.
        """
        picture, target, options = self._picture, self._target, self._options
        self.plans = self._planned(self._run_dtype, self._white if target is not None else None)
        self.form: Form = feature_maps.form_of(self.plans[0], target, wants_sheet=options.sheet)
        if self.form != "picture" and target is not None:  # maps need raw values, not samples
            self.plans = self._planned(real_of(picture.dtype), None)
        self.outline = self.stored = self._outline()
        if target is not None:
            self._target, lost = check(target, self.outline, options.write)
            assert self._target.format is not None
            self._losses = ResultLosses(picture, self._target.format, options.write)
            self.notes += lost
            if self._straightens and self.form == "picture":
                self.notes += self._losses.of_light()
            if self.outline.model == "gray":
                self.notes += self._losses.of_grey_curve(self._metadata.icc, severe=options.gray)
            if self.form == "picture":
                self.stored = self._stored_outline(self._target.format)
        fmt = self._target.format if self._target else None
        other = self._other_reason()
        self.streaming: Streaming = streaming_of(picture, self.plans, fmt, self.stored, options.write, other)
        if self.streaming.input_obstacle or self.streaming.output_obstacle:
            self._require_room()

    def _stored_outline(self, fmt: Format) -> Outline:
        """Return the stored outline, with position fields for the result if it has one frame."""
        stored = stored_outline(self.outline, fmt, self._options.write)
        frame = self._picture.frames[0]
        if len(self._picture.frames) > 1 or frame.tiff is None or fmt.name != "TIFF" or self._options.write.strip:
            return replace(stored, pages=())
        fields = georeferenced(frame, self.plans[0]).tiff
        return replace(stored, pages=(fields,) if fields else ())

    @property
    def result(self) -> Outline:
        """Outline of the result, for messages."""
        if self.form == "picture":
            white = self._white if self._target is not None else None
            alpha = self.outline.alpha and self._background is None
            return replace(self.outline, dtype=self._dtype.name, white=white, alpha=alpha)
        return self.outline

    def run(self) -> Picture:
        """Filter all frames to arrays of the stored sample type."""
        ignored_pixels, threads = self._ignored_pixels(), self._options.threads
        if self.form != "picture":
            converter = self._map_converter()
            maps = feature_maps.run_maps(self.plans, self.converted, self.form, threads, ignored_pixels, converter)
            self.notes += () if ignored_pixels is None else ignored_pixels.notes()
            return maps
        converter = self._row_converter()
        results = self._results(converter) if ignored_pixels is None else ignored_pixels.results(converter)
        frames, clipped, samples = [], 0, 0
        for plan, frame, (pixels, of_frame, size) in zip(self.plans, self.converted.frames, results, strict=True):
            frames.append(georeferenced(frame.with_pixels(pixels), plan))
            clipped += of_frame
            samples += size
        if ignored_pixels is not None:
            self.notes += ignored_pixels.notes()
        self._count(clipped, converter.clipped, samples)
        alpha = self.outline.alpha and self._background is None
        filtered = replace(self._picture, frames=frames, model=self.outline.model, alpha=alpha, metadata=self._metadata)
        filtered.premultiplied = alpha and self._premultiplied and not self._straightens
        return replace(filtered, extras=self.outline.extras, white=self._white, file_dtype=None)

    def _results(self, converter: RowConverter) -> Iterator[tuple[Pixels, int, int]]:
        """Yield the stored samples of each frame, and how many of how many results were clipped; then note lost NaN."""
        may_lose_nan = not is_integer(self._picture.outline.dtype) and self._dtype.kind != "f"
        nan, threads, nan_samples = self._options.write.nan, self._options.threads, 0
        for plan, frame in zip(self.plans, self.converted.frames, strict=True):
            result = run_array(plan, frame.pixels, out_dtype=self._run_dtype, threads=threads)
            is_nan = None
            if may_lose_nan:
                from convfilter.pipeline import nan_results

                is_nan = nan_results.found(plan, frame.pixels, result.pixels, self.outline.alpha, threads)
            pixels = converter(result.pixels)
            if is_nan is not None:
                nan_samples += int(np.count_nonzero(is_nan))
                if nan is not None:
                    nan_results.store(pixels, is_nan, nan * (self._white or full_scale(self._dtype)))
            yield pixels, result.clipped, result.samples
        if nan_samples:
            self.notes += self._losses.of_nan(nan_samples)

    def rectangle(self, rows: tuple[int, int], cols: tuple[int, int], step: int = 1) -> Pixels:
        """Return a rectangle of the first frame's result, with the samples of :meth:`run`.

        Parameters
        ----------
        rows, cols : (int, int)
            First, and last + 1.
        step : int
            Return only the first of each ``step`` by ``step`` pixels.

        Returns
        -------
        (rows, cols[, channels]) array of the stored sample type
        """
        from convfilter.executor.region import run_region

        ignored_pixels = self._ignored_pixels()
        if ignored_pixels is not None:
            whole, _ = ignored_pixels.run(0, self._row_converter())
            return _sparse(whole[rows[0] : rows[1], cols[0] : cols[1]], step)
        frame = self.converted.frames[0]
        region = run_region(self.plans[0], frame.pixels, rows, cols, self._run_dtype, threads=self._options.threads)
        return self._stored_samples(_sparse(region, step))

    def _stored_samples(self, rows: Pixels) -> Pixels:
        """Convert the engine's rows to stored rows, several bands at a time in threads."""
        converter, bands = self._row_converter(), cut(len(rows), _CONVERTED_ROWS)
        if not converter.is_needed:
            return converter(rows)
        done: list[Pixels | None] = [None] * len(bands)

        def convert_band(number: int) -> None:
            done[number] = converter(rows[slice(*bands[number])])

        run_blocks(range(len(bands)), convert_band, self._options.threads or cores_lately())
        return np.concatenate([band for band in done if band is not None])

    def write(self, filtered: Picture, destination: str) -> None:
        """Write the result of :meth:`run`."""
        if self._options.before_writing is not None:
            self._options.before_writing(destination)
        if self._target is None:
            feature_maps.write_array(destination, filtered)
        else:
            self.notes += write(self._target, filtered, self._options.write)

    def stream(self, destination: str) -> None:
        """Filter the only frame row by row into the file."""
        if self._options.before_writing is not None:
            self._options.before_writing(destination)
        assert self._target is not None
        self.notes += self._losses.of_page(self.stored)
        converter, drop = self._row_converter(), dropping(self.result, self.stored)
        steps = [step for step in (converter if converter.is_needed else None, drop) if step is not None]
        convert = None if not steps else steps[0] if len(steps) == 1 else lambda rows: steps[1](steps[0](rows))
        plan, frame, threads = self.plans[0], self.converted.frames[0], self._options.threads
        run: _Run = partial(run_rows, plan, threads=threads)
        dtype, restarts = self._run_dtype, may_restart(plan)
        ignored_pixels = self._ignored_pixels()
        if ignored_pixels is not None:
            run, convert, dtype = ignored_pixels.row_runner(converter), drop, self._dtype
            restarts = True
        clipped = stream_to_file(
            run, frame, self._target, self.stored, self._options.write, dtype, convert, restarts=restarts
        )
        if ignored_pixels is not None:
            self.notes += ignored_pixels.notes()
        self._count(clipped, converter.clipped, int(np.prod(plan.output_shape)))

    def _row_converter(self) -> RowConverter:
        """Return a new converter of the engine's rows to stored rows."""
        divide = self._run_dtype.kind == "f" and self.converted.dtype.kind == "u"
        return RowConverter(
            self.outline.alpha, self._run_dtype, self._dtype, self.plans[0].full, self._white,
            curve=self._curve, background=self._background, divide=divide,
            premultiplied=self._premultiplied, straighten=self._straightens,
        )  # fmt: skip

    def _map_converter(self) -> RowConverter:
        """Return a new converter of the engine's rows to values of an array or to maps, which stay in linear light."""
        plan = self.plans[0]
        return RowConverter(
            self.outline.alpha, plan.between, plan.between, plan.full, None,
            curve=self._curve if self.form == "array" and feature_maps.has_colours(plan) else None, background=None,
            divide=not is_signed(self._picture.outline.dtype),
            premultiplied=self._premultiplied, straighten=False,
        )  # fmt: skip

    def _count(self, by_engine: int, by_converter: int, samples: int) -> None:
        """Set :attr:`clipped` from the samples clipped by engine and converter, and note or refuse the loss."""
        self.clipped = (by_engine + by_converter) / samples
        self.notes += self._losses.of_clipping(self._dtype, by_engine, by_converter)

    def _other_reason(self) -> str:
        """Return why rows cannot be streamed, apart from files and filters; "" if they can."""
        if self.form != "picture":
            return "feature maps are laid out as a whole"
        if self._options.look is not None:
            return "the report shows input and output"
        ignored_pixels = self._ignored_pixels()
        return "" if ignored_pixels is None else ignored_pixels.streaming_obstacle()

    def _ignored_pixels(self) -> IgnoredPixels | None:
        """Return the filter of frames with ignored pixels, None if none is ignored; the outline must be known."""
        masking = self._options.masking
        if masking is None:
            return None
        from convfilter.pipeline.ignored_pixels import IgnoredPixels

        is_picture, real = self.form == "picture", self.plans[0].between
        return IgnoredPixels(
            masking, self._picture, self.converted, self._stages,
            run_dtype=self._run_dtype if is_picture else real, dtype=self._dtype if is_picture else real,
            threads=self._options.threads,
            marks_alpha=self.outline.alpha and self._background is None,
            premultiplied=self._premultiplied,
            gray=self._options.gray and self._weights is None,
            white=self.converted.own_white,
            out_white=self._white if is_picture else None,
            curve=self._curve,
        )  # fmt: skip

    def _planned(self, dtype: np.dtype[np.generic], white: int | None) -> list[Plan]:
        """Plan each frame for results of ``dtype`` and ``white``; frames of one size share a plan."""
        picture, options = self.converted, self._options
        if options.gray:
            linear_light.require_luminance(picture)
        plan = options.plan or plan_stack
        plans: dict[tuple[int, ...], Plan] = {}
        for frame in picture.frames:
            if frame.shape not in plans:
                plans[frame.shape] = plan(
                    self._stages,
                    frame.shape,
                    frame.dtype,
                    out_dtype=dtype,
                    alpha=picture.alpha,
                    gray=options.gray and self._weights is None,
                    algorithm=options.algorithm,
                    white=picture.own_white,
                    out_white=white,
                    premultiplied=picture.premultiplied,
                )
        return [plans[frame.shape] for frame in picture.frames]

    def _outline(self) -> Outline:
        """Return the outline of the result, and refuse one that padding makes too large."""
        height, width = (max(plan.output_shape[axis] for plan in self.plans) for axis in (0, 1))
        require_pixels(width, height, self._options.read.max_pixels, "result")
        pixels = sum(plan.output_shape[0] * plan.output_shape[1] for plan in self.plans)
        require_frames(len(self.plans), pixels, self._options.read.max_pixels)
        for plan in self.plans:
            feature_maps.require_room(plan, are_maps=self.form != "picture")
        model, extras = _kind(self.plans[0], self._picture)
        if model == "gray" and self._picture.model == "rgb":
            self._metadata = linear_light.of_luminance(self._picture.metadata)
        self._metadata, lost = moved_metadata(self._metadata, self.plans[0])
        self.notes += notes_of(lost, self._options.write, WriteError)
        outline = replace(
            self._picture.outline, width=width, height=height, model=model, alpha=self._alpha, extras=extras,
            metadata=self._metadata,
        )  # fmt: skip
        return outline if self.form in ("picture", "array") else feature_maps.outline_of(self.form, outline, self.plans)

    def _require_room(self) -> None:
        """Refuse a job that exceeds the memory: the input, all results, and one frame's intermediate results."""
        real = self.plans[0].between.itemsize
        result_bytes = real if self.form != "picture" else self._run_dtype.itemsize
        results = between = 0
        for plan in self.plans:
            results += int(np.prod(plan.output_shape)) * result_bytes
            # A group reads a whole result and writes another; the result of the last group is counted above.
            lasts = [plan.stages[group.last - 1] for group in plan.groups[:-1]]
            whole = [real * stage.rows.output * stage.cols.output * stage.output_channels for stage in lasts]
            around = zip([0, *whole], [*whole, 0], plan.groups, strict=True)
            between = max(between, *(before + after + group.buffer_bytes for before, after, group in around))
        require_memory(results + between + SCRATCH_BYTES)


def _sparse(pixels: Pixels, step: int) -> Pixels:
    """Return the first of each ``step`` by ``step`` pixels."""
    return pixels if step == 1 else np.ascontiguousarray(pixels[::step, ::step])


def _kind(plan: Plan, picture: Picture) -> tuple[Model, int]:
    """Return the meaning of the result's channels: colour model, and number of further bands."""
    channels = plan.stages[-1].output_channels - picture.alpha
    if channels == CHANNELS[picture.model] + picture.extras:
        return picture.model, picture.extras
    return (picture.model if channels == CHANNELS[picture.model] else "gray" if channels == 1 else "rgb"), 0
