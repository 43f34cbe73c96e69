"""``convfilter plan``: print the sizes, algorithms and cost of a stack."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from convfilter.cli.apply import ended, require_filter, spec_option, until_option, with_pipeline, words
from convfilter.cli.command import Command, files_argument
from convfilter.cli.commands import COMMANDS
from convfilter.cli.messages import json_of, say, tell
from convfilter.cli.options import (
    Option,
    algorithm_option,
    common_options,
    config_options,
    stage_defaults,
    stage_options,
)
from convfilter.cli.values import RunType
from convfilter.errors import PictureError, UsageError, shown
from convfilter.filters.catalog import STAGE_PARAMETERS
from convfilter.filters.parameters import MOST_PIXELS, Choice, Number, Pair
from convfilter.record import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from convfilter.filters.stage import Stage
    from convfilter.planning import Plan

#: Sample types by the names that ``--depth`` takes.
_DTYPES = {
    "8": "uint8", "16": "uint16", "float": "float32", "int16": "int16", "uint32": "uint32", "float64": "float64",
}  # fmt: skip
_SIZE = Pair(Number("SIZE", minimum=1, maximum=2**31 - 1, integer=True))
#: Largest picture that is explored, in pixels.
_MOST_EXPLORED = 16_000_000
_CHANNELS = Number("N", minimum=1, maximum=MOST_PIXELS, integer=True)


def _plan(
    specs: tuple[str, ...],
    files: tuple[str, ...],
    size: tuple[int, int] | None,
    channels: int | None,
    depth: str | None,
    as_json: bool,
    shows_budget: bool,
    diagram: str | None,
    explore: str | None,
    gray: bool,
    algorithm: str | None,
    until: str | None,
    **stage: str | bool | None,
) -> int:
    specs, source = _named(specs, files)
    defaults = stage_defaults(stage)
    from convfilter.filters import stack
    from convfilter.filters.stage import require_finite_padding
    from convfilter.guide_pictures import with_guides
    from convfilter.picture.options import ReadOptions
    from convfilter.planning import plan_stack
    from convfilter.report import plan_text

    stages = with_guides(stack.stages(ended(specs, until), **defaults), ReadOptions(max_pixels=sys.maxsize))
    require_finite_padding(stages)
    picture, planned_stages = (
        (_typed(size, channels, depth, gray), stages)
        if source is None
        else _of_file(source, stages, gray, {"--size": size, "--channels": channels, "--depth": depth})
    )
    for remark in stack.remarks(stages):
        say(remark)
    planned = plan_stack(planned_stages, algorithm=algorithm, **picture._asdict())
    if diagram is not None:
        _draw(planned, diagram)
    if explore is not None:
        _explore(planned, stages, explore, source)
    if as_json:
        tell(*json_of(plan_text.as_json(planned), indent=2).splitlines())
    else:
        tell(*plan_text.lines(planned))
        if shows_budget:
            tell(*plan_text.budget_lines(planned))
    return 0


def _named(specs: tuple[str, ...], files: tuple[str, ...]) -> tuple[tuple[str, ...], str | None]:
    """Return the filters and the picture, if one is named."""
    specs, files = with_pipeline(specs, files)
    require_filter(specs, files)
    if len(files) > 1:
        from convfilter.cli.request import misused

        raise misused(f"a plan is for one picture, got {len(files)} names")
    return specs, files[0] if files else None


class _Picture(NamedTuple):
    """The properties of a picture on which a plan depends, by the parameters of ``plan_stack``."""

    shape: tuple[int, int, int]
    dtype: str
    alpha: bool = False
    premultiplied: bool = False
    white: float | None = None
    out_white: float | None = None
    gray: bool = False


def _typed(size: tuple[int, int] | None, channels: int | None, depth: str | None, gray: bool) -> _Picture:
    """Return the properties of a picture as typed."""
    if size is None:
        from convfilter.cli.request import misused

        raise misused("a picture is needed, or its --size")
    return _Picture((*size, channels or 3), _DTYPES[depth or "8"], gray=gray)


def _of_file(
    source: str, stages: Sequence[Stage], gray: bool, typed: Mapping[str, object]
) -> tuple[_Picture, Sequence[Stage]]:
    """Return the properties of a picture from its header, and its stages, as they are planned for a run."""
    from convfilter.picture.options import ReadOptions
    from convfilter.picture.read import opened
    from convfilter.pipeline import linear_light

    given = [flag for flag, value in typed.items() if value]
    if given:
        raise UsageError(f"the size is that of the picture; leave out {given[0]}", subject=source)
    try:
        with opened(source, ReadOptions(allow_loss=True, max_pixels=sys.maxsize)) as picture:
            if gray:
                linear_light.require_luminance(picture)
            weights, read = linear_light.weights_of(picture) if gray else None, picture
            if weights:
                read, stages, _ = linear_light.converted_input(
                    picture, stages, picture.dtype, linear=False, weights=weights
                )
            kind = read.alpha, read.premultiplied, read.own_white, picture.white
            return _Picture(read.outline.shape, read.dtype.name, *kind, gray=gray and not weights), stages
    except PictureError as error:
        error.about(source)
        raise


def _draw(plan: Plan, path: str) -> None:
    from convfilter.picture.place.atomic import save
    from convfilter.report.diagram import diagram

    if not path.lower().endswith(".svg"):
        raise UsageError(f"a diagram is an SVG file, got {shown(path)}; name it diagram.svg, for instance")
    save(path, diagram(plan).encode())


def _explore(plan: Plan, stages: Sequence[Stage], path: str, source: str | None) -> None:
    """Write the page of receptive fields, for the middle of a picture or for an example picture."""
    from convfilter.picture.place.atomic import save
    from convfilter.report.exploration_steps import goes_across
    from convfilter.report.explorer import Explored, example, of_channels
    from convfilter.report.page import exploring

    if not path.lower().endswith((".html", ".htm")):
        raise UsageError(f"an explorer is an HTML page, got {shown(path)}; name it explorer.html, for instance")
    rows, cols = plan.input_shape[:2]
    if rows * cols > _MOST_EXPLORED:
        raise UsageError(
            f"a plan of up to {_MOST_EXPLORED:,} pixels can be explored, got {cols}x{rows}; use a smaller --size"
        )
    if source is None:
        across = goes_across(stages)
        count = plan.input_colours if across else 1
        made_up = {f"channel {number}": example(rows, cols, number).astype(plan.dtype) for number in range(count)}
        channels = f"{count} channels" if across and count > 1 else "one channel"
        patch = of_channels(stages, made_up)
        explored = Explored(patch, f"A picture of small numbers, made up, in {channels}.")
    else:
        from convfilter.picture.options import ReadOptions
        from convfilter.picture.read import read
        from convfilter.report.views import explored_at

        explored = explored_at(stages, read(source, ReadOptions(allow_loss=True)), plan, (0.5, 0.5))
    command = click.get_current_context().find_root().obj.command
    save(path, exploring(plan, stages, explored, command).encode())


command = Command(
    "plan",
    callback=_plan,
    help=COMMANDS["plan"]
    + """

    The size of each result is floor((I + P + P' - D*(K - 1) - 1) / S) + 1: input I,
    padding P before and P' after, dilation D, kernel K, stride S. The receptive
    field of an output is the part of the picture on which it depends: each stage
    adds D*(K - 1) times the product of the strides before it.
    """,
    params=[
        spec_option(required=False),
        until_option(),
        files_argument(words, metavar="[IN]"),
        Option(
            "--size", section="Filter", type=RunType(_SIZE), metavar="WxH", help="Size of the picture, without an IN."
        ),
        Option(
            "--channels", section="Filter", type=RunType(_CHANNELS), metavar="N", help="Channels of the picture.  [3]"
        ),
        Option(
            "--depth", section="Filter", type=RunType(Choice(tuple(_DTYPES))), help="Sample type of the picture.  [8]"
        ),
        *stage_options(STAGE_PARAMETERS.values()),
        Option("--gray", section="Result", is_flag=True, help="Filter the luminance."),
        algorithm_option("Use this algorithm, not the cheapest."),
        Option(
            "--budget",
            "shows_budget",
            section="Result",
            is_flag=True,
            help="Show the errors of results, and their causes.",
        ),
        Option("--json", "as_json", section="Result", is_flag=True, help="Write the plan as JSON."),
        Option("--diagram", section="Result", metavar="FILE.svg", help="Draw the windows of each stage, too."),
        Option(
            "--explore",
            section="Result",
            metavar="FILE.html",
            help="Also write a page that shows the window of a clicked output, and its sum in numbers.",
        ),
        *config_options(),
        *common_options(),
    ],
)
command.examples = """\
convfilter plan -f gaussian:4 --size 4000x3000
convfilter plan -f gaussian:4 -f sobel:magnitude in.png
convfilter plan -f box:3 -f box:3 -f maxpool:3,stride=2,padding=1 --size 512
convfilter plan -f box:3,stride=2,padding=1 --size 7 --diagram strided.svg
convfilter plan -f box:3 -f maxpool:2 --size 9 --explore windows.html"""
