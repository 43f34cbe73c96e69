"""The steps of an exploration: the geometry of each stage, the patch that a page draws, and facts for its script."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from convfilter.filters.network_operators import Layer, NetworkOperator
from convfilter.filters.operators import Correlation, Gradient, Orientation, Point, Pooling, UnsharpMask
from convfilter.filters.stage import Stage
from convfilter.planning import AxisPlan, plan_stack
from convfilter.planning.composites import sized
from convfilter.record import NamedTuple, replace
from convfilter.report.figures import titled_kernels

#: Most outputs along a side of the patch, and most cells along a side of any grid.
_MOST_OUTPUTS = 12
MOST_CELLS = 56

Span = tuple[int, int]


def goes_across(stages: Sequence[Stage]) -> bool:
    """Whether a stage computes its outputs from more than one channel."""
    return any(is_across(stage) for stage in stages)


def is_across(stage: Stage) -> bool:
    """Whether a stage computes its outputs from more than one channel."""
    operator = stage.operator
    if isinstance(operator, Layer):
        return operator.weight.shape[:2] != (1, 1)
    return isinstance(operator, Orientation | NetworkOperator)


class Step(NamedTuple):
    """A step from one level to the next: a stage, or the zero insertion of a transposed convolution.

    Attributes
    ----------
    stage : Stage
    number : int
        Number of the stage, from 0.
    axes : pair of AxisPlan
        Geometry of rows and columns, without inserted zeros.
    channels : int
        Channels of the result.
    spreads : bool
        Whether the step inserts zeros, by the stride of the axes.
    """

    stage: Stage
    number: int
    axes: tuple[AxisPlan, AxisPlan]
    channels: int
    spreads: bool = False

    @property
    def name(self) -> str:
        """Title of the step."""
        return "zeros between samples" if self.spreads else self.stage.name


def steps(stages: Sequence[Stage], shape: tuple[int, ...]) -> list[Step]:
    """Return the geometry of each stage on its rows and columns; a transposed convolution is two steps."""
    result = []
    size = shape
    for number, each in enumerate(stages):
        stage = sized(each, size)
        (planned,) = plan_stack([stage], size, np.float32).stages
        axes = planned.rows, planned.cols
        if any(axis.inserted for axis in axes):
            apart = [AxisPlan(axis.input, 1, axis.step, 1, 0, 0, inserted=axis.inserted) for axis in axes]
            wide = [replace(axis, stride=1) for axis in apart]
            result.append(Step(stage, number, (wide[0], wide[1]), planned.channels, True))
            axes = (
                replace(axes[0], input=axes[0].spaced, inserted=0),
                replace(axes[1], input=axes[1].spaced, inserted=0),
            )
        result.append(Step(stage, number, axes, planned.output_channels))
        size = planned.rows.output, planned.cols.output, planned.output_channels
    return result


def patch(axes: Sequence[AxisPlan], at: float) -> list[Span] | None:
    """Choose outputs of the last stage, and return the range that they read of each level; None if no output fits.

    The larger the receptive field, the fewer outputs fit.
    """
    last = axes[-1].output
    for count in range(min(_MOST_OUTPUTS, last), 0, -1):
        first = round(at * (last - count))
        spans = [(first, first + count)]
        for axis in reversed(axes):
            low, high = max(spans[0][0], 0), min(spans[0][1], axis.output)
            if axis.inserted:
                spans.insert(0, (low // axis.step, (high - 1) // axis.step + 1))
            else:
                end = (high - 1) * axis.stride - axis.before + axis.span + 1
                spans.insert(0, (low * axis.stride - axis.before, end))
        if max(high - low for low, high in spans) <= MOST_CELLS:
            return spans
    return None


def described(step: Step, white: float) -> dict[str, Any]:
    """Describe how a step computes a pixel from its window."""
    stage = step.stage
    if step.spreads:
        pairs: dict[str, Any] = {
            "size": [1, 1],
            "stride": [axis.step for axis in step.axes],
            "dilation": [1, 1],
            "before": [0, 0],
        }
        return {"name": step.name, "kind": "spread", "kernels": [], "scale": 1, "offset": 0, **pairs}
    kernels = [
        {"title": title, "numerators": kernel.matrix.tolist(), "divisor": kernel.divisor}
        for title, kernel in titled_kernels(stage)
        if max(kernel.shape) <= MOST_CELLS
    ]
    offset = stage.offset * white
    facts: dict[str, Any] = {
        "name": stage.name,
        "kind": "window",
        "kernels": kernels,
        "size": [axis.kernel for axis in step.axes],
        "stride": [axis.stride for axis in step.axes],
        "dilation": [axis.dilation for axis in step.axes],
        "before": [axis.before for axis in step.axes],
        "scale": stage.scale,
        "offset": offset,
    }
    return facts | _particulars(stage, white, offset)


def _particulars(stage: Stage, white: float, offset: float) -> dict[str, Any]:
    """Return the facts that depend on the operator: the kind of computation, and its numbers."""
    operator = stage.operator
    match operator:
        case Correlation():
            return {"kind": "sum", "offset": offset + operator.shift}
        case Gradient():
            return {"kind": "magnitude"}
        case UnsharpMask():
            return {"kind": "unsharp", "amount": operator.amount, "threshold": operator.threshold * white}
        case Pooling() if operator.kind != "power":
            return {"kind": operator.kind}
        case Layer() if is_across(stage):
            weights = operator.weight.reshape(-1, *operator.weight.shape[2:])
            kernels = [{"title": "weights", "numerators": each.tolist(), "divisor": 1.0} for each in weights]
            mix = {"kind": "mix", "groups": operator.groups, "slots": operator.weight.shape[1], "kernels": kernels}
            return mix | {"activation": operator.activation, "bias": (operator.bias * white).tolist()}
        case Layer() if operator.activation == "none":
            kernels = [{"title": "weights", "numerators": operator.weight[0, 0].tolist(), "divisor": 1.0}]
            return {"kind": "sum", "offset": offset + operator.bias[0] * white * stage.scale, "kernels": kernels}
        case Point():
            return {"kind": "point"}
        case _ if is_across(stage):
            return {"kind": "across", "kernels": []}
    return {}
