"""Functions of single samples: arithmetic for real samples, lookup tables for integer samples."""

from __future__ import annotations

import numpy as np


def apply_function(tile, pitch, rows, cols, channels, colours, function, low, high, divisor, neutral, alpha):
    """Divide ``colours`` of the ``channels`` of each pixel by ``divisor``, and apply a function to them.

    ``function`` is a number: 0 the larger of x and 0, 1 the magnitude, 2 ``x + low``, 3 ``x * low``, 4 x between
    ``low`` and ``high``, 5 ``(x - low) * high``, 6 ``high`` where x >= ``low``, else 0, 7 ``high - x``. A
    further channel is alpha: alpha / ``divisor`` is written to ``alpha`` (rows x cols), and the tile's alpha becomes
    ``neutral``.
    """
    for y in range(rows):
        at = y * pitch
        if colours < channels:
            for p in range(cols):
                place = at + p * channels + colours
                alpha[y * cols + p] = tile[place] / divisor
        _apply(tile, at, cols * channels, function, low, high, divisor)
        if colours < channels:
            for p in range(cols):
                tile[at + p * channels + colours] = neutral
    return 0


def apply_premultiplied(
    tile, pitch, rows, cols, channels, function, low, high, divisor, full, colour_factor, alpha_share, alpha
):
    """Apply a function, numbered as in ``apply_function`` and defined for straight colours, to premultiplied colours.

    The function's constants are multiplied by the opacity. Colours become ``colour_factor * value + alpha_share *
    alpha``. The last channel is alpha: alpha / ``divisor`` is written to ``alpha`` (rows x cols), and the tile's alpha
    becomes 0.
    """
    zero = full - full
    for y in range(rows):
        for p in range(cols):
            at = y * pitch + p * channels
            pixel_alpha = tile[at + channels - 1] / divisor
            opacity = pixel_alpha / full  # 0 to 1
            for c in range(channels - 1):
                value = _weighted(tile[at + c] / divisor, function, low, high, opacity)
                tile[at + c] = colour_factor * value + alpha_share * pixel_alpha
            tile[at + channels - 1] = zero
            alpha[y * cols + p] = pixel_alpha
    return 0


def _weighted(x, function, low, high, opacity):
    """Return the value of a function at a premultiplied sample, whose pixel has an ``opacity`` from 0 to 1."""
    zero = opacity - opacity
    if function == 0:
        return zero if x <= zero else x
    if function == 1:
        return abs(x)
    if function == 2:
        return x + low * opacity
    if function == 3:
        return x * low
    if function == 4:
        x = low * opacity if x < low * opacity else x
        return high * opacity if x > high * opacity else x
    if function == 5:
        return (x - low * opacity) * high
    if function == 6:
        return high * opacity if x >= low * opacity else zero
    return high * opacity - x


def _apply(tile, at, length, function, low, high, divisor):
    """Apply a function to ``length`` adjacent samples."""
    zero = divisor - divisor
    if divisor != zero + 1:
        for x in range(length):
            tile[at + x] = tile[at + x] / divisor
    if function == 0:
        for x in range(length):
            value = tile[at + x]
            tile[at + x] = zero if value <= zero else value
    elif function == 1:
        for x in range(length):
            tile[at + x] = abs(tile[at + x])
    elif function == 2:
        for x in range(length):
            tile[at + x] = tile[at + x] + low
    elif function == 3:
        for x in range(length):
            tile[at + x] = tile[at + x] * low
    elif function == 4:
        for x in range(length):
            value = tile[at + x]
            value = low if value < low else value
            tile[at + x] = high if value > high else value
    elif function == 5:
        for x in range(length):
            tile[at + x] = (tile[at + x] - low) * high
    elif function == 6:
        for x in range(length):
            tile[at + x] = high if tile[at + x] >= low else zero
    else:
        for x in range(length):
            tile[at + x] = high - tile[at + x]


def look_up(
    source, source_pitch, rows, row_count, cols, channels, colours, table, alpha_table, counts, out, start, out_pitch
):
    """Store ``table[sample]`` for each colour of the selected rows, and ``alpha_table[sample]`` for alpha.

    ``counts[sample]`` is 1 if the table clips a sample, else 0. Returns the number of clipped samples.
    """
    clipped = np.int64(0)
    for r in range(row_count):
        base = rows[r] * source_pitch
        o = start + r * out_pitch
        if colours == channels:
            for x in range(cols * channels):
                sample = np.int64(source[base + x])
                out[o + x] = table[sample]
                clipped += counts[sample]
        else:
            for p in range(cols):
                for c in range(colours):
                    sample = np.int64(source[base + p * channels + c])
                    out[o + p * channels + c] = table[sample]
                    clipped += counts[sample]
                out[o + p * channels + colours] = alpha_table[np.int64(source[base + p * channels + colours])]
    return clipped
