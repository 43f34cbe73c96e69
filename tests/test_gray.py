"""Grey results of pictures other than sRGB: luminance weights and tone curve of their profile."""

import io
import json
import struct
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms
from test_curves import curv, profile, rgb_profile

import convfilter as cf
from convfilter.cli.root import run
from convfilter.errors import WriteError
from convfilter.picture.frame import Frame
from convfilter.picture.metadata import icc, icc_curves, icc_write
from convfilter.picture.metadata.curves import SRGB, ParametricCurve
from convfilter.picture.metadata.metadata import Metadata
from convfilter.picture.options import WriteOptions
from convfilter.picture.picture import Picture
from convfilter.picture.read import read
from convfilter.picture.write import write
from convfilter.pipeline import Options, filter_file
from convfilter.pipeline.forecast import forecast
from convfilter.report import plan_text

pytestmark = pytest.mark.usefixtures("folder")

RNG = np.random.default_rng(17)
WIDE = ((0.7347, 0.2653), (0.1596, 0.8404), (0.0366, 0.0001), (0.3457, 0.3585))  # ROMM, whose white is D50
ROMM = icc_write.matrix_profile("ROMM", WIDE, ParametricCurve(1.8))
#: The second row of ROMM's matrix to XYZ (ISO 22028-2).
ROMM_WEIGHTS = np.array([0.2880, 0.7119, 0.0001])
#: Of Display P3 seen under D50, as its profile gives them.
DISPLAY_P3_WEIGHTS = np.array([0.2412, 0.6922, 0.0666])
BT601 = np.array([0.299, 0.587, 0.114])


def grey_of(pixels, profile=None, name="out.png", specs=("identity",), source="in.png", png=(), **options):
    picture = Picture.from_array(pixels)
    picture.metadata = Metadata(icc=profile, png=list(png))
    write(source, picture)
    write_options = WriteOptions(**{key: options.pop(key) for key in ("strip", "allow_loss") if key in options})
    report = filter_file(source, name, Options(specs, gray=True, write=write_options, **options))
    return read(name), report


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("channels", [3, 4])
def test_weights_and_curve_are_those_of_the_profile(dtype, channels):
    full = 1.0 if dtype is np.float32 else np.iinfo(dtype).max
    pixels = ((0.1 + 0.9 * RNG.random((19, 23, channels))) * full).astype(dtype)
    grey, report = grey_of(pixels, ROMM, "out.tif", source="in.tif")
    expected = pixels[..., :3] @ ROMM_WEIGHTS
    np.testing.assert_allclose(grey.pixels.reshape(19, 23, -1)[..., 0], expected, atol=0.5 + 2e-4 * full, rtol=0)
    if channels == 4:
        np.testing.assert_array_equal(grey.pixels[..., 1], pixels[..., 3])
    assert icc.model_of(grey.metadata.icc) == "gray"
    assert icc_curves.curve_of(grey.metadata.icc).gamma == pytest.approx(1.8, abs=1e-4)
    assert report.notes == ()


def test_neutral_colours_become_grey_of_the_same_appearance():
    pixels = np.full((4, 4, 3), 64, np.uint8)
    grey, _ = grey_of(pixels, ROMM)
    assert set(grey.pixels.flat) == {64}
    for name, mode in (("in.png", "RGB"), ("out.png", "L")):
        with Image.open(name) as image:
            assert image.mode == mode
            source = ImageCms.ImageCmsProfile(io.BytesIO(image.info["icc_profile"]))
            shown = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
            np.testing.assert_allclose(np.asarray(shown), 81, atol=1)


def test_a_curve_in_a_table_is_taken_over():
    table = curv(*(int(65535 * (value / 63) ** 2.2) for value in range(64)))
    made = profile(dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), table))
    grey, _ = grey_of(RNG.integers(0, 256, (5, 6, 3), np.uint8), made)
    assert icc.tags(grey.metadata.icc)[b"kTRC"] == table


@pytest.mark.parametrize("made", [None, icc_write.matrix_profile("s", WIDE, SRGB), rgb_profile(curv())])
def test_grey_of_the_usual_curve_needs_no_profile(made):
    pixels = RNG.integers(0, 256, (9, 8, 3), np.uint8)
    grey, _ = grey_of(pixels, made)
    is_linear = made is not None and icc_curves.curve_of(made) is not SRGB
    assert (grey.metadata.icc is not None) == is_linear
    weights = ROMM_WEIGHTS if made and not is_linear else BT601
    np.testing.assert_allclose(grey.pixels, pixels @ weights, atol=0.51)


def test_filters_see_the_luminance():
    pixels = RNG.integers(0, 256, (16, 18, 3), np.uint8)
    real = (pixels / 255 @ ROMM_WEIGHTS).astype(np.float32)
    for spec, options in (
        ("gaussian:1.5,padding_mode=constant,padding_value=51", {}),
        ("sobel:x", {}),
        ("identity:offset=0.25,scale=0.5", {}),
        ("box:3", {"linear": True}),
    ):
        grey, _ = grey_of(pixels, ROMM, specs=[spec], **options)
        light = (pixels / 255.0) ** 1.8 @ ROMM_WEIGHTS if options else real
        expected = cf.apply(light.astype(np.float32), spec.replace("=51", "=0.2"))
        expected = expected ** (1 / 1.8) if options else np.abs(expected)
        np.testing.assert_allclose(grey.pixels, expected.clip(0, 1) * 255, atol=0.55)


def test_code_points_count_as_a_profile_does():
    pixels = RNG.integers(0, 256, (9, 8, 3), np.uint8)
    display_p3 = [(b"cICP", bytes([12, 13, 0, 1]))]
    for name in ("out.png", "out.tif"):
        grey, report = grey_of(pixels, None, name, png=display_p3)
        np.testing.assert_allclose(grey.pixels, pixels @ DISPLAY_P3_WEIGHTS, atol=0.55)
        assert report.notes == ()
        assert grey.metadata.icc is None if name == "out.png" else icc_curves.curve_of(grey.metadata.icc) is SRGB
    gamma = [
        (b"gAMA", struct.pack(">I", 100000)),
        (b"cHRM", struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)),
    ]
    grey, _ = grey_of(pixels, None, "out.tif", png=gamma)
    assert icc_curves.curve_of(grey.metadata.icc).gamma == pytest.approx(1)
    np.testing.assert_allclose(grey.pixels, pixels @ BT601, atol=0.51)


def test_a_profile_without_one_curve_is_an_error():
    pixels = RNG.integers(0, 256, (9, 8, 3), np.uint8)
    curves = {b"rTRC": curv(256), b"gTRC": curv(2 * 256), b"bTRC": curv(256)}
    for made in (profile(curves), profile({b"A2B0": bytes(32)})):
        with pytest.raises(WriteError, match=r"no single tone curve .*allow_loss=True"):
            grey_of(pixels, made)
        assert not Path("out.png").exists()
        assert grey_of(pixels, made, allow_loss=True)[0].metadata.icc is None
        Path("out.png").unlink()
        assert grey_of(pixels, made, strip="all")[0].metadata.icc is None
        Path("out.png").unlink()
    with pytest.raises(WriteError, match="shown wrong"):
        grey_of(pixels, ROMM, "out.bmp")


def test_one_map_of_a_layer_keeps_the_curve():
    pixels = RNG.integers(0, 256, (9, 8, 3), np.uint8)
    np.save("mean.npy", np.full((1, 3, 1, 1), 1 / 3))
    write("in.png", Picture([Frame(pixels)], metadata=Metadata(icc=ROMM)))
    filter_file("in.png", "out.png", Options(["layer:mean.npy"]))
    assert icc.model_of(read("out.png").metadata.icc) == "gray"


def test_every_page_keeps_its_curve():
    made = [icc_write.matrix_profile("page", WIDE, ParametricCurve(gamma)) for gamma in (1.8, 2.2)]
    made += [profile({b"A2B0": bytes(32)}), None]
    with tifffile.TiffWriter("in.tif") as tiff:
        for each in made:
            tiff.write(np.full((6, 5, 3), 64, np.uint8), photometric="rgb", iccprofile=each)
    (note,) = filter_file("in.tif", "out.tif", Options(["identity"], gray=True)).notes
    assert "colours have become grey" in note
    with tifffile.TiffFile("out.tif") as tiff:
        found = [page.tags[34675].value if 34675 in page.tags else b"" for page in tiff.pages]
    assert [icc.model_of(each) for each in found] == ["gray", "gray", None, None]
    assert icc_curves.curve_of(found[1]).gamma == pytest.approx(2.2, abs=1e-4)


@pytest.mark.parametrize("made", [ROMM, None], ids=["wide", "srgb"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("channels", [3, 4])
def test_the_plan_is_that_of_the_run(made, dtype, channels, capsys):
    picture = Picture.from_array(np.zeros((19, 23, channels), dtype))
    picture.metadata = Metadata(icc=made)
    write("in.tif", picture)
    specs = ["gaussian:4,padding_mode=constant,padding_value=0.5", "sobel:x,map=offset"]
    (plan,) = forecast("in.tif", Options(specs, gray=True)).plans
    assert run(["plan", *(word for spec in specs for word in ("-f", spec)), "--gray", "--json", "in.tif"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(json.dumps(plan_text.as_json(plan)))


def test_a_plan_of_weighted_colours_is_explored_only_in_a_run(capsys):
    picture = Picture.from_array(np.zeros((19, 23, 3), np.float32))
    picture.metadata = Metadata(icc=ROMM)
    write("in.tif", picture)
    assert run(["plan", "-f", "box:3", "--gray", "--explore", "page.html", "in.tif"]) == 0
    assert "weighted colours" in Path("page.html").read_text()


@pytest.mark.parametrize("model", ["cmyk", "extras"])
def test_a_plan_without_a_luminance_is_refused_as_the_run_is(model, capsys):
    pixels = np.zeros((6, 5, 4 if model == "cmyk" else 5), np.uint8)
    tifffile.imwrite("in.tif", pixels, photometric="separated" if model == "cmyk" else "rgb")
    assert run(["plan", "-f", "box:3", "--gray", "in.tif"]) == 1
    refusal = capsys.readouterr().err
    assert "no luminance" in refusal
    assert run(["blur", "--box", "3", "--gray", "in.tif", "out.tif"]) == 1
    assert capsys.readouterr().err == refusal
