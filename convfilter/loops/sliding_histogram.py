"""Rank filter for windows of any shape and samples of any type, by a histogram that slides along a row.

From one window to the next, a few samples leave the histogram and a few enter it (T. S. Huang, G. J. Yang, G. Y. Tang,
"A fast two-dimensional median filtering algorithm", IEEE Trans. Acoustics, Speech and Signal Processing 27, 1979). The
histogram has bins of 1, 16 and 256 keys; a search begins at the bin of 256 keys in which the last search ended. The
weight of each sample is added to its bins, so transparent and ignored samples, whose weight is 0, do not count.
"""

from __future__ import annotations


def slide(
    keys, pitch, row_stride, rows, col_stride, cols, weights, weighted,
    taps, count, entering, entering_count, leaving, leaving_count, phases,
    ranks, fraction, totals, fine, middle, coarse, out, next_out, kinds, out_pitch, out_pixel_pitch,
):  # fmt: skip
    """Write the two keys between which the rank of each window lies, for one channel.

    The rows of ``keys`` are ``pitch`` samples apart; windows are ``row_stride`` rows and ``col_stride`` samples apart.
    Only windows ``phases`` outputs apart share columns, so the histogram slides along the row once for each phase.
    ``taps`` and ``entering`` are offsets from the first sample of a window, ``leaving`` from that of the window before
    it in its phase. If ``weighted``, ``weights`` holds the weight of each sample; otherwise it is 1.

    If all n samples of weights above 0 have the same weight, the first rank is ``ranks[n]``, the second is the next,
    and ``kinds`` becomes n. If weights differ, the rank lies at ``fraction`` of their sum, and ``kinds`` becomes -1;
    the keys are equal unless the rank lies exactly between two samples.

    Scratch: ``totals`` for four numbers; ``fine``, ``middle`` and ``coarse`` hold zeros before a call and after it.
    """
    for row in range(rows):
        for phase in range(phases):
            at = row * row_stride * pitch + phase * col_stride
            for index in range(4):
                totals[index] = 0
            o = row * out_pitch + phase * out_pixel_pitch
            for col in range(phase, cols, phases):
                if col == phase:
                    for tap in range(count):
                        _count(keys, at + taps[tap], weights, weighted, 1, totals, fine, middle, coarse)
                else:
                    for tap in range(leaving_count):
                        _count(keys, at + leaving[tap], weights, weighted, -1, totals, fine, middle, coarse)
                    at += phases * col_stride
                    for tap in range(entering_count):
                        _count(keys, at + entering[tap], weights, weighted, 1, totals, fine, middle, coarse)
                _find(ranks, fraction, weighted, totals, fine, middle, coarse, out, next_out, kinds, o)
                o += phases * out_pixel_pitch
            if cols > phase:
                for tap in range(count):
                    _count(keys, at + taps[tap], weights, weighted, -1, totals, fine, middle, coarse)
    return 0


#: Indices into ``totals``: number of samples of weights above 0, sum of weights, sum of their squares, and the coarse
#: bin in which the last search ended.
_SAMPLES, _SUM, _SQUARES, _BIN = 0, 1, 2, 3


def _count(keys, index, weights, weighted, sign, totals, fine, middle, coarse):
    """Add a sample to the histogram or, if ``sign`` is -1, remove it."""
    weight = sign
    if weighted:
        weight = sign * weights[index]
        if weight == 0:
            return
        totals[_SQUARES] += sign * weights[index] * weights[index]
    key = int(keys[index])
    fine[key] += weight
    middle[key >> 4] += weight
    coarse[key >> 8] += weight
    totals[_SAMPLES] += sign
    totals[_SUM] += weight


def _find(ranks, fraction, weighted, totals, fine, middle, coarse, out, next_out, kinds, o):
    """Write the keys of both ranks of the window in the histogram."""
    samples, total = totals[_SAMPLES], totals[_SUM]
    if samples == 0:
        out[o] = 0
        next_out[o] = 0
        kinds[o] = 0
        return
    weight = total // samples
    if not weighted or samples * totals[_SQUARES] == total * total:
        kinds[o] = samples
        first = ranks[samples] * weight
        second = min(first + weight, total - 1)
    else:
        kinds[o] = -1
        cut = fraction * total
        first = min(int(cut), total - 1)
        second = first
        if first == cut and first > 0:
            first -= 1
    # ``below`` is the sum of weights in the bins before ``coarse_bin``.
    coarse_bin = totals[_BIN]
    below = 0
    for other in range(coarse_bin):
        below += coarse[other]
    while below > first:
        coarse_bin -= 1
        below -= coarse[coarse_bin]
    while below + coarse[coarse_bin] <= first:
        below += coarse[coarse_bin]
        coarse_bin += 1
    totals[_BIN] = coarse_bin
    middle_bin = coarse_bin << 4
    while below + middle[middle_bin] <= first:
        below += middle[middle_bin]
        middle_bin += 1
    key = middle_bin << 4
    while below + fine[key] <= first:
        below += fine[key]
        key += 1
    out[o] = key
    # The second rank is usually within the same key.
    while below + fine[key] <= second:
        below += fine[key]
        key += 1
        if key & 15 == 0:
            while middle[key >> 4] == 0:
                key += 16
                if key & 255 == 0:
                    while coarse[key >> 8] == 0:
                        key += 256
    next_out[o] = key
