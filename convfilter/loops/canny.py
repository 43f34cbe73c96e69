"""Canny's edges: smoothing, gradients, ridges of their magnitude, and hysteresis.

J. Canny, "A computational approach to edge detection", IEEE Trans. PAMI 8, 1986.
"""

from __future__ import annotations

import numpy as np


def smooth(source, pitch, rows, length, weights, taps, apart, out, out_pitch):
    """Write weighted sums of ``taps`` samples, ``apart`` samples from each other, for rows of ``length`` samples."""
    for row in range(rows):
        o = row * out_pitch
        for x in range(length):
            out[o + x] = 0
        for tap in range(taps):
            _add(weights[tap], source, row * pitch + tap * apart, out, o, length)
    return 0


def _add(weight, source, i, out, o, length):
    for x in range(length):
        out[o + x] += weight * source[i + x]


def ridges(smoothed, pitch, rows, cols, channels, magnitude, low, high, first, last, out, out_pitch):
    """Write 2 where the gradient's magnitude is a ridge and at least ``high``, 1 where at least ``low``, else 0.

    ``smoothed`` and ``magnitude`` have two rows more above and below those of ``out``, ``pitch`` samples apart, and two
    pixels more before and behind. In ``out``, rows before ``first`` and from ``last`` on are 0, and so are the first
    and last columns. A ridge is at least as high as both neighbours along the gradient, which are interpolated.
    """
    for row in range(rows):
        for x in range(cols * channels):
            out[row * out_pitch + x] = 0
        if row < first or row >= last:
            continue
        for x in range(channels, (cols - 1) * channels):
            at = (row + 2) * pitch + 2 * channels + x
            here = magnitude[at]
            if here < low:
                continue
            down, along = _slopes(smoothed, at, pitch, channels)
            falls = (down >= 0 and along >= 0) or (down <= 0 and along <= 0)
            side = channels if falls else -channels
            steep = np.abs(down) > np.abs(along)
            if steep:
                share = np.abs(along) / np.abs(down)
                near = pitch
            else:
                share = np.abs(down) / np.abs(along) if along != 0 else 0.0
                near = side
            far = pitch + side
            ahead = magnitude[at + far] * share + magnitude[at + near] * (1 - share)
            behind = magnitude[at - far] * share + magnitude[at - near] * (1 - share)
            if ahead <= here and behind <= here:
                out[row * out_pitch + x] = 2 if here >= high else 1
    return 0


def slopes(smoothed, pitch, rows, length, channels, out):
    """Write the magnitude of Sobel's gradient, except for the outermost rows and pixels, at the same places."""
    for row in range(1, rows - 1):
        for x in range(channels, length - channels):
            at = row * pitch + x
            down, along = _slopes(smoothed, at, pitch, channels)
            out[at] = np.sqrt(down * down + along * along)
    return 0


def _slopes(a, at, pitch, channels):
    above, below = at - pitch, at + pitch
    down = (a[below - channels] - a[above - channels]) + 2 * (a[below] - a[above])
    down += a[below + channels] - a[above + channels]
    along = (a[above + channels] - a[above - channels]) + 2 * (a[at + channels] - a[at - channels])
    along += a[below + channels] - a[below - channels]
    return down, along


def follow(marks, rows, cols, channels, channel, stack):
    """Replace by 3 all marks of 2, and marks of 1 connected to one by sides or corners.

    ``marks`` are rows of ``cols * channels`` samples, of which one channel is processed. Scratch: ``stack`` of one
    entry for each pixel.
    """
    pitch = cols * channels
    for start in range(rows * cols):
        if marks[start * channels + channel] != 2:
            continue
        marks[start * channels + channel] = 3
        stack[0] = start
        held = 1
        while held > 0:
            held -= 1
            place = stack[held]
            row, col = place // cols, place % cols
            for r in range(max(row - 1, 0), min(row + 2, rows)):
                for c in range(max(col - 1, 0), min(col + 2, cols)):
                    mark = marks[r * pitch + c * channels + channel]
                    if 0 < mark < 3:
                        marks[r * pitch + c * channels + channel] = 3
                        stack[held] = r * cols + c
                        held += 1
    return 0
