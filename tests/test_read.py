"""Reading: every depth and colour model is kept; other files are refused in one line."""

import io
import os
import struct
import zlib

import numpy as np
import pytest
from PIL import Image
from samples import noise

from convfilter.errors import ReadError, SizeError
from convfilter.picture import limits
from convfilter.picture.read import ReadOptions, read


def saved(image, fmt, **parameters):
    file = io.BytesIO()
    image.save(file, fmt, **parameters)
    file.seek(0)
    return file


@pytest.mark.parametrize("fmt", ["PNG", "BMP", "PPM", "TIFF", "JPEG2000"])
def test_gray_samples_arrive_unchanged(fmt):
    pixels = noise((7, 11))
    picture = read(saved(Image.fromarray(pixels), fmt))
    np.testing.assert_array_equal(picture.pixels, pixels)
    assert (picture.model, picture.alpha, picture.pixels.dtype) == ("gray", False, np.uint8)
    assert picture.pixels.flags.c_contiguous


@pytest.mark.parametrize("fmt", ["PNG", "BMP", "PPM", "TIFF", "TGA", "SGI"])
def test_rgb_samples_arrive_unchanged(fmt):
    pixels = noise((7, 11, 3))
    picture = read(saved(Image.fromarray(pixels), fmt))
    np.testing.assert_array_equal(picture.pixels, pixels)
    assert (picture.model, picture.alpha) == ("rgb", False)


@pytest.mark.parametrize("fmt", ["PNG", "TIFF", "WebP"])
def test_rgba_samples_arrive_unchanged(fmt):
    pixels = noise((7, 11, 4))
    picture = read(saved(Image.fromarray(pixels), fmt, **({"lossless": True, "exact": True} if fmt == "WebP" else {})))
    np.testing.assert_array_equal(picture.pixels, pixels)
    assert (picture.model, picture.alpha) == ("rgb", True)


def test_palette_becomes_colour():
    indexed = Image.fromarray(noise((9, 8)) % 5).convert("P")
    indexed.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255, 9, 8, 7])
    expected = np.asarray(indexed.convert("RGB"))
    for fmt in ("PNG", "BMP", "GIF", "TIFF"):
        picture = read(saved(indexed, fmt))
        np.testing.assert_array_equal(picture.pixels, expected, err_msg=fmt)


def test_palette_with_transparency_becomes_rgba():
    indexed = Image.fromarray(noise((9, 8)) % 4).convert("P")
    indexed.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255])
    picture = read(saved(indexed, "PNG", transparency=bytes([0, 128, 255, 7])))
    assert picture.alpha
    np.testing.assert_array_equal(picture.pixels[:, :, 3], np.array([0, 128, 255, 7])[np.asarray(indexed)])


@pytest.mark.parametrize("fmt", ["PNG", "BMP", "PPM", "TIFF"])
def test_one_bit_becomes_black_and_white(fmt):
    bits = noise((10, 13)) > 127
    picture = read(saved(Image.fromarray(bits), fmt))
    np.testing.assert_array_equal(picture.pixels if picture.pixels.ndim == 2 else picture.pixels[..., 0], bits * 255)


def test_cmyk_counts_ink():
    white = Image.new("CMYK", (16, 16), (0, 0, 0, 0))
    for fmt in ("JPEG", "TIFF"):
        picture = read(saved(white, fmt))
        assert picture.model == "cmyk" and not picture.alpha
        assert picture.pixels.shape == (16, 16, 4)
        assert picture.pixels.max() == 0, fmt


def test_gray_jpeg_stays_gray():
    picture = read(saved(Image.fromarray(np.full((16, 16), 77, np.uint8)), "JPEG"))
    assert picture.pixels.shape == (16, 16)
    assert abs(int(picture.pixels[3, 3]) - 77) <= 1


def test_format_is_found_by_content(tmp_path):
    path = tmp_path / "misleading.jpg"
    path.write_bytes(saved(Image.fromarray(noise((4, 4))), "PNG").getvalue())
    assert read(path).format == "PNG"


def test_name_that_looks_like_an_option(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name = "-weird $name*\n'\".png"
    Image.fromarray(noise((4, 4))).save(os.path.join(".", name))
    assert read(name).pixels.shape == (4, 4)


def test_pipe_is_read_to_its_end():
    data = saved(Image.fromarray(noise((300, 300, 3))), "PNG").getvalue()
    back, front = os.pipe()
    if os.fork() == 0:
        os.close(back)
        os.write(front, data)
        os._exit(0)
    os.close(front)
    with open(back, "rb") as pipe:
        assert read(pipe).pixels.shape == (300, 300, 3)
    os.wait()


def test_a_pipe_without_an_end_stops_where_memory_does(monkeypatch):
    class Pipe(io.BufferedIOBase):
        """An endless PNG; the test fails if much more is read than before the first check of memory."""

        given = 0

        def seekable(self):
            return False

        def read(self, size):
            self.given += size
            assert self.given < 2**28
            return b"\x89PNG\r\n\x1a\n".ljust(size, b"\0")

    asked = []

    def refuse(size):
        asked.append(size)
        raise SizeError("too little memory")

    monkeypatch.setattr(limits, "require_memory", refuse)
    with pytest.raises(SizeError, match="too little memory"):
        read(Pipe())
    assert len(asked) == 1
    assert asked[0] >= 2**20


def test_endless_rubbish_from_a_device_is_refused_at_once():
    with pytest.raises(ReadError, match="not a picture"):
        read("/dev/zero")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b"Hello, this is a text file and not a picture at all.\n", "not a picture of a known"),
        (b"BM" + b"\0" * 60, "damaged"),
        (b"GIF89a", "truncated"),
        (b"\xff\xd8\xff\xe0", "damaged"),
        (b"II*\0", "truncated"),
        (b"RIFF\x08\0\0\0WEBPVP8 ", "damaged"),
    ],
)
def test_other_files_are_refused_in_one_line(content, message):
    with pytest.raises(ReadError, match=message) as caught:
        read(io.BytesIO(content))
    assert "\n" not in str(caught.value)


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(ReadError, match="no such file"):
        read(tmp_path / "missing.png")
    with pytest.raises(ReadError, match="folder"):
        read(tmp_path)


@pytest.mark.parametrize(
    "fmt", ["PNG", "JPEG", "TIFF", "BMP", "PPM", "GIF", "WebP", "AVIF", "JPEG2000", "SGI", "PCX", "TGA"]
)
def test_truncated_pictures_are_refused(fmt):
    data = saved(Image.fromarray(noise((64, 64, 3))), fmt).getvalue()
    with pytest.raises(ReadError):
        read(io.BytesIO(data[: len(data) // 10]))
    # Their decoders give all or nothing.
    advice = (
        "damaged or of an unsupported kind" if fmt in ("AVIF", "JPEG2000") else "; lenient=True decodes what is left$"
    )
    for share in (0.5, 0.9):
        with pytest.raises(ReadError, match=advice):
            read(io.BytesIO(data[: int(len(data) * share)]))


def test_a_webp_cut_within_its_header_has_nothing_to_decode():
    data = saved(Image.fromarray(noise((64, 64, 3))), "WebP").getvalue()
    for size, advice in ((18, ""), (26, ""), (100, "; lenient=True decodes what is left")):
        with pytest.raises(ReadError, match=f"the WebP is truncated{advice}$"):
            read(io.BytesIO(data[:size]))


def test_positions_before_the_beginning_of_a_file(tmp_path):
    """An icon with negative sides, from which Pillow computes the position of its mask."""
    entry = struct.pack("<3H4B2H2I", 0, 1, 1, 16, 16, 2, 0, 1, 1, 176, 22)
    icon = entry + struct.pack("<IiiHH", 40, -65536, -65536, 1, 1) + bytes(160)
    (tmp_path / "a.ico").write_bytes(icon)
    for source in (tmp_path / "a.ico", io.BytesIO(icon)):
        with pytest.raises(
            ReadError, match=r"damaged or of an unsupported kind: a position in it is outside the file$"
        ):
            read(source)


@pytest.mark.parametrize("kind", ["JPEG", "BMP", "TGA", "GIF", "PPM", "PNG", "TIFF", "WEBP", "WEBP with EXIF"])
def test_remaining_rows_are_decoded_on_demand(kind):
    fmt, _, exif = kind.partition(" with ")
    rows = np.repeat(np.repeat(noise((6, 2, 3), seed=4), 16, axis=0), 40, axis=1)
    data = saved(Image.fromarray(rows), fmt, **({"exif": b"II*\0\x08\0\0\0\0\0\0\0\0\0"} if exif else {})).getvalue()
    whole = read(io.BytesIO(data), ReadOptions(lenient=True))
    assert whole.notes == ()
    # Of a TIFF, whose tags lie at the end, all but the tags is cut.
    picture = read(io.BytesIO(data[: len(data) * 9 // 10] if fmt != "TIFF" else data), ReadOptions(lenient=True))
    assert picture.pixels.shape == rows.shape
    top = slice(80, 90) if fmt in ("BMP", "TGA") else slice(0, 10)
    np.testing.assert_array_equal(picture.pixels[top], whole.pixels[top])
    assert bool(picture.notes) == (fmt != "TIFF")


@pytest.mark.parametrize("fmt", ["PNG", "JPEG", "TIFF", "BMP", "PPM", "GIF"])
def test_size_is_checked_from_the_header(fmt):
    file = saved(Image.fromarray(noise((20, 30, 3))), fmt)
    with pytest.raises(SizeError, match=r"30x20.*max_pixels"):
        read(file, ReadOptions(max_pixels=599))
    assert read(file, ReadOptions(max_pixels=600)).outline.width == 30


def test_huge_header_is_refused_before_memory_is_asked_for():
    ihdr = struct.pack(">IIBBBBB", 100000, 100000, 8, 2, 0, 0, 0)
    idat = zlib.compress(bytes(1000))
    data = b"\x89PNG\r\n\x1a\n"
    for kind, body in ((b"IHDR", ihdr), (b"IDAT", idat), (b"IEND", b"")):
        data += struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    with pytest.raises(SizeError, match="100000x100000"):
        read(io.BytesIO(data))
