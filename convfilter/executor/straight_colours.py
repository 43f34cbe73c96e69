"""Premultiplied pictures as straight ones, for stages that leave out pixels, and their results premultiplied again."""

from __future__ import annotations

import numpy as np

from convfilter.engine.buffer import Samples
from convfilter.executor.held import Held
from convfilter.executor.stored import stored


class StraightColours:
    """Divides colours by alpha before a stage, and multiplies them by the alpha of its result afterwards.

    Parameters
    ----------
    real : dtype
        Sample type of the stage's input and result.
    full : float
        The value of white in the input, and in the stage's result.
    out_white : float or None
        White in stored integers, by default the full scale of their type.
    """

    def __init__(self, real: np.dtype[np.generic], full: float, out_white: float | None) -> None:
        self.real, self._full, self._out_white = real, full, out_white

    def held(self, held: Held, first: int, last: int) -> Held:
        """Return rows ``first`` to ``last - 1`` with straight colours, which are 0 where alpha is 0."""
        place = slice(first - held.first, last - held.first)
        pixels = held.pixels[place].astype(self.real)
        colours, alpha = pixels[..., :-1], pixels[..., -1:]
        with np.errstate(over="ignore", invalid="ignore"):  # in ignored pixels
            colours *= np.divide(self._full, alpha, out=np.zeros_like(alpha), where=alpha > 0)
        return Held(first, pixels, held.valid[place])

    def store(self, rows: Samples, out: Samples) -> int:
        """Store results of the stage, which are overwritten; return how many samples were clipped."""
        rows[..., :-1] *= rows[..., -1:] / self._full
        out[:], clipped = stored(rows, out.dtype, full=self._full, out_white=self._out_white)
        return clipped
