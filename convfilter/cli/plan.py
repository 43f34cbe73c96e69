"""``convfilter plan``: convolution arithmetic with the numbers put in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from convfilter.cli.apply import spec_option
from convfilter.cli.options import Command, Option, RunType, debug_option, stage_defaults, stage_options
from convfilter.cli.root import COMMANDS
from convfilter.filters.catalog import STAGE_PARAMETERS
from convfilter.filters.parameters import MOST_PIXELS, Choice, Number, Pair

if TYPE_CHECKING:
    from convfilter.planning import AxisPlan, Plan, StagePlan

_DTYPES = {"8": "uint8", "16": "uint16", "float": "float32"}
_SIZE = Pair(Number("SIZE", minimum=1, maximum=2**31 - 1, whole=True))
_CHANNELS = Number("N", minimum=1, maximum=MOST_PIXELS, whole=True)


def _plan(specs: tuple[str, ...], size: tuple[int, int], channels: int | None, depth: str | None, **params: Any) -> int:
    defaults = stage_defaults(params)
    from convfilter.filters import stack
    from convfilter.planning import plan_stack

    planned = plan_stack(
        stack.stages(specs, **defaults),
        (*size, channels or 3),
        _DTYPES[depth or "8"],
        gray=params["gray"],
        algorithm=params["algorithm"],
    )
    for line in _lines(planned):
        click.echo(line)
    return 0


def _lines(plan: Plan) -> Iterator[str]:
    """Write the plan, stage by stage."""
    rows, cols, channels = plan.input_shape
    yield f"input        {cols}x{rows}, {channels} channel{'s' if channels > 1 else ''}, {plan.dtype}"
    total = 0.0
    for number, stage in enumerate(plan.stages, 1):
        yield ""
        yield f"stage {number}      {stage.stage.name}"
        yield f"  kernel     {stage.cols.kernel}x{stage.rows.kernel}"
        yield f"  width      {_formula(stage.cols)}"
        yield f"  height     {_formula(stage.rows)}"
        yield f"  algorithm  {_algorithm(stage)}"
        total += stage.multiply_adds * stage.rows.output * stage.cols.output * stage.channels
    yield ""
    rows, cols = plan.output_shape[:2]
    yield f"output       {cols}x{rows}, {total / 1e6:,.1f} million multiply-adds"


def _formula(axis: AxisPlan) -> str:
    return (
        f"floor(({axis.input} + {axis.before} + {axis.after} - {axis.dilation}*({axis.kernel} - 1) - 1)"
        f" / {axis.stride}) + 1 = {axis.output}"
    )


def _algorithm(stage: StagePlan) -> str:
    return (
        f"{stage.algorithm}, {stage.multiply_adds:g} multiply-adds a sample, sums in {stage.precision}, "
        f"{stage.scratch_bytes / 2**20:.2f} MB a thread"
    )


command = Command(
    "plan",
    callback=_plan,
    help=COMMANDS["plan"]
    + """

    The size of each result is floor((I + P + P' - D*(K - 1) - 1) / S) + 1: input I,
    padding P before and P' after, dilation D, kernel K, stride S.
    """,
    params=[
        spec_option(),
        Option("--size", section="Filter", required=True, type=RunType(_SIZE), metavar="WxH", help="Of the picture."),
        Option("--channels", section="Filter", type=RunType(_CHANNELS), metavar="N", help="Of the picture.  [3]"),
        Option("--depth", section="Filter", type=RunType(Choice(tuple(_DTYPES))), help="Of its samples.  [8]"),
        *stage_options(STAGE_PARAMETERS),
        Option("--gray", section="Result", is_flag=True, help="Filter the luminance."),
        Option("--algorithm", section="Run", metavar="NAME", help="Use this one, not the cheapest."),
        debug_option(),
    ],
)
command.examples = """\
convfilter plan -f gaussian:4 --size 4000x3000
convfilter plan -f box:3 -f box:3 -f maxpool:3,stride=2,padding=1 --size 512"""
