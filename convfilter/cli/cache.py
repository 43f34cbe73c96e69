"""``convfilter cache``: print, empty or fill the folder of compiled code."""

import click

from convfilter.cli.commands import COMMANDS
from convfilter.cli.options import common_options


@click.group("cache", help=COMMANDS["cache"], no_args_is_help=False)
def command() -> None:
    """Group of the three commands."""


@command.command("path")
def path() -> None:
    """Print the folder; CONVFILTER_CACHE_DIR moves it."""
    from convfilter.native import code_cache

    click.echo(code_cache.path())


@command.command("clear")
def clear() -> None:
    """Remove the compiled code; the next run compiles again."""
    from convfilter.native import code_cache, object_code

    count = object_code.cache_clear()
    click.echo(f"removed {count} file{'s' if count != 1 else ''} from {code_cache.path()}")


@command.command("warm")
@click.option("--everyday", "only_everyday", is_flag=True, help="Only the loops of usual filters on 8-bit pictures.")
def warm(only_everyday: bool) -> None:
    """Compile the loops of all filters on all cores, for instance when a container image is built."""
    from convfilter.cli.messages import say
    from convfilter.native import code_cache, object_code
    from convfilter.precompile import everyday, variants

    object_code.on_notice(say)
    if only_everyday:  # no lock: this process may have the lowest priority, and a command would wait for it
        object_code.compile_with_lock(False)
    for name in everyday.warm() if only_everyday else variants.cache_warm():
        click.echo(name)
    click.echo(f"{'the usual' if only_everyday else 'all'} loops are ready in {code_cache.path()}")


for each in command.commands.values():
    each.params += common_options()
