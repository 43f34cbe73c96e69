"""``gaussian_blur`` and ``unsharp_mask`` against the whole Gaussian."""

import numpy as np
import pictures
import pytest
import reference
import scipy.ndimage
from hypothesis import given
from hypothesis import strategies as st
from tolerances import FLOAT32, GAUSSIAN_TAIL, assert_float32, assert_same_picture, assert_stored, oracle_or_refusal

import convfilter
from convfilter.errors import ParameterError

SCIPY_MODES = {"edge": "nearest", "constant": "constant", "reflect": "mirror", "symmetric": "reflect", "wrap": "wrap"}
#: From no blur at all to one far wider than the picture.
SIGMAS = (0.1, 0.3, 0.8, 1.7, 4, 6.3, 10, 20, 33, 64, 178, 300)
SMALL_SHAPES = ((1, 1), (1, 9), (7, 1), (5, 6), (23, 40))


def assert_blurred(got, image, values, magnitude=None):
    """Within the contract, whatever the picture's dtype."""
    if got.dtype == np.float32:
        assert_float32(got, values, magnitude)
    else:
        assert got.dtype == image.dtype
        assert_stored(got, values)


def blurred(image, sigma, **geometry):
    """The real result, and the sum of |w| * |x| with the part that the window leaves out."""
    samples = reference.real(image)
    largest = max(np.abs(samples).max(), abs(geometry.get("padding_value", 0)))
    magnitude = reference.gaussian_blur(np.abs(samples), sigma, **geometry)
    tail = 0 if "truncate" in geometry else GAUSSIAN_TAIL / FLOAT32 * largest
    return reference.gaussian_blur(samples, sigma, **geometry), magnitude + tail


# The blur -----------------------------------------------------------------------------------------------------------


@given(pictures.cases(), pictures.pairs(st.sampled_from((0, 0.1, 0.4, 0.8, 1, 1.6, 2.7, 5.5, 9, 17))))
def test_every_geometry(case, sigma):
    image, geometry = case

    def run():
        return convfilter.gaussian_blur(image, sigma, **geometry)

    both = oracle_or_refusal(lambda: blurred(image, sigma, **geometry), run)
    if both is not None:
        assert_blurred(run(), image, *both)


@given(
    pictures.cases(max_side=30, channels=(None, 1, 3)),
    pictures.pairs(st.floats(0.1, 40)),
    st.sampled_from((1, 0.5, -1.3)),
    st.sampled_from((0, 0.5, 0.1)),
)
def test_raw_values_scaled_and_offset(case, sigma, scale, offset):
    image, geometry = case

    def run():
        return convfilter.gaussian_blur(image, sigma, scale=scale, offset=offset, dtype=np.float32, **geometry)

    both = oracle_or_refusal(lambda: blurred(image, sigma, **geometry), run)
    if both is not None:
        values, magnitude = both
        assert_float32(run(), scale * values + offset * reference.full_scale(image.dtype), abs(scale) * magnitude)


@pytest.mark.parametrize("mode", pictures.MODES)
@pytest.mark.parametrize("dtype", pictures.DTYPES)
def test_sweep_of_sigma_on_small_pictures(mode, dtype):
    """Sigmas of all sizes, also with kernels far larger than the picture; each with two of the types."""
    value = {"constant": reference.full_scale(dtype)}.get(mode, 0)
    for number, shape in enumerate(SMALL_SHAPES, pictures.DTYPES.index(dtype)):
        image = pictures.picture(shape, dtype, seed=7)
        for place, sigma in enumerate(SIGMAS if min(shape) > 1 else SIGMAS[::3], number):
            if place % len(pictures.DTYPES) == 0:
                continue
            got = convfilter.gaussian_blur(image, sigma, padding_mode=mode, padding_value=value)
            assert_blurred(got, image, *blurred(image, sigma, padding_mode=mode, padding_value=value))


@pytest.mark.parametrize("mode", pictures.MODES)
@pytest.mark.parametrize("sigma", [1000, (1000, 0.5), (2, 700)])
def test_sigmas_of_a_thousand(mode, sigma):
    image = pictures.picture((14, 19), "uint16", seed=7)
    got = convfilter.gaussian_blur(image, sigma, padding_mode=mode, padding_value=5000)
    assert_stored(got, blurred(image, sigma, padding_mode=mode, padding_value=5000)[0])


@pytest.mark.parametrize("sigma", SIGMAS)
@pytest.mark.parametrize("dtype", pictures.DTYPES)
def test_a_flat_picture_stays_flat(sigma, dtype):
    """The weights sum to one at every sigma: 200 stays 200."""
    levels = (0, 1, 200, reference.full_scale(dtype))
    # A channel for each level, but where the padding is one of them.
    runs = [(mode, levels, 0) for mode in pictures.MODES if mode != "constant"]
    runs += [("constant", (level,), level) for level in levels]
    for mode, shown, value in runs:
        image = np.full((9, 30, len(shown)), shown, dtype)
        got = convfilter.gaussian_blur(image, sigma, padding_mode=mode, padding_value=value)
        if dtype == "float32":
            np.testing.assert_allclose(got, image, rtol=FLOAT32)
        else:
            assert_same_picture(got, image)


@pytest.mark.parametrize("dtype", pictures.INTEGERS)
@pytest.mark.parametrize("sigma", [0.6, 1, 4, 7, 12, (3, 20), 45])
def test_shares_of_equal_samples(dtype, sigma):
    for content in ("noise", "two-valued"):
        image = pictures.picture((110, 140, 3), dtype, content, seed=4)
        got = convfilter.gaussian_blur(image, sigma, padding_mode="symmetric")
        assert_stored(got, blurred(image, sigma, padding_mode="symmetric")[0])


@pytest.mark.parametrize("dtype", pictures.INTEGERS)
@pytest.mark.parametrize("sigma", [0.6, 4, 12, 45])
def test_a_checkerboard_becomes_one_of_the_two_greys_beside_its_mean(dtype, sigma):
    """A sigma too small to have an effect: away from the border every sample is a tie."""
    image = pictures.picture((50, 60, 3), dtype, "checkerboard")
    got = convfilter.gaussian_blur(image, sigma, padding_mode="symmetric")
    assert_stored(got, blurred(image, sigma, padding_mode="symmetric")[0])


@pytest.mark.parametrize("sigma", [4, 10, 25])
@pytest.mark.parametrize(
    "geometry", [{"stride": (3, 2)}, {"dilation": (1, 2)}, {"padding": "full", "stride": 5}], ids=str
)
def test_shares_of_equal_samples_in_other_geometries(sigma, geometry):
    image = pictures.picture((150, 190, 3), "uint8", seed=4)
    got = convfilter.gaussian_blur(image, sigma, padding_mode="reflect", **geometry)
    assert_stored(got, blurred(image, sigma, padding_mode="reflect", **geometry)[0])


def test_valid_keeps_the_windows_that_fit():
    image = pictures.picture((80, 90), "uint8", seed=4)
    for sigma in (1, 2.5, 6):
        got = convfilter.gaussian_blur(image, sigma, padding="valid")
        radius = int(6 * sigma + 0.5)
        assert got.shape == (80 - 2 * radius, 90 - 2 * radius)
        assert_stored(got, blurred(image, sigma)[0][radius:-radius, radius:-radius])


@pytest.mark.parametrize("dtype", pictures.DTYPES)
def test_sigma_zero_is_the_picture(dtype):
    image = pictures.picture((12, 15, 3), dtype)
    got = convfilter.gaussian_blur(image, 0)
    assert_same_picture(got, image)
    assert not np.shares_memory(got, image)
    down, across = convfilter.gaussian_blur(image, (1.5, 0)), convfilter.gaussian_blur(image, (0, 1.5))
    assert_blurred(down, image, *blurred(image, (1.5, 0)))
    assert_blurred(across, image, *blurred(image, (0, 1.5)))


@pytest.mark.parametrize("dtype", pictures.INTEGERS)
@pytest.mark.parametrize("sigma", [0.7, 3, 14])
def test_a_point_becomes_the_gaussian(dtype, sigma):
    image = np.zeros((151, 201), dtype)
    image[75, 100] = np.iinfo(dtype).max
    got = convfilter.gaussian_blur(image, sigma)
    assert_stored(got, blurred(image, sigma)[0])


@pytest.mark.parametrize("sigma", [0.7, 3, 6, 14, 40])
@pytest.mark.parametrize("ground", [0, 0.01])
@pytest.mark.parametrize("bright", ["point", "half"])
def test_bright_float_samples_on_dark_ground(sigma, ground, bright):
    """Far down the flanks of a light: each sample's own window counts, not the brightest of the picture."""
    image = np.full((151, 201), ground, np.float32)
    image[75 if bright == "point" else slice(75, None), 100] = 100.0
    assert_float32(convfilter.gaussian_blur(image, sigma), *blurred(image, sigma))


@pytest.mark.parametrize("dtype", pictures.DTYPES)
@pytest.mark.parametrize("sigma", [1.2, (0.5, 6), 11])
def test_the_same_bytes_for_any_number_of_threads(dtype, sigma):
    image = pictures.large(dtype)
    for geometry in ({}, {"stride": (3, 2), "padding": "full", "padding_mode": "wrap"}):
        once = convfilter.gaussian_blur(image, sigma, threads=1, **geometry)
        for threads in (2, 3, 7, None):
            assert convfilter.gaussian_blur(image, sigma, threads=threads, **geometry).tobytes() == once.tobytes()


@pytest.mark.parametrize("sigma", [1, 3, 6, 12])
def test_nan_and_infinity_stay_in_the_windows_that_contain_them(sigma):
    image = pictures.picture((160, 170), "float32", seed=3)
    sound = image.copy()
    sound[80, 90], image[80, 90] = 0, np.nan
    got = convfilter.gaussian_blur(image, sigma)
    window = reference.gaussian_window(sigma)
    touched = reference.correlate(np.float64(np.isnan(image)), np.ones((window[0], 1)))
    touched = reference.correlate(touched, np.ones((1, window[1]))) > 0
    assert_float32(got, *blurred(sound, sigma), uncertain=touched)
    assert not np.isfinite(got[80 - int(sigma) : 81 + int(sigma), 90 - int(sigma) : 91 + int(sigma)]).any()


# Truncated ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", SCIPY_MODES)
@pytest.mark.parametrize("sigma", [0.3, 1, (2.2, 0.9), (0, 3), 9])
@pytest.mark.parametrize("truncate", [0.5, 2, 4])
def test_truncate_is_scipys(mode, sigma, truncate):
    image = pictures.picture((33, 47), "uint16", seed=11)
    theirs = scipy.ndimage.gaussian_filter(
        image.astype(np.float64), sigma, truncate=truncate, mode=SCIPY_MODES[mode], cval=4711
    )
    settings = {"truncate": truncate, "padding_mode": mode, "padding_value": 4711}
    assert_stored(convfilter.gaussian_blur(image, sigma, **settings), theirs)
    raw = convfilter.gaussian_blur(image, sigma, dtype=np.float32, **settings)
    np.testing.assert_allclose(raw, theirs, rtol=FLOAT32)


@given(pictures.cases(), pictures.pairs(st.sampled_from((0.4, 1, 2.5, 6))), st.sampled_from((0.5, 1.5, 3, 4, 8)))
def test_truncated_in_every_geometry(case, sigma, truncate):
    image, geometry = case

    def run():
        return convfilter.gaussian_blur(image, sigma, truncate=truncate, **geometry)

    both = oracle_or_refusal(lambda: blurred(image, sigma, truncate=truncate, **geometry), run)
    if both is not None:
        assert_blurred(run(), image, *both)


def test_the_whole_gaussian_is_scipys_untruncated():
    image = pictures.picture((64, 80), "uint8", seed=12)
    for sigma in (1, 3, 10):
        theirs = scipy.ndimage.gaussian_filter(image.astype(np.float64), sigma, truncate=10, mode="mirror")
        assert_stored(convfilter.gaussian_blur(image, sigma, padding_mode="reflect"), theirs)


@pytest.mark.parametrize("sigma", [-1, np.nan, np.inf, (1, -0.5)], ids=str)
def test_sigmas_out_of_range_are_refused(sigma):
    with pytest.raises(ParameterError):
        convfilter.gaussian_blur(np.zeros((5, 5), np.uint8), sigma)


@pytest.mark.parametrize("truncate", [0, -1, np.nan, np.inf])
def test_truncations_out_of_range_are_refused(truncate):
    with pytest.raises(ParameterError):
        convfilter.gaussian_blur(np.zeros((5, 5), np.uint8), 1, truncate=truncate)


# Unsharp mask -------------------------------------------------------------------------------------------------------


def unsharp(image, sigma, amount, threshold, **geometry):
    """The real result; the sum of |w| * |x|; and where float64 cannot say which side of the threshold a sample is."""
    samples, white = reference.real(image), reference.full_scale(image.dtype)
    values = reference.unsharp_mask(samples, sigma, amount, threshold, white=white, **geometry)
    itself = reference.centre(samples, reference.gaussian_window(sigma), **geometry)
    blur, magnitude = blurred(image, sigma, **geometry)
    magnitude = np.abs(itself) + abs(amount) * (np.abs(itself) + magnitude)
    near = np.abs(np.abs(itself - blur) - threshold * white) < 1e-5 * (white + magnitude)
    return values, magnitude, near if threshold else np.zeros(values.shape, bool)


@given(
    pictures.cases(),
    pictures.pairs(st.sampled_from((0.5, 1, 2.7, 6))),
    st.sampled_from((0, 0.5, 1, 2.3)),
    st.sampled_from((0, 0.05, 0.3)),
)
def test_unsharp_mask(case, sigma, amount, threshold):
    image, geometry = case

    def run():
        return convfilter.unsharp_mask(image, sigma, amount, threshold, **geometry)

    expected = oracle_or_refusal(lambda: unsharp(image, sigma, amount, threshold, **geometry), run)
    if expected is not None:
        values, magnitude, uncertain = expected
        if image.dtype == np.float32:
            assert_float32(run(), values, magnitude, uncertain)
        else:
            assert run().dtype == image.dtype
            assert_stored(run(), values, uncertain=uncertain)


@pytest.mark.parametrize("dtype", pictures.INTEGERS)
@pytest.mark.parametrize("sigma", [1, 3, 12])
def test_shares_of_equal_samples_of_an_unsharp_mask(dtype, sigma):
    image = pictures.picture((100, 120, 3), dtype, seed=4)
    values, _, uncertain = unsharp(image, sigma, 1.5, 0.02)
    assert_stored(convfilter.unsharp_mask(image, sigma, 1.5, 0.02), values, uncertain=uncertain)


def test_an_amount_of_zero_is_the_picture_and_one_is_the_default():
    image = pictures.picture((20, 21, 3), "uint8")
    assert_same_picture(convfilter.unsharp_mask(image, 2, 0), image)
    assert_same_picture(convfilter.unsharp_mask(image, 2), convfilter.unsharp_mask(image, 2, 1.0, 0.0))


def test_a_threshold_above_every_difference_changes_nothing():
    image = pictures.picture((20, 21, 3), "uint16")
    assert_same_picture(convfilter.unsharp_mask(image, 2, 3.0, 1.0), image)
