"""``convfilter try``: a page with sliders, served to this machine only."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from convfilter.cli.apply import spec_option
from convfilter.cli.command import Command
from convfilter.cli.commands import COMMANDS
from convfilter.cli.messages import say, tell
from convfilter.cli.options import Option, common_options, read_options
from convfilter.cli.values import RunType
from convfilter.errors import UsageError
from convfilter.filters.parameters import Number

if TYPE_CHECKING:
    from convfilter import pipeline

_PORT = Number("PORT", minimum=0, maximum=65535, integer=True)
_START = ("gaussian:2",)
#: Environment variables of which a graphical browser needs one.
_DISPLAYS = ("DISPLAY", "WAYLAND_DISPLAY")


def _try(
    source: str, output: str | None, specs: tuple[str, ...], port: int | None, no_browser: bool, **reading: Any
) -> int:
    if source == "-":
        raise UsageError("filters are tried on a file, and '-' is standard input; save the picture first")
    from convfilter.trial.scene import Scene
    from convfilter.trial.server import Server

    specs, output = specs or _START, output or _named_after(source)
    words = _words(reading)
    scene = Scene(source, output, _as_applied(specs, source, output, words), words)
    try:
        server = Server(scene, specs, port or 0)
    except OSError as error:
        raise UsageError(f"--port {port}: {(error.strerror or str(error)).lower()}; leave it out for any") from None
    tell(server.address)
    say("close the page, or press Ctrl-C here, to end")
    if not no_browser and (sys.platform == "darwin" or any(map(os.environ.get, _DISPLAYS))):
        import webbrowser

        webbrowser.open(server.address)
    server.serve()
    return 0


def _words(options: Mapping[str, Any]) -> list[str]:
    """Return the words of a command line for options; those that are not given have none."""
    given = {f"--{name.replace('_', '-')}": value for name, value in options.items() if value not in (None, False)}
    return [word for flag, value in given.items() for word in ((flag,) if value is True else (flag, f"{value:.0f}"))]


def _as_applied(specs: tuple[str, ...], source: str, output: str, reading: list[str]) -> pipeline.Options:
    """Return the options of ``convfilter apply`` on the same files, including the configuration."""
    from convfilter.cli import apply
    from convfilter.cli.request import pipeline_options, requested
    from convfilter.filters import stack

    files = [name if not name.startswith("-") else f"./{name}" for name in (source, output)]
    words = [*(word for spec in specs for word in ("-f", spec)), *reading]
    with apply.command.make_context("apply", [*words, *files], click.get_current_context().parent) as context:
        options = pipeline_options(requested(specs, context.params))
    if options.masking is not None:
        raise UsageError("pictures with a mask cannot be tried; leave ignore and mask out of the configuration")
    stack.stages(specs, **options.defaults)
    return options


def _named_after(source: str) -> str:
    """Name the result after the picture, in the working folder."""
    stem, suffix = os.path.splitext(os.path.basename(source))
    from convfilter.picture import formats

    return f"{stem}-tried{suffix if formats.by_suffix(suffix) else '.png'}"


command = Command(
    "try",
    callback=_try,
    help=COMMANDS["try"]
    + """

    Shows the picture on a page in the browser, at full resolution or as a whole, with
    sliders for the parameters of the filters. Only the visible region is filtered, with the
    same samples as the command gives. Below the picture are the command and the Makefile
    rule that do the same; save writes the whole result, to OUT or a file beside it.

    Only this machine (127.0.0.1) can reach the page, at a secret address; with --port 8000
    here and ssh -L 8000:127.0.0.1:8000 on another machine, that one can too. The program
    ends when the page is closed.
    """,
    params=[
        click.Argument(["source"], metavar="IN", type=click.Path(readable=False)),
        click.Argument(["output"], metavar="[OUT]", required=False, type=click.Path(readable=False)),
        spec_option(required=False),
        Option(
            "--port", section="Run", type=RunType(_PORT), metavar="PORT", help="Port of the page.  [any that is free]"
        ),
        Option("--no-browser", section="Run", is_flag=True, help="Print the address only."),
        *read_options(),
        *common_options(),
    ],
)
command.examples = """\
convfilter try in.jpg
convfilter try -f gaussian:2 -f sobel:magnitude in.jpg edges.png"""
