"""A stage, as plain data: an operator, its geometry, and the conversion of its result to stored samples."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Literal, TypeAlias, get_args

from convfilter.errors import ParameterError, shown
from convfilter.filters.checks import Pair, is_finite, require_choice, require_flag, require_integers
from convfilter.filters.operators import Operator
from convfilter.record import record

Padding: TypeAlias = str | tuple[int, int, int, int]
PaddingMode = Literal["edge", "constant", "reflect", "symmetric", "wrap"]
#: One mode for both axes, or (rows, cols): the first for places above and below, the second for those left and right.
PaddingModes: TypeAlias = PaddingMode | tuple[PaddingMode, PaddingMode]
ToneMap = Literal["clip", "abs", "offset", "stretch"]

PADDING_MODES: tuple[PaddingMode, ...] = get_args(PaddingMode)
#: ``same`` pads by the window only, ``same_upper`` and ``same_lower`` also by size and stride, as TensorFlow and ONNX.
PADDING_WORDS = ("same", "valid", "full", "same_upper", "same_lower")
TONE_MAPS: tuple[ToneMap, ...] = get_args(ToneMap)
#: Largest step: more than any picture has rows or columns.
_MOST_STEP = 2**31 - 1
_EVERY: Pair = (1, 1)
_OPERATORS = frozenset(get_args(Operator))


@record
class Stage:
    """An operator, its geometry, and the conversion to stored samples.

    Pairs are (rows, cols); explicit padding is (top, bottom, left, right) in pixels. With ``ceil`` sizes are rounded
    up: a last window that begins on the picture counts although it ends beyond the padding. ``padding_value`` is NaN
    only where NaN is ignored. ``offset`` is a fraction of full scale. ``map`` None: integer results are clipped, after
    taking the magnitude if the operator is ``signed``; real results are stored unchanged.
    """

    operator: Operator
    name: str = "filter"
    signed: bool = False
    stride: Pair = _EVERY
    dilation: Pair = _EVERY
    padding: Padding = "same"
    padding_mode: PaddingModes = "edge"
    padding_value: float = 0.0
    ceil: bool = False
    flip: bool = False
    scale: float = 1.0
    offset: float = 0.0
    map: ToneMap | None = None

    @property
    def is_unscaled(self) -> bool:
        """Whether results that are not negative are stored as they are: no scale, offset or map changes them."""
        return self.scale == 1 and self.offset == 0 and self.map in (None, "clip", "abs")

    @property
    def padding_modes(self) -> tuple[PaddingMode, PaddingMode]:
        """The padding modes of (rows, cols)."""
        return modes_of_axes(self.padding_mode)

    @property
    def pads_with_value(self) -> bool:
        """Whether places beyond the border hold the padding value, on one axis or both."""
        return "constant" in self.padding_modes

    def __post_init__(self) -> None:
        if type(self.operator) not in _OPERATORS:
            raise ParameterError(
                f"the operator of a stage must be one of convfilter.filters, got {shown(self.operator)}"
            )
        if not isinstance(self.name, str):
            raise ParameterError(f"name must be a text, got {shown(self.name)}")
        for name in ("signed", "ceil", "flip"):
            require_flag(name, getattr(self, name))
        for name in ("stride", "dilation"):
            pair = getattr(self, name)
            if pair is _EVERY:  # most stages are made for one run, in which a microsecond counts
                continue
            require_integers(name, pair, "(rows, cols)", 2)
            for value in pair:
                if not 1 <= value <= _MOST_STEP:
                    limit = f"at least 1, got {value}" if value < 1 else f"at most {_MOST_STEP}, got {value:.6g}"
                    raise ParameterError(f"{name} must be {limit}")
        if isinstance(self.padding, str):
            require_choice("padding", self.padding, PADDING_WORDS, "or a number of pixels")
        elif require_integers("padding", self.padding, "(top, bottom, left, right)", 4) < 0:
            raise ParameterError(f"padding must not be negative, got {min(self.padding)}")
        elif any(pad > _MOST_STEP for pad in self.padding):
            raise ParameterError(f"padding must be at most {_MOST_STEP}, got {max(self.padding):.6g}")
        modes = self.padding_mode if isinstance(self.padding_mode, tuple) else (self.padding_mode,)
        if modes is self.padding_mode and len(modes) != 2:
            raise ParameterError(f"padding_mode must be one mode or (rows, cols), got {shown(modes)}")
        for mode in modes:
            require_choice("padding_mode", mode, PADDING_MODES)
        if self.map is not None:
            require_choice("map", self.map, TONE_MAPS)
        for name in ("padding_value", "scale", "offset"):
            value = getattr(self, name)
            is_nan = name == "padding_value" and isinstance(value, float) and math.isnan(value)
            if not is_nan and not is_finite(value):
                raise ParameterError(f"{name} must be a finite number, got {shown(value)}")


def require_finite_padding(stages: Iterable[Stage]) -> None:
    """Refuse NaN as the value of padding that is not ignored.

    Raises
    ------
    ParameterError
    """
    for stage in stages:
        if math.isnan(stage.padding_value):
            raise ParameterError(
                "padding_value must be a finite number, got nan", remedy="{ignore=nan} leaves such padding out"
            )


def modes_of_axes(modes: PaddingModes) -> tuple[PaddingMode, PaddingMode]:
    """Return the padding modes of (rows, cols)."""
    return modes if isinstance(modes, tuple) else (modes, modes)
