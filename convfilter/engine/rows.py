"""Row sources and row sinks, and the nodes that connect them to a plan: files and arrays differ only in these.

A row source has a shape and a sample type, and gives rows in order. A row sink takes rows in order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeGuard, TypeVar

import numpy as np

from convfilter.engine.borders import Indices
from convfilter.engine.buffer import LineBuffer, Samples
from convfilter.engine.node import BlockTask, Crew, Node, Rows, Spans

#: Samples of one read: they stay in a core's cache until the next node has read them.
_READ_SAMPLES = 2**18
#: Heights of blocks of whole units; see ``planning.groups``. Other nodes find the rows of a unit side by side.
_UNIT_ROWS = 8

End = TypeVar("End")


class RowSource(Protocol):
    """Gives the rows of a picture, from the first to the last.

    Attributes
    ----------
    shape : (rows, cols, channels)
    dtype : dtype
    """

    shape: tuple[int, int, int]
    dtype: np.dtype[np.generic]

    def read(self, out: Samples) -> None:
        """Write the next rows into ``out``, a (some rows, cols, channels) array."""

    def restart(self) -> None:
        """Begin again with the first row."""


class RowSink(Protocol):
    """Takes the rows of a result, from the first to the last.

    Attributes
    ----------
    dtype : dtype
    """

    dtype: np.dtype[np.generic]

    def write(self, rows: Samples) -> None:
        """Take the next rows, a (some rows, cols, channels) array that is overwritten afterwards."""

    def restart(self) -> None:
        """Drop all rows so far, and begin again."""


class BandSink(RowSink, Protocol):
    """A row sink that threads may write to side by side, each from the top of its band down."""

    def write_at(self, top: int, rows: Samples) -> None:
        """Take rows from row ``top`` on, a (some rows, cols, channels) array that is overwritten afterwards."""


def is_band_sink(sink: RowSink | Samples) -> TypeGuard[BandSink]:
    """Whether a sink is a ``BandSink``."""
    return hasattr(sink, "write_at")


def array_of(source: RowSource | Samples) -> Samples:
    """Return all rows of a source as one array."""
    if isinstance(source, np.ndarray):
        return source
    pixels = np.empty(source.shape, source.dtype)
    source.read(pixels)
    return pixels


class Connection(Generic[End]):
    """Holds a row source or sink during one run."""

    def __init__(self, end: End) -> None:
        self.put(end)

    def put(self, end: End) -> None:
        """Attach the source or sink."""
        self.end = end

    def clear(self) -> None:
        """Detach the source or sink."""
        del self.end


class FromRows(Node):
    """The first node of a group that reads from a row source: fills a line buffer.

    Parameters
    ----------
    source : Connection
    shape : (rows, cols, channels)
    dtype : dtype
    """

    reads = ()
    in_order = True

    def __init__(self, source: Connection[RowSource], shape: tuple[int, int, int], dtype: np.dtype[np.generic]) -> None:
        self._source = source
        self.rows, self.row_shape, self.dtype = shape[0], shape[1:], dtype
        self.block_rows = _UNIT_ROWS
        rows = _READ_SAMPLES // (shape[1] * shape[2])
        if rows >= _UNIT_ROWS:
            self.block_rows *= max(1, min(rows, shape[0]) // _UNIT_ROWS)
        while self.block_rows > max(1, rows):  # wide rows take much memory: read a part of a unit at a time
            self.block_rows //= 2
        self.contiguous_rows = max(self.block_rows, _UNIT_ROWS)

    def demand(self, top: int, bottom: int, number: int = 0) -> Indices:
        """Return an empty array: the node has no input."""
        return np.empty(0, np.int64)

    def crew(self, sources: Sequence[LineBuffer], target: LineBuffer, threads: int) -> Crew:
        """Return a crew that reads rows in order."""
        return _InOrder(lambda rows: self._source.end.read(target.rows(*rows)))


class ToRows(Node):
    """The last node of a group that writes to a row sink.

    Parameters
    ----------
    sink : Connection
    before : Node
        The node whose result is written.
    takes_bands : bool
        Whether the sink is a ``BandSink``.
    """

    in_order = True

    def __init__(self, sink: Connection[RowSink], before: Node, takes_bands: bool = False) -> None:
        self._sink, self.takes_bands = sink, takes_bands
        self.rows, self.row_shape, self.dtype, self.block_rows = (
            before.rows,
            before.row_shape,
            before.dtype,
            before.block_rows,
        )

    def demand(self, top: int, bottom: int, number: int = 0) -> Indices:
        """Return the same rows."""
        return np.arange(top, bottom)

    def spans(self, number: int = 0) -> Spans:
        """Return the same rows."""
        tops, bottoms = self.block_ends()
        return np.append(tops, self.rows), np.append(0, bottoms)

    def crew(self, sources: Sequence[LineBuffer], target: LineBuffer, threads: int) -> Crew:
        """Return a crew that writes rows in order, those of a band if bands are computed side by side."""
        (source,) = sources

        def write(rows: Rows) -> None:
            sink, samples = self._sink.end, source.rows(*rows)
            if self.in_order:
                sink.write(samples)
            else:
                assert is_band_sink(sink)
                sink.write_at(rows[0], samples)

        return _InOrder(write)


class _InOrder:
    """A crew that computes blocks in order, in one task."""

    clipped = 0

    def __init__(self, compute: Callable[[Rows], None]) -> None:
        self._compute = compute

    def begin(self) -> None:
        """Do nothing: the crew has no state."""

    def tasks(self, blocks: Sequence[Rows]) -> list[BlockTask]:
        """Return one task for all blocks."""
        return [(self._each, blocks)]

    def _each(self, blocks: Sequence[Rows]) -> None:
        for rows in blocks:
            self._compute(rows)

    def held_bytes(self) -> int:
        """Return 0: line buffers are counted separately."""
        return 0
