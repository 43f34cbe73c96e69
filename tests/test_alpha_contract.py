"""Pictures with straight alpha: hidden colours never show, opaque ones are as without alpha."""

import numpy as np
import pictures
import pytest
import reference
from hypothesis import given
from hypothesis import strategies as st
from tolerances import FLOAT32, assert_float32, assert_same_picture, assert_stored

import convfilter
from convfilter.errors import ConvfilterError

#: Alpha is a quotient of two sums: below this share of the kernel's weights the quotient is not well determined.
LEAST_COVER = 1e-3


@st.composite
def see_through(draw, dtypes=pictures.DTYPES, **options):
    """A picture with alpha, some of it transparent, some opaque, and a geometry."""
    image, geometry = draw(pictures.cases(dtypes, channels=(2, 4), contents=("noise", "two-valued"), **options))
    white = reference.full_scale(image.dtype)
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    soft = rng.uniform(0, white, image.shape[:2]).astype(image.dtype)
    image[..., -1] = np.choose(
        rng.integers(0, 3, image.shape[:2]), [np.zeros_like(soft), np.full_like(soft, white), soft]
    )
    if image.dtype == np.float32:
        image[..., :-1] = np.abs(image[..., :-1])
    return image, geometry


def assert_composed(got, values, map="clip"):
    """Compare with the oracle's (colours, alpha), where the cover is large enough to divide by."""
    white = reference.full_scale(got.dtype)
    cover = values[..., -1:] / white
    unsure = (cover > 0) & (cover < LEAST_COVER)
    if got.dtype == np.float32:
        values = np.concatenate([values[..., :-1], np.clip(values[..., -1:], 0, 1)], axis=-1)
        # Colours reach 1.5, and are divided by covers of their own error.
        assert_float32(got, values, np.maximum(np.abs(values), 1.5) / np.clip(cover, LEAST_COVER, 1), unsure)
    else:
        assert_stored(got, values, map, alpha=True, uncertain=unsure)


def filter_of(name, kernel=None, sigma=None, size=None):
    """One filter as (the public function, the oracle on plain samples)."""
    return {
        "convolve": (
            lambda image, **keys: convfilter.convolve(image, kernel, **keys),
            lambda samples, **keys: reference.correlate(samples, kernel, **keys),
        ),
        "gaussian": (
            lambda image, **keys: convfilter.gaussian_blur(image, sigma, **keys),
            lambda samples, **keys: reference.gaussian_blur(samples, sigma, **keys),
        ),
        "box": (
            lambda image, **keys: convfilter.box_blur(image, size, **keys),
            lambda samples, **keys: reference.box_blur(samples, size, **keys),
        ),
    }[name]


def refused(window, image, geometry):
    return min(reference.output_shape(image.shape, window, **geometry)) < 1


def composed(image, oracle, geometry, **settings):
    """The oracle's picture with alpha."""
    geometry = dict(geometry)
    value = geometry.pop("padding_value", 0)
    return reference.with_alpha(
        reference.real(image),
        lambda samples, padding_value: oracle(samples, padding_value=padding_value, **geometry),
        white=reference.full_scale(image.dtype),
        padding_value=value,
        **settings,
    )


@given(see_through(), pictures.kernels(lambda rng, shape: rng.uniform(0, 2, shape)), st.sampled_from((1, 0.5)))
def test_colours_are_weighted_by_their_alpha(case, kernel, scale):
    image, geometry = case
    if refused(kernel.shape, image, geometry):
        return
    got = convfilter.convolve(image, kernel, alpha=True, scale=scale / kernel.sum(), **geometry)
    values = composed(
        image,
        lambda samples, **keys: reference.correlate(samples, kernel, **keys),
        geometry,
        kernel_sum=kernel.sum(),
        scale=scale / kernel.sum() * 1.0,
    )
    # with_alpha divides alpha, not colours, by the kernel's sum: the scale brings the colours back.
    assert_composed(got, values)


@given(see_through(), st.sampled_from(("gaussian", "box")), st.sampled_from((0, 0.25)))
def test_blurs(case, name, offset):
    image, geometry = case
    run, oracle = filter_of(name, sigma=(1.2, 0.7), size=(4, 3))
    if refused((15, 9), image, geometry):
        return
    got = run(image, alpha=True, offset=offset, **geometry)
    assert_composed(got, composed(image, oracle, geometry, offset=offset))


@given(see_through())
def test_hidden_colours_never_show(case):
    """Colours under alpha 0 change no byte of the result, and colours under alpha 0 in the result are 0."""
    image, geometry = case
    other = image.copy()
    other[image[..., -1] == 0, :-1] = reference.full_scale(image.dtype)
    for run in (
        lambda picture: convfilter.gaussian_blur(picture, 1.5, alpha=True, **geometry),
        lambda picture: convfilter.box_blur(picture, 3, alpha=True, **geometry),
        lambda picture: convfilter.sobel(picture, alpha=True, **geometry),
        lambda picture: convfilter.laplacian(picture, alpha=True, **geometry),
        lambda picture: convfilter.unsharp_mask(picture, 1, 0.5, alpha=True, **geometry),
        lambda picture: convfilter.max_pool(picture, 2, alpha=True),
        lambda picture: convfilter.average_pool(picture, 2, alpha=True),
    ):
        try:
            got = run(image)
        except ConvfilterError:
            continue
        assert_same_picture(got, run(other))
        assert not got[got[..., -1] == 0].any() or image.dtype != np.float32


FILTERS = {
    "whole kernel": lambda image, **keys: convfilter.convolve(
        image, [[1, 2, 0], [4, 8, -1]], scale=1 / 16, offset=0.125, **keys
    ),
    "real kernel": lambda image, **keys: convfilter.convolve(image, [[0.17, 0.21, 0], [0.31, 0.73, -0.1111]], **keys),
    "gaussian": lambda image, **keys: convfilter.gaussian_blur(image, 1.3, **keys),
    "wide gaussian": lambda image, **keys: convfilter.gaussian_blur(image, 12, **keys),
    "box": lambda image, **keys: convfilter.box_blur(image, 3, **keys),
    "even box": lambda image, **keys: convfilter.box_blur(image, (2, 6), **keys),
    "sobel": convfilter.sobel,
    "scharr along x": lambda image, **keys: convfilter.scharr(image, "x", map="offset", **keys),
    "laplacian": convfilter.laplacian,
    "unsharp mask": lambda image, **keys: convfilter.unsharp_mask(image, 2, 1.5, 0.01, **keys),
    "maxima": lambda image, **keys: convfilter.max_pool(image, 3, **keys),
    "means": lambda image, **keys: convfilter.average_pool(image, (2, 3), padding=1, **keys),
}


#: Of these the weights are real numbers; the rest is equal everywhere.
REAL_FILTERS = ("real kernel", "gaussian", "wide gaussian", "unsharp mask")


@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize("dtype", pictures.DTYPES)
@pytest.mark.parametrize("channels", [2, 4])
def test_an_opaque_picture_has_the_colours_of_one_without_alpha(name, dtype, channels):
    image = pictures.picture((131, 140, channels), dtype, seed=6)
    white = reference.full_scale(dtype)
    image[..., -1] = white
    plain = np.ascontiguousarray(image[..., :-1])
    got = FILTERS[name](image, alpha=True)
    if dtype == "float32":  # twelve times the float32 nearest to a twelfth is not 1
        np.testing.assert_allclose(got[..., -1], 1, rtol=0, atol=FLOAT32)
        # Twice the promise, of at most ten times white.
        np.testing.assert_allclose(got[..., :-1], FILTERS[name](plain), rtol=0, atol=2 * FLOAT32 * 10)
        return
    assert (got[..., -1] == white).all()
    if name in REAL_FILTERS:
        assert_stored(got[..., :-1], reference.real(FILTERS[name](plain, dtype=np.float32)))
    else:
        assert_same_picture(got[..., :-1], FILTERS[name](plain))


@pytest.mark.parametrize("dtype", pictures.DTYPES)
def test_the_same_bytes_for_any_number_of_threads(dtype):
    image = pictures.large(dtype, channels=4)
    for run in FILTERS.values():
        once = run(image, alpha=True, threads=1).tobytes()
        for threads in (2, 3, 7):
            assert run(image, alpha=True, threads=threads).tobytes() == once


@given(see_through(pictures.INTEGERS), pictures.kernels(pictures.whole, max_side=4))
def test_alpha_passes_kernels_that_sum_to_zero_unfiltered(case, kernel):
    image, geometry = case
    kernel[-1, -1] -= kernel.sum()
    if refused(kernel.shape, image, geometry):
        return
    got = convfilter.convolve(image, kernel, alpha=True, map="abs", scale=1 / 8, **geometry)
    alphas = reference.centre(image[..., -1:], kernel.shape, **geometry)
    assert_same_picture(got[..., -1:], np.ascontiguousarray(alphas))
    values = composed(
        image,
        lambda samples, **keys: reference.correlate(samples, kernel, **keys),
        geometry,
        own_alpha=lambda alpha, padding_value: reference.centre(
            alpha, kernel.shape, **{**geometry, "padding_value": padding_value}
        ),
        scale=1 / 8,
    )
    assert_composed(got, values, "abs")


@given(see_through(pictures.INTEGERS), st.sampled_from(("sobel", "scharr", "prewitt")), st.sampled_from("xym"))
def test_alpha_passes_edges_unfiltered(case, family, axis):
    image, geometry = case
    axis = "magnitude" if axis == "m" else axis
    if refused((3, 3), image, geometry):
        return
    got = getattr(convfilter, family)(image, axis, alpha=True, scale=0.25, **geometry)
    values = composed(
        image,
        lambda samples, **keys: reference.gradient(samples, family, axis, **keys),
        geometry,
        own_alpha=lambda alpha, padding_value: reference.centre(
            alpha, (3, 3), **{**geometry, "padding_value": padding_value}
        ),
        scale=0.25,
    )
    assert_same_picture(got[..., -1:], np.ascontiguousarray(reference.centre(image[..., -1:], (3, 3), **geometry)))
    assert_composed(got, values, "abs")


@pytest.mark.parametrize("dtype", pictures.DTYPES)
def test_stretch_looks_at_colours_alone(dtype):
    image = pictures.picture((31, 40, 4), dtype, seed=6)
    image[..., -1] = reference.full_scale(dtype)
    got = convfilter.scharr(image, "y", alpha=True, map="stretch")
    plain = convfilter.scharr(np.ascontiguousarray(image[..., :-1]), "y", map="stretch")
    assert (got[..., -1] == reference.full_scale(dtype)).all()
    np.testing.assert_allclose(got[..., :-1], plain, rtol=0, atol=1e-5 if dtype == "float32" else 0)


def test_scale_offset_and_map_leave_alpha_alone():
    image = pictures.picture((12, 13, 4), "uint8", seed=6)
    plain = convfilter.box_blur(image, 3, alpha=True)
    for settings in (
        {"scale": 0.3},
        {"offset": 0.4},
        {"map": "stretch"},
        {"map": "offset"},
        {"scale": -1, "map": "abs"},
    ):
        got = convfilter.box_blur(image, 3, alpha=True, **settings)
        assert_same_picture(got[..., 3], plain[..., 3])


@given(see_through())
def test_max_pooling_takes_the_largest_of_alpha_and_of_weighted_colours(case):
    image, _ = case
    if min(image.shape[:2]) < 2:
        return
    got = convfilter.max_pool(image, 2, stride=1, padding=1, alpha=True)
    values = reference.with_alpha(
        reference.real(image),
        lambda samples, padding_value: reference.max_pool(samples, 2, stride=1, padding=1),
        white=reference.full_scale(image.dtype),
    )
    assert_composed(got, values)


@given(see_through())
def test_average_pooling_weights_colours_by_their_alpha(case):
    image, _ = case
    if min(image.shape[:2]) < 2:
        return
    got = convfilter.average_pool(image, 3, stride=2, padding=1, alpha=True)
    values = reference.with_alpha(
        reference.real(image),
        lambda samples, padding_value: reference.average_pool(samples, 3, stride=2, padding=1),
        white=reference.full_scale(image.dtype),
    )
    assert_composed(got, values)


@given(see_through(), st.sampled_from((0.5, 2)))
def test_unsharp_mask(case, amount):
    image, geometry = case
    white = reference.full_scale(image.dtype)
    if refused(reference.gaussian_window(1), image, geometry):
        return
    got = convfilter.unsharp_mask(image, 1, amount, alpha=True, **geometry)
    values = composed(
        image, lambda samples, **keys: reference.unsharp_mask(samples, 1, amount, white=white, **keys), geometry
    )
    assert_composed(got, values)


def test_without_alpha_every_channel_is_colour():
    image = pictures.picture((12, 13, 4), "uint8", seed=6)
    got = convfilter.box_blur(image, 3)
    for channel in range(4):
        assert_same_picture(got[..., channel], convfilter.box_blur(np.ascontiguousarray(image[..., channel]), 3))


@pytest.mark.parametrize("shape", [(5, 5), (5, 5, 1), (5, 5, 3), (5, 5, 5)])
def test_alpha_needs_two_or_four_channels(shape):
    with pytest.raises(ConvfilterError):
        convfilter.box_blur(np.zeros(shape, np.uint8), 3, alpha=True)
