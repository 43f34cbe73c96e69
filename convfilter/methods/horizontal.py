"""The horizontal pass over rows in source order: tap by tap, or on a coarse grid."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from convfilter.engine.borders import CONSTANT, Indices
from convfilter.engine.buffer import CACHE_LINE, Samples, Scratch
from convfilter.engine.layout import Columns, columns_for
from convfilter.engine.mapped_stage import MappedStage
from convfilter.engine.program import Call, Moving
from convfilter.engine.sums import StepOutput, Taps, dtype_of, sum_call
from convfilter.engine.threads import cut
from convfilter.filters.multirate import Rates
from convfilter.methods.coarse import Coarse
from convfilter.native.loop import Loop

PICK = Loop("pick", "pick", "A* i8 i8 i8* i8 i8 A* i8")
MULTIRATE_ALONG = Loop(
    "multirate", "multirate_along", "A* i8 i8 i8 i8 i8* i8 i8* i8 A* i8 i8 A* i8 i8* i8* A* i8 A* A* i8 i8"
)

#: Samples of a row that are transposed at a time: those of sixteen rows fit the cache. At least this many times the
#: samples that a piece of a row shares with the next.
TURNED_SAMPLES = 2**14
HALOS = 3
#: Sums that the loop computes at a time: its tables are padded to multiples of this.
_TOGETHER = 8


class Horizontal(Protocol):
    """The horizontal pass: filters along rows."""

    def calls(self, scratch: Scratch, rows: Samples | Moving, count: int, out: StepOutput) -> list[Call]:
        """Return the calls that filter ``count`` rows; memory is padded to a multiple of ``rows_at_once``."""


def horizontal_of(mapped: MappedStage) -> Horizontal:
    """Return the pass that filters rows in source order to the output's width."""
    rates = mapped.plan.rates[1]
    return _TapByTap(mapped) if rates is None else _AtRates(mapped, rates)


def rows_at_once(dtype: np.dtype[np.generic]) -> int:
    """Return the most rows of which one vector holds a sample."""
    return CACHE_LINE // dtype.itemsize


def natural_columns(mapped: MappedStage) -> Columns:
    """Lay out the source's columns in order, and an extra column that holds the padding value."""
    width = mapped.plan.cols.input
    indices = np.append(np.arange(width, dtype=np.int64), CONSTANT)
    return Columns(indices, 0, width, indices[:0])


class _TapByTap:
    def __init__(self, mapped: MappedStage) -> None:
        assert mapped.plan.kernel.factors is not None
        self._channels, self._cols, axis = mapped.source.channels, mapped.plan.cols.input + 1, mapped.plan.cols
        # Padded places map to the extra column.
        index = np.where(mapped.col_index == CONSTANT, axis.input, mapped.col_index)
        columns = columns_for(axis, index, 0, axis.output)
        self._picked = np.ascontiguousarray(columns.indices, np.int64)
        self._taps = Taps.along(columns.tap_offset * self._channels, mapped.plan.kernel.factors[1]).nonzero()

    def calls(self, scratch: Scratch, rows: Samples | Moving, count: int, out: StepOutput) -> list[Call]:
        pitch = self._picked.size * self._channels
        padded = scratch.get("padded", count * pitch)
        line = self._cols * self._channels
        picked = rows, line, count, self._picked, self._picked.size, self._channels, padded, pitch
        table = np.arange(count).reshape(1, count, 1) * pitch
        return [Call(PICK.variant(A=dtype_of(rows)), picked), sum_call(padded, table, self._taps, out)]


class _AtRates:
    def __init__(self, mapped: MappedStage, rates: Rates) -> None:
        axis, channels = mapped.plan.cols, mapped.source.channels
        # Halo of an output, which each piece transposes again.
        halo = rates.down.size + (rates.middle.size + rates.up.shape[1]) * rates.step
        most = max(TURNED_SAMPLES // channels, HALOS * halo) // axis.stride
        self._parts = [_Part(mapped, rates, first, last) for first, last in cut(axis.output, max(1, most))]

    def calls(self, scratch: Scratch, rows: Samples | Moving, count: int, out: StepOutput) -> list[Call]:
        return [part.call(scratch, rows, count, out) for part in self._parts]


class _Part:
    """Outputs ``first`` to ``last - 1`` of a row."""

    def __init__(self, mapped: MappedStage, rates: Rates, first: int, last: int) -> None:
        channels = mapped.source.channels
        coarse = Coarse.of(mapped.plan.cols, rates, mapped.plan.stage.padding_mode, first, last)
        phase, place = coarse.place(np.arange(first, last))
        self._channels, self._coarse, self._rates = channels, coarse, rates
        self._start, self._length = first * channels, (last - first) * channels
        self._index = np.ascontiguousarray(coarse.source_index, np.int64)
        self._lowered_at = _in_groups(_samples(np.arange(coarse.down.output) * rates.step, channels))
        self._blurred = -(-coarse.count * channels // _TOGETHER) * _TOGETHER
        self._up_at = _in_groups(_samples(place, channels))
        self._up_line = _in_groups(np.repeat(phase * rates.up.shape[1], channels))

    def call(self, scratch: Scratch, rows: Samples | Moving, count: int, out: StepOutput) -> Call:
        """Return the call that filters ``count`` rows to these outputs."""
        coarse, rates = self._coarse, self._rates
        dtype, places, channels = np.dtype(dtype_of(rows)), self._index.size, self._channels
        vectors = places * channels + self._lowered_at.size + self._blurred + 6 * rows_at_once(dtype)
        turned = scratch.get("turned", vectors * rows_at_once(dtype))
        down, middle, up = (np.ascontiguousarray(taps, dtype) for taps in (rates.down, rates.middle, rates.up.ravel()))
        memory = out.memory if isinstance(out.memory, Moving) else Moving(out.memory)
        arguments = (
            rows, count, channels, coarse.axis.input, coarse.down.before, self._index, places,
            self._lowered_at, self._lowered_at.size, down, down.size, self._blurred, middle, middle.size,
            self._up_at, self._up_line, up, rates.up.shape[1],
            turned, memory._replace(start=memory.start + self._start), out.pitch, self._length,
        )  # fmt: skip
        return Call(MULTIRATE_ALONG.variant(A=dtype), arguments)


def _samples(places: Indices, channels: int) -> Indices:
    """Return the offsets of the samples of pixels at ``places``."""
    samples: Indices = (places[:, np.newaxis] * channels + np.arange(channels)).ravel()
    return samples


def _in_groups(table: Indices) -> Indices:
    """Pad a table to whole groups by repeating the last entry."""
    return np.append(table, np.repeat(table[-1:], -table.size % _TOGETHER))
