"""Base of the writers of rows: several threads encode blocks of rows, which are written in order."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np

from convfilter.machine.cores import available_cores
from convfilter.picture.band_memory import BandMemory
from convfilter.picture.parallel import Crew
from convfilter.picture.pixels import Pixels
from convfilter.record import NamedTuple


class Block(NamedTuple):
    """Rows of a picture, a (rows, W, C) array; the first ``above`` of them lie above ``top``, the block's first row."""

    top: int
    rows: Pixels
    above: int


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
    """

    block_rows: int
    rows_above = 0

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
        self._threads = threads or available_cores()
        self._crew: Crew[tuple[Block, Pixels | None], tuple[Any, Pixels | None]] | None = None
        self._block: Pixels | None = None
        self._memory: BandMemory | None = None
        self._top = self._filled = 0

    def __enter__(self) -> RowWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._crew is not None:
            self._crew.stop()
        # Break the reference cycle of crew and writer, which would hold file and rows until garbage collection.
        self._crew = self._block = self._memory = None

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
        done = 0
        while done < len(rows):
            if self._block is None:
                self._new_block(rows.shape[1:])
            assert self._block is not None
            count = min(len(rows) - done, len(self._block) - self._filled)
            self._block[self._filled : self._filled + count] = rows[done : done + count]
            done, self._filled = done + count, self._filled + count
            if self._filled == len(self._block):
                self._put(self._block, self._block.base)

    def write_all(self, pixels: Pixels) -> None:
        """Write all rows, (H, W) or (H, W, C), which must not change before :meth:`finish` returns."""
        pixels = pixels.reshape(*pixels.shape[:2], -1)
        for top in range(0, len(pixels), self.block_rows):
            self._top = top
            self._put(pixels[top - self._above : top + self.block_rows])

    def restart(self) -> None:
        """Discard all rows so far, and begin again with the first one; the file must be seekable."""
        if self._crew is not None:
            self._crew.drain()
            self.file.seek(self._start)
            self.file.truncate()
            self._crew.stop()
        self._crew, self._block, self._top, self._filled = None, None, 0, 0

    def finish(self) -> None:
        """Wait until all blocks are written, and write the data after the samples."""
        self._get_crew().drain()
        self.end()

    @property
    def _above(self) -> int:
        return min(self.rows_above, self._top)

    def _new_block(self, line: tuple[int, ...]) -> None:
        """Begin a block with the rows above it; ``line`` is the shape of a row."""
        above, before = self._above, self._last_rows
        if self._memory is None:
            self._memory = BandMemory((min(self.rows_above + self.block_rows, self.shape[0]), *line), self.dtype)
        block = self._memory.take()[: above + min(self.block_rows, self.shape[0] - self._top)]
        if above and before is not None:
            block[:above] = before[len(before) - above :]
        self._block, self._filled = block, above

    #: The last rows of the block before, ``rows_above`` of them.
    _last_rows: Pixels | None = None

    def _put(self, rows: Pixels, memory: Pixels | None = None) -> None:
        """Queue a block for encoding, after which ``memory``, if given, holds later blocks."""
        above = self._above
        last_rows = rows[-self.rows_above :].copy() if self.rows_above else None
        self._get_crew().put((Block(self._top, rows, above), memory))
        self._top += len(rows) - above
        self._last_rows, self._block = last_rows, None

    def _get_crew(self) -> Crew[tuple[Block, Pixels | None], tuple[Any, Pixels | None]]:
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
        return self.encode(block), memory

    def _emit(self, item: tuple[Any, Pixels | None]) -> None:
        piece, memory = item
        self.emit(piece)
        if memory is not None and self._memory is not None:
            self._memory.give_back(memory)
