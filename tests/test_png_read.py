"""The PNG reader: every kind of file that the specification allows, and every violation of it."""

import io
import itertools
import struct
import threading
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pngs import CHANNELS, GRAY, GRAY_ALPHA, PALETTE, RGB, RGBA, SIGNATURE, chunk, ihdr, pixels_of, png

from convfilter.errors import ReadError, SizeError
from convfilter.picture.options import ReadOptions
from convfilter.picture.read import read

KINDS = [
    *itertools.product([GRAY], [1, 2, 4, 8, 16]),
    *itertools.product([RGB, GRAY_ALPHA, RGBA], [8, 16]),
    *itertools.product([PALETTE], [1, 2, 4, 8]),
]
LENIENT = ReadOptions(lenient=True)


def random_samples(height, width, depth, colour, seed=0):
    rng = np.random.default_rng(seed)
    shape = (height, width, CHANNELS[colour]) if CHANNELS[colour] > 1 else (height, width)
    return rng.integers(0, 2**depth, shape, dtype=np.uint16)


def palette(depth):
    colours = np.random.default_rng(9).integers(0, 256, (2**depth, 3), dtype=np.uint8)
    return colours, chunk(b"PLTE", colours.tobytes())


def expected(samples, depth, colour):
    if colour == PALETTE:
        return palette(depth)[0][samples]
    if depth < 8:
        return (samples * (255 // (2**depth - 1))).astype(np.uint8)
    return samples.astype(np.uint16 if depth == 16 else np.uint8)


@given(
    kind=st.sampled_from(KINDS),
    size=st.tuples(st.integers(1, 20), st.integers(1, 20)),
    interlaced=st.booleans(),
    filters=st.lists(st.integers(0, 4), min_size=1, max_size=5),
    pieces=st.integers(1, 4),
    seed=st.integers(0, 1000),
)
@settings(max_examples=80, deadline=None)
def test_every_kind_is_decoded(kind, size, interlaced, filters, pieces, seed):
    colour, depth = kind
    samples = random_samples(*size, depth, colour, seed)
    before = palette(depth)[1] if colour == PALETTE else b""
    data = png(samples, depth, colour, interlaced=interlaced, filters=filters, before=before, pieces=pieces)
    picture = read(io.BytesIO(data))
    np.testing.assert_array_equal(picture.pixels, expected(samples, depth, colour))
    assert picture.alpha == (colour in (GRAY_ALPHA, RGBA))
    assert picture.model == ("gray" if colour in (GRAY, GRAY_ALPHA) else "rgb")
    assert picture.pixels.flags.c_contiguous
    assert picture.pixels.dtype.isnative


def test_large_picture_is_decoded_by_two_threads():
    samples = random_samples(1100, 900, 8, RGB)
    data = png(samples, 8, RGB, filters=(4, 2, 0))
    np.testing.assert_array_equal(read(io.BytesIO(data)).pixels, samples)
    with pytest.raises(ReadError, match="end early"):
        short = zlib.compress(pixels_of(samples, 8)[:-5])
        read(io.BytesIO(SIGNATURE + ihdr(900, 1100, 8, RGB) + chunk(b"IDAT", short) + chunk(b"IEND")))


@pytest.mark.parametrize(("colour", "depth"), [(GRAY, 1), (GRAY, 4), (GRAY, 8), (GRAY, 16), (RGB, 8), (RGB, 16)])
def test_colour_key_becomes_alpha(colour, depth):
    samples = random_samples(6, 9, depth, colour)
    samples[2, 3] = samples[4, 5]
    key = np.atleast_1d(samples[2, 3]).astype(">u2").tobytes()
    picture = read(io.BytesIO(png(samples, depth, colour, before=chunk(b"tRNS", key))))
    matches = samples == samples[2, 3] if samples.ndim == 2 else (samples == samples[2, 3]).all(axis=2)
    assert picture.alpha
    np.testing.assert_array_equal(picture.pixels[:, :, -1] == 0, matches)
    np.testing.assert_array_equal(
        picture.pixels[:, :, :-1].reshape(expected(samples, depth, colour).shape), expected(samples, depth, colour)
    )


def test_palette_takes_opacity_for_some_entries():
    samples = random_samples(5, 5, 2, PALETTE)
    before = palette(2)[1] + chunk(b"tRNS", bytes([0, 77]))
    picture = read(io.BytesIO(png(samples, 2, PALETTE, before=before)))
    np.testing.assert_array_equal(picture.pixels[:, :, 3], np.array([0, 77, 255, 255])[samples])


GOOD = png(random_samples(8, 8, 8, GRAY), 8, GRAY)
HEAD = SIGNATURE + ihdr(8, 8)
IDAT = chunk(b"IDAT", zlib.compress(pixels_of(random_samples(8, 8, 8, GRAY), 8)))
IEND = chunk(b"IEND")


def with_wrong_crc(kind, data):
    return chunk(kind, data, crc=zlib.crc32(kind + data) ^ 1)


WRONG = {
    "signature sent as text": GOOD.replace(b"\r\n", b"\n", 1),
    "no IHDR": SIGNATURE + IDAT + IEND,
    "short IHDR": SIGNATURE + chunk(b"IHDR", bytes(12)) + IDAT + IEND,
    "zero width": SIGNATURE + ihdr(0, 8) + IDAT + IEND,
    "zero height": SIGNATURE + ihdr(8, 0) + IDAT + IEND,
    "depth 3": SIGNATURE + ihdr(8, 8, 3) + IDAT + IEND,
    "colour type 5": SIGNATURE + ihdr(8, 8, 8, 5) + IDAT + IEND,
    "16-bit palette": SIGNATURE + ihdr(8, 8, 16, PALETTE) + IDAT + IEND,
    "interlace 2": SIGNATURE + ihdr(8, 8, 8, GRAY, 2) + IDAT + IEND,
    "IHDR with wrong CRC": SIGNATURE + with_wrong_crc(b"IHDR", ihdr(8, 8)[8:21]) + IDAT + IEND,
    "IDAT with wrong CRC": HEAD + with_wrong_crc(b"IDAT", IDAT[8:-4]) + IEND,
    "text with wrong CRC": HEAD + with_wrong_crc(b"tEXt", b"a\0b") + IDAT + IEND,
    "no IDAT": HEAD + IEND,
    "no IEND": HEAD + IDAT,
    "cut in the middle": GOOD[: len(GOOD) // 2],
    "unknown critical chunk": HEAD + chunk(b"ABCD") + IDAT + IEND,
    "chunk name with digits": HEAD + chunk(b"a1cd") + IDAT + IEND,
    "palette picture without palette": SIGNATURE + ihdr(8, 8, 8, PALETTE) + IDAT + IEND,
    "palette of 4 bytes": HEAD + chunk(b"PLTE", bytes(4)) + IDAT + IEND,
    "key for a picture with alpha": png(random_samples(8, 8, 8, RGBA), 8, RGBA, before=chunk(b"tRNS", bytes(6))),
    "no zlib stream": HEAD + chunk(b"IDAT", b"not compressed at all") + IEND,
    "damaged stream": HEAD + chunk(b"IDAT", IDAT[8:40] + b"\xff\xff\xff" + IDAT[43:-4]) + IEND,
    "wrong Adler-32": HEAD + chunk(b"IDAT", IDAT[8:-5] + bytes([IDAT[-5] ^ 1])) + IEND,
    "no Adler-32": HEAD + chunk(b"IDAT", IDAT[8:-8]) + IEND,
    "too few rows": HEAD + chunk(b"IDAT", zlib.compress(bytes(9 * 7))) + IEND,
    "too many rows": HEAD + chunk(b"IDAT", zlib.compress(bytes(9 * 9))) + IEND,
    "filter 5": HEAD + chunk(b"IDAT", zlib.compress(b"\5" + bytes(71))) + IEND,
    "colours beyond the palette": png(np.full((4, 4), 3, np.uint16), 2, PALETTE, before=chunk(b"PLTE", bytes(9))),
    "compressed text that is none": HEAD + chunk(b"zTXt", b"key\0\0rubbish") + IDAT + IEND,
    "text without a keyword": HEAD + chunk(b"tEXt", b"value") + IDAT + IEND,
    "iTXt that ends early": HEAD + chunk(b"iTXt", b"key\0\0\0en") + IDAT + IEND,
    "short gAMA": HEAD + chunk(b"gAMA", b"\0") + IDAT + IEND,
    "more data than pixels": HEAD + chunk(b"IDAT", bytes(10_000)) + IEND,
    "chunk of 2 GiB": HEAD + struct.pack(">I4s", 2**31 - 1, b"tEXt") + b"x" * 100,
    "chunk of 4 GiB": HEAD + struct.pack(">I4s", 2**32 - 1, b"tEXt") + b"x" * 100,
    "IDAT of 2 GiB": HEAD + struct.pack(">I4s", 2**31 - 1, b"IDAT") + b"x" * 100,
}


@pytest.mark.parametrize("name", WRONG)
def test_files_that_the_standard_forbids_are_refused(name):
    with pytest.raises((ReadError, SizeError)) as caught:
        read(io.BytesIO(WRONG[name]))
    assert "\n" not in str(caught.value)


def bomb(chunks):
    return HEAD + chunks + IDAT + IEND


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("text", chunk(b"zTXt", b"key\0\0" + zlib.compress(bytes(40 << 20), 9))),
        ("profile", chunk(b"iCCP", b"icc\0\0" + zlib.compress(bytes(40 << 20), 9))),
        ("many texts", chunk(b"tEXt", b"key\0" + bytes(1 << 20)) * 65),
    ],
)
def test_bombs_beside_the_pixels_are_refused(name, data):
    with pytest.raises(ReadError, match="MiB"):
        read(io.BytesIO(bomb(data)))


def test_bomb_of_pixels_is_inflated_only_as_far_as_needed():
    stream = zlib.compress(bytes(200 << 20), 9)
    data = SIGNATURE + ihdr(2000, 2000) + chunk(b"IDAT", stream) + IEND
    with pytest.raises(ReadError, match="more pixel data"):
        read(io.BytesIO(data))


@pytest.mark.parametrize(
    ("name", "rows_left"),
    [("cut in the middle", 1), ("no IEND", 8), ("IDAT with wrong CRC", 8), ("no Adler-32", 8), ("too few rows", 7)],
)
def test_remaining_rows_are_decoded_on_demand(name, rows_left):
    picture = read(io.BytesIO(WRONG[name]), LENIENT)
    assert picture.notes
    assert picture.pixels.shape == (8, 8)
    if name != "too few rows":
        np.testing.assert_array_equal(picture.pixels[:rows_left], random_samples(8, 8, 8, GRAY)[:rows_left])


def test_damage_beside_the_pixels_is_left_out_on_demand():
    for name in ("text with wrong CRC", "short gAMA", "compressed text that is none"):
        picture = read(io.BytesIO(WRONG[name]), LENIENT)
        assert len(picture.notes) == 1
        assert not picture.metadata.text and not picture.metadata.png


def test_metadata_is_found():
    profile = bytes(16) + b"GRAY" + bytes(16) + b"acsp" + bytes(88)
    text = "Grüße, 世界"
    before = b"".join(
        (
            chunk(b"gAMA", struct.pack(">I", 45455)),
            chunk(b"iCCP", b"any name\0\0" + zlib.compress(profile)),
            chunk(b"pHYs", struct.pack(">IIB", 11811, 5906, 1)),
            chunk(b"tEXt", b"Author\0J\xf6rg"),
            chunk(b"zTXt", b"Long\0\0" + zlib.compress(b"x" * 3000)),
            chunk(b"iTXt", b"Title\0\1\0de\0Titel\0" + zlib.compress(text.encode())),
            chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0<x:xmpmeta/>"),
            chunk(b"tIME", bytes(7)),
            chunk(b"prVt", b"private"),
        )
    )
    metadata = read(io.BytesIO(png(random_samples(4, 4, 8, GRAY), 8, GRAY, before=before))).metadata
    assert metadata.icc == profile
    assert metadata.xmp == b"<x:xmpmeta/>"
    assert metadata.resolution == pytest.approx((300, 150), abs=0.02)
    assert [tuple(each) for each in metadata.text] == [
        ("Author", "Jörg", "", ""),
        ("Long", "x" * 3000, "", ""),
        ("Title", text, "de", "Titel"),
    ]
    assert metadata.png == [(b"gAMA", struct.pack(">I", 45455)), (b"tIME", bytes(7))]


def test_aspect_ratio_is_no_resolution():
    data = struct.pack(">IIB", 2, 1, 0)
    metadata = read(io.BytesIO(png(random_samples(4, 4, 8, GRAY), 8, GRAY, before=chunk(b"pHYs", data)))).metadata
    assert metadata.resolution is None
    assert metadata.png == [(b"pHYs", data)]


def test_one_thread_is_enough(monkeypatch):
    started = []
    monkeypatch.setattr(threading.Thread, "start", started.append)
    pixels = np.random.default_rng(0).integers(0, 256, (900, 1000, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", compress_level=1)
    np.testing.assert_array_equal(read(file, ReadOptions(threads=1)).pixels, pixels)
    assert not started


def test_the_background_is_read_at_16_bits(tmp_path):
    before = chunk(b"bKGD", struct.pack(">3H", 255, 0, 128))
    (tmp_path / "in.png").write_bytes(png(np.zeros((2, 2, 3), np.uint8), 8, RGB, before=before))
    assert (b"bKGD", struct.pack(">3H", 65535, 0, 128 * 257)) in read(tmp_path / "in.png").metadata.png


@pytest.mark.parametrize("size", [8, 20, 33, 40])
def test_a_file_that_ends_before_its_pixels_has_nothing_to_decode(size):
    content = SIGNATURE + ihdr(8, 8) + chunk(b"IDAT", zlib.compress(bytes(72))) + chunk(b"IEND")
    for lenient in (False, True):
        with pytest.raises(ReadError, match=r"truncated.*; no pixels are left$"):
            read(io.BytesIO(content[:size]), ReadOptions(lenient=lenient))


def test_a_truncated_file_is_noted_once():
    content = SIGNATURE + ihdr(8, 8) + chunk(b"IDAT", zlib.compress(bytes(72), 0))
    notes = read(io.BytesIO(content[:-40]), ReadOptions(lenient=True)).notes
    assert notes == ("the PNG is truncated in its IDAT chunk", "the pixels of the PNG end early")
    notes = read(io.BytesIO(content), ReadOptions(lenient=True)).notes
    assert notes == ("the PNG is truncated: it ends before its IEND chunk",)
