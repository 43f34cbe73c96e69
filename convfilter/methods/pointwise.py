"""Point functions: a function of each colour sample; alpha does not change.

Integer samples have few values, so a lookup table holds the function's results. For real samples and luminance the
function is computed in float64.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from convfilter.engine.borders import Indices
from convfilter.engine.buffer import LineBuffer, Samples, Scratch
from convfilter.engine.epilogue import Epilogue
from convfilter.engine.layout import Columns
from convfilter.engine.load import Source
from convfilter.engine.mapped_stage import MappedStage, Region
from convfilter.engine.node import Crew, Node, StageNode, StageSetup
from convfilter.engine.program import Call, Moving, Slot
from convfilter.engine.store import Store
from convfilter.engine.strips import Strip, step_programs, strips_of, whole_rows
from convfilter.filters.operators import ACTIVATIONS, Point
from convfilter.native.loop import Loop
from convfilter.planning import LUMINANCE_DIVISOR
from convfilter.planning.ring import STEP_ROWS
from convfilter.record import replace
from convfilter.sample_types import full_scale, is_integer, is_wide

APPLY_FUNCTION = Loop("points", "apply_function", "A* i8 i8 i8 i8 i8 i8 A A A A A*")
APPLY_PREMULTIPLIED = Loop("points", "apply_premultiplied", "A* i8 i8 i8 i8 i8 A A A A A A A*")
ACTIVATE = Loop("activations", "activate", "f8* i8 i8 i8 i8 i8 i8 f8 f8 f8 f8 f8 f8*")
ACTIVATE_PREMULTIPLIED = Loop("activations", "activate_premultiplied", "f8* i8 i8 i8 i8 i8 f8 f8 f8 f8 f8 f8 f8*")
LOOK_UP = Loop("points", "look_up", "S* i8 i8* i8 i8 i8 i8 T* T* i8* T* i8 i8")

#: Least samples for which a table of all 16-bit values pays.
_WORTH_A_TABLE = 2**17
#: Samples of a row of a strip: four rows of float64 fit a core's L1 cache.
_STRIP_SAMPLES = 1536


def nodes(stage: StageSetup) -> list[Node]:
    """Return the node of a stage."""
    return [_Pointwise(stage)]


class _Pointwise(StageNode):
    """A node that applies a function to each sample."""

    def crew(self, sources: Sequence[LineBuffer], target: LineBuffer, threads: int) -> Crew:
        """Return strips of columns."""
        mapped = self.stage.mapped(sources[0])
        source = mapped.source
        samples = self.rows * self.plan.cols.input * source.channels
        table_pays = source.dtype == np.uint8 or samples > _WORTH_A_TABLE
        narrow = is_integer(source.dtype) and not is_wide(source.dtype) and not is_wide(target.dtype)
        depends_on_value = narrow and not source.gray and not source.premultiplied
        if depends_on_value and table_pays and self.stage.ranges is None:
            return self._lookup_strips(mapped, target, threads)
        epilogue = self.epilogue(mapped, target)
        cols = max(1, _STRIP_SAMPLES // source.channels)
        return strips_of(
            self.plan.cols.output,
            cols,
            lambda span, scratch, persistent, persists: self._computing_strip(mapped, epilogue, target, scratch, *span),
            self._precision(mapped).__name__,
            threads=threads,
        )

    def _lookup_strips(self, mapped: MappedStage, target: LineBuffer, threads: int) -> Crew:
        """Return strips that use a lookup table."""
        source, stage = mapped.source, self.stage
        levels = np.arange(int(full_scale(source.dtype)) + 1, dtype=np.float64)
        table, counts = self._stored(mapped, levels)
        opacities = levels * (stage.full_out / source.full)
        if target.dtype.kind == "u":
            np.rint(np.minimum(opacities, stage.full_out), out=opacities)
        opacities = opacities.astype(target.dtype)
        cols, channels = source.slot.shape[1:]
        rows = _in_steps(mapped.row_index)
        store = Store(mapped, stage.tone_of_sums, target, stage.full_out)

        def calls(count: int) -> list[Call]:
            where = source.slot, cols * channels, Moving(rows, 0, STEP_ROWS), count
            kinds = cols, channels, channels - source.alpha, table, opacities, counts
            place = store.place(Region(0, count, 0, cols), STEP_ROWS)
            return [Call(LOOK_UP.variant(S=source.dtype, T=target.dtype), (*where, *kinds, *place))]

        return whole_rows(lambda: Strip(target, step_programs(self.rows, calls), persists=False), threads)

    def _stored(self, mapped: MappedStage, values: npt.NDArray[np.float64]) -> tuple[Samples, Indices]:
        """Return the stored results of real values, and 1 for each that is clipped, else 0."""
        opaque = replace(mapped, source=replace(mapped.source, alpha=False))
        table, tile, region = np.empty((values.size, 1, 1), self.dtype), values.copy(), Region(0, values.size, 0, 1)
        tone, full_out = self.stage.tone_of_sums, self.stage.full_out
        self._function(opaque, tile, region, 1, np.empty(1), 1.0)()
        clipped = np.zeros(values.size, np.int64)
        if sum(call() for call in Store(opaque, tone, LineBuffer(Slot(table)), full_out).store(region, tile, 1, None)):
            clipped[tone.clips(tile, full_out)] = 1
        return table.reshape(-1), clipped

    def _computing_strip(
        self, mapped: MappedStage, epilogue: Epilogue, target: LineBuffer, scratch: Scratch, left: int, right: int
    ) -> Strip:
        """Return the strip that computes columns ``left`` to ``right - 1``."""
        source = replace(mapped.source, alpha=False)  # straight colours
        columns = Columns(np.arange(left, right), 0, right - left, np.empty(0, np.int64))
        pitch = (right - left) * source.channels
        rows = _in_steps(mapped.row_index)
        tile = scratch.get("tile", STEP_ROWS * pitch)
        alpha = scratch.get("alpha", STEP_ROWS * (right - left) if mapped.source.alpha else 1)

        def calls(count: int) -> list[Call]:
            region = Region(0, count, left, right)
            load = source.load_calls(scratch, Moving(rows, 0, STEP_ROWS), count, columns, tile)
            scale = LUMINANCE_DIVISOR if source.gray else 1.0
            if mapped.source.alpha and source.premultiplied:
                function = self._premultiplied(epilogue, tile, region, source, alpha, scale)
            else:
                function = self._function(mapped, tile, region, source.channels, alpha, scale)
            store = epilogue.store(region, tile, pitch, alpha if mapped.source.alpha else None, STEP_ROWS)
            return [*load, function, *store]

        return Strip(target, step_programs(self.rows, calls))

    def _precision(self, mapped: MappedStage) -> type[np.floating]:
        """Return the type of computed values: float32 if nothing but the store rounds."""
        operator, tone = self.plan.stage.operator, self.stage.tone_of_sums
        assert isinstance(operator, Point)
        rounds = operator.kind not in ("relu", "abs") or tone.scale != 1 or tone.offset != 0 or mapped.source.gray
        return np.float64 if rounds or is_wide(mapped.source.dtype) or is_wide(self.dtype) else np.float32

    def _premultiplied(
        self, epilogue: Epilogue, tile: Samples, region: Region, source: Source, alpha: Samples, divisor: float
    ) -> Call:
        """Return the call that applies the function to premultiplied colours, and moves their alpha."""
        operator = self.plan.stage.operator
        assert isinstance(operator, Point)
        rows, cols = region.bottom - region.top, region.right - region.left
        further = divisor, source.full, epilogue.colour_factor, epilogue.alpha_share
        where = tile, cols * source.channels, rows, cols, source.channels
        if operator.kind in ACTIVATIONS:
            return Call(ACTIVATE_PREMULTIPLIED.variant(), (*where, *activation(operator), *further, alpha))
        numbers = _numbers(operator, source.full, self.stage.input_range)
        return Call(APPLY_PREMULTIPLIED.variant(A=tile.dtype), (*where, *numbers, *further, alpha))

    def _function(
        self, mapped: MappedStage, tile: Samples, region: Region, channels: int, alpha: Samples, divisor: float
    ) -> Call:
        """Return the call that applies the function to a compact tile."""
        operator, full = self.plan.stage.operator, mapped.source.full
        assert isinstance(operator, Point)
        neutral = self.stage.tone_of_sums.neutral(self.stage.full_out)
        rows, cols = region.bottom - region.top, region.right - region.left
        colours = channels - mapped.source.alpha
        where = tile, cols * channels, rows, cols, channels, colours
        if operator.kind in ACTIVATIONS:
            further = divisor, full, neutral, alpha
            return Call(ACTIVATE.variant(), (*where, *activation(operator), *further))
        numbers = _numbers(operator, full, self.stage.input_range)
        return Call(APPLY_FUNCTION.variant(A=tile.dtype), (*where, *numbers, divisor, neutral, alpha))


def activation(point: Point) -> tuple[int, float, float]:
    """Return an activation as arguments of ``activate``."""
    return ACTIVATIONS.index(point.kind), point.low, point.high


def _numbers(point: Point, full: float, input_range: tuple[float, float]) -> tuple[int, float, float]:
    """Return a function as arguments of ``apply_function``, for samples whose white is ``full``."""
    match point.kind:
        case "relu":
            return 0, 0.0, 0.0
        case "abs":
            return 1, 0.0, 0.0
        case "bias":
            return 2, point.low * full, 0.0
        case "scale":
            return 3, point.low, 0.0
        case "clip":
            return 4, point.low * full, point.high * full
        case "normalize":
            low, high = input_range
            return 5, low, full / (high - low) if high > low else 0.0
        case "threshold":
            return 6, point.low * full, full
        case _:  # invert
            return 7, 0.0, full


def _in_steps(rows: Indices) -> Indices:
    """Pad rows to whole steps by repeating the last."""
    return np.append(rows, np.repeat(rows[-1:], -rows.size % STEP_ROWS))
