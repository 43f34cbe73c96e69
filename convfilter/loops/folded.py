"""Lane-interleaved rows of float32: a row is cut into one stretch for each lane of a vector.

Vector ``j`` holds sample ``j`` of every stretch; there are ``depth`` vectors, a multiple of the number of lanes, so a
stretch has ``depth`` samples. A neighbour in the row is then a whole vector away: no load straddles cache lines, and
taps along a row are as far apart as rows are.
"""

from __future__ import annotations

from convfilter.loops import vectors

_LANES = vectors.vector_bytes() // 4


def fold(rows, pitch, row_count, depth, tile):
    """Interleave rows, ``pitch`` samples apart, into ``tile``, one after the other."""
    for r in range(row_count):
        for j in range(0, depth, _LANES):
            vectors.turn(rows, r * pitch + j, depth, tile, (r * depth + j) * _LANES, _LANES)
    return 0


def carry(tile, pitch, row_count, depth, count):
    """Append the first ``count`` vectors of each row, shifted by one lane: a stretch continues into the next one."""
    for r in range(row_count):
        for j in range(count):
            at = r * pitch + j * _LANES
            vectors.write(tile, at + depth * _LANES, vectors.next_lane(vectors.read(tile, at)))
    return 0


def unfold(tile, pitch, row_count, depth, line, out, start, out_pitch, length):
    """De-interleave rows of ``tile``, with ``line`` as scratch, and write ``length`` samples of each."""
    lanes = vectors.lanes(tile)
    whole = length - length % lanes
    for r in range(row_count):
        for j in range(0, depth, _LANES):
            vectors.turn(tile, r * pitch + j * _LANES, _LANES, line, j, depth)
        to = start + r * out_pitch
        for x in range(0, whole, lanes):
            vectors.write(out, to + x, vectors.read(line, x))
        vectors.write_part(out, to + whole, vectors.read(line, whole), length - whole)
    return 0
