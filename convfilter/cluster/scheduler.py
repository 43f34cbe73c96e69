"""Batches through a Dask scheduler: each file goes to a free worker, and to another one if that worker is lost.

A task filters one file and writes the output by an atomic rename, so a task may run twice, and the outputs of a worker
that died stay. Backpressure: the scheduler has only a few tasks for each worker at a time, so a million files cost it
no more than a thousand.
"""

from __future__ import annotations

import errno
import os
import pickle
import queue
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import suppress
from typing import Any

from convfilter import __version__
from convfilter.batch.search import Job
from convfilter.batch.workers import Event, Notice, Outcome, Tick
from convfilter.cluster import worker
from convfilter.cluster.connection import LOCAL, connected, require_like_versions
from convfilter.errors import ClusterError, ConvfilterError, PictureError, ReadError, UsageError, first_line, shown
from convfilter.filters import stack
from convfilter.picture.place.address import is_address
from convfilter.pipeline import Options

#: Interval of checks that the scheduler is alive, in seconds.
_CHECK_SECONDS = 0.5
#: Seconds that the scheduler may be unreachable before the run fails.
GONE_SECONDS = 15.0
#: Tasks of the scheduler for each thread of the workers: one running, one or two queued.
_TASKS_A_THREAD = 3
_LEAST_TASKS = 8
#: Largest number of results in one fetch.
_MOST_TOGETHER = 64
#: Attempts for a file whose failure may be the worker's fault.
_ATTEMPTS = 3


def outcomes(
    jobs: Sequence[Job],
    options: Options,
    address: str,
    *,
    processes: int,
    at_a_time: int | None = None,
    tick_seconds: float | None = None,
) -> Iterator[Event]:
    """Run the jobs on a cluster, and yield events as they happen.

    Parameters
    ----------
    jobs : sequence of Job
        Submitted in this order.
    options : Options
        Options; their weights files are read here, so workers need not have them.
    address : str
        Address of the scheduler, such as ``tcp://host:8786``; ``local`` starts one on this machine.
    processes : int
        Workers of a local cluster.
    at_a_time : int, optional
        Largest number of files that the scheduler has at a time.
    tick_seconds : float, optional
        Yield a Tick after this time without another event.

    Yields
    ------
    Outcome, Notice or Tick
        One Outcome for each job.

    Raises
    ------
    UsageError
        The extra is not installed, the address is invalid, or a job works only in this process.
    ClusterError
        No scheduler answers, or it is lost; or a worker has another version of convfilter.
    """
    _require_remote_options(jobs, options, address)
    try:
        with connected(address, processes) as client:
            yield from _Run(client, jobs, options, address, at_a_time).events(tick_seconds)
    except ConvfilterError:
        raise
    except Exception as error:  # errors of the library, and of misread answers
        raise ClusterError(f"the scheduler at {address} cannot be used: {first_line(error)}") from error


def _require_remote_options(jobs: Sequence[Job], options: Options, address: str) -> None:
    if address != LOCAL and "://" not in address:
        raise UsageError(
            f"a scheduler's address looks like tcp://host:8786, or is the word local, got {shown(address)}"
        )
    if options.in_place:
        raise UsageError(
            "a file that is filtered in place would be filtered twice if its worker dies",
            remedy="give an output folder, or leave out {dask}",
        )
    if options.explain is not None:
        raise UsageError("the plans would be printed on the workers", remedy="leave out {explain=True}, or {dask}")
    if options.look is not None:
        raise UsageError("a page needs the pictures on this machine", remedy="leave out {html}, or {dask}")
    for job in jobs:
        for name in job:
            if name.startswith("memory://"):
                raise UsageError(f"{name}: memory:// exists in one process only; workers need s3://, gs:// or files")


class _Run:
    """One batch on a cluster: waiting files and submitted tasks."""

    def __init__(self, client: Any, jobs: Sequence[Job], options: Options, address: str, at_a_time: int | None) -> None:
        self._client, self._address, self._at_a_time = client, address, at_a_time
        self._waiting = iter(jobs)
        self._tasks: dict[Any, tuple[Job, int]] = {}
        self._ended: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._notified: set[str] = set()
        stages = stack.stages(options.specs, **options.defaults)
        self._sent = pickle.dumps(options._replace(specs=stages, defaults={}, explain=None))
        self._options: Any = None
        self._resubmitted: list[tuple[Job, int]] = []
        self._last_contact = time.monotonic()

    def events(self, tick_seconds: float | None) -> Iterator[Event]:
        """Keep the workers busy until all files are done."""
        yield from require_like_versions(self._client, self._address)
        quota = self._quota()
        self._submit(quota)
        while self._tasks or self._resubmitted:
            ended = self._some_ended(min(tick_seconds or _CHECK_SECONDS, _CHECK_SECONDS))
            if not ended:
                self._require_scheduler()
                quota = self._quota()
                yield Tick()
            yield from self._outcomes(ended)
            self._submit(quota)

    def _some_ended(self, seconds: float) -> list[Any]:
        """Wait for a task to end; return all ended tasks."""
        ended = []
        with suppress(queue.Empty):
            ended.append(self._ended.get(timeout=seconds))
            while len(ended) < _MOST_TOGETHER:
                ended.append(self._ended.get_nowait())
        return ended

    def _submit(self, quota: int) -> None:
        """Submit files until the scheduler has ``quota`` of them, all in one call, which takes half the time."""
        if self._client.status != "running":
            return
        batch: list[tuple[Job, int]] = []
        while len(self._tasks) + len(batch) < quota:
            if self._resubmitted:
                batch.append(self._resubmitted.pop())
            elif (job := next(self._waiting, None)) is not None:
                batch.append((job, 1))
            else:
                break
        if not batch:
            return
        futures = self._client.map(
            worker.filter_one, [_absolute(job) for job, _ in batch], options=self._shared(), wanted=__version__,
            pure=False, retries=_ATTEMPTS - 1,
        )  # fmt: skip
        for future, (job, attempt) in zip(futures, batch, strict=True):
            self._watch(future, job, attempt)

    def _shared(self) -> Any:
        """Return the options as the result of a task, which Dask can recompute."""
        if self._options is None:
            self._options = self._client.submit(worker.same, self._sent, pure=False)
        return self._options

    def _submit_elsewhere(self, job: Job, attempt: int, avoid: str) -> None:
        others = [address for address in self._workers() if address != avoid]
        future = self._client.submit(
            worker.filter_one, _absolute(job), self._shared(), __version__,
            pure=False, retries=_ATTEMPTS - 1, workers=others or None, allow_other_workers=bool(others),
        )  # fmt: skip
        self._watch(future, job, attempt)

    def _watch(self, future: Any, job: Job, attempt: int) -> None:
        self._tasks[future] = (job, attempt)
        future.add_done_callback(self._ended.put)

    def _workers(self) -> dict[str, Any]:
        with suppress(OSError, ValueError):
            info: dict[str, Any] = self._client.scheduler_info(n_workers=-1)["workers"]
            return info
        return {}

    def _quota(self) -> int:
        """Return how many files the scheduler may have at a time, from the threads of its current workers."""
        if self._client.status != "running":  # a request would wait until the scheduler is back
            return 0
        threads = sum(each["nthreads"] for each in self._workers().values())
        quota: int = max(_LEAST_TASKS, _TASKS_A_THREAD * threads)
        return min(quota, self._at_a_time) if self._at_a_time else quota

    def _outcomes(self, ended: Sequence[Any]) -> Iterator[Event]:
        """Yield the outcomes of ended tasks, except of those that are tried again."""
        finished = [future for future in ended if future.status == "finished"]
        results: dict[Any, worker.Done] = {}
        with suppress(Exception):  # one request for all results; errors show when they are fetched individually
            results = dict(zip(finished, self._client.gather(finished), strict=True)) if finished else {}
        for future in ended:
            yield from self._outcome(future, results.get(future))

    def _outcome(self, future: Any, done: worker.Done | None) -> Iterator[Event]:
        job, attempt = self._tasks.pop(future)
        try:
            done = done or future.result(timeout=GONE_SECONDS)
        except TimeoutError:  # the worker with the result has died: Dask recomputes it
            self._watch(future, job, attempt)
            return
        except Exception as error:
            if isinstance(error, CancelledError) and attempt < _ATTEMPTS:  # the scheduler was lost or restarted
                self._options = None
                self._resubmitted.append((job, attempt + 1))
            else:
                yield Outcome(job, None, _lost(error))
            return
        assert done is not None
        for text in done.notices:
            if text not in self._notified:
                self._notified.add(text)
                yield Notice(text)
        if done.elsewhere and attempt < _ATTEMPTS:
            self._submit_elsewhere(job, attempt + 1, done.worker)
            return
        yield from self._localized(job, done.outcome)

    def _localized(self, job: Job, outcome: Outcome) -> Iterator[Event]:
        """Yield an outcome with the names that were typed; report files that only the worker's disk has."""
        report, error = outcome.report, outcome.error
        if report is not None:
            report = report._replace(source=job.source, destination=job.destination)
            if not is_address(job.destination) and not os.path.exists(job.destination) and "disk" not in self._notified:
                self._notified.add("disk")
                yield Notice(
                    f"{job.destination}: written on the worker's disk, which this machine does not see; "
                    "use a shared folder, or addresses such as s3://"
                )
        elif isinstance(error, ReadError) and error.errno == errno.ENOENT and os.path.exists(job.source):
            problem = f"{error.problem} on the worker's disk"
            error = ReadError(problem, remedy="use a shared folder, or addresses such as s3://")
        yield outcome._replace(job=job, report=report, error=error)

    def _require_scheduler(self) -> None:
        now = time.monotonic()
        if self._client.status == "running":
            self._last_contact = now
        elif now - self._last_contact > GONE_SECONDS or self._client.status == "closed":
            raise ClusterError(
                f"the scheduler at {self._address} has disconnected; finished outputs stay: run again for the others"
            )


def _absolute(job: Job) -> Job:
    """Return a job with absolute paths: workers have other working folders."""
    return Job(*(name if is_address(name) else os.path.abspath(name) for name in job))


def _lost(error: Exception) -> Exception:
    """Return the error for a task without a result."""
    if type(error).__name__ == "KilledWorker":
        return PictureError(
            "every worker that tried to filter it has died; the memory may be too small, or the picture damaged"
        )
    return PictureError(f"the cluster gave up: {type(error).__name__}: {first_line(error)}")
