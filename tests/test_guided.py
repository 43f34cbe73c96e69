"""The guided filter, against its formulas and OpenCV's extra modules."""

import numpy as np
import pytest

import convfilter as cf
from convfilter.cli.root import run
from convfilter.errors import ParameterError

RNG = np.random.default_rng(8)


def picture(dtype, shape=(33, 40, 3)):
    if dtype == np.float32:
        return RNG.random(shape).astype(dtype)
    return RNG.integers(0, np.iinfo(dtype).max + 1, shape).astype(dtype)


def means(samples, radius, mode):
    padded = np.pad(samples, ((radius, radius), (radius, radius)), mode=mode)
    views = np.lib.stride_tricks.sliding_window_view(padded, (2 * radius + 1,) * 2)
    return views.mean(axis=(2, 3))


def expected(image, guide, radius, eps, mode):
    """He's formulas, on samples whose white is 1."""
    mean, mean_guide = means(image, radius, mode), means(guide, radius, mode)
    slope = means(guide * image, radius, mode) - mean_guide * mean
    slope /= means(guide * guide, radius, mode) - mean_guide**2 + eps
    return means(slope, radius, mode) * guide + means(mean - slope * mean_guide, radius, mode)


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


def test_opencv_finds_the_same():
    ximgproc = pytest.importorskip("cv2.ximgproc")
    image = picture(np.float32, (50, 60))
    theirs = ximgproc.guidedFilter(image, image, 5, 0.02)
    np.testing.assert_allclose(cf.guided_filter(image, 5, 0.02, padding_mode="symmetric"), theirs, atol=1e-4)


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


def test_bad_radii_and_guides():
    image = picture(np.uint8)
    for arguments, words in (
        ((0,), "radius must be from 1 to 5000 pixels, got 0"),
        ((3, 0.0), "eps must be a finite number above 0"),
        ((3, 0.1, image[:5]), "as large as what it guides, 40x33, got 40x5"),
        ((3, 0.1, picture(np.uint8, (33, 40, 2))), "one channel or as many as the picture, 3, got 2"),
        ((3, 0.1, image.astype(np.int64)), "got int64"),
    ):
        with pytest.raises(ParameterError, match=words):
            cf.guided_filter(image, *arguments)
    with pytest.raises(ParameterError, match="edge, reflect, symmetric or wrap, got constant"):
        cf.guided_filter(image, 3, padding_mode="constant")
