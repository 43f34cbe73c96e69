"""Limits of control groups of both versions, of parent groups, and unreadable limits."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from convfilter.machine import control_groups, memory
from convfilter.machine.cores import available_cores

Write = Callable[..., None]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Stand in for the kernel: files of groups, and the groups of this process, on a machine of eight cores."""
    monkeypatch.setattr(control_groups, "ROOT", str(tmp_path))
    monkeypatch.setattr(control_groups, "MEMBERSHIP", str(tmp_path / "membership"))
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(8)), raising=False)

    def write(name: str, text: str) -> None:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    return write


def test_the_least_quota_of_version_2_counts(write: Write) -> None:
    write("membership", "0::/outer/inner\n")
    write("outer/inner/cpu.max", "max 100000\n")
    assert available_cores() == 8
    write("outer/cpu.max", "250000 100000\n")
    assert available_cores() == 2
    write("outer/inner/cpu.max", "50000 100000\n")
    assert available_cores() == 1
    write("cpu.max", "nonsense")
    assert available_cores() == 1


@pytest.mark.parametrize("tree", ["cpu", "cpu,cpuacct"])
def test_quotas_of_version_1_count(write: Write, tree: str) -> None:
    write("membership", "9:name=systemd:/\n4:cpu,cpuacct:/outer/inner\n2:cpuset:/outer\n0::/\n")
    write(f"{tree}/cpu.cfs_quota_us", "-1\n")
    write(f"{tree}/cpu.cfs_period_us", "100000\n")
    assert available_cores() == 8
    write(f"{tree}/outer/inner/cpu.cfs_quota_us", "400000\n")
    write(f"{tree}/outer/inner/cpu.cfs_period_us", "100000\n")
    assert available_cores() == 4
    write(f"{tree}/cpu.cfs_quota_us", "300000\n")  # the container's own, where the path is that of the host
    assert available_cores() == 3
    write("cpuset/outer/cpu.cfs_quota_us", "100000\n")
    assert available_cores() == 3


def test_no_control_groups_no_limit(write: Write) -> None:
    assert available_cores() == 8
    assert memory.available_memory() > 2**20


def test_memory_of_the_groups_around_counts(write: Write) -> None:
    write("membership", "0::/outer/inner\n")
    for group, limit, used in (("outer/inner", "max", 10), ("outer", "1000", 300)):
        write(f"{group}/memory.max", f"{limit}\n")
        write(f"{group}/memory.current", f"{used}\n")
        write(f"{group}/memory.stat", "anon 1\ninactive_file 50\n")
    assert memory.available_memory() == 750
    write("membership", "4:memory:/\n0::/\n")
    write("memory/memory.limit_in_bytes", "500\n")
    write("memory/memory.usage_in_bytes", "100\n")
    write("memory/memory.stat", "total_inactive_file 7\n")
    assert memory.available_memory() == 407
