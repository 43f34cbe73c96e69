"""Medians of 3x3 and 5x5 whose comparisons stay in registers; see ``loops/median_3.py`` and ``median_5.py``.

Integer samples are read straight from the rows of the source, and medians stored straight into those of the target.
Other samples are loaded as keys into a tile (``rank.py``).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from convfilter.engine.borders import Indices
from convfilter.engine.buffer import LineBuffer, Samples, Scratch
from convfilter.engine.mapped_stage import MappedStage
from convfilter.engine.node import Crew
from convfilter.engine.program import Call, Counting, Moving, Slot
from convfilter.engine.strips import Strip, step_programs, whole_rows
from convfilter.native.loop import Loop
from convfilter.planning import AxisPlan
from convfilter.planning.stage_plan import StagePlan
from convfilter.sample_types import is_wide

_SIGNATURE = "K* i8 i8* i8 i8 i8 i8* i8 i8 i8 i8 K* i8 K* i8 i8"
MEDIAN_3 = Loop("median_3", "median_3", _SIGNATURE)
MEDIAN_5 = Loop("median_5", "median_5", _SIGNATURE)
MASKED_MEDIAN_3 = Loop("median_3", "masked_median_3", f"{_SIGNATURE} u1* i8 i8 K* i8 i8* i8")
MASKED_MEDIAN_5 = Loop("median_5", "masked_median_5", f"{_SIGNATURE} u1* i8 i8 K* i8 i8* i8")
_BY_SIDE = {3: MEDIAN_3, 5: MEDIAN_5}
_WITH_MASK = {3: MASKED_MEDIAN_3, 5: MASKED_MEDIAN_5}

#: Samples that are sorted at a time, as in ``loops/median_5.py``.
_CHUNK = 2048
#: Lines of scratch memory.
_LINES = 6
#: Most samples of a vector, and least of a row of the source.
LANES = 64


def loop_for(plan: StagePlan, ranks: tuple[int, int]) -> Loop | None:
    """Return the loop for ranks of a window, without a mask, or None."""
    rows, cols = plan.rows, plan.cols
    is_median = ranks[0] == ranks[1] == rows.kernel * cols.kernel // 2
    if plan.algorithm != "network" or rows.kernel != cols.kernel or cols.stride > 1 or not is_median:
        return None
    return _BY_SIDE.get(rows.kernel) if plan.kernel.is_box else None


def direct_crew(loop: Loop, mapped: MappedStage, target: LineBuffer, block_rows: int, threads: int) -> Crew | None:
    """Return the crew that reads samples from the source's rows, or None if samples must be loaded into a tile."""
    source = mapped.source
    if source.dtype.kind != "u" or is_wide(source.dtype) or not mapped.stores_samples(target.dtype):
        return None
    samples, inner = samples_of(mapped.plan.cols, mapped.col_index, source.channels)
    if inner[1] < LANES or samples.min() < 0 or mapped.row_index.min() < 0:
        return None

    def strip() -> Strip:
        scratch, pitch = Scratch(source.dtype), target.row_samples

        def calls(rows: int) -> list[Call]:
            where = Moving(mapped.row_index, 0, block_rows * mapped.plan.rows.stride)
            place = target.slot, Counting(0, block_rows * pitch), pitch
            picture = source.slot, source.slot.shape[1] * source.channels, where, mapped.plan.rows.dilation
            return [_call(loop, scratch, mapped.plan, source.channels, picture, rows, samples, inner, place)]

        return Strip(target, step_programs(mapped.plan.rows.output, calls, block_rows), persists=False)

    return whole_rows(strip, threads)


def samples_of(axis: AxisPlan, index: Indices, channels: int) -> tuple[Indices, tuple[int, int]]:
    """Return the index of each sample of a padded row in the source row, and those in source order.

    The latter lie between the padding: the first, and their number. Padding of a constant value has negative indices.
    """
    places = index[: axis.output + axis.span]
    first, last = max(0, axis.before), min(places.size, axis.before + axis.input)
    samples = places[:, np.newaxis] * channels + np.arange(channels)
    return samples.ravel(), (first * channels, (last - first) * channels)


def write_masked_medians(
    plan: StagePlan,
    picture: tuple[Samples, Samples],
    rows: Indices,
    places: Indices,
    inner: tuple[int, int],
    out: Samples,
    *,
    leaves_out: bool,
) -> None:
    """Write medians of the valid samples of windows; they are undefined where a window has no valid sample.

    Parameters
    ----------
    plan : StagePlan
        Its windows have a loop; see :func:`loop_for`.
    picture : (pixels, valid)
        A C-contiguous (rows, cols, channels) array of uint8 or uint16, or of the keys of float32, and a (rows, cols)
        array of bool.
    rows : int array
        Row of the picture for each place that windows read.
    places, inner
        Of the samples of a padded row; see :func:`samples_of`.
    out : (rows, cols, channels) array
        Of the same type.
    leaves_out : bool
        Whether the result is 0 where the pixel at the centre is ignored.
    """
    (pixels, valid), (count, cols, channels) = picture, out.shape
    scratch, width = Scratch(pixels.dtype), valid.shape[1]
    source, target = (pixels, width * channels, rows, plan.rows.dilation), (out, 0, cols * channels)
    loop, ring = _WITH_MASK[plan.rows.kernel], 4 * plan.rows.dilation + 1
    call = _call(loop, scratch, plan, channels, source, count, places, inner, target)
    pitch = (places.size // LANES + 2) * LANES
    holes, hole_rows = scratch.get("holes", (ring + 1) * pitch), np.empty(ring, np.int64)
    mask = valid.view(np.uint8), width, channels, holes, pitch, hole_rows, int(leaves_out)
    call.loop(*call.arguments, *mask)


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
    columns = np.arange(max(pitch, LANES))
    picture = keys, pitch, rows, axis.dilation
    inner, target, channels = (0, columns.size), (out[0], 0, out[1]), mapped.source.channels
    _call(loop, scratch, mapped.plan, channels, picture, size[0], columns, inner, target, size[1])()


def _call(
    loop: Loop,
    scratch: Scratch,
    plan: StagePlan,
    channels: int,
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
    kind, axis = source.dtype, plan.cols
    reach = axis.dilation * channels
    width = -(-(_CHUNK + (axis.kernel - 1) * reach + 3 * LANES) // LANES) * LANES
    columns = scratch.get("columns", _LINES * width, kind)
    length = length or axis.output * channels
    return Call(
        loop.variant(K=kind),
        (
            source, pitch, index, plan.rows.stride, dilation, rows, places, *inner, length, reach, columns,
            width, *place,
        ),
    )  # fmt: skip
