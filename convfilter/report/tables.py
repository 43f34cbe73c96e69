"""The tables of a page: files, a plan stage by stage, seconds by step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from convfilter.report.markup import memory, number, shown, table
from convfilter.report.views import View

if TYPE_CHECKING:
    from convfilter.pipeline import Report

#: Rows at most: what is left out is counted on the page.
MOST_LISTED = 1000
#: Steps of a run in the order in which they are done.
_STEPS = ("parse", "read", "plan", "run", "write", "look")


def items(texts: Sequence[str], what: str) -> str:
    """Return a list of texts, which are HTML already."""
    lines = "\n".join(f"<li>{text}</li>" for text in texts[:MOST_LISTED])
    return f"<ul>\n{lines}\n</ul>{_left_out(len(texts), what)}"


def _left_out(count: int, what: str) -> str:
    """Say that a list is not whole."""
    if count <= MOST_LISTED:
        return ""
    return f'\n<p class="soft">The first {MOST_LISTED} of {count} {what} are listed.</p>'


def files(reports: Sequence[Report]) -> str:
    """List all files that were done, with what does not depend on the machine."""
    head = [("file", "name"), ("result", "name"), ("before", ""), ("after", ""), ("clipped", "number")]
    rows = []
    for index, report in enumerate(reports[:MOST_LISTED], 1):
        name = shown(report.source)
        is_shown = isinstance(report.view, View) and report.view.shown is not None
        linked = f'<a href="#picture-{index}">{name}</a>' if is_shown else name
        rows.append(
            [linked, shown(report.destination), shown(report.before), shown(report.after), f"{report.clipped:.3%}"]
        )
    return (
        f'<h3 style="margin:1.5rem 0 .5rem">All {len(reports)} files</h3>\n'
        + table(head, rows, label="All files")
        + _left_out(len(reports), "files")
    )


def plan(found: dict[str, Any]) -> str:
    """List the stages of a plan, as ``plan_text.as_json`` returns it."""
    head = [
        ("stage", "name"),
        ("kernel", "number"),
        ("output", "number"),
        ("channels", "number"),
        ("receptive field", "number"),
        ("jump", "number"),
        ("algorithm", ""),
        ("multiply-adds", "number"),
        ("memory", "number"),
        ("... a thread", "number"),
    ]
    rows = []
    for index, stage in enumerate(found["stages"], 1):
        width, height = stage["width"], stage["height"]

        def both(key: str, width: dict[str, Any] = width, height: dict[str, Any] = height) -> str:
            return f"{width[key]}x{height[key]}"

        rows.append(
            [
                f"{index}. <code>{shown(stage['name'])}</code>",
                both("kernel"),
                both("output"),
                str(stage["channels"]["output"]),
                both("receptive_field"),
                both("jump"),
                f"{shown(stage['algorithm'])}, {shown(stage['precision'])}",
                number(stage["multiply_adds"]),
                memory(stage["result_bytes"]),
                memory(stage["scratch_bytes_per_thread"]),
            ]
        )
    output = found["output"]
    foot = ["output", "", f"{output['width']}x{output['height']}", str(output["channels"]), "", "", ""]
    return table(head, rows, [*foot, number(found["multiply_adds"]), "", ""], label="The plan, stage by stage")


def timings(reports: Sequence[Report]) -> str:
    """List the seconds of each file by step, with a bar, and their sums."""
    steps = [step for step in _STEPS if any(step in report.seconds for report in reports)]
    longest = max(sum(report.seconds.values()) for report in reports)
    legend = "".join(f'<span><i style="--step:var(--{step})"></i>{step}</span>' for step in steps)
    head = [("file", "name"), *((step, "number") for step in steps), ("all", "number"), ("", "")]
    rows = [
        [shown(report.source), *_seconds(report.seconds, steps), _bar(report.seconds, steps, longest)]
        for report in reports[:MOST_LISTED]
    ]
    total = {step: sum(report.seconds.get(step, 0.0) for report in reports) for step in steps}
    foot = [f"all {len(reports)}", *_seconds(total, steps), ""] if len(reports) > 1 else None
    return (
        '<p class="soft">Seconds of each file by step'
        f"{'; files done at the same time are counted each' if len(reports) > 1 else ''}. "
        f'Look: making the pictures of this page.</p>\n<div class="legend small">{legend}</div>\n'
        + table(head, rows, foot, label="Seconds by step")
        + _left_out(len(reports), "files")
    )


def _seconds(seconds: dict[str, float], steps: Sequence[str]) -> list[str]:
    values = [seconds.get(step, 0.0) for step in steps]
    return [f"{value:.3f}" for value in (*values, sum(seconds.values()))]


def _bar(seconds: dict[str, float], steps: Sequence[str], longest: float) -> str:
    """Draw the steps as parts of a bar."""
    parts = "".join(
        f'<i style="--step:var(--{step});width:{100 * seconds.get(step, 0.0) / (longest or 1.0):.2f}%"></i>'
        for step in steps
    )
    return f'<div class="bar" aria-hidden="true">{parts}</div>'
