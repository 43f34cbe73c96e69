"""JPEG XL: samples of every depth, descriptions of colours, and sizes in the header."""

import io
import struct
import sys

import imagecodecs
import jxls
import numpy as np
import pytest
from samples import noise

from convfilter.errors import ReadError, SizeError, WriteError
from convfilter.picture.codecs.jxl_encoding import with_encoding
from convfilter.picture.codecs.jxl_header import parsed
from convfilter.picture.metadata import icc, icc_curves
from convfilter.picture.metadata.cicp import PRIMARIES
from convfilter.picture.metadata.curves import BT709, LINEAR, SRGB, ParametricCurve
from convfilter.picture.metadata.exif import without_orientation
from convfilter.picture.metadata.icc_write import matrix_profile
from convfilter.picture.options import ReadOptions, WriteOptions
from convfilter.picture.picture import Picture
from convfilter.picture.pillow.boxes import box, boxes_of
from convfilter.picture.read import read
from convfilter.picture.write import write

EXIF = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"/>'
WHITES = {"8": 255, "10": 1023, "12": 4095, "16": 65535}


def ramp(kind, channels, shape=(24, 31)):
    numbers = np.arange(np.prod(shape) * channels).reshape(*shape, channels) * 7919
    if kind == "float":
        return np.squeeze(((numbers % 1001) / 500 - 0.5).astype(np.float32))
    white = WHITES[kind]
    return np.squeeze((numbers % (white + 1)).astype(np.uint8 if white < 256 else np.uint16))


def picture_of(kind, channels):
    picture = Picture.from_array(ramp(kind, channels))
    picture.white = WHITES[kind] if kind in ("10", "12") else None
    return picture


def codestream(data):
    return data if data.startswith(b"\xff\x0a") else dict(boxes_of(data))[b"jxlc"]


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("kind", [*WHITES, "float"])
def test_samples_come_back(tmp_path, kind, channels):
    picture = picture_of(kind, channels)
    assert write(tmp_path / "a.jxl", picture, WriteOptions(quality=100)) == ()
    after = read(tmp_path / "a.jxl")
    np.testing.assert_array_equal(after.pixels, picture.pixels)
    assert after.white == picture.white and after.alpha == (channels in (2, 4)) and after.format == "JPEGXL"
    data = (tmp_path / "a.jxl").read_bytes()
    np.testing.assert_array_equal(imagecodecs.jpegxl_decode(data), picture.pixels)
    # libjxl's binding says linear light for all that is deeper than 8 bits.
    assert parsed(codestream(data)).colours == (1, 13)


def test_boxes_have_lengths_of_32_bits(tmp_path):
    write(tmp_path / "a.jxl", picture_of("16", 3))
    data = (tmp_path / "a.jxl").read_bytes()
    at = data.index(b"jxlc")
    assert int.from_bytes(data[at - 4 : at], "big") == len(data) - at + 4


@pytest.mark.parametrize("points", [(12, 13), (11, 17), (9, 16), (9, 18), (1, 8)])
@pytest.mark.parametrize("kind", ["8", "16", "float"])
def test_code_points_are_kept(tmp_path, kind, points):
    picture = picture_of(kind, 4)
    picture.metadata.png = [(b"cICP", bytes([*points, 0, 1]))]
    write(tmp_path / "a.jxl", picture, WriteOptions(quality=100))
    after = read(tmp_path / "a.jxl")
    assert dict(after.metadata.png) == {b"cICP": bytes([*points, 0, 1])}
    np.testing.assert_array_equal(after.pixels, picture.pixels)


def test_code_points_without_a_number_are_refused(tmp_path):
    picture = picture_of("8", 3)
    picture.metadata.png = [(b"cICP", bytes([5, 6, 0, 1]))]
    with pytest.raises(WriteError, match=r"cannot express the code points \(5, 6\); use png or avif"):
        write(tmp_path / "a.jxl", picture)


def test_exif_and_xmp_are_kept_and_upright(tmp_path):
    picture = picture_of("8", 3)
    picture.metadata.exif, picture.metadata.xmp = EXIF, XMP
    write(tmp_path / "a.jxl", picture)
    boxes = dict(boxes_of((tmp_path / "a.jxl").read_bytes()))
    assert boxes[b"Exif"] == bytes(4) + EXIF and boxes[b"xml "] == XMP
    after = read(tmp_path / "a.jxl")
    assert after.metadata.xmp == XMP and after.metadata.exif is not None
    assert after.pixels.shape == (24, 31, 3)  # the codestream says how it lies, EXIF does not


def test_lossy_pictures_are_near_and_smaller(tmp_path):
    y, x = np.mgrid[:64, :64]
    pixels = np.stack([x * 4, y * 4, x + y], axis=2).astype(np.uint8)
    sizes = []
    for quality in (60, 95):
        write(tmp_path / "a.jxl", pixels, WriteOptions(quality=quality))
        sizes.append((tmp_path / "a.jxl").stat().st_size)
    after = read(tmp_path / "a.jxl")
    assert sizes[0] < sizes[1] and np.abs(after.pixels.astype(int) - pixels).mean() < 4
    assert not after.metadata.lossless


@pytest.mark.parametrize("points", [None, (1, 13), (12, 13), (9, 1), (9, 8), (1, 8)])
@pytest.mark.parametrize("kind", ["8", "10", "16", "float", "gray16", "alpha16"])
def test_lossy_pictures_of_any_depth_and_colours_are_near(tmp_path, points, kind):
    y, x = np.mgrid[:64, :80] / 80
    planes = [0.2 + 0.6 * x, 0.3 + 0.4 * y * x, 0.5 + 0.4 * np.sin(3 * x + 2 * y)]
    values = np.stack(planes, axis=2) if kind != "gray16" else planes[2]
    if kind == "alpha16":
        values = np.dstack([values, 0.25 + 0.5 * y])
    white = {"8": 255, "10": 1023, "float": 1.0}.get(kind, 65535)
    whole = np.rint(values * white).astype(np.uint8 if kind == "8" else np.uint16)
    pixels = values.astype(np.float32) if kind == "float" else whole
    picture = Picture.from_array(pixels)
    picture.white = 1023 if kind == "10" else None
    if points:
        picture.metadata.png = [(b"cICP", bytes([*points, 0, 1]))]
    write(tmp_path / "a.jxl", picture, WriteOptions(quality=95))
    after = read(tmp_path / "a.jxl")
    assert (after.dtype, after.white, after.pixels.shape) == (pixels.dtype, picture.white, pixels.shape)
    header = parsed(codestream((tmp_path / "a.jxl").read_bytes()))
    primaries, transfer = points or (1, 13)
    assert not header.lossless and header.colours == (1 if header.gray else primaries, transfer)
    error = np.abs(after.pixels.astype(np.float64) - pixels) / white
    assert error.mean() < 0.004 and error.max() < 0.05  # as of plain bytes
    if kind == "alpha16":
        assert error[..., 3].max() < 1e-3


@pytest.mark.parametrize("number", [1, 9, 12])
@pytest.mark.parametrize("curve", ["sRGB", "linear"])
def test_profiles_that_code_points_describe_are_kept_as_such(tmp_path, number, curve):
    y, x = np.mgrid[:64, :64]
    picture = Picture.from_array(np.stack([40 + x * 3, 50 + y * 3, x + y], axis=2).astype(np.uint8))
    picture.metadata.icc = matrix_profile("a profile", PRIMARIES[number], SRGB if curve == "sRGB" else LINEAR)
    transfer = 13 if curve == "sRGB" else 8
    (note,) = write(tmp_path / "a.jxl", picture)
    assert note.startswith("JPEGXL is written without a colour profile (a profile); use")
    header = parsed(codestream((tmp_path / "a.jxl").read_bytes()))
    assert header.colours == (number, transfer) and not header.lossless
    after = read(tmp_path / "a.jxl")
    assert np.abs(after.pixels.astype(int) - picture.pixels).mean() < (4 if curve == "sRGB" else 16)
    write(tmp_path / "b.png", after)  # whose reader finds the same colours
    assert dict(read(tmp_path / "b.png").metadata.png).get(b"cICP", b"\1\x0d")[:2] == bytes([number, transfer])


ADOBE_RGB = ((0.64, 0.33), (0.21, 0.71), (0.15, 0.06), (0.3127, 0.3290))


@pytest.mark.parametrize("quality", [100, 95])
@pytest.mark.parametrize("kind", ["8", "16"])
def test_profiles_of_other_primaries_and_a_power_are_kept_as_such(tmp_path, kind, quality):
    y, x = np.mgrid[:64, :64] / 64
    values = np.stack([0.2 + 0.5 * x, 0.3 + 0.4 * y, 0.4 + 0.2 * x * y], axis=2)
    white = 255 if kind == "8" else 65535
    picture = Picture.from_array(np.rint(values * white).astype(np.uint8 if kind == "8" else np.uint16))
    picture.metadata.icc = matrix_profile("Adobe RGB", ADOBE_RGB, ParametricCurve(563 / 256))
    (note,) = write(tmp_path / "a.jxl", picture, WriteOptions(quality=quality))
    assert note.startswith("JPEGXL is written without a colour profile (Adobe RGB); use")
    header = parsed(codestream((tmp_path / "a.jxl").read_bytes()))
    assert header.colours is None and header.gamma == pytest.approx(256 / 563, abs=1e-5)
    np.testing.assert_allclose(header.chromaticities, [*ADOBE_RGB[3], *np.ravel(ADOBE_RGB[:3])], atol=2e-4)
    after = read(tmp_path / "a.jxl")
    assert np.abs(after.pixels / white - values).mean() < (0.002 if quality == 100 else 0.01)
    write(tmp_path / "b.tif", after)
    profile = read(tmp_path / "b.tif").metadata.icc
    assert profile is not None
    expected = icc.colourants(picture.metadata.icc)
    np.testing.assert_allclose(icc.colourants(profile), expected, atol=1e-3)
    curve = icc_curves.curve_of(profile)
    assert isinstance(curve, ParametricCurve) and curve.d == 0 and curve.gamma == pytest.approx(563 / 256, abs=1e-3)


@pytest.mark.parametrize("gamma", [45455, 45471, 55556])
def test_lossy_pictures_of_other_primaries_keep_dark_colours(tmp_path, gamma):
    grey = np.linspace(0, 255, 64).astype(np.uint8)
    picture = Picture.from_array(np.ascontiguousarray(np.broadcast_to(grey[None, :, None], (64, 64, 3))))
    display_p3 = struct.pack(">8I", 31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000)
    picture.metadata.png = [(b"gAMA", struct.pack(">I", gamma)), (b"cHRM", display_p3)]
    write(tmp_path / "a.jxl", picture, WriteOptions(quality=99))
    after = read(tmp_path / "a.jxl")
    assert np.abs(after.pixels.astype(int) - picture.pixels).max() <= 3


def test_profiles_that_numbers_do_not_describe_are_refused(tmp_path):
    picture = picture_of("8", 3)
    for primaries, curve in ((PRIMARIES[4], SRGB), (ADOBE_RGB, BT709)):
        picture.metadata.icc = matrix_profile("another profile", primaries, curve)
        with pytest.raises(WriteError, match=r"JPEGXL is written without a colour profile \(another profile\)"):
            write(tmp_path / "a.jxl", picture)


def chromaticities(*values):
    """Return (value, bits) of numbers in millionths, with their sign in the lowest bit."""
    fields = [(2, 2)]  # of their own
    for value in values:
        number = 2 * value if value >= 0 else -2 * value - 1
        choice = next(at for at, least in enumerate((1 << 19, 1 << 20, 1 << 21, 1 << 30)) if number < least)
        fields += [(choice, 2), (number - (0, 1 << 19, 1 << 20, 1 << 21)[choice], 19 + max(0, choice - 1))]
    return [(2, 2), (0, 4), *fields[1:]]


@pytest.mark.parametrize(("transfer", "gamma"), [([(1, 1), (4547069, 24)], 45471), ([(0, 1), (2, 2), (6, 4)], 100_000)])
def test_primaries_and_exponents_of_their_own_are_read(tmp_path, monkeypatch, transfer, gamma):
    pixels = ramp("16", 3)
    plain = codestream(imagecodecs.jpegxl_encode(pixels, lossless=True))
    primaries = chromaticities(640_000, 330_000, 210_000, 710_000, 150_000, 60_000)
    head, rest = with_encoding(plain, chromaticities(312_700, 329_000), primaries, transfer)
    data = head + plain[rest:]
    np.testing.assert_array_equal(imagecodecs.jpegxl_decode(data), pixels)  # libjxl takes it
    picture = read(io.BytesIO(data))
    np.testing.assert_array_equal(picture.pixels, pixels)
    chunks = dict(picture.metadata.png)
    assert chunks[b"gAMA"] == struct.pack(">I", gamma)
    white_red_green = (31270, 32900, 64000, 33000, 21000, 71000)
    assert chunks[b"cHRM"] == struct.pack(">8I", *white_red_green, 15000, 6000)
    write(tmp_path / "a.jpg", picture, WriteOptions(allow_loss=True))
    assert read(tmp_path / "a.jpg").metadata.icc is not None
    primaries = chromaticities(640_000, 330_000, 210_000, 710_000, 150_000, -60_000)
    head, rest = with_encoding(plain, chromaticities(312_700, 329_000), primaries, transfer)
    monkeypatch.setitem(sys.modules, "pillow_jxl", None)
    with pytest.raises(ReadError, match="the colour profile of the JPEG XL cannot be read"):
        read(io.BytesIO(head + plain[rest:]))


def test_lossy_pictures_of_other_curves_are_refused(tmp_path):
    picture = picture_of("16", 3)
    picture.metadata.png = [(b"cICP", bytes([9, 16, 0, 1]))]
    with pytest.raises(WriteError, match="transfer function 16 is not a simple curve; leave out quality"):
        write(tmp_path / "a.jxl", picture, WriteOptions(quality=90))


def test_lossless_pictures_stay_lossless(tmp_path):
    picture = picture_of("8", 3)
    write(tmp_path / "a.jxl", picture, WriteOptions(quality=100))
    write(tmp_path / "b.jxl", read(tmp_path / "a.jxl"))
    np.testing.assert_array_equal(read(tmp_path / "b.jxl").pixels, picture.pixels)


@pytest.mark.parametrize("shape", [(7, 5), (40, 48), (1, 1000), (300, 300), (72, 128), (5, 9)])
def test_the_header_tells_the_size(shape):
    for dtype, depth in ((np.uint8, 8), (np.uint16, 16), (np.float32, 32)):
        for lossless in (True, False):
            data = imagecodecs.jpegxl_encode(np.zeros((*shape, 4), dtype), effort=1, lossless=lossless)
            header = parsed(codestream(data))
            assert (header.height, header.width, header.bits) == (*shape, depth)
            assert header.lossless == lossless and header.extra == (0,) and not header.gray


def test_a_header_of_a_huge_picture_is_refused():
    # Two sides of 2^30, selected by the last of four choices of a size.
    number = 0 | (3 << 1) | ((2**30 - 1) << 3) | (0 << 33) | (3 << 36) | ((2**30 - 1) << 38) | (1 << 68)
    with pytest.raises(SizeError, match="1073741824x1073741824"):
        read(io.BytesIO(b"\xff\x0a" + number.to_bytes(9, "little") + bytes(40)))
    with pytest.raises(SizeError, match="the limit is 743"):
        read(io.BytesIO(imagecodecs.jpegxl_encode(ramp("8", 3))), ReadOptions(max_pixels=743))


def test_truncated_files_are_refused():
    data = imagecodecs.jpegxl_encode(ramp("16", 3), lossless=True)
    for size in (13, 60, len(data) // 2, len(data) - 3):
        with pytest.raises(ReadError):
            read(io.BytesIO(data[:size]))


def test_frames_of_an_animation_are_read_one_by_one():
    frames = np.stack([ramp("8", 3), ramp("8", 3)[::-1]])
    data = imagecodecs.jpegxl_encode(frames, lossless=True)
    with pytest.raises(ReadError, match="animation, whose times cannot be read; choose a frame with frame=N"):
        read(io.BytesIO(data))
    np.testing.assert_array_equal(read(io.BytesIO(data), ReadOptions(frame=1)).pixels, frames[1])
    np.testing.assert_array_equal(read(io.BytesIO(data), ReadOptions(allow_loss=True)).pixels, frames[0])


def test_of_an_animation_only_the_requested_frame_is_decoded(monkeypatch):
    frames = np.stack([ramp("8", 3) // (1 + number) for number in range(5)])
    frames[3], frames[4] = 0, 1  # frames that look like none
    data = imagecodecs.jpegxl_encode(frames, lossless=True)
    decode, decoded = imagecodecs.jpegxl_decode, []

    def recorded(*arguments, **options):
        decoded.append(decode(*arguments, **options))
        return decoded[-1]

    monkeypatch.setattr(imagecodecs, "jpegxl_decode", recorded)
    np.testing.assert_array_equal(read(io.BytesIO(data), ReadOptions(allow_loss=True)).pixels, frames[0])
    for number in (0, 1, 2, 3, 4, -1, -5):
        np.testing.assert_array_equal(read(io.BytesIO(data), ReadOptions(frame=number)).pixels, frames[number])
    assert {each.shape for each in decoded} == {frames.shape[1:]}
    for number in (5, 10**30, -6):
        with pytest.raises(ReadError, match=f"the frame must be 0 to 4, got {number}$"):
            read(io.BytesIO(data), ReadOptions(frame=number))


@pytest.mark.parametrize("kind", ["16", "f"])
def test_frames_of_other_depths_are_sought(kind):
    frames = noise((3, 9, 7, 4), np.uint16 if kind == "16" else np.float32)
    data = imagecodecs.jpegxl_encode(frames, lossless=True)
    np.testing.assert_array_equal(read(io.BytesIO(data), ReadOptions(frame=2)).pixels, frames[2])


def test_parts_and_compressed_boxes():
    data = imagecodecs.jpegxl_encode(ramp("8", 3), lossless=True)
    head = box(b"JXL ", b"\r\n\x87\n") + box(b"ftyp", b"jxl \0\0\0\0jxl ")
    parts = box(b"jxlp", bytes(4), data[:50]) + box(b"jxlp", b"\x80\0\0\1", data[50:])
    block = imagecodecs.brotli_encode(bytes(4) + EXIF)
    packet = imagecodecs.brotli_encode(b"<x:xmpmeta xmlns:x='adobe:ns:meta/'>a title</x:xmpmeta>")
    picture = read(io.BytesIO(head + box(b"brob", b"Exif" + block) + parts + box(b"brob", b"xml " + packet)))
    np.testing.assert_array_equal(picture.pixels, ramp("8", 3))
    assert picture.notes == ()
    assert picture.metadata.exif == without_orientation(EXIF) and b"a title" in picture.metadata.xmp
    huge = imagecodecs.brotli_encode(bytes(1 << 25))
    for damaged in (bytes(9), block[:-3], huge):
        picture = read(io.BytesIO(head + box(b"brob", b"Exif" + damaged) + parts))
        assert picture.notes == ("Exif of the JPEG XL is damaged or too large, and left out",)


def test_profiles_are_read_with_the_extra(monkeypatch):
    pytest.importorskip("pillow_jxl")
    picture = read(io.BytesIO(jxls.LOSSLESS))
    assert picture.metadata.icc == jxls.PROFILE and picture.notes == ()
    np.testing.assert_array_equal(picture.pixels, jxls.PIXELS)
    assert read(io.BytesIO(jxls.JPEG)).metadata.icc == jxls.PROFILE
    monkeypatch.setitem(sys.modules, "pillow_jxl", None)
    with pytest.raises(ReadError, match=r"colour profile of the JPEG XL.*pip install 'convfilter\[jxl\]'.*djxl"):
        read(io.BytesIO(jxls.LOSSLESS))
    assert read(io.BytesIO(jxls.LOSSLESS), ReadOptions(allow_loss=True)).metadata.icc is None


def test_profiles_of_lossy_files_are_linear_light():
    with pytest.raises(ReadError, match="compressed with loss: its colours are read in linear light of sRGB"):
        read(io.BytesIO(jxls.LOSSY))
    picture = read(io.BytesIO(jxls.LOSSY), ReadOptions(allow_loss=True))
    assert picture.metadata.png == [(b"cICP", bytes([1, 8, 0, 1]))] and picture.metadata.icc is None
    # The profile has sRGB's primaries, and 1.9 as its exponent.
    assert np.abs(picture.pixels / 255 - (jxls.PIXELS / 255) ** 1.9).max() < 0.04
