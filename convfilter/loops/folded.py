"""Rows folded into stretches, one for each lane of a vector of float32: what is to the right then lies vectors away.

Vector ``j`` of a folded row holds sample ``j`` of every stretch; there are ``depth`` of them, a multiple of the
number of lanes, and as many samples in a stretch. So no load along a row straddles cache lines, and one tap is
as far from the next as rows are from each other.
"""

from __future__ import annotations

from convfilter.loops import vectors

_LANES = vectors.vector_bytes() // 4


def fold(rows, pitch, row_count, depth, tile):
    """Fold rows ``pitch`` samples apart into ``tile``, one after the other."""
    for r in range(row_count):
        for j in range(0, depth, _LANES):
            vectors.turn(rows, r * pitch + j, depth, tile, (r * depth + j) * _LANES, _LANES)
    return 0


def carry(tile, pitch, row_count, depth, count):
    """Have the first ``count`` vectors of each folded row follow its last, a lane on: where stretches meet."""
    for r in range(row_count):
        for j in range(count):
            at = r * pitch + j * _LANES
            vectors.write(tile, at + depth * _LANES, vectors.next_lane(vectors.read(tile, at)))
    return 0


def unfold(tile, pitch, row_count, depth, line, out, start, out_pitch, length):
    """Unfold rows of ``tile``, by way of ``line``, and write ``length`` samples of each."""
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
