"""Differences of extremes: top hats, black hats and gradients, and the openings and closings of the hats."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from convfilter.engine.borders import Indices
from convfilter.engine.buffer import LineBuffer, Samples, Scratch
from convfilter.engine.epilogue import Epilogue
from convfilter.engine.layout import Columns
from convfilter.engine.mapped_stage import MappedStage, Region
from convfilter.engine.node import Crew, Rows, StageNode, StageSetup
from convfilter.engine.workers import Workers
from convfilter.filters.operators import Morphology
from convfilter.methods.straight import central_alpha
from convfilter.planning import LUMINANCE_DIVISOR, plan_stack
from convfilter.planning.composites import opening
from convfilter.record import replace
from convfilter.sample_types import real_of


def erosion_and_dilation(stage: StageSetup) -> Iterator[StageSetup]:
    """Yield the erosion and dilation of an opening, or the dilation and erosion of a closing.

    Their samples are not scaled: only the difference is scaled, not the opened or closed picture.
    """
    plan, source = stage.plan, stage.source
    unscaled = replace(plan.stage, scale=1.0, offset=0.0, map=None, ceil=False)
    stored = real_of(source.dtype, stage.dtype) if source.alpha or source.gray else source.dtype
    padding = (plan.rows.before, plan.rows.after, plan.cols.before, plan.cols.after)
    shape = plan.rows.input, plan.cols.input
    for number, own in enumerate(opening(unscaled, padding)):
        gray = source.gray and number == 0
        before = source.dtype if number == 0 else stored
        plan_of_one = plan_stack(
            [own], (*shape, plan.channels + 2 * gray), before, out_dtype=stored, alpha=source.alpha, gray=gray,
            white=source.full, out_white=source.full, premultiplied=source.premultiplied,
        )  # fmt: skip
        (planned,) = plan_of_one.stages
        yield StageSetup.between_buffers(planned, before, stored, source.full, gray=gray)
        shape = (planned.rows.output, planned.cols.output)


class Residue(StageNode):
    """The difference of the picture from its opening or closing."""

    def demand(self, top: int, bottom: int, number: int = 0) -> Indices:
        """Return the same rows of the opened picture, and the original's rows at their centres."""
        if number == 0:
            return np.arange(top, bottom)
        return self.central_rows(top, bottom)

    def crew(self, sources: Sequence[LineBuffer], target: LineBuffer, threads: int) -> Crew:
        """Return workers."""
        smoothed, picture = sources
        mapped = self.stage.mapped(picture)
        epilogue = self.epilogue(mapped, target)
        operator = self.plan.stage.operator
        assert isinstance(operator, Morphology)
        is_tophat = operator.kind == "tophat"
        places = self._centre_places(mapped) if self._stores_integers(mapped, smoothed, target) else None
        centres = mapped.centres()

        def subtract(rows: Rows) -> int:
            original, opened = picture.slot.array[centres[slice(*rows)]], smoothed.rows(*rows)
            if places is not None and places.size:
                original = original[:, places]
            high, low = (original, opened) if is_tophat else (opened, original)
            return store_whole(high, low, target.rows(*rows), magnitude=mapped.plan.stage.map == "abs")

        def make() -> Any:
            if places is not None:
                return subtract
            scratch = Scratch(np.float64)

            def compute(rows: Rows) -> int:
                region = Region(*rows, 0, self.plan.cols.output)
                original, opened = _centre(mapped, scratch, region), smoothed.rows(*rows).astype(np.float64)
                if mapped.source.gray:
                    opened *= LUMINANCE_DIVISOR
                high, low = (original, opened) if is_tophat else (opened, original)
                return store_difference(mapped, epilogue, region, high, low, straight=not mapped.source.premultiplied)

            return compute

        return Workers(make, self.scratch_bytes)

    def _stores_integers(self, mapped: MappedStage, smoothed: LineBuffer, target: LineBuffer) -> bool:
        """Whether both pictures and their difference are integers of one type, without alpha, luminance and scale."""
        is_of_one_type = smoothed.dtype == target.dtype and target.dtype.kind == "u"
        has_samples = bool((mapped.centres() >= 0).all()) and bool((_centre_columns(mapped) >= 0).all())
        return is_of_one_type and mapped.stores_samples(target.dtype) and self.stage.ranges is None and has_samples

    @staticmethod
    def _centre_places(mapped: MappedStage) -> Indices:
        """Return the columns at the centres of outputs; none if these are all columns in order."""
        columns, count = _centre_columns(mapped), mapped.plan.cols.input
        is_whole = columns.size == count and bool((columns == np.arange(count)).all())
        return columns[:0] if is_whole else columns


def store_whole(high: Samples, low: Samples, out: Samples, *, magnitude: bool) -> int:
    """Store the difference of integers: 0, or its magnitude, where it is negative; return the number of zeros."""
    np.maximum(high, low, out=out)
    if magnitude:
        out -= np.minimum(high, low)
        return 0
    clipped = int(np.count_nonzero(out != high))
    out -= low
    return clipped


def _centre_columns(mapped: MappedStage) -> Indices:
    cols = mapped.plan.cols
    columns: Indices = mapped.col_index[np.arange(cols.output) * cols.stride + cols.centre]
    return columns


def _centre(mapped: MappedStage, scratch: Scratch, region: Region) -> Samples:
    """Return the picture's stored samples at the centres of outputs."""
    cols, places = mapped.plan.cols, _centre_columns(mapped)
    columns = Columns(np.ascontiguousarray(places), 0, 0, places[:0])
    source = replace(mapped.source, alpha=False)
    rows = mapped.centres()[region.top : region.bottom]
    tile, pitch = source.load(scratch, "centre", rows, columns)
    centre: Samples = tile[: rows.size * pitch].reshape(rows.size, cols.output, -1).copy()
    return centre


def store_difference(
    mapped: MappedStage, epilogue: Epilogue, region: Region, high: Samples, low: Samples, *, straight: bool = False
) -> int:
    """Store the difference of two extremes; alpha is that of the centre pixels.

    The difference is that of straight colours: premultiplied ones are divided by alpha first, unless they are
    ``straight`` already. Where pictures are stored premultiplied, the result is multiplied by the alpha of the centre.
    """
    source = mapped.source
    alpha = None
    if source.alpha:
        if not straight:
            scale = source.full * (LUMINANCE_DIVISOR if source.gray else 1)
            for values in (high, low):
                opacity = values[..., -1:].copy()
                values[...] = np.divide(values * scale, opacity, out=np.zeros_like(values), where=opacity > 0)
        alpha = central_alpha(mapped, region.top, region.bottom)[:, region.left : region.right]
    with np.errstate(invalid="ignore"):
        values = high - low
    if alpha is not None and source.premultiplied:
        values *= alpha[..., np.newaxis] / source.full
    return epilogue.store_values(region, values, alpha)
