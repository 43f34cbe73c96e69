"""``convfilter apply``: the command that all filter commands are shorthand for."""

from collections.abc import Sequence
from typing import Any

import click

from convfilter.cli.command import Command, files_argument
from convfilter.cli.commands import COMMANDS
from convfilter.cli.options import Option, run_options, stage_options
from convfilter.cli.values import SPEC
from convfilter.filters.catalog import STAGE_PARAMETERS
from convfilter.filters.spec import parse


def spec_option(*, required: bool = True) -> Option:
    """Make ``-f SPEC``, to be given for each filter of a stack."""
    return Option(
        "-f",
        "--filter",
        "specs",
        section="Filter",
        multiple=True,
        required=required,
        type=SPEC,
        help="name:value,key=value as in gaussian:4,stride=2; once for each filter, first to last. "
        "'convfilter kernel list' shows them all.",
    )


def with_pipeline(specs: Sequence[str], names: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the filters and the names of files; a first name ``@NAME`` is a pipeline if there is no ``-f``."""
    if specs or not names or not names[0].startswith("@"):
        return tuple(specs), tuple(names)
    from convfilter.cli import config

    return tuple(config.pipeline(click.get_current_context().find_root().obj, names[0])), tuple(names[1:])


def require_filter(specs: Sequence[str], names: Sequence[str]) -> None:
    """Refuse a command without a filter; the error names one that lacks its ``-f``."""
    if not specs:
        from convfilter.cli import hints
        from convfilter.cli.request import misused

        raise misused(f"a filter is needed: -f SPEC, or the @NAME of a pipeline{hints.of_bare_filter(names)}")


def until_option() -> Option:
    """Make ``--until NODE``, which ends the network of a stack."""
    text = "Last node of net:FILE.onnx, as until=NODE in its SPEC."
    return Option("--until", section="Filter", metavar="NODE", help=text)


def ended(specs: Sequence[str], until: str | None) -> tuple[str, ...]:
    """Return the filters of a command, with ``--until`` in the SPECs of networks that do not set it.

    Raises
    ------
    UsageError
        There is no network, or all set ``until`` themselves.
    """
    if until is None:
        return tuple(specs)
    from convfilter.cli.request import misused

    parsed = [parse(spec) for spec in specs]
    networks = [spec for spec in parsed if spec.name.text == "net"]
    if not networks:
        raise misused("--until is for networks, as in -f net:model.onnx")
    if all("until" in spec.options for spec in networks):
        raise misused(f"until is given twice, got until={networks[0].options['until'].text} and --until {until}")
    return tuple(
        f"{text},until={until}" if spec.name.text == "net" and "until" not in spec.options else text
        for text, spec in zip(specs, parsed, strict=True)
    )


def _apply(specs: tuple[str, ...], files: tuple[str, ...], **params: Any) -> int:
    from convfilter.cli.jobs import run_files
    from convfilter.cli.request import requested

    specs, files = with_pipeline(specs, files)
    require_filter(specs, files)
    specs = ended(specs, params.pop("until"))
    return run_files(requested(specs, {**params, "files": files}))


def words(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[Any]:
    """Offer pipelines for words that begin with @, and files for others."""
    from click.shell_completion import CompletionItem

    if not incomplete.startswith("@"):
        return [CompletionItem(incomplete, type="file")]
    from convfilter.cli import config

    names = (f"@{name}" for name in config.pipelines())
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


command = Command(
    "apply",
    callback=_apply,
    help=COMMANDS["apply"]
    + """

    Nothing is rounded or clipped between the filters. An option holds for every
    filter that can use it and does not set it in its SPEC; --map, --scale and
    --offset hold for the result.

    @NAME before IN runs the pipeline of that name from convfilter.toml.
    """,
    params=[
        spec_option(required=False),
        until_option(),
        *stage_options(STAGE_PARAMETERS.values()),
        *run_options(),
        files_argument(words),
    ],
)
command.draws_padding = True
command.examples = """\
convfilter apply -f gaussian:2 -f sobel:magnitude in.png out.png
convfilter apply -f gaussian:1 -f maxpool:3,stride=2,padding=1 in.png out.png
convfilter apply -f net:model.onnx --until relu1 in.png maps.npy
convfilter apply -f box:5,padding=valid -f 'kernel:0 1 0; 1 -4 1; 0 1 0' in.png out.png"""
