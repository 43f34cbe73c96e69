"""``sobel``, ``scharr``, ``prewitt`` and ``laplacian`` against the oracle: whole kernels, equal everywhere."""

import numpy as np
import pictures
import pytest
import reference
import scipy.ndimage
from hypothesis import given
from hypothesis import strategies as st
from tolerances import (
    assert_float32,
    assert_same_picture,
    assert_stored,
    assert_stored_exactly,
    oracle_or_refusal,
)

import convfilter
from convfilter.errors import ParameterError

FAMILIES = ("sobel", "scharr", "prewitt")
AXES = ("x", "y", "magnitude")
SCIPY_MODES = {"edge": "nearest", "constant": "constant", "reflect": "mirror", "symmetric": "reflect", "wrap": "wrap"}


def filter_named(family):
    return getattr(convfilter, family)


def gradient_magnitude(samples, family, axis, **geometry):
    """The sum of |w| * |x|, of both derivatives where both are taken."""
    each = "xy" if axis == "magnitude" else axis
    kernels = [np.abs(reference.derivative_kernel(family, one)) for one in each]
    return np.linalg.norm([reference.correlate(np.abs(samples), kernel, **geometry) for kernel in kernels], axis=0)


@given(
    pictures.cases(pictures.INTEGERS),
    st.sampled_from(FAMILIES),
    st.sampled_from(AXES),
    pictures.storings((1, 0.25, 1 / 16, -0.5), (0, 0.5, -0.25)),
)
def test_equal_everywhere(case, family, axis, storing):
    """The default map of an integer result is abs."""
    image, geometry = case
    geometry["flip"] = storing["flip"]

    def run():
        settings = {key: storing[key] for key in ("scale", "offset", "map")}
        return filter_named(family)(image, axis, **settings, **geometry)

    sums = oracle_or_refusal(lambda: reference.gradient(image.astype(np.int64), family, axis, **geometry), run)
    if sums is not None:
        assert run().dtype == image.dtype
        white = reference.full_scale(image.dtype)
        # Binary scales and offsets: float64 is exact, and so is the root of a square.
        values = storing["scale"] * sums.astype(np.float64) + storing["offset"] * white
        assert_stored_exactly(run(), values, storing["map"] or "abs")


@given(
    pictures.cases(pictures.INTEGERS), st.sampled_from((1, 0.5, -1)), st.sampled_from((None, "clip", "abs", "offset"))
)
def test_the_laplacian_is_equal_everywhere(case, scale, map):
    image, geometry = case

    def run():
        return convfilter.laplacian(image, scale=scale, map=map, **geometry)

    kernel = reference.LAPLACIAN
    sums = oracle_or_refusal(lambda: reference.correlate(image.astype(np.int64), kernel, **geometry), run)
    if sums is not None:
        assert run().dtype == image.dtype
        assert_stored_exactly(run(), scale * sums.astype(np.float64), map or "abs")


@given(
    pictures.cases(),
    st.sampled_from(FAMILIES),
    st.sampled_from(AXES),
    st.sampled_from((1, 0.7, -1.3)),
    st.sampled_from((0, 0.5, 0.1)),
)
def test_raw_float32_values_keep_their_sign(case, family, axis, scale, offset):
    image, geometry = case
    samples = reference.real(image)

    def run():
        return filter_named(family)(image, axis, scale=scale, offset=offset, dtype=np.float32, **geometry)

    values = oracle_or_refusal(lambda: reference.gradient(samples, family, axis, **geometry), run)
    if values is not None:
        magnitude = gradient_magnitude(samples, family, axis, **geometry)
        assert_float32(run(), scale * values + offset * reference.full_scale(image.dtype), abs(scale) * magnitude)


@given(pictures.cases())
def test_raw_float32_values_of_the_laplacian(case):
    image, geometry = case
    samples = reference.real(image)

    def run():
        return convfilter.laplacian(image, dtype=np.float32, **geometry)

    values = oracle_or_refusal(lambda: reference.correlate(samples, reference.LAPLACIAN, **geometry), run)
    if values is not None:
        assert_float32(run(), values, reference.correlate(np.abs(samples), np.abs(reference.LAPLACIAN), **geometry))


@pytest.mark.parametrize("family", FAMILIES)
def test_float_pictures_stay_signed_unless_a_map_is_given(family):
    image = pictures.picture((9, 11, 3), "float32", "two-valued") / np.float32(64)
    raw = filter_named(family)(image, "x")
    assert raw.min() < 0
    assert_same_picture(raw, filter_named(family)(image, "x", dtype=np.float32))
    assert_same_picture(filter_named(family)(image, "x", map="abs"), np.abs(raw))


def test_the_lectures_signs():
    """A step up to the right is negative along x, a step up downwards negative along y."""
    step = np.tile(np.uint8([0, 0, 0, 10, 10, 10]), (6, 1))
    along_x = convfilter.sobel(step, "x", dtype=np.float32)
    assert np.array_equal(along_x[2], [0, 0, -40, -40, 0, 0])
    assert np.array_equal(convfilter.sobel(step.T, "y", dtype=np.float32), along_x.T)
    assert not convfilter.sobel(step, "y", dtype=np.float32).any()
    assert np.array_equal(convfilter.sobel(step, "x", map="clip")[2], [0, 0, 0, 0, 0, 0])
    assert np.array_equal(convfilter.sobel(step, "x", map="clip", flip=True)[2], [0, 0, 40, 40, 0, 0])
    assert np.array_equal(convfilter.sobel(step)[2], [0, 0, 40, 40, 0, 0])


@pytest.mark.parametrize("dtype", pictures.INTEGERS)
@pytest.mark.parametrize("content", ["noise", "white", "checkerboard", "two-valued", "dark"])
def test_magnitudes_on_larger_pictures(dtype, content):
    """Beyond one tile, vector or band of rows; the root of each whole number falls on the right side."""
    image = pictures.picture((123, 157, 3), dtype, content, seed=1)
    for family in FAMILIES:
        values = reference.gradient(image.astype(np.int64), family)
        assert_stored_exactly(filter_named(family)(image), values)
        assert_stored_exactly(filter_named(family)(image, scale=1 / 8), values / 8)
        assert_stored(filter_named(family)(image, scale=0.1), values * 0.1)


@pytest.mark.parametrize("family", ["sobel", "prewitt"])
@pytest.mark.parametrize("mode", SCIPY_MODES)
def test_scipys_derivatives_with_the_sign_turned(family, mode):
    image = pictures.picture((19, 23), "uint16", seed=1)
    for axis, number in (("x", 1), ("y", 0)):
        theirs = getattr(scipy.ndimage, family)(image.astype(np.float64), number, mode=SCIPY_MODES[mode])
        got = filter_named(family)(image, axis, padding_mode=mode, dtype=np.float32)
        assert np.array_equal(got, -theirs)


def test_scipys_laplace_is_ours():
    image = pictures.picture((19, 23), "uint16", seed=1)
    theirs = scipy.ndimage.laplace(image.astype(np.float64), mode="nearest")
    assert np.array_equal(convfilter.laplacian(image, dtype=np.float32), theirs)


@given(pictures.cases(pictures.INTEGERS, contents=("white",), modes=("edge", "reflect", "symmetric", "wrap")))
def test_a_flat_picture_has_no_edges(case):
    image, geometry = case
    if min(reference.output_shape(image.shape, (3, 3), **geometry)) >= 1:
        for family in (*FAMILIES, "laplacian"):
            assert not filter_named(family)(image, **geometry).any()


@pytest.mark.parametrize("dtype", pictures.DTYPES)
def test_the_same_bytes_for_any_number_of_threads(dtype):
    image = pictures.large(dtype)
    for family in (*FAMILIES, "laplacian"):
        for geometry in ({}, {"stride": (3, 2), "dilation": (2, 3), "padding": "full", "padding_mode": "wrap"}):
            once = filter_named(family)(image, threads=1, **geometry)
            for threads in (2, 3, 7, None):
                assert filter_named(family)(image, threads=threads, **geometry).tobytes() == once.tobytes()


@pytest.mark.parametrize("axis", AXES)
def test_nan_and_infinity_stay_in_the_windows_that_contain_them(axis):
    image = pictures.picture((40, 50, 3), "float32", seed=3)
    sound = image.copy()
    sound[17, 20, 1], image[17, 20, 1] = 0, np.nan
    touched = reference.box_sum(np.int64(np.isnan(image)), 3) > 0
    samples = reference.real(sound)
    magnitude = gradient_magnitude(samples, "scharr", axis)
    assert_float32(convfilter.scharr(image, axis), reference.gradient(samples, "scharr", axis), magnitude, touched)


@pytest.mark.parametrize("dtype", pictures.INTEGERS)
def test_magnitudes_far_above_white_brought_back_by_the_offset(dtype):
    """Nothing is clipped before the offset is added: steep edges are told apart, down to the last level."""
    image = pictures.picture((123, 157), dtype, "two-valued", seed=1)
    image[::3] //= 2
    image += pictures.picture(image.shape, dtype, "dark", seed=3)
    white = reference.full_scale(dtype)
    values = reference.gradient(image.astype(np.int64), "scharr")
    for offset in (-8, -16, -20):
        assert_stored_exactly(convfilter.scharr(image, offset=offset, map="clip"), values + offset * white)
        assert_stored_exactly(convfilter.scharr(image, scale=-1, offset=-offset, map="clip"), -offset * white - values)


def test_an_unknown_axis_is_refused():
    with pytest.raises(ParameterError, match="magnitude"):
        convfilter.sobel(np.zeros((5, 5), np.uint8), "z")
