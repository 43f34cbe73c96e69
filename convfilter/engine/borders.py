"""Padding modes as index maps: which source row or column stands at each place of the padded picture."""

from __future__ import annotations

from collections.abc import Iterator
from math import gcd
from typing import TYPE_CHECKING, Any

import numpy as np

from convfilter.planning.arithmetic import AxisPlan
from convfilter.record import NamedTuple

if TYPE_CHECKING:
    import numpy.typing as npt

Indices = np.ndarray[tuple[Any, ...], np.dtype[np.int64]]

#: Index map entry of a padded place that holds the padding value.
CONSTANT = -1


def index_map(length: int, before: int, total: int, mode: str, step: int = 1) -> Indices:
    """Return the source index at each of ``total`` places of a padded axis.

    Parameters
    ----------
    length : int
        Samples on the axis, at least 1.
    before : int
        Places in front of the first sample.
    total : int
        Places of the padded axis.
    mode : {"edge", "constant", "reflect", "symmetric", "wrap"}
        As in ``numpy.pad``, also where the pad is wider than the axis.
    step : int
        Places from one sample to the next; those between hold the padding value. Above 1 the mode is "constant".

    Returns
    -------
    (total,) int64 array
        Indices in 0..length-1, or ``CONSTANT``.
    """
    place = np.arange(-before, total - before, dtype=np.int64)
    if step > 1:
        return np.where((place >= 0) & (place < length * step) & (place % step == 0), place // step, CONSTANT)
    if mode == "edge":
        return np.clip(place, 0, length - 1)
    if mode == "constant":
        return np.where((place >= 0) & (place < length), place, CONSTANT)
    if mode == "wrap":
        return place % length
    if mode == "symmetric":
        place %= 2 * length
        return np.minimum(place, 2 * length - 1 - place)
    if length == 1:  # nothing to reflect about: numpy.pad repeats the sample
        return np.zeros(total, np.int64)
    place %= 2 * (length - 1)
    return np.minimum(place, 2 * (length - 1) - place)


def gather(
    image: npt.NDArray[Any], rows: Indices, cols: Indices, padding_value: float, dtype: npt.DTypeLike
) -> npt.NDArray[Any]:
    """Return the samples at some rows and columns of the padded picture.

    Parameters
    ----------
    image : (rows, cols, ...) array
        In a stack it may have no row, if only padding is requested.
    rows, cols : Indices
        Slices of index maps; ``CONSTANT`` stands for ``padding_value``.
    dtype : dtype
        Of the result, (rows.size, cols.size, ...).
    """
    picked = np.full((rows.size, cols.size, *image.shape[2:]), padding_value, dtype)
    inside = np.flatnonzero(rows != CONSTANT), np.flatnonzero(cols != CONSTANT)
    picked[np.ix_(*inside)] = image[np.ix_(rows[inside[0]], cols[inside[1]])]
    return picked


class DilationPhase(NamedTuple):
    """Output rows ``first``, ``first + spacing``, ..., whose dilated windows read the same ``places``.

    Each window begins ``step`` places after the one before. With dilation 2 and stride 1, rows 0, 2, 4, ... are one
    phase and rows 1, 3, 5, ... the other.
    """

    first: int
    spacing: int
    outputs: int
    places: Indices
    step: int


def dilation_phases(axis: AxisPlan, count: int) -> Iterator[DilationPhase]:
    """Split ``count`` output rows into phases: a single phase, unless windows are dilated."""
    common = gcd(axis.stride, axis.dilation)
    spacing, step = axis.dilation // common, axis.stride // common
    for first in range(min(spacing, count)):
        outputs = -(-(count - first) // spacing)
        places = first * axis.stride + np.arange((outputs - 1) * step + axis.kernel) * axis.dilation
        yield DilationPhase(first, spacing, outputs, places, step)
