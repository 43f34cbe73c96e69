"""Compass edges: the largest of several sums with rotated kernels."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from convfilter.engine.borders import Indices
from convfilter.engine.buffer import LineBuffer, Scratch
from convfilter.engine.mapped_stage import Region
from convfilter.engine.node import Crew, Node, Rows, StageNode, StageSetup
from convfilter.engine.workers import Worker, Workers
from convfilter.filters.kernel import Kernel
from convfilter.filters.operators import Compass, Correlation
from convfilter.planning import plan_stack
from convfilter.record import replace


def nodes(stage: StageSetup, nodes_of: Callable[[StageSetup], list[Node]]) -> list[Node]:
    """Return the nodes of a stage; ``nodes_of`` makes those of each kernel."""
    operator = stage.plan.stage.operator
    assert isinstance(operator, Compass)
    sums: list[Node] = []
    ends = []
    for kernel in operator.kernels:
        first, *others = nodes_of(_sum(stage, kernel.rotated() if stage.plan.stage.flip else kernel))
        first.reads = (len(sums) + 1,)
        sums += [first, *others]
        ends.append(len(sums))
    # Sums are already scaled to the source's samples: no factor of the luminance is left.
    largest = _Largest(replace(stage, source=replace(stage.source, gray=False)))
    largest.reads = tuple(len(sums) + 1 - end for end in ends)
    largest.block_rows = sums[-1].block_rows  # a higher block would hold more rows of all sums
    return [*sums, largest]


def _sum(stage: StageSetup, kernel: Kernel) -> StageSetup:
    """Return the stage that sums by one kernel, unscaled."""
    plan, source = stage.plan, stage.source
    padding = (plan.rows.before, plan.rows.after, plan.cols.before, plan.cols.after)
    unmapped = replace(
        plan.stage, operator=Correlation(kernel), signed=False, flip=False, ceil=False, padding=padding, scale=1.0,
        offset=0.0, map=None,
    )  # fmt: skip
    shape = plan.rows.input, plan.cols.input, plan.channels + 2 * source.gray
    real = np.dtype(plan.precision)
    plan_of_sum = plan_stack(
        [unmapped], shape, source.dtype, out_dtype=real, alpha=source.alpha, gray=source.gray, white=source.full,
        out_white=source.full, premultiplied=source.premultiplied,
    )  # fmt: skip
    (planned,) = plan_of_sum.stages
    return StageSetup.between_buffers(planned, source.dtype, real, source.full, gray=source.gray)


class _Largest(StageNode):
    """The largest of the sums; alpha is that of the centre pixels, the same for all sums."""

    def demand(self, top: int, bottom: int, number: int = 0) -> Indices:
        """Return the same rows of each sum."""
        return np.arange(top, bottom)

    def crew(self, sources: Sequence[LineBuffer], target: LineBuffer, threads: int) -> Crew:
        """Return workers."""
        mapped = self.stage.mapped()
        epilogue = self.epilogue(mapped, target)

        def make() -> Worker:
            scratch = Scratch(np.float64)

            def compute(rows: Rows) -> int:
                size = (rows[1] - rows[0]) * self.row_shape[0] * self.row_shape[1]
                values = scratch.get("largest", size)[:size].reshape(rows[1] - rows[0], *self.row_shape)
                values[:] = sources[0].rows(*rows)
                for each in sources[1:]:
                    np.maximum(values, each.rows(*rows), out=values)
                alpha = values[..., -1].copy() if mapped.source.alpha else None
                return epilogue.store_values(Region(*rows, 0, self.row_shape[0]), values, alpha)

            return compute

        return Workers(make, 2 * 8 * self.block_rows * self.row_shape[0] * self.row_shape[1])
