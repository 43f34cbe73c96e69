"""Largest or smallest sample under a footprint of any shape, whose rows are runs of taps.

A run of n taps is covered by two overlapping runs of 2**k taps, and these are made by doubling: a run of 2**k taps
consists of two of half the length. Runs of each length are computed once for each row, for all windows that contain
the row. Everything runs over whole vectors of integer samples.
"""

from __future__ import annotations

from convfilter.loops import vectors


def largest_under(
    tile, pitch, tile_rows, step_rows, rows, lengths, starts, length_count, run_rows, run_starts, reach,
    step_cols, channels, cols, line, width, out, out_pitch,
):  # fmt: skip
    """Raise ``out``, initialised to the smallest number, to the largest sample under each window's runs.

    Parameters
    ----------
    tile : flat array
        ``tile_rows`` rows, ``pitch`` samples apart, of ``width`` samples and a vector of padding.
    lengths, starts : arrays
        Different lengths of runs, ascending, in taps ``reach`` samples apart. Runs ``starts[k]`` to
        ``starts[k + 1] - 1`` have length ``lengths[k]``.
    run_rows, run_starts : arrays
        Row of the window in which each run lies, and the sample of that row on which it begins.
    line : flat array
        Scratch for a row.
    """
    return _under(
        vectors.greater, tile, pitch, tile_rows, step_rows, rows, lengths, starts, length_count, run_rows, run_starts,
        reach, step_cols, channels, cols, line, width, out, out_pitch,
    )  # fmt: skip


def least_under(
    tile, pitch, tile_rows, step_rows, rows, lengths, starts, length_count, run_rows, run_starts, reach,
    step_cols, channels, cols, line, width, out, out_pitch,
):  # fmt: skip
    """Lower ``out``, initialised to the largest number, to the smallest sample; otherwise as ``largest_under``."""
    return _under(
        vectors.lesser, tile, pitch, tile_rows, step_rows, rows, lengths, starts, length_count, run_rows, run_starts,
        reach, step_cols, channels, cols, line, width, out, out_pitch,
    )  # fmt: skip


def _under(
    choose, tile, pitch, tile_rows, step_rows, rows, lengths, starts, length_count, run_rows, run_starts, reach,
    step_cols, channels, cols, line, width, out, out_pitch,
):  # fmt: skip
    lanes = vectors.lanes(tile)
    for row in range(tile_rows):
        for x in range(0, width, lanes):
            vectors.write(line, x, vectors.read(tile, row * pitch + x))
        taps = 1
        for number in range(length_count):
            while 2 * taps <= lengths[number]:
                _double(choose, line, taps * reach, width, lanes)
                taps *= 2
            rest = (lengths[number] - taps) * reach
            for run in range(starts[number], starts[number + 1]):
                below = row - run_rows[run]
                if below >= 0 and below % step_rows == 0 and below // step_rows < rows:
                    to = below // step_rows * out_pitch
                    if step_cols == 1:
                        _merge_run(choose, line, run_starts[run], rest, out, to, cols * channels, lanes)
                    else:
                        _merge_decimated(choose, line, run_starts[run], rest, out, to, cols, step_cols, channels, lanes)
    return 0


def _double(choose, line, apart, width, lanes):
    """Replace each sample by the extreme of itself and the sample ``apart`` behind it; the tail is undefined."""
    for x in range(0, width, lanes):
        vectors.write(line, x, choose(vectors.read(line, x), vectors.read(line, x + apart)))


def _merge_run(choose, line, at, rest, out, to, length, lanes):
    whole = length - length % lanes
    for x in range(0, whole, lanes):
        run = choose(vectors.read(line, at + x), vectors.read(line, at + rest + x))
        vectors.write(out, to + x, choose(vectors.read(out, to + x), run))
    if whole < length:
        run = choose(vectors.read(line, at + whole), vectors.read(line, at + rest + whole))
        vectors.write_part(out, to + whole, choose(vectors.read(out, to + whole), run), length - whole)


def _merge_decimated(choose, line, at, rest, out, to, cols, step, channels, lanes):
    """Do the same as ``_merge_run`` for every ``step``-th pixel: one pixel of each vector is used."""
    for col in range(cols):
        x = at + col * step * channels
        for channel in range(0, channels, lanes):
            run = choose(vectors.read(line, x + channel), vectors.read(line, x + rest + channel))
            place = to + col * channels + channel
            vectors.write_part(out, place, choose(vectors.read(out, place), run), channels - channel)
