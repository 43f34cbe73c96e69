"""Tiles of a TIFF that is written: as large as those of the TIFF that was read, or lower where a row of them is huge.

TIFF 6.0 (Adobe, 1992), section 15.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from convfilter.picture.picture import Outline
from convfilter.picture.pixels import Pixels

#: Sides of tiles are multiples of this number.
_UNIT = 16
#: A row of tiles is one block of work; one above this size is halved. Blocks in flight take at most twice as much.
MOST_BYTES = 1 << 26


class Tiling(NamedTuple):
    """How a page is cut into tiles.

    Attributes
    ----------
    width, height : int
        Size of a tile.
    across, down : int
        How many tiles cover the page.
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
        """Of all tiles, uncompressed."""
        return self.down * self.row_bytes

    def threads(self, most: int) -> int:
        """Return how many threads may encode, each with two blocks in flight."""
        return max(1, min(most, MOST_BYTES // self.row_bytes))

    def cut(self, rows: Pixels) -> Iterator[Pixels]:
        """Cut a row of tiles, whose last row of samples and last column fill the tiles that reach beyond the page."""
        for left in range(0, self.across * self.width, self.width):
            piece = rows[:, left : left + self.width]
            beyond = (0, self.height - piece.shape[0]), (0, self.width - piece.shape[1]), (0, 0)
            yield np.pad(piece, beyond, mode="edge") if any(after for _, after in beyond) else piece


def tiling_of(stored: Outline) -> Tiling | None:
    """Return the tiles of a page that is written, no larger than it; None: strips, as for a file that had none.

    Tiles are half as high, or a quarter, where a row of them would take more than 64 MiB.
    """
    if stored.metadata.tile is None:
        return None
    rows, cols, channels = stored.shape
    sides = [min(side, _whole(size)) for side, size in zip(stored.metadata.tile, (cols, rows), strict=True)]
    if any(side <= 0 or side % _UNIT for side in sides):
        return None
    width, height = sides
    across = -(-cols // width)
    line_bytes = across * width * channels * np.dtype(stored.dtype).itemsize
    while height * line_bytes > MOST_BYTES and height > _UNIT:
        height = _whole(height // 2)
    return Tiling(width, height, across, -(-rows // height), height * line_bytes)


def _whole(size: int) -> int:
    return -(-size // _UNIT) * _UNIT
