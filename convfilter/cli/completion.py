"""``convfilter completion``: the script that has a shell ask for words."""

import click

from convfilter.cli.commands import COMMANDS
from convfilter.cli.options import debug_option
from convfilter.cli.root import COMPLETE_VARIABLE, root

_SHELLS = ("bash", "zsh", "fish")


def _completion(shell: str) -> int:
    from click.shell_completion import get_completion_class

    made = get_completion_class(shell)
    assert made is not None
    click.echo(made(root, {}, "convfilter", COMPLETE_VARIABLE).source())
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
    params=[click.Argument(["shell"], type=click.Choice(_SHELLS)), debug_option()],
)
