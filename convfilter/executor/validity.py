"""The mask of a stage's result: a result is valid if any pixel of its window is; a difference, if all are.

Canny's edges are differences of smoothed samples: all pixels of the gradient's window must be valid, or, if ignored
pixels get results too, any pixel of the smoothing's.

Weights of both signs may cancel on the valid pixels. Then there is no mean, and the result is not valid: the sum of
these weights must have the sign of the sum of all.
"""

from __future__ import annotations

import math

import numpy as np

from convfilter.engine.borders import CONSTANT, Indices, index_map
from convfilter.engine.buffer import Samples
from convfilter.executor.bands import reach_of, run_band
from convfilter.executor.held import Held, Span, Valid
from convfilter.executor.mask_windows import MaskWindows, are_small
from convfilter.filters.kernel import Kernel
from convfilter.filters.network_operators import Layer
from convfilter.filters.operators import (
    Canny,
    Compass,
    Correlation,
    Gradient,
    Morphology,
    Orientation,
    Point,
    Pooling,
    UnsharpMask,
)
from convfilter.filters.stage import Stage
from convfilter.filters.traits import ones
from convfilter.planning import AxisPlan, Plan
from convfilter.planning.plan_cache import cached_plan
from convfilter.planning.stage_plan import StagePlan
from convfilter.record import replace

#: Share of the weights' magnitudes up to which their sum is rounding alone.
_ROUNDING = 1e-6


class Validity:
    """Finds the valid pixels of a stage's result.

    Parameters
    ----------
    stage : Stage
    planned : StagePlan
        The stage's geometry.
    fill : bool
        Whether results that are centred on ignored pixels are valid too.

    Attributes
    ----------
    plans : tuple of Plan
        The plan of the extreme of the mask in each window; empty if the centre pixel decides.
    sums : tuple of Plan
        The plan of the sum of the weights on valid pixels, if weights have both signs.
    """

    def __init__(self, stage: Stage, planned: StagePlan, *, fill: bool) -> None:
        self._stage, self._planned = stage, planned
        fills_ridges = fill and isinstance(stage.operator, Canny)  # smoothing gives ignored pixels values
        self._needs_all = stage.operator.is_difference and not fills_ridges
        cells = self._cells()
        # All weights except the centre's are negative: without the centre pixel, there is no mean.
        sharpens = isinstance(stage.operator, UnsharpMask) and stage.operator.amount >= 0
        self._centres = sharpens or not (fill or isinstance(stage.operator, Pooling | Point))
        has_extreme = not isinstance(stage.operator, Point)
        if self._centres and not self._needs_all and self._sees_centre(cells):
            has_extreme = False
        self.plans = (self._extreme(cells),) if has_extreme else ()
        # Sums of whole weights are whole, and those above 0 stay above 0 in bytes.
        is_whole = isinstance(stage.operator, Correlation) and stage.operator.kernel.has_integer_numerators
        self._sum_type: type[np.generic] = np.uint8 if is_whole else np.float32
        self.sums, self._least = self._sum_of_weights()
        self._windows = self._small_windows()
        axes = (planned.rows, planned.cols)
        self._rows, self._cols = map(_centres_of, axes, stage.padding_modes)
        self._in_place = np.array_equal(self._cols, np.arange(planned.cols.input))

    def reach(self, span: Span) -> Span:
        """Return the rows of the mask that some rows of the result read."""
        reaches = [reach_of([plan], span) for plan in (*self.plans, *self.sums)]
        rows = self._rows[slice(*span)]
        rows = rows[rows != CONSTANT]
        if rows.size and (self._centres or not reaches):
            reaches.append((int(rows.min()), int(rows.max()) + 1))
        starts, stops = zip(*(reaches or [(0, 1)]), strict=True)
        return min(starts), max(stops)

    def write(self, held: Held, span: Span, out: Valid) -> None:
        """Write the valid pixels of some rows of the result."""
        if held.are_valid([self.reach(span)]):
            out[:] = True
            return
        if self._windows is not None:
            self._windows.write(held, span, out)
            return
        if self.plans and not (self._centres or self.sums):  # the extreme of a mask is a mask
            self._run(self.plans[0], held, span, out.view(np.uint8))
            return
        out[:] = self.centres(held, span)
        for plan in self.plans:
            out &= self._of_mask(plan, held, span, np.uint8) > 0
        for plan in self.sums:
            out &= self._of_mask(plan, held, span, self._sum_type) > self._least

    def centres(self, held: Held, span: Span) -> Valid:
        """Return whether the pixel at the centre of each of some results is valid; True where it does not decide."""
        if self._centres or not self.plans:
            return self._central(held, span)
        return np.broadcast_to(np.True_, (span[1] - span[0], self._planned.cols.output))

    def _of_mask(self, plan: Plan, held: Held, span: Span, dtype: type[np.generic]) -> Samples:
        """Return some rows of the result of a plan on the mask."""
        out = np.empty((span[1] - span[0], self._planned.cols.output), dtype)
        self._run(plan, held, span, out)
        return out

    @staticmethod
    def _run(plan: Plan, held: Held, span: Span, out: Samples) -> None:
        """Write some rows of the result of a plan on the mask."""
        marks = Held(held.first, np.ascontiguousarray(held.valid).view(np.uint8)[..., np.newaxis], held.valid)
        run_band(plan, marks, span, out[..., np.newaxis], 1)

    def _central(self, held: Held, span: Span) -> Valid:
        """Return the validity of the centre pixel of each result; centres beyond the border are valid."""
        rows, cols = self._rows[slice(*span)], self._cols
        first, last = int(rows[0]), int(rows[-1])
        if self._in_place and first != CONSTANT and np.array_equal(rows, np.arange(first, last + 1)):
            return held.valid[first - held.first : last + 1 - held.first]
        valid: Valid = held.valid[np.ix_(np.maximum(rows - held.first, 0), np.maximum(cols, 0))]
        valid |= (rows == CONSTANT)[:, np.newaxis] | (cols == CONSTANT)
        return valid

    def _cells(self) -> Kernel | None:
        """Return a kernel of 1 where a weight is not zero, else 0; None: 1 everywhere, also if all weights are zero."""
        operator = self._stage.operator
        if isinstance(operator, Pooling | Point):
            return None
        if isinstance(operator, Layer):
            return _where(np.abs(operator.weight).sum(axis=(0, 1)))
        if isinstance(operator, Compass):
            return _where(np.abs([kernel.matrix for kernel in operator.kernels]).sum(axis=0))
        if isinstance(operator, Gradient | Orientation):
            return _where(np.abs(operator.x.matrix) + np.abs(operator.y.matrix))
        if isinstance(operator, Canny):  # gradients of smoothed samples; or, with fill, the smoothing
            return ones((3, 3)) if self._needs_all else ones((2 * operator.reach + 1,) * 2)
        kernel = self._planned.kernel
        if isinstance(operator, Morphology) and operator.kind == "dilate":
            return kernel.rotated() if not kernel.is_box else None
        # A Gaussian's window may be too large for its matrix.
        return None if kernel.factors is not None and all(map(np.all, kernel.factors)) else _where(kernel.matrix)

    def _sum_of_weights(self) -> tuple[tuple[Plan, ...], float]:
        """Return the plan of the sum of the weights on valid pixels, and what a sum must exceed."""
        operator, stage = self._stage.operator, self._stage
        if self._needs_all or not isinstance(operator, Correlation) or operator.kernel.has_one_sign:
            return (), 0.0
        kernel = operator.kernel
        is_whole = self._sum_type == np.uint8
        sums = replace(
            stage, signed=False, scale=math.copysign(abs(kernel.divisor) if is_whole else 1.0, kernel.sum), offset=0.0,
            map=None, padding_value=1.0 if stage.pads_with_value else 0.0,
        )  # fmt: skip
        shape = self._planned.rows.input, self._planned.cols.input, 1
        plan = cached_plan([sums], shape, np.dtype(np.uint8), out_dtype=np.dtype(self._sum_type))
        return (plan,), 0 if is_whole else _ROUNDING * kernel.absolute_sum / abs(kernel.divisor)

    def _small_windows(self) -> MaskWindows | None:
        """Return what finds the valid results of a small difference, or of a small mean with weights of both signs."""
        plans = self.sums or (self.plans if self._needs_all and not isinstance(self._stage.operator, Canny) else ())
        if not plans or not are_small(plans[0].stages[0]):
            return None
        planned = plans[0].stages[0]
        weights = planned.kernel.matrix * math.copysign(1.0, planned.scale)
        return MaskWindows(planned, weights, 1 if self.sums else int(weights.sum()), centre=self._centres)

    def _extreme(self, cells: Kernel | None) -> Plan:
        """Return the plan of the minimum (all valid) or maximum (any valid) of the mask in each window."""
        operator, stage, needs_all = self._stage.operator, self._stage, self._needs_all
        shape = cells.shape if cells is not None else self._planned.kernel.shape
        # The kernels of other operators are flipped already.
        flips = stage.flip and isinstance(operator, Gradient | Orientation | Compass)
        extreme = replace(
            stage, flip=flips, scale=1.0, offset=0.0, map=None,
            signed=False, padding_value=1.0 if stage.pads_with_value else 0.0,
        )  # fmt: skip
        if isinstance(operator, Pooling):
            extreme = replace(extreme, operator=replace(operator, kind="max", count_padding=False))
        else:
            window = cells if cells is not None else Kernel(factors=(np.ones(shape[0]), np.ones(shape[1])))
            rotated = window if needs_all or window.is_box else window.rotated()
            extreme = replace(extreme, operator=Morphology("erode" if needs_all else "dilate", rotated))
        return cached_plan([extreme], (self._planned.rows.input, self._planned.cols.input, 1), np.dtype(np.uint8))

    def _sees_centre(self, cells: Kernel | None) -> bool:
        """Whether each window contains its centre pixel with a nonzero weight: if that is valid, so is the result."""
        rows, cols = self._planned.rows.kernel, self._planned.cols.kernel
        return rows % 2 == cols % 2 == 1 and (cells is None or bool(cells.matrix[rows // 2, cols // 2]))


def _where(weights: np.ndarray) -> Kernel | None:
    return Kernel((weights != 0).astype(np.float64)) if weights.any() else None


def _centres_of(axis: AxisPlan, mode: str) -> Indices:
    """Return the source place of the centre of each output; ``CONSTANT`` in constant padding."""
    centres = np.arange(axis.output) * axis.stride + axis.centre
    return index_map(axis.input, axis.before, axis.padded, mode)[centres]
