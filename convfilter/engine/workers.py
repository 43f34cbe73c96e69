"""Crews of workers, which are functions that compute blocks of rows in scratch memory of their own; crews of crews."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Protocol

from convfilter.engine.buffer import Samples, Scratch
from convfilter.engine.epilogue import Epilogue
from convfilter.engine.mapped_stage import Region
from convfilter.engine.node import BlockTask, Crew, Rows
from convfilter.engine.threads import cut


class Worker(Protocol):
    """Computes blocks of rows in its own scratch memory."""

    def __call__(self, rows: Rows) -> int:
        """Compute and store a block; return the number of clipped samples."""


class Workers:
    """A crew of interchangeable workers; a new worker is made when all others are busy.

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
        self._count = 0
        self._clipped: list[int] = []

    def begin(self) -> None:
        """Begin with another picture."""
        self._clipped.clear()

    def tasks(self, blocks: Sequence[Rows]) -> list[BlockTask]:
        """Return one task for each block."""
        return [(self._compute, rows) for rows in blocks]

    def _compute(self, rows: Rows) -> None:
        worker = None
        with suppress(IndexError):
            worker = self._idle.pop()
        if worker is None:
            worker = self._make()
            self._count += 1
        self._clipped.append(worker(rows))
        self._idle.append(worker)

    @property
    def clipped(self) -> int:
        """Number of clipped samples."""
        return sum(self._clipped)

    def held_bytes(self) -> int:
        """Return the bytes of all workers."""
        return self._count * self._bytes


class CrewsSideBySide:
    """Crews of one node: each computes a share of neighbouring blocks, in memory of its own."""

    def __init__(self, crews: Sequence[Crew]) -> None:
        self._crews = crews

    def begin(self) -> None:
        """Begin with another picture."""
        for crew in self._crews:
            crew.begin()

    def tasks(self, blocks: Sequence[Rows]) -> list[BlockTask]:
        """Return the tasks of each crew for its share."""
        shares = cut(len(blocks), -(-len(blocks) // len(self._crews)))
        return [
            task
            for crew, (first, last) in zip(self._crews, shares, strict=False)
            for task in crew.tasks(blocks[first:last])
        ]

    @property
    def clipped(self) -> int:
        """Number of clipped samples."""
        return sum([crew.clipped for crew in self._crews])

    def held_bytes(self) -> int:
        """Return the bytes of all crews."""
        return sum([crew.held_bytes() for crew in self._crews])


class TileWorker:
    """Computes a block region by region, and stores the sums of each before the next.

    Parameters
    ----------
    sums : callable
        Given the first and the last-plus-one row, yields (region, sums, pitch) of each region.
    """

    def __init__(self, sums: Callable[[int, int], Iterable[tuple[Region, Samples, int]]], epilogue: Epilogue,
                 scratch: Scratch) -> None:  # fmt: skip
        self._sums, self._epilogue, self._scratch = sums, epilogue, scratch

    def __call__(self, rows: Rows) -> int:
        """Compute and store a block; return the number of clipped samples."""
        clipped = 0
        for region, sums, pitch in self._sums(*rows):
            clipped += self._store(region, sums, pitch)
        return clipped

    def _store(self, region: Region, sums: Samples, pitch: int) -> int:
        return sum(call() for call in self._epilogue.calls(self._scratch, region, sums, pitch))
