"""Threads that process independent blocks of rows."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Generic, TypeAlias, TypeVar

import numpy as np

Block = TypeVar("Block")
#: Makes a block processor, in the thread that will use it.
MakeWorker: TypeAlias = Callable[[], Callable[[Block], None]]

#: Seconds that an idle thread waits for another task before it ends.
_PATIENCE = 0.3


def cut(rows: int, block_rows: int) -> list[tuple[int, int]]:
    """Cut ``rows`` into blocks of ``block_rows``: pairs of first and last-plus-one row."""
    return [(first, min(first + block_rows, rows)) for first in range(0, rows, block_rows)]


def run_blocks(
    blocks: Sequence[Block], make_worker: MakeWorker[Block], threads: int, give_up: Callable[[], None] = lambda: None
) -> None:
    """Have ``threads`` workers process all blocks; each worker is made in its own thread, with its own scratch.

    A worker processes neighbouring blocks, from the first to the last, and then helps the others. Blocks are
    independent, and their bounds do not depend on the number of threads: so neither does the result. The first
    exception stops all workers and is raised here, as is KeyboardInterrupt. NumPy's warnings about infinities and NaN
    are off. After an exception ``give_up`` is called, for workers that wait for each other.
    """
    threads = min(threads, len(blocks))
    queue = _Queue(blocks, make_worker, threads, give_up)
    if threads <= 1:
        queue.work_off()
        return
    beside = _Beside(queue.help, threads - 1)
    try:
        beside.start()
        queue.help()
        beside.end()
    except BaseException as error:
        queue.fail(error)
        beside.end()
        raise
    if queue.failures:
        del queue.failures[1:]
        raise queue.failures.pop()  # popped, or the exception would refer to itself and keep all pictures alive


class _Queue(Generic[Block]):
    """A queue of blocks in runs, one for each thread; ``failures`` end it. Each operation on a run is atomic.

    Threads that took the blocks in turns would write first to the same 2 MB page of a new array at the same time, and
    the system would clear the page for both.
    """

    def __init__(
        self, blocks: Sequence[Block], make_worker: MakeWorker[Block], threads: int, give_up: Callable[[], None]
    ) -> None:
        self.failures: list[BaseException] = []
        self._make_worker, self._give_up = make_worker, give_up
        runs = cut(len(blocks), -(-len(blocks) // threads)) if blocks else []
        self._runs = [deque(blocks[slice(*run)]) for run in runs]
        self._untouched = deque(self._runs)

    def help(self) -> None:
        """Process blocks until the queue is empty; record failures for the other threads."""
        try:
            self.work_off()
        except BaseException as error:
            self.fail(error)

    def fail(self, error: BaseException) -> None:
        """Record an exception, after which all threads end."""
        self.failures.append(error)
        self._give_up()

    def work_off(self) -> None:
        """Process blocks until the queue is empty."""
        worker: Callable[[Block], None] | None = None
        with _silent():  # NumPy's error state is not inherited by threads
            for block in self._blocks():
                worker = worker or self._make_worker()
                worker(block)

    def _blocks(self) -> Iterator[Block]:
        """Yield the blocks of runs that no other thread has, in order, then the last ones of others' runs."""
        with suppress(IndexError):
            while not self.failures:
                run = self._untouched.popleft()
                with suppress(IndexError):
                    while not self.failures:
                        yield run.popleft()
        for run in self._runs:
            with suppress(IndexError):
                while not self.failures:
                    yield run.pop()


def _silent() -> np.errstate:
    return np.errstate(over="ignore", invalid="ignore")


# Threads that help ---------------------------------------------------------------


class _Beside:
    """A task that helper threads run beside this thread, as far as they start before ``end``.

    Parameters
    ----------
    task : callable
        Raises nothing.
    threads : int
    """

    def __init__(self, task: Callable[[], None], threads: int) -> None:
        self._waiting = [task] * threads
        self._begun: list[threading.Lock] = []  # each is released when its thread has finished the task

    def start(self) -> None:
        """Hand the task to the threads.

        Raises
        ------
        RuntimeError
            A thread cannot be started.
        """
        for _ in tuple(self._waiting):
            try:
                helper = _idle.pop()
            except IndexError:
                helper = _Helper()
            helper.give(self)

    def run(self, helper: _Helper) -> None:
        """Run the task unless it has ended; return the helper to the idle list before signalling completion."""
        with (busy := threading.Lock()):
            self._begun.append(busy)  # before the task is read: ``end`` waits for every helper that has it
            with suppress(IndexError):
                task = self._waiting.pop()
                task()
                del task  # releases the pictures that it refers to
            _idle.append(helper)

    def end(self) -> None:
        """Prevent further starts and wait for running helpers; KeyboardInterrupt may arrive at any point."""
        self._waiting.clear()
        for busy in self._begun:
            with busy:
                pass


class _Helper:
    """A helper thread that stays idle for a while, since starting one takes as long as computing a strip."""

    def __init__(self) -> None:
        self._given = threading.Lock()  # unlocked while a task is available
        self._given.acquire()
        self._beside: _Beside | None = None
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def give(self, beside: _Beside | None) -> None:
        """Hand over the next task; None ends the thread. The caller has removed the helper from the idle list."""
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
        except ValueError:  # another thread has just removed it, unless Ctrl-C intervened
            return not self._given.acquire(timeout=_PATIENCE)
        return True


#: Idle helpers, the latest last. Each list operation is atomic.
_idle: list[_Helper] = []


def _dismiss() -> None:
    """End all idle helpers before a fork: Python warns of threads that do not exist in the child."""
    dismissed = []
    while _idle:
        dismissed.append(_idle.pop())
    for helper in dismissed:
        helper.give(None)
    for helper in dismissed:
        helper.join()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_dismiss, after_in_child=_idle.clear)
