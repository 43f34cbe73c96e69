"""Type checkers accept a correct program that uses the package, and find the errors of a wrong one."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
RIGHT = """\
from typing import Any, assert_type

import numpy as np
import numpy.typing as npt

import convfilter as cf

picture = cf.read("in.jpg", cf.ReadOptions(max_pixels=10_000))
assert_type(picture, cf.Picture)
small = cf.gaussian_blur(picture.pixels, (2, 1.5), stride=2, padding_mode="reflect")
panorama = cf.box_blur(picture.pixels, 3, padding_mode=("edge", "wrap"))
edges = cf.sobel(picture, "x", dtype=np.float32, padding=((1, 1), (2, 2)))
assert_type(edges, npt.NDArray[Any])
mask = cf.max_pool(edges > 0, 3, stride=1, padding=1, threads=1)
stack = cf.apply(small, "gaussian:4", "sobel:magnitude")
assert_type(cf.write("out.png", stack, cf.WriteOptions(compression="best")), tuple[str, ...])
assert_type(cf.open("in.jpg").blur(4, stride=2).edges("sobel"), cf.Draft)
cf.open("in.jpg").linear().pool("max", (2, 3)).write("out.png", threads=1)
try:
    cf.read("none.png")
except cf.ReadError as error:
    assert_type(error.filename, str | None)
"""
WRONG = """\
import numpy as np

import convfilter as cf

image = np.zeros((4, 4), np.uint8)
cf.gaussian_blur(image, 2, stride="2")
cf.gaussian_blur(image, 2, strides=2)
cf.gaussian_blur("in.png", 2)
cf.max_pool(image, 2, padding_mode="edge")
cf.sobel(image, "z")
cf.write(image, "out.png")
cf.WriteOptions(quality="high")
cf.blur(image)
cf.open("in.jpg").blur(4, dtype=np.float32)
cf.open("in.jpg").edges("canny")
"""
#: What the public names are made of; the rest would take mypy a quarter of a minute.
SURFACE = [
    "numpy.*",
    *(
        f"convfilter{name}"
        for name in (
            "",
            ".api",
            ".draft",
            ".errors",
            ".files",
            ".images",
            ".keywords",
            ".layers",
            ".record",
            ".windows",
        )
    ),
    *(f"convfilter.filters.{name}" for name in ("kernel", "kernels", "stage")),
    *(f"convfilter.picture.{name}" for name in ("options", "picture", "pixels")),
    "convfilter.planning",
    "convfilter.planning.plan",
]
WRONG_LINES = set(range(6, WRONG.count("\n") + 1))


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("programs")
    (folder / "right.py").write_text(RIGHT)
    (folder / "wrong.py").write_text(WRONG)
    return folder


def lines_of(report, name):
    """Return the numbers of the lines of a file that a checker complains about."""
    found = (line.partition(f"{name}:")[2].partition(":")[0] for line in report.splitlines() if "error" in line)
    return {int(number) for number in found if number}


def test_mypy_accepts_what_is_right_and_finds_what_is_wrong(programs, monkeypatch):
    from mypy import api

    monkeypatch.setenv("MYPYPATH", str(ROOT))
    monkeypatch.chdir(programs)
    followed = "".join(f"[mypy-{name}]\nfollow_imports = silent\n" for name in SURFACE)
    (programs / "mypy.ini").write_text(f"[mypy]\nfollow_imports = skip\n{followed}")
    report, problems, _ = api.run(
        ["--strict", "--config-file", "mypy.ini", "--cache-dir", "cache", "right.py", "wrong.py"]
    )
    assert problems == ""
    assert lines_of(report, "right.py") == set(), report
    assert lines_of(report, "wrong.py") == WRONG_LINES, report


@pytest.mark.skipif(shutil.which("pyright") is None, reason="pyright is not installed")
def test_pyright_accepts_what_is_right_and_finds_what_is_wrong(programs):
    (programs / "pyrightconfig.json").write_text(f'{{"extraPaths": ["{ROOT}"], "reportMissingModuleSource": false}}')
    done = subprocess.run(
        ["pyright", "right.py", "wrong.py"], cwd=programs, capture_output=True, text=True, check=False
    )
    assert lines_of(done.stdout, "right.py") == set(), done.stdout
    assert lines_of(done.stdout, "wrong.py") == WRONG_LINES, done.stdout


def test_the_package_says_that_it_is_typed():
    assert (ROOT / "convfilter" / "py.typed").read_bytes() == b""
    assert '"convfilter" = ["py.typed"]' in (ROOT / "pyproject.toml").read_text()
