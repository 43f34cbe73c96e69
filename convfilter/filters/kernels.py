"""The named kernels of constant or Gaussian weights: box, Gaussian, Sobel and others; each states sum and source."""

from __future__ import annotations

import math

import numpy as np

from convfilter.errors import ParameterError, shown
from convfilter.filters.kernel import Kernel, Weights

#: Truncation of a Gaussian: its tail, below exp(-18) of the peak, cannot change a rounded sample.
GAUSSIAN_SUPPORT_SIGMAS = 6.0
#: Largest sigma: a larger one would give more taps than any picture has rows.
LARGEST_SIGMA = 10_000.0
#: Longest side of a box: longer than any picture's.
LARGEST_BOX = 2**24
#: Sobel's smoothing and difference of 5 and 7 taps, as in OpenCV: binomials and their differences.
_LARGER = {
    5: ((1.0, 4.0, 6.0, 4.0, 1.0), (1.0, 2.0, 0.0, -2.0, -1.0)),
    7: ((1.0, 6.0, 15.0, 20.0, 15.0, 6.0, 1.0), (1.0, 4.0, 5.0, 0.0, -5.0, -4.0, -1.0)),
}
#: Matched smoothing and first derivative of five taps.
_FARID = (
    (0.0376593171958126, 0.249153396177344, 0.426374573253687, 0.249153396177344, 0.0376593171958126),
    (0.109603762960254, 0.276690988455557, 0.0, -0.276690988455557, -0.109603762960254),
)
_KIRSCH = ((5.0, 5.0, 5.0), (-3.0, 0.0, -3.0), (-3.0, -3.0, -3.0))
_ROBINSON = ((1.0, 2.0, 1.0), (0.0, 0.0, 0.0), (-1.0, -2.0, -1.0))
#: The neighbours of a 3x3 window's centre, clockwise.
_AROUND = ((0, 0), (0, 1), (0, 2), (1, 2), (2, 2), (2, 1), (2, 0), (1, 0))
_SMOOTH = {"sobel": (1.0, 2.0, 1.0), "scharr": (3.0, 10.0, 3.0), "prewitt": (1.0, 1.0, 1.0)}
#: Central difference with the lecture's sign: the left neighbour is positive.
_DIFFERENCE = (1.0, 0.0, -1.0)


def identity() -> Kernel:
    """Return one weight of one, which leaves a picture unchanged. Sum 1."""
    return Kernel(factors=(np.ones(1), np.ones(1)))


def box(rows: int, cols: int) -> Kernel:
    """Return the mean of a window of ``rows`` x ``cols`` pixels. Sum 1.

    Raises
    ------
    ParameterError
        A side is no whole number from 1 to 2**24.
    """
    for side in (rows, cols):
        if not isinstance(side, int | np.integer):
            raise ParameterError(f"box size must be a whole number, got {shown(side)}")
        if not 1 <= side <= LARGEST_BOX:
            raise ParameterError(f"box size must be at {'least 1' if side < 1 else f'most {LARGEST_BOX}'}, got {side}")
    return Kernel(factors=(np.ones(rows), np.ones(cols)), divisor=float(rows * cols))


def gaussian(sigma_rows: float, sigma_cols: float, truncate: float | None = None) -> Kernel:
    """Return the Gaussian ``exp(-x**2 / (2 sigma**2))``, sampled at the integers. Sum 1.

    Parameters
    ----------
    sigma_rows, sigma_cols : float
        Standard deviation in pixels along each axis, 0 to 10 000; 0 does not blur along the axis.
    truncate : float, optional
        Cut at ``int(truncate * sigma + 0.5)`` pixels, as ``scipy.ndimage`` does. By default the Gaussian is whole: cut
        at 6 sigma, where the tail cannot change a rounded sample.

    Raises
    ------
    ParameterError
        A sigma or ``truncate`` is negative or not finite.
    """
    for sigma in (sigma_rows, sigma_cols):
        if not isinstance(sigma, (int, float, np.integer, np.floating)) or not 0 <= sigma <= LARGEST_SIGMA:
            raise ParameterError(f"gaussian sigma must be a number from 0 to {LARGEST_SIGMA:g}, got {shown(sigma)}")
    if isinstance(truncate, np.ndarray) and truncate.ndim == 0:
        truncate = truncate.item()
    is_number = isinstance(truncate, int | float | np.integer | np.floating)
    if truncate is not None and not (is_number and 0 < truncate < math.inf):
        raise ParameterError(f"gaussian truncate must be a finite number above 0, got {shown(truncate)}")
    if truncate is not None and truncate * max(sigma_rows, sigma_cols) > LARGEST_BOX:
        raise ParameterError(f"gaussian truncate times sigma must be at most {LARGEST_BOX}, got {truncate:g}")
    support = GAUSSIAN_SUPPORT_SIGMAS if truncate is None else truncate
    factors = _sampled_gaussian(sigma_rows, support), _sampled_gaussian(sigma_cols, support)
    return Kernel(factors=factors, sigma=(sigma_rows, sigma_cols) if truncate is None else None)


def _sampled_gaussian(sigma: float, support: float) -> Weights:
    radius = int(support * sigma + 0.5)
    if radius == 0:
        return np.ones(1)
    offsets = np.arange(-radius, radius + 1, dtype=np.float64)
    samples = np.exp(-0.5 * (offsets / sigma) ** 2)
    normalized: Weights = samples / math.fsum(samples)
    return normalized


def derivative(family: str, axis: str, size: int = 3) -> Kernel:
    """Return a derivative kernel: a difference along ``axis``, smoothed across it. Sum 0.

    Parameters
    ----------
    family : {"sobel", "scharr", "prewitt", "freichen", "farid"}
        Smoothing weights 1 2 1, 3 10 3, 1 1 1 or 1 sqrt(2) 1, the last over 2 sqrt(2); Farid's are 5x5.
    axis : {"x", "y"}
        ``x`` finds vertical edges: its left column is positive. ``y`` is its transpose.
    size : {3, 5, 7}
        Size of Sobel kernels: 5 and 7 have OpenCV's weights, with the sign of the 3x3 kernels.

    Raises
    ------
    ParameterError
        The family has no kernels of this size.

    Notes
    -----
    Sources: I. Sobel, G. Feldman (1968); H. Scharr (2000); J. Prewitt (1970); W. Frei, C. Chen, "Fast boundary
    detection: a generalization and a new algorithm", IEEE Trans. Computers 26 (1977); H. Farid, E. P. Simoncelli,
    "Differentiation of discrete multidimensional signals", IEEE Trans. Image Processing 13 (2004).
    """
    is_known = isinstance(size, int | np.integer) and (size == 3 or (family == "sobel" and size in _LARGER))
    if not is_known:
        raise ParameterError(f"{family} has no kernels of size {shown(size)}; sobel's are 3, 5 and 7")
    smooth, difference = np.array(_SMOOTH.get(family, (1.0, math.sqrt(2), 1.0))), np.array(_DIFFERENCE)
    if family == "freichen":
        smooth /= 2 * math.sqrt(2)
    elif family == "farid" or size != 3:
        smooth, difference = map(np.array, _FARID if family == "farid" else _LARGER[size])
    return Kernel(factors=(smooth, difference) if axis == "x" else (difference, smooth))


def compass(family: str) -> tuple[Kernel, ...]:
    """Return eight 3x3 kernels for edges in eight directions: one pattern with its border rotated. Sum 0 each.

    Parameters
    ----------
    family : {"kirsch", "robinson"}
        5 5 5; -3 0 -3; -3 -3 -3 or 1 2 1; 0 0 0; -1 -2 -1.

    Notes
    -----
    Sources: R. A. Kirsch, "Computer determination of the constituent structure of biological images", Computers and
    Biomedical Research 4 (1971); G. S. Robinson, "Edge detection by compass gradient masks", Computer Graphics and
    Image Processing 6 (1977).
    """
    pattern = np.array(_KIRSCH if family == "kirsch" else _ROBINSON)
    rows, cols = np.array(_AROUND).T
    rotations = []
    for places in range(len(_AROUND)):
        weights = pattern.copy()
        weights[rows, cols] = np.roll(pattern[rows, cols], places)
        rotations.append(Kernel(weights))
    return tuple(rotations)


def laplacian() -> Kernel:
    """Return the sum of the second differences, 4-connected: 0 1 0, 1 -4 1, 0 1 0. Sum 0."""
    return Kernel(np.array([[0.0, 1.0, 0.0], [1.0, -4.0, 1.0], [0.0, 1.0, 0.0]]))
