"""The plan of a stack, and its refinement."""

from __future__ import annotations

import numpy as np

from convfilter.planning.groups import groups_of
from convfilter.planning.stage_plan import Group, StagePlan
from convfilter.record import NamedTuple, record
from convfilter.sample_types import full_scale, is_integer


class Refinement(NamedTuple):
    """Stages of more exact sums than their own results need, since the stages after them enlarge their errors.

    Attributes
    ----------
    summed : frozenset of int
        Numbers of the stages, from 0 on, whose sums are float64.
    stored : frozenset of int
        Numbers of those that also pass their results on in float64.
    """

    summed: frozenset[int] = frozenset()
    stored: frozenset[int] = frozenset()


@record
class Plan:
    """The plan of a stack for one picture size and sample type.

    Attributes
    ----------
    stages : tuple of StagePlan
        First to last.
    input_shape : (rows, cols) or (rows, cols, channels)
    dtype : dtype
        Sample type of the input.
    alpha : bool
        Whether the last channel is alpha.
    gray : bool
        Whether the first stage takes the luminance of its input.
    white, out_white : float or None
        Values of white in the input and in an integer result, where they are not the full scale of the sample type.
    between : dtype
        Sample type of real results between two stages; see ``StagePlan.result``.
    """

    stages: tuple[StagePlan, ...]
    input_shape: tuple[int, ...]
    dtype: np.dtype[np.generic]
    alpha: bool
    gray: bool
    white: float | None = None
    out_white: float | None = None
    between: np.dtype[np.generic] = np.dtype(np.float32)

    @property
    def full(self) -> float:
        """The value of white in the input, and in real results."""
        return self.white or full_scale(self.dtype)

    def full_out(self, dtype: np.dtype[np.generic]) -> float:
        """Return the value of white in a result of ``dtype``."""
        return (self.out_white or full_scale(dtype)) if is_integer(dtype) else self.full

    @property
    def input_colours(self) -> int:
        """Colour channels of the first stage's input, without alpha."""
        return self.stages[0].channels - self.alpha

    @property
    def groups(self) -> tuple[Group, ...]:
        """Groups of stages that run together, first to last."""
        if len(self.stages) == 1:
            return (Group(0, 1),)
        return groups_of(self.stages)

    @property
    def output_shape(self) -> tuple[int, ...]:
        """(rows, cols) or (rows, cols, channels) of the result."""
        last = self.stages[-1]
        size = (last.rows.output, last.cols.output)
        squeeze = last.output_channels == 1 and (len(self.input_shape) == 2 or self.gray)
        return size if squeeze else (*size, last.output_channels)
