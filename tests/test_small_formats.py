"""QOI and farbfeld: samples survive writing and reading, also in other decoders."""

import io
import struct

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from convfilter.errors import ReadError, SizeError
from convfilter.picture.read import read
from convfilter.picture.write import write


def noise(channels, dtype):
    pixels = np.random.default_rng(4).integers(0, np.iinfo(dtype).max, (9, 13, channels), dtype, endpoint=True)
    return pixels[..., 0] if channels == 1 else pixels


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_qoi(tmp_path, channels):
    pixels = noise(channels, np.uint8)
    assert write(tmp_path / "a.qoi", pixels) == ()
    colours = np.repeat(np.atleast_3d(pixels)[..., :1], 3, axis=2) if channels < 3 else pixels[..., :3]
    expected = np.dstack([colours, pixels[..., -1]]) if channels in (2, 4) else colours
    np.testing.assert_array_equal(read(tmp_path / "a.qoi").pixels, expected)
    np.testing.assert_array_equal(imagecodecs.qoi_decode((tmp_path / "a.qoi").read_bytes()), expected)
    with Image.open(tmp_path / "a.qoi") as image:
        np.testing.assert_array_equal(np.asarray(image), expected)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_farbfeld(tmp_path, channels):
    pixels = noise(channels, np.uint16)
    assert write(tmp_path / "a.ff", pixels) == ()
    data = (tmp_path / "a.ff").read_bytes()
    assert data[:16] == b"farbfeld" + struct.pack(">II", 13, 9)
    values = np.frombuffer(data[16:], ">u2").reshape(9, 13, 4)
    np.testing.assert_array_equal(values[..., 1], np.atleast_3d(pixels)[..., 0 if channels < 3 else 1])
    np.testing.assert_array_equal(values[..., 3], pixels[..., -1] if channels in (2, 4) else 65535)
    np.testing.assert_array_equal(read(tmp_path / "a.ff").pixels, values if channels in (2, 4) else values[..., :3])


def test_farbfeld_that_is_hostile_or_truncated(tmp_path):
    with pytest.raises(SizeError, match="60000x60000"):
        read(io.BytesIO(b"farbfeld" + struct.pack(">II", 60_000, 60_000)))
    write(tmp_path / "a.ff", noise(3, np.uint16))
    data = (tmp_path / "a.ff").read_bytes()
    for size in (12, 16, len(data) - 1):
        with pytest.raises(ReadError, match="the farbfeld is truncated"):
            read(io.BytesIO(data[:size]))
