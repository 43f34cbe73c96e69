"""Pixels with a mask beside them: as another channel, and back; and a value for pixels that the mask leaves out.

Samples that are copied are bit patterns: ``-valid`` has all bits of a valid pixel and none of an ignored one, so that
one operation selects samples of any type without a branch.
"""

from __future__ import annotations

import numpy as np

#: Pixels that are passed over together if all are valid.
_TOGETHER = 256


def join(source, first, pitch, valid, first_valid, valid_pitch, rows, cols, channels, opaque, out, start, out_pitch):
    """Write pixels of ``channels`` samples with one more: ``opaque[0]`` if they are valid (1); others (0) become 0."""
    mark = opaque[0]
    for r in range(rows):
        i, v, o = first + r * pitch, first_valid + r * valid_pitch, start + r * out_pitch
        if channels == 3:  # a constant, so that the compiler unrolls the channels
            _join(source, i, valid, v, cols, 3, mark, out, o)
        elif channels == 1:
            _join(source, i, valid, v, cols, 1, mark, out, o)
        else:
            _join(source, i, valid, v, cols, channels, mark, out, o)
    return 0


def _join(source, i, valid, v, cols, channels, mark, out, o):
    for p in range(cols):
        kept = -np.int64(valid[v + p])
        for c in range(channels):
            out[o + p * (channels + 1) + c] = source[i + p * channels + c] & kept
        out[o + p * (channels + 1) + channels] = mark & kept


def part(source, pitch, rows, cols, channels, out, start, out_pitch):
    """Write the first ``channels`` samples of pixels that have one more."""
    for r in range(rows):
        i, o = r * pitch, start + r * out_pitch
        if channels == 3:
            _part(source, i, cols, 3, out, o)
        elif channels == 1:
            _part(source, i, cols, 1, out, o)
        else:
            _part(source, i, cols, channels, out, o)
    return 0


def _part(source, i, cols, channels, out, o):
    for p in range(cols):
        for c in range(channels):
            out[o + p * channels + c] = source[i + p * (channels + 1) + c]


def apart(joined, count, channels, other, pixels, marks):
    """Take ``count`` pixels apart whose last sample is a mask of 1 and, with colours of 0, of 0.

    ``pixels`` gets the colours, with ``other[0]`` for those of ignored pixels, ``marks`` the mask of each colour.
    """
    ignored = other[0]
    if channels == 3:  # a constant, so that the compiler unrolls the channels
        _apart(joined, count, 3, ignored, pixels, marks)
    elif channels == 1:
        _apart(joined, count, 1, ignored, pixels, marks)
    else:
        _apart(joined, count, channels, ignored, pixels, marks)
    return 0


def _apart(joined, count, channels, ignored, pixels, marks):
    for p in range(count):
        mark = joined[p * (channels + 1) + channels]
        colour = ignored & (np.int64(mark) - 1)
        for c in range(channels):
            pixels[p * channels + c] = joined[p * (channels + 1) + c] | colour
            marks[p * channels + c] = mark


def put(pixels, valid, count, channels, written, value):
    """Write ``value[0]`` into the first samples of each of ``count`` pixels that is not valid (0, not 1)."""
    sample = value[0]
    for first in range(0, count, _TOGETHER):
        last = min(first + _TOGETHER, count)
        present = 0
        for p in range(first, last):
            present += valid[p]
        if present == last - first:
            continue
        if channels == 3 and written == 3:  # constants, so that the compiler unrolls the channels
            _put(pixels, valid, first, last, 3, 3, sample)
        elif channels == 1 and written == 1:
            _put(pixels, valid, first, last, 1, 1, sample)
        else:
            _put(pixels, valid, first, last, channels, written, sample)
    return 0


def _put(pixels, valid, first, last, channels, written, sample):
    for p in range(first, last):
        kept = -np.int64(valid[p])
        other = sample & ~kept
        for c in range(written):
            pixels[p * channels + c] = pixels[p * channels + c] & kept | other


def ignore_value(pixels, count, channels, colours, value, valid):
    """Mark pixels as not valid whose first ``colours`` samples all have a value."""
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
    """Mark pixels as not valid that are not a number in one of their first ``colours`` samples."""
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
    """Mark pixels as not valid whose alpha, the last channel, is not above 0."""
    for p in range(count):
        valid[p] &= pixels[p * channels + channels - 1] > 0
    return 0
