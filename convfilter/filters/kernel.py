"""Kernels of any weights: numerators over a divisor, as a matrix or as two factors."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from convfilter.errors import KernelFileError
from convfilter.filters.checks import require_unmasked
from convfilter.record import cached_property, record

if TYPE_CHECKING:
    import numpy.typing as npt

Weights = np.ndarray[tuple[Any, ...], np.dtype[np.float64]]

#: Largest denominator of a weight that counts as a fraction; other weights are real numbers.
_LARGEST_DENOMINATOR = 2**16
#: Largest magnitude up to which float64 holds every integer.
_LARGEST_EXACT = 2.0**53
#: Sine of an angle below which two pairs of weights count as parallel.
_PARALLEL = 1e-12
#: Largest sum of magnitudes: times the largest 16-bit sample, the sum is still finite in float64.
_LARGEST_GAIN = 1e300


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
        """Rotate by 180 degrees: convolution as in mathematics."""
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
    require_unmasked("a kernel", weights)
    try:
        array = np.asarray(weights)
        if array.dtype.kind != "c":
            return array.astype(np.float64)
    except (TypeError, ValueError):
        pass
    raise KernelFileError("a kernel is a matrix of real numbers; this is ragged, complex or not numeric")


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


def largest_length(one: Weights, other: Weights) -> float:
    """Return the largest ``sqrt(x**2 + y**2)`` of two sums with these weights, of samples from -1 to 1.

    The sums are farthest from 0 in a direction in which each sample pushes them: that of its own pair of weights, or
    against it. So all sums at that distance are found from the directions at which a pair changes its side.
    """
    pairs = np.stack([one.ravel(), other.ravel()])
    pairs = pairs[:, np.any(pairs != 0, axis=0)]
    if not pairs.size:
        return 0.0
    lengths = np.hypot(*pairs)
    across, along = np.stack([-pairs[1], pairs[0]]).T @ pairs, pairs.T @ pairs
    is_parallel = np.abs(across) <= _PARALLEL * np.outer(lengths, lengths)
    across, own = np.where(is_parallel, 0.0, np.sign(across)), np.where(is_parallel, np.sign(along), 0.0)
    ends = (np.concatenate([across + own, across - own]) @ pairs.T).T
    return float(np.hypot(*ends).max())
