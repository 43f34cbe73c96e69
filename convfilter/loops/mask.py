"""Pixels with a mask beside them: as another channel, and back; and a value for pixels that the mask leaves out."""

from __future__ import annotations


def join(source, first, pitch, valid, first_valid, valid_pitch, rows, cols, channels, opaque, out, start, out_pitch):
    """Write pixels of ``channels`` samples with one more: ``opaque`` where they are valid; others become 0."""
    for r in range(rows):
        i, v, o = first + r * pitch, first_valid + r * valid_pitch, start + r * out_pitch
        if channels == 3:  # a constant, so that the compiler unrolls the channels
            _join(source, i, valid, v, cols, 3, opaque, out, o)
        elif channels == 1:
            _join(source, i, valid, v, cols, 1, opaque, out, o)
        else:
            _join(source, i, valid, v, cols, channels, opaque, out, o)
    return 0


def _join(source, i, valid, v, cols, channels, opaque, out, o):
    zero = opaque - opaque
    for p in range(cols):
        counts = valid[v + p] != 0
        for c in range(channels):
            sample = source[i + p * channels + c]
            out[o + p * (channels + 1) + c] = sample if counts else zero
        out[o + p * (channels + 1) + channels] = opaque if counts else zero


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


def put(pixels, valid, count, channels, written, value):
    """Write a value into the first samples of each of ``count`` pixels that is not valid."""
    for p in range(count):
        if valid[p] == 0:
            for c in range(written):
                pixels[p * channels + c] = value
    return 0
