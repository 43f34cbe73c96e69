"""Netpbm's formats: headers as loose as the manual allows, all depths, and files that end early."""

import io

import numpy as np
import pytest

from convfilter.errors import ReadError, SizeError
from convfilter.picture.options import ReadOptions, WriteOptions
from convfilter.picture.picture import Picture
from convfilter.picture.place.target import resolve_target
from convfilter.picture.read import read
from convfilter.picture.write import write


def pixels_of(data, **options):
    return read(io.BytesIO(data), ReadOptions(**options)).pixels


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"P1 3 2 1 0 1 0 1 0", [[0, 255, 0], [255, 0, 255]]),
        (b"P1\n# a remark\n3 2\n101\n010\n", [[0, 255, 0], [255, 0, 255]]),
        (b"P2\n2 1\n255\n7 250\n", [[7, 250]]),
        (b"P2 2 1 4 1 4", [[1, 4]]),
        (b"P2 2 1 1000 0 1000 # trailing remark", [[0, 1000]]),
        (b"P3 1 1 255 1 2 3", [[[1, 2, 3]]]),
        (b"P4 9 2 \xaa\x80\x55\x00", [[0, 255] * 4 + [0], [255, 0] * 4 + [255]]),
        (b"P5 # one\n#two\n 2\t1\r\n255\nAB", [[65, 66]]),
        (b"P5 2 1 65535 \x12\x34\xff\xff", [[0x1234, 0xFFFF]]),
        (b"P6 1 1 255 abc", [[[97, 98, 99]]]),
        (b"P6 1 1 300 \x00\x00\x00\x96\x01\x2c", [[[0, 150, 300]]]),
        (b"P7\nWIDTH 1\nHEIGHT 1\n# x\nDEPTH 4\nMAXVAL 255\nTUPLTYPE RGB_ALPHA\nENDHDR\nabcd", [[[97, 98, 99, 100]]]),
        (b"P7\nWIDTH 2\nHEIGHT 1\nDEPTH 1\nMAXVAL 1\nENDHDR\n\x00\x01", [[0, 255]]),
        (b"Pf 1 2 -1.0 " + np.array([2.5, -1], "<f4").tobytes(), [[-1], [2.5]]),
        (b"PF 1 1 1.0 " + np.array([0.5, 2, 3], ">f4").tobytes(), [[[0.5, 2, 3]]]),
    ],
)
def test_kinds(data, expected):
    pixels = pixels_of(data)
    np.testing.assert_array_equal(pixels, expected)
    assert pixels.dtype.isnative and pixels.flags.c_contiguous


@pytest.mark.parametrize(
    "data",
    [
        b"P5 ",
        b"P5 2",
        b"P5 2 1",
        b"P5 0 1 255 ",
        b"P5 2 -1 255 ab",
        b"P5 2 1 0 ab",
        b"P5 2 1 65536 ab",
        b"P5 2 1 255 a",
        b"P5 two 1 255 ab",
        b"P5 22222222222222222222222222 1 255 ab",
        b"P5 2 1 100 \xff\xff",
        b"P2 2 1 255 1",
        b"P2 2 1 255 1 256",
        b"P2 2 1 255 1 x",
        b"P2 2 1 255 1 -1",
        b"P1 3 1 1 0",
        b"P7\nWIDTH 1\nHEIGHT 1\nDEPTH 1\nENDHDR\na",
        b"P7\nWIDTH 1\nHEIGHT 1\nDEPTH 9\nMAXVAL 255\nENDHDR\naaaaaaaaa",
        b"P7\nWIDTH 1\nHEIGHT 1\nDEPTH 4\nMAXVAL 255\nTUPLTYPE CMYK\nENDHDR\naaaa",
        b"P7\nWIDTH 1\n",
        b"P7\n" + b"# remark\n" * 1000,
        b"Pf 1 1 x aaaa",
        b"Pf 1 1 -1.0 aaa",
    ],
)
def test_damaged_files_are_refused(data):
    with pytest.raises(ReadError) as caught:
        pixels_of(data)
    assert "\n" not in str(caught.value)


def test_size_is_checked_from_the_header():
    with pytest.raises(SizeError, match="max_pixels"):
        pixels_of(b"P5 100000 100000 255 ")
    with pytest.raises(SizeError):
        pixels_of(b"P2 100000 100000 255 1 2 3")


def test_remaining_rows_are_decoded_on_demand():
    for data in (b"P5 2 2 255 abc", b"P2 2 2 255 97 98 99"):
        picture = read(io.BytesIO(data), ReadOptions(lenient=True))
        np.testing.assert_array_equal(picture.pixels, [[97, 98], [99, 0]])
        assert "truncated" in picture.notes[0]


def test_a_pnm_has_one_frame():
    with pytest.raises(ReadError, match="must be 0, the only one, got 3"):
        pixels_of(b"P5 1 1 255 a", frame=3)
    assert pixels_of(b"P5 1 1 255 a", frame=-1).shape == (1, 1)


@pytest.mark.parametrize(
    ("name", "shape", "magic"),
    [("a.pgm", (3, 5), b"P5"), ("a.ppm", (3, 5, 3), b"P6"), ("a.pnm", (3, 5), b"P5"), ("a.pam", (3, 5, 2), b"P7")],
)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_written_files(tmp_path, name, shape, magic, dtype):
    pixels = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, shape, dtype=dtype)
    write(resolve_target(tmp_path / name), Picture.from_array(pixels))
    assert (tmp_path / name).read_bytes().startswith(magic)
    np.testing.assert_array_equal(read(tmp_path / name).pixels, pixels)


def test_format_is_asked_for_by_name(tmp_path):
    pixels = np.zeros((2, 2, 4), np.uint8)
    options = WriteOptions(format="pam")
    write(resolve_target(tmp_path / "anything", options), Picture.from_array(pixels), options)
    assert read(tmp_path / "anything").format == "PAM"
