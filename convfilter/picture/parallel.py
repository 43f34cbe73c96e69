"""Ordered work on plain threads: importing concurrent.futures would take 10 ms of every start.

:func:`in_order` maps a sequence, :class:`Crew` maps items that arrive one by one, and :func:`ahead` and :class:`Ahead`
run an iterator in another thread. All keep the order of the items and limit the number of buffered results.
"""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Generic, TypeVar

from convfilter.locks import start
from convfilter.machine.cores import available_cores

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_order(work: Callable[[Item], Result], items: Sequence[Item], threads: int | None = None) -> Iterator[Result]:
    """Apply ``work`` to each item, several at a time, and yield the results in the order of the items.

    Parameters
    ----------
    work : callable
        Runs in parallel only while it releases the GIL.
    items : sequence
    threads : int, optional
        Number of threads; None: one for each core. At most twice as many results are buffered.

    Yields
    ------
    object
        Results of ``work``. Its exceptions are raised here, in the order of the items.
    """
    count = min(threads or available_cores(), len(items))
    if count <= 1:
        for item in items:
            yield work(item)
        return
    pool = _Pool(work, items, 2 * count)
    workers: list[threading.Thread] = []
    try:
        for _ in range(count):
            worker = threading.Thread(target=pool.run, daemon=True)
            start(worker)
            workers.append(worker)
        for index in range(len(items)):
            yield pool.take(index)
    finally:
        pool.stop()
        _join(workers)


def _join(threads: list[threading.Thread]) -> None:
    """Join threads, except after Ctrl-C, whose exit a long call in one of them would delay."""
    if not isinstance(sys.exc_info()[1], (KeyboardInterrupt, SystemExit)):
        for thread in threads:
            thread.join()


class Ahead(Generic[Item]):
    """Iterator whose items another thread produces ahead of the consumer.

    Parameters
    ----------
    items : iterator
        Runs in parallel with the consumer only while it releases the GIL.
    most : int
        Largest number of items in the buffer.
    """

    def __init__(self, items: Iterator[Item], most: int = 2) -> None:
        self._items, self._most = items, most
        self._ready: deque[Item] = deque()
        self._failures: list[BaseException] = []
        self._ended = self._stopped = False
        self._changed = threading.Condition()
        self._producer = threading.Thread(target=self._produce, daemon=True)
        start(self._producer)

    def __iter__(self) -> Ahead[Item]:
        return self

    def __next__(self) -> Item:
        """Return the next item, or raise the iterator's exception."""
        with self._changed:
            while not self._ready and not self._ended:
                self._changed.wait()
            if self._ready:
                item = self._ready.popleft()
                self._changed.notify_all()
                return item
        if self._failures:
            raise self._failures.pop()
        raise StopIteration

    def stop(self) -> None:
        """Stop producing, and join the thread, except after Ctrl-C."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        _join([self._producer])

    def _produce(self) -> None:
        try:
            for item in self._items:
                with self._changed:
                    self._ready.append(item)
                    self._changed.notify_all()
                    while len(self._ready) >= self._most and not self._stopped:
                        self._changed.wait()
                    if self._stopped:
                        break
        except BaseException as error:  # raised again in the consumer
            self._failures.append(error)
        with self._changed:
            self._ended = True
            self._changed.notify_all()


def ahead(items: Iterator[Item]) -> Iterator[Item]:
    """Produce items in another thread, up to two ahead of the consumer; see :class:`Ahead`."""
    produced = Ahead(items)
    try:
        yield from produced
    finally:
        produced.stop()


class Crew(Generic[Item, Result]):
    """Threads that process items as they arrive, and emit the results in the order of the items.

    Parameters
    ----------
    work : callable
        Runs in parallel only while it releases the GIL.
    emit : callable
        Called with one result after the other, in any of the threads but never in two at once.
    threads : int
        Number of threads; for 1, the thread that calls :meth:`put` does all the work.
    """

    def __init__(self, work: Callable[[Item], Result], emit: Callable[[Result], None], threads: int) -> None:
        self._work, self._emit, self._threads = work, emit, threads
        self._waiting: deque[tuple[int, Item]] = deque()
        self._results: dict[int, Result] = {}
        self._failures: list[BaseException] = []
        self._put = self._emitted = self._idle = 0
        self._emitting = self._ended = False
        self._workers: list[threading.Thread] = []
        self._changed = threading.Condition()

    def put(self, item: Item) -> None:
        """Add an item; waits while too many are pending (backpressure), and raises exceptions of earlier ones."""
        if self._threads == 1:
            self._emit(self._work(item))
            return
        with self._changed:
            while self._put - self._emitted >= 2 * self._threads and not self._failures:
                self._changed.wait()
            self._raise()
            self._waiting.append((self._put, item))
            self._put += 1
            self._changed.notify_all()
            needs_worker = len(self._waiting) > self._idle and len(self._workers) < self._threads
        if needs_worker:
            worker = threading.Thread(target=self._serve, daemon=True)
            start(worker)
            self._workers.append(worker)

    def process(self, number: int, item: Item) -> None:
        """Process an item in this thread; ``number`` is its place in the order. Each item comes here, or to ``put``."""
        with self._changed:
            self._put += 1
        self._emit_in_order(number, self._work(item))

    def drain(self) -> None:
        """Wait until all results are emitted; raises the exception of an item that failed."""
        with self._changed:
            while self._emitted < self._put and not self._failures:
                self._changed.wait()
            self._raise()

    def stop(self) -> None:
        """Accept no more items, and join the threads, except after Ctrl-C."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()
        _join(self._workers)

    def _raise(self) -> None:
        if self._failures:
            raise self._failures[0]

    def _serve(self) -> None:
        while True:
            with self._changed:
                self._idle += 1
                while not self._waiting and not self._ended:
                    self._changed.wait()
                self._idle -= 1
                if self._ended:
                    return
                number, item = self._waiting.popleft()
            try:
                result = self._work(item)
                del item
                self._emit_in_order(number, result)
                del result
            except BaseException as error:  # raised again by ``put`` and ``drain``
                with self._changed:
                    self._failures.append(error)
                    self._ended = True
                    self._changed.notify_all()
                return

    def _emit_in_order(self, number: int, result: Result) -> None:
        """Store a result, and emit the results whose turn it is, unless another thread is doing so."""
        with self._changed:
            self._results[number] = result
            if self._emitting:
                return
            self._emitting = True
        while True:
            with self._changed:
                if self._emitted not in self._results:
                    self._emitting = False
                    return
                result = self._results.pop(self._emitted)
            self._emit(result)
            with self._changed:
                self._emitted += 1
                self._changed.notify_all()


class _Pool(Generic[Item, Result]):
    """The items of :func:`in_order`, and their results until they are taken in order."""

    def __init__(self, work: Callable[[Item], Result], items: Sequence[Item], ahead: int) -> None:
        self._work = work
        self._items = items
        self._ahead = ahead
        self._results: dict[int, tuple[Result | None, BaseException | None]] = {}
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
                self._results[index] = outcome
                self._changed.notify_all()

    def take(self, index: int) -> Result:
        with self._changed:
            while index not in self._results:
                self._changed.wait()
            result, error = self._results.pop(index)
            self._taken += 1
            self._changed.notify_all()
        if error is not None:
            raise error
        return result  # type: ignore[return-value]

    def stop(self) -> None:
        with self._changed:
            self._next = len(self._items)
            self._changed.notify_all()
