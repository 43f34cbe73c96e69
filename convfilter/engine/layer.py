"""Kernels across channels: windows as rows of a matrix (im2col), multiplied with the weights by BLAS."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from convfilter.engine.bands import cut, run_blocks
from convfilter.engine.blas import single_threaded
from convfilter.engine.orientation import central_alpha
from convfilter.engine.points import Real, Storing, store_alpha
from convfilter.engine.tiles import Samples, Source
from convfilter.engine.work import Work
from convfilter.filters.stage import Layer
from convfilter.planning import LUMINANCE, LUMINANCE_DIVISOR, StagePlan

Single = npt.NDArray[np.float32]

#: The matrix of one band of windows fits a core's cache, more or less.
_MATRIX_BYTES = 4 << 20


def layer(
    plan: StagePlan, source: Source, dtype: np.dtype[np.generic], full_out: float, threads: int
) -> tuple[Samples, int]:
    """Run a layer on samples whose white is 1, band by band; what is transparent counts as black.

    The result is back on the samples' own scale. Alpha is that of the central pixel.
    """
    operator = plan.stage.operator
    assert isinstance(operator, Layer)
    work = Work.of(plan, source)
    output = np.empty((plan.rows.output, plan.cols.output, plan.output_channels), dtype)
    if source.alpha:
        store_alpha(central_alpha(plan, source), output, source.full, full_out)
    matrices = _matrices(operator)

    def rows(top: int, bottom: int) -> Single:
        return _band(work, operator, matrices, top, bottom)

    if dtype == np.float32 and not source.alpha and _is_plain(plan) and source.full == full_out:
        with single_threaded():
            _write_bands(rows, output, np.float32(source.full), band_rows(plan), threads)
        return output, 0

    def values(top: int, bottom: int) -> Real:
        return rows(top, bottom).astype(np.float64) * source.full

    plan = replace(plan, block_rows=band_rows(plan))
    with single_threaded():
        return output, Storing(plan, dtype, source.full, full_out).all_rows(values, output, threads)


def _is_plain(plan: StagePlan) -> bool:
    stage = plan.stage
    return stage.scale == 1 and stage.offset == 0 and stage.map is None


def band_rows(plan: StagePlan) -> int:
    """Return how many output rows make one matrix: products of another shape may round otherwise."""
    row_bytes = plan.cols.output * plan.kernel.matrix.size * plan.channels * 4
    return max(1, _MATRIX_BYTES // row_bytes)


def _write_bands(
    rows: Callable[[int, int], Single], output: Samples, full: np.float32, band_rows: int, threads: int
) -> None:
    def make_worker() -> Callable[[tuple[int, int]], None]:
        def work(block: tuple[int, int]) -> None:
            values = rows(*block)
            np.multiply(values, full, out=output[block[0] : block[1]])

        return work

    run_blocks(cut(output.shape[0], band_rows), make_worker, threads)


def _matrices(operator: Layer) -> list[Single]:
    """Return the weights of each group as a matrix: (K_h, K_w, C_in) in rows, output channels in columns."""
    return [
        np.ascontiguousarray(part.transpose(2, 3, 1, 0).reshape(-1, part.shape[0]))
        for part in np.split(operator.weight, operator.groups)
    ]


def _band(work: Work, operator: Layer, matrices: list[Single], top: int, bottom: int) -> Single:
    padded = _padded(work, top, bottom)
    inputs = operator.weight.shape[1]
    parts = [
        _windows(work, padded[..., group * inputs : (group + 1) * inputs], bottom - top) @ matrix
        for group, matrix in enumerate(matrices)
    ]
    sums: Single = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)
    sums += operator.bias
    _activate(operator, sums)
    return sums.reshape(bottom - top, work.plan.cols.output, -1)


def _padded(work: Work, top: int, bottom: int) -> Single:
    """Load the rows that a band sees, borders included, as colours over black whose white is 1."""
    source, rows, cols = work.source, work.plan.rows, work.plan.cols
    first, last = top * rows.stride, (bottom - 1) * rows.stride + rows.span + 1
    row_index, col_index = work.row_index[first:last], work.col_index
    image = source.image
    inner = slice(cols.before, min(cols.before + cols.input, cols.padded))
    band = np.empty((last - first, cols.padded, image.shape[2]), np.float32)
    band[:, inner] = image[row_index, : inner.stop - inner.start]
    for side in (slice(0, inner.start), slice(inner.stop, cols.padded)):
        band[:, side] = image[np.ix_(row_index, col_index[side])]
        band[:, side][:, col_index[side] < 0] = source.padding_value
    band[row_index < 0] = source.padding_value
    band /= np.float32(source.full)
    if source.gray:
        gray = band[..., :3] @ (np.array(LUMINANCE, np.float32) / np.float32(LUMINANCE_DIVISOR))
        band = np.concatenate([gray[..., np.newaxis], band[..., 3:]], axis=2)
    return band[..., :-1] * band[..., -1:] if source.alpha else band


def _windows(work: Work, padded: Single, count: int) -> Single:
    """Copy each window into a row of a matrix, as (K_h, K_w, C_in)."""
    rows, cols, channels = work.plan.rows, work.plan.cols, padded.shape[2]
    down, along, next_channel = padded.strides
    shape: tuple[int, ...] = (count, cols.output, rows.kernel, cols.kernel, channels)
    next_row, next_col = down * rows.dilation, along * cols.dilation
    steps: tuple[int, ...] = (down * rows.stride, along * cols.stride, next_row, next_col, next_channel)
    if next_col == channels * next_channel:  # a window's row lies in one piece: copied twice as fast
        shape, steps = (*shape[:3], cols.kernel * channels), (*steps[:3], next_channel)
    windows = np.lib.stride_tricks.as_strided(padded, shape, steps, writeable=False)
    return windows.reshape(count * cols.output, -1)


def _activate(operator: Layer, x: Single) -> None:
    match operator.activation:
        case "relu":
            np.maximum(x, 0, out=x)
        case "leaky_relu":
            x[x < 0] *= np.float32(operator.slope)
        case "sigmoid":
            # 1 / (1 + exp(-x)), by tanh, which cannot overflow.
            x *= np.float32(0.5)
            np.tanh(x, out=x)
            x += np.float32(1)
            x *= np.float32(0.5)
        case "tanh":
            np.tanh(x, out=x)
