"""Linear light and backgrounds: against the formulas, rounded once."""

import numpy as np
import pytest

import convfilter
from convfilter.errors import ReadError
from convfilter.executor.masked import Masking
from convfilter.picture.frame import Frame
from convfilter.picture.options import WriteOptions
from convfilter.picture.picture import Picture
from convfilter.picture.read import read
from convfilter.picture.write import write
from convfilter.pipeline import Options, filter_file

RNG = np.random.default_rng(5)


def to_light(samples):
    """Undo sRGB's curve (IEC 61966-2-1), from 0..1 to 0..1."""
    return np.where(samples <= 0.04045, samples / 12.92, ((samples + 0.055) / 1.055) ** 2.4)


def from_light(light):
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * np.maximum(light, 0) ** (1 / 2.4) - 0.055)


def filtered(tmp_path, picture, *specs, suffix=".png", **options):
    source, target = tmp_path / "in.png", tmp_path / f"out{suffix}"
    write(str(source), picture, WriteOptions())
    report = filter_file(str(source), str(target), Options(specs=specs, **options))
    return read(str(target)), report


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_linear_blurs_light_not_samples(tmp_path, dtype):
    full = np.iinfo(dtype).max
    pixels = RNG.integers(0, full + 1, (40, 50, 3)).astype(dtype)
    result, _ = filtered(tmp_path, Picture([Frame(pixels)]), "gaussian:2", linear=True)
    light = convfilter.gaussian_blur(to_light(pixels / full).astype(np.float32), 2).astype(np.float64)
    expected = from_light(light) * full
    assert result.pixels.dtype == dtype
    assert np.abs(result.pixels - expected).max() <= 0.5 + full * 1e-6
    assert np.abs(result.pixels - convfilter.gaussian_blur(pixels, 2).astype(float)).max() > full / 50


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("ignored", [None, 77])
@pytest.mark.parametrize("specs", [("gaussian:2",), ("sobel:x", "scale:0.1")])
def test_an_array_is_encoded_as_a_picture_is(tmp_path, channels, ignored, specs):
    """Rounded, it is the picture; ignored pixels keep their value."""
    pixels = RNG.integers(0, 256, (40, 50, channels)).astype(np.uint8)
    pixels[10:20, 10:20, :3] = 77
    write(str(tmp_path / "in.png"), Picture([Frame(pixels)], "gray" if channels == 1 else "rgb", channels == 4))
    masking = None if ignored is None else Masking(ignore=ignored)
    for name in ("out.png", "out.npy"):
        filter_file(str(tmp_path / "in.png"), str(tmp_path / name), Options(specs=specs, linear=True, masking=masking))
    picture, array = read(str(tmp_path / "out.png")), np.load(tmp_path / "out.npy")
    stored = np.clip(np.rint(np.abs(array) * 255), 0, 255).reshape(picture.pixels.shape)
    assert np.abs(stored - picture.pixels).max() <= 1
    assert np.mean(stored != picture.pixels) < 1e-3
    if ignored is not None:
        assert np.any(array[..., 0] == np.float32(77) / 255)


def test_maps_stay_in_linear_light(tmp_path):
    """More channels than colours have no tone curve."""
    pixels = RNG.integers(0, 256, (9, 8, 3)).astype(np.uint8)
    weights = RNG.normal(size=(5, 3, 1, 1))
    np.save(tmp_path / "five.npy", weights)
    write(str(tmp_path / "in.png"), Picture([Frame(pixels)]))
    options = Options(specs=(f"layer:{tmp_path / 'five.npy'}",), linear=True)
    filter_file(str(tmp_path / "in.png"), str(tmp_path / "out.npy"), options)
    expected = to_light(pixels / 255) @ weights[..., 0, 0].T
    np.testing.assert_allclose(np.load(tmp_path / "out.npy"), expected, atol=1e-5)


def test_linear_leaves_a_flat_picture_alone(tmp_path):
    for value in (0, 1, 77, 254, 255):
        pixels = np.full((9, 9, 3), value, np.uint8)
        result, report = filtered(tmp_path, Picture([Frame(pixels)]), "box:3", linear=True)
        assert np.array_equal(result.pixels, pixels)
        assert report.clipped == 0


def test_linear_padding_counts_in_samples(tmp_path):
    pixels = np.full((9, 9, 3), 200, np.uint8)
    spec = "box:3,padding_mode=constant,padding_value=200"
    result, _ = filtered(tmp_path, Picture([Frame(pixels)]), spec, linear=True)
    assert np.array_equal(result.pixels, pixels)


def test_linear_edges_are_magnitudes_and_clipping_is_counted(tmp_path):
    pixels = np.zeros((8, 8, 3), np.uint8)
    pixels[:, 4:] = 255
    result, report = filtered(tmp_path, Picture([Frame(pixels)]), "sobel:x", linear=True)
    assert np.array_equal(result.pixels[:, 3:5], np.full((8, 2, 3), 255))
    assert not result.pixels[:, :3].any()
    assert report.clipped == pytest.approx(2 / 8)


def test_the_magnitude_of_edges_is_that_of_the_last_result(tmp_path):
    pixels = RNG.integers(0, 256, (20, 30, 3)).astype(np.uint8)
    result, _ = filtered(tmp_path, Picture([Frame(pixels)]), "sobel:x", "box:3", linear=True)
    edges = convfilter.sobel(to_light(pixels / 255).astype(np.float32), "x")
    expected = from_light(np.abs(convfilter.box_blur(edges, 3).astype(np.float64))).clip(0, 1) * 255
    assert np.abs(result.pixels - expected).max() <= 0.51


@pytest.mark.parametrize("suffix", [".tif", ".npy"])
def test_floats_store_signed_edges(tmp_path, suffix):
    pixels = RNG.random((20, 30, 3)).astype(np.float32)
    source, target = tmp_path / "in.tif", tmp_path / f"out{suffix}"
    write(str(source), Picture([Frame(pixels)]))
    filter_file(str(source), str(target), Options(specs=("sobel:x",), linear=True))
    result = np.load(target) if suffix == ".npy" else read(str(target)).pixels
    expected = convfilter.sobel(to_light(pixels.astype(np.float64)), "x")
    np.testing.assert_allclose(result, np.copysign(from_light(np.abs(expected)), expected), atol=1e-5)


def test_linear_keeps_alpha_linear(tmp_path):
    pixels = RNG.integers(0, 256, (20, 20, 4)).astype(np.uint8)
    result, _ = filtered(tmp_path, Picture([Frame(pixels)], alpha=True), "gaussian:1", linear=True)
    plain, _ = filtered(tmp_path, Picture([Frame(pixels)], alpha=True), "gaussian:1")
    assert np.abs(result.pixels[..., 3].astype(int) - plain.pixels[..., 3]).max() <= 1


def test_linear_refuses_cmyk(tmp_path):
    source = tmp_path / "in.tif"
    write(str(source), Picture([Frame(np.zeros((4, 4, 4), np.uint8))], "cmyk"), WriteOptions())
    with pytest.raises(ReadError, match="CMYK"):
        filter_file(str(source), str(tmp_path / "out.tif"), Options(specs=["box:3"], linear=True))


@pytest.mark.parametrize("linear", [False, True])
def test_a_background_is_rounded_once(tmp_path, linear):
    pixels = RNG.integers(0, 256, (30, 40, 4)).astype(np.uint8)
    options = {"write": WriteOptions(background="#336699"), "linear": linear}
    result, _ = filtered(tmp_path, Picture([Frame(pixels)], alpha=True), "gaussian:1.5", suffix=".bmp", **options)
    samples = pixels / 255
    if linear:
        samples[..., :3] = to_light(samples[..., :3])
    blurred = convfilter.gaussian_blur(samples.astype(np.float32), 1.5, alpha=True).astype(np.float64)
    colours, alpha = blurred[..., :3], blurred[..., 3:]
    if linear:
        colours = from_light(colours)
    expected = 255 * (colours * alpha + (1 - alpha) * np.array([0x33, 0x66, 0x99]) / 255)
    assert result.pixels.shape == (30, 40, 3)
    assert np.abs(result.pixels - expected).max() <= 0.5 + 1e-3
