"""Limits of size and memory, checked before decoding and filtering."""

import io
import resource

import numpy as np
import pytest
import tifffile
from PIL import Image
from processes import run_python

from convfilter import pipeline
from convfilter.errors import ReadError, SizeError
from convfilter.machine import control_groups, memory
from convfilter.picture import limits
from convfilter.picture.read import read
from convfilter.pipeline import job


def test_sizes():
    limits.require_pixels(10, 10, 100)
    with pytest.raises(SizeError, match=r"11x10 .* max_pixels"):
        limits.require_pixels(11, 10, 100)
    for width, height in ((0, 1), (1, 0), (-3, 4)):
        with pytest.raises(ReadError, match="at least one pixel"):
            limits.require_pixels(width, height, 100)


def test_memory(monkeypatch):
    monkeypatch.setattr(memory, "available_memory", lambda: 2**30)
    limits.require_memory(2**30)
    with pytest.raises(SizeError, match=r"2\.0 GiB of memory, 1\.0 GiB are available"):
        limits.require_memory(2**31)


def test_small_jobs_are_not_measured(monkeypatch):
    monkeypatch.setattr(memory, "available_memory", lambda: 0)
    limits.require_memory(1000)


def test_available_memory_is_plausible():
    assert 2**20 < memory.available_memory() < 2**50


def test_limit_of_the_process_counts():
    script = (
        "import resource\n"
        "from convfilter.machine.memory import available_memory\n"
        "resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**50))\n"
        "print(available_memory())"
    )
    assert 0 < int(run_python(script)) < 2**30
    assert resource.getrlimit(resource.RLIMIT_AS)[0] != 2**30


@pytest.mark.parametrize(("limit", "used", "free"), [("max", "5", None), ("1000", "300", 750)])
def test_limit_of_the_control_group_counts(tmp_path, monkeypatch, limit, used, free):
    contents = {"memory.max": limit, "memory.current": used, "memory.stat": "anon 1\ninactive_file 50\n"}
    for name, content in contents.items():
        (tmp_path / name).write_text(content)
    monkeypatch.setattr(control_groups, "ROOT", str(tmp_path))
    assert memory.available_memory() == free if free else memory.available_memory() > 2**20


@pytest.mark.parametrize(
    ("specs", "most"),
    [
        # 2000x1000 RGB: a result of 6 MB; before what needs all of it 24 MB for each that is there at a time.
        (["box:3"], 6_000_000),
        (["box:3", "normalize"], 30_000_000),
        (["box:3", "normalize", "sobel:x,map=stretch"], 54_000_000),
        (["box:3,stride=2", "normalize"], 1_500_000 + 6_000_000),
    ],
)
def test_results_and_intermediate_results_are_counted(tmp_path, monkeypatch, specs, most):
    needed = []
    monkeypatch.setattr(job, "require_memory", needed.append)
    Image.new("RGB", (2000, 1000)).save(tmp_path / "in.ppm")
    options = pipeline.Options(specs=specs)
    pipeline.filter_file(str(tmp_path / "in.ppm"), str(tmp_path / "out.bmp"), options)
    assert needed == [most + job.SCRATCH_BYTES]


def test_of_stages_that_run_together_a_few_rows_are_counted(tmp_path, monkeypatch):
    needed = []
    monkeypatch.setattr(job, "require_memory", needed.append)
    Image.new("RGB", (2000, 1000)).save(tmp_path / "in.ppm")
    options = pipeline.Options(specs=["box:3", "box:3", "box:3"])
    pipeline.filter_file(str(tmp_path / "in.ppm"), str(tmp_path / "out.bmp"), options)
    few = needed[0] - job.SCRATCH_BYTES - 6_000_000
    row = 2000 * 3 * 4
    assert 2 * 64 * row < few < 2 * 256 * row


def test_memory_of_a_page_counts_the_type_that_it_is_decoded_to(monkeypatch):
    needed = []
    monkeypatch.setattr(limits, "require_memory", needed.append)
    kept = ((np.uint8, 1), (np.uint16, 2), (np.int16, 2), (np.float32, 4), (np.uint32, 4), (np.float64, 8))
    for dtype, becomes in (*kept, (np.int8, 2), (np.int32, 8), (np.int64, 8)):
        file = io.BytesIO()
        tifffile.imwrite(file, np.zeros((20, 30), dtype))
        file.seek(0)
        read(file)
        copied = 20 * 30 * np.dtype(dtype).itemsize * ((dtype, becomes) not in kept)
        assert needed[-2:] == [
            2 * becomes * 20 * 30 + copied,
            2 * becomes * 20 * 30,
        ]
