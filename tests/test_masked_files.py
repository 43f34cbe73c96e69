"""Masks from files: small ones are held, the rows of large ones are read with those of the picture."""

import numpy as np
import pytest
from PIL import Image

import convfilter as cf
from convfilter.cli.root import run
from convfilter.picture.frame import Frame
from convfilter.picture.metadata import icc_write
from convfilter.picture.metadata.curves import ParametricCurve
from convfilter.picture.metadata.metadata import Metadata
from convfilter.picture.picture import Picture
from convfilter.picture.write import write
from convfilter.pipeline import mask_file

SHAPE = (300, 140)


@pytest.fixture
def large(monkeypatch):
    """Read the rows of every mask with those of its picture, never the whole mask."""
    monkeypatch.setattr(mask_file, "LEAST_PIXELS", 1)

    def decoded(_self):
        raise AssertionError("the whole mask is decoded")

    monkeypatch.setattr(mask_file.MaskFile, "decoded", decoded)


def given(folder, name="mask.png", channels=0, dtype=np.uint8):
    """Write a picture and a mask; return the picture and which pixels the mask keeps."""
    rng = np.random.default_rng(6)
    image, counts = rng.integers(1, 256, (*SHAPE, 3), np.uint8), rng.random(SHAPE) > 0.1
    counts[100:180, 30:70] = False
    cf.write(str(folder / "in.png"), image)
    mask = np.where(counts, rng.integers(1, 200, SHAPE), 0).astype(dtype)
    if channels:
        mask = np.stack([mask, np.zeros_like(mask), mask // 2, np.ones_like(mask)][:channels], axis=2)
    cf.write(str(folder / name), mask)
    return image, counts


def done(folder, *options, mask="mask.png", out="out.png", names=("in.png",)):
    return run(
        ["apply", "-f", "box:5", "-f", "median:3", "--overwrite", "-v", "--mask", str(folder / mask), *options,
         *(str(folder / name) for name in names), str(folder / out)]
    )  # fmt: skip


@pytest.mark.parametrize("channels", [0, 3, 4])
@pytest.mark.parametrize("name", ["mask.png", "mask.tif", "mask.ppm"])
@pytest.mark.parametrize("threads", ["1", "2"])
def test_the_rows_of_a_large_mask_are_read_with_those_of_the_picture(tmp_path, capsys, large, name, channels, threads):
    if name == "mask.ppm":
        name, channels = ("mask.pgm", 0) if channels == 0 else ("mask.ppm", 3)
    image, counts = given(tmp_path, name, channels, np.uint16)
    assert done(tmp_path, "--fill", "--threads", threads, mask=name) == 0
    assert "whole" not in capsys.readouterr().err
    expected = cf.apply(image, "box:5", "median:3", mask=counts, fill=True)
    np.testing.assert_array_equal(np.asarray(cf.read(str(tmp_path / "out.png"))), expected)


@pytest.mark.parametrize("options", [(), ("--ignore", "7"), ("--fill", "--ignore", "7")])
def test_a_mask_goes_with_an_ignored_value_and_with_several_pictures(tmp_path, large, options):
    image, counts = given(tmp_path)
    cf.write(str(tmp_path / "other.png"), image[::-1].copy())
    (tmp_path / "out").mkdir()
    assert done(tmp_path, *options, names=("in.png", "other.png"), out="out") == 0
    how = {"fill": "--fill" in options, **({"ignore": 7} if "--ignore" in options else {})}
    for name, pixels in (("in.png", image), ("other.png", image[::-1])):
        expected = cf.apply(pixels, "box:5", "median:3", mask=counts, **how)
        np.testing.assert_array_equal(np.asarray(cf.read(str(tmp_path / "out" / name))), expected)


def test_a_stage_that_needs_all_rows_decodes_the_whole_mask(tmp_path, monkeypatch):
    monkeypatch.setattr(mask_file, "LEAST_PIXELS", 1)
    image, counts = given(tmp_path)
    names = str(tmp_path / "in.png"), str(tmp_path / "out.png")
    assert run(["apply", "-f", "normalize", "--mask", str(tmp_path / "mask.png"), *names]) == 0
    np.testing.assert_array_equal(np.asarray(cf.read(names[1])), cf.apply(image, "normalize", mask=counts))


def test_a_mask_is_decoded_once_for_all_frames(tmp_path, monkeypatch):
    monkeypatch.setattr(mask_file, "LEAST_PIXELS", 1)
    image, counts = given(tmp_path)
    decoded, times = mask_file.MaskFile.decoded, []
    monkeypatch.setattr(mask_file.MaskFile, "decoded", lambda mask: times.append(mask) or decoded(mask))
    frames = [image, image[::-1].copy(), image // 2]
    Image.fromarray(frames[0]).save(
        tmp_path / "in.tif", save_all=True, append_images=[Image.fromarray(each) for each in frames[1:]]
    )
    assert done(tmp_path, names=("in.tif",), out="out.tif") == 0
    with Image.open(tmp_path / "out.tif") as out:
        for number, frame in enumerate(frames):
            out.seek(number)
            np.testing.assert_array_equal(np.asarray(out), cf.apply(frame, "box:5", "median:3", mask=counts))
    assert len(times) == 1


@pytest.mark.parametrize("least", [1, 2**22])
@pytest.mark.parametrize("name", ["mask.png", "mask.tif"])
def test_damage_late_in_a_mask_leaves_the_old_output(tmp_path, capsys, monkeypatch, least, name):
    monkeypatch.setattr(mask_file, "LEAST_PIXELS", least)
    given(tmp_path, name)
    assert done(tmp_path, mask=name) == 0
    before = (tmp_path / "out.png").read_bytes()
    content = bytearray((tmp_path / name).read_bytes())
    if name == "mask.png":
        content[-40:-20] = bytes(20)
    else:
        content = content[: 3 * len(content) // 4]
    (tmp_path / name).write_bytes(content)
    capsys.readouterr()
    assert done(tmp_path, mask=name) == 1
    assert name in capsys.readouterr().err
    assert (tmp_path / "out.png").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["in.png", name, "out.png"])


@pytest.mark.parametrize("least", [1, 2**22])
def test_a_mask_of_another_size_or_none_is_refused(tmp_path, capsys, monkeypatch, least):
    monkeypatch.setattr(mask_file, "LEAST_PIXELS", least)
    given(tmp_path)
    cf.write(str(tmp_path / "mask.png"), np.ones((300, 141), np.uint8))
    assert done(tmp_path) == 2
    assert "mask.png must be as large as the picture, 140x300, got 141x300" in capsys.readouterr().err
    (tmp_path / "mask.png").write_bytes(b"no picture at all")
    assert done(tmp_path) in (1, 2)
    assert "mask.png" in capsys.readouterr().err
    assert not (tmp_path / "out.png").exists()


def test_a_mask_of_several_frames_is_refused(tmp_path, capsys):
    """Its further frames would be left out without a word."""
    given(tmp_path)
    frame = Image.fromarray(np.ones(SHAPE, np.uint8))
    frame.save(tmp_path / "mask.tif", save_all=True, append_images=[frame])
    assert done(tmp_path, mask="mask.tif") == 2
    assert "mask.tif: a mask is one picture, got 2 frames" in capsys.readouterr().err


def test_the_quota_of_pixels_is_that_of_the_mask_too(tmp_path, capsys):
    given(tmp_path)
    assert done(tmp_path, "--max-pixels", "41999") == 1
    assert "mask.png: the picture is too large: 140x300 is 42000 pixels" in capsys.readouterr().err
    assert done(tmp_path, "--max-pixels", "42000") == 0


@pytest.mark.parametrize("least", [1, 2**22])
@pytest.mark.parametrize("name", ["in.png", "in.jpg"])
@pytest.mark.parametrize("option", [(), ("--no-auto-orient",)])
def test_masks_and_guides_are_oriented_as_pictures_are(tmp_path, monkeypatch, least, name, option):
    """A mask made from a picture with an EXIF orientation has that orientation, too."""
    monkeypatch.setattr(mask_file, "LEAST_PIXELS", least)
    exif = Image.Exif()
    exif[0x0112] = 6
    stored, counts = np.zeros(SHAPE, np.uint8), np.ones(SHAPE, bool)
    stored[:, 70:], counts[:40] = 200, False
    paths = [str(tmp_path / each) for each in (name, "mask.png", "out.png")]
    Image.fromarray(stored).save(paths[0], exif=exif)
    Image.fromarray(counts).save(paths[1], exif=exif)
    picture = cf.read(paths[0], cf.ReadOptions(auto_orient=not option)).pixels
    valid = counts if option else np.rot90(counts, -1)
    for spec in ("box:5", f"guided:2,guide={paths[1]}"):
        assert run(["apply", "-f", spec, "-y", "--mask", paths[1], *option, paths[0], paths[2]]) == 0
        expected = cf.apply(picture, spec, mask=valid) if spec == "box:5" else picture
        result = cf.read(paths[2], cf.ReadOptions(auto_orient=False)).pixels
        assert result.shape == expected.shape
        if spec == "box:5":
            np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize("what", ["mask", "guide"])
def test_the_advice_about_a_damaged_mask_or_guide_works(tmp_path, capsys, what):
    """--lenient is for pictures: the pixels that a mask has lost are neither to be ignored nor to be filtered."""
    given(tmp_path)
    path, out = tmp_path / "mask.png", str(tmp_path / "out.png")
    path.write_bytes(path.read_bytes()[:-2000])
    option = ("-f", "box:3", "--mask", str(path)) if what == "mask" else ("-f", f"guided:2,guide={path}")
    for lenient in ((), ("--lenient",)):
        assert run(["apply", *option, *lenient, str(tmp_path / "in.png"), out]) == 1
        said = capsys.readouterr().err
        assert "convert it to a file of its own first: there, --lenient decodes what is left" in said
    assert run(["apply", "-f", "identity", "--lenient", str(path), str(tmp_path / "whole.png")]) == 0
    path.unlink()
    (tmp_path / "whole.png").rename(path)
    assert run(["apply", *option, str(tmp_path / "in.png"), out]) == 0


@pytest.mark.parametrize("options", [(), ("--linear",)])
def test_a_mask_that_leaves_nothing_is_noted(tmp_path, capsys, options):
    """Also where rows are not streamed: the values to ignore are those before the conversion to linear light."""
    given(tmp_path)
    words = "every pixel is ignored, so nothing is filtered"
    ignore = ("--ignore", "300") if options else ()
    cf.write(str(tmp_path / "mask.png"), np.zeros(SHAPE, np.uint8))
    assert done(tmp_path, *options, *ignore) == 0
    assert capsys.readouterr().err.count(words) == 1
    assert not np.asarray(cf.read(str(tmp_path / "out.png"))).any()
    one = np.zeros(SHAPE, np.uint8)
    one[-1, -1] = 1
    cf.write(str(tmp_path / "mask.png"), one)
    assert done(tmp_path, *options, *ignore) == 0
    assert words not in capsys.readouterr().err


def test_frames_without_a_valid_pixel_are_named(tmp_path, capsys):
    frames = [Image.fromarray(np.full((30, 40), value, np.uint8)) for value in (9, 5, 9)]
    frames[0].save(tmp_path / "in.tif", save_all=True, append_images=frames[1:])
    names = str(tmp_path / "in.tif"), str(tmp_path / "out.tif")
    assert run(["blur", "--box", "3", "--ignore", "9", *names]) == 0
    assert "every pixel of frames 1, 3 is ignored" in capsys.readouterr().err


def test_arrays_and_pages_of_maps_leave_out_ignored_pixels(tmp_path):
    """Maps are what Python computes in floats, with white as 1."""
    image, counts = given(tmp_path)
    image[200:230, 50:90] = 7
    cf.write(str(tmp_path / "in.png"), image)
    np.save(tmp_path / "five.npy", np.random.default_rng(2).normal(size=(5, 3, 3, 3)))
    layer, names = f"layer:{tmp_path / 'five.npy'}", [str(tmp_path / name) for name in ("in.png", "out.npy", "out.tif")]
    masked = ("--mask", str(tmp_path / "mask.png"))
    for ignored, how in ((masked, {"mask": counts}), (("--ignore", "7"), {"ignore": 7})):
        for spec in ("box:5", layer):
            expected = cf.apply(image, spec, "relu", dtype=np.float32, **how) / np.float32(255)
            assert not np.array_equal(expected, cf.apply(image, spec, "relu", dtype=np.float32) / np.float32(255))
            assert run(["apply", "-f", spec, "-f", "relu", *ignored, names[0], names[1]]) == 0
            np.testing.assert_array_equal(np.load(names[1]), expected)
        assert run(["apply", "-f", spec, "-f", "relu", *ignored, names[0], names[2]]) == 0
        np.testing.assert_array_equal(np.stack([page.pixels for page in cf.read(names[2]).frames], axis=2), expected)


@pytest.mark.parametrize("spec", ["box:3", "median:3", "sobel:x", "open:3", "bilateral:2", "kirsch"])
def test_padding_of_nan_is_ignored_where_nan_is(tmp_path, spec):
    """As padding of any other ignored value: in arrays, files and chunks."""
    image = np.random.default_rng(4).random((40, 50)).astype(np.float32)
    image[3:6, 3:9] = np.nan
    numbers = np.where(np.isnan(image), np.float32(-9999), image)
    expected = cf.apply(numbers, spec, ignore=-9999, padding_value=-9999, padding=2)
    expected[expected == -9999] = np.nan
    np.testing.assert_array_equal(cf.apply(image, spec, ignore=np.nan, padding_value=np.nan, padding=2), expected)
    cf.write(str(tmp_path / "in.tif"), image)
    names = str(tmp_path / "in.tif"), str(tmp_path / "out.tif")
    options = ["--ignore", "nan", "--padding-value", "nan", "--padding", "2"]
    assert run(["apply", "-f", spec, *options, *names]) == 0
    np.testing.assert_array_equal(cf.read(names[1]).pixels, expected)
    da = pytest.importorskip("dask.array")
    from convfilter.dask import apply

    chunks = apply(da.from_array(image, chunks=17), spec, ignore=np.nan, padding_value=np.nan, padding=2)
    np.testing.assert_array_equal(chunks.compute(scheduler="synchronous"), expected)


def test_padding_of_nan_is_refused_where_it_is_not_ignored(tmp_path, capsys):
    image = np.ones((9, 9), np.float32)
    cf.write(str(tmp_path / "in.tif"), image)
    names = str(tmp_path / "in.tif"), str(tmp_path / "out.tif")
    for ignore in ([], ["--ignore", "7"]):
        assert run(["blur", "--box", "3", "--padding-value", "nan", *ignore, *names]) == 2
        assert "must be a finite number, got nan; --ignore nan leaves such padding out" in capsys.readouterr().err
    assert run(["plan", "-f", "box:3,padding_value=nan", "--size", "9"]) == 2
    da = pytest.importorskip("dask.array")
    from convfilter.dask import apply

    with pytest.raises(cf.ParameterError, match="padding_value must be a finite number, got nan"):
        apply(da.from_array(image), "box:3,padding_value=nan")
    for value in ("inf", "-nan"):
        assert run(["blur", "--box", "3", "--ignore", "nan", "--padding-value", value, *names]) == 2


@pytest.mark.parametrize("option", ["--linear", "--gray"])
def test_padding_of_the_ignored_value_is_ignored_in_converted_pictures(tmp_path, option):
    """As the picture is converted: its border is as if the padding were not there."""
    image = np.random.default_rng(4).integers(8, 256, (40, 50, 3), np.uint8)
    image[10:20, 10:20] = 7
    wide = (0.7347, 0.2653), (0.1596, 0.8404), (0.0366, 0.0001), (0.3457, 0.3585)
    metadata = Metadata(icc=icc_write.matrix_profile("wide", wide, ParametricCurve(1.8)))
    write(str(tmp_path / "in.png"), Picture([Frame(image)], metadata=metadata))
    results = []
    framed = np.pad(image, ((1, 1), (1, 1), (0, 0)), constant_values=7)
    for pixels, padding in ((image, ["--padding-value", "7"]), (framed, [])):
        write(str(tmp_path / "in.png"), Picture([Frame(pixels)], metadata=metadata))
        names = str(tmp_path / "in.png"), str(tmp_path / "out.png")
        assert run(["blur", "--box", "3", option, "--allow-loss", "-y", "--ignore", "7", *padding, *names]) == 0
        results.append(cf.read(names[1]).pixels)
    np.testing.assert_array_equal(results[0], results[1][1:-1, 1:-1])


def test_a_sheet_shows_ignored_pixels_as_black_and_stretches_the_others(tmp_path, capsys):
    row = np.array([[90, 7, 100, 140]], np.uint8)
    cf.write(str(tmp_path / "in.png"), np.repeat(row, 60, axis=0))
    names = str(tmp_path / "in.png"), str(tmp_path / "out.png")
    assert run(["apply", "-f", "scale:1", "--sheet", "--ignore", "7", *names]) == 0
    np.testing.assert_array_equal(np.asarray(cf.read(names[1]))[40, 4:8], [0, 0, 51, 255])
    cf.write(names[0], np.full((60, 60), 7, np.uint8))
    assert run(["apply", "-f", "scale:1", "--sheet", "--ignore", "7", *names]) == 0
    assert "every pixel is ignored" in capsys.readouterr().err
