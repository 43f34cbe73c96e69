"""The guided filter: each window fits a line from the guide to the picture, and a pixel averages its windows' lines.

Running sums move down the columns and along the rows in float64, so the cost does not depend on the radius.

With dilation D, every D-th row and column is a picture of its own, whose windows have no gaps. The pictures of the
columns lie side by side in each row; the pictures of the rows are filtered one after the other. With a stride, all
lines are fitted, and their means are taken only where there is a result.
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
from convfilter.filters.operators import Guided
from convfilter.loops.vectors import vector_bytes
from convfilter.methods.bilateral import SPLIT
from convfilter.methods.straight import central_alpha
from convfilter.native.loop import Loop
from convfilter.planning import LUMINANCE_DIVISOR
from convfilter.planning.arithmetic import AxisPlan

FIT = Loop("guided", "fit", "D* D* i8 i8 i8 i8 i8 D D D D* D* D* D* i8")
FIT_COLOURS = Loop("guided", "fit_colours", "D* i8 D* i8 i8 i8 i8 D D D D* D* D* i8 D* i8")
EVALUATE = Loop(
    "guided", "evaluate", "D* i8 D* i8 i8* i8 i8 i8 i8* D* i8 i8 i8* i8 D D D* D* i8 i8 i8* i8 D* i8 i8"
)  # fmt: skip

#: Running sums of a window whose guide has three planes; a guide of one plane has four.
_SUMS = 13
#: Multiple of white beyond which a real sample hides the others in the rounding of sums of squares.
_LARGEST_SHARE = 2.0**20

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
        #: The picture's row at each place of the axis, padded for one mean.
        self._rows = _padded(mapped, mapped.plan.rows, radius)
        cols, width = _padded(mapped, mapped.plan.cols, radius), mapped.plan.cols.input
        first = np.arange(cols.size) % cols_apart
        order = np.argsort(first, kind="stable")
        order = order[first[order] < width]  # no window begins beyond the picture
        window = np.empty(width, np.int64)
        window[order[order < width]] = np.flatnonzero(order < width)
        run = (radius, width) if cols_apart == 1 else (0, 0)
        self._columns = Columns(cols[order], *run, cols[:0])
        #: Windows along a row; those that straddle two pictures side by side are computed and ignored.
        self._width = order.size - 2 * radius
        #: Number of the window of each loaded column, and of each output.
        self._windows = window[cols[order]]
        self._outputs = np.ascontiguousarray(window[:: mapped.plan.cols.stride])
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
        """Store output rows ``top`` to ``bottom - 1``; return the number of clipped samples."""
        (top, bottom), axis = rows, self._mapped.plan.rows
        centre = axis.centre - axis.before  # of the first output
        if axis.stride == axis.dilation == 1:
            return self._store(rows, self._filtered(range(centre + top, centre + bottom), 1))
        size = (bottom - top) * self._outputs.size * self._mapped.source.channels
        results = self._scratch.get("results", size)[:size].reshape(bottom - top, self._outputs.size, -1)
        period = math.lcm(axis.stride, axis.dilation)
        # Output rows ``spacing`` apart lie in one of the dilated pictures. Where windows do not overlap, each output is
        # computed by itself: the rows between are not needed, and not in the line buffer.
        spacing = period // axis.stride if period <= axis.span else bottom - top
        for first in range(top, min(bottom, top + spacing)):
            last = bottom - 1 - (bottom - 1 - first) % spacing
            centres = range(centre + first * axis.stride, centre + last * axis.stride + 1, axis.dilation)
            results[first - top :: spacing] = self._filtered(centres, period // axis.dilation)
        return self._store(rows, results)

    def _filtered(self, outputs: range, step: int) -> Real:
        """Return (rows, cols, channels): results at every ``step``-th of some rows that are a dilation apart."""
        radius, source, spacing = self._radius, self._mapped.source, outputs.step
        reach = 2 * radius * spacing
        needed = self._rows[outputs.start : outputs[-1] + reach + 1 : spacing]
        ranges = list(_ranges(np.unique(needed), spacing))
        loaded = np.concatenate([self._rows[each.start : each[-1] + reach + 1 : spacing] for each in ranges])
        starts = np.cumsum([0, *(len(each) + 2 * radius for each in ranges)])
        #: For each row of the picture whose lines are needed: its number among the lines, and among the loaded rows.
        line_rows, loaded_rows = np.full((2, self._mapped.plan.rows.input), -1)
        for number, each in enumerate(ranges):
            rows = slice(each.start, each.stop, spacing)
            line_rows[rows] = starts[number] - 2 * radius * number + np.arange(len(each))
            loaded_rows[rows] = starts[number] + radius + np.arange(len(each))
        picture = self._planes(source, "picture", self._picture.index(loaded), loaded)
        guide = picture if self._guide is None else self._planes(self._guide, "guide", loaded, loaded)
        colours = source.channels - source.alpha
        output_rows = len(outputs[::step])
        size = output_rows * self._outputs.size * source.channels
        values = self._scratch.get("values", size)[:size]
        marks = self._invalid(picture[:colours], guide, loaded_rows[needed])
        centres = np.ascontiguousarray(loaded_rows[outputs.start : outputs.stop : spacing])
        for colour in range(colours):
            planes = guide[colour : colour + 1] if self._guide is None else guide
            self._fit(planes, picture[colour], ranges, starts, line_rows[needed], centres, step, values[colour:])
        results: Real = values.reshape(output_rows, self._outputs.size, source.channels)
        for colour, invalid in enumerate(marks):
            if invalid is not None:
                results[..., colour][invalid[::step, self._outputs]] = np.nan
        return results

    def _planes(self, source: Source, name: str, index: Indices, rows: Indices) -> Real:
        """Load padded rows as a plane for each channel: (channels, rows, pitch)."""
        tile, pitch = source.load(self._scratch, f"{name} tile", index, self._columns)
        channels, plane = source.channels, rows.size * self._pitch
        planes = self._scratch.get(f"{name} planes", channels * plane + self._behind)
        size = rows.size, self._columns.count, channels, channels
        SPLIT.variant(A=np.float64)(tile, pitch, *size, 0.0, 0.0, planes, plane, self._pitch)
        result: Real = planes[: channels * plane].reshape(channels, rows.size, self._pitch)
        result[..., self._columns.count :] = 0
        return result

    def _fit(
        self,
        guide: Real,
        picture: Real,
        ranges: list[range],
        starts: Indices,
        line_rows: Indices,
        centres: Indices,
        step: int,
        out: Samples,
    ) -> None:
        """Write the results of one plane: the lines of all windows, then their means at the pixels of the outputs.

        Parameters
        ----------
        guide : (planes, loaded rows, pitch) array
        picture : (loaded rows, pitch) array
        ranges : list of range
            Rows of the picture whose lines are needed.
        starts : int array
            First loaded row of each range.
        line_rows : int array
            Lines that the means read, from the top down.
        centres : int array
            Loaded row of each mean.
        step : int
            Every ``step``-th row of means is an output.
        out : flat array
        """
        planes, radius, line, pitch, scratch = len(guide), self._radius, self._line, self._pitch, self._scratch
        count = sum(len(each) for each in ranges)
        slopes = scratch.get("slopes", planes * count * line + self._behind)
        intercepts = scratch.get("intercepts", count * line + self._behind)
        sums, running = (
            scratch.get("sums", _SUMS * pitch),
            scratch.get("running", _SUMS * (pitch + self._behind) + self._behind),
        )
        middles = self._guide_white / 2, self._white / 2
        flat_guide, flat_picture = guide.reshape(-1), picture.reshape(-1)
        for number, each in enumerate(ranges):
            start, line_start = int(starts[number]) * pitch, (int(starts[number]) - 2 * radius * number) * line
            size = pitch, len(each), self._width, radius
            scratches = *middles, self._epsilon, sums, running
            lines_of_range = slopes[line_start:], intercepts[line_start:]
            if planes == 1:
                guides_itself = int(self._guide is None)
                FIT.variant(D=np.float64)(
                    flat_guide[start:], flat_picture[start:], *size, guides_itself, *scratches, *lines_of_range, line
                )
            else:
                FIT_COLOURS.variant(D=np.float64)(
                    flat_guide[start:], guide[0].size, flat_picture[start:], *size, *scratches,
                    lines_of_range[0], count * line, lines_of_range[1], line,
                )  # fmt: skip
        EVALUATE.variant(D=np.float64)(
            slopes, count * line, intercepts, line, line_rows, centres.size, self._width, radius, self._windows,
            flat_guide, guide[0].size, pitch, centres, planes, *middles, sums, running, pitch + self._behind, step,
            self._outputs, self._outputs.size, out, self._outputs.size * self._mapped.source.channels,
            self._mapped.source.channels,
        )  # fmt: skip

    def _invalid(self, picture: Real, guide: Real, centres: Indices) -> list[npt.NDArray[np.bool_] | None]:
        """Set NaN, infinities and huge samples to 0; return for each colour the pixels whose lines depend on them.

        Such samples would stay in running sums. None: no pixel does. ``centres`` are the loaded rows at the centres of
        the windows of all lines, from the top down.
        """
        if self._mapped.source.is_finite and self._guide is None:
            return [None] * len(picture)
        in_guide = np.zeros(picture.shape[1:], bool)
        for plane in guide if self._guide is not None else ():
            in_guide |= ~(np.abs(plane) <= _LARGEST_SHARE * self._guide_white)
        marks = [self._invalid_in(plane, in_guide, centres) for plane in picture]
        if in_guide.any():
            guide[:, in_guide] = 0
        return marks

    def _invalid_in(
        self, plane: Real, in_guide: npt.NDArray[np.bool_], centres: Indices
    ) -> npt.NDArray[np.bool_] | None:
        bad = in_guide | ~(np.abs(plane) <= _LARGEST_SHARE * self._white)
        if not bad.any():
            return None
        plane[bad] = 0
        side = 2 * self._radius + 1
        # A line is invalid if a pixel of its window is; a pixel is invalid if one of its lines is.
        lines = _any_in_windows(bad[:, : self._columns.count], side)
        return _any_in_windows(lines[centres - self._radius][:, self._windows], side)

    def _store(self, rows: Rows, values: Real) -> int:
        """Store results; colours are divided by the alpha of their pixel, and alpha does not change."""
        source, alpha = self._mapped.source, None
        if source.alpha:
            alpha = central_alpha(self._mapped, *rows)
            if not source.premultiplied:
                opacity = alpha[..., np.newaxis]
                values[...] = np.divide(values, opacity, out=np.zeros_like(values), where=opacity > 0)
        return self._epilogue.store_values(Region(*rows, 0, values.shape[1]), values, alpha)


def _any_in_windows(cells: npt.NDArray[np.bool_], side: int) -> npt.NDArray[np.bool_]:
    """Return for each square window of ``side`` cells whether any of its cells is true."""
    for axis in (0, 1):
        counts = np.insert(np.cumsum(cells, axis=axis), 0, 0, axis=axis)
        size = counts.shape[axis]
        cells = np.take(counts, range(side, size), axis) > np.take(counts, range(size - side), axis)
    return cells


def _padded(mapped: MappedStage, axis: AxisPlan, radius: int) -> Indices:
    """Return the picture's row or column at each place of an axis, padded for one mean."""
    reach = radius * axis.dilation
    return index_map(axis.input, reach, axis.input + 2 * reach, mapped.plan.stage.padding_mode)


def _ranges(rows: Indices, spacing: int) -> Iterator[range]:
    """Yield rising rows as ranges of rows that are ``spacing`` apart."""
    rows = rows[np.argsort(rows % spacing, kind="stable")]
    for part in np.split(rows, np.flatnonzero(np.diff(rows) != spacing) + 1):
        yield range(int(part[0]), int(part[-1]) + 1, spacing)
