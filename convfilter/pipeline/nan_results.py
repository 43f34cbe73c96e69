"""NaN in results that are stored as integers, which have no NaN."""

from __future__ import annotations

import numpy as np

from convfilter.executor.run import run_array
from convfilter.picture.pixels import Pixels
from convfilter.planning import Plan

#: Largest samples whose sums stay finite in float32.
_LARGE = 1e19


def found(plan: Plan, pixels: Pixels, result: Pixels, alpha: bool, threads: int | None) -> Pixels | None:
    """Return where the colours of a result are NaN; None if none is.

    Parameters
    ----------
    plan : Plan
    pixels, result : (rows, cols[, channels]) array
        The frame before and after the filter.
    alpha : bool
        Whether the last channel of the result is opacity.
    threads : int, optional

    Returns
    -------
    (rows, cols, colours) array of bool, or None
    """
    if not _may_give_nan(pixels):
        return None
    if result.dtype.kind != "f":  # the engine has stored 0 for NaN
        result = run_array(plan, pixels, out_dtype=plan.between, threads=threads).pixels
    colours = np.atleast_3d(result)
    is_nan: Pixels = np.isnan(colours[..., : colours.shape[2] - alpha])
    return is_nan if is_nan.any() else None


def store(pixels: Pixels, is_nan: Pixels, value: float) -> None:
    """Store ``value``, rounded, in place of NaN, in place; ``is_nan`` is from :func:`found`."""
    colours = pixels.reshape(*is_nan.shape[:2], -1)[..., : is_nan.shape[2]]
    colours[is_nan] = np.rint(value)


def _may_give_nan(pixels: Pixels) -> bool:
    """Whether filtering these samples may give NaN: they contain NaN, infinities, or values whose sums overflow."""
    return not float(np.abs(pixels).max()) < _LARGE
