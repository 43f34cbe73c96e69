"""Consecutive rows of a picture with ignored pixels, held in memory with their mask."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from convfilter.engine.buffer import Samples
from convfilter.record import record

Valid: TypeAlias = npt.NDArray[np.bool_]
#: Rows or columns, as (first, last + 1).
Span: TypeAlias = tuple[int, int]


@record(eq=False)
class Held:
    """Consecutive rows of a picture.

    Attributes
    ----------
    first : int
        The number of the first row.
    pixels : (rows, cols, channels) array
    valid : (rows, cols) array of bool
        False where a pixel is ignored.
    """

    first: int
    pixels: Samples
    valid: Valid

    def rows(self, ranges: Sequence[Span]) -> tuple[Samples, Valid]:
        """Return ranges of rows, concatenated; a single range is a view."""
        parts = [slice(start - self.first, stop - self.first) for start, stop in ranges]
        if len(parts) == 1:
            return self.pixels[parts[0]], self.valid[parts[0]]
        return np.concatenate([self.pixels[part] for part in parts]), np.concatenate(
            [self.valid[part] for part in parts]
        )

    def are_valid(self, ranges: Sequence[Span]) -> bool:
        """Whether all pixels of some ranges of rows are valid."""
        return all(bool(self.valid[start - self.first : stop - self.first].all()) for start, stop in ranges)

    def channels(self, channels: slice) -> Held:
        """Return some of the channels."""
        return Held(self.first, self.pixels[..., channels], self.valid)

    def surrounded(self, rows: tuple[int, int], cols: tuple[int, int], value: Any, height: int) -> Held:
        """Return the rows of a picture with a border of valid pixels of one value.

        Parameters
        ----------
        rows, cols : (before, after)
            Rows and columns of the border.
        value : number
        height : int
            Rows of the picture without the border.
        """
        above = rows[0] if self.first == 0 else 0
        below = rows[1] if self.first + len(self.pixels) == height else 0
        pixels = np.pad(self.pixels, ((above, below), cols, (0, 0)), constant_values=value)
        valid = np.pad(self.valid, ((above, below), cols), constant_values=True)
        return Held(self.first + rows[0] - above, pixels, valid)
