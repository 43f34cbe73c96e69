"""Metadata across formats: what the target can hold is kept, and nothing is invented."""

import itertools
import struct

import numpy as np
import pytest
import tifffile
from PIL import Image

from convfilter.picture.frame import Frame
from convfilter.picture.metadata import cicp, photoshop
from convfilter.picture.metadata.exif import resolution
from convfilter.picture.metadata.metadata import Metadata, Text
from convfilter.picture.options import WriteOptions
from convfilter.picture.picture import Picture
from convfilter.picture.place.target import resolve_target
from convfilter.picture.read import read
from convfilter.picture.write import write
from convfilter.pipeline import Options, filter_file

PROFILE = bytes(16) + b"RGB " + bytes(16) + b"acsp" + bytes(range(100))
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"/>'
SUFFIXES = ["png", "jpg", "tif", "webp", "avif"]


def exif():
    block = Image.Exif()
    block[271] = "Maker"
    block[274] = 1
    block.get_ifd(0x8769)[0x829A] = 0.25
    return block.tobytes().removeprefix(b"Exif\0\0")


def picture(**changes):
    pixels = np.random.default_rng(0).integers(0, 256, (16, 24, 3), dtype=np.uint8)
    metadata = Metadata(icc=PROFILE, exif=exif(), xmp=XMP, resolution=(300.0, 300.0), text=[Text("Comment", "hello")])
    for name, value in changes.items():
        setattr(metadata, name, value)
    return Picture([Frame(pixels)], "rgb", metadata=metadata)


@pytest.mark.parametrize(("first", "second"), list(itertools.permutations(SUFFIXES, 2)))
def test_profile_exif_and_xmp_are_kept(tmp_path, first, second):
    write(resolve_target(tmp_path / f"a.{first}"), picture(text=[], resolution=None))
    write(resolve_target(tmp_path / f"b.{second}"), read(tmp_path / f"a.{first}"))
    metadata = read(tmp_path / f"b.{second}").metadata
    assert metadata.icc == PROFILE
    assert metadata.xmp == XMP
    with Image.open(tmp_path / f"b.{second}") as image:
        block = image.getexif()
        assert block[271] == "Maker"
        assert block.get_ifd(0x8769)[0x829A] == 0.25


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "bmp"])
def test_the_resolution_is_kept(tmp_path, suffix):
    write(resolve_target(tmp_path / f"a.{suffix}"), picture(resolution=(300.0, 150.0), icc=None))
    assert read(tmp_path / f"a.{suffix}").metadata.resolution == pytest.approx((300, 150), abs=0.02)


@pytest.mark.parametrize("per_centimetre", [(1, 2), (118, 118), (118, 59), (65535, 65535)])
def test_dots_per_centimetre_stay_whole(tmp_path, per_centimetre):
    name = tmp_path / "in.jpg"
    write(resolve_target(name), picture(resolution=None, icc=None))
    data = name.read_bytes()
    density = struct.pack(">B2H", 2, *per_centimetre)
    name.write_bytes(data[:13] + density + data[18:])
    for suffix in ("jpg", "png", "tif"):
        other = tmp_path / f"a.{suffix}"
        filter_file(str(name), str(other), Options(["identity"]))
        filter_file(str(other), str(tmp_path / "again.jpg"), Options(["identity"]))
        assert (tmp_path / "again.jpg").read_bytes()[13:18] == density


@pytest.mark.parametrize("dpi", [(2.54, 5.08), (299.72, 149.86), (70_104.0, 70_104.0), (300.0, 150.0)])
def test_densities_of_cmyk_are_those_of_rgb(tmp_path, dpi):
    rgb = picture(resolution=dpi, icc=None)
    write(resolve_target(tmp_path / "rgb.jpg"), rgb)
    cmyk = Picture([Frame(np.zeros((16, 24, 4), np.uint8))], "cmyk", metadata=rgb.metadata)
    write(resolve_target(tmp_path / "cmyk.jpg"), cmyk)
    first, second = ((tmp_path / name).read_bytes()[2:20] for name in ("rgb.jpg", "cmyk.jpg"))
    assert first == second


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "jp2", "webp", "bmp", "pcx"])
@pytest.mark.parametrize("dpi", [0.0001, 0.012, 0.018, 0.3, 0.6, 0.99, 1.27, 2.6, 7.5, 70_000.0, 200_000.0])
def test_extreme_resolutions_are_kept_or_reported(tmp_path, suffix, dpi):
    target = resolve_target(tmp_path / f"a.{suffix}")
    notes = write(target, picture(resolution=(dpi, dpi), icc=None, exif=None, xmp=None, text=[]))
    metadata = read(target.path).metadata
    kept = metadata.resolution or resolution(metadata.exif)
    if any("without a resolution" in note for note in notes):
        assert kept is None and suffix in ("bmp", "pcx")
    else:
        assert kept == pytest.approx((dpi, dpi), rel=0.05)


@pytest.mark.parametrize("dots", [(11811, 100), (400, 3), (254, 1)])
def test_dots_per_centimetre_of_a_tiff_stay_so(tmp_path, dots):
    pixels = np.random.default_rng(0).integers(0, 256, (16, 24), dtype=np.uint8)
    tifffile.imwrite(tmp_path / "in.tif", pixels, resolution=(dots, dots), resolutionunit="CENTIMETER")
    filter_file(str(tmp_path / "in.tif"), str(tmp_path / "out.tif"), Options(["identity"]))
    with tifffile.TiffFile(tmp_path / "out.tif") as tiff:
        tags = tiff.pages[0].tags
        assert tags["ResolutionUnit"].value == 3
        for name in ("XResolution", "YResolution"):
            assert np.divide(*tags[name].value) == pytest.approx(dots[0] / dots[1], rel=1e-6)


@pytest.mark.parametrize("unit", [1, 2])
def test_a_density_that_is_whole_in_both_units_keeps_its_own(tmp_path, unit):
    write(resolve_target(tmp_path / "in.jpg"), picture(resolution=None, icc=None))
    data = (tmp_path / "in.jpg").read_bytes()
    density = struct.pack(">B2H", unit, *((254, 127) if unit == 1 else (100, 50)))
    (tmp_path / "in.jpg").write_bytes(data[:13] + density + data[18:])
    for output in ("a.tif", "b.jpg"):
        filter_file(str(tmp_path / "in.jpg"), str(tmp_path / output), Options(["identity"]))
    filter_file(str(tmp_path / "a.tif"), str(tmp_path / "c.jpg"), Options(["identity"]))
    with tifffile.TiffFile(tmp_path / "a.tif") as tiff:
        assert tiff.pages[0].tags["ResolutionUnit"].value == unit + 1
    assert {(tmp_path / name).read_bytes()[13:18] for name in ("b.jpg", "c.jpg")} == {density}


@pytest.mark.parametrize(("dpi", "density"), [((254, 127), (1, 254, 127)), ((159.9946, 160), (1, 160, 160))])
def test_dots_per_inch_stay_whole(tmp_path, dpi, density):
    write(resolve_target(tmp_path / "a.jpg"), picture(resolution=dpi, icc=None))
    assert struct.unpack(">B2H", (tmp_path / "a.jpg").read_bytes()[13:18]) == density


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "webp", "avif", "jp2", "bmp", "pcx", "tga", "gif"])
def test_no_resolution_is_invented(tmp_path, suffix):
    write(resolve_target(tmp_path / f"a.{suffix}"), picture(resolution=None, icc=None))
    assert read(tmp_path / f"a.{suffix}").metadata.resolution is None


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "gif"])
def test_a_text_is_kept(tmp_path, suffix):
    write(resolve_target(tmp_path / f"a.{suffix}"), picture(text=[Text("Comment", "Grüße")], icc=None))
    texts = [text.value for text in read(tmp_path / f"a.{suffix}").metadata.text]
    assert "Grüße" in texts


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_strip(tmp_path, suffix):
    for strip, kept in ((None, PROFILE), ("most", PROFILE), ("all", None)):
        options = WriteOptions(strip=strip)
        write(resolve_target(tmp_path / f"a.{suffix}"), picture(), options)
        metadata = read(tmp_path / f"a.{suffix}").metadata
        assert metadata.icc == kept
        if strip:
            assert metadata.exif is None and metadata.xmp is None
            assert metadata.text == [] and metadata.resolution is None


def test_strip_keeps_how_colours_look(tmp_path):
    chunks = [(b"gAMA", struct.pack(">I", 100000)), (b"tIME", bytes(7))]
    for strip, kept in (("most", chunks[:1]), ("all", [])):
        options = WriteOptions(strip=strip)
        write(resolve_target(tmp_path / "a.png"), picture(icc=None, png=chunks), options)
        assert read(tmp_path / "a.png").metadata.png == kept


def test_profile_of_another_model_is_dropped(tmp_path):
    gray = picture()
    gray.frames = [Frame(gray.pixels[:, :, 0].copy())]
    gray.model = "gray"
    for suffix in SUFFIXES:
        write(resolve_target(tmp_path / f"a.{suffix}"), gray)
        assert read(tmp_path / f"a.{suffix}").metadata.icc is None, suffix
    assert gray.metadata.icc == PROFILE


def test_writing_leaves_the_picture_alone(tmp_path):
    original = picture()
    for suffix in SUFFIXES:
        write(resolve_target(tmp_path / f"a.{suffix}"), original, WriteOptions(strip="all"))
    assert vars(original.metadata) == vars(picture().metadata)


@pytest.mark.parametrize("dpi", [(0, 0), (float("nan"), 72), (float("inf"), 1)])
def test_invalid_resolutions_are_ignored(tmp_path, dpi):
    from convfilter.picture.metadata.pillow_info import metadata_of

    image = Image.new("RGB", (2, 2))
    image.info["dpi"] = dpi
    assert metadata_of(image).resolution is None


@pytest.mark.parametrize("lossless", [False, True])
def test_webp_without_loss_stays_without_loss(tmp_path, lossless):
    pixels = picture().pixels
    Image.fromarray(pixels).save(tmp_path / "a.webp", lossless=lossless)
    before = read(tmp_path / "a.webp")
    write(resolve_target(tmp_path / "b.webp"), before)
    assert np.array_equal(read(tmp_path / "b.webp").pixels, before.pixels) == lossless


def test_png_texts_in_other_languages(tmp_path):
    texts = [Text("Title", "世界", "zh", "标题"), Text("Author", "me")]
    write(resolve_target(tmp_path / "a.png"), picture(text=texts))
    assert read(tmp_path / "a.png").metadata.text == texts


@pytest.mark.parametrize(
    ("primaries", "transfer", "name"),
    [
        (1, 1, "BT.709"),
        (1, 13, "BT.709, sRGB"),
        (9, 16, "BT.2020, PQ"),
        (11, 17, "DCI-P3, transfer function 17"),
        (12, 8, "Display P3, linear"),
        (22, 18, "primaries 22, HLG"),
    ],
)
def test_code_points_have_the_names_of_h_273(primaries, transfer, name):
    assert cicp.name_of(primaries, transfer) == name


def test_exif_tags_of_windows_explorer_survive_a_tiff(tmp_path):
    words = {tag: f"word {tag}\0".encode("utf-16-le") for tag in range(40091, 40096)}
    block = Image.Exif()
    for tag, value in (words | {18246: 4, 18249: 75}).items():
        block[tag] = value
    exif = block.tobytes().removeprefix(b"Exif\0\0")
    write(resolve_target(tmp_path / "a.tif"), picture(exif=exif))
    write(resolve_target(tmp_path / "b.png"), read(tmp_path / "a.tif"))
    for name in ("a.tif", "b.png"):
        with Image.open(tmp_path / name) as image:
            found = image.getexif()
        assert {tag: found.get(tag) for tag in (*words, 18246, 18249)} == words | {18246: 4, 18249: 75}


@pytest.mark.parametrize("rest", [b"8BIX\4\4\0\0\0\0\0\2ab", b"8BIM\4\4", b"8BIM\4\4\0\0\0\0\0\xffab"])
def test_resources_end_at_the_first_malformed_one(rest):
    whole = photoshop.wrapped(b"iptc records")
    assert [each.data for each in photoshop.parsed(whole + whole)] == [b"iptc records"] * 2
    assert [each.data for each in photoshop.parsed(whole + rest + whole)] == [b"iptc records"]
    assert [each.data for each in photoshop.parsed(whole + rest)] == [b"iptc records"]


def raw_profile(name, data):
    lines = "\n".join(data.hex()[at : at + 72] for at in range(0, 2 * len(data), 72))
    return Text(f"Raw profile type {name}", f"\n{name}\n{len(data):8}\n{lines}\n")


RESOURCES = photoshop.wrapped(b"\x1c\x02\x5a\0\4Bonn")
SHOWN = b"8BIM\x04\x0c\0\0" + (28).to_bytes(4, "big") + bytes(28)


@pytest.mark.parametrize("name", ["exif", "APP1"])
def test_exif_in_a_text_of_a_png_is_exif(tmp_path, name):
    upright, turned = (struct.pack(">HHIHH", 274, 3, 1, orientation, 0) for orientation in (1, 6))
    block = exif().replace(upright, turned)
    text = raw_profile(name, b"Exif\0\0" + block)
    write(tmp_path / "a.png", picture(exif=None, text=[text], resolution=None, icc=None))
    read_again = read(tmp_path / "a.png")
    assert read_again.pixels.shape == (24, 16, 3) and read_again.metadata.text == []
    for suffix in ("png", "jpg"):
        write(tmp_path / f"b.{suffix}", read_again)
        with Image.open(tmp_path / f"b.{suffix}") as image:
            assert image.getexif()[271] == "Maker" and image.getexif()[274] == 1
            assert "Raw profile type" not in "".join(map(str, image.info))


def test_xmp_and_profiles_in_texts_of_a_png_have_their_fields(tmp_path):
    texts = [raw_profile("xmp", XMP), raw_profile("icc", PROFILE), raw_profile("other", b"data"), Text("Comment", "a")]
    write(tmp_path / "a.png", picture(xmp=None, icc=None, text=texts))
    metadata = read(tmp_path / "a.png").metadata
    assert (metadata.xmp, metadata.icc, metadata.text) == (XMP, PROFILE, texts[2:])


@pytest.mark.parametrize(("name", "data"), [("8bim", SHOWN + RESOURCES), ("iptc", RESOURCES), ("iptc", RESOURCES[12:])])
def test_iptc_in_a_text_of_a_png_stays_there_and_moves_to_other_formats(tmp_path, name, data):
    write(tmp_path / "a.png", picture(text=[raw_profile(name, data)]))
    whole = read(tmp_path / "a.png")
    kept = data.removeprefix(SHOWN)
    assert whole.metadata.text == [raw_profile(name, kept)]
    for suffix in ("jpg", "tif"):
        assert write(tmp_path / f"b.{suffix}", whole) == ()
        metadata = read(tmp_path / f"b.{suffix}").metadata
        assert photoshop.has_iptc(metadata.photoshop) and b"Bonn" in metadata.photoshop and not metadata.text
    assert any("without IPTC" in note for note in write(tmp_path / "b.webp", whole))
    assert write(tmp_path / "b.png", whole) == ()
    assert read(tmp_path / "b.png").metadata.text == [raw_profile(name, kept)]


def test_a_damaged_profile_in_a_text_stays_a_text(tmp_path):
    texts = [
        Text("Raw profile type exif", value) for value in ("", "\nexif\n 9\nff\n", "\nexif\n x\nff", "\nexif\n 1\nfg")
    ]
    write(tmp_path / "a.png", picture(exif=None, text=texts))
    metadata = read(tmp_path / "a.png").metadata
    assert metadata.text == texts and metadata.exif is None


@pytest.mark.parametrize("form", ["<a tiff:ImageWidth=\"9\" tiff:ImageLength = '8'>", "<exif:PixelXDimension>9<x>"])
@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "webp"])
def test_sizes_in_xmp_are_those_of_the_result(tmp_path, form, suffix):
    write(tmp_path / f"a.{suffix}", picture(xmp=form.encode(), icc=None, resolution=None, text=[]))
    filter_file(str(tmp_path / f"a.{suffix}"), str(tmp_path / f"b.{suffix}"), Options(["avgpool:2x4"]))
    expected = form.replace("9", "12").replace("8", "4").encode()
    assert read(tmp_path / f"b.{suffix}").metadata.xmp == expected
