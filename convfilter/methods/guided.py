"""The guided filter: each window fits a linear map from the guide to the picture, and all maps are averaged.

Window means are differences of prefix sums along columns and rows, in double precision: the cost does not depend on
the radius.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from convfilter.engine.borders import Indices, index_map
from convfilter.engine.buffer import LineBuffer
from convfilter.engine.epilogue import Epilogue
from convfilter.engine.node import Crew, Node, Rows, StageNode, StageRun, Workers
from convfilter.engine.work import Region, Work
from convfilter.filters.stage import Guided
from convfilter.methods.layer import central_alpha
from convfilter.planning import LUMINANCE, LUMINANCE_DIVISOR

Real = npt.NDArray[np.float64]


def nodes(stage: StageRun) -> list[Node]:
    """Return the node of a stage; transparent pixels count as black."""
    return [_Guided(stage)]


class _Guided(StageNode):
    """The guided filter, a block of rows at a time."""

    def crew(self, sources: Sequence[LineBuffer], target: LineBuffer, threads: int) -> Crew:
        """Return workers."""
        work = self.work(sources[0])
        epilogue = self.epilogue(work, target)
        return Workers(lambda: _Worker(work, epilogue, sources[0]), self.scratch_bytes)


class _Worker:
    """Filters a block of rows."""

    def __init__(self, work: Work, epilogue: Epilogue, picture: LineBuffer) -> None:
        operator = work.plan.stage.operator
        assert isinstance(operator, Guided)
        self._work, self._epilogue, self._picture, self._operator = work, epilogue, picture, operator
        height, width, radius = work.plan.rows.input, work.plan.cols.input, operator.radius
        mode = work.plan.stage.padding_mode
        #: The picture's row and column at each place of an axis padded by the radius.
        self._rows = index_map(height, radius, height + 2 * radius, mode)
        self._cols = index_map(width, radius, width + 2 * radius, mode)

    def __call__(self, rows: Rows) -> int:
        """Store output rows ``top`` to ``bottom - 1``; returns how many samples were clipped."""
        top, bottom = rows
        source, radius = self._work.source, self._operator.radius
        seen = self._rows[top : bottom + 2 * radius]
        slopes: dict[int, int] = {}
        lines = []
        for first, last in _runs(np.unique(seen)):
            slopes |= {row: len(slopes) + number for number, row in enumerate(range(first, last))}
            lines.append(self._lines(first, last))
        slope, shift = (np.concatenate(each) for each in zip(*lines, strict=True))
        places = np.array([slopes[row] for row in seen.tolist()])
        slope, shift = (self._means(each[places]) for each in (slope, shift))
        _, guide = self._samples(np.arange(top, bottom))
        values = slope * guide + shift
        alpha = None
        if source.alpha:
            central = central_alpha(self._work, top, bottom)
            opaque = central[..., np.newaxis]
            if not source.premultiplied:
                values = np.divide(values * source.full, opaque, out=np.zeros_like(values), where=opaque > 0)
            values = np.concatenate([values * self._epilogue.keep + self._epilogue.shift * opaque, 0 * opaque], axis=2)
            alpha = np.ascontiguousarray(central).reshape(-1)
        if source.gray:
            values *= LUMINANCE_DIVISOR
        region = Region(top, bottom, 0, values.shape[1])
        pitch = values.shape[1] * values.shape[2]
        calls = self._epilogue.store(region, np.ascontiguousarray(values).reshape(-1), pitch, alpha)
        return sum(call() for call in calls)

    def _lines(self, first: int, last: int) -> tuple[Real, Real]:
        """Return slope and offset of the linear maps of windows centred on some rows."""
        full = self._work.source.full
        picture, guide = self._samples(self._rows[first : last + 2 * self._operator.radius])
        # Relative to mid-range, squares lose fewer digits.
        middle = full / 2
        picture, guide = picture - middle, guide - middle
        mean, mean_guide = self._means(picture), self._means(guide)
        square = self._means(guide * guide) - mean_guide * mean_guide
        product = square if self._operator.guide is None else self._means(guide * picture) - mean_guide * mean
        slope = product / (np.maximum(square, 0) + self._operator.epsilon * full * full)
        return slope, mean - slope * (mean_guide + middle) + middle

    def _samples(self, rows: Indices) -> tuple[Real, Real]:
        """Return rows of the picture and of the guide, as real numbers of one scale."""
        source = self._work.source
        image = source.image[self._picture.index(rows)]
        colours: Real = (image[..., :-1] if source.alpha else image).astype(np.float64)
        if source.gray:
            colours = (colours @ np.array(LUMINANCE) / LUMINANCE_DIVISOR)[..., np.newaxis]
        if source.multiplies:
            colours = colours * (image[..., -1:] / source.full)
        guide = self._operator.guide
        return colours, colours if guide is None else guide[rows].astype(np.float64) * source.full

    def _means(self, padded: Real) -> Real:
        """Return window means of rows that are padded; columns are padded here."""
        side = 2 * self._operator.radius + 1
        down = _sums(padded, side, axis=0)
        along = _sums(down[:, self._cols], side, axis=1)
        along /= side * side
        return along


def _sums(samples: Real, side: int, axis: int) -> Real:
    """Return the sums of ``side`` neighbours along an axis."""
    total = np.cumsum(samples, axis=axis)
    after = np.take(total, range(side - 1, total.shape[axis]), axis=axis)
    if axis == 0:
        after[1:] -= total[:-side]
    else:
        after[:, 1:] -= total[:, :-side]
    return after


def _runs(rows: Indices) -> Iterator[tuple[int, int]]:
    """Yield the first and last-plus-one of each run of consecutive rows."""
    ends: Any = np.flatnonzero(np.diff(rows) > 1)
    starts = rows[np.append(0, ends + 1)]
    stops = rows[np.append(ends, rows.size - 1)] + 1
    yield from zip(starts.tolist(), stops.tolist(), strict=True)
