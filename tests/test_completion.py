"""Completion: the shells' scripts, and the words they are given."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import convfilter
from convfilter.cli.commands import COMMANDS
from convfilter.cli.root import run
from convfilter.filters.catalog import FILTERS


def offered(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, words: str) -> set[str]:
    """Return what bash would be told when the last of the words is completed."""
    monkeypatch.setenv("_CONVFILTER_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", str(len(words.split(" ")) - 1))
    run([])
    return set(capfd.readouterr().out.split())


def test_words(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def words(line: str) -> set[str]:
        return offered(capfd, monkeypatch, line)

    assert words("convfilter ") == {f"plain,{name}" for name in COMMANDS}
    assert words("convfilter bl") == {"plain,blur"}
    assert words("convfilter apply -f ") == {f"plain,{name}" for name in FILTERS}
    assert words("convfilter blur --padding-mode re") == {"plain,reflect"}
    assert words("convfilter edges --sobel ") >= {"plain,x", "plain,y", "plain,magnitude"}
    assert words("convfilter blur --box 3 --ext jp") >= {"plain,jpg", "plain,jpeg", "plain,jp2"}
    assert "plain,--padding-mode" in words("convfilter blur --pad")
    assert words("convfilter blur --box 3 ph") == {"file,ph"}
    assert words("convfilter convolve --kernel em") == {"file,em"}
    assert words("convfilter blur --into ou") == {"dir,ou"}
    assert words("convfilter kernel show gau") == {"plain,gaussian"}
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
    "bash": """source "$1"; COMP_WORDS=(convfilter blur --padding-mode re); COMP_CWORD=3
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
