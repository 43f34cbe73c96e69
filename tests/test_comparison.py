"""``compare`` and its numbers; ``kernel show --plot``."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

import convfilter
from convfilter.cli import main
from convfilter.cli.kernel_plot import draw_weights, response
from convfilter.cli.messages import json_of
from convfilter.comparison import compare, difference_picture
from convfilter.errors import ParameterError
from convfilter.filters import kernels
from convfilter.picture.picture import Picture

RNG = np.random.default_rng(11)
WHITE = {"uint8": 255, "uint16": 65535, "float32": 1}


def pair(dtype: str, shape: tuple[int, ...] = (80, 70, 3)) -> tuple[np.ndarray, np.ndarray]:
    smooth = ndimage.gaussian_filter(RNG.random(shape), (3, 3, *([0] * (len(shape) - 2))))
    noisy = np.clip(smooth + RNG.normal(0, 0.01, shape), 0, 1)
    a, b = (image * WHITE[dtype] for image in (smooth, noisy))
    return (
        (a.astype(dtype), b.astype(dtype))
        if dtype == "float32"
        else (np.rint(a).astype(dtype), np.rint(b).astype(dtype))
    )


def ssim(a: np.ndarray, b: np.ndarray) -> float:
    """Wang's formula on whole windows, with SciPy's Gaussian."""

    def mean(x: np.ndarray) -> np.ndarray:
        return ndimage.gaussian_filter(x, (1.5, 1.5, 0), truncate=3.5)[5:-5, 5:-5]

    mean_a, mean_b = mean(a), mean(b)
    variance_a, variance_b, common = mean(a * a) - mean_a**2, mean(b * b) - mean_b**2, mean(a * b) - mean_a * mean_b
    top = (2 * mean_a * mean_b + 1e-4) * (2 * common + 9e-4)
    return float((top / ((mean_a**2 + mean_b**2 + 1e-4) * (variance_a + variance_b + 9e-4))).mean())


@pytest.mark.parametrize("dtype", WHITE)
def test_the_numbers_are_those_of_the_formulas(dtype: str) -> None:
    a, b = pair(dtype)
    found = compare(a, b)
    x, y = (image.astype(np.float64) / WHITE[dtype] for image in (a, b))
    assert found.psnr == pytest.approx(-10 * math.log10(np.mean((x - y) ** 2)), rel=1e-9)
    assert found.ssim == pytest.approx(ssim(x, y), abs=1e-5)
    assert 0.3 < found.ssim < 0.999
    difference = np.abs(a.astype(np.float64) - b)
    assert found.largest == difference.max() == difference[found.place]
    assert found.equal == np.mean(a == b)


def test_equal_pictures_are_equal() -> None:
    a, _ = pair("uint8")
    found = compare(a, a.copy())
    assert (found.psnr, found.largest, found.equal) == (math.inf, 0, 1)
    assert found.ssim == pytest.approx(1, abs=1e-6)
    assert found.as_json()["psnr"] is None


def test_one_level_in_one_sample_is_found() -> None:
    a = np.full((100, 90, 3), 7, np.uint8)
    b = a.copy()
    b[77, 12, 2] += 1
    found = compare(a, b)
    assert (found.largest, found.place) == (1, (77, 12, 2))
    assert "99.9962 %" in "\n".join(found.lines())  # never rounded up to all


def test_small_pictures_have_no_similarity() -> None:
    assert compare(np.zeros((10, 50), np.uint8), np.ones((10, 50), np.uint8)).ssim is None


def test_other_shapes_are_refused() -> None:
    with pytest.raises(ParameterError, match="same shape and type"):
        compare(np.zeros((4, 4), np.uint8), np.zeros((4, 5), np.uint8))


def test_the_difference_is_stretched() -> None:
    a = np.zeros((2, 3, 4), np.uint8)
    b = a.copy()
    b[0, 0], b[1, 2] = (4, 2, 0, 0), (0, 0, 0, 8)
    shown = difference_picture(Picture.from_array(a), Picture.from_array(b)).pixels
    assert shown.shape == (2, 3, 3)
    assert shown[0, 0].tolist() == [128, 64, 0]
    assert shown[1, 2].tolist() == [255, 255, 255]


def test_all_frames_count(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    frames = [pair("uint8", (40, 30))[0] for _ in range(3)]
    changed = [frame.copy() for frame in frames]
    changed[1][7, 5] ^= 32
    changed[2][30, 20] ^= 128
    names = [str(tmp_path / name) for name in ("a.tiff", "b.tiff", "two.tiff", "where.tiff", "where.png")]
    for name, pages in zip(names, (frames, changed, frames[:2]), strict=False):
        first, *others = map(Image.fromarray, pages)
        first.save(name, save_all=True, append_images=others)
    assert main(["compare", *names[:2], "--json", "--difference", names[3]]) == 0
    found = json.loads(capfd.readouterr().out)
    whole = compare(np.concatenate(frames), np.concatenate(changed))
    assert (found["frames"], found["frame"], found["row"], found["column"]) == (3, 2, 30, 20)
    assert (found["largest"], found["equal"]) == (128, whole.equal)
    assert found["psnr"] == pytest.approx(whole.psnr)
    singles = [compare(a, b).ssim for a, b in zip(frames, changed, strict=True)]
    assert found["ssim"] == pytest.approx(np.mean(singles))
    with Image.open(names[3]) as where:
        peaks = []
        for page in range(3):
            where.seek(page)
            peaks.append(np.asarray(where).max())
    assert peaks == [0, 64, 255]
    assert main(["compare", *names[:2]]) == 0
    assert "frame 2 of 3" in capfd.readouterr().out
    assert main(["compare", names[0], names[2]]) == 1
    assert "the same number of frames" in capfd.readouterr().err
    assert main(["compare", *names[:2], "--difference", names[4]]) == 1
    assert "use tiff" in capfd.readouterr().err


def test_the_command(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    a, b = pair("uint8", (40, 30))
    names = [str(tmp_path / name) for name in ("a.png", "b.png", "where.png", "small.png")]
    for name, pixels in zip(names, (a, b, None, a[:20]), strict=True):
        if pixels is not None:
            Image.fromarray(pixels).save(name)
    assert main(["compare", names[0], names[1], "--difference", names[2], "--json"]) == 0
    assert json.loads(capfd.readouterr().out) == compare(a, b).as_json()
    with Image.open(names[2]) as shown:
        assert np.asarray(shown).max() == 255 and shown.size == (30, 40)
    reached = compare(a, b).psnr
    assert main(["compare", *names[:2], "--min-psnr", str(reached - 0.01)]) == 0
    assert main(["compare", *names[:2], "--min-psnr", str(reached + 0.01)]) == 1
    said = capfd.readouterr()
    assert f"too far apart: PSNR is {reached:.2f} dB, at least" in said.err
    assert said.out.count("PSNR") == 2
    assert main(["compare", names[0], names[0], "--min-psnr", "1000"]) == 0
    capfd.readouterr()
    assert main(["compare", names[0], names[0]]) == 0
    assert "PSNR     infinite: equal" in capfd.readouterr().out
    assert main(["compare", names[0], names[3]]) == 1
    assert "must have the same size" in capfd.readouterr().err
    assert main(["compare", names[0], str(tmp_path / "none.png")]) == 1
    assert "none.png: " in capfd.readouterr().err
    before = Path(names[1]).read_bytes()
    assert main(["compare", names[0], names[1], "--difference", names[1]]) == 2
    assert "would overwrite an input" in capfd.readouterr().err
    assert Path(names[1]).read_bytes() == before


def test_the_command_knows_the_remedies_of_reading(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    names = [str(tmp_path / name) for name in ("a.ppm", "b.ppm", "a.tiff", "b.tiff")]
    for name in names[:2]:
        Path(name).write_bytes(2 * b"P6 2 1 255\nabcdef")
    assert main(["compare", *names[:2]]) == 1
    assert "read the first with --allow-loss" in capfd.readouterr().err
    assert main(["compare", *names[:2], "--allow-loss"]) == 0
    assert capfd.readouterr().err.count("more than one PNM") == 2
    first, second = (Image.fromarray(np.full((4, 5), level, np.uint8)) for level in (1, 2))
    for name, pages in zip(names[2:], ((first, second), (second,)), strict=True):
        pages[0].save(name, save_all=True, append_images=pages[1:])
    assert main(["compare", names[2], names[3], "--frame", "-1", "--max-difference", "0"]) == 0
    assert main(["compare", names[3], names[3], "--max-pixels", "19"]) == 1
    assert "raise it with --max-pixels" in capfd.readouterr().err
    Path(names[0]).write_bytes(b"P6 2 1 255\nabc")
    assert main(["compare", names[0], names[0], "--lenient"]) == 0
    assert "truncated" in capfd.readouterr().err


# Plots --------------------------------------------------------------------------------------------------------------


def test_the_response_is_the_sum_in_the_middle_and_falls_for_a_blur() -> None:
    blur = response(kernels.gaussian(2, 2).weights)
    assert blur[128, 128] == pytest.approx(1)
    assert blur[0, 0] < 1e-6
    frequency = 20 / 256
    assert blur[128, 148] == pytest.approx(math.exp(-2 * (math.pi * 2 * frequency) ** 2), rel=1e-6)
    assert response(kernels.laplacian().weights)[128, 128] == pytest.approx(0, abs=1e-12)


def test_the_largest_kernel_is_plotted(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    (tmp_path / "k.txt").write_text("1 " * 2048)
    assert main(["kernel", "show", f"kernel:{tmp_path / 'k.txt'}", "--plot", str(tmp_path / "k.png")]) == 0
    assert (tmp_path / "k.png").exists()


@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_plots_are_files_with_the_same_bytes_each_time(tmp_path: Path, suffix: str) -> None:
    pytest.importorskip("matplotlib")
    files = [tmp_path / f"{name}.{suffix}" for name in "ab"]
    for file in files:
        assert main(["kernel", "show", "sobel", "--plot", str(file)]) == 0
    first, second = (file.read_bytes() for file in files)
    assert first == second and len(first) > 5000
    other = tmp_path / f"c.{suffix}"
    assert main(["kernel", "show", "scharr", "--plot", str(other)]) == 0
    assert other.read_bytes() != first


@pytest.mark.parametrize(
    ("spec", "name", "message"),
    [
        ("sobel", "k.jpg", "a plot is a PNG or SVG file, got"),
        ("relu", "k.png", "relu has no weights that could be plotted"),
        ("median:3", "k.png", "median:3 has no weights that could be plotted"),
        ("gaussian:400", "k.png", "up to 2048 taps"),
    ],
)
def test_plots_that_are_refused(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, spec: str, name: str, message: str
) -> None:
    assert main(["kernel", "show", spec, "--plot", str(tmp_path / name)]) == 2
    assert message in capfd.readouterr().err
    assert not (tmp_path / name).exists()


def test_a_plot_that_cannot_be_written_is_named(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    nowhere = tmp_path / "no" / "k.png"
    assert main(["kernel", "show", "sobel:x", "--plot", str(nowhere)]) == 1
    assert capfd.readouterr().err == f"convfilter: {nowhere}: there is no folder {nowhere.parent}\n"


def test_rows_and_columns_of_weights_are_whole_numbers() -> None:
    figure = pytest.importorskip("matplotlib.figure").Figure()
    axes = figure.subplots()
    draw_weights(axes, "gaussian", kernels.gaussian(1, 1).weights)
    ticks = [*axes.get_xticks(), *axes.get_yticks()]
    assert all(float(tick).is_integer() for tick in ticks)


def floats(**samples: float) -> np.ndarray:
    """Make a picture of tenths with single samples changed, such as ``r2c3=np.nan``."""
    image = (np.arange(14 * 15) % 10 / 10).astype(np.float32).reshape(14, 15)
    for place, value in samples.items():
        row, col = map(int, place[1:].split("c"))
        image[row, col] = value
    return image


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
def test_samples_that_are_no_numbers_hide_no_difference(odd: float) -> None:
    found = compare(floats(r2c3=odd), floats(r9c4=5))
    assert (found.unmatched, found.unmatched_place) == (1, (2, 3, 0))
    assert found.largest == pytest.approx(5 - 0.9)
    assert found.place == (9, 4, 0)
    assert found.psnr is None
    assert (found.ssim, found.ssim_missing) == (None, "samples are not all finite")
    assert found.equal == pytest.approx(1 - 2 / 210)
    lines = list(found.lines())
    assert "besides  1 NaN or infinity in one picture only, first at column 3, row 2, channel 0" in lines
    assert lines[0] == "PSNR     none: differences are not all finite"


def test_nan_equals_nan_and_infinity_itself() -> None:
    odd = floats(r0c0=np.nan, r1c1=np.inf, r2c2=-np.inf)
    found = compare(odd, odd.copy())
    assert (found.psnr, found.equal, found.largest, found.unmatched) == (np.inf, 1, 0, 0)
    found = compare(odd, floats(r0c0=np.nan, r1c1=-np.inf, r2c2=np.nan))
    assert (found.unmatched, found.unmatched_place, found.largest) == (2, (1, 1, 0), 0)


def test_samples_whose_squares_are_too_large_have_no_similarity() -> None:
    found = compare(floats(r3c3=3e38), floats(r3c3=-3e38))
    assert found.largest == pytest.approx(6e38)
    assert found.psnr is not None and np.isfinite(found.psnr)
    assert (found.ssim, found.ssim_missing) == (None, "squares of the samples are too large")


@pytest.mark.parametrize("odd", [np.nan, np.inf, 3e38])
def test_the_command_writes_strict_json_and_a_difference(
    odd: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    convfilter.write("a.tiff", floats(r2c3=odd))
    convfilter.write("b.tiff", floats(r9c4=5))
    assert main(["compare", "a.tiff", "b.tiff", "--json", "--difference", "far.tiff"]) == 0

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is no JSON")

    found = json.loads(capfd.readouterr().out, parse_constant=refuse)
    assert found["largest"] > 4
    assert found["ssim"] is None
    assert found["unmatched"] == (0 if odd == 3e38 else 1)
    far = convfilter.read("far.tiff").pixels
    assert np.isfinite(far).all()
    assert far[2, 3] == 1
    assert far[0, 0] == 0


def test_json_has_null_for_numbers_that_are_not_finite() -> None:
    text = json_of({"a": [1.5, float("nan"), (float("inf"),)], "b": "NaN", "c": None})
    assert text == '{"a": [1.5, null, [null]], "b": "NaN", "c": null}'
