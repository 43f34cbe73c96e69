"""JPEG: quality, tables and metadata, bands, and damage that decoders ignore."""

import io
import struct
import subprocess
import sys

import imagecodecs
import numpy as np
import pytest
from hypothesis import given, settings, strategies
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile, get_sampling

from convfilter.errors import ReadError
from convfilter.picture.frame import Frame
from convfilter.picture.jpeg import decoder
from convfilter.picture.jpeg import metadata as jpeg_metadata
from convfilter.picture.jpeg import rows as jpeg_rows
from convfilter.picture.jpeg import write as jpeg_write
from convfilter.picture.jpeg.layout import layout_of, restarts_of
from convfilter.picture.metadata.metadata import JpegTables, Metadata, Text, subsampling_of
from convfilter.picture.metadata.pillow_info import metadata_of
from convfilter.picture.options import ReadOptions, WriteOptions
from convfilter.picture.picture import Picture
from convfilter.picture.pillow import write as pillow_write
from convfilter.picture.place.target import resolve_target
from convfilter.picture.read import opened, read
from convfilter.picture.write import write
from convfilter.pipeline import Options, filter_file
from convfilter.record import replace


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
    with pytest.raises(ReadError, match="lenient=True decodes what is left"):
        read(io.BytesIO(cut))
    whole = np.asarray(Image.open(io.BytesIO(data)))
    left = read(io.BytesIO(cut), ReadOptions(lenient=True)).pixels
    assert left.shape == whole.shape
    if not options.get("progressive"):
        np.testing.assert_array_equal(left[:90], whole[:90])


#: Sizes whose last block shows all, some and one of its rows and columns, in MCUs of 8 and of 16 pixels.
SIZES_OF_LAST_BLOCKS = [(96, 96), (88, 104), (92, 90), (81, 96), (96, 89), (97, 97)]


def without_last_units(pixels, **options):
    """Encode, and cut off the codes of the last MCUs at a whole byte."""
    data = encoded(pixels, **options)
    return data[: -len(data) // 20] + b"\xff\xd9"


@pytest.mark.parametrize("size", SIZES_OF_LAST_BLOCKS)
@pytest.mark.parametrize("options", KINDS)
def test_missing_blocks_are_found_whatever_part_of_the_last_one_shows(options, size):
    if options.get("progressive"):
        pytest.skip("the last scan of a progressive picture refines blocks that are there")
    pixels = np.random.default_rng(1).integers(0, 256, (*size, 3), np.uint8)
    assert read(io.BytesIO(encoded(pixels, **options))).pixels.shape[:2] == size
    with pytest.raises(ReadError, match="damaged"):
        read(io.BytesIO(without_last_units(pixels, **options)))


def test_the_end_marker_of_a_thumbnail_is_skipped():
    exif = Image.Exif()
    exif[0x010E] = "x\xff\xd9x"
    data = encoded(scene(200, 200), exif=exif.tobytes() + encoded(scene(8, 8)))
    assert read(io.BytesIO(data)).pixels.shape == (200, 200, 3)
    with pytest.raises(ReadError):
        read(io.BytesIO(data[: len(data) // 2]))


@pytest.mark.parametrize("data", [b"\xff\xd8\xff", b"\xff\xd8\xff\xe0", b"\xff\xd8\xff\xe0\x00\x00", b"\xff\xd8" * 500])
def test_malformed_headers_give_no_layout(data):
    assert layout_of(data) is None
    with pytest.raises(ReadError):
        read(io.BytesIO(data))


def test_rubbish_between_segments_is_skipped():
    data = encoded(scene())
    padded = data[:2] + b"\xff\xff\xff" + data[2:]
    np.testing.assert_array_equal(read(io.BytesIO(padded)).pixels, read(io.BytesIO(data)).pixels)


def test_least_bits_are_a_lower_bound():
    for options in KINDS:
        data = encoded(np.full((256, 256, 3), 77, np.uint8), **options)
        layout = layout_of(data)
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


@pytest.mark.parametrize(("source", "written"), [("444", 0), ("422", 1), ("420", 2), ("440", 0), ("411", 1)])
@pytest.mark.parametrize("lenient", [False, True])
def test_chrominance_does_not_lose_resolution(tmp_path, source, written, lenient):
    data = imagecodecs.jpeg8_encode(scene(), level=90, subsampling=source)
    picture = read(io.BytesIO(data + bytes(9)), ReadOptions(lenient=lenient))
    write(tmp_path / "a.jpg", picture)
    with Image.open(tmp_path / "a.jpg") as image:
        assert get_sampling(image) == written


@pytest.mark.parametrize(
    ("factors", "number"),
    [
        ([(2, 2), (2, 2), (2, 2)], 0), ([(2, 2), (1, 1), (2, 2)], 0), ([(1, 1), (2, 2), (1, 1)], 0),
        ([(4, 2), (1, 1), (1, 1)], 2), ([(3, 1), (2, 1), (1, 1)], 0), ([(2, 2)], -1), ([(0, 1)] * 3, -1),
    ],
)  # fmt: skip
def test_sampling_factors_become_the_strongest_subsampling_that_loses_nothing(factors, number):
    assert subsampling_of(factors) == number


def test_coarse_tables_are_kept_without_a_message_of_libjpeg(tmp_path, capfd):
    tables = [[1] * 63 + [255], [1] * 63 + [255]]
    data = bytearray(encoded(scene(), qtables=tables))
    at = data.index(b"\xff\xdb")
    while data[at : at + 2] == b"\xff\xdb":  # 16 bits for each value
        size = int.from_bytes(data[at + 2 : at + 4], "big")
        wide = b"".join((4 * value).to_bytes(2, "big") for value in data[at + 5 : at + 69])
        segment = b"\xff\xdb" + (size + 64).to_bytes(2, "big") + bytes([0x10 | data[at + 4]]) + wide
        data[at : at + 2 + size] = segment
        at += len(segment)
    data[data.index(b"\xff\xc0") + 1] = 0xC1
    capfd.readouterr()
    with rewritten(bytes(data), tmp_path / "a.jpg") as image:
        assert image.quantization[0] == [4] * 63 + [1020]
    assert capfd.readouterr() == ("", "")


def test_quality_and_subsampling_may_be_requested(tmp_path):
    data = encoded(scene(), quality=50, subsampling=2)
    for quality in (20, 50, 95):  # at 50, the tables are those of the standard themselves
        with rewritten(data, tmp_path / "a.jpg", quality=quality, subsampling="4:4:4") as image:
            expected = Image.open(io.BytesIO(encoded(scene(), quality=quality)))
            assert image.quantization == expected.quantization
            assert get_sampling(image) == 0
    with rewritten(data, tmp_path / "b.jpg", quality=95) as image:
        assert get_sampling(image) == 2


def test_jpegs_of_other_pictures_have_quality_92(tmp_path):
    write(resolve_target(tmp_path / "a.jpg"), Picture.from_array(scene()))
    with Image.open(tmp_path / "a.jpg") as image, Image.open(io.BytesIO(encoded(scene(), quality=92))) as expected:
        assert image.quantization == expected.quantization


def test_a_grey_result_keeps_the_tables_of_its_colour_input(tmp_path):
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


def test_of_several_pictures_the_first_is_read():
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
    """Return the files written without and with Pillow; the first is None if only Pillow can write it."""
    done = []
    direct = jpeg_write.write_direct
    monkeypatch.setattr(jpeg_write, "write_direct", lambda *arguments: done.append(direct(*arguments)) or done[-1])
    files = [io.BytesIO(), io.BytesIO()]
    jpeg_write.write_jpeg(files[0], picture, WriteOptions(**options))
    picture.format = "JPEG"
    pillow_write.write_pillow(files[1], picture, WriteOptions(**options))
    return files[0].getvalue() if done == [True] else None, files[1].getvalue()


@pytest.mark.parametrize("gray", [False, True], ids=["rgb", "gray"])
@pytest.mark.parametrize("quality", [None, 1, 24, 50, 75, 92, 100])
@pytest.mark.parametrize("subsampling", [None, "4:4:4", "4:2:2", "4:2:0"])
def test_the_direct_encoder_writes_the_same_bytes(monkeypatch, gray, quality, subsampling):
    pixels = scene(67, 83)
    picture = Picture.from_array(np.ascontiguousarray(pixels[..., 0]) if gray else pixels)
    short, long = written_both_ways(monkeypatch, picture, quality=quality, subsampling=subsampling)
    assert short == (None if gray and subsampling in ("4:2:2", "4:2:0") else long)


@pytest.mark.parametrize("gray", [False, True], ids=["rgb", "gray"])
def test_the_direct_encoder_keeps_tables_and_metadata(monkeypatch, gray):
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
def test_pillow_encodes_what_bands_cannot(monkeypatch, case):
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


def bands_of(data):
    """Count the restart markers after the tables, and return their numbers."""
    layout = layout_of(data)
    scan = data[layout.data_start :]
    return [scan[at + 1] - 0xD0 for at in range(len(scan) - 1) if scan[at] == 0xFF and 0xD0 <= scan[at + 1] <= 0xD7]


@pytest.mark.parametrize("gray", [False, True], ids=["rgb", "gray"])
@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
@pytest.mark.parametrize("size", [(1, 83), (16, 83), (17, 83), (160, 16), (333, 97)])
def test_bands_make_the_picture_of_one_piece(monkeypatch, gray, subsampling, size):
    pixels = scene(*size)
    pixels = np.ascontiguousarray(pixels[..., 0]) if gray else pixels
    options = WriteOptions(subsampling=None if gray else subsampling, quality=90)
    whole, cut, alone = io.BytesIO(), io.BytesIO(), io.BytesIO()
    jpeg_write.write_jpeg(whole, Picture.from_array(pixels), options)
    monkeypatch.setattr(jpeg_write, "BAND_BYTES", 20 * pixels.strides[0])
    jpeg_write.write_jpeg(cut, Picture.from_array(pixels), options)
    jpeg_write.write_jpeg(alone, Picture.from_array(pixels), replace(options, threads=1))
    rows = 16  # of 20, as many as make whole units, of 8 or of 16
    assert cut.getvalue() == alone.getvalue()
    assert bands_of(whole.getvalue()) == []
    assert bands_of(cut.getvalue()) == [number % 8 for number in range(-(-size[0] // rows) - 1)]
    scan = layout_of(cut.getvalue()).scan
    assert scan is None or scan.restarts == -(-size[0] // rows) - 1
    expected = np.asarray(Image.open(whole))
    np.testing.assert_array_equal(np.asarray(Image.open(cut)), expected)
    np.testing.assert_array_equal(decoder.decode(cut.getvalue()), expected)
    np.testing.assert_array_equal(read(cut).pixels, expected)


def test_interval_of_the_widest_picture_fits_its_segment():
    widest = np.zeros((32, jpeg_write._MAX_SIDE), np.uint8)
    for pixels in (widest, np.dstack([widest] * 3)):
        file = io.BytesIO()
        jpeg_write.write_jpeg(file, Picture.from_array(pixels), WriteOptions(subsampling=None))
        np.testing.assert_array_equal(decoder.decode(file.getvalue()), pixels)
        assert bands_of(file.getvalue()) == [0]


def exif_block(order, fields):
    """Make a TIFF structure of one directory, followed by its rational numbers."""
    mark, at = {"<": b"II*\0", ">": b"MM\0*"}[order], 8 + 2 + 12 * len(fields) + 4
    entries, behind = b"", b""
    for tag, kind, value in fields:
        if kind == 5:
            entries += struct.pack(f"{order}HHII", tag, kind, 1, at + len(behind))
            behind += struct.pack(f"{order}II", *value)
        else:
            entries += struct.pack(f"{order}HHIHH", tag, kind, 1, value, 0)
    return mark + struct.pack(f"{order}IH", 8, len(fields)) + entries + bytes(4) + behind


def segment(marker, content):
    return bytes((0xFF, marker)) + (len(content) + 2).to_bytes(2, "big") + content


JFIF = b"JFIF\0\x01\x01"
EXIF = b"Exif\0\0"
SEGMENTS = {
    "inches": [segment(0xE0, JFIF + b"\x01\0\x60\0\x48\0\0")],
    "centimetres": [segment(0xE0, JFIF + b"\x02\0\x60\0\x48\0\0")],
    "aspect": [segment(0xE0, JFIF + b"\0\0\x02\0\x01\0\0")],
    "zero": [segment(0xE0, JFIF + b"\x01\0\0\0\0\0\0")],
    "exif": [segment(0xE1, EXIF + exif_block("<", [(0x11A, 5, (300, 2)), (0x128, 3, 2)]))],
    "exif, centimetres": [segment(0xE1, EXIF + exif_block(">", [(0x11A, 5, (100, 3)), (0x128, 3, 3)]))],
    "exif without resolution": [segment(0xE1, EXIF + exif_block(">", [(0x112, 3, 1)]))],
    "exif without unit": [segment(0xE1, EXIF + exif_block("<", [(0x11A, 5, (300, 1))]))],
    "exif with zero": [segment(0xE1, EXIF + exif_block("<", [(0x11A, 5, (300, 0)), (0x128, 3, 2)]))],
    "exif, odd type": [segment(0xE1, EXIF + exif_block("<", [(0x11A, 3, 96), (0x128, 3, 2)]))],
    "exif, cut": [segment(0xE1, EXIF + exif_block("<", [(0x11A, 5, (300, 1)), (0x128, 3, 2)])[:20])],
    "exif, rubbish": [segment(0xE1, EXIF + b"rubbish")],
    "exif in two parts": [segment(0xE1, EXIF + part) for part in (exif_block("<", [(0x112, 3, 6)]), b"more")],
    "xmp twice": [segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + packet) for packet in (b"<a/>", b"<b/>")],
    "profile": [segment(0xE2, b"ICC_PROFILE\0" + part) for part in (b"\2\2second", b"\1\2first")],
    "profile, a part missing": [segment(0xE2, b"ICC_PROFILE\0\2\2second")],
    "profile, cut": [segment(0xE2, b"ICC_PROFILE\0")],
    "comments": [segment(0xFE, text) for text in (b"first", "zweitens: Größe".encode())],
    "comment in Latin-1": [segment(0xFE, "Größe".encode("latin-1") + b"\0")],
    "photoshop": [segment(0xED, b"Photoshop 3.0\0" + b"8BIM\x04\x04\0\0\0\0\0\x02ab")],
    "others": [segment(0xE7, b"whatever"), segment(0xEE, b"Adobe\0\x64\0\0\0\0\x01"), segment(0xDD, b"\0\0")],
    "16-bit table": [segment(0xDB, b"\x13" + struct.pack(">64H", *range(300, 364)))],
    "table, cut": [segment(0xDB, b"\x13" + bytes(63))],
    "several pictures": [segment(0xE2, b"MPF\0II*\0\x08\0\0\0\0\0")],
    "padding": [b"\xff" + segment(0xFE, b"padded")],
}
#: What only Pillow is asked about.
RARE = {"exif, cut", "exif, rubbish", "profile, cut", "table, cut", "several pictures", "padding"}


def through_pillow(data):
    try:
        return vars(metadata_of(JpegImageFile(io.BytesIO(data))))
    except Exception:
        return None


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_metadata_of_an_encoder_is_that_of_pillow(kind):
    data = encoded(scene(), **kind, dpi=(300, 150), comment="hello", icc_profile=bytes(70_000))
    assert vars(jpeg_metadata.metadata_of(data)) == through_pillow(data)


@pytest.mark.parametrize("case", SEGMENTS)
@pytest.mark.parametrize("has_jfif", [False, True])
@pytest.mark.parametrize("subsampling", [0, 1, 2])
def test_metadata_of_each_segment_is_that_of_pillow(case, has_jfif, subsampling):
    data = encoded(scene(), subsampling=subsampling)
    data = data[: 20 if has_jfif else 2] + b"".join(SEGMENTS[case]) + data[20:]
    found = jpeg_metadata.metadata_of(data)
    assert (found is None) == (case in RARE)
    assert found is None or vars(found) == through_pillow(data)


@settings(max_examples=50, deadline=None)
@given(strategies.data())
def test_damaged_segments_are_left_to_pillow_or_read_as_by_it(chosen):
    """One changed byte in front of the scan; text and numbers may change, no result may differ from Pillow's."""
    data = bytearray(encoded(scene(16, 16), dpi=(96, 96), comment="hello", icc_profile=b"profile", xmp=b"<a/>"))
    at = chosen.draw(strategies.integers(2, bytes(data).index(b"\xff\xc4") - 1))
    data[at] = chosen.draw(strategies.integers(0, 255))
    found, expected = jpeg_metadata.metadata_of(bytes(data)), through_pillow(bytes(data))
    assert found is None or expected is None or vars(found) == expected


def test_plain_pictures_do_without_pillow(tmp_path):
    picture, copy = tmp_path / "a.jpg", tmp_path / "b.jpg"
    picture.write_bytes(encoded(scene(), comment="hello", dpi=(300, 300)))
    code = f"from convfilter.cli import main; main(['blur', '--box', '3', {str(picture)!r}, {str(copy)!r}]); "
    code += "import sys; print('PIL.Image' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n" and copy.exists()


KINDS_IN_BANDS = [
    {"subsampling": 2, "restart_marker_rows": 1},
    {"subsampling": 2, "restart_marker_rows": 3},
    {"subsampling": 2, "restart_marker_blocks": 2},
    {"subsampling": 1, "restart_marker_rows": 1},
    {"subsampling": 0, "restart_marker_blocks": 5},
    {"gray": True, "restart_marker_blocks": 4},
]


@pytest.fixture
def small_pictures_in_bands(monkeypatch):
    """Decode pictures of any size in bands of two rows of MCUs."""
    monkeypatch.setattr(jpeg_rows, "LEAST_BYTES", 0)
    monkeypatch.setattr(jpeg_rows, "BAND_MCU_ROWS", 2)
    monkeypatch.setattr(jpeg_rows, "BAND_BYTES", 0)


def in_bands(data, threads=1):
    """Decode a picture in bands; fail if it is decoded in one piece."""
    with opened(io.BytesIO(data), ReadOptions(threads=threads)) as picture:
        source = picture.frames[0].lazy_rows
        assert source is not None
        rows = np.empty(source.shape, np.uint8)
        for top in range(0, len(rows), 7):
            source.read(rows[top : top + 7])
        source.finish()
    return rows.reshape(picture.frames[0].shape)


@pytest.mark.usefixtures("small_pictures_in_bands")
@pytest.mark.parametrize("options", KINDS_IN_BANDS, ids=str)
@pytest.mark.parametrize("size", [(320, 61), (197, 240), (193, 16)])
@pytest.mark.parametrize("threads", [1, 3])
def test_bands_between_restart_markers_are_the_rows_of_the_picture(options, size, threads):
    data = encoded(scene(*size), quality=85, icc_profile=b"x" * 70000, **options)
    np.testing.assert_array_equal(in_bands(data, threads), decoder.decode(data))


@pytest.mark.usefixtures("small_pictures_in_bands")
def test_a_picture_in_bands_is_filtered_as_in_one_piece(tmp_path, monkeypatch):
    (tmp_path / "in.jpg").write_bytes(encoded(scene(400, 300), restart_marker_rows=1))
    options = Options(["gaussian:2"])
    assert filter_file(str(tmp_path / "in.jpg"), str(tmp_path / "bands.jpg"), options).not_streamed == ""
    monkeypatch.setattr(jpeg_rows, "LEAST_BYTES", 1 << 30)
    assert "one piece" in filter_file(str(tmp_path / "in.jpg"), str(tmp_path / "whole.jpg"), options).not_streamed
    assert (tmp_path / "bands.jpg").read_bytes() == (tmp_path / "whole.jpg").read_bytes()


@pytest.mark.usefixtures("small_pictures_in_bands")
@pytest.mark.parametrize("damage", ["marker lost", "marker made", "cut off"])
def test_damaged_restart_markers_are_left_to_the_decoder_of_whole_pictures(tmp_path, damage):
    data = encoded(scene(400, 300), restart_marker_rows=1)
    layout = layout_of(data)
    restarts = restarts_of(data, layout)
    middle = restarts[len(restarts) // 2]
    damaged = {
        "marker lost": data[:middle] + data[middle + 2 :],
        "marker made": data[: middle + 9] + b"\xff\xd3" + data[middle + 9 :],
        "cut off": data[:middle],
    }[damage]
    assert jpeg_rows.rows_of(data, layout, lambda: decoder.decode(data), 1) is not None
    assert jpeg_rows.rows_of(damaged, layout_of(damaged), lambda: decoder.decode(damaged), 1) is None
    (tmp_path / "in.jpg").write_bytes(damaged)
    (tmp_path / "out.jpg").write_bytes(b"old")
    if damage == "cut off":
        with pytest.raises(ReadError, match="truncated"):
            filter_file(str(tmp_path / "in.jpg"), str(tmp_path / "out.jpg"), Options(["box:3"]))
        assert (tmp_path / "out.jpg").read_bytes() == b"old"
        assert len(list(tmp_path.iterdir())) == 2
    else:
        np.testing.assert_array_equal(read(io.BytesIO(damaged)).pixels, decoder.decode(damaged))


@pytest.mark.usefixtures("small_pictures_in_bands")
@pytest.mark.parametrize("size", [size for size in SIZES_OF_LAST_BLOCKS if size[0] % 16 != 1])  # or an interval is lost
def test_bands_without_their_last_blocks_are_refused(size):
    pixels = np.random.default_rng(1).integers(0, 256, (*size, 3), np.uint8)
    options = {"quality": 85, "subsampling": 2, "restart_marker_rows": 1}
    assert in_bands(encoded(pixels, **options)).shape == pixels.shape
    with pytest.raises(ReadError, match="ends before its last row"):
        in_bands(without_last_units(pixels, **options))


@pytest.mark.usefixtures("small_pictures_in_bands")
def test_a_band_that_fails_leaves_the_old_output(tmp_path, monkeypatch):
    (tmp_path / "in.jpg").write_bytes(encoded(scene(400, 300), restart_marker_rows=1))
    (tmp_path / "out.png").write_bytes(b"old")
    decode, calls = decoder.decode, []

    def fails(data, out=None):
        calls.append(data)
        if len(calls) > 5:
            raise ReadError("the JPEG is damaged: no more")
        return decode(data, out)

    monkeypatch.setattr(decoder, "decode", fails)
    with pytest.raises(ReadError, match="no more"):
        filter_file(str(tmp_path / "in.jpg"), str(tmp_path / "out.png"), Options(["box:3"]))
    assert (tmp_path / "out.png").read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 2
