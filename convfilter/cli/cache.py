"""``convfilter cache path|clear|warm``."""

import click

from convfilter.cli.options import debug_option
from convfilter.cli.root import COMMANDS


@click.group("cache", help=COMMANDS["cache"], no_args_is_help=False)
def command() -> None:
    """Hold the three commands; what they do is in their own help."""


@command.command("path")
def path() -> None:
    """Print the folder; CONVFILTER_CACHE_DIR moves it."""
    from convfilter.engine import native

    click.echo(native.cache_path())


@command.command("clear")
def clear() -> None:
    """Remove the compiled code; the next run compiles again."""
    from convfilter.engine import native

    count = native.cache_clear()
    click.echo(f"removed {count} file{'s' if count != 1 else ''} from {native.cache_path()}")


@command.command("warm")
def warm() -> None:
    """Compile all that any filter may need, for instance in a container image."""
    from convfilter.cli.messages import say
    from convfilter.engine import native

    native.on_notice(say)
    for name in native.cache_warm():
        click.echo(name)
    click.echo(f"all loops are ready in {native.cache_path()}")


for each in command.commands.values():
    each.params.append(debug_option())
