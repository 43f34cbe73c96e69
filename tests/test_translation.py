"""Commands of other programs, translated to commands of this one, and notes on the differences."""

from __future__ import annotations

import shlex
import shutil
import subprocess
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
        "rotates the kernel",
    ),
    "magick in.png -unsharp 0x2+0.6+0.02 out.png": (
        "convfilter apply -f unsharp:2,amount=0.6,threshold=0.01 in.png out.png",
        "twice the difference",
    ),
    "magick in.png -sharpen 0x1 out.png": (
        "convfilter apply -f unsharp:1,amount=0.862697 in.png out.png",
        "4 pixels from its middle",
    ),
    "magick in.png -sharpen 1 out.png": (
        "convfilter apply -f 'kernel:-0.062377394 -0.102842937 -0.062377394; -0.102842937 1.660881324 -0.102842937; "
        "-0.062377394 -0.102842937 -0.062377394' in.png out.png",
        "",
    ),
    "magick in.png -convolve 1,2,1,2,4,2,1,2,1 out.png": (
        "convfilter apply -f 'kernel:1 2 1; 2 4 2; 1 2 1,normalize=true' in.png out.png",
        "divides the weights by their sum",
    ),
    "magick in.png -blur 0x1 out.png": ("convfilter apply -f gaussian:1 in.png out.png", "a sigma of 1.036"),
    "magick in.png -median 3 out.png": ("convfilter apply -f median:3 in.png out.png", "not a radius"),
    "magick in.png -morphology Open Disk out.png": ("convfilter apply -f open:disk:4.3 in.png out.png", ""),
    "magick in.png -morphology Erode:2 Diamond out.png": (
        "convfilter apply -f 'erode:0 1 0; 1 1 1; 0 1 0' -f 'erode:0 1 0; 1 1 1; 0 1 0' in.png out.png",
        "",
    ),
    "magick in.png -edge 1 out.png": (
        "convfilter apply -f 'kernel:-1 -1 -1; -1 8 -1; -1 -1 -1' in.png out.png",
        "",
    ),
    "vips rank in.png out.png 5 3 11": ("convfilter apply -f percentile:5x3,p=11/14 in.png out.png", "vips 8.14"),
    "vips gaussblur in.png out.jpg[Q=90] 2 --min-ampl 0.01": (
        "convfilter apply -f gaussian:2,truncate=3 --quality 90 in.png out.jpg",
        "rounds the weights to integers",
    ),
    "vips morph in.png out.png cross.mat erode": (
        "convfilter apply -f 'erode:0 1 0; 1 1 1; 0 1 0' in.png out.png",
        "black and white",
    ),
    "vips sobel in.png out.png": ("convfilter apply -f sobel:magnitude in.png out.png", "absolute differences"),
    "vips gaussblur in.png out.png 4": (f"{GAUSSIAN} in.png out.png", "a fifth of the largest"),
    "vips conv in.png out.png mask.mat": ("convfilter apply -f kernel:mask.mat in.png out.png", "both correlate"),
    "ffmpeg -i in.png -vf gblur=sigma=4 -y out.png": (f"{GAUSSIAN} --overwrite in.png out.png", "recursive"),
    "ffmpeg -i in.jpg -vf gblur=4 -frames:v 1 -update 1 out.png": (f"{GAUSSIAN} in.jpg out.png", "YUV"),
    "ffmpeg -i in.png -vf boxblur=2,median=radius=2 out.png": (
        "convfilter apply -f box:5,padding_mode=symmetric -f box:5,padding_mode=symmetric -f median:5 in.png out.png",
        "twice by default",
    ),
    "ffmpeg -i in.png -vf boxblur=2:1,avgblur=1:sizeY=2 out.png": (
        "convfilter apply -f box:5,padding_mode=symmetric -f box:3x5 in.png out.png",
        "rounds down",
    ),
    "ffmpeg -i in.png -vf unsharp=3:3:2 out.png": (
        "convfilter apply -f 'kernel:-2 -4 -2; -4 40 -4; -2 -4 -2,scale=1/16' in.png out.png",
        "binomial weights",
    ),
    "ffmpeg -i in.png -vf convolution='0 -1 0 -1 5 -1 0 -1 0:0bias=10',sobel=scale=0.5 out.png": (
        "convfilter apply -f 'kernel:0 -1 0; -1 5 -1; 0 -1 0,offset=10/255,padding_mode=reflect' "
        "-f sobel:magnitude,scale=0.5,padding_mode=reflect in.png out.png",
        "the first plane alone",
    ),
    "ffmpeg -i in.png -vf convolution='1 2 1 2 4 2 1 2 1:0rdiv=1/20' out.png": (
        "convfilter apply -f 'kernel:1 2 1; 2 4 2; 1 2 1,scale=1/20,padding_mode=reflect' in.png out.png",
        "ffmpeg 5.1 ignores rdiv",
    ),
    "gmic in.png median 3 erode 3,5 output out.png": (
        "convfilter apply -f median:3 -f erode:3x5 in.png out.png",
        "inside the picture",
    ),
    "gmic in.png blur 4 output out.png": (f"{GAUSSIAN} in.png out.png", "recursive"),
    "gmic in.png blur 2,0 blur 1 output out.png": (
        "convfilter apply -f gaussian:2,padding_mode=constant -f gaussian:1 in.png out.png",
        "truncates its results",
    ),
    "ndimage.median_filter(cv2.medianBlur(cv2.imread('a.png').astype(float), 5), 3, mode='nearest')": (
        "convfilter apply -f median:5 -f median:3 --padding-mode edge in.png out.png",
        "nearest in SciPy is edge here",
    ),
    "nn.Sequential(nn.Conv2d(3, 2, 3), nn.ReLU6(), nn.Dropout(0.5), nn.Conv2d(2, 2, (3, 5)))": (
        "convfilter apply -f layer:conv.npz,padding=0 -f clip:0,high=6 -f layer:conv2.npz,padding=0 in.png out.png",
        "'conv2.npz'",
    ),
    "F.gelu(x, approximate='tanh')": ("convfilter apply -f gelu:tanh in.png out.png", ""),
    "nn.ReLU6()": ("convfilter apply -f clip:0,high=1 in.png out.png", ""),
    "scipy.ndimage.gaussian_filter(image, 4, mode='mirror')": (
        f"{GAUSSIAN},truncate=4 --padding-mode reflect in.png out.png",
        "mirror in SciPy is reflect here",
    ),
    "ndimage.gaussian_filter(a, 4, mode=['nearest', 'wrap'])": (
        f"{GAUSSIAN},truncate=4 --padding-mode wrap,edge in.png out.png",
        "the mode of the rows first",
    ),
    "ndimage.gaussian_filter(a, (4, 4, 0), mode=('constant', 'nearest', 'wrap'), cval=7)": (
        f"{GAUSSIAN},truncate=4 --padding-mode edge,constant --padding-value 7 in.png out.png",
        "nearest in SciPy is edge here",
    ),
    "ndimage.uniform_filter(a, 3, mode=['grid-wrap', 'wrap'])": (
        "convfilter apply -f box:3 --padding-mode wrap in.png out.png",
        "grid-wrap in SciPy is wrap here",
    ),
    "ndimage.uniform_filter(a, size=(3, 5))": (
        "convfilter apply -f box:5x3 --padding-mode symmetric in.png out.png",
        "reflect in SciPy is symmetric here",
    ),
    "y = ndimage.convolve(a, [[1, 2, 1]])": (
        "convfilter apply -f 'kernel:1 2 1,flip=true' --padding-mode symmetric in.png out.png",
        "rotates the kernel",
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
        "convfilter apply -f sobel:x,size=5,scale=-1,map=clip --padding-mode reflect in.png out.png",
        "negative results as 0",
    ),
    "cv2.erode(img, np.ones((3, 5), np.uint8))": ("convfilter apply -f erode:5x3 in.png out.png", ""),
    "ndimage.gaussian_filter(a, (2, 2, 0))": (
        "convfilter apply -f gaussian:2,truncate=4 --padding-mode symmetric in.png out.png",
        "symmetric here",
    ),
    "cv2.Laplacian(img, cv2.CV_64F)": (
        "convfilter apply -f laplacian:map=offset --padding-mode reflect in.png out.png",
        "makes mid-grey zero",
    ),
    "skimage.filters.gaussian(image, sigma=2)": (
        "convfilter apply -f gaussian:2,truncate=4 --padding-mode edge in.png out.png",
        "without channel_axis",
    ),
    "nn.Sequential(nn.MaxPool2d(2), nn.ReLU(), torch.nn.AvgPool2d(3, padding=(1, 0)))": (
        "convfilter apply -f maxpool:2 -f relu -f avgpool:3,padding=0x1,count_padding=true in.png out.png",
        "counts the padding",
    ),
    "nn.Conv2d(3, 2, (3, 5), stride=2, padding=(1, 2), padding_mode='replicate')": (
        "convfilter apply -f layer:conv.npz,stride=2,padding=2x1,padding_mode=edge in.png out.png",
        "replicate in torch is edge here",
    ),
    "nn.ConvTranspose2d(3, 2, 2, stride=2)": (
        "convfilter apply -f convtranspose:conv.npz,stride=2 in.png out.png",
        "weights are not in the line",
    ),
    "im = Image.open('a.png').filter(ImageFilter.MaxFilter).filter(PIL.ImageFilter.UnsharpMask(2, threshold=3))": (
        "convfilter apply -f dilate:3 -f unsharp:2,amount=1.5,threshold=7/510 in.png out.png",
        "Pillow blurs by three boxes",
    ),
    "image.filter(MedianFilter)": ("convfilter apply -f median:3 in.png out.png", ""),
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
    Path("mask.mat").write_text("3 1 4 0\n1 2 1\n")
    Path("cross.mat").write_text("3 3\n128 255 128\n255 255 255\n128 255 128\n")
    assert run(["from", line]) == 0
    first, *notes = capfd.readouterr().out.splitlines()
    command, note = LINES[line]
    assert first == command
    assert all(each.startswith("# ") for each in notes)
    assert note in " ".join(notes)
    pixels = np.random.default_rng(4).integers(0, 256, (24, 31, 3), np.uint8)
    for name in ("in.png", "in.jpg"):
        Image.fromarray(pixels).save(name)
    is_transposed = "convtranspose" in first
    weight = np.full((3, 2, 2, 2) if is_transposed else (2, 3, 3, 5), 0.02)
    np.savez("conv.npz", weight=weight)
    np.savez("conv2.npz", weight=weight[:, :2])
    assert run(shlex.split(first)[1:]) == 0
    assert Path(shlex.split(first)[-1]).exists()


PIXELS = np.random.default_rng(5).integers(0, 256, (36, 45)).astype(np.uint8)
#: Calls, whose arguments are evaluated here, too; results are clipped and rounded as a picture of bytes holds them.
CALLS = {
    "scipy.ndimage": (
        "ndimage.gaussian_filter(a, 1.5, mode='mirror')",
        "ndimage.gaussian_filter(a, (2, 1), truncate=3)",
        "ndimage.gaussian_filter(a, 2, mode=['nearest', 'wrap'])",
        "ndimage.gaussian_filter(a, 2, mode=('wrap', 'constant'), cval=99)",
        "ndimage.uniform_filter(a, (3, 5), mode=['mirror', 'wrap'])",
        "ndimage.minimum_filter(a, 5, mode=['wrap', 'reflect'])",
        "ndimage.grey_closing(a, (5, 3), mode=['constant', 'wrap'], cval=99)",
        "abs:ndimage.sobel(a, 0, mode=['nearest', 'wrap'])",
        "abs:ndimage.prewitt(a, mode=['wrap', 'reflect'])",
        "abs:ndimage.laplace(a, mode=['wrap', 'mirror'])",
        "ndimage.gaussian_filter1d(a, 2, axis=0)",
        "ndimage.uniform_filter(a, (3, 5))",
        "ndimage.uniform_filter(a, 4)",
        "ndimage.median_filter(a, size=3)",
        "ndimage.median_filter(a, 4)",
        "ndimage.median_filter(a, footprint=[[0, 1, 0], [1, 1, 1], [0, 1, 0]])",
        "ndimage.percentile_filter(a, 30, 5)",
        "ndimage.percentile_filter(a, -20, size=(3, 5))",
        "ndimage.rank_filter(a, -2, 3)",
        "ndimage.minimum_filter(a, size=4)",
        "ndimage.maximum_filter(a, (3, 5), mode='wrap')",
        "ndimage.minimum_filter1d(a, 5)",
        "ndimage.grey_opening(a, 3)",
        "ndimage.grey_closing(a, size=(5, 3), mode='constant', cval=9)",
        "ndimage.morphological_gradient(a, 3)",
        "ndimage.white_tophat(a, 5)",
        "ndimage.black_tophat(a, 5)",
        "abs:ndimage.sobel(a, 0)",
        "abs:ndimage.prewitt(a, mode='nearest')",
        "abs:ndimage.prewitt(a, mode='constant')",
        "abs:ndimage.gaussian_filter(a, 1.5, order=(0, 1), mode='constant', truncate=6)",
        "abs:ndimage.laplace(a)",
        "abs:ndimage.laplace(a, mode='constant', cval=100)",
        "ndimage.correlate(a, [[0.25, 0.75], [0.5, -0.5]])",
        "ndimage.convolve(a, [[0.25, 0.75], [0.5, -0.5]])",
        "ndimage.convolve(a, np.array([[1, 2, 0], [0, 4, 1], [0, 0, 0]]) / 8, mode='wrap')",
        "ndimage.convolve1d(a, [0.5, 0.25, 0.25, 0], axis=0)",
        "ndimage.gaussian_filter(a, (2, 1), radius=3)",
        "ndimage.gaussian_filter1d(a, 2, radius=3)",
        "abs:ndimage.gaussian_filter(a, 1.5, order=(0, 1), truncate=6)",
        "abs:ndimage.gaussian_filter(a, 2, (2, 0), mode='nearest', truncate=6)",
        "ndimage.gaussian_gradient_magnitude(a, 1.5, truncate=6)",
        "abs:ndimage.gaussian_laplace(a, 2, truncate=6)",
        "ndimage.uniform_filter(a, (5, 4), origin=(1, -2))",
        "ndimage.uniform_filter1d(a, 4, axis=0, origin=1)",
        "ndimage.median_filter(a, footprint=[[1, 0, 1], [0, 1, 0], [1, 1, 1]])",
        "ndimage.maximum_filter(a, footprint=[[1, 0, 1, 1], [1, 1, 0, 0]], origin=(0, 1))",
        "ndimage.minimum_filter(a, footprint=[[1, 0, 1], [0, 0, 1], [0, 0, 0]])",
        "ndimage.rank_filter(a, 2, footprint=[[1, 1, 0, 1]], mode='wrap')",
        "ndimage.grey_erosion(a, footprint=[[1, 0], [1, 1]], origin=(-1, 0))",
        "ndimage.grey_dilation(a, footprint=[[1, 0], [1, 1]], origin=(-1, 0))",
        "ndimage.grey_opening(a, (2, 4))",
        "ndimage.grey_closing(a, structure=[[0, 0], [0, 0]])",
        "ndimage.convolve(a, [[0.25, 0.75], [0.5, -0.5]], origin=(-1, 0))",
        "ndimage.correlate1d(a, [0.5, 0.25, 0.25, 0], axis=0, origin=1)",
    ),
    "cv2": (
        "cv2.GaussianBlur(a, (9, 9), 2)",
        "cv2.GaussianBlur(a, (3, 3), 0)",
        "cv2.GaussianBlur(a, (7, 5), 0)",
        "cv2.GaussianBlur(a, (11, 11), 0)",
        "cv2.blur(a, (4, 3))",
        "cv2.filter2D(a, -1, np.array([[1] * 5] * 3) / 15)",
        "cv2.boxFilter(a, -1, (3, 3), borderType=cv2.BORDER_REPLICATE)",
        "cv2.medianBlur(a, 5)",
        "cv2.Sobel(a, cv2.CV_8U, 1, 0, ksize=5)",
        "cv2.Sobel(a, -1, 0, 1, scale=0.25, delta=100)",
        "cv2.Scharr(a, -1, 1, 0, scale=1 / 16)",
        "cv2.Laplacian(a, -1)",
        "cv2.Laplacian(a, -1, ksize=3, scale=0.5, delta=50)",
        "cv2.filter2D(a, -1, np.array([[0, -1, 0], [-1, 5, -1], [0, -1, 0]]))",
        "cv2.filter2D(a, -1, np.ones((4, 4)) / 16, delta=10)",
        "cv2.erode(a, np.ones((3, 5), np.uint8))",
        "cv2.dilate(a, cv2.getStructuringElement(cv2.MORPH_CROSS, (5, 5)), iterations=2)",
        "cv2.erode(a, None, iterations=2)",
        "cv2.erode(a, cv2.getStructuringElement(shape=cv2.MORPH_RECT, ksize=(3, 5)))",
        "cv2.filter2D(a, -1, np.ones(shape=(3, 5), dtype=np.float32) / 15)",
        "cv2.morphologyEx(a, cv2.MORPH_OPEN, None)",
        "cv2.morphologyEx(a, cv2.MORPH_TOPHAT, np.ones((5, 5)))",
        "cv2.morphologyEx(a, cv2.MORPH_GRADIENT, np.ones((3, 3)))",
        "cv2.morphologyEx(a, cv2.MORPH_CLOSE, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (9, 7)))",
        "cv2.GaussianBlur(a, (5, 5), 0, sigmaY=2)",
        "cv2.GaussianBlur(a, (9, 3), 0)",
        "cv2.GaussianBlur(a, (11, 5), 1.2, sigmaY=2)",
        "cv2.blur(a, (3, 4), anchor=(0, 3))",
        "cv2.boxFilter(a, -1, (2, 2), normalize=False)",
        "cv2.filter2D(a, -1, np.array([[1, 2], [3, 4]]) / 10, None, (0, 1))",
        "cv2.sepFilter2D(a, -1, np.array([1, 2, 1]) / 4, np.array([1, 2, 3, 2]) / 8, None, (0, 0), 7)",
        "cv2.Sobel(a, -1, 1, 1, ksize=5, scale=0.1, delta=90)",
        "cv2.Sobel(a, -1, 0, 2, ksize=1, delta=90)",
        "cv2.Sobel(a, -1, 1, 0, ksize=-1, scale=0.1, delta=90)",
        "cv2.Laplacian(a, -1, ksize=7, scale=0.01, delta=90)",
    ),
    "skimage.filters": (
        "255:filters.gaussian(a, 2)",
        "255:filters.gaussian(a, sigma=(1, 3), mode='reflect', truncate=3)",
        "255:filters.difference_of_gaussians(a, 1.5, truncate=6)",
        "255:filters.difference_of_gaussians(a, 1, 3, mode='reflect', truncate=6)",
        "255:filters.sobel(a)",
        "255:filters.scharr(a)",
        "255:filters.prewitt(a)",
        "255:filters.farid(a)",
        "255:filters.roberts(a)",
        "255:filters.sobel_h(a)",
        "255:filters.scharr_v(a)",
        "255:filters.laplace(a)",
        "255:filters.sobel(a, axis=(0, 1))",
        "255:filters.prewitt(a, mode='constant', cval=1)",
        "255:filters.gaussian(a, 1, mode='constant', cval=0.5)",
        "filters.gaussian(a, 1, mode='constant', cval=99, preserve_range=True)",
        "filters.median(a)",
        "filters.median(a, np.array([[1, 0, 0, 0, 1]]))",
    ),
    "skimage.morphology": (
        "morphology.erosion(a, morphology.disk(3))",
        "morphology.closing(a, morphology.diamond(2))",
        "morphology.dilation(a)",
        "morphology.opening(a, np.array([[1, 0, 0, 0, 1]]))",
        "morphology.erosion(a, morphology.disk(2), mode='constant', cval=50)",
    ),
    "PIL.ImageFilter": (
        "image.filter(ImageFilter.BoxBlur(2))",
        "image.filter(ImageFilter.BoxBlur((1.25, 2)))",
        "image.filter(ImageFilter.MedianFilter(5))",
        "image.filter(ImageFilter.MinFilter(3)).filter(ImageFilter.MaxFilter)",
        "image.filter(ImageFilter.RankFilter(5, rank=3))",
        "image.filter(ImageFilter.Kernel((3, 3), (1, 2, 3, 4, 5, 6, 7, 8, 0)))",
        "image.filter(ImageFilter.Kernel((3, 3), [-1] * 4 + [9] + 4 * [-1]))",
        "image.filter(ImageFilter.Kernel((5, 5), [0, 1, 2, 1, 3] * 5, scale=50, offset=40))",
        *(
            f"image.filter(ImageFilter.{name})"
            for name in (
                "BLUR",
                "CONTOUR",
                "DETAIL",
                "EDGE_ENHANCE",
                "EDGE_ENHANCE_MORE",
                "EMBOSS",
                "FIND_EDGES",
                "SHARPEN",
                "SMOOTH",
                "SMOOTH_MORE",
            )
        ),
    ),
    "skimage.feature": (
        "255:feature.canny(a, 1.5)",
        "255:feature.canny(a, low_threshold=20, high_threshold=60)",
        "255:feature.canny(a, high_threshold=60)",
    ),
}


@pytest.mark.parametrize(
    "line",
    [
        "ndimage.binary_erosion(a)",
        "ndimage.binary_dilation(a, [[1, 0, 1, 1], [1, 1, 0, 0]], 2, border_value=1, origin=(0, -1))",
        "ndimage.binary_opening(a, ndimage.generate_binary_structure(2, 2))",
        "ndimage.binary_closing(a, [[1, 1], [1, 1]], iterations=3)",
    ],
)
def test_a_translated_call_does_to_black_and_white_what_the_call_does(
    line: str, capfd: pytest.CaptureFixture[str], folder: Path
) -> None:
    from scipy import ndimage

    pixels = np.where(PIXELS > 60, 255, 0).astype(np.uint8)
    found = translated_result(line, capfd, pixels)
    np.testing.assert_array_equal(found, eval(line, {"ndimage": ndimage, "a": pixels}) * 255)


#: Calls of torch.nn, each compared on the samples of a picture, 0 to 1, before they are stored.
NETWORKS = (
    "nn.Conv2d(3, 2, 3)",
    "nn.Conv2d(3, 2, (3, 5), stride=2, padding=(1, 2), padding_mode='replicate')",
    "nn.Conv2d(3, 2, (4, 3), padding='same')",
    "nn.Conv2d(3, 6, 3, padding=2, dilation=2, groups=3, bias=False)",
    "nn.Conv2d(3, 2, 5, stride=(2, 1), padding=2, padding_mode='reflect')",
    "nn.Conv2d(3, 2, 5, padding=2, padding_mode='circular')",
    "nn.ConvTranspose2d(3, 2, 3, stride=2, padding=1, output_padding=1)",
    "nn.ConvTranspose2d(3, 3, (3, 2), stride=(2, 1), dilation=2, groups=3)",
    "nn.MaxPool2d(3, stride=2, padding=1)",
    "nn.MaxPool2d((2, 3), stride=(1, 2), ceil_mode=True)",
    "nn.MaxPool2d(2, dilation=2)",
    "nn.AvgPool2d(3, stride=2, padding=1, ceil_mode=True)",
    "nn.AvgPool2d(3, padding=(1, 0), count_include_pad=False)",
    "F.max_pool2d(F.avg_pool2d(x, 3, 1, 1), 2)",
    "nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Dropout(), nn.Conv2d(8, 2, (3, 1)))",
    *(
        f"nn.Sequential(nn.Conv2d(3, 2, 3), nn.{name})"
        for name in (
            "ReLU()", "ReLU6()", "Hardtanh()", "Hardtanh(-0.2, 0.2)", "LeakyReLU()", "LeakyReLU(0.2)", "Sigmoid()",
            "Tanh()", "ELU(0.5)", "SELU()", "CELU(0.5)", "GELU()", "GELU('tanh')", "SiLU()", "Mish()", "Softplus()",
            "Softsign()", "Hardsigmoid()", "Hardswish()", "Softshrink(0.3)", "Hardshrink()",
        )
    ),
)  # fmt: skip


@pytest.mark.peer("torch")
@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths:UserWarning")
@pytest.mark.parametrize("line", NETWORKS)
def test_a_translated_network_does_what_torch_does(line: str, capfd: pytest.CaptureFixture[str], folder: Path) -> None:
    torch = pytest.importorskip("torch")
    nn = torch.nn
    pixels = np.random.default_rng(6).integers(0, 256, (19, 22, 3), np.uint8)
    Image.fromarray(pixels).save("in.png")
    torch.manual_seed(2)
    x = torch.from_numpy(pixels.transpose(2, 0, 1) / np.float32(255))[None]
    made = eval(line, {"nn": nn, "F": nn.functional, "x": x})
    if isinstance(made, nn.Module):
        layers = [each for each in made.modules() if isinstance(each, nn.Conv2d | nn.ConvTranspose2d)]
        for number, layer in enumerate(layers):
            arrays = {name: value.detach().numpy() for name, value in layer.named_parameters()}
            np.savez(f"conv{number + 1}.npz" if number else "conv.npz", **arrays)
        made = made.eval()(x)
    assert run(["from", line]) == 0
    command = capfd.readouterr().out.splitlines()[0]
    assert run([*shlex.split(command)[1:-1], "maps.npy"]) == 0
    found = np.atleast_3d(np.load("maps.npy"))
    np.testing.assert_allclose(found, made.detach().numpy()[0].transpose(1, 2, 0), rtol=0, atol=1e-6)


def translated_result(line: str, capfd: pytest.CaptureFixture[str], pixels: np.ndarray = PIXELS) -> np.ndarray:
    Image.fromarray(pixels).save("in.png")
    capfd.readouterr()
    assert run(["from", line]) == 0
    first = capfd.readouterr().out.splitlines()[0]
    assert run([*shlex.split(first)[1:], "--overwrite"]) == 0
    return cf.read("out.png").pixels.astype(float)


@pytest.mark.parametrize("modes", ["['nearest', 'wrap']", "['wrap', 'wrap']", "['wrap']"])
@pytest.mark.parametrize("call", [call for call in CALLS["scipy.ndimage"] if "mode" not in call])
def test_lists_of_modes_have_a_translation_where_scipy_takes_them(
    call: str, modes: str, capfd: pytest.CaptureFixture[str], folder: Path
) -> None:
    from scipy import ndimage

    line = f"{call.removeprefix('abs:')[:-1]}, mode={modes})"
    try:
        eval(line, {"ndimage": ndimage, "np": np, "a": PIXELS * 1.0})
    except RuntimeError:
        assert run(["from", line]) == 2
        assert "mode=" in capfd.readouterr().err
    else:
        assert run(["from", line]) == 0


@pytest.mark.peer("cv2, skimage")
@pytest.mark.parametrize("call", [(library, call) for library, calls in CALLS.items() for call in calls])
def test_a_translated_call_does_what_the_call_does(
    call: tuple[str, str], capfd: pytest.CaptureFixture[str], folder: Path
) -> None:
    library, line = call
    module = pytest.importorskip(library)
    kind, _, line = line.rpartition(":") if line[:3] in ("abs", "255") else ("", "", line)
    # SciPy stores results of bytes as bytes, cut off; the others round.
    image = PIXELS * 1.0 if "ndimage" in library else PIXELS
    names = {library.rpartition(".")[2]: module, "np": np, "a": image, "image": Image.fromarray(PIXELS)}
    expected = np.asarray(eval(line, names), float)
    if kind:
        expected = np.abs(expected) * (255 if kind == "255" else 1)
    difference = np.abs(translated_result(line, capfd) - np.clip(expected, 0, 255))
    if "Kernel" in line or line[-2].isupper():  # pixels at the border stay as they are in Pillow
        difference = difference[2:-2, 2:-2]
    most = 1 if library in ("cv2", "PIL.ImageFilter") else 0.5 + 1e-6  # OpenCV rounds the weights of a Gaussian
    assert difference.max() <= most


#: Largest difference of results of noise, in levels: ImageMagick and vips truncate fractions.
PROGRAMS = {
    "convert in.png -blur 0x4 out.png": 1,
    "convert in.png -gaussian-blur 0x1 out.png": 1,
    "convert in.png -sharpen 0x1 out.png": 1,
    "convert in.png -sharpen 2x1 out.png": 1,
    "convert in.png -unsharp 0x2+1+0 out.png": 1,
    "convert in.png -median 3 out.png": 0,
    "convert in.png -statistic Minimum 3x5 out.png": 0,
    "convert in.png -convolve 1,2,1,2,4,2,1,2,1 out.png": 1,
    "convert in.png -convolve -1,-1,-1,-1,8,-1,-1,-1,-1 out.png": 0,
    "convert in.png -morphology Convolve '3x1: 1,0,-1' out.png": 0,
    "convert in.png -morphology Erode:2 Diamond out.png": 0,
    "convert in.png -morphology Dilate Plus out.png": 0,
    "convert in.png -morphology Open Disk out.png": 0,
    "convert in.png -morphology Edge Square out.png": 0,
    "convert in.png -edge 2 out.png": 0,
    "convert in.png -define convolve:scale='50%!' -morphology Convolve '3x3: -1,0,1 -2,0,2 -1,0,1' out.png": 1,
    "convert in.png -define convolve:bias=50% -define convolve:scale=0.25 -morphology Convolve Sobel out.png": 1,
    "convert in.png -bias 20% -convolve 1,2,1,2,4,2,1,2,1 out.png": 1,
    "convert in.png -virtual-pixel white -define convolve:scale=! -morphology Correlate '3x1: 1,1,1' out.png": 1,
    "convert in.png -virtual-pixel black -morphology Dilate '3x3: 1,-,1 -,1,- 1,-,1' out.png": 0,
    "vips conv in.png out.png mask.mat": 1,
    "vips rank in.png out.png 3 3 7": 0,
    "vips gaussblur in.png out.png 2 --min-ampl 0.001 --precision float": 1,
}


@pytest.mark.parametrize("line", PROGRAMS)
def test_a_translated_line_does_what_the_program_does(
    line: str, capfd: pytest.CaptureFixture[str], folder: Path
) -> None:
    words = shlex.split(line)
    if shutil.which(words[0]) is None:
        pytest.skip(f"{words[0]} is not installed")
    Path("mask.mat").write_text("3 1 4 0\n1 2 1\n")
    found = translated_result(line, capfd)
    subprocess.run(words, check=True)
    with Image.open("out.png") as image:
        assert np.abs(found - np.asarray(image.convert("L"))).max() <= PROGRAMS[line]


PHOTO = Path(__file__).parent.parent / "sample_images" / "still_life.png"
#: The most that results of a photo differ by, in levels: inside, and at most 8 pixels from a border. Measured with
#: ffmpeg 5.1 and G'MIC 2.9, which blur by recursive filters.
ON_A_PHOTO = {
    "ffmpeg -i in.png -vf gblur=0.5 out.png": (8, 8),
    "ffmpeg -i in.png -vf gblur=sigma=1 out.png": (28, 28),
    "ffmpeg -i in.png -vf gblur=sigma=3:sigmaV=1 out.png": (24, 24),
    "ffmpeg -i in.png -vf gblur=sigma=4 out.png": (24, 24),
    "ffmpeg -i in.png -vf gblur=sigma=4:steps=6 out.png": (12, 12),
    "ffmpeg -i in.png -vf avgblur=1:sizeY=2 out.png": (1, 1),
    "ffmpeg -i in.png -vf boxblur out.png": (1, 1),
    "ffmpeg -i in.png -vf boxblur=3:3 out.png": (1, 1),
    "ffmpeg -i in.png -vf boxblur=2:1,median=2 out.png": (1, 1),
    "ffmpeg -i in.png -vf median=radius=1:radiusV=3 out.png": (0, 0),
    "ffmpeg -i in.png -vf erosion out.png": (0, 0),
    "ffmpeg -i in.png -vf dilation -frames:v 1 -update 1 out.png": (0, 0),
    "ffmpeg -i in.png -vf sobel out.png": (1, 255),
    "ffmpeg -i in.png -vf prewitt=scale=0.5:delta=20 out.png": (1, 255),
    "ffmpeg -i in.png -vf convolution='MATRIX:MATRIX:MATRIX:0bias=10:1bias=10:2bias=10' out.png": (0, 255),
    "ffmpeg -i in.png -vf convolution='WIDE:WIDE:WIDE' out.png": (1, 1),
    "gmic in.png blur 0.5,1,1 output out.png": (23, 23),
    "gmic in.png blur 1 output out.png": (11, 11),
    "gmic in.png blur 4,1,1 output out.png": (5, 5),
    "gmic in.png blur 2,0 output out.png": (11, 20),
    "gmic in.png median 5 output out.png": (0, 255),
    "gmic in.png erode 3,5 dilate 3 output out.png": (0, 0),
}


@pytest.mark.parametrize("line", ON_A_PHOTO)
def test_a_translated_line_does_what_the_program_does_to_a_photo(
    line: str, capfd: pytest.CaptureFixture[str], folder: Path
) -> None:
    inside, border = ON_A_PHOTO[line]
    line = line.replace("MATRIX", "1 2 3 4 5 6 7 8 9").replace("WIDE", " ".join(map(str, range(25))))
    words = shlex.split(line)
    if shutil.which(words[0]) is None:
        pytest.skip(f"{words[0]} is not installed")
    with Image.open(PHOTO) as photo:
        pixels = np.asarray(photo.convert("RGB"))[200:320, 300:460]
    found = translated_result(line, capfd, pixels)
    subprocess.run([*words, *["-y"] * (words[0] == "ffmpeg")], check=True, capture_output=True)
    with Image.open("out.png") as image:
        difference = np.abs(found - np.asarray(image.convert("RGB")))
    assert difference.max() <= border
    assert difference[8:-8, 8:-8].max() <= inside


def test_an_unsharp_mask_of_ffmpeg_does_to_grey_what_it_does(capfd: pytest.CaptureFixture[str], folder: Path) -> None:
    if shutil.which("ffmpeg") is None:
        pytest.skip("ffmpeg is not installed")
    line = "ffmpeg -i in.png -vf unsharp=5:3:0.75 out.png"
    found = translated_result(line, capfd)
    subprocess.run([*shlex.split(line), "-y"], check=True, capture_output=True)
    with Image.open("out.png") as image:
        assert np.abs(found - np.asarray(image.convert("L"))).max() <= 1


def test_a_mask_of_vips_erodes_black_and_white(capfd: pytest.CaptureFixture[str], folder: Path) -> None:
    if shutil.which("vips") is None:
        pytest.skip("vips is not installed")
    Path("cross.mat").write_text("3 3\n128 255 128\n255 255 255\n128 255 128\n")
    line = "vips morph in.png out.png cross.mat erode"
    found = translated_result(line, capfd, (PIXELS > 60).astype(np.uint8) * 255)
    subprocess.run(shlex.split(line), check=True)
    with Image.open("out.png") as image:
        np.testing.assert_array_equal(found, np.asarray(image.convert("L")))


def test_an_unsharp_mask_of_ffmpeg_is_its_kernel(capfd: pytest.CaptureFixture[str], folder: Path) -> None:
    """libavfilter/vf_unsharp.c: the sample, and the amount times its difference from the binomial mean."""
    found = translated_result("ffmpeg -i in.png -vf unsharp=5:3:0.75 out.png", capfd)
    padded, mean = np.pad(PIXELS * 1.0, 2, "edge"), np.zeros(PIXELS.shape)
    for row, down in enumerate((1, 2, 1)):
        for col, across in enumerate((1, 4, 6, 4, 1)):
            mean += down * across / 64 * padded[1 + row : 1 + row + 36, col : col + 45]
    expected = np.clip(PIXELS + 0.75 * (PIXELS - mean), 0, 255)
    assert np.abs(found - expected).max() <= 0.5 + 1e-6


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("magick in.png -swirl 90 out.png", "'-swirl' has no translation"),
        ("magick in.png -blur 4x0 out.png", "a sigma of 0 chooses one by the radius"),
        ("magick in.png -convolve 1,2,1 out.png", "no square of weights"),
        ("magick in.png -convolve 2x2:1,2,1 out.png", "2x2 weights are needed, got 3"),
        ("magick in.png -convolve 3x1:1,a,1 out.png", "its weights are not all numbers"),
        ("magick in.png -statistic Gradient 3 out.png", "'-statistic Gradient' has no translation"),
        ("magick in.png -median 4 out.png", "even windows reach further to the left there"),
        ("magick in.png -morphology Erode Disk:2.5 out.png", "an even and lopsided kernel"),
        ("magick in.png -morphology Open:2 Square out.png", "write the erosions and dilations one by one"),
        ("magick in.png -morphology Thinning Square out.png", "'-morphology Thinning Square' has no translation"),
        ("magick in.png -edge 0 out.png", "radii of 1 to 4 have a translation"),
        ("magick in.png -define convolve:scale=^ -morphology Convolve Sobel out.png", "a factor, a percentage, and !"),
        ("magick in.png -define convolve:scale=! -convolve 1,2,1,2,4,2,1,2,1 out.png", "write -morphology Convolve"),
        ("magick in.png -define png:level=9 out.png", "'-define png:level' has no translation"),
        ("magick in.png -bias 1000 -convolve 0,0,0,0,1,0,0,0,0 out.png", "'a bias of 1000' has no translation"),
        ("magick in.png -morphology Erode '3x1: 0.5,1,0.5' out.png", "cells of 1, 0 and - have one"),
        ("magick in.png -convolve '1: nan' out.png", "its weights are not all numbers"),
        ("magick in.png -sharpen 999999999999 out.png", "radii up to 10000 have one"),
        (f"magick in.png -edge {'9' * 5000} out.png", "numbers of less than 100 digits have a translation"),
        (f"gmic in.png blur {'9' * 99} o out.png", "numbers up to 1e+38 have a translation, got '1e+99'"),
        ("vips gaussblur in.png out.png nan", "numbers up to 1e+38 have a translation, got 'nan'"),
        ("vips median in.png out.png 3", "vips rank IN OUT 3 3 4 is what vips calls the median of 3x3"),
        ("vips sharpen in.png out.png", "it sharpens L* of Lab along a curve of its own"),
        ("vips canny in.png out.png", "it thins edges and has no thresholds"),
        ("vips rank in.png out.png 3 3 9", "the index of vips rank must be below 9, got 9"),
        ("vips rank in.png out.png 3", "the form is vips rank IN OUT WIDTH HEIGHT INDEX"),
        ("vips conv in.png out.png mask.mat --layers 3", "'vips conv --layers' has no translation"),
        ("vips conv in.png[shrink=2] out.png mask.mat", "'[shrink=2]' has no translation"),
        ("ffmpeg -i in.png -vf boxblur=w/10 out.png", "'w/10' is not a number"),
        ("ffmpeg -i in.png -vf median=planes=1 out.png", "all planes have a translation"),
        ("ffmpeg -i in.png -vf convolution='1 2 1' out.png", "a matrix of 9, 25 or 49 whole numbers"),
        ("ffmpeg -i in.png -vf unsharp=4:3 out.png", "unsharp takes odd sizes from 3 to 23, got 4x3"),
        ("ffmpeg -i in.png -vf roberts out.png", "both of ffmpeg's differences go along rows"),
        ("ffmpeg -i in.png -vf median -frames:v 2 out.png", "'-frames:v 2' has no translation: one picture"),
        (
            "ffmpeg -i in.png -vf convolution='1 1 1 1 1 1 1 1 1:1 1 1 1 1 1 1 1 1:1 1 1 1 1 1 1 1 1:0bias=9' out.png",
            "'convolution bias' has no translation: it differs from plane to plane",
        ),
        ("cv2.medianBlur(255 - img, 5)", "'255 - img' has no translation: the input must be the name of a picture"),
        ("cv2.medianBlur(cv2.resize(img, (9, 9)), 5)", "'cv2.resize()' has no translation"),
        ("ndimage.median_filter(cv2.blur(img, (3, 3)), 3)", "its borders are not those of the call before it"),
        ("nn.Softplus(2)", "'Softplus(beta=2)' has no translation"),
        ("F.gelu(x, 'fast')", "'gelu(approximate=fast)' has no translation"),
        ("filters.difference_of_gaussians(a, 3, 2)", "the second sigma is the larger one"),
        ("im.filter(3)", "'im.filter(3)' has no translation: filter() has one argument, a filter of Pillow"),
        ("rows.filter(name='x')", "filter() has one argument, a filter of Pillow such as ImageFilter.BLUR"),
        (
            "im.filter(gaussian)",
            "'ImageFilter.gaussian()' has no translation: the functions that have one are GaussianBlur, BoxBlur",
        ),
        ("im.filter(ImageFilter.MedianFilter(4))", "even windows reach further to the left there"),
        ("im.filter(ImageFilter.RankFilter(3, 9))", "the ranks of 9 samples begin with 0"),
        ("im.filter(ImageFilter.Kernel((3, 3), [1, 2, 1]))", "Pillow has kernels of 3x3 and 5x5 weights"),
        ("im.filter(ImageFilter.Kernel((3, 3), [-1] * 4 + [8] + [-1] * 4))", "Pillow divides by the scale"),
        ("im.filter(ImageFilter.Kernel((3, 3), [1] * 9 / 9))", "it is no arithmetic of lists"),
        ("im.filter(ImageFilter.Kernel((3, 3), [0, 0, 0, 1, 0, -1, 0, 0, 0]))", "Pillow divides by the scale"),
        ("cv2.filter2D(img, -1, [[1] * 10**9])", "has no translation"),
        ("cv2.filter2D(img, -1, [[1] * 99999999])", "a matrix in the line has 1 to 10000 cells"),
        ("nn.Identity()", "no filter was found in 'nn.Identity()'"),
        ("gmic in.png blur 5% o out.png", "a standard deviation in pixels has a translation"),
        ("sobel(image)", "ndimage and skimage have it; write the library before it"),
        ("tf.blur(image)", "only calls of ndimage, cv2, skimage, torch.nn and ImageFilter have one"),
        ("tf.nn.leaky_relu(x)", "'tf.nn.leaky_relu()' has no translation: only calls of ndimage, cv2"),
        ("kornia.filters.sobel(x)", "'kornia.filters.sobel()' has no translation"),
        ("cv2.cuda.blur(x)", "'cv2.cuda.blur()' has no translation"),
        ("cv2.blur(img, *sizes)", "'*sizes' has no translation: write its values into the line"),
        ("cv2.blur(img, **options)", "'**options' has no translation: write its values into the line"),
        ("cv2.GaussianBlur(img, (3, 3), 1, sigmaX=2)", "sigmaX is given twice"),
        ("magick mogrify -blur 0x2 in.png", "'magick mogrify' has no translation: write magick IN ... OUT; --in-place"),
        ("magick composite -blur 3x3 a.png b.png", "'magick composite' has no translation"),
        ("magick 'in.png[9x9+2+2]' -blur 0x2 out.png", "'in.png[9x9+2+2]' has no translation"),
        ("cv2.Canny(img, 100, 200)", "neither the Gaussian nor the thresholds"),
        ("cv2.GaussianBlur(img, (4, 4), 2)", "an odd size, or (0, 0), got (4, 4)"),
        ("cv2.filter2D(img, -1, kernel)", "kernel must be a list of rows in the line, got 'kernel'; SPECs such as"),
        ("cv2.filter2D(img, -1, np.ones((999, 999)))", "a matrix in the line has 1 to 10000 cells, got 999x999"),
        ("cv2.filter2D(img, -1, np.ones((3, 3)) / 0)", "has no translation: float division by zero"),
        ("cv2.erode(img, [[1, 0, 0]])", "OpenCV does not rotate the footprint of a dilation"),
        ("ndimage.sobel(a, axis=2)", "'axis=2' has no translation"),
        *(
            (f"ndimage.{call}, mode='constant', cval=9)", "(cval=9)' has no translation: SciPy pads the derivative")
            for call in (
                "sobel(a",
                "prewitt(a, 0",
                "gaussian_laplace(a, 2",
                "gaussian_gradient_magnitude(a, 2",
                "gaussian_filter(a, 2, order=(1, 0)",
            )
        ),
        ("ndimage.rank_filter(a, 9, 3)", "the window has 9 samples"),
        ("nn.Sequential(nn.Linear(3, 4))", "'nn.Linear()' has no translation"),
        ("nn.Conv2d(3, 3, 3, padding_mode='odd')", "'padding_mode=odd' has no translation"),
        ("magick in.png -blur wide out.png", "'-blur wide' has no translation"),
        ("vips resize in.png out.png 0.5", "'vips resize' has no translation"),
        ("ffmpeg -i in.png -vf scale=10:20 out.png", "'scale=10:20' has no translation"),
        (
            "ffmpeg -i in.png -vf gblur=sigma=4:steps=9 out.png",
            "'gblur steps' has no translation: they are 1 to 6, got 9",
        ),
        ("gmic in.png deform 4 o out.png", "'deform' has no translation"),
        (
            "gimp in.png",
            "lines of magick, convert, vips, ffmpeg, gmic and calls of ndimage, cv2, skimage, torch.nn and ImageFilter",
        ),
        ("ndimage.gaussian_filter(a, sigma)", "sigma must be a number or two in the line, got 'sigma'"),
        (
            "ndimage.gaussian_filter(a, 4, 1)",
            "'gaussian_filter(order=[1, 1])' has no translation: derivatives along one",
        ),
        ("ndimage.gaussian_laplace(a, (1, 2))", "one sigma for both axes has one"),
        ("ndimage.gaussian_filter(a, 0.5, (0, 2))", "below 1, its weights do not sum to 0"),
        ("ndimage.white_tophat(a, 4)", "white_tophat with an even or moved window"),
        ("ndimage.gaussian_filter(a, 2, axes=(1,))", "'gaussian_filter(axes=[1])' has no translation: both axes of"),
        ("ndimage.laplace(a, axes=(1, 0))", "both axes of the picture, in their order, have one"),
        ("ndimage.grey_erosion(a, structure=[[1, 0]])", "a structure of zeros has a translation, or a footprint"),
        ("ndimage.uniform_filter(a, 3, origin=2)", "the window does not reach that far"),
        ("ndimage.binary_dilation(a, iterations=0)", "'iterations=0' has no translation"),
        ("ndimage.binary_erosion(a, border_value=2)", "'border_value=2' has no translation"),
        ("ndimage.gaussian_filter(a, 1e999)", "it must be a number up to 1e+38, a text or a list of these"),
        ("ndimage.uniform_filter(a, [3, 1e99 * 10])", "it must be a number up to 1e+38"),
        ("feature.canny(a, low_threshold=1j)", "it must be a number up to 1e+38"),
        ("filters.sobel(a, axis=-1)", "'sobel(axis=-1)' has no translation"),
        (
            "cv2.dilate(a, np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1]]))",
            "these are the same for rectangles, crosses and",
        ),
        ("cv2.medianBlur(a, 4)", "a median of OpenCV has an odd size, got 4"),
        ("cv2.Sobel(a, -1, 2, 0, ksize=-1)", "'Sobel of order (2, 0) and ksize -1' has no translation"),
        ("cv2.Laplacian(a, -1, ksize=4)", "'Laplacian of ksize 4' has no translation"),
        ("cv2.blur(a, (3, 3), anchor=(5, 0))", "the window does not reach that far"),
        ("ndimage.zoom(a, 2)", "'ndimage.zoom()' has no translation: the functions that have one are gaussian_filter"),
        ("magick in.png out.png", "no filter was found"),
        ("magick in.png -blur '0x4", "the line cannot be split into words: No closing quotation"),
    ],
)
def test_ambiguous_commands_are_refused(line: str, message: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["from", line]) == 2
    captured = capfd.readouterr()
    assert message in captured.err and captured.err.count("\n") == 1
    assert captured.out == ""


def test_only_a_narrow_blur_of_magick_averages_over_thirds(capfd: pytest.CaptureFixture[str]) -> None:
    for option, averages in (("-blur 0x1", True), ("-blur 0x40", False), ("-gaussian-blur 0x1", False)):
        assert run(["from", f"magick in.png {option} out.png"]) == 0
        assert ("averages the Gaussian over thirds" in capfd.readouterr().out) == averages, option


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        ("gmic in.png blur 2,0,1 output out.png", ["-f gaussian:2,padding_mode=constant "]),
        ("ndimage.gaussian_filter1d(a, 4)", ["-f gaussian:4x0,truncate=4 "]),
        ("ndimage.gaussian_filter1d(a, 4, axis=0)", ["-f gaussian:0x4,truncate=4 "]),
        ("scipy.ndimage.filters.sobel(a)", ["-f sobel:x --padding-mode symmetric "]),
        ("torch.nn.functional.leaky_relu(x, 0.2)", ["-f leaky_relu:0.2 "]),
        ("self.soft = cv2.blur(img, (3, 5))", ["-f box:3x5 "]),
        ("return cv2.blur(\n    img,  # grey\n    (3, 5),\n)", ["-f box:3x5 "]),
        ("images[0, :]: np.ndarray = cv2.blur(img, (3, 5))", ["-f box:3x5 "]),
        ("magick 'in.gif[-1]' -blur 0x4 out.png", ["-f gaussian:4 --frame -1 in.gif out.png"]),
        ("ndimage.median_filter(a, 2)", ["-f percentile:2,padding=1,1,0,0,p=2/3 ", "takes the upper of the two"]),
    ],
)
def test_parts_of_translations(line: str, parts: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["from", line]) == 0
    text = capfd.readouterr().out
    assert all(part in text for part in parts), text


def test_a_mask_of_vips_with_black_cells_is_refused(capfd: pytest.CaptureFixture[str], folder: Path) -> None:
    Path("cross.mat").write_text("3 3\n128 255 128\n255 0 255\n128 255 128\n")
    assert run(["from", "vips morph in.png out.png cross.mat erode"]) == 2
    message = capfd.readouterr().err
    assert "'vips morph with the mask cross.mat' has no translation" in message
    assert "cells other than 255 and 128 look for black pixels" in message
