"""One stage on a picture with ignored pixels, band by band."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from convfilter.engine.buffer import Samples
from convfilter.engine.masked import put
from convfilter.engine.threads import run_blocks
from convfilter.executor.bands import bands_on_grids
from convfilter.executor.channel_operations import ALL, ChannelOperation, Setting, channel_operations, straight_colours
from convfilter.executor.filled import FilledBands
from convfilter.executor.held import Held, Span, Valid
from convfilter.executor.means import Means
from convfilter.executor.medians import Medians
from convfilter.executor.straight_colours import StraightColours
from convfilter.executor.validity import Validity
from convfilter.filters.stage import Stage
from convfilter.planning.methods import grid_of


class MaskedStage:
    """One stage on a picture with ignored pixels.

    Parameters
    ----------
    stage : Stage
    setting : Setting

    Attributes
    ----------
    shape : (rows, cols, channels)
        Of the result.
    dtype : dtype
        Of the result.
    bands : list of (first, last + 1)
        Rows that are computed at a time. They depend neither on threads nor on how many rows are held.
    band_bytes : int
        Of the largest band, or of the source rows between two bands if these are more.
    """

    def __init__(self, stage: Stage, setting: Setting) -> None:
        self.stage, self.dtype = stage, setting.out_dtype
        self._straight = straight_colours(stage, setting)
        self._operations = channel_operations(stage, setting if self._straight is None else setting.straight)
        planned = setting.plan(stage, setting.shape[2], alpha=setting.alpha).stages[0]
        self._validity = Validity(stage, planned, fill=setting.fill)
        plans = [*(plan for each in self._operations for plan in each.operation.plans), *self._validity.sums]
        self._planned = planned
        self.bands = [(0, planned.rows.output)] if planned.takes_range else bands_on_grids(plans)
        self.shape = planned.rows.output, planned.cols.output, planned.output_channels
        written = self.shape[1] * self.shape[2] * self.dtype.itemsize
        read = planned.rows.stride * setting.shape[1] * setting.shape[2] * setting.dtype.itemsize
        self.band_bytes = max(last - first for first, last in self.bands) * max(written, read)

    @property
    def streaming_obstacle(self) -> str:
        """Why the stage needs all rows of its source at once; "" if it does not."""
        if self._planned.streaming_obstacle:
            return self._planned.streaming_obstacle
        stages = [plan.stages[0] for each in self._operations for plan in each.operation.plans]
        if any(grid_of(stage).indivisible for stage in stages):
            return f"{self.stage.name} leaves out pixels of the whole picture at once"
        return ""

    def reach(self, span: Span) -> Span:
        """Return the rows of the source that some rows of the result read."""
        reaches = [self._validity.reach(span), *(each.operation.reach(span) for each in self._operations)]
        return min(first for first, _ in reaches), max(last for _, last in reaches)

    def run(self, held: Held, bands: Sequence[Span], out: Samples, valid: Valid, threads: int) -> int:
        """Compute neighbouring bands.

        Parameters
        ----------
        held : Held
            The rows of their ``reach``.
        bands : sequence of (first, last + 1)
            Some of ``bands``.
        out : (rows, cols, channels) array
            Their rows; 0 where they are not valid.
        valid : (rows, cols) array of bool
            Their valid pixels.
        threads : int

        Returns
        -------
        int
            How many samples were clipped.
        """
        if self._straight is not None:
            reaches = [self.reach(band) for band in bands]
            held = self._straight.held(held, min(first for first, _ in reaches), max(last for _, last in reaches))
        run = _BandsRun(held, self._operations, self._validity, self._straight, bands[0][0], out, valid)
        first = self._operations[0].operation
        if len(self._operations) > 1:
            spans = list(bands)
        else:
            spans = first.spans(run.sources[0], bands, threads)
            if first.in_turn and self._straight is None:
                run.in_turn(spans, bands, threads)
                return run.clipped
        within = 1 if len(spans) >= threads else threads
        run_blocks(spans, partial(run.span, threads=within), threads)
        return run.clipped


class _BandsRun:
    """A run of a stage on some neighbouring bands; threads call its methods for spans of their own.

    Parameters
    ----------
    held : Held
        Rows of the source.
    operations : sequence of ChannelOperation
    validity : Validity
    straight : StraightColours or None
    top : int
        The first row of the bands.
    out, valid : arrays
        Rows of the bands and their valid pixels, from ``top`` on.
    """

    def __init__(
        self,
        held: Held,
        operations: Sequence[ChannelOperation],
        validity: Validity,
        straight: StraightColours | None,
        top: int,
        out: Samples,
        valid: Valid,
    ) -> None:
        self._held, self._operations, self._validity, self._straight = held, operations, validity, straight
        self._top, self._out, self._valid = top, out, valid
        self._counts: list[int] = []
        #: The rows that each operation reads.
        self.sources = [held if each.source == ALL else held.channels(each.source) for each in operations]

    @property
    def clipped(self) -> int:
        """Number of clipped samples."""
        return sum(self._counts)

    def span(self, span: Span, threads: int) -> None:
        """Compute a span, and leave out the results that are not valid."""
        stored = self._out[self._place(span)]
        rows = stored if self._straight is None else np.empty(stored.shape, self._straight.real)
        self._compute(span, rows, threads)
        self._leave_out(span, rows)
        if self._straight is not None:
            self._counts.append(self._straight.store(rows, stored))

    def in_turn(self, spans: Sequence[Span], bands: Sequence[Span], threads: int) -> None:
        """Compute spans one after the other, each on all threads; means may find their valid results themselves."""
        (operation,) = (each.operation for each in self._operations)
        unmarked: list[Span] = []
        for span in spans:
            out, valid = self._out[self._place(span)], self._valid[self._place(span)]
            if isinstance(operation, Means | Medians) and operation.marks_results(span, self._validity):
                operation.run_marked(self._held, span, out, valid, self._validity, threads)
            else:
                self._compute(span, out, threads)
                unmarked += [band for band in bands if span[0] <= band[0] < span[1]]
        run_blocks(unmarked, lambda span: self._leave_out(span, self._out[self._place(span)]), threads)

    def _place(self, span: Span) -> slice:
        return slice(span[0] - self._top, span[1] - self._top)

    def _compute(self, span: Span, rows: Samples, threads: int) -> None:
        """Compute all channels of a span; alpha, the second operation, counts no clipped samples."""
        if len(self._operations) == 1:
            self._counts.append(self._operations[0].operation.run(self.sources[0], span, rows, threads))
            return
        for number, (each, source) in enumerate(zip(self._operations, self.sources, strict=True)):
            channels = each.operation.plans[0].stages[0].output_channels
            result = np.empty((*rows.shape[:2], channels), rows.dtype)
            clipped = each.operation.run(source, span, result, threads)
            rows[..., each.result] = result
            self._counts.append(clipped if number == 0 else 0)

    def _leave_out(self, span: Span, rows: Samples) -> None:
        valid = self._valid[self._place(span)]
        self._validity.write(self._held, span, valid)
        operation = self._operations[0].operation
        if not (len(self._operations) == 1 and isinstance(operation, FilledBands) and operation.leaves_zeros):
            put(rows, valid, 0)
