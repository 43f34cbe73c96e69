"""The lecture's page and its hand-out are what their scripts make: all of their commands are run."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import chromium
import numpy as np
import pytest
from PIL import Image

DOCS = Path(__file__).parents[1] / "docs"
PAGE = (DOCS / "lecture.md").read_text()
SESSIONS = re.findall(r"^```console\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
_WRITING = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
COMMANDS = [line for block in _WRITING for line in block.splitlines()]


def script(name: str) -> ModuleType:
    found = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    assert found is not None and found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def test_rendered_nothing_of_the_text_is_eaten() -> None:
    markdown = pytest.importorskip("markdown_it").MarkdownIt()
    tokens = markdown.parse(PAGE)
    inline = [child for token in tokens for child in token.children or ()]
    assert not [child for child in inline if child.type in ("em_open", "strong_open", "html_inline", "html_block")]
    texts = " ".join(child.content for child in inline if child.type == "text")
    assert not re.search(r"[*_`]", texts)
    assert "`2*3 + 2*3 + 2*2 + 1*1 + 2*2 + 1*3 = 24`" in PAGE
    pictures = [child for child in inline if child.type == "image"]
    assert len(pictures) >= 25
    for picture in pictures:
        assert len(picture.content) >= 20, picture.attrs["src"]
        assert (DOCS / str(picture.attrs["src"])).is_file()
    alts = [picture.content for picture in pictures]
    assert len(set(alts)) == len(alts)
    links = [str(child.attrs["href"]) for child in inline if child.type == "link_open"]
    assert all((DOCS / link).is_file() for link in links)


def test_code_blocks_are_all_of_a_kind_that_is_run() -> None:
    kinds = re.findall(r"^```(\w*)$", PAGE, re.MULTILINE)
    assert set(kinds) == {"text", "console", "sh", "python", ""}
    assert kinds.count("text") == 2  # two matrices


def test_the_handout_is_what_its_script_makes() -> None:
    page = (DOCS / "handout.html").read_text()
    assert script("handout").page() == page, "run: python docs/handout.py"
    assert page.count("<li><pre>") == len(script("handout").EXERCISES) >= 10
    for worked_out in (
        "= 5<",
        "12 12 17\n10 17 19\n9 6 14",
        "3 2 1 2 3 4 3 2",
        "-40.0",
        "19x19",
        "1,728",
        "10 20 30 40 20",
    ):
        assert worked_out in page


@pytest.mark.skipif(chromium.PROGRAM is None, reason="Chromium is not installed")
def test_the_handout_is_one_page_of_paper_and_fits_a_phone(tmp_path: Path) -> None:
    with chromium.running(tmp_path) as browser:
        browser.open(DOCS / "handout.html")
        printed = browser.call("Page.printToPDF", preferCSSPageSize=True)["data"]
        assert len(re.findall(rb"/Type\s*/Page\b", chromium.b64decode(printed))) == 1
        assert chromium.faults(browser) == []
        browser.size(390, 844, mobile=True)
        assert browser.value("document.documentElement.scrollWidth") <= 390


def test_the_page_has_all_steps() -> None:
    assert len(SESSIONS) >= 6
    assert len(COMMANDS) >= 15
    linked = set(re.findall(r"\]\(lecture/([^)]*)\)", PAGE))
    assert linked == {file.name for file in (DOCS / "lecture").iterdir()}


def test_the_worked_examples_are_the_lectures() -> None:
    assert "\n24 21 13 9\n16 17 20 10\n19 19 14 12\n18 16 7 9\n" in PAGE
    assert "\n3 3 3\n3 3 3\n2 2 2\n" in PAGE


def test_the_page_is_what_the_script_makes_of_the_program(tmp_path: Path) -> None:
    """Every command is run, and its numbers and drawings are those of the page; photographs are shown as JPEGs."""
    script("lecture").main(tmp_path / "lecture.md", tmp_path / "lecture")
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
