"""Masks of ignored pixels: made from values, joined to pixels as a further channel, and split from them.

Samples are copied as bit patterns. ``-valid`` has all bits set for a valid pixel and none for an ignored one, so one
bitwise operation selects samples of any type without a branch.
"""

from __future__ import annotations

import numpy as np

from convfilter.loops import vectors

#: Number of pixels that ``fill_ignored`` skips at once if all of them are valid.
_TOGETHER = 256
#: Number of rows between a load and its prefetch, and of samples of a prefetch, as in ``load_masked.py``.
_ROWS_AHEAD, _LINE = 4, 64
#: Pixels of a row that are filled between two prefetches: more would wait for each other.
_CHUNK = 512


def append_mask(
    source, first, pitch, valid, first_valid, valid_pitch, rows, cols, channels, opaque, out, start, out_pitch
):
    """Append the mask to pixels of ``channels`` samples: ``opaque[0]`` for valid pixels; ignored pixels become 0.

    ``first`` and ``first_valid`` are the indices of the first pixel in ``source`` and ``valid``.
    """
    full = opaque[0]
    for r in range(rows):
        i, v, o = first + r * pitch, first_valid + r * valid_pitch, start + r * out_pitch
        if channels == 3:  # a constant, so that the compiler unrolls the channels
            _append_mask(source, i, valid, v, cols, 3, full, out, o)
        elif channels == 1:
            _append_mask(source, i, valid, v, cols, 1, full, out, o)
        else:
            _append_mask(source, i, valid, v, cols, channels, full, out, o)
    return 0


def _append_mask(source, i, valid, v, cols, channels, full, out, o):
    for p in range(cols):
        bits = -np.int64(valid[v + p])
        for c in range(channels):
            out[o + p * (channels + 1) + c] = source[i + p * channels + c] & bits
        out[o + p * (channels + 1) + channels] = full & bits


def drop_mask(source, pitch, rows, cols, channels, out, start, out_pitch):
    """Copy the first ``channels`` samples of pixels of ``channels + 1`` samples."""
    for r in range(rows):
        i, o = r * pitch, start + r * out_pitch
        if channels == 3:
            _drop_mask(source, i, cols, 3, out, o)
        elif channels == 1:
            _drop_mask(source, i, cols, 1, out, o)
        else:
            _drop_mask(source, i, cols, channels, out, o)
    return 0


def _drop_mask(source, i, cols, channels, out, o):
    for p in range(cols):
        for c in range(channels):
            out[o + p * channels + c] = source[i + p * (channels + 1) + c]


def split_mask(joined, count, channels, other, pixels, valid):
    """Split ``count`` pixels, whose last sample is the mask, and whose colours are 0 where the mask is 0.

    The colours are written to ``pixels``, with ``other[0]`` as those of ignored pixels, and the mask of each colour to
    ``valid``.
    """
    ignored = other[0]
    if channels == 3:  # a constant, so that the compiler unrolls the channels
        _split_mask(joined, count, 3, ignored, pixels, valid)
    elif channels == 1:
        _split_mask(joined, count, 1, ignored, pixels, valid)
    else:
        _split_mask(joined, count, channels, ignored, pixels, valid)
    return 0


def _split_mask(joined, count, channels, ignored, pixels, valid):
    for p in range(count):
        is_valid = joined[p * (channels + 1) + channels]
        colour = ignored & (np.int64(is_valid) - 1)
        for c in range(channels):
            pixels[p * channels + c] = joined[p * (channels + 1) + c] | colour
            valid[p * channels + c] = is_valid


def fill_ignored(pixels, valid, count, channels, written, value):
    """Write ``value[0]`` to the first ``written`` of the ``channels`` samples of each ignored pixel among ``count``."""
    sample = value[0]
    number = vectors.spread(pixels, sample)
    for first in range(0, count, _TOGETHER):
        last = min(first + _TOGETHER, count)
        present = 0
        for p in range(first, last):
            present += valid[p]
        if present == last - first:
            continue
        begin, i = first, first * channels
        if written == channels:
            begin += _copy_filled(pixels, i, valid, first, last - first, channels, number, pixels, i)
        for p in range(begin, last):
            bits = -np.int64(valid[p])
            other = sample & ~bits
            for c in range(written):
                pixels[p * channels + c] = pixels[p * channels + c] & bits | other
    return 0


def copy_filled(source, pitch, valid, valid_pitch, rows, row_count, cols, channels, upper, out):
    """Copy selected rows of unsigned integers, and fill ignored pixels with one number.

    It is 0 or, if ``upper``, the largest of the type.
    """
    number = vectors.subtract(vectors.spread(source, 0), vectors.spread(source, upper))
    for r in range(row_count):
        for first in range(0, cols, _CHUNK):
            count = min(_CHUNK, cols - first)
            i, v, o = rows[r] * pitch + first * channels, rows[r] * valid_pitch + first, (r * cols + first) * channels
            for x in range(0, count * channels, _LINE):
                vectors.prefetch(source, i + x + _ROWS_AHEAD * pitch)
            for p in range(0, count, _LINE):
                vectors.prefetch(valid, v + p + _ROWS_AHEAD * valid_pitch)
            _fill_row(source, i, valid, v, count, channels, number, upper, out, o)
    return 0


def _fill_row(source, i, valid, v, cols, channels, number, upper, out, o):
    for p in range(_copy_filled(source, i, valid, v, cols, channels, number, out, o), cols):
        hole = np.int64(valid[v + p]) - 1
        for c in range(p * channels, (p + 1) * channels):
            out[o + c] = (source[i + c] & ~hole) | (hole & -upper)


def _copy_filled(source, i, valid, v, cols, channels, number, out, o):
    """Copy the pixels of whole vectors, and fill ignored ones, if a pixel has one or three samples; return how many."""
    lanes = vectors.lanes(source)
    whole = cols - cols % lanes
    if channels == 1:
        for p in range(0, whole, lanes):
            _copy_vector(source, i + p, vectors.read_as(out, valid, v + p), number, out, o + p)
    elif channels == 3:
        for p in range(0, whole, lanes):
            one, two, three = vectors.thrice(vectors.read_as(out, valid, v + p))
            _copy_vector(source, i + 3 * p, one, number, out, o + 3 * p)
            _copy_vector(source, i + 3 * p + lanes, two, number, out, o + 3 * p + lanes)
            _copy_vector(source, i + 3 * p + 2 * lanes, three, number, out, o + 3 * p + 2 * lanes)
    else:
        return 0
    return whole


def _copy_vector(source, i, marks, number, out, o):
    """Copy a vector of samples; ``marks`` are 1 for valid ones, and 0 for those to fill."""
    holes = vectors.subtract(marks, vectors.spread(source, 1))
    vectors.write(out, o, vectors.select(holes, number, vectors.read(source, i)))


def ignore_value(pixels, count, channels, colours, value, valid):
    """Set the mask to 0 for pixels whose first ``colours`` samples are all ``value``."""
    if channels == 3 and colours == 3:
        _ignore_value(pixels, count, 3, 3, value, valid)
    elif channels == 1 and colours == 1:
        _ignore_value(pixels, count, 1, 1, value, valid)
    else:
        _ignore_value(pixels, count, channels, colours, value, valid)
    return 0


def _ignore_value(pixels, count, channels, colours, value, valid):
    for p in range(count):
        differ = 0
        for c in range(colours):
            differ |= pixels[p * channels + c] != value
        valid[p] &= differ


def ignore_nan(pixels, count, channels, colours, valid):
    """Set the mask to 0 for pixels of which one of the first ``colours`` samples is NaN."""
    if channels == 3 and colours == 3:
        _ignore_nan(pixels, count, 3, 3, valid)
    elif channels == 1 and colours == 1:
        _ignore_nan(pixels, count, 1, 1, valid)
    else:
        _ignore_nan(pixels, count, channels, colours, valid)
    return 0


def _ignore_nan(pixels, count, channels, colours, valid):
    for p in range(count):
        numbers = 1
        for c in range(colours):
            numbers &= not np.isnan(pixels[p * channels + c])
        valid[p] &= numbers


def ignore_transparent(pixels, count, channels, valid):
    """Set the mask to 0 for pixels whose alpha, the last channel, is not above 0."""
    for p in range(count):
        valid[p] &= pixels[p * channels + channels - 1] > 0
    return 0


def _expand(valid, at, width, channels, expanded, to):
    """Write the mask of each pixel for each of its samples, from index ``to`` on."""
    if channels == 3:
        lanes = vectors.lanes(valid)
        whole = width - width % lanes
        for p in range(0, whole, lanes):
            one, two, three = vectors.thrice(vectors.read(valid, at + p))
            vectors.write(expanded, to + 3 * p, one)
            vectors.write(expanded, to + 3 * p + lanes, two)
            vectors.write(expanded, to + 3 * p + 2 * lanes, three)
        _repeat(valid, at + whole, width - whole, 3, expanded, to + 3 * whole)
    elif channels == 1:
        _repeat(valid, at, width, 1, expanded, to)
    elif channels == 2:
        _repeat(valid, at, width, 2, expanded, to)
    elif channels == 4:
        _repeat(valid, at, width, 4, expanded, to)
    else:
        _repeat(valid, at, width, channels, expanded, to)


def _repeat(valid, at, width, channels, expanded, to):
    for p in range(width):
        for c in range(channels):
            expanded[to + p * channels + c] = valid[at + p]
