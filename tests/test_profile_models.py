"""Colour profiles in files whose picture has another colour model."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms
from samples import noise

from convfilter.cli.root import run
from convfilter.errors import ReadError
from convfilter.picture.metadata import icc, icc_curves, icc_write
from convfilter.picture.metadata.curves import SRGB, ParametricCurve
from convfilter.picture.options import ReadOptions
from convfilter.picture.read import read
from convfilter.pipeline import Options, filter_file

pytestmark = pytest.mark.usefixtures("folder")

GREY = icc_write.gray_profile("Grey 1.8", ParametricCurve(1.8))
#: The primaries of sRGB do not matter here.
RGB = icc_write.matrix_profile(
    "RGB 1.8", ((0.64, 0.33), (0.3, 0.6), (0.15, 0.06), (0.3127, 0.329)), ParametricCurve(1.8)
)
LAB = icc_write.gray_profile("Lab", SRGB).replace(b"GRAY", b"Lab ")


def saved(name, mode, profile):
    channels = len(Image.new(mode, (1, 1)).getbands())
    shape = (12, 16, channels) if channels > 1 else (12, 16)
    options = {"lossless": True} if name.endswith("webp") else {}
    Image.frombytes(mode, (16, 12), noise(shape).tobytes()).save(name, icc_profile=profile, **options)


@pytest.mark.parametrize(
    ("name", "mode", "profile", "note"),
    [
        ("in.jpg", "CMYK", RGB, "(RGB 1.8) describes RGB pictures, this one is CMYK"),
        ("in.tif", "CMYK", GREY, "(Grey 1.8) describes grey pictures, this one is CMYK"),
        ("in.png", "RGB", GREY, "(Grey 1.8) describes grey pictures, this one is RGB"),
        ("in.webp", "RGB", GREY, "(Grey 1.8) describes grey pictures, this one is RGB"),
        ("in.tif", "RGB", LAB, "(Lab) describes Lab pictures, this one is RGB"),
        ("in.png", "L", LAB, "(Lab) describes Lab pictures, this one is grey"),
    ],
)
def test_a_profile_of_another_model_is_left_out_with_a_note(name, mode, profile, note, capsys):
    saved(name, mode, profile)
    whole = f"the colour profile {note}; the profile is left out"
    assert whole in filter_file(name, f"out{Path(name).suffix}", Options(["box:3"])).notes
    assert read(f"out{Path(name).suffix}").metadata.icc is None
    assert run(["info", name]) == 0
    assert f"note         {whole}" in capsys.readouterr().out
    with pytest.raises(ReadError, match="describes"):
        read(name, ReadOptions(strict=True))


def test_a_profile_without_a_signature_is_left_out_with_a_note():
    saved("in.tif", "RGB", bytes(200))
    notes = filter_file("in.tif", "out.tif", Options(["box:3"])).notes
    assert notes == ("the colour profile is damaged and is left out",)


@pytest.mark.parametrize("numbers", [(1, 2, 3), (3, 1, 2), (1, 3), (2, 3), (1, 1, 2, 3), ()])
def test_parts_of_a_profile_in_a_jpeg(numbers):
    """In any order; if some are missing or repeated, libjpeg reads no profile either."""
    saved("in.jpg", "RGB", None)
    data = Path("in.jpg").read_bytes()
    parts = [RGB[:200], RGB[200:300], RGB[300:]]
    segments = [b"ICC_PROFILE\0" + bytes([number, 3]) + parts[number - 1] for number in numbers]
    packed = b"".join(b"\xff\xe2" + (len(segment) + 2).to_bytes(2, "big") + segment for segment in segments)
    Path("in.jpg").write_bytes(data[:2] + packed + data[2:])
    notes = filter_file("in.jpg", "out.jpg", Options(["box:3"])).notes
    is_whole = sorted(numbers) == [1, 2, 3]
    assert read("out.jpg").metadata.icc == (RGB if is_whole else None)
    is_lost = bool(numbers) and not is_whole
    assert notes == (("parts of the colour profile are missing; it is left out",) if is_lost else ())


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif"])
def test_a_grey_picture_keeps_the_curve_of_an_rgb_profile(suffix):
    saved(f"in.{suffix}", "L", RGB)
    assert filter_file(f"in.{suffix}", f"out.{suffix}", Options(["box:3"])).notes == ()
    kept = read(f"out.{suffix}").metadata.icc
    assert icc.model_of(kept) == "gray"
    assert icc_curves.curve_of(kept).gamma == pytest.approx(1.8, abs=1e-4)


def test_a_grey_picture_cannot_keep_several_curves():
    curves = {name: icc.tags(RGB)[name] for name in (b"rTRC", b"gTRC")}
    other = icc.tags(icc_write.gray_profile("", ParametricCurve(2.4)))[b"kTRC"]
    saved("in.png", "L", RGB.replace(curves[b"rTRC"], other, 1).replace(b"bTRC", b"xTRC"))
    notes = filter_file("in.png", "out.png", Options(["box:3"])).notes
    assert notes == ("the colour profile (RGB 1.8) has no single tone curve for a grey picture and is left out",)
    assert read("out.png").metadata.icc is None


def test_a_grey_webp_gets_an_rgb_profile_that_shows_its_samples():
    saved("in.png", "L", GREY)
    filter_file("in.png", "out.webp", Options(["identity"]))
    with Image.open("out.webp") as image:
        colours = image.convert("RGB")
        source = ImageCms.ImageCmsProfile(io.BytesIO(image.info["icc_profile"]))
    assert icc.model_of(source.tobytes()) == "rgb"
    shown = np.asarray(ImageCms.profileToProfile(colours, source, ImageCms.createProfile("sRGB")))
    expected = SRGB.encode((np.asarray(colours)[..., 0] / 255) ** 1.8) * 255
    np.testing.assert_allclose(shown, np.repeat(expected[..., np.newaxis], 3, axis=2), atol=1.5)


def test_a_grey_gif_gets_an_rgb_profile_and_keeps_its_curve():
    saved("in.png", "L", GREY)
    filter_file("in.png", "out.gif", Options(["identity"]))
    assert b"ICCRGBG1" in Path("out.gif").read_bytes()
    assert b"mntrRGB XYZ " in Path("out.gif").read_bytes()
    filter_file("out.gif", "again.png", Options(["identity"]))
    assert icc_curves.curve_of(read("again.png").metadata.icc).gamma == pytest.approx(1.8, abs=1e-4)
