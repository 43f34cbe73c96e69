"""Premultiplied pictures as straight ones, for stages that leave out pixels, and their results premultiplied again."""

from __future__ import annotations

import numpy as np

from convfilter.engine.buffer import Samples
from convfilter.executor.held import Held
from convfilter.executor.run import run_array
from convfilter.filters.kernels import identity
from convfilter.filters.operators import Correlation
from convfilter.filters.stage import Stage
from convfilter.planning.plan_cache import cached_plan

#: Its results are the samples themselves, stored.
_UNCHANGED = Stage(Correlation(identity()))


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
        out[:], clipped = self._stored(rows, out.dtype)
        return clipped

    def _stored(self, values: Samples, dtype: np.dtype[np.generic]) -> tuple[Samples, int]:
        """Return real values as stored samples, rounded and clipped, and how many were clipped."""
        if dtype.kind == "f":
            return values.astype(dtype), 0
        values = values.astype(np.float64)
        plan = cached_plan(
            [_UNCHANGED], values.shape, values.dtype, out_dtype=dtype, white=self._full, out_white=self._out_white
        )
        result = run_array(plan, values, out_dtype=dtype, threads=1)
        return result.pixels, result.clipped
