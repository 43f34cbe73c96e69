"""A thread pool for independent blocks of rows: helper threads stay idle for a while and are used again."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Generic, TypeVar

import numpy as np

from convfilter.locks import start

Block = TypeVar("Block")

#: Seconds that an idle thread waits for another task before it ends.
IDLE_SECONDS = 0.3


def cut(rows: int, block_rows: int) -> list[tuple[int, int]]:
    """Cut ``rows`` into blocks of ``block_rows``: pairs of first and last-plus-one row."""
    return [(first, min(first + block_rows, rows)) for first in range(0, rows, block_rows)]


def run_blocks(
    blocks: Sequence[Block], process: Callable[[Block], None], threads: int, give_up: Callable[[], None] = lambda: None
) -> None:
    """Process all blocks in ``threads`` threads.

    A thread processes neighbouring blocks, from the first to the last, and then takes blocks of other threads. Blocks
    are independent, and their bounds do not depend on the number of threads, so neither does the result. The first
    exception stops all threads and is raised here, as is KeyboardInterrupt; ``give_up`` is called then, for threads
    that wait for each other. NumPy's warnings about infinities and NaN are off.
    """
    threads = min(threads, len(blocks))
    queue = _Queue(blocks, process, threads, give_up)
    if threads <= 1:
        queue.drain()
        return
    task = _HelpedTask(queue.help, threads - 1)
    try:
        task.start()
        queue.help()
        task.end()
    except BaseException as error:
        queue.fail(error)
        task.end()
        raise
    if queue.failures:
        del queue.failures[1:]
        raise queue.failures.pop()  # popped, or the exception would refer to itself and keep all pictures alive


class _Queue(Generic[Block]):
    """A queue of blocks in shares of neighbouring blocks, one for each thread; ``failures`` end it.

    Each operation on a share is atomic. Threads that took alternate blocks would write first to the same 2 MB page of
    a new array at the same time, and the system would clear the page for both.
    """

    def __init__(
        self, blocks: Sequence[Block], process: Callable[[Block], None], threads: int, give_up: Callable[[], None]
    ) -> None:
        self.failures: list[BaseException] = []
        self._process, self._give_up = process, give_up
        bounds = cut(len(blocks), -(-len(blocks) // threads)) if blocks else []
        self._shares = [deque(blocks[slice(*each)]) for each in bounds]
        self._unclaimed = deque(self._shares)

    def help(self) -> None:
        """Process blocks until the queue is empty; record failures for the other threads."""
        try:
            self.drain()
        except BaseException as error:
            self.fail(error)

    def fail(self, error: BaseException) -> None:
        """Record an exception, after which all threads end."""
        self.failures.append(error)
        self._give_up()

    def drain(self) -> None:
        """Process blocks until the queue is empty."""
        with np.errstate(over="ignore", invalid="ignore"):  # threads do not inherit NumPy's error state
            for block in self._blocks():
                self._process(block)

    def _blocks(self) -> Iterator[Block]:
        """Yield the blocks of unclaimed shares, in order, then the last blocks of other threads' shares."""
        with suppress(IndexError):
            while not self.failures:
                share = self._unclaimed.popleft()
                with suppress(IndexError):
                    while not self.failures:
                        yield share.popleft()
        for share in self._shares:
            with suppress(IndexError):
                while not self.failures:
                    yield share.pop()


# Helper threads ------------------------------------------------------------------


class _HelpedTask:
    """A task that helper threads run in parallel with this thread; helpers that wake after ``end`` do not run it.

    Parameters
    ----------
    task : callable
        Raises nothing.
    threads : int
    """

    def __init__(self, task: Callable[[], None], threads: int) -> None:
        self._waiting = [task] * threads
        self._running: list[threading.Lock] = []  # one for each helper, released when the helper has run the task

    def start(self) -> None:
        """Hand the task to idle helpers, or to new ones.

        Raises
        ------
        ConvfilterError
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
            self._running.append(busy)  # before the task is read: ``end`` waits for every helper that runs it
            with suppress(IndexError):
                task = self._waiting.pop()
                task()
                del task  # releases the pictures that it refers to
            _idle.append(helper)

    def end(self) -> None:
        """Prevent further starts and wait for running helpers; KeyboardInterrupt may arrive at any point."""
        self._waiting.clear()
        for busy in self._running:
            with busy:
                pass


class _Helper:
    """A helper thread, which waits for further tasks: starting a thread takes as long as computing a strip."""

    def __init__(self) -> None:
        self._has_task = threading.Lock()  # unlocked while a task is available
        self._has_task.acquire()
        self._task: _HelpedTask | None = None
        self._thread = threading.Thread(target=self._serve, daemon=True)
        start(self._thread)

    def give(self, task: _HelpedTask | None) -> None:
        """Hand over the next task; None ends the thread. The caller has removed the helper from the idle list."""
        self._task = task
        self._has_task.release()

    def join(self) -> None:
        self._thread.join()

    def _serve(self) -> None:
        while True:
            if not self._has_task.acquire(timeout=IDLE_SECONDS) and self._may_end():
                return
            task, self._task = self._task, None
            if task is None:
                return
            task.run(self)
            del task

    def _may_end(self) -> bool:
        """Whether no thread will give this helper another task; it is then off the idle list."""
        try:
            _idle.remove(self)
        except ValueError:  # another thread has just removed the helper to give it a task, unless Ctrl-C intervened
            return not self._has_task.acquire(timeout=IDLE_SECONDS)
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
