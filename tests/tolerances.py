"""The tolerances of the contract, used by every comparison with the oracle.

================  ==============================================================================
8-bit, 16-bit     within 0.5 + 1e-3 (16 bits: 0.5 + 1/16) of the exact result, everywhere; so a sample
                  differs from that result, rounded, only where it lies so close to a tie
whole kernels     (and box blurs, max and average pooling, identity) equal everywhere, ties too
float32           within 2e-6 of the sum of |w| * |x| of the sample's own window; a Gaussian's window ends
                  at 6 sigma, which leaves out 4e-9 of the brightest sample
================  ==============================================================================
"""

import numpy as np
import pytest
import reference

from convfilter.errors import SizeError

#: In levels: how near a tie the real result must lie for a stored sample to fall on its other side.
NEAR_A_TIE = {"uint8": 1e-3, "uint16": 1 / 16}
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
    """Return the oracle's result; None if oracle and filter both refuse because the result would be empty."""
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
    real = reference.mapped(values, got.dtype, map, alpha)
    astray = np.abs(got - real) > 0.5 + NEAR_A_TIE[depth]
    assert not (astray & unequal).any(), _worst(astray & unequal, got, expected, values)


def assert_float32(got, values, magnitude, uncertain=False):
    """Raw float32 samples within the promise; ``magnitude`` is the sum of |weight| * |sample|, sample by sample."""
    assert got.dtype == np.float32
    assert got.shape == values.shape
    allowed = FLOAT32 * magnitude + FLOAT32_ROUNDING * np.abs(values) + FLOAT32_SMALLEST
    with np.errstate(invalid="ignore"):  # inf - inf
        wrong = ~(np.abs(got.astype(np.float64) - values) <= allowed) & ~np.broadcast_to(uncertain, got.shape)
    assert not wrong.any(), _worst(wrong, got, values, allowed)


def _worst(bad, got, expected, values=None):
    """Return a text with the index of the first bad sample, its value and the expected value."""
    where = tuple(int(index) for index in np.argwhere(bad)[0])
    real = "" if values is None else f" (real result or allowance {np.broadcast_to(values, got.shape)[where]})"
    return f"{bad.sum()} of {bad.size} samples; at {where}: expected {expected[where]}{real}, got {got[where]}"
