"""Top level of the program: lazily imported commands, and error handling."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module

import click

from convfilter import __version__
from convfilter.cli.commands import COMMANDS, COMPLETE_VARIABLE
from convfilter.cli.messages import MISUSED, failure, misuse, say, set_colour, traceback_of
from convfilter.errors import ConvfilterError

_BROKEN_PIPE = 141  # the shell's status of a program that SIGPIPE ended


class Session:
    """State of one run of the program."""

    def __init__(self, arguments: Sequence[str] = ()) -> None:
        self.arguments = tuple(arguments)
        self.debug = False
        self.config: str | None = None
        self.trusts_config = False
        self.pipelines: dict[str, list[str]] = {}

    @property
    def command(self) -> str:
        """The command line, quoted for a shell."""
        from shlex import join

        return join(["convfilter", *self.arguments])


class WithHelp(click.Command):
    """A command whose ``--help`` has a fixed text.

    For the text of its own option, click looks for translations, and so imports ``locale``: 1.2 ms of each start.
    """

    _help: click.Option | None = None

    def get_help_option(self, ctx: click.Context) -> click.Option:
        """Return the option, made at the first call: click compares options by identity."""
        if self._help is None:
            self._help = _printing_option(
                self.get_help_option_names(ctx), lambda ctx: ctx.get_help(), "Show this message and exit."
            )
        return self._help


def _printing_option(names: Sequence[str], text: Callable[[click.Context], str], summary: str) -> click.Option:
    """Make an option that prints a text and ends the program."""

    def show(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
        if value and not ctx.resilient_parsing:
            click.echo(text(ctx), color=ctx.color)
            ctx.exit()

    return click.Option(
        [*names, f"show_{names[-1].strip('-')}"],
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=show,
        help=summary,
    )


class LazyGroup(WithHelp, click.Group):
    """A group that imports ``convfilter.cli.<name>`` when that command runs."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load one command."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"convfilter.cli.{cmd_name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Suggest a command for an unknown name."""
        if args[0] not in COMMANDS and not args[0].startswith("-"):
            from convfilter.cli import hints

            raise click.UsageError(hints.of_command(args[0]), ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands from the table, without loading them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="'convfilter COMMAND -h' shows the options that matter and examples, 'convfilter help COMMAND' all.",
)
def root() -> None:
    """Exact convolution filters for picture files, with padding, stride and dilation.

    \b
    convfilter blur --gaussian 4 in.png out.png
    """  # noqa: D301 - the backspace is click's mark for lines that stay as they are


root.params.append(
    _printing_option(["-V", "--version"], lambda _: f"convfilter {__version__}", "Show the version and exit.")
)


def run(arguments: list[str]) -> int:
    """Run one command line and return the exit status; every failure is one line on stderr."""
    session = Session(arguments)
    set_colour(_colour(arguments))
    try:
        status = _invoke(arguments, session)
        if sys.stdout is not None:
            sys.stdout.flush()
        return status
    except click.UsageError as error:
        say(misuse(error), "error")
        return MISUSED
    except Exception as error:
        return fail(error, session)


def _colour(arguments: list[str]) -> str:
    """Read the value of ``--color`` before parsing, so that usage errors are coloured too."""
    words = arguments[: arguments.index("--")] if "--" in arguments else arguments
    colour = "auto"
    for word, following in zip(words, [*words[1:], ""], strict=bool(words)):
        if word == "--color" or word.startswith("--color="):
            colour = following if word == "--color" else word.partition("=")[2]
    return colour


def _invoke(arguments: list[str], session: Session) -> int:
    if COMPLETE_VARIABLE in os.environ:
        from convfilter.cli.shells import complete

        return complete(root, os.environ[COMPLETE_VARIABLE])
    if not arguments:
        click.echo(root.get_help(root.make_context("convfilter", [], resilient_parsing=True)), err=True)
        return MISUSED
    if arguments[0] == "help":
        arguments = [*arguments[1:], "--help"]
    try:
        with root.make_context("convfilter", [*arguments], obj=session) as context:
            return int(root.invoke(context) or 0)
    except click.exceptions.Exit as end:
        return end.exit_code


def fail(error: Exception, session: Session, subject: str = "") -> int:
    """Print the error and its file, and return the exit status."""
    if isinstance(error, BrokenPipeError) or isinstance(error.__cause__, BrokenPipeError):
        return _quiet_end()
    if session.debug and sys.stderr is not None:
        sys.stderr.write(traceback_of(error))
    message, status = failure(error)
    names_it = isinstance(error, ConvfilterError) and bool(error.subject)
    say(f"{subject}: {message}" if subject and not names_it else message, "error")
    return status


def _quiet_end() -> int:
    """Exit quietly after SIGPIPE: the interpreter must not flush stdout again on its way out."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return _BROKEN_PIPE
