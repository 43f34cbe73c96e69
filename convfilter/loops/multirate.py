"""The horizontal pass of a multirate Gaussian: decimate, blur, interpolate, with one row in each lane of a vector.

Decimation reads every s-th sample of a row, and the weights of interpolation differ from sample to sample, so a vector
of adjacent samples does not help. Squares of samples are therefore transposed: a vector, which is a cache line, then
holds one sample of each of ``lanes`` rows. Results are transposed back.
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
def $name(transposed, $bases, tap_pitch, weight, $weights, taps, to):
    """Write $_TOGETHER adjacent weighted sums, each of ``taps`` vectors ``tap_pitch`` samples apart; $which."""
    lanes = vectors.lanes(transposed)
$zeros
    for first in range(0, taps, $_TAPS):
$new
        for t in range(first, min(first + $_TAPS, taps)):
            at = t * tap_pitch
$read
$add
$total
$write
    return 0
''')


def _sums(name: str, which: str, weights: list[str]) -> str:
    def each(template: str, indent: int) -> str:
        lines = (template.replace("?", str(k)).replace("!", weights[k]) for k in range(_TOGETHER))
        return textwrap.indent("\n".join(dict.fromkeys(lines)), " " * 4 * indent)

    return _SUMS.substitute(
        name=name,
        which=which,
        _TOGETHER=_TOGETHER,
        _TAPS=_TAPS,
        bases=", ".join(f"b{k}" for k in range(_TOGETHER)),
        weights=", ".join(dict.fromkeys(weights)),
        zeros=each("total? = vectors.spread(transposed, 0)", 1),
        new=each("s? = vectors.spread(transposed, 0)", 2),
        read=each("v! = vectors.spread(transposed, weight[! + t])", 3),
        add=each("s? = vectors.multiply_add(s?, v!, vectors.read(transposed, b? + at))", 3),
        total=each("total? = vectors.add(total?, s?)", 2),
        write=each("vectors.write(transposed, to + ? * lanes, total?)", 1),
    )


exec(_sums("_sums_of_one_kernel", "the weights of all begin at ``w``", ["w"] * _TOGETHER))
exec(_sums("_sums_of_own_kernels", "each has its own weights", [f"w{k}" for k in range(_TOGETHER)]))


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
    decimated_at, decimated, down, down_taps, blurred, middle, middle_taps, up_at, up_line, up, up_taps,
    transposed, out, out_pitch, length,
):  # fmt: skip
    """Decimate, blur and interpolate rows of ``cols`` pixels; behind each row, one pixel holds the padding value.

    ``index[p]`` is the column at place ``p``, or -1 for the padding value; column 0 is at place ``before``.

    1. Decimated sample ``u`` of ``decimated``: the sum of ``down_taps`` pixels, from sample ``decimated_at[u]`` of the
       padded row on, with the weights ``down``.
    2. Blurred sample ``u`` of ``blurred``: the sum of ``middle_taps`` decimated pixels, from sample ``u`` on, with the
       weights ``middle``.
    3. Output sample ``x`` of ``length``: the sum of ``up_taps`` blurred pixels, from sample ``up_at[x]`` on, with the
       weights of ``up`` from ``up_line[x]`` on.

    Tables are filled up to a multiple of eight entries, and ``tile`` to a multiple of ``lanes`` rows. Scratch:
    ``transposed``, with a vector for each channel of each place, each decimated and each blurred sample, and room for
    six blocks.
    """
    lanes = vectors.lanes(tile)
    pitch, pixel = (cols + 1) * channels, channels * lanes
    first_decimated = places * pixel
    first_blurred = first_decimated + decimated * lanes
    sums = first_blurred + blurred * lanes
    together = max(lanes, $together)
    back = sums + together * lanes
    for top in range(0, rows, lanes):
        _transpose(tile, top * pitch, pitch, channels, cols, before, index, places, transposed)
        for u in range(0, decimated, $together):
            to = first_decimated + u * lanes
            _sums_of_one_kernel(transposed, $decimated_bases, pixel, down, 0, down_taps, to)
        for u in range(0, blurred, $together):
            at, to = first_decimated + u * lanes, first_blurred + u * lanes
            _sums_of_one_kernel(transposed, $blurred_bases, pixel, middle, 0, middle_taps, to)
        for begin in range(0, length, together):
            for x in range(begin, min(begin + together, length), $together):
                to = sums + (x - begin) * lanes
                _sums_of_own_kernels(transposed, $up_bases, pixel, up, $up_lines, up_taps, to)
            start = top * out_pitch + begin
            _transpose_back(transposed, sums, back, together, out, start, out_pitch, length - begin, rows - top)
    return 0
''')


def _eight(template: str) -> str:
    return ", ".join(template.replace("?", str(k)) for k in range(_TOGETHER))


exec(
    _LOOP.substitute(
        together=_TOGETHER,
        decimated_bases=_eight("decimated_at[u + ?] * lanes"),
        blurred_bases=_eight("at + ? * lanes"),
        up_bases=_eight("first_blurred + up_at[x + ?] * lanes"),
        up_lines=_eight("up_line[x + ?]"),
    )
)
