"""Receptive field, jump and start of a stack's outputs."""

from __future__ import annotations

import math

from convfilter.planning.arithmetic import AxisPlan
from convfilter.record import record


@record
class Field:
    """The receptive field of a stack's outputs on one axis, in pixels of the picture.

    Attributes
    ----------
    size : int
        Pixels from the first to the last that an output depends on, both included.
    jump : int or float
        Distance of the fields of neighbouring outputs, in pixels: the product of the strides, over the product of the
        strides of transposed convolutions.
    first : int or float
        First pixel that output 0 depends on; negative in the padding.

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

    def joined(self, other: Field) -> Field:
        """Return the union of two fields with the same jump."""
        first = min(self.first, other.first)
        last = max(self.first + self.size, other.first + other.size)
        return Field(math.ceil(last - first), max(self.jump, other.jump), first)

    def _after_transposed(self, axis: AxisPlan) -> Field:
        """Return the field of a transposed convolution: as many samples as its window can hold, centred on it."""
        size = self.size + math.ceil(axis.span // axis.step * self.jump)
        jump = self.jump * axis.stride / axis.step
        centre = self.start + (axis.span / 2 - axis.before) * self.jump / axis.step
        return Field(size, int(jump) if jump == int(jump) else jump, centre - (size - 1) / 2)
