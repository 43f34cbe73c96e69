"""Stream rows with ignored pixels through the stages of a stack, some bands of each stage at a time.

Each stage pulls the rows that it reads from the stage before, and discards rows that no later band reads.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias

import numpy as np

from convfilter.engine.buffer import Samples
from convfilter.engine.rows import RowSource
from convfilter.executor.held import Held, Span, Valid

#: Largest number of bytes of a stage's bands, or of the rows that they read, that threads compute at a time; a single
#: band may have more.
MOST_BYTES = 2**24
#: Returns the mask of valid pixels of some rows, from the rows and the number of the first.
Judge: TypeAlias = Callable[[Samples, int], Valid]


class BandedStage(Protocol):
    """A stage whose result is computed band by band; see ``MaskedStage``."""

    shape: tuple[int, int, int]
    dtype: np.dtype[np.generic]
    bands: list[Span]
    band_bytes: int

    @property
    def streaming_obstacle(self) -> str:
        """Why the stage needs all rows of its source at once; "" if it does not."""

    def reach(self, span: Span) -> Span:
        """Return the rows of the source that some rows of the result read."""

    def run(self, held: Held, bands: Sequence[Span], out: Samples, valid: Valid, threads: int) -> int:
        """Compute neighbouring bands; return how many samples were clipped."""


class _Rows(Protocol):
    """Rows with a mask, read from the first to the last."""

    def held(self, first: int, last: int) -> Held:
        """Return rows ``first`` to ``last - 1``; no later call reads a row before ``first``."""


class _ArrayRows:
    """The rows of an array."""

    def __init__(self, pixels: Samples, valid: Valid) -> None:
        self._held = Held(0, pixels, valid)

    def held(self, first: int, last: int) -> Held:
        """Return all rows."""
        return self._held


class _Buffer:
    """Consecutive rows with their mask, in memory that is used again for later rows."""

    def __init__(self, shape: tuple[int, int, int], dtype: np.dtype[np.generic]) -> None:
        self._shape, self._dtype, self._start = shape, dtype, 0
        self._allocate(0)
        self.held = self._rows(0, 0)

    def reserve(self, rows: int) -> None:
        """Make room for ``rows`` rows, if none is held yet."""
        if not len(self.held.pixels) and rows > len(self._pixels):
            self._allocate(rows)

    def discard(self, first: int) -> None:
        """Discard the rows before row ``first``, or all rows held if it lies further down."""
        held = self.held
        dropped = min(max(0, first - held.first), len(held.pixels))
        self._start += dropped
        self.held = self._rows(held.first + dropped, len(held.pixels) - dropped)

    def extend(self, count: int) -> tuple[Samples, Valid]:
        """Hold ``count`` more rows; return them, to be written. Arrays of rows held before are no longer valid."""
        held_rows, first = len(self.held.pixels), self.held.first
        if self._start + held_rows + count > len(self._pixels):
            before, self._start = self.held, 0
            if held_rows + count > len(self._pixels):
                self._allocate(held_rows + count)
            self._pixels[:held_rows], self._valid[:held_rows] = before.pixels, before.valid
        self.held = self._rows(first, held_rows + count)
        return self.held.pixels[held_rows:], self.held.valid[held_rows:]

    def _allocate(self, rows: int) -> None:
        self._pixels = np.empty((rows, *self._shape[1:]), self._dtype)
        self._valid = np.empty((rows, self._shape[1]), bool)

    def _rows(self, first: int, count: int) -> Held:
        place = slice(self._start, self._start + count)
        return Held(first, self._pixels[place], self._valid[place])


class _StreamedRows:
    """The rows of a row source; rows that a later call reads stay in memory."""

    def __init__(self, source: RowSource, judge: Judge) -> None:
        self._source, self._judge = source, judge
        self._buffer = _Buffer(source.shape, source.dtype)

    def held(self, first: int, last: int) -> Held:
        """Read rows up to ``last - 1``, and discard those before ``first``."""
        self._buffer.discard(first)
        begin = self._buffer.held.first + len(self._buffer.held.pixels)
        if last > begin:
            pixels, valid = self._buffer.extend(last - begin)
            self._source.read(pixels)
            valid[:] = self._judge(pixels, begin)
        return self._buffer.held


class _Results:
    """The rows of a stage's result, computed some bands at a time."""

    def __init__(self, stage: BandedStage, source: _Rows, threads: int, at_once: int) -> None:
        self._stage, self._source, self._threads, self._at_once = stage, source, threads, at_once
        reaches = [stage.reach(band) for band in stage.bands]
        #: Of each band: the first row of the source that it or a later band reads (the last band, with wrap, reads the
        #: first rows), and the row after the last that it reads.
        self._firsts = np.minimum.accumulate([first for first, _ in reaches][::-1])[::-1].tolist()
        self._ends = [end for _, end in reaches]
        self._buffer, self._next, self.clipped = _Buffer(stage.shape, stage.dtype), 0, 0

    @property
    def rows(self) -> int:
        """Rows of the whole result."""
        return self._stage.shape[0]

    def all(self) -> Held:
        """Compute and return all rows."""
        return self.held(0, self.rows)

    def held(self, first: int, last: int) -> Held:
        """Compute bands up to row ``last - 1``, and discard rows before ``first``."""
        self._buffer.discard(first)
        self._buffer.reserve(last - first)
        while self._buffer.held.first + len(self._buffer.held.pixels) < last:
            self._extend()
        return self._buffer.held

    def following(self) -> Held:
        """Compute and return the next bands, and discard those before."""
        held = self._buffer.held
        self._buffer.discard(held.first + len(held.pixels))
        self._extend()
        return self._buffer.held

    def _extend(self) -> None:
        """Compute the next bands."""
        begin = self._next
        bands = self._stage.bands[begin : begin + self._at_once]
        self._next += len(bands)
        source = self._source.held(self._firsts[begin], max(self._ends[begin : self._next]))
        pixels, valid = self._buffer.extend(bands[-1][1] - bands[0][0])
        self.clipped += self._stage.run(source, bands, pixels, valid, self._threads)


def _chain(stages: Sequence[BandedStage], source: _Rows, threads: int) -> _Results:
    """Connect stages, each of which computes a band for each thread, or a single band of many samples."""
    for stage in stages:
        results = _Results(stage, source, threads, max(1, min(threads, MOST_BYTES // stage.band_bytes)))
        source = results
    return results


def run_banded_array(
    stages: Sequence[BandedStage], pixels: Samples, valid: Valid, threads: int
) -> tuple[Samples, Valid, int]:
    """Filter an array.

    Returns
    -------
    (rows, cols, channels) array, (rows, cols) array of bool, int
        The result, its valid pixels, and how many of its samples were clipped.
    """
    *before, last = stages
    source: _Rows = _ArrayRows(pixels, valid)
    if before:
        source = _chain(before, source, threads)
    results = _Results(last, source, threads, threads if before else len(last.bands))
    held = results.all()
    return held.pixels, held.valid, results.clipped


def run_banded_rows(
    stages: Sequence[BandedStage],
    source: RowSource | Samples,
    judge: Judge,
    write: Callable[[Samples, Valid], None],
    threads: int,
) -> int:
    """Filter the rows of a source, and pass those of the result to ``write``; return the number of clipped samples."""
    rows: _Rows = (
        _ArrayRows(source, judge(source, 0)) if isinstance(source, np.ndarray) else _StreamedRows(source, judge)
    )
    results, row = _chain(stages, rows, threads), 0
    while row < results.rows:
        held = results.following()
        write(held.pixels, held.valid)
        row += len(held.pixels)
    return results.clipped
