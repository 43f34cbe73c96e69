"""The picture cut into row blocks, which threads take one after the other."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Generic, TypeAlias, TypeVar

import numpy as np

Block = TypeVar("Block")
#: Makes, in the thread that asks, what processes a block.
MakeWorker: TypeAlias = Callable[[], Callable[[Block], None]]

#: Seconds that a thread waits for more to do before it ends.
_PATIENCE = 0.3


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
    threads = min(threads, len(blocks))
    queue = _Queue(blocks, make_worker)
    if threads <= 1:
        queue.work_off()
        return
    beside = _Beside(queue.help, threads - 1)
    try:
        beside.start()
        queue.help()
        beside.end()
    except BaseException as error:
        queue.failures.append(error)
        beside.end()
        raise
    if queue.failures:
        del queue.failures[1:]
        raise queue.failures.pop()  # which would hold itself, and with it all pictures


class _Queue(Generic[Block]):
    """Blocks in their order, for threads to take; ``failures`` end it. Each step by itself is atomic."""

    def __init__(self, blocks: Sequence[Block], make_worker: MakeWorker[Block]) -> None:
        self.failures: list[BaseException] = []
        self._waiting, self._make_worker = deque(blocks), make_worker

    def help(self) -> None:
        """Process blocks as long as there are any; other threads hear of what goes wrong."""
        try:
            self.work_off()
        except BaseException as error:
            self.failures.append(error)

    def work_off(self) -> None:
        """Process blocks, one after the other."""
        worker: Callable[[Block], None] | None = None
        with _silent():  # a thread does not inherit it
            while not self.failures:
                try:
                    block = self._waiting.popleft()
                except IndexError:
                    return
                worker = worker or self._make_worker()
                worker(block)


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
