"""Convert a tile of sums to samples: scale, map, round once half to even, clip, and count clipped samples."""

from __future__ import annotations

import numpy as np

from convfilter.loops import vectors

#: Range of the sums of a mask: at 0, so are the sums of colours.
_LEAST, _MOST = 1e-37, 1e37


def store_whole(tile, pitch, rows, length, scale, divisor, offset, absolute, full, out, start, out_pitch):
    """Store ``scale * (sum / divisor) + offset`` as integers in 0..``full``; return the number clipped.

    A NaN is stored as 0 and counts as clipped.
    """
    clipped = 0
    zero = full - full
    one = zero + 1
    lanes = vectors.lanes(scale)
    whole = length - length % lanes
    scales, divisors, offsets = (
        vectors.spread(scale, scale),
        vectors.spread(scale, divisor),
        vectors.spread(scale, offset),
    )
    zeros, fulls = vectors.spread(scale, zero), vectors.spread(scale, full)
    for y in range(rows):
        i = y * pitch
        o = start + y * out_pitch
        for x in range(0, whole, lanes):
            values = vectors.read_as(scale, tile, i + x)
            if divisor != one:
                values = vectors.divide(values, divisors)
            values = vectors.nearest(vectors.multiply_add(offsets, scales, values))
            if absolute != 0:
                values = vectors.magnitude(values)
            in_range = vectors.between(values, zeros, fulls)
            clipped += vectors.unequal(in_range, values)
            vectors.write_as(out, o + x, in_range)
        for x in range(whole, length):
            value = np.rint(scale * (tile[i + x] / divisor) + offset)
            value = abs(value) if absolute != 0 else value
            clamped = value if value > zero else zero
            clamped = clamped if clamped < full else full
            clipped += int(clamped != value)
            out[o + x] = np.int32(clamped)
    return clipped


def store_integers(tile, pitch, rows, length, scale, divisor, offset, absolute, low, full, out, start, out_pitch):
    """Store ``scale * (sum / divisor) + offset`` as integers in ``low``..``full``; return the number clipped.

    A NaN is stored as 0 and counts as clipped.
    """
    clipped = 0
    zero = full - full
    for y in range(rows):
        i = y * pitch
        o = start + y * out_pitch
        for x in range(length):
            value = np.rint(scale * (tile[i + x] / divisor) + offset)
            value = abs(value) if absolute != 0 else value
            clamped = value if value > low else low
            clamped = clamped if clamped < full else full
            clamped = zero if value != value else clamped  # noqa: PLR0124 - a NaN
            clipped += int(clamped != value)
            out[o + x] = np.int64(clamped)
    return clipped


def store_real(tile, pitch, rows, length, scale, divisor, offset, absolute, out, start, out_pitch):
    """Store ``scale * (sum / divisor) + offset`` as real numbers, unrounded and unclipped."""
    for y in range(rows):
        i = y * pitch
        o = start + y * out_pitch
        for x in range(length):
            value = scale * (tile[i + x] / divisor) + offset
            if absolute != 0:
                value = abs(value)
            out[o + x] = value
    return 0


def clip_real(out, start, out_pitch, rows, cols, channels, colours, full):
    """Clip the first ``colours`` of stored real samples to 0..``full``; a NaN stays."""
    zero = full - full
    for y in range(rows):
        for p in range(cols):
            at = start + y * out_pitch + p * channels
            for c in range(colours):
                value = out[at + c]
                value = zero if value < zero else value
                out[at + c] = full if value > full else value
    return 0


def divide_by_counts(tile, pitch, rows, length, down, along):
    """Divide each sum by its number of cells: ``down[y] * along[x]``."""
    for y in range(rows):
        i = y * pitch
        for x in range(length):
            tile[i + x] = tile[i + x] / (down[y] * along[x])
    return 0


def sharpen(tile, pitch, centre, centre_pitch, rows, length, factor, amount, threshold):
    """Replace each sum by ``centre + amount * (centre - blurred)``, where ``blurred`` is the sum times ``factor``.

    Differences whose magnitude is below ``threshold`` count as 0. Each product is stored before the
    next sum, so that the compiler cannot fuse the two.
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


def widen_range(tile, pitch, rows, cols, channels, colours, scale, divisor, offset, ends):
    """Extend the range ``ends`` to the finite values ``scale * sum / divisor + offset`` of the first channels."""
    low, high = ends[0], ends[1]
    for y in range(rows):
        for p in range(cols):
            at = y * pitch + p * channels
            for c in range(colours):
                value = scale * tile[at + c] / divisor + offset
                if np.isfinite(value):
                    low = value if value < low else low
                    high = value if value > high else high
    ends[0], ends[1] = low, high
    return 0


def divide_by_alpha(
    tile,
    pitch,
    mean,
    mean_pitch,
    mean_divisor,
    divisor,
    gain,
    whole,
    rows,
    cols,
    channels,
    neutral,
    scale,
    alpha,
    means,
):
    """Unpremultiply sums: divide colours by the mean alpha, and write ``mean / whole`` to ``alpha`` (rows x cols).

    ``mean`` holds the sums of alpha in its last channel; ``whole`` is that of full opacity. Colours become
    ``sum * gain / (mean / mean_divisor * divisor)``, or 0 where the mean is not above 0. With a ``scale`` above 0, the
    tile's own alpha becomes ``scale * alpha``, clipped to 0..``neutral``; with 0 it becomes ``neutral``, a value that
    the store step does not count as clipped. ``means`` is scratch for a row.
    """
    for y in range(rows):
        start, first = y * pitch, y * cols
        if channels == 4:  # a constant, so that a pixel takes one store
            _means(mean, y * mean_pitch, mean_divisor, whole, cols, 4, alpha, first, means)
        elif channels == 2:
            _means(mean, y * mean_pitch, mean_divisor, whole, cols, 2, alpha, first, means)
        else:
            _means(mean, y * mean_pitch, mean_divisor, whole, cols, channels, alpha, first, means)
        _divide(tile, start, means, divisor, gain, cols * channels)
        _put_alpha(tile, start + channels - 1, alpha, first, cols, channels, neutral, scale)
    return 0


def _means(mean, i, mean_divisor, whole, cols, channels, alpha, first, means):
    """Write the mean alpha of each pixel for each of its samples."""
    for p in range(cols):
        alpha[first + p] = mean[i + p * channels + channels - 1]
    for p in range(cols):
        value = alpha[first + p] / mean_divisor
        for c in range(channels):
            means[p * channels + c] = value
    for p in range(cols):
        alpha[first + p] = alpha[first + p] / whole


def _divide(tile, i, means, divisor, gain, length):
    # Operands are selected, not quotients: the compiler would branch over a division.
    zero = gain - gain
    for x in range(length):
        value = means[x]
        weight = value * divisor if value > zero else gain
        colour = tile[i + x] * gain if value > zero else zero
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


def divide_by_mask(tile, pitch, rows, cols, channels, factor, mask_divisor, divisor, never, weights, out):
    """Divide colours by the sums of a mask in the last of ``channels`` samples; write pixels without it, row after row.

    Colours become ``sum * factor / (mask / mask_divisor * divisor)``. Where the mask's sum is not above 0, they are
    divided by ``never``, which is infinite. ``weights`` is scratch for the divisors of a row.
    """
    zero = divisor - divisor
    for y in range(rows):
        i, o = y * pitch, y * cols * (channels - 1)
        for p in range(cols):
            value = tile[i + p * channels + channels - 1]
            weights[p] = value / mask_divisor * divisor if value > zero else never
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


def store_masked(
    tile, pitch, rows, cols, channels, factor, exact, scale, offset, absolute, full,
    out, start, out_pitch, square, few, line,
):  # fmt: skip
    """Divide sums by those of a mask, in the last of two or four ``channels``, and store integers in 0..``full``.

    Values are ``scale * (sum * factor / mask) + offset``, or with ``exact``, for a factor of 1, those of one division.
    Squares of sums are transposed, so that a vector holds one channel of many pixels, and back as samples. Scratch:
    ``square`` and ``few`` for a square, ``line`` for a row. Returns how many samples were clipped.
    """
    if channels == 4:
        return _store_masked(
            tile, pitch, rows, cols, 4, factor, exact, scale, offset, absolute, full,
            out, start, out_pitch, square, few, line,
        )  # fmt: skip
    return _store_masked(
        tile, pitch, rows, cols, 2, factor, exact, scale, offset, absolute, full,
        out, start, out_pitch, square, few, line,
    )  # fmt: skip


def _store_masked(
    tile, pitch, rows, cols, channels, factor, exact, scale, offset, absolute, full,
    out, start, out_pitch, square, few, line,
):  # fmt: skip
    clipped = 0
    zero = full - full
    lanes = vectors.lanes(tile)
    colours = channels - 1
    together = lanes // channels  # pixels of a row of a square
    many = lanes * together
    whole = cols - cols % many
    length = cols * colours
    lanes_out = vectors.lanes(out)
    whole_out = length - length % lanes_out
    scales, offsets, factors = (
        vectors.spread(tile, scale), vectors.spread(tile, offset), vectors.spread(tile, factor)
    )  # fmt: skip
    zeros, fulls = vectors.spread(tile, zero), vectors.spread(tile, full)
    least, most = vectors.spread(tile, _LEAST), vectors.spread(tile, _MOST)
    for y in range(rows):
        i = y * pitch
        for p in range(0, whole, many):
            vectors.transpose_by_float_lanes(tile, i + p * channels, lanes, square, 0, lanes)
            for q in range(together):
                weights = vectors.read(square, (q * channels + colours) * lanes)
                weights = vectors.between(weights, least, most)
                if exact == 0:
                    weights = vectors.divide(factors, weights)
                for c in range(colours):
                    values = vectors.read(square, (q * channels + c) * lanes)
                    values = vectors.divide(values, weights) if exact != 0 else vectors.multiply(values, weights)
                    values = vectors.nearest(vectors.multiply_add(offsets, scales, values))
                    if absolute != 0:
                        values = vectors.magnitude(values)
                    in_range = vectors.between(values, zeros, fulls)
                    clipped += vectors.unequal(in_range, values)
                    vectors.write_as(few, (q * colours + c) * lanes, in_range)
            # Each row of samples overwrites what the one before it wrote too far.
            vectors.transpose_by_float_lanes(few, 0, lanes, line, p * colours, together * colours)
        for p in range(whole, cols):
            weight = tile[i + p * channels + colours]
            for c in range(colours):
                value = tile[i + p * channels + c]
                value = value / weight if exact != 0 else value * (factor / weight)
                value = value if weight > zero else zero
                value = np.rint(scale * value + offset)
                value = abs(value) if absolute != 0 else value
                kept = value if value > zero else zero
                kept = kept if kept < full else full
                clipped += int(kept != value)
                line[p * colours + c] = np.int32(kept)
        o = start + y * out_pitch
        for x in range(0, whole_out, lanes_out):
            vectors.write(out, o + x, vectors.read(line, x))
        vectors.write_part(out, o + whole_out, vectors.read(line, whole_out), length - whole_out)
    return clipped


def alpha_apart(tile, pitch, mean, mean_pitch, mean_divisor, gain, shift, rows, cols, channels, alpha):
    """Write the mean alpha to ``alpha`` (rows x cols); premultiplied colours become ``gain * sum + shift * alpha``.

    ``mean`` holds the sums of alpha in its last channel. The tile's own alpha becomes 0, which the store step does not
    count as clipped.
    """
    zero = shift - shift
    for y in range(rows):
        for p in range(cols):
            at = y * pitch + p * channels
            value = mean[y * mean_pitch + p * channels + channels - 1] / mean_divisor
            for c in range(channels - 1):
                tile[at + c] = gain * tile[at + c] + shift * value
            tile[at + channels - 1] = zero
            alpha[y * cols + p] = value
    return 0


def store_alpha(alpha, rows, cols, channels, scale, full, whole, out, start, out_pitch):
    """Store ``scale * alpha`` (rows x cols) as the last channel, clipped to 0..``full`` and rounded if ``whole``."""
    zero = full - full
    for y in range(rows):
        for p in range(cols):
            value = alpha[y * cols + p] * scale
            if whole != 0:
                value = np.rint(value)
            value = value if value > zero else zero
            value = value if value < full else full
            out[start + y * out_pitch + p * channels + channels - 1] = value
    return 0
