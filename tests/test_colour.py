"""Depth, full range, backgrounds, premultiplied colours."""

import numpy as np
import pytest

from convfilter.errors import ParameterError
from convfilter.picture import colour


@pytest.mark.parametrize("largest", [1, 3, 15, 100, 255, 256, 1023, 4095, 65534, 65535])
def test_full_range(largest):
    samples = np.arange(largest + 1, dtype=np.uint16)
    white = 255 if largest < 256 else 65535
    wide = colour.widened(samples, largest)
    assert wide.dtype == (np.uint8 if largest < 256 else np.uint16)
    np.testing.assert_array_equal(wide, np.rint(samples.astype(float) * white / largest))


@pytest.mark.parametrize("source", [np.uint8, np.uint16])
@pytest.mark.parametrize("target", [np.uint8, np.uint16, np.float32])
def test_depth_from_integers(source, target):
    samples = np.arange(np.iinfo(source).max + 1, dtype=source).reshape(-1, 16)
    white = 1.0 if target == np.float32 else float(np.iinfo(target).max)
    exact = samples.astype(float) * white / np.iinfo(source).max
    converted = colour.with_depth(samples, target)
    assert converted.dtype == target
    np.testing.assert_allclose(converted, exact if target == np.float32 else np.rint(exact), rtol=1e-7)
    np.testing.assert_array_equal(colour.with_depth(colour.with_depth(samples, np.float32), source), samples)


def test_depth_from_floats_is_clipped_and_rounded_half_to_even():
    samples = np.array([[-1, 0, 0.5 / 255, 1.5 / 255, 2.5 / 255, 1, 7, np.nan, np.inf, -np.inf]])
    expected = [[0, 0, 0, 2, 2, 255, 255, 0, 255, 0]]
    np.testing.assert_array_equal(colour.with_depth(samples.astype(np.float64), np.uint8), expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("white", (1, 1, 1)),
        ("Black", (0, 0, 0)),
        ("#f00", (1, 0, 0)),
        ("#336699", (0.2, 0.4, 0.6)),
        ("51, 102,153", (0.2, 0.4, 0.6)),
        ("rgb(0,255,0)", (0, 1, 0)),
        ("hsl(240, 100%, 50%)", (0, 0, 1)),
    ],
)
def test_backgrounds(text, expected):
    assert colour.parse_background(text) == pytest.approx(expected)


@pytest.mark.parametrize("text", ["", "reddish", "1,2", "1,2,3,4", "#12345", "#11223344", "256,0,0", "-1,0,0"])
def test_invalid_backgrounds_are_refused(text):
    with pytest.raises(ParameterError, match="opaque colour"):
        colour.parse_background(text)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_flattening_is_rounded_once(dtype):
    rng = np.random.default_rng(0)
    pixels = rng.random((40, 30, 4))
    floats = pixels.astype(np.float32)
    exact = pixels[..., :3] * pixels[..., 3:] + np.array([1, 0.4, 0]) * (1 - pixels[..., 3:])
    flat = colour.flattened(floats, "#ff6600", dtype)
    if dtype == np.float32:
        np.testing.assert_allclose(flat, exact, atol=1e-6)
    else:
        white = np.iinfo(dtype).max
        assert np.abs(flat - exact * white).max() <= 0.5 + white * 1e-6
    scaled = (floats * 65535).astype(np.float32)
    np.testing.assert_allclose(colour.flattened(scaled, "#ff6600", np.float32, white=65535), exact, atol=1e-6)


def test_grey_is_laid_over_the_luma():
    flat = colour.flattened(np.array([[[200, 0], [200, 255]]], np.uint8), "#00ff00", np.uint8)
    np.testing.assert_array_equal(flat, [[round(0.7152 * 255), 200]])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_premultiplied_colours_come_back(dtype):
    white = int(np.iinfo(dtype).max)
    rng = np.random.default_rng(1)
    alpha = rng.integers(0, white, (50, 40, 1), dtype=dtype, endpoint=True)
    colours = (rng.random((50, 40, 3)) * alpha).astype(dtype)
    premultiplied = np.concatenate([colours, alpha], axis=2)
    straight = colour.straightened(premultiplied, dtype)
    np.testing.assert_array_equal(colour.premultiplied(straight), premultiplied)
    assert (straight[alpha[:, :, 0] == 0] == 0).all()


def test_grey_is_repeated():
    pixels = np.arange(8, dtype=np.uint8).reshape(2, 2, 2)
    np.testing.assert_array_equal(colour.rgb_of(pixels, "gray", True)[1, 1], [6, 6, 6, 7])
    assert colour.rgb_of(pixels[:, :, 0], "gray", False).shape == (2, 2, 3)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize(("target", "white"), [(np.uint8, None), (np.uint16, 4095), (np.float32, None)])
def test_many_samples_get_another_depth_as_few_do(dtype, target, white):
    pixels = np.random.default_rng(2).integers(0, np.iinfo(dtype).max + 1, (400, 500)).astype(dtype)
    whole = colour.with_depth(pixels, target, out_white=white)
    rows = [colour.with_depth(pixels[row : row + 100], target, out_white=white) for row in range(0, 400, 100)]
    np.testing.assert_array_equal(whole, np.concatenate(rows))
    assert whole.dtype == target
