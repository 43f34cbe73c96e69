"""Rank filter of any window shape and sample type: a histogram that slides along a row.

From one window to the next, few samples leave and enter (T. S. Huang, G. J. Yang, G. Y. Tang, "A fast two-dimensional
median filtering algorithm", IEEE Trans. Acoustics, Speech and Signal Processing 27, 1979). The histogram has counts for
single keys, for sixteen keys, and for 256; a search starts at the bin of 256 that the last search ended in. Each sample
counts with its weight, so transparent and ignored samples do not count.
"""

from __future__ import annotations


def slide(
    keys, pitch, step, rows, col_step, cols, weights, weighed,
    taps, count, entering, entering_count, leaving, leaving_count, chains,
    places, fraction, totals, fine, middle, coarse, out, next_out, kinds, out_pitch, out_step,
):  # fmt: skip
    """Write the two keys that the rank lies between, and the kind of rank, for each window of one channel.

    ``keys`` has rows ``pitch`` samples apart; windows are ``step`` rows and ``col_step`` samples apart. ``taps`` and
    ``entering`` are offsets from a window's first sample, ``leaving`` from that of the window ``chains`` outputs
    before. With ``weighed``, ``weights`` holds the weight of each sample.

    If all n samples of weights above 0 have the same weight, ``places[n]`` is the rank of the first key, and ``kinds``
    becomes n. If weights differ, the rank is at ``fraction`` of their sum, and ``kinds`` becomes -1: both keys are
    equal unless the fraction falls between two samples.

    ``totals`` is scratch for four numbers; ``fine``, ``middle`` and ``coarse`` hold zeros before and after.
    """
    for row in range(rows):
        for chain in range(chains):
            at = row * step * pitch + chain * col_step
            for place in range(4):
                totals[place] = 0
            o = row * out_pitch + chain * out_step
            for col in range(chain, cols, chains):
                if col == chain:
                    for tap in range(count):
                        _count(keys, at + taps[tap], weights, weighed, 1, totals, fine, middle, coarse)
                else:
                    for tap in range(leaving_count):
                        _count(keys, at + leaving[tap], weights, weighed, -1, totals, fine, middle, coarse)
                    at += chains * col_step
                    for tap in range(entering_count):
                        _count(keys, at + entering[tap], weights, weighed, 1, totals, fine, middle, coarse)
                _find(places, fraction, weighed, totals, fine, middle, coarse, out, next_out, kinds, o)
                o += chains * out_step
            if cols > chain:
                for tap in range(count):
                    _count(keys, at + taps[tap], weights, weighed, -1, totals, fine, middle, coarse)
    return 0


#: Indices into ``totals``: number of samples with a weight, sum of weights, sum of their squares, and the bin of 256
#: that the last search ended in.
_SAMPLES, _SUM, _SQUARES, _BIN = 0, 1, 2, 3


def _count(keys, place, weights, weighed, sign, totals, fine, middle, coarse):
    weight = sign
    if weighed:
        weight = sign * weights[place]
        if weight == 0:
            return
        totals[_SQUARES] += sign * weights[place] * weights[place]
    key = int(keys[place])
    fine[key] += weight
    middle[key >> 4] += weight
    coarse[key >> 8] += weight
    totals[_SAMPLES] += sign
    totals[_SUM] += weight


def _find(places, fraction, weighed, totals, fine, middle, coarse, out, next_out, kinds, o):
    samples, total = totals[_SAMPLES], totals[_SUM]
    if samples == 0:
        out[o] = 0
        next_out[o] = 0
        kinds[o] = 0
        return
    one = total // samples
    if not weighed or samples * totals[_SQUARES] == total * total:
        kinds[o] = samples
        first = places[samples] * one
        second = min(first + one, total - 1)
    else:
        kinds[o] = -1
        cut = fraction * total
        first = min(int(cut), total - 1)
        second = first
        if first == cut and first > 0:
            first -= 1
    # The bins before ``bin_`` hold a weight of ``below``.
    bin_ = totals[_BIN]
    below = 0
    for other in range(bin_):
        below += coarse[other]
    while below > first:
        bin_ -= 1
        below -= coarse[bin_]
    while below + coarse[bin_] <= first:
        below += coarse[bin_]
        bin_ += 1
    totals[_BIN] = bin_
    part = bin_ << 4
    while below + middle[part] <= first:
        below += middle[part]
        part += 1
    key = part << 4
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
