"""Branches of a network, each computed from the same rows, and what joins them: sum, product, or one after the other.

Products and sums are those of straight colours; opacity is that of the first branch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from convfilter.engine.borders import Indices
from convfilter.engine.buffer import LineBuffer, Samples, Scratch
from convfilter.engine.load import Source
from convfilter.engine.node import Crew, Node, Rows, StageNode, StageRun, Worker, Workers, placeholder
from convfilter.engine.work import Region, Work
from convfilter.filters.stage import Join
from convfilter.methods.layer import Real, finish
from convfilter.planning import StagePlan
from convfilter.planning.chains import block_rows
from convfilter.planning.plan import for_any_numbers


def nodes(stage: StageRun, nodes_of: Callable[[StageRun], list[Node]]) -> list[Node]:
    """Return the nodes of a stage, of which ``nodes_of`` makes those of the branches."""
    made: list[Node] = []
    ends = []
    for branch in stage.plan.branches:
        before = len(made)
        for number, plan in enumerate(branch):
            own = nodes_of(_in_branch(stage, plan, is_first=number == 0))
            for place, node in enumerate(own):
                # What a first stage reads lies before the branches that have been made.
                node.reads = tuple(back + before if number == 0 and back > place else back for back in node.reads)
            made += own
        ends.append(len(made) if branch else 0)
    joined = _Joined(stage)
    joined.reads = tuple(len(made) + 1 - end for end in ends)
    return [*made, joined]


def _in_branch(stage: StageRun, plan: StagePlan, *, is_first: bool) -> StageRun:
    """Return a stage of a branch; samples that are not finite stay in their windows."""
    source = stage.source
    dtype = source.dtype if is_first else np.dtype(np.float32)
    constant = plan.stage.padding_mode == "constant"
    buffer = placeholder(plan.cols.input, plan.channels, dtype)
    padding = plan.stage.padding_value if constant and plan.algorithm != "pooling" else 0.0
    loaded = Source(buffer, source.full, plan.alpha, False, padding, plan.premultiplied)
    plan = for_any_numbers(plan)
    return StageRun(plan, loaded, np.dtype(np.float32), source.full, block_rows(plan))


class _Joined(StageNode):
    """What joins the branches."""

    def __init__(self, stage: StageRun) -> None:
        super().__init__(stage)
        self._heights = [branch[-1].rows.output if branch else self.plan.rows.input for branch in self.plan.branches]
        self.jump, self.overlap = max(self._heights) / self.rows, 0.0

    def demand(self, top: int, bottom: int, number: int = 0) -> Indices:
        """Return the same rows of each branch; of one that gives a single pixel, its row."""
        return np.arange(top, bottom) if self._heights[number] == self.rows else np.zeros(1, np.int64)

    def crew(self, sources: Sequence[LineBuffer], target: LineBuffer, threads: int) -> Crew:
        """Return workers."""
        work = Work.of(self.plan, self.stage.source)
        epilogue, operator = self.epilogue(work, target), self.plan.stage.operator
        assert isinstance(operator, Join)
        full = work.source.full

        def make() -> Worker:
            scratch = Scratch(np.float64)

            def compute(rows: Rows) -> int:
                seen = [
                    buffer.rows(*rows) if height == self.rows else buffer.rows(0, 1)
                    for buffer, height in zip(sources, self._heights, strict=True)
                ]
                colours, alpha = _joined(operator.kind, seen, work, full)
                return finish(work, epilogue, scratch, Region(*rows, 0, self.plan.cols.output), colours, alpha)

            return compute

        return Workers(make, 4 * 8 * self.block_rows * self.plan.cols.output * self.plan.output_channels)


def _joined(kind: str, seen: Sequence[Samples], work: Work, full: float) -> tuple[Real, Real | None]:
    """Return the colours of some rows, and their alpha if there is any."""
    values = [each.astype(np.float64) for each in seen]
    alpha = None
    if work.source.alpha:
        opacities = [each[..., -1:] for each in values]
        values = [each[..., :-1] for each in values]
        alpha = opacities[0][..., 0]
        if work.source.premultiplied:
            values = [each * (full / np.where(a > 0, a, 1)) for each, a in zip(values, opacities, strict=True)]
    if kind == "concat":
        colours = np.concatenate(values, axis=2)
    else:
        colours = values[0]
        for other in values[1:]:
            colours = colours + other if kind == "add" else colours * other / full
    if alpha is not None:
        alpha = np.ascontiguousarray(np.broadcast_to(alpha, colours.shape[:2]))
        if work.source.premultiplied:
            colours = colours * (alpha[..., np.newaxis] / full)
    return colours, alpha
