"""EXIF patched in place, turned pixels, and directories moved between TIFF and other formats."""

import io
import struct

import numpy as np
import pytest
from PIL import ExifTags, Image

from convfilter.picture.metadata import exif, ifd, photoshop, xmp_clean
from convfilter.picture.options import ReadOptions
from convfilter.picture.place.target import resolve_target
from convfilter.picture.read import read
from convfilter.picture.write import write

MAKER_NOTE = b"points to byte 300"


def block(orientation=6, order="<", thumbnail=b"\xff\xd8thumbnail\xff\xd9", behind=b""):
    """An EXIF block: orientation and a maker note, then the thumbnail's directory."""
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    ifd0 = struct.pack(order + "H", 2)
    ifd0 += struct.pack(order + "HHIHH", 0x0112, 3, 1, orientation, 0)
    ifd0 += struct.pack(order + "HHII", 0x8769, 4, 1, 38)
    ifd0 += struct.pack(order + "I", 80)
    sub = struct.pack(order + "H", 1) + struct.pack(order + "HHII", 0x927C, 7, len(MAKER_NOTE), 56)
    sub += struct.pack(order + "I", 0) + MAKER_NOTE
    data = (head + ifd0 + sub).ljust(80, b"\0")
    ifd1 = struct.pack(order + "H", 2)
    ifd1 += struct.pack(order + "HHII", 0x0201, 4, 1, 120) + struct.pack(order + "HHII", 0x0202, 4, 1, len(thumbnail))
    ifd1 += struct.pack(order + "I", 0)
    return (data + ifd1).ljust(120, b"\0") + thumbnail + behind


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("behind", [b"", b"something that follows"])
def test_orientation_is_reset_and_the_thumbnail_goes(order, behind):
    before = block(order=order, behind=behind)
    assert exif.orientation(before) == 6
    after = exif.cleaned(before, upright=True)
    assert exif.orientation(after) == 1
    assert b"thumbnail" not in after
    assert after.endswith(behind)
    # Maker notes point into the block by absolute offsets: they must not move.
    assert after[56 : 56 + len(MAKER_NOTE)] == MAKER_NOTE
    assert exif.orientation(exif.cleaned(before, upright=False)) == 6


@pytest.mark.parametrize("order", ["<", ">", None])
def test_a_new_thumbnail_is_found_and_nothing_moves(order):
    before = exif.cleaned(block(order=order), upright=True) if order else None
    assert not exif.has_thumbnail(before) and (order is None or exif.has_thumbnail(block(order=order)))
    after = exif.with_thumbnail(before, b"\xff\xd8new\xff\xd9")
    assert exif.has_thumbnail(after)
    parsed = Image.Exif()
    parsed.load(after)
    directory = parsed.get_ifd(ExifTags.IFD.IFD1)
    start = directory[0x0201]
    assert directory[0x0103] == 6 and after[start : start + directory[0x0202]] == b"\xff\xd8new\xff\xd9"
    if before is not None:
        assert after[56 : 56 + len(MAKER_NOTE)] == MAKER_NOTE
    assert exif.cleaned(after, upright=True) is not None and b"new" not in exif.cleaned(after, upright=True)


def test_pillow_sees_no_thumbnail():
    image = Image.Exif()
    image.load(exif.cleaned(block(), upright=True))
    assert image[0x0112] == 1
    assert image.get_ifd(ExifTags.IFD.IFD1) == {}
    assert image.get_ifd(0x8769)[0x927C] == MAKER_NOTE


@pytest.mark.parametrize(
    "data",
    [b"", b"Exif", b"II*\0", b"II*\0\xff\xff\xff\xff", b"II*\0\x08\0\0\0\xff\xff", block()[:30], block()[:45]],
)
def test_damaged_blocks_do_no_harm(data):
    assert exif.orientation(data) in range(1, 9)
    exif.cleaned(data, upright=True)
    exif.with_size(data, 10, 10)
    exif.resolution(data)
    exif.with_resolution(data, (1, 1))
    exif.without_orientation(data)
    exif.has_thumbnail(data)
    exif.with_thumbnail(data, b"jpeg")
    ifd.from_block(data, "<")


def test_a_directory_that_points_to_itself_ends():
    data = bytearray(block())
    struct.pack_into("<I", data, 34, 8)
    assert exif.cleaned(bytes(data), upright=True)


def test_a_directory_without_a_whole_link_stays_as_long_as_it_is():
    for cut in range(4):
        data = b"II*\0\x08\0\0\0\0\0" + bytes(cut)
        assert exif.cleaned(data, upright=True) == data


def test_a_unicode_comment_has_the_byte_order_of_its_block():
    comment = b"UNICODE\0" + "höhe".encode("utf-16-be")
    swapped = ifd.reordered({37510: ifd.Field(37510, 7, comment)}, ">", "<")[37510].data
    assert swapped == b"UNICODE\0" + "höhe".encode("utf-16-le")
    ascii_comment = ifd.Field(37510, 7, b"ASCII\0\0\0abcd")
    assert ifd.reordered({37510: ascii_comment}, ">", "<")[37510] == ascii_comment


def test_orientation_from_xmp():
    for text in (b'<a tiff:Orientation="8"/>', b"<tiff:Orientation>8</tiff:Orientation>"):
        assert exif.orientation(None, text) == 8
        assert exif.orientation(None, xmp_clean.with_orientation_reset(text)) == 1
    assert exif.orientation(block(orientation=3), b'tiff:Orientation="8"') == 3


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
def test_picture_stands_upright_once(tmp_path, suffix, orientation):
    """The blocks are 16 pixels wide: JPEG keeps their colours."""
    upright = np.kron(np.array([[0, 60, 120], [200, 255, 90]], np.uint8), np.ones((16, 16), np.uint8))
    upright = np.stack([upright] * 3, axis=2)
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.swapaxes(0, 1),
        6: np.rot90(upright, 1),
        7: np.rot90(upright, 2).swapaxes(0, 1),
        8: np.rot90(upright, -1),
    }[orientation]
    data = Image.Exif()
    data[0x0112] = orientation
    path = tmp_path / f"in.{suffix}"
    options = {"lossless": True} if suffix == "webp" else {}
    Image.fromarray(np.ascontiguousarray(stored)).save(path, exif=data.tobytes(), **options)
    picture = read(path)
    assert np.abs(picture.pixels.astype(int) - upright).max() <= 3
    write(resolve_target(tmp_path / f"out.{suffix}"), picture)
    again = read(tmp_path / f"out.{suffix}")
    assert np.abs(again.pixels.astype(int) - upright).max() <= 6
    left_alone = read(path, ReadOptions(auto_orient=False))
    assert left_alone.pixels.shape == stored.shape
    write(resolve_target(tmp_path / f"kept.{suffix}"), left_alone)
    with Image.open(tmp_path / f"kept.{suffix}") as image:
        assert image.getexif().get(0x0112, 1) == orientation


def test_size_is_written_where_exif_has_it():
    image = Image.Exif()
    image[0x0100] = 1
    image.get_ifd(0x8769)[0xA002] = 7
    image.get_ifd(0x8769)[0xA003] = 9
    changed = Image.Exif()
    changed.load(exif.with_size(image.tobytes().removeprefix(b"Exif\0\0"), 640, 480))
    assert changed[0x0100] == 640
    assert (changed.get_ifd(0x8769)[0xA002], changed.get_ifd(0x8769)[0xA003]) == (640, 480)


def test_a_size_that_a_field_does_not_hold_leaves_it_as_it_was():
    short = struct.pack("<HHIHHHHIHHI", 0x0100, 3, 1, 7, 0, 0x0101, 3, 1, 9, 0, 0)
    block = b"II*\0\x08\0\0\0" + struct.pack("<H", 2) + short
    changed = Image.Exif()
    changed.load(exif.with_size(block, 65_536, 65_535))
    assert (changed[0x0100], changed[0x0101]) == (7, 65_535)


@pytest.mark.parametrize("order", ["<", ">"])
def test_exif_and_gps_are_kept_in_a_tiff(tmp_path, order):
    image = Image.Exif()
    image.endian = order
    image[271] = "Maker"
    image[306] = "2020:01:02 03:04:05"
    image.get_ifd(0x8769)[0x829A] = 0.125
    image.get_ifd(0x8769)[0x9003] = "2020:01:02 03:04:05"
    image.get_ifd(0x8825)[1] = "N"
    image.get_ifd(0x8825)[2] = (48.0, 8.0, 14.25)
    pixels = Image.fromarray(np.zeros((8, 8, 3), np.uint8))
    pixels.save(tmp_path / "a.jpg", exif=image.tobytes())
    for source, target in (("a.jpg", "b.tif"), ("b.tif", "c.png"), ("c.png", "d.tif"), ("d.tif", "e.jpg")):
        write(resolve_target(tmp_path / target), read(tmp_path / source))
        with Image.open(tmp_path / target) as opened:
            found = opened.getexif()
            assert found[271] == "Maker" and found[306] == "2020:01:02 03:04:05", target
            assert found.get_ifd(0x8769)[0x829A] == 0.125, target
            assert found.get_ifd(0x8769)[0x9003] == "2020:01:02 03:04:05", target
            assert found.get_ifd(0x8825)[1] == "N" and found.get_ifd(0x8825)[2] == (48.0, 8.0, 14.25), target


def test_big_directories_are_packed_and_parsed():
    fields = {
        tag: ifd.Field(tag, kind, data)
        for tag, kind, data in (
            (1, 2, b"long enough\0"),
            (2, 3, b"\1\0"),
            (3, 5, bytes(range(16))),
            (4, 1, b"12345678"),
        )
    }
    for big in (False, True):
        data = bytes(40) + ifd.packed(fields, 40, "<", big=big)
        assert ifd.parsed(lambda at, size, data=data: data[at : at + size], 40, "<", big=big) == fields
        assert ifd.reordered(ifd.reordered(fields, "<", ">"), ">", "<") == fields


def test_photoshop_thumbnails_go():
    def resource(number, data):
        return b"8BIM" + struct.pack(">HH", number, 0) + struct.pack(">I", len(data)) + data + b"\0" * (len(data) & 1)

    iptc = photoshop.wrapped(b"\x1c\x02\x05\0\5Title")
    whole = resource(0x040C, b"thumbnail") + iptc + resource(0x0409, b"old thumbnail")
    assert photoshop.has_thumbnail(whole)
    assert not photoshop.has_thumbnail(iptc)
    assert photoshop.cleaned(whole) == iptc
    assert photoshop.cleaned(whole[:-3]) == iptc
    assert photoshop.cleaned(resource(0x040C, b"x")) is None
    assert photoshop.cleaned(None) is None


def test_iptc_goes_from_jpeg_to_tiff_and_back(tmp_path):
    iptc = b"\x1c\x02\x05\0\5Title"
    segment = b"Photoshop 3.0\0" + photoshop.wrapped(iptc)
    buffer = io.BytesIO()
    extra = b"\xff\xed" + struct.pack(">H", len(segment) + 2) + segment
    Image.new("RGB", (8, 8)).save(buffer, "JPEG", extra=extra)
    write(resolve_target(tmp_path / "a.tif"), read(buffer))
    write(resolve_target(tmp_path / "b.jpg"), read(tmp_path / "a.tif"))
    with Image.open(tmp_path / "b.jpg") as image:
        assert image.info["photoshop"][0x0404] == iptc
