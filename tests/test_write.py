"""Writing: samples survive in every format; those that a format cannot hold are refused before the filter runs."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image
from samples import wide_noise as noise

from convfilter.errors import ParameterError, UsageError, WriteError
from convfilter.picture import formats
from convfilter.picture.frame import Frame
from convfilter.picture.options import WriteOptions
from convfilter.picture.outline import Outline
from convfilter.picture.picture import Picture
from convfilter.picture.place.target import Target, resolve_target
from convfilter.picture.read import read
from convfilter.picture.write import check, write
from convfilter.record import replace


def rewritten(pixels, path, **options):
    chosen = WriteOptions(**options)
    write(resolve_target(path, chosen), Picture.from_array(pixels), chosen)
    return read(path)


SHAPES = [(13, 17), (13, 17, 2), (13, 17, 3), (13, 17, 4), (1, 1), (1, 1, 3)]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("suffix", ["png", "tif", "pam", "jp2"])
def test_integers_survive(tmp_path, suffix, shape, dtype):
    pixels = noise(shape, dtype)
    picture = rewritten(pixels, tmp_path / f"a.{suffix}")
    np.testing.assert_array_equal(picture.pixels, pixels)
    assert picture.pixels.dtype == dtype


@pytest.mark.parametrize("shape", SHAPES)
def test_floats_survive_in_tiff_beyond_their_range(tmp_path, shape):
    pixels = noise(shape, np.float32)
    picture = rewritten(pixels, tmp_path / "a.tif")
    assert picture.pixels.dtype == np.float32
    np.testing.assert_array_equal(picture.pixels, pixels)


@pytest.mark.parametrize("channels", [2, 4])
def test_transparency_in_bmp(tmp_path, channels):
    pixels = noise((5, 7, channels))
    picture = rewritten(pixels, tmp_path / "a.bmp")
    assert picture.alpha
    np.testing.assert_array_equal(picture.pixels[:, :, -1], pixels[:, :, -1])
    np.testing.assert_array_equal(
        picture.pixels[:, :, :3], pixels[:, :, :3] if channels == 4 else pixels[:, :, [0] * 3]
    )


@pytest.mark.parametrize("shape", [(13, 17), (13, 17, 3)])
@pytest.mark.parametrize("suffix", ["bmp", "ppm", "tga", "sgi", "pcx"])
def test_old_formats_hold_eight_bits(tmp_path, suffix, shape):
    pixels = noise(shape)
    np.testing.assert_array_equal(rewritten(pixels, tmp_path / f"a.{suffix}").pixels, pixels)


def test_floats_survive_in_pfm(tmp_path):
    for shape in [(5, 4), (5, 4, 3)]:
        pixels = noise(shape, np.float32)
        np.testing.assert_array_equal(rewritten(pixels, tmp_path / "a.pfm").pixels, pixels)


@pytest.mark.parametrize("suffix", ["jpg", "webp", "avif"])
def test_lossy_formats_come_close(tmp_path, suffix):
    ramp = np.broadcast_to(np.arange(0, 256, 2, dtype=np.uint8)[:, None, None], (128, 96, 3)).copy()
    picture = rewritten(ramp, tmp_path / f"a.{suffix}")
    assert picture.pixels.shape == ramp.shape
    assert np.abs(picture.pixels.astype(int) - ramp).max() <= 6


@given(
    pixels=hnp.arrays(
        st.sampled_from([np.uint8, np.uint16]),
        hnp.array_shapes(min_dims=3, max_dims=3, max_side=40).map(lambda shape: (*shape[:2], 1 + shape[2] % 4)),
    ),
    compression=st.sampled_from(["fast", "default", "best"]),
    threads=st.sampled_from([1, 2, 3]),
)
@settings(max_examples=25, deadline=None)
def test_any_array_survives_in_png(tmp_path_factory, pixels, compression, threads):
    path = tmp_path_factory.mktemp("png") / "a.png"
    picture = rewritten(pixels, path, compression=compression, threads=threads)
    np.testing.assert_array_equal(picture.pixels.reshape(pixels.shape), pixels)


def test_depth_is_converted_once_and_to_the_nearest():
    for dtype, stored in ((np.float32, np.uint16), (np.uint16, np.uint16), (np.uint8, np.uint8)):
        assert resolve_target("a.png").store_dtype(dtype) == stored
    for dtype in (np.float32, np.uint16, np.uint8):
        assert resolve_target("a.jpg").store_dtype(dtype) == np.uint8
        assert resolve_target("a.tif").store_dtype(dtype) == dtype
        assert resolve_target("a.pfm").store_dtype(dtype) == np.float32


def test_sixteen_bits_to_eight_are_rounded(tmp_path):
    pixels = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    picture = rewritten(pixels, tmp_path / "a.bmp")
    np.testing.assert_array_equal(picture.pixels, np.rint(pixels / 257).astype(np.uint8))


@pytest.mark.parametrize(
    ("name", "fmt"), [("a.PNG", "PNG"), ("a.JpEg", "JPEG"), ("x/y.b.tiff", "TIFF"), ("a.pgm", "PGM")]
)
def test_suffix_chooses_the_format(name, fmt):
    assert resolve_target(name).format.name == fmt


def test_option_comes_before_the_suffix():
    assert resolve_target("a.png", WriteOptions(format="jpg")).format.name == "JPEG"
    assert resolve_target("-", WriteOptions(format="tiff")).format.name == "TIFF"


def test_unknown_suffix_lists_those_that_are_known(tmp_path):
    with pytest.raises(UsageError, match=r"the suffix '\.docx'; the nearest are \.pcx, \.png, \.jpg; .*format"):
        resolve_target(tmp_path / "a.docx")
    with pytest.raises(UsageError, match="'picture' has no suffix"):
        resolve_target("picture")
    with pytest.raises(UsageError, match="'docx'"):
        resolve_target("a.png", WriteOptions(format="docx"))


def test_standard_output_takes_the_format_of_the_input():
    assert resolve_target("-").format is None
    assert resolve_target("-", source_format="PNG").format.name == "PNG"
    picture = Picture.from_array(noise((3, 3)))
    picture.format = "BMP"
    assert check(resolve_target("-"), picture.outline)[0].format.name == "BMP"
    with pytest.raises(WriteError, match="format"):
        resolve_target("-").with_input_format("PSD")


def test_alpha_needs_a_format_or_a_background(tmp_path):
    pixels = noise((4, 4, 4))
    with pytest.raises(WriteError, match=r"JPEG has no transparency.*background"):
        rewritten(pixels, tmp_path / "a.jpg")
    assert list(tmp_path.iterdir()) == []
    assert not rewritten(pixels, tmp_path / "a.jpg", background="white").alpha


def test_background_is_seen_through(tmp_path):
    pixels = np.zeros((1, 3, 4), np.uint8)
    pixels[0, :, 0] = 200
    pixels[0, :, 3] = (0, 51, 255)
    picture = rewritten(pixels, tmp_path / "a.png", background="0,100,255")
    np.testing.assert_array_equal(picture.pixels, [[[0, 100, 255], [40, 80, 204], [200, 0, 0]]])


def test_write_takes_paths_and_arrays(tmp_path):
    pixels = noise((4, 5, 3), np.uint16)
    write(tmp_path / "a.png", pixels)
    write(str(tmp_path / "b.tif"), read(tmp_path / "a.png"))
    np.testing.assert_array_equal(read(tmp_path / "b.tif").pixels, pixels)
    with pytest.raises(UsageError, match="suffix"):
        write(tmp_path / "a.docx", pixels)
    with pytest.raises(ValueError, match=r"samples of int64; convert it with astype\('float64'\)"):
        write(tmp_path / "a.tif", pixels.astype(np.int64))
    with pytest.raises(ValueError, match="1 to 4"):
        write(tmp_path / "a.png", np.zeros((4, 4, 5), np.uint8))


def test_frames_need_a_format(tmp_path):
    picture = Picture([Frame(noise((4, 4))), Frame(noise((4, 4)))], "gray")
    with pytest.raises(WriteError, match="frame=N"):
        write(resolve_target(tmp_path / "a.jpg"), picture)


def test_colour_model_must_fit(tmp_path):
    with pytest.raises(WriteError, match="PGM cannot hold a colour picture"):
        rewritten(noise((4, 4, 3)), tmp_path / "a.pgm")
    picture = Picture([Frame(noise((4, 4, 4)))], "cmyk")
    with pytest.raises(WriteError, match="PNG cannot hold a CMYK picture"):
        write(resolve_target(tmp_path / "a.png"), picture)
    write(resolve_target(tmp_path / "a.tif"), picture)
    again = read(tmp_path / "a.tif")
    np.testing.assert_array_equal(again.pixels, picture.pixels)
    assert (again.model, again.alpha) == ("cmyk", False)


def test_largest_side_is_known_before_the_work():
    outline = Picture.from_array(np.zeros((1, 20000), np.uint8)).outline
    with pytest.raises(WriteError, match="16383"):
        check(resolve_target("a.webp"), outline)


@pytest.mark.parametrize("fmt", [fmt for fmt in formats.FORMATS if fmt.max_side < 2**31 - 1], ids=lambda fmt: fmt.name)
def test_a_picture_of_the_largest_side_is_written_and_read(fmt, tmp_path):
    for shape in ((1, fmt.max_side), (fmt.max_side, 1)):
        picture = Picture.from_array(noise(shape))
        target = resolve_target(tmp_path / f"a{fmt.suffixes[0]}")
        write(check(target, picture.outline)[0], picture)
        again = read(target.path)
        assert again.pixels.shape[:2] == shape


@pytest.mark.parametrize(
    "options",
    [{"quality": 0}, {"quality": 101}, {"subsampling": "4:1:0"}, {"compression": "max"}, {"strip": "some"}],
)
def test_options_out_of_range(options):
    with pytest.raises(ParameterError, match=next(iter(options))):
        WriteOptions(**options)


def test_background_that_is_no_colour():
    with pytest.raises(ParameterError, match="reddish"):
        check(resolve_target("a.png"), Picture.from_array(noise((2, 2, 4))).outline, WriteOptions(background="reddish"))


def test_pictures_go_down_a_pipe(capfdbinary):
    pixels = noise((8, 8, 3))
    write(Target("-", resolve_target("a.png").format), Picture.from_array(pixels))
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(capfdbinary.readouterr().out))), pixels)


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "webp", "gif"])
def test_the_same_picture_gives_the_same_bytes(tmp_path, suffix):
    pixels = noise((600, 700, 3))
    for threads in (1, 2, 5):
        rewritten(pixels, tmp_path / f"{threads}.{suffix}", threads=threads)
    first, *others = (path.read_bytes() for path in tmp_path.iterdir())
    assert all(other == first for other in others)


def test_a_format_written_with_less_than_was_read_says_so():
    outline = Outline(30, 20, "rgb", False, format="AVIF", dtype="uint16")
    _, (note,) = check(resolve_target("a.avif"), outline)
    assert note.startswith("AVIF holds 12 bits per sample, to which the 16-bit samples are rounded")
    assert check(resolve_target("a.avif"), replace(outline, dtype="uint8"))[1] == ()
    assert check(resolve_target("a.png"), outline)[1] == ()
    assert len(check(resolve_target("a.png"), replace(outline, dtype="float32"))[1]) == 1
