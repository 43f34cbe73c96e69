"""The keyword ``out``: results in an array of the caller's, equal to those of a call without it."""

import numpy as np
import pytest

import convfilter
from convfilter import ParameterError, Picture
from convfilter.record import replace

RNG = np.random.default_rng(5)
RGB = RNG.integers(0, 256, (70, 90, 3), np.uint8)
RGBA = RNG.integers(0, 256, (70, 90, 4), np.uint8)
REAL = RNG.normal(0, 1, (70, 90)).astype(np.float32)

CALLS = {
    "a blur": lambda image, **out: convfilter.gaussian_blur(image, 2, **out),
    "a wide blur": lambda image, **out: convfilter.gaussian_blur(image, 9, **out),
    "a box": lambda image, **out: convfilter.box_blur(image, 5, stride=2, **out),
    "a gradient": lambda image, **out: convfilter.sobel(image, gray=image.ndim == 3, **out),
    "a median": lambda image, **out: convfilter.median(image, 5, **out),
    "a pool": lambda image, **out: convfilter.max_pool(image, 3, **out),
    "a stack": lambda image, **out: convfilter.apply(image, "gaussian:1", "box:3", "maxpool:2", **out),
    "a stretch": lambda image, **out: convfilter.apply(image, "gaussian:1", "normalize", "sobel:x,map=stretch", **out),
    "a layer": lambda image, **out: convfilter.conv2d(image, np.ones((2, (*image.shape, 1)[2], 3, 3)), **out),
    "ignored pixels": lambda image, **out: convfilter.gaussian_blur(image, 2, ignore=0, fill=True, **out),
    "an image with alpha": lambda image, **out: convfilter.gaussian_blur(
        image, 2, alpha=image.shape[2:] == (4,), **out
    ),
}


@pytest.mark.parametrize("image", [RGB, RGBA, REAL], ids=["RGB", "RGBA", "real"])
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_the_result_is_that_of_a_call_without_out(call, image):
    for dtype in (image.dtype, np.dtype(np.float32), np.dtype(np.float64)):
        expected = call(image, dtype=dtype)
        out = np.zeros(expected.shape, dtype)
        assert call(image, out=out) is out
        np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize(
    "memory",
    [
        lambda shape: np.zeros(shape, np.uint8, order="F"),
        lambda shape: np.zeros((shape[0], 2 * shape[1], shape[2]), np.uint8)[:, ::2],
        lambda shape: np.zeros(shape, np.uint8)[::-1],
    ],
    ids=["columns first", "every second column", "upside down"],
)
def test_any_strides_will_do(memory):
    out = memory(RGB.shape)
    assert convfilter.gaussian_blur(RGB, 3, out=out) is out
    np.testing.assert_array_equal(out, convfilter.gaussian_blur(RGB, 3))


@pytest.mark.parametrize("rows", [slice(0, 60), slice(5, 65), slice(59, None, -1)])
def test_the_image_may_lie_in_the_same_memory(rows):
    memory = RGB.copy()
    image, out = memory[:60], memory[rows]
    expected = convfilter.gaussian_blur(image.copy(), 3)
    convfilter.gaussian_blur(image, 3, out=out)
    np.testing.assert_array_equal(out, expected)


def test_a_file_can_hold_the_result(tmp_path):
    out = np.memmap(tmp_path / "out", np.float32, "w+", shape=RGB.shape)
    assert convfilter.gaussian_blur(RGB, 3, out=out) is out
    out.flush()
    stored = np.fromfile(tmp_path / "out", np.float32).reshape(RGB.shape)
    np.testing.assert_array_equal(stored, convfilter.gaussian_blur(RGB, 3, dtype=np.float32))


@pytest.mark.parametrize("dtype", ["int8", "float32"])
def test_results_of_a_picture_have_the_type_of_its_file(dtype):
    picture = replace(Picture.from_array(RNG.integers(-128, 128, (20, 30)).astype(np.int16)), file_dtype="int8")
    options = {} if dtype == "int8" else {"dtype": dtype}
    expected = convfilter.gaussian_blur(picture, 1, **options)
    out = np.zeros(expected.shape, dtype)
    assert convfilter.gaussian_blur(picture, 1, out=out) is out
    assert expected.dtype == dtype
    np.testing.assert_array_equal(out, expected)


def test_labels_lie_around_out():
    xarray = pytest.importorskip("xarray")
    out = np.zeros(REAL.shape, np.float32)
    result = convfilter.gaussian_blur(xarray.DataArray(REAL, dims=("lat", "lon")), 2, out=out)
    assert result.dims == ("lat", "lon")
    assert np.shares_memory(result.values, out)


@pytest.mark.parametrize(
    ("out", "options", "message"),
    [
        (np.zeros((70, 90), np.uint8), {}, r"the shape of the result, \(70, 90, 3\), got \(70, 90\)"),
        (np.zeros(RGB.shape, np.int32), {}, "the type of the result, uint8 or float32 or float64, got int32"),
        (np.zeros(RGB.shape, np.uint8), {"dtype": np.float32}, "the type of the result, float32, got uint8"),
        (np.zeros(RGB.shape, np.uint8).tolist(), {}, "a NumPy array that can be written to, got"),
        (np.broadcast_to(np.uint8(0), RGB.shape), {}, "a NumPy array that can be written to, got a read-only array"),
        (np.ma.masked_equal(np.zeros(RGB.shape, np.uint8), 0), {}, "masked elements"),
    ],
    ids=["shape", "type", "two types", "list", "read-only", "masked"],
)
def test_what_cannot_hold_the_result_is_refused(out, options, message):
    with pytest.raises(ParameterError, match=message):
        convfilter.gaussian_blur(RGB, 2, out=out, **options)


def test_a_dask_array_has_no_result_yet():
    array = pytest.importorskip("dask.array")
    from convfilter import dask

    with pytest.raises(ParameterError, match="computed later"):
        dask.apply(array.from_array(RGB, chunks=40), "gaussian:2", out=np.zeros_like(RGB))
