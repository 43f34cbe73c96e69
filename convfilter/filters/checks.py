"""Checks of parameters, shared by operators and stages."""

from __future__ import annotations

import math
import sys
from typing import Any, TypeAlias

from convfilter.errors import ParameterError, shown

Pair: TypeAlias = tuple[int, int]


def is_whole_number(value: Any) -> bool:
    """Whether a value is an integer or a bool, of Python or NumPy, or an array of one without axes."""
    return isinstance(value, int) or (getattr(value, "ndim", None) == 0 and value.dtype.kind in "biu")


def require_flag(name: str, value: object) -> None:
    """Refuse anything but a bool or an integer."""
    if value is not False and not is_whole_number(value):
        raise ParameterError(f"{name} must be True or False, got {shown(value)}")


def require_integers(name: str, values: object, form: str, count: int) -> int:
    """Refuse anything but a tuple of ``count`` integers, and return the smallest."""
    if not isinstance(values, tuple) or len(values) != count or not all(map(is_whole_number, values)):
        raise ParameterError(f"{name} must be {form} in whole numbers, got {shown(values)}")
    return int(min(values))


def is_finite(value: object) -> bool:
    """Whether a value is a number, and finite."""
    try:
        return math.isfinite(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return False


def number_text(value: object) -> str:
    """Format a number, or a value that is no number, for a message."""
    return f"{value:g}" if isinstance(value, int | float) else shown(value)


def require_choice(name: str, value: object, choices: tuple[str, ...], more: str = "") -> None:
    """Refuse a text that is not one of the choices; ``more`` ends their list in the message."""
    if not isinstance(value, str) or value not in choices:
        from convfilter.filters import synonyms

        raise ParameterError(
            f"{name} must be one of {', '.join(choices)}{' ' + more if more else ''}, got {shown(value)}",
            remedy=synonyms.of_value(name, value, choices) if isinstance(value, str) else "",
        )


def is_masked(values: object) -> bool:
    """Whether an object is a masked array; such objects exist only after an import that takes 10 ms."""
    return "numpy.ma" in sys.modules and isinstance(values, sys.modules["numpy.ma"].MaskedArray)


def with_mask(values: Any) -> Any:
    """Return a masked array of Dask as one of NumPy, since its ``__array__`` drops the mask; others as they are."""
    return values.compute() if is_masked(getattr(values, "_meta", None)) else values


def require_unmasked(name: str, values: Any) -> None:
    """Refuse a masked array that has masked elements."""
    values = with_mask(values)
    if is_masked(values) and values.mask.any():
        raise ParameterError(f"{name} must not have masked elements; give them a value with filled(0)")
