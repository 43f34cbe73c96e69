"""Erosion and dilation by a small footprint whose rows are nested sets of taps, such as a disk.

Sorted by their number of taps, each distinct row of the footprint has all taps of the row before it. So one pass over a
row of samples computes the extremes under all distinct rows. They are stored in panels, each one vector wide and as
tall as the tile: the extremes that a window needs lie close together in memory, and its result stays in a register
until it is stored.
"""

from __future__ import annotations

from convfilter.loops import vectors


def largest_of_nested(
    tile, pitch, tile_rows, row_stride, rows, taps, ends, distinct, run_index, window_rows, strip, panels, panel, out,
    length, out_pitch,
):  # fmt: skip
    """Write the largest sample under each window.

    Parameters
    ----------
    tile : flat array
        ``tile_rows`` rows, ``pitch`` samples apart, and four vectors of padding.
    taps, ends : arrays
        Offsets of the taps in samples; distinct row ``k`` of ``distinct`` has the first ``ends[k]`` of them.
    run_index : array
        For each of ``window_rows`` rows of the window: its row in the tile times ``distinct``, plus the number of its
        distinct row.
    strip : int
        Number of vectors of a result row that are computed together, a multiple of four.
    panels : flat array
        Scratch for ``strip`` panels of ``panel`` samples.
    out : flat array
        ``rows`` rows of ``length`` samples, ``out_pitch`` samples apart.
    """
    return _of_nested(
        vectors.greater, tile, pitch, tile_rows, row_stride, rows, taps, ends, distinct, run_index, window_rows, strip,
        panels, panel, out, length, out_pitch,
    )  # fmt: skip


def least_of_nested(
    tile, pitch, tile_rows, row_stride, rows, taps, ends, distinct, run_index, window_rows, strip, panels, panel, out,
    length, out_pitch,
):  # fmt: skip
    """Write the smallest sample under each window; the arguments are those of ``largest_of_nested``."""
    return _of_nested(
        vectors.lesser, tile, pitch, tile_rows, row_stride, rows, taps, ends, distinct, run_index, window_rows, strip,
        panels, panel, out, length, out_pitch,
    )  # fmt: skip


def _of_nested(
    choose, tile, pitch, tile_rows, row_stride, rows, taps, ends, distinct, run_index, window_rows, strip, panels,
    panel, out, length, out_pitch,
):  # fmt: skip
    lanes = vectors.lanes(tile)
    distance = row_stride * distinct * lanes
    for left in range(0, length, strip * lanes):
        wide = min(strip * lanes, length - left)
        for row in range(tile_rows):
            for x in range(0, wide, 4 * lanes):
                place = x // lanes * panel + row * distinct * lanes
                _store_four(choose, tile, row * pitch + left + x, taps, ends, distinct, panels, place, panel, lanes)
        for x in range(0, wide, lanes):
            at, to = x // lanes * panel, left + x
            row = 0
            while wide - x >= lanes and row + 4 <= rows:
                _compare_four(
                    choose,
                    panels,
                    at + row * distance,
                    distance,
                    run_index,
                    window_rows,
                    out,
                    to + row * out_pitch,
                    out_pitch,
                )
                row += 4
            while row < rows:
                extreme = vectors.read(panels, at + row * distance + run_index[0] * lanes)
                for window_row in range(1, window_rows):
                    extreme = choose(extreme, vectors.read(panels, at + row * distance + run_index[window_row] * lanes))
                vectors.write_part(out, to + row * out_pitch, extreme, wide - x)
                row += 1
    return 0


def _store_four(choose, tile, at, taps, ends, distinct, panels, to, panel, lanes):
    """Store the extremes under each distinct row at four adjacent vectors, in four panels."""
    i = at + taps[0]
    first, second = vectors.read(tile, i), vectors.read(tile, i + lanes)
    third, fourth = vectors.read(tile, i + 2 * lanes), vectors.read(tile, i + 3 * lanes)
    done = 1
    for number in range(distinct):
        for tap in range(done, ends[number]):
            i = at + taps[tap]
            first = choose(first, vectors.read(tile, i))
            second = choose(second, vectors.read(tile, i + lanes))
            third = choose(third, vectors.read(tile, i + 2 * lanes))
            fourth = choose(fourth, vectors.read(tile, i + 3 * lanes))
        done = ends[number]
        place = to + number * lanes
        vectors.write(panels, place, first)
        vectors.write(panels, place + panel, second)
        vectors.write(panels, place + 2 * panel, third)
        vectors.write(panels, place + 3 * panel, fourth)


def _compare_four(choose, panels, at, distance, run_index, window_rows, out, to, out_pitch):
    """Store the results of four windows, one below the other."""
    lanes = vectors.lanes(panels)
    i = at + run_index[0] * lanes
    first, second = vectors.read(panels, i), vectors.read(panels, i + distance)
    third, fourth = vectors.read(panels, i + 2 * distance), vectors.read(panels, i + 3 * distance)
    for window_row in range(1, window_rows):
        i = at + run_index[window_row] * lanes
        first = choose(first, vectors.read(panels, i))
        second = choose(second, vectors.read(panels, i + distance))
        third = choose(third, vectors.read(panels, i + 2 * distance))
        fourth = choose(fourth, vectors.read(panels, i + 3 * distance))
    vectors.write(out, to, first)
    vectors.write(out, to + out_pitch, second)
    vectors.write(out, to + 2 * out_pitch, third)
    vectors.write(out, to + 3 * out_pitch, fourth)
