"""Figures of each stage for a printed plan: weights, multiply-adds, receptive field, memory."""

from __future__ import annotations

from convfilter.filters.network_operators import Layer
from convfilter.filters.operators import Correlation, Gradient, Orientation, WeightedSums
from convfilter.planning.field import Field
from convfilter.planning.stack_plan import Plan
from convfilter.planning.stage_plan import StagePlan
from convfilter.record import record


@record
class Figures:
    """Figures of one stage.

    Attributes
    ----------
    rows, cols : Field
        Receptive field of the stage's outputs, in the picture.
    weights : int
        Number of kernel weights, which all channels share.
    multiply_adds : float
        Multiply-adds of the whole stage, by the planned method.
    multiply_adds_direct : float
        Multiply-adds of the whole stage, tap by tap.
    bytes : int
        Bytes of the stage's result.
    """

    rows: Field
    cols: Field
    weights: int
    multiply_adds: float
    multiply_adds_direct: float
    bytes: int


def figures(plan: Plan) -> tuple[Figures, ...]:
    """Return the figures of each stage of ``plan``, first to last."""
    result = []
    for number, stage in enumerate(plan.stages):
        rows, cols = stage.fields
        samples = stage.rows.output * stage.cols.output * stage.output_channels
        summed = stage.rows.output * stage.cols.output * stage.channels
        weights = _weights(stage)
        itemsize = plan.dtype.itemsize if number == len(plan.stages) - 1 else stage.result.itemsize
        direct = float(weights or stage.rows.kernel * stage.cols.kernel) * summed
        if isinstance(stage.stage.operator, Layer):
            direct /= stage.channels
        result.append(Figures(rows, cols, weights, stage.multiply_adds * summed, direct, samples * itemsize))
    return tuple(result)


def _weights(stage: StagePlan) -> int:
    operator = stage.stage.operator
    if isinstance(operator, Layer):
        return int(operator.weight.size)
    one = stage.rows.kernel * stage.cols.kernel
    if isinstance(operator, Gradient | Orientation):
        return 2 * one
    return one if isinstance(operator, WeightedSums) else 0


def equivalent(plan: Plan) -> tuple[int, int, int] | None:
    """Compare a stack with one kernel of the same receptive field: (rows, cols, weights of the stack).

    None if no single kernel can replace the stack: it has one stage, another operator, or a stride before the last.
    """
    stages = plan.stages
    all_kernels = all(isinstance(stage.stage.operator, Correlation) for stage in stages)
    if len(stages) < 2 or not all_kernels or any(stage.stage.stride != (1, 1) for stage in stages[:-1]):
        return None
    result = figures(plan)
    return result[-1].rows.size, result[-1].cols.size, sum(each.weights for each in result)
