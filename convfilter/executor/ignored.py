"""Which pixels are ignored for their samples: a value, NaN, or alpha 0."""

from __future__ import annotations

from math import isnan
from typing import Any, Literal, TypeAlias

import numpy as np

from convfilter.engine.buffer import Samples
from convfilter.executor.held import Valid
from convfilter.native.loop import Loop

#: Selects pixels by a value of their colours (NaN stands for every NaN), alpha 0, or the nodata value of the file.
Ignore: TypeAlias = float | Literal["alpha=0", "nodata"]

TRANSPARENT: Literal["alpha=0"] = "alpha=0"
NODATA: Literal["nodata"] = "nodata"

IGNORE_VALUE = Loop("mask", "ignore_value", "S* i8 i8 i8 S u1*")
IGNORE_NAN = Loop("mask", "ignore_nan", "R* i8 i8 i8 u1*")
IGNORE_TRANSPARENT = Loop("mask", "ignore_transparent", "S* i8 i8 u1*")


def invalidate(ignore: Ignore, pixels: Samples, alpha: bool, valid: Valid) -> None:
    """Mark transparent pixels, or pixels whose colours all have the ignored value, as invalid, in place."""
    kind, channels = pixels.dtype, pixels.shape[2]
    marks, pixels = valid.view(np.uint8), np.ascontiguousarray(pixels)
    if isinstance(ignore, str):
        IGNORE_TRANSPARENT.variant(S=kind)(pixels, valid.size, channels, marks)
        return
    value = float(ignore)
    if isnan(value):
        if kind.kind == "f":
            IGNORE_NAN.variant(R=kind)(pixels, valid.size, channels, channels - alpha, marks)
    elif holds(kind, value):
        IGNORE_VALUE.variant(S=kind)(pixels, valid.size, channels, channels - alpha, kind.type(value).item(), marks)


def holds(dtype: np.dtype[Any], value: float) -> bool:
    """Whether samples of a type can have a value."""
    return dtype.kind == "f" or (value.is_integer() and np.iinfo(dtype).min <= value <= np.iinfo(dtype).max)
