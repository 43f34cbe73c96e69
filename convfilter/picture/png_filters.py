"""PNG's row filters on arrays of bytes; their loops are in ``loops/png_filters.py``.

Portable Network Graphics (PNG) Specification, third edition, section 9 (filtering).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from convfilter.native.loop import Loop

APPLY = Loop("png_filters", "apply_filters", "B* i8 i8 i8 i8 i8 B*")
UNDO = Loop("png_filters", "undo_filters", "B* i8 i8 i8 B* B*")

Bytes = np.ndarray[tuple[Any, ...], np.dtype[np.uint8]]


def apply_filters(image: Bytes, distance: int, group: int, most: int, out: Bytes) -> None:
    """Filter rows of samples, which then compress better.

    Parameters
    ----------
    image : (1 + rows, length) array of uint8
        The row above the first one (zeros above the first row of the picture), then the rows.
    distance : int
        Bytes of a pixel, at least 1.
    group : int
        Number of rows that share a filter, chosen by the smallest sum of absolute differences in one of the rows;
        0: all rows get the filter ``most``.
    most : int
        Last filter to choose from, 3 (Average) or 4 (Paeth); if ``group`` is 0, the filter, 0 to 4.
    out : (rows, 1 + length) array of uint8
        Output: each row after its filter byte.

    Raises
    ------
    ValueError
        Sizes or numbers do not fit each other.
    """
    rows, length = image.shape[0] - 1, image.shape[1]
    _require(rows, length, distance, out.shape == (rows, 1 + length) and (3 if group else 0) <= most <= 4)
    APPLY.variant(B=np.uint8)(image, rows, length, distance, group, most, out)


def undo_filters(data: Bytes, distance: int, above: Bytes, out: Bytes) -> int:
    """Undo the filters of rows.

    Parameters
    ----------
    data : (rows, 1 + length) array of uint8
        Each row after its filter byte.
    distance : int
        Bytes of a pixel, at least 1.
    above : (length,) array of uint8
        The row above; zeros above the first row of the picture.
    out : (rows, length) array of uint8
        Output: the rows.

    Returns
    -------
    int
        Number of rows that are written; fewer than all if a row has an invalid filter byte.

    Raises
    ------
    ValueError
        Sizes do not fit each other.
    """
    rows, length = data.shape[0], data.shape[1] - 1
    _require(rows, length, distance, above.shape == (length,) and out.shape == (rows, length))
    return UNDO.variant(B=np.uint8)(data, rows, length, distance, above, out)


def load() -> None:
    """Load the loop of ``undo_filters`` ahead of its first call."""
    UNDO.variant(B=np.uint8)


def _require(rows: int, length: int, distance: int, fits: bool) -> None:
    """Check sizes, since machine code does not check bounds."""
    if rows < 0 or not 1 <= distance <= length or not fits:
        raise ValueError(f"{rows} rows of {length} bytes, {distance} to a pixel, do not fit their arrays")
