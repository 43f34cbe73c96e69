"""Largest or smallest sample under a small footprint, whose rows are nested sets of taps, such as a disk.

Sorted by length, each different row of the footprint has all taps of the one before it. So one pass over a row of
samples computes the extremes under all of them. They are stored in panels, each one vector wide and as tall as the
tile: the extremes under one window lie close together in memory, and a result stays in a register until it is stored.
"""

from __future__ import annotations

from convfilter.loops import vectors


def largest_of_nested(
    tile, pitch, tile_rows, step_rows, rows, taps, ends, count, places, runs, strip, panels, panel, out, length,
    out_pitch,
):  # fmt: skip
    """Write the largest sample under each window.

    Parameters
    ----------
    tile : flat array
        ``tile_rows`` rows, ``pitch`` samples apart, and four vectors of padding.
    taps, ends : arrays
        Offsets of the taps in samples; row ``k`` of the ``count`` different rows has the first ``ends[k]`` of them.
    places : array
        For each of ``runs`` rows of the window, its number times ``count``, plus the number of the different row.
    strip : int
        Vectors of a result row that are computed together: a multiple of four.
    panels : flat array
        Scratch for ``strip`` panels of ``panel`` samples.
    out : flat array
        ``rows`` rows of ``length`` samples, ``out_pitch`` apart.
    """
    return _of_nested(
        vectors.greater, tile, pitch, tile_rows, step_rows, rows, taps, ends, count, places, runs, strip, panels, panel,
        out, length, out_pitch,
    )  # fmt: skip


def least_of_nested(
    tile, pitch, tile_rows, step_rows, rows, taps, ends, count, places, runs, strip, panels, panel, out, length,
    out_pitch,
):  # fmt: skip
    """Write the smallest sample; otherwise as ``largest_of_nested``."""
    return _of_nested(
        vectors.lesser, tile, pitch, tile_rows, step_rows, rows, taps, ends, count, places, runs, strip, panels, panel,
        out, length, out_pitch,
    )  # fmt: skip


def _of_nested(
    choose, tile, pitch, tile_rows, step_rows, rows, taps, ends, count, places, runs, strip, panels, panel,
    out, length, out_pitch,
):  # fmt: skip
    lanes = vectors.lanes(tile)
    apart = step_rows * count * lanes
    for left in range(0, length, strip * lanes):
        wide = min(strip * lanes, length - left)
        for row in range(tile_rows):
            for x in range(0, wide, 4 * lanes):
                place = x // lanes * panel + row * count * lanes
                _store_four(choose, tile, row * pitch + left + x, taps, ends, count, panels, place, panel, lanes)
        for x in range(0, wide, lanes):
            at, to = x // lanes * panel, left + x
            row = 0
            while wide - x >= lanes and row + 4 <= rows:
                _compare_four(
                    choose, panels, at + row * apart, apart, places, runs, out, to + row * out_pitch, out_pitch
                )
                row += 4
            while row < rows:
                extreme = vectors.read(panels, at + row * apart + places[0] * lanes)
                for run in range(1, runs):
                    extreme = choose(extreme, vectors.read(panels, at + row * apart + places[run] * lanes))
                vectors.write_part(out, to + row * out_pitch, extreme, wide - x)
                row += 1
    return 0


def _store_four(choose, tile, at, taps, ends, count, panels, to, panel, lanes):
    """Store the extremes of each row of taps, in four panels."""
    i = at + taps[0]
    first, second = vectors.read(tile, i), vectors.read(tile, i + lanes)
    third, fourth = vectors.read(tile, i + 2 * lanes), vectors.read(tile, i + 3 * lanes)
    done = 1
    for number in range(count):
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


def _compare_four(choose, panels, at, apart, places, runs, out, to, out_pitch):
    """Store four results, one below the other."""
    lanes = vectors.lanes(panels)
    i = at + places[0] * lanes
    first, second = vectors.read(panels, i), vectors.read(panels, i + apart)
    third, fourth = vectors.read(panels, i + 2 * apart), vectors.read(panels, i + 3 * apart)
    for run in range(1, runs):
        i = at + places[run] * lanes
        first = choose(first, vectors.read(panels, i))
        second = choose(second, vectors.read(panels, i + apart))
        third = choose(third, vectors.read(panels, i + 2 * apart))
        fourth = choose(fourth, vectors.read(panels, i + 3 * apart))
    vectors.write(out, to, first)
    vectors.write(out, to + out_pitch, second)
    vectors.write(out, to + 2 * out_pitch, third)
    vectors.write(out, to + 3 * out_pitch, fourth)
