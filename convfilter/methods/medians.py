"""Medians of 3x3 and 5x5 whose comparisons stay in registers; see ``loops/median.py``.

Integer samples are read straight from the rows of the source, and medians stored straight into those of the target.
Other samples are loaded as keys into a tile (``rank.py``).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from convfilter.engine.borders import Indices
from convfilter.engine.buffer import LineBuffer, Samples, Scratch
from convfilter.engine.mapped_stage import MappedStage
from convfilter.engine.program import Call, Counting, Moving, Program, Slot
from convfilter.engine.strips import Strip, StripPool
from convfilter.native.loop import Loop
from convfilter.planning import is_wide
from convfilter.planning.stage_plan import StagePlan

_SIGNATURE = "K* i8 i8* i8 i8 i8 i8* i8 i8 i8 i8 K* i8 K* i8 i8"
MEDIAN_3 = Loop("median", "median_3", _SIGNATURE)
MEDIAN_5 = Loop("median", "median_5", _SIGNATURE)
_BY_SIDE = {3: MEDIAN_3, 5: MEDIAN_5}

#: Samples that are sorted at a time, as in ``loops/median.py``.
_CHUNK = 2048
#: Lines of scratch memory.
_LINES = 5
#: Most samples of a vector.
_LANES = 64


def loop_for(plan: StagePlan, ranks: tuple[int, int]) -> Loop | None:
    """Return the loop for ranks of a window, or None."""
    rows, cols = plan.rows, plan.cols
    is_median = ranks[0] == ranks[1] == rows.kernel * cols.kernel // 2
    if plan.algorithm != "network" or rows.kernel != cols.kernel or cols.stride > 1 or not is_median:
        return None
    return _BY_SIDE.get(rows.kernel) if plan.kernel.is_box else None


def direct_crew(loop: Loop, mapped: MappedStage, target: LineBuffer, block_rows: int) -> StripPool | None:
    """Return the crew that reads samples from the source's rows, or None if samples must be loaded into a tile."""
    source, cols = mapped.source, mapped.plan.cols
    places = mapped.col_index[: cols.output + cols.span]
    if source.dtype.kind != "u" or is_wide(source.dtype) or not mapped.stores_samples(target.dtype):
        return None
    first, last = max(0, cols.before), min(places.size, cols.before + cols.input)
    inner = first * source.channels, (last - first) * source.channels  # the samples in source order, without padding
    if inner[1] < _LANES or places.min() < 0 or mapped.row_index.min() < 0:
        return None
    samples = places[:, np.newaxis] * source.channels + np.arange(source.channels)

    def strip() -> Strip:
        scratch, pitch = Scratch(source.dtype), target.row_samples

        def program(rows: int) -> Program:
            where = Moving(mapped.row_index, 0, block_rows * mapped.plan.rows.stride)
            place = target.slot, Counting(0, block_rows * pitch), pitch
            picture = source.slot, source.slot.shape[1] * source.channels, where, mapped.plan.rows.dilation
            return Program([_call(loop, scratch, mapped, picture, rows, samples.ravel(), inner, place)], block_rows)

        return Strip.of_steps(target, mapped.plan.rows.output, block_rows, program, persists=False)

    return StripPool(strip)


def write_medians(
    loop: Loop,
    scratch: Scratch,
    mapped: MappedStage,
    tile: tuple[Samples, int],
    size: tuple[int, int],
    out: tuple[Samples, int],
) -> None:
    """Write the medians of the windows of a tile of integer keys; loops may read some samples beyond the tile.

    Parameters
    ----------
    tile, out : (flat array, pitch)
    size : (rows, samples)
        Of the result.
    """
    keys, pitch = tile
    axis = mapped.plan.rows
    rows = np.arange((size[0] - 1) * axis.stride + axis.span + 1)
    columns = np.arange(max(pitch, _LANES))
    picture = keys, pitch, rows, axis.dilation
    _call(loop, scratch, mapped, picture, size[0], columns, (0, columns.size), (out[0], 0, out[1]), size[1])()


def _call(
    loop: Loop,
    scratch: Scratch,
    mapped: MappedStage,
    picture: tuple[Samples | Slot, int, Indices | Moving, int],
    rows: int,
    places: Indices,
    inner: tuple[int, int],
    place: tuple[Any, Any, int],
    length: int | None = None,
) -> Call:
    """Return the call that writes ``rows`` rows.

    Parameters
    ----------
    picture : (array, pitch, row index, dilation of rows)
    rows : int
    places : int array
        Offset of each padded sample in a row.
    inner : (first, count)
        The padded samples that are consecutive in a row.
    place : (array, start, pitch)
        The target.
    length : int, optional
        Samples of a row of the result.
    """
    source, pitch, index, dilation = picture
    kind, axis, channels = source.dtype, mapped.plan.cols, mapped.source.channels
    reach = axis.dilation * channels
    width = -(-(_CHUNK + (axis.kernel - 1) * reach + 3 * _LANES) // _LANES) * _LANES
    columns = scratch.get("columns", _LINES * width, kind)
    length = length or axis.output * channels
    return Call(
        loop.variant(K=kind),
        (
            source, pitch, index, mapped.plan.rows.stride, dilation, rows, places, *inner, length, reach, columns,
            width, *place,
        ),
    )  # fmt: skip
