"""Means of real samples lie between the least and the largest sample of their window, at any magnitude."""

import numpy as np
import pytest
import reference
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import convfilter as cf
from convfilter.filters import kernels
from convfilter.filters.kernel import from_array
from convfilter.filters.operators import Correlation
from convfilter.filters.stage import Stage
from convfilter.planning import plan_stack

LARGEST = float(np.finfo(np.float32).max)
NODATA = np.float32(-3.4e38)
DISK = from_array((np.hypot(*np.mgrid[-9:10, -9:10]) <= 9) / 253.0)


def blur(kernel, **geometry):
    return Stage(Correlation(kernel), **geometry)


#: A mean, and rows and columns of its window.
MEANS = {
    "gaussian 0.6": (lambda x: cf.gaussian_blur(x, 0.6), (9, 9)),
    "gaussian 3": (lambda x: cf.gaussian_blur(x, 3), (37, 37)),
    "truncated": (lambda x: cf.gaussian_blur(x, 3, truncate=2), (13, 13)),
    "gaussian 9, wide": (lambda x: cf.apply(x, "gaussian:9", algorithm="multirate"), (217, 217)),
    "gaussian 20x0": (lambda x: cf.gaussian_blur(x, (0, 20)), (1, 481)),
    "gaussian 8, stride 3": (lambda x: cf.gaussian_blur(x, 8, stride=3), (97, 97)),
    "box 3": (lambda x: cf.box_blur(x, 3), (3, 3)),
    "box 2x31": (lambda x: cf.box_blur(x, (2, 31)), (2, 31)),
    "binomial": (lambda x: cf.convolve(x, [[1, 2, 1], [2, 4, 2], [1, 2, 1]], scale=1 / 16), (3, 3)),
    "average 5": (lambda x: cf.average_pool(x, 5, stride=1, padding=2), None),
    "average 40x41": (lambda x: cf.average_pool(x, (40, 41), stride=1, padding=(20, 20)), None),
    "disk, direct": (lambda x: cf.apply(x, blur(DISK), algorithm="direct"), (19, 19)),
    "disk, fourier": (lambda x: cf.apply(x, blur(DISK), algorithm="fourier"), (19, 19)),
    "disk, dilated": (lambda x: cf.apply(x, blur(DISK, dilation=(2, 1)), algorithm="fourier"), (37, 19)),
    "layer": (
        lambda x: cf.conv2d(x[..., None], np.full((1, 1, 3, 3), 1 / 9), padding=1, padding_mode="edge")[..., 0],
        (3, 3),
    ),
    "stack": (lambda x: cf.apply(x, "gaussian:1.5", "box:3", "gaussian:9"), None),
    "merged": (lambda x: cf.apply(x, "gaussian:1.5", "gaussian:2", padding_mode="wrap"), None),
}
CONSTANTS = [-3.4e38, LARGEST, -LARGEST, 1e30, 0.1, 3.0, 1e-38, 1e-45, 0.0]
ONE_ULP = np.float64(2.0) ** -23


def ends(picture, window, stride=1):
    """The least and the largest sample of each window, or of the whole picture."""
    if window is None:
        return picture.min(), picture.max()
    cells = np.stack([cells for _, cells in reference.windows(picture, window, stride=stride)])
    return cells.min(axis=0), cells.max(axis=0)


@pytest.mark.parametrize("name", MEANS)
@pytest.mark.parametrize("value", CONSTANTS)
def test_a_constant_comes_back(name, value):
    picture = np.full((47, 43), value, np.float32)
    result = MEANS[name][0](picture)
    np.testing.assert_array_equal(result, np.full(result.shape, value, np.float32))


SAMPLES = st.one_of(
    st.floats(-LARGEST, LARGEST, width=32, allow_subnormal=True),
    st.sampled_from([0.0, 1.0, NODATA, LARGEST, 1e-45, 255.0]).map(np.float32),
)


@pytest.mark.parametrize("name", MEANS)
@given(picture=arrays(np.float32, st.tuples(st.integers(1, 9), st.integers(1, 12)), elements=SAMPLES))
@settings(max_examples=30, deadline=None, derandomize=True)
def test_results_lie_between_the_ends_of_their_windows(name, picture):
    mean, window = MEANS[name]
    stride = 3 if "stride" in name else 1
    low, high = ends(picture, window, stride)
    result = mean(picture)
    assert np.all((low <= result) & (result <= high))


@pytest.mark.parametrize("name", [name for name, (_, window) in MEANS.items() if window is not None])
def test_missing_data_is_not_seen_beyond_its_windows(name):
    """Half of the picture is no data, far below the rest."""
    mean, window = MEANS[name]
    picture = np.random.default_rng(1).uniform(90, 110, (40, 900)).astype(np.float32)
    picture[:, :5] = NODATA
    picture[:, 640:] = picture[:, 640:].round(-1)
    stride = 3 if "stride" in name else 1
    result = mean(picture)
    low, high = ends(picture, (1, 2 * window[1] - 1), stride)  # the whole Gaussian goes on beyond its window
    assert np.all((low.min(axis=0) <= result) & (result <= high.max(axis=0)))


def test_black_stays_black_beside_light():
    """The rounding errors of a transform at bright samples change no other sample, not even to -1e-17."""
    picture = np.zeros((60, 80), np.float32)
    picture[:, 60:] = np.random.default_rng(0).random((60, 20), np.float32)
    smooth = from_array(np.exp(-np.hypot(*np.mgrid[-9:10, -9:10])))
    result = cf.apply(picture, blur(smooth), algorithm="fourier")
    assert not result[:, :50].any() and result.min() == 0
    integers = cf.apply((picture * 255).astype(np.uint8), blur(smooth), algorithm="fourier", dtype=np.float32)
    assert not integers[:, :50].any() and integers.min() == 0


@pytest.mark.parametrize("after", [(), ("identity",)])
def test_a_transform_leaves_pictures_with_huge_samples_to_single_taps(after):
    """Also for weights of both signs: the rounding of -3.4e38 would swamp samples near 100."""
    picture = np.random.default_rng(2).uniform(90, 110, (50, 120)).astype(np.float32)
    picture[:, :30] = NODATA
    kernel = from_array(np.random.default_rng(3).normal(size=(15, 15)) / 100)
    result = cf.apply(picture, *after, blur(kernel), algorithm=None if after else "fourier")[:, 45:]
    expected = reference.correlate(reference.real(picture), kernel.weights)[:, 45:]
    np.testing.assert_allclose(result, expected, atol=1e-3)


def test_negative_weights_and_sums_other_than_one_keep_their_bounds_too():
    picture = np.full((30, 30), 7.25, np.float32)
    minus = Stage(Correlation(from_array(-DISK.weights)))
    assert np.all(cf.apply(picture, minus, algorithm="fourier") == np.float32(-7.25))
    tripled = Stage(Correlation(from_array(np.ones((15, 15)))), scale=3.0)
    assert np.all(cf.apply(picture, tripled) == np.float32(7.25 * 3 * 225))


def test_transparent_and_grey_constants_come_back():
    colour = np.array([0.1, NODATA, 3e38, 0.3], np.float32)
    picture = np.tile(colour, (20, 21, 1))
    np.testing.assert_array_equal(cf.gaussian_blur(picture, 2, alpha=True), picture)
    grey = np.tile(np.array([0.3, 0.3, 0.3], np.float32), (20, 21, 1))
    from convfilter.executor.run import run_array

    plan = plan_stack([blur(kernels.gaussian(2, 2))], grey.shape, np.float32, gray=True)
    np.testing.assert_array_equal(run_array(plan, grey).pixels, grey[..., 0])


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_point_operations_stretch_into_real_samples(dtype):
    pixels = np.arange(5, 245, 10, np.uint8).reshape(4, 6).astype(dtype)
    full = 1.0 if dtype == "float32" else np.iinfo(dtype).max
    for size in (1, 90):  # of 16 bits, large pictures are looked up
        got = cf.apply(np.tile(pixels, (size, size)), "abs:map=stretch", dtype="float32")[:4, :6]
        np.testing.assert_allclose(got, (pixels - 5.0) / 230 * full, rtol=1e-6, atol=1e-9)
