"""Worker processes that filter one picture at a time, started by fork, with pipes to the parent.

Workers are processes, not threads: a crash of a decoder affects one picture only, a signal ends a worker as it ends a
run on one file, and no lock is shared. Workers share the modules imported before the fork.

This module reads the pipes itself: ``Process``, ``Pipe`` and ``wait`` of ``multiprocessing`` pass the same tests in 39
lines less, but take 12 ms of a batch's processor time to import (2 files: 290 ms to 302; 40 files: 422 to 442), and
block until a message that has begun is complete.
"""

from __future__ import annotations

import os
import pickle
import select
import signal
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any, NoReturn

from convfilter import pipeline
from convfilter.batch.resources import Memory
from convfilter.batch.search import Job
from convfilter.errors import PictureError, WriteError
from convfilter.picture.place.address import is_address
from convfilter.planning.plan_cache import cached_plan
from convfilter.record import NamedTuple

_LENGTH_BYTES = 8
_READ_BYTES = 1 << 16
#: Seconds for a stopped worker to clean up before it is killed.
_PATIENCE_SECONDS = 5.0


class Outcome(NamedTuple):
    """The outcome of a job: a report, or an error with its traceback as text.

    ``digests`` are those of the input's and the output's content, if the options ask for them.
    """

    job: Job
    report: pipeline.Report | None
    error: Exception | None = None
    traceback: str = ""
    digests: tuple[str | None, str | None] | None = None


class Notice(NamedTuple):
    """A message for the user about no particular file."""

    text: str


class Tick(NamedTuple):
    """Time has passed without another event; a caller may update its display."""


Event = Outcome | Notice | Tick


def perform(job: Job, options: pipeline.Options) -> Outcome:
    """Filter one picture; errors are part of the outcome.

    Parameters
    ----------
    job : Job
        A missing output folder is created once the result exists: a failing picture leaves none.
    options : pipeline.Options

    Returns
    -------
    Outcome
    """
    try:
        options = options._replace(before_writing=_make_folder, plan=cached_plan)
        report = pipeline.filter_file(job.source, job.destination, options)
        return Outcome(job, report, digests=_digests(job) if options.digests else None)
    except Exception as error:  # no failure of a picture may end the others
        import traceback

        return Outcome(job, None, error, "".join(traceback.format_exception(error)))


def _digests(job: Job) -> tuple[str | None, str | None]:
    """Return the digests of input and output, computed in the worker: in parallel, and from the page cache."""
    from convfilter.batch.update import digest_of

    return digest_of(job.source), digest_of(job.destination)


def _make_folder(destination: str) -> None:
    if is_address(destination):  # stores need no folders
        return
    folder = os.path.dirname(destination)
    try:
        if folder and not os.path.isdir(folder):
            os.makedirs(folder, exist_ok=True)
    except OSError as error:
        raise WriteError(f"the folder cannot be created: {(error.strerror or str(error)).lower()}") from error


def outcomes(
    jobs: Sequence[Job], options: pipeline.Options, processes: int, tick_seconds: float | None = None
) -> Iterator[Event]:
    """Run the jobs in several processes, and yield events as they happen.

    Parameters
    ----------
    jobs : sequence of Job
        Started in this order.
    options : pipeline.Options
    processes : int
        Largest number of processes; fewer run if the pictures are too large for the memory.
    tick_seconds : float, optional
        Yield a Tick after this time without another event.

    Yields
    ------
    Outcome, Notice or Tick
        One Outcome for each job. Objects in memory:// exist in this process only, and
        are filtered here. If a worker dies, its job fails and another worker replaces
        it. Closing the iterator stops the workers; unfinished outputs do not appear.
    """
    if len(jobs) <= 1 or any(name.startswith("memory://") for job in jobs for name in job):
        for job in jobs:
            yield perform(job, options)
        return
    pool = _Pool(options)
    try:
        yield from _in_parallel(jobs, pool, processes, tick_seconds)
    except BaseException:
        pool.stop()
        raise
    pool.dismiss()


def _in_parallel(jobs: Sequence[Job], pool: _Pool, processes: int, tick_seconds: float | None) -> Iterator[Event]:
    """Keep as many workers busy as processes and memory allow."""
    memory = Memory(pool.options)
    waiting = list(reversed(jobs))
    needed = memory.needed(waiting[-1].source)
    while waiting or pool.busy:
        while waiting and len(pool.busy) < processes and memory.admits(needed):
            job = waiting.pop()
            memory.reserve(job.source, needed)
            pool.begin(job)
            needed = memory.needed(waiting[-1].source) if waiting else 0
        happened = False
        for event in pool.wait(tick_seconds):
            happened = True
            if isinstance(event, Outcome):
                memory.release(event.job.source)
            yield event
        if not happened:
            yield Tick()


class _Worker:
    """A child process and its pipes; ``job`` is its current job, or None."""

    def __init__(self, pid: int, requests: int, results: int) -> None:
        self.pid, self.requests, self.results = pid, requests, results
        self.job: Job | None = None
        self._received = bytearray()

    def begin(self, job: Job) -> None:
        self.job = job
        with suppress(BrokenPipeError):  # the worker has died; reading its results will report that
            _send(self.requests, job)

    def received(self) -> list[Any] | None:
        """Read once, and return the messages that are complete; None if the worker has ended."""
        block = os.read(self.results, _READ_BYTES)
        if not block:
            return None
        self._received += block
        messages = []
        while len(self._received) >= _LENGTH_BYTES:
            end = _LENGTH_BYTES + int.from_bytes(self._received[:_LENGTH_BYTES], "big")
            if len(self._received) < end:
                break
            messages.append(pickle.loads(self._received[_LENGTH_BYTES:end]))
            del self._received[:end]
        return messages

    def close(self) -> int:
        """Close the pipes, reap the worker, and return its exit status, negative for a signal."""
        os.close(self.requests)
        os.close(self.results)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


class _Pool:
    """The pool of workers; a worker is forked when a job begins and all others are busy."""

    def __init__(self, options: pipeline.Options) -> None:
        self.options = options
        self._workers: list[_Worker] = []

    @property
    def busy(self) -> list[_Worker]:
        return [worker for worker in self._workers if worker.job]

    def begin(self, job: Job) -> None:
        worker = next((worker for worker in self._workers if not worker.job), None)
        if worker is None:
            worker = _forked(self.options, [end for each in self._workers for end in (each.requests, each.results)])
            self._workers.append(worker)
        worker.begin(job)

    def wait(self, seconds: float | None) -> Iterator[Event]:
        """Yield incoming events, or none at the timeout."""
        poll = select.poll()
        by_results = {worker.results: worker for worker in self.busy}
        for results in by_results:
            poll.register(results, select.POLLIN)
        for results, _ in poll.poll(None if seconds is None else seconds * 1000):
            worker = by_results[results]
            messages = worker.received()
            if messages is None:
                yield self._lost(worker)
                continue
            for message in messages:
                if isinstance(message, Outcome):
                    worker.job = None
                yield message

    def _lost(self, worker: _Worker) -> Outcome:
        self._workers.remove(worker)
        status = worker.close()
        cause = f"status {status}"
        if status < 0 or status > 128:
            number = -status if status < 0 else status - 128
            cause = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
        assert worker.job is not None
        advice = "the memory may be too small: use {jobs=1}" if "KILL" in cause else ""
        problem = f"the process that filtered it was ended by {cause}"
        return Outcome(worker.job, None, PictureError(problem, remedy=advice))

    def dismiss(self) -> None:
        """Close the pipes of idle workers, which then exit."""
        while self._workers:
            self._workers.pop().close()

    def stop(self) -> None:
        """Stop the workers at once; each removes its unfinished output."""
        for worker in self._workers:
            with suppress(ProcessLookupError):
                os.kill(worker.pid, signal.SIGTERM)
        until = time.monotonic() + _PATIENCE_SECONDS
        for worker in self._workers:
            while os.waitpid(worker.pid, os.WNOHANG) == (0, 0):
                if time.monotonic() > until:
                    os.kill(worker.pid, signal.SIGKILL)
                    os.waitpid(worker.pid, 0)
                    break
                time.sleep(0.005)
        self._workers.clear()


def _forked(options: pipeline.Options, others: Sequence[int]) -> _Worker:
    """Fork a worker; ``others`` are the pipes of other workers, which it must close."""
    requests, ours_to_write = os.pipe()
    ours_to_read, results = os.pipe()
    with warnings.catch_warnings():
        # The only other threads are the idle ones of NumPy's BLAS, which supports fork.
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid == 0:
        _work(requests, results, options, (ours_to_write, ours_to_read, *others))
    os.close(requests)
    os.close(results)
    return _Worker(pid, ours_to_write, ours_to_read)


def _work(requests: int, results: int, options: pipeline.Options, of_parent: Sequence[int]) -> NoReturn:
    """Filter the requested pictures until the pipe is closed, then exit without the parent's cleanup."""
    status = 1
    try:
        for end in of_parent:
            os.close(end)
        from convfilter.native import object_code

        object_code.on_notice(lambda text: _send(results, Notice(text)))
        with open(requests, "rb", closefd=False) as stream:
            while length := stream.read(_LENGTH_BYTES):
                job = pickle.loads(stream.read(int.from_bytes(length, "big")))
                _send(results, portable(perform(job, options)))
        status = 0
    except BaseException as stop:  # a signal: the unfinished output is already removed
        status = getattr(stop, "status", 1)
    os._exit(status)


def portable(outcome: Outcome) -> Outcome:
    """Replace an exception that cannot be pickled by an equivalent one."""
    try:
        pickle.loads(pickle.dumps(outcome.error))
    except Exception:  # whatever the exception's own methods raise
        error = outcome.error
        return outcome._replace(error=RuntimeError(f"{type(error).__name__}: {error}"))
    return outcome


def _send(pipe: int, message: object) -> None:
    data = pickle.dumps(message)
    view = memoryview(len(data).to_bytes(_LENGTH_BYTES, "big") + data)
    while view:
        view = view[os.write(pipe, view) :]
