"""LRU cache of plans: equal stages on pictures of one shape and type share a plan.

Planning takes longer than filtering a small picture. The cache of executables (``engine/executable_cache.py``) has
plans as keys, so a shared plan also finds its prepared executable.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import numpy as np
import numpy.typing as npt

from convfilter.filters.stage import Stage
from convfilter.locks import import_before_handlers
from convfilter.planning.derived_cache import cached_value
from convfilter.planning.plan import plan_stack
from convfilter.planning.stack_plan import Plan

#: Most plans in the cache, and most bytes of weights of one plan.
MOST_PLANS = 32
_MOST_BYTES = 2**16

#: Types of parts that are values themselves: most parts, which are not worth a call.
_VALUES = frozenset({str, int, bool, type, type(None)})

_plans: dict[tuple[Any, ...], Plan] = {}


def cached_plan(
    stages: Sequence[Stage],
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    *,
    out_dtype: npt.DTypeLike | None = None,
    **settings: Any,
) -> Plan:
    """Return the result of :func:`plan_stack` with these ``settings``, cached by value.

    Raises
    ------
    SizeError, ParameterError
        As :func:`plan_stack`.
    """
    result = None if out_dtype is None else np.dtype(out_dtype).str
    bytes_left = [_MOST_BYTES]
    values = _value((*stages, *settings.values()), bytes_left)
    key = values, tuple(settings), shape, dtype.str, result

    def plan() -> Plan:
        import_before_handlers()
        copies = deepcopy(stages)  # so that callers cannot change the weights of a cached plan
        return plan_stack(copies, shape, dtype, out_dtype=out_dtype, **settings)

    return cached_value(_plans, key, plan, MOST_PLANS) if bytes_left[0] >= 0 else plan()


def forget() -> None:
    """Empty the cache."""
    _plans.clear()


def _value(part: Any, bytes_left: list[int]) -> Any:
    """Return a hashable value of a part of a stage; the bytes of arrays are subtracted from ``bytes_left[0]``."""
    if isinstance(part, np.ndarray):
        bytes_left[0] -= part.nbytes
        return (part.shape, part.dtype.str, part.tobytes()) if bytes_left[0] >= 0 else None
    if isinstance(part, float):
        return part, math.copysign(1.0, part)  # padding with -0.0 differs from padding with 0.0
    if isinstance(part, tuple | list):
        values = part
    else:
        names = getattr(part, "__match_args__", None)
        if names is None:
            return part
        values = [part.__class__, *[getattr(part, name) for name in names]]
    return tuple([each if type(each) in _VALUES else _value(each, bytes_left) for each in values])
