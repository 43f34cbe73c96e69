"""Lane-interleaved rows: a row is cut into as many segments as a vector of float32 has lanes.

Vector ``j`` holds sample ``j`` of every segment. A segment has ``depth`` samples, a multiple of the number of lanes, so
a row is ``depth`` vectors. A neighbour in the row is then a whole vector away: no load straddles cache lines, and the
horizontal pass reads taps as the vertical pass does.
"""

from __future__ import annotations

from convfilter.loops import vectors
from convfilter.loops.store import _COARSE, _LEAST, _MOST, _divisors, _quotients

_LANES = vectors.vector_bytes() // 4


def interleave(rows, pitch, row_count, depth, tile):
    """Interleave rows, which are ``pitch`` samples apart, into ``tile``, one after the other."""
    for r in range(row_count):
        for j in range(0, depth, _LANES):
            vectors.transpose_by_float_lanes(rows, r * pitch + j, depth, tile, (r * depth + j) * _LANES, _LANES)
    return 0


def append_halo(tile, pitch, row_count, depth, count):
    """Append a halo to each row: its first ``count`` vectors, shifted by one lane, continue each segment."""
    for r in range(row_count):
        for j in range(count):
            at = r * pitch + j * _LANES
            vectors.write(tile, at + depth * _LANES, vectors.next_lane(vectors.read(tile, at)))
    return 0


def deinterleave(tile, pitch, row_count, depth, line, out, start, out_pitch, length):
    """De-interleave rows of ``tile``, and write the first ``length`` samples of each; ``line`` is scratch for a row."""
    lanes = vectors.lanes(tile)
    whole = length - length % lanes
    for r in range(row_count):
        for j in range(0, depth, _LANES):
            vectors.transpose_by_float_lanes(tile, r * pitch + j * _LANES, _LANES, line, j, depth)
        to = start + r * out_pitch
        for x in range(0, whole, lanes):
            vectors.write(out, to + x, vectors.read(line, x))
        vectors.write_part(out, to + whole, vectors.read(line, whole), length - whole)
    return 0


def unmask(tile, count, channels, exact, out):
    """Divide the colours of ``count`` interleaved pixels by the sum of the mask, their last channel, and round them.

    Samples are in range; see ``store_quotients``.
    """
    lanes = vectors.lanes(tile)
    colours = channels - 1
    ones = vectors.spread(tile, 1)
    least, most, coarse = (
        vectors.spread(tile, _LEAST), vectors.spread(tile, _MOST), vectors.spread(tile, _COARSE)
    )  # fmt: skip
    for p in range(count):
        i, o = p * channels * lanes, p * colours * lanes
        weights = _divisors(vectors.read(tile, i + colours * lanes), least, most, ones, ones, exact)
        for c in range(colours):
            values = _quotients(vectors.read(tile, i + c * lanes), weights, coarse, exact)
            vectors.write_as(out, o + c * lanes, vectors.nearest(values))
    return 0
