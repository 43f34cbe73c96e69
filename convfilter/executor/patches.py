"""Ranks and bilateral filters with ignored pixels, in rectangles of each band.

Rectangles that read an ignored pixel are filtered with the mask as a further channel, which takes several times as
long; the others without a mask.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from typing import Any

import numpy as np

from convfilter.engine.buffer import Samples
from convfilter.engine.masked import Masked, bits_of
from convfilter.engine.threads import cut, run_blocks
from convfilter.executor.bands import band, joins_mask, reach_of, run_band
from convfilter.executor.chunks import Side, chunk_of, run_chunk, run_chunk_to
from convfilter.executor.held import Held, Span, Valid
from convfilter.native.loop import Loop
from convfilter.planning import AxisPlan, Plan, StagePlan
from convfilter.planning.derived_cache import cached_value
from convfilter.planning.methods import grid_of

DROP_MASK = Loop("mask", "drop_mask", "M* i8 i8 i8 i8 M* i8 i8")
APPEND_MASK = Loop("mask", "append_mask", "M* i8 i8 u1* i8 i8 i8 i8 i8 M* M* i8 i8")

#: Least sides of a rectangle: in pixels, and in windows, since a rectangle reads half a window more on each side.
_ROWS, _COLS, _SPANS = 128, 512, 2
#: Largest share of rectangles that read an ignored pixel; above, the whole band is filtered with the mask.
MOST_MASKED = 0.5

#: Cache of the columns of rectangles, by identity of the stage's plan.
_columns: dict[int, tuple[StagePlan, dict[Span, Side]]] = {}
_MOST_COLUMNS = 32

Rectangle = tuple[Span, Span]


class Patches:
    """Bands of ranks or of bilateral filters.

    Parameters
    ----------
    unweighted, weighted : Plan
        Plans of one stage: without a mask, and with the mask as a further channel.
    opaque : number
        Value of the mask at valid pixels.
    """

    in_turn = False

    def __init__(self, unweighted: Plan, weighted: Plan, opaque: Any) -> None:
        self.plans: tuple[Plan, ...] = unweighted, weighted
        self._opaque = opaque

    def reach(self, span: Span) -> Span:
        """Return the rows of the source that some rows of the result read."""
        return reach_of(self.plans, span)

    def spans(self, held: Held, bands: Sequence[Span], threads: int) -> list[Span]:
        """Return the bands."""
        return list(bands)

    def run(self, held: Held, span: Span, out: Samples, threads: int) -> int:
        """Write the rows of a band; undefined where a window has no valid pixel."""
        unweighted, weighted = self.plans
        stage = weighted.stages[0]
        grid = grid_of(stage)
        rows = cut(span[1] - span[0], _side(stage.rows, grid.rows, _ROWS))
        rows = [(span[0] + first, span[0] + last) for first, last in rows]
        sides = _columns_of(stage)
        cols = list(sides)
        masked = dict(zip(product(rows, cols), _are_masked(held, stage, rows, sides.values()), strict=True))
        if sum(masked.values()) <= MOST_MASKED * len(masked):
            clipped = run_band(unweighted, held, span, out, threads)
            if clipped == 0 or not any(masked.values()):  # otherwise the places of clipped samples are unknown
                rectangles = [
                    (down, along) for down in rows for along in _joined_spans(cols, [masked[down, a] for a in cols])
                ]
                return clipped + sum(self._patch(held, rectangle, span[0], out, threads) for rectangle in rectangles)
        return self._patch(held, (span, (0, stage.cols.output)), span[0], out, threads)

    def _patch(self, held: Held, rectangle: Rectangle, top: int, out: Samples, threads: int) -> int:
        """Write a rectangle without its ignored pixels into ``out``, which begins with row ``top``."""
        plan, ((first, last), (left, right)) = self.plans[1], rectangle
        place = out[first - top : last - top, left:right]
        is_band = right - left == plan.stages[0].cols.output
        chunk = band(plan.stages[0], rectangle[0]) if is_band else chunk_of(plan.stages[0], *rectangle)
        pixels, valid = held.rows(chunk.rows.ranges)
        joined: Samples | Masked = (
            Masked(pixels, valid)
            if is_band and self._opaque == 1 and joins_mask(plan)
            else with_mask(pixels, valid, self._opaque, chunk.cols)
        )
        if place.flags.c_contiguous and plan.stages[0].output_channels == out.shape[2]:
            return run_chunk_to(plan, 0, chunk, joined, place, threads)
        result, clipped = run_chunk(plan, 0, chunk, joined, out.dtype, threads)
        if result.shape[2] == out.shape[2]:
            place[:] = result
        else:
            _put_colours(np.ascontiguousarray(result), out, (first - top, left))
        return clipped


def _side(axis: AxisPlan, step: int, least: int) -> int:
    """Return the length of a rectangle's side."""
    return -(-max(least, _SPANS * axis.span // axis.stride) // step) * step


def _columns_of(stage: StagePlan) -> dict[Span, Side]:
    """Return the columns of the rectangles of a band, and those that they read."""

    def found() -> tuple[StagePlan, dict[Span, Side]]:
        step, width = grid_of(stage).cols, stage.cols.output
        cols = cut(width, _side(stage.cols, step, _COLS) if step else width)
        rows = 0, stage.rows.output
        return stage, {along: chunk_of(stage, rows, along).cols for along in cols}

    return cached_value(_columns, id(stage), found, _MOST_COLUMNS)[1]


def _are_masked(held: Held, stage: StagePlan, rows: Sequence[Span], cols: Iterable[Side]) -> Iterator[bool]:
    """Yield of each rectangle, row by row, whether it reads an ignored pixel."""
    for down in rows:
        _, valid = held.rows(band(stage, down).rows.ranges)
        for side in cols:
            yield not all(valid[:, left:right].all() for left, right in side.ranges)


def _joined_spans(spans: list[Span], wanted: list[bool]) -> Iterator[Span]:
    """Yield runs of neighbouring selected spans, each joined to a single span."""
    first = None
    for (start, stop), is_wanted, goes_on in zip(spans, wanted, [*wanted[1:], False], strict=True):
        if is_wanted:
            first = start if first is None else first
            if not goes_on:
                yield first, stop
                first = None


def with_mask(pixels: Samples, valid: Valid, opaque: Any, cols: Side | None = None, *, threads: int = 1) -> Samples:
    """Return pixels with the mask as a further channel; ignored pixels become 0.

    Parameters
    ----------
    pixels : (rows, cols, channels) array
    valid : (rows, cols) array of bool
    opaque : number
        Value of the mask at valid pixels.
    cols : Side, optional
        Ranges of columns to return, side by side; by default all.
    threads : int
    """
    pixels, valid = np.ascontiguousarray(pixels), np.ascontiguousarray(valid)
    rows, width, channels = pixels.shape
    ranges = ((0, width),) if cols is None else cols.ranges
    count = sum(right - left for left, right in ranges)
    joined = np.empty((rows, count, channels + 1), pixels.dtype)
    source, out = bits_of(pixels), bits_of(joined)
    loop, value = APPEND_MASK.variant(M=source.dtype), bits_of(np.array([opaque], pixels.dtype))

    def join(part: Span) -> None:
        (first, last), col = part, 0
        for left, right in ranges:
            loop(
                source, (first * width + left) * channels, width * channels,
                valid.view(np.uint8), first * width + left, width, last - first, right - left,
                channels, value, out, (first * count + col) * (channels + 1), count * (channels + 1),
            )  # fmt: skip
            col += right - left

    run_blocks(cut(rows, -(-rows // threads)), join, threads)
    return joined


def _put_colours(pixels: Samples, result: Samples, corner: tuple[int, int]) -> None:
    """Write all channels but the last into a rectangle of the result whose first row and column are ``corner``."""
    rows, cols, channels = pixels.shape
    pitch = result.shape[1] * result.shape[2]
    source, out = bits_of(pixels), bits_of(result)
    start = corner[0] * pitch + corner[1] * result.shape[2]
    DROP_MASK.variant(M=source.dtype)(source, cols * channels, rows, cols, channels - 1, out, start, pitch)
