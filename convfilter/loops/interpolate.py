"""Interpolation between two ranks, as ``numpy.percentile`` computes it."""

from __future__ import annotations

import numpy as np

#: Samples of a pass.
_TOGETHER = 512


def interpolate(low, high, shares, numbers, numbered, count, out):
    """Write the numbers between ``low`` and ``high`` at a share of the way, from 0 to 1; at a share of 0, ``low``.

    The share of sample x is ``shares[numbers[x]]`` if samples are ``numbered``, else ``shares[0]``. Each product is
    stored before the sum, so that the compiler cannot fuse the two.
    """
    for first in range(0, count, _TOGETHER):
        last = min(first + _TOGETHER, count)
        for x in range(first, last):
            share = shares[numbers[x]] if numbered != 0 else shares[0]
            distance = np.float64(high[x]) - np.float64(low[x])
            out[x] = distance * (share if share < 0.5 else 1.0 - share)
        for x in range(first, last):
            share = shares[numbers[x]] if numbered != 0 else shares[0]
            one, other = np.float64(low[x]), np.float64(high[x])
            between = one + out[x] if share < 0.5 else other - out[x]
            out[x] = one if one == other or share == 0 else between
    return 0
