"""Stream rows with ignored pixels through the stages of a stack, some bands of each stage at a time.

Each stage pulls the rows that it reads from the stage before, and discards rows that no later band reads.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias

import numpy as np

from convfilter.engine.buffer import Samples
from convfilter.engine.rows import RowSource
from convfilter.executor.held import Held, Valid
from convfilter.executor.masked_stage import MaskedStage

#: Returns the mask of valid pixels of some rows, from the rows and the number of the first.
Judge: TypeAlias = Callable[[Samples, int], Valid]


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


class _StreamedRows:
    """The rows of a row source; rows that a later call reads stay in memory."""

    def __init__(self, source: RowSource, judge: Judge) -> None:
        self._source, self._judge = source, judge
        self._held = Held(0, *_allocated(0, source.shape, source.dtype))

    def held(self, first: int, last: int) -> Held:
        """Read rows up to ``last - 1``, and discard those before ``first``."""
        held = _from_row(self._held, first)
        begin = held.first + len(held.pixels)
        if last > begin:
            pixels, valid = _allocated(last - held.first, self._source.shape, self._source.dtype)
            fresh = begin - held.first
            pixels[:fresh], valid[:fresh] = held.pixels, held.valid
            self._source.read(pixels[fresh:])
            valid[fresh:] = self._judge(pixels[fresh:], begin)
            held = Held(held.first, pixels, valid)
        self._held = held
        return held


class _Results:
    """The rows of a stage's result, computed some bands at a time."""

    def __init__(self, stage: MaskedStage, source: _Rows, threads: int, at_once: int) -> None:
        self._stage, self._source, self._threads, self._at_once = stage, source, threads, at_once
        reaches = [stage.reach(band) for band in stage.bands]
        #: Of each band: the first row of the source that it or a later band reads (the last band, with wrap, reads the
        #: first rows), and the row behind the last that it reads.
        self._firsts = np.minimum.accumulate([first for first, _ in reaches][::-1])[::-1].tolist()
        self._ends = [end for _, end in reaches]
        self._held, self._next, self.clipped = Held(0, *_allocated(0, stage.shape, stage.dtype)), 0, 0

    @property
    def rows(self) -> int:
        """Rows of the whole result."""
        return self._stage.shape[0]

    def held(self, first: int, last: int) -> Held:
        """Compute bands up to row ``last - 1``, and discard rows before ``first``."""
        held = _from_row(self._held, first)
        while held.first + len(held.pixels) < last:
            held = self._extended(held)
        self._held = held
        return held

    def following(self) -> Held:
        """Compute and return the next bands, and discard those before."""
        self._held = self._extended(_from_row(self._held, self._held.first + len(self._held.pixels)))
        return self._held

    def _extended(self, held: Held) -> Held:
        """Compute the next bands; return their rows below the held ones."""
        begin = self._next
        bands = self._stage.bands[begin : begin + self._at_once]
        self._next += len(bands)
        fresh, last = len(held.pixels), bands[-1][1]
        pixels, valid = _allocated(last - held.first, self._stage.shape, self._stage.dtype)
        pixels[:fresh], valid[:fresh] = held.pixels, held.valid
        source = self._source.held(self._firsts[begin], max(self._ends[begin : self._next]))
        self.clipped += self._stage.run(source, bands, pixels[fresh:], valid[fresh:], self._threads)
        return Held(held.first, pixels, valid)


def _allocated(rows: int, shape: tuple[int, int, int], dtype: np.dtype[np.generic]) -> tuple[Samples, Valid]:
    return np.empty((rows, *shape[1:]), dtype), np.empty((rows, shape[1]), bool)


def _from_row(held: Held, first: int) -> Held:
    """Return the held rows from ``first`` on, or from the next one to come, which a stride may skip."""
    gone = min(first - held.first, len(held.pixels))
    return Held(held.first + gone, held.pixels[gone:], held.valid[gone:]) if gone > 0 else held


def _chain(stages: Sequence[MaskedStage], source: _Rows, threads: int, at_once: int) -> _Results:
    for stage in stages:
        results = _Results(stage, source, threads, at_once)
        source = results
    return results


def run_array(stages: Sequence[MaskedStage], pixels: Samples, valid: Valid, threads: int) -> tuple[Samples, Valid, int]:
    """Filter an array.

    Returns
    -------
    (rows, cols, channels) array, (rows, cols) array of bool, int
        The result, its valid pixels, and how many of its samples were clipped.
    """
    *before, last = stages
    source: _Rows = _ArrayRows(pixels, valid)
    if before:
        source = _chain(before, source, threads, threads)
    results = _Results(last, source, threads, threads if before else len(last.bands))
    held = results.held(0, results.rows)
    return held.pixels, held.valid, results.clipped


def run_rows(
    stages: Sequence[MaskedStage],
    source: RowSource | Samples,
    judge: Judge,
    write: Callable[[Samples, Valid], None],
    threads: int,
) -> int:
    """Filter the rows of a source, and pass those of the result to ``write``; return the number of clipped samples."""
    rows: _Rows = (
        _ArrayRows(source, judge(source, 0)) if isinstance(source, np.ndarray) else _StreamedRows(source, judge)
    )
    results, row = _chain(stages, rows, threads, threads), 0
    while row < results.rows:
        held = results.following()
        write(held.pixels, held.valid)
        row += len(held.pixels)
    return results.clipped
