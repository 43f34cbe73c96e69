"""Sizes and memory, judged before the work."""

import resource

import pytest
from processes import run_python

from convfilter.engine import control_groups
from convfilter.errors import ReadError, SizeError
from convfilter.picture import limits


def test_sizes():
    limits.require_size(10, 10, 100)
    with pytest.raises(SizeError, match=r"11x10 .* --max-pixels"):
        limits.require_size(11, 10, 100)
    for width, height in ((0, 1), (1, 0), (-3, 4)):
        with pytest.raises(ReadError, match="at least one pixel"):
            limits.require_size(width, height, 100)


def test_memory(monkeypatch):
    monkeypatch.setattr(limits, "available_memory", lambda: 2**30)
    limits.require_memory(2**30)
    with pytest.raises(SizeError, match=r"2\.0 GiB of memory, 1\.0 GiB are available"):
        limits.require_memory(2**31)


def test_small_jobs_are_not_measured(monkeypatch):
    monkeypatch.setattr(limits, "available_memory", lambda: 0)
    limits.require_memory(1000)


def test_there_is_memory():
    assert 2**20 < limits.available_memory() < 2**50


def test_limit_of_the_process_counts():
    script = (
        "import resource\n"
        "from convfilter.picture.limits import available_memory\n"
        "resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30))\n"
        "print(available_memory())"
    )
    assert 0 < int(run_python(script)) < 2**30
    assert resource.getrlimit(resource.RLIMIT_AS)[0] != 2**30


@pytest.mark.parametrize(("limit", "used", "free"), [("max", "5", limits._NO_LIMIT), ("1000", "300", 750)])
def test_limit_of_the_control_group_counts(tmp_path, monkeypatch, limit, used, free):
    contents = {"memory.max": limit, "memory.current": used, "memory.stat": "anon 1\ninactive_file 50\n"}
    for name, content in contents.items():
        (tmp_path / name).write_text(content)
    monkeypatch.setattr(control_groups, "_ROOT", str(tmp_path))
    assert limits._cgroup_bytes() == free
