"""Search for samples that are infinite or NaN."""

from __future__ import annotations


def find_nonfinite(samples, pitch, rows, length, found):
    """Set ``found[0]`` to 1 if a sample of ``rows`` rows of ``length`` samples is infinite or NaN; else keep it.

    The loop compares all samples, without a branch, so that the compiler vectorises it.
    """
    bad = False
    for y in range(rows):
        for x in range(length):
            difference = samples[y * pitch + x] - samples[y * pitch + x]  # 0, or NaN
            bad |= difference != difference  # noqa: PLR0124
    if bad:
        found[0] = 1
    return 0
