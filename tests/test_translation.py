"""Lines of other programs as commands of this one: the same work, with what will differ."""

from __future__ import annotations

import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import convfilter as cf
from convfilter.cli.root import run

GAUSSIAN = "convfilter apply -f gaussian:4"
LINES = {
    "magick in.jpg -blur 0x4 out.jpg": (f"{GAUSSIAN} in.jpg out.jpg", "cuts the kernel"),
    "convert in.png -blur 8x4 -quality 90 out.jpg": (
        "convfilter apply -f gaussian:4,truncate=2 --quality 90 in.png out.jpg",
        "rounds after each pass",
    ),
    "magick in.png -statistic Median 3x5 out.png": ("convfilter apply -f median:3x5 in.png out.png", ""),
    "magick in.png -morphology Erode Square:2 out.png": ("convfilter apply -f erode:5 in.png out.png", ""),
    "magick in.png -morphology Convolve '3x1: 1,0,-1' -virtual-pixel mirror out.png": (
        "convfilter apply -f 'kernel:1 0 -1,flip=true' --padding-mode symmetric in.png out.png",
        "turns the kernel",
    ),
    "magick in.png -unsharp 0x2+0.6+0.02 out.png": (
        "convfilter apply -f unsharp:2,amount=0.6,threshold=0.02 in.png out.png",
        "twice the difference",
    ),
    "vips gaussblur in.png out.png 4": (f"{GAUSSIAN} in.png out.png", "a fifth of the largest"),
    "vips conv in.png out.png mask.mat": ("convfilter apply -f kernel:mask.mat in.png out.png", "both correlate"),
    "ffmpeg -i in.png -vf gblur=sigma=4 -y out.png": (f"{GAUSSIAN} --overwrite in.png out.png", "YUV"),
    "ffmpeg -i in.png -vf boxblur=2,median=radius=2 out.png": (
        "convfilter apply -f box:5 -f box:5 -f median:5 in.png out.png",
        "twice by default",
    ),
    "gmic in.png blur 4 output out.png": (f"{GAUSSIAN} in.png out.png", "recursive"),
    "scipy.ndimage.gaussian_filter(image, 4, mode='mirror')": (
        f"{GAUSSIAN},truncate=4 --padding-mode reflect in.png out.png",
        "mirror in SciPy is reflect here",
    ),
    "ndimage.uniform_filter(a, size=(3, 5))": (
        "convfilter apply -f box:5x3 --padding-mode symmetric in.png out.png",
        "reflect in SciPy is symmetric here",
    ),
    "y = ndimage.convolve(a, [[1, 2, 1]])": (
        "convfilter apply -f 'kernel:1 2 1,flip=true' --padding-mode symmetric in.png out.png",
        "turns the kernel",
    ),
    "cv2.GaussianBlur(img, (9, 9), 2)": (
        "convfilter apply -f gaussian:2,truncate=2 --padding-mode reflect in.png out.png",
        "rounds after each pass",
    ),
    "cv2.bilateralFilter(img, 9, 51, 75)": (
        "convfilter apply -f bilateral:75,sigma_range=0.2,radius=4 --padding-mode reflect in.png out.png",
        "levels of 8 bits",
    ),
    "cv2.bilateralFilter(img, 0, 25.5, 2.4)": (
        "convfilter apply -f bilateral:2.4,sigma_range=0.1,radius=4 --padding-mode reflect in.png out.png",
        "1.5 sigmaSpace",
    ),
    "restoration.denoise_bilateral(img, win_size=7, sigma_color=0.1, sigma_spatial=2, channel_axis=-1)": (
        "convfilter apply -f bilateral:2,sigma_range=0.3,radius=3,distance=l2 --padding-mode constant "
        "--padding-value 0 in.png out.png",
        "sums a square",
    ),
    "cv2.Sobel(img, cv2.CV_8U, 1, 0, ksize=5)": (
        "convfilter apply -f sobel:x,size=5 --padding-mode reflect in.png out.png",
        "no negative results",
    ),
    "cv2.erode(img, np.ones((3, 5), np.uint8))": ("convfilter apply -f erode:5x3 in.png out.png", ""),
    "nn.MaxPool2d(kernel_size=3, stride=2, padding=1)": (
        "convfilter apply -f maxpool:3,stride=2,padding=1 in.png out.png",
        "",
    ),
}


@pytest.mark.parametrize("line", LINES)
def test_lines_become_commands_that_run(
    line: str, capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["from", line]) == 0
    first, *notes = capfd.readouterr().out.splitlines()
    command, note = LINES[line]
    assert first == command
    assert all(each.startswith("# ") for each in notes)
    assert note in " ".join(notes)
    pixels = np.random.default_rng(4).integers(0, 256, (24, 31, 3), np.uint8)
    for name in ("in.png", "in.jpg"):
        Image.fromarray(pixels).save(name)
    Path("mask.mat").write_text("3 1 4 0\n1 2 1\n")
    assert run(shlex.split(first)[1:]) == 0
    assert Path(shlex.split(first)[-1]).exists()


def test_a_translation_of_scipy_does_what_scipy_does(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ndimage = pytest.importorskip("scipy.ndimage")
    monkeypatch.chdir(tmp_path)
    pixels = np.random.default_rng(4).integers(0, 256, (24, 31), np.uint8)
    Image.fromarray(pixels).save("in.png")
    weights = [[1 / 8, 2 / 8, 0], [0, 4 / 8, 1 / 8], [0, 0, 0]]
    for call, expected in (
        ("ndimage.gaussian_filter(a, 1.5, mode='mirror')", ndimage.gaussian_filter(pixels * 1.0, 1.5, mode="mirror")),
        ("ndimage.uniform_filter(a, (3, 5))", ndimage.uniform_filter(pixels * 1.0, (3, 5))),
        ("ndimage.median_filter(a, size=3)", ndimage.median_filter(pixels, size=3)),
        (f"ndimage.convolve(a, {weights}, mode='wrap')", ndimage.convolve(pixels * 1.0, weights, mode="wrap")),
    ):
        assert run(["from", call]) == 0
        first = capfd.readouterr().out.splitlines()[0]
        assert run([*shlex.split(first)[1:], "--overwrite"]) == 0
        difference = np.abs(cf.read("out.png").pixels - np.asarray(expected, float))
        assert difference.max() <= 0.5 + 1e-6


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("magick in.png -swirl 90 out.png", "'-swirl' has no translation"),
        ("magick in.png -sharpen 0x1 out.png", "its kernel is not that of unsharp masking"),
        ("magick in.png -convolve 1,2,1 out.png", "versions differ in whether they divide by the sum"),
        ("magick in.png -blur wide out.png", "'-blur wide' has no translation"),
        ("vips resize in.png out.png 0.5", "'vips resize' has no translation"),
        ("ffmpeg -i in.png -vf scale=10:20 out.png", "'scale=10:20' has no translation"),
        ("ffmpeg -i in.png -vf gblur=sigma=4:steps=3 out.png", "'gblur steps' has no translation"),
        ("gmic in.png deform 4 o out.png", "'deform' has no translation"),
        ("gimp in.png", "lines of magick, convert, vips, ffmpeg, gmic and calls of ndimage, cv2, skimage and torch.nn"),
        ("ndimage.gaussian_filter(a, sigma)", "sigma must be a number or a list in the line, got 'sigma'"),
        ("ndimage.gaussian_filter(a, 4, 1)", "'1' has no translation: name it"),
        ("ndimage.uniform_filter(a, 4)", "SciPy's even windows reach further to the left"),
        ("ndimage.zoom(a, 2)", "'ndimage.zoom()' has no translation: known are gaussian_filter"),
        ("magick in.png out.png", "no filter was found"),
        ("magick in.png -blur '0x4", "the line cannot be split into words: No closing quotation"),
    ],
)
def test_what_is_not_certain_is_named(line: str, message: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["from", line]) == 2
    captured = capfd.readouterr()
    assert message in captured.err and captured.err.count("\n") == 1
    assert captured.out == ""
