"""A page about a run: pictures before and after, the plan, the kernels, the time it took, what failed.

One file that needs nothing else: style, script and pictures are in it, and it
forbids itself to load anything. Only its last section, the timings, differs
between two runs that do the same.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Iterator, Sequence
from importlib.resources import files
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from convfilter import __version__
from convfilter.filters.catalog import FILTERS
from convfilter.filters.stage import Layer, Pooling, Stage
from convfilter.planning import Plan
from convfilter.report import figures, pair, plan_text, tables
from convfilter.report.markup import shown
from convfilter.report.views import View

if TYPE_CHECKING:
    from convfilter.pipeline import Report

#: The second is for pages with an explorer.
SCRIPTS = ("page.js", "explorer.js")
#: Plans that are shown at most: what is left out is counted on the page.
_MOST_PLANS = 12


class Entry(NamedTuple):
    """What became of one file; ``report`` with its view if it was filtered, else ``error``."""

    source: str
    destination: str
    report: Report | None
    error: str = ""


class Run(NamedTuple):
    """What a page is about.

    Attributes
    ----------
    stages : sequence of Stage
        The stack, first to last.
    entries : sequence of Entry
        Files that were done or have failed, in the order of the command line.
    current : sequence of str
        Outputs that were up to date, so that nothing was done.
    skipped, left : int
        Files that are no pictures by their names, and files not done because the run ended early.
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
    plans = _plans(run)
    title = " → ".join(stage.name for stage in run.stages)
    explored = next((view.explored for entry in run.entries if (view := _view(entry)) and view.explored), "")
    sections = [*_failures(run), *_pictures(run, plans), *_plan_section(plans), *([explored] if explored else [])]
    sections += [*kernels_section(run.stages), *_timings(run)]
    return document(
        title,
        f"{_header(run, title)}\n<main>\n" + "\n".join(sections) + "\n</main>\n"
        f'<footer class="soft small">Made by convfilter {__version__}. '
        "Pictures are reduced by means over areas where it says so; the files hold every pixel.</footer>",
        SCRIPTS if explored else SCRIPTS[:1],
    )


def document(title: str, body: str, scripts: Sequence[str] = ("page.js",)) -> str:
    """Return a page with the house's style and scripts, which loads nothing and runs no other script."""
    script = "".join(map(_content, scripts))
    digest = b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{shown(title)} - convfilter</title>\n"
        f"<style>\n{_content('page.css')}</style>\n<script>{script}</script>\n</head>\n<body>\n"
        f"{body}\n</body>\n</html>\n"
    )


def exploring(plan: Plan, stages: Sequence[Stage], explored: str, command: str) -> str:
    """Return the page of a plan: what an output sees, sizes and cost, kernels.

    Parameters
    ----------
    plan : Plan
    stages : sequence of Stage
        First to last.
    explored : str
        The section that ``explorer.section`` makes.
    command : str
        The command line.
    """
    title = " → ".join(stage.name for stage in stages)
    words = "\n".join(map(shown, plan_text.lines(plan)))
    body = (
        f'<header>\n<h1>convfilter</h1>\n<p class="stack"><code>{shown(title)}</code></p>\n'
        f'<pre class="command" tabindex="0">{shown(command)}</pre>\n</header>\n<main>\n{explored}\n'
        f'<section id="plan">\n<h2>Plan</h2>\n{tables.plan(plan_text.as_json(plan))}\n'
        f"<details><summary>Every number put into its formula</summary>\n<pre>{words}</pre></details>\n</section>\n"
        + "\n".join(kernels_section(stages))
        + f'\n</main>\n<footer class="soft small">Made by convfilter {__version__}.</footer>'
    )
    return document(title, body, SCRIPTS)


def _content(name: str) -> str:
    return files("convfilter.report").joinpath(name).read_text("utf-8")


def _done(run: Run) -> list[Entry]:
    return [entry for entry in run.entries if entry.report is not None]


def _header(run: Run, title: str) -> str:
    done, failed = len(_done(run)), sum(entry.report is None for entry in run.entries)
    counts = [f"{done} done"]
    counts += [f"{failed} failed"] if failed else []
    counts += [f"{len(run.current)} up to date"] if run.current else []
    counts += [f"{run.skipped} skipped as no pictures"] if run.skipped else []
    counts += [f"{run.left} not done"] if run.left else []
    links = "".join(
        f'<a href="#{anchor}">{text}</a>'
        for anchor, text, is_there in (
            ("failures", "Failures", failed),
            ("pictures", "Pictures", done or run.current),
            ("plan", "Plan", done),
            ("explorer", "What an output sees", any(view and view.explored for view in map(_view, _done(run)))),
            ("kernels", "Kernels", True),
            ("timings", "Timings", done),
        )
        if is_there
    )
    command = f'<pre class="command" tabindex="0">{shown(run.command)}</pre>\n' if run.command else ""
    return (
        f'<header>\n<h1>convfilter</h1>\n<p class="stack"><code>{shown(title)}</code></p>\n'
        f'{command}<p>{", ".join(counts)}</p>\n<nav aria-label="Sections">{links}</nav>\n</header>'
    )


def _failures(run: Run) -> Iterator[str]:
    failed = [entry for entry in run.entries if entry.report is None]
    if not failed:
        return
    items = [f"<strong>{shown(entry.source)}</strong>: {shown(entry.error)}" for entry in failed]
    yield (
        f'<section id="failures" class="card failures" style="margin-top:1.5rem">\n<h2>{len(failed)} failed</h2>\n'
        f"{tables.items(items, 'failures')}\n</section>"
    )


def _view(entry: Entry) -> View | None:
    return entry.report.view if entry.report is not None and isinstance(entry.report.view, View) else None


class _Planned(NamedTuple):
    """A plan that some pictures share, and its number on the page."""

    number: int
    plan: dict[str, Any]
    words: tuple[str, ...]
    pictures: int


#: Plans by their words, as a run tells them apart.
_Plans: TypeAlias = dict[tuple[str, ...], _Planned]


def _plans(run: Run) -> _Plans:
    """Find the different plans of all pictures, in the order of the pictures."""
    plans: _Plans = {}
    for entry in run.entries:
        view = _view(entry)
        if view is not None:
            old = plans.get(view.words) or _Planned(len(plans) + 1, view.plan, view.words, 0)
            plans[view.words] = old._replace(pictures=old.pictures + 1)
    return plans


def _pictures(run: Run, plans: _Plans) -> Iterator[str]:
    done = _done(run)
    if not done and not run.current:
        return
    cards = []
    for index, entry in enumerate(done, 1):
        view = _view(entry)
        if entry.report is not None and view is not None and view.shown is not None:
            planned = plans[view.words]
            plan_link = f'<a href="#plan-{planned.number}">plan {planned.number}</a>' if len(plans) > 1 else ""
            cards.append(pair.card(index, entry.source, entry.destination, entry.report, view.shown, plan_link))
    yield '<section id="pictures">\n<h2>Before and after</h2>'
    if len(cards) < len(done):
        yield (
            f'<p class="card" style="margin-bottom:1.25rem">The first {len(cards)} of {len(done)} pictures are shown, '
            "to keep the page small; the others are in the list of files.</p>"
        )
    if cards:
        one = " one" if len(cards) == 1 else ""
        yield f'<div class="pictures{one}">\n' + "\n".join(cards) + "\n</div>"
    if run.current:
        yield (
            f'<details class="card" style="margin-top:1.25rem"><summary>{len(run.current)} up to date, not filtered '
            f"again: they are not shown</summary>\n"
            f"{tables.items([shown(name) for name in run.current], 'files')}</details>"
        )
    if len(done) > 1:
        yield tables.files([entry.report for entry in done if entry.report is not None])
    yield "</section>"


def _plan_section(plans: _Plans) -> Iterator[str]:
    if not plans:
        return
    yield '<section id="plan">\n<h2>Plan</h2>'
    for planned in list(plans.values())[:_MOST_PLANS]:
        source = planned.plan["input"]
        size = f"{source['width']}x{source['height']}, {source['channels']} channels, {source['dtype']}"
        title = f"Plan {planned.number}: {size}" if len(plans) > 1 else size
        shared = f" - {planned.pictures} pictures" if planned.pictures > 1 else ""
        yield f'<h3 id="plan-{planned.number}" style="margin:1.25rem 0 .5rem">{shown(title)}{shared}</h3>'
        yield tables.plan(planned.plan)
        yield (
            "<details><summary>Every number put into its formula</summary>\n<pre>"
            + "\n".join(shown(line) for line in planned.words)
            + "</pre></details>"
        )
    if len(plans) > _MOST_PLANS:
        yield f"<p>The first {_MOST_PLANS} of {len(plans)} plans, one for each size and kind of picture, are shown.</p>"
    yield "</section>"


def kernels_section(stages: Sequence[Stage]) -> Iterator[str]:
    """Show the weights of each stage, their cross-sections and frequencies."""
    yield '<section id="kernels">\n<h2>Kernels</h2>\n<div class="kernels">'
    for index, stage in enumerate(stages, 1):
        row = FILTERS.get(stage.name.split(":")[0])
        about = ""
        if row is not None:
            about = f"<p>{shown(row.summary)} <code>{shown(row.formula)}</code></p>"
            about += f'<p class="soft small">{shown(row.source)}</p>'
        yield f'<div class="card"><h3>{index}. <code>{shown(stage.name)}</code></h3>\n{about}'
        for drawings in _drawings(stage):
            yield f'<div class="drawings">\n{drawings}\n</div>'
        yield "</div>"
    yield "</div>\n</section>"


def _drawings(stage: Stage) -> Iterator[str]:
    """Yield the figures of each kernel of a stage."""
    operator = stage.operator
    if isinstance(operator, Layer):
        drawing, text = figures.layer_map(operator)
        yield _figure(drawing, text, wide=True)
    if isinstance(operator, Pooling):
        size = operator.size or (1, 1)
        window = f"window of {size[1]}x{size[0]}" if operator.size else "the whole picture is one window"
        yield _figure(figures.window(size, operator.kind), f"{window}, {operator.kind}; no weights")
    for title, kernel in figures.titled_kernels(stage):
        yield "\n".join(
            (
                _figure(figures.heat_map(kernel), f"{title}: {figures.caption(kernel)}"),
                _figure(figures.sections(kernel), "middle row (solid) and middle column (dashed)"),
                _figure(figures.response(kernel), _gains(*figures.gain(kernel))),
            )
        )


def _gains(low: float, high: float) -> str:
    return f"frequency response: the gain, from {low:.3g} (light) to {high:.3g}"


def _figure(drawing: str, text: str, *, wide: bool = False) -> str:
    kind = ' class="wide"' if wide else ""
    return f"<figure{kind}>{drawing}<figcaption>{shown(text)}</figcaption></figure>"


def _timings(run: Run) -> Iterator[str]:
    """Show the seconds of each step; the only part of the page that differs from run to run."""
    reports = [entry.report for entry in run.entries if entry.report is not None]
    if reports:
        yield f'<section id="timings">\n<h2>Timings</h2>\n{tables.timings(reports)}\n</section>'
