"""Radiance HDR: colours are kept; results are rounded to the nearest colour of the format."""

import io
import struct

import imagecodecs
import numpy as np
import pytest

from convfilter.errors import ReadError, SizeError, WriteError
from convfilter.picture.metadata.metadata import Metadata
from convfilter.picture.options import ReadOptions, WriteOptions
from convfilter.picture.picture import Picture
from convfilter.picture.read import read
from convfilter.picture.write import write
from convfilter.pipeline import Options, filter_file


def scene(shape=(6, 9), seed=0):
    rng = np.random.default_rng(seed)
    return (rng.random((*shape, 3)) * 2.0 ** rng.integers(-9, 9, (*shape, 1))).astype(np.float32)


def hdr(pixels, lines=b"EXPOSURE=2.5\nSOFTWARE=something\n", rle=True):
    size = b"-Y %d +X %d\n" % pixels.shape[:2]
    body = imagecodecs.rgbe_encode(pixels, header=False, rle=rle, out=100_000)
    return b"#?RADIANCE\n" + lines + b"FORMAT=32-bit_rle_rgbe\n\n" + size + body


@pytest.mark.parametrize("rle", [False, True])
def test_a_file_comes_back_as_it_was(tmp_path, rle):
    data = hdr(scene((7, 40)), rle=rle)
    (tmp_path / "a.hdr").write_bytes(data)
    filter_file(str(tmp_path / "a.hdr"), str(tmp_path / "b.hdr"), Options(["identity"]))
    assert (tmp_path / "b.hdr").read_bytes() == hdr(scene((7, 40)))
    np.testing.assert_array_equal(read(tmp_path / "a.hdr").pixels, read(tmp_path / "b.hdr").pixels)


@pytest.mark.peer("cv2")
def test_the_second_decoder_agrees(tmp_path):
    cv2 = pytest.importorskip("cv2")
    (tmp_path / "a.hdr").write_bytes(hdr(scene((20, 40))))
    other = cv2.imread(str(tmp_path / "a.hdr"), cv2.IMREAD_UNCHANGED)
    if other is None:
        pytest.skip("this OpenCV reads no Radiance HDR")
    np.testing.assert_allclose(read(tmp_path / "a.hdr").pixels, other[..., ::-1], rtol=1e-6)


def test_samples_are_rounded_to_the_nearest(tmp_path):
    pixels = scene((30, 30))
    pixels[0, 0] = (0.999, 0.5, 0.1)  # the largest is rounded up to the next power of two
    pixels[0, 1] = (-1, np.nan, 2)
    with pytest.raises(WriteError, match="neither negative values nor NaN"):
        write(tmp_path / "a.hdr", pixels)
    notes = write(tmp_path / "a.hdr", pixels, WriteOptions(allow_loss=True))
    assert notes[0].startswith(
        "HDR holds 8 bits per sample and an exponent for each pixel, to which samples are rounded"
    )
    kept = read(tmp_path / "a.hdr").pixels
    step = 2.0 ** (np.frexp(pixels.max(axis=2, keepdims=True, initial=0, where=np.isfinite(pixels)))[1] - 8)
    wanted = np.clip(np.nan_to_num(pixels), 0, None)
    assert (np.abs(kept - wanted) <= step * 0.5 + (kept.max(axis=2, keepdims=True) >= 256 * step) * step * 0.5).all()
    assert np.abs((kept - wanted) / step).mean() < 0.3 and abs(((kept - wanted) / step).mean()) < 0.02


def test_light_of_any_size_is_rounded_as_fractions_and_exponents_say(tmp_path):
    rng = np.random.default_rng(4)
    pixels = rng.random((90, 40, 3)) * 2.0 ** rng.uniform(-104, 125, (90, 40, 1))
    pixels[::7] *= 2.0 ** rng.integers(-9, 0, (13, 40, 3))
    pixels[30] = np.round(pixels[30] * 0 + rng.random((40, 3)) * 511) / 2  # ties
    pixels = pixels.astype(np.float32)
    write(tmp_path / "a.hdr", pixels)
    real = pixels.astype(np.float64)
    _, exponent = np.frexp(real.max(axis=2, keepdims=True))
    exponent += np.rint(np.ldexp(real.max(axis=2, keepdims=True), 8 - exponent)) == 256
    expected = np.ldexp(np.rint(np.ldexp(real, 8 - exponent)), exponent - 8)
    expected[real.max(axis=2) < 1e-32] = 0
    np.testing.assert_array_equal(read(tmp_path / "a.hdr").pixels, expected)


def test_light_of_other_pictures(tmp_path):
    write(tmp_path / "a.hdr", np.full((4, 4, 3), 188, np.uint8))
    np.testing.assert_allclose(read(tmp_path / "a.hdr").pixels, 0.5028865, rtol=2**-8)
    assert dict(read(tmp_path / "a.hdr").metadata.png)[b"cICP"] == bytes([1, 8, 0, 1])
    wide = Picture.from_array(np.zeros((4, 4, 3), np.uint8))
    wide.metadata = Metadata(png=[(b"cICP", bytes([9, 8, 0, 1]))])
    with pytest.raises(WriteError, match=r"HDR is written without .*\(BT.2020, linear\); its colours would be shown"):
        write(tmp_path / "b.hdr", wide)


def test_hostile_headers_and_damage():
    data = hdr(scene())
    with pytest.raises(SizeError, match="60000x60000"):
        read(io.BytesIO(data.replace(b"-Y 6 +X 9", b"-Y 60000 +X 60000")))
    with pytest.raises(SizeError, match="the limit is 53"):
        read(io.BytesIO(data), ReadOptions(max_pixels=53))
    for damaged in (data[:40], data[:-4], data[:110], data.replace(b"-Y 6 +X 9", b"-Y 5000 +X 5000")):
        with pytest.raises(ReadError):
            read(io.BytesIO(damaged))
    for size in (b"-Y 6 +Y 9", b"-X 6 +X 9", b"-Y six +X 9"):
        with pytest.raises(ReadError, match="the Radiance HDR is damaged: its size is '-"):
            read(io.BytesIO(data.replace(b"-Y 6 +X 9", size)))
    with pytest.raises(ReadError, match=r"32-bit_rle_xyze cannot be filtered"):
        read(io.BytesIO(data.replace(b"rgbe", b"xyze")))


def test_lines_of_the_header_are_named_where_they_are_lost(tmp_path):
    picture = read(io.BytesIO(hdr(np.ones((3, 4, 3), np.float32))))
    assert not any("header lines" in note for note in write(tmp_path / "a.hdr", picture))
    notes = write(tmp_path / "a.exr", picture)
    assert "EXR is written without header lines of a Radiance HDR; use hdr to keep that" in notes


def test_primaries_of_the_header_are_those_of_the_colours(tmp_path):
    p3 = b"PRIMARIES= 0.680 0.320 0.265 0.690 0.150 0.060 0.333 0.333\n"
    picture = read(io.BytesIO(hdr(scene(), p3)))
    chunks = dict(picture.metadata.png)
    assert chunks[b"gAMA"] == struct.pack(">I", 100_000)
    assert chunks[b"cHRM"] == struct.pack(">8I", 33300, 33300, 68000, 32000, 26500, 69000, 15000, 6000)
    write(tmp_path / "a.hdr", picture)
    assert (tmp_path / "a.hdr").read_bytes() == hdr(scene(), p3)
    for line in (b"0.64 0.33 0.30 0.60 0.15 0.06 0.3127 0.329", b"1 2 3", b"nan " * 8, b"0 " * 8, b"x", b"9 " * 8):
        picture = read(io.BytesIO(hdr(scene(), b"PRIMARIES=" + line + b"\n")))
        assert picture.metadata.png == [(b"cICP", bytes([1, 8, 0, 1]))]


def test_primaries_of_the_header_go_to_openexr(tmp_path):
    OpenEXR = pytest.importorskip("OpenEXR")
    picture = read(io.BytesIO(hdr(scene(), b"PRIMARIES=0.68 0.32 0.265 0.69 0.15 0.06 0.333 0.333\n")))
    write(tmp_path / "a.exr", picture)
    with OpenEXR.File(str(tmp_path / "a.exr"), separate_channels=True) as file:
        np.testing.assert_allclose(file.header()["chromaticities"], [0.68, 0.32, 0.265, 0.69, 0.15, 0.06, 0.333, 0.333])
        np.testing.assert_array_equal(file.channels()["G"].pixels, picture.pixels[..., 1])


@pytest.mark.parametrize("vertical", [b"-Y", b"+Y"])
@pytest.mark.parametrize("horizontal", [b"+X", b"-X"])
@pytest.mark.parametrize("by_columns", [False, True])
def test_lines_of_any_direction_are_turned(vertical, horizontal, by_columns):
    pixels = np.exp2(np.arange(6 * 9 * 3).reshape(6, 9, 3) % 5).astype(np.float32)
    stored = pixels[:: -1 if vertical == b"+Y" else 1, :: -1 if horizontal == b"-X" else 1]
    if by_columns:
        data = hdr(np.ascontiguousarray(stored.swapaxes(0, 1))).replace(
            b"-Y 9 +X 6", horizontal + b" 9 " + vertical + b" 6"
        )
    else:
        data = hdr(np.ascontiguousarray(stored)).replace(b"-Y 6 +X 9", vertical + b" 6 " + horizontal + b" 9")
    np.testing.assert_array_equal(read(io.BytesIO(data)).pixels, pixels)


def test_runs_of_whole_pixels_are_expanded():
    first, second = bytes([200, 100, 50, 130]), bytes([130, 20, 250, 120])
    run = bytes([1, 1, 1])
    # 1 + 5 pixels, then 1 + 3 + 1 * 256, one, and 1 + 37
    body = first + run + b"\5" + second + run + b"\3" + run + b"\1" + first + second + run + b"\x25"
    head = b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 1 +X 305\n"
    expected = np.array([first] * 6 + [second] * 260 + [first] + [second] * 38, dtype="S4").view(np.uint8)
    expected = expected.reshape(1, 305, 4)
    values = expected[..., :3] * np.exp2(expected[..., 3:].astype(float) - 136)
    np.testing.assert_array_equal(read(io.BytesIO(head + body)).pixels, values.astype(np.float32))
    for damaged in (body[:-1], body[4:], body[:-1] + b"\x24", body[:-1] + b"\x26", run + b"\xff" + body):
        with pytest.raises(ReadError):
            read(io.BytesIO(head + damaged))
