"""Layouts of footprints for the loops of morphology: runs of consecutive taps, and nested rows in panels."""

from __future__ import annotations

from itertools import groupby

import numpy as np

from convfilter.engine.borders import Indices
from convfilter.engine.buffer import Samples
from convfilter.loops.vectors import vector_bytes
from convfilter.planning.methods.morphology import PANELS_BYTES

#: Most bytes of a row of a strip: sixteen panels with vectors of 64 bytes.
_STRIP_BYTES = 1024
#: Number of panels that the loop fills at once.
_PANELS_AT_ONCE = 4


def strip_panels(panel_bytes: int) -> int:
    """Return the number of panels of a strip: 0 if a footprint's rows are not nested, or panels do not fit a cache."""
    panels = min(PANELS_BYTES // panel_bytes, _STRIP_BYTES // vector_bytes()) if panel_bytes else 0
    return panels // _PANELS_AT_ONCE * _PANELS_AT_ONCE


def nested_of(cells: Samples) -> tuple[Indices, Indices, Indices, Indices] | None:
    """Return the nested rows of a footprint: each row has all taps of the rows with fewer. None if rows are not nested.

    Returns
    -------
    taps : int array
        Columns of the taps, ordered so that each row has the first few.
    ends : int array
        Number of taps of each different row, rising.
    rows, numbers : int arrays
        For each row with taps: its place in the footprint, and its number among the different rows.
    """
    rows = np.flatnonzero(cells.any(axis=1))
    different = np.unique(cells[rows], axis=0)
    ends = np.sort(different.sum(axis=1))
    different = different[np.argsort(different.sum(axis=1))]
    if (different[:-1] & ~different[1:]).any():
        return None
    taps = np.argsort(-different.sum(axis=0), kind="stable")[: ends[-1]]
    return taps, ends, rows, np.searchsorted(ends, cells[rows].sum(axis=1))


def runs_of(cells: Samples) -> tuple[Indices, Indices, Indices, Indices]:
    """Return the runs of a footprint, sorted by length.

    Returns
    -------
    lengths : int array
        The different lengths.
    starts : int array
        Index of the first run of each length, and the number of runs.
    rows, cols : int arrays
        Place of the first tap of each run.
    """
    runs = []
    for row, inside in enumerate(cells):
        edges = np.flatnonzero(np.diff(np.concatenate([[0], inside.astype(np.int8), [0]])))
        runs += [(int(end - start), row, int(start)) for start, end in edges.reshape(-1, 2)]
    runs.sort()
    counts = {length: len([*some]) for length, some in groupby(runs, key=lambda run: run[0])}
    lengths, rows, cols = (np.array(each, np.int64) for each in (list(counts), *list(zip(*runs, strict=True))[1:]))
    return lengths, np.cumsum([0, *counts.values()]), rows, cols
