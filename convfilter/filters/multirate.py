"""Weights of multirate Gaussians, whose cost does not grow with sigma: decimate, blur on the coarse grid, interpolate.

Variances of Gaussians add up: ``sigma**2 = a**2 + m**2 + b**2``. Decimation computes a Gaussian of ``a`` at every s-th
sample, the blur is a Gaussian of ``m / s`` on these, and interpolation is a Gaussian of ``b``, as s phases of a few
taps, each normalised. With a = b = 1.02 s and tails to 5.1 sigma, no 8-bit result is off by more than 0.0007 of a level
before it is rounded; a = b = 1.2 s leaves 6e-7 of full scale.

Rows are decimated first; all three steps then run along the few decimated rows, and rows are interpolated last. So
nearly all arithmetic is in the first and the last pass, which vectorise.
Source: P. J. Burt, "Fast filter transforms for image processing", CGIP 16 (1981), here with outer Gaussians wide enough
that no aliasing shows.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from convfilter.filters.kernels import Weights
from convfilter.record import record


@record
class Quality:
    """Widths and supports of the three Gaussians, which decide the error of a multirate Gaussian.

    Attributes
    ----------
    width : float
        Sigma of the outer Gaussians, in steps.
    support : float
        Reach of their taps, in their sigmas.
    blur : float
        Least sigma of the Gaussian on the coarse grid, in decimated samples. Its samples are off by about
        ``2 exp(-2 (pi * blur)**2)``.
    blur_support : float
        Reach of its taps, in its sigmas.
    """

    width: float
    support: float
    blur: float
    blur_support: float


#: For 8-bit results: up to 4e-6 of the weight misplaced on each axis, 0.0007 of a level on both together.
COARSE = Quality(width=1.02, support=5.1, blur=1.0, blur_support=5.0)
#: For 16-bit results: up to 6.4e-7 of the weight misplaced on each axis.
FINE = Quality(width=1.2, support=5.5, blur=1.0, blur_support=6.0)
#: For real results, and for colours under faint alpha: up to 1.2e-7 of the weight misplaced on each axis.
FINEST = Quality(width=1.5, support=6.2, blur=1.0, blur_support=6.0)


@record
class Rates:
    """The three steps of a multirate Gaussian on one axis.

    Attributes
    ----------
    step : int
        Decimation factor: every ``step``-th sample remains.
    decimation : odd-length array
        Weights of the samples around a decimated sample.
    blur : odd-length array
        Weights of the decimated samples around a decimated sample.
    interpolation : (step, taps) array
        For each phase (distance from the decimated sample at or before the output), weights of decimated samples.
    interpolation_first : int
        The first of these, relative to the decimated sample at or before the output.
    """

    step: int
    decimation: Weights
    blur: Weights
    interpolation: Weights
    interpolation_first: int

    @property
    def decimation_reach(self) -> int:
        """Samples on each side of a decimated sample that decimation reads."""
        return self.decimation.size // 2

    @property
    def blur_reach(self) -> int:
        """Decimated samples on each side that the blur reads."""
        return self.blur.size // 2

    @property
    def interpolation_taps(self) -> int:
        """Decimated samples that each output interpolates."""
        taps: int = self.interpolation.shape[1]
        return taps

    @property
    def multiply_adds(self) -> float:
        """Multiply-adds of one output sample, along one axis."""
        return (self.decimation.size + self.blur.size) / self.step + float(self.interpolation_taps)


def largest_step(sigma: float, quality: Quality) -> int:
    """Return the largest step that leaves the blur on the coarse grid well sampled; below 2, multirate does not pay."""
    return int(sigma / math.sqrt(2 * quality.width**2 + quality.blur**2))


@lru_cache(maxsize=64)
def rates(sigma: float, quality: Quality) -> Rates:
    """Split a Gaussian of ``sigma`` samples (with a largest step of at least 2) into three steps."""
    step = largest_step(sigma, quality)
    outer = quality.width * step
    blur = math.sqrt(sigma**2 - 2 * outer**2) / step
    reach = quality.support * outer
    phases = np.arange(step)[:, np.newaxis]
    first, last = math.ceil(-reach / step), math.floor((step - 1 + reach) / step)
    distance = phases - step * np.arange(first, last + 1)
    interpolation = np.where(np.abs(distance) <= reach, np.exp(-0.5 * (distance / outer) ** 2), 0.0)
    return Rates(
        step,
        _gaussian(outer, int(reach)),
        _gaussian(blur, math.ceil(quality.blur_support * blur)),
        interpolation / interpolation.sum(axis=1, keepdims=True),
        first,
    )


def _gaussian(sigma: float, radius: int) -> Weights:
    samples = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    normalized: Weights = samples / math.fsum(samples)
    return normalized
