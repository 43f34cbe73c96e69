"""Canny's edge detector: smoothing, gradients, non-maximum suppression, and hysteresis.

J. Canny, "A computational approach to edge detection", IEEE Trans. PAMI 8, 1986.
"""

from __future__ import annotations

import numpy as np


def smooth(source, pitch, rows, length, weights, taps, tap_pitch, out, out_pitch):
    """Write the weighted sum of ``taps`` taps, ``tap_pitch`` samples apart, for each of ``length`` samples of a row."""
    for row in range(rows):
        o = row * out_pitch
        for x in range(length):
            out[o + x] = 0
        whole = taps - taps % 4
        for tap in range(0, whole, 4):
            i = row * pitch + tap * tap_pitch
            _add_four(
                weights[tap], weights[tap + 1], weights[tap + 2], weights[tap + 3], source, i, tap_pitch, out, o, length
            )
        for tap in range(whole, taps):
            _add(weights[tap], source, row * pitch + tap * tap_pitch, out, o, length)
    return 0


def _add_four(first, second, third, fourth, source, i, tap_pitch, out, o, length):
    """Add four taps in one pass over the sums, in the order of four calls of ``_add``."""
    for x in range(length):
        total = out[o + x] + first * source[i + x]
        total = total + second * source[i + tap_pitch + x]
        total = total + third * source[i + 2 * tap_pitch + x]
        out[o + x] = total + fourth * source[i + 3 * tap_pitch + x]


def _add(weight, source, i, out, o, length):
    for x in range(length):
        out[o + x] += weight * source[i + x]


def ridges(smoothed, pitch, rows, cols, channels, magnitude, low, high, first, last, out, out_pitch):
    """Mark the ridges of the gradient's magnitude: 2 if it is at least ``high``, 1 if at least ``low``, else 0.

    A sample is on a ridge if its magnitude is not below that of either neighbour along the gradient; the neighbours are
    interpolated (non-maximum suppression). ``smoothed`` and ``magnitude``, with rows ``pitch`` samples apart, have two
    more rows and columns than ``out`` on each side. Rows of ``out`` before ``first`` and from ``last`` on become 0, and
    so do its first and last column.
    """
    for row in range(rows):
        o = row * out_pitch
        if row < first or row >= last:
            for x in range(cols * channels):
                out[o + x] = 0
            continue
        for x in range(channels):
            out[o + x] = 0
            out[o + (cols - 1) * channels + x] = 0
        _ridges_of_row(
            smoothed,
            magnitude,
            (row + 2) * pitch + 2 * channels,
            pitch,
            channels,
            low,
            high,
            out,
            o,
            (cols - 1) * channels,
        )
    return 0


def _ridges_of_row(smoothed, magnitude, start, pitch, channels, low, high, out, o, end):
    """Mark the ridges of a row, without branches, so that the compiler vectorises the loop."""
    for x in range(channels, end):
        at = start + x
        here = magnitude[at]
        down, along = _gradient(smoothed, at, pitch, channels)
        falls = ((down >= 0) & (along >= 0)) | ((down <= 0) & (along <= 0))
        steep = np.abs(down) > np.abs(along)
        small = np.abs(along) if steep else np.abs(down)
        large = np.abs(down) if steep else np.abs(along)
        share = small / large if large != 0 else 0.0
        above, below = magnitude[at - pitch], magnitude[at + pitch]
        left, right = magnitude[at - channels], magnitude[at + channels]
        above_left, above_right = magnitude[at - pitch - channels], magnitude[at - pitch + channels]
        below_left, below_right = magnitude[at + pitch - channels], magnitude[at + pitch + channels]
        beside = right if falls else left
        other = left if falls else right
        near_ahead = below if steep else beside
        near_behind = above if steep else other
        far_ahead = below_right if falls else below_left
        far_behind = above_left if falls else above_right
        ahead = far_ahead * share + near_ahead * (1 - share)
        behind = far_behind * share + near_behind * (1 - share)
        is_ridge = (here >= low) & (ahead <= here) & (behind <= here)
        mark = 2 if here >= high else 1
        out[o + x] = mark if is_ridge else 0


def gradient_magnitude(smoothed, pitch, rows, length, channels, out):
    """Write the magnitude of Sobel's gradient of each sample to the same index, except for the outermost pixels."""
    for row in range(1, rows - 1):
        for x in range(channels, length - channels):
            at = row * pitch + x
            down, along = _gradient(smoothed, at, pitch, channels)
            out[at] = np.sqrt(down * down + along * along)
    return 0


def _gradient(a, at, pitch, channels):
    above, below = at - pitch, at + pitch
    down = (a[below - channels] - a[above - channels]) + 2 * (a[below] - a[above])
    down += a[below + channels] - a[above + channels]
    along = (a[above + channels] - a[above - channels]) + 2 * (a[at + channels] - a[at - channels])
    along += a[below + channels] - a[below - channels]
    return down, along


def hysteresis(marks, rows, cols, channels, channel, stack, most):
    """Replace marks of 2, and marks of 1 that marks of 1 connect to a 2, by 3; neighbours share a side or a corner.

    ``marks`` has rows of ``cols * channels`` samples; one ``channel`` is processed. Scratch: ``stack`` of ``most``
    entries. If the stack is full, further pixels become 2, and the search continues from the first of them.
    """
    pitch = cols * channels
    start = 0
    while start < rows * cols:
        if marks[start * channels + channel] != 2:
            start += 1
            continue
        marks[start * channels + channel] = 3
        next_start = start + 1
        stack[0] = start
        depth = 1
        while depth > 0:
            depth -= 1
            place = stack[depth]
            row, col = place // cols, place % cols
            for r in range(max(row - 1, 0), min(row + 2, rows)):
                for c in range(max(col - 1, 0), min(col + 2, cols)):
                    mark = marks[r * pitch + c * channels + channel]
                    if not 0 < mark < 3:
                        continue
                    if depth < most:
                        marks[r * pitch + c * channels + channel] = 3
                        stack[depth] = r * cols + c
                        depth += 1
                    else:
                        marks[r * pitch + c * channels + channel] = 2
                        next_start = min(next_start, r * cols + c)
        start = next_start
    return 0
