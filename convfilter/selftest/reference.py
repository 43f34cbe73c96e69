"""Reference filters in a few lines of float64 NumPy, for the self-test.

The module shares no code with the engine: a separable kernel becomes one matrix for each axis, and borders come from
``numpy.pad``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Real: TypeAlias = npt.NDArray[np.float64]
#: A kernel as a matrix, or as column and row.
Weights: TypeAlias = Real | tuple[Real, Real]
#: stride, dilation, padding, padding_mode, padding_value, as the functions of ``convfilter.api`` take them.
Geometry: TypeAlias = Mapping[str, Any]

#: Truncation of a Gaussian in sigmas, where it is below 1e-14 of its peak.
_GAUSSIAN_REACH = 8
#: Filter byte of PNG's Paeth predictor.
_PAETH = 4


def with_border(image: npt.NDArray[Any], value: float) -> Real:
    """Return (rows + 1, cols + 1, channels) samples, whose last row and column (index -1) hold the padding value."""
    samples = np.atleast_3d(image).astype(np.float64)
    return np.pad(samples, ((0, 1), (0, 1), (0, 0)), constant_values=value)


def weighted_sums(samples: Real, weights: Weights, geometry: Geometry) -> Real:
    """Return the weighted sum around each output.

    Parameters
    ----------
    samples : (rows + 1, cols + 1, channels) array
        From :func:`with_border`.
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
    """Return the sample of a rank (0 to 1) of each output's window, interpolated linearly."""
    result: Real = np.quantile(_windows(samples, window, geometry), fraction, axis=(1, 3))
    return result


def bilateral(samples: Real, opacities: Real, sigmas: tuple[float, float], radius: int, geometry: Geometry) -> Real:
    """Return the bilateral mean of each window, weighted with ``opacities``, and the opacity of each centre."""
    side = np.arange(-radius, radius + 1)
    squares = (side[:, np.newaxis] ** 2 + side**2)[:, np.newaxis]
    windows, weights_of_windows = (_windows(each, (side.size, side.size), geometry) for each in (samples, opacities))
    middle = slice(radius, radius + 1)
    apart = np.abs(windows - windows[:, middle, :, middle]).sum(axis=4)
    weights = np.exp(-squares / (2 * sigmas[0] ** 2) - apart**2 / (2 * sigmas[1] ** 2)) * (squares <= radius**2)
    weights = weights[..., np.newaxis] * weights_of_windows
    means = (windows * weights).sum(axis=(1, 3)) / weights.sum(axis=(1, 3))
    return np.concatenate([means, weights_of_windows[:, radius, :, radius]], axis=2)


def guided(
    colours: Real, guide: Real | None, radius: int, epsilon: float, geometry: Geometry, counts: Real | None = None
) -> Real:
    """Return the guided filter of colours by the planes of a guide, or by each colour itself, without a stride.

    Lines are fitted to the pixels of ``counts`` 1, by default all. See ``strided`` for the stride.
    """
    modes: list[Any] = [_on_axis(geometry.get("padding_mode", "edge"), axis) for axis in (0, 1)]
    apart = [_on_axis(geometry.get("dilation", 1), axis) for axis in (0, 1)]

    def sums(plane: npt.NDArray[Any]) -> Real:
        padded = plane
        for axis, (step, mode) in enumerate(zip(apart, modes, strict=True)):
            padded = np.pad(padded, np.outer([axis == 0, axis == 1], [radius * step] * 2), mode)
            places = np.arange(plane.shape[axis])
            padded = sum(np.take(padded, places + tap * step, axis) for tap in range(2 * radius + 1))
        result: Real = padded
        return result

    counted = np.ones(colours.shape[:2]) if counts is None else counts
    number = sums(counted)
    has_line = np.minimum(number, 1)

    def means(plane: npt.NDArray[Any]) -> Real:
        result: Real = sums(plane * counted) / np.maximum(number, 1)
        return result

    def averages(lines: npt.NDArray[Any]) -> Real:
        result: Real = sums(lines * has_line) / np.maximum(sums(has_line), 1)
        return result

    planes = []
    for colour in np.moveaxis(colours, 2, 0):
        own = np.moveaxis(guide, 2, 0) if guide is not None else colour[np.newaxis]
        mean, centres = means(colour), [means(each) for each in own]
        with_colour = np.stack([means(each * colour) - at * mean for each, at in zip(own, centres, strict=True)], 2)
        pairs = [
            [means(one * other) - a * b for other, b in zip(own, centres, strict=True)]
            for one, a in zip(own, centres, strict=True)
        ]
        matrix = np.moveaxis(np.array(pairs), (0, 1), (2, 3)) + epsilon * np.eye(len(own))
        slopes = np.linalg.solve(matrix, with_colour[..., np.newaxis])[..., 0]
        intercept = mean - sum(slopes[..., c] * each for c, each in enumerate(centres))
        planes.append(averages(intercept) + sum(averages(slopes[..., c]) * each for c, each in enumerate(own)))
    return np.stack(planes, axis=2)


def strided(samples: Real, geometry: Geometry) -> Real:
    """Return the rows and columns that a stride leaves of results of the picture's size."""
    down, across = (_on_axis(geometry.get("stride", 1), axis) for axis in (0, 1))
    return samples[::down, ::across]


def largest_under(samples: Real, footprint: npt.NDArray[np.bool_], geometry: Geometry) -> Real:
    """Return the largest sample under the cells of a footprint at each output."""
    rows, cols = footprint.shape
    outside = np.where(footprint, 0.0, -np.inf)[np.newaxis, :, np.newaxis, :, np.newaxis]
    result: Real = (_windows(samples, (rows, cols), geometry) + outside).max(axis=(1, 3))
    return result


def ranked_by_weight(samples: Real, window: tuple[int, int], fraction: float, geometry: Geometry) -> Real:
    """Return the weighted quantile of each window's colours, and the quantile of its opacities, the last channel.

    Opacities are the weights of colours: a quantile divides their sum at ``fraction``.
    """
    windows = _windows(samples, window, geometry).swapaxes(1, 2)
    windows = windows.reshape(*windows.shape[:2], -1, windows.shape[4])
    colours, opacities = windows[..., :-1], windows[..., -1:]
    order = colours.argsort(axis=2)
    sums = np.take_along_axis(np.broadcast_to(opacities, colours.shape), order, axis=2).cumsum(axis=2)
    last = (sums <= fraction * sums[:, :, -1:]).sum(axis=2, keepdims=True)
    first = (sums < fraction * sums[:, :, -1:]).sum(axis=2, keepdims=True)
    ranked_colours = np.take_along_axis(colours, order, axis=2)
    both = [np.take_along_axis(ranked_colours, place.clip(0, colours.shape[2] - 1), axis=2) for place in (first, last)]
    result: Real = np.concatenate([(both[0] + both[1])[:, :, 0] / 2, np.quantile(opacities, fraction, axis=2)], axis=2)
    return result


def across_channels(samples: Real, weight: Real, geometry: Geometry) -> Real:
    """Return the sums of a (C_out, C_in, K_h, K_w) weight over all channels of each window."""
    windows = _windows(samples, (weight.shape[2], weight.shape[3]), geometry)
    sums: Real = np.einsum("yixjc,ocij->yxo", windows, weight, optimize=True)
    return sums


def transposed(picture: Real, weight: Real, geometry: Geometry) -> Real:
    """Return a transposed convolution with a (C_in, C_out, K_h, K_w) weight."""
    rows, cols = picture.shape[:2]
    (down, along), (each_row, each_col) = (
        [_on_axis(geometry.get(name, 1), axis) for axis in (0, 1)] for name in ("stride", "dilation")
    )
    height = (rows - 1) * down + each_row * (weight.shape[2] - 1) + 1
    width = (cols - 1) * along + each_col * (weight.shape[3] - 1) + 1
    total = np.zeros((height, width, weight.shape[1]))
    for i, j in np.ndindex(weight.shape[2:]):
        top, left = i * each_row, j * each_col
        part = total[top : top + (rows - 1) * down + 1 : down, left : left + (cols - 1) * along + 1 : along]
        part += picture @ weight[:, :, i, j]
    pad = geometry.get("padding", 0)
    return total[pad : height - pad, pad : width - pad]


def canny(plane: Real, sigma: float, low: float, high: float) -> npt.NDArray[np.bool_]:
    """Return which pixels of one channel are edges: Canny's, of a Gaussian cut at 4 sigma."""
    reach = int(4 * sigma + 0.5)
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    weights /= weights.sum()
    for axis in (0, 1):  # weights that fall on the picture
        cells = np.apply_along_axis(np.convolve, axis, np.ones_like(plane), weights, "same")
        plane = np.apply_along_axis(np.convolve, axis, plane, weights, "same") / cells
    around = np.pad(plane, 2, "symmetric")
    falls, rises = around[2:] - around[:-2], around[:, 2:] - around[:, :-2]
    down = falls[:, :-2] + 2 * falls[:, 1:-1] + falls[:, 2:]
    along = rises[:-2] + 2 * rises[1:-1] + rises[2:]
    size = np.hypot(down, along)
    here, inner = size[1:-1, 1:-1], (slice(1, -1), slice(1, -1))
    steep, alike = np.abs(down[inner]) > np.abs(along[inner]), down[inner] * along[inner] >= 0
    few, many = np.sort(np.abs([down[inner], along[inner]]), axis=0)
    share = np.divide(few, many, out=np.zeros_like(few), where=many > 0)
    ridge = here >= low
    for side_step in (1, -1):
        side = np.where(alike, side_step, -side_step)
        row, col = np.indices(here.shape) + 1
        near = np.where(steep, size[row + side_step, col], size[row, col + side])
        ridge &= size[row + side_step, col + side] * share + near * (1 - share) <= here
    ridge[0] = ridge[-1] = False
    ridge[:, 0] = ridge[:, -1] = False
    edges = ridge & (here >= high)
    while True:
        spread = np.pad(edges, 1)
        rows, cols = edges.shape
        # Neighbours touch by a side or a corner.
        grown = ridge & np.any([spread[i : i + rows, j : j + cols] for i in range(3) for j in range(3)], axis=0)
        if np.array_equal(grown, edges):
            return edges
        edges = grown


def _windows(samples: Real, window: tuple[int, int], geometry: Geometry) -> Real:
    """Return (rows_out, K_h, cols_out, K_w, channels): the window of each output."""
    rows, cols = (_places(samples.shape[axis], window[axis], geometry, axis) for axis in (0, 1))
    windows: Real = samples[rows][:, :, cols]
    return windows


def gaussian(sigma: float) -> Real:
    """Return the samples of an untruncated Gaussian, sum 1; for sigma 0, the single sample."""
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
    """Return the place of each tap of each output: (outputs, taps) indices, -1 for constant padding."""
    stride, dilation = (_on_axis(geometry.get(name, 1), axis) for name in ("stride", "dilation"))
    padding, mode = geometry.get("padding", "same"), _on_axis(geometry.get("padding_mode", "edge"), axis)
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


def unfiltered(data: npt.NDArray[np.uint8], distance: int) -> npt.NDArray[np.uint8]:
    """Undo PNG's row filters byte by byte; each row of ``data`` follows its filter byte (PNG, section 9)."""
    above = [0] * (data.shape[1] - 1)
    rows = []
    for kind, *line in data.tolist():
        row: list[int] = []
        for place, byte in enumerate(line):
            a, c = (row[place - distance], above[place - distance]) if place >= distance else (0, 0)
            b = above[place]
            if kind == _PAETH:
                predicted = min((a, b, c), key=lambda near: abs(a + b - c - near))
            else:
                predicted = (0, a, b, (a + b) // 2)[kind]
            row.append((byte + predicted) % 256)
        rows.append(row)
        above = row
    return np.array(rows, np.uint8)
