"""Weights of multirate Gaussians, whose cost does not grow with sigma: decimate, blur on the coarse grid, interpolate.

Decimation computes a weighted sum at every s-th sample, the blur is a kernel on these, and interpolation is s phases of
a few taps each, every phase normalised. The weights of decimation and interpolation are Kaiser-Bessel windows: they
alias as little as Gaussians of nearly twice as many taps. The blur turns both windows into the Gaussian: its spectrum
is that of the Gaussian over the product of theirs.

Rows are decimated first; all three steps then run along the few decimated rows, and rows are interpolated last. So
nearly all arithmetic is in the first and the last pass, which vectorise.
Sources: P. J. Burt, "Fast filter transforms for image processing", CGIP 16 (1981); for the windows, J. I. Jackson et
al., "Selection of a convolution function for Fourier inversion using gridding", IEEE Trans. Medical Imaging 10 (1991).
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from convfilter.filters.kernel import Weights
from convfilter.record import record

if TYPE_CHECKING:
    import numpy.typing as npt


@record
class KaiserBessel:
    """A Kaiser-Bessel window, and the blur of the coarse grid; both decide the error of a multirate Gaussian.

    Attributes
    ----------
    width : int
        In steps: the taps of an interpolation.
    shape : float
        Shape parameter ("beta"): a larger one lowers the side lobes of the spectrum and widens its main lobe.
    sigma : float
        Least sigma of the Gaussian in steps. Its spectrum must have faded at the highest frequency of the coarse grid.
    least : float
        The blur ends at its first tap below this.
    wrong : float
        Largest error along an axis, as a share of the range of samples: half the sum of wrong weights.
    """

    width: int
    shape: float
    sigma: float
    least: float
    wrong: float


#: Windows of one quality; the one that takes the fewest multiply-adds is used.
Quality: TypeAlias = tuple[KaiserBessel, ...]

#: For 8-bit results: wrong weights of up to 3.6e-6 in all on each axis, 0.0009 of a level on both together.
COARSE: Quality = (
    KaiserBessel(6, 15.6, sigma=2.2, least=2e-7, wrong=1.9e-6),
    KaiserBessel(7, 17.15, sigma=1.9, least=6e-7, wrong=1.9e-6),
)
#: For other results, and for colours under faint alpha: wrong weights of up to 6.2e-8 in all on each axis.
FINE: Quality = (KaiserBessel(8, 19.6, sigma=2.2, least=3e-9, wrong=3.2e-8),)
#: Frequencies above 0, up to the highest of the coarse grid, at which spectra are computed.
_FREQUENCIES = 32


@record(eq=False)
class Rates:
    """The three steps of a multirate Gaussian on one axis, compared by identity: :func:`rates` caches them.

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
    wrong : float
        Bound of the error along the axis, as a share of the range of samples.
    """

    step: int
    decimation: Weights
    blur: Weights
    interpolation: Weights
    interpolation_first: int
    wrong: float

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
    """Return the largest step at which a coarse grid holds the Gaussian; below 2, multirate does not pay."""
    return max(int(sigma / window.sigma) for window in quality)


@lru_cache(maxsize=64)
def rates(sigma: float, quality: Quality) -> Rates:
    """Split a Gaussian of ``sigma`` samples (with a largest step of at least 2) into three steps."""
    steps = [(int(sigma / window.sigma), window) for window in quality]
    return min((_rates(sigma, step, window) for step, window in steps if step > 1), key=lambda each: each.multiply_adds)


def _rates(sigma: float, step: int, window: KaiserBessel) -> Rates:
    reach = (window.width * step - 1) // 2
    decimation = _samples(np.arange(-reach, reach + 1), step, window)
    decimation /= math.fsum(decimation)
    first, last = -(reach // step), (reach + step - 1) // step
    distance = np.arange(step)[:, np.newaxis] - step * np.arange(first, last + 1)
    interpolation = _samples(distance, step, window)
    interpolation /= interpolation.sum(axis=1, keepdims=True)
    reached = (distance >= 0) & (distance <= reach)  # the outputs from a decimated sample on
    from_sample = np.zeros(reach + 1)
    from_sample[distance[reached]] = interpolation[reached]
    spectra = _spectrum(decimation[reach:], step), _spectrum(from_sample, step)
    blur = _blur(sigma / step, spectra, window.least)
    return Rates(step, decimation, blur, interpolation, first, window.wrong)


def _samples(distance: npt.NDArray[np.int64], step: int, window: KaiserBessel) -> Weights:
    """Return samples of a window at distances from its centre."""
    inside = 1.0 - (2.0 * distance / (window.width * step)) ** 2
    samples: Weights = np.where(inside > 0, np.i0(window.shape * np.sqrt(np.maximum(inside, 0.0))), 0.0)
    return samples


def _spectrum(weights: Weights, step: int) -> Weights:
    """Return the spectrum, over that at frequency 0, of a symmetric kernel given from its centre on.

    Frequencies reach to twice the highest of the coarse grid.
    """
    angles = np.pi / step * np.outer(np.linspace(0, 2, 2 * _FREQUENCIES + 1), np.arange(weights.size))
    spectrum = (2 * np.cos(angles) * weights).sum(axis=1) - weights[0]
    normalized: Weights = spectrum / spectrum[0]
    return normalized


def _blur(sigma: float, spectra: tuple[Weights, Weights], least: float) -> Weights:
    """Return the kernel on the coarse grid with which both windows make a Gaussian of ``sigma``.

    On that grid a frequency and its alias are one. The spectrum minimises the squared errors of both.
    """
    decimation, interpolation = spectra
    angles = np.linspace(0, 2 * np.pi, decimation.size)
    gaussian = np.exp(-0.5 * (sigma * angles) ** 2)
    power = _with_alias(decimation**2) * _with_alias(interpolation**2)
    spectrum = _with_alias(decimation * interpolation * gaussian) / power
    spectrum[[0, -1]] /= 2  # the inverse transform counts every other frequency twice
    cosines = np.cos(np.outer(np.arange(_FREQUENCIES), angles[: spectrum.size]))
    taps = (cosines * spectrum).sum(axis=1) / _FREQUENCIES
    side = taps[: int(np.argmax(taps < least))]
    blur = np.concatenate([side[:0:-1], side])
    normalized: Weights = blur / math.fsum(blur)
    return normalized


def _with_alias(spectrum: Weights) -> Weights:
    """Add, for each frequency of the coarse grid, the value at its alias."""
    both: Weights = spectrum[: _FREQUENCIES + 1] + spectrum[: _FREQUENCIES - 1 : -1]
    return both
