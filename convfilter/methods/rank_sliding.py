"""Ranks of any samples by a histogram that slides along a row; see ``loops/sliding_histogram.py``."""

from __future__ import annotations

from math import gcd
from typing import Any

import numpy as np

from convfilter.engine.borders import Indices
from convfilter.engine.buffer import Samples, Scratch
from convfilter.engine.layout import Columns, columns_for
from convfilter.engine.mapped_stage import MappedStage, Region
from convfilter.methods.rank_finder import Finder
from convfilter.methods.rank_tiles import Tile
from convfilter.native.loop import Loop
from convfilter.planning.methods.rank import rank_of
from convfilter.record import replace

SLIDE = Loop(
    "sliding_histogram", "slide",
    "K* i8 i8 i8 i8 i8 i8* i8 i8* i8 i8* i8 i8* i8 i8 i8* f8 i8* N* N* N* K* K* i8* i8 i8",
)  # fmt: skip


class Sliding(Finder):
    """Uses a histogram that slides along each row: for any window and any samples."""

    takes_bit_patterns = False

    def __init__(self, mapped: MappedStage, scratch: Scratch) -> None:
        super().__init__(mapped, scratch)
        cols = self._cols
        common = gcd(cols.stride, cols.dilation)
        #: Outputs this far apart read the same dilated columns, shifted by ``shift`` taps.
        self._phases, shift = cols.dilation // common, cols.stride // common
        cells = np.asarray(mapped.plan.kernel.matrix != 0)
        leaving, entering = cells.copy(), cells.copy()
        if shift < cells.shape[1]:
            leaving[:, shift:] &= ~cells[:, :-shift]
            entering[:, :-shift] &= ~cells[:, shift:]
        self._taps, self._leaving, self._entering = (np.nonzero(each) for each in (cells, leaving, entering))
        self._counts: dict[tuple[int, Any], list[Samples]] = {}

    def columns(self, region: Region) -> Columns:
        """Return the columns of a region's windows, in source order."""
        cols = self._cols
        first, last = region.left * cols.stride, (region.right - 1) * cols.stride + 1
        return columns_for(replace(cols, stride=1), self._mapped.col_index, first, last)

    def find(
        self, tile: Tile, region: Region, ranks: tuple[int, int], out: tuple[Samples, Samples], pitch: int
    ) -> None:
        """Write the keys of two ranks."""
        count = self._taps[0].size
        kinds = self._scratch.get("kinds", (region.bottom - region.top) * pitch, np.int64)
        for rank, keys in zip(dict.fromkeys(ranks), out, strict=False):
            unused = self._scratch.get("unused", keys.size, keys.dtype)
            for channel in range(self._channels):
                constant = np.full(count + 1, rank)
                self._slide(tile, region, channel, constant, 0.0, None, (keys, unused, kinds), pitch)

    def find_valid(self, tile: Tile, region: Region, fraction: float) -> tuple[Samples, Samples, Samples]:
        """Return two keys of each sample, and its number of valid samples."""
        assert tile.valid is not None
        weights = tile.valid.astype(np.int64)
        return self._find_voted(tile, region, fraction, [weights] * self._channels)

    def find_weighted(self, tile: Tile, region: Region, fraction: float) -> tuple[Samples, Samples, Indices]:
        """Return two keys of each sample, and its number of votes or -1; for alpha, all pixels have equal votes.

        The number of votes is that of pixels with equal alpha; -1: alpha differs, and the keys decide by its sum.
        """
        shape = region.bottom - region.top, region.right - region.left, self._channels
        found = self._find_voted(tile, region, fraction, [tile.weights] * (self._channels - 1) + [None])
        low, high, votes = (each.reshape(shape) for each in found)
        return low, high, votes

    def _find_voted(
        self, tile: Tile, region: Region, fraction: float, weights: list[Indices | None] | list[Indices]
    ) -> tuple[Samples, Samples, Indices]:
        """Return two keys of each sample and its number of votes; each channel has its weights."""
        pitch = (region.right - region.left) * self._channels
        size = (region.bottom - region.top) * pitch
        out = np.empty(size, tile.keys.dtype), np.empty(size, tile.keys.dtype), np.empty(size, np.int64)
        ranks = np.array([rank_of(fraction, n)[0] if n else 0 for n in range(self._taps[0].size + 1)])
        for channel, of_channel in enumerate(weights):
            self._slide(tile, region, channel, ranks, fraction, of_channel, out, pitch)
        return out

    def _slide(
        self,
        tile: Tile,
        region: Region,
        channel: int,
        ranks: Indices,
        fraction: float,
        weights: Indices | None,
        out: tuple[Samples, Samples, Indices],
        pitch: int,
    ) -> None:
        cols, rows, channels = self._cols, self._rows, self._channels
        row_distance, col_distance = rows.dilation * tile.pitch, cols.dilation * channels

        def offsets(cells: tuple[Indices, ...]) -> Indices:
            return np.ascontiguousarray(cells[0] * row_distance + cells[1] * col_distance)

        taps, entering, leaving = (offsets(each) for each in (self._taps, self._entering, self._leaving))
        levels = 256**tile.keys.dtype.itemsize if tile.holds_samples else int(tile.keys.max()) + 1
        kind = np.dtype(np.int32 if weights is None else np.int64)
        none = np.empty(0, np.int64)
        height, width = region.bottom - region.top, region.right - region.left
        SLIDE.variant(K=tile.keys.dtype, N=kind)(
            tile.keys[channel:], tile.pitch, rows.stride, height, cols.stride * channels, width,
            none if weights is None else weights[channel:], int(weights is not None),
            taps, taps.size, entering, entering.size, leaving, leaving.size, self._phases,
            ranks, fraction, np.zeros(4, np.int64), *self._histogram(levels, kind),
            *(each[channel:] for each in out), pitch, channels,
        )  # fmt: skip

    def _histogram(self, levels: int, kind: np.dtype[Any]) -> list[Samples]:
        """Return the counts of a histogram, in bins of 1, 16 and 256 keys: all zero, and zero again after each loop."""
        size = max(256, 1 << (levels - 1).bit_length())
        if (size, kind) not in self._counts:
            self._counts[size, kind] = [np.zeros(size >> bits, kind) for bits in (0, 4, 8)]
        return self._counts[size, kind]
