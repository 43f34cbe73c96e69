"""More exact sums in the stages of a plan whose error would exceed the promise."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from convfilter.planning.budget import budget, largest_budget
from convfilter.planning.stack_plan import Plan, Refinement


def refined(plan: Plan, plan_with: Callable[[Refinement], Plan], stored: np.dtype[np.generic]) -> Plan:
    """Return a plan that keeps the promise for its results, if possible.

    While the budget exceeds the promise, the stage of the largest share sums in float64; if it does so already, its
    result becomes float64, too, by a method that leaves out no weight.

    Parameters
    ----------
    plan : Plan
        The plan without refinement.
    plan_with : callable
        Makes the plan with a refinement.
    stored : dtype
        Sample type of the result.
    """
    refinement = Refinement()
    while True:
        errors = largest_budget(plan, stored)
        if errors.promised < errors.total < math.inf:
            errors = budget(plan, stored)
        if not errors.promised < errors.total < math.inf:
            return plan
        shares = [share.total for share in errors.shares]
        numbers = [number for number, share in enumerate(shares) if share and _can_refine(plan, number, refinement)]
        if not numbers:
            return plan
        number = max(numbers, key=shares.__getitem__)
        refinement = _more(plan, number, refinement)
        plan = plan_with(refinement)


def _can_refine(plan: Plan, number: int, refinement: Refinement) -> bool:
    is_last = number == len(plan.stages) - 1
    is_summed = number in refinement.summed or plan.stages[number].precision == "float64"
    return not is_summed or not (is_last or number in refinement.stored)


def _more(plan: Plan, number: int, refinement: Refinement) -> Refinement:
    """Return a refinement of one more stage."""
    if plan.stages[number].precision == "float32" and number not in refinement.summed:
        return refinement._replace(summed=refinement.summed | {number})
    return refinement._replace(stored=refinement.stored | {number})
