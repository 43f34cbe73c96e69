"""Completion: the scripts for shells, and the words that they offer."""

from __future__ import annotations

import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

import convfilter
from convfilter.cli.commands import COMMANDS
from convfilter.cli.root import run
from convfilter.filters.catalog import FILTERS


def offered(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, words: str) -> set[str]:
    """Return the completions for bash of the last word."""
    monkeypatch.setenv("_CONVFILTER_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_LINE", words)
    monkeypatch.setenv("COMP_POINT", str(len(words)))
    run([])
    return set(capfd.readouterr().out.split())


def test_words(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def words(line: str) -> set[str]:
        return offered(capfd, monkeypatch, line)

    assert words("convfilter ") == {f"plain,{name}" for name in COMMANDS}
    assert words("convfilter bl") == {"plain,blur"}
    assert words("convfilter help bl") == {"plain,blur"}
    assert words("convfilter help kernel ") == {"plain,list", "plain,show"}
    assert words("convfilter help blur ") == set()
    assert words("convfilter apply -f ") == {
        f"plain,{row.name}{':' * bool(row.parameters)}" for row in FILTERS.values()
    }
    assert words("convfilter apply -f sobel:m") == {"plain,magnitude"}
    assert words("convfilter apply -f gaussian:4,stri") == {"plain,4,stride="}
    assert words("convfilter apply -f gaussian:4,padding_mode=re") == {"plain,reflect"}
    assert words("convfilter apply -f gaussian:4,padding_mode=wrap,re") == {"plain,wrap,reflect"}
    assert words("convfilter blur --padding-mode re") == {"plain,reflect"}
    assert words("convfilter blur --padding-mode wrap,re") == {"plain,wrap,reflect"}
    assert words("convfilter edges --sobel ") >= {"plain,x", "plain,y", "plain,magnitude"}
    assert words("convfilter blur --box 3 --ext jp") >= {"plain,jpg", "plain,jpeg", "plain,jp2"}
    assert "plain,--padding-mode" in words("convfilter blur --pad")
    assert words("convfilter blur --box 3 ph") == {"file,ph"}
    assert words("convfilter convolve --kernel em") == {"file,em"}
    assert words("convfilter blur --into ou") == {"dir,ou"}
    assert words("convfilter kernel show gau") == {"plain,gaussian:"}
    assert words("convfilter blur --box 3 --algorithm f") == {"plain,fourier"}
    assert words("convfilter completion ") == {"plain,bash", "plain,zsh", "plain,fish"}


def test_pipelines(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert offered(capfd, monkeypatch, "convfilter apply @") == set()
    Path("convfilter.toml").write_text('[pipelines]\nthumb = ["box:2"]\nsoft = ["box:3"]\n')
    assert offered(capfd, monkeypatch, "convfilter apply @") == {"plain,@thumb", "plain,@soft"}
    assert offered(capfd, monkeypatch, "convfilter apply @th") == {"plain,@thumb"}
    assert offered(capfd, monkeypatch, "convfilter apply @thumb ph") == {"file,ph"}
    Path("convfilter.toml").write_text("nonsense")
    assert offered(capfd, monkeypatch, "convfilter apply @") == set()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_scripts(capfd: pytest.CaptureFixture[str], shell: str) -> None:
    assert run(["completion", shell]) == 0
    script = capfd.readouterr().out
    assert f"{shell}_complete" in script and "convfilter" in script
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=script, text=True, check=True, timeout=60)


def test_an_unknown_shell_is_one_line(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["completion", "tcsh"]) == 2
    assert "tcsh" in capfd.readouterr().err


#: How each shell asks for the end of a word; zsh does it on a terminal only.
ASKED = {
    "bash": """source "$1"; COMP_LINE='convfilter blur --padding-mode re'; COMP_POINT=${#COMP_LINE}
[[ $(complete -p convfilter) =~ -F\\ ([^ ]*) ]]; ${BASH_REMATCH[1]} convfilter re --padding-mode; echo "${COMPREPLY[*]}"
""",
    "fish": "source $argv[1]; complete -C 'convfilter blur --padding-mode re'",
}


@pytest.mark.parametrize("shell", ASKED)
def test_shells_complete_a_word(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, shell: str
) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"needs {shell}")
    program, script = tmp_path / "convfilter", tmp_path / "script"
    program.write_text(f"#!/bin/sh\nexec '{sys.executable}' -m convfilter \"$@\"\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setenv("PYTHONPATH", str(Path(convfilter.__file__).parents[1]))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert run(["completion", shell]) == 0
    script.write_text(capfd.readouterr().out)
    arguments = [shell, "-c", ASKED[shell], *(["bash"] if shell == "bash" else []), script]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=True)
    assert (done.stdout, done.stderr) == ("reflect\n", "")


#: The text before Tab, and the text after it; a complete word gets a blank.
TABS = {
    "apply -f gaus": "apply -f gaussian:",
    "apply -f gaussian:4,tr": "apply -f gaussian:4,truncate=",
    "apply -f box:3,padding_mode=wr": "apply -f box:3,padding_mode=wrap ",
    "blur --padding-mode wr": "blur --padding-mode wrap ",
}
SHELLS = {
    "bash": (["--norc", "--noprofile", "-i"], "bind 'set enable-bracketed-paste off'"),
    "zsh": (["-f", "-i"], "unset zle_bracketed_paste; autoload -U compinit; compinit -u -D"),
    "fish": (["--no-config", "-i"], "set -g fish_autosuggestion_enabled 0; function fish_prompt; end"),
}


@pytest.mark.parametrize("shell", SHELLS)
def test_tab_on_a_terminal(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, shell: str
) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"needs {shell}")
    assert run(["completion", shell]) == 0
    script, program = tmp_path / "script", tmp_path / "convfilter"
    script.write_text(capfd.readouterr().out)
    program.write_text(f"#!/bin/sh\nexec '{sys.executable}' -m convfilter \"$@\"\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setenv("PYTHONPATH", str(Path(convfilter.__file__).parents[1]))
    monkeypatch.setenv("TERM", "dumb" if shell == "bash" else "xterm")
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.chdir(tmp_path)
    options, begin = SHELLS[shell]
    with Terminal([shell, *options]) as terminal:
        terminal.type(f"{begin}; source {script}; echo rea''dy\r")
        terminal.wait_for("ready")
        for number, (typed, whole) in enumerate(TABS.items()):
            terminal.type(f"convfilter {typed}\t")
            terminal.wait_for(whole.strip()[-2:])  # fish shows only what has changed
            # Home, End: the line becomes an echo of itself, into a file.
            terminal.type(f"\x01echo +\x05+ > line{number}; echo do''ne{number}\r")
            terminal.wait_for(f"done{number}")
            # zsh and fish take the blank back when another word does not follow at once.
            lines = {f"+convfilter {whole}+\n", f"+convfilter {whole.rstrip()}+\n"}
            assert Path(f"line{number}").read_text() in lines


class Terminal:
    """A program on a pseudo-terminal."""

    def __init__(self, command: list[str]) -> None:
        self._pid, self._master = pty.fork()
        if self._pid == 0:
            os.execvp(command[0], command)
        self._shown = ""

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_unused: object) -> None:
        os.close(self._master)
        with suppress(ProcessLookupError):
            os.killpg(self._pid, signal.SIGKILL)  # a forked zsh that loses its terminal would spin without end
        os.waitpid(self._pid, 0)

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def wait_for(self, text: str, seconds: float = 30.0) -> None:
        """Read until a new text is shown."""
        end = time.monotonic() + seconds
        while text not in self._shown:
            assert time.monotonic() < end, f"{text!r} is not in {self._shown[-300:]!r}"
            if select.select([self._master], [], [], 0.1)[0]:
                self._shown += os.read(self._master, 4096).decode(errors="replace")
        self._shown = ""
