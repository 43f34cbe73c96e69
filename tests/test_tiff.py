"""TIFF: every layout, every depth, pages, tags, and malformed directories."""

import io
import struct

import numpy as np
import pytest
import tifffile
from samples import wide_noise as noise
from tiffs import by_hand

from convfilter.errors import ReadError, SizeError
from convfilter.picture.frame import Frame
from convfilter.picture.metadata.metadata import Text
from convfilter.picture.options import ReadOptions, WriteOptions
from convfilter.picture.picture import Picture
from convfilter.picture.place.target import resolve_target
from convfilter.picture.read import read
from convfilter.picture.write import write


def tiff(data, **options):
    buffer = io.BytesIO()
    options.setdefault("photometric", "rgb" if data.ndim == 3 and data.shape[-1] in (3, 4) else "minisblack")
    tifffile.imwrite(buffer, data, metadata=None, **options)
    buffer.seek(0)
    return buffer


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"compression": "zlib", "predictor": True},
        {"compression": "lzw"},
        {"compression": "packbits"},
        {"tile": (16, 16), "compression": "zlib"},
        {"rowsperstrip": 3},
        {"byteorder": ">"},
        {"bigtiff": True},
        {"bigtiff": True, "byteorder": ">"},
    ],
)
@pytest.mark.parametrize("shape", [(21, 19), (21, 19, 3)])
def test_layouts(shape, options, dtype):
    pixels = noise(shape, dtype)
    if dtype == np.float32 and options.get("compression") == "packbits":
        options = {}
    picture = read(tiff(pixels, **options))
    np.testing.assert_array_equal(picture.pixels, pixels)
    assert picture.pixels.dtype == dtype and picture.pixels.dtype.isnative
    assert picture.pixels.flags.c_contiguous


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_planes_apart(dtype):
    pixels = noise((3, 21, 19), dtype)
    picture = read(tiff(pixels, photometric="rgb", planarconfig="separate"))
    np.testing.assert_array_equal(picture.pixels, np.moveaxis(pixels, 0, 2))


def test_white_is_zero():
    for dtype in (np.uint8, np.uint16):
        pixels = noise((5, 6), dtype)
        picture = read(tiff(pixels, photometric="miniswhite"))
        np.testing.assert_array_equal(picture.pixels, np.iinfo(dtype).max - pixels)


def test_bits():
    pixels = noise((5, 19), np.uint8) > 127
    np.testing.assert_array_equal(read(tiff(pixels)).pixels, pixels * 255)
    np.testing.assert_array_equal(read(tiff(pixels, photometric="miniswhite")).pixels, ~pixels * 255)


@pytest.mark.parametrize("bits", [10, 12])
def test_bits_of_more_than_a_byte_keep_their_values(bits):
    pixels = noise((5, 19), np.uint16) >> (16 - bits)
    data = np.unpackbits(pixels.astype(">u2").view(np.uint8).reshape(5, 19, 2), axis=2)[:, :, 16 - bits :]
    packed = np.packbits(data.reshape(5, -1), axis=1)
    picture = read(io.BytesIO(by_hand(19, 5, packed.tobytes(), bits=bits)))
    np.testing.assert_array_equal(picture.pixels, pixels)
    assert picture.white == 2**bits - 1


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_floats_of_other_sizes(dtype):
    pixels = noise((5, 6), dtype)
    picture = read(tiff(pixels))
    np.testing.assert_array_equal(picture.pixels, pixels)
    assert picture.dtype == max(np.dtype(dtype), np.dtype(np.float32)) and bool(picture.notes) == (dtype == np.float16)


@pytest.mark.parametrize(
    ("dtype", "computed", "file_dtype"), [("int8", "int16", "int8"), ("int16", "int16", None), ("int32", "f8", "int32")]
)
def test_signed_integers_keep_their_values(dtype, computed, file_dtype):
    pixels = noise((5, 6), dtype)
    picture = read(tiff(pixels))
    np.testing.assert_array_equal(picture.pixels, pixels)
    assert (picture.dtype, picture.file_dtype, picture.notes) == (np.dtype(computed), file_dtype, ())


@pytest.mark.parametrize("photometric", ["minisblack", "miniswhite"])
def test_integers_of_32_bits_keep_their_values(photometric):
    pixels = noise((5, 6), np.uint32)
    pixels[0, :2] = 0, 2**32 - 1
    picture = read(tiff(pixels, photometric=photometric))
    np.testing.assert_array_equal(picture.pixels, pixels if photometric == "minisblack" else 2**32 - 1 - pixels)
    assert picture.dtype == np.uint32 and picture.notes == ()


@pytest.mark.parametrize("dtype", [np.int64, np.uint64])
def test_integers_of_64_bits_become_floats_if_these_hold_them(dtype):
    pixels = noise((5, 6), np.uint32).astype(dtype) << dtype(21)
    pixels[0, 0] = 2**53
    picture = read(tiff(pixels))
    np.testing.assert_array_equal(picture.pixels, pixels)
    assert (
        picture.dtype == np.float64
        and "64-bit integers; they are read and written as 64-bit floats" in picture.notes[0]
    )
    pixels[3, 2] = 2**53 + 2
    with pytest.raises(ReadError, match=r"64-bit integers beyond 2\*\*53"):
        read(tiff(pixels))


@pytest.mark.parametrize(
    ("data", "options"),
    [
        (np.zeros((5, 6), np.complex64), {}),
        (np.zeros((5, 6), np.int16), {"photometric": "miniswhite"}),
        (np.zeros((5, 6, 4), np.int64), {"photometric": "rgb", "extrasamples": ["unassalpha"]}),
        (np.zeros((5, 6), np.uint64), {"photometric": "miniswhite"}),
        (np.zeros((5, 6, 3), np.uint8), {"photometric": "cielab"}),
    ],
)
def test_samples_that_cannot_be_filtered_are_refused(data, options):
    with pytest.raises(ReadError, match="convert"):
        read(tiff(data, **options))


def test_a_palette_whose_brightest_colour_needs_nine_bits_has_sixteen():
    colours = np.zeros((3, 256), np.uint16)
    colours[:, 0], colours[:, 1] = 3, 256
    file = io.BytesIO()
    tifffile.imwrite(file, np.array([[0, 1]], np.uint8), photometric="palette", colormap=colours)
    file.seek(0)
    pixels = read(file).pixels
    assert pixels.dtype == np.uint16
    assert pixels[0, :, 0].tolist() == [3, 256]


def test_a_tiff_without_a_page_is_refused():
    with pytest.raises(ReadError, match="holds no page"):
        read(io.BytesIO(b"II*\0" + bytes(24)))


def test_an_entry_beyond_the_palette_is_named():
    data = tiff(np.array([[3, 20]], np.uint8), photometric="palette", colormap=np.zeros((3, 256), np.uint16))
    content = data.getvalue()
    whole, cut = (struct.pack("<HHI", 320, 3, 3 * colours) for colours in (256, 16))
    assert content.count(whole) == 1
    with pytest.raises(ReadError, match="a pixel has entry 20 of a palette of 16 colours"):
        read(io.BytesIO(content.replace(whole, cut)))


def test_palettes():
    indices = noise((5, 6), np.uint8) % 4
    table = noise((3, 256), np.uint8, 1).astype(np.uint16)
    for colormap in (table * 257, table << 8, table):
        picture = read(tiff(indices, photometric="palette", colormap=colormap))
        np.testing.assert_array_equal(picture.pixels, table.T[indices].astype(np.uint8))
    deep = noise((3, 256), np.uint16, 2)
    picture = read(tiff(indices, photometric="palette", colormap=deep))
    np.testing.assert_array_equal(picture.pixels, deep.T[indices])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_alpha_of_both_kinds(tmp_path, dtype):
    straight = noise((9, 8, 4), dtype)
    picture = read(tiff(straight, extrasamples=["unassalpha"]))
    assert picture.alpha
    np.testing.assert_array_equal(picture.pixels, straight)
    white = np.iinfo(dtype).max
    premultiplied = straight.copy()
    premultiplied[:, :, :3] = np.rint(straight[:, :, :3] * (straight[:, :, 3:] / white))
    picture = read(tiff(premultiplied, extrasamples=["assocalpha"]))
    assert picture.premultiplied
    np.testing.assert_array_equal(picture.pixels, premultiplied)
    visible = straight[:, :, 3] > white // 4
    off = np.abs(picture.straight().pixels.astype(float) - straight)[visible]
    assert off.max() <= 2.5
    write(resolve_target(tmp_path / "a.tif"), picture)
    with tifffile.TiffFile(tmp_path / "a.tif") as again:
        assert int(again.pages[0].extrasamples[0]) == 1
        np.testing.assert_array_equal(again.asarray(), premultiplied)


def test_cmyk():
    pixels = noise((9, 8, 4), np.uint16)
    picture = read(tiff(pixels, photometric="separated"))
    assert (picture.model, picture.alpha) == ("cmyk", False)
    np.testing.assert_array_equal(picture.pixels, pixels)


def pages(*arrays, **options):
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as writer:
        for array in arrays:
            writer.write(array, photometric="rgb" if array.ndim == 3 else "minisblack", metadata=None, **options)
    buffer.seek(0)
    return buffer


def test_pages_of_different_sizes(tmp_path):
    arrays = [noise(shape, np.uint8) for shape in ((5, 6), (9, 3), (1, 1))]
    picture = read(pages(*arrays))
    write(resolve_target(tmp_path / "a.tif"), picture)
    for each in (picture, read(tmp_path / "a.tif")):
        assert [frame.pixels.shape for frame in each.frames] == [array.shape for array in arrays]
        for frame, array in zip(each.frames, arrays, strict=True):
            np.testing.assert_array_equal(frame.pixels, array)


def test_pages_of_different_kinds_are_refused():
    mixed = pages(noise((5, 6), np.uint8), noise((5, 6, 3), np.uint8))
    with pytest.raises(ReadError, match=r"2 pages differ.*frame=N"):
        read(mixed)
    assert read(mixed, ReadOptions(frame=1)).pixels.shape == (5, 6, 3)


def test_small_versions_are_no_pages():
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as writer:
        writer.write(noise((8, 8), np.uint8), photometric="minisblack", metadata=None)
        writer.write(noise((4, 4), np.uint8), photometric="minisblack", metadata=None, subfiletype=1)
    buffer.seek(0)
    assert len(read(buffer).frames) == 1


def test_metadata_survives(tmp_path):
    picture = Picture.from_array(noise((8, 8, 3), np.uint16))
    metadata = picture.metadata
    metadata.icc = bytes(16) + b"RGB " + bytes(16) + b"acsp" + bytes(200)
    metadata.xmp = b"<x:xmpmeta/>"
    metadata.iptc = b"\x1c\x02\x05\0\5Title"
    metadata.resolution = (300.0, 150.0)
    metadata.text = [Text("Description", "Grüße"), Text("Author", "me"), Text("Copyright", "(c)")]
    write(resolve_target(tmp_path / "a.tif"), picture)
    again = read(tmp_path / "a.tif").metadata
    for name in ("icc", "xmp", "iptc"):
        assert getattr(again, name) == getattr(metadata, name), name
    assert again.resolution == pytest.approx((300, 150))
    assert {(text.keyword, text.value) for text in again.text} == {(text.keyword, text.value) for text in metadata.text}
    with tifffile.TiffFile(tmp_path / "a.tif") as opened:
        assert not {305, 306} & {tag.code for tag in opened.pages[0].tags}


def test_pixels_of_metres_keep_their_resolution(tmp_path):
    picture = Picture.from_array(noise((8, 8), np.uint8))
    picture.metadata.resolution = (0.00254, 2e-5)
    write(resolve_target(tmp_path / "a.tif"), picture)
    assert read(tmp_path / "a.tif").metadata.resolution == pytest.approx((0.00254, 2e-5), rel=0.02)


def test_a_zero_byte_does_not_cut_a_text_off(tmp_path):
    picture = Picture.from_array(noise((8, 8), np.uint8))
    picture.metadata.text = [Text("Description", "before\0after")]
    write(resolve_target(tmp_path / "a.tif"), picture)
    assert read(tmp_path / "a.tif").metadata.text[0].value == "before after"


def test_descriptions_of_the_layout_are_dropped():
    data = tiff(noise((4, 5), np.uint8), description='{"shape": [4, 5]}', software=False)
    metadata = read(data).metadata
    assert metadata.text == [] and metadata.exif is None


@pytest.mark.parametrize("compression", ["fast", "default", "best"])
def test_compression_is_without_loss(tmp_path, compression):
    pixels = noise((40, 50, 3), np.float32)
    options = WriteOptions(compression=compression)
    write(resolve_target(tmp_path / "a.tif", options), Picture.from_array(pixels), options)
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "a.tif"), pixels)


GOOD = by_hand(4, 3, bytes(range(12)))


def test_by_hand():
    np.testing.assert_array_equal(read(io.BytesIO(GOOD)).pixels, np.arange(12).reshape(3, 4))


@pytest.mark.parametrize(
    "data",
    [
        GOOD[:6],
        GOOD[:30],
        b"II*\0" + struct.pack("<I", 0),
        b"II*\0" + struct.pack("<I", 2**32 - 1),
        b"II+\0\x08\0\0\0" + struct.pack("<Q", 2**64 - 1),
        b"II*\0" + struct.pack("<IH", 8, 0),
        b"II*\0" + struct.pack("<IH", 8, 65535),
        by_hand(0, 3, bytes(12)),
        by_hand(4, 0, bytes(12)),
        by_hand(4, 3, bytes(12), extra={273: (4, 10**6)}.items()),
        by_hand(4, 3, bytes(12), extra={279: (4, 10**6)}.items()),
        by_hand(4, 3, bytes(12), extra={279: (4, 0)}.items()),
        by_hand(4, 3, bytes(12), extra={259: (3, 9999)}.items()),
        by_hand(4, 3, bytes(12), extra={262: (3, 8)}.items()),
        by_hand(4, 3, bytes(12), extra={262: (3, 32844)}.items()),
        by_hand(4, 3, bytes(12), extra={262: (3, 2)}.items()),
        by_hand(4, 3, bytes(12), extra={262: (3, 3)}.items()),
        by_hand(4, 3, bytes(12), bits=77),
        by_hand(4, 3, bytes(12), extra={277: (3, 65535)}.items()),
        by_hand(4, 3, bytes(12), extra={32997: (4, 7)}.items()),
        by_hand(4, 3, bytes(12), following=10**6),
    ],
)
def test_damaged_files_are_refused(data):
    with pytest.raises(ReadError) as caught:
        read(io.BytesIO(data))
    assert "\n" not in str(caught.value)


def test_sizes_are_checked_before_anything_is_decoded():
    for width, height in ((65535, 65535), (2**32 - 1, 2**32 - 1)):
        with pytest.raises(SizeError, match="max_pixels"):
            read(io.BytesIO(by_hand(width, height, bytes(12))))


def test_a_chain_of_pages_that_meets_itself_ends():
    at = 8 + 12
    data = by_hand(4, 3, bytes(range(12)), following=at)
    assert len(read(io.BytesIO(data)).frames) == 1


def test_truncated_strips_are_decoded_on_demand():
    data = tiff(noise((64, 64), np.uint8), rowsperstrip=8, compression="zlib").getvalue()
    with pytest.raises(ReadError, match="truncated"):
        read(io.BytesIO(data[:-700]))
    picture = read(io.BytesIO(data[:-700]), ReadOptions(lenient=True))
    np.testing.assert_array_equal(picture.pixels[:48], noise((64, 64), np.uint8)[:48])
    assert picture.notes


def damaged(data, number, *, cut=False):
    """A TIFF whose strip or tile of this number is damaged, or cut, in its middle."""
    with tifffile.TiffFile(io.BytesIO(data)) as opened:
        page = opened.pages[0]
        middle = page.dataoffsets[number] + page.databytecounts[number] // 2
    return data[:middle] if cut else data[:middle] + b"\xff\x00\xab\xcd\xff\xff\x12\x34" + data[middle + 8 :]


@pytest.mark.parametrize("layout", [{"rowsperstrip": 16}, {"tile": (16, 16)}, {"predictor": 2, "rowsperstrip": 16}])
def test_damage_within_strips_or_tiles_names_the_way_out(layout):
    pixels = np.add.outer(np.arange(64), noise((64, 3), np.uint8) % 4).astype(np.uint8)
    for compression in ("zlib", "lzw"):
        data = damaged(tiff(pixels, compression=compression, photometric="rgb", **layout).getvalue(), 1)
        for options in (ReadOptions(), ReadOptions(threads=1)):
            with pytest.raises(ReadError, match=r"the TIFF is damaged.*; lenient=True decodes what is left$"):
                read(io.BytesIO(data), options).pixels  # noqa: B018 (decodes on demand)
        picture = read(io.BytesIO(data), ReadOptions(lenient=True))
        np.testing.assert_array_equal(picture.pixels[32:], pixels[32:])
        assert "cannot be decoded completely" in picture.notes[0]


@pytest.mark.parametrize("compression", [None, "zlib", "lzw", "packbits"])
@pytest.mark.parametrize("options", [{}, {"predictor": 2}, {"planarconfig": "separate"}])
def test_the_beginning_of_a_truncated_strip_is_decoded(compression, options):
    if compression in (None, "packbits") and "predictor" in options:
        return
    pixels = noise((60, 50, 3), np.uint8)
    if "planarconfig" in options:
        pixels = np.ascontiguousarray(np.moveaxis(pixels, -1, 0))
    data = tiff(pixels, compression=compression, photometric="rgb", rowsperstrip=60, **options).getvalue()
    picture = read(io.BytesIO(damaged(data, -1, cut=True)), ReadOptions(lenient=True))
    whole = read(io.BytesIO(data)).pixels
    np.testing.assert_array_equal(picture.pixels[:25], whole[:25])
    assert not (picture.pixels[40:] == whole[40:]).all()


def test_a_page_of_which_nothing_can_be_decoded_is_refused():
    data = damaged(tiff(noise((64, 64), np.uint8), compression="zstd", rowsperstrip=64).getvalue(), 0, cut=True)
    with pytest.raises(ReadError, match=r"^the TIFF is truncated: its data ends at byte \d+, the file at \d+$"):
        read(io.BytesIO(data))
    with pytest.raises(ReadError, match=r"none of its strips or tiles can be decoded$"):
        read(io.BytesIO(data), ReadOptions(lenient=True))


def test_of_a_truncated_file_the_first_pages_are_decoded():
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as writer:
        for page in noise((3, 20, 30), np.uint8):
            writer.write(page, compression="zstd", contiguous=False)
    data = buffer.getvalue()
    with tifffile.TiffFile(io.BytesIO(data)) as opened:
        last = opened.pages[2].dataoffsets[0]
    with pytest.raises(ReadError, match=r"truncated.*; lenient=True decodes what is left$"):
        read(io.BytesIO(data[: last + 5]))
    picture = read(io.BytesIO(data[: last + 5]), ReadOptions(lenient=True))
    for number, frame in enumerate(picture.frames):
        np.testing.assert_array_equal(frame.pixels, noise((3, 20, 30), np.uint8)[number] if number < 2 else 0)


def test_a_truncated_jpeg_in_a_tiff_names_the_way_out():
    data = damaged(tiff(noise((64, 64), np.uint8), compression="jpeg", rowsperstrip=64).getvalue(), 0, cut=True)
    with pytest.raises(ReadError, match=r"truncated.*; lenient=True decodes what is left$"):
        read(io.BytesIO(data))
    assert read(io.BytesIO(data), ReadOptions(lenient=True)).pixels[:8].any()


def test_frames_without_alpha_keep_their_kind(tmp_path):
    picture = Picture([Frame(noise((4, 4), np.uint8)), Frame(noise((4, 4), np.uint8, 1))], "gray")
    write(resolve_target(tmp_path / "a.tif"), picture)
    with tifffile.TiffFile(tmp_path / "a.tif") as opened:
        assert [int(page.photometric) for page in opened.pages] == [1, 1]
