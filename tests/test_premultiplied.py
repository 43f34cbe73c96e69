"""Pictures whose colours are stored multiplied with their opacity: taken, filtered and stored so, rounded once."""

import numpy as np
import pytest
import reference
import tolerances

import convfilter as cf
from convfilter.filters.layers import layer
from convfilter.filters.stage import Stage
from convfilter.planning import plan_stack

RNG = np.random.default_rng(11)
BINOMIAL = np.outer([1, 2, 1], [1, 2, 1])


def picture(dtype="uint8", shape=(19, 23, 4)):
    """Samples of any values: some colours are brighter than their opacity, as of glow and fire."""
    if dtype == "float32":
        return RNG.random(shape, np.float32)
    return RNG.integers(0, np.iinfo(dtype).max + 1, shape).astype(dtype)


def filtered(pixels, *specs, **keywords):
    return cf.apply(pixels, *specs, alpha=True, premultiplied=True, **keywords)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("channels", [2, 4])
def test_identity_is_identity(dtype, channels):
    pixels = picture(dtype, (7, 8, channels))
    pixels[0, 0] = 0
    pixels[0, 1, -1] = 0  # light without any opacity
    for specs in (["identity"], ["gaussian:0"], ["box:1", "maxpool:1", "relu"], ["scale:1"], ["bias:0"]):
        np.testing.assert_array_equal(filtered(pixels, *specs), pixels)


def test_the_mean_of_two_stored_samples_is_rounded_once():
    pixels = np.array([[[162, 7, 3, 200], [197, 0, 0, 101]]], np.uint8)
    assert filtered(pixels, "box:2x1,padding=valid").tolist() == [[[180, 4, 2, 150]]]  # 179.5 3.5 1.5 150.5, to even


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("mode", ["edge", "constant", "wrap"])
@pytest.mark.parametrize("stride", [1, 2])
def test_every_channel_is_filtered_by_itself(dtype, mode, stride):
    pixels = picture(dtype)
    geometry = {"stride": stride, "padding_mode": mode}
    if mode == "constant":
        geometry["padding_value"] = 9
    got = cf.convolve(pixels, BINOMIAL / 16, alpha=True, premultiplied=True, **geometry)
    expected = reference.correlate(reference.exact(pixels.astype(int)), BINOMIAL, **geometry) / 16
    tolerances.assert_stored_exactly(got, expected)
    blurred = cf.gaussian_blur(pixels, 2, alpha=True, premultiplied=True, **geometry)
    tolerances.assert_stored(blurred, reference.gaussian_blur(reference.real(pixels), 2, **geometry))


def test_pooling_takes_stored_samples():
    pixels = picture()
    for name in ("max_pool", "average_pool"):
        got = getattr(cf, name)(pixels, 3, stride=2, padding=1, alpha=True, premultiplied=True)
        tolerances.assert_stored(got, getattr(reference, name)(reference.real(pixels), 3, 2, 1))


def test_edges_leave_opacity_as_it_is():
    pixels = picture()
    got = cf.sobel(pixels, "x", alpha=True, premultiplied=True)
    real = reference.gradient(reference.real(pixels), "sobel", "x")
    tolerances.assert_stored_exactly(got[..., :3], np.abs(real[..., :3]))
    np.testing.assert_array_equal(got[..., 3], pixels[..., 3])
    magnitude = cf.sobel(pixels, alpha=True, premultiplied=True)
    tolerances.assert_stored(magnitude[..., :3], reference.gradient(reference.real(pixels), "sobel")[..., :3])
    np.testing.assert_array_equal(magnitude[..., 3], pixels[..., 3])


#: Filters whose straight colours, weighted with their opacity, are what premultiplied ones must become.
LIKE_STRAIGHT = [
    ["gaussian:1.5"],
    ["kernel:0 1 0; 1 3 1; 0 1 0,scale=0.25"],
    ["kernel:0 1 0; 1 3 1; 0 1 0,scale=0.1,offset=0.25"],
    ["sobel:x,map=offset"],
    ["sobel:y,offset=0.5,scale=0"],
    ["laplacian:map=abs,scale=2"],
    ["sobel:magnitude,scale=0.5"],
    ["unsharp:1,amount=0.5"],
    ["unsharp:1,amount=0.5,offset=0.1"],
    ["avgpool:3"],
    ["bias:0.25"],
    ["bias:-0.25", "abs"],
    ["scale:-0.5", "box:3"],
    ["clip:0.25"],
    ["clip:0.2,high=0.6", "gaussian:1"],
    ["invert"],
    ["invert", "gaussian:1", "invert"],
    ["threshold:0.5"],
    ["gaussian:1", "relu", "sobel:magnitude", "invert"],
]


@pytest.mark.parametrize("specs", LIKE_STRAIGHT, ids=" ".join)
@pytest.mark.parametrize("gray", [False, True])
def test_weighted_colours_are_straight_ones_times_opacity(specs, gray):
    straight = picture("float32")
    straight[..., 3] = 0.4 + 0.2 * straight[..., 3]
    premultiplied = straight.copy()
    premultiplied[..., :3] *= straight[..., 3:]
    expected = cf.apply(straight, *specs, alpha=True, gray=gray)
    expected[..., :-1] *= expected[..., -1:]
    got = filtered(premultiplied, *specs, gray=gray)
    np.testing.assert_allclose(got, expected, atol=2e-6)


def test_functions_with_constants_add_nothing_where_nothing_is():
    pixels = np.zeros((3, 3, 4), np.uint8)
    for spec in ("invert", "bias:0.5", "identity:offset=0.5", "sobel:x,map=offset", "threshold:0"):
        assert not filtered(pixels, spec).any()
    glow = np.zeros((1, 1, 4), np.uint8)
    glow[..., :3] = 204, 102, 51
    assert filtered(glow, "scale:0.5").ravel().tolist() == [102, 51, 26, 0]  # 25.5 to even


def test_layers_and_directions_take_colours_as_they_are_stored():
    pixels = picture()
    half = Stage(layer(np.eye(3)[..., np.newaxis, np.newaxis] / 2))
    got = cf.apply(pixels, half, alpha=True, premultiplied=True)
    tolerances.assert_stored_exactly(got[..., :3], reference.exact(pixels[..., :3].astype(int)) / 2)
    np.testing.assert_array_equal(got[..., 3], pixels[..., 3])
    opaque = pixels.copy()
    opaque[..., 3] = 255
    directions = filtered(pixels, "sobel:orientation")
    np.testing.assert_array_equal(directions[..., :3], cf.apply(opaque, "sobel:orientation", alpha=True)[..., :3])
    np.testing.assert_array_equal(directions[..., 3], pixels[..., 3])


def test_stretched_edges_stay_black_where_nothing_is():
    pixels = picture()
    pixels[:8, :9] = 0
    got = filtered(pixels, "sobel:x,map=stretch")
    assert not got[1:6, 1:7, :3].any() and got[..., :3].max() > 200


def test_means_go_the_fast_way_of_pictures_without_alpha():
    fast = plan_stack([Stage(s.operator) for s in cf.api.stages_of(["gaussian:2"], {})], (99, 99, 4), "uint8")
    plan = plan_stack([s.stage for s in fast.stages], (99, 99, 4), "uint8", alpha=True, premultiplied=True)
    assert [(s.algorithm, s.precision, s.alpha) for s in plan.stages] == [("separable", "float32", False)]
