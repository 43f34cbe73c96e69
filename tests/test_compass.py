"""Larger Sobel kernels, Farid's, Frei and Chen's, and compasses of eight kernels."""

import numpy as np
import pytest
import reference
from samples import wide_noise

import convfilter as cf
from convfilter.cli.root import run
from convfilter.errors import ParameterError
from convfilter.executor.run import run_array
from convfilter.filters import kernels
from convfilter.filters.stack import stages
from convfilter.planning import plan_stack

PATTERNS = {"kirsch": [5, 5, 5, -3, -3, -3, -3, -3], "robinson": [1, 2, 1, 0, -1, -2, -1, 0]}
CLOCKWISE = [(0, 0), (0, 1), (0, 2), (1, 2), (2, 2), (2, 1), (2, 0), (1, 0)]


def largest(image, family, **geometry):
    sums = []
    for turn in range(8):
        kernel = np.zeros((3, 3), int)
        for place, (row, col) in enumerate(CLOCKWISE):
            kernel[row, col] = PATTERNS[family][(place - turn) % 8]
        sums.append(reference.correlate(image, kernel, **geometry))
    return np.maximum.reduce(sums)


@pytest.mark.parametrize("family", PATTERNS)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize(
    "geometry",
    [{}, {"stride": (2, 3), "padding_mode": "wrap"}, {"dilation": 2, "padding": "valid", "flip": True},
     {"padding_mode": "constant", "padding_value": 5, "padding": ((1, 2), (0, 3))}],
)  # fmt: skip
def test_a_compass_takes_the_strongest_direction(family, dtype, geometry):
    image = wide_noise((19, 26, 3), dtype)
    values = largest(reference.real(image), family, **geometry)
    for threads in (1, 2):
        result = getattr(cf, family)(image, threads=threads, **geometry)
        if dtype == np.float32:
            np.testing.assert_allclose(result, values, rtol=1e-5, atol=1e-5)
        else:
            np.testing.assert_array_equal(result, reference.store(values, dtype, "abs"))


def test_luminance_alpha_and_stacks_of_a_compass():
    image = wide_noise((19, 26, 3), np.uint8)
    gray = reference.real(image) @ [0.299, 0.587, 0.114]
    np.testing.assert_allclose(cf.kirsch(image, gray=True, dtype=np.float32), largest(gray, "kirsch"), atol=0.01)
    opaque = np.dstack([image, np.full(image.shape[:2], 255, np.uint8)])
    np.testing.assert_array_equal(cf.robinson(opaque, alpha=True)[..., :3], cf.robinson(image))
    np.testing.assert_array_equal(cf.robinson(opaque, alpha=True)[..., 3], opaque[..., 3])
    stacked = cf.apply(image, "box:3", "kirsch:scale=1/8", dtype=np.float32)
    np.testing.assert_allclose(
        stacked, largest(reference.box_blur(reference.real(image), 3), "kirsch") / 8, rtol=1e-5, atol=1e-3
    )


def test_exact_sums_of_deep_premultiplied_colours_are_not_rounded():
    image = np.random.default_rng(2).integers(0, 65536, (60, 80, 4)).astype(np.uint16)
    image[..., :3] //= 40  # so that results are not clipped
    image[..., 3] |= 1
    colours, alpha = image[..., :3].astype(float), image[..., 3:].astype(float)
    expected = np.rint(largest(colours * alpha, "kirsch") / alpha).clip(0, 65535)
    np.testing.assert_array_equal(cf.kirsch(image, alpha=True)[..., :3], expected)


def test_plans_name_the_precision_of_the_sums_of_a_compass():
    plan = plan_stack(stages(("gaussian:2", "kirsch:scale=1/8")), (90, 80, 3), "uint8")
    assert [stage.precision for stage in plan.stages] == ["float32", "float32"]


@pytest.mark.peer("cv2")
@pytest.mark.parametrize("size", [5, 7])
def test_larger_sobel_kernels_are_those_of_opencv(size):
    cv2 = pytest.importorskip("cv2")
    image = wide_noise((19, 26, 3), np.uint8)
    border = {"ksize": size, "borderType": cv2.BORDER_REPLICATE}
    across, down = cv2.Sobel(image, cv2.CV_64F, 1, 0, **border), cv2.Sobel(image, cv2.CV_64F, 0, 1, **border)
    # The first column counts positive here, and the last one there.
    np.testing.assert_array_equal(cf.sobel(image, "x", size=size, dtype=np.float32), -across)
    np.testing.assert_array_equal(cf.sobel(image, "y", size=size, dtype=np.float32), -down)
    np.testing.assert_allclose(cf.sobel(image, size=size, dtype=np.float32), np.hypot(across, down), rtol=1e-6)


@pytest.mark.peer("skimage")
def test_scikit_image_has_the_same_farid():
    filters = pytest.importorskip("skimage.filters")
    image = wide_noise((20, 21), np.float32)
    inside = slice(3, -3), slice(3, -3)
    theirs = filters.farid(image.astype(np.float64))[inside] * np.sqrt(2)
    np.testing.assert_allclose(cf.farid(image)[inside], theirs, rtol=1e-4, atol=1e-6)


def test_kernels_give_0_on_a_flat_picture():
    for family, axis in ((f, a) for f in ("farid", "freichen") for a in "xy"):
        assert kernels.derivative(family, axis).sums_to_zero
    assert kernels.derivative("freichen", "x").weights[1, 0] == pytest.approx(0.5)
    assert all(kernel.sums_to_zero for family in PATTERNS for kernel in kernels.compass(family))
    with pytest.raises(ParameterError, match="sobel's are 3, 5 and 7"):
        cf.sobel(wide_noise((19, 26, 3), np.uint8), size=9)


def test_the_command(tmp_path):
    image = wide_noise((19, 26, 3), np.uint8)
    cf.write(str(tmp_path / "in.png"), image)
    for options, expected in (
        (["--sobel", "x", "--size", "5", "--scale", "1/16"], cf.sobel(image, "x", size=5, scale=1 / 16)),
        (["--frei-chen", "magnitude"], cf.frei_chen(image)),
        (["--kirsch"], cf.kirsch(image)),
    ):
        assert run(["edges", "--overwrite", *options, str(tmp_path / "in.png"), str(tmp_path / "out.png")]) == 0
        np.testing.assert_array_equal(cf.read(str(tmp_path / "out.png")).pixels, expected)


@pytest.mark.parametrize("premultiplied", [False, True])
def test_alpha_never_counts_as_clipped(premultiplied):
    image = wide_noise((20, 30, 4), np.uint8)
    image[..., 3] = 200
    plan = plan_stack(stages(["robinson:scale=3"]), image.shape, "uint8", alpha=True, premultiplied=premultiplied)
    result = run_array(plan, image)
    assert 0 < result.clipped <= np.count_nonzero(result.pixels[..., :3] == 255)
