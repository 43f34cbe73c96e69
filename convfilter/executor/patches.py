"""Filter pictures with ignored pixels rectangle by rectangle: those without ignored pixels as usual.

Rectangles whose windows contain an ignored pixel are filtered with the mask as alpha, which takes several times as
long.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from convfilter.engine.buffer import Samples
from convfilter.engine.threads import cut
from convfilter.executor.chunks import Chunk, chunk_of, grid_of, run_chunk_counted
from convfilter.executor.run import run_array
from convfilter.machine.cores import cores_lately
from convfilter.planning import AxisPlan, Plan

#: Least sides of a rectangle in pixels; and in windows, since a rectangle reads one more window around it.
_ROWS, _COLS, _SPANS = 128, 512, 2
#: Rows of a band in which more than the share ``_MOST`` of rectangles contain an ignored pixel.
_BAND, _MOST = 512, 0.5

Span = tuple[int, int]
Rectangle = tuple[Span, Span]


def run_in_patches(
    unweighted: Plan,
    weighted: Plan,
    pixels: Samples,
    valid: npt.NDArray[np.bool_],
    opaque: Any,
    out_dtype: np.dtype[np.generic],
    threads: int | None,
) -> tuple[Samples, int]:
    """Filter a picture with ignored pixels by one stage.

    Parameters
    ----------
    unweighted, weighted : Plan
        Plans of that stage for the picture, and for it with an alpha channel added.
    pixels : (rows, cols, channels) array
        0 where they are ignored.
    valid : (rows, cols) array
    opaque : number
        Alpha of valid pixels.
    out_dtype : dtype
    threads : int, optional
        At most this many; by default, one for each core.

    Returns
    -------
    (rows, cols, channels) array
        Undefined where a window has no valid pixel.
    int
        How many samples were clipped.
    """
    stage, threads = weighted.stages[0], threads or cores_lately()
    grid = grid_of(stage)
    rows = cut(stage.rows.output, _side(stage.rows, grid.rows, _ROWS))
    cols = cut(stage.cols.output, _side(stage.cols, grid.cols, _COLS) if grid.cols else stage.cols.output)
    chunks = {(down, along): chunk_of(stage, down, along) for down in rows for along in cols}
    needs_mask = {place: not all(each.all() for each in _pieces(valid, chunk)) for place, chunk in chunks.items()}
    if sum(needs_mask.values()) <= _MOST * len(needs_mask):
        found = run_array(unweighted, pixels, out_dtype=out_dtype, threads=threads)
        if found.clipped == 0 or not any(needs_mask.values()):  # otherwise the places of clipped samples are unknown
            result = found.pixels.reshape(stage.rows.output, stage.cols.output, -1)
            patches = [
                (down, span) for down in rows for span in _joined_spans(cols, [needs_mask[down, each] for each in cols])
            ]
            return result, _patch(weighted, pixels, valid, opaque, result, patches, threads)
    result = np.empty((stage.rows.output, stage.cols.output, stage.output_channels - 1), out_dtype)
    bands = cut(stage.rows.output, _side(stage.rows, grid.rows, _BAND))
    patches = [(down, (0, stage.cols.output)) for down in bands]
    return result, _patch(weighted, pixels, valid, opaque, result, patches, threads)


def _side(axis: AxisPlan, step: int, least: int) -> int:
    """Return the length of a rectangle's side."""
    return -(-max(least, _SPANS * axis.span // axis.stride) // step) * step


def _pieces(array: Samples, chunk: Chunk) -> Iterator[Samples]:
    """Yield the slices of a picture that a rectangle reads."""
    for top, bottom in chunk.rows.runs:
        for left, right in chunk.cols.runs:
            yield array[top:bottom, left:right]


def _joined_spans(spans: list[Span], wanted: list[bool]) -> Iterator[Span]:
    """Yield runs of neighbouring spans that are selected."""
    first = None
    for (start, stop), is_wanted, goes_on in zip(spans, wanted, [*wanted[1:], False], strict=True):
        if is_wanted:
            first = start if first is None else first
            if not goes_on:
                yield first, stop
                first = None


def _patch(
    plan: Plan,
    pixels: Samples,
    valid: npt.NDArray[np.bool_],
    opaque: Any,
    result: Samples,
    patches: list[Rectangle],
    threads: int,
) -> int:
    """Write rectangles of a result, with the mask as alpha; returns how many samples were clipped."""
    stage, clipped = plan.stages[0], 0
    for down, along in patches:
        chunk = chunk_of(stage, down, along)
        joined = _joined(_whole(pixels, chunk), _whole(valid, chunk) * opaque)
        found, count = run_chunk_counted(plan, 0, chunk, joined, result.dtype, threads)
        for channel in range(result.shape[2]):
            result[slice(*down), slice(*along), channel] = found[..., channel]
        clipped += count
    return clipped


def _whole(array: Samples, chunk: Chunk) -> Samples:
    """Return the rows and columns that a rectangle reads, copied side by side."""
    rows = (
        np.concatenate([array[slice(*run)] for run in chunk.rows.runs])
        if len(chunk.rows.runs) > 1
        else (array[slice(*chunk.rows.runs[0])])
    )
    if len(chunk.cols.runs) == 1:
        return rows[:, slice(*chunk.cols.runs[0])]
    return np.concatenate([rows[:, slice(*run)] for run in chunk.cols.runs], axis=1)


def _joined(pixels: Samples, plane: Samples) -> Samples:
    """Return pixels with one channel more; channel by channel, which NumPy copies faster than pixel by pixel."""
    joined = np.empty((*plane.shape, pixels.shape[2] + 1), pixels.dtype)
    for channel in range(pixels.shape[2]):
        joined[..., channel] = pixels[..., channel]
    joined[..., -1] = plane
    return joined
