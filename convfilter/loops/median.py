"""Medians of 3x3 and 5x5 windows by selection networks in registers, read directly from the source rows.

Rows are read through an index map. Where the columns of windows are adjacent in the source, whole vectors are read from
it; elsewhere, where windows overlap the padding, samples are first copied to scratch rows.

The median of three sorted columns is the median of three samples: the largest of the columns' minima, the median of
their medians, and the smallest of their maxima (J. L. Smith, "Implementing median filters in XC4000E FPGAs", Xcell 23,
1996). Two windows, one above the other, share two rows, which are compared once. For 5x5, each column of five is sorted
once for all windows that contain it, some thousand samples at a time; ``selection_network.py`` explains such networks.
"""

from __future__ import annotations

import re
from string import Template

from convfilter.loops import vectors


def median_3(
    source, pitch, rows, row_stride, row_dilation, count, places, run_start, run_length, length, tap_pitch, lines,
    width, out, start, out_pitch,
):  # fmt: skip
    """Write the median of each window of 3x3 taps, for ``count`` rows of ``length`` samples.

    ``rows`` holds the source row of each place. Windows are ``row_stride`` places apart, the rows of a window
    ``row_dilation`` places, and its taps along a row ``tap_pitch`` samples. ``places`` holds, for each sample of a
    padded row, its index in the source row; the ``run_length`` samples from ``run_start`` on are adjacent there.
    Scratch: ``lines`` for four rows of ``width`` samples, which are two vectors and 2 ``tap_pitch``.
    """
    lanes = vectors.lanes(source)
    begin = run_start
    end = min(length, run_start + run_length - 2 * tap_pitch)  # behind the last window within the run
    if end - begin < lanes:
        begin, end = length, length
    shift = places[run_start] - run_start
    row = 0
    while row < count:
        one, two, three = _three(rows, row * row_stride, row_dilation, pitch)
        four = three
        together = 1
        if row + 1 < count:
            above, between, below = _three(rows, (row + 1) * row_stride, row_dilation, pitch)
            if above == two and between == three:
                four = below
                together = 2
        o = start + row * out_pitch
        a, b, c, d = one + shift, two + shift, three + shift, four + shift
        for x in range(begin, end, lanes):
            i = min(x, end - lanes)
            if together == 2:
                upper, lower = _two_medians(source, a + i, b + i, c + i, d + i, tap_pitch)
                vectors.write(out, o + i, upper)
                vectors.write(out, o + out_pitch + i, lower)
            else:
                vectors.write(out, o + i, _median(source, a + i, b + i, c + i, tap_pitch))
        for part in range(2):
            left, right = 0, begin
            if part == 1:
                left, right = end, length
            for x in range(left, right, lanes):
                for k in range(min(lanes, length - x) + 2 * tap_pitch):
                    place = places[x + k]
                    lines[k] = source[one + place]
                    lines[width + k] = source[two + place]
                    lines[2 * width + k] = source[three + place]
                    lines[3 * width + k] = source[four + place]
                upper, lower = _two_medians(lines, 0, width, 2 * width, 3 * width, tap_pitch)
                vectors.write_part(out, o + x, upper, right - x)
                if together == 2:
                    vectors.write_part(out, o + out_pitch + x, lower, right - x)
        row += together
    return 0


def _three(rows, first, row_dilation, pitch):
    """Return the indices at which the three rows of a window begin."""
    return rows[first] * pitch, rows[first + row_dilation] * pitch, rows[first + 2 * row_dilation] * pitch


def _median(source, a, b, c, tap_pitch):
    """Return the medians of the windows of three rows."""
    less, more = _pair(source, b, c)
    low, middle, high = _ordered(vectors.read(source, a), less, more)
    less, more = _pair(source, b + tap_pitch, c + tap_pitch)
    low_1, middle_1, high_1 = _ordered(vectors.read(source, a + tap_pitch), less, more)
    less, more = _pair(source, b + 2 * tap_pitch, c + 2 * tap_pitch)
    low_2, middle_2, high_2 = _ordered(vectors.read(source, a + 2 * tap_pitch), less, more)
    return _of_columns(low, middle, high, low_1, middle_1, high_1, low_2, middle_2, high_2)


def _two_medians(source, a, b, c, d, tap_pitch):
    """Return the medians of the windows of the upper and of the lower three of four rows."""
    less, more = _pair(source, b, c)
    low, middle, high = _ordered(vectors.read(source, a), less, more)
    below, between, above = _ordered(vectors.read(source, d), less, more)
    less, more = _pair(source, b + tap_pitch, c + tap_pitch)
    low_1, middle_1, high_1 = _ordered(vectors.read(source, a + tap_pitch), less, more)
    below_1, between_1, above_1 = _ordered(vectors.read(source, d + tap_pitch), less, more)
    less, more = _pair(source, b + 2 * tap_pitch, c + 2 * tap_pitch)
    low_2, middle_2, high_2 = _ordered(vectors.read(source, a + 2 * tap_pitch), less, more)
    below_2, between_2, above_2 = _ordered(vectors.read(source, d + 2 * tap_pitch), less, more)
    upper = _of_columns(low, middle, high, low_1, middle_1, high_1, low_2, middle_2, high_2)
    return upper, _of_columns(below, between, above, below_1, between_1, above_1, below_2, between_2, above_2)


def _pair(source, b, c):
    """Return the smaller and the larger samples of two rows, lane by lane."""
    one, other = vectors.read(source, b), vectors.read(source, c)
    return vectors.lesser(one, other), vectors.greater(one, other)


def _ordered(one, less, more):
    """Sort three vectors, lane by lane; ``less`` and ``more`` are sorted already."""
    larger = vectors.greater(one, less)
    return vectors.lesser(one, less), vectors.lesser(larger, more), vectors.greater(larger, more)


def _of_columns(low, middle, high, low_1, middle_1, high_1, low_2, middle_2, high_2):
    """Return the medians of three sorted columns, lane by lane."""
    low = vectors.greater(vectors.greater(low, low_1), low_2)
    high = vectors.lesser(vectors.lesser(high, high_1), high_2)
    return _middle(low, _middle(middle, middle_1, middle_2), high)


def _middle(one, two, three):
    """Return the medians of three vectors, lane by lane."""
    less, more = vectors.lesser(one, two), vectors.greater(one, two)
    return vectors.greater(less, vectors.lesser(more, three))


#: Number of samples of a row whose sorted columns stay in a core's L1 cache.
_CHUNK = 2048

#: Pairs of lines that select the median of sorted columns, computed by ``planning/networks.py``; line ``5 * row + col``
#: holds a tap. "one:other" stores both results, "one<other" the smaller in the first line, "one>other" the larger in
#: the second.
MEDIAN_OF_COLUMNS = """
0:1 2:3 0:2 1:3 1>2 0>4 2>4 3:4 5:6 7:8 5:7 6:8 6:7 5>9 7:9 6>7 8:9 10:11 12:13 10:12 11:13 11:12
10>14 12:14 11:12 13<14 15:16 17:18 15:17 16<18 16:17 15:19 17<19 16:17 20:21 22:23 20:22 21<23
21:22 20:24 22<24 21<22 3:4 7:8 9:11 12:13 15:16 17:20 3:7 4:8 9:12 11:13 15:17 16:20 4:7 11:12
16:17 3:9 4:11 7:12 8<13 15:21 7:9 8:11 17:21 4:7 8:9 11:12 16:17 20:21 3>15 4>16 7>17 8<20 9<21
9>15 11<16 12<17 8>11 12<15 11>12
"""
#: Pairs that sort a column.
_SORTED = "0:1 3:4 2:4 2:3 1:4 0:3 0:2 1:3 1:2"


_MEDIAN = Template('''
def median_5(
    source, pitch, rows, row_stride, row_dilation, count, places, run_start, run_length, length, tap_pitch, columns,
    width, out, start, out_pitch,
):
    """Write the median of each window of 5x5 taps; ``columns`` is scratch for five rows of ``width`` samples.

    The run is at least as long as a vector. The other arguments are those of ``median_3``.
    """
    lanes = vectors.lanes(source)
    behind = run_start + run_length
    for row in range(count):
$rows
        o = start + row * out_pitch
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
$write_padding
            shift = places[run_start] - run_start
            for x in range(begin, end, lanes):
                x = min(x, behind - lanes)
$read_rows
$sort
$write_columns
            to = lanes
            for x in range(0, last, lanes):
$read_columns
$choose
                if last - x >= lanes:
                    vectors.write(out, o + first + x, v12)
                else:
                    vectors.write_part(out, o + first + x, v12, last - x)
    return 0
''')


def _statements(pairs: str) -> list[str]:
    forms = {
        ":": "v{0}, v{1} = vectors.lesser(v{0}, v{1}), vectors.greater(v{0}, v{1})",
        "<": "v{0} = vectors.lesser(v{0}, v{1})",
        ">": "v{1} = vectors.greater(v{0}, v{1})",
    }
    words = [re.split("([:<>])", pair) for pair in pairs.split()]
    return [forms[sign].format(one, other) for one, sign, other in words]


def _median_5() -> str:
    taps = range(25)
    write = [f"vectors.write(columns, {i} * width + to + x, v{i})" for i in range(5)]
    parts = {
        "rows": (8, [f"r{i} = rows[row * row_stride + {i} * row_dilation] * pitch" for i in range(5)]),
        "copy_padding": (20, [f"columns[{i} * width + to + x] = source[r{i} + places[x]]" for i in range(5)]),
        "read_padding": (20, [f"v{i} = vectors.read(columns, {i} * width + to + x)" for i in range(5)]),
        "sort_padding": (20, _statements(_SORTED)),
        "write_padding": (20, write),
        "read_rows": (16, [f"v{i} = vectors.read(source, r{i} + shift + x)" for i in range(5)]),
        "sort": (16, _statements(_SORTED)),
        "write_columns": (16, write),
        "read_columns": (
            16,
            [f"v{i} = vectors.read(columns, {i // 5} * width + to + x + {i % 5} * tap_pitch)" for i in taps],
        ),
        "choose": (16, _statements(MEDIAN_OF_COLUMNS)),
    }
    code = {name: "\n".join(" " * indent + line for line in part) for name, (indent, part) in parts.items()}
    return _MEDIAN.substitute(chunk=_CHUNK, **code)


exec(_median_5())
