"""Threads that help the caller's, and then wait a while for more to do: to start one takes as long as a strip."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

#: Seconds that a thread waits for more to do before it ends.
_PATIENCE = 0.3


class Beside:
    """What several threads do beside this one, as far as they come to it before it ends here.

    Parameters
    ----------
    task : callable
        Raises nothing.
    threads : int
    """

    def __init__(self, task: Callable[[], None], threads: int) -> None:
        self._waiting = [task] * threads
        self._running = 0
        self._changed = threading.Condition()

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
        with self._changed:
            task = self._waiting.pop() if self._waiting else None
            self._running += task is not None
        if task is None:
            _idle.append(helper)
            return
        task()
        del task  # and what it holds
        _idle.append(helper)
        with self._changed:
            self._running -= 1
            self._changed.notify()

    def end(self) -> None:
        """Let nobody begin any more, and wait for those who have."""
        with self._changed:
            self._waiting.clear()
            while self._running:
                self._changed.wait()


class _Helper:
    def __init__(self) -> None:
        self._given = threading.Lock()  # free while there is something to do
        self._given.acquire()
        self._beside: Beside | None = None
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def give(self, beside: Beside | None) -> None:
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
