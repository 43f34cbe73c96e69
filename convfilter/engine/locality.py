"""Checks that no sample affects outputs beyond its window, for methods that process several windows at once."""

from __future__ import annotations

import numpy as np

from convfilter.engine.buffer import Samples

#: A float64 transform leaves rounding errors of 1e-15 of its largest sample anywhere in its tile. Samples below this
#: share of the largest are lost in them.
_LOST_MAGNITUDE = 2.0**-30
#: Largest share of lost samples in a tile.
_MOST_LOST = 1e-3


class NotLocalError(Exception):
    """A method would spread samples beyond their windows; ``stage`` is the number of its stage, or -1 if unknown."""

    def __init__(self, stage: int = -1) -> None:
        super().__init__(stage)
        self.stage = stage


def require_visible(tile: Samples) -> None:
    """Refuse a transform's tile whose largest sample (-3.4e38 for missing data) would hide others in its rounding.

    Raises
    ------
    NotLocalError
        A sample is infinite or not a number, or more than a thousandth of the samples would be lost.
    """
    magnitudes = np.abs(tile)
    largest = magnitudes.max()
    lost = np.count_nonzero((magnitudes > 0) & (magnitudes < largest * _LOST_MAGNITUDE))
    if not np.isfinite(largest) or lost > _MOST_LOST * tile.size:
        raise NotLocalError
