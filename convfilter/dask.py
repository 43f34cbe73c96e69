"""Pictures larger than memory: stacks of filters on Dask arrays, chunk by chunk, with the bytes of the whole result.

Needs the extra ``cluster``: ``pip install 'convfilter[cluster]'``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, Unpack

import numpy as np

from convfilter.arrays import known_type, of_known_type
from convfilter.errors import ParameterError, UsageError
from convfilter.executor.chunks import Chunk, Side, boundaries, chunk_of, run_chunk
from convfilter.filters.checks import is_masked
from convfilter.filters.network_operators import Join, MaxIndices
from convfilter.filters.operators import Point
from convfilter.filters.stage import Stage, require_finite_padding
from convfilter.images import require_image
from convfilter.keywords import FilterKeywords, documented, masking_of, planned, stages_of
from convfilter.planning import Plan, StagePlan
from convfilter.planning.methods import grid_of

__all__ = ["apply"]


@documented(FilterKeywords)
def apply(array: Any, *specs: str | Stage, **keywords: Unpack[FilterKeywords]) -> Any:
    """Add a stack of filters to the graph of a Dask array; nothing is computed before the result is.

    The result equals ``convfilter.apply`` on the whole array, bit for bit, for integers and for real numbers without
    infinities and NaN.

    Parameters
    ----------
    array : dask.array.Array
        (H, W) or (H, W, C), of a sample type that ``convfilter.apply`` takes, in any chunks along rows and columns. The
        mask of masked arrays is their ``mask``.
    *specs : str or Stage
        As for ``convfilter.apply``.
    **keywords
        As for ``convfilter.apply``, without ``out``; ``threads`` is for each chunk, by default 1, and ``mask`` may be a
        Dask array.

    Returns
    -------
    dask.array.Array
        Its chunks are close to those of ``array``, and end where the filter's own blocks end: chunks of multirate
        Gaussians (large sigma), layers and orientation, and of all filters with ``ignore`` or ``mask``, are as wide as
        the picture.

    Raises
    ------
    UsageError
        Dask is not installed; or a filter needs the whole picture at once (``normalize``, ``map="stretch"``).
    ParameterError, SpecError, SizeError
        As ``convfilter.apply``; also chunks of unknown size.

    Notes
    -----
    Each stage is a layer of the graph: a chunk of its result is computed from the samples of its receptive field. So
    the overlap of chunks follows from kernel, dilation and stride; no chunk with overlap is stored.

    Examples
    --------
    >>> import dask.array, numpy
    >>> picture = dask.array.from_array(numpy.eye(300, dtype=numpy.uint8) * 200, chunks=100)
    >>> apply(picture, "gaussian:2", "sobel:magnitude,stride=2").compute().shape
    (150, 150)
    """
    try:
        import dask.array as da
    except ImportError as error:
        raise UsageError(
            "convfilter.dask needs packages that are not installed; pip install 'convfilter[cluster]'"
        ) from error

    if not isinstance(array, da.Array):
        raise ParameterError(f"array must be a dask array, got {type(array).__name__}; for NumPy use convfilter.apply")
    if keywords.get("out") is not None:
        raise ParameterError("the result of a dask array is computed later; use its method store() instead of out")
    if any(np.isnan(side) for side in array.shape):
        raise ParameterError(f"chunks must be of known size, got shape {array.shape}; call compute_chunk_sizes() first")
    if is_masked(array._meta):
        array, keywords = _without_mask(da, array, keywords)
    known = known_type(array.dtype)
    if array.dtype != known:
        array = array.map_blocks(of_known_type, dtype=known)
    require_image(array.shape, known, alpha=keywords.get("alpha", False))
    stages = stages_of(specs, keywords)
    for stage in stages:
        _require_local(stage)
    plan = planned(stages, array.shape, array.dtype, keywords)
    target = np.dtype(keywords.get("dtype") or array.dtype)
    threads = keywords.get("threads")
    threads = 1 if threads is None else threads
    if threads < 1:
        raise ParameterError(f"threads must be at least 1, got {threads}")
    result = (array if array.ndim == 3 else array[:, :, np.newaxis]).rechunk({2: -1})
    if keywords.get("ignore") is not None or keywords.get("mask") is not None:
        from convfilter.dask_masks import masked

        mask = keywords.get("mask")
        masking = masking_of(keywords, None if mask is None else da.asarray(mask))
        result = masked(result, masking, stages, plan, keywords, threads)
        return result if len(plan.output_shape) == 3 else result[:, :, 0]
    require_finite_padding(stages)
    for number in range(len(plan.stages)):
        result = _stage(da, plan, number, result, target, threads)
    return result if len(plan.output_shape) == 3 else result[:, :, 0]


def _without_mask(da: Any, array: Any, keywords: FilterKeywords) -> tuple[Any, FilterKeywords]:
    """Return an array of masked arrays as one of plain arrays, and its mask as a keyword."""
    masked, mask = da.ma.getmaskarray(array), keywords.get("mask")
    valid = ~(masked if array.ndim < 3 else masked.any(axis=2))
    if mask is not None:
        valid &= da.asarray(mask) != 0
    return da.ma.getdata(array), {**keywords, "mask": valid}


def _require_local(stage: Stage) -> None:
    """Refuse filters that depend on the whole picture."""
    of_whole = "map=stretch" if stage.map == "stretch" else ""
    if isinstance(stage.operator, Point) and stage.operator.kind == "normalize":
        of_whole = "normalize"
    if isinstance(stage.operator, Join | MaxIndices):
        raise UsageError(
            f"{stage.name} cannot be computed chunk by chunk: branches, indices and normalisations over all pixels "
            "need the whole picture; leave it out, or end the network before it"
        )
    if of_whole:
        raise UsageError(
            f"{of_whole} needs the range of the whole picture, which no chunk has; leave it out, "
            "and scale the result by its own min() and max()"
        )


def _stage(da: Any, plan: Plan, number: int, source: Any, target: np.dtype[Any], threads: int) -> Any:
    """Add one stage to the graph."""
    from dask.base import tokenize
    from dask.highlevelgraph import HighLevelGraph

    stage = plan.stages[number]
    dtype = target if number == len(plan.stages) - 1 else stage.result
    row_cuts, col_cuts = _cuts(stage, source.chunks)
    name = f"convfilter-{stage.stage.name.partition(':')[0]}-{tokenize(source.name, plan, number, dtype)}"
    graph: dict[Any, Any] = {f"{name}-plan": _Shared(plan, number, dtype, threads)}
    pieces = _Pieces(source, name)
    for i, rows in enumerate(pairwise(row_cuts)):
        for j, cols in enumerate(pairwise(col_cuts)):
            chunk = chunk_of(stage, rows, cols)
            graph[name, i, j, 0] = (_compute, f"{name}-plan", chunk, pieces.of(chunk))
    graph.update(pieces.graph)
    chunks = (*(tuple(int(size) for size in np.diff(cuts)) for cuts in (row_cuts, col_cuts)), (stage.output_channels,))
    layers = HighLevelGraph.from_collections(name, graph, dependencies=[source])
    return da.Array(layers, name, chunks=chunks, dtype=dtype)


class _Shared:
    """Data that all chunks of a stage share: stored once in the graph, and sent to each worker once."""

    def __init__(self, plan: Plan, number: int, dtype: np.dtype[Any], threads: int) -> None:
        self.plan, self.number, self.dtype, self.threads = plan, number, dtype, threads


def _compute(shared: _Shared, chunk: Chunk, blocks: Sequence[Sequence[Any]]) -> Any:
    """Compute one chunk from adjacent pieces of the source's chunks."""
    rows = [np.concatenate(row, axis=1) if len(row) > 1 else row[0] for row in blocks]
    pixels = np.concatenate(rows, axis=0) if len(rows) > 1 else rows[0]
    return run_chunk(shared.plan, shared.number, chunk, pixels, shared.dtype, shared.threads)[0]


def _cut(block: Any, rows: slice, cols: slice) -> Any:
    """Return a copy of a piece of a chunk, so that only the piece is sent to another worker."""
    return np.ascontiguousarray(block[rows, cols])


class _Pieces:
    """Pieces of the source's chunks: one task for each piece, which chunks of the result share."""

    def __init__(self, source: Any, name: str) -> None:
        self._source, self._name = source, name
        self._starts = [np.cumsum((0, *chunks)) for chunks in source.chunks[:2]]
        self.graph: dict[Any, Any] = {}

    def of(self, chunk: Chunk) -> list[list[Any]]:
        """Return the keys of a chunk's pieces, row by row."""
        return [
            [self._key(i, j, rows, cols) for j, cols in self._along(1, chunk.cols)]
            for i, rows in self._along(0, chunk.rows)
        ]

    def _along(self, axis: int, side: Side) -> Iterator[tuple[int, slice]]:
        starts = self._starts[axis]
        for start, stop in side.ranges:
            for chunk in range(int(np.searchsorted(starts, start, "right")) - 1, len(starts) - 1):
                first, last = max(start, starts[chunk]), min(stop, starts[chunk + 1])
                if last <= first:
                    break
                yield chunk, slice(int(first - starts[chunk]), int(last - starts[chunk]))

    def _key(self, i: int, j: int, rows: slice, cols: slice) -> Any:
        chunk = (self._source.name, i, j, 0)
        sizes = self._source.chunks[0][i], self._source.chunks[1][j]
        if (rows.start, rows.stop, cols.start, cols.stop) == (0, sizes[0], 0, sizes[1]):
            return chunk
        key = (f"{self._name}-piece", i, j, rows.start, rows.stop, cols.start, cols.stop)
        self.graph[key] = (_cut, chunk, rows, cols)
        return key


def _cuts(stage: StagePlan, chunks: tuple[tuple[int, ...], ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Choose the chunks of a stage's result, no larger than its source's chunks where possible."""
    grid = grid_of(stage)
    rows, cols = (np.cumsum(sizes)[:-1].tolist() for sizes in chunks[:2])
    if not grid.cols and cols:
        # Chunks of the full width have fewer rows, but at least twice as many as two neighbours both read.
        samples = max(chunks[0]) * max(chunks[1])
        height = max(1, samples // stage.cols.input, 2 * stage.rows.span)
        rows = range(height, stage.rows.input, height)
    return boundaries(stage.rows, grid.rows, rows), boundaries(stage.cols, grid.cols, cols)
