"""The guided filter: each window fits a linear map from the guide to the picture, and all maps are averaged.

Window sums move down the columns and along the rows in machine code, in double precision: the cost does not depend on
the radius.

With dilation D, every D-th row and column is a picture of its own, and its windows are dense. Those of the columns lie
side by side in each row; those of the rows are filtered one after the other. Stride drops results.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from convfilter.engine.borders import Indices, index_map
from convfilter.engine.buffer import LineBuffer, Samples, Scratch
from convfilter.engine.epilogue import Epilogue
from convfilter.engine.layout import Columns
from convfilter.engine.load import Source
from convfilter.engine.mapped_stage import MappedStage, Region
from convfilter.engine.node import Crew, Node, Rows, StageNode, StageSetup
from convfilter.engine.program import Slot
from convfilter.engine.workers import Workers
from convfilter.filters.stage import Guided
from convfilter.loops.vectors import vector_bytes
from convfilter.methods.bilateral import SPLIT
from convfilter.methods.layer import central_alpha
from convfilter.native.loop import Loop
from convfilter.planning import LUMINANCE_DIVISOR
from convfilter.planning.arithmetic import AxisPlan

FIT = Loop("guided", "fit", "D* D* i8 i8 i8 i8 i8 D D D D* D* D* D* i8")
FIT_COLOURS = Loop("guided", "fit_colours", "D* i8 D* i8 i8 i8 i8 D D D D* D* D* i8 D* i8")
EVALUATE = Loop(
    "guided", "evaluate", "D* i8 D* i8 i8* i8 i8 i8 i8* D* i8 i8 i8* i8 D D D* D* i8 D* i8 i8"
)  # fmt: skip

#: Sums of a window whose guide has three planes; a guide of one has four.
_SUMS = 13
#: Multiple of white beyond which a real sample swamps the others in sums of squares.
_DROWNING = 2.0**20

Real = npt.NDArray[np.float64]


def nodes(stage: StageSetup) -> list[Node]:
    """Return the node of a stage; transparent pixels count as black."""
    return [_Guided(stage)]


class _Guided(StageNode):
    """The guided filter, for some rows at a time."""

    def crew(self, sources: Sequence[LineBuffer], target: LineBuffer, threads: int) -> Crew:
        """Return workers."""
        mapped = self.mapped(sources[0])
        epilogue = self.epilogue(mapped, target)
        return Workers(lambda: _Worker(mapped, epilogue, sources[0]), self.scratch_bytes)


class _Worker:
    """Filters blocks of rows, in its own memory."""

    def __init__(self, mapped: MappedStage, epilogue: Epilogue, picture: LineBuffer) -> None:
        operator = mapped.plan.stage.operator
        assert isinstance(operator, Guided) and not isinstance(operator.guide, str)
        self._mapped, self._epilogue, self._picture, self._radius = mapped, epilogue, picture, operator.radius
        radius, cols_apart = operator.radius, mapped.plan.cols.dilation
        #: The picture's row at each place of an axis that is padded for one mean.
        self._rows = _padded(mapped, mapped.plan.rows, radius)
        cols, width = _padded(mapped, mapped.plan.cols, radius), mapped.plan.cols.input
        first = np.arange(cols.size) % cols_apart
        order = np.argsort(first, kind="stable")
        order = order[first[order] < width]  # no window begins beyond the picture
        window = np.empty(width, np.int64)
        window[order[order < width]] = np.flatnonzero(order < width)
        run = (radius, width) if cols_apart == 1 else (0, 0)
        self._columns = Columns(cols[order], *run, cols[:0])
        #: Windows along a row, those across two of the pictures side by side included.
        self._width = order.size - 2 * radius
        #: Window of each loaded column, and of each output.
        self._windows, self._outputs = window[cols[order]], window[:: mapped.plan.cols.stride]
        lanes = vector_bytes() // 8
        self._pitch, self._line = (-(-size // lanes) * lanes for size in (order.size, self._width))
        self._behind = lanes
        self._scratch = Scratch(np.float64)
        source = mapped.source
        #: White of the loaded samples, and of the guide.
        self._white = source.full * (source.full if source.multiplies else 1.0)
        self._white *= LUMINANCE_DIVISOR if source.gray else 1.0
        self._guide = None
        self._guide_white = self._white
        if operator.guide is not None:
            slot = Slot(np.ascontiguousarray(operator.guide))
            self._guide, self._guide_white = Source(LineBuffer(slot), 1.0, False, False, 0.0), 1.0
        self._epsilon = operator.epsilon * self._guide_white**2

    def __call__(self, rows: Rows) -> int:
        """Store output rows ``top`` to ``bottom - 1``; returns how many samples were clipped."""
        (top, bottom), axis, cols = rows, self._mapped.plan.rows, self._mapped.plan.cols
        if axis.stride == axis.dilation == cols.stride == cols.dilation == 1:
            return self._store(rows, self._filtered(range(top, bottom)))
        channels = self._mapped.source.channels
        size = (bottom - top) * cols.output * channels
        results = self._scratch.get("results", size)[:size].reshape(bottom - top, cols.output, channels)
        period = math.lcm(axis.stride, axis.dilation)
        # Rows between outputs further apart than their windows are neither needed nor there.
        together = period // axis.stride if period <= axis.span else bottom - top
        for first in range(top, min(bottom, top + together)):
            last = bottom - 1 - (bottom - 1 - first) % together
            values = self._filtered(range(first * axis.stride, last * axis.stride + 1, axis.dilation))
            results[first - top :: together] = values[:: period // axis.dilation, self._outputs]
        return self._store(rows, results)

    def _filtered(self, outputs: range) -> Real:
        """Return (outputs, windows of a row, channels): results at rows of the picture that are a dilation apart."""
        radius, source, apart = self._radius, self._mapped.source, outputs.step
        reach = 2 * radius * apart
        needed = self._rows[outputs.start : outputs[-1] + reach + 1 : apart]
        runs = list(_runs(np.unique(needed), apart))
        loaded = np.concatenate([self._rows[run.start : run[-1] + reach + 1 : apart] for run in runs])
        starts = np.cumsum([0, *(len(run) + 2 * radius for run in runs)])
        #: For each row of the picture whose lines are needed: its index among these, and among the loaded rows.
        place, middle = np.full((2, self._mapped.plan.rows.input), -1)
        for number, run in enumerate(runs):
            rows = slice(run.start, run.stop, apart)
            place[rows] = starts[number] - 2 * radius * number + np.arange(len(run))
            middle[rows] = starts[number] + radius + np.arange(len(run))
        picture = self._planes(source, "picture", self._picture.index(loaded), loaded)
        guide = picture if self._guide is None else self._planes(self._guide, "guide", loaded, loaded)
        colours = source.channels - source.alpha
        size = len(outputs) * self._width * source.channels
        values = self._scratch.get("values", size)[:size]
        spoilt = self._spoilt(picture[:colours], guide, middle[needed])
        centres = np.ascontiguousarray(middle[outputs.start : outputs.stop : apart])
        for colour in range(colours):
            own = guide[colour : colour + 1] if self._guide is None else guide
            self._fit(own, picture[colour], runs, starts, place[needed], centres, values[colour:])
        shaped: Real = values.reshape(len(outputs), self._width, source.channels)
        if spoilt is not None:
            shaped[spoilt] = np.nan
        return shaped

    def _planes(self, source: Source, name: str, index: Indices, rows: Indices) -> Real:
        """Load rows, padded, as a plane for each channel."""
        tile, pitch = source.load(self._scratch, f"{name} tile", index, self._columns)
        channels, plane = source.channels, rows.size * self._pitch
        planes = self._scratch.get(f"{name} planes", channels * plane + self._behind)
        size = rows.size, self._columns.count, channels, channels
        SPLIT.variant(A=np.float64)(tile, pitch, *size, 0.0, 0.0, planes, plane, self._pitch)
        shaped: Real = planes[: channels * plane].reshape(channels, rows.size, self._pitch)
        shaped[..., self._columns.count :] = 0
        return shaped

    def _fit(
        self,
        guide: Real,
        picture: Real,
        runs: list[range],
        starts: Indices,
        places: Indices,
        rows: Indices,
        out: Samples,
    ) -> None:
        """Write the results of one plane."""
        planes, radius, line, pitch, scratch = len(guide), self._radius, self._line, self._pitch, self._scratch
        count = sum(len(run) for run in runs)
        slopes = scratch.get("slopes", planes * count * line + self._behind)
        shifts = scratch.get("shifts", count * line + self._behind)
        sums, running = (
            scratch.get("sums", _SUMS * pitch),
            scratch.get("running", _SUMS * (pitch + self._behind) + self._behind),
        )
        middles = self._guide_white / 2, self._white / 2
        flat, other = guide.reshape(-1), picture.reshape(-1)
        for number, run in enumerate(runs):
            at, to = int(starts[number]) * pitch, (int(starts[number]) - 2 * radius * number) * line
            size = pitch, len(run), self._width, radius
            scratches = *middles, self._epsilon, sums, running
            if planes == 1:
                alike = int(self._guide is None)
                FIT.variant(D=np.float64)(
                    flat[at:], other[at:], *size, alike, *scratches, slopes[to:], shifts[to:], line
                )
            else:
                FIT_COLOURS.variant(D=np.float64)(
                    flat[at:],
                    guide[0].size,
                    other[at:],
                    *size,
                    *scratches,
                    slopes[to:],
                    count * line,
                    shifts[to:],
                    line,
                )
        EVALUATE.variant(D=np.float64)(
            slopes, count * line, shifts, line, places, rows.size, self._width, radius, self._windows, flat,
            guide[0].size, pitch, rows, planes, *middles, sums, running, pitch + self._behind,
            out, self._width * self._mapped.source.channels, self._mapped.source.channels,
        )  # fmt: skip

    def _spoilt(self, picture: Real, guide: Real, centres: Indices) -> npt.NDArray[np.bool_] | None:
        """Return the pixels whose lines depend on a NaN, an infinity or a huge sample.

        ``centres`` are the loaded rows at the centres of the windows of all lines, from the top down.
        Such samples would stay in running sums, so they are set to 0 here.
        """
        if self._mapped.source.is_finite and self._guide is None:
            return None
        bad = np.zeros(picture.shape[1:], bool)
        for planes, white in ((picture, self._white), (guide, self._guide_white)):
            for plane in planes:
                bad |= ~(np.abs(plane) <= _DROWNING * white)
        if not bad.any():
            return None
        for plane in (*picture, *guide):
            plane[bad] = 0
        bad = bad[:, : self._columns.count]
        side = 2 * self._radius + 1
        # A pixel is invalid if one of its lines is, and a line if a pixel of its window is.
        lines = _any(bad, side)
        return _any(lines[centres - self._radius][:, self._windows], side)

    def _store(self, rows: Rows, values: Real) -> int:
        """Store results; colours are divided by the alpha of their pixel, which stays."""
        source, alpha = self._mapped.source, None
        if source.alpha:
            central = central_alpha(self._mapped, *rows)
            opaque = central[..., np.newaxis]
            if not source.premultiplied:
                values[...] = np.divide(values, opaque, out=np.zeros_like(values), where=opaque > 0)
            values *= self._epilogue.keep
            values += self._epilogue.shift * opaque
            values[..., -1] = 0
            alpha = np.ascontiguousarray(central).reshape(-1)
        pitch = values.shape[1] * values.shape[2]
        calls = self._epilogue.store(Region(*rows, 0, values.shape[1]), values.reshape(-1), pitch, alpha)
        return sum(call() for call in calls)


def _any(cells: npt.NDArray[np.bool_], side: int) -> npt.NDArray[np.bool_]:
    """Return for each window of the given sides whether any of its cells is true."""
    for axis in (0, 1):
        counts = np.insert(np.cumsum(cells, axis=axis), 0, 0, axis=axis)
        size = counts.shape[axis]
        cells = np.take(counts, range(side, size), axis) > np.take(counts, range(size - side), axis)
    return cells


def _padded(mapped: MappedStage, axis: AxisPlan, radius: int) -> Indices:
    """Return the picture's row or column at each place of an axis that is padded for one mean."""
    reach = radius * axis.dilation
    return index_map(axis.input, reach, axis.input + 2 * reach, mapped.plan.stage.padding_mode)


def _runs(rows: Indices, apart: int) -> Iterator[range]:
    """Yield the runs of rows that are ``apart``, in rising rows."""
    rows = rows[np.argsort(rows % apart, kind="stable")]
    for run in np.split(rows, np.flatnonzero(np.diff(rows) != apart) + 1):
        yield range(int(run[0]), int(run[-1]) + 1, apart)
