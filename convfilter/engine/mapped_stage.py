"""One stage applied to a line buffer: its plan, its source, and index maps into both axes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from convfilter.engine.borders import Indices, index_map
from convfilter.engine.load import Source
from convfilter.planning.arithmetic import AxisPlan
from convfilter.planning.stage_plan import StagePlan
from convfilter.record import NamedTuple, record

if TYPE_CHECKING:
    import numpy.typing as npt


class Region(NamedTuple):
    """A rectangle of the output: rows ``top`` to ``bottom - 1``, columns ``left`` to ``right - 1``."""

    top: int
    bottom: int
    left: int
    right: int


@record
class MappedStage:
    """One stage applied to one source.

    Attributes
    ----------
    row_index : (padded rows,) int64 array
        Row of the source's buffer for each padded place, -1 for the padding value.
    col_index : (padded columns,) int64 array
        Column of the source for each padded place, likewise.
    """

    plan: StagePlan
    source: Source
    row_index: Indices
    col_index: Indices

    @classmethod
    def of(cls, plan: StagePlan, source: Source) -> MappedStage:
        """Map the padded axes of ``plan`` to the rows and columns of ``source``."""
        return cls(plan, source, source.buffer.index(padded_rows(plan)), padded_cols(plan))

    def stores_samples(self, target: npt.DTypeLike) -> bool:
        """Whether results are stored unchanged: samples of the source, in its own type."""
        return np.dtype(target) == self.source.dtype and self.preserves_samples(target)

    def preserves_samples(self, target: npt.DTypeLike) -> bool:
        """Whether results are unscaled samples of the source: no alpha, no luminance, no offset."""
        plan, source, stage = self.plan, self.source, self.plan.stage
        unmapped = stage.map is None or (np.dtype(target).kind == "u" and stage.map in ("clip", "abs"))
        return (
            plan.scale == 1
            and plan.preserves_white
            and stage.offset == 0
            and unmapped
            and not source.alpha
            and not source.gray
        )

    def centres(self) -> Indices:
        """Return the source row at the centre of each output row."""
        rows = self.plan.rows
        return np.ascontiguousarray(self.row_index[np.arange(rows.output) * rows.stride + rows.centre])


def padded_rows(plan: StagePlan) -> Indices:
    """Return the picture's row for each padded place, -1 for the padding value."""
    return _padded(plan.rows, plan.padding_modes[0])


def padded_cols(plan: StagePlan) -> Indices:
    """Return the picture's column for each padded place, -1 for the padding value."""
    return _padded(plan.cols, plan.padding_modes[1])


def _padded(axis: AxisPlan, mode: str) -> Indices:
    return index_map(axis.input, axis.before, axis.padded, mode, axis.step)
