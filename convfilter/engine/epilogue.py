"""The epilogue: calls of compiled loops that turn the sums of any method into stored samples.

An epilogue divides by counts, alpha or a mask, and sharpens. Its end (``engine/store.py``) scales, adds the offset,
takes the magnitude, rounds half to even, clips, counts clipped samples and stores. All methods and sample types share
it.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import numpy as np

from convfilter.engine.buffer import Samples, Scratch
from convfilter.engine.layout import centre_columns
from convfilter.engine.mapped_stage import MappedStage, Region
from convfilter.engine.program import Call, Moving
from convfilter.engine.tone import Tone
from convfilter.filters.operators import Gradient, Pooling, UnsharpMask
from convfilter.native.loop import Loop
from convfilter.planning import LUMINANCE_DIVISOR, counted_cells
from convfilter.planning.precision import reduced
from convfilter.planning.task import DOUBLE_WHOLE
from convfilter.record import replace

DIVIDE_BY_COUNTS = Loop("epilogue", "divide_by_counts", "A* i8 i8 i8 A* A*")
DIVIDE_BY_ALPHA = Loop("epilogue", "divide_by_alpha", "A* i8 A* i8 A A A A i8 i8 i8 A A A* A*")
DIVIDE_BY_MASK = Loop("epilogue", "divide_by_mask", "A* i8 i8 i8 i8 A A A A A* A*")
DIVIDE_COUNTED = Loop("epilogue", "divide_counted", "A* i8 i8 i8 A A A A")
SPLIT_ALPHA = Loop("epilogue", "split_alpha", "A* i8 A* i8 A A A i8 i8 i8 A*")
SHARPEN = Loop("epilogue", "sharpen", "A* i8 A* i8 i8 i8 A A A")


class Epilogue(ABC):
    """Turns the sums of one stage into samples; a subclass stores them or finds their range."""

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
        mean_of_sums = plan.kernel.numerator_sum if operator.has_divisor else 1.0
        self._alpha_divisor = gray * (1.0 if self._central_alpha else mean_of_sums)
        # With alpha, one division removes both the mean alpha and the tone's divisor.
        self._colour_divisor = tone.divisor
        self._divides = mapped.source.alpha and not operator.is_straight
        #: Factor of premultiplied colours, and share of their alpha that is added, before the rest of the tone.
        self.colour_factor, self.alpha_share = 1.0, 0.0
        if mapped.source.alpha and mapped.source.premultiplied:
            self._tone = self._premultiplied(tone, mapped.source.full)
        elif self._divides or mapped.source.unit > 0:
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
            self.colour_factor, tone = 0.0, replace(tone, scale=1.0)
        self.alpha_share = tone.offset / full * tone.divisor / tone.scale
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
        if self._mapped.source.unit > 0:
            rows, where = region.bottom - region.top, (region.right - region.left) * self._mapped.source.channels
            unpack = DIVIDE_COUNTED.variant(A=sums.dtype)
            calls.append(Call(unpack, (sums, pitch, rows, where, self._mapped.source.unit, *self._ratio, math.inf)))
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
                values *= self.colour_factor
                values += self.alpha_share * alpha[..., np.newaxis]
            values[..., -1] = self._own_alpha()[0]  # alpha has its own call
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
        source, real = self._mapped.source, scratch.dtype
        rows, cols = region.bottom - region.top, region.right - region.left
        before: list[Call] = []
        mean, mean_pitch = sums, pitch
        if self._central_alpha:
            before, mean, mean_pitch = self._centre(scratch, region, step_rows)
        alpha = scratch.get("alpha", rows * cols)
        if source.premultiplied:
            where = sums, pitch, mean, mean_pitch, self._alpha_divisor, self.colour_factor, self.alpha_share
            return [*before, Call(SPLIT_ALPHA.variant(A=real), (*where, rows, cols, source.channels, alpha))], alpha
        factor, mean_divisor, divisor = self._factors
        whole = self._alpha_divisor * source.full
        call = Call(
            DIVIDE_BY_ALPHA.variant(A=real),
            (
                sums, pitch, mean, mean_pitch, mean_divisor, divisor, source.full * factor, whole,
                rows, cols, source.channels, *self._own_alpha(), alpha,
                scratch.get("means", cols * source.channels),
            ),
        )  # fmt: skip
        return [*before, call], alpha

    def fuses_mask(self, sums: np.dtype[np.generic]) -> bool:
        """Whether one loop divides sums of a type by those of a mask and stores them."""
        return False

    def store_masked(self, scratch: Scratch, region: Region, sums: Samples, pitch: int, step_rows: int) -> Call:
        """Return the call that divides sums by those of the mask and stores them; see :meth:`fuses_mask`."""
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

    def _own_alpha(self) -> tuple[float, float]:
        """Return the treatment of the alpha in the sums: ``neutral`` and ``scale`` of ``divide_by_alpha``."""
        return 0.0, 0.0
