"""From the options for many files to a batch, and what is said while it runs."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from convfilter import pipeline
from convfilter.batch import inputs, resources, workers
from convfilter.batch.inputs import Job, Naming, Search
from convfilter.batch.workers import Event, Notice, Outcome
from convfilter.cli.jobs import html_report, is_glob, local_names, pipeline_options
from convfilter.cli.messages import FAILED, failure, one_line, say
from convfilter.cli.progress import Progress
from convfilter.engine.bands import available_cores
from convfilter.errors import UsageError, WriteError
from convfilter.filters import stack
from convfilter.filters.spec import FilterSpec
from convfilter.picture import formats

if TYPE_CHECKING:
    from convfilter.cli.html import HtmlReport


class Counts(NamedTuple):
    """The batch in figures; ``__str__`` is the summary."""

    done: int = 0
    failed: int = 0
    skipped: int = 0
    current: int = 0
    left: int = 0

    def __str__(self) -> str:
        """Say it as in ``197 done, 2 failed, 1 skipped``; what is zero is left out, but for the first two."""
        parts = [f"{self.done} done", f"{self.failed} failed"]
        parts += [f"{self.skipped} skipped"] if self.skipped else []
        parts += [f"{self.current} up to date"] if self.current else []
        parts += [f"{self.left} not done"] if self.left else []
        return ", ".join(parts)


def run_many(specs: Sequence[str | FilterSpec], params: dict[str, Any]) -> int:
    """Filter the files of a command line that names several; returns the exit status."""
    context = click.get_current_context()
    options = pipeline_options(specs, params)
    stack.stages(options.specs, **options.defaults)  # a filter that makes no sense fails once, not once a file
    found = _found(params, context)
    html = html_report(params, options)
    if params["verbose"]:
        for name in found.skipped:
            say(f"{name}: skipped, this is no picture file")
    for folder, why in found.closed:
        say(f"{folder}: {why}")
    _require_files(params, found)
    if params["depfile"] and not params["dry_run"]:
        _write_depfile(params["depfile"], found.jobs, specs, context.find_root().obj.config)
    log = None
    jobs = found.jobs
    if params["update"]:
        from convfilter.batch import update

        log = update.UpdateLog(update.recipe(options))
        jobs = [job for job in jobs if not log.is_current(job)]
    counts = Counts(0, len(found.closed), len(found.skipped), current=len(found.jobs) - len(jobs), left=len(jobs))
    if params["dry_run"]:
        return _announced(jobs, counts, params)
    if params["fail_fast"] and counts.failed:
        _write_page(html, found, jobs)
        return _summed_up(counts, params)
    share = _share(jobs, params)
    own = {name: _with_threads(getattr(options, name), share.threads) for name in ("read", "write")}
    options = options._replace(threads=share.threads, **own)
    if html is not None:
        options = html.watched(options, [job.destination for job in jobs])
    batch = _Batch(params, context.find_root().obj.debug, log, counts, share.jobs, html)
    try:
        status = _summed_up(batch.run(jobs, options), params)
    finally:  # a run that is stopped has done something, too
        _write_page(html, found, jobs)
    return status


def _write_page(html: HtmlReport | None, found: inputs.Found, jobs: Sequence[Job]) -> None:
    """Write the page of --html, if it is wanted: folders that could not be read, then the files in their order."""
    if html is None:
        return
    closed = [Job(folder, "") for folder, _ in found.closed]
    for folder, why in found.closed:
        html.add(folder, "", None, why)
    waiting = set(jobs)
    current = [job.destination for job in found.jobs if job not in waiting]
    html.write([*closed, *jobs], current=current, skipped=len(found.skipped))


def _write_depfile(path: str, jobs: Sequence[Job], specs: Sequence[str | FilterSpec], config: str | None) -> None:
    from convfilter.batch import depfile

    try:
        depfile.write(path, jobs, [*depfile.files_of(specs), *([config] if config else [])])
    except WriteError as error:
        raise WriteError(f"{path}: {error}") from error


def _announced(jobs: Sequence[Job], counts: Counts, params: dict[str, Any]) -> int:
    """Say what would be done."""
    for job in jobs:
        click.echo(f"{one_line(job.source)} -> {one_line(job.destination)}")
    if not params["quiet"]:
        say(f"{len(jobs)} to do, {counts.skipped} skipped, {counts.current} up to date")
    return FAILED if counts.failed else 0


def _share(jobs: Sequence[Job], params: dict[str, Any]) -> resources.Share:
    """Share this machine's cores; on others, a worker's threads each do a picture."""
    if params["dask"] not in (None, "local"):
        return resources.Share(1, params["threads"] or 1)
    return resources.share(len(jobs), params["jobs"], params["threads"], available_cores())


def _require_files(params: dict[str, Any], found: inputs.Found) -> None:
    """Refuse what only works with files: times and a log for --update, names of files for make."""
    names = [name for job in found.jobs for name in job if "://" in name]
    for option in ("update", "depfile"):
        if params[option] and names:
            raise UsageError(f"{names[0]}: --{option} is for files; leave it out for addresses")


def _with_threads(options: Any, threads: int) -> Any:
    from dataclasses import replace

    return replace(options, threads=threads)


def _summed_up(counts: Counts, params: dict[str, Any]) -> int:
    if not params["quiet"]:
        say(str(counts))
    return FAILED if counts.failed else 0


class _Batch:
    """One run over many files: what it counts, and what it says."""

    def __init__(
        self,
        params: dict[str, Any],
        debug: bool,
        log: Any,
        counts: Counts,
        processes: int,
        html: HtmlReport | None = None,
    ) -> None:
        self._params, self._debug, self._log, self._processes, self._html = params, debug, log, processes, html
        self._counts = counts
        self._progress = Progress(counts.left + counts.failed, wanted=False if params["quiet"] else params["progress"])
        self._said: set[str] = set()

    def run(self, jobs: Sequence[Job], options: pipeline.Options) -> Counts:
        """Do the jobs; a signal ends them, after the summary of what was done."""
        tick = self._progress.interval_seconds
        try:
            with self._progress, closing(self._events(jobs, options, tick)) as events:  # type: ignore[type-var]
                for event in events:
                    if isinstance(event, Outcome):
                        self._take(event)
                    elif isinstance(event, Notice) and event.text not in self._said:
                        self._said.add(event.text)
                        self._progress.say(event.text)
                    self._progress.show(self._counts.done, self._counts.failed)
                    if self._params["fail_fast"] and self._counts.failed:
                        break
        except KeyboardInterrupt:
            if not self._params["quiet"]:
                say(f"stopped: {self._counts}")
            raise
        return self._counts

    def _events(self, jobs: Sequence[Job], options: pipeline.Options, tick: float | None) -> Iterator[Event]:
        if self._params["dask"] is None:
            return workers.outcomes(jobs, options, self._processes, tick)
        from convfilter.cluster import scheduler

        address, jobs_at_a_time = self._params["dask"], self._params["jobs"]
        return scheduler.outcomes(
            jobs, options, address, processes=self._processes, at_a_time=jobs_at_a_time, tick_seconds=tick
        )

    def _take(self, outcome: Outcome) -> None:
        """Count what became of a file, and say what has to be said about it."""
        job, report, error = outcome.job, outcome.report, outcome.error
        if report is not None and self._log is not None:
            try:
                self._log.record(job)
            except WriteError as problem:
                self._progress.say(f"{job.destination}: {problem}")
        done = report is not None
        self._counts = self._counts._replace(
            done=self._counts.done + done, failed=self._counts.failed + (not done), left=self._counts.left - 1
        )
        message = ""
        if error is not None:
            message = failure(error)[0]
            subject = job.destination if isinstance(error, WriteError) else job.source
            # A message about wrong usage may name the file by itself.
            self._progress.say(
                message if message.startswith(f"{subject}: ") else f"{subject}: {message}", failed=subject
            )
            if self._debug:
                self._progress.print(outcome.traceback)
        if report is not None:
            self._progress.add(report.size[0] * report.size[1] * report.frames / 1e6)
            for note in report.notes:
                self._progress.say(f"{job.source}: {note}")
            if self._params["verbose"]:
                self._progress.say(report.line)
        if self._html is not None:
            self._html.add(job.source, job.destination, report, message)
        if self._params["json"]:
            click.echo(_json(job, report, message))


def _json(job: Job, report: pipeline.Report | None, message: str) -> str:
    """Write one line of JSON about one file."""
    import json

    record: dict[str, Any] = {"input": job.source, "output": job.destination, "error": message or None}
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
    return json.dumps(record)


# Names ------------------------------------------------------------------------


def _found(params: dict[str, Any], context: click.Context) -> inputs.Found:
    """Find the inputs and name their outputs."""
    names = local_names(params["files"])
    naming = Naming(None, _ext(params["ext"]), params["suffix"] or "")
    if params["null"] and not params["files_from"]:
        raise click.UsageError("-0 tells how the names of --files-from end; give that too", context)
    if params["in_place"]:
        given = [f"--{name}" for name in ("into", "ext", "suffix", "update") if params[name]]
        if given:
            raise click.UsageError(f"--in-place leaves names and places alone; leave out {given[0]}", context)
    elif params["into"]:
        naming = naming._replace(folder=local_names([params["into"]])[0])
    elif names and not _stands_beside(names, naming, bool(params["files_from"])):
        naming = naming._replace(folder=names.pop())
    if params["files_from"]:
        names += local_names(inputs.read_list(params["files_from"], separator="\0" if params["null"] else "\n"))
    elif not names:
        raise click.UsageError("an input and an output are needed; outputs can go --into a folder too", context)
    elif naming == Naming() and not params["in_place"]:
        raise click.UsageError("an output is needed, or --into, --suffix, --ext or --in-place", context)
    if not params["in_place"] and naming == Naming():
        raise click.UsageError("an output folder is needed, as OUT or with --into", context)
    if params["suffix"] and os.sep in params["suffix"]:
        raise UsageError(f"--suffix: it is a part of a file name, without {os.sep}, got {params['suffix']!r}")
    search = Search(params["recursive"], params["exclude"], bool(params["ext"] or params["format"]))
    single = _single(names, naming, params)
    if single is not None:
        inputs.refuse_collisions([single], in_place=False)
        return inputs.Found([single], [], [])
    _require_folder(names, naming, made=bool(params["into"]))
    return inputs.find(names, naming, search)


def _ext(typed: str | None) -> str:
    """Return the suffix with its dot, if a format has it."""
    if not typed:
        return ""
    ext = "." + typed.removeprefix(".")
    if formats.by_suffix(ext) is None:
        raise UsageError(f"--ext: the suffix must be one of {formats.known_suffixes()}, got {typed!r}")
    return ext


def _stands_beside(names: Sequence[str], naming: Naming, listed: bool) -> bool:
    """Tell whether all names are inputs: with --suffix or --ext, unless the last is a folder, or not there."""
    if not (naming.suffix or naming.ext):
        return False
    several = len(names) > 1 or listed
    return not (several and (_is_folder(names[-1]) or not _exists(names[-1])))


def _is_folder(name: str) -> bool:
    if "://" in name:
        from convfilter.batch import remote

        return remote.is_folder(name)
    return os.path.isdir(name)


def _exists(name: str) -> bool:
    if "://" in name:
        from convfilter.batch import remote

        return remote.exists(name)
    return os.path.exists(name)


def _single(names: Sequence[str], naming: Naming, params: dict[str, Any]) -> Job | None:
    """Return the job of one input and one output that is no folder: IN OUT with an option for many, as --json."""
    out = naming.folder
    if len(names) != 1 or out is None or params["into"] or naming != Naming(out) or params["files_from"]:
        return None
    if _is_folder(names[0]) or _is_folder(out) or out.endswith(os.sep) or is_glob(names[0]):
        return None
    if "-" in (names[0], out):
        raise UsageError("-: options for many files need names of files, not pipes")
    return Job(names[0], out)


def _require_folder(names: Sequence[str], naming: Naming, *, made: bool) -> None:
    """Refuse an output that is no folder; it is made where that cannot be a slip: with --into, or a slash."""
    out = naming.folder
    if "-" in names:
        raise UsageError("-: standard input is one picture without a name; filter it by itself, or name a file ./- so")
    if out is None or _is_folder(out):
        return
    if "://" in out:  # a folder there needs no making
        if formats.by_suffix(os.path.splitext(out)[1]) is not None:
            raise UsageError(f"{out}: several inputs, or a folder, need a folder as output; end it with /")
        return
    if out == "-":
        raise UsageError("-: standard output takes one picture; give a folder")
    if os.path.lexists(out):
        raise UsageError(f"{out}: several inputs, or a folder, need a folder as output, and this is a file")
    a_tree = any(map(_is_folder, names)) and formats.by_suffix(os.path.splitext(out)[1]) is None
    if not (made or out.endswith(os.sep) or a_tree):
        raise UsageError(f"{out}: there is no such folder; several inputs need one: make it, or end it with {os.sep}")
