"""The end of the epilogue: scale sums, add an offset, round half to even, clip, count clipped samples, and store."""

from __future__ import annotations

import numpy as np

from convfilter.loops import vectors

#: Range to which the sums of a mask are clipped before the division, so that a factor over them is finite. Where such a
#: sum is 0, so are those of colours.
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
    tile, pitch, rows, cols, channels, factor, divisor, exact, scale, offset, absolute, full,
    out, start, out_pitch, transposed, samples, line,
):  # fmt: skip
    """Divide sums by that of the mask, and store integers in 0..``full``; return the number of clipped samples.

    A pixel has two or four ``channels``, of which the last is the mask. Values are ``scale * (sum * (factor / mask)) +
    offset``; if ``exact`` is 1, ``scale * (sum * factor / (mask * divisor)) + offset``. It may be 2 if no such quotient
    that is not a tie is nearer than 2**-10 to one, and ``full`` is 255: then one division serves all colours. Squares
    of sums are transposed, so that a vector holds one channel of many pixels; the samples are transposed back. Scratch:
    ``transposed`` and ``samples`` for a square, ``line`` for a row.
    """
    if channels == 4:
        return _store_masked(
            tile, pitch, rows, cols, 4, factor, divisor, exact, scale, offset, absolute, full,
            out, start, out_pitch, transposed, samples, line,
        )  # fmt: skip
    return _store_masked(
        tile, pitch, rows, cols, 2, factor, divisor, exact, scale, offset, absolute, full,
        out, start, out_pitch, transposed, samples, line,
    )  # fmt: skip


def _store_masked(
    tile, pitch, rows, cols, channels, factor, divisor, exact, scale, offset, absolute, full,
    out, start, out_pitch, transposed, samples, line,
):  # fmt: skip
    clipped = 0
    zero = full - full
    lanes = vectors.lanes(tile)
    colours = channels - 1
    together = lanes // channels  # pixels in a row of the square
    many = lanes * together
    whole = cols - cols % many
    length = cols * colours
    lanes_out = vectors.lanes(out)
    whole_out = length - length % lanes_out
    scales, offsets, factors = (
        vectors.spread(tile, scale), vectors.spread(tile, offset), vectors.spread(tile, factor)
    )  # fmt: skip
    divisors = vectors.spread(tile, divisor)
    zeros, fulls = vectors.spread(tile, zero), vectors.spread(tile, full)
    least, most, coarse = (
        vectors.spread(tile, _LEAST * max(factor, 1.0)), vectors.spread(tile, _MOST), vectors.spread(tile, _COARSE)
    )  # fmt: skip
    for y in range(rows):
        i = y * pitch
        for p in range(0, whole, many):
            vectors.transpose_by_float_lanes(tile, i + p * channels, lanes, transposed, 0, lanes)
            for q in range(together):
                weights = vectors.read(transposed, (q * channels + colours) * lanes)
                weights = vectors.between(weights, least, most)
                if exact != 0:
                    weights = vectors.multiply(divisors, weights)
                if exact != 1:
                    weights = vectors.divide(factors, weights)
                for c in range(colours):
                    values = vectors.read(transposed, (q * channels + c) * lanes)
                    if exact == 0:
                        values = vectors.multiply(values, weights)
                    elif exact == 1:
                        values = vectors.divide(vectors.multiply(values, factors), weights)
                    else:
                        values = vectors.subtract(vectors.multiply_add(coarse, values, weights), coarse)
                    values = vectors.nearest(vectors.multiply_add(offsets, scales, values))
                    if absolute != 0:
                        values = vectors.magnitude(values)
                    in_range = vectors.between(values, zeros, fulls)
                    clipped += vectors.unequal(in_range, values)
                    vectors.write_as(samples, (q * colours + c) * lanes, in_range)
            # Each row of the square is longer than its pixels; the next row overwrites the excess.
            vectors.transpose_by_float_lanes(samples, 0, lanes, line, p * colours, together * colours)
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
                line[p * colours + c] = np.int32(clamped)
        o = start + y * out_pitch
        for x in range(0, whole_out, lanes_out):
            vectors.write(out, o + x, vectors.read(line, x))
        vectors.write_part(out, o + whole_out, vectors.read(line, whole_out), length - whole_out)
    return clipped


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
