"""The guided filter: each window fits a line from the guide to the picture, and a pixel averages its windows' lines.

Running sums move down the columns and along the rows in float64, so the cost does not depend on the radius.

With dilation D, every D-th row and column is a picture of its own, whose windows have no gaps. The pictures of the
columns lie side by side in each row; the pictures of the rows are filtered one after the other. With a stride, all
lines are fitted, and their means are taken only where there is a result.

Ignored pixels become the middle of white, which adds nothing to the sums. Each window's sums are divided by the number
of its valid pixels, and means of lines by the number of windows that have a valid pixel.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from convfilter.engine.borders import Indices, index_map
from convfilter.engine.buffer import LineBuffer, Scratch
from convfilter.engine.epilogue import Epilogue
from convfilter.engine.layout import Columns
from convfilter.engine.load import Source
from convfilter.engine.mapped_stage import MappedStage, Region
from convfilter.engine.masked import pixels_and_mask, put
from convfilter.engine.node import Crew, Node, Rows, StageNode, StageSetup
from convfilter.engine.program import Slot
from convfilter.engine.workers import Workers
from convfilter.filters.operators import Guided
from convfilter.methods.bilateral import SPLIT
from convfilter.methods.guided_lines import Guides, Lines, Marks, Real, Shares, Where
from convfilter.methods.straight import central_alpha
from convfilter.planning import LUMINANCE_DIVISOR
from convfilter.planning.arithmetic import AxisPlan
from convfilter.record import replace

#: Multiple of white beyond which a real sample hides the others in the rounding of sums of squares.
_LARGEST_SHARE = 2.0**20


def nodes(stage: StageSetup) -> list[Node]:
    """Return the node of a stage; transparent pixels count as black."""
    return [_Guided(stage)]


class _Guided(StageNode):
    """The guided filter, for some rows at a time."""

    def crew(self, sources: Sequence[LineBuffer], target: LineBuffer, threads: int) -> Crew:
        """Return workers."""
        pixels, valid = pixels_and_mask(sources[0].slot)
        picture = replace(sources[0], slot=pixels)
        mapped = self.stage.mapped(picture)
        epilogue = self.epilogue(mapped, target)
        return Workers(lambda: _Worker(mapped, epilogue, picture, valid), self.scratch_bytes)


class _Worker:
    """Filters blocks of rows, in its own memory."""

    def __init__(self, mapped: MappedStage, epilogue: Epilogue, picture: LineBuffer, valid: Slot | None) -> None:
        operator = mapped.plan.stage.operator
        assert isinstance(operator, Guided) and not isinstance(operator.guide, str)
        self._mapped, self._epilogue, self._picture, self._radius = mapped, epilogue, picture, operator.radius
        self._valid, self._fills = valid, operator.fills
        radius, cols_apart = operator.radius, mapped.plan.cols.dilation
        #: The picture's row at each place of the axis, padded for one mean.
        self._rows = _padded(mapped.plan.rows, mapped.plan.padding_modes[0], radius)
        cols, width = _padded(mapped.plan.cols, mapped.plan.padding_modes[1], radius), mapped.plan.cols.input
        first = np.arange(cols.size) % cols_apart
        order = np.argsort(first, kind="stable")
        order = order[first[order] < width]  # no window begins beyond the picture
        window = np.empty(width, np.int64)
        window[order[order < width]] = np.flatnonzero(order < width)
        run = (radius, width) if cols_apart == 1 else (0, 0)
        self._columns = Columns(cols[order], *run, cols[:0])
        #: Number of the window of each output.
        self._outputs = np.ascontiguousarray(window[:: mapped.plan.cols.stride])
        self._scratch, source = Scratch(np.float64), mapped.source
        self._lines = Lines(radius, window[cols[order]], self._outputs, source.channels)
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

    def _placed(self, outputs: range, step: int) -> tuple[Indices, Indices, Where]:
        """Return the rows to load for some outputs, and the places in them of all windows' centres and of the lines."""
        radius, spacing = self._radius, outputs.step
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
        centres = np.ascontiguousarray(loaded_rows[outputs.start : outputs.stop : spacing])
        return loaded, loaded_rows[needed], Where(ranges, starts, line_rows[needed], centres, step)

    def _filtered(self, outputs: range, step: int) -> Real:
        """Return (rows, cols, channels): results at every ``step``-th of some rows that are a dilation apart."""
        source, (loaded, centres, where) = self._mapped.source, self._placed(outputs, step)
        picture = self._planes(source, "picture", self._picture.index(loaded), loaded)
        guide = picture if self._guide is None else self._planes(self._guide, "guide", loaded, loaded)
        colours = source.channels - source.alpha
        planes = picture if self._fills else picture[:colours]
        known, ignored = guide, self._ignored(self._picture.index(loaded))
        if ignored is not None:
            _put(planes, ignored, self._white / 2)
            if self._guide is not None:
                guide = known.copy()
                _put(guide, ignored, self._guide_white / 2)
        marks = self._invalid(planes, guide, centres)
        shares = self._lines.all_valid if ignored is None else self._lines.shares(~ignored, centres)
        shape = len(outputs[::step]), self._outputs.size, source.channels
        values = self._scratch.get("values", math.prod(shape))[: math.prod(shape)]
        results: Real = values.reshape(shape)
        if self._fills:
            results[..., colours:] = np.nan  # alpha, where it is not filled
        guides = None if self._guide is None else Guides(guide, known, self._guide_white / 2)
        filled = self._scratch.get("filled", results.size)[: results.size] if self._fills else None
        for colour in range(colours):
            means = filled[colour:] if filled is not None and ignored is not None and guides is None else None
            lines = picture[colour], self._white / 2, guides, self._epsilon, where, shares
            self._lines.write(*lines, values[colour:], means)
        if ignored is not None:
            self._fill(results, filled, planes, known, ignored, where, shares)
        for channel, invalid in enumerate(marks):
            if invalid is not None:
                results[..., channel][invalid[::step, self._outputs]] = np.nan
        return results

    def _ignored(self, index: Indices) -> Marks | None:
        """Return the ignored pixels of some rows of the buffer, as loaded: (rows, columns); None if all are valid."""
        if self._valid is None:
            return None
        ignored: Marks = np.take(self._valid.array[index], self._columns.indices, axis=1) == 0
        return ignored if ignored.any() else None

    def _fill(
        self, results: Real, filled: Real | None, planes: Real, guide: Real, ignored: Marks, where: Where,
        shares: Shares,
    ) -> None:  # fmt: skip
        """Write the results of ignored pixels: 0, or, where the guide is unknown, means of their windows' means.

        A line has the mean of its window at the mean of the window's guide. Alpha has no guide. Without a guide,
        ``filled`` has the means of colours.
        """
        places = np.ix_(where.centres[:: where.step], self._radius + self._outputs)
        ignored = ignored[places]
        if filled is None:
            np.copyto(results, 0, where=ignored[..., np.newaxis])
            return
        unknown = ignored
        if self._guide is not None:
            known = [np.abs(plane[places]) <= _LARGEST_SHARE * self._guide_white for plane in guide]
            unknown = ignored & ~np.logical_and.reduce(known)
        for channel, plane in enumerate(planes):
            is_alpha = channel == results.shape[2] - self._mapped.source.alpha
            missing = ignored if is_alpha else unknown
            if missing.any():
                if is_alpha or self._guide is not None:
                    self._lines.write(plane, self._white / 2, None, math.inf, where, shares, filled[channel:])
                np.copyto(results[..., channel], filled.reshape(results.shape)[..., channel], where=missing)

    def _planes(self, source: Source, name: str, index: Indices, rows: Indices) -> Real:
        """Load padded rows as a plane for each channel: (channels, rows, pitch)."""
        tile, pitch = source.load(self._scratch, f"{name} tile", index, self._columns)
        channels, plane = source.channels, rows.size * self._lines.pitch
        planes = self._scratch.get(f"{name} planes", channels * plane + self._lines.behind)
        size = rows.size, self._columns.count, channels, channels
        SPLIT.variant(A=np.float64)(tile, pitch, *size, 0.0, 0.0, planes, plane, self._lines.pitch)
        result: Real = planes[: channels * plane].reshape(channels, rows.size, self._lines.pitch)
        result[..., self._columns.count :] = 0
        return result

    def _invalid(self, picture: Real, guide: Real, centres: Indices) -> list[Marks | None]:
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

    def _invalid_in(self, plane: Real, in_guide: Marks, centres: Indices) -> Marks | None:
        bad = in_guide | ~(np.abs(plane) <= _LARGEST_SHARE * self._white)
        if not bad.any():
            return None
        plane[bad] = 0
        # A line is invalid if a pixel of its window is; a pixel is invalid if one of its lines is.
        return self._lines.shares(bad[:, : self._columns.count], centres).of_lines[:, : self._lines.width] > 0

    def _store(self, rows: Rows, values: Real) -> int:
        """Store results; colours are divided by the alpha of their pixel, and alpha does not change."""
        source, alpha = self._mapped.source, None
        if source.alpha:
            alpha = central_alpha(self._mapped, *rows)
            if self._fills:
                filled = values[..., -1] * (source.full / self._white)
                alpha = np.where(np.isnan(filled), alpha, filled)
            if not source.premultiplied:
                opacity = alpha[..., np.newaxis]
                values[...] = np.divide(values, opacity, out=np.zeros_like(values), where=opacity > 0)
        return self._epilogue.store_values(Region(*rows, 0, values.shape[1]), values, alpha)


def _put(planes: Real, where: Marks, value: float) -> None:
    """Write a value into some pixels of all planes."""
    valid = np.ones(planes.shape[1:], bool)
    np.logical_not(where, out=valid[:, : where.shape[1]])
    for plane in planes:
        put(plane, valid, value)


def _padded(axis: AxisPlan, mode: str, radius: int) -> Indices:
    """Return the picture's row or column at each place of an axis, padded for one mean."""
    reach = radius * axis.dilation
    return index_map(axis.input, reach, axis.input + 2 * reach, mode)


def _ranges(rows: Indices, spacing: int) -> Iterator[range]:
    """Yield rising rows as ranges of rows that are ``spacing`` apart."""
    rows = rows[np.argsort(rows % spacing, kind="stable")]
    for part in np.split(rows, np.flatnonzero(np.diff(rows) != spacing) + 1):
        yield range(int(part[0]), int(part[-1]) + 1, spacing)
