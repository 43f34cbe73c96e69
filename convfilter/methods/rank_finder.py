"""Interface of the three methods that find samples of a rank in a tile."""

from __future__ import annotations

from convfilter.engine.buffer import Samples, Scratch
from convfilter.engine.layout import Columns, columns_for
from convfilter.engine.mapped_stage import MappedStage, Region
from convfilter.methods.rank_tiles import Tile


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
