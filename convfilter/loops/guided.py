"""Guided filter: in each window, the line from guide to picture with the least squared error; then means of all lines.

K. He, J. Sun, X. Tang, "Guided image filtering", ECCV 2010. A line has a slope and an intercept. Column sums slide
down: one row enters, one leaves. The sum of a window is the difference of two prefix sums of the column sums, so the
cost does not grow with the radius. Samples lie in planes, whose rows are padded by the radius on both sides. The middle
of their range is subtracted first, so that squares lose fewer digits.
"""

from __future__ import annotations

from convfilter.loops import vectors

#: Numbers of the sums for a guide of one plane: of the guide, its squares, the picture, and guide times picture.
_GUIDE, _SQUARE, _PICTURE, _PRODUCT = 0, 1, 2, 3
#: Numbers of the first sums for a guide of three planes: of the planes, of the picture, of the six products of two
#: planes, and of the three products of a plane and the picture; then the count of all sums.
_OWN, _OTHER, _PAIRS, _WITH_PICTURE, _SUMS = 0, 3, 4, 10, 13


def window_shares(cells, pitch, rows, cols, radius, sums, prefix, out, out_pitch):
    """Write 1 over the number of cells of each window that are 1, and 0 if all are 0; windows are those of ``fit``.

    Scratch: ``sums`` of ``pitch`` samples, ``prefix`` of ``pitch`` samples and a vector.
    """
    lanes = vectors.lanes(sums)
    side = 2 * radius + 1
    zero, one, most = vectors.spread(sums, 0), vectors.spread(sums, 1), vectors.spread(sums, 1e300)
    for x in range(0, pitch, lanes):
        vectors.write(sums, x, zero)
    for row in range(2 * radius):
        _enter_cells(cells, row * pitch, pitch, 1.0, sums)
    for row in range(rows):
        _enter_cells(cells, (row + 2 * radius) * pitch, pitch, 1.0, sums)
        _prefix_sums(sums, 0, cols + 2 * radius, prefix, 0)
        for x in range(0, cols, lanes):
            count = _window_sums(prefix, x, side)
            share = vectors.divide(vectors.between(count, zero, one), vectors.between(count, one, most))
            vectors.write(out, row * out_pitch + x, share)
        _enter_cells(cells, row * pitch, pitch, -1.0, sums)
    return 0


def _enter_cells(cells, i, pitch, sign, sums):
    lanes = vectors.lanes(sums)
    factor = vectors.spread(sums, sign)
    for x in range(0, pitch, lanes):
        _accumulate(sums, x, factor, vectors.read(cells, i + x))


def fit(
    guide, picture, pitch, rows, cols, radius, self_guided, guide_middle, middle, epsilon, shares, share_pitch, sums,
    prefix, slopes, means, intercepts, out_pitch,
):  # fmt: skip
    """Write the slope and the intercept of the line of each window, for ``rows`` rows of ``cols`` windows.

    ``guide_middle`` and ``middle`` are subtracted from samples of ``guide`` and ``picture``. The windows of row y cover
    rows y to y + 2 ``radius``; rows are ``pitch`` samples apart, a multiple of the number of lanes. ``epsilon`` is
    added to the variance of the guide. If the picture is its own guide (``self_guided``), ``picture`` is not read.
    ``shares`` has 1 over the number of pixels of each window that count; all others are the middles. Its rows are
    ``share_pitch`` apart, 0 if all are alike. The slope and the intercept of a window of share 0 are 0. ``means`` gets
    the mean of the picture in each window; it may be ``intercepts`` if nobody reads it.

    Scratch: ``sums`` of 4 rows of ``pitch`` samples, ``prefix`` of 4 rows of ``pitch`` samples and a vector.
    """
    lanes = vectors.lanes(sums)
    side = 2 * radius + 1
    zero, most, eps = vectors.spread(sums, 0), vectors.spread(sums, 1e300), vectors.spread(sums, epsilon)
    line = pitch + lanes
    count = 2 if self_guided != 0 else 4
    for x in range(0, count * pitch, lanes):
        vectors.write(sums, x, zero)
    for row in range(2 * radius):
        _enter(guide, picture, row * pitch, pitch, self_guided, guide_middle, middle, 1.0, sums)
    for row in range(rows):
        _enter(guide, picture, (row + 2 * radius) * pitch, pitch, self_guided, guide_middle, middle, 1.0, sums)
        for q in range(count):
            _prefix_sums(sums, q * pitch, cols + 2 * radius, prefix, q * line)
        for x in range(0, cols, lanes):
            share = vectors.read(shares, row * share_pitch + x)
            mean = vectors.multiply(_window_sums(prefix, x, side), share)
            square = vectors.multiply(_window_sums(prefix, _SQUARE * line + x, side), share)
            variance = vectors.between(vectors.subtract(square, vectors.multiply(mean, mean)), zero, most)
            above = vectors.add(variance, eps)
            if self_guided != 0:
                slope = vectors.divide(variance, above)
                other = mean
            else:
                other = vectors.multiply(_window_sums(prefix, _PICTURE * line + x, side), share)
                product = vectors.multiply(_window_sums(prefix, _PRODUCT * line + x, side), share)
                slope = vectors.divide(vectors.subtract(product, vectors.multiply(mean, other)), above)
            vectors.write(slopes, row * out_pitch + x, slope)
            vectors.write(means, row * out_pitch + x, other)
            vectors.write(intercepts, row * out_pitch + x, vectors.subtract(other, vectors.multiply(slope, mean)))
        _enter(guide, picture, row * pitch, pitch, self_guided, guide_middle, middle, -1.0, sums)
    return 0


def _enter(guide, picture, i, pitch, self_guided, guide_middle, middle, sign, sums):
    """Add a row, multiplied by ``sign`` (1 or -1), to the column sums."""
    lanes = vectors.lanes(sums)
    minus, other_minus, factor = (
        vectors.spread(sums, guide_middle),
        vectors.spread(sums, middle),
        vectors.spread(sums, sign),
    )
    for x in range(0, pitch, lanes):
        own = vectors.subtract(vectors.read(guide, i + x), minus)
        signed = vectors.multiply(own, factor)
        vectors.write(sums, x, vectors.add(vectors.read(sums, x), signed))
        at = _SQUARE * pitch + x
        vectors.write(sums, at, vectors.multiply_add(vectors.read(sums, at), signed, own))
        if self_guided == 0:
            other = vectors.subtract(vectors.read(picture, i + x), other_minus)
            at = _PICTURE * pitch + x
            vectors.write(sums, at, vectors.multiply_add(vectors.read(sums, at), factor, other))
            at = _PRODUCT * pitch + x
            vectors.write(sums, at, vectors.multiply_add(vectors.read(sums, at), signed, other))


def _prefix_sums(sums, i, count, prefix, o):
    """Write the prefix sums of a row: for each sample, the sum of all samples before it."""
    total = 0.0
    prefix[o] = total
    for x in range(count):
        total += sums[i + x]
        prefix[o + x + 1] = total


def _window_sums(prefix, i, side):
    """Return a vector of the sums of windows of ``side`` columns, of which the first begins at ``i``."""
    return vectors.subtract(vectors.read(prefix, i + side), vectors.read(prefix, i))


def fit_colours(
    guide, plane, picture, pitch, rows, cols, radius, guide_middle, middle, epsilon, shares, share_pitch, sums, prefix,
    slopes, slope_plane, intercepts, out_pitch,
):  # fmt: skip
    """Write three slopes and the intercept for a guide of three planes, ``plane`` samples apart, by its covariance.

    The other arguments are those of ``fit``. Scratch: ``sums`` of 13 rows of ``pitch`` samples, ``prefix`` of 13 rows
    of ``pitch`` samples and a vector.
    """
    lanes = vectors.lanes(sums)
    side = 2 * radius + 1
    zero, eps = vectors.spread(sums, 0), vectors.spread(sums, epsilon)
    line = pitch + lanes
    for x in range(0, _SUMS * pitch, lanes):
        vectors.write(sums, x, zero)
    for row in range(2 * radius):
        _enter_colours(guide, plane, picture, row * pitch, pitch, guide_middle, middle, 1.0, sums)
    for row in range(rows):
        _enter_colours(guide, plane, picture, (row + 2 * radius) * pitch, pitch, guide_middle, middle, 1.0, sums)
        for q in range(_SUMS):
            _prefix_sums(sums, q * pitch, cols + 2 * radius, prefix, q * line)
        for x in range(0, cols, lanes):
            share = vectors.read(shares, row * share_pitch + x)
            mean_0, mean_1, mean_2 = (
                vectors.multiply(_window_sums(prefix, x, side), share),
                vectors.multiply(_window_sums(prefix, line + x, side), share),
                vectors.multiply(_window_sums(prefix, 2 * line + x, side), share),
            )
            other = vectors.multiply(_window_sums(prefix, _OTHER * line + x, side), share)
            at = _PAIRS * line + x
            s_00 = vectors.add(_covariance(prefix, at, side, share, mean_0, mean_0), eps)
            s_01 = _covariance(prefix, at + line, side, share, mean_0, mean_1)
            s_02 = _covariance(prefix, at + 2 * line, side, share, mean_0, mean_2)
            s_11 = vectors.add(_covariance(prefix, at + 3 * line, side, share, mean_1, mean_1), eps)
            s_12 = _covariance(prefix, at + 4 * line, side, share, mean_1, mean_2)
            s_22 = vectors.add(_covariance(prefix, at + 5 * line, side, share, mean_2, mean_2), eps)
            at = _WITH_PICTURE * line + x
            c_0 = _covariance(prefix, at, side, share, mean_0, other)
            c_1 = _covariance(prefix, at + line, side, share, mean_1, other)
            c_2 = _covariance(prefix, at + 2 * line, side, share, mean_2, other)
            # Cramer's rule, with the cofactors of the symmetric covariance matrix.
            m_00, m_01, m_02 = (
                _minor(s_11, s_22, s_12, s_12),
                _minor(s_02, s_12, s_01, s_22),
                _minor(s_01, s_12, s_02, s_11),
            )
            m_11, m_12, m_22 = (
                _minor(s_00, s_22, s_02, s_02),
                _minor(s_01, s_02, s_00, s_12),
                _minor(s_00, s_11, s_01, s_01),
            )
            whole = _dot(s_00, m_00, s_01, m_01, s_02, m_02)
            a_0 = vectors.divide(_dot(m_00, c_0, m_01, c_1, m_02, c_2), whole)
            a_1 = vectors.divide(_dot(m_01, c_0, m_11, c_1, m_12, c_2), whole)
            a_2 = vectors.divide(_dot(m_02, c_0, m_12, c_1, m_22, c_2), whole)
            o = row * out_pitch + x
            vectors.write(slopes, o, a_0)
            vectors.write(slopes, slope_plane + o, a_1)
            vectors.write(slopes, 2 * slope_plane + o, a_2)
            vectors.write(intercepts, o, vectors.subtract(other, _dot(a_0, mean_0, a_1, mean_1, a_2, mean_2)))
        _enter_colours(guide, plane, picture, row * pitch, pitch, guide_middle, middle, -1.0, sums)
    return 0


def _enter_colours(guide, plane, picture, i, pitch, guide_middle, middle, sign, sums):
    lanes = vectors.lanes(sums)
    minus, other_minus, factor = (
        vectors.spread(sums, guide_middle),
        vectors.spread(sums, middle),
        vectors.spread(sums, sign),
    )
    for x in range(0, pitch, lanes):
        other = vectors.subtract(vectors.read(picture, i + x), other_minus)
        _accumulate(sums, _OTHER * pitch + x, factor, other)
        pair = _PAIRS
        for c in range(3):
            own = vectors.multiply(vectors.subtract(vectors.read(guide, c * plane + i + x), minus), factor)
            vectors.write(sums, c * pitch + x, vectors.add(vectors.read(sums, c * pitch + x), own))
            _accumulate(sums, (_WITH_PICTURE + c) * pitch + x, own, other)
            for d in range(c, 3):
                _accumulate(
                    sums, pair * pitch + x, own, vectors.subtract(vectors.read(guide, d * plane + i + x), minus)
                )
                pair += 1


def _accumulate(sums, at, one, other):
    vectors.write(sums, at, vectors.multiply_add(vectors.read(sums, at), one, other))


def _covariance(prefix, i, side, share, one, other):
    return vectors.subtract(vectors.multiply(_window_sums(prefix, i, side), share), vectors.multiply(one, other))


def _minor(a, b, c, d):
    return vectors.subtract(vectors.multiply(a, b), vectors.multiply(c, d))


def _dot(a, b, c, d, e, f):
    return vectors.multiply_add(vectors.multiply_add(vectors.multiply(a, b), c, d), e, f)


def evaluate(
    slopes, slope_plane, intercepts, pitch, places, rows, cols, radius, index, guide, plane, guide_pitch, guide_rows,
    planes, guide_middle, middle, shares, share_pitch, sums, prefix, line, row_stride, selected, selected_cols, out,
    out_pitch, channels,
):  # fmt: skip
    """Evaluate the mean of the lines of all windows around each pixel, at the pixel's guide.

    The windows around row y are those of rows ``places[y]`` to ``places[y + 2 radius]``, and the windows around column
    x are those of columns ``index[x]`` to ``index[x + 2 radius]``. ``slopes`` has ``planes`` planes; the guide of row y
    begins ``radius`` samples after the start of row ``guide_rows[y]`` of ``guide``, whose planes are ``plane`` samples
    apart. Results are written for every ``row_stride``-th row, at the ``selected_cols`` columns ``selected``, which are
    all columns in order if there are ``cols`` of them. In ``out`` they are ``channels`` samples apart. ``shares`` has 1
    over the number of windows around each pixel that have a line; see ``fit``.

    Scratch: ``sums`` of a row for each plane and one more, ``prefix`` of as many rows of ``line`` samples.
    """
    lanes = vectors.lanes(sums)
    side = 2 * radius + 1
    alike = shares[0]
    for x in range(0, (planes + 1) * pitch, lanes):
        vectors.write(sums, x, vectors.spread(sums, 0))
    for row in range(2 * radius):
        _enter_lines(slopes, slope_plane, intercepts, places[row] * pitch, pitch, planes, 1.0, sums)
    for row in range(rows):
        _enter_lines(slopes, slope_plane, intercepts, places[row + 2 * radius] * pitch, pitch, planes, 1.0, sums)
        if row % row_stride == 0:
            for q in range(planes + 1):
                _prefix_sums_at(sums, q * pitch, index, cols + 2 * radius, prefix, q * line)
            o, i, s = row // row_stride * out_pitch, guide_rows[row] * guide_pitch + radius, row * share_pitch
            if selected_cols == cols and share_pitch == 0:
                for x in range(cols):
                    value = (prefix[planes * line + x + side] - prefix[planes * line + x]) * alike + middle
                    for q in range(planes):
                        slope = (prefix[q * line + x + side] - prefix[q * line + x]) * alike
                        value += slope * (guide[q * plane + i + x] - guide_middle)
                    out[o + x * channels] = value
            else:
                for k in range(selected_cols):
                    x = selected[k]
                    share = shares[s + x]
                    value = (prefix[planes * line + x + side] - prefix[planes * line + x]) * share + middle
                    for q in range(planes):
                        slope = (prefix[q * line + x + side] - prefix[q * line + x]) * share
                        value += slope * (guide[q * plane + i + x] - guide_middle)
                    out[o + k * channels] = value
        _enter_lines(slopes, slope_plane, intercepts, places[row] * pitch, pitch, planes, -1.0, sums)
    return 0


def _enter_lines(slopes, slope_plane, intercepts, i, pitch, planes, sign, sums):
    lanes = vectors.lanes(sums)
    factor = vectors.spread(sums, sign)
    for x in range(0, pitch, lanes):
        for q in range(planes):
            _accumulate(sums, q * pitch + x, factor, vectors.read(slopes, q * slope_plane + i + x))
        _accumulate(sums, planes * pitch + x, factor, vectors.read(intercepts, i + x))


def _prefix_sums_at(sums, i, index, count, prefix, o):
    total = 0.0
    prefix[o] = total
    for x in range(count):
        total += sums[i + index[x]]
        prefix[o + x + 1] = total
