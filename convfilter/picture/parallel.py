"""Work spread over threads with the results in order; plain threads, since concurrent.futures takes long to import."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Generic, TypeVar

from convfilter.engine.bands import available_cores

#: Items that wait to be taken from another thread: one to take, one being made.
_AHEAD = 2

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_order(work: Callable[[Item], Result], items: Sequence[Item], threads: int | None = None) -> Iterator[Result]:
    """Do ``work`` on each item, several at a time, and yield the results in the order of the items.

    Parameters
    ----------
    work : callable
        Gains from threads only as far as it lets go of the GIL.
    items : sequence
    threads : int, optional
        None: one for each core. At most twice as many results wait to be taken.

    Yields
    ------
    object
        What ``work`` returned. What it raised is raised here, in its turn.
    """
    count = min(threads or available_cores(), len(items))
    if count <= 1:
        for item in items:
            yield work(item)
        return
    pool = _Pool(work, items, 2 * count)
    workers = [threading.Thread(target=pool.run, daemon=True) for _ in range(count)]
    for worker in workers:
        worker.start()
    try:
        for index in range(len(items)):
            yield pool.take(index)
    finally:
        pool.stop()
        _join(workers)


def _join(threads: list[threading.Thread]) -> None:
    """Wait for threads to end; not after Ctrl-C, which a long call in one of them would keep waiting."""
    if not isinstance(sys.exc_info()[1], (KeyboardInterrupt, SystemExit)):
        for thread in threads:
            thread.join()


def ahead(items: Iterator[Item]) -> Iterator[Item]:
    """Have another thread produce the items, up to two ahead of the one that takes them.

    Parameters
    ----------
    items : iterator
        Gains from a thread only as far as it lets go of the GIL.

    Yields
    ------
    object
        The items in their order. What the iterator raises is raised here.
    """
    ready: list[Item] = []
    state = {"ended": False, "stopped": False}
    failures: list[BaseException] = []
    changed = threading.Condition()

    def produce() -> None:
        try:
            for item in items:
                with changed:
                    ready.append(item)
                    changed.notify_all()
                    while len(ready) >= _AHEAD and not state["stopped"]:
                        changed.wait()
                    if state["stopped"]:
                        break
        except BaseException as error:  # raised again by the thread that takes the items
            failures.append(error)
        with changed:
            state["ended"] = True
            changed.notify_all()

    producer = threading.Thread(target=produce, daemon=True)
    producer.start()
    try:
        while True:
            with changed:
                while not ready and not state["ended"]:
                    changed.wait()
                if not ready:
                    break
                item = ready.pop(0)
                changed.notify_all()
            yield item
        if failures:
            raise failures[0]
    finally:
        with changed:
            state["stopped"] = True
            changed.notify_all()
        _join([producer])


class _Pool(Generic[Item, Result]):
    """Items handed out in order, results kept until they are taken."""

    def __init__(self, work: Callable[[Item], Result], items: Sequence[Item], ahead: int) -> None:
        self._work = work
        self._items = items
        self._ahead = ahead
        self._done: dict[int, tuple[Result | None, BaseException | None]] = {}
        self._next = 0
        self._taken = 0
        self._changed = threading.Condition()

    def run(self) -> None:
        while True:
            with self._changed:
                while self._next - self._taken >= self._ahead and self._next < len(self._items):
                    self._changed.wait()
                index = self._next
                if index >= len(self._items):
                    return
                self._next += 1
            outcome: tuple[Result | None, BaseException | None]
            try:
                outcome = (self._work(self._items[index]), None)
            except BaseException as error:  # raised again by the thread that takes the result
                outcome = (None, error)
            with self._changed:
                self._done[index] = outcome
                self._changed.notify_all()

    def take(self, index: int) -> Result:
        with self._changed:
            while index not in self._done:
                self._changed.wait()
            result, error = self._done.pop(index)
            self._taken += 1
            self._changed.notify_all()
        if error is not None:
            raise error
        return result  # type: ignore[return-value]

    def stop(self) -> None:
        with self._changed:
            self._next = len(self._items)
            self._changed.notify_all()
