"""Ignored pixels: normalised convolution, extremes and ranks without them, and the values that replace them."""

import tracemalloc
from functools import partial

import numpy as np
import pictures
import pytest
import reference
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

import convfilter as cf
from convfilter.cli.root import run
from convfilter.engine.masked import Masked, put
from convfilter.errors import ParameterError
from convfilter.executor import bands, masked_canny, masked_rows, means, patches
from convfilter.executor.held import Held
from convfilter.executor.masked import Masking, masked_stages, run_masked
from convfilter.executor.masked_box import MaskedBox
from convfilter.executor.masked_rows import run_banded_rows
from convfilter.executor.run import run_stage
from convfilter.filters import kernels, stack
from convfilter.filters.kernel import Kernel
from convfilter.filters.operators import Correlation, Guided
from convfilter.filters.stage import Stage
from convfilter.picture.row_source import LazyRows
from convfilter.planning import plan_stack
from convfilter.record import replace
from convfilter.sample_types import full_scale

RNG = np.random.default_rng(5)
SHAPE = (17, 21)
DISK = np.add.outer(np.arange(-2, 3) ** 2, np.arange(-2, 3) ** 2) <= 4
HOOK = np.array([[0, 1, 1], [2, 1, 0]])


def picture(dtype=np.float32, channels=0):
    shape = (*SHAPE, channels) if channels else SHAPE
    return RNG.integers(100, 250, shape).astype(dtype)


def holes():
    """A mask with single holes, one at the border, and one larger than any window here."""
    counts = RNG.random(SHAPE) > 0.1
    counts[2:12, 5:16] = False
    counts[0, 0] = False
    return counts


def expected(image, counts, kernel, fill, **geometry):
    """Sum of weight times sample over the pixels that count, by the share of the weights that fall on them."""
    kernel = np.asarray(kernel, np.float64)
    sums = reference.correlate(np.where(counts, image, 0.0), kernel, **geometry)
    weights = reference.correlate(counts.astype(np.float64), kernel, **geometry)
    seen = reference.correlate(counts.astype(int), (kernel != 0).astype(int), **geometry)
    valid = seen > 0
    if not fill:
        valid &= reference.centre(counts, kernel.shape, **{k: v for k, v in geometry.items() if k != "flip"})
    return np.where(valid, sums * kernel.sum() / np.where(valid, weights, 1), np.nan)


@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize(
    ("spec", "algorithm", "dtype"),
    [
        ("gaussian:1", "separable", np.uint8),
        ("gaussian:3,stride=2,padding_mode=wrap", "separable", np.uint32),
        ("kernel:0 1 1; 2 1 0,stride=2x1", "direct", np.uint16),
        ("kernel:1 2 3; 4 5 6; 7 8 10,padding=1x2,padding_mode=wrap", "direct", np.int16),
        ("gaussian:2,dilation=2", "lowrank", np.uint8),
        ("gaussian:5,stride=2", "multirate", np.uint8),
        ("gaussian:0.5x6", "multirate", np.uint16),
        ("gaussian:6x0.5,padding_mode=reflect", "multirate", np.uint8),
    ],
)
def test_masks_are_joined_to_rows_when_they_are_loaded(spec, algorithm, dtype, channels):
    shape = (70, 90, channels)
    pixels = RNG.integers(0, 60000 if np.dtype(dtype).itemsize > 1 else 256, shape).astype(dtype)
    valid = RNG.random(shape[:2]) < 0.7
    joined = np.concatenate([pixels * valid[..., np.newaxis], valid[..., np.newaxis]], axis=2).astype(dtype)
    plan = plan_stack(stack.stages([spec]), joined.shape, dtype, alpha=True, mask="dense", algorithm=algorithm)
    assert plan.stages[0].algorithm == algorithm
    for target in (dtype, np.float32):
        sources = joined, Masked(pixels, valid)
        expected, found = (run_stage(plan, 0, source, np.dtype(target), 1)[0] for source in sources)
        np.testing.assert_array_equal(found, expected)


def mean_of_nine(image, counts):
    """The mean of the valid ones of 3x3 pixels, in one division; 0 where the centre is not valid."""
    ones = np.ones((3, 3), int)
    sums, weights = (reference.correlate(each, ones) for each in (np.where(counts, image, 0) * 1, counts * 1))
    return np.where(counts, sums / np.maximum(weights, 1), 0)


def same(result, values, tolerance=1e-6):
    np.testing.assert_array_equal(np.isnan(result), np.isnan(values))
    np.testing.assert_allclose(result, values, rtol=tolerance)


@pytest.mark.parametrize("fill", [False, True])
@pytest.mark.parametrize(
    "geometry",
    [{}, {"stride": (2, 3), "padding_mode": "reflect"}, {"padding": "valid", "flip": True}, {"dilation": 2},
     {"padding_mode": "constant", "padding_value": 7.0, "padding": "full"}],
)  # fmt: skip
def test_weights_are_those_that_fall_on_pixels_that_count(fill, geometry):
    image, counts = picture(), holes()
    missing = np.where(counts, image, np.nan).astype(np.float32)
    if "padding_value" in geometry:  # padding counts as valid
        widths = (1, 1), (2, 2)
        around = np.pad(image, widths, constant_values=7), np.pad(counts, widths, constant_values=True)
        values = expected(*around, HOOK, fill, padding="valid")
    else:
        values = expected(image, counts, HOOK, fill, **geometry)
    result = cf.convolve(missing, HOOK, ignore=np.nan, fill=fill, **geometry)
    same(result, values)
    wild = np.where(counts, image, -9999).astype(np.float32)
    np.testing.assert_array_equal(
        cf.convolve(wild, HOOK, ignore=-9999, fill=fill, **geometry), np.nan_to_num(result, nan=-9999)
    )
    np.testing.assert_array_equal(cf.convolve(wild, HOOK, mask=counts, fill=fill, **geometry), result)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16])
@pytest.mark.parametrize("value", [-3, 0.5, 70000])
def test_padding_values_need_not_be_samples(dtype, value):
    image, counts = picture(dtype), holes()
    geometry = {"padding_mode": "constant", "padding_value": value, "padding": 2}
    around = np.pad(image.astype(np.float64), 2, constant_values=value), np.pad(counts, 2, constant_values=True)
    for kernel in (HOOK, np.array([[0.385, 0.294]])):
        values = expected(*around, kernel, True, padding="valid")
        same(cf.convolve(image, kernel, mask=counts, fill=True, dtype=np.float32, **geometry), values)
        result = cf.convolve(image, kernel, mask=counts, fill=True, scale=1 / kernel.sum(), **geometry)
        inside = np.clip(np.nan_to_num(values / kernel.sum()), np.iinfo(dtype).min, np.iinfo(dtype).max)
        np.testing.assert_allclose(result, inside, rtol=0, atol=0.501)
    ranks = cf.median(image, 3, mask=counts, fill=True, dtype=np.float32, **geometry)
    np.testing.assert_array_equal(ranks, cf.median(around[0], 3, mask=around[1], fill=True, padding="valid"))


def test_windows_that_begin_past_the_picture_are_left_out():
    for width, padding in ((1, 2), (4, 2), (7, 1)):
        image = np.arange(2.0 * width, dtype=np.float32).reshape(2, width)
        geometry = {"stride": 3, "padding": padding, "padding_value": 5.0, "ceil": True}
        plain = cf.box_blur(image, 3, **geometry)
        np.testing.assert_allclose(cf.box_blur(image, 3, mask=np.ones_like(image), **geometry), plain, rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32, np.float64])
@pytest.mark.parametrize("alpha", [False, True])
def test_negative_weights_and_scales_give_negative_means(dtype, alpha):
    image, counts = picture(dtype, 4 if alpha else 0), holes()
    how = {"mask": counts, "alpha": alpha, "dtype": None if dtype == np.float64 else np.float32}
    for size in ((3, 5), (1, 3)):
        ones = np.ones(size)
        mean = cf.convolve(image, ones, **how)
        for weights, scale in ((-ones, 1.0), (ones, -1.0), (-ones, -1.0)):
            found = cf.convolve(image, weights, scale=scale, **how)
            wanted = mean * (np.sign(weights[0, 0]) * scale)
            if alpha:
                wanted[..., 3] = mean[..., 3]
            np.testing.assert_allclose(found, wanted, rtol=1e-6)


@pytest.mark.parametrize("fill", [False, True])
@pytest.mark.parametrize("kernel", [[[0]], [[0, 0, 0], [0, 0, 0]]])
def test_a_kernel_of_zeros_counts_its_whole_window(kernel, fill):
    image, counts = picture(), holes()
    kernel = np.array(kernel)
    needed = reference.correlate(~counts * 1, np.ones_like(kernel)) > 0
    same(cf.convolve(np.where(counts, image, np.nan).astype(np.float32), kernel, ignore=np.nan, fill=fill),
         np.where(needed, np.nan, 0.0))  # fmt: skip


@pytest.mark.parametrize("channels", [0, 4])
@pytest.mark.parametrize("fill", [False, True])
@pytest.mark.parametrize("geometry", [{}, {"stride": 2, "padding_mode": "constant", "padding_value": 7.0}])
@pytest.mark.parametrize("sign", [1, -1])
def test_weights_that_cancel_have_no_mean(sign, geometry, fill, channels):
    """astropy.convolution keeps NaN where the weights that are left sum to 0, and divides by negative sums."""
    kernel = sign * np.array([[0.5, -1, 0.5], [-1, 0.25, -1], [0.5, -1, 4]])
    image, counts = picture(channels=channels), holes()
    if channels:
        image[..., 3] = 255
    geometry_of_kernel = geometry | ({"padding_mode": "edge"} if not geometry else {})
    weights = sign * reference.correlate(
        counts.astype(float), kernel, **geometry_of_kernel | ({"padding_value": 1.0} if geometry else {})
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        values = expected(image[..., 0] if channels else image, counts, kernel, fill, **geometry)
    valid = ~np.isnan(values) & (weights > 1e-9)
    assert (~np.isnan(values) & ~valid).any()
    found = cf.convolve(image, kernel, mask=counts, fill=fill, alpha=channels > 0, **geometry)
    colour = found[..., 0] if channels else found
    np.testing.assert_array_equal(np.isnan(colour), ~valid)
    if not channels and not geometry:
        np.testing.assert_allclose(colour[valid], values[valid], rtol=1e-4, atol=1e-2)


@pytest.mark.parametrize("fill", [False, True])
@pytest.mark.parametrize(
    "geometry",
    [
        {},
        {"padding_mode": "reflect", "dilation": (1, 3)},
        {"padding_mode": "constant", "padding_value": 1.0, "stride": (2, 1)},
        {"padding_mode": "wrap", "padding": (3, 5)},
        {"padding": "valid", "stride": (1, 2)},
        {"padding_mode": "constant", "padding_value": 1.0, "padding": "full", "dilation": 2},
    ],
    ids=str,
)
@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("kernel", [[[0, -1, 0], [-1, 5, -2], [0, 3, 0]], [[1, 0, -2, 1]], [[-7, 1], [2, -3]]], ids=str)
def test_small_windows_need_all_their_taps_or_weights_that_do_not_cancel(kernel, flip, geometry, fill):
    kernel, valid = np.array(kernel), np.random.default_rng(4).random((19, 90)) > 0.2
    geometry = {"padding_mode": "edge"} | geometry
    weights = reference.correlate(valid.astype(int), kernel, flip=flip, **geometry) * np.sign(kernel.sum())
    seen = reference.correlate(valid.astype(int), (kernel != 0).astype(int), flip=flip, **geometry)
    kept = seen == np.count_nonzero(kernel) if kernel.sum() == 0 else weights > 0
    if not fill:
        kept &= reference.centre(valid, kernel.shape, **geometry)
    found = cf.convolve(np.ones(valid.shape, np.float32), kernel, mask=valid, fill=fill, flip=flip, **geometry)
    np.testing.assert_array_equal(~np.isnan(found), kept)
    assert kept.any()
    assert not kept.all()


@pytest.mark.parametrize("fill", [False, True])
def test_gaussians_boxes_and_means_of_windows(fill):
    image, counts = picture(), holes()
    missing = np.where(counts, image, np.nan).astype(np.float32)
    for sigma in (0.7, 1.5, 6):
        matrix = kernels.gaussian(sigma, sigma, None).weights
        same(cf.gaussian_blur(missing, sigma, ignore=np.nan, fill=fill), expected(image, counts, matrix, fill), 1e-5)
    same(cf.box_blur(missing, 5, ignore=np.nan, fill=fill), expected(image, counts, np.ones((5, 5)) / 25, fill))
    pooled = cf.average_pool(missing, 3, ignore=np.nan)
    same(pooled, expected(image, counts, np.ones((3, 3)) / 9, True, stride=3, padding=0))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize("sigma", [1.5, 2, 9, (5, 30)])
def test_gaussians_of_whole_samples_are_near_the_exact_ones(dtype, channels, sigma):
    shape, full = (45, 700), np.iinfo(dtype).max
    rng = np.random.default_rng(11)
    image = rng.integers(0, full, (*shape, channels), dtype=dtype, endpoint=True)
    scattered, region = rng.random(shape) > 0.05, np.ones(shape, bool)
    region[10:, 300:500] = False
    region[30, 400] = True  # alone: what a few taps leave out counts there
    (down, along) = kernels.gaussian(*(sigma if isinstance(sigma, tuple) else (sigma, sigma)), None).factors
    for counts in (scattered, region, scattered & region):
        exact = np.empty(image.shape)
        weights = reference.correlate(reference.correlate(counts * 1.0, down[:, None]), along[None])
        for channel in range(channels):
            samples = np.where(counts, image[..., channel], 0.0)
            sums = reference.correlate(reference.correlate(samples, down[:, None]), along[None])
            exact[..., channel] = np.where(counts, sums / np.where(counts, weights, 1), 0)
        given = image if channels > 1 else image[..., 0]
        results = [cf.gaussian_blur(given, sigma, mask=counts, threads=threads) for threads in (1, 3)]
        assert results[0].tobytes() == results[1].tobytes()
        apart = np.abs(results[0].reshape(exact.shape) - exact)
        assert apart.max() <= (0.51 if dtype == np.uint8 else 0.9)
        assert np.mean(results[0].reshape(exact.shape) == np.rint(exact)) > (0.999 if dtype == np.uint8 else 0.95)


@pytest.mark.parametrize("col", [0, 3, 300, 511, 512, 530, 1023, 1024, 1190, 1199])
def test_a_lone_pixel_in_a_hole_is_sparse_wherever_the_hole_lies(col):
    valid = np.ones((60, 1200), bool)
    assert means.are_dense(valid, 7, 9)
    valid[20:50, max(0, col - 20) : col + 20] = False
    assert means.are_dense(valid, 7, 9)
    valid[35, col] = True
    assert not means.are_dense(valid, 7, 9)
    valid[35, col], valid[20, col] = False, True  # at the hole's edge
    assert means.are_dense(valid, 7, 9)


@pytest.mark.parametrize("seed", range(40))
def test_masks_are_dense_if_a_count_around_each_pixel_says_so(seed):
    rng = np.random.default_rng(seed)
    height, width, rows, cols = rng.integers((3, 3, 1, 1), (90, 700, 20, 40)).tolist()
    valid = rng.random((height, width)) >= rng.choice([0.01, 0.3, 0.6, 0.7, 0.75, 0.8])
    top, left = rng.integers(0, (height, width))
    valid[top : top + 40, left : left + 60] = seed % 2 == 0
    around = ndimage.uniform_filter(valid.astype(np.float64), (2 * rows + 1, 2 * cols + 1), mode="nearest")
    assert means.are_dense(valid, rows, cols) == (np.rint(255 * around[valid]) >= 51).all()


@pytest.mark.parametrize(
    ("spec", "dtype"),
    [
        ("gaussian:9", np.uint8),
        ("gaussian:1.5,padding_mode=wrap", np.uint8),
        ("box:5,stride=2,dilation=2", np.uint8),
        ("box:5,stride=2", np.float32),
        ("box:5,scale=0.5", np.uint8),
    ],
)
def test_neighbouring_bands_are_filtered_together_to_the_same_bytes(spec, dtype, monkeypatch):
    monkeypatch.setattr(bands, "ROWS", 8)
    image, counts = RNG.integers(0, 255, (900, 40, 3)).astype(dtype), np.ones((900, 40), bool)
    counts[::9, ::5] = False
    heights, run_chunk_to = [], means.run_chunk_to

    def run(plan, number, chunk, pixels, *others):
        heights.append(pixels.shape[0])
        return run_chunk_to(plan, number, chunk, pixels, *others)

    monkeypatch.setattr(means, "run_chunk_to", run)
    together = cf.apply(image, spec, mask=counts, threads=2)
    assert max(heights) >= 800
    heights.clear()
    with monkeypatch.context() as apart:
        apart.setattr(means, "joined", lambda spans, *_: list(spans))
        assert cf.apply(image, spec, mask=counts, threads=2).tobytes() == together.tobytes()
    assert max(heights) < 700
    heights.clear()
    monkeypatch.setattr(means, "MOST_BYTES", 1)
    assert cf.apply(image, spec, mask=counts, threads=2).tobytes() == together.tobytes()
    is_copied = "scale" in spec  # rows with their mask; else the mask is joined to loaded rows
    assert (max(heights) < 700) == is_copied


def test_a_mask_of_any_type_leaves_out_its_zeros_and_stays_as_it_is():
    image, counts = picture(np.uint8, 3), holes()
    expected = cf.box_blur(image, 3, mask=counts)
    for mask in (counts * np.uint8(1), counts * np.uint8(255), counts * 0.5, np.asfortranarray(counts)):
        before = mask.copy()
        np.testing.assert_array_equal(cf.box_blur(image, 3, mask=mask), expected)
        np.testing.assert_array_equal(mask, before)


def test_whole_samples_are_rounded_once():
    counts = holes()
    for dtype in (np.uint8, np.uint16):
        image = picture(dtype, 3)
        result = cf.box_blur(image, 3, mask=counts)
        for channel in range(3):
            values = mean_of_nine(image[..., channel], counts)
            np.testing.assert_array_equal(result[..., channel], np.rint(values).astype(dtype))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize(
    "geometry", ["2", "3x5,stride=1", "9,stride=2,padding=3", "3,dilation=2,stride=1", "40,stride=1"]
)
def test_extremes_of_whole_samples_are_those_of_pictures_with_the_neutral_element(geometry, channels, dtype):
    rng, full = np.random.default_rng(13), np.iinfo(dtype).max
    image = rng.integers(0, full, (203, 67, channels), dtype=dtype, endpoint=True)
    for share in (0.02, 0.6, 0.97):
        counts = rng.random(image.shape[:2]) >= share
        valid = cf.apply(counts.astype(np.uint8), f"maxpool:{geometry}") > 0
        for kind, neutral in (("maxpool", 0), ("minpool", full)):
            filled = cf.apply(np.where(counts[..., np.newaxis], image, neutral).astype(dtype), f"{kind}:{geometry}")
            result = cf.apply(image, f"{kind}:{geometry}", mask=counts, threads=2)
            np.testing.assert_array_equal(result, filled * valid[..., np.newaxis])


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    "weights", ["1 2 1; 2 4 2; 1 2 1", "1 2 3; 4 5 6; 7 8 9", "1 4 6 4 1", "1 6 15 20 15 6 1", "9 99; 199 300"]
)
def test_weighted_means_of_whole_samples_are_exact(weights, channels):
    """Ties, too, although one reciprocal serves all colours."""
    row = np.array([[int(weight) for weight in each.split()] for each in weights.split(";")])
    kernel = row.T * row if len(row) == 1 else row
    text = "; ".join(" ".join(map(str, each)) for each in kernel)
    rng = np.random.default_rng(7)
    image, counts = rng.integers(0, 256, (24, 301, channels), np.uint8), rng.random((24, 301)) > 0.4
    before = [(side - 1) // 2 for side in kernel.shape]
    pads = [(first, side - 1 - first) for first, side in zip(before, kernel.shape, strict=True)]
    sums, weight = (
        (
            np.lib.stride_tricks.sliding_window_view(np.pad(each, (*pads, (0, 0)), "edge"), kernel.shape, (0, 1))
            * kernel
        ).sum((-1, -2))
        for each in (image * counts[..., np.newaxis].astype(np.int64), counts[..., np.newaxis].astype(np.int64))
    )
    result = cf.apply(image, f"kernel:{text},normalize=true", mask=counts, fill=True)
    valid = weight[..., 0] > 0
    np.testing.assert_array_equal(result[valid], np.rint(sums / np.maximum(weight, 1))[valid])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [0, 2, 3])
@pytest.mark.parametrize(
    ("size", "geometry"),
    [
        ((3, 3), {}),
        ((1, 2), {"padding_mode": "wrap"}),
        ((16, 16), {"padding_mode": "reflect"}),
        ((4, 18), {"padding_mode": "symmetric", "stride": (2, 3)}),
        ((9, 15), {"padding": "valid", "stride": (3, 1)}),
        ((5, 7), {"padding": 1}),
        ((41, 37), {"padding": "full"}),
        ((301, 51), {}),
        ((3, 300), {"padding_mode": "reflect"}),
        # No window reaches the last columns, which padding repeats.
        ((3, 4), {"padding_mode": "wrap", "padding": ((3, 4), (2, 0)), "stride": (3, 7)}),
    ],
)
@pytest.mark.parametrize("fill", [False, True])
def test_means_of_boxes_of_whole_samples_are_exact(size, geometry, channels, dtype, fill):
    rng, counts = np.random.default_rng(12), holes()
    full = np.iinfo(dtype).max
    image = rng.integers(0, full, (*SHAPE, channels) if channels else SHAPE, dtype=dtype, endpoint=True)
    image[0] = full
    ignored = image.copy()
    ignored[~counts] = 0
    places = counts if not channels else counts[..., np.newaxis]
    sums, seen = (reference.box_sum(each.astype(np.int64), size, **geometry) for each in (ignored, places))
    expected = np.rint(sums / np.maximum(seen, 1)).astype(dtype)
    if not fill:
        expected[~reference.centre(counts, size, **geometry)] = 0
    for threads in (1, 2):
        found = cf.box_blur(image, size, mask=counts, fill=fill, threads=threads, **geometry)
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("size", [3, 17])
def test_boxes_of_pixels_with_many_channels(size):
    image, counts = picture(np.uint8, 150), holes()
    result = cf.apply(image, f"box:{size}", mask=counts, fill=True)
    for channel in range(0, 150, 30):
        alone = cf.apply(np.ascontiguousarray(image[..., channel]), f"box:{size}", mask=counts, fill=True)
        np.testing.assert_array_equal(result[..., channel], alone)


def test_a_mean_of_more_than_65536_pixels_beside_a_tie_is_rounded_to_its_side():
    """The sum fits float32, but the mean of 65,791 pixels, 200.5 and the 131,582nd part of 1, is 200.5 in float32."""
    image, counts = np.full((257, 256), 200, np.uint8), np.ones((257, 256), bool)
    image.reshape(-1)[:32896] = 201
    counts[-1, -1] = False
    assert cf.average_pool(image, (257, 256), stride=1, mask=counts) == 201


@pytest.mark.parametrize(("weight", "divisor"), [(33, 62), (110, 200), (3, 10)])
def test_words_are_rounded_once_whatever_the_sum_of_the_weights(weight, divisor):
    """Float32 does not hold the products that the division takes, and ``weight / divisor * divisor`` rounds."""
    image, counts = np.arange(2**16, dtype=np.uint16).reshape(256, 256), np.ones((256, 256), bool)
    counts[::7, ::5] = False
    stage = Stage(Correlation(Kernel(np.array([[weight * 1.0]]), None, float(divisor))))
    result, valid = run_masked([stage], image, counts)
    quotient, rest = np.divmod(image.astype(int) * weight, divisor)
    up = (2 * rest > divisor) | ((2 * rest == divisor) & (quotient % 2 == 1))
    np.testing.assert_array_equal(result.pixels[valid], (quotient + up)[valid])


def test_a_band_of_some_channels_copies_only_the_rows_that_it_reads():
    pixels, valid = np.ones((4000, 100, 4), np.uint8), np.ones((4000, 100), bool)
    box = MaskedBox(plan_stack(stack.stages(["box:5"]), (4000, 100, 3), np.uint8))
    out = np.empty((10, 100, 3), np.uint8)
    box.run(Held(0, pixels[..., :3], valid), (0, 10), out)  # loads the loop
    tracemalloc.start()
    box.run(Held(0, pixels[..., :3], valid), (2000, 2010), out)
    assert tracemalloc.get_traced_memory()[1] < pixels.nbytes // 10
    tracemalloc.stop()
    np.testing.assert_array_equal(out, 1)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32])
@pytest.mark.parametrize("geometry", [{"stride": 1, "padding": 1}, {"stride": 2, "padding": 1, "ceil": True}])
@pytest.mark.parametrize("count_padding", [False, True])
def test_means_of_pooling_windows_count_padding_as_they_do_without_a_mask(count_padding, geometry, dtype):
    image, counts = picture(dtype, 3), holes()
    how = {**geometry, "count_padding": count_padding}
    cells = {"dilation": 1, **geometry}
    around = reference.real_cells(SHAPE, (3, 3), count_padding=True, **cells) - reference.real_cells(
        SHAPE, (3, 3), **cells
    )
    zeros = {"padding_mode": "constant", "padding_value": 0, **geometry}
    sums, seen = (
        reference.box_sum(each * 1, (3, 3), **zeros) for each in (image * 1.0 * counts[..., None], counts[..., None])
    )
    divisors = seen + (around[..., np.newaxis] if count_padding else 0)
    expected = np.where(seen > 0, sums / np.maximum(divisors, 1), np.nan)
    found = cf.average_pool(image.astype(np.float32), 3, mask=counts, ignore=np.nan, **how)
    same(found, expected)
    if dtype != np.float32:
        found = cf.average_pool(image, 3, mask=counts, **how)
        np.testing.assert_array_equal(found, np.rint(np.nan_to_num(expected)))
    np.testing.assert_array_equal(
        cf.average_pool(image, 3, mask=np.ones(SHAPE), **how), cf.average_pool(image, 3, **how)
    )


def test_astropy_finds_the_same():
    convolution = pytest.importorskip("astropy.convolution")
    image, counts = picture().astype(np.float64), holes()
    counts[2:12, 5:16] = True  # it warns of holes that are wider than the kernel
    missing = np.where(counts, image, np.nan)
    matrix = np.outer([1, 2, 1], [1, 3, 1]) / 20
    for fill in (False, True):
        theirs = convolution.convolve(missing, matrix, boundary="extend", preserve_nan=not fill)
        same(cf.convolve(missing.astype(np.float32), matrix, ignore=np.nan, fill=fill), theirs)


def test_differences_have_no_result_where_a_tap_is_ignored():
    image, counts = picture(), holes()
    missing = np.where(counts, image, np.nan).astype(np.float32)
    for axis in ("x", "y", "magnitude"):
        kernel = np.abs(reference.derivative_kernel("sobel", "x" if axis != "y" else "y"))
        if axis == "magnitude":
            kernel = kernel + kernel.T
        all_there = reference.correlate(~counts * 1, (kernel != 0) * 1) == 0
        plain = cf.sobel(np.where(counts, image, 0).astype(np.float32), axis)
        np.testing.assert_array_equal(
            cf.sobel(missing, axis, ignore=np.nan, fill=True), np.where(all_there, plain, np.nan)
        )
        kept = np.where(all_there & counts, plain, np.nan)
        np.testing.assert_array_equal(cf.sobel(missing, axis, ignore=np.nan), kept)


def test_extremes_and_ranks_leave_pixels_out():
    image, counts = picture() - np.float32(175), holes()
    missing = np.where(counts, image, np.nan).astype(np.float32)
    for fill in (False, True):
        seen = [np.where(there, samples, np.nan) for (_, samples), (_, there) in zip(
            reference.windows(image, (3, 5)), reference.windows(counts, (3, 5)), strict=True)]  # fmt: skip
        stacked = np.stack(seen)
        none = np.isnan(stacked).all(axis=0) | (False if fill else ~counts)
        stacked[:, none] = 0
        for function, find in (
            (lambda x, **k: cf.median(x, (3, 5), **k), np.nanmedian),
            (lambda x, **k: cf.erode(x, (3, 5), **k), np.nanmin),
            (lambda x, **k: cf.dilate(x, (3, 5), **k), np.nanmax),
            (lambda x, **k: cf.percentile(x, (3, 5), 0.25, **k), lambda x, axis: np.nanpercentile(x, 25, axis=axis)),
        ):
            values = np.where(none, np.nan, find(stacked, axis=0)).astype(np.float32)
            np.testing.assert_array_equal(function(missing, ignore=np.nan, fill=fill), values)
    least = cf.min_pool(missing, 4, ignore=np.nan)
    blocks = np.where(counts, image, np.inf)[:16, :20].reshape(4, 4, 5, 4).min(axis=(1, 3))
    np.testing.assert_array_equal(least, np.where(np.isinf(blocks), np.nan, blocks))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("channels", [2, 4, 5])
def test_ranks_leave_pixels_out_of_any_number_of_channels(dtype, channels):
    image, counts = picture(dtype, channels), holes()
    for spec in ("median:7", "percentile:disk:3,p=0.2,stride=2"):
        result = cf.apply(image, spec, mask=counts)
        for channel in range(channels):
            alone = np.ascontiguousarray(image[..., channel])
            np.testing.assert_array_equal(result[..., channel], cf.apply(alone, spec, mask=counts))


def test_in_a_stack_holes_stay_holes():
    image, counts = picture(), holes()
    missing = np.where(counts, image, np.nan).astype(np.float32)
    once = cf.gaussian_blur(missing, 1, ignore=np.nan)
    np.testing.assert_array_equal(
        cf.apply(missing, "gaussian:1", "median:3", ignore=np.nan), cf.median(once, 3, ignore=np.nan)
    )
    np.testing.assert_array_equal(
        cf.apply(missing, "gaussian:1", "open:3", ignore=np.nan), cf.opening(once, 3, ignore=np.nan)
    )


def test_extremes_of_whole_samples_stay_whole_until_the_next_comparison():
    image, counts = picture(np.uint8, 3), holes()
    specs = "open:3", "maxpool:2,stride=1", "median:3", "erode:3", "box:3"

    def result_types(**how):
        setting = {"alpha": False, "gray": False, "white": None} | how
        made = masked_stages(
            stack.stages(specs), image.shape, image.dtype, fill=False, out_dtype=None, premultiplied=False,
            out_white=None, **setting,
        )  # fmt: skip
        return "".join(stage.dtype.kind for stage in made)

    assert result_types() == "uuuffu"
    assert result_types(white=200.0) == "uuuffu"
    assert result_types(gray=True) == "fffffu"
    assert result_types(alpha=True) == "fffffu"
    real = cf.apply(image.astype(np.float32), *specs, mask=counts)
    np.testing.assert_array_equal(cf.apply(image, *specs, mask=counts, dtype=np.float32), real)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32, np.int16, np.float32, np.float64])
@pytest.mark.parametrize(
    ("spec", "window", "p", "geometry", "tone"),
    [
        ("median:3", (3, 3), 0.5, {}, (1, 0)),
        ("median:1x7", (7, 1), 0.5, {"padding_mode": "wrap"}, (1, 0)),
        ("median:5x4", (4, 5), 0.5, {"padding_mode": "reflect"}, (1, 0)),
        ("percentile:3,p=0.3", (3, 3), 0.3, {"stride": (2, 2), "padding_mode": "wrap"}, (1, 0)),
        ("percentile:disk:2,0.9", DISK, 0.9, {}, (1, 0)),
        ("median:1 1 0; 0 1 1", np.array([[1, 1, 0], [0, 1, 1]]), 0.5, {"flip": True, "dilation": (2, 2)}, (1, 0)),
        ("median:3", (3, 3), 0.5, {"padding_mode": "constant", "padding_value": 150}, (1, 0)),
        ("median:3", (3, 3), 0.5, {}, (0.5, 0.25)),
        ("median:19", (19, 19), 0.5, {}, (1, 0)),
        ("percentile:16x15,0.9", (15, 16), 0.9, {"padding_mode": "symmetric"}, (1, 0)),
        ("percentile:17,1", (17, 17), 1.0, {}, (1, 0)),
    ],
)
def test_ranks_are_those_of_the_valid_pixels(dtype, spec, window, p, geometry, tone):
    """By networks, column histograms and sliding histograms; without rounding as real results, too."""
    image, counts = picture(dtype, 3), holes()
    image[0, 5:9] = image[16, 3] = np.inf if image.dtype.kind == "f" else np.iinfo(dtype).max
    if image.dtype.kind == "f":
        image[4, 2], image[13, 18] = np.nan, -np.inf
    values, present = reference.valid_percentile(image, counts, window, p, **geometry)
    values = values * tone[0] + tone[1] * full_scale(dtype)
    how = geometry | {"mask": counts, "fill": True, "scale": tone[0], "offset": tone[1]}
    for out in (dtype, np.float32) if image.dtype.kind == "u" else (dtype,):
        found = [cf.apply(image, spec, **how, dtype=out, threads=threads) for threads in (1, 2)]
        assert found[0].tobytes() == found[1].tobytes()
        if np.dtype(out).kind == "f":
            np.testing.assert_allclose(found[0][present], values[present].astype(out), rtol=2e-7)
        else:
            np.testing.assert_array_equal(found[0][present], reference.store(values[present], out))


@given(
    pictures.pictures(channels=(1, 2, 3)),
    st.sampled_from((3, 5)),
    pictures.pairs(st.sampled_from(pictures.MODES)),
    st.tuples(st.integers(1, 3), st.sampled_from((1, 1, 2))),
    st.tuples(st.integers(1, 3), st.integers(1, 3)),
    st.sampled_from((0.02, 0.3, 0.9)),
    st.booleans(),
)
def test_medians_of_rows_of_any_geometry(image, side, mode, stride, dilation, share, fill):
    """Rows are long enough for the loops that read them as they are."""
    image = np.concatenate([image] * -(-(64 + image.shape[1]) // image.shape[1]), axis=1)
    rng = np.random.default_rng(image.size)
    counts = rng.random(image.shape[:2]) >= share
    counts[: len(counts) // 2] |= rng.random() < 0.5
    how = {"padding_mode": mode, "stride": stride, "dilation": dilation}
    values, present = reference.valid_percentile(image, counts, (side, side), **how)
    if not fill:
        present &= reference.centre(counts, (side, side), padding_value=1, **how)
    expected = np.where(present[..., np.newaxis], reference.store(values, image.dtype), 0)
    if image.dtype.kind == "f":
        expected[~present] = np.nan
    found = cf.median(image, side, mask=counts, fill=fill, **how)
    np.testing.assert_array_equal(found, expected)


#: Real samples of all kinds but NaN.
REALS = np.array([-np.inf, -3e38, -1.5, -1e-45, -0.0, 0.0, 1e-45, 0.1, 3e38, np.inf], np.float32)


@pytest.mark.parametrize("side", [3, 5])
@pytest.mark.parametrize("with_nan", [False, True])
@pytest.mark.parametrize("threads", [1, 2])
def test_medians_of_real_samples_are_exact(side, with_nan, threads):
    """NaNs are ignored pixels, or valid ones of a few rows; sums do not overflow."""
    image = RNG.choice(REALS, (150, 90, 3))
    counts = RNG.random(image.shape[:2]) >= 0.4
    image[~counts] = np.nan
    if with_nan:
        image[7, 30], counts[7, 30] = np.nan, True
    values, present = reference.valid_percentile(image, counts, (side, side))
    found = cf.median(image, side, mask=counts, fill=True, threads=threads)
    expected = np.where(present[..., np.newaxis], values, np.nan).astype(np.float32)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("side", [3, 5])
def test_medians_of_zeros_of_both_signs_are_those_without_a_mask(side):
    image, counts = RNG.choice(REALS, (90, 90, 3)), np.ones((90, 90), bool)
    counts[0] = False
    found, plain = cf.median(image, side, mask=counts), cf.median(image, side)
    assert found[side:].tobytes() == plain[side:].tobytes()


def large_with_holes(dtype, channels=3):
    """A picture of several patches, some of them without a hole."""
    image = np.clip(RNG.normal(150, 40, (700, 1500, channels)), 0, 255).astype(dtype)
    counts = np.ones((700, 1500), bool)
    counts[5, 7] = counts[239, 900] = False
    counts[150:230, 600:700] = RNG.random((80, 100)) > 0.4
    return image, counts


@pytest.mark.parametrize(("dtype", "channels"), [(np.uint8, 3), (np.uint16, 1), (np.float32, 1)])
@pytest.mark.parametrize(
    "spec",
    [
        "gaussian:2",
        "gaussian:9",
        "box:7x3,stride=2x3,padding_mode=wrap",
        "gaussian:1.5,padding_mode=constant,padding_value=9",
        "kernel:1 2 1; 0 3 0; 1 1 1,dilation=2,padding_mode=reflect",
        "median:5",
        "bilateral:1.5,0.2",
    ],
)
@pytest.mark.parametrize("fill", [False, True])
def test_rectangles_without_holes_are_filtered_like_pictures_without_a_mask(dtype, channels, spec, fill, monkeypatch):
    image, counts = large_with_holes(dtype, channels)
    results = [cf.apply(image, spec, mask=counts, fill=fill, threads=threads) for threads in (1, 2)]
    assert results[0].tobytes() == results[1].tobytes()
    with monkeypatch.context() as patch:
        patch.setattr(patches, "MOST_MASKED", -1)  # all of it with the mask as alpha
        patch.setattr(Held, "are_valid", lambda self, runs: False)
        weighted = cf.apply(image, spec, mask=counts, fill=fill)
    if dtype == np.float32:
        np.testing.assert_allclose(results[0], weighted, rtol=2e-5)
    else:
        apart = np.abs(results[0].astype(np.int64) - weighted)
        assert apart.max() <= 1 and np.count_nonzero(apart) <= 0.01 * apart.size
    plain = cf.apply(image, spec)
    far = np.s_[-plain.shape[0] // 4 : -plain.shape[0] // 12, : plain.shape[1] // 4]  # from every hole
    assert results[0][far].tobytes() == plain[far].tobytes()


@pytest.mark.parametrize("spec", ["kernel:0 -1 0; -1 6 -1; 0 -1 0", "avgpool:4"])
def test_results_that_are_clipped_and_small_ones_are_weighted_as_a_whole(spec):
    image, counts = large_with_holes(np.float32)
    result = cf.apply(image, spec, mask=counts, fill=True)
    plain = cf.apply(image, spec)
    far = np.s_[-plain.shape[0] // 4 : -plain.shape[0] // 12, : plain.shape[1] // 4]
    np.testing.assert_allclose(result[far], plain[far], rtol=1e-5)


def test_samples_that_are_clipped_are_counted_without_those_of_holes():
    image, counts = large_with_holes(np.uint8)
    image[counts] = 100
    stages = stack.stages(["kernel:0 -1 0; -1 6 -1; 0 -1 0"])
    for value, clipped in ((100, 0), (250, 99 * 3)):
        image[300, 201:300] = value
        result, _ = run_masked(stages, image, counts)
        assert result.clipped == clipped


def test_nothing_changes_where_all_pixels_count():
    for image in (picture(np.uint8, 3), picture(np.uint16), picture()):
        for name in ("gaussian:2", "box:5", "median:3", "sobel:x", "erode:3", "relu"):
            plain, masked = cf.apply(image, name), cf.apply(image, name, mask=np.ones(SHAPE))
            assert np.abs(plain.astype(np.float64) - masked).max() <= (1 if image.dtype != np.float32 else 1e-3)


def test_transparent_pixels_stay_transparent():
    image = picture(np.uint8, 4)
    counts = holes()
    image[..., 3] = np.where(counts, 200, 0)
    result = cf.box_blur(image, 3, alpha=True, ignore="alpha=0")
    np.testing.assert_array_equal(result[..., 3], image[..., 3])
    for channel in range(3):
        values = np.rint(mean_of_nine(image[..., channel], counts))
        np.testing.assert_array_equal(result[..., channel], values)
    filled = cf.box_blur(image, 3, alpha=True, ignore="alpha=0", fill=True)
    assert (filled[..., 3][reference.correlate(counts * 1, np.ones((3, 3), int)) > 0] == 200).all()


@pytest.mark.parametrize(
    ("keywords", "words"),
    [
        ({"mask": np.ones((3, 4))}, "the mask must be as large as the picture, 21x17, got 4x3"),
        ({"mask": np.ones((17, 21, 3))}, r"the mask must have two axes, rows and columns, got the shape \(17, 21, 3\)"),
        ({"ignore": "alpha=0"}, "ignore alpha=0 needs a picture with alpha"),
        ({"ignore": "black"}, "ignore must be a number, nan or alpha=0, got 'black'"),
        ({"ignore": []}, r"ignore must be a number, nan or alpha=0, got \[\]"),
        ({"ignore": [1, 2]}, r"ignore must be a number, nan or alpha=0, got \[1, 2\]"),
        ({"ignore": 1j}, "ignore must be a number, nan or alpha=0, got 1j"),
        ({"ignore": "nodata"}, "ignore nodata is for files"),
        ({"ignore": 0, "algorithm": "direct"}, "leave out algorithm"),
    ],
)
def test_stages_without_ignored_pixels_are_refused(keywords, words):
    with pytest.raises(ParameterError, match=words):
        cf.box_blur(picture(), 3, **keywords)


def test_files_with_masks_and_nodata(tmp_path, capsys):
    tifffile = pytest.importorskip("tifffile")
    image, counts = picture(), holes()
    wild = np.where(counts, image, -9999).astype(np.float32)
    tifffile.imwrite(tmp_path / "in.tif", wild, extratags=[(42113, "s", 0, "-9999", True)])
    cf.write(str(tmp_path / "mask.png"), np.where(counts, np.uint8(255), np.uint8(0)))
    asked = cf.gaussian_blur(wild, 1, ignore=-9999)

    def done(*options):
        names = str(tmp_path / "in.tif"), str(tmp_path / "out.tif")
        return run(["blur", "--gaussian", "1", "--overwrite", *options, *names]), tmp_path / "out.tif"

    for options in (("--ignore", "-9999"), ("--ignore", "nodata")):
        status, out = done(*options)
        assert status == 0
        np.testing.assert_array_equal(tifffile.imread(out), asked)
    status, out = done("--mask", str(tmp_path / "mask.png"), "--fill")
    assert status == 0
    np.testing.assert_array_equal(tifffile.imread(out), cf.gaussian_blur(wild, 1, mask=counts, fill=True))
    capsys.readouterr()
    for options, words in (
        (("--fill",), "--fill computes ignored pixels; select them by --ignore or --mask"),
        (("--ignore", "0", "--algorithm", "direct"), "--algorithm: ignored pixels need an algorithm of their own"),
        (("--ignore", "none"), "must be a number, nan, nodata or alpha=0, got 'none'"),
        (("--ignore", "alpha=0"), "needs a picture with alpha"),
        (("--mask", str(tmp_path / "no.png")), "no.png"),
    ):
        assert done(*options)[0] in (1, 2)
        assert words in capsys.readouterr().err


@pytest.mark.parametrize("options", [(), ("--linear",)], ids=["streamed", "held"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64])
def test_results_that_have_the_nodata_value_are_counted(tmp_path, capsys, options, dtype):
    """They are missing for every program that reads the file."""
    tifffile = pytest.importorskip("tifffile")
    image = np.array([[0, 0, 9, 9, 9, 9, 5]] * 40, dtype)
    names = str(tmp_path / "in.tif"), str(tmp_path / "out.tif")
    for nodata, words in (("0", "80 results have the nodata value, 0, and will be taken for missing"), ("-1", "")):
        tifffile.imwrite(names[0], image, extratags=[(42113, "s", 0, nodata, True)], photometric="minisblack")
        assert run(["apply", "-f", "kernel:1 0 -1,map=abs", "--ignore", "nodata", "-y", *options, *names]) == 0
        said = capsys.readouterr().err
        assert words in said and ("nodata" in said) == bool(words)
    assert run(["apply", "-f", "kernel:1 0 -1,map=abs", "--ignore", "0", "-y", *names]) == 0
    assert "nodata" not in capsys.readouterr().err


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize(
    ("specs", "keywords"),
    [
        (["gaussian:2", "median:3"], {"ignore": 0}),
        (["box:3,stride=2", "sobel:magnitude"], {"mask": "array", "fill": True}),
        (["canny:1,0.1,0.3", "dilate:3"], {"mask": "dask"}),
        (["guided:2", "tophat:3"], {"mask": "dask", "gray": True}),
        (["avgpool:3,padding=1", "kernel:1 2 -1"], {"ignore": "alpha=0", "alpha": True}),
    ],
)
def test_chunks_leave_out_the_same_pixels(specs, keywords, dtype, monkeypatch):
    array = pytest.importorskip("dask.array")
    from convfilter import dask

    monkeypatch.setattr(bands, "ROWS", 8)
    monkeypatch.setattr(bands, "SPANS", (1, 1))
    rng = np.random.default_rng(3)
    image = rng.integers(0, 256, (130, 41, 4 if keywords.get("alpha") else 3)).astype(dtype)
    image[20:40, 10:30] = 0
    counts = rng.random(image.shape[:2]) > 0.02
    of_array, of_chunks = dict(keywords), dict(keywords)
    if "mask" in keywords:
        of_array["mask"] = of_chunks["mask"] = counts
        if keywords["mask"] == "dask":
            of_chunks["mask"] = array.from_array(counts, chunks=17)
    result = dask.apply(array.from_array(image, chunks=(30, 20, 2)), *specs, **of_chunks)
    expected = cf.apply(image, *specs, **of_array)
    assert (result.shape, result.dtype) == (expected.shape, expected.dtype)
    assert "canny:1,0.1,0.3" in specs or result.npartitions > 1
    np.testing.assert_array_equal(result.compute(scheduler="threads"), expected)


@pytest.mark.parametrize(
    ("keywords", "words"),
    [
        ({"mask": np.ones((3, 4))}, "mask must be as large as the picture, 9x8, got 4x3"),
        ({"ignore": "alpha=0"}, "needs a picture with alpha"),
        ({"ignore": 0, "algorithm": "direct"}, "leave out algorithm"),
    ],
)
def test_chunks_refuse_what_arrays_refuse(keywords, words):
    array = pytest.importorskip("dask.array")
    from convfilter import dask

    with pytest.raises(ParameterError, match=words):
        dask.apply(array.zeros((8, 9), dtype="u1"), "box:3", **keywords)


def test_a_previewed_region_leaves_out_the_same_pixels(tmp_path):
    from convfilter.executor.masked import Masking
    from convfilter.picture.read import opened
    from convfilter.pipeline import Options
    from convfilter.pipeline.job import Job

    image = picture(np.uint8)
    cf.write(str(tmp_path / "in.png"), image)
    with opened(str(tmp_path / "in.png")) as read:
        job = Job(read, None, stack.stages(["box:5"]), Options(["box:5"], masking=Masking(None, holes())))
        job.decode()
        job.plan()
        np.testing.assert_array_equal(job.rectangle((3, 9), (2, 15)), job.rectangle((0, 17), (0, 21))[3:9, 2:15])


def test_a_value_is_put_into_any_array_where_pixels_do_not_count():
    valid = RNG.random((9, 11)) < 0.7
    for dtype in (np.uint8, np.int8, np.int16, np.uint32, np.float32, np.float64):
        for pixels in (np.ones((9, 11, 4), dtype), np.ones((9, 4, 11), dtype).transpose(0, 2, 1)):
            expected = pixels.copy()
            expected[~valid, :3] = 7
            assert put(pixels, valid, 7.0, colours=True) is pixels
            np.testing.assert_array_equal(pixels, expected)


def test_ignored_samples_of_whole_numbers_have_no_effect_whatever_they_are():
    image = np.full((300, 700), 100, np.int16)
    image[20:24, 30:40] = image[200, 600] = -9999
    before = image.copy()
    for spec in (
        "gaussian:2",
        "unsharp:2",
        "box:5",
        "median:5",
        "bilateral:1.5,0.1",
        "dilate:3",
        "sobel:x",
        "gaussian:9",
    ):
        result = cf.apply(image, spec, ignore=-9999)
        flat = 0 if spec == "sobel:x" else 100
        assert set(np.unique(result).tolist()) == {-9999, flat}, spec
        np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32])
def test_a_sharpened_pixel_must_be_valid_itself(dtype):
    """Without it, the other weights, which are negative, would be left: there is no mean, also with ``fill``."""
    image, valid = np.full(SHAPE, 100, dtype), holes()
    image[~valid] = 7
    result = cf.apply(image, "unsharp:1,amount=2", ignore=7, fill=True)
    np.testing.assert_array_equal(result, image)
    alone = cf.apply(image, "unsharp:1", mask=valid, fill=True)
    np.testing.assert_array_equal(alone, np.where(valid, 100, np.nan if dtype == np.float32 else 0))


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32])
@pytest.mark.parametrize("channels", [0, 4])
def test_the_range_of_normalize_is_that_of_valid_pixels(dtype, channels):
    image, valid = picture(dtype, channels), holes()
    image[valid] = np.clip(image[valid], 110, 200)
    image[~valid] = 3
    given = image.copy()
    alpha = {"alpha": True} if channels else {}
    result = cf.apply(image, "normalize", mask=valid, **alpha)
    flat = image.copy()
    flat[~valid] = image[valid][0]
    expected = cf.apply(flat, "normalize", **alpha)
    np.testing.assert_array_equal(result[valid], expected[valid])
    colours = result[~valid][..., :3] if channels else result[~valid]
    assert np.isnan(colours).all() if dtype == np.float32 else (colours == 0).all()
    np.testing.assert_array_equal(image, given)
    nothing = cf.apply(image, "normalize", mask=np.zeros_like(valid), **alpha)
    assert nothing.shape == image.shape


KERNELS = [
    "gaussian:1.5",
    "box:5x3,stride=2",
    "avgpool:3",
    "kernel:1 2; 3 5,padding_mode=wrap",
    "kernel:1 2; 4 5,scale=2",
]


@pytest.mark.parametrize("gray", [False, True])
@pytest.mark.parametrize("spec", KERNELS)
def test_premultiplied_pictures_get_the_sums_of_straight_ones(spec, gray):
    rng = np.random.default_rng(7)
    straight = rng.random((21, 26, 4)) * 0.9 + 0.1
    premultiplied = straight * np.where(np.arange(4) < 3, straight[..., 3:], 1)
    how = {"mask": rng.random((21, 26)) > 0.3, "fill": True, "alpha": True, "gray": gray}
    expected = cf.apply(straight, spec, **how)
    expected[..., :-1] *= expected[..., -1:]
    found = cf.apply(premultiplied, spec, **how, premultiplied=True)
    np.testing.assert_allclose(found, expected, atol=1e-9)


#: Offsets, which are weighted with alpha; and ranks and extremes, whose alpha is no mean.
OTHERS = [
    "gaussian:2,offset=0.1",
    "gaussian:1,map=offset,scale=0.5",
    "kernel:1 2 1; 2 5 2; 1 2 1,offset=-0.01,scale=1/20",
    "avgpool:3,offset=0.1",
    "minpool:2,offset=0.1",
    "erode:3,scale=0.5",
    "dilate:3",
    "median:3",
    "percentile:5x3,p=0.3,offset=0.1",
    "bilateral:1.5,0.2",
    "unsharp:1,amount=0.2",
    "tophat:3,offset=0.1",
]


def transparent_in_places(dtype):
    """A picture of both forms, straight and premultiplied, as real numbers and stored; some pixels have alpha 0."""
    rng = np.random.default_rng(12)
    real = rng.random((21, 26, 4)) * 0.4 + 0.2
    real[rng.random((21, 26)) > 0.85] = 0
    multiplied = real * np.where(np.arange(4) < 3, real[..., 3:], 1)
    return (each if dtype == np.float64 else reference.store(each * 65535, dtype) for each in (real, multiplied))


@pytest.mark.parametrize("spec", OTHERS)
@pytest.mark.parametrize("dtype", [np.float64, np.uint16])
def test_one_picture_gives_the_same_in_both_forms(spec, dtype):
    straight, multiplied = transparent_in_places(dtype)
    how = {"mask": np.random.default_rng(9).random((21, 26)) > 0.2, "fill": True, "alpha": True}
    full = 1 if dtype == np.float64 else 65535
    expected = cf.apply(straight, spec, **how) / full
    expected[..., :-1] *= expected[..., -1:]
    found = [cf.apply(multiplied, spec, **how, premultiplied=True, threads=n) for n in (1, 2)]
    assert found[0].tobytes() == found[1].tobytes()
    np.testing.assert_allclose(found[0] / full, expected, atol=1e-9 if full == 1 else 6 / full)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32])
@pytest.mark.parametrize("premultiplied", [False, True])
@pytest.mark.parametrize("padding_mode", ["edge", "wrap", "constant"])
@pytest.mark.parametrize("spec", ["erode:3", "dilate:3", "minpool:3", "maxpool:3"])
def test_extremes_with_alpha_are_those_of_valid_pixels(spec, padding_mode, premultiplied, dtype):
    rng, counts, full = np.random.default_rng(10), holes(), full_scale(dtype)
    image = rng.integers(60, 250, (*SHAPE, 4)).astype(dtype)
    if dtype != np.uint8:  # a maximum of negative colours is below the 0 of a transparent pixel
        image[..., :3] = -100 * image[..., :3]
    image[..., 3] = rng.integers(1, min(full, 500) + 1, SHAPE)
    image[3, 3] = np.iinfo(dtype).min if dtype == np.int16 else image[3, 3]
    image[3, 3, 3] = full
    largest, pools = spec.startswith(("dilate", "max")), "pool" in spec
    neutral = -np.inf if largest else np.inf

    def extreme(samples):
        there = np.where(counts[..., np.newaxis], samples, neutral)
        mode = {"padding_mode": "constant", "padding_value": neutral} if pools else {"padding_mode": padding_mode}
        return reference.extreme(there, 3, largest, padding=1, **mode)

    samples = reference.real(image)
    alpha = extreme(samples[..., 3:])
    colours = samples[..., :3] if premultiplied else samples[..., :3] * samples[..., 3:]
    shares = 1 if premultiplied else np.where(alpha > 0, alpha, np.inf)
    with np.errstate(invalid="ignore"):
        expected = np.concatenate([extreme(colours) / shares, alpha], axis=2)
    expected[~np.isfinite(alpha[..., 0])] = np.nan, np.nan, np.nan, 0
    how = {"stride": 1, "padding": 1} if pools else {"padding_mode": padding_mode}
    found = cf.apply(
        image, spec + "".join(f",{name}={value}" for name, value in how.items()), mask=counts, fill=True, alpha=True,
        premultiplied=premultiplied, dtype=np.float64,
    )  # fmt: skip
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("spec", KERNELS)
def test_colours_and_alpha_far_from_holes_are_those_without_a_mask(spec):
    picture = np.random.default_rng(8).random((21, 26, 4)) * 0.9 + 0.1
    mask = np.ones((21, 26))
    mask[19, 22] = 0
    found = cf.apply(picture, spec, mask=mask, fill=True, alpha=True)
    np.testing.assert_allclose(found[:4], cf.apply(picture, spec, alpha=True)[:4], atol=1e-12)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("spec", ["gaussian:1", "sobel:x", "median:3,scale=-0.5", "erode:3,offset=0.2"])
@pytest.mark.parametrize("fill", [False, True])
def test_stretch_takes_the_range_of_valid_results(spec, dtype, fill):
    image, counts = picture(dtype, 3), holes()
    image[~counts] = np.iinfo(dtype).max if dtype != np.float32 else np.nan
    how = {"mask": counts, "fill": fill}
    real = cf.apply(image, spec, **how, dtype=np.float64)
    valid = cf.apply(np.zeros(SHAPE, np.float32), spec.split(",")[0], **how, ignore=np.nan) == 0
    low, high = real[valid].min(), real[valid].max()
    full = reference.full_scale(image.dtype)
    expected = np.where(valid[..., np.newaxis], (real - low) / (high - low) * full, 0)
    found = cf.apply(image, f"{spec},map=stretch", **how)
    np.testing.assert_allclose(np.nan_to_num(found), expected, atol=0.51 if full > 1 else 1e-5)
    unmasked = cf.apply(np.abs(image), f"{spec},map=stretch", mask=np.ones(SHAPE))
    if dtype != np.float32:
        plain = cf.apply(image, f"{spec},map=stretch")
        np.testing.assert_allclose(unmasked, plain, atol=1)


@pytest.mark.parametrize("how", [{}, {"gray": True}])
def test_stretch_with_alpha_is_that_without_a_mask_where_all_pixels_count(how):
    image = picture(np.uint16, 4)
    for spec in ("gaussian:1,map=stretch", "sobel:x,map=stretch", "median:3,map=stretch"):
        plain = cf.apply(image, spec, alpha=True, **how)
        masked = cf.apply(image, spec, alpha=True, mask=np.ones(SHAPE), **how)
        np.testing.assert_allclose(masked, plain, atol=1)


def test_stretch_of_premultiplied_colours_is_refused():
    with pytest.raises(ParameterError, match="map=stretch of premultiplied colours cannot leave out pixels"):
        cf.apply(picture(np.uint16, 4), "box:3,map=stretch", alpha=True, premultiplied=True, mask=holes())


def test_stretch_of_equal_results_is_0():
    """Rounding errors of sums must not be stretched."""
    image = np.full(SHAPE, 0.3, np.float32)
    assert not cf.apply(image, "gaussian:2,map=stretch", mask=np.where(holes(), 1, 0), fill=True).any()


@pytest.mark.parametrize("ignore", [300.5, -1, 256, np.nan])
def test_pixels_without_a_result_are_0_where_the_type_cannot_hold_the_ignored_value(ignore):
    valid = np.ones((20, 31), bool)
    valid[3:9, 5:12] = False
    image = RNG.integers(1, 256, (20, 31, 3), np.uint8)
    result = cf.apply(image, "box:3", mask=valid, ignore=ignore)
    np.testing.assert_array_equal(result, cf.apply(image, "box:3", mask=valid))
    assert not result[~valid].any()
    real = cf.apply(image, "box:3", mask=valid, ignore=ignore, dtype=np.float32)
    np.testing.assert_array_equal(real[~valid], ignore)


STACKS = [
    ["gaussian:2"],
    ["gaussian:5,stride=2", "median:3"],
    ["box:5,padding_mode=reflect", "open:3", "sobel:x,map=abs"],
    ["gaussian:1,padding_mode=constant,padding_value=30", "maxpool:2"],
    ["kernel:1 2 0; 0 1 1,padding=full", "unsharp:1"],
    ["bilateral:1,0.3", "avgpool:3"],
    ["kernel:1 2 1,stride=3,padding_mode=symmetric"],
    ["box:1x3,padding=0,0,0,2,padding_mode=wrap"],
    ["canny:0.7,0.1,0.5"],
    ["wrap"],
]


def of_files(folder, image, specs, *options):
    """Filter a file; return the result."""
    cf.write(str(folder / "in.png"), image)
    filters = [word for spec in specs for word in ("-f", spec)]
    names = str(folder / "in.png"), str(folder / "out.png")
    assert run(["apply", *filters, "--overwrite", "-v", *options, *names]) == 0
    return np.asarray(cf.read(str(folder / "out.png")))


@pytest.mark.parametrize("fill", [False, True])
@pytest.mark.parametrize("channels", [0, 3, 4])
@pytest.mark.parametrize("specs", STACKS)
def test_rows_of_files_go_through_some_bands_at_a_time(tmp_path, capsys, monkeypatch, specs, channels, fill):
    monkeypatch.setattr(bands, "ROWS", 8)
    monkeypatch.setattr(bands, "SPANS", (1, 1))
    rng = np.random.default_rng(3)
    shape = (130, 37)
    image = rng.integers(1, 256, (*shape, channels) if channels else shape, dtype=np.uint8)
    counts = rng.random(shape) > 0.1
    counts[40:70, 5:20] = False
    image[~counts] = 0
    alpha = channels == 4
    whole = specs == ["wrap"]
    specs = ["box:3,padding_mode=wrap"] if whole else specs
    cf.write(str(tmp_path / "mask.png"), np.where(counts, np.uint8(255), np.uint8(0)))
    asked = cf.apply(image, *specs, mask=counts, fill=fill, alpha=alpha)
    filled = ["--fill"] * fill
    for threads in ("1", "3"):
        how = [*filled, "--threads", threads]
        found = of_files(tmp_path, image, specs, "--mask", str(tmp_path / "mask.png"), *how)
        np.testing.assert_array_equal(found, asked)
        assert ("input not streamed: padding_mode=wrap reads the last rows first" in capsys.readouterr().err) == whole
        ignored = "alpha=0" if alpha else "0"
        np.testing.assert_array_equal(of_files(tmp_path, image, specs, "--ignore", ignored, *how), asked)
    monkeypatch.undo()
    apart = np.abs(cf.apply(image, *specs, mask=counts, fill=fill, alpha=alpha).astype(int) - asked)
    assert apart.max() <= 1 and np.count_nonzero(apart) <= 0.01 * apart.size


@pytest.mark.parametrize(
    "specs",
    [
        ["box:3", "median:5,padding_mode=wrap"],
        ["box:3", "kernel:1 2 1,stride=9"],
        ["median:3,stride=2", "erode:1,stride=5", "box:3,padding_mode=wrap"],
    ],
)
def test_a_stack_in_bands_is_its_stages_one_after_another(monkeypatch, specs):
    monkeypatch.setattr(bands, "ROWS", 8)
    monkeypatch.setattr(bands, "SPANS", (1, 1))
    rng = np.random.default_rng(7)
    image = rng.random((230, 17))
    image[rng.random(image.shape) < 0.1] = np.nan
    step = image
    for spec in specs:
        step = cf.apply(step, spec, ignore=np.nan)
    for threads in (1, 3):
        np.testing.assert_array_equal(cf.apply(image, *specs, ignore=np.nan, threads=threads), step)


@pytest.mark.parametrize(
    "specs",
    [
        ["box:3", "canny:0.6,0.01,0.05", "dilate:3"],
        ["guided:2", "median:3"],
        ["guided:3,stride=3,dilation=2,padding_mode=reflect"],
        ["tophat:5", "box:3"],
        ["tophat:4x3,padding=full,padding_mode=reflect"],
    ],
)
def test_filters_of_several_passes_go_through_bands(tmp_path, capsys, monkeypatch, specs):
    rng = np.random.default_rng(3)
    image = rng.integers(1, 256, (130, 37, 3), dtype=np.uint8)
    image[40:70, 5:20] = image[100, 30] = 0
    asked = cf.apply(image, *specs, ignore=0)
    monkeypatch.setattr(bands, "ROWS", 8)
    monkeypatch.setattr(bands, "SPANS", (1, 1))
    monkeypatch.setattr(masked_canny, "PIXELS", 1000)
    for threads in ("1", "3"):
        np.testing.assert_array_equal(of_files(tmp_path, image, specs, "--ignore", "0", "--threads", threads), asked)
        assert "streamed" not in capsys.readouterr().err


def expected_canny(plane, sigma, low, high, counts, fill):
    """Canny's edges of one channel, from the unsmoothed edges of the smoothed picture, and where they are valid."""
    smoothed, has_values = reference.smoothed_valid(plane, sigma, counts)
    inner = ndimage.minimum_filter(has_values if fill else counts, 3, mode="nearest")
    strong, ridges = ((cf.canny(smoothed, 0, each, each) > 0) & inner for each in (high, low))
    labels, _ = ndimage.label(ridges, np.ones((3, 3)))
    return np.isin(labels, np.unique(labels[strong])) & ridges, has_values if fill else inner


@given(
    st.tuples(st.integers(1, 90), st.integers(1, 40), st.sampled_from((0, 3))),
    st.sampled_from((0.0, 0.2, 0.6, 1.0, 2.3)),
    st.sampled_from((0.0, 0.1, 0.5, 0.98)),
    st.booleans(),
    st.integers(0, 2**32 - 1),
)
def test_edges_are_those_of_the_picture_smoothed_without_the_ignored_pixels(shape, sigma, share, fill, seed):
    rng = np.random.default_rng(seed)
    image = rng.random(shape if shape[2] else shape[:2]).astype(np.float32)
    counts = rng.random(shape[:2]) >= share
    counts[20:45, 3:30] = False
    image[~counts] = np.nan
    edges, valid = zip(
        *(expected_canny(plane, sigma, 0.1, 0.5, counts, fill) for plane in np.moveaxis(np.atleast_3d(image), 2, 0)),
        strict=True,
    )
    expected = np.where(valid, edges, np.nan).transpose(1, 2, 0).reshape(image.shape).astype(np.float32)
    with pytest.MonkeyPatch.context() as patch:
        for rows in (256, 8):
            patch.setattr(bands, "ROWS", rows)
            patch.setattr(bands, "SPANS", (1, 1))
            for threads in (1, 3):
                found = cf.canny(image, sigma, 0.1, 0.5, ignore=np.nan, fill=fill, threads=threads)
                np.testing.assert_array_equal(found, expected)


def test_edges_are_found_between_scattered_holes():
    """Where smoothing needed its whole window, one pixel in ten left none of a picture."""
    image = np.zeros((60, 80), np.float32)
    image[:, 40:] = 1
    counts = np.random.default_rng(2).random(image.shape) > 0.1
    image[~counts] = np.nan
    for fill, least in ((False, 10), (True, 58)):
        edges = cf.canny(image, 2, ignore=np.nan, fill=fill)
        valid = ~np.isnan(edges)
        np.testing.assert_array_equal(valid, fill | ndimage.minimum_filter(counts, 3, mode="nearest"))
        places = np.argwhere(edges == 1)[:, 1]
        assert places.size >= least and np.abs(places - 39.5).max() < 2


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("gray", [False, True])
def test_edges_of_transparent_pictures_weight_colours_by_alpha_and_leave_out_ignored_pixels(dtype, gray):
    rng = np.random.default_rng(8)
    full = full_scale(np.dtype(dtype))
    image = (rng.random((60, 50, 4)) * full).astype(dtype)
    counts = rng.random(image.shape[:2]) > 0.2
    counts[10:35, 10:40] = False
    black = reference.real(image[..., :3]) * (reference.real(image[..., 3:]) / full)
    planes = [black @ [0.299, 0.587, 0.114]] if gray else list(np.moveaxis(black, 2, 0))
    for fill in (False, True):
        found = cf.canny(image, 1, 0.1, 0.3, mask=counts, fill=fill, alpha=True, gray=gray)
        for channel, plane in enumerate(planes):
            edges, valid = expected_canny(plane / full, 1, 0.1, 0.3, counts, fill)
            np.testing.assert_array_equal(found[valid, channel], edges[valid] * full)
        means, _ = reference.smoothed_valid(reference.real(image[..., 3]), 1, counts)
        alpha = np.where(counts, image[..., 3], means if dtype == np.float32 else np.rint(means))
        np.testing.assert_allclose(found[valid, -1], alpha[valid], rtol=1e-6)
        empty = found[~valid]
        assert empty.size and not np.nan_to_num(empty).any()


@pytest.mark.parametrize("spec", ["canny:1,0.05,0.2", "guided:2", "guided:2,padding_mode=reflect,stride=2", "tophat:5"])
def test_files_of_words_and_alpha_have_the_bytes_of_arrays(tmp_path, monkeypatch, spec):
    monkeypatch.setattr(bands, "ROWS", 8)
    monkeypatch.setattr(bands, "SPANS", (1, 1))
    image = np.random.default_rng(3).integers(1, 2**16, (150, 37, 4)).astype(np.uint16)
    image[40:70, 5:20, 3] = image[100, 30, 3] = 0
    found = of_files(tmp_path, image, [spec], "--ignore", "alpha=0")
    np.testing.assert_array_equal(found, cf.apply(image, spec, ignore="alpha=0", alpha=True))
    assert found[..., :3].any()


def test_a_guide_is_cut_with_the_bands(monkeypatch):
    monkeypatch.setattr(bands, "ROWS", 8)
    monkeypatch.setattr(bands, "SPANS", (1, 1))
    rng = np.random.default_rng(3)
    image, guide = rng.random((300, 37)).astype(np.float32), rng.random((300, 37, 3)).astype(np.float32)
    counts = np.ones(image.shape, bool)
    counts[40, 5] = counts[250, 30] = False
    stages = [replace(stack.stage("guided:2"), operator=Guided(2, 0.01, guide))]
    found = run_masked(stages, image, counts, threads=2)[0].pixels
    expected = reference.guided(image, counts, 2, 0.01, guide)
    np.testing.assert_allclose(found[counts], expected[counts], atol=1e-6)
    assert not found[~counts].any()


def test_few_rows_are_held_at_a_time(monkeypatch):
    monkeypatch.setattr(bands, "ROWS", 8)
    image = np.random.default_rng(4).integers(0, 9, (400, 30, 2), dtype=np.uint8)
    source, written = LazyRows(image.shape, image.dtype, lambda: iter(np.split(image, 100))), []
    stages = masked_stages(
        stack.stages(["box:3", "median:3"]), image.shape, image.dtype, fill=False, out_dtype=None, alpha=False,
        premultiplied=False, gray=False, white=None, out_white=None,
    )  # fmt: skip
    masking, read = Masking(ignore=0), []

    def judge(pixels, first):
        read.append(first + len(pixels))
        return masking.valid(False, pixels, first)

    def write(pixels, valid):
        written.append(pixels.copy())
        assert read[-1] <= sum(map(len, written)) + 60

    run_banded_rows(stages, source, judge, write, threads=2)
    np.testing.assert_array_equal(np.concatenate(written), cf.apply(image, "box:3", "median:3", ignore=0))


@pytest.mark.parametrize("most", [1, 2**24])
@pytest.mark.parametrize("first", [(), ("box:3",), ("maxpool:2,stride=3",)])
@pytest.mark.parametrize(
    "spec", ["maxpool:2,stride=5", "avgpool:3,stride=11", "kernel:1 2,stride=7", "median:3,stride=20", "box:9"]
)
def test_rows_between_windows_are_passed_over(spec, first, most, monkeypatch):
    monkeypatch.setattr(bands, "ROWS", 8)
    monkeypatch.setattr(bands, "SPANS", (1, 1))
    monkeypatch.setattr(masked_rows, "MOST_BYTES", most)
    image = np.random.default_rng(4).integers(0, 9, (400, 30, 2), dtype=np.uint8)
    source, written = LazyRows(image.shape, image.dtype, lambda: iter(np.split(image, 100))), []
    stages = masked_stages(
        stack.stages([*first, spec]), image.shape, image.dtype, fill=False, out_dtype=None, alpha=False,
        premultiplied=False, gray=False, white=None, out_white=None,
    )  # fmt: skip
    judge = partial(Masking(ignore=0).valid, False)
    run_banded_rows(stages, source, judge, lambda rows, _: written.append(rows.copy()), threads=2)
    np.testing.assert_array_equal(np.concatenate(written), cf.apply(image, *first, spec, ignore=0))


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize(
    "spec",
    ["gaussian:2", "gaussian:20,stride=2", "box:11", "avgpool:5,stride=1", "maxpool:7", "guided:16", "tophat:disk:7"],
)
def test_bands_of_large_pictures_are_much_lower_than_the_picture(spec, dtype):
    (stage,) = masked_stages(
        stack.stages([spec]), (8160, 12288, 3), np.dtype(dtype), fill=False, out_dtype=None, alpha=False,
        premultiplied=False, gray=False, white=None, out_white=None,
    )  # fmt: skip
    assert stage.streaming_obstacle == ""
    assert max(last - first for first, last in stage.bands) <= stage.shape[0] / 8


def test_a_rank_of_a_single_pixel_is_that_pixel():
    image, mask = np.array([[172, 3, 9]], np.uint8), np.array([[1, 0, 1]], np.uint8)
    assert cf.median(image, 1, mask=mask).tolist() == [[172, 0, 9]]


def _whole_sums(samples, weights):
    """Return the integer sums of windows, with edge padding."""
    rows, cols = weights.shape
    padded = np.pad(samples, ((rows // 2,) * 2, (cols // 2,) * 2), "edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, weights.shape)
    return np.einsum("yxij,ij->yx", windows, weights)


@pytest.mark.parametrize("form", ["mask", "alpha"])
@pytest.mark.parametrize("weights", [[[1, 5, 1]], [[1, 2, 3], [2, 5, 2], [1, 2, 1]], [[2, 3, 2]], [[3, 8, 2, 8, 3]]])
def test_weighted_means_of_integers_round_once_whatever_the_sum_of_the_weights(weights, form):
    rng, weights = np.random.default_rng(5), np.array(weights, np.int64)
    total = int(weights.sum())
    samples = rng.integers(0, 255 // total, (60, 70), dtype=np.uint8)
    if form == "mask":
        opacities = rng.integers(0, 2, samples.shape)
        result = cf.convolve(samples, weights, mask=opacities, fill=True)
    else:
        opacities = rng.choice([0, 51, 85, 102, 170, 255], samples.shape)
        result = cf.convolve(np.dstack([samples, opacities.astype(np.uint8)]), weights, alpha=True)[..., 0]
    sums = _whole_sums(samples * opacities, weights) * total
    counts = _whole_sums(opacities, weights)
    valid = counts > 0
    quotient, rest = np.divmod(sums[valid], counts[valid])
    above = 2 * rest - counts[valid]
    expected = quotient + ((above > 0) | ((above == 0) & (quotient % 2 == 1)))
    assert np.count_nonzero(above == 0) > 0  # ties
    np.testing.assert_array_equal(result[valid], expected)
