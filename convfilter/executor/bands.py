"""Bands of rows of one stage's result, and the rows of the source that they read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from math import lcm
from typing import Protocol

import numpy as np

from convfilter.engine.buffer import Samples
from convfilter.engine.threads import cut, run_blocks
from convfilter.executor.chunks import Chunk, chunk_of, run_chunk_to, whole_side
from convfilter.executor.held import Held, Span
from convfilter.planning import Plan, StagePlan
from convfilter.planning.derived_cache import DerivedCache
from convfilter.planning.methods import chosen_method, grid_of

#: A band has ``ROWS`` rows, or as many as ``SPANS[1]`` windows if they are higher; at most ``PIXELS`` pixels, but at
#: least the rows of ``SPANS[0]`` windows: it reads one window more than its height, so low bands read many rows twice.
ROWS, PIXELS, SPANS = 256, 2**21, (2, 4)

#: Bands, by their rows: a run asks for each several times, and the next run for the same ones. Cutting them anew took a
#: seventh of the time of average pooling of 12 megapixels with a mask.
_bands = DerivedCache[Chunk](256)


class Operation(Protocol):
    """Computes bands of a stage's result from the held rows of its source.

    Attributes
    ----------
    plans : tuple of Plan
        Plans for the whole picture, each of one stage.
    in_turn : bool
        Whether spans are computed one after the other, each on all threads.
    """

    plans: tuple[Plan, ...]
    in_turn: bool

    def reach(self, span: Span) -> Span:
        """Return the rows of the source that some rows of the result read."""

    def spans(self, held: Held, bands: Sequence[Span], threads: int) -> list[Span]:
        """Return spans that are computed at a time: bands, or neighbouring bands joined."""

    def run(self, held: Held, span: Span, out: Samples, threads: int) -> int:
        """Write the rows of a span into ``out``; return how many samples were clipped."""


def bands_on_grids(plans: Iterable[Plan]) -> list[Span]:
    """Cut a stage's result into bands that begin on the grids of all its plans."""
    stages = [plan.stages[0] for plan in plans]
    output = max(stage.rows.output for stage in stages)
    step = 1
    for stage in stages:
        rows = grid_of(stage).rows
        step = output if rows >= stage.rows.output else lcm(step, rows)
    least = max(_source_rows(stage) // stage.rows.stride for stage in stages)
    return cut(output, -(-max(1, least) // step) * step)


def _source_rows(stage: StagePlan) -> int:
    """Return the least height of a band in source rows: some windows, fewer where rows are long."""
    fit = PIXELS // stage.cols.input
    few, many = (spans * stage.rows.span for spans in SPANS)
    return max(few, min(fit, max(ROWS, many)))


def band(stage: StagePlan, span: Span) -> Chunk:
    """Return the chunk of rows of a stage's result, in its full width."""

    def cut_band() -> Chunk:
        return Chunk(chunk_of(stage, span, (0, stage.cols.output)).rows, whole_side(stage.cols))

    return _bands.get(stage, span, cut_band)


def reach_of(plans: Iterable[Plan], span: Span) -> Span:
    """Return the source rows that plans of one stage read for some rows of its result."""
    ranges = [each for plan in plans for each in band(plan.stages[0], span).rows.ranges]
    return min(start for start, _ in ranges), max(stop for _, stop in ranges)


def run_band(plan: Plan, held: Held, span: Span, out: Samples, threads: int) -> int:
    """Compute rows of a plan's result from held rows, without their mask."""
    chunk = band(plan.stages[0], span)
    pixels, _ = held.rows(chunk.rows.ranges)
    return run_chunk_to(plan, 0, chunk, np.ascontiguousarray(pixels), out, threads)


def joins_mask(plan: Plan) -> bool:
    """Whether the mask is joined to rows when they are loaded; else a copy of them has it as a further channel."""
    return plan.dtype.kind in "iuf" and chosen_method(plan.stages[0]).joins_masks


def joined(bands: Sequence[Span], pieces: int, plan: Plan) -> list[Span]:
    """Join neighbouring bands to at most as many spans as ``pieces``.

    Bands of float samples are not joined if the method spreads infinities over tiles: a run that finds an infinity
    repeats all its rows with another method, and which rows these are must not depend on the number of threads.
    """
    if not bands:
        return []
    if chosen_method(plan.stages[0]).spreads and plan.dtype.kind == "f":
        return list(bands)
    return [(bands[first][0], bands[last - 1][1]) for first, last in cut(len(bands), -(-len(bands) // pieces))]


def run_parts(span: Span, threads: int, run: Callable[[Span, slice], None], most_rows: int | None = None) -> None:
    """Call ``run`` on threads with parts of a span, of at most ``most_rows`` rows, and with their place in it.

    By default each thread has one part.
    """
    count = span[1] - span[0]
    rows = min(-(-count // threads), most_rows or count)

    def run_part(part: Span) -> None:
        run((span[0] + part[0], span[0] + part[1]), slice(*part))

    run_blocks(cut(count, rows), run_part, threads)
