"""int16, uint32 and float64 samples: the same filters, by float64 sums, rounded once to the type of the image."""

from itertools import pairwise

import numpy as np
import pytest
import reference
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from wides import NATIVE as WIDE
from wides import noise, stored

import convfilter as cf
from convfilter.cli.root import run as run_command
from convfilter.errors import ParameterError
from convfilter.executor.run import run_array, run_rows
from convfilter.filters import kernels, stack
from convfilter.filters.kernel import from_array
from convfilter.picture.row_source import LazyRows
from convfilter.planning import plan_stack
from convfilter.sample_types import SAMPLE_TYPES

#: Real results may be off by so much of the sum of |weight| * |sample|.
ROUNDING = 1e-14


def assert_like(got, exact, dtype, magnitude=None):
    expected = stored(exact, dtype)
    assert got.dtype == np.dtype(dtype)
    if np.dtype(dtype).kind == "f":
        np.testing.assert_allclose(got, expected, rtol=0, atol=ROUNDING * np.max(magnitude))
    else:
        np.testing.assert_array_equal(got, expected)


KERNELS = {
    "full rank": ([[1, 2, 0], [3, -1, 5], [2, 2, -7]], 7),
    "product": ([[1, 2, 1], [2, 4, 2], [1, 2, 1]], 16),
    "box": (np.ones((5, 5), int), 25),
}


@pytest.mark.parametrize("dtype", WIDE)
@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("geometry", [{}, {"stride": 2, "dilation": (1, 3)}, {"padding": 4, "padding_mode": "reflect"}])
def test_weighted_sums_are_exact(dtype, name, geometry):
    weights, divisor = KERNELS[name]
    image = noise(dtype)
    got = cf.convolve(image, from_array(weights, divisor=divisor), **geometry)
    numbers = reference.exact(image.astype(object) if image.dtype.kind != "f" else image.astype(float))
    exact = reference.correlate(numbers, reference.exact(np.array(weights, dtype=object)), **geometry) / divisor
    if image.dtype.kind == "f":
        exact = exact.astype(float)
    magnitude = np.abs(np.asarray(weights)).sum() / divisor * np.abs(image.astype(float)).max()
    assert_like(got, exact, dtype, magnitude)


@pytest.mark.parametrize("dtype", WIDE)
@pytest.mark.parametrize("sigma", [0.7, 5])
def test_gaussians_are_their_weighted_sums(dtype, sigma):
    image = noise(dtype, (17, 40))
    kernel = kernels.gaussian(sigma, sigma)
    exact = reference.correlate(image.astype(float), kernel.matrix / kernel.divisor)
    got = cf.gaussian_blur(image, sigma)
    assert got.dtype == image.dtype
    largest = np.abs(image.astype(float)).max()
    rounded = 0.5 if image.dtype.kind in "ui" else 0
    assert np.abs(got.astype(float) - exact).max() <= rounded + ROUNDING * largest


@pytest.mark.parametrize("dtype", WIDE)
def test_pooling_takes_samples_as_they_are(dtype):
    image = noise(dtype, (12, 18, 3))
    blocks = image.reshape(6, 2, 9, 2, 3)
    np.testing.assert_array_equal(cf.max_pool(image, 2), blocks.max((1, 3)))
    np.testing.assert_array_equal(cf.min_pool(image, 2), blocks.min((1, 3)))
    means = blocks.astype(object).sum(1).sum(2) / 4 if image.dtype.kind in "ui" else blocks.mean((1, 3))
    assert_like(cf.average_pool(image, 2), means, dtype, np.abs(image.astype(float)).max())


def test_signed_samples_keep_their_sign():
    ramp = np.arange(-300, 300, 20, dtype=np.int16).reshape(1, -1).repeat(3, 0)
    assert cf.sobel(ramp[:, ::-1].copy(), "x")[1, 5] == -cf.sobel(ramp, "x")[1, 5] != 0
    np.testing.assert_array_equal(cf.apply(ramp, "relu"), np.maximum(ramp, 0))
    np.testing.assert_array_equal(cf.apply(ramp, "abs"), np.abs(ramp))


def test_results_are_clipped_to_the_range_and_counted():
    image = np.array([[-30000, 30000, 0]], np.int16)
    plan = plan_stack(stack.stages(("kernel:2",)), image.shape, image.dtype)
    result = run_array(plan, image)
    assert result.pixels.tolist() == [[-32768, 32767, 0]]
    assert result.clipped == 2


@pytest.mark.parametrize("dtype", WIDE)
@pytest.mark.parametrize("specs", [("gaussian:1", "sobel:magnitude"), ("box:3,stride=2", "relu", "maxpool:2")])
def test_a_stack_is_its_stages_one_after_the_other_in_float64(dtype, specs):
    image = noise(dtype, (40, 33, 3))
    real = image.astype(np.float64)
    for spec in specs:
        real = cf.apply(real, spec)
    full = SAMPLE_TYPES[dtype].full
    assert full >= 1
    got = cf.apply(image, *specs)
    assert_like(got, real if dtype == "float64" else real.astype(object), dtype, 0.0)


@pytest.mark.parametrize("dtype", WIDE)
@pytest.mark.parametrize(
    "spec", ["gaussian:2", "kernel:1 2 0;3 -1 5;2 2 -7", "maxpool:3", "avgpool:3", "threshold:0.5"]
)
def test_rows_and_threads_make_no_difference(dtype, spec):
    image = noise(dtype, (61, 45, 3))
    plan = plan_stack(stack.stages((spec,)), image.shape, image.dtype)
    whole = run_array(plan, image, threads=1).pixels
    np.testing.assert_array_equal(run_array(plan, image, threads=3).pixels, whole)
    source = LazyRows(image.shape, image.dtype, lambda: (image[top : top + 7] for top in range(0, len(image), 7)))
    rows = Rows(image.dtype)
    run_rows(plan, source, rows, threads=2)
    np.testing.assert_array_equal(np.concatenate(rows.written).reshape(whole.shape), whole)


class Rows:
    """A row sink that keeps all rows."""

    def __init__(self, dtype):
        self.dtype, self.written = np.dtype(dtype), []

    def restart(self):
        self.written = []

    def write(self, rows):
        self.written.append(rows.copy())


@pytest.mark.parametrize("dtype", WIDE)
def test_alpha_weighs_colours(dtype):
    image = np.abs(noise(dtype, (9, 9, 4)).astype(float))
    image[..., 3] *= SAMPLE_TYPES[dtype].full / max(image.max(), 1)
    image = image.astype(dtype)
    white = SAMPLE_TYPES[dtype].full
    exact = reference.with_alpha(
        reference.real(image), lambda part, **geometry: reference.box_blur(part, 3, **geometry), white=white
    )
    got = cf.box_blur(image, 3, alpha=True)
    rounded = 0.5 if image.dtype.kind in "ui" else 0
    assert np.abs(got.astype(float) - exact).max() <= rounded + 1e-13 * np.abs(image.astype(float)).max()


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "int16"])
def test_float64_results_of_any_image_are_exact(dtype):
    image = noise(dtype, (15, 15))
    kernel = kernels.gaussian(2, 2)
    exact = reference.correlate(image.astype(float), kernel.matrix / kernel.divisor)
    got = cf.gaussian_blur(image, 2, dtype=np.float64)
    assert got.dtype == np.float64
    np.testing.assert_allclose(got, exact, rtol=0, atol=ROUNDING * np.abs(image.astype(float)).max())
    np.testing.assert_array_equal(cf.max_pool(image, 3, dtype=np.float64), cf.max_pool(image, 3))


@given(st.lists(st.integers(0, 2**32 - 1), min_size=9, max_size=9))
def test_ties_of_large_numbers_go_to_even(samples):
    image = np.array(samples, np.uint32).reshape(3, 3)
    got = cf.convolve(image, from_array([[1, 1]], divisor=2), padding="valid")
    assert got.tolist() == [[round((int(a) + int(b)) / 2) for a, b in pairwise(row)] for row in image.tolist()]


def test_nan_stays_in_its_windows():
    image = np.ones((20, 20))
    image[3, 4] = np.nan
    blurred = cf.gaussian_blur(image, 1)
    assert np.isnan(blurred[3, 4])
    np.testing.assert_allclose(blurred[12:, 12:], 1, rtol=1e-15)


@pytest.mark.parametrize(("dtype", "instead"), [("int8", "int16"), ("int64", "float64"), ("int32", "float64")])
def test_another_sample_type_is_refused_with_the_one_to_take(dtype, instead):
    """As for a guide; the image itself is converted to the type that holds its samples."""
    image = np.zeros((3, 3), np.uint8)
    with pytest.raises(ParameterError, match=rf"got {dtype}; convert it with astype\('{instead}'\)"):
        cf.guided_filter(image, 1, guide=np.zeros((3, 3), dtype))


@pytest.mark.parametrize("dtype", WIDE)
@pytest.mark.parametrize("name", ["kirsch", "robinson"])
def test_compass_edges_are_the_largest_of_exact_sums(dtype, name):
    image = noise(dtype, (19, 21))
    numbers = image.astype(object) if image.dtype.kind != "f" else image.astype(float)
    sums = [reference.correlate(numbers, kernel.matrix.astype(int).astype(object)) for kernel in kernels.compass(name)]
    got = cf.apply(image, f"{name}:scale=0.0625" if name == "kirsch" else f"{name}:scale=0.25")
    exact = np.maximum.reduce(sums) * (0.0625 if name == "kirsch" else 0.25)
    assert_like(
        got, exact.astype(float) if dtype == "float64" else exact, dtype, 15 * np.abs(image.astype(float)).max()
    )


@pytest.mark.parametrize("dtype", WIDE)
@pytest.mark.parametrize("spec", ["open:3", "close:3", "tophat:3", "blackhat:3"])
def test_openings_of_luminance_keep_its_digits(dtype, spec):
    image = noise(dtype, (19, 21, 3))
    weights = np.array([299, 587, 114], dtype=object)
    luminance = (image.astype(object) if image.dtype.kind != "f" else reference.exact(image)) @ weights
    exact = reference.opened(luminance, 3, closes=spec in ("close:3", "blackhat:3")) / 1000
    if spec.endswith("hat:3"):
        exact = abs(luminance / 1000 - exact)
    got = cf.apply(image, spec, gray=True)
    assert_like(got, exact.astype(float) if dtype == "float64" else exact, dtype, np.abs(image.astype(float)).max())


@pytest.mark.parametrize("kind", [np.int8, np.int16, np.int32])
@pytest.mark.parametrize("name", ["out.tif", "out.npy", "out.pfm"])
@pytest.mark.parametrize("options", [(), ("--ignore", "1")])
def test_clipping_keeps_the_range_of_signed_samples(tmp_path, kind, name, options):
    """In floats as in the type itself; they were clipped at 0."""
    ends = np.iinfo(kind)
    pixels = np.linspace(ends.min, ends.max, 30).astype(kind).reshape(5, 6)
    tifffile.imwrite(tmp_path / "in.tif", pixels)
    names = str(tmp_path / "in.tif"), str(tmp_path / name)
    assert run_command(["apply", "-f", "scale:3", "--map", "clip", *options, *names]) == 0
    result = np.load(names[1])[..., 0] if name == "out.npy" else cf.read(names[1]).pixels
    expected = np.clip(pixels * 3.0, ends.min, ends.max)
    np.testing.assert_array_equal(result.reshape(5, 6), expected.astype(result.dtype))


def test_arrays_of_signed_samples_are_clipped_to_their_range():
    pixels = np.array([[-32768, -20000, 0, 20000, 32767]], np.int16)
    expected = [[-32768, -32768, 0, 32767, 32767]]
    np.testing.assert_array_equal(cf.apply(pixels, "scale:2", map="clip", dtype=np.float64), expected)
    np.testing.assert_array_equal(cf.apply(pixels, "scale:2", map="clip"), expected)
