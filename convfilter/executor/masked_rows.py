"""Rows of pictures with ignored pixels go through the stages of a stack, some bands of each at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias

import numpy as np

from convfilter.engine.buffer import Samples
from convfilter.engine.rows import RowSource
from convfilter.executor.held import Held, Valid
from convfilter.executor.masked_stage import MaskedStage

#: Returns the valid pixels of some rows, given these and the number of the first.
Judge: TypeAlias = Callable[[Samples, int], Valid]


class _Rows(Protocol):
    """Rows with a mask, asked for from the first to the last."""

    def held(self, first: int, last: int) -> Held:
        """Return rows ``first`` to ``last - 1``; no earlier row is asked for afterwards."""


class _Whole:
    """The rows of an array."""

    def __init__(self, pixels: Samples, valid: Valid) -> None:
        self._held = Held(0, pixels, valid)

    def held(self, first: int, last: int) -> Held:
        """Return all rows."""
        return self._held


class _Read:
    """The rows of a row source."""

    def __init__(self, source: RowSource, judge: Judge) -> None:
        self._source, self._judge = source, judge
        self._held = Held(0, *_room(0, source.shape, source.dtype))

    def held(self, first: int, last: int) -> Held:
        """Read rows up to the last, and keep those from the first on."""
        kept = _kept(self._held, first)
        begin = kept.first + len(kept.pixels)
        if last > begin:
            pixels, valid = _room(last - kept.first, self._source.shape, self._source.dtype)
            fresh = begin - kept.first
            pixels[:fresh], valid[:fresh] = kept.pixels, kept.valid
            self._source.read(pixels[fresh:])
            valid[fresh:] = self._judge(pixels[fresh:], begin)
            kept = Held(kept.first, pixels, valid)
        self._held = kept
        return kept


class _Results:
    """The rows of a stage's result, computed some bands at a time."""

    def __init__(self, stage: MaskedStage, source: _Rows, threads: int, at_once: int) -> None:
        self._stage, self._source, self._threads, self._at_once = stage, source, threads, at_once
        self._held, self._next, self.clipped = Held(0, *_room(0, stage.shape, stage.dtype)), 0, 0

    @property
    def rows(self) -> int:
        """Rows of the whole result."""
        return self._stage.shape[0]

    def held(self, first: int, last: int) -> Held:
        """Compute bands up to the last row, and keep rows from the first on."""
        kept = _kept(self._held, first)
        while kept.first + len(kept.pixels) < last:
            kept = self._more(kept)
        self._held = kept
        return kept

    def following(self) -> Held:
        """Return the next bands, and forget those before."""
        self._held = self._more(_kept(self._held, self._held.first + len(self._held.pixels)))
        return self._held

    def _more(self, kept: Held) -> Held:
        """Return the kept rows, and those of the next bands."""
        bands = self._stage.bands[self._next : self._next + self._at_once]
        self._next += len(bands)
        fresh, last = len(kept.pixels), bands[-1][1]
        pixels, valid = _room(last - kept.first, self._stage.shape, self._stage.dtype)
        pixels[:fresh], valid[:fresh] = kept.pixels, kept.valid
        reaches = [self._stage.reach(band) for band in bands]
        source = self._source.held(min(low for low, _ in reaches), max(high for _, high in reaches))
        self.clipped += self._stage.run(source, bands, pixels[fresh:], valid[fresh:], self._threads)
        return Held(kept.first, pixels, valid)


def _room(rows: int, shape: tuple[int, int, int], dtype: np.dtype[np.generic]) -> tuple[Samples, Valid]:
    return np.empty((rows, *shape[1:]), dtype), np.empty((rows, shape[1]), bool)


def _kept(held: Held, first: int) -> Held:
    """Return the rows from ``first`` on; an empty one begins there."""
    gone = first - held.first
    return Held(first, held.pixels[gone:], held.valid[gone:]) if gone > 0 else held


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
    source: _Rows = _Whole(pixels, valid)
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
    """Filter the rows of a source; ``write`` takes those of the result. Returns how many samples were clipped."""
    rows: _Rows = _Whole(source, judge(source, 0)) if isinstance(source, np.ndarray) else _Read(source, judge)
    results, row = _chain(stages, rows, threads, threads), 0
    while row < results.rows:
        held = results.following()
        write(held.pixels, held.valid)
        row += len(held.pixels)
    return results.clipped
