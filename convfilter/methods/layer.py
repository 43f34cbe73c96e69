"""Kernels across channels: windows as rows of a matrix (im2col), multiplied with the weights by BLAS."""

from __future__ import annotations

from collections.abc import Sequence
from math import gcd

import numpy as np
import numpy.typing as npt

from convfilter.engine.borders import CONSTANT, Indices, gather
from convfilter.engine.buffer import LineBuffer, Samples, Scratch
from convfilter.engine.epilogue import Epilogue
from convfilter.engine.load import Source
from convfilter.engine.mapped_stage import MappedStage, Region
from convfilter.engine.node import Crew, Node, Rows, StageNode, StageSetup
from convfilter.engine.workers import Workers
from convfilter.filters.operators import ACTIVATIONS, Layer
from convfilter.filters.point_rows import default_numbers
from convfilter.methods.pointwise import ACTIVATE
from convfilter.planning import LUMINANCE, LUMINANCE_DIVISOR, AxisPlan, StagePlan
from convfilter.record import NamedTuple

Real = npt.NDArray[np.float64]
#: Most kernels of a transposed convolution for which one product of all phases is faster: it takes half the time.
_FEW_KERNELS = 48


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
        mapped = self.mapped(sources[0])
        epilogue = self.epilogue(mapped, target)
        return Workers(lambda: _Worker(mapped, epilogue, target, self.stage).compute, self.scratch_bytes)


class Windows(NamedTuple):
    """Windows along one axis of loaded samples: their number, their taps, and the distances of both."""

    outputs: int
    taps: int
    stride: int
    dilation: int

    @classmethod
    def of(cls, axis: AxisPlan, outputs: int) -> Windows:
        """Return the first windows of an axis."""
        return cls(outputs, axis.kernel, axis.stride, axis.dilation)


class Phase(NamedTuple):
    """One phase of a transposed convolution: outputs ``step`` apart, for which the same taps fall on samples.

    Attributes
    ----------
    first : int
        First output of the phase, relative to the band's first.
    place : int
        Sample under its first tap, relative to the band's first sample.
    taps : slice
        Taps of the kernel.
    windows : Windows
    """

    first: int
    place: int
    taps: slice
    windows: Windows


def phases(axis: AxisPlan, top: int, bottom: int) -> tuple[slice, list[Phase]]:
    """Split outputs ``top`` to ``bottom - 1`` of a transposed convolution into phases.

    Returns
    -------
    slice
        Padded places of the samples that they need.
    list of Phase
        Phases without taps are omitted.
    """
    step = axis.step
    start = top + (axis.before - top) % step
    common = gcd(step, axis.dilation)
    result = []
    for first in range(min(step, bottom - top)):
        taps = [tap for tap in range(axis.kernel) if (top + first + tap * axis.dilation - start) % step == 0]
        if taps:
            chosen = slice(taps[0], taps[-1] + 1, step // common)
            count = -(-(bottom - top - first) // step)
            place = (top + first + taps[0] * axis.dilation - start) // step
            result.append(Phase(first, place, chosen, Windows(count, len(taps), 1, axis.dilation // common)))
    return slice(start, bottom + axis.span, step), result


class _Phases:
    """Sums of a transposed convolution: an ordinary one for each phase, without the inserted zeros."""

    def __init__(self, numerators: Samples, operator: Layer) -> None:
        self._numerators, self._operator = numerators, operator
        self._phase_matrices: dict[tuple[int, int], list[Samples]] = {}
        self._union_matrix: dict[tuple[tuple[int, int, int], ...], Samples] = {}

    def sums(self, mapped: MappedStage, top: int, bottom: int) -> Samples:
        """Return the sums of some rows."""
        operator, plan = self._operator, mapped.plan
        row_places, by_row = phases(plan.rows, top, bottom)
        col_places, by_col = phases(plan.cols, 0, plan.cols.output)
        if not (by_row and by_col):  # all outputs lie between the taps
            return np.zeros((bottom - top, plan.cols.output, len(operator.bias)), plan.precision)
        before = (plan.cols.before - col_places.start) // plan.cols.step
        if operator.groups == 1 and operator.weight[:, :, 0, 0].size <= _FEW_KERNELS:
            return self._at_once(mapped, (top, bottom), (row_places, by_row), (col_places, by_col), before)
        padded = _padded(mapped, mapped.row_index[row_places], mapped.col_index[col_places], before)
        total = np.zeros((bottom - top, plan.cols.output, len(operator.bias)), padded.dtype)
        inputs, outputs = operator.weight.shape[1], len(operator.bias) // operator.groups
        for down in by_row:
            for along in by_col:
                below = padded[down.place :, along.place :]
                part = total[down.first :: plan.rows.step, along.first :: plan.cols.step]
                for group, matrix in enumerate(self._matrices(down.taps, along.taps)):
                    windows = _windows(below[..., group * inputs : (group + 1) * inputs], down.windows, along.windows)
                    sums = (windows @ matrix).reshape(*part.shape[:2], outputs)
                    part[..., group * outputs : (group + 1) * outputs] = sums
        return total

    def _at_once(
        self,
        mapped: MappedStage,
        rows: Rows,
        down: tuple[slice, list[Phase]],
        along: tuple[slice, list[Phase]],
        before: int,
    ) -> Samples:
        """Return the sums of all phases by one product with the union of their windows, for kernels of few channels."""
        (row_places, by_row), (col_places, by_col) = down, along
        plan, outputs = mapped.plan, len(self._operator.bias)
        height, width = -(-(rows[1] - rows[0]) // plan.rows.step), -(-plan.cols.output // plan.cols.step)
        (top, tall), (left, wide) = (_union(each) for each in (by_row, by_col))
        # The union window of the last outputs may reach past the padding.
        row_index = _filled(mapped.row_index[row_places], top + tall + height - 1)
        col_index = _filled(mapped.col_index[col_places], left + wide + width - 1)
        padded = _padded(mapped, row_index, col_index, before)[top:, left:]
        matrix = self._matrix(by_row, by_col, (top, tall, plan.rows.step), (left, wide, plan.cols.step))
        windows = _windows(padded, Windows(height, tall, 1, 1), Windows(width, wide, 1, 1))
        sums = (windows @ matrix).reshape(height, width, plan.rows.step, plan.cols.step, outputs)
        whole = sums.transpose(0, 2, 1, 3, 4).reshape(height * plan.rows.step, width * plan.cols.step, outputs)
        return whole[: rows[1] - rows[0], : plan.cols.output]

    def _matrix(
        self, by_row: list[Phase], by_col: list[Phase], rows: tuple[int, int, int], cols: tuple[int, int, int]
    ) -> Samples:
        """Return the matrix of all phases: rows are taps and input channels, columns are phases and output channels."""
        key = tuple((phase.first, phase.place, phase.taps.start) for phase in (*by_row, *by_col))
        if key not in self._union_matrix:
            (top, tall, row_step), (left, wide, col_step) = rows, cols
            outputs, inputs = self._numerators.shape[:2]
            matrix = np.zeros((tall, wide, inputs, row_step, col_step, outputs), self._numerators.dtype)
            for down in by_row:
                first, step = down.place - top, down.windows.dilation
                tap_rows = slice(first, first + (down.windows.taps - 1) * step + 1, step)
                for along in by_col:
                    first, step = along.place - left, along.windows.dilation
                    tap_cols = slice(first, first + (along.windows.taps - 1) * step + 1, step)
                    taps = self._numerators[:, :, down.taps, along.taps].transpose(2, 3, 1, 0)
                    matrix[tap_rows, tap_cols, :, down.first, along.first] = taps
            self._union_matrix[key] = matrix.reshape(tall * wide * inputs, -1)
        return self._union_matrix[key]

    def _matrices(self, rows: slice, cols: slice) -> list[Samples]:
        """Return the matrices of a phase's taps; cached, since phases are the same in every band."""
        key = rows.start, cols.start
        if key not in self._phase_matrices:
            self._phase_matrices[key] = _matrices(self._numerators[:, :, rows, cols], self._operator.groups)
        return self._phase_matrices[key]


def _union(phases: list[Phase]) -> tuple[int, int]:
    """Return the first sample under a tap of any phase, and the number of samples to the last."""
    first = min(phase.place for phase in phases)
    last = max(phase.place + (phase.windows.taps - 1) * phase.windows.dilation for phase in phases)
    return first, last - first + 1


def _filled(index: Indices, size: int) -> Indices:
    """Extend an index map to a size with padding."""
    return index if index.size >= size else np.append(index, np.full(size - index.size, CONSTANT))


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
        self._matrices = [] if operator.transposed else _matrices(numerators, operator.groups)
        self._phases = _Phases(numerators, operator)
        self._divisor = divisor * (_scale(source) if source.is_finite else 1.0)
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
        padded = _padded(mapped, mapped.row_index[first:last], mapped.col_index, mapped.plan.cols.before)
        windows = Windows.of(rows, bottom - top), Windows.of(mapped.plan.cols, mapped.plan.cols.output)
        parts = [
            _windows(padded[..., group * inputs : (group + 1) * inputs], *windows) @ matrix
            for group, matrix in enumerate(self._matrices)
        ]
        sums: Samples = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)
        return sums.reshape(bottom - top, mapped.plan.cols.output, -1)


def finish(
    mapped: MappedStage,
    epilogue: Epilogue,
    scratch: Scratch,
    region: Region,
    colours: Samples,
    central: Real | None = None,
) -> int:
    """Store straight colours and ``central`` alpha, by default that of the centre pixels.

    Where samples are stored premultiplied, colours are multiplied by this alpha. Returns the number of clipped samples.
    """
    rows, cols, channels = *colours.shape[:2], mapped.plan.output_channels
    size = rows * cols * channels
    values = scratch.get("values", size)[:size].reshape(rows, cols, channels)
    values[..., : colours.shape[2]] = colours
    if not mapped.source.alpha:
        return epilogue.store_values(region, values)
    central = central_alpha(mapped, region.top, region.bottom) if central is None else central
    if mapped.source.premultiplied:
        values *= central[..., np.newaxis] / mapped.source.full
    return epilogue.store_values(region, values, central)


def central_alpha(mapped: MappedStage, top: int, bottom: int) -> Real:
    """Return the alpha at the centre of each output of some rows."""
    plan, source = mapped.plan, mapped.source
    if plan.rows.inserted or plan.cols.inserted:
        rows, cols = source.buffer.index(nearest_samples(plan.rows, top, bottom)), nearest_samples(plan.cols)
    else:
        rows = mapped.centres()[top:bottom]
        cols = mapped.col_index[np.arange(plan.cols.output) * plan.cols.stride + plan.cols.centre]
    return gather(source.image[..., -1], rows, cols, source.padding_value, np.float64)


def nearest_samples(axis: AxisPlan, first: int = 0, last: int | None = None) -> Indices:
    """Return the sample nearest to the centre of each output's window; inserted zeros count in the distance."""
    places = np.arange(first, axis.output if last is None else last, dtype=np.int64) * axis.stride + axis.centre
    nearest: Indices = np.clip((places - axis.before + axis.step // 2) // axis.step, 0, axis.input - 1)
    return nearest


def _is_unmapped(plan: StagePlan) -> bool:
    stage = plan.stage
    return stage.scale == 1 and stage.offset == 0 and stage.map is None


def _scale(source: Source) -> float:
    """Return the factor by which loading multiplied integer samples."""
    return (source.full if source.multiplies else 1.0) * (LUMINANCE_DIVISOR if source.gray else 1.0)


def _matrices(weights: Samples, groups: int) -> list[Samples]:
    """Return the weights of each group as a matrix: (K_h, K_w, C_in) in rows, output channels in columns."""
    return [
        np.ascontiguousarray(part.transpose(2, 3, 1, 0).reshape(-1, part.shape[0]))
        for part in np.split(weights, groups)
    ]


def _padded(mapped: MappedStage, row_index: Indices, col_index: Indices, before: int) -> Samples:
    """Load the rows of a band, borders included, as premultiplied colours; ``before`` columns are padding.

    Integer samples stay integers, times ``_scale``; real samples keep their scale.
    """
    source, cols, image = mapped.source, col_index.size, mapped.source.image
    inner = slice(min(max(before, 0), cols), min(max(before, 0) + image.shape[1] + min(before, 0), cols))
    band = np.full((row_index.size, cols, image.shape[2]), source.padding_value, mapped.plan.precision)
    inside = np.flatnonzero(row_index != CONSTANT)
    left = max(-before, 0)  # cropped columns
    band[inside, inner] = image[row_index[inside], left : left + inner.stop - inner.start]
    for side in (slice(0, inner.start), slice(inner.stop, cols)):
        band[:, side] = gather(image, row_index, col_index[side], source.padding_value, band.dtype)
    if source.gray:
        gray = band[..., :3] @ np.array(LUMINANCE, band.dtype)
        if not source.is_finite:
            gray /= band.dtype.type(LUMINANCE_DIVISOR)
        band = np.concatenate([gray[..., np.newaxis], band[..., 3:]], axis=2)
    if not source.alpha:
        return band
    if source.premultiplied:
        return band[..., :-1]
    alpha = band[..., -1:] if source.is_finite else band[..., -1:] / band.dtype.type(source.full)
    premultiplied: Samples = band[..., :-1] * alpha
    return premultiplied


def _windows(padded: Samples, rows: Windows, cols: Windows) -> Samples:
    """Copy each window into a row of a matrix, as (K_h, K_w, C_in)."""
    channels = padded.shape[2]
    down, along, next_channel = padded.strides
    shape: tuple[int, ...] = (rows.outputs, cols.outputs, rows.taps, cols.taps, channels)
    next_row, next_col = down * rows.dilation, along * cols.dilation
    steps: tuple[int, ...] = (down * rows.stride, along * cols.stride, next_row, next_col, next_channel)
    if next_col == channels * next_channel:  # a window's row is contiguous, and copied twice as fast in one piece
        shape, steps = (*shape[:3], cols.taps * channels), (*steps[:3], next_channel)
    windows = np.lib.stride_tricks.as_strided(padded, shape, steps, writeable=False)
    return windows.reshape(rows.outputs * cols.outputs, -1)


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
