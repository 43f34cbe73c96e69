"""The form of a command: help text with sections and examples, files at the end; and commands that are one filter."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import click

from convfilter.cli.commands import COMMANDS
from convfilter.cli.options import SECTIONS, FilterOption, run_options, stage_options
from convfilter.errors import UsageError, shown
from convfilter.filters.catalog import STAGE_PARAMETERS
from convfilter.filters.spec import FilterSpec, Value
from convfilter.picture.options import STRIPS

PADDING_DRAWN = """\
edge       aaaa|abcd|dddd
reflect     dcb|abcd|cba
symmetric  dcba|abcd|dcba
wrap       abcd|abcd|abcd
constant   kkkk|abcd|kkkk   k is --padding-value"""


class Command(click.Command):
    """A command whose help text has sections, examples and drawings."""

    examples: str = ""
    draws_padding: bool = False

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Give ``--strip`` its default value: a value of its own is only what follows an equals sign."""
        end = args.index("--") if "--" in args else len(args)
        args[:end] = [f"--strip={STRIPS[0]}" if arg == "--strip" else arg for arg in args[:end]]
        words = list(args)  # click takes them out one by one
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            from convfilter.cli import hints

            if name := hints.file_among(words):
                raise UsageError(f"a name that begins with - is written {shown('./' + name)}", subject=name) from error
            known = [name for param in self.params if isinstance(param, click.Option) for name in param.opts]
            raise click.UsageError(hints.of_option(str(self.name), error.option_name, known), ctx) from error

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write what the command does, then examples as they are typed."""
        super().format_help_text(ctx, formatter)
        _write_lines(formatter, "Examples", self.examples)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options by section."""
        for section in (*SECTIONS, "Options"):
            options = [
                p
                for p in self.get_params(ctx)
                if isinstance(p, click.Option) and getattr(p, "section", "Options") == section
            ]
            rows = [row for row in (option.get_help_record(ctx) for option in options) if row]
            if rows:
                with formatter.section(section):
                    formatter.write_dl(rows)
        if self.draws_padding:
            _write_lines(formatter, "Padding modes, for a row abcd", PADDING_DRAWN)


def _write_lines(formatter: click.HelpFormatter, title: str, text: str) -> None:
    if text:
        with formatter.section(title):
            for line in text.splitlines():
                formatter.write(f"{'':>{formatter.current_indent}}{line}\n")


def filter_command(
    name: str,
    own: Sequence[FilterOption],
    *,
    examples: str,
    filter_name: str | None = None,
    keywords: Iterable[str] = tuple(STAGE_PARAMETERS),
) -> Command:
    """Make a command that is sugar for ``apply`` with one SPEC.

    Parameters
    ----------
    name : str
        A key of ``COMMANDS``.
    own : sequence of FilterOption
        Those that choose the filter, and its further parameters.
    examples : str
        Command lines, one a line.
    filter_name : str, optional
        The filter of a command that has no choice.
    keywords : iterable of str
        Which of the stage options it takes.
    """

    def callback(**params: Any) -> int:
        from convfilter.cli.jobs import run_files
        from convfilter.cli.request import requested

        return run_files(requested([_one_spec(name, own, params, filter_name)], params))

    command = Command(
        name,
        callback=callback,
        help=COMMANDS[name],
        params=[*own, *stage_options(keywords), *run_options(), files_argument()],
    )
    command.examples, command.draws_padding = examples, "padding_mode" in set(keywords)
    return command


def files_argument(words: Callable[[click.Context, click.Parameter, str], list[Any]] | None = None) -> click.Argument:
    """Make the argument for input and output; ``words`` offers what a shell may complete, if not files."""
    # Whether a file can be read is for its reader to find out: an output need not be readable.
    type_ = click.Path(readable=False)
    return click.Argument(["files"], nargs=-1, metavar="IN... OUT", type=type_, shell_complete=words)


def _one_spec(name: str, own: Sequence[FilterOption], params: Mapping[str, Any], filter_name: str | None) -> FilterSpec:
    """Put the SPEC together that the options of a named command stand for."""
    given = [(option, option.value(params[str(option.name)])) for option in own if params[str(option.name)] is not None]
    chosen = [(option, value) for option, value in given if option.selects]
    if filter_name is None and len(chosen) != 1:
        flags = [option.opts[-1] for option in own if option.selects]
        problem = f"choose one of {', '.join(flags)}" if len(flags) > 1 else f"{flags[0]} is needed"
        if chosen:
            problem += f", got {' and '.join(option.opts[-1] for option, _ in chosen)}"
        raise click.UsageError(problem, click.get_current_context())
    argument = None
    where = f"convfilter {name}"
    if chosen:
        ((option, value),) = chosen
        filter_name, where = option.filter_name, value.where
        argument = value if option.parameter else None
    assert filter_name is not None
    options = {option.parameter.name: value for option, value in given if not option.selects and option.parameter}
    return FilterSpec(Value(filter_name, where), argument, options)
