"""Rank filter by a selection network: a sorting network without the comparisons that do not affect the rank.

The network is a list of pairs of lines. A line holds the samples under one tap for a few vectors of outputs; a
comparison puts the smaller samples into the first line and the larger ones into the second, whole vectors at a time
(K. E. Batcher, "Sorting networks and their applications", AFIPS 1968). The columns of a rectangle are sorted once for
all windows that contain them (A. Adams, "Fast median filters using separable sorting networks", ACM Trans. Graphics
40, 2021). For medians of 3x3 and 5x5, where moving lines through memory would take most of the time, all taps stay in
registers.
"""

from __future__ import annotations

import re
from string import Template

from convfilter.loops import vectors

#: Vectors of a line.
_VECTORS = 4
#: Samples whose sorted columns stay in a core's L1 cache.
_CHUNK = 2048


def select(
    tile, pitch, step, rows, length, window_rows, apart, column_pairs, column_pair_count, columns, width,
    taps, count, pairs, pair_count, first, second, lines, out, next_out, out_pitch,
):  # fmt: skip
    """Write the samples of two lines at the end of the network, for each output.

    ``tile`` has rows ``pitch`` samples apart; neighbouring outputs are ``step`` rows apart. Tap ``tap`` of output x is
    sample ``taps[tap] + x`` of the row or, with ``column_pair_count``, of ``columns``: ``window_rows`` lines of
    ``width`` samples that hold sorted columns of rows ``apart`` samples apart. A pair is two lines and the results that
    stay: 0 both, 1 the smaller, 2 the larger. ``lines`` has room for ``count`` lines of four vectors; ``tile`` and
    ``columns`` have four vectors of padding behind them.
    """
    size = _VECTORS * vectors.lanes(lines)
    for row in range(rows):
        start = row * step * pitch
        o = row * out_pitch
        if column_pair_count > 0:
            for x in range(0, width, size):
                for tap in range(window_rows):
                    _read(tile, start + tap * apart + x, lines, tap * size)
                _compare(lines, column_pairs, column_pair_count)
                for tap in range(window_rows):
                    _write(lines, tap * size, columns, tap * width + x, width - x)
            for x in range(0, length, size):
                for tap in range(count):
                    _read(columns, taps[tap] + x, lines, tap * size)
                _compare(lines, pairs, pair_count)
                _write(lines, first * size, out, o + x, length - x)
                _write(lines, second * size, next_out, o + x, length - x)
        else:
            for x in range(0, length, size):
                for tap in range(count):
                    _read(tile, start + taps[tap] + x, lines, tap * size)
                _compare(lines, pairs, pair_count)
                _write(lines, first * size, out, o + x, length - x)
                _write(lines, second * size, next_out, o + x, length - x)
    return 0


def _read(source, i, lines, to):
    for v in range(0, _VECTORS * vectors.lanes(lines), vectors.lanes(lines)):
        vectors.write(lines, to + v, vectors.read(source, i + v))


def _write(lines, i, out, o, left):
    for v in range(0, _VECTORS * vectors.lanes(lines), vectors.lanes(lines)):
        if left - v >= vectors.lanes(lines):
            vectors.write(out, o + v, vectors.read(lines, i + v))
        else:
            vectors.write_part(out, o + v, vectors.read(lines, i + v), left - v)


def _compare(lines, pairs, count):
    size = _VECTORS * vectors.lanes(lines)
    for pair in range(count):
        one, other = pairs[3 * pair] * size, pairs[3 * pair + 1] * size
        kept = pairs[3 * pair + 2]
        for v in range(0, size, vectors.lanes(lines)):
            a, b = vectors.read(lines, one + v), vectors.read(lines, other + v)
            if kept != 2:
                vectors.write(lines, one + v, vectors.lesser(a, b))
            if kept != 1:
                vectors.write(lines, other + v, vectors.greater(a, b))


#: Pairs that find the median of sorted columns (line ``side * row + col``), computed by ``planning/networks.py``:
#: "one:other" keeps both, "one<other" the smaller in the first line, "one>other" the larger in the second.
MEDIANS = {
    3: """
0:1 0>2 1>2 3:4 3>5 4<5 6<7 6<8 2:4 2>6 4<6
""",
    5: """
0:1 2:3 0:2 1:3 1>2 0>4 2>4 3:4 5:6 7:8 5:7 6:8 6:7 5>9 7:9 6>7 8:9 10:11 12:13 10:12 11:13 11:12
10>14 12:14 11:12 13<14 15:16 17:18 15:17 16<18 16:17 15:19 17<19 16:17 20:21 22:23 20:22 21<23
21:22 20:24 22<24 21<22 3:4 7:8 9:11 12:13 15:16 17:20 3:7 4:8 9:12 11:13 15:17 16:20 4:7 11:12
16:17 3:9 4:11 7:12 8<13 15:21 7:9 8:11 17:21 4:7 8:9 11:12 16:17 20:21 3>15 4>16 7>17 8<20 9<21
9>15 11<16 12<17 8>11 12<15 11>12
""",
}
#: Pairs that sort a column.
_SORTED = {3: "0:1 1:2 0:1", 5: "0:1 3:4 2:4 2:3 1:4 0:3 0:2 1:3 1:2"}


_MEDIAN = Template('''
def median_$side(tile, pitch, step, rows, length, apart, reach, columns, width, out, out_pitch):
    """Write the median of each window of $side x $side, whose taps lie ``apart`` and ``reach`` samples apart.

    ``columns`` is scratch for $side lines of ``width`` samples, which are as many as windows reach over, and of four
    vectors more; else as ``select``.
    """
    lanes = vectors.lanes(tile)
    for row in range(rows):
        start = row * step * pitch
        o = row * out_pitch
        for first in range(0, length, $chunk):
            last = min(length - first, $chunk)
            at = start + first
            for x in range(0, last + ($side - 1) * reach, lanes):
$read_rows
$sort
$write_columns
            for x in range(0, last, lanes):
$read_columns
$choose
                if last - x >= lanes:
                    vectors.write(out, o + first + x, v$median)
                else:
                    vectors.write_part(out, o + first + x, v$median, last - x)
    return 0
''')


def _statements(pairs: str) -> list[str]:
    forms = {
        ":": "v{0}, v{1} = vectors.lesser(v{0}, v{1}), vectors.greater(v{0}, v{1})",
        "<": "v{0} = vectors.lesser(v{0}, v{1})",
        ">": "v{1} = vectors.greater(v{0}, v{1})",
    }
    words = [re.split("([:<>])", pair) for pair in pairs.split()]
    return [forms[kept].format(one, other) for one, kept, other in words]


def _median(side: int) -> str:
    taps = range(side * side)
    parts = {
        "read_rows": [f"v{i} = vectors.read(tile, at + {i} * apart + x)" for i in range(side)],
        "sort": _statements(_SORTED[side]),
        "write_columns": [f"vectors.write(columns, {i} * width + x, v{i})" for i in range(side)],
        "read_columns": [f"v{i} = vectors.read(columns, {i // side} * width + x + {i % side} * reach)" for i in taps],
        "choose": _statements(MEDIANS[side]),
    }
    lines = {name: "\n".join(" " * 16 + line for line in part) for name, part in parts.items()}
    return _MEDIAN.substitute(side=side, chunk=_CHUNK, median=side * side // 2, **lines)


exec(_median(3))
exec(_median(5))
