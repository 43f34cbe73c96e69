"""Stages that need no window: a function of each sample, and the way from real numbers to stored samples."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from convfilter.engine.bands import cut, run_blocks
from convfilter.engine.program import Slot
from convfilter.engine.tiles import Samples, Source
from convfilter.engine.tone import Tone, stretched, tone_of
from convfilter.filters.stage import Point
from convfilter.planning import LUMINANCE, LUMINANCE_DIVISOR, StagePlan
from convfilter.record import record

Real: TypeAlias = npt.NDArray[np.float64]
#: Gives the real values of colour rows ``top`` to ``bottom - 1``.
Rows: TypeAlias = Callable[[int, int], Real]

#: Above this many samples a table of all 16-bit values costs less than the samples themselves.
_WORTH_A_TABLE = 2**17
#: Samples whose float64 values, of which there are several at a time, stay in a core's cache.
_AT_A_TIME = 2**15


def colours(source: Source, top: int, bottom: int) -> Real:
    """Return the colours of some rows as float64: (rows, cols, channels without alpha), or their luminance."""
    band = source.image[top:bottom]
    band = band[..., :-1] if source.alpha else band
    if source.gray:
        band = (band.astype(np.float64) @ np.array(LUMINANCE) / LUMINANCE_DIVISOR)[..., np.newaxis]
    real: Real = band.astype(np.float64)
    return real


@record
class Storing:
    """How the real values of one stage become its stored samples.

    Attributes
    ----------
    plan : StagePlan
    dtype : dtype
        Of the stored samples.
    full, full_out : float
        White before and after.
    """

    plan: StagePlan
    dtype: np.dtype[np.generic]
    full: float
    full_out: float

    def all_rows(self, rows: Rows, output: Samples, threads: int) -> int:
        """Store the values that ``rows`` gives in the colours of ``output``; returns how many were clipped."""
        tone = self.tone(rows, output.shape[0], threads)
        clipped: list[int] = []
        lock = threading.Lock()

        def make_worker() -> Callable[[tuple[int, int]], None]:
            def work(block: tuple[int, int]) -> None:
                values = rows(*block)
                stored, count = self.stored(values, tone)
                output[block[0] : block[1], :, : values.shape[2]] = stored
                with lock:
                    clipped.append(count)

            return work

        run_blocks(cut(output.shape[0], self.plan.block_rows), make_worker, threads)
        return sum(clipped)

    def tone(self, rows: Rows, height: int, threads: int) -> Tone:
        """Return the arithmetic of the last step; to stretch, all values are looked at first."""
        tone = tone_of(self.plan, self.dtype, self.full, self.full_out, gray=False)
        if self.plan.stage.map != "stretch":
            return tone
        low, high = value_range(rows, height, self.plan.block_rows, threads)
        ends = (tone.scale * low / tone.divisor + tone.offset, tone.scale * high / tone.divisor + tone.offset)
        return stretched(tone, min(ends), max(ends), self.full_out)

    def stored(self, values: Real, tone: Tone) -> tuple[Samples, int]:
        """Scale, round, clip and count."""
        values = tone.scale * (values / tone.divisor) + tone.offset
        if tone.absolute:
            np.abs(values, out=values)
        if self.dtype.kind == "f":
            if self.plan.stage.map in ("clip", "stretch"):
                np.clip(values, 0, self.full_out, out=values)
            return values.astype(self.dtype), 0
        np.rint(values, out=values)
        kept = np.clip(np.nan_to_num(values, nan=0.0), 0, self.full_out)
        return kept.astype(self.dtype), int(np.count_nonzero(kept != values))


def value_range(rows: Rows, height: int, block_rows: int, threads: int) -> tuple[float, float]:
    """Find the least and the largest finite value; (0, 0) where there is none."""
    ends: list[tuple[float, float]] = []
    lock = threading.Lock()

    def make_worker() -> Callable[[tuple[int, int]], None]:
        def work(block: tuple[int, int]) -> None:
            values = rows(*block)
            values = values[np.isfinite(values)]
            if values.size:
                with lock:
                    ends.append((float(values.min()), float(values.max())))

        return work

    run_blocks(cut(height, block_rows), make_worker, threads)
    if not ends:
        return 0.0, 0.0
    return min(low for low, _ in ends), max(high for _, high in ends)


def span_of(plan: StagePlan, source: Source, threads: int) -> tuple[float, float]:
    """Return the range of the input's colours, if the operation asks for it."""
    operator = plan.stage.operator
    if not isinstance(operator, Point) or operator.kind != "normalize":
        return 0.0, 1.0
    return value_range(lambda top, bottom: colours(source, top, bottom), plan.rows.input, plan.block_rows, threads)


def points(
    plan: StagePlan, source: Source, dtype: np.dtype[np.generic], full_out: float, threads: int
) -> tuple[Samples, int]:
    """Apply a point operation to each colour sample; alpha keeps its value."""
    operator = plan.stage.operator
    assert isinstance(operator, Point)
    height, width = source.image.shape[:2]
    span = span_of(plan, source, threads)
    storing = Storing(plan, dtype, source.full, full_out)
    output = np.empty((height, width, plan.output_channels), dtype)
    if source.alpha:
        store_alpha(source.image[..., -1], output, source.full, full_out)

    def rows(top: int, bottom: int) -> Real:
        return _function(operator, colours(source, top, bottom), source.full, span)

    if source.image.dtype.kind == "u" and not source.gray and _pays(source):
        return output, _by_table(storing, rows, source, output, lambda x: _function(operator, x, source.full, span))
    return output, storing.all_rows(rows, output, threads)


def _pays(source: Source) -> bool:
    return source.image.dtype == np.uint8 or source.image.size > _WORTH_A_TABLE


class PointRows:
    """A point operation on rows of a source, wherever they are."""

    def __init__(
        self,
        plan: StagePlan,
        operator: Point,
        source: Source,
        dtype: np.dtype[np.generic],
        full_out: float,
        span: tuple[float, float],
    ) -> None:
        self._storing = Storing(plan, dtype, source.full, full_out)
        self._tone = tone_of(plan, dtype, source.full, full_out, gray=False)
        self._operator, self._source, self._span = operator, source, span

    def store(self, rows: npt.NDArray[np.int64], output: Samples) -> int:
        """Store the results of some rows; returns how many samples were clipped."""
        few = max(1, _AT_A_TIME // (output.shape[1] * output.shape[2]))
        pieces = cut(rows.size, few)
        return sum(self._store_few(rows[first:last], output[first:last]) for first, last in pieces)

    def _store_few(self, rows: npt.NDArray[np.int64], output: Samples) -> int:
        source = replace(self._source, slot=Slot(self._source.image[rows]))
        values = _function(self._operator, colours(source, 0, rows.size), source.full, self._span)
        stored, clipped = self._storing.stored(values, self._tone)
        output[..., : values.shape[2]] = stored
        if source.alpha:
            store_alpha(source.image[..., -1], output, source.full, self._storing.full_out)
        return clipped


def _by_table(storing: Storing, rows: Rows, source: Source, output: Samples, function: Callable[[Real], Real]) -> int:
    """Work out what becomes of every possible sample, and look each one up: exact, and many times as fast."""
    tone = storing.tone(rows, source.image.shape[0], 1)
    every = np.arange(int(source.full) + 1, dtype=np.float64)
    table, count = storing.stored(function(every), tone)
    picture = source.image[..., :-1] if source.alpha else source.image
    output[..., : picture.shape[2]] = table[picture]
    if not count:
        return 0
    used = np.bincount(picture.ravel(), minlength=every.size)
    return sum(int(used[i]) * storing.stored(function(every[i : i + 1]), tone)[1] for i in np.flatnonzero(used))


def store_alpha(alpha: Samples, output: Samples, full: float, full_out: float) -> None:
    """Store straight alpha as the last channel, full scale for full scale."""
    values = alpha * (full_out / full) if full != full_out else alpha
    if output.dtype.kind == "u":
        values = np.clip(np.rint(values), 0, full_out)
    output[..., -1] = values


def _function(point: Point, x: Real, full: float, span: tuple[float, float]) -> Real:
    """Compute a point operation on samples whose white is ``full``; ``span`` is the picture's own range."""
    match point.kind:
        case "relu":
            return np.maximum(x, 0.0)
        case "abs":
            return np.abs(x)
        case "bias":
            return x + point.low * full
        case "scale":
            return x * point.low
        case "clip":
            return np.clip(x, point.low * full, point.high * full)
        case "normalize":
            low, high = span
            return (x - low) * (full / (high - low)) if high > low else np.zeros_like(x)
        case "threshold":
            return np.where(x >= point.low * full, full, 0.0)
        case "invert":
            return full - x
