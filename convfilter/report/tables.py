"""The table of timings: seconds for each file and each step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from convfilter.record import NamedTuple

if TYPE_CHECKING:
    from convfilter.pipeline import Report

#: Most rows of the table; other files are only counted.
MOST_LISTED = 1000
#: Steps of a run, in order.
_STEPS = ("parse", "read", "plan", "run", "write", "look")


class Row(NamedTuple):
    """Seconds of one file by step and in total, and each step's percentage of the longest bar."""

    source: str
    seconds: list[str]
    bar: list[tuple[str, str]]


class Timings(NamedTuple):
    """Seconds of all files, and sums; ``head`` has a title and a class for each column."""

    steps: list[str]
    head: list[tuple[str, str]]
    rows: list[Row]
    total: list[str]


def timings(reports: Sequence[Report]) -> Timings:
    """List the seconds of each file by step, and their sums."""
    steps = [step for step in _STEPS if any(step in report.seconds for report in reports)]
    longest = max((sum(report.seconds.values()) for report in reports), default=0.0) or 1.0
    rows = [
        Row(
            report.source,
            _seconds(report.seconds, steps),
            [(step, f"{100 * report.seconds.get(step, 0.0) / longest:.2f}") for step in steps],
        )
        for report in reports[:MOST_LISTED]
    ]
    total = {step: sum(report.seconds.get(step, 0.0) for report in reports) for step in steps}
    head = [("file", "name"), *((step, "number") for step in steps), ("all", "number"), ("", "")]
    return Timings(steps, head, rows, _seconds(total, steps))


def _seconds(seconds: dict[str, float], steps: Sequence[str]) -> list[str]:
    values = [seconds.get(step, 0.0) for step in steps]
    return [f"{value:.3f}" for value in (*values, sum(seconds.values()))]
