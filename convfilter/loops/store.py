"""The end of the epilogue: scale sums, add an offset, round half to even, clip, count clipped samples, and store."""

from __future__ import annotations

import numpy as np

from convfilter.loops import vectors

#: Range to which the sums of a mask are clipped before the division, so that a factor over them is finite. Where such a
#: sum of positive weights is 0, so are those of colours.
_LEAST, _MOST = 1e-37, 1e37
#: Between 2**13 and 2**14 adjacent floats are 2**-10 apart. A quotient plus this, minus this, is a multiple of 2**-10,
#: so that a tie is exact although the reciprocal is rounded.
_COARSE = 2.0**13


def store_whole(tile, pitch, rows, length, scale, divisor, offset, absolute, full, out, start, out_pitch):
    """Store ``scale * (sum / divisor) + offset`` as integers in 0..``full``; return the number of clipped samples.

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
    """Store ``scale * (sum / divisor) + offset`` as real numbers, neither rounded nor clipped."""
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
    """Clip the first ``colours`` of the ``channels`` of stored real pixels to 0..``full``; a NaN stays."""
    zero = full - full
    for y in range(rows):
        for p in range(cols):
            at = start + y * out_pitch + p * channels
            for c in range(colours):
                value = out[at + c]
                value = zero if value < zero else value
                out[at + c] = full if value > full else value
    return 0


def store_masked(
    tile, pitch, rows, cols, channels, factor, divisor, exact, scale, offset, absolute, full, out, start, out_pitch,
):  # fmt: skip
    """Divide sums by that of the mask, and store integers in 0..``full``; return the number of clipped samples.

    A pixel has two or four ``channels``, of which the last is the mask. Values are ``scale * (sum * (factor / mask)) +
    offset``; if ``exact`` is 1, ``scale * (sum * factor / (mask * divisor)) + offset``. It may be 2 if no such quotient
    that is not a tie is nearer than 2**-10 to one, and ``full`` is 255: then one division serves all colours. Where
    weights of both signs cancel, so that the sum of the mask is not above 0, the quotient is 0.
    """
    clipped = 0
    zero = full - full
    lanes = vectors.lanes(tile)
    colours = channels - 1
    whole = cols - cols % lanes
    scales, offsets, factors, divisors = (
        vectors.spread(tile, scale), vectors.spread(tile, offset), vectors.spread(tile, factor),
        vectors.spread(tile, divisor),
    )  # fmt: skip
    zeros, fulls = vectors.spread(tile, zero), vectors.spread(tile, full)
    least, most, coarse = (
        vectors.spread(tile, _LEAST * max(factor, 1.0)), vectors.spread(tile, _MOST), vectors.spread(tile, _COARSE)
    )  # fmt: skip
    for y in range(rows):
        i, o = y * pitch, start + y * out_pitch
        for p in range(0, whole, lanes):
            if channels == 4:
                one, two, three, weights = vectors.read_channels(tile, i + 4 * p, 4)
                weights = _divisors(vectors.positive(weights, most), least, most, factors, divisors, exact)
                one = _values(one, weights, factors, coarse, exact, scales, offsets, absolute)
                two = _values(two, weights, factors, coarse, exact, scales, offsets, absolute)
                three = _values(three, weights, factors, coarse, exact, scales, offsets, absolute)
                levels = (
                    vectors.between(one, zeros, fulls), vectors.between(two, zeros, fulls),
                    vectors.between(three, zeros, fulls),
                )  # fmt: skip
                clipped += vectors.unequal(levels[0], one) + vectors.unequal(levels[1], two)
                clipped += vectors.unequal(levels[2], three)
                vectors.write_pixels(out, o + 3 * p, levels)
            else:
                values, weights = vectors.read_channels(tile, i + 2 * p, 2)
                weights = _divisors(vectors.positive(weights, most), least, most, factors, divisors, exact)
                values = _values(values, weights, factors, coarse, exact, scales, offsets, absolute)
                level = vectors.between(values, zeros, fulls)
                clipped += vectors.unequal(level, values)
                vectors.write_as(out, o + p, level)
        for p in range(whole, cols):
            weight = tile[i + p * channels + colours]
            for c in range(colours):
                value = tile[i + p * channels + c]
                value = value * factor / (weight * divisor) if exact != 0 else value * (factor / weight)
                value = value if weight > zero else zero
                value = np.rint(scale * value + offset)
                value = abs(value) if absolute != 0 else value
                clamped = value if value > zero else zero
                clamped = clamped if clamped < full else full
                clipped += int(clamped != value)
                out[o + p * colours + c] = np.int32(clamped)
    return clipped


def _divisors(weights, least, most, factors, divisors, exact):
    """Return the factors of sums or, if ``exact`` is 1, their divisors, from the sums of the mask."""
    weights = vectors.between(weights, least, most)
    if exact != 0:
        weights = vectors.multiply(divisors, weights)
    return vectors.divide(factors, weights) if exact != 1 else weights


def _values(sums, weights, factors, coarse, exact, scales, offsets, absolute):
    """Return the rounded values of sums."""
    if exact == 1:
        sums = vectors.multiply(sums, factors)
    quotients = _quotients(sums, weights, coarse, exact)
    values = vectors.nearest(vectors.multiply_add(offsets, scales, quotients))
    return vectors.magnitude(values) if absolute != 0 else values


def _quotients(sums, weights, coarse, exact):
    """Return sums over those of the mask, from factors or, if ``exact`` is 1, divisors."""
    if exact == 0:
        return vectors.multiply(sums, weights)
    if exact == 1:
        return vectors.divide(sums, weights)
    return vectors.subtract(vectors.multiply_add(coarse, sums, weights), coarse)


def store_quotients(tile, pitch, rows, cols, channels, one, exact, out, start, out_pitch):
    """Divide sums by that of the mask, and store them as integers that are all in range.

    As ``store_masked`` without any scale: ``sum * (one / mask)``, or ``sum / mask`` if ``exact`` is 1 or 2; ``one`` is
    the number 1.
    """
    lanes = vectors.lanes(tile)
    colours = channels - 1
    whole = cols - cols % lanes
    ones = vectors.spread(tile, one)
    least, most, coarse = (
        vectors.spread(tile, _LEAST), vectors.spread(tile, _MOST), vectors.spread(tile, _COARSE)
    )  # fmt: skip
    for y in range(rows):
        i, o = y * pitch, start + y * out_pitch
        for p in range(0, whole, lanes):
            if channels == 4:
                red, green, blue, weights = vectors.read_channels(tile, i + 4 * p, 4)
                weights = _divisors(weights, least, most, ones, ones, exact)
                levels = (
                    vectors.nearest(_quotients(red, weights, coarse, exact)),
                    vectors.nearest(_quotients(green, weights, coarse, exact)),
                    vectors.nearest(_quotients(blue, weights, coarse, exact)),
                )
                vectors.write_pixels(out, o + 3 * p, levels)
            else:
                values, weights = vectors.read_channels(tile, i + 2 * p, 2)
                weights = _divisors(weights, least, most, ones, ones, exact)
                vectors.write_as(out, o + p, vectors.nearest(_quotients(values, weights, coarse, exact)))
        for p in range(whole, cols):
            weight = tile[i + p * channels + colours]
            for c in range(colours):
                value = tile[i + p * channels + c]
                value = value / weight if exact != 0 else value * (one / weight)
                out[o + p * colours + c] = np.int32(np.rint(value)) if weight > 0 else 0
    return 0


def store_alpha(alpha, rows, cols, channels, scale, full, rounds, out, start, out_pitch):
    """Store ``scale * alpha`` (rows x cols) as the last channel, clipped to 0..``full``, and rounded if ``rounds``."""
    zero = full - full
    for y in range(rows):
        for p in range(cols):
            value = alpha[y * cols + p] * scale
            if rounds != 0:
                value = np.rint(value)
            value = value if value > zero else zero
            value = value if value < full else full
            out[start + y * out_pitch + p * channels + channels - 1] = value
    return 0


def widen_range(tile, pitch, rows, cols, channels, colours, scale, divisor, offset, ends):
    """Widen the range ``ends`` to the finite values of ``scale * sum / divisor + offset`` in the first ``colours``."""
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
