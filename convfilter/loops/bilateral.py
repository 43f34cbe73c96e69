"""Bilateral filter: the mean of each window, weighted by distance and by difference of colour.

A weight is the product of a Gaussian of the distance from the centre and a Gaussian of the difference from the centre's
colour, computed as one power of two (C. Tomasi, R. Manduchi, "Bilateral filtering for gray and color images", ICCV
1998). A vector holds neighbouring outputs. The colours lie in planes, so that one vector of weights serves all of them.
The loops sum differences from the centre, so that a window of one colour gives exactly that colour.
"""

from __future__ import annotations

from string import Template

from convfilter.loops import vectors


def split(tile, pitch, rows, cols, channels, colours, divisor, falloff, planes, plane, plane_pitch):
    """Copy each of ``colours`` into a plane of ``plane`` samples, with rows ``plane_pitch`` samples apart.

    If ``channels`` is above ``colours``, the last channel holds the weight of each pixel, and two more planes follow.
    The first holds the weights; the second holds ``falloff`` where the weight is above 0, and 0 elsewhere: a pixel of
    weight 0 has the colour 0, and the mean around it must not depend on differences from that colour. With a
    ``divisor`` above 0, colours are premultiplied: they are divided by weight / divisor.
    """
    zero = falloff - falloff
    for r in range(rows):
        for p in range(cols):
            at = r * pitch + p * channels
            to = r * plane_pitch + p
            if colours == channels:
                for c in range(colours):
                    planes[c * plane + to] = tile[at + c]
            else:
                weight = tile[at + colours]
                is_visible = weight > zero
                planes[colours * plane + to] = weight if is_visible else zero
                planes[(colours + 1) * plane + to] = falloff if is_visible else zero
                factor = divisor / weight if is_visible and divisor > zero else zero + 1
                for c in range(colours):
                    planes[c * plane + to] = tile[at + c] * factor if is_visible else zero
    return 0


def average(
    planes, plane, pitch, stride, rows, cols, colours, taps, spatial, count, centre, falloff, squared, weighted,
    least, most, differences, sums, lines, width, out, out_pitch, channels,
):  # fmt: skip
    """Write the weighted mean of each window to ``out``, whose pixels are ``channels`` samples apart.

    The planes of :func:`split` are ``plane`` samples apart, and their rows ``pitch`` samples. A window begins at every
    sample of every ``stride``-th row. The ``count`` offsets ``taps`` and the offset ``centre`` of the window's centre
    count from its first sample. The weight of a tap is 2 to the power of ``spatial[tap] + falloff * distance**2``. The
    distance of two colours is the sum of the magnitudes of their differences or, if ``squared``, the root of the sum of
    the squares. If ``weighted``, the two planes after the colours hold the weight of each pixel, and ``falloff`` for
    each centre. Sums of weights are clipped to ``least``..``most``.

    Scratch: ``differences`` and ``sums`` of a vector for each colour; ``lines`` of ``width`` samples, in whole
    vectors, for each colour.
    """
    lanes = vectors.lanes(planes)
    zero = vectors.spread(planes, 0)
    for row in range(rows):
        start = row * stride * pitch
        for x in range(0, cols, lanes):
            at = start + centre + x
            factor = vectors.spread(planes, falloff)
            if weighted != 0:
                factor = vectors.read(planes, at + (colours + 1) * plane)
            total = zero
            for c in range(colours):
                vectors.write(sums, c * lanes, zero)
            for tap in range(count):
                i = start + taps[tap] + x
                distance = zero
                for c in range(colours):
                    difference = vectors.subtract(
                        vectors.read(planes, i + c * plane), vectors.read(planes, at + c * plane)
                    )
                    vectors.write(differences, c * lanes, difference)
                    if squared != 0:
                        distance = vectors.multiply_add(distance, difference, difference)
                    else:
                        distance = vectors.add(distance, vectors.magnitude(difference))
                if squared == 0:
                    distance = vectors.multiply_add(zero, distance, distance)
                weight = vectors.exp2(vectors.multiply_add(vectors.spread(planes, spatial[tap]), factor, distance))
                if weighted != 0:
                    weight = vectors.multiply_add(zero, weight, vectors.read(planes, i + colours * plane))
                total = vectors.add(total, weight)
                for c in range(colours):
                    part = vectors.multiply_add(
                        vectors.read(sums, c * lanes), weight, vectors.read(differences, c * lanes)
                    )
                    vectors.write(sums, c * lanes, part)
            if weighted != 0:
                total = vectors.between(total, vectors.spread(planes, least), vectors.spread(planes, most))
            for c in range(colours):
                mean = vectors.divide(vectors.read(sums, c * lanes), total)
                vectors.write(lines, c * width + x, vectors.add(vectors.read(planes, at + c * plane), mean))
        _interleave(lines, width, cols, colours, out, row * out_pitch, channels)
    return 0


def _interleave(lines, width, cols, colours, out, o, channels):
    for p in range(cols):
        for c in range(colours):
            out[o + p * channels + c] = lines[c * width + p]


#: ``average`` for a constant number of colours, whose sums stay in registers.
_AVERAGE = Template('''
def average_$colours(
    planes, plane, pitch, stride, rows, cols, colours, taps, spatial, count, centre, falloff, squared, weighted,
    least, most, differences, sums, lines, width, out, out_pitch, channels,
):
    """Do the same as ``average`` for $colours colours; ``colours``, ``differences`` and ``sums`` are unused."""
    lanes = vectors.lanes(planes)
    zero = vectors.spread(planes, 0)
    for row in range(rows):
        start = row * stride * pitch
        for x in range(0, cols, lanes):
            at = start + centre + x
            factor = vectors.spread(planes, falloff)
            if weighted != 0:
                factor = vectors.read(planes, at + ($colours + 1) * plane)
            total = zero
$begin
            for tap in range(count):
                i = start + taps[tap] + x
$differ
                if squared != 0:
                    distance = zero
$squares
                else:
                    distance = vectors.magnitude(d0)
$magnitudes
                    distance = vectors.multiply_add(zero, distance, distance)
                weight = vectors.exp2(vectors.multiply_add(vectors.spread(planes, spatial[tap]), factor, distance))
                if weighted != 0:
                    weight = vectors.multiply_add(zero, weight, vectors.read(planes, i + $colours * plane))
                total = vectors.add(total, weight)
$add
            if weighted != 0:
                total = vectors.between(total, vectors.spread(planes, least), vectors.spread(planes, most))
$write
        _interleave(lines, width, cols, $colours, out, row * out_pitch, channels)
    return 0
''')


def _unrolled(colours: int) -> str:
    forms = {
        "begin": (12, "centre_{0}, s{0} = vectors.read(planes, at + {0} * plane), zero"),
        "differ": (16, "d{0} = vectors.subtract(vectors.read(planes, i + {0} * plane), centre_{0})"),
        "squares": (20, "distance = vectors.multiply_add(distance, d{0}, d{0})"),
        "magnitudes": (20, "distance = vectors.add(distance, vectors.magnitude(d{0}))"),
        "add": (16, "s{0} = vectors.multiply_add(s{0}, weight, d{0})"),
        "write": (12, "vectors.write(lines, {0} * width + x, vectors.add(centre_{0}, vectors.divide(s{0}, total)))"),
    }
    parts = {
        name: "\n".join(" " * indent + form.format(c) for c in range(name == "magnitudes", colours))
        for name, (indent, form) in forms.items()
    }
    return _AVERAGE.substitute(parts, colours=colours)


exec(_unrolled(1))
exec(_unrolled(3))
