"""The filters of the catalogue against formulas written again, and against SciPy."""

from __future__ import annotations

import colorsys

import numpy as np
import pytest
import reference
from scipy import integrate, ndimage, special

import convfilter
from convfilter.errors import ParameterError, UsageError
from convfilter.filters import sampled, stack
from convfilter.filters.kernel import Kernel
from convfilter.filters.operators import Correlation

RNG = np.random.default_rng(3)
IMAGE = RNG.integers(0, 256, (40, 50, 3), np.uint8)
GRAY = RNG.random((40, 50), np.float32)


def kernel_of(spec: str) -> Kernel:
    operator = stack.stage(spec).operator
    assert isinstance(operator, Correlation)
    return operator.kernel


def raw(image: np.ndarray, *specs: str, **keywords: object) -> np.ndarray:
    return convfilter.apply(image, *specs, dtype=np.float32, **keywords)  # type: ignore[arg-type]


# Weights ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sigma", [1.0, 1.7, 4.0])
@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_derivatives_are_scipys(sigma: float, order: int) -> None:
    for axis, orders in (("x", (0, order)), ("y", (order, 0))):
        expected = ndimage.gaussian_filter(
            GRAY.astype(float), sigma, order=orders, mode="nearest", radius=int(6 * sigma + 0.5)
        )
        got = raw(GRAY, f"derivative:{sigma},order={order},axis={axis}")
        np.testing.assert_allclose(got, expected, atol=1e-5)


@pytest.mark.parametrize("sigma", [1.0, 2.0, 3.5])
def test_laplacian_of_gaussian_is_scipys(sigma: float) -> None:
    expected = ndimage.gaussian_laplace(GRAY.astype(float), sigma, mode="nearest", truncate=6)
    np.testing.assert_allclose(raw(GRAY, f"log:{sigma}"), expected, atol=3e-6)


def test_difference_of_gaussians_is_scipys() -> None:
    narrow, wide = (ndimage.gaussian_filter(GRAY.astype(float), s, mode="nearest", truncate=8) for s in (2, 3))
    np.testing.assert_allclose(raw(GRAY, "dog:2,ratio=1.5"), narrow - wide, atol=2e-6)


def test_derivative_magnitude_is_that_of_both_axes() -> None:
    x, y = (raw(IMAGE, f"derivative:1.5,axis={axis}") for axis in "xy")
    np.testing.assert_allclose(raw(IMAGE, "derivative:1.5"), np.hypot(x, y), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(
    "spec", ["log:0.5", "log:7", "dog:3", "derivative:0.6,order=2,axis=x", "derivative:2,order=3,axis=y"]
)
def test_differences_sum_to_zero(spec: str) -> None:
    kernel = kernel_of(spec)
    assert kernel.sums_to_zero
    assert abs(float(kernel.weights.sum())) < 1e-12


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_roberts_is_exact(dtype: type[np.generic]) -> None:
    image = np.random.default_rng(3).integers(0, 2**30, (23, 31)).astype(dtype)
    padded = np.pad(image.astype(float), ((0, 1), (0, 1)), "edge")
    x, y = padded[:-1, :-1] - padded[1:, 1:], padded[:-1, 1:] - padded[1:, :-1]
    white = np.iinfo(dtype).max  # type: ignore[type-var]
    assert np.array_equal(convfilter.apply(image, "roberts"), np.minimum(np.rint(np.hypot(x, y)), white))
    assert np.array_equal(raw(image, "roberts:x"), x)
    assert np.array_equal(raw(image, "roberts:y"), y)


def test_emboss_brightens_towards_below_right() -> None:
    expected = reference.correlate(IMAGE.astype(float), np.array([[-2, -1, 0], [-1, 1, 1], [0, 1, 2]]))
    assert np.array_equal(convfilter.apply(IMAGE, "emboss"), reference.store(expected, np.uint8))


@pytest.mark.parametrize("radius", [0.4, 0.5, 1.0, 2.5, 3.3])
def test_disk_covers_what_integration_says(radius: float) -> None:
    weights = sampled.disk(radius).weights
    rows, cols = weights.shape
    assert rows == cols == 2 * int(np.ceil(radius - 0.5)) + 1
    for row in range(rows // 2, rows):
        for col in range(cols // 2, cols):
            low, left = row - rows // 2 - 0.5, col - cols // 2 - 0.5

            def covered(x: float, low: float = low) -> float:
                reach = np.sqrt(max(0.0, radius**2 - x * x))
                return max(0.0, min(reach, low + 1) - max(-reach, low))

            area, _ = integrate.quad(covered, left, left + 1, points=_kinks(radius, low, left), limit=200)
            assert weights[row, col] == pytest.approx(area / (np.pi * radius**2), abs=1e-7)
    assert np.allclose(weights, weights[::-1]) and np.allclose(weights, weights.T)


def _kinks(radius: float, low: float, left: float) -> list[float]:
    at = [np.sqrt(radius**2 - y * y) for y in (low, low + 1) if abs(y) < radius] + [radius]
    return sorted(x for value in at for x in (value, -value) if left < x < left + 1) or [left + 0.5]


def test_motion_along_the_axes_is_a_box() -> None:
    for angle, size in ((0, "5x1"), (90, "1x5"), (-180, "5x1"), (270, "1x5")):
        assert np.array_equal(
            convfilter.apply(IMAGE, f"motion:5,angle={angle}"), convfilter.apply(IMAGE, f"box:{size}")
        )


@pytest.mark.parametrize(("length", "angle"), [(9.0, 30.0), (4.5, 77.0), (12.0, -45.0)])
def test_motion_weighs_by_the_distance_to_the_line(length: float, angle: float) -> None:
    weights = sampled.motion(length, angle).weights
    rows, cols = weights.shape
    half = (length - 1) / 2 * np.exp(1j * np.radians(angle))
    steps = np.linspace(-half, half, 4001)
    expected = np.array(
        [
            [max(0.0, 1 - np.abs(complex(x, -y) - steps).min()) for x in range(-(cols // 2), cols // 2 + 1)]
            for y in range(-(rows // 2), rows // 2 + 1)
        ]
    )
    np.testing.assert_allclose(weights, expected / expected.sum(), atol=2e-4)
    assert expected[0].any() and expected[:, 0].any()
    np.testing.assert_allclose(sampled.motion(length, 180 - angle).weights, weights[:, ::-1], atol=1e-12)


def test_gabor_at_one_weight() -> None:
    kernel = sampled.gabor(2.0, 5.0, 90.0, 30.0, 0.5)
    side = kernel.shape[0] // 2
    envelope = lambda up, right: np.exp(-(up**2 + (0.5 * right) ** 2) / 8)  # noqa: E731
    total = sum(envelope(u, r) for u in range(-side, side + 1) for r in range(-side, side + 1))
    for up, right in ((0, 0), (2, 1), (-1, 3)):
        expected = envelope(up, right) * np.cos(2 * np.pi * up / 5 + np.pi / 6) / total
        assert kernel.weights[side - up, side + right] == pytest.approx(expected, rel=1e-12)


def test_gabor_answers_to_its_own_wave() -> None:
    wave = np.tile(0.5 + 0.5 * np.cos(2 * np.pi * np.arange(64) / 8), (64, 1)).astype(np.float32)
    along, across = (np.abs(raw(wave, f"gabor:4,wavelength=8,angle={angle}")).max() for angle in (0, 90))
    assert along > 20 * across


# Direction as hue ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spec", ["sobel", "scharr", "prewitt", "roberts"])
def test_hue_is_the_direction_of_rising_brightness(spec: str) -> None:
    rows, cols = np.mgrid[:20, :20]
    gain = raw((cols * 0.01).astype(np.float32), spec)[10, 10]
    for degrees in range(0, 360, 30):
        angle = np.radians(degrees)
        ramp = (0.5 + 0.01 * (cols * np.cos(angle) - rows * np.sin(angle))).astype(np.float32)
        colour = raw(ramp, f"{spec}:orientation")[10, 10]
        hue, saturation, value = colorsys.rgb_to_hsv(*map(float, colour))
        assert (hue * 360 - degrees + 180) % 360 - 180 == pytest.approx(0, abs=0.1)
        assert saturation == pytest.approx(1, abs=1e-3)
        assert value == pytest.approx(gain, rel=1e-3)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_orientation_gives_three_colours_and_keeps_alpha(channels: int) -> None:
    image = np.random.default_rng(3).integers(0, 256, (12, 14, channels), np.uint8)
    alpha = channels in (2, 4)
    result = convfilter.apply(image, "sobel:orientation,stride=2", alpha=alpha)
    assert result.shape == (6, 7, 3 + alpha)
    if alpha:
        assert np.array_equal(result[..., -1], image[::2, ::2, -1])
    assert convfilter.plan(image.shape, "sobel:orientation,stride=2", alpha=alpha).output_shape == result.shape


def test_a_stack_goes_on_after_colours_were_added() -> None:
    gray = IMAGE[..., 0]
    coloured = raw(gray, "prewitt:orientation")
    np.testing.assert_allclose(raw(gray, "prewitt:orientation", "box:3"), raw(coloured, "box:3"), atol=1e-3)


# Windows ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("geometry", [{}, {"stride": 1, "padding": 1}, {"stride": (2, 1), "dilation": (1, 2)}])
def test_min_pool_is_max_pool_of_the_negative(dtype: type[np.generic], geometry: dict[str, object]) -> None:
    image = (
        np.random.default_rng(3).random((300, 31, 3)).astype(np.float32) if dtype is np.float32 else IMAGE.astype(dtype)
    )
    got = convfilter.min_pool(image, (3, 2), **geometry)  # type: ignore[arg-type]
    stride = geometry.pop("stride", None)
    assert np.array_equal(got, -reference.max_pool(-image.astype(np.float64), (3, 2), stride, **geometry))


def test_min_pool_of_transparent_pixels_is_that_of_what_is_seen() -> None:
    image = np.random.default_rng(3).integers(1, 256, (12, 12, 4), np.uint8)
    seen = image[..., :3] * (image[..., 3:] / 255.0)
    lowest, alpha = (-reference.max_pool(-part, 2) for part in (seen, image[..., 3:].astype(float)))
    got = convfilter.min_pool(image, 2, alpha=True).astype(float)
    assert np.abs(got[..., :3] - np.clip(lowest * 255 / alpha, 0, 255)).max() <= 0.51
    assert np.array_equal(got[..., 3:], alpha)


# Points -------------------------------------------------------------------------------------------------------------

SIGNED = (RNG.random((20, 30, 3)) * 3 - 1).astype(np.float32)
POINTS = {
    "relu": lambda x: np.where(x > 0, x, 0),
    "abs": lambda x: np.sqrt(x * x),
    "bias:0.25": lambda x: x + 0.25,
    "scale:-3/2": lambda x: -1.5 * x,
    "clip:-0.5,high=0.5": lambda x: np.minimum(0.5, np.maximum(-0.5, x)),
    "normalize": lambda x: (x - x.min()) / (x.max() - x.min()),
    "threshold:0.3": lambda x: (x >= 0.3) * 1.0,
    "invert": lambda x: 1 - x,
}


@pytest.mark.parametrize("spec", POINTS)
def test_points_of_real_samples(spec: str) -> None:
    np.testing.assert_allclose(raw(SIGNED, spec), POINTS[spec](SIGNED.astype(np.float64)), atol=2e-7)


@pytest.mark.parametrize("spec", POINTS)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("shape", [(9, 11), (80, 90, 3), (300, 500)])
def test_points_of_integers_round_once(spec: str, dtype: type[np.generic], shape: tuple[int, ...]) -> None:
    white = np.iinfo(dtype).max  # type: ignore[type-var]
    image = np.random.default_rng(3).integers(0, white + 1, shape).astype(dtype)
    values = POINTS[spec](image / white) * white
    got = convfilter.apply(image, spec).astype(float)
    assert got.shape == shape
    assert np.abs(got - np.clip(values, 0, white)).max() <= 0.5 + 1e-6


#: As their papers define them, on the scale where white is 1.
ACTIVATIONS = {
    "leaky_relu:0.2": lambda x: np.where(x < 0, 0.2 * x, x),
    "sigmoid": special.expit,
    "tanh": np.tanh,
    "elu:1.5": lambda x: np.where(x < 0, 1.5 * (np.exp(x) - 1), x),
    "selu": lambda x: 1.0507009873554805 * np.where(x < 0, 1.6732632423543772 * (np.exp(x) - 1), x),
    "selu:2,gamma=3": lambda x: 3 * np.where(x < 0, 2 * (np.exp(x) - 1), x),
    "celu:2": lambda x: np.where(x < 0, 2 * (np.exp(x / 2) - 1), x),
    "gelu": lambda x: x * special.ndtr(x),
    "gelu:tanh": lambda x: x / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))),
    "softplus": lambda x: np.logaddexp(0, x),
    "softsign": lambda x: x / (1 + np.abs(x)),
    "thresholded_relu:0.4": lambda x: np.where(x > 0.4, x, 0),
    "hardsigmoid:0.3,beta=0.4": lambda x: np.clip(0.3 * x + 0.4, 0, 1),
    "hardswish": lambda x: x * np.clip(x / 6 + 0.5, 0, 1),
    "mish": lambda x: x * np.tanh(np.logaddexp(0, x)),
    "swish:1.7": lambda x: x * special.expit(1.7 * x),
    "shrink:0.4": lambda x: np.where(np.abs(x) > 0.4, x, 0),
    "shrink:0.4,bias=0.1": lambda x: np.sign(x) * np.where(np.abs(x) > 0.4, np.abs(x) - 0.1, 0),
    "power:0.5": lambda x: np.sqrt(np.abs(x)),
}


@pytest.mark.parametrize("spec", ACTIVATIONS)
def test_activations(spec: str) -> None:
    function = ACTIVATIONS[spec]
    wide = SIGNED * np.float32(9)
    expected = function(wide.astype(np.float64))
    np.testing.assert_allclose(raw(wide, spec), expected, rtol=2e-7, atol=1e-9)
    bytes_ = np.random.default_rng(3).integers(0, 256, (9, 11, 4), np.uint8)
    expected = np.clip(255 * function(bytes_ / 255), 0, 255)
    assert np.abs(convfilter.apply(bytes_, spec) - expected).max() <= 0.5 + 1e-6
    coloured = convfilter.apply(bytes_, spec, alpha=True)
    assert np.array_equal(coloured[..., 3], bytes_[..., 3])
    assert np.abs(coloured[..., :3] - expected[..., :3]).max() <= 0.5 + 1e-6
    # Stored multiplied with alpha: the function is that of the straight colours.
    weighted = np.concatenate([wide, np.full((20, 30, 1), 0.25, np.float32)], axis=2)
    weighted[..., :3] *= 0.25
    got = raw(weighted, spec, alpha=True, premultiplied=True)
    np.testing.assert_allclose(got[..., :3], 0.25 * function(wide.astype(np.float64)), rtol=4e-7, atol=1e-9)
    # Nothing overflows.
    ends = raw(np.float32([[-3e38, 3e38, np.nan]]), spec)[0]
    assert np.isnan(ends[2]) and not np.isnan(ends[:2]).any()


@pytest.mark.parametrize("spec", ACTIVATIONS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_activations_of_infinities_are_those_of_their_formulas(spec: str, dtype: type[np.generic]) -> None:
    ends = np.array([[-np.inf, np.inf]], dtype)
    with np.errstate(all="ignore"):
        expected = ACTIVATIONS[spec](ends)
    np.testing.assert_array_equal(convfilter.apply(ends, spec), expected)


def test_instance_normalisation_gives_each_channel_mean_0_and_variance_1() -> None:
    image = np.random.default_rng(3).random((40, 33, 3), np.float32) * np.float32([1, 5, 0.1]) + np.float32([3, 0, -2])
    real = image.astype(np.float64)
    expected = (real - real.mean(axis=(0, 1))) / np.sqrt(real.var(axis=(0, 1)) + 0.01)
    np.testing.assert_allclose(raw(image, "instancenorm:0.01"), expected, atol=3e-6)
    halved = raw(image, "instancenorm:0.01,scale=0.5,offset=0.25")
    np.testing.assert_allclose(halved, 0.5 * expected + 0.25, atol=3e-6)
    bytes_ = np.random.default_rng(3).integers(0, 256, (40, 33, 3), np.uint8)
    expected = (bytes_ - bytes_.mean(axis=(0, 1))) / bytes_.std(axis=(0, 1))
    np.testing.assert_allclose(raw(bytes_, "instancenorm:eps=1e-12") / 255, expected, atol=1e-5)
    assert np.array_equal(convfilter.apply(bytes_, "instancenorm:eps=1e-12"), np.clip(np.rint(255 * expected), 0, 255))


@pytest.mark.parametrize("magnitude", [1e20, 1e-20])
def test_instance_normalisation_squares_any_float32_sample(magnitude: float) -> None:
    image = np.random.default_rng(3).random((12, 9, 3), np.float32) * np.float32(magnitude)
    real = image.astype(np.float64)
    expected = (real - real.mean(axis=(0, 1))) / np.sqrt(real.var(axis=(0, 1)) + 1e-5)
    np.testing.assert_allclose(raw(image, "instancenorm"), expected, rtol=1e-5, atol=1e-6 * np.abs(expected).max())


@pytest.mark.parametrize("size", [1, 2, 3, 5, 40])
def test_response_normalisation_divides_by_the_channels_around(size: int) -> None:
    image = np.random.default_rng(3).normal(size=(30, 21, 7)).astype(np.float32)
    squares = image.astype(np.float64) ** 2
    sums = np.zeros_like(squares)
    for channel in range(7):  # as ONNX defines it
        first, last = max(0, channel - (size - 1) // 2), min(6, channel + size // 2)
        sums[..., channel] = squares[..., first : last + 1].sum(axis=2)
    expected = image / (2 + 0.3 / size * sums) ** 0.6
    got = raw(image, f"lrn:{size},alpha=0.3,beta=0.6,bias=2", threads=1)
    np.testing.assert_allclose(got, expected, rtol=3e-7)
    assert raw(image, f"lrn:{size},alpha=0.3,beta=0.6,bias=2", threads=3).tobytes() == got.tobytes()


def test_softmax_shares_the_channels_of_each_pixel() -> None:
    image = np.random.default_rng(3).normal(0, 4, (9, 11, 5)).astype(np.float32)
    powers = np.exp(image.astype(np.float64))
    shares = powers / powers.sum(axis=2, keepdims=True)
    np.testing.assert_allclose(raw(image, "softmax"), shares, rtol=3e-7)
    np.testing.assert_allclose(raw(image, "softmax:log"), np.log(shares), rtol=3e-7, atol=3e-7)
    np.testing.assert_array_equal(raw(image, "softmax:hard"), shares == shares.max(axis=2, keepdims=True))
    np.testing.assert_array_equal(raw(np.ones((1, 1, 3), np.float32), "softmax:hard"), [[[1, 0, 0]]])  # the first
    np.testing.assert_allclose(raw(image + np.float32(1e4), "softmax").sum(axis=2), 1, rtol=1e-6)


def test_differences_of_logarithms_are_exact_in_16_bits() -> None:
    image = np.random.default_rng(3).integers(30_000, 31_000, (122, 122, 3), np.uint16)
    specs = "softmax:log", "sobel:magnitude,size=5"
    got = convfilter.apply(image, *specs)
    exact = 65535 * convfilter.apply(image / 65535, *specs)
    assert exact.max() < 65535
    assert np.abs(got - exact).max() <= 0.5 + 1 / 16


def test_softmax_leaves_alpha_out_and_nan_within_its_pixel() -> None:
    image = np.random.default_rng(3).integers(0, 256, (9, 11, 4), np.uint8)
    powers = np.exp(image[..., :3] / 255)
    got = convfilter.apply(image, "softmax", alpha=True)
    np.testing.assert_array_equal(got[..., :3], np.rint(255 * powers / powers.sum(axis=2, keepdims=True)))
    np.testing.assert_array_equal(got[..., 3], image[..., 3])
    broken = np.random.default_rng(3).random((3, 4, 3)).astype(np.float32)
    broken[0, 0, 1], broken[1, 1, 2] = np.nan, np.inf
    shares = raw(broken, "softmax")
    assert np.isnan(shares[0, 0]).all()
    assert np.isnan(shares[1, 1, 2])
    assert np.isfinite(shares[2]).all()


def test_response_normalisation_leaves_alpha_out() -> None:
    image = np.random.default_rng(3).integers(1, 256, (9, 11, 4), np.uint8)  # where alpha is 0, results have no colours
    x = image[..., :3] / 255
    expected = x / (1 + 3 * (x**2).sum(axis=2, keepdims=True)) ** 0.5
    got = raw(image, "lrn:5,alpha=15,beta=0.5", alpha=True)
    expected[..., 0], expected[..., 2] = (x[..., one] / (1 + 3 * (x**2).sum(axis=2)) ** 0.5 for one in (0, 2))
    np.testing.assert_allclose(got[..., :3] / 255, expected, atol=1e-6)
    assert np.array_equal(got[..., 3], image[..., 3])
    straight = np.random.default_rng(3).random((9, 11, 4), np.float32)
    weighted = np.concatenate([straight[..., :3] * straight[..., 3:], straight[..., 3:]], axis=2)
    got = raw(weighted, "lrn:3,alpha=2", alpha=True, premultiplied=True)
    expected = raw(straight, "lrn:3,alpha=2", alpha=True)
    np.testing.assert_allclose(got[..., :3], expected[..., :3] * straight[..., 3:], atol=1e-6)
    gray = raw(image, "lrn:3,alpha=2", alpha=True, gray=True)
    level = image[..., :3] @ [0.299, 0.587, 0.114] / 255
    np.testing.assert_allclose(gray[..., 0] / 255, level / (1 + 2 / 3 * level**2) ** 0.75, atol=1e-6)


def test_activations_do_not_colour_transparent_pixels() -> None:
    image = np.float32([[[0, 0, 0, 0]]])
    assert not raw(image, "softplus", alpha=True, premultiplied=True).any()


def test_points_leave_alpha_alone_and_take_luminance() -> None:
    image = np.random.default_rng(3).integers(0, 256, (9, 11, 4), np.uint8)
    got = convfilter.apply(image, "invert", alpha=True)
    assert np.array_equal(got[..., :3], 255 - image[..., :3])
    assert np.array_equal(got[..., 3], image[..., 3])
    gray = convfilter.apply(image, "threshold:0.5", alpha=True, gray=True)
    luminance = image[..., :3] @ [0.299, 0.587, 0.114]
    assert np.array_equal(gray[..., 0], (luminance >= 127.5) * 255)
    assert np.array_equal(gray[..., 1], image[..., 3])


def test_only_scaling_keeps_the_sign_of_its_input() -> None:
    x = raw(IMAGE, "sobel:x").astype(np.float64)
    assert np.array_equal(convfilter.apply(IMAGE, "sobel:x", "relu"), np.clip(x, 0, 255))
    assert np.array_equal(convfilter.apply(IMAGE, "sobel:x", "bias:0.5"), np.clip(np.rint(x + 127.5), 0, 255))
    assert np.array_equal(convfilter.apply(IMAGE, "sobel:x", "scale:2"), np.clip(np.abs(2 * x), 0, 255))


def test_points_take_scale_offset_and_map() -> None:
    scaled = convfilter.apply(IMAGE, "invert,scale=0.5,offset=0.25".replace(",", ":", 1))
    assert np.array_equal(scaled, np.rint((255 - IMAGE) * 0.5 + 0.25 * 255))
    stretched = convfilter.apply(IMAGE // 2 + 20, "invert:map=stretch").astype(float)
    assert (stretched.min(), stretched.max()) == (0, 255)
    flat = np.full((4, 4), 7, np.uint8)
    assert not convfilter.apply(flat, "normalize").any()


def test_clipped_samples_are_counted() -> None:
    from convfilter.executor.run import run_array

    plan = convfilter.plan(IMAGE.shape, "bias:0.5")
    expected = np.count_nonzero(np.rint(IMAGE + 127.5) > 255)
    assert run_array(plan, IMAGE).clipped == expected
    stacked = convfilter.plan(IMAGE.shape, "identity", "bias:0.5")
    assert run_array(stacked, IMAGE).clipped == expected


def test_points_are_the_same_for_any_number_of_threads() -> None:
    image = np.random.default_rng(3).random((400, 300, 3), np.float32)
    for spec in ("normalize", "bias:0.1,map=stretch"):
        once = convfilter.apply(image, spec, threads=1)
        assert convfilter.apply(image, spec, threads=3).tobytes() == once.tobytes()


@pytest.mark.parametrize(
    ("spec", "kind", "message"),
    [
        ("clip:0.9,high=0.1", ParameterError, "clip high must not be below low"),
        ("relu:3", UsageError, "relu takes no value"),
        ("relu:stride=2", UsageError, "relu has no parameter 'stride'"),
        ("derivative:1,order=5", ParameterError, "derivative order must be at most 4, got 5"),
        ("derivative:0", ParameterError, "derivative sigma must be at least 0.3, got 0"),
        ("disk:0", ParameterError, "disk radius must be at least 0.1, got 0"),
        ("motion:0.5", ParameterError, "motion length must be at least 1, got 0.5"),
        ("dog:2,ratio=1", ParameterError, "dog ratio must be above 1, got 1"),
        ("gabor:2,wavelength=0", ParameterError, "gabor wavelength must be at least 1, got 0"),
        ("bias", UsageError, "bias needs its level"),
    ],
)
def test_invalid_specs_are_refused(spec: str, kind: type[UsageError], message: str) -> None:
    with pytest.raises(kind) as caught:
        convfilter.apply(IMAGE, spec)
    assert message in str(caught.value)
