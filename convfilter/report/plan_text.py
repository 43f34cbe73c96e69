"""A plan as text and as JSON."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from convfilter.filters.network_operators import Layer
from convfilter.filters.operators import Pooling
from convfilter.planning import AxisPlan, Plan, StagePlan
from convfilter.planning.budget import budget
from convfilter.planning.field import Field
from convfilter.planning.figures import Figures, equivalent, figures
from convfilter.planning.stage_plan import Group


def lines(plan: Plan) -> Iterator[str]:
    """Yield the lines of a plan, stage by stage."""
    rows, cols, channels = (*plan.input_shape, 1)[:3]
    yield f"input        {cols}x{rows}, {channels} channel{'s' if channels > 1 else ''}, {plan.dtype}"
    per_stage = figures(plan)
    buffered = _buffer_rows(plan)
    for number, (stage, each) in enumerate(zip(plan.stages, per_stage, strict=True), 1):
        yield ""
        yield f"stage {number}      {stage.stage.name}"
        yield f"  kernel     {stage.cols.kernel}x{stage.rows.kernel}, {_weights(stage, each)}"
        if stage.branches:
            yield f"  joins      {'; '.join(_branch(branch) for branch in stage.branches)}"
            yield f"  size       {stage.cols.output}x{stage.rows.output}"
        else:
            yield f"  width      {_formula(stage.cols)}"
            yield f"  height     {_formula(stage.rows)}"
        if padding := _padding(stage):
            yield f"  padding    {padding}"
        if stage.output_channels != stage.channels:
            yield f"  channels   {stage.channels} -> {stage.output_channels}"
        yield f"  field      {_fields(each.cols, each.rows)}"
        yield f"  algorithm  {_algorithm(stage)}"
        each_weight = _count(each.multiply_adds_direct)
        yield f"  work       {_count(each.multiply_adds)} multiply-adds, weight by weight {each_weight}"
        held = each.bytes * buffered.get(number - 1, 0) // stage.rows.output
        of_held = f"{_bytes(held)} held of " if held else ""
        yield f"  memory     {of_held}{_bytes(each.bytes)} result, {_bytes(stage.scratch_bytes)} a thread"
    yield ""
    for group in plan.groups:
        if group.last - group.first > 1:
            stages = plan.stages[group.first : group.last]
            rows_each = " + ".join(
                str(min(rows, stage.rows.output)) for rows, stage in zip(group.block_rows, stages, strict=True)
            )
            yield f"together     stages {group.first + 1} to {group.last}, {rows_each} rows at a time"
    rows, cols = plan.output_shape[:2]
    yield f"output       {cols}x{rows}, {_count(sum(each.multiply_adds for each in per_stage))} multiply-adds"
    yield from _comparison(plan)


def _branch(branch: Sequence[StagePlan]) -> str:
    """Return the names of the stages of a branch."""
    return ", ".join(stage.stage.name for stage in branch) or "its input"


def _weights(stage: StagePlan, each: Figures) -> str:
    if not each.weights:
        return "no weights"
    operator = stage.stage.operator
    if isinstance(operator, Layer):
        outputs, inputs, rows, cols = operator.weight.shape
        return f"{cols} x {rows} x {inputs} in x {outputs} out = {each.weights:,} weights, {outputs} biases"
    count = each.weights // (stage.rows.kernel * stage.cols.kernel)
    times = f"{count} x " if count > 1 else ""
    return f"{times}{stage.cols.kernel} x {stage.rows.kernel} = {each.weights} weights, shared by all channels"


def _formula(axis: AxisPlan) -> str:
    if axis.inserted:
        return _transposed_formula(axis)
    beyond = f" {axis.beyond:+d}".replace("+", "+ ").replace("-", "- ") if axis.beyond else ""  # from rounding up
    return (
        f"floor(({axis.input} + {axis.before} + {axis.after - axis.beyond}{beyond}"
        f" - {axis.dilation}*({axis.kernel} - 1) - 1)"
        f" / {axis.stride}) + 1 = {axis.output}"
    )


def _transposed_formula(axis: AxisPlan) -> str:
    """Format the size of a transposed convolution; output padding counts as less padding."""
    before, after = axis.span - axis.before, axis.span - axis.after
    return (
        f"({axis.input} - 1)*{axis.step} - {before} {'-' if after >= 0 else '+'} {abs(after)}"
        f" + {axis.dilation}*({axis.kernel} - 1) + 1 = {axis.output}"
    )


def _padding_modes(stage: StagePlan) -> tuple[str | None, str | None]:
    """Return the padding modes of (rows, cols); None where a stage reads no padding: pooling does not count it."""
    if isinstance(stage.stage.operator, Pooling) or stage.branches:
        return None, None
    down, across = (
        mode if (axis.before or axis.after) and not axis.inserted else None
        for axis, mode in zip((stage.rows, stage.cols), stage.stage.padding_modes, strict=True)
    )
    return down, across


def _padding(stage: StagePlan) -> str:
    """Return the padding modes, and the value of constant padding."""
    value = f"constant {stage.stage.padding_value:g}"
    down, across = (value if mode == "constant" else mode for mode in _padding_modes(stage))
    if down and across and down != across:
        return f"{across} across, {down} down"
    return across or down or ""


def _fields(cols: Field, rows: Field) -> str:
    jump = f"{cols.jump:g}" if cols.jump == rows.jump else f"{cols.jump:g}x{rows.jump:g}"
    return (
        f"{cols.size}x{rows.size} pixels of the input, {jump} apart, the first about ({cols.start:g}, {rows.start:g})"
    )


def _algorithm(stage: StagePlan) -> str:
    return f"{stage.algorithm}, {stage.multiply_adds:g} multiply-adds a sample, sums in {stage.precision}"


def _buffer_rows(plan: Plan) -> dict[int, int]:
    """Return the rows of the line buffer of each stage whose result is never complete in memory, by its number."""
    return {
        number: rows
        for group in plan.groups
        for number, rows in zip(range(group.first, group.last - 1), group.buffer_rows, strict=True)
    }


def _count(count: float) -> str:
    return f"{count / 1e6:,.1f} million" if count >= 1e6 else f"{count:,.0f}"


def _bytes(count: int) -> str:
    if count < 1 << 10:
        return f"{count} bytes"
    return f"{count / 2**20:,.2f} MB" if count >= 1 << 20 else f"{count / 2**10:,.1f} kB"


def _comparison(plan: Plan) -> Iterator[str]:
    """Compare the weights with one kernel of the same receptive field."""
    single = equivalent(plan)
    if single is not None:
        rows, cols, weights = single
        share = f"{weights}/{rows * cols}"
        yield f"instead of   one {cols}x{rows} kernel of the same receptive field, with {share} of its weights"


def budget_lines(plan: Plan) -> Iterator[str]:
    """Yield the error budget of a plan, in total and by stage."""
    errors = budget(plan)
    what = "levels" if errors.unit == "levels" else "times the sum of |weight| * |sample|"
    total = "not bounded" if math.isinf(errors.total) else f"{errors.total:.2g} of {errors.promised:.2g} {what}"
    yield f"budget       {total}"
    for number, (stage, share) in enumerate(zip(plan.stages, errors.shares, strict=True), 1):
        name = stage.stage.name
        if not share.left_out and not share.rounded:
            yield f"  stage {number}    {name}: exact"
            continue
        if math.isinf(share.total):
            has_gain = math.isfinite(share.left_out + share.rounded)
            because = "a stage after it has no largest gain" if has_gain else "it has no largest gain"
            because = "colours are divided by their alpha" if stage.alpha else because
            yield f"  stage {number}    {name}: not bounded, {because}"
            continue
        by = f"{share.left_out:.1g} left out by {stage.algorithm}, " if share.left_out else ""
        later = f", times {share.gain:.3g} by the stages after it" if share.gain != 1 else ""
        yield f"  stage {number}    {name}: {by}{share.rounded:.1g} rounded in {stage.precision}{later}"


def as_json(plan: Plan) -> dict[str, Any]:
    """Return the plan as a dictionary; pairs have keys ``width`` and ``height``, sizes are in pixels."""
    per_stage = figures(plan)
    rows, cols, channels = (*plan.input_shape, 1)[:3]
    final = plan.output_shape
    return {
        "input": {"width": cols, "height": rows, "channels": channels, "dtype": str(plan.dtype)},
        "stages": [_stage(stage, each) for stage, each in zip(plan.stages, per_stage, strict=True)],
        "groups": [_group(group) for group in plan.groups],
        "output": {"width": final[1], "height": final[0], "channels": plan.stages[-1].output_channels},
        "weights": sum(each.weights for each in per_stage),
        "multiply_adds": sum(each.multiply_adds for each in per_stage),
        "error": _error(plan),
    }


def _error(plan: Plan) -> dict[str, Any]:
    """Return the error of the result before rounding, and the promise; null if unbounded."""
    errors = budget(plan)
    numbers = [share.total for share in errors.shares]
    return {
        "promised": errors.promised,
        "unit": errors.unit,
        "total": errors.total if math.isfinite(errors.total) else None,
        "stages": [number if math.isfinite(number) else None for number in numbers],
    }


def _group(group: Group) -> dict[str, Any]:
    """Return a group's stages, counted from 1, with block rows and bytes of line buffers."""
    return {
        "stages": list(range(group.first + 1, group.last + 1)),
        "rows_at_a_time": list(group.block_rows),
        "held_bytes": group.buffer_bytes,
    }


def _stage(stage: StagePlan, each: Figures) -> dict[str, Any]:
    down, across = _padding_modes(stage)
    return {
        "name": stage.stage.name,
        "width": _axis(stage.cols, each.cols, across),
        "height": _axis(stage.rows, each.rows, down),
        "padding_value": stage.stage.padding_value if "constant" in (down, across) else None,
        "channels": {"input": stage.channels, "output": stage.output_channels},
        "weights": each.weights,
        "algorithm": stage.algorithm,
        "precision": stage.precision,
        "exact": stage.exact,
        "multiply_adds": each.multiply_adds,
        "multiply_adds_direct": each.multiply_adds_direct,
        "result_bytes": each.bytes,
        "scratch_bytes_per_thread": stage.scratch_bytes,
    }


def _axis(axis: AxisPlan, field: Field, padding_mode: str | None) -> dict[str, Any]:
    return {
        "input": axis.input,
        "kernel": axis.kernel,
        "stride": axis.stride,
        "dilation": axis.dilation,
        "padding": [axis.before, axis.after - axis.beyond],
        "padding_mode": padding_mode,
        "beyond": axis.beyond,
        "inserted_zeros": axis.inserted,
        "output": axis.output,
        "receptive_field": field.size,
        "jump": field.jump,
        "start": field.start,
    }
