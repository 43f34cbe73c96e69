"""The base class of all commands, with sections and examples in the help text; and commands of a single filter."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import click

from convfilter.cli.commands import COMMANDS
from convfilter.cli.messages import tell
from convfilter.cli.options import SECTIONS, FilterOption, Option, run_options, stage_options
from convfilter.cli.root import WithHelp
from convfilter.cli.values import FILE
from convfilter.errors import UsageError, shown
from convfilter.filters.catalog import STAGE_PARAMETERS
from convfilter.filters.parameters import Parameter
from convfilter.filters.spec import FilterSpec, Value
from convfilter.picture.options import STRIPS

#: Largest number of options in the short help; a command with fewer options has no short help.
_MOST_OPTIONS = 9
_MOST_EXAMPLES, _MOST_COLUMNS = 5, 38
_OFTEN = (
    "stride", "padding", "padding_mode", "gray", "map", "output", "into", "recursive", "update", "in_place", "quality",
)  # fmt: skip
PADDING_DRAWN = """\
edge       aaaa|abcd|dddd
reflect     dcb|abcd|cba
symmetric  dcba|abcd|dcba
wrap       abcd|abcd|abcd
constant   kkkk|abcd|kkkk   k is --padding-value"""


class Command(WithHelp):
    """A command whose help text has sections, examples and drawings."""

    examples: str = ""
    draws_padding: bool = False

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Add ``-h``, a short help of one screen, besides the full ``--help``."""
        params = super().get_params(ctx)
        rest = [param for param in params if isinstance(param, click.Option) and "-h" not in param.opts]
        return [*params, _short_help()] if len(rest) > _MOST_OPTIONS else params

    def get_help_option_names(self, ctx: click.Context) -> list[str]:
        """Reserve ``-h`` for the short help of commands with many options."""
        few = sum(isinstance(param, click.Option) for param in self.params) < _MOST_OPTIONS
        return ["-h", "--help"] if few else ["--help"]

    def short_help_lines(self, ctx: click.Context) -> str:
        """Return the short help: usage, the most important options, examples."""
        options = [param for param in self.params if isinstance(param, click.Option)]
        by_section = ([option for option in options if getattr(option, "section", "") == name] for name in SECTIONS)
        own = next(filter(None, by_section))
        often = [option for name in _OFTEN for option in options if option.name == name]
        formatter = ctx.make_formatter()
        self.format_usage(ctx, formatter)
        formatter.write_paragraph()
        formatter.write_text(COMMANDS[str(self.name)])
        with formatter.section("Options"):
            shown_options = list(dict.fromkeys((*own[:_MOST_OPTIONS], *often)))[:_MOST_OPTIONS]
            rows = [row for option in shown_options if (row := option.get_help_record(ctx))]
            width = formatter.width - min(_MOST_COLUMNS, max(len(form) for form, _ in rows)) - 6
            formatter.write_dl([(form, _cut(text, width)) for form, text in rows], col_max=_MOST_COLUMNS)
        _write_lines(formatter, "Examples", "\n".join(self.examples.splitlines()[:_MOST_EXAMPLES]))
        formatter.write_paragraph()
        formatter.write_text(f"'convfilter {self.name} --help' shows all {len(options)} options.")
        return formatter.getvalue().rstrip()

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse a bare ``--strip`` as its default value: only ``--strip=VALUE`` takes a value."""
        end = args.index("--") if "--" in args else len(args)
        args[:end] = [f"--strip={STRIPS[0]}" if arg == "--strip" else arg for arg in args[:end]]
        words = list(args)  # a copy: click consumes the list
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            from convfilter.cli import hints

            if name := hints.file_among(words):
                raise UsageError(f"a name that begins with - is written {shown('./' + name)}", subject=name) from error
            known = [name for param in self.params if isinstance(param, click.Option) for name in param.opts]
            raise click.UsageError(hints.of_option(str(self.name), error.option_name, known), ctx) from error

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the description, then examples as they are typed."""
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


def _cut(text: str, width: int) -> str:
    """Return the first sentence of a text, shortened to ``width`` characters."""
    text = text.partition(". ")[0].rstrip(".") + "."
    return text if len(text) <= width else text[: width - 3].rstrip() + "..."


def _short_help() -> click.Option:
    def show(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
        if value and not ctx.resilient_parsing:
            assert isinstance(ctx.command, Command)
            tell(*ctx.command.short_help_lines(ctx).splitlines())
            ctx.exit()

    return Option(
        "-h", "short_help", section="Run", is_flag=True, is_eager=True, expose_value=False, callback=show,
        help="Show the options that matter most, on one screen.",
    )  # fmt: skip


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
    stage_parameters: Sequence[Parameter] = tuple(STAGE_PARAMETERS.values()),
) -> Command:
    """Make a command that is shorthand for ``apply`` with one SPEC.

    Parameters
    ----------
    name : str
        A key of ``COMMANDS``.
    own : sequence of FilterOption
        Options that choose the filter, and its further parameters.
    examples : str
        Command lines, one per line.
    filter_name : str, optional
        The filter of a command that has only one.
    stage_parameters : sequence of Parameter
        Stage options that the command takes.
    """

    def callback(**params: Any) -> int:
        from convfilter.cli.jobs import run_files
        from convfilter.cli.request import requested

        return run_files(requested([_one_spec(name, own, params, filter_name)], params))

    command = Command(
        name,
        callback=callback,
        help=COMMANDS[name],
        params=[*own, *stage_options(stage_parameters), *run_options(), files_argument()],
    )
    command.examples, command.draws_padding = examples, any(each.name == "padding_mode" for each in stage_parameters)
    return command


def files_argument(
    words: Callable[[click.Context, click.Parameter, str], list[Any]] | None = None, metavar: str = "IN... OUT"
) -> click.Argument:
    """Make the argument for input and output; ``words`` gives completions other than files."""
    return click.Argument(["files"], nargs=-1, metavar=metavar, type=FILE, shell_complete=words)


def _one_spec(name: str, own: Sequence[FilterOption], params: Mapping[str, Any], filter_name: str | None) -> FilterSpec:
    """Return the SPEC that the options of a command stand for."""
    given = [(option, option.value(params[str(option.name)])) for option in own if params[str(option.name)] is not None]
    chosen = [(option, value) for option, value in given if option.selects]
    if filter_name is None and len(chosen) != 1:
        flags = [option.opts[-1] for option in own if option.selects]
        problem = f"choose one of {', '.join(flags)}" if len(flags) > 1 else f"{flags[0]} is needed"
        if chosen:
            problem += f", got {' and '.join(option.opts[-1] for option, _ in chosen)}"
        elif given:
            lone = given[0][0]
            whose = [option.opts[-1] for option in own if option.selects and option.filter_name == lone.filter_name]
            problem += f"; {lone.opts[-1]} chooses no filter, it is an option of {' or '.join(whose)}"
        raise click.UsageError(problem, click.get_current_context())
    argument = None
    where = f"convfilter {name}"
    if chosen:
        ((option, value),) = chosen
        filter_name, where = option.filter_name, value.where
        argument = value if option.parameter else None
        if option.parameter and value.text.rpartition(".")[2][:1].isalpha():  # a name with a suffix, perhaps
            from convfilter.cli import hints

            kind = option.parameter.kind
            if problem := hints.value_is_file(option.opts[-1], kind.metavar, kind.choices, value.text):
                raise click.UsageError(problem, click.get_current_context())
    assert filter_name is not None
    options = {option.parameter.name: value for option, value in given if not option.selects and option.parameter}
    return FilterSpec(Value(filter_name, where), argument, options)
