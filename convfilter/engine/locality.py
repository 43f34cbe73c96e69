"""Checks that no sample affects outputs beyond its window, for methods that process several windows at once."""

from __future__ import annotations

import numpy as np

from convfilter.engine.buffer import Samples
from convfilter.engine.threads import cut

#: Samples whose flags fit the cache.
_LOOKED_AT = 2**16
#: A float64 transform leaves 1e-15 of the largest sample anywhere in its tile. Samples below this share of it are lost,
#: and the tile is refused if they are more than this share of all.
_DROWNED = 2.0**-30
_FEW = 1e-3


class NotLocalError(Exception):
    """A method would spread samples beyond their windows; ``stage`` is the number of its stage, if known."""

    def __init__(self, stage: int = -1) -> None:
        super().__init__(stage)
        self.stage = stage


def all_finite(image: Samples) -> bool:
    """Whether no sample is infinite or not a number."""
    rows = max(1, _LOOKED_AT // max(1, image[:1].size))
    return all(bool(np.isfinite(image[first:last]).all()) for first, last in cut(len(image), rows))


def require_visible(tile: Samples) -> None:
    """Refuse a transform's tile whose largest sample (-3.4e38 for missing data) would drown others in rounding.

    Raises
    ------
    NotLocalError
        The rounding of the largest sample would hide more than a few others.
    """
    magnitudes = np.abs(tile)
    small = np.count_nonzero((magnitudes > 0) & (magnitudes < magnitudes.max() * _DROWNED))
    if small > _FEW * tile.size:
        raise NotLocalError
