"""The commands, the Makefile, the Python and the arithmetic of README and ``docs/`` run as printed.

``.ci/run`` runs the two commands that set up a virtual environment, in a copy of the tree.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import convfilter

ROOT = Path(convfilter.__file__).parents[1]
#: The pages that a user reads first, whose examples are run here.
PAGES = (
    "README.md",
    *(f"docs/{name}.md" for name in ("filters", "borders", "depth", "formats", "metadata", "batches", "looking")),
    *(f"docs/{name}.md" for name in ("makefiles", "python")),
)
OTHERS = ("networks", "engine", "cluster", "lecture")
TEXT = "\n".join((ROOT / page).read_text() for page in PAGES)
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
SUFFIXES = ("png", "jpg", "tiff")


def blocks(language: str) -> list[str]:
    return [text for name, text in BLOCKS if name == language]


def commands() -> list[str]:
    return [line for text in blocks("sh") for line in text.splitlines()]


USING = [line for line in commands() if re.match(r"convfilter (?!try ).* in\.\w+ ", line)]
MANY = [line for line in commands() if " photos" in line]
CACHING = [line for line in commands() if line.startswith("convfilter cache")]
SETTING_UP = [line for line in commands() if line.startswith("python3 ")]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder that holds the files the examples name, with convfilter on the PATH."""
    programs = tmp_path_factory.mktemp("bin")
    installed = Path(sys.executable).with_name("convfilter")
    start = f'exec "{installed}" "$@"' if installed.exists() else f'exec "{sys.executable}" -m convfilter "$@"'
    (programs / "convfilter").write_text(f"#!/bin/sh\n{start}\n")
    (programs / "convfilter").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.chdir(tmp_path)
    with Image.open(ROOT / "sample_images" / "still_life.png") as picture:
        small = picture.crop((700, 180, 920, 320))
    for suffix in SUFFIXES:
        small.save(f"in.{suffix}")
    (tmp_path / "photos").mkdir()
    for name in ("one", "two"):
        small.save(f"photos/{name}.jpg")
    (tmp_path / "emboss.txt").write_text(blocks("text")[0])
    np.savez("conv1.npz", weight=np.ones((2, 3, 3, 3)))
    return tmp_path


def shell(line: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", line],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        stdin=subprocess.DEVNULL,
        env={**os.environ, **environment},
    )


def test_the_commands_are_found() -> None:
    assert len(SETTING_UP) == 2
    assert len(USING) >= 10
    assert len(MANY) >= 6
    assert len(CACHING) == 4


@pytest.mark.parametrize("line", USING)
def test_commands_write_a_picture(line: str) -> None:
    (before,) = {Path(word).name for word in re.findall(r"in\.\w+", line)}
    (after,) = set(re.findall(r"out\.\w+", line))
    result = shell(line)
    assert result.returncode == 0, result.stderr
    # Pictures of tests have more contrast than photos, and some filters clip them.
    assert all("compiling" in said or "are clipped" in said for said in result.stderr.splitlines())
    with Image.open(before) as old, Image.open(after) as new:
        old.load()
        new.load()
        halved = "stride 2" in line or "stride=2" in line
        assert new.size == ((old.width // 2, old.height // 2) if halved else old.size)
        assert len(set(new.convert("L").tobytes())) > 20
        if new.size == old.size:
            assert new.convert("RGB").tobytes() != old.convert("RGB").tobytes()


@pytest.mark.parametrize("line", MANY)
def test_commands_for_many_files_write_them_all(line: str) -> None:
    (Path("photos") / "notes.txt").touch()
    Path("out").mkdir()
    result = shell(line)
    assert result.returncode == 0, result.stderr
    made = {"--suffix": "photos/{}_soft.jpg", "--ext": "out/{}.png"}
    pattern = next((made[option] for option in made if option in line), "out/{}.jpg")
    dry = "--dry-run" in line
    assert [Path(pattern.format(name)).exists() for name in ("one", "two")] == [not dry] * 2
    assert ("2 to do" if dry else "2 done, 0 failed") in result.stderr


#: Commands of the tables "to see | type"; the table of formats has a column more, and ``test_formats.py`` runs it.
SHOWING = re.findall(r"^\| [^|]* \| `(convfilter [^`]*)` \|$", TEXT, re.MULTILINE)


@pytest.mark.parametrize("line", SHOWING)
def test_commands_of_the_table_print_something(line: str) -> None:
    if "--plot" in line:
        pytest.importorskip("matplotlib")
    result = shell(line)
    assert result.returncode == 0, result.stderr
    assert len(result.stdout.splitlines()) >= 3


def test_the_cache_is_shown_and_emptied(folder: Path) -> None:
    cache = str(folder / "cache")
    path, warm, _everyday, clear = (line.split("#")[0] for line in CACHING)
    shutil.copytree(os.environ["CONVFILTER_CACHE_DIR"], cache)
    assert shell(path, CONVFILTER_CACHE_DIR=cache).stdout == f"{cache}\n"
    assert any(file.is_file() for file in Path(cache).rglob("*"))
    assert shell(clear, CONVFILTER_CACHE_DIR=cache).returncode == 0
    assert not any(file.is_file() for file in Path(cache).rglob("*"))
    # Filling it takes half a minute, and is tested elsewhere.
    assert "Compile" in shell(f"{warm} --help").stdout


@pytest.mark.parametrize("session", blocks("console"))
def test_sessions_print_what_they_show(session: str) -> None:
    line, *expected = session.splitlines()
    assert shell(line.removeprefix("$ ")).stdout.splitlines() == expected


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
def test_the_makefile_makes_every_target_once(folder: Path) -> None:
    (folder / "Makefile").write_text(blocks("make")[0])
    made = shell("make")
    assert made.returncode == 0, made.stderr
    assert {file.name for file in (folder / "edges").iterdir()} == {"one.png", "two.png"}
    with Image.open("edges/one.png") as edges:
        assert edges.mode == "L"
    assert shell("make --question").returncode == 0


def test_the_pipeline_of_the_configuration_runs(folder: Path) -> None:
    (folder / "convfilter.toml").write_text(blocks("toml")[0])
    (line,) = re.findall(r"`(convfilter apply @[^`]*)`", TEXT)
    result = shell(line)
    assert result.returncode == 0, result.stderr
    with Image.open("in.png") as before, Image.open("out.png") as after:
        assert after.size == (before.width // 4, before.height // 4)


def test_the_python_runs() -> None:
    names: dict[str, np.ndarray] = {}
    exec(blocks("python")[0], names)
    photo = names["photo"]
    assert names["soft"].dtype == names["small"].dtype == np.uint8
    assert names["soft"].shape == photo.shape
    with Image.open("soft.png") as written:
        np.testing.assert_array_equal(np.asarray(written), names["soft"])
    assert names["edges"].min() < 0
    assert names["small"].shape == ((photo.shape[0] - 3) // 2 + 1, (photo.shape[1] - 3) // 2 + 1, 3)
    assert names["pooled"].shape == names["stack"].shape == (photo.shape[0] // 2, photo.shape[1] // 2, 3)


def test_the_drawn_example_is_what_is_computed() -> None:
    sums = re.findall(r"^    output \d .* (\S*w1\*.*)$", TEXT, re.MULTILINE)
    values = dict(zip("abcdefg", (3, 1, 4, 1, 5, 9, 2), strict=True)) | {"p": 7, "w1": 2, "w2": 3, "w3": -1}
    row = np.array([[values[name] for name in "abcdefg"]], np.float32)
    weights = [[values["w1"], values["w2"], values["w3"]]]
    geometry = {"padding": (0, 1), "padding_mode": "constant", "padding_value": 7, "stride": (1, 2), "dilation": (1, 2)}
    computed = convfilter.convolve(row, weights, **geometry)
    assert computed.tolist() == [[eval(text, {}, values) for text in sums]]


@pytest.mark.parametrize("mode", ["edge", "reflect", "symmetric", "wrap"])
def test_the_drawn_padding_is_numpys(mode: str) -> None:
    drawn = dict(
        zip(("edge", "reflect", "symmetric", "wrap"), re.findall(r"`(\w+\\\|abcd\\\|\w+)`", TEXT), strict=True)
    )
    padded = np.pad(np.array(list("abcd")), 3, mode=mode)  # type: ignore[call-overload]
    assert drawn[mode].replace("\\|", "") == "".join(padded)


@pytest.mark.parametrize(
    "page", [*PAGES, "CONTRIBUTING.md", "sample_images/README.md", *(f"docs/{name}.md" for name in OTHERS)]
)
def test_links_lead_somewhere(page: str) -> None:
    links = re.findall(r"\]\(([^)#]+)\)", (ROOT / page).read_text())
    missing = [link for link in links if "//" not in link and not (ROOT / page).parent.joinpath(link).exists()]
    assert not missing


@pytest.mark.parametrize("page", [*PAGES, "docs/engine.md"])
def test_no_sign_in_code_becomes_a_bullet(page: str) -> None:
    """A line that begins with a minus or plus is an item of a list to Markdown, within backquotes too."""
    prose = re.sub(r"^ *```.*?^ *```$", "", (ROOT / page).read_text(), flags=re.MULTILINE | re.DOTALL)
    assert not [line for line in prose.splitlines() if re.match(r"[-+*] ", line) and line.count("`") % 2]
