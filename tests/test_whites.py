"""Samples of 9 to 15 bits, and PNMs of any largest value: their values are kept, or a note names the change."""

import io
import re

import imagecodecs
import numpy as np
import pytest
import tifffile

from convfilter import pipeline
from convfilter.executor.run import run_array
from convfilter.filters import stack
from convfilter.picture.frame import Frame
from convfilter.picture.options import WriteOptions
from convfilter.picture.picture import Picture
from convfilter.picture.place.target import resolve_target
from convfilter.picture.read import read
from convfilter.picture.write import write
from convfilter.planning import plan_stack
from convfilter.planning.plan_cache import cached_plan

FILTERS = (
    ["identity"],
    ["box:5"],
    ["box:4x2,stride=2"],
    ["gaussian:2"],
    ["gaussian:12"],
    ["sobel:magnitude"],
    ["laplacian"],
    ["maxpool:3"],
    ["minpool:3"],
    ["avgpool:3"],
    ["kernel:1 2 1; 0 3 0"],
    ["box:3", "box:3"],
    ["gaussian:1", "sobel:x"],
)


def noise(shape, white, seed=3):
    samples = np.random.default_rng(seed).integers(0, white + 1, shape)
    samples[2:9, 2:9] = white
    return samples.astype(np.uint8 if white < 256 else np.uint16)


def means(pixels, side):
    """Means of windows, with edge padding, rounded half to even."""
    around = [(side // 2, side // 2)] * 2 + [(0, 0)] * (pixels.ndim - 2)
    padded = np.pad(pixels.astype(np.int64), around, mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (side, side), axis=(0, 1))
    return np.rint(windows.sum(axis=(-2, -1)) / side**2)


# The engine


@pytest.mark.parametrize("white", [100, 4095])
@pytest.mark.parametrize("specs", FILTERS, ids="|".join)
def test_values_are_those_of_the_whole_type_clipped_at_white(specs, white):
    stages = stack.stages(specs)
    for shape, options in (((31, 40), {}), ((31, 40, 3), {}), ((31, 40, 3), {"gray": True})):
        pixels = noise(shape, white)
        whole = run_array(plan_stack(stages, shape, pixels.dtype, **options), pixels).pixels
        plan = plan_stack(stages, shape, pixels.dtype, white=white, out_white=white, **options)
        np.testing.assert_array_equal(run_array(plan, pixels).pixels, np.minimum(whole, white))


@pytest.mark.parametrize("out_dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("white", [100, 1023])
@pytest.mark.parametrize("specs", FILTERS, ids="|".join)
def test_white_becomes_white_by_one_rounding(specs, white, out_dtype):
    stages = stack.stages(specs)
    pixels = noise((31, 40, 3), white)
    plan = cached_plan(stages, pixels.shape, pixels.dtype, out_dtype=out_dtype, white=white)
    result = run_array(plan, pixels, out_dtype=out_dtype).pixels
    full = np.iinfo(out_dtype).max
    real = run_array(plan_stack(stages, pixels.shape, np.float32), pixels.astype(np.float32)).pixels.astype(float)
    real = np.abs(real) if stages[-1].signed else real
    # Between the stages there are 24 bits: 512 * 1023 levels leave 0.03 of one.
    assert np.abs(result - np.clip(real * full / white, 0, full)).max() < 0.53


def test_opacity_is_a_fraction_of_white():
    stages = stack.stages(["box:3"])
    pixels = noise((31, 40, 4), 4095)
    alpha = pixels[:, :, 3:] / 4095
    plan = plan_stack(stages, pixels.shape, pixels.dtype, alpha=True, white=4095, out_white=4095)
    result = run_array(plan, pixels).pixels
    np.testing.assert_array_equal(result[:, :, 3], means(pixels[:, :, 3], 3))
    padded = np.pad(pixels[:, :, :3] * alpha, ((1, 1), (1, 1), (0, 0)), mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(0, 1)).sum(axis=(-2, -1))
    weights = np.lib.stride_tricks.sliding_window_view(
        np.pad(alpha, ((1, 1), (1, 1), (0, 0)), mode="edge"), (3, 3), axis=(0, 1)
    ).sum(axis=(-2, -1))
    assert np.abs(result[:, :, :3] - windows / weights).max() < 0.501


def test_offsets_are_fractions_of_white():
    pixels = noise((31, 40), 1000)
    for spec, expected in (
        ("identity:scale=0.5,offset=0.25", np.rint(pixels * 0.5 + 250)),
        ("invert", 1000 - pixels.astype(int)),
        ("threshold:0.5", np.where(pixels > 500, 1000, 0)),
    ):
        plan = plan_stack(stack.stages([spec]), pixels.shape, pixels.dtype, white=1000, out_white=1000)
        np.testing.assert_array_equal(run_array(plan, pixels).pixels, np.broadcast_to(expected, pixels.shape))


# Files


def tiff_of(pixels, bits, **options):
    buffer = io.BytesIO()
    kind = {
        "photometric": "rgb" if pixels.ndim == 3 else "minisblack",
        "bitspersample": bits,
        "metadata": None,
        "software": False,
    }
    tifffile.imwrite(buffer, pixels, **(kind | options))
    return buffer.getvalue()


def pnm_of(pixels, white):
    kind = b"P6" if pixels.ndim == 3 else b"P5"
    data = pixels.astype(">u2" if white > 255 else "u1").tobytes()
    return kind + b"\n%d %d\n%d\n" % (pixels.shape[1], pixels.shape[0], white) + data


def filtered(data, folder, suffix, output, spec="box:3", **options):
    source, destination = folder / f"in.{suffix}", folder / f"out.{output}"
    source.write_bytes(data)
    report = pipeline.filter_file(str(source), str(destination), pipeline.Options(specs=[spec], **options))
    return report, destination


@pytest.mark.parametrize("bits", [9, 10, 12, 15])
@pytest.mark.parametrize("shape", [(20, 31), (20, 31, 3), (20, 31, 4)])
@pytest.mark.parametrize("compression", ["fast", "best"])
def test_a_tiff_keeps_its_bits(tmp_path, bits, shape, compression):
    pixels = noise(shape, 2**bits - 1)
    data = tiff_of(pixels, bits, **({"extrasamples": [0]} if shape[2:] == (4,) else {}))
    assert read(io.BytesIO(data)).white == 2**bits - 1
    report, out = filtered(data, tmp_path, "tif", "tif", write=WriteOptions(compression=compression))
    assert report.notes == ()
    with tifffile.TiffFile(out) as opened:
        page = opened.pages[0]
        assert (page.bitspersample, int(page.compression)) == (bits, 8)
        np.testing.assert_array_equal(page.asarray(), means(pixels, 3))
    np.testing.assert_array_equal(read(out).pixels, means(pixels, 3))


def test_pages_and_metadata_of_packed_tiffs(tmp_path):
    pages = [noise((20, 31, 3), 4095, seed) for seed in range(3)]
    picture = Picture([Frame(page) for page in pages], white=4095)
    picture.metadata.exif = b"II*\0\x08\0\0\0\x01\0\x0f\x01\x02\0\x04\0\0\0abc\0\0\0\0\0"
    picture.metadata.resolution = (300.0, 300.0)
    write(resolve_target(tmp_path / "a.tif"), picture)
    again = read(tmp_path / "a.tif")
    np.testing.assert_array_equal([frame.pixels for frame in again.frames], pages)
    assert again.white == 4095
    assert b"abc" in again.metadata.exif
    assert again.metadata.resolution == (300, 300)


@pytest.mark.parametrize("kind", ["unassalpha", "assocalpha"])
def test_alpha_of_12_bits(tmp_path, kind):
    pixels = noise((20, 31, 4), 4095)
    pixels[:, :, :3] = np.minimum(pixels[:, :, :3], pixels[:, :, 3:])
    pixels[pixels[:, :, 3] == 0] = 0
    _, out = filtered(tiff_of(pixels, 12, extrasamples=[kind]), tmp_path, "tif", "tif", "identity")
    with tifffile.TiffFile(out) as opened:
        np.testing.assert_array_equal(opened.pages[0].asarray(), pixels)


def test_white_is_zero_of_12_bits():
    pixels = noise((20, 31), 4095)
    np.testing.assert_array_equal(read(io.BytesIO(tiff_of(pixels, 12, photometric="miniswhite"))).pixels, 4095 - pixels)


@pytest.mark.parametrize("white", [2, 15, 100, 254, 256, 1000, 4095, 65534])
@pytest.mark.parametrize("shape", [(20, 31), (20, 31, 3)])
def test_a_pnm_keeps_its_largest_value(tmp_path, white, shape):
    pixels = noise(shape, white)
    suffix = "ppm" if len(shape) == 3 else "pgm"
    report, out = filtered(pnm_of(pixels, white), tmp_path, suffix, suffix)
    assert report.notes == ()
    assert out.read_bytes() == pnm_of(means(pixels, 3), white)


def test_a_pam_keeps_its_largest_value(tmp_path):
    pixels = noise((20, 31, 4), 4095)
    pixels[:, :, 3] = 4095
    head = b"P7\nWIDTH 31\nHEIGHT 20\nDEPTH 4\nMAXVAL 4095\nTUPLTYPE RGB_ALPHA\nENDHDR\n"
    _, out = filtered(head + pixels.astype(">u2").tobytes(), tmp_path, "pam", "pam")
    assert out.read_bytes() == head + means(pixels, 3).astype(">u2").tobytes()


@pytest.mark.parametrize("suffix", ["jp2", "j2k"])
@pytest.mark.parametrize("shape", [(64, 80), (64, 80, 3)])
def test_a_jpeg_2000_keeps_its_bits(tmp_path, shape, suffix):
    pixels = noise(shape, 4095)
    data = imagecodecs.jpeg2k_encode(pixels, level=0, codecformat=suffix, reversible=True, bitspersample=12)
    report, out = filtered(data, tmp_path, suffix, suffix)
    assert report.notes == ()
    np.testing.assert_array_equal(imagecodecs.jpeg2k_decode(out.read_bytes()), means(pixels, 3))
    assert read(out).white == 4095


@pytest.mark.parametrize("suffix", ["jp2", "j2k"])
@pytest.mark.parametrize(
    ("bits", "shape"),
    [(1, (64, 80)), (2, (64, 80)), (2, (64, 80, 3)), (4, (64, 80, 3)), (4, (64, 80, 4)), (7, (64, 80, 4))],
)
def test_a_jpeg_2000_of_few_bits_is_stretched_to_8_bits(shape, suffix, bits):
    pixels = noise(shape, 2**bits - 1).astype(np.uint8)
    data = imagecodecs.jpeg2k_encode(
        pixels, level=0, codecformat=suffix, reversible=True, bitspersample=bits, mct=False
    )
    picture = read(io.BytesIO(data))
    np.testing.assert_array_equal(picture.pixels, np.rint(pixels.astype(np.float64) * 255 / (2**bits - 1)))
    assert picture.white is None and f"the JPEG 2000 has {bits}-bit samples" in picture.notes[0]


def test_opacity_of_one_bit_in_a_jpeg_2000_is_opaque_or_transparent():
    pixels = noise((64, 80, 4), 255).astype(np.uint8)
    pixels[..., 3] = 255
    data = bytearray(imagecodecs.jpeg2k_encode(pixels, level=0, codecformat="j2k", reversible=True, mct=False))
    data[data.index(b"\xff\x51") + 40 + 3 * 3] = 0  # the depth of the fourth component, less 1
    np.testing.assert_array_equal(read(io.BytesIO(data)).pixels, pixels)


@pytest.mark.parametrize(("source", "output"), [("tif", "pgm"), ("pgm", "tif"), ("pgm", "jp2"), ("tif", "jp2")])
def test_bits_of_samples_pass_from_format_to_format(tmp_path, source, output):
    pixels = noise((64, 80), 4095)
    data = tiff_of(pixels, 12) if source == "tif" else pnm_of(pixels, 4095)
    report, out = filtered(data, tmp_path, source, output)
    assert report.notes == ()
    again = read(out)
    assert again.white == 4095
    np.testing.assert_array_equal(again.pixels, means(pixels, 3))


@pytest.mark.parametrize(
    ("white", "output", "dtype"),
    [(4095, "png", np.uint16), (1000, "tif", np.uint16), (1000, "jp2", np.uint16), (100, "png", np.uint8)],
)
def test_scaled_white_values_are_reported(tmp_path, white, output, dtype):
    pixels = noise((64, 80), white)
    report, out = filtered(pnm_of(pixels, white), tmp_path, "pgm", output)
    full = np.iinfo(dtype).max
    (note,) = report.notes
    assert f"stretches samples of 0 to {white} to 0 to {full}, {full / white:.6g} times as large; use" in note
    assert re.search("use .*(pnm|tiff)", note)
    again = read(out)
    assert again.pixels.dtype == dtype and again.white is None
    padded = np.pad(pixels.astype(np.int64), 1, mode="edge")
    sums = np.lib.stride_tricks.sliding_window_view(padded, (3, 3)).sum(axis=(2, 3))
    np.testing.assert_array_equal(again.pixels, np.rint(sums * full / (9 * white)))


def test_less_depth_is_reached_by_one_rounding(tmp_path):
    pixels = np.arange(4096, dtype=np.uint16).reshape(64, 64)
    report, out = filtered(pnm_of(pixels, 4095), tmp_path, "pgm", "bmp", "identity")
    np.testing.assert_array_equal(read(out).pixels, np.rint(pixels * 255.0 / 4095))
    assert not any("times as large" in note for note in report.notes)


def test_linear_light_keeps_bits(tmp_path):
    pixels = noise((64, 80), 4095)
    _, out = filtered(tiff_of(pixels, 12), tmp_path, "tif", "tif", "identity", linear=True)
    again = read(out)
    assert again.white == 4095
    np.testing.assert_array_equal(again.pixels, pixels)


def test_backgrounds_keep_bits(tmp_path):
    pixels = noise((20, 31, 4), 4095)
    pixels[:, :15, 3], pixels[:, 15:, 3] = 4095, 0
    data = tiff_of(pixels, 12, extrasamples=["unassalpha"])
    _, out = filtered(data, tmp_path, "tif", "tif", "identity", write=WriteOptions(background="white"))
    again = read(out)
    assert again.white == 4095
    np.testing.assert_array_equal(again.pixels, np.where(pixels[:, :, 3:] == 4095, pixels[:, :, :3], 4095))


def test_arrays_have_one_for_white(tmp_path):
    pixels = noise((20, 31), 4095)
    _, out = filtered(tiff_of(pixels, 12), tmp_path, "tif", "npy", "identity")
    np.testing.assert_allclose(np.load(out)[..., 0], pixels / 4095, rtol=1e-6)


def test_pictures_can_be_written_without_a_filter(tmp_path):
    pixels = noise((20, 31), 4095)
    picture = read(io.BytesIO(tiff_of(pixels, 12)))
    write(tmp_path / "a.pgm", picture)
    assert (tmp_path / "a.pgm").read_bytes() == pnm_of(pixels, 4095)
    write(tmp_path / "a.png", picture)
    np.testing.assert_array_equal(read(tmp_path / "a.png").pixels, np.rint(pixels * 65535.0 / 4095))
    np.testing.assert_array_equal(picture.full_range().pixels, np.rint(pixels * 65535.0 / 4095))
