"""``convolve`` against the oracle: every kernel, geometry, depth and way of storing."""

from fractions import Fraction

import numpy as np
import pictures
import pytest
import reference
import scipy.ndimage
from hypothesis import given
from hypothesis import strategies as st
from tolerances import assert_float32, assert_same_picture, assert_stored, assert_stored_exactly, oracle_or_refusal

import convfilter
from convfilter.errors import ConvfilterError, KernelFileError, ParameterError, SizeError

SCIPY_MODES = {"edge": "nearest", "constant": "constant", "reflect": "mirror", "symmetric": "reflect", "wrap": "wrap"}
#: Binary fractions: scale * sum + offset is then exact in any arithmetic.
BINARY_SCALES = (1, 0.5, 0.25, 1 / 16, -1, -0.5, 2)
BINARY_OFFSETS = (0, 0.5, 0.25, -0.5, 1)


def stored_exactly(sums, dtype, scale, offset):
    """scale * sum + offset * white of integer sums, as fractions."""
    return reference.exact(sums) * Fraction(scale) + Fraction(offset) * reference.full_scale(dtype)


# Integer pictures ---------------------------------------------------------------------------------------------------


@given(
    pictures.cases(pictures.INTEGERS),
    pictures.kernels(pictures.whole) | pictures.kernels(pictures.sparse, max_side=9),
    pictures.storings(BINARY_SCALES, BINARY_OFFSETS),
)
def test_whole_kernels_are_equal_everywhere(case, kernel, storing):
    image, geometry = case

    def run():
        return convfilter.convolve(image, kernel, **storing, **geometry)

    flip = storing["flip"]
    sums = oracle_or_refusal(lambda: reference.correlate(image.astype(np.int64), kernel, flip=flip, **geometry), run)
    if sums is not None:
        assert run().dtype == image.dtype
        values = stored_exactly(sums, image.dtype, storing["scale"], storing["offset"])
        assert_stored_exactly(run(), values, storing["map"] or "clip")


@given(pictures.cases(pictures.INTEGERS), pictures.kernels(pictures.eighths), st.booleans())
def test_kernels_of_binary_fractions_are_equal_everywhere(case, kernel, flip):
    """Eighths meet ties: every one goes to the even neighbour."""
    image, geometry = case
    eighths = np.rint(kernel * 8).astype(np.int64)

    def run():
        return convfilter.convolve(image, kernel, flip=flip, **geometry)

    sums = oracle_or_refusal(lambda: reference.correlate(image.astype(np.int64), eighths, flip=flip, **geometry), run)
    if sums is not None:
        assert_stored_exactly(run(), reference.exact(sums) / 8)


#: Common spellings of kernels, with their weights.
WRITTEN_KERNELS = {
    "tenths": ([[0.1, 0.2, 0.4, 0.2, 0.1]], [[1, 2, 4, 2, 1]], 10),
    "more tenths": ([[0, 0.1, 0.1], [0.1, 0.3, 0.2], [0, 0.1, 0.1]], [[0, 1, 1], [1, 3, 2], [0, 1, 1]], 10),
    "hundredths": ([[0.05, 0.25, 0.2], [0.15, 0.35, -0.1]], [[5, 25, 20], [15, 35, -10]], 100),
    "sixths": ([[1 / 6, 1 / 3, 1 / 2]], [[1, 2, 3]], 6),
    "twelfths": ([[1 / 12, 1 / 6], [1 / 4, 1 / 2]], [[1, 2], [3, 6]], 12),
    "ninths": ([[1 / 9] * 3] * 3, [[1] * 3] * 3, 9),
}


@pytest.mark.parametrize("name", WRITTEN_KERNELS)
@pytest.mark.parametrize("dtype", pictures.INTEGERS)
def test_decimal_weights_and_small_fractions_mean_what_they_say(name, dtype):
    """Ties of tenths round as ties, though tenths are not binary fractions: every twentieth sample is a tie."""
    weights, numerators, divisor = WRITTEN_KERNELS[name]
    image = pictures.picture((90, 110, 2), dtype, seed=4)
    sums = reference.correlate(image.astype(np.int64), np.array(numerators), padding_mode="reflect")
    got = convfilter.convolve(image, np.array(weights), padding_mode="reflect")
    assert_stored_exactly(got, reference.exact(sums) / divisor)


@given(
    pictures.cases(pictures.INTEGERS),
    pictures.kernels(pictures.fractions) | pictures.kernels(pictures.separable, max_side=9),
    pictures.storings((1, 0.7, -1.3), (0, 0.5, 0.1)),
)
def test_real_kernels_are_within_the_promise(case, kernel, storing):
    image, geometry = case

    def run():
        return convfilter.convolve(image, kernel, **storing, **geometry)

    flip = storing["flip"]
    sums = oracle_or_refusal(lambda: reference.correlate(reference.real(image), kernel, flip=flip, **geometry), run)
    if sums is not None:
        assert run().dtype == image.dtype
        values = storing["scale"] * sums + storing["offset"] * reference.full_scale(image.dtype)
        assert_stored(run(), values, storing["map"] or "clip")


@given(pictures.cases(pictures.INTEGERS, channels=(None, 1, 3)), pictures.kernels(pictures.whole))
def test_stretch_fills_the_range(case, kernel):
    image, geometry = case

    def run():
        return convfilter.convolve(image, kernel, map="stretch", **geometry)

    sums = oracle_or_refusal(lambda: reference.correlate(reference.real(image), kernel, **geometry), run)
    if sums is not None and sums.min() < sums.max():
        assert_stored(run(), sums, "stretch")
        assert run().min() == 0
        assert run().max() == reference.full_scale(image.dtype)


# Floating point -----------------------------------------------------------------------------------------------------


@given(
    pictures.cases(),
    pictures.kernels(pictures.whole) | pictures.kernels(pictures.fractions) | pictures.kernels(pictures.separable),
    st.booleans(),
    st.sampled_from((1, 0.7, -1.3, 1e-6)),
    st.sampled_from((0, 0.5, -0.1)),
)
def test_raw_float32_values_of_any_picture(case, kernel, flip, scale, offset):
    """With dtype=float32 nothing is rounded or mapped, whatever the picture's own dtype."""
    image, geometry = case

    def run():
        return convfilter.convolve(image, kernel, flip=flip, scale=scale, offset=offset, dtype=np.float32, **geometry)

    sums = oracle_or_refusal(lambda: reference.correlate(reference.real(image), kernel, flip=flip, **geometry), run)
    if sums is not None:
        magnitude = reference.correlate(np.abs(reference.real(image)), np.abs(kernel), flip=flip, **geometry)
        white = reference.full_scale(image.dtype)
        assert_float32(run(), scale * sums + offset * white, abs(scale) * magnitude)


@given(pictures.cases(("float32",)), pictures.kernels(pictures.whole))
def test_float_pictures_stay_float_and_raw(case, kernel):
    image, geometry = case
    if min(reference.output_shape(image.shape, kernel.shape, **geometry)) < 1:
        return
    kept = convfilter.convolve(image, kernel, **geometry)
    assert kept.dtype == np.float32
    assert_same_picture(kept, convfilter.convolve(image, kernel, dtype=np.float32, **geometry))


def test_maps_of_float_pictures_when_asked_for():
    image = np.float32([[-0.25, 0.0, 0.125, 0.5]])
    one = np.ones((1, 1))
    for map, expected in {
        "clip": [[0, 0, 0.125, 0.5]],
        "abs": [[0.25, 0, 0.125, 0.5]],
        "offset": [[0.25, 0.5, 0.625, 1.0]],
        "stretch": [[0, 1 / 3, 0.5, 1.0]],
    }.items():
        got = convfilter.convolve(image, one, map=map)
        np.testing.assert_allclose(got, np.float32(expected), rtol=1e-6, err_msg=map)


# Large enough to count ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", pictures.INTEGERS)
@pytest.mark.parametrize("weights", [pictures.fractions, pictures.separable])
@pytest.mark.parametrize("shape", [(5, 5), (2, 9), (17, 16)])
def test_shares_of_equal_samples(dtype, weights, shape):
    kernel = pictures.asymmetric(weights(np.random.default_rng(5), shape))
    image = pictures.picture((120, 150, 3), dtype, seed=6)
    got = convfilter.convolve(image, kernel, padding_mode="reflect", offset=0.3)
    expected = reference.correlate(reference.real(image), kernel, padding_mode="reflect")
    assert_stored(got, expected + 0.3 * reference.full_scale(dtype))


@pytest.mark.parametrize("dtype", pictures.INTEGERS)
@pytest.mark.parametrize("content", ["white", "checkerboard", "two-valued", "noise"])
def test_whole_kernels_are_equal_everywhere_on_larger_pictures(dtype, content):
    """Pictures larger than one tile, vector and band of rows."""
    kernel = pictures.asymmetric(pictures.whole(np.random.default_rng(8), (7, 5)))
    image = pictures.picture((131, 97, 4), dtype, content, seed=9)
    for geometry in ({"scale": 1 / 64, "offset": 0.5}, {"scale": 1 / 64, "stride": (2, 3), "dilation": (5, 4)}):
        got = convfilter.convolve(image, kernel, padding_mode="symmetric", **geometry)
        scale, offset = geometry.pop("scale"), geometry.pop("offset", 0)
        sums = reference.correlate(image.astype(np.int64), kernel, padding_mode="symmetric", **geometry)
        assert_stored_exactly(got, stored_exactly(sums, dtype, scale, offset))


@pytest.mark.parametrize("dtype", pictures.DTYPES)
@pytest.mark.parametrize(
    ("shape", "kernel_shape"),
    [((3, 5003), (2, 7)), ((4, 900, 5), (3, 2)), ((700, 3), (301, 2)), ((2, 3), (2, 2500)), ((4, 5, 2500), (3, 2))],
    ids=str,
)
@pytest.mark.parametrize("geometry", [{}, {"stride": (2, 3), "padding": "full"}, {"dilation": (1, 3)}], ids=str)
def test_wide_tall_and_deep_pictures(dtype, shape, kernel_shape, geometry):
    image = pictures.picture(shape, dtype)
    kernel = pictures.asymmetric(pictures.whole(np.random.default_rng(1), kernel_shape))
    got = convfilter.convolve(image, kernel, scale=1 / 256, offset=0.5, padding_mode="wrap", **geometry)
    if dtype == "float32":
        values = reference.correlate(reference.real(image), kernel, padding_mode="wrap", **geometry)
        magnitude = reference.correlate(np.abs(reference.real(image)), np.abs(kernel), padding_mode="wrap", **geometry)
        assert_float32(got, values / 256 + 0.5, magnitude / 256)
    else:
        sums = reference.correlate(image.astype(np.int64), kernel, padding_mode="wrap", **geometry)
        assert_stored_exactly(got, stored_exactly(sums, dtype, 1 / 256, 0.5))


# Extremes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", pictures.INTEGERS)
@pytest.mark.parametrize("content", ["white", "checkerboard", "noise"])
def test_huge_whole_weights_that_cancel(dtype, content):
    """Sums of 10**14 that cancel to a few levels keep all digits."""
    image = pictures.picture((12, 17, 2), dtype, content)
    kernel = np.array([[10**9, -(10**9), 1], [3, 10**9 + 1, -(10**9) - 2]])
    got = convfilter.convolve(image, kernel, offset=0.25)
    sums = reference.correlate(image.astype(np.int64), kernel)
    assert_stored_exactly(got, stored_exactly(sums, dtype, 1, 0.25))


@pytest.mark.parametrize("dtype", pictures.INTEGERS)
def test_real_weights_that_cancel(dtype):
    """A thousandfold gain, cancelled but for one unit: a difference of 1 level is still the whole promise."""
    image = pictures.picture((31, 40, 3), dtype)
    kernel = np.array([[333.3, -1000.1, 333.4], [111.1, 0.7, 222.2]])
    values = reference.correlate(reference.real(image), kernel)
    assert_stored(
        convfilter.convolve(image, kernel, scale=1e-3, offset=0.5), 1e-3 * values + 0.5 * reference.full_scale(dtype)
    )


@pytest.mark.parametrize("gain", [1e-42, 1e-37, 1e-20, 1e20, 1e37, 1e42])
@pytest.mark.parametrize("dtype", pictures.DTYPES)
def test_huge_and_tiny_weights(gain, dtype):
    """Weights that float32 cannot hold, brought back by the scale."""
    image = pictures.picture((9, 11), dtype)
    kernel = gain * np.array([[0.1, 0.2, 0.05], [0.3, 0.05, 0.3]])
    values = reference.correlate(reference.real(image), kernel) / gain
    got = convfilter.convolve(image, kernel, scale=1 / gain)
    if dtype == "float32":
        magnitude = reference.correlate(np.abs(reference.real(image)), kernel) / gain
        assert_float32(got, values, magnitude)
    else:
        assert_stored(got, values)


def test_weights_of_very_different_size_in_one_kernel():
    image = pictures.picture((9, 11), "uint8")
    kernel = np.array([[1e-12, 0.5, 3e-7], [0.25, 1e-30, 0.25]])
    assert_stored(convfilter.convolve(image, kernel), reference.correlate(reference.real(image), kernel))


@pytest.mark.parametrize("dtype", pictures.INTEGERS)
def test_negative_sums_clip_to_black_and_large_ones_to_white(dtype):
    image = pictures.picture((5, 6), dtype, "white")
    assert not convfilter.convolve(image, [[-1, -2, 0]]).any()
    assert (convfilter.convolve(image, [[1, 2, 0]]) == np.iinfo(dtype).max).all()
    assert (convfilter.convolve(image, [[-1, -2, 0]], map="abs") == np.iinfo(dtype).max).all()


@pytest.mark.parametrize("dtype", pictures.DTYPES)
@pytest.mark.parametrize("value", [-40, 0.3, 127.5, 1000, 1e7])
def test_padding_may_hold_any_number(dtype, value):
    """As np.pad on real numbers would: negative, fractional, brighter than white."""
    image = pictures.picture((6, 7, 3), dtype)
    geometry = {"padding": 2, "padding_mode": "constant", "padding_value": value}
    kernel = np.array([[0.25, -0.5, 0.125], [0.0625, 0.5, -0.25]])
    values = reference.correlate(reference.real(image), kernel, **geometry)
    got = convfilter.convolve(image, kernel, **geometry)
    if dtype == "float32":
        magnitude = reference.correlate(
            np.abs(reference.real(image)), np.abs(kernel), **geometry | {"padding_value": abs(value)}
        )
        assert_float32(got, values, magnitude)
    else:
        assert_stored(got, values)


def test_huge_float_samples_do_not_overflow_on_the_way():
    image = np.full((5, 7), 3e38, np.float32)
    assert_float32(convfilter.convolve(image, np.full((3, 3), 0.11)), reference.real(image) * 0.99, image)
    assert_float32(convfilter.convolve(image, np.ones((3, 3)), scale=0.11), reference.real(image) * 0.99, image)
    assert_float32(convfilter.box_blur(image, 4), reference.real(image), image)
    assert_float32(convfilter.gaussian_blur(image, 2), reference.real(image), image)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("weights", [pictures.fractions, pictures.separable, pictures.whole, pictures.sparse])
def test_nan_and_infinity_stay_in_the_windows_that_contain_them(bad, weights):
    image = pictures.picture((40, 50, 3), "float32", seed=3)
    kernel = pictures.asymmetric(weights(np.random.default_rng(4), (5, 4)))
    sound = image.copy()
    sound[17, 20, 1] = 0
    image[17, 20, 1] = bad
    got = convfilter.convolve(image, kernel)
    touched = reference.correlate(np.float64(~np.isfinite(image)), np.ones(kernel.shape)) > 0
    magnitude = reference.correlate(np.abs(reference.real(sound)), np.abs(kernel))
    assert_float32(got, reference.correlate(reference.real(sound), kernel), magnitude, uncertain=touched)
    reached = reference.correlate(np.float64(~np.isfinite(image)), np.float64(kernel != 0)) > 0
    assert not np.isfinite(got[reached]).any()


# Symmetries ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", pictures.DTYPES)
@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (8, 1), (33, 47), (7, 5, 1), (31, 20, 5)])
def test_identity_is_exact(dtype, shape):
    image = pictures.picture(shape, dtype)
    for kernel in ([[1]], [[0, 0, 0], [0, 1, 0], [0, 0, 0]], [[1.0, 0]]):
        got = convfilter.convolve(image, kernel)
        assert_same_picture(got, image)
        assert not np.shares_memory(got, image)


@given(pictures.pictures(max_side=9), pictures.kernels(pictures.whole), st.sampled_from(pictures.MODES))
def test_transposing_picture_and_kernel_transposes_the_result(image, kernel, mode):
    got = convfilter.convolve(image, kernel, padding_mode=mode, stride=(2, 1), dilation=(1, 2), scale=1 / 8)
    turned = convfilter.convolve(
        image.swapaxes(0, 1), kernel.T, padding_mode=mode, stride=(1, 2), dilation=(2, 1), scale=1 / 8
    )
    if image.dtype == np.float32:
        np.testing.assert_allclose(turned.swapaxes(0, 1), got, rtol=0, atol=2 * 2e-6 * 1.5 * np.abs(kernel).sum() / 8)
    else:
        assert_same_picture(turned.swapaxes(0, 1), got)


@given(pictures.cases(pictures.INTEGERS), pictures.kernels(pictures.fractions))
def test_flip_turns_the_kernel_by_180_degrees(case, kernel):
    image, geometry = case
    if min(reference.output_shape(image.shape, kernel.shape, **geometry)) >= 1:
        flipped = convfilter.convolve(image, kernel, flip=True, **geometry)
        assert_same_picture(flipped, convfilter.convolve(image, kernel[::-1, ::-1], **geometry))


@pytest.mark.parametrize("dtype", pictures.DTYPES)
@pytest.mark.parametrize("weights", [pictures.fractions, pictures.separable, pictures.whole])
def test_the_same_bytes_for_any_number_of_threads(dtype, weights):
    image = pictures.large(dtype)
    kernel = pictures.asymmetric(weights(np.random.default_rng(3), (9, 6)))
    for geometry in ({}, {"stride": (3, 2), "dilation": (2, 3), "padding": "full", "padding_mode": "wrap"}):
        once = convfilter.convolve(image, kernel, threads=1, **geometry)
        for threads in (2, 3, 7, None):
            again = convfilter.convolve(image, kernel, threads=threads, **geometry)
            assert again.tobytes() == once.tobytes()


@given(pictures.pictures(channels=(2, 3, 4, 5)), pictures.kernels(pictures.fractions))
def test_each_channel_is_filtered_by_itself(image, kernel):
    together = convfilter.convolve(image, kernel, padding_mode="wrap")
    for channel in range(image.shape[2]):
        alone = convfilter.convolve(np.ascontiguousarray(image[..., channel]), kernel, padding_mode="wrap")
        if image.dtype == np.float32:
            np.testing.assert_allclose(together[..., channel], alone, rtol=0, atol=2 * 2e-6 * 1.5 * 2)
        else:
            assert_same_picture(together[..., channel], alone)


@pytest.mark.parametrize("dtype", pictures.DTYPES)
def test_any_memory_layout_and_the_input_is_left_alone(dtype):
    whole = pictures.picture((24, 30, 4), dtype)
    kernel = np.array([[1, 2, 0], [0, -1, 3]])
    for view in (whole[::2, ::3], whole[::-1, ::-1], whole[..., 1:3], whole.transpose(1, 0, 2), whole[..., 2].T):
        expected = convfilter.convolve(np.ascontiguousarray(view), kernel, scale=0.25)
        assert_same_picture(convfilter.convolve(view, kernel, scale=0.25), expected)
    fortran = np.asfortranarray(whole)
    fortran.flags.writeable = False
    before = fortran.copy()
    assert_same_picture(
        convfilter.convolve(fortran, kernel, scale=0.25), convfilter.convolve(whole, kernel, scale=0.25)
    )
    assert_same_picture(fortran, before)


# SciPy --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", SCIPY_MODES)
@pytest.mark.parametrize("shape", [(3, 5), (1, 7), (9, 1), (31, 7)])
def test_scipy_correlate_says_the_same(mode, shape):
    image = pictures.picture((19, 23), "uint16")
    kernel = pictures.asymmetric(pictures.whole(np.random.default_rng(1), shape))
    theirs = scipy.ndimage.correlate(image.astype(np.float64), kernel, mode=SCIPY_MODES[mode], cval=77)
    got = convfilter.convolve(image, kernel, padding_mode=mode, padding_value=77, scale=1 / 32, offset=0.5)
    assert_same_picture(got, np.clip(np.rint(theirs / 32 + 32767.5), 0, 65535).astype(np.uint16))
    flipped = scipy.ndimage.convolve(image.astype(np.float64), kernel, mode=SCIPY_MODES[mode], cval=77)
    got = convfilter.convolve(image, kernel, padding_mode=mode, padding_value=77, flip=True, dtype=np.float32)
    np.testing.assert_allclose(got, flipped, rtol=0, atol=2e-6 * 65535 * np.abs(kernel).sum())


# Refusals -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [
        {"stride": 0},
        {"stride": (1, -1)},
        {"dilation": 0},
        {"padding": -1},
        {"padding": "most"},
        {"padding": ((1, 1), (1, -1))},
        {"padding_mode": "mirror"},
        {"padding_value": np.nan},
        {"scale": np.inf},
        {"offset": np.nan},
        {"map": "log"},
        {"threads": 0},
        {"algorithm": "magic"},
    ],
    ids=str,
)
def test_parameters_out_of_range_are_refused(wrong):
    with pytest.raises(ParameterError):
        convfilter.convolve(np.zeros((5, 5), np.uint8), np.ones((3, 3)), **wrong)


@pytest.mark.parametrize("kernel", [[], [[]], [[np.nan]], [[1, np.inf]], np.ones((2, 2, 2)), 5.0], ids=str)
def test_kernels_without_usable_weights_are_refused(kernel):
    with pytest.raises(KernelFileError):
        convfilter.convolve(np.zeros((5, 5), np.uint8), kernel)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((5, 5), np.complex64),
        np.full((5, 5), 2**53 + 1),
        np.zeros(5, np.uint8),
        np.zeros((2, 5, 5, 3), np.uint8),
        np.zeros((0, 5), np.uint8),
        np.zeros((5, 5, 0), np.uint8),
    ],
    ids=lambda image: f"{image.dtype}{image.shape}",
)
def test_arrays_that_are_no_pictures_are_refused(image):
    with pytest.raises(ConvfilterError):
        convfilter.convolve(image, [[1]])


def test_an_output_size_below_one_names_its_numbers():
    with pytest.raises(SizeError, match=r"(?s)5.*7") as refusal:
        convfilter.convolve(np.zeros((5, 9), np.uint8), np.ones((7, 3)), padding="valid")
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("dtype", pictures.DTYPES)
@pytest.mark.parametrize("spec", ["kernel:1 2", "box:3", "gaussian:1", "unsharp:1", "sobel:magnitude", "laplacian"])
def test_a_scale_of_zero_leaves_the_offset(spec, dtype):
    image = pictures.picture((9, 11), dtype)
    got = convfilter.apply(image, spec, scale=0, offset=0.5, dtype=np.float32)
    assert np.all(got == 0.5 * reference.full_scale(dtype))


def test_a_scale_and_a_divisor_whose_quotient_has_no_number_both_count():
    image = np.full((4, 4), 0.5, np.float32)
    assert np.all(convfilter.apply(image, "kernel:1e-200,normalize=true", scale=1e200) == np.inf)
    assert np.all(convfilter.apply(image, "kernel:3,normalize=true", scale=0) == 0)
