"""How many cores this process may keep busy."""

from __future__ import annotations

import os
from time import monotonic

from convfilter.machine import control_groups


def available_cores() -> int:
    """Return how many cores this process may keep busy: its affinity, and the quotas of its control groups."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return count if count == 1 else max(1, int(min(count, control_groups.cores())))


#: When cores were counted last, and how many there were.
_counted = float("-inf"), 1


def cores_lately() -> int:
    """Return what :func:`available_cores` does, counted at most once a second: it looks into files for 0.05 ms."""
    global _counted
    now = monotonic()
    if now - _counted[0] > 1:
        _counted = now, available_cores()
    return _counted[1]
