"""Real values as stored samples: scaled, shifted, mapped, rounded, clipped and counted by a stage of a single tap."""

from __future__ import annotations

import numpy as np

from convfilter.engine.buffer import Samples
from convfilter.executor.run import run_array
from convfilter.filters.kernels import identity
from convfilter.filters.operators import Correlation
from convfilter.filters.stage import Stage
from convfilter.planning.plan_cache import cached_plan

#: The stage for values that are stored as they are.
UNCHANGED = Stage(Correlation(identity()))


def stored(
    values: Samples, out_dtype: np.dtype[np.generic], stage: Stage = UNCHANGED, *,
    full: float, out_white: float | None, threads: int = 1,
) -> tuple[Samples, int]:  # fmt: skip
    """Store values.

    Parameters
    ----------
    values : (rows, cols, channels) array of real numbers
    out_dtype : dtype
    stage : Stage
        Its scale, offset and map apply.
    full : float
        The value of white.
    out_white : float or None
        White in stored integers, by default the full scale of their type.
    threads : int

    Returns
    -------
    (rows, cols, channels) array, and int
        The samples, and how many were clipped.
    """
    if np.dtype(out_dtype).kind == "f" and (stage.scale, stage.offset, stage.map) == (1, 0, None):
        return values.astype(out_dtype), 0
    values = values.astype(np.float64)
    single = Stage(UNCHANGED.operator, scale=stage.scale, offset=stage.offset, map=stage.map)
    plan = cached_plan([single], values.shape, values.dtype, out_dtype=out_dtype, white=full, out_white=out_white)
    result = run_array(plan, values, out_dtype=out_dtype, threads=threads)
    return result.pixels, result.clipped
