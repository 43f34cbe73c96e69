"""DICOM: the stored values of every usual compression, without window and slope, and no data on the patient."""

import io

import imagecodecs
import numpy as np
import pytest
import tifffile
from dicoms import dicom, ramp

import convfilter
from convfilter.batch import inputs
from convfilter.errors import ParameterError, ReadError, SizeError, UsageError
from convfilter.executor.masked import Masking
from convfilter.picture.metadata.metadata import Text
from convfilter.picture.options import ReadOptions
from convfilter.picture.place.target import resolve_target
from convfilter.picture.read import read
from convfilter.pipeline import Options, filter_file

pydicom = pytest.importorskip("pydicom")
DIAGNOSIS = "the DICOM is read without its window and its data on patient and study; the result is not for diagnosis"


@pytest.mark.parametrize("bits", [8, 10, 12, 16])
def test_unsigned_values_do_not_change(bits):
    picture = read(dicom(ramp(bits), bits))
    np.testing.assert_array_equal(picture.pixels, ramp(bits))
    assert picture.white == (None if bits in (8, 16) else 2**bits - 1) and picture.notes == (DIAGNOSIS,)
    assert picture.pixels.dtype == ramp(bits).dtype and picture.format == "DICOM"


@pytest.mark.parametrize("bits", [8, 12, 16])
@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("syntax", ["1", ""])
def test_the_padding_value_is_the_nodata_value(tmp_path, bits, signed, syntax):
    """Explicit and implicit value representations; a signed number may be stored without its sign."""
    pixels = ramp(bits, signed=signed)
    value = int(pixels.min())
    pixels[5:9, 5:9] = value
    (tmp_path / "a.dcm").write_bytes(dicom(pixels, bits, syntax, PixelPaddingValue=value).read())
    names = str(tmp_path / "a.dcm"), str(tmp_path / "a.tif")
    filter_file(*names, Options(["box:3"], masking=Masking("nodata", fill=True)))
    samples = pixels.astype(np.int16) if signed else pixels
    expected = convfilter.box_blur(samples, 3, ignore=value, fill=True)
    np.testing.assert_array_equal(tifffile.imread(names[1]), expected)


def test_a_range_of_padding_values_is_no_nodata_value(tmp_path):
    more = {"PixelPaddingValue": 3, "PixelPaddingRangeLimit": 9}
    for wrong in (more, {}, {"PixelPaddingValue": None}):
        (tmp_path / "a.dcm").write_bytes(dicom(ramp(12), 12, **wrong).read())
        with pytest.raises(ParameterError, match="this has none"):
            filter_file(str(tmp_path / "a.dcm"), str(tmp_path / "a.tif"), Options(["box:3"], masking=Masking("nodata")))


def test_a_preamble_may_begin_as_a_tiff_does():
    data = dicom(ramp(12), 12).getvalue()
    for head in (b"II*\0\x54\x18\x08\0", b"MM\0*\0\x08\0\0", b"\x89PNG\r\n\x1a\n"):
        picture = read(io.BytesIO(head + data[len(head) :]))
        assert picture.format == "DICOM"
        np.testing.assert_array_equal(picture.pixels, ramp(12))


@pytest.mark.parametrize("bits", [7, 8, 12, 16, 20, 32])
def test_signed_values_do_not_change(tmp_path, bits):
    pixels = ramp(bits, signed=True)
    picture = read(dicom(pixels, bits))
    np.testing.assert_array_equal(picture.pixels, pixels)
    assert picture.outline.dtype == pixels.dtype and picture.notes == (DIAGNOSIS,)
    (tmp_path / "a.dcm").write_bytes(dicom(pixels, bits).read())
    filter_file(str(tmp_path / "a.dcm"), str(tmp_path / "a.tif"), Options(["identity"]))
    stored = tifffile.imread(tmp_path / "a.tif")
    assert stored.dtype == pixels.dtype
    np.testing.assert_array_equal(stored, pixels)


@pytest.mark.parametrize("bits", [20, 32])
def test_unsigned_values_of_more_than_16_bits_do_not_change(tmp_path, bits):
    picture = read(dicom(ramp(bits), bits))
    np.testing.assert_array_equal(picture.pixels, ramp(bits))
    assert picture.dtype == np.uint32 and picture.white == (2**20 - 1 if bits == 20 else None)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_floats_do_not_change(dtype):
    pixels = np.random.default_rng(0).normal(0, 1e3, (20, 30)).astype(dtype)
    data = pydicom.dcmread(dicom(ramp(16), 16))
    del data.PixelData, data.BitsStored, data.HighBit, data.PixelRepresentation
    data.BitsAllocated = 8 * pixels.itemsize
    if dtype == np.float32:
        data.FloatPixelData = pixels.tobytes()
    else:
        data.DoubleFloatPixelData = pixels.tobytes()
    buffer = io.BytesIO()
    data.save_as(buffer)
    buffer.seek(0)
    picture = read(buffer)
    np.testing.assert_array_equal(picture.pixels, pixels)
    assert picture.dtype == dtype


COMPRESSED = {
    "4.80": imagecodecs.jpegls_encode,
    "4.70": imagecodecs.ljpeg_encode,
    "4.90": lambda pixels: imagecodecs.jpeg2k_encode(pixels, codecformat="j2k", reversible=True),
    "4.201": imagecodecs.htj2k_encode,
}


@pytest.mark.parametrize("bits", [8, 12, 16])
@pytest.mark.parametrize("syntax", COMPRESSED)
def test_compressed_values_are_decoded(syntax, bits):
    picture = read(dicom(ramp(bits), bits, syntax, COMPRESSED[syntax]))
    np.testing.assert_array_equal(picture.pixels, ramp(bits))


@pytest.mark.parametrize("bits", [7, 8, 12, 16])
@pytest.mark.parametrize("syntax", ["4.80", "4.70"])
def test_compressed_values_may_be_signed_though_their_codec_knows_no_sign(syntax, bits):
    pixels = ramp(bits, signed=True)
    mask = 2**bits - 1
    picture = read(dicom(pixels, bits, syntax, lambda each: COMPRESSED[syntax](each.view(f"u{each.itemsize}") & mask)))
    np.testing.assert_array_equal(picture.pixels, pixels)
    assert picture.outline.dtype == pixels.dtype


def test_lossy_jpegs_of_12_bits_are_decoded():
    pixels = (ramp(12) // 37).astype(np.uint16) * 5
    encoded = imagecodecs.jpeg8_encode(pixels, level=95, bitspersample=12)
    picture = read(dicom(pixels, 12, "4.51", lambda each: encoded))
    np.testing.assert_array_equal(picture.pixels, imagecodecs.jpeg8_decode(encoded))
    assert np.abs(picture.pixels.astype(int) - pixels).max() < 20


@pytest.mark.parametrize("signed", [False, True])
def test_samples_may_lie_in_the_high_bits(signed):
    pixels = ramp(12, signed=signed)
    for high_bit in (15, 13):  # below them, and above, bits of something else
        shifted = pixels.astype(np.int32) << high_bit - 11 | 1 << high_bit + 1 | 1
        picture = read(dicom(shifted.astype(pixels.dtype), 12, HighBit=high_bit))
        np.testing.assert_array_equal(picture.pixels, pixels)
    assert picture.outline.dtype == pixels.dtype


def test_run_lengths_frames_and_colours():
    source = pydicom.dcmread(dicom(ramp(12, (3, 20, 30)), 12, frames=3))
    source.compress(pydicom.uid.RLELossless)
    buffer = io.BytesIO()
    source.save_as(buffer)
    buffer.seek(0)
    picture = read(buffer)
    assert len(picture.frames) == 3
    np.testing.assert_array_equal(picture.frames[2].pixels, ramp(12, (3, 20, 30))[2])
    buffer.seek(0)
    np.testing.assert_array_equal(read(buffer, ReadOptions(frame=1)).pixels, ramp(12, (3, 20, 30))[1])
    np.testing.assert_array_equal(read(dicom(ramp(8, (20, 30, 3)), 8)).pixels, ramp(8, (20, 30, 3)))


def test_slope_and_spacing_are_kept_beside_the_values(tmp_path):
    data = dicom(
        ramp(12), 12, RescaleSlope="2", RescaleIntercept="-1024", RescaleType="HU", PixelSpacing=["0.5", "0.25"],
        WindowCenter="40", WindowWidth="400",
    )  # fmt: skip
    (tmp_path / "a.dcm").write_bytes(data.getvalue())
    filter_file(str(tmp_path / "a.dcm"), str(tmp_path / "b.tif"), Options(["identity"]))
    after = read(tmp_path / "b.tif")
    np.testing.assert_array_equal(after.pixels, ramp(12))
    assert Text("Description", "DICOM rescaling: 2 * stored value + -1024 HU") in after.metadata.text
    assert after.metadata.resolution == pytest.approx((101.6, 50.8))
    assert b"Jane" not in (tmp_path / "b.tif").read_bytes()


def test_unsupported_dicom_files_are_refused_with_a_reason():
    with pytest.raises(UsageError, match=r"\.dcm can be read but not written; use tif for the output"):
        resolve_target("a.dcm")
    inverse = read(dicom(ramp(8), 8, PhotometricInterpretation="MONOCHROME1"))
    assert any("from white to black" in note for note in inverse.notes)
    with pytest.raises(ReadError, match="compressed as MPEG2"):
        read(dicom(ramp(8), 8, "4.100", lambda pixels: b"\0" * 90))


def test_the_limit_of_pixels_is_for_the_chosen_frame():
    pixels = np.stack([ramp(8), ramp(8)[::-1]])
    data = dicom(pixels, 8, frames=2).getvalue()
    with pytest.raises(SizeError, match="the 2 frames have 1200 pixels together, the limit is 700"):
        read(io.BytesIO(data), ReadOptions(max_pixels=700))
    (frame,) = read(io.BytesIO(data), ReadOptions(max_pixels=700, frame=1)).frames
    np.testing.assert_array_equal(frame.pixels, pixels[1])


def test_hostile_headers_and_damage():
    with pytest.raises(SizeError, match="60000x60000"):
        read(dicom(ramp(8), 8, Rows=60000, Columns=60000))
    with pytest.raises(SizeError, match="the limit is 599"):
        read(dicom(ramp(8), 8), ReadOptions(max_pixels=599))
    with pytest.raises(ReadError):
        read(dicom(ramp(8), 8, NumberOfFrames=2_000_000))
    data = dicom(ramp(12), 12).getvalue()
    for size in (200, 300, len(data) - 400, len(data) - 4):
        with pytest.raises(ReadError):
            read(io.BytesIO(data[:size]))


def test_a_folder_is_searched_for_files_without_a_suffix(tmp_path):
    (tmp_path / "scan").write_bytes(dicom(ramp(12), 12).read())
    found = inputs.find([str(tmp_path)], inputs.Naming(ext=".tif"), inputs.Search(any_content=True))
    assert found.jobs == [(str(tmp_path / "scan"), str(tmp_path / "scan.tif"))]
