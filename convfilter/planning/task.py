"""A task, the input of planning: a stage for pictures of one shape and sample type."""

from __future__ import annotations

import math
from typing import Literal, TypeAlias

import numpy as np

from convfilter.errors import ParameterError, named
from convfilter.filters.factors import factored
from convfilter.filters.kernel import Kernel
from convfilter.filters.network_operators import (
    Constant,
    Join,
    Layer,
    MaxIndices,
    NetworkOperator,
)
from convfilter.filters.operators import (
    Bilateral,
    Correlation,
    Guided,
    Morphology,
    Operator,
    Orientation,
    Point,
    Pooling,
    Rank,
    UnsharpMask,
    WeightedSums,
)
from convfilter.filters.stage import Stage
from convfilter.planning.arithmetic import AxisPlan, plan_axis, require_real_cells
from convfilter.record import cached_property, record, replace
from convfilter.sample_types import full_scale, is_integer, is_wide, sample_type

#: The kind of the mask that goes with the colours; see :class:`Task`.
MaskKind: TypeAlias = Literal["", "dense", "sparse"]

#: Numerators of the luminance (ITU-R BT.601), over 1000: integers, so that grey stays exact.
LUMINANCE = (299.0, 587.0, 114.0)
LUMINANCE_DIVISOR = 1000.0

#: Largest magnitude up to which float64 holds every integer.
DOUBLE_WHOLE = 2.0**53
#: Indices below this survive two roundings to float32, with a division by white in between.
MOST_INDICES = 2**22
#: Largest rounding error of a sum of weights that are meant to sum to one.
_SUM_ROUNDING = 1e-12


@record
class Task:
    """A stage on pictures of one shape and sample type.

    Attributes
    ----------
    kernel : Kernel
        Weights, rotated by 180 degrees for ``flip``, with the factors of a separable kernel. For real samples the
        divisor and the scale are multiplied in, so that sums overflow only if the result does.
    scale : float
        Remaining scale of the stage.
    dtype, result : numpy.dtype
        Sample types of the input and the result; before another stage, the result is float32 or float64.
    whites : pair of float, or None
        Values of white in the input and the result, where they are not the full scale of their types, as in samples of
        12 bits.
    premultiplied : bool
        Whether colours are stored multiplied by alpha, in input and result.
    mask : {"", "dense", "sparse"}
        The last channel, ``alpha``, is a mask of zeros and ones that the result leaves out, and colours are 0 where it
        is 0. Dense: each result has a good share of valid pixels near its centre.
    stored, levels : numpy.dtype and float
        In a stack: its final sample type, and the largest magnitude of this stage's result in levels of that type; see
        ``gains.with_levels``.
    is_precise : bool
        Whether sums are float64 whatever the sample types.
    joined_channels : int
        Channels of joined branches or of a constant.
    """

    stage: Stage
    kernel: Kernel
    scale: float
    rows: AxisPlan
    cols: AxisPlan
    channels: int
    dtype: np.dtype[np.generic]
    result: np.dtype[np.generic]
    alpha: bool
    gray: bool
    whites: tuple[float, float] | None = None
    stored: np.dtype[np.generic] | None = None
    levels: float = float("inf")
    premultiplied: bool = False
    is_precise: bool = False
    joined_channels: int = 0
    mask: MaskKind = ""

    @classmethod
    def of(
        cls,
        stage: Stage,
        shape: tuple[int, int, int],
        dtype: np.dtype[np.generic],
        *,
        result: np.dtype[np.generic] | None = None,
        alpha: bool = False,
        gray: bool = False,
        whites: tuple[float, float] | None = None,
        stored: np.dtype[np.generic] | None = None,
        premultiplied: bool = False,
        prefix: str = "",
        joined: tuple[int, int, int] | None = None,
        mask: MaskKind = "",
    ) -> Task:
        """Return the task of a stage; ``joined`` is the shape of joined branches or of a constant.

        Raises
        ------
        SizeError
            The output is empty, or a pooling window holds only padding.
        """
        _require_channels(stage, shape[2] - alpha, prefix, shape[0])
        _require_guide(stage, shape, stored or result or dtype, prefix)
        kernel, scale = _weights(stage, dtype, mask)
        rows, cols = (plan_axis(stage, axis, shape[axis], kernel.shape[axis], prefix) for axis in (0, 1))
        if joined is not None:
            rows, cols = (
                replace(axis, after=size - axis.input) for axis, size in zip((rows, cols), joined, strict=False)
            )
        _require_indices(stage, shape, result or dtype, prefix)
        if isinstance(stage.operator, Pooling | MaxIndices):
            require_real_cells(rows, cols, prefix)
        return cls(
            stage, kernel, scale, rows, cols, shape[2], dtype, result or dtype, alpha, gray, whites, stored,
            premultiplied=premultiplied and alpha, joined_channels=joined[2] if joined else 0, mask=mask,
        )  # fmt: skip

    @cached_property
    def accuracy(self) -> str:
        """The finer of both sample types, whose accuracy the result must have."""
        if is_wide(self.dtype) or is_wide(self.result):
            return "float64"
        return max((self.dtype.name, self.result.name), key=("uint8", "uint16", "float32").index)

    @property
    def output_channels(self) -> int:
        """Channels of the result, alpha included, without a mask."""
        operator = self.stage.operator
        if isinstance(operator, Layer):
            return int(operator.weight.shape[0]) + self.alpha
        if isinstance(operator, Join | Constant):
            return self.joined_channels
        return 3 + self.alpha if isinstance(operator, Orientation) else self.channels - bool(self.mask)

    @property
    def is_linear(self) -> bool:
        """Whether the result is only a weighted sum."""
        return isinstance(self.stage.operator, Correlation)

    @cached_property
    def is_bounded(self) -> bool:
        """Whether the result is real and its weights have one sign, so that it lies between the ends of its window.

        The computed result stays there only if sums are float64, by methods that subtract nothing.
        """
        if (self.stored or self.result).kind != "f" or not self.is_linear:
            return False
        return self.kernel.has_one_sign

    @property
    def preserves_samples(self) -> bool:
        """Whether selected samples are stored directly: same sample type, no alpha, no gray, no scale."""
        is_unscaled = self.scale == 1 and self.stage.is_unscaled
        return self.dtype == self.result and self.preserves_white and is_unscaled and not self.alpha and not self.gray

    def selecting(self) -> Task:
        """Return a task before another stage with its samples' own type as result, if it selects whole-number samples.

        So do extremes and ranks that fall on one sample. Other results between two stages are real.
        """
        own = replace(self, result=self.dtype, whites=self.whites and (self.whites[0], self.whites[0]))
        operator = self.stage.operator
        selects = operator.selects
        if isinstance(operator, Rank):
            selects = float((operator.kernel.nonzeros - 1) * operator.fraction).is_integer()
        return own if selects and own.preserves_samples and own.pads_with_samples else self

    @property
    def pads_with_samples(self) -> bool:
        """Whether samples and padding values are integers."""
        value = self.stage.padding_value if self.stage.pads_with_value else 0
        white = self.whites[0] if self.whites else full_scale(self.dtype)
        return self.dtype.kind == "u" and 0 <= value <= white and value % 1 == 0

    @property
    def preserves_white(self) -> bool:
        """Whether input and result have the same value of white, as far as the sample types allow."""
        return self.whites is None or self.whites[0] == self.whites[1]

    @property
    def largest_term(self) -> float:
        """The largest magnitude that a loaded integer sample can have."""
        properties = sample_type(self.dtype)
        largest = max(-properties.low, properties.full)
        if self.stage.pads_with_value:
            largest = max(largest, abs(self.stage.padding_value))
        if self.alpha and not (self.premultiplied or self.mask):
            largest *= largest
        return largest * (LUMINANCE_DIVISOR if self.gray else 1.0)

    @property
    def gain(self) -> float:
        """Largest factor from samples to unclipped results."""
        return gain_of_sums(self.stage.operator, self.kernel, self.scale)

    @cached_property
    def is_exact(self) -> bool:
        """Whether all terms are whole numbers that float64 sums without rounding."""
        if not is_integer(self.dtype) or isinstance(self.stage.operator, UnsharpMask | NetworkOperator | Bilateral):
            return False
        if not self.kernel.has_integer_numerators:
            return False
        if self.stage.pads_with_value and not float(self.stage.padding_value).is_integer():
            return False
        if isinstance(self.stage.operator, Layer):
            sums, whole = self.stage.operator.absolute_sums
            return bool(whole.all()) and float(sums.max()) * self.largest_term <= DOUBLE_WHOLE
        return self.kernel.absolute_sum * self.largest_term <= DOUBLE_WHOLE

    @property
    def gives_whole_numbers(self) -> bool:
        """Whether the exact result is an integer, which rounding recovers from a close approximation."""
        unscaled = self.kernel.divisor == 1 and self.scale == 1 and self.dtype == self.result and self.preserves_white
        if not (self.is_exact and unscaled) or self.stage.map == "stretch" or self.alpha or self.gray:
            return False
        # An extra half level, as for mid-grey, would make every result a tie.
        offset = self.stage.offset + (0.5 if self.stage.map == "offset" else 0.0)
        return (offset * (self.whites[1] if self.whites else full_scale(self.result))).is_integer()


def gain_of_sums(operator: Operator, kernel: Kernel, scale: float) -> float:
    """Return the largest factor from samples to weighted sums or sharpened samples."""
    gain = kernel.absolute_sum / abs(kernel.divisor)
    if isinstance(operator, UnsharpMask):
        gain = 1 + abs(operator.amount) * (1 + gain)
    return gain * abs(scale)


def compares_samples(operator: Operator) -> bool:
    """Whether an operator only compares samples, in their own type: ranks, extremes, and differences of extremes."""
    return operator.selects or isinstance(operator, Morphology)


def takes_alpha_as_colour(stage: Stage) -> bool:
    """Whether alpha is filtered like premultiplied colours: by means, extremes and similar operators."""
    operator = stage.operator
    if not stage.is_unscaled:
        return False
    if isinstance(operator, WeightedSums):
        return abs(operator.kernel.sum - 1) <= _SUM_ROUNDING
    if isinstance(operator, Morphology):
        return not operator.is_difference
    return isinstance(operator, Pooling) or (isinstance(operator, Point) and operator.kind in ("relu", "abs"))


def _require_guide(stage: Stage, shape: tuple[int, int, int], stored: np.dtype[np.generic], prefix: str) -> None:
    operator = stage.operator
    if not isinstance(operator, Guided):
        return
    if stage.pads_with_value:
        raise ParameterError(f"{prefix}guided padding_mode must be edge, reflect, symmetric or wrap, got constant")
    if operator.guide is None or isinstance(operator.guide, str):
        return
    rows, cols, channels = operator.guide.shape
    guide = f"{prefix}the guide {named(operator.name)}".rstrip()
    if (rows, cols) != shape[:2]:
        raise ParameterError(f"{guide} must be as large as the picture, {shape[1]}x{shape[0]}, got {cols}x{rows}")
    if channels not in (1, 3):
        raise ParameterError(f"{guide} must be grey or have three colours, got {channels} channels")
    if stored.kind != "f" and not np.isfinite(operator.guide).all():
        count = np.count_nonzero(~np.isfinite(operator.guide))
        raise ParameterError(
            f"{guide} has {count} samples that are NaN or infinite, and the result's {stored} holds no NaN; "
            "replace them, or filter a picture of floats"
        )


def _require_channels(stage: Stage, channels: int, prefix: str, rows: int) -> None:
    operator = stage.operator
    if isinstance(operator, Layer) and operator.inputs != channels:
        is_first = not prefix or prefix.startswith("stage 1 ")
        remedy = "move the channels of (C, H, W) to the end" if rows == operator.inputs and not prefix else ""
        if operator.inputs == 1 and channels == len(LUMINANCE) and is_first:
            remedy = "{gray=True} makes one of three colours"
        raise ParameterError(
            f"{prefix}the layer's weight {operator.weight.shape} in {operator.groups} "
            f"group{'s' if operator.groups > 1 else ''} takes {operator.inputs} "
            f"channel{'s' if operator.inputs > 1 else ''}, but gets {channels}",
            remedy=remedy,
        )


def _require_indices(stage: Stage, shape: tuple[int, int, int], result: np.dtype[np.generic], prefix: str) -> None:
    if isinstance(stage.operator, MaxIndices) and math.prod(shape) > MOST_INDICES and not is_wide(result):
        raise ParameterError(
            f"{prefix}float32 holds the indices of at most {MOST_INDICES} samples, got {math.prod(shape)}; "
            "use a smaller picture"
        )


def _weights(stage: Stage, dtype: np.dtype[np.generic], mask: MaskKind) -> tuple[Kernel, float]:
    """Return ``kernel`` and ``scale`` of a task."""
    window = stage.operator.window_kernel
    kernel, scale = factored(window.rotated() if stage.flip else window), stage.scale
    if mask:
        kernel, scale = _with_positive_sum(stage, kernel)
    # The multirate method needs the sigma of a whole Gaussian, whose sums never leave the samples' range.
    if dtype.kind == "f" and isinstance(stage.operator, Correlation) and kernel.sigma is None:
        sign = math.copysign(1.0, scale) if mask else 1.0
        real = kernel.as_real(scale * sign)
        if real is not kernel:
            return real, sign
    return kernel, scale


def _with_positive_sum(stage: Stage, kernel: Kernel) -> tuple[Kernel, float]:
    """Return a kernel whose weights do not sum to less than 0, and the scale that makes up for its sign.

    Results with a mask are divided by the sum of the weights on valid pixels, which must be positive.
    """
    if not isinstance(stage.operator, Correlation) or kernel.sum >= 0:
        return kernel, stage.scale
    numerators = None if kernel.numerators is None else -kernel.numerators
    factors = None if kernel.factors is None else (kernel.factors[0], -kernel.factors[1])
    return Kernel(numerators, factors, kernel.divisor), -stage.scale
