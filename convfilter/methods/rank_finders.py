"""Three methods that find samples of a rank in a tile: a selection network, column histograms, a sliding histogram."""

from __future__ import annotations

from collections.abc import Sequence
from math import gcd
from typing import Any

import numpy as np

from convfilter.engine.borders import Indices
from convfilter.engine.buffer import Samples, Scratch, aligned_array
from convfilter.engine.layout import Columns, columns_for
from convfilter.engine.mapped_stage import MappedStage, Region
from convfilter.methods import medians
from convfilter.methods.rank_tiles import TAIL, Tile
from convfilter.native.loop import Loop
from convfilter.planning.methods.rank import histogram_cols, network_of, rank_of, valid_ranks_of
from convfilter.planning.networks import Network
from convfilter.record import replace

SELECT = Loop("select", "select", "K* i8 i8 i8 i8 i8 i8 i8* i8 K* i8 i8* i8 i8* i8 i8 i8 K* K* K* i8")
SELECT_VALID = Loop(
    "select", "select_valid",
    "K* K* i8 i8 i8 i8 i8 i8 i8* i8 K* K* i8 i8* i8 i8* i8 i8* i8* i8* i8 i8 K* K* K* i8* i8",
)  # fmt: skip
BY_COLUMNS = Loop("rank", "by_columns", "B* B* i8 i8 i8 i8 i8 i8 i8 i8* i8* i8 B* B* i8* i8 u2* u2* i8*")
SLIDE = Loop(
    "slide", "slide",
    "K* i8 i8 i8 i8 i8 i8* i8 i8* i8 i8* i8 i8* i8 i8 i8* f8 i8* N* N* N* K* K* i8* i8 i8",
)  # fmt: skip

#: Entries of a column's histogram.
_COUNTS = 288
#: Results of column histograms, as in ``loops/rank.py``: the samples of both ranks, or their mean.
_BOTH, _MEAN = 1, 2

_NONE = np.zeros(0, np.int64)


def finder_for(mapped: MappedStage, scratch: Scratch) -> ByNetwork | ByColumns | Sliding:
    """Return the finder of a stage's method."""
    match mapped.plan.algorithm:
        case "network":
            return ByNetwork(mapped, scratch)
        case "histograms":
            return ByColumns(mapped, scratch)
    return Sliding(mapped, scratch)


class Finder:
    """Finds samples of a rank in a tile.

    Attributes
    ----------
    strip_cols : int
        Output columns of a tile.
    takes_bit_patterns : bool
        Whether keys may be any integers, rather than numbers from 0 on.
    """

    takes_bit_patterns = True

    def __init__(self, mapped: MappedStage, scratch: Scratch) -> None:
        self._mapped, self._scratch, self.strip_cols = mapped, scratch, mapped.plan.cols.output
        self._rows, self._cols = mapped.plan.rows, mapped.plan.cols
        self._channels = mapped.source.channels - mapped.source.masked

    def columns(self, region: Region) -> Columns:
        """Return the columns of a region's windows, in the layout of its tile."""
        return columns_for(self._cols, self._mapped.col_index, region.left, region.right)

    def find(
        self, tile: Tile, region: Region, ranks: tuple[int, int], out: tuple[Samples, Samples], pitch: int
    ) -> None:
        """Write the keys of two ranks, in rows ``pitch`` samples apart; equal ranks are written once, to ``out[0]``."""
        raise NotImplementedError

    def find_valid(self, tile: Tile, region: Region, fraction: float) -> tuple[Samples, Samples, Samples]:
        """Return the keys of two ranks among the valid samples of each window, and the number of these samples."""
        raise NotImplementedError

    def find_means(self, tile: Tile, region: Region, fraction: float, out: Samples, pitch: int) -> None:
        """Write the mean of these keys, rounded half to even, in rows ``pitch`` samples apart."""
        raise NotImplementedError


class ByNetwork(Finder):
    """Compares pairs of taps in a selection network."""

    def find(
        self, tile: Tile, region: Region, ranks: tuple[int, int], out: tuple[Samples, Samples], pitch: int
    ) -> None:
        """Write the keys of two ranks."""
        rows = self._rows
        height, length = region.bottom - region.top, (region.right - region.left) * self._channels
        network = network_of(self._mapped.plan.kernel, ranks)
        row_distance = rows.dilation * tile.pitch
        kind = tile.keys.dtype
        median = medians.loop_for(self._mapped.plan, ranks)
        if median is not None:
            keys, target = (tile.keys, tile.pitch), (out[0], pitch)
            medians.write_medians(median, self._scratch, self._mapped, keys, (height, length), target)
            return
        taps = self._taps(tile, network)
        columns = self._scratch.get("columns", (rows.kernel * tile.pitch if network.columns else 0) + TAIL, kind)
        lines = self._scratch.get("lines", taps.size * TAIL // kind.itemsize, kind)
        SELECT.variant(K=kind)(
            tile.keys, tile.pitch, rows.stride, height, length, rows.kernel, row_distance,
            _flat(network.columns), len(network.columns), columns, tile.pitch,
            taps, taps.size, _flat(network.pairs), len(network.pairs), network.lines[0],
            network.lines[-1], lines, *out, pitch,
        )  # fmt: skip

    def find_valid(self, tile: Tile, region: Region, fraction: float) -> tuple[Samples, Samples, Samples]:
        """Return two keys of each sample, and its number of valid samples."""
        pitch = (region.right - region.left) * self._channels
        size = (region.bottom - region.top) * pitch
        low, high = (np.empty(size, tile.keys.dtype) for _ in range(2))
        counts = np.empty(size, np.int64)
        self._select_valid(tile, region, fraction, False, (low, high, counts), pitch)
        return low, high, counts

    def find_means(self, tile: Tile, region: Region, fraction: float, out: Samples, pitch: int) -> None:
        """Write the mean of two keys of each sample."""
        self._select_valid(tile, region, fraction, True, (out, out, _NONE), pitch)

    def _select_valid(
        self,
        tile: Tile,
        region: Region,
        fraction: float,
        averages: bool,
        out: tuple[Samples, Samples, Samples],
        pitch: int,
    ) -> None:
        assert tile.valid is not None
        rows, kernel, kind = self._rows, self._mapped.plan.kernel, tile.keys.dtype
        ranks = valid_ranks_of(fraction, kernel.nonzeros)
        network = network_of(kernel, ranks)
        found = [rank_of(fraction, count) for count in range(1, kernel.nonzeros + 1)]
        # The least number of samples, counted from 1, whose rank is at least the one in a line.
        firsts = np.searchsorted([first for first, _ in found], ranks) + 1
        seconds = np.searchsorted([first + (share > 0) for first, share in found], ranks) + 1
        taps = self._taps(tile, network)
        columns, valid_columns = (
            self._scratch.get(name, (count * tile.pitch if network.columns else 0) + TAIL, kind)
            for name, count in (("columns", rows.kernel), ("valid columns", 1))
        )
        lines = self._scratch.get("lines", (taps.size + 3) * TAIL // kind.itemsize, kind)
        height, length = region.bottom - region.top, (region.right - region.left) * self._channels
        SELECT_VALID.variant(K=kind)(
            tile.keys, tile.valid, tile.pitch, rows.stride, height, length, rows.kernel, rows.dilation * tile.pitch,
            _flat(network.columns), len(network.columns), columns, valid_columns, tile.pitch,
            taps, taps.size, _flat(network.pairs), len(network.pairs), np.array(network.lines, np.int64),
            firsts, seconds, len(ranks), int(averages), lines, *out, pitch,
        )  # fmt: skip

    def _taps(self, tile: Tile, network: Network) -> Indices:
        """Return the offset of each line's samples from those of the first output."""
        rows, offsets = self._rows, tile.columns.tap_offset * self._channels
        if network.columns:
            taps = (np.arange(rows.kernel)[:, np.newaxis] * tile.pitch + offsets).ravel()
        else:
            down, along = np.nonzero(self._mapped.plan.kernel.matrix)
            taps = down * rows.dilation * tile.pitch + offsets[along]
        return np.ascontiguousarray(taps)


def _flat(pairs: Sequence[tuple[int, int, int]]) -> Indices:
    return np.array(pairs, np.int64).reshape(-1)


class ByColumns(Finder):
    """Uses column histograms: for rectangles of bytes without stride or dilation."""

    def __init__(self, mapped: MappedStage, scratch: Scratch) -> None:
        super().__init__(mapped, scratch)
        self.strip_cols = histogram_cols(mapped.plan)
        self._window, self._current = aligned_array(_COUNTS, np.uint16), np.zeros(8, np.int64)

    def find(
        self, tile: Tile, region: Region, ranks: tuple[int, int], out: tuple[Samples, Samples], pitch: int
    ) -> None:
        """Write the keys of two ranks."""
        size = self._rows.kernel * self._cols.kernel + 1
        firsts, seconds = (np.full(size, rank, np.int64) for rank in ranks)
        self._count(tile, region, (firsts, seconds), _BOTH * (ranks[0] != ranks[1]), (*out, _NONE), pitch)

    def find_valid(self, tile: Tile, region: Region, fraction: float) -> tuple[Samples, Samples, Samples]:
        """Return two keys of each sample, and its number of valid samples."""
        pitch = (region.right - region.left) * self._channels
        size = (region.bottom - region.top) * pitch
        low, high = (np.empty(size, tile.keys.dtype) for _ in range(2))
        counts = np.empty(size, np.int64)
        self._count(tile, region, self._ranks_by_count(fraction), _BOTH, (low, high, counts), pitch)
        return low, high, counts

    def find_means(self, tile: Tile, region: Region, fraction: float, out: Samples, pitch: int) -> None:
        """Write the mean of two keys of each sample."""
        self._count(tile, region, self._ranks_by_count(fraction), _MEAN, (out, out, _NONE), pitch)

    def _ranks_by_count(self, fraction: float) -> tuple[Indices, Indices]:
        """Return the two ranks for each number of samples."""
        found = [(0, 0.0), *(rank_of(fraction, n) for n in range(1, self._rows.kernel * self._cols.kernel + 1))]
        firsts, shares = (np.array(each) for each in zip(*found, strict=True))
        return firsts, firsts + (shares > 0)

    def _count(
        self,
        tile: Tile,
        region: Region,
        ranks: tuple[Indices, Indices],
        results: int,
        out: tuple[Samples, Samples, Indices],
        pitch: int,
    ) -> None:
        counts = self._scratch.get("counts", _COUNTS * tile.columns.count, np.uint16)
        valid = tile.keys if tile.valid is None else tile.valid
        BY_COLUMNS.variant(B=np.uint8)(
            tile.keys, valid, int(tile.valid is not None), tile.pitch, region.bottom - region.top, self._rows.kernel,
            region.right - region.left, self._cols.kernel, self._channels, *ranks, results, *out, pitch,
            counts, self._window, self._current,
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
        levels = 256**tile.keys.dtype.itemsize if tile.keys.dtype.kind == "u" else int(tile.keys.max()) + 1
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
