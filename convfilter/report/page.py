"""The HTML page of a run: pictures before and after, plan, kernels, timings, failures.

The page is a single file with style, script and pictures; its content security policy forbids loading anything. Only
the last section, the timings, differs between equal runs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from convfilter.filters.stage import Stage
from convfilter.planning import Plan
from convfilter.record import NamedTuple
from convfilter.report import plan_text, tables
from convfilter.report.explorer import Explored
from convfilter.report.template import document
from convfilter.report.views import View

if TYPE_CHECKING:
    from convfilter.pipeline import Report

#: Scripts of a page; only a page with an explorer has the second one.
_SCRIPTS = ("page.js", "explorer.js")
#: Most plans on a page; other plans are only counted.
_MOST_PLANS = 12


class Entry(NamedTuple):
    """The outcome of one file: ``report`` with its view, or ``error``."""

    source: str
    destination: str
    report: Report | None
    error: str = ""


class Run(NamedTuple):
    """Contents of a page.

    Attributes
    ----------
    stages : sequence of Stage
        The stack, first to last.
    entries : sequence of Entry
        Filtered and failed files, in the order of the command line.
    current : sequence of str
        Outputs that were up to date.
    skipped, left : int
        Number of files whose names are not those of pictures, and of files not filtered because the run ended early.
    command : str
        The command line.
    """

    stages: Sequence[Stage]
    entries: Sequence[Entry]
    current: Sequence[str] = ()
    skipped: int = 0
    left: int = 0
    command: str = ""


def page(run: Run) -> str:
    """Return the page of a run as HTML."""
    done = [(entry, entry.report, _view(entry.report)) for entry in run.entries if entry.report is not None]
    views = [view for *_, view in done if view is not None]
    explored = next((view.explored for view in views if view.explored), None)
    plans = {view.words: view.plan for view in views}
    return document(
        "run.html",
        _title(run.stages),
        _SCRIPTS if explored else _SCRIPTS[:1],
        run=run,
        done=done,
        failed=[entry for entry in run.entries if entry.report is None],
        shown_ones=[(index, *each) for index, each in enumerate(done, 1) if each[2] and each[2].shown],
        plans=plans,
        number_of={words: number for number, words in enumerate(plans, 1)},
        pictures_of=Counter(view.words for view in views),
        most_plans=_MOST_PLANS,
        explored=explored,
        timings=tables.timings([report for _, report, _ in done]),
    )


def exploring(plan: Plan, stages: Sequence[Stage], explored: Explored, command: str) -> str:
    """Return the page of a plan: receptive fields, sizes and cost, kernels.

    Parameters
    ----------
    plan : Plan
    stages : sequence of Stage
        First to last.
    explored : Explored
        A patch of a picture.
    command : str
        The command line.
    """
    words, facts = plan_text.lines(plan), plan_text.as_json(plan)
    values = {"stages": stages, "explored": explored, "command": command, "words": words, "plan": facts}
    return document("plan.html", _title(stages), _SCRIPTS, **values)


def _title(stages: Sequence[Stage]) -> str:
    return " → ".join(stage.name for stage in stages)


def _view(report: Report) -> View | None:
    return report.view if isinstance(report.view, View) else None
