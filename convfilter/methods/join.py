"""Branches of a network that read the same rows, joined by sum, product, quotient or concatenation.

Sums, products and quotients are those of straight colours; alpha is that of the first branch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from convfilter.engine.borders import Indices
from convfilter.engine.buffer import LineBuffer, Samples, Scratch
from convfilter.engine.mapped_stage import MappedStage, Region
from convfilter.engine.node import Crew, Node, Rows, StageNode, StageSetup
from convfilter.engine.workers import Worker, Workers
from convfilter.filters.checks import Pair
from convfilter.filters.network_operators import Join, Unpooling
from convfilter.methods.straight import Real, finish
from convfilter.methods.values import straight
from convfilter.planning import StagePlan
from convfilter.planning.method_choice import for_any_numbers


def nodes(stage: StageSetup, nodes_of: Callable[[StageSetup], list[Node]]) -> list[Node]:
    """Return the nodes of a stage; ``nodes_of`` makes those of the branches."""
    branch_nodes: list[Node] = []
    ends = []
    for branch in stage.plan.branches:
        before = len(branch_nodes)
        incoming = stage.source.dtype
        for number, plan in enumerate(branch):
            stage_nodes = nodes_of(_in_branch(stage, plan, incoming))
            incoming = plan.result
            for place, node in enumerate(stage_nodes):
                # The input of a branch's first stage lies in front of the nodes of all branches.
                node.reads = tuple(back + before if number == 0 and back > place else back for back in node.reads)
            branch_nodes += stage_nodes
        ends.append(len(branch_nodes) if branch else 0)
    join = _Join(stage)
    join.reads = tuple(len(branch_nodes) + 1 - end for end in ends)
    return [*branch_nodes, join]


def _in_branch(stage: StageSetup, plan: StagePlan, incoming: np.dtype[np.generic]) -> StageSetup:
    """Return a stage of a branch, with a method that keeps non-finite samples within their windows."""
    plan = for_any_numbers(plan)
    return StageSetup.between_buffers(plan, incoming, plan.result, stage.source.full)


class _Join(StageNode):
    """The node that joins the branches."""

    def __init__(self, stage: StageSetup) -> None:
        super().__init__(stage)
        self._heights = [branch[-1].rows.output if branch else self.plan.rows.input for branch in self.plan.branches]
        self.jump, self.overlap = max(self._heights) / self.rows, 0.0
        operator = stage.plan.stage.operator
        assert isinstance(operator, Join)
        self._operator = operator
        if operator.unpooling:  # an index may place a sample anywhere
            self.block_rows = self.rows

    def demand(self, top: int, bottom: int, number: int = 0) -> Indices:
        """Return the same rows of each branch, or row 0 of a branch that gives a single pixel."""
        if self._operator.unpooling:
            return np.arange(self._heights[number])
        return np.arange(top, bottom) if self._heights[number] == self.rows else np.zeros(1, np.int64)

    def crew(self, sources: Sequence[LineBuffer], target: LineBuffer, threads: int) -> Crew:
        """Return workers."""
        mapped = self.stage.mapped()
        epilogue, operator = self.epilogue(mapped, target), self._operator
        full = mapped.source.full

        def make() -> Worker:
            scratch = Scratch(np.float64)

            def compute(rows: Rows) -> int:
                region = Region(*rows, 0, self.plan.cols.output)
                if operator.unpooling:
                    values, indices = (
                        buffer.rows(0, height) for buffer, height in zip(sources, self._heights, strict=True)
                    )
                    size = self.rows, self.plan.cols.output
                    unpooled = _unpooled(operator.unpooling, values, indices, size, full)
                    return finish(mapped, epilogue, scratch, region, unpooled)
                inputs = [
                    buffer.rows(*rows) if height == self.rows else buffer.rows(0, 1)
                    for buffer, height in zip(sources, self._heights, strict=True)
                ]
                colours, alpha = _joined(operator.kind, inputs, mapped, full)
                return finish(mapped, epilogue, scratch, region, colours, alpha)

            return compute

        return Workers(make, 4 * 8 * self.block_rows * self.plan.cols.output * self.plan.output_channels)


_ARITHMETIC: Mapping[str, Callable[[Real, Real, float], Real]] = {
    "add": lambda one, other, _full: one + other,
    "multiply": lambda one, other, full: one * other / full,
    "divide": lambda one, other, full: one / other * full,
}


def _joined(kind: str, inputs: Sequence[Samples], mapped: MappedStage, full: float) -> tuple[Real, Real | None]:
    """Return the colours of some rows, and their alpha; None without alpha."""
    straight_inputs = [straight(each, mapped.source) for each in inputs]
    values, (_, alpha) = [colours for colours, _ in straight_inputs], straight_inputs[0]
    if kind == "concat":
        colours = np.concatenate(values, axis=2)
    else:
        colours = values[0]
        with np.errstate(divide="ignore", invalid="ignore"):
            for other in values[1:]:
                colours = _ARITHMETIC[kind](colours, other, full)
    if alpha is not None:
        alpha = np.ascontiguousarray(np.broadcast_to(alpha, colours.shape[:2]))
    return colours, alpha


def _unpooled(operator: Unpooling, values: Samples, indices: Samples, size: Pair, full: float) -> Real:
    """Place each sample at its index among zeros; the later of two samples with one index wins."""
    rows, cols, channels = values.shape
    height, width = operator.pooled(rows, cols)
    places = np.rint(indices.astype(np.float64) / full).astype(np.int64)
    channel, place = np.divmod(places, height * width)
    row, col = np.divmod(place, width)
    inside = (places >= 0) & (channel < channels) & (row < size[0]) & (col < size[1])
    unpooled = np.zeros((*size, channels))
    unpooled[row[inside], col[inside], channel[inside]] = values[inside]
    return unpooled
