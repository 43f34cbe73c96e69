"""The lecture's page: its commands run as they stand there, and print what it shows."""

from __future__ import annotations

import importlib.util
import re
import shutil
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

DOCS = Path(__file__).parents[1] / "docs"
PAGE = (DOCS / "lecture.md").read_text()
SESSIONS = re.findall(r"^```console\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
_WRITING = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
COMMANDS = [line for block in _WRITING for line in block.splitlines()]


@pytest.fixture(scope="module")
def script() -> ModuleType:
    found = importlib.util.spec_from_file_location("lecture", DOCS / "lecture.py")
    assert found is not None and found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


@pytest.fixture
def folder(tmp_path: Path, script: ModuleType) -> Path:
    shutil.copy(DOCS / "lecture" / "in.png", tmp_path / "in.png")
    np.save(tmp_path / "edges.npy", script.bank())
    script.numbers("numbers", script.NUMBERS, tmp_path)
    script.numbers("small", script.SMALL, tmp_path)
    return tmp_path


def test_the_page_has_all_steps() -> None:
    assert len(SESSIONS) >= 6
    assert len(COMMANDS) >= 15
    linked = set(re.findall(r"\]\(lecture/([^)]*)\)", PAGE))
    assert linked == {file.name for file in (DOCS / "lecture").iterdir()}


def test_the_worked_examples_are_the_lectures() -> None:
    assert "\n24 21 13 9\n16 17 20 10\n19 19 14 12\n18 16 7 9\n" in PAGE
    assert "\n3 3 3\n3 3 3\n2 2 2\n" in PAGE


@pytest.mark.parametrize("session", SESSIONS)
def test_sessions_print_what_they_show(session: str, folder: Path, script: ModuleType) -> None:
    line, _, expected = session.partition("\n")
    assert script.printed(line.removeprefix("$ "), folder) == expected


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_write_what_they_name(command: str, folder: Path, script: ModuleType) -> None:
    script.printed(command, folder)
    written = folder / command.rsplit(maxsplit=1)[-1]
    if written.suffix == ".svg":
        assert written.read_text() == (DOCS / "lecture" / written.name).read_text()
        return
    with Image.open(written) as result, Image.open(DOCS / "lecture" / f"{written.stem}.jpg") as shown:
        assert result.size == shown.size
        apart = np.abs(np.asarray(result.convert("RGB"), np.float64) - np.asarray(shown.convert("RGB")))
        assert apart.mean() < 8  # it is shown as a JPEG
