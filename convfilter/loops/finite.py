"""Search for samples that are infinite or not a number."""

from __future__ import annotations


def find_nonfinite(samples, pitch, rows, length, found):
    """Set ``found[0]`` to 1 if a sample in ``rows`` runs, ``pitch`` apart, is infinite or NaN; else leave it.

    All are compared, without a jump, so that the compiler can take a vector at a time.
    """
    bad = False
    for y in range(rows):
        for x in range(length):
            difference = samples[y * pitch + x] - samples[y * pitch + x]  # 0, or NaN
            bad |= difference != difference  # noqa: PLR0124
    if bad:
        found[0] = 1
    return 0
