"""How a stack is computed: output sizes, algorithm, precision, cost. Pure: no pictures, no threads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Literal

import numpy as np
import numpy.typing as npt

from convfilter.errors import ParameterError, SizeError
from convfilter.filters.kernels import Kernel, Weights
from convfilter.filters.multirate import COARSE, FINE, Quality, Rates, largest_step, rates
from convfilter.filters.stage import Correlation, Gradient, Pooling, Stage, UnsharpMask

Algorithm = Literal["direct", "separable", "box", "multirate", "gradient", "pooling"]
ALGORITHMS: tuple[Algorithm, ...] = ("direct", "separable", "box", "multirate", "gradient", "pooling")

#: Whole numbers up to here are exact in float32 and float64.
_SINGLE_WHOLE = 2.0**24
_DOUBLE_WHOLE = 2.0**53
#: float32 sums may reach this many levels before their rounding shows: 0.0005 of a level at
#: 8 bits (99.9 % of the samples equal), 0.02 at 16 bits (95 %).
_SINGLE_LEVELS = {"uint8": 2.0**12, "uint16": 2.0**17}
#: float32 images are summed in float64 beyond this many taps, to stay within 2e-6 of sum |w||x|.
_SINGLE_TAPS = 256
#: Numerators and divisor of the luminance (ITU-R BT.601): whole, so that grey stays exact.
LUMINANCE = (299.0, 587.0, 114.0)
LUMINANCE_DIVISOR = 1000.0

#: What the multirate way costs beside its multiply-adds (samples moved, more passes), in multiply-adds.
_MULTIRATE_OVERHEAD = 16.0
#: Rows of one block of work, columns (in samples) of one tile: their scratch fits a core's L2 cache.
BLOCK_ROWS = 64
TILE_SAMPLES = 2112
#: Columns of a tile are a multiple of this, so that its rows are whole vectors of any width.
VECTOR = 64
#: Kernel rows that are loaded at a time: bounds the scratch of very tall kernels.
TAP_ROWS = 256


@dataclass(frozen=True)
class AxisPlan:
    """Convolution arithmetic on one axis, in pixels."""

    input: int
    kernel: int
    stride: int
    dilation: int
    before: int
    after: int

    @property
    def span(self) -> int:
        """Pixels from the first tap to the last: dilation * (kernel - 1)."""
        return self.dilation * (self.kernel - 1)

    @property
    def output(self) -> int:
        """Output size, ``floor((I + P_before + P_after - D*(K-1) - 1) / S) + 1`` (Dumoulin & Visin, 2016)."""
        return (self.input + self.before + self.after - self.span - 1) // self.stride + 1

    @property
    def padded(self) -> int:
        """Places of the padded axis that the kept outputs touch."""
        return (self.output - 1) * self.stride + self.span + 1

    @property
    def centre(self) -> int:
        """The tap that ``same`` padding puts on the output's own pixel, as an offset into the window."""
        return self.span // 2


@dataclass(frozen=True)
class StagePlan:
    """One stage, decided: geometry, algorithm, and what it costs.

    Attributes
    ----------
    kernel : Kernel
        The kernel to run: turned if ``flip`` asks for it, factored if it has factors.
    precision : {"float32", "float64"}
        In what the sums are kept.
    exact : bool
        Sums are whole numbers without any rounding, so the stored result is exact.
    multiply_adds : float
        Per output sample.
    scratch_bytes : int
        Working memory of one thread.
    block_rows : int
        Output rows of one block of work.
    rates : pair of Rates or None
        For the multirate way: the steps along rows and columns, None for an axis that is summed tap by tap.
    """

    stage: Stage
    rows: AxisPlan
    cols: AxisPlan
    channels: int
    alpha: bool
    algorithm: Algorithm
    kernel: Kernel
    precision: Literal["float32", "float64"]
    exact: bool
    multiply_adds: float
    scratch_bytes: int
    block_rows: int
    rates: tuple[Rates | None, Rates | None] = (None, None)


@dataclass(frozen=True)
class Plan:
    """A stack of stages, planned for one size and sample type.

    ``gray`` says that the first stage takes the luminance of its input.
    """

    stages: tuple[StagePlan, ...]
    input_shape: tuple[int, ...]
    dtype: np.dtype[np.generic]
    alpha: bool
    gray: bool

    @property
    def output_shape(self) -> tuple[int, ...]:
        """(rows, cols) or (rows, cols, channels) of the result."""
        last = self.stages[-1]
        size = (last.rows.output, last.cols.output)
        squeeze = len(self.input_shape) == 2 or (self.gray and last.channels == 1)
        return size if squeeze else (*size, last.channels)


def full_scale(dtype: npt.DTypeLike) -> float:
    """Return the sample value that means white: 255, 65535, or 1.0 for real numbers."""
    dtype = np.dtype(dtype)
    return float(np.iinfo(dtype).max) if dtype.kind == "u" else 1.0


def plan_stack(
    stages: Sequence[Stage],
    shape: tuple[int, ...],
    dtype: npt.DTypeLike,
    *,
    alpha: bool = False,
    gray: bool = False,
    algorithm: str | None = None,
) -> Plan:
    """Decide how to run ``stages`` on pictures of one shape and sample type.

    Parameters
    ----------
    stages : sequence of Stage
        First to last, at least one.
    shape : (rows, cols) or (rows, cols, channels)
        Each at least 1.
    dtype : uint8, uint16 or float32
        Sample type of the input.
    alpha : bool
        Whether the last channel is alpha.
    gray : bool
        Take the luminance of the three colour channels first.
    algorithm : str, optional
        Use this one instead of the cheapest.

    Raises
    ------
    SizeError
        A stage leaves no output.
    ParameterError
        ``algorithm`` is unknown, or cannot compute a stage.
    """
    rows, cols = shape[:2]
    channels = shape[2] if len(shape) == 3 else 1
    gray = gray and channels - alpha == 3
    if gray:
        channels -= 2
    sample_type = np.dtype(dtype)
    plans: list[StagePlan] = []
    for number, stage in enumerate(stages):
        prefix = f"stage {number + 1} ({stage.name}): " if len(stages) > 1 else ""
        first = number == 0
        incoming = sample_type if first else np.dtype(np.float32)
        plans.append(_plan_stage(stage, (rows, cols, channels), incoming, alpha, gray and first, algorithm, prefix))
        rows, cols = plans[-1].rows.output, plans[-1].cols.output
    return Plan(tuple(plans), tuple(shape), sample_type, alpha, gray)


def _plan_stage(
    stage: Stage,
    shape: tuple[int, int, int],
    dtype: np.dtype[np.generic],
    alpha: bool,
    gray: bool,
    algorithm: str | None,
    prefix: str,
) -> StagePlan:
    kernel = _kernel_of(stage)
    rows, cols = (_plan_axis(stage, axis, shape[axis], kernel.shape[axis], prefix) for axis in (0, 1))
    if isinstance(stage.operator, Pooling):
        _require_real_cells(rows, cols, prefix)
    ways = applicable(stage, kernel)
    if algorithm is not None and algorithm not in ALGORITHMS:
        raise ParameterError(f"algorithm must be one of {', '.join(ALGORITHMS)}, got {algorithm!r}")
    if algorithm is not None and algorithm not in ways:
        raise ParameterError(f"{prefix}algorithm {algorithm!r} cannot compute this; try {' or '.join(ways)}")
    if "separable" in ways:
        kernel = factored(kernel)
    steps = _rates(stage, kernel, dtype, alpha) if "multirate" in ways else (None, None)
    chosen: Algorithm = algorithm or _cheapest(kernel, ways, dtype, rows, cols, steps)
    exact = _is_exact(stage, kernel, dtype)
    precision: Literal["float32", "float64"] = (
        "float32" if _fits_single(stage, kernel, dtype, exact, alpha, gray, chosen) else "float64"
    )
    block_rows = _box_block_rows(rows) if chosen == "box" else BLOCK_ROWS
    scratch = _scratch_bytes(rows, cols, shape[2], chosen, np.dtype(precision).itemsize)
    cost = _multiply_adds(kernel, rows, cols, chosen, steps)
    return StagePlan(
        stage, rows, cols, shape[2], alpha, chosen, kernel, precision, exact, cost, scratch, block_rows, steps
    )


def _kernel_of(stage: Stage) -> Kernel:
    operator = stage.operator
    if isinstance(operator, Pooling):
        return Kernel(factors=(np.ones(operator.size[0]), np.ones(operator.size[1])))
    kernel = operator.x if isinstance(operator, Gradient) else operator.kernel
    return kernel.rotated() if stage.flip else kernel


def _plan_axis(stage: Stage, axis: int, length: int, size: int, prefix: str) -> AxisPlan:
    name = ("height", "width")[axis]
    stride, dilation = stage.stride[axis], stage.dilation[axis]
    span = dilation * (size - 1)
    if stage.padding == "same":
        before, after = span // 2, span - span // 2
    elif stage.padding == "valid":
        before = after = 0
    elif stage.padding == "full":
        before = after = span
    else:
        before, after = (int(pad) for pad in stage.padding[2 * axis : 2 * axis + 2])
    plan = AxisPlan(length, size, stride, dilation, before, after)
    if plan.output < 1:
        raise SizeError(
            f"{prefix}output {name} must be at least 1, got {plan.output}: "
            f"floor(({length} + {before} + {after} - {dilation}*({size} - 1) - 1) / {stride}) + 1; "
            "use a smaller kernel or dilation, or more padding"
        )
    return plan


def _require_real_cells(rows: AxisPlan, cols: AxisPlan, prefix: str) -> None:
    for name, axis in (("height", rows), ("width", cols)):
        counts = real_cells(axis)
        if counts.min() == 0:
            raise SizeError(
                f"{prefix}every pooling window must hold at least one pixel, but output {int(counts.argmin())} along "
                f"the {name} has none: padding {axis.before} and {axis.after}, window {axis.kernel}; use less padding"
            )


def real_cells(axis: AxisPlan) -> npt.NDArray[np.int64]:
    """Count, for each output, the taps that fall on the picture and not on padding."""
    places = np.arange(axis.output)[:, np.newaxis] * axis.stride - axis.before
    places = places + np.arange(axis.kernel) * axis.dilation
    counts: npt.NDArray[np.int64] = ((places >= 0) & (places < axis.input)).sum(axis=1)
    return counts


def applicable(stage: Stage, kernel: Kernel | None = None) -> tuple[Algorithm, ...]:
    """Return the algorithms that can compute ``stage``, whatever they cost."""
    if isinstance(stage.operator, Pooling):
        return ("pooling",)
    if isinstance(stage.operator, Gradient):
        return ("gradient",)
    kernel = kernel or _kernel_of(stage)
    ways: list[Algorithm] = []
    if factored(kernel).factors is not None:
        ways.append("separable")
        if kernel.is_box and isinstance(stage.operator, Correlation) and stage.dilation == (1, 1):
            ways.append("box")
    if _multirate_axes(stage, kernel) != (False, False):
        ways.append("multirate")
    ways.append("direct")
    return tuple(ways)


def factored(kernel: Kernel) -> Kernel:
    """Return the kernel with its factors, where it is the outer product of a column and a row.

    The product of the factors equals the numerators exactly for whole numbers,
    and to rounding otherwise.
    """
    if kernel.factors is not None or kernel.numerators is None:
        return kernel
    matrix = kernel.numerators
    row_of_pivot, col_of_pivot = np.unravel_index(int(np.abs(matrix).argmax()), matrix.shape)
    pivot = matrix[row_of_pivot, col_of_pivot]
    if pivot == 0:
        factors = np.zeros(matrix.shape[0]), np.zeros(matrix.shape[1])
        return replace(kernel, factors=factors)
    row: Weights = matrix[row_of_pivot].copy()
    if kernel.is_whole:
        row /= np.gcd.reduce(np.abs(row).astype(np.int64)) if np.abs(row).max() < 2.0**62 else 1.0
    column: Weights = matrix[:, col_of_pivot] / row[col_of_pivot]
    product = np.outer(column, row)
    if kernel.is_whole and not np.all(column == np.rint(column)):
        return kernel
    tolerance = 0.0 if kernel.is_whole else 1e-15
    if np.all(np.abs(product - matrix) <= tolerance * abs(pivot)):
        return replace(kernel, factors=(column, row))
    return kernel


def _multirate_axes(stage: Stage, kernel: Kernel) -> tuple[bool, bool]:
    """Return which axes a Gaussian is wide enough on to keep every second sample or fewer."""
    if kernel.sigma is None:
        return False, False
    rows, cols = (
        dilation == 1 and largest_step(sigma, FINE) >= 2
        for sigma, dilation in zip(kernel.sigma, stage.dilation, strict=True)
    )
    return rows, cols


def _rates(stage: Stage, kernel: Kernel, dtype: np.dtype[np.generic], alpha: bool) -> tuple[Rates | None, Rates | None]:
    assert kernel.sigma is not None
    quality = _quality(stage, dtype, alpha)
    rows, cols = (
        rates(sigma, quality) if wide else None
        for sigma, wide in zip(kernel.sigma, _multirate_axes(stage, kernel), strict=True)
    )
    return rows, cols


def _quality(stage: Stage, dtype: np.dtype[np.generic], alpha: bool) -> Quality:
    """Choose the outer Gaussians: the coarse ones where their error stays small beside a level."""
    amplified = abs(stage.scale) > 1 or stage.map == "stretch"
    if isinstance(stage.operator, UnsharpMask):
        amplified = amplified or abs(stage.operator.amount) > 1 or stage.operator.threshold > 0
    return COARSE if dtype == np.uint8 and not alpha and not amplified else FINE


def _cheapest(
    kernel: Kernel,
    ways: tuple[Algorithm, ...],
    dtype: np.dtype[np.generic],
    rows: AxisPlan,
    cols: AxisPlan,
    steps: tuple[Rates | None, Rates | None],
) -> Algorithm:
    if len(ways) == 1:
        return ways[0]
    if "box" in ways and dtype.kind == "u" and sum(kernel.shape) > 6:
        # Real numbers would carry the rounding of one window into the next.
        return "box"
    if kernel.factors is None:
        return "direct"
    if "multirate" in ways:
        by_taps = _multiply_adds(kernel, rows, cols, "separable", steps)
        if by_taps > _multiply_adds(kernel, rows, cols, "multirate", steps) + _MULTIRATE_OVERHEAD:
            return "multirate"
    down, right = (np.count_nonzero(factor) for factor in kernel.factors)
    # The second pass costs a store and a load: worth it from one tap saved upward.
    return "separable" if down + right + 1 < down * right or prod(kernel.shape) > 2**16 else "direct"


def _is_exact(stage: Stage, kernel: Kernel, dtype: np.dtype[np.generic]) -> bool:
    """Whether all terms are whole numbers that float64 sums without rounding."""
    if dtype.kind != "u" or isinstance(stage.operator, UnsharpMask) or not kernel.is_whole:
        return False
    if stage.padding_mode == "constant" and not float(stage.padding_value).is_integer():
        return False
    return kernel.absolute_sum * _largest_term(stage, dtype, False, False) <= _DOUBLE_WHOLE


def _largest_term(stage: Stage, dtype: np.dtype[np.generic], alpha: bool, gray: bool) -> float:
    largest = full_scale(dtype)
    if stage.padding_mode == "constant":
        largest = max(largest, abs(stage.padding_value))
    if alpha:
        largest *= largest
    return largest * (LUMINANCE_DIVISOR if gray else 1.0)


def _fits_single(
    stage: Stage,
    kernel: Kernel,
    dtype: np.dtype[np.generic],
    exact: bool,
    alpha: bool,
    gray: bool,
    algorithm: Algorithm,
) -> bool:
    """Whether float32 keeps the promise of section 2 of the contract; otherwise sums are kept in float64."""
    operator = stage.operator
    if isinstance(operator, Pooling) and operator.kind == "max":
        return dtype.name != "uint16" or not alpha
    if dtype.kind == "f":
        taps = sum(kernel.shape) if algorithm == "separable" else prod(kernel.shape)
        return taps <= _SINGLE_TAPS and isinstance(operator, Correlation)
    reach = kernel.absolute_sum * _largest_term(stage, dtype, alpha, gray)
    if exact and isinstance(operator, Gradient):
        # The squares must be whole too; where the result is clipped at 255, only those below it matter.
        clipped = (
            full_scale(dtype) <= 255 and abs(stage.scale) >= 1 and stage.map != "stretch" and not alpha and not gray
        )
        return reach <= _SINGLE_WHOLE and (clipped or reach * reach / 2 <= _SINGLE_WHOLE)
    if exact:
        return reach <= _SINGLE_WHOLE
    gain = kernel.absolute_sum / abs(kernel.divisor)
    if isinstance(operator, UnsharpMask):
        gain = 1 + abs(operator.amount) * (1 + gain)
    levels = gain * abs(stage.scale) * _largest_term(stage, dtype, False, False)
    return levels <= _SINGLE_LEVELS[dtype.name]


def _box_block_rows(rows: AxisPlan) -> int:
    """Rows of a block of running sums: its first window costs ``kernel`` rows, so blocks grow with it."""
    return max(BLOCK_ROWS, 2 * -(-rows.kernel // rows.stride))


def _multiply_adds(
    kernel: Kernel,
    rows: AxisPlan,
    cols: AxisPlan,
    algorithm: Algorithm,
    steps: tuple[Rates | None, Rates | None] = (None, None),
) -> float:
    """Return the multiply-adds (or comparisons) for one output sample."""
    if algorithm == "gradient":
        return 18.0
    if algorithm == "box":
        return 2.0 * rows.stride * cols.stride + 2.0 * cols.stride
    if algorithm == "direct":
        return float(np.count_nonzero(kernel.matrix))
    assert kernel.factors is not None
    down, right = (float(np.count_nonzero(factor)) for factor in kernel.factors)
    if algorithm == "multirate":
        return _multirate_multiply_adds(down, right, rows, cols, *steps)
    return down * min(cols.stride, cols.kernel) + right


def _multirate_multiply_adds(
    down: float, right: float, rows: AxisPlan, cols: AxisPlan, row_steps: Rates | None, col_steps: Rates | None
) -> float:
    """Count the steps that reach ``span`` samples past the picture, and those on kept samples only."""
    along = right
    if col_steps is not None:
        kept_cols = cols.stride * (1 + cols.span / (cols.output * cols.stride))
        along = (col_steps.down.size + col_steps.middle.size) / col_steps.step * kept_cols + col_steps.up.shape[1]
    if row_steps is None:
        return down * cols.stride + along
    kept_rows = rows.stride * (1 + rows.span / (rows.output * rows.stride))
    lowering = (row_steps.down.size + row_steps.middle.size) / row_steps.step * cols.stride
    return (lowering + along / row_steps.step) * kept_rows + float(row_steps.up.shape[1])


def _scratch_bytes(rows: AxisPlan, cols: AxisPlan, channels: int, algorithm: Algorithm, itemsize: int) -> int:
    """Return the working memory of one thread: the loaded tile, the rows between two passes, and the sums."""
    block = min(BLOCK_ROWS, rows.output)
    tile_cols = min(max(VECTOR, TILE_SAMPLES // channels), cols.output)
    loaded_rows = min((block - 1) * rows.stride + min(rows.span, TAP_ROWS * rows.dilation) + 1, rows.input + 1)
    sums = block * tile_cols * channels
    if algorithm in ("separable", "box", "pooling", "multirate"):
        across = (cols.output * min(cols.stride, cols.kernel) + cols.span) * channels
        return itemsize * (loaded_rows * min(TILE_SAMPLES, across) + block * across + sums)
    return itemsize * (loaded_rows * (tile_cols * cols.stride + cols.span) * channels + sums)
