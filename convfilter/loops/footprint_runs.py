"""Erosion and dilation by a footprint of any shape: the smallest or largest sample under its runs of adjacent taps.

Two overlapping runs of 2**k taps cover a run of n taps, and a run of 2**k taps consists of two of half the length. The
extremes of runs of each length are computed once for each row, for all windows that contain the row. Loops run over
whole vectors of integer samples.
"""

from __future__ import annotations

from convfilter.loops import vectors


def largest_under(
    tile, pitch, tile_rows, row_stride, rows, lengths, starts, length_count, run_rows, run_starts, tap_pitch,
    col_stride, channels, cols, line, width, out, out_pitch,
):  # fmt: skip
    """Raise ``out``, initialised to the smallest number, to the largest sample under the runs of each window.

    Parameters
    ----------
    tile : flat array
        ``tile_rows`` rows, ``pitch`` samples apart, of ``width`` samples and a vector of padding.
    lengths, starts : arrays
        Distinct lengths of runs, ascending, in taps; taps are ``tap_pitch`` samples apart. Runs ``starts[k]`` to
        ``starts[k + 1] - 1`` have length ``lengths[k]``.
    run_rows, run_starts : arrays
        For each run, its row in the window, and the sample of that row at which it begins.
    line : flat array
        Scratch for a row.
    """
    return _under(
        vectors.greater, tile, pitch, tile_rows, row_stride, rows, lengths, starts, length_count, run_rows, run_starts,
        tap_pitch, col_stride, channels, cols, line, width, out, out_pitch,
    )  # fmt: skip


def least_under(
    tile, pitch, tile_rows, row_stride, rows, lengths, starts, length_count, run_rows, run_starts, tap_pitch,
    col_stride, channels, cols, line, width, out, out_pitch,
):  # fmt: skip
    """Lower ``out``, initialised to the largest number, to the smallest sample under the runs of each window.

    The arguments are those of ``largest_under``.
    """
    return _under(
        vectors.lesser, tile, pitch, tile_rows, row_stride, rows, lengths, starts, length_count, run_rows, run_starts,
        tap_pitch, col_stride, channels, cols, line, width, out, out_pitch,
    )  # fmt: skip


def _under(
    choose, tile, pitch, tile_rows, row_stride, rows, lengths, starts, length_count, run_rows, run_starts, tap_pitch,
    col_stride, channels, cols, line, width, out, out_pitch,
):  # fmt: skip
    lanes = vectors.lanes(tile)
    for row in range(tile_rows):
        for x in range(0, width, lanes):
            vectors.write(line, x, vectors.read(tile, row * pitch + x))
        taps = 1
        for number in range(length_count):
            while 2 * taps <= lengths[number]:
                _double(choose, line, taps * tap_pitch, width, lanes)
                taps *= 2
            rest = (lengths[number] - taps) * tap_pitch
            for run in range(starts[number], starts[number + 1]):
                below = row - run_rows[run]
                if below >= 0 and below % row_stride == 0 and below // row_stride < rows:
                    to = below // row_stride * out_pitch
                    if col_stride == 1:
                        _merge_run(choose, line, run_starts[run], rest, out, to, cols * channels, lanes)
                    else:
                        _merge_decimated(
                            choose, line, run_starts[run], rest, out, to, cols, col_stride, channels, lanes
                        )
    return 0


def _double(choose, line, distance, width, lanes):
    """Replace each sample by the extreme of itself and the one ``distance`` behind; the last become undefined."""
    for x in range(0, width, lanes):
        vectors.write(line, x, choose(vectors.read(line, x), vectors.read(line, x + distance)))


def _merge_run(choose, line, at, rest, out, to, length, lanes):
    whole = length - length % lanes
    for x in range(0, whole, lanes):
        run = choose(vectors.read(line, at + x), vectors.read(line, at + rest + x))
        vectors.write(out, to + x, choose(vectors.read(out, to + x), run))
    if whole < length:
        run = choose(vectors.read(line, at + whole), vectors.read(line, at + rest + whole))
        vectors.write_part(out, to + whole, choose(vectors.read(out, to + whole), run), length - whole)


def _merge_decimated(choose, line, at, rest, out, to, cols, stride, channels, lanes):
    """Do the same as ``_merge_run`` for every ``stride``-th pixel, one pixel of each vector."""
    for col in range(cols):
        x = at + col * stride * channels
        for channel in range(0, channels, lanes):
            run = choose(vectors.read(line, x + channel), vectors.read(line, x + rest + channel))
            place = to + col * channels + channel
            vectors.write_part(out, place, choose(vectors.read(out, place), run), channels - channel)
