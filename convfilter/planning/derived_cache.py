"""LRU caches: of any values, and of values made from the plan of a stage."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, Generic, TypeVar

from convfilter.planning.stage_plan import StagePlan

Value = TypeVar("Value")


def cached_value(values: dict[Any, Value], key: Any, make: Callable[[], Value], most: int) -> Value:
    """Return ``values[key]``, made if missing; the ``most`` recently used values stay in ``values``.

    Threads may call this at the same time: each dict operation is atomic.
    """
    value = values.pop(key, None)
    if value is None:
        value = make()
    values[key] = value
    for oldest in list(values)[:-most]:
        values.pop(oldest, None)
    return value


class DerivedCache(Generic[Value]):
    """LRU cache of values made from the plan of a stage, by the plan's identity and a key.

    Equal values are one object, so that executables made for them are found again.

    Parameters
    ----------
    most : int
        Most values.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._values: dict[tuple[int, Hashable], tuple[StagePlan, Value]] = {}

    def get(self, plan: StagePlan, key: Hashable, make: Callable[[], Value]) -> Value:
        """Return the value of a plan and a key, made if missing."""
        # The plan is a part of the value, and so lives as long as its identity is a key.
        return cached_value(self._values, (id(plan), key), lambda: (plan, make()), self._most)[1]
