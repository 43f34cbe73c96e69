"""The coarseness of previews of the whole picture, chosen to answer each request within 100 ms."""

from __future__ import annotations

from collections.abc import Hashable

#: Limits of the time of a preview: after a slower one, the next is coarser; after a faster one, finer. The rest of the
#: 100 ms is for encoding the PNG, and for the browser.
SLOW_SECONDS, FAST_SECONDS = 0.05, 0.025
#: Largest factor.
_COARSEST = 4


class Pace:
    """The factor (1, 2 or 4) by which previews are coarser than the page can show, for each kind of stack."""

    def __init__(self) -> None:
        self._factors: dict[Hashable, int] = {}

    def factor(self, kind: Hashable) -> int:
        """Return the factor of the next preview."""
        return self._factors.get(kind, 1)

    def record(self, kind: Hashable, seconds: float) -> None:
        """Adapt the factor to the time of a preview, except the first, which may have compiled loops."""
        factor = self._factors.get(kind)
        if factor is None:
            self._factors[kind] = 1
        elif seconds > SLOW_SECONDS:
            self._factors[kind] = min(2 * factor, _COARSEST)
        elif seconds < FAST_SECONDS:
            self._factors[kind] = max(1, factor // 2)
