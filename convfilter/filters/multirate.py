"""Gaussians at a cost that does not grow with sigma: blur a little, decimate, blur, interpolate.

``sigma**2 = a**2 + m**2 + b**2``. Down: a Gaussian of ``a`` at every s-th sample.
Middle: ``m / s`` on those. Up: a Gaussian of ``b``, as s phases of a few taps, each
normalised. With a = b = 1.02 s and tails to 5.1 sigma no 8-bit result is off by more than 0.0007 of a level
before it is rounded; a = b = 1.2 s leaves 6e-7 of full scale.

Rows go down first, then all three steps along the few decimated rows, then rows come up
again: nearly all work is in the first and the last pass, which vectorise.
Source: P. J. Burt, "Fast filter transforms for image processing", CGIP 16 (1981),
here with the two outer Gaussians wide enough that no aliasing shows.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from convfilter.filters.kernels import Weights
from convfilter.record import record


@record
class Quality:
    """How wide the outer Gaussians are (in steps), and how far their taps reach (in sigmas).

    ``middle`` is the least sigma of the middle Gaussian, in decimated samples: sampled so, it is off by about
    2 exp(-2 (pi * middle)**2). Its taps reach for ``middle_support`` of its sigmas.
    """

    width: float
    support: float
    middle: float
    middle_support: float


#: For 8-bit results: up to 4e-6 of the weight misplaced on each axis, 0.0007 of a level on both together.
COARSE = Quality(width=1.02, support=5.1, middle=1.0, middle_support=5.0)
#: For 16-bit results: up to 6.4e-7 of the weight misplaced on each axis.
FINE = Quality(width=1.2, support=5.5, middle=1.0, middle_support=6.0)
#: For real results, and for colours under faint alpha: up to 1.2e-7 of the weight misplaced on each axis.
FINEST = Quality(width=1.5, support=6.2, middle=1.0, middle_support=6.0)


@record
class Rates:
    """The three steps of a multirate Gaussian on one axis.

    Attributes
    ----------
    step : int
        Decimation factor: every ``step``-th sample remains.
    down, middle : odd-length arrays
        Taps around a decimated sample: of the first step, in samples; of the middle step, in decimated samples.
    up : (step, taps) array
        For each phase (samples after a decimated one), taps over decimated samples.
    up_first : int
        The first of them, relative to the decimated sample at or before the output.
    """

    step: int
    down: Weights
    middle: Weights
    up: Weights
    up_first: int

    @property
    def down_reach(self) -> int:
        """Samples on each side of a decimated one that the first step reads."""
        return self.down.size // 2

    @property
    def middle_reach(self) -> int:
        """Decimated samples on each side that the middle step reads."""
        return self.middle.size // 2

    @property
    def multiply_adds(self) -> float:
        """For one sample, over the three steps."""
        return (self.down.size + self.middle.size) / self.step + float(self.up.shape[1])


def largest_step(sigma: float, quality: Quality) -> int:
    """Return the largest step that leaves the middle Gaussian well sampled; below 2, multirate does not pay."""
    return int(sigma / math.sqrt(2 * quality.width**2 + quality.middle**2))


@lru_cache(maxsize=64)
def rates(sigma: float, quality: Quality) -> Rates:
    """Split a Gaussian of ``sigma`` samples (with a largest step of at least 2) into three steps."""
    step = largest_step(sigma, quality)
    outer = quality.width * step
    middle = math.sqrt(sigma**2 - 2 * outer**2) / step
    reach = quality.support * outer
    phases = np.arange(step)[:, np.newaxis]
    first, last = math.ceil(-reach / step), math.floor((step - 1 + reach) / step)
    distance = phases - step * np.arange(first, last + 1)
    up = np.where(np.abs(distance) <= reach, np.exp(-0.5 * (distance / outer) ** 2), 0.0)
    return Rates(
        step,
        _gaussian(outer, int(reach)),
        _gaussian(middle, math.ceil(quality.middle_support * middle)),
        up / up.sum(axis=1, keepdims=True),
        first,
    )


def _gaussian(sigma: float, radius: int) -> Weights:
    samples = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    normalized: Weights = samples / math.fsum(samples)
    return normalized
