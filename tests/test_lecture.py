"""The lecture's page is what its script makes: all of its commands are run."""

from __future__ import annotations

import importlib.util
import re
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


def test_the_page_has_all_steps() -> None:
    assert len(SESSIONS) >= 6
    assert len(COMMANDS) >= 15
    linked = set(re.findall(r"\]\(lecture/([^)]*)\)", PAGE))
    assert linked == {file.name for file in (DOCS / "lecture").iterdir()}


def test_the_worked_examples_are_the_lectures() -> None:
    assert "\n24 21 13 9\n16 17 20 10\n19 19 14 12\n18 16 7 9\n" in PAGE
    assert "\n3 3 3\n3 3 3\n2 2 2\n" in PAGE


def test_the_page_is_what_the_script_makes_of_the_program(script: ModuleType, tmp_path: Path) -> None:
    """Every command is run, and its numbers and drawings are those of the page; photographs are shown as JPEGs."""
    script.main(tmp_path / "lecture.md", tmp_path / "lecture")
    assert (tmp_path / "lecture.md").read_text() == PAGE, "run: python docs/lecture.py"
    for made in (tmp_path / "lecture").iterdir():
        kept = DOCS / "lecture" / made.name
        if made.suffix == ".svg":
            assert made.read_text() == kept.read_text()
            continue
        with Image.open(made) as result, Image.open(kept) as shown:
            assert result.size == shown.size
            apart = np.abs(np.asarray(result.convert("RGB"), np.float64) - np.asarray(shown.convert("RGB")))
            assert apart.mean() < 0.5
