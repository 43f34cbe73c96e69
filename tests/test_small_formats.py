"""QOI, farbfeld and SGI: samples survive writing and reading, also in other decoders."""

import base64
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


def test_a_header_that_pillow_refuses_is_called_invalid():
    no_columns = struct.pack(">HBBHHHH", 474, 0, 1, 3, 0, 5, 3) + bytes(500)
    with pytest.raises(ReadError, match=r"unsupported kind: its header is invalid$"):
        read(io.BytesIO(no_columns))


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


def sun_raster(pixels, kind, rows):
    height, width = pixels.shape[:2]
    depth = 8 * (3 if pixels.ndim == 3 else 1)
    return struct.pack(">8I", 0x59A66A95, width, height, depth, len(rows), kind, 0, 0) + rows


def run_lengths(data):
    """Encode a run for each value that is repeated, and 0x80 as two bytes."""
    out = b""
    for at, value in enumerate(data):
        if at and value == data[at - 1] and out[-3:-2] == b"\x80" and out[-2] < 255:
            out = out[:-2] + bytes([out[-2] + 1, value])
        elif data[at : at + 2] == bytes([value, value]):
            out += bytes([0x80, 0, value])
        else:
            out += b"\x80\0" if value == 0x80 else bytes([value])
    return out


@pytest.mark.parametrize("width", [12, 13])
@pytest.mark.parametrize("channels", [1, 3])
def test_run_lengths_of_a_sun_raster_count_the_byte_that_fills_an_odd_row(width, channels):
    pixels = np.random.default_rng(4).integers(120, 130, (9, width, channels), np.uint8)
    pixels[2:5] = 0x80
    pixels = pixels[..., 0] if channels == 1 else pixels
    stored = (pixels[..., ::-1] if channels == 3 else pixels).reshape(9, -1)  # blue, green, red
    rows = np.pad(stored, ((0, 0), (0, stored.shape[1] % 2)), constant_values=7).tobytes()
    for data in (sun_raster(pixels, 1, rows), sun_raster(pixels, 2, run_lengths(rows))):
        np.testing.assert_array_equal(read(io.BytesIO(data)).pixels, pixels)
    for cut in range(40, len(data) - 4, 7):
        with pytest.raises(ReadError):
            read(io.BytesIO(data[:cut]))


def test_the_bits_of_an_xbm_that_are_set_are_black():
    data = b"#define a_width 9\n#define a_height 2\nstatic char a_bits[] = {\n0x01, 0x01, 0xfe, 0x00};\n"
    expected = [[0, 255, 255, 255, 255, 255, 255, 255, 0], [255, 0, 0, 0, 0, 0, 0, 0, 255]]
    np.testing.assert_array_equal(read(io.BytesIO(data)).pixels, expected)


#: 9x7 luminance and 5x4 chrominance, stored without loss by libavcodec.
SUBSAMPLED_JP2 = (
    "AAAADGpQICANCocKAAAAFGZ0eXBqcDIgAAAAAGpwMiAAAAAtanAyaAAAABZpaGRyAAAABwAAAAkAAwgHAAAAAAAPY29scgEAAAAAABIA"
    "AAFZanAyY/9P/1EALwAAAAAACQAAAAcAAAAAAAAAAAAAAQAAAAEAAAAAAAAAAAAAAwcBAQcCAgcCAv9SAAwAAAABAAYCAgAB/1wAFiBA"
    "SEhQSEhQSEhQSEhQSEhQSEhQ/2QAEAABTGF2YzYzLjEuMTAy/5AACgAAAAAA5AAB/5PA6CAJw+QCCMDoIAcAAAAAAADD5wQIfwAAwfIB"
    "h84OB8gIAAMifwF/wfIBBsPnBAXfx9QLH1A8faDADm5kR78LC3tHPnV/C1FIKIZ/wPhBh84OD5wQAQA2fwa/wHQYfODg+cEAAQt2PwQ/"
    "z7RKfaIz8A4X3G1xF9b6+ruh+QeROz3wZ8EGXh7s5ynpoxNjRzEfmCwr3wxQrLbQC5n03pFdLyqvw+cJH1A8PqBQCURlPw+VeGZapH8L"
    "h1QIv8fUCx9QPH2goAtaxA1fB6AvxuoSfxBmIe4t/9k="
)


def test_subsampled_chrominance_of_a_jpeg_2000_covers_odd_sizes():
    luminance = np.array(
        [
            [153, 172, 63, 173, 125, 132, 148, 100, 197],
            [67, 98, 113, 139, 117, 78, 66, 60, 66],
            [80, 199, 86, 151, 165, 92, 99, 120, 96],
            [196, 84, 185, 171, 178, 76, 114, 147, 129],
            [153, 154, 152, 68, 194, 137, 186, 98, 110],
            [183, 86, 68, 112, 155, 77, 181, 107, 91],
            [136, 185, 183, 182, 102, 62, 168, 159, 167],
        ]
    )
    blue = np.array(
        [[90, 92, 125, 113, 120], [155, 104, 126, 112, 110], [146, 100, 112, 98, 100], [109, 138, 130, 121, 101]]
    )
    red = np.array(
        [[145, 145, 106, 94, 112], [100, 145, 126, 125, 110], [125, 157, 106, 143, 91], [111, 155, 150, 96, 149]]
    )
    blue, red = (plane.repeat(2, axis=0).repeat(2, axis=1)[:7, :9] - 128 for plane in (blue, red))
    green = luminance - 0.344136 * blue - 0.714136 * red
    expected = np.dstack([luminance + 1.402 * red, green, luminance + 1.772 * blue]).clip(0, 255)
    picture = read(io.BytesIO(base64.b64decode(SUBSAMPLED_JP2)))
    assert picture.model == "rgb" and picture.white is None
    np.testing.assert_allclose(picture.pixels, expected, atol=1)


@pytest.mark.parametrize("depth", [8, 16, 24, 32])
def test_run_lengths_of_a_tga_may_cross_rows(depth):
    pixels = np.random.default_rng(4).integers(0, 256, (6, 13, depth // 8), np.uint8)
    pixels[1:4] = pixels[0, 0]
    pixels[..., -1] |= 0 if depth == 16 else 128
    kind = 3 if depth == 8 else 2
    head = struct.pack("<BBBHHBHHHHBB", 2, 0, kind, 0, 0, 0, 0, 0, 13, 6, depth, 0x20 | (8 if depth == 32 else 0))
    packets, samples = b"", pixels.reshape(-1, depth // 8)
    for start, count, repeated in ((0, 13, False), (13, 39, True), (52, 20, False), (72, 6, False)):
        part = samples[start : start + 1] if repeated else samples[start : start + count]
        packets += bytes([count - 1 | (0x80 if repeated else 0)]) + part.tobytes()
    expected = read(io.BytesIO(head + b"id" + samples.tobytes())).pixels
    coded = head[:2] + bytes([kind + 8]) + head[3:] + b"id" + packets
    picture = read(io.BytesIO(coded))
    np.testing.assert_array_equal(picture.pixels, expected)
    assert picture.metadata.text[0].value == "id"
    with pytest.raises(ReadError, match="lenient"):
        read(io.BytesIO(coded[:-3]))


def icons(*pictures, kind=1, depths=True):
    """Encode pictures, (pixels of 4 channels, bits), as an icon file (1) or a cursor file (2)."""
    bodies, entries = b"", b""
    for pixels, bits in pictures:
        height, width = pixels.shape[:2]
        bottom_up = pixels[::-1]
        if bits == 32:
            colours = bottom_up[..., [2, 1, 0, 3]].tobytes()
        else:
            colours = np.pad(bottom_up[..., 2::-1].reshape(height, -1), ((0, 0), (0, -width * 3 % 4))).tobytes()
        mask = np.packbits(bottom_up[..., 3] == 0, axis=1)
        mask = np.pad(mask, ((0, 0), (0, -mask.shape[1] % 4))).tobytes()
        head = struct.pack("<I2i2H6I", 40, width, 2 * height, 1, bits, 0, 0, 0, 0, 0, 0)
        body = head + colours + mask
        at = 6 + 16 * len(pictures) + len(bodies)
        spot = (bits, 3) if kind == 2 else (1, bits if depths else 0)
        entries += struct.pack("<4B2H2I", width, height, 0, 0, *spot[:: 1 if kind == 1 else -1], len(body), at)
        bodies += body
    return struct.pack("<3H", 0, kind, len(pictures)) + entries + bodies


def icon_pixels(height=7, width=13, seed=1):
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 4), np.uint8)
    pixels[..., 3] = np.where(pixels[..., 3] > 99, 255, 0)
    pixels[pixels[..., 3] == 0] = 0
    return pixels


@pytest.mark.parametrize("kind", [1, 2])
@pytest.mark.parametrize("bits", [24, 32])
def test_masks_of_icons_and_cursors_are_opacity(kind, bits):
    pixels = icon_pixels()
    np.testing.assert_array_equal(read(io.BytesIO(icons((pixels, bits), kind=kind))).pixels, pixels)


@pytest.mark.parametrize("kind", [1, 2])
def test_the_icon_with_the_most_colours_of_the_largest_is_read(kind):
    small, coarse, fine = icon_pixels(4, 4), icon_pixels(), icon_pixels(seed=2)
    fine[..., 3] = np.where(fine[..., 3] == 0, 0, 77)
    for pictures in ([(small, 32), (coarse, 24), (fine, 32)], [(fine, 32), (coarse, 24), (small, 32)]):
        picture = read(io.BytesIO(icons(*pictures, kind=kind, depths=False)))
        np.testing.assert_array_equal(picture.pixels, fine)
        assert picture.notes == ("the file holds 3 icons; the largest is read",)


def test_an_icon_of_no_opacity_at_all_has_that_of_its_mask():
    pixels = icon_pixels()
    data = bytearray(icons((pixels, 32)))
    start = 6 + 16 + 40
    data[start + 3 : start + 4 * 7 * 13 : 4] = bytes(7 * 13)
    np.testing.assert_array_equal(read(io.BytesIO(data)).pixels, pixels)


MASKS = [
    (32, (0xFF, 0xFF00, 0xFF0000)),
    (32, (0xFF, 0xFF00, 0xFF0000, 0xFF000000)),
    (32, (0xFF00, 0x7F0000, 0x7, 0xF0000000)),
    (16, (0xF00, 0xF0, 0xF)),
    (16, (0xF00, 0xF0, 0xF, 0xF000)),
    (16, (0x7C00, 0x3E0, 0x1F, 0x8000)),
    (32, (0xFF0000, 0xFF00, 0xFF)),
]


@pytest.mark.parametrize(("bits", "masks"), MASKS)
@pytest.mark.parametrize("head_bytes", [40, 56, 124])
@pytest.mark.parametrize("downwards", [False, True])
def test_masks_of_a_bmp(bits, masks, head_bytes, downwards):
    with_alpha = len(masks) == 4
    kind = 6 if with_alpha and head_bytes == 40 else 3
    shifts = [(mask & -mask).bit_length() - 1 for mask in masks]
    most = [mask >> shift for mask, shift in zip(masks, shifts, strict=True)]
    values = np.random.default_rng(4).integers(0, np.array(most) + 1, (5, 7, len(masks)))
    values[..., 3:] = np.maximum(values[..., 3:], 1)
    stored = sum(values[..., n].astype(np.uint32) << shift for n, shift in enumerate(shifts))
    rows = np.pad(stored.astype(f"<u{bits // 8}"), ((0, 0), (0, 7 % (32 // bits))))[:: 1 if downwards else -1].tobytes()
    head = struct.pack("<I2i2H6I", head_bytes, 7, -5 if downwards else 5, 1, bits, kind, len(rows), 3937, 3937, 0, 0)
    head = (head + struct.pack(f"<{len(masks)}I", *masks)).ljust(head_bytes, b"\0")
    data = b"BM" + struct.pack("<I4xI", 14 + len(head) + len(rows), 14 + len(head)) + head + rows
    picture = read(io.BytesIO(data))
    np.testing.assert_array_equal(picture.pixels, np.rint(values * 255 / np.array(most)))
    assert picture.alpha == with_alpha and picture.metadata.resolution == pytest.approx((100, 100), abs=0.1)
    with pytest.raises(ReadError):
        read(io.BytesIO(data[:-4]))
    with pytest.raises(SizeError):
        read(io.BytesIO(data), ReadOptions(max_pixels=34))
