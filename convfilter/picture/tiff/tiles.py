"""Cut the pages of a TIFF into tiles of the size that the input had, or of less height if a row of tiles is huge.

TIFF 6.0 (Adobe, 1992), section 15.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from convfilter.picture.outline import Outline
from convfilter.picture.pixels import Pixels
from convfilter.record import NamedTuple

#: Sides of tiles are multiples of this number.
_UNIT = 16
#: Most bytes of a row of tiles, which one thread encodes; the height of tiles is halved until a row fits. All rows of
#: tiles in memory take at most twice as much.
MOST_BYTES = 1 << 26


class Tiling(NamedTuple):
    """The division of a page into tiles.

    Attributes
    ----------
    width, height : int
        Size of a tile.
    across, down : int
        Number of tiles that cover the page.
    row_bytes : int
        Uncompressed bytes of a row of tiles.
    """

    width: int
    height: int
    across: int
    down: int
    row_bytes: int

    @property
    def page_bytes(self) -> int:
        """Uncompressed bytes of all tiles."""
        return self.down * self.row_bytes

    def threads(self, most: int) -> int:
        """Return the number of threads, at most ``most``, that may encode: each has two blocks in flight."""
        return max(1, min(most, MOST_BYTES // self.row_bytes))

    def cut(self, rows: Pixels) -> Iterator[Pixels]:
        """Yield the tiles of a row of tiles, an array of (rows, cols, channels) with at most ``height`` rows.

        The last row and the last column are repeated to fill tiles that reach beyond the page.
        """
        for left in range(0, self.across * self.width, self.width):
            piece = rows[:, left : left + self.width]
            beyond = (0, self.height - piece.shape[0]), (0, self.width - piece.shape[1]), (0, 0)
            yield np.pad(piece, beyond, mode="edge") if any(after for _, after in beyond) else piece


def tiling_of(stored: Outline) -> Tiling | None:
    """Return the tiles of a page that is written, or None for strips.

    Parameters
    ----------
    stored : Outline
        The page; its metadata have the tile of the TIFF that was read.

    Returns
    -------
    Tiling, or None
        Tiles no larger than the page needs; their height is halved until a row of tiles takes at most 64 MiB. None if
        the file that was read had no tiles, or invalid ones.
    """
    if stored.metadata.tile is None:
        return None
    rows, cols, channels = stored.shape
    sides = [min(side, _rounded_up(size)) for side, size in zip(stored.metadata.tile, (cols, rows), strict=True)]
    if any(side <= 0 or side % _UNIT for side in sides):
        return None
    width, height = sides
    across = -(-cols // width)
    line_bytes = across * width * channels * np.dtype(stored.dtype).itemsize
    while height * line_bytes > MOST_BYTES and height > _UNIT:
        height = _rounded_up(height // 2)
    return Tiling(width, height, across, -(-rows // height), height * line_bytes)


def _rounded_up(size: int) -> int:
    """Round up to a multiple of the unit of tiles."""
    return -(-size // _UNIT) * _UNIT
