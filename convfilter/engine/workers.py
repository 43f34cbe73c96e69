"""Crews of workers: Python functions that compute blocks of rows, each in its own scratch memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Protocol

from convfilter.engine.buffer import Samples, Scratch
from convfilter.engine.epilogue import Epilogue
from convfilter.engine.mapped_stage import Region
from convfilter.engine.node import Rows, Task


class Worker(Protocol):
    """Computes blocks of rows in its own scratch memory."""

    def __call__(self, rows: Rows) -> int:
        """Compute and store a block; returns how many samples were clipped."""


class Workers:
    """A crew of interchangeable workers; one is made when all others are busy.

    Parameters
    ----------
    make : callable
        Makes a worker.
    memory : int
        Bytes of one worker.
    """

    def __init__(self, make: Callable[[], Worker], memory: int) -> None:
        self._make, self._bytes = make, memory
        self._idle: list[Worker] = []
        self._made = 0
        self._clipped: list[int] = []

    def begin(self) -> None:
        """Begin with another picture."""
        self._clipped.clear()

    def tasks(self, blocks: Sequence[Rows]) -> list[Task]:
        """Return one task for each block."""
        return [(self._compute, rows) for rows in blocks]

    def _compute(self, rows: Rows) -> None:
        worker = None
        with suppress(IndexError):
            worker = self._idle.pop()
        if worker is None:
            worker = self._make()
            self._made += 1
        self._clipped.append(worker(rows))
        self._idle.append(worker)

    @property
    def clipped(self) -> int:
        """How many samples were clipped."""
        return sum(self._clipped)

    def held_bytes(self) -> int:
        """Return how much memory the workers hold."""
        return self._made * self._bytes


class TileWorker:
    """Computes a block in regions of sums; each is stored before the next.

    Parameters
    ----------
    sums : callable
        Given first and last-plus-one row, yields (region, sums, pitch).
    """

    def __init__(self, sums: Callable[[int, int], Iterable[tuple[Region, Samples, int]]], epilogue: Epilogue,
                 scratch: Scratch) -> None:  # fmt: skip
        self._sums, self._epilogue, self._scratch = sums, epilogue, scratch

    def __call__(self, rows: Rows) -> int:
        """Compute and store a block; returns how many samples were clipped."""
        clipped = 0
        for region, sums, pitch in self._sums(*rows):
            clipped += self._store(region, sums, pitch)
        return clipped

    def _store(self, region: Region, sums: Samples, pitch: int) -> int:
        return sum(call() for call in self._epilogue.calls(self._scratch, region, sums, pitch))
