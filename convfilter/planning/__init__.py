"""Decide how a stack is computed: output sizes, algorithm, precision, cost.

Pure functions without pictures or threads.
"""

from convfilter.planning.arithmetic import AxisPlan, counted_cells, real_cells
from convfilter.planning.method import ALGORITHMS, Algorithm
from convfilter.planning.methods import applicable
from convfilter.planning.plan import Plan, plan_stack
from convfilter.planning.stage_plan import StagePlan
from convfilter.planning.task import LUMINANCE, LUMINANCE_DIVISOR, Task
from convfilter.sample_types import full_scale, is_whole, is_wide, require_sample_type

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
    "full_scale",
    "is_whole",
    "is_wide",
    "plan_stack",
    "real_cells",
    "require_sample_type",
]
