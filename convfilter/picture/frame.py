"""A frame of a picture: its samples, decoded or still in the file, and its time in an animation."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from convfilter.picture.options import frame_number
from convfilter.picture.pixels import Pixels

if TYPE_CHECKING:
    from convfilter.picture.row_source import LazyArray, LazyRows
    from convfilter.picture.tiff.fields import PageFields

Item = TypeVar("Item")
#: Delay of a frame that has none in an animation: a tenth of a second, as browsers show it.
DEFAULT_DELAY = 1, 10


class Frame:
    """One frame of an animation, one page, or the only picture: always the whole canvas.

    Parameters
    ----------
    pixels : (H, W) or (H, W, C) array, or ``LazyRows`` or ``LazyArray``
        Samples of a type in ``sample_types.SAMPLE_TYPES``, C-contiguous, in native byte order. White is the largest
        integer of the type (or ``Picture.white``), 1 for real samples. Lazy samples can be decoded only while their
        file is open: see ``convfilter.picture.row_source``.
    delay : (int, int), or None
        Time for which an animation shows the frame: numerator and denominator of a fraction of a second.
    fallback : bool
        Whether only programs without animation show the frame: the default image of an APNG that is not part of the
        animation.
    tiff : PageFields, or None
        Fields of a TIFF page, copied unchanged.
    """

    def __init__(
        self,
        pixels: Pixels | LazyRows | LazyArray,
        delay: tuple[int, int] | None = None,
        fallback: bool = False,
        tiff: PageFields | None = None,
    ) -> None:
        self._samples, self.delay, self.fallback, self.tiff = pixels, delay, fallback, tiff
        #: Why the samples were decoded at once; see ``streaming_obstacle``.
        self.obstacle = "the format is decoded in one piece"

    @property
    def shape(self) -> tuple[int, ...]:
        """(H, W), or (H, W, C) with several channels."""
        shape: tuple[int, ...] = self._samples.shape
        return shape[:2] if len(shape) == 3 and shape[2] == 1 else shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the samples."""
        dtype: np.dtype[Any] = self._samples.dtype
        return dtype

    @property
    def pixels(self) -> Pixels:
        """The samples, decoded at the first access."""
        return self.decode()

    @pixels.setter
    def pixels(self, pixels: Pixels) -> None:
        self._samples = pixels

    def decode(self) -> Pixels:
        """Decode the samples if necessary, and return them."""
        if not isinstance(self._samples, np.ndarray):
            self._samples = self._samples.decoded().reshape(self.shape)
        return self._samples

    def start(self) -> None:
        """Start decoding in another thread, if the format gains from it."""
        if not isinstance(self._samples, np.ndarray):
            self._samples.start()

    def close(self) -> None:
        """Stop decoding: the file is about to be closed."""
        if not isinstance(self._samples, np.ndarray):
            self._samples.close()

    @property
    def lazy_rows(self) -> LazyRows | None:
        """The source of rows from the top down; None if the samples are decoded, or cannot be decoded by rows."""
        from convfilter.picture.row_source import LazyRows

        return self._samples if isinstance(self._samples, LazyRows) else None

    @property
    def streaming_obstacle(self) -> str:
        """Why rows cannot be decoded one by one; "" if they can."""
        if isinstance(self._samples, np.ndarray):
            return self.obstacle
        return self._samples.streaming_obstacle

    def mapped(self, function: Callable[[Pixels], Pixels], dtype: np.dtype[Any], channels: int | None = None) -> Frame:
        """Return the frame with a function applied to its pixels: at once, or band by band as they are decoded.

        Parameters
        ----------
        function : callable
            Works pixel by pixel.
        dtype : dtype
            Type of the function's result.
        channels : int, optional
            Number of channels of the function's result, if it changes.
        """
        if isinstance(self._samples, np.ndarray):
            return self.with_pixels(function(self._samples))
        return Frame(self._samples.mapped(function, dtype, channels), self.delay, self.fallback, self.tiff)

    def with_pixels(self, pixels: Pixels) -> Frame:
        """Return the same frame with other samples."""
        return Frame(pixels, self.delay, self.fallback, self.tiff)

    def with_tiff(self, fields: PageFields | None) -> Frame:
        """Return the same frame with other fields of a TIFF page."""
        return Frame(self._samples, self.delay, self.fallback, fields)


def chosen(frames: list[Item], index: int) -> Item:
    """Return one frame by its number from 0; see :func:`~convfilter.picture.options.frame_number`."""
    return frames[frame_number(index, len(frames))]


def changed_area(before: Pixels, after: Pixels) -> tuple[int, int, int, int]:
    """Return the bounding box of the difference between two frames of an animation.

    Parameters
    ----------
    before, after : (H, W) or (H, W, C) arrays of one shape

    Returns
    -------
    (int, int, int, int)
        First row, first column, last row + 1, last column + 1; the pixel at (0, 0) if the frames are equal.
    """
    changed = before != after
    if changed.ndim == 3:
        changed = changed.any(axis=2)
    rows, cols = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
    if not rows.size:
        return 0, 0, 1, 1
    return int(rows[0]), int(cols[0]), int(rows[-1]) + 1, int(cols[-1]) + 1
