"""The choice of a method for one stage, and the stage's plan: algorithm, precision, cost and memory."""

from __future__ import annotations

from convfilter.errors import ParameterError, shown
from convfilter.planning.method import Algorithm, window_bytes
from convfilter.planning.methods import capable, chosen_method, fastest
from convfilter.planning.stage_plan import StagePlan
from convfilter.planning.task import Task
from convfilter.record import replace


def plan_stage(task: Task, algorithm: str | None = None, prefix: str = "") -> StagePlan:
    """Plan one stage, with the cheapest method or with ``algorithm``.

    Raises
    ------
    ParameterError
        ``algorithm`` cannot compute the stage.
    """
    methods = capable(task)
    chosen = fastest(methods, task) if algorithm is None else next((m for m in methods if m.name == algorithm), None)
    if chosen is None:
        names = " or ".join(method.name for method in methods)
        raise ParameterError(f"{prefix}algorithm {shown(algorithm)} cannot compute this; try {names}")
    plan = StagePlan(
        task.stage,
        task.rows,
        task.cols,
        task.channels,
        task.alpha,
        chosen.name,
        task.kernel,
        task.scale,
        chosen.precision(task),
        task.is_exact,
        chosen.multiply_adds(task),
        scratch_bytes=0,
        block_rows=chosen.block_rows(task),
        rates=chosen.rates(task),
        products=chosen.products(task),
        sides=chosen.sides(task),
        output_channels=task.output_channels,
        preserves_white=task.preserves_white,
        premultiplied=task.premultiplied,
        masked=bool(task.mask),
        bounded=task.is_bounded,
        by_taps=chosen.by_taps(task),
        result=task.result,
    )
    plan = replace(plan, tap_rows=chosen.tap_rows(plan))
    return replace(plan, scratch_bytes=chosen.scratch_bytes(plan, task))


def for_any_numbers(plan: StagePlan) -> StagePlan:
    """Return a plan with a tap-by-tap method, which keeps infinite samples and NaN within their windows."""
    if not chosen_method(plan).spreads:
        return plan
    from convfilter.planning.methods import stencil

    algorithm: Algorithm = "separable" if plan.products else "direct"
    local = replace(
        plan,
        algorithm=algorithm,
        multiply_adds=stencil.separable_cost(plan) if plan.products else float(plan.kernel.nonzeros),
        block_rows=0,
        rates=(None, None),
        sides=(0, 0),
    )
    local = replace(local, tap_rows=chosen_method(local).tap_rows(local))
    return replace(local, scratch_bytes=window_bytes(local))
