"""One pass over a tile: weighted sums, or maxima, of shifted rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from convfilter.engine.borders import Indices
from convfilter.engine.native import Loop
from convfilter.engine.tiles import Samples

CORRELATE = Loop("correlate", "correlate", "A* i8* i8 i8* i8* A* i8 i8 i8 i8 A* i8 i8")
MAXIMUM = Loop("extreme", "maximum", "A* i8* i8 i8* i8* i8 i8 A* i8 i8")


@dataclass(frozen=True)
class Taps:
    """Where the taps of a pass look, and their weights.

    ``row`` counts in the lines of the table of row offsets, ``col`` in samples.
    Weights have one line for all output rows, or one for each.
    """

    row: Indices
    col: Indices
    weights: Samples

    @classmethod
    def down(cls, weights: Samples) -> Taps:
        """Taps one below the other; a 2-D array has a line of weights for each output row."""
        count = weights.shape[-1]
        return cls(np.arange(count), np.zeros(count, np.int64), weights)

    @classmethod
    def along(cls, col: Indices, weights: Samples) -> Taps:
        """Taps in one row."""
        return cls(np.zeros(col.size, np.int64), col, weights)

    def nonzero(self) -> Taps:
        """Return the taps that count."""
        keep = np.flatnonzero(self.weights if self.weights.ndim == 1 else np.any(self.weights, axis=0))
        return Taps(self.row[keep], self.col[keep], self.weights[..., keep])


@dataclass(frozen=True)
class Target:
    """Where a pass writes: ``rows`` runs of ``length`` samples, ``pitch`` apart, from ``start`` on."""

    buffer: Samples
    start: int
    pitch: int
    rows: int
    length: int

    def clear(self) -> None:
        """Set all runs to zero."""
        span = (self.rows - 1) * self.pitch + self.length
        runs = np.lib.stride_tricks.as_strided(
            self.buffer[self.start : self.start + span],
            (self.rows, self.length),
            (self.pitch * self.buffer.itemsize, self.buffer.itemsize),
        )
        runs[...] = 0


def weighted_sums(tile: Samples, row_offset: Indices, taps: Taps, target: Target, *, add: bool = False) -> None:
    """Write (or ``add``) the weighted sums of ``tile`` at the taps.

    ``row_offset`` (target rows x row taps) says where each row that a tap may
    ask for starts in the tile.
    """
    weights = np.ascontiguousarray(taps.weights, tile.dtype)
    CORRELATE.variant(A=tile.dtype)(
        tile, row_offset, taps.row.size, taps.row, taps.col, weights, weights.shape[1] if weights.ndim > 1 else 0,
        target.rows, row_offset.shape[1], int(add), target.buffer[target.start :], target.pitch, target.length,
    )  # fmt: skip


def maxima(tile: Samples, row_offset: Indices, taps: Taps, target: Target) -> None:
    """Write the largest sample of ``tile`` at the taps; as :func:`weighted_sums`, without weights."""
    MAXIMUM.variant(A=tile.dtype)(
        tile, row_offset, taps.row.size, taps.row, taps.col,
        target.rows, row_offset.shape[1], target.buffer[target.start :], target.pitch, target.length,
    )  # fmt: skip
