"""Operators of networks that NumPy computes a block of rows at a time, on straight colours.

They are local response normalisation, softmax, indices of maxima, and constants. Alpha is that of the centre pixel.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from convfilter.engine.borders import CONSTANT, gather
from convfilter.engine.buffer import LineBuffer, Samples, Scratch
from convfilter.engine.load import Source
from convfilter.engine.mapped_stage import MappedStage, Region
from convfilter.engine.node import Crew, Node, Rows, StageNode, StageSetup
from convfilter.engine.workers import Worker, Workers
from convfilter.filters.network_operators import Constant, LocalResponse, MaxIndices, Softmax
from convfilter.methods.straight import central_alpha, finish

Real = npt.NDArray[np.float64]
#: Float64 arrays of a block that are alive at once.
_ARRAYS = 6


def nodes(stage: StageSetup) -> list[Node]:
    """Return the node of a stage."""
    return [_Values(stage)]


def straight(samples: Samples, source: Source) -> tuple[Real, Real | None]:
    """Return stored samples as straight colours, and alpha if any."""
    values: Real = samples.astype(np.float64)
    if not source.alpha:
        return values, None
    colours, alpha = values[..., :-1], values[..., -1:]
    if source.premultiplied:
        colours = colours * (source.full / np.where(alpha > 0, alpha, 1))
    return colours, alpha[..., 0]


class _Values(StageNode):
    """A node that computes the colours of a block by one function."""

    def crew(self, sources: Sequence[LineBuffer], target: LineBuffer, threads: int) -> Crew:
        """Return workers."""
        mapped = self.stage.mapped(sources[0])
        epilogue = self.epilogue(mapped, target)

        def make() -> Worker:
            scratch = Scratch(np.float64)

            def compute(rows: Rows) -> int:
                region = Region(*rows, 0, self.plan.cols.output)
                colours = _colours(mapped, *rows)
                central = central_alpha(mapped, *rows) if mapped.source.alpha else None
                return finish(mapped, epilogue, scratch, region, colours, central)

            return compute

        return Workers(
            make, _ARRAYS * 8 * self.block_rows * self.row_shape[0] * max(self.row_shape[1], self.plan.channels)
        )


def _colours(mapped: MappedStage, top: int, bottom: int) -> Real:
    """Return the colours of output rows ``top`` to ``bottom - 1``, on the samples' own scale."""
    operator, full = mapped.plan.stage.operator, mapped.source.full
    if isinstance(operator, Constant):
        rows, cols = mapped.plan.rows.output, mapped.plan.cols.output
        return full * np.broadcast_to(operator.values, (rows, cols, operator.values.shape[2]))[top:bottom]
    if isinstance(operator, LocalResponse):
        colours, _ = straight(mapped.source.image[mapped.row_index[top:bottom]], mapped.source)
        return _responses(colours, operator, full)
    if isinstance(operator, Softmax):
        colours, _ = straight(mapped.source.image[mapped.row_index[top:bottom]], mapped.source)
        return _softmax(colours / full, operator) * full
    assert isinstance(operator, MaxIndices)
    return full * _indices(mapped, operator, top, bottom)


def _responses(colours: Real, operator: LocalResponse, full: float) -> Real:
    """Return each sample over a power of the sum of squares of the channels around it."""
    channels = colours.shape[2]
    squares = np.zeros((*colours.shape[:2], channels + 1))
    np.cumsum((colours / full) ** 2, axis=2, out=squares[..., 1:])
    here = np.arange(channels)
    first = np.maximum(here - (operator.size - 1) // 2, 0)
    last = np.minimum(here + operator.size // 2 + 1, channels)
    sums = squares[..., last] - squares[..., first]
    return colours / (operator.bias + operator.alpha / operator.size * sums) ** operator.beta


def _softmax(x: Real, operator: Softmax) -> Real:
    """Return the softmax over channels, its logarithm, or 1 in the first largest channel."""
    if operator.kind == "hard":
        largest: Real = (np.arange(x.shape[2]) == np.argmax(x, axis=2)[..., np.newaxis]).astype(np.float64)
        return largest
    with np.errstate(invalid="ignore"):  # infinity minus infinity
        below = x - x.max(axis=2, keepdims=True)
    powers = np.exp(below)
    sums = powers.sum(axis=2, keepdims=True)
    result: Real = below - np.log(sums) if operator.kind == "log" else powers / sums
    return result


def _indices(mapped: MappedStage, operator: MaxIndices, top: int, bottom: int) -> Real:
    """Return the indices of the largest samples of windows: the first of equal samples, and NaN before all numbers."""
    rows, cols, channels = mapped.plan.rows, mapped.plan.cols, mapped.plan.channels - mapped.source.alpha
    down, along = np.arange(top, bottom) * rows.stride, np.arange(cols.output) * cols.stride
    shape = bottom - top, cols.output, channels
    best, where, visited = np.zeros(shape), np.zeros(shape), np.zeros((*shape[:2], 1), bool)
    for tap_row in range(rows.kernel):
        for tap_col in range(cols.kernel):
            row, col = down + tap_row * rows.dilation, along + tap_col * cols.dilation
            from_rows, from_cols = mapped.row_index[row], mapped.col_index[col]
            samples, _ = straight(gather(mapped.source.image, from_rows, from_cols, 0.0, np.float64), mapped.source)
            inside = ((from_rows != CONSTANT)[:, np.newaxis] & (from_cols != CONSTANT))[..., np.newaxis]
            chosen = inside & (~visited | (samples > best) | (np.isnan(samples) & ~np.isnan(best)))
            y, x = (row - rows.before)[:, np.newaxis, np.newaxis], (col - cols.before)[:, np.newaxis]
            place = x * rows.input + y if operator.by_columns else y * cols.input + x
            np.copyto(best, samples, where=chosen)
            np.copyto(where, place, where=chosen)
            visited |= inside
    return where + np.arange(channels) * (rows.input * cols.input)
