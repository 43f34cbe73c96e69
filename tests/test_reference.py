"""The oracle itself, against SciPy, NumPy, closed forms and the lecture's worked examples."""

from fractions import Fraction

import numpy as np
import pytest
import reference
import scipy.ndimage
import scipy.signal

#: The same borders by SciPy's names.
SCIPY_MODES = {"edge": "nearest", "constant": "constant", "reflect": "mirror", "symmetric": "reflect", "wrap": "wrap"}

LECTURE_IMAGE = np.array(
    [
        [3, 3, 2, 1, 0, 0],
        [0, 1, 3, 1, 3, 1],
        [2, 2, 3, 2, 0, 0],
        [2, 2, 2, 0, 0, 0],
        [1, 0, 1, 3, 2, 2],
        [3, 2, 0, 3, 0, 1],
    ]
)
LECTURE_KERNEL = np.array([[2, 2, 2], [0, 1, 0], [2, 0, 1]])
LECTURE_POOLED = np.array([[3, 3, 2, 1, 0], [0, 0, 1, 3, 1], [3, 1, 2, 2, 3], [2, 0, 0, 2, 2], [2, 0, 0, 0, 1]])


def noise(*shape, seed=1):
    return np.random.default_rng(seed).standard_normal(shape)


def test_the_lectures_convolution():
    expected = [[24, 21, 13, 9], [16, 17, 20, 10], [19, 19, 14, 12], [18, 16, 7, 9]]
    assert np.array_equal(reference.correlate(LECTURE_IMAGE, LECTURE_KERNEL, padding="valid"), expected)


def test_the_lectures_max_pooling():
    pooled = reference.max_pool(LECTURE_POOLED, 3, stride=2, padding=1)
    assert np.array_equal(pooled, [[3, 3, 3], [3, 3, 3], [2, 2, 2]])


@pytest.mark.parametrize("mode", SCIPY_MODES)
@pytest.mark.parametrize("shape", [(9, 8), (1, 7), (4, 1), (2, 3)])
@pytest.mark.parametrize("kernel_shape", [(3, 5), (1, 7), (4, 2), (11, 6)])
def test_correlate_is_scipys(mode, shape, kernel_shape):
    picture, kernel = noise(*shape), noise(*kernel_shape, seed=2)
    # Of an even window SciPy takes the later middle cell as the centre, we the earlier.
    origin = [-1 if side % 2 == 0 else 0 for side in kernel_shape]
    expected = scipy.ndimage.correlate(picture, kernel, mode=SCIPY_MODES[mode], cval=0.7, origin=origin)
    got = reference.correlate(picture, kernel, padding_mode=mode, padding_value=0.7)
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-12)


def test_full_valid_and_flip_are_scipy_signals():
    picture, kernel = noise(9, 12), noise(4, 3, seed=2)
    for padding in ("full", "valid"):
        got = reference.correlate(picture, kernel, padding=padding, padding_mode="constant", flip=True)
        np.testing.assert_allclose(got, scipy.signal.convolve2d(picture, kernel, mode=padding), atol=1e-12)
    got = reference.correlate(picture, kernel, padding="valid")
    np.testing.assert_allclose(got, scipy.signal.correlate2d(picture, kernel, mode="valid"), atol=1e-12)


def test_stride_keeps_every_nth_and_dilation_spreads_the_taps():
    picture, kernel = noise(17, 19, 2), noise(3, 2, seed=2)
    spread = np.zeros((5, 4))
    spread[::2, ::3] = kernel
    every = reference.correlate(picture, spread, padding=((1, 2), (4, 0)), padding_mode="reflect")
    got = reference.correlate(
        picture, kernel, dilation=(2, 3), stride=(3, 2), padding=((1, 2), (4, 0)), padding_mode="reflect"
    )
    np.testing.assert_allclose(got, every[::3, ::2], atol=1e-12)


def test_same_keeps_the_size_and_puts_the_odd_pixel_after():
    assert reference.pads("same", (3, 4)) == ((1, 2), (2, 2))
    assert reference.output_shape((7, 8), (4, 5)) == (7, 8)
    assert reference.output_shape((7, 8), (4, 5), stride=2) == (4, 4)
    assert np.array_equal(reference.correlate(np.array([[1, 2, 3]]), np.array([[1, 10]])), [[21, 32, 33]])


def test_the_outermost_formula_of_the_output_size():
    # Dumoulin & Visin: floor((5 + 2 - 3) / 2) + 1, and not floor(((5 + 2 - 3) + 1) / 2).
    assert reference.output_length(5, (1, 1), 3, 2, 1) == 3
    assert reference.output_length(6, (0, 0), 3, 2, 1) == 2
    assert reference.output_length(2, (0, 0), 3, 1, 1) == 0
    with pytest.raises(ValueError, match="nothing is left"):
        reference.correlate(np.ones((2, 9)), np.ones((3, 3)), padding="valid")


def test_padding_is_numpys_also_where_it_is_wider_than_the_picture():
    picture = noise(2, 3, 2)
    for mode in ("edge", "reflect", "symmetric", "wrap"):
        padded = np.pad(picture, [(5, 7), (11, 4), (0, 0)], mode=mode)
        got = reference.correlate(picture, np.ones((1, 1)), padding=((5, 7), (11, 4)), padding_mode=mode)
        assert np.array_equal(got, padded)


def folded_rows(length, sigma, mode):
    """Dense matrix of one axis' Gaussian: row y holds what each sample gives to output y, borders folded in."""
    reach = int(12 * sigma) + 1
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    weights /= weights.sum()
    matrix = np.zeros((length, length))
    for row in range(length):
        for offset, weight in zip(range(-reach, reach + 1), weights, strict=True):
            matrix[row, border_index(row + offset, length, mode)] += weight
    return matrix


def border_index(index, length, mode):
    """The index of the sample at a place beyond the picture, by each mode's period."""
    if mode == "edge":
        return min(max(index, 0), length - 1)
    if mode == "wrap":
        return index % length
    period = 2 * length if mode == "symmetric" else max(2 * length - 2, 1)
    index %= period
    return index if index < length else period - index - (1 if mode == "symmetric" else 0)


@pytest.mark.parametrize("mode", ["edge", "reflect", "symmetric", "wrap"])
@pytest.mark.parametrize("sigma", [0.1, 0.7, 5.0, 60.0])
def test_the_gaussian_is_a_dense_matrix_per_axis(mode, sigma):
    picture = noise(6, 9)
    expected = folded_rows(6, sigma, mode) @ picture @ folded_rows(9, sigma / 2, mode).T
    got = reference.gaussian_blur(picture, (sigma, sigma / 2), padding_mode=mode)
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-13)


def test_the_wrapped_gaussian_is_a_product_of_spectra():
    """With wrapped borders, a kernel summed modulo the picture's size multiplies its spectrum (Poisson summation)."""
    picture, sigma = noise(16, 20), 4.0
    gain = [
        sum(np.exp(-2 * (np.pi * sigma * (np.fft.fftfreq(side) + alias)) ** 2) for alias in range(-3, 4))
        for side in picture.shape
    ]
    gain = [axis / axis[0] for axis in gain]
    expected = np.fft.ifft2(np.fft.fft2(picture) * np.outer(*gain)).real
    got = reference.gaussian_blur(picture, sigma, padding_mode="wrap")
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-12)


def test_the_symmetric_gaussian_damps_cosines():
    """Cosines at half-sample phase see a symmetric border as no border: each is damped, none is mixed."""
    length, sigma, wave = 12, 3.0, 5
    samples = np.cos(np.pi * wave * (np.arange(length) + 0.5) / length)[np.newaxis, :]
    weights = reference.gaussian_weights(sigma, int(12 * sigma))
    gain = (weights * np.cos(np.pi * wave * np.arange(-36, 37) / length)).sum()
    got = reference.gaussian_blur(samples, (0, sigma), padding_mode="symmetric")
    np.testing.assert_allclose(got, gain * samples, rtol=0, atol=1e-13)


@pytest.mark.parametrize("mode", SCIPY_MODES)
def test_the_gaussian_is_scipys(mode):
    picture = noise(15, 11)
    got = reference.gaussian_blur(picture, (2.3, 1.1), truncate=3, padding_mode=mode, padding_value=0.4)
    expected = scipy.ndimage.gaussian_filter(picture, (2.3, 1.1), truncate=3, mode=SCIPY_MODES[mode], cval=0.4)
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-13)
    got = reference.gaussian_blur(picture, 2, padding_mode=mode)
    expected = scipy.ndimage.gaussian_filter(picture, 2, truncate=12, mode=SCIPY_MODES[mode])
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-13)


def test_the_gaussians_geometry_is_that_of_its_window():
    picture = noise(40, 50, 3)
    for geometry in (
        {"padding": "valid"},
        {"padding": "full", "padding_mode": "wrap"},
        {"stride": (2, 3), "dilation": (3, 2), "padding": ((4, 30), (25, 0)), "padding_mode": "reflect"},
        {"stride": 2, "padding_mode": "constant", "padding_value": 0.3},
    ):
        rows, cols = (reference.gaussian_weights(sigma, reference.gaussian_radius(sigma)) for sigma in (1.0, 0.8))
        got = reference.gaussian_blur(picture, (1.0, 0.8), **geometry)
        # The tail that the window cuts off weighs 2e-9 on each axis.
        np.testing.assert_allclose(got, reference.correlate(picture, np.outer(rows, cols), **geometry), atol=3e-8)


def test_sigma_zero_leaves_an_axis_alone():
    picture = noise(5, 6)
    assert np.array_equal(reference.gaussian_blur(picture, 0), picture)
    down = scipy.ndimage.gaussian_filter1d(picture, 2, axis=0, mode="nearest", truncate=12)
    np.testing.assert_allclose(reference.gaussian_blur(picture, (2, 0)), down, atol=1e-13)


@pytest.mark.parametrize("family", ["sobel", "prewitt"])
def test_derivatives_are_scipys_with_the_lectures_sign(family):
    picture = noise(8, 9)
    for axis, number in (("x", 1), ("y", 0)):
        theirs = getattr(scipy.ndimage, family)(picture, axis=number, mode="nearest")
        np.testing.assert_allclose(reference.gradient(picture, family, axis), -theirs, atol=1e-12)
    assert np.array_equal(reference.derivative_kernel("sobel", "x"), [[1, 0, -1], [2, 0, -2], [1, 0, -1]])
    assert np.array_equal(reference.derivative_kernel("scharr", "y"), [[3, 10, 3], [0, 0, 0], [-3, -10, -3]])
    np.testing.assert_allclose(
        reference.correlate(picture, reference.LAPLACIAN), scipy.ndimage.laplace(picture, mode="nearest"), atol=1e-12
    )


def test_magnitude_is_the_length_of_the_gradient():
    picture = noise(8, 9)
    lengths = np.hypot(reference.gradient(picture, "scharr", "x"), reference.gradient(picture, "scharr", "y"))
    np.testing.assert_allclose(reference.gradient(picture, "scharr"), lengths, rtol=1e-14)


def test_unsharp_mask_exaggerates_what_the_blur_takes():
    picture = np.zeros((1, 21))
    picture[0, 10] = 1.0
    blurred = reference.gaussian_blur(picture, 1)
    np.testing.assert_allclose(
        reference.unsharp_mask(picture, 1, amount=2, white=1), picture + 2 * (picture - blurred), atol=1e-15
    )
    # Only the point itself and its two neighbours (weights 0.40, 0.24) differ by a tenth or more.
    sharpened = reference.unsharp_mask(picture, 1, amount=2, threshold=0.1, white=1)
    assert np.array_equal(np.flatnonzero(sharpened != picture), [9, 10, 11])


def test_centre_is_the_pixel_in_the_middle_of_the_window():
    picture = np.arange(20.0).reshape(4, 5)
    assert np.array_equal(reference.centre(picture, (3, 5)), picture)
    assert np.array_equal(reference.centre(picture, (4, 2), dilation=3), picture)
    assert np.array_equal(reference.centre(picture, (3, 3), padding="valid", stride=2), [[6, 8]])


def test_pooling_is_scipys_inside_and_of_real_cells_at_the_border():
    picture = noise(9, 10) - 10
    got = reference.max_pool(picture, (3, 5), stride=1, padding=(1, 2))
    assert np.array_equal(got, scipy.ndimage.maximum_filter(picture, (3, 5), mode="constant", cval=-np.inf))
    got = reference.average_pool(picture, 3, stride=1, padding=1)
    assert got[0, 0] == pytest.approx(picture[:2, :2].mean())
    assert got[4, 4] == pytest.approx(picture[3:6, 3:6].mean())
    assert reference.average_pool(picture, (3, 5)).shape == (3, 2)
    with pytest.raises(ValueError, match="wholly on the padding"):
        reference.max_pool(picture, 2, padding=2)


def test_alpha_hides_colours_and_opaque_alpha_changes_nothing():
    kernel = np.array([[1, 2], [3, 5]])
    samples = np.random.default_rng(3).integers(0, 256, (6, 7, 4))
    samples[..., 3] = 255
    opaque = reference.with_alpha(
        reference.exact(samples),
        lambda plane, padding_value: reference.correlate(plane, kernel),
        white=255,
        kernel_sum=kernel.sum(),
        scale=Fraction(1, 11),
    )
    assert np.array_equal(opaque[..., :3] * 11, reference.correlate(samples[..., :3], kernel))
    assert np.all(opaque[..., 3] == 255)

    # Red beside invisible green: half the cover, all of it red.
    beside = np.array([[[200, 0, 0, 255], [0, 200, 0, 0]]])
    mixed = reference.with_alpha(
        reference.exact(beside),
        lambda plane, padding_value: reference.box_blur(plane, (1, 2), padding="valid"),
        white=255,
    )
    assert mixed.tolist() == [[[200, 0, 0, Fraction(255, 2)]]]


def test_alpha_passes_edges_unfiltered():
    picture = np.array([[[100, 255], [200, 255], [50, 0]]])
    kernel = np.array([[1, 0, -1]])
    got = reference.with_alpha(
        reference.exact(picture),
        lambda plane, padding_value: reference.correlate(plane, kernel),
        own_alpha=lambda alpha, padding_value: reference.centre(alpha, (1, 3)),
        white=255,
    )
    assert got.tolist() == [[[-100, 255], [100, 255], [0, 0]]]


def test_storing_rounds_half_to_even_once_and_clips():
    halves = reference.exact(np.array([-0.5, 0.5, 1.5, 2.5, 254.5, 255.5, 300, -7]))
    assert reference.store(halves, np.uint8).tolist() == [0, 0, 2, 2, 254, 255, 255, 0]
    assert reference.store(halves.astype(float), np.uint8).tolist() == [0, 0, 2, 2, 254, 255, 255, 0]
    sixths = reference.exact(np.arange(7)) / 6
    assert reference.store(sixths, np.uint16).tolist() == [0, 0, 0, 0, 1, 1, 1]


def test_maps():
    signed = np.array([-300.0, -10.0, 0.0, 10.0, 210.0])
    assert reference.store(signed, np.uint8, "clip").tolist() == [0, 0, 0, 10, 210]
    assert reference.store(signed, np.uint8, "abs").tolist() == [255, 10, 0, 10, 210]
    assert reference.store(signed, np.uint8, "offset").tolist() == [0, 118, 128, 138, 255]
    assert reference.store(signed, np.uint8, "stretch").tolist() == [0, 145, 150, 155, 255]
    assert reference.store(np.full((2, 2), 7.0), np.uint8, "stretch").tolist() == [[0, 0], [0, 0]]
    with_alpha = reference.store(np.array([[[-4.0, 300.0]]]), np.uint8, "abs", alpha=True)
    assert with_alpha.tolist() == [[[4, 255]]]


def test_exact_numbers_are_their_binary_values():
    tenth = reference.exact(np.array([0.1]))[0]
    assert tenth == Fraction(0.1)
    assert tenth != Fraction(1, 10)
    assert reference.exact(np.array([[255]], np.uint8))[0, 0] == 255
    assert reference.exact(np.float32([[0.5]]))[0, 0] == Fraction(1, 2)
