"""Stacks of filters on Dask arrays with ignored pixels: bands of rows, each with its mask, from stage to stage."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import Any

import numpy as np

from convfilter.executor.held import Held, Span, Valid
from convfilter.executor.masked import Masking, marked, masked_stages
from convfilter.executor.masked_rows import BandedStage
from convfilter.filters.stage import Stage
from convfilter.keywords import FilterKeywords
from convfilter.planning import Plan
from convfilter.record import replace

#: Some rows of a picture, and which of their pixels are valid.
_Rows = tuple[Any, Valid]


def masked(
    source: Any, masking: Masking, stages: Sequence[Stage], plan: Plan, keywords: FilterKeywords, threads: int
) -> Any:
    """Return the graph of a stack without the ignored pixels of a (rows, cols, channels) Dask array.

    Chunks of the result are as wide as the picture, and begin where the stages' bands do.
    """
    import dask.array as da
    from dask.base import tokenize
    from dask.highlevelgraph import HighLevelGraph

    alpha, target = keywords.get("alpha", False), np.dtype(keywords.get("dtype") or source.dtype)
    masking.check(source.shape, alpha)
    samples = max(source.chunks[0]) * max(source.chunks[1])
    source = source.rechunk({0: max(1, samples // source.shape[1]), 1: -1, 2: -1})
    banded = masked_stages(
        stages, source.shape, source.dtype, fill=keywords.get("fill", False), out_dtype=target, alpha=alpha,
        premultiplied=keywords.get("premultiplied", False), gray=keywords.get("gray", False), white=None,
        out_white=None, ignore=masking.ignore,
    )  # fmt: skip
    mask = masking.mask
    if mask is not None:
        mask = da.asarray(mask).rechunk((source.chunks[0], -1))
    name = f"convfilter-masked-{tokenize(source.name, plan, masking.ignore, mask, keywords)}"
    first, dependencies = f"{name}-source", [source] if mask is None else [source, mask]
    starts = np.cumsum((0, *source.chunks[0])).tolist()
    graph: dict[Any, Any] = {f"{name}-masking": Masking(masking.ignore)}
    for number in range(len(starts) - 1):
        of_mask = None if mask is None else (mask.name, number, 0)
        graph[first, number] = (_with_validity, f"{name}-masking", alpha, (source.name, number, 0, 0), of_mask)
    before = first
    for number, stage in enumerate(banded):
        layer, spans = f"{name}-{number}", _spans(stage, samples)
        graph[f"{layer}-stage"] = stage
        for place, bands in enumerate(spans):
            reaches = [stage.reach(band) for band in bands]
            rows = min(top for top, _ in reaches), max(bottom for _, bottom in reaches)
            chunks = [
                chunk for chunk in range(len(starts) - 1) if starts[chunk] < rows[1] and starts[chunk + 1] > rows[0]
            ]
            pieces = [(before, chunk) for chunk in chunks]
            graph[layer, place] = (_filtered, f"{layer}-stage", bands, starts[chunks[0]], rows, pieces, threads)
        starts = [0, *(bands[-1][1] for bands in spans)]
        before = layer
    mark = masking.mark(target)
    for number in range(len(starts) - 1):
        graph[name, number, 0, 0] = (_marked, (before, number), mark, alpha)
    heights = tuple(int(size) for size in np.diff(starts))
    layers = HighLevelGraph.from_collections(name, graph, dependencies=dependencies)
    return da.Array(layers, name, chunks=(heights, *((size,) for size in banded[-1].shape[1:])), dtype=target)


def _spans(stage: BandedStage, samples: int) -> list[list[Span]]:
    """Return the bands of each chunk of a stage's result, which have about ``samples`` pixels together."""
    bands = stage.bands
    if len(bands) > 1 and stage.reach(bands[0]) == stage.reach(bands[-1]):  # all bands read the same neighbours
        return [list(bands)]
    each = max(1, samples // max(1, (bands[0][1] - bands[0][0]) * stage.shape[1]))
    return [list(bands[first : first + each]) for first in range(0, len(bands), each)]


def _with_validity(masking: Masking, alpha: bool, pixels: Any, mask: Any) -> _Rows:
    """Return a chunk of the picture, and which of its pixels are valid."""
    pixels = np.ascontiguousarray(pixels)
    return pixels, replace(masking, mask=mask).valid(alpha, pixels)


def _filtered(
    stage: BandedStage, bands: Sequence[Span], first: int, rows: Span, pieces: Sequence[_Rows], threads: int
) -> _Rows:
    """Compute bands of a stage from chunks of its source, the first of which begins with row ``first``."""
    pixels, valid = (each[0] if len(each) == 1 else np.concatenate(each) for each in zip(*pieces, strict=True))
    place = slice(rows[0] - first, rows[1] - first)
    shape = bands[-1][1] - bands[0][0], *stage.shape[1:]
    out, valid_results = np.empty(shape, stage.dtype), np.empty(shape[:2], bool)
    held = Held(rows[0], np.ascontiguousarray(pixels[place]), np.ascontiguousarray(valid[place]))
    copy(stage).run(held, list(bands), out, valid_results, threads)
    return out, valid_results


def _marked(rows: _Rows, mark: float, alpha: bool) -> Any:
    pixels, valid = rows
    return marked(pixels.copy(), valid, mark, alpha) if mark else pixels
