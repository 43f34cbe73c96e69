"""Arrays of other libraries and other sample types, and the labels of results."""

import io
from pathlib import Path

import numpy as np
import pytest

import convfilter
from convfilter import ParameterError

RGB = np.random.default_rng(3).integers(0, 256, (9, 12, 3), np.uint8)
RGBA = np.random.default_rng(4).integers(0, 256, (9, 12, 4), np.uint8)


def test_false_and_true_are_0_and_1():
    mask = RGB[..., 0] > 100
    got = convfilter.box_blur(mask, 3)
    assert got.dtype == np.float32
    np.testing.assert_array_equal(got, convfilter.box_blur(mask.astype(np.float32), 3))
    np.testing.assert_array_equal(convfilter.max_pool(mask, 3), mask.reshape(3, 3, 4, 3).max(axis=(1, 3)))


class OfDLPack:
    """An array with DLPack alone, as those of JAX and CuPy on other devices."""

    def __init__(self, pixels):
        self._pixels = pixels

    def __dlpack__(self, **keywords):
        return self._pixels.__dlpack__(**keywords)

    def __dlpack_device__(self):
        return self._pixels.__dlpack_device__()


class OfArray:
    def __array__(self, dtype=None, copy=None):
        return RGB


@pytest.mark.parametrize("image", [OfArray(), OfDLPack(RGB), memoryview(RGB)], ids=["array", "DLPack", "buffer"])
def test_arrays_of_other_libraries_are_taken_by_their_protocols(image):
    np.testing.assert_array_equal(convfilter.gaussian_blur(image, 1), convfilter.gaussian_blur(RGB, 1))


def test_a_picture_is_an_array_whose_alpha_counts_as_alpha():
    file = io.BytesIO()
    from PIL import Image

    Image.fromarray(RGBA).save(file, "PNG")
    picture = convfilter.read(file)
    np.testing.assert_array_equal(np.asarray(picture), RGBA)
    assert np.asarray(picture, np.float32).dtype == np.float32
    assert not np.shares_memory(np.array(picture), picture.pixels)
    blurred = convfilter.gaussian_blur(picture, 1)
    np.testing.assert_array_equal(blurred, convfilter.gaussian_blur(RGBA, 1, alpha=True))
    assert (blurred != convfilter.gaussian_blur(picture, 1, alpha=False)).any()


@pytest.mark.parametrize("image", ["in.png", b"in.png", Path("in.png")])
def test_texts_and_paths_are_no_images(image):
    with pytest.raises(ParameterError, match=r"^the image must be an array and comes first, got .*; read a file with"):
        convfilter.gaussian_blur(image, 2)


@pytest.mark.parametrize("specs", [(["gaussian:1", "box:3"],), (b"box:3",), (RGB,), (3,)])
def test_filters_that_are_no_texts_are_refused_in_a_sentence(specs):
    with pytest.raises(ParameterError, match=r"^filters are texts after the image: apply\(image, .*; got \w+$"):
        convfilter.apply(RGB, *specs)


@pytest.mark.parametrize("function", [convfilter.convolve, convfilter.sobel, convfilter.apply, convfilter.max_pool])
def test_help_describes_every_keyword(function):
    from convfilter import keywords

    pools = function is convfilter.max_pool
    known = (keywords.PoolKeywords if pools else keywords.FilterKeywords).__annotations__
    section = function.__doc__.partition("Other Parameters\n----------------\n")[2]
    described = [line for line in section.splitlines() if line and not line.startswith(" ")]
    assert {name for line in described for name in line.partition(" : ")[0].split(", ")} == set(known)


# Labels of xarray -----------------------------------------------------------------


@pytest.fixture
def scene():
    """Make a scene with coordinates in metres, bands, a time for each row, and a mark on each pixel."""
    xarray = pytest.importorskip("xarray")
    return xarray.DataArray(
        RGB,
        {
            "y": ("y", 100.0 - 10 * np.arange(9), {"units": "m"}),
            "x": ("x", np.arange(12) * 2),
            "band": ("band", ["red", "green", "blue"]),
            "name_of_row": ("y", list("abcdefghi")),
            "mark": (("y", "x"), np.arange(108).reshape(9, 12)),
            "crs": ((), 32632),
        },
        ("y", "x", "band"),
        "scene",
        {"sensor": "S2"},
    )


def test_the_labels_of_an_xarray_stay(scene):
    blurred = convfilter.gaussian_blur(scene, 1)
    assert type(blurred) is type(scene)
    assert blurred.equals(scene.copy(data=convfilter.gaussian_blur(RGB, 1)))
    assert (blurred.name, blurred.attrs, blurred.y.attrs) == ("scene", {"sensor": "S2"}, {"units": "m"})


@pytest.mark.parametrize("dims", [("time", "lat", "lon"), ("band", "y", "x")])
def test_a_scene_whose_channels_come_first_is_pointed_out(dims):
    xarray = pytest.importorskip("xarray")
    scene = xarray.DataArray(np.zeros((7, 9, 12)), dims=dims)
    match = (
        rf"got the dimensions \('{dims[0]}', .* rearrange it with transpose\('{dims[1]}', '{dims[2]}', '{dims[0]}'\)"
    )
    with pytest.warns(UserWarning, match=match) as noted:
        convfilter.gaussian_blur(scene, 1)
    assert [each.filename for each in noted] == [__file__]
    convfilter.gaussian_blur(scene.transpose(*dims[1:], dims[0]), 1)


def test_coordinates_of_a_result_are_the_centres_of_its_windows(scene):
    pooled = convfilter.average_pool(scene, (3, 4))
    np.testing.assert_array_equal(pooled.y, [90, 60, 30])
    np.testing.assert_array_equal(pooled.x, [3, 11, 19])
    assert set(pooled.coords) == {"y", "x", "band", "crs"}
    inner = convfilter.box_blur(scene, (3, 5), padding="valid")
    np.testing.assert_array_equal(inner.y, scene.y[1:-1])
    np.testing.assert_array_equal(inner.x, scene.x[2:-2])
    outer = convfilter.box_blur(scene, 3, padding="full")
    np.testing.assert_array_equal(outer.x, np.arange(-1, 13) * 2)
    np.testing.assert_array_equal(outer.y, 100 - 10 * np.arange(-1, 10))


def test_new_channels_have_no_labels(scene):
    grey = convfilter.convolve(scene, [[1]], gray=True)
    assert grey.dims == ("y", "x")
    assert "band" not in grey.coords
    turned = convfilter.sobel(scene[..., :1], "orientation")
    assert turned.dims == ("y", "x", "band")
    assert "band" not in turned.coords
