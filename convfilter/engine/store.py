"""The ends of the epilogue: rounded samples, or the range of values that would be stored."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from convfilter.engine.buffer import LineBuffer, Samples, Scratch
from convfilter.engine.epilogue import Epilogue
from convfilter.engine.mapped_stage import MappedStage, Region
from convfilter.engine.program import Call, Counting, Rebased, Slot
from convfilter.engine.tone import IDENTITY, Tone
from convfilter.filters.operators import Correlation, UnsharpMask
from convfilter.native.loop import Loop
from convfilter.planning import LUMINANCE_DIVISOR
from convfilter.sample_types import is_integer, is_wide, sample_type

if TYPE_CHECKING:
    import numpy.typing as npt

STORE_WHOLE = Loop("store", "store_whole", "V* i8 i8 i8 R R R i8 R T* i8 i8")
STORE_INTEGERS = Loop("store", "store_integers", "V* i8 i8 i8 R R R i8 R R T* i8 i8")
STORE_REAL = Loop("store", "store_real", "V* i8 i8 i8 R R R i8 T* i8 i8")
CLIP_REAL = Loop("store", "clip_real", "T* i8 i8 i8 i8 i8 i8 T")
STORE_MASKED = Loop("store", "store_masked", "A* i8 i8 i8 i8 A A i8 A A i8 A T* i8 i8")
STORE_QUOTIENTS = Loop("store", "store_quotients", "A* i8 i8 i8 i8 A i8 T* i8 i8")
STORE_ALPHA = Loop("store", "store_alpha", "A* i8 i8 i8 A A i8 T* i8 i8")
WIDEN_RANGE = Loop("store", "widen_range", "V* i8 i8 i8 i8 i8 f8 f8 f8 f8*")

#: Up to this divisor, a float32 quotient of at most 255 rounds to the same integer as the exact quotient: a quotient
#: that is not a tie is at least 1 / (2 * divisor) away from a tie, and float32 errs by at most 2**-17.
_SINGLE_DIVISOR = 2.0**15
#: Up to this divisor, a quotient that is not a tie is at least 2**-10 away from one; see ``loops/store.py``.
_COARSE_DIVISOR = 2.0**9
#: Numbers of channels, the mask included, of which a vector holds whole pixels.
_WHOLE_PIXELS = (2, 4)
#: A value this close to a level rounds to that level, whatever the error of its sum.
_ROUNDING_MARGIN = 0.25


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

    def fused_arguments(self, sums: np.dtype[np.generic]) -> tuple[float | int, ...] | None:
        """Return the arguments with which ``correlate_stored`` stores sums of a type from registers.

        None if sums need more than scaling and rounding in their own type.
        """
        if not self._scales_only or not self._is_integer or self._is_wide or self._precision(sums) != sums:
            return None
        tone = self._tone
        within = int(self.stays_within())
        counted = self._mapped.source.unit, *self._ratio
        return tone.scale, tone.divisor, tone.offset, int(tone.absolute), self._full_out, within, *counted

    def fuses_mask(self, sums: np.dtype[np.generic]) -> bool:
        """Whether one loop divides sums of a type by those of a mask and stores them."""
        plan = self._mapped.plan
        is_small_integer = self._is_integer and not self._is_wide
        if not (is_small_integer and plan.channels in _WHOLE_PIXELS and (plan.exact or plan.kernel.has_one_sign)):
            return False
        return (self._ratio[0] > 0 or not plan.exact) and sums == self._precision(sums) == np.float32

    def unclipped_mask(self, sums: np.dtype[np.generic]) -> int | None:
        """Return ``exact`` of ``store_quotients`` if that loop turns sums of a type into samples; else None."""
        source, plan = self._mapped.source, self._mapped.plan
        is_identity = self._tone == IDENTITY and self._full_out == source.full and source.pads_with_samples
        is_mean = isinstance(plan.stage.operator, Correlation) and plan.kernel.has_one_sign
        fuses = is_identity and is_mean and self.fuses_mask(sums)
        of_mask, of_colours = self._ratio
        # The weights of a Gaussian have the sum 1 up to rounding.
        is_one = of_mask == of_colours or (self._exactness == 0 and sums.type(of_mask / of_colours) == 1)
        return self._exactness if fuses and is_one else None

    @property
    def _exactness(self) -> int:
        """How sums are divided by those of the mask: ``exact`` of ``store_masked``."""
        plan, of_colours = self._mapped.plan, abs(self._ratio[1])
        is_coarse = self.dtype == np.uint8 and self._tone == IDENTITY and not self._mapped.source.gray
        return int(plan.exact) * (2 if is_coarse and plan.kernel.absolute_sum * of_colours <= _COARSE_DIVISOR else 1)

    def store_masked(self, scratch: Scratch, region: Region, sums: Samples, pitch: int, step_rows: int) -> Call:
        """Return the call that divides sums by those of the mask and stores them."""
        tone, rows, cols = self._tone, region.bottom - region.top, region.right - region.left
        where, place = (sums, pitch, rows, cols, self._mapped.source.channels), self.place(region, step_rows)
        exact = self.unclipped_mask(scratch.dtype)
        if exact is not None:
            return Call(STORE_QUOTIENTS.variant(A=scratch.dtype, T=self.dtype), (*where, 1.0, exact, *place))
        of_mask, of_colours = self._ratio
        exact = self._exactness
        factors = (of_mask, of_colours) if exact else (of_mask / of_colours, 1.0)
        numbers = *factors, exact, tone.scale, tone.offset, int(tone.absolute), self._full_out
        return Call(STORE_MASKED.variant(A=scratch.dtype, T=self.dtype), (*where, *numbers, *place))

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
        if not is_linear or source.unit > 0 or not source.is_finite:
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

    def _own_alpha(self) -> tuple[float, float]:
        """Return ``neutral`` and ``scale`` of ``divide_by_alpha``; a neutral sum is stored as half of white."""
        if self._stores_alpha_with_colours:
            return self._full_out, 1.0
        return self._tone.neutral(self._full_out), 0.0

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
        """Return float64 if float32 could round an exact sum the wrong way, else the type of the sums."""
        tone = self._tone
        only_divides = tone.scale == 1 and tone.offset == 0 and abs(tone.divisor) <= _SINGLE_DIVISOR
        rounds_right = (only_divides and self.dtype == np.uint8) or not self._mapped.plan.exact
        return np.dtype(np.float32 if sums == np.float32 and rounds_right else np.float64)


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
