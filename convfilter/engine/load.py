"""Load source rows as tiles of real numbers: convert, pad, join the mask, premultiply, take the luminance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from convfilter.engine.borders import Indices
from convfilter.engine.buffer import LineBuffer, Samples, Scratch
from convfilter.engine.layout import Columns
from convfilter.engine.masked import MaskedSlot
from convfilter.engine.program import Call, Moving, Slot
from convfilter.native.loop import Loop
from convfilter.planning import LUMINANCE
from convfilter.record import record, replace
from convfilter.sample_types import is_integer

if TYPE_CHECKING:
    import numpy.typing as npt

LOAD = Loop("load", "load", "S* i8 i8* i8 i8* i8 i8 i8 i8 A A* i8")
COPY = Loop("load", "load", "S* i8 i8* i8 i8* i8 i8 i8 i8 S S* i8")
LOAD_MASKED = Loop("load_masked", "load_masked", "S* i8 u1* i8 i8* i8 i8* i8 i8 i8 i8 A S S* A* i8")
COPY_MASKED = Loop("load_masked", "load_masked", "S* i8 u1* i8 i8* i8 i8* i8 i8 i8 i8 S S S* S* i8")
LOAD_FILLED = Loop("load_masked", "load_filled", "S* i8 u1* i8 i8* i8 i8* i8 i8 i8 i8 A A S S* A* i8 u1*")
COPY_FILLED = Loop("load_masked", "load_filled", "S* i8 u1* i8 i8* i8 i8* i8 i8 i8 i8 S S S S* S* i8 u1*")
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
    def unit(self) -> float:
        """What is added to valid samples when they are loaded, so that sums count them; see ``Filled``."""
        return self.slot.unit if isinstance(self.slot, MaskedSlot) else 0.0

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

    def loads_unchanged(self, dtype: npt.DTypeLike) -> bool:
        """Whether rows loaded in a type are copies."""
        return self.dtype == dtype and not (self.gray or self.multiplies)

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
        calls = [self._load_call(scratch, rows, count, columns, loaded, pitch)]
        if self.multiplies:
            premultiply = PREMULTIPLY.variant(A=scratch.dtype)
            calls.append(Call(premultiply, (loaded, pitch, count, columns.count, channels, self.full)))
        if self.gray:
            weigh = LUMINANCE_LOOP.variant(A=scratch.dtype)
            line = columns.count * self.channels
            calls.append(Call(weigh, (loaded, pitch, count, columns.count, channels, *LUMINANCE, tile, line)))
        return calls

    def copy_call(
        self, scratch: Scratch, rows: Moving, count: int, columns: Columns, tile: Samples, pitch: int
    ) -> Call:
        """Return the call that copies ``count`` selected rows into ``tile``, rows of a pitch, in their own type."""
        return self._load_call(scratch, rows, count, columns, tile, pitch, copies=True)

    def _load_call(
        self,
        scratch: Scratch,
        rows: Indices | Moving,
        count: int,
        columns: Columns,
        tile: Samples | Moving,
        pitch: int,
        *,
        copies: bool = False,
    ) -> Call:
        slot, padding = self.slot, int(self.padding_value) if copies else self.padding_value
        where = rows, count, columns.indices, columns.count, columns.run_start, columns.run_length
        if isinstance(slot, MaskedSlot):
            from convfilter.loops.vectors import vector_bytes

            _, cols, channels = slot.pixels.shape
            room = columns.count * slot.shape[2] + 3 * vector_bytes()
            source = slot.pixels, cols * channels, slot.valid, cols, *where, channels, padding
            line = scratch.get("masked line", room, slot.dtype)
            types = {"S": slot.dtype} if copies else {"S": slot.dtype, "A": scratch.dtype}
            if slot.fills:
                unit = int(slot.unit) if copies else slot.unit
                filled = (COPY_FILLED if copies else LOAD_FILLED).variant(**types)
                return Call(filled, (*source, unit, 0, line, tile, pitch, scratch.get("marks", room, np.uint8)))
            masked = (COPY_MASKED if copies else LOAD_MASKED).variant(**types)
            return Call(masked, (*source, 0, line, tile, pitch))
        _, cols, channels = slot.shape
        load = COPY.variant(S=slot.dtype) if copies else LOAD.variant(S=slot.dtype, A=scratch.dtype)
        return Call(load, (slot, cols * channels, *where, channels, padding, tile, pitch))
