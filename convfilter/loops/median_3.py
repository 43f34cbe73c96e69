"""Medians of 3x3 windows by comparisons in registers, read directly from the source rows.

Rows are read through an index map. Where the columns of windows are adjacent in the source, whole vectors are read from
it; elsewhere, where windows overlap the padding, samples are first copied to scratch rows.

The median of three sorted columns is the median of three samples: the largest of the columns' minima, the median of
their medians, and the smallest of their maxima (J. L. Smith, "Implementing median filters in XC4000E FPGAs", Xcell 23,
1996). Two windows, one above the other, share two rows, which are compared once. With a mask, ``holes.py`` fills
ignored samples; windows on rows without any are computed as without a mask.
"""

from __future__ import annotations

from convfilter.loops import vectors
from convfilter.loops.holes import _filled, _has_holes, _left_out, _spread_holes


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
    row = 0
    while row < count:
        together = _together(row, row_stride, row_dilation, count)
        _rows_3(
            _median, _two_medians, together, source, pitch, rows, row * row_stride, row_dilation, places, run_start,
            run_length, length, tap_pitch, lines, width, out, start + row * out_pitch, out_pitch, source, rows, 0,
        )  # fmt: skip
        row += together
    return 0


def masked_median_3(
    source, pitch, rows, row_stride, row_dilation, count, places, run_start, run_length, length, tap_pitch, lines,
    width, out, start, out_pitch, valid, valid_pitch, channels, holes, hole_pitch, hole_rows, leaves_out,
):  # fmt: skip
    """Write the median of the valid samples of each window of 3x3 taps; without any, a sample is undefined.

    ``valid`` holds 1 for each valid pixel of the source, else 0. With ``leaves_out``, samples are 0 where the pixel at
    the centre is ignored. Scratch: ``holes`` for ``4 * row_dilation + 2`` rows of ``hole_pitch`` samples, those of a
    padded row and a vector; ``hole_rows`` for one number less. The other arguments are those of ``median_3``.
    """
    row = spread = 0
    while row < count:
        together = _together(row, row_stride, row_dilation, count)
        first, o = row * row_stride, start + row * out_pitch
        spread = _spread_holes(
            valid, valid_pitch, rows, max(spread, first), first + (together + 1) * row_dilation + 1, row_dilation,
            places, run_start, run_length, length + 2 * tap_pitch, channels, holes, hole_pitch, hole_rows,
        )  # fmt: skip
        if _has_holes(hole_rows, first, together + 2, row_dilation, hole_pitch):
            _rows_3(
                _masked_median, _two_masked_medians, together, source, pitch, rows, first, row_dilation, places,
                run_start, run_length, length, tap_pitch, lines, width, out, o, out_pitch, holes, hole_rows, leaves_out,
            )  # fmt: skip
        else:
            _rows_3(
                _median, _two_medians, together, source, pitch, rows, first, row_dilation, places, run_start,
                run_length, length, tap_pitch, lines, width, out, o, out_pitch, holes, hole_rows, leaves_out,
            )  # fmt: skip
        row += together
    return 0


def _together(row, row_stride, row_dilation, count):
    """Return 2 if the windows of a row share two rows with those of the next row, else 1."""
    return 2 if row + 1 < count and row_stride == row_dilation else 1


def _rows_3(
    one_median, two_medians, together, source, pitch, rows, first, row_dilation, places, run_start, run_length, length,
    tap_pitch, lines, width, out, o, out_pitch, holes, hole_rows, leaves_out,
):  # fmt: skip
    """Write a row of medians, or two if ``together`` is 2; ``first`` is the place of the first row of their windows."""
    lanes = vectors.lanes(source)
    begin = run_start
    end = min(length, run_start + run_length - 2 * tap_pitch)  # behind the last window within the run
    if end - begin < lanes:
        begin, end = length, length
    shift = places[run_start] - run_start
    last = first + (together + 1) * row_dilation
    one, two = rows[first] * pitch, rows[first + row_dilation] * pitch
    three, four = rows[first + 2 * row_dilation] * pitch, rows[last] * pitch
    ring = 4 * row_dilation + 1
    e, f = hole_rows[first % ring], hole_rows[(first + row_dilation) % ring]
    g, h = hole_rows[(first + 2 * row_dilation) % ring], hole_rows[last % ring]
    a, b, c, d = one + shift, two + shift, three + shift, four + shift
    for x in range(begin, end, lanes):
        i = min(x, end - lanes)
        if together == 2:
            upper, lower = two_medians(
                source, a + i, b + i, c + i, d + i, tap_pitch, holes, e + i, f + i, g + i, h + i, leaves_out
            )
            vectors.write(out, o + i, upper)
            vectors.write(out, o + out_pitch + i, lower)
        else:
            upper = one_median(source, a + i, b + i, c + i, tap_pitch, holes, e + i, f + i, g + i, leaves_out)
            vectors.write(out, o + i, upper)
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
            upper, lower = two_medians(
                lines, 0, width, 2 * width, 3 * width, tap_pitch, holes, e + x, f + x, g + x, h + x, leaves_out
            )
            vectors.write_part(out, o + x, upper, right - x)
            if together == 2:
                vectors.write_part(out, o + out_pitch + x, lower, right - x)


def _median(source, a, b, c, tap_pitch, holes, e, f, g, leaves_out):
    """Return the medians of the windows of three rows."""
    return _with_pairs(source, a, tap_pitch, _pairs(source, b, c, tap_pitch))


def _two_medians(source, a, b, c, d, tap_pitch, holes, e, f, g, h, leaves_out):
    """Return the medians of the windows of the upper and of the lower three of four rows."""
    pairs = _pairs(source, b, c, tap_pitch)
    return _with_pairs(source, a, tap_pitch, pairs), _with_pairs(source, d, tap_pitch, pairs)


def _pairs(source, b, c, tap_pitch):
    """Return the smaller and the larger samples of two rows for each of three columns, lane by lane."""
    less, more = _pair(vectors.read(source, b), vectors.read(source, c))
    b, c = b + tap_pitch, c + tap_pitch
    less_1, more_1 = _pair(vectors.read(source, b), vectors.read(source, c))
    less_2, more_2 = _pair(vectors.read(source, b + tap_pitch), vectors.read(source, c + tap_pitch))
    return less, more, less_1, more_1, less_2, more_2


def _with_pairs(source, a, tap_pitch, pairs):
    """Return the medians of a row and of two others, whose columns are sorted already."""
    less, more, less_1, more_1, less_2, more_2 = pairs
    low, middle, high = _ordered(vectors.read(source, a), less, more)
    low_1, middle_1, high_1 = _ordered(vectors.read(source, a + tap_pitch), less_1, more_1)
    low_2, middle_2, high_2 = _ordered(vectors.read(source, a + 2 * tap_pitch), less_2, more_2)
    low = vectors.greater(vectors.greater(low, low_1), low_2)
    high = vectors.lesser(vectors.lesser(high, high_1), high_2)
    return _middle(low, _middle(middle, middle_1, middle_2), high)


def _pair(one, other):
    """Sort two vectors, lane by lane."""
    return vectors.lesser(one, other), vectors.greater(one, other)


def _ordered(one, less, more):
    """Sort three vectors, lane by lane; ``less`` and ``more`` are sorted already."""
    larger = vectors.greater(one, less)
    return vectors.lesser(one, less), vectors.lesser(larger, more), vectors.greater(larger, more)


def _middle(one, two, three):
    """Return the medians of three vectors, lane by lane."""
    less, more = _pair(one, two)
    return vectors.greater(less, vectors.lesser(more, three))


def _masked_median(source, a, b, c, tap_pitch, holes, e, f, g, leaves_out):
    """Return the medians of the valid samples of the windows of three rows."""
    pairs, odd = _filled_pairs(source, b, c, tap_pitch, holes, f, g)
    return _left_out(_of_valid(source, a, tap_pitch, holes, e, pairs, odd), holes, f + tap_pitch, leaves_out)


def _two_masked_medians(source, a, b, c, d, tap_pitch, holes, e, f, g, h, leaves_out):
    """Return the medians of the valid samples of the upper and of the lower three of four rows.

    The rows that both share are filled first.
    """
    pairs, odd = _filled_pairs(source, b, c, tap_pitch, holes, f, g)
    upper = _of_valid(source, a, tap_pitch, holes, e, pairs, odd)
    lower = _of_valid(source, d, tap_pitch, holes, h, pairs, odd)
    upper = _left_out(upper, holes, f + tap_pitch, leaves_out)
    return upper, _left_out(lower, holes, g + tap_pitch, leaves_out)


def _filled_pairs(source, b, c, tap_pitch, holes, f, g):
    """Return what ``_pairs`` returns, with ignored samples filled, and whether an odd number is filled."""
    less, more, odd = _filled_pair(source, b, c, holes, f, g, vectors.spread(source, 0))
    b, c, f, g = b + tap_pitch, c + tap_pitch, f + tap_pitch, g + tap_pitch
    less_1, more_1, odd = _filled_pair(source, b, c, holes, f, g, odd)
    b, c, f, g = b + tap_pitch, c + tap_pitch, f + tap_pitch, g + tap_pitch
    less_2, more_2, odd = _filled_pair(source, b, c, holes, f, g, odd)
    return (less, more, less_1, more_1, less_2, more_2), odd


def _filled_pair(source, b, c, holes, f, g, odd):
    one, odd = _filled(vectors.read(source, b), holes, f, odd)
    other, odd = _filled(vectors.read(source, c), holes, g, odd)
    less, more = _pair(one, other)
    return less, more, odd


def _of_valid(source, a, tap_pitch, holes, e, pairs, odd):
    """Return the medians of the valid samples of a row and of two others, whose columns are sorted already."""
    less, more, less_1, more_1, less_2, more_2 = pairs
    one, odd = _filled(vectors.read(source, a), holes, e, odd)
    low, middle, high = _ordered(one, less, more)
    one, odd = _filled(vectors.read(source, a + tap_pitch), holes, e + tap_pitch, odd)
    low_1, middle_1, high_1 = _ordered(one, less_1, more_1)
    one, odd = _filled(vectors.read(source, a + 2 * tap_pitch), holes, e + 2 * tap_pitch, odd)
    low_2, middle_2, high_2 = _ordered(one, less_2, more_2)
    low = vectors.greater(vectors.greater(low, low_1), low_2)
    less, more = _pair(high, high_1)
    high, next_high, _ = _ordered(high_2, less, more)
    less, more = _pair(middle, middle_1)
    _, middle, next_middle = _ordered(middle_2, less, more)
    less, more = _pair(low, middle)
    _, median, above = _ordered(high, less, more)
    # The next rank is the least of the samples that may follow the median.
    above = vectors.lesser(vectors.lesser(next_high, next_middle), above)
    return vectors.mean(median, vectors.select(odd, above, median))
