"""Compute a rectangle of a plan's result from its receptive field, with the same bytes as in the whole result."""

from __future__ import annotations

import numpy as np

from convfilter.engine.buffer import Samples
from convfilter.executor.chunks import Chunk, Side, chunk_of, run_chunk
from convfilter.executor.held import Span
from convfilter.executor.run import run_array
from convfilter.filters.network_operators import Constant, MaxIndices
from convfilter.machine.cores import cores_lately
from convfilter.planning import AxisPlan, Plan
from convfilter.planning.methods import grid_of


def run_region(
    plan: Plan, pixels: Samples, rows: Span, cols: Span, out_dtype: np.dtype[np.generic], *, threads: int | None = None
) -> Samples:
    """Compute a rectangle of the result.

    The receptive field is followed from the last stage to the first; then each stage computes the chunk that the next
    stage needs. If a stage depends on the whole picture, the whole result is computed and the rectangle cut out.

    Parameters
    ----------
    plan : Plan
        For the whole picture.
    pixels : (rows, cols) or (rows, cols, channels) array
        The whole picture.
    rows, cols : (first, last + 1)
        Outputs; at least one of each.
    out_dtype : dtype
        As for ``run_array``.
    threads : int, optional
        At most this many; by default, one for each core.

    Returns
    -------
    (rows, cols, channels) array
    """
    threads = threads or cores_lately()
    is_all = (rows, cols) == ((0, plan.output_shape[0]), (0, plan.output_shape[1]))
    if is_all or _depends_on_whole(plan):
        whole = run_array(plan, pixels, out_dtype=out_dtype, threads=threads).pixels
        return whole.reshape(*whole.shape[:2], -1)[slice(*rows), slice(*cols)]
    source = pixels.reshape(*pixels.shape[:2], -1)
    needed: list[tuple[Span, Span, Chunk]] = []
    spans = rows, cols
    for stage in reversed(plan.stages):
        grid = grid_of(stage)
        spans = _on_grid(stage.rows, grid.rows, spans[0]), _on_grid(stage.cols, grid.cols, spans[1])
        chunk = chunk_of(stage, *spans)
        needed.append((*spans, chunk))
        spans = _hull(chunk.rows), _hull(chunk.cols)
    samples = source[slice(*spans[0]), slice(*spans[1])]
    for number, (out_rows, out_cols, chunk) in enumerate(reversed(needed)):
        samples = _selected(_selected(samples, chunk.rows, spans[0][0], 0), chunk.cols, spans[1][0], 1)
        samples, _ = run_chunk(plan, number, chunk, samples, out_dtype, threads)
        spans = out_rows, out_cols
    top, left = rows[0] - spans[0][0], cols[0] - spans[1][0]
    return samples[top : top + rows[1] - rows[0], left : left + cols[1] - cols[0]]


def _depends_on_whole(plan: Plan) -> bool:
    """Whether a rectangle depends on the whole picture: on the range of its samples, or on positions in it."""
    return any(
        stage.branches or isinstance(stage.stage.operator, MaxIndices | Constant) or stage.takes_range
        for stage in plan.stages
    )


def _on_grid(axis: AxisPlan, step: int, span: Span) -> Span:
    """Widen a span to the grid, so that chunks depend on source samples."""
    if not step:
        return 0, axis.output
    first, last = span
    # The span includes the last output whose window begins on the source, and the first whose window ends there.
    first = min(first, max(0, (axis.input - 1 + axis.before) // axis.stride))
    last = max(last, min(axis.output, -(-max(0, axis.before - axis.span) // axis.stride) + 1))
    return first // step * step, min(-(-last // step) * step, axis.output)


def _hull(side: Side) -> Span:
    """Return the span from the first source sample of a side to the last."""
    return side.ranges[0][0], side.ranges[-1][1]


def _selected(samples: Samples, side: Side, origin: int, axis: int) -> Samples:
    """Return the samples of a side's ranges; ``samples`` begin at ``origin``."""
    if len(side.ranges) == 1:
        ((start, stop),) = side.ranges
        return samples[(slice(None),) * axis + (slice(start - origin, stop - origin),)]
    places = np.concatenate([np.arange(start - origin, stop - origin) for start, stop in side.ranges])
    return np.take(samples, places, axis=axis)
