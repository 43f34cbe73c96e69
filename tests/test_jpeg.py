"""JPEG: what it is read and written with, and damage that decoders pass over."""

import io
import struct

import numpy as np
import pytest
from PIL import Image
from PIL.JpegImagePlugin import get_sampling

from convfilter.errors import ReadError
from convfilter.picture import jpeg, jpeg_write, pillow_write
from convfilter.picture.options import ReadOptions
from convfilter.picture.picture import Frame, JpegTables, Metadata, Picture, Text
from convfilter.picture.read import read
from convfilter.picture.write import WriteOptions, resolve_target, write


def scene(height=64, width=80):
    rng = np.random.default_rng(3)
    ramp = np.linspace(20, 220, height)[:, None, None] + np.linspace(-20, 20, width)[:, None]
    return np.clip(ramp + rng.normal(0, 12, (height, width, 3)), 0, 255).astype(np.uint8)


def encoded(pixels, **options):
    buffer = io.BytesIO()
    image = Image.fromarray(pixels)
    if options.pop("gray", False):
        image = image.convert("L")
    image.save(buffer, "JPEG", **options)
    return buffer.getvalue()


def with_size(data, height, width):
    """Patch the size in the header."""
    data = bytearray(data)
    at = 2
    while data[at + 1] not in (0xC0, 0xC1, 0xC2):
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    struct.pack_into(">HH", data, at + 5, height, width)
    return bytes(data)


KINDS = [
    {"quality": 75},
    {"quality": 92, "subsampling": 0},
    {"quality": 60, "progressive": True},
    {"quality": 85, "gray": True},
    {"quality": 80, "restart_marker_blocks": 2},
]


@pytest.mark.parametrize("options", KINDS)
def test_pixels_are_those_of_libjpeg(options):
    data = encoded(scene(), **options)
    np.testing.assert_array_equal(read(io.BytesIO(data)).pixels, np.asarray(Image.open(io.BytesIO(data))))


@pytest.mark.parametrize("options", KINDS)
@pytest.mark.parametrize("size", [(13000, 13000), (128, 80), (64, 200), (90, 80)])
def test_size_that_the_data_does_not_fill_is_found(options, size):
    with pytest.raises(ReadError, match="damaged"):
        read(io.BytesIO(with_size(encoded(scene(), **options), *size)))


@pytest.mark.parametrize("options", KINDS)
def test_grey_corners_are_no_damage(options):
    pixels = scene()
    pixels[32:, 32:] = 128
    for each in (pixels, np.full((1, 1, 3), 128, np.uint8), np.full((33, 17, 3), 128, np.uint8)):
        assert read(io.BytesIO(encoded(each, **options))).pixels.shape[:2] == each.shape[:2]


@pytest.mark.parametrize("options", KINDS)
def test_truncated_data_is_found_and_decoded_on_demand(options):
    data = encoded(scene(200, 200), **options)
    cut = data[: len(data) * 2 // 3]
    with pytest.raises(ReadError, match="--lenient decodes what is left"):
        read(io.BytesIO(cut))
    whole = np.asarray(Image.open(io.BytesIO(data)))
    left = read(io.BytesIO(cut), ReadOptions(lenient=True)).pixels
    assert left.shape == whole.shape
    if not options.get("progressive"):
        np.testing.assert_array_equal(left[:90], whole[:90])


def test_thumbnail_is_not_taken_for_the_end():
    exif = Image.Exif()
    exif[0x010E] = "x\xff\xd9x"
    data = encoded(scene(200, 200), exif=exif.tobytes() + encoded(scene(8, 8)))
    assert read(io.BytesIO(data)).pixels.shape == (200, 200, 3)
    with pytest.raises(ReadError):
        read(io.BytesIO(data[: len(data) // 2]))


@pytest.mark.parametrize("data", [b"\xff\xd8\xff", b"\xff\xd8\xff\xe0", b"\xff\xd8\xff\xe0\x00\x00", b"\xff\xd8" * 500])
def test_headers_that_lead_nowhere(data):
    assert jpeg.layout_of(data) is None
    with pytest.raises(ReadError):
        read(io.BytesIO(data))


def test_rubbish_between_segments_is_passed_over():
    data = encoded(scene())
    padded = data[:2] + b"\xff\xff\xff" + data[2:]
    np.testing.assert_array_equal(read(io.BytesIO(padded)).pixels, read(io.BytesIO(data)).pixels)


def test_least_bits_are_a_lower_bound():
    for options in KINDS:
        data = encoded(np.full((256, 256, 3), 77, np.uint8), **options)
        layout = jpeg.layout_of(data)
        assert layout.least_bits <= 8 * (len(data) - layout.data_start)
        assert (layout.width, layout.height) == (256, 256)


def rewritten(data, path, pixels=None, **options):
    chosen = WriteOptions(**options)
    picture = read(io.BytesIO(data))
    if pixels is not None:
        picture.pixels = pixels
    write(resolve_target(path, chosen), picture, chosen)
    return Image.open(path)


@pytest.mark.parametrize("quality", [55, 93])
@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("progressive", [False, True])
def test_quality_is_kept_by_its_tables(tmp_path, quality, subsampling, progressive):
    data = encoded(scene(), quality=quality, subsampling=subsampling, progressive=progressive)
    with rewritten(data, tmp_path / "a.jpg") as image, Image.open(io.BytesIO(data)) as before:
        assert image.quantization == before.quantization
        assert get_sampling(image) == subsampling
        assert bool(image.info.get("progressive")) == progressive


def test_quality_and_subsampling_that_are_asked_for(tmp_path):
    data = encoded(scene(), quality=50, subsampling=2)
    with rewritten(data, tmp_path / "a.jpg", quality=95, subsampling="4:4:4") as image:
        expected = Image.open(io.BytesIO(encoded(scene(), quality=95)))
        assert image.quantization == expected.quantization
        assert get_sampling(image) == 0
    with rewritten(data, tmp_path / "b.jpg", quality=95) as image:
        assert get_sampling(image) == 2


def test_other_pictures_get_92(tmp_path):
    write(resolve_target(tmp_path / "a.jpg"), Picture.from_array(scene()))
    with Image.open(tmp_path / "a.jpg") as image, Image.open(io.BytesIO(encoded(scene(), quality=92))) as expected:
        assert image.quantization == expected.quantization


def test_gray_takes_the_tables_of_colour_along(tmp_path):
    data = encoded(scene(), quality=50)
    picture = read(io.BytesIO(data))
    gray = Picture.from_array(picture.pixels[:, :, 1].copy())
    gray.metadata = picture.metadata
    write(resolve_target(tmp_path / "a.jpg"), gray)
    with Image.open(tmp_path / "a.jpg") as image:
        assert image.mode == "L"
        assert image.quantization[0] == Image.open(io.BytesIO(data)).quantization[0]


def test_noise_fits_into_a_progressive_picture(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (200, 300, 3), dtype=np.uint8)
    options = WriteOptions(quality=100, subsampling="4:4:4", compression="best")
    write(resolve_target(tmp_path / "a.jpg"), Picture.from_array(noise), options)
    assert np.abs(read(tmp_path / "a.jpg").pixels.astype(int) - noise).max() <= 5


def test_cmyk_comes_back(tmp_path):
    image = Image.new("CMYK", (16, 16), (255, 0, 100, 30))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=100)
    picture = read(buffer)
    assert np.abs(picture.pixels.astype(int) - (255, 0, 100, 30)).max() <= 3
    write(resolve_target(tmp_path / "a.jpg"), picture)
    again = read(tmp_path / "a.jpg")
    assert again.model == "cmyk"
    assert np.abs(again.pixels.astype(int) - (255, 0, 100, 30)).max() <= 5


def test_metadata_comes_back(tmp_path):
    profile = bytes(16) + b"RGB " + bytes(16) + b"acsp" + bytes(100_000)
    data = encoded(scene(), icc_profile=profile, comment="hello", dpi=(300, 150), xmp=b"<x:xmpmeta/>")
    with rewritten(data, tmp_path / "a.jpg") as image:
        assert image.info["icc_profile"] == profile
        assert image.info["comment"] == b"hello"
        assert image.info["dpi"] == (300, 150)
        assert image.info["xmp"] == b"<x:xmpmeta/>"
    with rewritten(data, tmp_path / "b.jpg", strip="most") as image:
        assert image.info["icc_profile"] == profile
        assert not {"comment", "xmp", "exif"} & set(image.info)
    with rewritten(data, tmp_path / "c.jpg", strip="all") as image:
        assert "icc_profile" not in image.info


def test_metadata_too_long_for_a_segment_is_left_out(tmp_path):
    picture = Picture.from_array(scene())
    picture.metadata.xmp = b"<x:xmpmeta/>" + b" " * 70_000
    write(resolve_target(tmp_path / "a.jpg"), picture)
    assert read(tmp_path / "a.jpg").metadata.xmp is None


def test_of_several_pictures_the_first_is_taken():
    first, second = (Image.fromarray(scene()[:, ::step].copy()) for step in (1, -1))
    buffer = io.BytesIO()
    first.save(buffer, "MPO", save_all=True, append_images=[second])
    picture = read(buffer)
    assert len(picture.frames) == 1
    assert "2 pictures" in picture.notes[0]
    other = read(buffer, ReadOptions(frame=1))
    assert np.abs(other.pixels.astype(int) - picture.pixels[:, ::-1]).mean() < 8
    with pytest.raises(ReadError, match="0 to 1, got 2"):
        read(buffer, ReadOptions(frame=2))
    with pytest.raises(ReadError, match="must be 0, the only one, got 1"):
        read(io.BytesIO(encoded(scene())), ReadOptions(frame=1))


def written_both_ways(monkeypatch, picture, **options):
    """Return what is written without Pillow, and through it; the first is None if Pillow is needed."""
    done = []
    direct = jpeg_write.write_direct
    monkeypatch.setattr(jpeg_write, "write_direct", lambda *arguments: done.append(direct(*arguments)) or done[-1])
    files = []
    for large in (0, 1 << 40):
        monkeypatch.setattr(pillow_write, "_LARGE_BYTES", large)
        files.append(io.BytesIO())
        pillow_write.write_pillow(files[-1], "JPEG", picture, WriteOptions(**options))
    return files[0].getvalue() if done == [True] else None, files[1].getvalue()


@pytest.mark.parametrize("gray", [False, True], ids=["rgb", "gray"])
@pytest.mark.parametrize("quality", [None, 1, 24, 50, 75, 92, 100])
@pytest.mark.parametrize("subsampling", [None, "4:4:4", "4:2:2", "4:2:0"])
def test_the_short_way_writes_the_same_bytes(monkeypatch, gray, quality, subsampling):
    pixels = scene(67, 83)
    picture = Picture.from_array(np.ascontiguousarray(pixels[..., 0]) if gray else pixels)
    short, long = written_both_ways(monkeypatch, picture, quality=quality, subsampling=subsampling)
    assert short == (None if gray and subsampling in ("4:2:2", "4:2:0") else long)


@pytest.mark.parametrize("gray", [False, True], ids=["rgb", "gray"])
def test_the_short_way_keeps_tables_and_metadata(monkeypatch, gray):
    data = encoded(scene(67, 83), quality=83, subsampling=1, gray=gray)
    picture = read(io.BytesIO(data))
    picture.metadata.icc = bytes(range(256)) * 600  # more than one segment holds
    picture.metadata.exif = b"MM\0*\0\0\0\x08\0\0\0\0\0\0" + b"\xff\xdb\xff\xc0"
    picture.metadata.resolution = (300.0, 300.0)
    picture.metadata.xmp = b"<x:xmpmeta/>"
    picture.metadata.text = [Text("Comment", "a remark")]
    picture.metadata.iptc = b"\x1c\x02x\0\x04text"
    short, long = written_both_ways(monkeypatch, picture)
    assert short == long
    assert Image.open(io.BytesIO(short)).info["comment"] == b"a remark"


@pytest.mark.parametrize("case", ["tables", "progressive", "best", "one table"])
def test_the_short_way_is_left_where_it_does_not_lead(monkeypatch, case):
    pixels = scene(67, 83)
    metadata, options = Metadata(), {}
    if case == "best":
        options["compression"] = "best"
    elif case == "one table":
        metadata.jpeg = JpegTables({0: [3] * 64}, 0, False)
    else:
        with Image.open(io.BytesIO(encoded(pixels, quality=60))) as image:
            tables = {number: list(table) for number, table in image.quantization.items()}
        tables[1][63] += case == "tables"
        metadata.jpeg = JpegTables(tables, 2, case == "progressive")
    short, long = written_both_ways(
        monkeypatch, Picture([Frame(pixels)], "rgb", False, "JPEG", metadata, ()), **options
    )
    assert short is None and np.asarray(Image.open(io.BytesIO(long))).shape == pixels.shape
