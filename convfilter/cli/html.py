"""``--html``: collect the outcomes of all files, and write the page at the end."""

from __future__ import annotations

import os
from collections.abc import Sequence

from convfilter import pipeline
from convfilter.errors import UsageError, WriteError, shown
from convfilter.filters import stack
from convfilter.picture.place.atomic import replacing, require_below
from convfilter.report.page import Entry, Run, page
from convfilter.report.views import MOST_SHOWN, Look, View

_SUFFIXES = (".html", ".htm", ".xhtml")


class HtmlReport:
    """The page of one run.

    Parameters
    ----------
    path : str
        Path of the page.
    options : pipeline.Options
    follow : bool
        Whether the page's path may be a link out of its folder.
    command : str
        The command line.

    Raises
    ------
    UsageError
        The name has no suffix of an HTML page.
    WriteError
        The page's folder is write-protected, or the path is a link out of it. This is checked before a picture is read.
    """

    def __init__(self, path: str, options: pipeline.Options, *, follow: bool = False, command: str = "") -> None:
        if os.path.splitext(path)[1].lower() not in _SUFFIXES:
            raise UsageError(f"--html: a report is an HTML page, got {shown(path)}; name it report.html, for instance")
        if not follow:
            try:
                require_below(os.path.dirname(path), path)
            except WriteError as error:
                error.about(path)
                raise
        folder = os.path.dirname(os.path.realpath(path))
        if os.path.isdir(path) or (os.path.isdir(folder) and not os.access(folder, os.W_OK)):
            raise WriteError(f"{path}: a page cannot be written there; choose another name for --html")
        self._path, self._follow, self._command = path, follow, command
        self._stages = stack.stages(options.specs, **options.defaults)
        self._entries: dict[tuple[str, str], Entry] = {}
        self._plans: dict[tuple[str, ...], View] = {}

    def watched(self, options: pipeline.Options, destinations: Sequence[str]) -> pipeline.Options:
        """Return options that also record the first pictures for the page, and the very first for the explorer."""
        shown_ones = destinations[:MOST_SHOWN]
        look = Look(frozenset(shown_ones), "".join(shown_ones[:1]), self._stages, options.read.auto_orient)
        return options._replace(look=look)

    def add(self, source: str, destination: str, report: pipeline.Report | None, error: str = "") -> None:
        """Add the outcome of one file."""
        if report is not None and isinstance(report.view, View):
            # Pictures of one size share a plan, which is stored once.
            first = self._plans.setdefault(report.view.words, report.view)
            report = report._replace(view=report.view._replace(plan=first.plan, words=first.words))
        self._entries[source, destination] = Entry(source, destination, report, error)

    def write(
        self,
        order: Sequence[tuple[str, str]],
        *,
        current: Sequence[str] = (),
        skipped: int = 0,
    ) -> None:
        """Write the page.

        Parameters
        ----------
        order : sequence of (source, destination)
            All jobs; the page lists files in this order, not in that of completion.
        current : sequence of str
            Outputs that were up to date.
        skipped : int
            Number of files that are not pictures by their names.

        Raises
        ------
        WriteError
            The page cannot be written; the message names it.
        """
        entries = [self._entries[names] for names in order if names in self._entries]
        run = Run(self._stages, entries, current, skipped, len(order) - len(entries), self._command)
        try:
            # The page may be in the output folder, which is missing if all files failed.
            os.makedirs(os.path.dirname(os.path.realpath(self._path)), exist_ok=True)
            with replacing(self._path, follow=self._follow) as file:
                file.write(page(run).encode())
        except OSError as error:
            reason = error if isinstance(error, WriteError) else (error.strerror or str(error)).lower()
            raise WriteError(f"{self._path}: {reason}") from error
