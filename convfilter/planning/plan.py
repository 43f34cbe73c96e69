"""Plan a stack of stages.

``plan_stack`` makes a task of each stage, merges neighbours where that is exact and faster, and lets the fastest method
plan each task. All functions are pure, and need neither pictures nor threads.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from convfilter.errors import ParameterError, SizeError, shown
from convfilter.filters.kernels import identity
from convfilter.filters.network_operators import Constant, Join, NetworkOperator, Softmax
from convfilter.filters.operators import Correlation, Gradient, Point, Pooling
from convfilter.filters.stage import Stage
from convfilter.planning.composites import expanded, sized, with_signed_clip
from convfilter.planning.field import Field
from convfilter.planning.joining import Branches, constant_shape, joined_fields, joined_shape
from convfilter.planning.method import ALGORITHMS
from convfilter.planning.method_choice import plan_stage
from convfilter.planning.offsets import in_fractions
from convfilter.planning.stack_plan import Plan, Refinement
from convfilter.planning.stage_plan import StagePlan
from convfilter.planning.task import MaskKind, Task, compares_samples, takes_alpha_as_colour
from convfilter.record import record, replace
from convfilter.sample_types import full_scale, is_integer, real_of

if TYPE_CHECKING:
    import numpy.typing as npt


#: Taps along an axis whose sums of 16-bit samples keep the promise.
_FEW_TAPS = 64
#: Means of a stack of 8-bit samples whose errors together keep the promise.
_FEW_MEANS = 2


def plan_stack(
    stages: Sequence[Stage],
    shape: tuple[int, ...],
    dtype: npt.DTypeLike,
    *,
    out_dtype: npt.DTypeLike | None = None,
    alpha: bool = False,
    gray: bool = False,
    algorithm: str | None = None,
    white: float | None = None,
    out_white: float | None = None,
    premultiplied: bool = False,
    mask: MaskKind = "",
) -> Plan:
    """Choose a method for each of ``stages``, for pictures of one shape and sample type.

    Parameters
    ----------
    stages : sequence of Stage
        First to last, at least one.
    shape : (rows, cols) or (rows, cols, channels)
        Each at least 1.
    dtype : dtype
        Sample type of the input, one of ``SAMPLE_TYPES``.
    out_dtype : dtype, optional
        Sample type of the result, by default the input's.
    alpha : bool
        Whether the last channel is alpha.
    gray : bool
        Whether the first stage takes the luminance of three colour channels.
    algorithm : str, optional
        Method to use, by default the fastest.
    white, out_white : float, optional
        Values of white in the input and in an integer result, by default the full scale of their types: 4095 for
        samples of 12 bits in uint16.
    premultiplied : bool
        Whether colours are stored multiplied by alpha, in input and result.
    mask : {"", "dense", "sparse"}
        For one weighted mean: the last channel, ``alpha``, is a mask; see ``Task``.

    Raises
    ------
    SizeError
        The output of a stage is empty.
    ParameterError
        ``algorithm`` is unknown or cannot compute a stage, or an offset is not a fraction of full scale.
    """
    if algorithm is not None and algorithm not in ALGORITHMS:
        raise ParameterError(f"algorithm must be one of {', '.join(ALGORITHMS)}, got {shown(algorithm)}")
    rows, cols = shape[:2]
    channels = shape[2] if len(shape) == 3 else 1
    sample_type, gray = np.dtype(dtype), bool(gray and channels - alpha == 3)
    stored = np.dtype(out_dtype or sample_type)
    ends = _Ends(sample_type, stored, alpha, gray, white, out_white, premultiplied, mask)
    stages, size = _prepared(stages, ends), (rows, cols, channels - 2 * gray)
    unrefined = Refinement()
    tasks, branches = _tasks_of(stages, size, ends, unrefined)
    if algorithm is None and any(type(one.operator) is type(other.operator) for one, other in pairwise(stages)):
        from convfilter.planning.merging import merged

        while len(fewer := merged(stages, tasks)) < len(stages):
            stages = fewer
            tasks, branches = _tasks_of(stages, size, ends, unrefined)

    def plan_of(tasks: list[Task], branches: list[Branches]) -> Plan:
        if len(tasks) > 1 and any(isinstance(task.stage.operator, Gradient) for task in tasks):
            from convfilter.planning.gains import with_levels

            tasks = with_levels(tasks)
        plans = _stage_plans(tasks, branches, algorithm, _prefixes(stages))
        return Plan(plans, tuple(shape), sample_type, alpha, gray, white, out_white, ends.real)

    plan = plan_of(tasks, branches)
    if algorithm is not None or mask or _surely_keeps(tasks, plan.stages):
        return plan
    from convfilter.planning.refining import refined

    return refined(plan, lambda refinement: plan_of(*_tasks_of(stages, size, ends, refinement)), stored)


def _surely_keeps(tasks: Sequence[Task], stages: Sequence[StagePlan]) -> bool:
    """Whether a plan keeps its promise without a look at its error budget, which takes half of the planner's time.

    The tests compute the budgets of such plans: means of 8-bit samples, and of 16-bit samples by few taps or by the
    multirate method, whose taps are few, too; and stacks with up to two such means of 8-bit samples, in which all other
    stages only select or clip samples.
    """
    if len(tasks) == 1:
        return _is_close_mean(tasks[0], stages[0])
    if not tasks[0].dtype == tasks[-1].result == np.uint8 or any(task.alpha or task.gray for task in tasks):
        return False
    kinds = [_kind_of_error(task, stage) for task, stage in zip(tasks, stages, strict=True)]
    return "any" not in kinds and kinds.count("mean") <= _FEW_MEANS


def _is_close_mean(task: Task, stage: StagePlan) -> bool:
    if stage.exact or stage.precision == "float64":
        return True
    has_few_taps = any(stage.rates) or task.accuracy == "uint8" or max(task.kernel.shape) <= _FEW_TAPS
    return is_integer(task.result) and task.gain <= 1 + 1e-9 and has_few_taps


def _kind_of_error(task: Task, stage: StagePlan) -> Literal["none", "mean", "any"]:
    """Return whether a stage rounds sums, and neither enlarges errors nor leaves the range of its samples."""
    operator = task.stage.operator
    if (task.stage.scale, task.stage.offset, task.whites) != (1, 0, None) or task.stage.map == "stretch":
        return "any"
    if isinstance(operator, Pooling | Point):
        return "none" if operator.kind in ("max", "min", "relu", "abs") else "any"
    is_mean = isinstance(operator, Correlation) and task.kernel.has_one_sign and operator.shift == 0
    has_few_taps = any(stage.rates) or max(task.kernel.shape) <= _FEW_TAPS
    return "mean" if is_mean and task.gain <= 1 + 1e-9 and has_few_taps else "any"


@record
class _Ends:
    """What a stack reads and stores: sample types and the meaning of channels and values, as for ``plan_stack``."""

    dtype: np.dtype[np.generic]
    stored: np.dtype[np.generic]
    alpha: bool
    gray: bool
    white: float | None
    out_white: float | None
    premultiplied: bool
    mask: MaskKind

    @property
    def real(self) -> np.dtype[np.generic]:
        """Type of real numbers between two stages."""
        return real_of(self.dtype, self.stored)

    def whites(self, incoming: np.dtype[np.generic], result: np.dtype[np.generic]) -> tuple[float, float] | None:
        """Return the values of white in a stage's input and result; None where they are the full scale of the types."""
        if self.white is None and self.out_white is None:
            return None
        before = self.white or full_scale(incoming)
        return before, (self.out_white or full_scale(result)) if is_integer(result) else before


def _prepared(stages: Sequence[Stage], ends: _Ends) -> Sequence[Stage]:
    """Return the stages that are planned: composite operators as chains, and offsets as fractions of full scale."""
    # Padding that is NaN is ignored, and never read.
    finite = (replace(stage, padding_value=0.0) if math.isnan(stage.padding_value) else stage for stage in stages)
    stages = tuple(expanded(finite))
    if ends.gray and isinstance(stages[0].operator, NetworkOperator):  # they take no luminance: a stage before does
        stages = (Stage(Correlation(identity()), name="luminance"), *stages)
    return with_signed_clip(in_fractions(stages, ends.dtype, ends.white), ends.dtype, ends.white, ends.stored)


def _prefixes(stages: Sequence[Stage]) -> list[str]:
    """Return the start of the error messages of each stage."""
    return [f"stage {number} ({stage.name}): " if len(stages) > 1 else "" for number, stage in enumerate(stages, 1)]


def _tasks_of(
    stages: Sequence[Stage], size: tuple[int, int, int], ends: _Ends, refinement: Refinement
) -> tuple[list[Task], list[Branches]]:
    """Return the task of each stage, and the branches that it joins; luminance is one channel in ``size``."""
    tasks: list[Task] = []
    branches: list[Branches] = []
    incoming, between = ends.dtype, ends.real
    for number, (each, prefix) in enumerate(zip(stages, _prefixes(stages), strict=True)):
        stage, is_last, gray = sized(each, size), number == len(stages) - 1, ends.gray and number == 0
        between = _between(stage, between, ends.real)
        wide = np.dtype(np.float64) if number in refinement.stored else between
        result = ends.stored if is_last else wide
        alpha = ends.alpha and not (ends.premultiplied and not gray and takes_alpha_as_colour(stage))
        joined, shape = _joined(stage, size, incoming, between, replace(ends, alpha=alpha), prefix)
        task = Task.of(
            stage, size, incoming, result=result, alpha=alpha, gray=gray, whites=ends.whites(incoming, result),
            stored=ends.stored, premultiplied=ends.premultiplied, prefix=prefix, joined=shape, mask=ends.mask,
        )  # fmt: skip
        if number in refinement.summed:
            task = replace(task, is_precise=True)
        if not is_last and compares_samples(stages[number + 1].operator):
            task = task.selecting()
        tasks.append(task)
        branches.append(joined)
        size, incoming = (task.rows.output, task.cols.output, task.output_channels), task.result
    return tasks, branches


def _between(stage: Stage, before: np.dtype[np.generic], real: np.dtype[np.generic]) -> np.dtype[np.generic]:
    """Return the type of a stage's result before another stage; ``before`` is that of the stage before.

    It is float64 from powers on, which float32 does not hold at every magnitude, to the root that ends them, and after
    logarithms, whose differences show in 16 bits; else the stack's type of ``real`` numbers.
    """
    operator = stage.operator
    if isinstance(operator, Point) and operator.kind == "power":
        return np.dtype(np.float64) if operator.low > 1 else real
    is_logarithm = isinstance(operator, Softmax) and operator.kind == "log"
    return np.dtype(np.float64) if is_logarithm else before


def _joined(
    stage: Stage,
    size: tuple[int, int, int],
    incoming: np.dtype[np.generic],
    between: np.dtype[np.generic],
    ends: _Ends,
    prefix: str,
) -> tuple[Branches, tuple[int, int, int] | None]:
    """Return the branches that a stage joins, and the shape of their joint result or of a constant, else None."""
    operator = stage.operator
    if isinstance(operator, Constant):
        return (), constant_shape(operator, size, prefix, alpha=ends.alpha)
    if not isinstance(operator, Join):
        return (), None
    branches = _branches(
        operator, size, incoming, prefix, out_dtype=between, alpha=ends.alpha, white=ends.white,
        premultiplied=ends.premultiplied,
    )  # fmt: skip
    return branches, joined_shape(operator, branches, size, prefix, alpha=ends.alpha)


def _stage_plans(
    tasks: Sequence[Task], branches: Sequence[Branches], algorithm: str | None, prefixes: Sequence[str]
) -> tuple[StagePlan, ...]:
    """Plan each task, and follow the receptive field through the stack."""
    plans: list[StagePlan] = []
    fields = Field(), Field()
    for task, joined, prefix in zip(tasks, branches, prefixes, strict=True):
        fields = joined_fields(fields, joined) if joined else (fields[0].after(task.rows), fields[1].after(task.cols))
        plans.append(replace(plan_stage(task, algorithm, prefix), fields=fields, branches=joined))
    return tuple(plans)


def _branches(
    operator: Join, size: tuple[int, int, int], dtype: np.dtype[np.generic], prefix: str, **settings: Any
) -> Branches:
    """Plan the branches of a stage."""
    planned: list[tuple[StagePlan, ...]] = []
    for branch in operator.branches:
        try:
            planned.append(plan_stack(branch, size, dtype, **settings).stages if branch else ())
        except (ParameterError, SizeError) as error:
            raise type(error)(f"{prefix}{error}") from None
    return tuple(planned)
