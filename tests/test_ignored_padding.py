"""Padding that has the ignored value is ignored: results are those of a picture with such a border and no padding."""

import numpy as np
import pytest
from scipy import ndimage

import convfilter as cf
from convfilter.cli.root import run

RNG = np.random.default_rng(8)
MISSING = -9999
FILTERS = [
    "gaussian:1.5",
    "gaussian:6",
    "box:5x3",
    "unsharp:1.5",
    "kernel:[1 -2 0; 3 9 1; 0 -1 1]",
    "sobel:magnitude",
    "laplacian",
    "kirsch",
    "median:5x3",
    "percentile:disk:2,p=0.8",
    "erode:3",
    "tophat:3",
    "bilateral:5,0.2",
]


def heights(*shape):
    """Return heights with some missing ones."""
    made = RNG.normal(900, 40, (23, 31, *shape)).astype(np.float32)
    made[RNG.random((23, 31)) < 0.1] = MISSING
    return made


@pytest.mark.parametrize("fill", [False, True])
@pytest.mark.parametrize("pads", [((61, 64), (60, 75)), ((80, 70), (90, 66))])
@pytest.mark.parametrize("geometry", [{}, {"stride": (2, 3)}, {"dilation": 2, "stride": 3}])
@pytest.mark.parametrize("spec", FILTERS)
def test_padding_of_the_ignored_value_is_a_border_of_ignored_pixels(spec, geometry, pads, fill):
    image, keywords = heights(), {"ignore": MISSING, "fill": fill, **geometry}
    bordered = np.pad(image, pads, constant_values=MISSING)
    expected = cf.apply(bordered, spec, padding=0, **keywords)
    got = cf.apply(image, spec, padding=pads, padding_mode="constant", padding_value=MISSING, **keywords)
    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("sigma", [1.5, 6])
def test_means_at_the_border_are_means_of_the_picture(sigma):
    """Normalised convolution: SciPy's sums over zeros outside, divided by those of the weights inside."""
    image = heights()
    valid = image != MISSING
    got = cf.gaussian_blur(image, sigma, padding_value=MISSING, ignore=MISSING, fill=True)
    sums, weights = (
        ndimage.gaussian_filter(part, sigma, mode="constant", truncate=6)
        for part in (np.where(valid, image, 0).astype(np.float64), valid.astype(np.float64))
    )
    np.testing.assert_allclose(got, sums / weights, rtol=1e-5)


@pytest.mark.parametrize("channels", [2, 4])
def test_alpha_of_the_padding_does_not_count(channels):
    image = RNG.integers(1, 256, (20, 24, channels), np.uint8)
    image[5:9, 3:8, :-1] = 0
    got = cf.gaussian_blur(image, 2, padding_mode="constant", padding_value=0, ignore=0, alpha=True)
    bordered = np.pad(image, ((30, 30), (30, 30), (0, 0)))
    expected = cf.gaussian_blur(bordered, 2, ignore=0, alpha=True)[30:-30, 30:-30]
    np.testing.assert_array_equal(got, expected)


def test_stages_of_a_stack_have_borders_of_their_own():
    image = heights(3)
    stack = ["box:5,padding_value=-9999,padding=2x0", "median:3", "gaussian:2,padding_value=-9999"]
    got = cf.apply(image, *stack, ignore=MISSING)
    step = cf.box_blur(np.pad(image, ((0, 0), (2, 2), (0, 0)), constant_values=MISSING), 5, padding=0, ignore=MISSING)
    step = cf.median(step, 3, ignore=MISSING)
    step = np.pad(step, ((20, 20), (20, 20), (0, 0)), constant_values=MISSING)
    expected = cf.gaussian_blur(step, 2, ignore=MISSING)[20:-20, 20:-20]
    np.testing.assert_allclose(got, expected, rtol=1e-6)


def test_layers_and_pooling_pad_as_networks_do():
    image = heights()
    image[image == MISSING] = 0
    layer = np.ones((1, 1, 3, 3))
    keywords = {"padding": 1, "padding_mode": "constant", "ignore": 0.0, "fill": True}
    np.testing.assert_array_equal(cf.conv2d(image, layer, **keywords).shape, image.shape)
    pooled = cf.average_pool(image, 3, 1, 1, count_padding=True, ignore=0.0)
    assert pooled[0, 0] < cf.average_pool(image, 3, 1, 1, ignore=0.0)[0, 0]


@pytest.mark.parametrize("threads", ["1", "3"])
def test_rows_of_files_are_streamed(tmp_path, threads):
    image = heights()
    path, out = tmp_path / "in.tif", tmp_path / "out.tif"
    cf.write(path, image)
    words = ["blur", "--gaussian", "3", "--ignore", "-9999", "--padding-value", "-9999", "--threads", threads]
    assert run([*words, str(path), str(out)]) == 0
    expected = cf.gaussian_blur(image, 3, ignore=MISSING, padding_value=MISSING)
    np.testing.assert_array_equal(cf.read(out).pixels, expected)


def test_chunks_have_the_border_of_the_whole():
    array = pytest.importorskip("dask.array")
    from convfilter import dask

    image = heights()
    keywords = {"padding_value": MISSING, "ignore": MISSING}
    got = dask.apply(array.from_array(image, chunks=9), "gaussian:2", "median:3", **keywords).compute()
    np.testing.assert_array_equal(got, cf.apply(image, "gaussian:2", "median:3", **keywords))
