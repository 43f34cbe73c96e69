"""Number of cores that this process may use."""

from __future__ import annotations

import os
from time import monotonic

from convfilter.machine import control_groups


def available_cores() -> int:
    """Return the number of cores that affinity and control-group quotas allow this process."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return count if count == 1 else max(1, int(min(count, control_groups.cores())))


#: Time of the last count in seconds, and the counted cores.
_counted = float("-inf"), 1


def cores_lately() -> int:
    """Return :func:`available_cores`, counted at most once a second: counting reads files for 0.05 ms."""
    global _counted
    now = monotonic()
    if now - _counted[0] > 1:
        _counted = now, available_cores()
    return _counted[1]
