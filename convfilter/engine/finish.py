"""From sums to samples: what an operator still does to its sums, alpha, rounding, storing."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import numpy.typing as npt

from convfilter.engine.native import Loop
from convfilter.engine.tiles import Samples, Scratch, centre_columns
from convfilter.engine.work import Region, Work
from convfilter.filters.stage import Gradient, Pooling, ToneMap, UnsharpMask
from convfilter.planning import LUMINANCE_DIVISOR, StagePlan, real_cells

STORE_WHOLE = Loop("store", "store_whole", "A* i8 i8 i8 R R R i8 R T* i8 i8")
STORE_REAL = Loop("store", "store_real", "A* i8 i8 i8 R R R i8 T* i8 i8")
DIVIDE_BY_ALPHA = Loop("store", "divide_by_alpha", "A* i8 A* i8 A A A A i8 i8 i8 A A*")
STORE_ALPHA = Loop("store", "store_alpha", "A* i8 i8 i8 A A i8 T* i8 i8")

#: Up to this divisor a float32 quotient of at most 255 rounds to the integer that the exact one rounds to:
#: what is not a tie is at least 1 / (2 * divisor) away from one, and float32 errs by 2**-17 at most.
_SINGLE_DIVISOR = 2.0**15


@dataclass(frozen=True)
class Tone:
    """How a sum becomes a stored value: ``scale * sum / divisor + offset``, perhaps its magnitude."""

    scale: float
    divisor: float
    offset: float
    absolute: bool


class Sink(Protocol):
    """Where finished tiles go."""

    def put(self, tile: Samples, pitch: int, region: Region, alpha: Samples | None, tone: Tone) -> None:
        """Take a tile of ``region``, and its alpha (compact, on the input's scale) if the picture has one."""


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
        source, tone, real = self._work.source, self._tone, self._scratch.dtype
        rows, cols = region.bottom - region.top, region.right - region.left
        mean, mean_pitch = sums, pitch
        if self._central_alpha:
            mean, mean_pitch = self._centre(region), cols * source.channels
        alpha = self._scratch.get("alpha", rows * cols)
        neutral = (source.full / 2 - tone.offset) / tone.scale if tone.scale else 0.0
        mean_divisor, divisor = _reduced(self._alpha_divisor, self._colour_divisor)
        whole = self._alpha_divisor * source.full
        DIVIDE_BY_ALPHA.variant(A=real)(
            sums, pitch, mean, mean_pitch, mean_divisor, divisor, source.full, whole,
            rows, cols, source.channels, neutral, alpha,
        )  # fmt: skip
        return alpha


def _reduced(one: float, other: float) -> tuple[float, float]:
    """Divide two whole numbers by what they have in common, so that fewer divisions round."""
    if not (one.is_integer() and other.is_integer()):
        return one, other
    common = math.gcd(int(one), int(other))
    return one / common, other / common


def has_divisor(plan: StagePlan) -> bool:
    """Whether the sums are still to be divided by the kernel's divisor when they are stored."""
    return not isinstance(plan.stage.operator, Pooling | UnsharpMask)


class ArraySink:
    """Stores tiles in the output array, and counts the samples that were clipped."""

    def __init__(self, output: Samples, plan: StagePlan, full: float, full_out: float) -> None:
        self._output, self._full_out = output, full_out
        self._alpha_scale = full_out / full
        self._whole = output.dtype.kind == "u"
        self._plan = plan
        self.clipped = 0

    def put(self, tile: Samples, pitch: int, region: Region, alpha: Samples | None, tone: Tone) -> None:
        """Round, clip and store one tile."""
        channels, width = self._output.shape[2], self._output.shape[1]
        rows, cols = region.bottom - region.top, region.right - region.left
        start, out_pitch = (region.top * width + region.left) * channels, width * channels
        real = _store_precision(self._plan, tone, self._output.dtype, tile.dtype)
        types: dict[str, npt.DTypeLike] = {"A": tile.dtype, "R": real, "T": self._output.dtype}
        numbers = tone.scale, tone.divisor, tone.offset, int(tone.absolute)
        target = self._output, start, out_pitch
        if self._whole:
            store = STORE_WHOLE.variant(**types)
            self.clipped += store(tile, pitch, rows, cols * channels, *numbers, self._full_out, *target)
        else:
            STORE_REAL.variant(**types)(tile, pitch, rows, cols * channels, *numbers, *target)
        if alpha is not None:
            STORE_ALPHA.variant(A=tile.dtype, T=self._output.dtype)(
                alpha, rows, cols, channels, self._alpha_scale, self._full_out, int(self._whole), *target
            )


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


def tone_of(plan: StagePlan, target: npt.DTypeLike, full: float, full_out: float, gray: bool) -> Tone:
    """Return the arithmetic of the last step: user's scale and offset, change of depth, divisor and map."""
    stage = plan.stage
    tone_map: ToneMap | None = stage.map
    if tone_map is None and stage.signed and np.dtype(target).kind == "u":
        tone_map = "abs"
    divisor = (plan.kernel.divisor if has_divisor(plan) else 1.0) * (LUMINANCE_DIVISOR if gray else 1.0)
    offset = stage.offset + (0.5 if tone_map == "offset" else 0.0)
    return Tone(plan.scale * full_out / full, divisor, offset * full_out, tone_map == "abs")


def stretched(tone: Tone, low: float, high: float, full_out: float) -> Tone:
    """Return ``tone`` followed by the straight line that maps ``low`` to 0 and ``high`` to full scale."""
    gain = full_out / (high - low) if high > low else 0.0
    return Tone(tone.scale * gain, tone.divisor, (tone.offset - low) * gain if gain else 0.0, False)
