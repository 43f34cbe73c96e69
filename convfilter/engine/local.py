"""Samples that must not be seen beyond their windows, by methods that work on more than one window at a time."""

from __future__ import annotations

import numpy as np

from convfilter.engine.buffer import Samples
from convfilter.engine.threads import cut

#: Samples whose marks stay in cache while they are looked at.
_LOOKED_AT = 2**16
#: A transform in float64 leaves 1e-15 of the largest sample anywhere in its tile. Samples below this share of it are
#: lost to that, if there are more of them than this share of all.
_DROWNED = 2.0**-30
_FEW = 1e-3


class NotLocalError(Exception):
    """A method would show samples beyond their windows; ``stage`` is the number of its stage, where that is known."""

    def __init__(self, stage: int = -1) -> None:
        super().__init__(stage)
        self.stage = stage


def all_finite(image: Samples) -> bool:
    """Whether no sample is infinite or not a number."""
    rows = max(1, _LOOKED_AT // max(1, image[:1].size))
    return all(bool(np.isfinite(image[first:last]).all()) for first, last in cut(len(image), rows))


def require_visible(tile: Samples) -> None:
    """Refuse a transform's tile with samples so large, such as -3.4e38 for missing data, that others drown beside them.

    Raises
    ------
    NotLocalError
        The rounding of the largest sample would hide more than a few others.
    """
    magnitudes = np.abs(tile)
    small = np.count_nonzero((magnitudes > 0) & (magnitudes < magnitudes.max() * _DROWNED))
    if small > _FEW * tile.size:
        raise NotLocalError
