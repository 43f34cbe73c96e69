"""The guided filter, against its formulas and OpenCV's extra modules."""

import numpy as np
import pytest
import reference

import convfilter as cf
from convfilter.cli.root import run
from convfilter.errors import ParameterError

RNG = np.random.default_rng(8)


def picture(dtype, shape=(33, 40, 3)):
    if dtype == np.float32:
        return RNG.random(shape).astype(dtype)
    return RNG.integers(0, np.iinfo(dtype).max + 1, shape).astype(dtype)


def means(samples, radius, mode, dilation=(1, 1)):
    padded = np.pad(samples, [(radius * apart,) * 2 for apart in dilation], mode=mode)
    views = np.lib.stride_tricks.sliding_window_view(padded, [2 * radius * apart + 1 for apart in dilation])
    return views[..., :: dilation[0], :: dilation[1]].mean(axis=(2, 3))


def expected(image, guide, radius, eps, mode, stride=(1, 1), dilation=(1, 1)):
    """He's formulas, on samples whose white is 1."""
    geometry = radius, mode, dilation
    mean, mean_guide = means(image, *geometry), means(guide, *geometry)
    slope = means(guide * image, *geometry) - mean_guide * mean
    slope /= means(guide * guide, *geometry) - mean_guide**2 + eps
    result = means(slope, *geometry) * guide + means(mean - slope * mean_guide, *geometry)
    return result[:: stride[0], :: stride[1]]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize(("radius", "mode"), [(1, "edge"), (4, "symmetric"), (9, "reflect"), (25, "wrap")])
def test_lines_are_those_of_the_formulas(dtype, radius, mode):
    image = picture(dtype, (90, 41, 2))
    white = 1 if dtype == np.float32 else np.iinfo(dtype).max
    guide = picture(np.uint8, (90, 41))
    for threads in (1, 2):
        result = cf.guided_filter(image, radius, 0.01, padding_mode=mode, threads=threads, dtype=np.float32)
        other = cf.guided_filter(image, radius, 0.02, guide, padding_mode=mode, threads=threads, dtype=np.float32)
        for channel in range(2):
            samples = image[..., channel] / white
            values = expected(samples, samples, radius, 0.01, mode) * white
            np.testing.assert_allclose(result[..., channel], values, rtol=1e-5, atol=1e-5 * white)
            values = expected(samples, guide / 255, radius, 0.02, mode) * white
            np.testing.assert_allclose(other[..., channel], values, rtol=1e-5, atol=1e-5 * white)
    assert cf.guided_filter(image, radius, padding_mode=mode).dtype == dtype


def expected_by_colours(image, guide, radius, eps, mode, stride=(1, 1), dilation=(1, 1)):
    """He's formulas for a guide of three colours: a system of equations for each window."""
    geometry = radius, mode, dilation
    mean, means_of_guide = means(image, *geometry), [means(guide[..., c], *geometry) for c in range(3)]
    matrix, right = np.zeros((*image.shape, 3, 3)), np.zeros((*image.shape, 3, 1))
    for c in range(3):
        right[..., c, 0] = means(guide[..., c] * image, *geometry) - means_of_guide[c] * mean
        for d in range(3):
            products = means(guide[..., c] * guide[..., d], *geometry)
            matrix[..., c, d] = products - means_of_guide[c] * means_of_guide[d] + eps * (c == d)
    slopes = np.linalg.solve(matrix, right)[..., 0]
    shift = mean - sum(slopes[..., c] * means_of_guide[c] for c in range(3))
    result = sum(means(slopes[..., c], *geometry) * guide[..., c] for c in range(3)) + means(shift, *geometry)
    return result[:: stride[0], :: stride[1]]


#: Strides below and beyond windows, dilations below and beyond the picture's sides, with and without a common factor.
GEOMETRIES = [
    (2, (2, 2), (1, 1)),
    (3, (3, 1), (1, 1)),
    (1, (7, 50), (1, 1)),
    (4, (1, 1), (2, 3)),
    (2, (1, 1), (40, 60)),
    (2, (2, 4), (2, 2)),
    (2, (3, 2), (2, 3)),
    (2, (6, 1), (4, 1)),
    (1, (5, 5), (3, 2)),
]


@pytest.mark.parametrize(
    ("dtype", "mode"),
    [(np.uint8, "edge"), (np.uint16, "symmetric"), (np.float32, "reflect"), (np.uint8, "wrap"), (np.float32, "edge")],
)
@pytest.mark.parametrize(("radius", "stride", "dilation"), GEOMETRIES)
def test_stride_and_dilation_are_those_of_the_formulas(dtype, mode, radius, stride, dilation):
    image = picture(dtype, (150, 41, 2))
    white = 1 if dtype == np.float32 else np.iinfo(dtype).max
    gray, colours = picture(np.uint8, (150, 41)), picture(np.uint8, (150, 41, 3))
    for guide in (None, gray, colours):
        keywords = {"padding_mode": mode, "stride": stride, "dilation": dilation}
        real = {**keywords, "dtype": np.float32}
        result = cf.guided_filter(image, radius, 0.01, guide, threads=1, **real)
        assert result.tobytes() == cf.guided_filter(image, radius, 0.01, guide, threads=3, **real).tobytes()
        for channel in range(2):
            samples = image[..., channel] / white
            one = expected if guide is not colours else expected_by_colours
            own = samples if guide is None else guide / 255
            values = one(samples, own, radius, 0.01, mode, stride, dilation) * white
            np.testing.assert_allclose(result[..., channel], values, rtol=1e-5, atol=1e-5 * white)
        if dtype != np.float32:
            stored = cf.guided_filter(image, radius, 0.01, guide, **keywords)
            assert stored.dtype == dtype
            np.testing.assert_allclose(stored, result.clip(0, white), atol=0.5 + 1e-5 * white)


@pytest.mark.parametrize(("radius", "stride", "dilation"), GEOMETRIES)
def test_stride_leaves_rows_and_columns_of_any_picture(radius, stride, dilation, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    image = np.dstack([picture(np.uint8, (201, 40, 3)), RNG.choice([0, 51, 255], (201, 40)).astype(np.uint8)])
    spec = f"guided:radius={radius},eps=0.02,dilation={dilation[1]}x{dilation[0]}"
    both = f"{spec},stride={stride[1]}x{stride[0]}"
    for how in ({}, {"gray": True}, {"padding_mode": "reflect", "scale": 0.5, "offset": 0.25}, {"dtype": np.float32}):
        every = cf.apply(image, spec, alpha=True, **how)[:: stride[0], :: stride[1]].astype(float)
        np.testing.assert_allclose(cf.apply(image, both, alpha=True, **how), every, rtol=1e-6, atol=1e-4)
    cf.write("in.png", image)
    by_rows = cf.apply(image, both, alpha=True)
    assert run(["apply", "-f", both, "in.png", "out.png"]) == 0
    np.testing.assert_array_equal(cf.read("out.png").pixels, by_rows)
    options = ["--stride", f"{stride[1]}x{stride[0]}", "--dilation", f"{dilation[1]}x{dilation[0]}"]
    assert run(["blur", "--guided", str(radius), "--eps", "0.02", *options, "in.png", "typed.png"]) == 0
    np.testing.assert_array_equal(cf.read("typed.png").pixels, by_rows)


def test_a_stack_of_blocks_is_the_whole():
    image = picture(np.uint8, (700, 30))
    parts = cf.apply(image, "box:3", "guided:2,stride=3,dilation=2", "box:3", threads=1, dtype=np.float32)
    box, guided = cf.apply(image, "box:3", dtype=np.float32), {"stride": 3, "dilation": 2}
    middle = cf.guided_filter(box / np.float32(255), 2, 0.01, **guided)
    np.testing.assert_allclose(parts, cf.apply(middle, "box:3") * 255, atol=1e-2)
    values = expected(image / 255, image / 255, 2, 0.01, "edge", (3, 3), (2, 2)) * 255
    np.testing.assert_allclose(cf.guided_filter(image, 2, dtype=np.float32, **guided), values, atol=1e-3)


@pytest.mark.parametrize(("stride", "dilation"), [((1, 1), (3, 2)), ((2, 3), (3, 2)), ((11, 1), (1, 1))])
def test_nan_stays_in_its_dilated_windows(stride, dilation):
    image = picture(np.float32, (90, 40))
    spoilt = image.copy()
    spoilt[33, 22] = np.nan
    down, along = abs(np.arange(90) - 33), abs(np.arange(40) - 22)
    near = np.logical_and.outer(
        *((gap <= 4 * apart) & (gap % apart == 0) for gap, apart in zip((down, along), dilation, strict=True))
    )
    result = cf.guided_filter(spoilt, 2, padding_mode="reflect", stride=stride, dilation=dilation)
    np.testing.assert_array_equal(np.isnan(result), near[:: stride[0], :: stride[1]])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64])
@pytest.mark.parametrize(("radius", "mode"), [(1, "edge"), (4, "symmetric"), (9, "reflect"), (25, "wrap")])
def test_a_guide_of_three_colours_counts_with_its_covariance(dtype, radius, mode):
    image = picture(dtype, (90, 41, 2)) if dtype != np.float64 else picture(np.float32, (90, 41, 2)).astype(dtype)
    white = 1 if dtype in (np.float32, np.float64) else np.iinfo(dtype).max
    guide = picture(np.uint8, (90, 41, 3))
    guide[:40, :, 1:] = guide[:40, :, :1]  # grey, so that its covariance is singular
    result = cf.guided_filter(image, radius, 0.003, guide, padding_mode=mode, threads=2, dtype=np.float32)
    for channel in range(2):
        values = expected_by_colours(image[..., channel] / white, guide / 255, radius, 0.003, mode) * white
        np.testing.assert_allclose(result[..., channel], values, rtol=1e-5, atol=1e-5 * white)


@pytest.mark.peer("cv2")
def test_opencv_finds_the_same():
    ximgproc = pytest.importorskip("cv2.ximgproc")
    image, guide = picture(np.float32, (50, 60)), picture(np.float32, (50, 60, 3))
    for other in (image, guide):
        theirs = ximgproc.guidedFilter(other, image, 5, 0.02)
        ours = cf.guided_filter(image, 5, 0.02, None if other is image else other, padding_mode="symmetric")
        np.testing.assert_allclose(ours, theirs, atol=1e-4)


@pytest.mark.parametrize("value", [np.nan, np.inf, np.finfo(np.float32).min])
def test_nan_and_infinity_stay_in_their_windows(value):
    image = picture(np.float32, (90, 40))
    plain = cf.guided_filter(image, 2)
    spoilt = image.copy()
    spoilt[30, 20] = value
    rows, cols = np.indices(image.shape)
    near = (abs(rows - 30) <= 4) & (abs(cols - 20) <= 4)
    for result in (cf.guided_filter(spoilt, 2), cf.guided_filter(image, 2, guide=spoilt)):
        np.testing.assert_array_equal(np.isnan(result), near)
    np.testing.assert_allclose(cf.guided_filter(spoilt, 2)[~near], plain[~near], rtol=1e-6)
    wrapped = cf.guided_filter(np.roll(spoilt, (-30, -20), (0, 1)), 2, padding_mode="wrap")
    np.testing.assert_array_equal(np.isnan(wrapped), np.roll(near, (-30, -20), (0, 1)))


def test_nan_stays_in_its_channel():
    image = picture(np.float32, (40, 30, 3))
    spoilt = image.copy()
    spoilt[9, 8, 1] = np.nan
    expected = np.dstack([cf.guided_filter(np.ascontiguousarray(spoilt[..., channel]), 2) for channel in range(3)])
    found = cf.guided_filter(spoilt, 2)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_a_guide_from_a_file(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    image, guide = picture(np.uint8, (33, 40)), picture(np.uint16)
    cf.write("in.png", image)
    cf.write("guide.png", np.dstack([guide, np.full((33, 40), 65535, np.uint16)]))
    cf.write("small.png", guide[:5])
    assert run(["blur", "--guided", "3", "--eps", "0.02", "--guide", "guide.png", "in.png", "out.png"]) == 0
    np.testing.assert_array_equal(cf.read("out.png").pixels, cf.guided_filter(image, 3, 0.02, guide))
    in_spec = cf.apply(image, "guided:3,eps=0.02,guide=guide.png")
    np.testing.assert_array_equal(in_spec, cf.guided_filter(image, 3, 0.02, guide))
    assert run(["plan", "-f", "guided:3,guide=guide.png", "--size", "40x33"]) == 0
    capfd.readouterr()
    for name, status, words in (
        ("small.png", 2, "the guide small.png must be as large as the picture, 40x33, got 40x5"),
        ("none.png", 1, "none.png: "),
    ):
        assert run(["blur", "--guided", "3", "--guide", name, "in.png", "out.png"]) == status
        said = capfd.readouterr().err
        assert words in said and said.count("\n") == 1


def test_the_quota_of_pixels_is_that_of_the_guide_too(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    cf.write("in.png", picture(np.uint8, (5, 8)))
    cf.write("guide.png", picture(np.uint8, (6, 8)))
    assert run(["blur", "--guided", "3", "--guide", "guide.png", "--max-pixels", "40", "in.png", "out.png"]) == 1
    assert "guide.png: the picture is too large: 8x6 is 48 pixels, the limit is 40" in capfd.readouterr().err


def test_an_update_sees_another_guide(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    cf.write("in.png", picture(np.uint8, (33, 40)))
    command = ["blur", "--guided", "3", "--guide", "guide.png", "--update", "in.png", "--into", "out"]
    for done in (True, False, True):
        if done:
            cf.write("guide.png", picture(np.uint8))
        assert run(command) == 0
        assert ("1 done" if done else "1 up to date") in capfd.readouterr().err


def test_edges_stay_and_noise_goes():
    image = np.where(np.arange(40) < 20, 50, 200) + RNG.integers(-3, 4, (40, 40))
    smoothed = cf.guided_filter(image.astype(np.uint8), 4, 0.002)
    assert smoothed[:, :20].max() < 60 and smoothed[:, 20:].min() > 190
    assert smoothed[5:-5, 5:15].std() < 0.6 * image[5:-5, 5:15].std()


def test_luminance_alpha_stacks_and_the_command(tmp_path):
    image = picture(np.uint8)
    opaque = np.dstack([image, np.full(image.shape[:2], 255, np.uint8)])
    alone = cf.guided_filter(image, 3)
    np.testing.assert_array_equal(cf.guided_filter(opaque, 3, alpha=True), np.dstack([alone, opaque[..., 3]]))
    for how in ({}, {"gray": True}, {"gray": True, "offset": 0.25, "scale": 0.5}):
        half = np.dstack([image / 255, RNG.choice([0.2, 1.0], image.shape[:2])]).astype(np.float32)
        straight = cf.guided_filter(half, 3, alpha=True, **how)
        straight[..., :-1] *= straight[..., -1:]
        multiplied = np.dstack([half[..., :3] * half[..., 3:], half[..., 3]])
        result = cf.guided_filter(multiplied, 3, alpha=True, premultiplied=True, **how)
        np.testing.assert_allclose(result, straight, rtol=1e-5, atol=1e-6)
    gray = image @ [0.299, 0.587, 0.114] / 255
    np.testing.assert_allclose(
        cf.guided_filter(image, 3, gray=True, dtype=np.float32), expected(gray, gray, 3, 0.01, "edge") * 255, atol=1e-3
    )
    blurred = cf.apply(image, "box:3", dtype=np.float32)
    stacked = cf.apply(image, "box:3", "guided:3,eps=0.01", dtype=np.float32)
    np.testing.assert_allclose(stacked, cf.guided_filter(blurred / np.float32(255), 3) * 255, atol=1e-2)
    cf.write(str(tmp_path / "in.png"), image)
    assert run(["blur", "--guided", "3", str(tmp_path / "in.png"), str(tmp_path / "out.png")]) == 0
    np.testing.assert_array_equal(cf.read(str(tmp_path / "out.png")).pixels, alone)


def test_plans_pages_and_explorers_read_the_guide(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    cf.write("in.png", picture(np.uint8))
    cf.write("guide.png", picture(np.uint8, (33, 40)))
    spec = "guided:2,guide=guide.png"
    assert run(["apply", "-f", spec, "--html", "page.html", "in.png", "out.png"]) == 0
    assert run(["plan", "-f", spec, "--explore", "explorer.html", "in.png"]) == 0
    assert run(["plan", "-f", spec, "--size", "40x30"]) == 2
    assert "the guide guide.png must be as large as the picture, 40x30, got 40x33" in capfd.readouterr().err


def test_integers_take_no_guide_with_nan():
    image, guide = picture(np.uint8), RNG.random((33, 40)).astype(np.float32)
    guide[3, 4] = np.nan
    with pytest.raises(ParameterError, match="the guide has 1 samples that are NaN or infinite"):
        cf.guided_filter(image, 2, guide=guide)
    assert np.isnan(cf.guided_filter(image, 2, guide=guide, dtype=np.float32)[3, 4]).all()


@pytest.mark.parametrize("fill", [False, True])
def test_scattered_holes_leave_the_others_results(fill):
    image, counts = picture(np.float32, (60, 50, 3)), RNG.random((60, 50)) < 0.9
    holed = np.where(counts[..., np.newaxis], image, np.float32(np.nan))
    result = cf.guided_filter(holed, 8, ignore=np.nan, fill=fill)
    assert np.isfinite(result[counts]).all() and np.isfinite(result).all() == fill
    np.testing.assert_array_equal(result, cf.guided_filter(image, 8, mask=counts, fill=fill))


def test_a_mask_of_valid_pixels_changes_nothing():
    image, guide = picture(np.uint8, (90, 41, 4)), picture(np.uint8, (90, 41, 3))
    for how in ({}, {"guide": guide}, {"alpha": True}, {"stride": 2, "dilation": 3}):
        plain = cf.guided_filter(image, 3, **how)
        for fill in (False, True):
            np.testing.assert_array_equal(cf.guided_filter(image, 3, mask=np.ones((90, 41)), fill=fill, **how), plain)


def test_holes_are_filled_by_the_guide_where_it_is_known():
    guide, counts = RNG.random((30, 40)), RNG.random((30, 40)) < 0.6
    depth = 3 * guide + 1
    known = cf.guided_filter(depth, 4, 1e-9, guide, mask=counts, fill=True)
    np.testing.assert_allclose(known, depth, atol=1e-4)
    guide[~counts] = np.nan
    unknown = cf.guided_filter(depth, 4, 1e-9, guide, mask=counts, fill=True)
    np.testing.assert_array_equal(unknown[counts], known[counts])
    np.testing.assert_allclose(unknown[~counts], cf.guided_filter(depth, 4, mask=counts, fill=True)[~counts])


@pytest.mark.parametrize("fill", [False, True])
@pytest.mark.parametrize("guided", [False, True])
@pytest.mark.parametrize(
    ("rows", "geometry"),
    [(1, {}), (129, {}), (2, {"dilation": (2, 1)}), (40, {"stride": (7, 1)}), (3, {"padding_mode": "reflect"})],
)
def test_holes_of_blocks_of_a_single_row(rows, geometry, guided, fill):
    image, guide, counts = RNG.random((rows, 40)), RNG.random((rows, 40)), RNG.random((rows, 40)) < 0.2
    planes, guides = (guide[..., np.newaxis], {"guide": guide}) if guided else (None, {})
    expected = reference.guided(image, counts, 1, 0.01, planes, fill=fill, **geometry)
    result = cf.guided_filter(image, 1, 0.01, mask=counts, fill=fill, **geometry, **guides)
    np.testing.assert_allclose(result, expected, atol=1e-10)


def test_nan_at_valid_pixels_stays_in_its_windows_beside_holes():
    image, counts = picture(np.float32, (40, 30)), RNG.random((40, 30)) < 0.7
    counts[20, 15], image[20, 15], image[~counts] = True, np.nan, np.inf
    result = cf.guided_filter(image, 2, mask=counts)
    rows, cols = np.indices(image.shape)
    near = (abs(rows - 20) <= 4) & (abs(cols - 15) <= 4)
    far = (abs(rows - 20) > 4) | (abs(cols - 15) > 4)
    assert np.isnan(result[near]).all()
    np.testing.assert_array_equal(np.isnan(result[far]), ~counts[far])


@pytest.mark.parametrize("fill", [False, True])
def test_alpha_of_pictures_with_holes(fill):
    counts = RNG.random((33, 40)) < 0.8
    image = np.dstack([picture(np.float32), RNG.choice([0.2, 1.0], (33, 40))]).astype(np.float32)
    how = {"mask": counts, "fill": fill, "alpha": True}
    straight = cf.guided_filter(image, 3, **how)
    there = np.ones_like(counts) if fill else counts
    np.testing.assert_array_equal(straight[counts, 3], image[counts, 3])
    assert (straight[there, 3] > 0.19).all() and np.isfinite(straight[there]).all()
    black = [cf.guided_filter(image[..., c] * image[..., 3], 3, mask=counts, fill=fill) for c in range(3)]
    black.append(cf.guided_filter(np.ascontiguousarray(image[..., 3]), 3, mask=counts, fill=fill))
    alpha = np.where(counts, image[..., 3], black[3])
    expected = np.dstack([*(each / alpha for each in black[:3]), alpha])
    np.testing.assert_allclose(straight[there], expected[there], rtol=1e-5, atol=1e-6)
    multiplied = np.dstack([image[..., :3] * image[..., 3:], image[..., 3]])
    straight[..., :3] *= straight[..., 3:]
    result = cf.guided_filter(multiplied, 3, premultiplied=True, **how)
    np.testing.assert_allclose(result[there], straight[there], rtol=1e-5, atol=1e-6)


def test_bad_radii_and_guides():
    image = picture(np.uint8)
    for arguments, words in (
        ((0,), "radius must be from 1 to 5000 pixels, got 0"),
        ((3, 0.0), "eps must be a finite number above 0"),
        ((3, 0.1, image[:5]), "as large as the picture, 40x33, got 40x5"),
        ((3, 0.1, picture(np.uint8, (33, 40, 2))), "the guide must be grey or have three colours, got 2"),
        ((3, 0.1, image.astype(np.int64)), "got int64"),
        ((3, 0.1, image[0, 0]), r"a guide is an image, got an array of shape \(3,\)"),
        ((3, 0.1, "guide.png"), r"a guide is an image, got 'guide.png'; read a file with convfilter.read"),
        ((3, "small"), "eps must be a number, got 'small'"),
    ):
        with pytest.raises(ParameterError, match=words):
            cf.guided_filter(image, *arguments)
    with pytest.raises(ParameterError, match="edge, reflect, symmetric or wrap, got constant"):
        cf.guided_filter(image, 3, padding_mode="constant")


def test_guides_are_converted_as_images_are():
    image, steps = picture(np.uint8, (30, 40)), np.arange(1200).reshape(30, 40) % 7
    for guide, same in (
        (steps > 3, (steps > 3).astype(np.float32)),
        ((steps / 8).astype(np.float16), (steps / 8).astype(np.float32)),
        (steps.astype(">u2"), steps.astype(np.uint16)),
    ):
        np.testing.assert_array_equal(cf.guided_filter(image, 2, guide=guide), cf.guided_filter(image, 2, guide=same))
