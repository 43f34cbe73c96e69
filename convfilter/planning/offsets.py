"""Convert offsets of stages from samples to fractions of full scale, for one sample type."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from convfilter.errors import ParameterError
from convfilter.filters.operators import (
    ACTIVATIONS,
    Compass,
    Correlation,
    Gradient,
    Point,
)
from convfilter.filters.stage import Stage
from convfilter.planning.task import gain_of_sums
from convfilter.record import replace
from convfilter.sample_types import full_scale, is_integer

if TYPE_CHECKING:
    import numpy.typing as npt

#: Point operations whose parameters are levels, as fractions of full scale.
_WITH_LEVELS = ("bias", "clip", "threshold")


def in_fractions(stages: Sequence[Stage], dtype: npt.DTypeLike, white: float | None = None) -> list[Stage]:
    """Return the stages with every offset as a fraction of the full scale of a picture of ``dtype``.

    ``white`` is the picture's value of white, where it is not the full scale of its type.

    Raises
    ------
    ParameterError
        The samples are integers, and a fraction lies beyond -1 to 1: its unit was probably meant to be samples.
    """
    full = white or full_scale(dtype)
    if is_integer(dtype):
        _require_fractions(stages, full)
    return [_with_shift(stage, full) for stage in stages]


def _with_shift(stage: Stage, full: float) -> Stage:
    operator = stage.operator
    if not isinstance(operator, Correlation) or operator.shift == 0:
        return stage
    return replace(stage, operator=replace(operator, shift=0.0), offset=stage.offset + operator.shift / full)


def _require_fractions(stages: Sequence[Stage], full: float) -> None:
    in_range = True
    for number, stage in enumerate(stages, 1):
        prefix = f"stage {number} ({stage.name}): " if len(stages) > 1 else ""
        _require_fraction(f"{prefix}offset", stage.offset, full, _gain(stage))
        # After a gain samples may have any value, so bias:-4.5 is a level like any other.
        if in_range and isinstance(stage.operator, Point) and stage.operator.kind in _WITH_LEVELS:
            for level in (stage.operator.low, stage.operator.high):
                _require_fraction(f"{prefix}the level of {stage.operator.kind}", level, full)
        in_range = in_range and _keeps_range(stage)


def _gain(stage: Stage) -> float:
    """Return the largest sum of a stage over white: an offset of that size may compensate for it."""
    operator = stage.operator
    if isinstance(operator, Compass | Correlation | Gradient):
        sums = 2 if isinstance(operator, Gradient) else 1
        return sums * gain_of_sums(operator, operator.window_kernel, stage.scale)
    return abs(stage.scale)


def _require_fraction(name: str, value: float, full: float, largest: float = 1.0) -> None:
    if abs(value) <= max(1.0, largest):
        return
    remedy = (
        f"for {value:g} of {full:.0f} levels write {value:g}/{full:.0f}" if abs(value) <= full else "1 is full scale"
    )
    raise ParameterError(
        f"{name} is a fraction of full scale, from -1 to 1 on pictures of whole samples, got {value:g}; {remedy}"
    )


def _keeps_range(stage: Stage) -> bool:
    """Whether samples of 0 to full scale stay in that range."""
    operator = stage.operator
    if isinstance(operator, Correlation):
        stays = operator.kernel.is_mean and operator.shift == 0
    elif isinstance(operator, Point):
        is_scale = operator.kind == "scale"
        stays = 0 <= operator.low <= 1 if is_scale else operator.kind not in ACTIVATIONS
    else:
        stays = operator.stays_in_range
    return stays and stage.scale == 1 and stage.offset == 0
