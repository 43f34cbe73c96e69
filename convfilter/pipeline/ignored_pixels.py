"""Filter the frames of a job without the pixels that its ``Masking`` selects."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from convfilter.executor.ignored import NODATA, Ignore
from convfilter.executor.masked import Masking, marked, masked_stages, run_masked, streaming_obstacle
from convfilter.filters.stage import Stage
from convfilter.machine.cores import cores_lately
from convfilter.picture.picture import Picture
from convfilter.picture.pixels import Pixels
from convfilter.pipeline.streaming import RowConverter
from convfilter.record import cached_property, replace
from convfilter.sample_types import full_scale, is_signed

if TYPE_CHECKING:
    from convfilter.engine.rows import RowSink, RowSource
    from convfilter.executor.held import Valid
    from convfilter.executor.masked_rows import BandedStage
    from convfilter.executor.run import Result
    from convfilter.picture.metadata.curves import Curve


class IgnoredPixels:
    """Filters frames with ignored pixels.

    Parameters
    ----------
    masking : Masking
        Selects the pixels.
    picture, converted : Picture
        The picture as read, and as the stages read it: in linear light or grey.
    stages : sequence of Stage
    run_dtype, dtype : dtype
        Types of the engine's rows and of the stored rows.
    threads : int or None
        None: one for each core.
    marks_alpha : bool
        Whether ignored pixels of the result are transparent.
    premultiplied, gray, white, out_white
        As for ``executor.masked.run_masked``.
    curve : Curve or None
        Curve that decoded the picture to linear light; None if it is not converted.

    Attributes
    ----------
    valid_frames : set of int
        Numbers of the frames filtered so far in which a pixel is valid.
    mistakable : int
        Number of valid results so far that have the nodata value of the file.
    """

    def __init__(
        self,
        masking: Masking,
        picture: Picture,
        converted: Picture,
        stages: Sequence[Stage],
        *,
        run_dtype: np.dtype[np.generic],
        dtype: np.dtype[np.generic],
        threads: int | None,
        marks_alpha: bool,
        premultiplied: bool,
        gray: bool,
        white: float | None,
        out_white: float | None,
        curve: Curve | None,
    ) -> None:
        self._masking, self._picture, self._converted, self._stages = masking, picture, converted, stages
        self._dtype, self._run_dtype, self._threads, self._marks_alpha = dtype, run_dtype, threads, marks_alpha
        self._curve = curve
        self.valid_frames: set[int] = set()
        self.mistakable = 0
        self._nodata: float | None = None
        self._settings: dict[str, Any] = {
            "fill": masking.fill, "out_dtype": run_dtype, "alpha": picture.alpha,
            "premultiplied": premultiplied, "gray": gray, "white": white, "out_white": out_white,
        }  # fmt: skip

    def run(self, number: int, converter: RowConverter) -> tuple[Pixels, int]:
        """Filter a frame; return the stored samples, and the number of samples that the engine clipped."""
        result, valid, mark = self._filtered(number)
        return self._marked(converter(result.pixels), valid, mark), result.clipped

    def maps(self, number: int, converter: RowConverter, *, drawn: bool) -> Pixels:
        """Filter a frame; return its results unrounded, with NaN for ignored pixels if they are to be ``drawn``."""
        result, valid, mark = self._filtered(number)
        white = 1.0 if is_signed(self._picture.outline.dtype) else self._picture.own_white
        mark /= white or full_scale(self._picture.dtype)
        return marked(converter(result.pixels), valid, float("nan") if drawn else mark, self._marks_alpha)

    def _filtered(self, number: int) -> tuple[Result, Valid, float]:
        """Filter a frame; return the result, its valid pixels, and the value of its other pixels."""
        frame, source, alpha = self._picture.frames[number], self._converted.frames[number], self._picture.alpha
        masking = replace(self._masking_of(number), mask=self._mask)
        valid = masking.valid(alpha, frame.pixels.reshape(*frame.shape[:2], -1))
        if valid.any():
            self.valid_frames.add(number)
        result, valid_results = run_masked(
            self._stages,
            source.pixels,
            valid,
            threads=self._threads,
            ignore=self._converted_level(masking.ignore),
            **self._settings,
        )
        return result, valid_results, masking.mark(self._dtype)

    def results(self, converter: RowConverter) -> Iterator[tuple[Pixels, int, int]]:
        """Yield the stored samples of each frame, and how many of how many were clipped."""
        for number in range(len(self._picture.frames)):
            pixels, clipped = self.run(number, converter)
            yield pixels, clipped, pixels.size

    def _marked(self, pixels: Pixels, valid: Valid, mark: float) -> Pixels:
        """Write the value of ignored pixels; count other results that have it if it is the file's nodata value."""
        if mark == self._nodata:
            colours = pixels.reshape(*valid.shape, -1)[..., : -1 if self._marks_alpha else None]
            self.mistakable += int(np.count_nonzero(valid & (colours == pixels.dtype.type(mark)).all(axis=2)))
        return marked(pixels, valid, mark, self._marks_alpha)

    @cached_property
    def _mask(self) -> Pixels | None:
        """The whole mask, decoded once for all frames."""
        mask = self._masking.mask
        return mask if mask is None or isinstance(mask, np.ndarray) else mask.decoded()

    def row_runner(self, converter: RowConverter) -> Callable[[RowSource | Pixels, RowSink], int]:
        """Return a function that filters the rows of the first frame, and writes stored rows."""
        from convfilter.executor.masked_rows import run_banded_rows

        masking = self._masking_of(0)
        mark = masking.mark(self._dtype)

        def run(source: RowSource | Pixels, sink: RowSink) -> int:
            def write(rows: Pixels, valid_rows: Valid) -> None:
                sink.write(self._marked(converter(rows), valid_rows, mark))

            with masking.judge(self._picture.alpha) as judge:

                def valid_of(pixels: Pixels, first: int) -> Valid:
                    valid = judge(pixels, first)
                    if valid.any():
                        self.valid_frames.add(0)
                    return valid

                return run_banded_rows(self._planned(), source, valid_of, write, self._threads or cores_lately())

        return run

    def streaming_obstacle(self) -> str:
        """Return why rows cannot be streamed; "" if they can."""
        if self._converted is not self._picture and self._masking.ignore is not None:
            return "ignored values are those before conversion to linear light or grey"
        return streaming_obstacle(self._planned())

    def notes(self) -> tuple[str, ...]:
        """Return notes on frames without a valid pixel, as an inverted mask gives, and on results that look missing."""
        notes = self._empty_frames()
        if self.mistakable:
            results = "1 result has" if self.mistakable == 1 else f"{self.mistakable:,} results have"
            notes += (f"{results} the nodata value, {self._nodata:g}, and will be taken for missing",)
        return notes

    def _empty_frames(self) -> tuple[str, ...]:
        count = len(self._picture.frames)
        empty = [str(number + 1) for number in range(count) if number not in self.valid_frames]
        if not empty:
            return ()
        where = "" if count == 1 else f" of frame{'s' * (len(empty) > 1)} {', '.join(empty)}"
        return (f"every pixel{where} is ignored, so nothing is filtered; a mask is 0 where pixels are ignored",)

    def _masking_of(self, number: int) -> Masking:
        """Return the masking of a frame, whose file may name the value of missing data."""
        frame = self._picture.frames[number]
        nodata = None
        if frame.tiff is not None:
            from convfilter.picture.tiff.fields import nodata_of

            nodata = nodata_of(frame.tiff)
        masking = self._masking.of_file(self._picture.nodata if nodata is None else nodata)
        if self._masking.ignore == NODATA and isinstance(masking.ignore, int | float):
            self._nodata = masking.ignore
        masking.check(frame.shape, self._picture.alpha)
        return masking

    def _converted_level(self, ignore: Ignore | None) -> Ignore | None:
        """Return the ignored value as the padding values of the stages are: in linear light or grey, if these are."""
        if self._curve is None or isinstance(ignore, str | None):
            return ignore
        from convfilter.pipeline.linear_light import converted_level

        return converted_level(ignore, self._picture, self._curve)

    def _planned(self) -> list[BandedStage]:
        """Plan the stages for the first frame."""
        frame = self._converted.frames[0]
        height, width, channels = (*frame.shape, 1)[:3]
        ignore = self._converted_level(self._masking_of(0).ignore)
        return masked_stages(self._stages, (height, width, channels), frame.dtype, ignore=ignore, **self._settings)
