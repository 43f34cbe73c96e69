"""Kernels across channels: windows as rows of a matrix (im2col), multiplied with the weights by BLAS."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from convfilter.engine.borders import CONSTANT, gather
from convfilter.engine.buffer import LineBuffer, Samples, Scratch
from convfilter.engine.epilogue import Epilogue
from convfilter.engine.load import Source
from convfilter.engine.node import Crew, Node, Rows, StageNode, StageRun, Workers
from convfilter.engine.work import Region, Work
from convfilter.filters.activations import default_numbers
from convfilter.filters.stage import ACTIVATIONS, Layer
from convfilter.methods.pointwise import ACTIVATE
from convfilter.planning import LUMINANCE, LUMINANCE_DIVISOR, StagePlan

Real = npt.NDArray[np.float64]


def nodes(stage: StageRun) -> list[Node]:
    """Return the node of a stage."""
    return [_Layer(stage)]


class _Layer(StageNode):
    """A layer; what is transparent counts as black.

    The result is on the samples' own scale. Alpha is that of the central pixel.
    """

    def crew(self, sources: Sequence[LineBuffer], target: LineBuffer, threads: int) -> Crew:
        """Return workers."""
        work = self.work(sources[0])
        epilogue = self.epilogue(work, target)
        return Workers(lambda: _Rows(work, epilogue, target, self.stage).compute, self.scratch_bytes)


class _Rows:
    """A layer, for some rows of the output at a time.

    Whole samples are summed as they are stored, with whole numerators where the weights are fractions, so that sums
    are exact; one division at the end takes the weights' denominator and the scales of alpha and luminance out.
    """

    def __init__(self, work: Work, epilogue: Epilogue, target: LineBuffer, stage: StageRun) -> None:
        operator = work.plan.stage.operator
        assert isinstance(operator, Layer)
        source = work.source
        numerators, divisor = operator.fractions if source.is_finite else (operator.weight, np.ones(len(operator.bias)))
        self._work, self._operator, self._epilogue, self._target = work, operator, epilogue, target
        self._matrices = _matrices(numerators.astype(work.plan.precision), operator.groups)
        self._divisor = divisor * (_scale(source) if source.is_finite else 1.0)
        self._shift = operator.bias * (source.full * self._divisor)
        unscaled = _is_plain(work.plan) and source.full == stage.full_out and not source.alpha
        plain = target.dtype == np.float32 and unscaled and stage.ranges is None
        self._in_single = plain and work.plan.precision == "float32" and bool(np.all(self._divisor == 1))
        self._scratch = Scratch(np.float64)

    def compute(self, rows: Rows) -> int:
        """Store output rows ``top`` to ``bottom - 1``; returns how many samples were clipped."""
        top, bottom = rows
        sums, full = self._sums(top, bottom), self._work.source.full
        if self._in_single:
            sums += self._shift.astype(np.float32)
            self._target.rows(top, bottom)[:] = _activated(self._operator, sums, full)
            return 0
        values = sums.astype(np.float64)
        values += self._shift
        values /= self._divisor
        values = _activated(self._operator, values, full)
        return finish(self._work, self._epilogue, self._scratch, Region(top, bottom, 0, values.shape[1]), values)

    def _sums(self, top: int, bottom: int) -> Samples:
        """Return the products of the windows of some rows with the numerators."""
        work, inputs = self._work, self._operator.weight.shape[1]
        padded = _padded(work, top, bottom)
        parts = [
            _windows(work, padded[..., group * inputs : (group + 1) * inputs], bottom - top) @ matrix
            for group, matrix in enumerate(self._matrices)
        ]
        sums: Samples = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)
        return sums.reshape(bottom - top, work.plan.cols.output, -1)


def finish(work: Work, epilogue: Epilogue, scratch: Scratch, region: Region, colours: Samples) -> int:
    """Store colours that have been divided by alpha already, with the alpha of the central pixels.

    Returns how many samples were clipped.
    """
    rows, cols, channels = *colours.shape[:2], work.plan.output_channels
    size = rows * cols * channels
    values = scratch.get("values", size)[:size].reshape(rows, cols, channels)
    values[..., : colours.shape[2]] = colours
    alpha = None
    if work.source.alpha:
        central = central_alpha(work, region.top, region.bottom)
        values *= epilogue.keep
        values += epilogue.shift * central[..., np.newaxis]
        values[..., -1] = 0.0
        alpha = central.reshape(-1)
    calls = epilogue.store(region, values.reshape(-1), cols * channels, alpha)
    return sum(call() for call in calls)


def central_alpha(work: Work, top: int, bottom: int) -> Real:
    """Return the alpha on which each output of some rows is centred."""
    plan, source = work.plan, work.source
    cols = work.col_index[np.arange(plan.cols.output) * plan.cols.stride + plan.cols.centre]
    return gather(source.image[..., -1], work.centres()[top:bottom], cols, source.padding_value, np.float64)


def _is_plain(plan: StagePlan) -> bool:
    stage = plan.stage
    return stage.scale == 1 and stage.offset == 0 and stage.map is None


def _scale(source: Source) -> float:
    """Return what whole samples were multiplied by when they were loaded."""
    return (source.full if source.multiplies else 1.0) * (LUMINANCE_DIVISOR if source.gray else 1.0)


def _matrices(weights: Samples, groups: int) -> list[Samples]:
    """Return the weights of each group as a matrix: (K_h, K_w, C_in) in rows, output channels in columns."""
    return [
        np.ascontiguousarray(part.transpose(2, 3, 1, 0).reshape(-1, part.shape[0]))
        for part in np.split(weights, groups)
    ]


def _padded(work: Work, top: int, bottom: int) -> Samples:
    """Load the rows that a band sees, borders included, as colours over black.

    Whole samples stay whole numbers, multiplied by what ``_scale`` says; real ones keep their scale.
    """
    source, rows, cols = work.source, work.plan.rows, work.plan.cols
    first, last = top * rows.stride, (bottom - 1) * rows.stride + rows.span + 1
    row_index, col_index = work.row_index[first:last], work.col_index
    image = source.image
    inner = slice(min(cols.before, cols.padded), min(cols.before + cols.input, cols.padded))
    band = np.full((last - first, cols.padded, image.shape[2]), source.padding_value, work.plan.precision)
    inside = np.flatnonzero(row_index != CONSTANT)
    band[inside, inner] = image[row_index[inside], : inner.stop - inner.start]
    for side in (slice(0, inner.start), slice(inner.stop, cols.padded)):
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


def _windows(work: Work, padded: Samples, count: int) -> Samples:
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


def _activated(operator: Layer, x: Samples, full: float) -> Samples:
    """Apply the activation, in place, to values whose white is ``full``."""
    match operator.activation:
        case "relu":
            np.maximum(x, 0, out=x)
        case "leaky_relu" | "prelu":
            np.multiply(x, np.asarray(operator.slope, x.dtype), out=x, where=x < 0)
        case "sigmoid":
            # 1 / (1 + exp(-x)), by tanh, which cannot overflow.
            x *= x.dtype.type(0.5 / full)
            np.tanh(x, out=x)
            x += x.dtype.type(1)
            x *= x.dtype.type(0.5 * full)
        case "tanh":
            x /= x.dtype.type(full)
            np.tanh(x, out=x)
            x *= x.dtype.type(full)
        case "none":
            pass
        case _:
            return _by_loop(operator.activation, x, full)
    return x


def _by_loop(kind: str, x: Samples, full: float) -> Samples:
    """Apply an activation in float64."""
    values = np.ascontiguousarray(x, np.float64)
    numbers = ACTIVATIONS.index(kind), *default_numbers(kind), 1.0, full, 0.0
    ACTIVATE.variant()(values.reshape(-1), values.size, 1, values.size, 1, 1, *numbers, np.empty(1))
    return values.astype(x.dtype, copy=False)
