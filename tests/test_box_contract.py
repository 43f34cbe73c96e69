"""``box_blur`` against the oracle: equal everywhere, to the last tie."""

from fractions import Fraction

import numpy as np
import pictures
import pytest
import reference
import scipy.ndimage
from hypothesis import given
from hypothesis import strategies as st
from tolerances import FLOAT32, assert_float32, assert_same_picture, assert_stored_exactly, oracle_or_refusal

import convfilter
from convfilter.errors import ParameterError

SCIPY_MODES = {"edge": "nearest", "constant": "constant", "reflect": "mirror", "symmetric": "reflect", "wrap": "wrap"}
SIZES = pictures.pairs(st.integers(1, 7) | st.sampled_from((12, 20, 33)))


def exact_means(image, size, **geometry):
    """The means as fractions; the sums are whole."""
    rows, cols = reference.pair(size)
    return reference.exact(reference.box_sum(image.astype(np.int64), size, **geometry)) / (rows * cols)


@given(pictures.cases(pictures.INTEGERS), SIZES)
def test_equal_everywhere(case, size):
    image, geometry = case

    def run():
        return convfilter.box_blur(image, size, **geometry)

    means = oracle_or_refusal(lambda: exact_means(image, size, **geometry), run)
    if means is not None:
        assert run().dtype == image.dtype
        assert_stored_exactly(run(), means)


@pytest.mark.parametrize("dtype", pictures.INTEGERS)
@pytest.mark.parametrize("size", [2, 6, (1, 2), (2, 1), (4, 6), 10])
def test_ties_go_to_the_even_neighbour(dtype, size):
    """Every other mean of a window of two is a tie; a sixth of float 1/6 would miss them."""
    for content in ("dark", "two-valued", "noise", "checkerboard"):
        image = pictures.picture((60, 70, 2), dtype, content, seed=8)
        assert_stored_exactly(convfilter.box_blur(image, size), exact_means(image, size))


@pytest.mark.parametrize("dtype", pictures.INTEGERS)
@pytest.mark.parametrize("size", [3, 11, 101, (1, 64), (255, 1), (40, 300), 1001])
@pytest.mark.parametrize("mode", pictures.MODES)
def test_every_size_costs_nothing_in_exactness(dtype, size, mode):
    image = pictures.picture((37, 45), dtype, seed=8)
    value = np.iinfo(dtype).max
    got = convfilter.box_blur(image, size, padding_mode=mode, padding_value=value)
    rows, cols = reference.pair(size)
    down = reference.box_sum(image.astype(np.int64), (rows, 1), padding_mode=mode, padding_value=value)
    sums = reference.box_sum(down, (1, cols), padding_mode=mode, padding_value=rows * value)
    assert_stored_exactly(got, reference.exact(sums) / (rows * cols))


@given(
    pictures.cases(pictures.INTEGERS),
    SIZES,
    st.sampled_from((1, 0.5, 0.25, -1, 3)),
    st.sampled_from((0, 0.5, -0.25)),
    st.sampled_from((None, "abs", "offset")),
)
def test_equal_everywhere_scaled_and_offset(case, size, scale, offset, map):
    """By binary fractions, so that ties stay ties."""
    image, geometry = case

    def run():
        return convfilter.box_blur(image, size, scale=scale, offset=offset, map=map, **geometry)

    means = oracle_or_refusal(lambda: exact_means(image, size, **geometry), run)
    if means is not None:
        white = reference.full_scale(image.dtype)
        assert_stored_exactly(run(), Fraction(scale) * means + Fraction(offset) * white, map or "clip")


@pytest.mark.parametrize("dtype", pictures.INTEGERS)
@pytest.mark.parametrize("content", ["white", "checkerboard"])
def test_extremes(dtype, content):
    image = pictures.picture((70, 90, 3), dtype, content)
    for size in (2, 5, 30, 70):
        assert_stored_exactly(convfilter.box_blur(image, size), exact_means(image, size))


def test_larger_pictures_with_stride_dilation_and_padding():
    """Pictures larger than one tile, vector and band of rows."""
    image = pictures.picture((211, 130, 3), "uint8", seed=8)
    for geometry in (
        {"stride": (2, 3), "padding": "full"},
        {"dilation": (3, 2), "padding_mode": "wrap"},
        {"stride": 4, "dilation": 2, "padding": ((3, 40), (0, 11)), "padding_mode": "reflect"},
    ):
        assert_stored_exactly(convfilter.box_blur(image, (5, 8), **geometry), exact_means(image, (5, 8), **geometry))


@given(pictures.cases(), SIZES, st.sampled_from((1, 0.5, -1.3)), st.sampled_from((0, 0.5, 0.1)))
def test_raw_float32_values(case, size, scale, offset):
    image, geometry = case

    def run():
        return convfilter.box_blur(image, size, scale=scale, offset=offset, dtype=np.float32, **geometry)

    means = oracle_or_refusal(lambda: reference.box_blur(reference.real(image), size, **geometry), run)
    if means is not None:
        magnitude = reference.box_blur(np.abs(reference.real(image)), size, **geometry)
        assert_float32(run(), scale * means + offset * reference.full_scale(image.dtype), abs(scale) * magnitude)


@pytest.mark.parametrize("peak", [1e4, 1e30])
def test_a_bright_float_sample_leaves_no_trace_outside_its_windows(peak):
    """A running sum has no trace of samples that have left the window."""
    image = np.random.default_rng(5).uniform(0.5, 1, (60, 64)).astype(np.float32)
    image[20, 17] = peak
    samples = reference.real(image)
    assert_float32(
        convfilter.box_blur(image, (7, 9)), reference.box_blur(samples, (7, 9)), reference.box_blur(samples, (7, 9))
    )


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("size", [3, (5, 12), (1, 9), (9, 1)])
def test_nan_and_infinity_stay_in_the_windows_that_contain_them(bad, size):
    image = pictures.picture((50, 60, 3), "float32", seed=3)
    sound = image.copy()
    sound[17, 20, 1], image[17, 20, 1] = 0, bad
    got = convfilter.box_blur(image, size)
    touched = reference.box_sum(np.int64(~np.isfinite(image)), size) > 0
    means, magnitude = (
        reference.box_blur(samples, size) for samples in (reference.real(sound), np.abs(reference.real(sound)))
    )
    assert_float32(got, means, magnitude, uncertain=touched)
    assert not np.isfinite(got[touched]).any()


@pytest.mark.parametrize("dtype", pictures.DTYPES)
def test_the_same_bytes_for_any_number_of_threads(dtype):
    image = pictures.large(dtype)
    for size, geometry in (((9, 4), {}), (50, {"stride": (3, 2), "padding": "full", "padding_mode": "wrap"})):
        once = convfilter.box_blur(image, size, threads=1, **geometry)
        for threads in (2, 3, 7, None):
            assert convfilter.box_blur(image, size, threads=threads, **geometry).tobytes() == once.tobytes()


@pytest.mark.parametrize("dtype", pictures.DTYPES)
def test_size_one_is_the_picture(dtype):
    image = pictures.picture((12, 15, 3), dtype)
    assert_same_picture(convfilter.box_blur(image, 1), image)


@pytest.mark.parametrize("mode", SCIPY_MODES)
def test_scipys_uniform_filter_says_the_same(mode):
    image = pictures.picture((33, 47), "uint16", seed=11)
    theirs = scipy.ndimage.uniform_filter(image.astype(np.float64), (5, 9), mode=SCIPY_MODES[mode], cval=4711)
    got = convfilter.box_blur(image, (5, 9), padding_mode=mode, padding_value=4711)
    assert_same_picture(got, np.rint(theirs).astype(np.uint16))
    raw = convfilter.box_blur(image, (5, 9), padding_mode=mode, padding_value=4711, dtype=np.float32)
    np.testing.assert_allclose(raw, theirs, rtol=FLOAT32)


@pytest.mark.parametrize("size", [0, -3, (3, 0)], ids=str)
def test_sizes_below_one_are_refused(size):
    with pytest.raises(ParameterError):
        convfilter.box_blur(np.zeros((5, 5), np.uint8), size)
