"""Column layout of a tile: the source columns that a strip needs, and their order in a loaded row.

With a stride, columns are ordered by their remainder modulo the stride: every tap then reads consecutive samples, and
columns under no tap are not loaded.
"""

from __future__ import annotations

import numpy as np

from convfilter.engine.borders import CONSTANT, Indices
from convfilter.planning import AxisPlan
from convfilter.record import record


@record
class Columns:
    """Columns of a tile: source indices, the contiguous run among them, and the place of each tap.

    ``tap_offset[k]`` is the place, in pixels, of tap ``k`` of the first output.
    """

    indices: Indices
    run_start: int
    run_length: int
    tap_offset: Indices

    @property
    def count(self) -> int:
        """Number of columns."""
        return self.indices.size

    def subset(self, first: int, last: int) -> Columns:
        """Return columns ``first`` to ``last - 1``, without taps."""
        start, stop = max(first, self.run_start), min(last, self.run_start + self.run_length)
        run = (start - first, stop - start) if stop > start else (0, 0)
        return Columns(self.indices[first:last], *run, self.tap_offset[:0])


def columns_for(axis: AxisPlan, source_index: Indices, first: int, last: int) -> Columns:
    """Lay out the columns under the taps of outputs ``first`` to ``last - 1``."""
    taps = np.arange(axis.kernel, dtype=np.int64) * axis.dilation
    if axis.stride == 1:
        indices = source_index[first : last + axis.span]
        return Columns(indices, *_identity_run(axis, first, indices.size), taps)
    remainder, shift = taps % axis.stride, taps // axis.stride
    phases, phase_of_tap = np.unique(remainder, return_inverse=True)
    width = last - first + int(shift.max())
    places = (first + np.arange(width)) * axis.stride + phases[:, np.newaxis]
    # The last phases may reach past the padded picture, where no tap reads.
    indices = source_index[np.minimum(places, source_index.size - 1).ravel()]
    return Columns(indices, 0, 0, (phase_of_tap * width + shift).astype(np.int64))


def centre_columns(axis: AxisPlan, source_index: Indices, first: int, last: int) -> Columns:
    """Lay out only the centre columns of outputs ``first`` to ``last - 1``."""
    indices = source_index[first * axis.stride + axis.centre : (last - 1) * axis.stride + axis.centre + 1 : axis.stride]
    run = _identity_run(axis, first + axis.centre, indices.size) if axis.stride == 1 else (0, 0)
    return Columns(np.ascontiguousarray(indices), *run, indices[:0])


def _identity_run(axis: AxisPlan, first: int, count: int) -> tuple[int, int]:
    start, stop = max(0, axis.before - first), min(count, axis.before + axis.input - first)
    return (start, stop - start) if stop > start else (0, 0)


def distinct_rows(wanted: Indices, length: int) -> tuple[Indices, Indices]:
    """Return the distinct source rows among ``wanted``, and the place of each wanted row among them."""
    present = np.zeros(length + 1, bool)
    present[wanted] = True  # CONSTANT is -1, so it indexes the last entry
    rows = np.flatnonzero(present)
    place = np.empty(length + 1, np.int64)
    place[rows] = np.arange(rows.size)
    return np.where(rows == length, CONSTANT, rows), place[wanted]
