"""Completion: the shells' scripts, and the words they are given."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from convfilter.cli.root import COMMANDS, run
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
    assert words("convfilter completion ") == {"plain,bash", "plain,zsh", "plain,fish"}


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
