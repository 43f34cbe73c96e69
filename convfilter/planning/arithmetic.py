"""Convolution arithmetic on one axis: padding, stride, dilation, output size."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from convfilter.errors import ParameterError, SizeError
from convfilter.filters.network_operators import Layer
from convfilter.filters.operators import Operator, Pooling
from convfilter.filters.stage import Stage
from convfilter.record import cached_property, record, replace

if TYPE_CHECKING:
    import numpy.typing as npt

#: Most places of a padded axis: its index map takes 8 bytes for each.
_LONGEST_AXIS = 2**26


@record
class AxisPlan:
    """Convolution arithmetic on one axis, in pixels.

    Attributes
    ----------
    input : int
        Samples of the axis.
    kernel : int
        Taps of the window.
    stride, dilation : int
        Distance of two windows, and of two taps.
    before, after : int
        Padding before the first sample and after the last; negative where samples are cropped.
    beyond : int
        Places of ``after`` beyond the requested padding: the overhang of the last window if sizes are rounded up.
        Negative: places of the requested padding that no window reads.
    inserted : int
        Zeros between two samples, in a transposed convolution; its padding counts from the first and the last sample.
    """

    input: int
    kernel: int
    stride: int
    dilation: int
    before: int
    after: int
    beyond: int = 0
    inserted: int = 0

    @property
    def step(self) -> int:
        """Distance of two input samples, inserted zeros included."""
        return self.inserted + 1

    @property
    def spaced(self) -> int:
        """Input size, inserted zeros included."""
        return (self.input - 1) * self.step + 1

    @property
    def span(self) -> int:
        """Pixels from the first tap to the last: dilation * (kernel - 1)."""
        return self.dilation * (self.kernel - 1)

    @cached_property
    def output(self) -> int:
        """Output size, ``floor((I + P_before + P_after - D*(K-1) - 1) / S) + 1`` (Dumoulin & Visin, 2016)."""
        return (self.spaced + self.before + self.after - self.span - 1) // self.stride + 1

    @property
    def padded(self) -> int:
        """Size of the padded axis, up to the last sample that an output reads."""
        return (self.output - 1) * self.stride + self.span + 1

    @property
    def centre(self) -> int:
        """Offset in the window of the tap that ``same`` padding puts on the output's own pixel."""
        return self.span // 2


def plan_axis(stage: Stage, axis: int, length: int, size: int, prefix: str = "") -> AxisPlan:
    """Return the arithmetic of ``stage`` on axis 0 (rows) or 1 (columns).

    Parameters
    ----------
    length, size : int
        Pixels of the picture and taps of the kernel on this axis.
    prefix : str
        Start of error messages, which names the stage.

    Raises
    ------
    SizeError
        The axis has no output; the message puts the numbers into the formula.
    """
    stride, dilation = stage.stride[axis], stage.dilation[axis]
    span = dilation * (size - 1)
    if isinstance(stage.operator, Layer) and stage.operator.transposed:
        return _transposed(stage, stage.operator, axis, length, size, prefix)
    if stage.padding == "same":
        before, after = span // 2, span - span // 2
    elif stage.padding == "valid":
        before = after = 0
    elif stage.padding == "full":
        before = after = span
    elif isinstance(stage.padding, str):
        before, after = _same_by_size(length, stride, span, upper=stage.padding == "same_upper")
    else:
        before, after = (int(pad) for pad in stage.padding[2 * axis : 2 * axis + 2])
    beyond = 0
    if stage.ceil:
        beyond = _beyond(length, stride, span, before, after)
    plan = AxisPlan(length, size, stride, dilation, before, after + beyond, beyond)
    if plan.output < 1:
        raise SizeError(
            f"{prefix}output {('height', 'width')[axis]} must be at least 1, got {plan.output}: "
            f"{'ceil' if stage.ceil else 'floor'}"
            f"(({length} + {before} + {after} - {dilation}*({size} - 1) - 1) / {stride}) + 1; "
            "use a smaller kernel or dilation, or more padding"
        )
    if plan.padded > _LONGEST_AXIS:
        raise SizeError(
            f"{prefix}padded {('height', 'width')[axis]} must be at most {_LONGEST_AXIS} pixels, got {plan.padded}; "
            "use a smaller kernel or dilation, or less padding"
        )
    return plan


def _transposed(stage: Stage, operator: Layer, axis: int, length: int, size: int, prefix: str) -> AxisPlan:
    """Return the arithmetic of a transposed convolution: stride 1 over samples with zeros between them.

    The stage's padding is that of the convolution that is transposed.
    """
    extra = operator.output_padding[axis]
    stride, dilation = stage.stride[axis], stage.dilation[axis]
    span = dilation * (size - 1)
    name = ("height", "width")[axis]
    if extra >= max(stride, dilation):
        raise ParameterError(
            f"{prefix}output_padding must be smaller than stride {stride} or dilation {dilation}, got {extra}"
        )
    outputs = operator.output_size[axis] if operator.output_size else length * stride
    if stage.padding in ("same_upper", "same_lower") or operator.output_size:
        total = (length - 1) * stride + span + 1 + extra - outputs
        extra += max(0, -total) if operator.output_size else 0  # pixels that are missing are added at the end
        total = max(0, total) if operator.output_size else total
        less, rest = total // 2, total - total // 2
        before, after = (less, rest) if stage.padding == "same_upper" else (rest, less)
    elif isinstance(stage.padding, str):
        before, after = {"same": (span // 2, span - span // 2), "valid": (0, 0), "full": (span, span)}[stage.padding]
    else:
        before, after = (int(pad) for pad in stage.padding[2 * axis : 2 * axis + 2])
    plan = AxisPlan(length, size, 1, dilation, span - before, span - after + extra, inserted=stride - 1)
    if plan.output < 1:
        raise SizeError(
            f"{prefix}output {name} must be at least 1, got {plan.output}: "
            f"({length} - 1)*{stride} - {before} - {after} + {dilation}*({size} - 1) + {extra} + 1; use less padding"
        )
    if plan.padded > _LONGEST_AXIS:
        raise SizeError(
            f"{prefix}{name} with zeros inserted must be at most {_LONGEST_AXIS} pixels, got {plan.padded}; "
            "use a smaller stride"
        )
    return plan


def _same_by_size(length: int, stride: int, span: int, *, upper: bool) -> tuple[int, int]:
    """Return the padding before and after that gives ceil(length / stride) outputs.

    If the total is odd, ``upper`` puts the extra cell after the picture, as TensorFlow's SAME and ONNX's SAME_UPPER do;
    else it lies before the picture, as for SAME_LOWER.
    """
    total = max(0, (-(-length // stride) - 1) * stride + span + 1 - length)
    return (total // 2, total - total // 2) if upper else (total - total // 2, total // 2)


def _beyond(length: int, stride: int, span: int, before: int, after: int) -> int:
    """Return how far past the padding the last window reaches if sizes are rounded up.

    A window that would begin past the picture is dropped, as in PyTorch and ONNX, and the result is then negative.
    """
    padded = length + before + after
    outputs = -(-(padded - span - 1) // stride) + 1
    if (outputs - 1) * stride >= length + before:
        outputs -= 1
    beyond = (outputs - 1) * stride + span + 1 - padded
    return beyond if beyond > 0 or outputs < (padded - span - 1) // stride + 1 else 0


def real_cells(axis: AxisPlan) -> npt.NDArray[np.int64]:
    """Count, for each output, the taps that fall on the picture and not on padding."""
    start = np.arange(axis.output, dtype=np.int64) * axis.stride - axis.before
    first = np.maximum(0, -(start // axis.dilation))
    last = np.minimum(axis.kernel - 1, (axis.input - 1 - start) // axis.dilation)
    counts: npt.NDArray[np.int64] = np.maximum(0, last - first + 1)
    return counts


def counted_cells(axis: AxisPlan, operator: Operator) -> npt.NDArray[np.int64]:
    """Count, for each output of a mean, the taps on the picture, and on padding if the operator counts it."""
    if isinstance(operator, Pooling) and operator.count_padding:
        length = axis.input + axis.before + axis.after - axis.beyond
        return real_cells(replace(axis, input=length, before=0, after=axis.beyond))
    return real_cells(axis)


def require_real_cells(rows: AxisPlan, cols: AxisPlan, prefix: str = "") -> None:
    """Refuse pooling windows that hold only padding.

    Raises
    ------
    SizeError
        A window holds no pixel.
    """
    for name, axis in (("height", rows), ("width", cols)):
        counts = real_cells(axis)
        if counts.min() == 0:
            window = f"{axis.kernel}, dilation {axis.dilation}" if axis.dilation > 1 else f"{axis.kernel}"
            raise SizeError(
                f"{prefix}every pooling window must hold at least one pixel, but output {int(counts.argmin())} along "
                f"the {name} has none: padding {axis.before} and {axis.after - axis.beyond}, window {window}; "
                "use less padding"
            )
