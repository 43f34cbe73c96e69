"""The bilateral filter, against its formula in double precision, and OpenCV."""

import numpy as np
import pytest
import reference

import convfilter as cf
from convfilter.cli.root import run
from convfilter.errors import ParameterError
from convfilter.executor.run import run_array
from convfilter.filters import stack
from convfilter.planning import plan_stack

RNG = np.random.default_rng(12)


def picture(dtype, shape=(19, 37, 3)):
    """Noise on a slope and a step: some neighbours have similar values, some do not."""
    rows, cols = np.indices(shape[:2])
    base = (0.3 + 0.3 * (cols > 20) + 0.01 * rows)[(...,) + (np.newaxis,) * (len(shape) - 2)]
    values = np.clip(base + RNG.normal(0, 0.08, shape), 0, 1)
    if np.dtype(dtype).kind == "f":
        return values.astype(dtype)
    return np.rint(values * np.iinfo(dtype).max).astype(dtype)


def white(dtype):
    return 1.0 if np.dtype(dtype).kind == "f" else float(np.iinfo(dtype).max)


def expected(image, space, sigma_range, radius, **how):
    samples = np.atleast_3d(image).astype(np.float64)
    return reference.bilateral(samples, space, sigma_range * white(image.dtype), radius, **how).reshape(
        *reference_shape(samples, radius, how), *image.shape[2:]
    )


def reference_shape(samples, radius, how):
    sizes = {key: how[key] for key in ("stride", "dilation", "padding", "ceil") if key in how}
    return reference.output_shape(samples.shape, (2 * radius + 1,) * 2, **sizes)


ERRORS = {"uint8": 1e-3, "uint16": 1 / 16, "float32": 1e-6, "int16": 1e-3, "uint32": 1e-3, "float64": 1e-12}


@pytest.mark.parametrize("dtype", list(ERRORS))
@pytest.mark.parametrize(
    ("radius", "geometry"),
    [
        (4, {}),
        (2, {"stride": (2, 3), "padding_mode": "reflect"}),
        (1, {"dilation": (2, 3), "padding_mode": "wrap"}),
        (3, {"padding": "full", "padding_mode": "symmetric", "stride": 2, "dilation": (1, 2)}),
        (3, {"padding_mode": "constant", "padding_value": 3, "padding": ((2, 0), (1, 4))}),
        (2, {"padding": "valid", "stride": 3, "ceil": True}),
    ],
)
def test_means_are_those_of_the_formula(dtype, radius, geometry):
    for shape, distance in (((19, 37), "l1"), ((19, 37, 3), "l1"), ((19, 37, 3), "l2"), ((19, 37, 5), "l1")):
        image = picture(dtype, shape)
        values = expected(image, 1.7, 0.15, radius, squares=distance == "l2", **geometry)
        how = {"radius": radius, "distance": distance, **geometry}
        results = [cf.bilateral_filter(image, 1.7, 0.15, threads=threads, **how) for threads in (1, 2)]
        assert results[0].dtype == dtype and results[0].tobytes() == results[1].tobytes()
        off = np.abs(results[0].astype(np.float64) - values).max()
        assert off <= ERRORS[dtype] + (0.5 if np.dtype(dtype).kind in "ui" else 0)


def test_the_radius_is_three_sigmas_unless_it_is_given():
    image = picture(np.uint8)
    for sigma, radius in ((0.1, 1), (1.0, 3), (1.5, 5), (2.4, 7)):
        np.testing.assert_array_equal(
            cf.bilateral_filter(image, sigma), cf.bilateral_filter(image, sigma, radius=radius)
        )


def test_a_sigma_that_reaches_too_far_is_refused_with_a_way_out():
    image = picture(np.uint8)
    with pytest.raises(cf.ConvfilterError, match=r"reaches 600 pixels, and 500 is the most.*radius=500"):
        cf.bilateral_filter(image, 200.0)
    assert cf.bilateral_filter(image, 200.0, radius=2).shape == image.shape


@pytest.mark.peer("cv2")
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("d", "color", "space"), [(9, 75, 75), (5, 20.0, 1.2), (0, 30.0, 2.6), (1, 50.0, 3.0)])
def test_opencv_finds_the_same(channels, d, color, space):
    cv2 = pytest.importorskip("cv2")
    image = picture(np.uint8, (60, 70, 3) if channels == 3 else (60, 70))
    theirs = cv2.bilateralFilter(image, d, color, space)
    radius = max(1, d // 2 if d > 0 else round(1.5 * space))
    ours = cf.bilateral_filter(image, space, color / 255, radius=radius, padding_mode="reflect")
    apart = np.abs(ours.astype(int) - theirs)
    assert apart.max() <= 1
    if channels == 3 or radius >= 4:  # small windows of one channel it does not round
        assert np.count_nonzero(apart) <= 0.001 * apart.size
    real = image.astype(np.float32) / 255
    theirs = cv2.bilateralFilter(real, d, color / 255, space)  # whose weights come from a table
    ours = cf.bilateral_filter(real, space, color / 255, radius=radius, padding_mode="reflect")
    np.testing.assert_allclose(ours, theirs, atol=2e-4)


def test_transparent_pixels_have_no_vote():
    for dtype in (np.uint8, np.float32):
        image = picture(dtype, (20, 24, 4))
        image[..., 3] = (RNG.choice([0, 0.25, 1], (20, 24)) * white(dtype)).astype(dtype)
        image[5:12, 5:12, 3] = 0
        if dtype == np.float32:
            image[8, 8, :3] = np.nan  # colours of transparent pixels are not read
        samples = np.where(image[..., 3:] > 0, image, 0).astype(np.float64)
        values = reference.bilateral(samples[..., :3], 1.5, 0.2 * white(dtype), 2, votes=samples[..., 3])
        result = cf.bilateral_filter(image, 1.5, 0.2, radius=2, alpha=True)
        np.testing.assert_array_equal(result[..., 3], image[..., 3])
        np.testing.assert_allclose(result[..., :3], np.rint(values) if dtype == np.uint8 else values, rtol=1e-5)
        assert not result[8, 8, :3].any()  # nothing that counts is near
    gray = picture(np.uint8, (20, 24, 2))
    gray[..., 1] = RNG.choice([0, 255], (20, 24))
    values = reference.bilateral(gray[..., :1] * 1.0, 1.5, 0.2 * 255, 2, votes=gray[..., 1] * 1.0)
    np.testing.assert_array_equal(
        cf.bilateral_filter(gray, 1.5, 0.2, radius=2, alpha=True)[..., 0], np.rint(values)[..., 0]
    )


def test_premultiplied_pictures_are_filtered_as_they_look():
    straight = picture(np.float32, (20, 24, 4))
    straight[..., 3] = RNG.choice([0.0, 0.5, 1.0], (20, 24))
    premultiplied = straight.copy()
    premultiplied[..., :3] *= straight[..., 3:]
    for how in ({}, {"gray": True}, {"offset": 0.25, "scale": 0.5}, {"gray": True, "offset": 0.25}):
        values = cf.bilateral_filter(straight, 1.5, 0.2, alpha=True, **how)
        values[..., :-1] *= values[..., -1:]
        result = cf.bilateral_filter(premultiplied, 1.5, 0.2, alpha=True, premultiplied=True, **how)
        np.testing.assert_allclose(result, values, rtol=1e-5, atol=1e-6)


def test_luminance_scale_and_offset():
    image = picture(np.uint8)
    gray = (image @ np.array([299, 587, 114]))[..., np.newaxis] / 1000
    values = reference.bilateral(gray, 2.0, 0.1 * 255, 3)[..., 0]
    result = cf.bilateral_filter(image, 2.0, 0.1, radius=3, gray=True)
    assert np.abs(result - values).max() <= 0.501
    values = expected(image, 2.0, 0.1, 3) * 0.5 + 0.25 * 255
    assert np.abs(cf.bilateral_filter(image, 2.0, 0.1, radius=3, scale=0.5, offset=0.25) - values).max() <= 0.501


def test_nan_stays_in_its_windows_and_missing_data_do_not_leak():
    image = picture(np.float32, (20, 30))
    image[9, 9] = np.nan
    spoilt = np.isnan(cf.bilateral_filter(image, 1.0, radius=2))
    rows, cols = np.indices(image.shape)
    np.testing.assert_array_equal(spoilt, (rows - 9) ** 2 + (cols - 9) ** 2 <= 4)
    image[9, 9] = np.finfo(np.float32).min
    result = cf.bilateral_filter(image, 1.0, radius=2)
    assert result[9, 9] == image[9, 9] and np.delete(result.ravel(), 9 * 30 + 9).min() > 0
    flat = np.full((9, 9, 3), 0.1, np.float32)
    np.testing.assert_array_equal(cf.bilateral_filter(flat, 2.0), flat)


def test_rows_that_come_a_few_at_a_time_and_stacks():
    image = picture(np.uint8, (230, 40, 3))
    whole = cf.bilateral_filter(image, 1.0)
    np.testing.assert_array_equal(cf.bilateral_filter(image[100:], 1.0)[10:], whole[110:])
    blurred = cf.apply(image, "box:3", dtype=np.float32)
    stacked = cf.apply(image, "box:3", "bilateral:1,0.05", dtype=np.float32)
    np.testing.assert_allclose(stacked, cf.bilateral_filter(blurred / np.float32(255), 1, 0.05) * 255, atol=1e-3)
    stages = stack.stages(["bilateral:1,sigma_range=0.1"])
    plan = plan_stack(stages, image.shape, image.dtype)
    assert plan.stages[0].algorithm == "bilateral" and plan.stages[0].receptive_field == (7, 7)
    np.testing.assert_array_equal(run_array(plan, image).pixels, whole)


@pytest.mark.parametrize("fill", [False, True])
def test_pixels_that_do_not_count_have_no_vote(fill):
    image, counts = picture(np.float32, (20, 30)), RNG.random((20, 30)) > 0.2
    counts[4:13, 6:16] = False
    missing = np.where(counts, image, np.nan)
    values = reference.bilateral(np.where(counts, image, 0.0)[..., np.newaxis], 1.0, 0.2, 2, votes=counts * 1.0)[..., 0]
    cells = [there for (i, j), there in reference.windows(counts, (5, 5)) if (i - 2) ** 2 + (j - 2) ** 2 <= 4]
    valid = np.any(cells, axis=0) & (counts | fill)
    result = cf.bilateral_filter(missing, 1.0, 0.2, radius=2, ignore=np.nan, fill=fill)
    np.testing.assert_array_equal(np.isnan(result), ~valid)
    np.testing.assert_allclose(result[valid], values[valid], rtol=1e-5)


def test_the_command(tmp_path):
    image = picture(np.uint8)
    cf.write(str(tmp_path / "in.png"), image)
    names = [str(tmp_path / "in.png"), str(tmp_path / "out.png")]
    for words, values in (
        (["2,0.2"], cf.bilateral_filter(image, 2, 0.2)),
        (["2", "--radius", "3", "--distance", "l2"], cf.bilateral_filter(image, 2, radius=3, distance="l2")),
    ):
        assert run(["blur", "--bilateral", *words, *names]) == 0
        np.testing.assert_array_equal(cf.read(names[1]).pixels, values)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("bilateral:2,0.1,3", "bilateral takes SIGMA_SPACE,SIGMA_RANGE, got 3 numbers"),
        ("bilateral:0", "sigma_space must be a finite number above 0, got 0"),
        ("bilateral:2,0", "sigma_range is a fraction of full scale from 1e-06 on, got 0"),
        ("bilateral:x", "must be a number"),
        ("bilateral:2,radius=0", "must be at least 1, got 0"),
        ("bilateral:2,distance=l3", "must be one of l1, l2"),
    ],
)
def test_bad_numbers(spec, words):
    with pytest.raises(ParameterError, match=words):
        stack.stage(spec)


def test_bad_values_of_the_function():
    for keywords in ({"radius": 501}, {"radius": 0}, {"distance": "rgb"}, {"sigma_range": float("nan")}):
        with pytest.raises(ParameterError):
            cf.bilateral_filter(picture(np.uint8), 2, **keywords)


def test_the_square_of_a_large_sigma_does_not_overflow():
    image = picture("float32") * np.float32(1e20)
    got = cf.bilateral_filter(image, 1.5, 1e19, radius=2)
    want = reference.bilateral(image.astype(np.float64), 1.5, 1e19, 2)
    np.testing.assert_allclose(got, want, rtol=1e-6)


def test_a_small_range_of_real_results_is_stretched():
    image = (0.5 + 1e-4 * RNG.random((40, 30))).astype(np.float32)
    plain = cf.bilateral_filter(image, 4).astype(np.float64)
    stretched = (plain - plain.min()) / np.ptp(plain)
    np.testing.assert_allclose(cf.bilateral_filter(image, 4, map="stretch"), stretched, atol=0.02)
