"""Kernels across channels: windows as rows of a matrix (im2col), multiplied with the weights by BLAS."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from convfilter.engine.bands import cut, run_blocks
from convfilter.engine.blas import single_threaded
from convfilter.engine.orientation import central_alpha
from convfilter.engine.points import Real, Storing, store_alpha
from convfilter.engine.tiles import Samples, Source
from convfilter.engine.tone import tone_of
from convfilter.engine.work import Work
from convfilter.filters.stage import Layer
from convfilter.planning import LUMINANCE, LUMINANCE_DIVISOR, StagePlan

Single = npt.NDArray[np.float32]


def layer(
    plan: StagePlan, source: Source, dtype: np.dtype[np.generic], full_out: float, threads: int
) -> tuple[Samples, int]:
    """Run a layer on samples whose white is 1, band by band; what is transparent counts as black.

    The result is back on the samples' own scale. Alpha is that of the central pixel.
    """
    work = Work.of(plan, source)
    output = np.empty((plan.rows.output, plan.cols.output, plan.output_channels), dtype)
    rows = LayerRows(work, dtype, full_out)
    with single_threaded():
        if plan.stage.map == "stretch":
            rows.stretch(threads)
        clipped: list[int] = []

        def compute(block: tuple[int, int]) -> None:
            clipped.append(rows.store(*block, output[block[0] : block[1]]))

        run_blocks(cut(plan.rows.output, plan.block_rows), lambda: compute, threads)
    return output, sum(clipped)


class LayerRows:
    """A layer, for some rows of the output at a time."""

    def __init__(self, work: Work, dtype: np.dtype[np.generic], full_out: float) -> None:
        operator = work.plan.stage.operator
        assert isinstance(operator, Layer)
        self._work, self._operator, self._matrices = work, operator, _matrices(operator)
        full = work.source.full
        self._storing = Storing(work.plan, dtype, full, full_out)
        self._tone = tone_of(work.plan, dtype, full, full_out, gray=False)
        self._plain = dtype == np.float32 and _is_plain(work.plan) and full == full_out

    def stretch(self, threads: int) -> None:
        """Look at all values first, so that their range fills the result's."""
        self._tone = self._storing.tone(self._values, self._work.plan.rows.output, threads)

    def store(self, top: int, bottom: int, output: Samples) -> int:
        """Store output rows ``top`` to ``bottom - 1``; returns how many samples were clipped."""
        source, clipped = self._work.source, 0
        if source.alpha:
            alpha = central_alpha(self._work, top, bottom)
            store_alpha(alpha, output, source.full, self._storing.full_out)
        colours = output[..., :-1] if source.alpha else output
        if self._plain:
            np.multiply(self._rows(top, bottom), np.float32(source.full), out=colours)
        else:
            colours[:], clipped = self._storing.stored(self._values(top, bottom), self._tone)
        return clipped

    def _values(self, top: int, bottom: int) -> Real:
        return self._rows(top, bottom).astype(np.float64) * self._work.source.full

    def _rows(self, top: int, bottom: int) -> Single:
        return _band(self._work, self._operator, self._matrices, top, bottom)


def _is_plain(plan: StagePlan) -> bool:
    stage = plan.stage
    return stage.scale == 1 and stage.offset == 0 and stage.map is None


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
