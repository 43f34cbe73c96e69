"""Run the command lines of the documentation, as a shell does; convfilter itself in this process, which is quicker."""

from __future__ import annotations

import contextlib
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

from convfilter.cli import main

_OPERATORS = {"|", ">", ";", "&&", "<<"}


def printed(command: str, folder: Path) -> str:
    """Run a command line in ``folder``; returns what it prints.

    Raises
    ------
    RuntimeError, subprocess.CalledProcessError
        It fails.
    """
    lexer = shlex.shlex(command, posix=True, punctuation_chars=True)
    lexer.whitespace_split, lexer.commenters = True, ""
    words = list(lexer)
    end = next((place for place, word in enumerate(words) if word in _OPERATORS), len(words))
    head, operators = words[:end], [word for word in words[end:] if word in _OPERATORS]
    if head[:1] != ["convfilter"] or {*operators} - {"|", ">"} or operators[1:].count(">"):
        return _by_bash(command, folder).decode()
    output = _by_convfilter(head[1:], folder)
    if operators[:1] == [">"]:
        (folder / words[end + 1]).write_bytes(output)
        return ""
    return (_by_bash(command.partition(" | ")[2], folder, output) if operators else output).decode()


def _by_convfilter(arguments: list[str], folder: Path) -> bytes:
    """Run the program with a file in place of standard output."""
    with tempfile.TemporaryFile() as file:
        sys.stdout.flush()
        before = os.dup(1)
        os.dup2(file.fileno(), 1)
        try:
            with open(os.dup(1), "w") as text, contextlib.redirect_stdout(text), contextlib.chdir(folder):
                status = main(arguments)
        finally:
            os.dup2(before, 1)
            os.close(before)
        if status:
            raise RuntimeError(f"convfilter {shlex.join(arguments)} ended with status {status}")
        file.seek(0)
        return file.read()


def _by_bash(command: str, folder: Path, given: bytes = b"") -> bytes:
    """Run other programs, and loops."""
    program = f'convfilter() {{ "{sys.executable}" -m convfilter "$@"; }}; python3() {{ "{sys.executable}" "$@"; }}; '
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", program + command],
        cwd=folder, env=environment, check=True, input=given, stdout=subprocess.PIPE,
    ).stdout  # fmt: skip
