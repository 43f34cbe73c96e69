"""Samples that float32 does not hold, outside TIFF to TIFF: other formats, arrays, masks, linear light, comparisons."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
import reference
import tifffile
from wides import FILES, NATIVE, noise, stored

import convfilter as cf
from convfilter import pipeline
from convfilter.cli.root import run
from convfilter.errors import PictureError, ReadError, WriteError
from convfilter.executor.masked import Masking
from convfilter.picture.options import WriteOptions
from convfilter.report.thumbnails import thumbnail
from convfilter.trial.request import StackRequest, ViewRequest
from convfilter.trial.scene import Scene

pytestmark = pytest.mark.usefixtures("folder")


def saved(name, pixels, *extratags, **options):
    kind = {
        "photometric": "rgb" if pixels.ndim == 3 else "minisblack",
        "metadata": None,
        "software": False,
        "extratags": extratags,
    }
    tifffile.imwrite(name, pixels, **(kind | options))
    return name


def filtered(source, target, *specs, **options):
    return pipeline.filter_file(source, target, pipeline.Options(specs=specs, **options))


# Other formats ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["int8", "int16", "int32", "uint32"])
@pytest.mark.parametrize(("name", "full"), [("out.png", 65535), ("out.bmp", 255)])
def test_white_becomes_white_in_formats_of_fewer_bits(dtype, name, full):
    white = np.iinfo(dtype).max
    pixels = np.maximum(noise(dtype, (9, 7)), 0)
    pixels[0, :3] = 0, white // 3, white
    full = 255 if dtype == "int8" else full
    (note,) = filtered(saved("in.tif", pixels), name, "identity").notes
    told = f"holds no signed 8-bit samples; {white} becomes white" if dtype == "int8" else "bits per sample"
    assert told in note or (dtype == "int16" and "32767 becomes white" in note)
    exact = stored(reference.exact(pixels.astype(object)) * full / white, "uint16")
    np.testing.assert_array_equal(cf.read(name).pixels, exact)
    (same,) = cf.write(name, cf.read("in.tif"))
    assert same == note
    np.testing.assert_array_equal(cf.read(name).pixels, exact)


@pytest.mark.parametrize("dtype", ["int8", "int16", "int32", "float64"])
def test_negative_samples_cannot_become_a_picture_of_few_bits(dtype):
    white = reference.full_scale(dtype)
    pixels = np.array([[0, white, white * -1 // 4]], dtype)
    saved("in.tif", pixels)
    for write in (
        lambda **o: filtered("in.tif", "out.png", "identity", write=WriteOptions(**o)),
        lambda **o: cf.write("out.png", cf.read("in.tif"), WriteOptions(**o)),
    ):
        with pytest.raises(WriteError, match=rf"PNG holds values from 0 \(black\) to {white} \(white\), the picture's"):
            write()
        write(allow_loss=True)
        got = cf.read("out.png").pixels
        assert got.tolist() == [[0, np.iinfo(got.dtype).max, 0]]


@pytest.mark.parametrize("dtype", ["int8", "int16", "int32"])
def test_signed_samples_keep_their_values_as_floats(dtype):
    pixels = noise(dtype, (9, 7))
    (note,) = filtered(saved("in.tif", pixels), "out.pfm", "identity").notes
    told = "are rounded" if dtype == "int32" else "they become floats of the same values"
    assert told in note
    got = cf.read("out.pfm").pixels
    np.testing.assert_array_equal(got, pixels.astype(np.float32))
    assert cf.write("again.pfm", cf.read("in.tif")) == (note,)
    np.testing.assert_array_equal(cf.read("again.pfm").pixels, got)


def test_unsigned_samples_and_floats_have_white_at_1():
    pixels = noise("uint32", (9, 7))
    (note,) = filtered(saved("in.tif", pixels), "out.pfm", "identity").notes
    assert (
        note == "PFM holds 32 bits per sample, to which the 32-bit samples are rounded; use tiff or fits to keep them"
    )
    np.testing.assert_array_equal(cf.read("out.pfm").pixels, (pixels / (2**32 - 1)).astype(np.float32))
    pixels = noise("float64", (9, 7))
    (note,) = filtered(saved("in.tif", pixels), "out.pfm", "identity").notes
    assert "32 bits per sample, to which the 64-bit floating-point samples are rounded" in note
    np.testing.assert_array_equal(cf.read("out.pfm").pixels, pixels.astype(np.float32))


@pytest.mark.parametrize("dtype", FILES)
def test_arrays_go_into_files_as_they_are(dtype):
    for shape in ((9, 7), (9, 7, 3)):
        pixels = noise(dtype, shape)
        assert cf.write("out.tif", pixels) == ()
        got = tifffile.imread("out.tif")
        assert got.dtype == dtype
        np.testing.assert_array_equal(got, pixels)
        picture = cf.read("out.tif")
        np.testing.assert_array_equal(picture.pixels, pixels)
        np.testing.assert_array_equal(
            cf.apply(picture, "maxpool:3,stride=1,padding=1"), reference.max_pool(pixels, 3, 1, 1)
        )


# Results that are no pictures -------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", FILES)
def test_npy_holds_unrounded_values_in_float64(dtype):
    pixels = noise(dtype, (12, 14))
    filtered(saved("in.tif", pixels), "out.npy", "box:3")
    got = np.load("out.npy")
    assert got.dtype == np.float64
    exact = reference.box_blur(reference.real(pixels), 3)
    exact = exact / (2**32 - 1) if dtype == "uint32" else exact
    np.testing.assert_allclose(got.reshape(exact.shape), exact, rtol=1e-12, atol=1e-10)


@pytest.mark.parametrize("dtype", FILES)
def test_maps_are_pages_of_float64(dtype):
    weight = np.random.default_rng(3).normal(0, 1, (5, 1, 3, 3)).astype(np.float32)
    np.savez("layer.npz", weight=weight)
    pixels = noise(dtype, (12, 14))
    filtered(saved("in.tif", pixels), "out.tif", "layer:layer.npz")
    got = tifffile.imread("out.tif")
    assert got.dtype == np.float64
    real = reference.real(pixels) / (2**32 - 1 if dtype == "uint32" else 1)
    for number in range(5):
        exact = reference.correlate(real, weight[number, 0].astype(float), padding_mode="constant")
        np.testing.assert_allclose(got[number], exact, rtol=0, atol=1e-12 * np.abs(real).max() * 30)


@pytest.mark.parametrize("dtype", NATIVE)
def test_chunks_of_a_stack_are_those_of_the_whole(dtype):
    da = pytest.importorskip("dask.array")
    from convfilter import dask as cfd

    pixels = noise(dtype, (60, 70, 3))
    specs = ("gaussian:1.5", "kernel:1 2 0;3 -1 5;2 2 -7,scale=0.125", "maxpool:2")
    got = cfd.apply(da.from_array(pixels, chunks=(17, 23, 3)), *specs).compute()
    np.testing.assert_array_equal(got, cf.apply(pixels, *specs))


@pytest.mark.parametrize("dtype", NATIVE)
def test_a_rectangle_of_a_stack_has_the_bits_of_the_whole(dtype):
    from convfilter.executor.region import run_region
    from convfilter.filters import stack
    from convfilter.planning import plan_stack

    pixels = noise(dtype, (60, 70, 3))
    plan = plan_stack(stack.stages(["gaussian:1.5", "box:3"]), pixels.shape, pixels.dtype)
    part = run_region(plan, pixels, (11, 35), (20, 51), pixels.dtype)
    np.testing.assert_array_equal(part, cf.apply(pixels, "gaussian:1.5", "box:3")[11:35, 20:51])


# Missing data -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("dtype", "nodata"), [("int16", -9999), ("int32", -9999), ("int8", -128), ("float64", -1e38)])
@pytest.mark.parametrize("spec", ["box:3", "maxpool:3,stride=1,padding=1", "erode:3"])
def test_missing_data_of_both_signs_do_not_count(dtype, nodata, spec):
    pixels = noise(dtype, (20, 21)) // 2
    holes = np.random.default_rng(1).random((20, 21)) < 0.2
    pixels[holes] = nodata
    saved("in.tif", pixels, (42113, 2, None, str(nodata), True))
    filtered("in.tif", "out.tif", spec, masking=Masking("nodata"))
    with tifffile.TiffFile("out.tif") as tiff:
        got, said = tiff.asarray(), tiff.pages[0].tags[42113].value
    assert got.dtype == dtype and said == str(nodata)
    counts = np.pad((~holes).astype(int), 1, mode="edge" if spec != "maxpool:3,stride=1,padding=1" else "constant")
    values = np.pad(np.where(holes, 0, pixels.astype(object)), 1, mode="edge")
    for row in range(20):
        for col in range(21):
            there = counts[row : row + 3, col : col + 3].astype(bool)
            seen = values[row : row + 3, col : col + 3][there]
            if spec == "box:3" and dtype == "float64":
                exact = np.mean(seen.astype(float)) if seen.size else None
            else:
                functions = {"box:3": lambda v: reference.exact([v.sum()])[0] / v.size, "maxp": np.max, "erod": np.min}
                exact = functions[spec[:4] if spec != "box:3" else spec](seen) if seen.size else None
            if holes[row, col] and not spec.startswith("maxpool"):
                assert got[row, col] == np.dtype(dtype).type(nodata)
            elif dtype == "float64":
                assert got[row, col] == pytest.approx(exact, abs=1e-9)
            else:
                # The mean of what counts is a quotient of two sums; only a tie can be rounded the other way.
                assert abs(int(got[row, col]) - exact) <= (0.5 + 1e-6 if spec == "box:3" else 0)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", *NATIVE])
def test_masks_leave_stacks_of_filters_exact(dtype):
    pixels = noise(dtype, (20, 21))
    mask = np.ones((20, 21))
    mask[5, 6] = 0
    plain = cf.apply(pixels, "box:3", "box:3")
    masked = cf.apply(pixels, "box:3", "box:3", mask=mask)
    np.testing.assert_allclose(masked[10:], plain[10:], rtol=1e-14 if dtype == "float64" else 0, atol=1e-12)


# The rest ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["int8", "int16", "int32"])
def test_measurements_have_no_linear_light(dtype):
    saved("in.tif", noise(dtype, (9, 7, 3)))
    with pytest.raises(PictureError, match=f"signed samples \\({dtype}\\) are measurements, not light"):
        filtered("in.tif", "out.tif", "box:3", linear=True)


@pytest.mark.parametrize("dtype", ["uint32", "float64"])
def test_light_is_linear_in_float64(dtype):
    white = reference.full_scale(dtype)
    pixels = (np.random.default_rng(2).random((12, 14, 3)) * white).astype(dtype)
    filtered(saved("in.tif", pixels), "out.tif", "box:3", linear=True)
    encoded = pixels / white
    light = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    mean = reference.box_blur(light, 3)
    exact = np.where(mean <= 0.0031308, 12.92 * mean, 1.055 * mean ** (1 / 2.4) - 0.055) * white
    assert np.abs(tifffile.imread("out.tif") - exact).max() <= 1e-9 * white


def test_background_shows_through_at_full_depth():
    pixels = noise("uint32", (12, 14, 4))
    saved("in.tif", pixels, photometric="rgb", extrasamples=["unassalpha"])
    filtered("in.tif", "out.tif", "identity", write=WriteOptions(background="#3f0"))
    white = 2.0**32 - 1
    alpha = pixels[..., 3:] / white
    exact = pixels[..., :3] * alpha + np.array([0.2, 1, 0]) * white * (1 - alpha)
    got = tifffile.imread("out.tif")
    assert got.dtype == np.uint32 and np.abs(got - exact).max() <= 0.5 + 1e-5


@pytest.mark.parametrize("dtype", FILES)
def test_files_are_compared_in_their_own_numbers(dtype, capfd):
    pixels = noise(dtype, (16, 20)) // 2
    other = pixels.copy()
    other[3, 7] += 5
    saved("a.tif", pixels)
    saved("b.tif", other)
    assert run(["compare", "a.tif", "b.tif", "--json", "--difference", "d.tif"]) == 0
    facts = json.loads(capfd.readouterr().out)
    assert (facts["largest"], facts["column"], facts["row"]) == (pytest.approx(5), 7, 3)
    white = reference.full_scale(dtype)
    assert facts["psnr"] == pytest.approx(10 * np.log10(white**2 * 320 / 25))
    shown = tifffile.imread("d.tif")
    assert np.count_nonzero(shown) == 1 and shown[3, 7] > 0


@pytest.mark.parametrize("dtype", FILES)
def test_info_and_plan_name_the_type(dtype, capfd):
    saved("in.tif", noise(dtype, (16, 20)))
    assert run(["info", "in.tif"]) == 0
    assert f"gray, {dtype}\n" in capfd.readouterr().out
    assert run(["plan", "-f", "box:3", "in.tif"]) == 0
    computed = {"int8": "int16", "int32": "float64"}.get(dtype, dtype)
    assert f"1 channel, {computed}\n" in capfd.readouterr().out
    if dtype == computed:
        assert run(["plan", "-f", "box:3", "--size", "20x16", "--channels", "1", "--depth", dtype]) == 0
        assert f"1 channel, {dtype}\n" in capfd.readouterr().out


@pytest.mark.parametrize("dtype", FILES)
def test_pages_and_reports_show_the_range_of_measurements(dtype):
    pixels = noise(dtype, (16, 20))
    made = thumbnail(pixels, "gray", False, side=100, most_bytes=100_000)
    assert made.levels == (pixels.min(), pixels.max())
    saved("in.tif", pixels)
    assert run(["blur", "--box", "3", "--html", "page.html", "in.tif", "out.tif"]) == 0
    assert "black is" in Path("page.html").read_text()


@pytest.mark.parametrize("dtype", FILES)
def test_batches_and_luminance(dtype):
    Path("in").mkdir()
    pixels = [noise(dtype, (16, 20, 3), seed) for seed in range(3)]
    for number, each in enumerate(pixels):
        saved(f"in/{number}.tif", each)
    assert run(["blur", "--box", "3", "--gray", "--jobs", "2", "in", "out/"]) == 0
    for number, each in enumerate(pixels):
        luminance = each.astype(object) @ np.array([299, 587, 114], dtype=object)
        exact = reference.box_sum(reference.exact(luminance), 3) / 9000
        got = tifffile.imread(f"out/{number}.tif")
        if dtype == "float64":
            np.testing.assert_allclose(got, exact.astype(float), rtol=0, atol=1e-10)
        else:
            np.testing.assert_array_equal(got, stored(exact, dtype))


def test_integers_that_float64_does_not_hold_leave_the_old_file(tmp_path):
    pixels = np.full((9, 7), 2**60 + 1, np.int64)
    saved("in.tif", pixels)
    saved("out.tif", noise("uint8", (3, 3)))
    with pytest.raises(ReadError, match="beyond 2"):
        filtered("in.tif", "out.tif", "box:3")
    assert tifffile.imread("out.tif").shape == (3, 3)


@pytest.mark.parametrize("dtype", FILES)
def test_sliders_show_measurements(dtype):
    from PIL import Image

    pixels = noise(dtype, (30, 40))
    scene = Scene(saved("in.tif", pixels), "out.tif")
    data, facts = scene.view(StackRequest(("box:3",)), ViewRequest(fits=True, left=0, top=0, width=40, height=30))
    assert facts["kind"] == f"gray {dtype}"
    with Image.open(io.BytesIO(data)) as image:
        shown = np.asarray(image).astype(float)
    means = reference.box_blur(reference.real(pixels), 3)
    if dtype != "float64":
        means = np.rint(means)
    assert np.abs(shown - (means - means.min()) / (means.max() - means.min()) * 255).max() <= 0.5 + 1e-6
