"""Convolution arithmetic on one axis: padding, stride, dilation, output size."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from convfilter.errors import SizeError
from convfilter.filters.stage import Stage
from convfilter.record import record

#: Places of a padded axis, at most: its index map takes eight bytes for each.
_LONGEST_AXIS = 2**26


@record
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


def plan_axis(stage: Stage, axis: int, length: int, size: int, prefix: str = "") -> AxisPlan:
    """Return the arithmetic of ``stage`` on axis 0 (rows) or 1 (columns).

    Parameters
    ----------
    length, size : int
        Pixels of the picture and taps of the kernel on this axis.
    prefix : str
        Put before an error's text: which stage it is.

    Raises
    ------
    SizeError
        Nothing is left of the axis; the message puts the numbers into the formula.
    """
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
            f"{prefix}output {('height', 'width')[axis]} must be at least 1, got {plan.output}: "
            f"floor(({length} + {before} + {after} - {dilation}*({size} - 1) - 1) / {stride}) + 1; "
            "use a smaller kernel or dilation, or more padding"
        )
    if plan.padded > _LONGEST_AXIS:
        raise SizeError(
            f"{prefix}padded {('height', 'width')[axis]} must be at most {_LONGEST_AXIS} pixels, got {plan.padded}; "
            "use a smaller kernel or dilation, or less padding"
        )
    return plan


def real_cells(axis: AxisPlan) -> npt.NDArray[np.int64]:
    """Count, for each output, the taps that fall on the picture and not on padding."""
    start = np.arange(axis.output, dtype=np.int64) * axis.stride - axis.before
    first = np.maximum(0, -(start // axis.dilation))
    last = np.minimum(axis.kernel - 1, (axis.input - 1 - start) // axis.dilation)
    counts: npt.NDArray[np.int64] = np.maximum(0, last - first + 1)
    return counts


def require_real_cells(rows: AxisPlan, cols: AxisPlan, prefix: str = "") -> None:
    """Refuse a pooling window that would hold nothing but padding.

    Raises
    ------
    SizeError
        Some window holds no pixel.
    """
    for name, axis in (("height", rows), ("width", cols)):
        counts = real_cells(axis)
        if counts.min() == 0:
            raise SizeError(
                f"{prefix}every pooling window must hold at least one pixel, but output {int(counts.argmin())} along "
                f"the {name} has none: padding {axis.before} and {axis.after}, window {axis.kernel}; use less padding"
            )
