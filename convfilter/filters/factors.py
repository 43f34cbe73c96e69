"""A kernel as a sum of products of a column and a row: one product (separable), or a few (low rank)."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeAlias

import numpy as np

from convfilter.filters.kernels import Kernel, Weights

Product: TypeAlias = tuple[Weights, Weights]

#: Larger kernels are not decomposed: finding their singular values takes longer than filtering.
_LARGEST_SIDE = 128
#: Real weights differ from the product of their factors by rounding at most.
_ROUNDING = 1e-15


def factored(kernel: Kernel) -> Kernel:
    """Return the kernel with its factors, where it is the outer product of a column and a row.

    The product of the factors equals the numerators exactly for whole numbers,
    and to rounding otherwise.
    """
    if kernel.factors is not None or kernel.numerators is None:
        return kernel
    matrix = kernel.numerators
    pivot_row, pivot_col = np.unravel_index(int(np.abs(matrix).argmax()), matrix.shape)
    pivot = matrix[pivot_row, pivot_col]
    if pivot == 0:
        return replace(kernel, factors=(np.zeros(matrix.shape[0]), np.zeros(matrix.shape[1])))
    row: Weights = matrix[pivot_row].copy()
    if kernel.is_whole:
        row /= np.gcd.reduce(np.abs(row).astype(np.int64)) if np.abs(row).max() < 2.0**62 else 1.0
    column: Weights = matrix[:, pivot_col] / row[pivot_col]
    if kernel.is_whole and not np.all(column == np.rint(column)):
        return kernel
    tolerance = 0.0 if kernel.is_whole else _ROUNDING * abs(pivot)
    if np.all(np.abs(np.outer(column, row) - matrix) <= tolerance):
        return replace(kernel, factors=(column, row))
    return kernel


def trimmed(factor: Weights, share: float) -> Weights:
    """Set the weights at both ends to zero that together hold at most ``share`` of the magnitude; the sum stays.

    A Gaussian's taps beyond 5 sigma cannot change one sample of 8 bits in a thousand.
    """
    magnitudes = np.abs(factor)
    allowed = 0.5 * share * magnitudes.sum()
    first = int(np.searchsorted(np.cumsum(magnitudes), allowed, side="right"))
    last = factor.size - int(np.searchsorted(np.cumsum(magnitudes[::-1]), allowed, side="right"))
    kept = np.zeros_like(factor)
    kept[first:last] = factor[first:last]
    total = kept.sum()
    return kept * (factor.sum() / total) if total else factor


def low_rank(kernel: Kernel, error: float) -> tuple[Product, ...] | None:
    """Write the numerators as a sum of as few products, one at least, as leave at most ``error`` of them out.

    Parameters
    ----------
    kernel : Kernel
    error : float
        Largest sum of the magnitudes of what is left out.

    Returns
    -------
    tuple of (column, row), or None
        None where the kernel is too large to look, or has no such products.

    Notes
    -----
    Singular value decomposition; Eckart & Young, "The approximation of one
    matrix by another of lower rank", Psychometrika 1 (1936).
    """
    if kernel.numerators is None or max(kernel.shape) > _LARGEST_SIDE:
        return None
    columns, values, rows = np.linalg.svd(kernel.numerators, full_matrices=False)
    products: list[Product] = []
    left = kernel.numerators
    for column, value, row in zip(columns.T, values, rows, strict=True):
        if products and np.abs(left).sum() <= error:
            break
        products.append((column * np.sqrt(value), row * np.sqrt(value)))
        left = left - np.outer(*products[-1])
    return tuple(products) if np.abs(left).sum() <= error else None
