"""Layers: kernels across channels, as matrix products."""

from __future__ import annotations

import numpy as np

from convfilter.filters.network_operators import Layer
from convfilter.planning.method import Grid, Method, even
from convfilter.planning.precision import SINGLE_LEVELS, SINGLE_RANGE, SINGLE_WHOLE
from convfilter.planning.stage_plan import StagePlan
from convfilter.planning.task import Task
from convfilter.sample_types import full_scale

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


def _fits_single(task: Task) -> bool:
    """Whether float32 sums of each output channel are exact, or as accurate as the result has to be."""
    layer = _operator(task)
    magnitudes = np.abs(layer.weight[layer.weight != 0])
    low, high = SINGLE_RANGE
    if magnitudes.size and not low <= magnitudes.min() <= magnitudes.max() <= high:
        return False
    if (task.stored or task.result).kind == "f" and bool((layer.weight >= 0).all(axis=(1, 2, 3)).any()):
        return False  # such a channel stays within the bounds of its windows, as a filter does: see ``Task.is_bounded``
    if task.dtype.kind != "u":
        return True
    sums, whole = layer.absolute_sums
    accurate = np.full(whole.shape, task.accuracy == "float32")
    if task.accuracy in SINGLE_LEVELS and task.stage.map != "stretch":
        levels = abs(task.scale) * full_scale(task.accuracy) * sums / layer.fractions[1]
        accurate = levels <= SINGLE_LEVELS[task.accuracy]
    return bool(np.where(whole, sums * task.largest_term <= SINGLE_WHOLE, accurate).all())


LAYER = Method(
    "layer",
    _cost,
    block_rows=_block_rows,  # a matrix product of another size need not give the same bytes
    grid=lambda plan: Grid(plan.block_rows, 0),
    fits_single=_fits_single,
    passes=lambda plan: (even(int(_operator(plan).weight[0].size)),),
)
