"""Notes on compiling, and loops compiled ahead of their use."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from processes import run_bytes, run_python

from convfilter.cli import compiling
from convfilter.cli.root import run
from convfilter.filters.stack import stages
from convfilter.native import code_cache, object_code
from convfilter.precompile import everyday

COMPILING = "convfilter: compiling for this machine, once (a few seconds)\n"


@pytest.fixture(autouse=True)
def pictures(folder: Path) -> None:
    """Three pictures of a format without loops, which would be compiled for each empty cache."""
    for name in ("a.pgm", "b.pgm", "c.pgm"):
        Image.fromarray(np.arange(300, dtype=np.uint8).reshape(10, 30)).save(name)


def said(*arguments: str, **environment: str) -> str:
    done = run_bytes(
        *arguments, text=True, env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), **environment}
    )
    assert done.returncode == 0, done.stderr
    return str(done.stderr)


def test_compiling_is_reported_once_for_a_machine_not_for_a_filter(folder: Path) -> None:
    cache = {"CONVFILTER_CACHE_DIR": str(folder / "cache")}
    assert said("apply", "-f", "invert", "a.pgm", "out.pgm", **cache) == COMPILING
    before = len(os.listdir("cache"))
    assert said("apply", "-f", "sigmoid", "a.pgm", "out.pgm", **cache) == ""
    assert len(os.listdir("cache")) > before


def test_a_batch_compiles_once_where_the_cache_cannot_be_written(folder: Path) -> None:
    environment = {"CONVFILTER_CACHE_DIR": str(folder / "a.pgm"), "TMPDIR": str(folder)}
    lines = said("apply", "-f", "invert", "--jobs", "3", "--into", "out", "a.pgm", "b.pgm", "c.pgm", **environment)
    first, second, third = sorted(lines.splitlines())
    assert first.startswith("convfilter: 3 done, 0 failed in ")
    assert f"{first}\n" != COMPILING and f"{second}\n" == COMPILING
    kept = folder / f"convfilter-{os.geteuid()}"
    assert third == (
        f"convfilter: the compiled code cannot be cached ({folder / 'a.pgm'}: File exists), and goes to {kept}; "
        "set CONVFILTER_CACHE_DIR to a folder of your own"
    )
    assert len(said("apply", "-f", "invert", "--into", "out", "a.pgm", "b.pgm", **environment).splitlines()) == 1


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Any]:
    """Programs started here have an empty cache, and the note on compiling has not been printed."""
    calls: list[Any] = []

    class Child:
        pid = 0

        def __init__(self, command: list[str], **settings: Any) -> None:
            calls.append((command, settings))

    monkeypatch.setattr(subprocess, "Popen", Child)
    monkeypatch.setattr(os, "setpriority", lambda *values: calls.append(values))
    monkeypatch.setenv("CONVFILTER_CACHE_DIR", str(tmp_path / "empty"))
    monkeypatch.setattr(object_code, "announced", set())
    compiling.compile_ahead()  # nothing, but it forgets what an earlier test has compiled
    return calls


def test_the_first_run_has_the_rest_compiled(started: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(compiling.AHEAD_VARIABLE)
    monkeypatch.setattr(code_cache, "fetch", lambda folder, name: None)
    monkeypatch.setattr(object_code, "compile_loop", lambda *names: object_code.ObjectCode("entry", (), b""))
    told: list[str] = []
    for _ in range(2):
        compiling.notice(object_code.COMPILING, told.append)
        compiling.compile_ahead()
    assert told == [object_code.COMPILING]
    (command, settings), priority = started
    assert command[1:] == ["-P", "-m", "convfilter", "cache", "warm", "--everyday"]
    assert settings["start_new_session"] and settings["cwd"] == "/"
    assert {settings[stream] for stream in ("stdin", "stdout", "stderr")} == {subprocess.DEVNULL}
    assert settings["env"]["CONVFILTER_CACHE_DIR"] == os.environ["CONVFILTER_CACHE_DIR"]
    assert priority == (os.PRIO_PROCESS, 0, 19)


def test_the_environment_variable_disables_compiling_ahead(started: list[Any]) -> None:
    assert os.environ[compiling.AHEAD_VARIABLE] == "no"
    compiling.notice(object_code.COMPILING, lambda text: None)
    compiling.compile_ahead()
    assert started == []


def test_the_everyday_filters_are_filters() -> None:
    for stack in everyday.STACKS:
        assert len(stages(stack)) == len(stack)


def test_warming_for_every_day_is_a_command(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(everyday, "STACKS", (("invert",), ("box:3",), ("box:5",), ("relu",)))
    locks: list[bool] = []
    monkeypatch.setattr(object_code, "compile_with_lock", locks.append)
    assert run(["cache", "warm", "--everyday"]) == 0
    out = capfd.readouterr().out.splitlines()
    assert out[:4] == ["invert", "box:3", "box:5", "relu"]
    assert out[-1].startswith("the usual loops are ready in ")
    assert locks == [False]


def test_the_examples_of_the_readme_need_no_other_loops() -> None:
    """Records each loop requested, first by warming, then by commands with other numbers on a photo."""
    program = """
import numpy as np
from convfilter import files
from convfilter.precompile import everyday
from convfilter.cli.root import run
from convfilter.native import loop
seen, ask = set(), loop.cached_or_compiled
def note(*names):
    seen.add(names)
    return ask(*names)
loop.cached_or_compiled = note
list(everyday.warm())
warmed = set(seen)
made = loop.Loop.variant
loop.Loop.variant = lambda self, **types: note(self.module, self.function, self.codes(**types)) and made(self, **types)
photo = np.random.default_rng(1).integers(0, 256, (700, 900, 3)).astype(np.uint8)
files.write("photo.png", photo)
files.write("photo.jpg", photo)
for line in (
    "blur --gaussian 2.5", "blur --box 15", "blur --guided 4", "edges --sobel magnitude", "sharpen --amount 2",
    "edges --sobel x --gray --map offset", "convolve --kernel emboss.txt --offset 1/2", "pool --max 2",
    "pool --average 2", "rank --median 7", "morph --open disk:2", "blur --gaussian 1.5 --stride 2",
    "edges --canny 1,0.05,0.1", "apply -f gaussian:1 -f sobel:magnitude,stride=2", "morph --erode 7",
):
    for name in ("photo.png", "photo.jpg"):
        assert run([*line.split(), name, "out.png"]) == 0, line
print(sorted(seen - warmed))
"""
    Path("emboss.txt").write_text("-2 -1 0\n-1 0 1\n0 1 2\n")
    assert run_python(program).strip() == "[]"
