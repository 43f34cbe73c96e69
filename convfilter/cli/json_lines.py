"""The line that ``--json`` prints about a file."""

from __future__ import annotations

from typing import Any

from convfilter import pipeline
from convfilter.cli.messages import json_of


def line(source: str, destination: str, report: pipeline.Report | None, message: str = "") -> str:
    """Return a line of JSON about one file; without a report, it failed with a message."""
    record: dict[str, Any] = {"input": source, "output": destination, "error": message or None}
    if report is not None:
        record |= {
            "size": report.size,
            "new_size": report.new_size,
            "frames": report.frames,
            "before": report.before,
            "after": report.after,
            "algorithms": report.algorithms,
            "seconds": {step: round(seconds, 6) for step, seconds in report.seconds.items()},
            "clipped": report.clipped,
            "notes": report.notes,
        }
    return json_of(record)
