"""The filters in a few lines of float64 NumPy: what the self-test measures the engine by.

It shares nothing with the engine: a kernel that is the product of a column and
a row becomes one matrix for each axis, borders come from ``numpy.pad``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Real: TypeAlias = npt.NDArray[np.float64]
#: A kernel as a matrix, or as its column and its row.
Weights: TypeAlias = Real | tuple[Real, Real]
#: stride, dilation, padding, padding_mode, padding_value, as the functions of ``convfilter.api`` take them.
Geometry: TypeAlias = Mapping[str, Any]

#: How far a Gaussian is followed, in sigmas: what is left out is below 1e-14 of its peak.
_GAUSSIAN_REACH = 8


def with_border(image: npt.NDArray[Any], value: float) -> Real:
    """Return (rows + 1, cols + 1, channels): the last row and column, index -1, are all that lies beyond."""
    samples = np.atleast_3d(image).astype(np.float64)
    return np.pad(samples, ((0, 1), (0, 1), (0, 0)), constant_values=value)


def weighted_sums(samples: Real, weights: Weights, geometry: Geometry) -> Real:
    """Return the weighted sum around each output.

    Parameters
    ----------
    samples : (rows + 1, cols + 1, channels) array
        As :func:`with_border` makes it.
    weights : (K_h, K_w) array, or (column, row)
    geometry : mapping

    Returns
    -------
    (rows_out, cols_out, channels) array
        Exact for whole numbers up to 2**53.
    """
    down_taps, right_taps = (part.size for part in weights) if isinstance(weights, tuple) else weights.shape
    down = _places(samples.shape[0], down_taps, geometry, 0)
    right = _places(samples.shape[1], right_taps, geometry, 1)
    if isinstance(weights, tuple):
        lines = np.tensordot(_matrix(down, weights[0], samples.shape[0]), samples, 1)
        sums: Real = np.tensordot(lines, _matrix(right, weights[1], samples.shape[1]), (1, 1)).swapaxes(1, 2)
        return sums
    by_kernel_row = np.tensordot(weights, samples[:, right], (1, 2))
    total: Real = np.sum([each[places] for each, places in zip(by_kernel_row, down.T, strict=True)], axis=0)
    return total


def largest(samples: Real, window: tuple[int, int], geometry: Geometry) -> Real:
    """Return the largest sample of the window at each output; ``samples`` as in :func:`weighted_sums`."""
    rows, cols = (_places(samples.shape[axis], window[axis], geometry, axis) for axis in (0, 1))
    result: Real = samples[rows].max(axis=1)[:, cols].max(axis=2)
    return result


def ranked(samples: Real, window: tuple[int, int], fraction: float, geometry: Geometry) -> Real:
    """Return the sample of a rank, from 0 to 1, of the window at each output; between two samples, on a line."""
    result: Real = np.quantile(_windows(samples, window, geometry), fraction, axis=(1, 3))
    return result


def largest_under(samples: Real, footprint: npt.NDArray[np.bool_], geometry: Geometry) -> Real:
    """Return the largest sample under the cells of a footprint at each output."""
    rows, cols = footprint.shape
    outside = np.where(footprint, 0.0, -np.inf)[np.newaxis, :, np.newaxis, :, np.newaxis]
    result: Real = (_windows(samples, (rows, cols), geometry) + outside).max(axis=(1, 3))
    return result


def _windows(samples: Real, window: tuple[int, int], geometry: Geometry) -> Real:
    """Return (rows_out, K_h, cols_out, K_w, channels): what each output looks at."""
    rows, cols = (_places(samples.shape[axis], window[axis], geometry, axis) for axis in (0, 1))
    seen: Real = samples[rows][:, :, cols]
    return seen


def gaussian(sigma: float) -> Real:
    """Return the samples of a Gaussian that nothing cuts, sum 1; of sigma 0, the one sample."""
    reach = np.arange(-round(_GAUSSIAN_REACH * sigma), round(_GAUSSIAN_REACH * sigma) + 1)
    samples = np.exp(-0.5 * (reach / sigma) ** 2) if sigma else np.ones(1)
    normalized: Real = samples / samples.sum()
    return normalized


def _matrix(places: npt.NDArray[np.int64], weights: Real, length: int) -> Real:
    """Return the (outputs, length) matrix that sums along one axis."""
    matrix = np.zeros((places.shape[0], length))
    np.add.at(matrix, (np.arange(places.shape[0])[:, np.newaxis], places), weights)
    return matrix


def _places(length: int, taps: int, geometry: Geometry, axis: int) -> npt.NDArray[np.int64]:
    """Return where each tap of each output falls: (outputs, taps) indices, -1 beyond the border of mode constant."""
    stride, dilation = (_on_axis(geometry.get(name, 1), axis) for name in ("stride", "dilation"))
    padding, mode = geometry.get("padding", "same"), geometry.get("padding_mode", "edge")
    span = dilation * (taps - 1)
    words = {"same": (span // 2, span - span // 2), "valid": (0, 0), "full": (span, span)}
    before, after = words[padding] if isinstance(padding, str) else _sides(padding, axis)
    inside = np.arange(length - 1)
    settings = {"constant_values": -1} if mode == "constant" else {}
    index = np.pad(inside, (before, after), mode, **settings)
    outputs = np.arange((index.size - span - 1) // stride + 1)
    picked: npt.NDArray[np.int64] = index[outputs[:, np.newaxis] * stride + np.arange(taps) * dilation]
    return picked


def _on_axis(value: Any, axis: int) -> Any:
    return value[axis] if isinstance(value, tuple) else value


def _sides(padding: Any, axis: int) -> tuple[int, int]:
    sides = _on_axis(padding, axis)
    return sides if isinstance(sides, tuple) else (sides, sides)
