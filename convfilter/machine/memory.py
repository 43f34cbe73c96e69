"""Memory that this process can still allocate."""

from __future__ import annotations

import os

from convfilter.machine import control_groups

#: A cgroup without a limit reports a number of this order.
_NO_LIMIT = 2**60


def available_memory() -> int:
    """Return the bytes that this process can still allocate: the least of machine, control groups and own limit."""
    return min(_machine_bytes(), _cgroup_bytes(), _process_bytes())


def _machine_bytes() -> int:
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            for line in file:
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return _NO_LIMIT


def _cgroup_bytes() -> int:
    """Return the least that a control group leaves: its limit minus its use, without reclaimable file cache."""
    return min(map(_group_bytes, control_groups.folders("memory")), default=_NO_LIMIT)


def _group_bytes(folder: str) -> int:
    """Return the bytes left in one control group, version 2 or 1."""
    for limit, used, inactive in (
        ("memory.max", "memory.current", "inactive_file"),
        ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ):
        try:
            with open(os.path.join(folder, limit), encoding="ascii") as file:
                text = file.read().strip()
            if text == "max":
                return _NO_LIMIT
            with open(os.path.join(folder, used), encoding="ascii") as file:
                free = int(text) - int(file.read())
            with open(os.path.join(folder, "memory.stat"), encoding="ascii") as file:
                for line in file:
                    if line.startswith(inactive + " "):
                        free += int(line.split()[1])
            return max(free, 0)
        except (OSError, ValueError, IndexError):
            continue
    return _NO_LIMIT


def _process_bytes() -> int:
    try:
        import resource
    except ImportError:
        return _NO_LIMIT
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit == resource.RLIM_INFINITY:
        return _NO_LIMIT
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            used = int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        used = 0
    return max(limit - used, 0)
