"""A picture and its mask, which the engine reads as one array."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from convfilter.engine.borders import Indices
from convfilter.engine.buffer import Samples
from convfilter.engine.program import Slot
from convfilter.native.loop import Loop
from convfilter.record import record, replace

if TYPE_CHECKING:
    import numpy.typing as npt

_FILL_IGNORED = Loop("mask", "fill_ignored", "M* u1* i8 i8 i8 M*")

#: Integers that hold the bits of samples, by the bytes of a sample.
_BITS = {1: np.uint8, 2: np.uint16, 4: np.int32, 8: np.int64}


@record(eq=False)
class Masked:
    """A picture and its mask in place of an array with the mask, 0 or 1, as a further channel.

    Only methods that ``join_masks`` can read it: the mask is joined to rows when they are loaded.

    Attributes
    ----------
    pixels : (rows, cols, channels) array
    valid : (rows, cols) array of bool
        False where a pixel is ignored: all its channels count as 0.
    """

    pixels: Samples
    valid: npt.NDArray[np.bool_]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of the array that it stands for."""
        rows, cols, channels = self.pixels.shape
        return rows, cols, channels + 1

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the samples."""
        return self.pixels.dtype

    @property
    def nbytes(self) -> int:
        """Bytes of the array that it stands for."""
        rows, cols, channels = self.shape
        return rows * cols * channels * self.dtype.itemsize

    def taken(self, places: Indices, axis: int) -> Masked:
        """Return selected rows or columns."""
        pixels, valid = (np.take(each, places, axis=axis) for each in (self.pixels, self.valid))
        return replace(self, pixels=pixels, valid=valid)

    def contiguous(self) -> Masked:
        """Return the picture and its mask as C-contiguous arrays."""
        return replace(self, pixels=np.ascontiguousarray(self.pixels), valid=np.ascontiguousarray(self.valid))


@record(eq=False)
class Filled(Masked):
    """A picture and its mask in place of an array of the picture's channels, whose ignored pixels have no effect.

    Methods that ``join_masks`` load 0 for ignored pixels, and add ``unit`` to valid ones: a sum of whole weights then
    holds that of the weights on valid pixels, too, in multiples of ``unit``. Extremes of stored samples, which replace
    ignored ones by their neutral element, Canny's ridges and guided filters can read it, too; see
    ``methods/extremes.py``, ``methods/canny_smoothing.py`` and ``methods/guided.py``.

    Attributes
    ----------
    unit : float
        0: sums are those of the samples alone.
    """

    unit: float = 0.0

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of the array that it stands for."""
        rows, cols, channels = self.pixels.shape
        return rows, cols, channels


class MaskedSlot(Slot):
    """A slot for a picture and its mask: calls that load rows name the slots of both.

    Parameters
    ----------
    masked : Masked
        The first picture, C-contiguous; all later ones have its shape and type.

    Attributes
    ----------
    pixels, valid : Slot
        Slots of its two arrays, the mask as bytes.
    fills : bool
        Whether the picture is ``Filled``.
    unit : float
        That of a ``Filled`` picture, else 0.
    """

    def __init__(self, masked: Masked) -> None:
        self.shape, self.dtype, self.fills = masked.shape, masked.dtype, isinstance(masked, Filled)
        self.unit = masked.unit if isinstance(masked, Filled) else 0.0
        self.pixels, self.valid = Slot(masked.pixels), Slot(masked.valid.view(np.uint8))

    def put(self, masked: Any) -> None:
        """Replace the picture."""
        self.pixels.put(masked.pixels)
        self.valid.put(masked.valid.view(np.uint8))

    def clear(self) -> None:
        """Release the picture; no call can run until another one is put."""
        self.pixels.clear()
        self.valid.clear()


def pixels_and_mask(slot: Slot) -> tuple[Slot, Slot | None]:
    """Return the slot of the pixels, and that of their mask; None if there is no mask."""
    return (slot.pixels, slot.valid) if isinstance(slot, MaskedSlot) else (slot, None)


def bits_of(samples: Samples) -> Samples:
    """Return samples of any type as integers with the same bits, in the same memory."""
    return samples.view(_BITS[samples.itemsize])


def put(pixels: Samples, valid: npt.NDArray[np.bool_], value: float, *, colours: bool = False) -> Samples:
    """Write a value into all channels of invalid pixels, or into all but the last, in place."""
    if not pixels.flags.c_contiguous:
        places = pixels.reshape(*valid.shape, -1)[..., : -1 if colours else None]
        np.copyto(places, pixels.dtype.type(value), where=~valid[..., np.newaxis])
        return pixels
    channels = pixels.size // max(1, valid.size)
    written = channels - 1 if colours else channels
    counts, bits = np.ascontiguousarray(valid).view(np.uint8), bits_of(pixels)
    number = bits_of(np.array([value], pixels.dtype))
    _FILL_IGNORED.variant(M=bits.dtype)(bits, counts, valid.size, channels, written, number)
    return pixels
