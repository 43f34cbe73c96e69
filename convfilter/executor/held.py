"""Consecutive rows of a picture with ignored pixels, held in memory with their mask."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from convfilter.engine.buffer import Samples
from convfilter.engine.masked import FILL_IGNORED
from convfilter.record import record

Valid: TypeAlias = npt.NDArray[np.bool_]
#: Rows or columns, as (first, last + 1).
Span: TypeAlias = tuple[int, int]

#: Integers that hold the bits of samples, by the bytes of a sample.
_BITS = {1: np.uint8, 2: np.uint16, 4: np.int32, 8: np.int64}


@record(eq=False)
class Held:
    """Consecutive rows of a picture.

    Attributes
    ----------
    first : int
        The number of the first row.
    pixels : (rows, cols, channels) array
    valid : (rows, cols) array of bool
        False where a pixel is ignored.
    """

    first: int
    pixels: Samples
    valid: Valid

    def rows(self, ranges: Sequence[Span]) -> tuple[Samples, Valid]:
        """Return ranges of rows, concatenated; a single range is a view."""
        parts = [slice(start - self.first, stop - self.first) for start, stop in ranges]
        if len(parts) == 1:
            return self.pixels[parts[0]], self.valid[parts[0]]
        return np.concatenate([self.pixels[part] for part in parts]), np.concatenate(
            [self.valid[part] for part in parts]
        )

    def are_valid(self, ranges: Sequence[Span]) -> bool:
        """Whether all pixels of some ranges of rows are valid."""
        return all(bool(self.valid[start - self.first : stop - self.first].all()) for start, stop in ranges)

    def channels(self, channels: slice) -> Held:
        """Return some of the channels."""
        return Held(self.first, self.pixels[..., channels], self.valid)

    def surrounded(self, rows: tuple[int, int], cols: tuple[int, int], value: Any, height: int) -> Held:
        """Return the rows of a picture with a border of valid pixels of one value.

        Parameters
        ----------
        rows, cols : (before, after)
            Rows and columns of the border.
        value : number
        height : int
            Rows of the picture without the border.
        """
        above = rows[0] if self.first == 0 else 0
        below = rows[1] if self.first + len(self.pixels) == height else 0
        pixels = np.pad(self.pixels, ((above, below), cols, (0, 0)), constant_values=value)
        valid = np.pad(self.valid, ((above, below), cols), constant_values=True)
        return Held(self.first + rows[0] - above, pixels, valid)


def bits_of(samples: Samples) -> Samples:
    """Return samples of any type as integers with the same bits, in the same memory."""
    return samples.view(_BITS[samples.itemsize])


def put(pixels: Samples, valid: Valid, value: float, *, colours: bool = False) -> Samples:
    """Write a value into all channels of invalid pixels, or into all but the last, in place."""
    if not pixels.flags.c_contiguous:
        places = pixels.reshape(*valid.shape, -1)[..., : -1 if colours else None]
        np.copyto(places, pixels.dtype.type(value), where=~valid[..., np.newaxis])
        return pixels
    channels = pixels.size // max(1, valid.size)
    written = channels - 1 if colours else channels
    counts, bits = np.ascontiguousarray(valid).view(np.uint8), bits_of(pixels)
    number = bits_of(np.array([value], pixels.dtype))
    FILL_IGNORED.variant(M=bits.dtype)(bits, counts, valid.size, channels, written, number)
    return pixels
