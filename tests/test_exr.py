"""OpenEXR: half and float in linear light, premultiplied; windows and attributes are kept, other losses noted."""

import io
import os
import struct
from fractions import Fraction

import numpy as np
import pytest
from processes import run_python

from convfilter.cli.root import run
from convfilter.errors import ReadError, SizeError
from convfilter.picture.codecs import library_output
from convfilter.picture.metadata import icc_write
from convfilter.picture.metadata.cicp import PRIMARIES
from convfilter.picture.metadata.curves import SRGB
from convfilter.picture.options import ReadOptions, WriteOptions
from convfilter.picture.picture import Picture
from convfilter.picture.read import read
from convfilter.picture.write import write
from convfilter.pipeline import Options, filter_file

OpenEXR = pytest.importorskip("OpenEXR")
HEIGHT, WIDTH = 6, 9


def light(channels, dtype=np.float16, seed=0):
    values = np.random.default_rng(seed).random((HEIGHT, WIDTH, channels)) * 4
    if channels in (2, 4):
        values[..., -1] /= 4
    return values.astype(dtype)


def exr(planes, **header):
    whole = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage, **header}
    buffer = io.BytesIO()
    with OpenEXR.File(whole, planes) as file:
        file.write(buffer)
    buffer.seek(0)
    return buffer


def planes_of(pixels, prefix=""):
    names = {1: "Y", 2: "YA", 3: "RGB", 4: "RGBA"}[pixels.shape[2]]
    return {prefix + name: np.ascontiguousarray(pixels[..., at]) for at, name in enumerate(names)}


def stored(path):
    with OpenEXR.File(str(path), separate_channels=True) as file:
        return {name: channel.pixels for name, channel in file.channels().items()}, dict(file.header())


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_a_file_comes_back_as_it_was(tmp_path, channels, dtype):
    pixels = light(channels, dtype)
    picture = read(exr(planes_of(pixels)))
    np.testing.assert_array_equal(np.atleast_3d(picture.pixels).reshape(pixels.shape), pixels.astype(np.float32))
    assert picture.alpha == picture.premultiplied == (channels in (2, 4)) and picture.dtype == np.float32
    assert write(tmp_path / "a.exr", picture) == ()
    kept, _ = stored(tmp_path / "a.exr")
    assert all(np.array_equal(kept[name], plane) and plane.dtype == dtype for name, plane in planes_of(pixels).items())


@pytest.mark.parametrize("compression", ["NO", "RLE", "ZIPS", "ZIP", "PIZ", "PXR24"])
def test_windows_attributes_and_compression_are_those_of_the_input(tmp_path, compression):
    data = (np.array([5, -3], np.int32), np.array([5 + WIDTH - 1, HEIGHT - 4], np.int32))
    display = (np.array([0, 0], np.int32), np.array([99, 49], np.int32))
    compressed = getattr(OpenEXR, f"{compression}_COMPRESSION")
    picture = read(
        exr(
            planes_of(light(3)), dataWindow=data, displayWindow=display, pixelAspectRatio=2.0, owner="someone",
            compression=compressed,
        )
    )  # fmt: skip
    write(tmp_path / "a.exr", picture)
    _, header = stored(tmp_path / "a.exr")
    np.testing.assert_array_equal(header["dataWindow"], data)
    np.testing.assert_array_equal(header["displayWindow"], display)
    assert header["pixelAspectRatio"] == 2 and header["owner"] == "someone"
    assert header["compression"] == compressed
    picture.frames[0].pixels = picture.pixels[::2]
    (note,) = write(tmp_path / "b.exr", picture)
    assert note == "EXR is written without the data and display windows, since the size has changed"
    _, header = stored(tmp_path / "b.exr")
    np.testing.assert_array_equal(header["dataWindow"], ((0, 0), (WIDTH - 1, HEIGHT // 2 - 1)))


def test_chromaticities_become_code_points_and_back(tmp_path):
    wide = (0.708, 0.292, 0.170, 0.797, 0.131, 0.046, 0.3127, 0.3290)
    picture = read(exr(planes_of(light(3)), chromaticities=wide))
    assert picture.metadata.png == [(b"cICP", bytes([9, 8, 0, 1]))]
    write(tmp_path / "a.exr", picture)
    np.testing.assert_allclose(stored(tmp_path / "a.exr")[1]["chromaticities"], wide, atol=1e-6)
    aces = (0.7347, 0.2653, 0.0, 1.0, 0.0001, -0.077, 0.32168, 0.33767)
    picture = read(exr(planes_of(light(3)), chromaticities=aces))
    assert dict(picture.metadata.png)[b"gAMA"] == (100_000).to_bytes(4, "big")


def test_a_profile_becomes_chromaticities(tmp_path):
    picture = Picture.from_array(np.full((3, 4, 3), 188, np.uint8))
    picture.metadata.icc = icc_write.matrix_profile("Display P3", PRIMARIES[12], SRGB)
    assert write(tmp_path / "a.exr", picture)[0].startswith("EXR is written without a colour profile (Display P3); use")
    planes, head = stored(tmp_path / "a.exr")
    np.testing.assert_allclose(head["chromaticities"], [0.68, 0.32, 0.265, 0.69, 0.15, 0.06, 0.3127, 0.329], atol=1e-6)
    np.testing.assert_allclose(planes["G"], 0.5028864, atol=1e-6)


def test_other_pictures_are_written_in_linear_light_and_premultiplied(tmp_path):
    pixels = np.random.default_rng(1).integers(0, 256, (HEIGHT, WIDTH, 4), np.uint8)
    write(tmp_path / "a.exr", pixels)
    kept, _ = stored(tmp_path / "a.exr")
    alpha = pixels[..., 3] / 255
    np.testing.assert_allclose(kept["A"], alpha, rtol=1e-6)
    np.testing.assert_allclose(kept["G"], SRGB.decode(pixels[..., 1] / 255) * alpha, rtol=1e-5, atol=1e-7)


def test_a_filter_works_on_light(tmp_path):
    pixels = light(3, np.float32)
    (tmp_path / "a.exr").write_bytes(exr(planes_of(pixels)).getvalue())
    report = filter_file(str(tmp_path / "a.exr"), str(tmp_path / "b.exr"), Options(["box:3"]))
    kept, _ = stored(tmp_path / "b.exr")
    np.testing.assert_allclose(kept["R"][1, 1], pixels[:3, :3, 0].mean(), rtol=1e-6)
    assert report.notes == ()


def test_unsupported_exr_files_are_refused_with_a_reason():
    more = {**planes_of(light(3)), "Z": light(1)[..., 0].copy(), "normal.X": light(1)[..., 0].copy()}
    with pytest.raises(ReadError, match=r"more channels \(Z, normal.X\), which are not filtered"):
        read(exr(more))
    assert read(exr(more), ReadOptions(allow_loss=True)).pixels.shape == (HEIGHT, WIDTH, 3)
    with pytest.raises(ReadError, match="no channels R, G, B or Y, but N, Z"):
        read(exr({"N": light(1)[..., 0].copy(), "Z": light(1)[..., 0].copy()}))
    assert read(exr({"Z": light(1)[..., 0].copy()})).pixels.shape == (HEIGHT, WIDTH)
    assert read(exr(planes_of(light(3), "beauty."))).pixels.shape == (HEIGHT, WIDTH, 3)


def test_parts_are_read_one_by_one():
    parts = [OpenEXR.Part({}, planes_of(light(3, seed=seed)), f"part{seed}") for seed in (0, 1)]
    buffer = io.BytesIO()
    with OpenEXR.File(parts) as file:
        file.write(buffer)
    for options, seed in ((ReadOptions(frame=1), 1), (ReadOptions(allow_loss=True), 0)):
        buffer.seek(0)
        np.testing.assert_array_equal(read(buffer, options).pixels, light(3, seed=seed).astype(np.float32))
    buffer.seek(0)
    with pytest.raises(ReadError, match="2 parts; choose one with frame=N"):
        read(buffer)


def test_size_is_checked_by_the_header():
    data = exr(planes_of(light(3))).getvalue()
    at = data.index(b"box2i\0") + 10
    hostile = data[:at] + np.array([0, 0, 39_999, 39_999], "<i4").tobytes() + data[at + 16 :]
    with pytest.raises((SizeError, ReadError)):
        read(io.BytesIO(hostile))
    with pytest.raises(SizeError, match="the limit is 53"):
        read(io.BytesIO(data), ReadOptions(max_pixels=53))


def test_truncated_files_are_refused(capfd):
    data = exr(planes_of(light(4, np.float32))).getvalue()
    for size in (9, 200, len(data) // 2, len(data) - 5):
        with pytest.raises(ReadError):
            read(io.BytesIO(data[:size]), ReadOptions())


def test_integer_results_name_linear_light_by_code_points(tmp_path):
    picture = read(exr(planes_of((light(3, np.float32) / 4).astype(np.float32))))
    write(tmp_path / "a.png", picture, WriteOptions())
    after = read(tmp_path / "a.png")
    assert dict(after.metadata.png)[b"cICP"] == bytes([1, 8, 0, 1])
    np.testing.assert_allclose(after.pixels / 65535, picture.pixels, atol=1e-5)


def test_messages_of_the_exr_library_are_not_printed(tmp_path, capfd):
    pixels = np.sqrt(np.arange(64 * 50 * 3, dtype=np.float32)).reshape(64, 50, 3)
    data = exr(planes_of(pixels)).getvalue()
    for damaged in (data[:-2000] + bytes(100) + data[-1900:], data[:-700]):
        with pytest.raises(ReadError, match="the OpenEXR is truncated or damaged"):
            read(io.BytesIO(damaged))
        assert capfd.readouterr() == ("", "")
    (tmp_path / "bad.exr").write_bytes(damaged)
    assert run(["blur", "--gaussian", "1", str(tmp_path / "bad.exr"), str(tmp_path / "out.exr")]) == 1
    shown = capfd.readouterr()
    assert shown.out == "" and shown.err.count("\n") == 1


def test_lines_in_the_buffer_of_c_are_captured():
    program = """
import ctypes
from convfilter.picture.codecs import library_output
library = ctypes.CDLL(None)
library.puts(b"<library> before")
with library_output.captured(b"<library>") as lines:
    library.puts(b"<library> one")
library.puts(b", ".join(line.encode() for line in lines))
"""
    assert run_python(program, PYTHONUNBUFFERED=None) == "<library> before\n<library> one\n"


def test_lines_of_others_are_written_all_the_same(capfd):
    with library_output.captured(b"<library>") as lines:
        os.write(1, b"one\n<library> two\n")
        os.write(2, b"<library> three\nfour\n")
        print("five")
    assert lines == ["<library> three", "<library> two"]
    shown = capfd.readouterr()
    assert sorted(shown.out.split()) == ["five", "one"] and shown.err == "four\n"


def test_every_attribute_comes_back(tmp_path):
    record = OpenEXR.TimeCode()
    given = {
        "owner": "someone", "count": 7, "scale": 1.5, "when": record, "rate": Fraction(24000, 1001),
        "views": ["left", "right"], "curve": [0.5, 1.0, 2.0], "place": np.array([1, 2], np.int32),
        "matrix": np.eye(4, dtype=np.float32), "box": (np.array([0, 1], np.int32), np.array([5, 6], np.int32)),
        "envmap": OpenEXR.ENVMAP_LATLONG, "lineOrder": OpenEXR.DECREASING_Y,
        "chromaticities": (0.7347, 0.2653, 0.0, 1.0, 0.0001, -0.077, 0.32168, 0.33767),
    }  # fmt: skip
    picture = read(exr(planes_of(light(3)), **given, **{"oiio:SHA-1": "0123"}))
    assert write(tmp_path / "a.exr", picture) == ()
    planes, header = stored(tmp_path / "a.exr")
    np.testing.assert_array_equal(planes["B"], light(3)[..., 2])
    for name, value in given.items():
        if name == "chromaticities":
            np.testing.assert_array_equal(header[name], np.array(value, np.float32))
        else:
            assert repr(header[name]) == repr(value), name
    assert "oiio:SHA-1" not in header
    notes = write(tmp_path / "a.pfm", picture, WriteOptions(allow_loss=True))
    assert any("PFM is written without attributes of an OpenEXR; use exr to keep that" in note for note in notes)
    assert not any("attributes" in note for note in write(tmp_path / "b.tif", read(exr(planes_of(light(3))))))


def test_the_aspect_of_pixels_goes_from_format_to_format(tmp_path):
    picture = read(exr(planes_of(light(3)), pixelAspectRatio=1.1))
    write(tmp_path / "a.png", picture, WriteOptions(allow_loss=True))
    after = read(tmp_path / "a.png")
    assert dict(after.metadata.png)[b"pHYs"] == struct.pack(">IIB", 10, 11, 0)
    write(tmp_path / "a.exr", after)
    np.testing.assert_allclose(stored(tmp_path / "a.exr")[1]["pixelAspectRatio"], 1.1, rtol=1e-6)


def test_names_of_channels_and_tiles_are_those_of_the_input(tmp_path):
    tiles = OpenEXR.TileDescription()
    tiles.xSize, tiles.ySize, tiles.mode = 4, 5, OpenEXR.ONE_LEVEL
    tiled = {"type": OpenEXR.tiledimage, "tiles": tiles}
    write(tmp_path / "a.exr", read(exr(planes_of(light(4), "beauty."), **tiled)))
    planes, header = stored(tmp_path / "a.exr")
    np.testing.assert_array_equal(planes["beauty.G"], light(4)[..., 1])
    assert (header["tiles"].xSize, header["tiles"].ySize, header["type"]) == (4, 5, OpenEXR.tiledimage)
    picture = read(exr({"Z": light(1)[..., 0].copy()}))
    write(tmp_path / "b.exr", picture)
    assert list(stored(tmp_path / "b.exr")[0]) == ["Z"]
    write(tmp_path / "c.exr", Picture.from_array(np.zeros((3, 4, 3), np.float32)))
    assert sorted(stored(tmp_path / "c.exr")[0]) == ["B", "G", "R"]


def test_integers_are_read_with_a_note():
    found = exr({"id": np.arange(HEIGHT * WIDTH, dtype=np.uint32).reshape(HEIGHT, WIDTH)})
    picture = read(found)
    np.testing.assert_array_equal(picture.pixels.ravel(), np.arange(HEIGHT * WIDTH, dtype=np.float32))
    assert list(picture.notes) == [
        "the OpenEXR has samples of 32-bit integers; they are read and written as 32-bit floats"
    ]


@pytest.mark.parametrize("channels", [3, 4])
def test_channels_may_have_different_types(tmp_path, channels):
    planes = planes_of(light(channels))
    planes["G"] = planes["G"].astype(np.float32) + np.float32(1e-6)
    picture = read(exr(dict(planes)))
    expected = np.stack([planes[name] for name in "RGBA"[:channels]], axis=2, dtype=np.float32)
    np.testing.assert_array_equal(picture.pixels, expected)
    assert write(tmp_path / "a.exr", picture) == ()
    np.testing.assert_array_equal(stored(tmp_path / "a.exr")[0]["G"], planes["G"])


def test_levels_are_left_out_with_a_note():
    tiles = OpenEXR.TileDescription()
    tiles.xSize, tiles.ySize, tiles.mode = 16, 16, OpenEXR.ONE_LEVEL
    data = bytearray(exr({"Y": np.ones((1, 1), np.float32)}, type=OpenEXR.tiledimage, tiles=tiles).getvalue())
    assert read(io.BytesIO(data)).notes == ()
    data[data.index(b"tiledesc\0") + 9 + 4 + 8] = 1  # mip levels, of which a picture of one pixel has one
    assert ["(levels) are left out" in note for note in read(io.BytesIO(data)).notes] == [True]


@pytest.mark.parametrize("compression", ["B44", "DWAA", "PXR24"])
def test_a_compression_with_loss_is_replaced_with_a_note(tmp_path, compression):
    compressed = getattr(OpenEXR, f"{compression}_COMPRESSION")
    picture = read(exr(planes_of(light(3, np.float32)), compression=compressed))
    assert write(tmp_path / "a.exr", picture) == (
        f"EXR is written without loss, as ZIP; the input was compressed with {compression}",
    )
    assert stored(tmp_path / "a.exr")[1]["compression"] == OpenEXR.ZIP_COMPRESSION


def test_half_floats_become_floats_where_results_are_too_large(tmp_path):
    (tmp_path / "a.exr").write_bytes(exr(planes_of(np.full((3, 4, 3), 60000, np.float16))).getvalue())
    for scale, dtype in ((1, np.float16), (2, np.float32)):
        filter_file(str(tmp_path / "a.exr"), str(tmp_path / "b.exr"), Options([f"box:1,scale={scale}"]))
        plane = stored(tmp_path / "b.exr")[0]["G"]
        assert plane.dtype == dtype and (plane == 60000 * scale).all()
