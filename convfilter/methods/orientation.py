"""The gradient as a colour: its direction as hue, its magnitude as brightness.

The first node takes the luminance, two chains of nodes differentiate it, and the last node makes the colour.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from convfilter.engine.borders import Indices
from convfilter.engine.buffer import LineBuffer, Samples, Scratch
from convfilter.engine.mapped_stage import Region
from convfilter.engine.node import Crew, Node, Rows, StageNode, StageSetup
from convfilter.engine.workers import Worker, Workers
from convfilter.filters.kernel import Kernel
from convfilter.filters.operators import Correlation, Orientation
from convfilter.methods.straight import finish
from convfilter.planning import LUMINANCE, LUMINANCE_DIVISOR, plan_stack
from convfilter.planning.groups import block_rows
from convfilter.record import replace
from convfilter.sample_types import real_of

Real = npt.NDArray[np.float64]


def nodes(stage: StageSetup, nodes_of: Callable[[StageSetup], list[Node]]) -> list[Node]:
    """Return the nodes of a stage; ``nodes_of`` makes the derivatives. Transparent pixels count as black."""
    operator = stage.plan.stage.operator
    assert isinstance(operator, Orientation)
    derivatives: list[Node] = [_Luminance(stage)]
    ends = []
    for kernel in (operator.x, operator.y):
        first, *others = nodes_of(_derivative(stage, kernel))
        first.reads = (len(derivatives),)
        derivatives += [first, *others]
        ends.append(len(derivatives))
    colour = _Colour(stage)
    # The derivatives, and the picture for its alpha.
    colour.reads = (*(len(derivatives) + 1 - end for end in ends), len(derivatives) + 1)
    return [*derivatives, colour]


def _derivative(stage: StageSetup, kernel: Kernel) -> StageSetup:
    """Return the stage that differentiates the luminance."""
    plan = stage.plan
    unmapped = replace(plan.stage, operator=Correlation(kernel), signed=False, scale=1.0, offset=0.0, map=None)
    real = _luminance_type(stage)
    (planned,) = plan_stack([unmapped], (plan.rows.input, plan.cols.input), real).stages
    return StageSetup.between_buffers(planned, real, real, 1.0)


def _luminance_type(stage: StageSetup) -> np.dtype[np.generic]:
    return real_of(stage.source.dtype, stage.dtype)


class _Luminance(Node):
    """Luminance, on the scale of the source's samples."""

    def __init__(self, stage: StageSetup) -> None:
        self._source = stage.source
        self.rows, self.row_shape = stage.plan.rows.input, (stage.plan.cols.input, 1)
        self.block_rows, self.dtype = block_rows(stage.plan), _luminance_type(stage)
        self.cost = float(self.rows * self.row_shape[0] * stage.plan.channels)

    def demand(self, top: int, bottom: int, number: int = 0) -> Indices:
        """Return the same rows."""
        return np.arange(top, bottom)

    def crew(self, sources: Sequence[LineBuffer], target: LineBuffer, threads: int) -> Crew:
        """Return workers."""

        def compute(rows: Rows) -> int:
            target.rows(*rows)[:, :, 0] = self._luminance(sources[0].rows(*rows))
            return 0

        return Workers(lambda: compute, 0)

    def _luminance(self, image: Samples) -> Real:
        source = self._source
        colours = (image[..., :-1] if source.alpha else image).astype(np.float64)
        if colours.shape[2] == len(LUMINANCE):
            colours = (colours @ np.array(LUMINANCE) / LUMINANCE_DIVISOR)[..., np.newaxis]
        if source.multiplies:
            colours = colours * (image[..., -1:] / source.full)
        luminance: Real = colours[..., 0]
        return luminance


class _Colour(StageNode):
    """Colour of the gradient: red (hue 0) where the luminance rises to the right, green a third of a turn further."""

    def demand(self, top: int, bottom: int, number: int = 0) -> Indices:
        """Return the same rows of both derivatives, and the picture's rows at their centres."""
        if number < len("xy"):
            return np.arange(top, bottom)
        return self.central_rows(top, bottom)

    def crew(self, sources: Sequence[LineBuffer], target: LineBuffer, threads: int) -> Crew:
        """Return workers."""
        x, y, picture = sources
        mapped = self.stage.mapped(picture)
        epilogue, operator = self.epilogue(mapped, target), self.plan.stage.operator
        assert isinstance(operator, Orientation)
        turn = operator.turn

        def make() -> Worker:
            scratch = Scratch(np.float64)

            def compute(rows: Rows) -> int:
                fall, rise = (buffer.rows(*rows)[:, :, 0].astype(np.float64) for buffer in (x, y))
                # The kernels' first row and column are positive: the derivative x is negative where the luminance
                # rises to the right.
                turns = np.arctan2(rise, -fall) / (2 * np.pi) + turn
                colours = np.hypot(-fall, rise)[..., np.newaxis] * hue(turns)
                return finish(mapped, epilogue, scratch, Region(*rows, 0, self.plan.cols.output), colours)

            return compute

        return Workers(make, 4 * 8 * self.block_rows * self.plan.cols.output * self.plan.output_channels)


def hue(turns: Real) -> Real:
    """Return the saturated colour (red, green, blue; 0 to 1) of each hue, in turns: 0 red, 1/3 green, 2/3 blue."""
    distance = np.abs((turns[..., np.newaxis] - np.array([0.0, 1 / 3, 2 / 3]) + 0.5) % 1.0 - 0.5)
    pure: Real = np.clip(2.0 - 6.0 * distance, 0.0, 1.0)
    return pure
