"""Consecutive rows of a picture with ignored pixels, held in memory with their mask, and a border around them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from convfilter.engine.buffer import Samples
from convfilter.planning import AxisPlan, StagePlan
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


@record
class Border:
    """Rows and columns around a picture, each (before, after), of a picture of ``height`` rows."""

    rows: Span
    cols: Span
    height: int

    @staticmethod
    def of(stage: StagePlan) -> Border:
        """Return the padding that windows read, of the axes whose padding is constant."""
        axes = zip((stage.rows, stage.cols), stage.padding_modes, strict=True)
        rows, cols = (read_padding(axis) if mode == "constant" else (0, 0) for axis, mode in axes)
        return Border(rows, cols, stage.rows.input)

    def within(self, span: Span) -> Span:
        """Return the rows of the picture among some rows of the picture with its border, at least one."""
        first = min(max(span[0] - self.rows[0], 0), self.height - 1)
        return first, max(first + 1, min(span[1] - self.rows[0], self.height))

    def around(self, held: Held, value: Any, *, valid: bool) -> Held:
        """Return rows of the picture with their border, whose pixels have one value and are valid or not."""
        above = self.rows[0] if held.first == 0 else 0
        below = self.rows[1] if held.first + len(held.pixels) == self.height else 0
        pixels = np.pad(held.pixels, ((above, below), self.cols, (0, 0)), constant_values=value)
        marks = np.pad(held.valid, ((above, below), self.cols), constant_values=valid)
        return Held(held.first + self.rows[0] - above, pixels, marks)


def read_padding(axis: AxisPlan) -> Span:
    """Return the padding (before, after) that windows read; if sizes are rounded up, it ends with the last window."""
    return axis.before, max(0, axis.padded - axis.before - axis.input)
