"""Kernels with constant or Gaussian weights: box, Gaussian, Sobel and others; each states its sum and its source."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from convfilter.errors import KernelFileError, ParameterError, shown
from convfilter.record import cached_property, record

Weights = npt.NDArray[np.float64]

#: Truncation of a Gaussian: its tail, below exp(-18) of the peak, cannot change a rounded sample.
GAUSSIAN_SUPPORT_SIGMAS = 6.0
#: Largest sigma: a larger one would give more taps than any picture has rows.
LARGEST_SIGMA = 10_000.0
#: Longest side of a box: longer than any picture's.
LARGEST_BOX = 2**24
#: Largest denominator of a weight that counts as a fraction; other weights are real numbers.
_LARGEST_DENOMINATOR = 2**16
#: Largest magnitude up to which float64 holds every integer.
_LARGEST_EXACT = 2.0**53
#: Largest sum of magnitudes: times the largest 16-bit sample, the sum is still finite in float64.
_LARGEST_GAIN = 1e300

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


@record(eq=False)
class Kernel:
    """Weights of a 2-D filter, as ``numerators / divisor``.

    Integer numerators with one divisor keep a rational kernel exact: the engine
    sums integers and divides once, at the end.

    Attributes
    ----------
    numerators : (rows, cols) float64 array, or None
        None if the kernel has only factors: a Gaussian of sigma 1000 has 144 million weights.
    factors : (column, row) of 1-D float64 arrays, or None
        Factors of a separable kernel, whose outer product is the numerators.
    divisor : float
        Divisor of the weighted sum.
    sigma : (rows, cols) of float, or None
        Sigma of a sampled Gaussian of full support; None for other kernels.
    """

    numerators: Weights | None = None
    factors: tuple[Weights, Weights] | None = None
    divisor: float = 1.0
    sigma: tuple[float, float] | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        if self.factors is not None:
            return self.factors[0].size, self.factors[1].size
        assert self.numerators is not None
        rows, cols = self.numerators.shape
        return rows, cols

    @cached_property
    def matrix(self) -> Weights:
        """The numerators as a (rows, cols) array."""
        if self.numerators is not None:
            return self.numerators
        assert self.factors is not None
        return np.outer(*self.factors)

    @property
    def weights(self) -> Weights:
        """The weights: numerators over divisor, (rows, cols) float64."""
        return self.matrix / self.divisor

    @cached_property
    def sum(self) -> float:
        """Sum of the weights."""
        return self.numerator_sum / self.divisor

    @cached_property
    def numerator_sum(self) -> float:
        """Sum of the numerators; ``sum * divisor`` may round."""
        if self.factors is not None:
            return math.fsum(self.factors[0]) * math.fsum(self.factors[1])
        return math.fsum(self.matrix.ravel())

    @cached_property
    def absolute_sum(self) -> float:
        """Sum of the numerators' magnitudes: the largest gain before division."""
        if self.factors is not None:
            return float(np.abs(self.factors[0]).sum() * np.abs(self.factors[1]).sum())
        return float(np.abs(self.matrix).sum())

    @property
    def is_mean(self) -> bool:
        """Whether results stay within the range of samples: no weight is negative, and their sum is at most 1."""
        parts = self.factors if self.factors is not None else (self.matrix,)
        return self.divisor > 0 and all(bool(part.min() >= 0) for part in parts) and self.sum <= 1 + 1e-9

    @cached_property
    def nonzeros(self) -> int:
        """Number of nonzero weights; from the factors of a Gaussian, whose matrix may be 128 MB."""
        parts = self.factors if self.factors is not None else (self.matrix,)
        return math.prod(int(np.count_nonzero(part)) for part in parts)

    @property
    def sums_to_zero(self) -> bool:
        """Whether a constant picture gives zero (edges)."""
        return abs(self.sum) * abs(self.divisor) <= 1e-9 * self.absolute_sum

    @cached_property
    def has_integer_numerators(self) -> bool:
        """Whether all numerators are integers, so that sums of integer samples are exact."""
        parts = self.factors if self.factors is not None else (self.matrix,)
        return all(bool(np.all(part == np.rint(part))) for part in parts)

    @cached_property
    def has_one_sign(self) -> bool:
        """Whether no numerator is negative, or none is positive."""
        parts = self.factors if self.factors is not None else (self.matrix,)
        return all(bool(np.all(part >= 0)) or bool(np.all(part <= 0)) for part in parts)

    @property
    def is_box(self) -> bool:
        """Whether all numerators are one."""
        parts = self.factors if self.factors is not None else (self.matrix,)
        return all(bool(np.all(part == 1.0)) for part in parts)

    def as_real(self, scale: float) -> Kernel:
        """Return the kernel with ``scale`` and divisor multiplied into the numerators, unless these overflow."""
        factor = scale / self.divisor
        if factor == 0 or not math.isfinite(factor):
            return self
        factors = None
        if self.factors is not None:
            # Magnitudes of the column sum to one, so that the vertical pass stays within the samples' range.
            column_sum = float(np.abs(self.factors[0]).sum()) or 1.0
            factors = self.factors[0] / column_sum, self.factors[1] * (factor * column_sum)
        numerators = None if self.numerators is None else self.numerators * factor
        return Kernel(numerators, factors, 1.0, self.sigma)

    def rotated(self) -> Kernel:
        """Rotate by 180 degrees: convolution in the mathematician's sense."""
        factors = None if self.factors is None else (self.factors[0][::-1].copy(), self.factors[1][::-1].copy())
        numerators = None if self.numerators is None else self.numerators[::-1, ::-1].copy()
        return Kernel(numerators, factors, self.divisor, self.sigma)


def from_array(weights: npt.ArrayLike, divisor: float = 1.0, *, normalize: bool = False) -> Kernel:
    """Return the kernel of a matrix of numbers.

    Parameters
    ----------
    weights : (rows, cols) array_like of real numbers
        A 1-D array is one row.
    divisor : float
        Divisor of the weighted sum; not zero.
    normalize : bool
        Divide by the sum of the weights instead.

    Raises
    ------
    KernelFileError
        The weights are not numbers, or not finite; rows are ragged, or there are no weights or more than two axes;
        magnitudes sum to more than 1e300, or weights to zero with ``normalize``.
    """
    matrix = _real_numbers(weights)
    if matrix.ndim == 1:
        matrix = matrix[np.newaxis, :]
    if matrix.ndim != 2:
        raise KernelFileError(f"a kernel has rows and columns, got an array with {matrix.ndim} axes")
    if matrix.size == 0:
        raise KernelFileError("a kernel has at least one weight, got none")
    if not np.all(np.isfinite(matrix)):
        row, col = np.argwhere(~np.isfinite(matrix))[0]
        raise KernelFileError(f"weights must be finite, got {matrix[row, col]} in row {row + 1}, column {col + 1}")
    matrix, divisor = _integer_numerators(matrix, divisor)
    largest = float(np.abs(matrix).max())
    if largest > _LARGEST_EXACT:
        with np.errstate(over="ignore"):
            matrix, divisor = matrix / (largest if normalize else divisor), 1.0
    if not normalize:
        return _require_modest(Kernel(matrix, divisor=divisor))
    kernel = Kernel(matrix, divisor=divisor)
    if kernel.sums_to_zero:
        raise KernelFileError(
            "the weights sum to zero, so they cannot be normalized", remedy="leave out {normalize=True}"
        )
    return _require_modest(Kernel(matrix, divisor=math.fsum(matrix.ravel())))


def _require_modest(kernel: Kernel) -> Kernel:
    """Refuse weights whose sum, or whose sum with samples, overflows float64."""
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        gain = float(np.abs(kernel.matrix / kernel.divisor).sum())
    if not (gain <= _LARGEST_GAIN and 0 < abs(kernel.divisor) < math.inf):
        raise KernelFileError(
            f"the magnitudes of the weights sum to {gain:.3g}, above {_LARGEST_GAIN:g}; use smaller weights"
        )
    return kernel


def _real_numbers(weights: npt.ArrayLike) -> Weights:
    """Copy to float64, refusing complex numbers, whose imaginary part NumPy would drop with a warning."""
    try:
        array = np.asarray(weights)
        if array.dtype.kind != "c":
            return array.astype(np.float64)
    except (TypeError, ValueError):
        pass
    raise KernelFileError("a kernel is rows of real numbers, as many in each; this is ragged, complex, or no numbers")


def fractions_of(weight: Weights) -> tuple[Weights, Weights]:
    """Return the numerators and the divisor of each of several kernels.

    Parameters
    ----------
    weight : (kernels, ...) float64 array

    Returns
    -------
    array of the same shape, and (kernels,) array
        Integer numerators over one divisor for each kernel whose weights are fractions, else the weights over 1.
    """
    parts = [_integer_numerators(each, 1.0) for each in weight]
    return np.stack([numerators for numerators, _ in parts]), np.array([divisor for _, divisor in parts])


def _integer_numerators(matrix: Weights, divisor: float) -> tuple[Weights, float]:
    """Convert fractions such as 0.25, 0.1 or 1/9 to integer numerators over one divisor, so that sums are exact.

    A weight counts as a fraction if it is the float nearest to a fraction with a small denominator, which is then the
    intended value: ties depend on it.
    """
    if np.all(matrix == np.rint(matrix)):
        return matrix, divisor
    from fractions import Fraction  # slow: imports decimal too

    common = 1
    for weight in np.unique(np.abs(matrix)):
        fraction = Fraction(weight).limit_denominator(_LARGEST_DENOMINATOR)
        common = math.lcm(common, fraction.denominator)
        if float(fraction) != weight or common > _LARGEST_DENOMINATOR:
            return matrix, divisor
    return np.rint(matrix * common), divisor * common


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
