"""``convfilter cache path|clear|warm``."""

import click

from convfilter.cli.commands import COMMANDS
from convfilter.cli.options import debug_option


@click.group("cache", help=COMMANDS["cache"], no_args_is_help=False)
def command() -> None:
    """Hold the three commands; what they do is in their own help."""


@command.command("path")
def path() -> None:
    """Print the folder; CONVFILTER_CACHE_DIR moves it."""
    from convfilter.native import object_code

    click.echo(object_code.cache_path())


@command.command("clear")
def clear() -> None:
    """Remove the compiled code; the next run compiles again."""
    from convfilter.native import object_code

    count = object_code.cache_clear()
    click.echo(f"removed {count} file{'s' if count != 1 else ''} from {object_code.cache_path()}")


@command.command("warm")
def warm() -> None:
    """Compile all that any filter may need, on all cores; for instance in a container image."""
    from convfilter import variants
    from convfilter.cli.messages import say
    from convfilter.native import object_code

    object_code.on_notice(say)
    for name in variants.cache_warm():
        click.echo(name)
    click.echo(f"all loops are ready in {object_code.cache_path()}")


for each in command.commands.values():
    each.params.append(debug_option())
