"""Tiles: pieces of a picture as real numbers in scratch memory, loaded through index maps.

A tile holds picked source rows, one after the other, each a run of
``cols * channels`` samples; so a tap one pixel to the right is ``channels``
samples further, whatever the channels mean. With a stride, columns are ordered by their
remainder modulo the stride: then every tap reads a run of neighbours, and
columns that no kept output touches are not loaded at all.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from convfilter.engine.borders import CONSTANT, Indices
from convfilter.engine.native import Loop
from convfilter.engine.program import Call, Moving, Slot
from convfilter.planning import LUMINANCE, AxisPlan
from convfilter.record import record

Samples = npt.NDArray[Any]

LOAD = Loop("load", "load", "S* i8 i8* i8 i8* i8 i8 i8 i8 A A* i8")
PREMULTIPLY = Loop("load", "premultiply", "A* i8 i8 i8 i8 A")
LUMINANCE_LOOP = Loop("load", "luminance", "A* i8 i8 i8 i8 A A A A* i8")

#: In bytes.
CACHE_LINE = 64


class Scratch:
    """One thread's working memory: named buffers that grow when needed and are used again."""

    def __init__(self, dtype: npt.DTypeLike) -> None:
        self.dtype = np.dtype(dtype)
        self._buffers: dict[str, Samples] = {}

    def get(self, name: str, size: int) -> Samples:
        """Return a flat buffer of at least ``size`` samples, with any content."""
        buffer = self._buffers.get(name)
        if buffer is None or buffer.size < size:
            buffer = self._buffers[name] = _at_a_cache_line(size, self.dtype)
        return buffer

    def arrays(self) -> Iterable[Samples]:
        """Return all buffers."""
        return self._buffers.values()


def _at_a_cache_line(size: int, dtype: np.dtype[Any]) -> Samples:
    """Return a flat array of any content that starts at a cache line: whole vectors then straddle none."""
    memory = np.empty(size * dtype.itemsize + CACHE_LINE, np.uint8)
    start = -memory.ctypes.data % CACHE_LINE
    return memory[start : start + size * dtype.itemsize].view(dtype)


@record
class Columns:
    """Columns of a tile: their source indices, the run that lies in one piece, and where each tap looks.

    ``tap_offset[k]`` is the place (in pixels) of tap ``k`` of the first output.
    """

    indices: Indices
    run_start: int
    run_length: int
    tap_offset: Indices

    @property
    def count(self) -> int:
        """How many columns there are."""
        return self.indices.size

    def part(self, first: int, last: int) -> Columns:
        """Return columns ``first`` to ``last - 1``, without taps."""
        start, stop = max(first, self.run_start), min(last, self.run_start + self.run_length)
        run = (start - first, stop - start) if stop > start else (0, 0)
        return Columns(self.indices[first:last], *run, self.tap_offset[:0])


def columns_for(axis: AxisPlan, source_index: Indices, first: int, last: int) -> Columns:
    """Lay out the columns that outputs ``first`` to ``last - 1`` touch."""
    taps = np.arange(axis.kernel, dtype=np.int64) * axis.dilation
    if axis.stride == 1:
        indices = source_index[first : last + axis.span]
        return Columns(indices, *_identity_run(axis, first, indices.size), taps)
    remainder, shift = taps % axis.stride, taps // axis.stride
    phases, phase_of_tap = np.unique(remainder, return_inverse=True)
    width = last - first + int(shift.max())
    places = (first + np.arange(width)) * axis.stride + phases[:, np.newaxis]
    # The last phases may reach past the padded picture, where no tap looks.
    indices = source_index[np.minimum(places, source_index.size - 1).ravel()]
    return Columns(indices, 0, 0, (phase_of_tap * width + shift).astype(np.int64))


def centre_columns(axis: AxisPlan, source_index: Indices, first: int, last: int) -> Columns:
    """Lay out only the columns on which outputs ``first`` to ``last - 1`` are centred."""
    indices = source_index[first * axis.stride + axis.centre : (last - 1) * axis.stride + axis.centre + 1 : axis.stride]
    run = _identity_run(axis, first + axis.centre, indices.size) if axis.stride == 1 else (0, 0)
    return Columns(np.ascontiguousarray(indices), *run, indices[:0])


def _identity_run(axis: AxisPlan, first: int, count: int) -> tuple[int, int]:
    start, stop = max(0, axis.before - first), min(count, axis.before + axis.input - first)
    return (start, stop - start) if stop > start else (0, 0)


def distinct_rows(wanted: Indices, length: int) -> tuple[Indices, Indices]:
    """Return the distinct source rows among ``wanted``, and the place of each wanted row among them."""
    present = np.zeros(length + 1, bool)
    present[wanted] = True  # CONSTANT is -1: it marks the last place
    rows = np.flatnonzero(present)
    place = np.empty(length + 1, np.int64)
    place[rows] = np.arange(rows.size)
    return np.where(rows == length, CONSTANT, rows), place[wanted]


@record
class Source:
    """A picture to load tiles from.

    Attributes
    ----------
    slot : Slot
        For the image: a (rows, cols, channels) array, C-contiguous.
    full : float
        The sample value that means white.
    alpha : bool
        The last channel is alpha: tiles are premultiplied, on the scale ``full**2``.
    gray : bool
        Tiles hold the luminance of three colours, times 1000.
    padding_value : float
        What padded cells hold; 0 where none do.
    """

    slot: Slot
    full: float
    alpha: bool
    gray: bool
    padding_value: float

    @property
    def image(self) -> Samples:
        """The image that is there now."""
        return self.slot.array

    @property
    def is_finite(self) -> bool:
        """Whether no sample can be infinite or not a number."""
        return self.slot.dtype.kind == "u"

    @property
    def pads_with_samples(self) -> bool:
        """Whether samples are whole numbers, and padded cells hold one."""
        return self.slot.dtype.kind == "u" and 0 <= self.padding_value <= self.full and self.padding_value % 1 == 0

    @property
    def channels(self) -> int:
        """Channels of a loaded tile."""
        channels: int = self.slot.shape[2]
        return channels - 2 if self.gray else channels

    def load(self, scratch: Scratch, name: str, rows: Indices, columns: Columns) -> tuple[Samples, int]:
        """Load picked rows and columns; returns the tile, flat, and its pitch in samples."""
        pitch = columns.count * self.channels
        tile = scratch.get(name, rows.size * pitch)
        for call in self.load_calls(scratch, rows, rows.size, columns, tile):
            call()
        return tile, pitch

    def load_calls(
        self, scratch: Scratch, rows: Indices | Moving, count: int, columns: Columns, tile: Samples | Moving
    ) -> list[Call]:
        """Return the calls that load ``count`` picked rows into ``tile``, side by side."""
        channels: int = self.slot.shape[2]
        pitch = columns.count * channels
        loaded = scratch.get("before gray", count * pitch) if self.gray else tile
        load = LOAD.variant(S=self.slot.dtype, A=scratch.dtype)
        place = columns.indices, columns.count, columns.run_start, columns.run_length
        calls = [
            Call(
                load,
                (
                    self.slot, self.slot.shape[1] * channels, rows, count, *place, channels,
                    self.padding_value, loaded, pitch,
                ),
            )
        ]  # fmt: skip
        if self.alpha:
            premultiply = PREMULTIPLY.variant(A=scratch.dtype)
            calls.append(Call(premultiply, (loaded, pitch, count, columns.count, channels, self.full)))
        if self.gray:
            weigh = LUMINANCE_LOOP.variant(A=scratch.dtype)
            line = columns.count * self.channels
            calls.append(Call(weigh, (loaded, pitch, count, columns.count, channels, *LUMINANCE, tile, line)))
        return calls
