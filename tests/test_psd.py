"""PSD: merged pictures of every mode, depth and compression, against the samples that they are made from."""

import io
import struct

import numpy as np
import pytest
from PIL import Image
from psds import (
    BITMAP,
    CMYK,
    DEFLATED,
    DUOTONE,
    GRAYSCALE,
    HEIGHT,
    INDEXED,
    LAB,
    MULTICHANNEL,
    PACKBITS,
    PREDICTED,
    RAW,
    RGB,
    WIDTH,
    layers,
    psd,
    resource,
    samples,
)

from convfilter.errors import ReadError, SizeError
from convfilter.picture.metadata import cicp, curves, icc_write
from convfilter.picture.read import ReadOptions, read


def picture(data, **options):
    return read(io.BytesIO(data), ReadOptions(**options))


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("compression", [RAW, PACKBITS, DEFLATED, PREDICTED])
@pytest.mark.parametrize(
    ("mode", "depth"), [(mode, depth) for mode in (GRAYSCALE, RGB) for depth in (8, 16, 32)] + [(CMYK, 8), (CMYK, 16)]
)
@pytest.mark.parametrize("extras", [0, 2, 3])
def test_channels_after_the_colours_do_not_change_them(mode, depth, compression, big, extras):
    colours = {GRAYSCALE: 1, RGB: 3, CMYK: 4}[mode]
    stored = samples(colours + extras, depth)
    read_back = picture(psd(stored, mode, depth=depth, compression=compression, big=big))
    expected = stored[:, :, :colours] if mode != CMYK else np.iinfo(stored.dtype).max - stored[:, :, :4]
    assert read_back.pixels.dtype == stored.dtype.newbyteorder("=")
    assert not read_back.alpha
    np.testing.assert_array_equal(np.atleast_3d(read_back.pixels), expected)
    assert any(f"{extras} channels besides its colours" in note for note in read_back.notes) == (extras > 0)


def test_saved_selections_are_named():
    names = resource(1006, b"\x05Alpha\x04Spot")
    read_back = picture(psd(samples(5), RGB, resources=names))
    assert "the PSD has 2 channels besides its colours (Alpha, Spot)" in read_back.notes[0]
    unicode = resource(
        1045, b"".join(struct.pack(">I", len(name) + 1) + (name + "\0").encode("utf-16-be") for name in ("Maß",))
    )
    read_back = picture(psd(samples(4), RGB, resources=names + unicode))
    assert not read_back.alpha
    assert "the PSD has 1 channel besides its colours (Maß)" in read_back.notes[0]


def test_a_saved_selection_is_no_alpha_though_the_section_of_layers_is_not_empty():
    selection = resource(1006, b"\x04Mask")
    assert not picture(psd(samples(4), RGB, resources=selection, section=layers(0))).alpha


@pytest.mark.parametrize("mode", [GRAYSCALE, RGB, CMYK])
def test_a_fourth_channel_that_nothing_else_explains_is_straight_alpha(mode):
    colours = {GRAYSCALE: 1, RGB: 3, CMYK: 4}[mode]
    stored = samples(colours + 1)
    read_back = picture(psd(stored, mode))
    assert read_back.alpha
    assert read_back.notes == ()
    expected = stored if mode != CMYK else np.dstack([255 - stored[:, :, :4], stored[:, :, 4]])
    np.testing.assert_array_equal(read_back.pixels, expected)


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize(("mode", "depth"), [(GRAYSCALE, 8), (RGB, 8), (RGB, 16), (RGB, 32), (CMYK, 8)])
@pytest.mark.parametrize("saved", [0, 2])
def test_merged_transparency_stands_in_front_of_white(mode, depth, big, saved):
    colours = {GRAYSCALE: 1, RGB: 3, CMYK: 4}[mode]
    straight = samples(colours + 1 + saved, depth)
    if depth == 32:
        straight = straight.clip(0, 1).astype(straight.dtype)
    white = 1 if depth == 32 else np.iinfo(straight.dtype).max
    opacity = straight[:, :, colours : colours + 1].astype(float) / white
    over = straight[:, :, :colours] * opacity + white * (1 - opacity)
    stored = straight.copy()
    stored[:, :, :colours] = over if depth == 32 else np.rint(over)
    if depth == 8:
        section = layers(-1, big)
    else:  # layers of deep pictures stand in a block behind the empty section, and the block before says the same
        deep = struct.pack(">h", -1) + bytes(2)
        length = len(deep).to_bytes(8 if big else 4, "big")
        section = layers(0, big, b"8BIMPatt\0\0\0\2ab\0\0" + b"8BIMLr16" + length + deep)
    read_back = picture(psd(stored, mode, depth=depth, big=big, section=section))
    assert read_back.alpha
    np.testing.assert_array_equal(read_back.pixels[:, :, -1], stored[:, :, colours])
    got = read_back.pixels[:, :, :colours].astype(float)
    got = white - got if mode == CMYK else got
    difference = np.abs(got - straight[:, :, :colours]) * opacity
    assert difference.max() <= (1e-6 if depth == 32 else 1.0)


def test_layers_without_merged_transparency_make_the_next_channel_a_saved_one():
    stored = samples(4)
    read_back = picture(psd(stored, RGB, section=layers(1)))
    assert not read_back.alpha
    np.testing.assert_array_equal(read_back.pixels, stored[:, :, :3])
    assert "1 channel besides its colours" in read_back.notes[0]


def test_layers_are_counted():
    (note,) = picture(psd(samples(3), RGB, section=layers(3))).notes
    assert note == "the PSD has 3 layers; the picture merged from them is read"
    assert picture(psd(samples(3), RGB, section=layers(1))).notes == ()


@pytest.mark.parametrize("compression", [RAW, PACKBITS])
def test_bitmaps_are_black_where_bits_are_set(compression):
    bits = np.random.default_rng(5).integers(0, 2, (HEIGHT, WIDTH), dtype=np.uint8)
    stored = np.packbits(bits, axis=1)[:, :, np.newaxis]
    read_back = picture(psd(stored, BITMAP, depth=1, compression=compression))
    assert read_back.model == "gray"
    np.testing.assert_array_equal(read_back.pixels, (1 - bits) * np.uint8(255))


def test_palettes():
    stored = samples(1)
    table = np.random.default_rng(2).integers(0, 256, (256, 3), dtype=np.uint8)
    palette = table.T.tobytes()
    read_back = picture(psd(stored, INDEXED, palette=palette))
    np.testing.assert_array_equal(read_back.pixels, table[stored[:, :, 0]])
    clear = int(stored[0, 0, 0])
    read_back = picture(psd(stored, INDEXED, palette=palette, resources=resource(1047, struct.pack(">h", clear))))
    assert read_back.alpha
    np.testing.assert_array_equal(read_back.pixels[:, :, 3], np.where(stored[:, :, 0] == clear, 0, 255))
    np.testing.assert_array_equal(read_back.pixels[:, :, :3], table[stored[:, :, 0]])
    with pytest.raises(ReadError, match="its palette has 3 bytes instead of 768"):
        picture(psd(stored, INDEXED, palette=b"abc"))


def test_duotones_are_grey_with_a_note():
    stored = samples(1)
    read_back = picture(psd(stored, DUOTONE, palette=bytes(500)))
    np.testing.assert_array_equal(read_back.pixels, stored[:, :, 0])
    assert "without its inks" in read_back.notes[0]


@pytest.mark.parametrize(
    ("mode", "depth", "message"),
    [
        (LAB, 8, "mode Lab Color cannot be filtered; convert it to RGB"),
        (MULTICHANNEL, 8, "mode Multichannel cannot be filtered; convert it to RGB"),
        (LAB, 16, "mode Lab Color"),
        (CMYK, 32, "mode CMYK Color with 32 bits"),
        (5, 8, "mode 5"),
        (RGB, 12, "12 bits"),
    ],
)
def test_modes_that_cannot_be_filtered_are_named(mode, depth, message):
    with pytest.raises(ReadError, match=message):
        picture(psd(samples(4), mode, depth=depth))


def test_a_file_of_layers_only_is_refused():
    hidden = resource(1057, b"\0\0\0\1\0")
    with pytest.raises(ReadError, match="Maximize Compatibility"):
        picture(psd(samples(3), RGB, resources=hidden, section=layers(2)))


def test_metadata_is_kept():
    exif = b"II*\0\x08\0\0\0\x01\0\x0f\x01\x02\0\x04\0\0\0abc\0\0\0\0\0"
    blocks = {
        1005: struct.pack(">IHHIHH", 300 << 16, 1, 1, 150 << 16, 1, 1),
        1028: b"\x1c\x02\x78\0\x02hi",
        1039: icc_write.matrix_profile("wide", cicp.PRIMARIES[9], curves.SRGB),
        1058: exif,
        1060: b"<x:xmpmeta/>",
    }
    metadata = picture(psd(samples(3), RGB, resources=b"".join(resource(*each) for each in blocks.items()))).metadata
    assert metadata.resolution == (300, 150)
    assert metadata.iptc == blocks[1028]
    assert metadata.icc == blocks[1039]
    assert metadata.exif == exif
    assert metadata.xmp == blocks[1060]


@pytest.mark.parametrize("compression", [RAW, PACKBITS, DEFLATED])
def test_truncated_pixels_are_refused_or_zero(compression):
    stored = samples(3)
    data = psd(stored, RGB, compression=compression)
    with pytest.raises(ReadError, match="lenient=True decodes what is left"):
        picture(data[:-30])
    left = picture(data[:-30], lenient=True)
    assert "truncated" in left.notes[0]
    np.testing.assert_array_equal(left.pixels[:, :, :2], stored[:, :, :2])
    assert not left.pixels[-1, -1, 2]


def test_damage_in_front_of_the_pixels():
    data = psd(samples(3), RGB, section=layers(1))
    for end in (10, 26, 28, 40, 60):
        with pytest.raises(ReadError, match="truncated"):
            picture(data[:end])
    with pytest.raises(ReadError, match="compression 9 does not exist"):
        picture(psd(samples(3), RGB, compression=9))
    with pytest.raises(ReadError, match="2 channels in the mode RGB"):
        picture(psd(samples(2), RGB))


def test_size_is_checked_first():
    data = psd(samples(3), RGB, compression=PACKBITS, width=30_000)
    with pytest.raises(SizeError, match="max_pixels"):
        picture(data, max_pixels=1000)


def test_pillow_agrees():
    data = psd(samples(3), RGB, compression=PACKBITS)
    np.testing.assert_array_equal(picture(data).pixels, np.array(Image.open(io.BytesIO(data))))
