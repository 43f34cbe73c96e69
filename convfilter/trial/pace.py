"""How coarse a quick look at the whole picture has to be, so that it is answered in time."""

from __future__ import annotations

from collections.abc import Hashable

#: A look that takes longer is followed by a coarser one; one that takes less than the lower limit, by a finer one.
#: The rest of 100 ms is for encoding the PNG, and for the browser.
SLOW_SECONDS, FAST_SECONDS = 0.05, 0.025
#: Most of the factor by which looks become coarser.
_COARSEST = 4


class Pace:
    """The factor, 1, 2 or 4, by which quick looks are coarser, for each kind of stack."""

    def __init__(self) -> None:
        self._factors: dict[Hashable, int] = {}

    def coarser(self, kind: Hashable) -> int:
        """Return the factor of the next look."""
        return self._factors.get(kind, 1)

    def took(self, kind: Hashable, seconds: float) -> None:
        """Adapt the factor to the time of a look; the first does not count, since it may have compiled loops."""
        factor = self._factors.get(kind)
        if factor is None:
            self._factors[kind] = 1
        elif seconds > SLOW_SECONDS:
            self._factors[kind] = min(2 * factor, _COARSEST)
        elif seconds < FAST_SECONDS:
            self._factors[kind] = max(1, factor // 2)
