"""Kernels across channels: windows as rows of a matrix (im2col), multiplied with the weights by BLAS."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from convfilter.engine.borders import Indices
from convfilter.engine.buffer import LineBuffer, Samples, Scratch
from convfilter.engine.epilogue import Epilogue
from convfilter.engine.mapped_stage import MappedStage, Region
from convfilter.engine.node import Crew, Node, Rows, StageNode, StageSetup
from convfilter.engine.workers import Workers
from convfilter.filters.network_operators import Layer
from convfilter.filters.operators import ACTIVATIONS
from convfilter.filters.point_rows import default_numbers
from convfilter.methods.im2col import AxisWindows, load_padded, loaded_scale, weight_matrices, window_matrix
from convfilter.methods.pointwise import ACTIVATE
from convfilter.methods.straight import finish, nearest_samples
from convfilter.methods.transposed import TransposedSums
from convfilter.planning import StagePlan


def nodes(stage: StageSetup) -> list[Node]:
    """Return the node of a stage."""
    return [_Layer(stage)]


class _Layer(StageNode):
    """A layer; transparent pixels count as black.

    The result is straight colours on the samples' own scale. Alpha is that of the centre pixel.
    """

    def __init__(self, stage: StageSetup) -> None:
        super().__init__(stage)
        rows = self.plan.rows
        if rows.inserted:
            self.jump, self.overlap = rows.stride / rows.step, rows.span // rows.step + 1

    def demand(self, top: int, bottom: int, number: int = 0) -> Indices:
        """Return the rows that some rows need, and the centre rows for their alpha."""
        needed = super().demand(top, bottom, number)
        if not (self.plan.alpha and self._is_spaced):
            return needed
        return np.concatenate([needed, nearest_samples(self.plan.rows, top, bottom)])

    @property
    def _is_spaced(self) -> bool:
        return self.plan.rows.inserted > 0 or self.plan.cols.inserted > 0

    def crew(self, sources: Sequence[LineBuffer], target: LineBuffer, threads: int) -> Crew:
        """Return workers."""
        mapped = self.stage.mapped(sources[0])
        epilogue = self.epilogue(mapped, target)
        return Workers(lambda: _Worker(mapped, epilogue, target, self.stage).compute, self.scratch_bytes)


class _Worker:
    """Computes blocks of rows of a layer.

    Integer samples are summed in stored units, with integer numerators where weights are fractions, so sums are exact.
    A single division at the end removes the weights' denominator and the scales of alpha and luminance.
    """

    def __init__(self, mapped: MappedStage, epilogue: Epilogue, target: LineBuffer, stage: StageSetup) -> None:
        operator = mapped.plan.stage.operator
        assert isinstance(operator, Layer)
        source = mapped.source
        numerators, divisor = operator.fractions if source.is_finite else (operator.weight, np.ones(len(operator.bias)))
        self._mapped, self._operator, self._epilogue, self._target = mapped, operator, epilogue, target
        numerators = numerators.astype(mapped.plan.precision)
        self._matrices = [] if operator.transposed else weight_matrices(numerators, operator.groups)
        self._phases = TransposedSums(numerators, operator)
        self._divisor = divisor * (loaded_scale(source) if source.is_finite else 1.0)
        self._shift = operator.bias * (source.full * self._divisor)
        unscaled = _is_unmapped(mapped.plan) and source.full == stage.full_out and not source.alpha
        unconverted = target.dtype == np.float32 and unscaled and stage.ranges is None
        self._in_single = unconverted and mapped.plan.precision == "float32" and bool(np.all(self._divisor == 1))
        self._scratch = Scratch(np.float64)

    def compute(self, rows: Rows) -> int:
        """Store output rows ``top`` to ``bottom - 1``; return the number of clipped samples."""
        top, bottom = rows
        sums, full = self._sums(top, bottom), self._mapped.source.full
        if self._in_single:
            sums += self._shift.astype(np.float32)
            self._target.rows(top, bottom)[:] = _activated(self._operator, sums, full)
            return 0
        values = sums.astype(np.float64)
        values += self._shift
        values /= self._divisor
        values = _activated(self._operator, values, full)
        return finish(self._mapped, self._epilogue, self._scratch, Region(top, bottom, 0, values.shape[1]), values)

    def _sums(self, top: int, bottom: int) -> Samples:
        """Return the products of the windows of some rows with the numerators."""
        mapped, inputs = self._mapped, self._operator.weight.shape[1]
        if self._operator.transposed:
            return self._phases.sums(mapped, top, bottom)
        rows = mapped.plan.rows
        first, last = top * rows.stride, (bottom - 1) * rows.stride + rows.span + 1
        padded = load_padded(mapped, mapped.row_index[first:last], mapped.col_index, mapped.plan.cols.before)
        windows = AxisWindows.of(rows, bottom - top), AxisWindows.of(mapped.plan.cols, mapped.plan.cols.output)
        parts = [
            window_matrix(padded[..., group * inputs : (group + 1) * inputs], *windows) @ matrix
            for group, matrix in enumerate(self._matrices)
        ]
        sums: Samples = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)
        return sums.reshape(bottom - top, mapped.plan.cols.output, -1)


def _is_unmapped(plan: StagePlan) -> bool:
    stage = plan.stage
    return stage.scale == 1 and stage.offset == 0 and stage.map is None


def _activated(operator: Layer, x: Samples, full: float) -> Samples:
    """Apply the activation, in place, to values whose white is ``full``."""
    match operator.activation:
        case "relu":
            np.maximum(x, 0, out=x)
        case "leaky_relu" | "prelu":
            np.multiply(x, np.asarray(operator.slope, x.dtype), out=x, where=x < 0)
        case "sigmoid":
            # 1 / (1 + exp(-x)) as tanh, which cannot overflow.
            x *= x.dtype.type(0.5 / full)
            np.tanh(x, out=x)
            x += x.dtype.type(1)
            x *= x.dtype.type(0.5 * full)
        case "tanh":
            x /= x.dtype.type(full)
            np.tanh(x, out=x)
            x *= x.dtype.type(full)
        case "none":
            pass
        case _:
            return _by_loop(operator.activation, x, full)
    return x


def _by_loop(kind: str, x: Samples, full: float) -> Samples:
    """Apply an activation in float64."""
    values = np.ascontiguousarray(x, np.float64)
    numbers = ACTIVATIONS.index(kind), *default_numbers(kind), 1.0, full, 0.0
    ACTIVATE.variant()(values.reshape(-1), values.size, 1, values.size, 1, 1, *numbers, np.empty(1))
    return values.astype(x.dtype, copy=False)
