"""TIFFs row by row: every layout of strips and tiles, every compression, small and large files."""

import numpy as np
import pytest
import tifffile
from samples import noise

import convfilter as cf
from convfilter import pipeline
from convfilter.cli.root import run
from convfilter.errors import ReadError, UsageError
from convfilter.picture.options import TIFF_COMPRESSIONS, WriteOptions
from convfilter.picture.tiff import rows as tiff_rows
from convfilter.picture.tiff import write as tiff_write
from convfilter.picture.tiff.compression import CODES


@pytest.fixture(autouse=True)
def small_bands(monkeypatch):
    monkeypatch.setattr(tiff_rows, "BAND_BYTES", 1000)
    monkeypatch.setattr(tiff_write, "STRIP_BYTES", 1500)


def compression_of(path):
    """Return the number of the compression of a file."""
    with tifffile.TiffFile(path) as tiff:
        return int(tiff.pages[0].compression)


def filtered(source, target, *specs, **options):
    return pipeline.filter_file(str(source), str(target), pipeline.Options(specs=specs, **options))


COMPRESSIONS = [None, "lzw", "zlib", "adobe_deflate", "packbits", "zstd", "lzma"]
LAYOUTS = [
    {"rowsperstrip": 1},
    {"rowsperstrip": 7},
    {"rowsperstrip": 1000},
    {"tile": (16, 32)},
    {"tile": (64, 64)},
    {"byteorder": ">"},
    {"bigtiff": True},
]


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_every_layout_is_read_row_by_row(tmp_path, layout, compression):
    pixels = noise((101, 67, 3))
    predictor = {"predictor": True} if compression in ("lzw", "zlib", "adobe_deflate", "zstd") else {}
    source = tmp_path / "in.tif"
    options = {key: value for key, value in layout.items() if key not in ("byteorder", "bigtiff")}
    with tifffile.TiffWriter(source, **{key: layout[key] for key in ("byteorder", "bigtiff") if key in layout}) as file:
        file.write(pixels, photometric="rgb", compression=compression, **predictor, **options)
    report = filtered(source, tmp_path / "out.tif", "box:3")
    assert report.not_streamed == ""
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "out.tif"), cf.box_blur(pixels, 3))


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "uint32", "int8", "int16", "float16", "float32", "float64"])
@pytest.mark.parametrize("shape", [(70, 50), (70, 50, 3)])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_every_sample_type_is_read_as_whole(tmp_path, dtype, shape, compression):
    source = tmp_path / "in.tif"
    tifffile.imwrite(
        source, noise(shape, dtype), photometric="rgb" if len(shape) == 3 else "minisblack", compression=compression
    )
    whole = cf.read(source).pixels
    assert filtered(source, tmp_path / "out.tif", "gaussian:1").not_streamed == ""
    np.testing.assert_array_equal(cf.read(tmp_path / "out.tif").pixels, cf.gaussian_blur(whole, 1))


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("compression", TIFF_COMPRESSIONS)
@pytest.mark.parametrize(("shape", "dtype"), [((90, 40, 3), "uint8"), ((90, 41), "uint16"), ((90, 40, 4), "float32")])
def test_every_compression_is_written(tmp_path, compression, threads, shape, dtype):
    pixels = noise(shape, dtype)
    target = tmp_path / "out.tif"
    cf.write(target, pixels, WriteOptions(compression=compression, threads=threads))
    with tifffile.TiffFile(target) as tiff:
        page = tiff.pages[0]
        assert int(page.compression) == CODES[compression]
        assert len(page.dataoffsets) > 1
        np.testing.assert_array_equal(page.asarray(), pixels)
    assert cf.read(target).pixels.tobytes() == pixels.tobytes()


@pytest.mark.parametrize(("name", "kept"), [("lzw", 5), ("zlib", 8), ("packbits", 32773), ("zstd", 50000), (None, 1)])
def test_the_compression_of_a_tiff_is_kept(tmp_path, name, kept):
    source, target = tmp_path / "in.tif", tmp_path / "out.tif"
    tifffile.imwrite(source, noise((30, 20, 3)), photometric="rgb", compression=name)
    assert filtered(source, target, "box:3").notes == ()
    assert compression_of(target) == kept
    filtered(source, target, "box:3", write=WriteOptions(compression="lzw"))
    assert compression_of(target) == 5
    filtered(source, target, "box:3", write=WriteOptions(compression="best", strip="all"))
    assert compression_of(target) == (8 if name is None else kept)


def test_output_of_a_tiff_compressed_with_loss_is_deflated_with_a_note(tmp_path):
    source, target = tmp_path / "in.tif", tmp_path / "out.tif"
    tifffile.imwrite(source, noise((32, 48, 3)), photometric="rgb", compression="jpeg", tile=(16, 16))
    (note,) = filtered(source, target, "box:3").notes
    assert "without loss, deflated; the input was compressed with JPEG" in note
    assert compression_of(target) == 8
    assert filtered(source, target, "box:3", write=WriteOptions(compression="zstd")).notes == ()


def test_the_names_are_for_tiff_alone(tmp_path, capfd):
    cf.write(tmp_path / "in.png", noise((9, 8, 3)))
    with pytest.raises(UsageError, match=r"^compression lzw is for tiff, got PNG; use one of fast, default, best"):
        filtered(tmp_path / "in.png", tmp_path / "out.png", "box:3", write=WriteOptions(compression="lzw"))
    arguments = ["blur", "--box", "3", "--compression", "zip", str(tmp_path / "in.png"), str(tmp_path / "out.tif")]
    assert run(arguments) == 0
    assert compression_of(tmp_path / "out.tif") == 8


def test_large_files_are_bigtiffs(tmp_path, monkeypatch):
    monkeypatch.setattr(tiff_write, "CLASSIC_BYTES", 10_000)
    pixels = noise((60, 80, 3))
    cf.write(tmp_path / "in.tif", pixels)
    with tifffile.TiffFile(tmp_path / "in.tif") as tiff:
        assert tiff.is_bigtiff
    filtered(tmp_path / "in.tif", tmp_path / "out.tif", "box:3")
    with tifffile.TiffFile(tmp_path / "out.tif") as tiff:
        assert tiff.is_bigtiff
        np.testing.assert_array_equal(tiff.pages[0].asarray(), cf.box_blur(pixels, 3))


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"planarconfig": "separate"}, "channels lie one after the other"),
        ({"rowsperstrip": 1000, "compression": "zlib"}, "strips are too large"),
    ],
)
def test_tiffs_decoded_whole_give_the_reason(tmp_path, monkeypatch, options, reason):
    monkeypatch.setattr(tiff_rows, "MOST_BYTES", 1000)
    pixels = noise((3, 40, 50) if "planarconfig" in options else (40, 50, 3))
    tifffile.imwrite(tmp_path / "in.tif", pixels, photometric="rgb", **options)
    assert reason in filtered(tmp_path / "in.tif", tmp_path / "out.tif", "box:3").not_streamed


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_damage_in_the_last_strip_leaves_the_old_output(tmp_path, compression):
    source, target = tmp_path / "in.tif", tmp_path / "out.tif"
    tifffile.imwrite(source, noise((60, 50, 3)), photometric="rgb", compression=compression, rowsperstrip=8)
    with tifffile.TiffFile(source) as tiff:
        at, length = tiff.pages[0].dataoffsets[-1], tiff.pages[0].databytecounts[-1]
    data = bytearray(source.read_bytes())
    data[at : at + length] = bytes(length) if compression else data[at : at + length]
    source.write_bytes(bytes(data) if compression else bytes(data[: at + length - 1]))
    target.write_bytes(b"old")
    with pytest.raises(ReadError, match=r"the TIFF is (damaged|truncated)"):
        filtered(source, target, "box:3")
    assert target.read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 2
