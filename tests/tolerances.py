"""What the contract allows, in one place; every comparison with the oracle goes through here.

================  ==============================================================================
8-bit, 16-bit     never off by more than 1; a sample may differ from the exact result, rounded,
                  only where that result lies next to a tie; on pictures large enough to count,
                  99.9 % of 8-bit and 95 % of 16-bit samples are equal
whole kernels     (and box blurs, max and average pooling, identity) equal everywhere, ties too
float32           within 2e-6 of the sum of |w| * |x| of the sample's own window; a Gaussian's window ends
                  at 6 sigma, which leaves out 4e-9 of the brightest sample
================  ==============================================================================
"""

import numpy as np
import pytest
import reference

from convfilter.errors import SizeError

#: In levels, whatever the picture.
LARGEST_DIFFERENCE = 1
#: How much of a picture of at least COUNTED samples is equal.
EQUAL_SHARE = {"uint8": 0.999, "uint16": 0.95}
COUNTED = 10_000
#: In levels: how near a tie the real result must lie for a stored sample to fall on its other side.
#: An error evenly spread over +-e moves e of all samples across a tie, so these are ten times what the shares imply.
NEAR_A_TIE = {"uint8": 0.01, "uint16": 0.25}
#: Of the sum of |weight| * |sample|.
FLOAT32 = 2e-6
#: Of the largest sample: what a Gaussian's window may leave out, 2e-9 on each axis.
GAUSSIAN_TAIL = 4e-9
#: Of the largest sample times the sum of the weights' magnitudes: the float64 rounding that a transform spreads.
TRANSFORM = 1e-15
#: The result itself is stored with 24 bits.
FLOAT32_ROUNDING = 2.0**-24
FLOAT32_SMALLEST = 2.0**-149


def oracle_or_refusal(oracle, run):
    """What the oracle gives; None where it says that nothing is left of the picture and the filter says so too."""
    try:
        return oracle()
    except ValueError:
        with pytest.raises(SizeError):
            run()
        return None


def assert_same_picture(got, expected):
    """Equal everywhere: dtype, shape and each sample (nan where nan is expected)."""
    assert got.dtype == expected.dtype
    assert got.shape == expected.shape
    unequal = got != expected
    if got.dtype.kind == "f":
        unequal &= ~(np.isnan(got) & np.isnan(expected))
    assert not unequal.any(), _worst(unequal, got, expected)


def assert_stored_exactly(got, values, map="clip", alpha=False):
    """Equal everywhere to the exact real result, rounded half to even; ``values`` are exact numbers."""
    assert_same_picture(got, reference.store(values, got.dtype, map, alpha))


def assert_stored(got, values, map="clip", alpha=False, uncertain=False):
    """Integer samples as near to the real result as promised.

    ``uncertain`` marks samples of which the float64 oracle itself is not sure; they are left out.
    """
    depth = got.dtype.name
    expected = reference.store(values, got.dtype, map, alpha)
    assert got.shape == expected.shape
    unequal = (got != expected) & ~np.broadcast_to(uncertain, got.shape)
    off = np.abs(got.astype(np.int64) - expected.astype(np.int64)) > LARGEST_DIFFERENCE
    assert not (off & unequal).any(), _worst(off & unequal, got, expected, values)
    real = reference.mapped(values, got.dtype, map, alpha)
    astray = np.abs(got - real) > 0.5 + NEAR_A_TIE[depth]
    assert not (astray & unequal).any(), _worst(astray & unequal, got, expected, values)
    if got.size >= COUNTED:
        share = 1 - unequal.mean()
        assert share >= EQUAL_SHARE[depth], f"only {share:.3%} of the samples are equal"


def assert_float32(got, values, magnitude, uncertain=False):
    """Raw float32 samples within the promise; ``magnitude`` is the sum of |weight| * |sample|, sample by sample."""
    assert got.dtype == np.float32
    assert got.shape == values.shape
    allowed = FLOAT32 * magnitude + FLOAT32_ROUNDING * np.abs(values) + FLOAT32_SMALLEST
    with np.errstate(invalid="ignore"):  # inf - inf
        wrong = ~(np.abs(got.astype(np.float64) - values) <= allowed) & ~np.broadcast_to(uncertain, got.shape)
    assert not wrong.any(), _worst(wrong, got, values, allowed)


def _worst(bad, got, expected, values=None):
    """Say where the first bad sample lies, and what it should have been."""
    where = tuple(int(index) for index in np.argwhere(bad)[0])
    real = "" if values is None else f" (real result or allowance {np.broadcast_to(values, got.shape)[where]})"
    return f"{bad.sum()} of {bad.size} samples; at {where}: expected {expected[where]}{real}, got {got[where]}"
