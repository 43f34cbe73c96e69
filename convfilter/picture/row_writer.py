"""Base of the writers of rows: several threads encode blocks of rows, which are written in order."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np

from convfilter.machine.cores import cores_lately
from convfilter.picture.band_memory import BandMemory
from convfilter.picture.parallel import Crew
from convfilter.picture.pixels import Pixels
from convfilter.record import NamedTuple


class Block(NamedTuple):
    """Rows of a picture, a (rows, W, C) array; the first ``above`` of them lie above ``top``, the block's first row."""

    top: int
    rows: Pixels
    above: int


class _Filling:
    """A block that lacks the last ``missing`` of its rows, which come in any order, and the memory of its rows."""

    def __init__(self, block: Block, memory: Pixels, missing: int) -> None:
        self.block, self.memory, self.missing = block, memory, missing


class RowWriter(ABC):
    """Sink of rows that encodes them to a file; a context manager that ends its threads.

    Subclasses define how data before the samples, blocks, and data after the samples are written.

    Parameters
    ----------
    file : BinaryIO
        Written from its position on.
    shape : (H, W, C)
        Shape of the encoded picture.
    dtype : dtype
        Type of the incoming rows.
    threads : int, optional
        Number of threads; None: one for each core. The bytes of the file do not depend on it.
    prepare : callable, optional
        Converts incoming rows, pixel by pixel, to the rows that :meth:`encode` gets.

    Attributes
    ----------
    block_rows : int
        Rows of a block, which must depend on nothing but the picture.
    rows_above : int
        Number of rows above a block that its encoding needs.
    keeps_rows : bool
        Whether an encoded block may refer to the memory of its rows.
    """

    block_rows: int
    rows_above = 0
    keeps_rows = False

    def __init__(
        self,
        file: BinaryIO,
        shape: tuple[int, int, int],
        dtype: np.dtype[np.generic],
        *,
        threads: int | None = None,
        prepare: Callable[[Pixels], Pixels] | None = None,
    ) -> None:
        self.file, self.shape, self.dtype = file, shape, dtype
        self._prepare = prepare
        self._start = file.tell() if file.seekable() else 0
        self._threads = threads or cores_lately()
        self._crew: Crew[tuple[Block, Pixels | None], tuple[Any, Pixels | None]] | None = None
        self._memory: BandMemory | None = None
        self._next_row = 0
        self._filling: dict[int, _Filling] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> RowWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._crew is not None:
            self._crew.stop()
        # Break the reference cycle of crew and writer, which would hold file and rows until garbage collection.
        self._crew = self._memory = None
        self._filling.clear()

    @abstractmethod
    def begin(self) -> None:
        """Write the data before the samples."""

    @abstractmethod
    def encode(self, block: Block) -> Any:
        """Return an encoded block, for :meth:`emit`; called in any thread."""

    @abstractmethod
    def emit(self, piece: Any) -> None:
        """Write an encoded block; called in the order of the blocks."""

    @abstractmethod
    def end(self) -> None:
        """Write the data after the samples."""

    def write(self, rows: Pixels) -> None:
        """Write the next rows, a (some rows, W, C) array, which the caller may overwrite afterwards."""
        for _, block, memory in self._completed(self._next_row, rows):
            self._put(block, memory)
        self._next_row += len(rows)

    def write_at(self, top: int, rows: Pixels) -> None:
        """Write rows from row ``top`` on; several threads may do so, each from the top of its band of rows down.

        A thread encodes the blocks that it completes. They wait in memory until all blocks above them are written.
        """
        for number, block, memory in self._completed(top, rows):
            self._get_crew().process(number, (block, memory))

    def write_all(self, pixels: Pixels) -> None:
        """Write all rows, (H, W) or (H, W, C), which must not change before :meth:`finish` returns."""
        pixels = pixels.reshape(*pixels.shape[:2], -1)
        for top in range(0, len(pixels), self.block_rows):
            above = min(self.rows_above, top)
            self._put(Block(top, pixels[top - above : top + self.block_rows], above))

    def restart(self) -> None:
        """Discard all rows so far, and begin again with the first one; the file must be seekable."""
        if self._crew is not None:
            self._crew.stop()
            self.file.seek(self._start)
            self.file.truncate()
        self._crew, self._next_row = None, 0
        self._filling.clear()

    def finish(self) -> None:
        """Wait until all blocks are written, and write the data after the samples."""
        self._get_crew().drain()
        self.end()

    def _completed(self, top: int, rows: Pixels) -> Iterator[tuple[int, Block, Pixels]]:
        """Copy rows into the blocks that need them; yield each block that they complete: number, block and memory."""
        bottom = top + len(rows)
        last = min(bottom - 1 + self.rows_above, self.shape[0] - 1)
        for number in range(top // self.block_rows, last // self.block_rows + 1):
            filling = self._filling_of(number, rows.shape[1:])
            block, first = filling.block, filling.block.top - filling.block.above
            begin, end = max(top, first), min(bottom, first + len(block.rows))
            block.rows[begin - first : end - first] = rows[begin - top : end - top]
            with self._lock:
                filling.missing -= end - begin
                is_complete = not filling.missing
                if is_complete:
                    del self._filling[number]
            if is_complete:
                yield number, block, filling.memory

    def _filling_of(self, number: int, line: tuple[int, ...]) -> _Filling:
        """Return a block that gets rows; ``line`` is the shape of a row."""
        with self._lock:
            if number not in self._filling:
                top = number * self.block_rows
                above = min(self.rows_above, top)
                if self._memory is None:
                    most = min(self.rows_above + self.block_rows, self.shape[0])
                    self._memory = BandMemory((most, *line), self.dtype)
                memory = self._memory.take()
                rows = memory[: above + min(self.block_rows, self.shape[0] - top)]
                self._filling[number] = _Filling(Block(top, rows, above), memory, len(rows))
            return self._filling[number]

    def _put(self, block: Block, memory: Pixels | None = None) -> None:
        """Queue the next block for encoding, after which ``memory``, if given, holds later blocks."""
        self._get_crew().put((block, memory))

    def _get_crew(self) -> Crew[tuple[Block, Pixels | None], tuple[Any, Pixels | None]]:
        with self._lock:
            if self._crew is None:
                threads = self._threads if self.shape[0] > self.block_rows else 1
                self._crew = Crew(self._encode, self._emit, threads)
                self.begin()
            return self._crew

    def _encode(self, item: tuple[Block, Pixels | None]) -> tuple[Any, Pixels | None]:
        block, memory = item
        if self._prepare is not None:
            rows = self._prepare(block.rows)
            block = block._replace(rows=rows.reshape(len(rows), *self.shape[1:]))
        piece = self.encode(block)
        if not self.keeps_rows:
            self._give_back(memory)
            memory = None
        return piece, memory

    def _emit(self, item: tuple[Any, Pixels | None]) -> None:
        piece, memory = item
        self.emit(piece)
        self._give_back(memory)

    def _give_back(self, memory: Pixels | None) -> None:
        """Use the memory of a block again for a later one."""
        if memory is not None and self._memory is not None:
            self._memory.give_back(memory)
