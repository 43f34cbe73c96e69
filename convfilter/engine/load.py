"""Load source rows as tiles of real numbers: convert, pad, premultiply, take the luminance."""

from __future__ import annotations

from typing import Any

import numpy as np

from convfilter.engine.borders import Indices
from convfilter.engine.buffer import LineBuffer, Samples, Scratch
from convfilter.engine.layout import Columns
from convfilter.engine.program import Call, Moving, Slot
from convfilter.native.loop import Loop
from convfilter.planning import LUMINANCE, is_integer
from convfilter.record import record, replace

LOAD = Loop("load", "load", "S* i8 i8* i8 i8* i8 i8 i8 i8 A A* i8")
PREMULTIPLY = Loop("load", "premultiply", "A* i8 i8 i8 i8 A")
LUMINANCE_LOOP = Loop("load", "luminance", "A* i8 i8 i8 i8 A A A A* i8")


@record
class Source:
    """The input of a stage: a picture, or the result of the stage before.

    Attributes
    ----------
    buffer : LineBuffer
        All rows, or those that are buffered.
    full : float
        The sample value that means white.
    alpha : bool
        The last channel is alpha: tiles are premultiplied, on the scale ``full**2``.
    premultiplied : bool
        Samples are stored premultiplied, and tiles keep their scale.
    masked : bool
        The last channel, ``alpha``, is a mask of zeros and ones, and colours are 0 where it is 0.
    gray : bool
        Tiles hold the luminance of three colours, times 1000.
    padding_value : float
        Value of padded cells; 0 if the mode has none.
    """

    buffer: LineBuffer
    full: float
    alpha: bool
    gray: bool
    padding_value: float
    premultiplied: bool = False
    masked: bool = False

    @property
    def slot(self) -> Slot:
        """Slot of the rows: a (rows, cols, channels) array."""
        return self.buffer.slot

    @property
    def image(self) -> Samples:
        """The rows now in the slot."""
        return self.slot.array

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the stored samples."""
        return self.slot.dtype

    @property
    def is_finite(self) -> bool:
        """Whether no sample can be infinite or not a number."""
        return is_integer(self.dtype)

    @property
    def pads_with_samples(self) -> bool:
        """Whether samples and padding are integers."""
        return self.is_finite and 0 <= self.padding_value <= self.full and self.padding_value % 1 == 0

    @property
    def straight(self) -> Source:
        """The source with alpha as a channel like others."""
        return replace(self, alpha=False)

    @property
    def multiplies(self) -> bool:
        """Whether loading multiplies colours with alpha."""
        return self.alpha and not (self.premultiplied or self.masked)

    @property
    def channels(self) -> int:
        """Channels of a loaded tile."""
        channels: int = self.slot.shape[2]
        return channels - 2 if self.gray else channels

    def load(self, scratch: Scratch, name: str, rows: Indices, columns: Columns) -> tuple[Samples, int]:
        """Load selected rows and columns; return the flat tile and its pitch in samples."""
        pitch = columns.count * self.channels
        tile = scratch.get(name, rows.size * pitch)
        for call in self.load_calls(scratch, rows, rows.size, columns, tile):
            call()
        return tile, pitch

    def load_calls(
        self, scratch: Scratch, rows: Indices | Moving, count: int, columns: Columns, tile: Samples | Moving
    ) -> list[Call]:
        """Return the calls that load ``count`` selected rows into ``tile``, one below the other."""
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
        if self.multiplies:
            premultiply = PREMULTIPLY.variant(A=scratch.dtype)
            calls.append(Call(premultiply, (loaded, pitch, count, columns.count, channels, self.full)))
        if self.gray:
            weigh = LUMINANCE_LOOP.variant(A=scratch.dtype)
            line = columns.count * self.channels
            calls.append(Call(weigh, (loaded, pitch, count, columns.count, channels, *LUMINANCE, tile, line)))
        return calls
