"""Samples that must not be seen beyond their windows, by ways that work on more than one window at a time."""

from __future__ import annotations

import numpy as np

from convfilter.engine.bands import cut
from convfilter.engine.tiles import Samples
from convfilter.planning import StagePlan

#: Samples whose marks stay in cache while they are looked at.
_LOOKED_AT = 2**16
#: A transform in float64 leaves 1e-15 of the largest sample anywhere in its tile. Samples below this share of it are
#: lost to that, if there are more of them than this share of all.
_DROWNED = 2.0**-30
_FEW = 1e-3


def stays_local(plan: StagePlan, image: Samples) -> bool:
    """Whether a way that works on more than windows shows no sample outside of its windows.

    What is infinite or not a number would spread, and with a transform the rounding of samples so large that others
    drown in it, such as -3.4e38 for missing data.
    """
    return all_finite(image) and (plan.algorithm != "fourier" or not _drowns(image))


def _drowns(image: Samples) -> bool:
    """Whether more than a few samples are so small beside the largest one that its rounding would hide them."""
    largest = max(float(image.max()), -float(image.min()))
    small = 0
    for first, last in cut(len(image), _rows_looked_at(image)):
        magnitudes = np.abs(image[first:last])
        small += int(np.count_nonzero((magnitudes > 0) & (magnitudes < largest * _DROWNED)))
    return small > _FEW * image.size


def _rows_looked_at(image: Samples) -> int:
    return max(1, _LOOKED_AT // max(1, image[:1].size))


def all_finite(image: Samples) -> bool:
    """Whether no sample is infinite or not a number."""
    blocks = cut(len(image), _rows_looked_at(image))
    return all(bool(np.isfinite(image[first:last]).all()) for first, last in blocks)
