"""QOI, farbfeld and SGI: samples survive writing and reading, also in other decoders."""

import io
import struct

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from convfilter.errors import ReadError, SizeError
from convfilter.picture.options import ReadOptions
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


def sgi16(pixels, run_lengths):
    """An SGI of 16 bits; each row of a channel is a literal run of at most 127 samples, then a repeated sample."""
    planes = np.moveaxis(np.atleast_3d(pixels), -1, 0)[:, ::-1].astype(">u2")
    channels, height, width = planes.shape
    head = struct.pack(">HBBHHHHII", 474, run_lengths, 2, 3 if channels > 1 else 2, width, height, channels, 0, 65535)
    head = head.ljust(512, b"\0")
    if not run_lengths:
        return head + planes.tobytes()
    table, body, start = [], b"", 512 + 8 * channels * height
    for row in planes.reshape(-1, width):
        rest = row[width // 2 :]
        code = struct.pack(">H", 0x80 | width // 2) + row[: width // 2].tobytes()
        code += b"".join(struct.pack(">HH", 1, value) for value in rest[:-3]) + struct.pack(">HHH", 3, rest[-1], 0)
        table.append((start + len(body), len(code)))
        body += code
    starts, lengths = zip(*table, strict=True)
    return head + struct.pack(f">{2 * len(table)}I", *starts, *lengths) + body


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("run_lengths", [False, True])
def test_an_sgi_of_16_bits_keeps_them(channels, run_lengths):
    pixels = noise(channels, np.uint16)
    pixels[:, -3:] = pixels[:, -1:]
    data = sgi16(pixels, run_lengths)
    picture = read(io.BytesIO(data))
    assert picture.notes == ()
    np.testing.assert_array_equal(picture.pixels, pixels)
    with Image.open(io.BytesIO(data)) as image:  # reduces the samples
        np.testing.assert_array_equal(np.asarray(image), pixels >> 8)
    cut = data[: len(data) - (len(data) - 600) // 4]
    with pytest.raises(ReadError, match=r"the SGI is truncated or damaged; lenient=True"):
        read(io.BytesIO(cut))
    rest = read(io.BytesIO(cut), ReadOptions(lenient=True))
    assert rest.notes == ("the SGI is truncated or damaged",)
    np.testing.assert_array_equal(np.atleast_3d(rest.pixels)[-4:, :, 0], np.atleast_3d(pixels)[-4:, :, 0])
