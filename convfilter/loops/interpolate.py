"""Linear interpolation between samples of two ranks, with the rounding of ``numpy.percentile``, and their means."""

from __future__ import annotations

import numpy as np

#: Number of samples of a pass.
_TOGETHER = 512


def interpolate(low, high, fractions, numbers, numbered, averages, count, out):
    """Write ``low + fraction * (high - low)``; exactly ``low`` if the fraction is 0 or both samples are equal.

    The fraction of sample x is ``fractions[numbers[x]]`` if samples are ``numbered``, else ``fractions[0]``; it is from
    0 to 1. Each product is stored before it is added, so that the compiler cannot fuse the two operations. If the loop
    ``averages``, fractions are 0 or 1/2, and half of the sum is written, or the sum of halves where the sum overflows.
    """
    if averages != 0:
        for x in range(count):
            fraction = fractions[numbers[x]] if numbered != 0 else fractions[0]
            one, other = np.float64(low[x]), np.float64(high[x])
            total = one + other
            mean = 0.5 * one + 0.5 * other if abs(total) == np.inf else 0.5 * total
            out[x] = one if one == other or fraction == 0 else mean
        return 0
    for first in range(0, count, _TOGETHER):
        last = min(first + _TOGETHER, count)
        for x in range(first, last):
            fraction = fractions[numbers[x]] if numbered != 0 else fractions[0]
            distance = np.float64(high[x]) - np.float64(low[x])
            out[x] = distance * (fraction if fraction < 0.5 else 1.0 - fraction)
        for x in range(first, last):
            fraction = fractions[numbers[x]] if numbered != 0 else fractions[0]
            one, other = np.float64(low[x]), np.float64(high[x])
            between = one + out[x] if fraction < 0.5 else other - out[x]
            out[x] = one if one == other or fraction == 0 else between
    return 0
