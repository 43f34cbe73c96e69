"""Factor a kernel into products of a column and a row: one (separable), or a few (low rank)."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np

from convfilter.filters.kernel import Kernel, Weights
from convfilter.record import replace

Product: TypeAlias = tuple[Weights, Weights]

#: Largest side of a decomposed kernel: a larger singular value decomposition takes longer than filtering.
_LARGEST_SIDE = 128
#: Largest rounding error of a product of factors.
_ROUNDING = 1e-15


def factored(kernel: Kernel) -> Kernel:
    """Return the kernel with its factors, if it is the outer product of a column and a row.

    The product of the factors equals integer numerators exactly, and real numerators up to rounding.
    """
    if kernel.factors is not None or kernel.numerators is None:
        return kernel
    matrix = kernel.numerators
    pivot_row, pivot_col = np.unravel_index(int(np.abs(matrix).argmax()), matrix.shape)
    pivot = matrix[pivot_row, pivot_col]
    if pivot == 0:
        return replace(kernel, factors=(np.zeros(matrix.shape[0]), np.zeros(matrix.shape[1])))
    row: Weights = matrix[pivot_row].copy()
    if kernel.has_integer_numerators:
        row /= np.gcd.reduce(np.abs(row).astype(np.int64)) if np.abs(row).max() < 2.0**62 else 1.0
    column: Weights = matrix[:, pivot_col] / row[pivot_col]
    if kernel.has_integer_numerators and not np.all(column == np.rint(column)):
        return kernel
    tolerance = 0.0 if kernel.has_integer_numerators else _ROUNDING * abs(pivot)
    if np.all(np.abs(np.outer(column, row) - matrix) <= tolerance):
        return replace(kernel, factors=(column, row))
    return kernel


def trimmed(factor: Weights, share: float) -> Weights:
    """Zero the outer weights that hold at most ``share`` of the magnitude; the sum does not change.

    The taps of a Gaussian beyond 5 sigma change fewer than one 8-bit sample in a thousand.
    """
    magnitudes = np.abs(factor)
    allowed = 0.5 * share * magnitudes.sum()
    first = int(np.searchsorted(np.cumsum(magnitudes), allowed, side="right"))
    last = factor.size - int(np.searchsorted(np.cumsum(magnitudes[::-1]), allowed, side="right"))
    trimmed = np.zeros_like(factor)
    trimmed[first:last] = factor[first:last]
    total = trimmed.sum()
    return trimmed * (factor.sum() / total) if total else factor


def low_rank(kernel: Kernel, error: float) -> tuple[Product, ...] | None:
    """Return the fewest products, at least one, whose sum approximates the numerators within ``error``.

    Parameters
    ----------
    kernel : Kernel
    error : float
        Largest sum of the magnitudes of the residual.

    Returns
    -------
    tuple of (column, row), or None
        None if the kernel is too large to decompose, or no products reach the error.

    Notes
    -----
    Singular value decomposition; Eckart & Young, "The approximation of one
    matrix by another of lower rank", Psychometrika 1 (1936).
    """
    if kernel.numerators is None or max(kernel.shape) > _LARGEST_SIDE:
        return None
    columns, values, rows = np.linalg.svd(kernel.numerators, full_matrices=False)
    products: list[Product] = []
    residual = kernel.numerators
    for column, value, row in zip(columns.T, values, rows, strict=True):
        if products and np.abs(residual).sum() <= error:
            break
        products.append((column * np.sqrt(value), row * np.sqrt(value)))
        residual = residual - np.outer(*products[-1])
    return tuple(products) if np.abs(residual).sum() <= error else None
