"""The horizontal steps of a multirate Gaussian (decimate, blur, interpolate), one row for each lane of a vector.

Decimation reads every s-th sample of a row, and interpolation has weights that differ from sample to sample, so vectors
of neighbouring samples do not help. So squares of samples are transposed first: a vector then holds one sample of each
row, at a cache line. Results are transposed back.
"""

from __future__ import annotations

import textwrap
from string import Template

from convfilter.loops import vectors

#: Sums kept in registers: with fewer, additions wait for each other.
_TOGETHER = 8
#: Taps of one partial sum, as in ``correlate``.
_TAPS = 64

_SUMS = Template('''
def $name(turned, $bases, apart, weight, $weights, taps, to):
    """Write $_TOGETHER weighted sums, of vectors ``apart``, side by side; $which."""
    lanes = vectors.lanes(turned)
$zeros
    for first in range(0, taps, $_TAPS):
$new
        for t in range(first, min(first + $_TAPS, taps)):
            at = t * apart
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
        zeros=each("total? = vectors.spread(turned, 0)", 1),
        new=each("s? = vectors.spread(turned, 0)", 2),
        read=each("v! = vectors.spread(turned, weight[! + t])", 3),
        add=each("s? = vectors.multiply_add(s?, v!, vectors.read(turned, b? + at))", 3),
        total=each("total? = vectors.add(total?, s?)", 2),
        write=each("vectors.write(turned, to + ? * lanes, total?)", 1),
    )


exec(_sums("_sums_alike", "all have the weights from ``w`` on", ["w"] * _TOGETHER))
exec(_sums("_sums_apart", "each has weights of its own", [f"w{k}" for k in range(_TOGETHER)]))


def _turn(tile, start, pitch, channels, cols, before, index, places, turned):
    """Transpose the columns of some rows into their places of the padded row."""
    lanes = vectors.lanes(tile)
    first, last = max(before, 0), min(before + cols, places)
    count = (last - first) * channels
    whole = count - count % lanes
    at, to = start + (first - before) * channels, first * channels
    for x in range(0, whole, lanes):
        vectors.transpose(tile, at + x, pitch, turned, (to + x) * lanes, lanes)
    for x in range(whole, count):
        for row in range(lanes):
            turned[(to + x) * lanes + row] = tile[at + x + row * pitch]
    for part in range(2):
        begin = 0 if part == 0 else last
        for p in range(begin, first if part == 0 else places):
            col = index[p] if index[p] >= 0 else cols
            there = before + col
            for c in range(channels):
                to = (p * channels + c) * lanes
                if first <= there < last:
                    vectors.write(turned, to, vectors.read(turned, (there * channels + c) * lanes))
                else:
                    for row in range(lanes):
                        turned[to + row] = tile[start + col * channels + c + row * pitch]


def _turn_back(turned, sums, back, count, out, start, pitch, cols, rows):
    """Transpose ``count`` vectors of sums into ``rows`` rows, as far as ``cols`` columns exist."""
    lanes = vectors.lanes(out)
    for begin in range(0, min(count, cols), lanes):
        if rows >= lanes and cols - begin >= lanes:
            vectors.transpose(turned, sums + begin * lanes, lanes, out, start + begin, pitch)
        else:
            vectors.transpose(turned, sums + begin * lanes, lanes, turned, back, lanes)
            for row in range(min(rows, lanes)):
                place = start + begin + row * pitch
                vectors.write_part(out, place, vectors.read(turned, back + row * lanes), cols - begin)


_LOOP = Template('''
def rates_along(
    tile, rows, channels, cols, before, index, places,
    lowered_at, lowered, down, down_taps, blurred, middle, middle_taps, up_at, up_line, up, up_taps,
    turned, out, out_pitch, length,
):  # fmt: skip
    """Filter rows of ``cols`` columns, and one more that holds the padding value, to ``length`` samples.

    ``index[p]`` is the column at padded place ``p``, -1 for padding; column 0
    stands ``before`` places in. Lowered sample ``u`` weighs pixels from sample
    ``lowered_at[u]`` on, a blurred one lowered ones from itself on, and an
    output blurred ones from ``up_at[x]`` on by the weights from ``up_line[x]``
    on. There are ``lowered`` and ``blurred`` samples, and as many entries in
    all tables as make groups of eight. ``tile`` is whole vectors high. Scratch:
    ``turned``, a vector for each place, lowered and blurred sample, and for six blocks.
    """
    lanes = vectors.lanes(tile)
    pitch, pixel = (cols + 1) * channels, channels * lanes
    first_lowered = places * pixel
    first_blurred = first_lowered + lowered * lanes
    sums = first_blurred + blurred * lanes
    together = max(lanes, $together)
    back = sums + together * lanes
    for top in range(0, rows, lanes):
        _turn(tile, top * pitch, pitch, channels, cols, before, index, places, turned)
        for u in range(0, lowered, $together):
            to = first_lowered + u * lanes
            _sums_alike(turned, $lowered_bases, pixel, down, 0, down_taps, to)
        for u in range(0, blurred, $together):
            at, to = first_lowered + u * lanes, first_blurred + u * lanes
            _sums_alike(turned, $blurred_bases, pixel, middle, 0, middle_taps, to)
        for begin in range(0, length, together):
            for x in range(begin, min(begin + together, length), $together):
                to = sums + (x - begin) * lanes
                _sums_apart(turned, $up_bases, pixel, up, $up_lines, up_taps, to)
            start = top * out_pitch + begin
            _turn_back(turned, sums, back, together, out, start, out_pitch, length - begin, rows - top)
    return 0
''')


def _eight(template: str) -> str:
    return ", ".join(template.replace("?", str(k)) for k in range(_TOGETHER))


exec(
    _LOOP.substitute(
        together=_TOGETHER,
        lowered_bases=_eight("lowered_at[u + ?] * lanes"),
        blurred_bases=_eight("at + ? * lanes"),
        up_bases=_eight("first_blurred + up_at[x + ?] * lanes"),
        up_lines=_eight("up_line[x + ?]"),
    )
)
