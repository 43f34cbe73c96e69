"""The epilogue: calls of compiled loops that turn the sums of any method into stored samples.

An epilogue divides by counts or alpha, sharpens, scales, adds the offset, takes the magnitude, rounds half to even,
clips, counts clipped samples and stores. All methods and sample types share it.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import numpy as np
import numpy.typing as npt

from convfilter.engine.buffer import LineBuffer, Samples, Scratch
from convfilter.engine.layout import centre_columns
from convfilter.engine.mapped_stage import MappedStage, Region
from convfilter.engine.program import Call, Counting, Moving, Rebased, Slot
from convfilter.engine.tone import IDENTITY, Tone, has_divisor
from convfilter.filters.operators import (
    Bilateral,
    Compass,
    Correlation,
    Gradient,
    Guided,
    Layer,
    Morphology,
    NetworkOperator,
    Orientation,
    Point,
    Pooling,
    Rank,
    UnsharpMask,
)
from convfilter.loops.vectors import vector_bytes
from convfilter.native.loop import Loop
from convfilter.planning import LUMINANCE_DIVISOR, StagePlan, counted_cells, is_integer, is_wide
from convfilter.planning.precision import reduced
from convfilter.planning.task import DOUBLE_WHOLE
from convfilter.record import replace
from convfilter.sample_types import sample_type

STORE_WHOLE = Loop("store", "store_whole", "V* i8 i8 i8 R R R i8 R T* i8 i8")
STORE_INTEGERS = Loop("store", "store_integers", "V* i8 i8 i8 R R R i8 R R T* i8 i8")
STORE_REAL = Loop("store", "store_real", "V* i8 i8 i8 R R R i8 T* i8 i8")
CLIP_REAL = Loop("store", "clip_real", "T* i8 i8 i8 i8 i8 i8 T")
DIVIDE_BY_COUNTS = Loop("store", "divide_by_counts", "A* i8 i8 i8 A* A*")
DIVIDE_BY_ALPHA = Loop("store", "divide_by_alpha", "A* i8 A* i8 A A A A i8 i8 i8 A A A* A*")
DIVIDE_BY_MASK = Loop("store", "divide_by_mask", "A* i8 i8 i8 i8 A A A A A* A*")
STORE_MASKED = Loop("store", "store_masked", "A* i8 i8 i8 i8 A i8 A A i8 A T* i8 i8 A* T* T*")
STORE_ALPHA = Loop("store", "store_alpha", "A* i8 i8 i8 A A i8 T* i8 i8")
ALPHA_APART = Loop("store", "alpha_apart", "A* i8 A* i8 A A A i8 i8 i8 A*")
SHARPEN = Loop("store", "sharpen", "A* i8 A* i8 i8 i8 A A A")
WIDEN_RANGE = Loop("store", "widen_range", "V* i8 i8 i8 i8 i8 f8 f8 f8 f8*")

#: Up to this divisor, a float32 quotient of at most 255 rounds to the same integer as the exact quotient: a quotient
#: that is not a tie is at least 1 / (2 * divisor) away from a tie, and float32 errs by at most 2**-17.
_SINGLE_DIVISOR = 2.0**15
#: Channels, the mask included, of which a vector holds whole pixels.
_PAIRS = (2, 4)
#: A value this close to a level rounds to that level, whatever the error of its sum.
_ROUNDING_MARGIN = 0.25


class Epilogue(ABC):
    """Turns the sums of one stage into stored samples."""

    def __init__(self, mapped: MappedStage, tone: Tone) -> None:
        self._mapped, self._tone = mapped, tone
        plan = mapped.plan
        operator = plan.stage.operator
        self._counts = None
        # The sum of a mask is already the number of the pixels that count.
        if isinstance(operator, Pooling) and operator.kind == "average" and not mapped.source.masked:
            down, along = (counted_cells(axis, operator) for axis in (plan.rows, plan.cols))
            self._counts = down, np.repeat(along, mapped.source.channels)
        # Alpha is a weighted mean; edges, whose weights sum to zero, keep the alpha of the centre.
        self._central_alpha = isinstance(operator, Gradient) or plan.kernel.sums_to_zero
        gray = LUMINANCE_DIVISOR if mapped.source.gray else 1.0
        mean_of_sums = plan.kernel.numerator_sum if has_divisor(plan) else 1.0
        self._alpha_divisor = gray * (1.0 if self._central_alpha else mean_of_sums)
        # With alpha, one division removes both the mean alpha and the tone's divisor.
        self._colour_divisor = tone.divisor
        # These operators give straight colours, already divided by alpha.
        is_straight = isinstance(
            operator, NetworkOperator | Layer | Rank | Compass | Guided | Bilateral | Orientation | Point
        )
        is_straight = is_straight or (isinstance(operator, Morphology) and operator.is_difference)
        self._divides = mapped.source.alpha and not is_straight
        #: Factor of colours, and share of their alpha that is added, before the rest of the tone.
        self.keep, self.shift = 1.0, 0.0
        if mapped.source.alpha and mapped.source.premultiplied:
            self._tone = self._premultiplied(tone, mapped.source.full)
        elif self._divides:
            self._tone = replace(tone, divisor=1.0)

    @property
    def _ratio(self) -> tuple[float, float]:
        """The divisors of the sums of alpha and of colours, without common factors."""
        return reduced(self._alpha_divisor, self._colour_divisor)

    @property
    def _factors(self) -> tuple[float, float, float]:
        """A factor of the sums of colours, and the divisors of the sums of alpha and of colours.

        Where float64 holds the products of exact sums, the sums of colours are multiplied by the divisor of the mean
        alpha, so that only the quotient is rounded.
        """
        of_mean, of_colours = self._ratio
        plan, source = self._mapped.plan, self._mapped.source
        largest = plan.kernel.absolute_sum * source.full * (LUMINANCE_DIVISOR if source.gray else 1.0) * abs(of_mean)
        if not source.masked:
            largest *= source.full**2  # both the samples and the quotients are multiplied by alpha
        if not plan.exact or largest > DOUBLE_WHOLE:
            return 1.0, of_mean, of_colours
        return abs(of_mean), math.copysign(1.0, of_mean), of_colours

    def _premultiplied(self, tone: Tone, full: float) -> Tone:
        """Return the tone of premultiplied colours: an offset is weighted with alpha, as the colours are."""
        if tone.scale == 0:
            self.keep, tone = 0.0, replace(tone, scale=1.0)
        self.shift = tone.offset / full * tone.divisor / tone.scale
        return replace(tone, offset=0.0)

    def calls(self, scratch: Scratch, region: Region, sums: Samples, pitch: int, step_rows: int = 0) -> list[Call]:
        """Return the calls that turn the sums of a region into samples and store them.

        Parameters
        ----------
        scratch : Scratch
            In the type of the sums.
        region : Region
        sums : flat array
            Rows ``pitch`` samples apart; the calls overwrite them.
        step_rows : int
            0: the calls are for this region only. Else the region belongs to step 0 of a program, and each further
            step lies ``step_rows`` rows below the one before.
        """
        calls: list[Call] = []
        if self._counts is not None:
            calls.append(self._average(region, sums, pitch, step_rows))
        if isinstance(self._mapped.plan.stage.operator, UnsharpMask):
            calls += self._sharpen(scratch, region, sums, pitch, step_rows)
        if self._mapped.source.masked:
            if self.fuses_mask(scratch.dtype):
                return [*calls, self.store_masked(scratch, region, sums, pitch, step_rows)]
            call, quotients, pitch = self._divide_by_mask(scratch, region, sums, pitch)
            return [*calls, call, *self.store(region, quotients, pitch, None, step_rows)]
        alpha = None
        if self._divides:
            divide, alpha = self._divide(scratch, region, sums, pitch, step_rows)
            calls += divide
        return [*calls, *self.store(region, sums, pitch, alpha, step_rows)]

    @abstractmethod
    def store(self, region: Region, sums: Samples, pitch: int, alpha: Samples | None, step_rows: int = 0) -> list[Call]:
        """Return the calls that store values, and alpha, if any, as compact rows on the source's scale."""

    def store_values(self, region: Region, values: Samples, alpha: Samples | None = None) -> int:
        """Store the straight or premultiplied results of a region, and return the number of clipped samples.

        Parameters
        ----------
        region : Region
        values : (rows, cols, channels) array
            Premultiplied if the source is; overwritten.
        alpha : (rows, cols) array, optional
            On the source's scale. It replaces the last channel of ``values``.
        """
        if alpha is not None:
            alpha = np.ascontiguousarray(alpha)
            if self._mapped.source.premultiplied:
                values *= self.keep
                values += self.shift * alpha[..., np.newaxis]
            values[..., -1] = 0  # alpha has its own call
            alpha = alpha.reshape(-1)
        pitch = values.shape[1] * values.shape[2]
        return sum(call() for call in self.store(region, np.ascontiguousarray(values).reshape(-1), pitch, alpha))

    def _average(self, region: Region, sums: Samples, pitch: int, step_rows: int) -> Call:
        assert self._counts is not None
        down, along = (counts.astype(sums.dtype) for counts in self._counts)
        channels = self._mapped.source.channels
        along = np.ascontiguousarray(along[region.left * channels : region.right * channels])
        rows = region.bottom - region.top
        where = Moving(down, region.top, step_rows)
        return Call(DIVIDE_BY_COUNTS.variant(A=sums.dtype), (sums, pitch, rows, along.size, where, along))

    def _sharpen(self, scratch: Scratch, region: Region, sums: Samples, pitch: int, step_rows: int) -> list[Call]:
        source, operator = self._mapped.source, self._mapped.plan.stage.operator
        assert isinstance(operator, UnsharpMask)
        load, centre, length = self._centre(scratch, region, step_rows)
        scale = source.full * (source.full if source.multiplies else 1.0) * (LUMINANCE_DIVISOR if source.gray else 1.0)
        arguments = (
            sums, pitch, centre, length, region.bottom - region.top, length,
            1 / self._mapped.plan.kernel.divisor, operator.amount, operator.threshold * scale,
        )  # fmt: skip
        return [*load, Call(SHARPEN.variant(A=sums.dtype), arguments)]

    def _centre(self, scratch: Scratch, region: Region, step_rows: int) -> tuple[list[Call], Samples, int]:
        """Return the calls that load the centre samples of outputs as a compact tile, and its pitch."""
        mapped, rows = self._mapped, region.bottom - region.top
        columns = centre_columns(mapped.plan.cols, mapped.col_index, region.left, region.right)
        pitch = columns.count * mapped.source.channels
        tile = scratch.get("centre", rows * pitch)
        where = Moving(mapped.centres(), region.top, step_rows)
        return mapped.source.load_calls(scratch, where, rows, columns, tile), tile, pitch

    def _divide(
        self, scratch: Scratch, region: Region, sums: Samples, pitch: int, step_rows: int
    ) -> tuple[list[Call], Samples]:
        """Return the calls that divide sums by the mean alpha, and the memory of that alpha."""
        source, tone, real = self._mapped.source, self._tone, scratch.dtype
        rows, cols = region.bottom - region.top, region.right - region.left
        before: list[Call] = []
        mean, mean_pitch = sums, pitch
        if self._central_alpha:
            before, mean, mean_pitch = self._centre(scratch, region, step_rows)
        alpha = scratch.get("alpha", rows * cols)
        if source.premultiplied:
            where = sums, pitch, mean, mean_pitch, self._alpha_divisor, self.keep, self.shift
            return [*before, Call(ALPHA_APART.variant(A=real), (*where, rows, cols, source.channels, alpha))], alpha
        neutral = (source.full / 2 - tone.offset) / tone.scale if tone.scale else 0.0
        factor, mean_divisor, divisor = self._factors
        whole = self._alpha_divisor * source.full
        call = Call(
            DIVIDE_BY_ALPHA.variant(A=real),
            (
                sums, pitch, mean, mean_pitch, mean_divisor, divisor, source.full * factor, whole,
                rows, cols, source.channels, *self._own_alpha(neutral), alpha,
                scratch.get("means", cols * source.channels),
            ),
        )  # fmt: skip
        return [*before, call], alpha

    def fuses_mask(self, sums: np.dtype[np.generic]) -> bool:
        """Whether one loop divides sums of a type by those of a mask and stores them."""
        return False

    def store_masked(self, scratch: Scratch, region: Region, sums: Samples, pitch: int, step_rows: int) -> Call:
        """Return the call of that loop."""
        raise NotImplementedError

    def _divide_by_mask(self, scratch: Scratch, region: Region, sums: Samples, pitch: int) -> tuple[Call, Samples, int]:
        """Return the call that divides sums by those of the mask, and its result, compact rows of a pitch."""
        rows, cols, channels = region.bottom - region.top, region.right - region.left, self._mapped.source.channels
        line = cols * (channels - 1)
        quotients = scratch.get("quotients", rows * line)
        factor, of_mask, of_colours = self._factors
        where = (
            sums, pitch, rows, cols, channels, factor, of_mask, of_colours, math.inf,
            scratch.get("weights", cols), quotients,
        )  # fmt: skip
        return Call(DIVIDE_BY_MASK.variant(A=scratch.dtype), where), quotients, line

    def _own_alpha(self, neutral: float) -> tuple[float, float]:
        """Return the treatment of the alpha in the sums: ``neutral`` and ``scale`` of ``divide_by_alpha``."""
        return neutral, 0.0


class Store(Epilogue):
    """Rounds, clips, counts and stores into a line buffer or the result.

    Parameters
    ----------
    mapped : MappedStage
    tone : Tone
    target : LineBuffer
    full_out : float
        Value of white in the target.
    """

    def __init__(self, mapped: MappedStage, tone: Tone, target: LineBuffer, full_out: float) -> None:
        super().__init__(mapped, tone)
        self._target, self._full_out = target, full_out
        self._alpha_scale = full_out / mapped.source.full
        self._is_integer = is_integer(target.dtype)
        self._is_wide = is_wide(target.dtype)
        self._clips_real = not self._is_integer and mapped.plan.stage.map in ("clip", "stretch")

    @property
    def full_out(self) -> float:
        """Value of white in stored samples."""
        return self._full_out

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """Type of stored samples."""
        return self._target.dtype

    def place(self, region: Region, step_rows: int) -> tuple[Slot, Counting | int, int]:
        """Return the target's array, the start of ``region`` in it for each step, and the pitch of its rows."""
        pitch = self._target.row_samples
        row = region.top if step_rows else self._target.row(region.top)
        start = row * pitch + region.left * self._target.slot.shape[2]
        return self._target.slot, Counting(start, step_rows * pitch) if step_rows else start, pitch

    @property
    def _scales_only(self) -> bool:
        """Whether the tone alone turns sums into values: no counts, sharpening or division by alpha."""
        sharpens = isinstance(self._mapped.plan.stage.operator, UnsharpMask)
        return self._counts is None and not sharpens and not self._divides

    def direct_target(self, left: int, step_rows: int, dtype: np.dtype[np.generic]) -> Rebased | None:
        """Return the place in the target of the sums of step 0 if sums are stored unchanged, else None.

        Each step writes ``step_rows`` rows; only a line buffer has room for rows past the picture's last.
        """
        unchanged = self._tone == IDENTITY and not self._clips_real and self.dtype == dtype
        if not (self._scales_only and unchanged and self._target.row_map is not None):
            return None
        pitch = self._target.row_samples
        return Rebased(self._target.slot, left * self._target.slot.shape[2], step_rows * pitch)

    def fused_arguments(self, sums: np.dtype[np.generic]) -> tuple[float, float, float, int, float, int] | None:
        """Return the arguments with which ``correlate_stored`` stores sums of a type from registers.

        None if sums need more than scaling and rounding in their own type.
        """
        if not self._scales_only or not self._is_integer or self._is_wide or self._precision(sums) != sums:
            return None
        tone = self._tone
        return tone.scale, tone.divisor, tone.offset, int(tone.absolute), self._full_out, int(self.stays_within())

    def fuses_mask(self, sums: np.dtype[np.generic]) -> bool:
        """Whether one loop divides sums of a type by those of a mask and stores them."""
        plan = self._mapped.plan
        simple = self._is_integer and not self._is_wide and plan.kernel.has_one_sign and plan.channels in _PAIRS
        one_division = self._ratio == (1, 1)
        return simple and (one_division or not plan.exact) and sums == self._precision(sums) == np.float32

    def unmasked(self, sums: np.dtype[np.generic]) -> tuple[float, int] | None:
        """Return ``factor`` and ``exact`` of ``store_masked`` if that divides and rounds without any clipping."""
        tone, full = self._tone, self._mapped.source.full
        plain = tone.scale == tone.divisor == 1 and tone.offset == 0 and not tone.absolute and self._full_out == full
        fuses = plain and isinstance(self._mapped.plan.stage.operator, Correlation) and self.fuses_mask(sums)
        of_mask, of_colours = self._ratio
        return (of_mask / of_colours, int(self._mapped.plan.exact)) if fuses and of_mask == of_colours else None

    def store_masked(self, scratch: Scratch, region: Region, sums: Samples, pitch: int, step_rows: int) -> Call:
        """Return the call of that loop."""
        tone, channels = self._tone, self._mapped.source.channels
        rows, cols = region.bottom - region.top, region.right - region.left
        lanes = vector_bytes() // scratch.dtype.itemsize
        of_mask, of_colours = self._ratio
        exact = self._mapped.plan.exact
        arguments = (
            sums, pitch, rows, cols, channels, of_mask / of_colours, int(exact), tone.scale, tone.offset,
            int(tone.absolute), self._full_out, *self.place(region, step_rows),
            scratch.get("square", lanes**2), scratch.get("few", lanes**2, self.dtype),
            scratch.get("line", cols * (channels - 1) + vector_bytes(), self.dtype),
        )  # fmt: skip
        return Call(STORE_MASKED.variant(A=scratch.dtype, T=self.dtype), arguments)

    @property
    def only_converts(self) -> bool:
        """Whether the stage only converts samples to float32."""
        return self._tone == IDENTITY and not self._divides and not self._clips_real and self.dtype == np.float32

    def unclipped_tone(self, sums: np.dtype[np.generic]) -> Tone | None:
        """Return the tone if one loop, in the precision of the sums, can store them without clipping; else None."""
        return self._tone if self.fused_arguments(sums) is not None and self.stays_within() else None

    def stays_within(self) -> bool:
        """Whether every result lies within the range of the target, for any input."""
        mapped, tone = self._mapped, self._tone
        source, kernel = mapped.source, mapped.plan.kernel
        is_linear = isinstance(mapped.plan.stage.operator, Correlation) and not source.alpha and not tone.absolute
        if not is_linear or not source.is_finite:
            return False
        ends = np.array([min(0.0, source.padding_value), max(source.full, source.padding_value)])
        ends *= LUMINANCE_DIVISOR if source.gray else 1.0
        total = kernel.sum * kernel.divisor
        positive, negative = (kernel.absolute_sum + total) / 2, (kernel.absolute_sum - total) / 2
        results = tone.scale * (positive * ends - negative * ends[::-1]) / tone.divisor + tone.offset
        return bool(results.min() >= -_ROUNDING_MARGIN and results.max() <= self._full_out + _ROUNDING_MARGIN)

    @property
    def _stores_alpha_with_colours(self) -> bool:
        """Whether one call stores colours and alpha: divided colours need no further arithmetic."""
        tone, divides = self._tone, self._divides and not self._mapped.source.premultiplied
        unchanged = tone.scale == tone.divisor == self._alpha_scale == 1 and tone.offset == 0 and not tone.absolute
        return divides and unchanged

    def _own_alpha(self, neutral: float) -> tuple[float, float]:
        """Return ``neutral`` and ``scale`` of ``divide_by_alpha``."""
        return (self._full_out, 1.0) if self._stores_alpha_with_colours else (neutral, 0.0)

    def store(self, region: Region, sums: Samples, pitch: int, alpha: Samples | None, step_rows: int = 0) -> list[Call]:
        """Return the calls that store values; each returns the number of samples that it clipped."""
        target, tone = self.place(region, step_rows), self._tone
        channels = self._target.slot.shape[2]
        rows, cols = region.bottom - region.top, region.right - region.left
        types: dict[str, npt.DTypeLike] = {"V": sums.dtype, "R": self._precision(sums.dtype), "T": self.dtype}
        numbers = sums, pitch, rows, cols * channels, tone.scale, tone.divisor, tone.offset, int(tone.absolute)
        if self._is_integer and self._is_wide:
            low = sample_type(self.dtype).low
            calls = [Call(STORE_INTEGERS.variant(**types), (*numbers, low, self._full_out, *target))]
        elif self._is_integer:
            calls = [Call(STORE_WHOLE.variant(**types), (*numbers, self._full_out, *target))]
        else:
            calls = [Call(STORE_REAL.variant(**types), (*numbers, *target))]
        if self._clips_real:
            array, start, out_pitch = target
            colours = channels - (self._mapped.source.alpha and not self._mapped.source.masked)
            clipped = array, start, out_pitch, rows, cols, channels, colours, self._full_out
            calls.append(Call(CLIP_REAL.variant(T=self.dtype), clipped))
        if alpha is not None and not self._stores_alpha_with_colours:
            store = STORE_ALPHA.variant(A=alpha.dtype, T=self.dtype)
            arguments = alpha, rows, cols, channels, self._alpha_scale, self._full_out, int(self._is_integer), *target
            calls.append(Call(store, arguments))
        return calls

    def _precision(self, sums: np.dtype[np.generic]) -> np.dtype[np.generic]:
        return store_precision(self._mapped.plan, self._tone, self.dtype, sums)


def store_precision(plan: StagePlan, tone: Tone, target: npt.DTypeLike, sums: npt.DTypeLike) -> np.dtype[np.generic]:
    """Return float64 if float32 could round an exact sum the wrong way in the epilogue, else the type of the sums."""
    only_divides = tone.scale == 1 and tone.offset == 0 and abs(tone.divisor) <= _SINGLE_DIVISOR and target == np.uint8
    if np.dtype(sums) == np.float32 and (only_divides or not plan.exact):
        return np.dtype(np.float32)
    return np.dtype(np.float64)


class Range(Epilogue):
    """Finds the smallest and largest colour that would be stored, without storing."""

    def __init__(self, mapped: MappedStage, tone: Tone) -> None:
        super().__init__(mapped, tone)
        self._ends: list[Samples] = []

    @property
    def ends(self) -> tuple[float, float]:
        """The smallest and the largest finite value so far; (infinity, -infinity) before the first."""
        ends = [(math.inf, -math.inf), *(each.tolist() for each in self._ends)]
        return min(low for low, _ in ends), max(high for _, high in ends)

    def store(self, region: Region, sums: Samples, pitch: int, alpha: Samples | None, step_rows: int = 0) -> list[Call]:
        """Return the call that widens the range."""
        plan, tone = self._mapped.plan, self._tone
        ends = np.array([np.inf, -np.inf])
        self._ends.append(ends)
        rows, cols, channels = region.bottom - region.top, region.right - region.left, plan.output_channels
        where = sums, pitch, rows, cols, channels, channels - plan.alpha
        return [Call(WIDEN_RANGE.variant(V=sums.dtype), (*where, tone.scale, tone.divisor, tone.offset, ends))]
