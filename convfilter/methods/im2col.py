"""AxisWindows of a band of samples as rows of a matrix (im2col), and weights as matrices to multiply them with."""

from __future__ import annotations

import numpy as np

from convfilter.engine.borders import CONSTANT, Indices, gather
from convfilter.engine.buffer import Samples
from convfilter.engine.load import Source
from convfilter.engine.mapped_stage import MappedStage
from convfilter.planning import LUMINANCE, LUMINANCE_DIVISOR, AxisPlan
from convfilter.record import NamedTuple


class AxisWindows(NamedTuple):
    """AxisWindows along one axis of loaded samples: their number, their taps, and the distances of both."""

    outputs: int
    taps: int
    stride: int
    dilation: int

    @classmethod
    def of(cls, axis: AxisPlan, outputs: int) -> AxisWindows:
        """Return the first windows of an axis."""
        return cls(outputs, axis.kernel, axis.stride, axis.dilation)


def window_matrix(padded: Samples, rows: AxisWindows, cols: AxisWindows) -> Samples:
    """Copy each window into a row of a matrix, as (K_h, K_w, C_in)."""
    channels = padded.shape[2]
    down, along, next_channel = padded.strides
    shape: tuple[int, ...] = (rows.outputs, cols.outputs, rows.taps, cols.taps, channels)
    next_row, next_col = down * rows.dilation, along * cols.dilation
    steps: tuple[int, ...] = (down * rows.stride, along * cols.stride, next_row, next_col, next_channel)
    if next_col == channels * next_channel:  # a window's row is contiguous, and copied twice as fast in one piece
        shape, steps = (*shape[:3], cols.taps * channels), (*steps[:3], next_channel)
    windows = np.lib.stride_tricks.as_strided(padded, shape, steps, writeable=False)
    return windows.reshape(rows.outputs * cols.outputs, -1)


def weight_matrices(weights: Samples, groups: int) -> list[Samples]:
    """Return the weights of each group as a matrix: (K_h, K_w, C_in) in rows, output channels in columns."""
    return [
        np.ascontiguousarray(part.transpose(2, 3, 1, 0).reshape(-1, part.shape[0]))
        for part in np.split(weights, groups)
    ]


def load_padded(mapped: MappedStage, row_index: Indices, col_index: Indices, before: int) -> Samples:
    """Load the rows of a band, borders included, as premultiplied colours; ``before`` columns are padding.

    Integer samples stay integers, times ``loaded_scale``; real samples keep their scale.
    """
    source, cols, image = mapped.source, col_index.size, mapped.source.image
    inner = slice(min(max(before, 0), cols), min(max(before, 0) + image.shape[1] + min(before, 0), cols))
    band = np.full((row_index.size, cols, image.shape[2]), source.padding_value, mapped.plan.precision)
    inside = np.flatnonzero(row_index != CONSTANT)
    left = max(-before, 0)  # cropped columns
    band[inside, inner] = image[row_index[inside], left : left + inner.stop - inner.start]
    for side in (slice(0, inner.start), slice(inner.stop, cols)):
        band[:, side] = gather(image, row_index, col_index[side], source.padding_value, band.dtype)
    if source.gray:
        gray = band[..., :3] @ np.array(LUMINANCE, band.dtype)
        if not source.is_finite:
            gray /= band.dtype.type(LUMINANCE_DIVISOR)
        band = np.concatenate([gray[..., np.newaxis], band[..., 3:]], axis=2)
    if not source.alpha:
        return band
    if source.premultiplied:
        return band[..., :-1]
    alpha = band[..., -1:] if source.is_finite else band[..., -1:] / band.dtype.type(source.full)
    premultiplied: Samples = band[..., :-1] * alpha
    return premultiplied


def loaded_scale(source: Source) -> float:
    """Return the factor by which loading multiplied integer samples."""
    return (source.full if source.multiplies else 1.0) * (LUMINANCE_DIVISOR if source.gray else 1.0)
