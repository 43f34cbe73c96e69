"""Options shared by commands: of filters, of stages, of files and of runs.

Options of filters and stages come from the rows of the catalogue, so that each
parameter is described in one place. Their values stay text in this module: the
parser of SPECs interprets and checks them.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

import click

from convfilter.cli.config_files import CONFIG_FILES, own_config
from convfilter.cli.values import (
    ALGORITHM,
    FILE,
    FOLDER,
    FORMAT,
    OUT,
    SUFFIX,
    KindType,
    RunType,
    is_configured,
    where_from,
)
from convfilter.errors import UsageError
from convfilter.filters.catalog import FILTERS, STAGE_PARAMETERS
from convfilter.filters.parameters import MOST_PIXELS, Choice, Flag, Ignored, Kind, Number, Parameter
from convfilter.filters.spec import Value
from convfilter.picture.options import COMPRESSIONS, DEFAULT_MAX_PIXELS, STRIPS, SUBSAMPLINGS

SECTIONS = ("Filter", "Geometry", "Result", "Files", "Many files", "Run")
_GEOMETRY = ("stride", "dilation", "padding", "padding_mode", "padding_value", "ceil", "flip")


class Option(click.Option):
    """An option in a section of the help text."""

    def __init__(self, *names: str, section: str, **settings: Any) -> None:
        self.section = section
        super().__init__([*names], **settings)

    def process_value(self, ctx: click.Context, value: Any) -> Any:
        """Refuse an empty text, as from a script's unset variable, instead of ignoring the option."""
        if value == "" or (isinstance(value, tuple | list) and "" in value):
            raise UsageError(f"{where_from(self, ctx)}: a value is needed, got an empty text; leave the option out")
        return super().process_value(ctx, value)


class FilterOption(Option):
    """An option whose value is a filter's parameter; ``selects`` if it also chooses the filter."""

    def __init__(self, flag: str, filter_name: str, parameter: Parameter | None, *, selects: bool) -> None:
        self.filter_name, self.parameter, self.selects = filter_name, parameter, selects
        summary = FILTERS[filter_name].summary if selects else ""
        name = flag.removeprefix("--").replace("-", "_")
        super().__init__(flag, name, section="Filter", **_settings(parameter, summary))

    def value(self, typed: Any) -> Value:
        """Return the typed text as a value that records its option."""
        return Value("true" if typed is True else str(typed), where_from(self, click.get_current_context()))


def selector(flag: str, filter_name: str) -> FilterOption:
    """Make the option that chooses a filter and takes its first parameter, if any."""
    parameters = FILTERS[filter_name].parameters
    return FilterOption(flag, filter_name, parameters[0] if parameters else None, selects=True)


def parameter_option(filter_name: str, parameter_name: str) -> FilterOption:
    """Make the option of a further parameter of a filter."""
    parameter = FILTERS[filter_name].parameter(parameter_name)
    assert parameter is not None
    return FilterOption(f"--{parameter_name.replace('_', '-')}", filter_name, parameter, selects=False)


def _settings(parameter: Parameter | None, summary: str = "") -> dict[str, Any]:
    """Describe a catalogue's parameter to click: flags have no value, numbers their unit and default."""
    if parameter is None:
        return {"help": summary, "is_flag": True, "default": None}
    text = f"{summary} {parameter.help}".strip()
    if isinstance(parameter.kind, Flag):
        return {"help": text, "is_flag": True, "default": None}
    default = f"default {parameter.default}" if parameter.default else ""
    facts = ", ".join(filter(None, (parameter.unit, default)))
    metavar = parameter.kind.metavar
    return {"help": f"{text}{f'  [{facts}]' if facts else ''}", "metavar": metavar, "type": KindType(parameter.kind)}


def stage_options(parameters: Iterable[Parameter]) -> list[Option]:
    """Make the options that every filter takes besides its own."""
    return [
        Option(
            f"--{each.name.replace('_', '-')}",
            each.name,
            section="Geometry" if each.name in _GEOMETRY else "Result",
            **_settings(each),
        )
        for each in parameters
    ]


def stage_defaults(params: Mapping[str, Any]) -> dict[str, Any]:
    """Collect the stage options that were given, as fields of a stage."""
    context = click.get_current_context()
    options = {option.name: option for option in context.command.params}
    typed: dict[str, Any] = {}
    configured: dict[str, Any] = {}
    for name, parameter in STAGE_PARAMETERS.items():
        given = params.get(name)
        if given is not None:
            level = configured if is_configured(name, context) else typed
            level[name] = parameter.parse(Value("true" if given is True else given, where_from(options[name], context)))
    from convfilter.filters.stack import border

    return border(typed, configured)


def run_options() -> list[Option]:
    """Make the options that say how pictures are read, filtered and written."""
    count = Number("N", minimum=1, maximum=MOST_PIXELS, integer=True)
    return [
        *_result_options(),
        *_file_options(),
        _run_option("--threads", count, "Threads, at most.  [one per core]", None, "Run"),
        algorithm_option("Use this algorithm, not the cheapest (see plan)."),
        *_many_options(),
        *config_options(),
        Option("-v", "--verbose", section="Run", is_flag=True, help="Sizes, algorithm, time and clipping on stderr."),
        Option(
            "--html",
            section="Run",
            type=FILE,
            help="Write a page: before and after with a slider, plan, kernels, timings.",
        ),
        Option("--explain", section="Run", is_flag=True, help="Print the plan on stderr before it runs (see plan)."),
        *common_options(),
    ]


def _result_options() -> list[Option]:
    """Make the options that say which samples are filtered, and in which form the result is."""
    return [
        Option("--gray", section="Result", is_flag=True, help="Filter the luminance; the result is grey."),
        Option("--linear", section="Result", is_flag=True, help="Filter in linear light, by the picture's tone curve."),
        Option("--sheet", section="Result", is_flag=True, help="Write a sheet of labelled maps, one for each channel."),
        _run_option(
            "--ignore", Ignored(), "Ignore pixels: nan, VALUE, nodata (the file's own), alpha=0.", None, "Result"
        ),
        Option(
            "--mask", section="Result", type=FILE, help="Ignore pixels where this picture, of the same size, is black."
        ),
        Option("--fill", section="Result", is_flag=True, help="Compute ignored pixels from their neighbours."),
    ]


def _file_options() -> list[Option]:
    """Make the options that say how files are read and written."""
    percent = Number("N", minimum=1, maximum=100, integer=True)
    return [
        Option(
            "--format",
            section="Files",
            type=FORMAT,
            help="Write this format: png, tiff, ...  [by suffix]",
        ),
        _run_option("--quality", percent, "1 to 100, for lossy formats.  [as read, else 92]"),
        _run_option("--subsampling", Choice(SUBSAMPLINGS), "Chroma subsampling of a JPEG.  [as read, else 4:2:0]"),
        _run_option("--compression", Choice(COMPRESSIONS), "Speed against size, or a TIFF's compression.  [as read]"),
        _run_option("--strip", Choice(STRIPS), "Drop metadata; --strip=all drops the colour profile too.", "[=all]"),
        Option("--background", section="Files", metavar="COLOUR", help="Lay a transparent picture over a colour."),
        _run_option(
            "--nan", Number("N", minimum=0, maximum=1), "Level stored for NaN in integer samples: 0 black, 1 white."
        ),
        *read_options(),
        Option("--strict", section="Files", is_flag=True, help="Make notes about losses errors."),
        Option("--no-auto-orient", section="Files", is_flag=True, help="Ignore the EXIF orientation."),
        Option("--keep-time", section="Files", is_flag=True, help="Keep the modification time of IN."),
        Option("-o", "--output", section="Files", type=OUT, help="OUT; all other names are inputs."),
        Option("-y", "--overwrite", section="Files", is_flag=True, help="Replace an OUT that looks like an input."),
        Option("-n", "--no-clobber", section="Files", is_flag=True, help="Skip outputs that exist already."),
        Option("--in-place", section="Files", is_flag=True, help="Overwrite IN, without an OUT."),
    ]


def read_options() -> list[Option]:
    """Make the options that errors of reading name as their remedies."""
    return [
        _run_option(
            "--max-pixels",
            Number("N", minimum=1),
            f"Refuse pictures with more pixels, all frames counted.  [default {DEFAULT_MAX_PIXELS // 10**6}e6]",
        ),
        Option(
            "--allow-loss",
            section="Files",
            is_flag=True,
            help="Accept that frames, transparency, colours, ... are lost, and say so in a note.",
        ),
        Option("--frame", section="Files", type=int, metavar="N", help="Take one frame, from 0; -1 is the last."),
        Option("--lenient", section="Files", is_flag=True, help="Decode the readable part of a damaged picture."),
    ]


def _many_options() -> list[Option]:
    """Make the options for several inputs, without defaults: a given one turns a run on one file into a batch."""
    count = Number("N", minimum=1, maximum=MOST_PIXELS, integer=True)

    def option(*flags: str, text: str, **settings: Any) -> Option:
        return Option(*flags, section="Many files", help=text, **settings)

    def switch(*flags: str, text: str) -> Option:
        return option(*flags, text=text, is_flag=True)

    return [
        switch("-r", "--recursive", text="Search subfolders too; OUT gets the same tree."),
        option("-t", "--into", text="Folder for the outputs; all names are inputs.", type=FOLDER),
        option("--ext", text="Output suffix, and so its format: png.  [of the input]", type=SUFFIX),
        option("--suffix", text="Add to names: _blur writes a_blur.png.", metavar="TEXT"),
        option(
            "--exclude", text="Leave out names or paths in folders; may be repeated.", metavar="GLOB", multiple=True
        ),
        option(
            "--files-from",
            text="Read names of inputs from a file, one per line; - is stdin.",
            metavar="LIST",
            type=FILE,
        ),
        switch("-0", "--null", text="Names in LIST end with a zero byte, as find -print0 ends them."),
        Option(
            "-j",
            "--jobs",
            section="Many files",
            type=RunType(count),
            metavar="N",
            help="Files at a time.  [one per core]",
        ),
        option(
            "--dask",
            text="Filter on a Dask scheduler's workers, or on a cluster started here.",
            metavar="ADDRESS|local",
        ),
        switch("--follow", text="Write through links that lead out of the folder of the outputs."),
        switch("--fail-fast", text="Stop at the first file that fails."),
        switch(
            "-u",
            "--update",
            text="Skip outputs that are newer than their inputs and made with the same filter and options.",
        ),
        switch("--no-log", text="Write no .convfilter_log, which --update reads, into the folders of outputs."),
        switch("--dry-run", text="Print the jobs without running them."),
        option("--depfile", text="Write rules for make that name the dependencies of each output.", type=FILE),
        switch("--json", text="One JSON object per file on stdout."),
        option("--progress/--no-progress", text="Progress on stderr.  [on a terminal]", default=None),
        switch("-q", "--quiet", text="No progress and no summary; only errors."),
    ]


def config_options() -> list[Option]:
    """Make the options for the configuration, which are parsed first: it sets the defaults of all other options."""

    def refuse(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
        ctx.meta[__name__ + ".no_config"] = value

    def use(ctx: click.Context, _param: click.Parameter, path: str | None) -> None:
        if ctx.resilient_parsing or (path is None and ctx.meta.get(__name__ + ".no_config")):
            return
        if path is not None or any(map(os.path.lexists, (*CONFIG_FILES, own_config()))):
            from convfilter.cli import config

            config.use(ctx, path)

    early: dict[str, Any] = {"section": "Run", "is_eager": True, "expose_value": False}
    text = "Defaults and pipelines.  [convfilter.toml, or tool.convfilter in pyproject.toml; then your own]"
    return [
        Option("--no-config", is_flag=True, callback=refuse, help="Use no file of defaults.", **early),
        Option("--config", type=FILE, callback=use, help=text, **early),
    ]


def _run_option(flag: str, kind: Kind, text: str, metavar: str | None = None, section: str = "Files") -> Option:
    return Option(flag, section=section, type=RunType(kind), metavar=metavar or kind.metavar, help=text)


def algorithm_option(text: str) -> Option:
    """Make ``--algorithm``."""
    return Option("--algorithm", section="Run", metavar="NAME", type=ALGORITHM, help=text)


def common_options() -> list[Option]:
    """Make the options that every command has: ``--color``, which `root.run` reads before parsing, and ``--debug``."""

    def remember(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
        if value:
            ctx.find_root().obj.debug = True

    early: dict[str, Any] = {"section": "Run", "is_eager": True, "expose_value": False}
    colours = click.Choice(("auto", "always", "never"))
    return [
        Option("--color", type=colours, default="auto", help="Colours on stderr.  [on a terminal]", **early),
        Option("--debug", is_flag=True, callback=remember, help="Show tracebacks of errors.", **early),
    ]
