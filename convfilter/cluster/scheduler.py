"""Many files through a Dask scheduler: handed out as workers are free, done again where a worker is lost.

A task is one file, and writes its output whole; so it may run twice, and what
was done before a worker died stays. Only a few tasks for each worker are with
the scheduler at a time: a million files cost it no more than a thousand.
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
from convfilter.batch.found import Job
from convfilter.batch.workers import Event, Notice, Outcome, Tick
from convfilter.cluster import worker
from convfilter.cluster.connection import LOCAL, connected, require_like_versions
from convfilter.errors import ClusterError, ConvfilterError, PictureError, ReadError, UsageError, first_line, shown
from convfilter.filters import stack
from convfilter.pipeline import Options

#: How often to look whether the scheduler is still there.
_LOOK_SECONDS = 0.5
#: How long it may be away.
_GONE_SECONDS = 15.0
#: What reading a file says that is not there.
#: Tasks for each thread of the workers: one that runs, and one or two that wait for it.
_TASKS_A_THREAD = 3
_LEAST_TASKS = 8
#: Results that are fetched together.
_MOST_TOGETHER = 64
#: How often a file is tried where a worker, and not the file, may be at fault.
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
    """Have a cluster do the jobs, and yield what becomes of them as it happens.

    Parameters
    ----------
    jobs : sequence of Job
        Begun in this order.
    options : Options
        Weights that it names are read here: workers need not have the files.
    address : str
        Of the scheduler, as ``tcp://host:8786``; ``local`` starts one here.
    processes : int
        Workers of a local cluster.
    at_a_time : int, optional
        At most so many files are with the scheduler.
    tick_seconds : float, optional
        Yield a Tick when nothing else has happened for so long.

    Yields
    ------
    Outcome, Notice or Tick
        One Outcome for each job.

    Raises
    ------
    UsageError
        The extra is not installed, the address is none, or a job is only to be had in this process.
    ClusterError
        There is no scheduler, or it is lost; or a worker has another version of convfilter.
    """
    _require_sense(jobs, options, address)
    try:
        with connected(address, processes) as client:
            yield from _Run(client, jobs, options, address, at_a_time).events(tick_seconds)
    except ConvfilterError:
        raise
    except Exception as error:  # the library's own, and what the scheduler's answers make of it
        raise ClusterError(f"the scheduler at {address} cannot be used: {first_line(error)}") from error


def _require_sense(jobs: Sequence[Job], options: Options, address: str) -> None:
    if address != LOCAL and "://" not in address:
        raise UsageError(
            f"a scheduler's address looks like tcp://host:8786, or is the word local, got {shown(address)}"
        )
    if options.in_place:
        raise UsageError(
            "a worker that dies in the middle would have a file that is filtered in place filtered twice",
            remedy="give an output folder, or leave out {dask}",
        )
    if options.explain is not None:
        raise UsageError("the plans would be printed on the workers", remedy="leave out {explain=True}, or {dask}")
    if options.look is not None:
        raise UsageError("a page shows pictures that this machine has seen", remedy="leave out {html}, or {dask}")
    for job in jobs:
        for name in job:
            if name.startswith("memory://"):
                raise UsageError(f"{name}: memory:// exists in one process only; workers need s3://, gs:// or files")


class _Run:
    """One batch on a cluster: which files wait, and which are with the scheduler."""

    def __init__(self, client: Any, jobs: Sequence[Job], options: Options, address: str, at_a_time: int | None) -> None:
        self._client, self._address, self._at_a_time = client, address, at_a_time
        self._waiting = iter(jobs)
        self._tasks: dict[Any, tuple[Job, int]] = {}
        self._ended: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._said: set[str] = set()
        stages = stack.stages(options.specs, **options.defaults)
        self._sent = pickle.dumps(options._replace(specs=stages, defaults={}, explain=None))
        self._options: Any = None
        self._again: list[tuple[Job, int]] = []
        self._seen = time.monotonic()

    def events(self, tick_seconds: float | None) -> Iterator[Event]:
        """Keep the workers busy until every file has had its turn."""
        yield from require_like_versions(self._client, self._address)
        room = self._room()
        self._hand_out(room)
        while self._tasks or self._again:
            ended = self._some_ended(min(tick_seconds or _LOOK_SECONDS, _LOOK_SECONDS))
            if not ended:
                self._require_scheduler()
                room = self._room()
                yield Tick()
            yield from self._taken(ended)
            self._hand_out(room)

    def _some_ended(self, seconds: float) -> list[Any]:
        """Wait for a task to end; returns all that have."""
        ended = []
        with suppress(queue.Empty):
            ended.append(self._ended.get(timeout=seconds))
            while len(ended) < _MOST_TOGETHER:
                ended.append(self._ended.get_nowait())
        return ended

    def _hand_out(self, room: int) -> None:
        """Give the scheduler as many files as there is room for: together, which takes it half the time."""
        if self._client.status != "running":
            return
        batch: list[tuple[Job, int]] = []
        while len(self._tasks) + len(batch) < room:
            if self._again:
                batch.append(self._again.pop())
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
        """Return the options as a task that can be done again."""
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

    def _room(self) -> int:
        """Count how many files may be with the scheduler: workers come and go."""
        if self._client.status != "running":  # asking would wait for it to come back
            return 0
        threads = sum(each["nthreads"] for each in self._workers().values())
        room: int = max(_LEAST_TASKS, _TASKS_A_THREAD * threads)
        return min(room, self._at_a_time) if self._at_a_time else room

    def _taken(self, ended: Sequence[Any]) -> Iterator[Event]:
        """Yield what became of some files, unless they are worth another attempt."""
        finished = [future for future in ended if future.status == "finished"]
        results: dict[Any, worker.Done] = {}
        with suppress(Exception):  # one question for all results; what goes wrong shows when they are asked for singly
            results = dict(zip(finished, self._client.gather(finished), strict=True)) if finished else {}
        for future in ended:
            yield from self._one(future, results.get(future))

    def _one(self, future: Any, done: worker.Done | None) -> Iterator[Event]:
        job, attempt = self._tasks.pop(future)
        try:
            done = done or future.result(timeout=_GONE_SECONDS)
        except TimeoutError:  # the worker that held the result has died meanwhile: it is being computed again
            self._watch(future, job, attempt)
            return
        except Exception as error:
            if isinstance(error, CancelledError) and attempt < _ATTEMPTS:  # by a scheduler that has gone or begun anew
                self._options = None
                self._again.append((job, attempt + 1))
            else:
                yield Outcome(job, None, _lost(error))
            return
        assert done is not None
        for text in done.notices:
            if text not in self._said:
                self._said.add(text)
                yield Notice(text)
        if done.elsewhere and attempt < _ATTEMPTS:
            self._submit_elsewhere(job, attempt + 1, done.worker)
            return
        yield from self._here(job, done.outcome)

    def _here(self, job: Job, outcome: Outcome) -> Iterator[Event]:
        """Give an outcome the names as they were typed; say where files are on another disk."""
        report, error = outcome.report, outcome.error
        if report is not None:
            report = report._replace(source=job.source, destination=job.destination)
            if "://" not in job.destination and not os.path.exists(job.destination) and "disk" not in self._said:
                self._said.add("disk")
                yield Notice(
                    f"{job.destination}: written on the worker's disk, which this machine does not see; "
                    "use a shared folder, or addresses as s3://"
                )
        elif isinstance(error, ReadError) and error.errno == errno.ENOENT and os.path.exists(job.source):
            problem = f"{error.problem} on the worker's disk"
            error = ReadError(problem, remedy="use a shared folder, or addresses as s3://")
        yield outcome._replace(job=job, report=report, error=error)

    def _require_scheduler(self) -> None:
        now = time.monotonic()
        if self._client.status == "running":
            self._seen = now
        elif now - self._seen > _GONE_SECONDS or self._client.status == "closed":
            raise ClusterError(
                f"the scheduler at {self._address} is gone; what is done stays, run again with what is left"
            )


def _absolute(job: Job) -> Job:
    """Name files so that a worker, in another working folder, finds the same."""
    return Job(*(name if "://" in name else os.path.abspath(name) for name in job))


def _lost(error: Exception) -> Exception:
    """Word what distributed raises for a task that has no result."""
    if type(error).__name__ == "KilledWorker":
        return PictureError("every worker that began it has died; the memory may be too small, or the picture damaged")
    return PictureError(f"the cluster gave it up: {type(error).__name__}: {first_line(error)}")
