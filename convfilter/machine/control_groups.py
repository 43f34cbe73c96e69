"""Limits of Linux control groups, versions 1 and 2, as containers and service managers set them."""

from __future__ import annotations

import os
from collections.abc import Iterator

ROOT = "/sys/fs/cgroup"
MEMBERSHIP = "/proc/self/cgroup"


def folders(controller: str) -> Iterator[str]:
    """Yield the folders of this process's control groups and their ancestors, outermost first.

    Parameters
    ----------
    controller : {"cpu", "memory"}
        Version 1 has a tree of groups for each controller; the tree of version 2 has all controllers, and comes first.

    Yields
    ------
    str
        Path of a folder, which may not exist: in a container, the path may be that of the host.
    """
    try:
        with open(MEMBERSHIP, "rb") as file:
            lines = os.fsdecode(file.read()).splitlines()
    except OSError:
        lines = ["0::/"]
    for line in sorted(lines, key=lambda line: not line.startswith("0:")):
        number, controllers, path = [*line.split(":", 2), "", ""][:3]
        if number == "0":
            trees = [ROOT, f"{ROOT}/unified"]
        elif controller in controllers.split(","):
            trees = [f"{ROOT}/{controllers}", f"{ROOT}/{controller}"]
        else:
            continue
        parts = [part for part in path.split("/") if part]
        for tree in dict.fromkeys(trees):
            if os.path.isdir(tree):
                yield from (os.path.join(tree, *parts[:count]) for count in range(len(parts) + 1))


def cores() -> float:
    """Return the smallest CPU quota of the control groups, in cores; infinity without a quota."""
    return min((quota for folder in folders("cpu") if (quota := _quota(folder))), default=float("inf"))


def _quota(folder: str) -> float | None:
    try:
        with open(f"{folder}/cpu.max", "rb") as file:
            quota, period = file.read().split()
    except (OSError, ValueError):
        try:
            with open(f"{folder}/cpu.cfs_quota_us", "rb") as file:
                quota = file.read()
            with open(f"{folder}/cpu.cfs_period_us", "rb") as file:
                period = file.read()
        except (OSError, ValueError):
            return None
    try:
        return max(int(quota), 0) / int(period) or None  # version 1 writes -1 for none, version 2 "max"
    except (ValueError, ZeroDivisionError):
        return None
