"""Medians of 5x5 windows by selection networks in registers, read directly from the source rows.

Each column of five is sorted once for all windows that contain it, some thousand samples at a time;
``selection_network.py`` explains such networks, and ``median_3.py`` how rows are read.

With a mask, ``holes.py`` fills ignored samples, the first of a column with the smallest number. Where a window has an
odd number of them in the columns before, that column must begin with the largest number instead. This changes a column
only if its own number is odd, too: it has the smallest number once less, and the largest once more. Sorted, all its
samples move by one place.
"""

from __future__ import annotations

import re
from itertools import pairwise
from string import Template
from types import FunctionType

from convfilter.loops import vectors  # noqa: F401 - the generated code uses vectors
from convfilter.loops.holes import _filled, _has_holes, _left_out, _spread_holes  # noqa: F401

#: Number of samples of a row whose sorted columns stay in a core's L1 cache.
_CHUNK = 2048

#: Pairs of lines that select the median of sorted columns, derived in ``tests/test_rank.py``; line ``5 * row + col``
#: holds a tap. "one:other" stores both results, "one<other" the smaller in the first line, "one>other" the larger in
#: the second.
MEDIAN_OF_COLUMNS = """
0:1 2:3 0:2 1:3 1>2 0>4 2>4 3:4 5:6 7:8 5:7 6:8 6:7 5>9 7:9 6>7 8:9 10:11 12:13 10:12 11:13 11:12
10>14 12:14 11:12 13<14 15:16 17:18 15:17 16<18 16:17 15:19 17<19 16:17 20:21 22:23 20:22 21<23
21:22 20:24 22<24 21<22 3:4 7:8 9:11 12:13 15:16 17:20 3:7 4:8 9:12 11:13 15:17 16:20 4:7 11:12
16:17 3:9 4:11 7:12 8<13 15:21 7:9 8:11 17:21 4:7 8:9 11:12 16:17 20:21 3>15 4>16 7>17 8<20 9<21
9>15 11<16 12<17 8>11 12<15 11>12
"""
#: Pairs that select the median, in line 12, and the next rank, in line 13.
MIDDLE_OF_COLUMNS = """
0:1 2:3 0:2 1:3 1>2 0>4 2>4 3:4 5:6 7:8 5:7 6:8 6:7 5>9 7:9 6>7 8:9 10:11 12:13 10:12 11:13 11:12
10>14 12:14 11:12 13<14 15:16 17:18 15:17 16<18 16:17 15:19 17<19 16:17 20:21 22:23 20:22 21<23
21:22 20:24 22<24 21<22 3:4 7:8 9:11 12:13 15:16 17:20 3:7 4:8 9:12 11:13 15:17 16:20 4:7 11:12
16:17 3:9 4:11 7:12 8:13 15:21 7:9 8:11 17:21 4:7 8:9 11:12 16:17 20:21 3>15 4>16 7>17 8:20 9<21
9>15 11:16 12<17 13<20 8>11 12:15 13<16 11>12 13<15
"""
#: Pairs that sort a column.
_SORTED = "0:1 3:4 2:4 2:3 1:4 0:3 0:2 1:3 1:2"


def median_5(
    source, pitch, rows, row_stride, row_dilation, count, places, run_start, run_length, length, tap_pitch, columns,
    width, out, start, out_pitch,
):  # fmt: skip
    """Write the median of each window of 5x5 taps; ``columns`` is scratch for five rows of ``width`` samples.

    The run is at least as long as a vector. The other arguments are those of ``median_3`` in ``median_3.py``.
    """
    for row in range(count):
        _row_5(
            source, pitch, rows, row * row_stride, row_dilation, places, run_start, run_length, length, tap_pitch,
            columns, width, out, start + row * out_pitch, source, rows, 0,
        )  # fmt: skip
    return 0


def masked_median_5(
    source, pitch, rows, row_stride, row_dilation, count, places, run_start, run_length, length, tap_pitch, columns,
    width, out, start, out_pitch, valid, valid_pitch, channels, holes, hole_pitch, hole_rows, leaves_out,
):  # fmt: skip
    """Write the median of the valid samples of each window of 5x5 taps; without any, a sample is undefined.

    ``columns`` is scratch for six rows. The other arguments are those of ``median_5`` and
    of ``masked_median_3`` in ``median_3.py``.
    """
    spread = 0
    for row in range(count):
        first, o = row * row_stride, start + row * out_pitch
        spread = _spread_holes(
            valid, valid_pitch, rows, max(spread, first), first + 4 * row_dilation + 1, row_dilation, places, run_start,
            run_length, length + 4 * tap_pitch, channels, holes, hole_pitch, hole_rows,
        )  # fmt: skip
        if _has_holes(hole_rows, first, 5, row_dilation, hole_pitch):
            _masked_row_5(
                source, pitch, rows, first, row_dilation, places, run_start, run_length, length, tap_pitch, columns,
                width, out, o, holes, hole_rows, leaves_out,
            )  # fmt: skip
        else:
            _row_5(
                source, pitch, rows, first, row_dilation, places, run_start, run_length, length, tap_pitch, columns,
                width, out, o, holes, hole_rows, leaves_out,
            )  # fmt: skip
    return 0


_ROW = Template('''
def $name(
    source, pitch, rows, first_row, row_dilation, places, run_start, run_length, length, tap_pitch, columns, width,
    out, o, holes, hole_rows, leaves_out,
):
    """Write a row of medians."""
    lanes = vectors.lanes(source)
    behind = run_start + run_length
    shift = places[run_start] - run_start
$rows
    for first in range(0, length, $chunk):
        last = min(length - first, $chunk)
        stop = first + last + 4 * tap_pitch
        to = lanes - first  # the last vector of a run may begin before the chunk
        begin = min(max(first, run_start), stop)
        end = max(begin, min(stop, behind))
        for part in range(2):
            left, right = (first, begin) if part == 0 else (end, stop)
            for x in range(left, right):
$copy_padding
            for x in range(left, right, lanes):
$read_padding
$sort_padding
        for x in range(begin, end, lanes):
            x = min(x, behind - lanes)
$read_rows
$sort
        to = lanes
        for x in range(0, last, lanes):
$read_columns
$choose
            if last - x >= lanes:
                vectors.write(out, o + first + x, v12)
            else:
                vectors.write_part(out, o + first + x, v12, last - x)
''')


def _statements(pairs: str) -> list[str]:
    forms = {
        ":": "v{0}, v{1} = vectors.lesser(v{0}, v{1}), vectors.greater(v{0}, v{1})",
        "<": "v{0} = vectors.lesser(v{0}, v{1})",
        ">": "v{1} = vectors.greater(v{0}, v{1})",
    }
    words = [re.split("([:<>])", pair) for pair in pairs.split()]
    return [forms[sign].format(one, other) for one, sign, other in words]


def _row_of(name: str, masked: bool) -> FunctionType:
    """Return the function that writes a row of medians."""
    rows = [f"r{i} = rows[first_row + {i} * row_dilation] * pitch" for i in range(5)]
    sort = [*_statements(_SORTED), *(f"vectors.write(columns, {i} * width + to + x, v{i})" for i in range(5))]
    read = [f"v{i} = vectors.read(columns, {i // 5} * width + to + x + {i % 5} * tap_pitch)" for i in range(25)]
    choose = _statements(MIDDLE_OF_COLUMNS if masked else MEDIAN_OF_COLUMNS)
    if masked:
        rows += [f"h{i} = hole_rows[(first_row + {i} * row_dilation) % (4 * row_dilation + 1)]" for i in range(5)]
        fill = [f"v{i}, odd = _filled(v{i}, holes, h{i} + x, odd)" for i in range(5)]
        sort = ["odd = vectors.spread(source, 0)", *fill, *sort, "vectors.write(columns, 5 * width + to + x, odd)"]
        read.append("odd = vectors.read(columns, 5 * width + to + x)")
        read += [line for col in range(1, 5) for line in _moved(col)]
        choose += [
            "v12 = vectors.mean(v12, vectors.select(odd, v13, v12))",
            "v12 = _left_out(v12, holes, h2 + first + x + 2 * tap_pitch, leaves_out)",
        ]
    parts = {
        "rows": (4, rows),
        "copy_padding": (16, [f"columns[{i} * width + to + x] = source[r{i} + places[x]]" for i in range(5)]),
        "read_padding": (16, [f"v{i} = vectors.read(columns, {i} * width + to + x)" for i in range(5)]),
        "sort_padding": (16, sort),
        "read_rows": (12, [f"v{i} = vectors.read(source, r{i} + shift + x)" for i in range(5)]),
        "sort": (12, sort),
        "read_columns": (12, read),
        "choose": (12, choose),
    }
    code = {part: "\n".join(" " * indent + line for line in text) for part, (indent, text) in parts.items()}
    exec(_ROW.substitute(name=name, chunk=_CHUNK, **code), globals())
    function: FunctionType = globals()[name]
    return function


def _moved(col: int) -> list[str]:
    """Return statements that move the samples of a column where it and the columns before have odd numbers filled."""
    lines = [f"v{5 * row + col}" for row in range(5)]
    return [
        f"own = vectors.read(columns, 5 * width + to + x + {col} * tap_pitch)",
        "both = vectors.lesser(odd, own)",
        *(f"{line} = vectors.select(both, {below}, {line})" for line, below in pairwise(lines)),
        f"{lines[-1]} = vectors.greater(both, {lines[-1]})",
        "odd = vectors.exclusive_or(odd, own)",
    ]


_row_5, _masked_row_5 = _row_of("_row_5", masked=False), _row_of("_masked_row_5", masked=True)
