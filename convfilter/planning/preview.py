"""Plans for previews: faster and less exact than the promise for files; on a screen of 8 bits no difference shows."""

from __future__ import annotations

import numpy as np

from convfilter.filters.operators import Correlation
from convfilter.planning.methods import chosen_method
from convfilter.planning.plan import plan_stack
from convfilter.planning.stack_plan import Plan
from convfilter.planning.stage_plan import StagePlan
from convfilter.record import replace


def for_preview(plan: Plan) -> Plan:
    """Return a plan with less exact sums.

    Methods that declare it sum float32 samples in float32. A Gaussian of bytes in front of other stages is as exact
    as one whose result is stored as bytes.
    """
    if plan.dtype == np.float32:
        return replace(plan, stages=tuple(_in_single(stage) for stage in plan.stages))
    first, *others = plan.stages
    operator = first.stage.operator
    is_gaussian = isinstance(operator, Correlation) and operator.kernel.sigma is not None and first.stage.offset == 0
    if not (others and is_gaussian and plan.dtype == np.uint8 and plan.white is None and first.scale == 1):
        return plan
    (alone,) = plan_stack(
        [first.stage], plan.input_shape, plan.dtype, alpha=plan.alpha, gray=plan.gray, premultiplied=first.premultiplied
    ).stages
    return replace(plan, stages=(replace(alone, result=first.result), *others))


def _in_single(stage: StagePlan) -> StagePlan:
    return replace(stage, precision="float32") if chosen_method(stage).fits_previews else stage
