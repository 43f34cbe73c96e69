"""Planning: decide how a stack is computed, for pictures of one shape and sample type.

A stage and a shape make a ``Task``; the fastest method that can compute it makes a ``StagePlan``; ``plan_stack`` makes
the ``Plan`` of all stages. All functions are pure, and need neither pictures nor threads.
"""

from convfilter.planning.arithmetic import AxisPlan, counted_cells, real_cells
from convfilter.planning.method import ALGORITHMS, Algorithm
from convfilter.planning.methods import applicable
from convfilter.planning.plan import plan_stack
from convfilter.planning.stack_plan import Plan
from convfilter.planning.stage_plan import StagePlan
from convfilter.planning.task import LUMINANCE, LUMINANCE_DIVISOR, Task

__all__ = [
    "ALGORITHMS",
    "LUMINANCE",
    "LUMINANCE_DIVISOR",
    "Algorithm",
    "AxisPlan",
    "Plan",
    "StagePlan",
    "Task",
    "applicable",
    "counted_cells",
    "plan_stack",
    "real_cells",
]
