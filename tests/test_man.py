"""The manual pages agree with the commands' help, and are installed."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

import convfilter
from convfilter.cli.commands import COMMANDS

ROOT = Path(convfilter.__file__).parents[1]


@pytest.fixture(scope="module")
def man() -> ModuleType:
    spec = importlib.util.spec_from_file_location("man", ROOT / "docs" / "man.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_pages_are_those_of_the_commands(man: ModuleType) -> None:
    assert set(man.pages()) == {"convfilter.1", *(f"convfilter-{name}.1" for name in COMMANDS)}
    kept = {path.name: path.read_text() for path in (ROOT / "docs" / "man").iterdir()}
    assert kept == man.pages(), "run: python docs/man.py"


def test_pages_name_every_option_and_example(man: ModuleType) -> None:
    page = man.pages()["convfilter-blur.1"].replace("\\-", "-").replace("\\&", "")
    for flag in ("--gaussian", "--padding-mode", "--jobs", "--update", "--config", "--no-progress", "--debug"):
        assert re.search(rf"^\.B .*{flag}", page, re.MULTILINE)
    assert "convfilter blur --gaussian 4 in.png out.png" in page


def test_pages_are_installed() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["tool"]["setuptools"]["data-files"] == {"share/man/man1": ["docs/man/*.1"]}


@pytest.mark.skipif(shutil.which("groff") is None, reason="needs groff")
def test_pages_are_sound(man: ModuleType) -> None:
    for name in man.pages():
        command = ["groff", "-man", "-Tascii", "-ww", str(ROOT / "docs" / "man" / name)]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
        assert done.stderr == ""
