"""LZW streams: valid ones are decoded, and those that would crash the decoder are refused before it."""

import io
import random
import struct
from contextlib import suppress

import imagecodecs
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from convfilter.errors import PictureError, ReadError
from convfilter.picture.read import ReadOptions, read
from convfilter.picture.tiff.lzw import is_sound

CLEAR, END = 256, 257


def widths(codes, old):
    """How many bits each code has, one after the other."""
    table, first = 258, False
    for code in codes:
        yield min(12, max(9, (table + (not old)).bit_length()))
        if code == CLEAR:
            table, first = 258, True
        elif first:
            first = False
        else:
            table += 1


def packed(codes, old=False):
    value = position = 0
    for code, width in zip(codes, widths(codes, old), strict=True):
        value = value | code << position if old else value << width | code
        position += width
    length = -(-position // 8)
    return value.to_bytes(length, "little") if old else (value << 8 * length - position).to_bytes(length, "big")


def sound(codes):
    """The rule, checked code by code."""
    behind = True
    for code in codes:
        if behind and code > END:
            return False
        if code == END:
            return True
        behind = code == CLEAR
    return True


def run(length, start=0):
    return [CLEAR, *((start + number) % 251 for number in range(length))]


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("length", [0, 1, 200, 252, 253, 254, 255, 256, 300, 760, 1800, 3836, 4500, 9000])
def test_the_codes_are_found_after_runs_of_any_length(length, old):
    for wrong in (258, 300, 509, 511):
        for before in ([], run(3), run(300), run(5) * 40):
            codes = [*before, *run(length), CLEAR, 65, 66, END]
            assert is_sound(packed(codes, old)), (length, before[:3])
            codes[-3] = wrong
            assert not is_sound(packed(codes, old)), (length, before[:3])


def test_bytes_after_the_end_code_are_ignored():
    assert is_sound(packed([*run(3), END]) + b"\xff" * 50)
    assert is_sound(packed([*run(300), END]) + b"\xff" * 50)
    assert is_sound(b"")
    assert is_sound(b"\x80")
    assert not is_sound(b"\xff\xff\xff")


@given(
    st.lists(
        st.one_of(st.just([CLEAR]), st.integers(0, 511).map(lambda code: [code]), st.integers(0, 700).map(run)),
        max_size=12,
    ),
    st.booleans(),
)
@settings(max_examples=100, deadline=None)
def test_the_check_agrees_with_the_rule_of_lzw(parts, old):
    codes = [CLEAR, *(code for part in parts for code in part), END]
    assert is_sound(packed(codes, old)) == sound(codes)


@pytest.mark.parametrize("kind", ["noise", "ramp", "flat"])
def test_output_of_encoders_is_sound(kind):
    pixels = {
        "noise": np.random.default_rng(1).integers(0, 256, 200_000, dtype=np.uint8),
        "ramp": np.arange(200_000).astype(np.uint8),
        "flat": np.zeros(200_000, np.uint8),
    }[kind]
    assert is_sound(imagecodecs.lzw_encode(pixels))


def test_many_clear_codes_are_checked_at_once():
    assert is_sound(packed([CLEAR] * 50_000 + [END]))


def tiff(pixels, **options):
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, pixels, compression="lzw", **options)
    return buffer.getvalue()


@pytest.mark.parametrize("options", [{}, {"rowsperstrip": 16}, {"tile": (16, 16)}, {"predictor": 2}])
def test_pictures_are_read_as_before(options):
    pixels = np.random.default_rng(1).integers(0, 30, (64, 80, 3), dtype=np.uint8)
    np.testing.assert_array_equal(read(io.BytesIO(tiff(pixels, photometric="rgb", **options))).pixels, pixels)


def lowest_bit_first(pixels, compression):
    """Return a TIFF whose bits are stored from the lowest (FillOrder 2), and the places of its strips."""
    buffer = io.BytesIO()
    tifffile.imwrite(
        buffer, pixels, compression=compression, predictor=False, photometric="minisblack", rowsperstrip=16
    )
    data = bytearray(buffer.getvalue())
    with tifffile.TiffFile(io.BytesIO(data)) as tiff:
        strips = list(zip(tiff.pages[0].dataoffsets, tiff.pages[0].databytecounts, strict=True))
        replaced = tiff.pages[0].tags["SamplesPerPixel"].offset
    data[replaced : replaced + 12] = struct.pack("<2HI2H", 266, 3, 1, 2, 0)
    for start, count in strips:
        data[start : start + count] = imagecodecs.bitorder_decode(bytes(data[start : start + count]))
    return data, strips


@pytest.mark.parametrize("compression", ["none", "lzw", "deflate", "packbits", "lerc"])
def test_bits_may_be_stored_from_the_lowest(compression):
    pixels = np.random.default_rng(1).integers(0, 30, (64, 80), dtype=np.uint8)
    data, strips = lowest_bit_first(pixels, compression)
    np.testing.assert_array_equal(read(io.BytesIO(data)).pixels, pixels)
    if compression in ("none", "lerc"):
        return
    start, count = strips[1]
    data[start + count // 2 : start + count] = b"\xff" * (count - count // 2)
    left = read(io.BytesIO(data), ReadOptions(lenient=True)).pixels
    np.testing.assert_array_equal(left[:16], pixels[:16])
    np.testing.assert_array_equal(left[32:], pixels[32:])
    np.testing.assert_array_equal(left[16:18], pixels[16:18])


def test_a_strip_of_lowest_bits_that_would_crash_the_decoder_is_damaged():
    data, strips = lowest_bit_first(np.random.default_rng(1).integers(0, 256, (64, 80), dtype=np.uint8), "lzw")
    wrong = packed([CLEAR, 509, 258, 173, 0, 259, 262, 263, 264, 265, 266, 267, 268, 255, 255, 0, 272, 273, 270, END])
    data[strips[1][0] : strips[1][0] + len(wrong)] = imagecodecs.bitorder_decode(wrong)
    with pytest.raises(ReadError, match="the TIFF is damaged: its LZW data"):
        read(io.BytesIO(data))


@pytest.mark.parametrize("seed", range(8))
def test_a_damaged_strip_is_decoded_up_to_the_damage(seed):
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 3, (40, 50), np.uint8)
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, pixels, compression="lzw", predictor=False, rowsperstrip=40)
    with tifffile.TiffFile(io.BytesIO(buffer.getvalue())) as tiff:
        start, count = tiff.pages[0].dataoffsets[0], tiff.pages[0].databytecounts[0]
    data = bytearray(buffer.getvalue())
    at = start + count // 2
    data[at : at + 8] = b"\xff" * 8  # codes that are not in the table
    with pytest.raises(ReadError, match=r"lenient=True"):
        read(io.BytesIO(data))
    picture = read(io.BytesIO(data), ReadOptions(lenient=True))
    assert "1 of the 1 strips or tiles of the TIFF cannot be decoded completely" in picture.notes
    codes_before = len(imagecodecs.lzw_decode(bytes(data[start : at - 2])))
    np.testing.assert_array_equal(picture.pixels.ravel()[:codes_before], pixels.ravel()[:codes_before])
    assert codes_before > 600


def test_a_strip_that_would_crash_the_decoder_is_damaged():
    pixels = np.random.default_rng(1).integers(0, 256, (64, 80), dtype=np.uint8)
    data = bytearray(tiff(pixels, photometric="minisblack", rowsperstrip=16))
    with tifffile.TiffFile(io.BytesIO(bytes(data))) as opened:
        at = opened.pages[0].dataoffsets[1]
    wrong = packed([CLEAR, 509, 258, 173, 0, 259, 262, 263, 264, 265, 266, 267, 268, 255, 255, 0, 272, 273, 270, END])
    data[at : at + len(wrong)] = wrong
    with pytest.raises(ReadError, match="the TIFF is damaged: its LZW data"):
        read(io.BytesIO(bytes(data)))
    left = read(io.BytesIO(bytes(data)), ReadOptions(lenient=True))
    assert "1 of the 4 strips or tiles" in left.notes[0]
    np.testing.assert_array_equal(left.pixels[32:], pixels[32:])
    assert not left.pixels[16:32].any()


def test_damage_at_random_does_not_crash():
    pixels = np.random.default_rng(1).integers(0, 20, (8, 300), dtype=np.uint8)
    data = tiff(pixels, photometric="minisblack", rowsperstrip=1)
    rng = random.Random(5)
    for _ in range(300):
        damaged = bytearray(data)
        for _ in range(3):
            damaged[rng.randrange(8, len(damaged))] = rng.randrange(256)
        with suppress(PictureError):
            read(io.BytesIO(bytes(damaged)), ReadOptions(max_pixels=100_000))
