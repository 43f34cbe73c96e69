"""Tiles of a TIFF: as large in the output as in the input, whatever the samples, and the same for any threads."""

import numpy as np
import pytest
import tifffile
from samples import noise

import convfilter as cf
from convfilter import pipeline
from convfilter.picture.options import TIFF_COMPRESSIONS, WriteOptions
from convfilter.picture.tiff import tiles as tiff_tiles

pytestmark = pytest.mark.usefixtures("folder")


def saved(name, pixels, tile, **options):
    kind = {"photometric": "rgb" if pixels.ndim == 3 else "minisblack", "metadata": None, "software": False}
    tifffile.imwrite(name, pixels, tile=tile, **(kind | options))


def filtered(source, target, *specs, **options):
    return pipeline.filter_file(source, target, pipeline.Options(specs=specs, **options))


def tiled(name, number=0):
    """Return the sides of a page's tiles, None where it has strips, and its samples."""
    with tifffile.TiffFile(name) as tiff:
        page = tiff.pages[number]
        return (page.tilelength, page.tilewidth) if page.is_tiled else None, page.asarray()


@pytest.mark.parametrize("compression", TIFF_COMPRESSIONS)
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "int32", "float32", "float64"])
@pytest.mark.parametrize("tile", [(16, 16), (32, 64), (64, 16)])
def test_tiles_are_kept(compression, dtype, tile):
    pixels = noise((101, 83, 3), dtype)
    saved("in.tif", pixels, tile)
    files = []
    for threads in (1, 3):
        options = {"write": WriteOptions(compression=compression, threads=threads), "threads": threads}
        assert filtered("in.tif", "out.tif", "identity", **options).not_streamed == ""
        with open("out.tif", "rb") as file:
            files.append(file.read())
    assert files[0] == files[1]
    sides, got = tiled("out.tif")
    assert sides == tile and got.dtype == dtype
    np.testing.assert_array_equal(got, pixels)
    np.testing.assert_array_equal(cf.read("out.tif").pixels, pixels)


@pytest.mark.parametrize("shape", [(64, 96), (65, 97), (1, 33), (33, 1), (7, 5)])
def test_tiles_reach_beyond_the_picture_but_are_no_larger_than_it(shape):
    pixels = noise(shape)
    saved("in.tif", pixels, (32, 48))
    filtered("in.tif", "out.tif", "identity")
    sides, got = tiled("out.tif")
    assert sides == tuple(min(side, -(-size // 16) * 16) for side, size in zip((32, 48), shape, strict=True))
    np.testing.assert_array_equal(got, pixels)


def test_results_of_other_sizes_have_the_same_tiles():
    pixels = noise((100, 90, 3))
    saved("in.tif", pixels, (32, 16))
    filtered("in.tif", "out.tif", "box:3,stride=2,padding=valid")
    sides, got = tiled("out.tif")
    assert sides == (32, 16)
    np.testing.assert_array_equal(got, cf.box_blur(pixels, 3, stride=2, padding="valid"))


@pytest.mark.parametrize("compression", ["default", "deflate", "packbits"])
def test_tiles_of_12_bits_are_packed(compression):
    pixels = noise((50, 37), "uint16") >> 4
    saved("in.tif", pixels, (16, 32), bitspersample=12)
    options = WriteOptions(compression=compression)
    assert filtered("in.tif", "out.tif", "maxpool:2,stride=1,padding=1", write=options).notes == ()
    with tifffile.TiffFile("out.tif") as tiff:
        assert tiff.pages[0].bitspersample == 12
    assert tiled("out.tif")[0] == (16, 32)
    np.testing.assert_array_equal(tiled("out.tif")[1], cf.max_pool(pixels, 2, 1, 1))


def test_pages_bands_and_opacity_lie_in_tiles():
    stack = noise((3, 40, 50))
    with tifffile.TiffWriter("in.tif") as tiff:
        for page in stack:
            tiff.write(page, tile=(16, 32), photometric="minisblack", metadata=None)
    filtered("in.tif", "out.tif", "identity")
    for number in range(3):
        sides, got = tiled("out.tif", number)
        assert sides == (16, 32)
        np.testing.assert_array_equal(got, stack[number])
    for kinds in ([0, 0], [2, 0], [0, 2]):
        pixels = np.maximum(noise((40, 50, 5)), 1)
        saved("in.tif", pixels, (16, 32), extrasamples=kinds)
        filtered("in.tif", "out.tif", "identity")
        assert tiled("out.tif")[0] == (16, 32)
        np.testing.assert_array_equal(tiled("out.tif")[1], pixels)


def test_strips_stay_strips():
    tifffile.imwrite("in.tif", noise((40, 50, 3)), photometric="rgb")
    filtered("in.tif", "out.tif", "identity")
    assert tiled("out.tif")[0] is None


@pytest.mark.parametrize(("rows", "sides"), [(128, (128, 16)), (100, (64, 16)), (40, (32, 16)), (1, (16, 16))])
def test_tiles_are_lower_where_a_row_of_them_is_huge(monkeypatch, rows, sides):
    pixels = noise((200, 50, 3))
    saved("in.tif", pixels, (128, 16))
    monkeypatch.setattr(tiff_tiles, "MOST_BYTES", rows * 64 * 3)
    filtered("in.tif", "out.tif", "identity")
    assert tiled("out.tif")[0] == sides
    np.testing.assert_array_equal(tiled("out.tif")[1], pixels)


def test_stripping_leaves_tiles_and_other_formats_have_none():
    saved("in.tif", noise((40, 50, 3)), (16, 16))
    filtered("in.tif", "out.tif", "identity", write=WriteOptions(strip="all"))
    assert tiled("out.tif")[0] == (16, 16)
    filtered("in.tif", "out.png", "identity")
    filtered("out.png", "out.tif", "identity")
    assert tiled("out.tif")[0] is None
