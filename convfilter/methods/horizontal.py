"""The horizontal pass over rows in source order: tap by tap, or decimated, blurred and interpolated."""

from __future__ import annotations

from math import gcd
from typing import Protocol

import numpy as np

from convfilter.engine.borders import CONSTANT, Indices
from convfilter.engine.buffer import CACHE_LINE, Samples, Scratch
from convfilter.engine.layout import Columns, columns_for
from convfilter.engine.mapped_stage import MappedStage
from convfilter.engine.program import Call, Moving
from convfilter.engine.sums import StepOutput, Taps, dtype_of, sum_calls
from convfilter.engine.threads import cut
from convfilter.filters.multirate import Rates
from convfilter.methods.coarse import Coarse
from convfilter.native.loop import Loop

PICK = Loop("pick", "pick", "A* i8 i8 i8* i8 i8 A* i8")
MULTIRATE_ALONG = Loop(
    "multirate", "multirate_along", "A* i8 i8 i8 i8 i8* i8 i8* i8 A* i8 i8 A* i8 i8* i8* i8* i8 A* i8 A* A* i8 i8 i8"
)

#: Samples of a row that are transposed at a time: those of sixteen rows fit the cache.
TRANSPOSED_SAMPLES = 2**14
#: Least length of such a piece, in halos: the samples that it shares with the next piece.
HALOS = 3
#: Sums that the loop computes at a time: its tables are padded to multiples of this.
_GROUP = 8
#: Most samples of a chunk, whose outputs the loop interpolates phase by phase: those of sixteen rows stay in the cache.
_CHUNK_SAMPLES = 2**11


class Horizontal(Protocol):
    """The horizontal pass: filters along rows."""

    def calls(self, scratch: Scratch, rows: Samples | Moving, count: int, out: StepOutput) -> list[Call]:
        """Return the calls that filter ``count`` rows; memory is padded to a multiple of ``rows_at_once``."""


def horizontal_of(mapped: MappedStage) -> Horizontal:
    """Return the pass that filters rows in source order to the output's width."""
    rates = mapped.plan.rates[1]
    return _TapByTap(mapped) if rates is None else _Multirate(mapped, rates)


def rows_at_once(dtype: np.dtype[np.generic]) -> int:
    """Return the number of rows of which one vector of the widest kind holds a sample each."""
    return CACHE_LINE // dtype.itemsize


def natural_columns(mapped: MappedStage) -> Columns:
    """Lay out the source's columns in order, followed by one column of the padding value."""
    width = mapped.plan.cols.input
    indices = np.append(np.arange(width, dtype=np.int64), CONSTANT)
    return Columns(indices, 0, width, indices[:0])


class _TapByTap:
    def __init__(self, mapped: MappedStage) -> None:
        assert mapped.plan.kernel.factors is not None
        self._channels, self._cols, axis = mapped.source.channels, mapped.plan.cols.input + 1, mapped.plan.cols
        # Padded places map to the column of the padding value.
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
        return [Call(PICK.variant(A=dtype_of(rows)), picked), *sum_calls(padded, table, self._taps, out)]


class _Multirate:
    def __init__(self, mapped: MappedStage, rates: Rates) -> None:
        axis, channels = mapped.plan.cols, mapped.source.channels
        # Neighbouring pieces both transpose the halo of the outputs between them.
        halo = rates.decimation.size + (rates.blur.size + rates.interpolation_taps) * rates.step
        most = max(TRANSPOSED_SAMPLES // channels, HALOS * halo) // axis.stride
        self._pieces = [_Piece(mapped, rates, first, last) for first, last in cut(axis.output, max(1, most))]

    def calls(self, scratch: Scratch, rows: Samples | Moving, count: int, out: StepOutput) -> list[Call]:
        return [piece.call(scratch, rows, count, out) for piece in self._pieces]


class _Piece:
    """Outputs ``first`` to ``last - 1`` of a row."""

    def __init__(self, mapped: MappedStage, rates: Rates, first: int, last: int) -> None:
        channels = mapped.source.channels
        coarse = Coarse.of(mapped.plan.cols, rates, mapped.plan.padding_modes[1], first, last)
        self._channels, self._coarse, self._rates = channels, coarse, rates
        self._start, self._length = first * channels, (last - first) * channels
        self._index = np.ascontiguousarray(coarse.source_index, np.int64)
        self._decimated_at = _in_groups(_samples(np.arange(coarse.decimated.output) * rates.step, channels))
        self._blurred = -(-coarse.count * channels // _GROUP) * _GROUP
        self._interpolate(first, last)

    def _interpolate(self, first: int, last: int) -> None:
        """Make the tables of the sums of each chunk: phase by phase, so that those of a group have the same weights."""
        rates, channels = self._rates, self._channels
        period = rates.step // gcd(rates.step, self._coarse.axis.stride)
        chunks, periods = _chunks(-(-(last - first) // period), period, channels)
        self._chunk = periods * period * channels
        # Pixels after the last one are computed and not stored.
        phase, place = self._coarse.place(first + np.arange(chunks * periods * period))
        place = np.minimum(place, self._coarse.count - rates.interpolation_taps)
        self._interpolation_at = _by_phase(_samples(place, channels), period, channels, self._chunk)
        self._place = _by_phase(np.arange(self._chunk), period, channels, self._chunk)
        self._phase_at = phase[self._place[::_GROUP] // channels] * rates.interpolation_taps

    def call(self, scratch: Scratch, rows: Samples | Moving, count: int, out: StepOutput) -> Call:
        """Return the call that filters ``count`` rows to these outputs."""
        coarse, rates = self._coarse, self._rates
        dtype, places, channels = np.dtype(dtype_of(rows)), self._index.size, self._channels
        vectors = places * channels + self._decimated_at.size + self._blurred + self._chunk + 4 * rows_at_once(dtype)
        transposed = scratch.get("transposed", vectors * rows_at_once(dtype))
        decimation, blur, interpolation = (
            np.ascontiguousarray(taps, dtype) for taps in (rates.decimation, rates.blur, rates.interpolation.ravel())
        )
        memory = out.memory if isinstance(out.memory, Moving) else Moving(out.memory)
        arguments = (
            rows, count, channels, coarse.axis.input, coarse.decimated.before, self._index, places,
            self._decimated_at, self._decimated_at.size, decimation, decimation.size, self._blurred, blur, blur.size,
            self._interpolation_at, self._place, self._phase_at, self._place.size,
            interpolation, rates.interpolation_taps, transposed,
            memory._replace(start=memory.start + self._start), out.pitch, self._length, self._chunk,
        )  # fmt: skip
        return Call(MULTIRATE_ALONG.variant(A=dtype), arguments)


def _samples(places: Indices, channels: int) -> Indices:
    """Return the offsets of the samples of pixels at ``places``."""
    samples: Indices = (places[:, np.newaxis] * channels + np.arange(channels)).ravel()
    return samples


def _chunks(periods: int, period: int, channels: int) -> tuple[int, int]:
    """Return the number of chunks, and the periods of each, for the fewest sums in whole groups; then small chunks."""
    most = max(1, _CHUNK_SAMPLES // (period * channels))
    sums = [-(-periods // some) * -(-some * channels // _GROUP) for some in range(1, min(most, periods) + 1)]
    some = 1 + int(np.argmin(sums))
    return -(-periods // some), some


def _by_phase(samples: Indices, period: int, channels: int, chunk: int) -> Indices:
    """Order the samples of each chunk by the phase of their pixel, and fill those of each phase up to whole groups."""
    phases = samples.reshape(-1, chunk // (period * channels), period, channels).swapaxes(1, 2)
    table = phases.reshape(-1, chunk // period)
    return _in_groups(table).ravel()


def _in_groups(table: Indices) -> Indices:
    """Pad each row of a table to whole groups by repeating its last entry."""
    last = np.repeat(table[..., -1:], -table.shape[-1] % _GROUP, axis=-1)
    return np.concatenate((table, last), axis=-1)
