"""One stage on one source, and the pieces that it is computed in.

Every way to compute a stage gives, for a block of output rows, sums over regions
of them: (region, sums, pitch). What becomes of the sums (division, rounding,
storing) is the same for all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import field
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from convfilter.engine.borders import Indices, index_map
from convfilter.engine.passes import Taps, Target, Window
from convfilter.engine.program import Call, Program
from convfilter.engine.tiles import Samples, Scratch, Source, distinct_rows
from convfilter.filters.stage import Pooling
from convfilter.planning.plan import StagePlan, tile_cols
from convfilter.planning.ring import STEP_ROWS
from convfilter.record import record


class Region(NamedTuple):
    """A rectangle of the output: rows ``top`` to ``bottom - 1``, columns ``left`` to ``right - 1``."""

    top: int
    bottom: int
    left: int
    right: int


Sums: TypeAlias = Iterator[tuple[Region, Samples, int]]
#: Computes output rows ``top`` to ``bottom - 1``.
Block: TypeAlias = Callable[[int, int], Sums]


@record
class Work:
    """One stage on one source: what all blocks share, and the programs that have been made for it."""

    plan: StagePlan
    source: Source
    row_index: Indices
    col_index: Indices
    held: Indices | None = None
    programs: list[Program] = field(default_factory=list)

    def rows_held(self, rows: Indices) -> Indices:
        """Return where rows of the picture lie in the source; those that are not held are not looked at."""
        return rows if self.held is None else np.maximum(self.held, 0)[rows]

    @classmethod
    def of(cls, plan: StagePlan, source: Source) -> Work:
        """Map the padded axes of ``plan`` to the rows and columns of ``source``."""
        mode = "constant" if isinstance(plan.stage.operator, Pooling) else plan.stage.padding_mode
        rows = index_map(plan.rows.input, plan.rows.before, plan.rows.padded, mode)
        cols = index_map(plan.cols.input, plan.cols.before, plan.cols.padded, mode)
        return cls(plan, source, rows, cols)

    def stores_samples(self, target: npt.DTypeLike) -> bool:
        """Whether results are stored as they are: the source's type, no alpha, no gray, nothing scaled."""
        plan, source, stage = self.plan, self.source, self.plan.stage
        target = np.dtype(target)
        unmapped = stage.map is None or (target.kind == "u" and stage.map in ("clip", "abs"))
        unscaled = plan.scale == 1 and plan.keeps_white and stage.offset == 0 and unmapped
        return target == source.slot.dtype and unscaled and not source.alpha and not source.gray

    def program(self, calls: list[Call], step_rows: int = STEP_ROWS) -> Program:
        """Make a program."""
        made = Program(calls, step_rows)
        self.programs.append(made)
        return made

    @property
    def tile_cols(self) -> int:
        """Output columns of one tile."""
        return tile_cols(self.plan.cols, self.source.channels)

    def rows_for(self, top: int, bottom: int, first_tap: int, last_tap: int) -> tuple[Indices, Indices]:
        """Return the source rows that some taps of some outputs need, and a table of their places.

        The table has one line of ``last_tap - first_tap`` places for each output row.
        """
        axis = self.plan.rows
        places = np.arange(top, bottom)[:, np.newaxis] * axis.stride + np.arange(first_tap, last_tap) * axis.dilation
        return distinct_rows(self.row_index[places], axis.input)

    def tiles(self, first: int = 0, last: int | None = None) -> Iterator[tuple[int, int]]:
        """Cut the output's width, or a part of it: pairs of first and last-plus-one column."""
        last = self.plan.cols.output if last is None else last
        for left in range(first, last, self.tile_cols):
            yield left, min(left + self.tile_cols, last)

    def window(self, taps: Taps, rows: int) -> Window:
        """Return the window of a kernel (or of some ``rows`` of it) that slides down with the output rows."""
        stride, dilation = self.plan.rows.stride, self.plan.rows.dilation
        shift = 0 if stride % dilation else stride // dilation
        return Window(taps, rows, shift, self.plan.precision, finite=self.source.is_finite)

    def sums(self, scratch: Scratch, region: Region) -> Target:
        """Return where the sums of a region go: a compact tile."""
        rows, length = region.bottom - region.top, (region.right - region.left) * self.source.channels
        return Target(scratch.get("sums", rows * length), 0, length, rows, length)


Way: TypeAlias = Callable[[Work, Scratch], Block]
