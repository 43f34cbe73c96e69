"""A multirate Gaussian as three steps of a chain: down to few rows, across them and along, and up again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from convfilter.engine.borders import Indices
from convfilter.engine.finish import ArraySink, Finisher, tone_of
from convfilter.engine.kept import Kept, Rise
from convfilter.engine.links import Link, Place, Scratches, StageLink, Worker
from convfilter.engine.multirate import along_rows, natural_columns, rising
from convfilter.engine.passes import Step, Taps, Window
from convfilter.engine.program import Following, Program
from convfilter.engine.streams import incoming
from convfilter.engine.tiles import Samples, Scratch
from convfilter.engine.work import Work
from convfilter.planning.chains import kept_block_rows
from convfilter.planning.ring import STEP_ROWS, Ring
from convfilter.planning.strips import strip_samples

#: Columns of a strip are a multiple of this, so that its rows are whole vectors of any width.
_VECTOR = 64


def steps(stage: StageLink) -> list[Link]:
    """Return the three steps; they keep rows of the type that the stage sums in."""
    rates = stage.plan.rates[0]
    assert rates is not None
    kept = Kept.of(stage.plan.rows, rates, stage.plan.stage.padding_mode, 0, stage.plan.rows.output)
    return [_Down(stage, kept), _Across(stage, kept), _Up(stage, kept)]


class _Part(Link):
    """What the three steps have in common."""

    def __init__(self, stage: StageLink, kept: Kept, rows: int, cols: int) -> None:
        self.stage, self.kept, self.rows = stage, kept, rows
        self.line = cols, stage.plan.channels
        self.block_rows = kept_block_rows(kept.rates)
        self.dtype = np.dtype(stage.plan.precision)
        self.cost, self.scratch_bytes = stage.cost / 3, stage.scratch_bytes
        self.jump, self.overlap = 1.0, 0.0

    def work(self, image_of: Place) -> Work:
        """Return the stage's work on rows that are held."""
        work = Work.of(self.stage.plan, replace(self.stage.source, image=image_of.samples))
        return replace(work, row_index=image_of.index(work.row_index))


class _Down(_Part):
    """Blur down the columns, at every s-th row only; a further column holds the padding value."""

    def __init__(self, stage: StageLink, kept: Kept) -> None:
        super().__init__(stage, kept, kept.count + 2 * kept.rates.middle_reach, stage.plan.cols.input + 1)
        self.jump, self.overlap = kept.rates.step, kept.rates.down.size - kept.rates.step
        self.spreads = True

    def input_rows(self, top: int, bottom: int) -> Indices:
        step, taps = self.kept.rates.step, self.kept.rates.down.size
        return self.kept.source_index[top * step : (bottom - 1) * step + taps]

    def worker(self, place: Place, target: Place, scratches: Scratches) -> Worker:
        return _DownWorker(self, place, target, scratches)


class Lowering(NamedTuple):
    """Sums down the columns of the source, at every s-th row, in strips; four rows in a step."""

    programs: list[tuple[Program, Program]]
    lead: int

    def run(self, first: int, last: int) -> None:
        """Compute steps ``first`` to ``last - 1``."""
        for lead, main in self.programs:
            lead.run(first - self.lead, self.lead)
            main.run(first, last - first)


def lowering(work: Work, kept: Kept, source_index: Indices, lowered: Samples, scratch: Scratch) -> Lowering:
    """Prepare to sum down the columns, from the rows that ``source_index`` names into the memory ``lowered``."""
    channels, rates, columns = work.source.channels, kept.rates, natural_columns(work)
    pitch = columns.count * channels
    ring = Ring.of(kept.down, 0, rates.down.size)
    rows = source_index[ring.places()]
    window = Window(Taps.down(rates.down), rates.down.size, rates.step, lowered.dtype, finite=work.source.is_finite)
    cols = max(1, strip_samples(ring.slots) // channels // _VECTOR) * _VECTOR
    programs = []
    for left in range(0, columns.count, cols):
        part = columns.part(left, min(left + cols, columns.count))
        length = part.count * channels
        load, tile = incoming(work.source, scratch, ring, rows, part)
        target = Step(Following(lowered, left * channels, STEP_ROWS * pitch), pitch, length)
        programs.append((Program(load), Program([*load, window.call(tile, ring.table() * length, target)])))
    return Lowering(programs, ring.lead)


class _Shift:
    """Lets programs write where the rows of a block are held; they begin as if all rows were."""

    def __init__(self, target: Place, programs: Sequence[Program]) -> None:
        self._target, self._programs = target, programs
        self._pitch = target.samples.shape[1] * target.samples.shape[2]
        self._rows = 0

    def to(self, top: int) -> None:
        rows = self._target.row(top) - top
        for program in self._programs:
            program.move((rows - self._rows) * self._pitch)
        self._rows = rows


class _DownWorker:
    clipped = 0

    def __init__(self, link: _Down, place: Place, target: Place, scratches: Scratches) -> None:
        index, lowered = place.index(link.kept.source_index), target.samples.reshape(-1)
        self._lower = lowering(link.work(place), link.kept, index, lowered, scratches(link.dtype.name))
        self._shift = _Shift(target, [main for _, main in self._lower.programs])

    def compute(self, top: int, bottom: int) -> None:
        self._shift.to(top)
        self._lower.run(top // STEP_ROWS, -(-bottom // STEP_ROWS))


class _Across(_Part):
    """Blur across the kept rows, then all three steps along them."""

    def __init__(self, stage: StageLink, kept: Kept) -> None:
        super().__init__(stage, kept, kept.count, stage.plan.cols.output)
        self.overlap = kept.rates.middle.size - 1

    def input_rows(self, top: int, bottom: int) -> Indices:
        return np.arange(top, bottom + self.kept.rates.middle.size - 1)

    def worker(self, place: Place, target: Place, scratches: Scratches) -> Worker:
        return _AcrossWorker(self, place, target, scratches)


class _AcrossWorker:
    clipped = 0

    def __init__(self, link: _Across, place: Place, target: Place, scratches: Scratches) -> None:
        stage, middle = link.stage, link.kept.rates.middle
        work = Work.of(stage.plan, stage.source)
        scratch, samples = scratches(link.dtype.name), place.samples
        pitch, out_pitch = (each.shape[1] * each.shape[2] for each in (samples, target.samples))
        blurred = scratch.get("middle", STEP_ROWS * pitch)
        window = Window(Taps.down(middle), middle.size, 1, link.dtype, finite=work.source.is_finite)
        # Whole steps: rows past the last are computed from those that there are, and not looked at.
        rows = np.arange(-(-link.rows // STEP_ROWS) * STEP_ROWS)[:, np.newaxis] + np.arange(middle.size)
        table = place.index(np.minimum(rows, link.rows + middle.size - 2)).reshape(-1, STEP_ROWS, middle.size)
        across = window.call(samples.reshape(-1), table * pitch, Step(blurred, pitch, pitch))
        memory = Following(target.samples.reshape(-1), 0, STEP_ROWS * out_pitch)
        self._program = Program([across, *along_rows(work, scratch)(blurred, Step(memory, out_pitch, out_pitch))])
        self._shift = _Shift(target, [self._program])

    def compute(self, top: int, bottom: int) -> None:
        self._shift.to(top)
        self._program.run(top // STEP_ROWS, -(-(bottom - top) // STEP_ROWS))


class _Up(_Part):
    """Bring kept rows up to all rows of the result, and finish it."""

    def __init__(self, stage: StageLink, kept: Kept) -> None:
        super().__init__(stage, kept, stage.rows, stage.line[0])
        self.block_rows, self.dtype = stage.block_rows, stage.dtype
        self.jump, self.overlap = kept.axis.stride / kept.rates.step, kept.rates.up.shape[1]

    def input_rows(self, top: int, bottom: int) -> Indices:
        _, place = self.kept.place(np.array([top, bottom - 1]))
        return np.arange(int(place[0]), int(place[1]) + self.kept.rates.up.shape[1])

    def worker(self, place: Place, target: Place, scratches: Scratches) -> Worker:
        return _UpWorker(self, place, target, scratches)


class _UpWorker:
    def __init__(self, link: _Up, place: Place, target: Place, scratches: Scratches) -> None:
        stage = link.stage
        scratch, source = scratches(stage.plan.precision), stage.source
        work = Work.of(stage.plan, source)
        finisher = Finisher(work, scratch, tone_of(stage.plan, stage.dtype, source.full, stage.full_out, source.gray))
        self._target, self._sink = target, ArraySink(target.samples, stage.plan, source.full, stage.full_out)
        self._sink.whole_steps = target.held is not None
        rise = Rise(link.kept, 0, link.rows, np.dtype(stage.plan.precision), place.held)
        self._run = rising(rise, place.samples.reshape(-1))(work, scratch, finisher, self._sink)

    @property
    def clipped(self) -> int:
        return self._sink.clipped

    def compute(self, top: int, bottom: int) -> None:
        self._sink.first_row = top - self._target.row(top)
        self._run((top, bottom))
