"""Layouts of ring buffers, which hold the source rows of a sliding window."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

from convfilter.planning.arithmetic import AxisPlan
from convfilter.record import record

#: Output rows of one step: they share the rows that they read.
STEP_ROWS = 4

Indices = np.ndarray[tuple[Any, ...], np.dtype[np.int64]]


@record
class Ring:
    """Layout of a ring buffer that holds the source rows of a window while outputs advance ``step_rows`` at a time.

    With a stride, only rows under a tap are stored: ``remainders.size`` of every ``stride`` rows. Rows enter in blocks,
    one for each step. The blocks of ``period`` steps fill the ring; the next block replaces the oldest.

    Attributes
    ----------
    rows : slice
        The kernel's rows whose taps the ring serves.
    remainders : array of int
        Places, modulo ``stride``, of the rows that are stored.
    taps : (K,) array of int
        Stored row of each tap of output 0, counted from that of the first tap.
    period : int
        Blocks in the ring.
    step_rows : int
        Output rows of one step.
    """

    axis: AxisPlan
    rows: slice
    remainders: Indices
    taps: Indices
    period: int
    step_rows: int = STEP_ROWS

    @classmethod
    def of(cls, axis: AxisPlan, first: int, last: int, step_rows: int = STEP_ROWS) -> Ring:
        """Lay out the ring for taps ``first`` to ``last - 1`` of ``axis``."""
        places = np.arange(last - first, dtype=np.int64) * axis.dilation
        remainders, rank = np.unique(places % axis.stride, return_inverse=True)
        taps = places // axis.stride * remainders.size + rank
        # Whole blocks that step 0 needs before its own block.
        lead = -(-(int(taps[-1]) + 1 - remainders.size) // (step_rows * remainders.size))
        return cls(axis, slice(first, last), remainders, taps, lead + 1, step_rows)

    @property
    def block(self) -> int:
        """Rows that enter with each step."""
        return self.step_rows * self.remainders.size

    @property
    def slots(self) -> int:
        """Capacity of the ring in rows."""
        return self.period * self.block

    @property
    def lead(self) -> int:
        """Blocks that must be loaded before step 0."""
        return self.period - 1

    @property
    def advance(self) -> int:
        """Distance in ``places`` of the blocks of two steps."""
        return self.block

    def places(self) -> Indices:
        """Return the padded place of each row of each block, from step ``-lead`` to the last.

        Places before the first tap and past the last are clamped to the padded axis.
        """
        steps = -(-self.axis.output // self.step_rows)
        number = np.arange((self.lead + steps) * self.block) - self._unread
        per_output = self.remainders.size
        places = (
            self.rows.start * self.axis.dilation
            + number // per_output * self.axis.stride
            + self.remainders[number % per_output]
        )
        inside: Indices = np.clip(places, 0, self.axis.padded - 1)
        return inside

    def table(self) -> Indices:
        """Return the slot of each tap's row: (period, step_rows, K), one layer for each step of a period."""
        outputs = np.arange(self.period * self.step_rows)[:, np.newaxis] * self.remainders.size
        slots = (outputs + self.taps + self._unread + self.block) % self.slots
        return slots.reshape(self.period, self.step_rows, -1)

    @property
    def _unread(self) -> int:
        """Rows of the first block that no tap reads."""
        return self.lead * self.block - (int(self.taps[-1]) + 1 - self.remainders.size)


@record
class Gathered:
    """Layout for windows too tall for a ring: each step loads all of its source rows.

    Attributes and methods are those of a ``Ring`` that holds one block.
    """

    axis: AxisPlan
    rows: slice
    needed: Indices
    taps: Indices

    period = 1
    lead = 0
    step_rows = STEP_ROWS

    @classmethod
    def of(cls, axis: AxisPlan, first: int, last: int) -> Gathered:
        """Lay out the rows of taps ``first`` to ``last - 1``."""
        taps = np.arange(first, last, dtype=np.int64) * axis.dilation
        places = np.arange(STEP_ROWS)[:, np.newaxis] * axis.stride + taps
        if axis.dilation == 1:  # all rows from the first to the last, so that blocks overlap in ``places``
            needed = np.arange(places[0, 0], places[-1, -1] + 1)
            return cls(axis, slice(first, last), needed, (places - places[0, 0])[np.newaxis])
        needed, rank = np.unique(places, return_inverse=True)
        return cls(axis, slice(first, last), needed, rank.reshape(1, STEP_ROWS, -1).astype(np.int64))

    @property
    def block(self) -> int:
        """Rows that enter with each step."""
        return int(self.needed.size)

    @property
    def slots(self) -> int:
        """Capacity in rows."""
        return self.block

    @property
    def advance(self) -> int:
        """Distance in ``places`` of the blocks of two steps."""
        return STEP_ROWS * self.axis.stride if self.axis.dilation == 1 else self.block

    def places(self) -> Indices:
        """Return the padded place of each row of each step; blocks may overlap."""
        steps = -(-self.axis.output // STEP_ROWS)
        if self.axis.dilation == 1:
            places = np.arange((steps - 1) * self.advance + self.block) + self.needed[0]
        else:
            places = (np.arange(steps)[:, np.newaxis] * (STEP_ROWS * self.axis.stride) + self.needed).ravel()
        inside: Indices = np.minimum(places, self.axis.padded - 1)
        return inside

    def table(self) -> Indices:
        """Return the slot of each tap's row: (1, STEP_ROWS, K)."""
        return self.taps


AnyRing: TypeAlias = Ring | Gathered

#: Rows of the tallest ring: its table has a line for each of its rows, and a larger one would take too much memory.
TALLEST = 4096


def any_ring(axis: AxisPlan, first: int, last: int) -> AnyRing:
    """Lay out the rows of taps ``first`` to ``last - 1``: in a ring, if it is not too tall."""
    tall = (last - first) * axis.dilation > TALLEST
    return Gathered.of(axis, first, last) if tall else Ring.of(axis, first, last)
