"""Ranks by a selection network; see ``loops/selection_network.py``."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from convfilter.engine.borders import Indices
from convfilter.engine.buffer import Samples
from convfilter.engine.mapped_stage import Region
from convfilter.methods import medians
from convfilter.methods.rank_finder import Finder
from convfilter.methods.rank_tiles import TAIL, Tile
from convfilter.native.loop import Loop
from convfilter.planning.methods.rank import network_of, rank_of, valid_ranks_of
from convfilter.planning.networks import Network

SELECT = Loop("selection_network", "select", "K* i8 i8 i8 i8 i8 i8 i8* i8 K* i8 i8* i8 i8* i8 i8 i8 K* K* K* i8")
SELECT_VALID = Loop(
    "selection_network", "select_valid",
    "K* K* i8 i8 i8 i8 i8 i8 i8* i8 K* K* i8 i8* i8 i8* i8 i8* i8* i8* i8 i8 K* K* K* i8* i8",
)  # fmt: skip

_NONE = np.zeros(0, np.int64)


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
        network, (firsts, seconds) = network_of(kernel, ranks), _least_numbers(fraction, kernel.nonzeros, ranks)
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
            firsts, seconds, firsts.size, int(averages), lines, *out, pitch,
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


@lru_cache
def _least_numbers(fraction: float, count: int, ranks: tuple[int, ...]) -> tuple[Indices, Indices]:
    """Return, for each rank, the least numbers of samples whose first and whose second rank are at least that rank."""
    found = [rank_of(fraction, number) for number in range(1, count + 1)]
    firsts = np.searchsorted([first for first, _ in found], ranks) + 1
    return firsts, np.searchsorted([first + (share > 0) for first, share in found], ranks) + 1


def _flat(pairs: Sequence[tuple[int, int, int]]) -> Indices:
    return np.array(pairs, np.int64).reshape(-1)
