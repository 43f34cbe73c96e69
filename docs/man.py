"""Write the manual pages in ``docs/man`` from the commands themselves: ``python docs/man.py``.

They are installed with the package, so that ``man convfilter-blur`` shows what
``convfilter blur --help`` does. A test holds them to the commands.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from convfilter import __version__
from convfilter.cli.command import PADDING_DRAWN
from convfilter.cli.commands import COMMANDS
from convfilter.cli.options import SECTIONS
from convfilter.cli.root import root

FOLDER = Path(__file__).with_name("man")
STATUS = (
    ("0", "All done."),
    ("1", "A picture could not be read, filtered or written; a line on stderr says which and why."),
    ("2", "The command line is wrong; a line on stderr says what would be right."),
    ("130, 143", "Stopped by Ctrl-C or SIGTERM; finished files stay, half-written ones do not."),
)


def pages() -> dict[str, str]:
    """Return the text of each page by its file name."""
    context = click.Context(root, info_name="convfilter")
    made = {"convfilter.1": "\n".join(top_page()) + "\n"}
    for name, summary in COMMANDS.items():
        command = root.get_command(context, name)
        assert command is not None
        made[f"convfilter-{name}.1"] = "\n".join(command_page(name, summary, command)) + "\n"
    return made


def top_page() -> Iterator[str]:
    """Write the page of the program: its commands and how it ends."""
    yield head("convfilter")
    yield ".SH NAME"
    yield escaped("convfilter - exact convolution filters for picture files")
    yield ".SH SYNOPSIS"
    yield ".B convfilter\n.I COMMAND\n[options] IN... OUT"
    yield ".SH COMMANDS"
    for name, summary in COMMANDS.items():
        yield f".TP\n.BR convfilter\\-{name} (1)\n{escaped(summary)}"
    yield from ending()
    yield ".SH FILES"
    yield f".TP\n.I convfilter.toml\n{escaped('Defaults and pipelines, in the working folder.')}"
    yield f".TP\n.I .convfilter_log\n{escaped('What --update knows of the outputs beside it.')}"


def command_page(name: str, summary: str, command: click.Command) -> Iterator[str]:
    """Write the page of one command."""
    title = f"convfilter-{name}"
    yield head(title)
    yield ".SH NAME"
    yield escaped(f"{title} - {summary[0].lower()}{summary[1:].rstrip('.')}")
    yield ".SH SYNOPSIS"
    if isinstance(command, click.Group):
        for each in command.commands:
            yield f".B convfilter {escaped(name)} {each}\n.br"
    else:
        arguments = [str(p.metavar or p.name).upper() for p in command.params if isinstance(p, click.Argument)]
        yield f".B convfilter {escaped(name)}\n[options] {escaped(' '.join(arguments))}"
    yield ".SH DESCRIPTION"
    yield from paragraphs(inspect.cleandoc(command.help or summary))
    if isinstance(command, click.Group):
        for each, inner in command.commands.items():
            yield f".TP\n.B {each}"
            yield escaped(" ".join(inspect.cleandoc(inner.help or "").split()))
    yield from options(command)
    if getattr(command, "draws_padding", False):
        yield ".SH PADDING MODES\nFor a row abcd:\n.nf"
        yield from map(escaped, PADDING_DRAWN.splitlines())
        yield ".fi"
    if getattr(command, "examples", ""):
        yield ".SH EXAMPLES\n.nf"
        yield from map(escaped, command.examples.splitlines())
        yield ".fi"
    yield from ending()


def options(command: click.Command) -> Iterator[str]:
    """Write the options, section by section as in the help text."""
    given = [param for param in command.params if isinstance(param, click.Option)]
    for section in (*SECTIONS, "Options"):
        chosen = [option for option in given if getattr(option, "section", "Options") == section]
        if chosen:
            yield f".SH {section.upper()}" if section != "Options" else ".SH OPTIONS"
        for option in chosen:
            flags = ", ".join([*option.opts, *option.secondary_opts])
            metavar = "" if option.is_flag else f" {option.metavar or option.type.name.upper()}"
            yield f".TP\n.B {escaped(flags + metavar)}\n{escaped(option.help or '')}"


def ending() -> Iterator[str]:
    """Write what all pages end with."""
    yield ".SH EXIT STATUS"
    for status, meaning in STATUS:
        yield f".TP\n.B {status}\n{escaped(meaning)}"


def paragraphs(text: str) -> Iterator[str]:
    """Write text whose paragraphs are parted by empty lines; those marked by click's backspace keep their lines."""
    for number, paragraph in enumerate(text.split("\n\n")):
        if number:
            yield ".PP"
        if paragraph.startswith("\b"):
            yield ".nf\n" + "\n".join(map(escaped, paragraph.removeprefix("\b\n").splitlines())) + "\n.fi"
        else:
            yield escaped(" ".join(paragraph.split()))


def head(title: str) -> str:
    """Write the first line; no date, so that a page changes only with the program."""
    return f'.TH {escaped(title.upper())} 1 "" "convfilter {__version__}" "User Commands"'


def escaped(text: str) -> str:
    """Write text so that roff takes it as it is."""
    text = (
        text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("^", "\\(ha").replace("~", "\\(ti")
    )
    return f"\\&{text}" if text.startswith((".", "\\(aq")) else text


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for file_name, text in pages().items():
        (FOLDER / file_name).write_text(text)
    stale = {path.name for path in FOLDER.glob("*.1")} - set(pages())
    sys.exit(f"no command has these pages any more: {', '.join(sorted(stale))}" if stale else 0)
