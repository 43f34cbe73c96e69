"""Rank filters: medians and percentiles of windows of any shape.

Samples are compared as integer keys (``rank_tiles.py``). Three methods find the result: a selection network
(``rank_network.py``, ``medians.py``), column histograms (``rank_columns.py``), and a histogram that slides along a row
(``rank_sliding.py``). With alpha, a pixel's vote has the weight of its alpha. With a mask, the valid pixels of a window
are ranked; their number decides about the rank.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from convfilter.engine.borders import Indices
from convfilter.engine.buffer import LineBuffer, Samples, Scratch
from convfilter.engine.epilogue import Epilogue
from convfilter.engine.mapped_stage import MappedStage, Region
from convfilter.engine.node import Crew, Node, Rows, StageNode, StageSetup
from convfilter.engine.threads import cut
from convfilter.engine.workers import Workers
from convfilter.filters.operators import Rank
from convfilter.methods import medians
from convfilter.methods.rank_columns import ByColumns
from convfilter.methods.rank_network import ByNetwork
from convfilter.methods.rank_sliding import Sliding
from convfilter.methods.rank_tiles import Tile, TileLoader
from convfilter.native.loop import Loop
from convfilter.planning import LUMINANCE_DIVISOR
from convfilter.planning.methods.rank import rank_of, ranks_of
from convfilter.record import replace

INTERPOLATE = Loop("interpolate", "interpolate", "X* X* f8* i8* i8 i8 i8 f8*")

_NO_NUMBERS = np.zeros(0, np.int64)

Real = np.ndarray[tuple[Any, ...], np.dtype[np.float64]]


def nodes(stage: StageSetup) -> list[Node]:
    """Return the node of a stage."""
    return [_Ranks(stage)]


class _Ranks(StageNode):
    """A node that finds ranks, region by region."""

    def crew(self, sources: Sequence[LineBuffer], target: LineBuffer, threads: int) -> Crew:
        """Return workers."""
        mapped, operator = self.stage.mapped(sources[0]), self.plan.stage.operator
        assert isinstance(operator, Rank)
        median = medians.loop_for(self.plan, ranks_of(operator))
        if median is not None and self.stage.ranges is None:
            crew = medians.direct_crew(median, mapped, target, self.block_rows, threads)
            if crew is not None:
                return crew
        epilogue = self.epilogue(mapped, target)
        return Workers(lambda: _Worker(mapped, epilogue, target, self.stage).compute, self.scratch_bytes)


class _Worker:
    """Finds the ranks of blocks of rows, in its own memory."""

    def __init__(self, mapped: MappedStage, epilogue: Epilogue, target: LineBuffer, stage: StageSetup) -> None:
        operator = mapped.plan.stage.operator
        assert isinstance(operator, Rank)
        self._mapped, self._epilogue, self._target, self._fraction = mapped, epilogue, target, operator.fraction
        self._averages = int(operator.is_median)
        self._scratch = Scratch(mapped.plan.precision)
        self._finder = _finder_for(mapped, self._scratch)
        self._loader = TileLoader(mapped, self._scratch, self._finder.columns, self._finder.takes_bit_patterns)
        first, self._share = rank_of(operator.fraction, mapped.plan.kernel.nonzeros)
        self._ranks = (first, first + (self._share > 0))
        self._channels = mapped.source.channels - mapped.source.masked
        stores = replace(mapped, source=mapped.source.straight).stores_samples(target.dtype) and stage.ranges is None
        self._stores = stores and not mapped.source.alpha and self._share == 0
        #: For each number of votes, the share of the second sample.
        count = mapped.plan.kernel.nonzeros if mapped.source.alpha else 0
        self._shares = np.array([0.0, *(rank_of(operator.fraction, n)[1] for n in range(1, count + 1))])
        self._stores_means = stores and bool(np.isin(self._shares, (0.0, 0.5)).all())

    def compute(self, rows: Rows) -> int:
        """Store output rows ``top`` to ``bottom - 1``; return the number of clipped samples."""
        cols = self._mapped.plan.cols.output
        return sum(self._rank_region(Region(*rows, *span)) for span in cut(cols, self._finder.strip_cols))

    def _rank_region(self, region: Region) -> int:
        """Find and store the ranks of a region; return the number of clipped samples."""
        tile = self._loader.load(region)
        if tile.valid is not None:
            return self._rank_valid(region, tile)
        fits = tile.keys.dtype.itemsize == self._target.dtype.itemsize
        if self._stores and fits and tile.decode and not tile.has_nan and tile.weights is None:
            channels = self._mapped.source.channels
            out = self._target.rows(region.top, region.bottom).view(tile.keys.dtype)
            pitch = self._target.row_samples
            flat = out.reshape(-1)[region.left * channels :]
            self._finder.find(tile, region, self._ranks, (flat, flat), pitch)
            tile.decode(out[:, region.left : region.right])
            return 0
        return self._store(region, tile)

    def _rank_valid(self, region: Region, tile: Tile) -> int:
        """Find and store the ranks of the valid samples of a region; return the number of clipped samples."""
        pitch = (region.right - region.left) * self._channels
        if self._stores_means and tile.holds_samples and not isinstance(self._finder, Sliding):
            out, pitch = self._target.rows(region.top, region.bottom).reshape(-1), self._target.row_samples
            self._finder.find_means(tile, region, self._fraction, out[region.left * self._channels :], pitch)
            return 0
        shape = region.bottom - region.top, region.right - region.left, self._channels
        low, high, counts = self._finder.find_valid(tile, region, self._fraction)
        values = self._interpolated(tile.samples(low), tile.samples(high), self._shares, counts)
        if tile.has_nan:
            last = self._finder.find_valid(tile, region, 1.0)[0]
            values[np.isnan(tile.samples(last))] = np.nan
        values[counts == 0] = 0.0
        return self._epilogue.store_values(region, values.reshape(shape))

    def _store(self, region: Region, tile: Tile) -> int:
        """Store ranks that interpolate two samples, or whose samples are scaled or converted."""
        source = self._mapped.source
        rows, cols, channels = region.bottom - region.top, region.right - region.left, source.channels
        shape = rows, cols, channels
        alpha = None
        if tile.weights is None:
            low, high = self._at_ranks(tile, region, self._ranks)
            values = self._interpolated(low, high, np.array([self._share])).reshape(shape)
            if tile.has_nan:
                last = self._mapped.plan.kernel.nonzeros - 1
                values[np.isnan(self._at_ranks(tile, region, (last, last))[0].reshape(shape))] = np.nan
        else:
            assert isinstance(self._finder, Sliding)
            values = self._weighted(self._finder, tile, region)
            alpha = values[..., -1] / (LUMINANCE_DIVISOR if source.gray else 1.0)
            if source.premultiplied:
                values *= 1 / source.full * alpha[..., np.newaxis]
        return self._epilogue.store_values(region, values, alpha)

    def _at_ranks(self, tile: Tile, region: Region, ranks: tuple[int, int]) -> tuple[Samples, Samples]:
        """Return the samples of two ranks."""
        size = (region.bottom - region.top) * (region.right - region.left) * self._mapped.source.channels
        out = [self._scratch.get(f"rank {number}", size, tile.keys.dtype)[:size] for number in range(2)]
        pitch = (region.right - region.left) * self._mapped.source.channels
        self._finder.find(tile, region, ranks, (out[0], out[1]), pitch)
        first = tile.samples(out[0])
        return first, first if ranks[0] == ranks[1] else tile.samples(out[1])

    def _weighted(self, finder: Sliding, tile: Tile, region: Region) -> Real:
        """Return ranks of colours weighted by alpha, and of alpha itself."""
        low, high, votes = finder.find_weighted(tile, region, self._fraction)
        shares = np.append(0.5, self._shares)  # the first is for -1, different votes
        first, second = (tile.samples(each).reshape(-1) for each in (low, high))
        values = self._interpolated(first, second, shares, votes.reshape(-1) + 1).reshape(votes.shape)
        if tile.has_nan:
            last, _, _ = finder.find_weighted(tile, region, 1.0)
            values[np.isnan(tile.samples(last))] = np.nan
        values[votes == 0] = 0.0
        return values

    def _interpolated(self, low: Samples, high: Samples, shares: Real, numbers: Indices | None = None) -> Real:
        """Interpolate between flat arrays of samples; the share of each is that of its number, or the only one."""
        values = self._scratch.get("values", low.size, np.float64)[: low.size]
        numbered = int(numbers is not None)
        numbers = _NO_NUMBERS if numbers is None else numbers
        INTERPOLATE.variant(X=low.dtype)(low, high, shares, numbers, numbered, self._averages, low.size, values)
        return values


def _finder_for(mapped: MappedStage, scratch: Scratch) -> ByNetwork | ByColumns | Sliding:
    """Return the finder of a stage's method."""
    match mapped.plan.algorithm:
        case "network":
            return ByNetwork(mapped, scratch)
        case "histograms":
            return ByColumns(mapped, scratch)
    return Sliding(mapped, scratch)
