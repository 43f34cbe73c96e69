"""Losses of a result in its format: notes, or errors if the options do not accept them."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from convfilter.errors import WriteError
from convfilter.picture.format import Format
from convfilter.picture.loss import Loss, notes_of
from convfilter.picture.options import WriteOptions
from convfilter.picture.outline import Outline
from convfilter.picture.picture import Picture
from convfilter.sample_types import can_leave


class ResultLosses:
    """Losses of the result of a picture. Each method returns notes.

    Parameters
    ----------
    picture : Picture
        The picture that is filtered.
    fmt : Format
        The format of the result.
    options : WriteOptions
    """

    def __init__(self, picture: Picture, fmt: Format, options: WriteOptions) -> None:
        self._picture, self._format, self._options = picture, fmt, options

    def of_page(self, stored: Outline) -> tuple[str, ...]:
        """Note or refuse the loss of fields of a TIFF page that do not describe the result."""
        if not stored.pages:
            return ()
        from convfilter.picture import losses

        shape = stored.shape[:2] if stored.shape[2] == 1 else stored.shape
        return self._accepted(losses.of_page(stored.pages[0], shape, stored.dtype, 1, self._format))

    def of_nan(self, samples: int) -> tuple[str, ...]:
        """Note or refuse the loss of samples that are NaN, unless ``WriteOptions.nan`` is stored for them."""
        if self._options.nan is not None:
            return ()
        from convfilter.picture import sample_losses

        return self._accepted(sample_losses.of_nan(samples, self._format))

    def of_clipping(self, dtype: np.dtype[np.generic], by_engine: int, by_converter: int) -> tuple[str, ...]:
        """Note or refuse the loss of samples that the engine or the ``RowConverter`` clipped."""
        if dtype.kind == "f" and by_converter:
            from convfilter.picture import sample_losses

            return self._accepted(sample_losses.of_infinity(by_converter, self._format))
        if dtype.kind != "f" and by_engine + by_converter and can_leave(self._picture.outline.dtype, dtype):
            from convfilter.picture import sample_losses

            # Samples of the picture outside the output's range are a loss; results are clipped without a note.
            return self._accepted(sample_losses.of_range(self._picture, self._format))
        return ()

    def of_light(self) -> tuple[str, ...]:
        """Note or refuse the loss of colours brighter than their alpha, which straight alpha cannot store."""
        from convfilter.picture import sample_losses

        return self._accepted(sample_losses.of_glow(self._picture, self._format))

    def of_grey_curve(self, icc: bytes | None, *, severe: bool) -> tuple[str, ...]:
        """Note or refuse a grey result whose profile has no tone curve for grey."""
        if not icc or self._options.strip == "all":
            return ()
        from convfilter.picture import losses

        return self._accepted(losses.of_curve(icc, severe=severe))

    def _accepted(self, found: Iterable[Loss]) -> tuple[str, ...]:
        """Return losses as notes, and refuse those that the options do not accept."""
        return notes_of(found, self._options, WriteError)
