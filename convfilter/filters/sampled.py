"""Kernels sampled from formulas: differences, waves, lines, disks; each states its sum and its source."""

from __future__ import annotations

import math

import numpy as np

from convfilter.errors import ParameterError
from convfilter.filters.kernel import Kernel, Weights
from convfilter.filters.kernels import GAUSSIAN_SUPPORT_SIGMAS, gaussian


def roberts(axis: str) -> Kernel:
    """Return the difference along one diagonal of a 2x2 window: ``1 0; 0 -1`` (x) or ``0 1; -1 0`` (y). Sum 0.

    Notes
    -----
    L. G. Roberts, "Machine perception of three-dimensional solids", 1963.
    """
    return Kernel(np.array([[1.0, 0.0], [0.0, -1.0]] if axis == "x" else [[0.0, 1.0], [-1.0, 0.0]]))


def emboss() -> Kernel:
    """Return the relief ``-2 -1 0; -1 1 1; 0 1 2``. Sum 1."""
    return Kernel(np.array([[-2.0, -1.0, 0.0], [-1.0, 1.0, 1.0], [0.0, 1.0, 2.0]]))


def gaussian_derivative(sigma: float, order: int, axis: str) -> Kernel:
    """Return the sampled derivative of a Gaussian along one axis, times a Gaussian across it. Sum 0.

    Parameters
    ----------
    sigma : float
        Standard deviation in pixels, above 0.
    order : int
        1 to 4. An odd derivative is positive where the picture rises to the
        right (``x``) or downward (``y``), as in ``scipy.ndimage``.
    axis : {"x", "y"}

    Notes
    -----
    The Gaussian is normalised first. From an even derivative, whose samples do not sum to zero, the Gaussian times
    their sum is subtracted.

    Raises
    ------
    ParameterError
        Sigma or order is out of range.
    """
    if not 1 <= order <= 4:
        raise ParameterError(f"derivative order must be 1 to 4, got {order}")
    across, along = _gaussian_and_derivative(sigma, order)
    return Kernel(factors=(across, along) if axis == "x" else (along, across))


def _gaussian_and_derivative(sigma: float, order: int) -> tuple[Weights, Weights]:
    """Sample a Gaussian and its derivative, as weights of a correlation."""
    samples = _gaussian_samples(sigma)
    offsets = np.arange(samples.size) - samples.size // 2
    # Rodrigues: the n-th derivative is (-1)^n He_n(x / sigma) / sigma^n times the Gaussian; correlation flips the sign.
    hermite = np.polynomial.hermite_e.hermeval(offsets / sigma, [0.0] * order + [1.0])
    derivative = hermite / sigma**order * samples
    if order % 2 == 0:
        derivative -= math.fsum(derivative) * samples
    return samples, derivative


def _gaussian_samples(sigma: float) -> Weights:
    factors = gaussian(_require_sigma(sigma), sigma).factors
    assert factors is not None
    return factors[0]


def _require_sigma(sigma: float) -> float:
    if not (math.isfinite(sigma) and sigma > 0):
        raise ParameterError(f"sigma must be a finite number above 0, got {sigma:g}")
    return sigma


def laplacian_of_gaussian(sigma: float) -> Kernel:
    """Return the sum of the second derivatives of a Gaussian. Sum 0.

    Notes
    -----
    D. Marr, E. Hildreth, "Theory of edge detection", 1980.

    Raises
    ------
    ParameterError
        Sigma is not above 0.
    """
    samples, second = _gaussian_and_derivative(sigma, 2)
    return Kernel(np.outer(samples, second) + np.outer(second, samples))


def difference_of_gaussians(sigma: float, ratio: float = 1.6) -> Kernel:
    """Return the Gaussian of ``sigma`` minus the Gaussian of ``ratio * sigma``. Sum 0.

    Notes
    -----
    D. Marr, E. Hildreth (1980): a ratio of 1.6 comes closest to the Laplacian.

    Raises
    ------
    ParameterError
        Sigma is not above 0, or the ratio not above 1.
    """
    if not (math.isfinite(ratio) and ratio > 1):
        raise ParameterError(f"ratio must be a finite number above 1, got {ratio:g}")
    narrow, wide = _gaussian_samples(sigma), _gaussian_samples(sigma * ratio)
    narrow = np.pad(narrow, (wide.size - narrow.size) // 2)
    return Kernel(np.outer(narrow, narrow) - np.outer(wide, wide))


def gabor(sigma: float, wavelength: float, angle: float = 0.0, phase: float = 0.0, aspect: float = 1.0) -> Kernel:
    """Return a cosine wave under a Gaussian cut at 3 sigma; the weights are divided by the sum of the Gaussian.

    Parameters
    ----------
    sigma, wavelength : float
        Standard deviation of the Gaussian and length of the wave, in pixels.
    angle : float
        Direction of the wave, in degrees counter-clockwise from the right.
    phase : float
        Phase at the centre, in degrees.
    aspect : float
        The Gaussian's sigma across the wave is ``sigma / aspect``.

    Notes
    -----
    J. G. Daugman, "Uncertainty relation for resolution in space, spatial
    frequency, and orientation", 1985.

    Raises
    ------
    ParameterError
        Sigma, wavelength or aspect is not above 0.
    """
    for name, value in (("wavelength", wavelength), ("aspect", aspect)):
        if not (math.isfinite(value) and value > 0):
            raise ParameterError(f"gabor {name} must be a finite number above 0, got {value:g}")
    radius = math.ceil(GAUSSIAN_SUPPORT_SIGMAS / 2 * _require_sigma(sigma) * max(1.0, 1.0 / aspect))
    right = np.arange(-radius, radius + 1.0)
    up = -right[:, np.newaxis]
    along = right * math.cos(math.radians(angle)) + up * math.sin(math.radians(angle))
    across = up * math.cos(math.radians(angle)) - right * math.sin(math.radians(angle))
    envelope = np.exp(-(along**2 + (aspect * across) ** 2) / (2 * sigma**2))
    return Kernel(envelope * np.cos(2 * np.pi * along / wavelength + math.radians(phase)) / envelope.sum())


def motion(length: float, angle: float = 0.0) -> Kernel:
    """Return the mean along a line of ``length`` pixels at ``angle`` degrees, anti-aliased. Sum 1.

    Notes
    -----
    A pixel's weight is one minus its distance to the line between the centres
    of its first and last pixel, if positive.

    Raises
    ------
    ParameterError
        The length is below 1.
    """
    if not (math.isfinite(length) and length >= 1):
        raise ParameterError(f"motion length must be at least 1, got {length:g}")
    half = (length - 1) / 2
    # Exact at multiples of 90 degrees, where the line passes through pixel centres.
    quarter = divmod(angle, 90.0)
    exact = ((1.0, 0.0), (0.0, 1.0), (-1.0, 0.0), (0.0, -1.0))[int(quarter[0]) % 4]
    cosine, sine = exact if quarter[1] == 0 else (math.cos(math.radians(angle)), math.sin(math.radians(angle)))
    cols, rows = (math.ceil(half * abs(part) + 1) - 1 for part in (cosine, sine))
    right = np.arange(-cols, cols + 1.0)
    up = -np.arange(-rows, rows + 1.0)[:, np.newaxis]
    along = np.abs(right * cosine + up * sine)
    across = up * cosine - right * sine
    weights = np.maximum(0.0, 1 - np.hypot(np.maximum(along - half, 0.0), across))
    return Kernel(weights, divisor=math.fsum(weights.ravel()))


def disk(radius: float) -> Kernel:
    """Return the mean of a disk; a pixel's weight is the share of its area within the disk. Sum 1.

    Raises
    ------
    ParameterError
        The radius is not above 0.
    """
    if not (math.isfinite(radius) and radius > 0):
        raise ParameterError(f"disk radius must be a finite number above 0, got {radius:g}")
    side = max(0, math.ceil(radius - 0.5))
    edges = np.concatenate([[0.0], np.arange(side + 1) + 0.5])
    quarter = _covered(edges, radius)
    # The first cells of the quarter are half pixels, on the axes.
    half = np.concatenate([quarter[:0:-1], 2 * quarter[:1], quarter[1:]])
    weights = np.concatenate([half[:, :0:-1], 2 * half[:, :1], half[:, 1:]], axis=1)
    return Kernel(weights, divisor=math.fsum(weights.ravel()))


def _covered(edges: Weights, radius: float) -> Weights:
    """Return the area within a disk about the origin of each cell of a grid in its first quadrant."""
    left, right = edges[:-1], edges[1:]
    low, high = edges[:-1, np.newaxis], edges[1:, np.newaxis]

    def reach(y: Weights) -> Weights:
        return np.sqrt(np.maximum(radius**2 - y**2, 0.0))

    def integral(x: Weights) -> Weights:
        area: Weights = (x * reach(x) + radius**2 * np.arcsin(np.minimum(x / radius, 1.0))) / 2
        return area

    covered_to = np.clip(reach(high), left, right)  # left of here the circle runs above the cell
    crossed_to = np.clip(reach(low), left, right)  # right of here the circle runs below the cell
    crossed = integral(crossed_to) - integral(covered_to) - (crossed_to - covered_to) * low
    area: Weights = (covered_to - left) * (high - low) + crossed
    return np.maximum(area, 0.0)
