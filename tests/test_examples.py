"""The Makefile of the example: parallel, interrupted, and up to date."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import convfilter

ROOT = Path(convfilter.__file__).parents[1]
TARGETS = [
    "edges/one.png",
    "edges/two.png",
    "index.html",
    "small/one.png",
    "small/two.jpg",
    "soft/one.png",
    "soft/two.jpg",
]
pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="needs make")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a copy of the example with two photos."""
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    (tmp_path / "photos").mkdir()
    with Image.open(ROOT / "sample_images" / "still_life.png") as picture:
        small = picture.crop((700, 180, 860, 320))
    small.save(tmp_path / "photos" / "one.png")
    small.rotate(90).save(tmp_path / "photos" / "two.jpg")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.delenv("MAKEFLAGS", raising=False)
    monkeypatch.chdir(tmp_path / "examples")
    return tmp_path


def make(*arguments: str, photos: str = "../photos", **settings: Any) -> subprocess.Popen[str]:
    command = ["make", "-j2", f"PHOTOS={photos}", f"CONVFILTER={sys.executable} -m convfilter", *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, text=True, start_new_session=True, **pipes, **settings)


def made(*arguments: str) -> str:
    """Run make to its end, and return its output."""
    child = make(*arguments)
    done, said = child.communicate(timeout=300)
    assert child.returncode == 0, said
    return done


def gallery() -> list[str]:
    top = Path("gallery")
    return sorted(str(path.relative_to(top)) for path in top.rglob("*") if path.is_file())


def test_the_gallery_is_built_once() -> None:
    made()
    assert gallery() == TARGETS
    with Image.open("../photos/one.png") as image:
        whole = np.asarray(image.convert("RGB"))
    with Image.open("gallery/soft/one.png") as image:
        assert np.array_equal(np.asarray(image), convfilter.gaussian_blur(whole, 3, padding_mode="symmetric"))
    with Image.open("gallery/small/one.png") as image:
        assert np.array_equal(np.asarray(image), convfilter.apply(whole, "gaussian:2", "avgpool:8"))
    assert "Nothing to be done" in made()
    os.utime("../photos/one.png")
    again = made()
    assert "gallery/soft/one.png" in again and "two" not in again.replace("index", "")
    os.utime("convfilter.toml")
    assert "gallery/small/two.jpg" in made()


def test_an_interrupted_build_goes_on_where_it_was() -> None:
    os.rename("../photos/two.jpg", "../photos/kept")
    os.mkfifo("../photos/two.jpg")
    child = make()
    with open("../photos/two.jpg", "wb", buffering=0) as fifo:  # returns when convfilter has opened it
        fifo.write(b"\xff\xd8\xff\xe0" + b"\0" * 60)
        for _ in range(10):
            # A second program may just be starting: until Python has loaded it, it may not hear the signal.
            os.killpg(child.pid, signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                child.communicate(timeout=6)
                break
    assert child.returncode
    assert not [path for path in Path("gallery").rglob("*") if path.name.endswith(".tmp")]
    for path in gallery():
        with Image.open(Path("gallery", path)) as image:
            image.load()
    os.replace("../photos/kept", "../photos/two.jpg")
    made()
    assert gallery() == TARGETS
    assert "Nothing to be done" in made()
