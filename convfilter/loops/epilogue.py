"""The beginning of the epilogue, on tiles of sums: division by counts, alpha or a mask, and sharpening."""

from __future__ import annotations

import numpy as np


def divide_by_counts(tile, pitch, rows, length, down, along):
    """Divide the sum at sample x of row y by the number of cells of its window, ``down[y] * along[x]``."""
    for y in range(rows):
        i = y * pitch
        for x in range(length):
            tile[i + x] = tile[i + x] / (down[y] * along[x])
    return 0


def sharpen(tile, pitch, centre, centre_pitch, rows, length, factor, amount, threshold):
    """Replace each sum by ``centre + amount * (centre - blurred)``, where ``blurred`` is the sum times ``factor``.

    Differences whose magnitude is below ``threshold`` count as 0. Each product is stored before it is added, so that
    the compiler cannot fuse the two operations.
    """
    zero = factor - factor
    for y in range(rows):
        i = y * pitch
        c = y * centre_pitch
        for x in range(length):
            tile[i + x] = tile[i + x] * factor
        for x in range(length):
            difference = centre[c + x] - tile[i + x]
            tile[i + x] = (zero if abs(difference) < threshold else difference) * amount
        for x in range(length):
            tile[i + x] = centre[c + x] + tile[i + x]
    return 0


def divide_by_alpha(
    tile,
    pitch,
    mean,
    mean_pitch,
    mean_divisor,
    divisor,
    factor,
    opaque,
    rows,
    cols,
    channels,
    neutral,
    scale,
    alpha,
    means,
):
    """Divide the sums of premultiplied colours by those of alpha; write alpha as well, to ``alpha`` (rows x cols).

    The last channel of ``mean`` holds the sums of alpha. Colours become ``sum * factor / (mean / mean_divisor *
    divisor)``, or 0 where the sum of alpha is not above 0. ``alpha`` becomes ``mean / opaque``; ``opaque`` is the sum
    of full opacity. The tile's own alpha becomes ``scale * alpha``, clipped to 0..``neutral``, if ``scale`` is above 0,
    else ``neutral``, which the store step does not count as clipped. ``means`` is scratch for a row.
    """
    for y in range(rows):
        start, first = y * pitch, y * cols
        if channels == 4:  # a constant, so that a pixel takes one store
            _means(mean, y * mean_pitch, mean_divisor, opaque, cols, 4, alpha, first, means)
        elif channels == 2:
            _means(mean, y * mean_pitch, mean_divisor, opaque, cols, 2, alpha, first, means)
        else:
            _means(mean, y * mean_pitch, mean_divisor, opaque, cols, channels, alpha, first, means)
        _divide(tile, start, means, divisor, factor, cols * channels)
        _put_alpha(tile, start + channels - 1, alpha, first, cols, channels, neutral, scale)
    return 0


def _means(mean, i, mean_divisor, opaque, cols, channels, alpha, first, means):
    """Write the mean alpha of each pixel for each of its samples."""
    for p in range(cols):
        alpha[first + p] = mean[i + p * channels + channels - 1]
    for p in range(cols):
        value = alpha[first + p] / mean_divisor
        for c in range(channels):
            means[p * channels + c] = value
    for p in range(cols):
        alpha[first + p] = alpha[first + p] / opaque


def _divide(tile, i, means, divisor, factor, length):
    # Operands are selected, not quotients: the compiler would branch over a division.
    zero = factor - factor
    for x in range(length):
        value = means[x]
        weight = value * divisor if value > zero else factor
        colour = tile[i + x] * factor if value > zero else zero
        tile[i + x] = colour / weight


def _put_alpha(tile, i, alpha, first, cols, channels, neutral, scale):
    zero = scale - scale
    if scale > zero:
        for p in range(cols):
            value = alpha[first + p] * scale
            value = value if value > zero else zero
            tile[i + p * channels] = value if value < neutral else neutral
    else:
        for p in range(cols):
            tile[i + p * channels] = neutral


def divide_by_mask(tile, pitch, rows, cols, channels, factor, mask_divisor, divisor, infinity, weights, out):
    """Divide the sums of colours by the sum of the mask, the last channel, and write pixels without the mask.

    Colours become ``sum * factor / (mask / mask_divisor * divisor)``. Where the sum of the mask is not above 0, the
    divisor is ``infinity`` instead. ``weights`` is scratch for the divisors of a row.
    """
    zero = divisor - divisor
    for y in range(rows):
        i, o = y * pitch, y * cols * (channels - 1)
        for p in range(cols):
            value = tile[i + p * channels + channels - 1]
            weights[p] = value / mask_divisor * divisor if value > zero else infinity
        if channels == 4:  # a constant, so that the compiler takes the pixels apart in vectors
            _divide_pixels(tile, i, factor, weights, cols, 4, out, o)
        elif channels == 2:
            _divide_pixels(tile, i, factor, weights, cols, 2, out, o)
        else:
            _divide_pixels(tile, i, factor, weights, cols, channels, out, o)
    return 0


def _divide_pixels(tile, i, factor, weights, cols, channels, out, o):
    for p in range(cols):
        for c in range(channels - 1):
            out[o + p * (channels - 1) + c] = tile[i + p * channels + c] * factor / weights[p]


def split_alpha(tile, pitch, mean, mean_pitch, mean_divisor, colour_factor, alpha_share, rows, cols, channels, alpha):
    """Write the mean alpha to ``alpha`` (rows x cols), and scale premultiplied colours.

    The last channel of ``mean`` holds the sums of alpha. Colours become ``colour_factor * sum + alpha_share * alpha``.
    The tile's own alpha becomes 0, which the store step does not count as clipped.
    """
    zero = alpha_share - alpha_share
    for y in range(rows):
        for p in range(cols):
            at = y * pitch + p * channels
            value = mean[y * mean_pitch + p * channels + channels - 1] / mean_divisor
            for c in range(channels - 1):
                tile[at + c] = colour_factor * tile[at + c] + alpha_share * value
            tile[at + channels - 1] = zero
            alpha[y * cols + p] = value
    return 0


def divide_counted(tile, pitch, rows, length, unit, factor, divisor, infinity):
    """Divide sums of samples by those of weights, which are multiples of ``unit`` in the same numbers.

    A sum of samples is less than half of ``unit``. Sums become ``sum * factor / (weights * divisor)``, and 0 where the
    sum of weights is not above 0.
    """
    zero = divisor - divisor
    for y in range(rows):
        i = y * pitch
        for x in range(length):
            weights = np.rint(tile[i + x] / unit)
            samples = tile[i + x] - weights * unit
            tile[i + x] = samples * factor / (weights * divisor if weights > zero else infinity)
    return 0
