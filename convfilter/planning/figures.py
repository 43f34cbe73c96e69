"""What a plan amounts to, stage by stage: weights, multiply-adds, receptive field, memory."""

from __future__ import annotations

import math

import numpy as np

from convfilter.filters.stage import Correlation, Gradient, Layer, Orientation, UnsharpMask
from convfilter.planning.arithmetic import AxisPlan
from convfilter.planning.plan import Plan
from convfilter.planning.stage_plan import StagePlan
from convfilter.record import record


@record
class Field:
    """The receptive field of a stack's outputs on one axis, in pixels of the picture.

    Attributes
    ----------
    size : int
        How many pixels lie between the first and the last that an output sees, both counted.
    jump : int or float
        How far apart the fields of two neighbouring outputs are: the product of the strides, each of a transposed
        convolution in the denominator.
    first : int or float
        The first pixel that the first output sees; negative in the padding.

    Notes
    -----
    Dumoulin & Visin (2016); A. Araujo, W. Norris, J. Sim, "Computing receptive
    fields of convolutional neural networks", Distill (2019).
    """

    size: int = 1
    jump: float = 1
    first: float = 0

    @property
    def start(self) -> float:
        """The centre of the first output's field: 0 is the centre of the first pixel."""
        return self.first + (self.size - 1) / 2

    def after(self, axis: AxisPlan) -> Field:
        """Return the field of the outputs of one more stage."""
        if axis.inserted:
            return self._after_transposed(axis)
        return Field(
            self.size + math.ceil(axis.span * self.jump),
            self.jump * axis.stride,
            self.first - axis.before * self.jump,
        )

    def _after_transposed(self, axis: AxisPlan) -> Field:
        """Count the samples that the window can hold; it is centred as if zeros were samples."""
        size = self.size + math.ceil(axis.span // axis.step * self.jump)
        jump = self.jump * axis.stride / axis.step
        centre = self.start + (axis.span / 2 - axis.before) * self.jump / axis.step
        return Field(size, int(jump) if jump == int(jump) else jump, centre - (size - 1) / 2)


@record
class Figures:
    """What one stage amounts to.

    Attributes
    ----------
    rows, cols : Field
        What an output of the stage sees of the picture.
    weights : int
        Numbers that the stage is made of: those of its kernels, which all channels share.
    multiply_adds : float
        For the whole stage, as it is computed.
    multiply_adds_direct : float
        For the whole stage, were every weight multiplied with every sample that it meets.
    bytes : int
        Of the result that the stage leaves.
    """

    rows: Field
    cols: Field
    weights: int
    multiply_adds: float
    multiply_adds_direct: float
    bytes: int


def figures(plan: Plan) -> tuple[Figures, ...]:
    """Return the figures of each stage of ``plan``, first to last."""
    rows = cols = Field()
    found = []
    for number, stage in enumerate(plan.stages):
        rows, cols = rows.after(stage.rows), cols.after(stage.cols)
        samples = stage.rows.output * stage.cols.output * stage.output_channels
        summed = stage.rows.output * stage.cols.output * stage.channels
        weights = _weights(stage)
        itemsize = plan.dtype.itemsize if number == len(plan.stages) - 1 else np.dtype(np.float32).itemsize
        direct = float(weights or stage.rows.kernel * stage.cols.kernel) * summed
        if isinstance(stage.stage.operator, Layer):
            direct /= stage.channels
        found.append(Figures(rows, cols, weights, stage.multiply_adds * summed, direct, samples * itemsize))
    return tuple(found)


def _weights(stage: StagePlan) -> int:
    operator = stage.stage.operator
    if isinstance(operator, Layer):
        return int(operator.weight.size)
    one = stage.rows.kernel * stage.cols.kernel
    if isinstance(operator, Gradient | Orientation):
        return 2 * one
    return one if isinstance(operator, Correlation | UnsharpMask) else 0


def equivalent(plan: Plan) -> tuple[int, int, int] | None:
    """Compare a stack with one kernel of the same receptive field: (rows, cols, weights of the stack).

    None where there are not two kernels whose sums could be one: other
    operators among them, or strides before the last.
    """
    stages = plan.stages
    plain = all(isinstance(stage.stage.operator, Correlation) for stage in stages)
    if len(stages) < 2 or not plain or any(stage.stage.stride != (1, 1) for stage in stages[:-1]):
        return None
    found = figures(plan)
    return found[-1].rows.size, found[-1].cols.size, sum(each.weights for each in found)
