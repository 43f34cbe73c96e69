"""Load samples into a tile, with their mask as a further channel or with zeros in place of ignored ones."""

from __future__ import annotations

from convfilter.loops import vectors
from convfilter.loops.mask import _expand

#: Number of rows between a load and its prefetch, as in ``load.py``.
_ROWS_AHEAD = 4
#: Number of samples of a prefetch, at least a cache line.
_LINE = 64


def load_masked(
    source, source_pitch, valid, valid_pitch, rows, row_count, cols, col_count, run_start, run_length, channels,
    constant, zero, line, tile, pitch,
):  # fmt: skip
    """Copy selected rows and columns of ``source`` into ``tile``, with the mask ``valid`` as a further channel.

    All channels of ignored pixels become ``zero``. ``line`` is scratch for a row; the other arguments are those of
    ``load``.
    """
    for r in range(row_count):
        out = r * pitch
        row = rows[r]
        if row < 0:
            for x in range(col_count * (channels + 1)):
                tile[out + x] = constant
            continue
        base, valid_row = row * source_pitch, row * valid_pitch
        if run_length > 0:
            first = cols[run_start]
            start, valid_start, to = base + first * channels, valid_row + first, out + run_start * (channels + 1)
            for x in range(0, run_length * channels, _LINE):
                vectors.prefetch(source, start + x + _ROWS_AHEAD * source_pitch)
            for p in range(0, run_length, _LINE):
                vectors.prefetch(valid, valid_start + p + _ROWS_AHEAD * valid_pitch)
            if channels == 3:  # a constant, so that the compiler unrolls the channels
                _join(source, start, valid, valid_start, run_length, 3, zero, line)
            elif channels == 1:
                _join(source, start, valid, valid_start, run_length, 1, zero, line)
            else:
                _join(source, start, valid, valid_start, run_length, channels, zero, line)
            _convert(line, run_length * (channels + 1), tile, to)
        for part in range(2):
            begin = 0 if part == 0 else run_start + run_length
            end = run_start if part == 0 else col_count
            for p in range(begin, end):
                col, at = cols[p], out + p * (channels + 1)
                if col < 0:
                    for c in range(channels + 1):
                        tile[at + c] = constant
                    continue
                _join(source, base + col * channels, valid, valid_row + col, 1, channels, zero, line)
                for c in range(channels + 1):
                    tile[at + c] = line[c]
    return 0


def load_filled(
    source, source_pitch, valid, valid_pitch, rows, row_count, cols, col_count, run_start, run_length, channels,
    constant, unit, zero, line, tile, pitch, marks,
):  # fmt: skip
    """Copy selected rows and columns of ``source`` into ``tile``, with ``zero`` in place of ignored samples.

    ``unit`` is added to valid samples, padding included.
    ``marks`` is scratch for the mask of a row's samples and a vector more; other arguments are those of
    ``load_masked``.
    """
    for r in range(row_count):
        out = r * pitch
        row = rows[r]
        if row < 0:
            for x in range(col_count * channels):
                tile[out + x] = constant + unit
            continue
        base, valid_row = row * source_pitch, row * valid_pitch
        if run_length > 0:
            first = cols[run_start]
            start, valid_start = base + first * channels, valid_row + first
            for x in range(0, run_length * channels, _LINE):
                vectors.prefetch(source, start + x + _ROWS_AHEAD * source_pitch)
            for p in range(0, run_length, _LINE):
                vectors.prefetch(valid, valid_start + p + _ROWS_AHEAD * valid_pitch)
            _expand(valid, valid_start, run_length, channels, marks, 0)
            for x in range(run_length * channels):
                sample = source[start + x]  # also where it is ignored, so that the compiler vectorises the choice
                line[x] = sample if marks[x] != 0 else zero
            if unit > 0:
                _convert_counted(line, marks, run_length * channels, unit, tile, out + run_start * channels)
            else:
                _convert(line, run_length * channels, tile, out + run_start * channels)
        for part in range(2):
            begin = 0 if part == 0 else run_start + run_length
            end = run_start if part == 0 else col_count
            for p in range(begin, end):
                col, at = cols[p], out + p * channels
                for c in range(channels):
                    if col < 0:
                        tile[at + c] = constant + unit
                    elif valid[valid_row + col] != 0:
                        tile[at + c] = source[base + col * channels + c] + unit
                    else:
                        tile[at + c] = zero
    return 0


def _join(source, i, valid, v, cols, channels, zero, line):
    if vectors.lanes(source) > vectors.lanes(valid) // 4:
        for p in range(cols):
            is_valid = valid[v + p]
            for c in range(channels):
                line[p * (channels + 1) + c] = source[i + p * channels + c] * is_valid
            line[p * (channels + 1) + channels] = is_valid
    else:  # samples of four bytes and more may be NaN; for smaller ones, the choice takes three times as long
        for p in range(cols):
            is_valid = valid[v + p]
            for c in range(channels):
                sample = source[i + p * channels + c]
                line[p * (channels + 1) + c] = sample if is_valid != 0 else zero
            line[p * (channels + 1) + channels] = is_valid


def _convert(line, length, tile, to):
    """Write the samples of a row to the tile, converted to its type."""
    lanes = vectors.lanes(tile)
    whole = length - length % (4 * lanes)
    for x in range(0, whole, 4 * lanes):
        vectors.write(tile, to + x, vectors.read_as(tile, line, x))
        vectors.write(tile, to + x + lanes, vectors.read_as(tile, line, x + lanes))
        vectors.write(tile, to + x + 2 * lanes, vectors.read_as(tile, line, x + 2 * lanes))
        vectors.write(tile, to + x + 3 * lanes, vectors.read_as(tile, line, x + 3 * lanes))
    for x in range(whole, length):
        tile[to + x] = line[x]


def _convert_counted(line, marks, length, unit, tile, to):
    """Do the same as ``_convert``, and add ``unit`` to valid samples."""
    lanes = vectors.lanes(tile)
    units = vectors.spread(tile, unit)
    whole = length - length % lanes
    for x in range(0, whole, lanes):
        counts = vectors.multiply(vectors.read_as(tile, marks, x), units)
        vectors.write(tile, to + x, vectors.add(vectors.read_as(tile, line, x), counts))
    for x in range(whole, length):
        tile[to + x] = line[x] + unit * marks[x]
