"""The bilateral filter: means of near pixels of similar colour, a vector of outputs at a time."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from convfilter.engine.buffer import LineBuffer, Samples, Scratch
from convfilter.engine.epilogue import Epilogue
from convfilter.engine.layout import columns_for
from convfilter.engine.mapped_stage import MappedStage, Region
from convfilter.engine.node import Crew, Node, Rows, StageNode, StageSetup
from convfilter.engine.workers import Workers
from convfilter.filters.operators import Bilateral
from convfilter.methods.straight import central_alpha
from convfilter.native.loop import Loop
from convfilter.planning import LUMINANCE_DIVISOR
from convfilter.record import replace

SPLIT = Loop("bilateral", "split", "A* i8 i8 i8 i8 i8 A A A* i8 i8")
_AVERAGE = "A* i8 i8 i8 i8 i8 i8 i8* A* i8 i8 A i8 i8 A A A* A* A* i8 A* i8 i8"
AVERAGE = Loop("bilateral", "average", _AVERAGE)
AVERAGE_1 = Loop("bilateral", "average_1", _AVERAGE)
AVERAGE_3 = Loop("bilateral", "average_3", _AVERAGE)

#: Samples beyond the last that loops may read and discard: a vector of float32.
_TAIL = 16


def nodes(stage: StageSetup) -> list[Node]:
    """Return the node of a stage."""
    return [_Bilateral(stage)]


class _Bilateral(StageNode):
    """The bilateral filter, for some rows at a time."""

    def crew(self, sources: Sequence[LineBuffer], target: LineBuffer, threads: int) -> Crew:
        """Return workers."""
        mapped = self.stage.mapped(sources[0])
        epilogue = self.epilogue(mapped, target)
        return Workers(lambda: _Worker(mapped, epilogue), self.scratch_bytes)


class _Worker:
    """Filters blocks of rows, in its own memory."""

    def __init__(self, mapped: MappedStage, epilogue: Epilogue) -> None:
        operator, source = mapped.plan.stage.operator, mapped.source
        assert isinstance(operator, Bilateral)
        self._mapped, self._epilogue = mapped, epilogue
        self._scratch = Scratch(mapped.plan.precision)
        self._columns = columns_for(mapped.plan.cols, mapped.col_index, 0, mapped.plan.cols.output)
        self._scale = LUMINANCE_DIVISOR if source.gray else 1.0
        self._range_factor = -math.log2(math.e) / (2 * (operator.sigma_range * source.full * self._scale) ** 2)
        self._squared = int(operator.distance == "l2")
        down, along = np.nonzero(operator.kernel.matrix)
        centre = operator.reach
        squares = (down - centre) ** 2 + (along - centre) ** 2
        self._space_exponents = (-math.log2(math.e) / (2 * operator.sigma_space**2) * squares).astype(
            self._scratch.dtype
        )
        self._down, self._along, self._centre = down, self._columns.tap_offset[along], centre

    def __call__(self, rows: Rows) -> int:
        """Store output rows ``top`` to ``bottom - 1``; return the number of clipped samples."""
        mapped, source, real = self._mapped, self._mapped.source, self._scratch.dtype
        (top, bottom), axis, cols = rows, mapped.plan.rows, mapped.plan.cols.output
        index = mapped.row_index[top * axis.stride : (bottom - 1) * axis.stride + axis.span + 1]
        channels, width = source.channels, self._columns.count
        colours = channels - source.alpha
        tile, _ = replace(source, alpha=False).load(self._scratch, "tile", index, self._columns)
        plane = index.size * width
        planes = self._scratch.get("planes", plane * (colours + 2 * source.alpha) + _TAIL)
        divisor = source.full * self._scale if source.premultiplied else 0.0
        split = tile, width * channels, index.size, width, channels, colours, divisor, self._range_factor, planes
        SPLIT.variant(A=real)(*split, plane, width)
        pitch = cols * channels
        values = self._scratch.get("values", (bottom - top) * pitch)
        line = -(-cols // _TAIL) * _TAIL
        differences, sums = (self._scratch.get(name, colours * _TAIL) for name in ("differences", "sums"))
        row_offset = axis.dilation * width
        centre = self._centre * row_offset + int(self._columns.tap_offset[self._centre])
        limits = np.finfo(real)
        {1: AVERAGE_1, 3: AVERAGE_3}.get(colours, AVERAGE).variant(A=real)(
            planes, plane, width, axis.stride, bottom - top, cols, colours, self._down * row_offset + self._along,
            self._space_exponents, self._space_exponents.size, centre, self._range_factor, self._squared,
            int(source.alpha), float(limits.tiny), float(limits.max), differences, sums,
            self._scratch.get("lines", colours * line), line,
            values, pitch, channels,
        )  # fmt: skip
        return self._store(rows, values[: (bottom - top) * pitch].reshape(bottom - top, cols, channels))

    def _store(self, rows: Rows, values: Samples) -> int:
        """Store means; alpha is that of the centre pixel."""
        source, alpha = self._mapped.source, None
        if source.alpha:
            alpha = central_alpha(self._mapped, *rows).astype(values.dtype)
            if source.premultiplied:
                values *= 1 / source.full * alpha[..., np.newaxis]
        return self._epilogue.store_values(Region(*rows, 0, values.shape[1]), values, alpha)
