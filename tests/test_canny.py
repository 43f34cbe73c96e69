"""Canny's edges, against scikit-image and pictures whose edges are known."""

import numpy as np
import pytest

import convfilter as cf
from convfilter.cli.root import run
from convfilter.errors import ParameterError
from convfilter.filters import stack
from convfilter.sample_types import full_scale

RNG = np.random.default_rng(7)


def smooth_noise(shape, sigma=2.0):
    return cf.gaussian_blur(RNG.random(shape).astype(np.float32), sigma, map="stretch")


@pytest.mark.peer("skimage")
@pytest.mark.parametrize("sigma", [0.0, 0.6, 1.0, 2.5])
@pytest.mark.parametrize("thresholds", [(0.05, 0.15), (0.0, 0.3), (0.2, 0.2)])
def test_scikit_image_finds_the_same(sigma, thresholds):
    feature = pytest.importorskip("skimage.feature")
    for shape in ((70, 61), (200, 30), (5, 9), (3, 3), (2, 7)):
        image = smooth_noise(shape, 1.5)
        theirs = feature.canny(image.astype(np.float64), sigma, *thresholds)
        for threads in (1, 2):
            result = cf.canny(image, sigma, *thresholds, threads=threads)
            np.testing.assert_array_equal(result, theirs.astype(np.float32))


@pytest.mark.peer("skimage")
@pytest.mark.parametrize("sigma", [0.0, 0.6, 1.0, 2.5])
@pytest.mark.parametrize("thresholds", [(0.05, 0.15), (0.0, 0.3), (0.2, 0.2)])
def test_scikit_image_finds_the_same_without_ignored_pixels(sigma, thresholds):
    feature = pytest.importorskip("skimage.feature")
    for shape in ((70, 61), (200, 30), (5, 9), (3, 3), (2, 7)):
        image = smooth_noise(shape, 1.5)
        for share in (0.02, 0.1, 0.5):
            counts = RNG.random(shape) >= share
            counts[20:45, 5:25] = False
            theirs = feature.canny(image.astype(np.float64), sigma, *thresholds, mask=counts)
            for threads in (1, 2):
                result = cf.canny(image, sigma, *thresholds, mask=counts, threads=threads)
                valid = ~np.isnan(result)
                np.testing.assert_array_equal(result[valid], theirs[valid].astype(np.float32))
                assert not theirs[~valid].any()


def test_a_square_has_an_outline_one_pixel_wide():
    image = np.zeros((40, 40), np.uint8)
    image[10:30, 10:30] = 255
    edges = cf.canny(image, 1)
    assert set(np.unique(edges)) == {0, 255}
    assert not edges[13:27, 13:27].any() and not edges[:8].any()
    places = np.flatnonzero(edges[20])  # a step between two pixels may take both
    assert 2 <= places.size <= 4 and set(places.tolist()) <= {9, 10, 29, 30}


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64])
@pytest.mark.parametrize("sigma", [0, 0.7, 4])
def test_a_flat_picture_has_no_edges_whatever_the_thresholds(sigma, dtype):
    for level in (0, 0.3, 1):
        image = np.full((20, 23, 3), level * full_scale(np.dtype(dtype))).astype(dtype)
        assert not cf.canny(image, sigma, 0, 0).any()
        masked = cf.canny(image, sigma, 0, 0, mask=np.eye(20, 23) == 0, fill=True)
        assert not np.nan_to_num(masked).any()


def test_weak_edges_count_where_they_are_connected_to_strong_ones():
    image = np.zeros((40, 60), np.float32)
    image[20:, :30] = np.linspace(1, 0.05, 30, dtype=np.float32)  # ever weaker to the right
    image[5:10, 40:50] = 0.1  # weak all around
    strong = cf.canny(image, 1, 0.6, 0.6)
    both = cf.canny(image, 1, 0.1, 0.6)
    assert both[:, 40:].sum() == 0
    assert both[18:22, :30].sum() > strong[18:22, :30].sum()
    np.testing.assert_array_equal(both >= strong, True)


def test_channels_depth_luminance_and_alpha():
    image = (smooth_noise((50, 40, 3)) * 255).astype(np.uint8)
    edges = cf.canny(image, 1.2, 0.1, 0.3)
    for channel in range(3):
        np.testing.assert_array_equal(edges[..., channel], cf.canny(image[..., channel], 1.2, 0.1, 0.3))
    words = cf.canny(image.astype(np.uint16) * 257, 1.2, 0.1, 0.3)
    np.testing.assert_array_equal(words // 257, edges)
    np.testing.assert_array_equal(cf.canny(image, 1.2, 0.1, 0.3, dtype=np.float32) > 0, edges > 0)
    assert cf.canny(image, gray=True).shape == (50, 40)
    opaque = np.dstack([image, np.full((50, 40), 255, np.uint8)])
    np.testing.assert_array_equal(cf.canny(opaque, 1.2, 0.1, 0.3, alpha=True), np.dstack([edges, opaque[..., 3]]))


def test_in_a_stack_and_as_a_command(tmp_path):
    image = (smooth_noise((50, 40)) * 255).astype(np.uint8)
    blurred = cf.apply(image, "box:3", dtype=np.float32)
    stacked = cf.apply(image, "box:3", "canny:1,0.1,0.2", "dilate:3")
    assert (stacked > 0).sum() >= (cf.canny(blurred / 255, 1, 0.1, 0.2) > 0).sum() > 0
    cf.write(str(tmp_path / "in.png"), image)
    names = [str(tmp_path / "in.png"), str(tmp_path / "out.png")]
    assert run(["edges", "--canny", "1.4,0.1,0.3", *names]) == 0
    np.testing.assert_array_equal(cf.read(names[1]).pixels, cf.canny(image, 1.4, 0.1, 0.3))


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("canny:1,0.2", "canny takes SIGMA, or SIGMA,LOW,HIGH, got 2 numbers"),
        ("canny:1,0.3,0.2", "0 <= low <= high, got low 0.3 and high 0.2"),
        ("canny:200", "sigma must be from 0 to 100, got 200"),
        ("canny:x", "must be a number"),
    ],
)
def test_bad_thresholds(spec, words):
    with pytest.raises(ParameterError, match=words):
        stack.stage(spec)
