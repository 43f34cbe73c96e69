"""Footprints: rectangles, disks, and the nonzero cells of kernels."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

import numpy as np

from convfilter.errors import ParameterError, shown
from convfilter.filters.kernel import Kernel

if TYPE_CHECKING:
    import numpy.typing as npt

_SIZE = r"(?ai)\d+(x\d+)?"
_DISK = r"(?ai)disk:(.*)"
_NUMBER = r"(?a)[+-]?[\d.]+(/\d+)?"
#: Largest radius of a disk: 1001x1001 cells.
MOST_RADIUS = 500.0
#: Largest side of a rectangle.
_MOST_SIDE = 65535
#: Most cells of a window that is not a rectangle.
_MOST_CELLS = 2**20


def rectangle(rows: int, cols: int) -> Kernel:
    """Return a window of ``rows`` x ``cols`` pixels, each with weight 1.

    Raises
    ------
    ParameterError
        A side below 1, or above 65535.
    """
    for side in (rows, cols):
        if not 1 <= side <= _MOST_SIDE:
            raise ParameterError(f"a window's side must be from 1 to {_MOST_SIDE} pixels, got {side}")
    return Kernel(factors=(np.ones(rows), np.ones(cols)))


def disk(radius: float) -> Kernel:
    """Return the window of all pixels whose centres lie within ``radius`` pixels, each with weight 1.

    Raises
    ------
    ParameterError
        A radius below 0, or above 500.
    """
    if not 0 <= radius <= MOST_RADIUS:  # also refuses NaN
        raise ParameterError(f"a disk's radius must be from 0 to {MOST_RADIUS:g} pixels, got {radius:g}")
    side = np.arange(-math.floor(radius), math.floor(radius) + 1)
    return of_cells(side[:, np.newaxis] ** 2 + side**2 <= radius**2)


def of_cells(cells: npt.ArrayLike) -> Kernel:
    """Return the window of the cells of a (rows, cols) array that are not 0; a 1-D array is one row.

    Raises
    ------
    ParameterError
        All cells are 0, or the array is empty, or has more than two axes or 2**20 cells.
    """
    array = np.asarray(cells)
    array = array[np.newaxis] if array.ndim == 1 else array
    if array.ndim != 2 or array.dtype.kind not in "biuf" or array.size > _MOST_CELLS:
        raise ParameterError(
            f"a footprint is a (rows, cols) array of numbers, at most {_MOST_CELLS} of them, got {array.dtype} "
            f"{array.shape}"
        )
    inside = array != 0
    if not inside.any():
        raise ParameterError(
            "a footprint must have a cell that is not 0, got none; the cells that are not 0 are the pixels that count"
        )
    if inside.all():
        return rectangle(*inside.shape)
    return Kernel(inside.astype(np.float64))


def is_size(text: str) -> bool:
    """Whether a text is a size or a disk, as in ``5``, ``9x3`` or ``disk:2.5``."""
    return re.fullmatch(_SIZE, text) is not None or re.fullmatch(_DISK, text) is not None


def of_text(text: str) -> Kernel:
    """Return the window of a text: ``5``, ``9x3`` (WIDTHxHEIGHT), ``disk:2.5``, or a kernel's file or rows.

    Raises
    ------
    ParameterError
        A size or radius out of range, or a footprint without cells.
    KernelFileError
        No such file, or no usable kernel.
    """
    if re.fullmatch(_SIZE, text):
        sides = [int(side) for side in text.lower().split("x")]
        return rectangle(sides[-1], sides[0])
    match = re.fullmatch(_DISK, text)
    if match is not None:
        try:
            radius = float(match[1])
        except ValueError:
            raise ParameterError(f"a disk's radius must be a number, as in disk:3, got {shown(match[1])}") from None
        return disk(radius)
    if re.fullmatch(_NUMBER, text):  # as a kernel it would be one weight: a footprint of one pixel
        raise ParameterError(f"a window's side must be a whole number from 1 to {_MOST_SIDE} pixels, got {text}")
    from convfilter.filters import kernel_files

    try:
        return of_cells(kernel_files.load(text).kernel.matrix)
    except ParameterError as error:
        error.about(text)
        raise
