"""Load source rows into a tile: select and pad rows and columns, and convert samples to real numbers."""

from __future__ import annotations

from convfilter.loops import vectors

#: Number of rows between a load and its prefetch, those of one step of a program. Rows are too short for the
#: processor's own prefetcher.
_ROWS_AHEAD = 4


def load(
    source, source_pitch, rows, row_count, cols, col_count, run_start, run_length, channels, constant, tile, pitch
):
    """Copy selected rows and columns of ``source`` into ``tile``.

    ``rows[r]`` and ``cols[p]`` are the source row and column of row r and column p of the tile, or -1 for padding with
    ``constant``. Columns ``run_start`` to ``run_start + run_length - 1`` are adjacent in the source, and copied as one
    run.
    """
    lanes = vectors.lanes(tile)
    for r in range(row_count):
        out = r * pitch
        row = rows[r]
        if row < 0:
            for x in range(col_count * channels):
                tile[out + x] = constant
            continue
        base = row * source_pitch
        start = base
        if run_length > 0:
            start = base + cols[run_start] * channels
        length, to = run_length * channels, out + run_start * channels
        whole = length - length % (4 * lanes)
        for x in range(0, whole, 4 * lanes):
            vectors.prefetch(source, start + x + _ROWS_AHEAD * source_pitch)
            vectors.write(tile, to + x, vectors.read_as(tile, source, start + x))
            vectors.write(tile, to + x + lanes, vectors.read_as(tile, source, start + x + lanes))
            vectors.write(tile, to + x + 2 * lanes, vectors.read_as(tile, source, start + x + 2 * lanes))
            vectors.write(tile, to + x + 3 * lanes, vectors.read_as(tile, source, start + x + 3 * lanes))
        for x in range(whole, length):
            tile[to + x] = source[start + x]
        for part in range(2):
            first = 0 if part == 0 else run_start + run_length
            last = run_start if part == 0 else col_count
            for p in range(first, last):
                col = cols[p]
                for c in range(channels):
                    if col < 0:
                        tile[out + p * channels + c] = constant
                    else:
                        tile[out + p * channels + c] = source[base + col * channels + c]
    return 0


def premultiply(tile, pitch, rows, cols, channels, full):
    """Multiply colours by alpha, the last channel, and alpha by ``full``, so that all have one scale."""
    for r in range(rows):
        if channels == 4:  # a literal, so that the compiler vectorises the loop over pixels
            _premultiply(tile, r * pitch, cols, 4, full)
        elif channels == 2:
            _premultiply(tile, r * pitch, cols, 2, full)
        else:
            _premultiply(tile, r * pitch, cols, channels, full)
    return 0


def _premultiply(tile, start, cols, channels, full):
    for p in range(cols):
        at = start + p * channels
        alpha = tile[at + channels - 1]
        for c in range(channels - 1):
            tile[at + c] = tile[at + c] * alpha
        tile[at + channels - 1] = alpha * full


def luminance(tile, pitch, rows, cols, channels, red, green, blue, out, out_pitch):
    """Write the luminance of three colours, and alpha, if any, multiplied by the sum of the weights."""
    out_channels = channels - 2
    for r in range(rows):
        for p in range(cols):
            at = r * pitch + p * channels
            to = r * out_pitch + p * out_channels
            out[to] = red * tile[at] + green * tile[at + 1] + blue * tile[at + 2]
            for c in range(1, out_channels):
                out[to + c] = (red + green + blue) * tile[at + 2 + c]
    return 0
