"""The tone: the epilogue's arithmetic from a sum to the stored value."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from convfilter.engine.buffer import Samples
from convfilter.filters.stage import ToneMap
from convfilter.planning import LUMINANCE_DIVISOR, StagePlan
from convfilter.record import record
from convfilter.sample_types import is_integer

if TYPE_CHECKING:
    import numpy.typing as npt

#: Rounding error of sums, as a share of the sum of |weight| * |sample|.
_ROUNDING = {"float32": 2e-6, "float64": 1e-12}


@record
class Tone:
    """The map from a sum to a stored value: ``scale * sum / divisor + offset``, optionally its magnitude."""

    scale: float
    divisor: float
    offset: float
    absolute: bool

    def clips(self, sums: Samples, full: float) -> Samples:
        """Return which sums are clipped: their nearest integer is below 0 or above full scale."""
        values = np.rint(self.scale * (sums / self.divisor) + self.offset)
        values = np.abs(values) if self.absolute else values
        clipped: Samples = ~((values >= 0) & (values <= full))
        return clipped

    def neutral(self, full: float) -> float:
        """Return a sum that is stored as half of full scale, and so is not clipped, unless ``scale`` is 0."""
        return (full / 2 - self.offset) * self.divisor / self.scale if self.scale else 0.0


IDENTITY = Tone(1.0, 1.0, 0.0, False)


def tone_of(plan: StagePlan, target: npt.DTypeLike, full: float, full_out: float, gray: bool) -> Tone:
    """Return the epilogue's arithmetic: user's scale and offset, change of depth, divisor and map."""
    stage = plan.stage
    tone_map: ToneMap | None = stage.map
    if tone_map is None and stage.signed and np.dtype(target).kind == "u":
        tone_map = "abs"
    divisor = (plan.kernel.divisor if stage.operator.has_divisor else 1.0) * (LUMINANCE_DIVISOR if gray else 1.0)
    offset = stage.offset + (0.5 if tone_map == "offset" else 0.0)
    if plan.exact and not plan.alpha and not (full_out / full).is_integer():
        # Integer factors and a single division keep ties exact.
        return Tone(plan.scale * full_out, divisor * full, offset * full_out, tone_map == "abs")
    return Tone(plan.scale * full_out / full, divisor, offset * full_out, tone_map == "abs")


def rounding_of(plan: StagePlan, image: Samples, tone: Tone) -> float:
    """Return the largest difference of two stored values that rounding alone can cause."""
    if plan.exact:
        return 0.0
    gain = 1.0 if plan.stage.operator.stays_in_range else plan.kernel.absolute_sum / abs(plan.kernel.divisor)
    largest = np.iinfo(image.dtype).max if is_integer(image.dtype) else max(float(image.max()), -float(image.min()))
    rounding = _ROUNDING[plan.precision] * gain * abs(tone.scale) * largest
    return rounding if math.isfinite(rounding) else 0.0


def stretched(tone: Tone, low: float, high: float, full_out: float, rounding: float = 0.0) -> Tone:
    """Return ``tone`` followed by the linear map of ``low`` to 0 and ``high`` to full scale.

    If the range is at most ``rounding``, all values count as equal and become 0.
    """
    gain = full_out / (high - low) if high - low > rounding else 0.0
    return Tone(tone.scale * gain, tone.divisor, (tone.offset - low) * gain if gain else 0.0, False)
