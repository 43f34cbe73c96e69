"""Completion: the scripts of bash, zsh and fish, and the answers to their requests."""

from __future__ import annotations

import os
from typing import Any

import click
from click.shell_completion import (
    BashComplete,
    CompletionItem,
    FishComplete,
    ShellComplete,
    ZshComplete,
    split_arg_string,
)

from convfilter.cli.commands import COMPLETE_VARIABLE


class _Help(ShellComplete):
    """Completion of ``help`` by the names of commands."""

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem]:
        """Return the words that can complete the one at the cursor."""
        items = super().get_completions(args[args[:1] == ["help"] :], incomplete)
        if args[:1] == ["help"]:
            return [item for item in items if item.type == "plain" and not item.value.startswith("-")]
        return items


class _Bash(_Help, BashComplete):
    """Completion of whole words: Readline splits at colons and equals signs, as in ``gaussian:4,stride=2``."""

    source_template = """\
%(complete_func)s() {
    local IFS=$'\\n' completion type value
    COMPREPLY=()
    for completion in $(env COMP_LINE="$COMP_LINE" COMP_POINT="$COMP_POINT" COMP_BREAKS="$COMP_WORDBREAKS" \\
        %(complete_var)s=bash_complete "$1"); do
        IFS=',' read -r type value <<< "$completion"
        case $type in
            dir) compopt -o dirnames ;;
            file) compopt -o default ;;
            plain)
                COMPREPLY+=("$value")
                if [[ $value == *[:=] ]]; then compopt -o nospace; fi
                ;;
        esac
    done
    return 0
}
complete -o nosort -F %(complete_func)s %(prog_name)s
"""

    def get_completion_args(self) -> tuple[list[str], str]:
        """Return the words before the cursor, and the beginning of the current one."""
        line = os.environ["COMP_LINE"][: int(os.environ["COMP_POINT"])]
        words = split_arg_string(line)
        self._typed = "" if line[-1:].isspace() else words.pop()
        return words[1:], self._typed

    def format_completion(self, item: Any) -> str:
        """Return only the part of the word that Readline replaces."""
        breaks = [char for char in ":=" if char in os.environ.get("COMP_BREAKS", ":=")]
        end = max((self._typed.rfind(char) + 1 for char in breaks), default=0)
        value = item.value[end:] if item.type == "plain" else item.value
        return f"{item.type},{value}"


class _Zsh(_Help, ZshComplete):
    """Completion without a blank after a colon or an equals sign."""

    source_template = """\
#compdef %(prog_name)s

%(complete_func)s() {
    local -a completions open response
    (( ! $+commands[%(prog_name)s] )) && return 1
    response=("${(@f)$(env COMP_WORDS="${words[*]}" COMP_CWORD=$((CURRENT-1)) \\
        %(complete_var)s=zsh_complete %(prog_name)s)}")
    for type key descr in ${response}; do
        case "$type" in
            plain) if [[ "$key" == *[:=] ]]; then open+=("$key"); else completions+=("$key"); fi ;;
            dir) _path_files -/ ;;
            file) _path_files -f ;;
        esac
    done
    (( $#open )) && compadd -U -S '' -V unsorted -a open
    (( $#completions )) && compadd -U -V unsorted -a completions
    return 0
}

if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    %(complete_func)s "$@"
else
    compdef %(complete_func)s %(prog_name)s
fi
"""


class _Fish(_Help, FishComplete):
    """Completion with answers split at the first comma only: SPECs contain commas."""

    source_template = """\
function %(complete_func)s;
    set -l response (env %(complete_var)s=fish_complete COMP_WORDS=(commandline -cp) COMP_CWORD=(commandline -t) \\
        %(prog_name)s);
    for completion in $response;
        set -l metadata (string split -m 1 "," $completion);
        switch $metadata[1];
            case dir; __fish_complete_directories $metadata[2];
            case file; __fish_complete_path $metadata[2];
            case plain; echo $metadata[2];
        end;
    end;
end;

complete --no-files --command %(prog_name)s --arguments "(%(complete_func)s)";
"""


SHELLS: dict[str, type[ShellComplete]] = {"bash": _Bash, "zsh": _Zsh, "fish": _Fish}


def complete(program: click.Command, instruction: str) -> int:
    """Answer a shell's script: ``bash_complete``."""
    shell = instruction.partition("_")[0]
    if shell not in SHELLS:
        return 1
    click.echo(SHELLS[shell](program, {}, "convfilter", COMPLETE_VARIABLE).complete())
    return 0


def script(program: click.Command, shell: str) -> str:
    """Return the script that a shell evaluates."""
    return SHELLS[shell](program, {}, "convfilter", COMPLETE_VARIABLE).source()
