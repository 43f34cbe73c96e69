"""Run a batch: find the files, run the jobs, and print the messages."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import TYPE_CHECKING

from convfilter import pipeline
from convfilter.batch import resources, workers
from convfilter.batch.search import Job, SearchResult
from convfilter.batch.workers import Event, Notice, Outcome
from convfilter.cli import clipping, compiling, json_lines
from convfilter.cli.messages import FAILED, failure, in_flags, say, tell
from convfilter.cli.names import check_suffixes, first_of, found_files
from convfilter.cli.one import html_report
from convfilter.cli.overwrite import keeps
from convfilter.cli.progress import Progress
from convfilter.cli.request import Request, pipeline_options, require_files
from convfilter.errors import ConvfilterError, UsageError, WriteError
from convfilter.filters import stack
from convfilter.machine.cores import available_cores
from convfilter.picture.place.address import is_address
from convfilter.record import NamedTuple, replace

if TYPE_CHECKING:
    from convfilter.batch.update import UpdateLog
    from convfilter.cli.html import HtmlReport


class Counts(NamedTuple):
    """Counters of a batch, in files; ``__str__`` is the summary.

    Attributes
    ----------
    done, failed : int
        Filtered; and not, because of an error.
    skipped : int
        Not pictures, by their names.
    current : int
        Skipped by ``--update``, since their outputs are up to date.
    existing : int
        Skipped by ``--no-clobber``, since their outputs exist.
    left : int
        Not filtered yet.
    """

    done: int = 0
    failed: int = 0
    skipped: int = 0
    current: int = 0
    existing: int = 0
    left: int = 0

    def __str__(self) -> str:
        """Format as ``197 done, 2 failed, 1 skipped``; zeros are omitted, except the first two."""
        parts = [f"{self.done} done", f"{self.failed} failed"]
        parts += [f"{self.skipped} skipped"] if self.skipped else []
        parts += [f"{self.current} up to date"] if self.current else []
        parts += [f"{self.existing} there already"] if self.existing else []
        parts += [f"{self.left} not done"] if self.left else []
        return ", ".join(parts)


def run_many(request: Request) -> int:
    """Filter the files of a command line that names several; return the exit status."""
    start = time.monotonic()
    gc.set_threshold(20_000)  # objects loaded for many files live long
    options = pipeline_options(request)
    stack.stages(options.specs, **options.defaults)  # an invalid filter fails once, not for each file
    files = found_files(request)
    html = html_report(request, options)
    _say_skipped(files, request)
    if not request.is_pair:
        check_suffixes(request, [job.destination for job in files.jobs])
    for folder, why in files.refused:
        say(f"{folder}: {in_flags(why)}")
    if request.update:
        require_files("update", files.jobs)
    if request.depfile:
        from convfilter.cli.depfile import write_depfile

        write_depfile(request, files.jobs)
    log = _log(request, options, files.jobs)
    jobs, counts = _jobs_left(files, log, request)
    if request.dry_run:
        return _print_jobs(jobs, counts, request)
    if request.no_log:
        log = None
    if log is not None:
        _refresh(log)
        options = options._replace(digests=True)
    if request.fail_fast and counts.failed:
        _write_page(html, files, jobs)
        return _print_summary(counts, request, time.monotonic() - start)
    share = _share(jobs, request)
    options = options._replace(
        threads=share.threads,
        read=replace(options.read, threads=share.threads),
        write=replace(options.write, threads=share.threads),
    )
    if html is not None:
        options = html.watched(options, [job.destination for job in jobs])
    batch = _Batch(request, log, counts, share.jobs, html)
    try:
        status = _print_summary(batch.run(jobs, options), request, time.monotonic() - start)
    except UsageError:  # nothing has been filtered
        html = None
        raise
    finally:  # also for an interrupted run
        _write_page(html, files, jobs)
    return status


def _jobs_left(files: SearchResult, log: UpdateLog | None, request: Request) -> tuple[list[Job], Counts]:
    """Return the jobs that ``--update`` and ``--no-clobber`` do not skip, and the initial counters."""
    outdated = files.jobs
    if log is not None and request.update:
        outdated = [job for job in files.jobs if not log.is_current(job)]
    elif log is not None:
        log.remember(files.jobs)
    jobs = [job for job in outdated if not keeps(request, job.destination)]
    current, existing = len(files.jobs) - len(outdated), len(outdated) - len(jobs)
    return jobs, Counts(0, len(files.refused), len(files.skipped), current, existing, len(jobs))


def _log(request: Request, options: pipeline.Options, jobs: Sequence[Job]) -> UpdateLog | None:
    """Open the log of outputs: every batch into a folder keeps one for a later ``--update``."""
    is_folder = (
        not request.is_pair and not request.in_place and not any(is_address(name) for job in jobs for name in job)
    )
    if not (request.update or (is_folder and not request.no_log)):
        return None
    from convfilter.batch import update

    return update.UpdateLog(update.recipe(options), sidecars=not request.strip)


def _say_skipped(files: SearchResult, request: Request) -> None:
    """Report skipped pictures, once for each reason; with ``-v`` also other files."""
    if not request.quiet:
        for why, names in files.reasons.items():
            say(f"{first_of(names)}: skipped, {in_flags(why)}")
    if request.verbose:
        explained = {name for names in files.reasons.values() for name in names}
        for name in files.skipped:
            if name not in explained:
                say(f"{name}: skipped, this is not a picture file")


def _refresh(log: UpdateLog) -> None:
    """Store in the log which files were compared by content; an error is only a note."""
    try:
        log.refresh()
    except WriteError as error:
        say(failure(error)[0])


def _write_page(html: HtmlReport | None, files: SearchResult, jobs: Sequence[Job]) -> None:
    """Write the page of --html, if requested: unreadable folders first, then files in order."""
    if html is None:
        return
    refused = [Job(folder, "") for folder, _ in files.refused]
    for folder, why in files.refused:
        html.add(folder, "", None, in_flags(why))
    waiting = set(jobs)
    current = [job.destination for job in files.jobs if job not in waiting]
    html.write([*refused, *jobs], current=current, skipped=len(files.skipped))


def _print_jobs(jobs: Sequence[Job], counts: Counts, request: Request) -> int:
    """Print the jobs of a dry run; return the exit status."""
    for job in jobs:
        tell(f"{job.source} -> {job.destination}")
    existing = f", {counts.existing} there already" if counts.existing else ""
    if not request.quiet:
        say(f"{len(jobs)} to do, {counts.skipped} skipped, {counts.current} up to date{existing}")
    return FAILED if counts.failed else 0


def _share(jobs: Sequence[Job], request: Request) -> resources.Share:
    """Divide this machine's cores; on a cluster, each thread of a worker filters one picture."""
    if request.dask not in (None, "local"):
        return resources.Share(1, request.threads or 1)
    return resources.share(len(jobs), request.jobs, request.threads, available_cores())


def _print_summary(counts: Counts, request: Request, seconds: float) -> int:
    """Print the counters, unless ``--quiet``; return the exit status."""
    if not request.quiet:
        say(f"{counts} in {seconds:.1f} s", "summary")
    return FAILED if counts.failed else 0


class _Batch:
    """A batch run: its counters and messages."""

    def __init__(
        self,
        request: Request,
        log: UpdateLog | None,
        counts: Counts,
        processes: int,
        html: HtmlReport | None = None,
    ) -> None:
        self._request, self._log, self._processes, self._html = request, log, processes, html
        self._counts = counts
        self._progress = Progress(counts.left + counts.failed, wanted=False if request.quiet else request.progress)
        self._said: set[str] = set()
        self._noted: dict[str, list[str]] = {}
        self._clipped: list[tuple[str, float]] = []

    def run(self, jobs: Sequence[Job], options: pipeline.Options) -> Counts:
        """Run the jobs and return the counters; after a signal, print a summary of the finished jobs and raise."""
        tick = self._progress.interval_seconds
        try:
            with self._progress, closing(self._events(jobs, options, tick)) as events:  # type: ignore[type-var]
                for event in events:
                    if isinstance(event, Outcome):
                        self._take(event)
                    elif isinstance(event, Notice):
                        self._say_once(event.text)
                    self._progress.show(self._counts.done, self._counts.failed)
                    if self._request.fail_fast and self._counts.failed:
                        break
        except KeyboardInterrupt:
            self._say_notes()
            if not self._request.quiet:
                say(f"stopped: {self._counts}{self._how_to_continue()}", "summary")
            raise
        self._say_notes()
        return self._counts

    def _how_to_continue(self) -> str:
        """Return how to continue an interrupted run."""
        if self._log is None or not self._counts.left:
            return ""
        return "; to continue, repeat the command" + ("" if self._request.update else " with --update")

    def _say_notes(self) -> None:
        """Print each note once, with the first file that it concerns and the number of others."""
        for note, names in self._noted.items() if not self._request.quiet else ():
            say(f"{first_of(names)}: {note}")
        if self._clipped:
            say(clipping.line(sorted(self._clipped), self._request))

    def _events(self, jobs: Sequence[Job], options: pipeline.Options, tick: float | None) -> Iterator[Event]:
        if self._request.dask is None:
            return workers.outcomes(jobs, options, self._processes, tick)
        from convfilter.cluster import scheduler

        address, jobs_at_a_time = self._request.dask, self._request.jobs
        return scheduler.outcomes(
            jobs, options, address, processes=self._processes, at_a_time=jobs_at_a_time, tick_seconds=tick
        )

    def _say_once(self, text: str) -> None:
        if text not in self._said:
            self._said.add(text)
            if self._request.dask is None:
                compiling.notice(text, self._progress.say)
            else:
                self._progress.say(text)

    def _take(self, outcome: Outcome) -> None:
        """Count the outcome of a file and print its message."""
        job, report, error = outcome.job, outcome.report, outcome.error
        if report is not None and self._log is not None:
            try:
                self._log.record(job, outcome.digests)
            except WriteError as problem:  # equal for all outputs of a folder
                self._say_once(failure(problem)[0])
        done = report is not None
        self._counts = self._counts._replace(
            done=self._counts.done + done, failed=self._counts.failed + (not done), left=self._counts.left - 1
        )
        message = ""
        if error is not None:
            message = failure(error)[0]
            subject = job.destination if isinstance(error, WriteError) else job.source
            names_it = isinstance(error, ConvfilterError) and error.subject == subject
            self._progress.say(message if names_it else f"{subject}: {message}", failed=subject)
            if self._request.debug:
                self._progress.print(outcome.traceback)
        if report is not None:
            self._progress.add(report.size[0] * report.size[1] * report.frames / 1e6)
            for note in report.notes:
                self._noted.setdefault(note, []).append(job.source)
            if clipping.is_likely_a_mistake(self._request, report.clipped):
                self._clipped.append((job.source, report.clipped))
            if self._request.verbose:
                self._progress.say(report.line)
        if self._html is not None:
            self._html.add(job.source, job.destination, report, message)
        if self._request.json:
            tell(json_lines.line(job.source, job.destination, report, message))
