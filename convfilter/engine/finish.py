"""From sums to samples: what an operator still does to its sums, alpha, rounding, storing."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from convfilter.engine.native import Loop
from convfilter.engine.program import Call, Counting, Following, Program, Slot
from convfilter.engine.tiles import Samples, Scratch, centre_columns
from convfilter.engine.tone import AS_IT_IS, Tone, has_divisor
from convfilter.engine.work import Region, Work
from convfilter.filters.stage import Correlation, Gradient, Pooling, UnsharpMask
from convfilter.planning import LUMINANCE_DIVISOR, StagePlan, real_cells
from convfilter.planning.ring import STEP_ROWS

STORE_WHOLE = Loop("store", "store_whole", "A* i8 i8 i8 R R R i8 R T* i8 i8")
STORE_REAL = Loop("store", "store_real", "A* i8 i8 i8 R R R i8 T* i8 i8")
DIVIDE_BY_ALPHA = Loop("store", "divide_by_alpha", "A* i8 A* i8 A A A A i8 i8 i8 A A*")
STORE_ALPHA = Loop("store", "store_alpha", "A* i8 i8 i8 A A i8 T* i8 i8")

#: Up to this divisor a float32 quotient of at most 255 rounds to the integer that the exact one rounds to:
#: what is not a tie is at least 1 / (2 * divisor) away from one, and float32 errs by 2**-17 at most.
_SINGLE_DIVISOR = 2.0**15
#: Less than this beyond a level is rounded to it, even with the error of a sum.
_SURELY = 0.25


class Sink(Protocol):
    """Where finished tiles go."""

    def put(self, tile: Samples, pitch: int, region: Region, alpha: Samples | None, tone: Tone) -> None:
        """Take a tile of ``region``, and its alpha (compact, on the input's scale) if the picture has one."""

    def forget(self) -> None:
        """Begin anew."""


class Finisher:
    """Turns the sums of one stage into what a sink stores; one for each thread."""

    def __init__(self, work: Work, scratch: Scratch, tone: Tone) -> None:
        self._work, self._scratch, self._tone = work, scratch, tone
        plan = work.plan
        operator = plan.stage.operator
        self._counts = None
        if isinstance(operator, Pooling) and operator.kind == "average":
            self._counts = real_cells(plan.rows), np.repeat(real_cells(plan.cols), work.source.channels)
        # Alpha is a weighted mean; edges, whose weights sum to zero, leave it as it is at the centre.
        self._central_alpha = isinstance(operator, Gradient) or plan.kernel.sums_to_zero
        gray = LUMINANCE_DIVISOR if work.source.gray else 1.0
        mean_of_sums = plan.kernel.sum * plan.kernel.divisor if has_divisor(plan) else 1.0
        self._alpha_divisor = gray * (1.0 if self._central_alpha else mean_of_sums)
        # With alpha, colours are divided by it and by the tone's divisor at once.
        self._colour_divisor = tone.divisor
        if work.source.alpha:
            self._tone = replace(tone, divisor=1.0)

    def finish(self, region: Region, sums: Samples, pitch: int, sink: Sink) -> None:
        """Pass one tile of sums on to ``sink``."""
        work, operator = self._work, self._work.plan.stage.operator
        if self._counts is not None:
            self._average(region, sums, pitch)
        if isinstance(operator, UnsharpMask):
            self._sharpen(region, sums, operator)
        alpha = self._divide_by_alpha(region, sums, pitch) if work.source.alpha else None
        sink.put(sums, pitch, region, alpha, self._tone)

    def calls(self, region: Region, sums: Samples, pitch: int, sink: Sink) -> list[Call] | None:
        """Return the calls that finish a step's sums and store them, or None where it takes more than loops.

        ``region`` is that of step 0; each step lies below the one before.
        """
        by_hand = self._counts is not None or isinstance(self._work.plan.stage.operator, UnsharpMask)
        if by_hand or not isinstance(sink, ArraySink):
            return None
        if not self._work.source.alpha:
            return sink.calls(sums, pitch, region, None, self._tone, moving=True)
        if self._central_alpha:
            return None
        divide, alpha = self._division(region, sums, pitch, sums, pitch)
        return [divide, *sink.calls(sums, pitch, region, alpha, self._tone, moving=True)]

    def stays_within(self, sink: Sink) -> bool:
        """Whether no result can be out of the range of what ``sink`` stores, however samples are chosen."""
        work, tone = self._work, self._tone
        source, kernel = work.source, work.plan.kernel
        plain = isinstance(work.plan.stage.operator, Correlation) and not source.alpha and not tone.absolute
        if not plain or not source.is_finite or not isinstance(sink, ArraySink):
            return False
        ends = np.array([min(0.0, source.padding_value), max(source.full, source.padding_value)])
        ends *= LUMINANCE_DIVISOR if source.gray else 1.0
        total = kernel.sum * kernel.divisor
        positive, negative = (kernel.absolute_sum + total) / 2, (kernel.absolute_sum - total) / 2
        results = tone.scale * (positive * ends - negative * ends[::-1]) / tone.divisor + tone.offset
        return bool(results.min() >= -_SURELY and results.max() <= sink.full_out + _SURELY)

    def unclipped(self, sink: Sink) -> Tone | None:
        """Return how sums become samples where that is one loop, in their own precision, and none can be clipped."""
        alone = isinstance(sink, ArraySink) and sink.stores_in(self._scratch.dtype, self._tone)
        return self._tone if alone and self.stays_within(sink) else None

    def place(self, region: Region, sink: Sink) -> Following | None:
        """Return where a step's sums belong if they are what is stored; None where something is still done to them."""
        by_hand = self._counts is not None or isinstance(self._work.plan.stage.operator, UnsharpMask)
        if by_hand or not isinstance(sink, ArraySink) or self._work.source.alpha or self._tone != AS_IT_IS:
            return None
        return sink.place(region, self._scratch.dtype)

    def _average(self, region: Region, sums: Samples, pitch: int) -> None:
        assert self._counts is not None
        channels = self._work.source.channels
        down = self._counts[0][region.top : region.bottom, np.newaxis]
        along = self._counts[1][region.left * channels : region.right * channels]
        tile = sums[: down.shape[0] * pitch].reshape(-1, pitch)
        tile /= (down * along).astype(tile.dtype)

    def _sharpen(self, region: Region, sums: Samples, operator: UnsharpMask) -> None:
        source = self._work.source
        centre = self._centre(region)
        blurred = sums[: centre.size]
        blurred *= sums.dtype.type(1 / self._work.plan.kernel.divisor)
        difference = np.subtract(centre, blurred, out=self._scratch.get("difference", centre.size)[: centre.size])
        if operator.threshold > 0:
            scale = source.full * (source.full if source.alpha else 1.0) * (LUMINANCE_DIVISOR if source.gray else 1.0)
            difference[np.abs(difference) < operator.threshold * scale] = 0
        difference *= sums.dtype.type(operator.amount)
        np.add(centre, difference, out=blurred)

    def _centre(self, region: Region) -> Samples:
        """Load the samples on which the outputs of ``region`` are centred, as a compact flat tile."""
        work, rows = self._work, self._work.plan.rows
        places = np.arange(region.top, region.bottom) * rows.stride + rows.centre
        columns = centre_columns(work.plan.cols, work.col_index, region.left, region.right)
        tile, pitch = work.source.load(self._scratch, "centre", work.row_index[places], columns)
        return tile[: places.size * pitch]

    def _divide_by_alpha(self, region: Region, sums: Samples, pitch: int) -> Samples:
        mean, mean_pitch = sums, pitch
        if self._central_alpha:
            mean, mean_pitch = self._centre(region), (region.right - region.left) * self._work.source.channels
        divide, alpha = self._division(region, sums, pitch, mean, mean_pitch)
        divide()
        return alpha

    def _division(
        self, region: Region, sums: Samples, pitch: int, mean: Samples, mean_pitch: int
    ) -> tuple[Call, Samples]:
        """Return the call that divides sums by the mean alpha, and where it puts that."""
        source, tone, real = self._work.source, self._tone, self._scratch.dtype
        rows, cols = region.bottom - region.top, region.right - region.left
        alpha = self._scratch.get("alpha", rows * cols)
        neutral = (source.full / 2 - tone.offset) / tone.scale if tone.scale else 0.0
        mean_divisor, divisor = _reduced(self._alpha_divisor, self._colour_divisor)
        whole = self._alpha_divisor * source.full
        call = Call(
            DIVIDE_BY_ALPHA.variant(A=real),
            (
                sums, pitch, mean, mean_pitch, mean_divisor, divisor, source.full, whole,
                rows, cols, source.channels, neutral, alpha,
            ),
        )  # fmt: skip
        return call, alpha


#: Computes a block of output rows, and what makes one in a thread of its own.
Worker: TypeAlias = Callable[[tuple[int, int]], None]
MakeWorker: TypeAlias = Callable[[Work, Scratch, Finisher, Sink], Worker]


def _reduced(one: float, other: float) -> tuple[float, float]:
    """Divide two whole numbers by what they have in common, so that fewer divisions round."""
    if not (one.is_integer() and other.is_integer()):
        return one, other
    common = math.gcd(int(one), int(other))
    return one / common, other / common


class ArraySink:
    """Stores tiles in the output array, which begins at output row ``first_row``, and counts the samples clipped.

    ``whole_steps`` says that the array has room for whole steps of rows, also where the picture ends within one.
    """

    def __init__(self, output: Slot, plan: StagePlan, full: float, full_out: float) -> None:
        self._output, self.full_out = output, full_out
        self._alpha_scale = full_out / full
        self._whole = output.dtype.kind == "u"
        self._plan = plan
        self.first_row = 0
        self.whole_steps = False
        self._clipped = 0
        self._programs: set[Program] = set()

    def place(self, region: Region, dtype: np.dtype[np.generic]) -> Following | None:
        """Return the rows of ``region``, that of step 0, if sums of a type can be left there as they are."""
        if self._output.dtype != dtype or not self.whole_steps:
            return None
        start = (region.top - self.first_row) * self.row_samples + region.left * self._output.shape[2]
        return Following(self._output, start, STEP_ROWS * self.row_samples)

    @property
    def clipped(self) -> int:
        """How many samples were clipped."""
        return self._clipped + sum(program.total for program in self._programs)

    def forget(self) -> None:
        """Let the count begin anew."""
        self._clipped = 0
        for program in self._programs:
            program.forget()

    def count_clipped_by(self, programs: set[Program]) -> None:
        """Count what the calls of programs return, too."""
        self._programs |= programs

    @property
    def row_samples(self) -> int:
        """Samples of one row of the output."""
        samples: int = self._output.shape[1] * self._output.shape[2]
        return samples

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """Of the samples."""
        return self._output.dtype

    def stores_in(self, dtype: np.dtype[np.generic], tone: Tone) -> bool:
        """Whether samples are whole, and sums of a type are rounded to them in that type."""
        return self._whole and _store_precision(self._plan, tone, self.dtype, dtype) == dtype

    def target(self, region: Region, step_rows: int = 0) -> tuple[Slot, Counting | int, int]:
        """Return the output, where ``region`` starts in it, ``step_rows`` further down in each step, and its pitch."""
        start = (region.top - self.first_row) * self.row_samples + region.left * self._output.shape[2]
        return self._output, Counting(start, step_rows * self.row_samples) if step_rows else start, self.row_samples

    def put(self, tile: Samples, pitch: int, region: Region, alpha: Samples | None, tone: Tone) -> None:
        """Round, clip and store one tile."""
        for call in self.calls(tile, pitch, region, alpha, tone):
            self._clipped += call()

    def calls(
        self, tile: Samples, pitch: int, region: Region, alpha: Samples | None, tone: Tone, *, moving: bool = False
    ) -> list[Call]:
        """Return the calls that store one tile; what they return counts the clipped samples.

        With ``moving``, ``region`` is where step 0 of a program stores, and each step stores below the one before.
        """
        channels = self._output.shape[2]
        rows, cols = region.bottom - region.top, region.right - region.left
        target = self.target(region, STEP_ROWS if moving else 0)
        real = _store_precision(self._plan, tone, self._output.dtype, tile.dtype)
        types: dict[str, npt.DTypeLike] = {"A": tile.dtype, "R": real, "T": self._output.dtype}
        sums = tile, pitch, rows, cols * channels, tone.scale, tone.divisor, tone.offset, int(tone.absolute)
        if self._whole:
            calls = [Call(STORE_WHOLE.variant(**types), (*sums, self.full_out, *target))]
        else:
            calls = [Call(STORE_REAL.variant(**types), (*sums, *target))]
        if alpha is not None:
            store = STORE_ALPHA.variant(A=tile.dtype, T=self._output.dtype)
            numbers = self._alpha_scale, self.full_out, int(self._whole)
            calls.append(Call(store, (alpha, rows, cols, channels, *numbers, *target)))
        return calls


def _store_precision(plan: StagePlan, tone: Tone, target: npt.DTypeLike, sums: npt.DTypeLike) -> npt.DTypeLike:
    """Choose float64 for the last step where float32 could round an exact sum the wrong way."""
    plain = tone.scale == 1 and tone.offset == 0 and abs(tone.divisor) <= _SINGLE_DIVISOR and target == np.uint8
    if np.dtype(sums) == np.float32 and (plain or not plan.exact):
        return np.dtype(np.float32)
    return np.dtype(np.float64)


class RangeSink:
    """Finds the smallest and the largest value that would be stored, colours only."""

    def __init__(self, channels: int) -> None:
        self._channels = channels
        self.forget()

    def forget(self) -> None:
        """Begin anew."""
        self.low, self.high = np.inf, -np.inf

    def put(self, tile: Samples, pitch: int, region: Region, alpha: Samples | None, tone: Tone) -> None:
        """Widen the range by one tile."""
        rows = region.bottom - region.top
        values = tile[: rows * pitch].reshape(rows, -1, self._channels)
        values = (values if alpha is None else values[..., :-1]).astype(np.float64)
        values = tone.scale * values / tone.divisor + tone.offset
        finite = values[np.isfinite(values)]
        if finite.size:
            self.low, self.high = min(self.low, float(finite.min())), max(self.high, float(finite.max()))
