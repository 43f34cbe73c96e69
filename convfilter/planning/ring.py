"""Rows in a ring: what a few output rows see of their source stays in memory while they move down."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from convfilter.planning.arithmetic import AxisPlan
from convfilter.record import record

#: Output rows of one step: they share what they read.
STEP_ROWS = 4

Indices = npt.NDArray[np.int64]


@record
class Ring:
    """Where the rows that some taps see lie in memory, while outputs are computed ``step_rows`` in a step.

    With a stride, only rows that a tap looks at count: ``per_output`` of every ``stride`` rows. They come
    in by blocks, one for each step; the blocks of ``period`` steps fill the ring, and then the next
    takes the place of the oldest.

    Attributes
    ----------
    rows : slice
        The kernel's rows.
    remainders : (per_output,) array of int
        Places that count, among ``stride`` of them.
    taps : (K,) array of int
        How many rows after the first each tap of output 0 looks.
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
        # What step 0 sees besides its own block, in whole blocks.
        lead = -(-(int(taps[-1]) + 1 - remainders.size) // (step_rows * remainders.size))
        return cls(axis, slice(first, last), remainders, taps, lead + 1, step_rows)

    @property
    def block(self) -> int:
        """Rows that come in with each step."""
        return self.step_rows * self.remainders.size

    @property
    def slots(self) -> int:
        """Rows that the ring has room for."""
        return self.period * self.block

    @property
    def lead(self) -> int:
        """Steps whose blocks have to be there before step 0."""
        return self.period - 1

    @property
    def advance(self) -> int:
        """How far the blocks of two steps lie apart in ``places``."""
        return self.block

    def places(self) -> Indices:
        """Return the padded place of each row of each block, from step ``-lead`` to the last.

        Before the first and past the last tap, places are those of the nearest that there is.
        """
        steps = -(-self.axis.output // self.step_rows)
        number = np.arange((self.lead + steps) * self.block) - self._unseen
        per_output = self.remainders.size
        places = (
            self.rows.start * self.axis.dilation
            + number // per_output * self.axis.stride
            + self.remainders[number % per_output]
        )
        inside: Indices = np.clip(places, 0, self.axis.padded - 1)
        return inside

    def table(self) -> Indices:
        """Return where each tap finds its row: (period, step_rows, K) slots, for each step of a turn."""
        outputs = np.arange(self.period * self.step_rows)[:, np.newaxis] * self.remainders.size
        slots = (outputs + self.taps + self._unseen + self.block) % self.slots
        return slots.reshape(self.period, self.step_rows, -1)

    @property
    def _unseen(self) -> int:
        """Rows of the first block that no tap looks at."""
        return self.lead * self.block - (int(self.taps[-1]) + 1 - self.remainders.size)


@record
class Gathered:
    """The rows that the taps of one step see, loaded anew for each step: for windows too tall to keep in a ring.

    Attributes and methods are those of a ``Ring`` that has room for just one block.
    """

    axis: AxisPlan
    rows: slice
    seen: Indices
    taps: Indices

    period = 1
    lead = 0

    @classmethod
    def of(cls, axis: AxisPlan, first: int, last: int) -> Gathered:
        """Find the rows that taps ``first`` to ``last - 1`` of the outputs of step 0 see."""
        taps = np.arange(first, last, dtype=np.int64) * axis.dilation
        places = np.arange(STEP_ROWS)[:, np.newaxis] * axis.stride + taps
        if axis.dilation == 1:  # all rows between the first and the last, so that blocks overlap in ``places``
            seen = np.arange(places[0, 0], places[-1, -1] + 1)
            return cls(axis, slice(first, last), seen, (places - places[0, 0])[np.newaxis])
        seen, rank = np.unique(places, return_inverse=True)
        return cls(axis, slice(first, last), seen, rank.reshape(1, STEP_ROWS, -1).astype(np.int64))

    @property
    def block(self) -> int:
        """Rows that come in with each step."""
        return int(self.seen.size)

    @property
    def slots(self) -> int:
        """Rows that there is room for."""
        return self.block

    @property
    def advance(self) -> int:
        """How far the blocks of two steps lie apart in ``places``."""
        return STEP_ROWS * self.axis.stride if self.axis.dilation == 1 else self.block

    def places(self) -> Indices:
        """Return the padded place of each row of each step; blocks may overlap."""
        steps = -(-self.axis.output // STEP_ROWS)
        if self.axis.dilation == 1:
            places = np.arange((steps - 1) * self.advance + self.block) + self.seen[0]
        else:
            places = (np.arange(steps)[:, np.newaxis] * (STEP_ROWS * self.axis.stride) + self.seen).ravel()
        inside: Indices = np.minimum(places, self.axis.padded - 1)
        return inside

    def table(self) -> Indices:
        """Return where each tap finds its row: (1, STEP_ROWS, K) slots."""
        return self.taps


AnyRing: TypeAlias = Ring | Gathered

#: The table of a taller ring, which has a line for each of its rows, would take too much memory.
TALLEST = 4096


def any_ring(axis: AxisPlan, first: int, last: int) -> AnyRing:
    """Lay out the rows that taps ``first`` to ``last - 1`` see: in a ring, if it is not too tall."""
    tall = (last - first) * axis.dilation > TALLEST
    return Gathered.of(axis, first, last) if tall else Ring.of(axis, first, last)
