"""Decimation and blur down the columns of a multirate Gaussian, four coarse rows in a step."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from convfilter.engine.borders import Indices
from convfilter.engine.buffer import LineBuffer, Samples, Scratch
from convfilter.engine.layout import Columns
from convfilter.engine.load import Source
from convfilter.engine.node import Spans, StageSetup, spans_of
from convfilter.engine.program import Call, Moving
from convfilter.engine.sums import StepOutput, Taps, WindowSums
from convfilter.filters.multirate import Rates
from convfilter.methods.coarse import Coarse
from convfilter.methods.row_sums import Tables
from convfilter.methods.stencil import incoming
from convfilter.planning.ring import STEP_ROWS, Ring


def steps_ahead(rates: Rates) -> int:
    """Return the steps by which decimation runs ahead of the blur."""
    return -(-(rates.blur.size - 1) // STEP_ROWS)


class Decimation:
    """Programs that decimate and blur down the columns.

    Attributes
    ----------
    in_place : bool
        Whether source rows are read in the line buffer, which holds them in the type of the sums, not in a ring.
    ring : Ring
        Layout of source rows.
    ring_rows : int
        Rows in the ring's memory.
    rows : int
        Rows in memory: the ring, and a second ring of decimated rows.
    """

    def __init__(self, stage: StageSetup, coarse: Coarse) -> None:
        rates, finite, dtype = coarse.rates, stage.source.is_finite, stage.plan.precision
        pads = "constant" in stage.plan.padding_modes
        self.in_place = stage.source.loads_unchanged(dtype) and not (pads or stage.in_memory)
        self.ring = Ring.of(coarse.decimated, 0, rates.decimation.size)
        self._source_rows: _InPlace | _InRing = (_InPlace if self.in_place else _InRing)(coarse, self.ring)
        self._reach, self._ahead = rates.blur.size - 1, steps_ahead(rates)
        self.ring_rows = 0 if self.in_place else self.ring.slots
        self.rows = self.ring_rows + (self._ahead + 1) * STEP_ROWS
        weights = rates.decimation
        self._decimate = WindowSums(Taps.down(weights), weights.size, rates.step, dtype, finite=finite)
        self._blur = WindowSums(Taps.down(rates.blur), rates.blur.size, 1, dtype, finite=finite)

    def incoming(self, first: int, last: int) -> Indices:
        """Return the source rows that steps ``first`` to ``last - 1`` read after the steps before them."""
        starts, stops = self._source_rows.places(np.array([first]), np.array([last]))
        return self._source_rows.index[starts[0] : stops[0]]

    def spans(self, firsts: Indices, lasts: Indices) -> Spans:
        """Return the source rows that blocks read, each from step ``firsts`` to ``lasts - 1``."""
        starts, stops = self._source_rows.places(firsts, lasts)
        return spans_of(self._source_rows.index, np.where(firsts, starts, 0), stops)

    @property
    def table_bytes(self) -> int:
        """Bytes of row offsets."""
        return self._source_rows.table_bytes

    def bind(self, buffer: LineBuffer) -> Indices:
        """Return what :meth:`calls` need to know of a line buffer's rows; strips share it."""
        return self._source_rows.bind(buffer)

    def calls(
        self,
        source: Source,
        rows: Indices,
        columns: Columns,
        cols: tuple[int, int],
        out: StepOutput,
        memories: Sequence[Scratch],
    ) -> list[Call]:
        """Return the calls for the columns ``cols``, whose steps write four rows each to ``out``.

        ``rows`` are those of :meth:`bind`, ``memories`` scratch and persistent memory.
        """
        load, tile, table = self._source_rows.calls(source, rows, columns.subset(*cols), cols[0], memories)
        length = out.length
        # Decimated rows lie in a second ring: step n writes the rows that step n + ``ahead`` blurs.
        period, step = self._ahead + 1, STEP_ROWS * length
        decimated_rows = memories[1].get("decimated", period * step)
        decimated = StepOutput(Moving(decimated_rows, 0, step, period), length, length)
        sum_down = self._decimate.calls(tile, table, decimated)
        places = np.arange(period * STEP_ROWS)[:, np.newaxis] + np.arange(self._reach + 1)
        slots = (places - self._ahead * STEP_ROWS) % (period * STEP_ROWS)
        blurred = self._blur.calls(decimated_rows, slots.reshape(period, STEP_ROWS, -1) * length, out)
        return [*load, *(call._replace(ahead=self._ahead) for call in sum_down), *blurred]


class _InRing:
    """Source rows in a ring, converted to the type of the sums; ``index`` is the source row of each place."""

    table_bytes = 0

    def __init__(self, coarse: Coarse, ring: Ring) -> None:
        self._ring, self._ahead, self._tables = ring, steps_ahead(coarse.rates), Tables(ring)
        places = ring.places()
        self.index = coarse.source_index[np.append(places, np.repeat(places[-1:], (self._ahead + 1) * ring.block))]

    def places(self, firsts: Indices, lasts: Indices) -> tuple[Indices, Indices]:
        """Return the first and the last-plus-one place that steps load."""
        before = self._ring.lead + self._ahead
        return (before + firsts) * self._ring.block, (before + lasts) * self._ring.block

    def bind(self, buffer: LineBuffer) -> Indices:
        """Return the line buffer's row of each place."""
        return buffer.index(self.index)

    def calls(
        self, source: Source, rows: Indices, columns: Columns, _first_col: int, memories: Sequence[Scratch]
    ) -> tuple[list[Call], Samples | Moving, Indices]:
        """Return the calls that load rows, the ring, and the offset of each tap's row in it."""
        scratch, persistent = memories
        load, ring = incoming(source, scratch, persistent, self._ring, rows, columns, self._ahead)
        return load, ring, self._tables.of(columns.count * source.channels)


class _InPlace:
    """Source rows where they lie in a line buffer; ``index`` is the source row of each place.

    Copying them would take a third of the time of decimation, and the rings of all strips more than a core's cache.
    """

    def __init__(self, coarse: Coarse, ring: Ring) -> None:
        self._ahead, self._block, self._rates = steps_ahead(coarse.rates), ring.block, coarse.rates
        self.index = coarse.source_index
        steps, taps = -(-coarse.count // STEP_ROWS) + self._ahead, self._rates.decimation.size
        firsts = np.arange(steps * STEP_ROWS).reshape(-1, STEP_ROWS, 1) * self._rates.step
        self._taps = np.minimum(firsts + np.arange(taps), self.index.size - 1)
        #: Of each tap's row for each row of a step, and of the rows that the four share.
        self.table_bytes = 2 * self._taps.nbytes

    def places(self, firsts: Indices, lasts: Indices) -> tuple[Indices, Indices]:
        """Return the first and the last-plus-one place under the windows of steps."""
        window = (STEP_ROWS - 1) * self._rates.step + self._rates.decimation.size
        return (firsts + self._ahead) * self._block, (lasts - 1 + self._ahead) * self._block + window

    def bind(self, buffer: LineBuffer) -> Indices:
        """Return the offset of each tap's row in the line buffer, from step 0 on; the steps ahead of it come last."""
        offsets: Indices = buffer.index(self.index)[self._taps] * buffer.row_samples
        return np.roll(offsets, -self._ahead, axis=0)

    def calls(
        self, source: Source, rows: Indices, _columns: Columns, first_col: int, _memories: Sequence[Scratch]
    ) -> tuple[list[Call], Samples | Moving, Indices]:
        """Return no calls, the line buffer from a column on, and the offset of each tap's row in it."""
        return [], Moving(source.slot, first_col * source.channels), rows
