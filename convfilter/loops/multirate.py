"""The horizontal pass of a multirate Gaussian: decimate, blur, interpolate, with one row in each lane of a vector.

Decimation reads every s-th sample of a row, and the weights of interpolation differ from sample to sample, so a vector
of adjacent samples does not help. Squares of samples are therefore transposed: a vector, which is a cache line, then
holds one sample of each of ``lanes`` rows. Results are transposed back.

Outputs are interpolated phase by phase: eight sums then share each weight, and read nine numbers for eight
multiply-adds instead of sixteen.
"""

from __future__ import annotations

import textwrap
from string import Template

from convfilter.loops import vectors

#: Number of sums in registers. With fewer, additions wait for each other.
_TOGETHER = 8
#: Number of taps of a partial sum, as in ``correlate``.
_TAPS = 64

_SUMS = Template('''
def _sums(transposed, $bases, tap_pitch, weight, first_weight, taps, $places):
    """Write $_TOGETHER weighted sums with the same weights, each of ``taps`` vectors ``tap_pitch`` samples apart."""
    lanes = vectors.lanes(transposed)
$zeros
    for first in range(0, taps, $_TAPS):
$new
        for t in range(first, min(first + $_TAPS, taps)):
            at = t * tap_pitch
            tap = vectors.spread(transposed, weight[first_weight + t])
$add
$total
$write
    return 0
''')


def _each(template: str, indent: int) -> str:
    return textwrap.indent("\n".join(template.replace("?", str(k)) for k in range(_TOGETHER)), " " * 4 * indent)


def _list(template: str) -> str:
    return ", ".join(template.replace("?", str(k)) for k in range(_TOGETHER))


exec(
    _SUMS.substitute(
        _TOGETHER=_TOGETHER,
        _TAPS=_TAPS,
        bases=_list("b?"),
        places=_list("p?"),
        zeros=_each("total? = vectors.spread(transposed, 0)", 1),
        new=_each("s? = vectors.spread(transposed, 0)", 2),
        add=_each("s? = vectors.multiply_add(s?, tap, vectors.read(transposed, b? + at))", 3),
        total=_each("total? = vectors.add(total?, s?)", 2),
        write=_each("vectors.write(transposed, p?, total?)", 1),
    )
)


def _transpose(tile, start, pitch, channels, cols, before, index, places, transposed):
    """Transpose and pad one row for each lane: vector ``p * channels + c`` holds channel c of place p."""
    lanes = vectors.lanes(tile)
    first, last = max(before, 0), min(before + cols, places)
    count = (last - first) * channels
    whole = count - count % lanes
    at, to = start + (first - before) * channels, first * channels
    for x in range(0, whole, lanes):
        vectors.transpose(tile, at + x, pitch, transposed, (to + x) * lanes, lanes)
    for x in range(whole, count):
        for row in range(lanes):
            transposed[(to + x) * lanes + row] = tile[at + x + row * pitch]
    for part in range(2):
        begin = 0 if part == 0 else last
        for p in range(begin, first if part == 0 else places):
            col = index[p] if index[p] >= 0 else cols
            there = before + col
            for c in range(channels):
                to = (p * channels + c) * lanes
                if first <= there < last:
                    vectors.write(transposed, to, vectors.read(transposed, (there * channels + c) * lanes))
                else:
                    for row in range(lanes):
                        transposed[to + row] = tile[start + col * channels + c + row * pitch]


def _transpose_back(transposed, sums, back, count, out, start, pitch, cols, rows):
    """Transpose ``count`` vectors of sums back, into at most ``rows`` rows of at most ``cols`` samples."""
    lanes = vectors.lanes(out)
    for begin in range(0, min(count, cols), lanes):
        if rows >= lanes and cols - begin >= lanes:
            vectors.transpose(transposed, sums + begin * lanes, lanes, out, start + begin, pitch)
        else:
            vectors.transpose(transposed, sums + begin * lanes, lanes, transposed, back, lanes)
            for row in range(min(rows, lanes)):
                place = start + begin + row * pitch
                vectors.write_part(out, place, vectors.read(transposed, back + row * lanes), cols - begin)


_LOOP = Template('''
def multirate_along(
    tile, rows, channels, cols, before, index, places,
    decimated_at, decimated, down, down_taps, blurred, middle, middle_taps,
    up_at, up_place, up_line, up_sums, up, up_taps, transposed, out, out_pitch, length, chunk,
):  # fmt: skip
    """Decimate, blur and interpolate rows of ``cols`` pixels; behind each row, one pixel holds the padding value.

    ``index[p]`` is the column at place ``p``, or -1 for the padding value; column 0 is at place ``before``.

    1. Decimated sample ``u`` of ``decimated``: the sum of ``down_taps`` pixels, from sample ``decimated_at[u]`` of the
       padded row on, with the weights ``down``.
    2. Blurred sample ``u`` of ``blurred``: the sum of ``middle_taps`` decimated pixels, from sample ``u`` on, with the
       weights ``middle``.
    3. The ``length`` output samples, ``chunk`` at a time, by ``up_sums`` sums for each chunk. Sum ``k`` of all is that
       of ``up_taps`` blurred pixels, from sample ``up_at[k]`` on. Sum ``k`` of a chunk is sample ``up_place[k]`` of it,
       and each eight sums share the weights of ``up`` from ``up_line[k // 8]`` on.

    Tables are filled up to a multiple of eight entries, and ``tile`` to a multiple of ``lanes`` rows. Scratch:
    ``transposed``, with a vector for each channel of each place, each decimated and each blurred sample, each sample of
    a chunk, and room for four blocks.
    """
    lanes = vectors.lanes(tile)
    pitch, pixel = (cols + 1) * channels, channels * lanes
    first_decimated = places * pixel
    first_blurred = first_decimated + decimated * lanes
    sums = first_blurred + blurred * lanes
    back = sums + (chunk + -chunk % lanes) * lanes
    for top in range(0, rows, lanes):
        _transpose(tile, top * pitch, pitch, channels, cols, before, index, places, transposed)
        for u in range(0, decimated, $together):
            to = first_decimated + u * lanes
            _sums(transposed, $decimated_bases, pixel, down, 0, down_taps, $places)
        for u in range(0, blurred, $together):
            at, to = first_decimated + u * lanes, first_blurred + u * lanes
            _sums(transposed, $blurred_bases, pixel, middle, 0, middle_taps, $places)
        k = 0
        for begin in range(0, length, chunk):
            for x in range(0, up_sums, $together):
                line = up_line[x // $together]
                _sums(transposed, $up_bases, pixel, up, line, up_taps, $up_places)
                k += $together
            start = top * out_pitch + begin
            _transpose_back(transposed, sums, back, chunk, out, start, out_pitch, length - begin, rows - top)
    return 0
''')


exec(
    _LOOP.substitute(
        together=_TOGETHER,
        decimated_bases=_list("decimated_at[u + ?] * lanes"),
        blurred_bases=_list("at + ? * lanes"),
        places=_list("to + ? * lanes"),
        up_bases=_list("first_blurred + up_at[k + ?] * lanes"),
        up_places=_list("sums + up_place[x + ?] * lanes"),
    )
)
