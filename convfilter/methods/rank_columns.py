"""Ranks of bytes by column histograms; see ``loops/column_histograms.py``."""

from __future__ import annotations

import numpy as np

from convfilter.engine.borders import Indices
from convfilter.engine.buffer import Samples, Scratch, aligned_array
from convfilter.engine.mapped_stage import MappedStage, Region
from convfilter.methods.rank_finder import Finder
from convfilter.methods.rank_tiles import Tile
from convfilter.native.loop import Loop
from convfilter.planning.methods.rank import histogram_cols, rank_of

BY_COLUMNS = Loop("column_histograms", "by_columns", "B* B* i8 i8 i8 i8 i8 i8 i8 i8* i8* i8 B* B* i8* i8 u2* u2* i8*")

#: Entries of a column's histogram.
_COUNTS = 288
#: Results of column histograms, as in ``loops/column_histograms.py``: the samples of both ranks, or their mean.
_BOTH, _MEAN = 1, 2

_NONE = np.zeros(0, np.int64)


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
