"""A multirate Gaussian as three steps of a chain: down to few rows, across them and along, and up again."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from convfilter.engine.along import along_rows, rows_at_once
from convfilter.engine.borders import Indices
from convfilter.engine.kept import Kept, Rise
from convfilter.engine.links import Link, Place, Scratches, SinkWorker, StageLink, Worker
from convfilter.engine.multirate import Lowering, rising
from convfilter.engine.passes import Step, Taps, Window
from convfilter.engine.program import Following, Program, Slot
from convfilter.engine.tiles import Samples
from convfilter.engine.work import Work
from convfilter.planning.chains import kept_block_rows
from convfilter.planning.ring import STEP_ROWS


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
        work = Work.of(self.stage.plan, replace(self.stage.source, slot=Slot(image_of.samples)))
        return replace(work, row_index=image_of.index(work.row_index))


class _Down(_Part):
    """Blur down the columns, at every s-th row only; a further column holds the padding value."""

    def __init__(self, stage: StageLink, kept: Kept) -> None:
        super().__init__(stage, kept, kept.count + 2 * kept.rates.middle_reach, stage.plan.cols.input + 1)
        self.jump, self.overlap = kept.rates.step, kept.rates.down.size - kept.rates.step

    def stays_local(self, samples: Samples) -> bool:
        return self.stage.stays_local(samples)

    def input_rows(self, top: int, bottom: int) -> Indices:
        step, taps = self.kept.rates.step, self.kept.rates.down.size
        return self.kept.source_index[top * step : (bottom - 1) * step + taps]

    def worker(self, place: Place, target: Place, scratches: Scratches) -> Worker:
        return _DownWorker(self, place, target, scratches)


class _DownWorker:
    clipped = 0

    def __init__(self, link: _Down, place: Place, target: Place, scratches: Scratches) -> None:
        index, scratch = place.index(link.kept.source_index), scratches(link.dtype.name)
        lowering = Lowering(link.work(place), link.kept, index, target.samples.dtype)
        memory = target.samples.reshape(-1)
        self._strips = [lowering.program(scratch, *strip, memory) for strip in lowering.cut()]
        self._target = target

    def compute(self, top: int, bottom: int) -> None:
        for strip in self._strips:
            strip.follow(self._target.row(top) - top)
            strip.run(top // STEP_ROWS, -(-bottom // STEP_ROWS) - top // STEP_ROWS)


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
        blurred = scratch.get("middle", rows_at_once(scratch.dtype) * pitch)
        blurred[:] = 0
        window = Window(Taps.down(middle), middle.size, 1, link.dtype, finite=work.source.is_finite)
        # Whole steps: rows past the last are computed from those that there are, and not looked at.
        rows = np.arange(-(-link.rows // STEP_ROWS) * STEP_ROWS)[:, np.newaxis] + np.arange(middle.size)
        table = place.index(np.minimum(rows, link.rows + middle.size - 2)).reshape(-1, STEP_ROWS, middle.size)
        across = window.call(samples.reshape(-1), table * pitch, Step(blurred, pitch, pitch))
        memory = Following(target.samples.reshape(-1), 0, STEP_ROWS * out_pitch)
        along = along_rows(work).calls(scratch, blurred, STEP_ROWS, Step(memory, out_pitch, out_pitch))
        self._program = Program([across, *along])
        self._target = target

    def compute(self, top: int, bottom: int) -> None:
        self._program.follow(self._target.row(top) - top)
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
        stage = self.stage
        rise = Rise(self.kept, np.dtype(stage.plan.precision), held=place.held)
        work, scratch = Work.of(stage.plan, stage.source), scratches(stage.plan.precision)
        _, cols, channels = place.samples.shape
        return SinkWorker(stage, work, target, scratch, rising(rise, place.samples.reshape(-1), cols * channels))
