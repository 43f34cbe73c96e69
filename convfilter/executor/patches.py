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
from convfilter.engine.threads import cut, run_blocks
from convfilter.executor.chunks import Chunk, chunk_of, grid_of, run_chunk_counted
from convfilter.executor.run import run_array
from convfilter.machine.cores import cores_lately
from convfilter.native.loop import Loop
from convfilter.planning import AxisPlan, Plan

JOIN = Loop("mask", "join", "S* i8 i8 u1* i8 i8 i8 i8 i8 S S* i8 i8")
PART = Loop("mask", "part", "S* i8 i8 i8 i8 S* i8 i8")

#: Least sides of a rectangle in pixels; and in windows, since a rectangle reads one more window around it.
_ROWS, _COLS, _SPANS = 128, 512, 2
#: Rows of a band in which more than the share ``_MOST`` of rectangles contain an ignored pixel.
_BAND, _MOST = 256, 0.5

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
        0 where they are ignored, if they are real.
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
        Number of clipped samples.
    """
    stage, threads = weighted.stages[0], threads or cores_lately()
    pixels, valid = np.ascontiguousarray(pixels), np.ascontiguousarray(valid)
    grid = grid_of(stage)
    rows = cut(stage.rows.output, _side(stage.rows, grid.rows, _ROWS))
    cols = cut(stage.cols.output, _side(stage.cols, grid.cols, _COLS) if grid.cols else stage.cols.output)
    chunks = {(down, along): chunk_of(stage, down, along) for down in rows for along in cols}
    whole = {down: all(valid[slice(*run)].all() for run in chunks[down, cols[0]].rows.ranges) for down in rows}
    needs_mask = {
        place: not whole[place[0]] and not all(each.all() for each in _pieces(valid, chunk))
        for place, chunk in chunks.items()
    }
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
    for top, bottom in chunk.rows.ranges:
        for left, right in chunk.cols.ranges:
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
    """Write rectangles of a result, with the mask as alpha; return the number of clipped samples."""
    stage = plan.stages[0]
    counts: list[int] = []
    within = 1 if len(patches) >= threads else threads

    def patch(rectangle: Rectangle) -> None:
        chunk = chunk_of(stage, *rectangle)
        joined = _joined(pixels, valid, opaque, chunk)
        found, count = run_chunk_counted(plan, 0, chunk, joined, result.dtype, within)
        _put_colours(np.ascontiguousarray(found), result, rectangle)
        counts.append(count)

    run_blocks(patches, lambda: patch, threads)
    return sum(counts)


def _joined(pixels: Samples, valid: npt.NDArray[np.bool_], opaque: Any, chunk: Chunk) -> Samples:
    """Return the rows and columns that a rectangle reads, copied side by side, with the mask as one channel more."""
    rows, cols = (sum(last - first for first, last in side.ranges) for side in (chunk.rows, chunk.cols))
    width, channels = pixels.shape[1:]
    joined = np.empty((rows, cols, channels + 1), pixels.dtype)
    loop, row = JOIN.variant(S=pixels.dtype), 0
    for top, bottom in chunk.rows.ranges:
        col = 0
        for left, right in chunk.cols.ranges:
            first, start = top * width + left, row * cols + col
            loop(
                pixels, first * channels, width * channels, valid.view(np.uint8), first, width, bottom - top,
                right - left, channels, opaque.item(), joined, start * (channels + 1), cols * (channels + 1),
            )  # fmt: skip
            col += right - left
        row += bottom - top
    return joined


def _put_colours(found: Samples, result: Samples, rectangle: Rectangle) -> None:
    """Write all channels but the last into a rectangle of the result."""
    (top, _), (left, _) = rectangle
    rows, cols, channels = found.shape
    pitch = result.shape[1] * result.shape[2]
    place = result, top * pitch + left * result.shape[2], pitch
    PART.variant(S=found.dtype)(found, cols * channels, rows, cols, channels - 1, *place)
