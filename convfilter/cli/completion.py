"""``convfilter completion``: the completion script of a shell."""

import click

from convfilter.cli.commands import COMMANDS
from convfilter.cli.options import common_options
from convfilter.cli.shells import SHELLS, script


def _completion(shell: str) -> int:
    click.echo(script(click.get_current_context().find_root().command, shell))
    return 0


command = click.Command(
    "completion",
    callback=_completion,
    help=COMMANDS["completion"]
    + """

    \b
    convfilter completion bash     in ~/.bashrc: eval "$(convfilter completion bash)"
    convfilter completion zsh      in ~/.zshrc, after compinit: eval "$(convfilter completion zsh)"
    convfilter completion fish     > ~/.config/fish/completions/convfilter.fish
    """,
    params=[click.Argument(["shell"], type=click.Choice(list(SHELLS))), *common_options()],
)
