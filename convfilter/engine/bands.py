"""The picture cut into row blocks, which threads take one after the other."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from time import monotonic
from typing import Any, Generic, TypeAlias, TypeVar

import numpy as np

from convfilter.engine import control_groups

Block = TypeVar("Block")
#: Makes, in the thread that asks, what processes a block.
MakeWorker: TypeAlias = Callable[[], Callable[[Block], None]]
Turn: TypeAlias = tuple[MakeWorker[Any], Sequence[Any]]

#: Seconds that a thread waits for more to do before it ends.
_PATIENCE = 0.3


def available_cores() -> int:
    """Return how many cores this process may keep busy: its affinity, and the quotas of its control groups."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return count if count == 1 else max(1, int(min(count, control_groups.cores())))


#: When cores were counted last, and how many there were.
_counted = float("-inf"), 1


def cores_lately() -> int:
    """Return what :func:`available_cores` does, counted at most once a second: it looks into files for 0.05 ms."""
    global _counted
    now = monotonic()
    if now - _counted[0] > 1:
        _counted = now, available_cores()
    return _counted[1]


def cut(rows: int, block_rows: int) -> list[tuple[int, int]]:
    """Cut ``rows`` into blocks of ``block_rows``: pairs of first and last-plus-one row."""
    return [(first, min(first + block_rows, rows)) for first in range(0, rows, block_rows)]


def run_blocks(blocks: Sequence[Block], make_worker: MakeWorker[Block], threads: int) -> None:
    """Have ``threads`` workers process all blocks; each worker is made in its own thread, with its own scratch.

    Blocks do not depend on each other, and where they are cut does not depend
    on the number of threads: so neither does the result. The first exception
    stops all workers and is raised here, and so is Ctrl-C. What is infinite or
    not a number in a picture is computed with as it is: NumPy warns of nothing.
    """
    run_in_turns([(make_worker, blocks)], threads)


def run_in_turns(turns: Sequence[Turn], threads: int) -> None:
    """Process blocks as :func:`run_blocks` does, those of each turn when all of the turn before are done."""
    threads = min(threads, max((len(blocks) for _, blocks in turns), default=0))
    if threads <= 1:
        _work_off((make_worker, block) for make_worker, blocks in turns for block in blocks)
        return
    line = _Line(turns)
    beside = _Beside(line.help, threads - 1)
    try:
        beside.start()
        line.help()
        beside.end()
    except BaseException as error:
        line.fail(error)
        beside.end()
        raise
    if line.failures:
        del line.failures[1:]
        raise line.failures.pop()  # which would hold itself, and with it all pictures


def _work_off(tasks: Iterable[tuple[MakeWorker[Any], Any]]) -> None:
    """Process blocks one after the other, each with a worker of its kind, which is made for the first of them."""
    workers: dict[MakeWorker[Any], Callable[[Any], None]] = {}
    with _silent():  # a thread does not inherit it
        for make_worker, block in tasks:
            if make_worker not in workers:
                workers[make_worker] = make_worker()
            workers[make_worker](block)


class _Line:
    """Blocks in their order, for threads to take; ``failures`` end it."""

    def __init__(self, turns: Sequence[Turn]) -> None:
        self.failures: list[BaseException] = []
        self._turns = list(turns)[::-1]
        self._waiting: Iterator[tuple[MakeWorker[Any], Any]] = iter(())
        self._running = 0
        # One that knows its owner is taken again, after a wait, in one piece: Ctrl-C cannot come between.
        self._lock = threading.RLock()
        self._next_turn = threading.Condition(self._lock)

    def help(self) -> None:
        """Process blocks as long as there are any; what goes wrong is told to all."""
        try:
            _work_off(self._tasks())
        except BaseException as error:
            self.fail(error)

    def _tasks(self) -> Iterator[tuple[MakeWorker[Any], Any]]:
        done = 0
        while (task := self._following(done)) is not None:
            yield task
            done = 1

    def _following(self, done: int) -> tuple[MakeWorker[Any], Any] | None:
        """Return what makes a worker, and a block for it, as soon as there is one; None at the end.

        ``done`` says how many blocks, 0 or 1, the same thread has done since it asked before.
        """
        with self._lock:
            self._running -= done
            while not self.failures:
                for task in self._waiting:
                    self._running += 1
                    return task
                if not self._turns:
                    break
                if self._running:
                    self._next_turn.wait()
                    continue
                make_worker, blocks = self._turns.pop()
                self._waiting = iter([(make_worker, block) for block in blocks])
                self._next_turn.notify_all()
            return None

    def fail(self, error: BaseException) -> None:
        """Hear what went wrong."""
        with self._lock:
            self.failures.append(error)
            self._next_turn.notify_all()


class Workers(Generic[Block]):
    """Workers that process blocks more than once: each is made where there is none to take, and then kept."""

    def __init__(self, make_worker: MakeWorker[Block]) -> None:
        self._make_worker = make_worker
        self._made: list[Callable[[Block], None]] = []

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self._made)

    def for_one_run(self) -> MakeWorker[Block]:
        """Return what gives each thread of a run one of them."""
        free = list(self._made)

        def take() -> Callable[[Block], None]:
            with suppress(IndexError):  # of a thread that was faster
                return free.pop()
            worker = self._make_worker()
            self._made.append(worker)
            return worker

        return take

    def run(self, blocks: Sequence[Block], threads: int) -> None:
        """Have ``threads`` workers process all blocks, as :func:`run_blocks` does."""
        run_blocks(blocks, self.for_one_run(), threads)


def _silent() -> np.errstate:
    return np.errstate(over="ignore", invalid="ignore")


# Threads that help ---------------------------------------------------------------


class _Beside:
    """What several threads do beside this one, as far as they come to it before it ends here.

    Parameters
    ----------
    task : callable
        Raises nothing.
    threads : int
    """

    def __init__(self, task: Callable[[], None], threads: int) -> None:
        self._waiting = [task] * threads
        self._begun: list[threading.Lock] = []  # each is free again when its thread has done the task

    def start(self) -> None:
        """Have the threads begin.

        Raises
        ------
        RuntimeError
            One cannot be started.
        """
        for _ in tuple(self._waiting):
            try:
                helper = _idle.pop()
            except IndexError:
                helper = _Helper()
            helper.give(self)

    def run(self, helper: _Helper) -> None:
        """Do the task, unless it has ended; before anybody hears of that the helper is there for others."""
        with (busy := threading.Lock()):
            self._begun.append(busy)  # before the task is taken: who ends this waits for all who have one
            with suppress(IndexError):
                task = self._waiting.pop()
                task()
                del task  # and what it holds
            _idle.append(helper)

    def end(self) -> None:
        """Let nobody begin any more, and wait for those who have; Ctrl-C may come at any place."""
        self._waiting.clear()
        for busy in self._begun:
            with busy:
                pass


class _Helper:
    """A thread that waits a while for more to do, since starting one takes as long as a strip."""

    def __init__(self) -> None:
        self._given = threading.Lock()  # free while there is something to do
        self._given.acquire()
        self._beside: _Beside | None = None
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def give(self, beside: _Beside | None) -> None:
        """Hand over what to do next; None is to end. Who does this has taken the helper from those who are idle."""
        self._beside = beside
        self._given.release()

    def join(self) -> None:
        self._thread.join()

    def _serve(self) -> None:
        while True:
            if not self._given.acquire(timeout=_PATIENCE) and self._leaves():
                return
            beside, self._beside = self._beside, None
            if beside is None:
                return
            beside.run(self)
            del beside

    def _leaves(self) -> bool:
        try:
            _idle.remove(self)
        except ValueError:  # somebody has just taken it, unless Ctrl-C came between
            return not self._given.acquire(timeout=_PATIENCE)
        return True


#: Who waits, the latest last. Each change of the list is whole by itself, whatever thread makes it.
_idle: list[_Helper] = []


def _dismiss() -> None:
    """End all who wait, before a fork: Python warns of threads that a child would miss."""
    dismissed = []
    while _idle:
        dismissed.append(_idle.pop())
    for helper in dismissed:
        helper.give(None)
    for helper in dismissed:
        helper.join()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_dismiss, after_in_child=_idle.clear)
