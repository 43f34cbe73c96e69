"""TIFFs of int8, int16, int32, uint32 and float64: read, filtered and written exactly, in their type."""

import numpy as np
import pytest
import reference
import tifffile
from wides import FILES, noise, stored

import convfilter as cf
from convfilter import pipeline
from convfilter.errors import WriteError
from convfilter.executor.masked import Masking
from convfilter.picture.tiff import rows as tiff_rows
from convfilter.picture.tiff import write as tiff_write

#: Results that are not exact fractions may be off by this share of the largest sample, beside the rounding.
ROUNDING = 1e-13


@pytest.fixture(autouse=True)
def small_bands(monkeypatch):
    monkeypatch.setattr(tiff_rows, "BAND_BYTES", 1000)
    monkeypatch.setattr(tiff_write, "STRIP_BYTES", 3000)


def saved(path, pixels, *, byteorder="<", bigtiff=False, **options):
    """Write a TIFF whose channels are bands."""
    kind = {"photometric": "rgb" if pixels.ndim == 3 and pixels.shape[2] == 3 else "minisblack", "metadata": None}
    bands = pixels.shape[2] if pixels.ndim == 3 else 1
    if options.get("planarconfig") == "separate":
        pixels = np.moveaxis(pixels, 2, 0)
    if bands > 1 and bands != 3:
        kind |= {"planarconfig": "contig", "extrasamples": [0] * (bands - 1)}
    with tifffile.TiffWriter(path, byteorder=byteorder, bigtiff=bigtiff) as file:
        file.write(pixels, **(kind | options))
    return path


def filtered(source, target, *specs, **options):
    return pipeline.filter_file(str(source), str(target), pipeline.Options(specs=specs, **options))


LAYOUTS = {
    "rows": {"rowsperstrip": 1},
    "strips": {"rowsperstrip": 7},
    "one strip": {"rowsperstrip": 1000},
    "tiles": {"tile": (16, 32)},
    "big-endian": {"byteorder": ">", "rowsperstrip": 9},
    "big-endian tiles": {"byteorder": ">", "tile": (32, 16)},
    "BigTIFF": {"bigtiff": True},
    "planar": {"planarconfig": "separate"},
}
PREDICTED = ("zlib", "lzw", "zstd")


@pytest.mark.parametrize("dtype", FILES)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("compression", [None, "zlib", "lzw", "zstd", "packbits"])
def test_identity_keeps_samples_of_wide_files(tmp_path, dtype, layout, compression):
    pixels = noise(dtype, (61, 37, 3))
    options = LAYOUTS[layout] | ({"predictor": True} if compression in PREDICTED else {})
    source = saved(tmp_path / "in.tif", pixels, compression=compression, **options)
    report = filtered(source, tmp_path / "out.tif", "identity")
    assert report.notes == () and (report.not_streamed == "") == (layout != "planar")
    assert report.before == report.after == f"37x61 rgb {dtype}"
    with tifffile.TiffFile(tmp_path / "out.tif") as tiff, tifffile.TiffFile(source) as before:
        page, old = tiff.pages[0], before.pages[0]
        assert (page.dtype, page.sampleformat) == (np.dtype(dtype), old.sampleformat)
        assert page.predictor == (1 if compression not in PREDICTED else 3 if dtype == "float64" else 2)
        np.testing.assert_array_equal(page.asarray(), pixels)


@pytest.mark.parametrize("dtype", FILES)
@pytest.mark.parametrize("bands", [1, 2, 4, 7])
@pytest.mark.parametrize("options", [{"tile": (16, 16)}, {"compression": "zlib", "predictor": True}], ids=str)
def test_bands_stay_as_they_are(tmp_path, dtype, bands, options):
    pixels = noise(dtype, (40, 21, bands))[..., 0 if bands == 1 else slice(None)]
    source = saved(tmp_path / "in.tif", pixels, **options)
    assert filtered(source, tmp_path / "out.tif", "identity").notes == ()
    with tifffile.TiffFile(tmp_path / "out.tif") as tiff:
        assert tiff.pages[0].extrasamples == (0,) * (bands - 1)
        np.testing.assert_array_equal(tiff.pages[0].asarray(), pixels)


@pytest.mark.parametrize("bits", [17, 20, 24, 31])
def test_integers_of_17_to_31_bits_keep_them(tmp_path, bits):
    pixels = noise("uint32", (40, 21)) >> (32 - bits)
    tifffile.imwrite(tmp_path / "in.tif", pixels, bitspersample=bits, photometric="minisblack", metadata=None)
    assert cf.read(tmp_path / "in.tif").white == 2**bits - 1
    assert filtered(tmp_path / "in.tif", tmp_path / "out.tif", "invert").notes == ()
    with tifffile.TiffFile(tmp_path / "out.tif") as tiff:
        assert tiff.pages[0].bitspersample == bits
        np.testing.assert_array_equal(tiff.pages[0].asarray(), 2**bits - 1 - pixels)


# Filters --------------------------------------------------------------------------------------------------------------


def kept_sign(values, dtype):
    """Differences as they are stored: unsigned types store the magnitude."""
    return np.abs(values) if dtype == "uint32" else values


KERNEL = np.array([[1, 2, 0], [3, -1, 5], [2, 2, -7]])
EXACT = {
    "box:3": lambda image, _: reference.box_sum(image, 3) / 9,
    "box:5x3,stride=2": lambda image, _: reference.box_sum(image, (3, 5), stride=2) / 15,
    "kernel:1 2 0;3 -1 5;2 2 -7,dilation=3,scale=1/8": (
        lambda image, _: reference.correlate(image, reference.exact(KERNEL.astype(object)), dilation=3) / 8
    ),
    "sobel:x,scale=1/4": lambda image, dtype: kept_sign(reference.gradient(image, "sobel", "x"), dtype) / 4,
    "box:3,padding=2,padding_mode=constant,padding_value=77": (
        lambda image, _: reference.box_sum(image, 3, padding=2, padding_mode="constant", padding_value=77) / 9
    ),
    "maxpool:2": lambda image, _: reference.max_pool(image, 2),
    "avgpool:2": lambda image, _: reference.average_pool(image, 2),
    "median:3": lambda image, _: reference.percentile(image, 3),
    "dilate:3": lambda image, _: reference.extreme(image, 3, True),
}


def blurred(image, sigma):
    """A Gaussian whose window ends at 6 sigma, which float64 shows, and so do its weights."""
    weights = reference.gaussian_weights(sigma, reference.gaussian_radius(sigma))
    return reference.correlate(image, np.outer(weights, weights))


REAL = {
    "gaussian:1.3": lambda image, _: blurred(image, 1.3),
    "sobel:magnitude,scale=0.2": lambda image, _: reference.gradient(image, "sobel") * 0.2,
    "unsharp:1.5": lambda image, _: 2 * image - blurred(image, 1.5),
    "gaussian:1|box:3": lambda image, _: reference.box_blur(blurred(image, 1), 3),
}


@pytest.mark.parametrize("dtype", FILES)
@pytest.mark.parametrize("spec", [*EXACT, *REAL])
def test_results_are_those_of_float64_by_rows_and_whole(tmp_path, dtype, spec):
    pixels = noise(dtype, (30, 22, 3))
    source = saved(tmp_path / "in.tif", pixels, tile=(16, 16), compression="zlib", predictor=True)
    planar = saved(tmp_path / "planar.tif", pixels, planarconfig="separate", byteorder=">")
    specs = spec.split("|")
    results = []
    for path, threads in ((source, 1), (source, 3), (planar, 1), (planar, 3)):
        report = filtered(path, tmp_path / "out.tif", *specs, threads=threads)
        assert (report.not_streamed == "") == (path == source) and report.notes == ()
        results.append(tifffile.imread(tmp_path / "out.tif"))
    for other in results[1:]:
        np.testing.assert_array_equal(other, results[0])
    np.testing.assert_array_equal(cf.open(source).apply(*specs).array(), results[0])
    got = results[0]
    assert got.dtype == dtype
    if spec in EXACT and dtype != "float64":
        numbers = reference.exact(pixels.astype(object))
        np.testing.assert_array_equal(got, stored(EXACT[spec](numbers, dtype), dtype))
        return
    exact = (EXACT | REAL)[spec](reference.real(pixels), dtype).astype(float)
    if dtype != "float64":
        ends = np.iinfo(dtype)
        exact = np.clip(exact, ends.min, ends.max)
    largest = np.abs(pixels.astype(float)).max()
    assert np.abs(got.astype(float) - exact).max() <= (0.5 if dtype != "float64" else 0) + 20 * ROUNDING * largest


@pytest.mark.parametrize("dtype", ["int8", "int16", "int32", "uint32"])
@pytest.mark.parametrize("planar", [False, True])
def test_clipped_samples_of_wide_files_are_counted_once(tmp_path, dtype, planar):
    pixels = noise(dtype, (30, 22, 3))
    source = saved(tmp_path / "in.tif", pixels, **({"planarconfig": "separate"} if planar else {}))
    report = filtered(source, tmp_path / "out.tif", "kernel:3")
    exact, ends = 3 * pixels.astype(object), np.iinfo(dtype)
    assert report.clipped == pytest.approx(np.mean((exact < ends.min) | (exact > ends.max)))
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "out.tif"), np.clip(exact, ends.min, ends.max))


@pytest.mark.parametrize("dtype", FILES)
def test_a_range_is_stretched_and_clipped_as_everywhere(tmp_path, dtype):
    pixels = noise(dtype, (30, 22))
    source = saved(tmp_path / "in.tif", pixels)
    white = reference.full_scale(dtype)
    filtered(source, tmp_path / "out.tif", "identity:map=stretch")
    real = pixels.astype(float)
    exact = (real - real.min()) / (real.max() - real.min()) * white
    got = tifffile.imread(tmp_path / "out.tif")
    assert np.abs(got - exact).max() <= (0.5 + 1e-6 if dtype != "float64" else 1e-12)
    filtered(source, tmp_path / "clip.tif", "kernel:2,map=clip")
    got = tifffile.imread(tmp_path / "clip.tif")
    if dtype == "float64":
        np.testing.assert_array_equal(got, np.clip(2 * pixels, 0, 1))
    else:
        np.testing.assert_array_equal(got, stored(2 * pixels.astype(object), dtype))


@pytest.mark.parametrize("dtype", FILES)
def test_levels_are_fractions_of_the_white_of_the_file(tmp_path, dtype):
    pixels = noise(dtype, (30, 22))
    source = saved(tmp_path / "in.tif", pixels)
    white = reference.full_scale(dtype)
    for spec, exact in (
        ("threshold:0.25", np.where(pixels > white / 4, white, 0)),
        (
            "identity:scale=0.5,offset=0.25",
            reference.exact(pixels.astype(object)) / 2 + reference.exact([white])[0] / 4,
        ),
        ("relu", np.maximum(pixels, 0)),
    ):
        filtered(source, tmp_path / "out.tif", spec)
        np.testing.assert_array_equal(tifffile.imread(tmp_path / "out.tif"), stored(exact, dtype).astype(dtype))


@pytest.mark.parametrize("dtype", ["int16", "int32", "uint32", "float64"])
def test_opacity_weighs_colours(tmp_path, dtype):
    pixels = noise(dtype, (20, 21, 4))
    white = reference.full_scale(dtype)
    opacity = np.random.default_rng(1).random((20, 21))
    opacity[:5, :5] = 0
    pixels[..., 3] = (opacity * white).astype(dtype)
    source = tmp_path / "in.tif"
    tifffile.imwrite(source, pixels, photometric="rgb", extrasamples=["unassalpha"], metadata=None)
    assert filtered(source, tmp_path / "out.tif", "box:3").notes == ()
    exact = reference.with_alpha(
        reference.real(pixels), lambda part, **geometry: reference.box_blur(part, 3, **geometry), white=white
    )
    got = tifffile.imread(tmp_path / "out.tif")
    assert got.dtype == dtype
    rounded = 0.5 if dtype != "float64" else 0
    assert np.abs(got.astype(float) - exact).max() <= rounded + 1e-12 * np.abs(pixels.astype(float)).max()


@pytest.mark.parametrize("dtype", ["int8", "int32"])
@pytest.mark.parametrize(
    "spec", ["identity", "invert", "box:3,scale=5", "sobel:magnitude", "threshold:0.2", "bilateral:2,0.1", "gaussian:1"]
)
def test_functions_on_pictures_count_white_as_files_do(tmp_path, dtype, spec):
    pixels = noise(dtype, (20, 30))
    saved(tmp_path / "in.tif", pixels)
    filtered(tmp_path / "in.tif", tmp_path / "out.tif", spec)
    picture = cf.read(tmp_path / "in.tif")
    result = cf.apply(picture, spec)
    assert result.dtype == dtype
    np.testing.assert_array_equal(result, tifffile.imread(tmp_path / "out.tif"))
    real = cf.apply(picture, spec, dtype=np.float64)
    info = np.iinfo(dtype)
    np.testing.assert_array_equal(np.rint(real).clip(info.min, info.max), result)


def test_functions_on_pictures_ignore_values_as_files_do(tmp_path):
    pixels = noise("int8", (20, 30))
    saved(tmp_path / "in.tif", pixels)
    result = cf.apply(cf.read(tmp_path / "in.tif"), "box:3", ignore=int(pixels[4, 5]))
    assert result.dtype == np.int8 and result[4, 5] == pixels[4, 5]
    filtered(tmp_path / "in.tif", tmp_path / "out.tif", "box:3", masking=Masking(int(pixels[4, 5]), None))
    np.testing.assert_array_equal(result, tifffile.imread(tmp_path / "out.tif"))


LARGE = np.array([[1e39, 1.0, -2e40], [np.inf, np.nan, 3e38]])


@pytest.mark.parametrize("source", ["array", "file"])
def test_samples_too_large_for_float32_are_refused(tmp_path, source):
    saved(tmp_path / "in.tif", LARGE)

    def write(**options):
        if source == "array":
            return cf.write(tmp_path / "out.pfm", LARGE, cf.WriteOptions(**options))
        return filtered(tmp_path / "in.tif", tmp_path / "out.pfm", "identity", write=cf.WriteOptions(**options)).notes

    with pytest.raises(
        WriteError, match=r"PFM holds 32-bit floats, up to 3.4e\+38, and 2 samples are larger; use tiff"
    ):
        write()
    assert not (tmp_path / "out.pfm").exists()
    assert any("2 samples are larger" in note for note in write(allow_loss=True))
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(cf.read(tmp_path / "out.pfm").pixels, LARGE.astype(np.float32))


def test_results_too_large_for_float32_are_refused(tmp_path):
    saved(tmp_path / "in.tif", np.full((4, 5), 1e38))
    with pytest.raises(WriteError, match="20 samples are larger"):
        filtered(tmp_path / "in.tif", tmp_path / "out.pfm", "box:1,scale=10")
    assert filtered(tmp_path / "in.tif", tmp_path / "out.tif", "box:1,scale=10").notes == ()
