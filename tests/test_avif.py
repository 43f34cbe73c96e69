"""AVIF: 8, 10 and 12 bits come back; metadata are where other decoders look for them."""

import base64
import io
import struct
from fractions import Fraction

import imagecodecs
import numpy as np
import pytest
from PIL import Image, ImageCms

from convfilter.errors import ReadError, WriteError
from convfilter.picture.frame import Frame
from convfilter.picture.options import ReadOptions, WriteOptions
from convfilter.picture.picture import Picture
from convfilter.picture.pillow.avif import colours
from convfilter.picture.read import read
from convfilter.picture.write import write
from convfilter.pipeline import Options, filter_file

PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"/>'


def exif(orientation=1):
    return b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0" + bytes([orientation]) + bytes(7)


def ramp(white, channels, shape=(24, 31)):
    pixels = (np.arange(np.prod(shape) * channels) * 7919 % (white + 1)).reshape(*shape, channels)
    return np.squeeze(pixels.astype(np.uint8 if white < 256 else np.uint16))


def picture_of(pixels, white):
    picture = Picture.from_array(pixels)
    picture.white = None if white in (255, 65535) else white
    return picture


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("white", [255, 1023, 4095])
def test_quality_100_keeps_every_sample(tmp_path, white, channels):
    pixels = ramp(white, channels)
    assert write(tmp_path / "a.avif", picture_of(pixels, white), WriteOptions(quality=100)) == ()
    after = read(tmp_path / "a.avif")
    np.testing.assert_array_equal(after.pixels, pixels)
    assert (after.white or 255) == white and after.alpha == (channels in (2, 4))


@pytest.mark.parametrize(("white", "stored"), [(511, 1023), (2047, 4095), (8191, 4095), (65535, 4095)])
def test_other_depths_become_the_nearest_that_holds_them(tmp_path, white, stored):
    pixels = ramp(white, 3)
    notes = write(tmp_path / "a.avif", picture_of(pixels, white), WriteOptions(quality=100))
    after = read(tmp_path / "a.avif")
    assert after.white == stored
    np.testing.assert_array_equal(after.pixels, np.rint(pixels * (stored / white)))
    assert len(notes) == 1 and ("stretches" if stored > white else "holds 12 bits per sample") in notes[0]


@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0", None])
def test_lossy_pictures_are_near_and_smaller(tmp_path, subsampling):
    y, x = np.mgrid[:64, :64]
    pixels = np.stack([x * 16, y * 16, (x + y) * 8], axis=2).astype(np.uint16)
    sizes = []
    for quality in (100, 60):
        write(tmp_path / "a.avif", picture_of(pixels, 1023), WriteOptions(quality=quality, subsampling=subsampling))
        sizes.append((tmp_path / "a.avif").stat().st_size)
    after = read(tmp_path / "a.avif")
    assert np.abs(after.pixels.astype(int) - pixels).mean() < 12 and after.white == 1023
    assert sizes[1] < sizes[0] / 2


@pytest.mark.parametrize("orientation", range(1, 9))
def test_metadata_are_where_libavif_finds_them(tmp_path, orientation):
    picture = picture_of(ramp(1023, 4), 1023)
    picture.metadata.icc, picture.metadata.xmp, picture.metadata.exif = PROFILE, XMP, exif(orientation)
    write(tmp_path / "a.avif", picture)
    with Image.open(tmp_path / "a.avif") as image:
        image.load()
        assert image.info["icc_profile"] == PROFILE and image.info["xmp"] == XMP
        assert image.getexif().get(0x0112, 1) == orientation and image.size == (31, 24)
    after = read(tmp_path / "a.avif", ReadOptions(auto_orient=False))
    assert after.metadata.icc == PROFILE and after.metadata.xmp == XMP
    assert after.pixels.shape == (24, 31, 4)


@pytest.mark.parametrize("points", [(12, 13), (9, 16), (9, 18)])
def test_code_points_are_kept(tmp_path, points):
    picture = picture_of(ramp(4095, 3), 4095)
    picture.metadata.png = [(b"cICP", bytes([*points, 0, 1]))]
    write(tmp_path / "a.avif", picture)
    assert dict(read(tmp_path / "a.avif").metadata.png)[b"cICP"] == bytes([*points, 0, 1])


def test_a_filtered_picture_is_rounded_once_to_its_depth(tmp_path):
    pixels = ramp(65535, 3)
    write(tmp_path / "a.png", pixels)
    report = filter_file(
        str(tmp_path / "a.png"), str(tmp_path / "b.avif"), Options(["box:3"], write=WriteOptions(quality=100))
    )
    filter_file(str(tmp_path / "a.png"), str(tmp_path / "c.tif"), Options(["box:3", "scale:0.0624862"]))
    after, wide = read(tmp_path / "b.avif").pixels, read(tmp_path / "c.tif").pixels
    assert report.notes[0].startswith("AVIF holds 12 bits per sample, to which the 16-bit samples are rounded")
    assert np.abs(after.astype(int) - wide).max() <= 1


def test_threads_do_not_change_the_bytes(tmp_path):
    made = set()
    for threads in (1, 2, None):
        write(tmp_path / "a.avif", picture_of(ramp(1023, 3, (200, 300)), 1023), WriteOptions(threads=threads))
        made.add((tmp_path / "a.avif").read_bytes())
    assert len(made) == 1


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("white", [255, 1023, 4095])
def test_animations_keep_depth_times_and_metadata(tmp_path, white, channels):
    picture = picture_of(ramp(white, channels), white)
    pixels = [picture.pixels, picture.pixels[::-1].copy(), picture.pixels[:, ::-1].copy()]
    picture.frames = [Frame(each, delay) for each, delay in zip(pixels, [(1, 10), (1, 4), (3, 2)], strict=True)]
    picture.metadata.icc, picture.metadata.xmp, picture.metadata.exif = PROFILE, XMP, exif()
    made = set()
    for threads in (1, 2):
        assert write(tmp_path / "a.avif", picture, WriteOptions(quality=100, threads=threads)) == ()
        made.add((tmp_path / "a.avif").read_bytes())
    assert len(made) == 1
    stacked = imagecodecs.avif_decode(made.pop())
    np.testing.assert_array_equal(stacked, np.stack(pixels))
    with Image.open(tmp_path / "a.avif") as image:  # libavif itself
        assert image.n_frames == 3 and image.info["icc_profile"] == PROFILE and image.info["xmp"] == XMP
        assert image.getexif().tobytes()[:6] == b"Exif\0\0"
        for number, milliseconds in enumerate((100, 250, 1500)):
            image.seek(number)
            image.load()
            assert image.info["duration"] == milliseconds
    after = read(tmp_path / "a.avif")
    assert [frame.delay for frame in after.frames] == [(100, 1000), (250, 1000), (1500, 1000)]
    assert (after.white or 255) == white and after.metadata.icc == PROFILE and after.metadata.xmp == XMP
    for frame, expected in zip(after.frames, pixels, strict=True):
        np.testing.assert_array_equal(frame.pixels, expected)


@pytest.mark.parametrize(("white", "quality"), [(255, None), (255, 100), (4095, None)])
def test_an_animation_is_not_stored_turned(tmp_path, white, quality):
    picture = picture_of(ramp(white, 3), white)
    picture.frames = [Frame(picture.pixels, (1, 10)), Frame(picture.pixels[::-1].copy(), (1, 10))]
    picture.metadata.exif = exif(6)
    with pytest.raises(WriteError, match="an AVIF animation cannot store an orientation; leave out auto_orient=False"):
        write(tmp_path / "a.avif", picture, WriteOptions(quality=quality))


@pytest.mark.parametrize("suffix", ["avif", "webp", "gif", "png"])
@pytest.mark.parametrize("white", [255, 4095])
def test_a_frame_without_delay_is_shown_for_a_tenth_of_a_second(tmp_path, white, suffix):
    picture = picture_of(ramp(white, 3), white)
    picture.frames = [Frame(picture.pixels, (1, 5)), Frame(picture.pixels[::-1].copy())]
    write(tmp_path / f"a.{suffix}", picture, WriteOptions(allow_loss=True))
    first, second = (Fraction(*frame.delay) for frame in read(tmp_path / f"a.{suffix}").frames)
    assert (first, second) == (Fraction(1, 5), Fraction(1, 10))


def test_animations_keep_code_points(tmp_path):
    picture = picture_of(ramp(1023, 3), 1023)
    picture.frames = [Frame(picture.pixels, (1, 10)), Frame(picture.pixels[::-1].copy(), (1, 10))]
    picture.metadata.png = [(b"cICP", bytes([9, 16, 0, 1]))]
    write(tmp_path / "a.avif", picture)
    assert dict(read(tmp_path / "a.avif").metadata.png)[b"cICP"] == bytes([9, 16, 0, 1])


def test_truncated_files_are_refused(tmp_path):
    write(tmp_path / "a.avif", picture_of(ramp(1023, 3), 1023))
    data = (tmp_path / "a.avif").read_bytes()
    for size in (60, len(data) // 2, len(data) - 9):
        with pytest.raises(ReadError):
            read(io.BytesIO(data[:size]))


def box(kind, *parts):
    content = b"".join(parts)
    return struct.pack(">I", 8 + len(content)) + kind + content


@pytest.mark.parametrize("is_large", [False, True])
def test_colours_are_those_of_the_primary_picture(is_large):
    """Of two levels of light, picture 3 has the first, and picture 7, the primary one, the second."""
    levels = [box(b"clli", struct.pack(">HH", *values)) for values in ((1000, 400), (600, 200))]
    item, number, essential = (">I", ">H", 0x8000) if is_large else (">H", ">B", 0x80)
    entries = b"".join(
        struct.pack(item, each) + b"\x01" + struct.pack(number, place | essential) for each, place in ((3, 1), (7, 2))
    )
    associations = box(b"ipma", bytes([is_large, 0, 0, is_large]), struct.pack(">I", 2), entries)
    properties = box(b"iprp", box(b"ipco", *levels), associations)
    meta = box(b"meta", bytes(4), box(b"pitm", bytes(4), struct.pack(">H", 7)), properties)
    assert colours(io.BytesIO(meta)).light == struct.pack(">II", 6_000_000, 2_000_000)


#: 16x12 pixels of the values 16 * column + row, of which libavif's clap box shows 8x6 from column 4 and row 2 on; the
#: second has 10 bits, and is turned by an irot box.
CROPPED = (
    "AAAAHGZ0eXBhdmlmAAAAAGF2aWZtaWYxbWlhZgAAARltZXRhAAAAAAAAAChoZGxyAAAAAAAAAABwaWN0AAAAAAAAAAAAAAAAbGliYXZpZgAA"
    "AAAOcGl0bQAAAAAAAQAAAB5pbG9jAAAAAEQAAAEAAQAAAAEAAAE9AAAASQAAAChpaW5mAAAAAAABAAAAGmluZmUCAAAAAAEAAGF2MDFDb2xv"
    "cgAAAACRaXBycAAAAHFpcGNvAAAAFGlzcGUAAAAAAAAAEAAAAAwAAAAOcGl4aQAAAAABCAAAAAxhdjFDgQAcAAAAABNjb2xybmNseAABAA0A"
    "BoAAAAAoY2xhcAAAAAgAAAABAAAABgAAAAEAAAAAAAAAAf////8AAAABAAAAGGlwbWEAAAAAAAAAAQABBQECgwSFAAAAUW1kYXQSAAoIGAz+"
    "2GAhoNQyOxAAbgETrxLdjC4CM2fbFN9IilGH94WMrpCS0rqi2+6I5rhTFDQha2czgLAYBkNvOMSebfnwi0dtGmBl"
)
CROPPED_AND_TURNED = (
    "AAAAHGZ0eXBhdmlmAAAAAGF2aWZtaWYxbWlhZgAAASNtZXRhAAAAAAAAAChoZGxyAAAAAAAAAABwaWN0AAAAAAAAAAAAAAAAbGliYXZpZgAA"
    "AAAOcGl0bQAAAAAAAQAAAB5pbG9jAAAAAEQAAAEAAQAAAAEAAAFHAAAAYQAAAChpaW5mAAAAAAABAAAAGmluZmUCAAAAAAEAAGF2MDFDb2xv"
    "cgAAAACbaXBycAAAAHppcGNvAAAAFGlzcGUAAAAAAAAAEAAAAAwAAAAOcGl4aQAAAAABCgAAAAxhdjFDgQBcAAAAABNjb2xybmNseAABAA0A"
    "BoAAAAAoY2xhcAAAAAgAAAABAAAABgAAAAEAAAAAAAAAAf////8AAAABAAAACWlyb3QBAAAAGWlwbWEAAAAAAAAAAQABBgECgwSFhgAAAGlt"
    "ZGF0EgAKCBgM/tjgIaDUMlMQAG4EWzlLY//den79pHHyKc/wjXrVWXu2q/kBOKaArw8cJTRE1XommqMPEXWIs+JuEUKvBOVnAun5Gcqun6V8"
    "OOHAfQLDIbI4SLordh4hDZgHRg=="
)


def test_a_clean_aperture_is_the_picture():
    rows, cols = np.mgrid[2:8, 4:12]
    data = base64.b64decode(CROPPED)
    np.testing.assert_array_equal(read(io.BytesIO(data)).pixels, 16 * cols + rows)
    turned = read(io.BytesIO(base64.b64decode(CROPPED_AND_TURNED)))
    np.testing.assert_allclose(turned.pixels, np.rot90((16 * cols + rows) * (1023 / 255)), atol=1)
    at = data.index(b"clap") + 4
    for width, offset in ((7, 0), (20, 0), (8, 9), (0, 0)):  # between two pixels, and outside of the picture
        changed = bytearray(data)
        changed[at : at + 4], changed[at + 16 : at + 20] = struct.pack(">I", width), struct.pack(">I", offset)
        picture = read(io.BytesIO(changed))
        assert picture.pixels.shape == (12, 16)
        assert "the part of the AVIF that is to be shown (clap) is malformed; the whole is read" in picture.notes
