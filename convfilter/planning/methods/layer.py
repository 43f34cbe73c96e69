"""Layers: kernels across channels, as matrix products."""

from __future__ import annotations

from convfilter.filters.stage import Layer
from convfilter.planning.method import Grid, Method, always
from convfilter.planning.stage_plan import StagePlan
from convfilter.planning.task import Task

#: Bytes of the matrix of windows (im2col) that is multiplied with the weights: about a core's cache.
_MATRIX_BYTES = 4 << 20


def _operator(task: Task | StagePlan) -> Layer:
    operator = task.stage.operator
    assert isinstance(operator, Layer)
    return operator


def _cost(task: Task) -> float:
    """Return the multiply-adds of all output channels for one input channel: other methods count one channel, too."""
    # In a transposed convolution, most taps fall on the zeros between samples.
    return _operator(task).weight.size / task.channels / (task.rows.step * task.cols.step)


def _block_rows(task: Task) -> int:
    # A transposed convolution has one matrix for each phase, with a share of the outputs and of the taps.
    phases = task.rows.step * task.cols.step
    windows = task.cols.output * task.channels * task.kernel.matrix.size
    return max(task.rows.step, _MATRIX_BYTES * phases // (4 * windows))


LAYER = Method(
    "layer",
    _cost,
    block_rows=_block_rows,
    has_own_blocks=always,  # a matrix product of another size need not give the same bytes
    grid=lambda plan: Grid(plan.block_rows, 0),
    terms=lambda plan: int(_operator(plan).weight[0].size),
)
