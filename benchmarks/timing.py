"""Timing in turns: contenders alternate, so that other load on the machine disturbs all of them alike.

The benchmarks of this folder share this module. It takes wall-clock and processor time, of this process and of its
children; on a busy machine, processor time is the steadier one.
"""

from __future__ import annotations

import gc
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

Call = Callable[[], Any]

#: Most memory that is written once before anything is timed.
_TOUCHED_BYTES = 2 << 30
_TOUCH = "import sys; data = bytearray(int(sys.argv[1])); data[::4096] = b'1' * len(range(0, len(data), 4096))"


@dataclass
class Timing:
    """Seconds of each run of one contender; not ``warm`` if the only run was the first one."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    warm: bool = True

    @property
    def seconds(self) -> float:
        """Median of the wall-clock times."""
        return statistics.median(self.wall)

    @property
    def cpu_seconds(self) -> float:
        """Median of the processor times."""
        return statistics.median(self.cpu)

    @property
    def spread(self) -> float:
        """Interquartile range of the wall-clock times over their median."""
        if len(self.wall) < 2:
            return 0.0
        lower, _, upper = statistics.quantiles(self.wall, n=4, method="inclusive")
        return (upper - lower) / self.seconds

    def as_json(self) -> dict[str, Any]:
        """Return all runs and their summary as plain data."""
        return {**asdict(self), "median_wall": self.seconds, "median_cpu": self.cpu_seconds, "spread": self.spread}


def take_turns(
    calls: Mapping[str, Call], runs: int, patience: float, on_result: Callable[[str, Any], None] | None = None
) -> dict[str, Timing]:
    """Time every call ``runs`` times after one warm-up, one call after the other, round by round.

    Parameters
    ----------
    calls : mapping of str to callable
        The functions to time, by name. Freeing the result of a call is not timed.
    runs : int
        Runs of each.
    patience : float
        Seconds for all runs of one call: one that takes longer gets fewer
        runs, and one whose warm-up alone takes longer is not run again.
    on_result : callable, optional
        Gets the name and the result of each warm-up.
    """
    touch_memory()
    timings: dict[str, Timing] = {}
    wanted: dict[str, int] = {}
    for name, call in calls.items():
        first = Timing()
        result = _run(call, first)
        if on_result:
            on_result(name, result)
        del result
        wanted[name] = min(runs, int(patience / first.seconds))
        timings[name] = Timing() if wanted[name] else Timing(first.wall, first.cpu, warm=False)
    names = list(calls)
    for turn in range(runs):
        # Each contender begins a round in its turn: otherwise one would always start with the caches of the slowest.
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            if turn < wanted[name]:
                _run(calls[name], timings[name])
    return timings


@cache
def touch_memory() -> None:
    """Write half of the available memory once, at most 2 GB, so that the host of a virtual machine provides it.

    A host provides a page when the machine first writes to it, which takes eight times as long as a page fault alone:
    a picture of 36 MB takes 0.1 s more. Another process writes: memory of this one would count in the peak of its
    children.
    """
    try:
        size = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    except (AttributeError, ValueError, OSError):  # not on this system
        return
    subprocess.run([sys.executable, "-c", _TOUCH, str(min(size, _TOUCHED_BYTES))], check=False)


def _run(call: Call, timing: Timing) -> Any:
    gc.collect()
    gc.disable()
    try:
        cpu, wall = _cpu_seconds(), time.perf_counter()
        result = call()
        timing.wall.append(time.perf_counter() - wall)
        timing.cpu.append(_cpu_seconds() - cpu)
    finally:
        gc.enable()
    return result


def _cpu_seconds() -> float:
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def machine() -> dict[str, Any]:
    """Describe the machine and its load."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "load": round(os.getloadavg()[0], 2),
        "revision": _revision(),
    }


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _revision() -> str | None:
    """Return the commit that is measured; None outside a repository."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() or None
    except (OSError, subprocess.CalledProcessError):
        return None


def versions(distributions: Sequence[str]) -> dict[str, str | None]:
    """Return the installed version of each distribution, or None if it is not installed."""
    found: dict[str, str | None] = {}
    for name in distributions:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found


def table(head: Sequence[str], rows: Sequence[Sequence[str]], left: int = 2) -> str:
    """Lay out a plain text table; the first ``left`` columns are words, the rest is set to the right."""
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]

    def line(row: Sequence[str]) -> str:
        cells = (
            cell.ljust(width) if column < left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        return "  ".join(cells).rstrip()

    return "\n".join([line(head), line(["-" * width for width in widths]), *map(line, rows)])


def write_json(path: str, content: Mapping[str, Any]) -> None:
    """Write a report as JSON."""
    Path(path).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
